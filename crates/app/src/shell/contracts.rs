//! Commands, contracts and values of the Ledger API, as values of the language.

use super::{
    commands::{argument, check},
    made,
};
use ::console::{Argument, Data, Value};
use canton_proto::com::daml::ledger::api::v2::{
    Command, CreateCommand, CreatedEvent, ExerciseCommand, Identifier, List, Optional, Record, RecordField,
    Transaction, Value as Proto, command, event, value::Sum,
};
use prost::Message as _;

pub(super) const COMMAND: &str = "com.daml.ledger.api.v1.commands.Command";
/// Of records in records: more than models have.
const MAX_DEPTH: usize = 64;

/// What `ledger_api_utils` makes.
pub(super) fn call(command: &str, arguments: &[Argument]) -> Result<Value, String> {
    let text = |place, name| argument(arguments, place, name).map(|value| value.plain());
    let command = match command {
        "create" => {
            check(arguments, &["packageId", "module", "template", "arguments"])?;
            let template_id = Some(Identifier {
                package_id: text(0, "packageId")?,
                module_name: text(1, "module")?,
                entity_name: text(2, "template")?,
            });
            let create_arguments = Some(record(&argument(arguments, 3, "arguments")?, 0)?);
            command::Command::Create(CreateCommand { template_id, create_arguments })
        }
        "exercise" => {
            check(arguments, &["choice", "arguments", "event"])?;
            let event = argument(arguments, 2, "event")?;
            let created = event.field("event").unwrap_or(&event);
            let contract_id = created.field("contractId").map(Value::plain);
            let contract_id = contract_id.ok_or("an event with the contract is needed, as find_generic returns it")?;
            let template_id = created.field("templateId").and_then(identifier);
            let sum = Some(Sum::Record(record(&argument(arguments, 1, "arguments")?, 0)?));
            let choice_argument = Some(Proto { sum });
            let choice = text(0, "choice")?;
            command::Command::Exercise(ExerciseCommand { template_id, contract_id, choice, choice_argument })
        }
        other => return Err(format!("ledger_api_utils has no {other}; it has create and exercise")),
    };
    shown_command(&Command { command: Some(command) })
}

fn identifier(option: &Value) -> Option<Identifier> {
    let shown = option.items()?.first()?;
    let text = |name| shown.field(name).map(Value::plain);
    Some(Identifier {
        package_id: text("packageId")?,
        module_name: text("moduleName")?,
        entity_name: text("entityName")?,
    })
}

/// A map of labels to values.
fn record(map: &Value, depth: usize) -> Result<Record, String> {
    let items = map.items().filter(|items| items.iter().all(|item| item.pair().is_some()));
    let items = items.ok_or_else(|| format!("a Map of names to values is needed, this is {}", map.type_name()))?;
    let field = |(name, value): (&Value, &Value)| {
        Ok(RecordField { label: name.plain(), value: Some(proto(value, depth + 1)?) })
    };
    let fields = items.iter().filter_map(Value::pair).map(field).collect::<Result<_, String>>()?;
    Ok(Record { record_id: None, fields })
}

/// What a value of the language is on the ledger. Types are not known here; the participant checks them.
fn proto(value: &Value, depth: usize) -> Result<Proto, String> {
    if depth > MAX_DEPTH {
        return Err(format!("the depth of a value is limited to {MAX_DEPTH}"));
    }
    let is_map = value.type_name().starts_with("Map[");
    let is_option = value.type_name().starts_with("Option[");
    let sum = match value {
        Value::Unit => Sum::Unit(()),
        Value::Bool(bool) => Sum::Bool(*bool),
        Value::Int(int) => Sum::Int64(*int),
        Value::Double(double) => Sum::Numeric(format!("{double:?}")),
        Value::Id("PartyId", party) => Sum::Party(party.to_string()),
        Value::Id("LfContractId", id) => Sum::ContractId(id.to_string()),
        Value::Text(text) => Sum::Text(text.to_string()),
        _ if is_map => Sum::Record(record(value, depth)?),
        _ => match value.items() {
            Some(items) if is_option => {
                let inner = items.first().map(|inner| proto(inner, depth + 1)).transpose()?;
                Sum::Optional(Box::new(Optional { value: inner.map(Box::new) }))
            }
            Some(items) => {
                Sum::List(List { elements: items.iter().map(|item| proto(item, depth + 1)).collect::<Result<_, _>>()? })
            }
            None => return Err(format!("{} is no value of the ledger", value.type_name())),
        },
    };
    Ok(Proto { sum: Some(sum) })
}

