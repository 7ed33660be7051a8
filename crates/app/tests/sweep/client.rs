//! Clients as the field's are: they submit through any replica, and the same command again when they could not learn its
//! outcome.

use crate::model::{accept, exercise, offer};
use canton_proto::com::daml::ledger::api::v2::{
    Command, Commands, CumulativeFilter, EventFormat, Filters, GetActiveContractsRequest, GetLedgerEndRequest,
    GetUpdatesRequest, SubmitAndWaitRequest, TransactionFormat, TransactionShape, UpdateFormat, WildcardFilter,
    admin::{AllocatePartyRequest, party_management_service_client::PartyManagementServiceClient},
    command_service_client::CommandServiceClient,
    cumulative_filter::IdentifierFilter,
    get_active_contracts_response::ContractEntry,
    get_updates_response::Update,
    state_service_client::StateServiceClient,
    update_service_client::UpdateServiceClient,
};
use checker::{Outcome, Record};
use demo::{History, Side};
use rpc::RpcError;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tonic::{Code, Request, transport::Channel};

/// For one attempt, as the field's clients have it.
const ATTEMPT: Duration = Duration::from_secs(8);
/// Until everything that a client wants must have happened.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(25);

/// What became of a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Committed,
    Rejected(String),
    /// An attempt before took effect.
    Duplicate,
}

/// Both parties with all that they do. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Clients {
    sides: Arc<[Side; 2]>,
    history: History,
}

impl Clients {
    pub(crate) fn new(sides: Arc<[Side; 2]>, history: History) -> Self {
        Self { sides, history }
    }

    /// Create, transfer, archive; contention for one contract; a rejected command; a duplicate; a contract that is gone;
    /// a change of topology.
    pub(crate) async fn round(&self, n: u32) {
        let (alice, bob) = (&self.sides[0], &self.sides[1]);
        let amount = format!("{}.0000000000", n + 1);
        let id = |what: &str| format!("{n}-{what}");
        let create = offer(&alice.party, &bob.party, &amount);
        assert!(matches!(self.decide(0, &id("offer"), create.clone()).await, Fate::Committed | Fate::Duplicate));
        assert_eq!(self.decide(0, &id("offer"), create).await, Fate::Duplicate, "{n}");
        let offered = self.find(1, "IouOffer", &amount).await;
        let refused = self.decide(0, &id("wrong-party"), accept(&offered)).await;
        assert!(matches!(refused, Fate::Rejected(_)), "{n}: {refused:?}");
        let (accepting, withdrawing) = (id("accept"), id("withdraw"));
        let (accepted, withdrawn, ()) = tokio::join!(
            self.decide(1, &accepting, accept(&offered)),
            self.decide(0, &withdrawing, exercise("IouOffer", "Withdraw", &offered, &[])),
            self.allocate(n),
        );
        let won = [&accepted, &withdrawn].map(|fate| !matches!(fate, Fate::Rejected(_)));
        assert!(won != [true, true], "round {n}: one contract was consumed twice: {accepted:?}, {withdrawn:?}");
        let gone = self.decide(1, &id("gone"), exercise("IouOffer", "Decline", &offered, &[])).await;
        assert!(matches!(gone, Fate::Rejected(_)) || won == [false, false], "{n}: {gone:?}");
        if won == [true, false] {
            let iou = self.find(1, "Iou", &amount).await;
            self.decide(1, &id("transfer"), exercise("Iou", "Transfer", &iou, &[("newOwner", &alice.party)])).await;
            let transfer = self.find(0, "IouTransfer", &amount).await;
            self.decide(0, &id("accept-transfer"), exercise("IouTransfer", "AcceptTransfer", &transfer, &[])).await;
            let iou = self.find(0, "Iou", &amount).await;
            // It is a promise to oneself by now, which nobody else sees.
            self.decide_alone(0, &id("archive"), exercise("Iou", "Archive", &iou, &[])).await;
        }
        self.ends().await;
    }

    /// Submits a command that both sides see until its fate is known.
    async fn decide(&self, side: usize, command: &str, what: Command) -> Fate {
        let stakeholders = self.sides.iter().map(|side| side.participant.to_owned()).collect();
        self.decide_for(side, command, what, stakeholders).await
    }

    async fn decide_alone(&self, side: usize, command: &str, what: Command) -> Fate {
        self.decide_for(side, command, what, vec![self.sides[side].participant.to_owned()]).await
    }

    async fn decide_for(&self, side: usize, command: &str, what: Command, stakeholders: Vec<String>) -> Fate {
        let own = &self.sides[side];
        let until = Instant::now() + PATIENCE;
        let mut last_refusal = None;
        for (attempt, replica) in (0..own.replicas.len()).cycle().enumerate() {
            assert!(Instant::now() < until, "{command} is not decided; the last refusal was {last_refusal:?}");
            let submission = format!("{command}-{attempt}-{}", self.history.now());
            self.record(Record::Submit {
                at: self.history.now(),
                command: command.into(),
                participant: own.participant.into(),
                stakeholders: stakeholders.clone(),
            });
            let answer = submit(own.replicas[replica].clone(), &own.party, command, &submission, what.clone()).await;
            let (outcome, refusal) = match answer {
                Ok(update_id) => {
                    self.answer(command, None, Outcome::Committed { update_id });
                    return Fate::Committed;
                }
                Err(error) => match (error.id, error.is_definite_answer) {
                    (Some(code), _) if code == "DUPLICATE_COMMAND" => {
                        // That the ledger must tell.
                        self.answer(command, None, Outcome::Unknown);
                        return Fate::Duplicate;
                    }
                    (Some(code), true) => (
                        Outcome::Rejected { code: code.clone() },
                        Some(code).filter(|_| !may_succeed_later(error.code)),
                    ),
                    _ => (Outcome::Unknown, None),
                },
            };
            self.answer(command, Some(submission), outcome);
            // Where an attempt before may be in flight, the second refusal for the same reason comes after it.
            match refusal {
                Some(code) if attempt == 0 || last_refusal.as_ref() == Some(&code) => return Fate::Rejected(code),
                refusal => last_refusal = refusal,
            }
            tokio::time::sleep(PAUSE).await;
        }
        unreachable!("there are replicas")
    }

