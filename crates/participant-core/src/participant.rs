//! The participant's state machine on one synchronizer.

use crate::{
    Completion, ConflictDetector, ContractStatus, Effect, InFlight, InFlightTracker, Incoming, Lockables, Publish,
    RegisterError, Rejection, Submit, change_id,
    pending::{Pending, State, rejection},
    request_message_id,
    validation::{Ignored, Opened, Validator},
};
use base::{ContractId, ErrorCode, Hash, MessageId, ParticipantId, SynchronizerId, Timestamp, codes};
use crypto::Signature;
use protocol::{
    Alarm, ConfirmationRequest, Rule,
    message::{ConfirmationResult, RequestId, Signed, Verdict},
    take_topology,
    tree::ViewPosition,
};
use std::collections::BTreeMap;
use topology::{StoredTransaction, TopologyMessage, TopologyState};
use transaction::Transaction;

/// See the room's head. Rebuilt with [`Participant::recover`] whenever a replica becomes active.
#[derive(Clone, Debug)]
pub struct Participant {
    me: ParticipantId,
    topology: TopologyState,
    conflicts: ConflictDetector,
    in_flight: InFlightTracker,
    /// Sequenced but not published.
    pending: BTreeMap<RequestId, Pending>,
    last: Option<Timestamp>,
    clean: Option<Timestamp>,
}

/// What happens to a participant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The next event of its stream.
    Sequenced(Box<Incoming>),
    /// The answer to [`Effect::Reinterpret`]: the transaction with local ids, or why there is none.
    Reinterpreted {
        /// As asked.
        request: RequestId,
        /// As asked.
        view: ViewPosition,
        /// One root action.
        result: Result<Transaction, String>,
    },
    /// The sequencer refused a request for certain: it never will be sequenced.
    Refused {
        /// Which.
        message: MessageId,
        /// Why.
        code: ErrorCode,
        /// For people.
        why: String,
    },
}

/// What was stored.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// All of [`Effect::Topology`].
    pub topology: Vec<StoredTransaction>,
    /// All submissions that are registered and not completed.
    pub in_flight: Vec<InFlight>,
    /// The last of [`Effect::Clean`]. Feed the events after it.
    pub clean: Option<Timestamp>,
}

impl Participant {
    /// A participant that has seen nothing of this synchronizer yet.
    #[must_use]
    pub fn new(me: ParticipantId, synchronizer: SynchronizerId) -> Self {
        Self {
            me,
            topology: TopologyState::of(synchronizer),
            conflicts: ConflictDetector::default(),
            in_flight: InFlightTracker::default(),
            pending: BTreeMap::new(),
            last: None,
            clean: None,
        }
    }

    /// The participant as it was at its clean point. Then ask for [`Participant::ticks`], and feed the events after it.
    #[must_use]
    pub fn recover(me: ParticipantId, synchronizer: SynchronizerId, stored: Recovered) -> Self {
        let mut participant = Self::new(me, synchronizer);
        participant.topology.restore(stored.topology);
        participant.in_flight.restore(stored.in_flight);
        (participant.last, participant.clean) = (stored.clean, stored.clean);
        participant
    }

    /// Times that must be observed so that what is in flight can be decided.
    pub fn ticks(&self) -> impl Iterator<Item = Timestamp> {
        self.in_flight.deadlines().filter_map(Timestamp::next)
    }

    /// Topology as of the last event.
    #[must_use]
    pub fn topology(&self) -> &TopologyState {
        &self.topology
    }

    /// Time of the last event.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// Requests that are sequenced and not published.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Submissions that are registered and not completed.
    #[must_use]
    pub fn in_flight(&self) -> &InFlightTracker {
        &self.in_flight
    }

