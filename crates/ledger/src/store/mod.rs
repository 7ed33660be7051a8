//! The ledger's tables. `rows.rs` makes what is written, `query.rs` reads.

mod query;
mod rows;

pub(crate) use query::*;
pub use query::{contracts_of_key, key_counts, load_contracts, usable_contract};
pub use rows::{delete_user, initial_rows, package_row, party_row, publish, user_rows};

use store::{Migration, Migrations};

/// Steps of this room's tables.
pub const MIGRATIONS: Migrations = Migrations {
    component: "ledger",
    steps: &[
        Migration {
        version: 1,
        name: "updates, completions, contracts, parties, packages, users",
        sql: "create table ledger_end (id bigint not null primary key, ledger_offset bigint not null, epoch bigint not null);
              create table ledger_updates (
                ledger_offset bigint not null primary key, epoch bigint not null, update_id text not null unique,
                record_time bigint not null, synchronizer text not null, effective_at bigint not null, workflow text,
                nodes bytea not null, hosted text not null,
                user_id text, act_as text, command_id text, submission_id text);
              create table ledger_completions (
                ledger_offset bigint not null primary key, epoch bigint not null, record_time bigint not null,
                synchronizer text not null, user_id text not null, act_as text not null, command_id text not null,
                submission_id text, update_id text, code text, message text, deduplication_us bigint not null);
              create index ledger_completions_by_command on ledger_completions (command_id);
              create table ledger_contracts (
                contract_id bytea not null primary key, created_offset bigint not null, node bigint not null,
                archived_offset bigint, synchronizer text not null, contract bytea not null);
              create index ledger_contracts_by_creation on ledger_contracts (created_offset, node);
              create table ledger_parties (party text not null primary key, is_local boolean not null);
              create table ledger_packages (
                package_id text not null primary key, name text, version text, uploaded bigint not null,
                payload bytea not null);
              create table ledger_users (
                user_id text not null primary key, primary_party text, is_deactivated boolean not null);
              create table ledger_user_rights (
                user_id text not null, kind text not null, party text not null, primary key (user_id, kind, party))",
    },
        Migration {
            version: 2,
            name: "contract keys, divulged contracts",
            sql: "alter table ledger_contracts add column key_hash bytea;
              create index ledger_contracts_by_key on ledger_contracts (key_hash, archived_offset);
              create table ledger_divulged (
                contract_id bytea not null, party text not null, contract bytea not null,
                primary key (contract_id, party))",
        },
    ],
};

/// Every statement, for the test that prepares them on every engine.
#[doc(hidden)]
pub const STATEMENTS: &[&str] = &[
    query::END,
    query::UPDATES,
    query::UPDATE_BY_ID,
    query::COMPLETIONS,
    query::COMPLETION_OF,
    query::LAST_COMPLETIONS,
    query::ACTIVE,
    query::CONTRACTS,
    query::CONTRACTS_OF_KEY,
    query::KEY_COUNTS,
    query::DIVULGED,
    query::PARTIES,
    query::PACKAGES,
    query::PACKAGE,
    query::USERS,
    query::RIGHTS,
    rows::ARCHIVE,
    rows::FORGET,
    rows::ADVANCE,
    rows::DELETE_RIGHTS,
    rows::DELETE_USER,
];
