//! Signatures of JSON web tokens (RFC 7518), by the algorithms of the field's participants. Each key is for one algorithm,
//! whatever a token says of itself.

use aws_lc_rs::{
    hmac,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P521_SHA512_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
        VerificationAlgorithm,
    },
};
use std::fmt;

/// What a key for tokens is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it holds no public key for {0}")]
pub struct TokenKeyError(&'static str);

/// A key that tokens are checked with.
pub struct TokenKey(Key);

enum Key {
    Hmac(Box<hmac::Key>),
    Public(&'static str, ParsedPublicKey),
}

const HS256: &str = "HS256";
const RS256: &str = "RS256";
const ES256: &str = "ES256";
const ES512: &str = "ES512";

impl TokenKey {
    /// `HS256`: whoever checks tokens can make them, too.
    #[must_use]
    pub fn hmac_256(secret: &[u8]) -> Self {
        Self(Key::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret))))
    }

    /// `RS256`, with a DER SubjectPublicKeyInfo of at least 2048 bits.
    pub fn rsa_256(key: &[u8]) -> Result<Self, TokenKeyError> {
        Self::public(RS256, &RSA_PKCS1_2048_8192_SHA256, key)
    }

    /// `ES256`, with a DER SubjectPublicKeyInfo of the curve P-256.
    pub fn ecdsa_256(key: &[u8]) -> Result<Self, TokenKeyError> {
        Self::public(ES256, &ECDSA_P256_SHA256_FIXED, key)
    }

    /// `ES512`, with a DER SubjectPublicKeyInfo of the curve P-521.
    pub fn ecdsa_512(key: &[u8]) -> Result<Self, TokenKeyError> {
        Self::public(ES512, &ECDSA_P521_SHA512_FIXED, key)
    }

    fn public(
        name: &'static str,
        algorithm: &'static dyn VerificationAlgorithm,
        key: &[u8],
    ) -> Result<Self, TokenKeyError> {
        let key = ParsedPublicKey::new(algorithm, key).map_err(|_| TokenKeyError(name))?;
        Ok(Self(Key::Public(name, key)))
    }

    /// The only algorithm that tokens may name.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match &self.0 {
            Key::Hmac(_) => HS256,
            Key::Public(name, _) => name,
        }
    }

    /// Whether the signature is by this key.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Key::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Key::Public(_, key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenKey").field(&self.algorithm()).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use aws_lc_rs::{
        encoding::AsDer as _,
        rand::SystemRandom,
        rsa::{KeyPair, KeySize},
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
            RSA_PKCS1_SHA256,
        },
    };

    const MESSAGE: &[u8] = b"header.payload";

    fn is_of(key: &TokenKey, algorithm: &str, signature: &[u8]) {
        assert_eq!(key.algorithm(), algorithm);
        assert!(key.verifies(MESSAGE, signature));
        assert!(!key.verifies(b"header.another", signature));
        assert!(!key.verifies(MESSAGE, &signature[1..]));
        assert!(!key.verifies(MESSAGE, b""));
    }

    #[test]
    fn curves() {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = pair.public_key().as_der().unwrap();
        is_of(&TokenKey::ecdsa_256(key.as_ref()).unwrap(), "ES256", pair.sign(&random, MESSAGE).unwrap().as_ref());
        assert!(TokenKey::ecdsa_512(key.as_ref()).is_err() && TokenKey::rsa_256(key.as_ref()).is_err());
        let pair = EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).unwrap();
        let key = pair.public_key().as_der().unwrap();
        is_of(&TokenKey::ecdsa_512(key.as_ref()).unwrap(), "ES512", pair.sign(&random, MESSAGE).unwrap().as_ref());
    }

    #[test]
    fn rsa() {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), MESSAGE, &mut signature).unwrap();
        let public = pair.public_key();
        is_of(&TokenKey::rsa_256(public.as_der().unwrap().as_ref()).unwrap(), "RS256", &signature);
    }

    #[test]
    fn secrets() {
        let signature = crate::hmac_sha256(b"secret", MESSAGE);
        is_of(&TokenKey::hmac_256(b"secret"), "HS256", signature.as_bytes());
        assert!(!TokenKey::hmac_256(b"another").verifies(MESSAGE, signature.as_bytes()));
        assert!(!format!("{:?}", TokenKey::hmac_256(b"secret")).contains("secret"));
    }
}
