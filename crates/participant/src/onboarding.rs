//! Topology changes that a participant asks for: its own onboarding, parties, packages (spec/protocol.md §6.7).

use crate::{ParticipantError, active::Active, shell::Connection, store::Registered};
use base::{MessageId, PackageId, Timestamp};
use crypto::{KeyPurpose, PublicKey};
use identity::random;
use protocol::{
    message::EnvelopeContent,
    sequencing::{Envelope, Recipients, Submission},
};
use sequencer_client::{ClientConfig, ClientError, Synchronizer};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;
use topology::{Mapping, Operation, RegisterRequest, Registration, SignedTopologyTransaction, TopologyState, build};

/// How long a change of topology may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long sequencers may take to come online.
const OFFLINE: Duration = Duration::from_secs(10);
/// What they answer before.
const NOT_ONLINE: &str = base::codes::SYNCHRONIZER_IS_NOT_AVAILABLE.id;
/// How often a newcomer asks whether it has been admitted.
const POLL: Duration = Duration::from_millis(50);
/// How long a request for a change may wait to be sequenced.
const WINDOW: Duration = Duration::from_secs(10);

/// Becomes a member of the synchronizer, unless it is one already.
pub(crate) async fn onboard(
    active: &Active,
    registered: &Registered,
    config: &ClientConfig,
) -> Result<(), ParticipantError> {
    let Active { identity, me, workflows, .. } = active;
    if Synchronizer::is_active(config, &me.member()).await? {
        return Ok(());
    }
    let empty = TopologyState::of(registered.synchronizer.clone());
    let mut mappings = build::participant(me, identity.root_key(), &identity.message_keys());
    mappings.extend(workflows.iter().map(|workflows| build::vetting(me, workflows.packages())));
    mappings.push(build::join(me, &registered.synchronizer));
    let signed: Vec<_> = mappings.into_iter().map(|m| identity.authorize(&empty, m).encode()).collect();
    let member = me.member();
    ask_while_offline(|| Synchronizer::onboard(config, &member, Vec::clone(&signed))).await?;
    let admitted = async {
        while !Synchronizer::is_active(config, &me.member()).await? {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, admitted).await {
        Ok(result) => result,
        Err(_) => Err(ParticipantError::Timeout("the admission by the synchronizer's manager")),
    }
}

/// Asks again as long as the sequencers answer that none of them is online, as right after the founding.
async fn ask_while_offline<R>(ask: impl Fn() -> R) -> Result<(), ClientError>
where
    R: Future<Output = Result<(), ClientError>>,
{
    let until = Instant::now() + OFFLINE;
    loop {
        match ask().await {
            Err(ClientError::Rpc(error)) if error.id.as_deref() == Some(NOT_ONLINE) && Instant::now() < until => {
                tokio::time::sleep(POLL).await;
            }
            outcome => return outcome,
        }
    }
}

/// Hosts a new party of the participant's own namespace, and waits until it can act.
pub(crate) async fn host(active: &Active, party: &base::Uid) -> Result<(), ParticipantError> {
    let mapping = build::party(party, &active.me, topology::Permission::Submission);
    change(active, mapping, Operation::AddReplace).await
}

/// Vets packages beside those that are vetted already, and waits until that is in force.
pub(crate) async fn vet(active: &Active, packages: &BTreeSet<PackageId>) -> Result<(), ParticipantError> {
    let _alone = active.vetting.lock().await;
    let connection = active.connection().ok_or(ParticipantError::NotConnected)?;
    let state = connection.topology.borrow().clone();
    let vetted = state.head().vetted(&active.me).cloned().unwrap_or_default();
    if packages.is_subset(&vetted) {
        return Ok(());
    }
    change(active, build::vetting(&active.me, vetted.union(packages).cloned()), Operation::AddReplace).await
}

/// Replaces the keys for signing and encryption: makes new ones, and once they are in force takes the old ones from the
/// synchronizer. What was encrypted with those can be read for ever. Returns the new ones with their names.
pub(crate) async fn rotate(active: &Active) -> Result<Vec<(String, PublicKey)>, ParticipantError> {
    let _alone = active.rotating.lock().await;
    let connection = active.connection().ok_or(ParticipantError::NotConnected)?;
    let member = active.me.member();
    let of_member = |key: PublicKey| Mapping::OwnerToKey { member: member.clone(), key };
    let old: Vec<PublicKey> = connection.topology.borrow().head().keys(&member).into_iter().cloned().collect();
    let mut made = Vec::new();
    for purpose in [KeyPurpose::Signing, KeyPurpose::Encryption] {
        let (name, key) = active.identity.add_key(purpose, &active.db, &active.epoch).await?;
        change(active, of_member(key.clone()), Operation::AddReplace).await?;
        made.push((name, key));
    }
    for key in old {
        change(active, of_member(key), Operation::Remove).await?;
    }
    Ok(made)
}

/// Has a statement about a mapping of the participant's own admitted, and waits until it is in force.
async fn change(active: &Active, mapping: Mapping, operation: Operation) -> Result<(), ParticipantError> {
    let connection = active.connection().ok_or(ParticipantError::NotConnected)?;
    let result = tokio::time::timeout(PATIENCE, request(active, &connection, mapping, operation)).await;
    result.unwrap_or(Err(ParticipantError::Timeout("the change of topology")))
}

async fn request(
    active: &Active,
    connection: &Connection,
    mapping: Mapping,
    operation: Operation,
) -> Result<(), ParticipantError> {
    let mut answers = connection.registered.subscribe();
    let mut topology = connection.topology.clone();
    let signed = active.identity.authorize_as(&topology.borrow_and_update().clone(), mapping, operation);
    let request_id = random::id();
    let now = connection.ticker.known_time().await;
    let submission = submission(active, connection, &signed, &request_id, now);
    connection
        .client
        .send("topology request", &submission)
        .await
        .map_err(|e| ParticipantError::Topology(e.to_string()))?;
    loop {
        let answer = answers.recv().await.map_err(|_| ParticipantError::BecamePassive)?;
        if answer.request_id != request_id {
            continue;
        }
        match answer.results.into_iter().next() {
            Some(Registration::Accepted | Registration::Duplicate) => break,
            Some(Registration::Rejected(why) | Registration::Failed(why)) => {
                return Err(ParticipantError::Topology(why));
            }
            other => return Err(ParticipantError::Topology(format!("{other:?}"))),
        }
    }
    in_force(connection, &signed).await
}

/// Waits until the transaction is part of the topology, and its effective time has been seen to pass.
async fn in_force(connection: &Connection, signed: &SignedTopologyTransaction) -> Result<(), ParticipantError> {
    let mut topology = connection.topology.clone();
    let (key, wanted) = (signed.key(), signed.transaction());
    let gone = |_| ParticipantError::BecamePassive;
    let is_there = |state: &TopologyState| match (state.head().transaction(&key), wanted.operation) {
        (None, Operation::Remove) => true,
        (held, Operation::AddReplace) => held.is_some_and(|held| held.transaction() == wanted),
        (Some(_), Operation::Remove) => false,
    };
    let state = topology.wait_for(|state| is_there(state)).await.map_err(gone)?.clone();
    let effective = state.last_sequenced().map_or(Timestamp::MIN, |at| at.saturating_add(state.delay()));
    connection.ticker.want(effective);
    let mut time = connection.time.clone();
    time.wait_for(|time| time.is_some_and(|time| time > effective))
        .await
        .map_err(|_| ParticipantError::BecamePassive)?;
    Ok(())
}

fn submission(
    active: &Active,
    connection: &Connection,
    signed: &SignedTopologyTransaction,
    request_id: &str,
    now: Timestamp,
) -> Submission {
    let request = RegisterRequest {
        synchronizer: connection.synchronizer.clone(),
        participant: active.me.clone(),
        request_id: request_id.to_owned(),
        transactions: vec![signed.clone()],
    };
    let content = EnvelopeContent::RegisterRequest(request).encode();
    Submission {
        sender: active.me.member(),
        message_id: MessageId::new(format!("topology-{request_id}")).expect("letters, digits and a dash"),
        batch: vec![Envelope { content, recipients: Recipients::group([connection.synchronizer.member()]) }],
        max_sequencing_time: now.saturating_add(WINDOW),
        topology_timestamp: None,
        epoch: active.epoch.number(),
    }
}
