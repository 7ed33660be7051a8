//! The package that is checked with those that it needs: definitions, and types of arenas as types of the checker.

use super::{
    Fault, Rule,
    types::{K, STAR, Ty, Types, kind_of_arena},
};
use crate::{
    Arena, Builtin, DataCons, DataType, ExceptionDef, Interface, KindId, NameId, Package, RefId, Template, Type,
    TypeId, TypeSynonym,
};
use base::{DottedName, Identifier, Name, PackageId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Types made while one package is checked; nothing that a compiler writes comes near.
const MAX_WORK: u64 = 100_000_000;

/// A data type that something referred to.
pub(super) struct Con<'a> {
    pub(super) id: Identifier,
    pub(super) package: &'a Package,
    pub(super) data: &'a DataType,
    pub(super) kinds: Vec<K>,
    /// Types of fields or constructors, over the parameters as bound variables.
    fields: Option<Arc<[(Name, Ty)]>>,
}

/// The type variables in scope where a type stands.
#[derive(Default)]
pub(super) struct Scope {
    vars: Vec<(NameId, u32)>,
    memo: BTreeMap<TypeId, Ty>,
}

impl Scope {
    pub(super) fn push(&mut self, name: NameId, var: u32) {
        self.vars.push((name, var));
        self.memo.clear();
    }

    pub(super) fn pop(&mut self) {
        self.vars.pop();
        self.memo.clear();
    }

    fn find(&self, name: NameId) -> Option<u32> {
        self.vars.iter().rev().find(|(n, _)| *n == name).map(|(_, var)| *var)
    }
}

/// A synonym's meaning over its parameters as bound variables.
#[derive(Clone)]
struct Meaning {
    kinds: Vec<K>,
    ty: Ty,
}

type ByRef<T> = BTreeMap<(usize, RefId), T>;

pub(super) struct World<'a> {
    pub(super) types: Types,
    pub(super) package: &'a Package,
    packages: Vec<&'a Package>,
    places: BTreeMap<&'a PackageId, usize>,
    cons: Vec<Con<'a>>,
    con_ids: BTreeMap<Identifier, u32>,
    con_refs: ByRef<u32>,
    closed: BTreeMap<(usize, TypeId), Ty>,
    synonyms: BTreeMap<Identifier, Meaning>,
    values: ByRef<Ty>,
    builtins: BTreeMap<Builtin, Ty>,
    /// Types that stand in modules of the package, and modules that these refer to otherwise.
    pub(super) mentioned: BTreeSet<TypeId>,
    pub(super) referred: BTreeSet<DottedName>,
    work: u64,
}

pub(super) fn missing(what: &str, id: &Identifier) -> Fault {
    Fault { rule: Rule::Reference, what: format!("there is no {what} {id}") }
}

/// The number of the package that is checked; the others follow.
pub(super) const OWN: usize = 0;

/// No package has this number: types of functions of the language have arenas of their own.
const SIGNATURES: usize = usize::MAX;

enum Step<'t> {
    Type(TypeId),
    App(TypeId),
    Forall(u32),
    Struct(&'t [(NameId, TypeId)]),
    Synonym(RefId, usize),
}

impl<'a> World<'a> {
    pub(super) fn new(package: &'a Package, others: impl Iterator<Item = &'a Package>) -> Self {
        let packages: Vec<&Package> =
            std::iter::once(package).chain(others.filter(|other| other.id() != package.id())).collect();
        let places = packages.iter().enumerate().map(|(place, package)| (package.id(), place)).collect();
        Self {
            types: Types::new(),
            package,
            packages,
            places,
            cons: Vec::new(),
            con_ids: BTreeMap::new(),
            con_refs: BTreeMap::new(),
            closed: BTreeMap::new(),
            synonyms: BTreeMap::new(),
            values: BTreeMap::new(),
            builtins: BTreeMap::new(),
            mentioned: BTreeSet::new(),
            referred: BTreeSet::new(),
            work: 0,
        }
    }

