//! What scripts need: values from outside put together and taken apart, evaluated outside of transactions.

use super::*;
use crate::{Progress, Term, tests::pure::model};
use std::sync::Arc;

const SCRIPT: &str = r#"module S {
  record Pair = { _1: Int64, _2: Text };
  variant Shape = Round: Int64 | Square: Text;
  record E = { why: Text };
  exception E = { message \ (e: S:E) -> S:E {why} e };
  val cast : forall a b. a -> b = /\ a b. \ (x: a) -> ERROR @b "a cast was not replaced";
  val three : Int64 = S:cast @Int64 @Int64 3;
  val add : Int64 -> Int64 -> Int64 = \ (a: Int64) (b: Int64) -> TRACE @Int64 "adding" (ADD_INT64 a b);
  val twice : (Int64 -> Text -> S:Pair) -> S:Pair = \ (f: Int64 -> Text -> S:Pair) -> f 1 "one";
  val boom : Unit -> Int64 = \ (u: Unit) -> throw @Int64 @S:E (S:E { why = "because" });
  val show : ContractId S:Pair -> Option Text = \ (id: ContractId S:Pair) -> CONTRACT_ID_TO_TEXT @S:Pair id;
}"#;

struct Script(Engine, PackageId);

impl Script {
    fn new() -> Self {
        let package = model(SCRIPT, "1.0.0");
        let (engine, id) = (Engine::new(), package.id().clone());
        engine.add_package(Arc::new(package));
        Self(engine, id)
    }

    fn id(&self, entity: &str) -> Identifier {
        Identifier { package: self.1.clone(), module: "S".parse().unwrap(), entity: entity.parse().unwrap() }
    }

    fn value(&self, entity: &str) -> Term {
        match self.0.evaluate(&self.id(entity)).unwrap().step(1000) {
            Progress::Done(term) => term,
            other => panic!("{other:?}"),
        }
    }

    fn apply(&self, entity: &str, arguments: Vec<Term>) -> Progress {
        self.0.apply(&self.value(entity), arguments).step(1000)
    }
}

#[test]
fn functions_are_applied_outside_of_transactions() {
    let script = Script::new();
    let mut evaluation = script.0.apply(&script.value("add"), vec![Term::int64(2), Term::int64(3)]);
    assert!(matches!(evaluation.step(1), Progress::Interrupted));
    let Progress::Done(five) = evaluation.step(1000) else { panic!("not done") };
    assert_eq!(five.as_int64(), Some(5));
    assert_eq!(evaluation.take_traces(), ["adding".into()]);
    let pair = script.0.pairing(&script.id("Pair")).unwrap();
    let Progress::Done(pair) = script.apply("twice", vec![pair]) else { panic!("not done") };
    assert_eq!(script.0.field(&pair, "_1").unwrap().as_int64(), Some(1));
    assert_eq!(script.0.field(&pair, "_2").unwrap().as_text(), Some("one"));
    let id = ContractId::v1(&Hash([1; 32]), &[2]).unwrap();
    let Progress::Done(text) = script.apply("show", vec![Term::contract_id(id.clone())]) else { panic!("not done") };
    assert_eq!(text.as_optional().unwrap().unwrap().as_text(), Some(id.to_string().as_str()));
}

#[test]
fn exceptions_come_out_with_their_messages() {
    let script = Script::new();
    let Progress::Thrown(exception) = script.apply("boom", vec![Term::unit()]) else { panic!("nothing thrown") };
    assert_eq!(exception.as_any().unwrap().0, &script.id("E"));
    let Progress::Done(message) = script.0.exception_message(&exception).unwrap().step(1000) else { panic!() };
    assert_eq!(message.as_text(), Some("because"));
}

#[test]
fn casts_become_identities_before_anything_uses_them() {
    let script = Script::new();
    assert!(script.0.define_identity(&script.id("cast")));
    assert_eq!(script.value("three").as_int64(), Some(3));
    assert!(!script.0.define_identity(&script.id("cast")));
    assert!(!script.0.define_identity(&script.id("nothing")));
    let late = Script::new();
    let Progress::Error(EngineError::User(_)) = late.0.evaluate(&late.id("three")).unwrap().step(1000) else {
        panic!("the cast did something")
    };
    assert!(!late.0.define_identity(&late.id("cast")));
}

#[test]
fn records_and_constructors_are_checked_against_their_types() {
    let script = Script::new();
    let engine = &script.0;
    let (pair, shape) = (script.id("Pair"), script.id("Shape"));
    let record = engine.record(&pair, &[("_2", Term::text("b")), ("_1", Term::int64(1))]).unwrap();
    assert_eq!(record.to_value().unwrap(), Value::record([Value::Int64(1), Value::text("b")]));
    assert!(engine.record(&pair, &[("_1", Term::int64(1))]).is_err());
    let extra = [("_1", Term::int64(1)), ("_2", Term::text("b")), ("_3", Term::unit())];
    assert!(engine.record(&pair, &extra).is_err());
    let square = engine.construct(&shape, "Square", Term::text("s")).unwrap();
    assert_eq!(square.as_constructor().unwrap().0, &name("Square"));
    assert!(engine.construct(&shape, "Flat", Term::unit()).is_err());
    assert!(Term::type_rep(&pair).to_value().is_err());
}

