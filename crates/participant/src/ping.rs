//! Participants ask each other for a sign of life on the ledger: one creates a contract, the other answers by a choice of
//! it, so that sequencer, mediator and both participants have worked. What passive replicas miss is not made up for.

use crate::{
    ParticipantError,
    active::Active,
    onboarding,
    packages::{self, CHANGED, dar_hash},
    shell::Connection,
    store::dars,
    submit,
};
use ::ledger::{CompletionOutcome, load_contracts};
use base::{CommandId, ContractId, DottedName, Name, PackageId, ParticipantId, PartyId, SubmissionId};
use identity::random;
use ledger_api::{CommandKind, Commands, PackageRef, TemplateRef};
use protocol::Contract;
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use telemetry::Trouble;
use tokio::sync::mpsc;
use transaction::{Field, Record, Value};

/// Pings that wait for an answer from here; more are not answered.
pub(crate) const WAITING: usize = 100;
/// As whom the participant submits.
const USER: &str = "participant-admin";
/// For a participant that has just been connected to be seen by the others.
const ARRIVAL: Duration = Duration::from_secs(3);
/// Between two attempts to have the package vetted.
const RETRY: Duration = Duration::from_secs(1);

/// The model that every participant has.
#[derive(Clone)]
pub(crate) struct Workflows {
    package: PackageId,
}

impl Workflows {
    /// Stores the model, and makes it known to the engine, where it is not yet.
    pub(crate) async fn install(active: &Active) -> Result<Self, ParticipantError> {
        let (interpreter, bytes) = (active.interpreter.clone(), lf::models::admin());
        let file = bytes.clone();
        let read = move || interpreter.read_dar(&bytes);
        let stopped = |_| ParticipantError::Passive;
        let dar = active.tasks.spawn_blocking("read package", read).await.map_err(stopped)??;
        if !dars(&active.db).await?.iter().any(|known| known.hash == dar_hash(&file)) {
            let now = active.db.now().await?;
            active.db.commit(&active.epoch, packages::rows(&file, &dar, now)).await?;
            active.db.notify(CHANGED);
        }
        let Some(package) = dar.packages.into_iter().next_back() else { return Err(ParticipantError::Passive) };
        let (interpreter, id) = (active.interpreter.clone(), package.id.clone());
        let add = move || interpreter.add_package(&package.id, &package.payload);
        active.tasks.spawn_blocking("read package", add).await.map_err(stopped)??;
        Ok(Self { package: id })
    }

    /// What is to be vetted.
    pub(crate) fn packages(&self) -> BTreeSet<PackageId> {
        BTreeSet::from([self.package.clone()])
    }

    /// Whether somebody waits for the answer of `me` to this contract.
    pub(crate) fn is_for(&self, contract: &Contract, me: &PartyId) -> bool {
        contract.instance.template.package == self.package && responder(contract) == Some(me)
    }

    fn template(&self) -> Result<TemplateRef, ParticipantError> {
        let (module, entity) = (DottedName::new("PingPong")?, DottedName::new("Ping")?);
        Ok(TemplateRef { package: PackageRef::Id(self.package.clone()), module, entity })
    }
}

fn responder(contract: &Contract) -> Option<&PartyId> {
    let Value::Record(record) = &contract.instance.argument else { return None };
    match &record.fields.get(2)?.value {
        Value::Party(party) => Some(party),
        _ => None,
    }
}

fn record(fields: Vec<(&str, Value)>) -> Result<Value, ParticipantError> {
    let field = |(label, value)| Ok(Field { label: Some(Name::new(label)?), value });
    let fields = fields.into_iter().map(field).collect::<Result<_, ParticipantError>>()?;
    Ok(Value::Record(Record { id: None, fields }.into()))
}

/// Has the model vetted, then answers what comes until the connection ends.
pub(crate) async fn answer(active: Arc<Active>, workflows: Workflows, mut pings: mpsc::Receiver<Contract>) {
    let mut trouble = Trouble::new("the participant's own model cannot be vetted");
    while trouble.note(onboarding::vet(&active, &workflows.packages()).await).is_none() {
        tokio::time::sleep(RETRY).await;
    }
    while let Some(contract) = pings.recv().await {
        let respond = async {
            let command = CommandKind::Exercise {
                template: workflows.template()?,
                contract: contract.id.clone(),
                choice: Name::new("Respond")?,
                argument: record(vec![])?,
            };
            submit(&active, &format!("pong-{}", random::id()), command).await
        };
        if let Err(error) = respond.await {
            tracing::warn!(contract = %contract.id, "a ping is not answered: {error}");
        }
    }
}

