//! Scripts against a participant: a ledger behind the Ledger API.

use super::messages;
use base::{ContractId, Identifier, PartyId, Timestamp, UserId};
use canton_proto::com::daml::ledger::api::v2::{
    Commands, GetActiveContractsRequest, GetLedgerEndRequest, SubmitAndWaitForTransactionRequest, TransactionFormat,
    TransactionShape,
    admin::{
        AllocatePartyRequest, ListKnownPartiesRequest, UploadDarFileRequest,
        package_management_service_client::PackageManagementServiceClient,
        party_management_service_client::PartyManagementServiceClient,
    },
    command_service_client::CommandServiceClient,
    get_active_contracts_response::ContractEntry,
    state_service_client::StateServiceClient,
};
use engine::Engine;
use rpc::{Authorized, Bearer, ChannelConfig, RpcError, connect_lazy};
use script::{
    ActiveContract, Event, LedgerError, PackageVersionName, ScriptLedger, Submission, SubmitError, SubmitFailure, User,
    UserRight, View,
};
use std::{
    collections::BTreeSet,
    future::Future,
    time::{Duration, Instant, SystemTime},
};
use tokio::runtime::Handle;
use tonic::Status;
use transaction::{Parties, Value};

/// Who submits, as far as the participant asks.
const USER: &str = "daml-script";
/// How long what was just allocated or uploaded may take until submissions can use it.
const SETTLING: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);
/// Errors that go away when topology settles.
const UNSETTLED: [&str; 5] = [
    "NO_SYNCHRONIZER_FOR_SUBMISSION",
    "NO_SYNCHRONIZER_ON_WHICH_ALL_SUBMITTERS_CAN_SUBMIT",
    "PACKAGE_SELECTION_FAILED",
    "UNKNOWN_INFORMEES",
    "UNKNOWN_SUBMITTERS",
];

/// A participant. Its calls block, so that it must not be used by a task of the runtime.
pub(super) struct LiveLedger {
    runtime: Handle,
    pub(super) channel: Authorized,
    engine: Engine,
    /// Makes names and command ids of this run its own.
    run: String,
    count: u64,
}

impl LiveLedger {
    /// A participant with the DAR uploaded.
    pub(super) fn new(
        runtime: Handle,
        uri: &str,
        bearer: Bearer,
        engine: &Engine,
        dar: Vec<u8>,
    ) -> Result<Self, LedgerError> {
        let channel = connect_lazy(uri, &ChannelConfig::default());
        let channel = bearer.over(channel.map_err(|error| LedgerError::Refused(error.to_string()))?);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let run = format!("{:x}", now.as_micros());
        let ledger = Self { runtime, channel, engine: engine.clone(), run, count: 0 };
        let request = UploadDarFileRequest { dar_file: dar, ..UploadDarFileRequest::default() };
        let client = PackageManagementServiceClient::new(ledger.channel.clone());
        let mut client = client.max_encoding_message_size(rpc::MAX_DECODING_BYTES);
        ledger.call(client.upload_dar_file(request))?;
        Ok(ledger)
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Waits for an answer.
    pub(super) fn call<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, LedgerError> {
        match self.runtime.block_on(call) {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(LedgerError::Refused(RpcError::from(status).message)),
        }
    }

    fn try_submit(&mut self, submission: &Submission) -> Result<Vec<Event>, RpcError> {
        self.count += 1;
        let parties = &submission.act_as | &submission.read_as;
        let names = |parties: &Parties| parties.iter().map(ToString::to_string).collect();
        let commands = Commands {
            user_id: USER.into(),
            command_id: format!("{}-{}", self.run, self.count),
            act_as: names(&submission.act_as),
            read_as: names(&submission.read_as),
            commands: submission.commands.iter().map(messages::command).collect(),
            disclosed_contracts: submission.disclosed.iter().filter_map(|blob| messages::disclosed(blob)).collect(),
            package_id_selection_preference: submission.preferences.iter().map(ToString::to_string).collect(),
            ..Commands::default()
        };
        let format = TransactionFormat {
            event_format: Some(messages::everything_of(&parties)),
            transaction_shape: TransactionShape::LedgerEffects.into(),
        };
        let request = SubmitAndWaitForTransactionRequest { commands: Some(commands), transaction_format: Some(format) };
        let mut client = CommandServiceClient::new(self.channel.clone());
        let answer = self.runtime.block_on(client.submit_and_wait_for_transaction(request))?.into_inner();
        Ok(messages::events(&answer.transaction.unwrap_or_default().events))
    }

    /// Active contracts with their keys.
    fn active(&self, parties: &Parties) -> Result<Vec<(ActiveContract, Option<Value>)>, LedgerError> {
        let mut client = StateServiceClient::new(self.channel.clone());
        let end = self.call(client.get_ledger_end(GetLedgerEndRequest {}))?.offset;
        let request = GetActiveContractsRequest {
            active_at_offset: end,
            event_format: Some(messages::everything_of(parties)),
            ..GetActiveContractsRequest::default()
        };
        let mut stream = self.call(client.get_active_contracts(request))?;
        let mut found = Vec::new();
        loop {
            match self.runtime.block_on(stream.message()) {
                Ok(Some(message)) => {
                    if let Some(ContractEntry::ActiveContract(active)) = message.contract_entry {
                        let created = active.created_event.unwrap_or_default();
                        found.extend(messages::active_contract(&created).map(|c| (c, messages::key(&created))));
                    }
                }
                Ok(None) => return Ok(found),
                Err(status) => return Err(LedgerError::Refused(RpcError::from(status).message)),
            }
        }
    }
}

impl ScriptLedger for LiveLedger {
    fn submit(&mut self, submission: &Submission) -> Result<Vec<Event>, Box<SubmitFailure>> {
        let until = Instant::now() + SETTLING;
        loop {
            match self.try_submit(submission) {
                Ok(events) => return Ok(events),
                Err(error)
                    if error.id.as_deref().is_some_and(|id| UNSETTLED.contains(&id)) && Instant::now() < until =>
                {
                    std::thread::sleep(PAUSE);
                }
                Err(error) => {
                    let error = SubmitError::Refused { code: error.id, message: error.message };
                    return Err(Box::new(SubmitFailure { error, transaction: None, exception: None }));
                }
            }
        }
    }

