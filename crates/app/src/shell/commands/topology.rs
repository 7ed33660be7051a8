//! `topology.*`, `participants.*` and `service.*`: what a node knows of the synchronizer, and what its manager says of it.

use super::{NOT_SERVED, Node, argument, check, participant_id, refused, status};
use crate::shell::{files, made, nodes::Kind};
use ::console::{Argument, Value};
use ::topology::{
    Mapping, Operation, Parameters, Permission, Side, SignedTopologyTransaction, TopologyState, TopologyTransaction,
    TrustLevel,
};
use base::{MediatorId, MemberId, ParticipantId, SynchronizerId, Uid};
use crypto::PublicKey;
use rpc::services::concordat::admin::v1::{
    manager_admin_service_client::ManagerAdminServiceClient, topology_service_client::TopologyServiceClient,
};
use std::{collections::BTreeMap, time::Duration};
use wire::concordat::admin::v1::*;

pub(super) async fn all(node: &Node) -> Result<Vec<StoredTopology>, String> {
    let mut client = TopologyServiceClient::new(node.admin.clone());
    Ok(client.list_topology(ListTopologyRequest {}).await.map_err(refused)?.into_inner().topology)
}

async fn mappings(node: &Node) -> Result<Vec<Mapping>, String> {
    let read = |stored: &StoredTopology| Ok(files::read_transaction(stored)?.mapping().clone());
    all(node).await?.iter().map(read).collect()
}

/// All keys that the node knows of members.
pub(super) async fn keys(node: &Node) -> Result<Vec<(MemberId, PublicKey)>, String> {
    let of = |mapping| match mapping {
        Mapping::OwnerToKey { member, key } => Some((member, key)),
        _ => None,
    };
    Ok(mappings(node).await?.into_iter().filter_map(of).collect())
}

/// A member, by any of its identifiers.
pub(super) fn member(value: &Value) -> Result<MemberId, String> {
    let text = match value {
        Value::Id("DomainId", id) => format!("DOM::{id}"),
        other => other.plain(),
    };
    text.parse().map_err(|error| format!("{text}: {error}"))
}

fn uid(value: &Value, prefix: &str) -> Result<Uid, String> {
    let text = value.plain();
    text.strip_prefix(prefix).unwrap_or(&text).parse().map_err(|error| format!("{text}: {error}"))
}

/// Has the manager say something; what it has signed.
pub(super) async fn authorize(
    node: &Node,
    mapping: Mapping,
    is_removal: bool,
) -> Result<SignedTopologyTransaction, String> {
    let operation = if is_removal { Operation::Remove } else { Operation::AddReplace };
    let transaction = TopologyTransaction { operation, ..TopologyTransaction::add(mapping) }.encode();
    let mut client = ManagerAdminServiceClient::new(node.admin.clone());
    let answer = client.authorize_topology(AuthorizeTopologyRequest { transaction }).await.map_err(refused)?;
    SignedTopologyTransaction::decode(&answer.into_inner().transaction).map_err(|error| error.to_string())
}

pub(super) async fn call(
    nodes: &BTreeMap<String, Node>,
    node: &Node,
    path: &str,
    arguments: &[Argument],
) -> Result<Value, String> {
    let parts: Vec<&str> = path.split('.').collect();
    match parts[..] {
        ["topology", "all", "list"] => files::transactions(&all(node).await?),
        ["topology", group, "list"] => {
            let mut shown = Vec::new();
            for stored in all(node).await? {
                if files::group(&files::read_transaction(&stored)?.key()) == group {
                    shown.push(files::transaction(&stored)?);
                }
            }
            made(Value::vector(shown))
        }
        ["topology", group, "authorize"] => {
            let (mapping, is_removal) = wanted(node, group, arguments).await?;
            let signed = authorize(node, mapping, is_removal).await?;
            Ok(crate::shell::connections::bytes(signed.encode().to_vec()))
        }
        ["participants", command] => participants(nodes, node, command, arguments).await,
        ["service", command] => service(node, command, arguments).await,
        _ => Err(format!("{path} {NOT_SERVED}")),
    }
}

