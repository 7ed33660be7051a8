//! The door: packages in, runs out.

use crate::{EngineError, Replay, Run, Submission, command::Work, ledger::Seed, registry::Registry};
use base::{PackageId, PackageName, PackageVersion};
use lf::{LanguageVersion, Package, version_order};
use std::sync::{Arc, PoisonError, RwLock};
use transaction::seed;

/// Packages with their code. Cheap to clone: all clones are one and the same.
#[derive(Clone, Default, Debug)]
pub struct Engine(Arc<RwLock<Arc<Registry>>>);

/// How much code a package has.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Compiled {
    /// Values, choices, and what templates, interfaces and exceptions compute.
    pub definitions: usize,
    /// Choices between patterns in them.
    pub matches: usize,
    /// Definitions of forms that are not run (scenarios of LF 1, which Daml Script has replaced), or of packages that are not
    /// there.
    pub left: usize,
}

impl Engine {
    /// An engine without packages.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why a package cannot be run, if so.
    #[must_use]
    pub fn obstacle(package: &Package) -> Option<&'static str> {
        use LanguageVersion as V;
        let version = package.language_version();
        if version.is_dev() {
            return Some("LF 1.14, 1.15, 1.17 and 2.1 to 2.3 are run, compile it for one of them");
        }
        // Older packages are libraries of newer ones.
        let too_old = version < V::V1_14 && package.all_templates().next().is_some();
        too_old.then_some("templates are run from LF 1.14 on, compile it for that or newer")
    }

    /// Makes a package known; nothing happens if it is. What it refers to may come later.
    pub fn add_package(&self, package: Arc<Package>) {
        let mut registry = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if registry.get(package.id()).is_none() {
            *registry = Arc::new(registry.with(package));
        }
    }

    /// Lowers all definitions of a package, so that no command has to wait for it; without this each is lowered when it is
    /// first needed. What cannot be lowered is left until somebody needs it, who then gets the error. `None` if the package
    /// is not known.
    #[must_use]
    pub fn compile(&self, id: &PackageId) -> Option<Compiled> {
        let registry = self.registry();
        let loaded = registry.get(id)?;
        let mut compiled = Compiled::default();
        for definition in loaded.globals.iter().filter_map(|global| loaded.global(global.key)) {
            match registry.code(definition) {
                Ok(code) => {
                    compiled.definitions += 1;
                    compiled.matches += code.tables.len();
                }
                Err(_) => compiled.left += 1,
            }
        }
        Some(compiled)
    }

    /// Whether a package is known.
    #[must_use]
    pub fn has_package(&self, id: &PackageId) -> bool {
        self.registry().get(id).is_some()
    }

    /// A package, if it is known.
    #[must_use]
    pub fn package(&self, id: &PackageId) -> Option<Arc<Package>> {
        self.registry().get(id).map(|loaded| loaded.package.clone())
    }

    /// All packages that are known, in the order in which they came.
    #[must_use]
    pub fn all_packages(&self) -> Vec<Arc<Package>> {
        self.registry().all().map(|loaded| loaded.package.clone()).collect()
    }

    /// All versions of a package that are known, the lowest first.
    #[must_use]
    pub fn packages_named(&self, name: &PackageName) -> Vec<(PackageVersion, PackageId)> {
        let registry = self.registry();
        let all = registry.all().map(|loaded| &loaded.package).filter(|package| package.metadata().name == *name);
        let mut versions: Vec<_> = all.map(|p| (p.metadata().version.clone(), p.id().clone())).collect();
        versions.sort_by_cached_key(|(version, id)| (version_order(version), id.clone()));
        versions
    }

    /// Begins to interpret commands.
    pub fn submit(&self, input: Submission) -> Result<Run, EngineError> {
        if input.act_as.is_empty() || input.commands.is_empty() {
            return Err(EngineError::Preprocessing("it needs at least one command and one acting party".into()));
        }
        let seed = seed::transaction_seed(&input.submission_seed, &input.participant, input.preparation_time);
        let preferences = Arc::new(input.preferences);
        let work = input.commands.into_iter().map(|command| Work::Command(command, preferences.clone())).collect();
        let times = (input.ledger_time, input.preparation_time);
        Ok(Run::new(self, Seed::Parent(seed), input.act_as, times, work))
    }

    /// Begins to interpret an action again. With the seed of its node it gives the same nodes, byte by byte.
    pub fn reinterpret(&self, input: Replay) -> Result<Run, EngineError> {
        let times = (input.ledger_time, input.preparation_time);
        Ok(Run::new(self, Seed::Root(input.seed), input.authorizers, times, [Work::Root(input.root)].into()))
    }
}
