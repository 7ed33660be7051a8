//! Keys: what nodes have, and how they get others while they work.

use super::{NOT_SERVED, Node, argument, check, refused, status, targets, topology};
use crate::shell::{
    files::{self, public_key},
    made,
    nodes::Kind,
};
use ::console::{Argument, Value};
use ::topology::Mapping;
use base::{MemberId, MemberKind};
use crypto::{KeyPurpose, PublicKey};
use rpc::services::concordat::admin::v1::{
    manager_admin_service_client::ManagerAdminServiceClient, mediator_admin_service_client::MediatorAdminServiceClient,
    participant_admin_service_client::ParticipantAdminServiceClient,
    sequencer_admin_service_client::SequencerAdminServiceClient, topology_service_client::TopologyServiceClient,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;
use wire::concordat::admin::v1::*;

/// How long a node may take to use a key that it has been given.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked.
const POLL: Duration = Duration::from_millis(50);

pub(super) fn shown_key(key: Option<&wire::concordat::crypto::v1::PublicKey>) -> Result<Value, String> {
    Ok(public_key(&read(key)?))
}

pub(super) fn read(key: Option<&wire::concordat::crypto::v1::PublicKey>) -> Result<PublicKey, String> {
    PublicKey::try_from(key.ok_or("it answers without a key")?).map_err(|error| error.to_string())
}

async fn own(node: &Node) -> Result<Vec<(String, PublicKey)>, String> {
    let answer = TopologyServiceClient::new(node.admin.clone()).list_keys(ListKeysRequest {}).await.map_err(refused)?;
    answer.into_inner().keys.into_iter().map(|key| Ok((key.name, read(key.key.as_ref())?))).collect()
}

pub(super) async fn call(
    nodes: &BTreeMap<String, Node>,
    node: &Node,
    path: &str,
    arguments: &[Argument],
) -> Result<Value, String> {
    match path {
        "keys.secret.generate_signing_key" => {
            check(arguments, &["name", "scheme"])?;
            // Before it is initialized it has one that nobody knows yet.
            let is_new = matches!(node.kind, Kind::Sequencer | Kind::Mediator) && !status(node).await?.initialized;
            if !is_new {
                return Ok(public_key(&make(node, node.kind).await?));
            }
            let found = own(node).await?.into_iter().find(|(name, _)| name == "signing");
            found.map(|(_, key)| public_key(&key)).ok_or_else(|| "it has no keys yet; wait until it is active".into())
        }
        "keys.secret.rotate_node_keys" => {
            check(arguments, &["domainManagerRef"])?;
            let given = argument(arguments, 0, "domainManagerRef").ok();
            let given = given.map(|value| targets(nodes, &value)).transpose()?;
            rotate_all(node, given.and_then(|given| given.first().copied())).await.map(|()| Value::Unit)
        }
        "topology.owner_to_key_mappings.rotate_key" => {
            check(arguments, &["nodeInstance", "owner", "currentKey", "newKey"])?;
            let holder = targets(nodes, &argument(arguments, 0, "nodeInstance")?)?;
            let holder = holder.first().ok_or("there is no such node")?;
            let member = topology::member(&argument(arguments, 1, "owner")?)?;
            let [old, new] = [(2, "currentKey"), (3, "newKey")]
                .map(|(place, name)| files::read_key(&argument(arguments, place, name)?));
            let kind = kind_of(&member)?;
            replace(node, (holder, kind), &member, &[old?], new?).await.map(|()| Value::Unit)
        }
        _ => list(node, path, arguments).await,
    }
}

async fn list(node: &Node, path: &str, arguments: &[Argument]) -> Result<Value, String> {
    let named = |(name, key): (String, PublicKey), record: &'static str| {
        let fields = vec![("publicKey", public_key(&key)), ("name", Value::text(&name)?)];
        Value::record(record, fields)
    };
    match path {
        "keys.secret.list" => {
            let shown = own(node).await?.into_iter().map(|key| named(key, "PrivateKeyMetadata"));
            made(shown.collect::<Result<_, _>>().and_then(Value::vector))
        }
        "keys.public.list" => {
            let mut known = own(node).await?;
            let mut seen: BTreeSet<_> = known.iter().map(|(_, key)| key.fingerprint().clone()).collect();
            for (member, key) in topology::keys(node).await? {
                if seen.insert(key.fingerprint().clone()) {
                    known.push((member.to_string(), key));
                }
            }
            let shown = known.into_iter().map(|key| named(key, "PublicKeyWithName"));
            made(shown.collect::<Result<_, _>>().and_then(Value::vector))
        }
        "keys.public.list_owners" | "keys.public.list_by_owner" => {
            let wanted = match path {
                "keys.public.list_owners" => None,
                _ => Some(topology::member(&argument(arguments, 0, "keyOwner")?)?),
            };
            let mut owners: BTreeMap<_, [Vec<Value>; 2]> = BTreeMap::new();
            for (member, key) in topology::keys(node).await? {
                if wanted.as_ref().is_none_or(|wanted| *wanted == member) {
                    let of = usize::from(key.purpose() == KeyPurpose::Encryption);
                    owners.entry(member).or_default()[of].push(public_key(&key));
                }
            }
            let shown = owners.into_iter().map(|(member, [signing, encryption])| {
                let fields = vec![
                    ("owner", Value::Id("KeyOwner", member.to_string().into())),
                    ("signingKeys", Value::vector(signing)?),
                    ("encryptionKeys", Value::vector(encryption)?),
                ];
                Value::record("ListKeyOwnersResult", fields)
            });
            made(shown.collect::<Result<_, _>>().and_then(Value::vector))
        }
        _ => Err(format!("{path} {NOT_SERVED}")),
    }
}

