//! The key tree as data: what may stand where, of which type, with which default, and what it is for. Reading, `show`,
//! `explain` and `schema` all follow it. The keys and defaults are the field's (spec/surface.md §1.2).
//!
//! `api.rs` servers and the clients of servers · `storage.rs` databases and replication · `node.rs` the kinds of nodes ·
//! `client.rs` how members use a synchronizer · `process.rs` what is said once for the process.

mod api;
mod client;
mod node;
mod process;
mod storage;

/// One key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// Another spelling that means the same.
    pub(crate) alias: Option<&'static str>,
    pub(crate) shape: Shape,
    /// As it would be written; empty if there is none, or if it depends on other keys.
    pub(crate) default: &'static str,
    pub(crate) effect: Effect,
    /// What it is for, with the default where that depends on other keys.
    pub(crate) doc: &'static str,
}

/// Keys that stand beside each other.
pub(crate) type Groups = &'static [&'static [Key]];

/// What may stand at a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Any text.
    Text,
    /// A text that is never shown.
    Secret,
    /// A file that is there.
    File,
    /// 0 to 65535.
    Port,
    /// A whole number in a range.
    Number(i64, i64),
    /// A number that is not negative and may have decimals.
    Decimal,
    /// true or false.
    Flag,
    /// A number and a unit.
    Time,
    /// A duration or `Inf`.
    TimeOrInf,
    /// One of these, in any case.
    Choice(&'static [&'static str]),
    /// Texts in brackets.
    Texts,
    /// Always there, with the defaults of its keys.
    Block(Groups),
    /// There only where it is written.
    Optional(Groups),
    /// A block that may have other keys, too; they are kept.
    Open(Groups),
    /// Blocks with names that the user chooses.
    Named(Groups),
    /// Blocks in brackets.
    List(Groups),
}

/// What a key does in this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// What it says.
    Works,
    /// Nothing, which does no harm.
    Idle,
    /// It is not supported, and running without it would not be what was asked for.
    Refused,
}

/// The keys below `canton`.
pub(crate) const ROOT: Groups = &[node::NODES, node::REMOTES, process::PROCESS];

const fn key(name: &'static str, shape: Shape, default: &'static str, doc: &'static str) -> Key {
    Key { name, alias: None, shape, default, effect: Effect::Works, doc }
}

const fn text(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    key(name, Shape::Text, default, doc)
}

const fn secret(name: &'static str, doc: &'static str) -> Key {
    key(name, Shape::Secret, "", doc)
}

const fn file(name: &'static str, doc: &'static str) -> Key {
    key(name, Shape::File, "", doc)
}

const fn port(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    key(name, Shape::Port, default, doc)
}

const fn number(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    key(name, Shape::Number(0, i64::MAX), default, doc)
}

const fn decimal(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    key(name, Shape::Decimal, default, doc)
}

const fn flag(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    key(name, Shape::Flag, default, doc)
}

const fn time(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    key(name, Shape::Time, default, doc)
}

const fn time_or_inf(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    key(name, Shape::TimeOrInf, default, doc)
}

const fn choice(name: &'static str, of: &'static [&'static str], default: &'static str, doc: &'static str) -> Key {
    key(name, Shape::Choice(of), default, doc)
}

const fn texts(name: &'static str, doc: &'static str) -> Key {
    key(name, Shape::Texts, "", doc)
}

const fn block(name: &'static str, keys: Groups, doc: &'static str) -> Key {
    key(name, Shape::Block(keys), "", doc)
}

const fn optional(name: &'static str, keys: Groups, doc: &'static str) -> Key {
    key(name, Shape::Optional(keys), "", doc)
}

const fn open(name: &'static str, keys: Groups, doc: &'static str) -> Key {
    key(name, Shape::Open(keys), "", doc)
}

const fn named(name: &'static str, keys: Groups, doc: &'static str) -> Key {
    key(name, Shape::Named(keys), "", doc)
}

const fn list(name: &'static str, keys: Groups, doc: &'static str) -> Key {
    key(name, Shape::List(keys), "", doc)
}

impl Key {
    const fn or(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    const fn idle(self) -> Self {
        Self { effect: Effect::Idle, ..self }
    }

    const fn refused(self) -> Self {
        Self { effect: Effect::Refused, ..self }
    }

    /// The type in words.
    pub(crate) fn type_name(&self) -> String {
        match self.shape {
            Shape::Text => "text".into(),
            Shape::Secret => "secret text".into(),
            Shape::File => "file".into(),
            Shape::Port => "port".into(),
            Shape::Number(0, i64::MAX) => "whole number".into(),
            Shape::Number(low, high) => format!("whole number {low} to {high}"),
            Shape::Decimal => "number".into(),
            Shape::Flag => "true or false".into(),
            Shape::Time => "duration".into(),
            Shape::TimeOrInf => "duration or Inf".into(),
            Shape::Choice(of) => of.join(" | "),
            Shape::Texts => "list of texts".into(),
            Shape::Block(_) | Shape::Open(_) => "block".into(),
            Shape::Optional(_) => "optional block".into(),
            Shape::Named(_) => "blocks by name".into(),
            Shape::List(_) => "list of blocks".into(),
        }
    }

    /// The keys inside.
    pub(crate) const fn inside(&self) -> Groups {
        match self.shape {
            Shape::Block(keys) | Shape::Optional(keys) | Shape::Open(keys) | Shape::Named(keys) | Shape::List(keys) => {
                keys
            }
            _ => &[],
        }
    }
}
