//! What a participant does, case by case.

mod keys;
mod random;
mod world;

use self::world::{MILLI, World, no};
use crate::{Completion, Effect, Event, Participant, Publish, RegisterError, Respond};
use base::{ErrorCode, Timestamp, codes};
use protocol::{
    ConfirmationRequest,
    message::{LocalVerdict, Verdict},
    sequencing::{Envelope, Outcome, Recipients, SequencedEvent},
    testing::{Scenario, create, exercise, fetch, instance, local_id, reinterpret, secret},
    tree::{Input, ViewPosition},
};
use std::time::Duration;
use topology::{Permission, testing::key};
use transaction::{NodeId, Transaction, TransactionBuilder};

fn responses(effects: &[Effect]) -> Vec<&Respond> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Respond(respond) => Some(respond),
            _ => None,
        })
        .collect()
}

/// The one code with which every view is rejected, `None` if all are approved.
fn answer(effects: &[Effect]) -> Option<ErrorCode> {
    let [respond] = responses(effects)[..] else { panic!("one response is due: {effects:?}") };
    let verdicts: Vec<_> = respond.responses.responses.iter().map(|r| &r.verdict).collect();
    let code = |verdict: &LocalVerdict| match verdict {
        LocalVerdict::Approve => None,
        LocalVerdict::Reject(reject) => Some(reject.code),
        LocalVerdict::Abstain(_) => panic!("nobody abstains"),
    };
    let first = code(verdicts[0]);
    assert!(verdicts.iter().all(|v| code(v) == first), "{verdicts:?}");
    first
}

fn published(effects: &[Effect]) -> Vec<&Publish> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Publish(publish) => Some(&**publish),
            _ => None,
        })
        .collect()
}

fn completion(effects: &[Effect]) -> &Completion {
    let [publish] = published(effects)[..] else { panic!("one publication is due: {effects:?}") };
    publish.completion.as_ref().unwrap()
}

fn rejected(effects: &[Effect]) -> ErrorCode {
    completion(effects).outcome.as_ref().unwrap_err().code
}

fn alarms(effects: &[Effect]) -> Vec<ErrorCode> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Alarm(alarm) => Some(alarm.code),
            _ => None,
        })
        .collect()
}

fn nested(number: usize) -> (World, ConfirmationRequest) {
    let mut scenario = Scenario::new();
    let transaction = scenario.nested();
    let request = scenario.request(&transaction, 1);
    let mut world = World::of(scenario, number);
    world.activate();
    (world, request)
}

#[test]
fn a_command_is_registered_confirmed_and_committed() {
    let (mut world, request) = nested(0);
    let effects = world.submit(&request).unwrap();
    assert!(matches!(&effects[..], [Effect::Register(_), Effect::Send(_), Effect::Tick(_)]), "{effects:?}");
    assert!(matches!(world.submit(&request), Err(RegisterError::AlreadyInFlight { .. })));
    world.participant =
        Participant::recover(world.me(), world.scenario.network.synchronizer.clone(), world.store.recovered.clone());
    assert_eq!(world.participant.ticks().count(), 1, "it survives a crash");

    world.now = world.now.saturating_add(MILLI);
    let id = world.now;
    world.answers.insert(id, request.transaction().clone());
    let mut event = world.event(world.mine(&request));
    event.message_id = Some(crate::request_message_id(request.tree().common.value().uuid));
    let effects = world.sequence(&event);
    assert!(effects.iter().any(|e| matches!(e, Effect::Sequenced { at, .. } if *at == id)));
    assert_eq!(answer(&effects), None);
    let respond = responses(&effects)[0];
    assert_eq!(respond.responses.responses.len(), 3);
    assert_eq!(respond.max_sequencing_time, id.saturating_add(Duration::from_secs(30)));

    let effects = world.verdict(&request, id, Verdict::Approve);
    let completion = completion(&effects);
    assert_eq!(completion.outcome, Ok(request.update_id()));
    let update = published(&effects)[0].update.as_ref().unwrap();
    assert_eq!(&update.transaction, request.transaction());
    assert_eq!(update.contracts.len(), 3);
    // Alice has a stake in all three creations; two contracts of before and one of its own are archived.
    assert_eq!((update.changes.created.len(), update.changes.archived.len()), (3, 3));
    assert!(effects.contains(&Effect::Clean(world.now)));
    assert!(world.participant.in_flight().is_empty() && world.store.recovered.in_flight.is_empty());
    assert_eq!(alarms(&effects), []);
}

