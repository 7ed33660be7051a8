//! The operations that most programs mostly consist of: done in one loop that keeps what it needs at hand, and cannot fail.
//! What is not so simple is left where it is, for [`Machine::operation`](super::Machine).

use super::{
    MAX_FRAMES, Machine, at,
    frame::{Callee, Current, Frame},
};
use crate::{
    code::{Arm, ArmPattern, Op},
    registry::Registry,
    value::{Closure, V},
};
use lf::Builtin;

/// Why the loop leaves a function.
enum Leave {
    /// What comes next is not simple, or the budget is used up.
    Stop,
    /// A function takes so many arguments from the stack; whether it is the last thing that this one does.
    Call {
        callee: Callee,
        arguments: u32,
        tail: bool,
    },
    Return,
}

impl Machine {
    /// Goes on in the current function, and in those that it calls, as long as operations are simple.
    pub(super) fn run_simple(&mut self, budget: &mut u64) {
        let mut left = *budget;
        loop {
            match self.run_function(&mut left) {
                Leave::Stop => break,
                Leave::Call { callee, arguments, tail } => {
                    let base = begin_call(&mut self.stack, self.current.base, arguments, tail);
                    // What was just written in parts is slow to read as a whole: so here, parts are moved one by one.
                    let caller = std::mem::replace(&mut self.current.callee, callee);
                    if !tail {
                        let Current { next, base, .. } = self.current;
                        self.frames.push(Frame::Return(Current { callee: caller, next, base }));
                    }
                    (self.current.next, self.current.base) = (0, base);
                }
                Leave::Return => {
                    let Some(Frame::Return(Current { callee, next, base })) = self.frames.pop() else { break };
                    keep_top(&mut self.stack, self.current.base);
                    self.current.callee = callee;
                    (self.current.next, self.current.base) = (next, base);
                }
            }
            left -= 1;
        }
        *budget = left;
    }

    /// Why it leaves the current function. A definition that calls itself is not left for that.
    fn run_function(&mut self, left: &mut u64) -> Leave {
        let Self { stack, frames, registry, current, .. } = self;
        let closure = current.callee.closure(registry);
        let (ops, arity) = (&closure.body().ops[..], closure.body().arity);
        let itself = match current.callee {
            Callee::Definition(global) => Some(global),
            Callee::Closure(_) => None,
        };
        // At hand, so that they are not written to memory at each operation.
        let (mut base, mut at_op, mut budget) = (current.base, at(current.next), *left);
        let leave = loop {
            let Some(op) = ops.get(at_op).filter(|_| budget > 0) else { break Leave::Stop };
            at_op = match *op {
                Op::GlobalCall { global, arguments, tail }
                    if itself == Some(global) && arguments == arity && frames.len() < MAX_FRAMES =>
                {
                    let caller = base;
                    base = begin_call(stack, caller, arguments, tail);
                    if !tail {
                        let callee = Callee::Definition(global);
                        frames.push(Frame::Return(Current { callee, next: number(at_op + 2), base: caller }));
                    }
                    0
                }
                Op::GlobalCall { global, arguments, tail } => match registry.value(global) {
                    Some(V::Closure(closure)) if closure.takes(arguments) && frames.len() < MAX_FRAMES => {
                        at_op += 2;
                        break Leave::Call { callee: Callee::Definition(global), arguments, tail };
                    }
                    Some(value) => {
                        push(stack, value);
                        at_op + 1
                    }
                    None => break Leave::Stop,
                },
                Op::Call(arguments) if takes(stack.last(), arguments) && frames.len() < MAX_FRAMES => {
                    let Some(V::Closure(closure)) = stack.pop() else { break Leave::Stop };
                    at_op += 1;
                    break Leave::Call { callee: Callee::Closure(closure), arguments, tail: false };
                }
                Op::TailCall(arguments) if takes(stack.last(), arguments) => {
                    let Some(V::Closure(closure)) = stack.pop() else { break Leave::Stop };
                    break Leave::Call { callee: Callee::Closure(closure), arguments, tail: true };
                }
                Op::Return => match frames.last() {
                    Some(Frame::Return(Current { callee: Callee::Definition(caller), next, base: below }))
                        if itself == Some(*caller) =>
                    {
                        let then = at(*next);
                        keep_top(stack, std::mem::replace(&mut base, *below));
                        // It holds nothing that would have to be dropped.
                        std::mem::forget(frames.pop());
                        then
                    }
                    Some(Frame::Return(_)) => break Leave::Return,
                    _ => break Leave::Stop,
                },
                op => match step(op, at_op, stack, base, closure, registry) {
                    Some(then) => then,
                    None => break Leave::Stop,
                },
            };
            budget -= 1;
        };
        (current.next, current.base, *left) = (number(at_op), base, budget);
        leave
    }
}

