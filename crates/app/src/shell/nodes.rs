//! The nodes of a configuration, local and remote, as the console reaches them.

use super::{ShellError, connections::Sequencers, made};
use crate::{
    daemon::tls::{client, own_client},
    status::uri,
};
use ::config::{Api, Config, NodeCommon, RemoteKind, Secret, Tls};
use ::console::{Reference, Value};
use rpc::{Authorized, Bearer, ChannelConfig, ClientTls, TlsError, connect_lazy};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tonic::transport::Channel;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Participant,
    Sequencer,
    Mediator,
    Manager,
    Domain,
}

impl Kind {
    /// The type of its identifiers.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Participant => "ParticipantId",
            Self::Sequencer => "SequencerId",
            Self::Mediator => "MediatorId",
            Self::Manager | Self::Domain => "DomainId",
        }
    }
}

pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) is_local: bool,
    pub(crate) admin: Channel,
    /// Ledger API of a participant.
    ledger: Option<(Channel, Bearer)>,
    /// Public API of a sequencer or domain, and a file of certificates that its own may be signed by.
    pub(crate) public: Option<(String, Option<PathBuf>)>,
    admin_api: Api,
    second_api: Option<Api>,
}

impl Node {
    /// With a token that its Ledger API is shown.
    fn showing(mut self, token: Option<&Secret>) -> Result<Self, ShellError> {
        if let (Some((_, bearer)), Some(token)) = (&mut self.ledger, token) {
            let why = || "its token is no text for a header".into();
            *bearer =
                Bearer::new(token.reveal()).ok_or_else(|| ShellError::Node { node: self.name.clone(), why: why() })?;
        }
        Ok(self)
    }

    /// Ledger API of a participant, if the configuration says where it is.
    pub(crate) fn ledger(&self) -> Option<Authorized> {
        self.ledger.clone().map(|(ledger, bearer)| bearer.over(ledger))
    }

    /// How clients reach a sequencer or domain.
    pub(crate) fn sequencers(&self) -> Result<Sequencers, String> {
        let missing = || format!("{} has no public-api in the configuration", self.name);
        let (uri, trust) = self.public.as_ref().ok_or_else(missing)?;
        let read = |path: &PathBuf| fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
        Ok(Sequencers { uris: vec![uri.clone()], trust: trust.as_ref().map(read).transpose()?.unwrap_or_default() })
    }

    /// Its `config`, as far as operators use it in scripts.
    pub(crate) fn config(&self) -> Result<Value, String> {
        let second = if self.kind == Kind::Participant { "ledgerApi" } else { "publicApi" };
        let mut fields = vec![("adminApi", of_api(&self.admin_api)?)];
        if let Some(api) = &self.second_api {
            fields.push((second, of_api(api)?));
        }
        made(Value::record("LocalNodeConfig", fields))
    }

    /// The node, or a group of its commands.
    pub(crate) fn reference(&self, group: &str) -> Reference {
        let (kind, title) = match self.kind {
            Kind::Participant => ("ParticipantReference", "Participant"),
            Kind::Sequencer => ("SequencerReference", "Sequencer"),
            Kind::Mediator => ("MediatorReference", "Mediator"),
            Kind::Manager => ("DomainManagerReference", "Domain manager"),
            Kind::Domain => ("DomainReference", "Domain"),
        };
        let path = if group.is_empty() { self.name.clone() } else { format!("{}/{group}", self.name) };
        Reference { kind, label: format!("{title} '{}'", self.name), path }
    }
}

fn of_api(api: &Api) -> Result<Value, String> {
    let file = |path: &Path| {
        let path = Value::Report("File", path.display().to_string().into());
        made(Value::record("ExistingFile", vec![("file", path)]))
    };
    let tls = api.tls.as_ref().map(|tls| {
        let version = made(Value::text(if tls.with_tls12 { "TLSv1.2" } else { "TLSv1.3" }))?;
        made(Value::record(
            "TlsBaseServerConfig",
            vec![
                ("certChainFile", file(&tls.identity.cert_chain)?),
                ("privateKeyFile", file(&tls.identity.private_key)?),
                ("minimumServerProtocolVersion", made(Value::option(Some(version)))?),
            ],
        ))
    });
    let port = made(Value::record("Port", vec![("n", Value::Int(api.port.into()))]))?;
    made(Value::record(
        "ServerConfig",
        vec![
            ("address", made(Value::text(&api.address))?),
            ("port", port),
            ("tls", made(Value::option(tls.transpose()?))?),
        ],
    ))
}

