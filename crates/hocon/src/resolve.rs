//! Substitutions to values.

use crate::{
    Error, Kind, Origin, Value, show_path,
    tree::{Node, Substitution, Unresolved, merge},
};
use std::collections::BTreeMap;

/// Values that one resolution may make: a bound on files that double themselves line by line.
const MAX_VALUES: usize = 200_000;
/// Substitutions leading to substitutions.
const MAX_HOPS: usize = 100;

/// Resolves everything in `root`. What the files do not define is looked up in `environment`.
pub fn resolve(root: &Unresolved, environment: &dyn Fn(&str) -> Option<String>) -> Result<Value, Error> {
    let mut resolver = Resolver { root, environment, frames: Vec::new(), hops: 0, values: 0 };
    let value = resolver.value(root, &mut Vec::new())?;
    Ok(value.unwrap_or_else(|| Value { origin: root.origin.clone(), kind: Kind::Object(BTreeMap::new()) }))
}

struct Resolver<'a> {
    root: &'a Unresolved,
    environment: &'a dyn Fn(&str) -> Option<String>,
    /// Keys whose later definitions are being resolved, with the earlier ones: what a self-reference sees.
    frames: Vec<(Vec<String>, Option<Unresolved>)>,
    hops: usize,
    values: usize,
}

