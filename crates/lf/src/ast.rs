//! The language as an arena: expressions, types and kinds are numbers into the tables of their package, so that
//! walking, sharing and dropping never recurse. A number always refers to the tables of the package it came from.

use crate::Builtin;
use base::{DottedName, Name, Timestamp};
use std::sync::Arc;
use transaction::{Date, Numeric};

/// Declares a number of an arena table.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub u32);

        impl $name {
            /// The index into the table.
            #[must_use]
            pub fn index(self) -> usize {
                usize::try_from(self.0).expect("32-bit numbers fit a usize")
            }
        }
    )*};
}
ids!(
    /// A name of a variable, field, constructor, choice or method.
    NameId,
    /// A definition in this or another package.
    RefId,
    /// A kind.
    KindId,
    /// A type.
    TypeId,
    /// An expression.
    ExprId
);

/// A kind: the type of a type.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Types of values.
    Star,
    /// Type-level numbers, the scales of `Numeric`.
    Nat,
    /// Types that take a type.
    Arrow(KindId, KindId),
}

/// A type.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Type {
    /// A type variable.
    Var(NameId),
    /// A record, variant, enum, template or interface.
    Con(RefId),
    /// A type synonym with all its arguments.
    Synonym(RefId, Box<[TypeId]>),
    /// A type of the language.
    Builtin(BuiltinType),
    /// A type applied to one argument.
    App(TypeId, TypeId),
    /// A polymorphic type.
    Forall(NameId, KindId, TypeId),
    /// A structural record, its fields in order of their names.
    Struct(Box<[(NameId, TypeId)]>),
    /// A number from 0 to 37.
    Nat(u8),
}

/// A type of the language itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "each is what its name says in the language")]
pub enum BuiltinType {
    Unit,
    Bool,
    Int64,
    Date,
    Timestamp,
    Numeric,
    Party,
    Text,
    ContractId,
    Optional,
    List,
    GenMap,
    Any,
    AnyException,
    TypeRep,
    Arrow,
    Update,
    FailureCategory,
    TextMap,
    BigNumeric,
    RoundingMode,
    Scenario,
}

/// A type constructor with its arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeConApp {
    /// The constructor.
    pub con: RefId,
    /// Its arguments.
    pub args: Box<[TypeId]>,
}

/// A field of an expression that builds a record or struct.
pub type FieldExpr = (NameId, ExprId);
/// A bound variable with its type.
pub type Binder = (NameId, TypeId);

/// A binding of `let` or of an update block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    /// The variable.
    pub binder: Binder,
    /// What it stands for.
    pub bound: ExprId,
}

/// An expression. Source locations are not kept.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the forms of the language, with the names of its specification")]
pub enum Expr {
    Var(NameId),
    Value(RefId),
    Builtin(Builtin),
    Unit,
    Bool(bool),
    Literal(Literal),
    RecordCon { con: TypeConApp, fields: Box<[FieldExpr]> },
    RecordProj { con: TypeConApp, field: NameId, record: ExprId },
    RecordUpd { con: TypeConApp, field: NameId, record: ExprId, update: ExprId },
    VariantCon { con: TypeConApp, constructor: NameId, argument: ExprId },
    EnumCon { con: RefId, constructor: NameId },
    StructCon(Box<[FieldExpr]>),
    StructProj { field: NameId, record: ExprId },
    StructUpd { field: NameId, record: ExprId, update: ExprId },
    App { function: ExprId, arguments: Box<[ExprId]> },
    TypeApp { function: ExprId, types: Box<[TypeId]> },
    Abs { params: Box<[Binder]>, body: ExprId },
    TypeAbs { params: Box<[(NameId, KindId)]>, body: ExprId },
    Case { scrutinee: ExprId, alternatives: Box<[Alternative]> },
    Let { bindings: Box<[Binding]>, body: ExprId },
    Nil(TypeId),
    Cons { ty: TypeId, front: Box<[ExprId]>, tail: ExprId },
    None(TypeId),
    Some { ty: TypeId, value: ExprId },
    ToAny { ty: TypeId, value: ExprId },
    FromAny { ty: TypeId, value: ExprId },
    TypeRep(TypeId),
    ToAnyException { ty: TypeId, value: ExprId },
    FromAnyException { ty: TypeId, value: ExprId },
    Throw { returns: TypeId, exception: TypeId, value: ExprId },
    ToInterface { interface: RefId, template: RefId, value: ExprId },
    FromInterface { interface: RefId, template: RefId, value: ExprId },
    UnsafeFromInterface { interface: RefId, template: RefId, contract_id: ExprId, value: ExprId },
    ToRequiredInterface { required: RefId, requiring: RefId, value: ExprId },
    FromRequiredInterface { required: RefId, requiring: RefId, value: ExprId },
    UnsafeFromRequiredInterface { required: RefId, requiring: RefId, contract_id: ExprId, value: ExprId },
    CallInterface { interface: RefId, method: NameId, value: ExprId },
    ViewInterface { interface: RefId, value: ExprId },
    SignatoryInterface { interface: RefId, value: ExprId },
    ObserverInterface { interface: RefId, value: ExprId },
    InterfaceTemplateTypeRep { interface: RefId, value: ExprId },
    Update(Box<Update>),
    Scenario(Box<Scenario>),
    ChoiceController { template: RefId, choice: NameId, contract: ExprId, argument: ExprId },
    ChoiceObserver { template: RefId, choice: NameId, contract: ExprId, argument: ExprId },
    Experimental { name: Arc<str>, ty: TypeId },
}