/// The statement that the arguments of an `authorize` make.
async fn wanted(node: &Node, group: &str, arguments: &[Argument]) -> Result<(Mapping, bool), String> {
    let is_removal = match argument(arguments, 0, "ops")?.plain().as_str() {
        "Add" => false,
        "Remove" => true,
        other => return Err(format!("{other} is no TopologyChangeOp; there are Add and Remove")),
    };
    let domain = |place| Ok::<_, String>(SynchronizerId(uid(&argument(arguments, place, "domain")?, "DOM::")?));
    let side = |place| match argument(arguments, place, "side").map(|side| side.plain()).as_deref() {
        Ok("From") => Ok(Side::From),
        Ok("To") => Ok(Side::To),
        Ok("Both") | Err(_) => Ok(Side::Both),
        Ok(other) => Err(format!("{other} is no RequestSide; there are From, To and Both")),
    };
    let mapping = match group {
        "mediator_domain_states" => {
            check(arguments, &["ops", "domain", "mediator", "side", "replaceExisting"])?;
            let mediator = MediatorId(uid(&argument(arguments, 2, "mediator")?, "MED::")?);
            Mapping::MediatorState { side: side(3)?, synchronizer: domain(1)?, mediator }
        }
        "participant_domain_states" => {
            check(arguments, &["ops", "domain", "participant", "side", "permission", "trustLevel"])?;
            let participant = ParticipantId(uid(&argument(arguments, 2, "participant")?, "PAR::")?);
            let (permission, trust) = (permission(arguments, 4)?, trust(arguments, 5)?);
            Mapping::ParticipantState { side: side(3)?, synchronizer: domain(1)?, participant, permission, trust }
        }
        "owner_to_key_mappings" => {
            check(arguments, &["ops", "keyOwner", "key", "purpose"])?;
            let member = member(&argument(arguments, 1, "keyOwner")?)?;
            let key = match argument(arguments, 2, "key")? {
                key @ Value::Data(_) => files::read_key(&key)?,
                fingerprint => {
                    let wanted = fingerprint.plain();
                    let known = keys(node).await?.into_iter().map(|(_, key)| key);
                    let found = known.into_iter().find(|key| key.fingerprint().to_string() == wanted);
                    found.ok_or_else(|| format!("the manager knows no key {wanted}; give it the key itself"))?
                }
            };
            Mapping::OwnerToKey { member, key }
        }
        other => return Err(format!("topology.{other}.authorize {NOT_SERVED}")),
    };
    Ok((mapping, is_removal))
}

fn permission(arguments: &[Argument], place: usize) -> Result<Permission, String> {
    match argument(arguments, place, "permission").map(|permission| permission.plain()).as_deref() {
        Ok("Submission") | Err(_) => Ok(Permission::Submission),
        Ok("Confirmation") => Ok(Permission::Confirmation),
        Ok("Observation") => Ok(Permission::Observation),
        Ok("Disabled") => Ok(Permission::Disabled),
        Ok(other) => Err(format!(
            "{other} is no ParticipantPermission; there are Submission, Confirmation, Observation and Disabled"
        )),
    }
}

fn trust(arguments: &[Argument], place: usize) -> Result<TrustLevel, String> {
    match argument(arguments, place, "trustLevel").map(|level| level.plain()).as_deref() {
        Ok("Ordinary") | Err(_) => Ok(TrustLevel::Ordinary),
        Ok("Vip") => Ok(TrustLevel::Vip),
        Ok(other) => Err(format!("{other} is no TrustLevel; there are Ordinary and Vip")),
    }
}

/// `parties.list` and `parties.hosted`: who hosts which parties on the synchronizer, with what permission.
pub(super) async fn parties(node: &Node, path: &str, arguments: &[Argument]) -> Result<Value, String> {
    check(arguments, &["filterParty", "filterParticipant", "filterDomain", "asOf", "limit"])?;
    let filter = |place, name| argument(arguments, place, name).map(|filter| filter.plain()).unwrap_or_default();
    let (party_filter, mut host_filter) = (filter(0, "filterParty"), filter(1, "filterParticipant"));
    if path == "parties.hosted" {
        host_filter = status(node).await?.member;
    }
    let synchronizer = match node.kind {
        Kind::Participant => {
            let connected = super::registered(node).await?.into_iter().find(|status| status.connected);
            match connected {
                Some(status) => SynchronizerId(status.synchronizer_id.parse().map_err(|error| format!("{error}"))?),
                None => return made(Value::vector(Vec::new())),
            }
        }
        _ => synchronizer(node).await?,
    };
    let state = state(node, synchronizer.clone()).await?;
    let head = state.head();
    let mut parties: BTreeMap<_, Vec<(ParticipantId, Permission)>> = BTreeMap::new();
    for participant in head.participants() {
        for (party, permission) in head.parties(&participant) {
            if party.as_str().starts_with(&party_filter) && participant.member().to_string().starts_with(&host_filter) {
                parties.entry(party).or_default().push((participant.clone(), permission));
            }
        }
    }
    let mut shown = Vec::new();
    for (party, hosts) in parties {
        let mut participants = Vec::new();
        for (participant, permission) in hosts {
            let domain = vec![
                ("domain", Value::Id("DomainId", synchronizer.to_string().into())),
                ("permission", Value::Report("ParticipantPermission", format!("{permission:?}").into())),
            ];
            let domains = made(Value::vector(vec![made(Value::record("DomainPermission", domain))?]))?;
            let host = Value::Id("ParticipantId", participant.member().to_string().into());
            let fields = vec![("participant", host), ("domains", domains)];
            participants.push(made(Value::record("ParticipantDomains", fields))?);
        }
        let party = Value::Id("PartyId", party.to_string().into());
        let fields = vec![("party", party), ("participants", made(Value::vector(participants))?)];
        shown.push(made(Value::record("ListPartiesResult", fields))?);
    }
    made(Value::vector(shown))
}

