//! Messages that their sender signs as a whole.

use super::{ConfirmationResponses, ConfirmationResult, VERSION};
use base::{Hash, MemberId};
use bytes::Bytes;
use crypto::{HashBuilder, HashPurpose, Signature, SignatureError};
use prost::Message as _;
use topology::{Malformed, RegisterResponse, Snapshot, TopologyMessage, WrongSigner};
use wire::concordat::protocol::v1::{self as proto, typed_message::Message as Typed};

/// Signatures on one message: as many as a group of mediators may have members.
pub(super) const MAX_SIGNATURES: usize = 100;

/// A kind of message that is signed.
pub trait SignedContent: Sized {
    /// What its hash is for.
    const PURPOSE: HashPurpose;
    /// Into the one message that carries all kinds.
    fn to_typed(&self) -> Typed;
}

/// Content with the bytes that are signed and the signatures, which nobody has verified yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed<T> {
    content: T,
    bytes: Bytes,
    hash: Hash,
    signatures: Vec<Signature>,
}

impl<T: SignedContent> Signed<T> {
    /// Content without signature; [`Signed::hash`] is what is to be signed.
    #[must_use]
    pub fn unsigned(content: T) -> Self {
        let message = proto::TypedMessage { version: VERSION, message: Some(content.to_typed()) };
        let bytes: Bytes = message.encode_to_vec().into();
        Self { hash: hash::<T>(&bytes), content, bytes, signatures: Vec::new() }
    }

    /// With one more signature.
    #[must_use]
    pub fn with(mut self, signature: Signature) -> Self {
        self.signatures.push(signature);
        self
    }

    /// The content, whether or not somebody signed it.
    #[must_use]
    pub fn content(&self) -> &T {
        &self.content
    }

    /// What is signed.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Checks that one of the signatures is by a key of the member that is valid at the snapshot.
    pub fn verify(&self, snapshot: Snapshot<'_>, member: &MemberId) -> Result<&T, WrongSigner> {
        let mut why = WrongSigner::Signature(SignatureError::Missing);
        for signature in &self.signatures {
            match snapshot.verify(member, &self.hash, signature) {
                Ok(()) => return Ok(&self.content),
                Err(e) => why = e,
            }
        }
        Err(why)
    }

    pub(super) fn to_wire(&self) -> proto::SignedMessage {
        proto::SignedMessage {
            content: self.bytes.clone(),
            signatures: self.signatures.iter().map(Into::into).collect(),
        }
    }

    pub(super) fn received(content: T, message: &proto::SignedMessage) -> Result<Self, Malformed> {
        Malformed::check_length("signatures", message.signatures.len(), MAX_SIGNATURES)?;
        let signatures = message.signatures.iter().map(Signature::try_from).collect::<Result<_, _>>()?;
        let bytes = message.content.clone();
        Ok(Self { content, hash: hash::<T>(&bytes), bytes, signatures })
    }
}

fn hash<T: SignedContent>(bytes: &[u8]) -> Hash {
    HashBuilder::new(T::PURPOSE).add_bytes(bytes).finish()
}

impl SignedContent for ConfirmationResponses {
    const PURPOSE: HashPurpose = HashPurpose::ConfirmationResponses;
    fn to_typed(&self) -> Typed {
        Typed::Responses(self.into())
    }
}

impl SignedContent for ConfirmationResult {
    const PURPOSE: HashPurpose = HashPurpose::ConfirmationResult;
    fn to_typed(&self) -> Typed {
        Typed::Result(self.into())
    }
}

impl SignedContent for TopologyMessage {
    const PURPOSE: HashPurpose = HashPurpose::TopologyMessage;
    fn to_typed(&self) -> Typed {
        Typed::Topology(self.into())
    }
}

impl SignedContent for RegisterResponse {
    const PURPOSE: HashPurpose = HashPurpose::SignedProtocolMessage;
    fn to_typed(&self) -> Typed {
        Typed::RegisterTopology(self.into())
    }
}
