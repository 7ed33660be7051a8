//! The admin service that every node has, over all nodes of the process.

use crate::replica::{HandoverRefused, Replica};
use base::{Coded, ErrorCode, codes};
use rpc::{CorrelationId, services::concordat::admin::v1::node_service_server::NodeService, status};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use tonic::{Request, Response, Status};
use wire::concordat::admin::v1::{
    NodeKind, NodeStatus, SetPassiveRequest, SetPassiveResponse, StatusRequest, StatusResponse,
};

/// Roles of a node that does its work.
const ACTIVE: [&str; 2] = ["Active", "Online"];

/// The nodes of this process, as their tools see them. Cheap to clone; implements the gRPC service.
#[derive(Clone)]
pub struct Nodes {
    started: Instant,
    nodes: Arc<Mutex<Vec<Node>>>,
}

#[derive(Clone)]
struct Node {
    name: String,
    status: Arc<dyn Fn() -> NodeStatus + Send + Sync>,
    replica: Option<Replica>,
}

/// No node of that name.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error("this process runs no node {0:?}; it runs {1}")]
    Name(String, String),
    #[error("this process runs several nodes; name one of {0}")]
    Which(String),
    #[error("{0} has no active and passive replicas; it cannot be made passive")]
    NotReplicated(String),
}

impl Coded for Unknown {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Name(..) | Self::Which(_) => codes::INVALID_ARGUMENT,
            Self::NotReplicated(_) => codes::PARTICIPANT_REPLICATION_NOT_SUPPORTED_BY_STORAGE,
        }
    }
}

impl Default for Nodes {
    fn default() -> Self {
        Self { started: Instant::now(), nodes: Arc::default() }
    }
}

impl Nodes {
    /// Adds a node under its configured name, or replaces it. `status` is called for each request and must not block;
    /// see [`Replica::status`].
    pub fn register(
        &self,
        name: &str,
        replica: Option<Replica>,
        status: impl Fn() -> NodeStatus + Send + Sync + 'static,
    ) {
        let node = Node { name: name.to_owned(), status: Arc::new(status), replica };
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|other| other.name != node.name);
        nodes.push(node);
    }

    /// Removes a node that was stopped.
    pub fn remove(&self, name: &str) {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).retain(|node| node.name != name);
    }

    /// The status of all nodes and of the process.
    #[must_use]
    pub fn status(&self) -> StatusResponse {
        StatusResponse {
            nodes: self.all().iter().map(|node| (node.status)()).collect(),
            resident_bytes: resident_bytes(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Whether a node is the active replica: that of the name; else the only one, or the first participant.
    pub(crate) fn is_active(&self, name: Option<&str>) -> Result<(), String> {
        let all: Vec<NodeStatus> = self.all().iter().map(|node| (node.status)()).collect();
        let found = match (name, &all[..]) {
            (Some(name), all) => all.iter().find(|node| node.name == name),
            (None, [node]) => Some(node),
            (None, all) => all.iter().find(|node| node.kind() == NodeKind::Participant),
        };
        let kind = found.map_or(NodeKind::Participant, NodeStatus::kind);
        let title = match kind {
            NodeKind::Participant | NodeKind::Unspecified => "Participant",
            NodeKind::Sequencer => "Sequencer",
            NodeKind::Mediator => "Mediator",
            NodeKind::Manager => "Synchronizer manager",
            NodeKind::Domain => "Synchronizer",
        };
        match found {
            None => Err(format!("{title} is not running")),
            Some(node) if !node.initialized => Err(format!("{title} is not initialized")),
            // Active, where one replica is; Online, where each one is.
            Some(node) if !ACTIVE.contains(&node.role.as_str()) => Err(format!("{title} is not active")),
            Some(_) => Ok(()),
        }
    }

    /// Whether every node, or the one of this name, does its work or passes it on; the error names those that do not.
    pub(crate) fn are_ready(&self, only: Option<&str>) -> Result<(), String> {
        let mut all = self.all();
        all.retain(|node| only.is_none_or(|name| node.name == name));
        if let (Some(name), true) = (only, all.is_empty()) {
            return Err(format!("{name} is not running"));
        }
        let unready: Vec<String> = all
            .iter()
            .map(|node| (node.status)())
            .filter(|node| !node.ready)
            .map(|node| {
                let reason = if node.trouble.is_empty() { node.role } else { node.trouble };
                format!("{} is not ready: {reason}", node.name)
            })
            .collect();
        if unready.is_empty() { Ok(()) } else { Err(unready.join("\n")) }
    }

    fn all(&self) -> Vec<Node> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The replica of a node; with an empty name that of the only one.
    fn replica(&self, name: &str) -> Result<Replica, Unknown> {
        let nodes = self.all();
        let names = || nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ");
        let node = match &nodes[..] {
            [node] if name.is_empty() => node,
            _ if name.is_empty() => return Err(Unknown::Which(names())),
            _ => {
                let found = nodes.iter().find(|node| node.name == name);
                found.ok_or_else(|| Unknown::Name(name.to_owned(), names()))?
            }
        };
        node.replica.clone().ok_or_else(|| Unknown::NotReplicated(node.name.clone()))
    }
}

/// Memory of this process that is in use, as the system counts it; 0 where it does not say.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes = text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    kibibytes.map_or(0, |kibibytes: u64| kibibytes * 1024)
}

#[tonic::async_trait]
impl NodeService for Nodes {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        Ok(Response::new(self.status()))
    }

    async fn set_passive(&self, request: Request<SetPassiveRequest>) -> Result<Response<SetPassiveResponse>, Status> {
        let correlation = CorrelationId::default();
        let refuse = |error: &HandoverRefused| status(error, &correlation);
        let SetPassiveRequest { node, dry_run } = request.into_inner();
        let replica = self.replica(&node).map_err(|error| status(&error, &correlation))?;
        if dry_run {
            let standbys = replica.may_hand_over().await.map_err(|error| refuse(&error))?;
            return Ok(Response::new(SetPassiveResponse { standbys, ..SetPassiveResponse::default() }));
        }
        let handed = replica.set_passive().await.map_err(|error| refuse(&error))?;
        let took_ms = u64::try_from(handed.took.as_millis()).unwrap_or(u64::MAX);
        let (replica, epoch) = (handed.replica, handed.epoch);
        Ok(Response::new(SetPassiveResponse { replica, epoch, took_ms, ..SetPassiveResponse::default() }))
    }
}
