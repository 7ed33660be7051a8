use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;

use super::*;

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_task_gives_its_result() {
    let (tasks, supervisor) = Tasks::new("test");
    assert_eq!(tasks.spawn("seven", async { 7 }).await, Ok(7));
    assert_eq!(tasks.spawn_blocking("eight", || 8).await, Ok(8));
    assert_eq!(tasks.spawn_thread("nine", || 9).unwrap().await, Ok(9));
    assert_eq!(supervisor.shutdown(LONG).await, Report::default());
}

#[tokio::test]
async fn dropping_the_handle_does_not_end_the_task() {
    let (tasks, supervisor) = Tasks::new("test");
    let (send, receive) = oneshot::channel();
    let (done, seen) = oneshot::channel();
    drop(tasks.spawn("detached", async move {
        receive.await.unwrap();
        done.send(()).unwrap();
    }));
    send.send(()).unwrap();
    seen.await.unwrap();
    assert_eq!(supervisor.shutdown(LONG).await.unfinished, Vec::<String>::new());
}

#[tokio::test]
async fn a_panic_is_reported_with_the_tasks_name() {
    let (tasks, supervisor) = Tasks::new("test");
    let ended = tasks.spawn("bad", async { panic!("no luck") }).await;
    assert_eq!(ended, Err::<(), _>(TaskEnded::Panicked { task: "test/bad".into(), message: "no luck".into() }));
    assert!(!tasks.is_cancelled(), "an ordinary task takes nobody with it");
    let report = supervisor.shutdown(LONG).await;
    assert_eq!(report.failures, [Failure { task: "test/bad".into(), reason: "panicked: no luck".into() }]);
}

#[tokio::test]
async fn an_essential_task_takes_its_scope_with_it_and_no_other() {
    let (tasks, outer) = Tasks::new("test");
    let (child, inner) = tasks.child("role");
    let sibling = child.spawn_cancellable("sibling", std::future::pending());
    child.spawn_essential("heart", async { Err("stopped") }).await.unwrap();
    inner.cancelled().await;
    sibling.await.unwrap();
    let heart = Failure { task: "test/role/heart".into(), reason: "stopped".into() };
    assert_eq!(inner.failures(), std::slice::from_ref(&heart));
    assert!(!tasks.is_cancelled());
    assert_eq!(outer.failures(), [heart], "scopes around it see the failure too");

    let (child, inner) = tasks.child("other");
    child.spawn_essential("panics", async { if true { panic!("ouch") } else { Ok::<_, String>(()) } }).detach();
    inner.cancelled().await;
}

#[tokio::test]
async fn an_essential_task_that_ends_well_changes_nothing() {
    let (tasks, supervisor) = Tasks::new("test");
    tasks.spawn_essential("done", async { Ok::<_, String>(()) }).await.unwrap();
    assert!(!tasks.is_cancelled());
    assert_eq!(supervisor.failures(), []);
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_names_and_aborts() {
    let (tasks, supervisor) = Tasks::new("test");
    let polite = tasks.clone();
    let (_, role) = tasks.child("role");
    tasks.spawn("polite", async move { polite.cancelled().await }).detach();
    let (child, _child_supervisor) = tasks.child("deaf");
    let held = std::sync::Arc::new(());
    let holder = held.clone();
    let deaf = child.spawn("task", async move {
        let _holder = holder;
        std::future::pending::<()>().await;
    });
    let report = supervisor.shutdown(Duration::from_secs(1)).await;
    assert_eq!(report.unfinished, ["test/deaf/task"]);
    assert_eq!(deaf.await, Err(TaskEnded::Aborted { task: "test/deaf/task".into() }));
    assert_eq!(std::sync::Arc::strong_count(&held), 1, "an aborted task holds nothing");
    role.cancelled().await;

    let late = tasks.spawn("late", async {}).await;
    assert_eq!(late, Err(TaskEnded::Aborted { task: "late".into() }), "nothing starts in a scope that is shut down");
}

#[tokio::test]
async fn a_child_scope_ends_on_its_own() {
    let (tasks, outer) = Tasks::new("test");
    let (child, inner) = tasks.child("role");
    child.spawn_cancellable("loop", std::future::pending()).detach();
    tasks.spawn_cancellable("stays", std::future::pending()).detach();
    assert_eq!(inner.shutdown(LONG).await, Report::default());
    assert_eq!(outer.running(), ["test/stays"]);
    assert!(child.is_cancelled() && !tasks.is_cancelled());
    assert_eq!(outer.shutdown(LONG).await, Report::default());
}

#[tokio::test]
async fn shutdown_joins_threads() {
    let (tasks, supervisor) = Tasks::new("test");
    let ended = std::sync::Arc::new(AtomicBool::new(false));
    let (watch, flag) = (tasks.clone(), ended.clone());
    tasks
        .spawn_thread("thread", move || {
            watch.runtime().block_on(watch.cancelled());
            flag.store(true, Ordering::SeqCst);
        })
        .unwrap()
        .detach();
    assert_eq!(supervisor.shutdown(LONG).await, Report::default());
    assert!(ended.load(Ordering::SeqCst));
}

#[tokio::test]
async fn dropping_the_supervisor_cancels() {
    let (tasks, supervisor) = Tasks::new("test");
    drop(supervisor);
    assert!(tasks.is_cancelled());
}
