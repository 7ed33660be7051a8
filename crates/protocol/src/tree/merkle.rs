//! Inner nodes of the tree: fixed lists of children, and balanced sequences with proofs (spec/protocol.md §2.1).

use base::Hash;
use crypto::{HashBuilder, HashPurpose};

/// The hash of an inner node.
#[must_use]
pub fn inner(children: &[Hash]) -> Hash {
    let count = u32::try_from(children.len()).expect("bounded by the size of a message");
    let concatenated: Vec<u8> = children.iter().flat_map(|child| *child.as_bytes()).collect();
    HashBuilder::new(HashPurpose::MerkleInner).add_u32(count).add_bytes(&concatenated).finish()
}

/// The hash of a sequence: its length and the root of a balanced binary tree over its elements, so that the proof
/// for one element is logarithmic and fixes its index and the length.
#[must_use]
pub fn sequence(elements: &[Hash]) -> Hash {
    with_length(elements.len(), balanced(elements))
}

fn with_length(length: usize, root: Option<Hash>) -> Hash {
    let length = u32::try_from(length).expect("bounded by the size of a message");
    HashBuilder::new(HashPurpose::MerkleInner).add_u32(length).add_option(root, |b, root| b.add_hash(&root)).finish()
}

/// `None` if there are no elements. Pairs neighbours level by level; an odd last one moves up as it is.
fn balanced(elements: &[Hash]) -> Option<Hash> {
    let mut level = elements.to_vec();
    while level.len() > 1 {
        level = level.chunks(2).map(|pair| if let [only] = pair { *only } else { inner(pair) }).collect();
    }
    level.first().copied()
}

/// The siblings on the way from the element at `index` to the root, lowest first.
#[must_use]
pub fn proof(elements: &[Hash], index: usize) -> Vec<Hash> {
    let (mut siblings, mut level, mut index) = (Vec::new(), elements.to_vec(), index);
    while level.len() > 1 {
        siblings.extend(level.get(index ^ 1));
        level = level.chunks(2).map(|pair| if let [only] = pair { *only } else { inner(pair) }).collect();
        index /= 2;
    }
    siblings
}

/// The hash of the sequence of `length` elements that has `element` at `index`; `None` if the proof does not fit.
#[must_use]
pub fn from_proof(element: Hash, index: usize, length: usize, proof: &[Hash]) -> Option<Hash> {
    if index >= length {
        return None;
    }
    let (mut hash, mut index, mut width, mut siblings) = (element, index, length, proof.iter());
    while width > 1 {
        let sibling = index ^ 1;
        if sibling < width {
            let sibling_hash = *siblings.next()?;
            hash = if sibling < index { inner(&[sibling_hash, hash]) } else { inner(&[hash, sibling_hash]) };
        }
        index /= 2;
        width = width.div_ceil(2);
    }
    siblings.next().is_none().then(|| with_length(length, Some(hash)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn proofs_hold_for_their_place_only(length in 1_usize..40, index in 0_usize..40, other in 0_usize..40) {
            let index = index % length;
            let elements: Vec<_> = (0..length).map(|n| crypto::sha256(&n.to_be_bytes())).collect();
            let whole = sequence(&elements);
            let proof = proof(&elements, index);
            prop_assert_eq!(from_proof(elements[index], index, length, &proof), Some(whole));
            if other != index {
                prop_assert_ne!(from_proof(elements[index], other, length, &proof), Some(whole));
            }
            prop_assert_ne!(from_proof(elements[index], index, length + 1, &proof), Some(whole));
            prop_assert_ne!(from_proof(crypto::sha256(b"other"), index, length, &proof), Some(whole));
            let longer = [proof, vec![elements[0]]].concat();
            prop_assert_eq!(from_proof(elements[index], index, length, &longer), None);
        }
    }

    #[test]
    fn empty_differs_from_anything() {
        assert_ne!(sequence(&[]), sequence(&[sequence(&[])]));
        assert_ne!(sequence(&[]), inner(&[]));
    }
}
