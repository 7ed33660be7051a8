//! From the tree of [`archive`](crate::archive) to code, by recursion: variables become slots and captures, names of definitions,
//! fields and constructors become numbers. The twin of the engine's lowering. `None`: something is not defined.

use crate::archive::{Body, Data, Expr, Literal, Package, Pattern, Ref, Text};
use std::collections::HashMap;

type Name<'a> = (&'a str, &'a str, &'a str);

/// What packages define: values by number, records and variants by their labels.
#[derive(Clone, Default)]
pub(crate) struct World<'a> {
    values: HashMap<Name<'a>, u32>,
    data: HashMap<Name<'a>, Vec<&'a str>>,
}

#[derive(Clone, Copy)]
#[expect(dead_code, reason = "as below")]
pub(crate) enum Place {
    Local(u32),
    Captured(u32),
}

#[expect(dead_code, reason = "code that is made is not run here")]
pub(crate) enum Code {
    Place(Place),
    Global(u32),
    Builtin(u64),
    Constant(u64),
    Int64(i64),
    Text(Box<str>),
    Closure(Vec<Place>, u32, Box<Code>),
    Call(Box<Code>, Vec<Code>),
    Record(Vec<Code>),
    Project(u32, Box<Code>),
    Update(u32, Box<[Code; 2]>),
    Variant(u32, Box<Code>),
    Enum(u32),
    Struct(Vec<Text>, Vec<Code>),
    StructProject(Text, Box<Code>),
    StructUpdate(Text, Box<[Code; 2]>),
    Match(Box<Code>, Vec<(u32, Code)>),
    Let(Vec<Code>, Box<Code>),
    List(Vec<Code>, Option<Box<Code>>),
    Form(u32, Vec<Code>),
}

fn at(number: u32) -> Option<usize> {
    usize::try_from(number).ok()
}

fn count(number: usize) -> Option<u32> {
    u32::try_from(number).ok()
}

fn text(all: &[String], number: u32) -> Option<&str> {
    all.get(at(number)?).map(String::as_str)
}

impl<'a> World<'a> {
    /// Makes a package's definitions known.
    pub(crate) fn add(&mut self, id: &'a str, package: &'a Package) -> Option<()> {
        for module in &package.modules {
            let name = |entity| Some((id, text(&package.dotted, module.name)?, text(&package.dotted, entity)?));
            for (value, _) in &module.values {
                self.values.insert(name(*value)?, count(self.values.len())?);
            }
            for Data { name: data, labels } in &module.data {
                let labels = labels.iter().map(|label| text(&package.strings, *label)).collect::<Option<_>>()?;
                self.data.insert(name(*data)?, labels);
            }
        }
        Some(())
    }
}

/// A function on the way.
#[derive(Default)]
struct Context {
    scope: Vec<(Text, u32)>,
    slots: u32,
    captures: Vec<Place>,
    captured: HashMap<Text, u32>,
}

impl Context {
    fn bind(&mut self, name: Text) {
        self.scope.push((name, self.slots));
        self.slots += 1;
    }
}

struct Resolver<'a> {
    world: &'a World<'a>,
    id: &'a str,
    package: &'a Package,
    contexts: Vec<Context>,
    matches: usize,
}

/// All code of a package, and how many matches it has.
pub(crate) fn resolve(world: &World<'_>, id: &str, package: &Package) -> Option<(Vec<Code>, usize)> {
    let mut resolver = Resolver { world, id, package, contexts: Vec::new(), matches: 0 };
    let mut code = Vec::new();
    for module in &package.modules {
        for (_, value) in &module.values {
            code.push(resolver.function(&[], value)?);
        }
    }
    for Body(params, body) in package.modules.iter().flat_map(|module| &module.bodies) {
        code.push(resolver.function(params, body)?);
    }
    Some((code, resolver.matches))
}

