//! Commands that are submitted more than once.

use crate::{
    harness::{Daemon, Participant, free_ports, ready},
    model::offer,
};
use canton_proto::com::daml::ledger::api::v2::{
    Command, Commands, SubmitAndWaitForTransactionRequest, SubmitAndWaitRequest, SubmitAndWaitResponse, SubmitRequest,
    admin::CommandState, command_service_client::CommandServiceClient,
    command_submission_service_client::CommandSubmissionServiceClient,
};
use rpc::RpcError;
use std::fs;
use tonic::Request;

fn commands(party: &str, id: &str, command: Command) -> Option<Commands> {
    Some(Commands {
        user_id: "test".into(),
        command_id: id.into(),
        act_as: vec![party.into()],
        commands: vec![command],
        ..Commands::default()
    })
}

fn asking<T>(idempotent: Option<&'static str>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(idempotent) = idempotent {
        request.metadata_mut().insert("concordat-idempotent", idempotent.parse().unwrap());
    }
    request
}

/// Its update and offset, or the code of the error.
async fn submit(
    participant: &Participant,
    commands: Option<Commands>,
    idempotent: Option<&'static str>,
) -> Result<SubmitAndWaitResponse, String> {
    let request = asking(idempotent, SubmitAndWaitRequest { commands });
    let answer = CommandServiceClient::new(participant.ledger.clone()).submit_and_wait(request).await;
    answer.map(tonic::Response::into_inner).map_err(|status| RpcError::from(status).id.unwrap_or_default())
}

#[tokio::test]
async fn a_retry_is_answered_with_what_the_first_attempt_came_to() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("retries.conf");
    let [domain_admin, public, admin, ledger] = free_ports();
    let text = format!(
        "canton {{
          participants.p {{ admin-api.port = {admin}, ledger-api.port = {ledger} }}
        }}"
    );
    fs::write(&config, text).unwrap();
    let domain = folder.path().join("domain.conf");
    let text = format!("canton.domains.mydomain {{ admin-api.port = {domain_admin}, public-api.port = {public} }}");
    fs::write(&domain, text).unwrap();
    let (_daemon, domain) = (Daemon::start(folder.path(), &config), Daemon::start(folder.path(), &domain));
    ready(domain_admin, "mydomain").await;
    ready(admin, "p").await;
    let participant = Participant::new(admin, ledger);
    participant.connect(&[public]).await;
    let alice = participant.allocate("alice").await;
    participant.upload(lf::models::iou()).await;
    let once = |id: &str| commands(&alice, id, offer(&alice, &alice, "1.0"));

    let first = submit(&participant, once("one"), None).await.unwrap();
    for not_asking in [None, Some("false")] {
        assert_eq!(submit(&participant, once("one"), not_asking).await.unwrap_err(), "DUPLICATE_COMMAND");
    }
    assert_eq!(submit(&participant, once("one"), Some("maybe")).await.unwrap_err(), "INVALID_FIELD");
    assert_eq!(submit(&participant, once("one"), Some("true")).await, Ok(first.clone()));
    let request = SubmitAndWaitForTransactionRequest { commands: once("one"), transaction_format: None };
    let mut client = CommandServiceClient::new(participant.ledger.clone());
    let answer = client.submit_and_wait_for_transaction(asking(Some("true"), request)).await.unwrap().into_inner();
    let transaction = answer.transaction.unwrap();
    assert_eq!((transaction.update_id, transaction.events.len()), (first.update_id, 1));

    // The attempts meet on their way: they are one command.
    let attempts = (0..5).map(|_| submit(&participant, once("two"), Some("true")));
    let ends = futures::future::join_all(attempts).await;
    assert!(ends.iter().all(|end| end.is_ok() && *end == ends[0]), "{ends:?}");
    // Others get an answer of their own.
    let third = submit(&participant, once("three"), Some("true")).await.unwrap();
    assert_ne!(third.update_id, ends[0].as_ref().unwrap().update_id);

    assert_eq!(participant.status_of("o").await, [("one".to_owned(), CommandState::Succeeded, 1)]);
    let two = [("three".to_owned(), CommandState::Succeeded, 1), ("two".to_owned(), CommandState::Succeeded, 1)];
    assert_eq!(participant.status_of("t").await, two);
    assert_eq!(participant.status_of("nobody's").await, []);
    // Without a synchronizer it is not known what becomes of a command, and that is what is said.
    domain.kill();
    let request = SubmitRequest { commands: once("four") };
    CommandSubmissionServiceClient::new(participant.ledger.clone()).submit(request).await.unwrap();
    assert_eq!(participant.status_of("four").await, [("four".to_owned(), CommandState::Pending, 0)]);
}
