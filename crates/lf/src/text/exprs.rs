//! Expressions and updates in LF text.

use super::{lexer::Token, parser::Parser};
use crate::{
    Alternative, Binder, Binding, Builtin, ByKey, Expr, ExprId, FailureCategory, FieldExpr, LfError, Literal, Pattern,
    TypeConApp, Update,
};

/// Words that begin or continue something; a variable of that name stands in backquotes.
pub(super) const RESERVED: &[&str] = &[
    "Cons",
    "False",
    "Nil",
    "None",
    "Some",
    "True",
    "call_method",
    "case",
    "catch",
    "create",
    "create_by_interface",
    "exercise",
    "exercise_by_key",
    "exercise_interface",
    "fetch_by_key",
    "fetch_interface",
    "fetch_template",
    "forall",
    "from_any",
    "from_any_exception",
    "from_interface",
    "from_required_interface",
    "in",
    "interface_template_type_rep",
    "ledger_time_lt",
    "let",
    "lookup_by_key",
    "observer_interface",
    "of",
    "query_n_by_key",
    "signatory_interface",
    "throw",
    "to",
    "to_any",
    "to_any_exception",
    "to_interface",
    "to_required_interface",
    "try",
    "type_rep",
    "ubind",
    "uembed_expr",
    "uget_time",
    "unsafe_from_interface",
    "unsafe_from_required_interface",
    "upure",
    "view_interface",
    "with",
];

