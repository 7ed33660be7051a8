//! All scripts of a DAR, and how each ended.

use crate::{
    MemoryLedger, RunError, Script, ScriptLedger, Visibility,
    find::scripts,
    library::{Generation, Library},
    runner::{Failed, Runner},
};
use base::PackageId;
use engine::Engine;
use std::{collections::BTreeMap, fmt};

/// Operations of the machine for one script: minutes of work, so that none runs forever.
const MAX_OPERATIONS: u64 = 20_000_000_000;

/// The scripts of a DAR, with all that it takes to run them.
#[derive(Debug)]
pub struct Tests {
    engine: Engine,
    scripts: Vec<Script>,
    libraries: BTreeMap<PackageId, Library>,
}

/// How a script ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What went wrong, if something did.
    pub failure: Option<Failure>,
    /// What the script printed.
    pub traces: Vec<String>,
}

/// What went wrong in a script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The reason.
    pub message: String,
    /// Where in the sources the script last asked the ledger for something: the call stack, the innermost place first.
    pub locations: Vec<String>,
    /// Whether it failed there; otherwise it failed in what it evaluated afterwards.
    pub there: bool,
    /// As much of the transaction as there is, one line a node.
    pub transaction: Option<String>,
}

/// The reason, where it was, and the transaction, on as many lines as it takes.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (n, location) in self.locations.iter().enumerate() {
            let how = match (n, self.there) {
                (0, true) => "at",
                (0, false) => "after",
                _ => "called at",
            };
            write!(f, "\n{how} {location}")?;
        }
        match &self.transaction {
            Some(transaction) => write!(f, "\nthe transaction until then:\n{}", transaction.trim_end()),
            None => Ok(()),
        }
    }
}

impl Tests {
    /// Reads a DAR.
    pub fn of_dar(bytes: &[u8]) -> Result<Self, RunError> {
        let dar = lf::read_dar(bytes)?;
        let engine = Engine::new();
        for package in &dar.packages {
            engine.add_package(package.package.clone());
        }
        let scripts = scripts(dar.main());
        let mut libraries = BTreeMap::new();
        for Script { library, generation, .. } in &scripts {
            if !libraries.contains_key(library) {
                libraries.insert(library.clone(), Library::new(&engine, library, *generation)?);
            }
        }
        Ok(Self { engine, scripts, libraries })
    }

    /// The packages of the DAR.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The scripts of the main package, by name.
    #[must_use]
    pub fn scripts(&self) -> &[Script] {
        &self.scripts
    }

    /// Runs a script against an empty ledger in memory.
    #[must_use]
    pub fn run(&self, script: &Script) -> Outcome {
        let visibility = match script.generation {
            Generation::Constructors => Visibility::Witnesses,
            Generation::Questions => Visibility::Stakeholders,
        };
        self.run_against(script, &mut MemoryLedger::new(&self.engine, visibility))
    }

    /// Runs a script against any ledger.
    pub fn run_against<L: ScriptLedger>(&self, script: &Script, ledger: &mut L) -> Outcome {
        self.run_within(script, ledger, MAX_OPERATIONS)
    }

    /// The same, in so many operations of the machine (or up to a million more), submissions not counted.
    pub(crate) fn run_within<L: ScriptLedger>(&self, script: &Script, ledger: &mut L, operations: u64) -> Outcome {
        let Some(library) = self.libraries.get(&script.library) else {
            let message = format!("{} is no script of this DAR", script.name());
            let failure = Failure { message, locations: Vec::new(), there: false, transaction: None };
            return Outcome { failure: Some(failure), traces: Vec::new() };
        };
        let mut runner = Runner::new(&self.engine, library, ledger, operations);
        let result = runner.run(&script.id);
        let traces = runner.take_traces();
        let failure = result.err().map(|failed| {
            let Failed { message, locations, asking: there, transaction } = failed;
            Failure { message, locations, there, transaction }
        });
        Outcome { failure, traces }
    }
}
