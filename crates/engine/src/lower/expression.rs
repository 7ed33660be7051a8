//! Lowering of expressions.

use super::context::{HIDDEN, Lowering, Task, count, ill_typed, scale_name};
use crate::{
    EngineError,
    code::{ArmPattern, Op, StructShape},
    run::Stop,
    value::{Constructor, V},
};
use base::Name;
use lf::{
    Alternative, Builtin, DataCons, Expr, ExprId, FieldExpr, Kind, KindId, Literal, NameId, Pattern, RefId, TypeConApp,
};
use std::sync::Arc;

impl Lowering<'_> {
    /// Lowers one expression; what is inside it becomes tasks.
    pub(super) fn expression(&mut self, id: ExprId, tail: bool) -> Result<(), Stop> {
        let loaded = self.loaded;
        match loaded.package.expr(id) {
            Expr::Var(name) => self.plan([Task::Variable(*name, tail)]),
            Expr::Value(reference) => {
                let global = self.value(*reference)?;
                self.leaf(Op::Global(global), tail);
            }
            Expr::Builtin(builtin) => self.builtin(*builtin, tail),
            Expr::Unit => self.leaf(Self::unit(), tail),
            Expr::Bool(flag) => self.leaf_value(V::Bool(*flag), tail),
            Expr::Literal(literal) => self.leaf_value(literal_value(literal)?, tail),
            Expr::RecordCon { con, fields } => self.record(con, fields, tail)?,
            Expr::RecordProj { con, field, record } => {
                let op = Op::Project(self.field(con, *field)?);
                self.unary(*record, op, tail);
            }
            Expr::RecordUpd { con, field, record, update } => {
                let op = Op::Update(self.field(con, *field)?);
                self.binary(*record, *update, op, tail);
            }
            Expr::VariantCon { con, constructor, argument } => {
                let constructor = self.constructor(con.con, *constructor)?;
                self.code.constructors.push(constructor);
                let op = Op::Variant(count(self.code.constructors.len() - 1));
                self.unary(*argument, op, tail);
            }
            Expr::EnumCon { con, constructor } => {
                let constructor = self.constructor(*con, *constructor)?;
                self.leaf_value(V::Enum(constructor), tail);
            }
            Expr::StructCon(fields) => self.structure(fields, tail),
            Expr::StructProj { field, record } => {
                let op = Op::StructProject(self.name(*field));
                self.unary(*record, op, tail);
            }
            Expr::StructUpd { field, record, update } => {
                let op = Op::StructUpdate(self.name(*field));
                self.binary(*record, *update, op, tail);
            }
            Expr::App { .. } => self.application(id, tail),
            Expr::TypeApp { .. } if self.passes_scales() => self.application(id, tail),
            Expr::TypeAbs { .. } if self.passes_scales() => self.abstraction(id, tail),
            Expr::TypeApp { function: inner, .. } | Expr::TypeAbs { body: inner, .. } => {
                self.plan([Task::Expr(*inner, tail)]);
            }
            Expr::Abs { .. } => self.abstraction(id, tail),
            Expr::Case { scrutinee, alternatives } => self.case(*scrutinee, alternatives, tail, Task::Expr)?,
            Expr::Let { bindings, body } => {
                let bound = bindings.iter().flat_map(|b| [Task::Expr(b.bound, false), Task::Bind(b.binder.0)]);
                let mut tasks: Vec<_> = bound.collect();
                tasks.extend([Task::Expr(*body, tail), Task::Leave(count(bindings.len()), tail)]);
                self.plan(tasks);
            }
            Expr::Nil(_) => self.leaf_value(V::Nil, tail),
            Expr::Cons { front, tail: rest, .. } => {
                let mut tasks = self.ordered(front.iter().copied().chain([*rest]));
                tasks.extend([Task::Op(Op::Cons(count(front.len()))), Task::Return(tail)]);
                self.plan(tasks);
            }
            Expr::None(_) => self.leaf_value(V::None, tail),
            Expr::Some { value, .. } => self.unary(*value, Op::Some, tail),
            Expr::Update(update) => self.action(id, update, tail),
            other => self.special(other, tail)?,
        }
        Ok(())
    }

    /// The rarer forms: dynamic types, exceptions, interfaces.
    fn special(&mut self, expr: &Expr, tail: bool) -> Result<(), Stop> {
        match expr {
            Expr::ToAny { ty, value } | Expr::ToAnyException { ty, value } => {
                let op = Op::ToAny(self.ty(*ty)?);
                self.unary(*value, op, tail);
            }
            Expr::FromAny { ty, value } | Expr::FromAnyException { ty, value } => {
                let op = Op::FromAny(self.ty(*ty)?);
                self.unary(*value, op, tail);
            }
            Expr::TypeRep(ty) => {
                let ty = self.ty(*ty)?;
                let ty = self.code.types[usize::try_from(ty).unwrap_or(0)].clone();
                self.leaf_value(V::TypeRep(ty), tail);
            }
            Expr::Throw { exception, value, .. } => {
                let op = Op::Throw(self.ty(*exception)?);
                self.unary(*value, op, tail);
            }
            // A value of an interface is the record of its template, which knows its type.
            Expr::ToInterface { value, .. } | Expr::ToRequiredInterface { value, .. } => {
                self.plan([Task::Expr(*value, tail)]);
            }
            Expr::FromInterface { template, value, .. } => {
                let op = Op::FromInterface(self.id(*template));
                self.unary(*value, op, tail);
            }
            Expr::UnsafeFromInterface { template, contract_id, value, .. } => {
                let op = Op::UnsafeFromInterface(self.id(*template));
                self.binary(*contract_id, *value, op, tail);
            }
            Expr::FromRequiredInterface { requiring, value, .. } => {
                let op = Op::FromRequiredInterface(self.id(*requiring));
                self.unary(*value, op, tail);
            }
            Expr::UnsafeFromRequiredInterface { requiring, contract_id, value, .. } => {
                let op = Op::UnsafeFromRequiredInterface(self.id(*requiring));
                self.binary(*contract_id, *value, op, tail);
            }
            Expr::CallInterface { interface, method, value } => {
                let op = Op::Method { interface: self.id(*interface), method: self.name(*method) };
                self.unary(*value, op, tail);
            }
            Expr::ViewInterface { interface, value } => {
                let op = Op::View(self.id(*interface));
                self.unary(*value, op, tail);
            }
            Expr::SignatoryInterface { value, .. } => self.unary(*value, Op::InterfaceSignatories, tail),
            Expr::ObserverInterface { value, .. } => self.unary(*value, Op::InterfaceObservers, tail),
            Expr::InterfaceTemplateTypeRep { value, .. } => self.unary(*value, Op::InterfaceTypeRep, tail),
            other => return Err(Stop::error(EngineError::Unsupported(format!("the expression {other:?}")))),
        }
        Ok(())
    }

    pub(super) fn leaf(&mut self, op: Op, tail: bool) {
        self.emit(op);
        self.end(tail);
    }

    fn leaf_value(&mut self, value: V, tail: bool) {
        let op = self.constant(value);
        self.leaf(op, tail);
    }

    fn unary(&mut self, argument: ExprId, op: Op, tail: bool) {
        self.plan([Task::Expr(argument, false), Task::Op(op), Task::Return(tail)]);
    }

    /// In LF 2 the second argument is evaluated first.
    fn binary(&mut self, first: ExprId, second: ExprId, op: Op, tail: bool) {
        let mut tasks = self.ordered([first, second].into_iter());
        tasks.extend([Task::Op(op), Task::Return(tail)]);
        self.plan(tasks);
    }

    /// Evaluates expressions in the order of the language, so that the first one is on top at the end.
    pub(super) fn ordered(&self, exprs: impl Iterator<Item = ExprId>) -> Vec<Task> {
        let mut tasks: Vec<Task> = exprs.map(|expr| Task::Expr(expr, false)).collect();
        tasks.reverse();
        self.in_order(tasks)
    }

    /// Takes the tasks of an application from the last argument to the function, which is the order of LF 2, and puts
    /// them into the order of the language.
    fn in_order(&self, mut tasks: Vec<Task>) -> Vec<Task> {
        // Where but one of them does something, nobody sees the order.
        let matters = || tasks.iter().filter(|task| !self.is_idle(task)).nth(1).is_some();
        if self.code.v1 && matters() {
            let number = count(tasks.len());
            tasks.reverse();
            tasks.push(Task::Op(Op::Reverse(number)));
        }
        tasks
    }

    /// Whether it pushes what is a value already: a constant, a variable, a function.
    fn is_idle(&self, task: &Task) -> bool {
        let Task::Expr(expr, _) = task else { return matches!(task, Task::Scale(_)) };
        match self.loaded.package.expr(*expr) {
            Expr::Var(_) | Expr::Unit | Expr::Bool(_) | Expr::Literal(_) | Expr::Nil(_) | Expr::None(_) => true,
            Expr::Abs { .. } => true,
            Expr::Value(id) => {
                let id = self.reference(*id);
                let body = self.registry.get(&id.package).and_then(|loaded| loaded.body(id));
                body.is_some_and(|body| matches!(body, Expr::Abs { .. }))
            }
            _ => false,
        }
    }

    fn record(&mut self, con: &TypeConApp, fields: &[FieldExpr], tail: bool) -> Result<(), Stop> {
        for (place, (field, _)) in fields.iter().enumerate() {
            if self.field(con, *field)? != count(place) {
                return Err(ill_typed(format!("fields of a {} are not in order", self.reference(con.con))));
            }
        }
        let op = Op::Record { id: self.id(con.con), fields: count(fields.len()) };
        let mut tasks = self.ordered(fields.iter().map(|(_, value)| *value));
        tasks.extend([Task::Op(op), Task::Return(tail)]);
        self.plan(tasks);
        Ok(())
    }

    fn structure(&mut self, fields: &[FieldExpr], tail: bool) {
        let package = &self.loaded.package;
        let mut order: Vec<_> =
            fields.iter().enumerate().map(|(i, (n, _))| (package.name(*n).clone(), count(i))).collect();
        order.sort();
        let (labels, order): (Vec<Name>, Vec<u32>) = order.into_iter().unzip();
        self.code.structs.push(StructShape { labels: labels.into(), order });
        let op = Op::Struct(count(self.code.structs.len() - 1));
        let mut tasks = self.ordered(fields.iter().map(|(_, value)| *value));
        tasks.extend([Task::Op(op), Task::Return(tail)]);
        self.plan(tasks);
    }

    /// Whether functions of scales are functions: where no arguments tell the scales of results.
    fn passes_scales(&self) -> bool {
        self.code.v1
    }

    /// Nested applications count as one: in LF 2 all arguments from the last to the first, then the function; in LF 1
    /// the other way around.
    fn application(&mut self, id: ExprId, tail: bool) {
        let mut head = id;
        let mut tasks = Vec::new();
        let mut scales = Vec::new();
        loop {
            match self.loaded.package.expr(head) {
                Expr::App { function, arguments: more } => {
                    tasks.append(&mut scales);
                    tasks.extend(more.iter().rev().map(|argument| Task::Expr(*argument, false)));
                    head = *function;
                }
                Expr::TypeApp { function, types } => {
                    if self.passes_scales() {
                        let passed = types.iter().rev().filter(|ty| self.is_scale(**ty));
                        scales.extend(passed.map(|ty| Task::Scale(*ty)));
                    }
                    head = *function;
                }
                _ => break,
            }
        }
        // Functions of the language take a number of the last scale, or none.
        match self.loaded.package.expr(head) {
            Expr::Builtin(builtin) => tasks.extend(scales.into_iter().take(usize::from(builtin.scales() > 0))),
            _ => tasks.append(&mut scales),
        }
        let given = count(tasks.len());
        let mut tasks = match self.loaded.package.expr(head) {
            // What is applied to its types takes no scales any more.
            Expr::Builtin(builtin) => {
                let builtin = with_witness(*builtin);
                let mut tasks = self.in_order(tasks);
                let taken = count(builtin.arity());
                if (1..=given).contains(&taken) {
                    tasks.push(Task::Op(Op::Builtin(builtin)));
                    tasks.extend((given > taken).then(|| Task::Call(given - taken, tail)));
                } else {
                    tasks.push(Task::Op(self.constant(builtin_value(builtin))));
                    tasks.extend((given > 0).then_some(Task::Call(given, tail)));
                }
                tasks
            }
            _ if given == 0 => vec![Task::Expr(head, tail)],
            _ => {
                tasks.push(Task::Expr(head, false));
                let mut tasks = self.in_order(tasks);
                tasks.push(Task::Call(given, tail));
                tasks
            }
        };
        if matches!(tasks.last(), Some(Task::Op(_))) {
            tasks.push(Task::Return(tail));
        }
        self.plan(tasks);
    }

    /// A function of the language as a value. In LF 1 it takes the scales that it is polymorphic in, needed or not.
    fn builtin(&mut self, builtin: Builtin, tail: bool) {
        use Builtin as B;
        let op = self.constant(builtin_value(builtin));
        let scales = match builtin {
            B::AddNumeric | B::SubNumeric | B::RoundNumeric | B::NumericToInt64 | B::NumericToText => 1,
            other => other.scales(),
        };
        if !self.code.v1 || scales == 0 {
            return self.leaf(op, tail);
        }
        let mut tasks = vec![Task::Begin(vec![HIDDEN; scales])];
        if builtin.scales() > 0 {
            // The last scale is that of the result.
            tasks.extend([Task::Variable(HIDDEN, false), Task::Op(op), Task::Call(1, true)]);
        } else {
            tasks.extend([Task::Op(op), Task::Return(true)]);
        }
        tasks.extend([Task::End, Task::Return(tail)]);
        self.plan(tasks);
    }

    /// Nested functions count as one.
    fn abstraction(&mut self, id: ExprId, tail: bool) {
        let mut params = Vec::new();
        let mut body = id;
        loop {
            match self.loaded.package.expr(body) {
                Expr::Abs { params: more, body: inner } => {
                    params.extend(more.iter().map(|(name, _)| *name));
                    body = *inner;
                }
                Expr::TypeAbs { params: types, body: inner } => {
                    if self.passes_scales() {
                        let is_scale = |kind: &KindId| self.loaded.package.arena().kinds[kind.index()] == Kind::Nat;
                        let scales = types.iter().filter(|(_, kind)| is_scale(kind));
                        params.extend(scales.map(|(name, _)| scale_name(*name)));
                    }
                    body = *inner;
                }
                _ => break,
            }
        }
        if params.is_empty() {
            self.plan([Task::Expr(body, tail)]);
            return;
        }
        self.plan([Task::Begin(params), Task::Expr(body, true), Task::End, Task::Return(tail)]);
    }

    pub(super) fn case(
        &mut self,
        scrutinee: ExprId,
        alternatives: &[Alternative],
        tail: bool,
        body: impl Fn(ExprId, bool) -> Task,
    ) -> Result<(), Stop> {
        let arms: Vec<_> = alternatives.iter().map(|a| self.pattern(&a.pattern)).collect::<Result<_, _>>()?;
        let (patterns, binders): (Vec<_>, Vec<_>) = arms.into_iter().unzip();
        let mut tasks = vec![Task::Expr(scrutinee, false), Task::Match(patterns)];
        for (arm, (binders, alternative)) in binders.into_iter().zip(alternatives).enumerate() {
            let bound = count(binders.len());
            let end = Task::EndArm { binders: bound, tail };
            tasks.extend([Task::Arm { arm, binders }, body(alternative.body, tail), end]);
        }
        tasks.push(Task::EndMatch);
        self.plan(tasks);
        Ok(())
    }

    fn pattern(&mut self, pattern: &Pattern) -> Result<(ArmPattern, Vec<NameId>), Stop> {
        Ok(match pattern {
            Pattern::Default => (ArmPattern::Any, Vec::new()),
            Pattern::Variant { con, constructor, binder } => {
                (ArmPattern::Variant(self.constructor(*con, *constructor)?.rank), vec![*binder])
            }
            Pattern::Enum { con, constructor } => {
                (ArmPattern::Enum(self.constructor(*con, *constructor)?.rank), Vec::new())
            }
            Pattern::Unit => (ArmPattern::Unit, Vec::new()),
            Pattern::Bool(flag) => (ArmPattern::Bool(*flag), Vec::new()),
            Pattern::Nil => (ArmPattern::Nil, Vec::new()),
            Pattern::Cons { head, tail } => (ArmPattern::Cons, vec![*head, *tail]),
            Pattern::None => (ArmPattern::None, Vec::new()),
            Pattern::Some(name) => (ArmPattern::Some, vec![*name]),
        })
    }

    pub(super) fn value(&self, reference: RefId) -> Result<crate::code::GlobalRef, Stop> {
        let id = self.reference(reference);
        let loaded = self.registry.need(&id.package)?;
        loaded.value(id).ok_or_else(|| ill_typed(format!("there is no value {id}")))
    }

    /// The place of a field in its record.
    fn field(&self, con: &TypeConApp, field: NameId) -> Result<u32, Stop> {
        let id = self.reference(con.con);
        let name = self.loaded.package.name(field);
        let data = self.registry.need(&id.package)?.data_type(id);
        let place = data.and_then(|data| match &data.cons {
            DataCons::Record(fields) => fields.iter().position(|(label, _)| label == name),
            _ => None,
        });
        Ok(count(place.ok_or_else(|| ill_typed(format!("{id} has no field {name}")))?))
    }

    fn constructor(&self, con: RefId, constructor: NameId) -> Result<Arc<Constructor>, Stop> {
        let id = self.reference(con);
        let name = self.loaded.package.name(constructor);
        let data = self.registry.need(&id.package)?.data_type(id);
        let rank = data.and_then(|data| match &data.cons {
            DataCons::Variant(all) => all.iter().position(|(constructor, _)| constructor == name),
            DataCons::Enum(all) => all.iter().position(|constructor| constructor == name),
            _ => None,
        });
        let rank = count(rank.ok_or_else(|| ill_typed(format!("{id} has no constructor {name}")))?);
        Ok(Arc::new(Constructor { name: name.clone(), rank }))
    }
}

