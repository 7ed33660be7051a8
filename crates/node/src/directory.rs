//! Who runs, where, in which role: every replica writes its own row and reads those of all.

use crate::{replica::ReplicaConfig, store};
use ::store::{Db, Holder};
use replica_core::Role;
use std::time::Duration;
use telemetry::Trouble;
use tokio::{sync::watch, time::Instant};

/// How often a replica says that it is still there.
const REFRESH: Duration = Duration::from_secs(15);
/// Before what could not be written or read is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// For the last write of a replica that stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// One replica of the logical node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its configured name; not unique by itself.
    pub replica: String,
    /// Its [`Db::instance`].
    pub instance: String,
    /// Its role when it last wrote its row.
    pub role: Role,
    /// The last epoch it has won; 0 if none.
    pub epoch: i64,
    /// Where its admin API is.
    pub admin_uri: String,
    /// Where its Ledger API is, if it has one.
    pub ledger_uri: Option<String>,
}

/// All replicas of the logical node that are known to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// By name.
    pub replicas: Vec<Entry>,
    /// The one that does the work; `None` while that is changing.
    pub active: Option<Entry>,
}

impl Entry {
    pub(crate) fn is(&self, db: &Db, config: &ReplicaConfig) -> bool {
        self.instance == db.instance() && self.replica == config.name
    }
}

impl Directory {
    /// The winner of an epoch later than `epoch`.
    pub(crate) fn successor(&self, epoch: i64) -> Option<&Entry> {
        self.replicas.iter().filter(|entry| entry.epoch > epoch).max_by_key(|entry| entry.epoch)
    }

    /// Finds the active one: it has the highest epoch and says that it is active. If a replica is seen to hold the lock
    /// that has won nothing before, the former has died and its row is stale. (A holder with an older epoch, or one that
    /// has left, was seen before the takeover: there the row is right.)
    fn with_active(mut self, holder: Option<&Holder>) -> Self {
        let Some(top) = self.replicas.iter().max_by_key(|entry| entry.epoch) else { return self };
        let holds =
            |entry: &Entry, holder: &Holder| entry.replica == holder.replica && entry.instance == holder.instance;
        let replaced = holder.is_some_and(|holder| {
            let known = self.replicas.iter().find(|entry| holds(entry, holder));
            known.is_some_and(|entry| entry.epoch == 0)
        });
        self.active = (matches!(top.role, Role::Active { .. }) && !replaced).then(|| top.clone());
        self
    }
}

/// Keeps one replica's row and its view of the others up to date.
pub(crate) struct Keeper {
    pub(crate) db: Db,
    pub(crate) config: ReplicaConfig,
    pub(crate) role: watch::Receiver<Role>,
    pub(crate) holder: watch::Receiver<Option<Holder>>,
    pub(crate) directory: watch::Sender<Directory>,
}

impl Keeper {
    /// Ends when the replica has stopped.
    pub(crate) async fn run(mut self) {
        let mut listener = self.db.listen(store::CHANGED);
        let mut trouble = Trouble::new("the directory of replicas cannot be kept");
        let (mut shown, mut epoch, mut refresh) = (None, 0, Instant::now());
        loop {
            let role = *self.role.borrow_and_update();
            if let Role::Activating { epoch: won } | Role::Active { epoch: won } | Role::Leaving { epoch: won } = role {
                epoch = won;
            }
            if role == Role::Stopped {
                return self.leave().await;
            }
            let mut written = Ok(());
            if shown != Some(role) || refresh <= Instant::now() {
                match store::show(&self.db, &self.config, role, epoch).await {
                    Ok(()) => (shown, refresh) = (Some(role), Instant::now() + REFRESH),
                    Err(error) => written = Err(error),
                }
                self.db.notify(store::CHANGED);
            }
            let read = store::replicas(&self.db).await;
            let works = trouble.note(read.map(|read| self.publish(read)).and(written)).is_some();
            tokio::select! {
                changed = self.role.changed() => if changed.is_err() { return self.leave().await },
                Ok(()) = self.holder.changed() => {}
                () = listener.changed(), if works => {}
                () = tokio::time::sleep(RETRY), if !works => {}
            }
        }
    }

    fn publish(&mut self, read: Directory) {
        let news = read.with_active(self.holder.borrow_and_update().as_ref());
        self.directory.send_if_modified(|shown| {
            let changed = *shown != news;
            *shown = news;
            changed
        });
    }

    /// The others need not wait until the row is too old.
    async fn leave(&self) {
        if let Ok(Ok(())) = tokio::time::timeout(FAREWELL, store::leave(&self.db, &self.config)).await {
            self.db.notify(store::CHANGED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(replica: &str, role: Role, epoch: i64) -> Entry {
        let text = |prefix: &str| format!("{prefix}{replica}");
        Entry {
            replica: replica.into(),
            instance: text("i"),
            role,
            epoch,
            admin_uri: text("http://"),
            ledger_uri: None,
        }
    }

    fn active(replicas: &[Entry], holder: Option<&str>) -> Option<String> {
        let holder = holder.map(|name| Holder { replica: name.into(), instance: format!("i{name}") });
        let directory = Directory { replicas: replicas.to_vec(), active: None };
        directory.with_active(holder.as_ref()).active.map(|entry| entry.replica)
    }

    #[test]
    fn the_active_one_has_the_highest_epoch() {
        let (a, b) = (entry("a", Role::Active { epoch: 1 }, 1), entry("b", Role::Active { epoch: 2 }, 2));
        assert_eq!(active(&[], None), None);
        assert_eq!(active(&[a.clone(), b.clone()], None).as_deref(), Some("b"));
        assert_eq!(active(&[a.clone(), b.clone()], Some("b")).as_deref(), Some("b"));
        assert_eq!(active(&[a.clone(), b], Some("a")).as_deref(), Some("b"), "that a holds was seen before");
        assert_eq!(active(&[a, entry("b", Role::Activating { epoch: 2 }, 2)], None), None, "a was replaced");
    }

    #[test]
    fn a_dead_holders_row_is_not_believed() {
        let a = entry("a", Role::Active { epoch: 1 }, 1);
        assert_eq!(active(&[a.clone(), entry("b", Role::Passive, 0)], Some("b")), None);
        assert_eq!(active(&[a], Some("gone")).as_deref(), Some("a"));
    }
}
