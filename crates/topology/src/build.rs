//! The statements with which nodes come to be, to be signed in this order (spec/protocol.md §6.7, §6.10).

use crate::{Mapping, Parameters, Permission, Side, TrustLevel};
use base::{MediatorId, MemberId, Namespace, PackageId, ParticipantId, SequencerId, SynchronizerId, Uid};
use crypto::PublicKey;

/// The namespace that a root key controls.
#[must_use]
pub fn namespace_of(root: &PublicKey) -> Namespace {
    Namespace(root.fingerprint().clone())
}

/// The statement that founds a namespace; signed by the root key itself.
#[must_use]
pub fn namespace(root: &PublicKey) -> Mapping {
    Mapping::NamespaceDelegation { namespace: namespace_of(root), target: root.clone(), is_root: true }
}

/// The keys of a member; signed by its namespace.
pub fn keys<'a>(member: &MemberId, keys: impl IntoIterator<Item = &'a PublicKey>) -> Vec<Mapping> {
    keys.into_iter().map(|key| Mapping::OwnerToKey { member: member.clone(), key: key.clone() }).collect()
}

/// A new participant: its namespace and keys. All signed by its root key.
#[must_use]
pub fn participant(id: &ParticipantId, root: &PublicKey, own: &[PublicKey]) -> Vec<Mapping> {
    [vec![namespace(root)], keys(&id.member(), own)].concat()
}

/// A participant's wish to take part in a synchronizer; signed by the participant's namespace.
#[must_use]
pub fn join(participant: &ParticipantId, synchronizer: &SynchronizerId) -> Mapping {
    state(Side::To, participant, synchronizer)
}

/// The synchronizer's consent to a participant; signed by the synchronizer's namespace.
#[must_use]
pub fn admit(participant: &ParticipantId, synchronizer: &SynchronizerId) -> Mapping {
    state(Side::From, participant, synchronizer)
}

fn state(side: Side, participant: &ParticipantId, synchronizer: &SynchronizerId) -> Mapping {
    Mapping::ParticipantState {
        side,
        synchronizer: synchronizer.clone(),
        participant: participant.clone(),
        permission: Permission::Submission,
        trust: TrustLevel::Ordinary,
    }
}

/// A new synchronizer: the manager's namespace and keys, and the parameters. All signed by the manager's root key.
#[must_use]
pub fn manager(id: &SynchronizerId, root: &PublicKey, own: &[PublicKey], parameters: Parameters) -> Vec<Mapping> {
    let parameters = Mapping::Parameters { synchronizer: id.clone(), parameters };
    [vec![namespace(root)], keys(&id.member(), own), vec![parameters]].concat()
}

/// The keys of a sequencer in the synchronizer's namespace; signed by the manager.
#[must_use]
pub fn sequencer(id: &SequencerId, own: &[PublicKey]) -> Vec<Mapping> {
    keys(&id.member(), own)
}

/// A mediator in the synchronizer's namespace: its keys and its service; signed by the manager.
#[must_use]
pub fn mediator(id: &MediatorId, synchronizer: &SynchronizerId, own: &[PublicKey]) -> Vec<Mapping> {
    let state = Mapping::MediatorState { side: Side::Both, synchronizer: synchronizer.clone(), mediator: id.clone() };
    [keys(&id.member(), own), vec![state]].concat()
}

/// A party in the participant's own namespace, hosted there; signed by that namespace.
#[must_use]
pub fn party(party: &Uid, participant: &ParticipantId, permission: Permission) -> Mapping {
    let (party, participant) = (party.clone(), participant.clone());
    Mapping::PartyToParticipant { side: Side::Both, party, participant, permission }
}

/// All packages that a participant accepts; signed by the participant's namespace.
pub fn vetting(participant: &ParticipantId, packages: impl IntoIterator<Item = PackageId>) -> Mapping {
    Mapping::VettedPackages { participant: participant.clone(), packages: packages.into_iter().collect() }
}
