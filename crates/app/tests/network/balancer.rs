//! The real HAProxy before replicas of a participant.

use crate::{
    harness::{Daemon, Participant, concordat, eventually, free_ports, ready},
    model::offer,
};
use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
};

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

/// A process with one replica of the participant.
fn replica(folder: &Path, name: &str, [admin, ledger, http]: [u16; 3]) -> std::path::PathBuf {
    let config = folder.join(format!("{name}.conf"));
    let text = format!(
        "canton.participants.{name} {{
          storage {{ type = sqlite, config.file = \"p.db\" }}
          admin-api.port = {admin}, ledger-api.port = {ledger}
          monitoring.http-health-server {{ address = 127.0.0.1, port = {http} }}
        }}"
    );
    fs::write(&config, text).unwrap();
    config
}

#[tokio::test]
async fn clients_of_haproxy_survive_the_active_replica() {
    let folder = tempfile::tempdir().unwrap();
    let [domain_admin, public] = free_ports();
    let domain = folder.path().join("domain.conf");
    let text = format!(
        "canton.domains.mydomain {{
          init.domain-parameters.protocol-version = 7
          storage {{ type = sqlite, config.file = \"d.db\" }}
          admin-api.port = {domain_admin}, public-api.port = {public}
        }}"
    );
    fs::write(&domain, text).unwrap();
    let ports: [[u16; 3]; 2] = [free_ports(), free_ports()];
    let configs = ["p1", "p2"].map(|name| replica(folder.path(), name, ports[usize::from(name == "p2")]));
    let _domain = Daemon::start(folder.path(), &domain);
    let active = Daemon::start(folder.path(), &configs[0]);
    ready(ports[0][0], "p1").await;
    let _passive = Daemon::start(folder.path(), &configs[1]);
    ready(ports[1][0], "p2").await;
    ready(domain_admin, "mydomain").await;

    // Frontends stand on ports that follow each other.
    let first = loop {
        let [first, second] = free_ports();
        if second == first + 1 {
            break first;
        }
    };
    let written = concordat(
        &["lb", "haproxy", "--first-port", &first.to_string(), "-c", configs[0].to_str().unwrap()],
        &configs[1],
        &[],
    );
    assert!(written.status.success(), "{written:?}");
    let file = folder.path().join("haproxy.cfg");
    fs::write(&file, &written.stdout).unwrap();
    let _haproxy = Haproxy::start(&file);
    let participant = Participant::new(first, first + 1);
    ready(first, "p1").await;
    participant.connect(&[public]).await;
    let (alice, bob) = (participant.allocate("alice").await, participant.allocate("bob").await);
    participant.upload(lf::models::iou()).await;
    assert_eq!(participant.submit(&alice, "before", offer(&alice, &bob)).await.len(), 1);
    active.kill();
    assert_eq!(participant.submit(&alice, "after", offer(&alice, &bob)).await.len(), 1);
    // The admin API is that of the replica that is left.
    eventually("p2 answering behind HAProxy", async || crate::harness::node(first, "p2").await).await;
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
