//! The shell around `sequencer-core`. Several of these share a database and together are one logical sequencer.
//!
//! `writer.rs` assigns timestamps and commits · `tail.rs` follows what all sequencers commit and fans it out ·
//! `subscription.rs` serves one member · `own.rs` follows the topology · `life.rs` claims an index, goes online, and
//! starts again when it was knocked out · `peers.rs` marks the dead offline · `auth.rs` lets members in · `service.rs`
//! is the public API · `store/` has the tables.

mod auth;
mod life;
mod members;
mod own;
mod peers;
mod reader;
mod service;
mod store;
mod subscription;
mod tail;
mod writer;

pub use service::PROTOCOL_VERSION;
use service::PublicApi;
pub use store::MIGRATIONS;
#[doc(hidden)]
pub use store::STATEMENTS;
pub use writer::SendError;

use ::store::{Db, HaProfile, StoreError};
use base::{Coded, ErrorCode, MemberId, SequencerId, SynchronizerId, Timestamp, codes};
use bytes::Bytes;
use crypto::{KeyPurpose, PublicKey};
use identity::{Identity, IdentityError};
use members::Registry;
use protocol::{
    message::EnvelopeContent,
    sequencing::{DecodeError, Envelope, Recipients, Submission},
};
use reader::Reader;
use rpc::services::concordat::sequencer::v1::{
    authentication_service_server::AuthenticationServiceServer, connect_service_server::ConnectServiceServer,
    sequencer_service_server::SequencerServiceServer,
};
use sequencer_core::{Limits, SequencingClock};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tail::Tail;
use tasks::Tasks;
use tokio::sync::{mpsc, watch};
use topology::{Malformed, RegisterRequest, SignedTopologyTransaction, StoredTransaction, TopologyState};

/// Told once the synchronizer is known, so that the other sequencers come up.
const INITIALIZED: &str = "sequencer_initialized";
/// How long a participant's request for admission may wait to be sequenced.
const ONBOARDING_WINDOW: Duration = Duration::from_secs(60);

/// How this sequencer runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// `total-node-count`.
    pub total_node_count: u32,
    /// How fast a dead peer is noticed.
    pub profile: HaProfile,
    /// What submissions may be.
    pub limits: Limits,
}

/// The setting with the synchronizer that it is going to serve.
const PREPARED: &str = "prepared";

/// What a sequencer is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Whether the synchronizer is known.
    pub initialized: bool,
    /// Index and incarnation while it is online.
    pub online: Option<(u32, i64)>,
    /// What ended the last incarnation, until the next one begins.
    pub trouble: Option<String>,
}

/// A running sequencer.
pub struct Sequencer {
    db: Db,
    config: Config,
    identity: Identity,
    shared: watch::Receiver<Option<Arc<Shared>>>,
    status: watch::Receiver<Status>,
}

/// A sequencer cannot do what an operator asked.
#[derive(Debug, thiserror::Error)]
pub enum SequencerError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// It serves a synchronizer already.
    #[error("this sequencer serves {0} already; a sequencer's synchronizer never changes")]
    Initialized(SynchronizerId),
    /// Nobody has said which synchronizer it is to serve.
    #[error("this sequencer does not know which synchronizer it is to serve; initialize_from_beginning tells it")]
    NotPrepared,
    /// The topology given at initialization does not found a synchronizer.
    #[error("the initial topology is not sufficient: {0}")]
    Topology(String),
    /// The database was made for another number of sequencers.
    #[error("total-node-count is {configured}, but this synchronizer was started with {stored}; it can never change")]
    NodeCount {
        /// In the configuration.
        configured: u32,
        /// In the database.
        stored: u32,
    },
    /// What is stored about the synchronizer cannot be read.
    #[error("the stored synchronizer id cannot be read: {0}")]
    Id(#[from] base::InvalidId),
}

impl Coded for SequencerError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::Identity(error) => error.code(),
            Self::Initialized(_) | Self::Topology(_) | Self::NotPrepared => codes::INVALID_ARGUMENT,
            Self::NodeCount { .. } => codes::CONFIG_INVALID,
            Self::Id(_) => codes::STORED_DATA_CORRUPT,
        }
    }
}

