//! Randomness, from the operating system.

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

/// `N` random bytes.
///
/// # Panics
/// If the operating system has none to give: nothing secret could be made, so nothing may go on.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// 128 random bits in hex: unique for all practical purposes.
#[must_use]
pub fn id() -> String {
    hex::encode(bytes::<16>())
}

/// 256 random bits in hex, for tokens.
#[must_use]
pub fn secret() -> String {
    hex::encode(bytes::<32>())
}
