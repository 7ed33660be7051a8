//! The commands of nodes: which there are, and the calls that they are.
//!
//! `domains.rs` synchronizers of a participant · `health.rs` how a node is · `ledger.rs` what the Ledger API is asked.

mod domains;
mod health;
mod ledger;

pub(super) use domains::registered;
pub(super) use health::ask as status_of;

use super::{
    made,
    nodes::{Kind, Node},
};
use ::console::{Argument, Subject, Value};
use rpc::{RpcError, services::concordat::admin::v1::node_service_client::NodeServiceClient};
use std::collections::BTreeMap;
use wire::concordat::admin::v1::{NodeStatus, SetPassiveRequest};

use Kind::{Domain, Manager, Mediator, Participant, Sequencer};

/// A command: its path, the nodes that have it, what it takes, what it is for.
struct Command(&'static str, &'static [Kind], &'static str, &'static str);

const ALL: &[Kind] = &[Participant, Sequencer, Mediator, Manager, Domain];
const CONNECTED: &[Kind] = &[Mediator, Manager];

const COMMANDS: [Command; 39] = [
    Command("help", ALL, "(command)", "List the commands, or say what one is for"),
    Command("name", ALL, "", "What the configuration calls it"),
    Command("id", ALL, "", "Its identifier in the synchronizer"),
    Command("is_running", ALL, "", "Whether it answers"),
    Command("is_initialized", ALL, "", "Whether it has been given all that it needs"),
    Command("health.status", ALL, "", "Identifier, ports, whether it is active, what troubles it"),
    Command("health.active", ALL, "", "Whether it is the active replica, or an online sequencer"),
    Command("health.is_running", ALL, "", "Whether it answers"),
    Command("health.running", ALL, "", "Whether it answers"),
    Command("health.initialized", ALL, "", "Whether it has been given all that it needs"),
    Command("health.has_identity", ALL, "", "Whether it has an identifier"),
    Command("health.wait_for_running", ALL, "", "Wait until it answers"),
    Command("health.wait_for_identity", ALL, "", "Wait until it has an identifier"),
    Command("health.wait_for_initialized", ALL, "", "Wait until it has been given all that it needs"),
    Command(
        "health.dump",
        ALL,
        "(outputFile)",
        "Write its status and the configuration, without secrets, into a folder",
    ),
    Command(
        "health.ping",
        &[Participant],
        "(participantId, timeout)",
        "A command that the other participant answers; how long it took",
    ),
    Command("health.maybe_ping", &[Participant], "(participantId, timeout)", "The same; None if there is no answer"),
    Command("replication.set_passive", ALL, "", "Hand over to another replica; fails if none takes over"),
    Command("setup.bootstrap_domain", &[Manager], "(sequencers, mediators)", "Found the synchronizer"),
    Command(
        "domains.connect",
        &[Participant],
        OF_CONNECT,
        "Register a synchronizer by the URI of a sequencer, and connect",
    ),
    Command("domains.connect_multi", &[Participant], "(alias, connections)", "The same by several sequencers"),
    Command("domains.connect_local", &[Participant], OF_CONNECT_LOCAL, "The same by a node of the console"),
    Command("domains.register", &[Participant], "(config)", "Register a synchronizer without connecting"),
    Command(
        "domains.modify",
        &[Participant],
        "(alias, config => config)",
        "Change how it is reached; a connection that stands is not touched",
    ),
    Command("domains.reconnect", &[Participant], "(alias, retry)", "Connect to a registered synchronizer"),
    Command(
        "domains.reconnect_all",
        &[Participant],
        "(ignoreFailures)",
        "Connect to all that are not left to operators (manualConnect)",
    ),
    Command("domains.disconnect", &[Participant], "(alias)", "End the connection"),
    Command("domains.disconnect_all", &[Participant], "", "End all connections"),
    Command("domains.is_connected", &[Participant], "(reference)", "Whether it is connected"),
    Command("domains.active", &[Participant], "(reference)", "Whether it is connected"),
    Command("domains.config", &[Participant], "(alias)", "How a registered synchronizer is reached"),
    Command("domains.id_of", &[Participant], "(alias)", "The identifier of a registered synchronizer"),
    Command("domains.list_connected", &[Participant], "", "The synchronizers that it is connected to"),
    Command(
        "domains.list_registered",
        &[Participant],
        "",
        "The synchronizers that it knows, and whether it is connected",
    ),
    Command("domains.is_registered", &[Participant], "(alias)", "Whether it knows a synchronizer under an alias"),
    Command("dars.upload", &[Participant], "(path)", "Upload a DAR; returns the id of its main package"),
    Command("packages.list", &[Participant], "", "The packages that it has"),
    Command("parties.enable", &[Participant], "(name)", "Allocate a party"),
    Command(
        "parties.list",
        &[Participant],
        "(filterParty)",
        "The parties that it knows, and which of them are its own",
    ),
];
const OF_CONNECT: &str = "(alias, connection, manualConnect, domainId, certificatesPath, priority)";
const OF_CONNECT_LOCAL: &str = "(node, manualConnect, alias, maxRetryDelayMillis, priority)";

