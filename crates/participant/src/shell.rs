//! The loop of an active participant on one synchronizer: take what waits, step through it, store everything in one
//! fenced transaction, then send.

use crate::{ParticipantError, interpreter::Interpreter, ping::Workflows, store, submit};
use ::ledger::{
    Command, Completion, CompletionOutcome, Ledger, Publication, Update, key_counts, load_contracts, party_row, publish,
};
use ::store::{Db, Epoch, Statement, StoreError};
use base::{ContractId, ErrorCode, Hash, MessageId, ParticipantId, SynchronizerId, Timestamp};
use identity::{Identity, topology_rows};
use participant_core::{
    ContractStatus, Effect, Event, Incoming, Lockables, Participant, Publish, Respond, Submit, change_id,
    deduplication::Acceptance,
};
use protocol::{
    ConfirmationRequest, Contract,
    message::{EnvelopeContent, Signed},
    sequencing::{Envelope, Recipients, Submission},
    tree::DeduplicationPeriod,
};
use sequencer_client::{Acknowledger, Client, Received, SendError, SubscriptionError, Ticker, TopologyKeys};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use tasks::Tasks;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use topology::{RegisterResponse, TopologyState};

/// Inputs of one transaction.
const BATCH: usize = 100;
/// Between two attempts at the same transaction.
const RETRY: Duration = Duration::from_millis(20);

/// What the loop is asked to do, beside the events of the sequencer.
pub(crate) enum Input {
    /// Register a submission and send it.
    Submit { request: Box<ConfirmationRequest>, now: Timestamp, reply: oneshot::Sender<Result<(), ParticipantError>> },
    /// An interpretation is done.
    Reinterpreted(Box<Event>),
    /// The sequencer refused a request for certain.
    Refused { message: MessageId, code: ErrorCode, why: String },
}

/// What others see of the loop.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) synchronizer: SynchronizerId,
    pub(crate) client: Client,
    pub(crate) ticker: Ticker,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) topology: watch::Receiver<Arc<TopologyState>>,
    /// Time of the last event that was processed.
    pub(crate) time: watch::Receiver<Option<Timestamp>>,
    pub(crate) registered: broadcast::Sender<RegisterResponse>,
}

pub(crate) struct Shell {
    pub(crate) db: Db,
    pub(crate) epoch: Epoch,
    pub(crate) identity: Identity,
    pub(crate) me: ParticipantId,
    pub(crate) client: Client,
    pub(crate) keys: TopologyKeys,
    pub(crate) ticker: Ticker,
    pub(crate) acknowledger: Acknowledger,
    pub(crate) ledger: Ledger,
    pub(crate) interpreter: Arc<dyn Interpreter>,
    pub(crate) participant: Participant,
    pub(crate) next_offset: i64,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) topology: watch::Sender<Arc<TopologyState>>,
    pub(crate) time: watch::Sender<Option<Timestamp>>,
    pub(crate) registered: broadcast::Sender<RegisterResponse>,
    pub(crate) tasks: Tasks,
    pub(crate) workflows: Option<Workflows>,
    pub(crate) pings: mpsc::Sender<Contract>,
}

pub(crate) type Events = mpsc::Receiver<Result<Received, SubscriptionError>>;
type Reply = (oneshot::Sender<Result<(), ParticipantError>>, Result<(), ParticipantError>);

impl Shell {
    /// Works until its scope ends, or an error does. What it has begun to store it finishes first.
    pub(crate) async fn run(
        mut self,
        mut events: Events,
        mut inbox: mpsc::Receiver<Input>,
    ) -> Result<(), ParticipantError> {
        let stopped = self.tasks.token();
        let mut backlog: VecDeque<Incoming> = VecDeque::new();
        loop {
            // What is left of a batch waits until the interpretations that it depends on are done.
            let can_go_on = !self.participant.is_blocked();
            let result = tokio::select! {
                () = stopped.cancelled() => return Ok(()),
                input = inbox.recv() => match input {
                    Some(input) => self.inputs(input, &mut inbox).await,
                    None => return Err(ParticipantError::BecamePassive),
                },
                () = std::future::ready(()), if can_go_on && !backlog.is_empty() => self.events(&mut backlog).await,
                event = events.recv(), if can_go_on && backlog.is_empty() => match event {
                    Some(Ok(received)) => {
                        backlog.push_back(Incoming::read(&received.event, &self.identity.decryption_keys()));
                        self.gather(&mut backlog, &mut events).map_err(Into::into)
                    }
                    Some(Err(error)) => Err(error.into()),
                    // The subscription ends with the scope, and may do so first.
                    None if stopped.is_cancelled() => return Ok(()),
                    None => Err(ParticipantError::BecamePassive),
                },
            };
            result?;
        }
    }

