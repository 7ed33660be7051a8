//! How values and their types are printed: as the field's console does.

use crate::value::{Shape, Show, Value};
use std::fmt::Write as _;

const WIDTH: usize = 100;
/// What is shown of a fingerprint.
const SHORT: usize = 12;

impl Value {
    /// The name of its type.
    #[must_use]
    pub fn type_name(&self) -> String {
        let of = |parts: &[Self]| {
            let mut names = parts.iter().map(Self::type_name);
            let first = names.next().unwrap_or_else(|| "Nothing".into());
            if names.all(|name| name == first) { first } else { "Any".into() }
        };
        match self {
            Self::Unit => "Unit".into(),
            Self::Bool(_) => "Boolean".into(),
            Self::Int(_) => "Int".into(),
            Self::Double(_) => "Double".into(),
            Self::Text(_) => "String".into(),
            Self::Duration(_) => "Duration".into(),
            Self::Reference(reference) => reference.kind.into(),
            Self::Id(kind, _) | Self::Report(kind, _) => (*kind).into(),
            Self::Data(data) => data.kind.into(),
            Self::Function(_) => "Function".into(),
            Self::Compound(c) => match &c.shape {
                Shape::Seq(_) => format!("Seq[{}]", of(&c.parts)),
                Shape::Set => format!("Set[{}]", of(&c.parts)),
                Shape::Map => {
                    let (mut keys, mut values) = (Vec::new(), Vec::new());
                    for (key, value) in c.parts.iter().filter_map(Self::pair) {
                        keys.push(key.clone());
                        values.push(value.clone());
                    }
                    format!("Map[{}, {}]", of(&keys), of(&values))
                }
                Shape::Option => format!("Option[{}]", of(&c.parts)),
                Shape::Tuple => format!("({})", c.parts.iter().map(Self::type_name).collect::<Vec<_>>().join(", ")),
                Shape::Record(name, _) => (*name).into(),
            },
        }
    }

    /// As `toString` writes it: strings without quotes, identifiers in full.
    #[must_use]
    pub fn plain(&self) -> String {
        match self {
            Self::Text(text) | Self::Id(_, text) | Self::Report(_, text) => text.to_string(),
            Self::Compound(c) if matches!(c.shape, Shape::Record("Port", _)) => {
                c.parts.iter().map(Self::plain).collect()
            }
            Self::Compound(_) => {
                if let Some(arrow) = self.arrow(&Self::plain) {
                    return arrow;
                }
                let Some((name, parts)) = self.opened(&Self::plain) else { return String::new() };
                if parts.is_empty() && name == "None" { name } else { format!("{name}({})", parts.join(", ")) }
            }
            other => other.shown(0),
        }
    }

    /// As results are shown: on one line if it is short enough.
    #[must_use]
    pub fn pretty(&self) -> String {
        self.shown(0)
    }

    fn opened(&self, inner: &dyn Fn(&Self) -> String) -> Option<(String, Vec<String>)> {
        let Self::Compound(c) = self else { return None };
        let name = match &c.shape {
            Shape::Seq(name) => *name,
            Shape::Set => "Set",
            Shape::Map => "Map",
            Shape::Option if c.parts.is_empty() => "None",
            Shape::Option => "Some",
            Shape::Tuple => "",
            Shape::Record(name, _) => name,
        };
        let part = |(n, part): (usize, &Self)| match (&c.shape, part.pair()) {
            (Shape::Map, Some((key, value))) => Some(format!("{} -> {}", inner(key), inner(value))),
            (Shape::Option, _) => Some(format!("value = {}", inner(part))),
            (Shape::Record(_, names), _) => field(names[n], part, inner),
            _ => Some(inner(part)),
        };
        Some((name.into(), c.parts.iter().enumerate().filter_map(part).collect()))
    }

    /// `Sequencer 'DefaultSequencer' -> …`
    fn arrow(&self, inner: &dyn Fn(&Self) -> String) -> Option<String> {
        let Self::Compound(c) = self else { return None };
        match &c.shape {
            Shape::Record(_, names) => match names.first() {
                Some((_, Show::Arrow(label))) => Some(format!("{label} -> {}", inner(c.parts.first()?))),
                _ => None,
            },
            _ => None,
        }
    }

    fn shown(&self, indent: usize) -> String {
        match self {
            Self::Unit => "()".into(),
            Self::Bool(bool) => bool.to_string(),
            Self::Int(int) => int.to_string(),
            Self::Double(double) => format!("{double:?}"),
            Self::Text(text) => quoted(text),
            Self::Duration(duration) => match duration.subsec_millis() {
                0 => format!("{} seconds", duration.as_secs()),
                _ => format!("{} milliseconds", duration.as_millis()),
            },
            Self::Reference(reference) => reference.label.clone(),
            Self::Id(_, text) => shortened(text),
            Self::Report(_, text) => text.to_string(),
            Self::Data(data) => data.shown.clone(),
            Self::Function(_) => "<function>".into(),
            Self::Compound(_) => {
                if let Some(arrow) = self.arrow(&|part| part.shown(indent)) {
                    return arrow;
                }
                let Some((name, parts)) = self.opened(&|part| part.shown(indent + 2)) else { return String::new() };
                if parts.is_empty() && name == "None" {
                    return name;
                }
                let length = name.len() + parts.iter().map(|part| part.len() + 2).sum::<usize>();
                if indent + length <= WIDTH && !parts.iter().any(|part| part.contains('\n')) {
                    return format!("{name}({})", parts.join(", "));
                }
                let space = " ".repeat(indent);
                format!("{name}(\n{space}  {}\n{space})", parts.join(&format!(",\n{space}  ")))
            }
        }
    }
}

/// A field of a record; `None` if it is not shown.
fn field((name, show): (&str, Show), value: &Value, inner: &dyn Fn(&Value) -> String) -> Option<String> {
    let named = |value: &Value| format!("{name} = {}", inner(value));
    match (show, value.items()) {
        (Show::IfSome, Some(items)) => items.first().map(named),
        (Show::Flag, Some(items)) => items.first().map(|_| name.to_owned()),
        (Show::IfNotZero, _) if *value == Value::Int(0) => None,
        (Show::Few, Some([one])) => Some(named(one)),
        (Show::Few, Some(items)) => {
            Some(format!("{name} = Seq({})", items.iter().map(inner).collect::<Vec<_>>().join(", ")))
        }
        (Show::Bare | Show::Arrow(_), _) => Some(inner(value)),
        _ => Some(named(value)),
    }
}

/// `name::1220aabbccdd...`
fn shortened(text: &str) -> String {
    let start = text.rfind("::").map_or(0, |at| at + 2);
    match text.get(start..start + SHORT) {
        Some(short) if text.len() > start + SHORT => format!("{}{short}...", &text[..start]),
        _ => text.into(),
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => drop(write!(quoted, "\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
