//! The direct parts of types and expressions.

use crate::{ByKey, Expr, ExprId, Scenario, Type, TypeId, Update};

impl Type {
    /// Calls `f` with the types that stand directly in this one.
    pub fn for_each_part(&self, mut f: impl FnMut(TypeId)) {
        match self {
            Self::App(function, argument) => [*function, *argument].into_iter().for_each(f),
            Self::Forall(_, _, body) => f(*body),
            Self::Synonym(_, args) => args.iter().copied().for_each(f),
            Self::Struct(fields) => fields.iter().for_each(|(_, ty)| f(*ty)),
            Self::Var(_) | Self::Con(_) | Self::Builtin(_) | Self::Nat(_) => {}
        }
    }
}

impl Expr {
    /// Calls `f` with the expressions that stand directly in this one.
    pub fn for_each_part(&self, mut f: impl FnMut(ExprId)) {
        match self {
            Self::Var(_)
            | Self::Value(_)
            | Self::Builtin(_)
            | Self::Unit
            | Self::Bool(_)
            | Self::Literal(_)
            | Self::EnumCon { .. }
            | Self::Nil(_)
            | Self::None(_)
            | Self::TypeRep(_)
            | Self::Experimental { .. } => {}
            Self::RecordCon { fields, .. } | Self::StructCon(fields) => fields.iter().for_each(|(_, value)| f(*value)),
            Self::RecordProj { record: part, .. }
            | Self::StructProj { record: part, .. }
            | Self::VariantCon { argument: part, .. }
            | Self::TypeApp { function: part, .. }
            | Self::Abs { body: part, .. }
            | Self::TypeAbs { body: part, .. }
            | Self::Some { value: part, .. }
            | Self::ToAny { value: part, .. }
            | Self::FromAny { value: part, .. }
            | Self::ToAnyException { value: part, .. }
            | Self::FromAnyException { value: part, .. }
            | Self::Throw { value: part, .. }
            | Self::ToInterface { value: part, .. }
            | Self::FromInterface { value: part, .. }
            | Self::ToRequiredInterface { value: part, .. }
            | Self::FromRequiredInterface { value: part, .. }
            | Self::CallInterface { value: part, .. }
            | Self::ViewInterface { value: part, .. }
            | Self::SignatoryInterface { value: part, .. }
            | Self::ObserverInterface { value: part, .. }
            | Self::InterfaceTemplateTypeRep { value: part, .. } => f(*part),
            Self::RecordUpd { record: a, update: b, .. }
            | Self::StructUpd { record: a, update: b, .. }
            | Self::UnsafeFromInterface { contract_id: a, value: b, .. }
            | Self::UnsafeFromRequiredInterface { contract_id: a, value: b, .. }
            | Self::ChoiceController { contract: a, argument: b, .. }
            | Self::ChoiceObserver { contract: a, argument: b, .. } => [*a, *b].into_iter().for_each(f),
            Self::App { function, arguments } => {
                f(*function);
                arguments.iter().copied().for_each(f);
            }
            Self::Case { scrutinee, alternatives } => {
                f(*scrutinee);
                alternatives.iter().for_each(|alternative| f(alternative.body));
            }
            Self::Let { bindings, body } => {
                bindings.iter().for_each(|binding| f(binding.bound));
                f(*body);
            }
            Self::Cons { front, tail, .. } => {
                front.iter().copied().for_each(&mut f);
                f(*tail);
            }
            Self::Update(update) => update.for_each_part(f),
            Self::Scenario(scenario) => scenario.for_each_part(f),
        }
    }
}

impl Update {
    /// Calls `f` with the expressions that stand directly in this one.
    pub fn for_each_part(&self, mut f: impl FnMut(ExprId)) {
        match self {
            Self::GetTime => {}
            Self::Pure { value: part, .. }
            | Self::Create { argument: part, .. }
            | Self::CreateInterface { argument: part, .. }
            | Self::Fetch { contract_id: part, .. }
            | Self::FetchInterface { contract_id: part, .. }
            | Self::SoftFetch { contract_id: part, .. }
            | Self::Embed { body: part, .. }
            | Self::LedgerTimeLt(part) => f(*part),
            Self::FetchByKey(ByKey { key, .. })
            | Self::LookupByKey(ByKey { key, .. })
            | Self::QueryNByKey(ByKey { key, .. }) => key.iter().copied().for_each(f),
            Self::ExerciseInterface { contract_id, argument, guard, .. } => {
                [*contract_id, *argument].into_iter().chain(*guard).for_each(f);
            }
            Self::Exercise { contract_id: a, argument: b, .. }
            | Self::ExerciseByKey { key: a, argument: b, .. }
            | Self::DynamicExercise { contract_id: a, argument: b, .. }
            | Self::SoftExercise { contract_id: a, argument: b, .. }
            | Self::TryCatch { body: a, handler: b, .. } => [*a, *b].into_iter().for_each(f),
            Self::Block { bindings, body } => {
                bindings.iter().for_each(|binding| f(binding.bound));
                f(*body);
            }
        }
    }
}

impl Scenario {
    /// Calls `f` with the expressions that stand directly in this one.
    pub fn for_each_part(&self, mut f: impl FnMut(ExprId)) {
        match self {
            Self::GetTime => {}
            Self::Pure { value: part, .. }
            | Self::Pass(part)
            | Self::GetParty(part)
            | Self::Embed { body: part, .. } => {
                f(*part);
            }
            Self::Commit { party: a, body: b, .. } | Self::MustFailAt { party: a, body: b, .. } => {
                [*a, *b].into_iter().for_each(f);
            }
            Self::Block { bindings, body } => {
                bindings.iter().for_each(|binding| f(binding.bound));
                f(*body);
            }
        }
    }
}
