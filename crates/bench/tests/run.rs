//! The benchmarks run, in small, and compute what plain Rust computes. Nothing is said about time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use std::process::Command;

#[test]
fn the_engine_does_the_same_work() {
    let program = env!("CARGO_BIN_EXE_concordat-bench");
    let arguments = ["engine", "--json", "--rounds=1", "--nfib=10", "--list=200", "--transfers=20"];
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = report["engine"].as_array().unwrap();
    let units: Vec<_> = all.iter().map(|f| (f["name"].as_str().unwrap(), f["units"].as_f64().unwrap())).collect();
    assert_eq!(units, [("nfib", 177.0), ("sort a list", 200.0), ("Iou transfers", 20.0)]);
    assert!(all.iter().all(|f| f["ratio"].as_f64().unwrap() > 0.0), "{report}");
}
