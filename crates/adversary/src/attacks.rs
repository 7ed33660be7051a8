//! What participant `p0` does to break one rule each. Where nothing else is said, Mallory, to whom Bob owes a debt, says
//! that it was settled, which Bob must confirm.

use crate::network::{MILLI, World, debt};
use base::{MediatorId, MemberId};
use participant::Interpreted;
use protocol::{
    ConfirmationRequest, Contract,
    message::{ConfirmationResult, EnvelopeContent, RequestId, Signed, Verdict},
    sequencing::{Envelope, Recipients},
    testing::{existing, secret},
    tree::{Built, Input, Leaf, ViewCommonData, ViewPosition},
};
use std::time::Duration;
use topology::testing::{key, uid};
use transaction::{Exercise, Node, NodeId, Numeric, Transaction, Value};

const TOO_LATE: Duration = Duration::from_secs(120);

fn owed(w: &mut World) -> Contract {
    let [mallory, bob, ..] = w.parties();
    w.contract("Iou", &[&bob, &mallory], debt(&bob, &mallory))
}

fn settle(w: &World, contract: &Contract) -> Interpreted {
    w.interpret(&[&w.mallory], vec![w.exercise(contract, "Settle", [])])
}

fn settled(w: &mut World) -> Interpreted {
    let contract = owed(w);
    settle(w, &contract)
}

/// Mallory passes the debt on to Carol, who sees only that: a view inside that of Bob and Mallory.
fn transferred(w: &mut World) -> Interpreted {
    let contract = owed(w);
    w.interpret(&[&w.mallory], vec![w.exercise(&contract, "Transfer", [Value::Party(w.carol.clone())])])
}

/// A request of Mallory with another input.
fn with<'a>(w: &'a World, made: &'a Interpreted, change: impl FnOnce(&mut Input<'a>)) -> ConfirmationRequest {
    let mut input = w.input(0, &[&w.mallory], made);
    change(&mut input);
    w.build(input)
}

/// A request of Mallory with another tree, and its batch, in which everybody is told who must be.
fn tampered(w: &World, made: &Interpreted, change: impl FnOnce(&mut Built)) -> (ConfirmationRequest, Vec<Envelope>) {
    let honest = with(w, made, |_| ());
    let told = w.batch(0, &honest)[1].recipients.clone();
    let request = honest.tampered(w.network.state.snapshot(w.now), &secret(0), change).unwrap();
    let mut batch = w.batch(0, &request);
    batch[1].recipients = told;
    (request, batch)
}

fn send(w: &mut World, request: &ConfirmationRequest) -> RequestId {
    let batch = w.batch(0, request);
    w.request(request, batch)
}

fn view(position: &[u32]) -> ViewPosition {
    ViewPosition(position.to_vec())
}

/// Another mediator, which does not exist.
fn nobody() -> MediatorId {
    MediatorId(uid("nobody", "sync"))
}

pub(crate) fn wrong_root_hash(w: &mut World) {
    let made = settled(w);
    let request = with(w, &made, |_| ());
    let mut batch = w.batch(0, &request);
    let Ok(EnvelopeContent::RootHash(mut message)) = EnvelopeContent::decode(batch[1].content.clone()) else {
        panic!("it comes second")
    };
    message.root_hash.0[0] ^= 1;
    batch[1].content = EnvelopeContent::RootHash(message).encode();
    w.request(&request, batch);
}

/// Carol is told of the request, but does not get her view of it.
pub(crate) fn missing_recipients(w: &mut World) {
    let carols = w.network.participants[2].clone();
    let made = transferred(w);
    let (request, batch) = tampered(w, &made, |built| {
        assert!(built.participants.get_mut(&view(&[0, 0])).unwrap().remove(&carols));
    });
    w.request(&request, batch);
}

