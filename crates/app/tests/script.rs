//! `concordat script test`, run as users run it, on the example that needs no compiler.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const EXAMPLE: &str = include_str!("../../../examples/scripts.lf");

fn test(file: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_concordat"));
    let Output { status, stdout, stderr } =
        command.args(["script", "test"]).arg(file).args(arguments).output().expect("the binary runs");
    (status.code(), String::from_utf8(stdout).expect("text"), String::from_utf8(stderr).expect("text"))
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/scripts.lf")
}

/// The example with something changed, in a folder of its own.
fn changed(from: &str, to: &str) -> (tempfile::TempDir, PathBuf) {
    assert!(EXAMPLE.contains(from));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("changed.lf");
    fs::write(&file, EXAMPLE.replace(from, to)).expect("it is written");
    (folder, file)
}

#[test]
fn the_example_passes() {
    let (code, out, err) = test(&example(), &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let verdicts: Vec<_> = out.lines().map(|line| line.split(" (").next().unwrap()).collect();
    assert_eq!(verdicts[..4], ["ok   Test:exceptions", "ok   Test:giving", "ok   Test:time", "ok   Test:users"]);
    assert!(verdicts[4].starts_with("4 passed, 0 failed"), "{out}");
}

#[test]
fn what_fails_is_shown_with_its_place_and_transaction() {
    let (_folder, file) =
        changed("ErrorBehaviour:MustFail) alice (Test:give", "ErrorBehaviour:MustSucceed) alice (Test:give");
    let (code, out, _) = test(&file, &[]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("FAIL Test:giving"), "{out}");
    assert!(
        out.contains("requires authorizers [alice, bob], but only [alice] were given\n     at Test:5:1\n"),
        "{out}"
    );
    let thrown = "UNHANDLED_EXCEPTION/Thing:Nameless: Give of something nameless\n     at Test:4:1\n     the transaction until then:";
    assert!(out.contains(thrown), "{out}");
    assert!(out.contains("\n     consume Thing:Thing with Give by alice, not ended\n"), "{out}");
    assert!(out.contains("\n2 passed, 2 failed"), "{out}");
}

#[test]
fn a_submission_that_should_have_failed_is_a_failure() {
    let (_folder, file) = changed(
        "ErrorBehaviour:MustSucceed) alice (Test:create alice \"bike\")",
        "ErrorBehaviour:MustFail) alice (Test:create alice \"bike\")",
    );
    let (code, out, _) = test(&file, &["--filter", "giving"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("the submission had to fail, but it succeeded\n     at Test:4:1\n"), "{out}");
    assert!(out.contains("\n     create Thing:Thing\n"), "{out}");
    assert!(out.ends_with(" s\n") && out.contains("\n0 passed, 1 failed"), "{out}");
}

#[test]
fn programs_read_json_and_xml() {
    let (_folder, file) = changed("\"bike\")\n", "\"car\")\n");
    let (code, out, _) = test(&file, &["-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["passed"], &report["failed"]), (Some(1), &3.into(), &1.into()), "{out}");
    let giving = &report["scripts"][1];
    assert_eq!((&giving["name"], &giving["ok"]), (&"Test:giving".into(), &false.into()));
    assert_eq!(giving["error"], "the model stopped with an error: alice owns a bike\nafter Test:7:1");
    assert_eq!((&report["scripts"][0]["error"], report["scripts"][0]["ms"].is_u64()), (&serde_json::Value::Null, true));
    let (code, out, _) = test(&file, &["-o", "junit"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("tests=\"4\" failures=\"1\""), "{out}");
    assert!(out.contains("<testcase classname=\"Test\" name=\"giving\""), "{out}");
    assert!(out.contains("<failure message=\"the model stopped with an error: alice owns a bike\">"), "{out}");
    assert!(out.ends_with("</testsuite>\n"), "{out}");
}

#[test]
fn a_file_without_scripts_fails() {
    let (code, _, err) = test(&example(), &["--filter", "nothing like this"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("none of the 4 scripts"), "{err}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("iou.dar");
    fs::write(&file, lf::models::iou()).unwrap();
    let (code, _, err) = test(&file, &[]);
    assert_eq!((code, err.contains("has no scripts in its main package")), (Some(1), true), "{err}");
    fs::write(&file, b"no DAR").unwrap();
    let (code, _, err) = test(&file, &[]);
    assert_eq!((code, err.contains("has no scripts that can be run")), (Some(1), true), "{err}");
}
