//! What an engine is asked to interpret, and how it becomes calls of the machine.

use crate::{
    EngineError,
    code::GlobalRef,
    machine::Machine,
    registry::{Key, Loaded, Registry},
    run::Stop,
    translate::{TranslateError, to_machine},
    typing::{Data, Head, Typed},
    value::V,
};
use base::{ContractId, DottedName, Hash, Identifier, Name, PackageId, PackageName, ParticipantId, Timestamp};
use lf::version_order;
use std::{collections::BTreeMap, sync::Arc};
use transaction::{Parties, Value};

/// How a command names a package.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PackageRef {
    /// Exactly this one.
    Id(PackageId),
    /// The preferred version of this name: see [`Submission::preferences`].
    Name(PackageName),
}

/// How a command names a template or interface.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TypeRef {
    /// The package.
    pub package: PackageRef,
    /// The module.
    pub module: DottedName,
    /// The template or interface in it.
    pub entity: DottedName,
}

/// A command of a client. Values may have labels and type ids or not.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is what its name says")]
pub enum Command {
    /// Create a contract.
    Create { template: TypeRef, argument: Value },
    /// Exercise a choice that the template or interface declares.
    Exercise { template: TypeRef, contract_id: ContractId, choice: Name, argument: Value },
    /// Exercise a choice on the contract that has a key.
    ExerciseByKey { template: TypeRef, key: Value, choice: Name, argument: Value },
    /// Create a contract and exercise a choice on it.
    CreateAndExercise { template: TypeRef, create_argument: Value, choice: Name, choice_argument: Value },
}

/// Commands to be interpreted for the first time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submission {
    /// Who authorizes.
    pub act_as: Parties,
    /// In this order.
    pub commands: Vec<Command>,
    /// Which version to take where a command gives a package name; without an entry the highest one.
    pub preferences: BTreeMap<PackageName, PackageId>,
    /// The model's time.
    pub ledger_time: Timestamp,
    /// Part of the ids of created contracts.
    pub preparation_time: Timestamp,
    /// Random and secret.
    pub submission_seed: Hash,
    /// Who interprets.
    pub participant: ParticipantId,
}

/// The root action of a view.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is what its name says, see `transaction::Node`")]
pub enum RootAction {
    /// Create a contract.
    Create { template: Identifier, argument: Value },
    /// Exercise a choice.
    Exercise {
        template: Identifier,
        interface: Option<Identifier>,
        contract_id: ContractId,
        choice: Name,
        argument: Value,
        /// The contract's key, if it is to be found by that.
        by_key: Option<Value>,
    },
    /// Read a contract; see there for the key.
    Fetch { template: Identifier, interface: Option<Identifier>, contract_id: ContractId, by_key: Option<Value> },
}

/// One action to be interpreted again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replay {
    /// The action.
    pub root: RootAction,
    /// Who authorizes it.
    pub authorizers: Parties,
    /// The seed of its node; a fetch has none.
    pub seed: Option<Hash>,
    /// The model's time.
    pub ledger_time: Timestamp,
    /// Part of the ids of created contracts.
    pub preparation_time: Timestamp,
}

/// Something to be done, as it was given.
#[derive(Debug)]
pub(crate) enum Work {
    Command(Command, Arc<BTreeMap<PackageName, PackageId>>),
    Root(RootAction),
}

/// A call of the machine.
#[derive(Debug)]
pub(crate) struct Prepared {
    function: GlobalRef,
    /// Whether the result of the call before comes in front of the arguments.
    takes_last: bool,
    arguments: Vec<V>,
}

impl Prepared {
    pub(crate) fn start(&self, machine: &mut Machine, last: Option<&V>) -> Result<(), Stop> {
        let last = last.filter(|_| self.takes_last).cloned();
        let arguments: Vec<_> = last.into_iter().chain(self.arguments.iter().cloned()).chain([V::Unit]).collect();
        machine.start(self.function, arguments)
    }
}

fn unknown(what: &TypeRef) -> Stop {
    let package = match &what.package {
        PackageRef::Id(id) => id.as_str().to_owned(),
        PackageRef::Name(name) => format!("#{name}"),
    };
    Stop::error(EngineError::UnknownTemplate(format!("{package}:{}:{}", what.module, what.entity)))
}

/// A template or interface of a command.
fn resolve(
    registry: &Registry,
    what: &TypeRef,
    preferences: &BTreeMap<PackageName, PackageId>,
) -> Result<Identifier, Stop> {
    let package = match &what.package {
        PackageRef::Id(id) => id.clone(),
        PackageRef::Name(name) => {
            let all = registry.all().filter(|loaded| loaded.package.metadata().name == *name);
            let highest = all.max_by_key(|loaded| version_order(&loaded.package.metadata().version));
            let preferred = preferences.get(name).cloned();
            preferred
                .or_else(|| highest.map(|loaded| loaded.package.id().clone()))
                .ok_or_else(|| Stop::error(EngineError::UnknownPackageName(name.clone())))?
        }
    };
    let id = Identifier { package, module: what.module.clone(), entity: what.entity.clone() };
    let loaded = registry.need(&id.package)?;
    if loaded.template(&id).is_none() && loaded.interface(&id).is_none() {
        return Err(unknown(what));
    }
    Ok(id)
}

fn fit(error: TranslateError) -> Stop {
    match error {
        TranslateError::Missing(package) => Stop::package(&package),
        TranslateError::Mismatch(why) => Stop::error(EngineError::Preprocessing(why)),
    }
}

