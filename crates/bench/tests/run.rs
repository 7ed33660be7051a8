//! The benchmarks run, in small, and compute what plain Rust computes. Nothing is said about time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use std::process::Command;

fn report(more: &[String]) -> serde_json::Value {
    let program = env!("CARGO_BIN_EXE_concordat-bench");
    let arguments = ["engine", "--json", "--rounds=1", "--nfib=10", "--list=200", "--transfers=20"];
    let output = Command::new(program).args(arguments).args(more).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_benchmark_of_the_field_runs() {
    let Some(data) = testkit::test_data() else { return };
    let dar = data.join("dars/benchtool-tests-1.15.dfb1cc40.dar");
    let report = report(&[format!("--fibonacci={}", dar.display())]);
    let figure = &report["engine"][3];
    assert_eq!((&figure["name"], &figure["units"]), (&"InefficientFibonacci".into(), &177.0.into()));
}

/// The largest package of all: both read as many expressions and lower as many matches, or the benchmark fails.
#[test]
fn a_package_is_read_and_lowered() {
    let Some(data) = testkit::test_data() else { return };
    let dar = data.join("dars/splice-amulet-0.1.14.5a79b85f.dar");
    let report = report(&[format!("--dar={}", dar.display())]);
    let figure = &report["engine"][3];
    assert_eq!((&figure["name"], &figure["units"]), (&"read and lower a package".into(), &1_249_417.0.into()));
}

#[test]
fn the_engine_does_the_same_work() {
    let report = report(&[]);
    let all = report["engine"].as_array().unwrap();
    let units: Vec<_> = all.iter().map(|f| (f["name"].as_str().unwrap(), f["units"].as_f64().unwrap())).collect();
    assert_eq!(units, [("nfib", 177.0), ("sort a list", 200.0), ("Iou transfers", 20.0)]);
    assert!(all.iter().all(|f| f["ratio"].as_f64().unwrap() > 0.0), "{report}");
}

/// In small: a network, and what it must do, measured beside each other.
#[test]
fn a_network_is_measured_beside_what_it_must_do() {
    // The binary under test is built beside the program, and by now mostly is.
    let built = Command::new(env!("CARGO")).args(["build", "-q", "-p", "app", "--bin", "concordat"]).status().unwrap();
    assert!(built.success());
    let arguments = ["transfer", "--json", "--seconds=2", "--clients=4"];
    let output = Command::new(env!("CARGO_BIN_EXE_concordat-bench")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for figure in ["tps", "bound_tps", "ratio", "sql_tps", "sql_ratio"] {
        assert!(found[figure].as_f64().unwrap() > 0.0, "{figure}: {found:#}");
    }
    let latency = |of: &str| (found[of]["p50"].as_f64().unwrap(), found[of]["p99"].as_f64().unwrap());
    for (p50, p99) in [latency("latency_ms"), latency("alone_ms")] {
        assert!(0.0 < p50 && p50 <= p99, "{found:#}");
    }
}
