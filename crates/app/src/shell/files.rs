//! Values that consoles of different machines hand to each other as files: keys, topology, parameters, connections.

use super::{connections::Sequencers, made, nodes::Node};
use ::console::{Data, Value};
use base::Timestamp;
use crypto::{KeyPurpose, PublicKey};
use prost::Message as _;
use std::collections::BTreeMap;
use topology::{Mapping, MappingKey, Operation, SignedTopologyTransaction};
use wire::concordat::{
    admin::v1::{ListTopologyResponse, SequencerConnection, StaticParameters, StoredTopology},
    crypto::v1 as crypto_wire,
};

pub(super) const SIGNING_KEY: &str = "SigningPublicKey";
pub(super) const PARAMETERS: &str = "StaticDomainParameters";
pub(super) const TOPOLOGY: &str = "StoredTopologyTransactions";
pub(super) const CONNECTIONS: &str = "SequencerConnections";
/// What can be read from files.
pub(super) const KINDS: [&str; 4] = [SIGNING_KEY, PARAMETERS, TOPOLOGY, CONNECTIONS];
/// Larger files are none that a command of the console needs.
const MAX_FILE: u64 = 100 << 20;

/// A file begins with its kind, so that none is taken for another.
fn header(kind: &str) -> String {
    format!("concordat {kind} 1\n")
}

pub(super) fn read(path: &str) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{path}: {error}");
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > MAX_FILE {
        return Err(format!("{path}: it has {length} bytes; what the console reads has at most {MAX_FILE}"));
    }
    std::fs::read(path).map_err(failed)
}

/// `tryReadFromFile`
pub(super) fn load(kind: &str, path: &str) -> Result<Value, String> {
    let bytes = read(path)?;
    let header = header(kind);
    let content = bytes.strip_prefix(header.as_bytes()).ok_or_else(|| {
        let first: String = String::from_utf8_lossy(&bytes).lines().next().unwrap_or("").chars().take(60).collect();
        format!("{path}: this is no file of a {kind}; it begins with {first:?}")
    })?;
    let damaged = |error: &dyn std::fmt::Display| format!("{path}: {error}");
    match kind {
        SIGNING_KEY => {
            let key = crypto_wire::PublicKey::decode(content).map_err(|e| damaged(&e))?;
            Ok(public_key(&PublicKey::try_from(&key).map_err(|e| damaged(&e))?))
        }
        PARAMETERS => Ok(parameters(&StaticParameters::decode(content).map_err(|e| damaged(&e))?)),
        TOPOLOGY => transactions(&ListTopologyResponse::decode(content).map_err(|e| damaged(&e))?.topology),
        _ => {
            let read = SequencerConnection::decode(content).map_err(|e| damaged(&e))?;
            Sequencers { uris: read.sequencers, trust: read.trust_certificates }.connections()
        }
    }
}

/// `writeToFile`, of what has it.
pub(super) fn save(nodes: &BTreeMap<String, Node>, value: &Value, path: &str) -> Option<Result<Value, String>> {
    let (kind, bytes) = match value {
        Value::Data(data) if KINDS.contains(&data.kind) => (data.kind, data.bytes.clone()),
        _ if value.record_name() == Some(CONNECTIONS) => match Sequencers::read(nodes, value) {
            Ok(Sequencers { uris, trust }) => {
                let connection = SequencerConnection { sequencers: uris, trust_certificates: trust };
                (CONNECTIONS, connection.encode_to_vec())
            }
            Err(error) => return Some(Err(error)),
        },
        _ => return None,
    };
    let written = std::fs::write(path, [header(kind).into_bytes(), bytes].concat());
    Some(written.map(|()| Value::Unit).map_err(|error| format!("{path}: {error}; does its folder exist?")))
}

/// `SigningPublicKey(id = …, format = DER, scheme = Ed25519)`
pub(super) fn public_key(key: &PublicKey) -> Value {
    let kind = match key.purpose() {
        KeyPurpose::Signing => SIGNING_KEY,
        KeyPurpose::Encryption => "EncryptionPublicKey",
    };
    let id = Value::Id("Fingerprint", key.fingerprint().to_string().into()).pretty();
    let shown = format!("{kind}(id = {id}, format = DER, scheme = {:?})", key.scheme());
    Value::Data(Data { kind, shown, bytes: crypto_wire::PublicKey::from(key).encode_to_vec() }.into())
}

/// The same the other way round.
pub(super) fn read_key(value: &Value) -> Result<PublicKey, String> {
    let Value::Data(data) = value else { return Err(format!("a key is needed, this is {}", value.type_name())) };
    let key = crypto_wire::PublicKey::decode(data.bytes.as_slice()).map_err(|error| error.to_string())?;
    PublicKey::try_from(&key).map_err(|error| error.to_string())
}

/// `StaticDomainParametersV1(…)`
pub(super) fn parameters(parameters: &StaticParameters) -> Value {
    let StaticParameters {
        protocol_version,
        unique_contract_keys,
        signing_key_schemes,
        encryption_key_schemes,
        symmetric_key_schemes,
        hash_algorithms,
        key_formats,
    } = parameters;
    let set = |texts: &[String]| format!("Set({})", texts.join(", "));
    let shown = format!(
        "StaticDomainParametersV1(\n  uniqueContractKeys = {unique_contract_keys},\n  requiredSigningKeySchemes = {},\n  \
         requiredEncryptionKeySchemes = {},\n  requiredSymmetricKeySchemes = {},\n  requiredHashAlgorithms = {},\n  \
         requiredCryptoKeyFormats = {},\n  protocolVersion = {protocol_version}\n)",
        set(signing_key_schemes),
        set(encryption_key_schemes),
        set(symmetric_key_schemes),
        set(hash_algorithms),
        set(key_formats),
    );
    Value::Data(Data { kind: PARAMETERS, shown, bytes: parameters.encode_to_vec() }.into())
}

