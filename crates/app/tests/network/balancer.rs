//! The real HAProxy before replicas of a participant.

use crate::{
    examples::found,
    harness::{Daemon, Participant, channel, concordat, eventually, free_ports, node, ready},
    model::offer,
};
use rpc::services::concordat::admin::v1::node_service_client::NodeServiceClient;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use wire::concordat::admin::v1::StatusRequest;

/// Killed with this value.
struct Haproxy(Child);

impl Haproxy {
    /// Of a file; its log is `haproxy.log` beside it.
    fn start(file: &Path) -> Self {
        let log = File::create(file.with_extension("log")).unwrap();
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let mut program = Command::new("haproxy");
        program.args(["-db", "-f"]).arg(file).env("PATH", path).stdin(Stdio::null());
        let child = program.stdout(log.try_clone().unwrap()).stderr(log).spawn();
        Self(child.expect("these tests need HAProxy: ./test installs it, on Debian `apt-get install haproxy` does"))
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A synchronizer and two replicas of a participant, the first of them active; a process each.
struct Network {
    configs: [PathBuf; 2],
    /// Admin API, Ledger API, health of the node, health of the process.
    ports: [[u16; 4]; 2],
    public: u16,
    active: Daemon,
    _others: [Daemon; 2],
}

/// The configuration of one replica.
fn replica(folder: &Path, name: &str, [admin, ledger, http, process]: [u16; 4]) -> PathBuf {
    let config = folder.join(format!("{name}.conf"));
    let text = format!(
        "canton.participants.{name} {{
          storage {{ type = sqlite, config.file = \"p.db\" }}
          admin-api.port = {admin}, ledger-api.port = {ledger}
          monitoring.http-health-server {{ address = 127.0.0.1, port = {http} }}
        }}
        canton.monitoring.health {{ server {{ address = 127.0.0.1, port = {process} }}, check.type = is-active }}"
    );
    fs::write(&config, text).unwrap();
    config
}

impl Network {
    async fn start(folder: &Path) -> Self {
        let [domain_admin, public] = free_ports();
        let domain = folder.join("domain.conf");
        let text = format!(
            "canton.domains.mydomain {{
              init.domain-parameters.protocol-version = 7
              storage {{ type = sqlite, config.file = \"d.db\" }}
              admin-api.port = {domain_admin}, public-api.port = {public}
            }}"
        );
        fs::write(&domain, text).unwrap();
        let ports: [[u16; 4]; 2] = [free_ports(), free_ports()];
        let configs = [replica(folder, "p1", ports[0]), replica(folder, "p2", ports[1])];
        let domain = Daemon::start(folder, &domain);
        let active = Daemon::start(folder, &configs[0]);
        ready(ports[0][0], "p1").await;
        let passive = Daemon::start(folder, &configs[1]);
        ready(ports[1][0], "p2").await;
        ready(domain_admin, "mydomain").await;
        Self { configs, ports, public, active, _others: [domain, passive] }
    }

    /// Commands through HAProxy, before and after the active replica is killed.
    async fn survives_a_kill(self, file: &Path, admin: u16, ledger: u16, down: &[&str]) {
        let _haproxy = Haproxy::start(file);
        // What is down is found out by and by.
        for server in down {
            let seen = async || {
                let log = fs::read_to_string(file.with_extension("log")).ok()?;
                log.contains(&format!("Server {server} is DOWN")).then_some(())
            };
            eventually(&format!("{server} being seen as down"), seen).await;
        }
        let participant = Participant::new(admin, ledger);
        ready(admin, "p1").await;
        participant.connect(&[self.public]).await;
        let (alice, bob) = (participant.allocate("alice").await, participant.allocate("bob").await);
        participant.upload(lf::models::iou()).await;
        assert_eq!(participant.submit(&alice, "before", offer(&alice, &bob, "7.0")).await.len(), 1);
        self.active.kill();
        assert_eq!(participant.submit(&alice, "after", offer(&alice, &bob, "7.0")).await.len(), 1);
        // The admin API is that of the replica that is left.
        eventually("p2 answering behind HAProxy", async || node(admin, "p2").await).await;
    }
}

/// What the binary writes for replicas, and the port of the first of two frontends.
fn written(folder: &Path, configs: &[PathBuf; 2]) -> (PathBuf, u16) {
    // Frontends stand on ports that follow each other.
    let first = loop {
        let [first, second] = free_ports();
        if second == first + 1 {
            break first;
        }
    };
    let (first_port, config) = (first.to_string(), configs[0].to_str().unwrap());
    let written = concordat(&["lb", "haproxy", "--first-port", &first_port, "-c", config], &configs[1], &[]);
    assert!(written.status.success(), "{written:?}");
    let file = folder.join("haproxy.cfg");
    fs::write(&file, &written.stdout).unwrap();
    (file, first)
}

#[tokio::test]
async fn clients_are_told_in_grpc_that_nobody_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let configs = [replica(folder.path(), "p1", free_ports()), replica(folder.path(), "p2", free_ports())];
    let (file, first) = written(folder.path(), &configs);
    let _haproxy = Haproxy::start(&file);
    eventually("HAProxy refusing in gRPC", async || {
        let refused = NodeServiceClient::new(channel(first)).status(StatusRequest {}).await.unwrap_err();
        (refused.code() == tonic::Code::Unavailable && refused.message() == "no-healthy-node").then_some(())
    })
    .await;
}

#[tokio::test]
async fn clients_of_haproxy_survive_the_active_replica() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::start(folder.path()).await;

