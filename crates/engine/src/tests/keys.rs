//! Contract keys of LF 1, with the field's models for them; numbers are those of the cases in spec/daml-lf.md §5.3.

use super::*;
use base::{Coded, codes};

const MODEL: &str = "model-tests-1.15.0757811f.dar";
const SEMANTIC: &str = "semantic-tests-1.15.f4c87b81.dar";

impl Ledger {
    fn made(&mut self, entity: &str, fields: &[Value], act_as: &[&str]) -> Result<ContractId, EngineError> {
        let command = self.create("Test", entity, Value::record(fields.iter().cloned()));
        Ok(created(&self.commit(act_as, command)?).remove(0))
    }

    fn operate(&mut self, id: &ContractId, choice: &str, fields: &[Value]) -> Result<Transaction, EngineError> {
        let argument = Value::record(fields.iter().cloned());
        let command = self.exercise("Test", "TextKeyOperations", id, choice, argument);
        self.commit(&["alice"], command)
    }

    fn text_key(&mut self, key: &str) -> Result<ContractId, EngineError> {
        self.made("TextKey", &[party("alice").into(), Value::text(key), Value::list([])], &["alice"])
    }
}

fn key(text: &str) -> Value {
    Value::record([party("alice").into(), Value::text(text)])
}

/// 18: one contract has a key, and after it was consumed none.
#[test]
fn a_key_has_one_active_contract() {
    let Some(mut ledger) = Ledger::new(MODEL) else { return };
    let first = ledger.text_key("k1").unwrap();
    assert_eq!(ledger.text_key("k1").unwrap_err().code(), codes::DUPLICATE_CONTRACT_KEY);
    let operations = ledger.made("TextKeyOperations", &[party("alice").into()], &["alice"]).unwrap();
    let some = |id: &ContractId| Value::some(id.clone().into());
    ledger.operate(&operations, "TKOLookup", &[key("k1"), some(&first)]).unwrap();
    ledger.operate(&operations, "TKOLookup", &[key("k2"), Value::none()]).unwrap();
    assert!(ledger.operate(&operations, "TKOLookup", &[key("k1"), Value::none()]).is_err());
    ledger.operate(&operations, "TKOFetch", &[key("k1"), first.clone().into()]).unwrap();
    let error = ledger.operate(&operations, "TKOFetch", &[key("k2"), first.clone().into()]).unwrap_err();
    assert_eq!(error.code(), codes::CONTRACT_KEY_NOT_FOUND);
    // Archived in the transaction, it is not found in it any more; afterwards the key is free.
    ledger.operate(&operations, "TKOConsumeAndLookup", &[first.into(), key("k1")]).unwrap();
    ledger.text_key("k1").unwrap();
}

/// 18: keys are their maintainers', who must be signatories.
#[test]
fn only_maintainers_look_keys_up() {
    let Some(mut ledger) = Ledger::new(MODEL) else { return };
    ledger.text_key("k1").unwrap();
    let of_bob = ledger.made("TextKeyOperations", &[party("bob").into()], &["bob"]).unwrap();
    let argument = Value::record([key("k1"), Value::none()]);
    let lookup = ledger.exercise("Test", "TextKeyOperations", &of_bob, "TKOLookup", argument);
    assert_eq!(ledger.commit(&["bob"], lookup).unwrap_err().code(), codes::DAML_AUTHORIZATION_ERROR);
    let fields = [party("alice").into(), party("bob").into()];
    let error = ledger.made("MaintainerNotSignatory", &fields, &["alice"]).unwrap_err();
    assert_eq!(error.code(), codes::DAML_AUTHORIZATION_ERROR);
}

/// 19 and 20: a key is free as soon as its contract is consumed.
#[test]
fn keys_are_free_again_within_a_transaction() {
    let Some(mut ledger) = Ledger::new(MODEL) else { return };
    let delegated = ledger.made("Delegated", &[party("alice").into(), Value::text("k")], &["alice"]).unwrap();
    let transaction = {
        let recreate = ledger.exercise("Test", "Delegated", &delegated, "Recreate", Value::record([]));
        ledger.commit(&["alice"], recreate).unwrap()
    };
    assert_eq!(transaction.nodes().count(), 2);
    let (Node::Exercise(consumed), Node::Create(again)) = (node(&transaction, 0), node(&transaction, 1)) else {
        panic!("something else happened: {transaction:?}")
    };
    assert_eq!((consumed.contract_id.clone(), &consumed.key), (delegated.clone(), &again.instance.key));
    let again = again.contract_id.clone();
    assert_ne!(again, delegated);
    for _ in 0..2 {
        let argument = Value::record([Value::text("k2")]);
        let transient = ledger.exercise("Test", "Delegated", &again, "CreateAnotherAndArchive", argument);
        ledger.commit(&["alice"], transient).unwrap();
    }
}

#[test]
fn commands_name_contracts_by_their_keys() {
    let Some(mut ledger) = Ledger::new(MODEL) else { return };
    let id = ledger.text_key("k1").unwrap();
    let by_key = |ledger: &Ledger, text: &str| Command::ExerciseByKey {
        template: ledger.ty("Test", "TextKey"),
        key: key(text),
        choice: name("TextKeyChoice"),
        argument: Value::record([]),
    };
    let unknown = by_key(&ledger, "k2");
    assert_eq!(ledger.commit(&["alice"], unknown).unwrap_err().code(), codes::CONTRACT_KEY_NOT_FOUND);
    let known = by_key(&ledger, "k1");
    let transaction = ledger.commit(&["alice"], known.clone()).unwrap();
    let Node::Exercise(exercise) = node(&transaction, 0) else { panic!("not an exercise") };
    assert_eq!((&exercise.contract_id, exercise.by_key), (&id, true));
    assert_eq!(exercise.key.as_ref().unwrap().maintainers, parties(&["alice"]));
    // The choice archives it.
    assert_eq!(ledger.commit(&["alice"], known).unwrap_err().code(), codes::CONTRACT_KEY_NOT_FOUND);
}

/// 11 and 12: what a `try` undoes it undoes for keys, too.
#[test]
fn keys_are_rolled_back() {
    let Some(mut ledger) = Ledger::new(SEMANTIC) else { return };
    let module = "Exceptions";
    let alice: Value = party("alice").into();
    let make = |ledger: &mut Ledger, entity: &str| {
        let command = ledger.create(module, entity, Value::record([alice.clone()]));
        ledger.commit(&["alice"], command).map(|transaction| created(&transaction).remove(0))
    };
    let tester = make(&mut ledger, "ExceptionTester").unwrap();
    let run = |ledger: &mut Ledger, choice: &str| {
        let command = ledger.exercise(module, "ExceptionTester", &tester, choice, Value::record([]));
        ledger.commit(&["alice"], command)
    };
    run(&mut ledger, "DuplicateKey").unwrap();
    assert_eq!(run(&mut ledger, "FetchKey").unwrap_err().code(), codes::CONTRACT_KEY_NOT_FOUND);
    make(&mut ledger, "WithSimpleKey").unwrap();
    assert_eq!(run(&mut ledger, "DuplicateKey").unwrap_err().code(), codes::DUPLICATE_CONTRACT_KEY);
    run(&mut ledger, "FetchKey").unwrap();
}
