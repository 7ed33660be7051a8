//! Whether transactions suffice to start a synchronizer (spec/protocol.md §6.9, §6.10).

use base::{SynchronizerId, Timestamp};
use std::collections::BTreeSet;
use topology::{Gap, Rejection, SignedTopologyTransaction, TopologyState};

/// A synchronizer cannot be founded with these transactions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoundingError {
    /// One of them is not acceptable.
    #[error("topology transaction number {index} is refused: {why}")]
    Refused {
        /// Its place in the list, from 0.
        index: usize,
        /// Why.
        why: Rejection,
    },
    /// Something is missing.
    #[error("the synchronizer still lacks {0:?}; authorize keys and states of its nodes first")]
    Lacking(BTreeSet<Gap>),
}

/// Checks the first transactions of a synchronizer, in their order: all must be acceptable, and together they must
/// bring parameters, keys of manager and sequencer, and an active mediator.
pub fn found(
    synchronizer: &SynchronizerId,
    first: &[SignedTopologyTransaction],
) -> Result<TopologyState, FoundingError> {
    let mut state = TopologyState::of(synchronizer.clone());
    for (index, outcome) in state.apply(Timestamp::MIN, first.to_vec()).into_iter().enumerate() {
        outcome.map_err(|refused| FoundingError::Refused { index, why: refused.1 })?;
    }
    let gaps = state.head().gaps();
    if gaps.is_empty() { Ok(state) } else { Err(FoundingError::Lacking(gaps)) }
}
