//! Values. Each knows its depth and weight, which are bounded: printing, comparing and dropping it is safe.

use crate::{
    error::{Problem, nearest},
    eval::Argument,
    syntax::Lambda,
};
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
    /// Bytes that mean something to the host.
    Data(Rc<Data>),
    /// What has parts.
    Compound(Rc<Compound>),
    /// A function.
    Function(Rc<Function>),
}

/// Bytes of a type: they can be written to a file and read again.
#[derive(Debug, PartialEq, Eq)]
pub struct Data {
    /// Its type.
    pub kind: &'static str,
    /// As it is printed.
    pub shown: String,
    /// What it is.
    pub bytes: Vec<u8>,
}

/// How a field of a record is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// `name = value`
    Always,
    /// An option: `name = x` for `Some(x)`, nothing for `None`.
    IfSome,
    /// An option: `name` for `Some(x)`, nothing for `None`.
    Flag,
    /// A number: nothing for 0.
    IfNotZero,
    /// A sequence: the part, if there is one, else `Seq(a, b)`.
    Few,
    /// The value without a name.
    Bare,
    /// The only field of a record that is printed as `this -> value`.
    Arrow(&'static str),
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
    Record(&'static str, Rc<[(&'static str, Show)]>),
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
        Self::record_shown(name, fields.into_iter().map(|(name, value)| (name, Show::Always, value)).collect())
    }

    /// The same, printed in another way.
    ///
    /// # Errors
    /// As [`Value::vector`].
    pub fn record_shown(name: &'static str, fields: Vec<(&'static str, Show, Self)>) -> Result<Self, Problem> {
        let (names, parts): (Vec<_>, Vec<_>) =
            fields.into_iter().map(|(name, show, value)| ((name, show), value)).unzip();
        Self::compound(Shape::Record(name, names.into()), parts)
    }

    /// `key -> value` pairs.
    ///
    /// # Errors
    /// As [`Value::vector`].
    pub fn map(pairs: Vec<(Self, Self)>) -> Result<Self, Problem> {
        let pairs = pairs.into_iter().map(|(key, value)| Self::tuple(vec![key, value]));
        Self::compound(Shape::Map, pairs.collect::<Result<_, _>>()?)
    }

    /// A set, of parts that differ.
    ///
    /// # Errors
    /// As [`Value::vector`].
    pub fn set(parts: Vec<Self>) -> Result<Self, Problem> {
        Self::compound(Shape::Set, parts)
    }

    /// A field of a record.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        let Self::Compound(c) = self else { return None };
        let Shape::Record(_, names) = &c.shape else { return None };
        c.parts.get(names.iter().position(|(field, _)| *field == name)?)
    }

    /// The name of a record.
    #[must_use]
    pub fn record_name(&self) -> Option<&'static str> {
        match self {
            Self::Compound(c) => match c.shape {
                Shape::Record(name, _) => Some(name),
                _ => None,
            },
            _ => None,
        }
    }

    /// Key and value of a pair, such as those of a map.
    #[must_use]
    pub fn pair(&self) -> Option<(&Self, &Self)> {
        match self {
            Self::Compound(c) if c.shape == Shape::Tuple && c.parts.len() == 2 => Some((&c.parts[0], &c.parts[1])),
            _ => None,
        }
    }

    /// `record.copy(field = value)`
    pub(crate) fn copy(&self, changes: &[Argument]) -> Result<Self, Problem> {
        let Self::Compound(c) = self else { return Err(Problem::Unsupported("copy of this".into())) };
        let Shape::Record(_, names) = &c.shape else { return Err(Problem::Unsupported("copy of this".into())) };
        let mut parts = c.parts.clone();
        for (place, change) in changes.iter().enumerate() {
            let at = match &change.name {
                Some(name) => names.iter().position(|(field, _)| field == name),
                None => Some(place).filter(|place| *place < names.len()),
            };
            let unknown = || Problem::UnknownMember {
                name: change.name.clone().unwrap_or_default(),
                of: self.type_name(),
                nearest: nearest(change.name.as_deref().unwrap_or(""), names.iter().map(|(field, _)| *field)),
            };
            parts[at.ok_or_else(unknown)?] = change.value.clone();
        }
        Self::compound(c.shape.clone(), parts)
    }

    pub(crate) fn compound(shape: Shape, parts: Vec<Self>) -> Result<Self, Problem> {
        let size = Size::of(parts.iter())?;
        Ok(Self::Compound(Rc::new(Compound { shape, parts, size })))
    }

    /// A sequence as the language makes it.
    ///
    /// # Errors
    /// As [`Value::vector`].
    pub fn list(parts: Vec<Self>) -> Result<Self, Problem> {
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
            Self::Data(data) => Size { depth: 1, weight: 1 + data.shown.len() + data.bytes.len() },
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
            (Self::Data(a), Self::Data(b)) => a == b,
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
