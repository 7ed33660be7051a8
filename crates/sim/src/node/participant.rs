//! The shell around `participant-core`: take what waits, step through it, store everything in one fenced transaction,
//! then answer and send. And the Ledger API before it, as far as a client needs it.

use crate::{
    World,
    database::{Db, DbError, Guard, Write},
    executor::Host,
    messages::{Fate, Refusal, Reply, Request},
    mutant::Mutant,
    node::{
        member::{Events, Member, SendError},
        replica::Part,
    },
    workload::{Command, reinterpret},
};
use base::{ContractId, Hash, MessageId, SubmissionId, Timestamp};
use crypto::private::SigningKey;
use futures::{
    FutureExt as _, StreamExt as _,
    channel::{mpsc, oneshot},
    future::{Either, LocalBoxFuture, select},
};
use participant_core::{
    Effect, Event, Incoming, Participant, RegisterError, Respond, Submit, change_id,
    deduplication::{self, Acceptance, Reference},
};
use protocol::{
    ConfirmationRequest, Contract,
    message::{EnvelopeContent, Signed},
    sequencing::{Envelope, Recipients, SequencedEvent, Submission},
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    time::Duration,
};

const BATCH: usize = 100;
const RETRY: Duration = Duration::from_millis(20);
const MAX_DEDUPLICATION: Duration = Duration::from_secs(7 * 24 * 3600);

/// What the loop is asked to do, beside the events of the sequencer.
enum Input {
    Submit { request: Box<ConfirmationRequest>, now: Timestamp, reply: oneshot::Sender<Result<(), Refusal>> },
    Reinterpreted(Box<Event>),
    Refused { message: MessageId, code: base::ErrorCode },
}

/// What the API sees of the loop.
#[derive(Clone)]
struct Connection {
    member: Rc<Member>,
    inputs: mpsc::UnboundedSender<Input>,
}

pub(crate) struct ParticipantPart {
    pub(crate) world: Rc<World>,
    pub(crate) host: Host,
    pub(crate) db: Db,
    pub(crate) number: usize,
    connection: RefCell<Option<Connection>>,
}

struct Shell {
    part: Rc<ParticipantPart>,
    host: Host,
    epoch: i64,
    member: Rc<Member>,
    participant: Participant,
    next_offset: usize,
    inputs: mpsc::UnboundedSender<Input>,
}

type Replies = Vec<(oneshot::Sender<Result<(), Refusal>>, Result<(), Refusal>)>;

impl Part for ParticipantPart {
    fn work(self: Rc<Self>, host: Host, epoch: i64, activated: Box<dyn FnOnce()>) -> LocalBoxFuture<'static, ()> {
        async move {
            let number = self.number;
            let stored =
                self.db.query(move |tables| tables.participants.get(number).map(|t| (t.recovered(), t.ledger.len())));
            let Ok(Some((mut stored, next_offset))) = stored.await else { return };
            let setup = &self.world.setup;
            stored.topology.clone_from(&setup.topology);
            let (me, clean) = (setup.participant(number).clone(), stored.clean);
            let synchronizer = setup.scenario.network.synchronizer.clone();
            let participant = Participant::recover(me.clone(), synchronizer, stored);
            let (member, events) = Member::start(&self.world, &host, me.member(), epoch, clean);
            participant.ticks().for_each(|at| member.want(at));
            let (inputs, inbox) = mpsc::unbounded();
            *self.connection.borrow_mut() = Some(Connection { member: member.clone(), inputs: inputs.clone() });
            activated();
            let shell = Shell { part: self, host: host.clone(), epoch, member, participant, next_offset, inputs };
            let error = shell.follow(events, inbox).await;
            host.note(format_args!("participant {number} under epoch {epoch} ends: {error:?}"));
        }
        .boxed_local()
    }

    fn ended(&self) {
        *self.connection.borrow_mut() = None;
    }
}

