//! Expressions as LF text.

use super::{
    exprs::RESERVED,
    print::{Parts, Position, Printer},
};
use crate::{
    Alternative, Binder, Binding, Builtin, ByKey, Expr, ExprId, FailureCategory, FieldExpr, Literal, NameId, Pattern,
    RefId, Scenario, TypeConApp, Update,
};

/// A text literal.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r");
    format!("\"{escaped}\"")
}

impl Printer<'_> {
    pub(super) fn expr(self, out: &mut Parts, id: ExprId, position: Position) {
        let expr = self.0.expr(id);
        let bare = match expr {
            Expr::Var(_)
            | Expr::Value(_)
            | Expr::Builtin(_)
            | Expr::Unit
            | Expr::Bool(_)
            | Expr::Literal(_)
            | Expr::StructCon(_)
            | Expr::StructUpd { .. }
            | Expr::StructProj { .. } => true,
            Expr::App { .. } => matches!(position, Position::Free | Position::Generic),
            Expr::TypeApp { .. } => matches!(position, Position::Free | Position::Function),
            _ => position == Position::Free,
        };
        if bare {
            self.bare(out, expr);
        } else {
            self.bare(out.text("("), expr);
            out.text(")");
        }
    }

    fn variable(self, id: NameId) -> String {
        let name = self.name(id);
        let taken = RESERVED.contains(&&*name)
            || Builtin::from_text(&name).is_some()
            || FailureCategory::from_text(&name).is_some();
        if taken { format!("`{name}`") } else { name }
    }

    fn bare(self, out: &mut Parts, expr: &Expr) {
        match expr {
            Expr::Var(name) => {
                out.text(self.variable(*name));
            }
            Expr::Value(value) => {
                out.text(self.reference(*value));
            }
            Expr::Builtin(builtin) => {
                out.text(builtin.text());
            }
            Expr::Unit => {
                out.text("()");
            }
            Expr::Bool(truth) => {
                out.text(if *truth { "True" } else { "False" });
            }
            Expr::Literal(literal) => {
                out.text(literal_text(literal));
            }
            Expr::App { function, arguments } => {
                out.expr(*function, Position::Function);
                arguments.iter().for_each(|argument| {
                    out.atom(*argument);
                });
            }
            Expr::TypeApp { function, types } => {
                out.expr(*function, Position::Generic);
                types.iter().for_each(|ty| {
                    out.type_arg(*ty);
                });
            }
            Expr::Abs { params, body } => {
                out.text("\\");
                params.iter().for_each(|param| {
                    self.binder(out.text("("), *param);
                    out.text(") ");
                });
                out.text("->").indented(|out| {
                    out.line().expr(*body, Position::Free);
                });
            }
            Expr::TypeAbs { params, body } => {
                out.text("/\\");
                params.iter().for_each(|param| self.type_binder(out, *param));
                out.text(".").indented(|out| {
                    out.line().expr(*body, Position::Free);
                });
            }
            Expr::Case { scrutinee, alternatives } => {
                out.text("case ").expr(*scrutinee, Position::Free).text(" of ");
                out.indented(|out| {
                    let show = |out: &mut Parts, alternative| self.alternative(out, alternative);
                    out.separated(" | ", alternatives, show);
                });
            }
            Expr::Let { bindings, body } => {
                for binding in bindings {
                    self.binder(out.text("let "), binding.binder);
                    out.text(" = ").expr(binding.bound, Position::Free).text(" in").line();
                }
                out.expr(*body, Position::Free);
            }
            Expr::Update(update) => self.update(out, update),
            _ => self.data(out, expr),
        }
    }

    fn binder(self, out: &mut Parts, (name, ty): Binder) {
        out.text(format!("{}: ", self.name(name))).ty(ty);
    }

    fn con(self, out: &mut Parts, con: &TypeConApp) {
        out.text(self.reference(con.con));
        con.args.iter().for_each(|arg| {
            out.type_arg(*arg);
        });
    }

    fn field(self, out: &mut Parts, (name, value): FieldExpr) {
        out.text(format!("{} = ", self.name(name))).expr(value, Position::Free);
    }

    fn alternative(self, out: &mut Parts, alternative: &Alternative) {
        let pattern = match &alternative.pattern {
            Pattern::Default => "_".into(),
            Pattern::Variant { con, constructor, binder } => {
                format!("{}:{} {}", self.reference(*con), self.name(*constructor), self.name(*binder))
            }
            Pattern::Enum { con, constructor } => format!("{}:{}", self.reference(*con), self.name(*constructor)),
            Pattern::Unit => "()".into(),
            Pattern::Bool(true) => "True".into(),
            Pattern::Bool(false) => "False".into(),
            Pattern::Nil => "Nil".into(),
            Pattern::Cons { head, tail } => format!("Cons {} {}", self.name(*head), self.name(*tail)),
            Pattern::None => "None".into(),
            Pattern::Some(body) => format!("Some {}", self.name(*body)),
        };
        // A body that ends in a `case` would take the next alternative for its own.
        out.line().text(pattern).text(" -> ").expr(alternative.body, Position::Atom);
    }

    fn data(self, out: &mut Parts, expr: &Expr) {
        match expr {
            Expr::RecordCon { con, fields } => {
                self.con(out, con);
                out.text(" {").separated(", ", fields, |out, field| self.field(out, *field)).text("}");
            }
            Expr::RecordProj { con, field, record } => {
                self.con(out, con);
                out.text(format!(" {{{}}}", self.name(*field))).atom(*record);
            }
            Expr::RecordUpd { con, field, record, update } => {
                self.con(out, con);
                out.text(" {").expr(*record, Position::Free).text(" with ");
                self.field(out, (*field, *update));
                out.text("}");
            }
            Expr::VariantCon { con, constructor, argument } => {
                out.text(format!("{}:{}", self.reference(con.con), self.name(*constructor)));
                con.args.iter().for_each(|arg| {
                    out.type_arg(*arg);
                });
                out.atom(*argument);
            }
            Expr::EnumCon { con, constructor } => {
                out.text(format!("{}:{}", self.reference(*con), self.name(*constructor)));
            }
            Expr::StructCon(fields) => {
                out.text("<").separated(", ", fields, |out, field| self.field(out, *field)).text(">");
            }
            Expr::StructProj { field, record } => {
                out.text("(").expr(*record, Position::Free).text(format!(").{}", self.name(*field)));
            }
            Expr::StructUpd { field, record, update } => {
                out.text("<").expr(*record, Position::Free).text(" with ");
                self.field(out, (*field, *update));
                out.text(">");
            }
            _ => self.wrapped(out, expr),
        }
    }

    fn wrapped(self, out: &mut Parts, expr: &Expr) {
        match expr {
            Expr::Nil(ty) => {
                out.text("Nil").type_arg(*ty);
            }
            Expr::Cons { ty, front, tail } => {
                out.text("Cons").type_arg(*ty).text(" [");
                out.separated(", ", front, |out, item| {
                    out.expr(*item, Position::Free);
                })
                .text("]")
                .atom(*tail);
            }
            Expr::None(ty) => {
                out.text("None").type_arg(*ty);
            }
            Expr::Some { ty, value } => {
                out.text("Some").type_arg(*ty).atom(*value);
            }
            Expr::ToAny { ty, value } => {
                out.text("to_any").type_arg(*ty).atom(*value);
            }
            Expr::FromAny { ty, value } => {
                out.text("from_any").type_arg(*ty).atom(*value);
            }
            Expr::TypeRep(ty) => {
                out.text("type_rep").type_arg(*ty);
            }
            Expr::ToAnyException { ty, value } => {
                out.text("to_any_exception").type_arg(*ty).atom(*value);
            }
            Expr::FromAnyException { ty, value } => {
                out.text("from_any_exception").type_arg(*ty).atom(*value);
            }
            Expr::Throw { returns, exception, value } => {
                out.text("throw").type_arg(*returns).type_arg(*exception).atom(*value);
            }
            _ => self.about_interface(out, expr),
        }
    }

    fn about(self, out: &mut Parts, word: &str, references: &[RefId], parts: &[ExprId]) {
        out.text(word);
        references.iter().for_each(|to| {
            out.text(format!(" @{}", self.reference(*to)));
        });
        parts.iter().for_each(|part| {
            out.atom(*part);
        });
    }

    fn about_interface(self, out: &mut Parts, expr: &Expr) {
        match expr {
            Expr::CallInterface { interface, method, value } => {
                self.about(out, "call_method", &[*interface], &[]);
                out.text(format!(" {}", self.name(*method))).atom(*value);
            }
            Expr::ViewInterface { interface, value } => self.about(out, "view_interface", &[*interface], &[*value]),
            Expr::SignatoryInterface { interface, value } => {
                self.about(out, "signatory_interface", &[*interface], &[*value]);
            }
            Expr::ObserverInterface { interface, value } => {
                self.about(out, "observer_interface", &[*interface], &[*value]);
            }
            Expr::InterfaceTemplateTypeRep { interface, value } => {
                self.about(out, "interface_template_type_rep", &[*interface], &[*value]);
            }
            Expr::ToInterface { interface, template, value } => {
                self.about(out, "to_interface", &[*interface, *template], &[*value]);
            }
            Expr::FromInterface { interface, template, value } => {
                self.about(out, "from_interface", &[*interface, *template], &[*value]);
            }
            Expr::ToRequiredInterface { required, requiring, value } => {
                self.about(out, "to_required_interface", &[*required, *requiring], &[*value]);
            }
            Expr::FromRequiredInterface { required, requiring, value } => {
                self.about(out, "from_required_interface", &[*required, *requiring], &[*value]);
            }
            Expr::UnsafeFromInterface { interface, template, contract_id, value } => {
                self.about(out, "unsafe_from_interface", &[*interface, *template], &[*contract_id, *value]);
            }
            Expr::UnsafeFromRequiredInterface { required, requiring, contract_id, value } => {
                self.about(out, "unsafe_from_required_interface", &[*required, *requiring], &[*contract_id, *value]);
            }
            _ => self.rare(out, expr),
        }
    }

    fn by_key(self, out: &mut Parts, word: &str, by_key: &ByKey) {
        self.about(out, word, &[by_key.template], by_key.key.as_slice());
    }

    /// Forms of LF 1 and of development versions, which LF text has no words for in the field.
    fn rare(self, out: &mut Parts, expr: &Expr) {
        match expr {
            Expr::Scenario(scenario) => self.scenario(out, scenario),
            Expr::ChoiceController { template, choice, contract, argument } => {
                self.about(out, "choice_controller", &[*template], &[]);
                out.text(format!(" {}", self.name(*choice))).atom(*contract).atom(*argument);
            }
            Expr::ChoiceObserver { template, choice, contract, argument } => {
                self.about(out, "choice_observer", &[*template], &[]);
                out.text(format!(" {}", self.name(*choice))).atom(*contract).atom(*argument);
            }
            Expr::Experimental { name, ty } => {
                out.text(format!("experimental {}", quoted(name))).type_arg(*ty);
            }
            // All other forms are shown by the callers.
            _ => {}
        }
    }

    fn scenario(self, out: &mut Parts, scenario: &Scenario) {
        match scenario {
            Scenario::Pure { ty, value } => out.text("spure").type_arg(*ty).atom(*value),
            Scenario::Block { bindings, body } => {
                self.binds(out, "sbind", bindings);
                out.line().text("in ").expr(*body, Position::Free)
            }
            Scenario::Commit { party, body, returns } => out.text("commit").type_arg(*returns).atom(*party).atom(*body),
            Scenario::MustFailAt { party, body, returns } => {
                out.text("must_fail_at").type_arg(*returns).atom(*party).atom(*body)
            }
            Scenario::Pass(time) => out.text("pass").atom(*time),
            Scenario::GetTime => out.text("sget_time"),
            Scenario::GetParty(name) => out.text("sget_party").atom(*name),
            Scenario::Embed { ty, body } => out.text("sembed_expr").type_arg(*ty).atom(*body),
        };
    }

    fn binds(self, out: &mut Parts, word: &str, bindings: &[Binding]) {
        out.text(word).indented(|out| {
            for (i, binding) in bindings.iter().enumerate() {
                self.binder(out.line(), binding.binder);
                let end = if i + 1 == bindings.len() { "" } else { ";" };
                out.text(" <- ").expr(binding.bound, Position::Free).text(end);
            }
        });
    }

    fn update(self, out: &mut Parts, update: &Update) {
        match update {
            Update::Pure { ty, value } => {
                out.text("upure").type_arg(*ty).atom(*value);
            }
            Update::Block { bindings, body } => {
                self.binds(out, "ubind", bindings);
                out.line().text("in ").expr(*body, Position::Free);
            }
            Update::Create { template, argument } => self.about(out, "create", &[*template], &[*argument]),
            Update::CreateInterface { interface, argument } => {
                self.about(out, "create_by_interface", &[*interface], &[*argument]);
            }
            Update::Fetch { template, contract_id } => self.about(out, "fetch_template", &[*template], &[*contract_id]),
            Update::FetchInterface { interface, contract_id } => {
                self.about(out, "fetch_interface", &[*interface], &[*contract_id]);
            }
            Update::Exercise { template: on, choice, contract_id, argument } => {
                self.about(out, "exercise", &[*on], &[]);
                out.text(format!(" {}", self.name(*choice))).atom(*contract_id).atom(*argument);
            }
            Update::ExerciseInterface { interface: on, choice, contract_id, argument, guard } => {
                let word = if guard.is_some() { "exercise_interface_with_guard" } else { "exercise_interface" };
                self.about(out, word, &[*on], &[]);
                out.text(format!(" {}", self.name(*choice))).atom(*contract_id).atom(*argument);
                guard.iter().for_each(|guard| {
                    out.atom(*guard);
                });
            }
            Update::ExerciseByKey { template: on, choice, key, argument } => {
                self.about(out, "exercise_by_key", &[*on], &[]);
                out.text(format!(" {}", self.name(*choice))).atom(*key).atom(*argument);
            }
            Update::DynamicExercise { template: on, choice, contract_id, argument } => {
                self.about(out, "dynamic_exercise", &[*on], &[]);
                out.text(format!(" {}", self.name(*choice))).atom(*contract_id).atom(*argument);
            }
            Update::SoftExercise { template: on, choice, contract_id, argument } => {
                self.about(out, "soft_exercise", &[*on], &[]);
                out.text(format!(" {}", self.name(*choice))).atom(*contract_id).atom(*argument);
            }
            Update::SoftFetch { template, contract_id } => self.about(out, "soft_fetch", &[*template], &[*contract_id]),
            Update::FetchByKey(by_key) => self.by_key(out, "fetch_by_key", by_key),
            Update::LookupByKey(by_key) => self.by_key(out, "lookup_by_key", by_key),
            Update::QueryNByKey(by_key) => self.by_key(out, "query_n_by_key", by_key),
            Update::GetTime => {
                out.text("uget_time");
            }
            Update::LedgerTimeLt(time) => {
                out.text("ledger_time_lt").atom(*time);
            }
            Update::Embed { ty, body } => {
                out.text("uembed_expr").type_arg(*ty).atom(*body);
            }
            Update::TryCatch { returns, body, binder, handler } => {
                out.text("try").type_arg(*returns).atom(*body);
                out.text(format!(" catch {} -> ", self.name(*binder))).expr(*handler, Position::Free);
            }
        }
    }
}

fn literal_text(literal: &Literal) -> String {
    match literal {
        Literal::Int64(value) => value.to_string(),
        Literal::Numeric(value) => value.to_string(),
        Literal::Text(value) => quoted(value),
        Literal::Timestamp(value) => value.to_string(),
        Literal::Date(value) => value.to_string(),
        Literal::FailureCategory(value) => value.text().to_owned(),
        Literal::RoundingMode(value) => value.text().to_owned(),
    }
}
