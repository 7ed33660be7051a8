//! What is read.

use crate::model::{
    ActiveContract, Command, Completion, CompletionOutcome, Entry, PackageInfo, Party, Right, Update, User,
};
use base::{ContractId, ErrorCode, Hash, PackageId, PartyId, UpdateId, codes};
use bytes::Bytes;
use protocol::Contract;
use std::{collections::BTreeMap, fmt::Display, time::Duration};
use store::{Db, Result, Row, StoreError, Value};
use transaction::{Parties, Transaction};

pub(crate) const END: &str = "select ledger_offset from ledger_end where id = 0";
pub(crate) const UPDATES: &str =
    "select ledger_offset, record_time, synchronizer, update_id, effective_at, workflow, nodes,
    hosted, user_id, act_as, command_id, submission_id
    from ledger_updates where ledger_offset > $1 and ledger_offset <= $2 order by ledger_offset limit $3";
pub(crate) const UPDATE_BY_ID: &str =
    "select ledger_offset, record_time, synchronizer, update_id, effective_at, workflow,
    nodes, hosted, user_id, act_as, command_id, submission_id from ledger_updates where update_id = $1";
pub(crate) const COMPLETIONS: &str = "select ledger_offset, record_time, synchronizer, user_id, act_as, command_id,
    submission_id, update_id, code, message, deduplication_us
    from ledger_completions where ledger_offset > $1 and ledger_offset <= $2 order by ledger_offset limit $3";
pub(crate) const COMPLETION_OF: &str = "select ledger_offset, record_time, synchronizer, user_id, act_as, command_id,
    submission_id, update_id, code, message, deduplication_us
    from ledger_completions where command_id = $1 and ledger_offset > $2 order by ledger_offset";
/// Those whose command ids begin like this, that is its length, with an update (1), without (2), or all (0).
pub(crate) const LAST_COMPLETIONS: &str =
    "select ledger_offset, record_time, synchronizer, user_id, act_as, command_id,
    submission_id, update_id, code, message, deduplication_us
    from ledger_completions
    where substr(command_id, 1, cast(cast($2 as bigint) as integer)) = $1
      and (cast($3 as bigint) = 0 or (update_id is null) = (cast($3 as bigint) = 2))
    order by ledger_offset desc limit $4";
pub(crate) const ACTIVE: &str = "select created_offset, node, synchronizer, contract from ledger_contracts
    where created_offset <= $1 and (archived_offset is null or archived_offset > $1)
      and (created_offset > $2 or (created_offset = $2 and node > $3))
    order by created_offset, node limit $4";
pub(crate) const CONTRACTS: &str =
    "select contract, archived_offset from ledger_contracts where contract_id in blobs($1)";
pub(crate) const CONTRACTS_OF_KEY: &str = "select contract from ledger_contracts
    where key_hash = $1 and archived_offset is null order by created_offset desc, node desc limit $2";
pub(crate) const KEY_COUNTS: &str = "select key_hash, count(*) from ledger_contracts
    where key_hash in blobs($1) and archived_offset is null group by key_hash";
pub(crate) const DIVULGED: &str = "select party, contract from ledger_divulged where contract_id = $1";
pub(crate) const PARTIES: &str = "select party, is_local from ledger_parties order by party";
pub(crate) const PACKAGES: &str =
    "select package_id, name, version, uploaded, length(payload) from ledger_packages order by package_id";
pub(crate) const PACKAGE: &str = "select payload from ledger_packages where package_id = $1";
pub(crate) const USERS: &str = "select user_id, primary_party, is_deactivated from ledger_users order by user_id";
pub(crate) const RIGHTS: &str = "select user_id, kind, party from ledger_user_rights order by user_id, kind, party";

pub(crate) async fn end(db: &Db) -> Result<i64> {
    db.query_opt(END, vec![]).await?.map_or(Ok(0), |row| row.int(0))
}

pub(crate) async fn updates(db: &Db, after: i64, up_to: i64, limit: u32) -> Result<Vec<Entry<Update>>> {
    let rows = db.query(UPDATES, vec![after.into(), up_to.into(), limit.into()]).await?;
    rows.iter().map(update).collect()
}

pub(crate) async fn update_by_id(db: &Db, id: &UpdateId) -> Result<Option<Entry<Update>>> {
    db.query_opt(UPDATE_BY_ID, vec![id.as_str().into()]).await?.as_ref().map(update).transpose()
}

