//! Evaluating outside of any transaction: the pure parts of scripts.

use crate::{
    Engine, EngineError, Term,
    code::{Code, Function, Op},
    ledger::{Ledger, Seed},
    machine::{Machine, message_of},
    run::Stop,
    value::{Closure, P, V},
};
use base::{Identifier, Timestamp};
use std::sync::Arc;
use transaction::Parties;

/// How far an evaluation has come.
#[derive(Clone, Debug)]
pub enum Progress {
    /// It is finished.
    Done(Term),
    /// The model threw this and nobody handled it; an `Any`.
    Thrown(Term),
    /// The budget is used up; step again to go on.
    Interrupted,
    /// It failed.
    Error(EngineError),
}

/// An evaluation on its way. Holds all its state; dropping it ends it.
#[derive(Debug)]
pub struct Evaluation(Machine);

impl Engine {
    fn evaluation(&self, function: Option<V>, ops: Vec<Op>, arguments: Vec<Term>) -> Evaluation {
        // Nothing pure can see a time or an authority.
        let ledger = Ledger::new(Seed::Root(None), Parties::new(), Timestamp::EPOCH, Timestamp::EPOCH);
        let mut machine = Machine::new(self.registry(), ledger);
        machine.off_ledger();
        let code = Code {
            functions: vec![Function { ops, ..Function::default() }],
            constants: function.into_iter().collect(),
            ..Code::default()
        };
        machine.run_code(Arc::new(code), arguments.into_iter().map(|term| term.0));
        Evaluation(machine)
    }

    /// Begins to evaluate a definition. All packages that it needs must be known.
    pub fn evaluate(&self, definition: &Identifier) -> Result<Evaluation, EngineError> {
        let registry = self.registry();
        let loaded = registry.get(&definition.package);
        let loaded = loaded.ok_or_else(|| EngineError::MissingPackage(definition.package.clone()))?;
        let missing = || EngineError::IllTyped(format!("there is no value {definition}"));
        let global = loaded.value(definition).ok_or_else(missing)?;
        Ok(self.evaluation(None, vec![Op::Global(global), Op::Return], Vec::new()))
    }

    /// Begins to apply a function to arguments, given in order.
    #[must_use]
    pub fn apply(&self, function: &Term, arguments: Vec<Term>) -> Evaluation {
        self.evaluation(Some(function.0.clone()), vec![Op::Constant(0), Op::Return], arguments)
    }

    /// Begins to compute the message of an exception, given as an `Any`.
    pub fn exception_message(&self, exception: &Term) -> Result<Evaluation, EngineError> {
        let ill_typed = || EngineError::IllTyped("an exception is of no exception type".into());
        let (id, value) = exception.as_any().ok_or_else(ill_typed)?;
        let global = message_of(&self.registry(), id).map_err(Stop::into_error)?;
        Ok(self.evaluation(None, vec![Op::Global(global), Op::Return], vec![value]))
    }

    /// The function that makes a record of its two arguments, for a type of records with two fields.
    pub fn pairing(&self, id: &Identifier) -> Result<Term, EngineError> {
        let registry = self.registry();
        let data = registry.get(&id.package).and_then(|loaded| loaded.data_type(id));
        match data.map(|data| &data.cons) {
            Some(lf::DataCons::Record(fields)) if fields.len() == 2 => {}
            _ => return Err(EngineError::IllTyped(format!("{id} is no record of two fields"))),
        }
        // The first argument is in the upper slot, and the first field is to be on top.
        let ops = vec![Op::Local(0), Op::Local(1), Op::Record { id: 0, fields: 2 }, Op::Return];
        let functions = vec![Function { arity: 2, ops, ..Function::default() }];
        let code = Arc::new(Code { functions, ids: vec![Arc::new(id.clone())], ..Code::default() });
        Ok(Term(V::Closure(P::new(Closure { code, function: 0, captures: Vec::new() }))))
    }

    /// From now on a definition is the identity function: how script libraries mark casts that their runner does.
    /// Whether there is such a definition that nothing has used yet.
    pub fn define_identity(&self, definition: &Identifier) -> bool {
        let registry = self.registry();
        let found = registry.get(&definition.package).and_then(|loaded| loaded.value(definition));
        let Some((_, global)) = found.and_then(|global| registry.global(global)) else { return false };
        let identity = Function { arity: 1, ops: vec![Op::Local(0), Op::Return], ..Function::default() };
        let entry = Function { ops: vec![Op::Closure(1), Op::Return], ..Function::default() };
        let code = Code { functions: vec![entry, identity], ..Code::default() };
        global.code.set(Arc::new(code)).is_ok()
    }
}

impl Evaluation {
    /// Goes on for at most `budget` operations of the machine.
    pub fn step(&mut self, budget: u64) -> Progress {
        let mut budget = budget;
        match self.0.run(&mut budget) {
            Ok(Some(value)) => Progress::Done(Term(value)),
            Ok(None) => Progress::Interrupted,
            Err(Stop::Throw(exception)) => Progress::Thrown(Term(exception)),
            Err(stop) => Progress::Error(stop.into_error()),
        }
    }

    /// What the model traced since this was asked last, at most a thousand texts.
    pub fn take_traces(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.0.traces)
    }
}
