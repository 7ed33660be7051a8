//! Holding a resolved text against the key tree. What comes out has every key, given or by default.

use crate::{
    Secret,
    keys::{Effect, Groups, Key, ROOT, Shape},
    problem::{Code, Problems},
    scalar::{self, Scalar},
};
use hocon::{Kind, Origin, Value};
use std::collections::BTreeMap;

/// The value at a key.
pub(crate) struct Tree {
    /// Where it stands; for a default, where the block around it stands.
    pub(crate) origin: Origin,
    pub(crate) path: Vec<String>,
    pub(crate) content: Content,
    /// Whether it is worth showing: given, or a default that counts.
    pub(crate) counts: bool,
    /// Whether this version does nothing with it.
    pub(crate) is_idle: bool,
}

/// Keys and values of a block.
pub(crate) type Fields = BTreeMap<String, Tree>;

pub(crate) enum Content {
    /// Not given, and without a default.
    Absent,
    /// Given, wrong and reported.
    Wrong,
    Text(String),
    Secret(Secret),
    Block(Fields),
    List(Vec<Tree>),
    /// Beside the keys of an open block.
    Other(Value),
}

impl Tree {
    fn given(origin: &Origin, path: Vec<String>, content: Content) -> Self {
        Self { origin: origin.clone(), path, content, counts: true, is_idle: false }
    }

    /// The value at keys below, joined by dots.
    pub(crate) fn at(&self, keys: &str) -> Option<&Tree> {
        keys.split('.').try_fold(self, |tree, key| match &tree.content {
            Content::Block(fields) => fields.get(key),
            _ => None,
        })
    }

    /// A block that is there.
    pub(crate) fn block(&self, keys: &str) -> Option<&Tree> {
        self.at(keys).filter(|tree| matches!(tree.content, Content::Block(_)))
    }

    pub(crate) fn text(&self, keys: &str) -> Option<&str> {
        match &self.at(keys)?.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether nothing is given, right or wrong, although the block around it is there.
    pub(crate) fn lacks(&self, keys: &str) -> bool {
        self.at(keys).is_none_or(|tree| matches!(tree.content, Content::Absent))
    }

    /// `None` if it is absent, or wrong and reported.
    pub(crate) fn read<T: Scalar>(&self, keys: &str) -> Option<T> {
        self.text(keys).and_then(T::scan)
    }

    pub(crate) fn secret(&self, keys: &str) -> Option<Secret> {
        match &self.at(keys)?.content {
            Content::Secret(secret) => Some(secret.clone()),
            _ => None,
        }
    }

    /// Where a key stands, or would stand.
    pub(crate) fn place(&self, keys: &str) -> (Origin, Vec<String>) {
        let path = self.path.iter().cloned().chain(keys.split('.').map(str::to_owned)).collect();
        match self.at(keys) {
            Some(tree) => (tree.origin.clone(), tree.path.clone()),
            None => (self.origin.clone(), path),
        }
    }

    pub(crate) fn error(&self, keys: &str, code: Code, problems: &mut Problems, text: impl Into<String>) {
        let (origin, path) = self.place(keys);
        problems.error(code, &origin, &path, text);
    }

    /// The value of an absent key, where it depends on others; given ones stay. What counts in the end.
    pub(crate) fn or_set<T: Scalar>(&mut self, keys: &str, default: &str) -> Option<T> {
        if let Some(tree) = self.at_mut(keys)
            && matches!(tree.content, Content::Absent)
        {
            tree.content = Content::Text(default.to_owned());
        }
        self.read(keys)
    }

    fn at_mut(&mut self, keys: &str) -> Option<&mut Tree> {
        keys.split('.').try_fold(self, |tree, key| match &mut tree.content {
            Content::Block(fields) => fields.get_mut(key),
            _ => None,
        })
    }

    /// The blocks with names that the user chose.
    pub(crate) fn named(&mut self, key: &str) -> impl Iterator<Item = (&String, &mut Tree)> {
        let fields = match self.at_mut(key).map(|tree| &mut tree.content) {
            Some(Content::Block(fields)) => Some(fields),
            _ => None,
        };
        fields.into_iter().flatten()
    }
}

/// Reads the keys below `name`.
pub(crate) fn read(root: &Value, name: &str, problems: &mut Problems) -> Tree {
    let lenient = fails_on_unknown(root) == Some(false);
    let mut reader = Reader { problems, lenient, pattern: Vec::new(), remote: false, idle: false };
    let path = vec![name.to_owned()];
    let content = reader.block(Some(root), &root.origin, &path, ROOT, false);
    Tree::given(&root.origin, path, content)
}

fn fails_on_unknown(root: &Value) -> Option<bool> {
    match &field(field(root, "parameters")?, "fail-on-unknown-config-keys")?.kind {
        Kind::Text { text, .. } => bool::scan(text),
        _ => None,
    }
}

fn field<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match &value.kind {
        Kind::Object(fields) => fields.get(key),
        _ => None,
    }
}

