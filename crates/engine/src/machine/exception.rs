//! Exceptions: finding who handles them, undoing what they leave, and what becomes of those that nobody handles.

use super::{
    Current, Machine, Mode,
    frame::{Frame, Try},
};
use crate::{
    EngineError,
    ledger::Mark,
    registry::{Key, Registry},
    run::Stop,
    ty::{Ty, qualified},
    value::{Any, P, V},
};
use base::Identifier;
use std::sync::Arc;

/// The exception of arithmetic in the standard library.
const ARITHMETIC: (&str, &str) = ("DA.Exception.ArithmeticError", "ArithmeticError");

const NO_MESSAGE: &str = "(the message of the exception could not be computed)";

impl EngineError {
    /// An exception that nobody handled.
    pub(crate) fn unhandled(error_id: String, message: &str) -> Self {
        let category = lf::FailureCategory::InvalidGivenCurrentSystemStateOther.number();
        Self::Failure { error_id, category, message: message.to_owned(), metadata: Vec::new() }
    }
}

pub(crate) fn is_arithmetic(id: &Identifier) -> bool {
    (id.module.as_str(), id.entity.as_str()) == ARITHMETIC
}

/// The packages that define the exception of arithmetic, the same under every ledger.
const ARITHMETIC_V1: &str = "cb0552debf219cc909f51cbb5c3b41e9981d39f8f645b1f35e2ef5be2e0b858a";
const ARITHMETIC_V2: &str = "ee33fb70918e7aaa3d3fc44d64a399fb2bf5bcefc54201b1690ecd448551ba88";

/// The exception that arithmetic throws in code of LF 1 or LF 2. If its package is not there, no model can handle it
/// either.
pub(crate) fn arithmetic(registry: &Registry, v1: bool, message: String) -> Stop {
    let package = base::PackageId::new(if v1 { ARITHMETIC_V1 } else { ARITHMETIC_V2 });
    let (module, entity) = (base::DottedName::new(ARITHMETIC.0), base::DottedName::new(ARITHMETIC.1));
    let (Ok(package), Ok(module), Ok(entity)) = (package, module, entity) else {
        return super::ill_typed("a constant name is invalid");
    };
    if registry.get(&package).is_none() {
        let error_id = format!("UNHANDLED_EXCEPTION/{}", qualified(&module, &entity));
        return Stop::error(EngineError::unhandled(error_id, &message));
    }
    let id = Identifier { package, module, entity };
    let value = V::record(Arc::new(id.clone()), vec![V::Text(message.into())]);
    Stop::Throw(V::Any(P::new(Any { ty: Ty::con(&id), value })))
}

impl Machine {
    /// Looks for the nearest `try` that may handle the exception, undoes its body, and asks its handler.
    pub(super) fn unwind(&mut self, exception: V) -> Result<(), Stop> {
        let mut prevented = false;
        while let Some(frame) = self.frames.pop() {
            match frame {
                Frame::Try(waiting) if !prevented => {
                    let Try { handler, height, mark } = *waiting;
                    self.check_undoable(&handler, mark)?;
                    self.ledger.roll_back(mark);
                    self.stack.truncate(height);
                    self.stack.extend([exception.clone(), handler]);
                    self.frames.push(Frame::Handler(Box::new(exception)));
                    self.mode = Mode::Apply(1);
                    return Ok(());
                }
                Frame::Prevent => prevented = true,
                Frame::Uncaught(error_id) => {
                    return Err(Stop::error(EngineError::unhandled(error_id, NO_MESSAGE)));
                }
                _ => {}
            }
        }
        self.unhandled(&exception)
    }

    /// From LF 2.3 on, an exception cannot undo what was created or archived.
    fn check_undoable(&self, handler: &V, mark: Mark) -> Result<(), Stop> {
        let lasting = matches!(handler, V::Closure(handler) if handler.code.shares_keys);
        for template in self.ledger.changed_since(mark) {
            if lasting || self.registry.need(&template.package)?.shares_keys() {
                return Err(Stop::error(EngineError::EffectfulRollback { template: template.clone() }));
            }
        }
        Ok(())
    }

    /// Computes the message of an exception that nobody handled, to fail with it.
    fn unhandled(&mut self, exception: &V) -> Result<(), Stop> {
        if self.off_ledger {
            return Err(Stop::Throw(exception.clone()));
        }
        self.uncaught = Some(exception.clone());
        let V::Any(any) = exception else { return Err(super::ill_typed("an exception has no type")) };
        let id = any.ty.as_con().ok_or_else(|| super::ill_typed("an exception is of no exception type"))?;
        let error_id = format!("UNHANDLED_EXCEPTION/{}", qualified(&id.module, &id.entity));
        if is_arithmetic(id)
            && let V::Record(record) = &any.value
            && let Some(V::Text(message)) = record.fields.first()
        {
            return Err(Stop::error(EngineError::unhandled(error_id, message)));
        }
        // The exception is thrown already, so there is no asking for packages any more.
        let Ok(code) = message_of(&self.registry, id).and_then(|global| self.code(global)) else {
            return Err(Stop::error(EngineError::unhandled(error_id, NO_MESSAGE)));
        };
        self.stack.clear();
        self.stack.push(any.value.clone());
        self.frames.clear();
        self.frames.extend([Frame::Uncaught(error_id), Frame::Apply(1)]);
        self.enter(Current::entry(code, 1));
        Ok(())
    }
}

/// The function that gives the message of an exception.
pub(crate) fn message_of(registry: &Registry, id: &Identifier) -> Result<crate::code::GlobalRef, Stop> {
    let loaded = registry.need(&id.package)?;
    let found = loaded.exception(id).and_then(|((m, e), _)| loaded.global(Key::Message(m, e)));
    found.ok_or_else(|| Stop::error(EngineError::IllTyped(format!("{id} is no exception"))))
}
