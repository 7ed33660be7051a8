//! Operations on the ledger.

use super::{Machine, at, frame::Frame, ill_typed};
use crate::{
    EngineError,
    code::{ChoiceCode, Op, Wanted},
    key::{KeyOf, key},
    ledger::{UNNUMBERED, parties},
    registry::{Key, Registry, node_version},
    run::{Question, Stop},
    translate::{TranslateError, to_ledger, to_machine},
    typing::{Data, Head},
    value::V,
};
use base::{ContractId, Hash, Identifier};
use std::sync::Arc;
use transaction::{ContractInstance, ContractKey, Exercise, Fetch, Parties, QueryByKey};

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Self::error(error)
    }
}

impl Machine {
    pub(super) fn ledger_operation(&mut self, op: Op) -> Result<(), Stop> {
        match op {
            Op::PreventBegin => self.push_frame(Frame::Prevent)?,
            Op::PreventEnd => self.end_prevent()?,
            Op::Precondition(template) => {
                if !matches!(self.pop(), V::Bool(true)) {
                    let template = (*self.here().ids[at(template)]).clone();
                    let argument =
                        to_ledger(self.local(0)).map_or_else(|_| "its argument".into(), |v| format!("{v:?}"));
                    return Err(EngineError::Precondition { template, argument }.into());
                }
            }
            Op::Contract { slot, id, interface } => self.contract(slot, id, interface)?,
            Op::Verify { slot } => self.verify(slot)?,
            Op::Create => self.create()?,
            Op::Begin { choice, id, argument } => self.begin(choice, id, argument)?,
            Op::End => {
                let result = to_ledger(self.top())?;
                self.ledger.end(Some(result));
            }
            Op::Fetch { slot, id, interface } => self.fetch(slot, id, interface)?,
            Op::ByKey { slot, template, wanted } => self.by_key(slot, template, wanted)?,
            Op::Time => {
                self.ledger.time_used = true;
                self.stack.push(V::Timestamp(self.ledger.ledger_time));
            }
            Op::TimeLess => {
                let V::Timestamp(limit) = self.pop() else { return Err(ill_typed("a time is no timestamp")) };
                self.ledger.time_used = true;
                self.stack.push(V::Bool(self.ledger.ledger_time < limit));
            }
            other => return Err(ill_typed(&format!("{other:?} is out of place"))),
        }
        Ok(())
    }

    fn end_prevent(&mut self) -> Result<(), Stop> {
        match self.frames.pop() {
            Some(Frame::Prevent) => Ok(()),
            _ => Err(ill_typed("a scope was not closed")),
        }
    }

    fn contract_id(&self, slot: u32) -> Result<ContractId, Stop> {
        match self.local(slot) {
            V::ContractId(id) => Ok(id.clone()),
            _ => Err(ill_typed("something that is no contract id is used as one")),
        }
    }

    /// The argument of an active contract, as the template or interface asks for it.
    fn contract(&mut self, slot: u32, id: u32, interface: bool) -> Result<(), Stop> {
        let contract_id = self.contract_id(slot)?;
        let wanted = self.here().ids[at(id)].clone();
        if self.ledger.is_unasked(&contract_id) {
            return Err(Stop::Need(Question::Contract(contract_id)));
        }
        let instance = self.ledger.active(&contract_id)?.instance.clone();
        if let Some(key) = &instance.key {
            self.check_consistent(&instance.template, &key.hash)?;
        }
        let template = self.template_as(&contract_id, &instance, &wanted, interface)?;
        let known = self.ledger.active(&contract_id)?;
        let view = known.views.iter().find(|(seen, ..)| *seen == template);
        let (argument, verified) = match view {
            Some((_, argument, verified)) => (argument.clone(), *verified),
            None => {
                let argument = self.argument(&contract_id, &instance, &template)?;
                self.ledger.active(&contract_id)?.views.push((template.clone(), argument.clone(), false));
                (argument, false)
            }
        };
        if verified {
            self.stack.push(argument);
            self.current.next += 2;
            return Ok(());
        }
        let loaded = self.registry.need(&template.package)?;
        let info = loaded.template(&template).and_then(|((m, t), _)| loaded.global(Key::Info(m, t)));
        let info = self.function(info.ok_or_else(|| ill_typed("a template is missing"))?)?;
        self.push_frame(Frame::Prevent)?;
        self.stack.extend([argument.clone(), argument, info]);
        Ok(())
    }

