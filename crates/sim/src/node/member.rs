//! A member's end of the sequencers: sends, receives its events in order whichever sequencer serves them, and asks for
//! the time. As `sequencer-client` does it, with that room's planner.

use crate::{
    World,
    executor::{Host, Signal},
    messages::{NotSent, Reply, Request},
    mutant::Mutant,
    network::CallError,
};
use base::{ErrorCode, MemberId, Timestamp};
use futures::{channel::mpsc, future::select};
use protocol::sequencing::{SequencedEvent, Submission};
use sequencer_client::TickPlanner;
use std::{
    cell::{Cell, RefCell},
    pin::pin,
    rc::Rc,
    time::Duration,
};

const CALL: Duration = Duration::from_secs(4);
const SEND: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_millis(500);

pub(crate) type Events = mpsc::UnboundedReceiver<Rc<SequencedEvent>>;

pub(crate) struct Member {
    world: Rc<World>,
    host: Host,
    pub(crate) id: MemberId,
    epoch: i64,
    /// The sequencer that is used now.
    at: Cell<usize>,
    planner: RefCell<TickPlanner>,
    changed: Signal,
}

/// Why a submission is not known to be sequenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendError {
    /// It never will be.
    Refused(ErrorCode),
    /// It may be.
    Unknown,
}

impl Member {
    /// Starts to receive what comes after `from`.
    pub(crate) fn start(
        world: &Rc<World>,
        host: &Host,
        id: MemberId,
        epoch: i64,
        from: Option<Timestamp>,
    ) -> (Rc<Self>, Events) {
        let member = Rc::new(Self {
            world: world.clone(),
            host: host.clone(),
            id,
            epoch,
            at: Cell::new(world.sim.draw(|rng| rng.below(world.sequencers().len()))),
            planner: RefCell::default(),
            changed: Signal::default(),
        });
        let (out, events) = mpsc::unbounded();
        host.spawn(member.clone().receive(from, out));
        host.spawn(member.clone().tick());
        (member, events)
    }

    fn sequencer(&self) -> usize {
        let all = self.world.sequencers();
        all.start + self.at.get() % all.len()
    }

    /// The next one is tried at once; only when all have failed is there a pause.
    async fn failed(&self) {
        self.at.set(self.at.get() + 1);
        if self.at.get().is_multiple_of(self.world.sequencers().len()) {
            self.host.sleep(PAUSE).await;
        }
    }

    async fn receive(self: Rc<Self>, from: Option<Timestamp>, out: mpsc::UnboundedSender<Rc<SequencedEvent>>) {
        let mut last = from;
        loop {
            let request = Request::Events { member: self.id.clone(), from: last };
            match self.world.network.call(&self.host, self.sequencer(), request, CALL).await {
                Ok(Reply::Events(Ok(Some(events)))) => {
                    // The event at `last` comes again, so that its existence is confirmed.
                    // A sequencer that lags behind has nothing yet.
                    let overlap = usize::from(last.is_some());
                    let first = events.first().map(|event| event.timestamp);
                    if last.is_some() && first.is_some() && first != last {
                        self.wrong(format_args!("{} asked for {last:?} and got {first:?}", self.id));
                    }
                    for event in events.into_iter().skip(overlap) {
                        if event.previous != last || last.is_some_and(|last| event.timestamp <= last) {
                            self.wrong(format_args!("{}: after {last:?} came {event:?}", self.id));
                        }
                        last = Some(event.timestamp);
                        self.world.sim.audit(|audit| audit.received(&self.id, &event));
                        if out.unbounded_send(event).is_err() {
                            return;
                        }
                    }
                }
                Ok(Reply::Events(Ok(None))) => {
                    self.wrong(format_args!("{}: a sequencer does not know event {last:?}", self.id));
                }
                _ => self.failed().await,
            }
        }
    }

    fn wrong(&self, what: std::fmt::Arguments<'_>) {
        self.world.sim.audit(|audit| audit.violated(what));
    }