#[test]
fn others_see_what_concerns_them() {
    let (mut bob, request) = nested(1);
    let (id, effects) = bob.arrive(&request);
    assert_eq!(responses(&effects).len(), 0, "an observer does not confirm");
    let effects = bob.verdict(&request, id, Verdict::Approve);
    let publish = published(&effects)[0];
    assert_eq!(publish.completion, None);
    let update = publish.update.as_ref().unwrap();
    assert_eq!(update.transaction.len(), 6, "he sees everything below what he sees");
    assert_eq!((update.changes.created.len(), update.changes.archived.len()), (1, 2));

    let (mut carol, request) = nested(2);
    let (id, effects) = carol.arrive(&request);
    assert_eq!(answer(&effects), None);
    assert_eq!(responses(&effects)[0].responses.responses[0].parties, [carol.scenario.carol.clone()].into());
    let effects = carol.verdict(&request, id, Verdict::Approve);
    let update = published(&effects)[0].update.as_ref().unwrap();
    assert_eq!(update.transaction.len(), 2);
    assert_eq!((update.changes.created.len(), update.changes.archived.len()), (1, 1));
}

#[test]
fn contracts_are_locked_then_gone_or_free_again() {
    for (verdict, expected) in
        [(Verdict::Approve, Some(codes::LOCAL_VERDICT_INACTIVE_CONTRACTS)), (no(codes::MEDIATOR_INVALID_MESSAGE), None)]
    {
        let (mut world, request) = nested(2);
        let transaction = world.scenario.nested();
        let again = world.scenario.request(&transaction, 2);
        let third = world.scenario.request(&transaction, 3);
        let (id, _) = world.arrive(&request);
        let (second, effects) = world.arrive(&again);
        assert_eq!(answer(&effects), Some(codes::LOCAL_VERDICT_LOCKED_CONTRACTS));
        world.verdict(&request, id, verdict);
        world.verdict(&again, second, no(codes::MEDIATOR_INVALID_MESSAGE));
        let (_, effects) = world.arrive(&third);
        assert_eq!(answer(&effects), expected);
    }
}

#[test]
fn without_verdict_a_request_times_out() {
    let (mut world, request) = nested(0);
    let (id, effects) = world.submitted(&request);
    let decision_time = id.saturating_add(Duration::from_secs(60));
    assert!(effects.contains(&Effect::Tick(decision_time.next().unwrap())));
    assert!(published(&world.after(decision_time.since(world.now), vec![])).is_empty());
    let approval = world.result(&request, id, Verdict::Approve, "mediator");
    let effects = world.deliver(vec![approval]);
    assert_eq!(rejected(&effects), codes::LOCAL_VERDICT_TIMEOUT, "a verdict after the decision time does not count");
    assert!(effects.contains(&Effect::Clean(world.now)));
    assert_eq!(world.participant.pending(), 0);
}

#[test]
fn a_verdict_at_the_decision_time_counts() {
    let (mut world, request) = nested(0);
    let (id, _) = world.submitted(&request);
    let approval = world.result(&request, id, Verdict::Approve, "mediator");
    let effects = world.after(Duration::from_secs(60), vec![approval]);
    assert!(completion(&effects).outcome.is_ok());
}

