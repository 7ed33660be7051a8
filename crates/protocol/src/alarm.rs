//! What a node tells its operator when somebody misbehaves.

use base::{ErrorCode, MemberId};
use std::fmt;

/// A sign that somebody misbehaves. Tests and operators go by the code, under the field's names (spec/protocol.md §2.11,
/// §2.12); the text is for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alarm {
    /// Of the catalogue.
    pub code: ErrorCode,
    /// What happened.
    pub what: String,
    /// Who is said to have done it: what a message claims, unless its signature was verified. `None`: nobody can tell.
    pub who: Option<MemberId>,
}

impl Alarm {
    /// An alarm about nobody in particular.
    #[must_use]
    pub fn new(code: ErrorCode, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), who: None }
    }

    /// The same about somebody.
    #[must_use]
    pub fn about(self, who: MemberId) -> Self {
        Self { who: Some(who), ..self }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.id, self.what)?;
        self.who.iter().try_for_each(|who| write!(f, " (by {who})"))
    }
}
