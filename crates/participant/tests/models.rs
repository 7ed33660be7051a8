//! Models that others compiled, over the whole network with the real engine: parties of two participants, who see what
//! concerns them and no more.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod common;

use base::{ContractId, DottedName, Name, PartyId};
use common::{PATIENCE, World};
use ledger_api::{CommandKind, PackageRef, TemplateRef};
use participant::DamlEngine;
use std::{fs, sync::Arc};
use transaction::Value;

/// Both participants with a DAR; nothing where the data is missing.
async fn world(dar: &str) -> Option<World> {
    let dar = fs::read(testkit::test_data()?.join("dars").join(dar)).unwrap();
    let world = World::of([Arc::new(DamlEngine::default()), Arc::new(DamlEngine::default())], &[]).await;
    world.upload(&dar).await;
    Some(world)
}

/// Templates of one package.
struct Model(&'static str);

impl Model {
    fn template(&self, module: &str, entity: &str) -> TemplateRef {
        let name = |text: &str| text.parse::<DottedName>().unwrap();
        TemplateRef { package: PackageRef::Name(self.0.parse().unwrap()), module: name(module), entity: name(entity) }
    }

    fn create(&self, module: &str, entity: &str, argument: impl IntoIterator<Item = Value>) -> CommandKind {
        CommandKind::Create { template: self.template(module, entity), argument: Value::record(argument) }
    }

    fn exercise(
        &self,
        module: &str,
        entity: &str,
        contract: &ContractId,
        choice: &str,
        argument: impl IntoIterator<Item = Value>,
    ) -> CommandKind {
        CommandKind::Exercise {
            template: self.template(module, entity),
            contract: contract.clone(),
            choice: Name::new(choice).unwrap(),
            argument: Value::record(argument),
        }
    }
}

impl World {
    async fn commit(&self, n: usize, command: &str, act_as: &PartyId, kind: CommandKind) {
        self.participants[n].submit(command, act_as, kind).await.unwrap();
        self.participants[n].committed(command).await;
    }

    /// Active contracts of a template, as participant `n` sees them now.
    async fn active(&self, n: usize, entity: &str) -> Vec<ContractId> {
        let ledger = &self.participants[n].ledger;
        let end = ledger.end().await.unwrap();
        let all = ledger.active_contracts(end, (0, -1), 1000).await.unwrap().into_iter().map(|a| a.contract);
        all.filter(|c| c.instance.template.entity.to_string() == entity).map(|c| c.id).collect()
    }

    /// The contract of a template, once participant `n` sees one.
    async fn contract(&self, n: usize, entity: &str) -> ContractId {
        let mut more = self.participants[n].ledger.listen();
        let found = async {
            loop {
                if let Some(id) = self.active(n, entity).await.pop() {
                    return id;
                }
                more.changed().await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("participant {n} never saw a {entity}"))
    }
}

fn amount() -> Value {
    Value::record([Value::Numeric(transaction::Numeric::from_i64(100, 10).unwrap()), Value::text("EUR")])
}

fn party(party: &PartyId) -> Value {
    Value::Party(party.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_iou_is_issued_transferred_and_called() {
    let Some(world) = world("CantonExamples.85d125ef.dar").await else { return };
    let model = Model("CantonExamples");
    let (bank, alice, bob) = (world.party(0, "bank").await, world.party(1, "alice").await, world.party(0, "bob").await);
    let iou = [party(&bank), party(&alice), amount(), Value::list([])];
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
    let Some(world) = world("CantonExamples.38731509.dar").await else { return };
    let model = Model("CantonExamples");
    let (bank, painter) = (world.party(0, "bank").await, world.party(0, "painter").await);
    let owner = world.party(1, "owner").await;
    let iou = [party(&bank), party(&owner), amount(), Value::list([])];
    world.commit(0, "issue", &bank, model.create("Iou", "Iou", iou)).await;
    let offer = [party(&owner), party(&painter), party(&bank), amount()];
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
async fn a_ping_is_answered() {
    for dar in ["canton-builtin-admin-workflow-ping.d65838bc.dar", "canton-builtin-admin-workflow-ping.daa9546f.dar"] {
        let Some(world) = world(dar).await else { return };
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
