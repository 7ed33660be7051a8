//! How much a message may hold. Two bytes on the wire can be an element of a hundred in memory, so elements are counted
//! before memory is taken for any.

use super::{
    signed::MAX_SIGNATURES,
    verdict::{MAX_PARTIES, MAX_RESOURCES},
};
use crate::tree::{MAX_VIEW_DEPTH, MAX_VIEWS};
use base::limits::MAX_MESSAGE_BYTES;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use topology::Malformed;

/// Elements of all lists of one message. The largest real one, the topology of a big synchronizer, has some ten thousands.
const MAX_ELEMENTS: usize = 250_000;
/// Recipients of the key of one view.
const MAX_KEYS: usize = 10_000;
/// A proof in a tree of so many views has fewer hashes.
const MAX_PROOF: usize = 64;

/// A field that holds lists, or is one of a list without lists inside.
pub(crate) struct Field {
    number: u32,
    /// How often it may occur in the message around.
    most: usize,
    inside: &'static [Self],
}

const fn one(number: u32, inside: &'static [Field]) -> Field {
    Field { number, most: 1, inside }
}

const fn many(number: u32, most: usize, inside: &'static [Field]) -> Field {
    Field { number, most, inside }
}

const TRANSACTIONS: &[Field] = &[many(1, MAX_ELEMENTS, TRANSACTION)];
const TRANSACTION: &[Field] = &[many(3, MAX_SIGNATURES, &[])];
const LOCAL_REJECT: &[Field] = &[many(3, MAX_RESOURCES, &[])];
const RESPONSE: &[Field] =
    &[one(1, &[one(2, LOCAL_REJECT), one(3, LOCAL_REJECT)]), many(2, MAX_PARTIES, &[]), many(3, MAX_VIEW_DEPTH, &[])];
const REASON: &[Field] = &[many(1, MAX_PARTIES, &[]), one(3, LOCAL_REJECT)];

/// `EnvelopeContent` of `protocol.proto`.
pub(super) const ENVELOPE: &[Field] = &[
    one(10, &[one(1, &[many(4, MAX_VIEWS, &[])])]),
    one(11, &[many(7, MAX_KEYS, &[])]),
    one(13, &[many(2, MAX_SIGNATURES, &[])]),
    one(14, &[many(5, MAX_ELEMENTS, TRANSACTION)]),
];

/// `TypedMessage` of `protocol.proto`.
pub(super) const TYPED: &[Field] = &[
    one(10, &[many(5, MAX_VIEWS, RESPONSE)]),
    one(11, &[one(5, &[one(2, &[many(1, MAX_VIEWS, REASON)])])]),
    one(12, &[one(3, TRANSACTIONS), one(4, &[many(1, MAX_ELEMENTS, &[one(1, TRANSACTION)])])]),
    one(13, &[many(5, MAX_ELEMENTS, &[])]),
];

/// `LightViewTree` of `protocol.proto`.
pub(crate) const LIGHT_VIEW: &[Field] = &[many(5, MAX_VIEW_DEPTH, &[many(3, MAX_PROOF, &[])]), many(8, MAX_VIEWS, &[])];

/// Reads a message of which the fields hold no more than they may.
pub(crate) fn read<M: prost::Message + Default>(bytes: bytes::Bytes, fields: &'static [Field]) -> Result<M, Malformed> {
    Malformed::check_length("content", bytes.len(), MAX_MESSAGE_BYTES)?;
    count(&bytes, fields, &mut 0)?;
    Ok(M::decode(bytes)?)
}

