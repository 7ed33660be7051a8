//! What updates leave on the ledger: nodes, rollbacks, failures, traces in their order.

use super::{pure::MODEL, *};
use base::{Coded, codes};

fn ledger() -> Ledger {
    Ledger::of_model(&[(MODEL, "1.0.0")])
}

fn t(ok: bool) -> Value {
    Value::record([party("alice").into(), party("bob").into(), Value::Bool(ok)])
}

/// The tester's contract, and its ledger.
fn tester() -> (Ledger, ContractId) {
    let mut ledger = ledger();
    let create = ledger.create("M", "Tester", Value::record([party("alice").into()]));
    let id = created(&ledger.submit(&["alice"], vec![create]).unwrap()).remove(0);
    (ledger, id)
}

fn test(choice: &str) -> Result<Transaction, EngineError> {
    let (mut ledger, id) = tester();
    let command = ledger.exercise("M", "Tester", &id, choice, Value::record([]));
    ledger.submit(&["alice"], vec![command])
}

/// The nodes as one line: `X[…]` exercises, `R[…]` rollbacks, `C` creates, `F` fetches.
fn shape(transaction: &Transaction) -> String {
    let mut text = String::new();
    let mut ends: Vec<u32> = Vec::new();
    for (id, node) in transaction.nodes() {
        while ends.last().is_some_and(|end| *end <= id.0) {
            ends.pop();
            text.push(']');
        }
        text.push_str(match node {
            Node::Create(_) => "C",
            Node::Fetch(_) => "F",
            Node::Exercise(_) => "X[",
            Node::Rollback(_) => "R[",
            Node::QueryByKey(_) => "Q",
        });
        if node.is_inner() {
            ends.push(transaction.subtree_end(id).0);
        }
    }
    text + &"]".repeat(ends.len())
}

