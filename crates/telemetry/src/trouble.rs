//! What fails again and again is told once, and so is that it works again.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

/// Something that is tried until it works.
#[derive(Debug)]
pub struct Trouble {
    what: &'static str,
    /// Since when it fails, and how it did last.
    since: Option<(Instant, String)>,
}

impl Trouble {
    /// `what` fails, as people say it: "the directory of replicas cannot be read".
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self { what, since: None }
    }

    /// Takes the result of an attempt. A failure is logged as a warning if it is new.
    pub fn note<T, E: Display>(&mut self, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => {
                if let Some(lasted) = self.over() {
                    tracing::info!("no longer, after {} ms: {}", lasted.as_millis(), self.what);
                }
                Some(value)
            }
            Err(error) => {
                self.failed(error.to_string());
                None
            }
        }
    }

    /// How long it had failed, if it had.
    fn over(&mut self) -> Option<Duration> {
        self.since.take().map(|(since, _)| since.elapsed())
    }

    /// Whether it was news.
    fn failed(&mut self, error: String) -> bool {
        if self.since.as_ref().is_some_and(|(_, last)| *last == error) {
            tracing::debug!("{}, again: {error}", self.what);
            return false;
        }
        tracing::warn!("{}: {error}", self.what);
        let since = self.since.take().map_or_else(Instant::now, |(since, _)| since);
        self.since = Some((since, error));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_news_is_told() {
        let mut trouble = Trouble::new("it does not work");
        assert_eq!(trouble.over(), None);
        assert!(trouble.failed("a".into()));
        assert!(!trouble.failed("a".into()));
        assert!(trouble.failed("b".into()));
        assert_eq!(trouble.note(Ok::<_, String>(1)), Some(1));
        assert_eq!(trouble.over(), None);
        assert!(trouble.failed("b".into()));
        assert_eq!(trouble.note(Err::<(), _>("b")), None);
    }
}
