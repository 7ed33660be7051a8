//! Decides that somebody is silent: by an unchanged beat, on the observer's own clock (reliability.md §2.2). Clocks of
//! different machines are never compared.

use std::time::Duration;

/// Watches the beats of somebody: of whoever holds a lock, or of one sequencer.
#[derive(Clone, Debug)]
pub struct SilenceJudge<K> {
    lease: Duration,
    seen: Option<(K, Duration)>,
    silent: Duration,
}

impl<K: PartialEq> SilenceJudge<K> {
    /// Whoever shows no new beat for a whole lease is silent.
    #[must_use]
    pub fn new(lease: Duration) -> Self {
        Self { lease, seen: None, silent: Duration::ZERO }
    }

    /// How often to look.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.lease / 3
    }

    /// Takes what was just read (holder and beat) and the observer's monotonic time; says whether that holder has been
    /// silent for a whole lease. A new pair starts afresh. Time that the observer itself slept through does not count:
    /// the holder may have been asleep with it.
    pub fn observe(&mut self, key: K, now: Duration) -> bool {
        match &mut self.seen {
            Some((seen, last)) if *seen == key => {
                self.silent += now.saturating_sub(*last).min(self.lease / 2);
                *last = now;
            }
            _ => {
                self.seen = Some((key, now));
                self.silent = Duration::ZERO;
            }
        }
        self.silent >= self.lease
    }

    /// Starts afresh, after the holder was ended or there was none to be seen.
    pub fn forget(&mut self) {
        self.seen = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn silence_of_a_whole_lease_is_noticed() {
        let mut judge = SilenceJudge::new(ms(900));
        assert!((0..3).all(|i| !judge.observe((1, 7), ms(i * 300))));
        assert!(judge.observe((1, 7), ms(900)));
    }

    #[test]
    fn each_beat_and_each_new_holder_starts_afresh() {
        let mut judge = SilenceJudge::new(ms(900));
        for (i, key) in [(1, 1), (1, 1), (1, 1), (1, 2), (1, 2), (1, 2), (2, 2), (2, 2), (2, 2)].into_iter().enumerate()
        {
            assert!(!judge.observe(key, ms(300 * u64::try_from(i).unwrap())), "{i}");
        }
        assert!(judge.observe((2, 2), ms(2700)));
    }

    #[test]
    fn the_observers_own_sleep_does_not_count() {
        let mut judge = SilenceJudge::new(ms(900));
        assert!(!judge.observe((1, 1), ms(0)));
        assert!(!judge.observe((1, 1), ms(60_000)), "it may have slept as well");
        assert!(!judge.observe((1, 1), ms(60_300)));
        assert!(judge.observe((1, 1), ms(60_600)));
    }

    #[test]
    fn an_ended_holder_is_forgotten() {
        let mut judge = SilenceJudge::new(ms(300));
        judge.observe(1, ms(0));
        judge.forget();
        assert!(!judge.observe(1, ms(300)));
    }
}
