//! Terms that nobody wrote: generated well-typed, they are accepted by the type checker, never fault the machine, and give
//! what an interpreter of a hundred lines gives, which shares nothing with the machine.

use super::{pure::evaluate_within, *};
use crate::translate::to_ledger;
use std::{fmt::Write, rc::Rc};

/// The types of the terms. Lists, options and functions are of numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ty {
    Int,
    Bool,
    Text,
    List,
    Option,
    Function,
}

impl Ty {
    const ALL: [Self; 6] = [Self::Int, Self::Bool, Self::Text, Self::List, Self::Option, Self::Function];

    const fn text(self) -> &'static str {
        match self {
            Self::Int => "Int64",
            Self::Bool => "Bool",
            Self::Text => "Text",
            Self::List => "(List Int64)",
            Self::Option => "(Option Int64)",
            Self::Function => "(Int64 -> Int64)",
        }
    }
}

/// There are few names, so that they hide each other.
type Var = usize;
const NAMES: usize = 5;

type Part = Rc<Term>;

#[derive(Debug)]
enum Term {
    Number(i64),
    Flag(bool),
    Word(&'static str),
    Var(Var),
    /// A function of two numbers.
    Of(&'static str, Part, Part),
    /// A comparison of two values of a type.
    Compare(&'static str, Ty, Part, Part),
    Show(Part),
    Append(Part, Part),
    If(Part, Part, Part),
    Let(Ty, Var, Part, Part),
    Lambda(Var, Part),
    Apply(Part, Part),
    Nil,
    Cons(Part, Part),
    None,
    Some(Part),
    /// The list, what is given for the empty one, names of head and tail, and what is given then.
    OfList(Part, Part, [Var; 2], Part),
    OfOption(Part, Part, Var, Part),
    /// The list, the first value, names of the value so far and the element, the next value; from the right if so.
    Fold(bool, Part, Part, [Var; 2], Part),
    /// A field of a record made of both.
    Field(bool, Part, Part),
    Fail(Ty),
}

struct Generator {
    state: u64,
    scope: Vec<(Var, Ty)>,
}

impl Generator {
    /// A number below `bound` (xorshift).
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % bound as u64).unwrap()
    }

    fn visible(&mut self, ty: Ty) -> Option<Var> {
        let is_visible = |var: &Var| self.scope.iter().rev().find(|(name, _)| name == var).is_some_and(|b| b.1 == ty);
        let all: Vec<Var> = (0..NAMES).filter(is_visible).collect();
        (!all.is_empty()).then(|| all[self.below(all.len())])
    }

    fn under(&mut self, names: &[(Var, Ty)], ty: Ty, depth: usize) -> Part {
        self.scope.extend(names);
        let part = self.term(ty, depth);
        self.scope.truncate(self.scope.len() - names.len());
        part
    }

    fn leaf(&mut self, ty: Ty) -> Term {
        if self.below(3) > 0
            && let Some(var) = self.visible(ty)
        {
            return Term::Var(var);
        }
        match ty {
            Ty::Int if self.below(40) == 0 => Term::Number([i64::MAX, i64::MIN][self.below(2)]),
            Ty::Int => Term::Number([1, 2, 3, 7, -1, 0][self.below(6)]),
            Ty::Bool => Term::Flag(self.below(2) == 0),
            Ty::Text => Term::Word(["", "a", "word", "öß"][self.below(4)]),
            Ty::List => Term::Nil,
            Ty::Option => Term::None,
            Ty::Function => {
                let var = self.below(NAMES);
                Term::Lambda(var, self.under(&[(var, Ty::Int)], Ty::Int, 0))
            }
        }
    }

    fn term(&mut self, ty: Ty, depth: usize) -> Part {
        if depth == 0 {
            return Rc::new(self.leaf(ty));
        }
        let less = depth - 1;
        let (a, b) = (self.below(NAMES), self.below(NAMES));
        let term = match (self.below(12), ty) {
            (0, _) => Term::If(self.term(Ty::Bool, less), self.term(ty, less), self.term(ty, less)),
            (1 | 2, _) => {
                let bound = Ty::ALL[self.below(6)];
                Term::Let(bound, a, self.term(bound, less), self.under(&[(a, bound)], ty, less))
            }
            (3, _) => {
                let (list, nil) = (self.term(Ty::List, less), self.term(ty, less));
                let bound = [(a, Ty::Int), (b, Ty::List)];
                let named = if a == b { &bound[..1] } else { &bound };
                Term::OfList(list, nil, [a, b], self.under(named, ty, less))
            }
            (4, _) => {
                let (option, none) = (self.term(Ty::Option, less), self.term(ty, less));
                Term::OfOption(option, none, a, self.under(&[(a, Ty::Int)], ty, less))
            }
            (5, _) if self.below(16) == 0 => Term::Fail(ty),
            (5 | 6, Ty::Int) => Term::Apply(self.term(Ty::Function, less), self.term(Ty::Int, less)),
            (7, Ty::Int) => {
                let (right, list, first) = (self.below(2) == 0, self.term(Ty::List, less), self.term(Ty::Int, less));
                Term::Fold(right, list, first, [a, b], self.under(&[(a, Ty::Int), (b, Ty::Int)], Ty::Int, less))
            }
            (8, Ty::Int | Ty::Bool) => Term::Field(ty == Ty::Int, self.term(Ty::Int, less), self.term(Ty::Bool, less)),
            (_, Ty::Int) => {
                // Division last and rarely: it often fails.
                let all = ["ADD_INT64", "SUB_INT64", "MUL_INT64", "DIV_INT64", "MOD_INT64"];
                let number = self.below(14);
                let function = all[if number < 12 { number % 3 } else { number - 9 }];
                Term::Of(function, self.term(Ty::Int, less), self.term(Ty::Int, less))
            }
            (_, Ty::Bool) => {
                let of = Ty::ALL[self.below(5)];
                let function = ["EQUAL", "LESS", "LESS_EQ", "GREATER", "GREATER_EQ"][self.below(5)];
                Term::Compare(function, of, self.term(of, less), self.term(of, less))
            }
            (5 | 6, Ty::Text) => Term::Show(self.term(Ty::Int, less)),
            (_, Ty::Text) => Term::Append(self.term(Ty::Text, less), self.term(Ty::Text, less)),
            (_, Ty::List) => Term::Cons(self.term(Ty::Int, less), self.term(Ty::List, less)),
            (_, Ty::Option) => Term::Some(self.term(Ty::Int, less)),
            (_, Ty::Function) => Term::Lambda(a, self.under(&[(a, Ty::Int)], Ty::Int, less)),
        };
        Rc::new(term)
    }
}

impl std::fmt::Display for Term {
    /// As LF text. Everything is in parentheses.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(v) => write!(f, "{v}"),
            Self::Flag(true) => f.write_str("True"),
            Self::Flag(false) => f.write_str("False"),
            Self::Word(v) => write!(f, "{v:?}"),
            Self::Var(v) => write!(f, "v{v}"),
            Self::Of(function, a, b) => write!(f, "({function} {a} {b})"),
            Self::Compare(function, ty, a, b) => write!(f, "({function} @{} {a} {b})", ty.text()),
            Self::Show(a) => write!(f, "(INT64_TO_TEXT {a})"),
            Self::Append(a, b) => write!(f, "(APPEND_TEXT {a} {b})"),
            Self::If(test, yes, no) => write!(f, "(case {test} of True -> {yes} | False -> {no})"),
            Self::Let(ty, var, bound, body) => write!(f, "(let v{var}: {} = {bound} in {body})", ty.text()),
            Self::Lambda(var, body) => write!(f, "(\\ (v{var}: Int64) -> {body})"),
            Self::Apply(function, argument) => write!(f, "({function} {argument})"),
            Self::Nil => f.write_str("(Nil @Int64)"),
            Self::Cons(head, tail) => write!(f, "(Cons @Int64 [{head}] {tail})"),
            Self::None => f.write_str("(None @Int64)"),
            Self::Some(a) => write!(f, "(Some @Int64 {a})"),
            Self::OfList(list, nil, [a, b], cons) => {
                write!(f, "(case {list} of Nil -> {nil} | Cons v{a} {} -> {cons})", tail(*a, *b))
            }
            Self::OfOption(option, none, a, some) => {
                write!(f, "(case {option} of None -> {none} | Some v{a} -> {some})")
            }
            Self::Fold(right, list, first, [a, b], next) => {
                let function = if *right { "FOLDR" } else { "FOLDL" };
                write!(f, "({function} @Int64 @Int64 (\\ (v{a}: Int64) (v{b}: Int64) -> {next}) {first} {list})")
            }
            Self::Field(number, a, b) => {
                write!(f, "(G:P {{{}}} (G:P {{ a = {a}, b = {b} }}))", if *number { "a" } else { "b" })
            }
            Self::Fail(ty) => write!(f, "(ERROR @{} \"failed\")", ty.text()),
        }
    }
}

