//! Cases of the field's own suites, with its models compiled to LF 1.15 (spec/daml-lf.md §5.3; numbers are that page's).

use super::*;
use base::{Coded, ErrorCode, codes};

const SEMANTIC: &str = "semantic-tests-1.15.f4c87b81.dar";
const MODEL: &str = "model-tests-1.15.0757811f.dar";

fn record(fields: impl IntoIterator<Item = Value>) -> Value {
    Value::record(fields)
}

fn amount() -> Value {
    record([transaction::Numeric::parse("1", 10).unwrap().into(), Value::text("GBP")])
}

impl Ledger {
    fn code(&mut self, act_as: &str, commands: Vec<Command>) -> Option<ErrorCode> {
        self.submit(&[act_as], commands).err().map(|error| error.code())
    }

    /// Creates one contract.
    fn one(&mut self, act_as: &str, module: &str, entity: &str, argument: Value) -> ContractId {
        let command = self.create(module, entity, argument);
        created(&self.submit(&[act_as], vec![command]).unwrap()).remove(0)
    }

    fn iou(&mut self, payer: &str, owner: &str) -> ContractId {
        let argument = record([party(payer).into(), party(owner).into(), amount()]);
        self.one(payer, "SemanticTests", "Iou", argument)
    }
}

/// 1 and 2: a contract is spent once.
#[test]
fn double_spends_are_refused() {
    let Some(mut ledger) = Ledger::new(SEMANTIC) else { return };
    let iou = ledger.iou("payer", "owner");
    let to = |owner: &str| record([party(owner).into()]);
    let transfer = |ledger: &Ledger, owner| ledger.exercise("SemanticTests", "Iou", &iou, "Transfer", to(owner));
    let twice = vec![transfer(&ledger, "a"), transfer(&ledger, "b")];
    assert_eq!(ledger.code("owner", twice), Some(codes::CONTRACT_NOT_ACTIVE));
    let (first, second) = (transfer(&ledger, "a"), transfer(&ledger, "b"));
    assert_eq!(ledger.code("owner", vec![first]), None);
    assert_eq!(ledger.code("owner", vec![second]), Some(codes::CONTRACT_NOT_FOUND));
}

/// 3, 4 and 5: an agreement needs both.
#[test]
fn a_house_is_painted_with_the_authority_of_both() {
    let Some(mut ledger) = Ledger::new(SEMANTIC) else { return };
    let both = [party("painter").into(), party("houseOwner").into()];
    let agree = ledger.create("SemanticTests", "PaintAgree", record(both.clone()));
    assert_eq!(ledger.code("houseOwner", vec![agree]), Some(codes::DAML_AUTHORIZATION_ERROR));
    let iou = ledger.iou("bank", "houseOwner");
    let offer = record(both.into_iter().chain([party("bank").into(), amount()]));
    let offer = ledger.one("painter", "SemanticTests", "PaintOffer", offer);
    let accept = ledger.exercise("SemanticTests", "PaintOffer", &offer, "PaintOffer_Accept", record([iou.into()]));
    assert_eq!(ledger.code("painter", vec![accept.clone()]), Some(codes::DAML_AUTHORIZATION_ERROR));
    let transaction = ledger.submit(&["houseOwner"], vec![accept]).unwrap();
    let agreements = transaction.nodes().filter_map(|(_, node)| match node {
        Node::Create(create) if create.instance.template.entity.as_str() == "PaintAgree" => Some(create),
        _ => None,
    });
    let agreements: Vec<_> = agreements.collect();
    assert_eq!(agreements.len(), 1);
    assert_eq!(agreements[0].instance.signatories, parties(&["painter", "houseOwner"]));
    assert_eq!(agreements[0].version, transaction::NodeVersion::V15);
}

/// 7, 8, 9 and 10: exceptions, and what they undo.
#[test]
fn exceptions_are_caught_and_undo_what_was_done() {
    let Some(mut ledger) = Ledger::new(SEMANTIC) else { return };
    let tester = ledger.one("p", "Exceptions", "ExceptionTester", record([party("p").into()]));
    let other = ledger.one("p", "Exceptions", "ExceptionTester", record([party("p").into()]));
    let choose = |ledger: &Ledger, choice: &str, argument: Value| {
        vec![ledger.exercise("Exceptions", "ExceptionTester", &tester, choice, argument)]
    };
    let throw = choose(&ledger, "ThrowUncaught", record([]));
    let error = ledger.submit(&["p"], throw).unwrap_err();
    assert!(error.to_string().contains("UNHANDLED_EXCEPTION/Exceptions:E"), "{error}");
    for choice in ["ThrowCaught", "NestedCatch"] {
        let command = choose(&ledger, choice, record([]));
        let transaction = ledger.submit(&["p"], command).unwrap();
        assert!(matches!(node(&transaction, 0), Node::Exercise(exercise) if exercise.choice.as_str() == choice));
    }
    let command = choose(&ledger, "RollbackCreate", record([]));
    let transaction = ledger.submit(&["p"], command).unwrap();
    let undone = transaction.rolled_back();
    let mut creates = transaction.nodes().filter(|(_, node)| matches!(node, Node::Create(_))).peekable();
    assert!(creates.peek().is_some());
    assert!(creates.all(|(id, _)| undone[usize::try_from(id.0).unwrap()]));
    let fetch = choose(&ledger, "RollbackFetch", record([other.clone().into()]));
    assert_eq!(ledger.code("p", fetch.clone()), None);
    let archive = ledger.exercise("Exceptions", "ExceptionTester", &other, "Archive", record([]));
    assert_eq!(ledger.code("p", vec![archive]), None);
    assert_eq!(ledger.code("p", fetch), Some(codes::CONTRACT_NOT_FOUND));
}

