//! The packages that an engine knows, with the code and cached values of their definitions.

use crate::{
    EngineError,
    code::{Code, GlobalRef},
    run::Stop,
    value::V,
};
use base::{DottedName, Identifier, Name, PackageId};
use lf::{DataType, ExceptionDef, Expr, Interface, LanguageVersion as Lf, Package, Template};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};
use transaction::NodeVersion;

/// Something that is lowered by itself. Numbers are those of module, definition, and part of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Key {
    Value(u32, u32),
    /// `\argument token -> contract id`.
    Create(u32, u32),
    /// `\argument -> {observers, signatories}`, after the precondition.
    Info(u32, u32),
    Signatories(u32, u32),
    Observers(u32, u32),
    /// `\contract-id token -> argument`.
    Fetch(u32, u32),
    FetchInterface(u32, u32),
    /// `\key token -> contract id`.
    Find(u32, u32),
    /// `\key token -> {contract, contractId}`; in LF 2 a pair of contract id and contract.
    FetchFound(u32, u32),
    /// `\key token -> perhaps a contract id`.
    Lookup(u32, u32),
    /// `\n key token -> list of pairs of contract id and contract`.
    Query(u32, u32),
    /// `\contract-ids -> list of pairs of contract id and contract`.
    Gather(u32, u32),
    /// `\contract-id argument token -> result`.
    Choice(u32, u32, u32),
    InterfaceChoice(u32, u32, u32),
    Method(u32, u32, u32, u32),
    View(u32, u32, u32),
    /// The same where the interface says how a template implements it.
    CoMethod(u32, u32, u32, u32),
    CoView(u32, u32, u32),
    /// `\exception -> text`.
    Message(u32, u32),
}

/// A definition, lowered and evaluated when first needed.
#[derive(Debug)]
pub(crate) struct Global {
    pub(crate) key: Key,
    pub(crate) code: OnceLock<Arc<Code>>,
    pub(crate) value: OnceLock<V>,
}

type Names = BTreeMap<(DottedName, DottedName), (u32, u32)>;

/// A package with its definitions.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) package: Arc<Package>,
    pub(crate) number: u32,
    pub(crate) globals: Vec<Global>,
    keys: BTreeMap<Key, u32>,
    values: Names,
    templates: Names,
    interfaces: Names,
    exceptions: Names,
}

/// All packages. Never changed in place: a run keeps the one it began with until it misses a package.
#[derive(Clone, Default, Debug)]
pub(crate) struct Registry {
    loaded: Vec<Arc<Loaded>>,
    by_id: BTreeMap<PackageId, u32>,
}

/// Numbers of definitions; archives are far smaller than 2^32 of them.
fn small(number: usize) -> u32 {
    u32::try_from(number).expect("an archive has fewer than 2^32 definitions")
}

fn at(number: u32) -> usize {
    usize::try_from(number).expect("32-bit numbers fit a usize")
}

impl Loaded {
    pub(crate) fn new(package: Arc<Package>, number: u32) -> Self {
        let mut keys = Vec::new();
        let (mut values, mut templates, mut interfaces, mut exceptions) =
            (Names::new(), Names::new(), Names::new(), Names::new());
        for (m, module) in package.modules().iter().enumerate() {
            let m = small(m);
            let name = |entity: &DottedName| (module.name.clone(), entity.clone());
            for (d, value) in module.values.iter().enumerate() {
                values.insert(name(&value.name), (m, small(d)));
                keys.push(Key::Value(m, small(d)));
            }
            for (t, template) in module.templates.iter().enumerate() {
                let t = small(t);
                templates.insert(name(&template.name), (m, t));
                keys.extend([Key::Create(m, t), Key::Info(m, t), Key::Fetch(m, t)]);
                keys.extend([Key::Signatories(m, t), Key::Observers(m, t)]);
                if template.key.is_some() {
                    keys.extend([Key::Find(m, t), Key::FetchFound(m, t), Key::Lookup(m, t)]);
                    keys.extend([Key::Query(m, t), Key::Gather(m, t)]);
                }
                keys.extend((0..template.choices.len()).map(|c| Key::Choice(m, t, small(c))));
                for (i, instance) in template.implements.iter().enumerate() {
                    let i = small(i);
                    keys.push(Key::View(m, t, i));
                    keys.extend((0..instance.methods.len()).map(|n| Key::Method(m, t, i, small(n))));
                }
            }
            for (i, interface) in module.interfaces.iter().enumerate() {
                let i = small(i);
                interfaces.insert(name(&interface.name), (m, i));
                keys.push(Key::FetchInterface(m, i));
                keys.extend((0..interface.choices.len()).map(|c| Key::InterfaceChoice(m, i, small(c))));
                for (c, co) in interface.co_implements.iter().enumerate() {
                    let c = small(c);
                    keys.push(Key::CoView(m, i, c));
                    keys.extend((0..co.methods.len()).map(|n| Key::CoMethod(m, i, c, small(n))));
                }
            }
            for (e, exception) in module.exceptions.iter().enumerate() {
                exceptions.insert(name(&exception.name), (m, small(e)));
                keys.push(Key::Message(m, small(e)));
            }
        }
        let globals =
            keys.iter().map(|key| Global { key: *key, code: OnceLock::new(), value: OnceLock::new() }).collect();
        let keys = keys.into_iter().enumerate().map(|(n, key)| (key, small(n))).collect();
        Self { package, number, globals, keys, values, templates, interfaces, exceptions }
    }