/// The name of a tail: that of the head would be bound twice in one pattern.
fn tail(head: Var, tail: Var) -> String {
    if head == tail { format!("w{tail}") } else { format!("v{tail}") }
}

/// What a term gives.
#[derive(Clone)]
enum Given {
    Value(Value),
    Function(Scope, Var, Part),
}

/// The innermost binding last.
type Scope = Vec<(Var, Given)>;

/// The model ends the computation.
struct Failed;

fn with(scope: &Scope, more: impl IntoIterator<Item = (Var, Given)>) -> Scope {
    scope.iter().cloned().chain(more).collect()
}

fn value(part: &Part, scope: &Scope) -> Result<Value, Failed> {
    match oracle(part, scope)? {
        Given::Value(value) => Ok(value),
        Given::Function(..) => panic!("a function"),
    }
}

fn number(part: &Part, scope: &Scope) -> Result<i64, Failed> {
    match value(part, scope)? {
        Value::Int64(v) => Ok(v),
        other => panic!("{other:?}"),
    }
}

fn text(part: &Part, scope: &Scope) -> Result<String, Failed> {
    match value(part, scope)? {
        Value::Text(text) => Ok(text.to_string()),
        other => panic!("{other:?}"),
    }
}

fn list(part: &Part, scope: &Scope) -> Result<Vec<Value>, Failed> {
    match value(part, scope)? {
        Value::List(items) => Ok(items.iter().cloned().collect()),
        other => panic!("{other:?}"),
    }
}

