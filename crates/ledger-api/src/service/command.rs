//! `CommandService` and `CommandSubmissionService`. A replica that is passive passes the submission on and waits here:
//! the completion shows in the shared ledger, whoever wrote it.

use crate::{
    ApiError, LedgerApi,
    access::{Access, bearer},
    api::COMMAND_TIMEOUT,
    convert::{self, Rejected, TransactionFilter, commands, parties, transaction, transaction_filter},
    error::{refuse, refused},
};
use base::{ErrorCode, SubmissionId, codes};
use canton_proto::com::daml::ledger::api::v2::{
    Commands, SubmitAndWaitForReassignmentRequest, SubmitAndWaitForReassignmentResponse,
    SubmitAndWaitForTransactionRequest, SubmitAndWaitForTransactionResponse, SubmitAndWaitRequest,
    SubmitAndWaitResponse, SubmitReassignmentRequest, SubmitReassignmentResponse, SubmitRequest, SubmitResponse,
    command_service_server::CommandService, command_submission_service_client::CommandSubmissionServiceClient,
    command_submission_service_server::CommandSubmissionService,
};
use ledger::{Completion, CompletionOutcome, Entry};
use rpc::{MAX_DECODING_BYTES, Repeat, forwarded, is_forwarded};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tonic::{
    Request, Response, Status,
    codegen::http,
    metadata::{Ascii, MetadataValue},
};

/// A command that took effect.
struct Committed {
    update_id: String,
    offset: i64,
}

impl LedgerApi {
    /// Registers a submission at the active replica. Repeating the attempt is safe: the submission id says that it is
    /// the same one.
    async fn submit(&self, message: Commands, passed_on: bool, caller: Option<Bearer>) -> Result<(), Status> {
        let read = commands(Some(message.clone()))?;
        let is_repetition = AtomicBool::new(false);
        let here = || {
            let (read, repetition) = (read.clone(), is_repetition.swap(true, Ordering::Relaxed));
            async move { taken(self.writes.submit(read).await.map_err(refused), repetition) }
        };
        let there = |channel| {
            let mut request = forwarded(SubmitRequest { commands: Some(message.clone()) });
            if let Some(caller) = caller.clone() {
                request.metadata_mut().insert(http::header::AUTHORIZATION.as_str(), caller);
            }
            let repetition = is_repetition.swap(true, Ordering::Relaxed);
            async move {
                let mut client =
                    CommandSubmissionServiceClient::new(channel).max_encoding_message_size(MAX_DECODING_BYTES);
                taken(client.submit(request).await.map(|_| ()), repetition)
            }
        };
        self.router.run(passed_on, Repeat::Harmless, here, there).await
    }

    async fn submit_and_wait(
        &self,
        message: Commands,
        Call { timeout, caller, is_idempotent }: Call,
    ) -> Result<Committed, Status> {
        let read = commands(Some(message.clone()))?;
        // So that every attempt carries the same submission id.
        let message = Commands { submission_id: read.submission.to_string(), ..message };
        let command = ledger::Command {
            user: read.user.clone(),
            act_as: read.act_as.clone(),
            command: read.command.clone(),
            submission: Some(read.submission.clone()),
        };
        let expected = self.awaited.expect(command).await.map_err(ApiError::from)?;
        let wait = async {
            match self.submit(message, false, caller).await {
                Ok(()) => {}
                Err(status) if is_idempotent && is(&status, codes::DUPLICATE_COMMAND) => {
                    return self.original(&read).await?.ok_or(status);
                }
                // The end of the other attempt is the end of this one.
                Err(status) if is_idempotent && is(&status, codes::SUBMISSION_ALREADY_IN_FLIGHT) => {
                    return self.find(&read, None, expected.after).await;
                }
                Err(status) => return Err(status),
            }
            match expected.answer.await {
                Ok(entry) => told(end(entry)),
                Err(_) => self.find(&read, Some(&read.submission), expected.after).await,
            }
        };
        match tokio::time::timeout(timeout, wait).await {
            Ok(result) => result,
            Err(_) => Err(ApiError::Timeout.into()),
        }
    }
}

/// The end of an attempt: its submission id, its offset, and its update or why there is none.
type End = (Option<SubmissionId>, i64, Result<String, Rejected>);

impl LedgerApi {
    /// How attempts at a command ended after an offset, the first one first.
    async fn ends_of(&self, read: &convert::Commands, after: i64) -> Result<Vec<End>, Status> {
        let found = self.ledger.completions_of(read.command.as_str(), after).await.map_err(ApiError::from)?;
        let theirs = found.into_iter().filter(|entry| {
            let command = &entry.content.command;
            command.act_as == read.act_as && command.user == read.user
        });
        Ok(theirs.map(end).collect())
    }

    /// Waits until an attempt at a command has ended after an offset: this one, or any.
    async fn find(
        &self,
        read: &convert::Commands,
        own: Option<&SubmissionId>,
        after: i64,
    ) -> Result<Committed, Status> {
        let mut more = self.ledger.listen();
        loop {
            let ends = self.ends_of(read, after).await?;
            match ends.into_iter().find(|(submission, ..)| own.is_none() || submission.as_ref() == own) {
                Some(end) => return told(end),
                None => more.changed().await,
            }
        }
    }

    /// The attempt that a duplicate repeats: the last one that took effect.
    async fn original(&self, read: &convert::Commands) -> Result<Option<Committed>, Status> {
        let committed = |(_, offset, outcome): End| Some(Committed { update_id: outcome.ok()?, offset });
        Ok(self.ends_of(read, 0).await?.into_iter().rev().find_map(committed))
    }
}

