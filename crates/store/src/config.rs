//! What the configuration says about storage. Reading configuration files is the room `config`'s work.

use std::{path::PathBuf, time::Duration};

/// Epoch rows of a logical node: no write pool may be larger (DESIGN §4, "Fence").
pub const EPOCH_SLOTS: u32 = 64;

/// Where a logical node keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageConfig {
    /// A PostgreSQL database, which replicas on several machines share.
    Postgres(PostgresConfig),
    /// An SQLite file, which replicas on one machine share. Files beside it (`-wal`, `-shm`, `-lock-*`, `-queue`, `-lock-*`,
    /// `-signals/`) belong to it.
    Sqlite {
        /// The database file; created if it is missing.
        path: PathBuf,
    },
    /// SQLite in memory: gone with the process, no replicas.
    Memory,
}

/// A PostgreSQL database and how much of it to use.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresConfig {
    /// `postgresql://…` URL or `key=value` pairs, as libpq takes them. Several hosts may be given; only one that takes
    /// writes is used.
    pub url: String,
    /// Added to the URL if it names no password.
    pub password: Option<String>,
    /// Schema that holds the tables; created if it is missing. Logical nodes that share a database need one each.
    pub schema: String,
    /// Connections of the read pool.
    pub read_connections: usize,
    /// Connections of the write pool, at most [`EPOCH_SLOTS`].
    pub write_connections: u32,
    /// Limit for making a connection.
    pub connect_timeout: Duration,
}

impl PostgresConfig {
    /// The usual settings for a database.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password: None,
            schema: "public".to_owned(),
            read_connections: 4,
            write_connections: 4,
            connect_timeout: Duration::from_secs(5),
        }
    }
}

/// Passwords stay out of logs.
impl std::fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("schema", &self.schema)
            .field("read_connections", &self.read_connections)
            .field("write_connections", &self.write_connections)
            .finish_non_exhaustive()
    }
}

/// How soon a silent holder is replaced (`ha.profile`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HaProfile {
    /// For machines that never pause.
    Fast,
    /// The default.
    #[default]
    Balanced,
    /// For machines that pause: overcommitted, or with a slow database.
    Tolerant,
}

impl HaProfile {
    /// A holder that does not beat for so long is replaced. It beats three times in this span.
    #[must_use]
    pub fn lease(self) -> Duration {
        match self {
            Self::Fast => Duration::from_millis(300),
            Self::Balanced => Duration::from_secs(1),
            Self::Tolerant => Duration::from_secs(5),
        }
    }
}
