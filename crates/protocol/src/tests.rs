mod keys;

use crate::{
    ConfirmationRequest, Contract, ReceivedView, apply_topology, check_recipients, decrypt_views,
    message::{
        ConfirmationResponse, ConfirmationResponses, ConfirmationResult, EncryptedView, EnvelopeContent, LocalReject,
        LocalVerdict, RejectReason, Signed, Verdict, WrappedKey, signed_root_hash,
    },
    sequencing::{Envelope, Recipients},
    testing::{Scenario, create, exercise, fetch, instance, local_id, reinterpret, secret},
    tree::{
        Action, BuildError, InformeeTree, Leaf, LightViewTree, SubmitterMetadata, View, ViewPosition, node_seeds,
        reassemble, rebuild,
    },
};
use base::{Hash, ParticipantId, codes};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use topology::testing::{Network, decryption_key, key};
use transaction::{Node, NodeId, Rollback, Transaction, TransactionBuilder, seed};

fn position(indices: &[u32]) -> ViewPosition {
    ViewPosition(indices.to_vec())
}

fn nested() -> (Scenario, ConfirmationRequest) {
    let mut scenario = Scenario::new();
    let transaction = scenario.nested();
    let request = scenario.request(&transaction, 1);
    (scenario, request)
}

fn signature(scenario: &Scenario, request: &ConfirmationRequest) -> crypto::Signature {
    scenario.network.signature(&scenario.network.participants[0].member(), &request.to_sign())
}

/// The views in the envelopes that are addressed to a participant, with the recipients it sees.
fn encrypted(envelopes: Vec<Envelope>, participant: &ParticipantId) -> Vec<(EncryptedView, Recipients)> {
    let me = participant.member();
    let mine = envelopes.into_iter().filter(|envelope| envelope.recipients.all().contains(&me));
    mine.filter_map(|envelope| match EnvelopeContent::decode(envelope.content) {
        Ok(EnvelopeContent::View(view)) => Some((*view, envelope.recipients.seen_by(&me))),
        _ => None,
    })
    .collect()
}

/// What a participant reads of them, by position, and what it cannot read.
fn decrypted(
    views: Vec<(EncryptedView, Recipients)>,
    participant: &ParticipantId,
) -> (BTreeMap<ViewPosition, (LightViewTree, Recipients)>, Vec<String>) {
    let (views, unreadable) = decrypt_views(views, &[decryption_key(participant.0.name())]);
    let by_position = views.into_iter().map(|(v, recipients)| (v.tree.position.clone(), (v.tree, recipients)));
    (by_position.collect(), unreadable)
}

/// The views that a participant receives, all of which it can read.
fn received(
    request: &ConfirmationRequest,
    signature: &crypto::Signature,
    participant: &ParticipantId,
) -> BTreeMap<ViewPosition, (LightViewTree, Recipients)> {
    let (views, unreadable) = decrypted(encrypted(request.envelopes(signature), participant), participant);
    assert!(unreadable.is_empty(), "{unreadable:?}");
    views
}

#[test]
fn each_participant_gets_what_concerns_its_parties() {
    let (scenario, request) = nested();
    let signature = signature(&scenario, &request);
    let positions = |n: usize| -> Vec<_> {
        received(&request, &signature, &scenario.network.participants[n]).into_keys().collect()
    };
    assert_eq!(positions(0), [position(&[0]), position(&[0, 0]), position(&[1])]);
    assert_eq!(positions(1), [position(&[0]), position(&[0, 0]), position(&[1])]);
    // Carol sees the use of her contract, nothing around it.
    assert_eq!(positions(2), [position(&[0, 0])]);
    let inner = received(&request, &signature, &scenario.network.participants[2]).remove(&position(&[0, 0])).unwrap();
    assert_eq!(inner.0.submitter, None);
    assert_eq!(inner.1.trees.len(), 1);

    let envelopes = request.envelopes(&signature);
    assert_eq!(envelopes[0].recipients.all(), [scenario.network.mediator.member()].into());
    assert_eq!(envelopes[1].recipients.trees.len(), 3);
    assert_eq!(envelopes.len(), 2 + 3);
}

