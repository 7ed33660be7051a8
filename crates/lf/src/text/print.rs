//! Packages as LF text, for people who look into them. What is shown can be assembled again.

use crate::{
    BuiltinType, Choice, DataCons, DataType, ExceptionDef, ExprId, Interface, Kind, KindId, NameId, Package, RefId,
    Template, Type, TypeId, TypeSynonym, ValueDef,
};
use base::{DottedName, Name};
use std::fmt;

/// What is still to be shown, innermost first: instead of recursion.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Text(String),
    /// A new line, indented by this many more steps than the part it stands in.
    Line,
    /// From here on, lines are indented more, or less.
    Indent(bool),
    /// An expression; in parentheses, if it is asked for and they are needed.
    Expr(ExprId, Position),
    Type(TypeId, Binding),
    Kind(KindId, bool),
}

/// Where an expression stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Position {
    /// Nothing follows that could be taken for its part.
    Free,
    /// The function of an application to values.
    Function,
    /// What an application to types is applied to.
    Generic,
    /// An argument.
    Atom,
}

/// How tightly what surrounds a type binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Binding {
    /// Anything may stand there.
    Free,
    /// The left side of an arrow, or a function.
    Left,
    /// An argument.
    Atom,
}

/// A part of the text under construction.
#[derive(Default)]
pub(super) struct Parts(pub(super) Vec<Item>);

impl Parts {
    pub(super) fn text(&mut self, text: impl Into<String>) -> &mut Self {
        self.0.push(Item::Text(text.into()));
        self
    }

    pub(super) fn line(&mut self) -> &mut Self {
        self.0.push(Item::Line);
        self
    }

    pub(super) fn expr(&mut self, id: ExprId, position: Position) -> &mut Self {
        self.0.push(Item::Expr(id, position));
        self
    }

    /// ` `, and an argument.
    pub(super) fn atom(&mut self, id: ExprId) -> &mut Self {
        self.text(" ").expr(id, Position::Atom)
    }

    pub(super) fn ty(&mut self, id: TypeId) -> &mut Self {
        self.0.push(Item::Type(id, Binding::Free));
        self
    }

    /// ` @`, and a type.
    pub(super) fn type_arg(&mut self, id: TypeId) -> &mut Self {
        self.0.extend([Item::Text(" @".into()), Item::Type(id, Binding::Atom)]);
        self
    }

    /// More of `inner`, its lines indented.
    pub(super) fn indented(&mut self, inner: impl FnOnce(&mut Self)) -> &mut Self {
        self.0.push(Item::Indent(true));
        inner(self);
        self.0.push(Item::Indent(false));
        self
    }

    pub(super) fn separated<T>(
        &mut self,
        separator: &str,
        all: impl IntoIterator<Item = T>,
        mut show: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        for (i, one) in all.into_iter().enumerate() {
            if i > 0 {
                self.text(separator);
            }
            show(self, one);
        }
        self
    }
}

/// The package whose numbers are shown.
#[derive(Clone, Copy)]
pub(super) struct Printer<'p>(pub(super) &'p Package);

/// LF text, with a comment about the package in front.
impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metadata = self.metadata();
        let version = self.language_version();
        writeln!(f, "// {} {}, LF {version}, {}", metadata.name, metadata.version, self.id())?;
        let mut parts = Parts::default();
        Printer(self).package(&mut parts);
        Printer(self).write(f, parts)
    }
}

impl Package {
    /// All definitions with a name, as LF text.
    #[must_use]
    pub fn definition_text(&self, module: &DottedName, entity: &DottedName) -> Option<String> {
        struct Shown<'p>(&'p Package, Parts);
        impl fmt::Display for Shown<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Printer(self.0).write(f, Parts(self.1.0.clone()))
            }
        }
        let (printer, mut parts) = (Printer(self), Parts::default());
        if let Some(synonym) = self.synonym(module, entity) {
            printer.synonym(&mut parts, synonym);
        }
        if let Some(data_type) = self.data_type(module, entity).filter(|data| !matches!(data.cons, DataCons::Interface))
        {
            printer.data_type(&mut parts, data_type);
        }
        if let Some(value) = self.value(module, entity) {
            printer.value(&mut parts, value);
        }
        if let Some(template) = self.template(module, entity) {
            printer.template(&mut parts, template);
        }
        if let Some(exception) = self.exception(module, entity) {
            printer.exception(&mut parts, exception);
        }
        if let Some(interface) = self.interface(module, entity) {
            printer.interface(&mut parts, interface);
        }
        let shown = Shown(self, parts).to_string();
        let shown = shown.trim_start();
        (!shown.is_empty()).then(|| shown.to_owned())
    }

    /// A type as LF text.
    #[must_use]
    pub fn type_text(&self, id: TypeId) -> String {
        struct Shown<'p>(&'p Package, TypeId);
        impl fmt::Display for Shown<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Printer(self.0).write(f, Parts(vec![Item::Type(self.1, Binding::Free)]))
            }
        }
        Shown(self, id).to_string()
    }
}

