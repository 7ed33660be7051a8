//! A node's keys.

use crate::{random, store};
use ::store::{Db, Guard, Statement, StoreError};
use base::{Coded, ErrorCode, Fingerprint, Hash, InvalidId, MemberId, Namespace, Timestamp, Uid, codes};
use crypto::{
    KeyError, KeyPurpose, PublicKey, Signature,
    private::{DecryptionKey, SigningKey},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};
use topology::{
    Mapping, Operation, SignedTopologyTransaction, Snapshot, StoredTransaction, TopologyState, TopologyTransaction,
};

/// Names of the first key of each kind.
const ROOT: &str = "root";
const SIGNING: &str = "signing";
const ENCRYPTION: &str = "encryption";

/// A node's identifier with the private keys behind it. Cheap to clone: all clones have the same keys, also those that are
/// made later.
///
/// A node may have several keys for signing and for encryption. A key counts for others as long as the topology gives it to
/// the node, so a message is signed with the newest key that is in force for those who verify it
/// ([`Identity::sign_at`]); what is encrypted can be read with each of them, for ever.
#[derive(Clone)]
pub struct Identity {
    uid: Uid,
    /// Controls the namespace.
    root: Arc<SigningKey>,
    ring: Arc<RwLock<Arc<Ring>>>,
}

/// Keys in the order in which they were made, with their names.
#[derive(Clone)]
struct Ring {
    /// Sign messages.
    signing: Vec<(String, Arc<SigningKey>)>,
    /// Read what is encrypted for the node.
    encryption: Vec<(String, DecryptionKey)>,
    /// The key for what is signed now.
    current: Arc<SigningKey>,
}

/// A key that was just made: to be used once its row is stored.
struct NewKey {
    name: String,
    private: Private,
}

enum Private {
    Signing(Arc<SigningKey>),
    Encryption(DecryptionKey),
}

/// A node's identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored key is damaged.
    #[error("a stored private key cannot be read; restore the database from its backup")]
    Key(#[from] KeyError),
    /// The stored identifier is damaged, or the configured name is no part of one.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// A key is missing.
    #[error("the database has an identifier but no {0} key; restore it from its backup")]
    Missing(&'static str),
}

impl Coded for IdentityError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::Id(_) => codes::CONFIG_INVALID,
            Self::Key(_) | Self::Missing(_) => codes::STORED_DATA_CORRUPT,
        }
    }
}

impl Identity {
    /// A new identity `name::fingerprint of a new root key`, and the rows to be committed before it is used.
    pub fn create(name: &str) -> Result<(Self, Vec<Statement>), IdentityError> {
        let root = SigningKey::generate(&random::bytes());
        let signing = Arc::new(SigningKey::generate(&random::bytes()));
        let encryption = DecryptionKey::generate(&random::bytes());
        let uid = Uid::new(name, Namespace(root.public().fingerprint().clone()))?;
        let rows = vec![
            store::setting_row("uid", &uid.to_string()),
            store::key_row(ROOT, &root.to_pkcs8()),
            store::key_row(SIGNING, &signing.to_pkcs8()),
            store::key_row(ENCRYPTION, &encryption.to_pkcs8()),
        ];
        let ring = Ring {
            current: signing.clone(),
            signing: vec![(SIGNING.into(), signing)],
            encryption: vec![(ENCRYPTION.into(), encryption)],
        };
        Ok((Self { uid, root: Arc::new(root), ring: Arc::new(RwLock::new(Arc::new(ring))) }, rows))
    }

    /// The identity in the database; `None` if there is none yet.
    pub async fn load(db: &Db) -> Result<Option<Self>, IdentityError> {
        let Some(uid) = store::load_setting(db, "uid").await? else { return Ok(None) };
        let keys = store::load_keys(db).await?;
        let root = keys.get(ROOT).ok_or(IdentityError::Missing(ROOT))?;
        let root = Arc::new(SigningKey::from_pkcs8(root)?);
        Ok(Some(Self { uid: uid.parse()?, root, ring: Arc::new(RwLock::new(Arc::new(Ring::read(&keys)?))) }))
    }

