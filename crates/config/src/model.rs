//! What a configuration says, with defaults filled in.

use crate::problem::Problem;
use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

/// Everything in one process's configuration.
#[derive(Debug, Default)]
pub struct Config {
    /// `participants`, by name.
    pub participants: BTreeMap<String, Participant>,
    /// `sequencers`, by name.
    pub sequencers: BTreeMap<String, Sequencer>,
    /// `mediators`, by name.
    pub mediators: BTreeMap<String, Mediator>,
    /// `domain-managers`, by name.
    pub managers: BTreeMap<String, Manager>,
    /// `domains`, by name: simple synchronizers with manager, mediator and sequencer inside.
    pub domains: BTreeMap<String, Sequencer>,
    /// `remote-*`: nodes of other processes that this one may talk to.
    pub remotes: BTreeMap<String, Remote>,
    /// `parameters.ports-file`: where to write the ports that were taken.
    pub ports_file: Option<PathBuf>,
    /// Whether APIs may be reached from other machines without encryption.
    pub allow_plaintext: bool,
    /// `monitoring.health`: what a load balancer may ask.
    pub health: Option<Health>,
    /// What is asked of local nodes and cannot be done by this version: such nodes must not run without it.
    pub unsupported: Vec<Problem>,
}

/// HTTP health of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Where it answers.
    pub server: Api,
    /// What it answers.
    pub check: HealthCheck,
}

/// When `/health` answers 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthCheck {
    /// Whenever the process answers.
    AlwaysHealthy,
    /// On the active replica.
    IsActive {
        /// Of this node.
        node: String,
    },
    /// While a participant of this process answers its own pings.
    Ping {
        /// Which.
        participant: String,
        /// Between two pings.
        interval: Duration,
        /// For an answer.
        timeout: Duration,
    },
}

/// What every node has.
#[derive(Debug, Clone)]
pub struct NodeCommon {
    /// As in the file.
    pub name: String,
    /// Where it keeps its state.
    pub storage: Storage,
    /// Where it is administered.
    pub admin_api: Api,
    /// The name in its identifier.
    pub identifier: Identifier,
    /// How it is replicated.
    pub replication: Replication,
    /// `monitoring.grpc-health-server`.
    pub grpc_health: Option<Api>,
    /// `monitoring.http-health-server`.
    pub http_health: Option<Api>,
}

/// `init.identity.node-identifier`: what a node calls itself at its first start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identifier {
    /// By this name.
    Name(String),
    /// By a name that nobody else has.
    Random,
}

/// A participant.
#[derive(Debug, Clone)]
pub struct Participant {
    /// Common part.
    pub node: NodeCommon,
    /// Where applications connect.
    pub ledger_api: Api,
    /// Who may: `ledger-api.auth-services`, everybody if empty.
    pub auth_services: Vec<AuthService>,
    /// `ledger-api.admin-token`: who shows it may do everything.
    pub admin_token: Option<Secret>,
}

/// An entry of `auth-services`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthService {
    /// How tokens are signed.
    pub tokens: Tokens,
    /// For which audience they must be.
    pub target_audience: Option<String>,
    /// Which scope they must have.
    pub target_scope: Option<String>,
}

/// How tokens are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tokens {
    /// None are needed.
    Wildcard,
    /// With a secret that both sides share.
    Hmac256(Secret),
    /// With the RSA key of a certificate.
    Rs256(PathBuf),
    /// With the key of a certificate, of the curve P-256.
    Es256(PathBuf),
    /// With the key of a certificate, of the curve P-521.
    Es512(PathBuf),
}

/// A sequencer, or a simple synchronizer.
#[derive(Debug, Clone)]
pub struct Sequencer {
    /// Common part.
    pub node: NodeCommon,
    /// Where members connect.
    pub public_api: Api,
    /// The `sequencer` block.
    pub options: SequencerOptions,
    /// Only for a simple synchronizer: `init.domain-parameters` and the dynamic parameters to begin with.
    pub parameters: SynchronizerParameters,
}

/// A mediator.
#[derive(Debug, Clone)]
pub struct Mediator {
    /// Common part.
    pub node: NodeCommon,
}

/// A synchronizer manager.
#[derive(Debug, Clone)]
pub struct Manager {
    /// Common part.
    pub node: NodeCommon,
    /// The dynamic parameters that a new synchronizer begins with.
    pub parameters: SynchronizerParameters,
}

/// `address` and `port` of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Host name or IP address to listen on.
    pub address: String,
    /// TCP port; 0 picks a free one.
    pub port: u16,
    /// Encryption; plain if absent.
    pub tls: Option<Box<Tls>>,
}

/// The `tls` block of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// What the server shows.
    pub identity: KeyPair,
    /// Whom it lets in: `trust-collection-file`.
    pub trust: Option<PathBuf>,
    /// Whether clients must show a certificate.
    pub client_auth: ClientAuth,
    /// What this process shows to its own server.
    pub admin_client: Option<KeyPair>,
    /// Whether TLS 1.2 is spoken beside 1.3.
    pub with_tls12: bool,
}

