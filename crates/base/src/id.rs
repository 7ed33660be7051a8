//! Identifiers that cross rooms, as validated newtypes. Constructing one is the only check anybody needs.

use crate::limits;
use std::{fmt, str::FromStr, sync::Arc};

/// A text or byte string is not an identifier of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {shown:?} is invalid: {why}")]
pub struct InvalidId {
    kind: &'static str,
    shown: String,
    why: String,
}

impl InvalidId {
    /// `text` is cut to 80 characters, so that an error about an oversized id is not itself oversized.
    pub(crate) fn new(kind: &'static str, text: &str, why: impl Into<String>) -> Self {
        Self { kind, shown: text.chars().take(80).collect(), why: why.into() }
    }
}

/// Declares a cheap-to-clone validated text newtype.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks length and characters.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                let text = text.as_ref();
                $check(text).map_err(|why| InvalidId::new($kind, text, why))?;
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), &self.0)
            }
        }
    };
}

fn check(text: &str, max: usize, allowed: impl Fn(char) -> bool) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    // Every allowed character is ASCII or checked one by one, so bytes bound characters cheaply first.
    if text.len() > max * 4 || text.chars().count() > max {
        return Err(format!("it is longer than {max} characters"));
    }
    match text.chars().find(|c| !allowed(*c)) {
        Some(c) => Err(format!("it contains {c:?}")),
        None => Ok(()),
    }
}

fn party(text: &str) -> Result<(), String> {
    check(text, limits::MAX_PARTY_CHARS, |c| c.is_ascii_alphanumeric() || ":-_ ".contains(c))
}

fn ledger_string(text: &str) -> Result<(), String> {
    check(text, limits::MAX_LEDGER_STRING_CHARS, |c| c.is_ascii_alphanumeric() || "#:-_/ ".contains(c))
}

fn user(text: &str) -> Result<(), String> {
    check(text, limits::MAX_LEDGER_STRING_CHARS, |c| c.is_ascii_alphanumeric() || "@^$.!`-#+'~_|:()".contains(c))
}

fn package_id(text: &str) -> Result<(), String> {
    check(text, 64, |c| c.is_ascii_alphanumeric() || "-_ ".contains(c))
}

fn package_name(text: &str) -> Result<(), String> {
    check(text, limits::MAX_PACKAGE_NAME_CHARS, |c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

fn package_version(text: &str) -> Result<(), String> {
    check(text, limits::MAX_PACKAGE_NAME_CHARS, |c| c.is_ascii_digit() || c == '.')?;
    let well_formed = text.split('.').all(|part| !part.is_empty() && (part == "0" || !part.starts_with('0')));
    if well_formed { Ok(()) } else { Err("it is not numbers joined by dots".into()) }
}

fn name(text: &str) -> Result<(), String> {
    check(text, limits::MAX_NAME_CHARS, |c| c.is_ascii_alphanumeric() || c == '_' || c == '$')?;
    if text.starts_with(|c: char| c.is_ascii_digit()) { Err("it begins with a digit".into()) } else { Ok(()) }
}

fn dotted_name(text: &str) -> Result<(), String> {
    if text.len() > limits::MAX_NAME_CHARS {
        return Err(format!("it is longer than {} characters", limits::MAX_NAME_CHARS));
    }
    text.split('.').try_for_each(name)
}

fn message_id(text: &str) -> Result<(), String> {
    check(text, limits::MAX_LEDGER_STRING_CHARS, |c| c.is_ascii_graphic())
}

text_id!(
    /// A Daml party. On a network it is a unique identifier `name::namespace`; the language asks only for
    /// its characters (spec/daml-lf.md §3.3).
    PartyId, "party", party
);
text_id!(
    /// The command id that an application chose; part of the change id.
    CommandId, "command id", ledger_string
);
text_id!(
    /// Distinguishes retries of one command id.
    SubmissionId, "submission id", ledger_string
);
text_id!(
    /// An application's label of a workflow.
    WorkflowId, "workflow id", ledger_string
);
text_id!(
    /// The id of a ledger update; for a transaction the hex of its root hash.
    UpdateId, "update id", ledger_string
);
text_id!(
    /// A Ledger API user (before 3.x: application id).
    UserId, "user id", user
);
text_id!(
    /// The message id that a sender gives a submission to the sequencer; unique per sender.
    MessageId, "message id", message_id
);
text_id!(
    /// Lower-case hex SHA-256 of a package's payload bytes; short symbolic ids occur in tests.
    PackageId, "package id", package_id
);
text_id!(
    /// The name of a package, shared by all its versions.
    PackageName, "package name", package_name
);
text_id!(
    /// Numbers joined by dots.
    PackageVersion, "package version", package_version
);
text_id!(
    /// A Daml-LF name: a field, choice, variant constructor, or one segment of a dotted name.
    Name, "name", name
);
text_id!(
    /// A module name or the name of a definition: names joined by dots.
    DottedName, "dotted name", dotted_name
);

/// A definition in a package: a template, interface, data type or value. Shown as `package:Module:Entity`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    /// The package.
    pub package: PackageId,
    /// The module.
    pub module: DottedName,
    /// The definition in the module.
    pub entity: DottedName,
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.package, self.module, self.entity)
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Identifier {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut parts = text.split(':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(package), Some(module), Some(entity), None) => {
                Ok(Self { package: package.parse()?, module: module.parse()?, entity: entity.parse()? })
            }
            _ => Err(InvalidId::new("identifier", text, "it is not package:Module:Entity")),
        }
    }
}

