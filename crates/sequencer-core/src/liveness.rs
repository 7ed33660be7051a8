//! Finding sequencers that hang. A crash shows itself by the end of its session lock; a hang only by its beat.

use base::SilenceJudge;
use std::{collections::BTreeMap, time::Duration};

/// A sequencer's sign of life, in a row of its own: not its watermark, which others may hold back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Which sequencer.
    pub index: u32,
    /// Which life of it.
    pub incarnation: i64,
    /// Counts up as long as it lives.
    pub beat: i64,
}

/// A [`SilenceJudge`] for each of the other sequencers.
#[derive(Debug, Clone)]
pub struct HangJudge {
    lease: Duration,
    judges: BTreeMap<u32, SilenceJudge<Beat>>,
}

impl HangJudge {
    /// Whoever stands still for a whole `lease` is taken for dead.
    #[must_use]
    pub fn new(lease: Duration) -> Self {
        Self { lease, judges: BTreeMap::new() }
    }

    /// `beats` are the rows of all other sequencers that are online, read when the monotonic clock showed `now`.
    /// Returns those that stood still for the lease, as this judge has seen it.
    pub fn observe(&mut self, beats: &[Beat], now: Duration) -> Vec<Beat> {
        self.judges.retain(|index, _| beats.iter().any(|b| b.index == *index));
        let lease = self.lease;
        let mut is_silent =
            |beat: &Beat| self.judges.entry(beat.index).or_insert_with(|| SilenceJudge::new(lease)).observe(*beat, now);
        beats.iter().filter(|beat| is_silent(beat)).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_that_stand_still_are_dead() {
        let mut judge = HangJudge::new(Duration::from_millis(100));
        let beat = |index, incarnation, beat| Beat { index, incarnation, beat };
        let ms = Duration::from_millis;
        assert!(judge.observe(&[beat(0, 1, 1), beat(1, 1, 1)], ms(0)).is_empty());
        assert!(judge.observe(&[beat(0, 1, 2), beat(1, 1, 1)], ms(40)).is_empty());
        assert!(judge.observe(&[beat(0, 1, 3), beat(1, 1, 1)], ms(90)).is_empty());
        assert_eq!(judge.observe(&[beat(0, 1, 4), beat(1, 1, 1)], ms(110)), [beat(1, 1, 1)]);
        // A new incarnation restarts the timer, and so does an absence.
        assert!(judge.observe(&[beat(0, 1, 4), beat(1, 2, 1)], ms(300)).is_empty());
        assert!(judge.observe(&[beat(0, 1, 5)], ms(350)).is_empty());
        assert!(judge.observe(&[beat(0, 1, 6), beat(1, 2, 1)], ms(450)).is_empty());
    }
}
