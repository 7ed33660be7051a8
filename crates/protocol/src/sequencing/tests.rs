use super::*;
use base::{MemberId, Timestamp};
use bytes::Bytes;
use crypto::private::SigningKey;
use proptest::prelude::*;

fn member(n: u8) -> MemberId {
    format!("PAR::p{n}::1220{}", "ab".repeat(32)).parse().unwrap()
}

fn submission() -> Submission {
    let chain = [[member(1)].into(), [member(2), member(3)].into()].into_iter();
    Submission {
        sender: member(0),
        message_id: "m-1".parse().unwrap(),
        batch: vec![
            Envelope { content: Bytes::from_static(b"one"), recipients: Recipients::group([member(1), member(2)]) },
            Envelope { content: Bytes::from_static(b"two"), recipients: Recipients::chain(chain) },
        ],
        max_sequencing_time: Timestamp::from_micros(77).unwrap(),
        topology_timestamp: None,
        epoch: 3,
    }
}

#[test]
fn signed_submissions_round_trip_and_refuse_changes() {
    let key = SigningKey::generate(&[7; 32]);
    let signed = SignedContent::sign::<Submission, ()>(submission().encode(), |hash| Ok(key.sign(hash))).unwrap();
    let read = SignedContent::from_bytes(signed.to_bytes()).unwrap();
    assert_eq!(read.verify::<Submission>(key.public()), Ok(submission()));

    let mut changed = read.clone();
    let mut bytes = changed.content.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    changed.content = bytes.into();
    assert!(matches!(changed.verify::<Submission>(key.public()), Err(DecodeError::Signature(_))));
    let other = SigningKey::generate(&[8; 32]);
    assert!(read.verify::<Submission>(other.public()).is_err());
    // The same bytes under another purpose are another hash.
    assert!(read.verify::<Acknowledgement>(key.public()).is_err());
}

#[test]
fn recipients_see_themselves_and_below_never_above() {
    let recipients = submission().batch[1].recipients.clone();
    assert_eq!(recipients.all(), [member(1), member(2), member(3)].into());
    assert_eq!(recipients.seen_by(&member(1)), recipients);
    assert_eq!(recipients.seen_by(&member(2)), Recipients::group([member(2), member(3)]));
    assert!(recipients.seen_by(&member(9)).trees.is_empty());
    assert_eq!(recipients.paths().len(), 1);
    assert_eq!(recipients.paths()[0].len(), 2);
}

#[test]
fn refuses_deep_empty_and_newer() {
    let deep =
        Recipients::chain((0..=Recipients::MAX_DEPTH).map(|_| [member(1)].into()).collect::<Vec<_>>().into_iter());
    assert!(matches!(Recipients::from_wire(&deep.to_wire()), Err(DecodeError::TooLarge { .. })));
    let empty = Recipients::group([]);
    assert!(matches!(Recipients::from_wire(&empty.to_wire()), Err(DecodeError::Missing(_))));
    assert_eq!(known_version(2), Err(DecodeError::TooNew(2)));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        let _ = Submission::decode(bytes.clone());
        let _ = SequencedEvent::decode(bytes.clone());
        let _ = Acknowledgement::decode(bytes.clone());
        let _ = SignedContent::from_bytes(bytes);
    }
}