async fn state(node: &Node, synchronizer: SynchronizerId) -> Result<TopologyState, String> {
    let mut state = TopologyState::of(synchronizer);
    for stored in all(node).await? {
        let time = |micros| base::Timestamp::from_micros(micros).map_err(|error| error.to_string());
        state.restore([::topology::StoredTransaction {
            transaction: files::read_transaction(&stored)?,
            sequenced: time(stored.sequenced)?,
            effective: time(stored.effective)?,
        }]);
    }
    Ok(state)
}

async fn synchronizer(node: &Node) -> Result<SynchronizerId, String> {
    let member = status(node).await?.member;
    let uid = member.strip_prefix("DOM::").ok_or("it has no identifier yet")?;
    Ok(SynchronizerId(uid.parse().map_err(|error| format!("{uid}: {error}"))?))
}

async fn participants(
    nodes: &BTreeMap<String, Node>,
    node: &Node,
    command: &str,
    arguments: &[Argument],
) -> Result<Value, String> {
    match command {
        "list" => {
            check(arguments, &[])?;
            let mut shown = Vec::new();
            for mapping in mappings(node).await? {
                if matches!(mapping, Mapping::ParticipantState { .. }) {
                    let item = files::mapping(&mapping)?;
                    shown.push(made(Value::record("ListParticipantDomainStateResult", vec![("item", item)]))?);
                }
            }
            made(Value::vector(shown))
        }
        "set_state" => {
            check(arguments, &["participant", "permission", "trustLevel", "synchronize"])?;
            let participant = participant_id(nodes, &argument(arguments, 0, "participant")?).await?;
            argument(arguments, 1, "permission")?;
            let mapping = Mapping::ParticipantState {
                side: Side::From,
                synchronizer: synchronizer(node).await?,
                participant,
                permission: permission(arguments, 1)?,
                trust: trust(arguments, 2)?,
            };
            authorize(node, mapping, false).await.map(|_| Value::Unit)
        }
        "active" => {
            check(arguments, &["participantId"])?;
            let participant = participant_id(nodes, &argument(arguments, 0, "participantId")?).await?;
            let state = state(node, synchronizer(node).await?).await?;
            Ok(Value::Bool(state.head().is_active_participant(&participant)))
        }
        _ => Err(format!("participants.{command} {NOT_SERVED}")),
    }
}

/// `DynamicDomainParametersV1(…)`
pub(in crate::shell) fn dynamic_parameters(parameters: &Parameters) -> Result<Value, String> {
    let number = |number: u64| Value::Int(number.try_into().unwrap_or(i64::MAX));
    let duration = Value::Duration;
    let fields = vec![
        ("participantResponseTimeout", duration(parameters.confirmation_response_timeout)),
        ("mediatorReactionTimeout", duration(parameters.mediator_reaction_timeout)),
        ("transferExclusivityTimeout", duration(parameters.assignment_exclusivity_timeout)),
        ("topologyChangeDelay", duration(parameters.topology_change_delay)),
        ("ledgerTimeRecordTimeTolerance", duration(parameters.ledger_time_record_time_tolerance)),
        ("reconciliationInterval", duration(parameters.reconciliation_interval)),
        ("mediatorDeduplicationTimeout", duration(parameters.mediator_deduplication_timeout)),
        ("maxRatePerParticipant", number(parameters.max_rate_per_participant.into())),
        ("maxRequestSize", number(parameters.max_request_bytes)),
    ];
    made(Value::record("DynamicDomainParametersV1", fields))
}

