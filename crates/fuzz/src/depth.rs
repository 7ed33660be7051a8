//! Programs nested a million deep, on a stack of two megabytes: each step refuses them with an error or does its work, and
//! none ends the process.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may fail by panicking")]

use base::Identifier;
use engine::{Engine, Progress};
use std::thread;

const DEPTH: usize = 1_000_000;
const STACK: usize = 2 << 20;

/// Assembles `module M`, and does with it whatever is done with packages: read, check, lower, run. How far it came, and the
/// number that `M:x` is.
fn through(source: String) -> (&'static str, Option<i64>) {
    let all = move || {
        let (name, version) = ("deep".parse().unwrap(), "1.0.0".parse().unwrap());
        let Ok(dar) = lf::assemble(&source, &name, &version) else { return ("assemble", None) };
        let Ok(dar) = lf::read_dar(&dar) else { return ("read", None) };
        if lf::check_dar(&dar).is_err() {
            return ("check", None);
        }
        let engine = Engine::new();
        dar.packages.iter().for_each(|package| engine.add_package(package.package.clone()));
        let (package, module, entity) = (dar.main, "M".parse().unwrap(), "x".parse().unwrap());
        let Ok(mut evaluation) = engine.evaluate(&Identifier { package, module, entity }) else {
            return ("lower", None);
        };
        match evaluation.step(u64::MAX) {
            Progress::Done(value) => ("run", value.as_int64()),
            _ => ("fail", None),
        }
    };
    thread::Builder::new().stack_size(STACK).spawn(all).unwrap().join().unwrap()
}

fn module(body: &str) -> String {
    format!("module M {{ {body} }}")
}

fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

/// What is so deep that it is refused must work when it is not.
fn both(of_depth: impl Fn(usize) -> String, result: impl Fn(i64) -> i64) {
    assert_eq!(through(of_depth(40)), ("run", Some(result(40))));
    let (step, found) = through(of_depth(DEPTH));
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
