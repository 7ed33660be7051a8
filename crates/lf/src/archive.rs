//! DALF files: one package each, with its hash.

use crate::{
    LanguageVersion, LfError, Package,
    wire::{Message, Out},
};
use base::{Hash, PackageId};

/// Reads a package from an archive's payload. Its id is the hash of these bytes, so whoever keeps a package keeps
/// them as they came.
pub fn read_package(payload: &[u8]) -> Result<Package, LfError> {
    let id = PackageId::new(crypto::sha256(payload).to_hex()).expect("64 hex digits are a package id");
    let mut message = Message::read("ArchivePayload", payload)?;
    let (minor, patch) = (message.text(3)?, message.index(5)?);
    let (major, wire) = message.alternative()?;
    let version = LanguageVersion::supported(major, minor, patch)?;
    crate::format::decode(&id, version, message.as_message(major, wire)?)
}

/// The payload in a DALF file, its hash verified.
pub(crate) fn payload(archive: &[u8]) -> Result<&[u8], LfError> {
    let mut envelope = Message::read("Archive", archive)?;
    if envelope.index(1)? != 0 {
        return Err(envelope.invalid("the hash function is not SHA-256"));
    }
    let payload = envelope.message(3)?;
    let stated = envelope.text(4)?;
    envelope.finish()?;
    let computed = crypto::sha256(payload);
    if stated.parse::<Hash>() != Ok(computed) {
        return Err(LfError::Hash { stated: stated.chars().take(80).collect(), computed: computed.to_hex() });
    }
    Ok(payload)
}

/// The DALF file of a payload.
pub(crate) fn envelope(id: &PackageId, payload: &[u8]) -> Vec<u8> {
    let mut out = Out::default();
    out.number(1, 0_u32);
    out.bytes(3, payload);
    out.bytes(4, id.as_str());
    out.finish()
}
