//! Cryptography as pure functions: hashes with purposes, HMAC, public keys, fingerprints, signature verification.
//!
//! Everybody above the words floor may use this room. What needs a private key works over bytes that
//! the caller gives: nothing here draws random numbers, reads a key store or asks a KMS. The room `identity` does.

mod hash;

pub use hash::{HashBuilder, HashPurpose, hmac_sha256, sha256};
