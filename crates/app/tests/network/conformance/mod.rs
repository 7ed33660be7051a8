//! Cases of the field's own suites through the Ledger API of a running network, with its models compiled to LF 1.15
//! (spec/daml-lf.md §5.3; numbers are that page's). The engine's tests have the same cases without a network.

mod keys;
mod shared_keys;
mod visible;
mod world;

use canton_proto::com::daml::ledger::api::v2::Command;
use std::time::{Duration, SystemTime};
use transaction::{Numeric, Value, Variant};
use world::{Model, World, created, dar, exercised, id, party, record};

const SEMANTIC: &str = "semantic-tests-1.15.f4c87b81.dar";
const MODEL: &str = "model-tests-1.15.0757811f.dar";

fn amount() -> Value {
    record([Numeric::parse("1", 10).unwrap().into(), Value::text("GBP")])
}

fn iou(semantic: &Model, payer: &str, owner: &str) -> Command {
    semantic.create("SemanticTests", "Iou", [party(payer), party(owner), amount()])
}

/// 1 and 2: a contract is spent once.
async fn double_spends_are_refused(world: &World, semantic: &Model) {
    let [payer, owner] = world.parties([("payer", 0), ("owner", 1)]).await;
    let iou = world.one(0, &[&payer], iou(semantic, &payer, &owner)).await;
    let transfer = || semantic.exercise("SemanticTests", "Iou", &iou, "Transfer", [party(&owner)]);
    let (code, _) = world.submit(1, &[&owner], vec![transfer(), transfer()]).await.unwrap_err();
    assert_eq!(code, "CONTRACT_NOT_ACTIVE");
    assert_eq!(world.code(1, &owner, transfer()).await, "");
    assert_eq!(world.code(1, &owner, transfer()).await, "CONTRACT_NOT_FOUND");
}

/// 3, 4 and 5: an agreement needs both.
async fn a_house_is_painted_with_the_authority_of_both(world: &World, semantic: &Model) {
    let [bank, owner, painter] = world.parties([("bank", 0), ("owner", 0), ("painter", 1)]).await;
    let both = [party(&painter), party(&owner)];
    let agree = semantic.create("SemanticTests", "PaintAgree", both.clone());
    assert_eq!(world.code(0, &owner, agree).await, "DAML_AUTHORIZATION_ERROR");
    let iou = world.one(0, &[&bank], iou(semantic, &bank, &owner)).await;
    let offer = semantic.create("SemanticTests", "PaintOffer", both.into_iter().chain([party(&bank), amount()]));
    let offer = world.one(1, &[&painter], offer).await;
    let accept = semantic.exercise("SemanticTests", "PaintOffer", &offer, "PaintOffer_Accept", [id(&iou)]);
    assert_eq!(world.code(1, &painter, accept.clone()).await, "DAML_AUTHORIZATION_ERROR");
    let transaction = world.submit(0, &[&owner], vec![accept]).await.unwrap();
    let is_agreement = |event: &&_| {
        let event: &&canton_proto::com::daml::ledger::api::v2::CreatedEvent = event;
        event.template_id.as_ref().unwrap().entity_name == "PaintAgree"
    };
    let all = created(&transaction);
    let agreements: Vec<_> = all.iter().filter(is_agreement).collect();
    assert_eq!(agreements.len(), 1);
    let mut signatories = [owner, painter];
    signatories.sort();
    assert_eq!(agreements[0].signatories, signatories);
}

/// 7, 8, 9 and 10: exceptions, and what they undo.
async fn exceptions_are_caught_and_undo_what_was_done(world: &World, semantic: &Model) {
    let [p] = world.parties([("p", 0)]).await;
    let tester = || semantic.create("Exceptions", "ExceptionTester", [party(&p)]);
    let (tester, other) = (world.one(0, &[&p], tester()).await, world.one(0, &[&p], tester()).await);
    let choose = |choice: &str, fields: Vec<Value>| {
        vec![semantic.exercise("Exceptions", "ExceptionTester", &tester, choice, fields)]
    };
    let (code, text) = world.submit(0, &[&p], choose("ThrowUncaught", vec![])).await.unwrap_err();
    assert!(code == "DAML_FAILURE" && text.contains("UNHANDLED_EXCEPTION/Exceptions:E"), "{code} {text}");
    for choice in ["ThrowCaught", "NestedCatch", "RollbackCreate"] {
        let transaction = world.submit(0, &[&p], choose(choice, vec![])).await.unwrap();
        assert_eq!(exercised(&transaction)[0].choice, choice);
        assert_eq!((created(&transaction).len(), transaction.events.len()), (0, 1), "{choice}");
    }
    let fetch = || choose("RollbackFetch", vec![id(&other)]);
    world.submit(0, &[&p], fetch()).await.unwrap();
    let archive = semantic.exercise("Exceptions", "ExceptionTester", &other, "Archive", []);
    assert_eq!(world.code(0, &p, archive).await, "");
    assert_eq!(world.submit(0, &[&p], fetch()).await.unwrap_err().0, "CONTRACT_NOT_FOUND");
}