impl Shell {
    async fn follow(mut self, mut events: Events, mut inbox: mpsc::UnboundedReceiver<Input>) -> DbError {
        let mut backlog: VecDeque<Incoming> = VecDeque::new();
        loop {
            let can_go_on = !self.participant.is_blocked();
            let result = if let Ok(input) = inbox.try_recv() {
                self.inputs(input, &mut inbox).await
            } else if can_go_on && !backlog.is_empty() {
                self.events(&mut backlog).await
            } else if can_go_on {
                match select(inbox.next(), events.next()).await {
                    Either::Left((Some(input), _)) => self.inputs(input, &mut inbox).await,
                    Either::Right((Some(event), _)) => {
                        backlog.push_back(self.read(&event));
                        while backlog.len() < BATCH
                            && let Ok(next) = events.try_recv()
                        {
                            backlog.push_back(self.read(&next));
                        }
                        Ok(())
                    }
                    _ => return DbError::Unavailable,
                }
            } else {
                match inbox.next().await {
                    Some(input) => self.inputs(input, &mut inbox).await,
                    None => return DbError::Unavailable,
                }
            };
            if let Err(error) = result {
                return error;
            }
        }
    }

    fn read(&self, event: &SequencedEvent) -> Incoming {
        Incoming::read(event, std::slice::from_ref(self.part.world.setup.decryption_key(self.part.number)))
    }

    async fn inputs(&mut self, first: Input, inbox: &mut mpsc::UnboundedReceiver<Input>) -> Result<(), DbError> {
        let mut waiting = vec![first];
        while waiting.len() < BATCH
            && let Ok(next) = inbox.try_recv()
        {
            waiting.push(next);
        }
        // Submissions first: what the other inputs accept is not stored yet, but still in flight.
        waiting.sort_by_key(|input| !matches!(input, Input::Submit { .. }));
        let mut accepted = BTreeMap::new();
        for input in &waiting {
            if let Input::Submit { request, .. } = input {
                let change = change_id(request.tree().submitter.value());
                accepted.extend(self.part.acceptance(change).await?.map(|acceptance| (change, acceptance)));
            }
        }
        let (mut effects, mut replies) = (Vec::new(), Vec::new());
        for input in waiting {
            match input {
                Input::Submit { request, now, reply } => {
                    let change = change_id(request.tree().submitter.value());
                    let result = self.submit(&request, accepted.get(&change), now);
                    replies.push((reply, result.map(|more| effects.extend(more))));
                }
                Input::Reinterpreted(event) => effects.extend(self.participant.step(*event)),
                Input::Refused { message, code } => {
                    let why = "the sequencer refused it".to_owned();
                    effects.extend(self.participant.step(Event::Refused { message, code, why }));
                }
            }
        }
        self.carry_out(effects, replies).await
    }

    fn submit(
        &mut self,
        request: &ConfirmationRequest,
        accepted: Option<&Acceptance>,
        now: Timestamp,
    ) -> Result<Vec<Effect>, Refusal> {
        let outside = self.part.world.server.mutant == Some(Mutant::DeduplicationOutside);
        check(request, accepted.filter(|_| !outside), now).inspect_err(|_| self.count("duplicate found late"))?;
        let signature = self.part.signing_key().sign(&request.to_sign());
        self.participant.submit(request, &signature).map_err(|error| match error {
            RegisterError::AlreadyInFlight { .. } => Refusal::InFlight,
            RegisterError::TooLate { .. } => Refusal::TooLate,
        })
    }

    fn count(&self, what: &'static str) {
        self.part.world.sim.audit(|audit| audit.count(what));
    }

    /// Steps through the backlog as far as that is possible.
    async fn events(&mut self, backlog: &mut VecDeque<Incoming>) -> Result<(), DbError> {
        let missing = self.participant.missing(backlog.iter());
        if !missing.is_empty() {
            let number = self.part.number;
            let look = move |tables: &crate::database::Tables| -> Vec<_> {
                let status = |id: ContractId| tables.participants.get(number).map(|t| (id.clone(), t.status(&id)));
                missing.contracts.into_iter().filter_map(status).collect()
            };
            let statuses = self.part.db.query(look).await?;
            // The model of the workload has no keys.
            self.participant.load(statuses, []);
        }
        let mut effects = Vec::new();
        while !self.participant.is_blocked()
            && let Some(incoming) = backlog.pop_front()
        {
            self.member.observe(incoming.timestamp);
            effects.extend(self.participant.step(Event::Sequenced(Box::new(incoming))));
        }
        self.carry_out(effects, Vec::new()).await
    }

