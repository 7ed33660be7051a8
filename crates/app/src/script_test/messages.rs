//! Commands and contracts of scripts as messages of the Ledger API, and back.

use base::Identifier;
use canton_proto::com::daml::ledger::api::v2::{
    self as api, CreateAndExerciseCommand, CreateCommand, CreatedEvent, CumulativeFilter, DisclosedContract,
    EventFormat, ExerciseByKeyCommand, ExerciseCommand, ExercisedEvent, Filters, WildcardFilter,
    command::Command as Sum, cumulative_filter::IdentifierFilter, event::Event as EventSum,
};
use engine::{Command, PackageRef, TypeRef};
use ledger_api::{read_value, value_message};
use script::{Action, ActiveContract, Event};
use transaction::{Parties, Value};

/// All events that the parties see.
pub(super) fn everything_of(parties: &Parties) -> EventFormat {
    let all = IdentifierFilter::WildcardFilter(WildcardFilter { include_created_event_blob: true });
    let all = Filters { cumulative: vec![CumulativeFilter { identifier_filter: Some(all) }] };
    EventFormat {
        filters_by_party: parties.iter().map(|party| (party.to_string(), all.clone())).collect(),
        ..EventFormat::default()
    }
}

fn identifier(ty: &TypeRef) -> Option<api::Identifier> {
    let package_id = match &ty.package {
        PackageRef::Id(id) => id.to_string(),
        PackageRef::Name(name) => format!("#{name}"),
    };
    let (module_name, entity_name) = (ty.module.to_string(), ty.entity.to_string());
    Some(api::Identifier { package_id, module_name, entity_name })
}

fn record(value: &Value) -> Option<api::Record> {
    match value_message(value).sum {
        Some(api::value::Sum::Record(record)) => Some(record),
        _ => None,
    }
}

/// A command.
pub(super) fn command(command: &Command) -> api::Command {
    let sum = match command {
        Command::Create { template, argument } => {
            Sum::Create(CreateCommand { template_id: identifier(template), create_arguments: record(argument) })
        }
        Command::Exercise { template, contract_id, choice, argument } => Sum::Exercise(ExerciseCommand {
            template_id: identifier(template),
            contract_id: contract_id.to_string(),
            choice: choice.to_string(),
            choice_argument: Some(value_message(argument)),
        }),
        Command::ExerciseByKey { template, key, choice, argument } => Sum::ExerciseByKey(ExerciseByKeyCommand {
            template_id: identifier(template),
            contract_key: Some(value_message(key)),
            choice: choice.to_string(),
            choice_argument: Some(value_message(argument)),
        }),
        Command::CreateAndExercise { template, create_argument, choice, choice_argument } => {
            Sum::CreateAndExercise(CreateAndExerciseCommand {
                template_id: identifier(template),
                create_arguments: record(create_argument),
                choice: choice.to_string(),
                choice_argument: Some(value_message(choice_argument)),
            })
        }
    };
    api::Command { command: Some(sum) }
}

/// A contract as scripts pass it on: a message of this API itself.
fn blob(created: &CreatedEvent) -> Vec<u8> {
    let disclosed = DisclosedContract {
        template_id: created.template_id.clone(),
        contract_id: created.contract_id.clone(),
        created_event_blob: created.created_event_blob.clone(),
        ..DisclosedContract::default()
    };
    prost::Message::encode_to_vec(&disclosed)
}

/// Reads what [`blob`] wrote.
pub(super) fn disclosed(blob: &[u8]) -> Option<DisclosedContract> {
    prost::Message::decode(blob).ok()
}

fn read_identifier(id: Option<&api::Identifier>) -> Option<Identifier> {
    let id = id?;
    Some(Identifier {
        package: id.package_id.parse().ok()?,
        module: id.module_name.parse().ok()?,
        entity: id.entity_name.parse().ok()?,
    })
}

fn argument(created: &CreatedEvent) -> Option<Value> {
    read_value(&api::Value { sum: Some(api::value::Sum::Record(created.create_arguments.clone()?)) }).ok()
}

/// An active contract; nothing if the message is malformed.
pub(super) fn active_contract(created: &CreatedEvent) -> Option<ActiveContract> {
    Some(ActiveContract {
        contract_id: created.contract_id.parse().ok()?,
        template: read_identifier(created.template_id.as_ref())?,
        package_name: created.package_name.parse().ok()?,
        argument: argument(created)?,
        blob: blob(created),
    })
}

/// The key of a contract.
pub(super) fn key(created: &CreatedEvent) -> Option<Value> {
    read_value(created.contract_key.as_ref()?).ok()
}

fn exercised(event: &ExercisedEvent, depth: usize) -> Option<Event> {
    let value = |value: &Option<api::Value>| value.as_ref().and_then(|value| read_value(value).ok());
    Some(Event {
        depth,
        contract_id: event.contract_id.parse().ok()?,
        template: read_identifier(event.template_id.as_ref())?,
        action: Action::Exercised {
            interface: read_identifier(event.interface_id.as_ref()),
            choice: event.choice.parse().ok()?,
            argument: value(&event.choice_argument)?,
            result: value(&event.exercise_result)?,
        },
    })
}

/// The events of a transaction, each with how many exercises it happened in.
pub(super) fn events(events: &[api::Event]) -> Vec<Event> {
    // The last nodes of the exercises around.
    let mut around: Vec<i32> = Vec::new();
    let mut found = Vec::new();
    for event in events {
        let node = match &event.event {
            Some(EventSum::Created(event)) => event.node_id,
            Some(EventSum::Exercised(event)) => event.node_id,
            _ => continue,
        };
        while around.pop_if(|last| *last < node).is_some() {}
        let depth = around.len();
        match &event.event {
            Some(EventSum::Created(created)) => found.extend(active_contract(created).map(|contract| Event {
                depth,
                contract_id: contract.contract_id,
                template: contract.template,
                action: Action::Created { argument: contract.argument },
            })),
            Some(EventSum::Exercised(event)) => {
                found.extend(exercised(event, depth));
                around.push(event.last_descendant_node_id);
            }
            _ => {}
        }
    }
    found
}