#[test]
fn all_trees_have_the_same_root_hash() {
    let (scenario, request) = nested();
    let tree = request.tree().informee_tree();
    assert_eq!(tree.root_hash(), request.root_hash());
    let read = InformeeTree::from_wire(tree.to_wire()).unwrap();
    assert_eq!(read, tree);
    assert_eq!(read.views.keys().cloned().collect::<Vec<_>>(), [position(&[0]), position(&[0, 0]), position(&[1])]);
    for light in request.tree().light_trees() {
        assert_eq!(LightViewTree::from_wire(light.to_wire()), Ok(light.clone()));
        assert_eq!(light.root_hash(), request.root_hash());
    }
    // The submitter confirms top-level views with its admin party.
    let admin = scenario.network.participants[0].0.party();
    assert!(read.views[&position(&[0])].value().confirmers().contains(&admin));
    assert!(!read.views[&position(&[0, 0])].value().informees.contains(&admin));
}

#[test]
fn any_change_changes_the_root_hash_or_is_refused() {
    let (_, request) = nested();
    let tree = request.tree().informee_tree().to_wire();
    let light = request.tree().light_trees().remove(1).to_wire();
    // Flip one bit of every byte string in turn.
    for view in 0..tree.views.len() {
        let mut changed = tree.clone();
        changed.views[view].common_data = flipped(&changed.views[view].common_data, 5);
        assert!(InformeeTree::from_wire(changed).map_or(true, |t| t.root_hash() != request.root_hash()));
        let mut changed = tree.clone();
        changed.views[view].participant_data_hash = flipped(&changed.views[view].participant_data_hash, 5);
        assert_ne!(InformeeTree::from_wire(changed).unwrap().root_hash(), request.root_hash());
    }
    let mut moved = tree.clone();
    (moved.views[0].subviews, moved.views[1].subviews) = (2, 0);
    assert_ne!(InformeeTree::from_wire(moved).unwrap().root_hash(), request.root_hash());
    let mut missing = tree;
    missing.views.pop();
    missing.views.pop();
    assert!(InformeeTree::from_wire(missing).is_err());

    let check = |change: &dyn Fn(&mut wire::concordat::protocol::v1::LightViewTree)| {
        let mut changed = light.clone();
        change(&mut changed);
        LightViewTree::from_wire(changed).map_or(true, |t| t.root_hash() != request.root_hash())
    };
    assert!(!check(&|_| ()));
    assert!(check(&|l| l.view_common_data = flipped(&l.view_common_data, 5)));
    assert!(check(&|l| l.view_participant_data = flipped(&l.view_participant_data, 5)));
    assert!(check(&|l| l.participant_metadata = flipped(&l.participant_metadata, 5)));
    assert!(check(&|l| l.path[1].index = 1));
    assert!(check(&|l| l.path[0].index = 1));
    assert!(check(&|l| l.path[0].siblings[0] = flipped(&l.path[0].siblings[0], 0)));
    assert!(check(&|l| l.path[1].parent_data_hash = flipped(&l.path[1].parent_data_hash, 0)));
    assert!(check(&|l| l.subview_hashes.push(vec![0; 32].into())));
}

fn flipped(bytes: &bytes::Bytes, index: usize) -> bytes::Bytes {
    let mut bytes = bytes.to_vec();
    bytes[index] ^= 1;
    bytes.into()
}

fn submitter(request: &ConfirmationRequest) -> &SubmitterMetadata {
    request.tree().submitter.value()
}

