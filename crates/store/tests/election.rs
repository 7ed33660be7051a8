//! Who may write: elections, fences, session locks, within one process. What needs processes that are killed or paused
//! is in `zombie.rs`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod common;

use std::time::Duration;

use common::{Fixture, names, thing};
use store::{Db, Election, ElectionConfig, HaProfile, StoreError};

scenarios! {
    epochs_rise_with_each_takeover
    one_holds_and_the_next_follows
    a_withdrawn_campaign_leaves_the_lock_alone
    holders_are_seen
    a_predecessor_is_fenced
    session_locks_end_with_their_holder
    shutdown_lets_the_lock_go
}

fn election(db: &Db, replica: &str) -> Election {
    db.election(ElectionConfig { profile: HaProfile::Balanced, replica: replica.to_owned() }).unwrap()
}

async fn epochs_rise_with_each_takeover(fixture: Fixture) {
    let db = fixture.open().await;
    let election = election(&db, "a");
    let mut last = 0;
    for round in 0..3 {
        let held = election.campaign().await.unwrap();
        assert!(held.is_fresh());
        assert!(held.epoch().number() > last);
        last = held.epoch().number();
        db.commit(held.epoch(), vec![thing(round, "x")]).await.unwrap();
        let rows = db.query("select epoch from store_epochs where epoch <> $1", store::params![last]).await.unwrap();
        assert_eq!(rows, [], "all rows have the new number");
        let freshness = held.freshness();
        held.release().await;
        assert!(!freshness());
    }
    assert_eq!(names(&db).await.len(), 3);
}

async fn one_holds_and_the_next_follows(fixture: Fixture) {
    if fixture.is_memory() {
        return; // no replicas
    }
    let (one, two) = (fixture.open().await, fixture.open().await);
    let (first, second) = (election(&one, "one"), election(&two, "two"));
    let held = first.campaign().await.unwrap();
    let mut waiting = Box::pin(second.campaign());
    assert!(futures::poll!(&mut waiting).is_pending());
    // Longer than the lease: a holder that beats is left alone.
    tokio::select! {
        _ = &mut waiting => panic!("two hold"),
        () = tokio::time::sleep(Duration::from_millis(1500)) => {}
    }
    assert!(held.is_fresh());
    assert_eq!(one.standby_waits().await, Ok(true));
    let before = held.epoch().number();
    let (next, ()) = tokio::join!(waiting, held.release());
    assert!(next.unwrap().epoch().number() > before);
    assert_eq!(one.standby_waits().await, Ok(false));
}

async fn a_withdrawn_campaign_leaves_the_lock_alone(fixture: Fixture) {
    if fixture.is_memory() {
        return;
    }
    let dbs = [fixture.open().await, fixture.open().await, fixture.open().await];
    let elections = [election(&dbs[0], "a"), election(&dbs[1], "b"), election(&dbs[2], "c")];
    let held = elections[0].campaign().await.unwrap();
    for _ in 0..3 {
        let withdrawn = tokio::time::timeout(Duration::from_millis(50), elections[1].campaign()).await;
        assert!(withdrawn.is_err());
    }
    held.release().await;
    elections[2].campaign().await.unwrap().release().await;
    elections[1].campaign().await.unwrap().release().await;
}

async fn holders_are_seen(fixture: Fixture) {
    let one = fixture.open().await;
    let first = election(&one, "replica one");
    let _held = first.campaign().await.unwrap();
    let seen = first.holder().borrow().clone().unwrap();
    assert_eq!((seen.replica.as_str(), seen.instance.as_str()), ("replica one", one.instance()));
    if fixture.is_memory() {
        return;
    }
    let two = fixture.open().await;
    let second = election(&two, "replica two");
    let mut holder = second.holder();
    tokio::select! {
        _ = second.campaign() => panic!("two hold"),
        seen = holder.wait_for(Option::is_some) => assert_eq!(seen.unwrap().as_ref().unwrap().replica, "replica one"),
    }
}

async fn a_predecessor_is_fenced(fixture: Fixture) {
    let db = fixture.open().await;
    let election = election(&db, "a");
    let held = election.campaign().await.unwrap();
    let old = held.epoch().clone();
    held.release().await;
    db.commit(&old, vec![thing(1, "nobody else came")]).await.unwrap();
    let held = election.campaign().await.unwrap();
    let expected = if cfg!(feature = "unfenced-for-tests") {
        Ok(())
    } else {
        Err(StoreError::Fenced { node: common::NODE.to_owned() })
    };
    assert_eq!(db.commit(&old, vec![thing(2, "stale")]).await.map(drop), expected);
    assert_eq!(db.begin(&old).await.map(drop), expected);
    db.commit(held.epoch(), vec![thing(3, "new")]).await.unwrap();
    let mut tx = db.begin(held.epoch()).await.unwrap();
    tx.execute(thing(4, "new")).await.unwrap();
    tx.commit().await.unwrap();
}

async fn session_locks_end_with_their_holder(fixture: Fixture) {
    let one = fixture.open().await;
    let two = if fixture.is_memory() { one.clone() } else { fixture.open().await };
    two.lock_released("index-1").await.unwrap();
    let held = one.hold_lock("index-1").await.unwrap();
    let other = one.hold_lock("index-2").await.unwrap();
    let mut watch = Box::pin(two.lock_released("index-1"));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut watch).await.is_err(), "the lock is held");
    drop(held);
    watch.await.unwrap();
    let held = one.hold_lock("index-1").await.unwrap();
    let mut next = Box::pin(two.hold_lock("index-1"));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut next).await.is_err(), "the lock is held");
    drop(held);
    let next = next.await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), one.lock_released("index-1")).await.is_err());
    drop((next, other));
    one.lock_released("index-1").await.unwrap();
    one.lock_released("index-2").await.unwrap();
}

async fn shutdown_lets_the_lock_go(fixture: Fixture) {
    if fixture.is_memory() {
        return;
    }
    let (tasks, supervisor) = tasks::Tasks::new("going");
    let going = Db::open(&fixture.config, common::NODE, &[common::ROOM], &tasks).await.unwrap();
    let _held = election(&going, "going").campaign().await.unwrap();
    let staying = fixture.open().await;
    let next = election(&staying, "staying");
    let (report, held) = tokio::join!(supervisor.shutdown(Duration::from_secs(10)), next.campaign());
    assert_eq!(report, tasks::Report::default());
    assert!(held.is_ok());
}
