//! Packages on the wire. The numbers of fields are those of the field's archive format.
//!
//! Depth comes from outside, so nothing recurses: a part that is nested in another gets its number first and is
//! read later, from a list.

mod decode;
mod encode;
mod encode_exprs;
mod exprs;
mod modules;
mod sizes;
mod types;
mod v1;

pub(crate) use decode::decode;
pub(crate) use encode::encode;
