//! `concordat console` and `concordat run`: commands of the console for the nodes of a configuration, over their admin
//! and Ledger APIs. Local nodes run in this process meanwhile, unless somebody answers on their ports already.
//!
//! `prompt.rs` where commands are typed · `nodes.rs` who can be reached · `commands.rs` what can be done with them ·
//! `objects.rs` what else scripts name · `connections.rs` connections to sequencers · `dump.rs` what is sent to who helps ·
//! `files.rs` what consoles hand to each other · `contracts.rs` commands and contracts.

mod commands;
mod connections;
mod contracts;
mod dump;
mod files;
mod nodes;
mod objects;
mod prompt;

use crate::{
    cli::Source,
    daemon::{self, DaemonError, Running},
};
use ::config::{Config, LoadError};
use ::console::{Argument, ConsoleError, Host, Interpreter, Member, Problem, Reference, Subject, Value};
use nodes::{Kind, Node};
use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    time::{Duration, Instant},
};
use tasks::Tasks;
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
    #[error(transparent)]
    Nodes(Box<DaemonError>),
    #[error("the prompt: {0}")]
    Prompt(#[from] rustyline::error::ReadlineError),
    #[error("the script was given up: {0}")]
    Ended(#[from] tokio::task::JoinError),
}

impl From<DaemonError> for ShellError {
    fn from(error: DaemonError) -> Self {
        Self::Nodes(Box::new(error))
    }
}

/// Runs a script, and the nodes of the configuration while it runs, unless they already run elsewhere.
pub(crate) async fn run(path: PathBuf, source: &Source, tasks: Tasks) -> Result<(), ShellError> {
    let (shell, running, scope) = begin(source, tasks).await?;
    let outcome = shell.script(path, scope).await;
    end(running, outcome).await
}

/// Reads commands at a prompt, or from a pipe, until they end; nodes as in [`run`]. Says whether all went well.
pub(crate) async fn console(source: &Source, history: Option<PathBuf>, tasks: Tasks) -> Result<bool, ShellError> {
    let (mut shell, running, scope) = begin(source, tasks).await?;
    shell.scope = Some(scope);
    let outcome = tokio::task::spawn_blocking(move || prompt::run(shell, history.as_deref())).await;
    end(running, outcome.map_err(ShellError::from).flatten()).await
}

async fn begin(source: &Source, tasks: Tasks) -> Result<(Shell, Option<Running>, Tasks), ShellError> {
    let config = daemon::load(source)?;
    let shell = Shell::new(&config, source)?;
    let has_local = shell.nodes.values().any(|node| node.is_local);
    if !has_local || nodes::is_running(&config).await {
        return Ok((shell, None, tasks));
    }
    let running = Running::start(config, tasks).await?;
    let scope = running.tasks().clone();
    Ok((shell, Some(running), scope))
}

async fn end<T>(running: Option<Running>, outcome: Result<T, ShellError>) -> Result<T, ShellError> {
    if let Some(running) = running {
        running.stop().await?;
    }
    outcome
}

/// The console's nodes. Its calls block, so that it must not be used by a task of the runtime.
pub(crate) struct Shell {
    nodes: BTreeMap<String, Node>,
    /// Without its secrets.
    configuration: String,
    runtime: Handle,
    /// Ends what waits when it ends.
    scope: Option<Tasks>,
    /// When the condition that is waited for was looked at first.
    began: Instant,
}

impl Shell {
    /// Of the nodes of a configuration, local and remote.
    pub(crate) fn new(config: &Config, source: &Source) -> Result<Self, ShellError> {
        let nodes = nodes::all(config)?;
        Ok(Self {
            nodes,
            configuration: source.show()?,
            runtime: Handle::current(),
            scope: None,
            began: Instant::now(),
        })
    }

    /// Runs a script; its waiting ends with `scope`.
    pub(crate) async fn script(mut self, path: PathBuf, scope: Tasks) -> Result<(), ShellError> {
        let text = std::fs::read_to_string(&path).map_err(|source| ShellError::File { path: path.clone(), source })?;
        self.scope = Some(scope);
        // Evaluating and waiting for answers both block.
        let script = tokio::task::spawn_blocking(move || Interpreter::new(self).run(&text, false));
        script.await?.map_err(|source| ShellError::Script { path, source })
    }

    /// What a future comes to, unless Ctrl-C or the end of the nodes is sooner.
    fn wait_for<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let ended = async {
            match &self.scope {
                Some(scope) => scope.cancelled().await,
                None => std::future::pending().await,
            }
        };
        self.runtime.block_on(async {
            tokio::select! {
                answer = future => Some(answer),
                _ = tokio::signal::ctrl_c() => None,
                () = ended => None,
            }
        })
    }

    /// All that can be typed, as paths.
    fn names(&self) -> Vec<String> {
        let of_nodes = self
            .nodes
            .values()
            .flat_map(|node| commands::paths(node.kind).map(move |path| format!("{}.{path}", node.name)));
        let all = COLLECTIONS.iter().flat_map(|name| ["all", "local", "remote"].map(|part| format!("{name}.{part}")));
        of_nodes
            .chain(all)
            .chain(["help", "exit", "health.status", "utils.retry_until_true"].map(String::from))
            .collect()
    }

    /// What the console has, or what a node has.
    fn help(&self, about: Option<&str>) -> Result<(), String> {
        let Some(about) = about else {
            self.print_all(self.nodes.values().map(|node| format!("{} - {}", node.name, node.reference("").label)));
            self.print_all(COLLECTIONS.iter().map(|name| format!("{name} - its nodes: .all, .local, .remote")));
            self.print_all(GENERAL.map(String::from));
            return Ok(());
        };
        let node = self.nodes.get(about).ok_or_else(|| format!("there is no node {about}; `help` lists them"))?;
        self.print_all(commands::help(node.kind, "", &[]));
        Ok(())
    }

    fn print_all(&self, lines: impl IntoIterator<Item = String>) {
        lines.into_iter().for_each(|line| crate::print(&line));
    }

    fn references(&self, is_wanted: impl Fn(&Node) -> bool) -> Option<Value> {
        let found = self.nodes.values().filter(|node| is_wanted(node));
        Value::list(found.map(|node| Value::Reference(node.reference("").into())).collect()).ok()
    }
}

