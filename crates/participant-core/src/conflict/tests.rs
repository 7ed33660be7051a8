//! Conflict detection against its naive model.

use super::*;

fn id(n: u8) -> ContractId {
    ContractId::v1(&Hash([n; 32]), &[]).unwrap()
}

fn key(n: u8) -> Hash {
    Hash([n; 32])
}

fn contracts(numbers: &[u8]) -> Lockables {
    Lockables { contracts: ids(numbers), keys: BTreeSet::new() }
}

fn ids(numbers: &[u8]) -> BTreeSet<ContractId> {
    numbers.iter().map(|n| id(*n)).collect()
}

#[test]
fn locks_reject_and_are_released() {
    let mut detector = ConflictDetector::default();
    detector.load([(id(1), ContractStatus::Active), (id(2), ContractStatus::Archived)], []);
    let consume = ActivenessSet { active: ids(&[1]), lock: contracts(&[1]), ..ActivenessSet::default() };
    let fetch = ActivenessSet { active: ids(&[1]), ..ActivenessSet::default() };
    assert_eq!(detector.check_and_lock(&fetch), ActivenessResult::default());
    assert_eq!(detector.check_and_lock(&consume), ActivenessResult::default());
    let locked = ActivenessResult { locked: contracts(&[1]), ..ActivenessResult::default() };
    assert_eq!(detector.check_and_lock(&fetch), locked);
    assert_eq!(detector.check_and_lock(&consume), locked);
    // The first is rejected; the second still holds its lock although it will fail.
    detector.finalize(&contracts(&[1]), None);
    assert_eq!(detector.check_and_lock(&fetch), locked);
    detector.finalize(&contracts(&[1]), None);
    assert_eq!(detector.check_and_lock(&fetch), ActivenessResult::default());
    let gone = ActivenessSet { active: ids(&[2, 3]), ..ActivenessSet::default() };
    assert_eq!(detector.check_and_lock(&gone).inactive, ids(&[2, 3]));
}

