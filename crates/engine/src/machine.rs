//! The machine: one stack of values, one of frames, one loop. It can stop at any operation and go on later.

mod dynamic;
mod exception;
mod frame;
mod ledger;
mod simple;

pub(crate) use exception::{arithmetic, is_arithmetic, message_of};

use crate::{
    EngineError,
    builtins::{Caller, Outcome, builtin},
    code::{Code, GlobalRef, Op},
    ledger::Ledger,
    registry::Registry,
    run::Stop,
    value::{Closure, P, Partial, Struct, V, Variant},
};
use frame::{Callee, Current, Fold, Frame};
use lf::Builtin;
use std::sync::Arc;

/// What the machine does next.
#[derive(Clone, Copy, Debug)]
enum Mode {
    /// The current function's next operation.
    Execute,
    /// The value on top goes to the frame on top.
    Return,
    /// The function on top takes as many arguments from below it.
    Apply(u32),
}

/// The machine's state.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) registry: Arc<Registry>,
    pub(crate) ledger: Ledger,
    /// What the model traced.
    pub(crate) traces: Vec<Arc<str>>,
    /// Outside of any transaction exceptions come out as they are, and contract ids have texts.
    off_ledger: bool,
    /// The exception that ended the run, if one did.
    pub(crate) uncaught: Option<V>,
    stack: Vec<V>,
    frames: Vec<Frame>,
    current: Current,
    mode: Mode,
}

/// Nested calls; each takes some tens of bytes.
const MAX_FRAMES: usize = 10_000_000;
/// Traces that are kept until somebody takes them.
const MAX_TRACES: usize = 1000;

pub(crate) fn at(number: u32) -> usize {
    usize::try_from(number).expect("32-bit numbers fit a usize")
}

fn ill_typed(what: &str) -> Stop {
    Stop::error(EngineError::IllTyped(what.to_owned()))
}

impl Machine {
    pub(crate) fn new(registry: Arc<Registry>, ledger: Ledger) -> Self {
        let current = Current::entry(Arc::new(Code::default()), 0);
        Self {
            registry,
            ledger,
            traces: Vec::new(),
            off_ledger: false,
            uncaught: None,
            stack: Vec::new(),
            frames: Vec::new(),
            current,
            mode: Mode::Return,
        }
    }

    /// Begins to apply a function to arguments, given in order.
    pub(crate) fn start(
        &mut self,
        function: GlobalRef,
        arguments: impl IntoIterator<Item = V, IntoIter: DoubleEndedIterator>,
    ) -> Result<(), Stop> {
        let function = self.function(function)?;
        self.stack.clear();
        self.stack.extend(arguments.into_iter().rev());
        let n = u32::try_from(self.stack.len()).unwrap_or(u32::MAX);
        self.stack.push(function);
        self.frames.clear();
        self.frames.push(Frame::Bottom);
        self.mode = Mode::Apply(n);
        Ok(())
    }

    /// From now on nothing is part of a transaction.
    pub(crate) fn off_ledger(&mut self) {
        self.off_ledger = true;
    }

    /// Begins with code that takes nothing; what it gives is applied to the arguments, if there are some.
    pub(crate) fn run_code(
        &mut self,
        code: Arc<Code>,
        arguments: impl IntoIterator<Item = V, IntoIter: DoubleEndedIterator>,
    ) {
        self.stack.extend(arguments.into_iter().rev());
        let n = u32::try_from(self.stack.len()).unwrap_or(u32::MAX);
        self.frames.push(Frame::Bottom);
        if n > 0 {
            self.frames.push(Frame::Apply(n));
        }
        self.enter(Current::entry(code, self.stack.len()));
    }

    /// Begins to evaluate a definition, and to apply it if there are arguments.
    #[cfg(test)]
    pub(crate) fn evaluate(&mut self, global: GlobalRef, arguments: Vec<V>) -> Result<(), Stop> {
        let functions = vec![crate::code::Function { ops: vec![Op::Global(global), Op::Return], ..Default::default() }];
        self.run_code(Arc::new(Code { functions, ..Code::default() }), arguments);
        Ok(())
    }

