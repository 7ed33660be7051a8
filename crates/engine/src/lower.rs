//! From the language to code: variables become slots and captures, types go, updates become functions of a token.
//!
//! Expressions come from outside and can be arbitrarily deep, so lowering is a list of tasks, not a recursion.

mod context;
mod definition;
mod expression;
mod update;

pub(crate) use definition::lower;