fn shown_identifier(id: Option<&Identifier>, name: &'static str) -> Result<Value, String> {
    let Identifier { package_id, module_name, entity_name } = id.cloned().unwrap_or_default();
    made(Value::record(
        name,
        vec![
            ("packageId", made(Value::text(&package_id))?),
            ("moduleName", made(Value::text(&module_name))?),
            ("entityName", made(Value::text(&entity_name))?),
        ],
    ))
}

fn some(value: Value) -> Result<Value, String> {
    made(Value::option(Some(value)))
}

/// `Command(command = Create(value = CreateCommand(…)))`
fn shown_command(command: &Command) -> Result<Value, String> {
    let (kind, inner) = match &command.command {
        Some(command::Command::Create(create)) => {
            let id = some(shown_identifier(create.template_id.as_ref(), "Identifier")?)?;
            let arguments = some(shown_record(create.create_arguments.as_ref())?)?;
            ("Create", Value::record("CreateCommand", vec![("templateId", id), ("createArguments", arguments)]))
        }
        Some(command::Command::Exercise(exercise)) => {
            let fields = vec![
                ("templateId", some(shown_identifier(exercise.template_id.as_ref(), "Identifier")?)?),
                ("contractId", made(Value::text(&exercise.contract_id))?),
                ("choice", made(Value::text(&exercise.choice))?),
            ];
            ("Exercise", Value::record("ExerciseCommand", fields))
        }
        _ => return Err("this command cannot be shown".into()),
    };
    let inner = made(Value::record(kind, vec![("value", made(inner)?)]))?;
    let shown = made(Value::record("Command", vec![("command", inner)]))?.pretty();
    Ok(Value::Data(Data { kind: COMMAND, shown, bytes: command.encode_to_vec() }.into()))
}

/// The commands of a sequence.
pub(super) fn read_commands(value: &Value) -> Result<Vec<Command>, String> {
    let each = value.items().unwrap_or(std::slice::from_ref(value));
    let read = |value: &Value| match value {
        Value::Data(data) if data.kind == COMMAND => {
            Command::decode(data.bytes.as_slice()).map_err(|error| error.to_string())
        }
        other => Err(format!("a command is needed, as ledger_api_utils makes them; this is {}", other.type_name())),
    };
    each.iter().map(read).collect()
}

fn shown_record(record: Option<&Record>) -> Result<Value, String> {
    let fields = record.map(|record| record.fields.as_slice()).unwrap_or_default();
    let pair = |field: &RecordField| Ok((made(Value::text(&field.label))?, plain(field.value.as_ref(), 0)?));
    let fields = fields.iter().map(pair).collect::<Result<_, String>>()?;
    made(Value::record("Record", vec![("fields", made(Value::map(fields))?)]))
}

/// A value of the ledger in the language.
fn plain(value: Option<&Proto>, depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Ok(Value::Report("Any", "...".into()));
    }
    let pair = |field: &RecordField| Ok((made(Value::text(&field.label))?, plain(field.value.as_ref(), depth + 1)?));
    made(match value.and_then(|value| value.sum.as_ref()) {
        None | Some(Sum::Unit(())) => Ok(Value::Unit),
        Some(Sum::Bool(bool)) => Ok(Value::Bool(*bool)),
        Some(Sum::Int64(int)) => Ok(Value::Int(*int)),
        Some(Sum::Numeric(text) | Sum::Text(text) | Sum::Party(text) | Sum::ContractId(text)) => Value::text(text),
        Some(Sum::Record(record)) => Value::map(record.fields.iter().map(pair).collect::<Result<_, String>>()?),
        Some(Sum::List(list)) => {
            Value::vector(list.elements.iter().map(|e| plain(Some(e), depth + 1)).collect::<Result<_, String>>()?)
        }
        Some(Sum::Optional(inner)) => {
            let inner = inner.value.as_deref().map(|inner| plain(Some(inner), depth + 1)).transpose()?;
            Value::option(inner)
        }
        Some(other) => Value::text(&format!("{other:?}").chars().take(1000).collect::<String>()),
    })
}

