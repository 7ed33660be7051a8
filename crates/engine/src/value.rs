//! Values of the machine. Whatever holds other values is behind [`P`], whose drop does not recurse.

use crate::{
    code::{Code, Function},
    machine::at,
    map::Node,
    ty::Ty,
};
use base::{ContractId, Identifier, Name, PartyId, Timestamp};
use lf::Builtin;
use std::{ops::Deref, sync::Arc};
use transaction::{Date, Numeric};

/// A value of the machine. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum V {
    /// Also the token that update actions take.
    Unit,
    Bool(bool),
    Int64(i64),
    Numeric(Numeric),
    Text(Arc<str>),
    Timestamp(Timestamp),
    Date(Date),
    Party(PartyId),
    ContractId(ContractId),
    None,
    Some(P<V>),
    Nil,
    Cons(P<Cons>),
    /// Sorted by the order of values; keys are texts.
    TextMap(Option<P<Node>>),
    /// Sorted by the order of values.
    GenMap(Option<P<Node>>),
    Record(P<Record>),
    Variant(P<Variant>),
    Enum(Arc<Constructor>),
    Struct(P<Struct>),
    Closure(P<Closure>),
    Builtin(Builtin),
    Partial(P<Partial>),
    Any(P<Any>),
    TypeRep(Ty),
}

/// The first element of a list and the rest.
#[derive(Debug)]
pub(crate) struct Cons {
    pub(crate) head: V,
    pub(crate) tail: V,
}

/// A record with all its fields in order of declaration.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) id: Arc<Identifier>,
    pub(crate) fields: Vec<V>,
}

/// A constructor of a variant or enum with its place in the declaration, by which values are ordered.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Constructor {
    pub(crate) name: Name,
    pub(crate) rank: u32,
}

/// A constructor with its argument.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) constructor: Arc<Constructor>,
    pub(crate) value: V,
}

/// A structural record, its labels ascending.
#[derive(Clone, Debug)]
pub(crate) struct Struct {
    pub(crate) labels: Arc<[Name]>,
    pub(crate) fields: Vec<V>,
}

/// A function with what it captured.
#[derive(Debug)]
pub(crate) struct Closure {
    pub(crate) code: Arc<Code>,
    pub(crate) function: u32,
    pub(crate) captures: Vec<V>,
}

impl Closure {
    pub(crate) fn body(&self) -> &Function {
        &self.code.functions[at(self.function)]
    }
}

/// A function with fewer arguments than it takes, in order.
#[derive(Debug)]
pub(crate) struct Partial {
    pub(crate) function: V,
    pub(crate) arguments: Vec<V>,
}

/// A value with its type.
#[derive(Debug)]
pub(crate) struct Any {
    pub(crate) ty: Ty,
    pub(crate) value: V,
}

/// An `Arc` whose drop takes apart what is behind it with a list of its own instead of the Rust stack.
#[derive(Debug)]
pub(crate) struct P<T: Parts>(Arc<T>);

impl<T: Parts> Clone for P<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// What a [`P`] can point to: something that can give away the values in it.
pub(crate) trait Parts {
    /// Moves all values that can hold others to `out`.
    fn take(&mut self, out: &mut Vec<V>);
}

impl<T: Parts> P<T> {
    pub(crate) fn new(part: T) -> Self {
        Self(Arc::new(part))
    }

    pub(crate) fn take_if_last(&mut self, out: &mut Vec<V>) {
        // The count is read before `get_mut`, which would lock where most often there is nothing to do.
        if Arc::strong_count(&self.0) == 1
            && let Some(part) = Arc::get_mut(&mut self.0)
        {
            part.take(out);
        }
    }
}

impl<T: Parts + Clone> P<T> {
    /// What is behind the pointer, copied if others point to it too.
    pub(crate) fn make_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<T: Parts> Deref for P<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Parts> Drop for P<T> {
    fn drop(&mut self) {
        let mut rest = Vec::new();
        self.take_if_last(&mut rest);
        while let Some(mut value) = rest.pop() {
            value.take_inner(&mut rest);
        }
    }
}

impl V {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn some(value: Self) -> Self {
        Self::Some(P::new(value))
    }

