//! Kinds and types on the wire.

use super::decode::{Decoder, USUAL, unit};
use crate::{
    BuiltinType, Kind, KindId, LanguageVersion, LanguageVersion as V, LfError, NameId, Type, TypeConApp, TypeId,
    wire::{Message, Wire, zigzag},
};

/// Their numbers in archives of LF 2.
pub(super) const BUILTIN_TYPES: &[(u32, BuiltinType)] = &[
    (0, BuiltinType::Unit),
    (1, BuiltinType::Bool),
    (2, BuiltinType::Int64),
    (3, BuiltinType::Date),
    (4, BuiltinType::Timestamp),
    (5, BuiltinType::Numeric),
    (6, BuiltinType::Party),
    (7, BuiltinType::Text),
    (8, BuiltinType::ContractId),
    (9, BuiltinType::Optional),
    (10, BuiltinType::List),
    (11, BuiltinType::GenMap),
    (13, BuiltinType::Any),
    (14, BuiltinType::AnyException),
    (15, BuiltinType::TypeRep),
    (16, BuiltinType::Arrow),
    (17, BuiltinType::Update),
    (18, BuiltinType::FailureCategory),
    (19, BuiltinType::TextMap),
    (1002, BuiltinType::BigNumeric),
    (1003, BuiltinType::RoundingMode),
    // Only early archives of 2.dev have it.
    (1004, BuiltinType::Scenario),
];

/// Their numbers in archives of LF 1, and since when.
const V1_BUILTIN_TYPES: &[(u32, BuiltinType, LanguageVersion)] = &[
    (0, BuiltinType::Unit, V::V1_6),
    (1, BuiltinType::Bool, V::V1_6),
    (2, BuiltinType::Int64, V::V1_6),
    (5, BuiltinType::Text, V::V1_6),
    (6, BuiltinType::Timestamp, V::V1_6),
    (8, BuiltinType::Party, V::V1_6),
    (9, BuiltinType::List, V::V1_6),
    (10, BuiltinType::Update, V::V1_6),
    (11, BuiltinType::Scenario, V::V1_6),
    (12, BuiltinType::Date, V::V1_6),
    (13, BuiltinType::ContractId, V::V1_6),
    (14, BuiltinType::Optional, V::V1_6),
    (15, BuiltinType::Arrow, V::V1_6),
    (16, BuiltinType::TextMap, V::V1_6),
    (17, BuiltinType::Numeric, V::V1_7),
    (18, BuiltinType::Any, V::V1_7),
    (19, BuiltinType::TypeRep, V::V1_7),
    (20, BuiltinType::GenMap, V::V1_11),
    (21, BuiltinType::BigNumeric, V::V1_13),
    (22, BuiltinType::RoundingMode, V::V1_13),
    (23, BuiltinType::AnyException, V::V1_14),
];

/// `Decimal` in archives before LF 1.7; later versions write `Numeric 10`.
const DECIMAL: u32 = 3;

/// The forms of types in archives of LF 1, in the numbers of LF 2.
const V1_TYPES: &[(u32, u32)] = &[(1, 1), (2, 2), (3, 3), (5, 4), (7, 5), (11, 6), (12, 7), (13, 8)];

impl<'a> Decoder<'a> {
    pub(super) fn reserve_kind(&mut self) -> KindId {
        self.arena.kind(Kind::Star)
    }

    pub(super) fn reserve_type(&mut self) -> TypeId {
        self.arena.ty(Type::Nat(0))
    }

    /// The kind of a nested message; read later, except where it stands in the table.
    fn child_kind(&mut self, bytes: &'a [u8]) -> Result<KindId, LfError> {
        let mut message = Message::read("Kind", bytes)?;
        let (number, wire) = message.alternative()?;
        if number == 4 && self.version.may_be_flat() {
            let index = message.as_index(4, wire)?;
            return Self::interned("kinds", index, self.interned_kinds).map(KindId);
        }
        let id = self.reserve_kind();
        self.pending_kinds.push((id, bytes));
        Ok(id)
    }

    /// A kind outside the table.
    pub(super) fn kind(&mut self, bytes: &'a [u8]) -> Result<KindId, LfError> {
        let id = self.child_kind(bytes)?;
        self.drain_kinds()?;
        Ok(id)
    }

    pub(super) fn drain_kinds(&mut self) -> Result<(), LfError> {
        while let Some((id, bytes)) = self.pending_kinds.pop() {
            let mut message = Message::read("Kind", bytes)?;
            let (number, wire) = message.alternative()?;
            let kind = match number {
                1 => unit(&message, 1, wire).map(|()| Kind::Star)?,
                2 => self.arrow_kind(message.as_message(2, wire)?)?,
                3 if self.version >= V::V1_7 => unit(&message, 3, wire).map(|()| Kind::Nat)?,
                _ => return Err(message.invalid(format_args!("alternative {number} is unknown here"))),
            };
            self.arena.kinds[id.index()] = kind;
        }
        Ok(())
    }

