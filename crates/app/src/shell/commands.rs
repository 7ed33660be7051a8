//! The commands of nodes: which there are, and the calls that they are.
//!
//! `list.rs` which there are · `setup.rs` founding step by step · `keys.rs` keys · `topology.rs` what nodes know of the synchronizer ·
//! `domains.rs` synchronizers of a participant · `health.rs` how a node is · `ledger.rs` what the Ledger API is asked.

mod domains;
mod health;
mod keys;
mod ledger;
mod list;
mod setup;
mod topology;

pub(super) use domains::registered;
pub(super) use health::ask as status_of;
pub(super) use topology::dynamic_parameters;

use super::{
    made,
    nodes::{Kind, Node},
};
use ::console::{Argument, Subject, Value};
use base::ParticipantId;
use rpc::{RpcError, services::concordat::admin::v1::node_service_client::NodeServiceClient};
use std::collections::BTreeMap;
use wire::concordat::admin::v1::{NodeStatus, SetPassiveRequest};

use Kind::Participant;
use list::{COMMANDS, Command};

/// What commands of `setup.rs` begin with.
const FOUNDING: [&str; 4] = ["initialization.", "mediator.", "setup.", "sequencer_connection."];

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

pub(super) fn find(kind: Kind, path: &str) -> Option<Found> {
    if paths(kind).any(|command| command == path) || path.ends_with(".help") {
        return Some(Found::Command);
    }
    let is_group = |command: &str| command.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    paths(kind).any(is_group).then_some(Found::Group)
}

/// The names in a group.
pub(super) fn members(kind: Kind, group: &str) -> Vec<String> {
    let inside = |command: &'static str| match group {
        "" => command.split('.').next(),
        _ => command.strip_prefix(group)?.strip_prefix('.'),
    };
    let mut names: Vec<String> = paths(kind).filter_map(inside).map(String::from).collect();
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
    served.map(|Command(path, _, takes, about)| format!("{path}{takes} - {about}")).collect()
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
        "ledger_api.acs.find_generic" => ledger::subject(node, arguments).await.map(Subject::First),
        "sequencer_connection.modify" => setup::subject(node).await.map(Subject::One),
        "service.update_dynamic_domain_parameters" => topology::subject(node).await.map(Subject::One),
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
            setup::bootstrap(node, &sequencers, &mediators).await.map(|()| Value::Unit)
        }
        "parties.list" | "parties.hosted" => topology::parties(node, path, &arguments).await,
        "sequencerConnection" => node.sequencers()?.connection(),
        _ if path.starts_with("keys.") || path.ends_with(".rotate_key") => {
            keys::call(nodes, node, path, &arguments).await
        }
        _ if path.starts_with("topology.") || path.starts_with("participants.") || path.starts_with("service.") => {
            topology::call(nodes, node, path, &arguments).await
        }
        _ if FOUNDING.iter().any(|group| path.starts_with(group)) => setup::call(nodes, node, path, &arguments).await,
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

/// A participant, by its identifier or by its node.
async fn participant_id(nodes: &BTreeMap<String, Node>, value: &Value) -> Result<ParticipantId, String> {
    let text = match value {
        Value::Id("ParticipantId", id) => id.to_string(),
        Value::Reference(_) => match targets(nodes, value)?.as_slice() {
            [other] if other.kind == Participant => status(other).await?.member,
            _ => return Err("a participant is needed".into()),
        },
        other => return Err(format!("a participant is needed, this is {}", other.type_name())),
    };
    let uid = text.strip_prefix("PAR::").unwrap_or(&text);
    uid.parse().map_err(|error| format!("{text}: {error}"))
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