/// 13: values may be nested 100 deep. In commands they come no deeper than messages may be nested.
async fn nesting_of_values_is_bounded(world: &World, semantic: &Model) {
    let [p] = world.parties([("p", 0)]).await;
    let handler = world.one(0, &[&p], semantic.create("DeeplyNestedValue", "Handler", [party(&p)])).await;
    let nest = |value, constructor: &str| {
        Value::Variant(Variant { id: None, constructor: constructor.parse().unwrap(), value }.into())
    };
    let deep = |depth: u8| (0..depth).fold(nest(Value::Unit, "Z"), |value, _| nest(value, "S"));
    for (depth, fits) in [(40, true), (110, false)] {
        let fields = [party(&p), Value::Int64(1), deep(depth)];
        let refusal = world.refusal(0, &p, semantic.create("DeeplyNestedValue", "Contract", fields)).await;
        assert_eq!((refusal.is_empty(), refusal.contains("recursion limit reached")), (fits, !fits), "{refusal}");
    }
    for (depth, expected) in [(90, ""), (110, "VALUE_NESTING")] {
        let fields = [Value::Int64(depth)];
        let construct = semantic.exercise("DeeplyNestedValue", "Handler", &handler, "Create", fields);
        assert_eq!(world.refusal(0, &p, construct).await, expected, "{depth}");
    }
}

/// 14: contracts with thousands of entries.
async fn large_lists_and_maps_are_no_problem(world: &World, semantic: &Model) {
    let [p] = world.parties([("p", 0)]).await;
    let texts = |from: u32| (from..from + 10_000).map(|n| Value::text(&format!("{n:05}")));
    let list = |from| Value::list(texts(from).collect::<Vec<_>>());
    let map = |from| Value::gen_map(texts(from).map(|text| (text, party(&p))).collect::<Vec<_>>());
    for (entity, items, more) in [("WithList", list(0), list(10_000)), ("WithMap", map(0), map(10_000))] {
        let contract = world.one(0, &[&p], semantic.create("Limits", entity, [party(&p), items])).await;
        let noop = semantic.exercise("Limits", entity, &contract, &format!("{entity}_Noop"), []);
        assert_eq!(world.code(0, &p, noop).await, "", "{entity}");
        let expand = semantic.exercise("Limits", entity, &contract, &format!("{entity}_Expand"), [more]);
        assert_eq!(world.code(0, &p, expand).await, "", "{entity}");
    }
}

/// 15 and 16: a choice is the template's or the interface's, as it is addressed.
async fn choices_of_templates_and_interfaces_are_apart(world: &World, semantic: &Model) {
    for (module, entity, text) in
        [("Interface", "T", "Interface.T"), ("Interface1", "I", "Interface1.I"), ("Interface3", "I", "Interface3.I")]
    {
        let [p] = world.parties([("p", 0)]).await;
        let contract = world.one(0, &[&p], semantic.create("Interface", "T", [party(&p)])).await;
        let wrong = semantic.exercise("Interface", "T", &contract, "ChoiceI1", []);
        assert_eq!(world.code(0, &p, wrong).await, "COMMAND_PREPROCESSING_FAILED");
        let archive = semantic.exercise(module, entity, &contract, "MyArchive", []);
        let transaction = world.submit(0, &[&p], vec![archive]).await.unwrap();
        assert_eq!(world::returned(&transaction), Value::text(text));
        let interface = exercised(&transaction)[0].interface_id.clone().map(|id| (id.module_name, id.entity_name));
        assert_eq!(interface, (entity == "I").then(|| (module.to_owned(), "I".to_owned())));
    }
}

