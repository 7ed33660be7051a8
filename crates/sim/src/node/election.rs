//! Who may be active: a lock of a session of its own, beats, and a watch over whoever holds it. As `store` does it on
//! PostgreSQL.

use crate::{
    database::{Db, DbError, Guard, Holder, Mode, Resource, Session, Write},
    executor::Host,
};
use base::SilenceJudge;
use futures::future::{Either, select};
use std::{pin::pin, time::Duration};

/// The lock, and the epoch that was raised with it.
pub(crate) struct Held {
    session: Session,
    pub(crate) epoch: i64,
}

/// A contest for one logical node.
pub(crate) struct Contest {
    pub(crate) host: Host,
    pub(crate) db: Db,
    pub(crate) node: usize,
    pub(crate) lease: Duration,
}

impl Contest {
    /// Waits for the lock, however long it takes, and raises the epoch.
    pub(crate) async fn win(&self) -> Result<Held, DbError> {
        let session = self.db.connect().await?;
        let locked = session.lock(Resource::Election(self.node), Mode::Exclusive);
        match select(pin!(locked), pin!(self.watch())).await {
            Either::Left((locked, _)) => locked?,
            Either::Right((error, _)) => return Err(error),
        }
        let holder = Holder { session: session.id, beat: 1 };
        self.db.commit(Guard::Own, vec![Write::FirstBeat { node: self.node, holder }]).await?;
        // Beating goes on while the takeover waits for open transactions of the predecessor.
        let epoch = match select(pin!(self.db.raise(self.node)), pin!(self.beats(session.id))).await {
            Either::Left((epoch, _)) => epoch?,
            Either::Right((error, _)) => return Err(error),
        };
        Ok(Held { session, epoch })
    }

    /// Beats until the lock is lost.
    pub(crate) async fn keep(&self, held: &Held) -> DbError {
        match select(pin!(self.beats(held.session.id)), pin!(held.session.closed())).await {
            Either::Left((error, _)) => error,
            Either::Right(_) => DbError::Unavailable,
        }
    }

    /// Ends when the row is another's.
    async fn beats(&self, session: u64) -> DbError {
        loop {
            self.host.sleep(self.lease / 3).await;
            let beat = self.db.commit(Guard::Own, vec![Write::NextBeat { node: self.node, session }]);
            match self.host.within(self.lease, beat).await {
                Some(Ok(committed)) if committed.rows == 0 => return DbError::Fenced,
                // It may have been late only; the others judge that.
                Some(_) | None => {}
            }
        }
    }

    /// Watches whoever holds the lock, and ends that instance if it is silent for a lease.
    async fn watch(&self) -> DbError {
        let mut judge = SilenceJudge::new(self.lease);
        loop {
            match self.db.holder(self.node).await {
                Err(error) => return error,
                Ok(None) => judge.forget(),
                Ok(Some((session, instance, beat))) => {
                    if judge.observe((session, beat), self.host.monotonic()) {
                        self.host.note(format_args!("the holder of node {} is silent", self.node));
                        self.host.sim.audit(|audit| audit.count("silent holder ended"));
                        if let Err(error) = self.db.end_instance(instance).await {
                            return error;
                        }
                        judge.forget();
                    }
                }
            }
            self.host.sleep(judge.interval()).await;
        }
    }
}
