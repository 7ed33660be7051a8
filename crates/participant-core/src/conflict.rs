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
        set: ActivenessSet,
        commit: CommitSet,
    }

    #[derive(Clone, Debug)]
    enum Op {
        Begin(Request),
        /// Ends one of the open requests; it commits, or not.
        End(usize, bool),
        /// Memory is cleared of what is stored; before that the store catches up, or not.
        Evict(bool),
    }

    /// Contracts are so few that requests meet.
    const CONTRACTS: u8 = 8;
    const HISTORIES: u64 = 100_000;

    /// Histories by number. Each has a generator of its own (SplitMix64), so that one can be looked at alone.
    struct Histories {
        contracts: Vec<ContractId>,
        state: u64,
    }

    impl Histories {
        fn new() -> Self {
            Self { contracts: (0..CONTRACTS).map(id).collect(), state: 0 }
        }

        fn random(&mut self, below: usize) -> usize {
            self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap() % below
        }

        fn few(&mut self) -> BTreeSet<ContractId> {
            let count = self.random(3);
            let mut one = || self.random(CONTRACTS.into());
            let numbers: Vec<_> = (0..count).map(|_| one()).collect();
            numbers.into_iter().map(|n| self.contracts[n].clone()).collect()
        }

        fn request(&mut self) -> Request {
            let (created, archived, read) = (self.few(), self.few(), self.few());
            let active = &(&archived | &read) - &created;
            let set = ActivenessSet { fresh: created.clone(), active, lock: &created | &archived };
            Request { set, commit: CommitSet { created, archived } }
        }

        fn history(&mut self, number: u64) -> Vec<Op> {
            self.state = number;
            let op = |this: &mut Self| match this.random(8) {
                0..4 => Op::Begin(this.request()),
                4..7 => Op::End(this.random(100), this.random(2) == 0),
                _ => Op::Evict(this.random(2) == 0),
            };
            let length = self.random(48);
            (0..length).map(|_| op(self)).collect()
        }
    }

    /// The naive model: all statuses in one map, and locks by looking through the open requests.
    #[derive(Default)]
    struct Model<'a> {
        statuses: BTreeMap<ContractId, ContractStatus>,
        open: Vec<&'a Request>,
    }

    impl<'a> Model<'a> {
        fn begin(&mut self, request: &'a Request) -> ActivenessResult {
            let locked = |id: &ContractId| self.open.iter().any(|r| r.set.lock.contains(id));
            let status = |id: &ContractId| self.statuses.get(id).copied().unwrap_or_default();
            let (fresh, active) = (request.set.fresh.iter(), request.set.active.iter());
            let result = ActivenessResult {
                locked: active.clone().filter(|id| locked(id)).cloned().collect(),
                not_fresh: fresh.filter(|id| locked(id) || status(id) != ContractStatus::Unknown).cloned().collect(),
                inactive: active.filter(|id| !locked(id) && status(id) != ContractStatus::Active).cloned().collect(),
            };
            self.open.push(request);
            result
        }

        fn end(&mut self, index: usize, commit: bool) -> &'a Request {
            let request = self.open.remove(index);
            if commit {
                let CommitSet { created, archived } = &request.commit;
                self.statuses.extend(created.iter().map(|id| (id.clone(), ContractStatus::Active)));
                self.statuses.extend(archived.iter().map(|id| (id.clone(), ContractStatus::Archived)));
            }
            request
        }
    }

    /// What the system around the detector does wrong.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Mutant {
        Nothing,
        /// Only requests that look good lock their contracts.
        LocksIfGood,
        /// A request that commits keeps its locks.
        KeepsLocks,
        /// What commits counts as stored at once.
        ForgetsUnstored,
        /// A contract that is created and archived by one request is active.
        ArchivesFirst,
    }

    /// Whether the detector agrees with the model throughout, and forgets everything in the end.
    fn agrees(mutant: Mutant, ops: &[Op]) -> bool {
        let (mut detector, mut model) = (ConflictDetector::default(), Model::default());
        // Statuses as stored, and commits that are not stored yet.
        let (mut stored, mut unstored) = (BTreeMap::<ContractId, ContractStatus>::new(), Vec::<CommitSet>::new());
        // The locks of the open requests.
        let mut held: Vec<BTreeSet<ContractId>> = Vec::new();
        for op in ops {
            match op {
                Op::Begin(request) => {
                    let set = &request.set;
                    for id in set.fresh.iter().chain(&set.active).chain(&set.lock) {
                        if !detector.knows(id) {
                            detector.load([(id.clone(), stored.get(id).copied().unwrap_or_default())]);
                        }
                    }
                    let result = detector.check_and_lock(set);
                    if result != model.begin(request) {
                        return false;
                    }
                    held.push(set.lock.clone());
                    if mutant == Mutant::LocksIfGood && result != ActivenessResult::default() {
                        detector.finalize(&held.pop().unwrap_or_default(), None);
                        held.push(BTreeSet::new());
                    }
                }
                Op::End(index, commit) if !model.open.is_empty() => {
                    let index = index % model.open.len();
                    let mut changes = model.end(index, *commit).commit.clone();
                    if mutant == Mutant::ArchivesFirst {
                        changes.archived = &changes.archived - &changes.created;
                    }
                    let mut locks = held.remove(index);
                    if mutant == Mutant::KeepsLocks && *commit {
                        locks.clear();
                    }
                    detector.finalize(&locks, commit.then_some(&changes));
                    if mutant == Mutant::ForgetsUnstored && *commit {
                        detector.storing(&changes);
                    } else {
                        unstored.extend(commit.then_some(changes));
                    }
                }
                Op::End(..) => {}
                Op::Evict(store) => {
                    if *store {
                        stored.clone_from(&model.statuses);
                        unstored.drain(..).for_each(|changes| detector.storing(&changes));
                    }
                    detector.evict();
                }
            }
        }
        held.iter().for_each(|locks| detector.finalize(locks, None));
        unstored.iter().for_each(|changes| detector.storing(changes));
        detector.evict();
        detector.is_empty()
    }

    /// The shortest beginning of the first history in which detector and model differ.
    fn difference(mutant: Mutant) -> Option<(u64, Vec<Op>)> {
        let mut histories = Histories::new();
        let (number, ops) = (0..HISTORIES).map(|n| (n, histories.history(n))).find(|(_, ops)| !agrees(mutant, ops))?;
        let shortest = (0..=ops.len()).find(|length| !agrees(mutant, &ops[..*length]))?;
        Some((number, ops[..shortest].to_vec()))
    }

    /// Whatever begins and ends in whatever order, and whenever the store catches up.
    #[test]
    fn agrees_with_the_naive_model() {
        if let Some((number, ops)) = difference(Mutant::Nothing) {
            panic!("history {number} of {HISTORIES}: {ops:#?}");
        }
    }

    #[test]
    fn differs_from_the_naive_model_with_any_mistake() {
        for mutant in [Mutant::LocksIfGood, Mutant::KeepsLocks, Mutant::ForgetsUnstored, Mutant::ArchivesFirst] {
            assert!(difference(mutant).is_some(), "{mutant:?}");
        }
    }
}
