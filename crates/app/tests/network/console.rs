//! The console: scripts and what is typed, with nodes in the same process and in another.

use crate::{
    harness::{Daemon, channel, concordat, eventually, free_ports},
    health::get,
};
use rpc::services::concordat::admin::v1::participant_admin_service_client::ParticipantAdminServiceClient;
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use wire::concordat::admin::v1::ListSynchronizersRequest;

/// The example's configuration in a folder, with ports that are free.
pub(crate) fn network(folder: &Path) -> (PathBuf, Vec<String>) {
    let config = folder.join("network.conf");
    fs::copy(example("network.conf"), &config).unwrap();
    let keys = [
        "sequencers.sequencer1.admin-api",
        "sequencers.sequencer1.public-api",
        "mediators.mediator1.admin-api",
        "domain-managers.manager1.admin-api",
        "participants.participant1.admin-api",
        "participants.participant1.ledger-api",
    ];
    let ports: [u16; 6] = free_ports();
    (config, keys.iter().zip(ports).map(|(key, port)| format!("canton.{key}.port={port}")).collect())
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

pub(crate) fn texts(output: &Output) -> (String, String) {
    (String::from_utf8(output.stdout.clone()).unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

#[test]
fn scripts_run_the_nodes_and_errors_name_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let (config, overrides) = network(folder.path());
    let run = |script: &Path| concordat(&["run", script.to_str().unwrap()], &config, &overrides);
    let ran = run(&example("network.canton"));
    assert!(ran.status.success() && texts(&ran).0.starts_with("allocated alice::1220"), "{ran:?}");

    let wrong = folder.path().join("wrong.canton");
    let waits = "utils.retry_until_true(60.seconds)(participant1.health.active)\nprintln(participant1.health.active)\n";
    let script = |last: &str| fs::write(&wrong, format!("{waits}{last}\n")).unwrap();
    script("participant1.replication.set_passive()");
    let ran = run(&wrong);
    let (text, error) = texts(&ran);
    // Nobody is there to take over.
    assert_eq!((text.as_str(), ran.status.code()), ("true\n", Some(1)), "{error}");
    assert!(error.contains("wrong.canton:3:1: participant1: "), "{error}");

    script("participant1.dars.uplaod(\"a.dar\")");
    assert!(
        texts(&run(&wrong)).1.contains("uplaod is not a member of Participant 'participant1'; did you mean upload?")
    );
}

#[test]
fn a_script_of_the_daemon_that_fails_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let (config, overrides) = network(folder.path());
    let script = folder.path().join("wrong.canton");
    fs::write(&script, "assert(sequencer1.health.running)\nassert(false, \"no\")\n").unwrap();
    let ran = concordat(&["daemon", "--bootstrap", script.to_str().unwrap()], &config, &overrides);
    let (_, error) = texts(&ran);
    assert_eq!(ran.status.code(), Some(3), "{error}");
    assert!(error.contains("wrong.canton:2:1: assertion failed"), "{error}");
}

/// What the console answers to what is piped in.
pub(crate) fn console(folder: &Path, config: &Path, overrides: &[String], entries: &str) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_concordat"));
    program.args(["console", "-c"]).arg(config).args(overrides.iter().flat_map(|key_value| ["-C", key_value]));
    program.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    child.stdin.take().unwrap().write_all(entries.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[tokio::test]
async fn commands_are_typed_to_nodes_that_run() {
    let folder = tempfile::tempdir().unwrap();
    let (config, overrides) = network(folder.path());
    let script = example("network.canton");
    let _daemon = Daemon::bootstrapped(folder.path(), &config, &overrides, &script);
    let port =
        |key: &str| overrides.iter().find(|o| o.contains(key)).unwrap().rsplit_once('=').unwrap().1.parse().unwrap();
    let admin = port("participant1.admin-api");
    eventually("the bootstrap script connecting the participant", async || {
        let mut client = ParticipantAdminServiceClient::new(channel(admin));
        let answer = client.list_synchronizers(ListSynchronizersRequest {}).await.ok()?.into_inner();
        answer.synchronizers.iter().any(|s| s.connected).then_some(())
    })
    .await;
    fs::write(folder.path().join("iou.dar"), lf::models::iou()).unwrap();
    let entries = "Seq(1,\n  2)\nparticipant1.id\nparticipant1.health.status\nparticipant1.domains.list_registered()\n\
                   participant1.domains.is_registered(\"other\")\nval bob = participant1.parties.enable(\"Bob\")\n\
                   participant1.parties.list(\"Bob\")\nparticipants.all.dars.upload(\"iou.dar\")\n\
                   participant1.packages.list().size > 0\n\
                   participant1.dars.list().map(_.name)\nparticipant1.parties.hosted().size\n\
                   participant1.packages.find(\"Iou\").head.sourceDescription\nhelp\nparticipant1.domains.help\nexit\nno\n";
    let output = console(folder.path(), &config, &overrides, entries);
    let (text, error) = texts(&output);
    assert!(output.status.success() && error.is_empty(), "{text}{error}");
    for expected in [
        "res0: Seq[Int] = List(1, 2)",
        "res1: ParticipantId = PAR::participant1::1220",
        "res2: NodeStatus = Participant id: PAR::participant1::1220",
        "\nActive: true\n",
        "  (\n    DomainConnectionConfig(\n      domain = Domain 'mydomain',\n      sequencerConnections = Sequencer ",
        "res4: Boolean = false",
        "bob : PartyId = Bob::1220",
        "res6: Seq[ListPartiesResult] = Vector(\n  ListPartiesResult(\n    party = Bob::1220",
        "res7: Map[ParticipantReference, String] = Map(\n  Participant 'participant1' -> \"",
        "res8: Boolean = true",
        "res9: Seq[String] = List(\"concordat-admin\", \"concordat-iou\")",
        // The participant's own party is one.
        "res10: Int = 3",
        "res11: String = \"concordat-iou\"",
        "participant1 - Participant 'participant1'",
        "domains.connect_multi(alias, connections) - ",
    ] {
        assert!(text.contains(expected), "{expected} is missing: {text}");
    }

    // Errors do not end it, and are told in the end.
    let output = console(folder.path(), &config, &overrides, "participan1.id\n1 + 1\nSeq(1,\n");
    let (text, error) = texts(&output);
    assert_eq!((output.status.code(), text.as_str()), (Some(1), "res0: Int = 2\n"), "{error}");
    assert!(error.contains("did you mean participant1?") && error.matches("ERROR").count() == 2, "{error}");
}

/// What is said and what is complained about when the nodes of a network are up and somebody types.
fn typed(folder: &Path, (config, overrides): &(PathBuf, Vec<String>), entries: &str) -> (String, String) {
    const WAITS: &str =
        "utils.retry_until_true(60.seconds)(Seq(mediator1, manager1, participant1).forall(n => n.health.active))\n";
    texts(&console(folder, config, overrides, &format!("{WAITS}{entries}")))
}

#[test]
fn a_manual_connection_is_left_to_operators_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(folder.path());
    let console = |entries: &str| {
        let (text, error) = typed(folder.path(), &network, entries);
        assert!(!error.contains("ERROR"), "{text}{error}");
        text
    };
    let connect = "participant1.domains.connect_local(sequencer1, manualConnect = true)\n";
    let connected = "println(participant1.domains.list_connected().size)\n";
    let found = "manager1.setup.bootstrap_domain(Seq(sequencer1), Seq(mediator1))\n";
    assert_eq!(console(&format!("{found}{connect}{connected}")), "1\n");
    let registered = "println(participant1.domains.is_registered(\"sequencer1\"))\n";
    assert_eq!(console(&format!("{connected}{registered}{connect}{connected}")), "0\ntrue\n1\n");
}

/// Of what is not left to operators, a restart connects all; of the rest nothing.
#[test]
fn connections_are_registered_changed_ended_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(folder.path());
    let console = |entries: &str| typed(folder.path(), &network, entries);
    let (text, error) = console(
        "manager1.setup.bootstrap_domain(Seq(sequencer1), Seq(mediator1))
         val unknown = DomainConnectionConfig(\"mydomain\", sequencer1, domainId = Some(participant1.id.uid))
         participant1.domains.register(unknown)
         participant1.domains.register(DomainConnectionConfig(\"mydomain\", sequencer1, priority = 3))
         println(participant1.domains.is_registered(\"mydomain\"), participant1.domains.is_connected(manager1.id))
         participant1.parties.enable(\"early\")
         participant1.domains.register(DomainConnectionConfig(\"mydomain\", sequencer1, priority = 4))
         participant1.domains.register(DomainConnectionConfig(\"second\", sequencer1))
         participant1.domains.reconnect(\"mydomain\")
         participant1.domains.id_of(\"mydomain\") == manager1.id
         participant1.parties.enable(\"alice\")
         participant1.domains.modify(\"mydomain\", _.copy(priority = 20))
         participant1.domains.modify(\"mydomain\", _.copy(domain = \"other\"))
         participant1.domains.modify(\"mydomain\", _.copy(sequencerConnections = \"http://127.0.0.1:1\"))
         participant1.domains.disconnect(\"mydomain\")
         println(participant1.domains.list_connected().size)
         participant1.parties.enable(\"bob\")
         participant1.domains.reconnect(\"mydomain\", retry = false)
         participant1.domains.reconnect(\"mydomain\")
         participant1.domains.disconnect_all()
         participant1.domains.modify(\"mydomain\", c => c.copy(sequencerConnections = SequencerConnections.single(sequencer1)))
         participant1.domains.reconnect_all()
         participant1.parties.enable(\"carol\")
         println(participant1.domains.config(\"mydomain\").get.priority)
         participant1.domains.disconnect(\"mydomain\")
         participant1.domains.reconnect(\"mydomian\")
",
    );
    let errors: Vec<&str> = error.lines().filter(|line| line.starts_with("ERROR")).collect();
    let expected = [
        "SYNCHRONIZER_ID_MISMATCH",
        "NOT_CONNECTED_TO_ANY_SYNCHRONIZER",
        "SYNC_SERVICE_ALREADY_ADDED",
        "SYNC_SERVICE_ALREADY_ADDED",
        "mydomain cannot be given another name",
        "NOT_CONNECTED_TO_ANY_SYNCHRONIZER",
        "SYNCHRONIZER_IS_NOT_AVAILABLE",
        "SYNC_SERVICE_UNKNOWN_SYNCHRONIZER",
    ];
    assert_eq!(errors.len(), expected.len(), "{error}");
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert!(text.contains("true\n"), "{text}");
    for result in ["Boolean = true", "alice::1220", "\n0\n", "Boolean = false", "carol::1220", "\n20\n"] {
        assert!(text.contains(result), "{result}: {text}");
    }

    let connected = "println(participant1.domains.list_connected().size)\n";
    let to_operators = "participant1.domains.modify(\"mydomain\", _.copy(manualConnect = true))\n";
    assert_eq!(
        console(&format!("{connected}participant1.parties.enable(\"dave\")\n{to_operators}")).0.lines().next(),
        Some("1")
    );
    assert_eq!(console(connected).0, "0\n");
}

/// Two participants, one of which watches itself, on a simple synchronizer.
#[tokio::test]
async fn participants_answer_pings_and_health_tells_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("ping.conf");
    let [domain_admin, public, admin1, ledger1, admin2, ledger2, health] = free_ports();
    let text = format!(
        "canton {{
          domains.mydomain {{ admin-api.port = {domain_admin}, public-api.port = {public} }}
          participants.participant1 {{ admin-api.port = {admin1}, ledger-api.port = {ledger1} }}
          participants.participant2 {{ admin-api.port = {admin2}, ledger-api.port = {ledger2} }}
          monitoring.health {{
            server {{ address = 127.0.0.1, port = {health} }}
            check {{ type = ping, participant = participant1, interval = 100ms }}
          }}
        }}"
    );
    fs::write(&config, text).unwrap();
    let _daemon = Daemon::start(folder.path(), &config);
    // Before it is connected nothing answers.
    eventually("the health server answering", async || http_status(health).await.filter(|status| *status == 503)).await;
    let entries = "utils.retry_until_true(60.seconds)(participants.all.forall(p => p.health.active))
                   participants.all.foreach(p => p.health.wait_for_identity())
                   participant1.health.maybe_ping(participant2)
                   participant1.domains.connect_local(mydomain)
                   participant1.health.ping(participant2)
                   participant2.domains.connect_local(mydomain)
                   participant1.health.ping(participant2)
                   participant2.health.ping(participant1.id, 20.seconds)
                   participant1.health.ping(participant1)
                   participant2.domains.disconnect(\"mydomain\")
                   participant1.health.ping(participant2, 300.millis)
                   participant1.health.ping(mydomain)
                   health.dump(\"dump\")
                   health.dump(\"dump\")
";
    let output = console(folder.path(), &config, &[], entries);
    let (text, error) = texts(&output);
    assert_eq!(text.matches(": Duration = ").count(), 3, "{text}{error}");
    assert!(text.contains("Option[Nothing] = None"), "{text}{error}");
    let expected = [
        "is not known on the synchronizer; connect it to the same one",
        "has not answered within 300ms",
        "a participant is needed",
        "name a folder that is new",
    ];
    let errors: Vec<&str> = error.lines().filter(|line| line.starts_with("ERROR")).collect();
    assert_eq!(errors.len(), expected.len(), "{error}");
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.contains(expected), "{expected}: {error}");
    }
    eventually("health being told of pings", async || http_status(health).await.filter(|status| *status == 200)).await;
    let dumped: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("dump/nodes.json")).unwrap()).unwrap();
    let nodes = dumped["nodes"].as_array().unwrap();
    assert_eq!(
        nodes.iter().filter(|node| node["role"] == "Active" || node["role"] == "Online").count(),
        3,
        "{dumped:#}"
    );
    assert_eq!(nodes[1]["synchronizers"][0]["alias"], "mydomain", "{dumped:#}");
    assert!(fs::read_to_string(folder.path().join("dump/configuration.conf")).unwrap().contains("participant2"));

    // Without its synchronizer the participant answers nobody.
    let output = console(folder.path(), &config, &[], "participant1.domains.disconnect(\"mydomain\")\n");
    assert!(output.status.success(), "{output:?}");
    eventually("health being told of silence", async || http_status(health).await.filter(|status| *status == 503))
        .await;
}

async fn http_status(port: u16) -> Option<u16> {
    Some(get(port, "/health").await?.0)
}
