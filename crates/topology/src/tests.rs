use crate::{
    Gap, Mapping, Operation, Parameters, Permission, RegisterRequest, RegisterResponse, Registration, Rejection, Side,
    SignedTopologyTransaction, StoredTransaction, TopologyContent, TopologyMessage, TopologyState, TopologyTransaction,
    TrustLevel, build,
    testing::{Network, key, remove, root, sign, uid},
};
use base::{MediatorId, PackageId, ParticipantId, SequencerId, SynchronizerId, Timestamp};
use crypto::{SignatureError, sha256};
use proptest::prelude::*;
use std::{collections::BTreeSet, time::Duration};
use wire::concordat::topology::v1 as proto;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros(millis * 1000).unwrap()
}

fn rejection(outcomes: Vec<crate::Outcome>) -> Rejection {
    outcomes.into_iter().next().unwrap().unwrap_err().1
}

#[test]
fn a_bootstrapped_network_knows_its_nodes() {
    let mut network = Network::new(2);
    let party = network.host("alice", 0, Permission::Submission);
    network.host_also(&party, 0, 1, Permission::Observation);
    network.vet(0, [PackageId::new("main").unwrap()]);
    let snapshot = network.state.snapshot(network.now());

    assert_eq!(snapshot.gaps(), BTreeSet::new());
    assert_eq!(snapshot.participants(), network.participants.iter().cloned().collect());
    assert_eq!(snapshot.mediators(), BTreeSet::from([network.mediator.clone()]));
    assert_eq!(snapshot.sequencers(), BTreeSet::from([network.sequencer.clone()]));
    assert_eq!(snapshot.active_members().len(), 5);
    let hosts: Vec<_> = snapshot.hosts(&party).into_values().collect();
    assert_eq!(hosts, [Permission::Submission, Permission::Observation]);
    let own: Vec<_> = snapshot.parties(&network.participants[0]).into_keys().collect();
    assert_eq!(own, [party.clone(), network.participants[0].0.party()]);
    let stranger = uid("nobody", "p0").party();
    let (participants, homeless) = snapshot.informee_participants([&party, &stranger]);
    assert_eq!((participants.len(), homeless), (2, BTreeSet::from([stranger])));
    let packages = [PackageId::new("main").unwrap(), PackageId::new("other").unwrap()];
    assert_eq!(snapshot.unvetted(&network.participants[0], &packages), BTreeSet::from([packages[1].clone()]));
    assert_eq!(snapshot.unvetted(&network.participants[1], &packages).len(), 2);

    let hash = sha256(b"x");
    let member = network.participants[0].member();
    assert_eq!(snapshot.verify(&member, &hash, &key("p0").sign(&hash)), Ok(()));
    assert!(snapshot.verify(&member, &hash, &key("p1").sign(&hash)).is_err());
    // Nothing holds before the first message, nor at its very time.
    assert_eq!(network.state.snapshot(Network::START).gaps().len(), 4);
}

#[test]
fn changes_take_effect_after_the_delay() {
    let mut network = Network::new(1);
    let delay = Parameters::default().topology_change_delay;
    let t = network.now();
    let mapping = build::party(&uid("bob", "p0"), &network.participants[0], Permission::Submission);
    let outcome = network.state.apply(t, vec![sign(&network.state, mapping, &[&root("p0")])]).remove(0).unwrap();
    assert_eq!(outcome.effective, t.saturating_add(delay));
    let bob = uid("bob", "p0").party();
    assert!(network.state.snapshot(outcome.effective).hosts(&bob).is_empty());
    assert_eq!(network.state.snapshot(outcome.effective.next().unwrap()).hosts(&bob).len(), 1);
    // A replay of the message changes nothing.
    assert_eq!(network.state.apply(t, vec![outcome.transaction]), vec![]);
}

#[test]
fn only_those_concerned_may_sign() {
    let mut network = Network::new(2);
    let (t, p0) = (network.now(), network.participants[0].clone());
    let party = build::party(&uid("bob", "p0"), &p0, Permission::Submission);
    for (mapping, signers) in [
        // Another participant's namespace, nobody, and the synchronizer for a participant's party.
        (party.clone(), vec![root("p1")]),
        (party.clone(), vec![]),
        (party.clone(), vec![root("sync")]),
        // A participant admits itself, makes itself a mediator, changes the parameters.
        (build::admit(&ParticipantId(uid("p9", "p0")), &network.synchronizer), vec![root("p0")]),
        (build::mediator(&MediatorId(uid("m", "p0")), &network.synchronizer, &[]).remove(0), vec![root("p0")]),
        (
            Mapping::Parameters { synchronizer: network.synchronizer.clone(), parameters: Parameters::default() },
            vec![root("p1")],
        ),
        // Somebody else's namespace is founded by its own key only.
        (build::namespace(root("p7").public()), vec![root("p1")]),
    ] {
        let signed = sign(&network.state, mapping, &signers.iter().collect::<Vec<_>>());
        let why = network.state.check(&signed).unwrap_err();
        assert!(matches!(why, Rejection::NotAuthorized(_) | Rejection::UnknownKey(_)), "{why}");
    }
    // The signature of the right key over other content.
    let good = sign(&network.state, party, &[&root("p0")]);
    let other = build::party(&uid("eve", "p0"), &p0, Permission::Submission);
    let forged = TopologyTransaction::add(other).signed(good.signatures().to_vec());
    let why = rejection(network.state.apply(t, vec![forged]));
    assert!(matches!(why, Rejection::Signature(SignatureError::Invalid(_))), "{why}");
}

