//! Migrations: every room brings numbered steps for its own tables. They are applied in order, in one transaction, under
//! the lock of each engine, and remembered with a checksum.

use std::collections::BTreeMap;

use crate::{EPOCH_SLOTS, Result, Row, Statement, StoreError, params};

/// The steps of one room's tables.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    /// The room: its tables start with this word.
    pub component: &'static str,
    /// All steps since the first release, numbered from 1 without gaps.
    pub steps: &'static [Migration],
}

/// One step. Once released it is never changed.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// From 1.
    pub version: i64,
    /// A few words for the operator.
    pub name: &'static str,
    /// Statements parted by `;`, in the subset of SQL that the engines share.
    pub sql: &'static str,
}

/// The store's own tables: the fence, and who holds the election lock.
const STORE: Migrations = Migrations {
    component: "store",
    steps: &[Migration {
        version: 1,
        name: "fence and holder",
        sql: "create table store_epochs (
                node text not null, slot bigint not null, epoch bigint not null, primary key (node, slot));
              create table store_holders (
                node text not null primary key, instance text not null, session text not null, replica text not null,
                beat bigint not null)",
    }],
};

pub(crate) const CREATE: &str = "create table if not exists store_migrations (
    component text not null, version bigint not null, name text not null, checksum text not null,
    primary key (component, version))";
pub(crate) const APPLIED: &str =
    "select component, version, checksum from store_migrations order by component, version";

/// All steps of a program, by room.
pub(crate) type Steps = Vec<Migrations>;

pub(crate) fn steps(rooms: &[Migrations]) -> Result<Steps> {
    let all: Steps = std::iter::once(STORE).chain(rooms.iter().copied()).collect();
    for (i, room) in all.iter().enumerate() {
        if all[..i].iter().any(|other| other.component == room.component) {
            return Err(StoreError::Config(format!("migrations of {} are given twice", room.component)));
        }
        if room.steps.iter().zip(1..).any(|(step, number)| step.version != number) {
            return Err(StoreError::Config(format!("migrations of {} are not numbered 1, 2, 3, …", room.component)));
        }
    }
    Ok(all)
}

/// What is still to be applied, given the rows of [`APPLIED`].
pub(crate) fn pending(steps: &Steps, applied: &[Row]) -> Result<Vec<(&'static str, &'static Migration)>> {
    let mut known: BTreeMap<(&str, i64), &str> = BTreeMap::new();
    for row in applied {
        known.insert((row.text(0)?, row.int(1)?), row.text(2)?);
    }
    let mut todo = Vec::new();
    for room in steps {
        let newest = i64::try_from(room.steps.len()).unwrap_or(i64::MAX);
        if let Some(((_, found), _)) =
            known.range((room.component, newest + 1)..=(room.component, i64::MAX)).next_back()
        {
            return Err(StoreError::TooNew { component: room.component.to_owned(), found: *found, known: newest });
        }
        for step in room.steps {
            match known.get(&(room.component, step.version)) {
                None => todo.push((room.component, step)),
                Some(sum) if *sum == checksum(step.sql) => {}
                Some(_) => {
                    return Err(StoreError::Corrupt(format!(
                        "migration {} of {} is not the one that was applied to this database",
                        step.version, room.component
                    )));
                }
            }
        }
    }
    Ok(todo)
}

/// Remembers a step.
pub(crate) fn record(component: &'static str, step: &Migration) -> Statement {
    let row = params![component, step.version, step.name, checksum(step.sql)].to_vec();
    Statement::insert("store_migrations", &["component", "version", "name", "checksum"], vec![row])
}

/// The fence rows of a logical node; inserted once, none ever added.
pub(crate) fn epoch_rows(node: &str) -> Statement {
    let rows = (0..EPOCH_SLOTS).map(|slot| params![node, slot, 0_i64].to_vec()).collect();
    Statement::insert_new("store_epochs", &["node", "slot", "epoch"], rows)
}

/// Notices edits, not attacks: FNV-1a of the text.
fn checksum(sql: &str) -> String {
    format!("{:016x}", fnv1a(sql.as_bytes()))
}

/// The 64-bit FNV-1a hash.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Migration = Migration { version: 1, name: "one", sql: "create table a (x bigint)" };
    const TWO: Migration = Migration { version: 2, name: "two", sql: "create table b (x bigint)" };
    const BOTH: Migrations = Migrations { component: "room", steps: &[ONE, TWO] };

    fn applied(step: &Migration) -> Row {
        Row(params!["room", step.version, checksum(step.sql)].to_vec())
    }

    #[test]
    fn what_is_missing_is_pending() {
        let versions = |rows: &[Row]| -> Vec<i64> {
            pending(&vec![BOTH], rows).unwrap().iter().map(|(_, step)| step.version).collect()
        };
        assert_eq!(versions(&[]), [1, 2]);
        assert_eq!(versions(&[applied(&ONE)]), [2]);
        assert_eq!(versions(&[applied(&ONE), applied(&TWO)]), [0_i64; 0]);
    }

    #[test]
    fn newer_and_edited_databases_are_refused() {
        let three = Migration { version: 3, ..TWO };
        let found = pending(&vec![BOTH], &[applied(&ONE), applied(&TWO), applied(&three)]).unwrap_err();
        assert_eq!(found, StoreError::TooNew { component: "room".into(), found: 3, known: 2 });
        let edited = Migration { sql: "create table a (y bigint)", ..ONE };
        assert!(matches!(pending(&vec![BOTH], &[applied(&edited)]), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn steps_are_numbered_without_gaps_and_rooms_come_once() {
        let gap = Migrations { component: "gap", steps: &[TWO] };
        assert!(matches!(steps(&[gap]), Err(StoreError::Config(_))));
        assert!(matches!(steps(&[BOTH, BOTH]), Err(StoreError::Config(_))));
        assert_eq!(steps(&[BOTH]).unwrap().len(), 2);
    }
}
