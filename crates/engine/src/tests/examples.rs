//! Models of the field's examples.

use super::*;
use base::{Coded, codes};

const PING: &str = "canton-builtin-admin-workflow-ping.daa9546f.dar";
const EXAMPLES: &str = "CantonExamples.38731509.dar";

fn ping(ledger: &Ledger) -> Command {
    let argument = Value::labelled(
        None,
        [("id", Value::text("1")), ("initiator", party("alice").into()), ("responder", party("bob").into())]
            .map(|(label, value)| (name(label), value)),
    );
    ledger.create("Canton.Internal.Ping", "Ping", argument)
}

#[test]
fn ping_pong() {
    let Some(mut ledger) = Ledger::new(PING) else { return };
    let transaction = ledger.submit(&["alice"], vec![ping(&ledger)]).unwrap();
    let id = created(&transaction).remove(0);
    let Node::Create(create) = node(&transaction, 0) else { panic!("not a create") };
    assert_eq!(create.instance.signatories, parties(&["alice"]));
    assert_eq!(create.instance.stakeholders, parties(&["alice", "bob"]));
    let respond = ledger.exercise("Canton.Internal.Ping", "Ping", &id, "Respond", Value::record([]));
    let error = ledger.submit(&["alice"], vec![respond.clone()]).unwrap_err();
    assert_eq!(error.code(), codes::DAML_AUTHORIZATION_ERROR);
    let transaction = ledger.submit(&["bob"], vec![respond.clone()]).unwrap();
    let Node::Exercise(exercise) = node(&transaction, 0) else { panic!("not an exercise") };
    assert_eq!((exercise.consuming, exercise.result.clone()), (true, Some(Value::Unit)));
    let error = ledger.submit(&["bob"], vec![respond]).unwrap_err();
    assert_eq!(error.code(), codes::CONTRACT_NOT_FOUND);
}

fn iou(ledger: &Ledger, payer: &str, owner: &str) -> Command {
    let amount = Value::record([transaction::Numeric::parse("3.5", 1).unwrap().into(), Value::text("EUR")]);
    let argument = Value::record([party(payer).into(), party(owner).into(), amount, Value::list([])]);
    ledger.create("Iou", "Iou", argument)
}

#[test]
fn iou_is_created_and_transferred() {
    let Some(mut ledger) = Ledger::new(EXAMPLES) else { return };
    let transaction = ledger.submit(&["bank"], vec![iou(&ledger, "bank", "alice")]).unwrap();
    let first = created(&transaction).remove(0);
    let transfer = ledger.exercise("Iou", "Iou", &first, "Transfer", Value::record([party("bob").into()]));
    let twice = ledger.submit(&["alice"], vec![transfer.clone(), transfer.clone()]).unwrap_err();
    assert_eq!(twice.code(), codes::CONTRACT_NOT_ACTIVE);
    let transaction = ledger.submit(&["alice"], vec![transfer]).unwrap();
    let second = created(&transaction).remove(0);
    let Node::Create(create) = node(&transaction, 1) else { panic!("not a create") };
    assert_eq!(create.instance.signatories, parties(&["bank"]));
    assert!(create.instance.stakeholders.contains(&party("bob")));
    let call = ledger.exercise("Iou", "Iou", &second, "Call", Value::record([]));
    ledger.submit(&["bob"], vec![call]).unwrap();
}

#[test]
fn wrong_commands_are_refused_before_anything_runs() {
    let Some(mut ledger) = Ledger::new(EXAMPLES) else { return };
    let code = |ledger: &mut Ledger, command: Command| ledger.submit(&["bank"], vec![command]).unwrap_err().code();
    let create = ledger.create("Iou", "Iou", Value::record([]));
    assert_eq!(code(&mut ledger, create), codes::COMMAND_PREPROCESSING_FAILED);
    let create = ledger.create("Iou", "Iou", Value::Unit);
    assert_eq!(code(&mut ledger, create), codes::COMMAND_PREPROCESSING_FAILED);
    let create = ledger.create("Iou", "Nope", Value::record([]));
    assert_eq!(code(&mut ledger, create), codes::TEMPLATES_OR_INTERFACES_NOT_FOUND);
    let id = ContractId::v1(&Hash([1; 32]), &[1, 2]).unwrap();
    let exercise = ledger.exercise("Iou", "Iou", &id, "Nope", Value::record([]));
    assert_eq!(code(&mut ledger, exercise), codes::COMMAND_PREPROCESSING_FAILED);
    let exercise = ledger.exercise("Iou", "Iou", &id, "Archive", Value::record([]));
    assert_eq!(code(&mut ledger, exercise), codes::CONTRACT_NOT_FOUND);
}

#[test]
fn paint_offer_is_accepted() {
    let Some(mut ledger) = Ledger::new(EXAMPLES) else { return };
    let transaction = ledger.submit(&["bank"], vec![iou(&ledger, "bank", "owner")]).unwrap();
    let iou = created(&transaction).remove(0);
    let amount = Value::record([transaction::Numeric::parse("3.5", 1).unwrap().into(), Value::text("EUR")]);
    let offer = Value::record([party("owner").into(), party("painter").into(), party("bank").into(), amount]);
    let offer = ledger.create("Paint", "OfferToPaintHouseByPainter", offer);
    let transaction = ledger.submit(&["painter"], vec![offer]).unwrap();
    let offer = created(&transaction).remove(0);
    let argument = Value::record([iou.into()]);
    let accept = ledger.exercise("Paint", "OfferToPaintHouseByPainter", &offer, "AcceptByOwner", argument);
    assert!(ledger.submit(&["painter"], vec![accept.clone()]).is_err());
    let transaction = ledger.submit(&["owner"], vec![accept]).unwrap();
    let templates = transaction.nodes().filter_map(|(_, node)| node.template().map(|id| id.entity.to_string()));
    assert_eq!(templates.filter(|entity| entity == "PaintHouse").count(), 1);
}

#[test]
fn values_are_shown_with_labels() {
    let Some(mut ledger) = Ledger::new(EXAMPLES) else { return };
    let transaction = ledger.submit(&["bank"], vec![iou(&ledger, "bank", "alice")]).unwrap();
    let Node::Create(create) = node(&transaction, 0) else { panic!("not a create") };
    let shown = ledger.engine.enrich_contract(&create.instance.template, &create.instance.argument);
    let Value::Record(record) = &shown else { panic!("not a record") };
    assert_eq!(record.id.as_ref(), Some(&create.instance.template));
    assert_eq!(record.fields[0].label, Some(name("payer")));
    let Value::Record(amount) = &record.fields[2].value else { panic!("not a record") };
    assert_eq!(amount.fields[1].label, Some(name("currency")));
    // What is shown is also accepted.
    let command = ledger.create("Iou", "Iou", shown);
    ledger.submit(&["bank"], vec![command]).unwrap();
}