/// Carol gets her view of the request, but is not told of it.
pub(crate) fn missing_root_hash_message(w: &mut World) {
    let made = transferred(w);
    let request = with(w, &made, |_| ());
    let mut batch = w.batch(0, &request);
    let carols = w.p(2);
    batch[1].recipients.trees.retain(|tree| !tree.members.contains(&carols));
    w.request(&request, batch);
}

/// Carol is told of a request that is none of her business.
pub(crate) fn superfluous_root_hash_message(w: &mut World) {
    let made = settled(w);
    let request = with(w, &made, |_| ());
    let mut batch = w.batch(0, &request);
    let more = Recipients::group([w.p(2), w.network.mediator.member()]);
    batch[1].recipients.trees.extend(more.trees);
    w.request(&request, batch);
}

/// Carol gets a view that is none of her business.
pub(crate) fn extra_recipients(w: &mut World) {
    let carols = w.network.participants[2].clone();
    let made = settled(w);
    let (request, batch) = tampered(w, &made, |built| {
        built.participants.get_mut(&view(&[0])).unwrap().insert(carols);
    });
    w.request(&request, batch);
}

pub(crate) fn forged_signature(w: &mut World) {
    let made = settled(w);
    let request = with(w, &made, |_| ());
    let batch = request.envelopes(&key("p2").sign(&request.to_sign()));
    w.request(&request, batch);
}

/// A request that Bob will reject.
fn rejected(w: &mut World) -> (RequestId, ConfirmationRequest) {
    let made = settled(w);
    let request =
        with(w, &made, |input| input.participant.ledger_time = input.participant.ledger_time.saturating_add(TOO_LATE));
    (send(w, &request), request)
}

/// Mallory's participant votes as if it was Bob's.
pub(crate) fn forged_vote(w: &mut World) {
    let (id, request) = rejected(w);
    let mut vote = w.approval(id, &request);
    vote.sender = w.network.participants[1].clone();
    vote.responses[0].parties = [w.bob.clone()].into();
    let envelope = w.response(vote, "p0");
    w.send(vec![envelope]);
}

/// Mallory's participant votes for Bob.
pub(crate) fn vote_for_others(w: &mut World) {
    let (id, request) = rejected(w);
    let mut vote = w.approval(id, &request);
    vote.responses[0].parties = [w.bob.clone()].into();
    let envelope = w.response(vote, "p0");
    w.send(vec![envelope]);
}

/// Dave has moved to Carol's participant as well, which does not hear of what he confirms on Bob's.
pub(crate) fn stale_topology(w: &mut World) {
    let [mallory, .., dave] = w.parties();
    let contract = w.contract("Iou", &[&dave, &mallory], debt(&dave, &mallory));
    let made = settle(w, &contract);
    let request = with(w, &made, |input| input.snapshot = w.network.state.snapshot(w.stale));
    send(w, &request);
}

fn for_nobody(w: &mut World) -> (ConfirmationRequest, Vec<Envelope>) {
    let made = settled(w);
    let request = with(w, &made, |input| input.common.mediator = nobody());
    let batch = w.batch(0, &request);
    (request, batch)
}

/// The request names one mediator and is sent to another.
pub(crate) fn wrong_mediator(w: &mut World) {
    let (request, mut batch) = for_nobody(w);
    let mediator = w.network.mediator.member();
    let other: MemberId = nobody().member();
    for tree in batch[..2].iter_mut().flat_map(|envelope| &mut envelope.recipients.trees) {
        assert!(tree.members.remove(&other) && tree.members.insert(mediator.clone()));
    }
    w.request(&request, batch);
}

/// The request names a mediator that is none.
pub(crate) fn inactive_mediator(w: &mut World) {
    let (request, batch) = for_nobody(w);
    w.request(&request, batch);
}

/// The same bytes once more, after they had their effect.
pub(crate) fn replayed_request(w: &mut World) {
    let iou = Value::record(debt(&w.mallory, &w.bob));
    let made = w.interpret(&[&w.mallory], vec![w.create("IouOffer", [iou])]);
    let request = with(w, &made, |_| ());
    send(w, &request);
    w.go_on();
    assert_eq!(w.commits(), 1);
    w.mark();
    send(w, &request);
}

