//! What an active participant has: its identity, its connection, and the tasks of its role.

use crate::{
    ParticipantError,
    interpreter::Interpreter,
    packages,
    ping::{self, Workflows},
    shell::{Connection, Shell},
    store::{self, Registered},
};
use ::ledger::{Ledger, initial_rows};
use ::store::{Db, Epoch};
use base::{ParticipantId, Timestamp};
use crypto::PublicKey;
use identity::{Identity, load_topology};
use participant_core::{Participant, Recovered};
use sequencer_client::{Acknowledger, Client, ClientConfig, Member, Ticker, TopologyKeys};
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tasks::{Supervisor, Tasks};
use tokio::sync::{Mutex, broadcast, mpsc, watch};

/// Inputs that wait for the loop.
const INBOX: usize = 1000;
/// For a connection to end. A loop that takes longer is aborted, which ends the role.
const FAREWELL: Duration = Duration::from_secs(10);

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
    pub(crate) client: ClientConfig,
    connected: RwLock<Option<Connected>>,
    /// Held by what changes connections, so that one change comes after the other.
    pub(crate) changing: Mutex<()>,
    /// The same for what it vets: the next change builds on the one before.
    pub(crate) vetting: Mutex<()>,
    /// The same for its keys.
    pub(crate) rotating: Mutex<()>,
    /// Once it is installed.
    pub(crate) workflows: Option<Workflows>,
}

/// A connection, and the tasks that it is made of.
struct Connected {
    connection: Connection,
    supervisor: Supervisor,
}

impl Active {
    /// Takes over: loads or makes the identity, and makes all packages known. `client` says how sequencers
    /// are called, `with_workflows` whether participants can ping it.
    pub async fn begin(
        db: Db,
        epoch: Epoch,
        name: &str,
        interpreter: Arc<dyn Interpreter>,
        client: ClientConfig,
        with_workflows: bool,
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
        let mut active = Self {
            db,
            epoch,
            identity,
            me,
            ledger,
            interpreter,
            tasks,
            client,
            connected: RwLock::default(),
            changing: Mutex::default(),
            vetting: Mutex::default(),
            rotating: Mutex::default(),
            workflows: None,
        };
        if with_workflows {
            active.workflows = Some(Workflows::install(&active).await?);
        }
        Ok(Arc::new(active))
    }

    /// The participant's id.
    #[must_use]
    pub fn id(&self) -> &ParticipantId {
        &self.me
    }

    /// Replaces its keys for signing and encryption on the synchronizer; returns the new ones with their names.
    pub async fn rotate_keys(&self) -> Result<Vec<(String, PublicKey)>, ParticipantError> {
        crate::onboarding::rotate(self).await
    }

    pub(crate) fn connection(&self) -> Option<Connection> {
        let connected = self.connected.read().unwrap_or_else(PoisonError::into_inner);
        connected.as_ref().map(|connected| connected.connection.clone())
    }

    /// Ends the connection, if there is one: what is being stored is finished, what was sent is found out by the next.
    pub(crate) async fn leave(&self) {
        let connected = self.connected.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(connected) = connected {
            connected.supervisor.shutdown(FAREWELL).await;
            self.client.lag.clear();
        }
    }

    /// Recovers the state of a synchronizer and starts its loop.
    pub(crate) async fn connect(
        self: &Arc<Self>,
        registered: &Registered,
        config: ClientConfig,
    ) -> Result<(), ParticipantError> {
        if self.connection().is_some() {
            return Ok(());
        }
        let (tasks, supervisor) = self.tasks.child("synchronizer");
        let synchronizer = registered.synchronizer.clone();
        let topology = load_topology(&self.db, &synchronizer).await?;
        self.identity.follow(topology.head(), &self.me.member());
        let topology = topology.for_catch_up(Timestamp::MIN);
        let clean = store::clean(&self.db, &synchronizer).await?;
        let in_flight = store::in_flight(&self.db).await?;
        let waiting = in_flight.len();
        let stored = Recovered { topology, in_flight, clean };
        let participant = Participant::recover(self.me.clone(), synchronizer.clone(), stored);
        let member = Member { id: self.me.member(), identity: self.identity.clone() };
        let client = Client::new(config, synchronizer.clone(), member)?;
        let keys = TopologyKeys::default();
        keys.follow(participant.topology());
        let ticker = Ticker::start(client.clone(), self.epoch.number(), &tasks);
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
        let (pings, to_answer) = mpsc::channel(ping::WAITING);
        let events = client.subscribe(clean, Arc::new(keys.clone()), &tasks);
        let shell = Shell {
            db: self.db.clone(),
            epoch: self.epoch.clone(),
            identity: self.identity.clone(),
            me: self.me.clone(),
            acknowledger: Acknowledger::start(client.clone(), &tasks),
            ledger: self.ledger.clone(),
            interpreter: self.interpreter.clone(),
            next_offset: self.ledger.end().await? + 1,
            tasks: tasks.clone(),
            client,
            keys,
            ticker,
            participant,
            inputs,
            topology,
            time,
            registered,
            workflows: self.workflows.clone(),
            pings,
        };
        tracing::info!(epoch = self.epoch.number(), ?clean, waiting, "participant resumes");
        let work = tasks.spawn("participant", shell.run(events, inbox));
        // Without its loop the role makes no sense, unless the loop was asked to end.
        let watch = async move { work.await.map_err(|ended| ended.to_string())?.map_err(|error| error.to_string()) };
        self.tasks.spawn_essential("participant", watch).detach();
        *self.connected.write().unwrap_or_else(PoisonError::into_inner) = Some(Connected { connection, supervisor });
        if let Some(workflows) = self.workflows.clone() {
            tasks.spawn_cancellable("answer pings", ping::answer(self.clone(), workflows, to_answer)).detach();
        }
        Ok(())
    }
}