    /// Stores everything in one transaction, then answers, sends, and asks for time.
    async fn carry_out(&mut self, effects: Vec<Effect>, replies: Replies) -> Result<(), DbError> {
        let effects = Rc::new(effects);
        let is_stored = |effect: &Effect| {
            matches!(effect, Effect::Register(_) | Effect::Sequenced { .. } | Effect::Publish(_) | Effect::Clean(_))
        };
        if effects.iter().any(is_stored)
            && let Err(error) = self.commit(effects.clone()).await
        {
            // They may have been registered.
            for (reply, _) in replies {
                let _ = reply.send(Err(Refusal::Unknown));
            }
            return Err(error);
        }
        self.next_offset += effects.iter().filter(|effect| matches!(effect, Effect::Publish(_))).count();
        self.participant.stored();
        for (reply, result) in replies {
            let _ = reply.send(result);
        }
        for effect in &*effects {
            self.start(effect);
        }
        Ok(())
    }

    /// An attempt whose outcome is unknown cannot be repeated blindly: the role ends, and the next one finds out.
    async fn commit(&self, effects: Rc<Vec<Effect>>) -> Result<(), DbError> {
        let guard = Guard::Epoch { node: self.part.number, epoch: self.epoch };
        let write = Write::Participant { number: self.part.number, effects, offset: self.next_offset };
        loop {
            match self.part.db.commit(guard, vec![write.clone()]).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_transient() => self.host.sleep(RETRY).await,
                Err(error) => return Err(error),
            }
        }
    }

    fn start(&self, effect: &Effect) {
        match effect {
            Effect::Send(submit) => self.send(submit),
            Effect::Respond(respond) => self.respond(respond),
            Effect::Reinterpret(ask) => {
                let (inputs, wait, ask) = (self.inputs.clone(), self.host.sleep(self.part.thinking()), ask.clone());
                self.host.spawn(async move {
                    wait.await;
                    let result = reinterpret(&ask);
                    let event = Event::Reinterpreted { request: ask.request, view: ask.view, result };
                    drop(inputs.unbounded_send(Input::Reinterpreted(Box::new(event))));
                });
            }
            Effect::Tick(at) => self.member.want(*at),
            Effect::Alarm(text) => {
                self.count("alarm");
                self.host.note(format_args!("alarm: {text}"));
            }
            Effect::Publish(publish) => {
                let outcome = publish.completion.as_ref().map(|c| c.outcome.as_ref().map_err(|why| why.code.id));
                let update = publish.update.as_ref().map(|update| &update.id);
                self.host.note(format_args!("published {}: {update:?} {outcome:?}", publish.record_time));
            }
            Effect::Topology(_)
            | Effect::Registered(_)
            | Effect::Clean(_)
            | Effect::Register(_)
            | Effect::Sequenced { .. } => {}
        }
    }

    fn send(&self, submit: &Submit) {
        let submission = Submission {
            batch: submit.batch.clone(),
            ..self.member.submission(submit.message.clone(), submit.max_sequencing_time)
        };
        let (member, inputs, message) = (self.member.clone(), self.inputs.clone(), submit.message.clone());
        self.host.note(format_args!("sends {message}"));
        self.host.spawn(async move {
            // If it is not known, it may be sequenced until its max sequencing time; only then is it lost.
            if let Err(SendError::Refused(code)) = member.send(submission).await {
                drop(inputs.unbounded_send(Input::Refused { message, code }));
            }
        });
    }

    fn respond(&self, respond: &Respond) {
        let unsigned = Signed::unsigned(respond.responses.clone());
        let signature = self.part.signing_key().sign(&unsigned.hash());
        let content = EnvelopeContent::Responses(unsigned.with(signature)).encode();
        let recipients = Recipients::group([respond.mediator.member()]);
        let submission = Submission {
            batch: vec![Envelope { content, recipients }],
            ..self.member.submission(respond.message_id(), respond.max_sequencing_time)
        };
        let member = self.member.clone();
        self.host.spawn(async move {
            // Without it the request ends by time.
            let _ = member.send(submission).await;
        });
    }
}