    /// Counts a piece of work, and ends where it is absurd.
    pub(super) fn work(&mut self) -> Result<(), Fault> {
        self.work += 1;
        if self.work > MAX_WORK {
            let what = format!("checking it takes more than {MAX_WORK} steps");
            return Err(Fault { rule: Rule::Size, what });
        }
        Ok(())
    }

    fn place(&self, id: &PackageId) -> Result<usize, Fault> {
        let place = self.places.get(id).copied();
        place.ok_or_else(|| Fault { rule: Rule::Reference, what: format!("package {id} is not there") })
    }

    /// What a number of the package's arena refers to.
    pub(super) fn reference(&mut self, id: RefId) -> &'a Identifier {
        let to = self.package.reference(id);
        if to.package == *self.package.id() && !self.referred.contains(&to.module) {
            self.referred.insert(to.module.clone());
        }
        to
    }

    pub(super) fn package_with(&self, id: &PackageId) -> Result<&'a Package, Fault> {
        self.place(id).map(|place| self.packages[place])
    }

    pub(super) fn home(&self, id: &Identifier) -> Result<&'a Package, Fault> {
        self.package_with(&id.package)
    }

    pub(super) fn template(&self, id: &Identifier) -> Result<&'a Template, Fault> {
        self.home(id)?.template(&id.module, &id.entity).ok_or_else(|| missing("template", id))
    }

    pub(super) fn interface(&self, id: &Identifier) -> Result<&'a Interface, Fault> {
        self.home(id)?.interface(&id.module, &id.entity).ok_or_else(|| missing("interface", id))
    }

    pub(super) fn exception(&self, id: &Identifier) -> Result<&'a ExceptionDef, Fault> {
        self.home(id)?.exception(&id.module, &id.entity).ok_or_else(|| missing("exception", id))
    }

    pub(super) fn con_named(&mut self, id: &Identifier) -> Result<u32, Fault> {
        if let Some(con) = self.con_ids.get(id) {
            return Ok(*con);
        }
        let package = self.home(id)?;
        let data = package.data_type(&id.module, &id.entity).ok_or_else(|| missing("type", id))?;
        let kinds: Vec<K> = data.params.iter().map(|(_, kind)| self.kind(package.arena(), *kind)).collect();
        let kind = self.types.kind_arrow(&kinds, STAR);
        let con = self.types.new_con(kind);
        self.cons.push(Con { id: id.clone(), package, data, kinds, fields: None });
        self.con_ids.insert(id.clone(), con);
        Ok(con)
    }

    /// The type with this name, without arguments.
    pub(super) fn con_type(&mut self, id: &Identifier) -> Result<Ty, Fault> {
        let con = self.con_named(id)?;
        Ok(self.types.con(con))
    }

    pub(super) fn con(&self, con: u32) -> &Con<'a> {
        &self.cons[con as usize]
    }

    /// Fields or constructors with their types, over the parameters as bound variables.
    pub(super) fn fields(&mut self, con: u32) -> Result<Arc<[(Name, Ty)]>, Fault> {
        if let Some(fields) = &self.con(con).fields {
            return Ok(fields.clone());
        }
        let (package, data) = (self.con(con).package, self.con(con).data);
        let kinds = self.con(con).kinds.clone();
        let fields: Arc<[(Name, Ty)]> = match &data.cons {
            DataCons::Record(fields) | DataCons::Variant(fields) => {
                let place = self.place(package.id())?;
                let all = fields
                    .iter()
                    .map(|(name, ty)| self.over_params(place, &data.params, &kinds, *ty).map(|ty| (name.clone(), ty)));
                all.collect::<Result<_, _>>()?
            }
            DataCons::Enum(_) | DataCons::Interface => Arc::from([]),
        };
        self.cons[con as usize].fields = Some(fields.clone());
        Ok(fields)
    }

    /// A type of values in which parameters become bound variables.
    fn over_params(&mut self, place: usize, params: &[(NameId, KindId)], kinds: &[K], ty: TypeId) -> Result<Ty, Fault> {
        let mut scope = Scope::default();
        let vars: Vec<u32> = kinds.iter().map(|kind| self.types.new_var(*kind)).collect();
        params.iter().zip(&vars).for_each(|((name, _), var)| scope.push(*name, *var));
        let ty = self.resolve(place, ty, &mut scope)?;
        self.of_values(ty)?;
        Ok(self.types.close(ty, &vars))
    }

    /// Refuses what is no type of values.
    pub(super) fn of_values(&self, ty: Ty) -> Result<Ty, Fault> {
        if self.types.kind_of(ty) == STAR {
            return Ok(ty);
        }
        let what = format!("{} has kind {}, not *", self.show(ty), self.types.show_kind(self.types.kind_of(ty)));
        Err(Fault { rule: Rule::Kind, what })
    }

    fn misfit(&self, what: &str) -> Fault {
        Fault { rule: Rule::Kind, what: self.named(what) }
    }

    /// A type for people.
    pub(super) fn show(&self, ty: Ty) -> String {
        self.named(&self.types.show(ty))
    }

    /// Puts names in the place of constructors' numbers.
    fn named(&self, shown: &str) -> String {
        let mut shown = shown.to_owned();
        if shown.contains('#') {
            for (number, con) in self.cons.iter().enumerate().rev() {
                shown = shown.replace(&format!("#{number}"), &format!("{}:{}", con.id.module, con.id.entity));
            }
        }
        shown
    }

    pub(super) fn kind(&mut self, arena: &Arena, kind: KindId) -> K {
        kind_of_arena(&mut self.types, &arena.kinds, kind)
    }

    /// The type of a value.
    pub(super) fn value(&mut self, reference: RefId) -> Result<Ty, Fault> {
        if let Some(ty) = self.values.get(&(OWN, reference)) {
            let ty = *ty;
            self.reference(reference);
            return Ok(ty);
        }
        let id = self.reference(reference);
        let place = self.place(&id.package)?;
        let value = self.packages[place].value(&id.module, &id.entity).ok_or_else(|| missing("value", id))?;
        let ty = self.resolve(place, value.ty, &mut Scope::default())?;
        let ty = self.of_values(ty)?;
        self.values.insert((OWN, reference), ty);
        Ok(ty)
    }

    /// The type of a function of the language.
    pub(super) fn builtin(&mut self, builtin: Builtin) -> Result<Ty, Fault> {
        if let Some(ty) = self.builtins.get(&builtin) {
            return Ok(*ty);
        }
        let parsed = crate::text::parse_type(super::signatures::signature(builtin));
        let (arena, ty) = parsed.map_err(|e| Fault { rule: Rule::Type, what: e.to_string() })?;
        let ty = self.resolve_in(&arena, SIGNATURES, ty, &mut Scope::default())?;
        self.builtins.insert(builtin, ty);
        Ok(ty)
    }

    /// A type of the package that is checked.
    pub(super) fn own(&mut self, ty: TypeId, scope: &mut Scope) -> Result<Ty, Fault> {
        self.mentioned.insert(ty);
        self.resolve(OWN, ty, scope)
    }

    /// The type of a definition in the package of `id`, where no variables are in scope.
    pub(super) fn there(&mut self, id: &Identifier, ty: TypeId) -> Result<Ty, Fault> {
        let place = self.place(&id.package)?;
        self.resolve(place, ty, &mut Scope::default())
    }

    fn resolve(&mut self, place: usize, root: TypeId, scope: &mut Scope) -> Result<Ty, Fault> {
        if let Some(ty) = self.closed.get(&(place, root)).or_else(|| scope.memo.get(&root)) {
            return Ok(*ty);
        }
        let package = self.packages[place];
        let ty = self.resolve_in(package.arena(), place, root, scope)?;
        if self.types.is_closed(ty) {
            self.closed.insert((place, root), ty);
        } else {
            scope.memo.insert(root, ty);
        }
        Ok(ty)
    }

    fn resolve_in(&mut self, arena: &Arena, place: usize, root: TypeId, scope: &mut Scope) -> Result<Ty, Fault> {
        let mut steps = vec![Step::Type(root)];
        let mut done: Vec<Ty> = Vec::new();
        let pop = |done: &mut Vec<Ty>| done.pop().expect("parts come before wholes");
        while let Some(step) = steps.pop() {
            self.work()?;
            let ty = match step {
                Step::Type(id) => match self.closed.get(&(place, id)).or_else(|| scope.memo.get(&id)) {
                    Some(known) => *known,
                    None => match self.begin(arena, place, id, scope, &mut steps)? {
                        Some(leaf) => leaf,
                        None => continue,
                    },
                },
                Step::App(id) => {
                    let (argument, function) = (pop(&mut done), pop(&mut done));
                    let ty = self.types.app(function, argument).map_err(|what| self.misfit(&what))?;
                    if place != SIGNATURES && self.types.is_closed(ty) {
                        self.closed.insert((place, id), ty);
                    }
                    ty
                }
                Step::Forall(var) => {
                    scope.pop();
                    let body = self.of_values(pop(&mut done))?;
                    self.types.generalize(&[var], body)
                }
                Step::Struct(fields) => {
                    let types = done.split_off(done.len() - fields.len());
                    types.iter().try_for_each(|ty| self.of_values(*ty).map(|_| ()))?;
                    let names = fields.iter().map(|(name, _)| arena.names[name.index()].clone());
                    self.types.structure(names.zip(types).collect())
                }
                Step::Synonym(reference, count) => {
                    let arguments = done.split_off(done.len() - count);
                    self.synonym(&arena.refs[reference.index()], &arguments)?
                }
            };
            done.push(ty);
        }
        Ok(pop(&mut done))
    }

    /// Plans the parts of a type, or gives the type if it has none.
    fn begin<'t>(
        &mut self,
        arena: &'t Arena,
        place: usize,
        id: TypeId,
        scope: &mut Scope,
        steps: &mut Vec<Step<'t>>,
    ) -> Result<Option<Ty>, Fault> {
        match &arena.types[id.index()] {
            Type::Var(name) => {
                let var = scope.find(*name).ok_or_else(|| Fault {
                    rule: Rule::Scope,
                    what: format!("type variable {} is not in scope", arena.names[name.index()]),
                })?;
                return Ok(Some(self.types.var(var)));
            }
            Type::Con(reference) => {
                let con = match self.con_refs.get(&(place, *reference)) {
                    Some(con) => *con,
                    None => {
                        let con = self.con_named(&arena.refs[reference.index()])?;
                        self.con_refs.insert((place, *reference), con);
                        con
                    }
                };
                return Ok(Some(self.types.con(con)));
            }
            Type::Builtin(builtin) => return Ok(Some(self.types.builtin(*builtin))),
            Type::Nat(nat) => return Ok(Some(self.types.nat(*nat))),
            Type::App(function, argument) => {
                steps.extend([Step::App(id), Step::Type(*argument), Step::Type(*function)]);
            }
            Type::Forall(name, kind, body) => {
                let kind = self.kind(arena, *kind);
                self.check_kind(kind)?;
                let var = self.types.new_var(kind);
                // Its scope ends where the quantified type is made; nothing else is read between.
                scope.push(*name, var);
                steps.extend([Step::Forall(var), Step::Type(*body)]);
            }
            Type::Struct(fields) => {
                steps.push(Step::Struct(fields));
                steps.extend(fields.iter().rev().map(|(_, ty)| Step::Type(*ty)));
            }
            Type::Synonym(reference, arguments) => {
                steps.push(Step::Synonym(*reference, arguments.len()));
                steps.extend(arguments.iter().rev().map(|ty| Step::Type(*ty)));
            }
        }
        Ok(None)
    }

    /// No kind may give a number.
    pub(super) fn check_kind(&self, kind: K) -> Result<(), Fault> {
        use super::types::{KindNode, NAT};
        let mut open = vec![kind];
        while let Some(kind) = open.pop() {
            if let KindNode::Arrow(param, result) = self.types.kind_node(kind) {
                if result == NAT {
                    let what = format!("{} gives a number", self.types.show_kind(kind));
                    return Err(Fault { rule: Rule::Kind, what });
                }
                open.extend([param, result]);
            }
        }
        Ok(())
    }

    fn synonym_def(&self, id: &Identifier) -> Result<(&'a Package, &'a TypeSynonym), Fault> {
        let package = self.home(id)?;
        Ok((package, package.synonym(&id.module, &id.entity).ok_or_else(|| missing("type synonym", id))?))
    }

    /// What a synonym with arguments means.
    fn synonym(&mut self, id: &Identifier, arguments: &[Ty]) -> Result<Ty, Fault> {
        if !self.synonyms.contains_key(id) {
            self.learn(id)?;
        }
        let Some(Meaning { kinds, ty }) = self.synonyms.get(id).cloned() else {
            return Err(Fault { rule: Rule::Recursion, what: format!("type synonym {id} means itself") });
        };
        if kinds.len() != arguments.len() {
            let what = format!("type synonym {id} takes {} types, not {}", kinds.len(), arguments.len());
            return Err(Fault { rule: Rule::Kind, what });
        }
        for (kind, argument) in kinds.iter().zip(arguments) {
            if self.types.kind_of(*argument) != *kind {
                let what = format!("{} has not the kind that type synonym {id} takes", self.show(*argument));
                return Err(Fault { rule: Rule::Kind, what });
            }
        }
        Ok(self.types.open(ty, arguments))
    }

    /// Finds out what a synonym means, after all that it mentions.
    fn learn(&mut self, root: &Identifier) -> Result<(), Fault> {
        let mut open = vec![(root.clone(), false)];
        let mut begun = BTreeSet::new();
        while let Some((id, mentioned_done)) = open.pop() {
            if self.synonyms.contains_key(&id) {
                continue;
            }
            let (package, definition) = self.synonym_def(&id)?;
            if mentioned_done {
                let kinds: Vec<K> =
                    definition.params.iter().map(|(_, kind)| self.kind(package.arena(), *kind)).collect();
                kinds.iter().try_for_each(|kind| self.check_kind(*kind))?;
                let place = self.place(package.id())?;
                // Whatever it mentions and is unknown, is on the way: it mentions this one.
                let ty = self.over_params(place, &definition.params, &kinds, definition.ty)?;
                self.synonyms.insert(id, Meaning { kinds, ty });
            } else if begun.insert(id.clone()) {
                open.push((id, true));
                open.extend(mentions(package.arena(), definition.ty).into_iter().map(|id| (id, false)));
            } else {
                return Err(Fault { rule: Rule::Recursion, what: format!("type synonym {id} means itself") });
            }
        }
        Ok(())
    }
}