    /// Sends to one sequencer after the other, until one acknowledges or refuses, or time is up.
    pub(crate) async fn send(&self, submission: Submission) -> Result<(), SendError> {
        self.audit(&submission);
        let submission = Rc::new(submission);
        let until = self.host.monotonic() + SEND;
        // Once an attempt may have arrived, a later refusal says nothing about that attempt.
        let mut may_have_arrived = false;
        loop {
            let request = Request::Send(submission.clone());
            match self.world.network.call(&self.host, self.sequencer(), request, CALL).await {
                Ok(Reply::Sent(Ok(()))) => return Ok(()),
                Ok(Reply::Sent(Err(NotSent::Refused(code)))) if !may_have_arrived => {
                    return Err(SendError::Refused(code));
                }
                Ok(Reply::Sent(Err(NotSent::NotOnline))) | Err(CallError::Refused) => {}
                _ => may_have_arrived = true,
            }
            if self.host.monotonic() >= until {
                let code = base::codes::SEQUENCER_REQUEST_FAILED;
                return Err(if may_have_arrived { SendError::Unknown } else { SendError::Refused(code) });
            }
            self.failed().await;
        }
    }

    fn audit(&self, submission: &Submission) {
        let tables = self.world.server.tables.borrow();
        self.world.sim.audit(|audit| audit.sends(submission, &tables.mediator.verdicts));
    }

    pub(crate) fn submission(&self, message_id: base::MessageId, max_sequencing_time: Timestamp) -> Submission {
        Submission {
            sender: self.id.clone(),
            message_id,
            batch: Vec::new(),
            max_sequencing_time,
            topology_timestamp: None,
            epoch: self.epoch,
        }
    }

    /// Call it with every event's timestamp.
    pub(crate) fn observe(&self, timestamp: Timestamp) {
        self.planner.borrow_mut().observe(timestamp, self.host.monotonic());
        self.changed.raise();
    }

    /// Makes sure that an event after `timestamp` comes once that time has passed.
    pub(crate) fn want(&self, timestamp: Timestamp) {
        self.planner.borrow_mut().want(timestamp);
        self.changed.raise();
    }

    /// Sequencing time, as soon as anything is known of it.
    pub(crate) async fn time(&self) -> Timestamp {
        loop {
            let seen = self.changed.version();
            let time = self.planner.borrow().time(self.host.monotonic());
            match time {
                Some(time) => return time,
                None => self.changed.after(seen).await,
            }
        }
    }

    async fn tick(self: Rc<Self>) {
        while self.planner.borrow().time(self.host.monotonic()).is_none() {
            if !self.learn_time().await {
                self.host.sleep(RETRY).await;
            }
        }
        loop {
            let seen = self.changed.version();
            let ask_at = self.planner.borrow().ask_at();
            let now = self.host.monotonic();
            match ask_at {
                None => self.changed.after(seen).await,
                Some(at) if at > now => drop(select(self.host.sleep(at - now), pin!(self.changed.after(seen))).await),
                Some(_) => self.ask().await,
            }
        }
    }

    async fn learn_time(&self) -> bool {
        let time = self.world.network.call(&self.host, self.sequencer(), Request::Time, CALL).await;
        let Ok(Reply::Time(time)) = time else { return false };
        self.planner.borrow_mut().hint(time, self.host.monotonic());
        self.changed.raise();
        true
    }

    async fn ask(&self) {
        let max_sequencing_time = self.planner.borrow_mut().asked(self.host.monotonic());
        let id = format!("tick-{}", self.world.sim.unique()).parse().expect("letters, digits and a dash");
        let submission = self.submission(id, max_sequencing_time);
        let forgets = self.world.server.mutant == Some(Mutant::KeepsItsTime);
        if self.send(submission).await.is_err() && !forgets {
            // The clock may have run ahead of what is believed here: then every request would come too late.
            self.learn_time().await;
        }
    }
}
