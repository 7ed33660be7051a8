//! Everything that others compiled can be lowered, and evaluated without a sign that types were confused.

use super::{pure::evaluate_within, *};
use crate::{lower::lower, run::Stop};

/// The largest packages of each language version in the collection.
const LARGE: [&str; 6] = [
    "CantonExamples.38731509.dar",
    "canton-builtin-admin-workflow-ping.daa9546f.dar",
    "splice-wallet-test",
    "semantic-tests-1.15",
    "2.4.2-quickstart-finance",
    "AdminWorkflows.bea96144.dar",
];

/// The file whose name begins so.
fn file(begin: &str) -> Option<String> {
    let mut names: Vec<_> = fs::read_dir(dars()?)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(begin))
        .collect();
    names.sort();
    names.pop()
}

#[test]
fn every_definition_is_lowered_and_every_value_evaluated() {
    let mut lowered = 0;
    for begin in LARGE {
        let Some(file) = file(begin) else { continue };
        let Some((engine, _)) = load(&file) else { return };
        let registry = engine.registry();
        for loaded in registry.all() {
            let before = lowered;
            for (number, global) in loaded.globals.iter().enumerate() {
                match lower(&registry, loaded, global.key) {
                    // Scenarios of LF 1.
                    Err(Stop::Error(error)) if matches!(*error, EngineError::Unsupported(_)) => continue,
                    code => drop(code.unwrap()),
                }
                lowered += 1;
                if matches!(global.key, crate::registry::Key::Value(..)) {
                    let definition = u32::try_from(number).unwrap();
                    let global = crate::code::GlobalRef { package: loaded.number, definition };
                    let end = evaluate_within(&engine, global, vec![], 20_000).0;
                    assert!(!matches!(end, Err(EngineError::IllTyped(_))), "{end:?}");
                }
            }
            let compiled = engine.compile(loaded.package.id()).unwrap();
            let (all, done) = (loaded.globals.len(), lowered - before);
            assert_eq!((compiled.definitions, compiled.left), (done, all - done));
        }
    }
    println!("{lowered} definitions");
    assert!(dars().is_none() || lowered > 10_000, "{lowered}");
}
