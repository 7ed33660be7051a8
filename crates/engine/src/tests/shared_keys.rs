//! Contract keys of LF 2.3, of which several contracts may have the same. Nobody's compiler makes such packages here, so
//! the model is written in LF text.

use super::*;
use crate::value::V;
use base::{Coded, codes};
use transaction::{NodeVersion, QueryByKey};

const MODEL: &str = include_str!("shared_keys.lf");

impl Ledger {
    /// A ledger with the model, and with the field's package of pairs.
    fn of_shared_keys() -> Option<Self> {
        let (engine, _) = load("CantonExamples.38731509.dar")?;
        let pairs = lf::tuple2().package;
        let source = MODEL.replace("TUPLES", &format!("'{pairs}'"));
        let model = pure::model(&source, "1.0.0");
        let pairs = engine.package(&pairs).unwrap();
        lf::check_package(&model, [&*pairs].into_iter()).unwrap();
        let (own, main) = (Engine::new(), model.id().clone());
        own.add_package(pairs);
        own.add_package(std::sync::Arc::new(model));
        Some(Self { engine: own, main, contracts: BTreeMap::new(), count: 0 })
    }

    fn open(&mut self, balance: i64) -> ContractId {
        let fields = [party("alice").into(), Value::text("k"), Value::Int64(balance)];
        created(&self.new_contract("Account", fields)).remove(0)
    }

    fn new_contract(&mut self, entity: &str, fields: impl IntoIterator<Item = Value>) -> Transaction {
        let command = self.create("Keys", entity, Value::record(fields));
        self.commit(&["alice"], command).unwrap()
    }

    /// Alice's teller does something.
    fn tell(&mut self, choice: &str, argument: Value) -> Result<Transaction, EngineError> {
        let teller = created(&self.new_contract("Teller", [party("alice").into()])).remove(0);
        let command = self.exercise("Keys", "Teller", &teller, choice, argument);
        self.commit(&["alice"], command)
    }
}

fn result(transaction: &Transaction) -> Value {
    let Node::Exercise(exercise) = node(transaction, 0) else { panic!("not an exercise: {transaction:?}") };
    exercise.result.clone().unwrap()
}

/// Ids and balances of a list of pairs.
fn accounts(found: &Value) -> Vec<(ContractId, i64)> {
    let Value::List(pairs) = found else { panic!("no list: {found:?}") };
    let pair = |pair: &Value| {
        let Value::Record(pair) = pair else { panic!("no pair: {pair:?}") };
        let (Value::ContractId(id), Value::Record(account)) = (&pair.fields[0].value, &pair.fields[1].value) else {
            panic!("no contract: {pair:?}")
        };
        let Value::Int64(balance) = account.fields[2].value else { panic!("no balance: {account:?}") };
        (id.clone(), balance)
    };
    pairs.iter().map(pair).collect()
}

fn ask(count: i64) -> Value {
    Value::record([Value::text("k"), Value::Int64(count)])
}

fn query(transaction: &Transaction) -> QueryByKey {
    let found = transaction.nodes().find_map(|(_, node)| match node {
        Node::QueryByKey(query) => Some(query.clone()),
        _ => None,
    });
    found.unwrap()
}

