//! What is written. Every statement belongs into a transaction of the active participant.

use crate::model::{Command, Completion, CompletionOutcome, Publication, Right, User};
use base::{PackageId, PackageName, PackageVersion, PartyId, Timestamp, UserId};
use bytes::Bytes;
use std::collections::BTreeMap;
use store::{Epoch, Statement, Value};
use transaction::{Node, Parties};

/// An archival must meet a contract that is active: the ledger would be wrong otherwise.
pub(crate) const ARCHIVE: &str =
    "update ledger_contracts set archived_offset = $2 where contract_id = $1 and archived_offset is null";
/// Nobody uses it any more, whoever has seen it.
pub(crate) const FORGET: &str = "delete from ledger_divulged where contract_id = $1";
pub(crate) const ADVANCE: &str =
    "update ledger_end set ledger_offset = $1, epoch = $2 where id = 0 and ledger_offset < $1";
pub(crate) const DELETE_RIGHTS: &str = "delete from ledger_user_rights where user_id = $1";
pub(crate) const DELETE_USER: &str = "delete from ledger_users where user_id = $1";

/// The rows of a ledger without entries; to be written once.
#[must_use]
pub fn initial_rows() -> Vec<Statement> {
    let row = vec![0_i64.into(), 0_i64.into(), 0_i64.into()];
    vec![Statement::insert_new("ledger_end", &["id", "ledger_offset", "epoch"], vec![row])]
}

/// The rows of new entries, in the order of their offsets. They conflict if an entry is there already, if an archived
/// contract is not active, or if the ledger end is not below them.
#[must_use]
pub fn publish(entries: &[Publication], epoch: &Epoch) -> Vec<Statement> {
    let Some(last) = entries.last() else { return Vec::new() };
    let mut statements = Vec::new();
    let mut tables = Tables::default();
    for entry in entries {
        tables.add(entry, epoch);
    }
    statements.push(Statement::insert("ledger_updates", UPDATE_COLUMNS, tables.updates));
    statements.push(Statement::insert("ledger_completions", COMPLETION_COLUMNS, tables.completions));
    statements.push(Statement::insert("ledger_contracts", CONTRACT_COLUMNS, tables.contracts));
    statements.extend(tables.archivals);
    statements.push(Statement::insert_new("ledger_divulged", &["contract_id", "party", "contract"], tables.divulged));
    statements.extend(tables.forgotten);
    let end = vec![last.offset.into(), epoch.number().into()];
    statements.push(Statement::new(ADVANCE, end).expect_rows(1));
    statements
}

const UPDATE_COLUMNS: &[&str] = &[
    "ledger_offset",
    "epoch",
    "update_id",
    "record_time",
    "synchronizer",
    "effective_at",
    "workflow",
    "nodes",
    "hosted",
    "user_id",
    "act_as",
    "command_id",
    "submission_id",
];
const COMPLETION_COLUMNS: &[&str] = &[
    "ledger_offset",
    "epoch",
    "record_time",
    "synchronizer",
    "user_id",
    "act_as",
    "command_id",
    "submission_id",
    "update_id",
    "code",
    "message",
    "deduplication_us",
];
const CONTRACT_COLUMNS: &[&str] =
    &["contract_id", "created_offset", "node", "archived_offset", "synchronizer", "contract", "key_hash"];

#[derive(Default)]
struct Tables {
    updates: Vec<Vec<Value>>,
    completions: Vec<Vec<Value>>,
    contracts: Vec<Vec<Value>>,
    archivals: Vec<Statement>,
    divulged: Vec<Vec<Value>>,
    forgotten: Vec<Statement>,
}