/// What all parts of an initialized sequencer share.
pub(crate) struct Shared {
    db: Db,
    config: Config,
    identity: Identity,
    synchronizer: SynchronizerId,
    sequencer: SequencerId,
    manager: MemberId,
    limits: Limits,
    registry: Registry,
    tail: Tail,
    tokens: auth::Tokens,
    writer: mpsc::Sender<writer::Request>,
    online: watch::Sender<bool>,
    clock: Mutex<SequencingClock>,
    started: Instant,
    tasks: Tasks,
}

/// The sequencer that has a key of this identity.
fn id_of(topology: &TopologyState, identity: &Identity) -> Option<SequencerId> {
    let head = topology.head();
    let is_own = |s: &SequencerId| head.keys(&s.member()).iter().any(|key| identity.signs_with(key.fingerprint()));
    head.sequencers().into_iter().find(is_own)
}

/// Another sequencer's tables or keys were written at the same moment: what it wrote counts.
async fn load_or_create_identity(db: &Db) -> Result<Identity, SequencerError> {
    loop {
        if let Some(identity) = Identity::load(db).await? {
            return Ok(identity);
        }
        let (_, rows) = Identity::create("sequencer")?;
        match db.commit(&db.own(), rows).await {
            Ok(_) | Err(StoreError::Conflict { .. } | StoreError::Contention(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl Sequencer {
    /// Starts over a database whose migrations have run. It serves once it is, or has been, initialized.
    pub async fn start(db: Db, config: Config, tasks: &Tasks) -> Result<Self, SequencerError> {
        let identity = load_or_create_identity(&db).await?;
        if let Some(stored) = store::node_count(&db).await?
            && stored != config.total_node_count
        {
            return Err(SequencerError::NodeCount { configured: config.total_node_count, stored });
        }
        let (shared_out, shared) = watch::channel(None);
        let (status_out, status) = watch::channel(Status::default());
        let sequencer = Self { db: db.clone(), config: config.clone(), identity: identity.clone(), shared, status };
        let run = life::run(db, config, identity, shared_out, status_out, tasks.clone());
        tasks.spawn_essential("sequencer", run).detach();
        Ok(sequencer)
    }

    /// The key that it signs with now; at first the one that the manager has to put on the synchronizer.
    #[must_use]
    pub fn signing_key(&self) -> PublicKey {
        if let Some(shared) = &*self.shared.borrow() {
            let (now, member) = (shared.now(), shared.sequencer.member());
            shared.registry.topology(|t| self.identity.follow(t.snapshot(now), &member));
        }
        self.identity.signing_key()
    }

    /// Makes another key for signing, for all sequencers that share the database. It is used once the manager has put it on
    /// the synchronizer.
    pub async fn make_key(&self) -> Result<(String, PublicKey), SequencerError> {
        Ok(self.identity.add_key(KeyPurpose::Signing, &self.db, &self.db.own()).await?)
    }

    /// Adds the public API to the services of a port.
    #[must_use]
    pub fn serve(&self, services: rpc::Services) -> rpc::Services {
        let api = PublicApi::new(self.shared.clone());
        let server = SequencerServiceServer::new(api.clone())
            .max_decoding_message_size(rpc::MAX_DECODING_BYTES)
            .max_encoding_message_size(rpc::MAX_DECODING_BYTES);
        services.with(ConnectServiceServer::new(api.clone())).with(AuthenticationServiceServer::new(api)).with(server)
    }

    /// What it is doing.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// The age of the last event when its subscribers could have it, in milliseconds; `None` before the first one.
    #[must_use]
    pub fn lag_ms(&self) -> Option<u64> {
        self.shared.borrow().as_ref()?.tail.lag().millis()
    }

    /// The synchronizer, once it is known.
    #[must_use]
    pub fn synchronizer(&self) -> Option<SynchronizerId> {
        self.shared.borrow().as_ref().map(|shared| shared.synchronizer.clone())
    }

    /// Which member of the synchronizer it is, once that is known.
    #[must_use]
    pub fn sequencer(&self) -> Option<SequencerId> {
        self.shared.borrow().as_ref().map(|shared| shared.sequencer.clone())
    }

    /// Tells it which synchronizer it is going to serve. The same again changes nothing.
    pub async fn prepare(&self, synchronizer: &SynchronizerId) -> Result<(), SequencerError> {
        for name in ["synchronizer", PREPARED] {
            if let Some(stored) = identity::load_setting(&self.db, name).await? {
                let stored: SynchronizerId = stored.parse()?;
                return if stored == *synchronizer { Ok(()) } else { Err(SequencerError::Initialized(stored)) };
            }
        }
        let row = identity::setting_row(PREPARED, &synchronizer.to_string());
        self.db.commit(&self.db.own(), vec![row]).await?;
        Ok(())
    }

    /// The synchronizer that it serves, or was prepared for.
    pub async fn prepared(&self) -> Result<SynchronizerId, SequencerError> {
        for name in ["synchronizer", PREPARED] {
            if let Some(stored) = identity::load_setting(&self.db, name).await? {
                return Ok(stored.parse()?);
            }
        }
        Err(SequencerError::NotPrepared)
    }

    /// Whether other sequencers may share its database.
    #[must_use]
    pub fn is_replicated(&self) -> bool {
        self.config.total_node_count > 1
    }

    /// Founds the synchronizer with its first topology. Once for all sequencers that share the database; the same call
    /// again changes nothing.
    pub async fn initialize(
        &self,
        synchronizer: SynchronizerId,
        topology: Vec<SignedTopologyTransaction>,
    ) -> Result<Vec<StoredTransaction>, SequencerError> {
        if let Some(stored) = identity::load_setting(&self.db, "synchronizer").await? {
            let stored: SynchronizerId = stored.parse()?;
            if stored != synchronizer {
                return Err(SequencerError::Initialized(stored));
            }
            let state = identity::load_topology(&self.db, &stored).await?;
            return Ok(state.for_catch_up(Timestamp::MIN));
        }
        let mut state = TopologyState::of(synchronizer.clone());
        let now = self.db.now().await?;
        let mut accepted = Vec::new();
        for outcome in state.apply(now, topology) {
            accepted.push(outcome.map_err(|refused| SequencerError::Topology(refused.1.to_string()))?);
        }
        let gaps = state.head().gaps();
        if !gaps.is_empty() {
            return Err(SequencerError::Topology(format!("missing are {gaps:?}")));
        }
        if id_of(&state, &self.identity).is_none() {
            let key = self.signing_key();
            let key = key.fingerprint();
            return Err(SequencerError::Topology(format!("no sequencer on it has the key {key} of this one")));
        }
        let members = state.head().known_members();
        let mut statements = vec![
            identity::setting_row("synchronizer", &synchronizer.to_string()),
            identity::topology_rows(&accepted),
            store::member_rows(members.iter(), 0),
        ];
        statements.extend(store::index_rows(self.config.total_node_count));
        self.db.commit(&self.db.own(), statements).await?;
        self.db.notify(INITIALIZED);
        Ok(accepted)
    }
}

impl Shared {
    /// Sequencing time as this process knows it.
    fn now(&self) -> Timestamp {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).now(self.started.elapsed())
    }

    fn observe(&self, database: Timestamp) {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).observe(database, self.started.elapsed());
    }

    /// A reader of a member's events after `after`; `None` if it is not registered.
    fn reader(&self, member: &MemberId, after: Timestamp) -> Option<Reader> {
        let number = self.registry.members().number(member)?;
        Some(Reader { db: self.db.clone(), tail: self.tail.clone(), member: member.clone(), number, cursor: after })
    }

    async fn acknowledge(&self, member: &MemberId, timestamp: Timestamp) -> Result<(), StoreError> {
        let Some(number) = self.registry.members().number(member) else { return Ok(()) };
        self.db.commit(&self.db.own(), vec![store::acknowledgement(number, timestamp)]).await?;
        Ok(())
    }

    /// A newcomer's topology transactions, passed on to the manager in the sequencer's own name.
    fn onboarding(
        &self,
        participant: &MemberId,
        transactions: &[Bytes],
        request_id: String,
    ) -> Result<Submission, DecodeError> {
        let transactions = transactions.iter().map(|bytes| SignedTopologyTransaction::decode(bytes));
        let request = RegisterRequest {
            synchronizer: self.synchronizer.clone(),
            participant: participant.clone().try_into()?,
            request_id,
            transactions: transactions
                .collect::<Result<_, Malformed>>()
                .map_err(|_| DecodeError::Malformed("signed topology transaction"))?,
        };
        let content = EnvelopeContent::RegisterRequest(request).encode();
        Ok(Submission {
            sender: self.sequencer.member(),
            message_id: service::message_id("onboarding"),
            batch: vec![Envelope { content, recipients: Recipients::group([self.manager.clone()]) }],
            max_sequencing_time: self.now().saturating_add(ONBOARDING_WINDOW),
            topology_timestamp: None,
            epoch: 0,
        })
    }
}
