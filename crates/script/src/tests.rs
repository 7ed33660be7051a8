//! Scripts that others wrote and compiled, and some written here.

mod memory;

use crate::{Failure, MemoryLedger, Tests, Visibility};
use std::{collections::BTreeMap, fs};

/// How the scripts of LF text end.
fn of_text(source: &str) -> BTreeMap<String, Option<Failure>> {
    let dar = lf::assemble(source, &"scripts".parse().unwrap(), &"1.0.0".parse().unwrap()).unwrap();
    lf::check_dar(&lf::read_dar(&dar).unwrap()).unwrap();
    let tests = Tests::of_dar(&dar).unwrap();
    tests.scripts().iter().map(|script| (script.name(), tests.run(script).failure)).collect()
}

#[test]
fn a_script_that_never_ends_is_ended() {
    let source = include_str!("tests/constructors.lf").replace(
        "module Test {",
        "module Test {
           val spin : Int64 -> Daml.Script:Script Unit = \\ (n: Int64) -> Test:spin (ADD_INT64 n 1);
           val endless : Daml.Script:Script Unit = Test:spin 0;
           val asking : Unit -> ||Daml.Script:Step|| =
             \\ (u: Unit) -> Daml.Script:party \"\" (\\ (p: Party) -> Test:asking ());
           val curious : Daml.Script:Script Unit = Daml.Script:script Test:asking;",
    );
    let dar = lf::assemble(&source, &"scripts".parse().unwrap(), &"1.0.0".parse().unwrap()).unwrap();
    let tests = Tests::of_dar(&dar).unwrap();
    for (name, operations) in [("Test:endless", 1), ("Test:curious", 100_000)] {
        let script = tests.scripts().iter().find(|script| script.name() == name).unwrap();
        let mut ledger = MemoryLedger::new(tests.engine(), Visibility::Witnesses);
        let failure = tests.run_within(script, &mut ledger, operations).failure.unwrap();
        assert!(failure.message.contains("too many operations"), "{failure}");
    }
}

#[test]
fn the_newer_library_is_run() {
    let example = include_str!("../../../examples/scripts.lf");
    let ends = of_text(&format!("{example}{}", include_str!("tests/questions.lf")));
    for passes in ["commands", "disclosed", "errors", "others", "signs", "statuses"] {
        assert_eq!(ends[&format!("More:{passes}")], None, "{passes}");
    }
    let failure = |name: &str| ends[name].clone().unwrap();
    assert_eq!(failure("More:unhandled").to_string(), "TOO_BAD: why not\nat Test:8:1");
    assert_eq!(failure("More:throwing").message, "UNHANDLED_EXCEPTION/Thing:Nameless: Nothing of something nameless");
    assert!(failure("More:asksNothing").message.contains("WhatIsThis"));
}

#[test]
fn contracts_that_share_a_key_are_queried() {
    let example = include_str!("../../../examples/scripts.lf");
    let ends = of_text(&format!("language 2.3;\n{example}{}", include_str!("tests/keyed.lf")));
    assert_eq!(ends["Keyed:shared"], None);
}

#[test]
fn the_older_library_is_run() {
    let ends = of_text(include_str!("tests/constructors.lf"));
    for passes in ["Test:results", "Test:caught", "Test:outer", "Test:fails"] {
        assert_eq!(ends[passes], None, "{passes}");
    }
    let message = |name: &str| ends[name].as_ref().unwrap().message.clone();
    assert_eq!(message("Test:uncaught"), "UNHANDLED_EXCEPTION/Model:Problem: two");
    assert_eq!(message("Test:succeeds"), "the submission had to fail, but it succeeded");
    assert_eq!(ends.len(), 6);
}

/// Its last versions say how to go on after what was caught by a function of its own.
#[test]
fn the_older_library_goes_on_after_exceptions() {
    let going_on = |how: &str| {
        let source = include_str!("tests/constructors.lf");
        let declared = "record CatchPayload a = {";
        let source = source.replace(declared, &format!("{declared} continue: a -> a,"));
        let made = |ty: &str| format!("CatchPayload @(||Daml.Script:{ty}||) {{");
        let continued = |ty: &str, how: &str| {
            let made = made(ty);
            format!("{made} continue = \\ (s: ||Daml.Script:{ty}||) -> {how},")
        };
        let source = source.replace(&made("Of a"), &continued("Of a", how));
        let source = source.replace(&made("Step"), &continued("Step", "s"));
        of_text(&source)["Test:caught"].clone()
    };
    assert_eq!(going_on("s"), None);
    let failure = going_on("ERROR @(||Daml.Script:Of a||) \"it goes on\"").unwrap();
    assert_eq!(failure.message, "the model stopped with an error: it goes on");
}

/// Runs all scripts of a DAR; they check themselves.
fn all_pass(file: &str, count: usize) {
    let Some(data) = testkit::test_data() else { return };
    let tests = Tests::of_dar(&fs::read(data.join("dars").join(file)).unwrap()).unwrap();
    let mut failures = String::new();
    for script in tests.scripts() {
        if let Some(failure) = tests.run(script).failure {
            failures += &format!("{}: {failure:?}\n", script.name());
        }
    }
    assert_eq!(failures, "");
    assert_eq!(tests.scripts().len(), count);
}

#[test]
fn canton_examples() {
    all_pass("CantonExamples.85d125ef.dar", 11);
    all_pass("CantonExamples.38731509.dar", 11);
}

#[test]
fn exercise_app() {
    all_pass("my-exercise-app.bf81029c.dar", 1);
}

/// Of SDK 2, whose scripts ask by constructors, and whose models have keys and scales.
#[test]
fn of_the_first_major_version() {
    all_pass("dummy.9c5a5a83.dar", 1);
    all_pass("lib-with-script-0.0.1-sdk-2.2.0-lf-1.14.06396d74.dar", 1);
    all_pass("2.4.2-quickstart-finance-0.0.1.8c6ec90f.dar", 3);
}

#[test]
fn splice_amulet() {
    all_pass("splice-amulet-test-0.1.6.5d76be6f.dar", 47);
}

#[test]
fn splice_wallet() {
    all_pass("splice-wallet-test-0.1.6.72f918e9.dar", 20);
}