    /// The template under which a contract is used, if it can be used as asked.
    fn template_as(
        &self,
        id: &ContractId,
        instance: &ContractInstance,
        wanted: &Identifier,
        interface: bool,
    ) -> Result<Identifier, Stop> {
        let mut actual = instance.template.clone();
        let fits = if interface {
            if let Some(version) = self.ledger.resolution.get(&instance.package_name) {
                actual.package = version.clone();
            }
            self.implements(&actual, wanted)?
        } else {
            let package = &self.registry.need(&wanted.package)?.package;
            let same = actual.module == wanted.module && actual.entity == wanted.entity;
            let upgrades = package.language_version().has_upgrades();
            actual == *wanted || (same && upgrades && package.metadata().name == instance.package_name)
        };
        let (id, wanted) = (id.clone(), wanted.clone());
        match (fits, interface) {
            (true, true) => Ok(actual),
            (true, false) => Ok(wanted),
            (false, true) => Err(EngineError::NotImplemented { id, interface: wanted, template: actual }.into()),
            (false, false) => Err(EngineError::WronglyTyped { id, expected: wanted, actual }.into()),
        }
    }

    fn argument(&self, id: &ContractId, instance: &ContractInstance, template: &Identifier) -> Result<V, Stop> {
        let data = Data::closed(&self.registry, template).map_err(|package| Stop::package(&package))?;
        to_machine(&self.registry, &instance.argument, Head::Data(data)).map_err(|error| match error {
            TranslateError::Missing(package) => Stop::package(&package),
            TranslateError::Mismatch(why) => {
                EngineError::UpgradeTranslation { id: id.clone(), template: template.clone(), why }.into()
            }
        })
    }

    /// What the template says of the contract must be what the ledger says.
    fn verify(&mut self, slot: u32) -> Result<(), Stop> {
        let info = self.pop();
        self.end_prevent()?;
        let contract_id = self.contract_id(slot)?;
        let template = self.template_of(self.top())?;
        let (signatories, stakeholders, key) = info_of(&self.registry, &template, &info)?;
        let known = self.ledger.active(&contract_id)?;
        let is_same = known.instance.signatories == signatories && known.instance.stakeholders == stakeholders;
        if !is_same || known.instance.key != key {
            return Err(EngineError::UpgradeValidation { id: contract_id, template: (*template).clone() }.into());
        }
        for (seen, _, verified) in &mut known.views {
            *verified |= *seen == *template;
        }
        Ok(())
    }

    fn create(&mut self) -> Result<(), Stop> {
        let (info, argument) = (&self.stack[self.stack.len() - 1], &self.stack[self.stack.len() - 2]);
        let template = self.template_of(argument)?;
        let (signatories, stakeholders, key) = info_of(&self.registry, &template, info)?;
        if let Some(key) = &key {
            self.check_free(&template, key)?;
        }
        let package = &self.registry.need(&template.package)?.package;
        let (package_name, version) = (package.metadata().name.clone(), node_version(package, key.is_some()));
        let instance = ContractInstance {
            template: (*template).clone(),
            package_name,
            argument: to_ledger(argument)?,
            signatories,
            stakeholders,
            key,
        };
        drop(self.pop());
        let argument = self.pop();
        let id = self.ledger.create(instance, argument, version)?;
        self.stack.push(V::ContractId(id));
        Ok(())
    }

    fn begin(&mut self, choice: u32, id: u32, argument: u32) -> Result<(), Stop> {
        let (observers, controllers) = (self.pop(), self.pop());
        let contract_id = self.contract_id(id)?;
        let template = self.template_of(self.top())?;
        let code = self.here().clone();
        let ChoiceCode { owner, is_interface, name, consuming } = &code.choices[at(choice)];
        let argument = to_ledger(self.local(argument))?;
        let instance = self.ledger.active(&contract_id)?.instance.clone();
        let package = &self.registry.need(&template.package)?.package;
        let (package_name, version) = (package.metadata().name.clone(), node_version(package, instance.key.is_some()));
        let by_key = self.ledger.is_by_key(&contract_id);
        self.ledger.begin(Exercise {
            contract_id,
            package_name,
            template: (*template).clone(),
            interface: is_interface.then(|| (**owner).clone()),
            choice: name.clone(),
            consuming: *consuming,
            actors: parties(&controllers)?,
            argument,
            signatories: instance.signatories.clone(),
            stakeholders: instance.stakeholders.clone(),
            choice_observers: parties(&observers)?,
            choice_authorizers: None,
            children: UNNUMBERED,
            result: None,
            key: instance.key.clone(),
            by_key,
            version,
        })?;
        Ok(())
    }

    fn fetch(&mut self, slot: u32, id: u32, interface: bool) -> Result<(), Stop> {
        let contract_id = self.contract_id(slot)?;
        let template = self.template_of(self.top())?;
        let instance = self.ledger.active(&contract_id)?.instance.clone();
        let package = &self.registry.need(&template.package)?.package;
        let (package_name, version) = (package.metadata().name.clone(), node_version(package, instance.key.is_some()));
        let actors = self.ledger.authorizers() & &instance.stakeholders;
        let by_key = self.ledger.is_by_key(&contract_id);
        self.ledger.fetch(Fetch {
            contract_id,
            package_name,
            template: (*template).clone(),
            interface: interface.then(|| Arc::unwrap_or_clone(self.here().ids[at(id)].clone())),
            actors,
            signatories: instance.signatories.clone(),
            stakeholders: instance.stakeholders.clone(),
            key: instance.key.clone(),
            by_key,
            version,
        })?;
        Ok(())
    }

