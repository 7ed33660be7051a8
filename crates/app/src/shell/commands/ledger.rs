//! Commands that ask a participant's Ledger API.

use super::{NOT_SERVED, Node, argument, check, refused};
use crate::shell::{contracts, made};
use ::console::{Argument, Value};
use canton_proto::com::daml::ledger::api::v2::{
    Commands, CumulativeFilter, EventFormat, Filters, GetActiveContractsRequest, GetLedgerEndRequest,
    GetPackageRequest, SubmitAndWaitForTransactionRequest, TransactionFormat, TransactionShape, WildcardFilter,
    admin::{
        AllocatePartyRequest, ListKnownPackagesRequest, PackageDetails, UploadDarFileRequest,
        package_management_service_client::PackageManagementServiceClient,
        party_management_service_client::PartyManagementServiceClient,
    },
    command_service_client::CommandServiceClient,
    cumulative_filter::IdentifierFilter,
    get_active_contracts_response::ContractEntry,
    package_service_client::PackageServiceClient,
    state_service_client::StateServiceClient,
};
use rpc::Authorized;
use rpc::services::concordat::admin::v1::participant_admin_service_client::ParticipantAdminServiceClient;
use wire::concordat::admin::v1::ListDarsRequest;

pub(super) async fn call(node: &Node, path: &str, arguments: &[Argument]) -> Result<Value, String> {
    let ledger = || node.ledger().ok_or("its ledger-api is not in the configuration");
    match path {
        "dars.upload" => {
            check(arguments, &["path"])?;
            upload(ledger()?, &argument(arguments, 0, "path")?.plain()).await
        }
        "dars.list" => {
            check(arguments, &["limit", "filterName"])?;
            let filter = argument(arguments, 1, "filterName").map(|filter| filter.plain()).unwrap_or_default();
            let mut client = ParticipantAdminServiceClient::new(node.admin.clone());
            let answer = client.list_dars(ListDarsRequest {}).await.map_err(refused)?.into_inner();
            let shown = answer.dars.into_iter().filter(|dar| dar.name.starts_with(&filter)).map(|dar| {
                let fields = vec![("hash", Value::text(&dar.hash)?), ("name", Value::text(&dar.name)?)];
                Value::record("DarDescription", fields)
            });
            made(shown.collect::<Result<_, _>>().and_then(Value::vector))
        }
        "packages.list" => {
            let mut client = PackageManagementServiceClient::new(ledger()?);
            let answer = client.list_known_packages(ListKnownPackagesRequest {}).await.map_err(refused)?.into_inner();
            let shown = answer.package_details.into_iter().map(|package| description(&package));
            made(Value::vector(shown.collect::<Result<_, _>>()?))
        }
        "packages.find" => {
            check(arguments, &["moduleName"])?;
            find(ledger()?, &argument(arguments, 0, "moduleName")?.plain()).await
        }
        "parties.enable" => {
            // It returns once the party can act; others wait until they see it.
            check(arguments, &["name", "displayName", "waitForDomain", "synchronizeParticipants"])?;
            let hint = argument(arguments, 0, "name")?.plain();
            let request = AllocatePartyRequest { party_id_hint: hint, ..AllocatePartyRequest::default() };
            let answer = PartyManagementServiceClient::new(ledger()?).allocate_party(request).await.map_err(refused)?;
            let party = answer.into_inner().party_details.ok_or("it answers without a party")?.party;
            Ok(Value::Id("PartyId", party.into()))
        }
        "ledger_api.acs.of_party" => {
            check(arguments, &["party"])?;
            let shown = active(ledger()?, &argument(arguments, 0, "party")?.plain()).await?;
            made(Value::list(shown))
        }
        // Its function was applied to the contracts already.
        "ledger_api.acs.find_generic" => {
            check(arguments, &["partyId", "filter"])?;
            let found = argument(arguments, 1, "filter")?;
            let missing = "no active contract of the party fits; ledger_api.acs.of_party lists them";
            found.items().and_then(<[_]>::first).cloned().ok_or_else(|| missing.into())
        }
        "ledger_api.commands.submit" => submit(ledger()?, arguments, "TransactionTree").await,
        "ledger_api.commands.submit_flat" => submit(ledger()?, arguments, "Transaction").await,
        _ => Err(format!("{path} {NOT_SERVED}")),
    }
}

async fn upload(ledger: Authorized, path: &str) -> Result<Value, String> {
    let dar_file = tokio::fs::read(path).await.map_err(|error| format!("{path}: {error}"))?;
    // What is wrong with it is said before it is sent.
    lf::read_dar(&dar_file).map_err(|error| format!("{path}: {error}"))?;
    let request = UploadDarFileRequest { dar_file: dar_file.clone(), ..UploadDarFileRequest::default() };
    let client = PackageManagementServiceClient::new(ledger);
    client.max_encoding_message_size(rpc::MAX_DECODING_BYTES).upload_dar_file(request).await.map_err(refused)?;
    made(Value::text(&participant::dar_hash(&dar_file)))
}

