//! Members prove who they are by signing a nonce, and get a token that every sequencer of the synchronizer honours: both
//! live in the shared database (spec/protocol.md §7.6).

use crate::{Shared, store};
use ::store::StoreError;
use base::{Coded, ErrorCode, Hash, MemberId, Timestamp, codes};
use crypto::{Signature, sha256};
use identity::random;
use protocol::sequencing::authentication_hash;
use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};
use tonic::metadata::MetadataMap;

/// How long a nonce may be signed.
const NONCE_LIFE: Duration = Duration::from_secs(60);
/// How long a token is valid.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// Tokens remembered in this process.
const MAX_CACHED: usize = 10_000;

/// A token and when it ends.
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) expires: Timestamp,
}

/// Tokens that this process has looked up, by their hash.
#[derive(Default)]
pub(crate) struct Tokens(RwLock<BTreeMap<Hash, (MemberId, Timestamp)>>);

/// Why a member is not let in. Clients only learn that they are not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("{0} is not an active member of this synchronizer")]
    Unknown(MemberId),
    #[error("the nonce is not the one given to {0}, was used before, or has expired")]
    Nonce(MemberId),
    #[error("no key of {0} made the signature")]
    Signature(MemberId),
    #[error("the token is missing, unknown or expired")]
    Token,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Coded for AuthError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            _ => codes::UNAUTHENTICATED,
        }
    }
}

/// A nonce for the member to sign.
pub(crate) async fn challenge(shared: &Shared, member: &MemberId) -> Result<[u8; 32], AuthError> {
    if !shared.registry.may_authenticate(member) {
        return Err(AuthError::Unknown(member.clone()));
    }
    let nonce = random::bytes();
    let row = store::nonce_row(&nonce, member, shared.now().saturating_add(NONCE_LIFE));
    shared.db.commit(&shared.db.own(), vec![row]).await?;
    Ok(nonce)
}

/// A token for a signed nonce. Each nonce earns one token at most.
pub(crate) async fn authenticate(
    shared: &Shared,
    member: &MemberId,
    nonce: &[u8],
    signature: &Signature,
) -> Result<Issued, AuthError> {
    let hash = authentication_hash(nonce, &shared.synchronizer);
    let verified = shared.registry.topology(|t| t.head().verify(member, &hash, signature).is_ok());
    if !verified {
        return Err(AuthError::Signature(member.clone()));
    }
    let token = random::secret();
    let now = shared.now();
    let expires = now.saturating_add(TOKEN_LIFE);
    let statements = store::token_for_nonce(nonce, member, &sha256(token.as_bytes()), now, expires);
    match shared.db.commit(&shared.db.own(), statements).await {
        Ok(_) => Ok(Issued { token, expires }),
        Err(StoreError::Conflict { .. }) => Err(AuthError::Nonce(member.clone())),
        Err(error) => Err(error.into()),
    }
}

/// Whose token the call carries.
pub(crate) async fn authenticated(shared: &Shared, metadata: &MetadataMap) -> Result<MemberId, AuthError> {
    let header = metadata.get("authorization").and_then(|value| value.to_str().ok()).ok_or(AuthError::Token)?;
    let token = header.strip_prefix("Bearer ").ok_or(AuthError::Token)?;
    // Looked up by its hash, so that comparing tells nothing about the token.
    let hash = sha256(token.as_bytes());
    let now = shared.now();
    if let Some((member, expires)) = shared.tokens.get(&hash)
        && expires > now
    {
        return Ok(member);
    }
    let (member, expires) = store::token(&shared.db, &hash, now).await?.ok_or(AuthError::Token)?;
    shared.tokens.put(hash, member.clone(), expires, now);
    Ok(member)
}

impl Tokens {
    fn get(&self, hash: &Hash) -> Option<(MemberId, Timestamp)> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(hash).cloned()
    }

    fn put(&self, hash: Hash, member: MemberId, expires: Timestamp, now: Timestamp) {
        let mut tokens = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_CACHED {
            tokens.retain(|_, (_, expires)| *expires > now);
        }
        if tokens.len() < MAX_CACHED {
            tokens.insert(hash, (member, expires));
        }
    }
}