pub(crate) async fn completions(db: &Db, after: i64, up_to: i64, limit: u32) -> Result<Vec<Entry<Completion>>> {
    let rows = db.query(COMPLETIONS, vec![after.into(), up_to.into(), limit.into()]).await?;
    rows.iter().map(completion).collect()
}

pub(crate) async fn completions_of(db: &Db, command: &str, after: i64) -> Result<Vec<Entry<Completion>>> {
    let rows = db.query(COMPLETION_OF, vec![command.into(), after.into()]).await?;
    rows.iter().map(completion).collect()
}

pub(crate) async fn last_completions(
    db: &Db,
    prefix: &str,
    accepted: Option<bool>,
    limit: u32,
) -> Result<Vec<Entry<Completion>>> {
    let length = i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX);
    let which = accepted.map_or(0_i64, |accepted| if accepted { 1 } else { 2 });
    let rows = db.query(LAST_COMPLETIONS, vec![prefix.into(), length.into(), which.into(), limit.into()]).await?;
    rows.iter().map(completion).collect()
}

pub(crate) async fn active(db: &Db, at: i64, after: (i64, i32), limit: u32) -> Result<Vec<ActiveContract>> {
    let params = vec![at.into(), after.0.into(), after.1.into(), limit.into()];
    let rows = db.query(ACTIVE, params).await?;
    rows.iter()
        .map(|row| {
            Ok(ActiveContract {
                created_offset: row.int(0)?,
                node: i32::try_from(row.int(1)?).map_err(corrupt)?,
                synchronizer: parsed(row.text(2)?)?,
                contract: Contract::decode(&row.bytes(3)?).map_err(corrupt)?,
            })
        })
        .collect()
}

/// These contracts, as far as they are known, and whether each is active.
pub async fn load_contracts(db: &Db, ids: &[ContractId]) -> Result<BTreeMap<ContractId, (Contract, bool)>> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<Bytes> = ids.iter().map(|id| Bytes::copy_from_slice(id.as_bytes())).collect();
    let rows = db.query(CONTRACTS, vec![Value::Blobs(ids)]).await?;
    rows.iter()
        .map(|row| {
            let contract = Contract::decode(&row.bytes(0)?).map_err(corrupt)?;
            Ok((contract.id.clone(), (contract, row.opt_int(1)?.is_none())))
        })
        .collect()
}

/// An active contract that one of the readers may use: a stakeholder, or one who has seen it and needs no more than that.
pub async fn usable_contract(db: &Db, id: &ContractId, readers: &Parties) -> Result<Option<Contract>> {
    let known = match load_contracts(db, std::slice::from_ref(id)).await?.remove(id) {
        Some((_, false)) => return Ok(None),
        Some((contract, true)) => Some(contract),
        None => None,
    };
    if known.as_ref().is_some_and(|contract| !contract.stakeholders().is_disjoint(readers)) {
        return Ok(known);
    }
    for row in db.query(DIVULGED, vec![Bytes::copy_from_slice(id.as_bytes()).into()]).await? {
        if readers.contains(&parsed(row.text(0)?)?) {
            return Contract::decode(&row.bytes(1)?).map(Some).map_err(corrupt);
        }
    }
    Ok(None)
}

/// So many active contracts of a key, the newest first.
pub async fn contracts_of_key(db: &Db, key: &Hash, limit: u32) -> Result<Vec<Contract>> {
    let rows = db.query(CONTRACTS_OF_KEY, vec![key.as_bytes().to_vec().into(), limit.into()]).await?;
    rows.iter().map(|row| Contract::decode(&row.bytes(0)?).map_err(corrupt)).collect()
}

/// How many active contracts have each of these keys; those that none has are left out.
pub async fn key_counts(db: &Db, keys: impl IntoIterator<Item = Hash>) -> Result<BTreeMap<Hash, u64>> {
    let keys: Vec<Bytes> = keys.into_iter().map(|key| Bytes::copy_from_slice(key.as_bytes())).collect();
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = db.query(KEY_COUNTS, vec![Value::Blobs(keys)]).await?;
    rows.iter().map(|row| Ok((Hash::try_from(row.bytes(0)?.as_ref()).map_err(corrupt)?, row.count(1)?))).collect()
}