/// The field's commands that the admin API does not serve yet.
const MISSING: [(&str, &[Kind]); 10] = [
    ("setup.init", &[Manager]),
    ("setup.onboard_new_sequencer", &[Manager]),
    ("setup.authorize_mediator", &[Manager]),
    ("initialization.bootstrap_topology", &[Sequencer]),
    ("initialization.initialize_from_beginning", &[Sequencer]),
    ("mediator.initialize", &[Mediator]),
    ("sequencer_connection.get", CONNECTED),
    ("sequencer_connection.set", CONNECTED),
    ("dars.list", &[Participant]),
    ("parties.hosted", &[Participant]),
];

/// What a path of names is.
pub(super) enum Found {
    Command,
    Group,
}

fn own(kind: Kind) -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().filter(move |command| command.1.contains(&kind))
}

/// The paths of all commands that nodes of a kind have.
pub(super) fn paths(kind: Kind) -> impl Iterator<Item = &'static str> {
    own(kind).map(|command| command.0)
}

fn missing(kind: Kind) -> impl Iterator<Item = &'static str> {
    MISSING.iter().filter(move |(_, kinds)| kinds.contains(&kind)).map(|(path, _)| *path)
}

pub(super) fn find(kind: Kind, path: &str) -> Option<Found> {
    let mut all = paths(kind).chain(missing(kind));
    if all.any(|command| command == path) || path.ends_with(".help") {
        return Some(Found::Command);
    }
    let is_group = |command: &str| command.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    paths(kind).chain(missing(kind)).any(is_group).then_some(Found::Group)
}

/// The names in a group.
pub(super) fn members(kind: Kind, group: &str) -> Vec<String> {
    let inside = |command: &'static str| match group {
        "" => command.split('.').next(),
        _ => command.strip_prefix(group)?.strip_prefix('.'),
    };
    let mut names: Vec<String> = paths(kind).chain(missing(kind)).filter_map(inside).map(String::from).collect();
    names.sort();
    names.dedup();
    names
}

/// The commands in a group, or what the named one is for.
pub(super) fn help(kind: Kind, group: &str, arguments: &[Argument]) -> Vec<String> {
    let prefix = if group.is_empty() { String::new() } else { format!("{group}.") };
    let wanted = arguments.first().map(|argument| prefix.clone() + &argument.value.plain());
    let is_wanted = |path: &str| wanted.as_ref().map_or(path.starts_with(&prefix), |wanted| path.starts_with(wanted));
    let served = own(kind).filter(|command| is_wanted(command.0));
    let served = served.map(|Command(path, _, takes, about)| format!("{path}{takes} - {about}"));
    let missing = missing(kind).filter(|path| is_wanted(path)).map(|path| format!("{path} - {NOT_SERVED}"));
    served.chain(missing).collect()
}

const NOT_SERVED: &str = "is not served by the admin API of this version; see CHANGELOG.md, Missing";

/// By name, or by place.
pub(super) fn argument(arguments: &[Argument], place: usize, name: &str) -> Result<Value, String> {
    let named = arguments.iter().find(|a| a.name.as_deref() == Some(name));
    let placed = || arguments.get(place).filter(|a| a.name.is_none());
    named.or_else(placed).map(|a| a.value.clone()).ok_or_else(|| format!("the argument {name} is missing"))
}

pub(super) fn check(arguments: &[Argument], names: &[&str]) -> Result<(), String> {
    let wrong = arguments.iter().filter_map(|a| a.name.as_deref()).find(|name| !names.contains(name));
    match wrong {
        Some(wrong) => Err(format!("{wrong} is no argument of it; there are {}", names.join(", "))),
        None if arguments.len() > names.len() => Err(format!("it takes at most {}", names.join(", "))),
        None => Ok(()),
    }
}

fn refused(status: tonic::Status) -> String {
    RpcError::from(status).to_string()
}

/// What a function among the arguments is applied to.
pub(super) async fn subject(node: &Node, path: &str, arguments: &[Argument]) -> Result<Subject, String> {
    match path {
        "domains.modify" => domains::subject(node, arguments).await.map(Subject::One),
        _ => Err(format!("{path} takes no function")),
    }
}

