//! Lines, and what the console says to them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use crate::{Argument, Data, Host, Interpreter, Member, Problem, Reference, Show, Value};
use std::{rc::Rc, time::Duration};

/// Two participants that remember what they were told.
#[derive(Default)]
struct Recorder {
    printed: Vec<String>,
    called: Vec<String>,
    looks: i64,
}

fn reference(path: &str) -> Value {
    let node = path.split('.').next().unwrap_or("");
    let label = format!("Participant '{node}'");
    Value::Reference(Rc::new(Reference { kind: "ParticipantReference", label, path: path.into() }))
}

impl Host for Recorder {
    fn global(&self, name: &str) -> Option<Value> {
        match name {
            "participant1" | "participant2" => Some(reference(name)),
            "all" => Value::vector(vec![reference("participant1"), reference("participant2")]).ok(),
            _ => None,
        }
    }
    fn globals(&self) -> Vec<String> {
        ["participant1", "participant2", "all"].map(String::from).to_vec()
    }
    fn member(&self, of: &Reference, name: &str) -> Option<Member> {
        match (of.path.contains('.'), name) {
            (false, "dars") => Some(Member::Value(reference(&format!("{}.dars", of.path)))),
            (true, "upload" | "looks") => Some(Member::Command),
            _ => None,
        }
    }
    fn members(&self, of: &Reference) -> Vec<String> {
        let names: &[&str] = if of.path.contains('.') { &["upload", "looks"] } else { &["dars"] };
        names.iter().map(|&name| name.to_owned()).collect()
    }
    fn call(&mut self, of: &Reference, command: &str, arguments: Vec<Argument>) -> Result<Value, String> {
        if command == "looks" {
            return Ok(Value::Int(self.looks));
        }
        let shown = |a: &Argument| {
            format!("{}{}", a.name.as_ref().map_or(String::new(), |n| format!("{n}=")), a.value.pretty())
        };
        let arguments: Vec<String> = arguments.iter().map(shown).collect();
        self.called.push(format!("{}.{command}({})", of.path, arguments.join(", ")));
        if arguments.is_empty() {
            Err("upload needs a path".into())
        } else {
            Value::text("1220").map_err(|e| e.to_string())
        }
    }
    fn print(&mut self, line: &str) {
        self.printed.push(line.into());
    }
    fn wait(&mut self, looks: u32, _: Duration) -> bool {
        self.looks += 1;
        looks < 5
    }
}

fn printed(text: &str) -> Vec<String> {
    let mut console = Interpreter::new(Recorder::default());
    console.run(text, true).unwrap_or_else(|error| panic!("{text}: {error}"));
    console.host.printed
}

fn refused(text: &str) -> String {
    Interpreter::new(Recorder::default()).run(text, true).unwrap_err().to_string()
}

#[test]
fn results_are_printed_as_the_field_prints_them() {
    for (line, expected) in [
        ("Seq(1,2,3).map(_ * 2)", "res0: Seq[Int] = List(2, 4, 6)"),
        ("val priority = 10 // default is 0", "priority : Int = 10"),
        ("val domainAlias = \"mydomain\"", "domainAlias : String = \"mydomain\""),
        ("participant1", "res0: ParticipantReference = Participant 'participant1'"),
        ("Map(\"a\" -> 1)", "res0: Map[String, Int] = Map(\"a\" -> 1)"),
        ("(1, \"x\", true)", "res0: (Int, String, Boolean) = (1, \"x\", true)"),
        ("Seq(1, 2).find(_ > 1)", "res0: Option[Int] = Some(value = 2)"),
        ("10.seconds", "res0: Duration = 10 seconds"),
        ("for (x <- 1 to 4 if x % 2 == 0; y = x * 10) yield y + 1", "res0: Seq[Int] = List(21, 41)"),
        ("Seq((1, 2)).map { case (a, b) => a + b }", "res0: Seq[Int] = List(3)"),
        (
            "(3: Int) match { case 1 => \"a\"; case n if n > 2 => s\"n is $n, ${n + 1}$$\" }",
            "res0: String = \"n is 3, 4$\"",
        ),
        ("{ val f = (a: Int, b: Int) => a - b; f(5, 3) }", "res0: Int = 2"),
        ("if (Seq(1).isEmpty || !Set(1).contains(1)) 1 else 2", "res0: Int = 2"),
        ("Map(\"a\" -> 1)(\"a\") + Seq(5)(0)", "res0: Int = 6"),
        ("Seq(\"a\", \"b\").mkString(\", \")", "res0: String = \"a, b\""),
        ("Seq(\"b\").head.size", "res0: Int = 1"),
    ] {
        assert_eq!(printed(line), [expected], "{line}");
    }
    let long = printed("Seq(\"0123456789012345678901234567890123456789\").flatMap(x => Seq(x, x, x))");
    assert_eq!(long[0].lines().count(), 5, "{long:?}");
}

