//! What scripts name beside nodes: identifiers, connections, files.

use super::{
    commands::{argument, check},
    connections::{self, Sequencers},
    made,
    nodes::Node,
};
use ::console::{Argument, Member, Reference, Show, Value};
use std::collections::BTreeMap;
use wire::concordat::admin::v1::SynchronizerConfig;

const IDENTIFIERS: [&str; 6] =
    ["PartyId", "ParticipantId", "DomainId", "UniqueIdentifier", "SequencerId", "MediatorId"];
/// What makes identifiers of text.
const FROM_TEXT: [&str; 2] = ["tryFromProtoPrimitive", "tryFromString"];
/// Objects, and what they can do.
const OBJECTS: [(&str, &[&str]); 4] = [
    ("DomainConnectionConfig", &["apply"]),
    ("GrpcSequencerConnection", &["tryCreate"]),
    ("SequencerConnections", &["single"]),
    ("BinaryFileUtil", &["tryReadByteStringFromFile"]),
];
/// The folders of the field's packages, in which everything is known that is known without them.
const PACKAGES: [&str; 2] = ["com", "java"];
/// Larger files are none that a command of the console needs.
const MAX_FILE: u64 = 100 << 20;

/// The name of an object or the beginning of a package.
pub(super) fn global(name: &str) -> Option<Value> {
    let kind = match name {
        name if PACKAGES.contains(&name) => "Package",
        name => members(name).map(|_| "Object")?,
    };
    Some(Value::Reference(Reference { kind, label: name.into(), path: name.into() }.into()))
}

/// All objects.
pub(super) fn globals() -> impl Iterator<Item = &'static str> {
    IDENTIFIERS.into_iter().chain(OBJECTS.iter().map(|(name, _)| *name))
}

/// What an object has.
pub(super) fn members(object: &str) -> Option<Vec<&'static str>> {
    if IDENTIFIERS.contains(&object) {
        return Some([&["apply"][..], &FROM_TEXT].concat());
    }
    OBJECTS.iter().find(|(name, _)| *name == object).map(|(_, members)| members.to_vec())
}

pub(super) fn member(of: &Reference, name: &str) -> Option<Member> {
    if of.kind == "Package" {
        // Packages are written small, what is in them is not.
        return match name.starts_with(char::is_lowercase) {
            true => Some(Member::Value(Value::Reference(Reference { label: name.into(), ..of.clone() }.into()))),
            false => global(name).map(Member::Value),
        };
    }
    members(&of.path)?.contains(&name).then_some(Member::Command)
}

pub(super) fn call(
    nodes: &BTreeMap<String, Node>,
    object: &str,
    command: &str,
    arguments: &[Argument],
) -> Result<Value, String> {
    if let Some(kind) = IDENTIFIERS.into_iter().find(|kind| *kind == object) {
        return identifier(kind, command == "apply", arguments);
    }
    match (object, command) {
        ("DomainConnectionConfig", _) => {
            let names = ["domain", "sequencerConnections", "manualConnect", "domainId", "priority"];
            check(arguments, &names)?;
            let usual = connections::config(&SynchronizerConfig::default())?;
            let mut fields = Vec::new();
            for (place, name) in names.into_iter().enumerate() {
                let given = argument(arguments, place, name).or_else(|missing| match place {
                    0 | 1 => Err(missing),
                    _ => usual.field(name).cloned().ok_or(missing),
                });
                fields.push((name, Show::Always, given?));
            }
            // Reading it checks it, and brings it into the form in which it is shown.
            let given = made(Value::record_shown("DomainConnectionConfig", fields))?;
            connections::config(&connections::read_config(nodes, &given)?)
        }
        ("GrpcSequencerConnection", _) => {
            check(arguments, &["connection", "customTrustCertificates"])?;
            let mut sequencers = Sequencers::read(nodes, &argument(arguments, 0, "connection")?)?;
            if let Ok(certificates) = argument(arguments, 1, "customTrustCertificates") {
                let some = certificates.items().map_or(Some(&certificates), <[_]>::first);
                sequencers.trust = some.map(connections::text).transpose()?.unwrap_or_default();
            }
            sequencers.connection()
        }
        ("SequencerConnections", "single") => {
            check(arguments, &["connection"])?;
            Sequencers::read(nodes, &argument(arguments, 0, "connection")?)?.connections()
        }
        ("BinaryFileUtil", _) => {
            check(arguments, &["path"])?;
            read(&argument(arguments, 0, "path")?.plain()).map(connections::bytes)
        }
        _ => Err(format!("{object} has no {command}")),
    }
}

/// What values of the console's own can do; `None` if it is nothing of that.
pub(super) fn method(
    nodes: &BTreeMap<String, Node>,
    of: &Value,
    name: &str,
    arguments: &[Argument],
) -> Option<Result<Value, String>> {
    match (of.record_name(), name) {
        (Some("GrpcSequencerConnection"), "addEndpoints") => Some((|| {
            let mut sequencers = Sequencers::read(nodes, of)?;
            for one in arguments {
                sequencers.add(Sequencers::read(nodes, &one.value)?);
            }
            sequencers.connection()
        })()),
        _ => None,
    }
}

pub(super) fn read(path: &str) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{path}: {error}");
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > MAX_FILE {
        return Err(format!("{path}: it has {length} bytes; what the console reads has at most {MAX_FILE}"));
    }
    std::fs::read(path).map_err(failed)
}

/// An identifier that has been written as text, or that is made of a unique one.
fn identifier(kind: &'static str, is_made: bool, arguments: &[Argument]) -> Result<Value, String> {
    check(arguments, &["text"])?;
    let given = argument(arguments, 0, "text")?.plain();
    let prefix = match kind {
        "ParticipantId" => "PAR::",
        "SequencerId" => "SEQ::",
        "MediatorId" => "MED::",
        _ => "",
    };
    let text = if is_made { format!("{prefix}{given}") } else { given };
    let unique = text.strip_prefix(prefix).ok_or_else(|| format!("{text} does not begin with {prefix}"))?;
    let _: base::Uid = unique.parse().map_err(|error| format!("{text}: {error}"))?;
    Ok(Value::Id(kind, text.into()))
}
