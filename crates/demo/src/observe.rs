//! Reading every replica to its end, through public streams only, for the checker.

use crate::{
    history::History,
    load::{Side, update_format},
};
use canton_proto::com::daml::ledger::api::v2::{
    CompletionStreamRequest, CreatedEvent, GetActiveContractsRequest, GetLedgerEndRequest, GetUpdatesRequest,
    command_completion_service_client::CommandCompletionServiceClient, completion_stream_response::CompletionResponse,
    event, get_active_contracts_response::ContractEntry, get_updates_response::Update,
    state_service_client::StateServiceClient, update_service_client::UpdateServiceClient,
};
use checker::{Contract, Record};
use rpc::RpcError;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;
use tonic::{Status, transport::Channel};

/// A replica could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// A call failed.
    #[error("a replica cannot be read: {0}")]
    Rpc(RpcError),
    /// Replicas differ.
    #[error("the replicas of {0} do not come to show the same ledger end")]
    Ends(&'static str),
    /// A stream ends too early.
    #[error("the completions of {0} do not reach its ledger end")]
    Completions(String),
}

impl From<Status> for ObserveError {
    fn from(status: Status) -> Self {
        Self::Rpc(status.into())
    }
}

/// Until all replicas of a participant show the same ledger end.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// Records everything that all replicas of both sides show.
pub(crate) async fn read_all(sides: &[Side; 2], history: &History) -> Result<(), ObserveError> {
    let home: BTreeMap<&str, &'static str> = sides.iter().map(|s| (s.party.as_str(), s.participant)).collect();
    for side in sides {
        let end = settled_end(side).await?;
        for (n, channel) in side.replicas.iter().enumerate() {
            let replica = format!("{}-{n}", side.participant);
            updates(side, &replica, channel.clone(), end, &home, history).await?;
            completions(side, &replica, channel.clone(), end, history).await?;
            active(side, &replica, channel.clone(), end, history).await?;
            history.record(Record::ReadToEnd { participant: side.participant.into(), replica });
        }
    }
    Ok(())
}

/// The ledger end once it stands still and all replicas agree on it.
async fn settled_end(side: &Side) -> Result<i64, ObserveError> {
    let until = Instant::now() + PATIENCE;
    let mut before = Vec::new();
    loop {
        let mut ends = Vec::new();
        for channel in &side.replicas {
            let answer = StateServiceClient::new(channel.clone()).get_ledger_end(GetLedgerEndRequest {}).await;
            ends.push(answer.map(|a| a.into_inner().offset));
        }
        let first = ends.first().and_then(|e| e.as_ref().ok().copied());
        let agree = first.is_some() && ends.iter().all(|e| e.as_ref().ok().copied() == first);
        let shown: Vec<_> = ends.iter().map(|e| e.as_ref().ok().copied()).collect();
        if agree && shown == before {
            return Ok(first.unwrap_or_default());
        }
        if Instant::now() > until {
            let failed = ends.into_iter().find_map(Result::err);
            return Err(failed.map_or(ObserveError::Ends(side.participant), Into::into));
        }
        before = shown;
        tokio::time::sleep(POLL).await;
    }
}

async fn updates(
    side: &Side,
    replica: &str,
    channel: Channel,
    end: i64,
    home: &BTreeMap<&str, &'static str>,
    history: &History,
) -> Result<(), ObserveError> {
    let request = GetUpdatesRequest {
        begin_exclusive: 0,
        end_inclusive: Some(end),
        update_format: Some(update_format(&side.party)),
        descending_order: false,
    };
    let mut stream = UpdateServiceClient::new(channel).get_updates(request).await?.into_inner();
    // An archival does not say who the stakeholders are; the creation did.
    let mut known: BTreeMap<String, Contract> = BTreeMap::new();
    while let Some(message) = stream.message().await? {
        let Some(Update::Transaction(transaction)) = message.update else { continue };
        let (mut created, mut archived) = (Vec::new(), Vec::new());
        for event in transaction.events.into_iter().filter_map(|e| e.event) {
            match event {
                event::Event::Created(event) => {
                    let contract = contract(&event, home);
                    known.insert(contract.id.clone(), contract.clone());
                    created.push(contract);
                }
                event::Event::Archived(event) => archived.extend(known.get(&event.contract_id).cloned()),
                event::Event::Exercised(_) => {}
            }
        }
        let micros = transaction.record_time.map_or(0, |t| t.seconds * 1_000_000 + i64::from(t.nanos) / 1000);
        history.record(Record::Update {
            participant: side.participant.into(),
            replica: replica.into(),
            offset: transaction.offset,
            update_id: transaction.update_id,
            command: Some(transaction.command_id).filter(|c| !c.is_empty()),
            record_time: micros,
            created,
            archived,
        });
    }
    Ok(())
}

fn contract(event: &CreatedEvent, home: &BTreeMap<&str, &'static str>) -> Contract {
    let parties = event.signatories.iter().chain(&event.observers);
    let mut stakeholders: Vec<String> = parties.filter_map(|p| home.get(p.as_str())).map(|p| (*p).to_owned()).collect();
    stakeholders.sort();
    stakeholders.dedup();
    Contract {
        id: event.contract_id.clone(),
        stakeholders,
        content: format!("{:?} {:?}", event.template_id, event.create_arguments),
    }
}

async fn active(side: &Side, replica: &str, channel: Channel, end: i64, history: &History) -> Result<(), ObserveError> {
    let format = update_format(&side.party).include_transactions.and_then(|t| t.event_format);
    let request = GetActiveContractsRequest {
        active_at_offset: end,
        event_format: format,
        ..GetActiveContractsRequest::default()
    };
    let mut stream = StateServiceClient::new(channel).get_active_contracts(request).await?.into_inner();
    let mut contracts = Vec::new();
    while let Some(message) = stream.message().await? {
        if let Some(ContractEntry::ActiveContract(contract)) = message.contract_entry {
            contracts.extend(contract.created_event.map(|created| created.contract_id));
        }
    }
    history.record(Record::Active { participant: side.participant.into(), replica: replica.into(), contracts });
    Ok(())
}

async fn completions(
    side: &Side,
    replica: &str,
    channel: Channel,
    end: i64,
    history: &History,
) -> Result<(), ObserveError> {
    let request =
        CompletionStreamRequest { user_id: "demo".into(), parties: vec![side.party.clone()], begin_exclusive: 0 };
    let mut stream = CommandCompletionServiceClient::new(channel).completion_stream(request).await?.into_inner();
    let mut at = 0;
    while at < end {
        let Ok(next) = tokio::time::timeout(PATIENCE, stream.message()).await else {
            return Err(ObserveError::Completions(replica.into()));
        };
        match next?.and_then(|m| m.completion_response) {
            Some(CompletionResponse::Completion(completion)) => {
                at = completion.offset;
                history.record(Record::Completion {
                    participant: side.participant.into(),
                    replica: replica.into(),
                    offset: completion.offset,
                    command: completion.command_id,
                    submission: Some(completion.submission_id).filter(|s| !s.is_empty()),
                    update_id: Some(completion.update_id).filter(|u| !u.is_empty()),
                });
            }
            Some(CompletionResponse::OffsetCheckpoint(checkpoint)) => at = checkpoint.offset,
            None => return Ok(()),
        }
    }
    Ok(())
}
