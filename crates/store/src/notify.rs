//! Wake-ups: who waits for new rows is told after the commit, in this process at once, in others by the engine.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

/// A missed wake-up costs no more than this.
const SAFETY_NET: Duration = Duration::from_secs(1);

/// Waits for changes of one channel.
#[derive(Debug, Clone)]
pub struct Listener {
    wakes: watch::Receiver<()>,
    safety_net: Duration,
}

impl Listener {
    /// Waits until something may have changed since the last call (or since the listener was made). Changes that come
    /// while nobody waits are reported once, at the next call. Also ends after a while without any, as a safety net.
    pub async fn changed(&mut self) {
        match tokio::time::timeout(self.safety_net, self.wakes.changed()).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(_closed)) => tokio::time::sleep(self.safety_net).await,
        }
    }

    /// The same with another safety net (1 s otherwise).
    #[must_use]
    pub fn with_safety_net(self, safety_net: Duration) -> Self {
        Self { safety_net, ..self }
    }
}

/// The channels of one opened database.
#[derive(Clone, Default)]
pub(crate) struct Wakes {
    channels: Arc<Mutex<BTreeMap<String, watch::Sender<()>>>>,
}

impl Wakes {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn wake(&self, channel: &str) {
        if let Some(sender) = self.channels.lock().unwrap_or_else(PoisonError::into_inner).get(channel) {
            sender.send_replace(());
        }
    }

    /// After a gap in which wake-ups may have been lost.
    pub(crate) fn wake_all(&self) {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(|sender| {
            sender.send_replace(());
        });
    }

    pub(crate) fn listen(&self, channel: &str) -> Listener {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = channels.entry(channel.to_owned()).or_insert_with(|| watch::channel(()).0);
        Listener { wakes: sender.subscribe(), safety_net: SAFETY_NET }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn wake_ups_are_kept_and_merged() {
        let wakes = Wakes::new();
        let mut listener = wakes.listen("a").with_safety_net(Duration::from_secs(3600));
        wakes.wake("a");
        wakes.wake("a");
        let start = tokio::time::Instant::now();
        listener.changed().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        wakes.wake("b");
        listener.changed().await;
        assert_eq!(start.elapsed(), Duration::from_secs(3600), "one wake-up, and none of another channel");
    }
}