/// The synonyms in a type.
fn mentions(arena: &Arena, root: TypeId) -> BTreeSet<Identifier> {
    let mut all = BTreeSet::new();
    let parts = |i: usize, part: &mut dyn FnMut(usize)| arena.types[i].for_each_part(|id| part(id.index()));
    for i in crate::walk::parts_first(root.index(), |_| false, parts) {
        if let Type::Synonym(reference, _) = &arena.types[i] {
            all.insert(arena.refs[reference.index()].clone());
        }
    }
    all
}

/// The modules of the package that types mention.
pub(super) fn modules_of(package: &Package, types: &BTreeSet<TypeId>) -> BTreeSet<DottedName> {
    let arena = package.arena();
    let mut all = BTreeSet::new();
    let mut seen = vec![false; arena.types.len()];
    let mut open: Vec<TypeId> = types.iter().copied().collect();
    while let Some(id) = open.pop() {
        if std::mem::replace(&mut seen[id.index()], true) {
            continue;
        }
        let ty = package.ty(id);
        if let Type::Con(reference) | Type::Synonym(reference, _) = ty {
            let to = package.reference(*reference);
            if to.package == *package.id() {
                all.insert(to.module.clone());
            }
        }
        ty.for_each_part(|part| open.push(part));
    }
    all
}
