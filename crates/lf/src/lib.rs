//! Daml-LF, the language of contracts: reads DARs and packages of LF 1.6 to 2.3 into an arena, and assembles
//! packages from LF text.
//!
//! `engine` runs what this room reads; participants store payloads as they came and ask for signatures. The room
//! interprets nothing and keeps nothing. Whatever comes from outside is read strictly (unknown fields, numbers
//! outside their tables and absurd sizes are refused) and without recursion (spec/daml-lf.md §1).

mod archive;
mod ast;
mod builtin;
mod check;
mod dar;
mod error;
mod format;
pub mod models;
mod package;
mod parts;
#[cfg(test)]
mod tests;
mod text;
mod upgrade;
mod version;
mod walk;
mod wire;

pub use archive::read_package;
pub use ast::{
    Alternative, Binder, Binding, BuiltinType, ByKey, Choice, CoImplementation, DataCons, DataType, ExceptionDef, Expr,
    ExprId, FailureCategory, FieldExpr, Interface, InterfaceInstance, Kind, KindId, Literal, Module, NameId, Pattern,
    RefId, RoundingMode, Scenario, Template, TemplateKey, Type, TypeConApp, TypeId, TypeSynonym, Update, ValueDef,
};
pub use builtin::Builtin;
pub use check::{check_dar, check_package, tuple2};
pub use dar::{Dar, DarPackage, read_dar, write_dar};
pub use error::LfError;
pub use package::{Arena, Metadata, Package};
pub use text::{assemble, assemble_payload};
pub use upgrade::{check_upgrade, version_order};
pub use version::LanguageVersion;