#[test]
fn a_transaction_has_effect_once() {
    let mut network = Network::new(1);
    let p0 = network.participants[0].clone();
    let mapping = build::party(&uid("bob", "p0"), &p0, Permission::Submission);
    let added = sign(&network.state, mapping.clone(), &[&root("p0")]);
    network.apply_all(vec![added.clone()]);
    assert!(matches!(network.state.check(&added), Err(Rejection::Duplicate(_))));
    let removed = remove(&network.state, mapping.clone(), &[&root("p0")]);
    network.apply_all(vec![removed]);
    assert!(network.state.head().hosts(&uid("bob", "p0").party()).is_empty());
    assert_eq!(network.state.check(&added), Err(Rejection::Obsolete { serial: 1, last: 2 }));
    network.apply_all(vec![sign(&network.state, mapping, &[&root("p0")])]);
    assert_eq!(network.state.head().hosts(&uid("bob", "p0").party()).len(), 1);
    let unknown = build::party(&uid("carl", "p0"), &p0, Permission::Submission);
    let unknown = remove(&network.state, unknown, &[&root("p0")]);
    assert_eq!(network.state.check(&unknown), Err(Rejection::NothingToRemove));
}

#[test]
fn losing_a_delegation_cascades_and_comes_back() {
    let mut network = Network::new(1);
    let (p0, namespace) = (network.participants[0].clone(), build::namespace_of(root("p0").public()));
    let delegate = |name: &str, is_root| Mapping::NamespaceDelegation {
        namespace: namespace.clone(),
        target: key(name).public().clone(),
        is_root,
    };
    // A leaf key may not delegate; a root key may; its delegate signs for the namespace.
    network.apply_all(vec![sign(&network.state, delegate("leaf", false), &[&root("p0")])]);
    let by_leaf = sign(&network.state, delegate("x", false), &[&key("leaf")]);
    assert!(matches!(network.state.check(&by_leaf), Err(Rejection::NotAuthorized(_))));
    network.apply_all(vec![sign(&network.state, delegate("intermediate", true), &[&root("p0")])]);
    network.apply_all(vec![sign(&network.state, delegate("second", false), &[&key("intermediate")])]);
    let party = build::party(&uid("bob", "p0"), &p0, Permission::Submission);
    network.apply_all(vec![sign(&network.state, party, &[&key("second")])]);
    let bob = uid("bob", "p0").party();
    let hosted = |network: &Network| !network.state.snapshot(network.now()).hosts(&bob).is_empty();
    assert!(hosted(&network));

    let before = network.now();
    network.apply_all(vec![remove(&network.state, delegate("intermediate", true), &[&root("p0")])]);
    assert!(!hosted(&network));
    assert!(!network.state.snapshot(before).hosts(&bob).is_empty(), "the past does not change");
    network.apply_all(vec![sign(&network.state, delegate("intermediate", true), &[&root("p0")])]);
    assert!(hosted(&network));
}

#[test]
fn identifier_delegations_speak_for_one_identifier() {
    let mut network = Network::new(1);
    let p0 = network.participants[0].clone();
    let delegation = Mapping::IdentifierDelegation { uid: p0.0.clone(), target: key("deputy").public().clone() };
    network.apply_all(vec![sign(&network.state, delegation, &[&root("p0")])]);
    let vetting = build::vetting(&p0, [PackageId::new("a").unwrap()]);
    network.apply_all(vec![sign(&network.state, vetting, &[&key("deputy")])]);
    assert_eq!(network.state.head().vetted(&p0).unwrap().len(), 1);
    let party = build::party(&uid("bob", "p0"), &p0, Permission::Submission);
    let why = network.state.check(&sign(&network.state, party, &[&key("deputy")])).unwrap_err();
    assert!(matches!(why, Rejection::NotAuthorized(_)), "{why}");
}

