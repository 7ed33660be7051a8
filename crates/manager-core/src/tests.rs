use crate::{Answer, Dispatch, Effect, FoundingError, Manager, Policy, Recovered, found};
use base::{MemberId, ParticipantId, Timestamp};
use proptest::prelude::*;
use protocol::{
    apply_topology,
    message::{EnvelopeContent, Signed},
    sequencing::{Envelope, Outcome, Recipients, SequencedEvent},
};
use std::{collections::BTreeMap, time::Duration};
use topology::{
    Mapping, Parameters, Permission, RegisterRequest, Registration, Rejection, SignedTopologyTransaction,
    TopologyState, TopologyTransaction, build,
    testing::{Network, key, root, sign, uid},
};

const MILLI: Duration = Duration::from_millis(1);

/// A manager with its shell, and a sequencer that delivers its messages to everybody concerned.
struct World {
    network: Network,
    policy: Policy,
    manager: Manager,
    stored: Recovered,
    now: Timestamp,
    /// What each participant knows from its own stream.
    members: BTreeMap<MemberId, TopologyState>,
    answers: Vec<Answer>,
    broadcasts: usize,
    /// Messages that the network is to lose.
    lose: usize,
    ticks: Vec<Timestamp>,
}

impl World {
    /// A founded synchronizer with participant 0; participants 1 and 2 may come.
    fn new(policy: Policy) -> Self {
        let network = Network::new(1);
        let stored = Recovered { topology: network.state.for_catch_up(Timestamp::MIN), ..Recovered::default() };
        let manager = Manager::recover(network.synchronizer.clone(), policy, stored.clone());
        let mut first = TopologyState::of(network.synchronizer.clone());
        first.restore(stored.topology.clone());
        let members = [(network.participants[0].member(), first)].into();
        let now = network.now();
        let mut world = Self {
            network,
            policy,
            manager,
            stored,
            now,
            members,
            answers: vec![],
            broadcasts: 0,
            lose: 0,
            ticks: vec![],
        };
        world.wait(Duration::from_secs(1));
        world
    }

    fn participant(n: usize) -> ParticipantId {
        ParticipantId(uid(&format!("p{n}"), &format!("p{n}")))
    }

    /// An event of the manager's stream.
    fn step(&mut self, event: &SequencedEvent) {
        let effects = self.manager.step(event);
        self.carry_out(effects);
    }

