//! What the active manager does.

use crate::store;
use ::store::{Db, Epoch, Statement, StoreError};
use base::{Coded, ErrorCode, InvalidId, SynchronizerId, Timestamp, codes};
use identity::{Identity, IdentityError, load_setting, load_topology, setting_row, topology_rows};
use manager_core::{Answer, Dispatch, Effect, FoundingError, Manager, Policy};
use protocol::{
    message::{EnvelopeContent, Signed},
    sequencing::{Envelope, Recipients, Submission},
};
use sequencer_client::{
    Acknowledger, Client, ClientConfig, ClientError, Member, Received, SubscriptionError, Ticker, TopologyKeys,
};
use std::{sync::Arc, time::Duration};
use tasks::Tasks;
use tokio::sync::{mpsc, oneshot, watch};
use topology::{Mapping, Operation, Rejection, StoredTransaction, TopologyTransaction};

/// Events of one transaction.
const BATCH: usize = 100;
/// Between two attempts at the same transaction.
const RETRY: Duration = Duration::from_millis(20);

/// Where the manager finds the synchronizer that it founded.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its synchronizer.
    pub synchronizer: SynchronizerId,
    /// `http://host:port` of the sequencers.
    pub sequencers: Vec<String>,
    /// Certificates, PEM, that theirs may be signed by; else the machine's count.
    pub trust: Option<String>,
}

/// What an active manager works with.
#[derive(Debug, Clone)]
pub struct Context {
    /// Its database.
    pub db: Db,
    /// Its right to write.
    pub epoch: Epoch,
    /// Its keys.
    pub identity: Identity,
    /// Where the synchronizer is.
    pub setup: Setup,
    /// How sequencers are called, now and as that changes.
    pub client: watch::Receiver<ClientConfig>,
}

/// An operator's wish: have this statement about the synchronizer in force, or no longer.
pub struct Request {
    /// What.
    pub mapping: Mapping,
    /// Whether it holds from then on.
    pub operation: Operation,
    /// Answered once it is sequenced, with the time.
    pub reply: oneshot::Sender<Result<StoredTransaction, ManagerError>>,
}

/// Why an active manager cannot go on, or refuses.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
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
    /// What is stored about the synchronizer cannot be read, or a name is none.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// The topology does not suffice.
    #[error(transparent)]
    Founding(#[from] FoundingError),
    /// A topology transaction cannot be admitted.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The tasks of this role are being ended.
    #[error("the manager is being stopped")]
    Stopped,
}

impl Coded for ManagerError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::Identity(error) => error.code(),
            Self::Client(error) => error.code(),
            Self::Subscription(error) => error.code(),
            Self::Id(_) => codes::INVALID_ARGUMENT,
            Self::Founding(_) | Self::Rejected(_) => codes::TOPOLOGY_TRANSACTION_INVALID,
            Self::Stopped => codes::SERVER_IS_SHUTTING_DOWN,
        }
    }
}

/// Where the synchronizer is; `None` before the manager is initialized.
pub async fn setup(db: &Db) -> Result<Option<Setup>, ManagerError> {
    let Some(synchronizer) = load_setting(db, "synchronizer").await? else { return Ok(None) };
    let sequencers = load_setting(db, "sequencers").await?.unwrap_or_default();
    let sequencers = sequencers.split_whitespace().map(str::to_owned).collect();
    let trust = load_setting(db, "trust").await?.filter(|pem| !pem.is_empty());
    Ok(Some(Setup { synchronizer: synchronizer.parse()?, sequencers, trust }))
}

