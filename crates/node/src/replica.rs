//! What a node sees of its replica: the part it plays, its role, the others, and hand-over.

use crate::{
    directory::{Directory, Entry, Keeper},
    driver::{Driver, Start},
    store,
};
use ::store::{Db, ElectionConfig, Epoch, HaProfile, StoreError};
use base::{Coded, ErrorCode, codes};
use futures::future::BoxFuture;
use replica_core::{Handover, Role};
use std::{sync::Arc, time::Duration};
use tasks::Tasks;
use tokio::sync::{mpsc, oneshot, watch};
use wire::concordat::admin::v1::{NodeKind, NodeStatus, ReplicaStatus};

/// Requests to hand over that wait for the driver.
const REQUESTS: usize = 8;
/// A standby that queues for the lock anew, or that has just handed over itself, is not to be seen for a moment; so
/// often it is looked for.
const LOOKS: usize = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Why a part could not be taken up.
pub type PartError = Box<dyn std::error::Error + Send + Sync>;

/// What a node does while it is active.
pub trait Part: Send + Sync + 'static {
    /// Rebuilds the state and starts the active role; returns once it serves. `tasks` is the scope of this term: what runs
    /// longer is spawned there, what the role cannot do without as an essential task. The term ends when one of those
    /// fails, when the lock is lost, at a hand-over, and at shutdown; its scope is cancelled and joined then.
    fn activate(&self, epoch: Epoch, tasks: Tasks) -> BoxFuture<'_, Result<(), PartError>>;

    /// The term is over and its tasks have ended. Also called when `activate` failed.
    fn deactivated(&self);
}

/// How a replica shows and conducts itself.
#[derive(Clone, Debug)]
pub struct ReplicaConfig {
    /// The node's configured name. Replicas of a logical node may share it or not.
    pub name: String,
    /// What kind of node it is.
    pub kind: NodeKind,
    /// How soon a silent active replica is replaced.
    pub profile: HaProfile,
    /// Whether other replicas may exist (`replication.enabled`). If not, hand-over is refused.
    pub replication: bool,
    /// Whether this replica passes writes on while it is passive (`replication.forward-when-passive`).
    pub forwards: bool,
    /// Where the other replicas and tools reach the admin API: `http://host:port`.
    pub admin_uri: String,
    /// Where the other replicas reach the Ledger API, if there is one.
    pub ledger_uri: Option<String>,
}

/// One replica of a logical node. Cheap to clone. It ends with the scope it was started in.
#[derive(Clone)]
pub struct Replica {
    db: Db,
    config: Arc<ReplicaConfig>,
    role: watch::Receiver<Role>,
    trouble: watch::Receiver<Option<String>>,
    directory: watch::Receiver<Directory>,
    fresh: watch::Receiver<Freshness>,
    requests: mpsc::Sender<Request>,
}

/// Whether the lock was confirmed within the lease.
pub(crate) type Freshness = Arc<dyn Fn() -> bool + Send + Sync>;

/// A request to hand over, on its way to the driver.
pub(crate) struct Request {
    pub(crate) standby_waits: bool,
    pub(crate) answer: oneshot::Sender<Result<HandedOver, HandoverRefused>>,
}

/// Where the work is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActiveReplica {
    /// By this replica.
    Here,
    /// By another one.
    At(Entry),
    /// By nobody, as far as is known.
    Nobody,
}

/// Another replica took over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOver {
    /// Its name.
    pub replica: String,
    /// The epoch under which it writes.
    pub epoch: i64,
    /// From the request until the other one held the lock.
    pub took: Duration,
}

/// Nobody took over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandoverRefused {
    /// This node has no replicas.
    #[error("{0} is not replicated; set replication.enabled and use a storage that replicas can share")]
    NotReplicated(String),
    /// No other replica waits, so this one stays active.
    #[error("no other replica took over, so {0} stays active; start a standby first")]
    NobodyElse(String),
    /// Another replica is active already.
    #[error("{0} is not the active replica; ask the active one")]
    WasPassive(String),
    /// The role is changing.
    #[error("the role of {0} is changing; try again in a moment")]
    Busy(String),
    /// The lock was given up and nobody, not even this replica, has it yet.
    #[error("{0} gave up its role and nobody has taken over in time; look at the status of all replicas")]
    TimedOut(String),
    /// The process ends.
    #[error("{0} is shutting down; the next replica takes over by itself")]
    ShuttingDown(String),
    /// The database could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Coded for HandoverRefused {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotReplicated(_) => codes::PARTICIPANT_REPLICATION_NOT_SUPPORTED_BY_STORAGE,
            Self::NobodyElse(_) => codes::NO_STANDBY_REPLICA,
            Self::WasPassive(_) | Self::Busy(_) => codes::NODE_IS_PASSIVE_REPLICA,
            Self::TimedOut(_) => codes::REQUEST_TIME_OUT,
            Self::ShuttingDown(_) => codes::SERVER_IS_SHUTTING_DOWN,
            Self::Store(error) => error.code(),
        }
    }
}