impl Printer<'_> {
    fn write(self, f: &mut fmt::Formatter<'_>, parts: Parts) -> fmt::Result {
        let mut open = parts.0;
        open.reverse();
        let mut indent = 0_usize;
        while let Some(item) = open.pop() {
            let mut inner = Parts::default();
            match item {
                Item::Text(text) => f.write_str(&text)?,
                Item::Line => write!(f, "\n{:indent$}", "")?,
                Item::Indent(true) => indent += 2,
                Item::Indent(false) => indent -= 2,
                Item::Expr(id, position) => self.expr(&mut inner, id, position),
                Item::Type(id, binding) => self.ty(&mut inner, id, binding),
                Item::Kind(id, atom) => self.kind(&mut inner, id, atom),
            }
            open.extend(inner.0.into_iter().rev());
        }
        Ok(())
    }

    pub(super) fn name(self, id: NameId) -> String {
        self.0.name(id).to_string()
    }

    pub(super) fn reference(self, id: RefId) -> String {
        let to = self.0.reference(id);
        let local = format!("{}:{}", to.module, to.entity);
        if &to.package == self.0.id() { local } else { format!("'{}':{local}", to.package) }
    }

    fn kind(self, out: &mut Parts, id: KindId, atom: bool) {
        match &self.0.arena().kinds[id.index()] {
            Kind::Star => {
                out.text("*");
            }
            Kind::Nat => {
                out.text("nat");
            }
            Kind::Arrow(from, to) => {
                out.text(if atom { "(" } else { "" });
                out.0.extend([Item::Kind(*from, true), Item::Text(" -> ".into()), Item::Kind(*to, false)]);
                out.text(if atom { ")" } else { "" });
            }
        }
    }

    pub(super) fn type_binder(self, out: &mut Parts, (name, kind): (NameId, KindId)) {
        out.text(format!("({}: ", self.name(name)));
        out.0.extend([Item::Kind(kind, false), Item::Text(")".into())]);
    }

    fn ty(self, out: &mut Parts, id: TypeId, binding: Binding) {
        let open = |out: &mut Parts, needed: bool| {
            out.text(if needed { "(" } else { "" });
        };
        let close = |out: &mut Parts, needed: bool| {
            out.text(if needed { ")" } else { "" });
        };
        match self.0.ty(id) {
            Type::Var(name) => {
                let name = self.name(*name);
                let plain = BuiltinType::from_text(&name).is_none() && !["forall", "in", "to"].contains(&&*name);
                out.text(if plain { name } else { format!("`{name}`") });
            }
            Type::Con(con) => {
                out.text(self.reference(*con));
            }
            Type::Builtin(builtin) => {
                out.text(builtin.text());
            }
            Type::Nat(nat) => {
                out.text(nat.to_string());
            }
            Type::Synonym(synonym, args) => {
                out.text(format!("||{}", self.reference(*synonym)));
                for arg in args {
                    out.text(" (").ty(*arg).text(")");
                }
                out.text("||");
            }
            Type::Struct(fields) => {
                let show = |out: &mut Parts, field: &(NameId, TypeId)| {
                    out.text(format!("{}: ", self.name(field.0))).ty(field.1);
                };
                out.text("<").separated(", ", fields, show).text(">");
            }
            Type::Forall(name, kind, body) => {
                open(out, binding > Binding::Free);
                out.text("forall ");
                self.type_binder(out, (*name, *kind));
                out.text(". ").ty(*body);
                close(out, binding > Binding::Free);
            }
            Type::App(function, argument) => {
                let arrow = match self.0.ty(*function) {
                    Type::App(arrow, from) if *self.0.ty(*arrow) == Type::Builtin(BuiltinType::Arrow) => Some(*from),
                    _ => None,
                };
                let parentheses = binding >= if arrow.is_some() { Binding::Left } else { Binding::Atom };
                open(out, parentheses);
                match arrow {
                    Some(from) => {
                        out.0.extend([Item::Type(from, Binding::Left), Item::Text(" -> ".into())]);
                        out.ty(*argument);
                    }
                    None => {
                        out.0.extend([Item::Type(*function, Binding::Left), Item::Text(" ".into())]);
                        // A synonym could be taken for the end of one that it stands in.
                        let synonym = matches!(self.0.ty(*argument), Type::Synonym(..));
                        open(out, synonym);
                        out.0.push(Item::Type(*argument, Binding::Atom));
                        close(out, synonym);
                    }
                }
                close(out, parentheses);
            }
        }
    }

    fn package(self, out: &mut Parts) {
        for module in self.0.modules() {
            out.text(format!("module {} {{", module.name));
            out.indented(|out| {
                module.synonyms.iter().for_each(|synonym| self.synonym(out, synonym));
                // Interfaces are shown whole below.
                let shown = |data_type: &&DataType| !matches!(data_type.cons, DataCons::Interface);
                module.data_types.iter().filter(shown).for_each(|data_type| self.data_type(out, data_type));
                module.values.iter().for_each(|value| self.value(out, value));
                module.templates.iter().for_each(|template| self.template(out, template));
                module.exceptions.iter().for_each(|exception| self.exception(out, exception));
                module.interfaces.iter().for_each(|interface| self.interface(out, interface));
            });
            out.line().text("}").line();
        }
    }

    fn synonym(self, out: &mut Parts, synonym: &TypeSynonym) {
        out.line().text(format!("synonym {} ", synonym.name));
        synonym.params.iter().for_each(|param| self.type_binder(out, *param));
        out.text(" = ").ty(synonym.ty).text(";");
    }

    fn value(self, out: &mut Parts, value: &ValueDef) {
        out.line().text(format!("val {} : ", value.name)).ty(value.ty).text(" =");
        out.indented(|out| {
            out.line().expr(value.body, Position::Free).text(";");
        });
    }

    fn exception(self, out: &mut Parts, exception: &ExceptionDef) {
        out.line().text(format!("exception {} = {{ message ", exception.name));
        out.expr(exception.message, Position::Free).text(" };");
    }

    fn data_type(self, out: &mut Parts, data_type: &DataType) {
        let word = match data_type.cons {
            DataCons::Record(_) => "record",
            DataCons::Variant(_) => "variant",
            DataCons::Enum(_) => "enum",
            DataCons::Interface => "interface",
        };
        let tag = if data_type.serializable { " @serializable" } else { "" };
        out.line().text(format!("{word}{tag} {} ", data_type.name));
        data_type.params.iter().for_each(|param| self.type_binder(out, *param));
        out.text(" = ");
        let field = |out: &mut Parts, (name, ty): &(Name, TypeId)| {
            out.text(format!("{name}: ")).ty(*ty);
        };
        match &data_type.cons {
            DataCons::Record(fields) => out.text("{ ").separated(", ", fields, field).text(" }"),
            DataCons::Variant(constructors) => out.separated(" | ", constructors, field),
            DataCons::Enum(constructors) => out.separated(" | ", constructors, |out, name| {
                out.text(name.as_str());
            }),
            DataCons::Interface => out,
        };
        out.text(";");
    }

    fn clause(self, out: &mut Parts, word: &str, expr: ExprId) {
        out.line().text(format!("{word} ")).expr(expr, Position::Free).text(";");
    }

    fn template(self, out: &mut Parts, template: &Template) {
        out.line().text(format!("template ({}: {}) = {{", self.name(template.param), template.name));
        out.indented(|out| {
            template.precondition.into_iter().for_each(|expr| self.clause(out, "precondition", expr));
            self.clause(out, "signatories", template.signatories);
            self.clause(out, "observers", template.observers);
            template.agreement.into_iter().for_each(|expr| self.clause(out, "agreement", expr));
            template.choices.iter().for_each(|choice| self.choice(out, choice));
            for instance in &template.implements {
                out.line().text(format!("implements {} {{", self.reference(instance.interface)));
                out.indented(|out| {
                    self.clause(out, "view =", instance.view);
                    instance
                        .methods
                        .iter()
                        .for_each(|(name, value)| self.clause(out, &format!("method {name} ="), *value));
                });
                out.line().text("};");
            }
            if let Some(key) = &template.key {
                out.line().text("key").type_arg(key.ty).atom(key.body).atom(key.maintainers).text(";");
            }
        });
        out.line().text("};");
    }

    fn choice(self, out: &mut Parts, choice: &Choice) {
        let tag = if choice.consuming { "" } else { "@nonConsuming " };
        let (arg, ty) = choice.arg_binder;
        out.line().text(format!(
            "choice {tag}{} ({}) ({}: ",
            choice.name,
            self.name(choice.self_binder),
            self.name(arg)
        ));
        out.ty(ty).text(") : ").ty(choice.returns);
        out.indented(|out| {
            out.text(",").line().text("controllers ").expr(choice.controllers, Position::Free);
            out.text(",").line().text("observers ").expr(choice.observers, Position::Free);
            out.line().text("to ").expr(choice.update, Position::Free).text(";");
        });
    }

    fn interface(self, out: &mut Parts, interface: &Interface) {
        out.line().text(format!("interface ({}: {}) = {{", self.name(interface.param), interface.name));
        out.indented(|out| {
            out.line().text("viewtype ").ty(interface.view).text(";");
            for required in &interface.requires {
                out.line().text(format!("requires {};", self.reference(*required)));
            }
            for (name, ty) in &interface.methods {
                out.line().text(format!("method {name}: ")).ty(*ty).text(";");
            }
            interface.choices.iter().for_each(|choice| self.choice(out, choice));
        });
        out.line().text("};");
    }
}