    fn gather(&self, backlog: &mut VecDeque<Incoming>, events: &mut Events) -> Result<(), SubscriptionError> {
        while backlog.len() < BATCH
            && let Ok(next) = events.try_recv()
        {
            backlog.push_back(Incoming::read(&next?.event, &self.identity.decryption_keys()));
        }
        Ok(())
    }

    async fn inputs(&mut self, first: Input, inbox: &mut mpsc::Receiver<Input>) -> Result<(), ParticipantError> {
        let mut waiting = vec![first];
        while waiting.len() < BATCH
            && let Ok(next) = inbox.try_recv()
        {
            waiting.push(next);
        }
        // Submissions first: what the other inputs accept is not stored yet, but still in flight.
        waiting.sort_by_key(|input| !matches!(input, Input::Submit { .. }));
        let submitted = waiting.iter().filter_map(|input| match input {
            Input::Submit { request, .. } => Some(change_id(request.tree().submitter.value())),
            Input::Reinterpreted(_) | Input::Refused { .. } => None,
        });
        let accepted = store::acceptances(&self.db, &submitted.collect::<Vec<_>>()).await?;
        let mut effects = Vec::new();
        let mut replies = Vec::new();
        for input in waiting {
            match input {
                Input::Submit { request, now, reply } => {
                    let result = self.submit(&request, &accepted, now);
                    replies.push((reply, result.map(|more| effects.extend(more))));
                }
                Input::Reinterpreted(event) => effects.extend(self.participant.step(*event)),
                Input::Refused { message, code, why } => {
                    effects.extend(self.participant.step(Event::Refused { message, code, why }));
                }
            }
        }
        self.carry_out(effects, replies).await
    }

    fn submit(
        &mut self,
        request: &ConfirmationRequest,
        accepted: &BTreeMap<Hash, Acceptance>,
        now: Timestamp,
    ) -> Result<Vec<Effect>, ParticipantError> {
        let submitter = request.tree().submitter.value();
        submit::check(submitter, accepted.get(&change_id(submitter)), now)?;
        let signature = self.identity.sign(&request.to_sign());
        Ok(self.participant.submit(request, &signature)?)
    }

    /// Steps through the backlog as far as that is possible.
    async fn events(&mut self, backlog: &mut VecDeque<Incoming>) -> Result<(), ParticipantError> {
        self.load(backlog).await?;
        let (mut effects, mut last) = (Vec::new(), None);
        while !self.participant.is_blocked()
            && let Some(incoming) = backlog.pop_front()
        {
            last = Some(incoming.timestamp);
            self.ticker.observe(incoming.timestamp);
            effects.extend(self.participant.step(Event::Sequenced(Box::new(incoming))));
        }
        if let Some(last) = last {
            self.identity.follow(self.participant.topology().snapshot(last), self.client.member());
        }
        self.carry_out(effects, Vec::new()).await
    }

    async fn load(&mut self, backlog: &VecDeque<Incoming>) -> Result<(), StoreError> {
        let Lockables { contracts, keys } = self.participant.missing(backlog.iter());
        let contracts: Vec<_> = contracts.into_iter().collect();
        let found = load_contracts(&self.db, &contracts).await?;
        let counts = key_counts(&self.db, keys.iter().copied()).await?;
        let status = |id: ContractId| match found.get(&id) {
            None => (id, ContractStatus::Unknown),
            Some((_, true)) => (id, ContractStatus::Active),
            Some((_, false)) => (id, ContractStatus::Archived),
        };
        let count = |key: Hash| (key, counts.get(&key).copied().unwrap_or(0));
        self.participant.load(contracts.into_iter().map(status), keys.into_iter().map(count));
        Ok(())
    }