fn calculated(function: &str, a: i64, b: i64) -> Result<Value, Failed> {
    let result = match function {
        "ADD_INT64" => a.checked_add(b),
        "SUB_INT64" => a.checked_sub(b),
        "MUL_INT64" => a.checked_mul(b),
        "DIV_INT64" => a.checked_div(b),
        _ => (b != 0).then(|| a.wrapping_rem(b)),
    };
    result.map(Value::Int64).ok_or(Failed)
}

fn compared(function: &str, ty: Ty, [a, b]: [&Part; 2], scope: &Scope) -> Result<Value, Failed> {
    let order = match ty {
        Ty::Text => text(a, scope)?.cmp(&text(b, scope)?),
        _ => flat(&value(a, scope)?).cmp(&flat(&value(b, scope)?)),
    };
    Ok(Value::Bool(match function {
        "EQUAL" => order.is_eq(),
        "LESS" => order.is_lt(),
        "LESS_EQ" => order.is_le(),
        "GREATER" => order.is_gt(),
        _ => order.is_ge(),
    }))
}

/// The plainest interpreter.
fn oracle(term: &Term, scope: &Scope) -> Result<Given, Failed> {
    Ok(Given::Value(match term {
        Term::Number(v) => Value::Int64(*v),
        Term::Flag(v) => Value::Bool(*v),
        Term::Word(v) => Value::text(v),
        Term::Of(function, a, b) => calculated(function, number(a, scope)?, number(b, scope)?)?,
        Term::Compare(function, ty, a, b) => compared(function, *ty, [a, b], scope)?,
        Term::Show(a) => Value::text(&number(a, scope)?.to_string()),
        Term::Append(a, b) => Value::text(&(text(a, scope)? + &text(b, scope)?)),
        Term::Nil => Value::list([]),
        Term::Cons(head, tail) => Value::list([value(head, scope)?].into_iter().chain(list(tail, scope)?)),
        Term::None => Value::none(),
        Term::Some(a) => Value::some(value(a, scope)?),
        Term::Fail(_) => return Err(Failed),
        Term::If(test, yes, no) => return oracle(if flat(&value(test, scope)?) == [1] { yes } else { no }, scope),
        Term::Field(is_number, a, b) => {
            let (a, b) = (value(a, scope)?, value(b, scope)?);
            if *is_number { a } else { b }
        }
        binding => return bound(binding, scope),
    }))
}

