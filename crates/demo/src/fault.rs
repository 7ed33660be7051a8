//! What can happen to a running network.

use crate::layout::Kind;
use futures::future::BoxFuture;
use std::{fmt, str::FromStr};

/// One kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The active process is ended at once, as `kill -9` does, and started again a little later.
    Kill,
    /// The active process stands still for several leases (SIGSTOP, then SIGCONT).
    Pause,
    /// The network swallows everything between an active process and the database, and between a sequencer and its
    /// clients, for several leases. With files for a database only sequencers can be cut off.
    Cut,
    /// The active replica hands over. A sequencer, of which all are active, is ended in order and started again.
    HandOver,
    /// The database ends all sessions of a node.
    Sessions,
    /// The database server crashes and starts again.
    Database,
}

/// Control over the database that a network runs on.
pub trait Database: Send + Sync {
    /// Ends every session of a logical node.
    fn end_sessions<'a>(&'a self, logical: &'a str) -> BoxFuture<'a, ()>;
    /// Crashes the server and starts it again; returns once it takes connections.
    fn restart(&self) -> BoxFuture<'_, ()>;
}

impl Fault {
    /// All that there are.
    pub const ALL: [Self; 6] = [Self::Kill, Self::Pause, Self::Cut, Self::HandOver, Self::Sessions, Self::Database];

    /// As it is written and reported.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Cut => "cut",
            Self::HandOver => "hand-over",
            Self::Sessions => "sessions",
            Self::Database => "database",
        }
    }

    /// Whether it takes control over the database.
    #[must_use]
    pub fn needs_database(self) -> bool {
        matches!(self, Self::Sessions | Self::Database)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|fault| fault.name() == text).ok_or_else(|| format!("write one of {}", names()))
    }
}

/// Every fault on every kind of node once, in an order that depends on the seed. A crash of the database is one for all.
pub(crate) fn schedule(faults: &[Fault], has_server: bool, seed: u64) -> Vec<(Fault, Kind)> {
    let mut pairs: Vec<(Fault, Kind)> = Vec::new();
    for fault in faults {
        let kinds: &[Kind] = match fault {
            Fault::Database => &[Kind::Manager],
            Fault::Cut if !has_server => &[Kind::Sequencer],
            _ => &Kind::ALL,
        };
        pairs.extend(kinds.iter().map(|kind| (*fault, *kind)));
    }
    // Fisher and Yates, with numbers of a linear congruence.
    let mut state = seed;
    for left in (1..pairs.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(state >> 33).unwrap_or(0) % (left + 1);
        pairs.swap(left, other);
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_meets_every_kind() {
        let all = schedule(&Fault::ALL, true, 1);
        assert_eq!(all.len(), 5 * 4 + 1);
        let other = schedule(&Fault::ALL, true, 2);
        assert_ne!(all, other);
        let sorted = |mut list: Vec<(Fault, Kind)>| {
            list.sort();
            list
        };
        assert_eq!(sorted(all.clone()), sorted(other));
        assert_eq!(all, schedule(&Fault::ALL, true, 1));
        assert_eq!(schedule(&[Fault::Cut], false, 1), [(Fault::Cut, Kind::Sequencer)]);
    }

    #[test]
    fn faults_are_read_by_their_names() {
        for fault in Fault::ALL {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert!("fire".parse::<Fault>().unwrap_err().contains("hand-over"));
    }
}
