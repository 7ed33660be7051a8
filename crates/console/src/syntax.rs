//! Statements and expressions. Their depth is bounded by the parser, so that walking and dropping them is safe.

use std::rc::Rc;

/// Line and column.
pub(crate) type At = (usize, usize);

#[derive(Debug)]
pub(crate) enum Statement {
    Val(At, Pattern, Expr),
    Expr(Expr),
}

#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) at: At,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Unit,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Rc<str>),
    Name(String),
    /// `_`, until the expression around it becomes a function.
    Placeholder(String),
    Field(Box<Expr>, String),
    Call(Box<Expr>, Vec<Arg>),
    Infix(Box<Expr>, String, Box<Expr>),
    Prefix(char, Box<Expr>),
    Interpolated(Vec<Expr>),
    Tuple(Vec<Expr>),
    Block(Vec<Statement>),
    If(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
    Match(Box<Expr>, Rc<Lambda>),
    Lambda(Rc<Lambda>),
}

#[derive(Debug)]
pub(crate) struct Arg {
    pub(crate) name: Option<String>,
    pub(crate) value: Expr,
}

/// A function: several cases for `case`, one otherwise.
#[derive(Debug)]
pub(crate) struct Lambda {
    pub(crate) cases: Vec<Case>,
}

#[derive(Debug)]
pub(crate) struct Case {
    /// One for each parameter.
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) guard: Option<Expr>,
    pub(crate) body: Expr,
}

#[derive(Debug)]
pub(crate) enum Pattern {
    Any,
    Name(String),
    Literal(Expr),
    Tuple(Vec<Pattern>),
    /// `Some(x)`
    Some(Box<Pattern>),
    None,
}