impl HandoverRefused {
    /// `None` for the outcome that is no refusal.
    pub(crate) fn of(outcome: Handover, name: &str) -> Option<Self> {
        let name = name.to_owned();
        Some(match outcome {
            Handover::TookOver => return None,
            Handover::WasPassive => Self::WasPassive(name),
            Handover::NobodyElse => Self::NobodyElse(name),
            Handover::Busy => Self::Busy(name),
            Handover::TimedOut => Self::TimedOut(name),
            Handover::ShuttingDown => Self::ShuttingDown(name),
        })
    }
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Replica").field(&self.config.name).field(&*self.role.borrow()).finish()
    }
}

impl Replica {
    /// Joins the logical node of `db`, whose migrations include [`MIGRATIONS`](crate::MIGRATIONS), and campaigns until the
    /// scope of `tasks` is cancelled. For an orderly farewell `db` should live in a scope that ends later.
    pub fn start(db: Db, config: ReplicaConfig, part: Arc<dyn Part>, tasks: &Tasks) -> Result<Self, StoreError> {
        let election = ElectionConfig { profile: config.profile, replica: config.name.clone() };
        let election = Arc::new(db.election(election)?);
        let config = Arc::new(config);
        let (role, shown_role) = watch::channel(Role::Starting);
        let (trouble, shown_trouble) = watch::channel(None);
        let (directory, shown_directory) = watch::channel(Directory::default());
        let (fresh, shown_fresh) = watch::channel::<Freshness>(Arc::new(|| false));
        let (requests, inbox) = mpsc::channel(REQUESTS);
        let keeper = Keeper {
            db: db.clone(),
            config: (*config).clone(),
            role: shown_role.clone(),
            holder: election.holder(),
            directory,
        };
        let driver = Driver::new(Start {
            node: db.node().to_owned(),
            config: config.clone(),
            part,
            election,
            tasks: tasks.clone(),
            inbox,
            role,
            trouble,
            fresh,
            directory: shown_directory.clone(),
        });
        tasks.spawn("replica directory", keeper.run()).detach();
        tasks.spawn("replica", driver.run()).detach();
        Ok(Self {
            db,
            config,
            role: shown_role,
            trouble: shown_trouble,
            directory: shown_directory,
            fresh: shown_fresh,
            requests,
        })
    }

    /// What this replica does now.
    #[must_use]
    pub fn role(&self) -> watch::Receiver<Role> {
        self.role.clone()
    }

    /// Who else is there.
    #[must_use]
    pub fn directory(&self) -> watch::Receiver<Directory> {
        self.directory.clone()
    }

    /// How it was configured.
    #[must_use]
    pub fn config(&self) -> &ReplicaConfig {
        &self.config
    }

    /// Where the work is done now.
    #[must_use]
    pub fn active(&self) -> ActiveReplica {
        if matches!(*self.role.borrow(), Role::Active { .. }) {
            return ActiveReplica::Here;
        }
        match &self.directory.borrow().active {
            // Our own row is a moment behind our role.
            Some(entry) if !entry.is(&self.db, &self.config) => ActiveReplica::At(entry.clone()),
            _ => ActiveReplica::Nobody,
        }
    }

