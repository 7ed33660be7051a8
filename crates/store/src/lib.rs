//! The database room: [`Db`] over SQLite and PostgreSQL, with everything the engines do differently behind it. Rooms of
//! floor 4 and up that remember something may enter; their SQL stays in their own modules named `store`.
//!
//! What is absent here: writes without a guard (see [`Db`]), and any knowledge of what the rows mean. The drivers
//! `tokio-postgres` and `rusqlite` occur in no other room.

mod config;
mod db;
mod election;
mod error;
mod guard;
mod lock;
mod migrate;
mod notify;
mod postgres;
mod sqlite;
mod statement;
mod value;
mod write;

pub use config::{EPOCH_SLOTS, HaProfile, PostgresConfig, StorageConfig};
pub use db::{Committed, Db};
pub use election::{Election, ElectionConfig, Held, Holder};
pub use error::{Result, StoreError};
pub use guard::{Epoch, Guard, Incarnation, Own};
pub use lock::HeldLock;
pub use migrate::{Migration, Migrations};
pub use notify::Listener;
pub use statement::Statement;
pub use value::{Row, Value};
pub use write::WriteTx;
