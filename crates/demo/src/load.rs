//! Clients that submit through any replica, and retry what they could not learn the outcome of.

use crate::{history::History, workload::Workload};
use canton_proto::com::daml::ledger::api::v2::{
    Command, Commands, EventFormat, Filters, GetLedgerEndRequest, GetUpdatesRequest, SubmitAndWaitRequest,
    TransactionFormat, TransactionShape, UpdateFormat, command_service_client::CommandServiceClient, event,
    get_updates_response::Update, state_service_client::StateServiceClient, update_service_client::UpdateServiceClient,
};
use checker::Outcome;
use rpc::RpcError;
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Mutex, mpsc},
    time::Instant,
};
use tonic::{Request, transport::Channel};

/// For one attempt.
const ATTEMPT: Duration = Duration::from_secs(8);
/// Until a command must be decided.
const DECIDED: Duration = Duration::from_secs(60);
/// Until what participants tell each other about packages and parties must be in force.
const WARM_UP: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(25);

/// One logical participant as a client sees it.
#[derive(Clone)]
pub struct Side {
    /// Its name.
    pub participant: &'static str,
    /// The party that it submits for.
    pub party: String,
    /// Ledger APIs of its replicas.
    pub replicas: Vec<Channel>,
}

/// The whole load. Cheap to clone.
#[derive(Clone)]
pub struct Load {
    /// Both participants.
    pub sides: Arc<[Side; 2]>,
    pub(crate) workload: Workload,
    pub(crate) history: History,
    pub(crate) stop: Arc<AtomicBool>,
    seed: u64,
    /// Commands per second, at most.
    rate: Option<u32>,
    begun: Arc<OnceLock<Instant>>,
    next: Arc<AtomicU64>,
    /// Offers that wait for their acceptance, by the side that may accept.
    offers: Arc<[Offers; 2]>,
}

struct Offers {
    seen: mpsc::UnboundedSender<String>,
    waiting: Mutex<mpsc::UnboundedReceiver<String>>,
}

impl Load {
    pub(crate) fn new(sides: [Side; 2], workload: Workload, history: History, seed: u64, rate: Option<u32>) -> Self {
        let offers = || {
            let (seen, waiting) = mpsc::unbounded_channel();
            Offers { seen, waiting: Mutex::new(waiting) }
        };
        Self {
            sides: Arc::new(sides),
            workload,
            history,
            stop: Arc::default(),
            seed,
            rate,
            begun: Arc::new(OnceLock::new()),
            next: Arc::default(),
            offers: Arc::new([offers(), offers()]),
        }
    }