    /// The same as a watch, in the words of whoever routes calls; it follows as long as the scope of `tasks` lives.
    pub fn watch_active<T: PartialEq + Send + Sync + 'static>(
        &self,
        translate: impl Fn(ActiveReplica) -> T + Send + Sync + 'static,
        tasks: &Tasks,
    ) -> watch::Receiver<T> {
        let (mut role, mut directory) = (self.role(), self.directory());
        let replica = self.clone();
        let (shown, receiver) = watch::channel(translate(self.active()));
        let follow = async move {
            loop {
                let news = translate(replica.active());
                shown.send_if_modified(|shown| {
                    let changed = *shown != news;
                    *shown = news;
                    changed
                });
                let changed = tokio::select! {
                    changed = role.changed() => changed,
                    changed = directory.changed() => changed,
                };
                if changed.is_err() {
                    return;
                }
            }
        };
        tasks.spawn_cancellable("watch the active replica", follow).detach();
        receiver
    }

    /// Hands over to a replica that waits. If none takes over, this one stays active or becomes it again.
    pub async fn set_passive(&self) -> Result<HandedOver, HandoverRefused> {
        if !self.config.replication {
            return Err(HandoverRefused::NotReplicated(self.config.name.clone()));
        }
        let (answer, answered) = oneshot::channel();
        let request = Request { standby_waits: self.standby_waits().await?, answer };
        let ended = || HandoverRefused::ShuttingDown(self.config.name.clone());
        self.requests.send(request).await.map_err(|_ended| ended())?;
        answered.await.map_err(|_ended| ended())?
    }

    /// Whether [`Replica::set_passive`] would be tried now: the names of the others that are known to run, or why it would
    /// be refused.
    pub async fn may_hand_over(&self) -> Result<Vec<String>, HandoverRefused> {
        let name = || self.config.name.clone();
        if !self.config.replication {
            return Err(HandoverRefused::NotReplicated(name()));
        }
        match *self.role.borrow() {
            Role::Active { .. } => {}
            Role::Starting | Role::Passive => return Err(HandoverRefused::WasPassive(name())),
            Role::Activating { .. } | Role::Leaving { .. } => return Err(HandoverRefused::Busy(name())),
            Role::Stopped => return Err(HandoverRefused::ShuttingDown(name())),
        }
        if !self.standby_waits().await? {
            return Err(HandoverRefused::NobodyElse(name()));
        }
        let directory = self.directory.borrow();
        let others = directory.replicas.iter().filter(|entry| !entry.is(&self.db, &self.config));
        Ok(others.map(|entry| entry.replica.clone()).collect())
    }

    async fn standby_waits(&self) -> Result<bool, StoreError> {
        for _ in 1..LOOKS {
            if self.db.standby_waits().await? {
                return Ok(true);
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        self.db.standby_waits().await
    }

    /// Whether this replica is active and its lock was confirmed within the lease. If an active replica is not, it may
    /// have been replaced without knowing: it must give no answer that must not be stale.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        matches!(*self.role.borrow(), Role::Active { .. }) && (self.fresh.borrow())()
    }

    /// Whether this replica does the work, or knows who does and passes it on.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match self.active() {
            ActiveReplica::Here => self.is_fresh(),
            ActiveReplica::At(_) => self.config.forwards && *self.role.borrow() == Role::Passive,
            ActiveReplica::Nobody => false,
        }
    }

    /// Why the work is not done, as far as this replica knows; `None` if it is done, here or elsewhere.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match self.active() {
            ActiveReplica::Here if self.is_fresh() => None,
            ActiveReplica::Here => Some("the database does not confirm the election lock".to_owned()),
            ActiveReplica::At(_) => None,
            ActiveReplica::Nobody => self.trouble.borrow().clone(),
        }
    }

    /// What is known here for the admin API's status; the node adds member, ports and lag.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        let role = *self.role.borrow();
        let directory = self.directory.borrow().clone();
        let me = directory.replicas.iter().find(|entry| entry.is(&self.db, &self.config));
        let active_replica = match self.active() {
            ActiveReplica::Here => self.config.name.clone(),
            ActiveReplica::At(entry) => entry.replica,
            ActiveReplica::Nobody => String::new(),
        };
        let epoch = match role {
            Role::Activating { epoch } | Role::Active { epoch } | Role::Leaving { epoch } => epoch,
            _ => me.map_or(0, |entry| entry.epoch),
        };
        let replicas = directory.replicas.iter().map(|entry| ReplicaStatus {
            name: entry.replica.clone(),
            role: store::name(entry.role).to_owned(),
            epoch: entry.epoch,
            admin_uri: entry.admin_uri.clone(),
        });
        NodeStatus {
            name: self.config.name.clone(),
            kind: self.config.kind.into(),
            role: store::name(role).to_owned(),
            epoch,
            active_replica,
            trouble: self.trouble().unwrap_or_default(),
            ready: self.is_ready(),
            replicas: replicas.collect(),
            ..NodeStatus::default()
        }
    }
}
