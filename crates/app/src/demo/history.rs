//! What the demo's clients and readers saw, for the checker and the report.

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
pub(crate) struct History {
    inner: Arc<Mutex<Inner>>,
    in_flight: Arc<AtomicUsize>,
    started: Instant,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) records: Vec<Record>,
    /// From submission to answer, in microseconds.
    pub(crate) latencies: Vec<i64>,
    /// What each participant's reader got: participant and update.
    pub(crate) seen: BTreeSet<(&'static str, String)>,
    /// When each participant's reader got an update.
    pub(crate) arrivals: Vec<(&'static str, i64)>,
    /// Topology changes asked for: begin and end.
    pub(crate) topology: Vec<(i64, i64)>,
    pub(crate) kills: Vec<Kill>,
    /// Processes that others ended because they were silent.
    pub(crate) silent: usize,
    /// From the start of a process on an existing database until it serves, in microseconds.
    pub(crate) restarts: Vec<i64>,
}

/// A process that was killed.
#[derive(Debug, Clone)]
pub(crate) struct Kill {
    pub(crate) at: i64,
    pub(crate) kind: super::layout::Kind,
    pub(crate) logical: String,
    /// Commands without an answer at that moment.
    pub(crate) in_flight: usize,
}

impl History {
    pub(crate) fn new() -> Self {
        Self { inner: Arc::default(), in_flight: Arc::default(), started: Instant::now() }
    }

    /// Microseconds since the demo began.
    pub(crate) fn now(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
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
        self.record(Record::Answer { at: self.now(), command: command.into(), outcome });
    }

    pub(crate) fn begin(&self) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.in_flight.clone())
    }

    pub(crate) fn in_flight(&self) -> usize {
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
