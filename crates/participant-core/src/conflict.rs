//! Conflict detection: whether the contracts and keys of a request are there and free (spec/protocol.md §3).
//!
//! From a request's sequencing to its end its contracts are locked, whether or not the request looks good: locks
//! follow from the sequence alone, so all participants that host a contract agree. A request that meets a lock is
//! rejected, not delayed. Entries in memory override the store; the rest is loaded before it is needed.
//!
//! Of a contract key it counts the active contracts. Who hosts a maintainer knows them all, because maintainers are
//! signatories; and contracts that a request lists under a key are among those that it uses, so that the right number of
//! them are the right ones. Creating or archiving a contract locks its key for those who rely on its number, not for
//! others who create or archive.

#[cfg(test)]
mod tests;

use base::{ContractId, Hash};
use protocol::{Contract, Rule};
use std::collections::{BTreeMap, BTreeSet};

/// What has become of a contract, as far as published requests go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum ContractStatus {
    /// Never created here, or none of our business.
    #[default]
    Unknown,
    /// Created and not archived.
    Active,
    /// Archived.
    Archived,
}

/// What is locked, or is to be known, or is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lockables {
    /// Contracts.
    pub contracts: BTreeSet<ContractId>,
    /// Keys, by their hashes.
    pub keys: BTreeSet<Hash>,
}

/// What a request does with contracts that are hosted here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ActivenessSet {
    /// Must not exist: contracts it creates.
    pub fresh: BTreeSet<ContractId>,
    /// Must be active: contracts it uses.
    pub active: BTreeSet<ContractId>,
    /// So many active contracts must have the key, those with hosted maintainers.
    pub keys: BTreeMap<Hash, u64>,
    /// Are locked until it is decided: contracts it archives or creates, and their keys.
    pub lock: Lockables,
}

/// What is wrong with the contracts of a request. All empty: nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ActivenessResult {
    /// Locked by an earlier request.
    pub locked: Lockables,
    /// Created although they exist or are about to.
    pub not_fresh: BTreeSet<ContractId>,
    /// Used but archived or never created.
    pub inactive: BTreeSet<ContractId>,
    /// More or fewer contracts have it.
    pub inconsistent: BTreeSet<Hash>,
}

/// What a committed request changes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CommitSet {
    /// Become active, unless they are archived by the same request.
    pub created: BTreeSet<ContractId>,
    /// Become archived.
    pub archived: BTreeSet<ContractId>,
    /// By how much the number of active contracts of a key grows. Each of these keys is locked by the request.
    pub keys: BTreeMap<Hash, i64>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Entry<S> {
    status: S,
    /// Undecided requests that lock it.
    locks: u32,
    /// Changes that are not in the store yet.
    unstored: u32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Table<I, S>(BTreeMap<I, Entry<S>>);

/// See the module's head.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConflictDetector {
    contracts: Table<ContractId, ContractStatus>,
    keys: Table<Hash, u64>,
}

impl CommitSet {
    /// Every contract that changes.
    pub fn ids(&self) -> impl Iterator<Item = &ContractId> {
        self.created.union(&self.archived)
    }
}

impl Lockables {
    /// Adds a contract, and its key.
    pub(crate) fn add(&mut self, contract: &Contract) {
        self.contracts.insert(contract.id.clone());
        self.keys.extend(contract.instance.key.as_ref().map(|key| key.hash));
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contracts.is_empty() && self.keys.is_empty()
    }
}

impl<I, S> Default for Table<I, S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<I: Ord + Clone, S: Default> Table<I, S> {
    fn load(&mut self, statuses: impl IntoIterator<Item = (I, S)>) {
        for (id, status) in statuses {
            self.0.entry(id).or_insert(Entry { status, locks: 0, unstored: 0 });
        }
    }

    fn is_locked(&self, id: &I) -> bool {
        self.0.get(id).is_some_and(|entry| entry.locks > 0)
    }

    fn lock(&mut self, ids: &BTreeSet<I>) {
        for id in ids {
            self.0.entry(id.clone()).or_default().locks += 1;
        }
    }

