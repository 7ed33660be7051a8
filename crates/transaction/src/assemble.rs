//! Building values from their parts without the Rust stack: decoding, translation and conversion use it.

use crate::{Field, Record, Value, Variant};
use base::{Identifier, Name};
use std::sync::Arc;

/// What a value with children is, without the children.
#[derive(Clone, Debug)]
pub enum Shape {
    /// One child.
    Some,
    /// Any number of children.
    List,
    /// One child for each key; the keys ascend.
    TextMap(Vec<Arc<str>>),
    /// Key, value, key, value, …
    GenMap,
    /// One child for each label.
    Record(Option<Identifier>, Vec<Option<Name>>),
    /// One child.
    Variant(Option<Identifier>, Name),
}

/// Takes leaves and openings in the order of a walk, parents before children, and gives the value at the end.
#[derive(Debug, Default)]
pub struct Assembler {
    open: Vec<Open>,
    done: Option<Value>,
}

#[derive(Debug)]
struct Open {
    shape: Shape,
    missing: usize,
    children: Vec<Value>,
}

impl Shape {
    fn close(self, children: Vec<Value>) -> Value {
        let mut children = children.into_iter();
        match self {
            Self::Some => Value::some(children.next().unwrap_or(Value::Unit)),
            Self::List => Value::List(children.collect::<Vec<_>>().into()),
            Self::TextMap(keys) => Value::text_map(keys.into_iter().zip(children)),
            Self::GenMap => {
                let mut entries = Vec::with_capacity(children.len() / 2);
                while let (Some(key), Some(value)) = (children.next(), children.next()) {
                    entries.push((key, value));
                }
                Value::gen_map(entries)
            }
            Self::Record(id, labels) => {
                let fields = labels.into_iter().zip(children).map(|(label, value)| Field { label, value }).collect();
                Value::Record(Record { id, fields }.into())
            }
            Self::Variant(id, constructor) => {
                let value = children.next().unwrap_or(Value::Unit);
                Value::Variant(Variant { id, constructor, value }.into())
            }
        }
    }
}

impl Assembler {
    /// How many values are open: the depth of the next one.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The value, once every opening has its children.
    #[must_use]
    pub fn finish(self) -> Option<Value> {
        self.done
    }

    /// Whether the value is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done.is_some()
    }

    /// Begins a value whose `children` come next.
    pub fn open(&mut self, shape: Shape, children: usize) {
        if children == 0 {
            self.leaf(shape.close(Vec::new()));
        } else {
            // The count may come from outside: memory grows with the children that really arrive.
            self.open.push(Open { shape, missing: children, children: Vec::with_capacity(children.min(64)) });
        }
    }

    /// A value that is complete.
    pub fn leaf(&mut self, value: Value) {
        let mut value = value;
        while let Some(mut top) = self.open.pop() {
            top.children.push(value);
            top.missing -= 1;
            if top.missing > 0 {
                self.open.push(top);
                return;
            }
            value = top.shape.close(top.children);
        }
        self.done = Some(value);
    }
}

/// The same value with each value that has no children replaced.
pub(crate) fn rebuild(value: &Value, mut leaf: impl FnMut(&Value) -> Value) -> Value {
    let mut assembler = Assembler::default();
    for (_, part) in value.walk() {
        match part {
            Value::Optional(Some(_)) => assembler.open(Shape::Some, 1),
            Value::List(items) => assembler.open(Shape::List, items.len()),
            Value::TextMap(entries) => {
                assembler.open(Shape::TextMap(entries.keys().cloned().collect()), entries.len());
            }
            Value::GenMap(entries) => assembler.open(Shape::GenMap, 2 * entries.len()),
            Value::Record(record) => {
                let labels = record.fields.iter().map(|field| field.label.clone()).collect();
                assembler.open(Shape::Record(record.id.clone(), labels), record.fields.len());
            }
            Value::Variant(variant) => {
                assembler.open(Shape::Variant(variant.id.clone(), variant.constructor.clone()), 1);
            }
            other => assembler.leaf(leaf(other)),
        }
    }
    assembler.finish().expect("the walk visits every child of everything it opened")
}