fn rebuilt(scenario: &Scenario, request: &ConfirmationRequest, at: &ViewPosition, local: &Transaction) -> Option<View> {
    let tree = request.tree();
    let (_, received) = tree.all_views().into_iter().find(|(p, _)| p == at)?;
    let submitter = at.is_top().then(|| submitter(request));
    let (time, snapshot) =
        (tree.participant.value().ledger_time, scenario.network.state.snapshot(scenario.network.now()));
    rebuild(received, at, submitter, tree.common.value(), time, snapshot, local).ok().map(|rebuilt| rebuilt.view)
}

#[test]
fn reinterpretation_gives_the_same_views() {
    let (scenario, request) = nested();
    for (at, root) in [(&[0][..], 0), (&[0, 0], 2), (&[1], 4)] {
        let at = position(at);
        let (_, received) = request.tree().all_views().into_iter().find(|(p, _)| *p == at).unwrap();
        let local = reinterpret(request.transaction(), NodeId(root));
        assert_eq!(rebuilt(&scenario, &request, &at, &local).as_ref(), Some(received), "{at}");
        // Any other outcome gives another view.
        let other = local.map_contract_ids(|id| if id.is_local() { local_id(77) } else { id.clone() });
        assert_ne!(rebuilt(&scenario, &request, &at, &other).as_ref(), Some(received), "{at}");
    }
}

#[test]
fn views_are_put_together_from_their_parts() {
    let (scenario, request) = nested();
    let mut parts: BTreeMap<_, _> =
        received(&request, &signature(&scenario, &request), &scenario.network.participants[1])
            .into_iter()
            .map(|(position, (tree, _))| (position, tree))
            .collect();
    for (at, view) in request.tree().all_views() {
        assert_eq!(reassemble(&at, &parts).as_ref(), Some(view));
    }
    let inner = parts.remove(&position(&[0, 0])).unwrap();
    assert_eq!(reassemble(&position(&[0]), &parts), None);
    assert_eq!(reassemble(&position(&[0, 0]), &parts), None);
    // One part too many is as wrong as one too few.
    parts.insert(position(&[1, 0]), inner);
    assert_eq!(reassemble(&position(&[1]), &parts), None);
}

#[test]
fn contract_ids_prove_their_contracts() {
    let (_, request) = nested();
    let contracts: Vec<Contract> = request
        .tree()
        .all_views()
        .iter()
        .flat_map(|(_, view)| view.data.value().effective_creates().cloned().collect::<Vec<_>>())
        .collect();
    assert_eq!(contracts.len(), 3);
    for contract in contracts {
        assert!(contract.is_authentic());
        assert_eq!(Contract::decode(&contract.encode()).as_ref(), Ok(&contract));
        let mut richer = contract.clone();
        richer.instance.argument = transaction::Value::record([transaction::Value::Int64(1_000_000)]);
        assert!(!richer.is_authentic());
        let earlier = Contract { created_at: base::Timestamp::MIN, ..contract.clone() };
        assert!(!earlier.is_authentic());
        let moved = [local_id(9).as_bytes(), contract.id.suffix()].concat();
        let other = Contract { id: base::ContractId::new(&moved).unwrap(), ..contract };
        assert!(!other.is_authentic());
    }
    // The same transaction requested again makes other ids: the uuid differs.
    let mut scenario = Scenario::new();
    let transaction = scenario.nested();
    let mut input = scenario.input(&transaction, 1);
    input.common.uuid.0[0] ^= 1;
    let again = ConfirmationRequest::build(input, &secret(1)).unwrap();
    let ids =
        |request: &ConfirmationRequest| request.transaction().created_contracts().cloned().collect::<BTreeSet<_>>();
    assert!(ids(&request).is_disjoint(&ids(&again)));
}