#[test]
fn several_contracts_have_one_key() {
    let Some(mut ledger) = Ledger::of_shared_keys() else { return };
    let none = ledger.tell("Query", ask(2)).unwrap();
    assert_eq!(accounts(&result(&none)), []);
    let mut opened = [(ledger.open(1), 1), (ledger.open(2), 2), (ledger.open(3), 3)];
    // The ledger of these tests has them in the order of their ids.
    opened.sort();
    for count in 1..=4_u8 {
        let expected = &opened[..usize::from(count).min(3)];
        let transaction = ledger.tell("Query", ask(count.into())).unwrap();
        assert_eq!(accounts(&result(&transaction)), expected);
        let query = query(&transaction);
        let ids: Vec<_> = expected.iter().map(|(id, _)| id.clone()).collect();
        assert_eq!((query.result, query.exhaustive, query.version), (ids, count == 4, NodeVersion::V2_2));
        assert_eq!(query.key.maintainers, parties(&["alice"]));
        assert_eq!(transaction.nodes().count(), 2, "found contracts are not fetched once more");
    }
    for count in [0, -1, i64::MIN] {
        assert_eq!(ledger.tell("Query", ask(count)).unwrap_err().code(), codes::INTERPRETATION_USER_ERROR);
    }
    assert_eq!(accounts(&result(&ledger.tell("Query", ask(i64::MAX)).unwrap())), opened);
}

/// Keys are those of all versions of a package.
#[test]
fn a_newer_version_finds_contracts_of_the_older() {
    let Some(mut ledger) = Ledger::of_shared_keys() else { return };
    let id = ledger.open(4);
    let pairs = lf::tuple2().package;
    let newer = pure::model(&MODEL.replace("TUPLES", &format!("'{pairs}'")), "1.1.0");
    ledger.main = newer.id().clone();
    ledger.engine.add_package(std::sync::Arc::new(newer));
    let transaction = ledger.tell("Fetch", Value::text("k")).unwrap();
    assert_eq!(accounts(&Value::list([result(&transaction)])), [(id.clone(), 4)]);
    let Node::Fetch(fetch) = node(&transaction, 1) else { panic!("not a fetch: {transaction:?}") };
    assert_eq!((&fetch.contract_id, &fetch.template.package), (&id, &ledger.main));
}

#[test]
fn one_contract_of_a_key_is_fetched() {
    let Some(mut ledger) = Ledger::of_shared_keys() else { return };
    let missing = ledger.tell("Fetch", Value::text("k")).unwrap_err();
    assert_eq!(missing.code(), codes::CONTRACT_KEY_NOT_FOUND);
    let id = ledger.open(5);
    let transaction = ledger.tell("Fetch", Value::text("k")).unwrap();
    assert_eq!(accounts(&Value::list([result(&transaction)])), [(id.clone(), 5)]);
    let Node::Fetch(fetch) = node(&transaction, 1) else { panic!("not a fetch: {transaction:?}") };
    assert_eq!((&fetch.contract_id, fetch.by_key, fetch.version), (&id, true, NodeVersion::V2_2));
    let hash = fetch.key.as_ref().unwrap().hash;
    let template = ledger.ty("Keys", "Account");
    let template = Identifier { package: ledger.main.clone(), module: template.module, entity: template.entity };
    let value = Value::record([party("alice").into(), Value::text("k")]);
    assert_eq!(ledger.engine.key(&template, &value).unwrap().hash, hash);
}

/// What the transaction created comes first, what it archived not at all.
#[test]
fn a_transaction_sees_what_it_did_itself() {
    let Some(mut ledger) = Ledger::of_shared_keys() else { return };
    let mut opened = [(ledger.open(1), 1), (ledger.open(2), 2), (ledger.open(3), 3)];
    opened.sort();
    let transaction = ledger.tell("Turn", Value::text("k")).unwrap();
    let expected = opened[0].1 + 100 + 1000 * opened[1].1;
    assert_eq!(result(&transaction), Value::Int64(expected));
    assert_eq!(accounts(&result(&ledger.tell("Query", ask(9)).unwrap())), opened[1..]);
}

#[test]
fn keys_are_their_maintainers() {
    let Some(mut ledger) = Ledger::of_shared_keys() else { return };
    let clerk = created(&ledger.new_contract("Clerk", [party("alice").into(), party("bob").into()])).remove(0);
    let command = ledger.exercise("Keys", "Clerk", &clerk, "Pry", Value::text("k"));
    assert_eq!(ledger.commit(&["alice"], command).unwrap_err().code(), codes::DAML_AUTHORIZATION_ERROR);
}