/// Terms that bind or use names.
fn bound(term: &Term, scope: &Scope) -> Result<Given, Failed> {
    match term {
        Term::Var(v) => Ok(scope.iter().rev().find(|(name, _)| name == v).unwrap().1.clone()),
        Term::Let(_, var, bound, body) => oracle(body, &with(scope, [(*var, oracle(bound, scope)?)])),
        Term::Lambda(var, body) => Ok(Given::Function(scope.clone(), *var, body.clone())),
        Term::Apply(function, argument) => {
            let argument = oracle(argument, scope)?;
            let Given::Function(inner, var, body) = oracle(function, scope)? else { panic!("no function") };
            oracle(&body, &with(&inner, [(var, argument)]))
        }
        Term::OfList(all, nil, [a, b], cons) => match list(all, scope)?.split_first() {
            None => oracle(nil, scope),
            Some((first, rest)) => {
                let rest = (*b, Given::Value(Value::list(rest.iter().cloned())));
                // A tail that may not hide the head has a name of its own, which no term mentions.
                let rest = (a != b).then_some(rest);
                oracle(cons, &with(scope, [(*a, Given::Value(first.clone()))].into_iter().chain(rest)))
            }
        },
        Term::OfOption(option, none, a, some) => match value(option, scope)? {
            Value::Optional(Some(inner)) => oracle(some, &with(scope, [(*a, Given::Value((*inner).clone()))])),
            _ => oracle(none, scope),
        },
        Term::Fold(right, all, first, [a, b], next) => {
            let mut items = list(all, scope)?;
            let mut so_far = oracle(first, scope)?;
            if *right {
                items.reverse();
            }
            for item in items {
                let item = Given::Value(item);
                let pair = if *right { [(*a, item), (*b, so_far)] } else { [(*a, so_far), (*b, item)] };
                so_far = oracle(next, &with(scope, pair))?;
            }
            Ok(so_far)
        }
        other => panic!("{other:?} binds nothing"),
    }
}

/// A value as numbers that are ordered as it is.
fn flat(value: &Value) -> Vec<i64> {
    match value {
        Value::Bool(v) => vec![i64::from(*v)],
        Value::Int64(v) => vec![*v],
        Value::List(items) => items.iter().flat_map(flat).collect(),
        Value::Optional(v) => v.iter().flat_map(|v| flat(v)).collect(),
        other => panic!("{other:?}"),
    }
}

const DEPTH: usize = 6;
const TERMS: u64 = 100;

/// Assembles, checks and runs terms that come from seeds; how many gave a value.
fn run(seeds: std::ops::Range<u64>) -> usize {
    let mut source = "module G {\n  record P = { a: Int64, b: Bool };\n".to_owned();
    let terms: Vec<Part> = seeds
        .clone()
        .map(|seed| {
            let mut generator = Generator { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, scope: Vec::new() };
            // All but functions, which cannot be shown.
            let ty = Ty::ALL[generator.below(5)];
            let term = generator.term(ty, DEPTH);
            writeln!(source, "  val t{seed} : {} = {term};", ty.text()).unwrap();
            term
        })
        .collect();
    source.push('}');
    let dar = lf::assemble(&source, &"generated".parse().unwrap(), &"1.0.0".parse().unwrap()).unwrap();
    let dar = lf::read_dar(&dar).unwrap();
    lf::check_dar(&dar).unwrap();
    let engine = Engine::new();
    dar.packages.iter().for_each(|package| engine.add_package(package.package.clone()));
    let mut values = 0;
    for (seed, term) in seeds.zip(terms) {
        let entity = format!("t{seed}").parse().unwrap();
        let id = Identifier { package: dar.main.clone(), module: "G".parse().unwrap(), entity };
        let registry = engine.registry();
        let global = registry.get(&dar.main).unwrap().value(&id).unwrap();
        let (ours, _) = evaluate_within(&engine, global, Vec::new(), 100_000_000);
        match (ours, oracle(&term, &Vec::new())) {
            (Ok(ours), Ok(Given::Value(theirs))) => {
                assert_eq!(to_ledger(&ours).unwrap(), theirs, "seed {seed}: {term}");
                values += 1;
            }
            (Err(EngineError::User(_) | EngineError::Failure { .. }), Err(Failed)) => {}
            (ours, theirs) => panic!("seed {seed}: {ours:?}, expected {}: {term}", theirs.is_ok()),
        }
    }
    values
}

/// Far more can be tried with `CONCORDAT_GENERATED`, the number of packages of a hundred terms each.
#[test]
fn well_typed_terms_give_what_they_mean() {
    let packages = testkit::setting("CONCORDAT_GENERATED").unwrap_or(30);
    let values: usize = (0..packages).map(|n| run(n * TERMS..(n + 1) * TERMS)).sum();
    let all = usize::try_from(packages * TERMS).unwrap();
    assert!(values > all / 4, "only {values} of {all} terms gave a value: the test would show little");
}