#[test]
fn views_say_what_is_used_created_and_archived() {
    let (scenario, request) = nested();
    let views: BTreeMap<_, _> = request.tree().all_views().into_iter().collect();
    let data = |at: &[u32]| views[&position(at)].data.value();
    assert_eq!(data(&[0]).created.len(), 1);
    assert_eq!(data(&[0, 0]).created.len(), 1);
    let new = data(&[0]).created[0].contract.id.clone();
    assert!(!data(&[0]).archived().contains(&new));
    // Made in the first view, used in the second: an input there, with its content.
    assert_eq!(data(&[1]).inputs.keys().collect::<Vec<_>>(), [&new]);
    assert_eq!(data(&[1]).archived(), [new.clone()].into());
    assert!(matches!(&data(&[1]).action, Action::Exercise { contract, .. } if *contract == new));
    assert_eq!(data(&[0]).inputs.len(), 1, "Carol's contract is none of this view's business");
    assert!(data(&[0, 0]).inputs.keys().all(|id| scenario.contracts.contains_key(id)));
}

#[test]
fn rollbacks_undo_what_is_in_them() {
    let mut scenario = Scenario::new();
    let alice = scenario.alice.clone();
    let old = scenario.contract(101, &[&alice], &[]);
    let carols = scenario.contract(102, &[&scenario.carol.clone()], &[&alice]);
    let mut builder = TransactionBuilder::default();
    builder.open(exercise(&old.id, &old.instance, &alice, false));
    builder.open(Node::Rollback(Rollback { children: Vec::new() }));
    builder.leaf(create(local_id(1), instance(&[&alice], &[], 1)));
    builder.open(exercise(&carols.id, &carols.instance, &alice, true));
    builder.close();
    builder.close();
    builder.leaf(create(local_id(2), instance(&[&alice], &[], 2)));
    builder.leaf(fetch(&local_id(2), &instance(&[&alice], &[], 2), &alice));
    let request = scenario.request(&builder.finish(), 1);
    let views: BTreeMap<_, _> = request.tree().all_views().into_iter().collect();
    let (outer, inner) = (views[&position(&[0])].data.value(), views[&position(&[0, 0])].data.value());
    assert_eq!(outer.created.iter().map(|c| c.rolled_back).collect::<Vec<_>>(), [true, false]);
    assert_eq!(outer.effective_creates().count(), 1);
    assert!(inner.rolled_back && inner.archived().is_empty());
    assert!(!outer.rolled_back && outer.archived().is_empty());
    // Those who see only the part under the rollback rebuild it as well.
    let local = reinterpret(request.transaction(), NodeId(3));
    assert_eq!(rebuilt(&scenario, &request, &position(&[0, 0]), &local).as_ref(), Some(views[&position(&[0, 0])]));
}

#[test]
fn requests_that_cannot_be_confirmed_are_not_made() {
    let mut scenario = Scenario::new();
    let (alice, stranger) = (scenario.alice.clone(), base::PartyId::new("nobody").unwrap());
    let single = |node: Node| {
        let mut builder = TransactionBuilder::default();
        builder.leaf(node);
        builder.finish()
    };
    let homeless = single(create(local_id(1), instance(&[&alice], &[&stranger], 1)));
    let why = ConfirmationRequest::build(scenario.input(&homeless, 1), &secret(1)).unwrap_err();
    assert_eq!(why, BuildError::UnknownInformees([stranger].into()));
    let unknown = single(exercise(&local_id(5), &instance(&[&alice], &[], 1), &alice, true));
    let why = ConfirmationRequest::build(scenario.input(&unknown, 1), &secret(1)).unwrap_err();
    assert_eq!(why, BuildError::UnknownContract(local_id(5)));
    let bob = scenario.bob.clone();
    let fine = single(create(local_id(1), instance(&[&alice], &[&bob], 1)));
    scenario.network.vet(1, []);
    let why = ConfirmationRequest::build(scenario.input(&fine, 1), &secret(1)).unwrap_err();
    assert!(
        matches!(why, BuildError::NotVetted { participant, .. } if participant == scenario.network.participants[1])
    );
    assert_eq!(
        ConfirmationRequest::build(scenario.input(&Transaction::default(), 1), &secret(1)).unwrap_err(),
        BuildError::Empty
    );
}

