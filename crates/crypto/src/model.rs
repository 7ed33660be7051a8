//! What models compute with: the hash and the signatures of other networks, for contracts that speak about them.

use aws_lc_rs::{
    digest::{Digest, SHA256},
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256K1_SHA256_ASN1, ECDSA_P256K1_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
        ECDSA_P521_SHA512_ASN1, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
    },
};
use base::Hash;

/// Why a signature of a model cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Secp256k1Error {
    /// The key is no DER SubjectPublicKeyInfo of a point on the curve, or no PKCS#8 of a private key.
    #[error("the key is none of the curve secp256k1 in its DER form")]
    Key,
    /// The signature is no DER sequence of two integers.
    #[error("the signature is no DER sequence of two integers")]
    Signature,
}

/// What stands before the point in a DER SubjectPublicKeyInfo of the curve.
const PUBLIC_PREFIX: &[u8] =
    b"\x30\x56\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x0a\x03\x42\x00";

/// A private key as PKCS#8 and its public key as DER SubjectPublicKeyInfo, for tests of models. `None` for the very few
/// seeds that are no number below the order of the curve; the same seed gives the same keys.
#[must_use]
pub fn secp256k1_key_pair(seed: &[u8; 32]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (before, after) = (b"\x30\x2e\x02\x01\x01\x04\x20", b"\xa0\x07\x06\x05\x2b\x81\x04\x00\x0a");
    let der = [&before[..], seed, after].concat();
    let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256K1_SHA256_ASN1_SIGNING, &der).ok()?;
    let public = [PUBLIC_PREFIX, pair.public_key().as_ref()].concat();
    Some((pair.to_pkcs8v1().ok()?.as_ref().to_vec(), public))
}

/// A signature over a digest, for tests of models; the library makes each of them another.
pub fn secp256k1_sign(pkcs8: &[u8], digest: &[u8]) -> Result<Vec<u8>, Secp256k1Error> {
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256K1_SHA256_ASN1_SIGNING, pkcs8).map_err(|_| Secp256k1Error::Key)?;
    let signature = pair.sign_digest(&number(digest)?).map_err(|_| Secp256k1Error::Signature)?;
    Ok(signature.as_ref().to_vec())
}

/// The scheme takes the first bits of a digest as a number, as many as the curve has.
fn number(digest: &[u8]) -> Result<Digest, Secp256k1Error> {
    let mut number = [0; 32];
    let given = &digest[..digest.len().min(32)];
    number[32 - given.len()..].copy_from_slice(given);
    Digest::import_less_safe(&number, &SHA256).map_err(|_| Secp256k1Error::Signature)
}

/// Whether a signature over a digest, which is usually of 32 bytes, is by a key of the curve secp256k1.
pub fn secp256k1_verifies(key: &[u8], digest: &[u8], signature: &[u8]) -> Result<bool, Secp256k1Error> {
    let key = ParsedPublicKey::new(&ECDSA_P256K1_SHA256_ASN1, key).map_err(|_| Secp256k1Error::Key)?;
    if !is_pair_of_integers(signature) {
        return Err(Secp256k1Error::Signature);
    }
    Ok(key.verify_digest_sig(&number(digest)?, signature).is_ok())
}

/// Whether a key of an elliptic curve, in its DER form, is one of the curve secp256k1.
pub fn is_secp256k1(key: &[u8]) -> Result<bool, Secp256k1Error> {
    let others = [&ECDSA_P256_SHA256_ASN1, &ECDSA_P384_SHA384_ASN1, &ECDSA_P521_SHA512_ASN1];
    if ParsedPublicKey::new(&ECDSA_P256K1_SHA256_ASN1, key).is_ok() {
        return Ok(true);
    }
    let is_other = others.into_iter().any(|curve| ParsedPublicKey::new(curve, key).is_ok());
    if is_other { Ok(false) } else { Err(Secp256k1Error::Key) }
}

/// Whether the bytes are a DER sequence of two integers and nothing else; of the lengths that signatures have.
fn is_pair_of_integers(der: &[u8]) -> bool {
    let part = |tag: u8, der: &[u8]| match der {
        [found, length, rest @ ..] if *found == tag && *length < 0x80 => {
            rest.split_at_checked(usize::from(*length)).map(|(part, rest)| (part.to_vec(), rest.to_vec()))
        }
        _ => None,
    };
    let integers = part(0x30, der).filter(|(_, rest)| rest.is_empty());
    let second = integers.and_then(|(integers, _)| part(0x02, &integers)).map(|(_, second)| second);
    second.and_then(|second| part(0x02, &second)).is_some_and(|(_, rest)| rest.is_empty())
}

/// What is added to the first lane in each round: bit `2^j - 1` where the round's shift register says so.
fn round_constants() -> [u64; 24] {
    let mut register = 1_u8;
    [(); 24].map(|()| {
        let mut constant = 0;
        for j in 0..7 {
            constant |= u64::from(register & 1) << ((1_u32 << j) - 1);
            register = register << 1 ^ if register & 0x80 == 0 { 0 } else { 0x71 };
        }
        constant
    })
}