    /// Runs for at most `budget` operations, which it counts down. The value when the function has returned;
    /// `None` if the budget is used up.
    pub(crate) fn run(&mut self, budget: &mut u64) -> Result<Option<V>, Stop> {
        while *budget > 0 {
            let step = match self.mode {
                Mode::Execute => self.execute(budget),
                Mode::Apply(n) => {
                    *budget -= 1;
                    self.apply(n)
                }
                Mode::Return => {
                    *budget -= 1;
                    match self.resume() {
                        Ok(Some(value)) => return Ok(Some(value)),
                        resumed => resumed.map(drop),
                    }
                }
            };
            match step {
                Ok(()) => {}
                Err(Stop::Throw(exception)) => self.unwind(exception)?,
                Err(stop) => return Err(stop),
            }
        }
        Ok(None)
    }

    fn pop(&mut self) -> V {
        self.stack.pop().expect("lowering counts what is on the stack")
    }

    fn top(&self) -> &V {
        self.stack.last().expect("lowering counts what is on the stack")
    }

    /// The function that runs.
    fn running(&self) -> &Closure {
        self.current.callee.closure(&self.registry)
    }

    /// Its code.
    fn here(&self) -> &Arc<Code> {
        &self.running().code
    }

    fn local(&self, slot: u32) -> &V {
        &self.stack[self.current.base + at(slot)]
    }

    fn push_frame(&mut self, frame: Frame) -> Result<(), Stop> {
        if self.frames.len() >= MAX_FRAMES {
            return Err(Stop::error(EngineError::Limit("calls are nested too deeply")));
        }
        self.frames.push(frame);
        Ok(())
    }

    /// Leaves the current function until what comes now has returned.
    fn suspend(&mut self) -> Result<(), Stop> {
        let frame = Frame::Return(self.current.clone());
        self.push_frame(frame)
    }

    /// All operations that are simple, and one that is not. If it stops with a question, that one is done again after the
    /// answer: it has changed nothing.
    fn execute(&mut self, budget: &mut u64) -> Result<(), Stop> {
        self.run_simple(budget);
        if *budget == 0 {
            return Ok(());
        }
        *budget -= 1;
        let op = self.running().body().ops[at(self.current.next)];
        self.current.next += 1;
        let done = self.operation(op);
        if matches!(done, Err(Stop::Need(_))) {
            self.current.next -= 1;
        }
        done
    }

    /// An operation that [`Machine::run_simple`] has left.
    fn operation(&mut self, op: Op) -> Result<(), Stop> {
        match op {
            Op::Global(global) | Op::GlobalCall { global, .. } => self.global(global)?,
            Op::Closure(function) => self.close(function),
            Op::Call(n) => {
                self.suspend()?;
                self.mode = Mode::Apply(n);
            }
            Op::TailCall(n) => {
                let from = self.stack.len() - at(n) - 1;
                drop(self.stack.drain(self.current.base..from));
                self.mode = Mode::Apply(n);
            }
            Op::Return => {
                let value = self.pop();
                self.stack.truncate(self.current.base);
                self.stack.push(value);
                self.mode = Mode::Return;
            }
            Op::Match(_) => return Err(ill_typed("no alternative matches")),
            Op::Builtin(function) => {
                if let Some(value) = self.builtin(function, false)? {
                    self.stack.push(value);
                }
            }
            data => return self.data(data),
        }
        Ok(())
    }

