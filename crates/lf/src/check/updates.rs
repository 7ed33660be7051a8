//! Types of updates, and of the scenarios of LF 1.

use super::{
    Fault,
    infer::{Infer, Task, mistyped},
    types::Ty,
    world::missing,
};
use crate::{Binding, BuiltinType as B, ByKey, Choice, ExprId, NameId, RefId, Scenario, Update};
use base::{DottedName, Identifier, Name, PackageId};

/// The type of pairs in LF 2, of a package that is the same under every ledger.
#[must_use]
pub fn tuple2() -> Identifier {
    let name = |text: &str| DottedName::new(text).expect("a constant name is valid");
    let package = PackageId::new("5aee9b21b8e9a4c4975b5f4c4198e6e6e8469df49e2010820e792f393db870f4");
    let package = package.expect("a constant package id is valid");
    Identifier { package, module: name("DA.Types"), entity: name("Tuple2") }
}

impl<'a> Infer<'_, 'a> {
    fn of(&mut self, builtin: B, inner: Ty) -> Ty {
        self.world.types.apply(builtin, &[inner])
    }

    fn plain(&mut self, builtin: B) -> Ty {
        self.world.types.builtin(builtin)
    }

    /// Expressions with the types they must have, then the type of the whole.
    fn demand(&mut self, parts: &[(ExprId, Ty)], result: Ty) {
        let parts = parts.iter().flat_map(|(expr, ty)| [Task::Infer(*expr), Task::Expect(*ty)]);
        self.plan(parts.chain([Task::Push(result)]).collect::<Vec<_>>());
    }

    /// The template's type and that of its contract ids.
    fn template_types(&mut self, reference: RefId) -> Result<(&'a Identifier, Ty, Ty), Fault> {
        let id = self.world.reference(reference);
        self.world.template(id)?;
        let ty = self.world.con_type(id)?;
        Ok((id, ty, self.of(B::ContractId, ty)))
    }

    pub(super) fn interface_types(&mut self, reference: RefId) -> Result<(&'a Identifier, Ty, Ty), Fault> {
        let id = self.world.reference(reference);
        self.world.interface(id)?;
        let ty = self.world.con_type(id)?;
        Ok((id, ty, self.of(B::ContractId, ty)))
    }

    /// Argument and result of a choice.
    fn choice_types(&mut self, id: &Identifier, choices: &[Choice], name: &Name) -> Result<(Ty, Ty), Fault> {
        let choice = choices.iter().find(|choice| choice.name == *name);
        let choice = choice.ok_or_else(|| missing(&format!("choice {name} of"), id))?;
        Ok((self.world.there(id, choice.arg_binder.1)?, self.world.there(id, choice.returns)?))
    }

    fn template_choice(&mut self, id: &Identifier, choice: NameId) -> Result<(Ty, Ty), Fault> {
        let choices = &self.world.template(id)?.choices;
        self.choice_types(id, choices, self.world.package.name(choice))
    }

    fn interface_choice(&mut self, id: &Identifier, choice: NameId) -> Result<(Ty, Ty), Fault> {
        let choices = &self.world.interface(id)?.choices;
        self.choice_types(id, choices, self.world.package.name(choice))
    }

    fn key_type(&mut self, template: RefId) -> Result<(Ty, Ty), Fault> {
        let (id, _, _) = self.template_types(template)?;
        let key = self.world.template(id)?.key.as_ref();
        let key = key.ok_or_else(|| missing("key of template", id))?;
        Ok((self.world.there(id, key.ty)?, self.world.con_type(id)?))
    }

    pub(super) fn update(&mut self, update: &'a Update) -> Result<(), Fault> {
        match update {
            Update::Pure { ty, value } => {
                let ty = self.value_type(*ty)?;
                let result = self.of(B::Update, ty);
                self.demand(&[(*value, ty)], result);
            }
            Update::Block { bindings, body } => self.block(B::Update, bindings, *body)?,
            Update::Create { template, argument } => {
                let (_, ty, contract_id) = self.template_types(*template)?;
                let result = self.of(B::Update, contract_id);
                self.demand(&[(*argument, ty)], result);
            }
            Update::CreateInterface { interface, argument } => {
                let (_, ty, contract_id) = self.interface_types(*interface)?;
                let result = self.of(B::Update, contract_id);
                self.demand(&[(*argument, ty)], result);
            }
            Update::Fetch { template, contract_id } | Update::SoftFetch { template, contract_id } => {
                let (_, ty, id_type) = self.template_types(*template)?;
                let result = self.of(B::Update, ty);
                self.demand(&[(*contract_id, id_type)], result);
            }
            Update::FetchInterface { interface, contract_id } => {
                let (_, ty, id_type) = self.interface_types(*interface)?;
                let result = self.of(B::Update, ty);
                self.demand(&[(*contract_id, id_type)], result);
            }
            Update::GetTime => {
                let time = self.plain(B::Timestamp);
                let result = self.of(B::Update, time);
                self.demand(&[], result);
            }
            Update::LedgerTimeLt(time) => {
                let (bool, timestamp) = (self.plain(B::Bool), self.plain(B::Timestamp));
                let result = self.of(B::Update, bool);
                self.demand(&[(*time, timestamp)], result);
            }
            Update::Embed { ty, body } => {
                let ty = self.value_type(*ty)?;
                let result = self.of(B::Update, ty);
                self.demand(&[(*body, result)], result);
            }
            Update::TryCatch { returns, body, binder, handler } => {
                let ty = self.value_type(*returns)?;
                let result = self.of(B::Update, ty);
                let (caught, handled) = (self.plain(B::AnyException), self.of(B::Optional, result));
                let body = [Task::Infer(*body), Task::Expect(result), Task::Bind(*binder, caught)];
                let handler = [Task::Infer(*handler), Task::Expect(handled), Task::Unbind(1), Task::Push(result)];
                self.plan(body.into_iter().chain(handler));
            }
            _ => return self.by_choice_or_key(update),
        }
        Ok(())
    }

    fn by_choice_or_key(&mut self, update: &'a Update) -> Result<(), Fault> {
        match update {
            Update::Exercise { template, choice, contract_id, argument }
            | Update::DynamicExercise { template, choice, contract_id, argument }
            | Update::SoftExercise { template, choice, contract_id, argument } => {
                let (id, _, id_type) = self.template_types(*template)?;
                let (wanted, returns) = self.template_choice(id, *choice)?;
                let result = self.of(B::Update, returns);
                self.demand(&[(*contract_id, id_type), (*argument, wanted)], result);
            }
            Update::ExerciseInterface { interface, choice, contract_id, argument, guard } => {
                let (id, ty, id_type) = self.interface_types(*interface)?;
                let (wanted, returns) = self.interface_choice(id, *choice)?;
                let (result, bool) = (self.of(B::Update, returns), self.plain(B::Bool));
                let test = self.world.types.arrow(ty, bool);
                let mut parts = vec![(*contract_id, id_type), (*argument, wanted)];
                parts.extend(guard.map(|guard| (guard, test)));
                self.demand(&parts, result);
            }
            Update::ExerciseByKey { template, choice, key, argument } => {
                let (key_type, _) = self.key_type(*template)?;
                let id = self.world.reference(*template);
                let (wanted, returns) = self.template_choice(id, *choice)?;
                let result = self.of(B::Update, returns);
                self.demand(&[(*key, key_type), (*argument, wanted)], result);
            }
            Update::FetchByKey(by_key) => self.by_key(by_key, Self::found)?,
            Update::LookupByKey(by_key) => {
                self.by_key(by_key, |infer, ty| {
                    let contract_id = infer.of(B::ContractId, ty);
                    Ok(infer.of(B::Optional, contract_id))
                })?;
            }
            Update::QueryNByKey(ByKey { template, .. }) => {
                let (key_type, ty) = self.key_type(*template)?;
                let found = self.found(ty)?;
                let list = self.of(B::List, found);
                let (action, int64) = (self.of(B::Update, list), self.plain(B::Int64));
                let of_key = self.world.types.arrow(key_type, action);
                let function = self.world.types.arrow(int64, of_key);
                self.demand(&[], function);
            }
            // All other forms are for the callers.
            _ => {}
        }
        Ok(())
    }

    /// What a fetch by key gives: contract and contract id.
    fn found(&mut self, ty: Ty) -> Result<Ty, Fault> {
        let contract_id = self.of(B::ContractId, ty);
        if self.world.package.language_version().is_v1() {
            let name = |text: &str| Name::new(text).expect("a constant name is valid");
            let fields = Box::from([(name("contract"), ty), (name("contractId"), contract_id)]);
            return Ok(self.world.types.structure(fields));
        }
        let pair = self.world.con_type(&tuple2())?;
        let half = self.world.types.app(pair, contract_id);
        half.and_then(|half| self.world.types.app(half, ty)).map_err(mistyped)
    }

    fn by_key(&mut self, by_key: &ByKey, result: impl FnOnce(&mut Self, Ty) -> Result<Ty, Fault>) -> Result<(), Fault> {
        let (key_type, ty) = self.key_type(by_key.template)?;
        let result = result(self, ty)?;
        let action = self.of(B::Update, result);
        match by_key.key {
            Some(key) => self.demand(&[(key, key_type)], action),
            None => {
                let function = self.world.types.arrow(key_type, action);
                self.demand(&[], function);
            }
        }
        Ok(())
    }

    fn block(&mut self, monad: B, bindings: &'a [Binding], body: ExprId) -> Result<(), Fault> {
        let mut tasks = Vec::new();
        for binding in bindings {
            let ty = self.value_type(binding.binder.1)?;
            let action = self.of(monad, ty);
            tasks.extend([Task::Infer(binding.bound), Task::Expect(action), Task::Bind(binding.binder.0, ty)]);
        }
        tasks.extend([Task::Infer(body), Task::Unbind(bindings.len()), Task::Monadic(monad)]);
        self.plan(tasks);
        Ok(())
    }

    pub(super) fn scenario(&mut self, scenario: &'a Scenario) -> Result<(), Fault> {
        let (parts, result) = match scenario {
            Scenario::Pure { ty, value } => {
                let ty = self.value_type(*ty)?;
                (vec![(*value, ty)], ty)
            }
            Scenario::Block { bindings, body } => return self.block(B::Scenario, bindings, *body),
            Scenario::Commit { party, body, returns } | Scenario::MustFailAt { party, body, returns } => {
                let ty = self.value_type(*returns)?;
                let (who, action, unit) = (self.plain(B::Party), self.of(B::Update, ty), self.plain(B::Unit));
                let fails = matches!(scenario, Scenario::MustFailAt { .. });
                (vec![(*party, who), (*body, action)], if fails { unit } else { ty })
            }
            Scenario::Pass(time) => (vec![(*time, self.plain(B::Int64))], self.plain(B::Timestamp)),
            Scenario::GetTime => (Vec::new(), self.plain(B::Timestamp)),
            Scenario::GetParty(name) => (vec![(*name, self.plain(B::Text))], self.plain(B::Party)),
            Scenario::Embed { ty, body } => {
                let ty = self.value_type(*ty)?;
                (vec![(*body, self.of(B::Scenario, ty))], ty)
            }
        };
        let result = self.of(B::Scenario, result);
        self.demand(&parts, result);
        Ok(())
    }
}
