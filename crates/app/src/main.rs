//! The binary `concordat`: arguments to configuration to nodes. Arguments and environment are read here and nowhere else.

mod cli;
mod configuration;
mod daemon;
mod lb;
mod lf;
mod operate;
mod screen;
mod script_test;
mod shell;
mod status;

use clap::Parser as _;
use cli::{Arguments, Command, LbCommand, ScriptCommand};
use std::process::ExitCode;
use tasks::Tasks;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A configuration or an argument is wrong.
const WRONG_INPUT: u8 = 1;
/// Something failed that should have worked.
const FAILED: u8 = 2;

/// The script of `--bootstrap` failed.
const SCRIPT_FAILED: u8 = 3;

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    if matches!(arguments.command, Command::Console(_)) {
        arguments.log.quiet();
    }
    if let Err(error) = telemetry::init(&arguments.log.config()) {
        return fail(&error, WRONG_INPUT);
    }
    #[cfg(feature = "crash-points-for-tests")]
    if let Some(prefix) = std::env::var_os("CONCORDAT_CRASH_POINTS") {
        tasks::CrashPoints::listen(prefix.into());
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, FAILED),
    };
    runtime.block_on(async {
        let (tasks, supervisor) = Tasks::new("concordat");
        let code = run(arguments, tasks).await;
        supervisor.shutdown(daemon::SHUTDOWN).await;
        code
    })
}

async fn run(arguments: Arguments, tasks: Tasks) -> ExitCode {
    match arguments.command {
        Command::Daemon { source, bootstrap } => match daemon::run(&source, bootstrap, tasks).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                if arguments.log.is_file() {
                    tracing::error!("{error}");
                }
                let is_script = matches!(error, daemon::DaemonError::Bootstrap(_));
                fail(&error, if is_script { SCRIPT_FAILED } else { WRONG_INPUT })
            }
        },
        Command::Console(source) => all_well(shell::console(&source, cli::history(), tasks).await),
        Command::Run { script, source } => all_well(shell::run(script, &source, tasks).await.map(|()| true)),
        Command::Lb { command: LbCommand::Haproxy { source, first_port } } => {
            shown(daemon::load(&source).map_err(Into::into).and_then(|config| lb::haproxy(&config, first_port)))
        }
        Command::Status(options) => match status::run(&options).await {
            Ok(code) => code,
            Err(error) => fail(&error, WRONG_INPUT),
        },
        Command::Why { node, options } => match operate::why(&node, &options).await {
            Ok(code) => code,
            Err(error) => fail(&error, WRONG_INPUT),
        },
        Command::Handover { node, dry_run, options } => match operate::hand_over(&node, dry_run, &options).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error @ operate::OperateError::Refused(_)) => fail(&error, operate::NOT_SO),
            Err(error) => fail(&error, WRONG_INPUT),
        },
        Command::Config { command } => shown(configuration::run(&command)),
        Command::Script { command: ScriptCommand::Test(options) } => {
            let runtime = tokio::runtime::Handle::current();
            // Evaluating and waiting for a ledger both block.
            match tokio::task::spawn_blocking(move || script_test::run(&options, runtime)).await {
                Ok(Ok(true)) => ExitCode::SUCCESS,
                Ok(Ok(false)) => ExitCode::from(WRONG_INPUT),
                Ok(Err(error)) => fail(&error, WRONG_INPUT),
                Err(error) => fail(&error, FAILED),
            }
        }
        Command::Lf { command } => shown(lf::run(&command)),
        Command::Demo(options) => run_demo(options, tasks).await,
    }
}

async fn run_demo(options: cli::Demo, tasks: Tasks) -> ExitCode {
    let headless = options.headless;
    let options = match options.into_demo() {
        Ok(options) => options,
        Err(error) => return fail(&error, FAILED),
    };
    let result = if headless {
        demo::headless(options, tasks, |line| print(&line)).await
    } else {
        screen::interactive(options, tasks).await
    };
    match result.map(|report| serde_json::to_string_pretty(&report)) {
        Ok(Ok(text)) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Ok(Err(error)) => fail(&error, FAILED),
        Err(error @ demo::DemoError::Wrong(_)) => fail(&error, FAILED),
        Err(error) => fail(&error, WRONG_INPUT),
    }
}

fn shown<E: std::error::Error>(outcome: Result<String, E>) -> ExitCode {
    match outcome {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, WRONG_INPUT),
    }
}

fn all_well(outcome: Result<bool, shell::ShellError>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(WRONG_INPUT),
        Err(error) => fail(&error, WRONG_INPUT),
    }
}

#[expect(clippy::print_stdout, reason = "what the user asked for")]
fn print(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "progress, beside what the user asked for")]
fn note(line: &str) {
    eprintln!("{line}");
}

#[expect(clippy::print_stderr, reason = "told to whoever ran the command")]
fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("concordat: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
    ExitCode::from(code)
}