    /// Operations that build data and take it apart.
    fn data(&mut self, op: Op) -> Result<(), Stop> {
        let value = match op {
            Op::Record { id, fields } => {
                let fields = self.pop_many(fields);
                V::record(self.here().ids[at(id)].clone(), fields)
            }
            Op::Project(n) => match self.pop() {
                V::Record(record) => {
                    record.fields.get(at(n)).cloned().ok_or_else(|| ill_typed("a record lacks a field"))?
                }
                _ => return Err(ill_typed("a field of no record")),
            },
            Op::Update(n) => {
                let (record, value) = (self.pop(), self.pop());
                let V::Record(mut record) = record else { return Err(ill_typed("an update of no record")) };
                let field = record.make_mut().fields.get_mut(at(n));
                *field.ok_or_else(|| ill_typed("a record lacks a field"))? = value;
                V::Record(record)
            }
            Op::Variant(n) => {
                let (constructor, value) = (self.here().constructors[at(n)].clone(), self.pop());
                V::Variant(P::new(Variant { constructor, value }))
            }
            Op::Cons(n) => {
                // The last element lies directly above the tail.
                let mut above = self.stack.drain(self.stack.len() - at(n) - 1..);
                let tail = above.next().ok_or_else(|| ill_typed("a list without an end"))?;
                above.fold(tail, |tail, head| V::cons(head, tail))
            }
            Op::Some => V::some(self.pop()),
            Op::Struct(n) => {
                let code = self.here().clone();
                let shape = &code.structs[at(n)];
                let given = self.pop_many(u32::try_from(shape.labels.len()).unwrap_or(u32::MAX));
                let fields = shape.order.iter().map(|place| given[at(*place)].clone()).collect();
                V::Struct(P::new(Struct { labels: shape.labels.clone(), fields }))
            }
            Op::StructProject(n) => {
                let V::Struct(fields) = self.pop() else { return Err(ill_typed("a field of no struct")) };
                fields.fields[self.label(&fields, n)?].clone()
            }
            Op::StructUpdate(n) => {
                let (fields, value) = (self.pop(), self.pop());
                let V::Struct(mut fields) = fields else { return Err(ill_typed("an update of no struct")) };
                let place = self.label(&fields, n)?;
                fields.make_mut().fields[place] = value;
                V::Struct(fields)
            }
            other => return self.dynamic(other),
        };
        self.stack.push(value);
        Ok(())
    }

    fn label(&self, fields: &Struct, name: u32) -> Result<usize, Stop> {
        let name = &self.here().names[at(name)];
        fields.labels.iter().position(|label| label == name).ok_or_else(|| ill_typed("a struct lacks a field"))
    }

    /// Pops values, the one on top first.
    fn pop_many(&mut self, n: u32) -> Vec<V> {
        let from = self.stack.len() - at(n);
        self.stack.drain(from..).rev().collect()
    }

    /// A closure of a function of the running code.
    fn close(&mut self, function: u32) {
        let code = self.here().clone();
        let places = code.functions[at(function)].captures.iter();
        let captures = places.map(|place| match place {
            crate::code::Place::Local(slot) => self.local(*slot).clone(),
            crate::code::Place::Captured(n) => self.running().captures[at(*n)].clone(),
        });
        let captures = captures.collect();
        self.stack.push(V::Closure(P::new(Closure { code, function, captures })));
    }

    fn code(&self, global: GlobalRef) -> Result<Arc<Code>, Stop> {
        self.registry.code(global).cloned()
    }

    /// A definition that is a function of contracts: known without evaluating anything.
    fn function(&self, global: GlobalRef) -> Result<V, Stop> {
        Ok(V::Closure(P::new(Closure { code: self.code(global)?, function: 1, captures: Vec::new() })))
    }

    /// Pushes the value of a definition, evaluating it if nobody has yet.
    fn global(&mut self, global: GlobalRef) -> Result<(), Stop> {
        let (_, definition) = self.registry.global(global).ok_or_else(|| ill_typed("a definition is missing"))?;
        if let Some(value) = definition.value.get() {
            let value = value.clone();
            self.stack.push(value);
            return Ok(());
        }
        let code = self.code(global)?;
        self.suspend()?;
        self.push_frame(Frame::Cache(global))?;
        self.enter(Current::entry(code, self.stack.len()));
        Ok(())
    }

    fn enter(&mut self, current: Current) {
        self.current = current;
        self.mode = Mode::Execute;
    }

