//! Types of expressions, by a list of tasks and a stack of types instead of recursion.

use super::{
    Fault, Rule,
    types::{Node, Ty},
    world::{Scope, World},
};
use crate::{
    Alternative, BuiltinType as B, DataCons, Expr, ExprId, FieldExpr, Literal, NameId, Type, TypeConApp, TypeId,
};
use base::Name;
use std::{collections::BTreeMap, sync::Arc};

/// What is to be done; the last planned is done first.
pub(super) enum Task<'a> {
    /// Pushes the type of an expression.
    Infer(ExprId),
    /// The type on top must be this one; it is dropped.
    Expect(Ty),
    Push(Ty),
    Bind(NameId, Ty),
    Unbind(usize),
    /// The function on top is applied to an argument.
    Apply(ExprId),
    /// The polymorphic type on top is applied to types.
    Instantiate(&'a [TypeId]),
    /// The function from these types to the one on top.
    Arrows(Vec<Ty>),
    /// The scope of these type variables ends; the type on top is quantified over them.
    Quantify(Vec<u32>),
    /// A struct of the types on top.
    Struct(&'a [FieldExpr]),
    Project(NameId),
    /// The struct on top gets a field replaced; it stays.
    UpdateStruct(NameId, ExprId),
    /// The type on top is that of a scrutinee.
    Alternatives(&'a [Alternative]),
    /// The two types on top must be equal; one stays.
    Same,
    /// The type on top must be `Update t` or `Scenario t`; it stays.
    Monadic(B),
}

/// Where types and variables mean something.
pub(super) struct Infer<'w, 'a> {
    pub(super) world: &'w mut World<'a>,
    pub(super) scope: Scope,
    vars: BTreeMap<NameId, Vec<Ty>>,
    bound: Vec<NameId>,
    tasks: Vec<Task<'a>>,
    done: Vec<Ty>,
}

pub(super) fn mistyped(what: impl Into<String>) -> Fault {
    Fault { rule: Rule::Type, what: what.into() }
}

/// Constructors with their types.
pub(super) type Fields = Arc<[(Name, Ty)]>;

impl<'w, 'a> Infer<'w, 'a> {
    pub(super) fn new(world: &'w mut World<'a>) -> Self {
        Self {
            world,
            scope: Scope::default(),
            vars: BTreeMap::new(),
            bound: Vec::new(),
            tasks: Vec::new(),
            done: Vec::new(),
        }
    }

    pub(super) fn bind(&mut self, name: NameId, ty: Ty) {
        self.vars.entry(name).or_default().push(ty);
        self.bound.push(name);
    }

    pub(super) fn unbind(&mut self, count: usize) {
        for name in self.bound.split_off(self.bound.len() - count) {
            self.vars.get_mut(&name).and_then(Vec::pop);
        }
    }

    /// An expression must have this type.
    pub(super) fn check(&mut self, expr: ExprId, expected: Ty) -> Result<(), Fault> {
        self.plan([Task::Infer(expr), Task::Expect(expected)]);
        while let Some(task) = self.tasks.pop() {
            self.world.work()?;
            self.step(task)?;
        }
        Ok(())
    }

    pub(super) fn plan(&mut self, tasks: impl IntoIterator<Item = Task<'a>, IntoIter: DoubleEndedIterator>) {
        self.tasks.extend(tasks.into_iter().rev());
    }

    fn pop(&mut self) -> Ty {
        self.done.pop().expect("each expression pushes its type")
    }

    fn step(&mut self, task: Task<'a>) -> Result<(), Fault> {
        match task {
            Task::Infer(expr) => self.infer(expr)?,
            Task::Expect(expected) => {
                let found = self.pop();
                self.same(expected, found)?;
            }
            Task::Push(ty) => self.done.push(ty),
            Task::Bind(name, ty) => self.bind(name, ty),
            Task::Unbind(count) => self.unbind(count),
            Task::Apply(argument) => {
                let function = self.pop();
                let Some([from, to]) = self.world.types.as_builtin(function, B::Arrow) else {
                    return Err(mistyped(format!("{} is applied, but is no function", self.world.show(function))));
                };
                self.plan([Task::Infer(argument), Task::Expect(from), Task::Push(to)]);
            }
            Task::Instantiate(types) => self.instantiate(types)?,
            Task::Arrows(params) => {
                let result = self.pop();
                let ty = params.iter().rev().fold(result, |to, from| self.world.types.arrow(*from, to));
                self.done.push(ty);
            }
            Task::Quantify(vars) => {
                let body = self.pop();
                let ty = self.world.types.generalize(&vars, body);
                vars.iter().for_each(|_| self.scope.pop());
                self.done.push(ty);
            }
            Task::Struct(fields) => {
                let types = self.done.split_off(self.done.len() - fields.len());
                let names = fields.iter().map(|(name, _)| self.world.package.name(*name).clone());
                let mut all: Vec<(Name, Ty)> = names.zip(types).collect();
                all.sort_by(|(a, _), (b, _)| a.cmp(b));
                if let Some(pair) = all.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                    return Err(mistyped(format!("a struct has field {} twice", pair[0].0)));
                }
                let ty = self.world.types.structure(all.into());
                self.done.push(ty);
            }
            Task::Project(field) => {
                let record = self.pop();
                let ty = self.struct_field(record, field)?;
                self.done.push(ty);
            }
            Task::UpdateStruct(field, update) => {
                let record = *self.done.last().expect("the struct was typed before");
                let ty = self.struct_field(record, field)?;
                self.plan([Task::Infer(update), Task::Expect(ty)]);
            }
            Task::Alternatives(alternatives) => {
                let scrutinee = self.pop();
                self.alternatives(scrutinee, alternatives)?;
            }
            Task::Same => {
                let (second, first) = (self.pop(), self.pop());
                self.same(first, second)?;
                self.done.push(first);
            }
            Task::Monadic(monad) => {
                let found = *self.done.last().expect("the body was typed before");
                if self.world.types.as_builtin::<1>(found, monad).is_none() {
                    return Err(mistyped(format!("{} is no {}", self.world.show(found), monad.text())));
                }
            }
        }
        Ok(())
    }

    fn same(&self, expected: Ty, found: Ty) -> Result<(), Fault> {
        if expected == found {
            return Ok(());
        }
        Err(mistyped(format!("the type is {}, but must be {}", self.world.show(found), self.world.show(expected))))
    }

    fn struct_field(&self, record: Ty, field: NameId) -> Result<Ty, Fault> {
        let name = self.world.package.name(field);
        if let Node::Struct(fields) = self.world.types.node(record)
            && let Some((_, ty)) = fields.iter().find(|(n, _)| n == name)
        {
            return Ok(*ty);
        }
        Err(mistyped(format!("{} is no struct with field {name}", self.world.show(record))))
    }

    fn instantiate(&mut self, types: &[TypeId]) -> Result<(), Fault> {
        let mut ty = self.pop();
        let arguments: Vec<Ty> =
            types.iter().map(|ty| self.world.own(*ty, &mut self.scope)).collect::<Result<_, _>>()?;
        let mut left = &arguments[..];
        while !left.is_empty() {
            let before = left.len();
            (ty, left) = self.world.types.instantiate(ty, left).map_err(|argument| {
                let what = format!("{} has not the kind that it is wanted for", self.world.show(argument));
                Fault { rule: Rule::Kind, what }
            })?;
            if left.len() == before {
                return Err(mistyped(format!("{} is applied to a type, but is not polymorphic", self.world.show(ty))));
            }
        }
        self.done.push(ty);
        Ok(())
    }

    /// A type of values that the package states.
    pub(super) fn value_type(&mut self, ty: TypeId) -> Result<Ty, Fault> {
        let ty = self.world.own(ty, &mut self.scope)?;
        self.world.of_values(ty)
    }

    /// A constructor with arguments of the right kinds: the type, and its fields or constructors.
    pub(super) fn applied(&mut self, app: &TypeConApp) -> Result<(Ty, Fields), Fault> {
        let id = self.world.reference(app.con);
        let con = self.world.con_named(id)?;
        let arguments: Vec<Ty> =
            app.args.iter().map(|ty| self.world.own(*ty, &mut self.scope)).collect::<Result<_, _>>()?;
        let mut ty = self.world.types.con(con);
        for argument in &arguments {
            ty = self.world.types.app(ty, *argument).map_err(|what| Fault { rule: Rule::Kind, what })?;
        }
        self.world.of_values(ty)?;
        Ok((ty, self.fields_of(con, &arguments)?))
    }

    /// Fields or constructors of a data type with these arguments.
    pub(super) fn fields_of(&mut self, con: u32, arguments: &[Ty]) -> Result<Fields, Fault> {
        let fields = self.world.fields(con)?;
        if arguments.is_empty() {
            return Ok(fields);
        }
        Ok(fields.iter().map(|(name, ty)| (name.clone(), self.world.types.open(*ty, arguments))).collect())
    }

    /// The type of one of a record's fields.
    fn record_field(&mut self, app: &TypeConApp, field: NameId) -> Result<(Ty, Ty), Fault> {
        let id = self.world.reference(app.con);
        let con = self.world.con_named(id)?;
        let name = self.world.package.name(field);
        let found = match &self.world.con(con).data.cons {
            DataCons::Record(fields) => fields.iter().position(|(n, _)| n == name),
            _ => None,
        };
        let place = found.ok_or_else(|| mistyped(format!("{id} is no record with field {name}")))?;
        let (ty, fields) = self.applied(app)?;
        Ok((ty, fields[place].1))
    }

    fn infer(&mut self, id: ExprId) -> Result<(), Fault> {
        let expr = self.world.package.expr(id);
        let ty = match expr {
            Expr::Var(name) => {
                let found = self.vars.get(name).and_then(|types| types.last()).copied();
                found.ok_or_else(|| Fault {
                    rule: Rule::Scope,
                    what: format!("variable {} is not in scope", self.world.package.name(*name)),
                })?
            }
            Expr::Value(reference) => self.world.value(*reference)?,
            Expr::Builtin(builtin) => self.world.builtin(*builtin)?,
            Expr::Unit => self.world.types.builtin(B::Unit),
            Expr::Bool(_) => self.world.types.builtin(B::Bool),
            Expr::Literal(literal) => self.literal(literal),
            Expr::EnumCon { con, constructor } => self.enum_con(*con, *constructor)?,
            Expr::Nil(ty) => self.wrapped(B::List, *ty)?,
            Expr::None(ty) => self.wrapped(B::Optional, *ty)?,
            Expr::TypeRep(ty) => {
                self.dynamic(*ty)?;
                self.world.types.builtin(B::TypeRep)
            }
            Expr::Experimental { ty, .. } => self.value_type(*ty)?,
            Expr::RecordCon { .. }
            | Expr::RecordProj { .. }
            | Expr::RecordUpd { .. }
            | Expr::VariantCon { .. }
            | Expr::StructCon(_)
            | Expr::StructProj { .. }
            | Expr::StructUpd { .. } => return self.product(expr),
            Expr::App { .. }
            | Expr::TypeApp { .. }
            | Expr::Abs { .. }
            | Expr::TypeAbs { .. }
            | Expr::Case { .. }
            | Expr::Let { .. } => return self.function(expr),
            Expr::Cons { .. }
            | Expr::Some { .. }
            | Expr::ToAny { .. }
            | Expr::FromAny { .. }
            | Expr::ToAnyException { .. }
            | Expr::FromAnyException { .. }
            | Expr::Throw { .. } => return self.about_type(expr),
            Expr::Update(update) => return self.update(update),
            Expr::Scenario(scenario) => return self.scenario(scenario),
            _ => return self.interface_expr(expr),
        };
        self.done.push(ty);
        Ok(())
    }

    fn literal(&mut self, literal: &Literal) -> Ty {
        let types = &mut self.world.types;
        types.builtin(match literal {
            Literal::Numeric(numeric) => {
                let scale = types.nat(numeric.scale());
                return types.apply(B::Numeric, &[scale]);
            }
            Literal::Int64(_) => B::Int64,
            Literal::Text(_) => B::Text,
            Literal::Timestamp(_) => B::Timestamp,
            Literal::Date(_) => B::Date,
            Literal::FailureCategory(_) => B::FailureCategory,
            Literal::RoundingMode(_) => B::RoundingMode,
        })
    }

    /// A type of values in `List`, `Optional` or the like.
    fn wrapped(&mut self, builtin: B, ty: TypeId) -> Result<Ty, Fault> {
        let inner = self.value_type(ty)?;
        Ok(self.world.types.apply(builtin, &[inner]))
    }

    /// A type that exists at run time: without variables, quantifiers and synonyms.
    fn dynamic(&mut self, root: TypeId) -> Result<Ty, Fault> {
        let package = self.world.package;
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            self.world.work()?;
            let ty = package.ty(id);
            if matches!(ty, Type::Var(_) | Type::Forall(..) | Type::Synonym(..)) {
                return Err(mistyped("a type for run time has variables, quantifiers or synonyms"));
            }
            ty.for_each_part(|part| open.push(part));
        }
        self.value_type(root)
    }

    fn product(&mut self, expr: &'a Expr) -> Result<(), Fault> {
        match expr {
            Expr::RecordCon { con, fields } => {
                let (ty, types) = self.applied(con)?;
                let id = self.world.con_named(self.world.package.reference(con.con))?;
                let package = self.world.package;
                let fits = matches!(self.world.con(id).data.cons, DataCons::Record(_))
                    && fields.iter().map(|(name, _)| package.name(*name)).eq(types.iter().map(|(name, _)| name));
                if !fits {
                    return Err(mistyped(format!("{} is made with other fields than it has", self.world.show(ty))));
                }
                let each = fields.iter().zip(&*types);
                let mut tasks: Vec<_> =
                    each.flat_map(|((_, value), (_, ty))| [Task::Infer(*value), Task::Expect(*ty)]).collect();
                tasks.push(Task::Push(ty));
                self.plan(tasks);
            }
            Expr::RecordProj { con, field, record } => {
                let (ty, field) = self.record_field(con, *field)?;
                self.plan([Task::Infer(*record), Task::Expect(ty), Task::Push(field)]);
            }
            Expr::RecordUpd { con, field, record, update } => {
                let (ty, field) = self.record_field(con, *field)?;
                let first = [Task::Infer(*record), Task::Expect(ty)];
                self.plan(first.into_iter().chain([Task::Infer(*update), Task::Expect(field), Task::Push(ty)]));
            }
            Expr::VariantCon { con, constructor, argument } => {
                let (ty, types) = self.applied(con)?;
                let id = self.world.con_named(self.world.package.reference(con.con))?;
                let name = self.world.package.name(*constructor);
                let found = types.iter().find(|(n, _)| n == name);
                let is_variant = matches!(self.world.con(id).data.cons, DataCons::Variant(_));
                let Some((_, inner)) = found.filter(|_| is_variant) else {
                    return Err(mistyped(format!("{} is no variant with {name}", self.world.show(ty))));
                };
                self.plan([Task::Infer(*argument), Task::Expect(*inner), Task::Push(ty)]);
            }
            Expr::StructCon(fields) => {
                let mut tasks: Vec<_> = fields.iter().map(|(_, value)| Task::Infer(*value)).collect();
                tasks.push(Task::Struct(fields));
                self.plan(tasks);
            }
            Expr::StructProj { field, record } => self.plan([Task::Infer(*record), Task::Project(*field)]),
            Expr::StructUpd { field, record, update } => {
                self.plan([Task::Infer(*record), Task::UpdateStruct(*field, *update)]);
            }
            // All other forms are for the callers.
            _ => {}
        }
        Ok(())
    }

    fn function(&mut self, expr: &'a Expr) -> Result<(), Fault> {
        match expr {
            Expr::App { function, arguments } => {
                let arguments = arguments.iter().map(|argument| Task::Apply(*argument));
                self.plan(std::iter::once(Task::Infer(*function)).chain(arguments).collect::<Vec<_>>());
            }
            Expr::TypeApp { function, types } => self.plan([Task::Infer(*function), Task::Instantiate(types)]),
            Expr::Abs { params, body } => {
                let mut types = Vec::new();
                for (name, ty) in params {
                    let ty = self.value_type(*ty)?;
                    self.bind(*name, ty);
                    types.push(ty);
                }
                self.plan([Task::Infer(*body), Task::Unbind(params.len()), Task::Arrows(types)]);
            }
            Expr::TypeAbs { params, body } => {
                let mut vars = Vec::new();
                for (name, kind) in params {
                    let kind = self.world.kind(self.world.package.arena(), *kind);
                    self.world.check_kind(kind)?;
                    let var = self.world.types.new_var(kind);
                    self.scope.push(*name, var);
                    vars.push(var);
                }
                self.plan([Task::Infer(*body), Task::Quantify(vars)]);
            }
            Expr::Case { scrutinee, alternatives } => {
                self.plan([Task::Infer(*scrutinee), Task::Alternatives(alternatives)]);
            }
            Expr::Let { bindings, body } => {
                let mut tasks = Vec::new();
                for binding in bindings {
                    let ty = self.value_type(binding.binder.1)?;
                    tasks.extend([Task::Infer(binding.bound), Task::Expect(ty), Task::Bind(binding.binder.0, ty)]);
                }
                tasks.extend([Task::Infer(*body), Task::Unbind(bindings.len())]);
                self.plan(tasks);
            }
            // All other forms are for the callers.
            _ => {}
        }
        Ok(())
    }

    fn about_type(&mut self, expr: &'a Expr) -> Result<(), Fault> {
        let (inner, expected, result) = match expr {
            Expr::Cons { ty, front, tail } => {
                let item = self.value_type(*ty)?;
                let list = self.world.types.apply(B::List, &[item]);
                let front = front.iter().flat_map(|value| [Task::Infer(*value), Task::Expect(item)]);
                let rest = [Task::Infer(*tail), Task::Expect(list), Task::Push(list)];
                self.plan(front.chain(rest).collect::<Vec<_>>());
                return Ok(());
            }
            Expr::Some { ty, value } => (value, self.value_type(*ty)?, self.wrapped(B::Optional, *ty)?),
            Expr::ToAny { ty, value } => (value, self.dynamic(*ty)?, self.world.types.builtin(B::Any)),
            Expr::FromAny { ty, value } => {
                self.dynamic(*ty)?;
                (value, self.world.types.builtin(B::Any), self.wrapped(B::Optional, *ty)?)
            }
            Expr::ToAnyException { ty, value } => {
                (value, self.exception_type(*ty)?, self.world.types.builtin(B::AnyException))
            }
            Expr::FromAnyException { ty, value } => {
                self.exception_type(*ty)?;
                (value, self.world.types.builtin(B::AnyException), self.wrapped(B::Optional, *ty)?)
            }
            Expr::Throw { returns, exception, value } => {
                let returns = self.value_type(*returns)?;
                (value, self.exception_type(*exception)?, returns)
            }
            // All other forms are for the callers.
            _ => return Ok(()),
        };
        self.plan([Task::Infer(*inner), Task::Expect(expected), Task::Push(result)]);
        Ok(())
    }

    fn exception_type(&mut self, ty: TypeId) -> Result<Ty, Fault> {
        let Type::Con(reference) = self.world.package.ty(ty) else {
            return Err(mistyped("what is thrown or caught is no exception"));
        };
        let id = self.world.reference(*reference);
        self.world.exception(id)?;
        self.value_type(ty)
    }
}
