//! Topology on the admin API.

use super::{host::refuse, manager::Manager};
use ::base::{Coded, ErrorCode, SynchronizerId, Timestamp, codes};
use ::crypto::PublicKey;
use ::identity::{Identity, load_setting, load_topology};
use ::rpc::services::concordat::admin::v1::topology_service_server::TopologyService;
use ::store::Db;
use ::topology::{SignedTopologyTransaction, StoredTransaction};
use ::wire::concordat::admin::v1::*;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// A message of the admin API cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreadable(pub(crate) String);

impl Coded for Unreadable {
    fn code(&self) -> ErrorCode {
        codes::INVALID_ARGUMENT
    }

    fn definite_answer(&self) -> bool {
        true
    }
}

/// What a node shows of its topology and keys.
pub(crate) struct TopologyAdmin {
    db: Db,
    /// Whose drafts are shown as long as there is no synchronizer.
    manager: Option<Arc<Manager>>,
    is_participant: bool,
}

impl TopologyAdmin {
    pub(crate) fn new(db: Db) -> Self {
        Self { db, manager: None, is_participant: false }
    }

    pub(crate) fn of_participant(db: Db) -> Self {
        Self { db, manager: None, is_participant: true }
    }

    pub(crate) fn of_manager(db: Db, manager: Arc<Manager>) -> Self {
        Self { db, manager: Some(manager), is_participant: false }
    }

    /// What is stored belongs to one synchronizer.
    async fn synchronizer(&self) -> Result<Option<SynchronizerId>, Status> {
        let mut stored = load_setting(&self.db, "synchronizer").await.map_err(refuse)?;
        if self.is_participant {
            let registered = ::participant::synchronizers(&self.db).await.map_err(refuse)?;
            stored = registered.into_iter().find(|r| r.connected).map(|r| r.synchronizer.to_string());
        }
        stored.map(|id| id.parse().map_err(unreadable).map_err(refuse)).transpose()
    }
}

#[tonic::async_trait]
impl TopologyService for TopologyAdmin {
    async fn list_topology(&self, _: Request<ListTopologyRequest>) -> Result<Response<ListTopologyResponse>, Status> {
        let topology = match (self.synchronizer().await?, &self.manager) {
            (Some(synchronizer), _) => {
                let state = load_topology(&self.db, &synchronizer).await.map_err(refuse)?;
                let head = state.head();
                let holds = |t: &StoredTransaction| {
                    head.transaction(&t.transaction.key()).is_some_and(|held| held.hash() == t.transaction.hash())
                };
                to_wire(&state.for_catch_up(Timestamp::MIN).into_iter().filter(holds).collect::<Vec<_>>())
            }
            (None, Some(manager)) => manager.draft().await?,
            (None, None) => Vec::new(),
        };
        Ok(Response::new(ListTopologyResponse { topology }))
    }

    async fn list_keys(&self, _: Request<ListKeysRequest>) -> Result<Response<ListKeysResponse>, Status> {
        let identity = Identity::load(&self.db).await.map_err(refuse)?;
        let keys = identity.iter().flat_map(Identity::public_keys);
        Ok(Response::new(ListKeysResponse { keys: keys.map(node_key).collect() }))
    }
}

/// A key with its name.
pub(crate) fn node_key((name, key): (String, PublicKey)) -> NodeKey {
    NodeKey { name, key: Some((&key).into()) }
}

/// What is said of a value that cannot be read.
pub(crate) fn unreadable(error: impl std::fmt::Display) -> Unreadable {
    Unreadable(error.to_string())
}

pub(crate) fn to_wire(topology: &[StoredTransaction]) -> Vec<StoredTopology> {
    let stored = |t: &StoredTransaction| StoredTopology {
        transaction: t.transaction.encode(),
        sequenced: t.sequenced.micros(),
        effective: t.effective.micros(),
    };
    topology.iter().map(stored).collect()
}

pub(crate) fn from_wire(topology: &[StoredTopology]) -> Result<Vec<StoredTransaction>, Unreadable> {
    let time = |micros| Timestamp::from_micros(micros).map_err(unreadable);
    let stored = |t: &StoredTopology| {
        Ok(StoredTransaction {
            transaction: SignedTopologyTransaction::decode(&t.transaction).map_err(unreadable)?,
            sequenced: time(t.sequenced)?,
            effective: time(t.effective)?,
        })
    };
    topology.iter().map(stored).collect()
}
