//! Telling the sequencer how far we have come, now and then: it only matters for pruning.

use crate::client::Client;
use base::Timestamp;
use std::time::Duration;
use tasks::Tasks;
use tokio::sync::watch;

/// Between two acknowledgements.
const INTERVAL: Duration = Duration::from_secs(10);

/// Acknowledges the latest clean point from time to time. Cheap to clone.
#[derive(Clone)]
pub struct Acknowledger(watch::Sender<Option<Timestamp>>);

impl Acknowledger {
    /// Starts the task.
    #[must_use]
    pub fn start(client: Client, tasks: &Tasks) -> Self {
        let (latest, mut seen) = watch::channel(None);
        tasks
            .spawn_cancellable("acknowledger", async move {
                while seen.changed().await.is_ok() {
                    let clean = *seen.borrow_and_update();
                    if let Some(clean) = clean
                        && let Err(error) = client.acknowledge(clean).await
                    {
                        tracing::debug!("acknowledgement of {clean}: {error}");
                    }
                    tokio::time::sleep(INTERVAL).await;
                }
            })
            .detach();
        Self(latest)
    }

    /// Everything up to `clean` is processed and stored.
    pub fn clean(&self, clean: Timestamp) {
        self.0.send_replace(Some(clean));
    }
}
