//! In which order admitted transactions go out, and to whom (spec/protocol.md §6.7 point 4).
//!
//! One message is under way at a time. Before a member becomes active it is sent everything in force; nothing else
//! goes out between that and its activation, so that from its first event on it has the same topology as everybody.

use base::{MediatorId, MemberId, Timestamp};
use std::collections::{BTreeSet, VecDeque};
use topology::{Mapping, Operation, Side, SignedTopologyTransaction, TopologyState};

use crate::manager::Queued;

/// Transactions of one message.
const MAX_BATCH: usize = 100;

/// What goes out next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Everything in force, to a member that is about to become active.
    CatchUp(MemberId),
    /// So many transactions from the front of the queue, to these members.
    Broadcast(usize, BTreeSet<MemberId>),
    /// Nothing before this time has been observed.
    Wait(Timestamp),
}

/// Decides what goes out next. `barrier` is when the last change that others build on takes effect; `caught_up` the
/// members that have been sent everything.
pub(crate) fn next(
    queue: &VecDeque<Queued>,
    topology: &TopologyState,
    observed: Timestamp,
    barrier: Timestamp,
    caught_up: &BTreeSet<MemberId>,
) -> Option<Next> {
    let first = &queue.front()?.transaction;
    if observed <= barrier {
        return Some(Next::Wait(barrier));
    }
    // Without keys it cannot be addressed: it is admitted before it comes.
    let activated = activates(topology, first).filter(|member| topology.head().is_known(member));
    if let Some(member) = activated.as_ref().filter(|member| !caught_up.contains(*member)) {
        let known_at = topology.last_sequenced().map_or(observed, |last| topology.effective_time(last));
        let addressable = topology.snapshot(observed).is_known(member);
        return Some(if addressable { Next::CatchUp(member.clone()) } else { Next::Wait(known_at) });
    }
    let rest = queue.iter().skip(1).take(MAX_BATCH - 1).map(|queued| &queued.transaction);
    let alone = is_barrier(topology, first);
    let batch = 1 + if alone { 0 } else { rest.take_while(|signed| !begins_batch(topology, signed)).count() };
    let recipients = topology.snapshot(observed).active_members().into_iter().chain(activated);
    Some(Next::Broadcast(batch, recipients.collect()))
}

/// Whether what comes after has to wait until this is in force: a new member, parameters, the manager's own keys.
/// They go out alone.
pub(crate) fn is_barrier(topology: &TopologyState, signed: &SignedTopologyTransaction) -> bool {
    match signed.mapping() {
        Mapping::Parameters { .. } => true,
        Mapping::OwnerToKey { member, .. } => topology.synchronizer().is_some_and(|s| s.member() == *member),
        _ => activates(topology, signed).is_some(),
    }
}

/// Whether it must not follow others in a batch: it is a barrier, or may be one after those before it.
fn begins_batch(topology: &TopologyState, signed: &SignedTopologyTransaction) -> bool {
    is_barrier(topology, signed)
        || matches!(signed.mapping(), Mapping::ParticipantState { .. } | Mapping::MediatorState { .. })
}

/// The member that takes part from this transaction on and did not before.
fn activates(topology: &TopologyState, signed: &SignedTopologyTransaction) -> Option<MemberId> {
    if signed.transaction().operation == Operation::Remove {
        return None;
    }
    let head = topology.head();
    let (member, side) = match signed.mapping() {
        Mapping::ParticipantState { participant, side, .. } => (participant.member(), *side),
        Mapping::MediatorState { mediator, side, .. } => (MediatorId(mediator.0.clone()).member(), *side),
        _ => return None,
    };
    let key = |side| match signed.mapping() {
        Mapping::ParticipantState { synchronizer, participant, .. } => {
            topology::MappingKey::ParticipantState(synchronizer.clone(), participant.clone(), side)
        }
        Mapping::MediatorState { synchronizer, mediator, .. } => {
            topology::MappingKey::MediatorState(synchronizer.clone(), mediator.clone(), side)
        }
        other => other.key(),
    };
    let says = |side| head.transaction(&key(side)).is_some() || head.transaction(&key(Side::Both)).is_some();
    let complete = match side {
        Side::Both => true,
        Side::From => says(Side::To),
        Side::To => says(Side::From),
    };
    (complete && !head.is_active(&member)).then_some(member)
}
