//! Requests that somebody changed: a submitter that lies about what Daml says, and bytes that change on their way. The
//! confirming participant refuses both, and nothing takes effect anywhere.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod common;

use base::{Identifier, Name, PackageId};
use common::{
    World,
    interpreter::{self, OneTemplate},
};
use ledger::CompletionOutcome;
use ledger_api::Enrich;
use participant::{Dar, Interpretation, InterpretationError, Interpreted, Interpreter, Lookup};
use participant_core::Reinterpret;
use std::sync::Arc;
use store::{Migration, Migrations};
use transaction::{Node, Transaction, Value};

/// An engine that lets its own submitter archive whatever it sees.
struct Liar;

impl Enrich for Liar {
    fn contract(&self, template: &Identifier, argument: &Value) -> Value {
        OneTemplate.contract(template, argument)
    }
    fn choice_argument(&self, owner: &Identifier, choice: &Name, argument: &Value) -> Value {
        OneTemplate.choice_argument(owner, choice, argument)
    }
    fn choice_result(&self, owner: &Identifier, choice: &Name, result: &Value) -> Value {
        OneTemplate.choice_result(owner, choice, result)
    }
}

fn with_actors(transaction: &Transaction, actors: &transaction::Parties) -> Transaction {
    let changed = |node: &Node| match node {
        Node::Exercise(exercise) => {
            Node::Exercise(transaction::Exercise { actors: actors.clone(), ..exercise.clone() })
        }
        other => other.clone(),
    };
    let nodes = transaction.nodes().map(|(_, node)| changed(node)).collect();
    Transaction::new(nodes, transaction.roots().to_vec()).unwrap()
}

impl Interpreter for Liar {
    fn interpret(&self, input: &Interpretation, lookup: Lookup<'_>) -> Result<Interpreted, InterpretationError> {
        let interpreted = OneTemplate.interpret(input, lookup)?;
        let transaction = with_actors(&interpreted.transaction, &input.act_as);
        Ok(Interpreted { transaction, ..interpreted })
    }

    fn reinterpret(&self, input: &Reinterpret) -> Result<Transaction, String> {
        OneTemplate.reinterpret(input).map(|transaction| with_actors(&transaction, &input.authorizers))
    }

    fn read_dar(&self, dar: &[u8]) -> Result<Dar, InterpretationError> {
        OneTemplate.read_dar(dar)
    }

    fn add_package(&self, id: &PackageId, payload: &[u8]) -> Result<(), InterpretationError> {
        OneTemplate.add_package(id, payload)
    }

    fn has_package(&self, id: &PackageId) -> bool {
        OneTemplate.has_package(id)
    }
}

fn code(outcome: CompletionOutcome) -> String {
    match outcome {
        CompletionOutcome::Rejected { code, .. } => code.id.to_owned(),
        committed @ CompletionOutcome::Committed(_) => panic!("it took effect: {committed:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_daml_does_not_say_is_refused_by_the_confirming_participant() {
    let world = World::of(vec![Arc::new(Liar), Arc::new(OneTemplate)], &[]).await;
    world.upload(b"dar").await;
    let (alice, bob) = (world.party(0, "alice").await, world.party(1, "bob").await);
    let [liar, honest] = [&world.participants[0], &world.participants[1]];
    // Bob's contract, which Alice sees but may not archive.
    honest.submit("create", &bob, interpreter::create(&bob, &alice, 1)).await.unwrap();
    honest.committed("create").await;
    world.shown(0, 1).await;
    let end = honest.ledger.end().await.unwrap();
    let contract = honest.ledger.active_contracts(end, (0, -1), 1).await.unwrap().remove(0).contract.id;
    liar.submit("steal", &alice, interpreter::archive(&contract)).await.unwrap();
    assert_eq!(code(liar.completion("steal").await), base::codes::LOCAL_VERDICT_FAILED_MODEL_CONFORMANCE_CHECK.id);
    // Its owner still has it.
    honest.submit("archive", &bob, interpreter::archive(&contract)).await.unwrap();
    honest.committed("archive").await;
    world.shown(0, 2).await;
    assert_eq!(world.updates(0).await, world.updates(1).await);
}

/// The sequencers' database changes the first view that it sees: four bytes of its encrypted content, some way behind the
/// beginning of the envelope's (version 1, then field 11).
const CHANGES_A_VIEW: Migrations = Migrations {
    component: "tampering",
    steps: &[Migration {
        version: 1,
        name: "a malicious operator",
        sql: "create trigger tampering after insert on sequencer_events
              when (select count(*) from sequencer_events where instr(submission, x'08015a') > 0) = 1
                and instr(new.submission, x'08015a') > 0 begin
                update sequencer_events set submission = cast(
                    substr(submission, 1, instr(submission, x'08015a') + 40) || x'00000000' ||
                    substr(submission, instr(submission, x'08015a') + 45) as blob) where ts = new.ts;
              end",
    }],
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_changes_on_its_way_takes_no_effect() {
    let world = World::of(vec![Arc::new(OneTemplate), Arc::new(OneTemplate)], &[CHANGES_A_VIEW]).await;
    world.upload(b"dar").await;
    let (alice, bob) = (world.party(0, "alice").await, world.party(1, "bob").await);
    let submitter = &world.participants[0];
    submitter.submit("changed", &alice, interpreter::create_text(&alice, &bob, "pay ten")).await.unwrap();
    let code = code(submitter.completion("changed").await);
    assert!(code.starts_with("LOCAL_VERDICT_MALFORMED"), "{code}");
    // What is not touched goes through.
    submitter.submit("whole", &alice, interpreter::create_text(&alice, &bob, "pay six")).await.unwrap();
    submitter.committed("whole").await;
    world.shown(1, 1).await;
    assert_eq!(world.updates(0).await, world.updates(1).await);
    assert_eq!(world.updates(0).await.len(), 1);
}
