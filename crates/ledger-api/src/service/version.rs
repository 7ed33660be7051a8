//! `VersionService`.

use crate::LedgerApi;
use canton_proto::com::daml::ledger::api::v2::{
    FeaturesDescriptor, GetLedgerApiVersionRequest, GetLedgerApiVersionResponse, PartyManagementFeature,
    UserManagementFeature, version_service_server::VersionService,
};
use tonic::{Request, Response, Status};

/// The wire shape that is served.
const VERSION: &str = "3.4.0";

#[tonic::async_trait]
impl VersionService for LedgerApi {
    async fn get_ledger_api_version(
        &self,
        _: Request<GetLedgerApiVersionRequest>,
    ) -> Result<Response<GetLedgerApiVersionResponse>, Status> {
        let features = FeaturesDescriptor {
            user_management: Some(UserManagementFeature {
                supported: true,
                max_rights_per_user: 1000,
                max_users_page_size: 1000,
            }),
            party_management: Some(PartyManagementFeature { max_parties_page_size: 10_000 }),
            ..FeaturesDescriptor::default()
        };
        Ok(Response::new(GetLedgerApiVersionResponse { version: VERSION.into(), features: Some(features) }))
    }
}
