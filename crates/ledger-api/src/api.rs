//! Everything the services share, and how they are put on a port.

use crate::{
    ApiError, Enrich, Guard, Writes,
    access::Guarded,
    awaited::Awaited,
    convert::{TransactionFilter, parties},
};
use canton_proto::com::daml::ledger::api::v2::{
    admin::{
        command_inspection_service_server::CommandInspectionServiceServer,
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
use rpc::{MAX_DECODING_BYTES, PassOn, Repeat, Router, Services};
use std::{sync::Arc, time::Duration};
use tasks::Tasks;
use transaction::Parties;

/// The Ledger API of one participant replica. Cheap to clone.
#[derive(Clone)]
pub struct LedgerApi {
    pub(crate) ledger: Ledger,
    pub(crate) writes: Arc<dyn Writes>,
    pub(crate) router: Router,
    pub(crate) enrich: Arc<dyn Enrich>,
    pub(crate) tasks: Tasks,
    pub(crate) guard: Guard,
    pub(crate) awaited: Awaited,
}

/// How long a command may take where the client sets no deadline.
pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(300);

impl LedgerApi {
    /// Over a participant's read model and its writes; `router` leads to the Ledger API of the active replica, `guard` lets
    /// callers in.
    #[must_use]
    pub fn new(
        ledger: Ledger,
        writes: Arc<dyn Writes>,
        router: Router,
        enrich: Arc<dyn Enrich>,
        tasks: Tasks,
        guard: Guard,
    ) -> Self {
        let awaited = Awaited::new(ledger.clone(), tasks.clone());
        Self { ledger, writes, router, enrich, tasks, guard, awaited }
    }

    /// Adds all services to a port.
    #[must_use]
    pub fn serve(&self, services: Services) -> Services {
        let packages = PackageManagementServiceServer::new(self.clone()).max_decoding_message_size(MAX_DECODING_BYTES);
        let (parties, users) =
            (PartyManagementServiceServer::new(self.clone()), UserManagementServiceServer::new(self.clone()));
        let commands = CommandServiceServer::new(self.clone()).max_decoding_message_size(MAX_DECODING_BYTES);
        let submission =
            CommandSubmissionServiceServer::new(self.clone()).max_decoding_message_size(MAX_DECODING_BYTES);
        let updates = UpdateServiceServer::new(self.clone()).max_encoding_message_size(MAX_DECODING_BYTES);
        let known = PackageServiceServer::new(self.clone()).max_encoding_message_size(MAX_DECODING_BYTES);
        services
            .with(Guarded::new(VersionServiceServer::new(self.clone()), self))
            .with(Guarded::new(StateServiceServer::new(self.clone()), self))
            .with(Guarded::new(updates, self))
            .with(Guarded::new(commands, self))
            .with(Guarded::new(submission, self))
            .with(Guarded::new(CommandCompletionServiceServer::new(self.clone()), self))
            .with(Guarded::new(CommandInspectionServiceServer::new(self.clone()), self))
            .with(Guarded::new(known, self))
            .with(Guarded::new(PassOn::new(packages, &self.router, passed_on), self))
            .with(Guarded::new(PassOn::new(parties, &self.router, passed_on), self))
            .with(Guarded::new(PassOn::new(users, &self.router, passed_on), self))
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

/// The methods of the management services that only the active replica can carry out.
fn passed_on(method: &str) -> Option<Repeat> {
    match method {
        "UploadDarFile" => Some(Repeat::Harmless),
        "AllocateParty" | "CreateUser" | "DeleteUser" | "GrantUserRights" | "RevokeUserRights" => Some(Repeat::Never),
        _ => None,
    }
}
