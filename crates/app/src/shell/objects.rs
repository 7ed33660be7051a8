//! What scripts name beside nodes: identifiers, connections, files.

use super::{
    commands::{argument, check},
    connections::{self, Sequencers},
    contracts, files, made,
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
const OBJECTS: [(&str, &[&str]); 9] = [
    ("LfContractId", &["assertFromString"]),
    ("ledger_api_utils", &["create", "exercise"]),
    ("DomainConnectionConfig", &["apply"]),
    ("GrpcSequencerConnection", &["tryCreate"]),
    ("SequencerConnections", &["single", FROM_FILE]),
    ("SigningPublicKey", &[FROM_FILE]),
    ("StaticDomainParameters", &[FROM_FILE]),
    ("StoredTopologyTransactions", &[FROM_FILE]),
    ("BinaryFileUtil", &["tryReadByteStringFromFile"]),
];
const FROM_FILE: &str = "tryReadFromFile";
/// Words of a type, which stand for themselves.
const WORDS: [(&str, &[&str]); 5] = [
    ("DomainChoice", &["All"]),
    ("TopologyChangeOp", &["Add", "Remove"]),
    ("RequestSide", &["Both", "From", "To"]),
    ("ParticipantPermission", &["Submission", "Confirmation", "Observation", "Disabled"]),
    ("TrustLevel", &["Ordinary", "Vip"]),
];
/// The folders of the field's packages, in which everything is known that is known without them.
const PACKAGES: [&str; 2] = ["com", "java"];

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
    IDENTIFIERS.into_iter().chain(OBJECTS.iter().chain(&WORDS).map(|(name, _)| *name))
}

/// What an object has.
pub(super) fn members(object: &str) -> Option<Vec<&'static str>> {
    if IDENTIFIERS.contains(&object) {
        return Some([&["apply"][..], &FROM_TEXT].concat());
    }
    OBJECTS.iter().chain(&WORDS).find(|(name, _)| *name == object).map(|(_, members)| members.to_vec())
}

pub(super) fn member(of: &Reference, name: &str) -> Option<Member> {
    if of.kind == "Package" {
        // Packages are written small, what is in them is not.
        return match name.starts_with(char::is_lowercase) {
            true => Some(Member::Value(Value::Reference(Reference { label: name.into(), ..of.clone() }.into()))),
            false => global(name).map(Member::Value),
        };
    }
    if let Some((kind, words)) = WORDS.iter().find(|(kind, _)| *kind == of.path) {
        return words.contains(&name).then(|| Member::Value(Value::Report(kind, name.into())));
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
        (kind, FROM_FILE) => {
            check(arguments, &["inputFile"])?;
            files::load(kind, &argument(arguments, 0, "inputFile")?.plain())
        }
        ("ledger_api_utils", command) => contracts::call(command, arguments),
        ("LfContractId", _) => {
            check(arguments, &["text"])?;
            let id = argument(arguments, 0, "text")?.plain();
            let _: base::ContractId = id.parse().map_err(|error| format!("{id}: {error}"))?;
            Ok(Value::Id("LfContractId", id.into()))
        }
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
            files::read(&argument(arguments, 0, "path")?.plain()).map(connections::bytes)
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
        (Some("WrappedCreatedEvent" | "TemplateId"), _) => contracts::method(of, name, arguments),
        (_, "writeToFile") => {
            let path = argument(arguments, 0, "outputFile").map(|path| path.plain());
            match path {
                Ok(path) => files::save(nodes, of, &path),
                Err(missing) => Some(Err(missing)),
            }
        }
        // All that is listed is in force, and types are not checked.
        (_, "collectOfType") => matches!(of, Value::Data(data) if data.kind == files::TOPOLOGY).then(|| Ok(of.clone())),
        (_, "size") if matches!(of, Value::Data(data) if data.kind == files::TOPOLOGY) => {
            let count = files::read_transactions(of).map(|all| all.len());
            Some(count.map(|count| Value::Int(count.try_into().unwrap_or(i64::MAX))))
        }
        (_, "fingerprint" | "id") if matches!(of, Value::Data(data) if data.kind.ends_with("PublicKey")) => {
            Some(files::read_key(of).map(|key| Value::Id("Fingerprint", key.fingerprint().to_string().into())))
        }
        _ => None,
    }
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
