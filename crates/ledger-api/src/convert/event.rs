//! Entries of the ledger as messages.

use super::{
    TransactionFilter, duration,
    filter::{EventFilter, Shape},
    timestamp,
    value::{identifier, show, show_record},
};
use crate::writes::Enrich;
use base::{PartyId, SynchronizerId, Timestamp};
use canton_proto::{com::daml::ledger::api::v2 as api, google::rpc};
use ledger::{ActiveContract, Completion, CompletionOutcome, Entry, Update};
use std::collections::BTreeSet;
use transaction::{Blinding, ContractInstance, Create, Exercise, Node, NodeId, Parties, Value};

/// A transaction as a client asked for it; `None` if it sees nothing of it.
pub(crate) fn transaction(
    entry: &Entry<Update>,
    filter: &TransactionFilter,
    enrich: &dyn Enrich,
) -> Option<api::Transaction> {
    let update = &entry.content;
    let view = View { entry, filter, enrich, blinding: update.transaction.blinding() };
    let events = view.events();
    if events.is_empty() {
        return None;
    }
    // The command id is the business of those who submitted it.
    let command = update.command.as_ref().filter(|c| filter.events.asks_for_any_of(&c.act_as));
    Some(api::Transaction {
        update_id: update.id.to_string(),
        command_id: command.map(|c| c.command.to_string()).unwrap_or_default(),
        workflow_id: update.workflow.as_ref().map(ToString::to_string).unwrap_or_default(),
        effective_at: Some(timestamp(update.effective_at)),
        events,
        offset: entry.offset,
        synchronizer_id: entry.synchronizer.to_string(),
        record_time: Some(timestamp(entry.record_time)),
        ..api::Transaction::default()
    })
}

struct View<'a> {
    entry: &'a Entry<Update>,
    filter: &'a TransactionFilter,
    enrich: &'a dyn Enrich,
    blinding: Blinding,
}

fn number(id: NodeId) -> i32 {
    i32::try_from(id.0).unwrap_or(i32::MAX)
}

impl View<'_> {
    fn events(&self) -> Vec<api::Event> {
        let transaction = &self.entry.content.transaction;
        let rolled_back = transaction.rolled_back();
        let effective = || transaction.nodes().zip(&rolled_back).filter(|(_, gone)| !**gone).map(|(node, _)| node);
        let created: BTreeSet<_> = effective()
            .filter_map(|(_, n)| if let Node::Create(c) = n { Some(&c.contract_id) } else { None })
            .collect();
        let archived: BTreeSet<_> = effective()
            .filter_map(|(_, n)| match n {
                Node::Exercise(e) if e.consuming => Some(&e.contract_id),
                _ => None,
            })
            .collect();
        let delta = self.filter.shape == Shape::AcsDelta;
        effective()
            .filter_map(|(id, node)| match node {
                Node::Create(create) if delta && archived.contains(&create.contract_id) => None,
                Node::Create(create) => self.created(id, create, !archived.contains(&create.contract_id)),
                Node::Exercise(e) if delta && (!e.consuming || created.contains(&e.contract_id)) => None,
                Node::Exercise(exercise) if delta => self.archived(id, exercise),
                Node::Exercise(exercise) => self.exercised(id, exercise, !created.contains(&exercise.contract_id)),
                Node::Fetch(_) | Node::QueryByKey(_) | Node::Rollback(_) => None,
            })
            .map(|event| api::Event { event: Some(event) })
            .collect()
    }

    /// The hosted parties that the client asks for and that see the node: as stakeholders or as witnesses.
    fn seers(&self, id: NodeId, stakeholders: &Parties, instance: &Template<'_>) -> Vec<String> {
        let hosted = &self.entry.content.hosted;
        let none = Parties::new();
        let seers = match self.filter.shape {
            Shape::AcsDelta => stakeholders,
            Shape::LedgerEffects => self.blinding.witnesses(id).unwrap_or(&none),
        };
        self.filter.events.among(seers.iter().filter(|p| hosted.contains(p)), instance.0, instance.1)
    }

    fn created(&self, id: NodeId, create: &Create, acs_delta: bool) -> Option<api::event::Event> {
        let instance = &create.instance;
        let witnesses = self.seers(id, &instance.stakeholders, &Template(&instance.template, &instance.package_name));
        if witnesses.is_empty() {
            return None;
        }
        let mut event =
            created_event(instance, self.entry.content.effective_at, self.filter.events.verbose, self.enrich);
        event.offset = self.entry.offset;
        event.node_id = number(id);
        event.contract_id = create.contract_id.to_string();
        event.witness_parties = witnesses;
        event.acs_delta = acs_delta;
        Some(api::event::Event::Created(event))
    }

    fn archived(&self, id: NodeId, exercise: &Exercise) -> Option<api::event::Event> {
        let witnesses = self.seers(id, &exercise.stakeholders, &Template(&exercise.template, &exercise.package_name));
        (!witnesses.is_empty()).then(|| {
            api::event::Event::Archived(api::ArchivedEvent {
                offset: self.entry.offset,
                node_id: number(id),
                contract_id: exercise.contract_id.to_string(),
                template_id: Some(identifier(&exercise.template)),
                witness_parties: witnesses,
                package_name: exercise.package_name.to_string(),
                implemented_interfaces: Vec::new(),
            })
        })
    }

    fn exercised(&self, id: NodeId, exercise: &Exercise, is_older: bool) -> Option<api::event::Event> {
        let witnesses = self.seers(id, &exercise.stakeholders, &Template(&exercise.template, &exercise.package_name));
        if witnesses.is_empty() {
            return None;
        }
        let owner = exercise.interface.as_ref().unwrap_or(&exercise.template);
        let verbose = self.filter.events.verbose;
        let argument = self.enrich.choice_argument(owner, &exercise.choice, &exercise.argument);
        let result = exercise.result.as_ref().map(|result| self.enrich.choice_result(owner, &exercise.choice, result));
        let end = self.entry.content.transaction.subtree_end(id);
        Some(api::event::Event::Exercised(api::ExercisedEvent {
            offset: self.entry.offset,
            node_id: number(id),
            contract_id: exercise.contract_id.to_string(),
            template_id: Some(identifier(&exercise.template)),
            interface_id: exercise.interface.as_ref().map(identifier),
            choice: exercise.choice.to_string(),
            choice_argument: Some(show(&argument, verbose)),
            acting_parties: exercise.actors.iter().map(ToString::to_string).collect(),
            consuming: exercise.consuming,
            witness_parties: witnesses,
            last_descendant_node_id: number(end) - 1,
            exercise_result: result.map(|result| show(&result, verbose)),
            package_name: exercise.package_name.to_string(),
            implemented_interfaces: Vec::new(),
            acs_delta: exercise.consuming && is_older,
        }))
    }
}

