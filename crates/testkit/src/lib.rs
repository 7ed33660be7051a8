//! What tests stand on. Only tests and proofs may enter; nothing here is part of the product, and nothing here
//! depends on a room of the product.

mod data;
mod postgres;

pub use data::test_data;
pub use postgres::{Database, PostgresServer, postgres};
