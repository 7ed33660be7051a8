//! `CommandInspectionService`: what has become of commands. The answer is definite, because it comes from the shared store:
//! what is registered is pending until it has a completion, and what is neither pending nor completed never took effect
//! and never will. The commands themselves are not kept, nor when they came.

use crate::{
    ApiError, LedgerApi,
    convert::{completion, identifier, message, timestamp},
    error::refused,
};
use canton_proto::com::daml::ledger::api::v2::{
    self as api,
    admin::{
        CommandState, CommandStatus, CommandUpdates, Contract, GetCommandStatusRequest, GetCommandStatusResponse,
        command_inspection_service_server::CommandInspectionService,
    },
};
use ledger::{Command, Completion, CompletionOutcome, Entry, Update};
use std::collections::BTreeSet;
use tonic::{Request, Response, Status};
use transaction::{ContractKey, Node};

/// How many are shown, and how many where the client does not say.
const MAX_SHOWN: u32 = 1000;
const SHOWN: u32 = 100;

/// Pending: all that is known are its names.
fn pending(command: &Command) -> CommandStatus {
    CommandStatus {
        completion: Some(api::Completion {
            command_id: command.command.to_string(),
            user_id: command.user.to_string(),
            act_as: command.act_as.iter().map(ToString::to_string).collect(),
            submission_id: command.submission.as_ref().map(ToString::to_string).unwrap_or_default(),
            ..api::Completion::default()
        }),
        state: CommandState::Pending.into(),
        ..CommandStatus::default()
    }
}

fn completed(entry: &Entry<Completion>, update: Option<&Entry<Update>>) -> CommandStatus {
    let state = match entry.content.outcome {
        CompletionOutcome::Committed(_) => CommandState::Succeeded,
        CompletionOutcome::Rejected { .. } => CommandState::Failed,
    };
    CommandStatus {
        completed: Some(timestamp(entry.record_time)),
        completion: Some(completion(entry)),
        state: state.into(),
        updates: update.map(|update| updates(&update.content)),
        synchronizer_id: entry.synchronizer.to_string(),
        ..CommandStatus::default()
    }
}

/// What a command did, as far as this participant sees it.
fn updates(update: &Update) -> CommandUpdates {
    let contract = |id: &base::ContractId, template: &base::Identifier, key: Option<&ContractKey>| Contract {
        template_id: Some(identifier(template)),
        contract_id: id.to_string(),
        contract_key: key.map(|key| message(&key.value)),
    };
    let mut updates = CommandUpdates::default();
    let transaction = &update.transaction;
    for ((_, node), undone) in transaction.nodes().zip(transaction.rolled_back()) {
        match node {
            _ if undone => {}
            Node::Create(create) => {
                let (id, instance) = (&create.contract_id, &create.instance);
                updates.created.push(contract(id, &instance.template, instance.key.as_ref()));
            }
            Node::Exercise(exercise) => {
                updates.exercised += 1;
                if exercise.consuming {
                    let (id, key) = (&exercise.contract_id, exercise.key.as_ref());
                    updates.archived.push(contract(id, &exercise.template, key));
                }
            }
            Node::Fetch(_) => updates.fetched += 1,
            Node::QueryByKey(_) => updates.looked_up_by_key += 1,
            Node::Rollback(_) => {}
        }
    }
    updates
}

#[tonic::async_trait]
impl CommandInspectionService for LedgerApi {
    async fn get_command_status(
        &self,
        request: Request<GetCommandStatusRequest>,
    ) -> Result<Response<GetCommandStatusResponse>, Status> {
        let request = request.into_inner();
        let prefix = request.command_id_prefix.as_str();
        let state = CommandState::try_from(request.state)
            .map_err(|_| ApiError::invalid("state", format!("{} is none", request.state)))?;
        let limit = if request.limit == 0 { SHOWN } else { request.limit.min(MAX_SHOWN) };
        // In this order, so that what is completed meanwhile is found all the same, and once.
        let before = self.ledger.end().await.map_err(ApiError::from)?;
        let mut in_flight = match state {
            CommandState::Unspecified | CommandState::Pending => self.writes.in_flight().await.map_err(refused)?,
            CommandState::Succeeded | CommandState::Failed => Vec::new(),
        };
        let accepted = match state {
            CommandState::Succeeded => Some(true),
            CommandState::Unspecified | CommandState::Pending => None,
            CommandState::Failed => Some(false),
        };
        let completed_ones = self.ledger.last_completions(prefix, accepted, limit).await.map_err(ApiError::from)?;
        let meanwhile = completed_ones.iter().filter(|entry| entry.offset > before);
        let ends: BTreeSet<_> = meanwhile.map(|entry| &entry.content.command.submission).collect();
        in_flight.retain(|command| command.command.as_str().starts_with(prefix) && !ends.contains(&command.submission));
        let mut command_status: Vec<_> = in_flight.iter().map(pending).collect();
        if state != CommandState::Pending {
            for entry in &completed_ones {
                let update = self.ledger.update_at(entry.offset).await.map_err(ApiError::from)?;
                command_status.push(completed(entry, update.as_ref()));
            }
        }
        command_status.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(Response::new(GetCommandStatusResponse { command_status }))
    }
}