/// `Seq(StoredTopologyTransaction(…), …)`, which can be written to a file.
pub(super) fn transactions(topology: &[StoredTopology]) -> Result<Value, String> {
    let shown = topology.iter().map(transaction).collect::<Result<Vec<_>, _>>()?;
    let shown = made(Value::vector(shown))?.pretty().replacen("Vector", "Seq", 1);
    let bytes = ListTopologyResponse { topology: topology.to_vec() }.encode_to_vec();
    Ok(Value::Data(Data { kind: TOPOLOGY, shown, bytes }.into()))
}

/// The same the other way round.
pub(super) fn read_transactions(value: &Value) -> Result<Vec<StoredTopology>, String> {
    match value {
        Value::Data(data) if data.kind == TOPOLOGY => {
            let read = ListTopologyResponse::decode(data.bytes.as_slice()).map_err(|error| error.to_string())?;
            Ok(read.topology)
        }
        other => Err(format!("{TOPOLOGY} are needed, this is {}", other.type_name())),
    }
}

pub(super) fn read_transaction(stored: &StoredTopology) -> Result<SignedTopologyTransaction, String> {
    SignedTopologyTransaction::decode(&stored.transaction).map_err(|error| error.to_string())
}

/// `StoredTopologyTransaction(…)`
pub(super) fn transaction(stored: &StoredTopology) -> Result<Value, String> {
    let signed = read_transaction(stored)?;
    let time = |micros: i64| {
        let text = Timestamp::from_micros(micros).map(|time| time.to_string()).unwrap_or_default();
        Value::Report("Instant", text.into())
    };
    let operation = match signed.transaction().operation {
        Operation::AddReplace => "Add",
        Operation::Remove => "Remove",
    };
    let mut fields = Vec::new();
    if stored.sequenced != 0 {
        fields = vec![("sequenced", time(stored.sequenced)), ("validFrom", time(stored.effective))];
    }
    fields.push(("op", Value::Report("TopologyChangeOp", operation.into())));
    fields.push(("mapping", mapping(signed.mapping())?));
    made(Value::record("StoredTopologyTransaction", fields))
}

/// The name of a statement, as commands group them.
pub(super) fn group(key: &MappingKey) -> &'static str {
    match key {
        MappingKey::NamespaceDelegation(..) => "namespace_delegations",
        MappingKey::IdentifierDelegation(..) => "identifier_delegations",
        MappingKey::OwnerToKey(..) => "owner_to_key_mappings",
        MappingKey::PartyToParticipant(..) => "party_to_participant_mappings",
        MappingKey::ParticipantState(..) => "participant_domain_states",
        MappingKey::MediatorState(..) => "mediator_domain_states",
        MappingKey::VettedPackages(..) => "vetted_packages",
        MappingKey::Parameters(..) => "domain_parameters_changes",
    }
}

/// A statement as a record.
pub(super) fn mapping(mapping: &Mapping) -> Result<Value, String> {
    let id = |kind: &'static str, id: &dyn std::fmt::Display| Value::Id(kind, id.to_string().into());
    let word = |kind: &'static str, word: &dyn std::fmt::Debug| Value::Report(kind, format!("{word:?}").into());
    let (name, fields) = match mapping {
        Mapping::NamespaceDelegation { namespace, target, is_root } => (
            "NamespaceDelegation",
            vec![
                ("namespace", id("Namespace", namespace)),
                ("target", public_key(target)),
                ("isRootDelegation", Value::Bool(*is_root)),
            ],
        ),
        Mapping::IdentifierDelegation { uid, target } => {
            ("IdentifierDelegation", vec![("identifier", id("UniqueIdentifier", uid)), ("target", public_key(target))])
        }
        Mapping::OwnerToKey { member, key } => {
            ("OwnerToKeyMapping", vec![("owner", id("KeyOwner", member)), ("key", public_key(key))])
        }
        Mapping::PartyToParticipant { side, party, participant, permission } => (
            "PartyToParticipant",
            vec![
                ("side", word("RequestSide", side)),
                ("party", id("PartyId", party)),
                ("participant", id("ParticipantId", &participant.member())),
                ("permission", word("ParticipantPermission", permission)),
            ],
        ),
        Mapping::ParticipantState { side, synchronizer, participant, permission, trust } => (
            "ParticipantState",
            vec![
                ("side", word("RequestSide", side)),
                ("domain", id("DomainId", synchronizer)),
                ("participant", id("ParticipantId", &participant.member())),
                ("permission", word("ParticipantPermission", permission)),
                ("trustLevel", word("TrustLevel", trust)),
            ],
        ),
        Mapping::MediatorState { side, synchronizer, mediator } => (
            "MediatorDomainState",
            vec![
                ("side", word("RequestSide", side)),
                ("domain", id("DomainId", synchronizer)),
                ("mediator", id("MediatorId", &mediator.member())),
            ],
        ),
        Mapping::VettedPackages { participant, packages } => {
            let packages = packages.iter().map(|package| made(Value::text(package.as_str())));
            let packages = made(Value::vector(packages.collect::<Result<_, _>>()?))?;
            (
                "VettedPackages",
                vec![("participant", id("ParticipantId", &participant.member())), ("packageIds", packages)],
            )
        }
        Mapping::Parameters { synchronizer, parameters } => (
            "DomainParametersChange",
            vec![
                ("domain", id("DomainId", synchronizer)),
                ("domainParameters", super::commands::dynamic_parameters(parameters)?),
            ],
        ),
    };
    made(Value::record(name, fields))
}
