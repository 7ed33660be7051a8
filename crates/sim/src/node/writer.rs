//! The writer of one incarnation: the only one that assigns timestamps and moves the watermark of its sequencer.

use crate::{
    database::{Channel, Committed, DbError, EventRow, Guard, Life, Write},
    messages::NotSent,
    mutant::Mutant,
    node::sequencer::Sequencer,
};
use base::{Timestamp, codes};
use futures::{
    StreamExt as _,
    channel::{mpsc, oneshot},
    future::{Either, select},
};
use protocol::sequencing::Submission;
use sequencer_core::{Decision, Sequencing, SequencingClock, StoredEvent};
use std::{collections::BTreeSet, pin::pin, rc::Rc, time::Duration};

const BATCH: usize = 200;
/// Whoever has heard nothing looks by itself.
pub(crate) const SAFETY_NET: Duration = Duration::from_secs(1);

/// An admitted submission on its way to the writer.
pub(crate) struct Submitted {
    pub(crate) submission: Rc<Submission>,
    pub(crate) reply: oneshot::Sender<Result<(), NotSent>>,
}

pub(crate) struct Writer {
    pub(crate) sequencer: Rc<Sequencer>,
    pub(crate) life: Life,
    pub(crate) sequencing: Sequencing,
    pub(crate) clock: SequencingClock,
}

impl Writer {
    /// Ends with the error that makes this incarnation unfit to go on.
    pub(crate) async fn run(mut self, inbox: &mut mpsc::UnboundedReceiver<Submitted>) -> DbError {
        let told = self.sequencer.events.clone();
        let mut seen = told.version();
        let host = self.sequencer.host.clone();
        loop {
            let first = match select(inbox.next(), pin!(host.within(SAFETY_NET, told.after(seen)))).await {
                Either::Left((Some(first), _)) => Some(first),
                Either::Left((None, _)) => return DbError::Unavailable,
                Either::Right(_) => None,
            };
            let step = match first {
                Some(first) => {
                    let mut batch = vec![first];
                    while batch.len() < BATCH
                        && let Ok(next) = inbox.try_recv()
                    {
                        batch.push(next);
                    }
                    self.write(batch).await
                }
                None => {
                    seen = told.version();
                    self.follow().await
                }
            };
            match step {
                Ok(()) => {}
                Err(error) if error.is_transient() => {}
                Err(error) => return error,
            }
        }
    }

    fn now(&mut self) -> Timestamp {
        self.clock.now(self.sequencer.host.monotonic())
    }

    /// Another sequencer has events above our watermark: move it, so that readers may see them.
    async fn follow(&mut self) -> Result<(), DbError> {
        let last = self.sequencer.db.query(|tables| tables.events.last_key_value().map(|(at, _)| *at)).await?;
        let now = self.now();
        let tick = if self.sequencer.world.server.mutant == Some(Mutant::FollowsOwnClock) {
            last.filter(|event| *event >= self.sequencing.last()).map(|_| self.sequencing.tick(now))
        } else {
            last.and_then(|event| self.sequencing.follow(event, now))
        };
        match tick {
            Some(tick) => self.advance(tick, tick, Vec::new()).await,
            None => Ok(()),
        }
    }

    async fn advance(&mut self, first: Timestamp, last: Timestamp, rows: Vec<Rc<EventRow>>) -> Result<(), DbError> {
        let guard = Guard::Incarnation { life: self.life, first, last };
        let channel = if rows.is_empty() { Channel::Watermarks } else { Channel::Events };
        let Committed { now, .. } = self.sequencer.db.commit(guard, vec![Write::Events(rows)]).await?;
        self.sequencing.stored();
        self.clock.observe(now, self.sequencer.host.monotonic());
        self.sequencer.db.notify(channel);
        Ok(())
    }

    async fn write(&mut self, submitted: Vec<Submitted>) -> Result<(), DbError> {
        let name = |s: &Submitted| (s.submission.sender.clone(), s.submission.message_id.clone());
        let mut names = BTreeSet::new();
        let (mut batch, repeated): (Vec<_>, Vec<_>) = submitted.into_iter().partition(|s| names.insert(name(s)));
        let mut result = self.commit(&batch).await;
        if result == Err(DbError::Conflict) {
            // Somebody sent the same before, here or elsewhere: those are done, the others go again.
            self.sequencer.world.sim.audit(|audit| audit.count("sent again"));
            let look = move |tables: &crate::database::Tables| names.intersection(&tables.sent).cloned().collect();
            let sent: BTreeSet<_> = self.sequencer.db.query(look).await?;
            let (done, rest): (Vec<_>, Vec<_>) = batch.into_iter().partition(|s| sent.contains(&name(s)));
            for submitted in done {
                let _ = submitted.reply.send(Ok(()));
            }
            batch = rest;
            result = self.commit(&batch).await;
        }
        let reply = match &result {
            Ok(()) => Ok(()),
            Err(DbError::Unknown) => Err(NotSent::Unknown),
            Err(_) => Err(NotSent::NotOnline),
        };
        // The twin of a repetition decided it.
        for submitted in batch.into_iter().chain(repeated) {
            let _ = submitted.reply.send(reply);
        }
        result
    }

    /// Decides and commits. Decisions are made anew at each call: a failed transaction has used up its timestamps.
    async fn commit(&mut self, batch: &[Submitted]) -> Result<(), DbError> {
        let now = self.now();
        let first = self.sequencing.last();
        let sequencer = self.sequencer.clone();
        let mut rows = Vec::new();
        for submitted in batch {
            let submission = &submitted.submission;
            let (timestamp, error) = match self.sequencing.decide(submission, &sequencer.members, now) {
                Decision::Deliver { timestamp, .. } => (timestamp, None),
                Decision::Refuse { timestamp, code, message, .. } => (timestamp, Some((code.to_owned(), message))),
                Decision::Drop | Decision::UnknownSender => continue,
            };
            debug_assert!(error.as_ref().is_none_or(|(code, _)| code == codes::UNKNOWN_RECIPIENTS.id));
            let mut members = if error.is_some() { BTreeSet::new() } else { submission.recipients() };
            members.insert(submission.sender.clone());
            let stored = StoredEvent { timestamp, submission: Submission::clone(submission), error };
            rows.push(Rc::new(EventRow { stored, members, life: self.life }));
        }
        let last = self.sequencing.last();
        if last == first {
            return Ok(());
        }
        let lowest = rows.first().map_or(last, |row| row.stored.timestamp);
        self.advance(lowest, last, rows).await
    }
}
