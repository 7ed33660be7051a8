//! Participants that ask their callers for tokens.

use crate::{
    examples::{example, port_of},
    harness::{Daemon, Participant, channel, free_ports, ready},
    model::offer,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use canton_proto::com::daml::ledger::api::v2::{
    Commands, GetUpdatesRequest, SubmitAndWaitRequest, TransactionFormat, TransactionShape, UpdateFormat,
    admin::{
        CreateUserRequest, GetUserRequest, ListUsersRequest, RevokeUserRightsRequest, Right, User, right,
        user_management_service_client::UserManagementServiceClient,
    },
    command_service_client::CommandServiceClient,
    update_service_client::UpdateServiceClient,
};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::{fs, path::Path, process::Command};
use tonic::{Code, Status};

/// As in `examples/tokens.conf`.
const SECRET: &str = "not-safe-for-production";
const ADMIN_TOKEN: &str = "the-consoles-own";

/// A token, valid for an hour.
fn token(claims: &str) -> String {
    let expires = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 3600;
    let message = format!(
        "{}.{}",
        BASE64.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        BASE64.encode(format!("{{{claims}, \"exp\": {expires}}}"))
    );
    let signature = crypto::hmac_sha256(SECRET.as_bytes(), message.as_bytes());
    format!("{message}.{}", BASE64.encode(signature.as_bytes()))
}

fn of_user(name: &str) -> String {
    token(&format!("\"sub\": \"{name}\", \"scope\": \"daml_ledger_api\""))
}

struct Network {
    folder: tempfile::TempDir,
    daemons: Vec<Daemon>,
    public: u16,
}

impl Network {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [admin, public] = free_ports();
        let config = folder.path().join("d.conf");
        let text = format!("canton.domains.d {{ admin-api.port = {admin}, public-api.port = {public} }}");
        fs::write(&config, text).unwrap();
        let daemons = vec![Daemon::start(folder.path(), &config)];
        ready(admin, "d").await;
        Self { folder, daemons, public }
    }

    /// A replica of the example's participant, in this role; gives its ports.
    async fn replica(&mut self, role: &str) -> (u16, u16) {
        let [admin, ledger] = free_ports();
        let ports = [port_of("participants.p", "admin-api", admin), port_of("participants.p", "ledger-api", ledger)];
        self.daemons.push(Daemon::start_with(self.folder.path(), &example("tokens.conf"), &ports));
        assert_eq!(ready(admin, "p").await.role, role);
        (admin, ledger)
    }
}

fn code<T>(answer: Result<T, Status>) -> Code {
    answer.err().map_or(Code::Ok, |status| status.code())
}

/// Calls every method that is described, with an empty message, without a token. How each answers.
async fn all_methods(port: u16) -> Vec<(String, Code)> {
    let all = FileDescriptorSet::decode(rpc::LEDGER_API_V2_DESCRIPTORS).unwrap();
    let mut answers = Vec::new();
    // Health is for everybody.
    for file in all.file.iter().filter(|file| file.package().starts_with("com.daml.ledger.api.")) {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                let mut client = tonic::client::Grpc::new(channel(port));
                client.ready().await.unwrap();
                let codec = tonic_prost::ProstCodec::<(), ()>::default();
                let answer = client.unary(tonic::Request::new(()), path.parse().unwrap(), codec).await;
                answers.push((path, code(answer)));
            }
        }
    }
    answers
}

async fn submit(participant: &Participant, user: &str, id: &str, party: &str) -> Code {
    let commands = Commands {
        user_id: user.into(),
        command_id: id.into(),
        act_as: vec![party.into()],
        commands: vec![offer(party, party, "7.0")],
        ..Commands::default()
    };
    let request = SubmitAndWaitRequest { commands: Some(commands) };
    code(CommandServiceClient::new(participant.ledger.clone()).submit_and_wait(request).await)
}

fn users(participant: &Participant) -> UserManagementServiceClient<rpc::Authorized> {
    UserManagementServiceClient::new(participant.ledger.clone())
}

fn acting(party: &str) -> Right {
    Right { kind: Some(right::Kind::CanActAs(right::CanActAs { party: party.into() })) }
}

