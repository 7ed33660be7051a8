//! The tail: one reader per process follows the events of all sequencers, and fans them out from memory.

use crate::store;
use ::store::{Db, Listener};
use base::{MemberId, Timestamp};
use sequencer_core::StoredEvent;
use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, PoisonError, RwLock},
};
use telemetry::{Lag, Trouble};
use tokio::sync::watch;

/// Events kept for subscribers that are up to date; whoever lags further reads from the database.
const KEPT_EVENTS: usize = 4096;
/// Events of one read.
const READ_LIMIT: u32 = 1000;

/// Told after a transaction with events.
pub(crate) const EVENTS: &str = "sequencer_events";
/// Told after a transaction that only moved a watermark.
pub(crate) const WATERMARKS: &str = "sequencer_watermarks";

/// An event with those who get it.
#[derive(Debug)]
pub(crate) struct TailEvent {
    pub(crate) stored: StoredEvent,
    pub(crate) members: BTreeSet<MemberId>,
}

/// The memory of the tail. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tail {
    kept: Arc<RwLock<Kept>>,
    safe: watch::Sender<Timestamp>,
    lag: Lag,
}

struct Kept {
    /// Every event after this one up to the bound is here.
    after: Timestamp,
    events: VecDeque<Arc<TailEvent>>,
}

impl TailEvent {
    pub(crate) fn new(stored: StoredEvent) -> Self {
        let mut members = if stored.error.is_some() { BTreeSet::new() } else { stored.submission.recipients() };
        members.insert(stored.submission.sender.clone());
        Self { stored, members }
    }
}

impl Tail {
    pub(crate) fn new(after: Timestamp) -> Self {
        let kept = Kept { after, events: VecDeque::new() };
        Self { kept: Arc::new(RwLock::new(kept)), safe: watch::Sender::new(after), lag: Lag::default() }
    }

    /// Up to where everything is known; moves when there is something new.
    pub(crate) fn safe(&self) -> watch::Receiver<Timestamp> {
        self.safe.subscribe()
    }

    /// How old events are when subscribers can have them.
    pub(crate) fn lag(&self) -> &Lag {
        &self.lag
    }

    /// The events after `after` up to `up_to`, in order; `None` if some of them are no longer kept.
    pub(crate) fn read(&self, after: Timestamp, up_to: Timestamp) -> Option<Vec<Arc<TailEvent>>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        if after < kept.after {
            return None;
        }
        let from = kept.events.partition_point(|e| e.stored.timestamp <= after);
        let to = kept.events.partition_point(|e| e.stored.timestamp <= up_to);
        Some(kept.events.range(from..to.max(from)).cloned().collect())
    }

    fn push(&self, events: Vec<StoredEvent>) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.events.extend(events.into_iter().map(|stored| Arc::new(TailEvent::new(stored))));
        while kept.events.len() > KEPT_EVENTS {
            if let Some(dropped) = kept.events.pop_front() {
                kept.after = dropped.stored.timestamp;
            }
        }
    }
}

/// Follows the database for ever. Errors are waited out: readers see nothing new in the meantime.
pub(crate) async fn follow(db: Db, tail: Tail) {
    let mut events = db.listen(EVENTS);
    let mut watermarks = db.listen(WATERMARKS);
    let mut trouble = Trouble::new("the events of the sequencers cannot be read");
    loop {
        trouble.note(read_all(&db, &tail).await);
        either(&mut events, &mut watermarks).await;
    }
}

async fn either(a: &mut Listener, b: &mut Listener) {
    tokio::select! {
        () = a.changed() => (),
        () = b.changed() => (),
    }
}

async fn read_all(db: &Db, tail: &Tail) -> ::store::Result<()> {
    loop {
        let after = *tail.safe.borrow();
        let batch = store::tail(db, after, READ_LIMIT).await?;
        let bound = if batch.is_full { batch.events.last().map(|e| e.timestamp) } else { batch.safe };
        let newest = batch.events.last().map(|e| e.timestamp.micros());
        tail.push(batch.events);
        if let Some(bound) = bound {
            // A bound can seem to go back when a sequencer goes online; nothing new appears below the old one.
            tail.safe.send_if_modified(|safe| {
                let moved = bound > *safe;
                *safe = bound.max(*safe);
                moved
            });
        }
        if let Some(newest) = newest {
            tail.lag.saw(newest);
        }
        if !batch.is_full {
            return Ok(());
        }
    }
}
