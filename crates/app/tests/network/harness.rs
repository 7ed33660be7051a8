//! A process of the binary, and clients of what it serves.

use canton_proto::com::daml::ledger::api::v2::{
    Command, Commands, CreatedEvent, SubmitAndWaitForTransactionRequest,
    admin::{
        AllocatePartyRequest, CommandState, CommandStatus, GetCommandStatusRequest, UploadDarFileRequest,
        command_inspection_service_client::CommandInspectionServiceClient,
        package_management_service_client::PackageManagementServiceClient,
        party_management_service_client::PartyManagementServiceClient,
    },
    command_service_client::CommandServiceClient,
    event,
};
use rpc::{
    Authorized, Bearer, ChannelConfig, ClientTls, connect_lazy,
    services::concordat::admin::v1::{
        node_service_client::NodeServiceClient, participant_admin_service_client::ParticipantAdminServiceClient,
    },
};
use std::{
    fs::File,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};
use tonic::transport::Channel;
use wire::concordat::admin::v1::{ConnectSynchronizerRequest, NodeStatus, StatusRequest, SynchronizerConfig};

/// Only a run that hangs reaches it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const POLL: Duration = Duration::from_millis(20);

/// `concordat daemon`, killed with this value.
pub(crate) struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts it in a folder; its log is `daemon.log` there.
    pub(crate) fn start(folder: &Path, config: &Path) -> Self {
        Self::start_with(folder, config, &[])
    }

    /// With keys that win over the file.
    pub(crate) fn start_with(folder: &Path, config: &Path, overrides: &[String]) -> Self {
        Self::start_trusting(folder, config, overrides, None)
    }

    /// With a file of certificates in place of the system's.
    pub(crate) fn start_trusting(folder: &Path, config: &Path, overrides: &[String], trust: Option<&Path>) -> Self {
        Self::spawn(folder, config, overrides, |program| {
            program.envs(trust.map(|file| ("SSL_CERT_FILE", file)));
        })
    }

    /// With a script of the console that runs first.
    pub(crate) fn bootstrapped(folder: &Path, config: &Path, overrides: &[String], script: &Path) -> Self {
        Self::spawn(folder, config, overrides, |program| {
            program.arg("--bootstrap").arg(script);
        })
    }

    fn spawn(
        folder: &Path,
        config: &Path,
        overrides: &[String],
        more: impl FnOnce(&mut std::process::Command),
    ) -> Self {
        let log = File::options().create(true).append(true).open(folder.join("daemon.log")).unwrap();
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_concordat"));
        program.args(["daemon", "-c"]).arg(config).args(overrides.iter().flat_map(|key_value| ["-C", key_value]));
        program.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        more(&mut program);
        Self { child: program.spawn().unwrap() }
    }

    /// As `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `concordat status`, as JSON; all nodes answer.
pub(crate) fn status(config: &Path, overrides: &[String]) -> serde_json::Value {
    let output = concordat(&["status", "-o", "json"], config, overrides);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs the binary to its end.
pub(crate) fn concordat(command: &[&str], config: &Path, overrides: &[String]) -> Output {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_concordat"));
    program.args(command).arg("-c").arg(config).current_dir(config.parent().unwrap());
    program.args(overrides.iter().flat_map(|key_value| ["-C", key_value])).output().unwrap()
}

/// Ports that are free and that nobody else is given: each test process has some of its own, below those that the system
/// gives to clients.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let first = 10_000 + std::process::id() % 175 * 128;
    [(); N].map(|()| {
        let mut ports = (0..128).map(|_| u16::try_from(first + NEXT.fetch_add(1, Ordering::Relaxed) % 128).unwrap());
        ports.find(is_free).unwrap()
    })
}

pub(crate) fn channel(port: u16) -> Channel {
    connect_lazy(&format!("http://127.0.0.1:{port}"), &ChannelConfig::default()).unwrap()
}

/// The same, encrypted.
pub(crate) fn encrypted(port: u16, tls: &ClientTls) -> Channel {
    let config = ChannelConfig { tls: tls.clone(), ..ChannelConfig::default() };
    connect_lazy(&format!("https://localhost:{port}"), &config).unwrap()
}

/// Waits until `look` finds something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not happen");
        tokio::time::sleep(POLL).await;
    }
}

/// The process's node of this name; `None` while it does not answer.
pub(crate) async fn node(admin_port: u16, name: &str) -> Option<NodeStatus> {
    node_of(channel(admin_port), name).await
}

