//! Text to [`Unresolved`].

use crate::{
    Error, Origin,
    tree::{Node, Substitution, Unresolved, merge},
};
use std::{collections::BTreeMap, sync::Arc};

/// Nesting of objects and arrays, includes counted in.
const MAX_DEPTH: usize = 100;
/// Files including files.
const MAX_INCLUDES: usize = 32;

/// How an include names its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IncludeKind {
    /// `include "x"`: relative to the including file.
    Heuristic,
    /// `include file("x")`.
    File,
    /// `include url("x")`.
    Url,
    /// `include classpath("x")`.
    Classpath,
}

/// A file that is to be included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Include {
    /// As written.
    pub name: String,
    /// How it is named.
    pub kind: IncludeKind,
    /// Whether its absence is an error.
    pub required: bool,
    /// The file that includes it.
    pub from: Arc<str>,
}

/// Fetches included files: their name (for positions, and for their own includes) and text. `None` if there is no such
/// file; an error's text says why it cannot be read.
pub trait Loader {
    /// Called for every include.
    fn load(&mut self, include: &Include) -> Result<Option<(Arc<str>, String)>, String>;
}

/// Refuses every include.
pub struct NoIncludes;

impl Loader for NoIncludes {
    fn load(&mut self, _: &Include) -> Result<Option<(Arc<str>, String)>, String> {
        Err("includes are not allowed here".into())
    }
}

/// Parses one file. `name` stands in positions.
pub fn parse(name: &str, text: &str, loader: &mut dyn Loader) -> Result<Unresolved, Error> {
    parse_file(name.into(), text, loader, &[], 0)
}

fn parse_file(
    file: Arc<str>,
    text: &str,
    loader: &mut dyn Loader,
    below: &[String],
    includes: usize,
) -> Result<Unresolved, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser =
        Parser { chars: text.chars().collect(), at: 0, line: 1, file, loader, below: below.to_vec(), includes };
    let origin = parser.origin();
    parser.skip_blank();
    let mut path = Vec::new();
    let root = if parser.peek() == Some('{') {
        parser.at += 1;
        let fields = parser.fields(&mut path, true)?;
        parser.skip_blank();
        fields
    } else {
        parser.fields(&mut path, false)?
    };
    match parser.peek() {
        None => Ok(Unresolved { node: Node::Object(root), origin }),
        Some(c) => Err(parser.error(format!("{c:?} is unexpected here; is there a closing brace too many?"))),
    }
}

struct Parser<'a> {
    chars: Vec<char>,
    at: usize,
    line: u32,
    file: Arc<str>,
    loader: &'a mut dyn Loader,
    /// The key under which this file is included.
    below: Vec<String>,
    includes: usize,
}

type Fields = BTreeMap<String, Unresolved>;

