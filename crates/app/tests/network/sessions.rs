//! Sessions of the field's console that were recorded: which commands run here, and why the others do not; and that what
//! is printed has the types and fields of what was printed then.

use crate::harness::free_ports;
use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    ops::RangeInclusive,
    path::Path,
    process::{Command, Stdio},
};
use testkit::Authority;

/// By what is in commands, what they are told or what is printed otherwise, and why; the first that fits counts.
type Reasons = &'static [(&'static str, &'static str)];

/// A session: its file, the places of its commands in the field's manual, what this version cannot do of it, what it prints otherwise.
struct Session {
    file: &'static str,
    places: RangeInclusive<u32>,
    do_not_run: Reasons,
    print_otherwise: Reasons,
}

/// A command, what was recorded, what is answered now.
struct Answer {
    command: String,
    recorded: String,
    now: String,
}

impl Session {
    /// Types all commands into one console, after some of ours. Says how many run, how many of these print the same, and
    /// how many there are.
    fn replay(&self, folder: &Path, config: &Path, before: &str) -> (usize, usize, usize) {
        let Some(data) = testkit::test_data() else { return (0, 0, 0) };
        let (mut ran, mut same, mut wrong) = (0, 0, Vec::new());
        let answers = answers(&data.join("console").join(self.file), &self.places, folder, config, before);
        for Answer { command, recorded, now } in &answers {
            let reason =
                |reasons: Reasons| reasons.iter().find(|(part, _)| command.contains(part)).map(|(_, why)| *why);
            if let Some(why) = reason(self.do_not_run) {
                assert!(now.contains("ERROR") && now.contains(why), "{command}: {now}");
                continue;
            }
            ran += 1;
            // What was refused then is refused.
            assert_eq!(recorded.starts_with("ERROR"), now.contains("ERROR"), "{command}: {now}");
            if recorded.starts_with("ERROR") {
                same += 1;
                continue;
            }
            let (then, now) = (shape(recorded), shape(now));
            let fits = if recorded.ends_with("..") { now.starts_with(&then) } else { now == then };
            match reason(self.print_otherwise) {
                None if !fits => wrong.push(format!("{command}\n  recorded {then:?}\n  now      {now:?}")),
                Some(why) if fits => wrong.push(format!("{command} prints the same by now; it was known that {why}")),
                _ => {}
            }
            same += usize::from(fits);
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        (ran, same, answers.len())
    }
}

fn answers(session: &Path, places: &RangeInclusive<u32>, folder: &Path, config: &Path, before: &str) -> Vec<Answer> {
    let session: BTreeMap<u32, serde_json::Value> = serde_json::from_slice(&fs::read(session).unwrap()).unwrap();
    let text = |entry: &serde_json::Value, key: &str| entry[key].as_str().unwrap().to_owned();
    let recorded: Vec<_> =
        session.range(places.clone()).map(|(_, entry)| (text(entry, "command"), text(entry, "output"))).collect();
    let recorded: Vec<_> = recorded.into_iter().filter(|(command, _)| !command.is_empty()).collect();
    let mut entries = before.to_owned();
    for (n, (command, _)) in recorded.iter().enumerate() {
        entries.push_str(&format!("println(\"#{n}#\")\n{command}\n"));
    }
    let mut program = Command::new(env!("CARGO_BIN_EXE_concordat"));
    program.args(["console", "-c"]).arg(config).current_dir(folder);
    // One stream, so that errors stand where they happened.
    let log = fs::File::create(folder.join("session.log")).unwrap();
    program.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut child = program.spawn().unwrap();
    child.stdin.take().unwrap().write_all(entries.as_bytes()).unwrap();
    child.wait().unwrap();
    let log = fs::read_to_string(folder.join("session.log")).unwrap();
    let answer = |(n, (command, recorded)): (usize, (String, String))| {
        let now = log.split_once(&format!("#{n}#\n")).unwrap_or_else(|| panic!("{log}")).1;
        let now = now.split_once(&format!("#{}#\n", n + 1)).map_or(now, |(now, _)| now);
        // What nodes log is no answer.
        let lines = now.lines().filter(|line| !line.contains(" WARN ") && !line.contains(" INFO "));
        Answer { command, recorded, now: lines.collect::<Vec<_>>().join("\n") }
    };
    recorded.into_iter().enumerate().map(answer).collect()
}

/// The type of a result, and the names of all records and fields in it; without packages, values, and line ends.
fn shape(text: &str) -> Vec<String> {
    let Some((head, value)) = text.split_once(" = ") else { return Vec::new() };
    let typed = head.split_once(':').map_or("", |(_, typed)| typed.trim());
    let typed: String = words(typed).map(|word| word.rsplit('.').next().unwrap_or("")).collect();
    // The type of an option that is there is not told apart, and what is listed is in force.
    let typed = typed.replace("Some[", "Option[").replace("[Positive]", "");
    let mut shape = vec![typed];
    let mut in_text = false;
    let plain: String = value
        .chars()
        .map(|c| {
            in_text ^= c == '"';
            if in_text || c == '"' { ' ' } else { c }
        })
        .collect();
    for (at, c) in plain.char_indices() {
        if c == '(' || plain[at..].starts_with(" = ") {
            let name = plain[..at].rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '.').next().unwrap_or("");
            shape.push(format!("{}{c}", name.rsplit('.').next().unwrap_or("")));
        }
    }
    shape
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['[', ']', ',', '(', ')', ' '])
}

#[test]
fn shapes_are_types_and_fields() {
    let text = "res1: Option[com.daml.X] = Some(value = Y(a = List(1, \"(b = 2)\"), id = x::1220aa...))";
    assert_eq!(shape(text), ["Option[X]", "Some(", "value ", "Y(", "a ", "List(", "id "]);
}