fn made(value: Result<Value, Problem>) -> Result<Value, String> {
    value.map_err(|problem| problem.to_string())
}

const COLLECTIONS: [&str; 6] = ["nodes", "participants", "sequencers", "mediators", "domainManagers", "domains"];
const INTERRUPTED: &str = "interrupted";
const GENERAL: [&str; 6] = [
    "health.status - The status of all nodes",
    "health.dump() - Write the status of all nodes and the configuration, without secrets, into a folder",
    "help - This; help(\"<node>\") and <node>.help list commands, <node>.help(\"<command>\") explains one",
    "utils.retry_until_true(30.seconds)(<condition>) - Wait until a condition holds",
    "println(<value>), assert(<condition>, <text>) - Print, and check",
    "exit - Leave the console",
];

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
        let kind = match name {
            "health" => "Health",
            name => match collection(name) {
                Some(_) => "Nodes",
                None => return objects::global(name),
            },
        };
        let reference = Reference { kind, label: name.into(), path: name.into() };
        Some(Value::Reference(reference.into()))
    }

    fn globals(&self) -> Vec<String> {
        let others = COLLECTIONS.into_iter().chain(["health"]).chain(objects::globals());
        self.nodes.keys().cloned().chain(others.map(String::from)).collect()
    }

    fn member(&self, of: &Reference, name: &str) -> Option<Member> {
        let (node, group) = of.path.split_once('/').unwrap_or((&of.path, ""));
        if let Some(node) = self.nodes.get(node) {
            if group.is_empty() && name == "config" {
                return node.config().ok().map(Member::Value);
            }
            let path = if group.is_empty() { name.to_owned() } else { format!("{group}.{name}") };
            return match commands::find(node.kind, &path)? {
                commands::Found::Command => Some(Member::Command),
                commands::Found::Group => Some(Member::Value(Value::Reference(node.reference(&path).into()))),
            };
        }
        if node == "health" && ["status", "dump"].contains(&name) {
            return Some(Member::Command);
        }
        if let Some(member) = objects::member(of, name) {
            return Some(member);
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
            None if node == "health" => vec!["dump".into(), "status".into()],
            None if objects::members(node).is_some() => {
                objects::members(node).into_iter().flatten().map(String::from).collect()
            }
            None => ["all", "local", "remote"].map(String::from).to_vec(),
        }
    }

    fn call(&mut self, of: &Reference, command: &str, arguments: Vec<Argument>) -> Result<Value, String> {
        let (name, group) = of.path.split_once('/').unwrap_or((&of.path, ""));
        if of.kind == "Object" {
            return objects::call(&self.nodes, &of.path, command, &arguments);
        }
        if command == "dump" && (of.path == "health" || group == "health") {
            let wanted = |node: &&Node| of.path == "health" || node.name == name;
            let dump = dump::write(&self.configuration, self.nodes.values().filter(wanted), &arguments);
            return self.wait_for(dump).unwrap_or_else(|| Err(INTERRUPTED.into()));
        }
        if of.path == "health" {
            let answer = self.wait_for(commands::all_statuses(self.nodes.values()));
            return answer.unwrap_or_else(|| Err(INTERRUPTED.into()));
        }
        let node = self.nodes.get(name).ok_or_else(|| format!("there is no node {name}"))?;
        let path = if group.is_empty() { command.to_owned() } else { format!("{group}.{command}") };
        if command == "help" {
            let lines = commands::help(node.kind, group, &arguments);
            if lines.is_empty() {
                return Err(format!("{name}: there is no such command; `{name}.help` lists them"));
            }
            self.print_all(lines);
            return Ok(Value::Unit);
        }
        let answer = self.wait_for(commands::call(&self.nodes, node, &path, arguments));
        answer.unwrap_or_else(|| Err(INTERRUPTED.into())).map_err(|why| format!("{name}: {why}"))
    }

    fn subject(&mut self, of: &Reference, command: &str, arguments: &[Argument]) -> Result<Subject, String> {
        let (name, group) = of.path.split_once('/').unwrap_or((&of.path, ""));
        let node = self.nodes.get(name).ok_or_else(|| format!("{command} takes no function"))?;
        let path = if group.is_empty() { command.to_owned() } else { format!("{group}.{command}") };
        let answer = self.wait_for(commands::subject(node, &path, arguments));
        answer.unwrap_or_else(|| Err(INTERRUPTED.into())).map_err(|why| format!("{name}: {why}"))
    }

    fn method(&mut self, of: &Value, name: &str, arguments: &[Argument]) -> Option<Result<Value, String>> {
        objects::method(&self.nodes, of, name, arguments)
    }

    fn print(&mut self, line: &str) {
        crate::print(line);
    }

    fn wait(&mut self, looks: u32, timeout: Duration) -> bool {
        if looks == 0 {
            self.began = Instant::now();
        }
        self.began.elapsed() < timeout && self.wait_for(tokio::time::sleep(PAUSE)).is_some()
    }
}
