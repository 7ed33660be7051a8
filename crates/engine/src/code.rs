//! Code of the machine: for each definition a table of functions, each a list of small operations on a stack.
//!
//! Arguments are pushed from the last to the first, then the function: the order of evaluation of LF 2. A
//! function finds its first parameter at the highest of its first slots; what `let` and patterns bind comes above.

use crate::{
    machine::at,
    ty::Ty,
    value::{Constructor, V},
};
use base::{Identifier, Name};
use lf::Builtin;
use std::sync::Arc;

/// The code of one definition. Function 0 is its entry and takes no arguments.
#[derive(Default, Debug)]
pub(crate) struct Code {
    /// Whether it comes from LF 1.
    pub(crate) v1: bool,
    /// Whether its `try` cannot undo what was created or archived.
    pub(crate) shares_keys: bool,
    pub(crate) functions: Vec<Function>,
    pub(crate) constants: Vec<V>,
    pub(crate) tables: Vec<Vec<Arm>>,
    pub(crate) ids: Vec<Arc<Identifier>>,
    pub(crate) names: Vec<Name>,
    pub(crate) types: Vec<Ty>,
    pub(crate) constructors: Vec<Arc<Constructor>>,
    pub(crate) structs: Vec<StructShape>,
    pub(crate) choices: Vec<ChoiceCode>,
}

/// One function.
#[derive(Default, Debug)]
pub(crate) struct Function {
    pub(crate) arity: u32,
    pub(crate) captures: Vec<Place>,
    pub(crate) ops: Vec<Op>,
}

/// Marks what can be done at once: see [`Op::Fused`] and [`Op::GlobalCall`]. All operations keep their places, so jumps stay
/// right.
pub(crate) fn fuse(ops: &mut [Op], constants: &[V]) {
    let small = |constant: u32| match constants.get(at(constant)) {
        Some(V::Int64(number)) => i32::try_from(*number).ok(),
        _ => None,
    };
    for place in 0..ops.len() {
        ops[place] = match ops[place..] {
            [op @ Op::Constant(constant), Op::Local(slot), Op::Builtin(function), ref rest @ ..] => {
                match (small(constant), rest) {
                    (Some(constant), [Op::Match(table), ..]) => {
                        Op::FusedMatch { function, slot, constant, table: *table }
                    }
                    (Some(constant), _) => Op::Fused { function, slot, constant },
                    (None, _) => op,
                }
            }
            [Op::Global(global), Op::Call(arguments), ..] => Op::GlobalCall { global, arguments, tail: false },
            [Op::Global(global), Op::TailCall(arguments), ..] => Op::GlobalCall { global, arguments, tail: true },
            [op, ..] => op,
            [] => return,
        };
    }
}

/// Where a variable is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In this slot of the running function.
    Local(u32),
    /// Among what its closure captured.
    Captured(u32),
}

/// A definition: number of the package in the registry, number of the definition in the package.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct GlobalRef {
    pub(crate) package: u32,
    pub(crate) definition: u32,
}

/// One case of a match.
#[derive(Clone, Debug)]
pub(crate) struct Arm {
    pub(crate) pattern: ArmPattern,
    pub(crate) target: u32,
}

/// What an arm takes; bound values are pushed, the first one first.
#[derive(Clone, Debug)]
pub(crate) enum ArmPattern {
    Any,
    /// Variant or enum by its place in the declaration.
    Variant(u32),
    Enum(u32),
    Unit,
    Bool(bool),
    Nil,
    Cons,
    None,
    Some,
}

/// The labels of a struct in ascending order, and for each where its value was pushed (0: last).
#[derive(Debug)]
pub(crate) struct StructShape {
    pub(crate) labels: Arc<[Name]>,
    pub(crate) order: Vec<u32>,
}

/// What an exercise of a choice needs to know beyond what it computes.
#[derive(Debug)]
pub(crate) struct ChoiceCode {
    /// The interface or template that declares it.
    pub(crate) owner: Arc<Identifier>,
    pub(crate) is_interface: bool,
    pub(crate) name: Name,
    pub(crate) consuming: bool,
}

