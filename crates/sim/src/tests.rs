use crate::{Options, Simulator};

#[test]
fn one_seed() {
    let simulator = Simulator::default();
    for seed in 1..40 {
    let outcome = simulator.run(seed, Options::default());
    if outcome.violation.is_some() { for line in &outcome.trace[outcome.trace.len().saturating_sub(40)..] { println!("{line}"); } }
    println!("{:?}", (&outcome.violation, outcome.simulated, outcome.steps, outcome.events, outcome.commands, &outcome.counters));
    println!("seed {seed}");
    assert_eq!(outcome.violation, None);
    }
}
