//! What is demanded of a DAR before anything of it is stored: packages that can be run, are well-formed, and can
//! replace the versions that are there.

use crate::InterpretationError;
use base::{Coded, PackageId, codes};
use engine::Engine;
use lf::{Dar, Package, version_order};
use std::sync::Arc;

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn refused(error: impl Coded) -> InterpretationError {
    InterpretationError { code: error.code(), message: error.to_string() }
}

/// Refuses a DAR that must not be stored. What the engine knows has passed already.
pub(crate) fn check(engine: &Engine, dar: &Dar) -> Result<(), InterpretationError> {
    let packages = || dar.packages.iter().map(|package| &package.package);
    packages().try_for_each(|package| runnable(package))?;
    let mut new = packages().filter(|package| !engine.has_package(package.id()));
    new.try_for_each(|package| {
        lf::check_package(package, packages().map(|other| &**other)).map_err(refused)?;
        if package.is_utility() || !package.language_version().has_upgrades() {
            return Ok(());
        }
        fits_its_neighbours(engine, dar, package)
    })
}

/// Refuses packages that cannot be run.
fn runnable(package: &Package) -> Result<(), InterpretationError> {
    Engine::obstacle(package).map_or(Ok(()), |why| {
        let message = format!("package {} is of LF {}: {why}", package.id(), package.language_version());
        Err(InterpretationError { code: codes::ALLOWED_LANGUAGE_VERSIONS, message })
    })
}

/// The versions next to this one, known already or in the same DAR, must be a valid upgrade to it and of it.
fn fits_its_neighbours(engine: &Engine, dar: &Dar, package: &Arc<Package>) -> Result<(), InterpretationError> {
    let metadata = package.metadata();
    let known = engine.packages_named(&metadata.name).into_iter().filter_map(|(_, id)| engine.package(&id));
    let together = dar.packages.iter().map(|other| other.package.clone());
    let same_name = |other: &Arc<Package>| other.metadata().name == metadata.name && other.id() != package.id();
    let others: Vec<Arc<Package>> =
        known.chain(together).filter(same_name).filter(|other| !other.is_utility()).collect();
    let order = |package: &Package| version_order(&package.metadata().version);
    let own = order(package);
    if let Some(other) = others.iter().find(|other| order(other) == own) {
        let (name, version) = (&metadata.name, &metadata.version);
        let message = format!(
            "{name} {version} is known already with other content, as package {}; give it another version",
            other.id()
        );
        return Err(InterpretationError { code: codes::KNOWN_PACKAGE_VERSION, message });
    }
    let older = others.iter().filter(|other| order(other) < own).max_by_key(|other| order(other));
    let newer = others.iter().filter(|other| order(other) > own).min_by_key(|other| order(other));
    for (present, past) in older.map(|older| (package, older)).into_iter().chain(newer.map(|newer| (newer, package))) {
        let needed = |id: &PackageId| {
            let here = dar.packages.iter().map(|other| &other.package).find(|other| other.id() == id);
            here.cloned().or_else(|| engine.package(id))
        };
        let ids = present.dependencies().union(past.dependencies());
        let needed: Vec<Arc<Package>> = ids.filter_map(needed).collect();
        let find = |id: &PackageId| needed.iter().map(|other| &**other).find(|other| other.id() == id);
        lf::check_upgrade(present, past, find).map_err(refused)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{ErrorCode, PackageName, PackageVersion};
    use std::fs;

    fn dar(version: &str, source: &str) -> Dar {
        let (name, version) = (PackageName::new("test").unwrap(), PackageVersion::new(version).unwrap());
        lf::read_dar(&lf::assemble(source, &name, &version).unwrap()).unwrap()
    }

    fn upload(engine: &Engine, dar: &Dar) -> Result<(), ErrorCode> {
        check(engine, dar).map_err(|error| error.code)?;
        dar.packages.iter().for_each(|package| engine.add_package(package.package.clone()));
        Ok(())
    }

    fn model(fields: &str) -> String {
        format!(
            "module M {{ record @serializable T = {{ {fields} }}; \
             template (this: T) = {{ signatories Nil @Party; observers Nil @Party; }}; }}"
        )
    }

    #[test]
    fn versions_must_fit_the_one_before_and_the_one_after() {
        let engine = Engine::new();
        let text = "a: Text, b: Option Text";
        assert_eq!(upload(&engine, &dar("1.0.0", &model("a: Text"))), Ok(()));
        assert_eq!(upload(&engine, &dar("1.0.0", &model("a: Text"))), Ok(()));
        assert_eq!(upload(&engine, &dar("1.0.0", &model(text))), Err(codes::KNOWN_PACKAGE_VERSION));
        assert_eq!(upload(&engine, &dar("1.10.0", &model("a: Text, b: Text"))), Err(codes::DAR_NOT_VALID_UPGRADE));
        assert_eq!(upload(&engine, &dar("1.10.0", &model(text))), Ok(()));
        // Between the two, by number.
        assert_eq!(
            upload(&engine, &dar("1.9.0", &model(&format!("{text}, c: Option Text")))),
            Err(codes::DAR_NOT_VALID_UPGRADE)
        );
        assert_eq!(upload(&engine, &dar("1.9.0", &model("a: Text"))), Ok(()));
    }

    #[test]
    fn ill_formed_packages_and_other_languages_are_refused() {
        let engine = Engine::new();
        let wrong = dar("1.0.0", "module M { val x : Text = 1; }");
        assert_eq!(upload(&engine, &wrong), Err(codes::DAR_VALIDATION_ERROR));
        let Some(folder) = testkit::test_data() else { return };
        for (file, expected) in [
            ("illformed.f2a405b9.dar", Err(codes::DAR_VALIDATION_ERROR)),
            ("illformed.877cf7e4.dar", Err(codes::DAR_VALIDATION_ERROR)),
            ("data-interoperability.ee7d99b5.dar", Err(codes::ALLOWED_LANGUAGE_VERSIONS)),
            ("test-1.13.370b30cf.dar", Err(codes::ALLOWED_LANGUAGE_VERSIONS)),
            ("model-tests-1.15.0757811f.dar", Ok(())),
            ("2.8.0-Test.c36d3756.dar", Ok(())),
        ] {
            let dar = lf::read_dar(&fs::read(folder.join("dars").join(file)).unwrap()).unwrap();
            assert_eq!(upload(&engine, &dar), expected, "{file}");
        }
    }
}
