//! `concordat-sim`: the network's deciders under a seeded scheduler, with simulated faults. For proofs; nothing of it is
//! part of the product.

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use serde_json::json;
use sim::{Mutant, Options, Outcome, Simulator, Totals};
use std::{
    ops::Range,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

/// A violation was found.
const VIOLATED: u8 = 1;
/// Lines of the trace that are shown with a violation.
const LAST: usize = 60;

/// Simulates a highly available network under random faults, and checks that nothing is lost and nothing happens twice.
///
/// One seed is one history: what goes wrong, when and to whom, which message overtakes which, down to the last step. So
/// whatever a run finds can be looked at again, as often as needed: `concordat-sim replay --seed N`.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulates many seeds, and counts what happened. Exits with 1 at the first violation, and shows it.
    #[command(after_help = "Examples:
  concordat-sim run --seeds 0..1000
  concordat-sim run --seeds 0..10000 --seconds 60 -o json
  concordat-sim run --seeds 0..200 --mutant no-fence     shows that a missing fence is noticed")]
    Run(Run),
    /// Simulates one seed, and prints what happened.
    Replay(Replay),
}

#[derive(Debug, Args)]
struct Run {
    /// The seeds: from the first up to, but not including, the last.
    #[arg(long, value_name = "A..B", value_parser = seeds, default_value = "0..200")]
    seeds: Range<u64>,
    #[command(flatten)]
    scenario: Scenario,
    /// Threads, each with seeds of its own. What happens under a seed does not depend on it.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// How to print the result.
    #[arg(short, long, default_value = "table")]
    output: Output,
}

#[derive(Debug, Args)]
struct Replay {
    /// The seed.
    #[arg(long)]
    seed: u64,
    #[command(flatten)]
    scenario: Scenario,
    /// Print only so many of the last lines.
    #[arg(long, default_value_t = usize::MAX)]
    last: usize,
}

#[derive(Clone, Copy, Debug, Args)]
struct Scenario {
    /// Simulated seconds in which clients ask and faults happen. Healing comes on top: up to 240 s, until all is quiet.
    #[arg(long, default_value_t = 40)]
    seconds: u64,
    /// Take a safeguard away. A run over some hundred seeds has to find out.
    #[arg(long, value_parser = mutants())]
    mutant: Option<Mutant>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Table,
    Json,
}

impl Scenario {
    fn options(self, keep: usize) -> Options {
        Options { faults: Duration::from_secs(self.seconds), mutant: self.mutant, keep }
    }
}

fn mutants() -> impl TypedValueParser<Value = Mutant> {
    let find = |name: String| Mutant::ALL.into_iter().find(|mutant| mutant.name() == name);
    PossibleValuesParser::new(Mutant::ALL.map(Mutant::name)).try_map(move |name| find(name).ok_or("no such mutant"))
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("two numbers are expected, as in 0..1000")?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|e| format!("{text}: {e}"));
    let range = number(from)?..number(to)?;
    if range.is_empty() { Err("the second number has to be larger than the first".into()) } else { Ok(range) }
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(run) => self::run(&run),
        Command::Replay(replay) => self::replay(&replay),
    }
}

#[expect(clippy::print_stdout, reason = "what the user asked for")]
fn replay(replay: &Replay) -> ExitCode {
    let outcome = Simulator::default().run(replay.seed, replay.scenario.options(replay.last));
    outcome.trace.iter().for_each(|line| println!("{line}"));
    println!("\nhash of the whole trace: {:016x}", outcome.hash);
    match outcome.violation {
        Some(violation) => {
            println!("VIOLATION: {violation}");
            ExitCode::from(VIOLATED)
        }
        None => ExitCode::SUCCESS,
    }
}

#[expect(clippy::print_stdout, reason = "what the user asked for")]
fn run(run: &Run) -> ExitCode {
    let begun = Instant::now();
    let (totals, found) = simulate(run);
    let wall = begun.elapsed();
    match run.output {
        Output::Table => println!("{}", table(&totals, wall)),
        Output::Json => println!("{}", json(&totals, wall, found.as_ref())),
    }
    let Some(found) = found else { return ExitCode::SUCCESS };
    if matches!(run.output, Output::Table) {
        found.trace.iter().for_each(|line| println!("{line}"));
        println!("\nVIOLATION under seed {}: {}", found.seed, found.violation.as_deref().unwrap_or_default());
        let mutant = run.scenario.mutant.map(|mutant| format!(" --mutant {}", mutant.name()));
        let (seed, seconds, mutant) = (found.seed, run.scenario.seconds, mutant.unwrap_or_default());
        println!("see all of it: concordat-sim replay --seed {seed} --seconds {seconds}{mutant}");
    }
    ExitCode::from(VIOLATED)
}

/// All seeds, or those up to the first violation that some thread finds.
fn simulate(run: &Run) -> (Totals, Option<Outcome>) {
    let next = AtomicU64::new(run.seeds.start);
    let work = || {
        let simulator = Simulator::default();
        let mut totals = Totals::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !run.seeds.contains(&seed) {
                return (totals, None);
            }
            let outcome = simulator.run(seed, run.scenario.options(LAST));
            totals.add(&outcome);
            if outcome.violation.is_some() {
                next.store(run.seeds.end, Ordering::Relaxed);
                return (totals, Some(outcome));
            }
        }
    };
    let parts: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..run.threads.max(1)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let mut all = Totals::default();
    let mut found: Option<Outcome> = None;
    for (totals, outcome) in parts {
        all.merge(&totals);
        found = found.into_iter().chain(outcome).min_by_key(|outcome| outcome.seed);
    }
    (all, found)
}

fn table(totals: &Totals, wall: Duration) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["what", "how often"]);
    for (what, count) in totals.rows() {
        table.add_row([what, &count.to_string()]);
    }
    let speed = totals.simulated.as_secs_f64() / wall.as_secs_f64().max(f64::EPSILON);
    table.add_row(["simulated seconds per second", &format!("{speed:.0}")]);
    table
}

fn json(totals: &Totals, wall: Duration, found: Option<&Outcome>) -> serde_json::Value {
    let counts: serde_json::Map<_, _> = totals.rows().map(|(what, count)| (what.to_owned(), count.into())).collect();
    json!({
        "counts": counts,
        "wall_seconds": wall.as_secs_f64(),
        "violation": found.map(|outcome| json!({
            "seed": outcome.seed,
            "what": outcome.violation,
            "trace": outcome.trace,
        })),
    })
}
