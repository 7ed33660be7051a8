//! What views say of contract keys.

use super::{position, rebuilt};
use crate::{
    testing::{Scenario, by_key, create, exercise, fetch, instance, keyed, local_id, lookup, reinterpret},
    tree::{KeyState, KeyStates, Leaf, LeafContent, ViewParticipantData},
};
use base::{ContractId, Hash};
use transaction::{
    ContractInstance, Node, NodeId, NodeVersion, QueryByKey, Rollback, Transaction, TransactionBuilder,
    codec::{Reader, Writer},
};

/// A contract of Alice with a key.
fn like(name: &str) -> ContractInstance {
    let scenario = Scenario::new();
    keyed(instance(&[&scenario.alice], &[&scenario.bob], 1), &scenario.alice, name)
}

fn hash(of: &ContractInstance) -> Hash {
    of.key.as_ref().unwrap().hash
}

/// The state of the one key of some nodes; nothing if they contradict themselves.
fn state(nodes: impl IntoIterator<Item = Node>) -> Option<(Vec<ContractId>, bool)> {
    let mut builder = TransactionBuilder::default();
    for node in nodes {
        if node.is_inner() {
            builder.open(node);
            builder.close();
        } else {
            builder.leaf(node);
        }
    }
    of(&builder.finish())
}

fn of(transaction: &Transaction) -> Option<(Vec<ContractId>, bool)> {
    let KeyStates { states, contradicted } = KeyStates::of(transaction);
    let [(key, state)] = <[_; 1]>::try_from(states.into_iter().collect::<Vec<_>>()).unwrap();
    contradicted.is_empty().then_some((state.contracts, state.exhaustive)).filter(|_| key == hash(&like("k")))
}

#[test]
fn unique_keys_are_free_or_have_one_contract() {
    let (like, alice) = (like("k"), Scenario::new().alice);
    let [a, b] = [1, 2].map(local_id);
    let use_of = |id: &ContractId| exercise(id, &like, &alice, true);
    let made = |id: &ContractId| create(id.clone(), like.clone());
    let read = |id: &ContractId| fetch(id, &like, &alice);
    assert_eq!(state([made(&a)]), Some((vec![], true)));
    assert_eq!(state([lookup(&like, None), made(&a), lookup(&like, Some(&a)), by_key(read(&a))]), Some((vec![], true)));
    assert_eq!(state([lookup(&like, Some(&a))]), Some((vec![a.clone()], true)));
    assert_eq!(state([by_key(read(&a)), by_key(use_of(&a))]), Some((vec![a.clone()], false)));
    // Archived it makes room, whether it was found by its key or not.
    for node in [by_key(use_of(&a)), use_of(&a)] {
        assert_eq!(state([node, made(&b), lookup(&like, Some(&b))]), Some((vec![a.clone()], true)));
    }
    for contradiction in [
        vec![made(&a), made(&b)],
        vec![lookup(&like, None), lookup(&like, Some(&a))],
        vec![lookup(&like, Some(&a)), lookup(&like, None)],
        vec![lookup(&like, Some(&a)), by_key(read(&b))],
        vec![lookup(&like, Some(&a)), made(&b)],
        vec![lookup(&like, None), read(&a)],
        vec![use_of(&a), by_key(read(&a))],
        vec![by_key(use_of(&a)), lookup(&like, Some(&a))],
        vec![made(&a), use_of(&a), lookup(&like, Some(&a))],
    ] {
        assert_eq!(state(contradiction.clone()), None, "{contradiction:?}");
    }
}

/// Only the changes are undone; what was found stays found.
#[test]
fn rollbacks_undo_changes_of_keys() {
    let (like, alice) = (like("k"), Scenario::new().alice);
    let [a, b] = [1, 2].map(local_id);
    let undone = |inside: Node, after: Node| {
        let mut builder = TransactionBuilder::default();
        builder.open(Node::Rollback(Rollback { children: Vec::new() }));
        if inside.is_inner() {
            builder.open(inside);
            builder.close();
        } else {
            builder.leaf(inside);
        }
        builder.close();
        builder.leaf(after);
        of(&builder.finish())
    };
    assert_eq!(undone(create(a.clone(), like.clone()), create(b.clone(), like.clone())), Some((vec![], true)));
    let archived = by_key(exercise(&a, &like, &alice, true));
    assert_eq!(undone(archived.clone(), by_key(fetch(&a, &like, &alice))), Some((vec![a.clone()], false)));
    assert_eq!(undone(archived, create(b, like.clone())), None);
    assert_eq!(undone(create(a.clone(), like.clone()), lookup(&like, Some(&a))), None);
}

