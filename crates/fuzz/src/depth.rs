//! Texts nested a million deep, on a stack of two megabytes: each step refuses them with an error or does its work, and
//! none ends the process.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may fail by panicking")]

use base::Identifier;
use engine::{Engine, Progress};
use lf::Package;
use std::{iter, sync::Arc, thread};

pub(crate) const DEPTH: usize = 1_000_000;
const STACK: usize = 2 << 20;

/// Does with a package whatever is done with packages: check, lower, run. How far it came, and the number that `M:x` is.
fn through(package: Arc<Package>) -> End {
    if lf::check_package(&package, iter::empty()).is_err() {
        return ("check", None);
    }
    let (module, entity) = ("M".parse().unwrap(), "x".parse().unwrap());
    let x = Identifier { package: package.id().clone(), module, entity };
    let engine = Engine::new();
    engine.add_package(package);
    let Ok(mut evaluation) = engine.evaluate(&x) else { return ("lower", None) };
    match evaluation.step(u64::MAX) {
        Progress::Done(value) => ("run", value.as_int64()),
        _ => ("fail", None),
    }
}

type End = (&'static str, Option<i64>);

fn on_small_stack(all: impl FnOnce() -> End + Send + 'static) -> End {
    thread::Builder::new().stack_size(STACK).spawn(all).unwrap().join().unwrap()
}

/// The package of an archive's payload is read, and goes [`through`].
pub(crate) fn through_all(payload: Vec<u8>) -> End {
    on_small_stack(move || lf::read_package(&payload).map_or(("read", None), |package| through(Arc::new(package))))
}

/// The same for LF text, unless that is refused.
fn assembled(source: String) -> End {
    on_small_stack(move || {
        let (name, version) = ("deep".parse().unwrap(), "1.0.0".parse().unwrap());
        let Ok(payload) = lf::assemble_payload(&source, &name, &version) else { return ("assemble", None) };
        through(Arc::new(lf::read_package(&payload).unwrap()))
    })
}

fn module(body: &str) -> String {
    format!("module M {{ {body} }}")
}

fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

/// What is so deep that it is refused must work when it is not.
fn both(of_depth: impl Fn(usize) -> String, result: impl Fn(i64) -> i64) {
    assert_eq!(assembled(of_depth(40)), ("run", Some(result(40))));
    let (step, found) = assembled(of_depth(DEPTH));
    assert!(found.is_none_or(|found| found == result(i64::try_from(DEPTH).unwrap())), "{step}: {found:?}");
    eprintln!("a depth of {DEPTH} came to: {step}");
}

#[test]
fn applications() {
    both(|depth| module(&format!("val x : Int64 = {};", nested("ADD_INT64 1 (", "0", ")", depth))), |depth| depth);
}

#[test]
fn bindings() {
    both(|depth| module(&format!("val x : Int64 = {}y;", "let y: Int64 = 7 in ".repeat(depth))), |_| 7);
}

#[test]
fn functions() {
    let function = |depth| nested("(\\ (y: Int64) -> ", "3", ") 1", depth);
    both(|depth| module(&format!("val x : Int64 = {};", function(depth))), |_| 3);
}

#[test]
fn cases() {
    let case = |depth| nested("case True of True -> (", "5", ") | False -> 0", depth);
    both(|depth| module(&format!("val x : Int64 = {};", case(depth))), |_| 5);
}

#[test]
fn types() {
    let ty = |depth| nested("Option (", "Int64", ")", depth);
    both(|depth| module(&format!("val y : {0} = None @({1}); val x : Int64 = 9;", ty(depth), ty(depth - 1))), |_| 9);
}

#[test]
fn values() {
    let value = |depth| nested("M:T:More (", "M:T:End 2", ")", depth);
    let depth_of = "val x : Int64 = M:depth M:y 0; val depth : M:T -> Int64 -> Int64 = \\ (t: M:T) (n: Int64) ->
        case t of M:T:End e -> ADD_INT64 e n | M:T:More m -> M:depth m (ADD_INT64 n 1);";
    let body = |depth| format!("variant T = End: Int64 | More: M:T; val y : M:T = {}; {depth_of}", value(depth));
    both(|depth| module(&body(depth)), |depth| depth + 2);
}
