//! Reading one object key by key. Problems are collected, not returned: a user wants to see them all.

use crate::{model::Secret, place::Tenant};
use hocon::{Kind, Origin, Value, show_path};
use std::{collections::BTreeMap, fmt, time::Duration};

/// Something wrong in a configuration, or worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File and line.
    pub origin: Origin,
    /// The key, e.g. `canton.participants.p1.admin-api.port`.
    pub key: String,
    /// What is wrong and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.origin, self.key, self.text)
    }
}

/// Problems so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    pub(crate) errors: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
    /// Not problems yet.
    pub(crate) tenants: Vec<Tenant>,
}

/// An object being read. Keys that nobody asked for are reported by [`Block::finish`].
pub(crate) struct Block<'a> {
    pub(crate) origin: &'a Origin,
    path: Vec<String>,
    fields: BTreeMap<&'a str, &'a Value>,
    known: Vec<&'static str>,
}

impl<'a> Block<'a> {
    /// `None`, with an error, if the value is no object.
    pub(crate) fn new(value: &'a Value, path: Vec<String>, problems: &mut Problems) -> Option<Self> {
        let Kind::Object(fields) = &value.kind else {
            problems.error(&value.origin, &path, "an object { … } is expected here");
            return None;
        };
        let fields = fields.iter().map(|(k, v)| (k.as_str(), v)).collect();
        Some(Self { origin: &value.origin, path, fields, known: Vec::new() })
    }

    pub(crate) fn path(&self, key: &str) -> Vec<String> {
        let mut path = self.path.clone();
        path.push(key.to_owned());
        path
    }

    pub(crate) fn error(&self, key: &str, problems: &mut Problems, text: impl Into<String>) {
        let (origin, path) = self.at(key);
        problems.error(&origin, &path, text);
    }

    /// Where a key stands, or would stand.
    pub(crate) fn at(&self, key: &str) -> (Origin, Vec<String>) {
        let origin = self.fields.get(key).map_or(self.origin, |v| &v.origin);
        (origin.clone(), self.path(key))
    }

    pub(crate) fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.fields.get(key).copied().filter(|v| v.kind != Kind::Null)
    }

    /// A nested object, if it is there.
    pub(crate) fn block(&mut self, key: &'static str, problems: &mut Problems) -> Option<Block<'a>> {
        let path = self.path(key);
        self.value(key).and_then(|value| Block::new(value, path, problems))
    }

    /// All fields of an object whose keys are names chosen by the user.
    pub(crate) fn named(&mut self, key: &'static str, problems: &mut Problems) -> Vec<(String, Block<'a>)> {
        let Some(block) = self.block(key, problems) else { return Vec::new() };
        let fields = block.fields.iter();
        fields
            .filter_map(|(name, value)| Some(((*name).to_owned(), Block::new(value, block.path(name), problems)?)))
            .collect()
    }

    pub(crate) fn text(&mut self, key: &'static str, problems: &mut Problems) -> Option<String> {
        match &self.value(key)?.kind {
            Kind::Text { text, .. } => Some(text.clone()),
            _ => {
                self.error(key, problems, "a text is expected here");
                None
            }
        }
    }

    /// A text read by `parse`; its error says what is expected.
    pub(crate) fn parsed<T>(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(key, problems)?;
        parse(&text).map_err(|why| self.error(key, problems, format!("{text:?}: {why}"))).ok()
    }

    pub(crate) fn port(&mut self, key: &'static str, problems: &mut Problems) -> Option<u16> {
        self.parsed(key, problems, |t| t.parse().map_err(|_| "a port is a whole number from 0 to 65535".into()))
    }

    pub(crate) fn number(&mut self, key: &'static str, problems: &mut Problems) -> Option<u32> {
        self.parsed(key, problems, |t| t.parse().map_err(|_| "a whole number that is not negative is expected".into()))
    }

    pub(crate) fn flag(&mut self, key: &'static str, problems: &mut Problems) -> Option<bool> {
        self.parsed(key, problems, |t| match t {
            "true" | "yes" | "on" => Ok(true),
            "false" | "no" | "off" => Ok(false),
            _ => Err("true or false is expected".into()),
        })
    }

    pub(crate) fn duration(&mut self, key: &'static str, problems: &mut Problems) -> Option<Duration> {
        self.parsed(key, problems, parse_duration)
    }

    pub(crate) fn secret(&mut self, key: &'static str, problems: &mut Problems) -> Option<Secret> {
        self.text(key, problems).map(Secret::new)
    }

    /// Keys of the field that have no effect here: they are known, and their presence is a warning.
    pub(crate) fn without_effect(&mut self, keys: &[&'static str], problems: &mut Problems) {
        for key in keys {
            if let Some(value) = self.value(key) {
                problems.warn(&value.origin, &self.path(key), "this key is understood but has no effect here");
            }
        }
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self, problems: &mut Problems) {
        for (key, value) in &self.fields {
            if self.known.contains(key) {
                continue;
            }
            let near = self.known.iter().map(|known| (distance(key, known), known)).min();
            let text = match near {
                Some((d, known)) if d <= 1 + key.len() / 4 => format!("unknown key; did you mean {known}?"),
                _ if self.known.is_empty() => "unknown key; none is expected here".to_owned(),
                _ => format!("unknown key; known here are {}", self.known.join(", ")),
            };
            problems.error(&value.origin, &self.path(key), text);
        }
    }
}

impl Problems {
    pub(crate) fn error(&mut self, origin: &Origin, path: &[String], text: impl Into<String>) {
        self.errors.push(Problem { origin: origin.clone(), key: show_path(path), text: text.into() });
    }

    fn warn(&mut self, origin: &Origin, path: &[String], text: impl Into<String>) {
        self.warnings.push(Problem { origin: origin.clone(), key: show_path(path), text: text.into() });
    }
}

/// `30s`, `250 ms`, `1.5 minutes`, `2.seconds`; negative ones are refused.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || "a duration is a number and a unit, such as 250ms, 30s, 5 minutes, 1h".to_owned();
    let split = text.find(|c: char| c.is_alphabetic()).ok_or_else(expected)?;
    let (number, unit) = text.split_at(split);
    let number: f64 = number.trim().trim_end_matches('.').parse().map_err(|_| expected())?;
    let seconds = match unit.trim() {
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => 1e-9,
        "us" | "micro" | "micros" | "microsecond" | "microseconds" => 1e-6,
        "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1e-3,
        "s" | "second" | "seconds" => 1.0,
        "m" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return Err(expected()),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|_| "a duration is not negative".to_owned())
}

/// Edits that lead from one word to the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
