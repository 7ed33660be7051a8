//! Two requests, their responses in any order, and a mediator that may die, or be replaced while it does not know, between
//! a decision, its transaction, its sending and its sequencing: whoever sees a verdict sees the one that is stored, and
//! every request gets one.
//!
//! The mediator is the one of production, fed with signed messages. What it has become depends only on what it recovered
//! from and what it read since, so that is what tells states apart.

use base::Timestamp;
use mediator_core::{Decision, Effect, Mediator, Recovered};
use protocol::{
    ConfirmationRequest,
    message::{
        ConfirmationResponse, ConfirmationResponses, EnvelopeContent, LocalReject, LocalVerdict, RequestId, Signed,
        Verdict,
    },
    sequencing::{Envelope, Outcome, Recipients, SequencedEvent},
    testing::{Scenario, create, instance, local_id},
};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};
use topology::{TopologyContent, TopologyMessage, testing::key};
use transaction::TransactionBuilder;

const REQUESTS: usize = 2;
/// Events that the sequencer puts in order.
const MAX_EVENTS: usize = 6;
const MAX_DEATHS: u8 = 1;
/// Longer than the time for responses, shorter than that for the verdict.
const LATE: Duration = Duration::from_secs(31);
const NEXT: Duration = Duration::from_millis(1);

const ONE_VERDICT: &str = "whoever sees a verdict sees the one that is stored";
const ONCE: &str = "a request is decided once";
const FINAL: &str = "in the end every request has a verdict that was sequenced in time";
const RESENT: &str = "a verdict that a dead mediator has stored is sent by the next";
const TIMED_OUT: &str = "a request times out";
const APPROVED: &str = "both requests are approved after a death";
const REFUSED: &str = "a mediator that was replaced is refused";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum System {
    Sound,
    /// Verdicts leave before the transaction that stores them.
    SendsFirst,
    /// A new leader looks at events only, not at what was decided and what was not sent.
    DecidesAgain,
    /// A new leader begins with the next event: what is under way is given up.
    GivesUp,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Happening {
    Request(usize),
    Response { request: RequestId, approve: bool },
    Verdict(RequestId, Said),
    Nothing,
}

/// A verdict, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Said {
    Approve,
    Reject,
    TimedOut,
}

#[derive(Clone, Debug)]
struct World {
    events: Vec<(Timestamp, Happening)>,
    tables: Tables,
    leader: Option<Leader>,
    /// Replaced, without knowing it.
    former: Option<Leader>,
    /// Verdicts under way to the sequencer; they outlive who sent them.
    network: BTreeMap<(RequestId, Said), Decision>,
    deaths: u8,
    resent: bool,
    refused: bool,
}

#[derive(Clone, Debug, Default)]
struct Tables {
    recovered: Recovered,
    verdicts: BTreeMap<RequestId, Vec<Said>>,
}

#[derive(Clone, Debug)]
struct Leader {
    mediator: Arc<Mediator>,
    /// Of what it recovered from.
    born: u64,
    position: usize,
    /// Not stored yet.
    effects: Vec<Effect>,
    to_send: Vec<Decision>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Request(usize),
    Respond {
        request: RequestId,
        approve: bool,
    },
    Wait,
    Deliver(RequestId, Said),
    Lose(RequestId, Said),
    Read,
    Commit,
    Send,
    Die,
    Replace,
    TakeOver,
    /// The former leader's.
    Late(Box<Step>),
}

/// What all states have in common.
struct Fixture {
    scenario: Scenario,
    requests: Vec<ConfirmationRequest>,
    topology: Recovered,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let scenario = Scenario::new();
    let requests = (1..=REQUESTS).map(|n| {
        let n = u8::try_from(n).expect("a few requests");
        let mut builder = TransactionBuilder::default();
        builder.leaf(create(local_id(n), instance(&[&scenario.alice], &[&scenario.bob], n.into())));
        scenario.request(&builder.finish(), n)
    });
    let requests = requests.collect();
    let network = &scenario.network;
    let content = TopologyContent::CatchUp(network.state.for_catch_up(network.now()));
    let unsigned = Signed::unsigned(TopologyMessage { synchronizer: network.synchronizer.clone(), content });
    let signature = key("sync").sign(&unsigned.hash());
    let content = EnvelopeContent::Topology(unsigned.with(signature)).encode();
    let mut first = Mediator::new(network.mediator.clone(), network.synchronizer.clone());
    let envelopes = vec![Envelope { content, recipients: Recipients::group([network.mediator.member()]) }];
    let mut tables = Tables::default();
    let begun = event(&scenario, network.now(), envelopes);
    first.step(&begun).iter().for_each(|effect| tables.write(effect));
    Fixture { requests, topology: tables.recovered, scenario }
});

