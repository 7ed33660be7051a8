//! Views are encrypted, so that whoever may read a view may read those below it, and nobody else anything
//! (spec/protocol.md §2.5).
//!
//! Each view has a secret: that of a top-level view is derived from the request's, which nobody else has, that of another
//! one from the secret of the view around. So a view's secret is wrapped only for participants that see no view around.

use crate::{
    message::{EncryptedView, ViewMessage, WrappedKey, bounds},
    sequencing::Recipients,
    tree::{BuildError, LightViewTree, TransactionTree, ViewPosition},
};
use base::{Fingerprint, Hash, ParticipantId};
use bytes::Bytes;
use crypto::{Agreement, KeyPurpose, Secret, Wrapper, private::DecryptionKey};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};
use topology::{Malformed, Snapshot};

/// The secret of the `index`-th view below.
fn below(secret: &Secret, index: usize) -> Secret {
    secret.derive(format!("view {index}").as_bytes())
}

/// Encrypts all views of a request for the participants that see them, parents first. `secret` must be random and used
/// for this request only.
pub(crate) fn encrypt_views(
    tree: &TransactionTree,
    participants: &BTreeMap<ViewPosition, BTreeSet<ParticipantId>>,
    snapshot: Snapshot<'_>,
    secret: &Secret,
) -> Result<Vec<(ViewPosition, EncryptedView)>, BuildError> {
    let mut recipients =
        Wrapping { wrapper: Wrapper::new(&secret.derive(b"ephemeral key")), snapshot, known: BTreeMap::new() };
    let mut secrets: BTreeMap<ViewPosition, Secret> = BTreeMap::new();
    let mut encrypted = Vec::new();
    for light in tree.light_trees() {
        let position = light.position.clone();
        let index = position.0.last().map_or(0, |index| usize::try_from(*index).expect("32-bit numbers fit a usize"));
        let around = position.parent().and_then(|parent| secrets.get(&parent));
        let own = below(around.unwrap_or(secret), index);
        let view_hash = light.view_hash();
        let keys = newcomers(&position, participants)
            .map(|participant| recipients.wrap(participant, &view_hash, &own))
            .collect::<Result<_, _>>()?;
        let sealed = own.seal(light.to_wire().encode_to_vec()).into();
        secrets.insert(position.clone(), own);
        let ephemeral = Bytes::copy_from_slice(recipients.wrapper.public());
        encrypted.push((position, EncryptedView { view_hash, sealed, ephemeral, keys, signature: None }));
    }
    Ok(encrypted)
}

/// Participants of a view that are not among those of a view around.
fn newcomers<'a>(
    position: &ViewPosition,
    participants: &'a BTreeMap<ViewPosition, BTreeSet<ParticipantId>>,
) -> impl Iterator<Item = &'a ParticipantId> {
    let around: Vec<_> =
        (1..position.0.len()).filter_map(|n| participants.get(&ViewPosition(position.0[..n].to_vec()))).collect();
    let own = participants.get(position).into_iter().flatten();
    own.filter(move |participant| !around.iter().any(|set| set.contains(*participant)))
}

/// Wraps the secrets of one request; agrees with each participant once.
struct Wrapping<'a> {
    wrapper: Wrapper,
    snapshot: Snapshot<'a>,
    known: BTreeMap<ParticipantId, (Fingerprint, Agreement)>,
}

impl Wrapping<'_> {
    fn wrap(
        &mut self,
        participant: &ParticipantId,
        view_hash: &Hash,
        secret: &Secret,
    ) -> Result<WrappedKey, BuildError> {
        if !self.known.contains_key(participant) {
            let keys = self.snapshot.keys_for(&participant.member(), KeyPurpose::Encryption);
            let agreed = keys.first().and_then(|key| Some((key.fingerprint().clone(), self.wrapper.agree(key)?)));
            let agreed = agreed.ok_or_else(|| BuildError::NoEncryptionKey(participant.clone()))?;
            self.known.insert(participant.clone(), agreed);
        }
        let (recipient, agreement) = &self.known[participant];
        let wrapped = agreement.wrap(view_hash.as_bytes(), secret).into();
        Ok(WrappedKey { recipient: recipient.clone(), wrapped })
    }
}

