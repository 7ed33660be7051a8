//! What values can do: members of sequences, maps, options, strings, numbers and references; operators.

use crate::{
    error::{ConsoleError, Problem, nearest},
    eval::{Argument, Evaluated, Host, Interpreter, Member, Subject},
    syntax::{At, Expr},
    value::{Compound, Function, Reference, Shape, Value},
};
use std::{rc::Rc, time::Duration};

/// For something to come that a command looks for.
const PATIENCE: Duration = Duration::from_secs(20);
const OF_COLLECTIONS: [&str; 23] = [
    "foreach",
    "map",
    "flatMap",
    "filter",
    "find",
    "exists",
    "forall",
    "head",
    "headOption",
    "last",
    "tail",
    "size",
    "length",
    "isEmpty",
    "nonEmpty",
    "contains",
    "mkString",
    "toSeq",
    "toSet",
    "get",
    "getOrElse",
    "isDefined",
    "keys",
];
const OF_NUMBERS: [&str; 10] =
    ["seconds", "second", "minutes", "minute", "millis", "milliseconds", "hours", "hour", "toString", "to"];
const OF_TEXTS: [&str; 9] =
    ["size", "length", "isEmpty", "nonEmpty", "contains", "startsWith", "endsWith", "toInt", "toString"];

impl<H: Host> Interpreter<H> {
    pub(crate) fn built_in(&mut self, name: &str, arguments: Vec<Argument>, at: At) -> Evaluated {
        let values: Vec<Value> = arguments.into_iter().map(|argument| argument.value).collect();
        let first = values.first().cloned();
        let made = match (name, first) {
            ("Seq" | "List", _) => Value::list(values),
            ("Vector", _) => Value::vector(values),
            ("Set", _) => Value::compound(Shape::Set, self.distinct(values, at)?),
            ("Map", _) => match values.iter().find(|value| value.pair().is_none()) {
                Some(wrong) => Err(Problem::WrongType { needed: "key -> value", found: wrong.type_name() }),
                None => Value::compound(Shape::Map, values),
            },
            ("Some" | "Option", Some(value)) => Value::option(Some(value)),
            ("println", value) => {
                let line = value.map(|value| value.plain()).unwrap_or_default();
                self.host.print(&line);
                Ok(Value::Unit)
            }
            ("assert", Some(Value::Bool(true))) => Ok(Value::Unit),
            ("assert", Some(Value::Bool(false))) => {
                let why = values.get(1).map(|why| format!(": {}", why.plain()));
                Err(Problem::Assertion(why.unwrap_or_default()))
            }
            _ => Err(Problem::Unsupported(format!("{name} with these arguments"))),
        };
        made.map_err(|problem| problem.at(at))
    }

    fn distinct(&mut self, values: Vec<Value>, at: At) -> Result<Vec<Value>, ConsoleError> {
        let mut found: Vec<Value> = Vec::new();
        for value in values {
            self.spend(found.len(), at)?;
            if !found.contains(&value) {
                found.push(value);
            }
        }
        Ok(found)
    }