/// 13: values may be nested 100 deep.
#[test]
fn nesting_of_values_is_bounded() {
    let Some(mut ledger) = Ledger::new(SEMANTIC) else { return };
    let deep = |depth: u32| {
        let nest = |value, constructor: &str| {
            Value::Variant(transaction::Variant { id: None, constructor: name(constructor), value }.into())
        };
        (0..depth).fold(nest(Value::Unit, "Z"), |value, _| nest(value, "S"))
    };
    let contract = |ledger: &Ledger, depth: u32| {
        let argument = record([party("p").into(), Value::Int64(1), deep(depth)]);
        vec![ledger.create("DeeplyNestedValue", "Contract", argument)]
    };
    let (fits, too_deep) = (contract(&ledger, 90), contract(&ledger, 110));
    assert_eq!(ledger.code("p", fits), None);
    assert_eq!(ledger.code("p", too_deep), Some(codes::COMMAND_PREPROCESSING_FAILED));
    let handler = ledger.one("p", "DeeplyNestedValue", "Handler", record([party("p").into()]));
    let create = |ledger: &Ledger, depth: i64| {
        vec![ledger.exercise("DeeplyNestedValue", "Handler", &handler, "Create", record([Value::Int64(depth)]))]
    };
    let (fits, too_deep) = (create(&ledger, 90), create(&ledger, 110));
    assert_eq!(ledger.code("p", fits), None);
    assert_eq!(ledger.code("p", too_deep), Some(codes::VALUE_NESTING));
}

/// 14: ten thousand entries are no problem.
#[test]
fn large_lists_and_maps_are_used() {
    let Some(mut ledger) = Ledger::new(SEMANTIC) else { return };
    let texts = (0..10_000).map(|n| Value::text(&format!("{n:05}")));
    let list = record([party("p").into(), Value::list(texts.clone().collect::<Vec<_>>())]);
    let map = Value::gen_map(texts.map(|text| (text, party("p").into())).collect::<Vec<_>>());
    let map = record([party("p").into(), map]);
    for (entity, argument) in [("WithList", list), ("WithMap", map)] {
        let id = ledger.one("p", "Limits", entity, argument);
        let noop = ledger.exercise("Limits", entity, &id, &format!("{entity}_Noop"), record([]));
        assert_eq!(ledger.code("p", vec![noop]), None, "{entity}");
    }
}

/// 17: time is that of the ledger.
#[test]
fn models_see_the_ledgers_time() {
    let Some(mut ledger) = Ledger::new(SEMANTIC) else { return };
    let anchor = Timestamp::from_micros(NOW.micros() + 30_000_000).unwrap();
    let checker = record([party("p").into(), Value::Timestamp(anchor)]);
    let checker = ledger.one("p", "TimeTests", "TimeChecker", checker);
    let check = ledger.exercise("TimeTests", "TimeChecker", &checker, "TimeChecker_CheckTime", record([]));
    let error = ledger.submit(&["p"], vec![check.clone()]).unwrap_err();
    assert!(error.to_string().contains("UNHANDLED_EXCEPTION"), "{error}");
    let mut later = ledger.submission(&["p"], vec![check]);
    later.ledger_time = anchor;
    drive(ledger.engine.submit(later).unwrap(), &ledger.contracts).unwrap();
}

/// 21: who sees what of a contract.
#[test]
fn witnesses_are_stakeholders_and_actors() {
    let Some(mut ledger) = Ledger::new(MODEL) else { return };
    let argument = record(["alice", "bob", "charlie"].map(|name| party(name).into()));
    let create = ledger.create("Test", "Witnesses", argument);
    let transaction = ledger.submit(&["alice"], vec![create]).unwrap();
    let id = created(&transaction).remove(0);
    let seen = |transaction: &Transaction| transaction.blinding().witnesses(NodeId(0)).unwrap().clone();
    assert_eq!(seen(&transaction), parties(&["alice", "bob"]));
    for (choice, witnesses) in
        [("WitnessesNonConsumingChoice", &["alice", "charlie"][..]), ("WitnessesChoice", &["alice", "bob", "charlie"])]
    {
        let exercise = ledger.exercise("Test", "Witnesses", &id, choice, record([]));
        let transaction = ledger.submit(&["charlie"], vec![exercise]).unwrap();
        assert_eq!(seen(&transaction), parties(witnesses), "{choice}");
    }
}

