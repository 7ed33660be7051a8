use crate::{Mutant, Options, Simulator, Totals};
use std::{ops::Range, time::Duration};

/// What must have happened in 200 seeds; a run without it shows nothing.
const SOMETIMES: [&str; 18] = [
    "clock jump",
    "crash",
    "database restart",
    "duplicate found early",
    "duplicate found late",
    "fenced",
    "handover",
    "loss",
    "lost session",
    "partition",
    "pause",
    "rejected",
    "send refused",
    "sent again",
    "sequencer marked offline",
    "silent holder ended",
    "slow database",
    "takeover",
];

/// Every mutant must be noticed in these seeds.
const ENOUGH: Range<u64> = 100..200;

#[test]
fn nothing_is_lost_and_nothing_happens_twice() {
    let simulator = Simulator::default();
    let mut totals = Totals::default();
    for seed in 0..200 {
        let outcome = simulator.run(seed, Options { faults: Duration::from_secs(20), ..Options::default() });
        totals.add(&outcome);
        let last = outcome.trace.join("\n");
        assert_eq!(outcome.violation, None, "seed {seed}\n{last}");
    }
    for what in SOMETIMES {
        assert!(totals.count(what) > 0, "{what} did not happen: {totals:?}");
    }
}

#[test]
fn a_seed_is_a_history() {
    let simulator = Simulator::default();
    let run = |seed| simulator.run(seed, Options::default());
    let first = run(7);
    assert_eq!(first, run(7));
    // With nothing left over from before.
    assert_eq!(first, Simulator::default().run(7, Options::default()));
    assert_ne!(first.hash, run(8).hash);
}

#[test]
fn events_that_nobody_sees_are_noticed() {
    let (seed, violation) = noticed(Mutant::FollowsOwnClock);
    println!("seed {seed}: {violation}");
    assert!(violation.contains("nobody sees it"), "{violation}");
}

#[test]
fn a_member_that_cannot_learn_the_time_is_noticed() {
    let (seed, violation) = noticed(Mutant::KeepsItsTime);
    println!("seed {seed}: {violation}");
    assert!(violation.contains("no rest"), "{violation}");
}

/// The first seed in which the mutant is noticed, and as what.
fn noticed(mutant: Mutant) -> (u64, String) {
    let simulator = Simulator::default();
    let options = Options { mutant: Some(mutant), ..Options::default() };
    let found =
        ENOUGH.into_iter().find_map(|seed| simulator.run(seed, options).violation.map(|violation| (seed, violation)));
    found.unwrap_or_else(|| panic!("{mutant:?} is not noticed in the seeds {ENOUGH:?}"))
}

#[test]
fn a_missing_fence_is_noticed() {
    let (seed, violation) = noticed(Mutant::NoFence);
    println!("seed {seed}: {violation}");
    assert!(violation.contains("wrote under epoch"), "{violation}");
}

#[test]
fn a_fence_that_only_reads_is_noticed() {
    let (seed, violation) = noticed(Mutant::PlainReadFence);
    println!("seed {seed}: {violation}");
    assert!(violation.contains("wrote under epoch"), "{violation}");
}

#[test]
fn a_missing_incarnation_is_noticed() {
    let (seed, violation) = noticed(Mutant::NoIncarnation);
    println!("seed {seed}: {violation}");
    assert!(violation.contains("event"), "{violation}");
}

#[test]
fn a_verdict_that_is_sent_before_it_is_stored_is_noticed() {
    let (seed, violation) = noticed(Mutant::VerdictBeforeStored);
    println!("seed {seed}: {violation}");
    assert!(violation.contains("before it is stored"), "{violation}");
}

#[test]
fn deduplication_outside_of_the_loop_is_noticed() {
    let (seed, violation) = noticed(Mutant::DeduplicationOutside);
    println!("seed {seed}: {violation}");
    assert!(violation.contains("took effect twice"), "{violation}");
}