struct Template<'a>(&'a base::Identifier, &'a base::PackageName);

fn created_event(
    instance: &ContractInstance,
    created_at: Timestamp,
    verbose: bool,
    enrich: &dyn Enrich,
) -> api::CreatedEvent {
    let names = |parties: &mut dyn Iterator<Item = &PartyId>| parties.map(ToString::to_string).collect();
    let argument = enrich.contract(&instance.template, &instance.argument);
    let create_arguments = match &argument {
        Value::Record(record) => Some(show_record(record, verbose)),
        _ => None,
    };
    api::CreatedEvent {
        template_id: Some(identifier(&instance.template)),
        contract_key: instance.key.as_ref().map(|key| show(&key.value, verbose)),
        create_arguments,
        signatories: names(&mut instance.signatories.iter()),
        observers: names(&mut instance.stakeholders.difference(&instance.signatories)),
        created_at: Some(timestamp(created_at)),
        package_name: instance.package_name.to_string(),
        representative_package_id: instance.template.package.to_string(),
        ..api::CreatedEvent::default()
    }
}

/// An active contract as a client asked for it; `None` if none of its parties is a stakeholder.
pub(crate) fn active_contract(
    active: &ActiveContract,
    filter: &EventFilter,
    hosted: &Parties,
    enrich: &dyn Enrich,
) -> Option<api::ActiveContract> {
    let instance = &active.contract.instance;
    let stakeholders = instance.stakeholders.iter().filter(|party| hosted.contains(party));
    let witnesses = filter.among(stakeholders, &instance.template, &instance.package_name);
    if witnesses.is_empty() {
        return None;
    }
    let mut event = created_event(instance, active.contract.created_at, filter.verbose, enrich);
    event.offset = active.created_offset;
    event.node_id = active.node;
    event.contract_id = active.contract.id.to_string();
    event.witness_parties = witnesses;
    event.acs_delta = true;
    Some(api::ActiveContract {
        created_event: Some(event),
        synchronizer_id: active.synchronizer.to_string(),
        reassignment_counter: 0,
    })
}

/// The end of a submission.
pub(crate) fn completion(entry: &Entry<Completion>) -> api::Completion {
    let Completion { command, outcome, deduplication } = &entry.content;
    let (update_id, status) = match outcome {
        CompletionOutcome::Committed(update) => {
            (update.to_string(), rpc::Status { code: 0, message: String::new(), details: Vec::new() })
        }
        CompletionOutcome::Rejected { code, message } => (String::new(), rejection(*code, message)),
    };
    api::Completion {
        command_id: command.command.to_string(),
        status: Some(status),
        update_id,
        user_id: command.user.to_string(),
        act_as: command.act_as.iter().map(ToString::to_string).collect(),
        submission_id: command.submission.as_ref().map(ToString::to_string).unwrap_or_default(),
        deduplication_period: Some(api::completion::DeduplicationPeriod::DeduplicationDuration(duration(
            *deduplication,
        ))),
        offset: entry.offset,
        synchronizer_time: Some(synchronizer_time(&entry.synchronizer, entry.record_time)),
        ..api::Completion::default()
    }
}

/// The status that a completion carries: what the call itself would have answered.
fn rejection(code: base::ErrorCode, message: &str) -> rpc::Status {
    let status = crate::error::refuse(&Rejected { code, message: message.to_owned() });
    use prost::Message as _;
    rpc::Status::decode(status.details()).unwrap_or_else(|_| rpc::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}

/// A rejection that the ledger remembers.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Rejected {
    pub(crate) code: base::ErrorCode,
    pub(crate) message: String,
}

impl base::Coded for Rejected {
    fn code(&self) -> base::ErrorCode {
        self.code
    }

    fn definite_answer(&self) -> bool {
        true
    }
}

pub(crate) fn synchronizer_time(synchronizer: &SynchronizerId, at: Timestamp) -> api::SynchronizerTime {
    api::SynchronizerTime { synchronizer_id: synchronizer.to_string(), record_time: Some(timestamp(at)) }
}
