//! Arbitrary values, nodes and transactions for the tests of this room.

use crate::*;
use base::{ContractId, Hash, Name, PartyId, Timestamp};
use proptest::{collection::vec, option, prelude::*};

fn name() -> impl Strategy<Value = Name> {
    "[a-zA-Z_$][a-zA-Z0-9_$]{0,6}".prop_map(|text| Name::new(text).unwrap())
}

fn identifier() -> impl Strategy<Value = base::Identifier> {
    (name(), name()).prop_map(|(module, entity)| format!("pkg:M.{module}:{entity}").parse().unwrap())
}

pub(crate) fn party() -> impl Strategy<Value = PartyId> {
    "[a-d]{1,2}".prop_map(|text| PartyId::new(text).unwrap())
}

fn parties() -> impl Strategy<Value = Parties> {
    vec(party(), 1..3).prop_map(|parties| parties.into_iter().collect())
}

pub(crate) fn contract_id() -> impl Strategy<Value = ContractId> {
    (any::<[u8; 32]>(), vec(any::<u8>(), 0..4)).prop_map(|(hash, suffix)| ContractId::v1(&Hash(hash), &suffix).unwrap())
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Unit),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int64),
        (-1_000_i128..1_000, 0_u8..=37).prop_map(|(u, s)| Value::Numeric(Numeric::new(u, s).unwrap())),
        ".{0,8}".prop_map(|text| Value::text(&text)),
        any::<i64>().prop_map(|t| Value::Timestamp(Timestamp::saturating_from_micros(t))),
        (-719_162_i64..2_932_896).prop_map(|d| Value::Date(Date::from_days(d).unwrap())),
        party().prop_map(Value::Party),
        contract_id().prop_map(Value::ContractId),
        Just(Value::none()),
        (option::of(identifier()), name()).prop_map(|(id, constructor)| Value::Enum(Enum { id, constructor }.into())),
    ]
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(Value::some),
            vec(inner.clone(), 0..4).prop_map(Value::list),
            vec((".{0,3}", inner.clone()), 0..4)
                .prop_map(|entries| Value::text_map(entries.into_iter().map(|(k, v)| (k.into(), v)))),
            vec((inner.clone(), inner.clone()), 0..3).prop_map(Value::gen_map),
            (option::of(identifier()), vec((option::of(name()), inner.clone()), 0..4)).prop_map(|(id, fields)| {
                let fields = fields.into_iter().map(|(label, value)| Field { label, value }).collect();
                Value::Record(Record { id, fields }.into())
            }),
            (option::of(identifier()), name(), inner)
                .prop_map(|(id, constructor, value)| Value::Variant(Variant { id, constructor, value }.into())),
        ]
    })
}

fn key() -> impl Strategy<Value = ContractKey> {
    (value(), parties(), any::<[u8; 32]>()).prop_map(|(value, maintainers, hash)| ContractKey {
        value,
        maintainers,
        hash: Hash(hash),
    })
}

pub(crate) fn instance() -> impl Strategy<Value = ContractInstance> {
    (identifier(), value(), parties(), parties(), option::of(key())).prop_map(
        |(template, argument, signatories, observers, key)| ContractInstance {
            template,
            package_name: "name-1".parse().unwrap(),
            argument,
            stakeholders: &signatories | &observers,
            signatories,
            key,
        },
    )
}

fn create() -> impl Strategy<Value = Node> {
    (contract_id(), instance())
        .prop_map(|(contract_id, instance)| Node::Create(Create { contract_id, instance, version: NodeVersion::V2_1 }))
}

fn fetch() -> impl Strategy<Value = Node> {
    (contract_id(), instance(), option::of(identifier()), parties(), any::<bool>()).prop_map(
        |(contract_id, instance, interface, actors, by_key)| {
            Node::Fetch(Fetch {
                contract_id,
                package_name: instance.package_name,
                template: instance.template,
                interface,
                actors,
                signatories: instance.signatories,
                stakeholders: instance.stakeholders,
                key: instance.key,
                by_key,
                version: NodeVersion::V15,
            })
        },
    )
}

fn exercise() -> impl Strategy<Value = Node> {
    let choice = (name(), any::<bool>(), parties(), option::of(parties()), option::of(value()));
    (contract_id(), instance(), option::of(identifier()), choice).prop_map(
        |(contract_id, instance, interface, (choice, consuming, actors, choice_authorizers, result))| {
            Node::Exercise(Exercise {
                contract_id,
                package_name: instance.package_name,
                template: instance.template,
                interface,
                choice,
                consuming,
                choice_observers: actors.clone(),
                actors,
                argument: instance.argument,
                signatories: instance.signatories,
                stakeholders: instance.stakeholders,
                choice_authorizers,
                children: vec![],
                result,
                key: instance.key,
                by_key: false,
                version: NodeVersion::V17,
            })
        },
    )
}

fn query() -> impl Strategy<Value = Node> {
    (identifier(), key(), vec(contract_id(), 0..3), any::<bool>()).prop_map(|(template, key, result, exhaustive)| {
        let package_name = "name".parse().unwrap();
        Node::QueryByKey(QueryByKey { template, package_name, key, result, exhaustive, version: NodeVersion::V2_2 })
    })
}

/// A step of a builder: a leaf, an opening, or a closing.
pub(crate) fn transaction() -> impl Strategy<Value = Transaction> {
    let step = prop_oneof![
        create().prop_map(Some),
        fetch().prop_map(Some),
        exercise().prop_map(Some),
        query().prop_map(Some),
        Just(Some(Node::Rollback(Rollback { children: vec![] }))),
        Just(None),
    ];
    vec(step, 0..12).prop_map(|steps| {
        let mut builder = TransactionBuilder::default();
        for step in steps {
            match step {
                Some(node) if node.is_inner() => builder.open(node),
                Some(node) => builder.leaf(node),
                None => builder.close(),
            }
        }
        builder.finish()
    })
}