/// A mediator after a step, and the step's effects.
type Stepped = Arc<(Arc<Mediator>, Vec<Effect>)>;

/// What the mediator becomes, by what it was born from and has read: many states share it, and signatures cost time.
static STEPS: LazyLock<Mutex<BTreeMap<u64, Stepped>>> = LazyLock::new(Mutex::default);

fn remembered(key: u64, make: impl FnOnce() -> (Mediator, Vec<Effect>)) -> Stepped {
    let steps = || STEPS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = steps().get(&key) {
        return known.clone();
    }
    let (mediator, effects) = make();
    let made = Arc::new((Arc::new(mediator), effects));
    steps().insert(key, made.clone());
    made
}

fn digest(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn event(scenario: &Scenario, timestamp: Timestamp, envelopes: Vec<Envelope>) -> SequencedEvent {
    let synchronizer = scenario.network.synchronizer.clone();
    let outcome = Outcome::Delivered(envelopes);
    SequencedEvent { synchronizer, timestamp, previous: None, message_id: None, topology_timestamp: None, outcome }
}

fn said(verdict: &Verdict) -> Said {
    match verdict {
        Verdict::Approve => Said::Approve,
        Verdict::MediatorReject { .. } => Said::TimedOut,
        Verdict::ParticipantReject(_) => Said::Reject,
    }
}

impl Fixture {
    /// The event as the mediator receives it.
    fn event(&self, events: &[(Timestamp, Happening)], position: usize) -> SequencedEvent {
        let (time, happening) = &events[position];
        match happening {
            Happening::Nothing => event(&self.scenario, *time, Vec::new()),
            Happening::Verdict(request, _) => {
                let message_id = Some(mediator_core::verdict_message_id(*request));
                SequencedEvent { message_id, ..event(&self.scenario, *time, Vec::new()) }
            }
            Happening::Request(n) => event(&self.scenario, *time, self.request(*n)),
            Happening::Response { request, approve } => {
                let n = events.iter().find_map(|(time, happening)| match happening {
                    Happening::Request(n) if time == request => Some(*n),
                    _ => None,
                });
                let envelopes = n.map(|n| self.response(&self.requests[n], *request, *approve));
                event(&self.scenario, *time, envelopes.into_iter().collect())
            }
        }
    }

    fn request(&self, n: usize) -> Vec<Envelope> {
        let network = &self.scenario.network;
        let (mediator, submitter) = (network.mediator.member(), network.participants[0].member());
        let all = self.requests[n].envelopes(&network.signature(&submitter, &self.requests[n].to_sign())).into_iter();
        let mine = all.filter(|e| e.recipients.all().contains(&mediator));
        mine.map(|e| Envelope { recipients: e.recipients.seen_by(&mediator), ..e }).collect()
    }

    fn response(&self, request: &ConfirmationRequest, id: RequestId, approve: bool) -> Envelope {
        let network = &self.scenario.network;
        let locked = || LocalReject::new(base::codes::LOCAL_VERDICT_LOCKED_CONTRACTS, "locked", Vec::new());
        let verdict = if approve { LocalVerdict::Approve } else { LocalVerdict::Reject(locked()) };
        let views = request.tree().informee_tree().views.into_iter();
        let response = views.map(|(view, common)| {
            let parties = common.value().confirmers().into_iter().collect();
            ConfirmationResponse { verdict: verdict.clone(), parties, view: Some(view) }
        });
        let unsigned = Signed::unsigned(ConfirmationResponses {
            synchronizer: network.synchronizer.clone(),
            request: id,
            root_hash: request.root_hash(),
            sender: network.participants[0].clone(),
            responses: response.collect(),
        });
        let signature = network.signature(&network.participants[0].member(), &unsigned.hash());
        let content = EnvelopeContent::Responses(unsigned.with(signature)).encode();
        Envelope { content, recipients: Recipients::group([network.mediator.member()]) }
    }
}

impl Tables {
    fn write(&mut self, effect: &Effect) {
        let recovered = &mut self.recovered;
        match effect {
            Effect::Topology(list) => recovered.topology.extend(list.clone()),
            Effect::Uuid(used) => {
                recovered.uuids.retain(|other| other.uuid != used.uuid);
                recovered.uuids.push(used.clone());
            }
            Effect::Decide(decision) => {
                let request = decision.result.request;
                recovered.decided.insert(request);
                recovered.outbox.push(decision.clone());
                self.verdicts.entry(request).or_default().push(said(&decision.result.verdict));
            }
            Effect::Settled(request) => recovered.outbox.retain(|decision| decision.result.request != *request),
            Effect::Clean(time) => {
                recovered.clean = Some(*time);
                recovered.decided.retain(|request| *request > *time);
            }
            Effect::Tick(_) | Effect::Alarm(_) => {}
        }
    }

    fn key(&self) -> impl Hash + PartialEq + use<> {
        let Recovered { uuids, decided, outbox, clean, topology: _ } = &self.recovered;
        let outbox: BTreeSet<_> = outbox.iter().map(|d| (d.result.request, said(&d.result.verdict))).collect();
        let uuids: BTreeSet<_> = uuids.iter().map(|used| used.request).collect();
        (decided.clone(), outbox, uuids, *clean, self.verdicts.clone())
    }
}

impl Leader {
    fn recover(system: System, tables: &Tables, events: &[(Timestamp, Happening)]) -> Self {
        let mut recovered = tables.recovered.clone();
        match system {
            System::DecidesAgain => (recovered.decided, recovered.outbox) = Default::default(),
            System::GivesUp => recovered.clean = events.last().map(|(time, _)| *time).max(recovered.clean),
            System::Sound | System::SendsFirst => {}
        }
        let position = events.iter().filter(|(time, _)| Some(*time) <= recovered.clean).count();
        let born = digest((tables.key(), position, system));
        let network = &FIXTURE.scenario.network;
        let known = remembered(born, || {
            recovered.topology.clone_from(&FIXTURE.topology.topology);
            (Mediator::recover(network.mediator.clone(), network.synchronizer.clone(), recovered), Vec::new())
        });
        let mediator = known.0.clone();
        let to_send = mediator.outbox().cloned().collect();
        Self { mediator, born, position, effects: Vec::new(), to_send }
    }

    fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Decide(decision) => Some(decision),
            _ => None,
        })
    }

    fn must_store(&self) -> bool {
        self.effects.iter().any(|effect| !matches!(effect, Effect::Tick(_) | Effect::Alarm(_)))
    }

    fn key(&self) -> impl Hash + use<> {
        let unstored: Vec<_> = self.effects.iter().map(std::mem::discriminant).collect();
        let to_send: Vec<_> = self.to_send.iter().map(|d| (d.result.request, said(&d.result.verdict))).collect();
        (self.born, self.position, unstored, to_send)
    }
}

