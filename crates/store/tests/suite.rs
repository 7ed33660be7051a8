//! What every engine must do: reads, guarded writes, migrations, notifications.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod common;

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use common::{Fixture, ROOM, names, thing};
use store::{Db, Incarnation, Migration, Migrations, Statement, StoreError, Value, params};

scenarios! {
    values_come_back_as_they_went
    batches_insert_upsert_and_skip
    a_batch_is_all_or_nothing
    wrong_row_counts_roll_back
    lists_are_parameters
    parameters_are_numbered_not_ordered
    incarnation_guard_fences
    transactions_see_their_own_rows_and_others_do_not
    dropped_transactions_roll_back
    failed_transactions_cannot_commit
    idle_transactions_are_ended
    queries_cannot_write
    the_clock_moves
    migrations_are_applied_once_and_checked
    opening_at_once_migrates_once
    statements_are_checked
    notifications_cross_processes
    concurrent_writers_lose_nothing
}

async fn values_come_back_as_they_went(fixture: Fixture) {
    let db = fixture.open().await;
    let columns = &["id", "name", "data", "good", "epoch"];
    let rows: [Vec<Value>; 3] = [
        params![i64::MAX, "naïve 😀 \"quoted\" '; drop table things; --", vec![0_u8, 255], true, -1_i64].to_vec(),
        params![i64::MIN, "", Vec::<u8>::new(), false, 0_i64].to_vec(),
        params![0_i64, None::<String>, None::<Vec<u8>>, None::<bool>, None::<i64>].to_vec(),
    ];
    db.commit(&db.own(), vec![Statement::insert("things", columns, rows.to_vec())]).await.unwrap();
    for row in &rows {
        let found =
            db.query_one("select id, name, data, good, epoch from things where id = $1", [row[0].clone()]).await;
        let found = found.unwrap();
        assert_eq!(found.value(0), Ok(&row[0]));
        assert_eq!(found.value(1), Ok(&row[1]));
        assert_eq!(found.value(2), Ok(&row[2]));
        assert_eq!(
            found.opt_bool(3).unwrap(),
            match row[3] {
                Value::Bool(b) => Some(b),
                _ => None,
            }
        );
        assert_eq!(found.value(4), Ok(&row[4]));
    }
    assert_eq!(
        db.query_opt("select 1 from things where name is null and id > $1", params![0_i64]).await.unwrap(),
        None
    );
}

async fn batches_insert_upsert_and_skip(fixture: Fixture) {
    let db = fixture.open().await;
    let columns = &["id", "name", "data"];
    let rows = |ids: &[i64], name: Option<&str>| -> Vec<Vec<Value>> {
        ids.iter().map(|id| params![*id, name.map(str::to_owned), None::<Vec<u8>>].to_vec()).collect()
    };
    let committed = db
        .commit(
            &db.own(),
            vec![
                Statement::insert("things", columns, rows(&[1, 2, 3], Some("a"))),
                Statement::insert_new("things", columns, rows(&[3, 4], Some("b"))),
                Statement::upsert("things", &["id"], columns, rows(&[1, 5, 5], Some("c"))),
                Statement::insert("things", columns, vec![]),
                Statement::insert("things", columns, rows(&[6, 7], None)),
                Statement::upsert("things", &["id"], &["id"], vec![params![7_i64].to_vec()]),
            ],
        )
        .await
        .unwrap();
    assert_eq!(committed.rows, [3, 1, 2, 0, 2, 0]);
    let names = db.query("select coalesce(name, '-') from things order by id", []).await.unwrap();
    let names: Vec<&str> = names.iter().map(|row| row.text(0).unwrap()).collect();
    assert_eq!(names, ["c", "a", "a", "b", "c", "-", "-"]);
}