#[test]
fn only_the_submitter_can_have_signed() {
    let (scenario, request) = nested();
    let snapshot = scenario.network.state.snapshot(scenario.network.now());
    let member = scenario.network.participants[0].member();
    let hash = signed_root_hash(&request.root_hash());
    assert_eq!(snapshot.verify(&member, &hash, &signature(&scenario, &request)), Ok(()));
    assert!(snapshot.verify(&member, &hash, &key("p1").sign(&hash)).is_err());
    assert!(snapshot.verify(&member, &request.root_hash(), &signature(&scenario, &request)).is_err());

    let result = ConfirmationResult {
        synchronizer: scenario.network.synchronizer.clone(),
        request: scenario.network.now(),
        root_hash: request.root_hash(),
        verdict: Verdict::Approve,
    };
    let unsigned = Signed::unsigned(result.clone());
    let mediator = scenario.network.mediator.member();
    assert!(unsigned.verify(snapshot, &mediator).is_err());
    let signed = unsigned.clone().with(key("mediator").sign(&unsigned.hash()));
    assert_eq!(signed.verify(snapshot, &mediator), Ok(&result));
    assert!(signed.verify(snapshot, &member).is_err());
    let other = Signed::unsigned(ConfirmationResult { root_hash: Hash([0; 32]), ..result });
    assert!(other.with(key("mediator").sign(&unsigned.hash())).verify(snapshot, &mediator).is_err());
}

#[test]
fn contents_round_trip() {
    let (scenario, request) = nested();
    for envelope in request.envelopes(&signature(&scenario, &request)) {
        let content = EnvelopeContent::decode(envelope.content.clone()).unwrap();
        assert_eq!(content.encode(), envelope.content);
        for end in 0..envelope.content.len() {
            assert!(EnvelopeContent::decode(envelope.content.slice(..end)).is_err(), "cut at {end}");
        }
    }
    let reject = LocalReject::new(codes::LOCAL_VERDICT_LOCKED_CONTRACTS, "locked", vec!["00ab".into()]);
    let parties: transaction::Parties = [scenario.alice.clone()].into();
    let malformed = LocalReject::new(codes::LOCAL_VERDICT_MALFORMED_REQUEST, "bad", Vec::new());
    let response = |verdict, parties, view| ConfirmationResponse { verdict, parties, view };
    let all = vec![
        response(LocalVerdict::Approve, parties.clone(), Some(position(&[0, 3]))),
        response(LocalVerdict::Reject(reject.clone()), parties.clone(), Some(position(&[1]))),
        response(LocalVerdict::Reject(malformed), transaction::Parties::new(), None),
    ];
    let (synchronizer, time) = (scenario.network.synchronizer.clone(), scenario.network.now());
    let sender = scenario.network.participants[0].clone();
    let root_hash = request.root_hash();
    let responses = ConfirmationResponses {
        synchronizer: synchronizer.clone(),
        request: time,
        root_hash,
        sender: sender.clone(),
        responses: all,
    };
    let content = EnvelopeContent::Responses(Signed::unsigned(responses.clone()).with(key("p0").sign(&root_hash)));
    assert_eq!(EnvelopeContent::decode(content.encode()), Ok(content));
    // A rejection of the whole request must say that it is malformed.
    let mut vague = responses;
    vague.responses = vec![response(LocalVerdict::Approve, transaction::Parties::new(), None)];
    assert!(EnvelopeContent::decode(EnvelopeContent::Responses(Signed::unsigned(vague)).encode()).is_err());

    let reasons = vec![RejectReason { parties, participant: sender, reject }];
    let (code, message) = (codes::MEDIATOR_SAYS_TX_TIMED_OUT, "late".to_owned());
    let timeout = Verdict::MediatorReject { code, message, malformed: false };
    for verdict in [Verdict::Approve, Verdict::ParticipantReject(reasons), timeout] {
        let result = ConfirmationResult { synchronizer: synchronizer.clone(), request: time, root_hash, verdict };
        let content = EnvelopeContent::Result(Signed::unsigned(result));
        assert_eq!(EnvelopeContent::decode(content.encode()), Ok(content));
    }
}