#[test]
fn permissions_are_the_least_of_all_sides() {
    let mut network = Network::new(2);
    let (p0, p1) = (network.participants[0].clone(), network.participants[1].clone());
    let party = uid("bob", "p0");
    let side = |side, permission| Mapping::PartyToParticipant {
        side,
        party: party.clone(),
        participant: p1.clone(),
        permission,
    };
    network.apply_all(vec![sign(&network.state, side(Side::From, Permission::Confirmation), &[&root("p0")])]);
    assert_eq!(network.state.head().permission(&party.party(), &p1), None, "the other side is silent");
    network.apply_all(vec![sign(&network.state, side(Side::To, Permission::Submission), &[&root("p1")])]);
    assert_eq!(network.state.head().permission(&party.party(), &p1), Some(Permission::Confirmation));

    let limited = Mapping::ParticipantState {
        side: Side::From,
        synchronizer: network.synchronizer.clone(),
        participant: p1.clone(),
        permission: Permission::Observation,
        trust: TrustLevel::Vip,
    };
    network.apply_all(vec![sign(&network.state, limited, &[&root("sync")])]);
    assert_eq!(network.state.head().permission(&party.party(), &p1), Some(Permission::Observation));
    assert_eq!(network.state.head().participant_permission(&p1), Some((Permission::Observation, TrustLevel::Vip)));
    let removed = remove(&network.state, build::admit(&p0, &network.synchronizer), &[&root("sync")]);
    network.apply_all(vec![removed]);
    assert!(!network.state.head().is_active(&p0.member()));
    assert!(network.state.head().is_known(&p0.member()));
    assert_eq!(network.state.head().permission(&p0.0.party(), &p0), None);
}

#[test]
fn parameters_must_fit_and_keep_the_delay() {
    let network = Network::new(0);
    let check = |parameters| {
        let mapping = Mapping::Parameters { synchronizer: network.synchronizer.clone(), parameters };
        network.state.check(&sign(&network.state, mapping, &[&root("sync")]))
    };
    let delay = Parameters::default().topology_change_delay;
    let other = Parameters { topology_change_delay: Duration::from_secs(1), ..Parameters::default() };
    assert_eq!(check(other), Err(Rejection::DelayIsFixed(delay)));
    let short = Parameters { mediator_deduplication_timeout: Duration::from_secs(119), ..Parameters::default() };
    assert!(matches!(check(short), Err(Rejection::Parameters(_))));
    let slow = Parameters { mediator_reaction_timeout: Duration::from_secs(5), ..Parameters::default() };
    assert_eq!(check(slow.clone()), Ok(()));
    assert_eq!(slow.decision_time(at(0)), at(35_000));
    let mapping = Mapping::Parameters { synchronizer: network.synchronizer.clone(), parameters: slow };
    let removal = remove(&network.state, mapping, &[&root("sync")]);
    assert_eq!(network.state.check(&removal), Err(Rejection::ParametersNeeded));
    let elsewhere = SynchronizerId(uid("other", "sync"));
    let foreign = Mapping::Parameters { synchronizer: elsewhere.clone(), parameters: Parameters::default() };
    let foreign = sign(&network.state, foreign, &[&root("sync")]);
    assert_eq!(network.state.check(&foreign), Err(Rejection::OtherSynchronizer(elsewhere)));
}

#[test]
fn a_new_member_catches_up_to_the_same_snapshots() {
    let mut network = Network::new(2);
    let party = network.host("alice", 0, Permission::Submission);
    let mapping = build::party(&party.as_str().parse().unwrap(), &network.participants[0], Permission::Submission);
    network.apply_all(vec![remove(&network.state, mapping, &[&root("p0")])]);
    let from = network.now();
    // One more that is accepted but not yet in force.
    let late = build::party(&uid("late", "p1"), &network.participants[1], Permission::Submission);
    network.state.apply(from, vec![sign(&network.state, late, &[&root("p1")])]);

    let mut newcomer = TopologyState::of(network.synchronizer.clone());
    let sent = network.state.for_catch_up(from);
    newcomer.catch_up(&sent).unwrap();
    assert_eq!(newcomer.last_sequenced(), network.state.last_sequenced());
    for t in [from, from.saturating_add(Duration::from_secs(1))] {
        assert_eq!(newcomer.snapshot(t).transactions(), network.state.snapshot(t).transactions());
    }
    // The removal came along, so that the removed transaction cannot be replayed.
    assert_eq!(newcomer.next_serial(&sent.iter().find(|s| is_removal(s)).unwrap().transaction.key()), 3);

    assert_eq!(newcomer.catch_up(&sent), Ok(vec![]), "once more is nothing new");
    let mut absent = TopologyState::of(network.synchronizer.clone());
    absent.restore(sent[..5].iter().cloned());
    assert_eq!(absent.catch_up(&sent).map(|new| new.len()), Ok(sent.len() - 5));
    assert_eq!(absent.snapshot(from).transactions(), newcomer.snapshot(from).transactions());

    let mut tampered = sent.clone();
    let last = tampered.last_mut().unwrap();
    let forged = build::party(&uid("late", "p1"), &network.participants[0], Permission::Submission);
    last.transaction = TopologyTransaction::add(forged).signed(last.transaction.signatures().to_vec());
    let mut newcomer = TopologyState::of(network.synchronizer.clone());
    assert!(newcomer.catch_up(&tampered).is_err());
    assert_eq!(newcomer.last_sequenced(), None);
}

