//! Expressions, patterns and updates on the wire.

use super::{
    decode::{At, Decoder, USUAL, unit},
    v1,
};
use crate::{
    Alternative, Binder, Binding, Builtin, ByKey, Expr, ExprId, FailureCategory, FieldExpr, LanguageVersion as V,
    LfError, Literal, NameId, Pattern, RefId, RoundingMode, Scenario, TypeId, Update,
    wire::{Message, Wire, zigzag},
};
use base::{Name, Timestamp};
use std::sync::Arc;
use transaction::{Date, Numeric};

impl<'a> Decoder<'a> {
    /// An expression outside the table.
    pub(super) fn expr(&mut self, bytes: &'a [u8]) -> Result<ExprId, LfError> {
        let id = self.child_expr(bytes)?;
        self.drain_exprs()?;
        Ok(id)
    }

    /// The expression in a field of a definition.
    pub(super) fn expr_field(&mut self, message: &mut Message<'a>, number: u32) -> Result<ExprId, LfError> {
        self.expr(message.message(number)?)
    }

    /// The type in a field.
    pub(super) fn type_field(&mut self, message: &mut Message<'a>, number: u32) -> Result<TypeId, LfError> {
        self.ty(message.message(number)?)
    }

    /// The name in a field of a message that came with the tables.
    fn name_field(&mut self, message: &mut Message<'a>, number: u32) -> Result<NameId, LfError> {
        self.name_in(message, At::new(number, number, number))
    }

    /// The reference in a field.
    pub(super) fn reference_field(&mut self, message: &mut Message<'a>, number: u32) -> Result<RefId, LfError> {
        self.reference(message.message(number)?)
    }

    /// A variable with its type.
    pub(super) fn binder(&mut self, bytes: &'a [u8]) -> Result<Binder, LfError> {
        let mut message = Message::read("VarWithType", bytes)?;
        let binder = (self.name_in(&mut message, USUAL)?, self.type_field(&mut message, 2)?);
        message.finish()?;
        Ok(binder)
    }

    /// The expression of a nested message; read later, except where it stands in the table.
    fn child_expr(&mut self, bytes: &'a [u8]) -> Result<ExprId, LfError> {
        let mut message = Message::read("Expr", bytes)?;
        let (number, wire) = self.expr_form(&mut message)?;
        if number == 44 && self.version.may_be_flat() {
            let index = message.as_index(44, wire)?;
            return Self::interned("expressions", index, self.interned_exprs).map(ExprId);
        }
        let id = self.arena.expr(Expr::Unit);
        self.pending_exprs.push((id, bytes));
        Ok(id)
    }

    /// The form of an expression, in the numbers of LF 2, its location left out.
    fn expr_form(&self, message: &mut Message<'a>) -> Result<(u32, Wire<'a>), LfError> {
        let v1 = self.version.is_v1();
        self.skip_location(message, if v1 { 25 } else { 1 })?;
        let (number, wire) = message.alternative()?;
        let form = if v1 { v1::expr_form(number, self.version) } else { Some(number) };
        Ok((form.ok_or_else(|| self.not_in_version(message, number))?, wire))
    }

    fn variable(&mut self, message: &Message<'a>, wire: Wire<'a>) -> Result<NameId, LfError> {
        let text = match wire {
            Wire::Bytes(text) if !self.version.has_tables() => {
                Arc::from(std::str::from_utf8(text).map_err(|e| message.invalid(e))?)
            }
            _ => self.string(message.as_index(2, wire)?)?.clone(),
        };
        let name = Name::new(&*text).map_err(|e| message.invalid(e))?;
        Ok(self.arena.name(&name))
    }

    fn builtin(&mut self, number: u32) -> Option<Expr> {
        if self.version.is_v1() {
            return v1::builtin(&mut self.arena, number, self.version);
        }
        Builtin::in_v2(number, self.version).map(Expr::Builtin)
    }

    fn child(&mut self, message: &mut Message<'a>, number: u32) -> Result<ExprId, LfError> {
        self.child_expr(message.message(number)?)
    }

