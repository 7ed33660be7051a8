//! Who gets an envelope, and which other recipients each of them may see.

use super::DecodeError;
use base::MemberId;
use std::collections::BTreeSet;
use wire::concordat::sequencer::v1 as proto;

/// A forest of recipients. Every member of any node receives the envelope; it learns of the members of its own node
/// and of all nodes below, never of those above (spec/protocol.md §1.1 point 4).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recipients {
    /// The trees, in the order the sender gave them.
    pub trees: Vec<RecipientsTree>,
}

/// One node with what hangs below it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecipientsTree {
    /// Members that see each other.
    pub members: BTreeSet<MemberId>,
    /// Nodes below.
    pub children: Vec<RecipientsTree>,
}

impl Recipients {
    /// Nodes of one envelope's forest, all together.
    pub const MAX_NODES: usize = 10_000;
    /// Depth of one tree.
    pub const MAX_DEPTH: usize = 64;

    /// One flat group: everybody sees everybody.
    #[must_use]
    pub fn group(members: impl IntoIterator<Item = MemberId>) -> Self {
        Self::groups([members.into_iter().collect()])
    }

    /// Several flat groups that do not see each other.
    #[must_use]
    pub fn groups(groups: impl IntoIterator<Item = BTreeSet<MemberId>>) -> Self {
        let trees = groups.into_iter().map(|members| RecipientsTree { members, children: Vec::new() }).collect();
        Self { trees }
    }

    /// A chain: the first set at the root, each further one below the one before.
    #[must_use]
    pub fn chain(sets: impl DoubleEndedIterator<Item = BTreeSet<MemberId>>) -> Self {
        let tree = sets.rev().fold(None, |below: Option<RecipientsTree>, members| {
            Some(RecipientsTree { members, children: below.into_iter().collect() })
        });
        Self { trees: tree.into_iter().collect() }
    }

    /// Everybody who receives the envelope.
    #[must_use]
    pub fn all(&self) -> BTreeSet<MemberId> {
        let mut all = BTreeSet::new();
        let mut open: Vec<&RecipientsTree> = self.trees.iter().collect();
        while let Some(tree) = open.pop() {
            all.extend(tree.members.iter().cloned());
            open.extend(&tree.children);
        }
        all
    }

    /// What `member` may see: the subtrees rooted at the topmost nodes that contain it. Empty if it is no recipient.
    #[must_use]
    pub fn seen_by(&self, member: &MemberId) -> Self {
        let mut seen = Vec::new();
        let mut open: Vec<&RecipientsTree> = self.trees.iter().rev().collect();
        while let Some(tree) = open.pop() {
            if tree.members.contains(member) {
                seen.push(tree.clone());
            } else {
                open.extend(tree.children.iter().rev());
            }
        }
        Self { trees: seen }
    }

    /// Every path from a root to a leaf, as sets of members.
    #[must_use]
    pub fn paths(&self) -> Vec<Vec<&BTreeSet<MemberId>>> {
        let mut paths = Vec::new();
        let mut open: Vec<(Vec<&BTreeSet<MemberId>>, &RecipientsTree)> =
            self.trees.iter().rev().map(|tree| (Vec::new(), tree)).collect();
        while let Some((mut path, tree)) = open.pop() {
            path.push(&tree.members);
            if tree.children.is_empty() {
                paths.push(path);
            } else {
                open.extend(tree.children.iter().rev().map(|child| (path.clone(), child)));
            }
        }
        paths
    }

    /// The message.
    #[must_use]
    pub fn to_wire(&self) -> proto::Recipients {
        proto::Recipients { trees: self.trees.iter().map(RecipientsTree::to_wire).collect() }
    }

    /// Checks members, depth and number of nodes. The decoder of protobuf bounds the nesting before this runs.
    pub fn from_wire(message: &proto::Recipients) -> Result<Self, DecodeError> {
        let mut nodes = 0;
        let trees = message.trees.iter().map(|tree| RecipientsTree::from_wire(tree, 1, &mut nodes));
        Ok(Self { trees: trees.collect::<Result<_, _>>()? })
    }
}

impl RecipientsTree {
    // Depth is at most `Recipients::MAX_DEPTH` here and in `from_wire`, so recursion is bounded.
    fn to_wire(&self) -> proto::RecipientsTree {
        proto::RecipientsTree {
            recipients: self.members.iter().map(ToString::to_string).collect(),
            children: self.children.iter().map(Self::to_wire).collect(),
        }
    }

    fn from_wire(message: &proto::RecipientsTree, depth: usize, nodes: &mut usize) -> Result<Self, DecodeError> {
        *nodes += 1 + message.recipients.len();
        if depth > Recipients::MAX_DEPTH {
            return Err(DecodeError::TooLarge { what: "the depth of a recipients tree", limit: Recipients::MAX_DEPTH });
        }
        if *nodes > Recipients::MAX_NODES {
            return Err(DecodeError::TooLarge { what: "the number of recipients", limit: Recipients::MAX_NODES });
        }
        let members: BTreeSet<MemberId> = message.recipients.iter().map(|m| m.parse()).collect::<Result<_, _>>()?;
        if members.is_empty() {
            return Err(DecodeError::Missing("a node's list of recipients"));
        }
        let children =
            message.children.iter().map(|child| Self::from_wire(child, depth + 1, nodes)).collect::<Result<_, _>>()?;
        Ok(Self { members, children })
    }
}