/// Mallory's participant says that the request was approved.
pub(crate) fn stray_verdict(w: &mut World) {
    let (id, request) = rejected(w);
    let synchronizer = w.network.synchronizer.clone();
    let verdict = Verdict::Approve;
    let result = ConfirmationResult { synchronizer, request: id, root_hash: request.root_hash(), verdict };
    let unsigned = Signed::unsigned(result);
    let signature = key("p0").sign(&unsigned.hash());
    let content = EnvelopeContent::Result(unsigned.with(signature)).encode();
    w.send(vec![Envelope { content, recipients: Recipients::group([w.p(1)]) }]);
}

/// Carol's participant has given up the package of a contract of hers.
pub(crate) fn unvetted_package(w: &mut World) {
    let [mallory, _, carol, _] = w.parties();
    let ping = [Value::text("ping"), Value::Party(carol.clone()), Value::Party(mallory.clone())];
    let ping = w.contract("Ping", &[&carol], ping);
    let made = w.interpret(&[&mallory], vec![w.exercise(&ping, "Respond", [])]);
    let request = with(w, &made, |input| input.snapshot = w.network.state.snapshot(w.stale));
    send(w, &request);
}

/// The debt is settled, but stays.
pub(crate) fn tampered_view(w: &mut World) {
    let made = settled(w);
    let keep = |node: &Node| match node {
        Node::Exercise(exercise) => Node::Exercise(Exercise { consuming: false, ..exercise.clone() }),
        other => other.clone(),
    };
    let nodes = made.transaction.nodes().map(|(_, node)| keep(node)).collect();
    let transaction = Transaction::new(nodes, made.transaction.roots().to_vec()).unwrap();
    let request = with(w, &Interpreted { transaction, ..made }, |_| ());
    send(w, &request);
}

/// A view that nobody can decrypt.
pub(crate) fn spoilt_view(w: &mut World) {
    let made = settled(w);
    let request = with(w, &made, |_| ());
    let mut batch = w.batch(0, &request);
    let Ok(EnvelopeContent::View(mut message)) = EnvelopeContent::decode(batch[2].content.clone()) else {
        panic!("it comes third")
    };
    let mut sealed = message.sealed.to_vec();
    *sealed.last_mut().unwrap() ^= 1;
    message.sealed = sealed.into();
    batch[2].content = EnvelopeContent::View(message).encode();
    w.request(&request, batch);
}

fn quorums(built: &mut Built, change: impl FnOnce(&mut ViewCommonData)) {
    let view = &mut built.tree.views[0];
    let mut common = view.common.value().clone();
    change(&mut common);
    view.common = Leaf::new(common);
}

/// The request does not ask Bob.
pub(crate) fn confirmer_left_out(w: &mut World) {
    let (made, bob) = (settled(w), w.bob.clone());
    let (request, batch) = tampered(w, &made, |built| {
        quorums(built, |common| {
            for quorum in &mut common.quorums {
                if quorum.confirmers.remove(&bob).is_some() {
                    quorum.threshold -= 1;
                }
            }
        });
    });
    w.request(&request, batch);
}

/// The request asks nobody.
pub(crate) fn nobody_asked(w: &mut World) {
    let made = settled(w);
    let (request, batch) = tampered(w, &made, |built| quorums(built, |common| common.quorums.clear()));
    w.request(&request, batch);
}

/// The debt is a hundred times what Bob signed.
pub(crate) fn contract_id_of_other_content(w: &mut World) {
    let mut forged = owed(w);
    let mut much = debt(&w.bob, &w.mallory);
    much[3] = Value::Numeric(Numeric::from_i64(10_000, 10).unwrap());
    forged.instance.argument = Value::record(much);
    let real = w.contracts.insert(forged.id.clone(), forged.clone());
    let made = settle(w, &forged);
    w.contracts.extend(real.map(|contract| (contract.id.clone(), contract)));
    let request = with(w, &made, |_| ());
    send(w, &request);
}