impl Resolver<'_> {
    fn name(&self, (package, module, entity): Ref) -> Option<Name<'_>> {
        let Package { strings, dotted, .. } = self.package;
        let id = package.map_or(Some(self.id), |package| text(strings, package))?;
        Some((id, text(dotted, module)?, text(dotted, entity)?))
    }

    /// The place of a field or constructor.
    fn label(&self, data: Ref, label: Text) -> Option<u32> {
        let (labels, label) = (self.world.data.get(&self.name(data)?)?, text(&self.package.strings, label)?);
        count(labels.iter().position(|known| *known == label)?)
    }

    fn context(&mut self) -> Option<&mut Context> {
        self.contexts.last_mut()
    }

    fn variable(&mut self, name: Text) -> Option<Place> {
        let find = |context: &Context| {
            let local =
                context.scope.iter().rev().find(|(bound, _)| *bound == name).map(|(_, slot)| Place::Local(*slot));
            local.or_else(|| context.captured.get(&name).map(|n| Place::Captured(*n)))
        };
        let level = self.contexts.iter().rposition(|context| find(context).is_some())?;
        let mut place = find(self.contexts.get(level)?)?;
        for context in self.contexts.iter_mut().skip(level + 1) {
            let number = count(context.captures.len())?;
            context.captures.push(place);
            context.captured.insert(name, number);
            place = Place::Captured(number);
        }
        Some(place)
    }

    fn function(&mut self, params: &[Text], body: &Expr) -> Option<Code> {
        let mut context = Context::default();
        params.iter().for_each(|param| context.bind(*param));
        self.contexts.push(context);
        let code = self.code(body)?;
        let done = self.contexts.pop()?;
        Some(Code::Closure(done.captures, count(params.len())?, Box::new(code)))
    }

    fn boxed(&mut self, expr: &Expr) -> Option<Box<Code>> {
        self.code(expr).map(Box::new)
    }

    fn pair(&mut self, [first, second]: &[Expr; 2]) -> Option<Box<[Code; 2]>> {
        Some(Box::new([self.code(first)?, self.code(second)?]))
    }

    fn several<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>) -> Option<Vec<Code>> {
        exprs.into_iter().map(|expr| self.code(expr)).collect()
    }

    fn code(&mut self, expr: &Expr) -> Option<Code> {
        Some(match expr {
            Expr::Var(name) => Code::Place(self.variable(*name)?),
            Expr::Value(id) => Code::Global(*self.world.values.get(&self.name(*id)?)?),
            Expr::Builtin(n) => Code::Builtin(*n),
            Expr::Constant(n) | Expr::Literal(Literal::Fixed(n) | Literal::Other(n)) => Code::Constant(*n),
            Expr::Literal(Literal::Int64(n)) => Code::Int64(*n),
            Expr::Literal(Literal::Text(n)) => Code::Text(text(&self.package.strings, *n)?.into()),
            Expr::Record(id, fields) => {
                for (place, (field, _)) in fields.iter().enumerate() {
                    (self.label(*id, *field)? == count(place)?).then_some(())?;
                }
                Code::Record(self.several(fields.iter().map(|(_, value)| value))?)
            }
            Expr::Project(id, field, record) => Code::Project(self.label(*id, *field)?, self.boxed(record)?),
            Expr::Update(id, field, parts) => Code::Update(self.label(*id, *field)?, self.pair(parts)?),
            Expr::Variant(id, name, argument) => Code::Variant(self.label(*id, *name)?, self.boxed(argument)?),
            Expr::Enum(id, name) => Code::Enum(self.label(*id, *name)?),
            Expr::Struct(fields) => {
                let (labels, values): (Vec<_>, Vec<_>) = fields.iter().map(|(label, value)| (*label, value)).unzip();
                Code::Struct(labels, self.several(values)?)
            }
            Expr::StructProject(field, record) => Code::StructProject(*field, self.boxed(record)?),
            Expr::StructUpdate(field, parts) => Code::StructUpdate(*field, self.pair(parts)?),
            Expr::Apply(function, arguments) => {
                let (mut head, mut all) = (&**function, vec![arguments]);
                loop {
                    match head {
                        Expr::Erased(inner) => head = inner,
                        Expr::Apply(inner, more) => {
                            all.push(more);
                            head = inner;
                        }
                        _ => break,
                    }
                }
                Code::Call(self.boxed(head)?, self.several(all.into_iter().rev().flatten())?)
            }
            Expr::Function(..) => {
                let (mut params, mut body) = (Vec::new(), expr);
                loop {
                    match body {
                        Expr::Erased(inner) => body = inner,
                        Expr::Function(more, inner) => {
                            params.extend(more);
                            body = inner;
                        }
                        _ => break self.function(&params, body)?,
                    }
                }
            }
            Expr::Erased(inner) => self.code(inner)?,
            Expr::Case(scrutinee, alternatives) => self.case(scrutinee, alternatives)?,
            Expr::Let(bindings, body) | Expr::Block(bindings, body) => self.bindings(bindings, body)?,
            Expr::List(front, tail) => {
                let front = self.several(front)?;
                Code::List(front, tail.as_ref().map(|tail| self.boxed(tail)).unwrap_or_default())
            }
            Expr::Form(form, of, parts) | Expr::Action(form, of, parts) => {
                if let Some(of) = of {
                    self.world.data.get(&self.name(*of)?)?;
                }
                Code::Form(*form, self.several(parts)?)
            }
            Expr::Try(body, name, handler) => {
                Code::Form(11, vec![self.function(&[], body)?, self.function(&[*name], handler)?])
            }
        })
    }

    /// What is done with names in scope that end with it.
    fn scoped<T>(&mut self, work: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let names = self.context()?.scope.len();
        let done = work(self)?;
        let context = self.context()?;
        context.slots -= count(context.scope.len() - names)?;
        context.scope.truncate(names);
        Some(done)
    }

    fn bindings(&mut self, bindings: &[(Text, Expr)], body: &Expr) -> Option<Code> {
        self.scoped(|this| {
            let mut bound = Vec::with_capacity(bindings.len());
            for (name, value) in bindings {
                bound.push(this.code(value)?);
                this.context()?.bind(*name);
            }
            Some(Code::Let(bound, this.boxed(body)?))
        })
    }

    fn case(&mut self, scrutinee: &Expr, alternatives: &[(Pattern, Expr)]) -> Option<Code> {
        self.matches += 1;
        let scrutinee = self.boxed(scrutinee)?;
        let mut arms = Vec::with_capacity(alternatives.len());
        for (pattern, body) in alternatives {
            let (rank, names) = match pattern {
                Pattern::Default | Pattern::Nil | Pattern::None => (0, [None, None]),
                Pattern::Constant(n) => (u32::try_from(*n).ok()?, [None, None]),
                Pattern::Variant(id, name, binder) => (self.label(*id, *name)?, [Some(*binder), None]),
                Pattern::Enum(id, name) => (self.label(*id, *name)?, [None, None]),
                Pattern::Cons(head, tail) => (1, [Some(*head), Some(*tail)]),
                Pattern::Some(name) => (1, [Some(*name), None]),
            };
            arms.push(self.scoped(|this| {
                for name in names.into_iter().flatten() {
                    this.context()?.bind(name);
                }
                Some((rank, this.code(body)?))
            })?);
        }
        Some(Code::Match(scrutinee, arms))
    }
}
