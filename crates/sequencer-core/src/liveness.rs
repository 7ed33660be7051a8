//! Finding sequencers that hang. A crash shows itself by the end of its session lock; a hang only by its beat.

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

/// Judges by its own monotonic clock how long a beat has stood still; clocks of others do not matter.
#[derive(Debug, Clone)]
pub struct HangJudge {
    lease: Duration,
    seen: BTreeMap<u32, Silence>,
}

/// How long a beat was seen to stand still.
#[derive(Debug, Clone)]
struct Silence {
    beat: Beat,
    looked: Duration,
    silent: Duration,
}

impl HangJudge {
    /// Whoever stands still for longer than `lease` is taken for dead.
    #[must_use]
    pub fn new(lease: Duration) -> Self {
        Self { lease, seen: BTreeMap::new() }
    }

    /// `beats` are the rows of all other sequencers that are online, read when the monotonic clock showed `now`.
    /// Returns those that stood still for longer than the lease, as this judge has seen it. Time that the judge itself
    /// slept through does not count: on a machine without a free core the others may have slept with it.
    pub fn observe(&mut self, beats: &[Beat], now: Duration) -> Vec<Beat> {
        self.seen.retain(|index, _| beats.iter().any(|b| b.index == *index));
        let mut dead = Vec::new();
        for beat in beats {
            let silence =
                self.seen.entry(beat.index).or_insert(Silence { beat: *beat, looked: now, silent: Duration::ZERO });
            if silence.beat == *beat {
                silence.silent += now.saturating_sub(silence.looked).min(self.lease / 2);
                silence.looked = now;
            } else {
                *silence = Silence { beat: *beat, looked: now, silent: Duration::ZERO };
            }
            if silence.silent > self.lease {
                dead.push(*beat);
            }
        }
        dead
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

    #[test]
    fn the_judges_own_sleep_does_not_count() {
        let ms = Duration::from_millis;
        let mut judge = HangJudge::new(ms(100));
        let beat = [Beat { index: 0, incarnation: 1, beat: 1 }];
        assert!(judge.observe(&beat, ms(0)).is_empty());
        assert!(judge.observe(&beat, ms(60_000)).is_empty());
        assert!(judge.observe(&beat, ms(60_040)).is_empty());
        assert_eq!(judge.observe(&beat, ms(60_080)), beat);
    }
}
