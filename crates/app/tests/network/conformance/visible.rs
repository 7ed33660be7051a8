//! Who sees what, and who may use what they have seen: as in LF 1, also without a stake in it.

use super::{
    amount, iou,
    world::{Model, World, created, exercised, id, party},
};
use canton_proto::com::daml::ledger::api::v2::TransactionShape;
use std::collections::BTreeSet;
use transaction::Value;

/// 6: what is fetched must have been seen.
async fn contracts_are_fetched_by_those_who_have_seen_them(world: &World, semantic: &Model) {
    // Bank and painter have the same participant.
    let [bank, owner, painter] = world.parties([("bank", 0), ("owner", 1), ("painter", 0)]).await;
    let iou = world.one(0, &[&bank], iou(semantic, &bank, &owner)).await;
    let fetch = async |n: usize, who: &str, what: &str, contract: &str| {
        let fetcher = semantic.create("SemanticTests", &format!("Fetch{what}"), [party(who), id(contract)]);
        let fetcher = world.one(n, &[who], fetcher).await;
        let choice = format!("Fetch{what}_Fetch");
        let command = semantic.exercise("SemanticTests", &format!("Fetch{what}"), &fetcher, &choice, []);
        world.code(n, who, command).await
    };
    assert_eq!(fetch(0, &bank, "Iou", &iou).await, "");
    assert_eq!(fetch(1, &owner, "Iou", &iou).await, "");
    assert_eq!(fetch(0, &painter, "Iou", &iou).await, "CONTRACT_NOT_FOUND");

    let offer = [party(&painter), party(&owner), party(&bank), amount()];
    let offer = world.one(0, &[&painter], semantic.create("SemanticTests", "PaintOffer", offer)).await;
    let accept = semantic.exercise("SemanticTests", "PaintOffer", &offer, "PaintOffer_Accept", [id(&iou)]);
    let transaction = world.submit(1, &[&owner], vec![accept]).await.unwrap();
    let made = |entity: &str| {
        let all = created(&transaction).into_iter();
        let mut these = all.filter(|event| event.template_id.as_ref().unwrap().entity_name == entity);
        these.next().unwrap().contract_id
    };
    assert_eq!(fetch(0, &bank, "Iou", &made("Iou")).await, "");
    assert_eq!(fetch(0, &painter, "PaintAgree", &made("PaintAgree")).await, "");
    assert_eq!(fetch(0, &bank, "PaintAgree", &made("PaintAgree")).await, "CONTRACT_NOT_FOUND");
}

/// 21: who sees what of a contract; and whoever has seen one uses it, on a participant that hosts none of its stakeholders.
async fn witnesses_are_stakeholders_and_actors(world: &World, model: &Model) {
    let [alice, bob, charlie] = world.parties([("alice", 0), ("bob", 0), ("charlie", 1)]).await;
    let fields = [&alice, &bob, &charlie].map(|name| party(name));
    let transaction = world.submit(0, &[&alice], vec![model.create("Test", "Witnesses", fields)]).await.unwrap();
    let contract = created(&transaction).remove(0).contract_id;
    let everybody = [(0, &alice), (0, &bob), (1, &charlie)];
    let witnesses = async |update_id: &str| {
        let mut seers = BTreeSet::new();
        for (n, party) in everybody {
            if world.update(n, party, update_id).await.is_some() {
                seers.insert(party.clone());
            }
        }
        seers
    };
    assert_eq!(witnesses(&transaction.update_id).await, [alice.clone(), bob.clone()].into());
    let choose = |choice: &str| vec![model.exercise("Test", "Witnesses", &contract, choice, [])];
    let unseen = world.submit(1, &[&charlie], choose("WitnessesNonConsumingChoice")).await.unwrap_err().0;
    assert_eq!(unseen, "CONTRACT_NOT_FOUND");
    let divulging = model.create("Test", "DivulgeWitnesses", [party(&alice), party(&charlie)]);
    let divulging = world.one(1, &[&charlie], divulging).await;
    let divulge = model.exercise("Test", "DivulgeWitnesses", &divulging, "Divulge", [id(&contract)]);
    let divulged = world.submit(0, &[&alice], vec![divulge]).await.unwrap();
    world.seen(&charlie, &divulged.update_id).await;
    for (choice, expected) in
        [("WitnessesNonConsumingChoice", &[&alice, &charlie][..]), ("WitnessesChoice", &[&alice, &bob, &charlie])]
    {
        let used = world.submit(1, &[&charlie], choose(choice)).await.unwrap();
        for seer in expected {
            world.seen(seer, &used.update_id).await;
        }
        let expected = expected.iter().map(|party| (*party).clone()).collect::<BTreeSet<_>>();
        assert_eq!(witnesses(&used.update_id).await, expected, "{choice}");
    }
    assert_eq!(world.submit(1, &[&charlie], choose("WitnessesChoice")).await.unwrap_err().0, "CONTRACT_NOT_FOUND");
}