    fn unlock(&mut self, ids: &BTreeSet<I>) {
        for id in ids {
            if let Some(entry) = self.0.get_mut(id) {
                debug_assert!(entry.locks > 0, "it was locked");
                entry.locks = entry.locks.saturating_sub(1);
            }
        }
    }

    fn change(&mut self, id: &I, new: impl FnOnce(&S) -> S) {
        let entry = self.0.entry(id.clone()).or_default();
        entry.status = new(&entry.status);
        entry.unstored += 1;
    }

    fn storing(&mut self, id: &I) {
        if let Some(entry) = self.0.get_mut(id) {
            entry.unstored = entry.unstored.saturating_sub(1);
        }
    }

    fn evict(&mut self) {
        self.0.retain(|_, entry| entry.locks > 0 || entry.unstored > 0);
    }
}

impl ConflictDetector {
    /// What of this is not in memory: it must be loaded before it is checked.
    #[must_use]
    pub fn missing(&self, mut wanted: Lockables) -> Lockables {
        wanted.contracts.retain(|id| !self.contracts.0.contains_key(id));
        wanted.keys.retain(|key| !self.keys.0.contains_key(key));
        wanted
    }

    /// Whether nothing is in memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contracts.0.is_empty() && self.keys.0.is_empty()
    }

    /// Takes statuses from the store, and how many active contracts have a key. What is in memory is newer and stays.
    pub fn load(
        &mut self,
        contracts: impl IntoIterator<Item = (ContractId, ContractStatus)>,
        keys: impl IntoIterator<Item = (Hash, u64)>,
    ) {
        self.contracts.load(contracts);
        self.keys.load(keys);
    }

    /// Checks a request's contracts in the order of the sequence, then locks them whatever the result.
    pub fn check_and_lock(&mut self, set: &ActivenessSet) -> ActivenessResult {
        let mut result = ActivenessResult::default();
        for id in &set.fresh {
            let entry = self.contracts.0.get(id);
            if entry.is_some_and(|e| e.locks > 0 || e.status != ContractStatus::Unknown) {
                result.not_fresh.insert(id.clone());
            }
        }
        for id in &set.active {
            match self.contracts.0.get(id) {
                Some(entry) if Rule::Locked.broken(entry.locks > 0) => result.locked.contracts.insert(id.clone()),
                Some(entry) if entry.status == ContractStatus::Active => false,
                _ => Rule::Active.broken(true) && result.inactive.insert(id.clone()),
            };
        }
        for (key, count) in &set.keys {
            let has = self.keys.0.get(key).map_or(0, |entry| entry.status);
            if Rule::Key.broken(self.keys.is_locked(key)) {
                result.locked.keys.insert(*key);
            } else if Rule::Key.broken(has != *count) {
                result.inconsistent.insert(*key);
            }
        }
        self.contracts.lock(&set.lock.contracts);
        self.keys.lock(&set.lock.keys);
        result
    }

    /// Ends a request: releases its locks, and if it commits, changes the statuses.
    pub fn finalize(&mut self, lock: &Lockables, commit: Option<&CommitSet>) {
        self.contracts.unlock(&lock.contracts);
        self.keys.unlock(&lock.keys);
        let Some(commit) = commit else { return };
        for id in commit.ids() {
            let archived = commit.archived.contains(id);
            self.contracts.change(id, |_| if archived { ContractStatus::Archived } else { ContractStatus::Active });
        }
        for (key, growth) in &commit.keys {
            self.keys.change(key, |count| count.saturating_add_signed(*growth));
        }
    }

    /// The changes of a committed request are being stored: with the next [`ConflictDetector::evict`] they may go.
    pub fn storing(&mut self, commit: &CommitSet) {
        commit.ids().for_each(|id| self.contracts.storing(id));
        commit.keys.keys().for_each(|key| self.keys.storing(key));
    }

    /// Forgets what the store knows as well and nobody locks.
    pub fn evict(&mut self) {
        self.contracts.evict();
        self.keys.evict();
    }
}