/// A ledger that says these are all, and then comes with another one, has changed meanwhile.
#[test]
fn a_ledger_that_contradicts_itself_is_noticed() {
    let Some(mut ledger) = Ledger::of_shared_keys() else { return };
    let hidden = ledger.open(1);
    ledger.open(2);
    let teller = created(&ledger.new_contract("Teller", [party("alice").into()])).remove(0);
    for (choice, listed) in [("Both", true), ("Both", false), ("BothAround", true), ("BothAround", false)] {
        let command = ledger.exercise("Keys", "Teller", &teller, choice, hidden.clone().into());
        let submission = ledger.submission(&["alice"], vec![command]);
        let mut run = ledger.engine.submit(submission).unwrap();
        let end = loop {
            match run.step(1000) {
                Step::Need(Question::Contract(id)) => run.answer_contract(ledger.contracts.get(&id).cloned()).unwrap(),
                Step::Need(Question::Key { .. }) => {
                    let all = ledger.contracts.iter().filter(|(_, instance)| instance.key.is_some());
                    let told = all.map(|(id, _)| id).filter(|id| listed || **id != hidden).cloned();
                    run.answer_key(told.collect()).unwrap();
                }
                Step::Interrupted => {}
                Step::Need(Question::Package(id)) => panic!("package {id} is missing"),
                end => break end,
            }
        };
        match end {
            Step::Done(outcome) => assert!(listed, "{choice}: {outcome:?}"),
            Step::Error(error) => assert_eq!((error.code(), listed), (codes::INCONSISTENT_CONTRACT_KEY, false)),
            other => panic!("{other:?}"),
        }
    }
}

/// What else LF 2.3 brought.
#[test]
fn keys_of_signatures_are_validated() {
    let Some(ledger) = Ledger::of_shared_keys() else { return };
    let valid =
        Identifier { package: ledger.main.clone(), module: "Keys".parse().unwrap(), entity: "valid".parse().unwrap() };
    let (_, public) = crypto::secp256k1_key_pair(&[7; 32]).unwrap();
    let key: String = public.iter().map(|byte| format!("{byte:02x}")).collect();
    let validate = |key: &str| pure::evaluate(&ledger.engine, &valid, vec![V::text(key)]).0;
    assert!(matches!(validate(&key), Ok(V::Bool(true))));
    assert_eq!(validate("00").unwrap_err().code(), codes::INTERPRETATION_CRYPTO_ERROR_MALFORMED_KEY);
    assert_eq!(validate("zz").unwrap_err().code(), codes::INTERPRETATION_CRYPTO_ERROR_MALFORMED_BYTE_ENCODING);
}

#[test]
fn only_reading_can_be_undone() {
    let Some(mut ledger) = Ledger::of_shared_keys() else { return };
    ledger.open(1);
    for choice in ["UndoCreate", "UndoClose"] {
        let error = ledger.tell(choice, Value::text("k")).unwrap_err();
        assert_eq!(error.code(), codes::DAML_EFFECTFUL_ROLLBACK_ERROR, "{choice}");
        assert!(error.to_string().contains("Keys:Account"), "{error}");
    }
    assert_eq!(result(&ledger.tell("UndoRead", Value::text("k")).unwrap()), Value::Int64(7));
    assert_eq!(accounts(&result(&ledger.tell("Query", ask(2)).unwrap())).len(), 1);
}

#[test]
fn a_contract_is_its_own_key() {
    let Some(mut ledger) = Ledger::of_shared_keys() else { return };
    let badge = ledger.new_contract("Badge", [party("alice").into()]);
    let Node::Create(create) = node(&badge, 0) else { panic!("not a creation: {badge:?}") };
    let key = create.instance.key.clone().unwrap();
    assert_eq!((key.value, key.maintainers), (create.instance.argument.clone(), [party("alice")].into()));
}
