//! HTTP health, one server per process: `/health` for load balancers, as configured; `/livez` and `/readyz` for whoever
//! starts and stops processes (spec/ha.md §6.1).

use crate::status::Nodes;
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::future::BoxFuture;
use rpc::{Listen, ServeError};
use std::{net::SocketAddr, sync::Arc};
use tasks::Tasks;
use tokio::net::TcpListener;

/// Finds out whether all is well; the error is the reason, for people.
pub type Probe = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What `/health` answers (`monitoring.health.check`).
#[derive(Clone)]
pub enum Check {
    /// 200 whenever the process answers.
    AlwaysHealthy,
    /// 200 on the active replica only. Of the node with this name; else of the only node, or of the first participant.
    IsActive {
        /// `node`, or `participant`.
        node: Option<String>,
    },
    /// Whatever the probe finds, such as a ping of a participant to itself.
    Probe(Probe),
}

/// The server, listening and not yet answering.
pub struct HealthServer {
    listener: TcpListener,
    address: SocketAddr,
}

#[derive(Clone)]
struct Shared {
    nodes: Nodes,
    check: Check,
}

impl HealthServer {
    /// Takes the port.
    pub async fn bind(listen: &Listen) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Bind { address: listen.address.clone(), port: listen.port, source };
        let listener = TcpListener::bind((listen.address.as_str(), listen.port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The address with the port really taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers as long as the scope of `tasks` lives.
    pub fn serve(self, nodes: Nodes, check: Check, tasks: &Tasks) {
        let routes = Router::new()
            .route("/health", get(health))
            .route("/livez", get(async || "healthy"))
            .route("/readyz", get(readyz))
            .with_state(Shared { nodes, check });
        self.run(routes, tasks);
    }

    /// Answers for one node (`monitoring.http-health-server`): 200 if it does its work or passes it on, else 503.
    pub fn serve_node(self, nodes: Nodes, name: String, tasks: &Tasks) {
        let mut routes = Router::new();
        for path in ["/health", "/health/ready", "/health/readiness", "/readyz"] {
            routes = routes.route(path, get(node_readyz));
        }
        for path in ["/health/live", "/health/liveness", "/livez"] {
            routes = routes.route(path, get(async || "healthy"));
        }
        self.run(routes.with_state((nodes, name)), tasks);
    }

    fn run(self, routes: Router, tasks: &Tasks) {
        let cancelled = tasks.cancelled();
        let serve = async move { axum::serve(self.listener, routes).with_graceful_shutdown(cancelled).await };
        tasks.spawn_essential("HTTP health", serve).detach();
    }
}

async fn health(State(shared): State<Shared>) -> Response {
    match &shared.check {
        Check::AlwaysHealthy => answer(Ok(()), StatusCode::INTERNAL_SERVER_ERROR),
        // As the field answers.
        Check::IsActive { node } => answer(shared.nodes.is_active(node.as_deref()), StatusCode::INTERNAL_SERVER_ERROR),
        Check::Probe(probe) => answer(probe().await, StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn readyz(State(shared): State<Shared>) -> Response {
    answer(shared.nodes.are_ready(None), StatusCode::SERVICE_UNAVAILABLE)
}

async fn node_readyz(State((nodes, name)): State<(Nodes, String)>) -> Response {
    answer(nodes.are_ready(Some(&name)), StatusCode::SERVICE_UNAVAILABLE)
}

fn answer(outcome: Result<(), String>, otherwise: StatusCode) -> Response {
    match outcome {
        Ok(()) => "healthy".into_response(),
        Err(reason) => (otherwise, reason).into_response(),
    }
}