fn end(entry: Entry<Completion>) -> End {
    let outcome = match entry.content.outcome {
        CompletionOutcome::Committed(id) => Ok(id.to_string()),
        CompletionOutcome::Rejected { code, message } => Err(Rejected { code, message }),
    };
    (entry.content.command.submission, entry.offset, outcome)
}

/// What is answered to whoever waited for it.
fn told((_, offset, outcome): End) -> Result<Committed, Status> {
    outcome.map(|update_id| Committed { update_id, offset }).map_err(|rejected| refuse(&rejected))
}

/// What a call that waits says beside its message.
struct Call {
    timeout: Duration,
    caller: Option<Bearer>,
    /// A command that took effect already is answered with that, not refused.
    is_idempotent: bool,
}

impl Call {
    fn of<T>(request: &Request<T>) -> Result<Self, ApiError> {
        let is_idempotent = match request.metadata().get(IDEMPOTENT).map(|value| value.as_bytes()) {
            None | Some(b"false") => false,
            Some(b"true") => true,
            Some(_) => return Err(ApiError::invalid(IDEMPOTENT, "it is neither true nor false")),
        };
        Ok(Self { timeout: timeout(request), caller: bearer(request), is_idempotent })
    }
}

/// The entry of a call's metadata by which its client asks for that.
const IDEMPOTENT: &str = "concordat-idempotent";

fn is(status: &Status, code: ErrorCode) -> bool {
    rpc::RpcError::from(status.clone()).id.as_deref() == Some(code.id)
}

/// What the caller showed of itself.
type Bearer = MetadataValue<Ascii>;

/// Commands that the caller may submit, in its name.
fn allowed(access: &Access, commands: Option<Commands>) -> Result<Commands, ApiError> {
    let mut message = commands.ok_or(ApiError::Missing("commands"))?;
    message.user_id = access.user(message.user_id)?;
    access.act_as(&parties(&message.act_as, "act_as")?)?;
    access.read_as(&parties(&message.read_as, "read_as")?)?;
    Ok(message)
}

/// Of a repetition: that it is in flight already says that the attempt before it arrived after all.
fn taken(result: Result<(), Status>, is_repetition: bool) -> Result<(), Status> {
    match result {
        Err(status) if is_repetition && is(&status, codes::SUBMISSION_ALREADY_IN_FLIGHT) => Ok(()),
        result => result,
    }
}

/// The client's own deadline, or ours.
fn timeout<T>(request: &Request<T>) -> Duration {
    let header = request.metadata().get("grpc-timeout").and_then(|value| value.to_str().ok());
    header.and_then(parse_timeout).unwrap_or(COMMAND_TIMEOUT).min(COMMAND_TIMEOUT)
}

/// At most eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[tonic::async_trait]
impl CommandSubmissionService for LedgerApi {
    async fn submit(&self, request: Request<SubmitRequest>) -> Result<Response<SubmitResponse>, Status> {
        let (passed_on, caller, access) = (is_forwarded(&request), bearer(&request), Self::access(&request)?);
        let mut message = allowed(&access, request.into_inner().commands)?;
        if message.submission_id.is_empty() {
            message.submission_id = identity::random::id();
        }
        Self::submit(self, message, passed_on, caller).await?;
        Ok(Response::new(SubmitResponse {}))
    }

    async fn submit_reassignment(
        &self,
        _: Request<SubmitReassignmentRequest>,
    ) -> Result<Response<SubmitReassignmentResponse>, Status> {
        Err(rpc::unimplemented("CommandSubmissionService/SubmitReassignment"))
    }
}

#[tonic::async_trait]
impl CommandService for LedgerApi {
    async fn submit_and_wait(
        &self,
        request: Request<SubmitAndWaitRequest>,
    ) -> Result<Response<SubmitAndWaitResponse>, Status> {
        let (call, access) = (Call::of(&request)?, Self::access(&request)?);
        let message = allowed(&access, request.into_inner().commands)?;
        let committed = Self::submit_and_wait(self, message, call).await?;
        Ok(Response::new(SubmitAndWaitResponse { update_id: committed.update_id, completion_offset: committed.offset }))
    }

    async fn submit_and_wait_for_transaction(
        &self,
        request: Request<SubmitAndWaitForTransactionRequest>,
    ) -> Result<Response<SubmitAndWaitForTransactionResponse>, Status> {
        let (call, access) = (Call::of(&request)?, Self::access(&request)?);
        let request = request.into_inner();
        let message = allowed(&access, request.commands)?;
        let filter: TransactionFilter = match &request.transaction_format {
            Some(format) => transaction_filter(Some(format))?,
            None => Self::own_view(&message.act_as, &message.read_as)?,
        };
        filter.events.allowed(&access)?;
        let committed = Self::submit_and_wait(self, message, call).await?;
        let entry = self.ledger.update_at(committed.offset).await.map_err(ApiError::from)?;
        let shown = entry.and_then(|entry| transaction(&entry, &filter, self.enrich.as_ref()));
        let shown = shown.ok_or(ApiError::NoUpdate(committed.update_id))?;
        Ok(Response::new(SubmitAndWaitForTransactionResponse { transaction: Some(shown) }))
    }

    async fn submit_and_wait_for_reassignment(
        &self,
        _: Request<SubmitAndWaitForReassignmentRequest>,
    ) -> Result<Response<SubmitAndWaitForReassignmentResponse>, Status> {
        Err(rpc::unimplemented("CommandService/SubmitAndWaitForReassignment"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_deadline_of_a_call() {
        assert_eq!(parse_timeout("5S"), Some(Duration::from_secs(5)));
        assert_eq!(parse_timeout("250m"), Some(Duration::from_millis(250)));
        for bad in ["", "S", "5", "123456789S", "5x", "-1S"] {
            assert_eq!(parse_timeout(bad), None, "{bad}");
        }
    }
}
