//! Conflict detection: whether the contracts of a request are there and free (spec/protocol.md §3).
//!
//! From a request's sequencing to its end its contracts are locked, whether or not the request looks good: locks
//! follow from the sequence alone, so all participants that host a contract agree. A request that meets a lock is
//! rejected, not delayed. Entries in memory override the store; the rest is loaded before it is needed.

use base::ContractId;
use protocol::Rule;
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

/// What a request does with contracts that are hosted here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ActivenessSet {
    /// Must not exist: contracts it creates.
    pub fresh: BTreeSet<ContractId>,
    /// Must be active: contracts it uses.
    pub active: BTreeSet<ContractId>,
    /// Are locked until it is decided: contracts it archives or creates.
    pub lock: BTreeSet<ContractId>,
}

/// What is wrong with the contracts of a request. All empty: nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ActivenessResult {
    /// Locked by an earlier request.
    pub locked: BTreeSet<ContractId>,
    /// Created although they exist or are about to.
    pub not_fresh: BTreeSet<ContractId>,
    /// Used but archived or never created.
    pub inactive: BTreeSet<ContractId>,
}

/// What a committed request changes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CommitSet {
    /// Become active, unless they are archived by the same request.
    pub created: BTreeSet<ContractId>,
    /// Become archived.
    pub archived: BTreeSet<ContractId>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Entry {
    status: ContractStatus,
    /// Undecided requests that lock it.
    locks: u32,
    /// Changes that are not in the store yet.
    unstored: u32,
}

/// See the module's head.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConflictDetector {
    entries: BTreeMap<ContractId, Entry>,
}

impl CommitSet {
    /// Every contract that changes.
    pub fn ids(&self) -> impl Iterator<Item = &ContractId> {
        self.created.union(&self.archived)
    }
}

impl ConflictDetector {
    /// Whether the status is in memory; otherwise it must be loaded before the contract is checked.
    #[must_use]
    pub fn knows(&self, id: &ContractId) -> bool {
        self.entries.contains_key(id)
    }

    /// Contracts in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is in memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes statuses from the store. What is in memory is newer and stays.
    pub fn load(&mut self, statuses: impl IntoIterator<Item = (ContractId, ContractStatus)>) {
        for (id, status) in statuses {
            self.entries.entry(id).or_insert(Entry { status, ..Entry::default() });
        }
    }

    /// Checks a request's contracts in the order of the sequence, then locks them whatever the result.
    pub fn check_and_lock(&mut self, set: &ActivenessSet) -> ActivenessResult {
        let mut result = ActivenessResult::default();
        for id in &set.fresh {
            if self.entries.get(id).is_some_and(|e| e.locks > 0 || e.status != ContractStatus::Unknown) {
                result.not_fresh.insert(id.clone());
            }
        }
        for id in &set.active {
            match self.entries.get(id) {
                Some(entry) if Rule::Locked.broken(entry.locks > 0) => result.locked.insert(id.clone()),
                Some(entry) if entry.status == ContractStatus::Active => false,
                _ => Rule::Active.broken(true) && result.inactive.insert(id.clone()),
            };
        }
        for id in &set.lock {
            self.entries.entry(id.clone()).or_default().locks += 1;
        }
        result
    }

    /// Ends a request: releases its locks, and if it commits, changes the statuses.
    pub fn finalize(&mut self, lock: &BTreeSet<ContractId>, commit: Option<&CommitSet>) {
        for id in lock {
            if let Some(entry) = self.entries.get_mut(id) {
                debug_assert!(entry.locks > 0, "{id} was locked");
                entry.locks = entry.locks.saturating_sub(1);
            }
        }
        let Some(commit) = commit else { return };
        for id in commit.ids() {
            let entry = self.entries.entry(id.clone()).or_default();
            let archived = commit.archived.contains(id);
            entry.status = if archived { ContractStatus::Archived } else { ContractStatus::Active };
            entry.unstored += 1;
        }
    }