/// Functions of LF 1 that are told a scale by their type, as those that are told it by an argument.
fn with_witness(builtin: Builtin) -> Builtin {
    match builtin {
        Builtin::MulNumericLegacy => Builtin::MulNumeric,
        Builtin::DivNumericLegacy => Builtin::DivNumeric,
        Builtin::CastNumericLegacy => Builtin::CastNumeric,
        Builtin::ShiftNumericLegacy => Builtin::ShiftNumeric,
        Builtin::Int64ToNumericLegacy => Builtin::Int64ToNumeric,
        Builtin::TextToNumericLegacy => Builtin::TextToNumeric,
        other => other,
    }
}

fn builtin_value(builtin: Builtin) -> V {
    match with_witness(builtin) {
        Builtin::GenMapEmpty => V::GenMap(None),
        Builtin::TextMapEmpty => V::TextMap(None),
        other => V::Builtin(other),
    }
}

fn literal_value(literal: &Literal) -> Result<V, Stop> {
    Ok(match literal {
        Literal::Int64(v) => V::Int64(*v),
        Literal::Numeric(v) => V::Numeric(*v),
        Literal::Text(v) => V::Text(v.clone()),
        Literal::Timestamp(v) => V::Timestamp(*v),
        Literal::Date(v) => V::Date(*v),
        Literal::FailureCategory(v) => V::Int64(v.number()),
        Literal::RoundingMode(_) => return Err(Stop::error(EngineError::Unsupported("BigNumeric".into()))),
    })
}