fn result(transaction: &Transaction) -> Value {
    match node(transaction, 0) {
        Node::Exercise(exercise) => exercise.result.clone().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_rollback_undoes_can_be_done_again() {
    let transaction = test("Undo").unwrap();
    assert_eq!(shape(&transaction), "X[CR[CX[]]X[]C]");
    assert_eq!(result(&transaction), Value::Int64(1));
    let ids = created(&transaction);
    assert!(ids[0] != ids[1] && ids[1] != ids[2]);
}

#[test]
fn handlers_may_decline() {
    let transaction = test("Nested").unwrap();
    // The inner rollback comes last in the outer one, so that they are one.
    assert_eq!(shape(&transaction), "X[R[CC]]");
    assert_eq!(result(&transaction), Value::Int64(42));
}

#[test]
fn failures_say_what_failed() {
    let failure = |choice: &str| {
        let error = test(choice).unwrap_err();
        assert_eq!(error.code().id, codes::DAML_FAILURE.id);
        match error {
            EngineError::Failure { error_id, category, message, metadata } => (error_id, category, message, metadata),
            other => panic!("{other:?}"),
        }
    };
    let exception = |id: &str, message: &str| (format!("UNHANDLED_EXCEPTION/{id}"), 9, message.to_owned(), vec![]);
    assert_eq!(failure("Uncaught"), exception("M:E", "because"));
    assert_eq!(failure("Quiet"), exception("M:Silent", "(the message of the exception could not be computed)"));
    let arithmetic = "DA.Exception.ArithmeticError:ArithmeticError";
    assert_eq!(failure("Divide"), exception(arithmetic, "ArithmeticError while evaluating (DIV_INT64 1 0)."));
    // Controllers of an existing contract are nothing that a model may try.
    assert_eq!(failure("Prevented"), exception("M:E", "controllers"));
    let metadata = vec![("key".to_owned(), "value".to_owned())];
    assert_eq!(failure("Status"), ("my.id".into(), 8, "my text".into(), metadata));
}

#[test]
fn a_contract_from_an_undone_scope_is_unknown() {
    assert_eq!(test("Escaped").unwrap_err().code(), codes::CONTRACT_NOT_FOUND);
}

#[test]
fn interfaces_reach_their_templates() {
    let transaction = test("ByInterface").unwrap();
    assert_eq!(shape(&transaction), "X[CFX[]X[]]");
    assert_eq!(result(&transaction), Value::text("T.view!"));
    let Node::Exercise(say) = node(&transaction, 3) else { panic!("not an exercise") };
    assert_eq!((say.template.entity.as_str(), say.interface.as_ref().unwrap().entity.as_str()), ("T", "Named"));
    let Node::Fetch(fetch) = node(&transaction, 2) else { panic!("not a fetch") };
    assert_eq!(fetch.interface.as_ref().unwrap().entity.as_str(), "Named");
    assert_eq!(fetch.actors, parties(&["alice"]));
}

#[test]
fn interface_choices_are_commands_too() {
    let mut ledger = ledger();
    let create = ledger.create("M", "T", t(true));
    let id = created(&ledger.submit(&["alice"], vec![create]).unwrap()).remove(0);
    let say = ledger.exercise("M", "Named", &id, "Say", Value::record([]));
    assert_eq!(result(&ledger.submit(&["alice"], vec![say]).unwrap()), Value::text("T.view"));
    // A template does not have its interfaces' choices.
    let say = ledger.exercise("M", "T", &id, "Say", Value::record([]));
    assert_eq!(ledger.submit(&["alice"], vec![say]).unwrap_err().code(), codes::COMMAND_PREPROCESSING_FAILED);
    let create = ledger.create("M", "Tester", Value::record([party("alice").into()]));
    let tester = created(&ledger.submit(&["alice"], vec![create]).unwrap()).remove(0);
    let say = ledger.exercise("M", "Named", &tester, "Say", Value::record([]));
    let error = ledger.submit(&["alice"], vec![say]).unwrap_err();
    assert_eq!(error.code(), codes::CONTRACT_DOES_NOT_IMPLEMENT_INTERFACE);
    let look = ledger.exercise("M", "T", &tester, "Look", Value::record([]));
    assert!(matches!(ledger.submit(&["alice"], vec![look]).unwrap_err(), EngineError::WronglyTyped { .. }));
}

#[test]
fn a_contract_has_views() {
    let ledger = ledger();
    let id = |entity: &str| Identifier {
        package: ledger.main.clone(),
        module: "M".parse().unwrap(),
        entity: entity.parse().unwrap(),
    };
    let engine = &ledger.engine;
    assert_eq!(engine.interfaces_of(&id("T")), [id("Named")]);
    assert_eq!(engine.interfaces_of(&id("Tester")), []);
    let view = engine.interface_view(&id("T"), &t(true), &id("Named"), 1000);
    assert_eq!(view.unwrap(), Value::labelled(Some(id("View")), [(name("name"), Value::text("view"))]));
    let error = engine.interface_view(&id("T"), &t(true), &id("Other"), 1000).unwrap_err();
    assert_eq!(error.code(), codes::TEMPLATES_OR_INTERFACES_NOT_FOUND);
    assert!(matches!(engine.interface_view(&id("T"), &t(true), &id("Named"), 1), Err(EngineError::Limit(_))));
}

/// What a run traces until it ends or asks for a contract the first time.
fn traces(ledger: &mut Ledger, act_as: &[&str], command: Command) -> (Vec<String>, Step) {
    let submission = ledger.submission(act_as, vec![command]);
    let mut run = ledger.engine.submit(submission).unwrap();
    let mut all: Vec<String> = Vec::new();
    loop {
        let step = run.step(1);
        all.extend(run.take_traces().into_iter().map(|text| text.to_string()));
        match step {
            Step::Interrupted => {}
            Step::Need(Question::Contract(id)) => {
                all.push("asks".into());
                // Asking twice changes nothing.
                assert_eq!(run.step(10), Step::Need(Question::Contract(id.clone())));
                run.answer_contract(ledger.contracts.get(&id).cloned()).unwrap();
            }
            end => return (all, end),
        }
    }
}

#[test]
fn a_contract_is_evaluated_in_the_language_s_order() {
    let mut ledger = ledger();
    let create = ledger.create("M", "T", t(true));
    let (order, end) = traces(&mut ledger, &["alice"], create.clone());
    assert!(matches!(end, Step::Done(_)));
    assert_eq!(order, ["precondition", "signatories", "observers"]);
    let refused = ledger.create("M", "T", t(false));
    let (order, end) = traces(&mut ledger, &["alice"], refused);
    assert!(matches!(end, Step::Error(EngineError::Precondition { .. })), "{end:?}");
    assert_eq!(order, ["precondition"]);
    let (order, end) = traces(&mut ledger, &["bob"], create.clone());
    assert!(matches!(end, Step::Error(EngineError::Authorization(_))));
    assert_eq!(order, ["precondition", "signatories", "observers"]);
    let id = created(&ledger.submit(&["alice"], vec![create]).unwrap()).remove(0);
    let look = ledger.exercise("M", "T", &id, "Look", Value::record([]));
    let (order, end) = traces(&mut ledger, &["bob"], look.clone());
    assert!(matches!(&end, Step::Done(outcome) if outcome.time_used), "{end:?}");
    let contract = ["asks", "precondition", "signatories", "observers", "controllers", "choice observers"];
    assert_eq!(order, [&contract[..], &["body"]].concat());
    let (order, end) = traces(&mut ledger, &["alice"], look);
    assert!(matches!(end, Step::Error(EngineError::Authorization(_))));
    assert_eq!(order, contract);
}

#[test]
fn a_fetch_needs_a_stakeholder() {
    let mut ledger = ledger();
    let create = ledger.create("M", "T", t(true));
    let first = created(&ledger.submit(&["alice"], vec![create]).unwrap()).remove(0);
    let carol = Value::record([party("carol").into(), party("carol").into(), Value::Bool(true)]);
    let create = ledger.create("M", "T", carol);
    let second = created(&ledger.submit(&["carol"], vec![create]).unwrap()).remove(0);
    let fetch = |from: &ContractId, other: &ContractId| {
        ledger.exercise("M", "T", from, "FetchOther", Value::record([other.clone().into()]))
    };
    let (good, bad) = (fetch(&first, &first), fetch(&second, &first));
    assert_eq!(shape(&ledger.submit(&["alice"], vec![good]).unwrap()), "X[F]");
    assert_eq!(ledger.submit(&["carol"], vec![bad]).unwrap_err().code(), codes::DAML_AUTHORIZATION_ERROR);
}

#[test]
fn results_may_not_nest_too_deeply() {
    let mut ledger = ledger();
    let create = ledger.create("M", "T", t(true));
    let id = created(&ledger.submit(&["alice"], vec![create]).unwrap()).remove(0);
    let deep = ledger.exercise("M", "T", &id, "Deep", Value::record([]));
    assert_eq!(ledger.submit(&["alice"], vec![deep]).unwrap_err(), EngineError::ValueNesting);
}

#[test]
fn time_is_compared_strictly() {
    let (mut ledger, id) = tester();
    for (micros, expected) in [(-1, false), (0, false), (1, true)] {
        let limit = Value::Timestamp(Timestamp::from_micros(micros).unwrap());
        let before = ledger.exercise("M", "Tester", &id, "Before", Value::record([limit]));
        assert_eq!(result(&ledger.submit(&["alice"], vec![before]).unwrap()), Value::Bool(expected));
    }
}

#[test]
fn create_and_exercise_is_two_actions() {
    let mut ledger = ledger();
    let command = Command::CreateAndExercise {
        template: ledger.ty("M", "T"),
        create_argument: t(true),
        choice: name("Archive"),
        choice_argument: Value::record([]),
    };
    let transaction = ledger.submit(&["alice"], vec![command.clone(), command]).unwrap();
    assert_eq!(shape(&transaction), "CX[]CX[]");
    let ids = created(&transaction);
    assert_ne!(ids[0], ids[1]);
    assert!(ledger.contracts.is_empty());
}

#[test]
fn a_missing_package_is_asked_for_and_may_come_later() {
    let package = pure::model(MODEL, "1.0.0");
    let (mut ledger, id) = (ledger(), package.id().clone());
    let create = ledger.create("M", "T", t(true));
    let submission = ledger.submission(&["alice"], vec![create]);
    let engine = Engine::new();
    let mut run = engine.submit(submission.clone()).unwrap();
    assert_eq!(run.step(1000), Step::Need(Question::Package(id.clone())));
    engine.add_package(std::sync::Arc::new(package));
    assert!(matches!(run.step(1_000_000), Step::Done(_)));
    let mut run = Engine::new().submit(submission).unwrap();
    run.step(1000);
    assert_eq!(run.step(1000), Step::Error(EngineError::MissingPackage(id)));
}