impl Parser<'_> {
    fn origin(&self) -> Origin {
        Origin { file: self.file.clone(), line: self.line }
    }

    fn error(&self, problem: impl Into<String>) -> Error {
        Error::new(&self.origin(), problem)
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn looking_at(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.chars.get(self.at + i) == Some(&c))
    }

    fn take_if(&mut self, text: &str) -> bool {
        let found = self.looking_at(text);
        if found {
            self.at += text.chars().count();
        }
        found
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn at_comment(&self) -> bool {
        self.looking_at("#") || self.looking_at("//")
    }

    /// Spaces that do not end a line.
    fn skip_spaces(&mut self) -> String {
        let from = self.at;
        while self.peek().is_some_and(|c| c != '\n' && (c.is_whitespace() || c == '\u{feff}')) {
            self.at += 1;
        }
        self.chars[from..self.at].iter().collect()
    }

    /// Spaces, line ends and comments.
    fn skip_blank(&mut self) {
        loop {
            if self.at_comment() {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.at += 1;
                }
            } else if self.peek().is_some_and(|c| c.is_whitespace() || c == '\u{feff}') {
                self.next();
            } else {
                return;
            }
        }
    }

    /// After a value: a comma or a line end, then whatever is blank. Whether there was one.
    fn skip_separator(&mut self) -> Result<bool, Error> {
        let line = self.line;
        self.skip_blank();
        let comma = self.take_if(",");
        self.skip_blank();
        if comma && self.looking_at(",") {
            return Err(self.error("two commas in a row"));
        }
        Ok(comma || self.line > line || self.peek().is_none())
    }

    /// The fields of an object, up to its closing brace or the end of the file.
    fn fields(&mut self, path: &mut Vec<String>, braced: bool) -> Result<Fields, Error> {
        let opened = self.origin();
        if path.len() + self.below.len() > MAX_DEPTH {
            return Err(self.error(format!("objects nest deeper than {MAX_DEPTH}")));
        }
        let mut fields = Fields::new();
        self.skip_blank();
        if self.looking_at(",") {
            return Err(self.error("a comma without a field before it"));
        }
        loop {
            match self.peek() {
                None if braced => return Err(Error::new(&opened, "the brace opened here is never closed")),
                None => return Ok(fields),
                Some('}') if braced => {
                    self.at += 1;
                    return Ok(fields);
                }
                Some('}') => return Ok(fields),
                Some(_) => {}
            }
            if self.at_include() {
                let included = self.include(path)?;
                fields = merge_fields(fields, included, &self.origin());
            } else {
                self.field(path, &mut fields)?;
            }
            if !self.skip_separator()? && self.peek() != Some('}') {
                return Err(self.error("a comma or a new line is missing between two fields"));
            }
        }
    }

    fn field(&mut self, path: &mut Vec<String>, fields: &mut Fields) -> Result<(), Error> {
        let origin = self.origin();
        let key = self.path(&[':', '=', '{', '+', '\n', ',', '}'])?;
        self.skip_blank();
        let depth = path.len();
        path.extend(key.iter().cloned());
        let value = if self.take_if("+=") {
            let element = self.value(path)?;
            let itself = [&self.below[..], path].concat();
            let before = Node::Substitution(Substitution { paths: vec![itself], optional: true });
            let appended = Node::Array(vec![element]);
            let both = [before, appended].map(|node| Unresolved { node, origin: origin.clone() });
            Unresolved { node: Node::Concat(both.into()), origin: origin.clone() }
        } else if self.take_if("=") || self.take_if(":") || self.peek() == Some('{') {
            self.value(path)?
        } else {
            return Err(Error::new(
                &origin,
                format!("after the key {} there is no =, : or {{", crate::show_path(&key)),
            ));
        };
        path.truncate(depth);
        let (last, parents) = key.split_last().ok_or_else(|| Error::new(&origin, "the key is empty"))?;
        let mut field: Fields = [(last.clone(), value)].into();
        for parent in parents.iter().rev() {
            let object = Unresolved { node: Node::Object(field), origin: origin.clone() };
            field = [(parent.clone(), object)].into();
        }
        *fields = merge_fields(std::mem::take(fields), field, &origin);
        Ok(())
    }

    /// Segments up to one of `ends`, which is not taken.
    fn path(&mut self, ends: &[char]) -> Result<Vec<String>, Error> {
        let mut segments = vec![String::new()];
        let mut quoted = false;
        loop {
            let spaces = self.skip_spaces();
            let Some(c) = self.peek().filter(|c| !ends.contains(c) && !self.at_comment()) else { break };
            let segment = segments.last_mut().expect("there is always a segment");
            if !segment.is_empty() {
                segment.push_str(&spaces);
            }
            match c {
                '"' => {
                    segment.push_str(&self.quoted()?);
                    quoted = true;
                }
                '.' => {
                    if segment.is_empty() && !quoted {
                        return Err(self.error("a path has an empty segment; quote keys that contain dots"));
                    }
                    self.at += 1;
                    segments.push(String::new());
                    quoted = false;
                }
                c if "$[]^?!@*&\\`+".contains(c) => {
                    return Err(self.error(format!("{c:?} is not allowed in a key unless it is quoted")));
                }
                c => {
                    segment.push(c);
                    self.at += 1;
                }
            }
        }
        if segments.last().is_some_and(String::is_empty) && !quoted {
            return Err(self.error("a key is missing, or a path ends with a dot"));
        }
        Ok(segments)
    }

    fn value(&mut self, path: &mut Vec<String>) -> Result<Unresolved, Error> {
        self.skip_blank();
        let origin = self.origin();
        let mut pieces: Vec<Unresolved> = Vec::new();
        let mut spaces = String::new();
        loop {
            let at = self.origin();
            let node = match self.peek() {
                None | Some('\n' | ',' | '}' | ']') => break,
                _ if self.at_comment() => break,
                Some('{') => {
                    self.at += 1;
                    Node::Object(self.fields(path, true)?)
                }
                Some('[') => {
                    self.at += 1;
                    Node::Array(self.array(path)?)
                }
                Some('"') => Node::Text { text: self.quoted()?, quoted: true },
                Some('$') if self.looking_at("${") => Node::Substitution(self.substitution()?),
                Some(_) => Node::Text { text: self.unquoted()?, quoted: false },
            };
            if !spaces.is_empty() && !pieces.is_empty() {
                let text = std::mem::take(&mut spaces);
                pieces.push(Unresolved { node: Node::Text { text, quoted: false }, origin: at.clone() });
            }
            pieces.push(Unresolved { node, origin: at });
            spaces = self.skip_spaces();
        }
        match pieces.len() {
            0 => Err(self.error("a value is missing")),
            1 => {
                let only = pieces.remove(0);
                let is_null = matches!(&only.node, Node::Text { text, quoted: false } if text == "null");
                Ok(if is_null { Unresolved { node: Node::Null, origin } } else { only })
            }
            _ => Ok(Unresolved { node: Node::Concat(pieces), origin }),
        }
    }

    fn array(&mut self, path: &mut Vec<String>) -> Result<Vec<Unresolved>, Error> {
        let opened = self.origin();
        let mut elements = Vec::new();
        // Elements have no path, but count as depth.
        path.push("[]".into());
        if path.len() + self.below.len() > MAX_DEPTH {
            return Err(self.error(format!("values nest deeper than {MAX_DEPTH}")));
        }
        self.skip_blank();
        loop {
            match self.peek() {
                None => return Err(Error::new(&opened, "the bracket opened here is never closed")),
                Some(']') => {
                    self.at += 1;
                    path.pop();
                    return Ok(elements);
                }
                Some(_) => elements.push(self.value(path)?),
            }
            if !self.skip_separator()? && self.peek() != Some(']') {
                return Err(self.error("a comma or a new line is missing between two elements"));
            }
        }
    }

    fn substitution(&mut self) -> Result<Substitution, Error> {
        self.at += 2;
        let optional = self.take_if("?");
        let path = self.path(&['}', '\n'])?;
        if !self.take_if("}") {
            return Err(self.error("a substitution is not closed by }"));
        }
        let mut paths = vec![path.clone()];
        if !self.below.is_empty() {
            paths.insert(0, [&self.below[..], &path].concat());
        }
        Ok(Substitution { paths, optional })
    }

    fn unquoted(&mut self) -> Result<String, Error> {
        let from = self.at;
        while let Some(c) = self.peek() {
            if c.is_whitespace() || "$\"{}[]:=,+#`^?!@*&\\".contains(c) || self.at_comment() {
                break;
            }
            self.at += 1;
        }
        if self.at == from {
            let c = self.peek().unwrap_or(' ');
            return Err(self.error(format!("{c:?} is not allowed in a value unless it is quoted")));
        }
        Ok(self.chars[from..self.at].iter().collect())
    }

    fn quoted(&mut self) -> Result<String, Error> {
        let opened = self.origin();
        if self.take_if("\"\"\"") {
            return self.triple_quoted(&opened);
        }
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.next() {
                None | Some('\n') => {
                    return Err(Error::new(&opened, "the quoted string that begins here is not closed"));
                }
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape(&opened)?),
                Some(c) => text.push(c),
            }
        }
    }

    fn triple_quoted(&mut self, opened: &Origin) -> Result<String, Error> {
        let mut text = String::new();
        loop {
            if self.take_if("\"\"\"") {
                // Of more than three quotes the last three close it.
                while self.take_if("\"") {
                    text.push('"');
                }
                return Ok(text);
            }
            match self.next() {
                None => return Err(Error::new(opened, "the triple-quoted string that begins here is not closed")),
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self, opened: &Origin) -> Result<char, Error> {
        let unit = |parser: &mut Self| -> Option<u32> {
            let digits: String = (0..4).filter_map(|_| parser.next()).collect();
            (digits.len() == 4).then(|| u32::from_str_radix(&digits, 16).ok()).flatten()
        };
        let c = match self.next() {
            Some(c @ ('"' | '\\' | '/')) => Some(c),
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('u') => match unit(self) {
                Some(high @ 0xd800..=0xdbff) if self.take_if("\\u") => unit(self)
                    .filter(|low| (0xdc00..0xe000).contains(low))
                    .and_then(|low| char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))),
                code => code.and_then(char::from_u32),
            },
            _ => None,
        };
        c.ok_or_else(|| {
            Error::new(opened, "the string that begins here has an unknown escape; write \\\\ for a backslash")
        })
    }

    fn at_include(&self) -> bool {
        let after = self.at + "include".len();
        self.looking_at("include") && self.chars.get(after).is_some_and(|c| c.is_whitespace()) && {
            let next = self.chars[after..].iter().find(|c| !c.is_whitespace());
            next.is_some_and(|c| *c == '"' || c.is_ascii_lowercase())
        }
    }

    fn include(&mut self, path: &[String]) -> Result<Fields, Error> {
        let origin = self.origin();
        self.take_if("include");
        self.skip_spaces();
        let required = self.take_if("required(");
        self.skip_spaces();
        let kinds = [("file(", IncludeKind::File), ("url(", IncludeKind::Url), ("classpath(", IncludeKind::Classpath)];
        let wrapped = kinds.into_iter().find(|(word, _)| self.take_if(word)).map(|(_, kind)| kind);
        self.skip_spaces();
        if self.peek() != Some('"') {
            return Err(self.error("include wants a quoted file name, file(\"…\") or required(\"…\")"));
        }
        let name = self.quoted()?;
        for _ in 0..usize::from(required) + usize::from(wrapped.is_some()) {
            self.skip_spaces();
            if !self.take_if(")") {
                return Err(self.error("include is not closed by )"));
            }
        }
        if self.includes >= MAX_INCLUDES {
            return Err(Error::new(
                &origin,
                format!("files include each other deeper than {MAX_INCLUDES}; is there a circle?"),
            ));
        }
        let kind = wrapped.unwrap_or(IncludeKind::Heuristic);
        let include = Include { name, kind, required, from: self.file.clone() };
        let loaded = self
            .loader
            .load(&include)
            .map_err(|why| Error::new(&origin, format!("cannot include {:?}: {why}", include.name)).file())?;
        let Some((file, text)) = loaded else {
            if required {
                let problem = format!("the required file {:?} does not exist", include.name);
                return Err(Error::new(&origin, problem).file());
            }
            return Ok(Fields::new());
        };
        let below = [&self.below[..], path].concat();
        match parse_file(file, &text, self.loader, &below, self.includes + 1)?.node {
            Node::Object(fields) => Ok(fields),
            _ => Err(Error::new(&origin, format!("{:?} is not an object", include.name))),
        }
    }
}

fn merge_fields(earlier: Fields, later: Fields, origin: &Origin) -> Fields {
    let object = |fields| Unresolved { node: Node::Object(fields), origin: origin.clone() };
    match merge(object(earlier), object(later)).node {
        Node::Object(fields) => fields,
        _ => unreachable!("two objects merge into one"),
    }
}
