//! What topology transactions say, and under which key each statement stands (spec/protocol.md §6.2).

use crate::Parameters;
use base::{Fingerprint, MediatorId, MemberId, Namespace, PackageId, ParticipantId, PartyId, SynchronizerId, Uid};
use crypto::PublicKey;
use std::collections::BTreeSet;

/// Who makes a statement about two parties to an agreement: each side for itself, or one transaction for both.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// The one who grants: the party, the synchronizer.
    From,
    /// The one who accepts: the participant, the mediator.
    To,
    /// Both at once.
    Both,
}

/// What a participant may do for a party, or on a synchronizer. Ordered: each includes those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Permission {
    /// Nothing.
    Disabled,
    /// See what concerns the party.
    Observation,
    /// Confirm for the party.
    Confirmation,
    /// Submit for the party.
    Submission,
}

/// How much the synchronizer trusts a participant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum TrustLevel {
    /// No more than others.
    #[default]
    Ordinary,
    /// Enough to confirm alone under the VIP policy.
    Vip,
}

/// One statement of a topology transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mapping {
    /// The key acts for the namespace; as a root key it may also delegate further. The namespace's own key names
    /// itself, signed by itself.
    NamespaceDelegation {
        /// On whose behalf.
        namespace: Namespace,
        /// The key.
        target: PublicKey,
        /// Whether it may sign delegations.
        is_root: bool,
    },
    /// The key acts for this one identifier.
    IdentifierDelegation {
        /// On whose behalf.
        uid: Uid,
        /// The key.
        target: PublicKey,
    },
    /// The member signs (or receives) with this key.
    OwnerToKey {
        /// Whose key.
        member: MemberId,
        /// The key.
        key: PublicKey,
    },
    /// The participant hosts the party.
    PartyToParticipant {
        /// Who says so.
        side: Side,
        /// The party's identifier.
        party: Uid,
        /// The host.
        participant: ParticipantId,
        /// What the host may do at most.
        permission: Permission,
    },
    /// The participant takes part in the synchronizer.
    ParticipantState {
        /// Who says so.
        side: Side,
        /// Where.
        synchronizer: SynchronizerId,
        /// Who.
        participant: ParticipantId,
        /// What it may do at most.
        permission: Permission,
        /// Counted on the `From` side only.
        trust: TrustLevel,
    },
    /// The mediator serves the synchronizer.
    MediatorState {
        /// Who says so.
        side: Side,
        /// Where.
        synchronizer: SynchronizerId,
        /// Who.
        mediator: MediatorId,
    },
    /// All packages that the participant accepts in transactions.
    VettedPackages {
        /// Who.
        participant: ParticipantId,
        /// Which.
        packages: BTreeSet<PackageId>,
    },
    /// The synchronizer's dynamic parameters.
    Parameters {
        /// Whose.
        synchronizer: SynchronizerId,
        /// What they are.
        parameters: Parameters,
    },
}

/// What a mapping is about. At any time at most one transaction is in force per key; a later one replaces it.
///
/// Ordered so that all keys of one subject stand together: hosts of a party, keys of a member.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MappingKey {
    /// Namespace and key.
    NamespaceDelegation(Namespace, Fingerprint),
    /// Identifier and key.
    IdentifierDelegation(Uid, Fingerprint),
    /// Member and key.
    OwnerToKey(MemberId, Fingerprint),
    /// Party, host, side.
    PartyToParticipant(PartyId, ParticipantId, Side),
    /// Synchronizer, participant, side.
    ParticipantState(SynchronizerId, ParticipantId, Side),
    /// Synchronizer, mediator, side.
    MediatorState(SynchronizerId, MediatorId, Side),
    /// Participant.
    VettedPackages(ParticipantId),
    /// Synchronizer.
    Parameters(SynchronizerId),
}

/// Whose agreement a transaction needs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Authority {
    /// A key that may delegate for the namespace.
    Root(Namespace),
    /// A key that may act for the namespace.
    Namespace(Namespace),
    /// A key that may act for the identifier, by its namespace or by an identifier delegation.
    Uid(Uid),
}

impl Mapping {
    /// What it is about.
    #[must_use]
    pub fn key(&self) -> MappingKey {
        match self {
            Self::NamespaceDelegation { namespace, target, .. } => {
                MappingKey::NamespaceDelegation(namespace.clone(), target.fingerprint().clone())
            }
            Self::IdentifierDelegation { uid, target } => {
                MappingKey::IdentifierDelegation(uid.clone(), target.fingerprint().clone())
            }
            Self::OwnerToKey { member, key } => MappingKey::OwnerToKey(member.clone(), key.fingerprint().clone()),
            Self::PartyToParticipant { side, party, participant, .. } => {
                MappingKey::PartyToParticipant(party.party(), participant.clone(), *side)
            }
            Self::ParticipantState { side, synchronizer, participant, .. } => {
                MappingKey::ParticipantState(synchronizer.clone(), participant.clone(), *side)
            }
            Self::MediatorState { side, synchronizer, mediator } => {
                MappingKey::MediatorState(synchronizer.clone(), mediator.clone(), *side)
            }
            Self::VettedPackages { participant, .. } => MappingKey::VettedPackages(participant.clone()),
            Self::Parameters { synchronizer, .. } => MappingKey::Parameters(synchronizer.clone()),
        }
    }

    /// Everybody whose agreement it needs.
    #[must_use]
    pub fn authorities(&self) -> Vec<Authority> {
        let sides = |side: &Side, from: &Uid, to: &Uid| match side {
            Side::From => vec![Authority::Uid(from.clone())],
            Side::To => vec![Authority::Uid(to.clone())],
            Side::Both => vec![Authority::Uid(from.clone()), Authority::Uid(to.clone())],
        };
        match self {
            Self::NamespaceDelegation { namespace, .. } => vec![Authority::Root(namespace.clone())],
            Self::IdentifierDelegation { uid, .. } => vec![Authority::Namespace(uid.namespace().clone())],
            Self::OwnerToKey { member, .. } => vec![Authority::Uid(member.uid.clone())],
            Self::PartyToParticipant { side, party, participant, .. } => sides(side, party, &participant.0),
            Self::ParticipantState { side, synchronizer, participant, .. } => {
                sides(side, &synchronizer.0, &participant.0)
            }
            Self::MediatorState { side, synchronizer, mediator } => sides(side, &synchronizer.0, &mediator.0),
            Self::VettedPackages { participant, .. } => vec![Authority::Uid(participant.0.clone())],
            Self::Parameters { synchronizer, .. } => vec![Authority::Uid(synchronizer.0.clone())],
        }
    }

    /// The synchronizer that it speaks about, if it is about one.
    #[must_use]
    pub fn synchronizer(&self) -> Option<&SynchronizerId> {
        match self {
            Self::ParticipantState { synchronizer, .. }
            | Self::MediatorState { synchronizer, .. }
            | Self::Parameters { synchronizer, .. } => Some(synchronizer),
            _ => None,
        }
    }
}

impl Authority {
    /// The namespace in which the agreement is given.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        match self {
            Self::Root(namespace) | Self::Namespace(namespace) => namespace,
            Self::Uid(uid) => uid.namespace(),
        }
    }
}
