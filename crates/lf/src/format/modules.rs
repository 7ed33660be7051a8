//! Modules and their definitions on the wire. Both major versions have the same messages with other field numbers.

use super::decode::{At, Decoder, USUAL, unit};
use crate::{
    BuiltinType, Choice, CoImplementation, DataCons, DataType, ExceptionDef, Expr, ExprId, Interface,
    InterfaceInstance, KindId, LanguageVersion as V, LfError, Module, NameId, Template, TemplateKey, Type, TypeId,
    TypeSynonym, ValueDef, wire::Message,
};
use base::{DottedName, Name};
use std::collections::BTreeSet;

/// Reads each message of a list with a method of the decoder.
macro_rules! all {
    ($self:ident, $message:ident, $number:expr, $read:ident) => {
        $message.messages($number)?.into_iter().map(|bytes| $self.$read(bytes)).collect::<Result<Vec<_>, _>>()?
    };
}

/// Refuses a name that occurs twice among its siblings.
fn distinct<'n>(message: &Message<'_>, names: impl Iterator<Item = &'n Name>) -> Result<(), LfError> {
    let mut seen = BTreeSet::new();
    match names.into_iter().find(|name| !seen.insert(*name)) {
        None => Ok(()),
        Some(name) => Err(message.invalid(format_args!("{name} occurs twice"))),
    }
}

impl<'a> Decoder<'a> {
    /// A field's number in LF 1 and LF 2.
    fn at(&self, v1: u32, v2: u32) -> u32 {
        if self.version.is_v1() { v1 } else { v2 }
    }

    pub(super) fn module(&mut self, bytes: &'a [u8]) -> Result<Module, LfError> {
        let mut message = Message::read("Module", bytes)?;
        let mut flags = Message::read("FeatureFlags", message.message(self.at(4, 2))?)?;
        for flag in 1..=3 {
            if !flags.flag(flag)? {
                return Err(flags.invalid(format_args!("flag {flag} is off; packages that old are not supported")));
            }
        }
        flags.finish()?;
        let name = self.dotted_in(&mut message, At::new(1, 8, 1))?;
        let mut module = Module {
            name,
            synonyms: Vec::new(),
            data_types: all!(self, message, self.at(5, 4), data_type),
            values: all!(self, message, self.at(6, 5), value),
            templates: all!(self, message, self.at(7, 6), template),
            exceptions: Vec::new(),
            interfaces: Vec::new(),
        };
        if self.version >= V::V1_8 {
            module.synonyms = all!(self, message, self.at(9, 3), synonym);
        }
        if self.version >= V::V1_14 {
            module.exceptions = all!(self, message, self.at(10, 7), exception);
        }
        if self.version >= V::V1_15 {
            module.interfaces = all!(self, message, self.at(11, 8), interface);
        }
        message.finish()?;
        Ok(module)
    }

    fn params(&mut self, message: &mut Message<'a>, number: u32) -> Result<Vec<(NameId, KindId)>, LfError> {
        message.messages(number)?.into_iter().map(|bytes| self.type_binder(bytes)).collect()
    }

    fn synonym(&mut self, bytes: &'a [u8]) -> Result<TypeSynonym, LfError> {
        let mut message = Message::read("DefTypeSyn", bytes)?;
        self.skip_location(&mut message, self.at(4, 1))?;
        let synonym = TypeSynonym {
            name: self.dotted_in(&mut message, At::new(1, 8, 2))?,
            params: self.params(&mut message, self.at(2, 3))?,
            ty: self.type_field(&mut message, self.at(3, 4))?,
        };
        message.finish()?;
        Ok(synonym)
    }

    fn data_type(&mut self, bytes: &'a [u8]) -> Result<DataType, LfError> {
        let mut message = Message::read("DefDataType", bytes)?;
        self.skip_location(&mut message, self.at(6, 1))?;
        let name = self.dotted_in(&mut message, At::new(1, 8, 2))?;
        let params = self.params(&mut message, self.at(2, 3))?;
        let serializable = message.flag(self.at(5, 4))?;
        let (number, wire) = message.alternative()?;
        let form = match (self.version.is_v1(), number) {
            (true, 3 | 4) => number + 2,
            (true, 9) if self.version >= V::V1_15 => 8,
            (true, 7) | (false, _) => number,
            _ => 0,
        };
        let cons = match form {
            5 => DataCons::Record(self.fields(message.as_message(number, wire)?)?),
            6 => DataCons::Variant(self.fields(message.as_message(number, wire)?)?),
            7 if params.is_empty() => DataCons::Enum(self.constructors(message.as_message(number, wire)?)?),
            7 => return Err(message.invalid("an enum has type parameters")),
            8 => unit(&message, number, wire).map(|()| DataCons::Interface)?,
            _ => return Err(message.invalid(format_args!("field {number} is unknown"))),
        };
        message.finish()?;
        Ok(DataType { name, params, serializable, cons })
    }

