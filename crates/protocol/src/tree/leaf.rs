//! Leaves of a transaction's Merkle tree: content with a salt, hashed as the bytes that travel.

use base::{Hash, PartyId, Timestamp};
use bytes::Bytes;
use crypto::{HashBuilder, HashPurpose};
use std::fmt;
use topology::Malformed;
use transaction::{
    DecodeError, Parties,
    codec::{Reader, Writer},
};

/// Random bytes in front of a leaf's content, so that nobody can guess the content of a blinded leaf.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Salt(pub Hash);

impl Salt {
    /// The `index`-th salt of a seed.
    #[must_use]
    pub fn derive(seed: &Hash, index: u32) -> Self {
        Self(crypto::hmac_sha256(seed.as_bytes(), &index.to_be_bytes()))
    }
}

/// What can be a leaf.
pub trait LeafContent: Sized {
    /// What its hash is for.
    const PURPOSE: HashPurpose;
    /// For errors.
    const NAME: &'static str;
    /// Appends all fields, the salt first.
    fn write(&self, w: &mut Writer);
    /// Reads what `write` wrote.
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// Content together with its bytes and their hash. Equal if the hashes are.
#[derive(Clone)]
pub struct Leaf<T> {
    value: T,
    bytes: Bytes,
    hash: Hash,
}

impl<T: LeafContent> Leaf<T> {
    /// Encodes and hashes.
    #[must_use]
    pub fn new(value: T) -> Self {
        let mut writer = Writer::versioned();
        value.write(&mut writer);
        let bytes = Bytes::from(writer.finish());
        let hash = Self::hash_of(&bytes);
        Self { value, bytes, hash }
    }

    /// Reads bytes that travelled. There is only one encoding of each content, and it is the one that was hashed.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(&bytes);
        let read = reader.version().and_then(|()| T::read(&mut reader)).and_then(|value| {
            reader.finish()?;
            Ok(value)
        });
        let value = read.map_err(|e| Malformed::Bytes(format!("{}: {e}", T::NAME)))?;
        let hash = Self::hash_of(&bytes);
        Ok(Self { value, bytes, hash })
    }

    fn hash_of(bytes: &[u8]) -> Hash {
        HashBuilder::new(T::PURPOSE).add_bytes(bytes).finish()
    }

    /// The content.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The bytes that travel.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What stands for the leaf where it is blinded.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }
}

impl<T> PartialEq for Leaf<T> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl<T> Eq for Leaf<T> {}

impl<T: fmt::Debug> fmt::Debug for Leaf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

// What several leaves write in the same way.

pub(super) fn put_salt(w: &mut Writer, salt: Salt) {
    w.raw(salt.0.as_bytes());
}

pub(super) fn get_hash(r: &mut Reader<'_>) -> Result<Hash, DecodeError> {
    Ok(Hash::try_from(r.take(32)?).expect("32 bytes were taken"))
}

pub(super) fn get_salt(r: &mut Reader<'_>) -> Result<Salt, DecodeError> {
    get_hash(r).map(Salt)
}

pub(super) fn put_time(w: &mut Writer, time: Timestamp) {
    w.signed(time.micros().into());
}

pub(super) fn get_time(r: &mut Reader<'_>) -> Result<Timestamp, DecodeError> {
    let micros = r.integer()?;
    Timestamp::from_micros(micros).map_err(|e| r.invalid(e))
}

pub(super) fn put_option<T>(w: &mut Writer, part: Option<&T>, put: impl FnOnce(&mut Writer, &T)) {
    w.flag(part.is_some());
    if let Some(part) = part {
        put(w, part);
    }
}

pub(super) fn get_option<T>(
    r: &mut Reader<'_>,
    get: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    if r.flag()? { get(r).map(Some) } else { Ok(None) }
}

pub(super) fn put_parties(w: &mut Writer, parties: &Parties) {
    put_list(w, parties, |w, party| w.text(party.as_str()));
}

pub(super) fn get_parties(r: &mut Reader<'_>) -> Result<Parties, DecodeError> {
    get_set(r, |r| r.parsed::<PartyId>())
}

pub(super) fn put_list<'a, T: 'a, I>(w: &mut Writer, list: I, mut put: impl FnMut(&mut Writer, &'a T))
where
    I: IntoIterator<Item = &'a T, IntoIter: ExactSizeIterator>,
{
    let list = list.into_iter();
    w.count(list.len());
    list.for_each(|item| put(w, item));
}

pub(super) fn get_list<T>(
    r: &mut Reader<'_>,
    mut get: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    (0..r.count(1)?).map(|_| get(r)).collect()
}

/// Elements must ascend, so that each set has one encoding.
pub(super) fn get_set<T: Ord>(
    r: &mut Reader<'_>,
    get: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<std::collections::BTreeSet<T>, DecodeError> {
    let list = get_list(r, get)?;
    if list.windows(2).all(|pair| pair[0] < pair[1]) {
        Ok(list.into_iter().collect())
    } else {
        Err(r.invalid("the elements of a set do not ascend"))
    }
}