/// The `tls` block of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// Whom it believes: `trust-collection-file`.
    pub trust: Option<PathBuf>,
    /// What it shows.
    pub identity: Option<KeyPair>,
}

/// Files of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// `cert-chain-file`
    pub cert_chain: PathBuf,
    /// `private-key-file`
    pub private_key: PathBuf,
}

/// `client-auth.type`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// Clients are not asked.
    None,
    /// A certificate that is shown must be good.
    Optional,
    /// Clients must show one.
    Require,
}

/// The `storage` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// Lost when the process ends.
    Memory,
    /// One file, which several processes of one machine may share.
    Sqlite {
        /// The database file.
        path: PathBuf,
    },
    /// A PostgreSQL server.
    Postgres(Box<Postgres>),
}

/// How to reach a PostgreSQL database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    /// `serverName`.
    pub host: String,
    /// `portNumber`.
    pub port: u16,
    /// `databaseName`.
    pub database: String,
    /// `user`.
    pub user: String,
    /// `password`.
    pub password: Option<Secret>,
    /// `currentSchema`: several nodes may share a database, each with a schema of its own.
    pub schema: Option<String>,
    /// `parameters.max-connections`.
    pub max_connections: Option<u32>,
}

/// The `replication` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replication {
    /// Whether other processes may run replicas of this node. On by default where the storage can be shared.
    pub enabled: bool,
    /// Whether a passive replica forwards writes to the active one.
    pub forward_when_passive: bool,
    /// How fast a dead replica is noticed.
    pub profile: HaProfile,
    /// Host name under which the other replicas reach this one; the API's own address if absent.
    pub advertised_address: Option<String>,
}

/// One dial for all times of detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HaProfile {
    /// A lease of 300 ms.
    Fast,
    /// A lease of 1 s.
    #[default]
    Balanced,
    /// A lease of 5 s.
    Tolerant,
}

/// The `sequencer` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequencerOptions {
    /// Whether other sequencers may share the database.
    pub high_availability: bool,
    /// Sequencers that time is divided between; never changes after the start.
    pub total_node_count: u32,
}

/// Dynamic parameters of a new synchronizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynchronizerParameters {
    /// How long participants have to respond.
    pub participant_response_timeout: Duration,
    /// How long the mediator has to decide after that.
    pub mediator_reaction_timeout: Duration,
    /// From sequencing to effect of a topology change.
    pub topology_change_delay: Duration,
    /// How far ledger time may lie from record time.
    pub ledger_time_record_time_tolerance: Duration,
}

/// A node of another process.
#[derive(Debug, Clone)]
pub struct Remote {
    /// As in the file.
    pub name: String,
    /// What it is.
    pub kind: RemoteKind,
    /// Its admin API.
    pub admin_api: Api,
    /// How that is encrypted, if it is.
    pub admin_tls: Option<ClientTls>,
    /// Its Ledger API (participant) or public API (sequencer, domain).
    pub second_api: Option<Api>,
    /// Shown to the Ledger API of a participant.
    pub token: Option<Secret>,
}

/// What a remote node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteKind {
    /// `remote-participants`
    Participant,
    /// `remote-sequencers`
    Sequencer,
    /// `remote-mediators`
    Mediator,
    /// `remote-domain-managers`
    Manager,
    /// `remote-domains`
    Domain,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(zeroize::Zeroizing<String>);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The text, for whoever must send it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl Default for SequencerOptions {
    fn default() -> Self {
        Self { high_availability: true, total_node_count: 10 }
    }
}

impl Default for SynchronizerParameters {
    fn default() -> Self {
        Self {
            participant_response_timeout: Duration::from_secs(30),
            mediator_reaction_timeout: Duration::from_secs(30),
            topology_change_delay: Duration::from_millis(250),
            ledger_time_record_time_tolerance: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// Whether there is nothing to run and nothing to talk to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.participants.is_empty()
            && self.sequencers.is_empty()
            && self.mediators.is_empty()
            && self.managers.is_empty()
            && self.domains.is_empty()
            && self.remotes.is_empty()
    }
}

impl Storage {
    /// Whether several processes can use it.
    #[must_use]
    pub fn can_be_shared(&self) -> bool {
        !matches!(self, Self::Memory)
    }

    /// A place of its own in this storage, for one of the nodes inside a simple synchronizer: `d.db` becomes
    /// `d-mediator.db`, the schema `d` becomes `d_mediator`, with a third of the connections.
    #[must_use]
    pub fn part(&self, part: &str) -> Self {
        match self {
            Self::Memory => Self::Memory,
            Self::Sqlite { path } => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
                Self::Sqlite { path: path.with_file_name(format!("{stem}-{part}{extension}")) }
            }
            Self::Postgres(postgres) => {
                let schema = format!("{}_{part}", postgres.schema());
                let max_connections = postgres.max_connections.map(|all| (all / 3).max(2));
                let own = Postgres { schema: Some(schema), max_connections, ..postgres.as_ref().clone() };
                Self::Postgres(Box::new(own))
            }
        }
    }
}

impl Postgres {
    /// The schema that holds the tables.
    #[must_use]
    pub fn schema(&self) -> &str {
        self.schema.as_deref().unwrap_or("public")
    }
}