    /// Applies the function on top; the frame on top waits for the result.
    fn apply(&mut self, n: u32) -> Result<(), Stop> {
        let function = self.pop();
        if let (V::Builtin(builtin), true) = (&function, n > 0)
            && let Err(stop) = self.prepare(*builtin)
        {
            self.stack.push(function);
            return Err(stop);
        }
        let arity = match &function {
            V::Closure(closure) => closure.body().arity,
            V::Builtin(builtin) => u32::try_from(builtin.arity()).unwrap_or(u32::MAX),
            V::Partial(partial) => {
                self.stack.extend(partial.arguments.iter().rev().cloned());
                let held = u32::try_from(partial.arguments.len()).unwrap_or(u32::MAX);
                self.stack.push(partial.function.clone());
                self.mode = Mode::Apply(n + held);
                return Ok(());
            }
            _ => return Err(ill_typed("something that is no function is applied")),
        };
        if n < arity {
            let arguments = self.pop_many(n);
            let value = if n == 0 { function } else { V::Partial(P::new(Partial { function, arguments })) };
            self.stack.push(value);
            self.mode = Mode::Return;
            return Ok(());
        }
        if n > arity {
            self.push_frame(Frame::Apply(n - arity))?;
        }
        match function {
            V::Closure(closure) => {
                let base = self.stack.len() - at(arity);
                self.enter(Current { callee: Callee::Closure(closure), next: 0, base });
            }
            V::Builtin(function) => {
                self.mode = Mode::Return;
                if let Some(value) = self.builtin(function, true)? {
                    self.stack.push(value);
                }
            }
            _ => return Err(ill_typed("something that is no function is applied")),
        }
        Ok(())
    }

    /// Asks all questions that a function of the language can have, while its arguments are still on the stack.
    fn prepare(&self, function: Builtin) -> Result<(), Stop> {
        if function == Builtin::AnyExceptionMessage
            && let V::Any(any) = self.top()
            && let Some(id) = any.ty.as_con()
            && !exception::is_arithmetic(id)
        {
            self.code(exception::message_of(&self.registry, id)?)?;
        }
        Ok(())
    }

    /// A function of the language with its arguments on the stack. `None`: the machine goes on to compute it.
    fn builtin(&mut self, function: Builtin, tail: bool) -> Result<Option<V>, Stop> {
        self.prepare(function)?;
        let arguments = self.pop_many(u32::try_from(function.arity()).unwrap_or(u32::MAX));
        if let (true, Builtin::ContractIdToText, [V::ContractId(id)]) = (self.off_ledger, function, &arguments[..]) {
            return Ok(Some(V::some(V::text(&id.to_string()))));
        }
        let caller = Caller { registry: &self.registry, v1: self.here().v1 };
        let fold = match builtin(caller, function, arguments)? {
            Outcome::Value(value) => return Ok(Some(value)),
            Outcome::Foldl { function, first, list } => {
                self.stack.push(first);
                Fold::Left { function, list }
            }
            Outcome::Foldr { function, first, list } => {
                self.stack.push(first);
                Fold::Right { function, items: list.items().cloned().collect() }
            }
            Outcome::EqualList { function, left, right } => {
                self.stack.push(V::Bool(true));
                Fold::EqualList { function, left, right }
            }
            Outcome::Trace { message, value } => {
                if self.traces.len() < MAX_TRACES {
                    self.traces.push(message);
                }
                return Ok(Some(value));
            }
            Outcome::Message { global, exception } => {
                self.stack.push(exception);
                if !tail {
                    self.suspend()?;
                }
                self.push_frame(Frame::Apply(1))?;
                self.push_frame(Frame::Cache(global))?;
                let code = self.code(global)?;
                self.enter(Current::entry(code, self.stack.len()));
                return Ok(None);
            }
        };
        if !tail {
            self.suspend()?;
        }
        self.push_frame(Frame::Fold(Box::new(fold)))?;
        self.mode = Mode::Return;
        Ok(None)
    }
}