    /// Looks for keys that another process has made for the same node.
    pub async fn refresh(&self, db: &Db) -> Result<(), IdentityError> {
        let mut ring = Ring::read(&store::load_keys(db).await?)?;
        self.change(|old| {
            ring.current = old.current.clone();
            *old = ring;
        });
        Ok(())
    }

    fn ring(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Ring)) {
        change(Arc::make_mut(&mut self.ring.write().unwrap_or_else(PoisonError::into_inner)));
    }

    /// The node's unique identifier.
    #[must_use]
    pub fn uid(&self) -> &Uid {
        &self.uid
    }

    /// The public root key: founds the namespace.
    #[must_use]
    pub fn root_key(&self) -> &PublicKey {
        self.root.public()
    }

    /// The public key of what is signed now.
    #[must_use]
    pub fn signing_key(&self) -> PublicKey {
        self.ring().current.public().clone()
    }

    /// The newest public keys, of a member that receives encrypted messages: for signing and for encryption.
    #[must_use]
    pub fn message_keys(&self) -> [PublicKey; 2] {
        let ring = self.ring();
        let newest = ring.signing.last().map_or(&ring.current, |(_, key)| key).public().clone();
        let encryption = ring.encryption.last().expect("a node has an encryption key from the first on");
        [newest, encryption.1.public().clone()]
    }

    /// All public keys with their names, the root key first, the others in the order in which they were made.
    #[must_use]
    pub fn public_keys(&self) -> Vec<(String, PublicKey)> {
        let ring = self.ring();
        let root = (ROOT.to_owned(), self.root.public().clone());
        let signing = ring.signing.iter().map(|(name, key)| (name.clone(), key.public().clone()));
        let encryption = ring.encryption.iter().map(|(name, key)| (name.clone(), key.public().clone()));
        std::iter::once(root).chain(signing).chain(encryption).collect()
    }

    /// Whether a key of this fingerprint signs messages of this node.
    #[must_use]
    pub fn signs_with(&self, key: &Fingerprint) -> bool {
        self.ring().signing.iter().any(|(_, own)| own.public().fingerprint() == key)
    }

    /// Read what is encrypted for the node.
    #[must_use]
    pub fn decryption_keys(&self) -> Vec<DecryptionKey> {
        self.ring().encryption.iter().map(|(_, key)| key.clone()).collect()
    }

    /// Signs a message's hash with the key for what is signed now.
    #[must_use]
    pub fn sign(&self, hash: &Hash) -> Signature {
        self.ring().current.sign(hash)
    }

    /// Signs a message's hash for those who look the key up in this snapshot.
    #[must_use]
    pub fn sign_at(&self, snapshot: Snapshot<'_>, member: &MemberId, hash: &Hash) -> Signature {
        self.ring().at(snapshot, member).sign(hash)
    }

    /// From now on signs with the newest key that the snapshot gives the member.
    pub fn follow(&self, snapshot: Snapshot<'_>, member: &MemberId) {
        let ring = self.ring();
        let key = ring.at(snapshot, member);
        if !Arc::ptr_eq(key, &ring.current) {
            self.change(|ring| ring.current = key.clone());
        }
    }

    /// When a change of the member's keys is in force, if there is one among these transactions: then it must
    /// [`follow`](Self::follow).
    #[must_use]
    pub fn changes_at(accepted: &[StoredTransaction], member: &MemberId) -> Option<Timestamp> {
        let is_own = |stored: &&StoredTransaction| match stored.transaction.mapping() {
            Mapping::OwnerToKey { member: owner, .. } => owner == member,
            _ => false,
        };
        accepted.iter().filter(is_own).map(|stored| stored.effective).max()
    }

    /// Signs with the key of this fingerprint, if it is ours.
    #[must_use]
    pub fn sign_with(&self, key: &Fingerprint, hash: &Hash) -> Option<Signature> {
        let ring = self.ring();
        let all = ring.signing.iter().map(|(_, key)| key).chain([&self.root]);
        all.into_iter().find(|own| own.public().fingerprint() == key).map(|own| own.sign(hash))
    }

    /// Makes another key, and stores it under the node's right to write. It signs nothing before the topology gives it to the
    /// node. Returns its name and public part.
    pub async fn add_key<G: Guard>(
        &self,
        purpose: KeyPurpose,
        db: &Db,
        right: &G,
    ) -> Result<(String, PublicKey), IdentityError> {
        let key = self.make_key(purpose);
        db.commit(right, vec![key.row()]).await?;
        let made = (key.name.clone(), key.public());
        self.adopt(key);
        Ok(made)
    }

    fn make_key(&self, purpose: KeyPurpose) -> NewKey {
        let ring = self.ring();
        let (name, number, private) = match purpose {
            KeyPurpose::Signing => {
                let key = SigningKey::generate(&random::bytes());
                (SIGNING, ring.signing.len(), Private::Signing(Arc::new(key)))
            }
            KeyPurpose::Encryption => {
                let key = DecryptionKey::generate(&random::bytes());
                (ENCRYPTION, ring.encryption.len(), Private::Encryption(key))
            }
        };
        NewKey { name: format!("{name}-{}", number + 1), private }
    }

    fn adopt(&self, key: NewKey) {
        self.change(|ring| match key.private {
            Private::Signing(private) => ring.signing.push((key.name, private)),
            Private::Encryption(private) => ring.encryption.push((key.name, private)),
        });
    }

    /// A topology transaction that makes `mapping` so, next after what `state` knows, signed by root and signing key.
    #[must_use]
    pub fn authorize(&self, state: &TopologyState, mapping: Mapping) -> SignedTopologyTransaction {
        self.authorize_as(state, mapping, Operation::AddReplace)
    }

    /// The same for a statement that may not hold any longer.
    #[must_use]
    pub fn authorize_as(
        &self,
        state: &TopologyState,
        mapping: Mapping,
        operation: Operation,
    ) -> SignedTopologyTransaction {
        let serial = state.next_serial(&mapping.key());
        let transaction = TopologyTransaction { serial, operation, mapping };
        let hash = transaction.hash();
        transaction.signed(vec![self.root.sign(&hash)])
    }
}