fn started(nodes: &str) -> String {
    format!("utils.retry_until_true(60.seconds)({nodes}.forall(n => n.health.active))\n")
}

#[test]
fn getting_started() {
    let Some(data) = testkit::test_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("dars")).unwrap();
    fs::copy(data.join("dars/CantonExamples.38731509.dar"), folder.path().join("dars/CantonExamples.dar")).unwrap();
    let [domain_admin, public, admin1, ledger1, admin2, ledger2] = free_ports();
    let config = folder.path().join("session.conf");
    let text = format!(
        "canton {{
          domains.mydomain {{
            init.domain-parameters.protocol-version = 7
            storage {{ type = sqlite, config.file = \"d.db\" }}
            admin-api.port = {domain_admin}, public-api.port = {public}
          }}
          participants.participant1 {{
            storage {{ type = sqlite, config.file = \"p1.db\" }}, admin-api.port = {admin1}, ledger-api.port = {ledger1}
          }}
          participants.participant2 {{
            storage {{ type = sqlite, config.file = \"p2.db\" }}, admin-api.port = {admin2}, ledger-api.port = {ledger2}
          }}
        }}"
    );
    fs::write(&config, text).unwrap();
    let session = Session {
        file: "getting_started.json",
        places: 0..=u32::MAX,
        do_not_run: &[("help(\"start\")", "there is no such command")],
        print_otherwise: &[
            ("health.status", "the components are those of this system"),
            ("nodes.local", "participants and synchronizers have no type in common here"),
            ("commands.submit(Seq(bank)", "a time is shown without what the field's library adds"),
            ("x.arguments", "arguments are a Map and lists, and types are those of the values"),
        ],
    };
    assert_eq!(session.replay(folder.path(), &config, &started("(participants.all ++ domains.all)")), (49, 39, 50));
}

/// Sequencers, the third of them encrypted; two files of certificates.
fn sequencers(folder: &Path) -> std::path::PathBuf {
    let ports: [[u16; 2]; 3] = [free_ports(), free_ports(), free_ports()];
    let [mediator, manager] = free_ports();
    let participants: [[u16; 2]; 4] = [free_ports(), free_ports(), free_ports(), free_ports()];
    let mut text = String::from("canton { parameters.allow-plaintext = true\n");
    for (n, [admin, public]) in ports.into_iter().enumerate() {
        let tls = "tls { cert-chain-file = \"./tls/sequencer3-127.0.0.1.crt\", private-key-file = \"./tls/sequencer3-127.0.0.1.pem\" }";
        let api = match n {
            0 => format!("address = 0.0.0.0, port = {public}"),
            1 => format!("port = {public}"),
            _ => format!("port = {public}, {tls}"),
        };
        text.push_str(&format!(
            "sequencers.sequencer{} {{ storage {{ type = sqlite, config.file = \"s.db\" }}, \
             sequencer {{ type = database, high-availability.enabled = true }}, \
             admin-api.port = {admin}, public-api {{ {api} }} }}\n",
            n + 1
        ));
    }
    text.push_str(&format!("mediators.mediator1.admin-api.port = {mediator}\n"));
    text.push_str(&format!("domain-managers.domainManager1.admin-api.port = {manager}\n"));
    for (n, [admin, ledger]) in participants.into_iter().enumerate() {
        let ports = format!("admin-api.port = {admin}, ledger-api.port = {ledger}");
        text.push_str(&format!("participants.participant{} {{ {ports} }}\n", n + 1));
    }
    let config = folder.join("session.conf");
    fs::write(&config, text + "}").unwrap();
    fs::create_dir(folder.join("tls")).unwrap();
    let authority = Authority::new();
    authority.issue(&folder.join("tls"), "sequencer3-127.0.0.1");
    let _ = authority.trust(&folder.join("tls"), "root-ca.crt");
    config
}

const STARTED: &str = "(participants.all ++ mediators.all ++ domainManagers.all)";

#[test]
fn connectivity() {
    let folder = tempfile::tempdir().unwrap();
    let config = sequencers(folder.path());
    let before = started(STARTED) + "domainManager1.setup.bootstrap_domain(Seq(sequencer1), Seq(mediator1))\n";
    let session = Session {
        file: "connectivity.json",
        places: 0..=u32::MAX,
        do_not_run: &[],
        print_otherwise: &[
            ("publicApi.tls", "ciphers are the TLS library's choice"),
            ("addEndpoints(urls(1))", "there is one type of connections"),
        ],
    };
    assert_eq!(session.replay(folder.path(), &config, &before), (37, 35, 37));
}

/// The session founds two networks: one at once, the other step by step, with files between the consoles.
fn manage_domain_entities(places: RangeInclusive<u32>) -> (usize, usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let config = sequencers(folder.path());
    fs::create_dir_all(folder.path().join("tmp/domain-bootstrapping-files")).unwrap();
    let session = Session {
        file: "manage_domain_entities.json",
        places,
        do_not_run: &[],
        print_otherwise: &[
            ("val initialTopology", "what is not sequenced yet has no time here"),
            ("mediator.initialize", "types of results are not widened"),
        ],
    };
    session.replay(folder.path(), &config, &started(STARTED))
}

#[test]
fn a_synchronizer_founded_at_once() {
    assert_eq!(manage_domain_entities(0..=150), (7, 7, 7));
}

#[test]
fn a_synchronizer_founded_step_by_step() {
    assert_eq!(manage_domain_entities(151..=u32::MAX), (27, 25, 27));
}
