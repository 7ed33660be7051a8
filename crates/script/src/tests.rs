//! Scripts that others wrote and compiled.

mod memory;

use crate::Tests;
use std::fs;

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

#[test]
fn splice_amulet() {
    all_pass("splice-amulet-test-0.1.6.5d76be6f.dar", 47);
}

#[test]
fn splice_wallet() {
    all_pass("splice-wallet-test-0.1.6.72f918e9.dar", 20);
}
