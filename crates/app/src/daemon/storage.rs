//! From configuration to database.

use ::config::Storage;
use ::store::{HaProfile, PostgresConfig, StorageConfig};

pub(crate) fn storage(config: &Storage) -> StorageConfig {
    match config {
        Storage::Memory => StorageConfig::Memory,
        Storage::Sqlite { path } => StorageConfig::Sqlite { path: path.clone() },
        Storage::Postgres(postgres) => {
            let url = format!(
                "host={} port={} dbname={} user={}",
                quoted(&postgres.host),
                postgres.port,
                quoted(&postgres.database),
                quoted(&postgres.user)
            );
            let mut config = PostgresConfig::new(url);
            config.password = postgres.password.as_ref().map(|secret| secret.reveal().to_owned());
            config.schema = postgres.schema().to_owned();
            if let Some(all) = postgres.max_connections {
                let half = (all / 2).clamp(1, ::store::EPOCH_SLOTS);
                config.write_connections = half;
                config.read_connections = (all.saturating_sub(half)).max(1) as usize;
            }
            StorageConfig::Postgres(config)
        }
    }
}

/// A value of a libpq connection string.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

pub(crate) fn profile(config: ::config::HaProfile) -> HaProfile {
    match config {
        ::config::HaProfile::Fast => HaProfile::Fast,
        ::config::HaProfile::Balanced => HaProfile::Balanced,
        ::config::HaProfile::Tolerant => HaProfile::Tolerant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted() {
        assert_eq!(quoted(r"it's a \ b"), r"'it\'s a \\ b'");
    }
}
