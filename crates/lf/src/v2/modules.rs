//! Modules and their definitions on the wire.

use super::decode::{Decoder, unit};
use crate::{
    Choice, DataCons, DataType, ExceptionDef, Interface, InterfaceInstance, KindId, LfError, Module, NameId, Template,
    TypeId, TypeSynonym, ValueDef, wire::Message,
};
use base::{DottedName, Name};
use std::collections::BTreeSet;

/// Reads each message of a list with a method of the decoder.
macro_rules! all {
    ($self:ident, $message:ident, $number:literal, $read:ident) => {
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
    pub(super) fn module(&mut self, bytes: &'a [u8]) -> Result<Module, LfError> {
        let mut message = Message::read("Module", bytes)?;
        let mut flags = Message::read("FeatureFlags", message.message(2)?)?;
        for flag in 1..=3 {
            if !flags.flag(flag)? {
                return Err(flags.invalid(format_args!("flag {flag} is off; packages that old are not supported")));
            }
        }
        flags.finish()?;
        let module = Module {
            name: self.dotted_name(message.index(1)?)?,
            synonyms: all!(self, message, 3, synonym),
            data_types: all!(self, message, 4, data_type),
            values: all!(self, message, 5, value),
            templates: all!(self, message, 6, template),
            exceptions: all!(self, message, 7, exception),
            interfaces: all!(self, message, 8, interface),
        };
        message.finish()?;
        Ok(module)
    }

    fn dotted_name_field(&self, message: &mut Message<'a>, number: u32) -> Result<DottedName, LfError> {
        self.dotted_name(message.index(number)?)
    }

    fn params(&mut self, message: &mut Message<'a>, number: u32) -> Result<Vec<(NameId, KindId)>, LfError> {
        message.messages(number)?.into_iter().map(|bytes| self.type_binder(bytes)).collect()
    }

    fn synonym(&mut self, bytes: &'a [u8]) -> Result<TypeSynonym, LfError> {
        let mut message = Message::read("DefTypeSyn", bytes)?;
        self.skip_location(&mut message, 1)?;
        let synonym = TypeSynonym {
            name: self.dotted_name_field(&mut message, 2)?,
            params: self.params(&mut message, 3)?,
            ty: self.type_field(&mut message, 4)?,
        };
        message.finish()?;
        Ok(synonym)
    }

    fn data_type(&mut self, bytes: &'a [u8]) -> Result<DataType, LfError> {
        let mut message = Message::read("DefDataType", bytes)?;
        self.skip_location(&mut message, 1)?;
        let name = self.dotted_name_field(&mut message, 2)?;
        let params = self.params(&mut message, 3)?;
        let serializable = message.flag(4)?;
        let (number, wire) = message.alternative()?;
        let cons = match number {
            5 => DataCons::Record(self.fields(message.as_message(5, wire)?)?),
            6 => DataCons::Variant(self.fields(message.as_message(6, wire)?)?),
            7 if params.is_empty() => DataCons::Enum(self.constructors(message.as_message(7, wire)?)?),
            7 => return Err(message.invalid("an enum has type parameters")),
            8 => unit(&message, 8, wire).map(|()| DataCons::Interface)?,
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
        let field = (self.plain_name(message.index(3)?)?, self.type_field(&mut message, 2)?);
        message.finish()?;
        Ok(field)
    }

    fn constructors(&self, bytes: &'a [u8]) -> Result<Vec<Name>, LfError> {
        let mut message = Message::read("DefDataType.EnumConstructors", bytes)?;
        let names = message.indexes(2)?.into_iter().map(|index| self.plain_name(index));
        let names = names.collect::<Result<Vec<_>, _>>()?;
        distinct(&message, names.iter())?;
        message.finish()?;
        Ok(names)
    }

    fn value(&mut self, bytes: &'a [u8]) -> Result<ValueDef, LfError> {
        let mut message = Message::read("DefValue", bytes)?;
        self.skip_location(&mut message, 1)?;
        let mut head = Message::read("DefValue.NameWithType", message.message(2)?)?;
        let value = ValueDef {
            name: self.dotted_name_field(&mut head, 1)?,
            ty: self.type_field(&mut head, 2)?,
            body: self.expr_field(&mut message, 3)?,
        };
        head.finish()?;
        message.finish()?;
        Ok(value)
    }

    fn template(&mut self, bytes: &'a [u8]) -> Result<Template, LfError> {
        let mut message = Message::read("DefTemplate", bytes)?;
        self.skip_location(&mut message, 8)?;
        if message.optional(9)?.is_some() {
            return Err(message.invalid("contract keys exist from LF 2.3 on"));
        }
        let template = Template {
            name: self.dotted_name_field(&mut message, 1)?,
            param: self.name_field(&mut message, 2)?,
            precondition: message.optional_bytes(3)?.map(|bytes| self.expr(bytes)).transpose()?,
            signatories: self.expr_field(&mut message, 4)?,
            observers: self.expr_field(&mut message, 7)?,
            choices: all!(self, message, 6, choice),
            implements: all!(self, message, 10, instance),
        };
        distinct(&message, template.choices.iter().map(|choice| &choice.name))?;
        let mut seen = BTreeSet::new();
        if !template.implements.iter().all(|instance| seen.insert(instance.interface)) {
            return Err(message.invalid("an interface is implemented twice"));
        }
        message.finish()?;
        Ok(template)
    }

    fn choice(&mut self, bytes: &'a [u8]) -> Result<Choice, LfError> {
        let mut message = Message::read("TemplateChoice", bytes)?;
        self.skip_location(&mut message, 1)?;
        let choice = Choice {
            name: self.plain_name(message.index(2)?)?,
            consuming: message.flag(3)?,
            controllers: self.expr_field(&mut message, 4)?,
            observers: self.expr_field(&mut message, 5)?,
            self_binder: self.name_field(&mut message, 10)?,
            arg_binder: self.binder(message.message(6)?)?,
            returns: self.type_field(&mut message, 8)?,
            update: self.expr_field(&mut message, 9)?,
        };
        message.finish()?;
        Ok(choice)
    }

    fn instance(&mut self, bytes: &'a [u8]) -> Result<InterfaceInstance, LfError> {
        let mut message = Message::read("DefTemplate.Implements", bytes)?;
        self.skip_location(&mut message, 3)?;
        let interface = self.reference_field(&mut message, 1)?;
        let mut body = Message::read("InterfaceInstanceBody", message.message(2)?)?;
        let methods = all!(self, body, 1, instance_method);
        distinct(&body, methods.iter().map(|(name, _)| name))?;
        let view = self.expr_field(&mut body, 2)?;
        body.finish()?;
        message.finish()?;
        Ok(InterfaceInstance { interface, methods, view })
    }

    fn instance_method(&mut self, bytes: &'a [u8]) -> Result<(Name, crate::ExprId), LfError> {
        let mut message = Message::read("InterfaceInstanceMethod", bytes)?;
        let method = (self.plain_name(message.index(1)?)?, self.expr_field(&mut message, 2)?);
        message.finish()?;
        Ok(method)
    }

    fn exception(&mut self, bytes: &'a [u8]) -> Result<ExceptionDef, LfError> {
        let mut message = Message::read("DefException", bytes)?;
        self.skip_location(&mut message, 2)?;
        let exception =
            ExceptionDef { name: self.dotted_name_field(&mut message, 1)?, message: self.expr_field(&mut message, 3)? };
        message.finish()?;
        Ok(exception)
    }

    fn interface(&mut self, bytes: &'a [u8]) -> Result<Interface, LfError> {
        let mut message = Message::read("DefInterface", bytes)?;
        self.skip_location(&mut message, 1)?;
        let interface = Interface {
            name: self.dotted_name_field(&mut message, 2)?,
            param: self.name_field(&mut message, 4)?,
            requires: all!(self, message, 7, reference),
            methods: all!(self, message, 3, method),
            choices: all!(self, message, 5, choice),
            view: self.type_field(&mut message, 6)?,
        };
        distinct(&message, interface.methods.iter().map(|(name, _)| name))?;
        distinct(&message, interface.choices.iter().map(|choice| &choice.name))?;
        message.finish()?;
        Ok(interface)
    }

    fn method(&mut self, bytes: &'a [u8]) -> Result<(Name, TypeId), LfError> {
        let mut message = Message::read("InterfaceMethod", bytes)?;
        self.skip_location(&mut message, 1)?;
        let method = (self.plain_name(message.index(2)?)?, self.type_field(&mut message, 3)?);
        message.finish()?;
        Ok(method)
    }
}
