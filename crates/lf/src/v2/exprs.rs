//! Expressions, patterns and updates on the wire.

use super::decode::{Decoder, unit};
use crate::{
    Alternative, Binder, Binding, Builtin, Expr, ExprId, FailureCategory, FieldExpr, LfError, Literal, NameId, Pattern,
    RefId, TypeId, Update,
    wire::{Message, Wire, zigzag},
};
use base::Timestamp;
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

    /// The name in a field.
    pub(super) fn name_field(&mut self, message: &mut Message<'a>, number: u32) -> Result<NameId, LfError> {
        self.name(message.index(number)?)
    }

    /// The reference in a field.
    pub(super) fn reference_field(&mut self, message: &mut Message<'a>, number: u32) -> Result<RefId, LfError> {
        self.reference(message.message(number)?)
    }

    /// A variable with its type.
    pub(super) fn binder(&mut self, bytes: &'a [u8]) -> Result<Binder, LfError> {
        let mut message = Message::read("VarWithType", bytes)?;
        let binder = (self.name_field(&mut message, 3)?, self.type_field(&mut message, 2)?);
        message.finish()?;
        Ok(binder)
    }

    /// The expression of a nested message; read later, except where it stands in the table.
    fn child_expr(&mut self, bytes: &'a [u8]) -> Result<ExprId, LfError> {
        let mut message = Message::read("Expr", bytes)?;
        self.skip_location(&mut message, 1)?;
        let (number, wire) = message.alternative()?;
        if number == 44 && self.version.is_flat() {
            let index = message.as_index(44, wire)?;
            return Self::interned("expressions", index, self.interned_exprs).map(ExprId);
        }
        let id = self.arena.expr(Expr::Unit);
        self.pending_exprs.push((id, bytes));
        Ok(id)
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
            self.skip_location(&mut message, 1)?;
            let (number, wire) = message.alternative()?;
            let expr = match number {
                2 => Expr::Var(self.name(message.as_index(2, wire)?)?),
                4 => {
                    let builtin = message.as_index(4, wire)?;
                    let known = Builtin::from_number(builtin);
                    Expr::Builtin(known.ok_or_else(|| {
                        message.invalid(format_args!("built-in function {builtin} is unknown in LF {}", self.version))
                    })?)
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
            3 => return Ok(Expr::Value(self.reference(bytes)?)),
            6 => return Ok(Expr::Literal(self.literal(bytes)?)),
            23 => return Ok(Expr::Update(Box::new(self.update(bytes)?))),
            29 => return Ok(Expr::TypeRep(self.ty(bytes)?)),
            _ => {}
        }
        let mut message = Message::read("Expr", bytes)?;
        let expr = match number {
            7..=14 => self.product(number, &mut message)?,
            15..=20 => self.function(number, &mut message)?,
            21 | 22 | 25..=28 | 30..=32 => self.wrapped(number, &mut message)?,
            33..=43 => self.interface_expr(number, &mut message)?,
            _ => return Err(message.invalid(format_args!("alternative {number} is unknown in LF {}", self.version))),
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
                field: self.name_field(message, 4)?,
                record: self.child(message, 3)?,
            },
            9 => Expr::RecordUpd {
                con: self.type_con(message.message(1)?)?,
                field: self.name_field(message, 2)?,
                record: self.child(message, 3)?,
                update: self.child(message, 4)?,
            },
            10 => Expr::VariantCon {
                con: self.type_con(message.message(1)?)?,
                constructor: self.name_field(message, 2)?,
                argument: self.child(message, 3)?,
            },
            11 => Expr::EnumCon { con: self.reference_field(message, 1)?, constructor: self.name_field(message, 2)? },
            12 => Expr::StructCon(self.field_exprs(message, 1)?),
            13 => Expr::StructProj { field: self.name_field(message, 1)?, record: self.child(message, 2)? },
            _ => Expr::StructUpd {
                field: self.name_field(message, 1)?,
                record: self.child(message, 2)?,
                update: self.child(message, 3)?,
            },
        })
    }

    fn field_exprs(&mut self, message: &mut Message<'a>, number: u32) -> Result<Box<[FieldExpr]>, LfError> {
        let read = |bytes| {
            let mut field = Message::read("FieldWithExpr", bytes)?;
            let read = (self.name_field(&mut field, 3)?, self.child(&mut field, 2)?);
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
        let body = self.child(&mut message, 1)?;
        let (number, wire) = message.alternative()?;
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
                        constructor: self.name_field(&mut inner, 2)?,
                        binder: self.name_field(&mut inner, 3)?,
                    },
                    6 => Pattern::Cons { head: self.name_field(&mut inner, 1)?, tail: self.name_field(&mut inner, 2)? },
                    8 => Pattern::Some(self.name_field(&mut inner, 1)?),
                    _ => Pattern::Enum {
                        con: self.reference_field(&mut inner, 1)?,
                        constructor: self.name_field(&mut inner, 2)?,
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
        let literal = match (number, wire) {
            (1, Wire::Varint(value)) => Literal::Int64(zigzag(value)),
            (2, Wire::Fixed64(value)) => {
                Literal::Timestamp(Timestamp::from_micros(value.cast_signed()).map_err(|e| message.invalid(e))?)
            }
            (3, wire) => {
                let text = self.string(message.as_index(3, wire)?)?;
                Literal::Numeric(
                    Numeric::parse_literal(text).ok_or_else(|| message.invalid("a numeric literal is none"))?,
                )
            }
            (4, wire) => Literal::Text(self.string(message.as_index(4, wire)?)?.clone()),
            (5, Wire::Varint(value)) => {
                Literal::Date(Date::from_days(value.cast_signed()).map_err(|e| message.invalid(e))?)
            }
            (6, Wire::Varint(0)) => Literal::FailureCategory(FailureCategory::InvalidIndependentOfSystemState),
            (6, Wire::Varint(1)) => Literal::FailureCategory(FailureCategory::InvalidGivenCurrentSystemStateOther),
            _ => return Err(message.invalid(format_args!("literal {number} is unknown in LF {}", self.version))),
        };
        message.finish()?;
        Ok(literal)
    }

    fn update(&mut self, bytes: &'a [u8]) -> Result<Update, LfError> {
        let mut message = Message::read("Update", bytes)?;
        let (number, wire) = message.alternative()?;
        match number {
            6 => return unit(&message, 6, wire).map(|()| Update::GetTime),
            9 | 10 | 16 => return Err(message.invalid("contract keys exist from LF 2.3 on")),
            15 => {
                let time = message.as_message(15, wire)?;
                return self.child_expr(time).map(Update::LedgerTimeLt);
            }
            _ => {}
        }
        let mut inner = Message::read("Update", message.as_message(number, wire)?)?;
        let m = &mut inner;
        let update = match number {
            1 => Update::Pure { ty: self.type_field(m, 1)?, value: self.child(m, 2)? },
            2 => self.block(m).map(|(bindings, body)| Update::Block { bindings, body })?,
            3 => Update::Create { template: self.reference_field(m, 1)?, argument: self.child(m, 2)? },
            4 => Update::Exercise {
                template: self.reference_field(m, 1)?,
                choice: self.name_field(m, 6)?,
                contract_id: self.child(m, 3)?,
                argument: self.child(m, 5)?,
            },
            5 => Update::Fetch { template: self.reference_field(m, 1)?, contract_id: self.child(m, 2)? },
            7 => Update::Embed { ty: self.type_field(m, 1)?, body: self.child(m, 2)? },
            11 => Update::TryCatch {
                returns: self.type_field(m, 1)?,
                body: self.child(m, 2)?,
                binder: self.name_field(m, 3)?,
                handler: self.child(m, 4)?,
            },
            12 => Update::CreateInterface { interface: self.reference_field(m, 1)?, argument: self.child(m, 2)? },
            13 => Update::ExerciseInterface {
                interface: self.reference_field(m, 1)?,
                choice: self.name_field(m, 2)?,
                contract_id: self.child(m, 3)?,
                argument: self.child(m, 4)?,
            },
            14 => Update::FetchInterface { interface: self.reference_field(m, 1)?, contract_id: self.child(m, 2)? },
            _ => return Err(message.invalid(format_args!("alternative {number} is unknown in LF {}", self.version))),
        };
        inner.finish()?;
        Ok(update)
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
