//! Values on their way in and out: by type, in all shapes that clients give.

use super::{pure::MODEL, *};
use crate::{
    map,
    translate::{TranslateError, to_ledger, to_machine},
    typing::{Data, Head},
    value::V,
};
use base::Identifier;
use proptest::prelude::*;
use transaction::{Date, Numeric, Record};

fn everything(ledger: &Ledger) -> Identifier {
    let id = ledger.main.clone();
    Identifier { package: id, module: "M".parse().unwrap(), entity: "Everything".parse().unwrap() }
}

fn arb_tree() -> impl Strategy<Value = Value> {
    proptest::collection::vec("[a-c]{0,3}", 1..20).prop_map(|texts| {
        texts
            .iter()
            .fold(None, |inner: Option<Value>, text| {
                Some(Value::record([inner.map_or(Value::none(), Value::some), Value::text(text)]))
            })
            .unwrap()
    })
}

/// A record of the model's widest type in the ledger's normal form.
fn arb_everything() -> impl Strategy<Value = Value> {
    let scalars = (any::<bool>(), any::<i64>(), -1_000_000_i64..1_000_000, "[a-zé😀]{0,5}", 0_i64..20_000);
    let lists = (
        proptest::collection::vec(any::<i64>(), 0..5),
        proptest::collection::btree_map("[a-c]{0,3}", any::<i64>(), 0..5),
        proptest::collection::btree_set(any::<i64>(), 0..5),
    );
    (scalars, lists, arb_tree(), 0..3_usize, any::<Option<i64>>()).prop_map(|(scalars, lists, tree, colour, last)| {
        let (flag, number, cents, text, day) = scalars;
        let (list, texts, keys) = lists;
        let shape = |n: i64| Value::variant(name("Round"), n.into());
        let mut fields = vec![
            party("alice").into(),
            Value::Bool(flag),
            Value::Int64(number),
            Numeric::new(cents.into(), 2).unwrap().into(),
            Value::text(&text),
            Value::Date(Date::from_days(day).unwrap()),
            Value::Timestamp(Timestamp::from_micros(day).unwrap()),
            Value::list(list.into_iter().map(Value::Int64)),
            Value::text_map(texts.into_iter().map(|(key, n)| (key.into(), Value::Int64(n)))),
            Value::gen_map(keys.into_iter().map(|n| (shape(n), Value::Int64(n))).collect()),
            tree,
            Value::enumeration(name(["Red", "Green", "Blue"][colour])),
        ];
        if let Some(last) = last {
            fields.extend([Value::none(), Value::some(Value::Int64(last))]);
        }
        Value::record(fields)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is created reinterprets to the same bytes, is shown with all labels, and what is shown is accepted.
    #[test]
    fn values_survive_all_ways(value in arb_everything()) {
        let mut ledger = Ledger::of_model(&[(MODEL, "1.0.0")]);
        let command = ledger.create("M", "Everything", value.clone());
        let transaction = ledger.submit(&["alice"], vec![command]).unwrap();
        let Node::Create(create) = node(&transaction, 0) else { panic!("not a create") };
        prop_assert_eq!(&create.instance.argument, &value);
        let shown = ledger.engine.enrich_contract(&create.instance.template, &value);
        let Value::Record(record) = &shown else { panic!("not a record") };
        prop_assert_eq!(record.fields.len(), 14);
        prop_assert!(record.fields.iter().all(|field| field.label.is_some()));
        let mut shuffled = record.fields.clone();
        shuffled.reverse();
        let shuffled = Value::Record(Record { id: None, fields: shuffled }.into());
        let id = create.contract_id.clone();
        let this = ledger.exercise("M", "Everything", &id, "Self", shuffled);
        let transaction = ledger.submit(&["alice"], vec![this]).unwrap();
        let Node::Exercise(exercise) = node(&transaction, 0) else { panic!("not an exercise") };
        prop_assert_eq!(exercise.result.as_ref(), Some(&value));
        prop_assert_eq!(&exercise.argument, &value);
        let (owner, choice) = (everything(&ledger), name("Self"));
        prop_assert_eq!(&ledger.engine.enrich_choice_argument(&owner, &choice, &value), &shown);
        prop_assert_eq!(&ledger.engine.enrich_choice_result(&owner, &choice, &value), &shown);
    }

    /// A map behaves like the one of the Rust library, and stays balanced.
    #[test]
    fn maps_insert_and_delete(steps in proptest::collection::vec((any::<bool>(), 0_i64..60, any::<i64>()), 0..300)) {
        let (mut model, mut map) = (BTreeMap::new(), None);
        for (insert, key, value) in steps {
            if insert {
                model.insert(key, value);
                map = map::insert(&map, V::Int64(key), V::Int64(value));
            } else {
                model.remove(&key);
                map = map::delete(&map, &V::Int64(key));
            }
            prop_assert_eq!(map::size(&map), model.len());
            prop_assert!(map::is_balanced(&map));
        }
        let int = |value: &V| match value { V::Int64(n) => *n, other => panic!("{other:?}") };
        let all: Vec<_> = map::entries(&map).map(|(key, value)| (int(key), int(value))).collect();
        prop_assert_eq!(all, model.clone().into_iter().collect::<Vec<_>>());
        for key in 0..60 {
            let found = map::lookup(&map, &V::Int64(key));
            prop_assert_eq!(found.as_ref().map(int), model.get(&key).copied());
        }
    }
}

fn translate(ledger: &Ledger, value: &Value) -> Result<V, TranslateError> {
    let registry = ledger.engine.registry();
    let head = Head::Data(Data::closed(&registry, &everything(ledger)).unwrap());
    to_machine(&registry, value, head)
}

/// A good value with one field replaced.
fn with(place: usize, replacement: Value) -> Value {
    let mut fields = vec![
        party("alice").into(),
        Value::Bool(true),
        Value::Int64(1),
        Numeric::parse("1.5", 1).unwrap().into(),
        Value::text("text"),
        Value::Date(Date::from_days(0).unwrap()),
        Value::Timestamp(NOW),
        Value::list([]),
        Value::text_map([]),
        Value::gen_map(vec![]),
        Value::record([Value::none(), Value::text("")]),
        Value::enumeration(name("Red")),
        Value::none(),
        Value::none(),
    ];
    fields.truncate(fields.len().max(place));
    if place < fields.len() {
        fields[place] = replacement;
    } else {
        fields.push(replacement);
    }
    Value::record(fields)
}

#[test]
fn wrong_values_are_refused() {
    let ledger = Ledger::of_model(&[(MODEL, "1.0.0")]);
    assert!(translate(&ledger, &with(1, Value::Bool(false))).is_ok());
    let shape = |n: i64| Value::variant(name("Round"), n.into());
    let deep = (0..200).fold(Value::none(), |inner, _| Value::some(Value::record([inner, Value::text("")])));
    for (place, bad) in [
        (0, Value::text("alice")),
        (3, Numeric::parse("1.555", 3).unwrap().into()),
        (4, Value::text("\0")),
        (7, Value::list([Value::text("1")])),
        (9, Value::gen_map(vec![(shape(1), 1.into()), (shape(1), 2.into())])),
        (9, Value::gen_map(vec![(Value::variant(name("Hex"), 1.into()), 1.into())])),
        (10, Value::record([deep, Value::text("")])),
        (11, Value::enumeration(name("Pink"))),
        (11, shape(1)),
        (13, Value::some(Value::text("1"))),
        (14, Value::some(1.into())),
    ] {
        let result = translate(&ledger, &with(place, bad.clone()));
        assert!(matches!(result, Err(TranslateError::Mismatch(_))), "{place} {bad:?}");
    }
}

#[test]
fn maps_from_clients_are_sorted() {
    let ledger = Ledger::of_model(&[(MODEL, "1.0.0")]);
    let entry = |shape: Value, n: i64| (shape, Value::Int64(n));
    let (round, square) = (Value::variant(name("Round"), 1.into()), Value::variant(name("Square"), "a".into()));
    let given = Value::gen_map(vec![entry(square.clone(), 1), entry(round.clone(), 2)]);
    let Value::Record(record) = to_ledger(&translate(&ledger, &with(9, given)).unwrap()).unwrap() else {
        panic!("not a record")
    };
    assert_eq!(record.fields[9].value, Value::gen_map(vec![entry(round, 2), entry(square, 1)]));
    assert_eq!(record.fields.len(), 12, "trailing fields without a value are dropped");
    assert_eq!(record.fields[3].value, Numeric::parse("1.50", 2).unwrap().into());
}
