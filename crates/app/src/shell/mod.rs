//! `concordat run`: scripts of the console against the nodes of a configuration, over their admin and Ledger APIs.
//!
//! `nodes.rs` who can be reached · `commands.rs` what can be done with them.

mod commands;
mod nodes;

use crate::cli::Source;
use ::config::LoadError;
use ::console::{Argument, ConsoleError, Host, Interpreter, Member, Reference, Value};
use nodes::{Kind, Node};
use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

const PAUSE: Duration = Duration::from_millis(50);

/// A script cannot be run to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShellError {
    #[error(transparent)]
    Config(#[from] LoadError),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{node}: {why}")]
    Node { node: String, why: String },
    #[error("{path}:{source}")]
    Script { path: PathBuf, source: ConsoleError },
    #[error("the script was given up: {0}")]
    Ended(#[from] tokio::task::JoinError),
}

/// Runs a script against nodes that are running.
pub(crate) async fn run(path: PathBuf, source: &Source) -> Result<(), ShellError> {
    let (config, _) = source.load()?;
    let text = std::fs::read_to_string(&path).map_err(|source| ShellError::File { path: path.clone(), source })?;
    let shell = Shell { nodes: nodes::all(&config)?, runtime: Handle::current(), began: Instant::now() };
    // Evaluating and waiting for answers both block.
    let script = tokio::task::spawn_blocking(move || Interpreter::new(shell).run(&text, false));
    script.await?.map_err(|source| ShellError::Script { path, source })
}

/// The console's nodes. Its calls block, so that it must not be used by a task of the runtime.
struct Shell {
    nodes: BTreeMap<String, Node>,
    runtime: Handle,
    /// When the condition that is waited for was looked at first.
    began: Instant,
}

impl Shell {
    fn references(&self, is_wanted: impl Fn(&Node) -> bool) -> Option<Value> {
        let found = self.nodes.values().filter(|node| is_wanted(node));
        Value::vector(found.map(|node| Value::Reference(node.reference("").into())).collect()).ok()
    }
}

/// `participants` and so on, which have `all`, `local` and `remote`.
fn collection(name: &str) -> Option<Option<Kind>> {
    Some(match name {
        "nodes" => None,
        "participants" => Some(Kind::Participant),
        "sequencers" => Some(Kind::Sequencer),
        "mediators" => Some(Kind::Mediator),
        "domainManagers" => Some(Kind::Manager),
        "domains" => Some(Kind::Domain),
        _ => return None,
    })
}

impl Host for Shell {
    fn global(&self, name: &str) -> Option<Value> {
        if let Some(node) = self.nodes.get(name) {
            return Some(Value::Reference(node.reference("").into()));
        }
        collection(name)?;
        let reference = Reference { kind: "Nodes", label: name.into(), path: name.into() };
        Some(Value::Reference(reference.into()))
    }

    fn globals(&self) -> Vec<String> {
        let collections = ["nodes", "participants", "sequencers", "mediators", "domainManagers", "domains"];
        self.nodes.keys().cloned().chain(collections.map(String::from)).collect()
    }

    fn member(&self, of: &Reference, name: &str) -> Option<Member> {
        let (node, group) = of.path.split_once('/').unwrap_or((&of.path, ""));
        if let Some(node) = self.nodes.get(node) {
            let path = if group.is_empty() { name.to_owned() } else { format!("{group}.{name}") };
            return match commands::find(node.kind, &path)? {
                commands::Found::Command => Some(Member::Command),
                commands::Found::Group => Some(Member::Value(Value::Reference(node.reference(&path).into()))),
            };
        }
        let kind = collection(node)?;
        let of_kind = |node: &Node| kind.is_none_or(|kind| node.kind == kind);
        let found = match name {
            "all" => self.references(of_kind),
            "local" => self.references(|node| of_kind(node) && node.is_local),
            "remote" => self.references(|node| of_kind(node) && !node.is_local),
            _ => None,
        };
        found.map(Member::Value)
    }

    fn members(&self, of: &Reference) -> Vec<String> {
        let (node, group) = of.path.split_once('/').unwrap_or((&of.path, ""));
        match self.nodes.get(node) {
            Some(node) => commands::members(node.kind, group),
            None => ["all", "local", "remote"].map(String::from).to_vec(),
        }
    }

    fn call(&mut self, of: &Reference, command: &str, arguments: Vec<Argument>) -> Result<Value, String> {
        let (name, group) = of.path.split_once('/').unwrap_or((&of.path, ""));
        let node = self.nodes.get(name).ok_or_else(|| format!("there is no node {name}"))?;
        let path = if group.is_empty() { command.to_owned() } else { format!("{group}.{command}") };
        self.runtime
            .block_on(commands::call(&self.nodes, node, &path, arguments))
            .map_err(|why| format!("{name}: {why}"))
    }

    fn print(&mut self, line: &str) {
        crate::print(line);
    }

    fn wait(&mut self, looks: u32, timeout: Duration) -> bool {
        if looks == 0 {
            self.began = Instant::now();
        }
        let goes_on = self.began.elapsed() < timeout;
        if goes_on {
            self.runtime.block_on(tokio::time::sleep(PAUSE));
        }
        goes_on
    }
}
