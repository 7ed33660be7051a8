//! Sequencing time: the database's clock, carried forward, and timestamps that no two sequencers share.

use base::Timestamp;
use std::time::Duration;

/// The database's clock between two measurements, carried forward by this machine's monotonic clock. So a machine
/// whose wall clock is wrong can neither drag the network ahead nor hold it back.
#[derive(Debug, Clone)]
pub struct SequencingClock {
    database: Timestamp,
    measured_at: Duration,
    last: Timestamp,
}

impl SequencingClock {
    /// `database` was read when the monotonic clock showed `monotonic`.
    #[must_use]
    pub fn new(database: Timestamp, monotonic: Duration) -> Self {
        Self { database, measured_at: monotonic, last: database }
    }

    /// A new measurement. The clock slows down or jumps ahead, but never turns back.
    pub fn observe(&mut self, database: Timestamp, monotonic: Duration) {
        self.database = database;
        self.measured_at = monotonic;
    }

    /// The time when the monotonic clock shows `monotonic`; never less than an earlier answer.
    pub fn now(&mut self, monotonic: Duration) -> Timestamp {
        let carried = self.database.saturating_add(monotonic.saturating_sub(self.measured_at));
        self.last = self.last.max(carried);
        self.last
    }
}

/// Timestamps `t ≡ index (mod total-node-count)` in µs: unique across sequencers without talking to them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TimestampGenerator {
    index: i64,
    count: i64,
    last: Timestamp,
}

impl TimestampGenerator {
    /// All timestamps will be later than `after`. `index` is below `count`, which is at least 1.
    #[must_use]
    pub fn new(index: u32, count: u32, after: Timestamp) -> Self {
        debug_assert!(index < count);
        Self { index: index.into(), count: i64::from(count).max(1), last: after }
    }

    /// The earliest of ours that is at least `now` and later than all before.
    pub fn next(&mut self, now: Timestamp) -> Timestamp {
        let from = now.micros().max(self.last.micros().saturating_add(1));
        let ahead = (self.index - from).rem_euclid(self.count);
        self.last = Timestamp::saturating_from_micros(from.saturating_add(ahead));
        self.last
    }

    /// The last one given out, or where this generator began.
    #[must_use]
    pub fn last(&self) -> Timestamp {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros).unwrap()
    }

    #[test]
    fn carries_the_database_clock_and_never_turns_back() {
        let mut clock = SequencingClock::new(at(1_000), Duration::from_micros(10));
        assert_eq!(clock.now(Duration::from_micros(15)), at(1_005));
        clock.observe(at(900), Duration::from_micros(20));
        assert_eq!(clock.now(Duration::from_micros(20)), at(1_005));
        assert_eq!(clock.now(Duration::from_micros(220)), at(1_100));
    }

    #[test]
    fn a_round_under_a_frozen_clock_lies_below_the_next() {
        let mut generators: Vec<_> = (0..3).map(|i| TimestampGenerator::new(i, 3, at(0))).collect();
        let mut round = || generators.iter_mut().map(|g| g.next(at(100))).collect::<Vec<_>>();
        let (first, second) = (round(), round());
        assert!(first.iter().max() < second.iter().min());
    }

    proptest! {
        #[test]
        fn unique_increasing_and_not_in_the_past(
            count in 1_u32..33,
            steps in proptest::collection::vec((0_u32..33, 0_i64..200), 1..200),
        ) {
            let mut generators: Vec<_> = (0..count).map(|i| TimestampGenerator::new(i, count, at(50))).collect();
            let mut seen = BTreeSet::new();
            for (who, now) in steps {
                let generator = &mut generators[(who % count) as usize];
                let before = generator.last();
                let t = generator.next(at(now));
                prop_assert!(t > before && t >= at(now));
                prop_assert!(seen.insert(t), "{t} twice");
                prop_assert_eq!(t.micros().rem_euclid(count.into()), i64::from(who % count));
            }
        }
    }
}
