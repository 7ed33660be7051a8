//! Operations whose meaning depends on types at run time: `Any`, exceptions, interfaces.

use super::{
    Machine, Mode, at,
    frame::{Frame, Try},
    ill_typed,
};
use crate::{
    EngineError,
    code::{GlobalRef, Op},
    registry::Key,
    run::Stop,
    ty::Ty,
    value::{Any, P, V},
};
use base::Identifier;
use std::sync::Arc;

impl Machine {
    pub(super) fn dynamic(&mut self, op: Op) -> Result<(), Stop> {
        let value = match op {
            Op::ToAny(ty) => {
                let (ty, value) = (self.here().types[at(ty)].clone(), self.pop());
                V::Any(P::new(Any { ty, value }))
            }
            Op::FromAny(ty) => {
                let V::Any(any) = self.pop() else { return Err(ill_typed("a value is of no dynamic type")) };
                if any.ty == self.here().types[at(ty)] { V::some(any.value.clone()) } else { V::None }
            }
            Op::Throw(ty) => {
                let (ty, value) = (self.here().types[at(ty)].clone(), self.pop());
                return Err(Stop::Throw(V::Any(P::new(Any { ty, value }))));
            }
            Op::Try => {
                let (handler, body) = (self.pop(), self.pop());
                self.suspend()?;
                let mark = self.ledger.begin_try();
                let height = self.stack.len();
                self.push_frame(Frame::Try(Box::new(Try { handler, height, mark })))?;
                self.stack.extend([V::Unit, body]);
                self.mode = Mode::Apply(1);
                return Ok(());
            }
            Op::FromInterface(template) => {
                let same = *self.template_of(self.top())? == *self.here().ids[at(template)];
                let value = self.pop();
                if same { V::some(value) } else { V::None }
            }
            Op::UnsafeFromInterface(template) => {
                let (id, value) = (self.pop(), self.pop());
                let expected = self.here().ids[at(template)].clone();
                let actual = self.template_of(&value)?;
                if actual != expected {
                    return Err(wrongly_typed(&id, &expected, &actual));
                }
                value
            }
            Op::FromRequiredInterface(interface) => {
                let interface = self.here().ids[at(interface)].clone();
                let implements = self.implements(&*self.template_of(self.top())?, &interface)?;
                let value = self.pop();
                if implements { V::some(value) } else { V::None }
            }
            Op::UnsafeFromRequiredInterface(requiring) => {
                let interface = self.here().ids[at(requiring)].clone();
                let actual = self.template_of(&self.stack[self.stack.len() - 2])?;
                let implements = self.implements(&actual, &interface)?;
                let (id, value) = (self.pop(), self.pop());
                if !implements {
                    return Err(match id {
                        V::ContractId(id) => {
                            let (interface, template) = ((*interface).clone(), (*actual).clone());
                            Stop::error(EngineError::NotImplemented { id, interface, template })
                        }
                        _ => ill_typed("something that is no contract id is used as one"),
                    });
                }
                value
            }
            Op::InterfaceTypeRep => {
                let template = self.template_of(self.top())?;
                self.pop();
                V::TypeRep(Ty::con(&template))
            }
            other => return self.interface(other),
        };
        self.stack.push(value);
        Ok(())
    }

    /// Calls of what a template says about itself or how it implements an interface.
    fn interface(&mut self, op: Op) -> Result<(), Stop> {
        let find = |wanted: Op| -> Result<GlobalRef, Stop> {
            let id = self.template_of(self.top())?;
            let loaded = self.registry.need(&id.package)?;
            let ((m, t), _) = loaded.template(&id).ok_or_else(|| ill_typed("a value is of no template"))?;
            let implementation = |interface: u32| {
                let interface = &self.here().ids[at(interface)];
                let found = self.registry.implementation(&id, interface)?;
                found.ok_or_else(|| ill_typed(&format!("{interface} is not implemented")))
            };
            let global = match wanted {
                Op::InterfaceSignatories => loaded.global(Key::Signatories(m, t)),
                Op::InterfaceObservers => loaded.global(Key::Observers(m, t)),
                Op::CreateOf => loaded.global(Key::Create(m, t)),
                Op::View(interface) => implementation(interface)?.view(),
                Op::Method { interface, method } => implementation(interface)?.method(&self.here().names[at(method)]),
                other => return Err(ill_typed(&format!("{other:?} is out of place"))),
            };
            global.ok_or_else(|| ill_typed("a definition is missing"))
        };
        let calls = match op {
            Op::InterfaceSignatories | Op::InterfaceObservers | Op::View(_) | Op::Method { .. } => true,
            Op::CreateOf => false,
            other => return self.ledger_operation(other),
        };
        let function = self.function(find(op)?)?;
        self.stack.push(function);
        if calls {
            self.suspend()?;
            self.mode = Mode::Apply(1);
        }
        Ok(())
    }

    /// The template of a contract's argument.
    pub(super) fn template_of(&self, value: &V) -> Result<Arc<Identifier>, Stop> {
        match value {
            V::Record(record) => Ok(record.id.clone()),
            _ => Err(ill_typed("a contract's argument is no record")),
        }
    }

    /// Whether a template implements an interface.
    pub(super) fn implements(&self, template: &Identifier, interface: &Identifier) -> Result<bool, Stop> {
        Ok(self.registry.implementation(template, interface)?.is_some())
    }
}

fn wrongly_typed(id: &V, expected: &Identifier, actual: &Identifier) -> Stop {
    match id {
        V::ContractId(id) => Stop::error(EngineError::WronglyTyped {
            id: id.clone(),
            expected: expected.clone(),
            actual: actual.clone(),
        }),
        _ => ill_typed("something that is no contract id is used as one"),
    }
}
