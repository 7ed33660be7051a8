//! What tests stand on. Only tests and proofs may enter; nothing here is part of the product, and nothing here
//! depends on a room of the product.

mod certificates;
mod data;
mod postgres;

pub use certificates::Authority;
pub use data::test_data;
pub use postgres::{Database, PostgresServer, postgres};
