//! Cases of the field's own suites about who sees what, and about interfaces and several parties (spec/daml-lf.md §5.3;
//! numbers are that page's). Contracts are those that the submitters have seen, as in LF 1.

use super::*;
use base::{Coded, ErrorCode, codes};
use transaction::Exercise;

const SEMANTIC: &str = "semantic-tests-1.15.f4c87b81.dar";
const MODEL: &str = "model-tests-1.15.0757811f.dar";

/// A ledger on which nobody uses what it has not seen.
struct Private {
    ledger: Ledger,
    seen: BTreeMap<ContractId, Parties>,
    history: Vec<Transaction>,
}

impl Private {
    fn new(file: &str) -> Option<Self> {
        Some(Self { ledger: Ledger::new(file)?, seen: BTreeMap::new(), history: Vec::new() })
    }

    fn submit(&mut self, act_as: &[&str], command: Command) -> Result<Transaction, EngineError> {
        let submitters = parties(act_as);
        let mut known = self.ledger.contracts.clone();
        known.retain(|id, _| !self.seen[id].is_disjoint(&submitters));
        let submission = self.ledger.submission(act_as, vec![command]);
        let transaction = drive(self.ledger.engine.submit(submission)?, &known)?.transaction;
        transaction.authorize(&submitters).unwrap();
        self.ledger.apply(&transaction);
        let blinding = transaction.blinding();
        for (id, node) in transaction.nodes() {
            let contract = match node {
                Node::Create(create) => &create.contract_id,
                Node::Exercise(exercise) => &exercise.contract_id,
                Node::Fetch(fetch) => &fetch.contract_id,
                Node::QueryByKey(_) | Node::Rollback(_) => continue,
            };
            let witnesses = blinding.witnesses(id).unwrap().iter().cloned();
            self.seen.entry(contract.clone()).or_default().extend(witnesses);
        }
        self.history.push(transaction.clone());
        Ok(transaction)
    }

    fn code(&mut self, act_as: &[&str], command: Command) -> Option<ErrorCode> {
        self.submit(act_as, command).err().map(|error| error.code())
    }

    fn one(&mut self, act_as: &[&str], module: &str, entity: &str, argument: Value) -> ContractId {
        let command = self.ledger.create(module, entity, argument);
        created(&self.submit(act_as, command).unwrap()).remove(0)
    }

    /// What the parties' flat stream shows of each transaction: creations and archivals of their contracts.
    fn flat(&self, readers: &[&str]) -> Vec<Vec<&'static str>> {
        let readers = parties(readers);
        let of = |transaction: &Transaction| {
            let events = transaction.nodes().filter_map(|(_, node)| match node {
                Node::Create(create) if !create.instance.stakeholders.is_disjoint(&readers) => Some("create"),
                Node::Exercise(exercise) if exercise.consuming && !exercise.stakeholders.is_disjoint(&readers) => {
                    Some("archive")
                }
                _ => None,
            });
            events.collect::<Vec<_>>()
        };
        self.history.iter().map(of).filter(|events| !events.is_empty()).collect()
    }

    /// How many actions of each transaction the party has witnessed.
    fn trees(&self, reader: &str) -> Vec<usize> {
        let counts = self.history.iter().map(|transaction| {
            let blinding = transaction.blinding();
            let seen = |id| blinding.witnesses(id).is_some_and(|witnesses| witnesses.contains(&party(reader)));
            transaction.nodes().filter(|(id, _)| seen(*id)).count()
        });
        counts.filter(|count| *count > 0).collect()
    }
}

fn exercised(transaction: &Transaction) -> &Exercise {
    let Node::Exercise(exercise) = node(transaction, 0) else { panic!("no exercise in {transaction:?}") };
    exercise
}

/// 6: what is fetched must have been seen.
#[test]
fn contracts_are_fetched_by_those_who_have_seen_them() {
    let Some(mut world) = Private::new(SEMANTIC) else { return };
    let [bank, owner, painter] = ["bank", "houseOwner", "painter"].map(|name| Value::from(party(name)));
    let amount = Value::record([transaction::Numeric::parse("1", 10).unwrap().into(), Value::text("GBP")]);
    let iou = Value::record([bank.clone(), owner.clone(), amount.clone()]);
    let iou = world.one(&["bank"], "SemanticTests", "Iou", iou);
    let fetch = |world: &mut Private, who: &str, iou: &ContractId| {
        let argument = Value::record([party(who).into(), iou.clone().into()]);
        let fetcher = world.one(&[who], "SemanticTests", "FetchIou", argument);
        let command = world.ledger.exercise("SemanticTests", "FetchIou", &fetcher, "FetchIou_Fetch", Value::record([]));
        world.code(&[who], command)
    };
    assert_eq!(fetch(&mut world, "bank", &iou), None);
    assert_eq!(fetch(&mut world, "houseOwner", &iou), None);
    assert_eq!(fetch(&mut world, "painter", &iou), Some(codes::CONTRACT_NOT_FOUND));

    let offer = Value::record([painter, owner, bank, amount]);
    let offer = world.one(&["painter"], "SemanticTests", "PaintOffer", offer);
    let argument = Value::record([iou.into()]);
    let accept = world.ledger.exercise("SemanticTests", "PaintOffer", &offer, "PaintOffer_Accept", argument);
    let transaction = world.submit(&["houseOwner"], accept).unwrap();
    let made = |entity: &str| {
        let found = transaction.nodes().find_map(|(_, node)| match node {
            Node::Create(create) if create.instance.template.entity.as_str() == entity => Some(&create.contract_id),
            _ => None,
        });
        found.unwrap().clone()
    };
    assert_eq!(fetch(&mut world, "bank", &made("Iou")), None);
    assert_eq!(world.seen[&made("PaintAgree")], parties(&["houseOwner", "painter"]));
}

