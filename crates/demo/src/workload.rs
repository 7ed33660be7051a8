//! What the demo's clients do: one party offers, another one, on the other participant, accepts.

use canton_proto::com::daml::ledger::api::v2::{
    Command, CreateCommand, CreatedEvent, ExerciseCommand, Identifier, Record, RecordField, Value, command, value,
};

/// Commands of one model.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    package: String,
    module: &'static str,
    offer: &'static str,
    accept: &'static str,
    argument: fn(&str, &str, i64) -> Record,
}

fn party(label: &str, party: &str) -> RecordField {
    field(label, value::Sum::Party(party.into()))
}

fn field(label: &str, sum: value::Sum) -> RecordField {
    RecordField { label: label.into(), value: Some(Value { sum: Some(sum) }) }
}

fn record(fields: Vec<RecordField>) -> Record {
    Record { record_id: None, fields }
}

impl Workload {
    /// The project's own model: an `IouOffer` by its issuer, accepted by its owner.
    pub(crate) fn own() -> Self {
        Self {
            package: "#concordat-iou".into(),
            module: "Iou",
            offer: "IouOffer",
            accept: "Accept",
            argument: |issuer, owner, n| {
                let iou = record(vec![
                    party("issuer", issuer),
                    party("owner", owner),
                    field("currency", value::Sum::Text("EUR".into())),
                    field("amount", value::Sum::Numeric(format!("{n}.0"))),
                ]);
                record(vec![field("iou", value::Sum::Record(iou))])
            },
        }
    }

    /// The `Iou` of the field's CantonExamples: issued by its payer, called by its owner.
    pub(crate) fn canton_examples(package: String) -> Self {
        Self {
            package,
            module: "Iou",
            offer: "Iou",
            accept: "Call",
            argument: |payer, owner, n| {
                let amount = record(vec![
                    field("value", value::Sum::Numeric(format!("{n}.0"))),
                    field("currency", value::Sum::Text("EUR".into())),
                ]);
                record(vec![
                    party("payer", payer),
                    party("owner", owner),
                    field("amount", value::Sum::Record(amount)),
                    field("viewers", value::Sum::List(Default::default())),
                ])
            },
        }
    }

    fn template(&self) -> Identifier {
        Identifier { package_id: self.package.clone(), module_name: self.module.into(), entity_name: self.offer.into() }
    }

    /// An offer of `from` to `to`.
    pub(crate) fn offer(&self, from: &str, to: &str, n: i64) -> Command {
        let create =
            CreateCommand { template_id: Some(self.template()), create_arguments: Some((self.argument)(from, to, n)) };
        Command { command: Some(command::Command::Create(create)) }
    }

    /// The acceptance of an offer.
    pub(crate) fn accept(&self, contract_id: String) -> Command {
        let exercise = ExerciseCommand {
            template_id: Some(self.template()),
            contract_id,
            choice: self.accept.into(),
            choice_argument: Some(Value { sum: Some(value::Sum::Record(record(Vec::new()))) }),
        };
        Command { command: Some(command::Command::Exercise(exercise)) }
    }

    /// Whether the contract is an offer.
    pub(crate) fn is_offer(&self, created: &CreatedEvent) -> bool {
        let template = created.template_id.as_ref();
        template.is_some_and(|t| t.module_name == self.module && t.entity_name == self.offer)
    }
}