    fn arrow_kind(&mut self, bytes: &'a [u8]) -> Result<Kind, LfError> {
        let mut message = Message::read("Kind.Arrow", bytes)?;
        let params = self.non_empty(&mut message, 1)?;
        let mut result = self.child_kind(message.message(2)?)?;
        message.finish()?;
        let params = params.into_iter().map(|kind| self.child_kind(kind)).collect::<Result<Vec<_>, _>>()?;
        let (first, others) = params.split_first().expect("checked to be non-empty");
        for param in others.iter().rev() {
            result = self.arena.kind(Kind::Arrow(*param, result));
        }
        Ok(Kind::Arrow(*first, result))
    }

    /// A repeated field with at least one element; from 2.2 on exactly one, because everything is interned.
    pub(super) fn non_empty(&self, message: &mut Message<'a>, number: u32) -> Result<Vec<&'a [u8]>, LfError> {
        let all = message.messages(number)?;
        if all.is_empty() || (self.version.is_flat() && all.len() > 1) {
            return Err(message.invalid(format_args!("field {number} is given {} times", all.len())));
        }
        Ok(all)
    }

    /// The form of a type, in the numbers of LF 2.
    fn type_form(&self, message: &mut Message<'a>) -> Result<(u32, Wire<'a>), LfError> {
        let (number, wire) = message.alternative()?;
        if !self.version.is_v1() {
            return Ok((number, wire));
        }
        let known = V1_TYPES.iter().find(|(v1, _)| *v1 == number).map(|(_, v2)| *v2);
        let form = known.filter(|form| match form {
            6 => self.version >= V::V1_7,
            7 => self.version >= V::V1_8,
            8 => self.version.has_type_table(),
            _ => true,
        });
        let form = form.ok_or_else(|| self.not_in_version(message, number))?;
        Ok((form, wire))
    }

    pub(super) fn not_in_version(&self, message: &Message<'_>, number: u32) -> LfError {
        message.invalid(format_args!("alternative {number} is unknown in LF {}", self.version))
    }

    /// A type that stands in another message. Where there is a table, only its entries may.
    pub(super) fn ty(&mut self, bytes: &'a [u8]) -> Result<TypeId, LfError> {
        if !self.version.has_type_table() {
            let id = self.child_type(bytes)?;
            self.drain_types()?;
            return Ok(id);
        }
        let mut message = Message::read("Type", bytes)?;
        match self.type_form(&mut message)? {
            (8, wire) => {
                let index = message.as_index(8, wire)?;
                Self::interned("types", index, self.interned_types).map(TypeId)
            }
            _ => Err(message.invalid("it stands outside the table of types")),
        }
    }

    fn child_type(&mut self, bytes: &'a [u8]) -> Result<TypeId, LfError> {
        let mut message = Message::read("Type", bytes)?;
        let (number, wire) = self.type_form(&mut message)?;
        if number == 8 {
            let index = message.as_index(8, wire)?;
            return Self::interned("types", index, self.interned_types).map(TypeId);
        }
        let id = self.reserve_type();
        self.pending_types.push((id, bytes));
        Ok(id)
    }

    pub(super) fn drain_types(&mut self) -> Result<(), LfError> {
        while let Some((id, bytes)) = self.pending_types.pop() {
            let mut message = Message::read("Type", bytes)?;
            let (number, wire) = self.type_form(&mut message)?;
            let ty = match number {
                6 => nat(&message, wire)?,
                1 | 2 | 3 | 4 | 5 | 7 | 9 => self.composed_type(number, message.as_message(number, wire)?)?,
                _ => return Err(message.invalid(format_args!("alternative {number} is unknown here"))),
            };
            self.arena.types[id.index()] = ty;
        }
        Ok(())
    }

    fn composed_type(&mut self, number: u32, bytes: &'a [u8]) -> Result<Type, LfError> {
        let mut message = Message::read("Type", bytes)?;
        let ty = match number {
            1 => {
                let head = Type::Var(self.name_in(&mut message, USUAL)?);
                self.applied(head, &mut message)?
            }
            2 => {
                let head = Type::Con(self.reference(message.message(1)?)?);
                self.applied(head, &mut message)?
            }
            3 => {
                let head = self.builtin_type(&mut message)?;
                self.applied(head, &mut message)?
            }
            4 => self.forall(&mut message)?,
            5 => self.struct_type(&mut message)?,
            7 => {
                let synonym = self.reference(message.message(1)?)?;
                let args = message.messages(2)?;
                Type::Synonym(synonym, args.into_iter().map(|arg| self.child_type(arg)).collect::<Result<_, _>>()?)
            }
            _ if self.version.may_be_flat() => {
                let (left, right) = (message.message(1)?, message.message(2)?);
                Type::App(self.child_type(left)?, self.child_type(right)?)
            }
            _ => return Err(message.invalid("single applications exist from LF 2.2 on")),
        };
        message.finish()?;
        Ok(ty)
    }

    fn builtin_type(&mut self, message: &mut Message<'a>) -> Result<Type, LfError> {
        let number = message.index(1)?;
        if self.version == V::V1_6 && number == DECIMAL {
            let (numeric, ten) = (Type::Builtin(BuiltinType::Numeric), Type::Nat(10));
            return Ok(Type::App(self.arena.ty(numeric), self.arena.ty(ten)));
        }
        let found = if self.version.is_v1() {
            let known = V1_BUILTIN_TYPES.iter().find(|(n, _, since)| *n == number && *since <= self.version);
            known.map(|(_, builtin, _)| *builtin)
        } else {
            // 2.dev had a number of its own for what became part of a release.
            let known = |number| BUILTIN_TYPES.iter().find(|(n, _)| *n == number).map(|(_, builtin)| *builtin);
            match number {
                1001.. if !self.version.is_dev() => None,
                1001 => Some(BuiltinType::TextMap),
                other => known(other),
            }
        };
        let found = found
            .ok_or_else(|| message.invalid(format_args!("built-in type {number} is unknown in LF {}", self.version)))?;
        Ok(Type::Builtin(found))
    }

    /// A type with the arguments in field 2; from 2.2 on there are none.
    fn applied(&mut self, head: Type, message: &mut Message<'a>) -> Result<Type, LfError> {
        let args = message.messages(2)?;
        if self.version.is_flat() && !args.is_empty() {
            return Err(message.invalid("arguments stand in single applications from LF 2.2 on"));
        }
        let mut ty = head;
        for arg in args {
            let function = self.arena.ty(ty);
            ty = Type::App(function, self.child_type(arg)?);
        }
        Ok(ty)
    }

    fn forall(&mut self, message: &mut Message<'a>) -> Result<Type, LfError> {
        let vars = self.non_empty(message, 1)?;
        let vars = vars.into_iter().map(|var| self.type_binder(var)).collect::<Result<Vec<_>, _>>()?;
        let mut body = self.child_type(message.message(2)?)?;
        let ((name, kind), others) = vars.split_first().expect("checked to be non-empty");
        for (name, kind) in others.iter().rev() {
            body = self.arena.ty(Type::Forall(*name, *kind, body));
        }
        Ok(Type::Forall(*name, *kind, body))
    }

    fn struct_type(&mut self, message: &mut Message<'a>) -> Result<Type, LfError> {
        let mut fields = Vec::new();
        for field in message.messages(1)? {
            let mut field = Message::read("FieldWithType", field)?;
            let name = self.plain_name_in(&mut field, USUAL)?;
            fields.push((name, self.child_type(field.message(2)?)?));
            field.finish()?;
        }
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        if fields.is_empty() || fields.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(message.invalid("a struct has no fields, or one of them twice"));
        }
        Ok(Type::Struct(fields.into_iter().map(|(name, ty)| (self.arena.name(&name), ty)).collect()))
    }