impl Parser<'_> {
    /// An expression with the arguments that follow it.
    pub(super) fn expr(&mut self) -> Result<ExprId, LfError> {
        self.deeper(|this| {
            let mut head = this.atom()?;
            loop {
                if this.is_symbol("@") {
                    let types = this.type_args()?;
                    head = this.arena.expr(Expr::TypeApp { function: head, types });
                } else if this.at_atom() {
                    let mut arguments = Vec::new();
                    while this.at_atom() {
                        arguments.push(this.atom()?);
                    }
                    head = this.arena.expr(Expr::App { function: head, arguments: arguments.into() });
                } else {
                    return Ok(head);
                }
            }
        })
    }

    fn at_atom(&self) -> bool {
        match self.peek() {
            Token::Word(word) => !matches!(*word, "in" | "of" | "with" | "to" | "catch"),
            Token::Symbol(symbol) => matches!(*symbol, "(" | "<" | "\\" | "/\\"),
            Token::End => false,
            _ => true,
        }
    }

    /// An expression that needs no parentheses as an argument.
    pub(super) fn atom(&mut self) -> Result<ExprId, LfError> {
        let expr = self.deeper(|this| match this.peek().clone() {
            Token::Symbol("(") => this.parenthesized(),
            Token::Symbol("<") => this.structure().map(Ok),
            Token::Symbol("\\") => this.abstraction().map(Ok),
            Token::Symbol("/\\") => {
                this.next();
                let params = this.type_binders(".")?.into();
                Ok(Ok(Expr::TypeAbs { params, body: this.expr()? }))
            }
            _ if this.at_reference() => this.referring().map(Ok),
            Token::Word(word) => this.worded(word).map(Ok),
            Token::Quoted(_) => Ok(Ok(Expr::Var(this.name()?))),
            _ => this.literal().map(|literal| Ok(Expr::Literal(literal))),
        })?;
        Ok(match expr {
            Ok(expr) => self.arena.expr(expr),
            Err(known) => known,
        })
    }

    /// Unit, the field of a struct, or just parentheses, which leave no trace.
    fn parenthesized(&mut self) -> Result<Result<Expr, ExprId>, LfError> {
        self.symbol("(")?;
        if self.take_symbol(")") {
            return Ok(Ok(Expr::Unit));
        }
        let inner = self.expr()?;
        self.symbol(")")?;
        if self.take_symbol(".") {
            return Ok(Ok(Expr::StructProj { field: self.name()?, record: inner }));
        }
        Ok(Err(inner))
    }

    fn at_field(&self) -> bool {
        matches!((self.peek(), self.peek_at(1)), (Token::Word(_) | Token::Quoted(_), Token::Symbol("=")))
    }

    fn field_expr(&mut self) -> Result<FieldExpr, LfError> {
        let name = self.name()?;
        self.symbol("=")?;
        Ok((name, self.expr()?))
    }

    fn structure(&mut self) -> Result<Expr, LfError> {
        self.symbol("<")?;
        if self.at_field() || self.is_symbol(">") {
            return Ok(Expr::StructCon(self.listed(">", Self::field_expr)?.into()));
        }
        let record = self.expr()?;
        self.word("with")?;
        let (field, update) = self.field_expr()?;
        self.symbol(">")?;
        Ok(Expr::StructUpd { field, record, update })
    }

    fn abstraction(&mut self) -> Result<Expr, LfError> {
        self.symbol("\\")?;
        let mut params: Vec<Binder> = Vec::new();
        while self.take_symbol("(") {
            params.push(self.binder()?);
            self.symbol(")")?;
        }
        self.symbol("->")?;
        Ok(Expr::Abs { params: params.into(), body: self.expr()? })
    }

    /// What begins with a reference: a value, or something of a record, variant or enum.
    fn referring(&mut self) -> Result<Expr, LfError> {
        let con = self.reference()?;
        if self.take_symbol(":") {
            let constructor = self.name()?;
            let args = self.type_args()?;
            if !self.at_atom() {
                return Ok(Expr::EnumCon { con, constructor });
            }
            let argument = self.atom()?;
            return Ok(Expr::VariantCon { con: TypeConApp { con, args }, constructor, argument });
        }
        let place = self.place();
        let args = self.type_args()?;
        if !self.take_symbol("{") {
            // The arguments are those of the value.
            self.back_to(place);
            return Ok(Expr::Value(con));
        }
        let con = TypeConApp { con, args };
        if self.at_field() || self.is_symbol("}") {
            return Ok(Expr::RecordCon { con, fields: self.listed("}", Self::field_expr)?.into() });
        }
        if let (Token::Word(_) | Token::Quoted(_), Token::Symbol("}")) = (self.peek(), self.peek_at(1)) {
            let field = self.name()?;
            self.symbol("}")?;
            return Ok(Expr::RecordProj { con, field, record: self.atom()? });
        }
        let record = self.expr()?;
        self.word("with")?;
        let (field, update) = self.field_expr()?;
        self.symbol("}")?;
        Ok(Expr::RecordUpd { con, field, record, update })
    }

    fn literal(&mut self) -> Result<Literal, LfError> {
        let literal = match self.peek().clone() {
            Token::Int64(value) => Literal::Int64(value),
            Token::Numeric(value) => Literal::Numeric(value),
            Token::Text(value) => Literal::Text(value.into()),
            Token::Timestamp(value) => Literal::Timestamp(value),
            Token::Date(value) => Literal::Date(value),
            _ => return Err(self.expected("an expression")),
        };
        self.next();
        Ok(literal)
    }

    /// What begins with a word.
    fn worded(&mut self, word: &str) -> Result<Expr, LfError> {
        if let Some(builtin) = Builtin::from_text(word) {
            self.next();
            return Ok(Expr::Builtin(builtin));
        }
        if !RESERVED.contains(&word) {
            let category = FailureCategory::from_text(word);
            let name = self.name()?;
            return Ok(category.map_or(Expr::Var(name), |category| Expr::Literal(Literal::FailureCategory(category))));
        }
        self.next();
        if let Some(update) = self.update(word)? {
            return Ok(Expr::Update(Box::new(update)));
        }
        Ok(match word {
            "True" => Expr::Bool(true),
            "False" => Expr::Bool(false),
            "let" => {
                let binding = self.binding("=")?;
                self.word("in")?;
                // Counts twice, as parentheses do: it takes as much of the stack.
                Expr::Let { bindings: [binding].into(), body: self.deeper(Self::expr)? }
            }
            "case" => {
                let scrutinee = self.expr()?;
                self.word("of")?;
                Expr::Case { scrutinee, alternatives: self.alternatives()? }
            }
            "Nil" => Expr::Nil(self.type_arg()?),
            "Cons" => {
                let ty = self.type_arg()?;
                self.symbol("[")?;
                let front = self.listed("]", Self::expr)?.into();
                Expr::Cons { ty, front, tail: self.atom()? }
            }
            "None" => Expr::None(self.type_arg()?),
            "Some" => Expr::Some { ty: self.type_arg()?, value: self.atom()? },
            "to_any" => Expr::ToAny { ty: self.type_arg()?, value: self.atom()? },
            "from_any" => Expr::FromAny { ty: self.type_arg()?, value: self.atom()? },
            "type_rep" => Expr::TypeRep(self.type_arg()?),
            "to_any_exception" => Expr::ToAnyException { ty: self.type_arg()?, value: self.atom()? },
            "from_any_exception" => Expr::FromAnyException { ty: self.type_arg()?, value: self.atom()? },
            "throw" => Expr::Throw { returns: self.type_arg()?, exception: self.type_arg()?, value: self.atom()? },
            _ => return self.about_interface(word),
        })
    }

    fn about_interface(&mut self, word: &str) -> Result<Expr, LfError> {
        if !self.take_symbol("@") {
            return Err(self.error(format!("{word} cannot stand here")));
        }
        let interface = self.reference()?;
        match word {
            "call_method" => {
                return Ok(Expr::CallInterface { interface, method: self.name()?, value: self.atom()? });
            }
            "signatory_interface" => return Ok(Expr::SignatoryInterface { interface, value: self.atom()? }),
            "observer_interface" => return Ok(Expr::ObserverInterface { interface, value: self.atom()? }),
            "view_interface" => return Ok(Expr::ViewInterface { interface, value: self.atom()? }),
            "interface_template_type_rep" => {
                return Ok(Expr::InterfaceTemplateTypeRep { interface, value: self.atom()? });
            }
            _ => {}
        }
        self.symbol("@")?;
        let (first, second) = (interface, self.reference()?);
        let third = self.atom()?;
        Ok(match word {
            "to_interface" => Expr::ToInterface { interface: first, template: second, value: third },
            "from_interface" => Expr::FromInterface { interface: first, template: second, value: third },
            "to_required_interface" => Expr::ToRequiredInterface { required: first, requiring: second, value: third },
            "from_required_interface" => {
                Expr::FromRequiredInterface { required: first, requiring: second, value: third }
            }
            "unsafe_from_interface" => Expr::UnsafeFromInterface {
                interface: first,
                template: second,
                contract_id: third,
                value: self.atom()?,
            },
            "unsafe_from_required_interface" => Expr::UnsafeFromRequiredInterface {
                required: first,
                requiring: second,
                contract_id: third,
                value: self.atom()?,
            },
            _ => return Err(self.error(format!("{word} cannot stand here"))),
        })
    }

    fn binding(&mut self, sign: &str) -> Result<Binding, LfError> {
        let binder = self.binder()?;
        self.symbol(sign)?;
        Ok(Binding { binder, bound: self.expr()? })
    }

    fn alternatives(&mut self) -> Result<Box<[Alternative]>, LfError> {
        let all = self.separated("|", |this| {
            let pattern = this.pattern()?;
            this.symbol("->")?;
            Ok(Alternative { pattern, body: this.expr()? })
        });
        all.map(Into::into)
    }

    fn pattern(&mut self) -> Result<Pattern, LfError> {
        if self.at_reference() {
            let con = self.reference()?;
            self.symbol(":")?;
            let constructor = self.name()?;
            if self.is_symbol("->") {
                return Ok(Pattern::Enum { con, constructor });
            }
            return Ok(Pattern::Variant { con, constructor, binder: self.name()? });
        }
        if self.take_symbol("(") {
            return self.symbol(")").map(|()| Pattern::Unit);
        }
        let Token::Word(word) = self.next() else { return Err(self.expected("a pattern")) };
        Ok(match word {
            "_" => Pattern::Default,
            "True" => Pattern::Bool(true),
            "False" => Pattern::Bool(false),
            "Nil" => Pattern::Nil,
            "Cons" => Pattern::Cons { head: self.name()?, tail: self.name()? },
            "None" => Pattern::None,
            "Some" => Pattern::Some(self.name()?),
            other => return Err(self.error(format!("{other} is no pattern"))),
        })
    }

    /// The update that begins with this word.
    fn update(&mut self, word: &str) -> Result<Option<Update>, LfError> {
        Ok(Some(match word {
            "upure" => Update::Pure { ty: self.type_arg()?, value: self.atom()? },
            "ubind" => {
                let bindings = self.separated(";", |this| this.binding("<-"))?.into();
                self.word("in")?;
                Update::Block { bindings, body: self.expr()? }
            }
            "create" => Update::Create { template: self.reference_arg()?, argument: self.atom()? },
            "create_by_interface" => {
                Update::CreateInterface { interface: self.reference_arg()?, argument: self.atom()? }
            }
            "fetch_template" => Update::Fetch { template: self.reference_arg()?, contract_id: self.atom()? },
            "fetch_interface" => Update::FetchInterface { interface: self.reference_arg()?, contract_id: self.atom()? },
            "exercise" => Update::Exercise {
                template: self.reference_arg()?,
                choice: self.name()?,
                contract_id: self.atom()?,
                argument: self.atom()?,
            },
            "exercise_interface" => Update::ExerciseInterface {
                interface: self.reference_arg()?,
                choice: self.name()?,
                contract_id: self.atom()?,
                argument: self.atom()?,
                guard: None,
            },
            "exercise_by_key" => Update::ExerciseByKey {
                template: self.reference_arg()?,
                choice: self.name()?,
                key: self.atom()?,
                argument: self.atom()?,
            },
            "fetch_by_key" => Update::FetchByKey(self.by_key()?),
            "lookup_by_key" => Update::LookupByKey(self.by_key()?),
            "query_n_by_key" => Update::QueryNByKey(self.by_key()?),
            "uget_time" => Update::GetTime,
            "ledger_time_lt" => Update::LedgerTimeLt(self.atom()?),
            "uembed_expr" => Update::Embed { ty: self.type_arg()?, body: self.atom()? },
            "try" => {
                let (returns, body) = (self.type_arg()?, self.atom()?);
                self.word("catch")?;
                let binder = self.name()?;
                self.symbol("->")?;
                Update::TryCatch { returns, body, binder, handler: self.expr()? }
            }
            _ => return Ok(None),
        }))
    }

    /// In LF 2, actions by key are functions of it.
    fn by_key(&mut self) -> Result<ByKey, LfError> {
        Ok(ByKey { template: self.reference_arg()?, key: None })
    }

    fn reference_arg(&mut self) -> Result<crate::RefId, LfError> {
        self.symbol("@")?;
        self.reference()
    }
}
