//! Packages to the wire of LF 2: types interned; kinds and expressions nested in 2.1, interned, too, from 2.2 on.

use super::types::BUILTIN_TYPES;
use crate::{
    Binder, Choice, DataCons, DataType, ExprId, Interface, Kind, KindId, LfError, Metadata, Module, NameId, Package,
    RefId, Template, Type, TypeConApp, TypeId, walk::parts_first, wire::Out,
};
use base::{DottedName, Name};
use std::collections::BTreeMap;

/// A table in which equal entries stand once.
#[derive(Default)]
pub(super) struct Table {
    entries: Vec<Vec<u8>>,
    places: BTreeMap<Vec<u8>, u32>,
}

impl Table {
    pub(super) fn place(&mut self, entry: &[u8]) -> u32 {
        if let Some(place) = self.places.get(entry) {
            return *place;
        }
        let place = u32::try_from(self.entries.len()).expect("a package in memory has fewer than 2^32 parts");
        self.entries.push(entry.to_vec());
        self.places.insert(entry.to_vec(), place);
        place
    }

    /// All entries, each as this field.
    fn write(&self, out: &mut Out, number: u32) {
        self.entries.iter().for_each(|entry| out.bytes(number, entry));
    }
}

/// The package's tables under construction, and what is encoded of its arena.
pub(super) struct Encoder<'p> {
    pub(super) package: &'p Package,
    strings: Table,
    dotted: Table,
    kinds: Table,
    types: Table,
    type_places: Vec<Option<u32>>,
    pub(super) expr_table: Table,
    imports: Table,
    pub(super) exprs: Vec<Option<Vec<u8>>>,
}

/// The archive payload of a package of LF 2. Fails on what its version cannot state.
pub(crate) fn encode(package: &Package) -> Result<Vec<u8>, LfError> {
    let mut encoder = Encoder {
        package,
        strings: Table::default(),
        dotted: Table::default(),
        kinds: Table::default(),
        types: Table::default(),
        type_places: vec![None; package.arena().types.len()],
        expr_table: Table::default(),
        imports: Table::default(),
        exprs: vec![None; package.arena().exprs.len()],
    };
    let modules = package.modules().iter().map(|module| encoder.module(module)).collect::<Result<Vec<_>, _>>()?;
    let metadata = encoder.metadata(package.metadata());
    let mut out = Out::default();
    modules.iter().for_each(|module| out.bytes(1, module));
    encoder.strings.write(&mut out, 2);
    encoder.dotted.write(&mut out, 3);
    out.bytes(4, metadata);
    encoder.types.write(&mut out, 5);
    encoder.kinds.write(&mut out, 6);
    encoder.expr_table.write(&mut out, 7);
    if encoder.is_flat() {
        let mut imports = Out::default();
        encoder.imports.write(&mut imports, 1);
        out.bytes(9, imports);
    }
    let mut payload = Out::default();
    payload.bytes(3, package.language_version().minor());
    payload.bytes(4, out);
    Ok(payload.finish())
}