impl World {
    fn now(&self) -> Timestamp {
        self.events.last().map_or(FIXTURE.scenario.network.now(), |(time, _)| *time)
    }

    fn happen(&mut self, wait: Duration, happening: Happening) -> bool {
        let room = self.events.len() < MAX_EVENTS;
        let time = self.now().saturating_add(wait);
        self.events.extend(room.then_some((time, happening)));
        room
    }

    fn read(&mut self, system: System, is_former: bool) -> bool {
        let who = if is_former { &mut self.former } else { &mut self.leader };
        let Some(leader) = who.as_mut().filter(|l| l.position < self.events.len() && l.to_send.is_empty()) else {
            return false;
        };
        let known = remembered(digest((leader.born, &self.events[..=leader.position])), || {
            let mut mediator = Mediator::clone(&leader.mediator);
            let effects = mediator.step(&FIXTURE.event(&self.events, leader.position));
            (mediator, effects)
        });
        leader.mediator = known.0.clone();
        leader.position += 1;
        leader.effects.extend(known.1.iter().cloned());
        if system == System::SendsFirst {
            let decided: Vec<_> = leader.decisions().cloned().collect();
            self.network.extend(decided.into_iter().map(|d| ((d.result.request, said(&d.result.verdict)), d)));
        }
        true
    }

