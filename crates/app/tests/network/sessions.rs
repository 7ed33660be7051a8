//! Sessions of the field's console that were recorded: which commands run here, and why the others do not.

use crate::harness::free_ports;
use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// What commands that do not run are told, by what is in them; the first that fits counts. Everything else runs.
const DO_NOT_RUN: [(&str, &str); 7] = [
    ("DomainChoice", "DomainChoice is not known"),
    ("mydomain.parties", "parties is not a member of Domain 'mydomain'"),
    ("dars.list", "dars.list is not served"),
    ("packages.find", "find is not a member"),
    ("help(\"start\")", "there is no such command"),
    ("ledger_api_utils", "ledger_api_utils is not known"),
    ("ledger_api.", "ledger_api is not a member"),
];

/// The commands of a session, in order.
fn commands(session: &Path) -> Vec<String> {
    let session: BTreeMap<u32, serde_json::Value> = serde_json::from_slice(&fs::read(session).unwrap()).unwrap();
    let commands = session.into_values().map(|entry| entry["command"].as_str().unwrap().to_owned());
    commands.filter(|command| !command.is_empty()).collect()
}

fn config(folder: &Path) -> std::path::PathBuf {
    let [domain_admin, public, admin1, ledger1, admin2, ledger2] = free_ports();
    let config = folder.join("session.conf");
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
    config
}

#[test]
fn of_getting_started_every_command_runs_or_is_known_not_to() {
    let Some(data) = testkit::test_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("dars")).unwrap();
    fs::copy(data.join("dars/CantonExamples.38731509.dar"), folder.path().join("dars/CantonExamples.dar")).unwrap();
    let commands = commands(&data.join("console/getting_started.json"));
    let mut entries = String::from(
        "utils.retry_until_true(60.seconds)(mydomain.health.active && participants.all.forall(p => p.health.active))\n",
    );
    for (n, command) in commands.iter().enumerate() {
        entries.push_str(&format!("println(\"#{n}#\")\n{command}\n"));
    }
    let mut program = Command::new(env!("CARGO_BIN_EXE_concordat"));
    program.args(["console", "-c"]).arg(config(folder.path())).current_dir(folder.path());
    // One stream, so that errors stand where they happened.
    let log = fs::File::create(folder.path().join("session.log")).unwrap();
    program.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut child = program.spawn().unwrap();
    child.stdin.take().unwrap().write_all(entries.as_bytes()).unwrap();
    child.wait().unwrap();

    let text = fs::read_to_string(folder.path().join("session.log")).unwrap();
    let mut ran = 0;
    for (n, command) in commands.iter().enumerate() {
        let answer = text.split_once(&format!("#{n}#\n")).unwrap().1;
        let answer = answer.split_once(&format!("#{}#\n", n + 1)).map_or(answer, |(answer, _)| answer);
        let why = DO_NOT_RUN.iter().find(|(part, _)| command.contains(part)).map(|(_, why)| *why);
        match why {
            None => assert!(!answer.contains("ERROR"), "{command}: {answer}"),
            Some(why) => assert!(answer.contains("ERROR") && answer.contains(why), "{command}: {answer}"),
        }
        ran += usize::from(why.is_none());
    }
    assert_eq!((ran, commands.len()), (27, 50));
}