    let (file, first) = written(folder.path(), &network.configs);
    network.survives_a_kill(&file, first, first + 1, &[]).await;
}

/// A block of the field's manual, from its first line until another one.
fn of_manual(data: &Path, first: &str, until: &str) -> String {
    let manual = fs::read_to_string(data.join("../manual.rst")).unwrap();
    let text = &manual[manual.find(first).unwrap()..];
    let text = &text[..text.find(until).unwrap_or(text.len())];
    text.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect()
}

/// The file of the field's manual for participants, but for ports and addresses.
#[tokio::test]
async fn the_file_of_the_manual_works() {
    let Some(data) = testkit::test_data() else { return };
    let mut text = of_manual(&data, "  global\n", "\0");
    let folder = tempfile::tempdir().unwrap();
    let network = Network::start(folder.path()).await;
    let [admin, ledger, nobody] = free_ports();
    let mut substitutions = 0;
    let mut substitute = |from: &str, to: &str| {
        substitutions += text.matches(from).count();
        text = text.replace(from, to);
    };
    for (bind, port, at) in [("15001", admin, 0), ("15000", ledger, 1)] {
        substitute(&format!("bind :{bind} "), &format!("bind :{port} "));
        for (n, (server, check)) in network.ports.iter().map(|ports| (ports[at], ports[3])).enumerate() {
            let name = format!("participant{}.lan:{bind} proto h2 check port 8080", n + 1);
            substitute(&name, &format!("127.0.0.1:{server} proto h2 check port {check}"));
        }
        // There are only two.
        let third = format!("participant3.lan:{bind} proto h2 check port 8080");
        substitute(&third, &format!("127.0.0.1:{nobody} proto h2 check port {nobody}"));
    }
    assert_eq!(substitutions, 8);
    let file = folder.path().join("haproxy.cfg");
    fs::write(&file, text).unwrap();
    let down =
        ["admin-api/participant2", "admin-api/participant3", "ledger-api/participant2", "ledger-api/participant3"];
    network.survives_a_kill(&file, admin, ledger, &down).await;
}

