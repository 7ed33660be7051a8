//! A short run with every fault on PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use serde_json::Value;
use std::{path::Path, process::Command};

#[test]
fn nothing_is_lost_and_nothing_happens_twice_whatever_happens() {
    // The binary under test is built beside the program, and by now mostly is.
    let built = Command::new(env!("CARGO")).args(["build", "-q", "-p", "app", "--bin", "concordat"]).status().unwrap();
    assert!(built.success());
    let program = Path::new(env!("CARGO_BIN_EXE_concordat-chaos"));
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.json");
    let run = ["run", "--storage", "postgres", "--duration", "51", "--every", "3", "--rate", "100", "--report"];
    let output = Command::new(program).args(run).arg(&report).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    for nothing in ["lost", "duplicated", "reordered", "divergent", "undecided"] {
        assert_eq!(report[nothing], 0, "{report:#}");
    }
    assert!(report["committed"].as_u64().unwrap() > 0, "{report:#}");
    for fault in ["kill", "pause", "hand-over", "sessions", "database"] {
        let count: u64 = report["faults"][fault].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        assert!(count > 0, "no {fault}: {report:#}");
    }
}