impl Tables {
    fn add(&mut self, entry: &Publication, epoch: &Epoch) {
        let head = [entry.offset.into(), epoch.number().into()];
        let (time, place): (Value, Value) = (entry.record_time.micros().into(), entry.synchronizer.to_string().into());
        let mut nodes = BTreeMap::new();
        if let Some(update) = &entry.update {
            for ((id, node), undone) in update.transaction.nodes().zip(update.transaction.rolled_back()) {
                match node {
                    Node::Create(create) => drop(nodes.insert(create.contract_id.clone(), id.0)),
                    Node::Exercise(e) if e.consuming && !undone && e.version.is_v1() => {
                        let id = e.contract_id.as_bytes().to_vec().into();
                        self.forgotten.push(Statement::new(FORGET, vec![id]));
                    }
                    _ => {}
                }
            }
            let mut row = head.to_vec();
            row.extend([
                update.id.as_str().into(),
                time.clone(),
                place.clone(),
                update.effective_at.micros().into(),
                update.workflow.as_ref().map(|w| w.as_str()).into(),
                update.transaction.encode().into(),
                joined(&update.hosted).into(),
            ]);
            row.extend(command_columns(update.command.as_ref()));
            self.updates.push(row);
        }
        if let Some(completion) = &entry.completion {
            let mut row = head.to_vec();
            row.extend([time, place.clone()]);
            row.extend(command_columns(Some(&completion.command)));
            row.extend(outcome_columns(completion));
            self.completions.push(row);
        }
        for contract in &entry.created {
            let node = nodes.get(&contract.id).copied().unwrap_or_default();
            self.contracts.push(vec![
                contract.id.as_bytes().to_vec().into(),
                entry.offset.into(),
                node.into(),
                Value::Null,
                place.clone(),
                contract.encode().into(),
                contract.instance.key.as_ref().map(|key| Bytes::copy_from_slice(key.hash.as_bytes())).into(),
            ]);
        }
        for (contract, parties) in &entry.divulged {
            let (id, bytes): (Value, Bytes) = (contract.id.as_bytes().to_vec().into(), contract.encode().into());
            let rows = parties.iter().map(|party| vec![id.clone(), party.as_str().into(), bytes.clone().into()]);
            self.divulged.extend(rows);
        }
        for id in &entry.archived {
            let params = vec![id.as_bytes().to_vec().into(), entry.offset.into()];
            self.archivals.push(Statement::new(ARCHIVE, params).expect_rows(1));
        }
    }
}

fn joined(parties: &Parties) -> String {
    parties.iter().map(PartyId::as_str).collect::<Vec<_>>().join("\n")
}

fn command_columns(command: Option<&Command>) -> [Value; 4] {
    [
        command.map(|c| c.user.as_str()).into(),
        command.map(|c| joined(&c.act_as)).into(),
        command.map(|c| c.command.as_str()).into(),
        command.and_then(|c| c.submission.as_ref()).map(|s| s.as_str()).into(),
    ]
}

fn outcome_columns(completion: &Completion) -> [Value; 4] {
    let (update, code, message) = match &completion.outcome {
        CompletionOutcome::Committed(update) => (Some(update.as_str()), None, None),
        CompletionOutcome::Rejected { code, message } => (None, Some(code.id), Some(message.as_str())),
    };
    let deduplication = i64::try_from(completion.deduplication.as_micros()).unwrap_or(i64::MAX);
    [update.into(), code.into(), message.into(), deduplication.into()]
}

/// A party that became known, or whose host changed.
#[must_use]
pub fn party_row(party: &PartyId, is_local: bool) -> Statement {
    let row = vec![party.as_str().into(), is_local.into()];
    Statement::upsert("ledger_parties", &["party"], &["party", "is_local"], vec![row])
}

/// An uploaded package. Uploading it again changes nothing.
#[must_use]
pub fn package_row(
    id: &PackageId,
    name: Option<&PackageName>,
    version: Option<&PackageVersion>,
    uploaded: Timestamp,
    payload: Bytes,
) -> Statement {
    let row = vec![
        id.as_str().into(),
        name.map(|n| n.as_str()).into(),
        version.map(|v| v.as_str()).into(),
        uploaded.micros().into(),
        payload.into(),
    ];
    Statement::insert_new("ledger_packages", &["package_id", "name", "version", "uploaded", "payload"], vec![row])
}

/// A user with all its rights, replacing what was there. As a new user it conflicts with one of the same name.
#[must_use]
pub fn user_rows(user: &User, is_new: bool) -> Vec<Statement> {
    let columns = &["user_id", "primary_party", "is_deactivated"];
    let id: Value = user.id.as_str().into();
    let row = vec![id.clone(), user.primary_party.as_ref().map(|p| p.as_str()).into(), user.is_deactivated.into()];
    let rights = user.rights.iter().map(|right| {
        let (kind, party) = right_columns(right);
        vec![id.clone(), kind.into(), party.into()]
    });
    vec![
        if is_new {
            Statement::insert("ledger_users", columns, vec![row])
        } else {
            Statement::upsert("ledger_users", &["user_id"], columns, vec![row])
        },
        Statement::new(DELETE_RIGHTS, vec![id.clone()]),
        Statement::insert_new("ledger_user_rights", &["user_id", "kind", "party"], rights.collect()),
    ]
}

/// Removes a user; conflicts if there is none.
#[must_use]
pub fn delete_user(user: &UserId) -> Vec<Statement> {
    vec![
        Statement::new(DELETE_USER, vec![user.as_str().into()]).expect_rows(1),
        Statement::new(DELETE_RIGHTS, vec![user.as_str().into()]),
    ]
}

fn right_columns(right: &Right) -> (&'static str, &str) {
    match right {
        Right::ParticipantAdmin => ("admin", ""),
        Right::ActAs(party) => ("act-as", party.as_str()),
        Right::ReadAs(party) => ("read-as", party.as_str()),
        Right::ReadAsAnyParty => ("read-as-any", ""),
    }
}
