//! The commands of nodes: which there are, and the calls that they are.

use super::nodes::{Kind, Node};
use ::console::{Argument, Value};
use canton_proto::com::daml::ledger::api::v2::admin::{
    AllocatePartyRequest, party_management_service_client::PartyManagementServiceClient,
};
use rpc::{
    RpcError,
    services::concordat::admin::v1::{
        node_service_client::NodeServiceClient, participant_admin_service_client::ParticipantAdminServiceClient,
    },
};
use std::collections::BTreeMap;
use wire::concordat::admin::v1::*;

const OF_ALL: [&str; 5] =
    ["name", "health.active", "health.is_running", "health.initialized", "replication.set_passive"];
const OF_PARTICIPANTS: [&str; 5] =
    ["domains.connect", "domains.connect_multi", "domains.connect_local", "domains.list_connected", "parties.enable"];
const OF_MANAGERS: [&str; 1] = ["setup.bootstrap_domain"];

/// The field's commands that the admin API does not serve yet.
const MISSING: [&str; 22] = [
    "health.status",
    "health.ping",
    "health.dump",
    "setup.init",
    "setup.onboard_new_sequencer",
    "setup.authorize_mediator",
    "initialization.bootstrap_topology",
    "initialization.initialize_from_beginning",
    "mediator.initialize",
    "sequencer_connection.get",
    "sequencer_connection.set",
    "domains.register",
    "domains.modify",
    "domains.reconnect",
    "domains.reconnect_all",
    "domains.disconnect",
    "domains.list_registered",
    "domains.is_connected",
    "dars.upload",
    "dars.list",
    "parties.list",
    "parties.hosted",
];

/// What a path of names is.
pub(super) enum Found {
    Command,
    Group,
}

fn commands(kind: Kind) -> impl Iterator<Item = &'static str> {
    let own: &[&str] = match kind {
        Kind::Participant => &OF_PARTICIPANTS,
        Kind::Manager => &OF_MANAGERS,
        _ => &[],
    };
    OF_ALL.into_iter().chain(own.iter().copied())
}

pub(super) fn find(kind: Kind, path: &str) -> Option<Found> {
    if commands(kind).chain(MISSING).any(|command| command == path) {
        return Some(Found::Command);
    }
    let is_group = |command: &str| command.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    commands(kind).chain(MISSING).any(is_group).then_some(Found::Group)
}

/// The names in a group.
pub(super) fn members(kind: Kind, group: &str) -> Vec<String> {
    let inside = |command: &'static str| match group {
        "" => command.split('.').next(),
        _ => command.strip_prefix(group)?.strip_prefix('.'),
    };
    let mut names: Vec<String> = commands(kind).filter_map(inside).map(String::from).collect();
    names.dedup();
    names
}

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
    let text = |text: &str| Value::text(text).map_err(|problem| problem.to_string());
    match path {
        "name" => text(&node.name),
        "health.is_running" => Ok(Value::Bool(status(node).await.is_ok())),
        "health.active" => Ok(Value::Bool(["Active", "Online"].contains(&status(node).await?.role.as_str()))),
        "health.initialized" => Ok(Value::Bool(status(node).await?.initialized)),
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
        "domains.connect_local" => {
            check(&arguments, &["node", "alias"])?;
            let sequencers = targets(nodes, &argument(&arguments, 0, "node")?)?;
            let alias = argument(&arguments, 1, "alias").map(|alias| alias.plain());
            let name = sequencers.first().map(|node| node.name.clone()).unwrap_or_default();
            connect(node, alias.unwrap_or(name), uris(&sequencers)?).await
        }
        "domains.connect" | "domains.connect_multi" => {
            let second = if path == "domains.connect" { "connection" } else { "connections" };
            check(&arguments, &["alias", second])?;
            let connections = argument(&arguments, 1, second)?;
            let each = connections.items().unwrap_or(std::slice::from_ref(&connections));
            let uri = |value: &Value| match value {
                Value::Text(uri) => Ok(vec![uri.to_string()]),
                other => uris(&targets(nodes, other)?),
            };
            let uris = each.iter().map(uri).collect::<Result<Vec<_>, _>>()?.concat();
            connect(node, argument(&arguments, 0, "alias")?.plain(), uris).await
        }
        "domains.list_connected" => {
            let mut client = ParticipantAdminServiceClient::new(node.admin.clone());
            let answer = client.list_synchronizers(ListSynchronizersRequest {}).await.map_err(refused)?.into_inner();
            let connected = answer.synchronizers.into_iter().filter(|synchronizer| synchronizer.connected);
            let shown = connected.map(|s| {
                let fields = vec![
                    ("domainAlias", Value::Id("DomainAlias", format!("Domain '{}'", s.alias).into())),
                    ("domainId", Value::Id("DomainId", s.synchronizer_id.into())),
                ];
                Value::record("ListConnectedDomainsResult", fields)
            });
            shown.collect::<Result<_, _>>().and_then(Value::vector).map_err(|problem| problem.to_string())
        }
        "parties.enable" => {
            check(&arguments, &["name"])?;
            let hint = argument(&arguments, 0, "name")?.plain();
            let ledger = node.ledger.clone().ok_or("its ledger-api is not in the configuration")?;
            let request = AllocatePartyRequest { party_id_hint: hint, ..AllocatePartyRequest::default() };
            let answer = PartyManagementServiceClient::new(ledger).allocate_party(request).await.map_err(refused)?;
            let party = answer.into_inner().party_details.ok_or("it answers without a party")?.party;
            Ok(Value::Id("PartyId", party.into()))
        }
        _ => Err(format!("{path} is not served by the admin API of this version; see CHANGELOG.md, Missing")),
    }
}

async fn status(node: &Node) -> Result<NodeStatus, String> {
    let answer = NodeServiceClient::new(node.admin.clone()).status(StatusRequest {}).await.map_err(refused)?;
    let nodes = answer.into_inner().nodes;
    // A remote node may be called otherwise in its own process.
    let found = nodes.iter().find(|status| status.name == node.name).or(nodes.first()).cloned();
    found.ok_or_else(|| "the process runs no node".into())
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

async fn connect(node: &Node, alias: String, sequencers: Vec<String>) -> Result<Value, String> {
    let request = ConnectSynchronizerRequest { alias, sequencers, manual_connect: false };
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