    fn children(&mut self, message: &mut Message<'a>, number: u32) -> Result<Box<[ExprId]>, LfError> {
        let all = message.messages(number)?;
        if all.is_empty() {
            return Err(message.invalid(format_args!("field {number} is missing")));
        }
        all.into_iter().map(|bytes| self.child_expr(bytes)).collect()
    }

    pub(super) fn drain_exprs(&mut self) -> Result<(), LfError> {
        while let Some((id, bytes)) = self.pending_exprs.pop() {
            let mut message = Message::read("Expr", bytes)?;
            let (number, wire) = self.expr_form(&mut message)?;
            let expr = match number {
                2 => Expr::Var(self.variable(&message, wire)?),
                4 => {
                    let builtin = message.as_index(4, wire)?;
                    self.builtin(builtin).ok_or_else(|| {
                        message.invalid(format_args!("built-in function {builtin} is unknown in LF {}", self.version))
                    })?
                }
                5 => match constant(&message, message.as_index(5, wire)?)? {
                    None => Expr::Unit,
                    Some(truth) => Expr::Bool(truth),
                },
                _ => self.composed(number, message.as_message(number, wire)?)?,
            };
            self.arena.exprs[id.index()] = expr;
        }
        Ok(())
    }

    fn composed(&mut self, number: u32, bytes: &'a [u8]) -> Result<Expr, LfError> {
        match number {
            3 => return Ok(Expr::Value(self.value_reference(bytes)?)),
            6 => return Ok(Expr::Literal(self.literal(bytes)?)),
            23 => return Ok(Expr::Update(Box::new(self.update(bytes)?))),
            29 => return Ok(Expr::TypeRep(self.ty(bytes)?)),
            v1::SCENARIO if self.version.is_v1() || self.version.is_dev() => {
                return Ok(Expr::Scenario(Box::new(self.scenario(bytes)?)));
            }
            _ => {}
        }
        let mut message = Message::read("Expr", bytes)?;
        let expr = match number {
            7..=14 => self.product(number, &mut message)?,
            15..=20 => self.function(number, &mut message)?,
            21 | 22 | 25..=28 | 30..=32 => self.wrapped(number, &mut message)?,
            33..=43 => self.interface_expr(number, &mut message)?,
            1001 | 1002 | 9999 if self.version.is_dev() => self.dev_expr(number, &mut message)?,
            _ => return Err(self.not_in_version(&message, number)),
        };
        message.finish()?;
        Ok(expr)
    }

    /// Records, variants, enums and structs.
    fn product(&mut self, number: u32, message: &mut Message<'a>) -> Result<Expr, LfError> {
        Ok(match number {
            7 => Expr::RecordCon { con: self.type_con(message.message(1)?)?, fields: self.field_exprs(message, 2)? },
            8 => Expr::RecordProj {
                con: self.type_con(message.message(1)?)?,
                field: self.name_in(message, At::new(2, 4, 4))?,
                record: self.child(message, 3)?,
            },
            9 => Expr::RecordUpd {
                con: self.type_con(message.message(1)?)?,
                field: self.name_in(message, At::new(2, 5, 2))?,
                record: self.child(message, 3)?,
                update: self.child(message, 4)?,
            },
            10 => Expr::VariantCon {
                con: self.type_con(message.message(1)?)?,
                constructor: self.name_in(message, At::new(2, 4, 2))?,
                argument: self.child(message, 3)?,
            },
            11 => Expr::EnumCon {
                con: self.reference_field(message, 1)?,
                constructor: self.name_in(message, At::new(2, 3, 2))?,
            },
            12 => Expr::StructCon(self.field_exprs(message, 1)?),
            13 => Expr::StructProj { field: self.name_in(message, At::new(1, 3, 1))?, record: self.child(message, 2)? },
            _ => Expr::StructUpd {
                field: self.name_in(message, At::new(1, 4, 1))?,
                record: self.child(message, 2)?,
                update: self.child(message, 3)?,
            },
        })
    }

    fn field_exprs(&mut self, message: &mut Message<'a>, number: u32) -> Result<Box<[FieldExpr]>, LfError> {
        let read = |bytes| {
            let mut field = Message::read("FieldWithExpr", bytes)?;
            let read = (self.name_in(&mut field, USUAL)?, self.child(&mut field, 2)?);
            field.finish()?;
            Ok(read)
        };
        message.messages(number)?.into_iter().map(read).collect()
    }