    fn fields(&mut self, bytes: &'a [u8]) -> Result<Vec<(Name, TypeId)>, LfError> {
        let mut message = Message::read("DefDataType.Fields", bytes)?;
        let fields = all!(self, message, 1, field);
        distinct(&message, fields.iter().map(|(name, _)| name))?;
        message.finish()?;
        Ok(fields)
    }

    fn field(&mut self, bytes: &'a [u8]) -> Result<(Name, TypeId), LfError> {
        let mut message = Message::read("FieldWithType", bytes)?;
        let field = (self.plain_name_in(&mut message, USUAL)?, self.type_field(&mut message, 2)?);
        message.finish()?;
        Ok(field)
    }

    fn constructors(&self, bytes: &'a [u8]) -> Result<Vec<Name>, LfError> {
        let mut message = Message::read("DefDataType.EnumConstructors", bytes)?;
        let names: Vec<Name> = if self.version.has_tables() {
            let strings = message.indexes(2)?.into_iter().map(|index| self.string(index));
            let names = strings.map(|text| Name::new(&**text?).map_err(|e| message.invalid(e)));
            names.collect::<Result<_, _>>()?
        } else {
            let texts = message.texts(1)?;
            texts.into_iter().map(|text| Name::new(text).map_err(|e| message.invalid(e))).collect::<Result<_, _>>()?
        };
        distinct(&message, names.iter())?;
        message.finish()?;
        Ok(names)
    }

    fn value(&mut self, bytes: &'a [u8]) -> Result<ValueDef, LfError> {
        let mut message = Message::read("DefValue", bytes)?;
        self.skip_location(&mut message, self.at(5, 1))?;
        let v1 = self.version.is_v1();
        if v1 && !message.flag(3)? {
            return Err(message.invalid("it may hold party literals; packages that old are not supported"));
        }
        let mut head = Message::read("DefValue.NameWithType", message.message(self.at(1, 2))?)?;
        let value = ValueDef {
            name: self.value_name_in(&mut head, At::new(1, 3, 1))?,
            ty: self.type_field(&mut head, 2)?,
            body: self.expr_field(&mut message, self.at(2, 3))?,
            is_test: (v1 || self.version.is_dev()) && message.flag(self.at(4, 1000))?,
        };
        head.finish()?;
        message.finish()?;
        Ok(value)
    }

    /// An expression that may be missing.
    fn optional_expr(&mut self, message: &mut Message<'a>, number: u32) -> Result<Option<ExprId>, LfError> {
        message.optional_bytes(number)?.map(|bytes| self.expr(bytes)).transpose()
    }

    fn template(&mut self, bytes: &'a [u8]) -> Result<Template, LfError> {
        let mut message = Message::read("DefTemplate", bytes)?;
        self.skip_location(&mut message, self.at(9, 8))?;
        let v1 = self.version.is_v1();
        let key = match message.optional_bytes(self.at(10, 9))? {
            Some(_) if !v1 && self.version < V::V2_3 => {
                return Err(message.invalid("contract keys exist from LF 2.3 on"));
            }
            key => key.map(|bytes| self.key(bytes)).transpose()?,
        };
        let template = Template {
            name: self.dotted_in(&mut message, At::new(1, 12, 1))?,
            param: self.name_in(&mut message, At::new(2, 11, 2))?,
            precondition: self.optional_expr(&mut message, self.at(4, 3))?,
            signatories: self.expr_field(&mut message, self.at(5, 4))?,
            observers: self.expr_field(&mut message, self.at(8, 7))?,
            agreement: if v1 { Some(self.expr_field(&mut message, 6)?) } else { None },
            key,
            choices: all!(self, message, self.at(7, 6), choice),
            implements: match self.version {
                version if version < V::V1_15 => Vec::new(),
                _ => all!(self, message, self.at(13, 10), instance),
            },
        };
        distinct(&message, template.choices.iter().map(|choice| &choice.name))?;
        let mut seen = BTreeSet::new();
        if !template.implements.iter().all(|instance| seen.insert(instance.interface)) {
            return Err(message.invalid("an interface is implemented twice"));
        }
        message.finish()?;
        Ok(template)
    }

    fn key(&mut self, bytes: &'a [u8]) -> Result<TemplateKey, LfError> {
        let mut message = Message::read("DefTemplate.DefKey", bytes)?;
        if self.version.is_v1() && message.optional(2)?.is_some() {
            return Err(message.invalid("keys in the form of LF 1.3 are not supported; compile it again"));
        }
        let key = TemplateKey {
            ty: self.type_field(&mut message, 1)?,
            body: self.expr_field(&mut message, 4)?,
            maintainers: self.expr_field(&mut message, 3)?,
        };
        message.finish()?;
        Ok(key)
    }

