//! Who sees what: two workflows over four participants, with words in the contracts that are searched for in the bytes
//! that every node stores.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod common;

use base::PartyId;
use common::{
    World,
    model::{Model, amount, party, world},
};
use std::{collections::BTreeMap, fs};
use transaction::{Node, Numeric, Transaction, Value};

/// Currencies that only some participants may know.
const EUROS: &str = "canary-euros";
const DOLLARS: &str = "canary-dollars";
const PAINT: &str = "canary-paint";

/// Everything that a node has stored.
fn stored(world: &World, node: &str) -> Vec<u8> {
    let files = ["", "-wal"].map(|end| world.dir.path().join(format!("{node}.db{end}")));
    files.iter().flat_map(|file| fs::read(file).unwrap()).collect()
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

/// What happens in a transaction to those for whom `sees` holds of its witnesses, sorted.
fn events(transaction: &Transaction, sees: impl Fn(&transaction::Parties) -> bool) -> Vec<String> {
    let blinding = transaction.blinding();
    let event = |node: &Node| match node {
        Node::Create(create) => format!("create {}", create.contract_id),
        Node::Exercise(exercise) => format!("{} {}", exercise.choice, exercise.contract_id),
        Node::Fetch(fetch) => format!("fetch {}", fetch.contract_id),
        other => panic!("{other:?}"),
    };
    let seen = transaction.nodes().filter(|(id, _)| blinding.witnesses(*id).is_some_and(&sees));
    let mut events: Vec<_> = seen.map(|(_, node)| event(node)).collect();
    events.sort();
    events
}

/// Each participant's updates, by id.
async fn updates(world: &World, n: usize) -> BTreeMap<String, Transaction> {
    let ledger = &world.participants[n].ledger;
    let end = ledger.end().await.unwrap();
    let all = ledger.updates(0, end, 1000).await.unwrap();
    all.into_iter().map(|update| (update.content.id.to_string(), update.content.transaction)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_sees_what_concerns_them_and_no_more() {
    let Some(world) = world(4, "CantonExamples.38731509.dar").await else { return };
    let model = Model("CantonExamples");
    let (bank, other_bank) = (world.party(0, "bank").await, world.party(1, "other_bank").await);
    let (alice, bob) = (world.party(2, "alice").await, world.party(3, "bob").await);
    let iou = |payer: &PartyId, owner: &PartyId, currency: &str, viewers: Value| {
        model.create("Iou", "Iou", [party(payer), party(owner), amount(currency), viewers])
    };

    // Alice swaps her euros for Bob's dollars; each bank sees its own money only.
    let viewed = Value::list([party(&bob)]);
    world.commit(0, "euros", &bank, iou(&bank, &alice, EUROS, viewed)).await;
    world.commit(1, "dollars", &other_bank, iou(&other_bank, &bob, DOLLARS, Value::list([]))).await;
    let (euros, dollars) = (world.containing(3, "Iou", EUROS).await, world.containing(3, "Iou", DOLLARS).await);
    let one = Value::Numeric(Numeric::from_i64(1, 10).unwrap());
    let swap = [party(&alice), party(&bob), Value::ContractId(euros), one, Value::text(DOLLARS)];
    world.commit(2, "swap", &alice, model.create("Swap", "Swap", swap)).await;
    let swap = world.contract(3, "Swap").await;
    let accept = model.exercise("Swap", "Swap", &swap, "Accept", [Value::ContractId(dollars)]);
    world.commit(3, "accept", &bob, accept).await;

    // Bob paints Alice's house; the other bank has nothing to do with it.
    world.commit(0, "paint money", &bank, iou(&bank, &alice, PAINT, Value::list([]))).await;
    let offer = [party(&alice), party(&bob), party(&bank), amount(PAINT)];
    world.commit(3, "offer", &bob, model.create("Paint", "OfferToPaintHouseByPainter", offer)).await;
    let offer = world.contract(2, "OfferToPaintHouseByPainter").await;
    let money = world.containing(2, "Iou", PAINT).await;
    let accept = [Value::ContractId(money)];
    let accept = model.exercise("Paint", "OfferToPaintHouseByPainter", &offer, "AcceptByOwner", accept);
    world.commit(2, "paint", &alice, accept).await;
    for (n, count) in [4, 2, 6, 6].into_iter().enumerate() {
        world.shown(n, count).await;
    }

    // Whoever orders, stores and decides reads nothing; others what is theirs.
    for (node, may_know) in [
        ("sequencer", [].as_slice()),
        ("mediator", &[]),
        ("manager", &[]),
        ("participant0", &[EUROS, PAINT]),
        ("participant1", &[DOLLARS]),
        ("participant2", &[EUROS, DOLLARS, PAINT]),
        ("participant3", &[EUROS, DOLLARS, PAINT]),
    ] {
        let bytes = stored(&world, node);
        for word in [EUROS, DOLLARS, PAINT] {
            assert_eq!(contains(&bytes, word), may_know.contains(&word), "{word} at {node}");
        }
    }

    // Each sees of the whole exactly what the model says.
    let all = [updates(&world, 0).await, updates(&world, 1).await, updates(&world, 2).await, updates(&world, 3).await];
    let parties = [&bank, &other_bank, &alice, &bob];
    for (update, whole) in all[2].iter().chain(&all[3]) {
        let longest = all.iter().filter_map(|of| of.get(update)).max_by_key(|seen| seen.len()).unwrap();
        assert!(longest.len() >= whole.len());
        for (n, seen) in all.iter().enumerate() {
            let expected = events(longest, |witnesses| witnesses.contains(parties[n]));
            let shown = seen.get(update).map(|seen| events(seen, |_| true)).unwrap_or_default();
            assert_eq!(shown, expected, "{update} at participant {n}");
        }
    }
}
