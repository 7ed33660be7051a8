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

fn template(entity: &str) -> Option<Identifier> {
    let [package_id, module_name, entity_name] = ["#concordat-iou", "Iou", entity].map(str::to_owned);
    Some(Identifier { package_id, module_name, entity_name })
}

/// What `issuer` promises `owner`.
pub(crate) fn offer(issuer: &str, owner: &str, amount: &str) -> Command {
    let iou = record(vec![
        field("issuer", value::Sum::Party(issuer.into())),
        field("owner", value::Sum::Party(owner.into())),
        field("currency", value::Sum::Text("EUR".into())),
        field("amount", value::Sum::Numeric(amount.into())),
    ]);
    let create_arguments = Some(Record { record_id: None, fields: vec![field("iou", iou)] });
    let create = CreateCommand { template_id: template("IouOffer"), create_arguments };
    Command { command: Some(command::Command::Create(create)) }
}

/// By its owner.
pub(crate) fn accept(contract_id: &str) -> Command {
    exercise("IouOffer", "Accept", contract_id, &[])
}

/// A choice whose arguments are parties.
pub(crate) fn exercise(entity: &str, choice: &str, contract_id: &str, parties: &[(&str, &str)]) -> Command {
    let fields = parties.iter().map(|(label, party)| field(label, value::Sum::Party((*party).into()))).collect();
    let exercise = ExerciseCommand {
        template_id: template(entity),
        contract_id: contract_id.into(),
        choice: choice.into(),
        choice_argument: Some(Value { sum: Some(record(fields)) }),
    };
    Command { command: Some(command::Command::Exercise(exercise)) }
}
