//! The role of one replica of a logical node, as a function from events to effects. The driver in `node` feeds it and
//! carries the effects out in the order in which they are given; the lock, the epochs and the fence are `store`'s.
//!
//! The role decides what this replica *does*. Whether it *may write* is decided by the fence alone: a replica that does not
//! yet know that it was replaced is `Active` and harmless.
//!
//! ```text
//! Starting ──▶ Passive ──lock won──▶ Activating ──▶ Active
//!                 ▲                       │            │  lock lost, failed, set_passive, shutdown
//!                 └────── deactivated ── Leaving ◀─────┘
//! ```

#[cfg(test)]
mod tests;

use std::time::Duration;

/// After a hand-over the others have the lock to themselves for so long.
pub const HANDOVER_GRACE: Duration = Duration::from_millis(200);
/// A hand-over that nobody has taken up by then, not even this replica itself, is answered as failed.
pub const HANDOVER_LIMIT: Duration = Duration::from_secs(10);
/// The wait before the second campaign in a row after a short term; it doubles from there.
pub const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
/// The longest wait between campaigns.
pub const MAX_BACK_OFF: Duration = Duration::from_secs(10);
/// A term that lasted so long was a good one: the back-off starts again from nothing.
pub const GOOD_TERM: Duration = Duration::from_secs(30);

/// What a replica does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Opening its stores.
    Starting,
    /// Warm, waiting for the lock, forwarding writes.
    Passive,
    /// Holds the lock; rebuilds its state from the store.
    Activating {
        /// Under which it will write.
        epoch: i64,
    },
    /// Does the node's work.
    Active {
        /// Under which it writes.
        epoch: i64,
    },
    /// Takes no new work and winds down.
    Leaving {
        /// Under which it wrote.
        epoch: i64,
    },
    /// Shut down; nothing follows.
    Stopped,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The stores are open.
    Started,
    /// The campaign was won and the fence raised to this epoch.
    LockWon {
        /// Larger than any before.
        epoch: i64,
    },
    /// The lock of this epoch is gone, or a write under it was fenced.
    LockLost {
        /// The epoch that is over.
        epoch: i64,
    },
    /// [`Effect::Activate`] is done.
    Activated,
    /// [`Effect::Activate`] went wrong, or the active role cannot go on.
    Failed,
    /// [`Effect::Deactivate`] is done: nothing of the active role runs any more.
    Deactivated,
    /// The operator asks this replica to hand over.
    SetPassive {
        /// Names the request in [`Effect::Answer`].
        request: u64,
        /// Whether another replica waits for the lock.
        standby_waits: bool,
    },
    /// Another replica was seen to hold the lock.
    PeerHolds,
    /// The process ends.
    Shutdown,
    /// The time asked for with [`Effect::WakeAt`] has come (or any other: it does no harm).
    Tick,
}

/// What the driver has to do, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Show the role to the rest of the node, before anything that follows.
    Publish(Role),
    /// Wait for the lock; [`Event::LockWon`] when it is ours.
    Campaign,
    /// Stop waiting for it.
    Withdraw,
    /// Rebuild the state and start the active role; [`Event::Activated`] or [`Event::Failed`].
    Activate {
        /// Under which to write.
        epoch: i64,
    },
    /// Stop the active role, or what was started of it; always answered with [`Event::Deactivated`].
    Deactivate,
    /// Let the lock go and wait until it is free.
    ReleaseLock,
    /// Answer a request to hand over.
    Answer {
        /// Its number.
        request: u64,
        /// What became of it.
        outcome: Handover,
    },
    /// Send [`Event::Tick`] at this time (of the clock whose readings come with the events). Replaces an earlier one.
    WakeAt(Duration),
}

/// What became of a request to hand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// Another replica holds the lock now.
    TookOver,
    /// This replica was not active in the first place.
    WasPassive,
    /// No other replica took over, so this one stays active, or becomes it again.
    NobodyElse,
    /// A hand-over is under way already, or the role is changing.
    Busy,
    /// Nobody was seen to hold the lock in time.
    TimedOut,
    /// The process is shutting down.
    ShuttingDown,
}

/// The automaton.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica {
    role: Role,
    /// Whether the lock of the role's epoch is still ours, as far as we know.
    lock_held: bool,
    /// What happens once the active role has wound down.
    reason: Reason,
    /// A request to hand over that is not answered yet, and when it will be given up.
    handover: Option<(u64, Duration)>,
    /// When to campaign again; `None` while campaigning or in another role.
    campaign_at: Option<Duration>,
    /// When the current or last term began.
    term_began: Duration,
    short_terms: u32,
}

/// Why a replica leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reason {
    Trouble,
    Handover,
    Shutdown,
}

impl Default for Replica {
    fn default() -> Self {
        Self {
            role: Role::Starting,
            lock_held: false,
            reason: Reason::Trouble,
            handover: None,
            campaign_at: None,
            term_began: Duration::ZERO,
            short_terms: 0,
        }
    }
}

