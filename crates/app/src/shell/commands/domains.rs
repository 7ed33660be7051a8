//! `domains.*` of participants.

use super::{NOT_SERVED, Node, argument, check, refused, targets};
use crate::shell::{
    connections::{self, Sequencers},
    made,
};
use ::console::{Argument, Value};
use rpc::services::concordat::admin::v1::participant_admin_service_client::ParticipantAdminServiceClient;
use std::collections::BTreeMap;
use tonic::transport::Channel;
use wire::concordat::admin::v1::*;

fn client(node: &Node) -> ParticipantAdminServiceClient<Channel> {
    ParticipantAdminServiceClient::new(node.admin.clone())
}

pub(super) async fn call(
    nodes: &BTreeMap<String, Node>,
    node: &Node,
    path: &str,
    arguments: &[Argument],
) -> Result<Value, String> {
    let takes = |names: &[&str]| check(arguments, names);
    match path {
        "domains.connect_local" => {
            takes(&["node", "manualConnect", "alias", "maxRetryDelayMillis", "priority", "synchronize"])?;
            let target = argument(arguments, 0, "node")?;
            let sequencers = Sequencers::read(nodes, &target)?;
            let alias = argument(arguments, 2, "alias").ok().filter(|alias| !matches!(alias.items(), Some([])));
            let alias = alias.map(|alias| alias.items().and_then(<[_]>::first).unwrap_or(&alias).plain());
            let name = targets(nodes, &target)?.first().map(|node| node.name.clone()).unwrap_or_default();
            let config = SynchronizerConfig {
                manual_connect: manual(arguments, 1)?,
                priority: priority(arguments, 4)?,
                ..of(alias.unwrap_or(name), sequencers)
            };
            connect(node, config).await.map(|_| Value::Unit)
        }
        "domains.connect" if arguments.first().is_some_and(|a| a.value.record_name().is_some()) => {
            takes(&["config", "synchronize"])?;
            connect(node, connections::read_config(nodes, &argument(arguments, 0, "config")?)?).await
        }
        "domains.connect" => connect(node, one(nodes, arguments)?).await,
        "domains.connect_multi" => {
            takes(&["alias", "connections", "synchronize"])?;
            let sequencers = Sequencers::read(nodes, &argument(arguments, 1, "connections")?)?;
            connect(node, of(connections::alias(&argument(arguments, 0, "alias")?), sequencers)).await
        }
        "domains.register" => {
            takes(&["config"])?;
            let config = connections::read_config(nodes, &argument(arguments, 0, "config")?)?;
            let request = RegisterSynchronizerRequest { config: Some(config) };
            client(node).register_synchronizer(request).await.map_err(refused)?;
            Ok(Value::Unit)
        }
        "domains.modify" => {
            takes(&["alias", "modifier"])?;
            let config = connections::read_config(nodes, &argument(arguments, 1, "modifier")?)?;
            let alias = connections::alias(&argument(arguments, 0, "alias")?);
            if config.alias != alias {
                return Err(format!("{alias} cannot be given another name; register the synchronizer anew"));
            }
            let request = ModifySynchronizerRequest { config: Some(config) };
            client(node).modify_synchronizer(request).await.map_err(refused)?;
            Ok(Value::Unit)
        }
        _ => connection(nodes, node, path, arguments).await,
    }
}

/// The arguments of `domains.connect`.
fn one(nodes: &BTreeMap<String, Node>, arguments: &[Argument]) -> Result<SynchronizerConfig, String> {
    let names = [
        "alias",
        "connection",
        "manualConnect",
        "domainId",
        "certificatesPath",
        "priority",
        "timeTrackerConfig",
        "synchronize",
    ];
    check(arguments, &names)?;
    let mut sequencers = Sequencers::read(nodes, &argument(arguments, 1, "connection")?)?;
    if let Ok(path) = argument(arguments, 4, "certificatesPath").map(|path| path.plain())
        && !path.is_empty()
    {
        sequencers.trust = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    }
    let id = argument(arguments, 3, "domainId").ok();
    let id = id.map(|id| id.items().map_or_else(|| id.plain(), |some| some.iter().map(Value::plain).collect()));
    Ok(SynchronizerConfig {
        manual_connect: manual(arguments, 2)?,
        priority: priority(arguments, 5)?,
        synchronizer_id: id.unwrap_or_default(),
        ..of(connections::alias(&argument(arguments, 0, "alias")?), sequencers)
    })
}

