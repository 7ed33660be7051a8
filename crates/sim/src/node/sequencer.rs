//! The shell around `sequencer-core`: claims an index, goes online, writes; when it is knocked out, it begins anew. And
//! reads what all sequencers have written, for its members.

use crate::{
    World,
    database::{Channel, Db, DbError, EventRow, Life, Mode, Resource, Session, Tables},
    executor::{Host, Signal},
    messages::{NotSent, Reply, Request},
    node::{
        peers,
        writer::{SAFETY_NET, Submitted, Writer},
    },
};
use base::{Coded as _, MemberId, Timestamp};
use futures::{
    channel::{mpsc, oneshot},
    future::{Either, select},
};
use protocol::sequencing::{SequencedEvent, Submission};
use sequencer_core::{Limits, Members, Sequencing, SequencingClock, admit, event_for};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    pin::pin,
    rc::Rc,
    time::Duration,
};

const PAUSE: Duration = Duration::from_millis(50);
/// How long to wait for an index that somebody may hold, before the next is tried.
const CLAIM_PATIENCE: Duration = Duration::from_millis(100);
/// How long a subscriber waits for something new before it is told that there is nothing.
const WAIT: Duration = Duration::from_secs(1);
const SEND_DEADLINE: Duration = Duration::from_secs(10);
const READ_LIMIT: usize = 50;

pub(crate) struct Sequencer {
    pub(crate) world: Rc<World>,
    pub(crate) host: Host,
    pub(crate) db: Db,
    pub(crate) members: Members,
    clock: RefCell<SequencingClock>,
    epochs: RefCell<BTreeMap<MemberId, i64>>,
    is_online: Cell<bool>,
    writer: mpsc::UnboundedSender<Submitted>,
    /// All events after `begun` up to `safe`.
    tail: RefCell<Vec<Rc<EventRow>>>,
    begun: Timestamp,
    safe: Cell<Timestamp>,
    moved: Signal,
    /// Raised after a transaction with events.
    pub(crate) events: Signal,
    /// Raised after a transaction of any sequencer.
    told: Signal,
}

impl Sequencer {
    /// The life of the process.
    pub(crate) async fn run(world: Rc<World>, host: Host) {
        let db = Db::new(&host, &world.server);
        let (events, told) = (Signal::default(), Signal::default());
        db.listen(Channel::Events, events.clone());
        db.listen(Channel::Events, told.clone());
        db.listen(Channel::Watermarks, told.clone());
        let mut calls = world.network.open(&host);
        let (epochs, safe, now) = loop {
            if let Ok((epochs, safe)) = db.query(|tables| (tables.latest_epochs(), tables.safe())).await
                && let Ok(now) = db.now().await
            {
                break (epochs, safe.unwrap_or(Timestamp::MIN), now);
            }
            host.sleep(PAUSE).await;
        };
        let (writer, mut inbox) = mpsc::unbounded();
        let network = &world.setup.scenario.network;
        let all = network.participants.iter().map(base::ParticipantId::member).chain([network.mediator.member()]);
        let sequencer = Rc::new(Self {
            members: Members::new(all.zip(1..)),
            clock: RefCell::new(SequencingClock::new(now, host.monotonic())),
            epochs: RefCell::new(epochs),
            is_online: Cell::new(false),
            writer,
            tail: RefCell::default(),
            begun: safe,
            safe: Cell::new(safe),
            moved: Signal::default(),
            events,
            told,
            world,
            host,
            db,
        });
        sequencer.world.sim.audit(|audit| audit.reader(sequencer.db.instance, safe));
        sequencer.host.spawn(sequencer.clone().follow());
        let serving = sequencer.clone();
        sequencer.host.spawn(async move {
            while let Ok(call) = calls.recv().await {
                let serving_one = serving.clone();
                serving.host.spawn(async move {
                    if let Some(reply) = serving_one.answer(call.request).await {
                        drop(call.reply.send(reply));
                    }
                });
            }
        });
        loop {
            let ended = sequencer.live(&mut inbox).await;
            sequencer.is_online.set(false);
            sequencer.host.note(format_args!("offline: {ended:?}"));
            while let Ok(submitted) = inbox.try_recv() {
                let _ = submitted.reply.send(Err(NotSent::NotOnline));
            }
            sequencer.host.sleep(PAUSE).await;
        }
    }

    /// One incarnation, from the claim of an index to whatever ends it.
    async fn live(self: &Rc<Self>, inbox: &mut mpsc::UnboundedReceiver<Submitted>) -> DbError {
        let (life, watermark, lock) = match self.claim().await {
            Ok(claimed) => claimed,
            Err(error) => return error,
        };
        self.db.notify(Channel::Watermarks);
        let scope = self.host.child();
        scope.spawn(peers::beat(self.clone(), scope.clone(), life));
        scope.spawn(peers::watch(self.clone(), scope.clone(), life));
        let writer = Writer {
            sequencer: self.clone(),
            life,
            sequencing: Sequencing::new(life.index, self.world.sequencer_count(), watermark),
            clock: SequencingClock::new(watermark, self.host.monotonic()),
        };
        self.is_online.set(true);
        let ended = match select(pin!(writer.run(inbox)), pin!(lock.closed())).await {
            Either::Left((error, _)) => error,
            Either::Right(_) => DbError::Unavailable,
        };
        scope.end();
        ended
    }