/// An interface, and two versions of a package that implement it in different ways.
#[test]
fn interfaces_are_implemented_by_the_version_that_the_run_resolves_to() {
    let interface = model(
        "module I { record @serializable View = { name: Text }; record @serializable Unitary = {};
          interface (i: Named) = { viewtype I:View; method name: Text;
            choice @nonConsuming Say (self) (arg: I:Unitary) : Text, controllers signatory_interface @I:Named i
              to upure @Text (call_method @I:Named name i); }; }",
        "1.0.0",
    );
    let id = interface.id().clone();
    let version = |text: &str, version: &str| {
        let source = format!(
            "module T {{ record @serializable T = {{ p: Party }};
              template (this: T) = {{
                signatories Cons @Party [T:T {{p}} this] (Nil @Party); observers Nil @Party;
                implements '{id}':I:Named {{ view = '{id}':I:View {{ name = \"\" }}; method name = \"{text}\"; }}; }}; }}"
        );
        let (name, version) = ("upgraded".parse().unwrap(), version.parse().unwrap());
        lf::read_package(&lf::assemble_payload(&source, &name, &version).unwrap()).unwrap()
    };
    let (one, two) = (version("one", "1.0.0"), version("two", "2.0.0"));
    let mut ledger = Ledger::of_model(&[(pure::MODEL, "1.0.0")]);
    ledger.main = one.id().clone();
    let second = two.id().clone();
    [interface, one, two].into_iter().for_each(|package| ledger.engine.add_package(Arc::new(package)));
    let create = ledger.create("T", "T", Value::record([party("alice").into()]));
    let contract = created(&ledger.submit(&["alice"], vec![create]).unwrap()).remove(0);
    ledger.main = id;
    let say = ledger.exercise("I", "Named", &contract, "Say", Value::record([]));
    let mut said = |resolution: &[&PackageId]| {
        let name: base::PackageName = "upgraded".parse().unwrap();
        let submission = ledger.submission(&["alice"], vec![say.clone()]);
        let resolution = resolution.iter().map(|id| (name.clone(), (*id).clone())).collect();
        let run = ledger.engine.submit(submission).unwrap().resolving(resolution);
        let transaction = drive(run, &ledger.contracts).unwrap().transaction;
        let Node::Exercise(exercise) = node(&transaction, 0) else { panic!("not an exercise") };
        (exercise.result.clone().unwrap(), exercise.template.package == second)
    };
    assert_eq!(said(&[]), (Value::text("one"), false));
    assert_eq!(said(&[&second]), (Value::text("two"), true));
}

#[test]
fn what_happened_before_an_error_can_be_seen() {
    let mut ledger = Ledger::of_model(&[(
        "module M { record @serializable T = { p: Party }; record @serializable A = {};
          record @serializable E = { why: Text }; exception E = { message \\ (e: M:E) -> M:E {why} e };
          template (this: T) = {
            signatories Cons @Party [M:T {p} this] (Nil @Party); observers Nil @Party;
            choice Fail (self) (arg: M:A) : Unit, controllers Cons @Party [M:T {p} this] (Nil @Party)
              to ubind c: ContractId M:T <- create @M:T this in throw @(Update Unit) @M:E (M:E { why = \"no\" }); }; }",
        "1.0.0",
    )]);
    let create = ledger.create("M", "T", Value::record([party("alice").into()]));
    let contract = created(&ledger.submit(&["alice"], vec![create]).unwrap()).remove(0);
    let fail = ledger.exercise("M", "T", &contract, "Fail", Value::record([]));
    let submission = ledger.submission(&["alice"], vec![fail]);
    let mut run = ledger.engine.submit(submission).unwrap();
    let error = loop {
        match run.step(1000) {
            Step::Need(Question::Contract(id)) => run.answer_contract(ledger.contracts.get(&id).cloned()).unwrap(),
            Step::Error(error) => break error,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(error, EngineError::Failure { .. }), "{error}");
    assert_eq!(run.uncaught().unwrap().as_any().unwrap().0.entity.to_string(), "E");
    let partial = run.abandon();
    let Node::Exercise(exercise) = node(&partial, 0) else { panic!("not an exercise") };
    assert_eq!((exercise.result.clone(), created(&partial).len()), (None, 1));
    assert_eq!(run.step(1000), Step::Error(error));
}
