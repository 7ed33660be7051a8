//! One participant with a shell as simple as can be.

use crate::{ContractStatus, Effect, Event, InFlight, Incoming, Participant, Publish, Recovered, RegisterError};
use base::{ContractId, ErrorCode, Hash, Timestamp};
use protocol::{
    ConfirmationRequest,
    message::{ConfirmationResult, EnvelopeContent, RequestId, Signed, Verdict},
    sequencing::{Envelope, Outcome, Recipients, SequencedEvent},
    testing::{Scenario, reinterpret},
    tree::ViewPosition,
};
use std::{collections::BTreeMap, time::Duration};
use topology::{
    TopologyContent, TopologyMessage,
    testing::{decryption_key, key},
};
use transaction::{NodeId, Transaction};

pub(super) const MILLI: Duration = Duration::from_millis(1);

/// The tables of a participant, as its shell keeps them.
#[derive(Clone, Default)]
pub(super) struct Store {
    pub(super) recovered: Recovered,
    pub(super) statuses: BTreeMap<ContractId, ContractStatus>,
    pub(super) counts: BTreeMap<Hash, u64>,
    pub(super) published: Vec<Publish>,
}

impl Store {
    pub(super) fn write(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Topology(list) => self.recovered.topology.extend(list.clone()),
                Effect::Register(row) => self.recovered.in_flight.push(InFlight::clone(row)),
                Effect::Sequenced { message, at } => {
                    let row = self.recovered.in_flight.iter_mut().find(|row| row.message == *message);
                    row.unwrap().sequenced = Some(*at);
                }
                Effect::Publish(publish) => self.publish(publish),
                Effect::Clean(time) => {
                    assert!(Some(*time) > self.recovered.clean);
                    self.recovered.clean = Some(*time);
                }
                _ => {}
            }
        }
    }

    pub(super) fn publish(&mut self, publish: &Publish) {
        if let Some(message) = &publish.in_flight {
            let before = self.recovered.in_flight.len();
            self.recovered.in_flight.retain(|row| row.message != *message);
            assert_eq!(self.recovered.in_flight.len() + 1, before, "{message} was in flight");
        }
        if let Some(update) = &publish.update {
            let created = update.changes.created.iter().map(|id| (id.clone(), ContractStatus::Active));
            self.statuses.extend(created);
            let archived = update.changes.archived.iter().map(|id| (id.clone(), ContractStatus::Archived));
            self.statuses.extend(archived);
            for (key, growth) in &update.changes.keys {
                let count = self.counts.entry(*key).or_default();
                *count = count.checked_add_signed(*growth).unwrap();
            }
        }
        self.published.push(publish.clone());
    }
}

/// One participant, its shell, and an interpreter that answers at once unless told otherwise.
pub(super) struct World {
    pub(super) scenario: Scenario,
    pub(super) number: usize,
    pub(super) now: Timestamp,
    pub(super) participant: Participant,
    pub(super) store: Store,
    /// By root hash of the request.
    pub(super) answers: BTreeMap<RequestId, Transaction>,
    pub(super) patient: bool,
    pub(super) waiting: Vec<Event>,
}

/// Where the root node of a view stands: a root of the transaction, or the one further inside of [`Scenario::nested`].
pub(super) fn node_of(view: &ViewPosition, whole: &Transaction) -> Option<NodeId> {
    match view.0.as_slice() {
        [n] => whole.roots().get(usize::try_from(*n).unwrap()).copied(),
        [0, 0] => Some(NodeId(2)),
        other => panic!("{other:?}"),
    }
}

impl World {
    pub(super) fn of(scenario: Scenario, number: usize) -> Self {
        let network = &scenario.network;
        let (me, now) = (network.participants[number].clone(), network.now());
        let participant = Participant::new(me, network.synchronizer.clone());
        let content = TopologyContent::CatchUp(network.state.for_catch_up(now));
        let unsigned = Signed::unsigned(TopologyMessage { synchronizer: network.synchronizer.clone(), content });
        let signature = key("sync").sign(&unsigned.hash());
        let content = EnvelopeContent::Topology(unsigned.with(signature)).encode();
        let (store, answers) = (Store::default(), BTreeMap::new());
        let mut world = Self { scenario, number, now, participant, store, answers, patient: false, waiting: vec![] };
        let effects = world.deliver(vec![Envelope { content, recipients: Recipients::group([]) }]);
        assert!(matches!(&effects[..], [Effect::Topology(_), Effect::Clean(_)]), "{effects:?}");
        world
    }

    pub(super) fn me(&self) -> base::ParticipantId {
        self.scenario.network.participants[self.number].clone()
    }

    /// Contracts of the scenario that are active.
    pub(super) fn activate(&mut self) {
        let ids = self.scenario.contracts.keys().cloned();
        self.store.statuses.extend(ids.map(|id| (id, ContractStatus::Active)));
    }

    pub(super) fn event(&self, envelopes: Vec<Envelope>) -> SequencedEvent {
        SequencedEvent {
            synchronizer: self.scenario.network.synchronizer.clone(),
            timestamp: self.now,
            previous: None,
            message_id: None,
            topology_timestamp: None,
            outcome: Outcome::Delivered(envelopes),
        }
    }

    pub(super) fn deliver(&mut self, envelopes: Vec<Envelope>) -> Vec<Effect> {
        self.now = self.now.saturating_add(MILLI);
        let event = self.event(envelopes);
        self.sequence(&event)
    }

