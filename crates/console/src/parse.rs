//! Text to syntax: tree-sitter reads it, this keeps what the evaluator knows and refuses the rest with its place.

use crate::{
    error::{ConsoleError, Problem},
    syntax::{Arg, At, Case, Expr, Kind, Lambda, Pattern, Statement},
};
use std::rc::Rc;
use tree_sitter::Node;

/// Of nested expressions.
const MAX_DEPTH: usize = 100;
const MAX_TEXT: usize = 1 << 20;

pub(crate) fn parse(text: &str) -> Result<Vec<Statement>, ConsoleError> {
    if text.len() > MAX_TEXT {
        return Err(Problem::Limit { what: "the length of a script", limit: MAX_TEXT }.at((1, 1)));
    }
    let mut parser = tree_sitter::Parser::new();
    let broken = |why: String| Problem::Syntax(why).at((1, 1));
    parser.set_language(&tree_sitter_scala::LANGUAGE.into()).map_err(|error| broken(error.to_string()))?;
    let tree = parser.parse(text, None).ok_or_else(|| broken("the parser gave up".into()))?;
    let root = tree.root_node();
    if root.has_error() {
        let node = first_error(root);
        let found = text.get(node.byte_range()).unwrap_or("").lines().next().unwrap_or("");
        let found: String = found.chars().take(40).collect();
        let why = if node.is_missing() { format!("{} is missing", node.kind()) } else { format!("near `{found}`") };
        return Err(Problem::Syntax(why).at(at(node)));
    }
    Lower { text, depth: 0, placeholders: Vec::new(), named: 0 }.statements(root)
}

fn at(node: Node<'_>) -> At {
    let place = node.start_position();
    (place.row + 1, place.column + 1)
}

fn first_error(mut node: Node<'_>) -> Node<'_> {
    loop {
        let mut cursor = node.walk();
        let found = node.children(&mut cursor).find(|child| child.has_error() || child.is_missing());
        match found {
            Some(child) if !node.is_error() => node = child,
            _ => return node,
        }
    }
}

fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|child| !child.kind().contains("comment")).collect()
}

struct Lower<'a> {
    text: &'a str,
    depth: usize,
    /// Names of the `_` of the expression at hand.
    placeholders: Vec<String>,
    named: usize,
}

type Lowered<T> = Result<T, ConsoleError>;

