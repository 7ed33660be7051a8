//! Asking for the time. Deadlines are judged by sequencing time, which a member only learns from events; when none come,
//! it sends an empty submission to itself, whose receipt is the proof of time (spec/protocol.md §1.7).

use crate::client::{Client, Synchronizer};
use base::{MessageId, Timestamp};
use protocol::sequencing::Submission;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tasks::Tasks;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// How long after a wanted time an event may still be on its way here.
const OBSERVATION_LATENCY: Duration = Duration::from_millis(50);
/// Between two requests for the same time.
const RETRY: Duration = Duration::from_millis(500);
/// A proof that is not sequenced by then is of no use.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// Decides when to ask. Times are this process's monotonic clock; sequencing time is carried forward from the last event.
#[derive(Debug, Clone, Default)]
pub struct TickPlanner {
    wanted: BTreeSet<Timestamp>,
    /// The last event.
    observed: Option<Timestamp>,
    /// Sequencing time at a reading of the monotonic clock, for estimates.
    clock: Option<(Timestamp, Duration)>,
    asked: Option<Duration>,
}

impl TickPlanner {
    /// An event with this sequencing time was received when the monotonic clock showed `now`.
    pub fn observe(&mut self, timestamp: Timestamp, now: Duration) {
        if self.observed.is_none_or(|last| timestamp > last) {
            self.observed = Some(timestamp);
            self.asked = None;
            self.clock = Some((timestamp, now));
        }
        // Only an event after it proves that a time has passed.
        self.wanted = self.wanted.split_off(&timestamp);
    }

    /// Somebody said that it was `timestamp` when the monotonic clock showed `now`. Only for estimates.
    pub fn hint(&mut self, timestamp: Timestamp, now: Duration) {
        if self.time(now).is_none_or(|estimate| timestamp > estimate) {
            self.clock = Some((timestamp, now));
        }
    }

    /// Somebody wants to see an event after `timestamp`.
    pub fn want(&mut self, timestamp: Timestamp) {
        if self.observed.is_none_or(|last| timestamp >= last) {
            self.wanted.insert(timestamp);
        }
    }

    /// Sequencing time as carried forward from what was last heard; `None` before anything was.
    #[must_use]
    pub fn time(&self, now: Duration) -> Option<Timestamp> {
        self.clock.map(|(observed, at)| observed.saturating_add(now.saturating_sub(at)))
    }

    /// When to ask, by the monotonic clock; `None` while nothing is wanted or the time is not known at all.
    #[must_use]
    pub fn ask_at(&self) -> Option<Duration> {
        let wanted = self.wanted.first()?;
        let (heard, at) = self.clock?;
        let due = at + wanted.since(heard) + OBSERVATION_LATENCY;
        Some(self.asked.map_or(due, |asked| due.max(asked + RETRY)))
    }

    /// A request was sent when the monotonic clock showed `now`. Gives its max sequencing time.
    pub fn asked(&mut self, now: Duration) -> Timestamp {
        self.asked = Some(now);
        self.time(now).unwrap_or(Timestamp::MAX).saturating_add(MAX_DELAY)
    }
}

/// The task around a [`TickPlanner`]. Cheap to clone.
#[derive(Clone)]
pub struct Ticker {
    planner: Arc<Mutex<TickPlanner>>,
    changed: Arc<Notify>,
    is_known: watch::Sender<bool>,
    started: Instant,
}

impl Ticker {
    /// Starts the task. `epoch` travels with its submissions.
    #[must_use]
    pub fn start(client: Client, epoch: i64, tasks: &Tasks) -> Self {
        let ticker = Self {
            planner: Arc::default(),
            changed: Arc::default(),
            is_known: watch::Sender::new(false),
            started: Instant::now(),
        };
        tasks.spawn_cancellable("ticker", ticker.clone().run(client, epoch)).detach();
        ticker
    }

    /// Call it with every event's timestamp.
    pub fn observe(&self, timestamp: Timestamp) {
        self.plan(|planner, now| planner.observe(timestamp, now));
        self.is_known.send_if_modified(|known| !std::mem::replace(known, true));
    }

    /// Makes sure that an event after `timestamp` comes once that time has passed.
    pub fn want(&self, timestamp: Timestamp) {
        self.plan(|planner, _| planner.want(timestamp));
        self.changed.notify_one();
    }

