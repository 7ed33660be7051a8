//! The demo as an operator: status, founding the synchronizer, connecting participants.

use crate::layout::Process;
use rpc::{
    ChannelConfig, RpcError, connect_lazy,
    services::concordat::admin::v1::{
        manager_admin_service_client::ManagerAdminServiceClient,
        mediator_admin_service_client::MediatorAdminServiceClient, node_service_client::NodeServiceClient,
        participant_admin_service_client::ParticipantAdminServiceClient,
        sequencer_admin_service_client::SequencerAdminServiceClient,
    },
};
use std::time::Duration;
use tokio::time::Instant;
use tonic::transport::Channel;
use wire::concordat::admin::v1::*;

/// Between two looks at a network that is coming up.
const POLL: Duration = Duration::from_millis(20);
/// For one status call.
const STATUS_TIMEOUT: Duration = Duration::from_millis(500);
/// For the network to come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The network could not be brought up.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Something takes too long.
    #[error("{what} did not happen within {PATIENCE:?}; {hint}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// What a log says about it.
        hint: String,
    },
    /// A node refuses.
    #[error("{node}: {source}")]
    Call {
        /// Who was asked.
        node: String,
        /// The answer.
        source: RpcError,
    },
    /// Its address is none.
    #[error("no endpoint: {0}")]
    Endpoint(#[from] tonic::transport::Error),
}

pub(crate) fn channel(port: u16) -> Result<Channel, AdminError> {
    Ok(connect_lazy(&format!("http://127.0.0.1:{port}"), &ChannelConfig::default())?)
}

/// The process's node; `None` while it does not answer.
pub async fn status(process: &Process) -> Option<(NodeStatus, StatusResponse)> {
    let mut client = NodeServiceClient::new(channel(process.admin_port).ok()?);
    let answer = tokio::time::timeout(STATUS_TIMEOUT, client.status(StatusRequest {})).await.ok()?.ok()?.into_inner();
    Some((answer.nodes.first()?.clone(), answer))
}

/// Asks the process's node to hand over.
pub async fn hand_over(process: &Process) -> Result<SetPassiveResponse, AdminError> {
    let request = SetPassiveRequest { node: process.name.clone(), dry_run: false };
    let answer = NodeServiceClient::new(channel(process.admin_port)?).set_passive(request).await;
    let failed = |status: tonic::Status| AdminError::Call { node: process.name.clone(), source: status.into() };
    answer.map(tonic::Response::into_inner).map_err(failed)
}

/// Waits until one replica of the logical node is in a role.
pub(crate) async fn in_role<'a>(
    processes: &'a [Process],
    logical: &str,
    roles: &[&str],
) -> Result<(&'a Process, NodeStatus), AdminError> {
    let until = Instant::now() + PATIENCE;
    loop {
        for process in processes.iter().filter(|p| p.logical == logical) {
            if let Some((node, _)) = status(process).await
                && roles.contains(&node.role.as_str())
            {
                return Ok((process, node));
            }
        }
        if Instant::now() > until {
            let what = format!("{logical} becoming {}", roles.join(" or "));
            return Err(AdminError::Timeout { what, hint: hint(processes, logical) });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The last complaint in the log of one of these processes.
fn hint(processes: &[Process], logical: &str) -> String {
    let complaint = |process: &Process| {
        let log = std::fs::read_to_string(&process.log).ok()?;
        let line = log.lines().rev().find(|line| line.contains(" WARN ") || line.contains(" ERROR "))?;
        Some(format!("the log of {} says: {line}", process.name))
    };
    let found = processes.iter().filter(|p| p.logical == logical).find_map(complaint);
    found.unwrap_or_else(|| "no log says why".to_owned())
}

/// `http://127.0.0.1:port` of every sequencer's public API, beginning with the `first`.
pub(crate) fn sequencers(processes: &[Process], first: usize) -> Vec<String> {
    let ports = processes.iter().filter_map(|p| p.public_port);
    let mut uris: Vec<String> = ports.map(|port| format!("http://127.0.0.1:{port}")).collect();
    let count = uris.len().max(1);
    uris.rotate_left(first % count);
    uris
}

/// What a synchronizer is founded with.
pub struct Founding {
    /// Admin API of one of its sequencers, all of which share a database.
    pub sequencer: Channel,
    /// Admin API of its mediator.
    pub mediator: Channel,
    /// Admin API of its manager.
    pub manager: Channel,
    /// Public APIs of all sequencers.
    pub endpoints: Vec<String>,
    /// Certificates, PEM, that theirs may be signed by; empty for those that the machine trusts.
    pub trust: String,
}

/// Founds a synchronizer: the manager signs the first topology, sequencer, mediator and manager begin with it.
pub async fn found(founding: Founding) -> Result<(), tonic::Status> {
    let Founding { sequencer, mediator, manager, mut endpoints, trust } = founding;
    let mut sequencer = SequencerAdminServiceClient::new(sequencer);
    let mut mediator = MediatorAdminServiceClient::new(mediator);
    let mut manager = ManagerAdminServiceClient::new(manager);
    let sequencer_key = sequencer.get_key(GetKeyRequest {}).await?.into_inner().key;
    let mediator_key = mediator.get_mediator_key(GetKeyRequest {}).await?.into_inner().key;
    let request = FoundSynchronizerRequest { sequencer_key, mediator_key };
    let founded = manager.found_synchronizer(request).await?.into_inner();
    let synchronizer_id = founded.synchronizer_id;
    let request =
        InitializeSequencerRequest { synchronizer_id: synchronizer_id.clone(), transactions: founded.transactions };
    let topology = sequencer.initialize_sequencer(request).await?.into_inner().topology;
    let request = InitializeMediatorRequest {
        synchronizer_id,
        mediator_id: founded.mediator_id,
        sequencers: endpoints.clone(),
        topology: topology.clone(),
        trust_certificates: trust.clone(),
    };
    mediator.initialize_mediator(request).await?;
    // Not everybody is to prefer the same one.
    let others = endpoints.len().min(1);
    endpoints.rotate_left(others);
    let request = InitializeManagerRequest { sequencers: endpoints, topology, trust_certificates: trust };
    manager.initialize_manager(request).await?;
    Ok(())
}

/// Founds the synchronizer and connects both participants.
pub(crate) async fn bootstrap(processes: &[Process]) -> Result<(), AdminError> {
    let call = |process: &Process| {
        let node = process.name.clone();
        move |status: tonic::Status| AdminError::Call { node, source: status.into() }
    };
    let (sequencer, _) = in_role(processes, "sequencer", &["Online", "Offline"]).await?;
    let (mediator, _) = in_role(processes, "mediator", &["Active"]).await?;
    let (manager, _) = in_role(processes, "manager", &["Active"]).await?;
    let founding = Founding {
        sequencer: channel(sequencer.admin_port)?,
        mediator: channel(mediator.admin_port)?,
        manager: channel(manager.admin_port)?,
        endpoints: sequencers(processes, 0),
        trust: String::new(),
    };
    found(founding).await.map_err(call(manager))?;
    for (n, logical) in ["participant1", "participant2"].into_iter().enumerate() {
        let (process, _) = in_role(processes, logical, &["Active"]).await?;
        let config = SynchronizerConfig {
            alias: "demo".into(),
            sequencers: sequencers(processes, n + 1),
            ..SynchronizerConfig::default()
        };
        let request = ConnectSynchronizerRequest { config: Some(config) };
        let mut client = ParticipantAdminServiceClient::new(channel(process.admin_port)?);
        client.connect_synchronizer(request).await.map_err(call(process))?;
    }
    Ok(())
}
