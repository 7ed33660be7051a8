//! `PartyManagementService`.

use crate::{ApiError, LedgerApi, error::refused};
use canton_proto::com::daml::ledger::api::v2::admin::{
    AllocateExternalPartyRequest, AllocateExternalPartyResponse, AllocatePartyRequest, AllocatePartyResponse,
    GenerateExternalPartyTopologyRequest, GenerateExternalPartyTopologyResponse, GetParticipantIdRequest,
    GetParticipantIdResponse, GetPartiesRequest, GetPartiesResponse, ListKnownPartiesRequest, ListKnownPartiesResponse,
    PartyDetails, UpdatePartyDetailsRequest, UpdatePartyDetailsResponse, UpdatePartyIdentityProviderIdRequest,
    UpdatePartyIdentityProviderIdResponse, party_management_service_server::PartyManagementService,
};
use tonic::{Request, Response, Status};

/// Parties of one page.
const MAX_PAGE: usize = 10_000;

fn details(party: &str, is_local: bool) -> PartyDetails {
    PartyDetails { party: party.to_owned(), is_local, ..PartyDetails::default() }
}

#[tonic::async_trait]
impl PartyManagementService for LedgerApi {
    async fn get_participant_id(
        &self,
        _: Request<GetParticipantIdRequest>,
    ) -> Result<Response<GetParticipantIdResponse>, Status> {
        let participant = self.writes.participant().ok_or(ApiError::NotInitialized)?;
        Ok(Response::new(GetParticipantIdResponse { participant_id: participant.to_string() }))
    }

    async fn get_parties(&self, request: Request<GetPartiesRequest>) -> Result<Response<GetPartiesResponse>, Status> {
        let wanted = request.into_inner().parties;
        let known = self.ledger.parties().await.map_err(ApiError::from)?;
        let found = known.iter().filter(|p| wanted.iter().any(|w| w == p.party.as_str()));
        let party_details = found.map(|p| details(p.party.as_str(), p.is_local)).collect();
        Ok(Response::new(GetPartiesResponse { party_details }))
    }

    async fn list_known_parties(
        &self,
        request: Request<ListKnownPartiesRequest>,
    ) -> Result<Response<ListKnownPartiesResponse>, Status> {
        let request = request.into_inner();
        let size = usize::try_from(request.page_size).unwrap_or(0);
        let size = if size == 0 { MAX_PAGE } else { size.min(MAX_PAGE) };
        let known = self.ledger.parties().await.map_err(ApiError::from)?;
        // The token is the last party of the page before; parties are sorted.
        let mut rest = known.iter().filter(|p| {
            p.party.as_str() > request.page_token.as_str() && p.party.as_str().starts_with(&request.filter_party)
        });
        let party_details: Vec<_> = rest.by_ref().take(size).map(|p| details(p.party.as_str(), p.is_local)).collect();
        let last = party_details.last().map(|p| p.party.clone()).unwrap_or_default();
        let next_page_token = if rest.next().is_some() { last } else { String::new() };
        Ok(Response::new(ListKnownPartiesResponse { party_details, next_page_token }))
    }

    async fn allocate_party(
        &self,
        request: Request<AllocatePartyRequest>,
    ) -> Result<Response<AllocatePartyResponse>, Status> {
        let hint = Some(request.into_inner().party_id_hint).filter(|hint| !hint.is_empty());
        let party = self.writes.allocate_party(hint).await.map_err(refused)?;
        Ok(Response::new(AllocatePartyResponse { party_details: Some(details(party.as_str(), true)) }))
    }

    async fn allocate_external_party(
        &self,
        _: Request<AllocateExternalPartyRequest>,
    ) -> Result<Response<AllocateExternalPartyResponse>, Status> {
        Err(rpc::unimplemented("PartyManagementService/AllocateExternalParty"))
    }

    async fn update_party_details(
        &self,
        _: Request<UpdatePartyDetailsRequest>,
    ) -> Result<Response<UpdatePartyDetailsResponse>, Status> {
        Err(rpc::unimplemented("PartyManagementService/UpdatePartyDetails"))
    }

    async fn update_party_identity_provider_id(
        &self,
        _: Request<UpdatePartyIdentityProviderIdRequest>,
    ) -> Result<Response<UpdatePartyIdentityProviderIdResponse>, Status> {
        Err(rpc::unimplemented("PartyManagementService/UpdatePartyIdentityProviderId"))
    }

    async fn generate_external_party_topology(
        &self,
        _: Request<GenerateExternalPartyTopologyRequest>,
    ) -> Result<Response<GenerateExternalPartyTopologyResponse>, Status> {
        Err(rpc::unimplemented("PartyManagementService/GenerateExternalPartyTopology"))
    }
}