struct Reader<'a> {
    problems: &'a mut Problems,
    /// Unknown keys are warnings.
    lenient: bool,
    /// The keys down to here, with `*` for names.
    pattern: Vec<&'static str>,
    /// Below `remote-*`.
    remote: bool,
    /// Below a key without effect.
    idle: bool,
}

impl Reader<'_> {
    fn wrong(&mut self, origin: &Origin, path: &[String], text: &str) -> Content {
        self.problems.error(Code::InvalidValue, origin, path, text);
        Content::Wrong
    }

    fn block(
        &mut self,
        value: Option<&Value>,
        origin: &Origin,
        path: &[String],
        groups: Groups,
        is_open: bool,
    ) -> Content {
        let none = BTreeMap::new();
        let given = match value.map(|value| &value.kind) {
            None => &none,
            Some(Kind::Object(fields)) => fields,
            Some(_) => return self.wrong(origin, path, "a block { … } is expected here"),
        };
        let mut fields = Fields::new();
        let mut known = Vec::new();
        for key in groups.iter().copied().flatten() {
            known.extend([Some(key.name), key.alias].into_iter().flatten());
            let main = given.get(key.name).filter(|v| v.kind != Kind::Null);
            let other = key.alias.and_then(|alias| given.get(alias)).filter(|v| v.kind != Kind::Null);
            if let (Some(_), Some(other), Some(alias)) = (main, other, key.alias) {
                let text = format!("{alias} is another spelling of {}; use one of them", key.name);
                self.problems.error(Code::TwoSpellings, &other.origin, &below(path, alias), text);
            }
            let written = if main.is_none() && other.is_some() { key.alias.unwrap_or(key.name) } else { key.name };
            let tree = self.key(key, main.or(other), origin, below(path, written));
            fields.insert(key.name.to_owned(), tree);
        }
        for (name, value) in given.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let path = below(path, name);
            if is_open {
                let content = Content::Other(value.clone());
                fields.insert(name.clone(), Tree::given(&value.origin, path, content));
            } else if self.lenient {
                self.problems.warn(Code::UnknownKey, &value.origin, &path, unknown(name, &known));
            } else {
                self.problems.error(Code::UnknownKey, &value.origin, &path, unknown(name, &known));
            }
        }
        Content::Block(fields)
    }

    fn key(&mut self, key: &Key, value: Option<&Value>, around: &Origin, path: Vec<String>) -> Tree {
        let origin = value.map_or(around, |value| &value.origin).clone();
        self.pattern.push(key.name);
        let (was_remote, was_idle) = (self.remote, self.idle);
        self.remote |= key.name.starts_with("remote-");
        if let Some(value) = value.filter(|value| !asks_for_nothing(key, value)) {
            match key.effect {
                Effect::Works => {}
                Effect::Refused if !self.remote => self.problems.unsupported(
                    &origin,
                    &path,
                    format!("{} is not supported by this version, and leaving it out would not be safe", key.name),
                ),
                Effect::Idle | Effect::Refused => self.problems.idle(&self.pattern, &value.origin, &path),
            }
        }
        self.idle |= key.effect == Effect::Idle;
        let content = self.content(key, value, &origin, &path);
        let counts = value.is_some() || !self.idle;
        (self.remote, self.idle) = (was_remote, was_idle);
        self.pattern.pop();
        Tree { origin, path, content, counts, is_idle: key.effect == Effect::Idle }
    }

    fn content(&mut self, key: &Key, value: Option<&Value>, origin: &Origin, path: &[String]) -> Content {
        match (&key.shape, value) {
            (Shape::Block(keys), value) => self.block(value, origin, path, keys, false),
            (Shape::Open(keys), value) => self.block(value, origin, path, keys, true),
            (Shape::Optional(keys), Some(value)) => self.block(Some(value), origin, path, keys, false),
            (Shape::Named(keys), value) => self.named(value, origin, path, keys),
            (Shape::List(_) | Shape::Texts, None) => Content::List(Vec::new()),
            (Shape::List(_) | Shape::Texts, Some(value)) => self.list(key, value, path),
            (Shape::Secret, Some(Value { kind: Kind::Text { text, .. }, .. })) => {
                Content::Secret(Secret::new(text.clone()))
            }
            (shape, Some(Value { kind: Kind::Text { text, .. }, .. })) => match scalar::check(shape, text) {
                Ok(text) => Content::Text(text),
                Err(expected) => self.wrong(origin, path, &format!("{text:?}: {expected}")),
            },
            (_, Some(_)) => self.wrong(origin, path, &format!("a {} is expected here", key.type_name())),
            (_, None) if key.default.is_empty() => Content::Absent,
            (_, None) => Content::Text(key.default.to_owned()),
        }
    }

    fn named(&mut self, value: Option<&Value>, origin: &Origin, path: &[String], keys: Groups) -> Content {
        let mut fields = Fields::new();
        self.pattern.push("*");
        match value.map(|value| &value.kind) {
            None => {}
            Some(Kind::Object(given)) => {
                for (name, value) in given {
                    let path = below(path, name);
                    let content = self.block(Some(value), &value.origin, &path, keys, false);
                    fields.insert(name.clone(), Tree::given(&value.origin, path, content));
                }
            }
            Some(_) => drop(self.wrong(origin, path, "names with blocks are expected here: name { … }")),
        }
        self.pattern.pop();
        Content::Block(fields)
    }

    fn list(&mut self, key: &Key, value: &Value, path: &[String]) -> Content {
        let Kind::Array(elements) = &value.kind else {
            return self.wrong(&value.origin, path, "a list [ … ] is expected here");
        };
        let mut read = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            let path = below(path, &index.to_string());
            let content = match (&key.shape, &element.kind) {
                (Shape::List(keys), _) => self.block(Some(element), &element.origin, &path, keys, false),
                (_, Kind::Text { text, .. }) => Content::Text(text.clone()),
                _ => self.wrong(&element.origin, &path, "a text is expected here"),
            };
            read.push(Tree::given(&element.origin, path, content));
        }
        Content::List(read)
    }
}

