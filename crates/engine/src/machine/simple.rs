//! The operations that most programs mostly consist of: done in one loop that keeps what it needs at hand, and cannot fail.
//! What is not so simple is left where it is, for [`Machine::operation`](super::Machine).

use super::{MAX_FRAMES, Machine, at, frame::Current, frame::Frame};
use crate::{
    code::{Arm, ArmPattern, Op},
    value::{Closure, P, V},
};
use lf::Builtin;

/// Why the loop leaves a function.
enum Leave {
    /// What comes next is not simple, or the budget is used up.
    Stop,
    /// A function takes so many arguments from the stack; whether it is the last thing that this one does.
    Call {
        closure: P<Closure>,
        arguments: u32,
        tail: bool,
    },
    Return,
}

impl Machine {
    /// Goes on in the current function, and in those that it calls, as long as operations are simple.
    pub(super) fn run_simple(&mut self, budget: &mut u64) {
        loop {
            // What was just written in parts is slow to read as a whole: so here, parts are moved one by one.
            let (leave, next) = self.run_function(budget);
            match leave {
                Leave::Stop => {
                    self.current.next = next;
                    return;
                }
                Leave::Call { closure, arguments, tail } => {
                    let mut base = self.stack.len() - at(arguments);
                    if tail {
                        drop(self.stack.drain(self.current.base..base));
                        base = self.current.base;
                    }
                    let caller = std::mem::replace(&mut self.current.closure, closure);
                    if !tail {
                        self.frames.push(Frame::Return(Current { closure: caller, next, base: self.current.base }));
                    }
                    (self.current.next, self.current.base) = (0, base);
                }
                Leave::Return => {
                    let Some(Frame::Return(Current { closure, next, base })) = self.frames.pop() else { return };
                    keep_top(&mut self.stack, self.current.base);
                    self.current.closure = closure;
                    (self.current.next, self.current.base) = (next, base);
                }
            }
            *budget -= 1;
        }
    }

    /// Why it leaves the current function, and with which operation that goes on.
    fn run_function(&mut self, budget: &mut u64) -> (Leave, u32) {
        let Self { stack, frames, registry, current: Current { closure, next, base }, .. } = self;
        let (code, ops, base, mut at_op) = (&*closure.code, &closure.body().ops[..], *base, at(*next));
        let leave = loop {
            let Some(op) = ops.get(at_op).filter(|_| *budget > 0) else { break Leave::Stop };
            let mut then = at_op + 1;
            match *op {
                Op::Local(slot) => push_slot(stack, base + at(slot)),
                Op::Captured(n) => push(stack, &closure.captures[at(n)]),
                Op::Constant(n) => push(stack, &code.constants[at(n)]),
                Op::Fused { function, slot, constant } => {
                    let constant = &code.constants[at(constant)];
                    match simple_builtin(function, &stack[base + at(slot)], constant) {
                        Some(value) => {
                            stack.push(value.into());
                            then += 2;
                        }
                        None => push(stack, constant),
                    }
                }
                Op::FusedMatch { function, slot, constant, table } => {
                    let constant = &code.constants[at(constant)];
                    let value = simple_builtin(function, &stack[base + at(slot)], constant);
                    match value.and_then(|value| branch_on(&code.tables[at(table)], value)) {
                        Some(target) => then = at(target),
                        None => push(stack, constant),
                    }
                }
                Op::Builtin(function) => {
                    let [.., b, a] = &mut stack[..] else { break Leave::Stop };
                    match (simple_builtin(function, a, b), &mut *b) {
                        (Some(Simple::Int64(value)), V::Int64(place)) => *place = value,
                        (Some(value), _) => *b = value.into(),
                        (None, _) => break Leave::Stop,
                    }
                    stack.truncate(stack.len() - 1);
                }
                Op::Global(global) => match registry.value(global) {
                    Some(value) => push(stack, value),
                    None => break Leave::Stop,
                },
                Op::GlobalCall { global, arguments } => match registry.value(global) {
                    Some(V::Closure(closure)) if closure.takes(arguments) && frames.len() < MAX_FRAMES => {
                        at_op += 2;
                        break Leave::Call { closure: closure.clone(), arguments, tail: false };
                    }
                    Some(value) => push(stack, value),
                    None => break Leave::Stop,
                },
                Op::Match(table) => match branch(&code.tables[at(table)], stack) {
                    Some(target) => then = at(target),
                    None => break Leave::Stop,
                },
                Op::Jump(target) => then = at(target),
                Op::Slide(n) => keep_top(stack, stack.len() - 1 - at(n)),
                Op::Call(arguments) if takes(stack.last(), arguments) && frames.len() < MAX_FRAMES => {
                    let Some(V::Closure(closure)) = stack.pop() else { break Leave::Stop };
                    at_op = then;
                    break Leave::Call { closure, arguments, tail: false };
                }
                Op::TailCall(arguments) if takes(stack.last(), arguments) => {
                    let Some(V::Closure(closure)) = stack.pop() else { break Leave::Stop };
                    break Leave::Call { closure, arguments, tail: true };
                }
                Op::Return if matches!(frames.last(), Some(Frame::Return(_))) => break Leave::Return,
                _ => break Leave::Stop,
            }
            at_op = then;
            *budget -= 1;
        };
        (leave, u32::try_from(at_op).unwrap_or(u32::MAX))
    }
}

