use crate::{Decision, Effect, Mediator, Recovered, UsedUuid};
use base::{MemberId, Timestamp, codes};
use bytes::Bytes;
use proptest::prelude::*;
use protocol::{
    ConfirmationRequest,
    message::{
        ConfirmationResponse, ConfirmationResponses, EnvelopeContent, LocalReject, LocalVerdict, RequestId, Signed,
        Verdict,
    },
    sequencing::{Envelope, Outcome, Recipients, SequencedEvent},
    testing::Scenario,
    tree::ViewPosition,
};
use std::{collections::BTreeMap, time::Duration};
use topology::{
    Permission, TopologyContent, TopologyMessage,
    testing::{key, root, sign},
};
use transaction::Parties;

/// A mediator's stream, and the mediator.
struct World {
    scenario: Scenario,
    now: Timestamp,
    mediator: Mediator,
    log: Vec<Effect>,
}

impl World {
    /// A mediator that was bootstrapped.
    fn new() -> Self {
        Self::of(Scenario::new())
    }

    fn of(scenario: Scenario) -> Self {
        let network = &scenario.network;
        let mut mediator = Mediator::new(network.mediator.clone(), network.synchronizer.clone());
        let now = network.now();
        let event = event(&scenario, now, vec![topology(&scenario)]);
        let effects = mediator.step(&event);
        assert!(matches!(&effects[..], [Effect::Topology(_), Effect::Clean(_)]), "{effects:?}");
        Self { scenario, now, mediator, log: effects }
    }

    /// Time passes, then the mediator gets these envelopes.
    fn after(&mut self, wait: Duration, envelopes: Vec<Envelope>) -> Vec<Effect> {
        self.now = self.now.saturating_add(wait);
        let effects = self.mediator.step(&event(&self.scenario, self.now, envelopes));
        self.log.extend(effects.clone());
        effects
    }

    fn next(&mut self, envelopes: Vec<Envelope>) -> Vec<Effect> {
        self.after(MILLI, envelopes)
    }

    /// Sends a request; its id is the time now.
    fn request(&mut self, n: u8) -> (ConfirmationRequest, Vec<Effect>) {
        let transaction = self.scenario.nested();
        let request = self.scenario.request(&transaction, n);
        let envelopes = envelopes(&self.scenario, &request);
        let effects = self.next(envelopes);
        (request, effects)
    }

    fn respond(&mut self, participant: usize, request: &ConfirmationRequest, verdict: &LocalVerdict) -> Vec<Effect> {
        let id = self.request_id();
        let envelope = response(&self.scenario, participant, request, id, verdict);
        self.next(vec![envelope])
    }

    /// Of the first request.
    fn request_id(&self) -> RequestId {
        self.scenario.network.now().saturating_add(MILLI)
    }
}

const MILLI: Duration = Duration::from_millis(1);

fn event(scenario: &Scenario, timestamp: Timestamp, envelopes: Vec<Envelope>) -> SequencedEvent {
    SequencedEvent {
        synchronizer: scenario.network.synchronizer.clone(),
        timestamp,
        previous: None,
        message_id: None,
        topology_timestamp: None,
        outcome: Outcome::Delivered(envelopes),
    }
}

fn topology(scenario: &Scenario) -> Envelope {
    let network = &scenario.network;
    let content = TopologyContent::CatchUp(network.state.for_catch_up(network.now()));
    topology_message(scenario, content)
}

fn topology_message(scenario: &Scenario, content: TopologyContent) -> Envelope {
    let network = &scenario.network;
    let unsigned = Signed::unsigned(TopologyMessage { synchronizer: network.synchronizer.clone(), content });
    let signature = key("sync").sign(&unsigned.hash());
    let content = EnvelopeContent::Topology(unsigned.with(signature));
    Envelope { content: content.encode(), recipients: Recipients::group([network.mediator.member()]) }
}

/// Those envelopes of a request that the mediator gets.
fn envelopes(scenario: &Scenario, request: &ConfirmationRequest) -> Vec<Envelope> {
    let (me, submitter) = (scenario.network.mediator.member(), scenario.network.participants[0].member());
    let signature = scenario.network.signature(&submitter, &request.to_sign());
    let all = request.envelopes(&signature).into_iter();
    all.filter(|e| e.recipients.all().contains(&me)).map(|e| seen(e, &me)).collect()
}