/// 24: several parties act together, and see what one of them sees.
async fn parties_act_together(world: &World, model: &Model) {
    let [a, b, c, d] = world.parties([("a", 0), ("b", 0), ("c", 0), ("d", 0)]).await;
    let all = |names: &[&String]| Value::list(names.iter().map(|name| party(name)).collect::<Vec<_>>());
    let contract = |names: &[&String]| model.create("Test", "MultiPartyContract", [all(names), Value::text("x")]);
    let both = world.one(0, &[&a, &b], contract(&[&a, &b])).await;
    let three = world.submit(0, &[&a, &b], vec![contract(&[&a, &b, &c])]).await.unwrap_err().0;
    assert_eq!(three, "DAML_AUTHORIZATION_ERROR");
    let other = world.one(0, &[&c, &d], contract(&[&c, &d])).await;
    let fetch = |actors: &[&String]| {
        let fields = [id(&other), all(actors)];
        vec![model.exercise("Test", "MultiPartyContract", &both, "MPFetchOther", fields)]
    };
    let blind = world.submit(0, &[&a, &b], fetch(&[&a, &b])).await.unwrap_err().0;
    assert_eq!(blind, "CONTRACT_NOT_FOUND");
    // Seeing is one thing, and having the authority is another.
    let reading = world.submit_reading(0, &[&a, &b], &[&c], fetch(&[&a, &b])).await.unwrap_err().0;
    assert_eq!(reading, "DAML_AUTHORIZATION_ERROR");
    assert_eq!(world.submit(0, &[&a, &b, &c, &d], fetch(&[&a, &b, &c, &d])).await.err(), None);
}

/// 25: what is divulged shows in trees, not in flat streams.
async fn divulged_contracts_show_in_trees_alone(world: &World, model: &Model) {
    let [alice, bob] = world.parties([("alice", 0), ("bob", 0)]).await;
    let first = world.one(0, &[&alice], model.create("Test", "Divulgence1", [party(&alice)])).await;
    let second = world.one(0, &[&bob], model.create("Test", "Divulgence2", [party(&bob), party(&alice)])).await;
    let archive = model.exercise("Test", "Divulgence2", &second, "Divulgence2Archive", [id(&first)]);
    world.submit(0, &[&alice], vec![archive]).await.unwrap();
    let flat = async |readers: &[&str]| {
        let updates = world.updates(0, readers, TransactionShape::AcsDelta).await;
        updates.iter().map(|update| (created(update).len(), update.events.len())).collect::<Vec<_>>()
    };
    assert_eq!(flat(&[&bob]).await, [(1, 1)]);
    assert_eq!(flat(&[&alice, &bob]).await, [(1, 1), (1, 1), (0, 1)]);
    let trees = world.updates(0, &[&bob], TransactionShape::LedgerEffects).await;
    assert_eq!(trees.iter().map(|tree| tree.events.len()).collect::<Vec<_>>(), [1, 2]);
    let nested = exercised(&trees[1]).remove(1);
    assert!(nested.consuming && nested.contract_id == first);
}

pub(super) async fn all(world: &World, semantic: &Model, model: &Model) {
    contracts_are_fetched_by_those_who_have_seen_them(world, semantic).await;
    witnesses_are_stakeholders_and_actors(world, model).await;
    parties_act_together(world, model).await;
    divulged_contracts_show_in_trees_alone(world, model).await;
}
