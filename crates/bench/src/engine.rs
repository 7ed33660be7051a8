//! The engine beside plain Rust.

use crate::{
    archive,
    resolve::{self, World},
    rivals,
};
use base::{
    DottedName, Fingerprint, Hash, Identifier, Name, Namespace, PackageId, ParticipantId, PartyId, Timestamp, Uid,
};
use engine::{Command, Engine, EngineError, PackageRef, Progress, Run, Step, Submission, Term, TypeRef};
use lf::LfError;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use transaction::{Exercise, Node, Value};

/// Operations of the machine between two looks at it.
const BUDGET: u64 = 1_000_000;

/// A benchmark could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    #[error(transparent)]
    Lf(#[from] LfError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("{what}: the engine computes {ours}, plain Rust {theirs}")]
    Different { what: &'static str, ours: i64, theirs: i64 },
    #[error("{0} needs more than the benchmark gives it")]
    Stuck(&'static str),
    #[error("plain Rust reads packages of LF 2.1 only; name a DAR of that")]
    OtherVersion,
    #[error("the benchmark's own name {0:?} is not one")]
    Name(&'static str),
}

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) rounds: usize,
    pub(crate) nfib: i64,
    pub(crate) list: i64,
    pub(crate) transfers: u32,
}

/// The median times of one benchmark.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    /// What one unit of work is.
    pub(crate) unit: &'static str,
    /// Units done in each of the times.
    pub(crate) units: f64,
    pub(crate) ours: Duration,
    pub(crate) plain: Duration,
}

impl Figure {
    /// How many times as long as plain Rust the engine takes.
    pub(crate) fn ratio(&self) -> f64 {
        self.ours.as_secs_f64() / self.plain.as_secs_f64()
    }

    pub(crate) fn per_second(&self, time: Duration) -> f64 {
        self.units / time.as_secs_f64()
    }
}

struct Bench {
    engine: Engine,
    package: PackageId,
    sizes: Sizes,
    issuer: PartyId,
    owner: PartyId,
    participant: ParticipantId,
}

/// All benchmarks; those that need a DAR only if there is one.
pub(crate) fn run(sizes: Sizes, dar: Option<&[u8]>, fibonacci: Option<&[u8]>) -> Result<Vec<Figure>, BenchError> {
    let bench = Bench::new(sizes)?;
    let mut figures = vec![bench.nfib()?, bench.sort()?, bench.transfers()?];
    figures.extend(fibonacci.map(|bytes| bench.fibonacci(bytes)).transpose()?);
    figures.extend(dar.map(|bytes| reading(sizes.rounds, bytes)).transpose()?);
    Ok(figures)
}

fn median<T>(rounds: usize, mut work: impl FnMut() -> Result<T, BenchError>) -> Result<(T, Duration), BenchError> {
    median_after(rounds, || (), |()| work())
}

/// The same for work that needs something made for it each time, which does not count.
fn median_after<I, T>(
    rounds: usize,
    prepare: impl Fn() -> I,
    mut work: impl FnMut(I) -> Result<T, BenchError>,
) -> Result<(T, Duration), BenchError> {
    let mut times = Vec::with_capacity(rounds);
    let mut result = work(prepare())?; // warms caches, and is not counted
    for _ in 0..rounds.max(1) {
        let prepared = prepare();
        let begun = Instant::now();
        result = work(prepared)?;
        times.push(begun.elapsed());
    }
    times.sort();
    Ok((result, times[times.len() / 2]))
}

impl Bench {
    fn new(sizes: Sizes) -> Result<Self, BenchError> {
        let (name, version) = (parsed("bench")?, parsed("1.0.0")?);
        let payload = lf::assemble_payload(include_str!("../models/bench.lf"), &name, &version)?;
        let package = lf::read_package(&payload)?;
        let (engine, id) = (Engine::new(), package.id().clone());
        engine.add_package(Arc::new(package));
        let namespace = Namespace(Fingerprint::of(&Hash([7; 32])));
        let participant = ParticipantId(Uid::new("bench", namespace).map_err(|_| BenchError::Name("bench"))?);
        let (issuer, owner) = (parsed("issuer")?, parsed("owner")?);
        Ok(Self { engine, package: id, sizes, issuer, owner, participant })
    }

