//! The writer task: the only one that assigns timestamps and moves the watermark of this sequencer.

use crate::{
    members::Registry,
    store::{self, Life, NewEvent},
    tail::{EVENTS, WATERMARKS},
};
use ::store::{Db, StoreError};
use base::{Coded, ErrorCode, Timestamp, codes};
use bytes::Bytes;
use protocol::sequencing::Submission;
use sequencer_core::{Decision, MemberNumber, Sequencing, SequencingClock};
use std::{collections::BTreeSet, time::Instant};
use tokio::sync::{mpsc, oneshot};

/// Submissions that may wait for the writer.
pub(crate) const QUEUE: usize = 1000;
/// Submissions of one transaction.
const BATCH: usize = 200;

/// An admitted submission on its way to the writer.
pub(crate) struct Request {
    pub(crate) submission: Submission,
    /// The submission as it came.
    pub(crate) content: Bytes,
    pub(crate) reply: oneshot::Sender<Result<(), SendError>>,
}

/// Why a submission was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nothing was sequenced: this sequencer is not writing at the moment.
    #[error("this sequencer is not online; send to another one, or again later")]
    NotOnline,
    /// Nothing was sequenced: too much is waiting.
    #[error("too many submissions are waiting; send again later")]
    Overloaded,
    /// Nothing was sequenced: the sender is not registered.
    #[error("the sender is not registered at this synchronizer")]
    UnknownSender,
    /// The sequencer failed in between; the submission may have been sequenced or not.
    #[error("the outcome of the submission is unknown; send the identical submission again")]
    Unknown,
}

impl Coded for SendError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotOnline => codes::SYNCHRONIZER_IS_NOT_AVAILABLE,
            Self::Overloaded => codes::SEQUENCER_OVERLOADED,
            Self::UnknownSender => codes::SENDER_UNKNOWN,
            Self::Unknown => codes::REQUEST_TIME_OUT,
        }
    }
}

/// The writer of one incarnation. Ends with the error that makes this incarnation unfit to go on.
pub(crate) struct Writer {
    pub(crate) db: Db,
    pub(crate) life: Life,
    pub(crate) registry: Registry,
    pub(crate) sequencing: Sequencing,
    pub(crate) clock: SequencingClock,
    pub(crate) started: Instant,
}

/// One request with what was decided for it.
struct Decided {
    request: Request,
    decision: Decision,
}

impl Writer {
    pub(crate) async fn run(mut self, inbox: &mut mpsc::Receiver<Request>) -> StoreError {
        let mut others = self.db.listen(EVENTS);
        loop {
            let step = tokio::select! {
                biased;
                request = inbox.recv() => match request {
                    Some(first) => self.write(gather(first, inbox)).await,
                    None => return StoreError::Closed,
                },
                () = others.changed() => self.follow().await,
            };
            match step {
                Ok(()) => {}
                Err(error) if error.is_transient() => tracing::warn!("sequencer writer: {error}"),
                Err(error) => return error,
            }
        }
    }

    fn now(&mut self) -> Timestamp {
        self.clock.now(self.started.elapsed())
    }

    /// Another sequencer has events above our watermark: move it, so that readers may see them.
    async fn follow(&mut self) -> Result<(), StoreError> {
        let Some(event) = store::last_event(&self.db).await? else { return Ok(()) };
        let now = self.now();
        let Some(tick) = self.sequencing.follow(event, now) else { return Ok(()) };
        let committed = self.db.commit(&store::advance(self.life, tick, tick), vec![]).await?;
        self.stored(committed.now);
        self.db.notify(WATERMARKS);
        Ok(())
    }

    async fn write(&mut self, requests: Vec<Request>) -> Result<(), StoreError> {
        let (mut batch, repeated) = unique(requests);
        let first = self.sequencing.last();
        let result = self.commit(&mut batch).await;
        let result = match result {
            // Somebody sent the same before, here or elsewhere: those are done, the others go again.
            Err(StoreError::Conflict { .. }) => {
                let (done, rest) = self.without_sequenced(batch).await?;
                done.into_iter().for_each(|d| answer(d.request, Ok(())));
                batch = rest;
                self.commit(&mut batch).await
            }
            result => result,
        };
        debug_assert!(self.sequencing.last() >= first);
        let reply = match &result {
            Ok(()) => Ok(()),
            Err(StoreError::Unknown(_)) => Err(SendError::Unknown),
            Err(_) => Err(SendError::NotOnline),
        };
        for decided in batch {
            let refused = decided.decision == Decision::UnknownSender;
            answer(decided.request, if refused { Err(SendError::UnknownSender) } else { reply.clone() });
        }
        // Their twin in the batch decided it.
        repeated.into_iter().for_each(|request| answer(request, reply.clone()));
        result
    }