    fn event(&mut self, envelopes: Vec<Envelope>) -> SequencedEvent {
        self.now = self.now.saturating_add(MILLI);
        SequencedEvent {
            synchronizer: self.network.synchronizer.clone(),
            timestamp: self.now,
            previous: None,
            message_id: None,
            topology_timestamp: None,
            outcome: Outcome::Delivered(envelopes),
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Topology(list) => self.stored.topology.extend(list),
                Effect::Enqueue(queued) => self.stored.queue.push(queued),
                Effect::Dequeue(position) => self.stored.queue.retain(|queued| queued.position != position),
                Effect::Sign(mapping) => {
                    let transaction = TopologyTransaction {
                        serial: self.manager.serial(&mapping),
                        ..TopologyTransaction::add(mapping)
                    };
                    let hash = transaction.hash();
                    let signed = transaction.signed(vec![root("sync").sign(&hash)]);
                    let effects = self.manager.authorize(signed).unwrap();
                    self.carry_out(effects);
                }
                Effect::Answer(answer) => {
                    self.stored.answers.push(answer.clone());
                    self.answers.push(answer);
                }
                Effect::Settled(message) => self.stored.answers.retain(|answer| answer.message_id != message),
                Effect::Dispatch(dispatch) => self.sequence(&dispatch),
                Effect::Tick(time) => self.ticks.push(time),
                Effect::Clean(time) => self.stored.clean = Some(time),
                Effect::Alarm(why) => panic!("{why}"),
            }
        }
    }

    /// The sequencer delivers a dispatch, or loses it.
    fn sequence(&mut self, dispatch: &Dispatch) {
        if self.lose > 0 {
            self.lose -= 1;
            return;
        }
        let unsigned = Signed::unsigned(dispatch.message.clone());
        let signed = unsigned.clone().with(key("sync").sign(&unsigned.hash()));
        let content = EnvelopeContent::Topology(signed.clone()).encode();
        let mut event = self.event(vec![Envelope { content, recipients: dispatch.recipients.clone() }]);
        let to_all = dispatch.recipients.all();
        for member in &to_all {
            // As the sequencer sees to it.
            assert!(self.manager.topology().head().is_known(member), "{member} cannot be addressed");
            if matches!(member.kind, base::MemberKind::Participant) {
                let state = self
                    .members
                    .entry(member.clone())
                    .or_insert_with(|| TopologyState::of(self.network.synchronizer.clone()));
                apply_topology(state, event.timestamp, &signed).unwrap();
            }
        }
        if !to_all.contains(&self.network.synchronizer.member()) {
            event.outcome = Outcome::Delivered(vec![]);
        } else {
            self.broadcasts += 1;
        }
        event.message_id = Some(dispatch.message_id.clone());
        self.step(&event);
    }

    fn pump(&mut self) {
        let effects = self.manager.pump(self.now);
        self.carry_out(effects);
    }

    /// Time passes; the manager works as long as it has something to do.
    fn wait(&mut self, time: Duration) {
        self.now = self.now.saturating_add(time);
        let event = self.event(vec![]);
        self.step(&event);
        for _ in 0..20 {
            self.pump();
        }
    }

    /// Enough time passes for everything to take effect.
    fn settle(&mut self) {
        (0..4).for_each(|_| self.wait(Duration::from_secs(1)));
    }

    fn register(&mut self, participant: usize, transactions: Vec<SignedTopologyTransaction>) {
        let request = RegisterRequest {
            synchronizer: self.network.synchronizer.clone(),
            participant: Self::participant(participant),
            request_id: "request".into(),
            transactions,
        };
        let content = EnvelopeContent::RegisterRequest(request).encode();
        let recipients = Recipients::group([self.network.synchronizer.member()]);
        let event = self.event(vec![Envelope { content, recipients }]);
        self.step(&event);
    }

    /// What a newcomer registers in order to join.
    fn joining(&self, n: usize) -> Vec<SignedTopologyTransaction> {
        let mut all = self.network.joining(&Self::participant(n));
        all.pop();
        all
    }

    /// A party of a participant's own.
    fn party(&self, participant: usize, name: &str) -> SignedTopologyTransaction {
        let owner = format!("p{participant}");
        let mapping = build::party(&uid(name, &owner), &Self::participant(participant), Permission::Submission);
        sign(self.manager.topology(), mapping, &[&root(&owner)])
    }

    fn is_active(&self, n: usize) -> bool {
        let topology = self.manager.topology();
        topology.snapshot(self.now).is_active(&Self::participant(n).member())
    }

    /// Every active participant knows exactly what the manager knows.
    fn assert_agreement(&self) {
        let of_manager = self.manager.topology().snapshot(self.now);
        for member in of_manager.active_members().into_iter().filter(|m| m.kind == base::MemberKind::Participant) {
            let known = self.members[&member].snapshot(self.now);
            assert_eq!(known.transactions(), of_manager.transactions(), "{member}");
        }
    }

    fn fail_over(&mut self) {
        self.manager = Manager::recover(self.network.synchronizer.clone(), self.policy, self.stored.clone());
        let effects = self.manager.resume();
        self.carry_out(effects);
    }

    fn results(&self) -> &[Registration] {
        &self.answers.last().unwrap().response.results
    }
}

#[test]
fn founding_needs_all_parts() {
    let network = Network::new(0);
    let all: Vec<_> = network.state.for_catch_up(Timestamp::MIN).into_iter().map(|s| s.transaction).collect();
    assert!(found(&network.synchronizer, &all).is_ok());
    assert!(matches!(found(&network.synchronizer, &all[..5]), Err(FoundingError::Lacking(gaps)) if gaps.len() == 1));
    let unordered: Vec<_> = all.iter().rev().cloned().collect();
    assert!(matches!(found(&network.synchronizer, &unordered), Err(FoundingError::Refused { index: 0, .. })));
}