/// 17: time is that of the ledger: here the clock's, which no test can advance, so that a model that waits for one moment
/// is never satisfied; another one waits for an hour.
async fn models_see_the_ledgers_time(world: &World, semantic: &Model, model: &Model) {
    let [p] = world.parties([("p", 0)]).await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let hour = Duration::from_secs(3600);
    let [before, after, later] = [now - hour, now + hour, now + 2 * hour]
        .map(|time| Value::Timestamp(base::Timestamp::from_micros(time.as_micros().try_into().unwrap()).unwrap()));
    let checker = semantic.create("TimeTests", "TimeChecker", [party(&p), after.clone()]);
    let checker = world.one(0, &[&p], checker).await;
    let check = semantic.exercise("TimeTests", "TimeChecker", &checker, "TimeChecker_CheckTime", []);
    let (code, text) = world.submit(0, &[&p], vec![check]).await.unwrap_err();
    assert!(code == "DAML_FAILURE" && text.contains("UNHANDLED_EXCEPTION"), "{code} {text}");
    let dummy = world.one(0, &[&p], model.create("Test", "Dummy", [party(&p)])).await;
    for (from, to, expected) in [(&after, &later, "DAML_FAILURE"), (&before, &after, "")] {
        let fields = [from.clone(), to.clone()];
        let consume = model.exercise("Test", "Dummy", &dummy, "ConsumeIfTimeIsBetween", fields);
        assert_eq!(world.code(0, &p, consume).await, expected);
    }
}

/// 22: a contract of one template is none of another.
async fn a_contract_of_another_template_is_refused(world: &World, model: &Model) {
    let [p] = world.parties([("p", 0)]).await;
    let dummy = world.one(0, &[&p], model.create("Test", "Dummy", [party(&p)])).await;
    let wrong = || model.exercise("Test", "DummyWithParam", &dummy, "DummyChoice2", [Value::text("")]);
    assert_eq!(world.code(0, &p, wrong()).await, "WRONGLY_TYPED_CONTRACT");
    let both = vec![model.create("Test", "Dummy", [party(&p)]), wrong()];
    assert_eq!(world.submit(0, &[&p], both).await.unwrap_err().0, "WRONGLY_TYPED_CONTRACT");
}

/// 23: an agreement of three.
async fn three_parties_agree_one_after_the_other(world: &World, model: &Model) {
    let [operator, receiver, giver] = world.parties([("operator", 0), ("receiver", 1), ("giver", 0)]).await;
    let factory = model.create("Test", "AgreementFactory", [party(&receiver), party(&giver)]);
    let factory = world.one(0, &[&giver], factory).await;
    let make = model.exercise("Test", "AgreementFactory", &factory, "CreateAgreement", []);
    let agreement = world.one(1, &[&receiver], make).await;
    let mut proposals = Vec::new();
    for third in [&giver, &operator] {
        let fields = [party(&operator), party(&receiver), party(third)];
        proposals.push(world.one(0, &[&operator], model.create("Test", "TriProposal", fields)).await);
    }
    let alone = model.exercise("Test", "TriProposal", &proposals[0], "TriProposalAccept", []);
    assert_eq!(world.code(0, &giver, alone).await, "DAML_AUTHORIZATION_ERROR");
    let accept = |n: usize| model.exercise("Test", "Agreement", &agreement, "AcceptTriProposal", [id(&proposals[n])]);
    // The giver is no stakeholder of the other proposal.
    let reading = [operator.as_str()];
    let (code, text) = world.submit_reading(0, &[&giver], &reading, vec![accept(1)]).await.unwrap_err();
    assert!(code == "DAML_FAILURE" && text.contains("Assertion failed"), "{code} {text}");
    let transaction = world.submit(0, &[&giver], vec![accept(0)]).await.unwrap();
    let made = created(&transaction).into_iter().map(|event| event.template_id.unwrap().entity_name);
    assert_eq!(made.collect::<Vec<_>>(), ["TriAgreement"]);
}

/// All in one network, because it takes longer to start one than to try them.
#[tokio::test]
async fn the_fields_models_do_what_the_field_says() {
    let (Some(semantic), Some(model)) = (dar(SEMANTIC), dar(MODEL)) else { return };
    let (world, [semantic, model, shared]) = World::start([semantic, model, shared_keys::model()]).await;
    double_spends_are_refused(&world, &semantic).await;
    a_house_is_painted_with_the_authority_of_both(&world, &semantic).await;
    exceptions_are_caught_and_undo_what_was_done(&world, &semantic).await;
    nesting_of_values_is_bounded(&world, &semantic).await;
    large_lists_and_maps_are_no_problem(&world, &semantic).await;
    choices_of_templates_and_interfaces_are_apart(&world, &semantic).await;
    models_see_the_ledgers_time(&world, &semantic, &model).await;
    a_contract_of_another_template_is_refused(&world, &model).await;
    three_parties_agree_one_after_the_other(&world, &model).await;
    keys::all(&world, &semantic, &model).await;
    shared_keys::all(&world, &shared).await;
    visible::all(&world, &semantic, &model).await;
}
