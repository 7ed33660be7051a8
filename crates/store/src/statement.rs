//! Statements of a write transaction, and the few words of SQL in which the engines differ.
//!
//! SQL is written once, in the subset that SQLite and PostgreSQL share: parameters `$1…$n`, types `bigint`, `text`,
//! `bytea`, `boolean`; `insert … on conflict … do …`; `cast(… as …)` instead of `::`. On top of it:
//!
//! | written | means |
//! |---|---|
//! | `x in ints($1)`, `texts`, `blobs` | `x` is one of the list `$1` |
//! | `now_micros()` | the database's clock in µs |
//! | `for update`, `for share` | row locks; nothing in SQLite, which has one writer |

use std::{borrow::Cow, collections::BTreeMap};

use crate::Value;

/// One statement of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    pub(crate) kind: Kind,
    pub(crate) expected: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Sql { sql: &'static str, params: Vec<Value> },
    Insert(Insert),
}

/// Rows for one table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Insert {
    pub(crate) table: &'static str,
    pub(crate) columns: &'static [&'static str],
    pub(crate) conflict: OnConflict,
    pub(crate) rows: Vec<Vec<Value>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum OnConflict {
    Fail,
    Ignore,
    Update { keys: &'static [&'static str] },
}

impl Statement {
    /// An `insert`, `update` or `delete` without `returning`.
    #[must_use]
    pub fn new(sql: &'static str, params: impl Into<Vec<Value>>) -> Self {
        Self { kind: Kind::Sql { sql, params: params.into() }, expected: None }
    }

    /// Inserts the rows; one that exists already is [`StoreError::Conflict`](crate::StoreError::Conflict). Each row holds
    /// one value per column.
    #[must_use]
    pub fn insert(table: &'static str, columns: &'static [&'static str], rows: Vec<Vec<Value>>) -> Self {
        Self::rows(table, columns, OnConflict::Fail, rows)
    }

    /// Inserts the rows that do not exist yet; the count says how many.
    #[must_use]
    pub fn insert_new(table: &'static str, columns: &'static [&'static str], rows: Vec<Vec<Value>>) -> Self {
        Self::rows(table, columns, OnConflict::Ignore, rows)
    }

    /// Inserts the rows; where one with the same `keys` exists, the other columns are replaced. Of rows with the same
    /// keys in `rows` the last wins. `keys` are columns of a primary key or unique index and must be in `columns`.
    #[must_use]
    pub fn upsert(
        table: &'static str,
        keys: &'static [&'static str],
        columns: &'static [&'static str],
        rows: Vec<Vec<Value>>,
    ) -> Self {
        let at: Vec<usize> = keys.iter().filter_map(|key| columns.iter().position(|column| column == key)).collect();
        let key_of = |row: &[Value]| at.iter().filter_map(|i| row.get(*i).cloned()).collect::<Vec<_>>();
        let distinct: BTreeMap<Vec<Value>, Vec<Value>> = rows.into_iter().map(|row| (key_of(&row), row)).collect();
        Self::rows(table, columns, OnConflict::Update { keys }, distinct.into_values().collect())
    }

    /// Demands that exactly `rows` rows are touched; otherwise the whole transaction is rolled back with
    /// [`StoreError::Conflict`](crate::StoreError::Conflict).
    #[must_use]
    pub fn expect_rows(self, rows: u64) -> Self {
        Self { expected: Some(rows), ..self }
    }

    fn rows(
        table: &'static str,
        columns: &'static [&'static str],
        conflict: OnConflict,
        rows: Vec<Vec<Value>>,
    ) -> Self {
        debug_assert!(rows.iter().all(|row| row.len() == columns.len()), "a row of {table} has another width");
        Self { kind: Kind::Insert(Insert { table, columns, conflict, rows }), expected: None }
    }

    /// What it does to which table, as `insert t`, `update t` or `delete t`.
    pub(crate) fn name(&self) -> String {
        match &self.kind {
            Kind::Insert(insert) => format!("insert {}", insert.table),
            Kind::Sql { sql, .. } => {
                let words: Vec<&str> =
                    sql.split_whitespace().filter(|word| !["into", "from"].contains(word)).take(2).collect();
                words.join(" ")
            }
        }
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.kind, Kind::Insert(insert) if insert.rows.is_empty())
    }
}

