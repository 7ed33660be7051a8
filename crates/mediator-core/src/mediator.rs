//! The mediator's state machine.

use crate::{
    aggregation::Aggregation,
    request::{Invalid, Received},
};
use base::{Hash, MediatorId, MessageId, ParticipantId, SynchronizerId, Timestamp, codes};
use protocol::{
    Alarm, Rule,
    message::{
        ConfirmationResponses, ConfirmationResult, EnvelopeContent, InformeeMessage, RequestId, Signed, Verdict,
    },
    sequencing::{Envelope, Outcome, Recipients, SequencedEvent},
    take_topology,
    tree::RequestUuid,
};
use std::collections::{BTreeMap, BTreeSet};
use topology::{StoredTransaction, TopologyMessage, TopologyState};

/// See the room's head. Rebuilt with [`Mediator::recover`] whenever a replica becomes active.
#[derive(Clone, Debug)]
pub struct Mediator {
    me: MediatorId,
    topology: TopologyState,
    pending: BTreeMap<RequestId, Aggregation>,
    /// The event before each undecided request: where a replay would have to begin.
    before: BTreeMap<RequestId, Option<Timestamp>>,
    uuids: BTreeMap<RequestUuid, UsedUuid>,
    /// Verdicts not yet seen to be sequenced.
    outbox: BTreeMap<RequestId, Decision>,
    /// Requests after the clean point whose verdict is stored.
    decided: BTreeSet<RequestId>,
    last: Option<Timestamp>,
    clean: Option<Timestamp>,
}

/// What the shell does, in this order, in one transaction; then it sends; then it asks for ticks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Store topology transactions.
    Topology(Vec<StoredTransaction>),
    /// Store that a uuid is used up.
    Uuid(UsedUuid),
    /// Store the verdict as unsent, then sign and send it (see [`Decision`]).
    Decide(Decision),
    /// The verdict on this request is sequenced, or never will be: it need not be sent again.
    Settled(RequestId),
    /// Everything up to here is decided and stored: store it as the clean point, acknowledge it.
    Clean(Timestamp),
    /// Have a time proof sequenced once this time has passed.
    Tick(Timestamp),
    /// Log it as a sign that somebody misbehaves.
    Alarm(Alarm),
}

/// A verdict and how to send it: sign `Signed::unsigned(result)`, address `recipients()`, under `message_id()`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// What is said.
    pub result: ConfirmationResult,
    /// To whom.
    pub participants: BTreeSet<ParticipantId>,
    /// The request's decision time: a later verdict would not count.
    pub max_sequencing_time: Timestamp,
}

/// A request uuid that no other request may use for a while.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsedUuid {
    /// The uuid.
    pub uuid: RequestUuid,
    /// The request that used it.
    pub request: RequestId,
    /// It may be forgotten after this time.
    pub expires: Timestamp,
}

/// What was stored.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// All of [`Effect::Topology`].
    pub topology: Vec<StoredTransaction>,
    /// All of [`Effect::Uuid`] that have not expired.
    pub uuids: Vec<UsedUuid>,
    /// The requests after the clean point with a stored verdict.
    pub decided: BTreeSet<RequestId>,
    /// The stored verdicts that are not settled.
    pub outbox: Vec<Decision>,
    /// The last of [`Effect::Clean`]. Feed the events after it.
    pub clean: Option<Timestamp>,
}

impl Decision {
    /// Each participant in a group of its own: they must not learn of each other.
    #[must_use]
    pub fn recipients(&self) -> Recipients {
        Recipients::groups(self.participants.iter().map(|participant| [participant.member()].into()))
    }

    /// See [`verdict_message_id`].
    #[must_use]
    pub fn message_id(&self) -> MessageId {
        verdict_message_id(self.result.request)
    }

    /// The envelope, once the result is signed.
    #[must_use]
    pub fn envelope(&self, signed: Signed<ConfirmationResult>) -> Envelope {
        Envelope { content: EnvelopeContent::Result(signed).encode(), recipients: self.recipients() }
    }
}

const VERDICT: &str = "verdict-";

