//! Statements and expressions, evaluated with bounded steps and depth.

use crate::{
    error::{ConsoleError, Problem, nearest},
    parse::parse,
    syntax::{Arg, At, Expr, Kind, Lambda, Pattern, Statement},
    value::{Function, Reference, Shape, Value},
};
use std::{collections::BTreeMap, rc::Rc, time::Duration};

/// Of one script, or one entry of the prompt.
const MAX_STEPS: usize = 10_000_000;
/// Of expressions in expressions, through functions.
const MAX_DEPTH: usize = 120;
const BUILT_IN: [&str; 11] =
    ["Seq", "List", "Set", "Map", "Some", "None", "Option", "println", "assert", "utils", "Vector"];

/// What the language reaches: nodes, their commands, the screen, the clock.
pub trait Host {
    /// A node or a group of commands that has a name of its own.
    fn global(&self, name: &str) -> Option<Value>;
    /// All such names.
    fn globals(&self) -> Vec<String>;
    /// What a node or group has under a name.
    fn member(&self, of: &Reference, name: &str) -> Option<Member>;
    /// All such names.
    fn members(&self, of: &Reference) -> Vec<String>;
    /// Does a command of a node or group.
    ///
    /// # Errors
    /// What the user is told.
    fn call(&mut self, of: &Reference, command: &str, arguments: Vec<Argument>) -> Result<Value, String>;
    /// What a function among the arguments of a command is applied to. The command is then called with the result.
    ///
    /// # Errors
    /// What the user is told.
    fn subject(&mut self, _of: &Reference, command: &str, _arguments: &[Argument]) -> Result<Subject, String> {
        Err(format!("{command} takes no function"))
    }
    /// Does what values of the host's own can do beside what all values can; `None` if it is nothing of that.
    fn method(&mut self, _of: &Value, _name: &str, _arguments: &[Argument]) -> Option<Result<Value, String>> {
        None
    }
    /// Shows a line.
    fn print(&mut self, line: &str);
    /// Waits a little, between two looks at something that began `looks` looks ago; `false` once `timeout` is over.
    fn wait(&mut self, looks: u32, timeout: Duration) -> bool;
}

/// What a node or group has.
#[derive(Debug, Clone)]
pub enum Member {
    /// A group of commands, or a value that is known.
    Value(Value),
    /// A command; without parentheses it is called without arguments.
    Command,
}

/// What a function among the arguments of a command is applied to.
#[derive(Debug, Clone)]
pub enum Subject {
    /// The command takes what the function makes of this.
    One(Value),
    /// The command takes an option: the first of these for which the function is true. If there is none, the host is
    /// asked again for a while.
    First(Vec<Value>),
}

/// An argument of a command.
#[derive(Debug, Clone)]
pub struct Argument {
    /// If it has been given by name.
    pub name: Option<String>,
    /// The value.
    pub value: Value,
}

/// Evaluates statements one after the other; names stay.
#[derive(Debug)]
pub struct Interpreter<H> {
    /// What it reaches.
    pub host: H,
    globals: BTreeMap<String, Value>,
    pub(crate) locals: Vec<(String, Value)>,
    steps: usize,
    depth: usize,
    results: usize,
}

pub(crate) type Evaluated = Result<Value, ConsoleError>;

impl<H: Host> Interpreter<H> {
    /// One that knows what the host has.
    pub fn new(host: H) -> Self {
        Self { host, globals: BTreeMap::new(), locals: Vec::new(), steps: 0, depth: 0, results: 0 }
    }

