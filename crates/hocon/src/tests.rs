//! Behaviour by example, and the shared cases derived from the HOCON specification.

use crate::{Include, Kind, Loader, NoIncludes, Value, merge, parse, resolve};
use proptest::prelude::*;
use std::{collections::BTreeMap, fs, sync::Arc};
use testkit::test_data;

fn environment(name: &str) -> Option<String> {
    match name {
        "HOCON_T_HOME" => Some("/h".into()),
        "HOCON_T_PORT" => Some("6543".into()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Value, crate::Error> {
    resolve(&parse("t.conf", text, &mut NoIncludes)?, &environment)
}

/// As a program without a schema would guess: unquoted numbers and booleans are what they look like.
fn json(value: &Value) -> serde_json::Value {
    match &value.kind {
        Kind::Null => serde_json::Value::Null,
        Kind::Text { text, quoted: false } => match serde_json::from_str(text) {
            Ok(guess @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => guess,
            _ => text.clone().into(),
        },
        Kind::Text { text, .. } => text.clone().into(),
        Kind::Array(elements) => elements.iter().map(json).collect(),
        Kind::Object(fields) => fields.iter().map(|(k, v)| (k.clone(), json(v))).collect(),
    }
}

fn check(text: &str, expected: &str) {
    let value = read(text).unwrap_or_else(|e| panic!("{text}\n{e}"));
    assert_eq!(json(&value), serde_json::from_str::<serde_json::Value>(expected).unwrap(), "{text}");
}

#[test]
fn shared_cases() {
    let Some(data) = test_data() else { return };
    let cases = fs::read_to_string(data.join("hocon-cases.txt")).unwrap();
    let mut run = 0;
    for case in cases.split("====\n") {
        let (name, rest) = case.split_once('\n').unwrap();
        let (text, expected) = rest.split_once("\n--\n").unwrap();
        run += 1;
        if expected.trim() == "ERROR" {
            assert!(read(text).is_err(), "{name}");
        } else {
            println!("{name}");
            check(text, expected);
        }
    }
    assert_eq!(run, 33);
}

#[test]
fn one_object_in_four_spellings() {
    let Some(data) = test_data() else { return };
    let merged = serde_json::json!({"t": "pg", "c": {"a": 9, "b": 8}});
    let nested = serde_json::json!({"t": "pg", "c": {"a": 9, "b": 8}, "d": 1});
    let once = serde_json::json!({"t": "pg", "c": {"a": 9, "b": 2}});
    for (file, pointer, expected) in
        [("two", "/x", &merged), ("obj", "/x", &merged), ("nest", "/r/x", &nested), ("one", "/x", &once)]
    {
        let text = fs::read_to_string(data.join(format!("configs/substitution/{file}.conf"))).unwrap();
        assert_eq!(json(&read(&text).unwrap()).pointer(pointer), Some(expected), "{file}");
    }
}

#[test]
fn what_is_quoted_reads_as_itself() {
    for text in ["", "plain", "a \"quoted\" \\ b", "tab\tline\nbell\u{7}", "ü ${x} 💡"] {
        let value = read(&format!("a = {}", crate::quote(text))).unwrap();
        assert_eq!(json(&value)["a"], text);
    }
}

#[test]
fn a_path_through_an_overridden_substitution() {
    check(
        "s { p { q = 1 } }\nx = ${s}\nx.p.q = 2\ny = ${x.p.q}\nz = ${x.p}",
        r#"{"s":{"p":{"q":1}},"x":{"p":{"q":2}},"y":2,"z":{"q":2}}"#,
    );
}

#[test]
fn later_files_win_and_resolve_together() {
    let mut none = NoIncludes;
    let first = parse("a.conf", "canton.x { storage = ${_shared.storage}, port = 1 }", &mut none).unwrap();
    let second = parse("b.conf", "_shared.storage.type = postgres\ncanton.x.port = 2", &mut none).unwrap();
    let value = resolve(&merge(first, second), &environment).unwrap();
    assert_eq!(json(&value)["canton"]["x"], serde_json::json!({"storage": {"type": "postgres"}, "port": 2}));
}

struct Files(BTreeMap<&'static str, &'static str>);

impl Loader for Files {
    fn load(&mut self, include: &Include) -> Result<Option<(Arc<str>, String)>, String> {
        Ok(self.0.get(include.name.as_str()).map(|text| (include.name.as_str().into(), (*text).to_owned())))
    }
}

#[test]
fn includes_merge_where_they_stand() {
    let mut files =
        Files([("in.conf", "a = 1\nb = ${a}\nc = ${outside}"), ("loop.conf", "include \"loop.conf\"")].into());
    let text = "outside = 7\nx { a = 0\n include required(file(\"in.conf\"))\n d = 2 }\ninclude \"absent.conf\"";
    let value = resolve(&parse("t.conf", text, &mut files).unwrap(), &environment).unwrap();
    assert_eq!(json(&value), serde_json::json!({"outside": 7, "x": {"a": 1, "b": 1, "c": 7, "d": 2}}));
    let error = parse("t.conf", "x = 1\ninclude required(\"absent.conf\")", &mut files).unwrap_err();
    assert_eq!((error.origin.to_string(), error.problem.contains("absent.conf")), ("t.conf:2".into(), true));
    assert!(parse("t.conf", "include \"loop.conf\"", &mut files).unwrap_err().problem.contains("circle"));
}

#[test]
fn errors_say_where() {
    for (text, line, part) in [
        ("a = 1\nb {\n c = 2\n", 2, "never closed"),
        ("a = 1\n\nb = ${nope}", 3, "nope"),
        ("a = 1 }", 1, "closing brace"),
        ("a = \"x\n", 1, "not closed"),
        ("a = [1,\n2", 1, "never closed"),
        ("a = 1\nb", 2, "no ="),
        ("a = 1\nb = \n}", 2, ""),
        ("a..b = 1", 1, "empty segment"),
        ("a = {} 1", 1, "side by side"),
        ("a = \"\\x\"", 1, "escape"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.problem.contains(part), "{text:?}: {error}");
        assert!(part.is_empty() || error.origin.line == line, "{text:?}: {error}");
    }
}

#[test]
fn bounds_hold() {
    assert!(read(&format!("a = {}", "[".repeat(100_000))).is_err());
    assert!(read(&"a {".repeat(100_000)).is_err());
    let mut doubling = "x0 = [1, 1]\n".to_owned();
    for i in 1..64 {
        doubling += &format!("x{i} = ${{x{p}}} ${{x{p}}}\n", p = i - 1);
    }
    assert!(read(&doubling).unwrap_err().problem.contains("grows"));
    assert!(read("a = ${b}\nb = ${c}\nc = ${a}").is_err());
    assert!(read("a = ${?a.b}").is_ok());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a-c.={}\\[\\]\"$?,\\n #/+: ]{0,60}") {
        let _ = read(&text);
    }
}