async fn a_batch_is_all_or_nothing(fixture: Fixture) {
    let db = fixture.open().await;
    db.commit(&db.own(), vec![thing(1, "first")]).await.unwrap();
    let twice = db.commit(&db.own(), vec![thing(2, "a"), thing(1, "b"), thing(3, "c")]).await;
    assert!(matches!(twice, Err(StoreError::Conflict { statement: 1, .. })), "{twice:?}");
    assert_eq!(names(&db).await, ["first"]);
    db.commit(&db.own(), vec![thing(4, "after")]).await.unwrap();
    assert_eq!(names(&db).await, ["first", "after"], "the connection is usable again");
    let null = Statement::new("insert into things (id) values ($1)", [Value::Null]);
    let null = db.commit(&db.own(), vec![null]).await;
    assert!(matches!(null, Err(StoreError::Statement(_))), "{null:?}");
}

async fn wrong_row_counts_roll_back(fixture: Fixture) {
    let db = fixture.open().await;
    let rename = |to: &str| Statement::new("update things set name = $1", params![to]);
    db.commit(&db.own(), vec![thing(1, "a"), thing(2, "b")]).await.unwrap();
    for wrong in [0, 2, 4] {
        let result = db.commit(&db.own(), vec![thing(3, "c"), rename("x").expect_rows(wrong)]).await;
        assert!(matches!(result, Err(StoreError::Conflict { statement: 1, .. })), "{wrong}: {result:?}");
        assert_eq!(names(&db).await, ["a", "b"]);
    }
    let committed = db.commit(&db.own(), vec![thing(3, "c"), rename("x").expect_rows(3)]).await.unwrap();
    assert_eq!(committed.rows, [1, 3]);
    let none = Statement::insert("things", &["id"], vec![]).expect_rows(1);
    assert!(matches!(db.commit(&db.own(), vec![none]).await, Err(StoreError::Conflict { statement: 0, .. })));
}

async fn lists_are_parameters(fixture: Fixture) {
    let db = fixture.open().await;
    let strange = ["a", "b\"\\\n\u{1}", "ü", ""];
    let rows = (0..).zip(strange).map(|(id, name)| params![id, name, name.as_bytes()].to_vec()).collect();
    db.commit(&db.own(), vec![Statement::insert("things", &["id", "name", "data"], rows)]).await.unwrap();
    let ids = async |sql: &'static str, list: Value| -> Vec<i64> {
        db.query(sql, [list]).await.unwrap().iter().map(|row| row.int(0).unwrap()).collect()
    };
    let texts: Vec<String> = strange[1..].iter().map(|s| (*s).to_owned()).collect();
    let blobs: Vec<Bytes> = texts.iter().map(|s| Bytes::from(s.clone())).collect();
    assert_eq!(ids("select id from things where id in ints($1) order by id", vec![3_i64, 0, 9].into()).await, [0, 3]);
    assert_eq!(ids("select id from things where name in texts($1) order by id", texts.into()).await, [1, 2, 3]);
    assert_eq!(ids("select id from things where data in blobs($1) order by id", blobs.into()).await, [1, 2, 3]);
    assert_eq!(ids("select id from things where id in ints($1)", Vec::<i64>::new().into()).await, [0_i64; 0]);
}

async fn parameters_are_numbered_not_ordered(fixture: Fixture) {
    let db = fixture.open().await;
    db.commit(&db.own(), vec![Statement::new("insert into things (name, id) values ($2, $1)", params![1_i64, "x"])])
        .await
        .unwrap();
    let row = db.query_one("select id from things where name = $2 and id = $1 and $1 = $1", params![1_i64, "x"]).await;
    assert_eq!(row.unwrap().int(0), Ok(1));
    let missing = db.query("select id from things where id = $1", []).await;
    assert!(missing.is_err());
}

