//! Names that must not collide, and modules that must not refer to each other in a circle.

use super::{Fault, Rule};
use crate::{DataCons, Module, Package};
use base::{DottedName, Name};
use std::collections::{BTreeMap, BTreeSet};

/// What has a name, as far as the one exception needs to know.
#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// A constructor of a variant, with its full name.
    Constructor(String),
    /// A record, with its full name.
    Record(String),
    Other(&'static str),
}

/// Refuses names of which two differ in nothing but case. A variant's constructor and the record of its fields have
/// one name.
pub(super) fn collisions(package: &Package) -> Result<(), Fault> {
    let mut seen: BTreeMap<String, Vec<Kind>> = BTreeMap::new();
    let mut add = |name: String, kind: Kind| {
        let same = seen.entry(name.to_uppercase()).or_default();
        let allowed = |other: &Kind| match (other, &kind) {
            (Kind::Constructor(a), Kind::Record(b)) | (Kind::Record(a), Kind::Constructor(b)) => a == b,
            _ => false,
        };
        if !same.iter().all(allowed) {
            return Err(Fault { rule: Rule::Collision, what: format!("{name} collides with another name") });
        }
        same.push(kind);
        Ok(())
    };
    package.modules().iter().try_for_each(|module| {
        add(module.name.to_string(), Kind::Other("module"))?;
        in_module(module, &mut add)
    })
}

fn in_module(module: &Module, add: &mut impl FnMut(String, Kind) -> Result<(), Fault>) -> Result<(), Fault> {
    let full = |name: &DottedName| format!("{}.{name}", module.name);
    let inner = |name: &DottedName, part: &Name| format!("{}.{name}.{part}", module.name);
    for data in &module.data_types {
        match &data.cons {
            DataCons::Record(fields) => {
                add(full(&data.name), Kind::Record(full(&data.name)))?;
                fields.iter().try_for_each(|(name, _)| add(inner(&data.name, name), Kind::Other("field")))?;
            }
            DataCons::Variant(all) => {
                add(full(&data.name), Kind::Other("variant"))?;
                all.iter().try_for_each(|(name, _)| {
                    let full = inner(&data.name, name);
                    add(full.clone(), Kind::Constructor(full))
                })?;
            }
            DataCons::Enum(all) => {
                add(full(&data.name), Kind::Other("enum"))?;
                all.iter().try_for_each(|name| add(inner(&data.name, name), Kind::Other("constructor")))?;
            }
            DataCons::Interface => add(full(&data.name), Kind::Other("interface"))?,
        }
    }
    module.synonyms.iter().try_for_each(|synonym| add(full(&synonym.name), Kind::Other("synonym")))?;
    let templates = module.templates.iter().map(|template| (&template.name, &template.choices));
    let interfaces = module.interfaces.iter().map(|interface| (&interface.name, &interface.choices));
    for (name, choices) in templates.chain(interfaces) {
        choices.iter().try_for_each(|choice| add(inner(name, &choice.name), Kind::Other("choice")))?;
    }
    Ok(())
}

/// Refuses modules that refer to each other in a circle.
pub(super) fn cycles(refers: &BTreeMap<DottedName, BTreeSet<DottedName>>) -> Result<(), Fault> {
    let mut done: BTreeSet<&DottedName> = BTreeSet::new();
    for root in refers.keys() {
        let mut open = vec![(root, false)];
        let mut begun = BTreeSet::new();
        while let Some((module, all_done)) = open.pop() {
            if done.contains(module) {
                continue;
            }
            if all_done {
                done.insert(module);
            } else if begun.insert(module) {
                open.push((module, true));
                let others = refers.get(module).into_iter().flatten().filter(|other| *other != module);
                open.extend(others.map(|other| (other, false)));
            } else {
                let what = format!("module {module} refers to itself through other modules");
                return Err(Fault { rule: Rule::Recursion, what });
            }
        }
    }
    Ok(())
}
