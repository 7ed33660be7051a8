//! A reader of HOCON that knows where everything stands.
//!
//! Parse each file ([`parse`], with a [`Loader`] for its includes), [`merge`] them, later over earlier, then resolve
//! the substitutions of the whole ([`resolve`]): a substitution in one file may name a key that only another file has.
//! Pure: files and environment come in through arguments. Only `config` enters.
//!
//! Unlike the published crates it keeps an object under a substitution that later lines override in several places
//! (spec/surface.md §1.3): a key's definitions stay a list until they are resolved.

mod parse;
mod resolve;
mod tree;

pub use parse::{Include, IncludeKind, Loader, NoIncludes, parse};
pub use resolve::{overlay, resolve};
pub use tree::{Unresolved, merge};

use std::{collections::BTreeMap, fmt, sync::Arc};

/// Where a value stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// Name of the file, as the caller gave it.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: u32,
}

/// A resolved value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Value {
    /// Where it stands; for a merged object, where it was last added to.
    pub origin: Origin,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of values. Numbers and booleans are texts: only whoever reads a key knows what it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `null`
    Null,
    /// A string, number or boolean.
    Text {
        /// The characters.
        text: String,
        /// Whether they were quoted, and so are a string for certain.
        quoted: bool,
    },
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(BTreeMap<String, Value>),
}

/// A text is not HOCON, or its substitutions do not resolve.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{origin}: {problem}")]
pub struct Error {
    /// Where.
    pub origin: Origin,
    /// The key whose value it is about, where that is known; else empty.
    pub key: String,
    /// Whether an included file is missing or cannot be read.
    pub is_file: bool,
    /// What is wrong and what to do.
    pub problem: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Error {
    pub(crate) fn new(origin: &Origin, problem: impl Into<String>) -> Self {
        Self { origin: origin.clone(), key: String::new(), is_file: false, problem: problem.into() }
    }

    pub(crate) fn at(self, path: &[String]) -> Self {
        Self { key: show_path(path), ..self }
    }

    pub(crate) fn file(self) -> Self {
        Self { is_file: true, ..self }
    }
}

/// A path joined by dots, with quotes where a segment needs them.
#[must_use]
pub fn show_path(path: &[String]) -> String {
    let plain = |s: &String| !s.is_empty() && s.chars().all(|c| c.is_alphanumeric() || "-_".contains(c));
    path.iter().map(|s| if plain(s) { s.clone() } else { format!("{s:?}") }).collect::<Vec<_>>().join(".")
}

/// A text as a quoted string.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                quoted.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")))
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