    /// Abstraction, application, `case` and `let`.
    fn function(&mut self, number: u32, message: &mut Message<'a>) -> Result<Expr, LfError> {
        Ok(match number {
            15 => Expr::App { function: self.child(message, 1)?, arguments: self.children(message, 2)? },
            16 => {
                let types = self.non_empty(message, 2)?;
                Expr::TypeApp {
                    function: self.child(message, 1)?,
                    types: types.into_iter().map(|ty| self.ty(ty)).collect::<Result<_, _>>()?,
                }
            }
            17 => {
                let params = self.non_empty(message, 1)?;
                Expr::Abs {
                    params: params.into_iter().map(|param| self.binder(param)).collect::<Result<_, _>>()?,
                    body: self.child(message, 2)?,
                }
            }
            18 => {
                let params = self.non_empty(message, 1)?;
                Expr::TypeAbs {
                    params: params.into_iter().map(|param| self.type_binder(param)).collect::<Result<_, _>>()?,
                    body: self.child(message, 2)?,
                }
            }
            19 => {
                let scrutinee = self.child(message, 1)?;
                let alternatives = message.messages(2)?.into_iter().map(|bytes| self.alternative(bytes));
                Expr::Case { scrutinee, alternatives: alternatives.collect::<Result<_, _>>()? }
            }
            _ => {
                let (bindings, body) = self.block(message)?;
                if bindings.is_empty() {
                    return Err(message.invalid("a let has no bindings"));
                }
                Expr::Let { bindings, body }
            }
        })
    }

    fn block(&mut self, message: &mut Message<'a>) -> Result<(Box<[Binding]>, ExprId), LfError> {
        let read = |bytes| {
            let mut binding = Message::read("Binding", bytes)?;
            let read = Binding { binder: self.binder(binding.message(1)?)?, bound: self.child(&mut binding, 2)? };
            binding.finish()?;
            Ok(read)
        };
        let bindings = message.messages(1)?.into_iter().map(read).collect::<Result<_, LfError>>()?;
        Ok((bindings, self.child(message, 2)?))
    }

    fn alternative(&mut self, bytes: &'a [u8]) -> Result<Alternative, LfError> {
        let mut message = Message::read("CaseAlt", bytes)?;
        // In LF 1 the body is number 6, and what comes before it is one lower.
        let v1 = self.version.is_v1();
        let body = self.child(&mut message, if v1 { 6 } else { 1 })?;
        let (number, wire) = message.alternative()?;
        let number = if v1 && number <= 5 { number + 1 } else { number };
        let pattern = match number {
            2 => unit(&message, 2, wire).map(|()| Pattern::Default)?,
            4 => match constant(&message, message.as_index(4, wire)?)? {
                None => Pattern::Unit,
                Some(truth) => Pattern::Bool(truth),
            },
            5 => unit(&message, 5, wire).map(|()| Pattern::Nil)?,
            7 => unit(&message, 7, wire).map(|()| Pattern::None)?,
            3 | 6 | 8 | 9 => {
                let mut inner = Message::read("CaseAlt", message.as_message(number, wire)?)?;
                let pattern = match number {
                    3 => Pattern::Variant {
                        con: self.reference_field(&mut inner, 1)?,
                        constructor: self.name_in(&mut inner, At::new(2, 4, 2))?,
                        binder: self.name_in(&mut inner, At::new(3, 5, 3))?,
                    },
                    6 => Pattern::Cons {
                        head: self.name_in(&mut inner, At::new(1, 3, 1))?,
                        tail: self.name_in(&mut inner, At::new(2, 4, 2))?,
                    },
                    8 => Pattern::Some(self.name_in(&mut inner, At::new(1, 2, 1))?),
                    _ => Pattern::Enum {
                        con: self.reference_field(&mut inner, 1)?,
                        constructor: self.name_in(&mut inner, At::new(2, 3, 2))?,
                    },
                };
                inner.finish()?;
                pattern
            }
            _ => return Err(message.invalid(format_args!("pattern {number} is unknown"))),
        };
        message.finish()?;
        Ok(Alternative { pattern, body })
    }

