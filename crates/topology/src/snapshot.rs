//! What is in force at one time: the questions that nodes ask of topology (spec/protocol.md §6.5, §6.9).

use crate::{
    Mapping, MappingKey, Parameters, Permission, Side, SignedTopologyTransaction, TopologyState, TrustLevel,
    state::Subject,
};
use base::{
    Fingerprint, Hash, MediatorId, MemberId, MemberKind, PackageId, ParticipantId, PartyId, SequencerId,
    SynchronizerId, Timestamp,
};
use crypto::{KeyPurpose, PublicKey, Signature, SignatureError};
use std::collections::{BTreeMap, BTreeSet};

/// A view of a [`TopologyState`] at one time. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    state: &'a TopologyState,
    at: Timestamp,
}

/// A signature is not one of a member at this time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongSigner {
    /// The member has no such key.
    #[error("{member} has no signing key {key} at {at}; the signature does not count")]
    NotItsKey {
        /// Who is said to have signed.
        member: MemberId,
        /// The key that the signature names.
        key: Fingerprint,
        /// When it was looked up.
        at: Timestamp,
    },
    /// The signature does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// What a synchronizer lacks before it can start (spec/protocol.md §6.9).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Gap {
    /// No parameters.
    Parameters,
    /// The manager has no signing key.
    ManagerKey,
    /// No sequencer with a signing key.
    SequencerKey,
    /// No active mediator with a signing key.
    Mediator,
}

impl<'a> Snapshot<'a> {
    pub(crate) fn new(state: &'a TopologyState, at: Timestamp) -> Self {
        Self { state, at }
    }

