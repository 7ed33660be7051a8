//! What went wrong, and where.

use std::fmt;

/// A script or a line cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {problem}")]
pub struct ConsoleError {
    /// From 1.
    pub line: usize,
    /// In bytes, from 1.
    pub column: usize,
    /// What it is.
    pub problem: Problem,
}

/// What can go wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No text of the language.
    #[error("this cannot be read: {0}")]
    Syntax(String),
    /// Scala, but not of the subset.
    #[error("the console does not know {0}")]
    Unsupported(String),
    /// Nothing is called so.
    #[error("{name} is not known{}", Nearest(.nearest))]
    UnknownName {
        /// What was written.
        name: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A value has no such member.
    #[error("{name} is not a member of {of}{}", Nearest(.nearest))]
    UnknownMember {
        /// What was written.
        name: String,
        /// Its type.
        of: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A value is of another type than what is needed.
    #[error("{needed} is needed, this is {found}")]
    WrongType {
        /// The type.
        needed: &'static str,
        /// The type that it has.
        found: String,
    },
    /// An operation that has no result, such as the head of an empty sequence.
    #[error("{0}")]
    NoResult(String),
    /// `assert` failed.
    #[error("assertion failed{0}")]
    Assertion(String),
    /// A bound of the evaluator.
    #[error("{what} is limited to {limit}")]
    Limit {
        /// What is bounded.
        what: &'static str,
        /// By what.
        limit: usize,
    },
    /// A command refused.
    #[error("{0}")]
    Command(String),
}

struct Nearest<'a>(&'a Option<String>);

impl fmt::Display for Nearest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "; did you mean {name}?"),
            None => Ok(()),
        }
    }
}

impl Problem {
    pub(crate) fn at(self, (line, column): (usize, usize)) -> ConsoleError {
        ConsoleError { line, column, problem: self }
    }
}

/// The name that differs in the fewest letters, if it is less than half of them.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let name: Vec<char> = name.chars().take(64).collect();
    names
        .map(|other| (distance(&name, &other.chars().take(64).collect::<Vec<_>>()), other))
        .filter(|(distance, _)| *distance <= name.len().div_ceil(3))
        .min()
        .map(|(_, other)| other.to_owned())
}

fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