pub(crate) fn all(config: &Config) -> Result<BTreeMap<String, Node>, ShellError> {
    let mut nodes = BTreeMap::new();
    let mut add = |node: Node| drop(nodes.insert(node.name.clone(), node));
    for n in config.participants.values() {
        let node = local(&n.node, Kind::Participant, Some(&n.ledger_api))?;
        add(node.showing(n.admin_token.as_ref())?);
    }
    for n in config.sequencers.values() {
        add(local(&n.node, Kind::Sequencer, Some(&n.public_api))?);
    }
    for n in config.domains.values() {
        add(local(&n.node, Kind::Domain, Some(&n.public_api))?);
    }
    for n in config.mediators.values() {
        add(local(&n.node, Kind::Mediator, None)?);
    }
    for n in config.managers.values() {
        add(local(&n.node, Kind::Manager, None)?);
    }
    for n in config.remotes.values() {
        let kind = match n.kind {
            RemoteKind::Participant => Kind::Participant,
            RemoteKind::Sequencer => Kind::Sequencer,
            RemoteKind::Mediator => Kind::Mediator,
            RemoteKind::Manager => Kind::Manager,
            RemoteKind::Domain => Kind::Domain,
        };
        let tls = load(&n.name, n.admin_tls.as_ref().map(client))?;
        // No key says how the second API is encrypted; it is taken to be as the admin API is.
        let second = n.second_api.as_ref().map(|api| (api, tls.clone()));
        let node = node(&n.name, kind, false, &(&n.admin_api, tls), second.as_ref())?;
        add(node.showing(n.token.as_ref())?);
    }
    Ok(nodes)
}

/// Whether a process runs local nodes already: somebody listens where one of them would.
pub(crate) async fn is_running(config: &Config) -> bool {
    let participants = config.participants.values().map(|n| &n.node);
    let sequencers = config.sequencers.values().chain(config.domains.values()).map(|n| &n.node);
    let others = config.mediators.values().map(|n| &n.node).chain(config.managers.values().map(|n| &n.node));
    for node in participants.chain(sequencers).chain(others) {
        let Api { address, port, .. } = &node.admin_api;
        if *port != 0 && tokio::net::TcpStream::connect((address.as_str(), *port)).await.is_ok() {
            return true;
        }
    }
    false
}

type Server<'a> = (&'a Api, Option<ClientTls>);

fn load(name: &str, tls: Option<Result<ClientTls, TlsError>>) -> Result<Option<ClientTls>, ShellError> {
    tls.transpose().map_err(|error| ShellError::Node { node: name.into(), why: error.to_string() })
}

fn local(common: &NodeCommon, kind: Kind, second: Option<&Api>) -> Result<Node, ShellError> {
    let server = |api: &Api| load(&common.name, api.tls.as_deref().map(own_client));
    let second = second.map(|api| Ok::<_, ShellError>((api, server(api)?))).transpose()?;
    node(&common.name, kind, true, &(&common.admin_api, server(&common.admin_api)?), second.as_ref())
}

fn node(
    name: &str,
    kind: Kind,
    is_local: bool,
    admin: &Server<'_>,
    second: Option<&Server<'_>>,
) -> Result<Node, ShellError> {
    let channel = |(api, tls): &Server<'_>| {
        let config = ChannelConfig { tls: tls.clone().unwrap_or_default(), ..ChannelConfig::default() };
        let failed = |error: tonic::transport::Error| ShellError::Node { node: name.into(), why: error.to_string() };
        connect_lazy(&uri(api, tls.is_some()), &config).map_err(failed)
    };
    let is_participant = kind == Kind::Participant;
    let public = |(api, tls): &Server<'_>| {
        let of = |tls: &Tls| tls.trust.clone().unwrap_or_else(|| tls.identity.cert_chain.clone());
        (uri(api, tls.is_some()), api.tls.as_deref().map(of))
    };
    Ok(Node {
        name: name.into(),
        kind,
        is_local,
        admin: channel(admin)?,
        ledger: second.filter(|_| is_participant).map(channel).transpose()?.map(|ledger| (ledger, Bearer::default())),
        public: second.filter(|_| !is_participant).map(public),
        admin_api: admin.0.clone(),
        second_api: second.map(|(api, _)| (*api).clone()),
    })
}