    fn function(&self, name: &'static str) -> Result<Term, BenchError> {
        let (module, entity): (DottedName, DottedName) = (parsed("B")?, parsed(name)?);
        finish(name, self.engine.evaluate(&Identifier { package: self.package.clone(), module, entity })?)
    }

    /// A function of a number to a number, beside its twin.
    fn pure(
        &self,
        name: &'static str,
        argument: i64,
        plain: fn(i64) -> i64,
    ) -> Result<(i64, Duration, Duration), BenchError> {
        let function = self.function(name)?;
        let ours = || {
            let result = finish(name, self.engine.apply(&function, vec![Term::int64(argument)]))?;
            result.as_int64().ok_or(BenchError::Stuck(name))
        };
        let (ours, time) = median(self.sizes.rounds, ours)?;
        let (theirs, plain) = median(self.sizes.rounds, || Ok(plain(argument)))?;
        if ours == theirs { Ok((ours, time, plain)) } else { Err(BenchError::Different { what: name, ours, theirs }) }
    }

    fn nfib(&self) -> Result<Figure, BenchError> {
        let (calls, ours, plain) = self.pure("nfib", self.sizes.nfib, rivals::nfib)?;
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        Ok(Figure { name: "nfib", unit: "calls", units: calls as f64, ours, plain })
    }

    fn sort(&self) -> Result<Figure, BenchError> {
        let (_, ours, plain) = self.pure("sorting", self.sizes.list, rivals::sorting)?;
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        Ok(Figure { name: "sort a list", unit: "numbers", units: self.sizes.list as f64, ours, plain })
    }

    fn transfers(&self) -> Result<Figure, BenchError> {
        let (nodes, ours) = median(self.sizes.rounds, || {
            let outcome = interpret(self.engine.submit(self.passing()?)?)?;
            Ok(outcome.transaction.nodes().count())
        })?;
        let rival = || Ok(rivals::pass(self.sizes.transfers, &self.issuer, &self.owner, &self.participant));
        let (made, plain) = median(self.sizes.rounds, rival)?;
        // Exercise of the bank and creation of bank and Iou; then an exercise and a creation for each transfer.
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let (ours_made, theirs) = (count(nodes), count(2 * made + 1));
        if ours_made != theirs {
            return Err(BenchError::Different { what: "transfers", ours: ours_made, theirs });
        }
        Ok(Figure { name: "Iou transfers", unit: "transfers", units: self.sizes.transfers.into(), ours, plain })
    }

    fn passing(&self) -> Result<Submission, BenchError> {
        let parties = [&self.issuer, &self.owner].map(|party| Value::Party(party.clone()));
        let argument = record([Value::Int64(self.sizes.transfers.into())]);
        self.create_and_exercise(&self.package, ("B", "Bank"), record(parties), "Pass", argument)
    }

    /// The choice of the field's benchmark for processors, from a DAR that has it.
    fn fibonacci(&self, bytes: &[u8]) -> Result<Figure, BenchError> {
        const WHAT: &str = "InefficientFibonacci";
        let (dar, engine) = (lf::read_dar(bytes)?, Engine::new());
        dar.packages.iter().for_each(|package| engine.add_package(package.package.clone()));
        let (ours, time) = median(self.sizes.rounds, || {
            let (created, argument) =
                (record([Value::Party(self.owner.clone())]), record([Value::Int64(self.sizes.nfib)]));
            let choice = "InefficientFibonacci_NcCompute";
            let run =
                engine.submit(self.create_and_exercise(&dar.main, ("Bench", WHAT), created, choice, argument)?)?;
            let outcome = interpret(run)?;
            let result = outcome.transaction.nodes().find_map(|(_, node)| match node {
                Node::Exercise(Exercise { result: Some(Value::Int64(number)), .. }) => Some(*number),
                _ => None,
            });
            result.ok_or(BenchError::Stuck(WHAT))
        })?;
        let (theirs, plain) = median(self.sizes.rounds, || Ok(rivals::fibonacci(self.sizes.nfib)))?;
        if ours != theirs {
            return Err(BenchError::Different { what: WHAT, ours, theirs });
        }
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        Ok(Figure { name: WHAT, unit: "calls", units: rivals::nfib(self.sizes.nfib) as f64, ours: time, plain })
    }