fn description(package: &PackageDetails) -> Result<Value, String> {
    let source = if package.name.is_empty() { &package.package_id } else { &package.name };
    let fields =
        vec![("packageId", made(Value::text(&package.package_id))?), ("sourceDescription", made(Value::text(source))?)];
    made(Value::record("PackageDescription", fields))
}

/// The packages that have a module.
async fn find(ledger: Authorized, module: &str) -> Result<Value, String> {
    let mut client = PackageManagementServiceClient::new(ledger.clone());
    let answer = client.list_known_packages(ListKnownPackagesRequest {}).await.map_err(refused)?.into_inner();
    let mut packages = PackageServiceClient::new(ledger).max_decoding_message_size(rpc::MAX_DECODING_BYTES);
    let mut found = Vec::new();
    for details in answer.package_details {
        let request = GetPackageRequest { package_id: details.package_id.clone() };
        let payload = packages.get_package(request).await.map_err(refused)?.into_inner().archive_payload;
        let package = lf::read_package(&payload).map_err(|error| format!("{}: {error}", details.package_id))?;
        if package.modules().iter().any(|m| m.name.to_string() == module) {
            found.push(description(&details)?);
        }
    }
    made(Value::vector(found))
}

fn format(party: &str) -> EventFormat {
    let filter = WildcardFilter { include_created_event_blob: false };
    let filter = CumulativeFilter { identifier_filter: Some(IdentifierFilter::WildcardFilter(filter)) };
    let filters = Filters { cumulative: vec![filter] };
    EventFormat { filters_by_party: [(party.to_owned(), filters)].into(), verbose: true, ..EventFormat::default() }
}

/// What `ledger_api.acs.find_generic` looks at.
pub(super) async fn subject(node: &Node, arguments: &[Argument]) -> Result<Vec<Value>, String> {
    let ledger = node.ledger().ok_or("its ledger-api is not in the configuration")?;
    active(ledger, &argument(arguments, 0, "partyId")?.plain()).await
}

async fn active(ledger: Authorized, party: &str) -> Result<Vec<Value>, String> {
    let mut client = StateServiceClient::new(ledger).max_decoding_message_size(rpc::MAX_DECODING_BYTES);
    let end = client.get_ledger_end(GetLedgerEndRequest {}).await.map_err(refused)?.into_inner().offset;
    let event_format = Some(format(party));
    let request = GetActiveContractsRequest { active_at_offset: end, event_format, ..Default::default() };
    let mut stream = client.get_active_contracts(request).await.map_err(refused)?.into_inner();
    let mut found = Vec::new();
    while let Some(message) = stream.message().await.map_err(refused)? {
        if let Some(ContractEntry::ActiveContract(active)) = message.contract_entry
            && let Some(event) = active.created_event
        {
            found.push(contracts::created(&event)?);
        }
    }
    Ok(found)
}

async fn submit(ledger: Authorized, arguments: &[Argument], shown: &'static str) -> Result<Value, String> {
    check(arguments, &["actAs", "commands", "workflowId", "commandId"])?;
    let act_as = argument(arguments, 0, "actAs")?;
    let act_as: Vec<String> =
        act_as.items().unwrap_or(std::slice::from_ref(&act_as)).iter().map(Value::plain).collect();
    let text = |place, name| argument(arguments, place, name).map(|text| text.plain()).unwrap_or_default();
    let command_id = Some(text(3, "commandId")).filter(|id| !id.is_empty());
    let shape = match shown {
        "Transaction" => TransactionShape::AcsDelta,
        _ => TransactionShape::LedgerEffects,
    };
    let party = act_as.first().ok_or("somebody has to act")?;
    let transaction_format = TransactionFormat { event_format: Some(format(party)), transaction_shape: shape.into() };
    let commands = Commands {
        user_id: "console".into(),
        command_id: command_id.unwrap_or_else(::identity::random::id),
        workflow_id: text(2, "workflowId"),
        commands: contracts::read_commands(&argument(arguments, 1, "commands")?)?,
        act_as,
        ..Commands::default()
    };
    let request =
        SubmitAndWaitForTransactionRequest { commands: Some(commands), transaction_format: Some(transaction_format) };
    let answer = CommandServiceClient::new(ledger).submit_and_wait_for_transaction(request).await.map_err(refused)?;
    contracts::transaction(shown, &answer.into_inner().transaction.unwrap_or_default())
}
