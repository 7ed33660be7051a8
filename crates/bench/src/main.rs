//! `concordat-bench`: what the system does, beside the same work in plain Rust or what it must do, measured in the same run. Figures are
//! medians; only ratios can be compared between machines.

mod archive;
mod bound;
mod engine;
mod resolve;
mod rivals;
mod transfer;

use clap::{Args, Parser, Subcommand};
use engine::{BenchError, Figure, Sizes};
use std::{path::PathBuf, process::ExitCode, time::Duration};
use tasks::Tasks;
use transfer::Wanted;

/// A benchmark could not be run, or computes something else than its rival.
const FAILED: u8 = 1;

/// Measures the system beside the same work in plain Rust.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The Daml engine: calls, lists, transfers in one transaction, and reading a package.
    Engine(OfEngine),
    /// A network of two participants on PostgreSQL: transfers from one to the other.
    Transfer(OfTransfer),
}

#[derive(Debug, Args)]
struct OfTransfer {
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// `postgres://user:password@host:port/database`; a server is started for this run if absent.
    #[arg(long, value_name = "URL")]
    storage: Option<String>,
    /// Seconds of each load.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Clients that submit at the same time.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// The binary under test: the one beside this program if absent.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct OfEngine {
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// The median of so many runs is shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The argument of nfib and Fibonacci; 28 makes about a million calls.
    #[arg(long, default_value_t = 28, value_parser = clap::value_parser!(i64).range(0..=40))]
    nfib: i64,
    /// The length of the list that is sorted.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(i64).range(0..=1_000_000))]
    list: i64,
    /// How often an Iou changes hands in one transaction.
    #[arg(long, default_value_t = 1000)]
    transfers: u32,
    /// Read and lower the largest package of this DAR, of LF 2.1, too.
    #[arg(long, value_name = "FILE.dar")]
    dar: Option<PathBuf>,
    /// Run `Bench:InefficientFibonacci` of this DAR too: the field's benchmark for processors.
    #[arg(long, value_name = "FILE.dar")]
    fibonacci: Option<PathBuf>,
}

fn main() -> ExitCode {
    let printed = match Arguments::parse().command {
        Command::Engine(options) => run(&options)
            .map(|figures| if options.json { json(&figures) } else { table(&figures) })
            .map_err(|error| error.to_string()),
        Command::Transfer(options) => transfers(options),
    };
    match printed {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

/// For the clients and watchers of a run to end.
const END: Duration = Duration::from_secs(5);

fn transfers(options: OfTransfer) -> Result<String, String> {
    let OfTransfer { json, storage, seconds, clients, program } = options;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let found = runtime.block_on(async {
        let (tasks, supervisor) = Tasks::new("bench");
        let found = transfer::measure(Wanted { storage, seconds, clients, program }, tasks).await;
        supervisor.shutdown(END).await;
        found
    });
    let found = found.map_err(|error| error.to_string())?;
    let object = serde_json::to_value(&found).map_err(|error| error.to_string())?;
    Ok(if json { format!("{object:#}") } else { lines("", &object).join("\n") })
}

/// An object for people: a line for each figure.
fn lines(prefix: &str, object: &serde_json::Value) -> Vec<String> {
    match object {
        serde_json::Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| lines(&format!("{prefix}{name}  "), value)).collect()
        }
        value => vec![match value.as_f64() {
            Some(number) => format!("{prefix}{number:.2}"),
            None => format!("{prefix}{value}"),
        }],
    }
}

fn run(options: &OfEngine) -> Result<Vec<Figure>, BenchError> {
    let read =
        |path: &PathBuf| std::fs::read(path).map_err(|error| BenchError::File(path.display().to_string(), error));
    let [dar, fibonacci] = [&options.dar, &options.fibonacci].map(|path| path.as_ref().map(read).transpose());
    let OfEngine { rounds, nfib, list, transfers, .. } = *options;
    engine::run(Sizes { rounds, nfib, list, transfers }, dar?.as_deref(), fibonacci?.as_deref())
}

fn json(figures: &[Figure]) -> String {
    let all = figures.iter().map(|f| {
        serde_json::json!({
            "name": f.name, "unit": f.unit, "units": f.units, "ours_ms": ms(f.ours), "plain_ms": ms(f.plain),
            "ours_per_second": f.per_second(f.ours), "plain_per_second": f.per_second(f.plain), "ratio": f.ratio(),
        })
    });
    format!("{:#}", serde_json::json!({ "engine": all.collect::<Vec<_>>() }))
}

fn table(figures: &[Figure]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "benchmark",
        "unit",
        "engine, per second",
        "plain Rust, per second",
        "engine, ms",
        "times as long",
    ]);
    for f in figures {
        let [ours, plain] = [f.ours, f.plain].map(|time| format!("{:.0}", f.per_second(time)));
        let (took, ratio) = (format!("{:.2}", ms(f.ours)), format!("{:.1}", f.ratio()));
        table.add_row([f.name.to_owned(), f.unit.to_owned(), ours, plain, took, ratio]);
    }
    table.to_string()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[expect(clippy::print_stdout, reason = "what the user asked for")]
fn print(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "told to whoever ran the command")]
fn fail(error: &str) -> ExitCode {
    eprintln!("concordat-bench: {error}");
    ExitCode::from(FAILED)
}