/// Two requests create a contract of a unique key: both say that it is free, and the second one comes too late,
/// whatever becomes of the first.
#[test]
fn keys_are_locked_counted_and_free_again() {
    let mut detector = ConflictDetector::default();
    detector.load([], [(key(1), 0)]);
    let lock = Lockables { contracts: BTreeSet::new(), keys: [key(1)].into() };
    let says = |count| ActivenessSet { keys: [(key(1), count)].into(), ..ActivenessSet::default() };
    let create = ActivenessSet { lock: lock.clone(), ..says(0) };
    assert_eq!(detector.check_and_lock(&create), ActivenessResult::default());
    let locked = ActivenessResult { locked: lock.clone(), ..ActivenessResult::default() };
    assert_eq!(detector.check_and_lock(&create), locked);
    assert_eq!(detector.check_and_lock(&says(0)), locked);
    let created = CommitSet { keys: [(key(1), 1)].into(), ..CommitSet::default() };
    detector.finalize(&lock, Some(&created));
    detector.finalize(&lock, None);
    assert_eq!(detector.check_and_lock(&says(0)).inconsistent, [key(1)].into());
    assert_eq!(detector.check_and_lock(&says(1)), ActivenessResult::default());
    // Others that share the key do not wait for each other.
    let another = ActivenessSet { lock: lock.clone(), ..ActivenessSet::default() };
    assert_eq!(detector.check_and_lock(&another), ActivenessResult::default());
    assert_eq!(detector.check_and_lock(&another), ActivenessResult::default());
    assert_eq!(detector.check_and_lock(&says(1)), locked);
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
const KEYS: u8 = 3;
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

    /// Up to two keys, each with a number below `below`.
    fn numbers(&mut self, below: usize) -> BTreeMap<Hash, usize> {
        let count = self.random(3);
        let mut one = || (key(u8::try_from(self.random(KEYS.into())).unwrap()), self.random(below));
        (0..count).map(|_| one()).collect()
    }

    fn request(&mut self) -> Request {
        let (created, archived, read) = (self.few(), self.few(), self.few());
        let active = &(&archived | &read) - &created;
        let said = self.numbers(3).into_iter().map(|(key, count)| (key, count as u64)).collect();
        let grow = |(key, number): (Hash, usize)| (key, [-1, 1, 2][number]);
        let keys: BTreeMap<_, _> = self.numbers(3).into_iter().map(grow).collect();
        let lock = Lockables { contracts: &created | &archived, keys: keys.keys().copied().collect() };
        let set = ActivenessSet { fresh: created.clone(), active, keys: said, lock };
        Request { set, commit: CommitSet { created, archived, keys } }
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

/// The naive model: all statuses and numbers in one map each, and locks by looking through the open requests.
#[derive(Default)]
struct Model<'a> {
    statuses: BTreeMap<ContractId, ContractStatus>,
    counts: BTreeMap<Hash, u64>,
    open: Vec<&'a Request>,
}

impl<'a> Model<'a> {
    fn begin(&mut self, request: &'a Request) -> ActivenessResult {
        let locked = |id: &ContractId| self.open.iter().any(|r| r.set.lock.contracts.contains(id));
        let key_locked = |key: &Hash| self.open.iter().any(|r| r.commit.keys.contains_key(key));
        let status = |id: &ContractId| self.statuses.get(id).copied().unwrap_or_default();
        let (fresh, active) = (request.set.fresh.iter(), request.set.active.iter());
        let keys = request.set.keys.keys().copied();
        let differs = |key: &Hash| self.counts.get(key).copied().unwrap_or(0) != request.set.keys[key];
        let result = ActivenessResult {
            locked: Lockables {
                contracts: active.clone().filter(|id| locked(id)).cloned().collect(),
                keys: keys.clone().filter(key_locked).collect(),
            },
            inconsistent: keys.filter(|key| !key_locked(key) && differs(key)).collect(),
            not_fresh: fresh.filter(|id| locked(id) || status(id) != ContractStatus::Unknown).cloned().collect(),
            inactive: active.filter(|id| !locked(id) && status(id) != ContractStatus::Active).cloned().collect(),
        };
        self.open.push(request);
        result
    }

    fn end(&mut self, index: usize, commit: bool) -> &'a Request {
        let request = self.open.remove(index);
        if commit {
            let CommitSet { created, archived, keys } = &request.commit;
            for (key, growth) in keys {
                let count = self.counts.entry(*key).or_default();
                *count = count.saturating_add_signed(*growth);
            }
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
    /// Keys are not locked.
    LocksNoKeys,
    /// Contracts come and go, and the number of those with a key stays.
    CountsNothing,
    /// Contracts of a key that the store knows are not counted.
    CountsFromZero,
}

/// Whether the detector agrees with the model throughout, and forgets everything in the end.
fn agrees(mutant: Mutant, ops: &[Op]) -> bool {
    let (mut detector, mut model) = (ConflictDetector::default(), Model::default());
    // Statuses as stored, and commits that are not stored yet.
    let (mut stored, mut unstored) = (BTreeMap::<ContractId, ContractStatus>::new(), Vec::<CommitSet>::new());
    let mut counted = BTreeMap::<Hash, u64>::new();
    // The locks of the open requests.
    let mut held: Vec<Lockables> = Vec::new();
    for op in ops {
        match op {
            Op::Begin(request) => {
                let mut set = request.set.clone();
                if mutant == Mutant::LocksNoKeys {
                    set.lock.keys.clear();
                }
                let wanted = Lockables {
                    contracts: set.fresh.iter().chain(&set.active).chain(&set.lock.contracts).cloned().collect(),
                    keys: set.keys.keys().chain(&set.lock.keys).copied().collect(),
                };
                let missing = detector.missing(wanted);
                let count = |key| if mutant == Mutant::CountsFromZero { None } else { counted.get(&key).copied() };
                detector.load(
                    missing.contracts.into_iter().map(|id| (id.clone(), stored.get(&id).copied().unwrap_or_default())),
                    missing.keys.into_iter().map(|key| (key, count(key).unwrap_or_default())),
                );
                let result = detector.check_and_lock(&set);
                if result != model.begin(request) {
                    return false;
                }
                held.push(set.lock.clone());
                if mutant == Mutant::LocksIfGood && result != ActivenessResult::default() {
                    detector.finalize(&held.pop().unwrap_or_default(), None);
                    held.push(Lockables::default());
                }
            }
            Op::End(index, commit) if !model.open.is_empty() => {
                let index = index % model.open.len();
                let mut changes = model.end(index, *commit).commit.clone();
                if mutant == Mutant::ArchivesFirst {
                    changes.archived = &changes.archived - &changes.created;
                }
                if matches!(mutant, Mutant::CountsNothing) {
                    changes.keys.clear();
                }
                let mut locks = held.remove(index);
                if mutant == Mutant::KeepsLocks && *commit {
                    locks = Lockables::default();
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
                    counted.clone_from(&model.counts);
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
    for mutant in [
        Mutant::LocksIfGood,
        Mutant::KeepsLocks,
        Mutant::ForgetsUnstored,
        Mutant::ArchivesFirst,
        Mutant::LocksNoKeys,
        Mutant::CountsNothing,
        Mutant::CountsFromZero,
    ] {
        assert!(difference(mutant).is_some(), "{mutant:?}");
    }
}