#[test]
fn records_are_copied_and_show_what_says_something() {
    let option = |value: Option<Value>| Value::option(value).unwrap();
    let uri = |uri: &str| Value::Report("Uri", uri.into());
    let inner = |uris: &[&str], certificate: Option<Value>| {
        let uris = Value::vector(uris.iter().map(|one| uri(one)).collect()).unwrap();
        let fields = vec![("endpoints", Show::Few, uris), ("certificate", Show::Flag, option(certificate))];
        Value::record_shown("Connection", fields).unwrap()
    };
    let outer = |inner: Value, id: Option<Value>, priority: i64| {
        let arrow = Value::record_shown("Connections", vec![("default", Show::Arrow("Sequencer 'A'"), inner)]).unwrap();
        let fields = vec![
            ("domain", Show::Always, uri("Domain 'd'")),
            ("connections", Show::Always, arrow),
            ("id", Show::IfSome, option(id)),
            ("priority", Show::IfNotZero, Value::Int(priority)),
        ];
        Value::record_shown("Config", fields).unwrap()
    };
    let short = outer(inner(&["http://a"], None), None, 0);
    assert_eq!(
        short.pretty(),
        "Config(domain = Domain 'd', connections = Sequencer 'A' -> Connection(endpoints = http://a))"
    );
    let certificate = Value::Data(Rc::new(Data { kind: "ByteString", shown: "<bytes>".into(), bytes: vec![1] }));
    let long = outer(inner(&["http://a", "http://b"], Some(certificate)), Some(Value::Int(3)), 10);
    let lines = "Config(\n  domain = Domain 'd',\n  connections = Sequencer 'A' -> Connection(endpoints = \
                 Seq(http://a, http://b), certificate),\n  id = 3,\n  priority = 10\n)";
    assert_eq!(long.pretty(), lines);
    let changes = [Argument { name: Some("priority".into()), value: Value::Int(0) }];
    let changed = long.copy(&changes).unwrap();
    assert_eq!(changed.field("priority"), Some(&Value::Int(0)));
    let wrong = long.copy(&[Argument { name: Some("prioriti".into()), value: Value::Int(0) }]).unwrap_err();
    assert_eq!(wrong.to_string(), "prioriti is not a member of Config; did you mean priority?");
}

#[test]
fn names_stay_and_units_are_silent() {
    assert_eq!(printed("val x = 1\nval y = x + 1\nassert(y == 2)\nprintln(s\"y: $y\")")[2], "y: 2");
    assert_eq!(printed("import foo.bar.Baz\n()"), [""; 0]);
}

#[test]
fn commands_reach_the_host_one_node_or_all() {
    let mut console = Interpreter::new(Recorder::default());
    console.run("all.dars.upload(\"x.dar\", vetAllPackages = true)", true).unwrap();
    let told = ["participant1", "participant2"].map(|p| format!("{p}.dars.upload(\"x.dar\", vetAllPackages=true)"));
    assert_eq!(console.host.called, told);
    let map = "Map(Participant 'participant1' -> \"1220\", Participant 'participant2' -> \"1220\")";
    assert_eq!(console.host.printed, [format!("res0: Map[ParticipantReference, String] = {map}")]);
    console.run("utils.retry_until_true(participant1.dars.looks == 3)", false).unwrap();
    assert_eq!(console.host.looks, 3);
    let error = console.run("utils.retry_until_true(10.seconds)(participant1.dars.looks == 100)", false).unwrap_err();
    assert!(matches!(error.problem, Problem::NoResult(_)), "{error}");
}

#[test]
fn errors_name_the_place_and_the_nearest_name() {
    for (text, expected) in [
        ("\n  participant3", "2:3: participant3 is not known; did you mean participant1?"),
        ("participant1.dar", "1:1: dar is not a member of Participant 'participant1'; did you mean dars?"),
        ("participant1.dars.upload()", "1:1: upload needs a path"),
        ("Seq(1).haed", "1:1: haed is not a member of Seq[Int]; did you mean head?"),
        ("Seq().head", "1:1: head of nothing"),
        ("assert(1 == 2, \"no\")", "1:1: assertion failed: no"),
        ("9223372036854775807 + 1", "1:1: 9223372036854775807 + 1 is no number of 64 bits"),
        ("class A", "1:1: the console does not know class definition: class A"),
    ] {
        assert_eq!(refused(text), expected);
    }
    assert!(refused("val x = (").starts_with("1:"));
}

#[test]
fn nothing_takes_the_process_down() {
    for text in ["(".repeat(100_000), "a.".repeat(100_000), format!("{}1{}", "(".repeat(5000), ")".repeat(5000))] {
        refused(&text);
    }
    let deep = format!("{}1{}", "Seq(".repeat(90), ")".repeat(90));
    assert!(refused(&deep).contains("is limited to"));
    // A value that holds itself, a text that doubles, a function that never ends.
    let holds_itself = "val x = Seq(x)\n".repeat(70);
    assert!(refused(&format!("val x = Seq(1)\n{holds_itself}")).contains("the depth of a value"));
    let doubles: String = (0..40).map(|n| format!("val x{} = s\"$x{n}$x{n}\"\n", n + 1)).collect();
    assert!(refused(&format!("val x0 = \"x\"\n{doubles}")).contains("the length of a string"));
    assert!(refused("val w = (f: Any) => f(f)\nw(w)").contains("the depth of calls"));
    let loops = "val r = 1 to 1000\nfor (a <- r; b <- r; c <- r) ()";
    assert!(refused(loops).contains("the number of steps"));
}
