//! Telling people about the configuration: what counts in the end, and which keys there are.

use crate::{
    keys::{Effect, Groups, Key, ROOT, Shape},
    tree::{Content, Tree, distance},
};
use hocon::{Kind, Value};

const MASK: &str = "****";

/// The keys that count, given or by default, with their values, as HOCON; secrets are masked.
pub(crate) fn render_all(tree: &Tree) -> String {
    let mut out = String::new();
    render(tree.path.last().map_or("canton", String::as_str), tree, 0, &mut out);
    out
}

fn render(name: &str, tree: &Tree, depth: usize, out: &mut String) {
    if is_empty(tree) {
        return;
    }
    let pad = "  ".repeat(depth);
    let name = hocon::show_path(&[name.to_owned()]);
    let note = if tree.is_idle { "  # no effect in this version" } else { "" };
    let mut line = |text: String| out.push_str(&format!("{pad}{text}\n"));
    match &tree.content {
        Content::Absent | Content::Wrong => {}
        Content::Text(text) => line(format!("{name} = {}{note}", quoted(text))),
        Content::Secret(_) => line(format!("{name} = {MASK:?}{note}")),
        Content::Other(value) => line(format!("{name} = {}{note}", other(&name, value))),
        Content::Block(fields) => {
            line(format!("{name} {{{note}"));
            fields.iter().for_each(|(name, field)| render(name, field, depth + 1, out));
            out.push_str(&format!("{pad}}}\n"));
        }
        Content::List(elements) => {
            line(format!("{name} = [{note}"));
            elements.iter().for_each(|element| render_element(element, depth + 1, out));
            out.push_str(&format!("{pad}]\n"));
        }
    }
}

fn render_element(element: &Tree, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    match &element.content {
        Content::Block(fields) => {
            out.push_str(&format!("{pad}{{\n"));
            fields.iter().for_each(|(name, field)| render(name, field, depth + 1, out));
            out.push_str(&format!("{pad}}}\n"));
        }
        Content::Text(text) => out.push_str(&format!("{pad}{}\n", quoted(text))),
        _ => {}
    }
}

/// Nothing worth a line.
fn is_empty(tree: &Tree) -> bool {
    !tree.counts
        || match &tree.content {
            Content::Absent | Content::Wrong => true,
            Content::Block(fields) => fields.values().all(is_empty),
            Content::List(elements) => elements.is_empty(),
            _ => false,
        }
}

/// Keys of other drivers may be secrets, too.
fn other(name: &str, value: &Value) -> String {
    let name = name.to_lowercase();
    if ["password", "secret", "token"].iter().any(|word| name.contains(word)) {
        return format!("{MASK:?}");
    }
    match &value.kind {
        Kind::Null => "null".into(),
        Kind::Text { text, .. } => quoted(text),
        Kind::Array(elements) => {
            format!("[{}]", elements.iter().map(|e| other("", e)).collect::<Vec<_>>().join(", "))
        }
        Kind::Object(fields) => {
            let field =
                |(k, v): (&String, &Value)| format!("{} = {}", hocon::show_path(std::slice::from_ref(k)), other(k, v));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Plain words stay as they are.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if plain { text.to_owned() } else { hocon::quote(text) }
}

/// What a key is: its type, default, meaning, and the keys inside.
///
/// # Errors
/// No such key; the text says which one is near.
pub fn explain(key: &str) -> Result<String, String> {
    let mut groups = ROOT;
    let mut path = vec!["canton".to_owned()];
    let mut found: Option<&Key> = None;
    let segments: Vec<&str> = key.split('.').filter(|s| !s.is_empty()).collect();
    let mut rest = segments.iter().skip(usize::from(matches!(segments.first(), Some(&("canton" | "concordat")))));
    while let Some(segment) = rest.next() {
        let keys = || groups.iter().copied().flatten();
        let Some(key) = keys().find(|key| key.name == *segment || key.alias == Some(segment)) else {
            let near = keys().min_by_key(|key| distance(segment, key.name)).map(|key| key.name);
            let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return Err(format!("there is no key {segment:?} below {}{near}", path.join(".")));
        };
        path.push(key.name.to_owned());
        if let Shape::Named(_) = key.shape
            && rest.next().is_some()
        {
            path.push("<name>".to_owned());
        }
        groups = key.inside();
        found = Some(key);
    }
    let mut out = path.join(".");
    if let Some(key) = found {
        out.push_str(&format!("\n  {}\n  type: {}", key.doc, key.type_name()));
        if !key.default.is_empty() {
            out.push_str(&format!("\n  default: {}", key.default));
        }
        if let Some(alias) = key.alias {
            out.push_str(&format!("\n  also written: {alias}"));
        }
        out.push_str(match key.effect {
            Effect::Works => "",
            Effect::Idle => "\n  understood, without effect in this version",
            Effect::Refused => "\n  not supported by this version: the daemon refuses it",
        });
    }
    let inside: Vec<String> = groups.iter().copied().flatten().map(|key| line(key.name, key)).collect();
    if !inside.is_empty() {
        out.push_str("\n\nkeys inside:\n  ");
        out.push_str(&inside.join("\n  "));
    }
    Ok(out)
}

fn line(name: &str, key: &Key) -> String {
    let default = if key.default.is_empty() { String::new() } else { format!(" = {}", key.default) };
    let effect = match key.effect {
        Effect::Works => "",
        Effect::Idle => " (no effect)",
        Effect::Refused => " (not supported)",
    };
    format!("{name}: {}{default}{effect} — {}", key.type_name(), key.doc)
}

/// Every key, one a line.
#[must_use]
pub fn schema() -> String {
    let mut out = String::new();
    lines("canton", ROOT, &mut out);
    out
}

fn lines(above: &str, groups: Groups, out: &mut String) {
    for key in groups.iter().copied().flatten() {
        let path = format!("{above}.{}", key.name);
        out.push_str(&line(&path, key));
        out.push('\n');
        let inside = match key.shape {
            Shape::Named(_) => format!("{path}.<name>"),
            Shape::List(_) => format!("{path}.<n>"),
            _ => path,
        };
        lines(&inside, key.inside(), out);
    }
}