#[test]
fn views_are_read_by_those_who_may_and_by_nobody_else() {
    let (scenario, request) = nested();
    let envelopes = request.envelopes(&signature(&scenario, &request));
    let everything = || {
        let views = envelopes.iter().filter_map(|e| match EnvelopeContent::decode(e.content.clone()) {
            Ok(EnvelopeContent::View(view)) => Some((*view, e.recipients.clone())),
            _ => None,
        });
        views.collect::<Vec<_>>()
    };
    let [alices, bobs, carols] = &scenario.network.participants[..] else { panic!("three participants") };
    // Whoever sees a view derives the secrets of those below, in whatever order they come.
    let backwards = everything().into_iter().rev().collect();
    for (views, participant) in [(everything(), alices), (backwards, bobs)] {
        let (read, unreadable) = decrypted(views, participant);
        assert_eq!((read.len(), unreadable), (3, vec![]));
    }
    // Even given all views, Carol's participant reads its own only, and the mediator's key would read none.
    let (read, unreadable) = decrypted(everything(), carols);
    assert_eq!((read.into_keys().collect::<Vec<_>>(), unreadable.len()), (vec![position(&[0, 0])], 2));
    assert_eq!(decrypt_views(everything(), &[decryption_key("mediator")]).1.len(), 3);
    // Nothing is wrapped that can be derived.
    let wrapped = |view: &EncryptedView| view.keys.len();
    assert_eq!(everything().iter().map(|(view, _)| wrapped(view)).collect::<Vec<_>>(), [2, 1, 2]);
}

#[test]
fn a_view_without_a_good_key_is_told() {
    let (scenario, request) = nested();
    let participant = &scenario.network.participants[2];
    let view = encrypted(request.envelopes(&signature(&scenario, &request)), participant);
    let unreadable = |change: fn(&mut EncryptedView)| {
        let mut changed = view.clone();
        changed.iter_mut().for_each(|(view, _)| change(view));
        decrypted(changed, participant).1.join("; ")
    };
    assert_eq!(unreadable(|_| ()), "");
    assert!(unreadable(|view| view.keys.clear()).contains("no key for this participant"));
    assert!(unreadable(|view| view.sealed = view.sealed.slice(1..)).contains("does not decrypt"));
    assert!(unreadable(|view| view.ephemeral = vec![4; 65].into()).contains("does not decrypt"));
    assert!(unreadable(|view| view.signature = Some(key("p0").sign(&Hash([0; 32])))).contains("top-level"));
    // One bad key does not spoil a good one, whether for the same or for another key of the participant.
    let more = |recipient: &str| {
        let mut changed = view.clone();
        for (view, _) in &mut changed {
            let recipient = decryption_key(recipient).public().fingerprint().clone();
            let bad = view.keys.iter().map(|key| WrappedKey { recipient: recipient.clone(), ..key.clone() });
            let bad = bad.map(|key| WrappedKey { wrapped: flipped(&key.wrapped, 0), ..key });
            view.keys = bad.chain(view.keys.clone()).collect();
        }
        decrypt_views(changed, &[decryption_key("of old"), decryption_key("p2")])
    };
    for recipient in ["p2", "of old"] {
        let (read, unreadable) = more(recipient);
        assert_eq!((read.len(), unreadable), (view.len(), vec![]));
    }
    let twice = [view.clone(), view.clone()].concat();
    assert_eq!(decrypt_views(twice, &[decryption_key("p2")]).0.len(), 2, "who sorts them notices");
}