#[tokio::test]
async fn callers_do_what_their_tokens_allow() {
    let mut network = Network::start().await;
    let (admin, ledger) = network.replica("Active").await;

    // Whatever method: nobody gets in without a token, or with a bad one.
    let answers = all_methods(ledger).await;
    assert!(answers.iter().all(|(_, code)| matches!(code, Code::Unauthenticated | Code::Unimplemented)), "{answers:?}");
    let guarded = answers.iter().filter(|(_, code)| *code == Code::Unauthenticated).count();
    assert!(guarded >= 40, "{guarded}: {answers:?}");
    for bad in ["", "x", &of_user("u")[1..], &of_user("u").replace('.', "..")] {
        let refused = users(&Participant::showing(admin, ledger, bad)).list_users(ListUsersRequest::default()).await;
        let status = refused.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{bad}");
        assert!(!status.message().contains("token is not taken"), "{status:?}");
    }

    // The first user makes others.
    let first = Participant::showing(admin, ledger, &of_user("participant_admin"));
    first.connect(&[network.public]).await;
    let (alice, bob) = (first.allocate("alice").await, first.allocate("bob").await);
    first.upload(lf::models::iou()).await;
    assert_eq!(submit(&first, "", "not-yet", &alice).await, Code::PermissionDenied);
    let user = User { id: "u".into(), ..User::default() };
    let request = CreateUserRequest { user: Some(user), rights: vec![acting(&alice)] };
    users(&first).create_user(request).await.unwrap();

    let own = Participant::showing(admin, ledger, &of_user("u"));
    assert_eq!(code(users(&own).list_users(ListUsersRequest::default()).await), Code::PermissionDenied);
    assert_eq!(users(&own).get_user(GetUserRequest::default()).await.unwrap().into_inner().user.unwrap().id, "u");
    let other = GetUserRequest { user_id: "participant_admin".into(), ..GetUserRequest::default() };
    assert_eq!(code(users(&own).get_user(other).await), Code::PermissionDenied);
    for (name, party, expected) in [
        ("", &alice, Code::Ok),
        ("u", &alice, Code::Ok),
        ("v", &alice, Code::PermissionDenied),
        ("u", &bob, Code::PermissionDenied),
    ] {
        assert_eq!(submit(&own, name, &format!("{name}-{party}"), party).await, expected, "{name} as {party}");
    }
    let stranger = Participant::showing(admin, ledger, &of_user("nobody"));
    assert_eq!(submit(&stranger, "", "strange", &alice).await, Code::PermissionDenied);
    let claims = format!("\"https://daml.com/ledger-api\": {{\"actAs\": [\"{bob}\"]}}");
    let claiming = Participant::showing(admin, ledger, &token(&claims));
    assert_eq!(submit(&claiming, "whoever", "claimed", &bob).await, Code::Ok);
    assert_eq!(submit(&claiming, "whoever", "claimed-too", &alice).await, Code::PermissionDenied);

    streams_end_with_their_rights(&first, &own, &alice, &bob).await;
    scripts_show_tokens(network.folder.path(), ledger);
}

fn watching(party: &str) -> GetUpdatesRequest {
    let format = canton_proto::com::daml::ledger::api::v2::EventFormat {
        filters_by_party: [(party.to_owned(), canton_proto::com::daml::ledger::api::v2::Filters::default())].into(),
        ..Default::default()
    };
    let transactions =
        TransactionFormat { event_format: Some(format), transaction_shape: TransactionShape::AcsDelta.into() };
    let format = UpdateFormat { include_transactions: Some(transactions), ..UpdateFormat::default() };
    GetUpdatesRequest { update_format: Some(format), ..GetUpdatesRequest::default() }
}

/// A stream of a user ends when the user may no longer see it.
async fn streams_end_with_their_rights(first: &Participant, own: &Participant, alice: &str, bob: &str) {
    let mut client = UpdateServiceClient::new(own.ledger.clone());
    assert_eq!(code(client.get_updates(watching(bob)).await), Code::PermissionDenied);
    let mut stream = client.get_updates(watching(alice)).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    let request = RevokeUserRightsRequest {
        user_id: "u".into(),
        rights: vec![acting(alice)],
        ..RevokeUserRightsRequest::default()
    };
    users(first).revoke_user_rights(request).await.unwrap();
    let end = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended as if all were well"),
            Err(status) => break status.code(),
        }
    };
    assert_eq!(end, Code::PermissionDenied);
    assert_eq!(submit(own, "u", "revoked", alice).await, Code::PermissionDenied);
}

fn scripts_show_tokens(folder: &Path, ledger: u16) {
    let file = folder.join("token");
    fs::write(&file, format!("{ADMIN_TOKEN}\n")).unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/scripts.lf");
    let run = |more: &[&str]| {
        let mut scripts = Command::new(env!("CARGO_BIN_EXE_concordat"));
        scripts.args(["script", "test", "--filter", "giving", "--port", &ledger.to_string()]).args(more).arg(&example);
        scripts.output().unwrap()
    };
    let output = run(&["--access-token-file", file.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    assert!(!run(&[]).status.success());
}

/// The active replica judges the caller by what it showed to the passive one.
#[tokio::test]
async fn a_passive_replica_passes_the_token_on() {
    let mut network = Network::start().await;
    network.replica("Active").await;
    let (admin, ledger) = network.replica("Passive").await;
    let passive = Participant::showing(admin, ledger, ADMIN_TOKEN);
    passive.connect(&[network.public]).await;
    let (alice, bob) = (passive.allocate("alice").await, passive.allocate("bob").await);
    passive.upload(lf::models::iou()).await;
    let claims = format!("\"https://daml.com/ledger-api\": {{\"actAs\": [\"{alice}\"]}}");
    let caller = Participant::showing(admin, ledger, &token(&claims));
    assert_eq!(submit(&caller, "u", "passed-on", &alice).await, Code::Ok);
    assert_eq!(submit(&caller, "u", "refused", &bob).await, Code::PermissionDenied);
}