/// 22: a contract of one template is none of another.
#[test]
fn a_contract_of_another_template_is_refused() {
    let Some(mut ledger) = Ledger::new(MODEL) else { return };
    let dummy = ledger.one("p", "Test", "Dummy", record([party("p").into()]));
    let wrong = ledger.exercise("Test", "DummyWithParam", &dummy, "DummyChoice2", record([Value::text("")]));
    assert_eq!(ledger.code("p", vec![wrong.clone()]), Some(codes::WRONGLY_TYPED_CONTRACT));
    let first = ledger.create("Test", "Dummy", record([party("p").into()]));
    assert_eq!(ledger.code("p", vec![first, wrong]), Some(codes::WRONGLY_TYPED_CONTRACT));
}

/// 23: an agreement of three.
#[test]
fn three_parties_agree_one_after_the_other() {
    let Some(mut ledger) = Ledger::new(MODEL) else { return };
    let factory = record([party("receiver").into(), party("giver").into()]);
    let factory = ledger.one("giver", "Test", "AgreementFactory", factory);
    let make = ledger.exercise("Test", "AgreementFactory", &factory, "CreateAgreement", record([]));
    let agreement = created(&ledger.submit(&["receiver"], vec![make]).unwrap()).remove(0);
    let propose = |ledger: &mut Ledger, giver: &str| {
        let argument = record([party("operator").into(), party("receiver").into(), party(giver).into()]);
        ledger.one("operator", "Test", "TriProposal", argument)
    };
    let (proposal, other) = (propose(&mut ledger, "giver"), propose(&mut ledger, "operator"));
    let alone = ledger.exercise("Test", "TriProposal", &proposal, "TriProposalAccept", record([]));
    assert_eq!(ledger.code("giver", vec![alone]), Some(codes::DAML_AUTHORIZATION_ERROR));
    let mismatch = ledger.exercise("Test", "Agreement", &agreement, "AcceptTriProposal", record([other.into()]));
    let error = ledger.submit(&["giver"], vec![mismatch]).unwrap_err();
    assert!(error.to_string().contains("Assertion failed"), "{error}");
    let accept = ledger.exercise("Test", "Agreement", &agreement, "AcceptTriProposal", record([proposal.into()]));
    let transaction = ledger.submit(&["giver"], vec![accept]).unwrap();
    let templates = transaction.nodes().filter_map(|(_, node)| node.template().map(|id| id.entity.to_string()));
    assert!(templates.into_iter().any(|entity| entity == "TriAgreement"));
}

/// A field of a message in an archive.
fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut out = vec![number << 3 | 2];
    // Two bytes of length, whether needed or not.
    let length = u16::try_from(content.len()).unwrap();
    out.extend([u8::try_from(length & 0x7f).unwrap() | 0x80, u8::try_from(length >> 7).unwrap()]);
    out.extend(content);
    out
}

/// A package of LF 1.6 with module `M` and value `x : Int64 = ADD_INT64 (ERROR @Int64 "first") (ERROR @Int64 "second")`.
fn order_of_evaluation() -> lf::Package {
    let (builtin, int64) = (|number: u8| vec![3 << 3, number], field(3, [8, 2]));
    let error = |text: &str| {
        let function = field(12, [field(1, builtin(25)), field(2, &int64)].concat());
        field(11, [field(1, function), field(2, field(5, field(4, text)))].concat())
    };
    let both = [field(1, builtin(7)), field(2, error("first")), field(2, error("second"))].concat();
    let head = field(1, [field(1, "x"), field(2, &int64)].concat());
    let value = [head, field(2, field(11, both)), vec![3 << 3, 1]].concat();
    let module = [field(1, field(1, "M")), field(4, [8, 1, 16, 1, 24, 1]), field(6, value)].concat();
    lf::read_package(&[field(3, "6"), field(2, field(1, module))].concat()).unwrap()
}

#[test]
fn lf_1_evaluates_from_the_first_to_the_last() {
    let package = order_of_evaluation();
    lf::check_package(&package, std::iter::empty()).unwrap();
    let id = package.identifier(&"M".parse().unwrap(), &"x".parse().unwrap());
    let engine = Engine::new();
    engine.add_package(std::sync::Arc::new(package));
    let value = engine.registry().get(&id.package).unwrap().value(&id).unwrap();
    let error = pure::evaluate_within(&engine, value, Vec::new(), 1000).0.unwrap_err();
    // In LF 2 it is the other way around: see `arguments_come_from_right_to_left_then_the_function`.
    assert_eq!(error, EngineError::User("first".into()));
}
