//! `StateService`.

use crate::{
    ApiError, LedgerApi,
    convert::{EventFilter, active_contract},
    error::refused,
    stream::{PAGE, Responses},
};
use canton_proto::com::daml::ledger::api::v2::{
    GetActiveContractsPageRequest, GetActiveContractsPageResponse, GetActiveContractsRequest,
    GetActiveContractsResponse, GetConnectedSynchronizersRequest, GetConnectedSynchronizersResponse,
    GetLatestPrunedOffsetsRequest, GetLatestPrunedOffsetsResponse, GetLedgerEndRequest, GetLedgerEndResponse,
    ParticipantPermission, get_active_contracts_response::ContractEntry,
    get_connected_synchronizers_response::ConnectedSynchronizer, state_service_server::StateService,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl StateService for LedgerApi {
    type GetActiveContractsStream = Responses<GetActiveContractsResponse>;

    async fn get_active_contracts(
        &self,
        request: Request<GetActiveContractsRequest>,
    ) -> Result<Response<Self::GetActiveContractsStream>, Status> {
        let access = Self::access(&request)?;
        let request = request.into_inner();
        let filter = EventFilter::required(request.event_format.as_ref())?;
        filter.allowed(&access)?;
        let at = request.active_at_offset;
        self.not_behind_end(at).await?;
        let hosted = self.hosted().await?;
        let (out, messages) = mpsc::channel(100);
        let api = self.clone();
        let run = async move {
            let mut after = (0, -1);
            loop {
                let page = match api.ledger.active_contracts(at, after, PAGE).await {
                    Ok(page) => page,
                    Err(error) => return drop(out.send(Err(ApiError::from(error).into())).await),
                };
                let Some(last) = page.last() else { return };
                after = (last.created_offset, last.node);
                for active in &page {
                    let Some(active) = active_contract(active, &filter, &hosted, api.enrich.as_ref()) else { continue };
                    let entry = Some(ContractEntry::ActiveContract(active));
                    let message = GetActiveContractsResponse { contract_entry: entry, ..Default::default() };
                    if out.send(Ok(message)).await.is_err() {
                        return;
                    }
                }
            }
        };
        self.tasks.spawn_cancellable("active contracts", run).detach();
        Ok(Response::new(self.as_long_as(access, Box::pin(ReceiverStream::new(messages)))))
    }

    async fn get_active_contracts_page(
        &self,
        _: Request<GetActiveContractsPageRequest>,
    ) -> Result<Response<GetActiveContractsPageResponse>, Status> {
        Err(rpc::unimplemented("StateService/GetActiveContractsPage"))
    }

    async fn get_connected_synchronizers(
        &self,
        _: Request<GetConnectedSynchronizersRequest>,
    ) -> Result<Response<GetConnectedSynchronizersResponse>, Status> {
        let connected = self.writes.synchronizers().await.map_err(refused)?;
        let connected_synchronizers = connected
            .into_iter()
            .map(|s| ConnectedSynchronizer {
                synchronizer_alias: s.alias,
                synchronizer_id: s.id.to_string(),
                permission: ParticipantPermission::Submission.into(),
            })
            .collect();
        Ok(Response::new(GetConnectedSynchronizersResponse { connected_synchronizers }))
    }

    async fn get_ledger_end(&self, _: Request<GetLedgerEndRequest>) -> Result<Response<GetLedgerEndResponse>, Status> {
        let offset = self.ledger.end().await.map_err(ApiError::from)?;
        Ok(Response::new(GetLedgerEndResponse { offset, synchronizer_times: Vec::new() }))
    }

    async fn get_latest_pruned_offsets(
        &self,
        _: Request<GetLatestPrunedOffsetsRequest>,
    ) -> Result<Response<GetLatestPrunedOffsetsResponse>, Status> {
        // Nothing is pruned yet.
        Ok(Response::new(GetLatestPrunedOffsetsResponse::default()))
    }
}
