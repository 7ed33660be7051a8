//! `concordat lb haproxy`: a load balancer's configuration for the nodes of a configuration.
//!
//! Each logical node has a frontend for each of its APIs, and its replicas behind it, asked for their health over HTTP.
//! Encrypted APIs are passed through as they are: their certificates have to name the load balancer.

use config::{Api, Config, Health, HealthCheck, LoadError, NodeCommon};
use std::fmt::Write as _;

/// No file can be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LbError {
    #[error(transparent)]
    Config(#[from] LoadError),
    #[error("the configuration names no participant, sequencer or domain that this would stand before")]
    NoNodes,
    #[error(
        "{0}: nobody can ask for its health; give it monitoring.http-health-server.port, or its process \
         monitoring.health with check.type = is-active"
    )]
    NoHealth(String),
    #[error("the frontends need more ports than there are from {0} on; give a lower --first-port")]
    Ports(u16),
}

/// What is the same in every file. A replica that is down is noticed within half a second, and streams to one that is no
/// longer healthy are closed, so that clients come back to another. Streams of ledgers are long and may be silent.
const HEAD: &str = "\
global
    log stdout format raw local0

defaults
    log global
    option logasap
    option redispatch
    retries 3
    timeout connect 2s
    timeout client 1h
    timeout server 1h
    timeout check 1s
    default-server check inter 250ms fastinter 100ms downinter 250ms fall 2 rise 1 on-marked-down shutdown-sessions
";

/// A replica of a logical node.
struct Replica<'a> {
    node: &'a NodeCommon,
    apis: Vec<(&'static str, &'a Api)>,
    /// Whether all of them work at the same time.
    all_work: bool,
}

/// The file, with frontends on ports from the first one on, in the order of the configuration.
pub(crate) fn haproxy(config: &Config, first_port: u16) -> Result<String, LbError> {
    let groups = groups(config);
    if groups.is_empty() {
        return Err(LbError::NoNodes);
    }
    let (mut text, mut port) = (HEAD.to_owned(), Some(first_port));
    for group in &groups {
        for at in 0..group[0].apis.len() {
            let bind = port.ok_or(LbError::Ports(first_port))?;
            text.push_str(&proxy(config.health.as_ref(), group, at, bind)?);
            port = bind.checked_add(1);
        }
    }
    Ok(text)
}

/// Nodes with the same storage are replicas of one.
fn groups(config: &Config) -> Vec<Vec<Replica<'_>>> {
    let participants = config.participants.values().map(|n| Replica {
        node: &n.node,
        apis: vec![("admin-api", &n.node.admin_api), ("ledger-api", &n.ledger_api)],
        all_work: false,
    });
    let sequencers = config.sequencers.values().chain(config.domains.values()).map(|n| Replica {
        node: &n.node,
        apis: vec![("public-api", &n.public_api)],
        all_work: true,
    });
    let mut groups: Vec<Vec<Replica<'_>>> = Vec::new();
    for replica in participants.chain(sequencers) {
        let is_same = |group: &&mut Vec<Replica<'_>>| {
            group[0].node.storage == replica.node.storage && group[0].all_work == replica.all_work
        };
        match groups.iter_mut().find(is_same) {
            Some(group) if replica.node.storage != config::Storage::Memory => group.push(replica),
            _ => groups.push(vec![replica]),
        }
    }
    groups
}

/// The frontend and the backend of one API.
fn proxy(process: Option<&Health>, group: &[Replica<'_>], at: usize, bind: u16) -> Result<String, LbError> {
    let (name, is_encrypted) =
        (format!("{}-{}", group[0].node.name, group[0].apis[at].0), group[0].apis[at].1.tls.is_some());
    let (mode, log, protocol) = if is_encrypted { ("tcp", "tcplog", "") } else { ("http", "httplog", " proto h2") };
    // Whoever calls while nobody is there is told so in gRPC, not by a page.
    let nobody = match is_encrypted {
        true => "",
        false => "    http-error status 503 hdr grpc-status 14 hdr grpc-message no-healthy-node\n",
    };
    let balance = if group[0].all_work { "roundrobin" } else { "first" };
    let mut text = format!(
        "\nfrontend {name}\n    mode {mode}\n    option {log}\n    bind :{bind}{protocol}\n    default_backend {name}\n\
         \nbackend {name}\n    mode {mode}\n    balance {balance}\n    option httpchk\n    http-check connect\n    \
         http-check send meth GET uri /health\n{nobody}"
    );
    for replica in group {
        let api = replica.apis[at].1;
        let check = health(process, replica.node).ok_or_else(|| LbError::NoHealth(replica.node.name.clone()))?;
        let host = reachable(replica.node, api);
        let _ = writeln!(text, "    server {} {host}:{}{protocol} check port {check}", replica.node.name, api.port);
    }
    Ok(text)
}

/// The port at which a node's health is asked for.
fn health(process: Option<&Health>, node: &NodeCommon) -> Option<u16> {
    let of_process = || {
        let health =
            process.filter(|health| matches!(&health.check, HealthCheck::IsActive { node: of } if *of == node.name));
        health.map(|health| health.server.port)
    };
    node.http_health.as_ref().map(|api| api.port).or_else(of_process)
}

/// Where the load balancer reaches a node: as its replicas do. One that listens everywhere is taken to be on this machine.
fn reachable(node: &NodeCommon, api: &Api) -> String {
    let host = node.replication.advertised_address.as_deref().unwrap_or(&api.address);
    match host {
        "0.0.0.0" | "::" => "127.0.0.1".into(),
        host if host.contains(':') => format!("[{host}]"),
        host => host.into(),
    }
}
