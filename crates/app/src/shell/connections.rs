//! Connections to sequencers: as values of the language, and on the admin API.

use super::{made, nodes::Node};
use ::console::{Data, Show, Value};
use std::collections::BTreeMap;
use wire::concordat::admin::v1::{SynchronizerConfig, SynchronizerStatus};

/// The type of bytes that are read from files.
pub(super) const BYTES: &str = "com.google.protobuf.ByteString";
const DEFAULT: Show = Show::Arrow("Sequencer 'DefaultSequencer'");

/// Sequencers of one synchronizer, and the certificates, PEM, that theirs may be signed by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sequencers {
    pub(super) uris: Vec<String>,
    pub(super) trust: String,
}

/// Bytes as the field's console shows them.
pub(super) fn bytes(bytes: Vec<u8>) -> Value {
    // FNV-1a, to tell one from the other.
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(47)]).into_owned();
    let more = if bytes.len() > 47 { "..." } else { "" };
    let shown = format!("<ByteString@{hash:08x} size={} contents=\"{}{more}\">", bytes.len(), start.escape_default());
    Value::Data(Data { kind: BYTES, shown, bytes }.into())
}

impl Sequencers {
    pub(super) fn is_encrypted(&self) -> bool {
        self.uris.iter().any(|uri| uri.starts_with("https://"))
    }

    /// `GrpcSequencerConnection`
    pub(super) fn connection(&self) -> Result<Value, String> {
        let uris = self.uris.iter().map(|uri| Value::Report("URI", uri.as_str().into())).collect();
        let trust = Some(&self.trust).filter(|pem| !pem.is_empty()).map(|pem| bytes(pem.clone().into_bytes()));
        made(Value::record_shown(
            "GrpcSequencerConnection",
            vec![
                ("endpoints", Show::Few, made(Value::vector(uris))?),
                ("transportSecurity", Show::Always, Value::Bool(self.is_encrypted())),
                ("customTrustCertificates", Show::Flag, made(Value::option(trust))?),
            ],
        ))
    }

    /// `SequencerConnections`
    pub(super) fn connections(&self) -> Result<Value, String> {
        made(Value::record_shown("SequencerConnections", vec![("default", DEFAULT, self.connection()?)]))
    }

    /// What a value says: a URI, a node, a connection, or several of them.
    pub(super) fn read(nodes: &BTreeMap<String, Node>, value: &Value) -> Result<Self, String> {
        match (value, value.record_name()) {
            (Value::Text(uri) | Value::Report("URI", uri), _) => {
                Ok(Self { uris: vec![with_port(uri)?], trust: String::new() })
            }
            (Value::Reference(reference), _) => {
                let node = nodes.get(&reference.path).ok_or_else(|| format!("{} is no node", reference.label))?;
                node.sequencers()
            }
            (_, Some("GrpcSequencerConnection")) => {
                let certificates = value.field("customTrustCertificates").and_then(Value::items);
                let trust = certificates.and_then(<[_]>::first).map(text).transpose()?.unwrap_or_default();
                let endpoints = value.field("endpoints").and_then(Value::items).unwrap_or_default();
                Ok(Self { uris: endpoints.iter().map(Value::plain).collect(), trust })
            }
            (_, Some("SequencerConnections")) => match value.field("default") {
                Some(connection) => Self::read(nodes, connection),
                None => Err("these connections are empty".into()),
            },
            _ => match value.items() {
                Some(each) => {
                    let mut all = Self::default();
                    for one in each {
                        all.add(Self::read(nodes, one)?);
                    }
                    Ok(all)
                }
                None => Err(format!("the URI of a sequencer is needed, this is {}", value.type_name())),
            },
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.uris.extend(other.uris);
        // The same certificate twice is no harm, but is no use either.
        if !self.trust.contains(&other.trust) {
            self.trust.push_str(&other.trust);
        }
    }
}

/// A URI with the port that it stands for where it names none.
fn with_port(uri: &str) -> Result<String, String> {
    let wrong = || format!("{uri} is no URI of a sequencer; write http://host:port or https://host:port");
    let (scheme, rest) = uri.split_once("://").ok_or_else(wrong)?;
    let usual = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return Err(wrong()),
    };
    let host = rest.strip_suffix('/').unwrap_or(rest);
    if host.is_empty() || host.contains('/') {
        return Err(wrong());
    }
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(if has_port { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{usual}") })
}

/// The text of bytes, or of text.
pub(super) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::Text(text) => Ok(text.to_string()),
        Value::Data(data) => String::from_utf8(data.bytes.clone()).map_err(|_| "this is no PEM text".into()),
        other => Err(format!("bytes are needed, this is {}", other.type_name())),
    }
}

