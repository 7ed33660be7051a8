//! Writes to the active replica: here if this is it, else one hop over the wire, marked, never twice.

use crate::{
    ApiError,
    error::refuse,
    writes::{Refusal, Writes},
};
use rpc::{ChannelConfig, RpcError, connect_lazy};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tonic::{Code, Request, Status, metadata::MetadataValue, transport::Channel};

/// Metadata of a call that another replica has passed on.
pub const FORWARDED: &str = "concordat-forwarded";
/// How long a write waits for a replica to become active.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts while the active replica does not answer.
const PAUSE: Duration = Duration::from_millis(20);

/// Where the active replica is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Active {
    /// This one.
    Here,
    /// Another one, whose Ledger API is at this URI.
    At(String),
    /// Nobody, as far as is known.
    Nobody,
}

/// What became of one attempt.
pub(crate) enum Attempt<T> {
    Done(T),
    Refused(Status),
    /// It certainly had no effect; the next active replica may do better.
    NotTaken,
    /// It may have had an effect.
    Unknown(Status),
}

/// Routes the calls of one service.
#[derive(Clone)]
pub(crate) struct Router {
    writes: Arc<dyn Writes>,
    channel: Arc<ChannelConfig>,
}

impl Router {
    pub(crate) fn new(writes: Arc<dyn Writes>) -> Self {
        Self { writes, channel: Arc::default() }
    }

    pub(crate) fn with_channel(self, channel: ChannelConfig) -> Self {
        Self { channel: channel.into(), ..self }
    }

    pub(crate) fn writes(&self) -> &Arc<dyn Writes> {
        &self.writes
    }

    /// Runs a write on the active replica. `again` says whether an attempt whose outcome is unknown may be repeated,
    /// because repeating it has no second effect.
    pub(crate) async fn run<T, H, R>(
        &self,
        is_forwarded: bool,
        again: bool,
        here: impl Fn(Arc<dyn Writes>) -> H,
        there: impl Fn(Channel) -> R,
    ) -> Result<T, Status>
    where
        H: Future<Output = Result<T, Refusal>>,
        R: Future<Output = Result<T, Status>>,
    {
        let until = Instant::now() + PATIENCE;
        let mut active = self.writes.active();
        loop {
            let target = active.borrow_and_update().clone();
            let attempt = match target {
                Active::Here => Self::here(here(self.writes.clone())).await,
                Active::Nobody => Attempt::NotTaken,
                // One hop is enough: who forwarded to us will look again.
                Active::At(_) if is_forwarded => return Err(ApiError::NoActive.into()),
                Active::At(uri) => self.there(&uri, &there).await,
            };
            let last = match attempt {
                Attempt::Done(answer) => return Ok(answer),
                Attempt::Refused(status) => return Err(status),
                Attempt::Unknown(status) if !again => return Err(status),
                Attempt::Unknown(status) => status,
                Attempt::NotTaken => ApiError::NoActive.into(),
            };
            if Instant::now() >= until {
                return Err(last);
            }
            let pause = tokio::time::sleep(PAUSE);
            tokio::select! {
                () = pause => (),
                changed = active.changed() => if changed.is_err() { return Err(last) },
            }
        }
    }

    async fn here<T>(call: impl Future<Output = Result<T, Refusal>>) -> Attempt<T> {
        match call.await {
            Ok(answer) => Attempt::Done(answer),
            Err(error) => {
                let status = refuse(error.as_ref());
                match error.code() {
                    base::codes::NODE_IS_PASSIVE_REPLICA | base::codes::SYNC_SERVICE_BECAME_PASSIVE => {
                        Attempt::NotTaken
                    }
                    base::codes::REQUEST_TIME_OUT => Attempt::Unknown(status),
                    _ => Attempt::Refused(status),
                }
            }
        }
    }

    async fn there<T, R>(&self, uri: &str, call: &impl Fn(Channel) -> R) -> Attempt<T>
    where
        R: Future<Output = Result<T, Status>>,
    {
        let Ok(channel) = connect_lazy(uri, &self.channel) else { return Attempt::NotTaken };
        let status = match call(channel).await {
            Ok(answer) => return Attempt::Done(answer),
            Err(status) => status,
        };
        let error = RpcError::from(status.clone());
        match (error.id.as_deref(), status.code()) {
            (Some("NODE_IS_PASSIVE_REPLICA" | "SYNC_SERVICE_BECAME_PASSIVE"), _) => Attempt::NotTaken,
            // Nothing was sent if the connection never came up.
            (None, Code::Unavailable) if status.message().contains("tcp connect error") => Attempt::NotTaken,
            (_, Code::Unavailable | Code::Cancelled | Code::Unknown | Code::DeadlineExceeded | Code::Internal) => {
                Attempt::Unknown(status)
            }
            _ => Attempt::Refused(status),
        }
    }
}

/// Whether another replica has passed the call on.
pub(crate) fn is_forwarded<T>(request: &Request<T>) -> bool {
    request.metadata().contains_key(FORWARDED)
}

/// A call to be passed on.
pub(crate) fn forwarded<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(FORWARDED, MetadataValue::from_static("1"));
    request
}
