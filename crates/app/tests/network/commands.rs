//! What the commands say of configurations, and their exit codes.

use crate::harness::{Daemon, concordat, eventually, ready};
use std::{fs, path::PathBuf};

fn file(folder: &tempfile::TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("t.conf");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn config_check_reports_and_exits_1() {
    let folder = tempfile::tempdir().unwrap();
    let wrong =
        concordat(&["config", "check"], &file(&folder, "canton.participants.p {\n admin-api.prt = 1\n x = 2\n}"), &[]);
    let text = String::from_utf8(wrong.stderr).unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    for part in
        ["t.conf:2: canton.participants.p.admin-api.prt", "did you mean port?", "t.conf:3: canton.participants.p.x"]
    {
        assert!(text.contains(part), "{text}");
    }
    let right = concordat(&["config", "check"], &file(&folder, "canton.participants.p.caching {}"), &[]);
    assert_eq!(right.status.code(), Some(0));
    assert!(String::from_utf8(right.stdout).unwrap().contains("CONFIG_NO_EFFECT"));
}

#[test]
fn overrides_win_and_environment_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        file(&folder, "canton.participants.p { admin-api { port = 1, address = ${HOME} }, ledger-api.port = 2 }");
    let shown = concordat(&["config", "show"], &config, &["canton.participants.p.admin-api.port=7".to_owned()]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("port = 7") && text.contains("port = 2") && !text.contains("port = 1\n"), "{text}");
    assert!(text.contains(&std::env::var("HOME").unwrap()), "{text}");
}

#[test]
fn the_daemon_refuses_what_it_cannot_do() {
    let folder = tempfile::tempdir().unwrap();
    let config = file(
        &folder,
        "canton.participants.p {\n storage.type = h2\n ledger-api.auth-services = [{ type = jwt-rs-256-jwks, url = x }]\n}",
    );
    let refused = concordat(&["daemon"], &config, &[]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8(refused.stderr).unwrap();
    for part in
        ["t.conf:2: canton.participants.p.storage.type: h2", "t.conf:3: canton.participants.p.ledger-api.auth-services"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(concordat(&["config", "check"], &config, &[]).status.code(), Some(0));
}

#[tokio::test]
async fn ports_that_the_system_chose_are_written_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        "canton { participants.p { admin-api.port = 0, ledger-api.port = 0 }, parameters.ports-file = ports.json }";
    let config = file(&folder, text);
    let _daemon = Daemon::start(folder.path(), &config);
    let written = async || fs::read_to_string(folder.path().join("ports.json")).ok();
    let ports: serde_json::Value = serde_json::from_str(&eventually("the ports being written", written).await).unwrap();
    let admin = ports["p"]["adminApi"].as_u64().unwrap();
    assert!(ports["p"]["ledgerApi"].as_u64().unwrap() > 0);
    ready(u16::try_from(admin).unwrap(), "p").await;
}
