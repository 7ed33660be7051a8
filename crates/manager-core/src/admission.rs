//! What a participant may have registered (spec/protocol.md §6.7 point 3).

use base::{ParticipantId, SynchronizerId};
use crypto::{KeyPurpose, PublicKey};
use std::collections::BTreeSet;
use topology::{
    Mapping, MappingKey, Operation, Registration, Rejection, Side, SignedTopologyTransaction, StoredTransaction,
    TopologyState,
};

/// Whom the synchronizer lets in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// Any participant that asks.
    #[default]
    Open,
    /// Participants that an operator has admitted before they ask.
    Closed,
}

/// What is to become of a request.
pub(crate) struct Verdict {
    /// One for each transaction.
    pub(crate) results: Vec<Registration>,
    /// Those accepted, in the order in which they are to go out.
    pub(crate) accepted: Vec<SignedTopologyTransaction>,
}

/// Judges a request against everything admitted so far, and adds what it accepts to that.
pub(crate) fn judge(
    planned: &mut TopologyState,
    policy: Policy,
    participant: &ParticipantId,
    transactions: &[SignedTopologyTransaction],
) -> Verdict {
    let refuse_all =
        |why: String| Verdict { results: vec![Registration::Rejected(why); transactions.len()], accepted: Vec::new() };
    let Some(synchronizer) = planned.synchronizer().cloned() else {
        return refuse_all("the synchronizer is not initialized".into());
    };
    if planned.head().participant_permission(participant).is_none()
        && let Err(why) = check_newcomer(planned, policy, participant, &synchronizer, transactions)
    {
        return refuse_all(why);
    }
    let mut accepted = Vec::new();
    let results = transactions
        .iter()
        .map(|signed| match judge_one(planned, participant, signed) {
            Ok(()) => {
                plan(planned, signed.clone());
                accepted.push(signed.clone());
                Registration::Accepted
            }
            Err(refusal) => refusal,
        })
        .collect();
    // Joining comes last: before it, everybody must know the newcomer's keys.
    accepted.sort_by_key(|signed| matches!(signed.mapping(), Mapping::ParticipantState { .. }));
    Verdict { results, accepted }
}

/// A newcomer brings its namespace, keys for signing and encryption, and its wish to join, and nothing that is not its own.
fn check_newcomer(
    planned: &TopologyState,
    policy: Policy,
    participant: &ParticipantId,
    synchronizer: &SynchronizerId,
    transactions: &[SignedTopologyTransaction],
) -> Result<(), String> {
    let member = participant.member();
    let known: BTreeSet<_> = planned.head().keys(&member).into_iter().map(PublicKey::purpose).collect();
    let (mut purposes, mut joins) = (known, false);
    for signed in transactions {
        if signed.transaction().operation == Operation::Remove {
            return Err("a participant that joins has nothing to remove".into());
        }
        match signed.mapping() {
            Mapping::OwnerToKey { member: m, key } if *m == member => drop(purposes.insert(key.purpose())),
            Mapping::ParticipantState { side: Side::To, participant: p, .. } if p == participant => joins = true,
            _ => {}
        }
    }
    for (purpose, what) in [(KeyPurpose::Signing, "signing"), (KeyPurpose::Encryption, "encryption")] {
        if !purposes.contains(&purpose) {
            return Err(format!("participant {participant} brings no {what} key"));
        }
    }
    match joins {
        false => Err(format!("participant {participant} does not say that it joins {synchronizer}")),
        true if policy == Policy::Closed && !is_invited(planned, participant, synchronizer) => {
            Err(format!("the synchronizer is closed; ask its operator to admit participant {participant} first"))
        }
        true => Ok(()),
    }
}

fn is_invited(planned: &TopologyState, participant: &ParticipantId, synchronizer: &SynchronizerId) -> bool {
    planned.head().transaction(&consent(participant, synchronizer)).is_some()
}

/// Where the synchronizer's consent to a participant stands.
pub(crate) fn consent(participant: &ParticipantId, synchronizer: &SynchronizerId) -> MappingKey {
    MappingKey::ParticipantState(synchronizer.clone(), participant.clone(), Side::From)
}

/// Participants register statements of their own namespace about themselves and their parties.
fn judge_one(
    planned: &TopologyState,
    participant: &ParticipantId,
    signed: &SignedTopologyTransaction,
) -> Result<(), Registration> {
    let rejected = |why: String| Err(Registration::Rejected(why));
    match signed.mapping() {
        Mapping::MediatorState { .. } | Mapping::Parameters { .. } => {
            return rejected("only the synchronizer's operators change mediators and parameters".into());
        }
        Mapping::ParticipantState { side, .. } if *side != Side::To => {
            return rejected("only the synchronizer's operators admit participants".into());
        }
        Mapping::ParticipantState { participant: p, .. } if p != participant => {
            return rejected(format!("participant {participant} cannot speak for {p}"));
        }
        _ => {}
    }
    let own = participant.0.namespace();
    if signed.mapping().authorities().iter().all(|authority| authority.namespace() != own) {
        return rejected(format!("the transaction is none of participant {participant}'s namespace"));
    }
    match planned.check(signed) {
        Ok(()) => Ok(()),
        Err(Rejection::Duplicate(_)) => Err(Registration::Duplicate),
        Err(Rejection::Obsolete { .. }) => Err(Registration::Obsolete),
        Err(why) => rejected(why.to_string()),
    }
}

/// Adds an admitted transaction to the plan.
pub(crate) fn plan(planned: &mut TopologyState, transaction: SignedTopologyTransaction) {
    // Only the head of the plan is ever looked at, so its times do not matter.
    let at = planned.last_sequenced().unwrap_or(base::Timestamp::MIN);
    planned.restore([StoredTransaction { transaction, sequenced: at, effective: at }]);
}