    fn record(&self, record: Record) {
        self.history.with(|inner| inner.records.push(record));
    }

    fn answer(&self, command: &str, submission: Option<String>, outcome: Outcome) {
        self.record(Record::Answer { at: self.history.now(), command: command.into(), submission, outcome });
    }

    /// A contract that a side sees.
    async fn find(&self, side: usize, template: &str, amount: &str) -> String {
        let own = &self.sides[side];
        let until = Instant::now() + PATIENCE;
        for replica in own.replicas.iter().cycle() {
            if let Ok(Some(found)) = active(replica.clone(), &own.party, template, amount).await {
                return found;
            }
            assert!(Instant::now() < until, "no {template} over {amount} is shown at {}", own.participant);
            tokio::time::sleep(PAUSE).await;
        }
        unreachable!("there are replicas")
    }

    /// A new party, until it is there.
    async fn allocate(&self, n: u32) {
        let until = Instant::now() + PATIENCE;
        for (attempt, replica) in self.sides[0].replicas.iter().cycle().enumerate() {
            let party_id_hint = format!("party-{n}-{attempt}");
            let mut request = Request::new(AllocatePartyRequest { party_id_hint, ..AllocatePartyRequest::default() });
            request.set_timeout(ATTEMPT);
            match PartyManagementServiceClient::new(replica.clone()).allocate_party(request).await {
                Ok(_) => return,
                Err(error) => assert!(Instant::now() < until, "no party is allocated: {error}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Asks every replica in turn where the ledger ends.
    async fn ends(&self) {
        for side in self.sides.iter() {
            for replica in &side.replicas {
                let answer = StateServiceClient::new(replica.clone()).get_ledger_end(GetLedgerEndRequest {}).await;
                if let Ok(answer) = answer {
                    let offset = answer.into_inner().offset;
                    self.record(Record::LedgerEnd { participant: side.participant.into(), offset });
                }
            }
        }
    }

    /// Follows a side's updates through its replicas for ever.
    pub(crate) async fn follow(self, side: usize) {
        let own = &self.sides[side];
        let mut offset = 0;
        for replica in own.replicas.iter().cycle() {
            // Whatever breaks a stream, the next replica goes on from the same offset.
            let _ = self.follow_at(own, replica.clone(), &mut offset).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn follow_at(&self, own: &Side, replica: Channel, offset: &mut i64) -> Result<(), tonic::Status> {
        let transactions = TransactionFormat {
            event_format: Some(format(&own.party)),
            transaction_shape: TransactionShape::AcsDelta.into(),
        };
        let request = GetUpdatesRequest {
            begin_exclusive: *offset,
            update_format: Some(UpdateFormat { include_transactions: Some(transactions), ..UpdateFormat::default() }),
            ..GetUpdatesRequest::default()
        };
        let mut updates = UpdateServiceClient::new(replica).get_updates(request).await?.into_inner();
        while let Some(message) = updates.message().await? {
            match message.update {
                Some(Update::Transaction(transaction)) => {
                    *offset = transaction.offset;
                    let (participant, update_id) = (own.participant.into(), transaction.update_id);
                    self.record(Record::Seen { participant, offset: *offset, update_id });
                }
                Some(Update::OffsetCheckpoint(checkpoint)) => *offset = checkpoint.offset,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether the same command may be accepted a little later.
fn may_succeed_later(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::Aborted | Code::DeadlineExceeded)
}

fn format(party: &str) -> EventFormat {
    let all = CumulativeFilter { identifier_filter: Some(IdentifierFilter::WildcardFilter(WildcardFilter::default())) };
    EventFormat {
        filters_by_party: [(party.to_owned(), Filters { cumulative: vec![all] })].into(),
        ..EventFormat::default()
    }
}

async fn active(replica: Channel, party: &str, template: &str, amount: &str) -> Result<Option<String>, tonic::Status> {
    let mut client = StateServiceClient::new(replica);
    let end = client.get_ledger_end(GetLedgerEndRequest {}).await?.into_inner().offset;
    let request = GetActiveContractsRequest {
        active_at_offset: end,
        event_format: Some(format(party)),
        ..GetActiveContractsRequest::default()
    };
    let mut contracts = client.get_active_contracts(request).await?.into_inner();
    while let Some(message) = contracts.message().await? {
        if let Some(ContractEntry::ActiveContract(contract)) = message.contract_entry
            && let Some(created) = contract.created_event
            && created.template_id.as_ref().is_some_and(|t| t.entity_name == template)
            && format!("{:?}", created.create_arguments).contains(&format!("\"{amount}\""))
        {
            return Ok(Some(created.contract_id));
        }
    }
    Ok(None)
}

async fn submit(
    replica: Channel,
    party: &str,
    command: &str,
    submission: &str,
    what: Command,
) -> Result<String, RpcError> {
    let commands = Commands {
        user_id: "demo".into(),
        command_id: command.into(),
        submission_id: submission.into(),
        commands: vec![what],
        act_as: vec![party.into()],
        ..Commands::default()
    };
    let mut request = Request::new(SubmitAndWaitRequest { commands: Some(commands) });
    request.set_timeout(ATTEMPT);
    Ok(CommandServiceClient::new(replica).submit_and_wait(request).await?.into_inner().update_id)
}
