//! The life of a sequencer: wait until there is a synchronizer, claim an index, go online, write; when knocked out,
//! begin anew.

use crate::{
    Config, INITIALIZED, SequencerError, Shared, Status, auth,
    members::Registry,
    own, peers,
    store::{self, Life},
    tail::{self, Tail, WATERMARKS},
    writer::{self, QUEUE, Request, SendError, Writer},
};
use ::store::{Db, HeldLock, StoreError};
use base::{SynchronizerId, Timestamp};
use identity::{Identity, load_setting, load_topology};
use sequencer_core::{Sequencing, SequencingClock};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tasks::Tasks;
use tokio::sync::{mpsc, watch};

/// After an incarnation ended, before the next: repeated role changes back off.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How long to wait for an index that somebody may hold, before the next is tried.
const CLAIM_PATIENCE: Duration = Duration::from_millis(100);
/// How long the tasks of an incarnation may take to end.
const END: Duration = Duration::from_secs(1);

/// Runs for ever; ends with an error only if what is stored cannot be used.
pub(crate) async fn run(
    db: Db,
    config: Config,
    identity: Identity,
    shared_out: watch::Sender<Option<Arc<Shared>>>,
    status: watch::Sender<Status>,
    tasks: Tasks,
) -> Result<(), SequencerError> {
    let synchronizer = tokio::select! {
        known = initialized(&db) => known?,
        () = tasks.cancelled() => return Ok(()),
    };
    let (writer, mut inbox) = mpsc::channel(QUEUE);
    let shared = Arc::new(shared(db, config, identity, synchronizer, writer, &tasks).await?);
    status.send_modify(|s| s.initialized = true);
    tasks.spawn_cancellable("tail", tail::follow(shared.db.clone(), shared.tail.clone())).detach();
    tasks.spawn_cancellable("topology of the sequencer", own::follow(shared.clone())).detach();
    shared_out.send_replace(Some(shared.clone()));
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        let ended = tokio::select! {
            ended = live(&shared, &mut inbox, &status) => ended,
            () = tasks.cancelled() => return leave(&shared, &status).await,
        };
        shared.online.send_replace(false);
        let trouble = Some(ended.to_string());
        let before = status.send_replace(Status { initialized: true, online: None, trouble }).online;
        tracing::warn!(?before, "sequencer is offline: {ended}");
        refuse_waiting(&mut inbox);
        pause = if begun.elapsed() > LONGEST_PAUSE { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        tokio::select! {
            () = tokio::time::sleep(pause) => (),
            () = tasks.cancelled() => return Ok(()),
        }
    }
}

async fn initialized(db: &Db) -> Result<SynchronizerId, SequencerError> {
    let mut told = db.listen(INITIALIZED);
    loop {
        if let Some(id) = load_setting(db, "synchronizer").await? {
            return Ok(id.parse()?);
        }
        told.changed().await;
    }
}

async fn shared(
    db: Db,
    config: Config,
    identity: Identity,
    synchronizer: SynchronizerId,
    writer: mpsc::Sender<Request>,
    tasks: &Tasks,
) -> Result<Shared, SequencerError> {
    let topology = load_topology(&db, &synchronizer).await?;
    let sequencer = crate::id_of(&topology, &identity).ok_or_else(|| {
        SequencerError::Topology("no sequencer on it has the key of this one; restore its keys".into())
    })?;
    let registry = Registry::load(&db, topology).await?;
    let safe = store::tail(&db, Timestamp::MAX, 1).await?.safe.unwrap_or(Timestamp::MIN);
    let started = Instant::now();
    let clock = Mutex::new(SequencingClock::new(db.now().await?, started.elapsed()));
    Ok(Shared {
        limits: config.limits.clone(),
        sequencer,
        manager: synchronizer.member(),
        tail: Tail::new(safe),
        tokens: auth::Tokens::default(),
        online: watch::Sender::new(false),
        tasks: tasks.clone(),
        db,
        config,
        identity,
        synchronizer,
        registry,
        writer,
        clock,
        started,
    })
}

/// One incarnation, from the claim of an index to whatever ends it.
async fn live(shared: &Arc<Shared>, inbox: &mut mpsc::Receiver<Request>, status: &watch::Sender<Status>) -> StoreError {
    let (life, watermark, lock) = match claim(shared).await {
        Ok(claimed) => claimed,
        Err(error) => return error,
    };
    tracing::info!(index = life.index, incarnation = life.incarnation, "sequencer is online");
    shared.db.notify(WATERMARKS);
    let (tasks, supervisor) = shared.tasks.child(&format!("incarnation {}", life.incarnation));
    tasks.spawn_cancellable("beat", peers::beat(shared.clone(), life)).detach();
    tasks.spawn_cancellable("peers", peers::watch(shared.clone(), life)).detach();
    let writer = Writer {
        db: shared.db.clone(),
        life,
        registry: shared.registry.clone(),
        sequencing: Sequencing::new(life.index, shared.config.total_node_count, watermark),
        clock: SequencingClock::new(watermark, shared.started.elapsed()),
        started: shared.started,
    };
    status.send_replace(Status { initialized: true, online: Some((life.index, life.incarnation)), trouble: None });
    shared.online.send_replace(true);
    let ended = tokio::select! {
        ended = writer.run(inbox) => ended,
        () = lock.lost() => StoreError::Unavailable("the session that holds the index was lost".into()),
    };
    supervisor.shutdown(END).await;
    ended
}

/// An index that nobody holds, and a new incarnation of it.
async fn claim(shared: &Shared) -> Result<(Life, Timestamp, HeldLock), StoreError> {
    loop {
        let mut rows = store::indexes(&shared.db).await?;
        rows.sort_by_key(|row| row.online);
        for row in rows {
            let name = peers::lock_name(row.life.index);
            let Ok(lock) = tokio::time::timeout(CLAIM_PATIENCE, shared.db.hold_lock(&name)).await else { continue };
            let lock = lock?;
            match store::go_online(&shared.db, row.life.index, shared.db.instance()).await {
                Ok(Some((life, watermark))) => return Ok((life, watermark, lock)),
                Ok(None) | Err(StoreError::Conflict { .. } | StoreError::Contention(_)) => {}
                Err(error) => return Err(error),
            }
        }
        tokio::time::sleep(FIRST_PAUSE).await;
    }
}

fn refuse_waiting(inbox: &mut mpsc::Receiver<writer::Request>) {
    while let Ok(request) = inbox.try_recv() {
        let _ = request.reply.send(Err(SendError::NotOnline));
    }
}

/// An orderly end: readers elsewhere need not wait for anybody to notice.
async fn leave(shared: &Shared, status: &watch::Sender<Status>) -> Result<(), SequencerError> {
    shared.online.send_replace(false);
    let online = status.borrow().online;
    if let Some((index, incarnation)) = online {
        shared.db.commit(&shared.db.own(), vec![store::knock_out(Life { index, incarnation })]).await?;
        shared.db.notify(WATERMARKS);
    }
    Ok(())
}