#[test]
fn a_newcomer_is_let_in_and_knows_everything() {
    let mut world = World::new(Policy::Open);
    let party = world.party(0, "alice");
    world.register(0, vec![party]);
    world.wait(MILLI);
    assert_eq!(world.results(), [Registration::Accepted]);
    world.register(1, world.joining(1));
    // Twice is as good as once.
    world.register(1, world.joining(1));
    world.settle();
    assert!(world.is_active(1));
    assert_eq!(world.manager.waiting(), 0);
    world.assert_agreement();
    // From now on it hears of everything.
    let party = world.party(1, "bob");
    world.register(1, vec![party]);
    world.settle();
    assert_eq!(world.results(), [Registration::Accepted]);
    world.assert_agreement();
    // All that was to be sent again is settled.
    world.wait(Duration::from_secs(61));
    assert_eq!((world.stored.answers.len(), world.stored.queue.len()), (0, 0));
}

#[test]
fn a_closed_synchronizer_lets_in_whom_it_invited() {
    let mut world = World::new(Policy::Closed);
    world.register(1, world.joining(1));
    world.settle();
    assert!(!world.manager.topology().head().is_known(&World::participant(1).member()));
    let invitation = sign(
        world.manager.topology(),
        build::admit(&World::participant(1), &world.network.synchronizer),
        &[&root("sync")],
    );
    let effects = world.manager.authorize(invitation).unwrap();
    world.carry_out(effects);
    world.wait(Duration::from_secs(1));
    world.register(1, world.joining(1));
    world.settle();
    assert!(world.is_active(1));
    world.assert_agreement();
}

#[test]
fn a_participant_speaks_for_itself_only() {
    let mut world = World::new(Policy::Open);
    let state = world.manager.topology().clone();
    let (p0, p1, synchronizer) = (World::participant(0), World::participant(1), world.network.synchronizer.clone());
    let good = world.party(0, "alice");
    let foreign = build::party(&uid("eve", "p1"), &p1, Permission::Submission);
    let parameters = Mapping::Parameters { synchronizer: synchronizer.clone(), parameters: Parameters::default() };
    let mediator = build::mediator(&base::MediatorId(uid("m", "p0")), &synchronizer, &[]).remove(0);
    let mut list: Vec<_> =
        [foreign, build::admit(&p0, &synchronizer), build::join(&p1, &synchronizer), parameters, mediator]
            .into_iter()
            .map(|mapping| sign(&state, mapping, &[&root("p0")]))
            .collect();
    // In its namespace, but signed by somebody else.
    list.push(sign(&state, build::party(&uid("x", "p0"), &p0, Permission::Submission), &[&root("p1")]));
    list.extend([good.clone(), good]);
    world.register(0, list);
    let (last, others) = world.results().split_at(6);
    assert!(last.iter().all(|r| matches!(r, Registration::Rejected(_))), "{last:?}");
    assert_eq!(others, [Registration::Accepted, Registration::Duplicate]);
}

#[test]
fn newcomers_bring_what_is_needed() {
    let mut world = World::new(Policy::Open);
    let all = world.joining(1);
    // Its namespace, its keys for signing and encryption, its wish to join.
    for missing in 1..4 {
        let mut incomplete = all[..4].to_vec();
        incomplete.remove(missing);
        world.register(1, incomplete);
        assert_eq!(world.manager.waiting(), 0);
    }
    world.register(1, all);
    assert_eq!(world.manager.waiting(), 5, "four of its own and the consent");
}

#[test]
fn an_operator_has_the_last_word() {
    let mut world = World::new(Policy::Open);
    world.register(1, world.joining(1));
    world.settle();
    let consent = build::admit(&World::participant(1), &world.network.synchronizer);
    let removal = topology::testing::remove(world.manager.topology(), consent, &[&root("sync")]);
    let effects = world.manager.authorize(removal.clone()).unwrap();
    world.carry_out(effects);
    world.settle();
    assert!(!world.is_active(1));
    assert!(matches!(world.manager.authorize(removal), Err(Rejection::Duplicate(_))));
    // It may ask as often as it likes.
    world.fail_over();
    let again = sign(
        world.manager.topology(),
        build::join(&World::participant(1), &world.network.synchronizer),
        &[&root("p1")],
    );
    world.register(1, vec![again]);
    world.settle();
    assert!(!world.is_active(1));
    // Parties come and go while it is away; let in again, it learns what it missed.
    let party = world.party(0, "alice");
    world.register(0, vec![party]);
    world.wait(Duration::from_secs(1));
    let consent = build::admit(&World::participant(1), &world.network.synchronizer);
    let admitted = sign(world.manager.topology(), consent, &[&root("sync")]);
    let effects = world.manager.authorize(admitted).unwrap();
    world.carry_out(effects);
    world.settle();
    assert!(world.is_active(1));
    world.assert_agreement();
}