impl Insert {
    /// `insert into t (a, b) <source> on conflict …`, where the source gives the rows.
    pub(crate) fn sql(&self, source: &str) -> String {
        let mut sql = format!("insert into {} ({}) {source}", self.table, self.columns.join(", "));
        match self.conflict {
            OnConflict::Fail => {}
            OnConflict::Ignore => sql.push_str(" on conflict do nothing"),
            OnConflict::Update { keys } => {
                let set: Vec<String> = self
                    .columns
                    .iter()
                    .filter(|column| !keys.contains(column))
                    .map(|column| format!("{column} = excluded.{column}"))
                    .collect();
                let action =
                    if set.is_empty() { "nothing".to_owned() } else { format!("update set {}", set.join(", ")) };
                sql.push_str(&format!(" on conflict ({}) do {action}", keys.join(", ")));
            }
        }
        sql
    }
}

/// The shared SQL in SQLite's words.
pub(crate) fn sqlite_sql(sql: &str) -> Cow<'_, str> {
    translate(
        sql,
        &[
            ("in ints($", "in (select value from json_each($", "))"),
            ("in texts($", "in (select value from json_each($", "))"),
            ("in blobs($", "in (select unhex(value) from json_each($", "))"),
            ("now_micros(", "cast(unixepoch('subsec') * 1000000 as integer", ")"),
            (" for update", "", ""),
            (" for share", "", ""),
        ],
    )
}

/// The shared SQL in PostgreSQL's words.
pub(crate) fn postgres_sql(sql: &str) -> Cow<'_, str> {
    translate(
        sql,
        &[
            // Not a subquery: the planner would take it for many rows, and read whole tables.
            ("in ints($", "= any ($", "::bigint[])"),
            ("in texts($", "= any ($", "::text[])"),
            ("in blobs($", "= any ($", "::bytea[])"),
            ("now_micros(", "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint", ")"),
        ],
    )
}

/// Replaces each opening word; where it opens a parenthesis, also the next closing one.
fn translate<'a>(sql: &'a str, words: &[(&str, &str, &str)]) -> Cow<'a, str> {
    let mut out = Cow::Borrowed(sql);
    for (open, new_open, new_close) in words {
        let mut from = 0;
        while let Some(start) = out[from..].find(open).map(|at| at + from) {
            let text = out.to_mut();
            text.replace_range(start..start + open.len(), new_open);
            from = start + new_open.len();
            if open.contains('(')
                && let Some(close) = text[from..].find(')').map(|at| at + from)
            {
                text.replace_range(close..=close, new_close);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params;

    #[test]
    fn the_words_that_differ_are_translated() {
        let sql = "select now_micros() from t where a in ints($1) and b in blobs($2) for update";
        assert_eq!(
            sqlite_sql(sql),
            "select cast(unixepoch('subsec') * 1000000 as integer) from t \
             where a in (select value from json_each($1)) and b in (select unhex(value) from json_each($2))"
        );
        assert_eq!(
            postgres_sql(sql),
            "select cast(extract(epoch from clock_timestamp()) * 1000000 as bigint) from t \
             where a = any ($1::bigint[]) and b = any ($2::bytea[]) for update"
        );
        assert!(matches!(sqlite_sql("select 1"), Cow::Borrowed(_)));
    }

    #[test]
    fn conflicts_are_spelled_out() {
        let sql = |statement: Statement| match statement.kind {
            Kind::Insert(insert) => insert.sql("values"),
            Kind::Sql { .. } => unreachable!(),
        };
        assert_eq!(sql(Statement::insert("t", &["a", "b"], vec![])), "insert into t (a, b) values");
        assert_eq!(sql(Statement::insert_new("t", &["a"], vec![])), "insert into t (a) values on conflict do nothing");
        assert_eq!(
            sql(Statement::upsert("t", &["a"], &["a", "b"], vec![])),
            "insert into t (a, b) values on conflict (a) do update set b = excluded.b"
        );
        assert_eq!(
            sql(Statement::upsert("t", &["a"], &["a"], vec![])),
            "insert into t (a) values on conflict (a) do nothing"
        );
    }

    #[test]
    fn statements_are_named_by_what_they_do() {
        let names = ["insert into t (a) values ($1)", "update t set a = $1", "delete from t\n where a = $1"];
        assert_eq!(names.map(|sql| Statement::new(sql, []).name()), ["insert t", "update t", "delete t"]);
        assert_eq!(Statement::upsert("t", &["a"], &["a"], vec![]).name(), "insert t");
    }

    #[test]
    fn of_equal_keys_the_last_row_wins() {
        let rows = [(1_i64, 1_i64), (2, 2), (1, 3)].map(|(a, b)| params![a, b].to_vec()).to_vec();
        let Kind::Insert(insert) = Statement::upsert("t", &["a"], &["a", "b"], rows).kind else { unreachable!() };
        assert_eq!(insert.rows, [params![1_i64, 3_i64].to_vec(), params![2_i64, 2_i64].to_vec()]);
    }
}
