//! Packages that others compiled pass; ill-formed ones are refused, naming module, definition and rule.

use crate::{
    LfError, assemble_payload, check_dar, check_package, read_dar, read_package,
    tests::{dars, nested},
};
use base::{Coded, PackageName, PackageVersion, codes};
use std::{collections::BTreeSet, fs};

#[test]
fn packages_of_compilers_are_well_formed_and_damaged_ones_are_refused() {
    let Some(folder) = dars() else { return };
    let (mut passed, mut refused) = (BTreeSet::new(), 0);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| file.extension().is_some_and(|e| e == "dar")) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let Ok(dar) = read_dar(&fs::read(&file).unwrap()) else { continue };
        let packages = || dar.packages.iter().map(|package| &*package.package);
        if name.starts_with("illformed") {
            let error = check_dar(&dar).unwrap_err();
            assert!(matches!(error, LfError::IllFormed { .. }), "{name}: {error}");
            assert_eq!(error.code(), codes::DAR_VALIDATION_ERROR);
            refused += 1;
            continue;
        }
        for package in packages().filter(|package| passed.insert(package.id().clone())) {
            check_package(package, packages()).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    assert_eq!((passed.len(), refused), (175, 2));
}

/// Why a text is refused.
fn refusal(source: &str) -> String {
    let (name, version) = (PackageName::new("test").unwrap(), PackageVersion::new("1.0.0").unwrap());
    let package = read_package(&assemble_payload(source, &name, &version).unwrap()).unwrap();
    check_package(&package, std::iter::empty()).err().map_or_else(String::new, |error| error.to_string())
}

#[test]
fn each_rule_is_enforced() {
    let cases = [
        ("val x : Int64 = 1;", ""),
        ("val x : Int64 = \"a\";", "have the types"),
        ("val x : Text = y;", "in scope"),
        ("val x : a = 1;", "in scope"),
        ("val x : List = Nil @Int64;", "fit their kinds"),
        ("val x : Int64 = M:y;", "referred to is there"),
        ("record R = { r: List };", "fit their kinds"),
        ("record @serializable R = { r: Int64 -> Int64 };", "is serializable"),
        ("record @serializable R (a: * -> *) = { r: Int64 };", "is serializable"),
        ("variant V = ;  val x : M:V -> Int64 = \\ (v: M:V) -> case v of _ -> 1;", ""),
        ("enum E = A | B; val x : M:E -> Int64 = \\ (e: M:E) -> case e of M:E:A -> 1;", "cover all cases"),
        ("val x : Bool -> Int64 = \\ (b: Bool) -> case b of True -> 1 | False -> \"a\";", "have the types"),
        ("record R = {}; enum r = A;", "names do not collide"),
        ("synonym S = ||M:T||; synonym T = ||M:S||;", "not circular"),
        ("val x : forall (a: *). a -> a = /\\ (b: *). \\ (x: b) -> x;", ""),
        ("val x : forall (a: *). a -> Int64 = /\\ (a: *). \\ (x: a) -> x;", "have the types"),
        // The inner variable only has the name of the outer one.
        ("val x : forall (a: *). forall (b: *). a -> b = /\\ (a: *). \\ (x: a) -> /\\ (a: *). x;", "have the types"),
        ("val x : TypeRep = type_rep @(List Int64);", ""),
        ("val x : forall (a: *). TypeRep = /\\ (a: *). type_rep @a;", "have the types"),
    ];
    for (source, rule) in cases {
        let found = refusal(&format!("module M {{ {source} }}"));
        assert_eq!(found.is_empty(), rule.is_empty(), "{source}: {found}");
        assert!(found.contains(rule), "{source}: {found}");
    }
}

#[test]
fn a_refusal_names_module_and_definition() {
    let found = refusal("module A.B { val good : Int64 = 1; val bad : Int64 = True; }");
    assert!(found.contains("A.B:bad: the type is Bool, but must be Int64"), "{found}");
    let circle = refusal("module A { val a : Int64 = B:b; } module B { val b : Int64 = A:a; }");
    assert!(circle.contains("refers to itself through other modules"), "{circle}");
}

#[test]
fn depth_costs_no_rust_stack() {
    let deep = std::thread::Builder::new().stack_size(128 * 1024).spawn(|| {
        let package = read_package(&nested(20_000)).unwrap();
        let error = check_package(&package, std::iter::empty()).unwrap_err();
        // Each `Some` claims to hold a unit; only the innermost does.
        assert!(error.to_string().contains("the type is (Option Unit), but must be Unit"), "{error}");
    });
    deep.unwrap().join().unwrap();
}