/// Stores where the synchronizer is, with its first topology as the sequencer took it. The same call again changes
/// nothing but the sequencers.
pub async fn initialize(
    db: &Db,
    epoch: &Epoch,
    setup: &Setup,
    topology: &[StoredTransaction],
) -> Result<(), ManagerError> {
    let statements = vec![
        setting_row("synchronizer", &setup.synchronizer.to_string()),
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
) -> Result<Vec<StoredTransaction>, ManagerError> {
    let member = Member { id: setup.synchronizer.member(), identity: identity.clone() };
    Ok(Client::new(client, setup.synchronizer.clone(), member)?.founding().await?)
}

/// Recovers, then works through events and requests until an error ends this replica's role.
pub async fn run(context: Context, mut requests: mpsc::Receiver<Request>, tasks: Tasks) -> Result<(), ManagerError> {
    let Context { db, epoch, identity, setup, client: config } = context;
    let topology = load_topology(&db, &setup.synchronizer).await?;
    let stored = store::recover(&db, topology.for_catch_up(Timestamp::MIN)).await?;
    let clean = stored.clean;
    let manager = Manager::recover(setup.synchronizer.clone(), Policy::Open, stored);
    let member = Member { id: setup.synchronizer.member(), identity: identity.clone() };
    let client = Client::new(config.borrow().clone(), setup.synchronizer, member)?;
    client.follow(config, &tasks);
    let keys = TopologyKeys::default();
    keys.follow(manager.topology());
    let ticker = Ticker::start(client.clone(), epoch.number(), &tasks);
    let acknowledger = Acknowledger::start(client.clone(), &tasks);
    let mut events = client.subscribe(clean, Arc::new(keys.clone()), &tasks);
    let mut shell =
        Shell { db, epoch, identity, client, keys, ticker, acknowledger, manager, waiting: Vec::new(), tasks };
    tracing::info!(epoch = shell.epoch.number(), ?clean, queue = shell.manager.waiting(), "manager resumes");
    let unsent: Vec<Answer> = shell.manager.answers().cloned().collect();
    shell.identity.follow(shell.manager.topology().head(), shell.client.member());
    unsent.iter().for_each(|answer| shell.answer(answer));
    let due = shell.manager.resume();
    shell.carry_out(due).await?;
    shell.ticker.known_time().await;
    shell.pump();
    loop {
        tokio::select! {
            event = events.recv() => shell.events(event.ok_or(ManagerError::Stopped)??, &mut events).await?,
            request = requests.recv() => match request {
                Some(request) => shell.request(request).await?,
                None => return Err(ManagerError::Stopped),
            },
        }
        shell.pump();
    }
}

struct Shell {
    db: Db,
    epoch: Epoch,
    identity: Identity,
    client: Client,
    keys: TopologyKeys,
    ticker: Ticker,
    acknowledger: Acknowledger,
    manager: Manager,
    /// Requests whose transaction is not sequenced yet.
    waiting: Vec<(TopologyTransaction, oneshot::Sender<Result<StoredTransaction, ManagerError>>)>,
    tasks: Tasks,
}

type Events = mpsc::Receiver<Result<Received, SubscriptionError>>;

impl Shell {
    async fn events(&mut self, first: Received, events: &mut Events) -> Result<(), ManagerError> {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(next) = events.try_recv()
        {
            batch.push(next?);
        }
        let (mut effects, mut last) = (Vec::new(), Timestamp::MIN);
        for received in batch {
            last = received.event.timestamp;
            self.ticker.observe(last);
            effects.extend(self.manager.step(&received.event));
        }
        self.identity.follow(self.manager.topology().snapshot(last), self.client.member());
        self.carry_out(effects).await
    }

    async fn request(&mut self, request: Request) -> Result<(), ManagerError> {
        let signed = self.signed(request.mapping, request.operation);
        let transaction = signed.transaction().clone();
        match self.manager.authorize(signed) {
            Ok(effects) => {
                self.carry_out(effects).await?;
                self.waiting.push((transaction, request.reply));
            }
            Err(rejection) => drop(request.reply.send(Err(rejection.into()))),
        }
        Ok(())
    }

    fn signed(&self, mapping: Mapping, operation: Operation) -> topology::SignedTopologyTransaction {
        let transaction = TopologyTransaction { serial: self.manager.serial(&mapping), operation, mapping };
        let hash = transaction.hash();
        let root = self.identity.root_key().fingerprint();
        let signature = self.identity.sign_with(root, &hash);
        transaction.signed(signature.into_iter().collect())
    }

    /// Signs what is to be signed, stores everything in one transaction, then sends.
    async fn carry_out(&mut self, effects: Vec<Effect>) -> Result<(), ManagerError> {
        let mut all = Vec::new();
        for effect in effects {
            match effect {
                Effect::Sign(mapping) => match self.manager.authorize(self.signed(mapping, Operation::AddReplace)) {
                    Ok(more) => all.extend(more),
                    Err(why) => tracing::warn!("manager: a statement of its own is refused: {why}"),
                },
                other => all.push(other),
            }
        }
        let statements: Vec<Statement> = all.iter().filter_map(|effect| self.statement(effect)).collect();
        if !statements.is_empty() {
            self.commit(statements).await?;
        }
        for effect in all {
            self.start(effect);
        }
        Ok(())
    }

    /// Before the time is known nothing can be sent; the first event makes it known.
    fn pump(&mut self) {
        let Some(now) = self.ticker.time() else { return };
        for effect in self.manager.pump(now) {
            self.start(effect);
        }
    }

    fn statement(&self, effect: &Effect) -> Option<Statement> {
        match effect {
            Effect::Topology(accepted) => Some(topology_rows(accepted)),
            Effect::Enqueue(queued) => Some(store::queue_row(queued, &self.epoch)),
            Effect::Dequeue(position) => Some(store::dequeue(*position)),
            Effect::Answer(answer) => Some(store::answer_row(answer, &self.epoch)),
            Effect::Settled(message) => Some(store::settle(message)),
            Effect::Clean(at) => Some(store::clean_row(*at)),
            Effect::Sign(_) | Effect::Dispatch(_) | Effect::Tick(_) | Effect::Alarm(_) => None,
        }
    }

    fn start(&mut self, effect: Effect) {
        match effect {
            Effect::Topology(accepted) => {
                self.keys.follow(self.manager.topology());
                let own = Identity::changes_at(&accepted, self.client.member());
                own.into_iter().for_each(|at| self.ticker.want(at));
                for stored in accepted {
                    let done = self.waiting.extract_if(.., |(t, _)| t == stored.transaction.transaction());
                    done.for_each(|(_, reply)| drop(reply.send(Ok(stored.clone()))));
                }
            }
            Effect::Answer(answer) => self.answer(&answer),
            Effect::Dispatch(dispatch) => self.dispatch(dispatch),
            Effect::Tick(at) => self.ticker.want(at),
            Effect::Clean(at) => self.acknowledger.clean(at),
            Effect::Alarm(text) => tracing::warn!("manager: {text}"),
            Effect::Enqueue(_) | Effect::Dequeue(_) | Effect::Settled(_) | Effect::Sign(_) => {}
        }
    }

    /// Every statement may run twice, so an unknown outcome is tried again under the same epoch.
    async fn commit(&self, statements: Vec<Statement>) -> Result<(), StoreError> {
        loop {
            match self.db.commit(&self.epoch, statements.clone()).await {
                Ok(_) => return Ok(()),
                Err(error @ (StoreError::Unknown(_) | StoreError::Unavailable(_) | StoreError::Contention(_))) => {
                    tracing::warn!("manager: {error}");
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn answer(&self, answer: &Answer) {
        let unsigned = Signed::unsigned(answer.response.clone());
        let signature = self.identity.sign(&unsigned.hash());
        let content = EnvelopeContent::RegisterResponse(unsigned.with(signature)).encode();
        let recipients = Recipients::group([answer.response.participant.member()]);
        self.send(
            "registration",
            answer.message_id.clone(),
            Envelope { content, recipients },
            answer.max_sequencing_time,
        );
    }

    fn dispatch(&self, dispatch: Dispatch) {
        let unsigned = Signed::unsigned(dispatch.message);
        let signature = self.identity.sign(&unsigned.hash());
        let content = EnvelopeContent::Topology(unsigned.with(signature)).encode();
        let envelope = Envelope { content, recipients: dispatch.recipients };
        self.send("topology broadcast", dispatch.message_id, envelope, dispatch.max_sequencing_time);
    }

    fn send(
        &self,
        what: &'static str,
        message_id: base::MessageId,
        envelope: Envelope,
        max_sequencing_time: Timestamp,
    ) {
        let submission = Submission {
            sender: self.client.member().clone(),
            message_id,
            batch: vec![envelope],
            max_sequencing_time,
            topology_timestamp: None,
            epoch: self.epoch.number(),
        };
        let client = self.client.clone();
        let send = async move {
            // What is lost is sent again once its max sequencing time has passed.
            if let Err(error) = client.send(what, &submission).await {
                tracing::warn!("topology message {}: {error}", submission.message_id);
            }
        };
        self.tasks.spawn_cancellable("send topology", send).detach();
    }
}
