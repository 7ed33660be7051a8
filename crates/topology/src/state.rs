//! All topology transactions of one synchronizer (or of one node's own store), and which of them are in force when.
//!
//! Every member applies the same messages in the same order and so has the same state. Whether a transaction's
//! signers may speak is judged anew whenever it is looked up: a transaction whose chain of delegations is broken is
//! out of force, together with all that depends on it, and comes back with the chain (spec/protocol.md §6.4).

use crate::{
    Authority, Mapping, MappingKey, Operation, ParametersError, SignedTopologyTransaction, Snapshot, StoredTransaction,
};
use base::{Coded, ErrorCode, Fingerprint, Hash, MemberId, Namespace, PartyId, SynchronizerId, Timestamp, codes};
use crypto::{PublicKey, SignatureError};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// See the module's head. Built by applying or restoring transactions; read through a [`Snapshot`].
#[derive(Clone, Debug, Default)]
pub struct TopologyState {
    synchronizer: Option<SynchronizerId>,
    /// Under each key in the order of their serials, which is that of their times.
    versions: BTreeMap<MappingKey, Vec<StoredTransaction>>,
    by_subject: BTreeMap<Subject, BTreeSet<MappingKey>>,
    last_sequenced: Option<Timestamp>,
}

/// Whose mappings are looked up together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Subject {
    Party(PartyId),
    Member(MemberId),
    Synchronizer(SynchronizerId),
}

/// Why a transaction has no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// This very transaction is already here.
    #[error("topology transaction {0} is already known")]
    Duplicate(Hash),
    /// A later one is already here.
    #[error("serial {serial} is not above the last one, {last}; build the transaction anew")]
    Obsolete {
        /// As given.
        serial: u32,
        /// The greatest known.
        last: u32,
    },
    /// Nothing to remove.
    #[error("there is no mapping under this key to remove")]
    NothingToRemove,
    /// Not enough signatures.
    #[error("no valid signature on behalf of {0:?}; sign with its namespace key or a delegated one")]
    NotAuthorized(Authority),
    /// The signer's key is not known in any namespace concerned.
    #[error("key {0} is neither a namespace key nor delegated by one; add its delegation first")]
    UnknownKey(Fingerprint),
    /// A signature does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It speaks about another synchronizer.
    #[error("the transaction is about synchronizer {0}, not this one")]
    OtherSynchronizer(SynchronizerId),
    /// A namespace's own key must be a root key.
    #[error("the delegation of namespace {0} to its own key must be a root delegation")]
    RootNotRoot(Namespace),
    /// Parameters do not fit together.
    #[error(transparent)]
    Parameters(#[from] ParametersError),
    /// ε cannot be changed.
    #[error("the topology change delay is fixed at {0:?} and cannot be changed")]
    DelayIsFixed(Duration),
    /// A synchronizer always has parameters.
    #[error("the synchronizer's parameters can be replaced but not removed")]
    ParametersNeeded,
}

impl Coded for Rejection {
    fn code(&self) -> ErrorCode {
        codes::TOPOLOGY_TRANSACTION_INVALID
    }
}

/// What became of one transaction of a message.
pub type Outcome = Result<StoredTransaction, Box<(SignedTopologyTransaction, Rejection)>>;

impl TopologyState {
    /// Delegations between one key and its namespace's root; beyond it a key counts as unconnected.
    const MAX_CHAIN: usize = 100;

    /// The state of a synchronizer, before its first transaction.
    #[must_use]
    pub fn of(synchronizer: SynchronizerId) -> Self {
        Self { synchronizer: Some(synchronizer), ..Self::default() }
    }

    /// A node's own store of what it authorized; about any synchronizer, in force at once.
    #[must_use]
    pub fn local() -> Self {
        Self::default()
    }

    /// The synchronizer it is about; none for a node's own store.
    #[must_use]
    pub fn synchronizer(&self) -> Option<&SynchronizerId> {
        self.synchronizer.as_ref()
    }

    /// Sequencing time of the last message applied or restored.
    #[must_use]
    pub fn last_sequenced(&self) -> Option<Timestamp> {
        self.last_sequenced
    }