async fn incarnation_guard_fences(fixture: Fixture) {
    let db = fixture.open().await;
    db.commit(&db.own(), vec![thing(0, "7")]).await.unwrap();
    let guard = |incarnation: &str| {
        Incarnation::new(Statement::new("update things set epoch = 1 where id = 0 and name = $1", params![incarnation]))
    };
    db.commit(&guard("7"), vec![thing(1, "mine")]).await.unwrap();
    let fenced = db.commit(&guard("6"), vec![thing(2, "stale")]).await;
    assert!(matches!(fenced, Err(StoreError::Fenced { .. })), "{fenced:?}");
    let fenced = db.begin(&guard("6")).await.map(drop);
    assert!(matches!(fenced, Err(StoreError::Fenced { .. })), "{fenced:?}");
    let mut tx = db.begin(&guard("7")).await.unwrap();
    tx.execute(thing(3, "mine too")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(names(&db).await, ["7", "mine", "mine too"]);
}

async fn transactions_see_their_own_rows_and_others_do_not(fixture: Fixture) {
    let db = fixture.open().await;
    let mut tx = db.begin(&db.own()).await.unwrap();
    assert_eq!(tx.execute(thing(1, "x")).await, Ok(1));
    assert_eq!(tx.query("select name from things", []).await.unwrap().len(), 1);
    if !fixture.is_memory() {
        assert_eq!(names(&db).await, [""; 0]); // in memory this would wait for the transaction
    }
    tx.commit().await.unwrap();
    assert_eq!(names(&db).await, ["x"]);
}

async fn dropped_transactions_roll_back(fixture: Fixture) {
    let db = fixture.open().await;
    for id in 0..10 {
        let mut tx = db.begin(&db.own()).await.unwrap();
        tx.execute(thing(id, "x")).await.unwrap();
    }
    assert_eq!(names(&db).await, [""; 0]);
}

async fn failed_transactions_cannot_commit(fixture: Fixture) {
    let db = fixture.open().await;
    db.commit(&db.own(), vec![thing(1, "a")]).await.unwrap();
    let mut tx = db.begin(&db.own()).await.unwrap();
    tx.execute(thing(2, "b")).await.unwrap();
    assert!(matches!(tx.execute(thing(1, "again")).await, Err(StoreError::Conflict { .. })));
    assert!(tx.execute(thing(3, "c")).await.is_err());
    assert!(tx.commit().await.is_err());
    assert_eq!(names(&db).await, ["a"]);
}

/// Otherwise a paused writer would hold its epoch row, and with it up the takeover, for as long as it is paused.
async fn idle_transactions_are_ended(fixture: Fixture) {
    let db = fixture.open().await;
    let mut tx = db.begin(&db.own()).await.unwrap();
    tx.execute(thing(1, "x")).await.unwrap();
    // On SQLite the next writer has to wait for the end of the idle one; on PostgreSQL it is told by the row's lock.
    db.commit(&db.own(), vec![thing(1, "y")]).await.unwrap();
    assert!(tx.commit().await.is_err());
    assert_eq!(names(&db).await, ["y"]);
}

async fn queries_cannot_write(fixture: Fixture) {
    let db = fixture.open().await;
    let result = db.query("insert into things (id, name) values (1, 'x') returning id", []).await;
    assert!(result.is_err(), "{result:?}");
    assert_eq!(names(&db).await, [""; 0]);
}

async fn the_clock_moves(fixture: Fixture) {
    let db = fixture.open().await;
    let before = db.now().await.unwrap();
    let committed = db.commit(&db.own(), vec![thing(1, "x")]).await.unwrap().now;
    let tx = db.begin(&db.own()).await.unwrap();
    let opened = tx.now();
    drop(tx);
    let after = db.now().await.unwrap();
    let ms = Duration::from_millis(1); // SQLite's own reading is that coarse
    assert!(before <= committed.saturating_add(ms) && committed <= opened.saturating_add(ms));
    assert!(opened <= after.saturating_add(ms), "{opened} {after}");
    assert!(after.micros() > 1_700_000_000_000_000, "a wall clock in µs: {after}");
}

const EXTENDED: Migrations = Migrations {
    component: "room",
    steps: &[
        ROOM.steps[0],
        ROOM.steps[1],
        Migration { version: 3, name: "more", sql: "alter table things add column more bigint" },
    ],
};
const EDITED: Migrations = Migrations {
    component: "room",
    steps: &[ROOM.steps[0], Migration { version: 2, name: "index", sql: "create index other on things (name)" }],
};

async fn migrations_are_applied_once_and_checked(fixture: Fixture) {
    if fixture.is_memory() {
        return; // nothing is left to be opened a second time
    }
    let db = fixture.open().await;
    db.commit(&db.own(), vec![thing(1, "kept")]).await.unwrap();
    fixture.open().await;
    let db = fixture.open_with(&[EXTENDED]).await.unwrap();
    assert_eq!(db.query("select more from things where name = 'kept'", []).await.unwrap().len(), 1);
    let older = fixture.open_with(&[ROOM]).await.unwrap_err();
    assert_eq!(older, StoreError::TooNew { component: "room".into(), found: 3, known: 2 });
    let edited = fixture.open_with(&[EDITED]).await.unwrap_err();
    assert!(matches!(edited, StoreError::TooNew { .. } | StoreError::Corrupt(_)), "{edited}");
}

async fn opening_at_once_migrates_once(fixture: Fixture) {
    if fixture.is_memory() {
        return;
    }
    let all = futures::future::join_all((0..4).map(|_| fixture.open())).await;
    let epochs = all[0].query("select count(*), max(slot) from store_epochs", []).await.unwrap();
    assert_eq!((epochs[0].int(0), epochs[0].int(1)), (Ok(64), Ok(63)));
}

async fn statements_are_checked(fixture: Fixture) {
    let db = fixture.open().await;
    db.check_statements(&[
        "select id from things where id in ints($1) and name = $2 for update",
        "update things set name = $1, epoch = now_micros() where id = $2",
        "insert into things (id) values ($1) on conflict (id) do update set name = excluded.name",
        "delete from things where id < $1",
    ])
    .await
    .unwrap();
    for wrong in ["select nothing from things", "select 1 from nowhere", "selec 1"] {
        let error = db.check_statements(&[wrong]).await.unwrap_err();
        assert!(error.to_string().contains(wrong), "{error}");
    }
}

async fn notifications_cross_processes(fixture: Fixture) {
    let (here, there) = (fixture.open().await, if fixture.is_memory() { None } else { Some(fixture.open().await) });
    let hour = Duration::from_secs(3600);
    let (mut own, mut other) =
        (here.listen("events").with_safety_net(hour), here.listen("others").with_safety_net(hour));
    here.notify("events");
    own.changed().await;
    let Some(there) = there else { return };
    let mut far = there.listen("events").with_safety_net(hour);
    // The far side may not listen yet; once it does it wakes everybody, so this ends only if wake-ups arrive.
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let sender = async {
        tokio::pin!(stopped);
        loop {
            here.notify("events");
            if tokio::time::timeout(Duration::from_millis(20), &mut stopped).await.is_ok() {
                return;
            }
        }
    };
    let waiter = async {
        for _ in 0..10 {
            far.changed().await;
        }
        stop.send(()).unwrap();
    };
    tokio::join!(sender, waiter);
    drop(other.changed());
}

async fn concurrent_writers_lose_nothing(fixture: Fixture) {
    let dbs: Vec<Db> = match fixture.is_memory() {
        true => vec![fixture.open().await],
        false => vec![fixture.open().await, fixture.open().await],
    };
    let writers = (0..8_i64).map(|writer| {
        let db = dbs[usize::try_from(writer).unwrap() % dbs.len()].clone();
        async move {
            for i in 0..10 {
                db.commit(&db.own(), vec![thing(writer * 100 + i, "x")]).await.unwrap();
            }
        }
    });
    futures::future::join_all(writers).await;
    let ids = dbs[0].query("select id from things", []).await.unwrap();
    let ids: BTreeSet<i64> = ids.iter().map(|row| row.int(0).unwrap()).collect();
    assert_eq!(ids.len(), 80);
}
