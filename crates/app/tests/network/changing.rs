//! Keys, members and parameters change while commands go on.

use crate::{
    console::{network, texts},
    harness::{Daemon, Participant, concordat, eventually, free_ports},
    keys::{FOUNDED, ROTATED},
    model::offer,
};
use canton_proto::com::daml::ledger::api::v2::{
    Commands, SubmitAndWaitForTransactionRequest, command_service_client::CommandServiceClient,
};
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tonic::Code;

/// Runs a script of the console while commands are submitted: what it printed. `more` are other nodes that the console knows
/// besides those of the example.
async fn under_load(folder: &Path, more: &str, script: &str) -> String {
    let (config, overrides) = network(folder);
    let run = |name: &str, config: &Path, script: &str| {
        let file = folder.join(name);
        fs::write(&file, script).unwrap();
        let (file, config, overrides) = (file.to_str().unwrap().to_owned(), config.to_owned(), overrides.clone());
        tokio::task::spawn_blocking(move || texts(&concordat(&["run", &file], &config, &overrides)))
    };
    let port =
        |key: &str| overrides.iter().find(|o| o.contains(key)).unwrap().rsplit_once('=').unwrap().1.parse().unwrap();
    let client = Participant::new(port("participant1.admin-api"), port("participant1.ledger-api"));
    let _daemon = Daemon::start_with(folder, &config, &overrides);
    let (text, error) =
        run("found.canton", &config, &format!("{FOUNDED}println(alice.toProtoPrimitive)\n")).await.unwrap();
    let alice = text.lines().last().unwrap_or_else(|| panic!("{error}")).to_owned();
    client.upload(lf::models::iou()).await;
    let (others, all) = (folder.join("more.conf"), folder.join("all.conf"));
    fs::write(&others, more).unwrap();
    fs::write(&all, fs::read_to_string(&config).unwrap() + more).unwrap();
    let _others = (!more.is_empty()).then(|| Daemon::start(folder, &others));

    let (ends, committed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let progress = async |what: &str| {
        let so_far = committed.load(Ordering::SeqCst);
        eventually(what, async || (committed.load(Ordering::SeqCst) > so_far + 20).then_some(())).await;
    };
    let change = async {
        progress("the first commands committing").await;
        let (text, error) = run("change.canton", &all, script).await.unwrap();
        progress("more commands committing").await;
        ends.store(true, Ordering::SeqCst);
        (text, error)
    };
    let (commands, (printed, error)) = tokio::join!(load(&client, &alice, &ends, &committed), change);
    assert!(error.is_empty(), "{printed}\n{error}");

    // Each once.
    let count = format!("println(participant1.ledger_api.acs.of_party(\"{alice}\").size)\n");
    let (text, error) = run("count.canton", &config, &count).await.unwrap();
    assert_eq!(text.trim().parse::<usize>().ok(), Some(commands), "{text}\n{error}");
    printed
}

#[tokio::test]
async fn no_command_notices_that_all_keys_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let printed = under_load(folder.path(), "", ROTATED).await;
    assert_eq!(printed.lines().last(), Some("rotated true"), "{printed}");
}

/// A second sequencer, mediator and participant, other parameters, and at the end without the first mediator.
#[tokio::test]
async fn members_come_and_go_and_parameters_change() {
    let folder = tempfile::tempdir().unwrap();
    let [sequencer, public, mediator, participant, ledger] = free_ports();
    let more = format!(
        "canton {{
          sequencers.sequencer2 {{
            storage {{ type = sqlite, config.file = \"sequencer.db\" }}
            admin-api.port = {sequencer}, public-api.port = {public}
          }}
          mediators.mediator2 {{
            storage {{ type = sqlite, config.file = \"mediator2.db\" }}, admin-api.port = {mediator}
          }}
          participants.participant2 {{
            storage {{ type = sqlite, config.file = \"participant2.db\" }}
            admin-api.port = {participant}, ledger-api.port = {ledger}
          }}
        }}"
    );
    let script = "utils.retry_until_true(60.seconds)(mediator2.health.active && participant2.health.active)
manager1.setup.onboard_new_sequencer(sequencer1, sequencer2)
println(manager1.sequencer_connection.get().isDefined)
manager1.setup.authorize_mediator(mediator2)
println(manager1.topology.mediator_domain_states.list().size)
participant2.domains.connect_local(sequencer2)
println(participant2.health.ping(participant1).toString.nonEmpty)
manager1.service.set_participant_response_timeout(20.seconds)
println(manager1.service.get_dynamic_domain_parameters.participantResponseTimeout)
manager1.topology.mediator_domain_states.authorize(TopologyChangeOp.Remove, manager1.id, mediator1.id)
println(participant1.health.ping(participant2).toString.nonEmpty)
mediator2.keys.secret.rotate_node_keys(manager1)
println(participant2.health.ping(participant1).toString.nonEmpty)
";
    let printed = under_load(folder.path(), &more, script).await;
    assert_eq!(printed.lines().collect::<Vec<_>>(), ["true", "2", "true", "20 seconds", "true", "true"], "{printed}");
}

/// One command after the other, each until it is known to be committed.
async fn load(client: &Participant, party: &str, ends: &AtomicBool, committed: &AtomicUsize) -> usize {
    let mut commands = 0;
    while !ends.load(Ordering::SeqCst) {
        let request = SubmitAndWaitForTransactionRequest {
            commands: Some(Commands {
                user_id: "test".into(),
                command_id: format!("load-{commands}"),
                act_as: vec![party.to_owned()],
                commands: vec![offer(party, party, "1.0")],
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
                Err(_) => None,
            }
        })
        .await;
        commands += 1;
        committed.store(commands, Ordering::SeqCst);
    }
    commands
}
