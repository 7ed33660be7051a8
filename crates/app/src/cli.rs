//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use config::{Config, LoadError, Problem};
use demo::{Fault, Options, PostgresUrl};
use std::{path::PathBuf, time::Duration};
use telemetry::{Encoder, LogConfig};

const DEFAULT_LEVEL: &str = "info";

/// Highly available Daml ledger networks in one small binary.
#[derive(Debug, Parser)]
#[command(version, after_help = "Try `concordat demo` for a whole network on this machine.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) log: Log,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the log goes.
#[derive(Debug, Args)]
pub(crate) struct Log {
    /// Which lines: a level (error, warn, info, debug), or room=level pairs joined by commas.
    #[arg(long, global = true, default_value = DEFAULT_LEVEL, value_name = "FILTER")]
    log_level_canton: String,
    /// How a line looks.
    #[arg(long, global = true, default_value = "plain")]
    log_encoder: LogEncoder,
    /// Appended to; standard error if absent.
    #[arg(long, global = true, value_name = "FILE")]
    log_file_name: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogEncoder {
    /// One readable line.
    Plain,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the nodes of a configuration until told to stop.
    Daemon {
        /// Names the nodes.
        #[command(flatten)]
        source: Source,
        /// Run a script of the console once the nodes run; exit code 3 and the place if it fails.
        #[arg(long, value_name = "SCRIPT")]
        bootstrap: Option<PathBuf>,
    },
    /// Type commands to the nodes of a configuration, or pipe them in; `help` lists them.
    ///
    /// Nodes named under canton.participants, canton.sequencers and so on run in this process until the console is left,
    /// unless somebody listens on the admin port of one of them already: then all of them are taken to run elsewhere. Nodes
    /// under canton.remote-participants and so on always run elsewhere.
    ///
    /// The tabulator completes names. An entry goes on until its brackets close. Ctrl-C gives up what is running or
    /// typed, Ctrl-D or `exit` leaves.
    Console(Source),
    /// Run a script of the console; exit code 1 and the place if it fails.
    ///
    /// Nodes of the configuration run in this process meanwhile, unless they run already, as with `concordat console`.
    Run {
        /// The script.
        script: PathBuf,
        /// Names the nodes, local or remote.
        #[command(flatten)]
        source: Source,
    },
    /// Show all nodes of a running network: role, epoch, ports, lag, memory.
    Status(Status),
    /// Say whether a node does its work, and if not, why; exit code 3 if it does not.
    Why {
        /// As the configuration calls it.
        node: String,
        #[command(flatten)]
        options: Status,
    },
    /// Hand a node's work over to another replica; exit code 3, and nothing changed, if none takes over.
    Handover {
        /// The active replica, as the configuration calls it.
        node: String,
        /// Only say whether it could be done now, and who could take over.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        options: Status,
    },
    /// Write configurations of load balancers.
    Lb {
        #[command(subcommand)]
        command: LbCommand,
    },
    /// Check, show and explain configurations.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Run the Daml Scripts of a DAR.
    Script {
        #[command(subcommand)]
        command: ScriptCommand,
    },
    /// Look into DARs.
    Lf {
        #[command(subcommand)]
        command: LfCommand,
    },
    /// Start a whole network on this machine under load; kill anything, and see that nothing is lost.
    Demo(Demo),
}

/// What the configuration is made of.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// Configuration files; later ones win. May be repeated, or joined by commas.
    #[arg(short = 'c', long = "config", value_delimiter = ',', value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Keys that win over all files. May be repeated, or joined by commas; of a key given twice the first wins.
    #[arg(short = 'C', value_delimiter = ',', value_name = "KEY=VALUE", value_parser = key_value)]
    overrides: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LbCommand {
    /// Print a file for HAProxy 2.6 and later, with the participants, sequencers and domains of a configuration behind it.
    ///
    /// Nodes that share a storage are replicas of one, and answer behind the same ports: admin API and Ledger API of a
    /// participant, public API of sequencers. Their health is asked for at their monitoring.http-health-server, or at the
    /// process's monitoring.health where that is of type is-active. A replica that does not answer is left within half a
    /// second, and its connections are closed.
    Haproxy {
        /// Names the nodes.
        #[command(flatten)]
        source: Source,
        /// The port of the first frontend; the others follow one by one.
        #[arg(long, default_value_t = 15000, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
        first_port: u16,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Report everything that is wrong, with file, line and key; exit code 1 if anything is.
    Check(Source),
    /// Print every key with the value that counts; secrets are masked.
    Show(Source),
    /// Print what a key is for, its type and default, and the keys inside it.
    Explain {
        /// Such as canton.participants.p1.ledger-api
        key: String,
    },
    /// Print every key there is, one a line.
    Schema,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ScriptCommand {
    /// Run every script against a ledger of its own in this process; exit code 1 if one fails or there is none.
    Test(ScriptTest),
}

#[derive(Debug, Args)]
pub(crate) struct ScriptTest {
    /// The DAR; scripts are the values of type `Script` of its main package. Or LF text, if the name ends in .lf.
    #[arg(value_name = "FILE")]
    pub(crate) dar: PathBuf,
    /// Run against the participant whose Ledger API listens on this host, instead of ledgers in this process.
    #[arg(long, requires = "port")]
    pub(crate) host: Option<String>,
    /// Encrypt the connection; servers are trusted as this machine trusts them.
    #[arg(long, requires = "port")]
    pub(crate) tls: bool,
    /// A file with the token that the participant asks of its callers; of a user who administers it and may act as anybody.
    #[arg(long, requires = "port", value_name = "FILE")]
    pub(crate) access_token_file: Option<PathBuf>,
    /// The port of that Ledger API; the host is localhost unless one is given.
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Only scripts whose Module:name contains this.
    #[arg(long, value_name = "NAME")]
    pub(crate) filter: Option<String>,
    /// How to print.
    #[arg(short, long, default_value = "table")]
    pub(crate) output: ScriptOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScriptOutput {
    /// For people, a line as each script ends.
    Table,
    /// For programs.
    Json,
    /// For the build servers that read JUnit's XML.
    Junit,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LfCommand {
    /// List packages, templates, choices and interfaces, with sizes.
    Inspect {
        /// The DAR.
        #[arg(value_name = "FILE.dar")]
        file: PathBuf,
        /// How to print.
        #[arg(short, long, default_value = "table")]
        output: Output,
    },
    /// Print a definition as LF text.
    Show {
        /// The DAR.
        #[arg(value_name = "FILE.dar")]
        file: PathBuf,
        /// Which definition.
        #[arg(value_name = "Module:Name")]
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Names the nodes, local or remote.
    #[command(flatten)]
    pub(crate) source: Source,
    /// How to print.
    #[arg(short, long, default_value = "table")]
    pub(crate) output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Without a terminal: run for a while, then drain, check, and report. Fails if anything is wrong.
    #[arg(long)]
    pub(crate) headless: bool,
    /// How long to run load, with --headless.
    #[arg(long, default_value = "60s", value_parser = duration)]
    duration: Duration,
    /// So often something happens to an active process of each kind in turn: see --faults.
    #[arg(long, value_parser = duration)]
    kill_every: Option<Duration>,
    /// What happens: kill (as kill -9 does), pause (the process stands still for several leases), cut (a sequencer cannot
    /// be reached for several leases), hand-over
    #[arg(long, value_delimiter = ',', default_value = "kill", value_parser = fault)]
    faults: Vec<Fault>,
    /// How soon silent nodes are replaced: fast, balanced or tolerant.
    #[arg(long, value_parser = ["fast", "balanced", "tolerant"])]
    profile: Option<String>,
    /// Commands per second, at most.
    #[arg(long)]
    rate: Option<u32>,
    /// Decides what is killed and what is submitted where.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the report here, as one JSON object.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Keep the nodes' state in PostgreSQL instead of files: postgres://user:password@host:port/database
    #[arg(long, value_name = "URL")]
    storage: Option<PostgresUrl>,
    /// Use the field's CantonExamples instead of the project's own model.
    #[arg(long, value_name = "FILE")]
    dar: Option<PathBuf>,
    /// Keep configuration, databases and logs here.
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

impl Log {
    /// Whether people at the terminal do not see it.
    pub(crate) fn is_file(&self) -> bool {
        self.log_file_name.is_some()
    }

    /// At a prompt only what needs attention, unless it goes to a file.
    pub(crate) fn quiet(&mut self) {
        if self.log_file_name.is_none() && self.log_level_canton == DEFAULT_LEVEL {
            self.log_level_canton = "warn".into();
        }
    }

    pub(crate) fn config(&self) -> LogConfig {
        let encoder = match self.log_encoder {
            LogEncoder::Plain => Encoder::Plain,
            LogEncoder::Json => Encoder::Json,
        };
        LogConfig { filter: self.log_level_canton.clone(), encoder, file: self.log_file_name.clone() }
    }
}

impl Source {
    pub(crate) fn load(&self) -> Result<(Config, Vec<Problem>), LoadError> {
        config::load(&self.files, &self.overrides, &environment)
    }

    pub(crate) fn show(&self) -> Result<String, LoadError> {
        config::show(&self.files, &self.overrides, &environment)
    }
}

/// Where entries of the prompt are kept.
pub(crate) fn history() -> Option<PathBuf> {
    Some(PathBuf::from(environment("HOME").filter(|home| !home.is_empty())?).join(".concordat_history"))
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

impl Demo {
    pub(crate) fn into_demo(self) -> std::io::Result<Options> {
        Ok(Options {
            program: std::env::current_exe()?,
            duration: self.duration,
            fault_every: self.kill_every,
            faults: self.faults,
            profile: self.profile,
            rate: self.rate,
            database: None,
            seed: self.seed,
            report: self.report,
            storage: self.storage,
            dar: self.dar,
            directory: self.directory,
            own_dar: lf::models::iou(),
            replicated: true,
            clients: demo::CLIENTS,
        })
    }
}

/// One that needs nothing but the processes.
fn fault(text: &str) -> Result<Fault, String> {
    match text.parse()? {
        fault if Fault::needs_database(fault) => Err("the demo does not control the database".into()),
        fault => Ok(fault),
    }
}

/// `60s`, `500ms`, `5m`.
fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "write a number and ms, s, m or h".to_owned();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(expected)?;
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| expected())?;
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(expected()),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|_| expected())
}