/// Replaces all keys of a node. Those of sequencers and mediators are in the hands of the manager.
async fn rotate_all(node: &Node, manager: Option<&Node>) -> Result<(), String> {
    if node.kind == Kind::Participant {
        let mut client = ParticipantAdminServiceClient::new(node.admin.clone());
        return client.rotate_keys(RotateKeysRequest {}).await.map(drop).map_err(refused);
    }
    let is_managing = matches!(node.kind, Kind::Manager | Kind::Domain);
    let manager = if is_managing { Some(node) } else { manager };
    let manager = manager.ok_or("the manager signs its keys: name it, as in rotate_node_keys(domainManager1)")?;
    let mut owned: BTreeMap<MemberId, Vec<PublicKey>> = BTreeMap::new();
    for (member, key) in topology::keys(node).await? {
        owned.entry(member).or_default().push(key);
    }
    let me = status(node).await?.member;
    let is_own = |member: &MemberId| match node.kind {
        Kind::Domain => member.kind != MemberKind::Participant,
        _ => member.to_string() == me,
    };
    for (member, old) in owned.into_iter().filter(|(member, _)| is_own(member)) {
        let kind = kind_of(&member)?;
        let new = make(node, kind).await?;
        replace(manager, (node, kind), &member, &old, new).await?;
    }
    Ok(())
}

fn kind_of(member: &MemberId) -> Result<Kind, String> {
    match member.kind {
        MemberKind::Manager => Ok(Kind::Manager),
        MemberKind::Sequencer => Ok(Kind::Sequencer),
        MemberKind::Mediator => Ok(Kind::Mediator),
        MemberKind::Participant => Err(format!("{member} replaces its own keys, with rotate_node_keys()")),
    }
}

/// The manager gives a member a key, and once the node uses it takes the old ones away.
async fn replace(
    manager: &Node,
    (holder, kind): (&Node, Kind),
    member: &MemberId,
    old: &[PublicKey],
    new: PublicKey,
) -> Result<(), String> {
    let of_member = |key: &PublicKey| Mapping::OwnerToKey { member: member.clone(), key: key.clone() };
    topology::authorize(manager, of_member(&new), false).await?;
    let until = Instant::now() + PATIENCE;
    while used(holder, kind).await? != new {
        if Instant::now() > until {
            return Err(format!("{} does not use its new key {}; the old one stays", holder.name, new.fingerprint()));
        }
        tokio::time::sleep(POLL).await;
    }
    for key in old {
        topology::authorize(manager, of_member(key), true).await?;
    }
    Ok(())
}

/// The key that a node, or the node of a kind inside of it, signs with now.
async fn used(node: &Node, kind: Kind) -> Result<PublicKey, String> {
    let (channel, request) = (node.admin.clone(), GetKeyRequest {});
    let answer = match kind {
        Kind::Sequencer => SequencerAdminServiceClient::new(channel).get_key(request).await,
        Kind::Mediator => MediatorAdminServiceClient::new(channel).get_mediator_key(request).await,
        _ => ManagerAdminServiceClient::new(channel).get_manager_key(request).await,
    };
    read(answer.map_err(refused)?.into_inner().key.as_ref())
}

/// Has a node, or the node of a kind inside of it, make another key.
async fn make(node: &Node, kind: Kind) -> Result<PublicKey, String> {
    let (channel, request) = (node.admin.clone(), MakeKeyRequest {});
    let answer = match kind {
        Kind::Sequencer => SequencerAdminServiceClient::new(channel).make_key(request).await,
        Kind::Mediator => MediatorAdminServiceClient::new(channel).make_mediator_key(request).await,
        Kind::Manager | Kind::Domain => ManagerAdminServiceClient::new(channel).make_manager_key(request).await,
        Kind::Participant => return Err("a participant gets new keys with keys.secret.rotate_node_keys()".into()),
    };
    read(answer.map_err(refused)?.into_inner().key.and_then(|key| key.key).as_ref())
}