    /// Lists, optionals, dynamic values and exceptions: a type and what has it.
    fn wrapped(&mut self, number: u32, message: &mut Message<'a>) -> Result<Expr, LfError> {
        let ty = self.type_field(message, 1)?;
        Ok(match number {
            21 => Expr::Nil(ty),
            22 => Expr::Cons { ty, front: self.children(message, 2)?, tail: self.child(message, 3)? },
            25 => Expr::None(ty),
            26 => Expr::Some { ty, value: self.child(message, 2)? },
            27 => Expr::ToAny { ty, value: self.child(message, 2)? },
            28 => Expr::FromAny { ty, value: self.child(message, 2)? },
            30 => Expr::ToAnyException { ty, value: self.child(message, 2)? },
            31 => Expr::FromAnyException { ty, value: self.child(message, 2)? },
            _ => Expr::Throw { returns: ty, exception: self.type_field(message, 2)?, value: self.child(message, 3)? },
        })
    }

    fn interface_expr(&mut self, number: u32, message: &mut Message<'a>) -> Result<Expr, LfError> {
        let interface = self.reference_field(message, 1)?;
        match number {
            35 => {
                let method = self.name_field(message, 2)?;
                return Ok(Expr::CallInterface { interface, method, value: self.child(message, 3)? });
            }
            36 => return Ok(Expr::SignatoryInterface { interface, value: self.child(message, 2)? }),
            37 => return Ok(Expr::ObserverInterface { interface, value: self.child(message, 2)? }),
            38 => return Ok(Expr::ViewInterface { interface, value: self.child(message, 2)? }),
            40 => return Ok(Expr::InterfaceTemplateTypeRep { interface, value: self.child(message, 2)? }),
            39 if self.version.is_flat() => return Err(message.invalid("unsafe_from_interface ended with LF 2.1")),
            _ => {}
        }
        // What is left converts between two types.
        let (first, second) = (interface, self.reference_field(message, 2)?);
        let third = self.child(message, 3)?;
        Ok(match number {
            33 => Expr::ToInterface { interface: first, template: second, value: third },
            34 => Expr::FromInterface { interface: first, template: second, value: third },
            41 => Expr::ToRequiredInterface { required: first, requiring: second, value: third },
            42 => Expr::FromRequiredInterface { required: first, requiring: second, value: third },
            39 => Expr::UnsafeFromInterface {
                interface: first,
                template: second,
                contract_id: third,
                value: self.child(message, 4)?,
            },
            _ => Expr::UnsafeFromRequiredInterface {
                required: first,
                requiring: second,
                contract_id: third,
                value: self.child(message, 4)?,
            },
        })
    }

    fn literal(&mut self, bytes: &'a [u8]) -> Result<Literal, LfError> {
        let mut message = Message::read("BuiltinLit", bytes)?;
        let (number, wire) = message.alternative()?;
        let form = if self.version.is_v1() { v1::literal_form(number, self.version) } else { Some(number) };
        let literal = match (form.unwrap_or(u32::MAX), wire) {
            (1, Wire::Varint(value)) => Literal::Int64(zigzag(value)),
            (2, Wire::Fixed64(value)) => {
                Literal::Timestamp(Timestamp::from_micros(value.cast_signed()).map_err(|e| message.invalid(e))?)
            }
            (3, wire) => {
                let text = self.literal_text(&message, wire)?;
                let numeric = if self.version.has_tables() {
                    Numeric::parse_literal(&text)
                } else {
                    Numeric::parse(&text, v1::DECIMAL_SCALE)
                };
                Literal::Numeric(numeric.ok_or_else(|| message.invalid("a numeric literal is none"))?)
            }
            (4, wire) => Literal::Text(self.literal_text(&message, wire)?),
            (5, Wire::Varint(value)) => {
                Literal::Date(Date::from_days(value.cast_signed()).map_err(|e| message.invalid(e))?)
            }
            (6, Wire::Varint(0)) => Literal::FailureCategory(FailureCategory::InvalidIndependentOfSystemState),
            (6, Wire::Varint(1)) => Literal::FailureCategory(FailureCategory::InvalidGivenCurrentSystemStateOther),
            (v1::ROUNDING_MODE, Wire::Varint(mode)) if self.version.is_v1() || self.version.is_dev() => {
                let mode = usize::try_from(mode).ok().and_then(|mode| RoundingMode::ALL.get(mode));
                Literal::RoundingMode(*mode.ok_or_else(|| message.invalid("a rounding mode is unknown"))?)
            }
            _ => return Err(message.invalid(format_args!("literal {number} is unknown in LF {}", self.version))),
        };
        message.finish()?;
        Ok(literal)
    }