fn is_removal(stored: &StoredTransaction) -> bool {
    stored.transaction.transaction().operation == Operation::Remove
}

#[test]
fn gaps_name_what_is_missing() {
    let synchronizer = SynchronizerId(uid("sync", "sync"));
    let mut state = TopologyState::of(synchronizer.clone());
    let own = |name: &str| vec![key(name).public().clone()];
    let mut steps = vec![
        build::manager(&synchronizer, root("sync").public(), &own("sync"), Parameters::default()),
        build::sequencer(&SequencerId(uid("sequencer", "sync")), &own("sequencer")),
        build::mediator(&MediatorId(uid("mediator", "sync")), &synchronizer, &own("mediator")),
    ];
    // The manual counts them.
    assert_eq!(steps.iter().map(Vec::len).sum::<usize>(), 6);
    let expected = [vec![Gap::SequencerKey, Gap::Mediator], vec![Gap::Mediator], vec![]];
    for (n, (step, gaps)) in steps.drain(..).zip(expected).enumerate() {
        let signed = step.into_iter().map(|m| sign(&state, m, &[&root("sync")])).collect();
        assert!(state.apply(at(i64::try_from(n).unwrap() * 1000), signed).iter().all(Result::is_ok));
        assert_eq!(state.head().gaps(), gaps.into_iter().collect());
    }
}

#[test]
fn messages_round_trip() {
    let mut network = Network::new(2);
    network.host("alice", 0, Permission::Submission);
    network.vet(1, [PackageId::new("main").unwrap()]);
    let stored = network.state.for_catch_up(network.now());
    let list: Vec<_> = stored.iter().map(|s| s.transaction.clone()).collect();
    for content in [TopologyContent::Broadcast(list.clone()), TopologyContent::CatchUp(stored)] {
        let message = TopologyMessage { synchronizer: network.synchronizer.clone(), content };
        let wire = proto::TopologyMessage::from(&message);
        assert_eq!(TopologyMessage::try_from(&wire), Ok(message));
        assert!(TopologyMessage::try_from(&proto::TopologyMessage { version: 9, ..wire }).is_err());
    }
    for signed in &list {
        assert_eq!(SignedTopologyTransaction::decode(&signed.encode()).as_ref(), Ok(signed));
    }
    let (synchronizer, participant) = (network.synchronizer.clone(), network.participants[0].clone());
    let request = RegisterRequest {
        synchronizer: synchronizer.clone(),
        participant: participant.clone(),
        request_id: "r".into(),
        transactions: list,
    };
    assert_eq!(RegisterRequest::try_from(&proto::RegisterTopologyRequest::from(&request)), Ok(request));
    let results = vec![Registration::Accepted, Registration::Rejected("no".into()), Registration::Duplicate];
    let response = RegisterResponse { synchronizer, participant, request_id: "r".into(), results };
    assert_eq!(RegisterResponse::try_from(&proto::RegisterTopologyResponse::from(&response)), Ok(response));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = SignedTopologyTransaction::decode(&bytes);
        let _ = TopologyTransaction::decode(&bytes);
    }

    /// Whatever is added and removed in whatever messages, storing and restoring gives the same state.
    #[test]
    fn restoring_gives_the_same_state(changes in prop::collection::vec((0..3_usize, any::<bool>()), 0..12)) {
        let mut network = Network::new(1);
        for (who, add) in changes {
            let mapping = build::party(&uid(&format!("party{who}"), "p0"), &network.participants[0], Permission::Submission);
            let signed = if add { sign } else { remove }(&network.state, mapping, &[&root("p0")]);
            if network.state.check(&signed).is_ok() {
                network.apply_all(vec![signed]);
            }
        }
        let mut restored = TopologyState::of(network.synchronizer.clone());
        restored.restore(network.state.for_catch_up(Timestamp::MIN));
        let now = network.now();
        prop_assert_eq!(restored.snapshot(now).transactions(), network.state.snapshot(now).transactions());
        prop_assert_eq!(restored.last_sequenced(), network.state.last_sequenced());
    }
}
