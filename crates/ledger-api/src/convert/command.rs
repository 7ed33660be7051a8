//! Commands.

use super::value;
use crate::ApiError;
use base::{
    CommandId, ContractId, DottedName, Name, PackageId, PackageName, PartyId, SubmissionId, SynchronizerId, UserId,
    WorkflowId,
};
use canton_proto::com::daml::ledger::api::v2 as api;
use std::time::Duration;
use transaction::{Parties, Record, Value};

/// Commands of one submission.
const MAX_COMMANDS: usize = 10_000;
/// Who submits where no user is named.
const DEFAULT_USER: &str = "participant_admin";

/// A submission, checked as far as that is possible without packages.
#[derive(Debug, Clone)]
pub struct Commands {
    /// Who submits, as a user.
    pub user: UserId,
    /// Chosen by the application.
    pub command: CommandId,
    /// Tells retries apart; made up where the application gives none.
    pub submission: SubmissionId,
    /// The application's label.
    pub workflow: Option<WorkflowId>,
    /// In whose name. Not empty.
    pub act_as: Parties,
    /// What else may be read.
    pub read_as: Parties,
    /// How long back the same command counts as a repetition.
    pub deduplication: Option<DeduplicationPeriod>,
    /// Where to submit; any synchronizer that fits if absent.
    pub synchronizer: Option<SynchronizerId>,
    /// What to do. Not empty.
    pub commands: Vec<CommandKind>,
}

/// How long back to look for a repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeduplicationPeriod {
    /// From now.
    Duration(Duration),
    /// Since this offset, exclusive.
    Offset(i64),
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandKind {
    /// Create a contract.
    Create {
        /// Of which template.
        template: TemplateRef,
        /// With what.
        argument: Value,
    },
    /// Exercise a choice.
    Exercise {
        /// The template, or the interface, whose choice it is.
        template: TemplateRef,
        /// On which contract.
        contract: ContractId,
        /// Which choice.
        choice: Name,
        /// With what.
        argument: Value,
    },
    /// Exercise a choice on the contract that has a key.
    ExerciseByKey {
        /// The template whose choice it is.
        template: TemplateRef,
        /// The key.
        key: Value,
        /// Which choice.
        choice: Name,
        /// With what.
        argument: Value,
    },
    /// Create a contract and exercise a choice on it.
    CreateAndExercise {
        /// Of which template.
        template: TemplateRef,
        /// With what.
        argument: Value,
        /// Which choice.
        choice: Name,
        /// With what.
        choice_argument: Value,
    },
}

/// A template or interface as an application names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateRef {
    /// In which package.
    pub package: PackageRef,
    /// In which module.
    pub module: DottedName,
    /// Which.
    pub entity: DottedName,
}

/// A package by its id, or by its name, which leaves the version to the participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageRef {
    /// This one.
    Id(PackageId),
    /// One of this name.
    Name(PackageName),
}

type Result<T> = std::result::Result<T, ApiError>;

/// Reads a submission.
pub(crate) fn commands(message: Option<api::Commands>) -> Result<Commands> {
    let message = message.ok_or(ApiError::Missing("commands"))?;
    for (is_given, what) in [
        (!message.disclosed_contracts.is_empty(), "disclosed contracts"),
        (message.min_ledger_time_abs.is_some() || message.min_ledger_time_rel.is_some(), "a minimum ledger time"),
    ] {
        if is_given {
            return Err(ApiError::Unsupported(what));
        }
    }
    if message.commands.is_empty() {
        return Err(ApiError::Missing("commands.commands"));
    }
    if message.commands.len() > MAX_COMMANDS {
        return Err(ApiError::invalid("commands", format!("there are more than {MAX_COMMANDS}")));
    }
    let act_as = parties(&message.act_as, "act_as")?;
    if act_as.is_empty() {
        return Err(ApiError::Missing("act_as"));
    }
    let user = if message.user_id.is_empty() { DEFAULT_USER } else { &message.user_id };
    let submission =
        if message.submission_id.is_empty() { identity::random::id() } else { message.submission_id.clone() };
    Ok(Commands {
        user: UserId::new(user).map_err(ApiError::id("user_id"))?,
        command: required(&message.command_id, "command_id")?.parse().map_err(ApiError::id("command_id"))?,
        submission: SubmissionId::new(submission).map_err(ApiError::id("submission_id"))?,
        workflow: optional(&message.workflow_id, "workflow_id")?,
        act_as,
        read_as: parties(&message.read_as, "read_as")?,
        deduplication: message.deduplication_period.map(period).transpose()?,
        synchronizer: optional(&message.synchronizer_id, "synchronizer_id")?,
        commands: message.commands.into_iter().map(command).collect::<Result<_>>()?,
    })
}