/// Decrypts the views of a request that came with one event, with whichever of the receiver's keys they are for. What
/// cannot be read is told in words.
#[must_use]
pub fn decrypt_views(
    received: Vec<(EncryptedView, Recipients)>,
    keys: &[DecryptionKey],
) -> (Vec<(ViewMessage, Recipients)>, Vec<String>) {
    let mut unreadable = Vec::new();
    let mut secrets: BTreeMap<Hash, Secret> = BTreeMap::new();
    let mut unwrapping = Unwrapping { keys, ephemeral: None, agreed: BTreeMap::new() };
    for (view, _) in &received {
        match unwrapping.secret(view) {
            Some(Ok(secret)) => drop(secrets.insert(view.view_hash, secret)),
            Some(Err(why)) => unreadable.push(format!("the key of view {}: {why}", view.view_hash)),
            None => {}
        }
    }
    // Views that are read give the secrets of those below, in whatever order they come. Each is looked at once, however
    // a submitter chains them.
    let mut ready: Vec<Hash> = secrets.keys().copied().collect();
    let mut waiting: BTreeMap<Hash, Vec<(EncryptedView, Recipients)>> = BTreeMap::new();
    for (view, recipients) in received {
        waiting.entry(view.view_hash).or_default().push((view, recipients));
    }
    let mut opened = Vec::new();
    while let Some(hash) = ready.pop() {
        let Some(secret) = secrets.get(&hash).cloned() else { continue };
        for (view, recipients) in waiting.remove(&hash).unwrap_or_default() {
            match open(&view, &secret) {
                Ok(tree) => {
                    for (index, hash) in tree.subview_hashes.iter().enumerate() {
                        if waiting.contains_key(hash) && !secrets.contains_key(hash) {
                            secrets.insert(*hash, below(&secret, index));
                            ready.push(*hash);
                        }
                    }
                    opened.push((ViewMessage { tree, signature: view.signature }, recipients));
                }
                Err(why) => unreadable.push(format!("view {}: {why}", view.view_hash)),
            }
        }
    }
    let strange = |hash: &Hash| format!("view {hash} has no key for this participant, and no view around it came");
    unreadable.extend(waiting.values().flatten().map(|(view, _)| strange(&view.view_hash)));
    (opened, unreadable)
}

/// The receiver's side of [`Wrapping`].
struct Unwrapping<'a> {
    keys: &'a [DecryptionKey],
    ephemeral: Option<Bytes>,
    agreed: BTreeMap<Fingerprint, Agreement>,
}

impl Unwrapping<'_> {
    /// The secret of a view, from the first wrapped key that can be unwrapped; `None` if there is none for the receiver.
    fn secret(&mut self, view: &EncryptedView) -> Option<Result<Secret, String>> {
        let mut result = None;
        for WrappedKey { recipient, wrapped } in &view.keys {
            let Some(key) = self.keys.iter().find(|key| key.public().fingerprint() == recipient) else { continue };
            match self.unwrap(key, view, wrapped) {
                Ok(secret) => return Some(Ok(secret)),
                Err(why) => result = Some(Err(why)),
            }
        }
        result
    }

    fn unwrap(&mut self, key: &DecryptionKey, view: &EncryptedView, wrapped: &[u8]) -> Result<Secret, String> {
        // Agreeing is dear, and one message needs it once for each key.
        if *self.ephemeral.get_or_insert_with(|| view.ephemeral.clone()) != view.ephemeral {
            return Err("the request has several ephemeral keys".into());
        }
        let agreement = match self.agreed.entry(key.public().fingerprint().clone()) {
            Entry::Occupied(agreed) => agreed.into_mut(),
            Entry::Vacant(slot) => slot.insert(key.agree(&view.ephemeral).map_err(|e| e.to_string())?),
        };
        agreement.unwrap(view.view_hash.as_bytes(), wrapped).map_err(|e| e.to_string())
    }
}

fn open(view: &EncryptedView, secret: &Secret) -> Result<LightViewTree, String> {
    let bytes = secret.open(&view.sealed).map_err(|e| e.to_string())?;
    let read = || {
        let tree = LightViewTree::from_wire(bounds::read(bytes.into(), bounds::LIGHT_VIEW)?)?;
        if tree.view_hash() != view.view_hash {
            return Err(Malformed::Bounds { field: "view_hash", why: "it is not the view's" });
        }
        if view.signature.is_some() != tree.position.is_top() {
            return Err(Malformed::Bounds { field: "submitter_signature", why: "it goes with top-level views only" });
        }
        Ok(tree)
    };
    read().map_err(|e| e.to_string())
}
