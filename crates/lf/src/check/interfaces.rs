//! Interfaces: expressions about them, and whether templates implement them as declared.

use super::{
    Fault, Rule,
    infer::{Infer, Task},
    types::Ty,
    world::{World, missing},
};
use crate::{BuiltinType as B, Expr, ExprId, NameId, RefId};
use base::{Identifier, Name};

pub(super) fn unfit(what: impl Into<String>) -> Fault {
    Fault { rule: Rule::Interface, what: what.into() }
}

impl World<'_> {
    /// Whether a template implements an interface: in its own package, or in that of the interface, not in both.
    pub(super) fn implements(&self, interface: &Identifier, template: &Identifier) -> Result<(), Fault> {
        let (own, declared) = (self.home(template)?, self.home(interface)?);
        let there = self.template(template)?.implements.iter().any(|i| own.reference(i.interface) == interface);
        let co = &self.interface(interface)?.co_implements;
        let here = co.iter().any(|i| declared.reference(i.template) == template);
        match (there, here) {
            (true, true) => Err(unfit(format!("{template} implements {interface} twice"))),
            (false, false) => Err(unfit(format!("{template} does not implement {interface}"))),
            _ => Ok(()),
        }
    }

    /// Whether an interface demands another of those who implement it.
    fn requires(&self, requiring: &Identifier, required: &Identifier) -> Result<(), Fault> {
        let home = self.home(requiring)?;
        let all = &self.interface(requiring)?.requires;
        if all.iter().any(|id| home.reference(*id) == required) {
            return Ok(());
        }
        Err(unfit(format!("{requiring} does not require {required}")))
    }
}

impl<'a> Infer<'_, 'a> {
    pub(super) fn interface_expr(&mut self, expr: &'a Expr) -> Result<(), Fault> {
        let (parts, result) = match expr {
            Expr::ToInterface { interface, template, value } => {
                let [interface, template] = self.pair(*interface, *template)?;
                (vec![(*value, template)], interface)
            }
            Expr::FromInterface { interface, template, value } => {
                let [interface, template] = self.pair(*interface, *template)?;
                (vec![(*value, interface)], self.world.types.apply(B::Optional, &[template]))
            }
            Expr::UnsafeFromInterface { interface, template, contract_id, value } => {
                let [interface, template] = self.pair(*interface, *template)?;
                let id_type = self.world.types.apply(B::ContractId, &[interface]);
                (vec![(*contract_id, id_type), (*value, interface)], template)
            }
            Expr::ToRequiredInterface { required, requiring, value } => {
                let [required, requiring] = self.requirement(*required, *requiring)?;
                (vec![(*value, requiring)], required)
            }
            Expr::FromRequiredInterface { required, requiring, value } => {
                let [required, requiring] = self.requirement(*required, *requiring)?;
                (vec![(*value, required)], self.world.types.apply(B::Optional, &[requiring]))
            }
            Expr::UnsafeFromRequiredInterface { required, requiring, contract_id, value } => {
                let [required, requiring] = self.requirement(*required, *requiring)?;
                let id_type = self.world.types.apply(B::ContractId, &[required]);
                (vec![(*contract_id, id_type), (*value, required)], requiring)
            }
            Expr::CallInterface { interface, method, value } => {
                let (id, ty, _) = self.interface_types(*interface)?;
                (vec![(*value, ty)], self.method_type(id, *method)?)
            }
            Expr::ViewInterface { interface, value } => {
                let (id, ty, _) = self.interface_types(*interface)?;
                let view = self.world.interface(id)?.view;
                (vec![(*value, ty)], self.world.there(id, view)?)
            }
            Expr::SignatoryInterface { interface, value } | Expr::ObserverInterface { interface, value } => {
                let ty = self.interface_types(*interface)?.1;
                (vec![(*value, ty)], self.parties())
            }
            Expr::InterfaceTemplateTypeRep { interface, value } => {
                let ty = self.interface_types(*interface)?.1;
                (vec![(*value, ty)], self.world.types.builtin(B::TypeRep))
            }
            Expr::ChoiceController { template, choice, contract, argument }
            | Expr::ChoiceObserver { template, choice, contract, argument } => {
                let (ty, wanted) = self.owner_of_choice(*template, *choice)?;
                (vec![(*contract, ty), (*argument, wanted)], self.parties())
            }
            // All other forms are for the callers.
            _ => return Ok(()),
        };
        let parts: Vec<_> = parts.iter().flat_map(|(expr, ty)| [Task::Infer(*expr), Task::Expect(*ty)]).collect();
        self.plan(parts.into_iter().chain([Task::Push(result)]).collect::<Vec<_>>());
        Ok(())
    }

    pub(super) fn parties(&mut self) -> Ty {
        let party = self.world.types.builtin(B::Party);
        self.world.types.apply(B::List, &[party])
    }

    fn pair(&mut self, interface: RefId, template: RefId) -> Result<[Ty; 2], Fault> {
        let (interface, template) = (self.world.reference(interface), self.world.reference(template));
        self.world.implements(interface, template)?;
        Ok([self.world.con_type(interface)?, self.world.con_type(template)?])
    }

    fn requirement(&mut self, required: RefId, requiring: RefId) -> Result<[Ty; 2], Fault> {
        let (required, requiring) = (self.world.reference(required), self.world.reference(requiring));
        self.world.requires(requiring, required)?;
        Ok([self.world.con_type(required)?, self.world.con_type(requiring)?])
    }

    fn method_type(&mut self, id: &Identifier, method: NameId) -> Result<Ty, Fault> {
        let name = self.world.package.name(method);
        let found = self.world.interface(id)?.methods.iter().find(|(n, _)| n == name);
        let (_, ty) = found.ok_or_else(|| missing(&format!("method {name} of"), id))?;
        self.world.there(id, *ty)
    }

    fn owner_of_choice(&mut self, owner: RefId, choice: NameId) -> Result<(Ty, Ty), Fault> {
        let id = self.world.reference(owner);
        let choices = match self.world.template(id) {
            Ok(template) => &template.choices,
            Err(_) => &self.world.interface(id)?.choices,
        };
        let name = self.world.package.name(choice);
        let found = choices.iter().find(|choice| choice.name == *name);
        let argument = found.ok_or_else(|| missing(&format!("choice {name} of"), id))?.arg_binder.1;
        Ok((self.world.con_type(id)?, self.world.there(id, argument)?))
    }

    /// How `template` implements `interface`: all methods and the view, with the contract as `param`.
    pub(super) fn implementation(
        &mut self,
        (interface, template): (&Identifier, &Identifier),
        param: NameId,
        methods: &[(Name, ExprId)],
        view: ExprId,
    ) -> Result<(), Fault> {
        self.world.implements(interface, template)?;
        let declared = self.world.interface(interface)?;
        let home = self.world.home(interface)?;
        for required in &declared.requires {
            self.world.implements(home.reference(*required), template)?;
        }
        if let Some((name, _)) = declared.methods.iter().find(|(name, _)| methods.iter().all(|(n, _)| n != name)) {
            return Err(unfit(format!("{template} lacks method {name} of {interface}")));
        }
        let ty = self.world.con_type(template)?;
        self.bind(param, ty);
        for (name, value) in methods {
            let found = declared.methods.iter().find(|(n, _)| n == name);
            let (_, ty) = found.ok_or_else(|| unfit(format!("{interface} has no method {name}")))?;
            let expected = self.world.there(interface, *ty)?;
            self.check(*value, expected)?;
        }
        let expected = self.world.there(interface, declared.view)?;
        self.check(view, expected)?;
        self.unbind(1);
        Ok(())
    }
}