    /// Runs a script, or what was entered at a prompt. With `echo`, results are printed.
    ///
    /// # Errors
    /// The first thing that cannot be done, and where.
    pub fn run(&mut self, text: &str, echo: bool) -> Result<(), ConsoleError> {
        let statements = parse(text)?;
        (self.steps, self.depth) = (0, 0);
        self.locals.clear();
        for statement in &statements {
            match statement {
                Statement::Val(at, pattern, expr) => {
                    let value = self.eval(expr)?;
                    self.bind_or_fail(*at, pattern, &value)?;
                    for (name, value) in std::mem::take(&mut self.locals) {
                        if echo {
                            self.host.print(&format!("{name} : {} = {}", value.type_name(), value.pretty()));
                        }
                        self.globals.insert(name, value);
                    }
                }
                Statement::Expr(expr) => {
                    let value = self.eval(expr)?;
                    if echo && value != Value::Unit {
                        let result = format!("res{}: {} = {}", self.results, value.type_name(), value.pretty());
                        self.host.print(&result);
                    }
                }
            }
            self.results += 1;
        }
        Ok(())
    }

    pub(crate) fn spend(&mut self, steps: usize, at: At) -> Result<(), ConsoleError> {
        self.steps = self.steps.saturating_add(steps);
        match self.steps > MAX_STEPS {
            true => Err(Problem::Limit { what: "the number of steps", limit: MAX_STEPS }.at(at)),
            false => Ok(()),
        }
    }

    pub(crate) fn eval(&mut self, expr: &Expr) -> Evaluated {
        self.spend(1, expr.at)?;
        if self.depth == MAX_DEPTH {
            return Err(Problem::Limit { what: "the depth of calls", limit: MAX_DEPTH }.at(expr.at));
        }
        self.depth += 1;
        let value = self.eval_kind(expr);
        self.depth -= 1;
        value
    }