    /// `of.name` or `of.name(arguments)`.
    pub(crate) fn member(&mut self, of: &Value, name: &str, arguments: Option<Vec<Argument>>, at: At) -> Evaluated {
        if let Value::Reference(reference) = of {
            return self.member_of_reference(reference, name, arguments, at);
        }
        if let Value::Compound(compound) = of {
            if name == "copy" && of.record_name().is_some() {
                return of.copy(&arguments.unwrap_or_default()).map_err(|problem| problem.at(at));
            }
            if let Some(value) = part(compound, name) {
                return match arguments {
                    Some(arguments) => self.apply_to(&value, arguments, at),
                    None => Ok(value),
                };
            }
            let all: Option<Vec<_>> = compound.parts.iter().map(reference).collect();
            if let (Shape::Seq(_), Some(all), false) = (&compound.shape, all, OF_COLLECTIONS.contains(&name))
                && !all.is_empty()
            {
                return self.member_of_all(&all, name, arguments.as_deref(), at);
            }
        }
        let arguments = arguments.unwrap_or_default();
        if let Some(answer) = self.host.method(of, name, &arguments) {
            return answer.map_err(|why| Problem::Command(why).at(at));
        }
        let values: Vec<Value> = arguments.into_iter().map(|argument| argument.value).collect();
        let found = match of {
            Value::Compound(compound) if of.items().is_some() => self.of_collection(of, compound, name, &values, at)?,
            Value::Int(number) => of_number(*number, name, &values).map_err(|problem| problem.at(at))?,
            Value::Text(text) => of_text(text, name, &values),
            _ => None,
        };
        match (found, name) {
            (Some(value), _) => Ok(value),
            // What follows the three letters that say what it is of.
            (None, "uid") if matches!(of, Value::Id(..)) => {
                let text = of.plain();
                let after = text.split_once("::").filter(|(kind, rest)| kind.len() == 3 && rest.contains("::"));
                Ok(Value::Id("UniqueIdentifier", after.map_or(text.as_str(), |(_, rest)| rest).into()))
            }
            (None, "toString" | "toProtoPrimitive") => Value::text(&of.plain()).map_err(|problem| problem.at(at)),
            (None, _) => {
                let names: Vec<&str> = match of {
                    Value::Int(_) => OF_NUMBERS.to_vec(),
                    Value::Text(_) => OF_TEXTS.to_vec(),
                    Value::Compound(c) => match &c.shape {
                        Shape::Record(_, names) => names.iter().map(|(name, _)| *name).chain(["copy"]).collect(),
                        _ => OF_COLLECTIONS.to_vec(),
                    },
                    _ => vec!["toString", "toProtoPrimitive", "uid"],
                };
                let nearest = nearest(name, names.into_iter());
                Err(Problem::UnknownMember { name: name.into(), of: of.type_name(), nearest }.at(at))
            }
        }
    }

    fn member_of_reference(
        &mut self,
        of: &Reference,
        name: &str,
        arguments: Option<Vec<Argument>>,
        at: At,
    ) -> Evaluated {
        match (self.host.member(of, name), arguments) {
            (Some(Member::Value(value)), None) => Ok(value),
            (Some(Member::Value(value)), Some(arguments)) => self.apply_to(&value, arguments, at),
            (Some(Member::Command), arguments) => {
                let arguments = self.functions_applied(of, name, arguments.unwrap_or_default(), at)?;
                let answer = self.host.call(of, name, arguments);
                answer.map_err(|why| Problem::Command(why).at(at))
            }
            (None, _) => {
                let members = self.host.members(of);
                let nearest = nearest(name, members.iter().map(String::as_str));
                Err(Problem::UnknownMember { name: name.into(), of: of.label.clone(), nearest }.at(at))
            }
        }
    }

    /// The arguments of a command, with results in place of functions.
    fn functions_applied(
        &mut self,
        of: &Reference,
        command: &str,
        mut arguments: Vec<Argument>,
        at: At,
    ) -> Result<Vec<Argument>, ConsoleError> {
        let is_function = |argument: &Argument| matches!(argument.value, Value::Function(_));
        let Some(place) = arguments.iter().position(is_function) else { return Ok(arguments) };
        let Value::Function(function) = arguments[place].value.clone() else { return Ok(arguments) };
        let mut looks = 0;
        arguments[place].value = loop {
            let subject = self.host.subject(of, command, &arguments).map_err(|why| Problem::Command(why).at(at))?;
            let found = match subject {
                Subject::One(value) => break self.apply(&function, &[value], at)?,
                Subject::First(values) => self.first(&function, values, at)?,
            };
            if found.is_some() || !self.host.wait(looks, PATIENCE) {
                break Value::option(found).map_err(|problem| problem.at(at))?;
            }
            looks = looks.saturating_add(1);
        };
        Ok(arguments)
    }