impl ParticipantPart {
    pub(crate) fn new(world: &Rc<World>, host: &Host, db: &Db, number: usize) -> Rc<Self> {
        let (world, host, db) = (world.clone(), host.clone(), db.clone());
        Rc::new(Self { world, host, db, number, connection: RefCell::default() })
    }

    pub(crate) async fn answer(self: Rc<Self>, request: Request) -> Option<Reply> {
        match request {
            Request::Submit { command, submission } => {
                Some(Reply::Submitted(self.submit(&command, submission).await.err().map_or(Ok(()), Err)))
            }
            Request::Fate { command, submission } => Some(Reply::Fate(self.fate(&command, submission).await.ok())),
            Request::Send(_) | Request::Events { .. } | Request::Time => None,
        }
    }

    fn signing_key(&self) -> &SigningKey {
        self.world.setup.signing_key(self.number)
    }

    /// The time that interpretation takes.
    fn thinking(&self) -> Duration {
        self.world.sim.draw(|rng| {
            let most = if rng.chance(50) { 2_000 } else { 15 };
            rng.between(Duration::from_millis(1), Duration::from_millis(most))
        })
    }

    async fn acceptance(&self, change: Hash) -> Result<Option<Acceptance>, DbError> {
        let number = self.number;
        let look =
            move |tables: &crate::database::Tables| tables.participants.get(number)?.acceptances.get(&change).cloned();
        self.db.query(look).await
    }

    async fn contract(&self, id: ContractId) -> Result<Option<Contract>, DbError> {
        let number = self.number;
        let look = move |tables: &crate::database::Tables| {
            let row = tables.participants.get(number)?.contracts.get(&id);
            row.filter(|(_, is_active)| *is_active).map(|(contract, _)| contract.clone())
        };
        self.db.query(look).await
    }

    /// When it returns, exactly one completion will follow.
    async fn submit(&self, command: &Command, submission: SubmissionId) -> Result<(), Refusal> {
        let connection = self.connection.borrow().clone().ok_or(Refusal::Passive)?;
        let now = connection.member.time().await;
        let setup = &self.world.setup;
        let accepted = self.acceptance(setup.change(command)).await.map_err(|_| Refusal::Passive)?;
        if accepted.is_some() {
            self.world.sim.audit(|audit| audit.count("duplicate found early"));
            return Err(Refusal::Duplicate);
        }
        let spends = match &command.spends {
            None => None,
            Some(id) => {
                let contract = self.contract(id.clone()).await.map_err(|_| Refusal::Passive)?;
                Some(contract.ok_or(Refusal::NoContract)?)
            }
        };
        self.host.sleep(self.thinking()).await;
        let random = || self.world.sim.draw(|rng| rng.bytes());
        let request = setup.request(command, submission, spends, now, random).map_err(|_| Refusal::NoContract)?;
        let (reply, registered) = oneshot::channel();
        let input = Input::Submit { request: Box::new(request), now, reply };
        connection.inputs.unbounded_send(input).map_err(|_| Refusal::Passive)?;
        registered.await.unwrap_or(Err(Refusal::Unknown))
    }

    /// Every replica can tell: it is all in the database.
    async fn fate(&self, command: &Command, submission: SubmissionId) -> Result<Fate, DbError> {
        let (number, change) = (self.number, self.world.setup.change(command));
        let look = move |tables: &crate::database::Tables| {
            let Some(tables) = tables.participants.get(number) else { return Fate::Nothing };
            tables.fate(&change, &submission)
        };
        self.db.query(look).await
    }
}

/// Whether the request repeats `accepted`, the last acceptance of its change.
fn check(request: &ConfirmationRequest, accepted: Option<&Acceptance>, now: Timestamp) -> Result<(), Refusal> {
    let reference = Reference { now, max_duration: MAX_DEDUPLICATION, pruned: None };
    let period = request.tree().submitter.value().deduplication;
    deduplication::check(period, accepted, reference).map_err(|_| Refusal::Duplicate)
}
