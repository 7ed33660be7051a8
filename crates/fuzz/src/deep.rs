//! Packages nested a million deep, through all that is done with packages: their texts could not be assembled, so they are
//! written as bytes. Expressions and types are interned, as in LF 2.3, so each level costs a few bytes.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use crate::depth::{DEPTH, through_all};
use lf::Builtin;
use prost::encoding::{sint64, uint64};

/// A message under construction.
#[derive(Clone, Default)]
struct Message(Vec<u8>);

impl Message {
    fn number(mut self, field: u32, value: usize) -> Self {
        uint64::encode(field, &u64::try_from(value).unwrap(), &mut self.0);
        self
    }

    fn with(mut self, field: u32, content: &Self) -> Self {
        prost::encoding::bytes::encode(field, &content.0, &mut self.0);
        self
    }
}

fn of() -> Message {
    Message::default()
}

/// All texts of the package; each but the last is the name of a definition, too.
const NAMES: &[&str] = &["deep", "M", "x", "y", "T", "End", "More", "count", "n", "1.0.0"];

fn name(text: &str) -> usize {
    NAMES.iter().position(|known| *known == text).unwrap()
}

/// A package of module `M`, with a variant `T` that nests itself.
#[derive(Default)]
struct Package {
    kinds: Vec<Message>,
    types: Vec<Message>,
    exprs: Vec<Message>,
    values: Vec<Message>,
}

impl Package {
    /// Adds a type and gives its number.
    fn ty(&mut self, ty: Message) -> usize {
        self.types.push(ty);
        self.types.len() - 1
    }

    /// Adds an expression and gives its number.
    fn expr(&mut self, form: u32, parts: &Message) -> usize {
        self.exprs.push(of().with(form, parts));
        self.exprs.len() - 1
    }

    fn builtin_type(&mut self, number: usize) -> usize {
        self.ty(of().with(3, &of().number(1, number)))
    }

    fn int64(&mut self) -> usize {
        self.builtin_type(2)
    }

    fn literal(&mut self, value: i64) -> usize {
        let mut literal = of();
        sint64::encode(1, &value, &mut literal.0);
        self.expr(6, &literal)
    }

    fn apply(&mut self, function: usize, arguments: &[usize]) -> usize {
        let head = of().with(1, &expr(function));
        self.expr(15, &arguments.iter().fold(head, |parts, argument| parts.with(2, &expr(*argument))))
    }

    fn constant(&mut self, field: u32, number: usize) -> usize {
        self.exprs.push(of().number(field, number));
        self.exprs.len() - 1
    }

    fn builtin(&mut self, builtin: Builtin) -> usize {
        self.constant(4, usize::try_from(builtin.number()).unwrap())
    }

    fn variable(&mut self, text: &str) -> usize {
        self.constant(2, name(text))
    }

    /// `count = \(n: Int64) (y: T) -> case y of End x -> n + x | More y -> count (n + 1) y`.
    fn count(&mut self, int64: usize, t: usize) -> usize {
        let (n, y, found) = (self.variable("n"), self.variable("y"), self.variable("x"));
        let (one, plus) = (self.literal(1), self.builtin(Builtin::AddInt64));
        let (count, next) = (self.expr(3, &reference("count")), self.apply(plus, &[n, one]));
        let (go_on, at_end) = (self.apply(count, &[next, y]), self.apply(plus, &[n, found]));
        let arm = |constructor: &str, bound: &str, body: usize| {
            let pattern = of().with(1, &reference("T")).number(2, name(constructor)).number(3, name(bound));
            of().with(1, &expr(body)).with(3, &pattern)
        };
        let arms = of().with(1, &expr(y)).with(2, &arm("End", "x", at_end)).with(2, &arm("More", "y", go_on));
        let body = self.expr(19, &arms);
        let inner = self.expr(17, &of().with(1, &binder("y", t)).with(2, &expr(body)));
        let function = self.expr(17, &of().with(1, &binder("n", int64)).with(2, &expr(inner)));
        let arrow = self.builtin_type(16);
        let mut arrow_of = |from: usize, to: usize| {
            let half = self.ty(of().with(9, &of().with(1, &type_ref(arrow)).with(2, &type_ref(from))));
            self.ty(of().with(9, &of().with(1, &type_ref(half)).with(2, &type_ref(to))))
        };
        let of_t = arrow_of(t, int64);
        let ty = arrow_of(int64, of_t);
        self.value("count", ty, function);
        count
    }

    /// `text : ty = body`.
    fn value(&mut self, text: &str, ty: usize, body: usize) {
        let head = of().number(1, name(text)).with(2, &type_ref(ty));
        self.values.push(of().with(2, &head).with(3, &expr(body)));
    }

    /// `M:x : Int64` is this, at the depth of a million.
    fn ends(mut self, x: usize, expected: i64) {
        let int64 = self.int64();
        self.value("x", int64, x);
        let (step, found) = through_all(self.payload());
        assert_eq!((step, found), ("run", Some(expected)));
    }

    fn payload(mut self) -> Vec<u8> {
        let int64 = self.int64();
        let more = self.ty(of().with(2, &of().with(1, &reference("T"))));
        let field = |label, ty| of().number(3, name(label)).with(2, &type_ref(ty));
        let variant = of().with(1, &field("End", int64)).with(1, &field("More", more));
        let flags = of().number(1, 1).number(2, 1).number(3, 1);
        let mut module = of().number(1, name("M")).with(2, &flags);
        module = module.with(4, &of().number(2, name("T")).number(4, 1).with(6, &variant));
        module = self.values.iter().fold(module, |module, value| module.with(5, value));
        let mut package = of().with(1, &module);
        for text in NAMES {
            package = package.with(2, &Message(text.as_bytes().to_vec()));
        }
        for number in 0..NAMES.len() - 1 {
            package = package.with(3, &of().number(1, number));
        }
        package = package.with(4, &of().number(1, name("deep")).number(2, name("1.0.0")));
        package = self.types.iter().fold(package, |package, ty| package.with(5, ty));
        package = self.kinds.iter().fold(package, |package, kind| package.with(6, kind));
        package = self.exprs.iter().fold(package, |package, expr| package.with(7, expr));
        package = package.with(9, &of());
        of().with(3, &Message(b"3".to_vec())).with(4, &package).0
    }
}