impl Replica {
    /// What this replica does now.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Takes an event at a time of the driver's monotonic clock. Events that no longer fit the role are ignored: they
    /// crossed with the decision that made them void.
    pub fn step(&mut self, now: Duration, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match (self.role, event) {
            (Role::Stopped, Event::SetPassive { request, .. }) => {
                effects.push(Effect::Answer { request, outcome: Handover::ShuttingDown });
            }
            (Role::Stopped, _) => {}
            (Role::Starting, Event::Started) => {
                self.enter(Role::Passive, &mut effects);
                effects.push(Effect::Campaign);
            }
            (Role::Starting | Role::Passive, Event::Shutdown) => self.stop(&mut effects),
            (Role::Passive, Event::LockWon { epoch }) => self.won(now, epoch, &mut effects),
            (Role::Passive, Event::PeerHolds) => self.answer(Handover::TookOver, &mut effects),
            (Role::Starting | Role::Passive, Event::SetPassive { request, .. }) => {
                let outcome = if self.handover.is_some() { Handover::Busy } else { Handover::WasPassive };
                effects.push(Effect::Answer { request, outcome });
            }
            (Role::Passive, Event::Tick) => self.tick(now, &mut effects),

            (Role::Activating { epoch }, Event::Activated) => self.enter(Role::Active { epoch }, &mut effects),
            (Role::Activating { epoch } | Role::Active { epoch }, Event::LockLost { epoch: lost }) if lost == epoch => {
                self.lock_held = false;
                self.leave(epoch, Reason::Trouble, &mut effects);
            }
            (Role::Activating { epoch } | Role::Active { epoch }, Event::Failed) => {
                self.leave(epoch, Reason::Trouble, &mut effects);
            }
            (Role::Activating { epoch } | Role::Active { epoch } | Role::Leaving { epoch }, Event::Shutdown) => {
                self.leave(epoch, Reason::Shutdown, &mut effects);
                self.answer(Handover::ShuttingDown, &mut effects);
            }
            (Role::Active { epoch }, Event::SetPassive { request, standby_waits: true }) => {
                self.handover = Some((request, now + HANDOVER_LIMIT));
                self.leave(epoch, Reason::Handover, &mut effects);
            }
            (Role::Active { .. }, Event::SetPassive { request, standby_waits: false }) => {
                effects.push(Effect::Answer { request, outcome: Handover::NobodyElse });
            }
            (Role::Activating { .. } | Role::Leaving { .. }, Event::SetPassive { request, .. }) => {
                effects.push(Effect::Answer { request, outcome: Handover::Busy });
            }
            (Role::Leaving { epoch }, Event::LockLost { epoch: lost }) if lost == epoch => self.lock_held = false,
            (Role::Leaving { .. }, Event::Deactivated) => self.left(now, &mut effects),
            _ => {}
        }
        effects
    }

    fn enter(&mut self, role: Role, effects: &mut Vec<Effect>) {
        self.role = role;
        effects.push(Effect::Publish(role));
    }

    /// Nobody else wanted the lock that was handed over, or it is simply our turn.
    fn won(&mut self, now: Duration, epoch: i64, effects: &mut Vec<Effect>) {
        self.lock_held = true;
        self.campaign_at = None;
        self.term_began = now;
        self.answer(Handover::NobodyElse, effects);
        self.enter(Role::Activating { epoch }, effects);
        effects.push(Effect::Activate { epoch });
    }

    /// Stops the active role; if that is under way already, only the reason may become weightier.
    fn leave(&mut self, epoch: i64, reason: Reason, effects: &mut Vec<Effect>) {
        self.reason = reason;
        let leaving = Role::Leaving { epoch };
        if self.role != leaving {
            self.enter(leaving, effects);
            effects.push(Effect::Deactivate);
        }
    }

    /// The active role has wound down.
    fn left(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.lock_held) {
            effects.push(Effect::ReleaseLock);
        }
        match self.reason {
            Reason::Shutdown => self.stop(effects),
            Reason::Handover => {
                self.enter(Role::Passive, effects);
                self.campaign_later(now + HANDOVER_GRACE, effects);
            }
            Reason::Trouble => {
                self.enter(Role::Passive, effects);
                let good = now.saturating_sub(self.term_began) >= GOOD_TERM;
                self.short_terms = if good { 0 } else { self.short_terms.saturating_add(1) };
                let doublings = self.short_terms.saturating_sub(2).min(16);
                match self.short_terms {
                    0 | 1 => effects.push(Effect::Campaign),
                    _ => self.campaign_later(now + (FIRST_BACK_OFF * (1 << doublings)).min(MAX_BACK_OFF), effects),
                }
            }
        }
    }

    fn campaign_later(&mut self, at: Duration, effects: &mut Vec<Effect>) {
        self.campaign_at = Some(at);
        effects.push(Effect::WakeAt(at));
    }

    fn tick(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.campaign_at.is_some_and(|at| at <= now) {
            self.campaign_at = None;
            effects.push(Effect::Campaign);
        }
        match (self.campaign_at, self.handover) {
            (Some(at), _) => effects.push(Effect::WakeAt(at)),
            (None, Some((_, limit))) if limit <= now => self.answer(Handover::TimedOut, effects),
            (None, Some((_, limit))) => effects.push(Effect::WakeAt(limit)),
            (None, None) => {}
        }
    }

    fn answer(&mut self, outcome: Handover, effects: &mut Vec<Effect>) {
        if let Some((request, _)) = self.handover.take() {
            effects.push(Effect::Answer { request, outcome });
        }
    }

    fn stop(&mut self, effects: &mut Vec<Effect>) {
        if self.role == Role::Passive && self.campaign_at.take().is_none() {
            effects.push(Effect::Withdraw);
        }
        self.answer(Handover::ShuttingDown, effects);
        self.enter(Role::Stopped, effects);
    }
}
