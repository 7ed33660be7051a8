//! A member's stream of events across endpoints and reconnects.

use crate::{client::Client, error::ClientError};
use base::{Coded, ErrorCode, Timestamp, codes};
use bytes::Bytes;
use crypto::PublicKey;
use protocol::sequencing::{DecodeError, SequencedEvent, SignedContent};
use rpc::Endpoints;
use std::{sync::Arc, time::Duration};
use tasks::Tasks;
use tokio::sync::{mpsc, watch};
use tonic::transport::Channel;
use topology::TopologyState;

/// Events that wait for the member.
const INBOX: usize = 100;
/// How long a signer may stay unknown.
const KEY_PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// The sequencer's keys, as the member's topology has them now. None before the member has seen any topology: then
/// its first event cannot be verified, and is taken on the strength of the connection.
pub trait Keys: Send + Sync {
    /// All keys that the sequencer may sign with, now and as they change.
    fn sequencer_keys(&self) -> watch::Receiver<Vec<PublicKey>>;
}

/// Keys that follow a member's topology. Cheap to clone.
#[derive(Clone, Default)]
pub struct TopologyKeys(watch::Sender<Vec<PublicKey>>);

impl TopologyKeys {
    /// Takes the keys of all sequencers from the topology as it is now, future changes included.
    pub fn follow(&self, topology: &TopologyState) {
        let head = topology.head();
        let keys: Vec<PublicKey> = head.sequencers().iter().flat_map(|s| head.keys(&s.member())).cloned().collect();
        self.0.send_if_modified(|known| {
            let is_new = *known != keys;
            *known = keys;
            is_new
        });
    }
}

impl Keys for TopologyKeys {
    fn sequencer_keys(&self) -> watch::Receiver<Vec<PublicKey>> {
        self.0.subscribe()
    }
}

/// An event that was verified and follows the one before it.
#[derive(Debug, Clone)]
pub struct Received {
    /// The event.
    pub event: SequencedEvent,
}

/// A subscription ended for good. Trying another endpoint would not help.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SubscriptionError {
    /// The synchronizer's history is not the one that this member has seen.
    #[error(
        "the sequencer's history differs from what was received before, at {at}: {what}; do not continue, find out which database went backwards"
    )]
    Fork {
        /// Where it shows.
        at: Timestamp,
        /// How it shows.
        what: String,
    },
    /// This member may not subscribe any more.
    #[error("the synchronizer does not let this member in any more: {0}")]
    NotAMember(ClientError),
}

impl Coded for SubscriptionError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Fork { .. } => codes::SEQUENCER_FORK_DETECTED,
            Self::NotAMember(_) => codes::SENDER_UNKNOWN,
        }
    }
}