    /// Stores everything in one transaction, then answers, sends, and asks for time.
    async fn carry_out(&mut self, effects: Vec<Effect>, replies: Vec<Reply>) -> Result<(), ParticipantError> {
        let statements = self.statements(&effects);
        let has_entries = effects.iter().any(|e| matches!(e, Effect::Publish(_)));
        if let Err(error) = self.commit(statements).await {
            for (reply, _) in replies {
                let _ = reply.send(Err(ParticipantError::BecamePassive));
            }
            return Err(error.into());
        }
        self.participant.stored();
        if has_entries {
            self.ledger.written();
        }
        for (reply, result) in replies {
            let _ = reply.send(result);
        }
        for effect in effects {
            self.start(effect);
        }
        self.time.send_replace(self.participant.last());
        Ok(())
    }

    fn start(&mut self, effect: Effect) {
        match effect {
            Effect::Send(submit) => self.send(submit),
            Effect::Respond(respond) => self.respond(&respond),
            Effect::Reinterpret(reinterpret) => {
                let (interpreter, inputs) = (self.interpreter.clone(), self.inputs.clone());
                let run = move || {
                    let result = interpreter.reinterpret(&reinterpret);
                    let event = Event::Reinterpreted { request: reinterpret.request, view: reinterpret.view, result };
                    let _ = inputs.blocking_send(Input::Reinterpreted(Box::new(event)));
                };
                self.tasks.spawn_blocking("reinterpret", run).detach();
            }
            Effect::Topology(accepted) => {
                self.keys.follow(self.participant.topology());
                let own = Identity::changes_at(&accepted, self.client.member());
                own.into_iter().for_each(|at| self.ticker.want(at));
                self.topology.send_replace(Arc::new(self.participant.topology().clone()));
            }
            Effect::Tick(at) => self.ticker.want(at),
            Effect::Clean(at) => self.acknowledger.clean(at),
            Effect::Registered(response) => drop(self.registered.send(response)),
            Effect::Alarm(alarm) => tracing::warn!(code = alarm.code.id, "participant: {alarm}"),
            Effect::Publish(entry) => self.pings(&entry),
            Effect::Register(_) | Effect::Sequenced { .. } => {}
        }
    }

    /// Leaves to others what asks this participant for a sign of life.
    fn pings(&self, entry: &Publish) {
        let (Some(workflows), Some(update)) = (&self.workflows, &entry.update) else { return };
        for contract in update.contracts.iter().filter(|contract| workflows.is_for(contract, &self.me.0.party())) {
            // Where so many wait, whoever asks learns that this participant does not keep up.
            let _ = self.pings.try_send(contract.clone());
        }
    }

    fn statements(&mut self, effects: &[Effect]) -> Vec<Statement> {
        let mut statements = Vec::new();
        let mut entries = Vec::new();
        for effect in effects {
            match effect {
                Effect::Topology(accepted) => {
                    statements.push(topology_rows(accepted));
                    statements.extend(self.party_rows(accepted));
                }
                Effect::Register(row) => statements.push(store::in_flight_row(row, &self.epoch)),
                Effect::Sequenced { message, at } => statements.push(store::sequenced(message, *at)),
                Effect::Publish(entry) => self.entry(entry, &mut entries, &mut statements),
                Effect::Clean(at) => statements.push(store::clean_row(self.client.synchronizer(), *at)),
                Effect::Send(_)
                | Effect::Reinterpret(_)
                | Effect::Respond(_)
                | Effect::Tick(_)
                | Effect::Registered(_)
                | Effect::Alarm(_) => {}
            }
        }
        statements.extend(publish(&entries, &self.epoch));
        statements
    }

    /// The parties that a change of topology is about.
    fn party_rows(&self, accepted: &[topology::StoredTransaction]) -> Vec<Statement> {
        let parties: BTreeSet<_> = accepted
            .iter()
            .filter_map(|stored| match stored.transaction.mapping() {
                topology::Mapping::PartyToParticipant { party, .. } => Some(party.party()),
                topology::Mapping::ParticipantState { participant, .. } => Some(participant.0.party()),
                _ => None,
            })
            .collect();
        let head = self.participant.topology().head();
        let is_local = |party: &base::PartyId| *party == self.me.0.party() || head.hosts(party).contains_key(&self.me);
        parties.iter().map(|party| party_row(party, is_local(party))).collect()
    }

