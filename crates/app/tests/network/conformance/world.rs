//! Two participants of one network, and commands of models that others compiled.

use crate::harness::{Daemon, Participant, eventually, free_ports, ready};
use base::PackageId;
use canton_proto::com::daml::ledger::api::v2::{
    self as api, Command, Commands, EventFormat, GetLedgerEndRequest, GetUpdateByIdRequest, GetUpdatesRequest,
    SubmitAndWaitForTransactionRequest, SubmitAndWaitRequest, Transaction, TransactionFormat, TransactionShape,
    UpdateFormat,
    admin::{ListKnownPartiesRequest, party_management_service_client::PartyManagementServiceClient},
    command::Command as Sum,
    command_service_client::CommandServiceClient,
    event::Event,
    get_update_response, get_updates_response,
    state_service_client::StateServiceClient,
    update_service_client::UpdateServiceClient,
    value,
};
use ledger_api::{read_value, value_message};
use rpc::{MAX_DECODING_BYTES, RpcError};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};
use transaction::Value;

/// What a command comes to: what all who act see of it, or the code of the error with its text.
pub(super) type Outcome = Result<Transaction, (String, String)>;

pub(super) struct World {
    pub(super) participants: [Participant; 2],
    next: AtomicU32,
    hosts: Mutex<BTreeMap<String, usize>>,
    _daemon: Daemon,
    _folder: tempfile::TempDir,
}

/// The templates of a DAR.
pub(super) struct Model(pub(super) PackageId);

pub(super) fn party(name: &str) -> Value {
    Value::Party(name.parse().unwrap())
}

pub(super) fn record(fields: impl IntoIterator<Item = Value>) -> Value {
    Value::record(fields)
}

pub(super) fn id(contract: &str) -> Value {
    Value::ContractId(contract.parse().unwrap())
}

/// The one key that many templates have: a party and a text.
pub(super) fn text_key(owner: &str, text: &str) -> Value {
    record([party(owner), Value::text(text)])
}

fn message(value: &Value) -> Option<api::Value> {
    Some(value_message(value))
}

impl Model {
    fn template(&self, module: &str, entity: &str) -> Option<api::Identifier> {
        let (package_id, module_name, entity_name) = (self.0.to_string(), module.into(), entity.into());
        Some(api::Identifier { package_id, module_name, entity_name })
    }

    pub(super) fn create(&self, module: &str, entity: &str, fields: impl IntoIterator<Item = Value>) -> Command {
        let Some(value::Sum::Record(arguments)) = value_message(&record(fields)).sum else { panic!("a record is one") };
        let (template_id, create_arguments) = (self.template(module, entity), Some(arguments));
        Command { command: Some(Sum::Create(api::CreateCommand { template_id, create_arguments })) }
    }

    pub(super) fn exercise(
        &self,
        module: &str,
        entity: &str,
        contract: &str,
        choice: &str,
        fields: impl IntoIterator<Item = Value>,
    ) -> Command {
        self.exercise_with(module, entity, contract, choice, &record(fields))
    }

    /// With an argument of any type.
    pub(super) fn exercise_with(
        &self,
        module: &str,
        entity: &str,
        contract: &str,
        choice: &str,
        argument: &Value,
    ) -> Command {
        let (template_id, choice_argument) = (self.template(module, entity), message(argument));
        let (contract_id, choice) = (contract.into(), choice.into());
        let exercise = api::ExerciseCommand { template_id, contract_id, choice, choice_argument };
        Command { command: Some(Sum::Exercise(exercise)) }
    }

    pub(super) fn exercise_by_key(&self, module: &str, entity: &str, key: &Value, choice: &str) -> Command {
        let (template_id, choice_argument) = (self.template(module, entity), message(&record([])));
        let (contract_key, choice) = (message(key), choice.into());
        let exercise = api::ExerciseByKeyCommand { template_id, contract_key, choice, choice_argument };
        Command { command: Some(Sum::ExerciseByKey(exercise)) }
    }
}

/// A DAR of the test data; nothing where that is missing.
pub(super) fn dar(file: &str) -> Option<Vec<u8>> {
    Some(fs::read(testkit::test_data()?.join("dars").join(file)).unwrap())
}