impl Encoder<'_> {
    pub(super) fn is_flat(&self) -> bool {
        self.package.language_version().is_flat()
    }

    fn metadata(&mut self, metadata: &Metadata) -> Out {
        let mut out = Out::default();
        out.number(1, self.string(metadata.name.as_str()));
        out.number(2, self.string(metadata.version.as_str()));
        if let Some(upgrades) = &metadata.upgrades {
            let mut upgraded = Out::default();
            upgraded.number(1, self.string(upgrades.as_str()));
            out.bytes(3, upgraded);
        }
        out
    }

    pub(super) fn string(&mut self, text: &str) -> u32 {
        self.strings.place(text.as_bytes())
    }

    pub(super) fn name(&mut self, id: NameId) -> u32 {
        let package = self.package;
        self.string(package.name(id).as_str())
    }

    fn dotted(&mut self, name: &DottedName) -> u32 {
        let mut out = Out::default();
        name.as_str().split('.').for_each(|segment| out.number(1, self.string(segment)));
        self.dotted.place(out.as_ref())
    }

    pub(super) fn reference(&mut self, id: RefId) -> Out {
        let package = self.package;
        let to = package.reference(id);
        let (mut out, mut module, mut package_id) = (Out::default(), Out::default(), Out::default());
        if &to.package == package.id() {
            package_id.bytes(1, []);
        } else if self.is_flat() {
            package_id.number(4, self.imports.place(to.package.as_str().as_bytes()));
        } else {
            package_id.number(3, self.string(to.package.as_str()));
        }
        module.bytes(1, package_id);
        module.number(2, self.dotted(&to.module));
        out.bytes(1, module);
        out.number(2, self.dotted(&to.entity));
        out
    }

    fn kind(&mut self, root: KindId) -> Out {
        let kinds = &self.package.arena().kinds;
        let mut done: BTreeMap<usize, Out> = BTreeMap::new();
        let order = parts_first(
            root.index(),
            |_| false,
            |i, part| {
                if let Kind::Arrow(from, to) = &kinds[i] {
                    part(from.index());
                    part(to.index());
                }
            },
        );
        for i in order {
            let mut out = Out::default();
            match &kinds[i] {
                Kind::Star => out.bytes(1, []),
                Kind::Nat => out.bytes(3, []),
                Kind::Arrow(from, to) => {
                    let mut arrow = Out::default();
                    arrow.bytes(1, &done[&from.index()]);
                    arrow.bytes(2, &done[&to.index()]);
                    out.bytes(2, arrow);
                }
            }
            if self.is_flat() {
                let place = self.kinds.place(out.as_ref());
                out = Out::default();
                out.number(4, place);
            }
            done.insert(i, out);
        }
        done.remove(&root.index()).expect("the root comes last")
    }

    pub(super) fn type_binder(&mut self, (name, kind): (NameId, KindId)) -> Out {
        let mut out = Out::default();
        out.number(3, self.name(name));
        out.bytes(2, self.kind(kind));
        out
    }

    /// A reference to a type in the table.
    pub(super) fn ty(&mut self, root: TypeId) -> Result<Out, LfError> {
        let types = &self.package.arena().types;
        let order = parts_first(
            root.index(),
            |i| self.type_places[i].is_some(),
            |i, part| match self.application(i) {
                // The heads of applications are written with them, not for themselves.
                (_, args) if !args.is_empty() => args.into_iter().for_each(|arg| part(arg.index())),
                _ => types[i].for_each_part(|id| part(id.index())),
            },
        );
        for i in order {
            let encoded = self.one_type(i)?;
            self.type_places[i] = Some(self.types.place(encoded.as_ref()));
        }
        Ok(self.known_type(root))
    }

    fn known_type(&self, id: TypeId) -> Out {
        let mut out = Out::default();
        out.number(8, self.type_places[id.index()].expect("parts come before wholes"));
        out
    }

    fn one_type(&mut self, index: usize) -> Result<Out, LfError> {
        let types = &self.package.arena().types;
        let (head, args) = self.application(index);
        let (mut out, mut inner) = (Out::default(), Out::default());
        let field = match &types[head] {
            Type::Nat(_) | Type::Forall(..) | Type::Struct(_) | Type::Synonym(..) if !args.is_empty() => {
                let what = "LF 2.1 applies only variables, constructors and built-in types".to_owned();
                return Err(LfError::Invalid { message: "Type", what });
            }
            Type::Nat(nat) => {
                out.signed(6, i64::from(*nat));
                return Ok(out);
            }
            Type::Var(name) => {
                inner.number(3, self.name(*name));
                1
            }
            Type::Con(con) => {
                inner.bytes(1, self.reference(*con));
                2
            }
            Type::Builtin(builtin) => {
                let (number, ..) =
                    BUILTIN_TYPES.iter().find(|(_, known)| known == builtin).expect("every built-in type has a number");
                inner.number(1, *number);
                3
            }
            Type::Forall(name, kind, body) => {
                inner.bytes(1, self.type_binder((*name, *kind)));
                inner.bytes(2, self.known_type(*body));
                4
            }
            Type::Struct(fields) => {
                for (name, ty) in fields {
                    let mut field = Out::default();
                    field.number(3, self.name(*name));
                    field.bytes(2, self.known_type(*ty));
                    inner.bytes(1, field);
                }
                5
            }
            Type::App(function, argument) => {
                inner.bytes(1, self.known_type(*function));
                inner.bytes(2, self.known_type(*argument));
                9
            }
            Type::Synonym(synonym, synonym_args) => {
                inner.bytes(1, self.reference(*synonym));
                synonym_args.iter().for_each(|arg| inner.bytes(2, self.known_type(*arg)));
                7
            }
        };
        args.into_iter().for_each(|arg| inner.bytes(2, self.known_type(arg)));
        out.bytes(field, inner);
        Ok(out)
    }

    pub(super) fn type_con(&mut self, app: &TypeConApp) -> Result<Out, LfError> {
        let mut out = Out::default();
        out.bytes(1, self.reference(app.con));
        for arg in &app.args {
            out.bytes(2, self.ty(*arg)?);
        }
        Ok(out)
    }

    pub(super) fn binder(&mut self, (name, ty): Binder) -> Result<Out, LfError> {
        let mut out = Out::default();
        out.number(3, self.name(name));
        out.bytes(2, self.ty(ty)?);
        Ok(out)
    }

    /// The head of an application and its arguments in order; from LF 2.2 on, applications are single.
    fn application(&self, index: usize) -> (usize, Vec<TypeId>) {
        let (mut head, mut args) = (index, Vec::new());
        while let Type::App(function, argument) = &self.package.arena().types[head] {
            if self.is_flat() {
                break;
            }
            args.push(*argument);
            head = function.index();
        }
        args.reverse();
        (head, args)
    }
}