pub(super) async fn call(
    nodes: &BTreeMap<String, Node>,
    node: &Node,
    path: &str,
    arguments: Vec<Argument>,
) -> Result<Value, String> {
    match path {
        "name" => made(Value::text(&node.name)),
        "id" => {
            let member = status(node).await?.member;
            match member.is_empty() {
                true => Err("it has no identifier yet".into()),
                false => Ok(Value::Id(node.kind.id(), health::named(node.kind, &member).into())),
            }
        }
        "is_running" | "health.is_running" | "health.running" => Ok(Value::Bool(status(node).await.is_ok())),
        "health.status" => health::shown(node).await,
        // Who does not answer is neither.
        "health.active" => {
            Ok(Value::Bool(status(node).await.is_ok_and(|s| ["Active", "Online"].contains(&s.role.as_str()))))
        }
        "is_initialized" | "health.initialized" => Ok(Value::Bool(status(node).await.is_ok_and(|s| s.initialized))),
        "health.has_identity" => Ok(Value::Bool(status(node).await.is_ok_and(|s| !s.member.is_empty()))),
        "health.wait_for_running" => health::wait(node, |_| true).await,
        "health.wait_for_identity" => health::wait(node, |status| !status.member.is_empty()).await,
        "health.wait_for_initialized" => health::wait(node, |status| status.initialized).await,
        "health.ping" => health::ping(nodes, node, &arguments).await,
        "health.maybe_ping" => made(Value::option(health::ping(nodes, node, &arguments).await.ok())),
        "replication.set_passive" => {
            let request = SetPassiveRequest { node: node.name.clone(), dry_run: false };
            NodeServiceClient::new(node.admin.clone()).set_passive(request).await.map_err(refused)?;
            Ok(Value::Bool(true))
        }
        "setup.bootstrap_domain" => {
            check(&arguments, &["sequencers", "mediators"])?;
            let sequencers = targets(nodes, &argument(&arguments, 0, "sequencers")?)?;
            let mediators = targets(nodes, &argument(&arguments, 1, "mediators")?)?;
            bootstrap(node, &sequencers, &mediators).await.map(|()| Value::Unit)
        }
        _ if path.starts_with("domains.") => domains::call(nodes, node, path, &arguments).await,
        _ => ledger::call(node, path, &arguments).await,
    }
}

/// `health.status` of the console.
pub(super) async fn all_statuses(nodes: impl Iterator<Item = &Node>) -> Result<Value, String> {
    let mut shown = Vec::new();
    for node in nodes {
        let status = match health::shown(node).await {
            Ok(status) => status.plain(),
            Err(why) => format!("Failure({why})"),
        };
        shown.push(format!("Status for {}:\n{status}", node.reference("").label));
    }
    Ok(Value::Report("CantonStatus", shown.join("\n\n").into()))
}

async fn status(node: &Node) -> Result<NodeStatus, String> {
    Ok(health::ask(node).await?.0)
}

/// The nodes of a reference, or of a sequence of them.
fn targets<'a>(nodes: &'a BTreeMap<String, Node>, value: &Value) -> Result<Vec<&'a Node>, String> {
    let each = value.items().unwrap_or(std::slice::from_ref(value));
    let node = |value: &Value| match value {
        Value::Reference(reference) => {
            nodes.get(&reference.path).ok_or_else(|| format!("{} is no node", reference.label))
        }
        other => Err(format!("a node is needed, this is {}", other.type_name())),
    };
    each.iter().map(node).collect()
}

fn uris(nodes: &[&Node]) -> Result<Vec<String>, String> {
    let uris = nodes.iter().map(|node| node.sequencers().map(|sequencers| sequencers.uris));
    Ok(uris.collect::<Result<Vec<_>, _>>()?.concat())
}

async fn bootstrap(manager: &Node, sequencers: &[&Node], mediators: &[&Node]) -> Result<(), String> {
    let (Some(first), [mediator]) = (sequencers.first(), mediators) else {
        return Err("it needs a sequencer, and one mediator: further ones cannot be added yet".into());
    };
    if first.kind != Kind::Sequencer || mediator.kind != Kind::Mediator {
        return Err("it needs a sequence of sequencers and one of mediators".into());
    }
    let founding = demo::Founding {
        sequencer: first.admin.clone(),
        mediator: mediator.admin.clone(),
        manager: manager.admin.clone(),
        endpoints: uris(sequencers)?,
    };
    demo::found(founding).await.map_err(refused)
}
