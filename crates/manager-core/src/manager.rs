//! The manager's state machine.

use crate::{
    admission::{Policy, consent, judge, plan},
    dispatch::{Next, is_barrier, next},
};
use base::{Hash, MemberId, MessageId, ParticipantId, SynchronizerId, Timestamp};
use protocol::{
    apply_topology,
    message::{EnvelopeContent, Signed},
    sequencing::{Outcome, Recipients, SequencedEvent},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};
use topology::{
    Mapping, RegisterRequest, RegisterResponse, Registration, Rejection, SignedTopologyTransaction, StoredTransaction,
    TopologyContent, TopologyMessage, TopologyState, build,
};

/// See the room's head. Rebuilt with [`Manager::recover`] whenever a replica becomes active.
#[derive(Clone, Debug)]
pub struct Manager {
    policy: Policy,
    /// As the manager's own stream says.
    topology: TopologyState,
    /// That and the queue.
    planned: TopologyState,
    queue: VecDeque<Queued>,
    answers: BTreeMap<MessageId, Answer>,
    under_way: Option<UnderWay>,
    caught_up: BTreeSet<MemberId>,
    barrier: Timestamp,
    next_position: u64,
    attempts: u64,
    last: Option<Timestamp>,
}

/// An admitted transaction that is not in the topology yet; a row in the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Queued {
    /// Greater than those before.
    pub position: u64,
    /// What goes out.
    pub transaction: SignedTopologyTransaction,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct UnderWay {
    message: MessageId,
    max_sequencing_time: Timestamp,
    catches_up: Option<MemberId>,
}

/// What the shell does: store everything of a batch of steps in one transaction, then sign and send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Store topology transactions.
    Topology(Vec<StoredTransaction>),
    /// Store an admitted transaction.
    Enqueue(Queued),
    /// It is in the topology, or never will be: delete it.
    Dequeue(u64),
    /// Sign this statement with the synchronizer's key, with [`Manager::serial`], and hand it to
    /// [`Manager::authorize`].
    Sign(Mapping),
    /// Store the answer as unsent, then sign and send it.
    Answer(Answer),
    /// The answer was sequenced, or never will be: delete it.
    Settled(MessageId),
    /// Sign and send (only from [`Manager::pump`]). Nothing to store.
    Dispatch(Dispatch),
    /// Have a time proof sequenced once this time has passed.
    Tick(Timestamp),
    /// Everything up to here is stored: store it as the clean point, acknowledge it.
    Clean(Timestamp),
    /// Log it as a sign that somebody misbehaves.
    Alarm(String),
}

/// A topology message on its way: sign `Signed::unsigned(message)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dispatch {
    /// What.
    pub message: TopologyMessage,
    /// To whom.
    pub recipients: Recipients,
    /// New with each attempt.
    pub message_id: MessageId,
    /// It is sent again if it is not sequenced by then.
    pub max_sequencing_time: Timestamp,
}

/// The answer to a registration: sign `Signed::unsigned(response)`, send it to the participant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// What.
    pub response: RegisterResponse,
    /// Always the same for the same request.
    pub message_id: MessageId,
    /// After it, nobody waits for the answer any more.
    pub max_sequencing_time: Timestamp,
}

/// What was stored.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// All of [`Effect::Topology`].
    pub topology: Vec<StoredTransaction>,
    /// All of [`Effect::Enqueue`] that were not dequeued, by position.
    pub queue: Vec<Queued>,
    /// All of [`Effect::Answer`] that were not settled.
    pub answers: Vec<Answer>,
    /// The last of [`Effect::Clean`]. Feed the events after it.
    pub clean: Option<Timestamp>,
}

impl Dispatch {
    /// How long an attempt may take.
    pub const PATIENCE: Duration = Duration::from_secs(10);
}

impl Manager {
    /// Transactions that may wait.
    pub const MAX_QUEUE: usize = 10_000;
    /// How long a participant waits for an answer.
    pub const ANSWER_LIFETIME: Duration = Duration::from_secs(60);

    /// A manager of a synchronizer that was founded with this topology ([`crate::found`]), or as it was at its clean
    /// point. Then send [`Manager::answers`] again, feed the events after the clean point, and pump.
    #[must_use]
    pub fn recover(synchronizer: SynchronizerId, policy: Policy, stored: Recovered) -> Self {
        let mut topology = TopologyState::of(synchronizer);
        topology.restore(stored.topology);
        let mut manager = Self {
            policy,
            planned: topology.clone(),
            topology,
            next_position: stored.queue.iter().map(|queued| queued.position + 1).max().unwrap_or(0),
            queue: stored.queue.into(),
            answers: stored.answers.into_iter().map(|answer| (answer.message_id.clone(), answer)).collect(),
            under_way: None,
            caught_up: BTreeSet::new(),
            barrier: Timestamp::MIN,
            attempts: 0,
            last: stored.clean,
        };
        // What was last stored may not be in force yet.
        manager.barrier =
            manager.topology.last_sequenced().map_or(Timestamp::MIN, |t| manager.topology.effective_time(t));
        manager.replan();
        manager
    }

