//! Commands of the project's own model.

use canton_proto::com::daml::ledger::api::v2::{
    Command, CreateCommand, ExerciseCommand, Identifier, Record, RecordField, Value, command, value,
};

fn field(label: &str, sum: value::Sum) -> RecordField {
    RecordField { label: label.into(), value: Some(Value { sum: Some(sum) }) }
}

fn record(fields: Vec<RecordField>) -> value::Sum {
    value::Sum::Record(Record { record_id: None, fields })
}

fn template() -> Option<Identifier> {
    let identifier = ["#concordat-iou", "Iou", "IouOffer"].map(str::to_owned);
    let [package_id, module_name, entity_name] = identifier;
    Some(Identifier { package_id, module_name, entity_name })
}

/// What `issuer` promises `owner`.
pub(crate) fn offer(issuer: &str, owner: &str) -> Command {
    let iou = record(vec![
        field("issuer", value::Sum::Party(issuer.into())),
        field("owner", value::Sum::Party(owner.into())),
        field("currency", value::Sum::Text("EUR".into())),
        field("amount", value::Sum::Numeric("7.0".into())),
    ]);
    let create_arguments = Some(Record { record_id: None, fields: vec![field("iou", iou)] });
    let create = CreateCommand { template_id: template(), create_arguments };
    Command { command: Some(command::Command::Create(create)) }
}

/// By its owner.
pub(crate) fn accept(contract_id: &str) -> Command {
    let exercise = ExerciseCommand {
        template_id: template(),
        contract_id: contract_id.into(),
        choice: "Accept".into(),
        choice_argument: Some(Value { sum: Some(record(Vec::new())) }),
    };
    Command { command: Some(command::Command::Exercise(exercise)) }
}