/// A constant.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is what its name says")]
pub enum Literal {
    Int64(i64),
    Numeric(Numeric),
    Text(Arc<str>),
    Timestamp(Timestamp),
    Date(Date),
    FailureCategory(FailureCategory),
    RoundingMode(RoundingMode),
}

/// How `BigNumeric` is rounded, in the order of the numbers in archives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is what its name says")]
pub enum RoundingMode {
    Up,
    Down,
    Ceiling,
    Floor,
    HalfUp,
    HalfDown,
    HalfEven,
    Unnecessary,
}

impl RoundingMode {
    /// All of them, each at the place of its number.
    pub const ALL: [Self; 8] = [
        Self::Up,
        Self::Down,
        Self::Ceiling,
        Self::Floor,
        Self::HalfUp,
        Self::HalfDown,
        Self::HalfEven,
        Self::Unnecessary,
    ];
}

/// How the ledger classifies a failure that a model raises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureCategory {
    /// Category 8: wrong whatever the state.
    InvalidIndependentOfSystemState,
    /// Category 9: wrong in this state.
    InvalidGivenCurrentSystemStateOther,
}

impl FailureCategory {
    /// The number of the category in the error-code catalogue; also its runtime representation.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::InvalidIndependentOfSystemState => 8,
            Self::InvalidGivenCurrentSystemStateOther => 9,
        }
    }
}

/// One case of a `case` expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alternative {
    /// What it takes.
    pub pattern: Pattern,
    /// What it gives.
    pub body: ExprId,
}

/// A pattern; patterns do not nest.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the forms of the language, with the names of its specification")]
pub enum Pattern {
    Default,
    Variant { con: RefId, constructor: NameId, binder: NameId },
    Enum { con: RefId, constructor: NameId },
    Unit,
    Bool(bool),
    Nil,
    Cons { head: NameId, tail: NameId },
    None,
    Some(NameId),
}

/// An expression that changes or reads the ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the forms of the language, with the names of its specification")]
pub enum Update {
    Pure { ty: TypeId, value: ExprId },
    Block { bindings: Box<[Binding]>, body: ExprId },
    Create { template: RefId, argument: ExprId },
    CreateInterface { interface: RefId, argument: ExprId },
    Exercise { template: RefId, choice: NameId, contract_id: ExprId, argument: ExprId },
    ExerciseInterface { interface: RefId, choice: NameId, contract_id: ExprId, argument: ExprId, guard: Option<ExprId> },
    ExerciseByKey { template: RefId, choice: NameId, key: ExprId, argument: ExprId },
    DynamicExercise { template: RefId, choice: NameId, contract_id: ExprId, argument: ExprId },
    SoftExercise { template: RefId, choice: NameId, contract_id: ExprId, argument: ExprId },
    Fetch { template: RefId, contract_id: ExprId },
    FetchInterface { interface: RefId, contract_id: ExprId },
    SoftFetch { template: RefId, contract_id: ExprId },
    FetchByKey(ByKey),
    LookupByKey(ByKey),
    QueryNByKey(ByKey),
    GetTime,
    LedgerTimeLt(ExprId),
    Embed { ty: TypeId, body: ExprId },
    TryCatch { returns: TypeId, body: ExprId, binder: NameId, handler: ExprId },
}

/// Which template's contracts are looked for, and the key. Without a key the action is a function that takes it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is what its name says")]
pub struct ByKey {
    pub template: RefId,
    pub key: Option<ExprId>,
}

/// A test of LF 1, which no ledger runs.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the forms of the language, with the names of its specification")]
pub enum Scenario {
    Pure { ty: TypeId, value: ExprId },
    Block { bindings: Box<[Binding]>, body: ExprId },
    Commit { party: ExprId, body: ExprId, returns: TypeId },
    MustFailAt { party: ExprId, body: ExprId, returns: TypeId },
    Pass(ExprId),
    GetTime,
    GetParty(ExprId),
    Embed { ty: TypeId, body: ExprId },
}

