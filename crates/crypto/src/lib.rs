//! Cryptography as pure functions: hashes with purposes, HMAC, public keys, fingerprints, signature verification, hybrid
//! encryption.
//!
//! Everybody above the words floor may use this room. What needs a private key is in [`private`], over bytes that
//! the caller gives: nothing here draws random numbers, reads a key store or asks a KMS. The room `identity` does.

mod encryption;
mod hash;
mod key;
mod model;
pub mod private;
mod signature;
#[cfg(test)]
mod tests;
mod token;

pub use encryption::{Agreement, DecryptionError, EPHEMERAL_BYTES, Secret, TAG_BYTES, WRAPPED_BYTES, Wrapper};
pub use hash::{HashBuilder, HashPurpose, hmac_sha256, sha256};
pub use key::{KeyError, KeyPurpose, KeyScheme, PublicKey};
pub use model::{Secp256k1Error, is_secp256k1, keccak256, secp256k1_key_pair, secp256k1_sign, secp256k1_verifies};
pub use signature::{Signature, SignatureError, SignatureFormat, equal_in_constant_time, verify_all};
pub use token::{TokenKey, TokenKeyError};
