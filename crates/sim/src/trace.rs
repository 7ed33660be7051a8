//! What happened, in order: a hash of everything, and the last lines in words.

use std::{
    collections::VecDeque,
    fmt::{Arguments, Write as _},
    hash::{DefaultHasher, Hasher as _},
    time::Duration,
};

pub(crate) struct Trace {
    hasher: DefaultHasher,
    lines: VecDeque<String>,
    keep: usize,
    count: u64,
    buffer: String,
}

impl Trace {
    /// Keeps so many of the last lines.
    pub(crate) fn new(keep: usize) -> Self {
        Self { hasher: DefaultHasher::new(), lines: VecDeque::new(), keep, count: 0, buffer: String::new() }
    }

    pub(crate) fn note(&mut self, now: Duration, who: &str, what: Arguments<'_>) {
        self.buffer.clear();
        // Writing to a string does not fail.
        let _ = write!(self.buffer, "{:>4}.{:06} {who:<5} {what}", now.as_secs(), now.subsec_micros());
        self.hasher.write(self.buffer.as_bytes());
        self.count += 1;
        if self.keep == 0 {
            return;
        }
        if self.lines.len() == self.keep {
            self.lines.pop_front();
        }
        self.lines.push_back(self.buffer.clone());
    }

    /// The same for two runs in which the same happened.
    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}
