//! Text, package, bytes and back.

use crate::{LfError, assemble_payload, read_dar, read_package, tests::dars};
use base::{PackageName, PackageVersion};
use std::fs;

fn assembled(source: &str) -> Result<String, LfError> {
    let name = PackageName::new("zoo").unwrap();
    let payload = assemble_payload(source, &name, &PackageVersion::new("1.0.0").unwrap())?;
    Ok(shown(&read_package(&payload).unwrap()))
}

/// What a package says, without what it says about itself.
fn shown(package: &crate::Package) -> String {
    package.to_string().split_once('\n').unwrap().1.to_owned()
}

/// Every form of the language.
const ZOO: &str = include_str!("zoo.lf");

#[test]
fn every_form_survives_its_bytes() {
    let once = assembled(ZOO).unwrap();
    assert_eq!(assembled(&once).unwrap(), once);
}

/// In versions that intern all, applications and abstractions are single: the text of the package says so, and from then
/// on nothing changes.
#[test]
fn every_form_survives_the_bytes_of_newer_versions() {
    for (language, source) in [("2.2", ZOO.to_owned()), ("2.3", format!("{ZOO}\n{KEYED}"))] {
        // What ended with LF 2.1.
        let source = source.replace("(unsafe_from_interface @Zoo:I @Zoo:T c i)", "(None @Zoo:T)");
        let once = assembled(&format!("language {language};\n{source}")).unwrap();
        let again = assembled(&format!("language {language};\n{once}")).unwrap();
        assert_eq!(again, once);
    }
    let error = assembled(KEYED).unwrap_err();
    assert!(error.to_string().contains("LF 2.1 cannot state"), "{error}");
    let error = assembled("language 2.7;").unwrap_err();
    assert_eq!(
        error,
        LfError::Text {
            line: 1,
            column: 10,
            what: "expected one of the versions 2.1, 2.2 and 2.3, found Numeric(2.7)".into()
        }
    );
}

/// What keys of LF 2.3 add.
const KEYED: &str = r#"
module Keyed {
    record @serializable T = { owner: Party, n: Int64 };
    template (this: T) = {
        signatories Cons @Party [Keyed:T {owner} this] (Nil @Party);
        observers Nil @Party;
        choice @nonConsuming Look (self) (n: Int64): Int64,
            controllers Cons @Party [Keyed:T {owner} this] (Nil @Party)
            to ubind
                one: 'tuples':DA.Types:Tuple2 (ContractId Keyed:T) Keyed:T <- fetch_by_key @Keyed:T (Keyed:T {owner} this);
                all: List ('tuples':DA.Types:Tuple2 (ContractId Keyed:T) Keyed:T) <-
                    query_n_by_key @Keyed:T n (Keyed:T {owner} this)
            in exercise_by_key @Keyed:T Look (Keyed:T {owner} this) n;
        key @Party (Keyed:T {owner} this) (\(key: Party) -> Cons @Party [key] (Nil @Party));
    };
}
"#;

#[test]
fn packages_of_compilers_survive_text_and_bytes() {
    let Some(folder) = dars() else { return };
    for file in [
        "test-2.1.6ae9a07f.dar",
        "CantonExamples.38731509.dar",
        "splice-test-token-v1-1.0.0.8aea10a1.dar",
        "canton-builtin-admin-workflow-ping.daa9546f.dar",
    ] {
        for package in read_dar(&fs::read(folder.join(file)).unwrap()).unwrap().packages {
            let text = shown(&package.package);
            match assembled(&format!("language {};\n{text}", package.package.language_version())) {
                Ok(again) => assert!(again == text, "{file}: {}", package.package.id()),
                Err(error) => panic!("{file}, {}: {error}", package.package.id()),
            }
        }
    }
}

#[test]
fn mistakes_are_where_they_are_said_to_be() {
    for (source, line, column, what) in [
        ("module M {\n  val x : Int64 = ;\n}", 2, 19, "expected an expression, found ;"),
        ("module M {\n  record R = { a: Int64 }\n}", 3, 1, "expected ;, found }"),
        ("module M { val x : Numeric 38 = 1; }", 1, 28, "type-level numbers are those from 0 to 37"),
        ("module M { val x : Int64 = 9223372036854775808; }", 1, 28, "no number, date or time that exists"),
        ("module M { val x : Date = 2021-02-29; }", 1, 27, "no number, date or time that exists"),
        ("module M { val x : Text = \"a\n; }", 1, 27, "a text has no end, or an unknown escape"),
        ("module M {\n\n  /* ä */ # }", 3, 11, "unexpected '#'"),
        ("modul M {}", 1, 1, "expected module, found modul"),
    ] {
        let expected = LfError::Text { line, column, what: what.into() };
        assert_eq!(assembled(source), Err(expected), "{source}");
    }
    let twice = "module M { enum E = A; record E = {}; }";
    assert!(matches!(assembled(twice), Err(LfError::Invalid { .. })));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth| format!("module M {{ val x : Int64 = {}1{}; }}", "(".repeat(depth), ")".repeat(depth));
    assert!(assembled(&nested(120)).is_ok());
    assert!(matches!(assembled(&nested(100_000)), Err(LfError::Text { line: 1, .. })));
}

proptest::proptest! {
    /// Whatever the text, the answer is a package or an error.
    #[test]
    fn damaged_texts_never_panic(at in 0..ZOO.len(), length in 0..40_usize, with in "[ -~\\n\\pL]{0,3}") {
        let mut text = ZOO.to_owned();
        text.replace_range(at..(at + length).min(ZOO.len()), &with);
        let _ = assembled(&text);
    }
}
