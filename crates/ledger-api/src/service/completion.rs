//! `CommandCompletionService`.

use crate::{
    ApiError, LedgerApi,
    convert::{completion, parties},
    stream::{PAGE, Page, Responses, follow},
};
use base::UserId;
use canton_proto::com::daml::ledger::api::v2::{
    CompletionStreamRequest, CompletionStreamResponse, GetCompletionsRequest, OffsetCheckpoint,
    command_completion_service_server::CommandCompletionService, completion_stream_response::CompletionResponse,
};
use tonic::{Request, Response, Status};
use transaction::Parties;

impl LedgerApi {
    async fn completions(
        &self,
        user: Option<UserId>,
        parties: Parties,
        begin: i64,
    ) -> Result<Response<Responses<CompletionStreamResponse>>, Status> {
        self.not_behind_end(begin).await?;
        let api = self.clone();
        let read = move |after, up_to| {
            let (ledger, user, parties) = (api.ledger.clone(), user.clone(), parties.clone());
            async move {
                let entries = ledger.completions(after, up_to, PAGE).await?;
                let last = entries.last().map(|e| e.offset);
                let wanted = entries.iter().filter(|entry| {
                    let command = &entry.content.command;
                    user.as_ref().is_none_or(|user| *user == command.user) && !command.act_as.is_disjoint(&parties)
                });
                let messages = wanted.map(|entry| CompletionStreamResponse {
                    completion_response: Some(CompletionResponse::Completion(completion(entry))),
                });
                Ok::<_, ApiError>(Page { messages: messages.collect(), last })
            }
        };
        let checkpoint = |offset| CompletionStreamResponse {
            completion_response: Some(CompletionResponse::OffsetCheckpoint(OffsetCheckpoint {
                offset,
                synchronizer_times: Vec::new(),
            })),
        };
        Ok(Response::new(follow(self.ledger.clone(), &self.tasks, begin, None, read, checkpoint)))
    }
}

#[tonic::async_trait]
impl CommandCompletionService for LedgerApi {
    type CompletionStreamStream = Responses<CompletionStreamResponse>;
    type GetCompletionsStream = Responses<CompletionStreamResponse>;

    async fn completion_stream(
        &self,
        request: Request<CompletionStreamRequest>,
    ) -> Result<Response<Self::CompletionStreamStream>, Status> {
        let access = Self::access(&request)?;
        let mut request = request.into_inner();
        request.user_id = access.user(request.user_id)?;
        let user = (!request.user_id.is_empty()).then(|| request.user_id.parse().map_err(ApiError::id("user_id")));
        let parties = parties(&request.parties, "parties")?;
        if parties.is_empty() {
            return Err(ApiError::Missing("parties").into());
        }
        access.read_as(&parties)?;
        let stream = self.completions(user.transpose()?, parties, request.begin_exclusive).await?;
        Ok(stream.map(|stream| self.as_long_as(access, stream)))
    }

    async fn get_completions(
        &self,
        _: Request<GetCompletionsRequest>,
    ) -> Result<Response<Self::GetCompletionsStream>, Status> {
        Err(rpc::unimplemented("CommandCompletionService/GetCompletions"))
    }
}
