//! `concordat why` and `concordat handover` on two replicas of a node.

use crate::harness::{Daemon, concordat, eventually, free_ports, node};
use serde_json::Value;
use std::{fs, path::PathBuf, process::Output};

/// What a command printed, and its exit code.
fn said(output: &Output) -> (String, Option<i32>) {
    let text = [&output.stdout[..], &output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.code())
}

struct Pair {
    folder: tempfile::TempDir,
    ports: [u16; 4],
}

impl Pair {
    /// A configuration of one of the replicas, or of both.
    fn config(&self, names: &[&str]) -> PathBuf {
        let replica = |name: &&str| {
            let at = if *name == "one" { 0 } else { 2 };
            let (admin, ledger) = (self.ports[at], self.ports[at + 1]);
            format!(
                "canton.participants.{name} {{ storage {{ type = sqlite, config.file = p.db }}, replication.enabled = true\n \
                 admin-api.port = {admin}, ledger-api.port = {ledger} }}\n"
            )
        };
        let path = self.folder.path().join(format!("{}.conf", names.join("-")));
        fs::write(&path, names.iter().map(replica).collect::<String>()).unwrap();
        path
    }

    fn start(&self, name: &str) -> Daemon {
        Daemon::start(self.folder.path(), &self.config(&[name]))
    }

    async fn is(&self, name: &str, role: &str) {
        let admin = self.ports[if name == "one" { 0 } else { 2 }];
        let look = async || node(admin, name).await.filter(|node| node.role == role && !node.active_replica.is_empty());
        eventually(&format!("{name} being {role}"), look).await;
    }
}

#[tokio::test]
async fn operators_learn_why_and_hand_over() {
    let pair = Pair { folder: tempfile::tempdir().unwrap(), ports: free_ports() };
    let one = pair.start("one");
    pair.is("one", "Active").await;
    let both = pair.config(&["one", "two"]);
    let run = |command: &[&str]| said(&concordat(command, &both, &[]));

    let (text, code) = run(&["handover", "one", "--dry-run"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("no other replica took over, so one stays active"), "{text}");
    let (text, code) = run(&["why", "two"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("two does not answer at http://") && text.contains("is its process running?"), "{text}");

    let _two = pair.start("two");
    pair.is("two", "Passive").await;
    let (text, code) = run(&["handover", "one", "--dry-run"]);
    assert_eq!((text.as_str(), code), ("one can hand over to two\n", Some(0)));
    let (text, code) = run(&["handover", "two"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("two is passive; one is active"), "{text}");
    let (text, code) = run(&["handover", "one", "-o", "json"]);
    assert_eq!(code, Some(0), "{text}");
    let done: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((done["from"].as_str(), done["to"].as_str()), (Some("one"), Some("two")), "{text}");
    assert!(done["epoch"].as_i64().unwrap() > 1 && done["took_ms"].is_u64(), "{text}");

    pair.is("one", "Passive").await;
    let (text, _) = run(&["why", "one"]);
    assert!(text.contains("replica two is active"), "{text}");
    drop(one);
    let (text, code) = run(&["why", "three"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no node \"three\"; it names one, two"), "{text}");
}
