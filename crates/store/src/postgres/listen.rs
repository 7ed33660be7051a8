//! Wake-ups between processes: `NOTIFY` on a connection of the read pool, after and outside the transaction (inside, it
//! takes a lock on the whole cluster), and one connection that listens.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tasks::Tasks;
use tokio::sync::Notify;

use super::{Connector, Postgres, Role};
use crate::{Result, notify::Wakes, postgres::session::error_of};

/// While nobody listens, every wake-up waits for its safety net.
const MAX_DELAY: Duration = Duration::from_millis(250);

/// Channels that are to be told. While one notification is on its way, others for the same channel merge.
#[derive(Clone, Default)]
pub(super) struct Notifier {
    waiting: Arc<Mutex<BTreeSet<&'static str>>>,
    news: Arc<Notify>,
}

impl Postgres {
    pub(crate) fn notify(&self, channel: &'static str) {
        self.notifier.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(channel);
        self.notifier.news.notify_one();
    }

    pub(crate) fn start_notifications(&self, wakes: &Wakes, tasks: &Tasks) {
        let (connector, wakes) = (self.connector.clone(), wakes.clone());
        tasks.spawn_cancellable("store-listen", async move { listen(&connector, &wakes).await }).detach();
        let (reads, notifier, connector) = (self.reads.clone(), self.notifier.clone(), self.connector.clone());
        let send = async move {
            loop {
                notifier.news.notified().await;
                let channels = std::mem::take(&mut *notifier.waiting.lock().unwrap_or_else(PoisonError::into_inner));
                let channels: Vec<&str> = channels.into_iter().collect();
                let sent = async {
                    let client = reads.get().await.map_err(|e| e.to_string())?;
                    let sql = "select pg_notify($1, $2 || ' ' || channel) from unnest($3::text[]) as c(channel)";
                    let statement = client.prepare_cached(sql).await.map_err(|e| e.to_string())?;
                    let args: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
                        [&connector.channel(), &connector.tag(), &channels];
                    client.execute(&statement, &args).await.map_err(|e| e.to_string())
                };
                if let Err(error) = sent.await {
                    tracing::debug!(error, "notification not sent; listeners find out by themselves");
                }
            }
        };
        tasks.spawn_cancellable("store-notify", send).detach();
    }
}

impl Connector {
    fn channel(&self) -> String {
        format!("concordat_{:x}", self.lock_id("notify"))
    }
}

/// Listens, and connects again whenever the connection breaks.
async fn listen(connector: &Connector, wakes: &Wakes) {
    let mut delay = Duration::from_millis(50);
    loop {
        match listen_once(connector, wakes).await {
            Ok(()) => delay = Duration::from_millis(50),
            Err(error) => {
                tracing::debug!(%error, "not listening for notifications");
                delay = (delay * 2).min(MAX_DELAY);
            }
        }
        wakes.wake_all();
        tokio::time::sleep(delay).await;
    }
}

async fn listen_once(connector: &Connector, wakes: &Wakes) -> Result<()> {
    let (own, all) = (connector.tag().to_owned(), wakes.clone());
    let session = connector
        .connect_with(Role::Listen, move |_, payload| match payload.split_once(' ') {
            Some((sender, channel)) if sender != own => all.wake(channel),
            _ => {} // our own, which woke us already
        })
        .await?;
    let listen = format!("listen {}", connector.channel());
    session.client().batch_execute(&listen).await.map_err(|e| error_of(&e))?;
    wakes.wake_all(); // what was sent before we listened is lost
    session.closed().await;
    Ok(())
}
