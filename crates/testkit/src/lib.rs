//! What tests stand on. Only tests and proofs may enter; nothing here is part of the product, and nothing here
//! depends on a room of the product.

mod certificates;
mod data;
mod postgres;

pub use certificates::Authority;
pub use data::test_data;
pub use postgres::{Database, PostgresServer, binary, postgres};

/// How long a fuzz test tries: `CONCORDAT_FUZZ_SECONDS`, two where that is not set.
#[must_use]
pub fn fuzz_time() -> std::time::Duration {
    std::time::Duration::from_secs(setting("CONCORDAT_FUZZ_SECONDS").unwrap_or(2))
}

/// A number from the environment: how much a test tries.
#[must_use]
pub fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}