    /// Contracts and keys of the events whose statuses must be loaded before the events are stepped through.
    #[must_use]
    pub fn missing<'a>(&self, events: impl IntoIterator<Item = &'a Incoming>) -> Lockables {
        let mut all = Lockables::default();
        for Lockables { contracts, keys } in events.into_iter().map(Incoming::lockables) {
            all.contracts.extend(contracts);
            all.keys.extend(keys);
        }
        self.conflicts.missing(all)
    }

    /// Takes statuses from the store, as of everything that was stored before, and how many active contracts have a key.
    pub fn load(
        &mut self,
        contracts: impl IntoIterator<Item = (ContractId, ContractStatus)>,
        keys: impl IntoIterator<Item = (Hash, u64)>,
    ) {
        self.conflicts.load(contracts, keys);
    }

    /// The effects of all steps so far are committed: statuses that the store has as well may be forgotten.
    pub fn stored(&mut self) {
        self.conflicts.evict();
    }

    /// Whether the next sequenced event must wait for [`Event::Reinterpreted`]: a request was approved before this
    /// participant finished its own validation, and what comes after depends on its outcome.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.pending.values().any(|pending| pending.state == State::Approved)
    }

    /// Registers a request and sends it. `signature` is this participant's over the request's `to_sign`. Check
    /// [`crate::deduplication`] before. On success exactly one completion will come.
    pub fn submit(
        &mut self,
        request: &ConfirmationRequest,
        signature: &Signature,
    ) -> Result<Vec<Effect>, RegisterError> {
        let submitter = request.tree().submitter.value().clone();
        let message = request_message_id(request.tree().common.value().uuid);
        let max_sequencing_time = submitter.max_sequencing_time;
        let row = InFlight {
            message: message.clone(),
            change: change_id(&submitter),
            root_hash: request.root_hash(),
            submitter,
            sequenced: None,
        };
        self.in_flight.register(row.clone(), self.last)?;
        let send = Submit { message, batch: request.envelopes(signature), max_sequencing_time };
        let tick = max_sequencing_time.next().map(Effect::Tick);
        Ok([Effect::Register(Box::new(row)), Effect::Send(send)].into_iter().chain(tick).collect())
    }

    /// Takes an event. A sequenced event that was taken before changes nothing.
    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Sequenced(incoming) => self.sequenced(&incoming, &mut effects),
            Event::Reinterpreted { request, view, result } => {
                self.reinterpreted(request, &view, result, &mut effects);
            }
            Event::Refused { message, code, why } => {
                let now = self.last.unwrap_or(Timestamp::MIN);
                self.fail(None, &message, now, Rejection::new(code, why), &mut effects);
            }
        }
        self.publish(&mut effects);
        effects
    }

    fn sequenced(&mut self, incoming: &Incoming, effects: &mut Vec<Effect>) {
        let now = incoming.timestamp;
        if self.last.is_some_and(|last| now <= last) {
            return;
        }
        debug_assert!(!self.is_blocked(), "the shell waits for the interpreter first");
        self.time_out(now, effects);
        self.receipt(incoming, effects);
        for signed in &incoming.topology {
            self.apply(now, signed, effects);
        }
        for signed in &incoming.results {
            self.result(now, signed, effects);
        }
        for signed in &incoming.registered {
            let manager = signed.content().synchronizer.member();
            effects.push(match signed.verify(self.topology.snapshot(now), &manager) {
                Ok(response) => Effect::Registered(response.clone()),
                Err(e) => alarm(format!("a registration response is ignored: {e}")),
            });
        }
        if incoming.root_hashes.is_empty() && incoming.views.is_empty() {
            effects.extend(incoming.unreadable.iter().cloned().map(alarm));
        } else {
            self.request(incoming, effects);
        }
        self.last = Some(now);
    }

    fn time_out(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let late = self.pending.values().filter(|p| p.state == State::Open && p.decision_time < now);
        let late: Vec<_> = late.map(|pending| pending.request).collect();
        for request in late {
            let why = Rejection::new(codes::LOCAL_VERDICT_TIMEOUT, "no verdict came by the decision time");
            self.reject(request, why);
        }
        for row in self.in_flight.expire(now) {
            let why = "it was not sequenced by its max sequencing time and never will be";
            let why = Rejection::new(codes::NOT_SEQUENCED_TIMEOUT, why);
            effects.push(lost(now, &row, why));
        }
    }

    /// The fate of a request of our own, as far as its receipt tells.
    fn receipt(&mut self, incoming: &Incoming, effects: &mut Vec<Effect>) {
        let Some(message) = &incoming.message_id else { return };
        match &incoming.error {
            None => self.note_sequenced(message, incoming.timestamp, effects),
            Some((code, why)) => {
                let known = codes::ALL.iter().find(|known| known.id == code);
                let code = known.copied().unwrap_or(codes::SEQUENCER_REQUEST_FAILED);
                self.fail(None, message, incoming.timestamp, Rejection::new(code, why), effects);
            }
        }
    }

    fn note_sequenced(&mut self, message: &MessageId, at: RequestId, effects: &mut Vec<Effect>) {
        if self.in_flight.sequenced(message, at) {
            effects.push(Effect::Sequenced { message: message.clone(), at });
        }
    }

    /// Completes a submission that will have no request, or whose request at `sequenced` does not count. One that has
    /// another request ends with that.
    fn fail(
        &mut self,
        sequenced: Option<RequestId>,
        message: &MessageId,
        now: Timestamp,
        why: Rejection,
        effects: &mut Vec<Effect>,
    ) {
        if self.in_flight.get(message).is_some_and(|row| row.sequenced == sequenced)
            && let Some(row) = self.in_flight.complete(message)
        {
            effects.push(lost(now, &row, why));
        }
    }

    fn apply(&mut self, now: Timestamp, signed: &Signed<TopologyMessage>, effects: &mut Vec<Effect>) {
        let (accepted, alarms) = take_topology(&mut self.topology, now, signed, codes::SYNC_SERVICE_ALARM);
        effects.extend((!accepted.is_empty()).then_some(Effect::Topology(accepted)));
        effects.extend(alarms.into_iter().map(Effect::Alarm));
    }

    fn request(&mut self, incoming: &Incoming, effects: &mut Vec<Effect>) {
        let now = incoming.timestamp;
        let opened = self.validator(now).open(incoming, self.last);
        match opened {
            Ok(opened) => self.open(opened, effects),
            Err(Ignored { code, why, answer }) => {
                effects.push(Effect::Alarm(Alarm::new(code, format!("request {now} is ignored: {why}"))));
                effects.extend(answer.map(|answer| Effect::Respond(*answer)));
                if let Some(message) = &incoming.message_id {
                    self.fail(Some(now), message, now, Rejection::new(code, why), effects);
                }
            }
        }
    }

    fn validator(&self, request: RequestId) -> Validator<'_> {
        Validator { me: &self.me, request, snapshot: self.topology.snapshot(request) }
    }

    fn open(&mut self, opened: Opened, effects: &mut Vec<Effect>) {
        let Opened { mut pending, activeness, reinterpret, alarms } = opened;
        effects.extend(alarms.into_iter().map(Effect::Alarm));
        self.own(&mut pending, effects);
        // Contracts that were not loaded count as unknown; the shell loads all that it is told to.
        pending.activeness = self.conflicts.check_and_lock(&activeness);
        effects.extend(pending.decision_time.next().map(Effect::Tick));
        effects.extend(reinterpret.into_iter().map(|ask| Effect::Reinterpret(Box::new(ask))));
        self.respond(&pending, effects);
        self.pending.insert(pending.request, pending);
    }

    /// If the request claims to be ours, it must be in flight here, and be the first with its content: what was
    /// completed, as lost for example, must not take effect any more.
    fn own(&mut self, pending: &mut Pending, effects: &mut Vec<Effect>) {
        let Some(submitter) = pending.submitter.clone().filter(|s| s.participant == self.me) else { return };
        let message = self.in_flight.find(&pending.root_hash).map(|row| row.message.clone());
        if let Some(message) = &message {
            self.note_sequenced(message, pending.request, effects);
        }
        let ours =
            |message: &MessageId| self.in_flight.get(message).is_some_and(|r| r.sequenced == Some(pending.request));
        if message.as_ref().is_some_and(ours) {
            (pending.mine, pending.in_flight) = (Some(submitter), message);
        } else {
            let why = "this participant did not submit it, or has seen it before";
            pending.refuse(codes::LOCAL_VERDICT_MALFORMED_REQUEST, why);
        }
    }

    fn respond(&self, pending: &Pending, effects: &mut Vec<Effect>) {
        if pending.is_validated()
            && let Some(synchronizer) = self.topology.synchronizer()
        {
            effects.extend(pending.alarms().map(Effect::Alarm));
            effects.extend(pending.respond(synchronizer, &self.me).map(Effect::Respond));
        }
    }

    fn reinterpreted(
        &mut self,
        request: RequestId,
        view: &ViewPosition,
        result: Result<Transaction, String>,
        effects: &mut Vec<Effect>,
    ) {
        // A request that was rejected meanwhile needs no answer any more.
        let Some(mut pending) = self.pending.remove(&request) else { return };
        if !matches!(pending.state, State::Done(_)) && !pending.is_validated() {
            let rebuilt = self.validator(request).conforms(&pending, view, result);
            if let Some(root) = pending.roots.get_mut(view) {
                root.rebuilt = Some(rebuilt);
            }
            if pending.is_validated() {
                self.validator(request).conclude(&mut pending);
                if pending.state == State::Open {
                    self.respond(&pending, effects);
                }
            }
        }
        let decide = pending.state == State::Approved && pending.is_validated();
        self.pending.insert(request, pending);
        if decide {
            self.approve(request, effects);
        }
    }

    fn result(&mut self, now: Timestamp, signed: &Signed<ConfirmationResult>, effects: &mut Vec<Effect>) {
        let result = signed.content();
        // Unknown requests are normal: the first verdict wins, and requests can be ignored.
        let Some(pending) = self.pending.get_mut(&result.request).filter(|p| p.state == State::Open) else { return };
        let alarm = |why: String| alarm(format!("the verdict on {} is ignored: {why}", result.request));
        let mediator = pending.mediator.member();
        if result.root_hash != pending.root_hash || self.topology.synchronizer() != Some(&result.synchronizer) {
            return effects.push(alarm("it is about another request".into()));
        }
        let signer = signed.verify(self.topology.snapshot(result.request), &mediator).map(drop);
        if let Err(e) = Rule::VerdictSigner.check(signer) {
            return effects.push(alarm(e.to_string()));
        }
        if !self.topology.snapshot(now).is_active(&mediator) {
            return effects.push(alarm(format!("{mediator} is not active any more")));
        }
        let timed_out = |v: &Verdict| matches!(v, Verdict::MediatorReject { code, .. } if *code == codes::MEDIATOR_SAYS_TX_TIMED_OUT);
        if timed_out(&result.verdict) && now <= pending.deadline {
            return effects.push(alarm("it says that time is out, but it is not".into()));
        }
        match rejection(&result.verdict) {
            Some(why) => self.reject(result.request, why),
            None if pending.is_validated() => self.approve(result.request, effects),
            None => pending.state = State::Approved,
        }
    }

    /// The mediator approved, and this participant knows what it thinks of the request.
    fn approve(&mut self, request: RequestId, effects: &mut Vec<Effect>) {
        let Some(pending) = self.pending.get(&request) else { return };
        if pending.rejects() {
            let why = format!("request {request} was approved although this participant rejects it");
            effects.push(Effect::Alarm(Alarm::new(codes::SYNC_SERVICE_ALARM, why).about(pending.mediator.member())));
        }
        let validator = self.validator(request);
        match pending.approved(|parties| validator.hosts_any(parties)) {
            Some(publish) => self.finalize(request, publish),
            None => {
                let why = "the request was approved but does not conform to the model here";
                self.reject(request, Rejection::new(codes::LOCAL_VERDICT_FAILED_MODEL_CONFORMANCE_CHECK, why));
            }
        }
    }

    fn reject(&mut self, request: RequestId, why: Rejection) {
        if let Some(publish) = self.pending.get(&request).map(|pending| pending.rejected(why)) {
            self.finalize(request, publish);
        }
    }

    fn finalize(&mut self, request: RequestId, publish: Publish) {
        let Some(pending) = self.pending.get_mut(&request) else { return };
        self.conflicts.finalize(&pending.lock, publish.update.as_ref().map(|update| &update.changes));
        pending.state = State::Done(Box::new(publish));
    }

    /// Publishes in the order of sequencing, and moves the clean point behind what is published.
    fn publish(&mut self, effects: &mut Vec<Effect>) {
        while let Some(entry) = self.pending.first_entry() {
            let State::Done(publish) = &entry.get().state else { break };
            let publish = publish.clone();
            entry.remove();
            if let Some(update) = &publish.update {
                self.conflicts.storing(&update.changes);
            }
            if let Some(message) = &publish.in_flight {
                self.in_flight.complete(message);
            }
            if publish.update.is_some() || publish.completion.is_some() || publish.in_flight.is_some() {
                effects.push(Effect::Publish(publish));
            }
        }
        let clean = self.pending.values().next().map_or(self.last, |first| first.before);
        if clean > self.clean {
            self.clean = clean;
            effects.extend(clean.map(Effect::Clean));
        }
    }
}

/// Somebody misbehaves, outside of what a verdict can say.
fn alarm(what: String) -> Effect {
    Effect::Alarm(Alarm::new(codes::SYNC_SERVICE_ALARM, what))
}

/// The end of a submission without request.
fn lost(now: Timestamp, row: &InFlight, why: Rejection) -> Effect {
    let completion = Completion::of(&row.submitter, Err(why));
    let in_flight = Some(row.message.clone());
    Effect::Publish(Box::new(Publish { record_time: now, update: None, completion: Some(completion), in_flight }))
}