impl Lower<'_> {
    fn str(&self, node: Node<'_>) -> &str {
        self.text.get(node.byte_range()).unwrap_or("")
    }

    fn unsupported<T>(&self, node: Node<'_>) -> Lowered<T> {
        let text: String = self.str(node).chars().take(40).collect();
        Err(Problem::Unsupported(format!("{}: {text}", node.kind().replace('_', " "))).at(at(node)))
    }

    fn field<'t>(&self, node: Node<'t>, name: &str) -> Lowered<Node<'t>> {
        node.child_by_field_name(name).map_or_else(|| self.unsupported(node), Ok)
    }

    fn statements(&mut self, node: Node<'_>) -> Lowered<Vec<Statement>> {
        let mut found = Vec::new();
        for child in children(node) {
            match child.kind() {
                // All names are known already.
                "import_declaration" => {}
                "val_definition" => {
                    let pattern = self.pattern(self.field(child, "pattern")?)?;
                    found.push(Statement::Val(at(child), pattern, self.whole(self.field(child, "value")?)?));
                }
                _ => found.push(Statement::Expr(self.whole(child)?)),
            }
        }
        Ok(found)
    }

    /// An expression that `_` in it makes a function.
    fn whole(&mut self, node: Node<'_>) -> Lowered<Expr> {
        let outer = std::mem::take(&mut self.placeholders);
        let body = self.expr(node);
        let names = std::mem::replace(&mut self.placeholders, outer);
        let body = body?;
        if names.is_empty() {
            return Ok(body);
        }
        // A lone `_` belongs to what is around it: f(_).
        if matches!(body.kind, Kind::Placeholder(_)) {
            self.placeholders.extend(names);
            return Ok(body);
        }
        let at = body.at;
        let case = Case { patterns: names.into_iter().map(Pattern::Name).collect(), guard: None, body };
        Ok(Expr { at, kind: Kind::Lambda(Rc::new(Lambda { cases: vec![case] })) })
    }

    fn boxed(&mut self, node: Node<'_>) -> Lowered<Box<Expr>> {
        Ok(Box::new(self.expr(node)?))
    }

    fn all(&mut self, nodes: Vec<Node<'_>>) -> Lowered<Vec<Expr>> {
        nodes.into_iter().map(|node| self.whole(node)).collect()
    }

    fn expr(&mut self, node: Node<'_>) -> Lowered<Expr> {
        if self.depth == MAX_DEPTH {
            return Err(Problem::Limit { what: "the depth of an expression", limit: MAX_DEPTH }.at(at(node)));
        }
        self.depth += 1;
        let kind = self.kind(node);
        self.depth -= 1;
        Ok(Expr { at: at(node), kind: kind? })
    }

    fn kind(&mut self, node: Node<'_>) -> Lowered<Kind> {
        Ok(match node.kind() {
            "unit" => Kind::Unit,
            "boolean_literal" => Kind::Bool(self.str(node) == "true"),
            "integer_literal" | "floating_point_literal" | "string" => self.literal(node)?,
            "identifier" | "operator_identifier" => Kind::Name(self.str(node).trim_matches('`').into()),
            "wildcard" => {
                self.named += 1;
                let name = format!("_{}", self.named);
                self.placeholders.push(name.clone());
                Kind::Placeholder(name)
            }
            "field_expression" => {
                let value = self.boxed(self.field(node, "value")?)?;
                Kind::Field(value, self.str(self.field(node, "field")?).trim_matches('`').into())
            }
            // Types are not checked.
            "generic_function" => return self.kind(self.field(node, "function")?),
            "ascription_expression" => match children(node).first() {
                Some(value) => return self.kind(*value),
                None => return self.unsupported(node),
            },
            "call_expression" => {
                let function = self.boxed(self.field(node, "function")?)?;
                Kind::Call(function, self.arguments(self.field(node, "arguments")?)?)
            }
            "infix_expression" => {
                let operator = self.str(self.field(node, "operator")?).to_owned();
                let left = self.boxed(self.field(node, "left")?)?;
                Kind::Infix(left, operator, self.boxed(self.field(node, "right")?)?)
            }
            "prefix_expression" => match (self.str(node).chars().next(), children(node).first()) {
                (Some(operator), Some(value)) => Kind::Prefix(operator, self.boxed(*value)?),
                _ => return self.unsupported(node),
            },
            "interpolated_string_expression" => self.interpolated(node)?,
            "parenthesized_expression" => match children(node)[..] {
                [inner] => self.whole(inner)?.kind,
                _ => return self.unsupported(node),
            },
            "tuple_expression" => Kind::Tuple(self.all(children(node))?),
            "block" | "indented_block" => Kind::Block(self.statements(node)?),
            "case_block" | "indented_cases" => Kind::Lambda(self.cases(node)?),
            "if_expression" => {
                let condition = self.boxed(self.field(node, "condition")?)?;
                let then = self.boxed(self.field(node, "consequence")?)?;
                let other = node.child_by_field_name("alternative").map(|node| self.boxed(node)).transpose()?;
                Kind::If(condition, then, other)
            }
            "match_expression" => {
                let value = self.boxed(self.field(node, "value")?)?;
                Kind::Match(value, self.cases(self.field(node, "body")?)?)
            }
            "lambda_expression" => self.lambda(node)?,
            "for_expression" => self.for_each(node)?,
            _ => return self.unsupported(node),
        })
    }

    fn literal(&self, node: Node<'_>) -> Lowered<Kind> {
        let text = self.str(node).replace('_', "");
        match node.kind() {
            "integer_literal" => {
                let number = text.trim_end_matches(['l', 'L']).parse();
                number.map(Kind::Int).or_else(|_| self.unsupported(node))
            }
            "floating_point_literal" => {
                let number = text.trim_end_matches(['d', 'D', 'f', 'F']).parse();
                number.map(Kind::Double).or_else(|_| self.unsupported(node))
            }
            _ => {
                let text = self.str(node);
                let raw = text.strip_prefix("\"\"\"").and_then(|text| text.strip_suffix("\"\"\""));
                let plain = || text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
                Ok(Kind::Text(raw.map_or_else(|| unescape(plain()), str::to_owned).into()))
            }
        }
    }

    /// `s"…"`: the text between holes stands in no node of the tree.
    fn interpolated(&mut self, node: Node<'_>) -> Lowered<Kind> {
        let (interpolator, string) = match children(node)[..] {
            [interpolator, string] if self.str(interpolator) == "s" => (interpolator, string),
            _ => return self.unsupported(node),
        };
        let raw = self.str(string).starts_with("\"\"\"");
        let quotes = if raw { 3 } else { 1 };
        let (mut from, end) = (string.start_byte() + quotes, string.end_byte().saturating_sub(quotes));
        let mut pieces = Vec::new();
        let text = |from: usize, to: usize| {
            let text = self.text.get(from..to).unwrap_or("").replace("$$", "$");
            let text = if raw { text } else { unescape(&text) };
            Expr { at: at(interpolator), kind: Kind::Text(text.into()) }
        };
        let holes = children(string).into_iter().filter(|child| child.kind() == "interpolation");
        let mut holes_with_text = Vec::new();
        for hole in holes {
            holes_with_text.push((text(from, hole.start_byte()), hole));
            from = hole.end_byte();
        }
        let last = text(from, end);
        for (before, hole) in holes_with_text {
            pieces.push(before);
            match children(hole)[..] {
                [inner] => pieces.push(self.whole(inner)?),
                _ => return self.unsupported(hole),
            }
        }
        pieces.push(last);
        Ok(Kind::Interpolated(pieces))
    }

    fn arguments(&mut self, node: Node<'_>) -> Lowered<Vec<Arg>> {
        if node.kind() != "arguments" {
            return Ok(vec![Arg { name: None, value: self.block_argument(node)? }]);
        }
        let mut arguments = Vec::new();
        for child in children(node) {
            arguments.push(match child.kind() {
                "assignment_expression" => {
                    let name = self.str(self.field(child, "left")?).to_owned();
                    Arg { name: Some(name), value: self.whole(self.field(child, "right")?)? }
                }
                _ => Arg { name: None, value: self.whole(child)? },
            });
        }
        Ok(arguments)
    }

    /// `f { x => … }` is f of the function, not of a block that has it.
    fn block_argument(&mut self, node: Node<'_>) -> Lowered<Expr> {
        match children(node)[..] {
            [only] if node.kind() == "block" => self.whole(only),
            _ => self.whole(node),
        }
    }

    fn cases(&mut self, node: Node<'_>) -> Lowered<Rc<Lambda>> {
        let mut cases = Vec::new();
        for clause in children(node) {
            let pattern = self.pattern(self.field(clause, "pattern")?)?;
            let guard = children(clause).into_iter().find(|child| child.kind() == "guard");
            let guard = guard.map(|guard| self.expr(self.field(guard, "condition")?)).transpose()?;
            let mut cursor = clause.walk();
            let body = clause.children_by_field_name("body", &mut cursor).filter(Node::is_named).collect::<Vec<_>>();
            let body = match body[..] {
                [] => Expr { at: at(clause), kind: Kind::Unit },
                [body] => self.expr(body)?,
                _ => return self.unsupported(clause),
            };
            cases.push(Case { patterns: vec![pattern], guard, body });
        }
        Ok(Rc::new(Lambda { cases }))
    }

    fn lambda(&mut self, node: Node<'_>) -> Lowered<Kind> {
        let parameters = self.field(node, "parameters")?;
        let mut patterns = Vec::new();
        match parameters.kind() {
            "bindings" => {
                for binding in children(parameters) {
                    let name = binding.child_by_field_name("name").map(|name| self.str(name).to_owned());
                    patterns.push(name.map_or(Pattern::Any, Pattern::Name));
                }
            }
            _ => patterns.push(self.pattern(parameters)?),
        }
        let mut body = Vec::new();
        for child in children(node).into_iter().filter(|child| child.start_byte() >= parameters.end_byte()) {
            match child.kind() {
                "val_definition" => {
                    let pattern = self.pattern(self.field(child, "pattern")?)?;
                    body.push(Statement::Val(at(child), pattern, self.whole(self.field(child, "value")?)?));
                }
                _ => body.push(Statement::Expr(self.whole(child)?)),
            }
        }
        let body = Expr { at: at(node), kind: Kind::Block(body) };
        Ok(Kind::Lambda(Rc::new(Lambda { cases: vec![Case { patterns, guard: None, body }] })))
    }

    /// `for (x <- xs if c; y = e) yield b` is `xs.flatMap(x => if (c) e match { case y => Seq(b) } else Seq())`.
    fn for_each(&mut self, node: Node<'_>) -> Lowered<Kind> {
        let at = at(node);
        let expr = |kind| Expr { at, kind };
        let seq = |items: Vec<Expr>| {
            let items = items.into_iter().map(|value| Arg { name: None, value }).collect();
            expr(Kind::Call(Box::new(expr(Kind::Name("Seq".into()))), items))
        };
        let mut cursor = node.walk();
        let yields = node.children(&mut cursor).any(|child| child.kind() == "yield");
        let mut body = self.expr(self.field(node, "body")?)?;
        if yields {
            body = seq(vec![body]);
        }
        let Some(enumerators) = children(node).into_iter().find(|child| child.kind() == "enumerators") else {
            return self.unsupported(node);
        };
        let mut depth = 0;
        for enumerator in children(enumerators).into_iter().rev() {
            depth += 1;
            if depth > MAX_DEPTH {
                return Err(Problem::Limit { what: "the depth of an expression", limit: MAX_DEPTH }.at(at));
            }
            let mut parts = children(enumerator);
            let guard = parts.last().copied().filter(|part| part.kind() == "guard");
            if let Some(guard) = guard {
                parts.pop();
                let condition = Box::new(self.expr(self.field(guard, "condition")?)?);
                body = expr(Kind::If(condition, Box::new(body), yields.then(|| Box::new(seq(vec![])))));
            }
            let [pattern, source] = parts[..] else {
                if parts.is_empty() && guard.is_some() {
                    continue;
                }
                return self.unsupported(enumerator);
            };
            let case = Case { patterns: vec![self.pattern(pattern)?], guard: None, body };
            let lambda = Rc::new(Lambda { cases: vec![case] });
            let between = self.text.get(pattern.end_byte()..source.start_byte()).unwrap_or("");
            let source = Box::new(self.expr(source)?);
            body = if between.contains("<-") {
                let name = if yields { "flatMap" } else { "foreach" };
                let function = Arg { name: None, value: expr(Kind::Lambda(lambda)) };
                expr(Kind::Call(Box::new(expr(Kind::Field(source, name.into()))), vec![function]))
            } else {
                expr(Kind::Match(source, lambda))
            };
        }
        Ok(body.kind)
    }

    fn pattern(&mut self, node: Node<'_>) -> Lowered<Pattern> {
        if self.depth == MAX_DEPTH {
            return Err(Problem::Limit { what: "the depth of a pattern", limit: MAX_DEPTH }.at(at(node)));
        }
        self.depth += 1;
        let pattern = match node.kind() {
            "wildcard" => Ok(Pattern::Any),
            "identifier" if self.str(node) == "None" => Ok(Pattern::None),
            "identifier" => Ok(Pattern::Name(self.str(node).into())),
            "typed_pattern" => self.field(node, "pattern").and_then(|inner| self.pattern(inner)),
            "tuple_pattern" => {
                children(node).into_iter().map(|n| self.pattern(n)).collect::<Result<_, _>>().map(Pattern::Tuple)
            }
            "case_class_pattern" => match children(node)[..] {
                [name, inner] if self.str(name) == "Some" => {
                    self.pattern(inner).map(|inner| Pattern::Some(inner.into()))
                }
                _ => self.unsupported(node),
            },
            _ => self.expr(node).map(Pattern::Literal),
        };
        self.depth -= 1;
        pattern
    }
}

fn unescape(text: &str) -> String {
    let mut found = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => found.push('\n'),
                Some('t') => found.push('\t'),
                Some('r') => found.push('\r'),
                Some(other) => found.push(other),
                None => found.push('\\'),
            },
            _ => found.push(c),
        }
    }
    found
}
