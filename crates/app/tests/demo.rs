//! The demo as its user runs it: a whole network as processes, kills under load, the checker's verdict.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use serde_json::Value;
use std::{path::Path, process::Command};

fn demo(arguments: &[&str], report: &Path) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_concordat"))
        .args(["--log-level-canton", "warn", "demo", "--headless", "--report"])
        .arg(report)
        .args(arguments)
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap()
}

#[test]
fn nothing_is_lost_and_nothing_happens_twice_while_processes_are_killed() {
    let dir = tempfile::tempdir().unwrap();
    let report = demo(&["--duration", "20s", "--kill-every", "2s"], &dir.path().join("report.json"));
    for nothing in ["lost", "duplicated", "reordered", "divergent", "undecided"] {
        assert_eq!(report[nothing], 0, "{report:#}");
    }
    assert!(report["committed"].as_u64().unwrap() > 0, "{report:#}");
    for kind in ["manager", "mediator", "sequencer", "participant"] {
        assert!(report["kills"][kind].as_u64().unwrap() > 0, "{report:#}");
    }
}
