//! A decoded package: arena, definitions, and how to find them.

use crate::{
    DataType, ExceptionDef, Expr, ExprId, Interface, Kind, KindId, LanguageVersion, LfError, Module, NameId, RefId,
    Template, Type, TypeId, TypeSynonym, ValueDef,
};
use base::{DottedName, Identifier, Name, PackageId, PackageName, PackageVersion};
use std::collections::{BTreeMap, BTreeSet};

/// The tables into which the numbers of the language point.
#[derive(Clone, Debug, Default)]
pub struct Arena {
    /// Names of variables, fields, constructors, choices, methods.
    pub names: Vec<Name>,
    /// Definitions referred to.
    pub refs: Vec<Identifier>,
    /// Kinds.
    pub kinds: Vec<Kind>,
    /// Types.
    pub types: Vec<Type>,
    /// Expressions.
    pub exprs: Vec<Expr>,
    name_ids: BTreeMap<Name, NameId>,
    ref_ids: BTreeMap<Identifier, RefId>,
}

/// Numbers of a table entry; tables are bounded by the size of the archive, far below 2^32.
fn number(length: usize) -> u32 {
    u32::try_from(length).expect("an archive of at most 256 MiB has fewer than 2^32 parts")
}

impl Arena {
    /// The number of a name.
    pub fn name(&mut self, name: &Name) -> NameId {
        if let Some(id) = self.name_ids.get(name) {
            return *id;
        }
        let id = NameId(number(self.names.len()));
        self.names.push(name.clone());
        self.name_ids.insert(name.clone(), id);
        id
    }

    /// The number of a reference.
    pub fn reference(&mut self, to: &Identifier) -> RefId {
        if let Some(id) = self.ref_ids.get(to) {
            return *id;
        }
        let id = RefId(number(self.refs.len()));
        self.refs.push(to.clone());
        self.ref_ids.insert(to.clone(), id);
        id
    }

    /// Adds a kind.
    pub fn kind(&mut self, kind: Kind) -> KindId {
        self.kinds.push(kind);
        KindId(number(self.kinds.len() - 1))
    }

    /// Adds a type.
    pub fn ty(&mut self, ty: Type) -> TypeId {
        self.types.push(ty);
        TypeId(number(self.types.len() - 1))
    }

    /// Adds an expression.
    pub fn expr(&mut self, expr: Expr) -> ExprId {
        self.exprs.push(expr);
        ExprId(number(self.exprs.len() - 1))
    }
}

/// What a package says about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// Its name, shared by all its versions.
    pub name: PackageName,
    /// Its version.
    pub version: PackageVersion,
    /// The package that it states to upgrade.
    pub upgrades: Option<PackageId>,
}

/// A place in the modules: number of the module, number of the definition in it.
type Place = (usize, usize);
/// Module and name in it.
type QualifiedName = (DottedName, DottedName);

/// A package.
#[derive(Clone, Debug)]
pub struct Package {
    id: PackageId,
    version: LanguageVersion,
    metadata: Metadata,
    arena: Arena,
    modules: Vec<Module>,
    dependencies: BTreeSet<PackageId>,
    synonyms: BTreeMap<QualifiedName, Place>,
    data_types: BTreeMap<QualifiedName, Place>,
    values: BTreeMap<QualifiedName, Place>,
    templates: BTreeMap<QualifiedName, Place>,
    exceptions: BTreeMap<QualifiedName, Place>,
    interfaces: BTreeMap<QualifiedName, Place>,
}

fn index<T>(
    modules: &[Module],
    definitions: impl Fn(&Module) -> &Vec<T>,
    name: impl Fn(&T) -> &DottedName,
) -> Result<BTreeMap<QualifiedName, Place>, LfError> {
    let mut all = BTreeMap::new();
    for (m, module) in modules.iter().enumerate() {
        for (d, definition) in definitions(module).iter().enumerate() {
            let qualified = (module.name.clone(), name(definition).clone());
            if all.insert(qualified, (m, d)).is_some() {
                let what = format!("{}:{} is defined twice", module.name, name(definition));
                return Err(LfError::Invalid { message: "Package", what });
            }
        }
    }
    Ok(all)
}

