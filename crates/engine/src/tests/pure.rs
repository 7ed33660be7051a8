//! Functions and updates of packages written here, and functions of compiled libraries.

use super::*;
use crate::{code::GlobalRef, ledger::Seed, machine::Machine, map, run::Stop, value::V};
use base::{Identifier, PackageName, PackageVersion};
use std::sync::Arc;

/// The tests' own model, as a version of it.
pub(super) fn model(source: &str, version: &str) -> lf::Package {
    let (name, version) = (PackageName::new("model").unwrap(), PackageVersion::new(version).unwrap());
    lf::read_package(&lf::assemble_payload(source, &name, &version).unwrap()).unwrap()
}

pub(super) const MODEL: &str = include_str!("model.lf");

/// What came of it, and what was traced.
type Evaluated = (Result<V, EngineError>, Vec<Arc<str>>);

/// Evaluates a value or applies a function, in at most so many operations.
pub(super) fn evaluate_within(engine: &Engine, value: GlobalRef, arguments: Vec<V>, mut budget: u64) -> Evaluated {
    let ledger = crate::ledger::Ledger::new(Seed::Root(None), Parties::new(), NOW, NOW);
    let mut machine = Machine::new(engine.registry(), ledger);
    machine.evaluate(value, arguments).unwrap();
    let result = match machine.run(&mut budget) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(EngineError::Limit("the test's budget")),
        Err(Stop::Error(error)) => Err(*error),
        Err(other) => panic!("{other:?}"),
    };
    (result, std::mem::take(&mut machine.traces))
}

pub(super) fn evaluate(engine: &Engine, id: &Identifier, arguments: Vec<V>) -> Evaluated {
    let registry = engine.registry();
    evaluate_within(engine, registry.get(&id.package).unwrap().value(id).unwrap(), arguments, u64::MAX)
}

struct Pure(Engine, PackageId);

impl Pure {
    fn new() -> Self {
        let package = model(MODEL, "1.0.0");
        let (engine, id) = (Engine::new(), package.id().clone());
        engine.add_package(Arc::new(package));
        Self(engine, id)
    }

    fn all(&self, value: &str, arguments: Vec<V>) -> (Result<V, EngineError>, Vec<Arc<str>>) {
        let id = Identifier { package: self.1.clone(), module: "P".parse().unwrap(), entity: value.parse().unwrap() };
        evaluate(&self.0, &id, arguments)
    }

    fn get(&self, value: &str) -> V {
        self.all(value, Vec::new()).0.unwrap()
    }

    fn int(&self, value: &str, arguments: Vec<V>) -> i64 {
        int(&self.all(value, arguments).0.unwrap())
    }

    fn ints(&self, value: &str) -> Vec<i64> {
        self.get(value).items().map(int).collect()
    }