/// The file of the field's manual for sequencers, but for ports and addresses. It has no section of defaults: those of the
/// file for participants stand before it.
#[tokio::test]
async fn the_file_of_the_manual_for_sequencers_works() {
    let Some(data) = testkit::test_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sequencer = |n: usize, [admin, public, health]: [u16; 3]| {
        let config = folder.path().join(format!("sequencer{n}.conf"));
        let text = format!(
            "canton.sequencers.sequencer{n} {{
              storage {{ type = sqlite, config.file = \"s.db\" }}
              admin-api.port = {admin}, public-api.port = {public}
              monitoring.http-health-server {{ address = 127.0.0.1, port = {health} }}
            }}"
        );
        fs::write(&config, text).unwrap();
        Daemon::start(folder.path(), &config)
    };
    let ports: [[u16; 3]; 2] = [free_ports(), free_ports()];
    let (first, _second) = (sequencer(1, ports[0]), sequencer(2, ports[1]));
    let [mediator, manager, admin, ledger, balanced, nobody] = free_ports();
    let others = folder.path().join("others.conf");
    let text = format!(
        "canton {{
          mediators.mediator1 {{ storage {{ type = sqlite, config.file = \"m.db\" }}, admin-api.port = {mediator} }}
          domain-managers.manager1 {{ storage {{ type = sqlite, config.file = \"d.db\" }}, admin-api.port = {manager} }}
          participants.p1 {{ admin-api.port = {admin}, ledger-api.port = {ledger} }}
        }}"
    );
    fs::write(&others, text).unwrap();
    let _others = Daemon::start(folder.path(), &others);
    ready(admin, "p1").await;
    for (port, name) in [(mediator, "mediator1"), (manager, "manager1")] {
        eventually("being active", async || node(port, name).await.filter(|node| node.role == "Active")).await;
    }
    found(ports[0][0], mediator, manager, &[ports[0][1], ports[1][1]]).await;
    ready(ports[0][0], "sequencer1").await;
    ready(ports[1][0], "sequencer2").await;

    let mut substitutions = 0;
    let defaults = of_manual(&data, "  global\n", "  # expose the admin-api");
    let mut text = defaults + &of_manual(&data, "  frontend domain_frontend\n", "Please note");
    let mut substitute = |from: &str, to: &str| {
        substitutions += text.matches(from).count();
        text = text.replace(from, to);
    };
    substitute("bind 1234 ", &format!("bind 127.0.0.1:{balanced} "));
    // There are only two.
    for (n, [_, public, health]) in ports.into_iter().chain([[0, nobody, nobody]]).enumerate() {
        let server = format!("sequencer{}.local:1234 proto h2 check port 8080", n + 1);
        substitute(&server, &format!("127.0.0.1:{public} proto h2 check port {health}"));
    }
    assert_eq!(substitutions, 4);
    let file = folder.path().join("haproxy.cfg");
    fs::write(&file, text).unwrap();
    let _haproxy = Haproxy::start(&file);
    eventually("the third being seen as down", async || {
        let log = fs::read_to_string(file.with_extension("log")).ok()?;
        log.contains("Server domain_backend/sequencer3 is DOWN").then_some(())
    })
    .await;

    // The participant knows HAProxy only.
    let participant = Participant::new(admin, ledger);
    participant.connect(&[balanced]).await;
    let (alice, bob) = (participant.allocate("alice").await, participant.allocate("bob").await);
    participant.upload(lf::models::iou()).await;
    assert_eq!(participant.submit(&alice, "before", offer(&alice, &bob, "7.0")).await.len(), 1);
    first.kill();
    assert_eq!(participant.submit(&alice, "after", offer(&alice, &bob, "7.0")).await.len(), 1);
}

#[test]
fn nodes_whose_health_nobody_can_ask_for_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("p.conf");
    fs::write(&config, "canton.participants.p1 { admin-api.port = 1, ledger-api.port = 2 }").unwrap();
    let refused = concordat(&["lb", "haproxy"], &config, &[]);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{error}");
    assert!(error.contains("p1: nobody can ask for its health"), "{error}");
}