    /// Where a definition is.
    pub(crate) fn global(&self, key: Key) -> Option<GlobalRef> {
        Some(GlobalRef { package: self.number, definition: *self.keys.get(&key)? })
    }

    fn place(names: &Names, id: &Identifier) -> Option<(u32, u32)> {
        names.get(&(id.module.clone(), id.entity.clone())).copied()
    }

    pub(crate) fn value(&self, id: &Identifier) -> Option<GlobalRef> {
        let (m, d) = Self::place(&self.values, id)?;
        self.global(Key::Value(m, d))
    }

    /// What a value is, without the types that it takes.
    pub(crate) fn body(&self, id: &Identifier) -> Option<&Expr> {
        let (m, d) = Self::place(&self.values, id)?;
        let mut body = self.package.expr(self.package.modules().get(at(m))?.values.get(at(d))?.body);
        while let Expr::TypeAbs { body: inner, .. } = body {
            body = self.package.expr(*inner);
        }
        Some(body)
    }

    pub(crate) fn template(&self, id: &Identifier) -> Option<((u32, u32), &Template)> {
        let (m, t) = Self::place(&self.templates, id)?;
        Some(((m, t), self.package.modules().get(at(m))?.templates.get(at(t))?))
    }

    pub(crate) fn interface(&self, id: &Identifier) -> Option<((u32, u32), &Interface)> {
        let (m, i) = Self::place(&self.interfaces, id)?;
        Some(((m, i), self.package.modules().get(at(m))?.interfaces.get(at(i))?))
    }

    pub(crate) fn exception(&self, id: &Identifier) -> Option<((u32, u32), &ExceptionDef)> {
        let (m, e) = Self::place(&self.exceptions, id)?;
        Some(((m, e), self.package.modules().get(at(m))?.exceptions.get(at(e))?))
    }

    /// The function of a choice of a template.
    pub(crate) fn choice(&self, id: &Identifier, choice: &Name) -> Option<GlobalRef> {
        let ((m, t), template) = self.template(id)?;
        let c = template.choices.iter().position(|c| c.name == *choice)?;
        self.global(Key::Choice(m, t, small(c)))
    }

    /// The function of a choice of an interface.
    pub(crate) fn interface_choice(&self, id: &Identifier, choice: &Name) -> Option<GlobalRef> {
        let ((m, i), interface) = self.interface(id)?;
        let c = interface.choices.iter().position(|c| c.name == *choice)?;
        self.global(Key::InterfaceChoice(m, i, small(c)))
    }

    pub(crate) fn data_type(&self, id: &Identifier) -> Option<&DataType> {
        self.package.data_type(&id.module, &id.entity)
    }
}

/// How a template implements an interface: its own package says so, or in LF 1 that of the interface.
pub(crate) struct Implementation<'a> {
    loaded: &'a Loaded,
    place: ImplementedAt,
    methods: &'a [(Name, lf::ExprId)],
}

/// Numbers of module, template and instance, or of module, interface and template.
enum ImplementedAt {
    Template(u32, u32, u32),
    Interface(u32, u32, u32),
}

impl Implementation<'_> {
    pub(crate) fn view(&self) -> Option<GlobalRef> {
        self.loaded.global(match self.place {
            ImplementedAt::Template(m, t, i) => Key::View(m, t, i),
            ImplementedAt::Interface(m, i, c) => Key::CoView(m, i, c),
        })
    }

    pub(crate) fn method(&self, name: &Name) -> Option<GlobalRef> {
        let n = small(self.methods.iter().position(|(method, _)| method == name)?);
        self.loaded.global(match self.place {
            ImplementedAt::Template(m, t, i) => Key::Method(m, t, i, n),
            ImplementedAt::Interface(m, i, c) => Key::CoMethod(m, i, c, n),
        })
    }
}

