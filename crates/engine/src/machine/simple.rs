//! The operations that most programs mostly consist of: done in one loop that keeps what it needs at hand, and cannot fail.
//! What is not so simple is left where it is, for [`Machine::operation`](super::Machine).

use super::{MAX_FRAMES, Machine, at, frame::Current, frame::Frame};
use crate::{
    code::{Arm, ArmPattern, Op},
    value::V,
};
use lf::Builtin;

/// Why the loop leaves a function.
enum Leave {
    /// What comes next is not simple, or the budget is used up.
    Stop,
    /// The function on top takes exactly so many arguments; whether it is the last thing that this one does.
    Call {
        arguments: u32,
        tail: bool,
    },
    Return,
}

impl Machine {
    /// Goes on in the current function, and in those that it calls, as long as operations are simple.
    pub(super) fn run_simple(&mut self, budget: &mut u64) {
        loop {
            match self.run_function(budget) {
                Leave::Stop => return,
                Leave::Call { arguments, tail } => {
                    let Some(V::Closure(closure)) = self.stack.pop() else { return };
                    let base = self.stack.len() - at(arguments);
                    if tail {
                        drop(self.stack.drain(self.current.base..base));
                        self.current = Current { closure, next: 0, base: self.current.base };
                    } else {
                        let caller = std::mem::replace(&mut self.current, Current { closure, next: 0, base });
                        self.frames.push(Frame::Return(caller));
                    }
                }
                Leave::Return => {
                    let Some(Frame::Return(caller)) = self.frames.pop() else { return };
                    keep_top(&mut self.stack, self.current.base);
                    self.current = caller;
                }
            }
            *budget -= 1;
        }
    }

    fn run_function(&mut self, budget: &mut u64) -> Leave {
        let Self { stack, frames, registry, current: Current { closure, next, base }, .. } = self;
        let (code, ops, base, mut at_op) = (&*closure.code, &closure.body().ops[..], *base, at(*next));
        let leave = loop {
            let Some(op) = ops.get(at_op).filter(|_| *budget > 0) else { break Leave::Stop };
            let mut then = at_op + 1;
            match *op {
                Op::Local(slot) => stack.push(stack[base + at(slot)].clone()),
                Op::Captured(n) => stack.push(closure.captures[at(n)].clone()),
                Op::Constant(n) => stack.push(code.constants[at(n)].clone()),
                Op::Fused { function, slot, constant } => {
                    let constant = &code.constants[at(constant)];
                    let value = simple_builtin(function, &stack[base + at(slot)], constant);
                    then += if value.is_some() { 2 } else { 0 };
                    stack.push(value.unwrap_or_else(|| constant.clone()));
                }
                Op::Builtin(function) => {
                    let [.., b, a] = &stack[..] else { break Leave::Stop };
                    let Some(value) = simple_builtin(function, a, b) else { break Leave::Stop };
                    stack.pop();
                    stack.pop();
                    stack.push(value);
                }
                Op::Global(global) => {
                    match registry.global(global).and_then(|(_, definition)| definition.value.get()) {
                        Some(value) => stack.push(value.clone()),
                        None => break Leave::Stop,
                    }
                }
                Op::Match(table) => match branch(&code.tables[at(table)], stack) {
                    Some(target) => then = at(target),
                    None => break Leave::Stop,
                },
                Op::Jump(target) => then = at(target),
                Op::Slide(n) => keep_top(stack, stack.len() - 1 - at(n)),
                Op::Call(arguments) if takes_exactly(stack.last(), arguments) && frames.len() < MAX_FRAMES => {
                    at_op = then;
                    break Leave::Call { arguments, tail: false };
                }
                Op::TailCall(arguments) if takes_exactly(stack.last(), arguments) => {
                    break Leave::Call { arguments, tail: true };
                }
                Op::Return if matches!(frames.last(), Some(Frame::Return(_))) => break Leave::Return,
                _ => break Leave::Stop,
            }
            at_op = then;
            *budget -= 1;
        };
        *next = u32::try_from(at_op).unwrap_or(u32::MAX);
        leave
    }
}

/// Drops all values from a height on but the one on top.
fn keep_top(stack: &mut Vec<V>, from: usize) {
    let last = stack.len() - 1;
    stack.swap(from, last);
    stack.truncate(from + 1);
}

/// Whether it is one of models' own functions, and takes so many arguments: nearly all calls are of that kind.
fn takes_exactly(function: Option<&V>, arguments: u32) -> bool {
    matches!(function, Some(V::Closure(closure)) if arguments > 0 && closure.body().arity == arguments)
}

/// The result of a function of two numbers or of two truths, unless that is an error.
#[inline]
fn simple_builtin(function: Builtin, a: &V, b: &V) -> Option<V> {
    let (a, b) = match (a, b) {
        (V::Int64(a), V::Int64(b)) => (a, b),
        (V::Bool(a), V::Bool(b)) if function == Builtin::Equal => return Some(V::Bool(a == b)),
        _ => return None,
    };
    match function {
        Builtin::AddInt64 => a.checked_add(*b).map(V::Int64),
        Builtin::SubInt64 => a.checked_sub(*b).map(V::Int64),
        Builtin::MulInt64 => a.checked_mul(*b).map(V::Int64),
        Builtin::Equal => Some(V::Bool(a == b)),
        Builtin::Less => Some(V::Bool(a < b)),
        Builtin::LessEq => Some(V::Bool(a <= b)),
        Builtin::Greater => Some(V::Bool(a > b)),
        Builtin::GreaterEq => Some(V::Bool(a >= b)),
        _ => None,
    }
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
        (ArmPattern::Variant(_), V::Variant(variant)) => stack.push(variant.value.clone()),
        (ArmPattern::Cons, V::Cons(cons)) => stack.extend([cons.head.clone(), cons.tail.clone()]),
        (ArmPattern::Some, V::Some(inner)) => stack.push((*inner).clone()),
        _ => {}
    }
    Some(arm.target)
}