    fn text(&self, value: &str) -> String {
        match self.get(value) {
            V::Text(text) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn flag(&self, value: &str) -> bool {
        matches!(self.get(value), V::Bool(true))
    }
}

fn int(value: &V) -> i64 {
    match value {
        V::Int64(number) => *number,
        other => panic!("{other:?}"),
    }
}

#[test]
fn functions_take_their_arguments_in_all_ways() {
    let pure = Pure::new();
    assert_eq!(pure.int("apply", vec![]), 123);
    assert_eq!(pure.int("partial", vec![]), 23);
    assert_eq!(pure.int("over", vec![]), 2);
    assert_eq!(pure.int("shadow", vec![]), 22);
    assert_eq!(pure.int("fib", vec![V::Int64(15)]), 610);
    assert_eq!(pure.int("sum", vec![V::list([1, 2, 3].map(V::Int64))]), 6);
    assert_eq!(pure.int("minus", vec![V::list([1, 2, 3].map(V::Int64))]), 2);
    assert_eq!((pure.flag("same"), pure.flag("other")), (true, false));
}

#[test]
fn arguments_come_from_right_to_left_then_the_function() {
    let pure = Pure::new();
    let (value, traces) = pure.all("order", vec![]);
    assert_eq!(int(&value.unwrap()), 1);
    assert_eq!(traces, ["b", "a", "f"].map(Arc::from));
    // Once evaluated, a value is kept.
    assert!(pure.all("order", vec![]).1.is_empty());
    let (_, traces) = pure.all("fields", vec![]);
    assert_eq!(traces, ["x", "y"].map(Arc::from));
    assert_eq!((pure.int("field", vec![]), pure.int("updated", vec![])), (2, 7));
}

#[test]
fn depth_costs_no_rust_stack() {
    // Whatever recursed would overflow this thread's stack.
    let body = || {
        let pure = Pure::new();
        assert_eq!(pure.int("down", vec![V::Int64(1_000_000)]), 1_000_000);
        assert_eq!(pure.int("loop", vec![V::Int64(100_000)]), 0);
        let deep = (0..1_000_000).fold(V::None, |inner, _| V::some(inner));
        assert_eq!(crate::compare::checked(&deep, &deep), Ok(std::cmp::Ordering::Equal));
        drop(deep);
        let nested = (0..100_000).fold(None, |inner, n| map::insert(&None, V::Int64(n), V::GenMap(inner)));
        drop(nested);
        assert_eq!(pure.all("count", vec![V::Int64(1_000_000)]).0.unwrap().items().count(), 1_000_000);
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(body).unwrap().join().unwrap();
}

#[test]
fn values_have_an_order() {
    let pure = Pure::new();
    assert_eq!(pure.ints("values"), [1, 3, 2]);
    assert_eq!((pure.flag("colours"), pure.flag("dynamic")), (true, true));
    for value in ["functions", "keys"] {
        assert!(matches!(pure.all(value, vec![]).0, Err(EngineError::NotComparable)));
    }
}

#[test]
fn functions_of_the_language() {
    let pure = Pure::new();
    assert!(matches!(pure.get("product"), V::Numeric(n) if n.to_string() == "3.75"));
    assert_eq!(pure.text("texts"), "aä€😀");
    assert_eq!(pure.ints("points"), [97, 0x1f600]);
    assert!(matches!(pure.get("parsed"), V::Some(n) if int(&n) == -42));
    assert_eq!(pure.text("hash"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(pure.text("keccak"), "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
    for (message, holds) in [("message", true), ("another", false)] {
        for function in ["signed", "signedDigest"] {
            let result = pure.all(function, vec![V::text(message)]).0.unwrap();
            assert!(matches!(result, V::Bool(flag) if flag == holds), "{function} {message}");
        }
    }
    let refused = |value: &str| match pure.all(value, vec![]).0.unwrap_err() {
        EngineError::Secp256k1(error) => error,
        other => panic!("{other}"),
    };
    assert_eq!(refused("noKey"), crypto::Secp256k1Error::Key);
    assert_eq!(refused("noSignature"), crypto::Secp256k1Error::Signature);
    assert_eq!(pure.all("wrong", vec![]).0.unwrap_err(), EngineError::User("wrong".into()));
}

/// The standard library's own sort, as compiled by others.
#[test]
fn a_compiled_library_sorts() {
    for file in ["CantonExamples.38731509.dar", "model-tests-1.15.0757811f.dar"] {
        sorts(file);
    }
}

fn sorts(file: &str) {
    let Some((engine, main)) = load(file) else { return };
    let package = engine.package(&main).unwrap();
    let all = package.dependencies().iter().filter_map(|id| engine.package(id));
    let lists =
        all.into_iter().find(|p| p.value(&"DA.List".parse().unwrap(), &"sort".parse().unwrap()).is_some()).unwrap();
    let sort = lists.identifier(&"DA.List".parse().unwrap(), &"sort".parse().unwrap());
    let orders = package.dependencies().iter().filter_map(|id| engine.package(id)).find_map(|p| {
        let mut values = p.all_values().filter(|(_, value)| value.name.as_str() == "$$fOrdInt");
        values.next().map(|(module, value)| p.identifier(module, &value.name))
    });
    let order = evaluate(&engine, &orders.unwrap(), vec![]).0.unwrap();
    let numbers: Vec<i64> = (0..2000).map(|n| (n * 7919) % 2003).collect();
    let sorted =
        evaluate(&engine, &sort, vec![order, V::list(numbers.iter().copied().map(V::Int64).collect::<Vec<_>>())]);
    let mut expected = numbers;
    expected.sort_unstable();
    assert_eq!(sorted.0.unwrap().items().map(int).collect::<Vec<_>>(), expected);
}