    /// The time it is about.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// What is known to come, beyond what is in force.
    #[must_use]
    pub fn head(&self) -> Snapshot<'a> {
        self.state.head()
    }

    /// The synchronizer it is about.
    #[must_use]
    pub fn synchronizer(&self) -> Option<&'a SynchronizerId> {
        self.state.synchronizer()
    }

    fn mapping(&self, key: &MappingKey) -> Option<&'a Mapping> {
        self.state.in_force(key, self.at).map(|stored| stored.transaction.mapping())
    }

    fn about(&self, subject: &Subject) -> impl Iterator<Item = &'a Mapping> + use<'a> {
        self.state.about(subject, self.at).map(|stored| stored.transaction.mapping())
    }

    /// All transactions in force.
    #[must_use]
    pub fn transactions(&self) -> Vec<&'a SignedTopologyTransaction> {
        self.state.all(self.at).map(|stored| &stored.transaction).collect()
    }

    /// The transaction in force under a key.
    #[must_use]
    pub fn transaction(&self, key: &MappingKey) -> Option<&'a SignedTopologyTransaction> {
        self.state.in_force(key, self.at).map(|stored| &stored.transaction)
    }

    /// The parameters, once there are any.
    #[must_use]
    pub fn parameters(&self) -> Option<&'a Parameters> {
        match self.mapping(&MappingKey::Parameters(self.synchronizer()?.clone()))? {
            Mapping::Parameters { parameters, .. } => Some(parameters),
            _ => None,
        }
    }

    /// All keys of a member.
    #[must_use]
    pub fn keys(&self, member: &MemberId) -> Vec<&'a PublicKey> {
        self.about(&Subject::Member(member.clone()))
            .filter_map(|mapping| match mapping {
                Mapping::OwnerToKey { key, .. } => Some(key),
                _ => None,
            })
            .collect()
    }

    /// Whether this is a key of the member.
    #[must_use]
    pub fn has_key(&self, member: &MemberId, key: &Fingerprint) -> bool {
        self.mapping(&MappingKey::OwnerToKey(member.clone(), key.clone())).is_some()
    }

    /// The member's keys for signing, or those for encryption.
    #[must_use]
    pub fn keys_for(&self, member: &MemberId, purpose: KeyPurpose) -> Vec<&'a PublicKey> {
        self.keys(member).into_iter().filter(|key| key.purpose() == purpose).collect()
    }

    /// Checks that one of the member's keys signed the hash.
    pub fn verify(&self, member: &MemberId, hash: &Hash, signature: &Signature) -> Result<(), WrongSigner> {
        let key = MappingKey::OwnerToKey(member.clone(), signature.signed_by.clone());
        match self.mapping(&key) {
            Some(Mapping::OwnerToKey { key, .. }) => Ok(signature.verify(hash, key)?),
            _ => {
                let (member, key) = (member.clone(), signature.signed_by.clone());
                Err(WrongSigner::NotItsKey { member, key, at: self.at })
            }
        }
    }

    /// Whether the member can be addressed and can authenticate: it has a signing key here.
    #[must_use]
    pub fn is_known(&self, member: &MemberId) -> bool {
        !self.keys_for(member, KeyPurpose::Signing).is_empty()
    }

    /// Whether the member takes part: known, and for participants and mediators also admitted.
    #[must_use]
    pub fn is_active(&self, member: &MemberId) -> bool {
        let uid = || member.uid.clone();
        match member.kind {
            MemberKind::Participant => self.is_active_participant(&ParticipantId(uid())),
            MemberKind::Mediator => self.is_active_mediator(&MediatorId(uid())),
            MemberKind::Sequencer => self.is_sequencer(&SequencerId(uid())),
            MemberKind::Manager => self.synchronizer().is_some_and(|s| s.0 == member.uid) && self.is_known(member),
        }
    }

    /// What the participant may do at most on this synchronizer: the lesser of what both sides say; `None` if a side
    /// is silent.
    #[must_use]
    pub fn participant_permission(&self, participant: &ParticipantId) -> Option<(Permission, TrustLevel)> {
        let synchronizer = self.synchronizer()?;
        let side = |side| match self.mapping(&MappingKey::ParticipantState(
            synchronizer.clone(),
            participant.clone(),
            side,
        ))? {
            Mapping::ParticipantState { permission, trust, .. } => Some((*permission, *trust)),
            _ => None,
        };
        let both = side(Side::Both);
        let (from, to) = (side(Side::From).or(both)?, side(Side::To).or(both)?);
        Some((from.0.min(to.0), from.1))
    }

    /// Whether both sides admit the participant with some permission, and it has keys for signing and encryption.
    #[must_use]
    pub fn is_active_participant(&self, participant: &ParticipantId) -> bool {
        self.participant_permission(participant).is_some_and(|(permission, _)| permission > Permission::Disabled)
            && self.has_keys(participant)
    }

    fn has_keys(&self, participant: &ParticipantId) -> bool {
        let has = |purpose| !self.keys_for(&participant.member(), purpose).is_empty();
        has(KeyPurpose::Signing) && has(KeyPurpose::Encryption)
    }

    /// All active participants.
    #[must_use]
    pub fn participants(&self) -> BTreeSet<ParticipantId> {
        self.candidates(|mapping| match mapping {
            Mapping::ParticipantState { participant, .. } => Some(participant.clone()),
            _ => None,
        })
        .filter(|participant| self.is_active_participant(participant))
        .collect()
    }

    fn candidates<T>(&self, pick: impl Fn(&'a Mapping) -> Option<T>) -> impl Iterator<Item = T> {
        let subject = self.synchronizer().cloned().map(Subject::Synchronizer);
        let found: Vec<_> = subject.iter().flat_map(|s| self.about(s)).filter_map(pick).collect();
        found.into_iter()
    }

    /// Whether both sides say that the mediator serves here, and it has a signing key.
    #[must_use]
    pub fn is_active_mediator(&self, mediator: &MediatorId) -> bool {
        let Some(synchronizer) = self.synchronizer() else { return false };
        let says =
            |side| self.mapping(&MappingKey::MediatorState(synchronizer.clone(), mediator.clone(), side)).is_some();
        (says(Side::Both) || (says(Side::From) && says(Side::To))) && self.is_known(&mediator.member())
    }

    /// All active mediators.
    #[must_use]
    pub fn mediators(&self) -> BTreeSet<MediatorId> {
        self.candidates(|mapping| match mapping {
            Mapping::MediatorState { mediator, .. } => Some(mediator.clone()),
            _ => None,
        })
        .filter(|mediator| self.is_active_mediator(mediator))
        .collect()
    }

    /// Whether this is a sequencer of the synchronizer: in its namespace, with a signing key.
    #[must_use]
    pub fn is_sequencer(&self, sequencer: &SequencerId) -> bool {
        self.synchronizer().is_some_and(|s| s.0.namespace() == sequencer.0.namespace())
            && self.is_known(&sequencer.member())
    }

    /// All sequencers.
    #[must_use]
    pub fn sequencers(&self) -> BTreeSet<SequencerId> {
        self.known_members()
            .into_iter()
            .filter_map(|member| SequencerId::try_from(member).ok())
            .filter(|sequencer| self.is_sequencer(sequencer))
            .collect()
    }

    /// Everybody with a signing key.
    #[must_use]
    pub fn known_members(&self) -> BTreeSet<MemberId> {
        self.state
            .all(self.at)
            .filter_map(|stored| match stored.transaction.mapping() {
                Mapping::OwnerToKey { member, key } if key.purpose() == KeyPurpose::Signing => Some(member.clone()),
                _ => None,
            })
            .collect()
    }

    /// Everybody who takes part, i.e. whom the manager's broadcasts are addressed to.
    #[must_use]
    pub fn active_members(&self) -> BTreeSet<MemberId> {
        self.known_members().into_iter().filter(|member| self.is_active(member)).collect()
    }

    /// What one participant may do for one party: the least of what both sides of the hosting and both sides of the
    /// participant's state say. `None` if it does not host the party or may do nothing.
    #[must_use]
    pub fn permission(&self, party: &PartyId, participant: &ParticipantId) -> Option<Permission> {
        let (at_most, _) = self.participant_permission(participant)?;
        let hosting = if participant.0.party() == *party {
            // Its admin party, without a transaction that says so.
            Permission::Submission
        } else {
            let side =
                |side| match self.mapping(&MappingKey::PartyToParticipant(party.clone(), participant.clone(), side))? {
                    Mapping::PartyToParticipant { permission, .. } => Some(*permission),
                    _ => None,
                };
            let both = side(Side::Both);
            side(Side::From).or(both)?.min(side(Side::To).or(both)?)
        };
        Some(hosting.min(at_most)).filter(|p| *p > Permission::Disabled && self.has_keys(participant))
    }

    /// All active hosts of a party, with what they may do for it.
    #[must_use]
    pub fn hosts(&self, party: &PartyId) -> BTreeMap<ParticipantId, Permission> {
        let admin = party.as_str().parse().ok().map(ParticipantId);
        let mapped = self.about(&Subject::Party(party.clone())).filter_map(|mapping| match mapping {
            Mapping::PartyToParticipant { participant, .. } => Some(participant.clone()),
            _ => None,
        });
        let candidates: BTreeSet<_> = mapped.chain(admin).collect();
        candidates.into_iter().filter_map(|host| self.permission(party, &host).map(|p| (host, p))).collect()
    }

    /// All active participants that host one of the parties; parties without any host are returned too.
    #[must_use]
    pub fn informee_participants<'p>(
        &self,
        parties: impl IntoIterator<Item = &'p PartyId>,
    ) -> (BTreeSet<ParticipantId>, BTreeSet<PartyId>) {
        let (mut participants, mut homeless) = (BTreeSet::new(), BTreeSet::new());
        for party in parties {
            let hosts = self.hosts(party);
            if hosts.is_empty() {
                homeless.insert(party.clone());
            }
            participants.extend(hosts.into_keys());
        }
        (participants, homeless)
    }

    /// All parties that a participant hosts, its admin party included, with what it may do for them.
    #[must_use]
    pub fn parties(&self, participant: &ParticipantId) -> BTreeMap<PartyId, Permission> {
        let mapped = self.about(&Subject::Member(participant.member())).filter_map(|mapping| match mapping {
            Mapping::PartyToParticipant { party, .. } => Some(party.party()),
            _ => None,
        });
        let candidates: BTreeSet<_> = mapped.chain([participant.0.party()]).collect();
        candidates.into_iter().filter_map(|party| self.permission(&party, participant).map(|p| (party, p))).collect()
    }

    /// All packages that a participant accepts.
    #[must_use]
    pub fn vetted(&self, participant: &ParticipantId) -> Option<&'a BTreeSet<PackageId>> {
        match self.mapping(&MappingKey::VettedPackages(participant.clone()))? {
            Mapping::VettedPackages { packages, .. } => Some(packages),
            _ => None,
        }
    }

    /// Those of `packages` that the participant does not accept.
    #[must_use]
    pub fn unvetted<'p>(
        &self,
        participant: &ParticipantId,
        packages: impl IntoIterator<Item = &'p PackageId>,
    ) -> BTreeSet<PackageId> {
        let vetted = self.vetted(participant);
        packages.into_iter().filter(|p| !vetted.is_some_and(|v| v.contains(*p))).cloned().collect()
    }

    /// What is missing before the synchronizer can start; empty when it can.
    #[must_use]
    pub fn gaps(&self) -> BTreeSet<Gap> {
        let manager = self.synchronizer().map(SynchronizerId::member);
        [
            (Gap::Parameters, self.parameters().is_some()),
            (Gap::ManagerKey, manager.is_some_and(|m| self.is_known(&m))),
            (Gap::SequencerKey, !self.sequencers().is_empty()),
            (Gap::Mediator, !self.mediators().is_empty()),
        ]
        .into_iter()
        .filter_map(|(gap, there)| (!there).then_some(gap))
        .collect()
    }
}
