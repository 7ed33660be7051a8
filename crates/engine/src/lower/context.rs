//! What lowering knows while it runs: the functions it is inside of, and what is left to do.

use crate::{
    EngineError,
    code::{Arm, ArmPattern, Code, Function, Op, Place},
    registry::{Loaded, Registry},
    run::Stop,
    ty::Ty,
    typing::Typed,
    value::V,
};
use base::Identifier;
use lf::{ExprId, NameId, RefId, Type, TypeId};
use std::{collections::BTreeMap, sync::Arc};
use transaction::Numeric;

/// A variable that no model can name: the value that an update action was made with.
pub(super) const HIDDEN: NameId = NameId(u32::MAX);

/// Variables for scales come from here on: a type's variable and an expression's may have the same name.
const SCALES: u32 = 1 << 31;

/// The variable that holds a number of the scale that a type variable stands for.
pub(super) fn scale_name(name: NameId) -> NameId {
    NameId(name.0 | SCALES)
}

/// One piece of work. An expression, when done, has pushed one value, also where it is a tail and has returned.
pub(super) enum Task {
    /// Evaluate; the flag: as the last thing of the function.
    Expr(ExprId, bool),
    /// Evaluate to an update action and run it.
    Run(ExprId, bool),
    Variable(NameId, bool),
    /// A number of the scale that a type stands for.
    Scale(TypeId),
    /// A ledger action as a value.
    Action(ExprId),
    /// What follows the first action of a block.
    Block(ExprId),
    Op(Op),
    Call(u32, bool),
    Return(bool),
    /// The value on top gets a name.
    Name(NameId),
    /// The same for a value that is needed by this name only: what has a slot already stays there.
    Bind(NameId),
    /// The last names are no longer visible; drops their values below the top.
    Leave(u32, bool),
    /// A function with these parameters begins.
    Begin(Vec<NameId>),
    /// It ends; the function around it pushes its closure.
    End,
    Match(Vec<ArmPattern>),
    Arm {
        arm: usize,
        binders: Vec<NameId>,
    },
    EndArm {
        binders: u32,
        tail: bool,
    },
    EndMatch,
}

/// A function on the way.
pub(super) struct Context {
    function: usize,
    arity: u32,
    ops: Vec<Op>,
    scope: Vec<Bound>,
    /// How many values the function has on the stack.
    depth: u32,
    captures: Vec<Place>,
    captured: BTreeMap<NameId, u32>,
}

/// A name for a slot.
#[derive(Clone, Copy)]
struct Bound {
    name: NameId,
    slot: u32,
    /// Whether the slot ends with the name.
    owned: bool,
}

impl Bound {
    fn new(name: NameId, slot: u32) -> Self {
        Self { name, slot, owned: true }
    }
}

struct OpenMatch {
    table: usize,
    depth: u32,
    jumps: Vec<usize>,
}

pub(super) struct Lowering<'a> {
    pub(super) registry: &'a Registry,
    pub(super) loaded: &'a Loaded,
    pub(super) code: Code,
    pub(super) tasks: Vec<Task>,
    contexts: Vec<Context>,
    matches: Vec<OpenMatch>,
    ids: BTreeMap<RefId, u32>,
}

/// Numbers of parts of one definition.
pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).expect("a definition has fewer than 2^32 parts")
}

fn index(number: u32) -> usize {
    usize::try_from(number).expect("32-bit numbers fit a usize")
}

pub(super) fn ill_typed(what: impl Into<String>) -> Stop {
    Stop::error(EngineError::IllTyped(what.into()))
}

impl<'a> Lowering<'a> {
    pub(super) fn new(registry: &'a Registry, loaded: &'a Loaded) -> Self {
        let v1 = loaded.package.language_version().is_v1();
        let code = Code { v1, shares_keys: loaded.shares_keys(), constants: vec![V::Unit], ..Code::default() };
        Self {
            registry,
            loaded,
            code,
            tasks: Vec::new(),
            contexts: Vec::new(),
            matches: Vec::new(),
            ids: BTreeMap::new(),
        }
    }