    /// Topology as of the last event.
    #[must_use]
    pub fn topology(&self) -> &TopologyState {
        &self.topology
    }

    /// The serial with which the next transaction about the same thing must be signed.
    #[must_use]
    pub fn serial(&self, mapping: &Mapping) -> u32 {
        self.planned.next_serial(&mapping.key())
    }

    /// Answers that are stored but not known to be sequenced.
    pub fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.answers.values()
    }

    /// Transactions that wait to be seen in the topology.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Admits a transaction of the synchronizer's operators.
    pub fn authorize(&mut self, signed: SignedTopologyTransaction) -> Result<Vec<Effect>, Rejection> {
        self.planned.check(&signed)?;
        plan(&mut self.planned, signed.clone());
        let mut effects = Vec::new();
        self.enqueue(signed, &mut effects);
        Ok(effects)
    }

    fn enqueue(&mut self, transaction: SignedTopologyTransaction, effects: &mut Vec<Effect>) {
        let queued = Queued { position: self.next_position, transaction };
        self.next_position += 1;
        self.queue.push_back(queued.clone());
        effects.push(Effect::Enqueue(queued));
    }

    /// Takes the next event of the manager's stream. An event that was taken before changes nothing.
    pub fn step(&mut self, event: &SequencedEvent) -> Vec<Effect> {
        let now = event.timestamp;
        if self.last.is_some_and(|last| now <= last) {
            return Vec::new();
        }
        self.last = Some(now);
        let mut effects = Vec::new();
        self.receipt(event, &mut effects);
        for envelope in event.envelopes() {
            match EnvelopeContent::decode(envelope.content.clone()) {
                Ok(EnvelopeContent::Topology(signed)) => self.apply(now, &signed, &mut effects),
                Ok(EnvelopeContent::RegisterRequest(request)) => self.register(now, &request, &mut effects),
                Ok(_) => effects.push(Effect::Alarm(format!("a message at {now} is not for managers"))),
                Err(e) => effects.push(Effect::Alarm(format!("an envelope at {now} cannot be read: {e}"))),
            }
        }
        effects.push(Effect::Clean(now));
        effects
    }

    fn receipt(&mut self, event: &SequencedEvent, effects: &mut Vec<Effect>) {
        let now = event.timestamp;
        if let Some(message) = &event.message_id {
            if let Some(sent) = self.under_way.take_if(|sent| sent.message == *message) {
                match &event.outcome {
                    Outcome::Delivered(_) => self.caught_up.extend(sent.catches_up),
                    Outcome::Error { code, message } => {
                        effects.push(Effect::Alarm(format!("a topology message was not delivered: {code} {message}")));
                    }
                }
            }
            if self.answers.remove(message).is_some() {
                effects.push(Effect::Settled(message.clone()));
            }
        }
        // What was not sequenced in time never will be, and may be sent anew.
        self.under_way.take_if(|sent| sent.max_sequencing_time < now);
        let late: Vec<_> =
            self.answers.values().filter(|a| a.max_sequencing_time < now).map(|a| a.message_id.clone()).collect();
        effects.extend(late.into_iter().map(|message| {
            self.answers.remove(&message);
            Effect::Settled(message)
        }));
    }

    fn apply(&mut self, now: Timestamp, signed: &Signed<TopologyMessage>, effects: &mut Vec<Effect>) {
        let starts_barrier = match &signed.content().content {
            TopologyContent::Broadcast(list) => list.iter().any(|signed| is_barrier(&self.topology, signed)),
            TopologyContent::CatchUp(_) => false,
        };
        let outcomes = match apply_topology(&mut self.topology, now, signed) {
            Ok(outcomes) => outcomes,
            Err(e) => return effects.push(Effect::Alarm(e.to_string())),
        };
        let (mut accepted, mut rejected, mut seen) = (Vec::new(), false, BTreeSet::<Hash>::new());
        for outcome in outcomes {
            match outcome {
                Ok(stored) => {
                    seen.insert(stored.transaction.hash());
                    if starts_barrier {
                        self.barrier = self.barrier.max(stored.effective);
                    }
                    accepted.push(stored);
                }
                Err(refused) => {
                    let (transaction, why) = *refused;
                    seen.insert(transaction.hash());
                    // A transaction that was sent twice is nothing to worry about.
                    if !matches!(why, Rejection::Duplicate(_) | Rejection::Obsolete { .. }) {
                        rejected = true;
                        effects.push(Effect::Alarm(format!("an admitted topology transaction is refused: {why}")));
                    }
                }
            }
        }
        if !accepted.is_empty() {
            effects.push(Effect::Topology(accepted));
        }
        let done = self.queue.iter().filter(|queued| seen.contains(&queued.transaction.hash()));
        effects.extend(done.map(|queued| Effect::Dequeue(queued.position)));
        self.queue.retain(|queued| !seen.contains(&queued.transaction.hash()));
        self.caught_up.retain(|member| !self.topology.head().is_active(member));
        if rejected {
            self.replan();
        }
    }

    /// The plan anew: the topology and the queue.
    fn replan(&mut self) {
        self.planned = self.topology.clone();
        for queued in &self.queue {
            plan(&mut self.planned, queued.transaction.clone());
        }
    }

    fn register(&mut self, now: Timestamp, request: &RegisterRequest, effects: &mut Vec<Effect>) {
        if Some(&request.synchronizer) != self.topology.synchronizer() {
            return effects.push(Effect::Alarm(format!("a registration of {} is for elsewhere", request.participant)));
        }
        let full = self.queue.len() + request.transactions.len() > Self::MAX_QUEUE;
        let results = if full {
            vec![Registration::Failed("the manager is overloaded; ask again later".into()); request.transactions.len()]
        } else {
            let verdict = judge(&mut self.planned, self.policy, &request.participant, &request.transactions);
            for transaction in verdict.accepted {
                self.enqueue(transaction, effects);
            }
            self.welcome(&request.participant, effects);
            verdict.results
        };
        // Somebody who is not a member yet cannot be answered; it learns by being let in.
        if self.topology.snapshot(now).is_known(&request.participant.member()) {
            let answer = Answer {
                response: RegisterResponse {
                    synchronizer: request.synchronizer.clone(),
                    participant: request.participant.clone(),
                    request_id: request.request_id.clone(),
                    results,
                },
                message_id: message_id(&format!("registered-{}", now.micros())),
                max_sequencing_time: now.saturating_add(Self::ANSWER_LIFETIME),
            };
            self.answers.insert(answer.message_id.clone(), answer.clone());
            effects.push(Effect::Answer(answer));
        }
    }

    /// An open synchronizer consents to a participant that joins, unless an operator has ever decided about it.
    fn welcome(&self, participant: &ParticipantId, effects: &mut Vec<Effect>) {
        let Some(synchronizer) = self.planned.synchronizer() else { return };
        let joins = build::join(participant, synchronizer).key();
        let undecided = self.planned.next_serial(&consent(participant, synchronizer)) == 1;
        if self.policy == Policy::Open && undecided && self.planned.head().transaction(&joins).is_some() {
            effects.push(Effect::Sign(build::admit(participant, synchronizer)));
        }
    }

    /// Consents that were due when an earlier replica stopped. Call it once after the replay.
    #[must_use]
    pub fn resume(&self) -> Vec<Effect> {
        let head = self.planned.head();
        let mut effects = Vec::new();
        for signed in head.transactions() {
            if let Mapping::ParticipantState { participant, .. } = signed.mapping() {
                self.welcome(participant, &mut effects);
            }
        }
        effects
    }

    /// Sends what is due. `now` is the shell's estimate of sequencing time.
    pub fn pump(&mut self, now: Timestamp) -> Vec<Effect> {
        let Some(synchronizer) = self.topology.synchronizer().cloned().filter(|_| self.under_way.is_none()) else {
            return Vec::new();
        };
        let observed = self.last.unwrap_or(Timestamp::MIN);
        let (content, recipients, catches_up) =
            match next(&self.queue, &self.topology, observed, self.barrier, &self.caught_up) {
                None => return Vec::new(),
                Some(Next::Wait(until)) => return until.next().map(Effect::Tick).into_iter().collect(),
                Some(Next::CatchUp(member)) => {
                    let everything = TopologyContent::CatchUp(self.topology.for_catch_up(observed));
                    (everything, Recipients::group([member.clone()]), Some(member))
                }
                Some(Next::Broadcast(count, members)) => {
                    let batch = self.queue.iter().take(count).map(|queued| queued.transaction.clone());
                    (TopologyContent::Broadcast(batch.collect()), Recipients::group(members), None)
                }
            };
        self.attempts += 1;
        let dispatch = Dispatch {
            message: TopologyMessage { synchronizer, content },
            recipients,
            message_id: message_id(&format!("topology-{}-{}", now.micros(), self.attempts)),
            max_sequencing_time: now.saturating_add(Dispatch::PATIENCE),
        };
        self.under_way = Some(UnderWay {
            message: dispatch.message_id.clone(),
            max_sequencing_time: dispatch.max_sequencing_time,
            catches_up,
        });
        let tick = dispatch.max_sequencing_time.next().map(Effect::Tick);
        [Effect::Dispatch(dispatch)].into_iter().chain(tick).collect()
    }
}

fn message_id(text: &str) -> MessageId {
    MessageId::new(text).expect("a few graphic characters")
}
