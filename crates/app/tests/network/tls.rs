//! Encrypted networks.

use crate::{
    harness::{Daemon, Participant, concordat, encrypted, free_ports, ready, ready_at, status},
    model::{accept, offer},
};
use rpc::ClientTls;
use std::{fs, path::Path};
use testkit::Authority;

/// A `tls` block; admin APIs want certificates of clients.
fn block(wants_certificates: bool) -> String {
    let client_auth = if wants_certificates {
        "trust-collection-file = root.crt, client-auth { type = require, admin-client { cert-chain-file = client.crt, \
         private-key-file = client.pem } }"
    } else {
        "trust-collection-file = root.crt, client-auth.type = none"
    };
    format!("tls {{ cert-chain-file = server.crt, private-key-file = server.pem, {client_auth} }}")
}

fn client(folder: &Path, name: Option<&str>) -> ClientTls {
    let files = name.map(|name| (folder.join(format!("{name}.crt")), folder.join(format!("{name}.pem"))));
    let identity = files.as_ref().map(|(chain, key)| (chain.as_path(), key.as_path()));
    ClientTls::load(Some(&folder.join("root.crt")), identity).unwrap()
}

/// A folder with certificates.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (ours, strangers) = (Authority::new(), Authority::new());
    ours.issue(folder.path(), "server");
    ours.issue(folder.path(), "client");
    strangers.issue(folder.path(), "stranger");
    let _ = ours.trust(folder.path(), "root.crt");
    folder
}

#[tokio::test]
async fn a_network_with_every_api_encrypted() {
    let folder = folder();
    let [domain_admin, public, participant_admin, ledger] = free_ports();
    let (mutual, plain) = (block(true), block(false));
    let config = folder.path().join("t.conf");
    let text = format!(
        "canton {{
          domains.d {{ admin-api {{ address = localhost, port = {domain_admin}, {mutual} }}
                       public-api {{ address = localhost, port = {public}, {plain} }} }}
          participants.p {{ admin-api {{ address = localhost, port = {participant_admin}, {mutual} }}
                            ledger-api {{ address = localhost, port = {ledger}, {plain} }} }}
        }}"
    );
    fs::write(&config, text).unwrap();
    // Sequencers are trusted as the machine trusts servers.
    let trust = folder.path().join("root.crt");
    let _daemon = Daemon::start_trusting(folder.path(), &config, &[], Some(&trust));
    let admin = client(folder.path(), Some("client"));
    ready_at(encrypted(domain_admin, &admin), "d").await;
    let ledger_api = encrypted(ledger, &client(folder.path(), None));
    let participant = Participant::over(encrypted(participant_admin, &admin), ledger_api);
    ready_at(participant.admin.clone(), "p").await;
    participant.connect_to(vec![format!("https://localhost:{public}")]).await;
    let (alice, bob) = (participant.allocate("alice").await, participant.allocate("bob").await);
    participant.upload(lf::models::iou()).await;
    let offered = participant.submit(&alice, "offer", offer(&alice, &bob, "7.0")).await;
    assert_eq!(participant.submit(&bob, "accept", accept(&offered[0].contract_id)).await.len(), 1);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/scripts.lf");
    let mut scripts = std::process::Command::new(env!("CARGO_BIN_EXE_concordat"));
    scripts.args(["script", "test", "--filter", "giving", "--tls", "--port", &ledger.to_string()]).arg(example);
    let output = scripts.env("SSL_CERT_FILE", &trust).output().unwrap();
    assert!(output.status.success(), "{output:?}");

    let shown = status(&config, &[]);
    assert_eq!(shown["nodes"].as_array().unwrap().iter().filter(|n| n["role"] != "down").count(), 2, "{shown:#}");
    for nobody in [client(folder.path(), None), client(folder.path(), Some("stranger"))] {
        let mut client = rpc::services::concordat::admin::v1::node_service_client::NodeServiceClient::new(encrypted(
            participant_admin,
            &nobody,
        ));
        assert!(client.status(wire::concordat::admin::v1::StatusRequest {}).await.is_err());
    }
}

#[tokio::test]
async fn a_passive_replica_passes_writes_on_over_tls() {
    let folder = folder();
    let ports: [[u16; 2]; 2] = [free_ports(), free_ports()];
    let [domain_admin, public] = free_ports();
    let start = |name: &str, text: String| {
        let config = folder.path().join(format!("{name}.conf"));
        fs::write(&config, text).unwrap();
        Daemon::start(folder.path(), &config)
    };
    let replica = |n: usize| {
        let [admin, ledger] = ports[n];
        let tls = block(true);
        let text = format!(
            "canton.participants.p{n} {{ storage {{ type = sqlite, config.file = \"p.db\" }}
             admin-api {{ address = localhost, port = {admin}, {tls} }}
             ledger-api {{ address = localhost, port = {ledger}, {tls} }} }}"
        );
        start(&format!("p{n}"), text)
    };
    let _domain =
        start("d", format!("canton.domains.d {{ admin-api.port = {domain_admin}, public-api.port = {public} }}"));
    let _active = replica(0);
    let tls = client(folder.path(), Some("client"));
    ready_at(encrypted(ports[0][0], &tls), "p0").await;
    let _passive = replica(1);
    assert_eq!(ready_at(encrypted(ports[1][0], &tls), "p1").await.role, "Passive");
    ready(domain_admin, "d").await;
    let passive = Participant::over(encrypted(ports[1][0], &tls), encrypted(ports[1][1], &tls));
    passive.connect(&[public]).await;
    assert!(passive.allocate("alice").await.starts_with("alice::"));
}

#[tokio::test]
async fn other_machines_are_not_served_in_plain_text() {
    let folder = tempfile::tempdir().unwrap();
    let [admin, ledger] = free_ports();
    let config = folder.path().join("t.conf");
    let text = format!(
        "canton.participants.p {{ admin-api.port = {admin}, ledger-api {{ address = 0.0.0.0, port = {ledger} }} }}"
    );
    fs::write(&config, text).unwrap();
    let refused = concordat(&["daemon"], &config, &[]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("allow-plaintext") && text.contains(&ledger.to_string()), "{text}");
    let allowed = ["canton.parameters.allow-plaintext=true".to_owned()];
    let _daemon = Daemon::start_with(folder.path(), &config, &allowed);
    ready(admin, "p").await;
}
