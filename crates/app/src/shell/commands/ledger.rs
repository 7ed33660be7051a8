//! Commands that ask a participant's Ledger API.

use super::{NOT_SERVED, Node, argument, check, refused};
use crate::shell::made;
use ::console::{Argument, Value};
use canton_proto::com::daml::ledger::api::v2::admin::{
    AllocatePartyRequest, ListKnownPackagesRequest, ListKnownPartiesRequest, UploadDarFileRequest,
    package_management_service_client::PackageManagementServiceClient,
    party_management_service_client::PartyManagementServiceClient,
};
use tonic::transport::Channel;

pub(super) async fn call(node: &Node, path: &str, arguments: &[Argument]) -> Result<Value, String> {
    let ledger = || node.ledger.clone().ok_or("its ledger-api is not in the configuration");
    match path {
        "dars.upload" => {
            check(arguments, &["path"])?;
            upload(ledger()?, &argument(arguments, 0, "path")?.plain()).await
        }
        "packages.list" => {
            let mut client = PackageManagementServiceClient::new(ledger()?);
            let answer = client.list_known_packages(ListKnownPackagesRequest {}).await.map_err(refused)?.into_inner();
            let shown = answer.package_details.into_iter().map(|package| {
                let fields = vec![
                    ("packageId", Value::text(&package.package_id)?),
                    ("name", Value::text(&package.name)?),
                    ("version", Value::text(&package.version)?),
                ];
                Value::record("PackageDescription", fields)
            });
            made(shown.collect::<Result<_, _>>().and_then(Value::vector))
        }
        "parties.enable" => {
            check(arguments, &["name"])?;
            let hint = argument(arguments, 0, "name")?.plain();
            let request = AllocatePartyRequest { party_id_hint: hint, ..AllocatePartyRequest::default() };
            let answer = PartyManagementServiceClient::new(ledger()?).allocate_party(request).await.map_err(refused)?;
            let party = answer.into_inner().party_details.ok_or("it answers without a party")?.party;
            Ok(Value::Id("PartyId", party.into()))
        }
        "parties.list" => {
            check(arguments, &["filterParty"])?;
            let filter = argument(arguments, 0, "filterParty").map(|filter| filter.plain()).unwrap_or_default();
            parties(ledger()?, &filter).await
        }
        _ => Err(format!("{path} {NOT_SERVED}")),
    }
}

async fn upload(ledger: Channel, path: &str) -> Result<Value, String> {
    let dar_file = tokio::fs::read(path).await.map_err(|error| format!("{path}: {error}"))?;
    let dar = lf::read_dar(&dar_file).map_err(|error| format!("{path}: {error}"))?;
    let request = UploadDarFileRequest { dar_file, ..UploadDarFileRequest::default() };
    let client = PackageManagementServiceClient::new(ledger);
    client.max_encoding_message_size(rpc::MAX_DECODING_BYTES).upload_dar_file(request).await.map_err(refused)?;
    made(Value::text(dar.main.as_ref()))
}

/// All pages of them.
async fn parties(ledger: Channel, filter: &str) -> Result<Value, String> {
    let mut client = PartyManagementServiceClient::new(ledger);
    let (mut shown, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListKnownPartiesRequest { page_token, ..ListKnownPartiesRequest::default() };
        let answer = client.list_known_parties(request).await.map_err(refused)?.into_inner();
        for party in answer.party_details.into_iter().filter(|details| details.party.starts_with(filter)) {
            let fields =
                vec![("party", Value::Id("PartyId", party.party.into())), ("isLocal", Value::Bool(party.is_local))];
            shown.push(made(Value::record("ListPartiesResult", fields))?);
        }
        if answer.next_page_token.is_empty() {
            return made(Value::vector(shown));
        }
        page_token = answer.next_page_token;
    }
}