#[inline]
fn push(stack: &mut Vec<V>, value: &V) {
    match value {
        V::Int64(value) => stack.push(V::Int64(*value)),
        other => stack.push(other.clone()),
    }
}

#[inline]
fn push_slot(stack: &mut Vec<V>, slot: usize) {
    match &stack[slot] {
        V::Int64(value) => stack.push(V::Int64(*value)),
        other => stack.push(other.clone()),
    }
}

/// Drops all values from a height on but the one on top.
#[inline]
fn keep_top(stack: &mut Vec<V>, from: usize) {
    let last = stack.len() - 1;
    match stack[last] {
        V::Int64(value) => stack[from] = V::Int64(value),
        _ => stack.swap(from, last),
    }
    stack.truncate(from + 1);
}

impl Closure {
    /// Whether it takes exactly so many arguments: in nearly all calls it does.
    #[inline]
    fn takes(&self, arguments: u32) -> bool {
        arguments > 0 && self.body().arity == arguments
    }
}

/// Whether it is one of models' own functions, and takes exactly so many arguments.
#[inline]
fn takes(function: Option<&V>, arguments: u32) -> bool {
    matches!(function, Some(V::Closure(closure)) if closure.takes(arguments))
}

/// What simple functions give.
#[derive(Clone, Copy)]
enum Simple {
    Int64(i64),
    Bool(bool),
}

impl From<Simple> for V {
    #[inline]
    fn from(value: Simple) -> Self {
        match value {
            Simple::Int64(value) => Self::Int64(value),
            Simple::Bool(value) => Self::Bool(value),
        }
    }
}

/// The result of a function of two numbers or of two truths, unless that is an error.
#[inline]
fn simple_builtin(function: Builtin, a: &V, b: &V) -> Option<Simple> {
    let (a, b) = match (a, b) {
        (V::Int64(a), V::Int64(b)) => (a, b),
        (V::Bool(a), V::Bool(b)) if function == Builtin::Equal => return Some(Simple::Bool(a == b)),
        _ => return None,
    };
    match function {
        Builtin::AddInt64 => a.checked_add(*b).map(Simple::Int64),
        Builtin::SubInt64 => a.checked_sub(*b).map(Simple::Int64),
        Builtin::MulInt64 => a.checked_mul(*b).map(Simple::Int64),
        Builtin::Equal => Some(Simple::Bool(a == b)),
        Builtin::Less => Some(Simple::Bool(a < b)),
        Builtin::LessEq => Some(Simple::Bool(a <= b)),
        Builtin::Greater => Some(Simple::Bool(a > b)),
        Builtin::GreaterEq => Some(Simple::Bool(a >= b)),
        _ => None,
    }
}

/// Where the first arm that takes a truth goes on.
#[inline]
fn branch_on(arms: &[Arm], value: Simple) -> Option<u32> {
    let Simple::Bool(value) = value else { return None };
    let takes = |arm: &&Arm| match arm.pattern {
        ArmPattern::Any => true,
        ArmPattern::Bool(expected) => expected == value,
        _ => false,
    };
    arms.iter().find(takes).map(|arm| arm.target)
}

/// Pops a value and pushes what the first arm that takes it binds. Where that arm goes on; nothing is done if there is none.
#[inline]
fn branch(arms: &[Arm], stack: &mut Vec<V>) -> Option<u32> {
    let value = stack.last()?;
    let arm = arms.iter().find(|arm| match (&arm.pattern, value) {
        (ArmPattern::Any, _)
        | (ArmPattern::Unit, V::Unit)
        | (ArmPattern::Nil, V::Nil)
        | (ArmPattern::Cons, V::Cons(_))
        | (ArmPattern::None, V::None)
        | (ArmPattern::Some, V::Some(_)) => true,
        (ArmPattern::Variant(rank), V::Variant(variant)) => variant.constructor.rank == *rank,
        (ArmPattern::Enum(rank), V::Enum(constructor)) => constructor.rank == *rank,
        (ArmPattern::Bool(expected), V::Bool(flag)) => expected == flag,
        _ => false,
    })?;
    match (&arm.pattern, stack.pop()?) {
        (ArmPattern::Variant(_), V::Variant(variant)) => push(stack, &variant.value),
        (ArmPattern::Cons, V::Cons(cons)) => {
            push(stack, &cons.head);
            push(stack, &cons.tail);
        }
        (ArmPattern::Some, V::Some(inner)) => push(stack, &inner),
        _ => {}
    }
    Some(arm.target)
}