    fn create_and_exercise(
        &self,
        package: &PackageId,
        (module, entity): (&'static str, &'static str),
        create_argument: Value,
        choice: &'static str,
        choice_argument: Value,
    ) -> Result<Submission, BenchError> {
        let package = PackageRef::Id(package.clone());
        let template = TypeRef { package, module: parsed(module)?, entity: parsed(entity)? };
        let choice = parsed::<Name>(choice)?;
        Ok(Submission {
            act_as: [self.issuer.clone(), self.owner.clone()].into(),
            commands: vec![Command::CreateAndExercise { template, create_argument, choice, choice_argument }],
            preferences: BTreeMap::new(),
            ledger_time: Timestamp::EPOCH,
            preparation_time: Timestamp::EPOCH,
            submission_seed: Hash([1; 32]),
            participant: self.participant.clone(),
        })
    }
}

/// Reads and lowers the largest package of a DAR, beside the same in plain Rust. What it refers to is there already.
fn reading(rounds: usize, bytes: &[u8]) -> Result<Figure, BenchError> {
    const WHAT: &str = "read and lower a package";
    let dar = lf::read_dar(bytes)?;
    let largest = dar.packages.iter().max_by_key(|package| package.payload.len()).ok_or(BenchError::Stuck(WHAT))?;
    let others: Vec<_> = dar.packages.iter().filter(|package| package.package.id() != largest.package.id()).collect();
    let with_others = || {
        let engine = Engine::new();
        others.iter().for_each(|package| engine.add_package(package.package.clone()));
        engine
    };
    let (ours, time) = median_after(rounds, with_others, |engine| {
        let package = lf::read_package(&largest.payload)?;
        let (id, exprs) = (package.id().clone(), package.arena().exprs.len());
        engine.add_package(Arc::new(package));
        Ok((exprs, engine.compile(&id).map_or(0, |compiled| compiled.matches)))
    })?;
    let read = |payload: &[u8]| archive::read(payload).ok_or(BenchError::OtherVersion);
    let known: Vec<_> =
        others.iter().map(|p| Ok((p.package.id().as_str(), read(&p.payload)?))).collect::<Result<_, BenchError>>()?;
    let mut world = World::default();
    known.iter().try_for_each(|(id, package)| world.add(id, package)).ok_or(BenchError::OtherVersion)?;
    let (theirs, plain) = median_after(
        rounds,
        || world.clone(),
        |world| {
            let id = crypto::sha256(&largest.payload).to_hex();
            let package = read(&largest.payload)?;
            // Of this package only as long as this lives.
            let mut world: World<'_> = world;
            let resolved = world.add(&id, &package).and_then(|()| resolve::resolve(&world, &id, &package));
            let (_, matches) = resolved.ok_or(BenchError::OtherVersion)?;
            Ok((package.exprs, matches))
        },
    )?;
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    for (ours, theirs) in [(ours.0, theirs.0), (ours.1, theirs.1)] {
        if ours != theirs {
            return Err(BenchError::Different { what: WHAT, ours: count(ours), theirs: count(theirs) });
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    Ok(Figure { name: WHAT, unit: "bytes", units: largest.payload.len() as f64, ours: time, plain })
}

fn record<const N: usize>(fields: [Value; N]) -> Value {
    Value::record(fields)
}

fn parsed<T: std::str::FromStr>(text: &'static str) -> Result<T, BenchError> {
    text.parse().map_err(|_| BenchError::Name(text))
}

fn finish(name: &'static str, mut evaluation: engine::Evaluation) -> Result<Term, BenchError> {
    loop {
        match evaluation.step(BUDGET) {
            Progress::Done(term) => return Ok(term),
            Progress::Interrupted => {}
            Progress::Error(error) => return Err(error.into()),
            Progress::Thrown(_) => return Err(BenchError::Stuck(name)),
        }
    }
}

fn interpret(mut run: Run) -> Result<engine::Outcome, BenchError> {
    loop {
        match run.step(BUDGET) {
            Step::Done(outcome) => return Ok(*outcome),
            Step::Interrupted => {}
            Step::Error(error) => return Err(error.into()),
            Step::Need(_) => return Err(BenchError::Stuck("a submission")),
        }
    }
}