impl NewKey {
    fn public(&self) -> PublicKey {
        match &self.private {
            Private::Signing(key) => key.public().clone(),
            Private::Encryption(key) => key.public().clone(),
        }
    }

    /// The name is taken if another process was faster.
    fn row(&self) -> Statement {
        match &self.private {
            Private::Signing(key) => store::key_row(&self.name, &key.to_pkcs8()),
            Private::Encryption(key) => store::key_row(&self.name, &key.to_pkcs8()),
        }
    }
}

impl Ring {
    fn read(keys: &BTreeMap<String, Vec<u8>>) -> Result<Self, IdentityError> {
        let mut signing = Vec::new();
        for (name, pkcs8) in named(keys, SIGNING) {
            signing.push((name, Arc::new(SigningKey::from_pkcs8(pkcs8)?)));
        }
        let mut encryption = Vec::new();
        for (name, pkcs8) in named(keys, ENCRYPTION) {
            encryption.push((name, DecryptionKey::from_pkcs8(pkcs8)?));
        }
        if encryption.is_empty() {
            return Err(IdentityError::Missing(ENCRYPTION));
        }
        let current = signing.first().ok_or(IdentityError::Missing(SIGNING))?.1.clone();
        Ok(Self { signing, encryption, current })
    }

    /// The newest key that is in force for the member; where none is, the one that is used.
    fn at(&self, snapshot: Snapshot<'_>, member: &MemberId) -> &Arc<SigningKey> {
        let in_force = |(_, key): &&(String, Arc<SigningKey>)| snapshot.has_key(member, key.public().fingerprint());
        match &self.signing[..] {
            [(_, only)] => only,
            several => several.iter().rev().find(in_force).map_or(&self.current, |(_, key)| key),
        }
    }
}