    /// The text of a literal, which stands there itself before LF 1.7.
    fn literal_text(&self, message: &Message<'a>, wire: Wire<'a>) -> Result<Arc<str>, LfError> {
        match wire {
            Wire::Bytes(text) if !self.version.has_tables() => {
                std::str::from_utf8(text).map(Arc::from).map_err(|e| message.invalid(e))
            }
            other => self.string(message.as_index(0, other)?).cloned(),
        }
    }

    fn update(&mut self, bytes: &'a [u8]) -> Result<Update, LfError> {
        let mut message = Message::read("Update", bytes)?;
        let (number, wire) = message.alternative()?;
        match number {
            6 => return unit(&message, 6, wire).map(|()| Update::GetTime),
            15 if !self.version.is_v1() => {
                let time = message.as_message(15, wire)?;
                return self.child_expr(time).map(Update::LedgerTimeLt);
            }
            _ if !self.has_update(number) => return Err(self.not_in_version(&message, number)),
            _ => {}
        }
        let mut inner = Message::read("Update", message.as_message(number, wire)?)?;
        let update = match number {
            4 | 10 | 13 | 15 | 17 | 1001 | 1003 => self.exercise(number, &mut inner)?,
            8 | 9 | 16 if !(number == 16 && self.version.is_v1()) => self.by_key(number, &mut inner)?,
            _ => self.plain_update(number, &mut inner)?,
        };
        inner.finish()?;
        Ok(update)
    }

    /// Whether this version has an update with this number.
    fn has_update(&self, number: u32) -> bool {
        let (version, dev) = (self.version, self.version.is_dev());
        let keys = version.is_v1() || version >= V::V2_3;
        match number {
            1..=5 | 7 => true,
            8 => version.is_v1() || dev,
            9 => keys,
            10 => keys && version >= V::V1_11,
            11 => version >= V::V1_14,
            12..=14 => version >= V::V1_15,
            15 | 17 => dev && version.is_v1(),
            16 => dev || version >= V::V2_3,
            1001..=1003 => dev && !version.is_v1(),
            _ => false,
        }
    }

    fn plain_update(&mut self, number: u32, m: &mut Message<'a>) -> Result<Update, LfError> {
        Ok(match number {
            1 => Update::Pure { ty: self.type_field(m, 1)?, value: self.child(m, 2)? },
            2 => self.block(m).map(|(bindings, body)| Update::Block { bindings, body })?,
            3 => Update::Create { template: self.reference_field(m, 1)?, argument: self.child(m, 2)? },
            5 => Update::Fetch { template: self.reference_field(m, 1)?, contract_id: self.child(m, 2)? },
            7 => Update::Embed { ty: self.type_field(m, 1)?, body: self.child(m, 2)? },
            11 => Update::TryCatch {
                returns: self.type_field(m, 1)?,
                body: self.child(m, 2)?,
                binder: self.name_field(m, 3)?,
                handler: self.child(m, 4)?,
            },
            12 => Update::CreateInterface { interface: self.reference_field(m, 1)?, argument: self.child(m, 2)? },
            14 => Update::FetchInterface { interface: self.reference_field(m, 1)?, contract_id: self.child(m, 2)? },
            16 | 1002 => Update::SoftFetch { template: self.reference_field(m, 1)?, contract_id: self.child(m, 2)? },
            _ => return Err(self.not_in_version(m, number)),
        })
    }