    /// A type variable with its kind.
    pub(super) fn type_binder(&mut self, bytes: &'a [u8]) -> Result<(NameId, KindId), LfError> {
        let mut message = Message::read("TypeVarWithKind", bytes)?;
        let name = self.name_in(&mut message, USUAL)?;
        let kind = self.kind(message.message(2)?)?;
        message.finish()?;
        Ok((name, kind))
    }

    /// A type constructor with arguments, as expressions name it.
    pub(super) fn type_con(&mut self, bytes: &'a [u8]) -> Result<TypeConApp, LfError> {
        let mut message = Message::read("Type.Con", bytes)?;
        let con = self.reference(message.message(1)?)?;
        let args = message.messages(2)?;
        message.finish()?;
        Ok(TypeConApp { con, args: args.into_iter().map(|arg| self.ty(arg)).collect::<Result<_, _>>()? })
    }
}

fn nat(message: &Message<'_>, wire: Wire<'_>) -> Result<Type, LfError> {
    let Wire::Varint(value) = wire else { return Err(message.invalid("a type-level number is not a number")) };
    match u8::try_from(zigzag(value)) {
        Ok(nat @ 0..=37) => Ok(Type::Nat(nat)),
        _ => Err(message.invalid(format_args!("type-level number {} is not between 0 and 37", zigzag(value)))),
    }
}
