//! Everything that can be the content of an envelope, and its encoding (spec/protocol.md §1.3, §2.6).
//!
//! `bounds.rs` sizes · `signed.rs` messages signed as a whole · `verdict.rs` responses and results. Reading is strict: an unknown
//! version, kind or code, a missing field or anything oversized is an error, never a guess.

pub(crate) mod bounds;
mod signed;
mod verdict;

pub use signed::{Signed, SignedContent};
pub use verdict::{
    ConfirmationResponse, ConfirmationResponses, ConfirmationResult, LOCAL_CODES, LocalReject, LocalVerdict,
    MEDIATOR_CODES, RejectReason, RequestId, Verdict,
};

use crate::tree::{InformeeTree, LightViewTree};
use base::{Fingerprint, Hash, ParticipantId, SynchronizerId};
use bytes::Bytes;
use crypto::{EPHEMERAL_BYTES, HashBuilder, HashPurpose, Signature, WRAPPED_BYTES};
use prost::Message as _;
use topology::{Malformed, RegisterRequest, RegisterResponse, TopologyMessage};
use wire::concordat::protocol::v1::{self as proto, envelope_content::Content, typed_message::Message as Typed};

/// The version of every message that this node writes, and the only one it reads.
pub const VERSION: u32 = 1;

/// The content of an envelope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EnvelopeContent {
    /// Participant to mediator: what has to be confirmed by whom.
    Informee(Box<InformeeMessage>),
    /// Participant to participants: one view.
    View(Box<EncryptedView>),
    /// Participant to each participant with the mediator: you are a recipient of this request.
    RootHash(RootHashMessage),
    /// Participant to mediator: its verdicts.
    Responses(Signed<ConfirmationResponses>),
    /// Mediator to participants: the verdict.
    Result(Signed<ConfirmationResult>),
    /// Manager to members: topology transactions.
    Topology(Signed<TopologyMessage>),
    /// Participant to manager: please admit these.
    RegisterRequest(RegisterRequest),
    /// Manager to participant: admitted or not.
    RegisterResponse(Signed<RegisterResponse>),
}

/// To the mediator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InformeeMessage {
    /// Views, informees, quorums.
    pub tree: InformeeTree,
    /// Who says so.
    pub submitter: ParticipantId,
    /// The submitter's, over [`signed_root_hash`].
    pub signature: Signature,
}

/// To the participants of a view's informees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncryptedView {
    /// Of the view, subviews included.
    pub view_hash: Hash,
    /// A light view tree under the view's secret.
    pub sealed: Bytes,
    /// With which the secret was wrapped; one for all views of a request.
    pub ephemeral: Bytes,
    /// The secret, for participants that cannot derive it from that of a view around.
    pub keys: Vec<WrappedKey>,
    /// The submitter's, over [`signed_root_hash`]; with top-level views only.
    pub signature: Option<Signature>,
}

/// A view's secret for one recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WrappedKey {
    /// Its key.
    pub recipient: Fingerprint,
    /// For that key.
    pub wrapped: Bytes,
}

/// An [`EncryptedView`] after decryption.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ViewMessage {
    /// The view and its place.
    pub tree: LightViewTree,
    /// The submitter's, over [`signed_root_hash`]; with top-level views only.
    pub signature: Option<Signature>,
}

/// To a participant and the mediator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RootHashMessage {
    /// Of the request.
    pub root_hash: Hash,
    /// Where.
    pub synchronizer: SynchronizerId,
}

/// What the submitting participant signs to authenticate a request.
#[must_use]
pub fn signed_root_hash(root_hash: &Hash) -> Hash {
    HashBuilder::new(HashPurpose::RootHashSignature).add_hash(root_hash).finish()
}

fn check_view_type(number: i32) -> Result<(), Malformed> {
    if number == i32::from(proto::ViewType::Transaction) {
        Ok(())
    } else {
        Err(Malformed::Unknown { field: "view_type", value: number })
    }
}