#[test]
fn recipients_are_checked() {
    let (scenario, request) = nested();
    let snapshot = scenario.network.state.snapshot(scenario.network.now());
    let signature = signature(&scenario, &request);
    let participants = &scenario.network.participants;
    let check = |views: &BTreeMap<ViewPosition, (LightViewTree, Recipients)>| {
        let views = views
            .iter()
            .map(|(at, (tree, recipients))| {
                (at.clone(), ReceivedView { informees: &tree.view_common.value().informees, recipients })
            })
            .collect();
        check_recipients(&views, snapshot)
    };
    for participant in participants {
        assert_eq!(check(&received(&request, &signature, participant)), crate::RecipientsCheck::default());
    }
    let group = |n: &[usize]| n.iter().map(|n| participants[*n].member()).collect::<BTreeSet<_>>();
    let all = received(&request, &signature, &participants[1]);
    let discarded = |chain: Vec<BTreeSet<base::MemberId>>| {
        let mut views = all.clone();
        views.get_mut(&position(&[0, 0])).unwrap().1 = Recipients::chain(chain.into_iter());
        check(&views).discarded.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(discarded(vec![group(&[0, 1]), group(&[0, 2])]), []);
    // Carol's participant did not get her view: it does not count, nor does the view around it.
    assert_eq!(discarded(vec![group(&[0, 1]), group(&[0])]), [position(&[0]), position(&[0, 0])]);
    // Alice's participant was not addressed through the outer view: that does not count, the inner one does.
    assert_eq!(discarded(vec![group(&[1]), group(&[0, 2])]), [position(&[0])]);
    // No path element for the outer view.
    assert_eq!(discarded(vec![group(&[0, 1, 2])]), [position(&[0])]);
    // Somebody too many is an alarm only.
    let mut views = all.clone();
    views.get_mut(&position(&[1])).unwrap().1 = Recipients::group(group(&[0, 1, 2]));
    let result = check(&views);
    assert_eq!((result.discarded.len(), result.alarms.len()), (0, 1));
}

#[test]
fn seeds_follow_the_actions() {
    let mut builder = TransactionBuilder::default();
    let alice = base::PartyId::new("alice").unwrap();
    let content = instance(&[&alice], &[], 1);
    builder.open(exercise(&local_id(9), &content, &alice, false));
    builder.leaf(create(local_id(1), content.clone()));
    builder.open(Node::Rollback(Rollback { children: Vec::new() }));
    builder.leaf(create(local_id(2), content.clone()));
    builder.close();
    builder.leaf(create(local_id(3), content.clone()));
    builder.close();
    builder.leaf(create(local_id(4), content));
    let root = Hash([7; 32]);
    let first = seed::node_seed(&root, 0);
    let below = |n| Some(seed::node_seed(&first, n));
    let expected = [Some(first), below(0), None, below(1), below(2), Some(seed::node_seed(&root, 1))];
    assert_eq!(node_seeds(&builder.finish(), &root), expected);
}

#[test]
fn topology_comes_from_the_manager_or_with_its_introduction() {
    use topology::{TopologyContent, TopologyMessage, TopologyState};
    let network = Network::new(1);
    let synchronizer = network.synchronizer.clone();
    let message = |content, signer: &str| {
        let unsigned = Signed::unsigned(TopologyMessage { synchronizer: synchronizer.clone(), content });
        unsigned.clone().with(key(signer).sign(&unsigned.hash()))
    };
    let all = network.state.for_catch_up(network.now());
    let bootstrap: Vec<_> = all.iter().map(|stored| stored.transaction.clone()).collect();
    let time = |n| network.now().saturating_add(std::time::Duration::from_secs(n));
    let empty = TopologyState::of(synchronizer.clone());
    for (content, signer, accepted) in [
        (TopologyContent::Broadcast(bootstrap), "sequencer", true),
        (TopologyContent::CatchUp(all.clone()), "sync", true),
        (TopologyContent::CatchUp(all.clone()), "p0", false),
        (TopologyContent::CatchUp(all[1..].to_vec()), "sync", false),
    ] {
        let mut state = empty.clone();
        let result = apply_topology(&mut state, time(1), &message(content, signer));
        assert_eq!(result.is_ok(), accepted, "{signer}: {result:?}");
        assert_eq!(state.last_sequenced().is_some(), accepted);
    }
    let mut state = empty;
    apply_topology(&mut state, time(1), &message(TopologyContent::CatchUp(all), "sync")).unwrap();
    let more = topology::build::party(
        &topology::testing::uid("bob", "p0"),
        &network.participants[0],
        topology::Permission::Submission,
    );
    let more = vec![topology::testing::sign(&state, more, &[&topology::testing::root("p0")])];
    let broadcast = |signer| message(TopologyContent::Broadcast(more.clone()), signer);
    assert!(apply_topology(&mut state, time(2), &broadcast("sequencer")).is_err());
    assert_eq!(apply_topology(&mut state, time(2), &broadcast("sync")).unwrap().len(), 1);
    assert_eq!(apply_topology(&mut state, time(2), &broadcast("sync")).unwrap(), []);
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_without_panic(bytes: Vec<u8>) {
        let _ = EnvelopeContent::decode(bytes.clone().into());
        let _ = Leaf::<SubmitterMetadata>::decode(bytes.clone().into());
        let _ = Leaf::<crate::tree::ViewParticipantData>::decode(bytes.into());
    }

    /// One changed byte anywhere in an envelope never passes unnoticed as the same request.
    #[test]
    fn tampering_shows(envelope in 0_usize..5, at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let (scenario, request) = nested();
        let mut envelopes = request.envelopes(&signature(&scenario, &request));
        let original = envelopes[envelope].content.clone();
        let mut bytes = original.to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        envelopes[envelope].content = bytes.into();
        let Ok(changed) = EnvelopeContent::decode(envelopes[envelope].content.clone()) else { return Ok(()) };
        let snapshot = scenario.network.state.snapshot(scenario.network.now());
        let member = scenario.network.participants[0].member();
        let to_sign = request.to_sign();
        let noticed = |root_hash: Hash, signature: Option<&crypto::Signature>| {
            root_hash != request.root_hash()
                || signature.is_some_and(|s| snapshot.verify(&member, &to_sign, s).is_err())
        };
        let shown = match &changed {
            EnvelopeContent::Informee(m) => {
                m.submitter.member() != member || noticed(m.tree.root_hash(), Some(&m.signature))
            }
            EnvelopeContent::View(_) => scenario.network.participants.iter().any(|participant| {
                let views = encrypted(envelopes.clone(), participant);
                let (opened, unreadable) = decrypt_views(views, &[decryption_key(participant.0.name())]);
                let mut signatures = opened.iter().filter_map(|(view, _)| view.signature.as_ref());
                !unreadable.is_empty() || signatures.any(|s| snapshot.verify(&member, &to_sign, s).is_err())
            }),
            EnvelopeContent::RootHash(m) => noticed(m.root_hash, None) || m.synchronizer != scenario.network.synchronizer,
            _ => false,
        };
        prop_assert!(shown || changed.encode() == original);
    }

    /// However wide a request is, every view proves its place.
    #[test]
    fn wide_requests_prove_every_view(width in 1_u8..20) {
        let scenario = Scenario::new();
        let mut builder = TransactionBuilder::default();
        (0..width).for_each(|n| builder.leaf(create(local_id(n), instance(&[&scenario.alice], &[], n.into()))));
        let request = scenario.request(&builder.finish(), 1);
        let lights = request.tree().light_trees();
        prop_assert_eq!(lights.len(), usize::from(width));
        for light in lights {
            prop_assert_eq!(LightViewTree::from_wire(light.to_wire()).unwrap().root_hash(), request.root_hash());
        }
        prop_assert!(scenario.network.now() > Network::START);
    }
}
