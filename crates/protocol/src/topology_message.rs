//! Applying a manager's message to a member's topology (spec/protocol.md §6.7), the same way on every member.

use crate::{Alarm, message::Signed};
use base::{ErrorCode, SynchronizerId, Timestamp, codes};
use topology::{Outcome, Rejection, StoredTransaction, TopologyContent, TopologyMessage, TopologyState, WrongSigner};

/// A topology message was not applied; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopologyRefused {
    /// It is about another synchronizer.
    #[error("the topology message is about synchronizer {0}, not this one")]
    OtherSynchronizer(SynchronizerId),
    /// Not signed by the manager.
    #[error("the topology message does not come from the manager: {0}")]
    NotTheManager(#[from] WrongSigner),
    /// A member's first message must establish the manager's keys.
    #[error("the first topology message is not signed by the manager or sequencer that it introduces")]
    NotIntroduced,
    /// The state that a new member was sent is wrong.
    #[error("the catch-up is refused: {0}")]
    CatchUp(Rejection),
}

/// Applies a message that was sequenced at `sequenced` and says what became of each transaction. Nothing if it was
/// applied before.
///
/// A member's first message may be signed by the manager or by a sequencer that it introduces itself: whoever the
/// synchronizer's namespace vouches for. Later ones must be the manager's.
pub fn apply_topology(
    state: &mut TopologyState,
    sequenced: Timestamp,
    signed: &Signed<TopologyMessage>,
) -> Result<Vec<Outcome>, TopologyRefused> {
    let message = signed.content();
    if state.synchronizer() != Some(&message.synchronizer) {
        return Err(TopologyRefused::OtherSynchronizer(message.synchronizer.clone()));
    }
    if state.last_sequenced().is_some_and(|last| sequenced <= last) {
        return Ok(Vec::new());
    }
    if state.last_sequenced().is_some() {
        signed.verify(state.snapshot(sequenced), &message.synchronizer.member())?;
        return Ok(match &message.content {
            TopologyContent::Broadcast(transactions) => state.apply(sequenced, transactions.clone()),
            // What a member missed while it took no part, or once more what it has: that is nothing new.
            TopologyContent::CatchUp(transactions) => caught_up(state, transactions)?,
        });
    }
    let mut first = state.clone();
    let outcomes = match &message.content {
        TopologyContent::Broadcast(transactions) => first.apply(sequenced, transactions.clone()),
        TopologyContent::CatchUp(transactions) => caught_up(&mut first, transactions)?,
    };
    let head = first.head();
    let sequencers = head.sequencers().into_iter().map(|sequencer| sequencer.member());
    let introduced = std::iter::once(message.synchronizer.member())
        .chain(sequencers)
        .any(|member| signed.verify(head, &member).is_ok());
    if !introduced {
        return Err(TopologyRefused::NotIntroduced);
    }
    *state = first;
    Ok(outcomes)
}

/// [`apply_topology`] for members that do not ask for these transactions: what was accepted, to be stored, and an alarm
/// for everything else; `code` is for a message that does not count at all.
pub fn take_topology(
    state: &mut TopologyState,
    sequenced: Timestamp,
    signed: &Signed<TopologyMessage>,
    code: ErrorCode,
) -> (Vec<StoredTransaction>, Vec<Alarm>) {
    let (mut accepted, mut alarms) = (Vec::new(), Vec::new());
    match apply_topology(state, sequenced, signed) {
        Ok(outcomes) => {
            for outcome in outcomes {
                match outcome {
                    Ok(stored) => accepted.push(stored),
                    Err(rejected) => {
                        let why = format!("a topology transaction at {sequenced}: {}", rejected.1);
                        alarms.push(Alarm::new(codes::TOPOLOGY_TRANSACTION_INVALID, why));
                    }
                }
            }
        }
        Err(e) => alarms.push(Alarm::new(code, e.to_string())),
    }
    (accepted, alarms)
}

fn caught_up(state: &mut TopologyState, sent: &[StoredTransaction]) -> Result<Vec<Outcome>, TopologyRefused> {
    let new = state.catch_up(sent).map_err(TopologyRefused::CatchUp)?;
    Ok(new.into_iter().map(Ok).collect())
}
