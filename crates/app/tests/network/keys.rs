//! Keys that are replaced while the network works.

use crate::{
    console::{console, network, texts},
    harness::free_ports,
};
use std::fs;

pub(crate) const FOUNDED: &str =
    "utils.retry_until_true(60.seconds)(Seq(mediator1, manager1, participant1).forall(_.health.active))
manager1.setup.bootstrap_domain(Seq(sequencer1), Seq(mediator1))
participant1.domains.connect_local(sequencer1)
val alice = participant1.parties.enable(\"alice\")
";

/// Of every node, and then what is new of it is what everybody knows.
pub(crate) const ROTATED: &str = "val before = participant1.topology.owner_to_key_mappings.list().map(_.toString)
participant1.keys.secret.rotate_node_keys()
participant1.health.ping(participant1)
mediator1.keys.secret.rotate_node_keys(manager1)
participant1.health.ping(participant1)
sequencer1.keys.secret.rotate_node_keys(manager1)
participant1.health.ping(participant1)
manager1.keys.secret.rotate_node_keys()
participant1.health.ping(participant1)
val after = participant1.topology.owner_to_key_mappings.list().map(_.toString)
println(s\"rotated ${before.size == after.size && after.forall(mapping => !before.contains(mapping))}\")
";

pub(crate) fn errors(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("ERROR")).collect()
}

#[test]
fn the_network_goes_on_with_other_keys_and_so_it_does_when_it_is_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let (config, overrides) = network(folder.path());
    let entries = format!(
        "{FOUNDED}{ROTATED}sequencer1.keys.secret.rotate_node_keys()
val old = mediator1.keys.secret.list().head.publicKey
val key = mediator1.keys.secret.generate_signing_key()
val used = manager1.keys.public.list_by_owner(mediator1.id).head.signingKeys.head
manager1.topology.owner_to_key_mappings.rotate_key(mediator1, mediator1.id, used, key)
participant1.health.ping(participant1)
println(s\"one ${{manager1.keys.public.list_by_owner(mediator1.id).head.signingKeys.head == key}}\")
println(mediator1.keys.secret.list().map(_.name).mkString(\" \"))
"
    );
    let (text, error) = texts(&console(folder.path(), &config, &overrides, &entries));
    let printed = |of: &str| text.lines().any(|line| line == of);
    assert!(printed("rotated true") && printed("one true"), "{text}\n{error}");
    assert!(printed("root signing signing-2 signing-3 encryption"), "{text}\n{error}");
    assert!(matches!(errors(&error)[..], [only] if only.contains("the manager signs its keys: name it")), "{error}");

    // Events that were signed with keys of the past are read again by whoever comes now.
    let entries = "utils.retry_until_true(60.seconds)(Seq(mediator1, manager1, participant1).forall(_.health.active))
participant1.domains.reconnect_all()
println(s\"again ${participant1.health.ping(participant1).toString.nonEmpty}\")
participant1.keys.secret.rotate_node_keys()
println(s\"and again ${participant1.health.ping(participant1).toString.nonEmpty}\")
";
    let (text, error) = texts(&console(folder.path(), &config, &overrides, entries));
    let printed = |of: &str| text.lines().any(|line| line == of);
    assert!(printed("again true") && printed("and again true") && errors(&error).is_empty(), "{text}\n{error}");
}

/// A simple synchronizer has three members.
#[test]
fn a_domain_replaces_the_keys_of_all_nodes_inside() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("simple.conf");
    let [domain_admin, public, participant_admin, ledger] = free_ports();
    let text = format!(
        "canton {{
          domains.mydomain {{ admin-api.port = {domain_admin}, public-api.port = {public} }}
          participants.participant1 {{ admin-api.port = {participant_admin}, ledger-api.port = {ledger} }}
        }}"
    );
    fs::write(&config, text).unwrap();
    let entries = "utils.retry_until_true(60.seconds)(mydomain.health.active && participant1.health.active)
participant1.domains.connect_local(mydomain)
participant1.health.ping(participant1)
val before = participant1.keys.public.list_owners().flatMap(_.signingKeys).map(_.toString)
mydomain.keys.secret.rotate_node_keys()
participant1.health.ping(participant1)
val after = participant1.keys.public.list_owners().flatMap(_.signingKeys).map(_.toString)
println(s\"${before.size} ${after.size} ${after.filter(before.contains(_)).size}\")
";
    let (text, error) = texts(&console(folder.path(), &config, &[], entries));
    assert!(text.lines().any(|line| line == "4 4 1") && errors(&error).is_empty(), "{text}\n{error}");
}