    /// An index that nobody holds, and a new incarnation of it.
    async fn claim(&self) -> Result<(Life, Timestamp, Session), DbError> {
        loop {
            let rows = self.db.query(|tables| tables.indexes.clone()).await?;
            let (online, offline): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.mark.online);
            for row in offline.into_iter().chain(online) {
                let session = self.db.connect().await?;
                let lock = session.lock(Resource::Index(row.life.index), Mode::Exclusive);
                let Some(locked) = self.host.within(CLAIM_PATIENCE, lock).await else { continue };
                locked?;
                match self.db.go_online(row.life.index).await {
                    Ok((life, watermark)) => return Ok((life, watermark, session)),
                    Err(DbError::Conflict | DbError::Contention) => {}
                    Err(error) => return Err(error),
                }
            }
            self.host.sleep(PAUSE).await;
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.borrow_mut().now(self.host.monotonic())
    }

    pub(crate) fn observe(&self, database: Timestamp) {
        self.clock.borrow_mut().observe(database, self.host.monotonic());
    }

    /// Reads what all sequencers write, for ever.
    async fn follow(self: Rc<Self>) {
        loop {
            let seen = self.told.version();
            let after = self.safe.get();
            if let Ok((events, bound)) = self.db.query(move |tables| tables.tail(after, READ_LIMIT)).await {
                self.world.sim.audit(|audit| audit.read(self.db.instance, &events, bound));
                let is_full = events.len() == READ_LIMIT;
                self.tail.borrow_mut().extend(events);
                // A bound can seem to go back when a sequencer goes online; nothing new appears below the old one.
                if bound > after {
                    self.safe.set(bound);
                    self.moved.raise();
                }
                if is_full {
                    continue;
                }
            }
            let _ = self.host.within(SAFETY_NET, self.told.after(seen)).await;
        }
    }

    async fn answer(self: Rc<Self>, request: Request) -> Option<Reply> {
        match request {
            Request::Send(submission) => Some(Reply::Sent(self.submit(&submission).await)),
            Request::Events { member, from } => Some(Reply::Events(self.events(&member, from).await)),
            Request::Time => Some(Reply::Time(self.now())),
            Request::Submit { .. } | Request::Fate { .. } => None,
        }
    }

    async fn submit(&self, submission: &Rc<Submission>) -> Result<(), NotSent> {
        let sender = &submission.sender;
        let latest = self.epochs.borrow().get(sender).copied().unwrap_or(0);
        if let Err(refusal) = admit(submission, 0, sender, latest, self.now(), &Limits::default()) {
            self.host.note(format_args!("refuses {}: {refusal}", submission.message_id));
            self.world.sim.audit(|audit| audit.count("send refused"));
            return Err(NotSent::Refused(refusal.code()));
        }
        self.epochs.borrow_mut().insert(sender.clone(), submission.epoch);
        if !self.is_online.get() {
            return Err(NotSent::NotOnline);
        }
        let (reply, answer) = oneshot::channel();
        let submitted = Submitted { submission: submission.clone(), reply };
        self.writer.unbounded_send(submitted).map_err(|_| NotSent::NotOnline)?;
        match self.host.within(SEND_DEADLINE, answer).await {
            Some(Ok(result)) => result,
            _ => Err(NotSent::Unknown),
        }
    }

    /// A member's events from this one on. Waits a while if there is nothing new.
    async fn events(
        &self,
        member: &MemberId,
        from: Option<Timestamp>,
    ) -> Result<Option<Vec<Rc<SequencedEvent>>>, NotSent> {
        let after = from.unwrap_or(Timestamp::MIN);
        let until = self.host.monotonic() + WAIT;
        let is_for = |row: &EventRow| row.members.contains(member);
        loop {
            let seen = self.moved.version();
            let has_news = after < self.begun
                || self.tail.borrow().iter().rev().any(|row| row.stored.timestamp > after && is_for(row));
            let left = until.saturating_sub(self.host.monotonic());
            if has_news || left.is_zero() {
                break;
            }
            let _ = self.host.within(left, self.moved.after(seen)).await;
        }
        let bound = self.safe.get();
        let named = member.clone();
        let look = move |tables: &Tables| tables.of_member(&named, from, bound, READ_LIMIT);
        let Some((mut previous, rows)) = self.db.query(look).await.map_err(|_| NotSent::NotOnline)? else {
            return Ok(None);
        };
        let synchronizer = &self.world.setup.scenario.network.synchronizer;
        let mut events = Vec::new();
        for row in rows {
            events.push(Rc::new(event_for(&row.stored, member, previous, synchronizer)));
            previous = Some(row.stored.timestamp);
        }
        Ok(Some(events))
    }
}