/// The debt is younger than the transaction that settles it.
pub(crate) fn contract_from_the_future(w: &mut World) {
    let instance = owed(w).instance;
    let young = existing(0, instance, w.now.saturating_add(30 * MILLI));
    w.activate(&young);
    let request = with(w, &settle(w, &young), |_| ());
    send(w, &request);
}

pub(crate) fn ledger_time_out_of_bounds(w: &mut World) {
    rejected(w);
}

pub(crate) fn preparation_time_out_of_bounds(w: &mut World) {
    let made = settled(w);
    let request = with(w, &made, |input| {
        input.participant.preparation_time = input.participant.preparation_time.saturating_add(TOO_LATE);
    });
    send(w, &request);
}

/// Somebody kept the request back until its submitter had to think that it was lost.
pub(crate) fn given_up(w: &mut World) {
    let made = settled(w);
    let request = with(w, &made, |input| input.submitter.max_sequencing_time = w.now);
    send(w, &request);
}

/// Bob offers Mallory money; Mallory says so.
pub(crate) fn no_authority(w: &mut World) {
    let iou = Value::record(debt(&w.bob, &w.mallory));
    let made = w.interpret(&[&w.bob], vec![w.create("IouOffer", [iou])]);
    let request = with(w, &made, |_| ());
    send(w, &request);
}

/// Bob offers Mallory money; so says the participant of Mallory in the name of Bob.
pub(crate) fn no_right_to_act(w: &mut World) {
    let iou = Value::record(debt(&w.bob, &w.mallory));
    let made = w.interpret(&[&w.bob], vec![w.create("IouOffer", [iou])]);
    let request = w.build(w.input(0, &[&w.bob], &made));
    send(w, &request);
}

/// One debt is settled twice in one transaction.
pub(crate) fn used_twice(w: &mut World) {
    let made = settled(w);
    let node = made.transaction.get(NodeId(0)).unwrap().clone();
    let transaction = Transaction::new(vec![node.clone(), node], vec![NodeId(0), NodeId(1)]).unwrap();
    let request = with(w, &Interpreted { transaction, ..made }, |_| ());
    send(w, &request);
}

/// The debt is settled while it is passed on to Carol.
pub(crate) fn double_spend(w: &mut World) {
    let contract = owed(w);
    let first = with(w, &settle(w, &contract), |_| ());
    let second = w.interpret(&[&w.mallory], vec![w.exercise(&contract, "Transfer", [Value::Party(w.carol.clone())])]);
    let second = with(w, &second, |_| ());
    send(w, &first);
    send(w, &second);
}

/// The debt is passed on to Carol after it was settled.
pub(crate) fn spent_before(w: &mut World) {
    let contract = owed(w);
    let first = with(w, &settle(w, &contract), |_| ());
    send(w, &first);
    w.go_on();
    assert_eq!(w.commits(), 1);
    w.mark();
    let second = w.interpret(&[&w.mallory], vec![w.exercise(&contract, "Transfer", [Value::Party(w.carol.clone())])]);
    let second = with(w, &second, |_| ());
    send(w, &second);
}

/// Mallory may look for Bob's contracts by their keys, and says that there is none where there is one.
pub(crate) fn hidden_key(w: &mut World) {
    let [mallory, bob, ..] = w.parties();
    let delegation = w.contract("Delegation", &[&bob], [Value::Party(bob.clone()), Value::Party(mallory.clone())]);
    w.contract("Delegated", &[&bob], [Value::Party(bob.clone()), Value::text("k")]);
    w.hides_keys = true;
    let look = w.exercise(&delegation, "LookupByKeyDelegated", [Value::Party(bob), Value::text("k")]);
    let made = w.interpret(&[&mallory], vec![look]);
    w.hides_keys = false;
    let request = with(w, &made, |_| ());
    send(w, &request);
}
