//! Laws of values and transactions.

use crate::{
    test_values::{instance, transaction, value},
    *,
};
use base::{ContractId, limits::MAX_VALUE_DEPTH};
use proptest::prelude::*;

fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Unit, |inner, _| Value::list([inner]))
}

#[test]
fn depth_is_bounded_where_values_enter() {
    let deepest = nested(MAX_VALUE_DEPTH);
    assert_eq!(deepest.check_depth(), Ok(()));
    assert_eq!(Value::decode(&deepest.encode()), Ok(deepest));
    let deeper = nested(MAX_VALUE_DEPTH + 1);
    assert_eq!(deeper.check_depth(), Err(TooDeep));
    assert_eq!(Value::decode(&deeper.encode()), Err(DecodeError::TooDeep(TooDeep)));
}

#[test]
fn a_million_levels_need_no_stack() {
    let deep = nested(1_000_000);
    let other = nested(1_000_000);
    assert!(deep == other);
    assert!(format!("{deep:?}").len() > 1_000_000);
    assert_eq!(deep.encode(), other.map_contract_ids(&mut |id| id.clone()).encode());
    let shared = deep.clone();
    drop(deep);
    drop(shared);
    let as_maps = (0..1_000_000).fold(Value::Unit, |inner, n: i64| match n % 4 {
        0 => Value::text_map([("k".into(), inner)]),
        1 => Value::gen_map(vec![(inner, Value::Unit)]),
        2 => Value::record([inner]),
        _ => Value::some(Value::variant("V".parse().unwrap(), inner)),
    });
    drop(as_maps);
}

#[test]
fn deep_transactions_need_no_stack() {
    let mut builder = TransactionBuilder::default();
    for _ in 0..300_000 {
        builder.open(Node::Rollback(Rollback { children: vec![] }));
    }
    let deep = builder.finish();
    assert_eq!(deep.blinding().disclosure.len(), 300_000);
    assert_eq!(deep.authorize(&Parties::new()), Ok(()));
    assert_eq!(Transaction::decode(&deep.encode()), Ok(deep.clone()));
    assert_eq!(deep.subtree_end(NodeId(7)), NodeId(300_000));
}

#[test]
fn malformed_forests_are_refused() {
    let rollback =
        |children: &[u32]| Node::Rollback(Rollback { children: children.iter().map(|c| NodeId(*c)).collect() });
    assert!(Transaction::new(vec![rollback(&[1]), rollback(&[])], vec![NodeId(0)]).is_ok());
    for (nodes, roots) in [
        (vec![rollback(&[0])], vec![NodeId(0)]),
        (vec![rollback(&[1])], vec![NodeId(0)]),
        (vec![rollback(&[]), rollback(&[])], vec![NodeId(0)]),
        (vec![rollback(&[]), rollback(&[])], vec![NodeId(1), NodeId(0)]),
        (vec![rollback(&[2, 1]), rollback(&[]), rollback(&[])], vec![NodeId(0)]),
        (vec![], vec![NodeId(0)]),
    ] {
        assert!(Transaction::new(nodes, roots).is_err());
    }
}

#[test]
fn announced_sizes_take_no_memory() {
    for tag in [12, 13, 14] {
        let bytes = [&[1, tag][..], &[0xff; 8], &[0x7f]].concat();
        assert!(Value::decode(&bytes).is_err());
    }
}

proptest! {
    #[test]
    fn values_round_trip(value in value()) {
        let bytes = value.encode();
        prop_assert_eq!(Value::decode(&bytes), Ok(value.clone()));
        prop_assert!(value.map_contract_ids(&mut |id| id.clone()) == value);
        prop_assert!(Value::decode(&[bytes.clone(), vec![0]].concat()).is_err());
        prop_assert!(Value::decode(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn order_agrees_with_equality_and_encoding(a in value(), b in value()) {
        prop_assert_eq!(a == b, a.encode() == b.encode());
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert!(a.cmp(&a).is_eq());
    }

    #[test]
    fn one_encoding_per_value(value in value(), place: prop::sample::Index, byte: u8) {
        let mut bytes = value.encode();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(other) = Value::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let bytes = [vec![1], bytes].concat();
        if let Ok(value) = Value::decode(&bytes) {
            prop_assert_eq!(value.encode(), bytes.clone());
        }
        let _ = Transaction::decode(&bytes);
        let _ = ContractInstance::decode(&bytes);
    }

    #[test]
    fn instances_round_trip(instance in instance()) {
        prop_assert_eq!(ContractInstance::decode(&instance.encode()), Ok(instance));
    }

    #[test]
    fn transactions_round_trip(tx in transaction()) {
        prop_assert_eq!(Transaction::decode(&tx.encode()), Ok(tx.clone()));
        let nodes = tx.nodes().map(|(_, node)| node.clone()).collect();
        prop_assert_eq!(Transaction::new(nodes, tx.roots().to_vec()), Ok(tx));
    }

    #[test]
    fn subtrees_partition_the_forest(tx in transaction()) {
        let total: usize = tx.roots().iter().map(|root| tx.subtree(*root).unwrap().len()).sum();
        prop_assert_eq!(total, tx.len());
        for (id, node) in tx.nodes() {
            let subtree = tx.subtree(id).unwrap();
            let alone = subtree.get(NodeId(0)).unwrap();
            prop_assert_eq!(alone.encode_alone(), node.encode_alone());
        }
    }

    #[test]
    fn witnesses_grow_downwards(tx in transaction()) {
        let blinding = tx.blinding();
        for (id, parent) in tx.nodes().map(|(id, _)| id).zip(tx.parents()) {
            let here = blinding.witnesses(id).unwrap();
            prop_assert!(tx.get(id).unwrap().informees().is_subset(here));
            if let Some(parent) = parent {
                prop_assert!(blinding.witnesses(parent).unwrap().is_subset(here));
            }
        }
    }

    #[test]
    fn suffixing_reaches_every_contract_id(tx in transaction()) {
        let suffixed = tx.map_contract_ids(|id| ContractId::new(&[id.prefix(), &[1, 2, 3]].concat()).unwrap());
        prop_assert!(suffixed.input_contracts().iter().all(|id| id.suffix() == [1, 2, 3]));
        prop_assert!(suffixed.created_contracts().all(|id| id.suffix() == [1, 2, 3]));
    }
}