/// The message id of the verdict on a request: always the same, so that sending it twice has effect once.
///
/// # Panics
/// Never: it is a valid message id.
#[must_use]
pub fn verdict_message_id(request: RequestId) -> MessageId {
    MessageId::new(format!("{VERDICT}{}", request.micros())).expect("a few graphic characters")
}

fn verdict_of(message_id: &MessageId) -> Option<RequestId> {
    Timestamp::from_micros(message_id.as_str().strip_prefix(VERDICT)?.parse().ok()?).ok()
}

impl Mediator {
    /// A mediator that has seen nothing yet.
    #[must_use]
    pub fn new(me: MediatorId, synchronizer: SynchronizerId) -> Self {
        Self {
            me,
            topology: TopologyState::of(synchronizer),
            pending: BTreeMap::new(),
            before: BTreeMap::new(),
            uuids: BTreeMap::new(),
            outbox: BTreeMap::new(),
            decided: BTreeSet::new(),
            last: None,
            clean: None,
        }
    }

    /// The mediator as it was at its clean point. Then send [`Mediator::outbox`] again, and feed the events after it.
    #[must_use]
    pub fn recover(me: MediatorId, synchronizer: SynchronizerId, stored: Recovered) -> Self {
        let mut mediator = Self::new(me, synchronizer);
        mediator.topology.restore(stored.topology);
        mediator.uuids = stored.uuids.into_iter().map(|used| (used.uuid, used)).collect();
        mediator.outbox = stored.outbox.into_iter().map(|decision| (decision.result.request, decision)).collect();
        mediator.decided = stored.decided;
        (mediator.last, mediator.clean) = (stored.clean, stored.clean);
        mediator
    }

    /// Verdicts that are stored but not known to be sequenced: a new active replica sends them again, at once.
    pub fn outbox(&self) -> impl Iterator<Item = &Decision> {
        self.outbox.values()
    }

    /// Topology as of the last event.
    #[must_use]
    pub fn topology(&self) -> &TopologyState {
        &self.topology
    }

    /// Requests that wait for responses.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Time of the last event.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// Takes the next event of this mediator's stream. An event that was taken before changes nothing.
    pub fn step(&mut self, event: &SequencedEvent) -> Vec<Effect> {
        let now = event.timestamp;
        if self.last.is_some_and(|last| now <= last) {
            return Vec::new();
        }
        let mut effects = Vec::new();
        // Time first: whatever this event carries comes too late for deadlines before it.
        self.time_out(now, &mut effects);
        self.receipt(event, &mut effects);
        let mut received = Received::default();
        for envelope in event.envelopes() {
            self.envelope(now, envelope, &mut received, &mut effects);
        }
        if !received.is_empty() {
            self.request(now, &received, &mut effects);
        } else {
            effects.extend(received.unreadable.into_iter().map(malformed));
        }
        self.last = Some(now);
        self.advance_clean(&mut effects);
        effects
    }

    fn time_out(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let late: Vec<_> = self.pending.values().filter(|a| a.deadline < now).map(|a| a.request).collect();
        for request in late {
            let Some(aggregation) = self.pending.get(&request) else { continue };
            let message = format!("no response in time on behalf of {:?}", aggregation.unresponsive());
            let code = codes::MEDIATOR_SAYS_TX_TIMED_OUT;
            self.decide(request, Verdict::MediatorReject { code, message, malformed: false }, effects);
        }
        // Nobody would heed them any more.
        let dead: Vec<_> =
            self.outbox.values().filter(|d| d.max_sequencing_time < now).map(|d| d.result.request).collect();
        effects.extend(dead.into_iter().map(|request| {
            self.outbox.remove(&request);
            Effect::Settled(request)
        }));
        self.uuids.retain(|_, used| used.expires >= now);
    }

