//! How far a node is behind what happens.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// No event was seen.
const NONE: u64 = u64::MAX;

/// The age of the last event when a node got it. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Lag(Arc<AtomicU64>);

impl Default for Lag {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(NONE)))
    }
}

impl Lag {
    /// An event has arrived whose sequencing time is this many microseconds after 1970.
    pub fn saw(&self, micros: i64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        // The sequencer's clock may be ahead of ours.
        let age = now.saturating_sub(u128::try_from(micros).unwrap_or(0)) / 1000;
        self.0.store(u64::try_from(age).unwrap_or(NONE - 1), Ordering::Relaxed);
    }

    /// The node receives no events any more.
    pub fn clear(&self) {
        self.0.store(NONE, Ordering::Relaxed);
    }

    /// In milliseconds; `None` while the node has received nothing.
    #[must_use]
    pub fn millis(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|age| *age != NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_events_tell_of_lag_and_events_of_the_future_of_none() {
        let lag = Lag::default();
        assert_eq!(lag.millis(), None);
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
        let same = lag.clone();
        same.saw(now - 60_000_000);
        assert!(lag.millis() >= Some(60_000));
        lag.saw(now + 60_000_000);
        assert_eq!(lag.millis(), Some(0));
        same.clear();
        assert_eq!(lag.millis(), None);
    }
}