/// The same the other way round.
fn read_parameters(value: &Value) -> Result<Parameters, String> {
    if value.record_name() != Some("DynamicDomainParametersV1") {
        return Err(format!("dynamic parameters are needed, this is {}", value.type_name()));
    }
    let duration = |name: &str| match value.field(name) {
        Some(Value::Duration(duration)) => Ok(*duration),
        _ => Err(format!("{name} is a duration such as 30.seconds")),
    };
    let number = |name: &str| match value.field(name) {
        Some(Value::Int(number)) => u64::try_from(*number).map_err(|_| format!("{name} is not negative")),
        _ => Err(format!("{name} is a number")),
    };
    Ok(Parameters {
        confirmation_response_timeout: duration("participantResponseTimeout")?,
        mediator_reaction_timeout: duration("mediatorReactionTimeout")?,
        assignment_exclusivity_timeout: duration("transferExclusivityTimeout")?,
        topology_change_delay: duration("topologyChangeDelay")?,
        ledger_time_record_time_tolerance: duration("ledgerTimeRecordTimeTolerance")?,
        reconciliation_interval: duration("reconciliationInterval")?,
        mediator_deduplication_timeout: duration("mediatorDeduplicationTimeout")?,
        max_rate_per_participant: u32::try_from(number("maxRatePerParticipant")?)
            .map_err(|_| "maxRatePerParticipant is too large".to_owned())?,
        max_request_bytes: number("maxRequestSize")?,
    })
}

/// What `service.update_dynamic_domain_parameters` changes.
pub(super) async fn subject(node: &Node) -> Result<Value, String> {
    dynamic_parameters(&current(node).await?)
}

async fn current(node: &Node) -> Result<Parameters, String> {
    let of = |mapping| match mapping {
        Mapping::Parameters { parameters, .. } => Some(parameters),
        _ => None,
    };
    mappings(node).await?.into_iter().find_map(of).ok_or_else(|| "it knows no synchronizer yet".into())
}

async fn service(node: &Node, command: &str, arguments: &[Argument]) -> Result<Value, String> {
    let duration = |name: &'static str| -> Result<Duration, String> {
        check(arguments, &[name])?;
        match argument(arguments, 0, name)? {
            Value::Duration(duration) => Ok(duration),
            other => Err(format!("{name} is a duration such as 30.seconds, not {}", other.type_name())),
        }
    };
    let number = |name: &'static str| -> Result<u64, String> {
        check(arguments, &[name])?;
        match argument(arguments, 0, name)? {
            Value::Int(number) => u64::try_from(number).map_err(|_| format!("{name} is not negative")),
            other => Err(format!("{name} is a number, not {}", other.type_name())),
        }
    };
    let mut parameters = match command {
        "get_static_domain_parameters" => {
            let mut client = ManagerAdminServiceClient::new(node.admin.clone());
            let answer = client.get_static_parameters(GetStaticParametersRequest {}).await.map_err(refused)?;
            let parameters = answer.into_inner().parameters.ok_or("it answers without parameters")?;
            return Ok(files::parameters(&parameters));
        }
        // What it sets is all that it says.
        "set_dynamic_domain_parameters" => {
            check(arguments, &["dynamicDomainParameters", "force"])?;
            read_parameters(&argument(arguments, 0, "dynamicDomainParameters")?)?
        }
        "update_dynamic_domain_parameters" => {
            check(arguments, &["modifier", "force"])?;
            read_parameters(&argument(arguments, 0, "modifier")?)?
        }
        _ => current(node).await?,
    };
    match command {
        "get_dynamic_domain_parameters" => return dynamic_parameters(&parameters),
        "set_reconciliation_interval" => parameters.reconciliation_interval = duration("newReconciliationInterval")?,
        "set_mediator_deduplication_timeout" => {
            parameters.mediator_deduplication_timeout = duration("newMediatorDeduplicationTimeout")?;
        }
        "set_participant_response_timeout" => parameters.confirmation_response_timeout = duration("timeout")?,
        "set_mediator_reaction_timeout" => parameters.mediator_reaction_timeout = duration("timeout")?,
        "set_max_request_size" => parameters.max_request_bytes = number("maxRequestSize")?,
        "set_max_rate_per_participant" => {
            let rate = number("maxRatePerParticipant")?;
            parameters.max_rate_per_participant = rate.try_into().map_err(|_| "the rate is too large".to_owned())?;
        }
        _ => {}
    }
    let synchronizer = synchronizer(node).await?;
    authorize(node, Mapping::Parameters { synchronizer, parameters }, false).await.map(|_| Value::Unit)
}