    /// Learns that a verdict of this mediator was sequenced.
    fn receipt(&mut self, event: &SequencedEvent, effects: &mut Vec<Effect>) {
        let Some(request) = event.message_id.as_ref().and_then(verdict_of) else { return };
        if let Outcome::Error { code, message } = &event.outcome {
            let why = format!("the verdict on {request} was not delivered: {code} {message}");
            effects.push(Effect::Alarm(Alarm::new(codes::SEQUENCER_REQUEST_FAILED, why)));
        }
        if self.outbox.remove(&request).is_some() {
            effects.push(Effect::Settled(request));
        }
    }

    fn envelope(&mut self, now: Timestamp, envelope: &Envelope, received: &mut Received, effects: &mut Vec<Effect>) {
        match EnvelopeContent::decode(envelope.content.clone()) {
            Ok(EnvelopeContent::Informee(message)) => received.informee.push((*message, envelope.recipients.clone())),
            Ok(EnvelopeContent::RootHash(message)) => {
                received.root_hashes.push((message, envelope.recipients.clone()));
            }
            Ok(EnvelopeContent::Responses(signed)) => self.respond(now, &signed, &envelope.recipients, effects),
            Ok(EnvelopeContent::Topology(signed)) => self.apply(now, &signed, effects),
            Ok(_) => effects.push(malformed(format!("a message at {now} is not for mediators"))),
            Err(e) => received.unreadable.push(format!("an envelope at {now} cannot be read: {e}")),
        }
    }

    fn apply(&mut self, now: Timestamp, signed: &Signed<TopologyMessage>, effects: &mut Vec<Effect>) {
        let code = codes::MEDIATOR_RECEIVED_MALFORMED_MESSAGE;
        let (accepted, alarms) = take_topology(&mut self.topology, now, signed, code);
        effects.extend((!accepted.is_empty()).then_some(Effect::Topology(accepted)));
        effects.extend(alarms.into_iter().map(Effect::Alarm));
    }

    fn request(&mut self, now: RequestId, received: &Received, effects: &mut Vec<Effect>) {
        // After a takeover the stored verdict stands.
        if self.decided.contains(&now) {
            return;
        }
        let snapshot = self.topology.snapshot(now);
        let Some(parameters) = snapshot.parameters().filter(|_| snapshot.is_active_mediator(&self.me)) else {
            let why = format!("request {now} reached this mediator while it is not active");
            effects.push(Effect::Alarm(Alarm::new(codes::MEDIATOR_INVALID_MESSAGE, why)));
            return;
        };
        let times = (parameters.response_deadline(now), parameters.decision_time(now));
        let expires = now.saturating_add(parameters.mediator_deduplication_timeout);
        match received.check(&self.me, snapshot) {
            Ok(message) => {
                let participants = snapshot.informee_participants(&message.tree.informees()).0;
                let aggregation = Aggregation::new(now, &message.tree, participants, snapshot, times);
                self.open(aggregation, message, expires, effects);
            }
            Err(invalid) => {
                let Some(root_hash) = received.root_hash() else { return };
                self.refuse(now, root_hash, received.participants(), times.1, invalid, effects);
            }
        }
    }

    /// Begins to wait for responses, unless the uuid was used before.
    fn open(
        &mut self,
        aggregation: Aggregation,
        message: &InformeeMessage,
        expires: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let (request, uuid) = (aggregation.request, message.tree.common.value().uuid);
        if let Some(used) = self.uuids.get(&uuid).filter(|used| Rule::Uuid.broken(used.request != request)) {
            let why = format!("the request's uuid {uuid} was used by request {}", used.request);
            let who = Some(message.submitter.member());
            let invalid = Invalid { code: codes::MEDIATOR_INVALID_MESSAGE, why, who };
            let Aggregation { root_hash, participants, decision_time, .. } = aggregation;
            return self.refuse(request, root_hash, participants, decision_time, invalid, effects);
        }
        let used = UsedUuid { uuid, request, expires };
        self.uuids.insert(uuid, used.clone());
        effects.push(Effect::Uuid(used));
        effects.extend(aggregation.deadline.next().map(Effect::Tick));
        self.before.insert(request, self.last);
        self.pending.insert(request, aggregation);
        // Nobody may be asked to confirm in the end; then it is decided at once.
        self.decide_if_clear(request, effects);
    }

