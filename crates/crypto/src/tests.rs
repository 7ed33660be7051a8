use crate::{
    KeyError, KeyPurpose, KeyScheme, PublicKey, Signature, SignatureError, SignatureFormat, equal_in_constant_time,
    private::SigningKey, sha256, verify_all,
};
use aws_lc_rs::{
    encoding::AsDer as _,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        KeyPair as _,
    },
};
use wire::concordat::crypto::v1 as proto;

fn key(n: u8) -> SigningKey {
    SigningKey::generate(&[n; 32])
}

#[test]
fn rfc_8032_public_key() {
    let seed = hex::<32>("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = hex::<32>("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_eq!(SigningKey::generate(&seed).public(), &PublicKey::ed25519(&public).unwrap());
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

#[test]
fn a_signature_holds_for_its_key_and_hash_only() {
    let (hash, other) = (sha256(b"one"), sha256(b"two"));
    let signature = key(1).sign(&hash);
    assert_eq!(signature.verify(&hash, key(1).public()), Ok(()));
    assert!(matches!(signature.verify(&other, key(1).public()), Err(SignatureError::Invalid(_))));
    assert!(matches!(signature.verify(&hash, key(2).public()), Err(SignatureError::OtherKey { .. })));
    let forged = Signature { signed_by: key(2).public().fingerprint().clone(), ..signature.clone() };
    assert!(matches!(forged.verify(&hash, key(2).public()), Err(SignatureError::Invalid(_))));
    let misread = Signature { format: SignatureFormat::EcdsaDer, ..signature };
    assert!(misread.verify(&hash, key(1).public()).is_err());
}

#[test]
fn a_batch_names_its_first_bad_signature() {
    let (k1, k2, hash) = (key(1), key(2), sha256(b"x"));
    let (good, bad) = (k1.sign(&hash), k1.sign(&sha256(b"y")));
    let items = [(&good, &hash, k1.public()), (&bad, &hash, k1.public()), (&good, &hash, k2.public())];
    assert_eq!(verify_all(items).unwrap_err().0, 1);
    assert_eq!(verify_all([items[0], items[0]]), Ok(()));
}

#[test]
fn private_keys_survive_storage() {
    let stored = key(3).to_pkcs8();
    let back = SigningKey::from_pkcs8(&stored).unwrap();
    assert_eq!(back.public(), key(3).public());
    assert_eq!(back.sign(&sha256(b"x")), key(3).sign(&sha256(b"x")));
    assert!(matches!(SigningKey::from_pkcs8(&stored[1..]), Err(KeyError::NotPkcs8(_))));
}

#[test]
fn ecdsa_signatures_verify() {
    for (scheme, algorithm) in [
        (KeyScheme::EcdsaP256, &ECDSA_P256_SHA256_ASN1_SIGNING),
        (KeyScheme::EcdsaP384, &ECDSA_P384_SHA384_ASN1_SIGNING),
    ] {
        let algorithm: &'static EcdsaSigningAlgorithm = algorithm;
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        let der = pair.public_key().as_der().unwrap();
        let public = PublicKey::new(scheme, der.as_ref()).unwrap();
        let hash = sha256(b"content");
        let bytes = pair.sign(&SystemRandom::new(), hash.as_bytes()).unwrap().as_ref().to_vec();
        let signature = Signature { format: SignatureFormat::EcdsaDer, bytes, signed_by: public.fingerprint().clone() };
        assert_eq!(signature.verify(&hash, &public), Ok(()));
        assert!(signature.verify(&sha256(b"other"), &public).is_err());
        // A raw point is the same key in another form, which would have another fingerprint.
        assert!(PublicKey::new(scheme, pair.public_key().as_ref()).is_err());
        let mut off_curve = der.as_ref().to_vec();
        *off_curve.last_mut().unwrap() ^= 1;
        assert_eq!(PublicKey::new(scheme, &off_curve), Err(KeyError::NotOfScheme(scheme)));
    }
}

#[test]
fn messages_round_trip_and_are_refused() {
    let public = key(1).public().clone();
    let message = proto::PublicKey::from(&public);
    assert_eq!(PublicKey::try_from(&message), Ok(public.clone()));
    assert_eq!(public.purpose(), KeyPurpose::Signing);
    let wrong = proto::PublicKey { purpose: proto::KeyPurpose::Encryption.into(), ..message.clone() };
    assert!(matches!(PublicKey::try_from(&wrong), Err(KeyError::WrongPurpose(_))));
    let unknown = proto::PublicKey { scheme: 99, ..message };
    assert_eq!(PublicKey::try_from(&unknown), Err(KeyError::UnknownScheme(99)));

    let signature = key(1).sign(&sha256(b"x"));
    let message = proto::Signature::from(&signature);
    assert_eq!(Signature::required(Some(&message)), Ok(signature));
    assert_eq!(Signature::required(None), Err(SignatureError::Missing));
    let long = proto::Signature { signature: vec![0; 5000].into(), ..message };
    assert_eq!(Signature::try_from(&long), Err(SignatureError::TooLong(5000)));
}

#[test]
fn constant_time_comparison_compares() {
    assert!(equal_in_constant_time(b"token", b"token"));
    assert!(!equal_in_constant_time(b"token", b"tokem"));
    assert!(!equal_in_constant_time(b"token", b"toke"));
}