#[test]
fn requests_are_published_in_their_order() {
    let (mut world, _) = nested(0);
    let alice = world.scenario.alice.clone();
    let single = |n: u8, world: &World| {
        let mut builder = TransactionBuilder::default();
        builder.leaf(create(local_id(n), instance(&[&alice], &[], n.into())));
        world.scenario.request(&builder.finish(), n)
    };
    let (one, two) = (single(1, &world), single(2, &world));
    let (first, _) = world.submitted(&one);
    let (second, _) = world.submitted(&two);
    assert!(published(&world.verdict(&two, second, Verdict::Approve)).is_empty());
    let effects = world.verdict(&one, first, Verdict::Approve);
    let times: Vec<_> = published(&effects).iter().map(|publish| publish.record_time).collect();
    assert_eq!(times, [first, second]);
}

#[test]
fn what_is_never_sequenced_is_completed_by_time() {
    let (mut world, request) = nested(0);
    world.submit(&request).unwrap();
    let max = request.tree().submitter.value().max_sequencing_time;
    // At the max sequencing time itself it may still come.
    assert!(published(&world.after(max.since(world.now), vec![])).is_empty());
    let effects = world.after(MILLI, vec![]);
    assert_eq!(rejected(&effects), codes::NOT_SEQUENCED_TIMEOUT);
    assert!(matches!(world.submit(&request), Err(RegisterError::TooLate { .. })));
    // Nothing comes after it, not even if a faulty sequencer delivers it.
    let (id, effects) = world.arrive(&request);
    assert_eq!(answer(&effects), Some(codes::LOCAL_VERDICT_MALFORMED_REQUEST));
    assert!(
        published(&world.verdict(&request, id, no(codes::MEDIATOR_INVALID_MESSAGE)))
            .iter()
            .all(|p| p.in_flight.is_none())
    );
}

#[test]
fn refusals_complete_at_once() {
    let (mut world, request) = nested(0);
    world.submit(&request).unwrap();
    let message = crate::request_message_id(request.tree().common.value().uuid);
    let refused = Event::Refused { message: message.clone(), code: codes::SEQUENCER_OVERLOADED, why: "full".into() };
    let effects = world.participant.step(refused.clone());
    assert_eq!(rejected(&effects), codes::SEQUENCER_OVERLOADED);
    assert!(published(&world.participant.step(refused)).is_empty(), "once");

    let (mut world, request) = nested(0);
    world.submit(&request).unwrap();
    world.now = world.now.saturating_add(MILLI);
    let (code, why) = (codes::UNKNOWN_RECIPIENTS.id.to_owned(), "who?".to_owned());
    let outcome = Outcome::Error { code, message: why };
    let event = SequencedEvent { message_id: Some(message), outcome, ..world.event(vec![]) };
    assert_eq!(rejected(&world.sequence(&event)), codes::UNKNOWN_RECIPIENTS);
}

#[test]
fn content_counts_once() {
    let (mut world, request) = nested(0);
    let (id, _) = world.submitted(&request);
    let (again, effects) = world.arrive(&request);
    assert_eq!(answer(&effects), Some(codes::LOCAL_VERDICT_MALFORMED_REQUEST));
    world.verdict(&request, id, Verdict::Approve);
    let effects = world.verdict(&request, again, no(codes::MEDIATOR_INVALID_MESSAGE));
    assert!(published(&effects).is_empty(), "no second completion");
    assert_eq!(world.store.published.len(), 1);
}

#[test]
fn an_early_verdict_waits_for_the_interpreter() {
    let (mut world, request) = nested(2);
    world.patient = true;
    let (id, effects) = world.arrive(&request);
    assert!(responses(&effects).is_empty());
    assert!(published(&world.verdict(&request, id, Verdict::Approve)).is_empty());
    assert!(world.participant.is_blocked());
    let effects = world.answer();
    assert_eq!(published(&effects).len(), 1);
    assert!(responses(&effects).is_empty() && !world.participant.is_blocked());

    // A rejection need not wait, and an answer after it is nothing.
    let (mut world, request) = nested(2);
    world.patient = true;
    let (id, _) = world.arrive(&request);
    world.verdict(&request, id, no(codes::MEDIATOR_INVALID_MESSAGE));
    assert!(!world.participant.is_blocked() && world.participant.pending() == 0);
    assert_eq!(world.answer(), []);
}