    /// A number that depends on the seed and `n` alone (splitmix64).
    fn dice(&self, n: u64) -> u64 {
        let mut z = self.seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An offer each way, until it commits: from then on both participants know the model and the parties of both.
    pub(crate) async fn warm_up(&self) -> Result<(), RpcError> {
        let offer = async |n: usize| {
            let side = &self.sides[n];
            let command = self.workload.offer(&side.party, &self.sides[1 - n].party, 1);
            let until = Instant::now() + WARM_UP;
            for attempt in 0_u64.. {
                let id = format!("warm-up-{n}-{attempt}");
                match submit(side.replicas[0].clone(), &side.party, &id, command.clone()).await {
                    Err(error) if Instant::now() > until => return Err(error),
                    Err(_) => tokio::time::sleep(PAUSE).await,
                    Ok(_) => break,
                }
            }
            Ok(())
        };
        tokio::try_join!(offer(0), offer(1)).map(|_| ())
    }

    /// Submits one command after the other until the load is stopped; finishes the one under way.
    pub(crate) async fn client(self) {
        while !self.stop.load(Ordering::Relaxed) {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            if let Some(rate) = self.rate {
                let begun = *self.begun.get_or_init(Instant::now);
                tokio::time::sleep_until(begun + Duration::from_micros(n * 1_000_000 / u64::from(rate.max(1)))).await;
            }
            let side = usize::from(self.dice(n) % 2 == 1);
            let offer = self.offers[side].waiting.lock().await.try_recv().ok();
            let (own, other) = (&self.sides[side], &self.sides[1 - side]);
            let command = match offer {
                Some(contract) => self.workload.accept(contract),
                None => self.workload.offer(&own.party, &other.party, i64::try_from(n).unwrap_or(0) + 1),
            };
            self.decide(own, other, format!("demo-{}-{n}", self.seed), command, n).await;
        }
    }

    /// Submits a command until its fate is known.
    async fn decide(&self, own: &Side, other: &Side, id: String, command: Command, n: u64) {
        let _in_flight = self.history.begin();
        let until = Instant::now() + DECIDED;
        let mut first = None;
        for attempt in 0_u64.. {
            let at = self.history.submit(&id, own.participant, &[own.participant, other.participant]);
            let begun = *first.get_or_insert(at);
            let count = u64::try_from(own.replicas.len()).unwrap_or(1).max(1);
            // Other bits than those that chose the side.
            let replica = usize::try_from((self.dice(n.wrapping_add(attempt << 32)) >> 8) % count).unwrap_or(0);
            match submit(own.replicas[replica].clone(), &own.party, &id, command.clone()).await {
                Ok(update_id) => {
                    self.history.answer(&id, Outcome::Committed { update_id });
                    let now = self.history.now();
                    return self.history.with(|h| h.latencies.push(now - begun));
                }
                Err(error) => match error.id.as_deref() {
                    // An attempt before this one took effect; the ledger says which.
                    Some("DUPLICATE_COMMAND") => return,
                    Some("SUBMISSION_ALREADY_IN_FLIGHT") => {}
                    Some(code) if error.is_definite_answer && attempt == 0 => {
                        return self.history.answer(&id, Outcome::Rejected { code: code.into() });
                    }
                    _ => self.history.answer(&id, Outcome::Unknown),
                },
            }
            if Instant::now() > until {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Follows a side's updates through any of its replicas: takes the offers made to it, and notes when updates come.
    pub(crate) async fn reader(self, side: usize) {
        let own = &self.sides[side];
        let mut offset = None;
        for replica in (0..own.replicas.len()).cycle() {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            // Whatever breaks a stream, the next replica goes on from the same offset.
            if let Err(error) = self.follow(side, own.replicas[replica].clone(), &mut offset).await {
                tracing::debug!("reader of {}: {error}", own.participant);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn follow(&self, side: usize, channel: Channel, offset: &mut Option<i64>) -> Result<(), tonic::Status> {
        let own = &self.sides[side];
        let begin = match *offset {
            Some(offset) => offset,
            None => {
                let mut state = StateServiceClient::new(channel.clone());
                state.get_ledger_end(GetLedgerEndRequest {}).await?.into_inner().offset
            }
        };
        let request = GetUpdatesRequest {
            begin_exclusive: begin,
            end_inclusive: None,
            update_format: Some(update_format(&own.party)),
            descending_order: false,
        };
        let mut updates = UpdateServiceClient::new(channel).get_updates(request).await?.into_inner();
        *offset = Some(begin);
        while let Some(message) = updates.message().await? {
            match message.update {
                Some(Update::Transaction(transaction)) => {
                    let now = self.history.now();
                    self.history.with(|h| {
                        h.arrivals.push((own.participant, now));
                        h.seen.insert((own.participant, transaction.update_id.clone()));
                    });
                    *offset = Some(transaction.offset);
                    for created in transaction.events.into_iter().filter_map(|e| match e.event {
                        Some(event::Event::Created(created)) => Some(created),
                        _ => None,
                    }) {
                        // Offers that this side did not sign are made to it.
                        if self.workload.is_offer(&created) && !created.signatories.contains(&own.party) {
                            let _ = self.offers[side].seen.send(created.contract_id);
                        }
                    }
                }
                Some(Update::OffsetCheckpoint(checkpoint)) => *offset = Some(checkpoint.offset),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Everything that concerns a party, as contracts that come and go.
pub(crate) fn update_format(party: &str) -> UpdateFormat {
    UpdateFormat {
        include_transactions: Some(TransactionFormat {
            event_format: Some(EventFormat {
                filters_by_party: [(party.to_owned(), Filters::default())].into(),
                filters_for_any_party: None,
                verbose: false,
            }),
            transaction_shape: TransactionShape::AcsDelta.into(),
        }),
        ..UpdateFormat::default()
    }
}

async fn submit(channel: Channel, party: &str, id: &str, command: Command) -> Result<String, RpcError> {
    let commands = Commands {
        user_id: "demo".into(),
        command_id: id.into(),
        commands: vec![command],
        act_as: vec![party.into()],
        ..Commands::default()
    };
    let mut request = Request::new(SubmitAndWaitRequest { commands: Some(commands) });
    request.set_timeout(ATTEMPT);
    let answer = CommandServiceClient::new(channel).submit_and_wait(request).await?;
    Ok(answer.into_inner().update_id)
}
