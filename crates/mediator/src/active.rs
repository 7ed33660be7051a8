//! What the active mediator does.

use crate::store;
use ::store::{Db, Epoch, Statement, StoreError};
use base::{Coded, ErrorCode, InvalidId, MediatorId, SynchronizerId, Timestamp, codes};
use identity::{Identity, IdentityError, load_setting, load_topology, setting_row, topology_rows};
use mediator_core::{Decision, Effect, Mediator};
use protocol::{message::Signed, sequencing::Submission};
use sequencer_client::{
    Acknowledger, Client, ClientConfig, ClientError, Member, Received, SendError, SubscriptionError, Ticker,
    TopologyKeys,
};
use std::sync::Arc;
use tasks::Tasks;
use tokio::sync::{mpsc, watch};
use topology::StoredTransaction;

/// Events of one transaction.
const BATCH: usize = 100;

/// Where the mediator belongs.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The mediator's id.
    pub mediator: MediatorId,
    /// Its synchronizer.
    pub synchronizer: SynchronizerId,
    /// `http://host:port` of the sequencers.
    pub sequencers: Vec<String>,
    /// Certificates, PEM, that theirs may be signed by; else the machine's count.
    pub trust: Option<String>,
}

/// What an active mediator works with.
#[derive(Debug, Clone)]
pub struct Context {
    /// Its database.
    pub db: Db,
    /// Its right to write.
    pub epoch: Epoch,
    /// Its keys.
    pub identity: Identity,
    /// Where it belongs.
    pub setup: Setup,
    /// How sequencers are called, now and as that changes.
    pub client: watch::Receiver<ClientConfig>,
}

/// Why an active mediator cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum MediatorError {
    /// The database refuses, or is gone.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys cannot be read.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The sequencers cannot be used at all.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The subscription ended for good.
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
    /// What is stored about the synchronizer cannot be read.
    #[error("the stored synchronizer cannot be read: {0}")]
    Id(#[from] InvalidId),
    /// It serves a synchronizer already.
    #[error("this mediator serves {0} already; a mediator's synchronizer never changes")]
    Initialized(SynchronizerId),
    /// The tasks of this role are being ended.
    #[error("the mediator is being stopped")]
    Stopped,
}

impl Coded for MediatorError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::Identity(error) => error.code(),
            Self::Client(error) => error.code(),
            Self::Subscription(error) => error.code(),
            Self::Id(_) => codes::STORED_DATA_CORRUPT,
            Self::Initialized(_) => codes::INVALID_ARGUMENT,
            Self::Stopped => codes::SERVER_IS_SHUTTING_DOWN,
        }
    }
}

/// Where the mediator belongs; `None` before it is initialized.
pub async fn setup(db: &Db) -> Result<Option<Setup>, MediatorError> {
    let Some(synchronizer) = load_setting(db, "synchronizer").await? else { return Ok(None) };
    let text = |name| async move { load_setting(db, name).await.map(Option::unwrap_or_default) };
    Ok(Some(Setup {
        synchronizer: synchronizer.parse()?,
        mediator: text("mediator").await?.parse()?,
        sequencers: text("sequencers").await?.split_whitespace().map(str::to_owned).collect(),
        trust: Some(text("trust").await?).filter(|pem| !pem.is_empty()),
    }))
}

/// Tells the mediator where it belongs, with the topology that the synchronizer was founded with. The same call again
/// changes nothing but the sequencers.
pub async fn initialize(
    db: &Db,
    epoch: &Epoch,
    setup: &Setup,
    topology: &[StoredTransaction],
) -> Result<(), MediatorError> {
    if let Some(stored) = self::setup(db).await?
        && stored.synchronizer != setup.synchronizer
    {
        return Err(MediatorError::Initialized(stored.synchronizer));
    }
    let statements = vec![
        setting_row("synchronizer", &setup.synchronizer.to_string()),
        setting_row("mediator", &setup.mediator.to_string()),
        setting_row("sequencers", &setup.sequencers.join(" ")),
        setting_row("trust", setup.trust.as_deref().unwrap_or_default()),
        topology_rows(topology),
    ];
    db.commit(epoch, statements).await?;
    Ok(())
}

/// The topology that the synchronizer was founded with, from its sequencers.
pub async fn founding(
    identity: &Identity,
    setup: &Setup,
    client: ClientConfig,
) -> Result<Vec<StoredTransaction>, MediatorError> {
    let member = Member { id: setup.mediator.member(), identity: identity.clone() };
    Ok(Client::new(client, setup.synchronizer.clone(), member)?.founding().await?)
}