/// Reads a set of parties.
pub(crate) fn parties(list: &[String], field: &'static str) -> Result<Parties> {
    list.iter().map(|party| PartyId::new(party).map_err(ApiError::id(field))).collect()
}

fn required<'a>(text: &'a str, field: &'static str) -> Result<&'a str> {
    if text.is_empty() { Err(ApiError::Missing(field)) } else { Ok(text) }
}

fn optional<T: std::str::FromStr<Err = base::InvalidId>>(text: &str, field: &'static str) -> Result<Option<T>> {
    (!text.is_empty()).then(|| text.parse().map_err(ApiError::id(field))).transpose()
}

fn period(period: api::commands::DeduplicationPeriod) -> Result<DeduplicationPeriod> {
    use api::commands::DeduplicationPeriod as Period;
    match period {
        Period::DeduplicationOffset(offset) => Ok(DeduplicationPeriod::Offset(offset)),
        Period::DeduplicationDuration(duration) => Duration::try_from(duration)
            .map(DeduplicationPeriod::Duration)
            .map_err(|_| ApiError::invalid("deduplication_duration", "it is negative")),
    }
}

/// Reads a template's name.
pub(crate) fn template(id: Option<&api::Identifier>) -> Result<TemplateRef> {
    let field = "template_id";
    let id = id.ok_or(ApiError::Missing(field))?;
    let package = match id.package_id.strip_prefix('#') {
        Some(name) => PackageRef::Name(name.parse().map_err(ApiError::id(field))?),
        None => PackageRef::Id(required(&id.package_id, field)?.parse().map_err(ApiError::id(field))?),
    };
    Ok(TemplateRef {
        package,
        module: id.module_name.parse().map_err(ApiError::id(field))?,
        entity: id.entity_name.parse().map_err(ApiError::id(field))?,
    })
}

fn arguments(record: Option<&api::Record>) -> Result<Value> {
    let record: Record = value::record(record.ok_or(ApiError::Missing("create_arguments"))?)?;
    Ok(Value::Record(record.into()))
}

fn choice(name: &str) -> Result<Name> {
    Name::new(name).map_err(ApiError::id("choice"))
}

fn command(command: api::Command) -> Result<CommandKind> {
    use api::command::Command;
    match command.command.ok_or(ApiError::Missing("command"))? {
        Command::Create(c) => Ok(CommandKind::Create {
            template: template(c.template_id.as_ref())?,
            argument: arguments(c.create_arguments.as_ref())?,
        }),
        Command::Exercise(c) => Ok(CommandKind::Exercise {
            template: template(c.template_id.as_ref())?,
            contract: c.contract_id.parse().map_err(ApiError::id("contract_id"))?,
            choice: choice(&c.choice)?,
            argument: value::required(c.choice_argument.as_ref(), "choice_argument")?,
        }),
        Command::CreateAndExercise(c) => Ok(CommandKind::CreateAndExercise {
            template: template(c.template_id.as_ref())?,
            argument: arguments(c.create_arguments.as_ref())?,
            choice: choice(&c.choice)?,
            choice_argument: value::required(c.choice_argument.as_ref(), "choice_argument")?,
        }),
        Command::ExerciseByKey(c) => Ok(CommandKind::ExerciseByKey {
            template: template(c.template_id.as_ref())?,
            key: value::required(c.contract_key.as_ref(), "contract_key")?,
            choice: choice(&c.choice)?,
            argument: value::required(c.choice_argument.as_ref(), "choice_argument")?,
        }),
    }
}
