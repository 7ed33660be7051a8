//! Commands over the whole network. Only the engine is a small stand-in that knows one template.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod common;

use common::{PATIENCE, World, interpreter, run_mediator, start_mediator};
use std::{collections::BTreeSet, time::Duration};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_commit_at_all_stakeholders_once() {
    let world = World::new().await;
    let (alice, bob) = (world.party(0, "alice").await, world.party(1, "bob").await);
    let p0 = &world.participants[0];
    for i in 0..20 {
        p0.submit(&format!("c{i}"), &alice, interpreter::create(&alice, &bob, i)).await.unwrap();
    }
    let mut ids = BTreeSet::new();
    for i in 0..20 {
        ids.insert(p0.committed(&format!("c{i}")).await);
    }
    assert_eq!(ids.len(), 20);
    // The same command again has no second effect.
    let again = p0.submit("c3", &alice, interpreter::create(&alice, &bob, 3)).await.unwrap_err();
    assert!(again.contains("already accepted"), "{again}");

    // A contract is used once, whoever tries.
    let end = p0.ledger.end().await.unwrap();
    let contract = p0.ledger.active_contracts(end, (0, -1), 1).await.unwrap().remove(0).contract.id;
    p0.submit("a1", &alice, interpreter::archive(&contract)).await.unwrap();
    p0.committed("a1").await;
    assert!(p0.submit("a2", &alice, interpreter::archive(&contract)).await.is_err());

    // Both see the same, at the same times.
    world.shown(1, 21).await;
    assert_eq!(world.updates(0).await, world.updates(1).await);
    assert_eq!(world.updates(0).await.len(), 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mediator_that_takes_over_finishes_what_it_finds() {
    let mut world = World::new().await;
    let (alice, bob) = (world.party(0, "alice").await, world.party(1, "bob").await);
    let old = world.mediator.take().unwrap();
    // It dies without a word; its successor finds requests that nobody has decided.
    old.supervisor.shutdown(Duration::from_secs(5)).await;
    drop(old.held);
    drop(old.db);
    let p0 = &world.participants[0];
    for i in 0..5 {
        p0.submit(&format!("c{i}"), &alice, interpreter::create(&alice, &bob, i)).await.unwrap();
    }
    let (node, tasks, identity) = start_mediator(&world.dir).await;
    run_mediator(&node, &tasks, identity, world.mediator_setup.clone());
    for i in 0..5 {
        p0.committed(&format!("c{i}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_while_a_command_is_being_decided_have_no_second_effect() {
    const COMMANDS: i64 = 40;
    let world = World::new().await;
    let (alice, bob) = (world.party(0, "alice").await, world.party(1, "bob").await);
    let p0 = &world.participants[0];
    let insist = async |n: i64| {
        // From the first attempt until the ledger says that it is done, again and again.
        loop {
            match p0.submit(&format!("c{n}"), &alice, interpreter::create(&alice, &bob, n)).await {
                Err(why) if why.contains("already accepted") => return,
                Ok(()) | Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let all = futures::future::join_all((0..COMMANDS).flat_map(|n| [insist(n), insist(n)]));
    tokio::time::timeout(PATIENCE, all).await.unwrap();
    assert_eq!(i64::try_from(world.updates(0).await.len()).unwrap(), COMMANDS);
}
