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

#[test]
fn packages_of_compilers_survive_text_and_bytes() {
    let Some(folder) = dars() else { return };
    for file in ["test-2.1.6ae9a07f.dar", "CantonExamples.38731509.dar", "splice-test-token-v1-1.0.0.8aea10a1.dar"] {
        for package in read_dar(&fs::read(folder.join(file)).unwrap()).unwrap().packages {
            let text = shown(&package.package);
            match assembled(&text) {
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
