//! A node's keys.

use crate::{random, store};
use ::store::{Db, Statement, StoreError};
use base::{Coded, ErrorCode, Fingerprint, Hash, InvalidId, Namespace, Uid, codes};
use crypto::{
    KeyError, PublicKey, Signature,
    private::{DecryptionKey, SigningKey},
};
use std::{fmt, sync::Arc};
use topology::{Mapping, Operation, SignedTopologyTransaction, TopologyState, TopologyTransaction};

/// A node's identifier with the private keys behind it. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    uid: Uid,
    /// Controls the namespace.
    root: Arc<SigningKey>,
    /// Signs messages.
    signing: Arc<SigningKey>,
    /// Reads what is encrypted for the node.
    encryption: Arc<DecryptionKey>,
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
        let signing = SigningKey::generate(&random::bytes());
        let encryption = DecryptionKey::generate(&random::bytes());
        let uid = Uid::new(name, Namespace(root.public().fingerprint().clone()))?;
        let rows = vec![
            store::setting_row("uid", &uid.to_string()),
            store::key_row("root", &root.to_pkcs8()),
            store::key_row("signing", &signing.to_pkcs8()),
            store::key_row("encryption", &encryption.to_pkcs8()),
        ];
        let (root, signing, encryption) = (Arc::new(root), Arc::new(signing), Arc::new(encryption));
        Ok((Self { uid, root, signing, encryption }, rows))
    }

    /// The identity in the database; `None` if there is none yet.
    pub async fn load(db: &Db) -> Result<Option<Self>, IdentityError> {
        let Some(uid) = store::load_setting(db, "uid").await? else { return Ok(None) };
        let mut keys = store::load_keys(db).await?;
        let mut take = |purpose| keys.remove(purpose).ok_or(IdentityError::Missing(purpose));
        Ok(Some(Self {
            uid: uid.parse()?,
            root: Arc::new(SigningKey::from_pkcs8(&take("root")?)?),
            signing: Arc::new(SigningKey::from_pkcs8(&take("signing")?)?),
            encryption: Arc::new(DecryptionKey::from_pkcs8(&take("encryption")?)?),
        }))
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

    /// The public key that messages are signed with.
    #[must_use]
    pub fn signing_key(&self) -> &PublicKey {
        self.signing.public()
    }

    /// The public keys of a member that receives encrypted messages: for signing and for encryption.
    #[must_use]
    pub fn message_keys(&self) -> [PublicKey; 2] {
        [self.signing.public().clone(), self.encryption.public().clone()]
    }

    /// Read what is encrypted for the node.
    #[must_use]
    pub fn decryption_keys(&self) -> &[DecryptionKey] {
        std::slice::from_ref(&self.encryption)
    }

    /// Signs a message's hash.
    #[must_use]
    pub fn sign(&self, hash: &Hash) -> Signature {
        self.signing.sign(hash)
    }

    /// Signs with the key of this fingerprint, if it is ours.
    #[must_use]
    pub fn sign_with(&self, key: &Fingerprint, hash: &Hash) -> Option<Signature> {
        [&self.signing, &self.root].into_iter().find(|k| k.public().fingerprint() == key).map(|k| k.sign(hash))
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

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.uid)
    }
}
