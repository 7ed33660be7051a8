//! Definitions of a package, one after the other.

use super::{
    Fault, Rule,
    infer::{Infer, mistyped},
    interfaces::unfit,
    names, serializable,
    types::Ty,
    world::{Scope, World, modules_of},
};
use crate::{
    BuiltinType as B, Choice, DataCons, DataType, ExceptionDef, Interface, KindId, LfError, Module, NameId, Package,
    Template, TypeSynonym, ValueDef,
};
use base::{DottedName, Identifier};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check<'a>(package: &'a Package, others: impl Iterator<Item = &'a Package>) -> Result<(), LfError> {
    let mut world = World::new(package, others);
    dependencies(&world).map_err(|fault| fault.at(package, None, None))?;
    names::collisions(package).map_err(|fault| fault.at(package, None, None))?;
    let mut refers = BTreeMap::new();
    for module in package.modules() {
        world.mentioned.clear();
        world.referred.clear();
        check_module(&mut world, module)?;
        let mut all = modules_of(package, &world.mentioned);
        all.append(&mut world.referred);
        refers.insert(module.name.clone(), all);
    }
    names::cycles(&refers).map_err(|fault| fault.at(package, None, None))
}

/// Packages need others of their own major version, and none newer than themselves.
fn dependencies(world: &World<'_>) -> Result<(), Fault> {
    let own = world.package.language_version();
    for id in world.package.dependencies() {
        let other = world.package_with(id)?.language_version();
        if other > own || other.is_v1() != own.is_v1() {
            let what = format!("a package of LF {own} needs {id}, which is of LF {other}");
            return Err(Fault { rule: Rule::Dependency, what });
        }
    }
    Ok(())
}

fn check_module<'a>(world: &mut World<'a>, module: &'a Module) -> Result<(), LfError> {
    let package = world.package;
    let at = |name: &DottedName| {
        let name = name.to_string();
        move |fault: Fault| fault.at(package, Some(&module.name), Some(&name))
    };
    for synonym in &module.synonyms {
        check_synonym(world, synonym).map_err(at(&synonym.name))?;
    }
    for data in &module.data_types {
        check_data_type(world, module, data).map_err(at(&data.name))?;
    }
    for value in &module.values {
        check_value(world, value).map_err(at(&value.name))?;
    }
    for template in &module.templates {
        check_template(world, module, template).map_err(at(&template.name))?;
    }
    for exception in &module.exceptions {
        check_exception(world, module, exception).map_err(at(&exception.name))?;
    }
    for interface in &module.interfaces {
        check_interface(world, module, interface).map_err(at(&interface.name))?;
    }
    Ok(())
}

/// Parameters come into scope; none twice.
fn params(world: &mut World<'_>, params: &[(NameId, KindId)]) -> Result<Scope, Fault> {
    let (mut scope, mut seen) = (Scope::default(), BTreeSet::new());
    for (name, kind) in params {
        if !seen.insert(name) {
            return Err(mistyped(format!("type parameter {} is there twice", world.package.name(*name))));
        }
        let kind = world.kind(world.package.arena(), *kind);
        world.check_kind(kind)?;
        let var = world.types.new_var(kind);
        scope.push(*name, var);
    }
    Ok(scope)
}

fn check_synonym(world: &mut World<'_>, synonym: &TypeSynonym) -> Result<(), Fault> {
    let mut scope = params(world, &synonym.params)?;
    let ty = world.own(synonym.ty, &mut scope)?;
    world.of_values(ty).map(|_| ())
}

fn check_data_type(world: &mut World<'_>, module: &Module, data: &DataType) -> Result<(), Fault> {
    let mut scope = params(world, &data.params)?;
    match &data.cons {
        DataCons::Record(fields) | DataCons::Variant(fields) => {
            for (_, ty) in fields {
                let ty = world.own(*ty, &mut scope)?;
                world.of_values(ty)?;
            }
        }
        DataCons::Enum(_) => {}
        DataCons::Interface => {
            let id = world.package.identifier(&module.name, &data.name);
            world.interface(&id)?;
            if !data.params.is_empty() {
                return Err(unfit("an interface has type parameters"));
            }
        }
    }
    serializable::check_data_type(world, data)
}

fn check_value<'a>(world: &mut World<'a>, value: &'a ValueDef) -> Result<(), Fault> {
    let ty = world.own(value.ty, &mut Scope::default())?;
    let ty = world.of_values(ty)?;
    Infer::new(world).check(value.body, ty)?;
    if value.is_test {
        let mut inner = ty;
        while let super::types::Node::Forall(_, body) = world.types.node(inner) {
            inner = *body;
        }
        if world.types.as_builtin::<1>(inner, B::Scenario).is_none() {
            return Err(mistyped("a test is no scenario"));
        }
    }
    Ok(())
}

