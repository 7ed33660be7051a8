//! Persistent maps in the order of values: weight-balanced trees that share what an update leaves alone.

use crate::{
    compare::compare,
    value::{P, V},
};
use std::cmp::Ordering;

/// A map: `None` is empty.
pub(crate) type Map = Option<P<Node>>;

/// A node of the tree.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) key: V,
    pub(crate) value: V,
    pub(crate) left: Map,
    pub(crate) right: Map,
    size: usize,
}

/// No side may weigh more than `DELTA` times the other; a rotation is single if the inner side weighs less than `RATIO`
/// times the outer one. A weight is the size and one; 3 and 2 are the pair that is proven to keep trees balanced.
const DELTA: usize = 3;
const RATIO: usize = 2;

pub(crate) fn size(map: &Map) -> usize {
    map.as_ref().map_or(0, |node| node.size)
}

fn node(key: V, value: V, left: Map, right: Map) -> Map {
    let size = size(&left) + size(&right) + 1;
    Some(P::new(Node { key, value, left, right, size }))
}

/// A node whose sides differ by at most one insertion or deletion from balanced ones.
fn balanced(key: V, value: V, left: Map, right: Map) -> Map {
    let (l, r) = (size(&left) + 1, size(&right) + 1);
    if r <= DELTA * l && l <= DELTA * r {
        return node(key, value, left, right);
    }
    if r > l {
        let Some(top) = &right else { return node(key, value, left, right) };
        match &top.left {
            Some(inner) if inner.size + 1 >= RATIO * (size(&top.right) + 1) => node(
                inner.key.clone(),
                inner.value.clone(),
                node(key, value, left, inner.left.clone()),
                node(top.key.clone(), top.value.clone(), inner.right.clone(), top.right.clone()),
            ),
            inner => node(top.key.clone(), top.value.clone(), node(key, value, left, inner.clone()), top.right.clone()),
        }
    } else {
        let Some(top) = &left else { return node(key, value, left, right) };
        match &top.right {
            Some(inner) if inner.size + 1 >= RATIO * (size(&top.left) + 1) => node(
                inner.key.clone(),
                inner.value.clone(),
                node(top.key.clone(), top.value.clone(), top.left.clone(), inner.left.clone()),
                node(key, value, inner.right.clone(), right),
            ),
            inner => node(top.key.clone(), top.value.clone(), top.left.clone(), node(key, value, inner.clone(), right)),
        }
    }
}

/// Nodes on a way down, each with the side to which it goes on.
type Way<'a> = Vec<(&'a P<Node>, Ordering)>;

/// The nodes on the way to a key, and the node of the key itself.
fn path<'a>(mut map: &'a Map, key: &V) -> (Way<'a>, Option<&'a P<Node>>) {
    let mut way = Vec::new();
    while let Some(here) = map {
        match compare(key, &here.key) {
            Ordering::Equal => return (way, Some(here)),
            side => {
                way.push((here, side));
                map = if side.is_lt() { &here.left } else { &here.right };
            }
        }
    }
    (way, None)
}

/// The way back up, with the lowest side replaced.
fn rebuild(way: Way<'_>, lowest: Map) -> Map {
    way.into_iter().rev().fold(lowest, |below, (above, side)| {
        let (key, value) = (above.key.clone(), above.value.clone());
        if side.is_lt() {
            balanced(key, value, below, above.right.clone())
        } else {
            balanced(key, value, above.left.clone(), below)
        }
    })
}

pub(crate) fn insert(map: &Map, key: V, value: V) -> Map {
    let (way, found) = path(map, &key);
    let lowest = match found {
        Some(old) => node(key, value, old.left.clone(), old.right.clone()),
        None => node(key, value, None, None),
    };
    rebuild(way, lowest)
}

pub(crate) fn lookup(map: &Map, key: &V) -> Option<V> {
    path(map, key).1.map(|node| node.value.clone())
}

pub(crate) fn delete(map: &Map, key: &V) -> Map {
    let (way, found) = path(map, key);
    let Some(gone) = found else { return map.clone() };
    // The successor takes the place of a node with two sides.
    let lowest = match (&gone.left, &gone.right) {
        (None, rest) | (rest, None) => rest.clone(),
        (left, Some(right)) => {
            let mut down = vec![(right, Ordering::Less)];
            let mut first = right;
            while let Some(next) = &first.left {
                down.push((next, Ordering::Less));
                first = next;
            }
            down.pop();
            let right = rebuild(down, first.right.clone());
            balanced(first.key.clone(), first.value.clone(), left.clone(), right)
        }
    };
    rebuild(way, lowest)
}

/// The entries in order.
pub(crate) fn entries(map: &Map) -> Entries<'_> {
    let mut entries = Entries(Vec::new());
    entries.descend(map);
    entries
}

/// See [`entries`].
pub(crate) struct Entries<'a>(Vec<&'a P<Node>>);

impl<'a> Entries<'a> {
    fn descend(&mut self, mut map: &'a Map) {
        while let Some(node) = map {
            self.0.push(node);
            map = &node.left;
        }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a V, &'a V);
    fn next(&mut self) -> Option<Self::Item> {
        let node = self.0.pop()?;
        self.descend(&node.right);
        Some((&node.key, &node.value))
    }
}

/// Whether no node's sides differ too much: the law that keeps ways short.
#[cfg(test)]
pub(crate) fn is_balanced(map: &Map) -> bool {
    let mut todo = vec![map];
    while let Some(next) = todo.pop() {
        let Some(node) = next else { continue };
        let (l, r) = (size(&node.left) + 1, size(&node.right) + 1);
        if r > DELTA * l || l > DELTA * r {
            return false;
        }
        todo.extend([&node.left, &node.right]);
    }
    true
}
