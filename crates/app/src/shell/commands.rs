//! The commands of nodes: which there are, and the calls that they are.
//!
//! `health.rs` how a node is · `ledger.rs` what the Ledger API is asked.

mod health;
mod ledger;

use super::nodes::{Kind, Node};
use ::console::{Argument, Value};
use rpc::{
    RpcError,
    services::concordat::admin::v1::{
        node_service_client::NodeServiceClient, participant_admin_service_client::ParticipantAdminServiceClient,
    },
};
use std::collections::BTreeMap;
use wire::concordat::admin::v1::*;

use Kind::{Domain, Manager, Mediator, Participant, Sequencer};

/// A command: its path, the nodes that have it, what it takes, what it is for.
struct Command(&'static str, &'static [Kind], &'static str, &'static str);

const ALL: &[Kind] = &[Participant, Sequencer, Mediator, Manager, Domain];
const CONNECTED: &[Kind] = &[Mediator, Manager];

const COMMANDS: [Command; 22] = [
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
    Command("replication.set_passive", ALL, "", "Hand over to another replica; fails if none takes over"),
    Command("setup.bootstrap_domain", &[Manager], "(sequencers, mediators)", "Found the synchronizer"),
    Command(
        "domains.connect",
        &[Participant],
        OF_CONNECT,
        "Register a synchronizer by the URI of a sequencer, and connect",
    ),
    Command(
        "domains.connect_multi",
        &[Participant],
        "(alias, connections, synchronize)",
        "The same by several sequencers",
    ),
    Command("domains.connect_local", &[Participant], OF_CONNECT_LOCAL, "The same by a node of the console"),
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
const OF_CONNECT: &str = "(alias, connection, manualConnect, synchronize)";
const OF_CONNECT_LOCAL: &str = "(node, manualConnect, alias, synchronize)";

/// The field's commands that the admin API does not serve yet.
const MISSING: [(&str, &[Kind]); 17] = [
    ("health.ping", &[Participant]),
    ("health.dump", ALL),
    ("setup.init", &[Manager]),
    ("setup.onboard_new_sequencer", &[Manager]),
    ("setup.authorize_mediator", &[Manager]),
    ("initialization.bootstrap_topology", &[Sequencer]),
    ("initialization.initialize_from_beginning", &[Sequencer]),
    ("mediator.initialize", &[Mediator]),
    ("sequencer_connection.get", CONNECTED),
    ("sequencer_connection.set", CONNECTED),
    ("domains.register", &[Participant]),
    ("domains.modify", &[Participant]),
    ("domains.reconnect", &[Participant]),
    ("domains.reconnect_all", &[Participant]),
    ("domains.disconnect", &[Participant]),
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
fn argument(arguments: &[Argument], place: usize, name: &str) -> Result<Value, String> {
    let named = arguments.iter().find(|a| a.name.as_deref() == Some(name));
    let placed = || arguments.get(place).filter(|a| a.name.is_none());
    named.or_else(placed).map(|a| a.value.clone()).ok_or_else(|| format!("the argument {name} is missing"))
}

fn check(arguments: &[Argument], names: &[&str]) -> Result<(), String> {
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
        "health.active" => Ok(Value::Bool(["Active", "Online"].contains(&status(node).await?.role.as_str()))),
        "is_initialized" | "health.initialized" => Ok(Value::Bool(status(node).await?.initialized)),
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
        _ if path.starts_with("domains.") => domains(nodes, node, path, &arguments).await,
        _ => ledger::call(node, path, &arguments).await,
    }
}

async fn domains(
    nodes: &BTreeMap<String, Node>,
    node: &Node,
    path: &str,
    arguments: &[Argument],
) -> Result<Value, String> {
    match path {
        "domains.connect_local" => {
            check(arguments, &["node", "manualConnect", "alias", "synchronize"])?;
            let sequencers = targets(nodes, &argument(arguments, 0, "node")?)?;
            let alias = argument(arguments, 2, "alias").map(|alias| alias.plain());
            let name = sequencers.first().map(|node| node.name.clone()).unwrap_or_default();
            connect(node, alias.unwrap_or(name), uris(&sequencers)?, manual(arguments, 1)?).await
        }
        "domains.connect" | "domains.connect_multi" => {
            let is_one = path == "domains.connect";
            let second = if is_one { "connection" } else { "connections" };
            let third: &[&str] = if is_one { &["manualConnect", "synchronize"] } else { &["synchronize"] };
            check(arguments, &[&["alias", second], third].concat())?;
            let connections = argument(arguments, 1, second)?;
            let each = connections.items().unwrap_or(std::slice::from_ref(&connections));
            let uri = |value: &Value| match value {
                Value::Text(uri) => Ok(vec![uri.to_string()]),
                other => uris(&targets(nodes, other)?),
            };
            let uris = each.iter().map(uri).collect::<Result<Vec<_>, _>>()?.concat();
            let is_manual = is_one && manual(arguments, 2)?;
            connect(node, argument(arguments, 0, "alias")?.plain(), uris, is_manual).await
        }
        "domains.list_connected" => {
            let connected = registered(node).await?.into_iter().filter(|synchronizer| synchronizer.connected);
            let shown = connected.map(|s| {
                let fields = vec![
                    ("domainAlias", alias(&s.alias)),
                    ("domainId", Value::Id("DomainId", s.synchronizer_id.into())),
                ];
                Value::record("ListConnectedDomainsResult", fields)
            });
            made(shown.collect::<Result<_, _>>().and_then(Value::vector))
        }
        "domains.list_registered" => {
            let shown = registered(node).await?.into_iter().map(|s| {
                let fields =
                    vec![("domain", alias(&s.alias)), ("domainId", Value::Id("DomainId", s.synchronizer_id.into()))];
                Value::tuple(vec![Value::record("DomainConnectionConfig", fields)?, Value::Bool(s.connected)])
            });
            made(shown.collect::<Result<_, _>>().and_then(Value::vector))
        }
        "domains.is_registered" => {
            check(arguments, &["alias"])?;
            let alias = argument(arguments, 0, "alias")?.plain();
            Ok(Value::Bool(registered(node).await?.iter().any(|s| s.alias == alias)))
        }
        _ => Err(format!("{path} {NOT_SERVED}")),
    }
}

/// An identifier that has been written as text, or that is made of a unique one.
pub(super) fn identifier(kind: &'static str, is_made: bool, arguments: &[Argument]) -> Result<Value, String> {
    check(arguments, &["text"])?;
    let given = argument(arguments, 0, "text")?.plain();
    let prefix = if kind == "ParticipantId" { "PAR::" } else { "" };
    let text = if is_made { format!("{prefix}{given}") } else { given };
    let unique = text.strip_prefix(prefix).ok_or_else(|| format!("{text} does not begin with {prefix}"))?;
    let _: base::Uid = unique.parse().map_err(|error| format!("{text}: {error}"))?;
    Ok(Value::Id(kind, text.into()))
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

fn made(value: Result<Value, ::console::Problem>) -> Result<Value, String> {
    value.map_err(|problem| problem.to_string())
}

fn alias(alias: &str) -> Value {
    Value::Report("DomainAlias", format!("Domain '{alias}'").into())
}

/// Whether the active replica of a participant is to leave it to operators to connect again.
fn manual(arguments: &[Argument], place: usize) -> Result<bool, String> {
    match argument(arguments, place, "manualConnect") {
        Ok(Value::Bool(is_manual)) => Ok(is_manual),
        Ok(other) => Err(format!("manualConnect is true or false, not {}", other.type_name())),
        Err(_) => Ok(false),
    }
}

async fn registered(node: &Node) -> Result<Vec<SynchronizerStatus>, String> {
    let mut client = ParticipantAdminServiceClient::new(node.admin.clone());
    let answer = client.list_synchronizers(ListSynchronizersRequest {}).await.map_err(refused)?;
    Ok(answer.into_inner().synchronizers)
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
    let uri = |node: &&Node| {
        node.public.clone().ok_or_else(|| format!("{} has no public-api in the configuration", node.name))
    };
    nodes.iter().map(uri).collect()
}

async fn connect(node: &Node, alias: String, sequencers: Vec<String>, manual_connect: bool) -> Result<Value, String> {
    let request = ConnectSynchronizerRequest { alias, sequencers, manual_connect };
    let mut client = ParticipantAdminServiceClient::new(node.admin.clone());
    client.connect_synchronizer(request).await.map_err(refused)?;
    Ok(Value::Unit)
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