    fn entry(&mut self, entry: &Publish, entries: &mut Vec<Publication>, statements: &mut Vec<Statement>) {
        if let Some(message) = &entry.in_flight {
            statements.push(store::complete(message));
        }
        if entry.update.is_none() && entry.completion.is_none() {
            return;
        }
        let offset = self.next_offset;
        self.next_offset += 1;
        let completion = entry.completion.as_ref();
        if let Some(completion) = completion
            && completion.outcome.is_ok()
        {
            let submission = completion.submission.as_ref().map(base::SubmissionId::as_str);
            statements.push(store::acceptance_row(&completion.change, offset, entry.record_time, submission));
        }
        let hosted = || {
            let head = self.participant.topology().head();
            let mut parties: transaction::Parties = head.parties(&self.me).into_keys().collect();
            parties.insert(self.me.0.party());
            parties
        };
        let update = entry.update.as_ref();
        // A contract that the same transaction archives never becomes active.
        let changes = update.map(|u| u.changes.clone()).unwrap_or_default();
        let created = update.map(|u| u.contracts.clone()).unwrap_or_default();
        entries.push(Publication {
            offset,
            record_time: entry.record_time,
            synchronizer: self.client.synchronizer().clone(),
            update: update.map(|u| Update {
                id: u.id.clone(),
                effective_at: u.ledger_time,
                workflow: u.workflow.clone(),
                transaction: u.transaction.clone(),
                hosted: hosted(),
                command: completion.map(command),
            }),
            created: created.into_iter().filter(|c| changes.created.contains(&c.id)).collect(),
            archived: changes.archived.into_iter().collect(),
            divulged: update.map(|u| u.divulged.clone()).unwrap_or_default(),
            completion: completion.map(|c| Completion {
                command: command(c),
                outcome: match &c.outcome {
                    Ok(id) => CompletionOutcome::Committed(id.clone()),
                    Err(why) => CompletionOutcome::Rejected { code: why.code, message: why.message.clone() },
                },
                deduplication: match c.deduplication {
                    DeduplicationPeriod::Duration(duration) => duration,
                    DeduplicationPeriod::Offset(_) => Duration::ZERO,
                },
            }),
        });
    }

    /// An attempt whose outcome is unknown cannot be repeated blindly: the ledger end would not be where it was. The
    /// role ends, and the next one finds out.
    async fn commit(&self, statements: Vec<Statement>) -> Result<(), StoreError> {
        if statements.is_empty() {
            return Ok(());
        }
        loop {
            match self.db.commit(&self.epoch, statements.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_transient() => {
                    tracing::warn!("participant: {error}");
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn submission(&self, message_id: MessageId, batch: Vec<Envelope>, max_sequencing_time: Timestamp) -> Submission {
        Submission {
            sender: self.client.member().clone(),
            message_id,
            batch,
            max_sequencing_time,
            topology_timestamp: None,
            epoch: self.epoch.number(),
        }
    }

    fn send(&self, submit: Submit) {
        let submission = self.submission(submit.message.clone(), submit.batch, submit.max_sequencing_time);
        let (client, inputs) = (self.client.clone(), self.inputs.clone());
        let send = async move {
            match client.send("confirmation request", &submission).await {
                Ok(()) => {}
                Err(SendError::Refused(error)) => {
                    let code = base::codes::SEQUENCER_REQUEST_FAILED;
                    let refused = Input::Refused { message: submit.message, code, why: error.to_string() };
                    let _ = inputs.send(refused).await;
                }
                // It may be sequenced until its max sequencing time; only then is it lost.
                Err(error @ SendError::Unknown(_)) => tracing::warn!("request {}: {error}", submit.message),
            }
        };
        self.tasks.spawn_cancellable("send request", send).detach();
    }

    fn respond(&self, respond: &Respond) {
        let unsigned = Signed::unsigned(respond.responses.clone());
        // The mediator looks the key up at the time of the request.
        let snapshot = self.participant.topology().snapshot(respond.responses.request);
        let signature = self.identity.sign_at(snapshot, self.client.member(), &unsigned.hash());
        let content = EnvelopeContent::Responses(unsigned.with(signature)).encode();
        let recipients = Recipients::group([respond.mediator.member()]);
        let submission =
            self.submission(respond.message_id(), vec![Envelope { content, recipients }], respond.max_sequencing_time);
        let client = self.client.clone();
        let send = async move {
            if let Err(error) = client.send("response", &submission).await {
                tracing::warn!("response {}: {error}", submission.message_id);
            }
        };
        self.tasks.spawn_cancellable("send response", send).detach();
    }
}

fn command(completion: &participant_core::Completion) -> Command {
    Command {
        user: completion.user.clone(),
        act_as: completion.act_as.clone(),
        command: completion.command.clone(),
        submission: completion.submission.clone(),
    }
}