fn seen(envelope: Envelope, member: &MemberId) -> Envelope {
    Envelope { recipients: envelope.recipients.seen_by(member), ..envelope }
}

/// What a participant answers for its confirming parties in all views it sees.
fn responses(
    scenario: &Scenario,
    participant: usize,
    request: &ConfirmationRequest,
    id: RequestId,
    verdict: &LocalVerdict,
) -> ConfirmationResponses {
    let network = &scenario.network;
    let sender = network.participants[participant].clone();
    let mine = network.state.head().parties(&sender);
    let views = request.tree().informee_tree().views.into_iter().filter_map(|(view, common)| {
        let parties: Parties =
            common.value().confirmers().into_iter().filter(|party| mine.contains_key(party)).collect();
        let verdict = verdict.clone();
        (!parties.is_empty()).then_some(ConfirmationResponse { verdict, parties, view: Some(view) })
    });
    ConfirmationResponses {
        synchronizer: network.synchronizer.clone(),
        request: id,
        root_hash: request.root_hash(),
        responses: views.collect(),
        sender,
    }
}

fn signed(scenario: &Scenario, responses: ConfirmationResponses, signer: &str) -> Envelope {
    let unsigned = Signed::unsigned(responses);
    let signature = key(signer).sign(&unsigned.hash());
    let content = EnvelopeContent::Responses(unsigned.with(signature)).encode();
    Envelope { content, recipients: Recipients::group([scenario.network.mediator.member()]) }
}

fn response(
    scenario: &Scenario,
    participant: usize,
    request: &ConfirmationRequest,
    id: RequestId,
    verdict: &LocalVerdict,
) -> Envelope {
    signed(scenario, responses(scenario, participant, request, id, verdict), &format!("p{participant}"))
}

fn locked() -> LocalVerdict {
    LocalVerdict::Reject(LocalReject::new(codes::LOCAL_VERDICT_LOCKED_CONTRACTS, "locked", Vec::new()))
}

fn decisions(effects: &[Effect]) -> Vec<&Decision> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Decide(decision) => Some(decision),
            _ => None,
        })
        .collect()
}

fn only(effects: &[Effect]) -> &Verdict {
    let decisions = decisions(effects);
    assert_eq!(decisions.len(), 1, "{effects:?}");
    &decisions[0].result.verdict
}