/// 15 and 16: a choice is the template's or the interface's, as it is addressed.
#[test]
fn choices_of_templates_and_interfaces_are_apart() {
    let Some(mut world) = Private::new(SEMANTIC) else { return };
    // The third one says itself how the template implements it.
    for (module, entity, text) in
        [("Interface", "T", "Interface.T"), ("Interface1", "I", "Interface1.I"), ("Interface3", "I", "Interface3.I")]
    {
        let id = world.one(&["p"], "Interface", "T", Value::record([party("p").into()]));
        let command = world.ledger.exercise(module, entity, &id, "MyArchive", Value::record([]));
        let transaction = world.submit(&["p"], command).unwrap();
        let exercise = exercised(&transaction);
        assert_eq!(exercise.result, Some(Value::text(text)));
        let interface = exercise.interface.as_ref().map(|id| format!("{}:{}", id.module, id.entity));
        assert_eq!(interface, (module != "Interface").then(|| format!("{module}:I")));
        assert_eq!(exercise.template.entity.as_str(), "T");
    }
    let id = world.one(&["p"], "Interface", "T", Value::record([party("p").into()]));
    let command = world.ledger.exercise("Interface", "T", &id, "ChoiceI1", Value::record([]));
    assert_eq!(world.code(&["p"], command), Some(codes::COMMAND_PREPROCESSING_FAILED));
    let template = &exercised(&world.history[1]).template;
    let interfaces = world.ledger.engine.interfaces_of(template);
    let modules: Vec<_> = interfaces.iter().map(|id| id.module.as_str()).collect();
    assert_eq!(modules, ["Interface1", "Interface2", "Interface3"]);
    for interface in &interfaces {
        let argument = Value::record([party("p").into()]);
        assert!(world.ledger.engine.interface_view(template, &argument, interface, 10_000).is_ok(), "{interface}");
    }
}

/// 24: several parties act together, and see what one of them has seen.
#[test]
fn parties_act_together() {
    let Some(mut world) = Private::new(MODEL) else { return };
    let all = |names: &[&str]| Value::list(names.iter().map(|name| Value::from(party(name))));
    let contract = |names: &[&str]| Value::record([all(names), Value::text("x")]);
    let both = world.one(&["a", "b"], "Test", "MultiPartyContract", contract(&["a", "b"]));
    let three = world.ledger.create("Test", "MultiPartyContract", contract(&["a", "b", "c"]));
    assert_eq!(world.code(&["a", "b"], three), Some(codes::DAML_AUTHORIZATION_ERROR));
    let other = world.one(&["c", "d"], "Test", "MultiPartyContract", contract(&["c", "d"]));
    let fetch = |world: &Private, actors: &[&str]| {
        let argument = Value::record([other.clone().into(), all(actors)]);
        world.ledger.exercise("Test", "MultiPartyContract", &both, "MPFetchOther", argument)
    };
    let blind = fetch(&world, &["a", "b"]);
    assert_eq!(world.code(&["a", "b"], blind), Some(codes::CONTRACT_NOT_FOUND));
    let seeing = fetch(&world, &["a", "b", "c", "d"]);
    assert_eq!(world.code(&["a", "b", "c", "d"], seeing), None);
}

/// 25: what is divulged shows in trees, not in flat streams.
#[test]
fn divulged_contracts_show_in_trees_alone() {
    let Some(mut world) = Private::new(MODEL) else { return };
    let first = world.one(&["alice"], "Test", "Divulgence1", Value::record([party("alice").into()]));
    let argument = Value::record(["bob", "alice"].map(|name| party(name).into()));
    let second = world.one(&["bob"], "Test", "Divulgence2", argument);
    let argument = Value::record([first.clone().into()]);
    let archive = world.ledger.exercise("Test", "Divulgence2", &second, "Divulgence2Archive", argument);
    let transaction = world.submit(&["alice"], archive).unwrap();
    assert_eq!(world.flat(&["bob"]), [["create"]]);
    assert_eq!(world.trees("bob"), [1, 2]);
    let Node::Exercise(nested) = node(&transaction, 1) else { panic!("nothing is nested in {transaction:?}") };
    assert!(nested.consuming && nested.contract_id == first);
    assert_eq!(world.flat(&["alice", "bob"]), [["create"], ["create"], ["archive"]]);
}