    /// Adds tasks so that they are done in this order, before those that are there.
    pub(super) fn plan(&mut self, tasks: impl IntoIterator<Item = Task, IntoIter: DoubleEndedIterator>) {
        self.tasks.extend(tasks.into_iter().rev());
    }

    /// Does everything planned.
    pub(super) fn work(&mut self) -> Result<(), Stop> {
        while let Some(task) = self.tasks.pop() {
            match task {
                Task::Expr(expr, tail) => self.expression(expr, tail)?,
                Task::Run(expr, tail) => self.run(expr, tail)?,
                Task::Variable(name, tail) => {
                    self.variable(name)?;
                    self.end(tail);
                }
                Task::Scale(ty) => self.scale(ty)?,
                Task::Action(update) => self.ledger_action(update, None)?,
                Task::Block(block) => self.block(block),
                Task::Op(op) => self.emit(op),
                Task::Call(n, tail) => self.emit(if tail { Op::TailCall(n) } else { Op::Call(n) }),
                Task::Return(tail) => self.end(tail),
                Task::Name(name) => self.name_top(name),
                Task::Bind(name) => self.bind(name),
                Task::Leave(n, tail) => self.leave(n, tail),
                Task::Begin(params) => self.begin(&params),
                Task::End => self.finish(),
                Task::Match(patterns) => self.begin_match(patterns),
                Task::Arm { arm, binders } => self.begin_arm(arm, &binders),
                Task::EndArm { binders, tail } => self.end_arm(binders, tail),
                Task::EndMatch => self.end_match(),
            }
        }
        Ok(())
    }

    fn context(&mut self) -> &mut Context {
        self.contexts.last_mut().expect("there is always a function being lowered")
    }

    /// Adds an operation and notes how many values it leaves.
    pub(super) fn emit(&mut self, op: Op) {
        let (popped, pushed) = self.effect(op);
        let context = self.context();
        context.depth = context.depth + pushed - popped;
        context.ops.push(op);
    }

    pub(super) fn end(&mut self, tail: bool) {
        if tail {
            self.emit(Op::Return);
        }
    }

    /// How many values an operation pops and pushes.
    fn effect(&self, op: Op) -> (u32, u32) {
        match op {
            Op::Local(_)
            | Op::Captured(_)
            | Op::Fused { .. }
            | Op::FusedMatch { .. }
            | Op::GlobalCall { .. }
            | Op::Constant(_)
            | Op::Global(_)
            | Op::Closure(_)
            | Op::Time
            | Op::CreateOf
            | Op::Contract { .. } => (0, 1),
            Op::Call(n) | Op::TailCall(n) => (n + 1, 1),
            Op::Builtin(builtin) => (count(builtin.arity()), 1),
            Op::Slide(n) | Op::Cons(n) => (n + 1, 1),
            Op::Reverse(n) => (n, n),
            Op::Record { fields, .. } => (fields, 1),
            Op::Struct(shape) => (count(self.code.structs[index(shape)].labels.len()), 1),
            Op::Update(_)
            | Op::StructUpdate(_)
            | Op::Try
            | Op::UnsafeFromInterface(_)
            | Op::UnsafeFromRequiredInterface(_)
            | Op::Create => (2, 1),
            Op::Match(_) | Op::Precondition(_) => (1, 0),
            Op::Begin { .. } => (2, 0),
            Op::Return
            | Op::Jump(_)
            | Op::PreventBegin
            | Op::PreventEnd
            // Skipped together with the call before it, so that both count for nothing.
            | Op::Verify { .. }
            | Op::End
            | Op::Fetch { .. } => (0, 0),
            Op::Project(_)
            | Op::Variant(_)
            | Op::StructProject(_)
            | Op::Some
            | Op::ToAny(_)
            | Op::FromAny(_)
            | Op::Throw(_)
            | Op::FromInterface(_)
            | Op::FromRequiredInterface(_)
            | Op::Method { .. }
            | Op::View(_)
            | Op::InterfaceSignatories
            | Op::InterfaceObservers
            | Op::InterfaceTypeRep
            | Op::ByKey { .. }
            | Op::TimeLess => (1, 1),
        }
    }