/// A contract id as bytes: version byte 00 (V1: 32 bytes of discriminator, up to 94 of suffix) or 01 (V2:
/// 12 bytes of prefix, up to 33 of suffix). Shown as lower-case hex; ordered bytewise.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContractId(Arc<[u8]>);

impl ContractId {
    const V1_PREFIX: usize = 33;
    const V2_PREFIX: usize = 13;

    /// Checks version and length.
    pub fn new(bytes: &[u8]) -> Result<Self, InvalidId> {
        let fits = match bytes.first() {
            Some(0) => (Self::V1_PREFIX..=Self::V1_PREFIX + 94).contains(&bytes.len()),
            Some(1) => (Self::V2_PREFIX..=Self::V2_PREFIX + 33).contains(&bytes.len()),
            _ => false,
        };
        if fits {
            Ok(Self(bytes.into()))
        } else {
            let shown = hex::encode(&bytes[..bytes.len().min(40)]);
            Err(InvalidId::new("contract id", &shown, "it is neither a V1 nor a V2 contract id"))
        }
    }

    /// A V1 contract id from its discriminator and suffix (at most 94 bytes).
    pub fn v1(discriminator: &crate::Hash, suffix: &[u8]) -> Result<Self, InvalidId> {
        Self::new(&[&[0], discriminator.as_bytes().as_slice(), suffix].concat())
    }

    /// All bytes, version byte included.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Version byte and discriminator, without the suffix.
    #[must_use]
    pub fn prefix(&self) -> &[u8] {
        self.0.split_at(if self.0[0] == 0 { Self::V1_PREFIX } else { Self::V2_PREFIX }).0
    }

    /// What follows the prefix; empty for an id that is still local to its transaction.
    #[must_use]
    pub fn suffix(&self) -> &[u8] {
        self.0.split_at(self.prefix().len()).1
    }

    /// A local id has no suffix yet: the contract was created in the transaction that is being built.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.suffix().is_empty()
    }
}

impl FromStr for ContractId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() > 2 * limits::MAX_CONTRACT_ID_BYTES {
            return Err(InvalidId::new("contract id", text, "it is too long"));
        }
        let bytes = hex::decode(text).map_err(|_| InvalidId::new("contract id", text, "it is not hexadecimal"))?;
        Self::new(&bytes)
    }
}

impl fmt::Display for ContractId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for ContractId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContractId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_language_accepts() {
        assert!(PartyId::new("Alice-1::1220ab cd_e").is_ok());
        assert!(Name::new("$x_1").is_ok());
        assert!(DottedName::new("DA.Internal.Template").is_ok());
        assert!(PackageVersion::new("1.0.12").is_ok());
        assert!("p:M.N:E.F".parse::<Identifier>().is_ok());
        assert!(ContractId::new(&[0; 33]).is_ok_and(|c| c.is_local()));
        assert!(ContractId::new(&[0; 127]).is_ok_and(|c| c.suffix().len() == 94));
        assert!(ContractId::new(&[1; 13]).is_ok());
    }

    #[test]
    fn refuses_the_rest() {
        for bad in ["", "Älice", "a/b", &"a".repeat(256)] {
            assert!(PartyId::new(bad).is_err(), "{bad}");
        }
        for bad in ["", "1a", "a-b", "a.b"] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
        for bad in [".", "a..b", "a.", ""] {
            assert!(DottedName::new(bad).is_err(), "{bad}");
        }
        for bad in ["", "1.", "01", "1.x", "1..2"] {
            assert!(PackageVersion::new(bad).is_err(), "{bad}");
        }
        for bad in [&[][..], &[0; 32], &[0; 128], &[1; 12], &[1; 47], &[2; 33]] {
            assert!(ContractId::new(bad).is_err(), "{bad:?}");
        }
        assert!("p:M".parse::<Identifier>().is_err());
        assert!("p:M:E:X".parse::<Identifier>().is_err());
    }

    #[test]
    fn errors_about_long_ids_stay_short() {
        let error = PartyId::new("x".repeat(100_000)).unwrap_err();
        assert!(error.to_string().len() < 200);
    }
}
