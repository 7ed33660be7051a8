//! The walk through the user manual, over PostgreSQL and with HAProxy.

use crate::harness::free_ports;
use std::{path::Path, process::Command};

#[test]
fn the_walk_through_the_manual_reaches_its_end() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let database = testkit::postgres();
    let ports: [u16; 32] = free_ports();
    let mut walk = Command::new(root.join("examples/manual/walk"));
    walk.env("CONCORDAT", env!("CARGO_BIN_EXE_concordat"));
    walk.env("WALK_PORTS", ports.map(|port| port.to_string()).join(" "));
    walk.env("POSTGRES_HOST", "127.0.0.1").env("POSTGRES_PORT", database.port().to_string());
    walk.env("POSTGRES_DB", database.name()).env("POSTGRES_USER", "postgres").env("POSTGRES_PASSWORD", "none");
    let walked = walk.output().unwrap();
    let text = String::from_utf8_lossy(&walked.stdout);
    assert!(walked.status.success(), "{text}\n{}", String::from_utf8_lossy(&walked.stderr));
    // The sections of the manual, in its order; nothing else is left out.
    let sections = [
        "Synchronizer Manager",
        "HA Setup on Oracle",
        "Mediator",
        "Running a Stand-Alone Mediator Node",
        "HA Configuration",
        "Sequencer",
        "Total Node Count",
        "External load balancer",
        "Client-side load balancing",
        "Participant",
        "Synchronizer Connectivity during Fail-over",
        "Manual Trigger of a Fail-over",
        "Load Balancer Configuration",
    ];
    let lines: Vec<&str> = text.lines().collect();
    let is_rule = |line: &str| !line.is_empty() && (line.chars().all(|c| c == '-') || line.chars().all(|c| c == '~'));
    let headings: Vec<&str> = lines.windows(2).filter(|pair| is_rule(pair[1])).map(|pair| pair[0]).collect();
    assert_eq!(headings, sections, "{text}");
    assert_eq!(text.matches("not run").count(), 2, "{text}");
    if let Some(data) = testkit::test_data() {
        let manual = std::fs::read_to_string(data.join("../manual.rst")).unwrap();
        let mut last = 0;
        for section in sections {
            let heading = format!("\n{section}\n");
            last +=
                manual[last..].find(&heading).unwrap_or_else(|| panic!("{section} is no heading after those before"));
        }
    }
}
