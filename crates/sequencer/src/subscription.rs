//! One subscriber's stream: every event of its member, in order, without gap, for ever.

use crate::{Shared, reader::Reader, store};
use ::store::StoreError;
use base::{Coded, ErrorCode, MemberId, Timestamp, codes};
use bytes::Bytes;
use protocol::sequencing::{SequencedEvent, Signable as _, SignedContent};
use sequencer_core::{StoredEvent, event_for};
use std::{convert::Infallible, sync::Arc};
use tokio::sync::mpsc;

/// Events on their way to a subscriber.
pub(crate) const IN_FLIGHT: usize = 100;

/// Why a subscription ends.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum SubscriptionError {
    /// The member is unknown here.
    #[error("{0} is not registered at this synchronizer")]
    Unregistered(MemberId),
    /// The client's last event is not one of this synchronizer's.
    #[error("{member} has no event at {at}; the client's history is not this synchronizer's")]
    NoSuchEvent {
        /// Who subscribes.
        member: MemberId,
        /// From where.
        at: Timestamp,
    },
    /// The database cannot be read; subscribe at another sequencer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Coded for SubscriptionError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unregistered(_) => codes::SENDER_UNKNOWN,
            Self::NoSuchEvent { .. } => codes::SEQUENCER_FORK_DETECTED,
            Self::Store(error) => error.code(),
        }
    }
}

/// A stream that is being served.
pub(crate) struct Subscription {
    shared: Arc<Shared>,
    reader: Reader,
    previous: Option<Timestamp>,
}

type Out = mpsc::Sender<Result<Bytes, SubscriptionError>>;

impl Subscription {
    /// `from` is the client's last event, which will be sent first, so that the client can compare.
    pub(crate) async fn open(
        shared: Arc<Shared>,
        member: MemberId,
        from: Option<Timestamp>,
    ) -> Result<Self, SubscriptionError> {
        let mut reader =
            shared.reader(&member, Timestamp::MIN).ok_or_else(|| SubscriptionError::Unregistered(member.clone()))?;
        let mut previous = None;
        if let Some(at) = from {
            if !store::has_event(&shared.db, reader.number, at).await? {
                return Err(SubscriptionError::NoSuchEvent { member, at });
            }
            previous = store::previous(&shared.db, reader.number, at).await?;
            reader.cursor = Timestamp::saturating_from_micros(at.micros() - 1);
        }
        Ok(Self { shared, reader, previous })
    }

    /// Sends until the receiver is gone or an error ends it.
    pub(crate) async fn run(mut self, out: Out) {
        let mut safe = self.shared.tail.safe();
        loop {
            let bound = *safe.borrow_and_update();
            while self.reader.cursor < bound {
                match self.reader.next(bound).await {
                    Ok(events) => {
                        for event in events {
                            if !self.send(&event.stored, &out).await {
                                return;
                            }
                        }
                    }
                    Err(error) => {
                        let _ = out.send(Err(error.into())).await;
                        return;
                    }
                }
            }
            tokio::select! {
                changed = safe.changed() => if changed.is_err() { return },
                () = out.closed() => return,
            }
        }
    }

    async fn send(&mut self, stored: &StoredEvent, out: &Out) -> bool {
        let event = event_for(stored, &self.reader.member, self.previous, &self.shared.synchronizer);
        self.previous = Some(stored.timestamp);
        let Shared { identity, registry, sequencer, .. } = &*self.shared;
        // With the key of that time, which a reader knows who has read what came before.
        let at = stored.timestamp;
        let sign = |hash: &_| {
            Ok::<_, Infallible>(registry.topology(|t| identity.sign_at(t.snapshot(at), &sequencer.member(), hash)))
        };
        let Ok(signed) = SignedContent::sign::<SequencedEvent, _>(event.encode(), sign);
        out.send(Ok(signed.to_bytes())).await.is_ok()
    }
}