/// `WrappedCreatedEvent(event = CreatedEvent(…))`
pub(super) fn created(event: &CreatedEvent) -> Result<Value, String> {
    let parties = |parties: &[String]| {
        let parties = parties.iter().map(|party| Value::Id("PartyId", party.as_str().into())).collect();
        made(Value::vector(parties))
    };
    let fields = vec![
        ("eventId", made(Value::text(&format!("#{}:{}", event.offset, event.node_id)))?),
        ("contractId", made(Value::text(&event.contract_id))?),
        ("templateId", some(shown_identifier(event.template_id.as_ref(), "Identifier")?)?),
        ("createArguments", some(shown_record(event.create_arguments.as_ref())?)?),
        ("signatories", parties(&event.signatories)?),
        ("observers", parties(&event.observers)?),
    ];
    let event = made(Value::record("CreatedEvent", fields))?;
    made(Value::record("WrappedCreatedEvent", vec![("event", event)]))
}

/// `Transaction(…)`
pub(super) fn transaction(name: &'static str, transaction: &Transaction) -> Result<Value, String> {
    let text = |text: &str| made(Value::text(text));
    let at = transaction.effective_at.unwrap_or_default();
    let time = vec![("seconds", Value::Int(at.seconds)), ("nanos", Value::Int(at.nanos.into()))];
    let mut events = Vec::new();
    for event in &transaction.events {
        events.push(match &event.event {
            Some(event::Event::Created(event)) => created(event)?.field("event").cloned().unwrap_or(Value::Unit),
            Some(event::Event::Archived(event)) => {
                made(Value::record("ArchivedEvent", vec![("contractId", text(&event.contract_id)?)]))?
            }
            Some(event::Event::Exercised(event)) => made(Value::record(
                "ExercisedEvent",
                vec![("contractId", text(&event.contract_id)?), ("choice", text(&event.choice)?)],
            ))?,
            None => Value::Unit,
        });
    }
    let fields = vec![
        ("transactionId", text(&transaction.update_id)?),
        ("commandId", text(&transaction.command_id)?),
        ("workflowId", text(&transaction.workflow_id)?),
        ("effectiveAt", some(made(Value::record("Timestamp", time))?)?),
        ("offset", text(&format!("{:018x}", transaction.offset))?),
        ("events", made(Value::vector(events))?),
    ];
    made(Value::record(name, fields))
}

/// What contracts and their templates can do beside what all values can; `None` if it is nothing of that.
pub(super) fn method(of: &Value, name: &str, arguments: &[Argument]) -> Option<Result<Value, String>> {
    match (of.record_name(), name) {
        (Some("WrappedCreatedEvent"), "templateId") => {
            let id = of.field("event")?.field("templateId").and_then(identifier);
            Some(shown_identifier(id.as_ref(), "TemplateId"))
        }
        (Some("WrappedCreatedEvent"), "arguments") => {
            let record = of.field("event")?.field("createArguments")?.items()?.first()?;
            let mut flat = Vec::new();
            let outcome = flatten("", record.field("fields")?, &mut flat);
            Some(outcome.and_then(|()| made(Value::map(flat))))
        }
        (Some("TemplateId"), "isModuleEntity") => Some((|| {
            check(arguments, &["moduleName", "entityName"])?;
            let is_it = |place, name| {
                Ok::<_, String>(of.field(name).map(Value::plain) == Some(argument(arguments, place, name)?.plain()))
            };
            Ok(Value::Bool(is_it(0, "moduleName")? && is_it(1, "entityName")?))
        })()),
        _ => None,
    }
}

/// Records in records become names with dots.
fn flatten(prefix: &str, map: &Value, flat: &mut Vec<(Value, Value)>) -> Result<(), String> {
    // Values have a bounded depth.
    for (name, value) in map.items().unwrap_or_default().iter().filter_map(Value::pair) {
        let name = format!("{prefix}{}", name.plain());
        match value.type_name().starts_with("Map[") {
            true => flatten(&format!("{name}."), value, flat)?,
            false => flat.push((made(Value::text(&name))?, value.clone())),
        }
    }
    Ok(())
}
