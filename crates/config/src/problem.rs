//! What is wrong in a configuration, or worth knowing. Problems are collected, not returned: a user wants to see all.

use crate::place::{Door, Tenant};
use hocon::{Origin, show_path};
use std::{collections::BTreeSet, fmt};

/// What kind of problem it is; the id is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// The text is not HOCON.
    Syntax,
    /// A file is missing or cannot be read.
    File,
    /// A substitution has no value, or goes round in a circle.
    Substitution,
    /// No such key.
    UnknownKey,
    /// A key is given in two spellings.
    TwoSpellings,
    /// A value is not of the key's type, or out of range.
    InvalidValue,
    /// A key is missing that the others need.
    MissingKey,
    /// The name of a node is not allowed, or taken.
    NodeName,
    /// There is nothing to run and nothing to talk to.
    NoNode,
    /// Two nodes would write to the same tables.
    SharedStorage,
    /// Two servers would listen on one port.
    SharedPort,
    /// A password stands where it would be shown.
    PasswordInUrl,
    /// This version cannot do it.
    NotSupported,
    /// This version understands the key and does nothing with it.
    NoEffect,
}

impl Code {
    /// For programs.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Syntax => "CONFIG_SYNTAX",
            Self::File => "CONFIG_FILE",
            Self::Substitution => "CONFIG_SUBSTITUTION",
            Self::UnknownKey => "CONFIG_UNKNOWN_KEY",
            Self::TwoSpellings => "CONFIG_TWO_SPELLINGS",
            Self::InvalidValue => "CONFIG_INVALID_VALUE",
            Self::MissingKey => "CONFIG_MISSING_KEY",
            Self::NodeName => "CONFIG_NODE_NAME",
            Self::NoNode => "CONFIG_NO_NODE",
            Self::SharedStorage => "CONFIG_SHARED_STORAGE",
            Self::SharedPort => "CONFIG_SHARED_PORT",
            Self::PasswordInUrl => "CONFIG_PASSWORD_IN_URL",
            Self::NotSupported => "CONFIG_NOT_SUPPORTED",
            Self::NoEffect => "CONFIG_NO_EFFECT",
        }
    }
}

/// Something wrong in a configuration, or worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind.
    pub code: Code,
    /// File and line.
    pub origin: Origin,
    /// The key, e.g. `canton.participants.p1.admin-api.port`; empty if it is about a whole file.
    pub key: String,
    /// What is wrong and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{} [{}]", self.text, self.code.id())
    }
}

/// Problems so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    pub(crate) errors: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
    /// What the daemon will refuse.
    pub(crate) unsupported: Vec<Problem>,
    /// Not problems yet.
    pub(crate) tenants: Vec<Tenant>,
    /// Nor these.
    pub(crate) doors: Vec<Door>,
    /// Keys without effect that were warned about, with `*` for names.
    idle: BTreeSet<String>,
}

impl Problems {
    pub(crate) fn error(&mut self, code: Code, origin: &Origin, path: &[String], text: impl Into<String>) {
        self.errors.push(problem(code, origin, path, text));
    }

    pub(crate) fn warn(&mut self, code: Code, origin: &Origin, path: &[String], text: impl Into<String>) {
        self.warnings.push(problem(code, origin, path, text));
    }

    pub(crate) fn unsupported(&mut self, origin: &Origin, path: &[String], text: impl Into<String>) {
        self.unsupported.push(problem(Code::NotSupported, origin, path, text));
    }

    /// Warns once of each key, however many nodes have it.
    pub(crate) fn idle(&mut self, pattern: &[&str], origin: &Origin, path: &[String]) {
        if self.idle.insert(pattern.join(".")) {
            self.warn(Code::NoEffect, origin, path, "this key is understood and has no effect here");
        }
    }
}

fn problem(code: Code, origin: &Origin, path: &[String], text: impl Into<String>) -> Problem {
    Problem { code, origin: origin.clone(), key: show_path(path), text: text.into() }
}
