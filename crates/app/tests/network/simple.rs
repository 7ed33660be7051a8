//! A simple synchronizer and a participant from one configuration file, in one process that is killed and started again.

use crate::{
    harness::{Daemon, Participant, free_ports, node, ready, status},
    model::{accept, offer},
};
use std::{fs, time::Duration};

/// Runs commands before and after a kill; `storage` makes the block of a node.
async fn survives_a_kill(storage: impl Fn(&str) -> String) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("simple.conf");
    let [domain_admin, public, participant_admin, ledger] = free_ports();
    let (domain_storage, participant_storage) = (storage("mydomain"), storage("participant1"));
    let text = format!(
        "canton {{
          domains.mydomain {{
            init.domain-parameters.protocol-version = 7
            storage {domain_storage}, admin-api.port = {domain_admin}, public-api.port = {public}
          }}
          participants.participant1 {{
            storage {participant_storage}, admin-api.port = {participant_admin}, ledger-api.port = {ledger}
           
          }}
        }}"
    );
    fs::write(&config, text).unwrap();

    let daemon = Daemon::start(folder.path(), &config);
    let synchronizer = ready(domain_admin, "mydomain").await.member;
    assert!(synchronizer.contains("mydomain::"), "{synchronizer}");
    ready(participant_admin, "participant1").await;
    let participant = Participant::new(participant_admin, ledger);
    participant.connect(&[public]).await;
    let (alice, bob) = (participant.allocate("alice").await, participant.allocate("bob").await);
    participant.upload(lf::models::iou()).await;
    let first = participant.submit(&alice, "offer-1", offer(&alice, &bob, "7.0")).await;
    let second = participant.submit(&alice, "offer-2", offer(&alice, &bob, "7.0")).await;
    let accepted = participant.submit(&bob, "accept-1", accept(&first[0].contract_id)).await;
    assert_eq!((first.len(), second.len(), accepted.len()), (1, 1, 1));
    let shown = status(&config, &[]);
    let kinds: Vec<_> =
        shown["nodes"].as_array().unwrap().iter().map(|n| (&n["name"], &n["kind"], &n["role"])).collect();
    let expected = [("mydomain", "domain", "Online"), ("participant1", "participant", "Active")];
    for (name, kind, role) in expected {
        assert!(kinds.iter().any(|(n, k, r)| (*n == name, *k == kind, *r == role) == (true, true, true)), "{shown:#}");
    }
    daemon.kill();

    let _daemon = Daemon::start(folder.path(), &config);
    assert_eq!(ready(domain_admin, "mydomain").await.member, synchronizer);
    let accepted = participant.submit(&bob, "accept-2", accept(&second[0].contract_id)).await;
    let third = participant.submit(&alice, "offer-3", offer(&alice, &bob, "7.0")).await;
    assert_eq!((accepted.len(), third.len()), (1, 1));
}

#[tokio::test]
async fn processes_that_share_a_file_found_one_synchronizer_and_outlive_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let [admin_a, public_a, admin_b, public_b] = free_ports();
    let start = |name: &str, admin: u16, public: u16| {
        let config = folder.path().join(format!("{name}.conf"));
        let text = format!(
            "canton.domains.{name} {{ storage {{ type = sqlite, config.file = \"d.db\" }}
             admin-api.port = {admin}, public-api.port = {public} }}"
        );
        fs::write(&config, text).unwrap();
        Daemon::start(folder.path(), &config)
    };
    let (a, _b) = (start("a", admin_a, public_a), start("b", admin_b, public_b));
    let (of_a, of_b) = (ready(admin_a, "a").await, ready(admin_b, "b").await);
    assert_eq!(of_a.member, of_b.member);
    a.kill();
    let [participant_admin, ledger] = free_ports();
    let config = folder.path().join("p.conf");
    let text = format!("canton.participants.p {{ admin-api.port = {participant_admin}, ledger-api.port = {ledger} }}");
    fs::write(&config, text).unwrap();
    let _p = Daemon::start(folder.path(), &config);
    ready(participant_admin, "p").await;
    Participant::new(participant_admin, ledger).connect(&[public_b]).await;
}

#[tokio::test]
async fn a_founding_that_is_cut_short_anywhere_is_finished_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let [admin, public, participant_admin, ledger] = free_ports();
    let config = folder.path().join("d.conf");
    let text = format!(
        "canton {{
          domains.d {{ storage {{ type = sqlite, config.file = \"d.db\" }}
                       admin-api.port = {admin}, public-api.port = {public} }}
          participants.p {{ admin-api.port = {participant_admin}, ledger-api.port = {ledger} }}
        }}"
    );
    fs::write(&config, text).unwrap();
    let mut cut_short = 0;
    for delay in (0..).map(|n| Duration::from_millis(10 + 7 * n)) {
        let daemon = Daemon::start(folder.path(), &config);
        tokio::time::sleep(delay).await;
        let is_ready = node(admin, "d").await.is_some_and(|node| node.ready);
        daemon.kill();
        if is_ready {
            break;
        }
        cut_short += usize::from(folder.path().join("d-sequencer.db").exists());
    }
    assert!(cut_short > 0, "it was never killed in the middle");
    let _daemon = Daemon::start(folder.path(), &config);
    ready(admin, "d").await;
    ready(participant_admin, "p").await;
    let participant = Participant::new(participant_admin, ledger);
    participant.connect(&[public]).await;
    assert!(participant.allocate("alice").await.starts_with("alice::"));
}

#[tokio::test]
async fn over_files() {
    survives_a_kill(|node| format!("{{ type = sqlite, config.file = \"{node}.db\" }}")).await;
}

#[tokio::test]
async fn over_postgres() {
    let database = testkit::postgres();
    survives_a_kill(|node| {
        format!(
            "{{ type = postgres, config.properties {{ serverName = \"127.0.0.1\", portNumber = {}, databaseName = {}, \
             user = postgres, currentSchema = {node} }} }}",
            database.port(),
            database.name()
        )
    })
    .await;
}