    /// Decides and commits. Decisions are made anew at each call: a failed transaction has used up its timestamps.
    async fn commit(&mut self, batch: &mut [Decided]) -> Result<(), StoreError> {
        let now = self.now();
        let first = self.sequencing.last();
        let mut events = Vec::new();
        for decided in &mut *batch {
            let members = self.registry.members();
            decided.decision = self.sequencing.decide(&decided.request.submission, &members, now);
            events.extend(event(&decided.request, &decided.decision, &members));
        }
        let (any, last) = (!events.is_empty(), self.sequencing.last());
        if last == first {
            return Ok(());
        }
        let lowest = events.first().map_or(last, |e: &NewEvent| e.timestamp);
        let guard = store::advance(self.life, lowest, last);
        let committed = self.db.commit(&guard, store::event_rows(self.life, events)).await?;
        self.stored(committed.now);
        self.db.notify(if any { EVENTS } else { WATERMARKS });
        Ok(())
    }

    /// A transaction committed when the database's clock showed `now`.
    fn stored(&mut self, now: Timestamp) {
        self.sequencing.stored();
        self.clock.observe(now, self.started.elapsed());
    }

    async fn without_sequenced(&self, batch: Vec<Decided>) -> Result<(Vec<Decided>, Vec<Decided>), StoreError> {
        let members = self.registry.members();
        let senders: BTreeSet<MemberNumber> =
            batch.iter().filter_map(|d| members.number(&d.request.submission.sender)).collect();
        let mut sequenced = BTreeSet::new();
        for sender in senders {
            let of_sender = batch.iter().filter(|d| members.number(&d.request.submission.sender) == Some(sender));
            let ids = of_sender.map(|d| d.request.submission.message_id.to_string()).collect();
            let sent = store::sent(&self.db, sender, ids).await?;
            sequenced.extend(sent.into_iter().map(|id| (sender, id)));
        }
        Ok(batch.into_iter().partition(|d| {
            let submission = &d.request.submission;
            members
                .number(&submission.sender)
                .is_some_and(|sender| sequenced.contains(&(sender, submission.message_id.to_string())))
        }))
    }
}

fn gather(first: Request, inbox: &mut mpsc::Receiver<Request>) -> Vec<Request> {
    let mut requests = vec![first];
    while requests.len() < BATCH
        && let Ok(request) = inbox.try_recv()
    {
        requests.push(request);
    }
    requests
}

/// Parts the repetitions within one batch from the rest.
fn unique(requests: Vec<Request>) -> (Vec<Decided>, Vec<Request>) {
    let mut seen = BTreeSet::new();
    let (first, repeated): (Vec<_>, Vec<_>) =
        requests.into_iter().partition(|r| seen.insert((r.submission.sender.clone(), r.submission.message_id.clone())));
    (first.into_iter().map(|request| Decided { request, decision: Decision::Drop }).collect(), repeated)
}

fn event(request: &Request, decision: &Decision, members: &sequencer_core::Members) -> Option<NewEvent> {
    let (timestamp, error, to) = match decision {
        Decision::Deliver { timestamp, members } => (*timestamp, None, members.iter().copied().collect()),
        Decision::Refuse { timestamp, sender, code, message } => {
            (*timestamp, Some(((*code).to_owned(), message.clone())), vec![*sender])
        }
        Decision::Drop | Decision::UnknownSender => return None,
    };
    Some(NewEvent {
        timestamp,
        sender: members.number(&request.submission.sender)?,
        message_id: request.submission.message_id.to_string(),
        epoch: request.submission.epoch,
        submission: request.content.clone(),
        error,
        members: to,
    })
}

fn answer(request: Request, result: Result<(), SendError>) {
    // Whoever asked may be gone; it will send the identical submission again.
    let _ = request.reply.send(result);
}