#[test]
fn verdicts_that_do_not_belong_are_ignored() {
    let (mut world, request) = nested(0);
    let (id, _) = world.submitted(&request);
    let transaction = world.scenario.nested();
    let other = world.scenario.request(&transaction, 9);
    for bad in [
        world.result(&request, id, Verdict::Approve, "p1"),
        world.result(&other, id, Verdict::Approve, "mediator"),
        // Too early to say so.
        world.result(&request, id, no(codes::MEDIATOR_SAYS_TX_TIMED_OUT), "mediator"),
    ] {
        let effects = world.deliver(vec![bad]);
        assert!(matches!(&effects[..], [Effect::Alarm(_)]), "{effects:?}");
    }
    let unknown = world.result(&request, id.next().unwrap(), Verdict::Approve, "mediator");
    assert_eq!(world.deliver(vec![unknown]), []);
    assert!(completion(&world.verdict(&request, id, Verdict::Approve)).outcome.is_ok());
    // The first verdict won.
    assert!(published(&world.verdict(&request, id, no(codes::MEDIATOR_INVALID_MESSAGE))).is_empty());
}

/// What participant 1, which may confirm for Alice, answers to a request made with a change.
fn answer_to(change: impl FnOnce(&mut Input<'_>)) -> Option<ErrorCode> {
    let mut scenario = Scenario::new();
    let alice = scenario.alice.clone();
    scenario.network.host_also(&alice, 0, 1, Permission::Confirmation);
    let transaction = scenario.nested();
    let mut input = scenario.input(&transaction, 1);
    change(&mut input);
    let request = ConfirmationRequest::build(input, &secret(1)).unwrap();
    let mut world = World::of(scenario, 1);
    world.activate();
    answer(&world.arrive(&request).1)
}

#[test]
fn times_and_authority_are_checked() {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    assert_eq!(answer_to(|_| ()), None);
    let late = |i: &mut Input<'_>| i.participant.ledger_time = i.participant.ledger_time.saturating_add(minutes(2));
    assert_eq!(answer_to(late), Some(codes::LOCAL_VERDICT_LEDGER_TIME_OUT_OF_BOUND));
    let early =
        |i: &mut Input<'_>| i.participant.preparation_time = i.participant.preparation_time.saturating_sub(minutes(2));
    assert_eq!(answer_to(early), Some(codes::LOCAL_VERDICT_SUBMISSION_TIME_OUT_OF_BOUND));
    let malformed = Some(codes::LOCAL_VERDICT_MALFORMED_REQUEST);
    let replayed = |i: &mut Input<'_>| i.submitter.max_sequencing_time = i.participant.ledger_time;
    assert_eq!(answer_to(replayed), malformed);
    // Nobody acts for Alice; somebody acts for a party that the submitter does not host.
    let admin = |i: &mut Input<'_>| i.submitter.act_as = [i.submitter.participant.0.party()].into();
    assert_eq!(answer_to(admin), malformed);
    let bob = Scenario::new().bob;
    assert_eq!(answer_to(|i| i.submitter.act_as.extend([bob])), malformed);
    // The contracts used must not be younger than the transaction.
    let back = |i: &mut Input<'_>| i.participant.ledger_time = Timestamp::from_micros(-1).unwrap();
    assert_eq!(answer_to(back), malformed);
}

#[test]
fn the_interpreter_has_the_last_word() {
    let failed = Some(codes::LOCAL_VERDICT_FAILED_MODEL_CONFORMANCE_CHECK);
    for other in [None, Some(0)] {
        let (mut world, request) = nested(2);
        let id = world.now.saturating_add(MILLI);
        // It fails, or the action has other consequences than the submitter said.
        if other.is_some() {
            let part = reinterpret(request.transaction(), NodeId(2));
            let mut builder = TransactionBuilder::default();
            (0..4).for_each(|n| builder.leaf(part.get(NodeId(1)).unwrap().map_contract_ids(&mut |_| local_id(n))));
            world.answers.insert(id, builder.finish());
        }
        let envelopes = world.mine(&request);
        let effects = world.deliver(envelopes);
        assert_eq!(answer(&effects), failed);
        // Even if everybody else approves, it does not happen here.
        let effects = world.verdict(&request, id, Verdict::Approve);
        assert!(!alarms(&effects).is_empty() && published(&effects).is_empty());
    }
}

#[test]
fn tampered_requests_are_rejected_or_ignored() {
    let try_with = |change: &dyn Fn(&mut Vec<Envelope>, &World, &ConfirmationRequest)| {
        let (mut world, request) = nested(0);
        world.submit(&request).unwrap();
        let mut envelopes = world.mine(&request);
        change(&mut envelopes, &world, &request);
        world.answers.insert(world.now.saturating_add(MILLI), request.transaction().clone());
        let effects = world.deliver(envelopes);
        let answered = (!responses(&effects).is_empty()).then(|| answer(&effects));
        (answered, alarms(&effects))
    };
    let malformed = |code| (Some(Some(code)), vec![code]);
    assert_eq!(try_with(&|_, _, _| ()), (Some(None), vec![]));
    // A view is missing, unreadable, of another request, there twice.
    assert_eq!(try_with(&|all, _, _| drop(all.remove(2))), malformed(codes::LOCAL_VERDICT_MALFORMED_PAYLOAD));
    let spoil: &dyn Fn(&mut Vec<Envelope>, &World, &ConfirmationRequest) =
        &|all, _, _| all[2].content = vec![1, 2, 3].into();
    assert_eq!(try_with(spoil), malformed(codes::LOCAL_VERDICT_MALFORMED_PAYLOAD));
    assert_eq!(
        try_with(&|all, world, _| {
            let mut scenario = Scenario::new();
            let transaction = scenario.nested();
            all[3] = world.mine(&scenario.request(&transaction, 2)).remove(3);
        }),
        malformed(codes::LOCAL_VERDICT_MALFORMED_PAYLOAD)
    );
    assert_eq!(
        try_with(&|all, _, _| all.push(all.last().unwrap().clone())),
        malformed(codes::LOCAL_VERDICT_MALFORMED_PAYLOAD)
    );
    // Signed by somebody else.
    assert_eq!(
        try_with(&|all, world, request| {
            let signature = key("p1").sign(&request.to_sign());
            *all = world.seen(request.envelopes(&signature));
        }),
        malformed(codes::LOCAL_VERDICT_MALFORMED_REQUEST)
    );
    // Somebody did not get a view.
    let (answered, alarms) = try_with(&|all, world, _| {
        all[2].recipients = Recipients::chain([[world.me().member()].into(), [world.me().member()].into()].into_iter());
    });
    assert_eq!(answered, Some(Some(codes::LOCAL_VERDICT_MALFORMED_REQUEST)));
    assert!(alarms.contains(&codes::SYNC_SERVICE_ALARM), "{alarms:?}");
    // No view can be used: the mediator need not wait for an answer until time is out.
    let nothing_left = malformed(codes::LOCAL_VERDICT_MALFORMED_PAYLOAD);
    assert_eq!(try_with(&|all, _, _| all.truncate(1)), nothing_left);
    let spoil_all: &dyn Fn(&mut Vec<Envelope>, &World, &ConfirmationRequest) =
        &|all, _, _| all[1..].iter_mut().for_each(|envelope| envelope.content = vec![1, 2, 3].into());
    assert_eq!(try_with(spoil_all), nothing_left);
    // Several root hash messages, or others listen to it: it cannot be checked, but there is a mediator to be told.
    let bad = codes::LOCAL_VERDICT_BAD_ROOT_HASH_MESSAGES;
    assert_eq!(try_with(&|all, _, _| all.push(all[0].clone())), malformed(bad));
    let wide: &dyn Fn(&mut Vec<Envelope>, &World, &ConfirmationRequest) = &|all, world, _| {
        all[0].recipients.trees[0].members.insert(world.scenario.network.sequencer.member());
    };
    assert_eq!(try_with(wide), malformed(bad));
    // Nobody to tell it to: no root hash message.
    assert_eq!(try_with(&|all, _, _| drop(all.remove(0))), (None, vec![bad]));
}

#[test]
fn forged_contracts_are_refused() {
    let mut scenario = Scenario::new();
    let (alice, bob) = (scenario.alice.clone(), scenario.bob.clone());
    let mut forged = scenario.contract(50, &[&bob], &[&alice]);
    forged.instance.argument = transaction::Value::record([transaction::Value::Int64(1_000_000)]);
    scenario.contracts.insert(forged.id.clone(), forged.clone());
    let mut builder = TransactionBuilder::default();
    builder.leaf(fetch(&forged.id, &forged.instance, &alice));
    let request = scenario.request(&builder.finish(), 1);
    let mut world = World::of(scenario, 1);
    world.activate();
    assert_eq!(answer(&world.arrive(&request).1), Some(codes::LOCAL_VERDICT_MALFORMED_REQUEST));
}

/// Whether what nobody here confirms takes effect at participant `number` once it is approved, and the alarms of it.
fn approved_elsewhere(scenario: Scenario, number: usize, request: &ConfirmationRequest) -> (bool, Vec<ErrorCode>) {
    let mut world = World::of(scenario, number);
    world.activate();
    let (id, effects) = world.arrive(request);
    let mut all = alarms(&effects);
    let effects = world.verdict(request, id, Verdict::Approve);
    all.extend(alarms(&effects));
    (published(&effects).iter().any(|publish| publish.update.is_some()), all)
}

/// Alice says that a contract that only Carol signs is hers, and Bob its observer: she alone confirms that she uses it.
/// At Carol's and Bob's real contract nothing may change.
#[test]
fn forged_contracts_change_nothing_whoever_approves() {
    let with = |forge: bool| {
        let mut scenario = Scenario::new();
        let (alice, bob, carol) = (scenario.alice.clone(), scenario.bob.clone(), scenario.carol.clone());
        let signatory = if forge { &carol } else { &alice };
        let mut used = scenario.contract(50, &[signatory], &[&bob]);
        used.instance = instance(&[&alice], &[&bob], 50);
        scenario.contracts.insert(used.id.clone(), used.clone());
        let mut builder = TransactionBuilder::default();
        builder.open(exercise(&used.id, &used.instance, &alice, true));
        builder.close();
        let request = scenario.request(&builder.finish(), 1);
        approved_elsewhere(scenario, 1, &request)
    };
    assert_eq!(with(false), (true, vec![]));
    let (took_effect, alarms) = with(true);
    assert!(!took_effect && !alarms.is_empty());
}

/// Alice archives a contract of hers that Bob observes.
fn alice_archives(scenario: &mut Scenario) -> Transaction {
    let (alice, bob) = (scenario.alice.clone(), scenario.bob.clone());
    let old = scenario.contract(50, &[&alice], &[&bob]);
    let mut builder = TransactionBuilder::default();
    builder.open(exercise(&old.id, &old.instance, &alice, true));
    builder.close();
    builder.finish()
}

/// The submitter signs for what it may do; a request that is not so is none, even for those who only observe it.
#[test]
fn requests_without_right_change_nothing_whoever_approves() {
    let with = |change: &dyn Fn(&mut Input<'_>)| {
        let mut scenario = Scenario::new();
        let transaction = alice_archives(&mut scenario);
        let mut input = scenario.input(&transaction, 1);
        change(&mut input);
        let request = ConfirmationRequest::build(input, &secret(1)).unwrap();
        approved_elsewhere(scenario, 1, &request)
    };
    assert_eq!(with(&|_| ()), (true, vec![]));
    let bob = Scenario::new().bob;
    let admin = |i: &mut Input<'_>| i.submitter.act_as = [i.submitter.participant.0.party()].into();
    let back = |i: &mut Input<'_>| i.participant.ledger_time = Timestamp::from_micros(-1).unwrap();
    let foreign = |i: &mut Input<'_>| i.submitter.act_as.extend([bob.clone()]);
    for (name, change) in
        [("authority", &admin as &dyn Fn(&mut Input<'_>)), ("a younger contract", &back), ("another's party", &foreign)]
    {
        let (took_effect, alarms) = with(change);
        assert!(!took_effect && !alarms.is_empty(), "{name}");
    }
}

/// The same bytes again, from whoever, after they took effect: a mediator lets no uuid pass twice, but only for a while.
#[test]
fn what_exists_is_not_created_again() {
    let (mut world, request) = nested(2);
    let (id, _) = world.arrive(&request);
    world.verdict(&request, id, Verdict::Approve);
    let (_, effects) = world.arrive(&request);
    let code = codes::LOCAL_VERDICT_CREATES_EXISTING_CONTRACTS;
    assert_eq!((answer(&effects), alarms(&effects)), (Some(code), vec![code]));
}

/// Who only observes notices too that a contract is used a second time.
#[test]
fn observers_raise_an_alarm() {
    let mut scenario = Scenario::new();
    let transaction = alice_archives(&mut scenario);
    let requests = [1, 2].map(|n| scenario.request(&transaction, n));
    let mut world = World::of(scenario, 1);
    world.activate();
    let seen = requests.map(|request| {
        let (id, _) = world.arrive(&request);
        alarms(&world.verdict(&request, id, Verdict::Approve))
    });
    assert_eq!(seen, [vec![], vec![codes::SYNC_SERVICE_ALARM]], "the second use was not noticed");
}

#[test]
fn contracts_are_not_used_after_their_end() {
    let mut scenario = Scenario::new();
    let alice = scenario.alice.clone();
    let old = scenario.contract(50, &[&alice], &[]);
    let mut builder = TransactionBuilder::default();
    for _ in 0..2 {
        builder.open(exercise(&old.id, &old.instance, &alice, true));
        builder.close();
    }
    let request = scenario.request(&builder.finish(), 1);
    let mut world = World::of(scenario, 0);
    world.activate();
    world.patient = true;
    let (id, _) = world.submitted(&request);
    world.waiting.clear();
    for n in 0..2 {
        let result = Ok(reinterpret(request.transaction(), NodeId(n)));
        world.waiting.push(Event::Reinterpreted { request: id, view: ViewPosition(vec![n]), result });
    }
    assert_eq!(answer(&world.answer()), Some(codes::LOCAL_VERDICT_MALFORMED_REQUEST));
}

#[test]
fn an_inactive_mediator_completes_at_once() {
    let mut scenario = Scenario::new();
    let transaction = scenario.nested();
    let request = scenario.request(&transaction, 1);
    let (mediator, synchronizer) = (scenario.network.mediator.clone(), scenario.network.synchronizer.clone());
    let state = topology::build::mediator(&mediator, &synchronizer, &[]).remove(0);
    let removal = topology::testing::remove(&scenario.network.state, state, &[&topology::testing::root("sync")]);
    scenario.network.apply_all(vec![removal]);
    let mut world = World::of(scenario, 0);
    world.activate();
    let (_, effects) = world.submitted(&request);
    assert_eq!(rejected(&effects), codes::CHOSEN_MEDIATOR_IS_INACTIVE);
}