    /// The changes of a committed request are being stored: with the next [`ConflictDetector::evict`] they may go.
    pub fn storing(&mut self, commit: &CommitSet) {
        for id in commit.ids() {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.unstored = entry.unstored.saturating_sub(1);
            }
        }
    }

    /// Forgets what the store knows as well and nobody locks.
    pub fn evict(&mut self) {
        self.entries.retain(|_, entry| entry.locks > 0 || entry.unstored > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Hash;
    use proptest::{collection::btree_set, prelude::*};

    fn id(n: u8) -> ContractId {
        ContractId::v1(&Hash([n; 32]), &[]).unwrap()
    }

    fn ids(numbers: &[u8]) -> BTreeSet<ContractId> {
        numbers.iter().map(|n| id(*n)).collect()
    }

    #[test]
    fn locks_reject_and_are_released() {
        let mut detector = ConflictDetector::default();
        detector.load([(id(1), ContractStatus::Active), (id(2), ContractStatus::Archived)]);
        let consume = ActivenessSet { active: ids(&[1]), lock: ids(&[1]), ..ActivenessSet::default() };
        let fetch = ActivenessSet { active: ids(&[1]), ..ActivenessSet::default() };
        assert_eq!(detector.check_and_lock(&fetch), ActivenessResult::default());
        assert_eq!(detector.check_and_lock(&consume), ActivenessResult::default());
        let locked = ActivenessResult { locked: ids(&[1]), ..ActivenessResult::default() };
        assert_eq!(detector.check_and_lock(&fetch), locked);
        assert_eq!(detector.check_and_lock(&consume), locked);
        // The first is rejected; the second still holds its lock although it will fail.
        detector.finalize(&ids(&[1]), None);
        assert_eq!(detector.check_and_lock(&fetch), locked);
        detector.finalize(&ids(&[1]), None);
        assert_eq!(detector.check_and_lock(&fetch), ActivenessResult::default());
        let gone = ActivenessSet { active: ids(&[2, 3]), ..ActivenessSet::default() };
        assert_eq!(detector.check_and_lock(&gone).inactive, ids(&[2, 3]));
    }

    /// What a request does in the model: it creates some, archives some, reads some.
    #[derive(Clone, Debug)]
    struct Request {
        created: BTreeSet<u8>,
        archived: BTreeSet<u8>,
        read: BTreeSet<u8>,
    }

    #[derive(Clone, Debug)]
    enum Op {
        Begin(Request),
        /// Ends one of the open requests.
        End(prop::sample::Index, bool),
        /// Memory is cleared of what is stored; before that the store catches up, or not.
        Evict(bool),
    }

    fn op() -> impl Strategy<Value = Op> {
        let few = || btree_set(0_u8..8, 0..3);
        prop_oneof![
            4 => (few(), few(), few()).prop_map(|(created, archived, read)| Op::Begin(Request { created, archived, read })),
            3 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(n, commit)| Op::End(n, commit)),
            1 => any::<bool>().prop_map(Op::Evict),
        ]
    }

    fn contracts(set: &BTreeSet<u8>) -> BTreeSet<ContractId> {
        set.iter().map(|n| id(*n)).collect()
    }

    impl Request {
        fn set(&self) -> ActivenessSet {
            ActivenessSet {
                fresh: contracts(&self.created),
                active: contracts(&(&(&self.archived | &self.read) - &self.created)),
                lock: contracts(&(&self.created | &self.archived)),
            }
        }

        fn commit(&self) -> CommitSet {
            CommitSet { created: contracts(&self.created), archived: contracts(&self.archived) }
        }
    }

    /// The naive model: all statuses in one map, and locks by looking through the open requests.
    #[derive(Default)]
    struct Model {
        statuses: BTreeMap<ContractId, ContractStatus>,
        open: Vec<Request>,
    }

    impl Model {
        fn begin(&mut self, request: &Request) -> ActivenessResult {
            let locked = |id: &ContractId| self.open.iter().any(|r| r.set().lock.contains(id));
            let status = |id: &ContractId| self.statuses.get(id).copied().unwrap_or_default();
            let set = request.set();
            let free = |id: &&ContractId| !locked(id);
            let result = ActivenessResult {
                locked: set.active.iter().filter(|id| locked(id)).cloned().collect(),
                not_fresh: set
                    .fresh
                    .iter()
                    .filter(|id| locked(id) || status(id) != ContractStatus::Unknown)
                    .cloned()
                    .collect(),
                inactive: set
                    .active
                    .iter()
                    .filter(free)
                    .filter(|id| status(id) != ContractStatus::Active)
                    .cloned()
                    .collect(),
            };
            self.open.push(request.clone());
            result
        }

        fn end(&mut self, index: usize, commit: bool) -> Request {
            let request = self.open.remove(index);
            if commit {
                let commit = request.commit();
                let active = commit.created.into_iter().map(|id| (id, ContractStatus::Active));
                let archived = commit.archived.into_iter().map(|id| (id, ContractStatus::Archived));
                self.statuses.extend(active.chain(archived));
            }
            request
        }
    }

    proptest! {
        /// Whatever begins and ends in whatever order, and whenever the store catches up, the detector agrees with
        /// the model, and forgets everything in the end.
        #[test]
        fn agrees_with_the_naive_model(ops in prop::collection::vec(op(), 0..60)) {
            let (mut detector, mut model) = (ConflictDetector::default(), Model::default());
            // Statuses as stored, and commits that are not stored yet.
            let (mut stored, mut unstored) = (BTreeMap::<ContractId, ContractStatus>::new(), Vec::<CommitSet>::new());
            for op in ops {
                match op {
                    Op::Begin(request) => {
                        let set = request.set();
                        for id in set.fresh.iter().chain(&set.active).chain(&set.lock) {
                            if !detector.knows(id) {
                                detector.load([(id.clone(), stored.get(id).copied().unwrap_or_default())]);
                            }
                        }
                        prop_assert_eq!(detector.check_and_lock(&set), model.begin(&request));
                    }
                    Op::End(index, commit) if !model.open.is_empty() => {
                        let request = model.end(index.index(model.open.len()), commit);
                        let changes = request.commit();
                        detector.finalize(&request.set().lock, commit.then_some(&changes));
                        unstored.extend(commit.then_some(changes));
                    }
                    Op::End(..) => {}
                    Op::Evict(store) => {
                        if store {
                            stored.clone_from(&model.statuses);
                            unstored.drain(..).for_each(|changes| detector.storing(&changes));
                        }
                        detector.evict();
                    }
                }
            }
            for request in std::mem::take(&mut model.open) {
                detector.finalize(&request.set().lock, None);
            }
            unstored.iter().for_each(|changes| detector.storing(changes));
            detector.evict();
            prop_assert!(detector.is_empty());
        }
    }
}