/// Waits until a participant may be addressed: it may just have been connected.
async fn is_there(connection: &Connection, other: &ParticipantId) {
    let (mut topology, mut time) = (connection.topology.clone(), connection.time.clone());
    loop {
        let state = topology.borrow_and_update().clone();
        let now = *time.borrow_and_update();
        if now.is_some_and(|now| state.snapshot(now).participant_permission(other).is_some()) {
            return;
        }
        if let Some(last) = state.last_sequenced() {
            connection.ticker.want(state.effective_time(last));
        }
        tokio::select! {
            changed = topology.changed() => drop(changed),
            changed = time.changed() => drop(changed),
        }
    }
}

async fn submit(active: &Arc<Active>, id: &str, command: CommandKind) -> Result<(), ParticipantError> {
    let commands = Commands {
        user: USER.parse()?,
        command: CommandId::new(id)?,
        submission: SubmissionId::new(id)?,
        workflow: None,
        act_as: [active.me.0.party()].into(),
        read_as: [].into(),
        deduplication: None,
        synchronizer: None,
        commands: vec![command],
    };
    submit::submit(active, commands).await.map_err(|why| ParticipantError::Ping(why.to_string()))
}

impl Active {
    /// Asks a participant, which may be this one, for a sign of life; says how long that took.
    pub async fn ping(
        self: &Arc<Self>,
        other: &ParticipantId,
        timeout: Duration,
    ) -> Result<Duration, ParticipantError> {
        let began = Instant::now();
        match tokio::time::timeout(timeout, self.pinged(other)).await {
            Ok(done) => done.map(|()| began.elapsed()),
            Err(_) => Err(ParticipantError::Ping(format!("{other} has not answered within {timeout:?}"))),
        }
    }

    async fn pinged(self: &Arc<Self>, other: &ParticipantId) -> Result<(), ParticipantError> {
        let connection = self.connection().ok_or(ParticipantError::NotConnected)?;
        if tokio::time::timeout(ARRIVAL, is_there(&connection, other)).await.is_err() {
            let text = format!("{other} is not known on the synchronizer; connect it to the same one");
            return Err(ParticipantError::Ping(text));
        }
        let workflows = self.workflows.as_ref().ok_or(ParticipantError::Passive)?;
        onboarding::vet(self, &workflows.packages()).await?;
        let id = format!("ping-{}", random::id());
        let argument = record(vec![
            ("id", Value::Text(id.as_str().into())),
            ("initiator", Value::Party(self.me.0.party())),
            ("responder", Value::Party(other.0.party())),
        ])?;
        let mut news = self.ledger.listen();
        let before = self.ledger.end().await?;
        let template = workflows.template()?;
        submit(self, &id, CommandKind::Create { template, argument }).await?;
        let contract = loop {
            match self.created(&id, before).await? {
                Some(contract) => break contract,
                None => news.changed().await,
            }
        };
        loop {
            match load_contracts(&self.db, std::slice::from_ref(&contract)).await?.get(&contract) {
                Some((_, true)) => news.changed().await,
                _ => return Ok(()),
            }
        }
    }

    /// The contract that a command has created; `None` while it is being decided.
    async fn created(&self, command: &str, after: i64) -> Result<Option<ContractId>, ParticipantError> {
        let Some(entry) = self.ledger.completions_of(command, after).await?.into_iter().next() else {
            return Ok(None);
        };
        let id = match entry.content.outcome {
            CompletionOutcome::Committed(id) => id,
            CompletionOutcome::Rejected { message, .. } => return Err(ParticipantError::Ping(message)),
        };
        let update = self.ledger.update_by_id(&id).await?;
        let created = update.and_then(|update| update.content.transaction.created_contracts().next().cloned());
        created.map(Some).ok_or_else(|| ParticipantError::Ping("it created no contract".into()))
    }
}
