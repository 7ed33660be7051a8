//! What waits for a value, and what happens when it comes.

use super::{Machine, Mode, ill_typed};
use crate::{
    EngineError,
    code::{Code, GlobalRef},
    ledger::Mark,
    run::Stop,
    value::{Closure, P, V},
};
use std::sync::Arc;

/// A function on its way.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) code: Arc<Code>,
    pub(super) function: u32,
    /// The operation that comes next.
    pub(super) next: u32,
    /// Where its slots begin on the stack.
    pub(super) base: usize,
    pub(super) closure: Option<P<Closure>>,
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
    Foldl {
        function: V,
        list: V,
    },
    /// The next item is the last one.
    Foldr {
        function: V,
        items: Vec<V>,
    },
    EqualList {
        function: V,
        left: V,
        right: V,
    },
    /// The body of a `try`.
    Try {
        handler: V,
        height: usize,
        mark: Mark,
    },
    /// The handler of a `try`, asked what to do about the exception.
    Handler {
        exception: V,
    },
    /// Exceptions from above cannot be caught below.
    Prevent,
    /// The message of an exception that nobody handled, with the id of the error.
    Uncaught(String),
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
            Some(Frame::Foldl { function, list }) => {
                if let V::Cons(cons) = list {
                    let so_far = self.pop();
                    self.stack.extend([cons.head.clone(), so_far, function.clone()]);
                    self.frames.push(Frame::Foldl { function, list: cons.tail.clone() });
                    self.mode = Mode::Apply(2);
                }
            }
            Some(Frame::Foldr { function, mut items }) => {
                if let Some(item) = items.pop() {
                    self.stack.extend([item, function.clone()]);
                    self.frames.push(Frame::Foldr { function, items });
                    self.mode = Mode::Apply(2);
                }
            }
            Some(Frame::EqualList { function, left, right }) => self.equal_list(function, &left, &right),
            Some(Frame::Try { .. }) => self.ledger.end_try(),
            Some(Frame::Handler { exception }) => match self.pop() {
                V::Some(action) => {
                    self.stack.extend([V::Unit, (*action).clone()]);
                    self.mode = Mode::Apply(1);
                }
                _ => return Err(Stop::Throw(exception)),
            },
            Some(Frame::Prevent) => return Err(ill_typed("a scope was not closed")),
            Some(Frame::Uncaught(error_id)) => {
                let V::Text(message) = self.pop() else { return Err(ill_typed("a message is no text")) };
                return Err(Stop::error(EngineError::unhandled(error_id, &message)));
            }
        }
        Ok(None)
    }

    /// The flag on top says whether the items before were equal.
    fn equal_list(&mut self, function: V, left: &V, right: &V) {
        match (self.top(), left, right) {
            (V::Bool(true), V::Cons(a), V::Cons(b)) => {
                self.pop();
                self.stack.extend([b.head.clone(), a.head.clone(), function.clone()]);
                self.frames.push(Frame::EqualList { function, left: a.tail.clone(), right: b.tail.clone() });
                self.mode = Mode::Apply(2);
            }
            (V::Bool(true), V::Nil, V::Nil) | (V::Bool(false), ..) => {}
            _ => {
                self.pop();
                self.stack.push(V::Bool(false));
            }
        }
    }
}