    /// Adds an operation that is skipped together with others, so that it counts for nothing.
    pub(super) fn emit_skipped(&mut self, op: Op) {
        self.context().ops.push(op);
    }

    pub(super) fn constant(&mut self, value: V) -> Op {
        self.code.constants.push(value);
        Op::Constant(count(self.code.constants.len() - 1))
    }

    pub(super) fn unit() -> Op {
        Op::Constant(0)
    }

    pub(super) fn reference(&self, id: RefId) -> &'a Identifier {
        self.loaded.package.reference(id)
    }

    /// The number of an identifier in the code's table.
    pub(super) fn id(&mut self, reference: RefId) -> u32 {
        if let Some(number) = self.ids.get(&reference) {
            return *number;
        }
        let number = self.add_id(self.reference(reference).clone());
        self.ids.insert(reference, number);
        number
    }

    pub(super) fn add_id(&mut self, id: Identifier) -> u32 {
        self.code.ids.push(Arc::new(id));
        count(self.code.ids.len() - 1)
    }

    pub(super) fn name(&mut self, name: NameId) -> u32 {
        self.code.names.push(self.loaded.package.name(name).clone());
        count(self.code.names.len() - 1)
    }

    pub(super) fn ty(&mut self, ty: TypeId) -> Result<u32, Stop> {
        let loaded = self.registry.need(self.loaded.package.id())?;
        let closed = Ty::closed(self.registry, Typed::closed(loaded, ty)).map_err(|package| Stop::package(&package))?;
        self.code.types.push(closed.ok_or_else(|| ill_typed("a type of Any or TypeRep is not closed"))?);
        Ok(count(self.code.types.len() - 1))
    }

    /// A function with parameters in slots begins.
    pub(super) fn begin(&mut self, params: &[NameId]) {
        let arity = count(params.len());
        let scope = params.iter().enumerate().map(|(i, name)| Bound::new(*name, arity - 1 - count(i))).collect();
        self.code.functions.push(Function::default());
        self.contexts.push(Context {
            function: self.code.functions.len() - 1,
            arity,
            ops: Vec::new(),
            scope,
            depth: arity,
            captures: Vec::new(),
            captured: BTreeMap::new(),
        });
    }

    /// The function ends; the one around it pushes its closure.
    pub(super) fn finish(&mut self) {
        let Some(done) = self.contexts.pop() else { return };
        let Context { function, arity, mut ops, captures, .. } = done;
        crate::code::fuse(&mut ops, &self.code.constants);
        self.code.functions[function] = Function { arity, captures, ops };
        if !self.contexts.is_empty() {
            self.emit(Op::Closure(count(function)));
        }
    }

    fn name_top(&mut self, name: NameId) {
        let context = self.context();
        context.scope.push(Bound::new(name, context.depth - 1));
    }

    fn bind(&mut self, name: NameId) {
        let context = self.context();
        if let Some(Op::Local(slot)) = context.ops.last().copied() {
            context.ops.pop();
            context.depth -= 1;
            context.scope.push(Bound { name, slot, owned: false });
        } else {
            self.name_top(name);
        }
    }

    /// Gives a name to a slot.
    pub(super) fn bind_slot(&mut self, name: NameId, slot: u32) {
        self.context().scope.push(Bound::new(name, slot));
    }

    fn leave(&mut self, n: u32, tail: bool) {
        let context = self.context();
        let left = context.scope.len() - index(n);
        let values = count(context.scope.drain(left..).filter(|bound| bound.owned).count());
        if tail {
            context.depth -= values;
        } else if values > 0 {
            self.emit(Op::Slide(values));
        }
    }

    /// Whether a type is a scale that is passed on at run time: in LF 1, where functions of scales are functions.
    pub(super) fn is_scale(&self, ty: TypeId) -> bool {
        match self.loaded.package.ty(ty) {
            Type::Nat(_) => true,
            Type::Var(name) => {
                let scale = scale_name(*name);
                self.contexts.iter().any(|context| context.scope.iter().any(|bound| bound.name == scale))
            }
            _ => false,
        }
    }

    pub(super) fn has_scale(&self, types: &[TypeId]) -> bool {
        types.iter().any(|ty| self.is_scale(*ty))
    }

    fn scale(&mut self, ty: TypeId) -> Result<(), Stop> {
        match self.loaded.package.ty(ty) {
            Type::Nat(scale) => {
                let zero = Numeric::from_i64(0, *scale).map_err(|_| ill_typed("a scale is too large"))?;
                let op = self.constant(V::Numeric(zero));
                self.emit(op);
                Ok(())
            }
            Type::Var(name) => self.variable(scale_name(*name)),
            _ => Err(ill_typed("a scale is neither a number nor a variable")),
        }
    }

    /// Pushes a variable: of this function, or through the captures of all functions between.
    fn variable(&mut self, name: NameId) -> Result<(), Stop> {
        let mut place = None;
        let mut level = self.contexts.len();
        while level > 0 && place.is_none() {
            level -= 1;
            let context = &self.contexts[level];
            let local = context.scope.iter().rev().find(|bound| bound.name == name);
            place = local.map(|bound| Place::Local(bound.slot));
            place = place.or_else(|| context.captured.get(&name).map(|n| Place::Captured(*n)));
        }
        let mut place = place.ok_or_else(|| ill_typed(format!("variable {} is not bound", self.shown(name))))?;
        for context in &mut self.contexts[level + 1..] {
            let number = count(context.captures.len());
            context.captures.push(place);
            context.captured.insert(name, number);
            place = Place::Captured(number);
        }
        self.emit(match place {
            Place::Local(slot) => Op::Local(slot),
            Place::Captured(number) => Op::Captured(number),
        });
        Ok(())
    }

    fn shown(&self, name: NameId) -> &str {
        if name.0 >= SCALES { "(hidden)" } else { self.loaded.package.name(name).as_str() }
    }

    fn begin_match(&mut self, patterns: Vec<ArmPattern>) {
        self.code.tables.push(patterns.into_iter().map(|pattern| Arm { pattern, target: 0 }).collect());
        let table = self.code.tables.len() - 1;
        self.emit(Op::Match(count(table)));
        let depth = self.context().depth;
        self.matches.push(OpenMatch { table, depth, jumps: Vec::new() });
    }

    fn begin_arm(&mut self, arm: usize, binders: &[NameId]) {
        let open = self.matches.last().expect("arms come within their match");
        let (table, depth) = (open.table, open.depth);
        let context = self.context();
        context.scope.extend(binders.iter().enumerate().map(|(i, name)| Bound::new(*name, depth + count(i))));
        context.depth = depth + count(binders.len());
        let target = count(context.ops.len());
        self.code.tables[table][arm].target = target;
    }

    fn end_arm(&mut self, binders: u32, tail: bool) {
        self.leave(binders, tail);
        if !tail {
            let jump = self.context().ops.len();
            self.emit(Op::Jump(0));
            self.matches.last_mut().expect("arms come within their match").jumps.push(jump);
        }
    }

    fn end_match(&mut self) {
        let open = self.matches.pop().expect("a match ends once");
        let context = self.context();
        context.depth = open.depth + 1;
        let here = count(context.ops.len());
        for jump in open.jumps {
            context.ops[jump] = Op::Jump(here);
        }
    }
}
