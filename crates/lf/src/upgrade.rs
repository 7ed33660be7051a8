//! Whether a package is a valid new version of another: whatever the old one put on the ledger, the new one can use
//! (spec/daml-lf.md §3.4).

use crate::{Choice, DataCons, DataType, LfError, Module, NameId, Package, Template, Type, TypeId};
use base::{DottedName, Identifier, Name, PackageId, PackageVersion};
use std::collections::BTreeSet;

/// A key by which versions are ordered: by their numbers, not by their texts.
#[must_use]
pub fn version_order(version: &PackageVersion) -> Vec<(usize, String)> {
    version.as_str().split('.').map(|part| (part.len(), part.to_owned())).collect()
}

/// Checks that `present` can replace `past`, which must be an older version of it. `find` gives the packages that the
/// two need.
pub fn check_upgrade<'a>(
    present: &'a Package,
    past: &'a Package,
    find: impl Fn(&PackageId) -> Option<&'a Package>,
) -> Result<(), LfError> {
    let upgrade = Upgrade { past, present, find: &find };
    upgrade.check().map_err(|what| LfError::NotAnUpgrade {
        present: format!("{} {}", present.metadata().name, present.metadata().version),
        past: past.metadata().version.to_string(),
        what,
    })
}

struct Upgrade<'a, 'f> {
    past: &'a Package,
    present: &'a Package,
    find: &'f dyn Fn(&PackageId) -> Option<&'a Package>,
}

/// What was there, and what is there now.
type Both<'a, T> = (&'a T, &'a T);