    fn eval_kind(&mut self, expr: &Expr) -> Evaluated {
        let failed = |problem: Problem| problem.at(expr.at);
        match &expr.kind {
            Kind::Unit => Ok(Value::Unit),
            Kind::Bool(bool) => Ok(Value::Bool(*bool)),
            Kind::Int(int) => Ok(Value::Int(*int)),
            Kind::Double(double) => Ok(Value::Double(*double)),
            Kind::Text(text) => Ok(Value::Text(Rc::clone(text))),
            Kind::Name(name) | Kind::Placeholder(name) => self.name(name, expr.at),
            Kind::Field(of, name) => {
                let of = self.eval(of)?;
                self.member(&of, name, None, expr.at)
            }
            Kind::Call(function, arguments) => self.call(function, arguments, expr.at),
            Kind::Infix(left, operator, right) => self.infix(left, operator, right, expr.at),
            Kind::Prefix(operator, value) => match (operator, self.eval(value)?) {
                ('!', Value::Bool(bool)) => Ok(Value::Bool(!bool)),
                ('-', Value::Int(int)) => Ok(Value::Int(int.wrapping_neg())),
                ('-', Value::Double(double)) => Ok(Value::Double(-double)),
                (_, value) => {
                    Err(failed(Problem::WrongType { needed: "a number or Boolean", found: value.type_name() }))
                }
            },
            Kind::Interpolated(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    let piece = self.eval(piece)?.plain();
                    self.spend(piece.len() / 16, expr.at)?;
                    text.push_str(&piece);
                }
                Value::text(&text).map_err(failed)
            }
            Kind::Tuple(parts) => {
                let parts = parts.iter().map(|part| self.eval(part)).collect::<Result<_, _>>()?;
                Value::compound(Shape::Tuple, parts).map_err(failed)
            }
            Kind::Block(statements) => {
                let outside = self.locals.len();
                let value = self.block(statements);
                self.locals.truncate(outside);
                value
            }
            Kind::If(condition, then, other) => match (self.condition(condition)?, other) {
                (true, _) => self.eval(then),
                (false, Some(other)) => self.eval(other),
                (false, None) => Ok(Value::Unit),
            },
            Kind::Match(value, cases) => {
                let value = self.eval(value)?;
                self.cases(cases, &[value], expr.at)
            }
            Kind::Lambda(lambda) => Value::function(Rc::clone(lambda), self.locals.clone()).map_err(failed),
        }
    }

    fn block(&mut self, statements: &[Statement]) -> Evaluated {
        let mut last = Value::Unit;
        for statement in statements {
            last = match statement {
                Statement::Expr(expr) => self.eval(expr)?,
                Statement::Val(at, pattern, expr) => {
                    let value = self.eval(expr)?;
                    self.bind_or_fail(*at, pattern, &value)?;
                    Value::Unit
                }
            };
        }
        Ok(last)
    }

    pub(crate) fn condition(&mut self, expr: &Expr) -> Result<bool, ConsoleError> {
        match self.eval(expr)? {
            Value::Bool(bool) => Ok(bool),
            other => Err(Problem::WrongType { needed: "a Boolean", found: other.type_name() }.at(expr.at)),
        }
    }

    fn name(&mut self, name: &str, at: At) -> Evaluated {
        let local = self.locals.iter().rev().find(|(local, _)| local == name).map(|(_, value)| value.clone());
        if let Some(value) = local.or_else(|| self.globals.get(name).cloned()).or_else(|| self.host.global(name)) {
            return Ok(value);
        }
        if name == "None" {
            return Value::option(None).map_err(|problem| problem.at(at));
        }
        let hosts = self.host.globals();
        let locals = self.locals.iter().map(|(name, _)| name.as_str());
        let known = locals.chain(self.globals.keys().map(String::as_str)).chain(hosts.iter().map(String::as_str));
        let nearest = nearest(name, known.chain(BUILT_IN));
        Err(Problem::UnknownName { name: name.into(), nearest }.at(at))
    }

    fn is_free(&self, name: &str) -> bool {
        !self.locals.iter().any(|(local, _)| local == name) && !self.globals.contains_key(name)
    }

    fn call(&mut self, function: &Expr, arguments: &[Arg], at: At) -> Evaluated {
        match &function.kind {
            Kind::Name(name) if BUILT_IN.contains(&name.as_str()) && self.is_free(name) => {
                let arguments = self.arguments(arguments)?;
                self.built_in(name, arguments, at)
            }
            // The condition is evaluated again and again.
            Kind::Field(of, name)
                if name == "retry_until_true" && matches!(&of.kind, Kind::Name(utils) if utils == "utils") =>
            {
                self.retry(arguments, Duration::from_secs(20), at)
            }
            Kind::Call(inner, timeout) if is_retry(inner) => {
                let timeout = match timeout.first().map(|timeout| self.eval(&timeout.value)).transpose()? {
                    Some(Value::Duration(duration)) => duration,
                    _ => return Err(Problem::WrongType { needed: "a duration", found: "none".into() }.at(at)),
                };
                self.retry(arguments, timeout, at)
            }
            Kind::Field(of, name) => {
                let of = self.eval(of)?;
                let arguments = self.arguments(arguments)?;
                self.member(&of, name, Some(arguments), function.at)
            }
            _ => {
                let function = self.eval(function)?;
                let arguments = self.arguments(arguments)?;
                self.apply_to(&function, arguments, at)
            }
        }
    }

    /// What parentheses do to a value: a function is called, a sequence or map is looked into.
    pub(crate) fn apply_to(&mut self, value: &Value, arguments: Vec<Argument>, at: At) -> Evaluated {
        if let Value::Reference(reference) = value
            && self.host.member(reference, "apply").is_some()
        {
            return self.member(value, "apply", Some(arguments), at);
        }
        let plain: Vec<Value> = arguments.into_iter().map(|argument| argument.value).collect();
        match value {
            Value::Function(function) => self.apply(function, &plain, at),
            Value::Compound(compound) => self.look_up(compound, &plain, at),
            other => Err(Problem::WrongType { needed: "a function", found: other.type_name() }.at(at)),
        }
    }

    fn arguments(&mut self, arguments: &[Arg]) -> Result<Vec<Argument>, ConsoleError> {
        let evaluated =
            |argument: &Arg| Ok(Argument { name: argument.name.clone(), value: self.eval(&argument.value)? });
        arguments.iter().map(evaluated).collect()
    }

    fn retry(&mut self, arguments: &[Arg], timeout: Duration, at: At) -> Evaluated {
        let Some(condition) = arguments.first() else {
            return Err(Problem::WrongType { needed: "a condition", found: "none".into() }.at(at));
        };
        let mut looks = 0;
        while !self.condition(&condition.value)? {
            if !self.host.wait(looks, timeout) {
                return Err(Problem::NoResult("the condition did not become true in time".into()).at(at));
            }
            looks = looks.saturating_add(1);
        }
        Ok(Value::Unit)
    }

    pub(crate) fn apply(&mut self, function: &Function, arguments: &[Value], at: At) -> Evaluated {
        self.spend(function.locals.len(), at)?;
        let outside = std::mem::replace(&mut self.locals, function.locals.clone());
        let value = self.cases(&function.lambda, arguments, at);
        self.locals = outside;
        value
    }

    fn cases(&mut self, lambda: &Lambda, arguments: &[Value], at: At) -> Evaluated {
        let outside = self.locals.len();
        for case in &lambda.cases {
            // `case (a, b)` of two arguments, `(a, b) => …` of a pair.
            let spread = match (&case.patterns[..], arguments) {
                ([_, _, ..], [Value::Compound(pair)]) if pair.shape == Shape::Tuple => pair.parts.as_slice(),
                _ => arguments,
            };
            let mut fits = spread.len() == case.patterns.len();
            for (pattern, value) in case.patterns.iter().zip(spread) {
                fits = fits && self.bind(pattern, value)?;
            }
            let guard = |this: &mut Self| case.guard.as_ref().map_or(Ok(true), |guard| this.condition(guard));
            if fits && guard(self)? {
                let value = self.eval(&case.body);
                self.locals.truncate(outside);
                return value;
            }
            self.locals.truncate(outside);
        }
        let shown: Vec<String> = arguments.iter().map(Value::pretty).collect();
        let shown: String = shown.join(", ").chars().take(200).collect();
        Err(Problem::NoResult(format!("no case fits ({shown})")).at(at))
    }

    fn bind_or_fail(&mut self, at: At, pattern: &Pattern, value: &Value) -> Result<(), ConsoleError> {
        match self.bind(pattern, value)? {
            true => Ok(()),
            false => Err(Problem::NoResult(format!("a {} does not fit the pattern", value.type_name())).at(at)),
        }
    }

    fn bind(&mut self, pattern: &Pattern, value: &Value) -> Result<bool, ConsoleError> {
        Ok(match (pattern, value) {
            (Pattern::Any, _) => true,
            (Pattern::Name(name), value) => {
                self.locals.push((name.clone(), value.clone()));
                true
            }
            (Pattern::Literal(literal), value) => self.eval(literal)? == *value,
            (Pattern::Tuple(patterns), Value::Compound(c)) if c.shape == Shape::Tuple => {
                let mut fits = patterns.len() == c.parts.len();
                for (pattern, part) in patterns.iter().zip(&c.parts) {
                    fits = fits && self.bind(pattern, part)?;
                }
                fits
            }
            (Pattern::Some(pattern), Value::Compound(c)) if c.shape == Shape::Option => match c.parts.first() {
                Some(part) => self.bind(pattern, part)?,
                None => false,
            },
            (Pattern::None, Value::Compound(c)) => c.shape == Shape::Option && c.parts.is_empty(),
            _ => false,
        })
    }
}

fn is_retry(expr: &Expr) -> bool {
    matches!(&expr.kind, Kind::Field(of, name) if name == "retry_until_true"
        && matches!(&of.kind, Kind::Name(utils) if utils == "utils"))
}