fn count(mut bytes: &[u8], fields: &'static [Field], elements: &mut usize) -> Result<(), Malformed> {
    let mut counts = vec![0; fields.len()];
    while !bytes.is_empty() {
        let (number, wire_type) = decode_key(&mut bytes)?;
        let mut value = bytes;
        skip_field(wire_type, number, &mut bytes, DecodeContext::default())?;
        let Some(n) = fields.iter().position(|field| field.number == number) else { continue };
        counts[n] += 1;
        *elements += 1;
        Malformed::check_length("a list", counts[n], fields[n].most)?;
        Malformed::check_length("all lists together", *elements, MAX_ELEMENTS)?;
        if wire_type == WireType::LengthDelimited && !fields[n].inside.is_empty() {
            value = &value[..value.len() - bytes.len()];
            decode_varint(&mut value)?;
            count(value, fields[n].inside, elements)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{EncryptedView, EnvelopeContent, WrappedKey};
    use base::Hash;
    use bytes::Bytes;
    use prost::Message as _;
    use topology::testing::{decryption_key, key, uid};
    use wire::concordat::{
        crypto::v1::Signature,
        protocol::v1::{self as proto, envelope_content::Content, typed_message::Message as Typed},
    };

    fn signed(message: Typed, signatures: usize) -> Bytes {
        let content = proto::TypedMessage { version: 1, message: Some(message) }.encode_to_vec().into();
        let signature: Signature = (&key("p1").sign(&Hash([0; 32]))).into();
        let content = Content::Signed(proto::SignedMessage { content, signatures: vec![signature; signatures] });
        proto::EnvelopeContent { version: 1, content: Some(content) }.encode_to_vec().into()
    }

    fn responses(views: u32, parties: usize) -> Bytes {
        let approve = proto::local_verdict::Verdict::Approve(proto::Approve {});
        let response = |n: u32| proto::ConfirmationResponse {
            verdict: Some(proto::LocalVerdict { verdict: Some(approve.clone()) }),
            parties: (0..parties).map(|n| format!("p{n}")).collect(),
            view_position: vec![n],
        };
        let message = proto::ConfirmationResponses {
            synchronizer_id: uid("sync", "sync").to_string(),
            request_id: 1,
            root_hash: vec![0; 32].into(),
            sender: uid("p1", "p1").to_string(),
            responses: (0..views).map(response).collect(),
        };
        signed(Typed::Responses(message), 1)
    }

    #[test]
    fn lists_are_counted_before_they_are_read() {
        let read = |bytes: Bytes| EnvelopeContent::decode(bytes).map(drop);
        let too_long = |field| Err(Malformed::Bounds { field, why: "it is longer than any valid one" });
        let view = |keys: usize| {
            let recipient = decryption_key("p1").public().fingerprint().clone();
            let view = EncryptedView {
                view_hash: Hash([0; 32]),
                sealed: Bytes::new(),
                ephemeral: vec![0; 65].into(),
                keys: vec![WrappedKey { recipient, wrapped: vec![0; 48].into() }; keys],
                signature: None,
            };
            EnvelopeContent::View(Box::new(view)).encode()
        };
        assert_eq!(read(view(MAX_KEYS)), Ok(()));
        assert_eq!(read(view(MAX_KEYS + 1)), too_long("a list"));
        // No list is too long, but all together are.
        assert_eq!(read(responses(20, MAX_PARTIES)), Ok(()));
        assert_eq!(read(responses(20, MAX_PARTIES + 1)), too_long("a list"));
        assert_eq!(read(responses(26, MAX_PARTIES)), too_long("all lists together"));
        assert_eq!(read(vec![0; MAX_MESSAGE_BYTES + 1].into()), too_long("content"));
        // What occurs once must, or the lists of several would be put together.
        let twice = [responses(1, 1), responses(1, 1)].concat();
        assert_eq!(read(twice.into()), too_long("a list"));
    }

    /// Not even of the smallest elements that there are, deep inside.
    #[test]
    fn nothing_is_read_of_what_is_too_much() {
        let reason = [0x0a, 0];
        let reasons = reason.repeat(MAX_VIEWS + 1);
        // RejectReasons in a ParticipantReject in a Verdict in a ConfirmationResult.
        let nested = [2, 5, 11].into_iter().fold(reasons, |inside, number| {
            let mut bytes = Vec::new();
            prost::encoding::bytes::encode(number, &inside, &mut bytes);
            bytes
        });
        let refused: Result<proto::TypedMessage, _> = read(nested.into(), TYPED);
        assert!(matches!(refused, Err(Malformed::Bounds { field: "a list", .. })), "{refused:?}");
    }
}