/// The version of nodes about a package's contracts, which may have keys.
pub(crate) fn node_version(package: &Package, has_key: bool) -> NodeVersion {
    match package.language_version() {
        Lf::V2_3 | Lf::V2Dev if has_key => NodeVersion::V2_2,
        Lf::V2_1 | Lf::V2_2 | Lf::V2_3 | Lf::V2Dev => NodeVersion::V2_1,
        Lf::V1_17 | Lf::V1Dev => NodeVersion::V17,
        Lf::V1_15 => NodeVersion::V15,
        _ => NodeVersion::V14,
    }
}

impl Registry {
    /// The registry with one package more.
    pub(crate) fn with(&self, package: Arc<Package>) -> Self {
        let mut more = self.clone();
        let number = small(more.loaded.len());
        more.by_id.insert(package.id().clone(), number);
        more.loaded.push(Arc::new(Loaded::new(package, number)));
        more
    }

    pub(crate) fn get(&self, id: &PackageId) -> Option<&Arc<Loaded>> {
        self.loaded.get(at(*self.by_id.get(id)?))
    }

    /// A package, or the question for it.
    pub(crate) fn need(&self, id: &PackageId) -> Result<&Arc<Loaded>, Stop> {
        self.get(id).ok_or_else(|| Stop::package(id))
    }

    /// How a template implements an interface, if it does.
    pub(crate) fn implementation(
        &self,
        template: &Identifier,
        interface: &Identifier,
    ) -> Result<Option<Implementation<'_>>, Stop> {
        let own = self.need(&template.package)?;
        let Some(((m, t), definition)) = own.template(template) else { return Ok(None) };
        let mut all = definition.implements.iter().enumerate();
        if let Some((i, found)) = all.find(|(_, found)| own.package.reference(found.interface) == interface) {
            let place = ImplementedAt::Template(m, t, small(i));
            return Ok(Some(Implementation { loaded: own, place, methods: &found.methods }));
        }
        let theirs = self.need(&interface.package)?;
        let Some(((m, i), definition)) = theirs.interface(interface) else { return Ok(None) };
        let mut all = definition.co_implements.iter().enumerate();
        let found = all.find(|(_, found)| theirs.package.reference(found.template) == template);
        Ok(found.map(|(c, found)| {
            let place = ImplementedAt::Interface(m, i, small(c));
            Implementation { loaded: theirs, place, methods: &found.methods }
        }))
    }

    /// The interfaces that a template implements.
    pub(crate) fn interfaces_of(&self, template: &Identifier) -> Vec<Identifier> {
        let Some(own) = self.get(&template.package) else { return Vec::new() };
        let instances = own.template(template).map_or(&[][..], |(_, template)| &template.implements);
        let mut all: Vec<_> =
            instances.iter().map(|instance| own.package.reference(instance.interface).clone()).collect();
        for loaded in &self.loaded {
            let declares = |interface: &Interface| {
                interface.co_implements.iter().any(|co| loaded.package.reference(co.template) == template)
            };
            let theirs = loaded.package.all_interfaces().filter(|(_, interface)| declares(interface));
            all.extend(theirs.map(|(module, interface)| loaded.package.identifier(module, &interface.name)));
        }
        all
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Loaded>> {
        self.loaded.iter()
    }

    /// The value of a definition, if it has been evaluated.
    pub(crate) fn value(&self, global: GlobalRef) -> Option<&V> {
        self.global(global)?.1.value.get()
    }

    /// The code of a definition, lowered when it is first needed.
    pub(crate) fn code(&self, global: GlobalRef) -> Result<&Arc<Code>, Stop> {
        let missing = || Stop::error(EngineError::IllTyped("a definition is missing".into()));
        let (loaded, definition) = self.global(global).ok_or_else(missing)?;
        if let Some(code) = definition.code.get() {
            return Ok(code);
        }
        let code = Arc::new(crate::lower::lower(self, loaded, definition.key)?);
        Ok(definition.code.get_or_init(|| code))
    }

    /// The package and definition of a reference that lowering made.
    pub(crate) fn global(&self, global: GlobalRef) -> Option<(&Arc<Loaded>, &Global)> {
        let loaded = self.loaded.get(at(global.package))?;
        Some((loaded, loaded.globals.get(at(global.definition))?))
    }
}