    fn active_contracts(&mut self, parties: &Parties) -> Result<Vec<ActiveContract>, LedgerError> {
        Ok(self.active(parties)?.into_iter().map(|(contract, _)| contract).collect())
    }

    fn contract(&mut self, parties: &Parties, id: &ContractId) -> Result<Option<ActiveContract>, LedgerError> {
        Ok(self.active_contracts(parties)?.into_iter().find(|contract| contract.contract_id == *id))
    }

    fn contracts_by_key(
        &mut self,
        parties: &Parties,
        template: &Identifier,
        key: &Value,
        limit: usize,
    ) -> Result<Vec<ActiveContract>, LedgerError> {
        let wanted = self.engine.key(template, key)?.hash;
        let has = |contract: &ActiveContract, key: &Value| {
            let same = contract.template.module == template.module && contract.template.entity == template.entity;
            // Packages that the script does not know have no keys that it could ask for.
            same && self.engine.key(&contract.template, key).is_ok_and(|key| key.hash == wanted)
        };
        let found = self.active(parties)?.into_iter().rev().filter_map(|(contract, key)| {
            let is_wanted = key.is_some_and(|key| has(&contract, &key));
            is_wanted.then_some(contract)
        });
        Ok(found.take(limit).collect())
    }

    fn view(&mut self, contract: &ActiveContract, interface: &Identifier) -> Result<Option<View>, LedgerError> {
        let mut template = contract.template.clone();
        if let Some((_, highest)) = self.engine.packages_named(&contract.package_name).pop() {
            template.package = highest;
        }
        script::view(&self.engine, &template, contract, interface)
    }

    fn allocate_party(&mut self, hint: &str) -> Result<PartyId, LedgerError> {
        // The participant outlives the script, so that its parties are told apart from those of other runs.
        let request = |party_id_hint| AllocatePartyRequest { party_id_hint, ..AllocatePartyRequest::default() };
        self.count += 1;
        let hint = format!("{hint}-{}-{}", self.run, self.count);
        let mut client = PartyManagementServiceClient::new(self.channel.clone());
        let answer = self.call(client.allocate_party(request(hint)))?;
        Ok(PartyId::new(answer.party_details.unwrap_or_default().party)?)
    }

    fn parties(&mut self) -> Result<Parties, LedgerError> {
        let mut client = PartyManagementServiceClient::new(self.channel.clone());
        let mut all = Parties::new();
        let mut page_token = String::new();
        loop {
            let request = ListKnownPartiesRequest { page_token, ..ListKnownPartiesRequest::default() };
            let answer = self.call(client.list_known_parties(request))?;
            for details in answer.party_details {
                all.insert(PartyId::new(details.party)?);
            }
            if answer.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = answer.next_page_token;
        }
    }

    fn time(&mut self) -> Result<Timestamp, LedgerError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(Timestamp::saturating_from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX)))
    }

    fn set_time(&mut self, _: Timestamp) -> Result<(), LedgerError> {
        Err(LedgerError::Unsupported("setting the time"))
    }

    fn sleep(&mut self, time: Duration) -> Result<(), LedgerError> {
        std::thread::sleep(time);
        Ok(())
    }

    fn create_user(&mut self, user: User, rights: BTreeSet<UserRight>) -> Result<bool, LedgerError> {
        self.new_user(&user, &rights)
    }

    fn user(&mut self, id: &UserId) -> Result<Option<User>, LedgerError> {
        self.find_user(id)
    }

    fn delete_user(&mut self, id: &UserId) -> Result<bool, LedgerError> {
        self.remove_user(id)
    }

    fn users(&mut self) -> Result<Vec<User>, LedgerError> {
        self.all_users()
    }

    fn grant(&mut self, id: &UserId, rights: &[UserRight]) -> Result<Option<Vec<UserRight>>, LedgerError> {
        self.give_rights(id, rights)
    }

    fn revoke(&mut self, id: &UserId, rights: &[UserRight]) -> Result<Option<Vec<UserRight>>, LedgerError> {
        self.take_rights(id, rights)
    }

    fn rights(&mut self, id: &UserId) -> Result<Option<Vec<UserRight>>, LedgerError> {
        self.rights_of(id)
    }

    fn packages(&mut self, _: bool) -> Result<Vec<PackageVersionName>, LedgerError> {
        Err(LedgerError::Unsupported("listing packages by name"))
    }

    fn vet(&mut self, _: &[PackageVersionName], _: bool) -> Result<(), LedgerError> {
        Err(LedgerError::Unsupported("vetting single packages"))
    }
}
