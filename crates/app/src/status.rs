//! `concordat status`: the demo's table for any running network.

use crate::{
    cli::{Output, Status},
    daemon::tls::{client, own_client},
};
use config::{Api, Config, LoadError};
use rpc::{
    ChannelConfig, ClientTls, TlsError, connect_lazy,
    services::concordat::admin::v1::node_service_client::NodeServiceClient,
};
use serde_json::json;
use std::{collections::BTreeSet, process::ExitCode, time::Duration};
use tonic::transport::Channel;
use wire::concordat::admin::v1::{NodeKind, StatusRequest, StatusResponse};

const TIMEOUT: Duration = Duration::from_secs(2);
/// Not every node answered.
const INCOMPLETE: u8 = 3;

/// Nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StatusError {
    #[error(transparent)]
    Config(#[from] LoadError),
    #[error("{node}: {source}")]
    Tls { node: String, source: TlsError },
}

/// An admin API and how it is called in the configuration.
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) uri: String,
    tls: ClientTls,
}

/// Asks every node of the configuration, local or remote; exit code 3 if one does not answer.
pub(crate) async fn run(options: &Status) -> Result<ExitCode, StatusError> {
    let (config, _) = options.source.load()?;
    let asked = targets(&config)?.into_iter().map(|target| async move {
        let answer = target.ask().await.ok();
        (target, answer)
    });
    let mut answers = futures::future::join_all(asked).await;
    // Every node of a process tells of all of them.
    let mut shown = BTreeSet::new();
    for (target, answer) in &mut answers {
        let host = target.uri.rsplit_once(':').map(|(host, _)| host.to_owned());
        if let Some(answer) = answer {
            answer.nodes.retain(|node| {
                let ports: Vec<u32> = node.ports.iter().map(|p| p.port).collect();
                shown.insert((host.clone(), node.name.clone(), ports))
            });
        }
    }
    let all_answer = answers.iter().all(|(_, answer)| answer.is_some());
    crate::print(&match options.output {
        Output::Json => json(&answers),
        Output::Table => table(&answers),
    });
    Ok(if all_answer { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

/// Several nodes may share a port, and a node may be named twice.
fn targets(config: &Config) -> Result<Vec<Target>, StatusError> {
    let mut seen = BTreeSet::new();
    let mut found = all_targets(config)?;
    found.retain(|target| seen.insert(target.uri.clone()));
    Ok(found)
}

/// The admin API of every node that the configuration names.
pub(crate) fn all_targets(config: &Config) -> Result<Vec<Target>, StatusError> {
    let managers = config.managers.values().map(|n| &n.node);
    let mediators = config.mediators.values().map(|n| &n.node);
    let sequencers = config.sequencers.values().chain(config.domains.values()).map(|n| &n.node);
    let participants = config.participants.values().map(|n| &n.node);
    let mut found = Vec::new();
    for node in managers.chain(mediators).chain(sequencers).chain(participants) {
        let tls = node.admin_api.tls.as_deref().map(own_client).transpose();
        found.push(Target::new(&node.name, &node.admin_api, tls)?);
    }
    for remote in config.remotes.values() {
        let tls = remote.admin_tls.as_ref().map(client).transpose();
        found.push(Target::new(&remote.name, &remote.admin_api, tls)?);
    }
    Ok(found)
}

impl Target {
    fn new(name: &str, api: &Api, tls: Result<Option<ClientTls>, TlsError>) -> Result<Self, StatusError> {
        let tls = tls.map_err(|source| StatusError::Tls { node: name.to_owned(), source })?;
        let uri = uri(api, tls.is_some());
        Ok(Self { name: name.to_owned(), uri, tls: tls.unwrap_or_default() })
    }

    /// How the node's process is asked; nothing is sent yet.
    pub(crate) fn client(&self) -> Result<NodeServiceClient<Channel>, tonic::transport::Error> {
        let config = ChannelConfig { tls: self.tls.clone(), ..ChannelConfig::default() };
        Ok(NodeServiceClient::new(connect_lazy(&self.uri, &config)?))
    }

    pub(crate) async fn ask(&self) -> Result<StatusResponse, String> {
        let mut client = self.client().map_err(|error| error.to_string())?;
        match tokio::time::timeout(TIMEOUT, client.status(StatusRequest {})).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(status.message().to_owned()),
            Err(_late) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
        }
    }
}

/// Where a server is reached.
pub(crate) fn uri(api: &Api, is_encrypted: bool) -> String {
    let scheme = if is_encrypted { "https" } else { "http" };
    // Where a server listens on all addresses, it is reached on the loopback address.
    let any = ["0.0.0.0", "::", "[::]"].contains(&api.address.as_str());
    let address = if any { "localhost" } else { &api.address };
    format!("{scheme}://{address}:{}", api.port)
}

fn json(answers: &[(Target, Option<StatusResponse>)]) -> String {
    let nodes: Vec<_> = answers
        .iter()
        .flat_map(|(target, answer)| match answer {
            None => vec![json!({ "name": target.name, "admin": target.uri, "role": "down" })],
            Some(answer) => answer
                .nodes
                .iter()
                .map(|node| {
                    let ports: serde_json::Map<_, _> =
                        node.ports.iter().map(|p| (p.name.clone(), p.port.into())).collect();
                    json!({
                        "name": node.name, "kind": kind(node.kind()), "admin": target.uri, "role": node.role,
                        "epoch": node.epoch, "initialized": node.initialized, "member": node.member, "ports": ports,
                        "lag_ms": node.lag_ms, "active_replica": node.active_replica,
                        "resident_bytes": answer.resident_bytes, "uptime_ms": answer.uptime_ms,
                        "version": answer.version,
                    })
                })
                .collect(),
        })
        .collect();
    format!("{:#}", json!({ "nodes": nodes }))
}

fn kind(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Participant => "participant",
        NodeKind::Sequencer => "sequencer",
        NodeKind::Mediator => "mediator",
        NodeKind::Manager => "manager",
        NodeKind::Domain => "domain",
        NodeKind::Unspecified => "unknown",
    }
}

fn table(answers: &[(Target, Option<StatusResponse>)]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["node", "kind", "role", "epoch", "ports", "lag", "memory", "uptime"]);
    for (target, answer) in answers {
        let Some(answer) = answer else {
            table.add_row([target.name.as_str(), "-", "down", "-", target.uri.as_str(), "-", "-", "-"]);
            continue;
        };
        for node in &answer.nodes {
            let ports: Vec<String> = node.ports.iter().map(|p| format!("{} {}", p.name, p.port)).collect();
            table.add_row([
                node.name.clone(),
                kind(node.kind()).to_owned(),
                node.role.clone(),
                node.epoch.to_string(),
                ports.join(", "),
                node.lag_ms.map_or_else(|| "-".into(), |ms| format!("{ms} ms")),
                format!("{} MB", answer.resident_bytes / 1_048_576),
                format!("{} s", answer.uptime_ms / 1000),
            ]);
        }
    }
    table.to_string()
}