/// The type of a template or exception: a record without parameters.
fn record(world: &mut World<'_>, id: &Identifier) -> Result<Ty, Fault> {
    let con = world.con_named(id)?;
    let data = world.con(con).data;
    if !data.params.is_empty() || !matches!(data.cons, DataCons::Record(_)) {
        return Err(mistyped("it is no record without parameters"));
    }
    if !data.serializable {
        return Err(Fault { rule: Rule::Serializability, what: format!("{id} is not serializable") });
    }
    Ok(world.types.con(con))
}

fn check_template<'a>(world: &mut World<'a>, module: &Module, template: &'a Template) -> Result<(), Fault> {
    let id = world.package.identifier(&module.name, &template.name);
    let ty = record(world, &id)?;
    let (bool, text) = (world.types.builtin(B::Bool), world.types.builtin(B::Text));
    let mut infer = Infer::new(world);
    let parties = infer.parties();
    infer.bind(template.param, ty);
    if let Some(precondition) = template.precondition {
        infer.check(precondition, bool)?;
    }
    infer.check(template.signatories, parties)?;
    infer.check(template.observers, parties)?;
    if let Some(agreement) = template.agreement {
        infer.check(agreement, text)?;
    }
    template.choices.iter().try_for_each(|choice| check_choice(&mut infer, ty, choice))?;
    if let Some(key) = &template.key {
        serializable::check_type(infer.world, key.ty, &[])?;
        let key_type = infer.value_type(key.ty)?;
        infer.check(key.body, key_type)?;
        infer.unbind(1);
        let maintainers = infer.world.types.arrow(key_type, parties);
        infer.check(key.maintainers, maintainers)?;
    }
    for instance in &template.implements {
        let interface = world.reference(instance.interface);
        let mut infer = Infer::new(world);
        infer.implementation((interface, &id), template.param, &instance.methods, instance.view)?;
    }
    Ok(())
}

/// A choice of the contract that is bound already.
fn check_choice<'a>(infer: &mut Infer<'_, 'a>, owner: Ty, choice: &'a Choice) -> Result<(), Fault> {
    let parties = infer.parties();
    serializable::check_type(infer.world, choice.arg_binder.1, &[])?;
    serializable::check_type(infer.world, choice.returns, &[])?;
    let argument = infer.value_type(choice.arg_binder.1)?;
    let returns = infer.value_type(choice.returns)?;
    infer.bind(choice.arg_binder.0, argument);
    for expr in [choice.controllers, choice.observers].into_iter().chain(choice.authorizers) {
        infer.check(expr, parties)?;
    }
    infer.unbind(1);
    let contract_id = infer.world.types.apply(B::ContractId, &[owner]);
    infer.bind(choice.self_binder, contract_id);
    infer.bind(choice.arg_binder.0, argument);
    let update = infer.world.types.apply(B::Update, &[returns]);
    infer.check(choice.update, update)?;
    infer.unbind(2);
    Ok(())
}

fn check_exception<'a>(world: &mut World<'a>, module: &Module, exception: &'a ExceptionDef) -> Result<(), Fault> {
    let ty = record(world, &world.package.identifier(&module.name, &exception.name))?;
    let text = world.types.builtin(B::Text);
    let message = world.types.arrow(ty, text);
    Infer::new(world).check(exception.message, message)
}

fn check_interface<'a>(world: &mut World<'a>, module: &Module, interface: &'a Interface) -> Result<(), Fault> {
    let id = world.package.identifier(&module.name, &interface.name);
    let ty = world.con_type(&id)?;
    let required: BTreeSet<&Identifier> = interface.requires.iter().map(|r| world.reference(*r)).collect();
    if required.contains(&id) {
        return Err(Fault { rule: Rule::Recursion, what: format!("{id} requires itself") });
    }
    for other in &required {
        let home = world.home(other)?;
        let further = &world.interface(other)?.requires;
        if let Some(more) = further.iter().map(|r| home.reference(*r)).find(|more| !required.contains(more)) {
            return Err(unfit(format!("{id} requires {other}, but not {more}, which that one requires")));
        }
    }
    for (_, method) in &interface.methods {
        let ty = world.own(*method, &mut Scope::default())?;
        world.of_values(ty)?;
    }
    view_type(world, interface)?;
    let mut infer = Infer::new(world);
    infer.bind(interface.param, ty);
    interface.choices.iter().try_for_each(|choice| check_choice(&mut infer, ty, choice))?;
    for co in &interface.co_implements {
        let template = world.reference(co.template);
        Infer::new(world).implementation((&id, template), interface.param, &co.methods, co.view)?;
    }
    Ok(())
}

/// A view is a serializable record without parameters.
fn view_type(world: &mut World<'_>, interface: &Interface) -> Result<(), Fault> {
    world.own(interface.view, &mut Scope::default())?;
    let crate::Type::Con(reference) = world.package.ty(interface.view) else {
        return Err(unfit("its view is no record without parameters"));
    };
    let id = world.reference(*reference);
    record(world, id).map(|_| ())
}