#[test]
fn what_is_lost_is_sent_again() {
    let mut world = World::new(Policy::Open);
    world.lose = 1;
    let party = world.party(0, "alice");
    world.register(0, vec![party]);
    world.wait(MILLI);
    assert_eq!((world.manager.waiting(), world.broadcasts), (1, 0));
    let tick = *world.ticks.last().unwrap();
    world.wait(tick.since(world.now));
    assert_eq!((world.manager.waiting(), world.broadcasts), (0, 1));
    world.assert_agreement();
}

#[test]
fn transactions_go_out_together() {
    let mut world = World::new(Policy::Open);
    let parties = (0..150).map(|n| world.party(0, &format!("party{n}"))).collect();
    world.register(0, parties);
    world.wait(MILLI);
    assert_eq!((world.manager.waiting(), world.broadcasts), (0, 2));
    world.settle();
    world.assert_agreement();
}

/// What happens next in a random run.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Participant n joins.
    Join(usize),
    /// Participant n hosts party m.
    Party(usize, u8),
    /// An operator lets participant n go or come back.
    Consent(usize, bool),
    /// So many milliseconds pass.
    Wait(u64),
    /// The next messages are lost.
    Lose(usize),
    /// The active replica dies.
    FailOver,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (1..3_usize).prop_map(Step::Join),
        4 => (0..3_usize, 0..5_u8).prop_map(|(n, m)| Step::Party(n, m)),
        1 => (1..3_usize, any::<bool>()).prop_map(|(n, yes)| Step::Consent(n, yes)),
        4 => (1..600_u64).prop_map(Step::Wait),
        1 => (1..3_usize).prop_map(Step::Lose),
        2 => Just(Step::FailOver),
    ];
    prop::collection::vec(step, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever is registered, lost and interrupted: in the end nothing waits, everybody who asked and was not
    /// dismissed takes part, and all who take part know the same.
    #[test]
    fn everybody_agrees_whatever_happens(steps in steps()) {
        let mut world = World::new(Policy::Open);
        let mut joined = [false; 3];
        let mut dismissed = [false; 3];
        for step in steps {
            match step {
                Step::Join(n) => {
                    world.register(n, world.joining(n));
                    joined[n] = true;
                }
                Step::Party(n, m) => {
                    let party = world.party(n, &format!("party{m}"));
                    world.register(n, vec![party]);
                }
                Step::Consent(n, yes) if joined[n] => {
                    let mapping = build::admit(&World::participant(n), &world.network.synchronizer);
                    let operation = if yes { topology::Operation::AddReplace } else { topology::Operation::Remove };
                    let transaction = TopologyTransaction { operation, serial: world.manager.serial(&mapping), mapping };
                    let hash = transaction.hash();
                    let effects = world.manager.authorize(transaction.signed(vec![root("sync").sign(&hash)])).unwrap();
                    world.carry_out(effects);
                    dismissed[n] = !yes;
                }
                Step::Consent(..) => {}
                Step::Wait(millis) => world.wait(Duration::from_millis(millis)),
                Step::Lose(count) => world.lose = count,
                Step::FailOver => world.fail_over(),
            }
        }
        world.lose = 0;
        for _ in 0..10 {
            world.wait(Duration::from_secs(11));
        }
        prop_assert_eq!(world.manager.waiting(), 0);
        prop_assert!(world.stored.queue.is_empty());
        for n in 1..3 {
            prop_assert_eq!(world.is_active(n), joined[n] && !dismissed[n], "participant {}", n);
        }
        world.assert_agreement();
    }
}
