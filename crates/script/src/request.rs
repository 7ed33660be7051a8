//! What scripts ask, whichever generation of the library they ask with.

use crate::{
    PackageVersionName, RunError, Submission, User, UserRight,
    error::malformed,
    library::{Generation, Library},
};
use base::{ContractId, Identifier, Name, PackageId, PartyId, Timestamp, UserId};
use engine::{Command, Engine, EngineError, PackageRef, Term, TypeRef};
use std::{collections::BTreeSet, time::Duration};
use transaction::{Parties, Value};

/// What is to be done, and answered.
#[derive(Debug)]
pub(crate) enum Request {
    Submit(Vec<Submit>),
    /// Commands of the older library: what they are comes out when they are taken apart.
    SubmitCommands {
        kind: Kind,
        submission: Submission,
        commands: Term,
    },
    Query(Parties, Identifier),
    QueryContractId(Parties, Identifier, ContractId),
    QueryKey(Parties, Identifier, Value),
    /// At most so many.
    QueryKeys(Parties, Identifier, Value, usize),
    QueryInterface(Parties, Identifier),
    QueryInterfaceContractId(Parties, Identifier, ContractId),
    AllocateParty {
        name: String,
        hint: String,
    },
    Parties,
    Time,
    SetTime(Timestamp),
    Sleep(Duration),
    /// Runs a script and gives the exception that ends it, if one does.
    Catch(Term),
    /// The same in the older library, which gives what handles exceptions, too. What either gives is how to go on, or
    /// in later versions what the function `next` takes for that.
    CatchWith {
        act: Term,
        handle: Term,
        next: Option<Term>,
    },
    /// What others need to use a contract, in the older library.
    QueryDisclosure(Parties, ContractId),
    /// The same for failures with a status.
    TryFailureStatus(Term),
    /// The same for commands that fail.
    TryCommands(Term),
    Throw(Term),
    Fail(EngineError),
    ValidateUserId(String),
    CreateUser(User, BTreeSet<UserRight>),
    User(UserId),
    DeleteUser(UserId),
    Users,
    Grant(UserId, Vec<UserRight>),
    Revoke(UserId, Vec<UserRight>),
    Rights(UserId),
    Packages {
        vetted: bool,
    },
    Vet(Vec<PackageVersionName>, bool),
    /// A key pair of the curve secp256k1.
    KeyPair,
    /// A signature by such a key, over a digest.
    Sign {
        key: Vec<u8>,
        digest: Vec<u8>,
    },
}

/// A submission, and what the script knows about it.
#[derive(Debug)]
pub(crate) struct Submit {
    pub(crate) submission: Submission,
    /// The packages from which it knows the templates of the root events.
    pub(crate) known_from: Vec<PackageId>,
    pub(crate) expected: Expected,
}

/// What a submission must do for the script to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expected {
    Success,
    Failure,
    Anything,
}

/// What a submission of the older library gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Results,
    MustFail,
    Tree,
}

/// A question with the function that takes its answer.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) resume: Term,
    /// Call stack, the innermost place first.
    pub(crate) locations: Vec<String>,
}

/// Reads questions.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) library: &'a Library,
}