/// Keys that several contracts share are found in one order, and nobody's create says anything of them.
#[test]
fn shared_keys_are_found_in_order() {
    let (like, alice) = (like("k"), Scenario::new().alice);
    let [a, b, c] = [1, 2, 3].map(local_id);
    let query = |result: &[&ContractId], exhaustive: bool| {
        let Node::QueryByKey(query) = lookup(&like, None) else { panic!("a query") };
        let result = result.iter().map(|id| (*id).clone()).collect();
        Node::QueryByKey(QueryByKey { result, exhaustive, version: NodeVersion::V2_2, ..query })
    };
    let made = |id: &ContractId| match create(id.clone(), like.clone()) {
        Node::Create(node) => Node::Create(transaction::Create { version: NodeVersion::V2_2, ..node }),
        other => other,
    };
    let gone = |id: &ContractId| exercise(id, &like, &alice, true);
    let both = Some((vec![a.clone(), b.clone()], true));
    assert_eq!(state([query(&[&a], false), query(&[&a, &b], true)]), both);
    assert_eq!(state([made(&c), query(&[&c, &a, &b], true), gone(&c), query(&[&a], false)]), both);
    assert_eq!(state([gone(&b), query(&[&a], true)]), both);
    assert_eq!(state([query(&[&a], false), gone(&a), query(&[&b], false)]), Some((vec![a.clone(), b.clone()], false)));
    for contradiction in [
        vec![query(&[&a], false), query(&[&b, &a], false)],
        vec![made(&c), query(&[&a, &c], false)],
        vec![query(&[&a], true), query(&[&a, &b], false)],
        vec![query(&[&a, &b], false), query(&[&a], true)],
        vec![query(&[&a, &a], false)],
        vec![query(&[&a], true), gone(&b)],
    ] {
        assert_eq!(state(contradiction.clone()), None, "{contradiction:?}");
    }
}

/// Alice, whose contract has a key, does something for Carol that looks for it, archives it, and makes it anew; then Alice
/// reads the new one by its key.
fn renewed() -> (Scenario, Transaction) {
    let mut scenario = Scenario::new();
    let (alice, carol) = (scenario.alice.clone(), scenario.carol.clone());
    let like = keyed(instance(&[&alice], &[], 1), &alice, "k");
    let old = scenario.existing(7, like.clone());
    let tool = scenario.contract(8, &[&alice, &carol], &[]);
    let mut builder = TransactionBuilder::default();
    builder.open(exercise(&tool.id, &tool.instance, &alice, false));
    builder.leaf(lookup(&like, Some(&old.id)));
    builder.open(by_key(exercise(&old.id, &like, &alice, true)));
    builder.leaf(create(local_id(1), like.clone()));
    builder.close();
    builder.close();
    builder.leaf(by_key(fetch(&local_id(1), &like, &alice)));
    (scenario, builder.finish())
}

#[test]
fn views_say_how_keys_are_where_they_begin() {
    let (scenario, transaction) = renewed();
    let request = scenario.request(&transaction, 1);
    let suffixed = request.transaction();
    let [old, new] = [2, 3].map(|n| match suffixed.get(NodeId(n)).unwrap() {
        Node::Exercise(exercise) => exercise.contract_id.clone(),
        Node::Create(create) => create.contract_id.clone(),
        other => panic!("{other:?}"),
    });
    let views = request.tree().all_views();
    let said = |at: &[u32]| {
        let (_, view) = views.iter().find(|(p, _)| *p == position(at)).unwrap();
        let states: Vec<_> = view.data.value().keys.values().cloned().collect();
        let [state] = <[KeyState; 1]>::try_from(states).unwrap();
        assert_eq!(state.maintainers, [scenario.alice.clone()].into());
        (state.contracts, state.exhaustive)
    };
    assert_eq!(said(&[0]), (vec![old.clone()], true));
    // What was made before belongs to the state at the beginning of a view.
    assert_eq!(said(&[1]), (vec![new], false));
    assert!(views[0].1.data.value().inputs.contains_key(&old));
    for (at, root) in [(&[0][..], 0), (&[1], 4)] {
        let at = position(at);
        let again = rebuilt(&scenario, &request, &at, &reinterpret(suffixed, NodeId(root)));
        assert_eq!(again.as_ref(), views.iter().find(|(p, _)| *p == at).map(|(_, view)| *view));
    }
}

#[test]
fn keys_in_views_are_read_as_they_are_written() {
    let (scenario, transaction) = renewed();
    let request = scenario.request(&transaction, 1);
    let data = request.tree().views[0].data.value().clone();
    let read = |data: &ViewParticipantData| {
        let mut writer = Writer::versioned();
        data.write(&mut writer);
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes);
        reader.version().unwrap();
        ViewParticipantData::read(&mut reader)
    };
    assert_eq!(read(&data), Ok(data.clone()));
    let changed = |change: fn(&mut KeyState)| {
        let mut data = data.clone();
        data.keys.values_mut().for_each(change);
        assert_ne!(Leaf::new(data.clone()).hash(), request.tree().views[0].data.hash());
        read(&data)
    };
    assert!(changed(|state| state.exhaustive = false).is_ok());
    assert!(changed(|state| state.contracts.clear()).is_ok());
    assert!(changed(|state| state.maintainers.clear()).is_err());
    assert!(changed(|state| state.contracts.push(state.contracts[0].clone())).is_err());
    assert!(changed(|state| *state = KeyState { exhaustive: false, contracts: Vec::new(), ..state.clone() }).is_err());
}
