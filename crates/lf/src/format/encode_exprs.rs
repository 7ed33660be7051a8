//! Expressions to the wire of LF 2.

use super::encode::Encoder;
use crate::{
    Alternative, Binding, ByKey, Expr, ExprId, FailureCategory, FieldExpr, LanguageVersion, LfError, Literal, NameId,
    Pattern, RefId, TypeConApp, TypeId, Update, walk::parts_first, wire::Out,
};

impl Encoder<'_> {
    /// The encoded expression.
    pub(super) fn expr(&mut self, root: ExprId) -> Result<Vec<u8>, LfError> {
        let package = self.package;
        let order = parts_first(
            root.index(),
            |i| self.exprs[i].is_some(),
            |i, part| package.arena().exprs[i].for_each_part(|id| part(id.index())),
        );
        for i in order {
            let mut encoded = self.one_expr(&package.arena().exprs[i])?;
            if self.is_flat() {
                encoded = self.interned(&encoded);
            }
            self.exprs[i] = Some(encoded.finish());
        }
        Ok(self.known(root).to_vec())
    }

    /// A reference to an expression in the table.
    fn interned(&mut self, expr: &Out) -> Out {
        let mut out = Out::default();
        out.number(44, self.expr_table.place(expr.as_ref()));
        out
    }

    fn known(&self, id: ExprId) -> &[u8] {
        self.exprs[id.index()].as_ref().expect("parts come before wholes")
    }

    fn one_expr(&mut self, expr: &Expr) -> Result<Out, LfError> {
        let mut out = Out::default();
        match expr {
            Expr::Var(name) => out.number(2, self.name(*name)),
            Expr::Value(value) => out.bytes(3, self.reference(*value)),
            Expr::Builtin(builtin) => out.number(4, builtin.number()),
            Expr::Unit => out.number(5, 0_u32),
            Expr::Bool(truth) => out.number(5, constant(*truth)),
            Expr::Literal(literal) => out.bytes(6, self.literal(literal)?),
            Expr::TypeRep(ty) => out.bytes(29, self.ty(*ty)?),
            Expr::Update(update) => out.bytes(23, self.update(update)?),
            _ => {
                let mut found = self.product(expr)?;
                if found.is_none() {
                    found = self.function(expr)?;
                }
                if found.is_none() {
                    found = self.wrapped(expr)?;
                }
                let (field, inner) =
                    found.or_else(|| self.interface_expr(expr)).ok_or_else(|| self.not_in_version())?;
                out.bytes(field, inner);
            }
        }
        Ok(out)
    }

    /// A message of one constructor or field access.
    fn named(
        &mut self,
        con: Option<&TypeConApp>,
        field: (u32, NameId),
        parts: &[(u32, ExprId)],
    ) -> Result<Out, LfError> {
        let mut out = Out::default();
        if let Some(con) = con {
            out.bytes(1, self.type_con(con)?);
        }
        out.number(field.0, self.name(field.1));
        parts.iter().for_each(|(number, part)| out.bytes(*number, self.known(*part)));
        Ok(out)
    }

    fn product(&mut self, expr: &Expr) -> Result<Option<(u32, Out)>, LfError> {
        Ok(Some(match expr {
            Expr::RecordCon { con, fields } => {
                let mut out = Out::default();
                out.bytes(1, self.type_con(con)?);
                self.fields_exprs(&mut out, 2, fields);
                (7, out)
            }
            Expr::RecordProj { con, field, record } => (8, self.named(Some(con), (4, *field), &[(3, *record)])?),
            Expr::RecordUpd { con, field, record, update } => {
                (9, self.named(Some(con), (2, *field), &[(3, *record), (4, *update)])?)
            }
            Expr::VariantCon { con, constructor, argument } => {
                (10, self.named(Some(con), (2, *constructor), &[(3, *argument)])?)
            }
            Expr::EnumCon { con, constructor } => {
                let mut out = Out::default();
                out.bytes(1, self.reference(*con));
                out.number(2, self.name(*constructor));
                (11, out)
            }
            Expr::StructCon(fields) => {
                let mut out = Out::default();
                self.fields_exprs(&mut out, 1, fields);
                (12, out)
            }
            Expr::StructProj { field, record } => (13, self.named(None, (1, *field), &[(2, *record)])?),
            Expr::StructUpd { field, record, update } => {
                (14, self.named(None, (1, *field), &[(2, *record), (3, *update)])?)
            }
            _ => return Ok(None),
        }))
    }

    fn fields_exprs(&mut self, out: &mut Out, number: u32, fields: &[FieldExpr]) {
        for (name, value) in fields {
            let mut field = Out::default();
            field.number(3, self.name(*name));
            field.bytes(2, self.known(*value));
            out.bytes(number, field);
        }
    }

    fn function(&mut self, expr: &Expr) -> Result<Option<(u32, Out)>, LfError> {
        let mut out = Out::default();
        let field = match expr {
            Expr::App { function, arguments } => {
                out.bytes(1, self.known(*function));
                arguments.iter().for_each(|argument| out.bytes(2, self.known(*argument)));
                15
            }
            Expr::TypeApp { function, types } => {
                let types = types.iter().map(|ty| self.ty(*ty)).collect::<Result<Vec<_>, _>>()?;
                let function = self.known(*function).to_vec();
                return Ok(Some((16, self.nested(16, (1, function), (2, types)))));
            }
            Expr::Abs { params, body } => {
                let params = params.iter().map(|param| self.binder(*param)).collect::<Result<Vec<_>, _>>()?;
                let body = self.known(*body).to_vec();
                return Ok(Some((17, self.nested(17, (2, body), (1, params)))));
            }
            Expr::TypeAbs { params, body } => {
                let params = params.iter().map(|param| self.type_binder(*param)).collect();
                let body = self.known(*body).to_vec();
                return Ok(Some((18, self.nested(18, (2, body), (1, params)))));
            }
            Expr::Case { scrutinee, alternatives } => {
                out.bytes(1, self.known(*scrutinee));
                alternatives.iter().for_each(|alternative| out.bytes(2, self.alternative(alternative)));
                19
            }
            Expr::Let { bindings, body } => {
                self.block(&mut out, bindings, *body)?;
                20
            }
            _ => return Ok(None),
        };
        Ok(Some((field, out)))
    }

    /// A part that is applied to others, or others that are abstracted from it, outermost first: all in one message, or,
    /// where everything is interned, in one message each.
    fn nested(&mut self, form: u32, (part, inner): (u32, Vec<u8>), (number, mut others): (u32, Vec<Out>)) -> Out {
        let message = |inner: &[u8], others: &[Out]| {
            let mut out = Out::default();
            if part < number {
                out.bytes(part, inner);
            }
            others.iter().for_each(|other| out.bytes(number, other));
            if part > number {
                out.bytes(part, inner);
            }
            out
        };
        if !self.is_flat() {
            return message(&inner, &others);
        }
        let mut inner = inner;
        // The last one is taken from the end.
        if part < number {
            others.reverse();
        }
        while others.len() > 1 {
            let mut whole = Out::default();
            whole.bytes(form, message(&inner, &[others.pop().unwrap_or_default()]));
            inner = self.interned(&whole).finish();
        }
        message(&inner, &others)
    }

    fn block(&mut self, out: &mut Out, bindings: &[Binding], body: ExprId) -> Result<(), LfError> {
        for binding in bindings {
            let mut inner = Out::default();
            inner.bytes(1, self.binder(binding.binder)?);
            inner.bytes(2, self.known(binding.bound));
            out.bytes(1, inner);
        }
        out.bytes(2, self.known(body));
        Ok(())
    }

    fn alternative(&mut self, alternative: &Alternative) -> Out {
        let (mut out, mut inner) = (Out::default(), Out::default());
        match &alternative.pattern {
            Pattern::Default => out.bytes(2, []),
            Pattern::Unit => out.number(4, 0_u32),
            Pattern::Bool(truth) => out.number(4, constant(*truth)),
            Pattern::Nil => out.bytes(5, []),
            Pattern::None => out.bytes(7, []),
            Pattern::Variant { con, constructor, binder } => {
                inner.bytes(1, self.reference(*con));
                inner.number(2, self.name(*constructor));
                inner.number(3, self.name(*binder));
                out.bytes(3, inner);
            }
            Pattern::Enum { con, constructor } => {
                inner.bytes(1, self.reference(*con));
                inner.number(2, self.name(*constructor));
                out.bytes(9, inner);
            }
            Pattern::Cons { head, tail } => {
                inner.number(1, self.name(*head));
                inner.number(2, self.name(*tail));
                out.bytes(6, inner);
            }
            Pattern::Some(body) => {
                inner.number(1, self.name(*body));
                out.bytes(8, inner);
            }
        }
        out.bytes(1, self.known(alternative.body));
        out
    }

    /// A type, and what has it.
    fn typed(&mut self, ty: TypeId, parts: &[(u32, ExprId)]) -> Result<Out, LfError> {
        let mut out = Out::default();
        out.bytes(1, self.ty(ty)?);
        parts.iter().for_each(|(number, part)| out.bytes(*number, self.known(*part)));
        Ok(out)
    }

    fn wrapped(&mut self, expr: &Expr) -> Result<Option<(u32, Out)>, LfError> {
        Ok(Some(match expr {
            Expr::Nil(ty) => (21, self.typed(*ty, &[])?),
            Expr::Cons { ty, front, tail } => {
                let mut out = self.typed(*ty, &[])?;
                front.iter().for_each(|item| out.bytes(2, self.known(*item)));
                out.bytes(3, self.known(*tail));
                (22, out)
            }
            Expr::None(ty) => (25, self.typed(*ty, &[])?),
            Expr::Some { ty, value } => (26, self.typed(*ty, &[(2, *value)])?),
            Expr::ToAny { ty, value } => (27, self.typed(*ty, &[(2, *value)])?),
            Expr::FromAny { ty, value } => (28, self.typed(*ty, &[(2, *value)])?),
            Expr::ToAnyException { ty, value } => (30, self.typed(*ty, &[(2, *value)])?),
            Expr::FromAnyException { ty, value } => (31, self.typed(*ty, &[(2, *value)])?),
            Expr::Throw { returns, exception, value } => {
                let mut out = self.typed(*returns, &[])?;
                out.bytes(2, self.ty(*exception)?);
                out.bytes(3, self.known(*value));
                (32, out)
            }
            _ => return Ok(None),
        }))
    }

    /// References and parts, numbered from 1.
    fn referring<const R: usize, const P: usize>(&mut self, references: [RefId; R], parts: [ExprId; P]) -> Out {
        let mut out = Out::default();
        let mut field = 0;
        for to in references {
            field += 1;
            out.bytes(field, self.reference(to));
        }
        for part in parts {
            field += 1;
            out.bytes(field, self.known(part));
        }
        out
    }

    /// What is left: expressions about interfaces.
    fn interface_expr(&mut self, expr: &Expr) -> Option<(u32, Out)> {
        Some(match expr {
            Expr::ToInterface { interface, template, value } => (33, self.referring([*interface, *template], [*value])),
            Expr::FromInterface { interface, template, value } => {
                (34, self.referring([*interface, *template], [*value]))
            }
            Expr::CallInterface { interface, method, value } => {
                let mut out = self.referring([*interface], []);
                out.number(2, self.name(*method));
                out.bytes(3, self.known(*value));
                (35, out)
            }
            Expr::SignatoryInterface { interface, value } => (36, self.referring([*interface], [*value])),
            Expr::ObserverInterface { interface, value } => (37, self.referring([*interface], [*value])),
            Expr::ViewInterface { interface, value } => (38, self.referring([*interface], [*value])),
            Expr::UnsafeFromInterface { interface, template, contract_id, value } => {
                (39, self.referring([*interface, *template], [*contract_id, *value]))
            }
            Expr::InterfaceTemplateTypeRep { interface, value } => (40, self.referring([*interface], [*value])),
            Expr::ToRequiredInterface { required, requiring, value } => {
                (41, self.referring([*required, *requiring], [*value]))
            }
            Expr::FromRequiredInterface { required, requiring, value } => {
                (42, self.referring([*required, *requiring], [*value]))
            }
            Expr::UnsafeFromRequiredInterface { required, requiring, contract_id, value } => {
                (43, self.referring([*required, *requiring], [*contract_id, *value]))
            }
            _ => return None,
        })
    }

    fn literal(&mut self, literal: &Literal) -> Result<Out, LfError> {
        let mut out = Out::default();
        match literal {
            Literal::Int64(value) => out.signed(1, *value),
            Literal::Timestamp(value) => out.fixed(2, value.micros()),
            Literal::Numeric(value) => out.number(3, self.string(&value.to_string())),
            Literal::Text(value) => out.number(4, self.string(value)),
            Literal::Date(value) => out.number(5, i64::from(value.days()).cast_unsigned()),
            Literal::FailureCategory(FailureCategory::InvalidIndependentOfSystemState) => out.number(6, 0_u32),
            Literal::FailureCategory(FailureCategory::InvalidGivenCurrentSystemStateOther) => out.number(6, 1_u32),
            Literal::RoundingMode(_) => return Err(self.not_in_version()),
        }
        Ok(out)
    }

    /// An exercise: what it is about, the choice, and the parts with their fields.
    fn exercise(&mut self, on: RefId, choice: (u32, NameId), parts: [(u32, ExprId); 2]) -> Out {
        let mut out = self.referring([on], []);
        out.number(choice.0, self.name(choice.1));
        parts.into_iter().for_each(|(field, part)| out.bytes(field, self.known(part)));
        out
    }

    fn update(&mut self, update: &Update) -> Result<Out, LfError> {
        let (field, inner) = match update {
            Update::Pure { ty, value } => (1, self.typed(*ty, &[(2, *value)])?),
            Update::Block { bindings, body } => {
                let mut out = Out::default();
                self.block(&mut out, bindings, *body)?;
                (2, out)
            }
            Update::Create { template, argument } => (3, self.referring([*template], [*argument])),
            Update::Exercise { template, choice, contract_id, argument } => {
                (4, self.exercise(*template, (6, *choice), [(3, *contract_id), (5, *argument)]))
            }
            Update::Fetch { template, contract_id } => (5, self.referring([*template], [*contract_id])),
            Update::GetTime => (6, Out::default()),
            Update::Embed { ty, body } => (7, self.typed(*ty, &[(2, *body)])?),
            Update::TryCatch { returns, body, binder, handler } => {
                let mut out = self.typed(*returns, &[(2, *body), (4, *handler)])?;
                out.number(3, self.name(*binder));
                (11, out)
            }
            Update::CreateInterface { interface, argument } => (12, self.referring([*interface], [*argument])),
            Update::ExerciseInterface { interface, choice, contract_id, argument, guard: None } => {
                (13, self.exercise(*interface, (2, *choice), [(3, *contract_id), (4, *argument)]))
            }
            Update::FetchInterface { interface, contract_id } => (14, self.referring([*interface], [*contract_id])),
            Update::LedgerTimeLt(time) => {
                let mut out = Out::default();
                out.bytes(15, self.known(*time));
                return Ok(out);
            }
            Update::ExerciseByKey { template, choice, key, argument } if self.has_keys() => {
                (10, self.exercise(*template, (2, *choice), [(3, *key), (4, *argument)]))
            }
            Update::FetchByKey(ByKey { template, key: None }) if self.has_keys() => {
                (9, self.referring([*template], []))
            }
            Update::QueryNByKey(ByKey { template, key: None }) if self.has_keys() => {
                (16, self.referring([*template], []))
            }
            _ => return Err(self.not_in_version()),
        };
        let mut out = Out::default();
        out.bytes(field, inner);
        Ok(out)
    }

    pub(super) fn has_keys(&self) -> bool {
        self.package.language_version() >= LanguageVersion::V2_3
    }

    /// Parts of other versions are never left out silently.
    pub(super) fn not_in_version(&self) -> LfError {
        let what = format!("LF {} cannot state all that is in it", self.package.language_version());
        LfError::Invalid { message: "Package", what }
    }
}

/// The number of a truth value among the constants.
fn constant(truth: bool) -> u32 {
    1 + u32::from(truth)
}
