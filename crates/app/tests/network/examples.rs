//! The example files run as they are, on ports that are free.

use crate::{
    harness::{Daemon, Participant, channel, eventually, free_ports, node, ready, status},
    model::{accept, offer},
};
use rpc::services::concordat::admin::v1::{
    manager_admin_service_client::ManagerAdminServiceClient, mediator_admin_service_client::MediatorAdminServiceClient,
    sequencer_admin_service_client::SequencerAdminServiceClient,
};
use std::path::PathBuf;
use wire::concordat::admin::v1::{
    FoundSynchronizerRequest, GetKeyRequest, InitializeManagerRequest, InitializeMediatorRequest,
    InitializeSequencerRequest,
};

pub(crate) fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

pub(crate) fn port_of(node: &str, api: &str, port: u16) -> String {
    format!("canton.{node}.{api}.port={port}")
}

/// Of two replicas the admin port of the one that waits.
async fn passive(nodes: [(u16, &str); 2]) -> u16 {
    eventually("one replica becoming active and the other passive", async || {
        let mut roles = Vec::new();
        for (port, name) in nodes {
            roles.push(node(port, name).await?.role);
        }
        match [roles[0].as_str(), roles[1].as_str()] {
            ["Active", "Passive"] => Some(nodes[1].0),
            ["Passive", "Active"] => Some(nodes[0].0),
            _ => None,
        }
    })
    .await
}

/// What an operator does with a new network, at any replica of its nodes.
pub(crate) async fn found(sequencer: u16, mediator: u16, manager: u16, public_ports: &[u16]) {
    let sequencers: Vec<String> = public_ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
    let mut sequencer = SequencerAdminServiceClient::new(channel(sequencer));
    let mut mediator = MediatorAdminServiceClient::new(channel(mediator));
    let mut manager = ManagerAdminServiceClient::new(channel(manager));
    let sequencer_key = sequencer.get_key(GetKeyRequest {}).await.unwrap().into_inner().key;
    let mediator_key = mediator.get_mediator_key(GetKeyRequest {}).await.unwrap().into_inner().key;
    let request = FoundSynchronizerRequest { sequencer_key, mediator_key };
    let founded = manager.found_synchronizer(request).await.unwrap().into_inner();
    let synchronizer_id = founded.synchronizer_id;
    let request =
        InitializeSequencerRequest { synchronizer_id: synchronizer_id.clone(), transactions: founded.transactions };
    let topology = sequencer.initialize_sequencer(request).await.unwrap().into_inner().topology;
    let request = InitializeMediatorRequest {
        synchronizer_id,
        mediator_id: founded.mediator_id,
        sequencers: sequencers.clone(),
        topology: topology.clone(),
        trust_certificates: String::new(),
    };
    mediator.initialize_mediator(request).await.unwrap();
    let request = InitializeManagerRequest { sequencers, topology, trust_certificates: String::new() };
    manager.initialize_manager(request).await.unwrap();
}

#[tokio::test]
async fn sequencers_mediators_and_managers_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let [manager1, manager2, mediator1, mediator2, participant_admin, ledger] = free_ports();
    let (public, admin): ([u16; 3], [u16; 3]) = (free_ports(), free_ports());
    let mut overrides = vec![
        port_of("domain-managers.domainManager1", "admin-api", manager1),
        port_of("domain-managers.domainManager2", "admin-api", manager2),
        port_of("mediators.mediator1", "admin-api", mediator1),
        port_of("mediators.mediator2", "admin-api", mediator2),
        port_of("participants.participant1", "admin-api", participant_admin),
        port_of("participants.participant1", "ledger-api", ledger),
    ];
    let mut remote = Vec::new();
    for n in 0..3 {
        for (kind, list) in [("sequencers", &mut overrides), ("remote-sequencers", &mut remote)] {
            list.push(port_of(&format!("{kind}.sequencer{}", n + 1), "public-api", public[n]));
            list.push(port_of(&format!("{kind}.sequencer{}", n + 1), "admin-api", admin[n]));
        }
    }
    let _daemon = Daemon::start_with(folder.path(), &example("external-ha-sequencers.conf"), &overrides);
    let mediator = passive([(mediator1, "mediator1"), (mediator2, "mediator2")]).await;
    let manager = passive([(manager1, "domainManager1"), (manager2, "domainManager2")]).await;
    ready(participant_admin, "participant1").await;
    found(admin[0], mediator, manager, &public).await;
    // The replicas that wait have seen it.
    let replicas = [
        (mediator1, "mediator1"),
        (mediator2, "mediator2"),
        (manager1, "domainManager1"),
        (manager2, "domainManager2"),
    ];
    for (port, name) in replicas {
        eventually("being initialized", async || node(port, name).await.filter(|node| node.initialized)).await;
    }
    for (n, port) in admin.into_iter().enumerate() {
        ready(port, &format!("sequencer{}", n + 1)).await;
    }
    let participant = Participant::new(participant_admin, ledger);
    participant.connect(&public).await;
    let (alice, bob) = (participant.allocate("alice").await, participant.allocate("bob").await);
    participant.upload(lf::models::iou()).await;
    let offered = participant.submit(&alice, "offer", offer(&alice, &bob, "7.0")).await;
    assert_eq!(participant.submit(&bob, "accept", accept(&offered[0].contract_id)).await.len(), 1);

    let shown = status(&example("external-ha-sequencers-remote-admin.conf"), &remote);
    let online =
        shown["nodes"].as_array().unwrap().iter().filter(|n| n["kind"] == "sequencer" && n["role"] == "Online");
    assert_eq!(online.count(), 3, "{shown:#}");
}
