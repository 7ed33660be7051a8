//! Values on PostgreSQL's wire.

use std::error::Error;

use bytes::{Bytes, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::{Result, Row, StoreError, Value};

/// A parameter that may borrow from a statement.
pub(super) type Param<'a> = Box<dyn ToSql + Send + Sync + 'a>;

/// A value does not fit the type that the server expects.
#[derive(Debug, thiserror::Error)]
#[error("a {value} does not fit a column of type {column}")]
pub(super) struct Mismatch {
    value: &'static str,
    column: String,
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self, ty) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Int(int), &Type::INT8) => int.to_sql(ty, out),
            (Self::Int(int), &Type::INT4) => i32::try_from(*int)?.to_sql(ty, out),
            (Self::Int(int), &Type::INT2) => i16::try_from(*int)?.to_sql(ty, out),
            (Self::Text(text), &(Type::TEXT | Type::VARCHAR | Type::NAME)) => text.to_sql(ty, out),
            (Self::Bytes(bytes), &Type::BYTEA) => (&**bytes).to_sql(ty, out),
            (Self::Bool(bool), &Type::BOOL) => bool.to_sql(ty, out),
            (Self::Ints(list), &Type::INT8_ARRAY) => list.to_sql(ty, out),
            (Self::Texts(list), &Type::TEXT_ARRAY) => list.to_sql(ty, out),
            (Self::Blobs(list), &Type::BYTEA_ARRAY) => {
                list.iter().map(|b| &**b).collect::<Vec<&[u8]>>().to_sql(ty, out)
            }
            _ => Err(Box::new(Mismatch { value: kind(self), column: ty.name().to_owned() })),
        }
    }

    fn accepts(_: &Type) -> bool {
        true // what fits depends on the value
    }

    to_sql_checked!();
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Int(_) => "number",
        Value::Text(_) => "text",
        Value::Bytes(_) => "byte string",
        Value::Bool(_) => "boolean",
        Value::Ints(_) | Value::Texts(_) | Value::Blobs(_) => "list",
    }
}

pub(super) fn as_params(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|v| v as _).collect()
}

pub(super) fn boxed(values: &[Value]) -> Vec<Param<'_>> {
    values.iter().map(|v| Box::new(v) as _).collect()
}

/// One column of many rows as an array, with the type of its elements; `None` if all are null.
pub(super) fn column(rows: &[Vec<Value>], at: usize) -> Result<Option<(&'static str, Param<'_>)>> {
    macro_rules! array {
        ($type:literal, $value:pat => $element:expr) => {{
            let elements: Option<Vec<Option<_>>> = rows
                .iter()
                .map(|row| match row.get(at) {
                    Some(Value::Null) => Some(None),
                    Some($value) => Some(Some($element)),
                    _ => None,
                })
                .collect();
            let elements = elements.ok_or_else(|| {
                StoreError::Statement(format!("column {at} of an insert does not hold {} alone", $type))
            })?;
            Ok(Some(($type, Box::new(elements) as Param<'_>)))
        }};
    }
    match rows.iter().filter_map(|row| row.get(at)).find(|value| **value != Value::Null) {
        None => Ok(None),
        Some(Value::Int(_)) => array!("bigint", Value::Int(int) => *int),
        Some(Value::Text(_)) => array!("text", Value::Text(text) => text.as_str()),
        Some(Value::Bytes(_)) => array!("bytea", Value::Bytes(bytes) => &**bytes),
        Some(Value::Bool(_)) => array!("boolean", Value::Bool(bool) => *bool),
        Some(_) => Err(StoreError::Statement(format!("column {at} of an insert holds a list"))),
    }
}

pub(super) fn row(row: &tokio_postgres::Row) -> Result<Row> {
    let columns = row.columns().iter().enumerate();
    columns.map(|(at, column)| value(row, at, column.type_())).collect::<Result<_>>().map(Row)
}

fn value(row: &tokio_postgres::Row, at: usize, ty: &Type) -> Result<Value> {
    let read = match *ty {
        Type::INT8 => row.try_get::<_, Option<i64>>(at).map(Value::from),
        Type::INT4 => row.try_get::<_, Option<i32>>(at).map(Value::from),
        Type::INT2 => row.try_get::<_, Option<i16>>(at).map(|v| v.map(i32::from).into()),
        Type::TEXT | Type::VARCHAR | Type::NAME => row.try_get::<_, Option<String>>(at).map(Value::from),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at).map(|v| v.map(Bytes::from).into()),
        Type::BOOL => row.try_get::<_, Option<bool>>(at).map(Value::from),
        _ => return Err(StoreError::Statement(format!("column {at} has type {ty}, which the engines do not share"))),
    };
    read.map_err(|e| StoreError::Corrupt(e.to_string()))
}
