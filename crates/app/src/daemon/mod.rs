//! `concordat daemon`: the nodes of a configuration, from the first port taken to an orderly farewell.
//!
//! `connection.rs` where sequencers are · `host.rs` what all nodes are started with · `health.rs` health servers · `storage.rs` from configuration to database ·
//! `tls.rs` from configuration to certificates · `topology.rs` topology on the admin API · one file for each kind of node, and `domain.rs` for three of them as one.

mod connection;
mod domain;
mod health;
mod host;
mod manager;
mod mediator;
mod participant;
mod ports;
mod sequencer;
mod storage;
pub(crate) mod tls;
mod topology;

use crate::{
    cli::Source,
    shell::{Shell, ShellError},
};
use ::config::{Config, LoadError, Problem};
use ::node::{Nodes, PartError};
use ::rpc::ServeError;
use ::sequencer::SequencerError;
use ::store::StoreError;
use host::{Host, Participants};
use std::{io, path::PathBuf, time::Duration};
use tasks::{Supervisor, Tasks};
use tokio::signal::unix::{SignalKind, signal};

/// What has not ended by then is aborted.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(5);

/// The process cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    #[error(transparent)]
    Config(#[from] LoadError),
    #[error("the configuration asks for what this version cannot do:\n{}", lines(.0))]
    Unsupported(Vec<Problem>),
    #[error("the configuration names no node to run; add a participant, sequencer, mediator, domain-manager or domain")]
    NoNodes,
    #[error("{node}: the synchronizer cannot be founded")]
    Founding { node: String, source: PartError },
    #[error("{node}: {source}")]
    Store { node: String, source: StoreError },
    #[error("{node}: {source}")]
    Port { node: String, source: ServeError },
    #[error("{node}: {source}")]
    Sequencer { node: String, source: SequencerError },
    #[error(
        "{node}: its {api} API at {address} could be reached from other machines without encryption; give it a tls block, \
         let it listen on 127.0.0.1, or set canton.parameters.allow-plaintext = true"
    )]
    Plaintext { node: String, api: &'static str, address: std::net::SocketAddr },
    #[error("{node}: {source}")]
    Tls { node: String, source: ::rpc::TlsError },
    #[error("{node}: {}: {source}", path.display())]
    TokenKey { node: String, path: PathBuf, source: ::crypto::TokenKeyError },
    #[error("the ports cannot be written to {path}: {source}")]
    PortsFile { path: PathBuf, source: io::Error },
    #[error("signals cannot be received: {0}")]
    Signals(#[from] io::Error),
    #[error("{0}")]
    Failed(String),
    #[error("the bootstrap script: {0}")]
    Bootstrap(Box<ShellError>),
}

impl From<ShellError> for DaemonError {
    fn from(error: ShellError) -> Self {
        Self::Bootstrap(Box::new(error))
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Nodes that run in this process.
pub(crate) struct Running {
    tasks: Tasks,
    supervisor: Supervisor,
}

impl Running {
    /// Starts all nodes of a configuration; if one cannot start, none goes on.
    pub(crate) async fn start(config: Config, tasks: Tasks) -> Result<Self, DaemonError> {
        if !config.unsupported.is_empty() {
            return Err(DaemonError::Unsupported(config.unsupported));
        }
        // Databases live in the outer scope, so that nodes can say goodbye.
        let (node_tasks, supervisor) = tasks.child("nodes");
        let host = Host {
            nodes: Nodes::default(),
            allow_plaintext: config.allow_plaintext,
            databases: tasks,
            tasks: node_tasks.clone(),
            participants: Participants::default(),
        };
        match start(&host, config).await {
            Ok(()) => Ok(Self { tasks: node_tasks, supervisor }),
            Err(error) => {
                drop(host);
                supervisor.shutdown(SHUTDOWN).await;
                Err(error)
            }
        }
    }

    /// The scope of the nodes: it ends with them.
    pub(crate) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Hands over and ends in order. Says what failed, if something did that a node cannot be without.
    pub(crate) async fn stop(self) -> Result<(), DaemonError> {
        drop(self.tasks);
        match self.supervisor.shutdown(SHUTDOWN).await.failures.last() {
            Some(failure) => Err(DaemonError::Failed(format!("{}: {}", failure.task, failure.reason))),
            None => Ok(()),
        }
    }
}

/// Loads a configuration, and tells what is odd about it.
pub(crate) fn load(source: &Source) -> Result<Config, LoadError> {
    let (config, warnings) = source.load()?;
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    Ok(config)
}

/// Runs until SIGTERM or SIGINT, or until something fails that a node cannot be without. A script of the console runs
/// once the nodes do.
pub(crate) async fn run(source: &Source, bootstrap: Option<PathBuf>, tasks: Tasks) -> Result<(), DaemonError> {
    let config = load(source)?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shell = bootstrap.map(|path| Ok::<_, ShellError>((path, Shell::new(&config, source)?))).transpose()?;
    let running = Running::start(config, tasks).await?;
    let scope = running.tasks().clone();
    let script = async {
        if let Some((path, shell)) = shell {
            shell.script(path, scope.clone()).await?;
        }
        std::future::pending::<Result<(), ShellError>>().await
    };
    let mut was_asked = true;
    let outcome = tokio::select! {
        _ = terminate.recv() => { tracing::info!("SIGTERM: shutting down"); Ok(()) }
        _ = interrupt.recv() => { tracing::info!("SIGINT: shutting down"); Ok(()) }
        () = running.tasks().cancelled() => { was_asked = false; Ok(()) }
        outcome = script => outcome,
    };
    let stopped = running.stop().await;
    outcome?;
    if was_asked { Ok(()) } else { stopped }
}

async fn start(host: &Host, config: Config) -> Result<(), DaemonError> {
    if let Some(config) = &config.health {
        health::serve_process(host, config).await?;
    }
    let mut nodes = 0;
    for (_, config) in config.domains {
        domain::start(host, config).await?;
        nodes += 1;
    }
    for (_, config) in config.sequencers {
        sequencer::start(host, config).await?;
        nodes += 1;
    }
    for (_, config) in config.mediators {
        mediator::start(host, config).await?;
        nodes += 1;
    }
    for (_, config) in config.managers {
        manager::start(host, config).await?;
        nodes += 1;
    }
    for (_, config) in config.participants {
        participant::start(host, config).await?;
        nodes += 1;
    }
    if nodes == 0 {
        return Err(DaemonError::NoNodes);
    }
    if let Some(path) = config.ports_file {
        ports::write(&path, &host.nodes).map_err(|source| DaemonError::PortsFile { path, source })?;
    }
    tracing::info!(nodes, "started");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    fn files(folder: &str) -> Vec<PathBuf> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(folder);
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|e| e == "conf")).collect()
    }

    #[test]
    fn every_example_loads_over_files_and_over_postgres() {
        let postgres = files("include").into_iter().find(|path| path.ends_with("postgres.conf")).unwrap();
        assert!(files("").len() > 6);
        for file in files("") {
            for files in [vec![file.clone()], vec![file, postgres.clone()]] {
                let (config, warnings) = ::config::load(&files, &[], &|_| None).unwrap_or_else(|e| panic!("{e}"));
                assert_eq!((warnings, config.unsupported), (vec![], vec![]));
            }
        }
    }
}