    /// No active contract has the key, where it must be the only one.
    fn check_free(&self, template: &Identifier, key: &ContractKey) -> Result<(), Stop> {
        if self.registry.need(&template.package)?.shares_keys() || self.of_key(template, key, 1)?.is_empty() {
            return Ok(());
        }
        Err(EngineError::DuplicateContractKey { template: template.clone() }.into())
    }

    /// Up to so many active contracts of a key, or the question for more.
    fn of_key(&self, template: &Identifier, key: &ContractKey, count: usize) -> Result<Vec<ContractId>, Stop> {
        let ask = |limit| {
            let (hash, template, value) = (key.hash, template.clone(), key.value.clone());
            Stop::Need(Question::Key { key: KeyOf { hash, template, value }, limit })
        };
        let found = self.ledger.by_key(&key.hash, count).map_err(ask)?;
        self.check_consistent(template, &key.hash)?;
        Ok(found)
    }

    /// Of keys that are not unique, the ledger tells all contracts; one that comes from elsewhere contradicts it.
    fn check_consistent(&self, template: &Identifier, key: &Hash) -> Result<(), Stop> {
        if self.ledger.is_contradicted(key) && self.registry.need(&template.package)?.shares_keys() {
            return Err(EngineError::InconsistentContractKey { template: template.clone() }.into());
        }
        Ok(())
    }

    /// The contracts of a key: to be used, or just looked for.
    fn by_key(&mut self, slot: u32, template: u32, wanted: Wanted) -> Result<(), Stop> {
        let template = self.here().ids[at(template)].clone();
        let key = contract_key(&self.registry, &template, self.local(slot), self.top())?;
        let count = match wanted {
            Wanted::One | Wanted::Any => 1,
            Wanted::Several(slot) => self.key_count(slot)?,
        };
        let found = self.of_key(&template, &key, count)?;
        self.pop();
        if matches!(wanted, Wanted::One) {
            let missing = EngineError::ContractKeyNotFound { template: (*template).clone() };
            let id = found.into_iter().next().ok_or(missing)?;
            self.ledger.note_found(id.clone());
            self.stack.push(V::ContractId(id));
            return Ok(());
        }
        let loaded = self.registry.need(&template.package)?;
        let exhaustive = found.len() < count || !loaded.shares_keys();
        self.ledger.query(QueryByKey {
            template: (*template).clone(),
            package_name: loaded.package.metadata().name.clone(),
            key,
            result: found.clone(),
            exhaustive,
            version: node_version(&loaded.package, true),
        })?;
        let mut ids = found.into_iter().map(V::ContractId);
        self.stack.push(match wanted {
            Wanted::Several(_) => V::list(ids.collect::<Vec<_>>()),
            Wanted::One | Wanted::Any => ids.next().map_or(V::None, V::some),
        });
        Ok(())
    }

    /// How many contracts of a key a model asks for.
    fn key_count(&self, slot: u32) -> Result<usize, Stop> {
        let V::Int64(count) = self.local(slot) else { return Err(ill_typed("a number of contracts is no number")) };
        match usize::try_from(*count) {
            Ok(count @ 1..) => Ok(count.min(MAX_OF_KEY)),
            _ => {
                Err(EngineError::User(format!("{count} contracts of a key are asked for, but it must be one at least"))
                    .into())
            }
        }
    }
}

/// More contracts of one key are never found at once.
const MAX_OF_KEY: usize = 1_000_000;

/// Signatories, stakeholders, and the key with its maintainers: what a template computes of a contract.
fn info_of(
    registry: &Registry,
    template: &Identifier,
    info: &V,
) -> Result<(Parties, Parties, Option<ContractKey>), Stop> {
    let V::Record(info) = info else { return Err(ill_typed("stakeholders are no record")) };
    let (key, observers, signatories) = match &info.fields[..] {
        [observers, signatories] => (None, observers, signatories),
        [maintainers, key, observers, signatories] => {
            (Some(contract_key(registry, template, key, maintainers)?), observers, signatories)
        }
        _ => return Err(ill_typed("stakeholders are no pair")),
    };
    let signatories = parties(signatories)?;
    let stakeholders = &signatories | &parties(observers)?;
    Ok((signatories, stakeholders, key))
}

fn contract_key(registry: &Registry, template: &Identifier, value: &V, maintainers: &V) -> Result<ContractKey, Stop> {
    let (value, maintainers) = (to_ledger(value)?, parties(maintainers)?);
    if maintainers.is_empty() {
        let why = "it has no maintainers";
        return Err(EngineError::ContractKey { template: template.clone(), why }.into());
    }
    let KeyOf { hash, value, .. } = key(registry, template, value)?;
    Ok(ContractKey { value, maintainers, hash })
}