fn below(path: &[String], key: &str) -> Vec<String> {
    path.iter().cloned().chain([key.to_owned()]).collect()
}

/// Whether what is written is the same as leaving it out: a block that is switched off, an empty list, everybody.
fn asks_for_nothing(key: &Key, value: &Value) -> bool {
    let says = |value: &Value, key: &str, test: fn(&str) -> bool| matches!(field(value, key).map(|v| &v.kind), Some(Kind::Text { text, .. }) if test(text));
    match &value.kind {
        Kind::Array(elements) => elements.iter().all(|e| says(e, "type", |t| t.eq_ignore_ascii_case("wildcard"))),
        Kind::Text { text, .. } => key.effect == Effect::Refused && bool::scan(text) == Some(false),
        Kind::Object(_) => says(value, "enabled", |text| bool::scan(text) == Some(false)),
        _ => false,
    }
}

fn unknown(key: &str, known: &[&str]) -> String {
    let near = known.iter().map(|known| (distance(key, known), known)).min();
    match near {
        Some((d, known)) if d <= 1 + key.len() / 4 => format!("unknown key; did you mean {known}?"),
        _ if known.is_empty() => "unknown key; none is expected here".to_owned(),
        _ => format!("unknown key; known here are {}", known.join(", ")),
    }
}

/// Edits that lead from one word to the other (Levenshtein).
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
