//! Modules and definitions in LF text.

use super::{lexer::Token, parser::Parser};
use crate::{
    BuiltinType, Choice, DataCons, DataType, ExceptionDef, Expr, ExprId, Interface, InterfaceInstance, LanguageVersion,
    LfError, Module, Template, TemplateKey, Type, TypeSynonym, ValueDef,
};
use base::Name;

/// The versions that can be written, as numbers of LF text.
const LANGUAGES: [(&str, LanguageVersion); 3] =
    [("2.1", LanguageVersion::V2_1), ("2.2", LanguageVersion::V2_2), ("2.3", LanguageVersion::V2_3)];

impl Parser<'_> {
    /// `language 2.3;`, if the text begins with it. Not in the field's syntax, where tools are told beside the text.
    pub(super) fn language(&mut self) -> Result<Option<LanguageVersion>, LfError> {
        if !self.take_word("language") {
            return Ok(None);
        }
        let stated = match self.peek() {
            Token::Numeric(number) => number.to_string(),
            _ => String::new(),
        };
        let known = LANGUAGES.iter().find(|(text, _)| *text == stated).map(|(_, version)| *version);
        let version = known.ok_or_else(|| self.expected("one of the versions 2.1, 2.2 and 2.3"))?;
        self.next();
        self.symbol(";").map(|()| Some(version))
    }

    /// All modules of the text.
    pub(super) fn modules(&mut self) -> Result<Vec<Module>, LfError> {
        let mut modules = Vec::new();
        while *self.peek() != Token::End {
            self.word("module")?;
            let mut module = Module {
                name: self.dotted_name()?,
                synonyms: Vec::new(),
                data_types: Vec::new(),
                values: Vec::new(),
                templates: Vec::new(),
                exceptions: Vec::new(),
                interfaces: Vec::new(),
            };
            self.symbol("{")?;
            while !self.take_symbol("}") {
                self.definition(&mut module)?;
                self.symbol(";")?;
            }
            modules.push(module);
        }
        Ok(modules)
    }

    fn definition(&mut self, module: &mut Module) -> Result<(), LfError> {
        let Token::Word(word) = *self.peek() else { return Err(self.expected("a definition")) };
        match word {
            "synonym" => {
                self.next();
                let (name, params) = (self.dotted_name()?, self.type_binders("=")?);
                module.synonyms.push(TypeSynonym { name, params, ty: self.ty()? });
            }
            "record" | "variant" | "enum" => {
                self.next();
                let data_type = self.data_type(word)?;
                module.data_types.push(data_type);
            }
            "val" => {
                self.next();
                let name = self.dotted_name()?;
                self.symbol(":")?;
                let ty = self.ty()?;
                self.symbol("=")?;
                module.values.push(ValueDef { name, ty, body: self.expr()?, is_test: false });
            }
            "template" => {
                self.next();
                module.templates.push(self.template()?);
            }
            "exception" => {
                self.next();
                let name = self.dotted_name()?;
                self.symbol("=")?;
                self.symbol("{")?;
                self.word("message")?;
                module.exceptions.push(ExceptionDef { name, message: self.expr()? });
                self.symbol("}")?;
            }
            "interface" => {
                self.next();
                let interface = self.interface()?;
                let (name, params) = (interface.name.clone(), Vec::new());
                module.data_types.push(DataType { name, params, serializable: false, cons: DataCons::Interface });
                module.interfaces.push(interface);
            }
            _ => return Err(self.expected("a definition")),
        }
        Ok(())
    }

    /// `@` and one of the words that may stand there.
    fn tag(&mut self, tag: &str) -> Result<bool, LfError> {
        if !self.take_symbol("@") {
            return Ok(false);
        }
        self.word(tag).map(|()| true)
    }

    fn data_type(&mut self, word: &str) -> Result<DataType, LfError> {
        let serializable = self.tag("serializable")?;
        let name = self.dotted_name()?;
        let params = self.type_binders("=")?;
        let cons = match word {
            "record" => {
                self.symbol("{")?;
                DataCons::Record(self.listed("}", Self::field)?)
            }
            // The field's syntax allows neither to be empty, but packages may be.
            _ if self.is_symbol(";") && word == "variant" => DataCons::Variant(Vec::new()),
            "variant" => DataCons::Variant(self.separated("|", Self::field)?),
            _ if self.is_symbol(";") => DataCons::Enum(Vec::new()),
            _ => DataCons::Enum(self.separated("|", Self::plain_name)?),
        };
        Ok(DataType { name, params, serializable, cons })
    }

    /// `word expression ;`.
    fn clause(&mut self, word: &str) -> Result<ExprId, LfError> {
        self.word(word)?;
        let expr = self.expr()?;
        self.symbol(";")?;
        Ok(expr)
    }

    fn template(&mut self) -> Result<Template, LfError> {
        let (param, name) = self.contract_binder()?;
        let precondition = self.is_word("precondition").then(|| self.clause("precondition")).transpose()?;
        let mut template = Template {
            name,
            param,
            precondition,
            signatories: self.clause("signatories")?,
            observers: self.clause("observers")?,
            agreement: None,
            key: None,
            choices: Vec::new(),
            implements: Vec::new(),
        };
        while self.is_word("choice") {
            template.choices.push(self.choice()?);
        }
        while self.take_word("implements") {
            template.implements.push(self.instance()?);
        }
        if self.take_word("key") {
            template.key = Some(TemplateKey { ty: self.type_arg()?, body: self.atom()?, maintainers: self.atom()? });
            self.symbol(";")?;
        }
        self.symbol("}")?;
        Ok(template)
    }

    /// `(this: Name) = {`.
    fn contract_binder(&mut self) -> Result<(crate::NameId, base::DottedName), LfError> {
        self.symbol("(")?;
        let param = self.name()?;
        self.symbol(":")?;
        let name = self.dotted_name()?;
        [")", "=", "{"].into_iter().try_for_each(|symbol| self.symbol(symbol))?;
        Ok((param, name))
    }

    fn choice(&mut self) -> Result<Choice, LfError> {
        self.word("choice")?;
        let consuming = !self.tag("nonConsuming")?;
        let name = self.plain_name()?;
        self.symbol("(")?;
        let self_binder = self.name()?;
        self.symbol(")")?;
        self.symbol("(")?;
        let arg_binder = self.binder()?;
        self.symbol(")")?;
        self.symbol(":")?;
        let returns = self.ty()?;
        self.symbol(",")?;
        self.word("controllers")?;
        let controllers = self.expr()?;
        let observers = if self.take_symbol(",") {
            self.word("observers")?;
            self.expr()?
        } else {
            let party = self.arena.ty(Type::Builtin(BuiltinType::Party));
            self.arena.expr(Expr::Nil(party))
        };
        self.word("to")?;
        let update = self.expr()?;
        self.symbol(";")?;
        let authorizers = None;
        Ok(Choice { name, consuming, controllers, observers, authorizers, self_binder, arg_binder, returns, update })
    }

    fn instance(&mut self) -> Result<InterfaceInstance, LfError> {
        let interface = self.reference()?;
        self.symbol("{")?;
        self.word("view")?;
        self.symbol("=")?;
        let view = self.expr()?;
        self.symbol(";")?;
        let mut methods: Vec<(Name, ExprId)> = Vec::new();
        while self.take_word("method") {
            let name = self.plain_name()?;
            self.symbol("=")?;
            methods.push((name, self.expr()?));
            self.symbol(";")?;
        }
        self.symbol("}")?;
        self.symbol(";")?;
        Ok(InterfaceInstance { interface, methods, view })
    }

    fn interface(&mut self) -> Result<Interface, LfError> {
        let (param, name) = self.contract_binder()?;
        self.word("viewtype")?;
        let view = self.ty()?;
        self.symbol(";")?;
        let mut interface = Interface {
            name,
            param,
            requires: Vec::new(),
            methods: Vec::new(),
            choices: Vec::new(),
            view,
            co_implements: Vec::new(),
        };
        while self.take_word("requires") {
            interface.requires.push(self.reference()?);
            self.symbol(";")?;
        }
        while self.take_word("method") {
            interface.methods.push(self.field()?);
            self.symbol(";")?;
        }
        while self.is_word("choice") {
            interface.choices.push(self.choice()?);
        }
        self.symbol("}")?;
        Ok(interface)
    }
}
