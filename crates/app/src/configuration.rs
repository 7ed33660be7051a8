//! `concordat config`: what a configuration says, and what it may say.

use crate::cli::{ConfigCommand, Source};
use config::LoadError;

/// The command found something wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("{0}")]
    NoSuchKey(String),
}

/// What is to be printed.
pub(crate) fn run(command: &ConfigCommand) -> Result<String, ConfigError> {
    match command {
        ConfigCommand::Check(source) => Ok(check(source)?),
        ConfigCommand::Show(source) => Ok(source.show()?.trim_end().to_owned()),
        ConfigCommand::Explain { key } => config::explain(key).map_err(ConfigError::NoSuchKey),
        ConfigCommand::Schema => Ok(config::schema().trim_end().to_owned()),
    }
}

fn check(source: &Source) -> Result<String, LoadError> {
    let (config, warnings) = source.load()?;
    let mut lines: Vec<String> = warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    lines.extend(config.unsupported.iter().map(|problem| format!("the daemon will refuse this: {problem}")));
    let local = config.participants.len()
        + config.sequencers.len()
        + config.mediators.len()
        + config.managers.len()
        + config.domains.len();
    lines.push(format!("the configuration is valid: {local} nodes to run, {} remote", config.remotes.len()));
    Ok(lines.join("\n"))
}