fn invalid(effects: &[Effect]) -> &str {
    match only(effects) {
        Verdict::MediatorReject { code, message, malformed: true } => {
            assert_eq!(code.category, base::Category::SecurityAlert);
            message
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_is_approved_when_all_confirm() {
    let mut world = World::new();
    let (request, effects) = world.request(1);
    let deadline = world.now.saturating_add(Duration::from_secs(30));
    assert!(effects.contains(&Effect::Tick(deadline.next().unwrap())), "{effects:?}");
    assert!(decisions(&effects).is_empty());
    // Bob is only an observer. Alice and her participant confirm the outer views, Carol and Alice the inner one.
    let effects = world.respond(0, &request, &LocalVerdict::Approve);
    assert_eq!(effects, []);
    let effects = world.respond(2, &request, &LocalVerdict::Approve);
    assert_eq!(only(&effects), &Verdict::Approve);
    let decision = decisions(&effects)[0];
    assert_eq!(decision.participants.len(), 3);
    assert_eq!(decision.max_sequencing_time, deadline.saturating_add(Duration::from_secs(30)));
    assert_eq!(decision.recipients().trees.len(), 3);
    assert!(effects.contains(&Effect::Clean(world.now)));
    // Late answers change nothing.
    assert!(decisions(&world.respond(1, &request, &locked())).is_empty());
    assert_eq!(world.mediator.outbox().count(), 1);
}

#[test]
fn a_request_is_rejected_as_soon_as_a_quorum_is_lost() {
    let mut world = World::new();
    let (request, _) = world.request(1);
    let effects = world.respond(2, &request, &locked());
    let Verdict::ParticipantReject(reasons) = only(&effects) else { panic!("{effects:?}") };
    assert_eq!(reasons.len(), 1);
    assert_eq!(reasons[0].parties, [world.scenario.carol.clone()].into());
}

#[test]
fn the_first_answer_counts() {
    let mut world = World::new();
    let (request, _) = world.request(1);
    world.respond(0, &request, &LocalVerdict::Approve);
    assert!(decisions(&world.respond(0, &request, &locked())).is_empty());
    assert_eq!(only(&world.respond(2, &request, &LocalVerdict::Approve)), &Verdict::Approve);
}

#[test]
fn one_of_several_hosts_may_confirm() {
    let mut scenario = Scenario::new();
    let carol = scenario.carol.clone();
    scenario.network.host_also(&carol, 2, 1, Permission::Confirmation);
    let mut world = World::of(scenario);
    let (request, _) = world.request(1);
    world.respond(0, &request, &LocalVerdict::Approve);
    assert!(decisions(&world.respond(2, &request, &locked())).is_empty(), "the other host may still approve");
    assert_eq!(only(&world.respond(1, &request, &LocalVerdict::Approve)), &Verdict::Approve);
}

#[test]
fn silence_is_a_timeout_and_late_answers_do_not_count() {
    let mut world = World::new();
    let (request, _) = world.request(1);
    world.respond(0, &request, &LocalVerdict::Approve);
    let id = world.request_id();
    let last = response(&world.scenario, 2, &request, id, &LocalVerdict::Approve);
    let deadline = id.saturating_add(Duration::from_secs(30));
    assert!(decisions(&world.after(deadline.since(world.now) - MILLI, vec![])).is_empty());
    let mut punctual = World { scenario: Scenario::new(), mediator: world.mediator.clone(), log: vec![], ..world };
    assert_eq!(only(&punctual.after(MILLI, vec![last.clone()])), &Verdict::Approve, "at the deadline itself");

    let mut late = World { scenario: Scenario::new(), now: punctual.now, mediator: world.mediator, log: vec![] };
    let effects = late.after(MILLI, vec![last]);
    match only(&effects) {
        Verdict::MediatorReject { code, message, malformed: false } => {
            assert_eq!(*code, codes::MEDIATOR_SAYS_TX_TIMED_OUT);
            assert!(message.contains("carol") && !message.contains("bob"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn responses_that_do_not_belong_are_ignored() {
    let mut world = World::new();
    let (request, _) = world.request(1);
    world.respond(0, &request, &LocalVerdict::Approve);
    let id = world.request_id();
    let good = responses(&world.scenario, 2, &request, id, &LocalVerdict::Approve);
    let change = |f: &dyn Fn(&mut ConfirmationResponses)| {
        let mut changed = good.clone();
        f(&mut changed);
        changed
    };
    let mut wide = signed(&world.scenario, good.clone(), "p2");
    wide.recipients =
        Recipients::group([world.scenario.network.mediator.member(), world.scenario.network.participants[0].member()]);
    let (alice, bob) = (world.scenario.alice.clone(), world.scenario.bob.clone());
    for bad in [
        signed(&world.scenario, good.clone(), "p1"),
        wide,
        signed(&world.scenario, change(&|r| r.root_hash.0[0] ^= 1), "p2"),
        signed(&world.scenario, change(&|r| r.responses[0].view = Some(ViewPosition(vec![7]))), "p2"),
        signed(&world.scenario, change(&|r| r.responses[0].parties = [bob.clone()].into()), "p2"),
        // Alice confirms this view, but on another participant.
        signed(&world.scenario, change(&|r| r.responses[0].parties = [alice.clone()].into()), "p2"),
    ] {
        let effects = world.next(vec![bad]);
        let [Effect::Alarm(alarm)] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(alarm.code, codes::MEDIATOR_RECEIVED_MALFORMED_MESSAGE);
        assert_eq!(alarm.who, Some(world.scenario.network.participants[2].member()));
    }
    // About a request that is not known (any more): nothing at all.
    let unknown = signed(&world.scenario, change(&|r| r.request = r.request.next().unwrap()), "p2");
    assert_eq!(world.next(vec![unknown]), []);
    let good = signed(&world.scenario, good, "p2");
    assert_eq!(only(&world.next(vec![good])), &Verdict::Approve);
}

#[test]
fn a_malformed_request_is_rejected_for_all_parties_of_the_sender() {
    let mut world = World::new();
    let (request, _) = world.request(1);
    let reject = LocalReject::new(codes::LOCAL_VERDICT_MALFORMED_REQUEST, "nonsense", Vec::new());
    let verdict = LocalVerdict::Reject(reject);
    let responses = ConfirmationResponses {
        responses: vec![ConfirmationResponse { verdict, parties: Parties::new(), view: None }],
        ..responses(&world.scenario, 0, &request, world.request_id(), &LocalVerdict::Approve)
    };
    let envelope = signed(&world.scenario, responses, "p0");
    let effects = world.next(vec![envelope]);
    let Verdict::ParticipantReject(reasons) = only(&effects) else { panic!("{effects:?}") };
    let admin = world.scenario.network.participants[0].0.party();
    assert_eq!(reasons[0].parties, [world.scenario.alice.clone(), admin].into());
}

/// Spoils a request.
type Change<'a> = &'a dyn Fn(&mut Vec<Envelope>, &Scenario);

#[test]
fn requests_are_checked() {
    let check = |change: Change<'_>| {
        let mut world = World::new();
        let transaction = world.scenario.nested();
        let request = world.scenario.request(&transaction, 1);
        let mut all = envelopes(&world.scenario, &request);
        change(&mut all, &world.scenario);
        let effects = world.next(all);
        let pending = world.mediator.pending();
        (effects, pending)
    };
    assert_eq!(check(&|_, _| ()).1, 1);
    // Nobody was told of it: nobody expects a verdict.
    let (effects, pending) = check(&|all, _| all.truncate(1));
    assert_eq!((decisions(&effects).len(), pending), (0, 0));
    assert!(matches!(effects[0], Effect::Alarm(_)));
    let cases: [(&str, Change<'_>); 8] = [
        ("informee messages", &|all, _| drop(all.remove(0))),
        ("informee messages", &|all, _| all.push(all[0].clone())),
        ("cannot be read", &|all, _| all[0].content = Bytes::from_static(b"nonsense")),
        ("missing", &|all, _| drop(all[1].recipients.trees.pop())),
        ("two root hash messages", &|all, _| {
            let tree = all[1].recipients.trees[0].clone();
            all[1].recipients.trees.push(tree);
        }),
        ("other recipients", &|all, s| {
            all[1].recipients.trees[0].members.insert(s.network.sequencer.member());
        }),
        ("alone", &|all, s| {
            all[0].recipients = Recipients::group([s.network.mediator.member(), s.network.sequencer.member()]);
        }),
        ("signature", &|all, _| {
            let Ok(EnvelopeContent::Informee(mut message)) = EnvelopeContent::decode(all[0].content.clone()) else {
                panic!("the first envelope is the informee message")
            };
            message.signature = key("p1").sign(&message.tree.root_hash());
            all[0].content = EnvelopeContent::Informee(message).encode();
        }),
    ];
    for (expected, change) in cases {
        let (effects, pending) = check(change);
        let message = invalid(&effects);
        assert!(message.contains(expected), "{expected}: {message}");
        assert_eq!(pending, 0);
    }
}

#[test]
fn a_uuid_is_good_for_one_request() {
    let mut world = World::new();
    world.request(1);
    let first = world.now;
    let (_, effects) = world.request(1);
    assert!(invalid(&effects).contains("uuid"));
    world.request(2);
    assert_eq!(world.mediator.pending(), 2);
    // After the deduplication timeout it is forgotten.
    world.after(Duration::from_secs(121), vec![]);
    assert!(world.now > first);
    world.request(1);
    assert_eq!(world.mediator.pending(), 1);
}

#[test]
fn a_mediator_that_was_dismissed_is_silent() {
    let mut world = World::new();
    let network = &world.scenario.network;
    let state = topology::build::mediator(&network.mediator, &network.synchronizer, &[]).remove(0);
    let dismissal = topology::testing::remove(&network.state, state, &[&root("sync")]);
    let message = topology_message(&world.scenario, TopologyContent::Broadcast(vec![dismissal]));
    let effects = world.next(vec![message]);
    assert!(matches!(effects[0], Effect::Topology(_)));
    // It takes effect after the delay only.
    let (_, effects) = world.request(1);
    assert!(decisions(&effects).is_empty() && world.mediator.pending() == 1);
    world.after(Duration::from_secs(1), vec![]);
    let (_, effects) = world.request(2);
    assert!(matches!(&effects[0], Effect::Alarm(_)));
    assert_eq!(world.mediator.pending(), 1);
}

#[test]
fn topology_comes_from_the_manager_only() {
    let mut world = World::new();
    let mapping = topology::build::admit(&world.scenario.network.participants[0], &world.scenario.network.synchronizer);
    let signed = sign(&world.scenario.network.state, mapping, &[&root("sync")]);
    let content = TopologyContent::Broadcast(vec![signed]);
    let unsigned =
        Signed::unsigned(TopologyMessage { synchronizer: world.scenario.network.synchronizer.clone(), content });
    let forged = unsigned.clone().with(key("p0").sign(&unsigned.hash()));
    let content = EnvelopeContent::Topology(forged).encode();
    let recipients = Recipients::group([world.scenario.network.mediator.member()]);
    let effects = world.next(vec![Envelope { content, recipients }]);
    assert!(matches!(&effects[..], [Effect::Alarm(_), Effect::Clean(_)]), "{effects:?}");
}

#[test]
fn verdicts_stay_in_the_outbox_until_seen_or_too_late() {
    let mut world = World::new();
    world.request(1);
    let id = world.now;
    world.after(Duration::from_secs(31), vec![]);
    let decision = world.mediator.outbox().next().unwrap().clone();
    assert_eq!(decision.result.request, id);
    let mut seen = world.mediator.clone();
    let mut receipt = event(&world.scenario, world.now.saturating_add(MILLI), vec![]);
    receipt.message_id = Some(decision.message_id());
    assert!(seen.step(&receipt).contains(&Effect::Settled(id)));
    assert_eq!(seen.outbox().count(), 0);
    assert!(world.after(Duration::from_secs(30), vec![]).contains(&Effect::Settled(id)), "past the decision time");
}

/// Stores effects as a shell does.
#[derive(Clone, Default)]
struct Store {
    stored: Recovered,
    verdicts: BTreeMap<RequestId, Decision>,
}

impl Store {
    fn write(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Topology(list) => self.stored.topology.extend(list.clone()),
                Effect::Uuid(used) => {
                    self.stored.uuids.retain(|old| old.uuid != used.uuid);
                    self.stored.uuids.push(UsedUuid::clone(used));
                }
                Effect::Decide(decision) => {
                    let request = decision.result.request;
                    assert_eq!(self.verdicts.insert(request, decision.clone()), None, "{request} decided twice");
                    self.stored.outbox.push(decision.clone());
                }
                Effect::Settled(request) => self.stored.outbox.retain(|d| d.result.request != *request),
                Effect::Clean(time) => {
                    assert!(Some(*time) > self.stored.clean);
                    self.stored.clean = Some(*time);
                }
                Effect::Tick(_) | Effect::Alarm(_) => {}
            }
        }
    }

    fn recover(&self, scenario: &Scenario) -> Mediator {
        let decided = self.verdicts.keys().filter(|r| Some(**r) > self.stored.clean).copied().collect();
        let stored = Recovered { decided, ..self.stored.clone() };
        Mediator::recover(scenario.network.mediator.clone(), scenario.network.synchronizer.clone(), stored)
    }
}

/// What happens next in a random run.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Request number n is sent (again).
    Request(u8),
    /// Participant p answers request n.
    Respond(u8, usize, bool),
    /// So many seconds pass.
    Wait(u8),
    /// The receipt of the verdict on request n.
    Receipt(u8),
    /// The active replica dies; another takes over.
    Failover,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..4_u8).prop_map(Step::Request),
        6 => (0..4_u8, 0..3_usize, prop::bool::weighted(0.8)).prop_map(|(n, p, yes)| Step::Respond(n, p, yes)),
        1 => (1..25_u8).prop_map(Step::Wait),
        1 => (0..4_u8).prop_map(Step::Receipt),
        1 => Just(Step::Failover),
    ];
    prop::collection::vec(step, 0..40)
}

/// All requests that a run may use; made once, because building them is slow.
fn prepared() -> (Scenario, Vec<ConfirmationRequest>) {
    let mut scenario = Scenario::new();
    let transaction = scenario.nested();
    let requests = (0..4).map(|n| scenario.request(&transaction, n)).collect();
    (scenario, requests)
}

/// Runs the steps; returns the verdicts with the times at which they were decided.
fn run(steps: &[Step], failovers: bool) -> BTreeMap<RequestId, (Timestamp, Decision)> {
    let (scenario, requests) = prepared();
    let mut world = World::of(scenario);
    let (mut store, mut ids, mut events) = (Store::default(), BTreeMap::new(), Vec::new());
    let log = std::mem::take(&mut world.log);
    store.write(&log);
    let mut verdicts = BTreeMap::new();
    let end = [Step::Wait(31), Step::Wait(31)];
    for step in steps.iter().chain(&end) {
        world.now = world.now.saturating_add(MILLI);
        let (mut envelopes_now, mut message_id) = (Vec::new(), None);
        match step {
            Step::Request(n) => {
                ids.insert(*n, world.now);
                envelopes_now = envelopes(&world.scenario, &requests[usize::from(*n)]);
            }
            Step::Respond(n, participant, yes) => {
                let verdict = if *yes { LocalVerdict::Approve } else { locked() };
                if let Some(id) = ids.get(n) {
                    let request = &requests[usize::from(*n)];
                    envelopes_now.push(response(&world.scenario, *participant, request, *id, &verdict));
                }
            }
            Step::Wait(seconds) => world.now = world.now.saturating_add(Duration::from_secs((*seconds).into())),
            Step::Receipt(n) => message_id = ids.get(n).map(|id| crate::verdict_message_id(*id)),
            Step::Failover => {
                if failovers {
                    world.mediator = store.recover(&world.scenario);
                    let clean = store.stored.clean;
                    for old in events.iter().filter(|e: &&SequencedEvent| Some(e.timestamp) > clean) {
                        let effects = world.mediator.step(old);
                        assert!(decisions(&effects).is_empty(), "replay decides nothing new: {effects:?}");
                        store.write(&effects);
                    }
                }
                continue;
            }
        }
        let event = SequencedEvent { message_id, ..event(&world.scenario, world.now, envelopes_now) };
        let effects = world.mediator.step(&event);
        for decision in decisions(&effects) {
            let old = verdicts.insert(decision.result.request, (world.now, decision.clone()));
            assert!(old.is_none());
        }
        store.write(&effects);
        events.push(event);
    }
    assert_eq!(world.mediator.pending(), 0);
    assert_eq!(store.stored.clean, Some(world.now), "everything is clean in the end");
    let requested = events.iter().filter(|e| !envelopes_of_request(e).is_empty()).count();
    assert_eq!(verdicts.len(), requested, "one verdict for each request");
    verdicts
}

fn envelopes_of_request(event: &SequencedEvent) -> Vec<&Envelope> {
    let is_root_hash =
        |e: &&Envelope| matches!(EnvelopeContent::decode(e.content.clone()), Ok(EnvelopeContent::RootHash(_)));
    event.envelopes().iter().filter(is_root_hash).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Every request gets exactly one verdict, never an approval after its deadline, and a failover at any moment
    /// changes none of them.
    #[test]
    fn one_verdict_each_whatever_happens(steps in steps()) {
        let verdicts = run(&steps, true);
        for (request, (decided, decision)) in &verdicts {
            if decision.result.verdict == Verdict::Approve {
                prop_assert!(*decided <= request.saturating_add(Duration::from_secs(30)));
            }
        }
        prop_assert_eq!(verdicts, run(&steps, false));
    }
}