/// What was there, by name, with what is there now.
fn pairs<'a, T, N: Ord + 'a>(
    past: &'a [T],
    present: &'a [T],
    name: impl Fn(&'a T) -> &'a N,
) -> impl Iterator<Item = (&'a T, Option<&'a T>)> {
    let now: std::collections::BTreeMap<&N, &T> = present.iter().map(|one| (name(one), one)).collect();
    past.iter().map(move |one| (one, now.get(name(one)).copied()))
}

impl<'a> Upgrade<'a, '_> {
    fn check(&self) -> Result<(), String> {
        let (old, new) = (self.past.language_version(), self.present.language_version());
        if new < old {
            return Err(format!("it is of LF {new}, but the older version is of LF {old}"));
        }
        for (past, present) in pairs(self.past.modules(), self.present.modules(), |module| &module.name) {
            let present = present.ok_or_else(|| format!("module {} is gone", past.name))?;
            self.module((past, present)).map_err(|what| format!("module {}: {what}", past.name))?;
        }
        Ok(())
    }

    fn module(&self, (past, present): Both<'a, Module>) -> Result<(), String> {
        for (old, new) in pairs(&past.templates, &present.templates, |template| &template.name) {
            let new = new.ok_or_else(|| format!("template {} is gone", old.name))?;
            self.template((old, new)).map_err(|what| format!("template {}: {what}", old.name))?;
        }
        // Types of interfaces and exceptions are no part of what stands on the ledger.
        let other = |module: &Module| -> BTreeSet<DottedName> {
            let interfaces = module.interfaces.iter().map(|interface| interface.name.clone());
            interfaces.chain(module.exceptions.iter().map(|exception| exception.name.clone())).collect()
        };
        let (old_others, new_others) = (other(past), other(present));
        for (old, new) in pairs(&past.data_types, &present.data_types, |data| &data.name) {
            if !old.serializable || old_others.contains(&old.name) {
                continue;
            }
            let new = new.filter(|new| !new_others.contains(&new.name));
            let new = new.ok_or_else(|| format!("data type {} is gone", old.name))?;
            if role(past, &old.name) != role(present, &new.name) {
                return Err(format!("data type {} belongs to something else than before", old.name));
            }
            self.data_type((old, new)).map_err(|what| format!("data type {}: {what}", old.name))?;
        }
        Ok(())
    }

    fn template(&self, (past, present): Both<'a, Template>) -> Result<(), String> {
        for (old, new) in pairs(&past.choices, &present.choices, |choice| &choice.name) {
            let new: &Choice = new.ok_or_else(|| format!("choice {} is gone", old.name))?;
            if !self.same((old.returns, new.returns), (&[], &[])) {
                return Err(format!("choice {} returns another type", old.name));
            }
        }
        match (&past.key, &present.key) {
            (None, None) => {}
            (Some(old), Some(new)) if self.same((old.ty, new.ty), (&[], &[])) => {}
            (Some(_), Some(_)) => return Err("its key has another type".into()),
            (Some(_), None) => return Err("its key is gone".into()),
            (None, Some(_)) => return Err("it has a key, but had none".into()),
        }
        let now: BTreeSet<&Identifier> =
            present.implements.iter().map(|instance| self.present.reference(instance.interface)).collect();
        for instance in &past.implements {
            let interface = self.past.reference(instance.interface);
            let kept = now.iter().any(|id| self.same_name(interface, id));
            if !kept {
                return Err(format!("it no longer implements {}:{}", interface.module, interface.entity));
            }
        }
        Ok(())
    }

    fn data_type(&self, (past, present): Both<'a, DataType>) -> Result<(), String> {
        if !present.serializable {
            return Err("it is no longer serializable".into());
        }
        let vars = |data: &DataType| data.params.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let (old_vars, new_vars) = (vars(past), vars(present));
        // Parameters of what is serializable are types of values, so that only their number can differ.
        if old_vars.len() != new_vars.len() {
            return Err("it has another number of type parameters".into());
        }
        let vars = (&old_vars[..], &new_vars[..]);
        match (&past.cons, &present.cons) {
            (DataCons::Record(old), DataCons::Record(new)) => self.record((old, new), vars),
            (DataCons::Variant(old), DataCons::Variant(new)) => {
                self.begins_with(old, new, vars).map_err(|what| format!("constructor {what}"))
            }
            (DataCons::Enum(old), DataCons::Enum(new)) => {
                let gone = old.iter().zip(new.iter().map(Some).chain(std::iter::repeat(None)));
                let gone = gone.into_iter().find(|(old, new)| Some(*old) != *new);
                gone.map_or(Ok(()), |(old, _)| Err(format!("constructor {old} is gone or in another place")))
            }
            (DataCons::Interface, DataCons::Interface) => Ok(()),
            _ => Err("it is of another sort: record, variant, enum".into()),
        }
    }

    fn record(&self, (past, present): Both<'a, Vec<(Name, TypeId)>>, vars: Vars<'_>) -> Result<(), String> {
        self.begins_with(past, present, vars).map_err(|what| format!("field {what}"))?;
        for (name, ty) in &present[past.len()..] {
            let optional = matches!(self.present.ty(*ty), Type::App(head, _)
                if *self.present.ty(*head) == Type::Builtin(crate::BuiltinType::Optional));
            if !optional {
                return Err(format!("field {name} is new, but not optional"));
            }
        }
        Ok(())
    }

    /// What was there must still be there, in the same places with the same types.
    fn begins_with(&self, past: &[(Name, TypeId)], present: &[(Name, TypeId)], vars: Vars<'_>) -> Result<(), String> {
        for (place, (name, ty)) in past.iter().enumerate() {
            match present.get(place) {
                Some((same, new)) if same == name => {
                    if !self.same((*ty, *new), vars) {
                        return Err(format!("{name} has another type"));
                    }
                }
                _ if present.iter().any(|(other, _)| other == name) => {
                    return Err(format!("{name} is in another place"));
                }
                _ => return Err(format!("{name} is gone")),
            }
        }
        Ok(())
    }

    /// Whether two serializable types are the same, or the second is a newer version of the first.
    fn same(&self, root: (TypeId, TypeId), (old_vars, new_vars): Vars<'_>) -> bool {
        let mut open = vec![root];
        while let Some((old, new)) = open.pop() {
            match (self.past.ty(old), self.present.ty(new)) {
                (Type::Var(a), Type::Var(b)) => {
                    let place = |vars: &[NameId], name| vars.iter().rposition(|var| var == name);
                    if place(old_vars, a) != place(new_vars, b) {
                        return false;
                    }
                }
                (Type::Con(a), Type::Con(b)) => {
                    if !self.same_name(self.past.reference(*a), self.present.reference(*b)) {
                        return false;
                    }
                }
                (Type::App(f, a), Type::App(g, b)) => open.extend([(*f, *g), (*a, *b)]),
                (Type::Builtin(a), Type::Builtin(b)) if a == b => {}
                (Type::Nat(a), Type::Nat(b)) if a == b => {}
                _ => return false,
            }
        }
        true
    }

    /// Whether a definition is the same, or in a newer version of the same package.
    fn same_name(&self, old: &Identifier, new: &Identifier) -> bool {
        (&old.module, &old.entity) == (&new.module, &new.entity) && self.same_package(&old.package, &new.package)
    }

    fn same_package(&self, old: &PackageId, new: &PackageId) -> bool {
        if old == new {
            return true;
        }
        let known = |id: &PackageId| match id {
            id if id == self.past.id() => Some(self.past),
            id if id == self.present.id() => Some(self.present),
            id => (self.find)(id),
        };
        let (Some(old), Some(new)) = (known(old), known(new)) else { return false };
        // Before LF 1.17 packages had no versions that could use each other's contracts.
        let upgrades = old.language_version().has_upgrades() && new.language_version().has_upgrades();
        let order = |package: &Package| version_order(&package.metadata().version);
        upgrades && old.metadata().name == new.metadata().name && order(old) <= order(new)
    }
}