/// A module: a name space of definitions.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is what its name says")]
pub struct Module {
    pub name: DottedName,
    pub synonyms: Vec<TypeSynonym>,
    pub data_types: Vec<DataType>,
    pub values: Vec<ValueDef>,
    pub templates: Vec<Template>,
    pub exceptions: Vec<ExceptionDef>,
    pub interfaces: Vec<Interface>,
}

/// A name for a type.
#[derive(Clone, Debug)]
pub struct TypeSynonym {
    /// Its name in the module.
    pub name: DottedName,
    /// Its parameters.
    pub params: Vec<(NameId, KindId)>,
    /// What it stands for.
    pub ty: TypeId,
}

/// A data type.
#[derive(Clone, Debug)]
pub struct DataType {
    /// Its name in the module.
    pub name: DottedName,
    /// Its parameters.
    pub params: Vec<(NameId, KindId)>,
    /// Whether its values can stand on the ledger.
    pub serializable: bool,
    /// Its fields or constructors.
    pub cons: DataCons,
}

/// Fields or constructors of a data type.
#[derive(Clone, Debug)]
pub enum DataCons {
    /// Fields in order.
    Record(Vec<(Name, TypeId)>),
    /// Constructors with their arguments, in order.
    Variant(Vec<(Name, TypeId)>),
    /// Constructors in order.
    Enum(Vec<Name>),
    /// The type of an interface, of which values exist only at run time.
    Interface,
}

/// A top-level value.
#[derive(Clone, Debug)]
pub struct ValueDef {
    /// Its name in the module.
    pub name: DottedName,
    /// Its type.
    pub ty: TypeId,
    /// What it is.
    pub body: ExprId,
    /// Whether it is a scenario that tools run as a test.
    pub is_test: bool,
}

/// A template. In its expressions `param` stands for the contract argument.
#[derive(Clone, Debug)]
pub struct Template {
    /// Its name in the module, also the name of its argument's record type.
    pub name: DottedName,
    /// The variable for the contract argument.
    pub param: NameId,
    /// Must be true on creation; `None`: always.
    pub precondition: Option<ExprId>,
    /// A list of parties.
    pub signatories: ExprId,
    /// A list of parties.
    pub observers: ExprId,
    /// In LF 1, a text about the agreement.
    pub agreement: Option<ExprId>,
    /// The key under which its contracts are found.
    pub key: Option<TemplateKey>,
    /// Its choices; `Archive` among them.
    pub choices: Vec<Choice>,
    /// Its interfaces.
    pub implements: Vec<InterfaceInstance>,
}

/// The key of a template's contracts.
#[derive(Clone, Debug)]
pub struct TemplateKey {
    /// Its type.
    pub ty: TypeId,
    /// The key of the contract `param`.
    pub body: ExprId,
    /// A function from a key to a list of parties.
    pub maintainers: ExprId,
}

/// A choice of a template or interface.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Its name.
    pub name: Name,
    /// Whether it archives the contract.
    pub consuming: bool,
    /// A list of parties.
    pub controllers: ExprId,
    /// A list of parties.
    pub observers: ExprId,
    /// A list of parties whose authority the body has, instead of signatories and controllers.
    pub authorizers: Option<ExprId>,
    /// The variable for the contract's own id.
    pub self_binder: NameId,
    /// The variable for the choice argument.
    pub arg_binder: Binder,
    /// What it returns.
    pub returns: TypeId,
    /// What it does.
    pub update: ExprId,
}

/// How a template implements an interface. In its expressions the template's `param` stands for the contract argument.
#[derive(Clone, Debug)]
pub struct InterfaceInstance {
    /// The interface.
    pub interface: RefId,
    /// The methods.
    pub methods: Vec<(Name, ExprId)>,
    /// The view.
    pub view: ExprId,
}

/// An interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name in the module.
    pub name: DottedName,
    /// The variable for the contract in its choices.
    pub param: NameId,
    /// Interfaces that whoever implements it must implement too.
    pub requires: Vec<RefId>,
    /// Methods with their types.
    pub methods: Vec<(Name, TypeId)>,
    /// Its choices.
    pub choices: Vec<Choice>,
    /// The type of its view.
    pub view: TypeId,
    /// In LF 1, how templates of other packages implement it.
    pub co_implements: Vec<CoImplementation>,
}

/// How a template implements the interface in which this stands.
#[derive(Clone, Debug)]
pub struct CoImplementation {
    /// The template.
    pub template: RefId,
    /// The methods; in their expressions the interface's `param` stands for the contract argument.
    pub methods: Vec<(Name, ExprId)>,
    /// The view.
    pub view: ExprId,
}

/// What makes a record type an exception.
#[derive(Clone, Debug)]
pub struct ExceptionDef {
    /// Its name in the module, also the name of its record type.
    pub name: DottedName,
    /// A function from the exception to a text.
    pub message: ExprId,
}