    /// What is in force at `at`: all transactions whose effective time is before it.
    #[must_use]
    pub fn snapshot(&self, at: Timestamp) -> Snapshot<'_> {
        Snapshot::new(self, at)
    }

    /// Everything accepted so far, also what is not yet effective: for authentication and for the next serial.
    #[must_use]
    pub fn head(&self) -> Snapshot<'_> {
        self.snapshot(Timestamp::MAX)
    }

    /// The serial of the next transaction under `key`.
    #[must_use]
    pub fn next_serial(&self, key: &MappingKey) -> u32 {
        self.last_version(key).map_or(1, |v| v.transaction.transaction().serial + 1)
    }

    /// When a message that is sequenced at `sequenced` takes effect. Before the first parameters there is no delay.
    #[must_use]
    pub fn effective_time(&self, sequenced: Timestamp) -> Timestamp {
        sequenced.saturating_add(self.delay())
    }

    /// ε; zero before the first parameters.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.head().parameters().map_or(Duration::ZERO, |p| p.topology_change_delay)
    }

    /// Applies the transactions of one sequenced message, in their order, and says what became of each.
    ///
    /// A message not later than the last one was applied before (a replay): nothing happens, nothing is returned.
    pub fn apply(&mut self, sequenced: Timestamp, transactions: Vec<SignedTopologyTransaction>) -> Vec<Outcome> {
        if self.last_sequenced.is_some_and(|last| sequenced <= last) {
            return Vec::new();
        }
        self.last_sequenced = Some(sequenced);
        let effective = self.effective_time(sequenced);
        transactions
            .into_iter()
            .map(|transaction| match self.check(&transaction) {
                Ok(()) => {
                    let stored = StoredTransaction { transaction, sequenced, effective };
                    self.insert(stored.clone());
                    Ok(stored)
                }
                Err(rejection) => Err(Box::new((transaction, rejection))),
            })
            .collect()
    }

    /// Takes back what this node stored, without checking it again.
    pub fn restore(&mut self, transactions: impl IntoIterator<Item = StoredTransaction>) {
        for stored in transactions {
            self.last_sequenced = self.last_sequenced.max(Some(stored.sequenced));
            self.insert(stored);
        }
    }

    /// Takes the state that the manager sends a member that is new or comes back, and returns what is new of it.
    /// Signatures are checked, times are taken as told. Nothing is taken if one signature does not hold.
    pub fn catch_up(&mut self, transactions: &[StoredTransaction]) -> Result<Vec<StoredTransaction>, Rejection> {
        let mut next = self.clone();
        let is_new = |stored: &&StoredTransaction| {
            stored.transaction.transaction().serial >= self.next_serial(&stored.transaction.key())
        };
        let new: Vec<_> = transactions.iter().filter(is_new).cloned().collect();
        next.restore(new.iter().cloned());
        for stored in &new {
            next.check_subject(stored.transaction.mapping())?;
            next.check_signatures(&stored.transaction)?;
        }
        *self = next;
        Ok(new)
    }

    /// What a new member needs to have every snapshot at `from` or later: [`TopologyState::catch_up`] takes it.
    #[must_use]
    pub fn for_catch_up(&self, from: Timestamp) -> Vec<StoredTransaction> {
        let mut needed: Vec<_> = self
            .versions
            .values()
            .flat_map(|versions| {
                let in_force = versions.partition_point(|v| v.effective < from).saturating_sub(1);
                versions.iter().skip(in_force).cloned()
            })
            .collect();
        needed.sort_by_key(|stored| stored.sequenced);
        needed
    }

    /// Whether the transaction would be accepted now.
    pub fn check(&self, signed: &SignedTopologyTransaction) -> Result<(), Rejection> {
        let transaction = signed.transaction();
        self.check_subject(&transaction.mapping)?;
        let key = signed.key();
        match self.last_version(&key) {
            Some(last) if last.transaction.hash() == signed.hash() => return Err(Rejection::Duplicate(signed.hash())),
            Some(last) if transaction.serial <= last.transaction.transaction().serial => {
                let last = last.transaction.transaction().serial;
                return Err(Rejection::Obsolete { serial: transaction.serial, last });
            }
            None if transaction.operation == Operation::Remove => return Err(Rejection::NothingToRemove),
            _ => {}
        }
        self.check_content(transaction.operation, &transaction.mapping)?;
        self.check_signatures(signed)?;
        match self.missing_authority(signed, Timestamp::MAX) {
            Some(authority) => Err(Rejection::NotAuthorized(authority)),
            None => Ok(()),
        }
    }

    fn check_subject(&self, mapping: &Mapping) -> Result<(), Rejection> {
        match (&self.synchronizer, mapping.synchronizer()) {
            (Some(ours), Some(theirs)) if ours != theirs => Err(Rejection::OtherSynchronizer(theirs.clone())),
            _ => Ok(()),
        }
    }

    fn check_content(&self, operation: Operation, mapping: &Mapping) -> Result<(), Rejection> {
        match mapping {
            Mapping::NamespaceDelegation { namespace, target, is_root: false }
                if target.fingerprint() == &namespace.0 =>
            {
                Err(Rejection::RootNotRoot(namespace.clone()))
            }
            Mapping::Parameters { .. } if operation == Operation::Remove => Err(Rejection::ParametersNeeded),
            Mapping::Parameters { synchronizer, parameters } => {
                parameters.check()?;
                let key = MappingKey::Parameters(synchronizer.clone());
                match self.last_version(&key).map(|v| v.transaction.mapping()) {
                    Some(Mapping::Parameters { parameters: now, .. })
                        if now.topology_change_delay != parameters.topology_change_delay =>
                    {
                        Err(Rejection::DelayIsFixed(now.topology_change_delay))
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Every signature must be that of a key that some delegation of a namespace concerned names, now or ever.
    fn check_signatures(&self, signed: &SignedTopologyTransaction) -> Result<(), Rejection> {
        let (hash, authorities) = (signed.hash(), signed.mapping().authorities());
        signed.signatures().iter().try_for_each(|signature| {
            let fingerprint = &signature.signed_by;
            let key = authorities
                .iter()
                .find_map(|authority| self.any_key(authority, fingerprint))
                .or_else(|| own_root(signed.mapping()).filter(|key| key.fingerprint() == fingerprint))
                .ok_or_else(|| Rejection::UnknownKey(fingerprint.clone()))?;
            Ok(signature.verify(&hash, key)?)
        })
    }

    fn any_key(&self, authority: &Authority, fingerprint: &Fingerprint) -> Option<&PublicKey> {
        let delegation = MappingKey::NamespaceDelegation(authority.namespace().clone(), fingerprint.clone());
        let identifier = match authority {
            Authority::Uid(uid) => Some(MappingKey::IdentifierDelegation(uid.clone(), fingerprint.clone())),
            Authority::Root(_) | Authority::Namespace(_) => None,
        };
        [Some(delegation), identifier]
            .into_iter()
            .flatten()
            .find_map(|key| self.last_version(&key))
            .and_then(|version| target(version.transaction.mapping()))
    }

    fn insert(&mut self, stored: StoredTransaction) {
        let key = stored.transaction.key();
        for subject in subjects(stored.transaction.mapping()) {
            self.by_subject.entry(subject).or_default().insert(key.clone());
        }
        let versions = self.versions.entry(key).or_default();
        let serial = stored.transaction.transaction().serial;
        // Restoring what is already here (storage and replay overlap) changes nothing.
        if let Err(place) = versions.binary_search_by_key(&serial, |v| v.transaction.transaction().serial) {
            versions.insert(place, stored);
        }
    }

    fn last_version(&self, key: &MappingKey) -> Option<&StoredTransaction> {
        self.versions.get(key).and_then(|versions| versions.last())
    }

    /// The mapping under `key` at `at`, whether or not its signers may still speak.
    fn latest(&self, key: &MappingKey, at: Timestamp) -> Option<&StoredTransaction> {
        let versions = self.versions.get(key)?;
        let count = if at == Timestamp::MAX { versions.len() } else { versions.partition_point(|v| v.effective < at) };
        versions[..count].last().filter(|v| v.transaction.transaction().operation == Operation::AddReplace)
    }

    /// The transaction in force under `key` at `at`.
    pub(crate) fn in_force(&self, key: &MappingKey, at: Timestamp) -> Option<&StoredTransaction> {
        self.latest(key, at).filter(|stored| self.missing_authority(&stored.transaction, at).is_none())
    }

    /// All transactions in force at `at` that concern `subject`.
    pub(crate) fn about<'a>(
        &'a self,
        subject: &Subject,
        at: Timestamp,
    ) -> impl Iterator<Item = &'a StoredTransaction> + use<'a> {
        self.by_subject.get(subject).into_iter().flatten().filter_map(move |key| self.in_force(key, at))
    }

    /// All transactions in force at `at`.
    pub(crate) fn all(&self, at: Timestamp) -> impl Iterator<Item = &StoredTransaction> {
        self.versions.keys().filter_map(move |key| self.in_force(key, at))
    }

    /// The first authority that no signer speaks for at `at`.
    fn missing_authority(&self, signed: &SignedTopologyTransaction, at: Timestamp) -> Option<Authority> {
        if let Some(root) = own_root(signed.mapping()) {
            let signed_itself = signed.signers().any(|s| s == root.fingerprint());
            return if signed_itself { None } else { signed.mapping().authorities().pop() };
        }
        let spoken_for = |a: &Authority| signed.signers().any(|signer| self.speaks_for(a, signer, at));
        signed.mapping().authorities().into_iter().find(|authority| !spoken_for(authority))
    }

    fn speaks_for(&self, authority: &Authority, key: &Fingerprint, at: Timestamp) -> bool {
        match authority {
            Authority::Root(namespace) => self.is_namespace_key(namespace, key, at, true),
            Authority::Namespace(namespace) => self.is_namespace_key(namespace, key, at, false),
            Authority::Uid(uid) => {
                self.is_namespace_key(uid.namespace(), key, at, false)
                    || self.in_force(&MappingKey::IdentifierDelegation(uid.clone(), key.clone()), at).is_some()
            }
        }
    }

    /// Walks from the key up through those who delegated to it, until the namespace's own key is found.
    fn is_namespace_key(&self, namespace: &Namespace, key: &Fingerprint, at: Timestamp, as_root: bool) -> bool {
        let (mut seen, mut todo) = (BTreeSet::new(), vec![(key, as_root)]);
        while let Some((key, must_be_root)) = todo.pop() {
            let at_key = MappingKey::NamespaceDelegation(namespace.clone(), key.clone());
            let Some(delegation) = self.latest(&at_key, at) else { continue };
            let Mapping::NamespaceDelegation { is_root, .. } = delegation.transaction.mapping() else { continue };
            if (must_be_root && !is_root) || !seen.insert(key) || seen.len() > Self::MAX_CHAIN {
                continue;
            }
            if *key == namespace.0 {
                return delegation.transaction.signers().any(|signer| signer == key);
            }
            todo.extend(delegation.transaction.signers().map(|signer| (signer, true)));
        }
        false
    }
}

/// The key of a delegation of a namespace to its own key.
fn own_root(mapping: &Mapping) -> Option<&PublicKey> {
    match mapping {
        Mapping::NamespaceDelegation { namespace, target, .. } if target.fingerprint() == &namespace.0 => Some(target),
        _ => None,
    }
}

fn target(mapping: &Mapping) -> Option<&PublicKey> {
    match mapping {
        Mapping::NamespaceDelegation { target, .. } | Mapping::IdentifierDelegation { target, .. } => Some(target),
        _ => None,
    }
}

fn subjects(mapping: &Mapping) -> Vec<Subject> {
    match mapping {
        Mapping::OwnerToKey { member, .. } => vec![Subject::Member(member.clone())],
        Mapping::PartyToParticipant { party, participant, .. } => {
            vec![Subject::Party(party.party()), Subject::Member(participant.member())]
        }
        Mapping::ParticipantState { synchronizer, .. } | Mapping::MediatorState { synchronizer, .. } => {
            vec![Subject::Synchronizer(synchronizer.clone())]
        }
        Mapping::NamespaceDelegation { .. }
        | Mapping::IdentifierDelegation { .. }
        | Mapping::VettedPackages { .. }
        | Mapping::Parameters { .. } => Vec::new(),
    }
}
