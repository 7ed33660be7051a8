//! Everything the services share, and how they are put on a port.

use crate::{
    ApiError, Enrich, Writes,
    convert::{TransactionFilter, parties},
    route::Router,
};
use canton_proto::com::daml::ledger::api::v2::{
    admin::{
        package_management_service_server::PackageManagementServiceServer,
        party_management_service_server::PartyManagementServiceServer,
        user_management_service_server::UserManagementServiceServer,
    },
    command_completion_service_server::CommandCompletionServiceServer,
    command_service_server::CommandServiceServer,
    command_submission_service_server::CommandSubmissionServiceServer,
    package_service_server::PackageServiceServer,
    state_service_server::StateServiceServer,
    update_service_server::UpdateServiceServer,
    version_service_server::VersionServiceServer,
};
use ledger::Ledger;
use rpc::{ChannelConfig, MAX_DECODING_BYTES, Services};
use std::{sync::Arc, time::Duration};
use tasks::Tasks;
use transaction::Parties;

/// The Ledger API of one participant replica. Cheap to clone.
#[derive(Clone)]
pub struct LedgerApi {
    pub(crate) ledger: Ledger,
    pub(crate) router: Router,
    pub(crate) enrich: Arc<dyn Enrich>,
    pub(crate) tasks: Tasks,
}

/// How long a command may take where the client sets no deadline.
pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(300);

impl LedgerApi {
    /// Over a participant's read model and its writes.
    #[must_use]
    pub fn new(ledger: Ledger, writes: Arc<dyn Writes>, enrich: Arc<dyn Enrich>, tasks: Tasks) -> Self {
        Self { ledger, router: Router::new(writes), enrich, tasks }
    }

    /// How the other replicas' Ledger APIs are called.
    #[must_use]
    pub fn with_channel(self, channel: ChannelConfig) -> Self {
        Self { router: self.router.with_channel(channel), ..self }
    }

    /// Adds all services to a port.
    #[must_use]
    pub fn serve(&self, services: Services) -> Services {
        services
            .with(VersionServiceServer::new(self.clone()))
            .with(StateServiceServer::new(self.clone()))
            .with(UpdateServiceServer::new(self.clone()).max_encoding_message_size(MAX_DECODING_BYTES))
            .with(CommandServiceServer::new(self.clone()).max_decoding_message_size(MAX_DECODING_BYTES))
            .with(CommandSubmissionServiceServer::new(self.clone()).max_decoding_message_size(MAX_DECODING_BYTES))
            .with(CommandCompletionServiceServer::new(self.clone()))
            .with(PackageServiceServer::new(self.clone()).max_encoding_message_size(MAX_DECODING_BYTES))
            .with(PackageManagementServiceServer::new(self.clone()).max_decoding_message_size(MAX_DECODING_BYTES))
            .with(PartyManagementServiceServer::new(self.clone()))
            .with(UserManagementServiceServer::new(self.clone()))
    }

    /// The parties hosted here.
    pub(crate) async fn hosted(&self) -> Result<Parties, ApiError> {
        let parties = self.ledger.parties().await?;
        Ok(parties.into_iter().filter(|p| p.is_local).map(|p| p.party).collect())
    }

    /// An offset that must not lie behind the ledger end, and the end.
    pub(crate) async fn not_behind_end(&self, offset: i64) -> Result<i64, ApiError> {
        if offset < 0 {
            return Err(ApiError::invalid("offset", "it is negative"));
        }
        let end = self.ledger.end().await?;
        if offset > end { Err(ApiError::BehindEnd { offset, end }) } else { Ok(end) }
    }

    pub(crate) fn own_view(act_as: &[String], read_as: &[String]) -> Result<TransactionFilter, ApiError> {
        let parties = &parties(act_as, "act_as")? | &parties(read_as, "read_as")?;
        let events = crate::convert::EventFilter::of_parties(&parties);
        Ok(TransactionFilter { events, shape: crate::convert::Shape::AcsDelta })
    }
}