/// Why one connection was given up; the next endpoint may do better.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("an event is invalid: {0}")]
    Event(#[from] DecodeError),
    #[error("an event is signed by {0}, which is no key of the sequencer")]
    Signer(base::Fingerprint),
    #[error("after {last:?} came an event whose previous one is {previous:?}")]
    Gap { last: Option<Timestamp>, previous: Option<Timestamp> },
    #[error("an event is of another synchronizer")]
    OtherSynchronizer,
    #[error("the stream ended")]
    Ended,
    #[error("other sequencers are to be used")]
    Redirected,
    #[error("the member is gone")]
    Gone,
    #[error(transparent)]
    ForGood(#[from] SubscriptionError),
}

struct Stream {
    client: Client,
    keys: Arc<dyn Keys>,
    last: Option<Timestamp>,
    /// Whether `last` has been delivered; otherwise it is where the member wants to begin.
    out: mpsc::Sender<Result<Received, SubscriptionError>>,
}

pub(crate) fn start(
    client: Client,
    from: Option<Timestamp>,
    keys: Arc<dyn Keys>,
    tasks: &Tasks,
) -> mpsc::Receiver<Result<Received, SubscriptionError>> {
    let (out, received) = mpsc::channel(INBOX);
    let stream = Stream { client, keys, last: from, out };
    tasks.spawn_cancellable("sequencer subscription", stream.run()).detach();
    received
}

impl Stream {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let redirected = self.client.redirected();
            let endpoints = self.client.endpoints();
            let Some((at, uri, channel)) = endpoints.current() else { return };
            let (uri, before) = (uri.to_owned(), self.last);
            match self.follow(channel, redirected).await {
                Broken::Gone => return,
                Broken::Redirected => {
                    tracing::info!("subscription at {uri} moves to other sequencers");
                    continue;
                }
                Broken::ForGood(error) => {
                    tracing::error!("subscription at {uri}: {error}");
                    let _ = self.out.send(Err(error)).await;
                    return;
                }
                broken => tracing::info!("subscription at {uri} broke: {broken}"),
            }
            endpoints.failed(at);
            if self.last > before {
                pause = FIRST_PAUSE;
            }
            // Another endpoint is tried at once; only when all have failed is there a pause, longer each time.
            if endpoints.is_first_again() {
                tokio::select! {
                    () = tokio::time::sleep(pause) => (),
                    () = self.out.closed() => return,
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// Receives at one endpoint until something breaks.
    async fn follow(&mut self, channel: Channel, mut redirected: watch::Receiver<Endpoints>) -> Broken {
        tokio::select! {
            received = self.receive(channel) => match received {
                Ok(never) => match never {},
                Err(broken) => broken,
            },
            _ = redirected.changed() => Broken::Redirected,
        }
    }

    async fn receive(&mut self, channel: Channel) -> Result<std::convert::Infallible, Broken> {
        let mut stream = match self.client.open_stream(channel, self.last).await {
            Ok(stream) => stream,
            Err(error) => return Err(self.for_good(error)),
        };
        // The event at `last` comes again, so that its existence is confirmed.
        let mut is_overlap = self.last.is_some();
        loop {
            let message = tokio::select! {
                message = stream.message() => message,
                () = self.out.closed() => return Err(Broken::Gone),
            };
            let message = message.map_err(|s| self.for_good(ClientError::Rpc(s.into())))?.ok_or(Broken::Ended)?;
            let event = self.verified(message.signed_event).await?;
            if is_overlap {
                is_overlap = false;
                if Some(event.timestamp) != self.last {
                    let at = self.last.unwrap_or(event.timestamp);
                    return Err(SubscriptionError::Fork { at, what: "its event is not there".into() }.into());
                }
                continue;
            }
            if event.previous != self.last || self.last.is_some_and(|last| event.timestamp <= last) {
                return Err(Broken::Gap { last: self.last, previous: event.previous });
            }
            // Between the two there is no point where this can be given up.
            let permit = self.out.reserve().await.map_err(|_| Broken::Gone)?;
            self.last = Some(event.timestamp);
            let sequenced = event.timestamp.micros();
            permit.send(Ok(Received { event }));
            self.client.config().lag.saw(sequenced);
        }
    }

    async fn verified(&self, bytes: Bytes) -> Result<SequencedEvent, Broken> {
        let signed = SignedContent::from_bytes(bytes)?;
        let mut keys = self.keys.sequencer_keys();
        let event: SequencedEvent = if keys.borrow().is_empty() && self.last.is_none() {
            protocol::sequencing::Signable::decode(signed.content)?
        } else {
            // The key may be brought by an event that the member has received but not processed yet.
            let by = &signed.signature.signed_by;
            let has_key = |keys: &Vec<PublicKey>| keys.iter().any(|key| key.fingerprint() == by);
            let known = tokio::time::timeout(KEY_PATIENCE, keys.wait_for(has_key)).await;
            let unknown = || Broken::Signer(by.clone());
            let known = known.map_err(|_| unknown())?.map_err(|_| Broken::Gone)?.clone();
            signed.verify(known.iter().find(|key| key.fingerprint() == by).ok_or_else(unknown)?)?
        };
        if event.synchronizer != *self.client.synchronizer() {
            return Err(Broken::OtherSynchronizer);
        }
        Ok(event)
    }

    /// Errors that no other endpoint would mend.
    fn for_good(&self, error: ClientError) -> Broken {
        let id = match &error {
            ClientError::Rpc(rpc) => rpc.id.clone(),
            _ => None,
        };
        match id.as_deref() {
            Some(id) if id == codes::SENDER_UNKNOWN.id => SubscriptionError::NotAMember(error).into(),
            _ => error.into(),
        }
    }
}
