//! Who may write: one exclusive session lock per logical node, won by waiting, kept by beating; and the fence that is
//! raised before the winner does anything else (DESIGN §4, "Election and fence are two things").
//!
//! The election only elects. That a holder which was replaced cannot write is the fence's doing: a takeover sets every
//! epoch row to a new number, durably, and each write transaction of an [`Epoch`] checks its row.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tasks::CrashPoints;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    Db, Epoch, HaProfile, Result, StoreError,
    db::Engine,
    postgres::{Postgres, PostgresContender},
    sqlite::{Sqlite, SqliteContender},
};

const RETRY: Duration = Duration::from_millis(50);
const MAX_RETRY: Duration = Duration::from_millis(250);

/// How this replica takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionConfig {
    /// How soon a silent holder is replaced. Replicas of a logical node should agree.
    pub profile: HaProfile,
    /// What the others are shown as the holder's name while this replica holds.
    pub replica: String,
}

/// Who holds the lock, as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its [`ElectionConfig::replica`].
    pub replica: String,
    /// Its [`Db::instance`].
    pub instance: String,
}

/// This replica's part in the election. Runs on a thread and a runtime of its own, so that a busy process still beats.
#[derive(Debug)]
pub struct Election {
    campaigns: mpsc::Sender<Campaign>,
    holder: watch::Receiver<Option<Holder>>,
}

type Campaign = oneshot::Sender<Held>;

/// The lock, held. Dropping it lets it go.
#[derive(Debug)]
pub struct Held {
    epoch: Epoch,
    deadline: Arc<AtomicU64>,
    /// Dropped to ask for the release.
    release: Option<oneshot::Sender<()>>,
    /// Why it was lost, and then that everything is let go.
    over: oneshot::Receiver<StoreError>,
    released: oneshot::Receiver<()>,
}

impl Db {
    /// Starts this replica's part in the election of the logical node's active replica. In memory, where there is one
    /// replica, every campaign is won at once.
    pub fn election(&self, config: ElectionConfig) -> Result<Election> {
        let (campaigns, requests) = mpsc::channel(1);
        let (publish, holder) = watch::channel(None);
        let db = self.clone();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(serve(&db, &config, requests, &publish)),
                Err(error) => tracing::error!(%error, "no runtime for the election: this replica stays passive"),
            }
        };
        let thread = self.inner.tasks.spawn_thread("election", run);
        thread.map_err(|e| StoreError::Unavailable(format!("no thread for the election: {e}")))?.detach();
        Ok(Election { campaigns, holder })
    }
}

impl Election {
    /// Waits, however long it takes, until the lock is won and the fence is raised. Dropping the future withdraws.
    /// [`StoreError::Closed`] when the process shuts down.
    pub async fn campaign(&self) -> Result<Held> {
        let (sender, held) = oneshot::channel();
        self.campaigns.send(sender).await.map_err(|_ended| StoreError::Closed)?;
        held.await.map_err(|_ended| StoreError::Closed)
    }

    /// Who holds the lock, as seen while this replica campaigns or holds.
    #[must_use]
    pub fn holder(&self) -> watch::Receiver<Option<Holder>> {
        self.holder.clone()
    }
}

impl Held {
    /// The right to write that was won with it.
    #[must_use]
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// Whether the last beat was confirmed within the lease. If not, another replica may be active by now: give no
    /// answer that must not be stale. It may become true again.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        boot_time() < Duration::from_micros(self.deadline.load(Ordering::Relaxed))
    }

    /// The same as [`Held::is_fresh`], to be handed on.
    pub fn freshness(&self) -> impl Fn() -> bool + Clone + Send + Sync + 'static {
        let deadline = self.deadline.clone();
        move || boot_time() < Duration::from_micros(deadline.load(Ordering::Relaxed))
    }

    /// Waits until the lock is lost, and says why. Cancel-safe; once it has ended, call it no more.
    pub async fn lost(&mut self) -> StoreError {
        (&mut self.over).await.unwrap_or(StoreError::Closed)
    }

    /// Lets the lock go and waits until others can have it.
    pub async fn release(mut self) {
        drop(self.release.take());
        drop(self.released.await);
    }
}

/// One engine's way to the lock.
enum Contender<'a> {
    Postgres(Box<PostgresContender>),
    Sqlite(SqliteContender<'a>),
}

/// What all contenders need.
pub(crate) struct Contest<'a> {
    pub(crate) node: Arc<str>,
    pub(crate) replica: String,
    pub(crate) lease: Duration,
    pub(crate) holder: &'a watch::Sender<Option<Holder>>,
}

