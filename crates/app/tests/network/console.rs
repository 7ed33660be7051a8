//! Scripts of the console against nodes that run.

use crate::harness::{Daemon, concordat, free_ports};
use std::{fs, path::Path};

#[test]
fn the_example_founds_a_network_and_errors_name_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let config = folder.path().join("network.conf");
    fs::copy(examples.join("network.conf"), &config).unwrap();
    let keys = [
        "sequencers.sequencer1.admin-api",
        "sequencers.sequencer1.public-api",
        "mediators.mediator1.admin-api",
        "domain-managers.manager1.admin-api",
        "participants.participant1.admin-api",
        "participants.participant1.ledger-api",
    ];
    let ports: [u16; 6] = free_ports();
    let overrides: Vec<String> =
        keys.iter().zip(ports).map(|(key, port)| format!("canton.{key}.port={port}")).collect();
    let _daemon = Daemon::start_with(folder.path(), &config, &overrides);
    let script = examples.join("network.canton");
    let ran = concordat(&["run", script.to_str().unwrap()], &config, &overrides);
    let text = String::from_utf8(ran.stdout.clone()).unwrap();
    assert!(ran.status.success() && text.starts_with("allocated alice::1220"), "{ran:?}");

    let wrong = folder.path().join("wrong.canton");
    fs::write(&wrong, "println(participant1.health.active)\nparticipant1.replication.set_passive()\n").unwrap();
    let ran = concordat(&["run", wrong.to_str().unwrap()], &config, &overrides);
    let (text, error) = (String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap());
    // Nobody is there to take over.
    assert_eq!((text.as_str(), ran.status.code()), ("true\n", Some(1)), "{error}");
    assert!(error.contains("wrong.canton:2:1: participant1: "), "{error}");

    // What the field has and this version has not is said so, and is no name that nobody knows.
    fs::write(&wrong, "participant1.dars.upload(\"a.dar\")\n").unwrap();
    let error = String::from_utf8(concordat(&["run", wrong.to_str().unwrap()], &config, &overrides).stderr).unwrap();
    assert!(error.contains("dars.upload is not served"), "{error}");
    fs::write(&wrong, "participant1.dars.uplaod(\"a.dar\")\n").unwrap();
    let error = String::from_utf8(concordat(&["run", wrong.to_str().unwrap()], &config, &overrides).stderr).unwrap();
    assert!(error.contains("uplaod is not a member"), "{error}");
}