impl Resolver<'_> {
    /// The value of `node`, which stands at `path`. `None` if it vanishes: an optional substitution without a target.
    fn value(&mut self, node: &Unresolved, path: &mut Vec<String>) -> Result<Option<Value>, Error> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(Error::new(&node.origin, format!("the configuration grows beyond {MAX_VALUES} values")));
        }
        let kind = match &node.node {
            Node::Null => Kind::Null,
            Node::Text { text, quoted } => Kind::Text { text: text.clone(), quoted: *quoted },
            Node::Array(elements) => {
                let mut values = Vec::new();
                for element in elements {
                    path.push("[]".into());
                    values.extend(self.value(element, path)?);
                    path.pop();
                }
                Kind::Array(values)
            }
            Node::Object(fields) => {
                let mut values = BTreeMap::new();
                for (key, field) in fields {
                    path.push(key.clone());
                    if let Some(value) = self.value(field, path)? {
                        values.insert(key.clone(), value);
                    }
                    path.pop();
                }
                Kind::Object(values)
            }
            // Alone at its key: seeing itself means seeing nothing.
            Node::Substitution(s) => return self.framed(path, None, |r, path| r.substitute(s, &node.origin, path)),
            Node::Concat(pieces) => return self.framed(path, None, |r, path| r.concat(pieces, &node.origin, path)),
            Node::Definitions(definitions) => return self.definitions(definitions, path),
        };
        Ok(Some(Value { origin: node.origin.clone(), kind }))
    }

    fn framed<T>(
        &mut self,
        path: &mut Vec<String>,
        earlier: Option<Unresolved>,
        run: impl FnOnce(&mut Self, &mut Vec<String>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // A frame that `definitions` made for this very key knows what came before.
        let own = self.frames.last().is_none_or(|(p, _)| p != path);
        if own {
            self.frames.push((path.clone(), earlier));
        }
        let result = run(self, path);
        if own {
            self.frames.pop();
        }
        result
    }

    fn definitions(&mut self, definitions: &[Unresolved], path: &mut Vec<String>) -> Result<Option<Value>, Error> {
        let mut result: Option<Value> = None;
        for (index, definition) in definitions.iter().enumerate() {
            let earlier = (index > 0).then(|| Unresolved {
                node: Node::Definitions(definitions[..index].to_vec()),
                origin: definition.origin.clone(),
            });
            self.frames.push((path.clone(), earlier));
            let value = self.value(definition, path);
            self.frames.pop();
            result = match (result, value?) {
                (before, None) => before,
                (None, after) => after,
                (Some(before), Some(after)) => Some(overlay(before, after)),
            };
        }
        Ok(result)
    }

    fn concat(
        &mut self,
        pieces: &[Unresolved],
        origin: &Origin,
        path: &mut Vec<String>,
    ) -> Result<Option<Value>, Error> {
        let mut values = Vec::new();
        for piece in pieces {
            values.extend(self.value(piece, path)?);
        }
        let is_space = |v: &Value| matches!(&v.kind, Kind::Text { text, quoted: false } if text.trim().is_empty());
        let any = |test: fn(&Kind) -> bool| values.iter().any(|v| test(&v.kind));
        let kind = if any(|k| matches!(k, Kind::Object(_))) {
            let mut merged: Option<Value> = None;
            for value in values.into_iter().filter(|v| !is_space(v)) {
                if !matches!(value.kind, Kind::Object(_)) {
                    return Err(Error::new(origin, "an object and something else stand side by side in one value"));
                }
                merged = Some(match merged {
                    Some(before) => overlay(before, value),
                    None => value,
                });
            }
            return Ok(merged);
        } else if any(|k| matches!(k, Kind::Array(_))) {
            let mut all = Vec::new();
            for value in values.into_iter().filter(|v| !is_space(v)) {
                match value.kind {
                    Kind::Array(elements) => all.extend(elements),
                    _ => return Err(Error::new(origin, "an array and something else stand side by side in one value")),
                }
            }
            Kind::Array(all)
        } else {
            if values.iter().all(is_space) {
                return Ok(None);
            }
            let pieces = values.iter().map(|value| match &value.kind {
                Kind::Text { text, .. } => text.as_str(),
                _ => "null",
            });
            Kind::Text { text: pieces.collect(), quoted: true }
        };
        Ok(Some(Value { origin: origin.clone(), kind }))
    }

    fn substitute(&mut self, s: &Substitution, origin: &Origin, path: &[String]) -> Result<Option<Value>, Error> {
        for target in &s.paths {
            if let Some(value) = self.look_up(target, origin, path)? {
                return Ok(Some(value));
            }
        }
        let name = s.paths.last().map(|p| p.join(".")).unwrap_or_default();
        if let Some(text) = (self.environment)(&name) {
            return Ok(Some(Value { origin: origin.clone(), kind: Kind::Text { text, quoted: true } }));
        }
        if s.optional {
            return Ok(None);
        }
        let shown = s.paths.last().map(|p| show_path(p)).unwrap_or_default();
        Err(Error::new(
            origin,
            format!(
                "${{{shown}}} is neither a key of the configuration nor an environment variable; define it, or write ${{?{shown}}}"
            ),
        )
        .at(path))
    }

    fn look_up(&mut self, target: &[String], origin: &Origin, path: &[String]) -> Result<Option<Value>, Error> {
        self.hops += 1;
        let result = if self.hops > MAX_HOPS {
            Err(Error::new(origin, format!("substitutions go round in a circle at {}", show_path(path))))
        } else {
            self.find_and_resolve(target)
        };
        self.hops -= 1;
        result
    }

    fn find_and_resolve(&mut self, target: &[String]) -> Result<Option<Value>, Error> {
        // The innermost key under resolution that contains the target: a reference to itself sees what came before.
        if let Some(at) = self.frames.iter().rposition(|(p, _)| target.starts_with(p) && !p.is_empty()) {
            let (frame_path, earlier) = self.frames[at].clone();
            let Some(earlier) = earlier else { return Ok(None) };
            let below = self.frames.split_off(at);
            let found = self.descend(&earlier, &target[frame_path.len()..], frame_path)?;
            let value = match found {
                Some(node) => self.value(&node, &mut target.to_vec()),
                None => Ok(None),
            };
            self.frames.extend(below);
            return value;
        }
        match self.descend(self.root, target, Vec::new())? {
            Some(node) => self.value(&node, &mut target.to_vec()),
            None => Ok(None),
        }
    }

    /// The node at `target` below `from`, which stands at `at`. Substitutions on the way are followed, the last is not.
    fn descend(
        &mut self,
        from: &Unresolved,
        target: &[String],
        mut at: Vec<String>,
    ) -> Result<Option<Unresolved>, Error> {
        let mut found: Option<Unresolved> = None;
        for segment in target {
            found = self.child(found.as_ref().unwrap_or(from), segment, &at)?;
            if found.is_none() {
                return Ok(None);
            }
            at.push(segment.clone());
        }
        Ok(found.or_else(|| Some(from.clone())))
    }

    fn child(&mut self, node: &Unresolved, key: &str, at: &[String]) -> Result<Option<Unresolved>, Error> {
        match &node.node {
            Node::Object(fields) => Ok(fields.get(key).cloned()),
            Node::Null | Node::Text { .. } | Node::Array(_) => Ok(None),
            Node::Substitution(s) => {
                self.hops += 1;
                if self.hops > MAX_HOPS {
                    let problem = format!("substitutions go round in a circle at {}", show_path(at));
                    return Err(Error::new(&node.origin, problem));
                }
                let mut found = None;
                for target in &s.paths {
                    // Its own key again: nothing to be found there.
                    if at.starts_with(target) && at.len() == target.len() {
                        continue;
                    }
                    if let Some(target_node) = self.descend(self.root, target, Vec::new())? {
                        found = self.child(&target_node, key, target)?;
                        break;
                    }
                }
                self.hops -= 1;
                Ok(found)
            }
            Node::Concat(list) | Node::Definitions(list) => {
                let mut found: Option<Unresolved> = None;
                for part in list {
                    let replaces = matches!(part.node, Node::Null | Node::Text { .. } | Node::Array(_))
                        && matches!(node.node, Node::Definitions(_));
                    found = match (found, self.child(part, key, at)?) {
                        (_, None) if replaces => None,
                        (before, None) => before,
                        (None, after) => after,
                        (Some(before), Some(after)) => Some(merge(before, after)),
                    };
                }
                Ok(found)
            }
        }
    }
}

/// Puts `after` over `before`: objects merge deeply, anything else replaces.
#[must_use]
pub fn overlay(before: Value, after: Value) -> Value {
    match (before.kind, after.kind) {
        (Kind::Object(mut fields), Kind::Object(overrides)) => {
            for (key, value) in overrides {
                let merged = match fields.remove(&key) {
                    Some(earlier) => overlay(earlier, value),
                    None => value,
                };
                fields.insert(key, merged);
            }
            Value { origin: after.origin, kind: Kind::Object(fields) }
        }
        (_, kind) => Value { origin: after.origin, kind },
    }
}