impl EnvelopeContent {
    /// The bytes for an envelope.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let content = match self {
            Self::Informee(message) => Content::Informee(proto::InformeeMessage {
                tree: Some(message.tree.to_wire()),
                submitting_participant: message.submitter.to_string(),
                signature: Some((&message.signature).into()),
            }),
            Self::View(message) => Content::View(proto::EncryptedView {
                scheme: proto::EncryptionScheme::EciesP256Aes128Gcm.into(),
                view_tree: message.sealed.clone(),
                view_hash: message.view_hash.as_bytes().to_vec().into(),
                view_type: proto::ViewType::Transaction.into(),
                submitter_signature: message.signature.as_ref().map(Into::into),
                ephemeral_key: message.ephemeral.clone(),
                keys: message.keys.iter().map(WrappedKey::to_wire).collect(),
            }),
            Self::RootHash(message) => Content::RootHash(proto::RootHashMessage {
                root_hash: message.root_hash.as_bytes().to_vec().into(),
                synchronizer_id: message.synchronizer.to_string(),
                view_type: proto::ViewType::Transaction.into(),
            }),
            Self::Responses(signed) => Content::Signed(signed.to_wire()),
            Self::Result(signed) => Content::Signed(signed.to_wire()),
            Self::Topology(signed) => Content::Signed(signed.to_wire()),
            Self::RegisterRequest(request) => Content::RegisterTopology(request.into()),
            Self::RegisterResponse(signed) => Content::Signed(signed.to_wire()),
        };
        proto::EnvelopeContent { version: VERSION, content: Some(content) }.encode_to_vec().into()
    }

    /// Reads an envelope's bytes. Signatures are not verified here.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let message: proto::EnvelopeContent = bounds::read(bytes, bounds::ENVELOPE)?;
        Malformed::check_version("envelope content", message.version, VERSION)?;
        match message.content.ok_or(Malformed::Missing("content"))? {
            Content::Informee(message) => from_informee(message),
            Content::View(message) => from_view(message),
            Content::RootHash(message) => {
                check_view_type(message.view_type)?;
                Ok(Self::RootHash(RootHashMessage {
                    root_hash: from_hash("root_hash", &message.root_hash)?,
                    synchronizer: SynchronizerId(message.synchronizer_id.parse()?),
                }))
            }
            Content::RegisterTopology(message) => Ok(Self::RegisterRequest((&message).try_into()?)),
            Content::Signed(message) => from_signed(&message),
        }
    }
}

fn from_hash(field: &'static str, bytes: &[u8]) -> Result<Hash, Malformed> {
    Hash::try_from(bytes).map_err(|_| Malformed::Bounds { field, why: "a hash has 32 bytes" })
}

fn from_informee(message: proto::InformeeMessage) -> Result<EnvelopeContent, Malformed> {
    Ok(EnvelopeContent::Informee(Box::new(InformeeMessage {
        tree: InformeeTree::from_wire(message.tree.ok_or(Malformed::Missing("tree"))?)?,
        submitter: ParticipantId(message.submitting_participant.parse()?),
        signature: Signature::required(message.signature.as_ref())?,
    })))
}

fn from_view(message: proto::EncryptedView) -> Result<EnvelopeContent, Malformed> {
    check_view_type(message.view_type)?;
    if message.scheme() != proto::EncryptionScheme::EciesP256Aes128Gcm {
        return Err(Malformed::Unknown { field: "scheme", value: message.scheme });
    }
    if message.ephemeral_key.len() != EPHEMERAL_BYTES {
        return Err(Malformed::Bounds { field: "ephemeral_key", why: "it has 65 bytes" });
    }
    Ok(EnvelopeContent::View(Box::new(EncryptedView {
        view_hash: from_hash("view_hash", &message.view_hash)?,
        sealed: message.view_tree,
        ephemeral: message.ephemeral_key,
        keys: message.keys.into_iter().map(WrappedKey::from_wire).collect::<Result<_, _>>()?,
        signature: message.submitter_signature.as_ref().map(Signature::try_from).transpose()?,
    })))
}

impl WrappedKey {
    fn to_wire(&self) -> proto::WrappedKey {
        proto::WrappedKey { recipient: self.recipient.to_string(), wrapped: self.wrapped.clone() }
    }

    fn from_wire(message: proto::WrappedKey) -> Result<Self, Malformed> {
        if message.wrapped.len() != WRAPPED_BYTES {
            return Err(Malformed::Bounds { field: "wrapped", why: "a wrapped secret has 48 bytes" });
        }
        Ok(Self { recipient: message.recipient.parse()?, wrapped: message.wrapped })
    }
}

fn from_signed(message: &proto::SignedMessage) -> Result<EnvelopeContent, Malformed> {
    let typed: proto::TypedMessage = bounds::read(message.content.clone(), bounds::TYPED)?;
    Malformed::check_version("signed message", typed.version, VERSION)?;
    Ok(match &typed.message.ok_or(Malformed::Missing("message"))? {
        Typed::Responses(m) => EnvelopeContent::Responses(Signed::received(m.try_into()?, message)?),
        Typed::Result(m) => EnvelopeContent::Result(Signed::received(m.try_into()?, message)?),
        Typed::Topology(m) => EnvelopeContent::Topology(Signed::received(m.try_into()?, message)?),
        Typed::RegisterTopology(m) => EnvelopeContent::RegisterResponse(Signed::received(m.try_into()?, message)?),
    })
}