/// Commands about what is registered.
async fn connection(
    nodes: &BTreeMap<String, Node>,
    node: &Node,
    path: &str,
    arguments: &[Argument],
) -> Result<Value, String> {
    let alias = || argument(arguments, 0, "alias").map(|alias| connections::alias(&alias));
    match path {
        "domains.reconnect" => {
            check(arguments, &["alias", "retry", "synchronize"])?;
            let retry = flag(arguments, 1, "retry", true)?;
            let request = ReconnectSynchronizerRequest { alias: alias()?, retry };
            let answer = client(node).reconnect_synchronizer(request).await.map_err(refused)?;
            Ok(Value::Bool(answer.into_inner().connected))
        }
        "domains.reconnect_all" => {
            check(arguments, &["ignoreFailures", "synchronize"])?;
            let ignore_failures = flag(arguments, 0, "ignoreFailures", true)?;
            let request = ReconnectSynchronizersRequest { ignore_failures };
            client(node).reconnect_synchronizers(request).await.map_err(refused)?;
            Ok(Value::Unit)
        }
        "domains.disconnect" => {
            check(arguments, &["alias"])?;
            disconnect(node, alias()?).await
        }
        "domains.disconnect_all" => {
            check(arguments, &[])?;
            for status in registered(node).await?.into_iter().filter(|status| status.connected) {
                disconnect(node, status.config.unwrap_or_default().alias).await?;
            }
            Ok(Value::Unit)
        }
        "domains.list_connected" => {
            let is_healthy = super::status(node).await?.trouble.is_empty();
            let connected = registered(node).await?.into_iter().filter(|synchronizer| synchronizer.connected);
            let shown = connected.map(|status| {
                let fields = vec![
                    ("domainAlias", connections::shown_alias(&status.config.unwrap_or_default().alias)),
                    ("domainId", Value::Id("DomainId", status.synchronizer_id.into())),
                    ("healthy", Value::Bool(is_healthy)),
                ];
                Value::record("ListConnectedDomainsResult", fields)
            });
            made(shown.collect::<Result<_, _>>().and_then(Value::vector))
        }
        "domains.list_registered" => {
            let shown = registered(node).await?.iter().map(connections::registered).collect::<Result<_, _>>()?;
            made(Value::vector(shown))
        }
        "domains.is_registered" => {
            check(arguments, &["alias"])?;
            Ok(Value::Bool(find(node, &alias()?).await?.is_some()))
        }
        "domains.is_connected" | "domains.active" => {
            check(arguments, &["reference"])?;
            let wanted = argument(arguments, 0, "reference")?;
            is_connected(nodes, node, &wanted).await.map(Value::Bool)
        }
        "domains.config" => {
            check(arguments, &["alias"])?;
            let config = find(node, &alias()?).await?.and_then(|status| status.config);
            let shown = config.as_ref().map(connections::config).transpose()?;
            made(Value::option(shown))
        }
        "domains.id_of" => {
            check(arguments, &["alias"])?;
            let alias = alias()?;
            let status = find(node, &alias).await?.ok_or_else(|| unknown(&alias))?;
            Ok(Value::Id("DomainId", status.synchronizer_id.into()))
        }
        _ => Err(format!("{path} {NOT_SERVED}")),
    }
}

/// What `domains.modify` changes.
pub(super) async fn subject(node: &Node, arguments: &[Argument]) -> Result<Value, String> {
    let alias = connections::alias(&argument(arguments, 0, "alias")?);
    let status = find(node, &alias).await?.ok_or_else(|| unknown(&alias))?;
    connections::config(&status.config.unwrap_or_default())
}

fn unknown(alias: &str) -> String {
    format!("no synchronizer is registered as {alias}; domains.list_registered shows those that are")
}

pub(in crate::shell) async fn registered(node: &Node) -> Result<Vec<SynchronizerStatus>, String> {
    let answer = client(node).list_synchronizers(ListSynchronizersRequest {}).await.map_err(refused)?;
    Ok(answer.into_inner().synchronizers)
}

async fn find(node: &Node, alias: &str) -> Result<Option<SynchronizerStatus>, String> {
    let is_it = |status: &SynchronizerStatus| status.config.as_ref().is_some_and(|config| config.alias == alias);
    Ok(registered(node).await?.into_iter().find(is_it))
}

/// By the synchronizer's identifier or by a node of it; by its alias.
async fn is_connected(nodes: &BTreeMap<String, Node>, node: &Node, wanted: &Value) -> Result<bool, String> {
    let connected: Vec<_> = registered(node).await?.into_iter().filter(|status| status.connected).collect();
    let id = match wanted {
        Value::Id(_, id) => id.to_string(),
        Value::Reference(_) => {
            let uris = Sequencers::read(nodes, wanted)?.uris;
            let uses = |status: &SynchronizerStatus| {
                status.config.iter().any(|config| config.sequencers.iter().any(|uri| uris.contains(uri)))
            };
            return Ok(connected.iter().any(uses));
        }
        other => {
            let alias = connections::alias(other);
            return Ok(connected.iter().any(|s| s.config.as_ref().is_some_and(|config| config.alias == alias)));
        }
    };
    Ok(connected.iter().any(|status| status.synchronizer_id == id))
}

async fn disconnect(node: &Node, alias: String) -> Result<Value, String> {
    client(node).disconnect_synchronizer(DisconnectSynchronizerRequest { alias }).await.map_err(refused)?;
    Ok(Value::Unit)
}

fn of(alias: String, sequencers: Sequencers) -> SynchronizerConfig {
    let Sequencers { uris, trust } = sequencers;
    SynchronizerConfig { alias, sequencers: uris, trust_certificates: trust, ..SynchronizerConfig::default() }
}

async fn connect(node: &Node, config: SynchronizerConfig) -> Result<Value, String> {
    let shown = connections::config(&config)?;
    let request = ConnectSynchronizerRequest { config: Some(config) };
    client(node).connect_synchronizer(request).await.map_err(refused)?;
    Ok(shown)
}

/// Whether the active replica of a participant is to leave it to operators to connect again.
fn manual(arguments: &[Argument], place: usize) -> Result<bool, String> {
    flag(arguments, place, "manualConnect", false)
}

fn flag(arguments: &[Argument], place: usize, name: &str, usual: bool) -> Result<bool, String> {
    match argument(arguments, place, name) {
        Ok(Value::Bool(flag)) => Ok(flag),
        Ok(other) => Err(format!("{name} is true or false, not {}", other.type_name())),
        Err(_) => Ok(usual),
    }
}

fn priority(arguments: &[Argument], place: usize) -> Result<i32, String> {
    match argument(arguments, place, "priority") {
        Ok(Value::Int(priority)) => priority.try_into().map_err(|_| "the priority is too large".into()),
        Ok(other) => Err(format!("the priority is a number, not {}", other.type_name())),
        Err(_) => Ok(0),
    }
}
