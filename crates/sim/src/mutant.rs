//! Networks with one safeguard taken away. A simulation that does not notice is worth nothing.

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Transactions do not look at the epoch.
    NoFence,
    /// Transactions read the epoch when they begin, and lock nothing.
    PlainReadFence,
    /// Sequencers move the watermark of their index whoever has gone online with it since.
    NoIncarnation,
    /// Mediators send a verdict before it is stored.
    VerdictBeforeStored,
    /// Whether a command was accepted is asked before it is registered, not in the same step.
    DeduplicationOutside,
    /// Sequencers follow the events of others no further than their own clock, and trust what they failed to store.
    FollowsOwnClock,
    /// Members whose request for a time proof is refused ask again by the same clock.
    KeepsItsTime,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NoFence,
        Self::PlainReadFence,
        Self::NoIncarnation,
        Self::VerdictBeforeStored,
        Self::DeduplicationOutside,
        Self::FollowsOwnClock,
        Self::KeepsItsTime,
    ];

    /// As it is typed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoFence => "no-fence",
            Self::PlainReadFence => "plain-read-fence",
            Self::NoIncarnation => "no-incarnation",
            Self::VerdictBeforeStored => "verdict-before-stored",
            Self::DeduplicationOutside => "deduplication-outside",
            Self::FollowsOwnClock => "follows-own-clock",
            Self::KeepsItsTime => "keeps-its-time",
        }
    }
}
