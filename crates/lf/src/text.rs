//! LF text, the written form of the language in the field: everything typed, names in full, no layout
//! (spec/daml-lf.md §6). Assembled, it makes packages without a compiler; shown, it makes packages readable.

mod exprs;
mod lexer;
mod modules;
mod parser;
mod print;
mod print_exprs;
#[cfg(test)]
mod tests;

use crate::{LanguageVersion, LfError, Metadata, Package, dar, format, read_package};
use base::{PackageId, PackageName, PackageVersion};
use parser::Parser;

/// Assembles LF text to a package: the payload of its archive. The package is of LF 2.1, or of the version that the text
/// begins with, as in `language 2.3;`. Errors name line and column.
pub fn assemble_payload(sources: &str, name: &PackageName, version: &PackageVersion) -> Result<Vec<u8>, LfError> {
    // The id is the hash of what is written, so that it cannot be known before; nothing else can be named like this.
    let own = PackageId::new("self").expect("a symbolic package id is one");
    let mut parser = Parser::new(sources, own.clone())?;
    let language = parser.language()?.unwrap_or(LanguageVersion::V2_1);
    let modules = parser.modules()?;
    let metadata = Metadata { name: name.clone(), version: version.clone(), upgrades: None };
    let package = Package::new(own, language, metadata, parser.finish(), modules)?;
    let payload = format::encode(&package)?;
    read_package(&payload)?;
    Ok(payload)
}

/// Assembles LF text to a DAR with that one package, which must not need others.
pub fn assemble(sources: &str, name: &PackageName, version: &PackageVersion) -> Result<Vec<u8>, LfError> {
    dar::write_dar(&assemble_payload(sources, name, version)?, &[])
}

/// A type as LF text, in an arena of its own.
pub(crate) fn parse_type(source: &str) -> Result<(crate::Arena, crate::TypeId), LfError> {
    let mut parser = Parser::new(source, PackageId::new("self").expect("a symbolic package id is one"))?;
    let ty = parser.ty()?;
    Ok((parser.finish(), ty))
}
