//! Models that others compiled, over the whole network with the real engine: parties of two participants, who see what
//! concerns them and no more.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod common;

use common::model::{Model, amount, party, world};
use transaction::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_iou_is_issued_transferred_and_called() {
    let Some(world) = world(2, "CantonExamples.85d125ef.dar").await else { return };
    let model = Model("CantonExamples");
    let (bank, alice, bob) = (world.party(0, "bank").await, world.party(1, "alice").await, world.party(0, "bob").await);
    let iou = [party(&bank), party(&alice), amount("EUR"), Value::list([])];
    world.commit(0, "issue", &bank, model.create("Iou", "Iou", iou)).await;
    let iou = world.contract(1, "Iou").await;
    world.commit(1, "transfer", &alice, model.exercise("Iou", "Iou", &iou, "Transfer", [party(&bob)])).await;
    // Alice's participant hosts nobody who is concerned any more.
    assert_eq!(world.active(1, "Iou").await, []);
    world.shown(0, 2).await;
    let iou = world.contract(0, "Iou").await;
    world.commit(0, "call", &bob, model.exercise("Iou", "Iou", &iou, "Call", [])).await;
    assert_eq!(world.active(0, "Iou").await, []);
    assert_eq!(world.active(0, "GetCash").await.len(), 1);
    assert_eq!(world.active(1, "GetCash").await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_is_painted_for_an_iou() {
    let Some(world) = world(2, "CantonExamples.38731509.dar").await else { return };
    let model = Model("CantonExamples");
    let (bank, painter) = (world.party(0, "bank").await, world.party(0, "painter").await);
    let owner = world.party(1, "owner").await;
    let iou = [party(&bank), party(&owner), amount("EUR"), Value::list([])];
    world.commit(0, "issue", &bank, model.create("Iou", "Iou", iou)).await;
    let offer = [party(&owner), party(&painter), party(&bank), amount("EUR")];
    world.commit(0, "offer", &painter, model.create("Paint", "OfferToPaintHouseByPainter", offer)).await;
    let iou = world.contract(1, "Iou").await;
    let offer = world.contract(1, "OfferToPaintHouseByPainter").await;
    let accept = [Value::ContractId(iou)];
    let accept = model.exercise("Paint", "OfferToPaintHouseByPainter", &offer, "AcceptByOwner", accept);
    world.commit(1, "accept", &owner, accept).await;
    // The painter has the money, both have the contract, and nobody sees more than that.
    world.shown(0, 3).await;
    let paid = world.contract(0, "Iou").await;
    assert_eq!(world.contract(0, "PaintHouse").await, world.contract(1, "PaintHouse").await);
    assert_eq!(world.active(1, "Iou").await, []);
    world.commit(0, "call", &painter, model.exercise("Iou", "Iou", &paid, "Call", [])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_of_lf_1_is_answered() {
    let Some(world) = world(2, "AdminWorkflows.bea96144.dar").await else { return };
    let model = Model("AdminWorkflows");
    let (one, two) = (world.party(0, "one").await, world.party(1, "two").await);
    let nobody = Value::list(Vec::new());
    let ping = [Value::text("42"), party(&one), nobody, Value::list(vec![party(&two)]), Value::Int64(0)];
    world.commit(0, "ping", &one, model.create("PingPong", "Ping", ping)).await;
    let ping = world.contract(1, "Ping").await;
    let respond = model.exercise("PingPong", "Ping", &ping, "Respond", [party(&two)]);
    world.commit(1, "respond", &two, respond).await;
    let pong = world.contract(0, "Pong").await;
    world.commit(0, "ack", &one, model.exercise("PingPong", "Pong", &pong, "Ack", [])).await;
    assert_eq!(world.active(0, "Pong").await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_is_answered() {
    for dar in ["canton-builtin-admin-workflow-ping.d65838bc.dar", "canton-builtin-admin-workflow-ping.daa9546f.dar"] {
        let Some(world) = world(2, dar).await else { return };
        let model = Model("canton-builtin-admin-workflow-ping");
        let (one, two) = (world.party(0, "one").await, world.party(1, "two").await);
        let ping = [Value::text("42"), party(&one), party(&two)];
        world.commit(0, "ping", &one, model.create("Canton.Internal.Ping", "Ping", ping)).await;
        let ping = world.contract(1, "Ping").await;
        let respond = model.exercise("Canton.Internal.Ping", "Ping", &ping, "Respond", []);
        world.commit(1, "respond", &two, respond).await;
        world.shown(0, 2).await;
        assert_eq!(world.active(0, "Ping").await, []);
    }
}