impl Encoder<'_> {
    fn module(&mut self, module: &Module) -> Result<Out, LfError> {
        let mut out = Out::default();
        out.number(1, self.dotted(&module.name));
        let mut flags = Out::default();
        (1..=3).for_each(|flag| flags.number(flag, true));
        out.bytes(2, flags);
        for synonym in &module.synonyms {
            let mut inner = Out::default();
            inner.number(2, self.dotted(&synonym.name));
            synonym.params.iter().for_each(|param| inner.bytes(3, self.type_binder(*param)));
            inner.bytes(4, self.ty(synonym.ty)?);
            out.bytes(3, inner);
        }
        for data_type in &module.data_types {
            out.bytes(4, self.data_type(data_type)?);
        }
        for value in &module.values {
            let (mut inner, mut head) = (Out::default(), Out::default());
            head.number(1, self.dotted(&value.name));
            head.bytes(2, self.ty(value.ty)?);
            inner.bytes(2, head);
            inner.bytes(3, self.expr(value.body)?);
            out.bytes(5, inner);
        }
        for template in &module.templates {
            out.bytes(6, self.template(template)?);
        }
        for exception in &module.exceptions {
            let mut inner = Out::default();
            inner.number(1, self.dotted(&exception.name));
            inner.bytes(3, self.expr(exception.message)?);
            out.bytes(7, inner);
        }
        for interface in &module.interfaces {
            out.bytes(8, self.interface(interface)?);
        }
        Ok(out)
    }

    fn data_type(&mut self, data_type: &DataType) -> Result<Out, LfError> {
        let mut out = Out::default();
        out.number(2, self.dotted(&data_type.name));
        data_type.params.iter().for_each(|param| out.bytes(3, self.type_binder(*param)));
        out.number(4, data_type.serializable);
        match &data_type.cons {
            DataCons::Record(fields) => out.bytes(5, self.fields(fields)?),
            DataCons::Variant(constructors) => out.bytes(6, self.fields(constructors)?),
            DataCons::Enum(constructors) => {
                let mut inner = Out::default();
                constructors.iter().for_each(|name| inner.number(2, self.string(name.as_str())));
                out.bytes(7, inner);
            }
            DataCons::Interface => out.bytes(8, []),
        }
        Ok(out)
    }

    fn fields(&mut self, fields: &[(Name, TypeId)]) -> Result<Out, LfError> {
        let mut out = Out::default();
        for (name, ty) in fields {
            let mut field = Out::default();
            field.number(3, self.string(name.as_str()));
            field.bytes(2, self.ty(*ty)?);
            out.bytes(1, field);
        }
        Ok(out)
    }

    fn template(&mut self, template: &Template) -> Result<Out, LfError> {
        if template.agreement.is_some() || (template.key.is_some() && !self.has_keys()) {
            return Err(self.not_in_version());
        }
        let mut out = Out::default();
        out.number(1, self.dotted(&template.name));
        out.number(2, self.name(template.param));
        if let Some(precondition) = template.precondition {
            out.bytes(3, self.expr(precondition)?);
        }
        out.bytes(4, self.expr(template.signatories)?);
        for choice in &template.choices {
            out.bytes(6, self.choice(choice)?);
        }
        out.bytes(7, self.expr(template.observers)?);
        if let Some(key) = &template.key {
            let mut inner = Out::default();
            inner.bytes(1, self.ty(key.ty)?);
            inner.bytes(3, self.expr(key.maintainers)?);
            inner.bytes(4, self.expr(key.body)?);
            out.bytes(9, inner);
        }
        for instance in &template.implements {
            let (mut inner, mut body) = (Out::default(), Out::default());
            inner.bytes(1, self.reference(instance.interface));
            for (name, value) in &instance.methods {
                body.bytes(1, self.method(name, *value)?);
            }
            body.bytes(2, self.expr(instance.view)?);
            inner.bytes(2, body);
            out.bytes(10, inner);
        }
        Ok(out)
    }

    fn method(&mut self, name: &Name, value: ExprId) -> Result<Out, LfError> {
        let mut out = Out::default();
        out.number(1, self.string(name.as_str()));
        out.bytes(2, self.expr(value)?);
        Ok(out)
    }

    fn choice(&mut self, choice: &Choice) -> Result<Out, LfError> {
        let mut out = Out::default();
        out.number(2, self.string(choice.name.as_str()));
        out.number(3, choice.consuming);
        out.bytes(4, self.expr(choice.controllers)?);
        out.bytes(5, self.expr(choice.observers)?);
        out.bytes(6, self.binder(choice.arg_binder)?);
        out.bytes(8, self.ty(choice.returns)?);
        out.bytes(9, self.expr(choice.update)?);
        out.number(10, self.name(choice.self_binder));
        Ok(out)
    }

    fn interface(&mut self, interface: &Interface) -> Result<Out, LfError> {
        let mut out = Out::default();
        out.number(2, self.dotted(&interface.name));
        for (name, ty) in &interface.methods {
            let mut method = Out::default();
            method.number(2, self.string(name.as_str()));
            method.bytes(3, self.ty(*ty)?);
            out.bytes(3, method);
        }
        out.number(4, self.name(interface.param));
        for choice in &interface.choices {
            out.bytes(5, self.choice(choice)?);
        }
        out.bytes(6, self.ty(interface.view)?);
        interface.requires.iter().for_each(|required| out.bytes(7, self.reference(*required)));
        Ok(out)
    }
}
