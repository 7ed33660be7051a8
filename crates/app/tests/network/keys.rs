//! Keys that are replaced while the network works.

use crate::{
    console::{console, network, texts},
    harness::{Daemon, Participant, concordat, eventually, free_ports},
    model::offer,
};
use canton_proto::com::daml::ledger::api::v2::{
    Commands, SubmitAndWaitForTransactionRequest, command_service_client::CommandServiceClient,
};
use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tonic::Code;

const FOUNDED: &str =
    "utils.retry_until_true(60.seconds)(Seq(mediator1, manager1, participant1).forall(_.health.active))
manager1.setup.bootstrap_domain(Seq(sequencer1), Seq(mediator1))
participant1.domains.connect_local(sequencer1)
val alice = participant1.parties.enable(\"alice\")
";

/// Of every node, and then what is new of it is what everybody knows.
const ROTATED: &str = "val before = participant1.topology.owner_to_key_mappings.list().map(_.toString)
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

fn errors(text: &str) -> Vec<&str> {
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

#[tokio::test]
async fn no_command_notices_that_all_keys_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (config, overrides) = network(folder.path());
    let script = folder.path().join("found.canton");
    fs::write(&script, format!("{FOUNDED}println(alice.toProtoPrimitive)\n")).unwrap();
    let port =
        |key: &str| overrides.iter().find(|o| o.contains(key)).unwrap().rsplit_once('=').unwrap().1.parse().unwrap();
    let client = Participant::new(port("participant1.admin-api"), port("participant1.ledger-api"));
    let _daemon = Daemon::start_with(folder.path(), &config, &overrides);
    let founded = concordat(&["run", script.to_str().unwrap()], &config, &overrides);
    let (text, error) = texts(&founded);
    let alice = text.lines().last().unwrap_or_else(|| panic!("{error}")).to_owned();
    client.upload(lf::models::iou()).await;

    let (ends, committed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let progress = async |what: &str, beyond: usize| {
        eventually(what, async || (committed.load(Ordering::SeqCst) > beyond).then_some(())).await;
    };
    let script = folder.path().join("rotate.canton");
    fs::write(&script, ROTATED).unwrap();
    let rotation = async {
        progress("the first commands committing", 20).await;
        let (script, config, more) = (script.to_str().unwrap().to_owned(), config.clone(), overrides.clone());
        let rotate = move || concordat(&["run", &script], &config, &more);
        let (text, error) = texts(&tokio::task::spawn_blocking(rotate).await.unwrap());
        assert!(text.lines().any(|line| line == "rotated true"), "{text}\n{error}");
        progress("more commands committing", committed.load(Ordering::SeqCst) + 20).await;
        ends.store(true, Ordering::SeqCst);
    };
    let ((commands, retries), ()) = tokio::join!(load(&client, &alice, &ends, &committed), rotation);

    // Each once.
    let script = folder.path().join("count.canton");
    fs::write(&script, format!("println(participant1.ledger_api.acs.of_party(\"{alice}\").size)\n")).unwrap();
    let counted = concordat(&["run", script.to_str().unwrap()], &folder.path().join("network.conf"), &overrides);
    let (text, error) = texts(&counted);
    assert_eq!(text.trim().parse::<usize>().ok(), Some(commands), "{text}\n{error}");
    println!("{commands} commands, {retries} tried again");
}

/// One command after the other, each until it is known to be committed.
async fn load(client: &Participant, party: &str, ends: &AtomicBool, committed: &AtomicUsize) -> (usize, usize) {
    let (mut commands, mut retries) = (0, 0);
    while !ends.load(Ordering::SeqCst) {
        let request = SubmitAndWaitForTransactionRequest {
            commands: Some(Commands {
                user_id: "test".into(),
                command_id: format!("load-{commands}"),
                act_as: vec![party.to_owned()],
                commands: vec![offer(party, party)],
                ..Commands::default()
            }),
            transaction_format: None,
        };
        eventually("a command committing", async || {
            let mut service = CommandServiceClient::new(client.ledger.clone());
            match service.submit_and_wait_for_transaction(request.clone()).await {
                Ok(_) => Some(()),
                // An attempt before this one.
                Err(status) if status.code() == Code::AlreadyExists => Some(()),
                Err(_) => {
                    retries += 1;
                    None
                }
            }
        })
        .await;
        commands += 1;
        committed.store(commands, Ordering::SeqCst);
    }
    (commands, retries)
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
