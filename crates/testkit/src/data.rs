//! Data that others made and that is no part of the project.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The folder with shared test data: `CONCORDAT_TEST_DATA`, or `shared/data` beside the project. `None`, with the reason
/// printed, where it is missing; in CI that is a failure.
///
/// # Panics
/// If the data is missing and `CI` is set.
#[must_use]
pub fn test_data() -> Option<PathBuf> {
    let start = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = start.ancestors().map(|dir| dir.join("shared/data")).find(|dir| dir.is_dir());
    let found = env::var_os("CONCORDAT_TEST_DATA").map(PathBuf::from).or(beside);
    assert!(found.is_some() || env::var_os("CI").is_none(), "test data is missing; set CONCORDAT_TEST_DATA");
    if found.is_none() {
        #[expect(clippy::print_stdout, reason = "the test's output says why nothing was tested")]
        {
            println!("skipped: test data is missing; set CONCORDAT_TEST_DATA");
        }
    }
    found
}
