//! The health servers that the configuration asks for: one of the process, and those of single nodes.

use super::{
    DaemonError,
    host::{Host, port_failed},
};
use ::config::{Api, Health, HealthCheck, NodeCommon};
use ::node::{Check, HealthServer};
use ::rpc::{HealthReporter, Listen, Port, Services};
use futures::future::FutureExt as _;
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// `monitoring.health`.
pub(crate) async fn serve_process(host: &Host, health: &Health) -> Result<(), DaemonError> {
    let failed = |source| DaemonError::Port { node: "monitoring.health".into(), source };
    let server = HealthServer::bind(&listen(&health.server)).await.map_err(failed)?;
    tracing::info!(address = %server.address(), "HTTP health of the process");
    let check = match &health.check {
        HealthCheck::AlwaysHealthy => Check::AlwaysHealthy,
        HealthCheck::IsActive { node } => Check::IsActive { node: Some(node.clone()) },
        HealthCheck::Ping { participant, interval, timeout } => ping(host, participant, *interval, *timeout),
    };
    server.serve(host.nodes.clone(), check, &host.tasks);
    Ok(())
}

/// A participant pings itself again and again; what became of the last ping is answered.
fn ping(host: &Host, participant: &str, interval: Duration, timeout: Duration) -> Check {
    let last = watch::Sender::new(Err("no ping has been answered yet".to_owned()));
    let shown = last.subscribe();
    let (participants, name) = (host.participants.clone(), participant.to_owned());
    let pings = async move {
        loop {
            let active = participants.active(&name);
            let outcome = match active {
                None => Err(format!("{name} is not active here")),
                Some(active) => active.ping(active.id(), timeout).await.map(drop).map_err(|why| why.to_string()),
            };
            drop(last.send_replace(outcome));
            tokio::time::sleep(interval).await;
        }
    };
    host.tasks.spawn_cancellable("ping", pings).detach();
    Check::Probe(Arc::new(move || std::future::ready(shown.borrow().clone()).boxed()))
}

/// `monitoring` of a node. Reports to the returned handle are answered on the port of its gRPC health.
pub(crate) async fn serve_node(host: &Host, node: &NodeCommon) -> Result<Option<HealthReporter>, DaemonError> {
    if let Some(api) = &node.http_health {
        let server = HealthServer::bind(&listen(api)).await.map_err(port_failed(node))?;
        tracing::info!(node = node.name, address = %server.address(), "HTTP health");
        server.serve_node(host.nodes.clone(), node.name.clone(), &host.tasks);
    }
    let Some(api) = &node.grpc_health else { return Ok(None) };
    let port = Port::take(&listen(api)).await.map_err(port_failed(node))?;
    tracing::info!(node = node.name, address = %port.address(), "gRPC health");
    let services = Services::new(&[]).map_err(port_failed(node))?;
    let health = services.health();
    host.serve(port.with(services));
    Ok(Some(health))
}

fn listen(api: &Api) -> Listen {
    Listen { address: api.address.clone(), port: api.port }
}
