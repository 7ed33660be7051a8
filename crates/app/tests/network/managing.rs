//! What operators say to managers, mediators and sequencers through the console.

use crate::{
    console::{console, network, texts},
    harness::Daemon,
};
use std::fs;

const STARTED: &str =
    "utils.retry_until_true(60.seconds)(Seq(mediator1, manager1, participant1).forall(n => n.health.active))\n";
const FOUNDED: &str = "manager1.setup.bootstrap_domain(Seq(sequencer1), Seq(mediator1))
participant1.domains.connect_local(sequencer1)
participant1.health.ping(participant1)
";

/// Types entries into one console; what is printed, and the errors.
fn typed(entries: &str) -> (Vec<String>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let (config, overrides) = network(folder.path());
    fs::write(folder.path().join("other.key"), "something else\n").unwrap();
    let output = console(folder.path(), &config, &overrides, &format!("{STARTED}{entries}"));
    let (text, error) = texts(&output);
    let errors = error.lines().filter(|line| line.starts_with("ERROR")).map(str::to_owned).collect();
    (text.lines().map(str::to_owned).collect(), errors)
}

fn assert_each(found: &[String], expected: &[&str]) {
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

#[test]
fn mediators_and_managers_are_led_to_other_sequencers_at_once() {
    let (text, errors) = typed(&format!(
        "mediator1.sequencer_connection.get().isEmpty
mediator1.sequencer_connection.set(sequencer1)
{FOUNDED}mediator1.sequencer_connection.set(\"localhost:1\")
mediator1.sequencer_connection.set(\"http://127.0.0.1:1\")
participant1.health.maybe_ping(participant1, 1.seconds).isEmpty
mediator1.sequencer_connection.modify(_.addEndpoints(sequencer1.sequencerConnection))
participant1.health.ping(participant1).toString.nonEmpty
mediator1.sequencer_connection.set(sequencer1.sequencerConnection)
manager1.sequencer_connection.modify(_.addEndpoints(\"https://127.0.0.1:1\"))
manager1.sequencer_connection.modify(c => c.addEndpoints(\"http://127.0.0.1:1\"))
participant1.parties.enable(\"alice\").toString.nonEmpty
manager1.sequencer_connection.get().get.toString.contains(\":1\")
"
    ));
    assert!(text.iter().all(|line| line.ends_with("= true") || line.contains(": Duration = ")), "{text:#?}");
    assert_eq!(text.len(), 6, "{text:#?}");
    let expected =
        ["NODE_NOT_INITIALIZED", "is no URI of a sequencer", "either all sequencers of a connection are https"];
    assert_each(&errors, &expected);
}

#[test]
fn managers_say_what_participants_may_do_and_what_all_go_by() {
    let (text, errors) = typed(&format!(
        "{FOUNDED}val active = () => manager1.participants.active(participant1)
println(active(), manager1.participants.list().size)
println(manager1.participants.list().size, participant1.topology.all.list().size == manager1.topology.all.list().size)
manager1.participants.set_state(participant1, ParticipantPermission.Disabled)
println(manager1.participants.active(participant1.id))
manager1.participants.set_state(participant1.id, ParticipantPermission.Submission, TrustLevel.Vip)
println(manager1.participants.active(participant1))
manager1.participants.set_state(participant1, \"Everything\")
manager1.service.update_dynamic_domain_parameters(_.copy(maxRatePerParticipant = 5))
manager1.service.set_participant_response_timeout(20.seconds)
manager1.service.set_max_request_size(\"large\")
manager1.service.set_dynamic_domain_parameters(manager1.service.get_dynamic_domain_parameters.copy(reconciliationInterval = 0.seconds))
val now = manager1.service.get_dynamic_domain_parameters
println(now.maxRatePerParticipant)
println(now.participantResponseTimeout)
manager1.service.get_static_domain_parameters.writeToFile(\"nowhere/p\")
println(manager1.topology.domain_parameters_changes.list().size)
manager1.topology.mediator_domain_states.authorize(TopologyChangeOp.Add, participant1.id.uid, MediatorId(manager1.id))
println(participant1.topology.vetted_packages.list().size)
"
    ));
    let printed: Vec<_> =
        text.iter().filter(|line| !line.contains(" = ") && !line.starts_with(' ') && *line != ")").collect();
    assert_eq!(printed, ["true", "2", "false", "true", "5", "20 seconds", "1", "1"], "{text:#?}");
    let expected = [
        "there are Submission, Confirmation, Observation and Disabled",
        "maxRequestSize is a number",
        "TOPOLOGY_TRANSACTION_INVALID",
        "does its folder exist?",
        "is not this manager's synchronizer",
    ];
    assert_each(&errors, &expected);
}

#[test]
fn keys_are_shown_and_what_does_not_fit_is_refused() {
    let (text, errors) = typed(&format!(
        "val key = sequencer1.keys.secret.generate_signing_key(\"s\")
println(key == sequencer1.keys.secret.list().find(_.name == \"signing\").get.publicKey)
sequencer1.initialization.bootstrap_topology(manager1.topology.all.list())
val parameters = manager1.service.get_static_domain_parameters
sequencer1.initialization.initialize_from_beginning(manager1.id, parameters).publicKey == key
sequencer1.initialization.initialize_from_beginning(participant1.id.uid, parameters)
sequencer1.initialization.bootstrap_topology(manager1.topology.all.list())
manager1.setup.init(sequencer1)
SigningPublicKey.tryReadFromFile(\"other.key\")
SigningPublicKey.tryReadFromFile(\"none.key\")
manager1.setup.helper.authorizeKey(\"key\", \"sequencer\", SequencerId(manager1.id))
{FOUNDED}println(manager1.keys.public.list_owners().map(o => o.signingKeys.size).forall(_ == 1))
println(participant1.keys.public.list_by_owner(participant1.id).head.encryptionKeys.size)
println(participant1.keys.public.list().size > 3)
"
    ));
    let printed: Vec<_> =
        text.iter().filter(|line| !line.contains(" = ") && !line.starts_with(' ') && *line != ")").collect();
    assert_eq!(printed, ["true", "true", "1", "true"], "{text:#?}");
    let expected = [
        "initialize_from_beginning tells it",
        "a sequencer's synchronizer never changes",
        "the initial topology is not sufficient",
        "SYNCHRONIZER_IS_NOT_AVAILABLE",
        "this is no file of a SigningPublicKey; it begins with \"something else\"",
        "No such file",
        "a key is needed, this is String",
    ];
    assert_each(&errors, &expected);
}

/// Kind and name of the node that a console reaches, and what is typed there. `DOMAIN` is what the first has printed.
const STEPS: [(&str, &str, &str); 8] = [
    (
        "domain-managers",
        "manager1",
        r#"utils.retry_until_true(60.seconds)(manager1.health.active)
manager1.health.wait_for_identity()
manager1.service.get_static_domain_parameters.writeToFile("params")
println(manager1.id.toProtoPrimitive)"#,
    ),
    (
        "sequencers",
        "sequencer1",
        r#"val id = DomainId.tryFromString("DOMAIN")
val parameters = StaticDomainParameters.tryReadFromFile("params")
sequencer1.initialization.initialize_from_beginning(id, parameters).publicKey.writeToFile("seq")
SequencerConnections.single(sequencer1.sequencerConnection).writeToFile("connection")"#,
    ),
    (
        "mediators",
        "mediator1",
        r#"utils.retry_until_true(60.seconds)(mediator1.health.active)
mediator1.keys.secret.generate_signing_key(mediator1.name + "-signing").writeToFile("med")"#,
    ),
    (
        "domain-managers",
        "manager1",
        r#"val mediator = MediatorId(manager1.id)
manager1.setup.helper.authorizeKey(SigningPublicKey.tryReadFromFile("seq"), "sequencer", SequencerId(manager1.id))
manager1.setup.helper.authorizeKey(SigningPublicKey.tryReadFromFile("med"), "mediator1", mediator)
manager1.topology.mediator_domain_states.authorize(TopologyChangeOp.Add, manager1.id, mediator, RequestSide.Both)
val all = manager1.topology.all.list().collectOfType[TopologyChangeOp.Positive]
assert(all.size == 6)
all.writeToFile("topology")"#,
    ),
    (
        "sequencers",
        "sequencer1",
        r#"sequencer1.initialization.bootstrap_topology(StoredTopologyTransactions.tryReadFromFile("topology"))
sequencer1.health.wait_for_initialized()"#,
    ),
    (
        "mediators",
        "mediator1",
        r#"val id = DomainId.tryFromString("DOMAIN")
val parameters = StaticDomainParameters.tryReadFromFile("params")
val connections = SequencerConnections.tryReadFromFile("connection")
mediator1.mediator.initialize(id, MediatorId(id), parameters, connections, None)
mediator1.health.wait_for_initialized()"#,
    ),
    (
        "domain-managers",
        "manager1",
        r#"manager1.setup.init(SequencerConnections.tryReadFromFile("connection"))
manager1.health.wait_for_initialized()"#,
    ),
    (
        "participants",
        "participant1",
        r#"utils.retry_until_true(60.seconds)(participant1.health.active)
participant1.domains.connect("mydomain", SequencerConnections.tryReadFromFile("connection"))
participant1.health.ping(participant1)"#,
    ),
];

/// Each console reaches one node, and hands the others files; none of them sees the whole.
#[test]
fn a_synchronizer_is_founded_from_a_console_for_each_node() {
    let folder = tempfile::tempdir().unwrap();
    let (config, overrides) = network(folder.path());
    let _daemon = Daemon::start_with(folder.path(), &config, &overrides);
    let api = |node: &str, api: &str| {
        let given = overrides.iter().find(|o| o.contains(&format!("{node}.{api}")))?;
        Some(format!("{api} {{ address = 127.0.0.1, port = {} }}\n", given.rsplit_once('=')?.1))
    };
    let mut domain = String::new();
    for (kind, name, entries) in STEPS {
        let apis: String = ["admin-api", "public-api", "ledger-api"].iter().filter_map(|a| api(name, a)).collect();
        let remote = folder.path().join(format!("{name}.conf"));
        fs::write(&remote, format!("canton.remote-{kind}.{name} {{\n{apis}}}")).unwrap();
        let waits = format!("utils.retry_until_true(60.seconds)({name}.health.is_running)\n");
        let entries = format!("{waits}{}\n", entries.replace("DOMAIN", &domain));
        let (text, error) = texts(&console(folder.path(), &remote, &[], &entries));
        assert!(error.is_empty(), "{name}: {text}{error}");
        if domain.is_empty() {
            domain = text.trim().to_owned();
        }
    }
}
