//! A run: one interpretation that can be stopped and continued.

use crate::{
    Engine, EngineError, KeyOf, Term,
    command::{Prepared, Work},
    ledger::{Ledger, Seed},
    machine::Machine,
    value::V,
};
use base::{ContractId, Hash, PackageId, PackageName, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use transaction::{ContractInstance, Parties, Transaction};

/// What a run wants to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Question {
    /// The content of a contract, to be given with [`Run::answer_contract`].
    Contract(ContractId),
    /// A package, to be given to the [`Engine`].
    Package(PackageId),
    /// Active contracts of a key, to be given with [`Run::answer_key`].
    Key {
        /// The key.
        key: KeyOf,
        /// So many contracts are needed; fewer, if there are no more.
        limit: usize,
    },
}

/// How far a run has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// It is finished.
    Done(Box<Outcome>),
    /// It waits for an answer.
    Need(Question),
    /// The budget is used up; step again to go on.
    Interrupted,
    /// It failed, and nothing has happened.
    Error(EngineError),
}

/// What an interpretation gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The transaction. Contracts that it creates have local ids.
    pub transaction: Transaction,
    /// The seed of the transaction (of the root node in a replay; zeros if that has none).
    pub seed: Hash,
    /// The packages of all templates and interfaces in it.
    pub packages: BTreeSet<PackageId>,
    /// Whether the model asked for the time, so that it depends on the ledger time.
    pub time_used: bool,
}

/// Why the machine stops.
#[derive(Debug)]
pub(crate) enum Stop {
    Need(Question),
    /// An exception that the model may handle: an `Any`.
    Throw(V),
    Error(Box<EngineError>),
}

impl Stop {
    pub(crate) fn error(error: EngineError) -> Self {
        Self::Error(Box::new(error))
    }

    pub(crate) fn package(id: &PackageId) -> Self {
        Self::Need(Question::Package(id.clone()))
    }
}

/// One interpretation on its way. Holds all its state; dropping it ends it.
#[derive(Debug)]
pub struct Run {
    engine: Engine,
    machine: Machine,
    seed: Hash,
    /// Commands that are not yet translated.
    work: VecDeque<Work>,
    /// Commands that are not yet begun.
    ready: VecDeque<Prepared>,
    running: bool,
    /// What the call before returned.
    last: Option<V>,
    asked: Option<Question>,
    /// The end: it does not change any more.
    end: Option<Step>,
}

impl Run {
    pub(crate) fn new(
        engine: &Engine,
        seed: Seed,
        authorizers: Parties,
        times: (Timestamp, Timestamp),
        work: VecDeque<Work>,
    ) -> Self {
        let shown = match &seed {
            Seed::Parent(seed) => *seed,
            Seed::Root(seed) => seed.unwrap_or(Hash([0; 32])),
        };
        let ledger = Ledger::new(seed, authorizers, times.0, times.1);
        Self {
            machine: Machine::new(engine.registry(), ledger),
            engine: engine.clone(),
            seed: shown,
            work,
            ready: VecDeque::new(),
            running: false,
            last: None,
            asked: None,
            end: None,
        }
    }

    /// Lets these versions of packages implement interfaces for the contracts of any version; without an entry it is
    /// the version that created the contract. Whoever interprets again must be told the same.
    #[must_use]
    pub fn resolving(mut self, versions: BTreeMap<PackageName, PackageId>) -> Self {
        self.machine.ledger.resolution = versions;
        self
    }

    /// Goes on for at most `budget` operations of the machine (some hundred are a microsecond's work or ten).
    /// After [`Step::Done`] or [`Step::Error`] always the same; while a contract is asked for, the same question.
    pub fn step(&mut self, budget: u64) -> Step {
        if let Some(end) = &self.end {
            return end.clone();
        }
        match &self.asked {
            Some(question @ (Question::Contract(_) | Question::Key { .. })) => return Step::Need(question.clone()),
            Some(Question::Package(id)) => {
                if !self.engine.has_package(id) {
                    return self.finish(Step::Error(EngineError::MissingPackage(id.clone())));
                }
                self.machine.registry = self.engine.registry();
                self.asked = None;
            }
            None => {}
        }
        let mut budget = budget;
        match self.advance(&mut budget) {
            Ok(true) => {
                let transaction = self.machine.ledger.finish();
                let (packages, seed) = (transaction.packages(), self.seed);
                let time_used = self.machine.ledger.time_used;
                self.finish(Step::Done(Box::new(Outcome { transaction, seed, packages, time_used })))
            }
            Ok(false) => Step::Interrupted,
            Err(Stop::Need(question)) => {
                self.asked = Some(question.clone());
                Step::Need(question)
            }
            Err(Stop::Error(error)) => self.finish(Step::Error(*error)),
            Err(Stop::Throw(_)) => {
                self.finish(Step::Error(EngineError::IllTyped("an exception came from nowhere".into())))
            }
        }
    }

    fn finish(&mut self, end: Step) -> Step {
        self.end = Some(end.clone());
        end
    }

    /// Whether everything is done.
    fn advance(&mut self, budget: &mut u64) -> Result<bool, Stop> {
        while let Some(work) = self.work.front() {
            let prepared = work.prepare(&self.machine.registry)?;
            self.ready.extend(prepared);
            self.work.pop_front();
        }
        loop {
            if self.running {
                let Some(value) = self.machine.run(budget)? else { return Ok(false) };
                self.running = false;
                self.last = Some(value);
            }
            let Some(next) = self.ready.front() else { return Ok(true) };
            next.start(&mut self.machine, self.last.as_ref())?;
            self.ready.pop_front();
            self.running = true;
        }
    }

    /// What the model traced since this was asked last, at most a thousand texts; for logs.
    pub fn take_traces(&mut self) -> Vec<std::sync::Arc<str>> {
        std::mem::take(&mut self.machine.traces)
    }

    /// After an error: as much of the transaction as there is. Ends the run.
    pub fn abandon(&mut self) -> Transaction {
        self.end.get_or_insert(Step::Error(EngineError::UnexpectedAnswer));
        self.machine.ledger.abandon()
    }

    /// After an error: the exception that nobody handled, if that was it; an `Any`.
    #[must_use]
    pub fn uncaught(&self) -> Option<Term> {
        self.machine.uncaught.clone().map(Term)
    }

    /// The active contracts of the key that was asked for, in the ledger's order: as many as were asked for, or all. Of
    /// keys of LF 1 there is one or none.
    pub fn answer_key(&mut self, contracts: Vec<ContractId>) -> Result<(), EngineError> {
        match self.asked.take() {
            Some(Question::Key { key, limit }) => {
                self.machine.ledger.answer_key(key.hash, contracts, limit);
                Ok(())
            }
            other => {
                self.asked = other;
                Err(EngineError::UnexpectedAnswer)
            }
        }
    }

    /// The contract that was asked for, or that there is none which the submitters may use.
    pub fn answer_contract(&mut self, contract: Option<ContractInstance>) -> Result<(), EngineError> {
        match self.asked.take() {
            Some(Question::Contract(id)) => {
                self.machine.ledger.answer(id, contract);
                Ok(())
            }
            other => {
                self.asked = other;
                Err(EngineError::UnexpectedAnswer)
            }
        }
    }
}