    pub(super) fn after(&mut self, wait: Duration, envelopes: Vec<Envelope>) -> Vec<Effect> {
        self.now = self.now.saturating_add(wait);
        let event = self.event(envelopes);
        self.sequence(&event)
    }

    /// As the shell does it: load, step, answer, store.
    pub(super) fn sequence(&mut self, event: &SequencedEvent) -> Vec<Effect> {
        let incoming = Incoming::read(event, &[decryption_key(self.me().0.name())]);
        let missing = self.participant.missing([&incoming]);
        let status = |id: ContractId| (id.clone(), self.store.statuses.get(&id).copied().unwrap_or_default());
        let count = |key: Hash| (key, self.store.counts.get(&key).copied().unwrap_or_default());
        self.participant.load(missing.contracts.into_iter().map(status), missing.keys.into_iter().map(count));
        let effects = self.participant.step(Event::Sequenced(Box::new(incoming)));
        self.finish(effects)
    }

    pub(super) fn finish(&mut self, mut effects: Vec<Effect>) -> Vec<Effect> {
        let asked: Vec<_> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Reinterpret(ask) => Some((ask.request, ask.view.clone())),
                _ => None,
            })
            .collect();
        for (request, view) in asked {
            let whole = self.answers.get(&request).and_then(|whole| Some((whole, node_of(&view, whole)?)));
            let result = whole.map(|(whole, root)| reinterpret(whole, root)).ok_or("nobody knows".to_owned());
            self.waiting.push(Event::Reinterpreted { request, view, result });
        }
        self.store.write(&effects);
        if !self.patient {
            effects.extend(self.answer());
        }
        self.participant.stored();
        effects
    }

    pub(super) fn answer(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        for event in std::mem::take(&mut self.waiting) {
            effects.extend(self.participant.step(event));
        }
        self.store.write(&effects);
        effects
    }

    /// Those envelopes of a request that this participant gets.
    pub(super) fn mine(&self, request: &ConfirmationRequest) -> Vec<Envelope> {
        let submitter = self.scenario.network.participants[0].member();
        let signature = self.scenario.network.signature(&submitter, &request.to_sign());
        self.seen(request.envelopes(&signature))
    }

    pub(super) fn seen(&self, envelopes: Vec<Envelope>) -> Vec<Envelope> {
        let me = self.me().member();
        let mine = envelopes.into_iter().filter(|e| e.recipients.all().contains(&me));
        mine.map(|e| Envelope { recipients: e.recipients.seen_by(&me), ..e }).collect()
    }

    /// Another participant's request arrives.
    pub(super) fn arrive(&mut self, request: &ConfirmationRequest) -> (RequestId, Vec<Effect>) {
        let id = self.now.saturating_add(MILLI);
        self.answers.insert(id, request.transaction().clone());
        let envelopes = self.mine(request);
        (id, self.deliver(envelopes))
    }

    /// A request of this participant is registered.
    pub(super) fn submit(&mut self, request: &ConfirmationRequest) -> Result<Vec<Effect>, RegisterError> {
        let signature = self.scenario.network.signature(&self.me().member(), &request.to_sign());
        let effects = self.participant.submit(request, &signature)?;
        self.store.write(&effects);
        Ok(effects)
    }

    /// It is sequenced, too.
    pub(super) fn submitted(&mut self, request: &ConfirmationRequest) -> (RequestId, Vec<Effect>) {
        self.submit(request).unwrap();
        self.now = self.now.saturating_add(MILLI);
        self.answers.insert(self.now, request.transaction().clone());
        let mut event = self.event(self.mine(request));
        event.message_id = Some(crate::request_message_id(request.tree().common.value().uuid));
        (self.now, self.sequence(&event))
    }

    pub(super) fn verdict(&mut self, request: &ConfirmationRequest, id: RequestId, verdict: Verdict) -> Vec<Effect> {
        let envelope = self.result(request, id, verdict, "mediator");
        self.deliver(vec![envelope])
    }

    pub(super) fn result(
        &self,
        request: &ConfirmationRequest,
        id: RequestId,
        verdict: Verdict,
        signer: &str,
    ) -> Envelope {
        let synchronizer = self.scenario.network.synchronizer.clone();
        let result = ConfirmationResult { synchronizer, request: id, root_hash: request.root_hash(), verdict };
        let unsigned = Signed::unsigned(result);
        let signature = key(signer).sign(&unsigned.hash());
        let content = EnvelopeContent::Result(unsigned.with(signature)).encode();
        Envelope { content, recipients: Recipients::group([self.me().member()]) }
    }

    /// The active replica dies, another takes over and replays.
    pub(super) fn fail_over(&mut self, events: &[SequencedEvent]) {
        let (me, synchronizer) = (self.me(), self.scenario.network.synchronizer.clone());
        self.participant = Participant::recover(me, synchronizer, self.store.recovered.clone());
        self.waiting.clear();
        let clean = self.store.recovered.clean;
        for event in events.iter().filter(|e| Some(e.timestamp) > clean) {
            self.sequence(event);
        }
    }
}

/// A mediator's rejection that blames nobody.
pub(super) fn no(code: ErrorCode) -> Verdict {
    Verdict::MediatorReject { code, message: "no".into(), malformed: false }
}