    pub(crate) fn cons(head: Self, tail: Self) -> Self {
        Self::Cons(P::new(Cons { head, tail }))
    }

    /// A list in the order of the items.
    pub(crate) fn list(items: impl IntoIterator<Item = Self, IntoIter: DoubleEndedIterator>) -> Self {
        items.into_iter().rev().fold(Self::Nil, |tail, head| Self::cons(head, tail))
    }

    pub(crate) fn record(id: Arc<Identifier>, fields: Vec<Self>) -> Self {
        Self::Record(P::new(Record { id, fields }))
    }

    /// The items of a list; nothing for anything else.
    pub(crate) fn items(&self) -> Items<'_> {
        Items(self)
    }

    /// Leaves `Unit` and gives the value if it can hold others; drops it otherwise.
    fn take_holder(&mut self, out: &mut Vec<V>) {
        if matches!(
            self,
            Self::Some(_)
                | Self::Cons(_)
                | Self::TextMap(Some(_))
                | Self::GenMap(Some(_))
                | Self::Record(_)
                | Self::Variant(_)
                | Self::Struct(_)
                | Self::Closure(_)
                | Self::Partial(_)
                | Self::Any(_)
        ) {
            out.push(std::mem::replace(self, Self::Unit));
        }
    }

    fn take_inner(&mut self, out: &mut Vec<V>) {
        match self {
            Self::Some(p) => p.take_if_last(out),
            Self::Cons(p) => p.take_if_last(out),
            Self::TextMap(Some(p)) | Self::GenMap(Some(p)) => p.take_if_last(out),
            Self::Record(p) => p.take_if_last(out),
            Self::Variant(p) => p.take_if_last(out),
            Self::Struct(p) => p.take_if_last(out),
            Self::Closure(p) => p.take_if_last(out),
            Self::Partial(p) => p.take_if_last(out),
            Self::Any(p) => p.take_if_last(out),
            _ => {}
        }
    }
}

/// See [`V::items`].
pub(crate) struct Items<'a>(&'a V);

impl<'a> Iterator for Items<'a> {
    type Item = &'a V;
    fn next(&mut self) -> Option<&'a V> {
        let V::Cons(cons) = self.0 else { return None };
        self.0 = &cons.tail;
        Some(&cons.head)
    }
}

impl Parts for V {
    fn take(&mut self, out: &mut Vec<V>) {
        self.take_holder(out);
    }
}

impl Parts for Cons {
    fn take(&mut self, out: &mut Vec<V>) {
        self.head.take_holder(out);
        self.tail.take_holder(out);
    }
}

impl Parts for Node {
    fn take(&mut self, out: &mut Vec<V>) {
        self.key.take_holder(out);
        self.value.take_holder(out);
        // The depth of the tree is logarithmic, but its nodes' values are anything: they go through the list as maps.
        for side in [&mut self.left, &mut self.right] {
            if let Some(node) = side.take() {
                out.push(V::GenMap(Some(node)));
            }
        }
    }
}

fn take_all(values: &mut [V], out: &mut Vec<V>) {
    values.iter_mut().for_each(|value| value.take_holder(out));
}

impl Parts for Record {
    fn take(&mut self, out: &mut Vec<V>) {
        take_all(&mut self.fields, out);
    }
}

impl Parts for Variant {
    fn take(&mut self, out: &mut Vec<V>) {
        self.value.take_holder(out);
    }
}

impl Parts for Struct {
    fn take(&mut self, out: &mut Vec<V>) {
        take_all(&mut self.fields, out);
    }
}

impl Parts for Closure {
    fn take(&mut self, out: &mut Vec<V>) {
        take_all(&mut self.captures, out);
    }
}

impl Parts for Partial {
    fn take(&mut self, out: &mut Vec<V>) {
        self.function.take_holder(out);
        take_all(&mut self.arguments, out);
    }
}

impl Parts for Any {
    fn take(&mut self, out: &mut Vec<V>) {
        self.value.take_holder(out);
    }
}