/// The type parameters then and now.
type Vars<'v> = (&'v [NameId], &'v [NameId]);

/// What a data type is for: a template's argument, a choice's, or a variant's constructor.
fn role(module: &Module, name: &DottedName) -> Option<String> {
    if module.templates.iter().any(|template| template.name == *name) {
        return Some("template".into());
    }
    for template in &module.templates {
        let text = template.name.as_str();
        let prefix = text.rsplit_once('.').map_or(String::new(), |(prefix, _)| format!("{prefix}."));
        let of = template.choices.iter().find(|choice| format!("{prefix}{}", choice.name) == name.as_str());
        if let Some(choice) = of {
            return Some(format!("choice {} of {}", choice.name, template.name));
        }
    }
    let (owner, constructor) = name.as_str().rsplit_once('.')?;
    let variant = module.data_types.iter().find(|data| data.name.as_str() == owner)?;
    match &variant.cons {
        DataCons::Variant(all) if all.iter().any(|(name, _)| name.as_str() == constructor) => {
            Some(format!("constructor of {owner}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assemble_payload, read_dar, read_package, tests::dars};
    use base::{Coded, PackageName, codes};
    use std::fs;

    #[test]
    fn a_lineage_is_accepted_in_order_and_refused_in_reverse() {
        let Some(folder) = dars() else { return };
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.file_name().unwrap().to_string_lossy().starts_with("splice-amulet-0.1."));
        let mut versions: Vec<_> = files.iter().map(|file| read_dar(&fs::read(file).unwrap()).unwrap()).collect();
        versions.sort_by_cached_key(|dar| version_order(&dar.main().metadata().version));
        let numbers: Vec<_> = versions.iter().map(|dar| dar.main().metadata().version.to_string()).collect();
        assert_eq!(numbers, ["0.1.0", "0.1.1", "0.1.2", "0.1.3", "0.1.4", "0.1.14"]);
        for pair in versions.windows(2) {
            let all = || pair.iter().flat_map(|dar| dar.packages.iter().map(|package| &*package.package));
            let find = |id: &PackageId| all().find(|package| package.id() == id);
            let (past, present) = (pair[0].main(), pair[1].main());
            check_upgrade(present, past, find).unwrap();
            let reversed = check_upgrade(past, present, find);
            // The first three differ in code only, except that packages that they need are older.
            let error = reversed.expect_err("an older version replaces a newer one");
            assert_eq!(error.code(), codes::DAR_NOT_VALID_UPGRADE, "{error}");
        }
    }

    fn package(version: &str, source: &str) -> Package {
        let (name, version) = (PackageName::new("test").unwrap(), PackageVersion::new(version).unwrap());
        let source = format!("module M {{ {source} }}");
        read_package(&assemble_payload(&source, &name, &version).unwrap()).unwrap()
    }

    #[test]
    fn each_rule_is_enforced() {
        const TEMPLATE: &str = "template (this: T) = { signatories Nil @Party; observers Nil @Party; };";
        const CHOICE: &str = "template (this: T) = { signatories Nil @Party; observers Nil @Party; \
             choice C (self) (arg: Unit) : RETURNS, controllers Nil @Party to error; };";
        let with = |returns: &str| {
            format!(
                "record @serializable T = {{}}; {}",
                CHOICE.replace("RETURNS", returns).replace("error", "ERROR @(Update Unit) \"\"")
            )
        };
        let record = |fields: &str| format!("record @serializable R = {{ {fields} }};");
        let cases = [
            (record("a: Int64"), record("a: Int64, b: Option Text"), ""),
            (record("a: Int64"), record("a: Int64, b: Text"), "field b is new, but not optional"),
            (record("a: Int64"), record("b: Option Text, a: Int64"), "field a is in another place"),
            (record("a: Int64"), record("a: Text"), "field a has another type"),
            (record("a: Int64"), record(""), "field a is gone"),
            (record("a: M:R"), record("a: M:R"), ""),
            (record(""), String::new(), "data type R is gone"),
            (record(""), "variant @serializable R = A: Unit;".into(), "of another sort"),
            (record(""), "record R = {};".into(), "no longer serializable"),
            ("record R = {};".into(), String::new(), ""),
            (
                "record @serializable R (a: *) = { x: a };".into(),
                "record @serializable R (b: *) = { x: b };".into(),
                "",
            ),
            (
                "record @serializable R (a: *)(b: *) = { x: a };".into(),
                "record @serializable R (a: *)(b: *) = { x: b };".into(),
                "field x has another type",
            ),
            ("enum @serializable E = A | B;".into(), "enum @serializable E = A | B | C;".into(), ""),
            ("enum @serializable E = A | B;".into(), "enum @serializable E = B | A;".into(), "constructor A is gone"),
            ("enum @serializable E = A | B;".into(), "enum @serializable E = A;".into(), "constructor B is gone"),
            ("variant @serializable V = A: Unit;".into(), "variant @serializable V = A: Unit | B: Int64;".into(), ""),
            (
                "variant @serializable V = A: Unit;".into(),
                "variant @serializable V = A: Text;".into(),
                "constructor A has another",
            ),
            (
                format!("{} {TEMPLATE}", record("").replace('R', "T")),
                record("").replace('R', "T"),
                "template T is gone",
            ),
            (with("Unit"), format!("record @serializable T = {{}}; {TEMPLATE}"), "choice C is gone"),
            (with("Unit"), with("Text"), "choice C returns another type"),
            (format!("record @serializable T = {{}}; {TEMPLATE}"), with("Unit"), ""),
        ];
        for (old, new, refusal) in cases {
            let (past, present) = (package("1.0.0", &old), package("1.1.0", &new));
            let error = check_upgrade(&present, &past, |_| None).err().map_or(String::new(), |e| e.to_string());
            assert_eq!(error.is_empty(), refusal.is_empty(), "{old} to {new}: {error}");
            assert!(error.contains(refusal), "{old} to {new}: {error}");
        }
        let empty = crate::read_package(
            &assemble_payload("", &PackageName::new("test").unwrap(), &PackageVersion::new("2.0.0").unwrap()).unwrap(),
        );
        let error = check_upgrade(&empty.unwrap(), &package("1.0.0", ""), |_| None).unwrap_err();
        assert!(error.to_string().contains("module M is gone"), "{error}");
    }
}