/// Which contracts of a key are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    /// The id of one, which is to be used.
    One,
    /// Perhaps the id of one.
    Any,
    /// A list of the ids of several, how many says the slot.
    Several(u32),
}

/// One operation. Numbers point into the tables of the code.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Pushes a slot of the running function.
    Local(u32),
    Captured(u32),
    Constant(u32),
    Global(GlobalRef),
    /// Pushes a closure of a function of this code.
    Closure(u32),
    /// Pops a function and as many arguments, pushes the result.
    Call(u32),
    /// The same as the last thing that the function does.
    TailCall(u32),
    /// Ends the function with the value on top.
    Return,
    /// Pops the arguments of a function of the language, pushes the result.
    Builtin(Builtin),
    /// In place of a `Constant` that is a small number, before a `Local` and a `Builtin`: does all three where that is
    /// simple, itself otherwise.
    Fused {
        function: Builtin,
        slot: u32,
        constant: i32,
    },
    /// The same before a `Match`, which it does, too.
    FusedMatch {
        function: Builtin,
        slot: u32,
        constant: i32,
        table: u32,
    },
    /// In place of a `Global`, before a `Call` or `TailCall`: does both if the definition is a function of exactly so many
    /// arguments, itself otherwise.
    GlobalCall {
        global: GlobalRef,
        arguments: u32,
        tail: bool,
    },
    Jump(u32),
    /// Pops a value, pushes what the first matching arm binds, goes to its target.
    Match(u32),
    /// Drops as many values below the top.
    Slide(u32),
    /// Turns the order of as many values on top around: LF 1 evaluates from the first to the last.
    Reverse(u32),
    /// Pops as many fields (the first on top), pushes a record.
    Record {
        id: u32,
        fields: u32,
    },
    Project(u32),
    /// Pops a record, below it the new value of the field.
    Update(u32),
    Variant(u32),
    Struct(u32),
    StructProject(u32),
    StructUpdate(u32),
    /// Pops as many elements (the first on top), below them the tail.
    Cons(u32),
    Some,
    ToAny(u32),
    FromAny(u32),
    Throw(u32),
    /// Pops a handler, below it a body; runs the body.
    Try,
    /// Pops a value of an interface; `Some` of it if it is of the template.
    FromInterface(u32),
    /// Pops the contract id, below it the value.
    UnsafeFromInterface(u32),
    /// Pops a value; `Some` of it if its template implements the interface.
    FromRequiredInterface(u32),
    UnsafeFromRequiredInterface(u32),
    Method {
        interface: u32,
        method: u32,
    },
    View(u32),
    InterfaceSignatories,
    InterfaceObservers,
    InterfaceTypeRep,
    /// Pops a value of an interface, pushes the create function of its template.
    CreateOf,
    /// Until `PreventEnd` exceptions cannot be caught from outside.
    PreventBegin,
    PreventEnd,
    /// Pops the verdict of a precondition.
    Precondition(u32),
    /// With the contract id in this slot: pushes the contract's argument, and if its stakeholders must still be
    /// verified for this template, the argument again and the function that computes them; otherwise skips the
    /// two operations that follow.
    Contract {
        slot: u32,
        id: u32,
        interface: bool,
    },
    /// Pops signatories and observers, compares them with those of the contract.
    Verify {
        slot: u32,
    },
    /// Pops signatories and observers (a record of the two, or with a key and its maintainers of four), below it the
    /// argument; pushes the contract id.
    Create,
    /// Pops observers, controllers; the argument, contract id are in the function's slots.
    Begin {
        choice: u32,
        id: u32,
        argument: u32,
    },
    /// Keeps the result on top.
    End,
    /// Below the top nothing is needed: the contract id is in the slot, the argument on top.
    Fetch {
        slot: u32,
        id: u32,
        interface: bool,
    },
    /// With the key in this slot: pops its maintainers, pushes what is found.
    ByKey {
        slot: u32,
        template: u32,
        wanted: Wanted,
    },
    Time,
    /// Pops a timestamp.
    TimeLess,
}
