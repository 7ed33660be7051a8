//! `concordat-chaos`: a network of the binary's processes under load, with every fault that can be made without help from
//! the nodes, and the checker's verdict. For proofs; nothing of it is part of the product.

mod store;

use clap::{Args, Parser, Subcommand, ValueEnum};
use demo::{DemoError, Fault, Options, Report, headless};
use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};
use store::Server;
use tasks::Tasks;

/// For the clients and watchers of a run to end.
const END: Duration = Duration::from_secs(5);
/// The run found something wrong, or could not be made.
const FAILED: u8 = 1;

/// Runs a network under load and faults, and checks that nothing is lost and nothing happens twice.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts a network of 11 processes, has faults happen to them one after the other, drains, and judges.
    Run(Run),
}

#[derive(Debug, Args)]
struct Run {
    /// Where the nodes keep their state: files, or a PostgreSQL server that is started for this run.
    #[arg(long, default_value = "embedded")]
    storage: Storage,
    /// Seconds of load.
    #[arg(long, default_value_t = 60)]
    duration: u64,
    /// Seconds from one fault to the next. A fault takes up to 4 s.
    #[arg(long, default_value_t = 6)]
    every: u64,
    /// How soon silent nodes are replaced.
    #[arg(long, value_parser = ["fast", "balanced", "tolerant"])]
    profile: Option<String>,
    /// Commands per second, at most.
    #[arg(long)]
    rate: Option<u32>,
    /// Decides what happens when, and what is submitted where.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What happens: all that the storage allows if absent.
    #[arg(long, value_delimiter = ',')]
    faults: Vec<Fault>,
    /// Write the report here, as one JSON object.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The binary under test: the one beside this program if absent.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Keep configuration, databases and logs here.
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Storage {
    Embedded,
    Postgres,
}

impl Run {
    async fn run(self, tasks: Tasks) -> Result<Report, DemoError> {
        let server = matches!(self.storage, Storage::Postgres).then(|| Arc::new(Server::start()));
        let allowed = Fault::ALL.into_iter().filter(|fault| server.is_some() || !fault.needs_database());
        let faults = if self.faults.is_empty() { allowed.collect() } else { self.faults };
        let beside = || std::env::current_exe().map(|own| own.with_file_name("concordat"));
        let options = Options {
            program: self.program.map_or_else(beside, Ok)?,
            duration: Duration::from_secs(self.duration),
            fault_every: Some(Duration::from_secs(self.every)),
            faults,
            profile: self.profile,
            rate: self.rate,
            seed: self.seed,
            report: self.report,
            storage: server.as_ref().map(|server| server.url()),
            database: server.map(|server| server as Arc<dyn demo::Database>),
            dar: None,
            directory: self.directory,
            own_dar: lf::models::iou(),
            replicated: true,
            clients: demo::CLIENTS,
        };
        headless(options, tasks, |line| say(&line)).await
    }
}

#[expect(clippy::print_stdout, reason = "what the user asked for")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "told to whoever ran the command")]
fn main() -> ExitCode {
    let Command::Run(run) = Arguments::parse().command;
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("concordat-chaos: no runtime: {error}");
            return ExitCode::from(FAILED);
        }
    };
    let result = runtime.block_on(async {
        let (tasks, supervisor) = Tasks::new("chaos");
        let result = run.run(tasks).await;
        supervisor.shutdown(END).await;
        result
    });
    match result.map(|report| serde_json::to_string_pretty(&report)) {
        Ok(Ok(report)) => {
            say(&report);
            ExitCode::SUCCESS
        }
        Ok(Err(error)) => {
            eprintln!("concordat-chaos: {error}");
            ExitCode::from(FAILED)
        }
        Err(error) => {
            eprintln!("concordat-chaos: {error}");
            ExitCode::from(FAILED)
        }
    }
}