    fn choice(&mut self, bytes: &'a [u8]) -> Result<Choice, LfError> {
        let mut message = Message::read("TemplateChoice", bytes)?;
        self.skip_location(&mut message, self.at(8, 1))?;
        let authorizers = self.optional_expr(&mut message, self.at(12, 1001))?;
        if authorizers.is_some() && !self.version.is_dev() {
            return Err(message.invalid("authorizers exist in development versions only"));
        }
        let observers = if self.version >= V::V1_11 {
            self.expr_field(&mut message, self.at(11, 5))?
        } else {
            let party = self.arena.ty(Type::Builtin(BuiltinType::Party));
            self.arena.expr(Expr::Nil(party))
        };
        let choice = Choice {
            name: self.plain_name_in(&mut message, At::new(1, 9, 2))?,
            consuming: message.flag(self.at(2, 3))?,
            controllers: self.expr_field(&mut message, self.at(3, 4))?,
            observers,
            authorizers,
            self_binder: self.name_in(&mut message, At::new(7, 10, 10))?,
            arg_binder: self.binder(message.message(self.at(4, 6))?)?,
            returns: self.type_field(&mut message, self.at(5, 8))?,
            update: self.expr_field(&mut message, self.at(6, 9))?,
        };
        message.finish()?;
        Ok(choice)
    }

    fn instance(&mut self, bytes: &'a [u8]) -> Result<InterfaceInstance, LfError> {
        let CoImplementation { template: interface, methods, view } = self.implementation(bytes)?;
        Ok(InterfaceInstance { interface, methods, view })
    }

    /// What templates and interfaces say about each other has one shape.
    fn implementation(&mut self, bytes: &'a [u8]) -> Result<CoImplementation, LfError> {
        let mut message = Message::read("DefTemplate.Implements", bytes)?;
        self.skip_location(&mut message, 3)?;
        let template = self.reference_field(&mut message, 1)?;
        let mut body = Message::read("InterfaceInstanceBody", message.message(2)?)?;
        let methods = all!(self, body, 1, instance_method);
        distinct(&body, methods.iter().map(|(name, _)| name))?;
        let view = self.expr_field(&mut body, 2)?;
        body.finish()?;
        message.finish()?;
        Ok(CoImplementation { template, methods, view })
    }

    /// A name of a message that came with the tables.
    fn numbered_name(&self, message: &mut Message<'a>, number: u32) -> Result<Name, LfError> {
        self.plain_name_in(message, At::new(number, number, number))
    }

    fn instance_method(&mut self, bytes: &'a [u8]) -> Result<(Name, ExprId), LfError> {
        let mut message = Message::read("InterfaceInstanceMethod", bytes)?;
        let method = (self.numbered_name(&mut message, 1)?, self.expr_field(&mut message, 2)?);
        message.finish()?;
        Ok(method)
    }

    fn definition_name(&self, message: &mut Message<'a>, number: u32) -> Result<DottedName, LfError> {
        self.dotted_in(message, At::new(number, number, number))
    }

    fn exception(&mut self, bytes: &'a [u8]) -> Result<ExceptionDef, LfError> {
        let mut message = Message::read("DefException", bytes)?;
        self.skip_location(&mut message, 2)?;
        let exception =
            ExceptionDef { name: self.definition_name(&mut message, 1)?, message: self.expr_field(&mut message, 3)? };
        message.finish()?;
        Ok(exception)
    }

    fn interface(&mut self, bytes: &'a [u8]) -> Result<Interface, LfError> {
        let mut message = Message::read("DefInterface", bytes)?;
        self.skip_location(&mut message, 1)?;
        let interface = Interface {
            name: self.definition_name(&mut message, 2)?,
            param: self.name_in(&mut message, At::new(4, 4, 4))?,
            requires: all!(self, message, self.at(9, 7), reference),
            methods: all!(self, message, 3, method),
            choices: all!(self, message, 5, choice),
            view: self.type_field(&mut message, self.at(8, 6))?,
            co_implements: match self.version.is_v1() {
                true => all!(self, message, 6, implementation),
                false => Vec::new(),
            },
        };
        distinct(&message, interface.methods.iter().map(|(name, _)| name))?;
        distinct(&message, interface.choices.iter().map(|choice| &choice.name))?;
        message.finish()?;
        Ok(interface)
    }

    fn method(&mut self, bytes: &'a [u8]) -> Result<(Name, TypeId), LfError> {
        let mut message = Message::read("InterfaceMethod", bytes)?;
        self.skip_location(&mut message, 1)?;
        let method = (self.numbered_name(&mut message, 2)?, self.type_field(&mut message, 3)?);
        message.finish()?;
        Ok(method)
    }
}
