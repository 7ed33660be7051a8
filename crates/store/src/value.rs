//! Values that go into statements and come out of rows.

use base::Timestamp;
use bytes::Bytes;

use crate::{Result, StoreError};

/// A parameter or a column. Instants are stored as [`Value::Int`] of microseconds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// `null` of any type.
    Null,
    /// `bigint`.
    Int(i64),
    /// `text`.
    Text(String),
    /// `bytea`.
    Bytes(Bytes),
    /// `boolean`.
    Bool(bool),
    /// A list for `in ints($1)`.
    Ints(Vec<i64>),
    /// A list for `in texts($1)`.
    Texts(Vec<String>),
    /// A list for `in blobs($1)`.
    Blobs(Vec<Bytes>),
}

/// `params![a, b]` is `[Value::from(a), Value::from(b)]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { [$($crate::Value::from($value)),*] };
}

macro_rules! from {
    ($($from:ty => $variant:ident $(. $method:ident)?),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value$(.$method())?.into())
            }
        }
    )*};
}

from! {
    i64 => Int, i32 => Int, u32 => Int, u16 => Int, u8 => Int, Timestamp => Int.micros,
    String => Text, &str => Text, &String => Text.as_str,
    Bytes => Bytes, Vec<u8> => Bytes, &[u8] => Bytes.to_vec,
    bool => Bool,
    Vec<i64> => Ints, Vec<String> => Texts, Vec<Bytes> => Blobs,
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row of a result. Columns are counted from 0; asking for the wrong type is [`StoreError::Corrupt`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub(crate) Vec<Value>);

impl Row {
    /// The column, whatever it holds.
    pub fn value(&self, column: usize) -> Result<&Value> {
        self.0.get(column).ok_or_else(|| StoreError::Corrupt(format!("a row has no column {column}")))
    }

    /// A `bigint` that is not null.
    pub fn int(&self, column: usize) -> Result<i64> {
        self.opt_int(column)?.ok_or_else(|| null(column))
    }

    /// A `bigint`.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>> {
        self.optional(column, "an integer", |value| match value {
            Value::Int(int) => Some(*int),
            _ => None,
        })
    }

    /// A `bigint` that is neither null nor negative.
    pub fn count(&self, column: usize) -> Result<u64> {
        let int = self.int(column)?;
        u64::try_from(int).map_err(|_negative| StoreError::Corrupt(format!("column {column} holds {int}, below 0")))
    }

    /// An instant that is not null.
    pub fn timestamp(&self, column: usize) -> Result<Timestamp> {
        self.opt_timestamp(column)?.ok_or_else(|| null(column))
    }

    /// An instant.
    pub fn opt_timestamp(&self, column: usize) -> Result<Option<Timestamp>> {
        let instant = |micros| Timestamp::from_micros(micros).map_err(|e| StoreError::Corrupt(e.to_string()));
        self.opt_int(column)?.map(instant).transpose()
    }

    /// A `text` that is not null.
    pub fn text(&self, column: usize) -> Result<&str> {
        self.opt_text(column)?.ok_or_else(|| null(column))
    }

    /// A `text`.
    pub fn opt_text(&self, column: usize) -> Result<Option<&str>> {
        self.optional(column, "a text", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A `bytea` that is not null.
    pub fn bytes(&self, column: usize) -> Result<Bytes> {
        self.opt_bytes(column)?.ok_or_else(|| null(column))
    }

    /// A `bytea`.
    pub fn opt_bytes(&self, column: usize) -> Result<Option<Bytes>> {
        self.optional(column, "bytes", |value| match value {
            Value::Bytes(bytes) => Some(bytes.clone()),
            _ => None,
        })
    }

    /// A `boolean` that is not null.
    pub fn bool(&self, column: usize) -> Result<bool> {
        self.opt_bool(column)?.ok_or_else(|| null(column))
    }

    /// A `boolean`.
    pub fn opt_bool(&self, column: usize) -> Result<Option<bool>> {
        self.optional(column, "a boolean", |value| match value {
            Value::Bool(bool) => Some(*bool),
            Value::Int(int @ (0 | 1)) => Some(*int == 1), // SQLite has no type of its own for it
            _ => None,
        })
    }

    fn optional<'a, T>(
        &'a self,
        column: usize,
        wanted: &str,
        get: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            value => get(value)
                .map(Some)
                .ok_or_else(|| StoreError::Corrupt(format!("column {column} does not hold {wanted}"))),
        }
    }
}

fn null(column: usize) -> StoreError {
    StoreError::Corrupt(format!("column {column} is null"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_by_type() {
        let row = Row(params![7_i64, "x", vec![1_u8, 2], true, None::<i64>, Timestamp::EPOCH].to_vec());
        assert_eq!(row.int(0), Ok(7));
        assert_eq!(row.count(0), Ok(7));
        assert_eq!(row.text(1), Ok("x"));
        assert_eq!(row.bytes(2), Ok(Bytes::from_static(&[1, 2])));
        assert_eq!(row.bool(3), Ok(true));
        assert_eq!(row.opt_int(4), Ok(None));
        assert_eq!(row.opt_text(4), Ok(None));
        assert_eq!(row.timestamp(5), Ok(Timestamp::EPOCH));
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let row = Row(params![7_i64, None::<i64>, -1_i64, i64::MAX].to_vec());
        for result in [row.text(0).map(drop), row.int(1).map(drop), row.int(4).map(drop), row.bool(0).map(drop)] {
            assert!(matches!(result, Err(StoreError::Corrupt(_))), "{result:?}");
        }
        assert!(row.count(2).is_err());
        assert!(row.timestamp(3).is_err());
    }

    #[test]
    fn sqlite_booleans_are_integers() {
        assert_eq!(Row(params![0_i64].to_vec()).bool(0), Ok(false));
        assert_eq!(Row(params![1_i64].to_vec()).bool(0), Ok(true));
    }
}
