//! The scripts of the example against a participant.

use crate::harness::{Daemon, Participant, free_ports, ready};
use std::{fs, path::Path, process::Command};

#[tokio::test]
async fn scripts_run_against_a_participant() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("simple.conf");
    let [domain_admin, public, participant_admin, ledger] = free_ports();
    let text = format!(
        "canton {{
          domains.mydomain {{ admin-api.port = {domain_admin}, public-api.port = {public} }}
          participants.participant1 {{ admin-api.port = {participant_admin}, ledger-api.port = {ledger} }}
        }}"
    );
    fs::write(&config, text).unwrap();
    let _daemon = Daemon::start(folder.path(), &config);
    ready(domain_admin, "mydomain").await;
    ready(participant_admin, "participant1").await;
    Participant::new(participant_admin, ledger).connect(&[public]).await;
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/scripts.lf");
    // What one run leaves on the participant does not stand in the way of the next.
    for _ in 0..2 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_concordat"));
        let command = command.args(["script", "test", "-o", "json", "--port", &ledger.to_string()]).arg(&example);
        let output = command.output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let ends = report["scripts"].as_array().unwrap().iter();
        let errors: Vec<_> = ends.map(|script| script["error"].as_str().unwrap_or("")).collect();
        let time = "setting the time is not possible on this ledger\nat Test:2:1";
        assert_eq!(errors, ["", "", time, ""], "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(1));
    }
    let Some(data) = testkit::test_data() else { return };
    let script_test = |file: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_concordat"));
        let output = command.args(["script", "test", "--port", &ledger.to_string()]).arg(file).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (text, errors) = script_test(&data.join("dars/CantonExamples.38731509.dar"));
    assert!(text.contains("\n11 passed, 0 failed"), "{text}{errors}");
    // Contracts with keys are created and found by them.
    let keyed = include_str!("../../../script/src/tests/keyed.lf");
    let source = format!("language 2.3;\n{}{keyed}", fs::read_to_string(&example).unwrap());
    let (name, version) = ("keyed".parse().unwrap(), "1.0.0".parse().unwrap());
    let file = folder.path().join("keyed.dar");
    fs::write(&file, lf::assemble(&source, &name, &version).unwrap()).unwrap();
    let (text, errors) = script_test(&file);
    assert!(text.contains("ok   Keyed:shared"), "{text}{errors}");
}

#[test]
fn a_participant_that_is_not_there_is_said_to_be() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/scripts.lf");
    let [port] = free_ports();
    let mut command = Command::new(env!("CARGO_BIN_EXE_concordat"));
    let output = command.args(["script", "test", "--port", &port.to_string()]).arg(&example).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(&format!("the participant at http://localhost:{port} cannot be used")), "{text}");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
}