/// One operation that stays in its function: which one comes next. `None`: it is not simple, and nothing was done.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it is the body of the loop above")]
fn step(
    op: Op,
    at_op: usize,
    stack: &mut Vec<V>,
    base: usize,
    closure: &Closure,
    registry: &Registry,
) -> Option<usize> {
    let code = &*closure.code;
    match op {
        Op::Local(slot) => push_slot(stack, base + at(slot)),
        Op::Captured(n) => push(stack, &closure.captures[at(n)]),
        Op::Constant(n) => push(stack, &code.constants[at(n)]),
        Op::Fused { function, slot, constant } => match with_constant(function, &stack[base + at(slot)], constant) {
            Some(value) => {
                stack.push(value.into());
                return Some(at_op + 3);
            }
            None => stack.push(V::Int64(constant.into())),
        },
        Op::FusedMatch { function, slot, constant, table } => {
            let value = with_constant(function, &stack[base + at(slot)], constant);
            match value.and_then(|value| branch_on(&code.tables[at(table)], value)) {
                Some(target) => return Some(at(target)),
                None => stack.push(V::Int64(constant.into())),
            }
        }
        Op::Builtin(function) => {
            let [.., b, a] = &mut stack[..] else { return None };
            match (simple_builtin(function, a, b)?, &mut *b) {
                (Simple::Int64(value), V::Int64(place)) => *place = value,
                (value, _) => *b = value.into(),
            }
            discard(stack.pop());
        }
        Op::Global(global) => push(stack, registry.value(global)?),
        Op::Match(table) => return branch(&code.tables[at(table)], stack).map(at),
        Op::Jump(target) => return Some(at(target)),
        Op::Reverse(n) => {
            let first = stack.len() - at(n);
            stack[first..].reverse();
        }
        Op::Slide(n) => keep_top(stack, stack.len() - 1 - at(n)),
        _ => return None,
    }
    Some(at_op + 1)
}

fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Where the slots of a called function begin; where nothing else is to be done, its arguments replace the caller's slots.
#[inline]
fn begin_call(stack: &mut Vec<V>, caller: usize, arguments: u32, tail: bool) -> usize {
    let base = stack.len() - at(arguments);
    if tail {
        drop(stack.drain(caller..base));
        return caller;
    }
    base
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
    while stack.len() > from + 1 {
        discard(stack.pop());
    }
}

/// Drops a value; the most common ones have nothing to drop, and do not ask for it.
#[inline]
fn discard(value: Option<V>) {
    match value {
        Some(V::Int64(_) | V::Bool(_)) => std::mem::forget(value),
        other => drop(other),
    }
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
    match (a, b) {
        (V::Int64(a), V::Int64(b)) => of_numbers(function, *a, *b),
        (V::Bool(a), V::Bool(b)) if function == Builtin::Equal => Some(Simple::Bool(a == b)),
        _ => None,
    }
}

#[inline]
fn with_constant(function: Builtin, a: &V, constant: i32) -> Option<Simple> {
    let V::Int64(a) = a else { return None };
    of_numbers(function, *a, constant.into())
}

#[inline]
fn of_numbers(function: Builtin, a: i64, b: i64) -> Option<Simple> {
    match function {
        Builtin::AddInt64 => a.checked_add(b).map(Simple::Int64),
        Builtin::SubInt64 => a.checked_sub(b).map(Simple::Int64),
        Builtin::MulInt64 => a.checked_mul(b).map(Simple::Int64),
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