/// The keys whose names begin so, in the order of their numbers: `signing`, `signing-2`, ...
fn named<'a>(keys: &'a BTreeMap<String, Vec<u8>>, kind: &str) -> Vec<(String, &'a [u8])> {
    let number = |name: &str| match name.strip_prefix(kind)? {
        "" => Some(1),
        rest => rest.strip_prefix('-')?.parse::<u32>().ok(),
    };
    let mut found: Vec<_> =
        keys.iter().filter_map(|(name, key)| Some((number(name)?, name.clone(), &key[..]))).collect();
    found.sort();
    found.into_iter().map(|(_, name, key)| (name, key)).collect()
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.uid)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use base::ParticipantId;
    use std::time::Duration;
    use topology::build;

    const SYNCHRONIZER: &str = "sync::12200000000000000000000000000000000000000000000000000000000000000000";

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros).unwrap()
    }

    /// A node with two keys: the topology has given it the second one at 10, and taken the first one away at 20.
    fn rolled() -> (Identity, TopologyState, MemberId, [PublicKey; 2]) {
        let (identity, _) = Identity::create("p").unwrap();
        let member = ParticipantId(identity.uid().clone()).member();
        let mut state = TopologyState::of(SYNCHRONIZER.parse().unwrap());
        assert_eq!(state.delay(), Duration::ZERO);
        let of_member = |key: &PublicKey| Mapping::OwnerToKey { member: member.clone(), key: key.clone() };
        let first = identity.signing_key();
        let signed =
            [build::namespace(identity.root_key()), of_member(&first)].map(|m| identity.authorize(&state, m)).into();
        assert!(state.apply(at(1), signed).iter().all(Result::is_ok));
        let key = identity.make_key(KeyPurpose::Signing);
        let second = key.public();
        identity.adopt(key);
        let signed = identity.authorize(&state, of_member(&second));
        assert!(state.apply(at(10), vec![signed]).iter().all(Result::is_ok));
        let signed = identity.authorize_as(&state, of_member(&first), Operation::Remove);
        assert!(state.apply(at(20), vec![signed]).iter().all(Result::is_ok));
        (identity, state, member, [first, second])
    }

    #[test]
    fn a_message_is_signed_with_the_newest_key_that_counts_for_its_readers() {
        let (identity, state, member, keys) = rolled();
        let hash = Hash([7; 32]);
        for (time, expected) in [(2, &keys[0]), (11, &keys[1]), (21, &keys[1])] {
            let snapshot = state.snapshot(at(time));
            let signature = identity.sign_at(snapshot, &member, &hash);
            assert_eq!(signature.signed_by, *expected.fingerprint(), "at {time}");
            snapshot.verify(&member, &hash, &signature).unwrap();
        }
    }

    #[test]
    fn what_is_signed_now_follows_the_topology() {
        let (identity, state, member, keys) = rolled();
        let clone = identity.clone();
        assert_eq!(clone.signing_key(), keys[0], "a new key signs nothing before somebody looked");
        identity.follow(state.snapshot(at(11)), &member);
        assert_eq!((clone.signing_key(), clone.sign(&Hash([1; 32])).signed_by), {
            (keys[1].clone(), keys[1].fingerprint().clone())
        });
        // The other one is known still, for those who ask for it.
        assert!(clone.sign_with(keys[0].fingerprint(), &Hash([1; 32])).is_some());
        let stored = state.for_catch_up(Timestamp::MIN);
        assert_eq!(Identity::changes_at(&stored, &member), Some(at(20)));
        assert_eq!(
            Identity::changes_at(&stored, &SYNCHRONIZER.parse::<base::SynchronizerId>().unwrap().member()),
            None
        );
    }

    #[test]
    fn keys_are_read_in_the_order_in_which_they_were_made() {
        let (identity, _) = Identity::create("p").unwrap();
        let mut stored = BTreeMap::new();
        let mut expected = Vec::new();
        for _ in 0..11 {
            let key = identity.make_key(KeyPurpose::Signing);
            let Private::Signing(private) = &key.private else { unreachable!("it is a key for signing") };
            stored.insert(key.name.clone(), private.to_pkcs8().to_vec());
            expected.push(key.name.clone());
            identity.adopt(key);
        }
        let read: Vec<_> = named(&stored, SIGNING).into_iter().map(|(name, _)| name).collect();
        assert_eq!((read.len(), &read[..], read.last().unwrap().as_str()), (11, &expected[..], "signing-12"));
    }
}