    fn respond(
        &mut self,
        now: Timestamp,
        signed: &Signed<ConfirmationResponses>,
        recipients: &Recipients,
        effects: &mut Vec<Effect>,
    ) {
        let responses = signed.content();
        let (request, sender) = (responses.request, &responses.sender);
        // Unknown requests are normal: decided before this response, or before a takeover.
        let Some(aggregation) = self.pending.get_mut(&request) else { return };
        let alarm = |why: &str| {
            let why = format!("response of {sender} to {request} is ignored: {why}");
            Effect::Alarm(Alarm::new(codes::MEDIATOR_RECEIVED_MALFORMED_MESSAGE, why).about(sender.member()))
        };
        if recipients.all() != [self.me.member()].into() {
            return effects.push(alarm("it is not addressed to this mediator alone"));
        }
        if responses.root_hash != aggregation.root_hash {
            return effects.push(alarm("it is about another root hash"));
        }
        if self.topology.synchronizer() != Some(&responses.synchronizer) {
            return effects.push(alarm("it is about another synchronizer"));
        }
        let signer = signed.verify(self.topology.snapshot(request), &sender.member()).map(drop);
        if let Err(e) = Rule::ResponseSigner.check(signer) {
            return effects.push(alarm(&e.to_string()));
        }
        debug_assert!(now <= aggregation.deadline, "later ones are timed out before");
        effects.extend(aggregation.respond(responses).iter().map(|why| alarm(why)));
        self.decide_if_clear(request, effects);
    }

    fn decide_if_clear(&mut self, request: RequestId, effects: &mut Vec<Effect>) {
        if let Some(verdict) = self.pending.get(&request).and_then(Aggregation::verdict) {
            self.decide(request, verdict, effects);
        }
    }

    fn decide(&mut self, request: RequestId, verdict: Verdict, effects: &mut Vec<Effect>) {
        let Some(aggregation) = self.pending.remove(&request) else { return };
        let Aggregation { root_hash, participants, decision_time, .. } = aggregation;
        self.conclude(request, root_hash, participants, decision_time, verdict, effects);
    }

    fn refuse(
        &mut self,
        request: RequestId,
        root_hash: Hash,
        participants: BTreeSet<ParticipantId>,
        decision_time: Timestamp,
        invalid: Invalid,
        effects: &mut Vec<Effect>,
    ) {
        let why = format!("request {request} is refused: {}", invalid.why);
        effects.push(Effect::Alarm(Alarm { code: invalid.code, what: why, who: invalid.who }));
        // Without root hash messages nobody expects a verdict.
        if participants.is_empty() {
            return;
        }
        let verdict = Verdict::MediatorReject { code: invalid.code, message: invalid.why, malformed: true };
        self.conclude(request, root_hash, participants, decision_time, verdict, effects);
    }

    fn conclude(
        &mut self,
        request: RequestId,
        root_hash: Hash,
        participants: BTreeSet<ParticipantId>,
        max_sequencing_time: Timestamp,
        verdict: Verdict,
        effects: &mut Vec<Effect>,
    ) {
        let Some(synchronizer) = self.topology.synchronizer().cloned() else { return };
        self.before.remove(&request);
        let result = ConfirmationResult { synchronizer, request, root_hash, verdict };
        let decision = Decision { result, participants, max_sequencing_time };
        self.decided.insert(request);
        self.outbox.insert(request, decision.clone());
        effects.push(Effect::Decide(decision));
    }

    /// The clean point is held back before the oldest undecided request.
    fn advance_clean(&mut self, effects: &mut Vec<Effect>) {
        let clean = self.before.first_key_value().map_or(self.last, |(_, before)| *before);
        if clean > self.clean {
            self.clean = clean;
            self.decided.retain(|request| Some(*request) > clean);
            effects.extend(clean.map(Effect::Clean));
        }
    }
}

fn malformed(what: String) -> Effect {
    Effect::Alarm(Alarm::new(codes::MEDIATOR_RECEIVED_MALFORMED_MESSAGE, what))
}