/// Recovers, then works through the events until an error ends this replica's role.
pub async fn run(context: Context, tasks: Tasks) -> Result<(), MediatorError> {
    let Context { db, epoch, identity, setup, client: config } = context;
    let topology = load_topology(&db, &setup.synchronizer).await?;
    let stored = store::recover(&db, topology.for_catch_up(Timestamp::MIN)).await?;
    let clean = stored.clean;
    let mediator = Mediator::recover(setup.mediator.clone(), setup.synchronizer.clone(), stored);
    let member = Member { id: setup.mediator.member(), identity: identity.clone() };
    let client = Client::new(config.borrow().clone(), setup.synchronizer, member)?;
    client.follow(config, &tasks);
    let keys = TopologyKeys::default();
    keys.follow(mediator.topology());
    let ticker = Ticker::start(client.clone(), epoch.number(), &tasks);
    let acknowledger = Acknowledger::start(client.clone(), &tasks);
    let events = client.subscribe(clean, Arc::new(keys.clone()), &tasks);
    let mut shell = Shell { db, epoch, identity, client, keys, ticker, acknowledger, mediator, tasks };
    let unsent: Vec<Decision> = shell.mediator.outbox().cloned().collect();
    tracing::info!(epoch = shell.epoch.number(), ?clean, resent = unsent.len(), "mediator resumes");
    shell.identity.follow(shell.mediator.topology().head(), shell.client.member());
    unsent.iter().for_each(|decision| shell.send(decision));
    shell.follow(events).await
}

struct Shell {
    db: Db,
    epoch: Epoch,
    identity: Identity,
    client: Client,
    keys: TopologyKeys,
    ticker: Ticker,
    acknowledger: Acknowledger,
    mediator: Mediator,
    tasks: Tasks,
}

type Events = mpsc::Receiver<Result<Received, SubscriptionError>>;

impl Shell {
    async fn follow(&mut self, mut events: Events) -> Result<(), MediatorError> {
        loop {
            let mut batch = vec![events.recv().await.ok_or(MediatorError::Stopped)??];
            while batch.len() < BATCH
                && let Ok(next) = events.try_recv()
            {
                batch.push(next?);
            }
            let (mut effects, mut last) = (Vec::new(), Timestamp::MIN);
            for received in batch {
                last = received.event.timestamp;
                self.ticker.observe(last);
                effects.extend(self.mediator.step(&received.event));
            }
            self.identity.follow(self.mediator.topology().snapshot(last), self.client.member());
            self.carry_out(effects).await?;
        }
    }

    /// Stores everything in one transaction, then sends, then asks for time.
    async fn carry_out(&mut self, effects: Vec<Effect>) -> Result<(), MediatorError> {
        let statements: Vec<Statement> = effects.iter().flat_map(|effect| self.statements(effect)).collect();
        if !statements.is_empty() {
            self.commit(statements).await?;
        }
        for effect in effects {
            match effect {
                Effect::Decide(decision) => self.send(&decision),
                Effect::Tick(at) => self.ticker.want(at),
                Effect::Topology(accepted) => {
                    self.keys.follow(self.mediator.topology());
                    let own = Identity::changes_at(&accepted, self.client.member());
                    own.into_iter().for_each(|at| self.ticker.want(at));
                }
                Effect::Clean(at) => self.acknowledger.clean(at),
                Effect::Alarm(alarm) => tracing::warn!(code = alarm.code.id, "mediator: {alarm}"),
                Effect::Uuid(_) | Effect::Settled(_) => {}
            }
        }
        Ok(())
    }

    fn statements(&self, effect: &Effect) -> Vec<Statement> {
        match effect {
            Effect::Topology(accepted) => vec![topology_rows(accepted)],
            Effect::Uuid(used) => vec![store::uuid_row(used)],
            Effect::Decide(decision) => vec![store::verdict_row(decision, &self.epoch)],
            Effect::Settled(request) => vec![store::settle(*request)],
            Effect::Clean(at) => store::clean_rows(*at).into(),
            Effect::Tick(_) | Effect::Alarm(_) => Vec::new(),
        }
    }

    /// Every statement may run twice, so an unknown outcome is tried again under the same epoch.
    async fn commit(&self, statements: Vec<Statement>) -> Result<(), StoreError> {
        loop {
            match self.db.commit(&self.epoch, statements.clone()).await {
                Ok(_) => return Ok(()),
                Err(error @ (StoreError::Unknown(_) | StoreError::Unavailable(_) | StoreError::Contention(_))) => {
                    tracing::warn!("mediator: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn send(&self, decision: &Decision) {
        let unsigned = Signed::unsigned(decision.result.clone());
        // Participants look the key up at the time of the request.
        let snapshot = self.mediator.topology().snapshot(decision.result.request);
        let signature = self.identity.sign_at(snapshot, self.client.member(), &unsigned.hash());
        let submission = Submission {
            sender: self.client.member().clone(),
            message_id: decision.message_id(),
            batch: vec![decision.envelope(unsigned.with(signature))],
            max_sequencing_time: decision.max_sequencing_time,
            topology_timestamp: None,
            epoch: self.epoch.number(),
        };
        let client = self.client.clone();
        let send = async move {
            // The outbox keeps it until it is sequenced or too late, so an unknown outcome is simply tried again.
            loop {
                match client.send("verdict", &submission).await {
                    Ok(()) => return,
                    Err(SendError::Refused(error)) => {
                        return tracing::warn!("verdict {}: {error}", submission.message_id);
                    }
                    Err(error @ SendError::Unknown(_)) => tracing::warn!("verdict {}: {error}", submission.message_id),
                }
            }
        };
        self.tasks.spawn_cancellable("send verdict", send).detach();
    }
}
