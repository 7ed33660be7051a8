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
                    if tail {
                        let from = self.stack.len() - at(arguments);
                        drop(self.stack.drain(self.current.base..from));
                    }
                    let called = Current { closure, next: 0, base: self.stack.len() - at(arguments) };
                    let caller = std::mem::replace(&mut self.current, called);
                    if !tail {
                        self.frames.push(Frame::Return(caller));
                    }
                }
                Leave::Return => {
                    let Some(Frame::Return(caller)) = self.frames.pop() else { return };
                    let base = self.current.base;
                    let last = self.stack.len() - 1;
                    self.stack.swap(base, last);
                    self.stack.truncate(base + 1);
                    self.current = caller;
                }
            }
        }
    }

    fn run_function(&mut self, budget: &mut u64) -> Leave {
        let Self { stack, frames, registry, current, .. } = self;
        let Current { closure, next, base } = current;
        let (code, base) = (&*closure.code, *base);
        let ops = &closure.body().ops[at(*next)..];
        let mut left = ops.iter();
        let mut from = at(*next);
        let leave = loop {
            let Some(op) = left.next().filter(|_| *budget > 0) else { break Leave::Stop };
            match *op {
                Op::Local(slot) => stack.push(stack[base + at(slot)].clone()),
                Op::Captured(n) => stack.push(closure.captures[at(n)].clone()),
                Op::Constant(n) => stack.push(code.constants[at(n)].clone()),
                Op::Fused { function, slot, constant } => {
                    let constant = &code.constants[at(constant)];
                    match numbers(function, &stack[base + at(slot)], constant) {
                        Some(value) => {
                            stack.push(value);
                            left.nth(1);
                            from += 2;
                        }
                        None => stack.push(constant.clone()),
                    }
                }
                Op::Builtin(function) => {
                    let [.., b, a] = &stack[..] else { break Leave::Stop };
                    let Some(value) = numbers(function, a, b) else { break Leave::Stop };
                    stack.pop();
                    if let Some(top) = stack.last_mut() {
                        *top = value;
                    }
                }
                Op::Global(global) => {
                    match registry.global(global).and_then(|(_, definition)| definition.value.get()) {
                        Some(value) => stack.push(value.clone()),
                        None => break Leave::Stop,
                    }
                }
                Op::Match(table) => {
                    let Some(arm) = stack.last().and_then(|value| choose(&code.tables[at(table)], value)) else {
                        break Leave::Stop;
                    };
                    if let Some(value) = stack.pop() {
                        bind(&arm.pattern, &value, stack);
                    }
                    from = at(arm.target);
                    left = closure.body().ops[from..].iter();
                    *budget -= 1;
                    continue;
                }
                Op::Jump(target) => {
                    from = at(target);
                    left = closure.body().ops[from..].iter();
                    *budget -= 1;
                    continue;
                }
                Op::Slide(n) => {
                    let (below, last) = (stack.len() - 1 - at(n), stack.len() - 1);
                    stack.swap(below, last);
                    stack.truncate(below + 1);
                }
                Op::Call(arguments) | Op::TailCall(arguments) if takes_exactly(stack.last(), arguments) => {
                    let tail = matches!(op, Op::TailCall(_));
                    if !tail && frames.len() >= MAX_FRAMES {
                        break Leave::Stop;
                    }
                    from += 1;
                    *budget -= 1;
                    break Leave::Call { arguments, tail };
                }
                Op::Return if matches!(frames.last(), Some(Frame::Return(_))) => {
                    *budget -= 1;
                    break Leave::Return;
                }
                _ => break Leave::Stop,
            }
            from += 1;
            *budget -= 1;
        };
        *next = u32::try_from(from).unwrap_or(u32::MAX);
        leave
    }
}

/// Whether it is one of models' own functions, and takes so many arguments: nearly all calls are of that kind.
fn takes_exactly(function: Option<&V>, arguments: u32) -> bool {
    matches!(function, Some(V::Closure(closure)) if arguments > 0 && closure.body().arity == arguments)
}

/// The result of a function of two numbers, unless that is an error.
fn numbers(function: Builtin, a: &V, b: &V) -> Option<V> {
    let (V::Int64(a), V::Int64(b)) = (a, b) else { return None };
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

/// The first arm that takes the value.
fn choose<'a>(arms: &'a [Arm], value: &V) -> Option<&'a Arm> {
    arms.iter().find(|arm| match (&arm.pattern, value) {
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
    })
}

/// Pushes what the pattern binds.
fn bind(pattern: &ArmPattern, value: &V, stack: &mut Vec<V>) {
    match (pattern, value) {
        (ArmPattern::Variant(_), V::Variant(variant)) => stack.push(variant.value.clone()),
        (ArmPattern::Cons, V::Cons(cons)) => stack.extend([cons.head.clone(), cons.tail.clone()]),
        (ArmPattern::Some, V::Some(inner)) => stack.push((**inner).clone()),
        _ => {}
    }
}
