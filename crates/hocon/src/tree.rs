//! What parsing gives: values whose substitutions are still open, and how later definitions meet earlier ones.

use crate::Origin;
use std::collections::BTreeMap;

/// A value that may contain substitutions.
#[derive(Clone, Debug)]
pub struct Unresolved {
    pub(crate) origin: Origin,
    pub(crate) node: Node,
}

#[derive(Clone, Debug)]
pub(crate) enum Node {
    Null,
    Text {
        text: String,
        quoted: bool,
    },
    Array(Vec<Unresolved>),
    Object(BTreeMap<String, Unresolved>),
    Substitution(Substitution),
    /// Written one after the other: strings join, arrays append, objects merge.
    Concat(Vec<Unresolved>),
    /// Definitions of one key, earlier ones first; at least one of them is not resolved yet.
    Definitions(Vec<Unresolved>),
}

#[derive(Clone, Debug)]
pub(crate) struct Substitution {
    /// Where to look, in this order: inside an included file first below the key that includes it.
    pub(crate) paths: Vec<Vec<String>>,
    pub(crate) optional: bool,
}

impl Unresolved {
    fn is_open(&self) -> bool {
        matches!(self.node, Node::Substitution(_) | Node::Concat(_) | Node::Definitions(_))
    }
}

/// Puts `later` over `earlier`: objects merge deeply, anything else replaces; what is not resolved yet is kept beside.
#[must_use]
pub fn merge(earlier: Unresolved, later: Unresolved) -> Unresolved {
    let origin = later.origin.clone();
    if earlier.is_open() || later.is_open() {
        let mut definitions = match earlier.node {
            Node::Definitions(list) => list,
            node => vec![Unresolved { node, origin: earlier.origin }],
        };
        match later.node {
            Node::Definitions(list) => definitions.extend(list),
            // Two objects in a row are one definition.
            Node::Object(_) if definitions.last().is_some_and(|d| matches!(d.node, Node::Object(_))) => {
                if let Some(last) = definitions.pop() {
                    definitions.push(merge(last, later));
                }
            }
            // Replaces everything before it.
            Node::Null | Node::Text { .. } | Node::Array(_) => return later,
            node => definitions.push(Unresolved { node, origin: later.origin }),
        }
        return Unresolved { node: Node::Definitions(definitions), origin };
    }
    match (earlier.node, later.node) {
        (Node::Object(mut fields), Node::Object(overrides)) => {
            for (key, value) in overrides {
                let merged = match fields.remove(&key) {
                    Some(before) => merge(before, value),
                    None => value,
                };
                fields.insert(key, merged);
            }
            Unresolved { node: Node::Object(fields), origin }
        }
        (_, node) => Unresolved { node, origin },
    }
}
