//! Logs by `tracing`: plain text for people, JSON for programs, to standard error or a file; and how far a node is behind.
//!
//! [`init`] is called once by the binary; every other room only uses the macros of `tracing`, [`Lag`] and [`Trouble`]. Secrets
//! never reach a log because no secret type implements `Debug` or `Display`.

mod lag;
mod trouble;

pub use lag::Lag;
pub use trouble::Trouble;

use std::{fs::OpenOptions, io, path::PathBuf, sync::Mutex};
use tracing_subscriber::{
    EnvFilter, fmt::writer::BoxMakeWriter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoder {
    /// One readable line.
    #[default]
    Plain,
    /// One JSON object a line.
    Json,
}

/// Where logs go and which.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// `tracing` filter, e.g. `info` or `warn,store=debug`.
    pub filter: String,
    /// Line format.
    pub encoder: Encoder,
    /// Appended to; standard error if absent.
    pub file: Option<PathBuf>,
}

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter does not parse.
    #[error("log filter {filter:?} is invalid; write a level like info, or room=level pairs joined by commas")]
    Filter {
        /// As given.
        filter: String,
        /// What the parser says.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The file cannot be appended to.
    #[error("cannot write the log file {path}")]
    File {
        /// As given.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody else set a global subscriber.
    #[error("logging was set up before")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Installs the global subscriber of this process.
pub fn init(config: &LogConfig) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|source| LogError::Filter { filter: config.filter.clone(), source })?;
    let writer = match &config.file {
        None => BoxMakeWriter::new(io::stderr),
        Some(path) => {
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map_err(|source| LogError::File { path: path.clone(), source })?;
            BoxMakeWriter::new(Mutex::new(file))
        }
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    let registry = tracing_subscriber::registry().with(filter);
    match config.encoder {
        Encoder::Plain => registry.with(lines).try_init()?,
        Encoder::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_with_a_filter() {
        let config = LogConfig { filter: "=!=".into(), encoder: Encoder::Plain, file: None };
        assert!(matches!(init(&config), Err(LogError::Filter { .. })));
    }
}