/// The permutation: lanes of 64 bits in rows of five.
fn permute(lanes: &mut [u64; 25]) {
    for constant in round_constants() {
        let column = |x: usize| (0..5).fold(0, |sum, y| sum ^ lanes[x % 5 + 5 * y]);
        let parities = [0, 1, 2, 3, 4].map(column);
        for (place, lane) in lanes.iter_mut().enumerate() {
            *lane ^= parities[(place + 4) % 5] ^ parities[(place + 1) % 5].rotate_left(1);
        }
        let (mut x, mut y, mut moved) = (1, 0, lanes[1]);
        for t in 1..=24_u32 {
            (x, y) = (y, (2 * x + 3 * y) % 5);
            let turned = moved.rotate_left(t * (t + 1) / 2 % 64);
            moved = std::mem::replace(&mut lanes[x + 5 * y], turned);
        }
        for row in lanes.chunks_exact_mut(5) {
            let old: Vec<u64> = row.to_vec();
            for (x, lane) in row.iter_mut().enumerate() {
                *lane ^= !old[(x + 1) % 5] & old[(x + 2) % 5];
            }
        }
        lanes[0] ^= constant;
    }
}

/// Bytes that are taken in between two permutations, for a hash of 32 bytes.
const RATE: usize = 136;

/// The hash Keccak-256, as it was before it became the standard SHA3-256 with another padding.
#[must_use]
pub fn keccak256(bytes: &[u8]) -> Hash {
    let mut padded = bytes.to_vec();
    padded.push(1);
    padded.resize(padded.len().next_multiple_of(RATE), 0);
    if let Some(last) = padded.last_mut() {
        *last |= 0x80;
    }
    let mut lanes = [0; 25];
    for block in padded.chunks_exact(RATE) {
        for (lane, bytes) in lanes.iter_mut().zip(block.chunks_exact(8)) {
            *lane ^= bytes.iter().rev().fold(0, |lane, byte| lane << 8 | u64::from(*byte));
        }
        permute(&mut lanes);
    }
    let mut hash = [0; 32];
    for (part, lane) in hash.chunks_exact_mut(8).zip(lanes) {
        part.copy_from_slice(&lane.to_le_bytes());
    }
    Hash(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that other networks publish.
    #[test]
    fn keccak_is_that_of_others() {
        for (text, hash) in [
            ("", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
            ("abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
            ("transfer(address,uint256)", "a9059cbb2ab09eb219583f4a59a5d0623ade346d962bcd4e46b11da047c9049b"),
        ] {
            assert_eq!(keccak256(text.as_bytes()).to_hex(), hash, "{text}");
        }
    }

    /// The same permutation under the standard's padding is what a library computes, whatever the length.
    #[test]
    fn the_permutation_is_the_standards() {
        for length in [0, 1, 135, 136, 137, 271, 272, 1000] {
            let bytes: Vec<u8> = (0..length).map(|n: usize| u8::try_from(n % 251).unwrap()).collect();
            let mut padded = bytes.clone();
            padded.push(6);
            padded.resize(padded.len().next_multiple_of(RATE), 0);
            *padded.last_mut().unwrap() |= 0x80;
            let mut lanes = [0; 25];
            for block in padded.chunks_exact(RATE) {
                for (lane, bytes) in lanes.iter_mut().zip(block.chunks_exact(8)) {
                    *lane ^= u64::from_le_bytes(bytes.try_into().unwrap());
                }
                permute(&mut lanes);
            }
            let ours: Vec<u8> = lanes[..4].iter().flat_map(|lane| lane.to_le_bytes()).collect();
            let theirs = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA3_256, &bytes);
            assert_eq!(ours, theirs.as_ref(), "{length}");
        }
    }

    #[test]
    fn signatures_of_the_curve_are_verified() {
        let (private, key) = secp256k1_key_pair(&[7; 32]).unwrap();
        assert_eq!(secp256k1_key_pair(&[7; 32]), Some((private.clone(), key.clone())));
        assert_eq!(secp256k1_key_pair(&[0xff; 32]), None);
        let digest = crate::sha256(b"message");
        let signature = secp256k1_sign(&private, digest.as_bytes()).unwrap();
        assert_eq!(secp256k1_sign(&key, digest.as_bytes()), Err(Secp256k1Error::Key));
        let verifies = |key: &[u8], digest: &[u8], signature: &[u8]| secp256k1_verifies(key, digest, signature);
        assert_eq!(verifies(&key, digest.as_bytes(), &signature), Ok(true));
        // What comes after the bits of the curve does not count.
        assert_eq!(verifies(&key, &[digest.as_bytes().as_slice(), b"more"].concat(), &signature), Ok(true));
        assert_eq!(verifies(&key, crate::sha256(b"another").as_bytes(), &signature), Ok(false));
        assert_eq!(verifies(&key, b"short", &signature), Ok(false));
        let mut bent = key.clone();
        *bent.last_mut().unwrap() ^= 1;
        assert_eq!(verifies(&bent, digest.as_bytes(), &signature), Err(Secp256k1Error::Key));
        for malformed in [&b""[..], &signature[1..], &[signature.as_slice(), &[0]].concat()] {
            assert_eq!(verifies(&key, digest.as_bytes(), malformed), Err(Secp256k1Error::Signature));
        }
        assert_eq!((is_secp256k1(&key), is_secp256k1(&bent)), (Ok(true), Err(Secp256k1Error::Key)));
    }

    #[test]
    fn keys_of_other_curves_are_told_from_what_is_none() {
        use aws_lc_rs::{encoding::AsDer as _, signature};
        for curve in [&signature::ECDSA_P256_SHA256_ASN1_SIGNING, &signature::ECDSA_P384_SHA384_ASN1_SIGNING] {
            let pair = EcdsaKeyPair::generate(curve).unwrap();
            assert_eq!(is_secp256k1(pair.public_key().as_der().unwrap().as_ref()), Ok(false));
        }
        let edwards = signature::Ed25519KeyPair::generate().unwrap();
        for none in [edwards.public_key().as_der().unwrap().as_ref(), b"", b"\x30\x00"] {
            assert_eq!(is_secp256k1(none), Err(Secp256k1Error::Key));
        }
    }
}