    fn commit(&mut self, is_former: bool) -> bool {
        if is_former {
            // The fence.
            let refused = self.former.take_if(|former| former.must_store()).is_some();
            self.refused |= refused;
            return refused;
        }
        let Some(leader) = self.leader.as_mut().filter(|leader| !leader.effects.is_empty()) else { return false };
        leader.to_send = leader.decisions().cloned().collect();
        leader.effects.iter().for_each(|effect| self.tables.write(effect));
        leader.effects.clear();
        true
    }

    fn send(&mut self, is_former: bool) -> bool {
        let who = if is_former { &mut self.former } else { &mut self.leader };
        let Some(leader) = who.as_mut().filter(|leader| !leader.to_send.is_empty()) else { return false };
        for decision in std::mem::take(&mut leader.to_send) {
            // Nothing was read since the takeover, so this is the outbox of the one before.
            self.resent |= leader.effects.is_empty()
                && self.deaths > 0
                && Some(decision.result.request) < self.tables.recovered.clean;
            self.network.insert((decision.result.request, said(&decision.result.verdict)), decision);
        }
        true
    }

    /// Whether the step can happen; then it has.
    fn take(&mut self, system: System, step: &Step) -> bool {
        match step {
            Step::Request(n) => {
                let sent = self.events.iter().any(|(_, happening)| *happening == Happening::Request(*n));
                // Which of them comes first makes no difference.
                let in_order = self.requests().count() == *n;
                !sent && in_order && self.happen(NEXT, Happening::Request(*n))
            }
            Step::Respond { request, approve } => {
                let answered =
                    |happening: &Happening| matches!(happening, Happening::Response { request: r, .. } if r == request);
                let is_new = !self.events.iter().any(|(_, happening)| answered(happening));
                is_new && self.happen(NEXT, Happening::Response { request: *request, approve: *approve })
            }
            Step::Wait => {
                let waited = self.events.iter().any(|(_, happening)| *happening == Happening::Nothing);
                !waited && self.happen(LATE, Happening::Nothing)
            }
            Step::Deliver(request, said) => {
                let Some(decision) = self.network.get(&(*request, *said)) else { return false };
                let in_time = self.now().saturating_add(NEXT) <= decision.max_sequencing_time;
                // The sequencer puts a message id in order once.
                let fresh = self.verdict(*request).is_none();
                in_time && fresh && self.happen(NEXT, Happening::Verdict(*request, *said))
            }
            // An unknown outcome is tried again as long as the sender lives.
            Step::Lose(request, said) => self.leader.is_none() && self.network.remove(&(*request, *said)).is_some(),
            Step::Read => self.read(system, false),
            Step::Commit => self.commit(false),
            Step::Send => self.send(false),
            Step::Late(step) => match **step {
                Step::Read => self.read(system, true),
                Step::Commit => self.commit(true),
                Step::Send => self.send(true),
                _ => false,
            },
            Step::Die | Step::Replace => {
                let possible = self.deaths < MAX_DEATHS && self.leader.is_some();
                if possible {
                    self.deaths += 1;
                    let leader = self.leader.take();
                    self.former = leader.filter(|_| *step == Step::Replace);
                }
                possible
            }
            Step::TakeOver => {
                let possible = self.leader.is_none();
                self.leader.get_or_insert_with(|| Leader::recover(system, &self.tables, &self.events));
                possible
            }
        }
    }

    fn verdict(&self, request: RequestId) -> Option<Said> {
        self.events.iter().find_map(|(_, happening)| match happening {
            Happening::Verdict(of, said) if *of == request => Some(*said),
            _ => None,
        })
    }

    fn requests(&self) -> impl Iterator<Item = RequestId> {
        let requests = self.events.iter().filter(|(_, happening)| matches!(happening, Happening::Request(_)));
        requests.map(|(time, _)| *time)
    }

