//! `UpdateService`.

use crate::{
    ApiError, LedgerApi,
    access::Access,
    convert::{TransactionFilter, transaction, update_filter},
    stream::{PAGE, Page, Responses, follow},
};
use canton_proto::com::daml::ledger::api::v2::{
    GetUpdateByHashRequest, GetUpdateByIdRequest, GetUpdateByOffsetRequest, GetUpdateResponse, GetUpdatesPageRequest,
    GetUpdatesPageResponse, GetUpdatesRequest, GetUpdatesResponse, OffsetCheckpoint, UpdateFormat, get_update_response,
    get_updates_response, update_service_server::UpdateService,
};
use ledger::{Entry, Update};
use tonic::{Request, Response, Status};

impl LedgerApi {
    async fn page(
        &self,
        after: i64,
        up_to: i64,
        filter: Option<&TransactionFilter>,
    ) -> Result<Page<GetUpdatesResponse>, ApiError> {
        let entries = self.ledger.updates(after, up_to, PAGE).await?;
        let shown = |entry| filter.and_then(|filter| transaction(entry, filter, self.enrich.as_ref()));
        let messages = entries.iter().filter_map(shown).map(|transaction| GetUpdatesResponse {
            update: Some(get_updates_response::Update::Transaction(transaction)),
        });
        Ok(Page { messages: messages.collect(), last: entries.last().map(|e| e.offset) })
    }

    fn shown(
        &self,
        entry: Option<Entry<Update>>,
        format: Option<&UpdateFormat>,
        name: &dyn ToString,
        access: &Access,
    ) -> Result<Response<GetUpdateResponse>, Status> {
        let filter = update_filter(format)?;
        filter.iter().try_for_each(|filter| filter.events.allowed(access))?;
        let shown = entry.zip(filter).and_then(|(entry, filter)| transaction(&entry, &filter, self.enrich.as_ref()));
        let transaction = shown.ok_or_else(|| ApiError::NoUpdate(name.to_string()))?;
        Ok(Response::new(GetUpdateResponse { update: Some(get_update_response::Update::Transaction(transaction)) }))
    }
}

#[tonic::async_trait]
impl UpdateService for LedgerApi {
    type GetUpdatesStream = Responses<GetUpdatesResponse>;

    async fn get_updates(
        &self,
        request: Request<GetUpdatesRequest>,
    ) -> Result<Response<Self::GetUpdatesStream>, Status> {
        let access = Self::access(&request)?;
        let request = request.into_inner();
        let filter = update_filter(request.update_format.as_ref())?;
        filter.iter().try_for_each(|filter| filter.events.allowed(&access))?;
        if request.descending_order {
            return Err(ApiError::Unsupported("descending order").into());
        }
        self.not_behind_end(request.begin_exclusive).await?;
        if request.end_inclusive.is_some_and(|end| end < request.begin_exclusive) {
            return Err(ApiError::invalid("end_inclusive", "it lies before begin_exclusive").into());
        }
        let api = self.clone();
        let read = move |after, up_to| {
            let (api, filter) = (api.clone(), filter.clone());
            async move { api.page(after, up_to, filter.as_ref()).await }
        };
        let checkpoint = |offset| GetUpdatesResponse {
            update: Some(get_updates_response::Update::OffsetCheckpoint(OffsetCheckpoint {
                offset,
                synchronizer_times: Vec::new(),
            })),
        };
        let ledger = self.ledger.clone();
        let (begin, until) = (request.begin_exclusive, request.end_inclusive);
        let stream = follow(ledger, &self.tasks, begin, until, read, checkpoint);
        Ok(Response::new(self.as_long_as(access, stream)))
    }

    async fn get_update_by_offset(
        &self,
        request: Request<GetUpdateByOffsetRequest>,
    ) -> Result<Response<GetUpdateResponse>, Status> {
        let access = Self::access(&request)?;
        let request = request.into_inner();
        let entry = self.ledger.update_at(request.offset).await.map_err(ApiError::from)?;
        self.shown(entry, request.update_format.as_ref(), &request.offset, &access)
    }

    async fn get_update_by_id(
        &self,
        request: Request<GetUpdateByIdRequest>,
    ) -> Result<Response<GetUpdateResponse>, Status> {
        let access = Self::access(&request)?;
        let request = request.into_inner();
        let id = request.update_id.parse().map_err(ApiError::id("update_id"))?;
        let entry = self.ledger.update_by_id(&id).await.map_err(ApiError::from)?;
        self.shown(entry, request.update_format.as_ref(), &id, &access)
    }

    async fn get_update_by_hash(
        &self,
        _: Request<GetUpdateByHashRequest>,
    ) -> Result<Response<GetUpdateResponse>, Status> {
        Err(rpc::unimplemented("UpdateService/GetUpdateByHash"))
    }

    async fn get_updates_page(
        &self,
        _: Request<GetUpdatesPageRequest>,
    ) -> Result<Response<GetUpdatesPageResponse>, Status> {
        Err(rpc::unimplemented("UpdateService/GetUpdatesPage"))
    }
}