impl Package {
    /// Puts a package together; names must be unique.
    pub(crate) fn new(
        id: PackageId,
        version: LanguageVersion,
        metadata: Metadata,
        arena: Arena,
        modules: Vec<Module>,
    ) -> Result<Self, LfError> {
        let mut names = BTreeSet::new();
        if let Some(twice) = modules.iter().find(|module| !names.insert(&module.name)) {
            let what = format!("module {} is defined twice", twice.name);
            return Err(LfError::Invalid { message: "Package", what });
        }
        let dependencies = arena.refs.iter().map(|r| &r.package).filter(|package| **package != id).cloned().collect();
        Ok(Self {
            dependencies,
            synonyms: index(&modules, |m| &m.synonyms, |d| &d.name)?,
            data_types: index(&modules, |m| &m.data_types, |d| &d.name)?,
            values: index(&modules, |m| &m.values, |d| &d.name)?,
            templates: index(&modules, |m| &m.templates, |d| &d.name)?,
            exceptions: index(&modules, |m| &m.exceptions, |d| &d.name)?,
            interfaces: index(&modules, |m| &m.interfaces, |d| &d.name)?,
            id,
            version,
            metadata,
            arena,
            modules,
        })
    }

    /// The package id.
    #[must_use]
    pub fn id(&self) -> &PackageId {
        &self.id
    }

    /// The language version.
    #[must_use]
    pub fn language_version(&self) -> LanguageVersion {
        self.version
    }

    /// Name and version.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The modules, in the order of the archive.
    #[must_use]
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// The tables.
    #[must_use]
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// The packages that this one refers to directly.
    #[must_use]
    pub fn dependencies(&self) -> &BTreeSet<PackageId> {
        &self.dependencies
    }

    /// Whether the package is a library: without templates, interfaces and exceptions, so that it is not subject to
    /// upgrading.
    #[must_use]
    pub fn is_utility(&self) -> bool {
        self.templates.is_empty() && self.interfaces.is_empty() && self.exceptions.is_empty()
    }

    /// An expression.
    #[must_use]
    pub fn expr(&self, id: ExprId) -> &Expr {
        &self.arena.exprs[id.index()]
    }

    /// A type.
    #[must_use]
    pub fn ty(&self, id: TypeId) -> &Type {
        &self.arena.types[id.index()]
    }

    /// A name.
    #[must_use]
    pub fn name(&self, id: NameId) -> &Name {
        &self.arena.names[id.index()]
    }

    /// A reference.
    #[must_use]
    pub fn reference(&self, id: RefId) -> &Identifier {
        &self.arena.refs[id.index()]
    }

    /// The id of a definition of this package.
    #[must_use]
    pub fn identifier(&self, module: &DottedName, entity: &DottedName) -> Identifier {
        Identifier { package: self.id.clone(), module: module.clone(), entity: entity.clone() }
    }

    fn find<T>(
        &self,
        index: &BTreeMap<QualifiedName, Place>,
        definitions: impl Fn(&Module) -> &Vec<T>,
        module: &DottedName,
        entity: &DottedName,
    ) -> Option<&T> {
        let (m, d) = index.get(&(module.clone(), entity.clone()))?;
        definitions(self.modules.get(*m)?).get(*d)
    }
}

/// Declares the way to find one kind of definition, and to list all of it.
macro_rules! lookups {
    ($($(#[$doc:meta])* $one:ident, $all:ident, $field:ident, $type:ty;)*) => {
        impl Package {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $one(&self, module: &DottedName, entity: &DottedName) -> Option<&$type> {
                    // A closure cannot return a borrow of its argument without the help of a function's signature.
                    fn all(module: &Module) -> &Vec<$type> {
                        &module.$field
                    }
                    self.find(&self.$field, all, module, entity)
                }

                /// All of them with their modules, in the order of the archive.
                pub fn $all(&self) -> impl Iterator<Item = (&DottedName, &$type)> {
                    self.modules.iter().flat_map(|module| module.$field.iter().map(|d| (&module.name, d)))
                }
            )*
        }
    };
}
lookups! {
    /// A type synonym by module and name.
    synonym, all_synonyms, synonyms, TypeSynonym;
    /// A data type by module and name.
    data_type, all_data_types, data_types, DataType;
    /// A value by module and name.
    value, all_values, values, ValueDef;
    /// A template by module and name.
    template, all_templates, templates, Template;
    /// An exception by module and name.
    exception, all_exceptions, exceptions, ExceptionDef;
    /// An interface by module and name.
    interface, all_interfaces, interfaces, Interface;
}