/// An alias, as text or as it is shown.
pub(super) fn alias(value: &Value) -> String {
    let plain = value.plain();
    match value {
        Value::Report("DomainAlias", _) => plain.trim_start_matches("Domain '").trim_end_matches('\'').to_owned(),
        _ => plain,
    }
}

/// The same the other way round.
pub(super) fn shown_alias(alias: &str) -> Value {
    Value::Report("DomainAlias", format!("Domain '{alias}'").into())
}

/// `DomainConnectionConfig`
pub(super) fn config(config: &SynchronizerConfig) -> Result<Value, String> {
    let sequencers = Sequencers { uris: config.sequencers.clone(), trust: config.trust_certificates.clone() };
    let id = Some(&config.synchronizer_id).filter(|id| !id.is_empty());
    let id = id.map(|id| Value::Id("DomainId", id.as_str().into()));
    made(Value::record_shown(
        "DomainConnectionConfig",
        vec![
            ("domain", Show::Always, shown_alias(&config.alias)),
            ("sequencerConnections", Show::Always, sequencers.connections()?),
            ("manualConnect", Show::Always, Value::Bool(config.manual_connect)),
            ("domainId", Show::IfSome, made(Value::option(id))?),
            ("priority", Show::IfNotZero, Value::Int(config.priority.into())),
        ],
    ))
}

/// The same the other way round.
pub(super) fn read_config(nodes: &BTreeMap<String, Node>, value: &Value) -> Result<SynchronizerConfig, String> {
    if value.record_name() != Some("DomainConnectionConfig") {
        return Err(format!("a DomainConnectionConfig is needed, this is {}", value.type_name()));
    }
    let field = |name: &str| value.field(name).ok_or_else(|| format!("{name} is missing"));
    let sequencers = Sequencers::read(nodes, field("sequencerConnections")?)?;
    let Value::Bool(manual_connect) = field("manualConnect")? else {
        return Err("manualConnect is true or false".into());
    };
    let priority = match field("priority")? {
        Value::Int(priority) => i32::try_from(*priority).map_err(|_| "the priority is too large".to_owned())?,
        other => return Err(format!("the priority is a number, not {}", other.type_name())),
    };
    let id = match field("domainId")? {
        id @ Value::Id(..) => id.plain(),
        option => option.items().and_then(<[_]>::first).map(Value::plain).unwrap_or_default(),
    };
    Ok(SynchronizerConfig {
        alias: alias(field("domain")?),
        sequencers: sequencers.uris,
        manual_connect: *manual_connect,
        priority,
        synchronizer_id: id,
        trust_certificates: sequencers.trust,
    })
}

/// A pair of the configuration and whether it is connected.
pub(super) fn registered(status: &SynchronizerStatus) -> Result<Value, String> {
    let shown = config(&status.config.clone().unwrap_or_default())?;
    made(Value::tuple(vec![shown, Value::Bool(status.connected)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_read_as_they_are_shown() {
        let written = SynchronizerConfig {
            alias: "mydomain".into(),
            sequencers: vec!["http://127.0.0.1:1".into(), "http://127.0.0.1:2".into()],
            manual_connect: true,
            priority: 10,
            synchronizer_id: "d::1220aabbccddeeff".into(),
            trust_certificates: "-----BEGIN CERTIFICATE-----\n".into(),
        };
        let shown = config(&written).unwrap();
        let text = "DomainConnectionConfig(\n  domain = Domain 'mydomain',\n  sequencerConnections = Sequencer \
                    'DefaultSequencer' -> GrpcSequencerConnection(\n    endpoints = Seq(http://127.0.0.1:1, \
                    http://127.0.0.1:2),\n    transportSecurity = false,\n    customTrustCertificates\n  ),\n  \
                    manualConnect = true,\n  domainId = d::1220aabbccdd...,\n  priority = 10\n)";
        assert_eq!(shown.pretty(), text);
        assert_eq!(read_config(&BTreeMap::new(), &shown).unwrap(), written);
    }

    #[test]
    fn uris_have_ports_and_schemes() {
        for (given, read) in [
            ("https://daml.com", Ok("https://daml.com:443")),
            ("http://[::1]", Ok("http://[::1]:80")),
            ("http://a:5018/", Ok("http://a:5018")),
            ("a:5018", Err(())),
            ("ftp://a", Err(())),
            ("http://a/b", Err(())),
            ("https://", Err(())),
        ] {
            assert_eq!(with_port(given).map_err(drop), read.map(str::to_owned), "{given}");
        }
    }
}