fn type_ref(number: usize) -> Message {
    of().number(8, number)
}

fn expr(number: usize) -> Message {
    of().number(44, number)
}

/// A definition of the module itself.
fn reference(entity: &str) -> Message {
    let module = of().with(1, &of().with(1, &of())).number(2, name("M"));
    of().with(1, &module).number(2, name(entity))
}

fn binder(text: &str, ty: usize) -> Message {
    of().number(3, name(text)).with(2, &type_ref(ty))
}

const LEVELS: i64 = 1_000_000;

#[test]
fn applications() {
    let mut package = Package::default();
    let (one, plus) = (package.literal(1), package.builtin(Builtin::AddInt64));
    let x = (0..DEPTH).fold(one, |x, _| package.apply(plus, &[one, x]));
    package.ends(x, LEVELS + 1);
}

#[test]
fn bindings() {
    let mut package = Package::default();
    let (int64, seven) = (package.int64(), package.literal(7));
    let bind = of().with(1, &binder("y", int64)).with(2, &expr(seven));
    let x = (0..DEPTH).fold(seven, |x, _| package.expr(20, &of().with(1, &bind).with(2, &expr(x))));
    package.ends(x, 7);
}

#[test]
fn functions() {
    let mut package = Package::default();
    let (int64, three) = (package.int64(), package.literal(3));
    // Each is one level, and its application another.
    let x = (0..DEPTH / 2).fold(three, |x, _| {
        let function = package.expr(17, &of().with(1, &binder("y", int64)).with(2, &expr(x)));
        package.apply(function, &[three])
    });
    package.ends(x, 3);
}

#[test]
fn cases() {
    let mut package = Package::default();
    let five = package.literal(5);
    let truth = package.constant(5, 2);
    let x = (0..DEPTH).fold(five, |x, _| {
        let holds = of().with(1, &expr(x)).number(4, 2);
        let other = of().with(1, &expr(five)).with(2, &of());
        package.expr(19, &of().with(1, &expr(truth)).with(2, &holds).with(2, &other))
    });
    package.ends(x, 5);
}

/// A value: built, walked through by a function of the model, compared with itself, and dropped.
#[test]
fn values() {
    let mut package = Package::default();
    let int64 = package.int64();
    let con = of().with(1, &reference("T"));
    let t = package.ty(of().with(2, &con));
    let two = package.literal(2);
    let make = |constructor: &str, value: usize| of().with(1, &con).number(2, name(constructor)).with(3, &expr(value));
    let end = package.expr(10, &make("End", two));
    let y = (0..DEPTH).fold(end, |y, _| package.expr(10, &make("More", y)));
    package.value("y", t, y);
    let count = package.count(int64, t);
    // case y == y of True -> count 0 y | _ -> 0
    let (zero, y) = (package.literal(0), package.expr(3, &reference("y")));
    let equal = package.builtin(Builtin::Equal);
    let equal = package.expr(16, &of().with(1, &expr(equal)).with(2, &type_ref(t)));
    let (equal, counted) = (package.apply(equal, &[y, y]), package.apply(count, &[zero, y]));
    let same = of().with(1, &expr(counted)).number(4, 2);
    let other = of().with(1, &expr(zero)).with(2, &of());
    let x = package.expr(19, &of().with(1, &expr(equal)).with(2, &same).with(2, &other));
    package.ends(x, LEVELS + 2);
}

/// A type has fewer parts than that: the package is refused, and nothing ends.
#[test]
fn types() {
    for (depth, end) in [(DEPTH, ("read", None)), (DEPTH / 2 - 2, ("run", Some(1)))] {
        let mut package = Package::default();
        let (int64, optional) = (package.int64(), package.builtin_type(9));
        let ty = (0..depth)
            .fold(int64, |ty, _| package.ty(of().with(9, &of().with(1, &type_ref(optional)).with(2, &type_ref(ty)))));
        // y : Optional ty = None @ty
        let optional = package.ty(of().with(9, &of().with(1, &type_ref(optional)).with(2, &type_ref(ty))));
        let none = package.expr(25, &of().with(1, &type_ref(ty)));
        package.value("y", optional, none);
        let x = package.literal(1);
        package.value("x", int64, x);
        assert_eq!(through_all(package.payload()), end, "{depth}");
    }
}

#[test]
fn kinds() {
    let mut package = Package::default();
    package.kinds.push(of().with(1, &of()));
    for kind in 0..DEPTH {
        let [star, result] = [0, kind].map(|kind| of().number(4, kind));
        package.kinds.push(of().with(2, &of().with(1, &star).with(2, &result)));
    }
    // y : forall (n : * -> * -> ..). Int64 = /\(n : * -> * -> ..). 1
    let (int64, one) = (package.int64(), package.literal(1));
    let kind = of().number(3, name("n")).with(2, &of().number(4, DEPTH));
    let ty = package.ty(of().with(4, &of().with(1, &kind).with(2, &type_ref(int64))));
    let body = package.expr(18, &of().with(1, &kind).with(2, &expr(one)));
    package.value("y", ty, body);
    package.ends(one, 1);
}