    /// A living mediator has read and stored everything, and nothing is on its way.
    fn is_over(&self) -> bool {
        let idle =
            |leader: &Leader| leader.position == self.events.len() && !leader.must_store() && leader.to_send.is_empty();
        let on_its_way = self.network.keys().any(|(request, _)| self.verdict(*request).is_none());
        self.leader.as_ref().is_some_and(idle) && !on_its_way
    }

    /// A request that a mediator could and had to decide.
    fn is_due(&self, request: RequestId) -> bool {
        let responded =
            self.events.iter().any(|(_, h)| matches!(h, Happening::Response { request: r, .. } if *r == request));
        let late = self.events.iter().any(|(time, h)| *h == Happening::Nothing && *time > request);
        responded || late
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        digest(self) == digest(other)
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.events, self.tables.key(), self.deaths, self.resent, self.refused).hash(state);
        self.leader.as_ref().map(Leader::key).hash(state);
        self.former.as_ref().map(Leader::key).hash(state);
        self.network.keys().for_each(|key| key.hash(state));
    }
}

struct Verdicts(System);

impl Model for Verdicts {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        // The topology never changes, so it is added when a leader recovers.
        let recovered = Recovered { topology: Vec::new(), ..FIXTURE.topology.clone() };
        let tables = Tables { recovered, ..Tables::default() };
        let leader = Some(Leader::recover(self.0, &tables, &[]));
        let (events, network) = (Vec::new(), BTreeMap::new());
        vec![World { events, tables, leader, former: None, network, deaths: 0, resent: false, refused: false }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Step>) {
        let requests = (0..REQUESTS).map(Step::Request);
        let responses =
            world.requests().flat_map(|request| [true, false].map(|approve| Step::Respond { request, approve }));
        let sent = world.network.keys().flat_map(|(r, said)| [Step::Deliver(*r, *said), Step::Lose(*r, *said)]);
        let late = [Step::Read, Step::Commit, Step::Send].map(|step| Step::Late(Box::new(step)));
        let own = [Step::Wait, Step::Read, Step::Commit, Step::Send, Step::Die, Step::Replace, Step::TakeOver];
        actions.extend(requests.chain(responses).chain(sent).chain(late).chain(own));
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        next.take(self.0, &step).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_VERDICT, |_, world: &World| {
                world.requests().all(|request| {
                    let stored = world.tables.verdicts.get(&request).and_then(|all| all.first());
                    world.verdict(request).is_none_or(|seen| stored == Some(&seen))
                })
            }),
            Property::always(ONCE, |_, world: &World| world.tables.verdicts.values().all(|all| all.len() == 1)),
            Property::always(FINAL, |_, world: &World| {
                !world.is_over() || world.requests().all(|r| !world.is_due(r) || world.verdict(r).is_some())
            }),
            Property::sometimes(RESENT, |_, world: &World| world.resent),
            Property::sometimes(REFUSED, |_, world: &World| world.refused),
            Property::sometimes(TIMED_OUT, |_, world: &World| {
                world.requests().any(|request| world.verdict(request) == Some(Said::TimedOut))
            }),
            Property::sometimes(APPROVED, |_, world: &World| {
                let approved = |request| world.verdict(request) == Some(Said::Approve);
                world.deaths > 0 && world.requests().filter(|request| approved(*request)).count() == REQUESTS
            }),
        ]
    }
}

#[test]
fn every_request_gets_the_one_verdict_that_is_stored() {
    let checker = Verdicts(System::Sound).checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    assert!(checker.unique_state_count() > 10_000, "only {} states", checker.unique_state_count());
}

#[test]
fn each_safeguard_of_verdicts_is_needed() {
    for (mutant, broken) in [
        (System::SendsFirst, ONE_VERDICT),
        (System::DecidesAgain, ONCE),
        (System::DecidesAgain, FINAL),
        (System::GivesUp, FINAL),
    ] {
        let found = HasDiscoveries::AnyOf([broken].into());
        let checker = Verdicts(mutant).checker().finish_when(found).threads(2).spawn_bfs().join();
        assert!(checker.discovery(broken).is_some(), "{mutant:?} was not caught");
    }
}
