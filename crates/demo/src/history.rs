//! What the demo's clients and readers saw, for the checker and the report.

use crate::{fault::Fault, layout::Kind};
use checker::{Outcome, Record};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::time::Instant;

/// Everything recorded. Cheap to clone.
#[derive(Clone)]
pub struct History {
    inner: Arc<Mutex<Inner>>,
    in_flight: Arc<AtomicUsize>,
    started: Instant,
}

/// What is recorded.
#[derive(Default)]
pub struct Inner {
    /// For the checker.
    pub records: Vec<Record>,
    /// From submission to answer, in microseconds.
    pub latencies: Vec<i64>,
    /// What each participant's reader got: participant and update.
    pub seen: BTreeSet<(&'static str, String)>,
    /// When each participant's reader got an update.
    pub arrivals: Vec<(&'static str, i64)>,
    /// Topology changes asked for: begin and end.
    pub topology: Vec<(i64, i64)>,
    /// What was made to happen.
    pub faults: Vec<Injected>,
    /// Processes that others ended because they were silent.
    pub silent: usize,
    /// From the start of a process on an existing database until it serves, in microseconds.
    pub restarts: Vec<i64>,
}

/// A fault that was made to happen.
#[derive(Debug, Clone)]
pub struct Injected {
    /// Microseconds since the run began.
    pub at: i64,
    /// What.
    pub fault: Fault,
    /// To a node of this kind.
    pub kind: Kind,
    /// Which.
    pub logical: String,
    /// Commands without an answer at that moment.
    pub in_flight: usize,
}

impl History {
    pub(crate) fn new() -> Self {
        Self { inner: Arc::default(), in_flight: Arc::default(), started: Instant::now() }
    }

    /// Microseconds since the demo began.
    #[must_use]
    pub fn now(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    /// Looks at everything.
    pub fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn record(&self, record: Record) {
        self.with(|inner| inner.records.push(record));
    }

    /// A client begins an attempt; gives the time.
    pub(crate) fn submit(&self, command: &str, participant: &str, stakeholders: &[&str]) -> i64 {
        let at = self.now();
        self.record(Record::Submit {
            at,
            command: command.into(),
            participant: participant.into(),
            stakeholders: stakeholders.iter().map(|s| (*s).to_owned()).collect(),
        });
        at
    }

    pub(crate) fn answer(&self, command: &str, outcome: Outcome) {
        self.record(Record::Answer { at: self.now(), command: command.into(), submission: None, outcome });
    }

    pub(crate) fn begin(&self) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.in_flight.clone())
    }

    /// Commands without an answer.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }
}

/// Counts a command as under way as long as it lives.
pub(crate) struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