async fn serve(
    db: &Db,
    config: &ElectionConfig,
    mut campaigns: mpsc::Receiver<Campaign>,
    holder: &watch::Sender<Option<Holder>>,
) {
    let contest =
        Contest { node: db.inner.node.clone(), replica: config.replica.clone(), lease: config.profile.lease(), holder };
    let cancelled = db.inner.tasks.cancelled();
    let here = db.inner.tasks.on(tokio::runtime::Handle::current());
    let serve = async {
        while let Some(mut campaign) = campaigns.recv().await {
            let mut contender = match &db.inner.engine {
                Engine::Postgres(postgres) => Contender::Postgres(Box::new(Postgres::contender(postgres, &here))),
                Engine::Sqlite(sqlite) => Contender::Sqlite(Sqlite::contender(sqlite)),
            };
            let won = tokio::select! {
                won = win(&mut contender, &contest) => won,
                () = campaign.closed() => {
                    contender.abandon();
                    continue;
                }
            };
            hold(contender, &contest, campaign, won).await;
        }
    };
    tokio::select! {
        () = serve => (),
        () = cancelled => (), // dropping the contender lets the lock go
    }
}

/// Ends when the lock is ours and the fence is raised.
async fn win(contender: &mut Contender<'_>, contest: &Contest<'_>) -> (Epoch, Duration) {
    let (mut delay, mut told) = (RETRY, None);
    loop {
        match contender.win(contest).await {
            Ok((number, beaten)) => {
                CrashPoints::of(["update store_epochs".to_owned()]).after();
                return (Epoch::new(contest.node.clone(), number), beaten);
            }
            Err(error) => {
                // Told once as long as it is the same.
                let text = error.to_string();
                if told.as_ref() != Some(&text) {
                    tracing::warn!(node = &*contest.node, "election: trying again: {text}");
                    told = Some(text);
                }
            }
        }
        contender.abandon();
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(MAX_RETRY);
    }
}

/// Hands the lock to the campaign and beats until it is released or lost.
async fn hold(mut contender: Contender<'_>, contest: &Contest<'_>, campaign: Campaign, won: (Epoch, Duration)) {
    let (epoch, beaten) = won;
    let deadline = Arc::new(AtomicU64::new(0));
    let confirm = |sent: Duration| {
        let until = u64::try_from((sent + contest.lease).as_micros()).unwrap_or(u64::MAX);
        deadline.store(until, Ordering::Relaxed);
    };
    confirm(beaten);
    let (release, mut asked) = oneshot::channel();
    let (lost, over) = oneshot::channel();
    let (let_go, released) = oneshot::channel::<()>();
    tracing::info!(node = &*contest.node, epoch = epoch.number(), "election won");
    let held = Held { epoch, deadline: deadline.clone(), release: Some(release), over, released };
    if campaign.send(held).is_ok() {
        tokio::select! {
            error = contender.keep(contest, confirm) => {
                tracing::warn!(node = &*contest.node, %error, "election lost");
                drop(lost.send(error));
            }
            _ = &mut asked => tracing::info!(node = &*contest.node, "election: lock released"),
        }
    }
    deadline.store(0, Ordering::Relaxed);
    contender.release(contest).await;
    drop(let_go);
}

impl Contender<'_> {
    /// Takes the lock, beats, raises the fence. Gives the new epoch and when the last confirmed beat was sent.
    async fn win(&mut self, contest: &Contest<'_>) -> Result<(i64, Duration)> {
        match self {
            Self::Postgres(postgres) => postgres.win(contest).await,
            Self::Sqlite(sqlite) => sqlite.win(contest).await,
        }
    }

    /// Beats until the lock is lost; calls `confirm` with the time at which each confirmed beat was sent.
    async fn keep(&mut self, contest: &Contest<'_>, confirm: impl Fn(Duration)) -> StoreError {
        match self {
            Self::Postgres(postgres) => postgres.keep(contest, confirm).await,
            Self::Sqlite(sqlite) => sqlite.keep(contest, confirm).await,
        }
    }

    /// Lets the lock go, in order.
    async fn release(&mut self, contest: &Contest<'_>) {
        match self {
            Self::Postgres(postgres) => postgres.release(contest).await,
            Self::Sqlite(sqlite) => sqlite.release(),
        }
        self.abandon();
    }

    /// Lets everything go that may hold or get the lock.
    fn abandon(&mut self) {
        match self {
            Self::Postgres(postgres) => postgres.abandon(),
            Self::Sqlite(sqlite) => sqlite.release(),
        }
    }
}

/// A clock that nobody sets and that goes on while the machine is suspended.
pub(crate) fn boot_time() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// A clock that nobody sets and that stands still while the machine is suspended.
pub(crate) fn awake_time() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
