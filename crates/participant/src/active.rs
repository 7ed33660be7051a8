//! What an active participant has: its identity, its connection, and the tasks of its role.

use crate::{
    ParticipantError,
    interpreter::Interpreter,
    onboarding, packages,
    shell::{Connection, Shell},
    store::{self, Registered},
};
use ::ledger::{Ledger, initial_rows};
use ::store::{Db, Epoch};
use base::{ParticipantId, Timestamp};
use identity::{Identity, load_topology};
use participant_core::{Participant, Recovered};
use sequencer_client::{Acknowledger, Client, ClientConfig, Member, Ticker, TopologyKeys};
use std::sync::{Arc, PoisonError, RwLock};
use tasks::Tasks;
use tokio::sync::{broadcast, mpsc, watch};

/// Inputs that wait for the loop.
const INBOX: usize = 1000;

/// An active participant. Made when the role begins, dropped when it ends.
pub struct Active {
    pub(crate) db: Db,
    pub(crate) epoch: Epoch,
    pub(crate) identity: Identity,
    pub(crate) me: ParticipantId,
    pub(crate) ledger: Ledger,
    pub(crate) interpreter: Arc<dyn Interpreter>,
    pub(crate) tasks: Tasks,
    /// How sequencers are called.
    client: ClientConfig,
    connection: RwLock<Option<Connection>>,
}

impl Active {
    /// Takes over: loads or makes the identity, and makes all packages known. `client` says how sequencers
    /// are called.
    pub async fn begin(
        db: Db,
        epoch: Epoch,
        name: &str,
        interpreter: Arc<dyn Interpreter>,
        client: ClientConfig,
        tasks: Tasks,
    ) -> Result<Arc<Self>, ParticipantError> {
        let identity = match Identity::load(&db).await? {
            Some(identity) => identity,
            None => {
                let (identity, mut rows) = Identity::create(name)?;
                rows.extend(initial_rows());
                db.commit(&epoch, rows).await?;
                identity
            }
        };
        let me = ParticipantId(identity.uid().clone());
        let ledger = Ledger::new(db.clone());
        packages::load(&ledger, &interpreter, &tasks).await?;
        Ok(Arc::new(Self {
            db,
            epoch,
            identity,
            me,
            ledger,
            interpreter,
            tasks,
            client,
            connection: RwLock::default(),
        }))
    }

    /// The participant's id.
    #[must_use]
    pub fn id(&self) -> &ParticipantId {
        &self.me
    }

    pub(crate) fn connection(&self) -> Option<Connection> {
        self.connection.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Connects to every synchronizer that is to be connected by itself. The others are left to operators: from now on
    /// they are not connected.
    pub async fn reconnect(self: &Arc<Self>) -> Result<(), ParticipantError> {
        let registered = store::synchronizers(&self.db).await?;
        let (manual, own): (Vec<_>, Vec<_>) =
            registered.into_iter().filter(|r| r.connected).partition(|r| r.manual_connect);
        if !manual.is_empty() {
            let left = manual.into_iter().map(|r| store::synchronizer_row(&Registered { connected: false, ..r }));
            self.db.commit(&self.epoch, left.collect()).await?;
        }
        for registered in own {
            self.connect(&registered).await?;
        }
        Ok(())
    }

    /// Registers a synchronizer, onboards where that is needed, and connects. Connecting again changes nothing.
    pub async fn register(
        self: &Arc<Self>,
        alias: String,
        sequencers: Vec<String>,
        manual_connect: bool,
    ) -> Result<Registered, ParticipantError> {
        let config = self.client.to(sequencers.clone());
        let synchronizer = sequencer_client::Synchronizer::at(&config).await?.id;
        let others = store::synchronizers(&self.db).await?;
        if let Some(other) = others.into_iter().find(|r| r.connected && r.synchronizer != synchronizer) {
            return Err(ParticipantError::SecondSynchronizer(other.alias));
        }
        let registered = Registered { alias, synchronizer, sequencers, manual_connect, connected: true };
        onboarding::onboard(&self.identity, &self.me, &registered, &config).await?;
        self.db.commit(&self.epoch, vec![store::synchronizer_row(&registered)]).await?;
        self.connect(&registered).await?;
        Ok(registered)
    }

    /// Recovers the state of a synchronizer and starts its loop.
    async fn connect(self: &Arc<Self>, registered: &Registered) -> Result<(), ParticipantError> {
        if self.connection().is_some() {
            return Ok(());
        }
        let synchronizer = registered.synchronizer.clone();
        let topology = load_topology(&self.db, &synchronizer).await?.for_catch_up(Timestamp::MIN);
        let clean = store::clean(&self.db, &synchronizer).await?;
        let in_flight = store::in_flight(&self.db).await?;
        let waiting = in_flight.len();
        let stored = Recovered { topology, in_flight, clean };
        let participant = Participant::recover(self.me.clone(), synchronizer.clone(), stored);
        let member = Member { id: self.me.member(), identity: self.identity.clone() };
        let config = self.client.to(registered.sequencers.clone());
        let client = Client::new(config, synchronizer.clone(), member)?;
        let keys = TopologyKeys::default();
        keys.follow(participant.topology());
        let ticker = Ticker::start(client.clone(), self.epoch.number(), &self.tasks);
        participant.ticks().for_each(|at| ticker.want(at));
        let (inputs, inbox) = mpsc::channel(INBOX);
        let topology = watch::Sender::new(Arc::new(participant.topology().clone()));
        let time = watch::Sender::new(clean);
        let registered = broadcast::Sender::new(100);
        let connection = Connection {
            synchronizer,
            client: client.clone(),
            ticker: ticker.clone(),
            inputs: inputs.clone(),
            topology: topology.subscribe(),
            time: time.subscribe(),
            registered: registered.clone(),
        };
        let events = client.subscribe(clean, Arc::new(keys.clone()), &self.tasks);
        let shell = Shell {
            db: self.db.clone(),
            epoch: self.epoch.clone(),
            identity: self.identity.clone(),
            me: self.me.clone(),
            acknowledger: Acknowledger::start(client.clone(), &self.tasks),
            ledger: self.ledger.clone(),
            interpreter: self.interpreter.clone(),
            next_offset: self.ledger.end().await? + 1,
            tasks: self.tasks.clone(),
            client,
            keys,
            ticker,
            participant,
            inputs,
            topology,
            time,
            registered,
        };
        tracing::info!(epoch = self.epoch.number(), ?clean, waiting, "participant resumes");
        let run = async move { Err::<(), _>(shell.run(events, inbox).await) };
        self.tasks.spawn_essential("participant", run).detach();
        *self.connection.write().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        Ok(())
    }
}