async fn node_of(admin: Channel, name: &str) -> Option<NodeStatus> {
    let answer = NodeServiceClient::new(admin).status(StatusRequest {}).await.ok()?.into_inner();
    answer.nodes.into_iter().find(|node| node.name == name)
}

/// Waits until the process's node of this name is ready.
pub(crate) async fn ready(admin_port: u16, name: &str) -> NodeStatus {
    ready_at(channel(admin_port), name).await
}

/// The same, by any channel.
pub(crate) async fn ready_at(admin: Channel, name: &str) -> NodeStatus {
    let look = async || node_of(admin.clone(), name).await.filter(|node| node.ready && node.initialized);
    eventually(&format!("{name} becoming ready"), look).await
}

/// A participant as operators and applications see it.
pub(crate) struct Participant {
    pub(crate) admin: Channel,
    pub(crate) ledger: Authorized,
}

impl Participant {
    pub(crate) fn new(admin_port: u16, ledger_port: u16) -> Self {
        Self::over(channel(admin_port), channel(ledger_port))
    }

    /// By any channels.
    pub(crate) fn over(admin: Channel, ledger: Channel) -> Self {
        Self { admin, ledger: Bearer::default().over(ledger) }
    }

    /// The participant with this Ledger API, as who shows this token sees it.
    pub(crate) fn showing(admin_port: u16, ledger_port: u16, token: &str) -> Self {
        Self { admin: channel(admin_port), ledger: Bearer::new(token).unwrap().over(channel(ledger_port)) }
    }

    pub(crate) async fn connect(&self, public_ports: &[u16]) {
        self.connect_to(public_ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect()).await;
    }

    pub(crate) async fn connect_to(&self, sequencers: Vec<String>) {
        let config = SynchronizerConfig { alias: "mydomain".into(), sequencers, ..SynchronizerConfig::default() };
        let request = ConnectSynchronizerRequest { config: Some(config) };
        ParticipantAdminServiceClient::new(self.admin.clone()).connect_synchronizer(request).await.unwrap();
    }

    pub(crate) async fn allocate(&self, hint: &str) -> String {
        let request = AllocatePartyRequest { party_id_hint: hint.into(), ..AllocatePartyRequest::default() };
        let answer = PartyManagementServiceClient::new(self.ledger.clone()).allocate_party(request).await.unwrap();
        answer.into_inner().party_details.unwrap().party
    }

    pub(crate) async fn upload(&self, dar_file: Vec<u8>) {
        let request = UploadDarFileRequest { dar_file, ..UploadDarFileRequest::default() };
        let client = PackageManagementServiceClient::new(self.ledger.clone());
        client.max_encoding_message_size(rpc::MAX_DECODING_BYTES).upload_dar_file(request).await.unwrap();
    }

    /// Submits until it is accepted, and returns the contracts that it created.
    pub(crate) async fn submit(&self, party: &str, id: &str, command: Command) -> Vec<CreatedEvent> {
        let mut attempt = 0;
        eventually(&format!("{id} committing"), async || {
            attempt += 1;
            let commands = Commands {
                user_id: "test".into(),
                command_id: format!("{id}-{attempt}"),
                act_as: vec![party.into()],
                commands: vec![command.clone()],
                ..Commands::default()
            };
            let request = SubmitAndWaitForTransactionRequest { commands: Some(commands), transaction_format: None };
            let answer = CommandServiceClient::new(self.ledger.clone()).submit_and_wait_for_transaction(request).await;
            Some(answer.ok()?.into_inner().transaction?.events)
        })
        .await
        .into_iter()
        .filter_map(|event| match event.event {
            Some(event::Event::Created(created)) => Some(created),
            _ => None,
        })
        .collect()
    }

    /// Commands whose ids begin like this: what has become of them, and how many contracts they created.
    pub(crate) async fn status_of(&self, prefix: &str) -> Vec<(String, CommandState, usize)> {
        let request =
            GetCommandStatusRequest { command_id_prefix: prefix.into(), ..GetCommandStatusRequest::default() };
        let mut client = CommandInspectionServiceClient::new(self.ledger.clone());
        let all = client.get_command_status(request).await.unwrap().into_inner().command_status;
        let one = |status: CommandStatus| {
            let created = status.updates.as_ref().map_or(0, |updates| updates.created.len());
            (status.completion.as_ref().unwrap().command_id.clone(), status.state(), created)
        };
        all.into_iter().map(one).collect()
    }
}