    fn exercise(&mut self, number: u32, m: &mut Message<'a>) -> Result<Update, LfError> {
        let owner = self.reference_field(m, 1)?;
        // The oldest form has room for actors, which are no longer stated.
        let old = matches!(number, 4 | 17);
        let choice = self.name_in(m, if old { At::new(2, 6, 6) } else { At::new(2, 2, 2) })?;
        let (of, argument) = (self.child(m, 3)?, self.child(m, if old { 5 } else { 4 })?);
        Ok(match number {
            4 => Update::Exercise { template: owner, choice, contract_id: of, argument },
            10 => Update::ExerciseByKey { template: owner, choice, key: of, argument },
            13 => {
                let guard = m.optional_bytes(5)?;
                if guard.is_some() && !self.version.is_dev() {
                    return Err(m.invalid("guards exist in development versions only"));
                }
                let guard = guard.map(|bytes| self.child_expr(bytes)).transpose()?;
                Update::ExerciseInterface { interface: owner, choice, contract_id: of, argument, guard }
            }
            15 | 1001 => Update::DynamicExercise { template: owner, choice, contract_id: of, argument },
            _ => Update::SoftExercise { template: owner, choice, contract_id: of, argument },
        })
    }

    fn by_key(&mut self, number: u32, m: &mut Message<'a>) -> Result<Update, LfError> {
        let template = self.reference_field(m, 1)?;
        let key = m.optional_bytes(2)?.map(|bytes| self.child_expr(bytes)).transpose()?;
        if key.is_none() && self.version.is_v1() {
            return Err(m.invalid("the key is missing"));
        }
        let by_key = ByKey { template, key };
        Ok(match number {
            8 => Update::LookupByKey(by_key),
            9 => Update::FetchByKey(by_key),
            _ => Update::QueryNByKey(by_key),
        })
    }

    fn scenario(&mut self, bytes: &'a [u8]) -> Result<Scenario, LfError> {
        let mut message = Message::read("Scenario", bytes)?;
        let (number, wire) = message.alternative()?;
        let inner = message.as_message(number, wire)?;
        match number {
            5 => return self.child_expr(inner).map(Scenario::Pass),
            6 => return unit(&message, 6, wire).map(|()| Scenario::GetTime),
            7 => return self.child_expr(inner).map(Scenario::GetParty),
            _ => {}
        }
        let mut inner = Message::read("Scenario", inner)?;
        let m = &mut inner;
        let scenario = match number {
            1 => Scenario::Pure { ty: self.type_field(m, 1)?, value: self.child(m, 2)? },
            2 => self.block(m).map(|(bindings, body)| Scenario::Block { bindings, body })?,
            3 | 4 => {
                let (party, body, returns) = (self.child(m, 1)?, self.child(m, 2)?, self.type_field(m, 3)?);
                match number {
                    3 => Scenario::Commit { party, body, returns },
                    _ => Scenario::MustFailAt { party, body, returns },
                }
            }
            8 => Scenario::Embed { ty: self.type_field(m, 1)?, body: self.child(m, 2)? },
            _ => return Err(self.not_in_version(m, number)),
        };
        inner.finish()?;
        Ok(scenario)
    }

    /// What only development versions have.
    fn dev_expr(&mut self, number: u32, m: &mut Message<'a>) -> Result<Expr, LfError> {
        if number == 9999 {
            return Ok(Expr::Experimental { name: m.text(1)?.into(), ty: self.type_field(m, 2)? });
        }
        let (template, choice) = (self.reference_field(m, 1)?, self.name_field(m, 2)?);
        let (contract, argument) = (self.child(m, 3)?, self.child(m, 4)?);
        Ok(match number {
            1001 => Expr::ChoiceController { template, choice, contract, argument },
            _ => Expr::ChoiceObserver { template, choice, contract, argument },
        })
    }
}

/// A constant constructor: a truth value, or `None` for unit.
fn constant(message: &Message<'_>, number: u32) -> Result<Option<bool>, LfError> {
    match number {
        0 => Ok(None),
        1 => Ok(Some(false)),
        2 => Ok(Some(true)),
        _ => Err(message.invalid(format_args!("constant {number} is unknown"))),
    }
}
