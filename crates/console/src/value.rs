//! Values. Each knows its depth and weight, which are bounded: printing, comparing and dropping it is safe.

use crate::{error::Problem, syntax::Lambda};
use std::{rc::Rc, time::Duration};

const MAX_DEPTH: usize = 64;
const MAX_WEIGHT: usize = 1_000_000;

/// A node or a group of commands, as the host names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Such as `ParticipantReference`.
    pub kind: &'static str,
    /// As it is printed, such as `Participant 'participant1'`.
    pub label: String,
    /// What the host knows it by.
    pub path: String,
}

/// A value of the language.
#[derive(Debug, Clone)]
pub enum Value {
    /// `()`
    Unit,
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating point number.
    Double(f64),
    /// A string.
    Text(Rc<str>),
    /// `10.seconds`
    Duration(Duration),
    /// A node or a group of its commands.
    Reference(Rc<Reference>),
    /// An identifier of a type: printed without quotes, its fingerprint shortened.
    Id(&'static str, Rc<str>),
    /// Lines of a type, printed as they are.
    Report(&'static str, Rc<str>),
    /// What has parts.
    Compound(Rc<Compound>),
    /// A function.
    Function(Rc<Function>),
}

/// What has parts.
#[derive(Debug)]
pub struct Compound {
    pub(crate) shape: Shape,
    pub(crate) parts: Vec<Value>,
    size: Size,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `List` or `Vector`
    Seq(&'static str),
    Set,
    /// Its parts are pairs.
    Map,
    Option,
    Tuple,
    Record(&'static str, Rc<[&'static str]>),
}

/// A function and the local names that it sees.
#[derive(Debug)]
pub struct Function {
    pub(crate) lambda: Rc<Lambda>,
    pub(crate) locals: Vec<(String, Value)>,
    size: Size,
}

#[derive(Debug, Clone, Copy)]
struct Size {
    depth: usize,
    weight: usize,
}

impl Size {
    fn of<'a>(values: impl Iterator<Item = &'a Value>) -> Result<Self, Problem> {
        let around = values.map(Value::size).fold(Self { depth: 1, weight: 1 }, |all, one| Self {
            depth: all.depth.max(one.depth + 1),
            weight: all.weight.saturating_add(one.weight),
        });
        if around.depth > MAX_DEPTH {
            return Err(Problem::Limit { what: "the depth of a value", limit: MAX_DEPTH });
        }
        if around.weight > MAX_WEIGHT {
            return Err(Problem::Limit { what: "the size of a value", limit: MAX_WEIGHT });
        }
        Ok(around)
    }
}

impl Value {
    /// A string.
    ///
    /// # Errors
    /// If it is too long.
    pub fn text(text: &str) -> Result<Self, Problem> {
        match text.len() < MAX_WEIGHT {
            true => Ok(Self::Text(text.into())),
            false => Err(Problem::Limit { what: "the length of a string", limit: MAX_WEIGHT }),
        }
    }

    /// A sequence as commands return it.
    ///
    /// # Errors
    /// If it is too large or too deep, as all that has parts.
    pub fn vector(parts: Vec<Self>) -> Result<Self, Problem> {
        Self::compound(Shape::Seq("Vector"), parts)
    }

    /// `(a, b)`
    ///
    /// # Errors
    /// As [`Value::vector`].
    pub fn tuple(parts: Vec<Self>) -> Result<Self, Problem> {
        Self::compound(Shape::Tuple, parts)
    }

    /// `Some(value)` or `None`.
    ///
    /// # Errors
    /// As [`Value::vector`].
    pub fn option(value: Option<Self>) -> Result<Self, Problem> {
        Self::compound(Shape::Option, value.into_iter().collect())
    }

    /// A record with named fields.
    ///
    /// # Errors
    /// As [`Value::vector`].
    pub fn record(name: &'static str, fields: Vec<(&'static str, Self)>) -> Result<Self, Problem> {
        let (names, parts): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
        Self::compound(Shape::Record(name, names.into()), parts)
    }

    pub(crate) fn compound(shape: Shape, parts: Vec<Self>) -> Result<Self, Problem> {
        let size = Size::of(parts.iter())?;
        Ok(Self::Compound(Rc::new(Compound { shape, parts, size })))
    }

    pub(crate) fn list(parts: Vec<Self>) -> Result<Self, Problem> {
        Self::compound(Shape::Seq("List"), parts)
    }

    pub(crate) fn function(lambda: Rc<Lambda>, locals: Vec<(String, Self)>) -> Result<Self, Problem> {
        let size = Size::of(locals.iter().map(|(_, value)| value))?;
        Ok(Self::Function(Rc::new(Function { lambda, locals, size })))
    }

    fn size(&self) -> Size {
        match self {
            Self::Compound(compound) => compound.size,
            Self::Function(function) => function.size,
            Self::Text(text) | Self::Id(_, text) | Self::Report(_, text) => Size { depth: 1, weight: 1 + text.len() },
            _ => Size { depth: 1, weight: 1 },
        }
    }

    pub(crate) fn weight(&self) -> usize {
        self.size().weight
    }

    /// `Some(parts)` of a sequence, set, map or option.
    #[must_use]
    pub fn items(&self) -> Option<&[Self]> {
        match self {
            Self::Compound(c) if matches!(c.shape, Shape::Seq(_) | Shape::Set | Shape::Map | Shape::Option) => {
                Some(&c.parts)
            }
            _ => None,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unit, Self::Unit) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Double(a), Self::Double(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Id(kind, a), Self::Id(other, b)) | (Self::Report(kind, a), Self::Report(other, b)) => {
                kind == other && a == b
            }
            (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::Reference(a), Self::Reference(b)) => a == b,
            (Self::Function(a), Self::Function(b)) => Rc::ptr_eq(a, b),
            (Self::Compound(a), Self::Compound(b)) => {
                // A list and a vector of the same parts are equal.
                let both = matches!((&a.shape, &b.shape), (Shape::Seq(_), Shape::Seq(_)));
                (both || a.shape == b.shape) && a.parts == b.parts
            }
            _ => false,
        }
    }
}