    fn first(&mut self, function: &Function, values: Vec<Value>, at: At) -> Result<Option<Value>, ConsoleError> {
        for value in values {
            self.spend(1, at)?;
            if self.apply(function, std::slice::from_ref(&value), at)? == Value::Bool(true) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// `participants.all.dars.upload(…)`: what each answers.
    fn member_of_all(
        &mut self,
        all: &[Rc<Reference>],
        name: &str,
        arguments: Option<&[Argument]>,
        at: At,
    ) -> Evaluated {
        let mut answers = Vec::new();
        for one in all {
            let answer = self.member_of_reference(one, name, arguments.map(<[_]>::to_vec), at)?;
            answers.push(answer);
        }
        let result = if answers.iter().all(|answer| reference(answer).is_some()) {
            Value::list(answers)
        } else if answers.iter().all(|answer| *answer == Value::Unit) {
            Ok(Value::Unit)
        } else {
            let keys = all.iter().map(|one| Value::Reference(Rc::clone(one)));
            let pairs = keys.zip(answers).map(|(key, answer)| Value::compound(Shape::Tuple, vec![key, answer]));
            pairs.collect::<Result<_, _>>().and_then(|pairs| Value::compound(Shape::Map, pairs))
        };
        result.map_err(|problem| problem.at(at))
    }

    /// `xs(0)`, `map("key")`, `set(x)`.
    pub(crate) fn look_up(&mut self, of: &Compound, arguments: &[Value], at: At) -> Evaluated {
        self.spend(of.parts.len(), at)?;
        match (&of.shape, arguments) {
            (Shape::Seq(_), [Value::Int(index)]) => {
                let found = usize::try_from(*index).ok().and_then(|index| of.parts.get(index)).cloned();
                let missing = || Problem::NoResult(format!("there is no element {index} of {}", of.parts.len())).at(at);
                found.ok_or_else(missing)
            }
            (Shape::Map, [key]) => {
                let missing = || Problem::NoResult("the map has no such key".into()).at(at);
                value_of(of, key).ok_or_else(missing)
            }
            (Shape::Set, [value]) => Ok(Value::Bool(of.parts.contains(value))),
            _ => Err(Problem::WrongType { needed: "an index or key", found: "something else".into() }.at(at)),
        }
    }

    fn of_collection(
        &mut self,
        of: &Value,
        compound: &Compound,
        name: &str,
        arguments: &[Value],
        at: At,
    ) -> Result<Option<Value>, ConsoleError> {
        let failed = |problem: Problem| problem.at(at);
        self.spend(compound.parts.len(), at)?;
        let parts = &compound.parts;
        let same = |parts| Value::compound(compound.shape.clone(), parts).map_err(failed);
        let or_empty = |found: Option<&Value>| {
            found.cloned().ok_or_else(|| Problem::NoResult(format!("{name} of nothing")).at(at))
        };
        Ok(Some(match (name, arguments) {
            ("size" | "length", []) => Value::Int(i64::try_from(parts.len()).unwrap_or(i64::MAX)),
            ("isEmpty", []) => Value::Bool(parts.is_empty()),
            ("nonEmpty" | "isDefined", []) => Value::Bool(!parts.is_empty()),
            ("head", []) => or_empty(parts.first())?,
            ("get", []) if compound.shape == Shape::Option => or_empty(parts.first())?,
            ("last", []) => or_empty(parts.last())?,
            ("headOption", []) => Value::option(parts.first().cloned()).map_err(failed)?,
            ("tail", []) => same(parts.get(1..).unwrap_or_default().to_vec())?,
            ("toSeq", []) => Value::list(parts.clone()).map_err(failed)?,
            ("toSet", []) => Value::compound(Shape::Set, self.distinct(parts.clone(), at)?).map_err(failed)?,
            ("keys", []) if compound.shape == Shape::Map => {
                Value::list(parts.iter().filter_map(Value::pair).map(|(key, _)| key.clone()).collect())
                    .map_err(failed)?
            }
            ("get", [key]) if compound.shape == Shape::Map => Value::option(value_of(compound, key)).map_err(failed)?,
            ("getOrElse", [key, other]) if compound.shape == Shape::Map => {
                value_of(compound, key).unwrap_or_else(|| other.clone())
            }
            ("getOrElse", [other]) => parts.first().unwrap_or(other).clone(),
            ("contains", [key]) if compound.shape == Shape::Map => Value::Bool(value_of(compound, key).is_some()),
            ("contains", [value]) => {
                self.spend(of.weight() / 16, at)?;
                Value::Bool(parts.contains(value))
            }
            ("mkString", arguments) if arguments.len() < 2 => {
                let separator = arguments.first().map(Value::plain).unwrap_or_default();
                self.spend((of.weight() + separator.len() * parts.len()) / 16, at)?;
                let texts: Vec<String> = parts.iter().map(Value::plain).collect();
                Value::text(&texts.join(&separator)).map_err(failed)?
            }
            (_, [function]) => return self.each(compound, name, function, at),
            _ => return Ok(None),
        }))
    }

    /// Methods that take a function.
    fn each(&mut self, of: &Compound, name: &str, function: &Value, at: At) -> Result<Option<Value>, ConsoleError> {
        if !["foreach", "map", "flatMap", "filter", "find", "exists", "forall"].contains(&name) {
            return Ok(None);
        }
        let Value::Function(function) = function else {
            return Err(Problem::WrongType { needed: "a function", found: function.type_name() }.at(at));
        };
        let mut kept = Vec::new();
        for part in &of.parts {
            let answer = self.apply(function, std::slice::from_ref(part), at)?;
            match (name, answer) {
                ("foreach", _) => {}
                ("map", answer) => kept.push(answer),
                ("flatMap", answer) => {
                    let wrong = || Problem::WrongType { needed: "a sequence", found: answer.type_name() }.at(at);
                    let items = answer.items().ok_or_else(wrong)?;
                    self.spend(items.len(), at)?;
                    kept.extend_from_slice(items);
                }
                ("find", Value::Bool(true)) => {
                    return Value::option(Some(part.clone())).map(Some).map_err(|p| p.at(at));
                }
                ("exists", Value::Bool(true)) => return Ok(Some(Value::Bool(true))),
                ("forall", Value::Bool(false)) => return Ok(Some(Value::Bool(false))),
                ("filter", Value::Bool(true)) => kept.push(part.clone()),
                (_, Value::Bool(_)) => {}
                (_, other) => {
                    return Err(Problem::WrongType { needed: "a Boolean", found: other.type_name() }.at(at));
                }
            }
        }
        // A map of something else than pairs is a list.
        let shape = match &of.shape {
            Shape::Map if kept.iter().any(|part| part.pair().is_none()) => Shape::Seq("List"),
            Shape::Option if kept.len() > 1 => Shape::Seq("List"),
            Shape::Seq(_) => Shape::Seq("List"),
            other => other.clone(),
        };
        let made = match name {
            "foreach" => Ok(Value::Unit),
            "find" => Value::option(None),
            "exists" => Ok(Value::Bool(false)),
            "forall" => Ok(Value::Bool(true)),
            _ => Value::compound(shape, kept),
        };
        made.map(Some).map_err(|problem| problem.at(at))
    }

    pub(crate) fn infix(&mut self, left: &Expr, operator: &str, right: &Expr, at: At) -> Evaluated {
        match operator {
            "&&" => return Ok(Value::Bool(self.condition(left)? && self.condition(right)?)),
            "||" => return Ok(Value::Bool(self.condition(left)? || self.condition(right)?)),
            _ => {}
        }
        let (left, right) = (self.eval(left)?, self.eval(right)?);
        self.spend((left.weight() + right.weight()) / 16, at)?;
        let failed = |problem: Problem| problem.at(at);
        Ok(match (&left, operator, &right) {
            (_, "==", _) => Value::Bool(left == right),
            (_, "!=", _) => Value::Bool(left != right),
            (_, "->", _) => Value::compound(Shape::Tuple, vec![left, right]).map_err(failed)?,
            (Value::Int(a), _, Value::Int(b)) => arithmetic(*a, operator, *b).map_err(failed)?,
            (Value::Double(a), "<", Value::Double(b)) => Value::Bool(a < b),
            (Value::Double(a), ">", Value::Double(b)) => Value::Bool(a > b),
            (Value::Duration(a), "<", Value::Duration(b)) => Value::Bool(a < b),
            (Value::Duration(a), ">", Value::Duration(b)) => Value::Bool(a > b),
            (Value::Text(_), "+", _) | (_, "+", Value::Text(_)) => {
                Value::text(&(left.plain() + &right.plain())).map_err(failed)?
            }
            (Value::Compound(a), "++", Value::Compound(b)) if left.items().is_some() && right.items().is_some() => {
                let parts = [a.parts.as_slice(), b.parts.as_slice()].concat();
                let parts = if a.shape == Shape::Set { self.distinct(parts, at)? } else { parts };
                Value::compound(a.shape.clone(), parts).map_err(failed)?
            }
            (Value::Compound(a), ":+", _) if matches!(a.shape, Shape::Seq(_)) => {
                Value::list([a.parts.as_slice(), &[right]].concat()).map_err(failed)?
            }
            // `xs contains x` is xs.contains(x).
            _ => return self.member(&left, operator, Some(vec![Argument { name: None, value: right }]), at),
        })
    }
}

fn reference(value: &Value) -> Option<Rc<Reference>> {
    match value {
        Value::Reference(reference) => Some(Rc::clone(reference)),
        _ => None,
    }
}

/// A field of a record, `_1` of a tuple.
fn part(of: &Compound, name: &str) -> Option<Value> {
    let index = match &of.shape {
        Shape::Record(_, names) => names.iter().position(|(field, _)| *field == name)?,
        Shape::Tuple => name.strip_prefix('_')?.parse::<usize>().ok()?.checked_sub(1)?,
        _ => return None,
    };
    of.parts.get(index).cloned()
}

/// What a map has under a key; the last one counts.
fn value_of(map: &Compound, key: &Value) -> Option<Value> {
    map.parts.iter().rev().filter_map(Value::pair).find(|(at, _)| *at == key).map(|(_, value)| value.clone())
}

fn of_number(number: i64, name: &str, arguments: &[Value]) -> Result<Option<Value>, Problem> {
    let count = u64::try_from(number).unwrap_or(0);
    let seconds = |each: u64| Some(Value::Duration(Duration::from_secs(count.saturating_mul(each))));
    Ok(match (name, arguments) {
        ("millis" | "milliseconds", []) => Some(Value::Duration(Duration::from_millis(count))),
        ("second" | "seconds", []) => seconds(1),
        ("minute" | "minutes", []) => seconds(60),
        ("hour" | "hours", []) => seconds(3600),
        ("to" | "until", [Value::Int(last)]) => {
            let end = if name == "to" { last.saturating_add(1) } else { *last };
            if end.saturating_sub(number) > 100_000 {
                return Err(Problem::Limit { what: "the length of a range", limit: 100_000 });
            }
            Some(Value::list((number..end).map(Value::Int).collect())?)
        }
        _ => None,
    })
}

fn of_text(text: &str, name: &str, arguments: &[Value]) -> Option<Value> {
    Some(match (name, arguments) {
        ("size" | "length", []) => Value::Int(i64::try_from(text.chars().count()).unwrap_or(i64::MAX)),
        ("isEmpty", []) => Value::Bool(text.is_empty()),
        ("nonEmpty", []) => Value::Bool(!text.is_empty()),
        ("toInt", []) => Value::Int(text.parse().ok()?),
        ("contains", [Value::Text(other)]) => Value::Bool(text.contains(&**other)),
        ("startsWith", [Value::Text(other)]) => Value::Bool(text.starts_with(&**other)),
        ("endsWith", [Value::Text(other)]) => Value::Bool(text.ends_with(&**other)),
        _ => return None,
    })
}

fn arithmetic(a: i64, operator: &str, b: i64) -> Result<Value, Problem> {
    let number = match operator {
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        "*" => a.checked_mul(b),
        "/" => a.checked_div(b),
        "%" => a.checked_rem(b),
        "<" => return Ok(Value::Bool(a < b)),
        ">" => return Ok(Value::Bool(a > b)),
        "<=" => return Ok(Value::Bool(a <= b)),
        ">=" => return Ok(Value::Bool(a >= b)),
        "to" | "until" => {
            let range = of_number(a, operator, &[Value::Int(b)])?;
            return range.ok_or_else(|| Problem::NoResult("no range".into()));
        }
        _ => return Err(Problem::Unsupported(format!("the operator {operator} of numbers"))),
    };
    number.map(Value::Int).ok_or_else(|| Problem::NoResult(format!("{a} {operator} {b} is no number of 64 bits")))
}