    /// See [`TickPlanner::time`].
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        self.plan(|planner, now| planner.time(now))
    }

    /// The same, but waits until the time is known.
    pub async fn known_time(&self) -> Timestamp {
        loop {
            // The sender lives as long as this ticker.
            let _ = self.is_known.subscribe().wait_for(|known| *known).await;
            if let Some(time) = self.time() {
                return time;
            }
        }
    }

    /// Asks the sequencers until one tells the time, unless an event does so first.
    async fn learn_time(&self, client: &Client) {
        while !*self.is_known.borrow() {
            if !self.hear_time(client).await {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Has a sequencer tell the time. Returns whether one did.
    async fn hear_time(&self, client: &Client) -> bool {
        match Synchronizer::at(client.config()).await {
            Ok(synchronizer) => {
                self.plan(|planner, now| planner.hint(synchronizer.time, now));
                self.is_known.send_replace(true);
                true
            }
            Err(error) => {
                tracing::debug!("no sequencer tells the time: {error}");
                false
            }
        }
    }

    fn plan<T>(&self, f: impl FnOnce(&mut TickPlanner, Duration) -> T) -> T {
        let now = self.started.elapsed();
        f(&mut self.planner.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    async fn run(self, client: Client, epoch: i64) {
        self.learn_time(&client).await;
        loop {
            let ask_at = self.plan(|planner, _| planner.ask_at());
            match ask_at {
                None => self.changed.notified().await,
                Some(at) if at > self.started.elapsed() => tokio::select! {
                    () = tokio::time::sleep_until(self.started + at) => (),
                    () = self.changed.notified() => (),
                },
                Some(_) => self.ask(&client, epoch).await,
            }
        }
    }

    async fn ask(&self, client: &Client, epoch: i64) {
        let max_sequencing_time = self.plan(TickPlanner::asked);
        let submission = Submission {
            sender: client.member().clone(),
            message_id: MessageId::new(format!("tick-{}", identity::random::id())).expect("letters, digits and a dash"),
            batch: Vec::new(),
            max_sequencing_time,
            topology_timestamp: None,
            epoch,
        };
        if let Err(error) = client.send("request for the time", &submission).await {
            tracing::debug!("a request for the time failed: {error}");
            // The synchronizer's clock may have run ahead of what is believed here; then every request would come too
            // late.
            self.hear_time(client).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros).unwrap()
    }

    #[test]
    fn asks_once_the_time_has_passed_and_again_if_nothing_comes() {
        let mut planner = TickPlanner::default();
        planner.observe(at(1_000_000), Duration::from_secs(5));
        assert_eq!(planner.ask_at(), None);
        planner.want(at(3_000_000));
        planner.want(at(9_000_000));
        let due = Duration::from_secs(7) + OBSERVATION_LATENCY;
        assert_eq!(planner.ask_at(), Some(due));
        let max = planner.asked(due);
        assert_eq!(max, at(3_050_000).saturating_add(MAX_DELAY));
        assert_eq!(planner.ask_at(), Some(due + RETRY));
        // An event at the wanted time does not prove that it has passed; a later one does.
        planner.observe(at(3_000_000), Duration::from_secs(8));
        assert_eq!(planner.ask_at(), Some(Duration::from_secs(8) + OBSERVATION_LATENCY));
        planner.observe(at(3_000_001), Duration::from_secs(8));
        assert!(planner.ask_at().unwrap() > Duration::from_secs(13));
        planner.observe(at(9_000_001), Duration::from_secs(20));
        assert_eq!(planner.ask_at(), None);
        planner.want(at(5));
        assert_eq!(planner.ask_at(), None);
        // A hint tells the time, but proves nothing.
        let mut planner = TickPlanner::default();
        planner.want(at(500));
        assert_eq!((planner.ask_at(), planner.time(Duration::ZERO)), (None, None));
        planner.hint(at(900), Duration::from_secs(1));
        assert_eq!(planner.time(Duration::from_secs(2)), Some(at(1_000_900)));
        assert_eq!(planner.ask_at(), Some(Duration::from_secs(1) + OBSERVATION_LATENCY));
    }

    #[test]
    fn a_hint_makes_up_for_a_clock_that_ran_ahead() {
        let mut planner = TickPlanner::default();
        planner.observe(at(1_000_000), Duration::from_secs(5));
        planner.want(at(2_000_000));
        // The synchronizer's clock shows 31 s, and refuses what must be sequenced before 12 s.
        let now = Duration::from_secs(6);
        assert!(planner.asked(now) < at(31_000_000));
        planner.hint(at(31_000_000), now);
        assert_eq!(planner.ask_at(), Some(now + RETRY));
        assert!(planner.asked(now + RETRY) > at(31_500_000));
    }
}
