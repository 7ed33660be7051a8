//! What waits for a value, and what happens when it comes.

use super::{Machine, Mode, ill_typed};
use crate::{
    EngineError,
    code::{Code, GlobalRef},
    ledger::Mark,
    registry::Registry,
    run::Stop,
    value::{Closure, P, V},
};
use std::sync::Arc;

/// The function that runs, or waits.
#[derive(Clone, Debug)]
pub(super) enum Callee {
    /// A definition that is a function. The registry keeps it for ever, so that calls need not count who uses it.
    Definition(GlobalRef),
    Closure(P<Closure>),
}

impl Callee {
    #[inline]
    pub(super) fn closure<'a>(&'a self, registry: &'a Registry) -> &'a Closure {
        match self {
            Self::Closure(closure) => closure,
            Self::Definition(global) => match registry.value(*global) {
                Some(V::Closure(closure)) => closure,
                _ => unreachable!("only a definition that is a function is called as one, and it stays one"),
            },
        }
    }
}

/// A function on its way.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) callee: Callee,
    /// The operation that comes next.
    pub(super) next: u32,
    /// Where its slots begin on the stack.
    pub(super) base: usize,
}

impl Current {
    /// The entry of a definition.
    pub(super) fn entry(code: Arc<Code>, base: usize) -> Self {
        let closure = P::new(Closure { code, function: 0, captures: Vec::new() });
        Self { callee: Callee::Closure(closure), next: 0, base }
    }
}

/// What waits for a value.
#[derive(Debug)]
pub(super) enum Frame {
    /// Whoever started the machine.
    Bottom,
    /// A function that called.
    Return(Current),
    /// The value is a function, to be applied to so many values from the stack.
    Apply(u32),
    /// The value is a definition's.
    Cache(GlobalRef),
    Fold(Box<Fold>),
    /// The body of a `try`.
    Try(Box<Try>),
    /// The handler of a `try`, asked what to do about the exception.
    Handler(Box<V>),
    /// Exceptions from above cannot be caught below.
    Prevent,
    /// The message of an exception that nobody handled, with the id of the error.
    Uncaught(String),
}

/// A fold that waits for the result of its function.
#[derive(Debug)]
pub(super) enum Fold {
    Left {
        function: V,
        list: V,
    },
    /// The next item is the last one.
    Right {
        function: V,
        items: Vec<V>,
    },
    EqualList {
        function: V,
        left: V,
        right: V,
    },
}

/// What handles an exception: a function, the height of the stack for it, and what is to be undone.
#[derive(Debug)]
pub(super) struct Try {
    pub(super) handler: V,
    pub(super) height: usize,
    pub(super) mark: Mark,
}

impl Machine {
    /// Gives the value on top to the frame on top. The value itself if nobody waits for it any more.
    pub(super) fn resume(&mut self) -> Result<Option<V>, Stop> {
        match self.frames.pop() {
            Some(Frame::Bottom) | None => return Ok(Some(self.pop())),
            Some(Frame::Return(current)) => self.enter(current),
            Some(Frame::Apply(n)) => self.mode = Mode::Apply(n),
            Some(Frame::Cache(global)) => {
                if let Some((_, definition)) = self.registry.global(global) {
                    definition.value.get_or_init(|| self.top().clone());
                }
            }
            Some(Frame::Fold(fold)) => self.fold(*fold),
            Some(Frame::Try(_)) => self.ledger.end_try(),
            Some(Frame::Handler(exception)) => match self.pop() {
                V::Some(action) => {
                    self.stack.extend([V::Unit, (*action).clone()]);
                    self.mode = Mode::Apply(1);
                }
                _ => return Err(Stop::Throw(*exception)),
            },
            Some(Frame::Prevent) => return Err(ill_typed("a scope was not closed")),
            Some(Frame::Uncaught(error_id)) => {
                let V::Text(message) = self.pop() else { return Err(ill_typed("a message is no text")) };
                return Err(Stop::error(EngineError::unhandled(error_id, &message)));
            }
        }
        Ok(None)
    }

    /// The value on top is what the function gave for the item before.
    fn fold(&mut self, fold: Fold) {
        let rest = match fold {
            Fold::Left { function, list: V::Cons(cons) } => {
                let so_far = self.pop();
                self.stack.extend([cons.head.clone(), so_far, function.clone()]);
                Fold::Left { function, list: cons.tail.clone() }
            }
            Fold::Left { .. } => return,
            Fold::Right { function, mut items } => {
                let Some(item) = items.pop() else { return };
                self.stack.extend([item, function.clone()]);
                Fold::Right { function, items }
            }
            Fold::EqualList { function, left, right } => match (self.top(), &left, &right) {
                (V::Bool(true), V::Cons(a), V::Cons(b)) => {
                    self.pop();
                    self.stack.extend([b.head.clone(), a.head.clone(), function.clone()]);
                    Fold::EqualList { function, left: a.tail.clone(), right: b.tail.clone() }
                }
                (V::Bool(true), V::Nil, V::Nil) | (V::Bool(false), ..) => return,
                _ => {
                    self.pop();
                    self.stack.push(V::Bool(false));
                    return;
                }
            },
        };
        self.frames.push(Frame::Fold(Box::new(rest)));
        self.mode = Mode::Apply(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Depth of calls costs as many bytes each.
    #[test]
    fn frames_and_values_are_small() {
        assert_eq!((size_of::<Frame>(), size_of::<V>()), (32, 32));
    }
}