pub(crate) async fn parties(db: &Db) -> Result<Vec<Party>> {
    let rows = db.query(PARTIES, vec![]).await?;
    rows.iter().map(|row| Ok(Party { party: parsed(row.text(0)?)?, is_local: row.bool(1)? })).collect()
}

pub(crate) async fn packages(db: &Db) -> Result<Vec<PackageInfo>> {
    let rows = db.query(PACKAGES, vec![]).await?;
    rows.iter()
        .map(|row| {
            Ok(PackageInfo {
                id: parsed(row.text(0)?)?,
                name: row.opt_text(1)?.map(parsed).transpose()?,
                version: row.opt_text(2)?.map(parsed).transpose()?,
                uploaded: row.timestamp(3)?,
                size: row.count(4)?,
            })
        })
        .collect()
}

pub(crate) async fn package(db: &Db, id: &PackageId) -> Result<Option<Bytes>> {
    db.query_opt(PACKAGE, vec![id.as_str().into()]).await?.map(|row| row.bytes(0)).transpose()
}

pub(crate) async fn users(db: &Db) -> Result<Vec<User>> {
    let mut rights: BTreeMap<String, Vec<Right>> = BTreeMap::new();
    for row in db.query(RIGHTS, vec![]).await? {
        let party = row.text(2)?;
        let right = match row.text(1)? {
            "admin" => Right::ParticipantAdmin,
            "act-as" => Right::ActAs(parsed(party)?),
            "read-as" => Right::ReadAs(parsed(party)?),
            "read-as-any" => Right::ReadAsAnyParty,
            other => return Err(corrupt(format!("user right {other}"))),
        };
        rights.entry(row.text(0)?.to_owned()).or_default().push(right);
    }
    let rows = db.query(USERS, vec![]).await?;
    rows.iter()
        .map(|row| {
            Ok(User {
                id: parsed(row.text(0)?)?,
                primary_party: row.opt_text(1)?.map(parsed).transpose()?,
                is_deactivated: row.bool(2)?,
                rights: rights.remove(row.text(0)?).unwrap_or_default(),
            })
        })
        .collect()
}

fn update(row: &Row) -> Result<Entry<Update>> {
    let content = Update {
        id: parsed(row.text(3)?)?,
        effective_at: row.timestamp(4)?,
        workflow: row.opt_text(5)?.map(parsed).transpose()?,
        transaction: Transaction::decode(&row.bytes(6)?).map_err(corrupt)?,
        hosted: parties_of(row.text(7)?)?,
        command: command(row, 8)?,
    };
    entry(row, content)
}

fn completion(row: &Row) -> Result<Entry<Completion>> {
    let command = command(row, 3)?.ok_or_else(|| corrupt("a completion without command"))?;
    let outcome = match (row.opt_text(7)?, row.opt_text(8)?, row.opt_text(9)?) {
        (Some(update), None, None) => CompletionOutcome::Committed(parsed(update)?),
        (None, Some(code), Some(message)) => {
            CompletionOutcome::Rejected { code: known_code(code)?, message: message.to_owned() }
        }
        _ => return Err(corrupt("a completion is neither a success nor a failure")),
    };
    let deduplication = Duration::from_micros(row.count(10)?);
    entry(row, Completion { command, outcome, deduplication })
}

fn entry<T>(row: &Row, content: T) -> Result<Entry<T>> {
    Ok(Entry { offset: row.int(0)?, record_time: row.timestamp(1)?, synchronizer: parsed(row.text(2)?)?, content })
}

fn command(row: &Row, at: usize) -> Result<Option<Command>> {
    let Some(user) = row.opt_text(at)? else { return Ok(None) };
    Ok(Some(Command {
        user: parsed(user)?,
        act_as: parties_of(row.text(at + 1)?)?,
        command: parsed(row.text(at + 2)?)?,
        submission: row.opt_text(at + 3)?.map(parsed).transpose()?,
    }))
}

fn parties_of(text: &str) -> Result<Parties> {
    text.lines().map(parsed::<PartyId>).collect()
}

fn known_code(id: &str) -> Result<ErrorCode> {
    codes::ALL.iter().find(|code| code.id == id).copied().ok_or_else(|| corrupt(format!("error code {id}")))
}

fn parsed<T: std::str::FromStr<Err: Display>>(text: &str) -> Result<T> {
    text.parse().map_err(corrupt)
}

fn corrupt(why: impl Display) -> StoreError {
    StoreError::Corrupt(format!("the ledger: {why}"))
}