fn template(registry: &Registry, id: &Identifier, key: fn(u32, u32) -> Key) -> Result<GlobalRef, Stop> {
    let loaded = registry.need(&id.package)?;
    let found = loaded.template(id).and_then(|((m, t), _)| loaded.global(key(m, t)));
    found.ok_or_else(|| Stop::error(EngineError::UnknownTemplate(id.to_string())))
}

fn create(registry: &Registry, id: &Identifier, argument: &Value) -> Result<Prepared, Stop> {
    let function = template(registry, id, Key::Create)?;
    let data = Data::closed(registry, id).map_err(|package| Stop::package(&package))?;
    let argument = to_machine(registry, argument, Head::Data(data)).map_err(fit)?;
    Ok(Prepared { function, takes_last: false, arguments: vec![argument] })
}

/// Doing something with a key: finding its contract, or reading that.
fn with_key(registry: &Registry, id: &Identifier, key: &Value, what: fn(u32, u32) -> Key) -> Result<Prepared, Stop> {
    let loaded = registry.need(&id.package)?;
    let ty = loaded.template(id).and_then(|(_, template)| template.key.as_ref()).map(|key| key.ty);
    let ty = ty.ok_or_else(|| Stop::error(EngineError::Preprocessing(format!("{id} has no key"))))?;
    let function = template(registry, id, what)?;
    let head = Typed::closed(loaded, ty).head(registry).map_err(|package| Stop::package(&package))?;
    Ok(Prepared { function, takes_last: false, arguments: vec![to_machine(registry, key, head).map_err(fit)?] })
}

/// The type of a choice's argument and of its result.
pub(crate) fn choice_types(loaded: &Arc<Loaded>, owner: &Identifier, choice: &Name) -> Option<(Typed, Typed)> {
    let choices = match (loaded.template(owner), loaded.interface(owner)) {
        (Some((_, template)), _) => &template.choices,
        (None, Some((_, interface))) => &interface.choices,
        (None, None) => return None,
    };
    let choice = choices.iter().find(|c| c.name == *choice)?;
    Some((Typed::closed(loaded, choice.arg_binder.1), Typed::closed(loaded, choice.returns)))
}

/// An exercise without the contract.
fn exercise(registry: &Registry, owner: &Identifier, choice: &Name, argument: &Value) -> Result<Prepared, Stop> {
    let loaded = registry.need(&owner.package)?;
    let function = loaded.choice(owner, choice).or_else(|| loaded.interface_choice(owner, choice));
    let types = choice_types(loaded, owner, choice);
    let (Some(function), Some((ty, _))) = (function, types) else {
        return Err(Stop::error(EngineError::UnknownChoice { owner: owner.clone(), choice: choice.clone() }));
    };
    let head = ty.head(registry).map_err(|package| Stop::package(&package))?;
    let argument = to_machine(registry, argument, head).map_err(fit)?;
    Ok(Prepared { function, takes_last: true, arguments: vec![argument] })
}

fn on(contract_id: &ContractId, mut call: Prepared) -> Prepared {
    call.takes_last = false;
    call.arguments.insert(0, V::ContractId(contract_id.clone()));
    call
}

impl Work {
    /// Translates without changing anything, so that it can be done again when a package was missing.
    pub(crate) fn prepare(&self, registry: &Registry) -> Result<Vec<Prepared>, Stop> {
        match self {
            Self::Command(command, preferences) => match command {
                Command::Create { template, argument } => {
                    let id = resolve(registry, template, preferences)?;
                    Ok(vec![create(registry, &id, argument)?])
                }
                Command::Exercise { template, contract_id, choice, argument } => {
                    let id = resolve(registry, template, preferences)?;
                    Ok(vec![on(contract_id, exercise(registry, &id, choice, argument)?)])
                }
                Command::ExerciseByKey { template, key, choice, argument } => {
                    let id = resolve(registry, template, preferences)?;
                    let find = with_key(registry, &id, key, Key::Find)?;
                    Ok(vec![find, exercise(registry, &id, choice, argument)?])
                }
                Command::CreateAndExercise { template, create_argument, choice, choice_argument } => {
                    let id = resolve(registry, template, preferences)?;
                    let create = create(registry, &id, create_argument)?;
                    Ok(vec![create, exercise(registry, &id, choice, choice_argument)?])
                }
            },
            Self::Root(RootAction::Create { template, argument }) => Ok(vec![create(registry, template, argument)?]),
            Self::Root(RootAction::Exercise { template, interface, contract_id, choice, argument, by_key }) => {
                let owner = interface.as_ref().unwrap_or(template);
                registry.need(&template.package)?;
                let exercise = exercise(registry, owner, choice, argument)?;
                match by_key {
                    Some(key) => Ok(vec![with_key(registry, template, key, Key::Find)?, exercise]),
                    None => Ok(vec![on(contract_id, exercise)]),
                }
            }
            Self::Root(RootAction::Fetch { template: id, by_key: Some(key), .. }) => {
                Ok(vec![with_key(registry, id, key, Key::FetchFound)?])
            }
            Self::Root(RootAction::Fetch { template: id, interface, contract_id, by_key: None }) => {
                registry.need(&id.package)?;
                let function = match interface {
                    None => template(registry, id, Key::Fetch)?,
                    Some(id) => {
                        let loaded = registry.need(&id.package)?;
                        let found =
                            loaded.interface(id).and_then(|((m, i), _)| loaded.global(Key::FetchInterface(m, i)));
                        found.ok_or_else(|| Stop::error(EngineError::UnknownTemplate(id.to_string())))?
                    }
                };
                let arguments = vec![V::ContractId(contract_id.clone())];
                Ok(vec![Prepared { function, takes_last: false, arguments }])
            }
        }
    }
}