impl Reader<'_> {
    pub(crate) fn field(self, record: &Term, name: &str) -> Result<Term, RunError> {
        self.engine.field(record, name).ok_or_else(|| malformed(name))
    }

    pub(crate) fn text(self, record: &Term, name: &str) -> Result<String, RunError> {
        let field = self.field(record, name)?;
        field.as_text().map(str::to_owned).ok_or_else(|| malformed(name))
    }

    /// Bytes that are written in hexadecimal digits.
    pub(crate) fn bytes(self, record: &Term, name: &str) -> Result<Vec<u8>, RunError> {
        hex::decode(self.text(record, name)?).map_err(|_| malformed(name))
    }

    pub(crate) fn list(self, record: &Term, name: &str) -> Result<Vec<Term>, RunError> {
        self.field(record, name)?.as_list().ok_or_else(|| malformed(name))
    }

    /// The only field of a record, as of what wraps another type.
    pub(crate) fn unwrap(self, record: &Term) -> Result<Term, RunError> {
        let (_, fields) = record.as_record().ok_or_else(|| malformed("a wrapped value"))?;
        let mut fields = fields.into_iter();
        fields.next().ok_or_else(|| malformed("a wrapped value"))
    }

    pub(crate) fn party(self, term: &Term) -> Result<PartyId, RunError> {
        term.as_party().cloned().ok_or_else(|| malformed("a party"))
    }

    pub(crate) fn parties(self, record: &Term, name: &str) -> Result<Parties, RunError> {
        self.list(record, name)?.iter().map(|party| self.party(party)).collect()
    }

    /// Parties of a list that cannot be empty.
    pub(crate) fn some_parties(self, record: &Term, name: &str) -> Result<Parties, RunError> {
        let parties = self.field(record, name)?;
        let mut all = self.parties(&parties, "tl")?;
        all.insert(self.party(&self.field(&parties, "hd")?)?);
        Ok(all)
    }

    pub(crate) fn ty(self, record: &Term, name: &str) -> Result<Identifier, RunError> {
        let rep = self.unwrap(&self.field(record, name)?)?;
        rep.as_type_rep().cloned().ok_or_else(|| malformed(name))
    }

    pub(crate) fn contract_id(self, record: &Term, name: &str) -> Result<ContractId, RunError> {
        self.field(record, name)?.as_contract_id().cloned().ok_or_else(|| malformed(name))
    }

    /// A duration, of which the library tells the microseconds.
    pub(crate) fn duration(self, record: &Term, name: &str) -> Result<Duration, RunError> {
        let micros = self.unwrap(&self.field(record, name)?)?.as_int64().ok_or_else(|| malformed(name))?;
        Ok(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
    }

    pub(crate) fn user_id(self, record: &Term, name: &str) -> Result<UserId, RunError> {
        let id = self.unwrap(&self.field(record, name)?)?;
        let id = id.as_text().ok_or_else(|| malformed(name))?;
        UserId::new(id).map_err(|error| RunError::Question(error.to_string()))
    }

    pub(crate) fn user(self, record: &Term, name: &str) -> Result<User, RunError> {
        let user = self.field(record, name)?;
        let primary = self.field(&user, "primaryParty")?.as_optional().ok_or_else(|| malformed("primaryParty"))?;
        let primary_party = primary.map(|party| self.party(&party)).transpose()?;
        Ok(User { id: self.user_id(&user, "userId")?, primary_party })
    }

    pub(crate) fn rights<C: FromIterator<UserRight>>(self, record: &Term, name: &str) -> Result<C, RunError> {
        self.list(record, name)?.iter().map(|right| self.right(right)).collect()
    }

    fn right(self, right: &Term) -> Result<UserRight, RunError> {
        let (name, value) = right.as_constructor().ok_or_else(|| malformed("a right"))?;
        match name.as_str() {
            "ParticipantAdmin" => Ok(UserRight::ParticipantAdmin),
            "CanActAs" => Ok(UserRight::CanActAs(self.party(&value)?)),
            "CanReadAs" => Ok(UserRight::CanReadAs(self.party(&value)?)),
            "CanReadAsAnyParty" => Ok(UserRight::CanReadAsAnyParty),
            other => Err(RunError::Question(format!("the user right {other}"))),
        }
    }

    /// A key with or without its type.
    pub(crate) fn key(self, record: &Term, name: &str) -> Result<Value, RunError> {
        let key = self.field(&self.field(record, name)?, "getAnyContractKey")?;
        Ok(key.any_value().unwrap_or(key).to_value()?)
    }

    /// Contracts that are disclosed.
    pub(crate) fn blobs(self, list: &Term) -> Result<Vec<Vec<u8>>, RunError> {
        let all = list.as_list().ok_or_else(|| malformed("disclosures"))?;
        all.iter().map(|disclosure| self.bytes(disclosure, "blob")).collect()
    }

    /// A call stack as places in sources.
    pub(crate) fn locations(self, list: &Term) -> Vec<String> {
        let place = |entry: &Term| {
            let location = self.engine.field(entry, "_2")?;
            let module = self.engine.field(&location, "srcLocModule")?;
            let number = |name: &str| Some(self.engine.field(&location, name)?.as_int64()?.saturating_add(1));
            Some(format!("{}:{}:{}", module.as_text()?, number("srcLocStartLine")?, number("srcLocStartCol")?))
        };
        list.as_list().unwrap_or_default().iter().filter_map(place).collect()
    }

    /// How a command names a template or interface: scripts want the preferred version, unless they say otherwise or
    /// their packages are older than versions that fit each other.
    fn reference(self, id: &Identifier, exactly: bool) -> Result<TypeRef, RunError> {
        let package = if exactly || self.library.generation == Generation::Constructors {
            PackageRef::Id(id.package.clone())
        } else {
            let package = self.engine.package(&id.package);
            let package = package.ok_or_else(|| EngineError::MissingPackage(id.package.clone()))?;
            PackageRef::Name(package.metadata().name.clone())
        };
        Ok(TypeRef { package, module: id.module.clone(), entity: id.entity.clone() })
    }

    fn template(self, record: &Term, name: &str) -> Result<(Identifier, Value), RunError> {
        let any = self.unwrap(&self.field(record, name)?)?;
        let (ty, value) = any.as_any().ok_or_else(|| malformed(name))?;
        Ok((ty.clone(), value.to_value()?))
    }

    /// A choice is called like the type of its argument. The first version with interfaces wraps the argument.
    fn choice(self, record: &Term, name: &str) -> Result<(Name, Value), RunError> {
        let any = self.unwrap(&self.field(record, name)?)?;
        let wrapped = any.any_value().and_then(|value| value.struct_field("choice"));
        let (ty, value) = match &wrapped {
            Some(argument) => (argument.as_record().map(|(ty, _)| ty.clone()), argument.to_value()?),
            None => {
                let (ty, value) = any.as_any().ok_or_else(|| malformed(name))?;
                (Some(ty.clone()), value.to_value()?)
            }
        };
        let ty = ty.ok_or_else(|| malformed(name))?;
        let choice = Name::new(ty.entity.as_str()).map_err(|error| RunError::Question(error.to_string()))?;
        Ok((choice, value))
    }

    /// A command, and the package from which the script knows its template.
    pub(crate) fn command(self, command: &Term, exactly: bool) -> Result<(Command, PackageId), RunError> {
        let (constructor, fields) = command.as_constructor().ok_or_else(|| malformed("a command"))?;
        match constructor.as_str() {
            "Create" => {
                let (id, argument) = self.template(&fields, "argC")?;
                Ok((Command::Create { template: self.reference(&id, exactly)?, argument }, id.package))
            }
            "Exercise" => {
                let id = self.ty(&fields, "tplId")?;
                let contract_id = self.contract_id(&fields, "cId")?;
                let (choice, argument) = self.choice(&fields, "argE")?;
                let template = self.reference(&id, exactly)?;
                Ok((Command::Exercise { template, contract_id, choice, argument }, id.package))
            }
            "ExerciseByKey" => {
                let (id, key) = (self.ty(&fields, "tplId")?, self.key(&fields, "keyE")?);
                let (choice, argument) = self.choice(&fields, "argE")?;
                let template = self.reference(&id, exactly)?;
                Ok((Command::ExerciseByKey { template, key, choice, argument }, id.package))
            }
            "CreateAndExercise" => {
                let (id, create_argument) = self.template(&fields, "tplArgCE")?;
                let (choice, choice_argument) = self.choice(&fields, "choiceArgCE")?;
                let template = self.reference(&id, exactly)?;
                Ok((Command::CreateAndExercise { template, create_argument, choice, choice_argument }, id.package))
            }
            other => Err(RunError::Question(format!("the command {other}"))),
        }
    }
}