fn format(parties: &[&str], shape: TransactionShape) -> TransactionFormat {
    let filters_by_party = parties.iter().map(|party| ((*party).to_owned(), api::Filters::default())).collect();
    let event_format = Some(EventFormat { filters_by_party, ..EventFormat::default() });
    TransactionFormat { event_format, transaction_shape: shape.into() }
}

fn failed(status: tonic::Status) -> (String, String) {
    let error = RpcError::from(status);
    (error.id.clone().unwrap_or_else(|| error.to_string()), error.to_string())
}

impl World {
    /// A network whose participants know these DARs, and their models.
    pub(super) async fn start<const N: usize>(dars: [Vec<u8>; N]) -> (Self, [Model; N]) {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("conformance.conf");
        let [domain_admin, public, admin_a, ledger_a, admin_b, ledger_b] = free_ports();
        let text = format!(
            "canton {{
              domains.mydomain {{ admin-api.port = {domain_admin}, public-api.port = {public} }}
              participants {{
                a {{ admin-api.port = {admin_a}, ledger-api.port = {ledger_a} }}
                b {{ admin-api.port = {admin_b}, ledger-api.port = {ledger_b} }}
              }}
            }}"
        );
        fs::write(&config, text).unwrap();
        let daemon = Daemon::start(folder.path(), &config);
        for (port, name) in [(domain_admin, "mydomain"), (admin_a, "a"), (admin_b, "b")] {
            ready(port, name).await;
        }
        let participants = [Participant::new(admin_a, ledger_a), Participant::new(admin_b, ledger_b)];
        for participant in &participants {
            participant.connect(&[public]).await;
            for dar in &dars {
                participant.upload(dar.clone()).await;
            }
        }
        let models = dars.map(|dar| Model(lf::read_dar(&dar).unwrap().main));
        let (next, hosts) = (AtomicU32::new(0), Mutex::default());
        (Self { participants, next, hosts, _daemon: daemon, _folder: folder }, models)
    }

    /// Parties that are new, each on participant 0 or 1, and known to both.
    pub(super) async fn parties<const N: usize>(&self, hosts: [(&str, usize); N]) -> [String; N] {
        let mut parties = Vec::new();
        for (name, host) in hosts {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let party = self.participants[host].allocate(&format!("{name}-{number}")).await;
            self.hosts.lock().unwrap().insert(party.clone(), host);
            parties.push(party);
        }
        for participant in &self.participants {
            let mut client = PartyManagementServiceClient::new(participant.ledger.clone());
            eventually("parties being known", async || {
                let all = client.list_known_parties(ListKnownPartiesRequest::default()).await.ok()?.into_inner();
                let known: BTreeSet<_> = all.party_details.into_iter().map(|details| details.party).collect();
                parties.iter().all(|party| known.contains(party)).then_some(())
            })
            .await;
        }
        parties.try_into().unwrap()
    }

    /// What those who act see of their commands, once all stakeholders see it.
    pub(super) async fn submit(&self, n: usize, act_as: &[&str], commands: Vec<Command>) -> Outcome {
        self.submit_reading(n, act_as, &[], commands).await
    }

    pub(super) async fn submit_reading(
        &self,
        n: usize,
        act_as: &[&str],
        read_as: &[&str],
        commands: Vec<Command>,
    ) -> Outcome {
        let commands = self.commands(act_as, read_as, commands);
        let transaction_format = Some(format(act_as, TransactionShape::LedgerEffects));
        let request = SubmitAndWaitForTransactionRequest { commands: Some(commands), transaction_format };
        let client = CommandServiceClient::new(self.participants[n].ledger.clone());
        let mut client = client.max_encoding_message_size(MAX_DECODING_BYTES);
        let answer = client.submit_and_wait_for_transaction(request).await.map_err(failed)?;
        let transaction = answer.into_inner().transaction.unwrap();
        for contract in created(&transaction) {
            for party in contract.signatories.iter().chain(&contract.observers) {
                self.seen(party, &transaction.update_id).await;
            }
        }
        Ok(transaction)
    }

    fn commands(&self, act_as: &[&str], read_as: &[&str], commands: Vec<Command>) -> Commands {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let names = |parties: &[&str]| parties.iter().map(|party| (*party).to_owned()).collect();
        Commands {
            user_id: "test".into(),
            command_id: format!("command-{number}"),
            act_as: names(act_as),
            read_as: names(read_as),
            commands,
            ..Commands::default()
        }
    }

    /// Why a command is refused whose events a client cannot read; nothing if it is not.
    pub(super) async fn refusal(&self, n: usize, act_as: &str, command: Command) -> String {
        let request = SubmitAndWaitRequest { commands: Some(self.commands(&[act_as], &[], vec![command])) };
        let answer = CommandServiceClient::new(self.participants[n].ledger.clone()).submit_and_wait(request).await;
        answer.map_err(failed).err().map(|(code, _)| code).unwrap_or_default()
    }

    /// The code with which a command is refused; none if it is not.
    pub(super) async fn code(&self, n: usize, act_as: &str, command: Command) -> String {
        self.submit(n, &[act_as], vec![command]).await.err().map(|(code, _)| code).unwrap_or_default()
    }

    /// The id of the one contract that a command creates.
    pub(super) async fn one(&self, n: usize, act_as: &[&str], command: Command) -> String {
        let transaction = self.submit(n, act_as, vec![command]).await.unwrap();
        created(&transaction).pop().unwrap().contract_id
    }

    /// What a party sees of an update; nothing if it does not.
    pub(super) async fn update(&self, n: usize, party: &str, update_id: &str) -> Option<Transaction> {
        let include_transactions = Some(format(&[party], TransactionShape::LedgerEffects));
        let update_format = Some(UpdateFormat { include_transactions, ..UpdateFormat::default() });
        let request = GetUpdateByIdRequest { update_id: update_id.into(), update_format };
        let client = UpdateServiceClient::new(self.participants[n].ledger.clone());
        let mut client = client.max_decoding_message_size(MAX_DECODING_BYTES);
        match client.get_update_by_id(request).await.ok()?.into_inner().update? {
            get_update_response::Update::Transaction(transaction) => Some(transaction),
            _ => None,
        }
    }

    /// Waits until a party sees an update.
    pub(super) async fn seen(&self, party: &str, update_id: &str) -> Transaction {
        let host = self.hosts.lock().unwrap()[party];
        eventually(&format!("{party} seeing an update"), async || self.update(host, party, update_id).await).await
    }

    /// All transactions in which the parties see something.
    pub(super) async fn updates(&self, n: usize, parties: &[&str], shape: TransactionShape) -> Vec<Transaction> {
        let ledger = self.participants[n].ledger.clone();
        let end = StateServiceClient::new(ledger.clone()).get_ledger_end(GetLedgerEndRequest {}).await.unwrap();
        let include_transactions = Some(format(parties, shape));
        let request = GetUpdatesRequest {
            end_inclusive: Some(end.into_inner().offset),
            update_format: Some(UpdateFormat { include_transactions, ..UpdateFormat::default() }),
            ..GetUpdatesRequest::default()
        };
        let client = UpdateServiceClient::new(ledger).max_decoding_message_size(MAX_DECODING_BYTES);
        let mut stream = { client }.get_updates(request).await.unwrap().into_inner();
        let mut found = Vec::new();
        while let Some(answer) = stream.message().await.unwrap() {
            if let Some(get_updates_response::Update::Transaction(transaction)) = answer.update {
                found.push(transaction);
            }
        }
        found
    }
}

pub(super) fn created(transaction: &Transaction) -> Vec<api::CreatedEvent> {
    let events = transaction.events.iter().filter_map(|event| match event.event.clone()? {
        Event::Created(created) => Some(created),
        _ => None,
    });
    events.collect()
}

pub(super) fn exercised(transaction: &Transaction) -> Vec<api::ExercisedEvent> {
    let events = transaction.events.iter().filter_map(|event| match event.event.clone()? {
        Event::Exercised(exercised) => Some(exercised),
        _ => None,
    });
    events.collect()
}

/// The contract that the first exercise of a transaction returns.
pub(super) fn returned(transaction: &Transaction) -> Value {
    read_value(exercised(transaction)[0].exercise_result.as_ref().unwrap()).unwrap()
}
