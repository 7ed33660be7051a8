//! Waiting for completions: one reader for everybody in this process who waits, running while somebody does. Were each to
//! look for its own, all would look whenever one command completes.

use ledger::{Command, Completion, Entry, Ledger};
use std::{collections::HashMap, sync::Arc};
use store::StoreError;
use tasks::Tasks;
use tokio::sync::{Mutex, oneshot};

/// Completions of one read.
const PAGE: u32 = 1000;

/// See the module's head. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Awaited {
    ledger: Ledger,
    tasks: Tasks,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    answers: HashMap<Command, Vec<oneshot::Sender<Entry<Completion>>>>,
    is_read: bool,
    /// How far it has been read.
    after: i64,
}

/// A completion that will come.
pub(crate) struct Expected {
    /// Its sender is dropped if the database cannot be read.
    pub(crate) answer: oneshot::Receiver<Entry<Completion>>,
    /// It comes above this offset.
    pub(crate) after: i64,
}

impl Waiting {
    fn take(&mut self, entry: &Entry<Completion>) {
        for answer in self.answers.remove(&entry.content.command).unwrap_or_default() {
            let _ = answer.send(entry.clone());
        }
    }

    /// Whether anybody still waits.
    fn is_needed(&mut self) -> bool {
        self.answers.retain(|_, answers| {
            answers.retain(|answer| !answer.is_closed());
            !answers.is_empty()
        });
        self.is_read = !self.answers.is_empty();
        self.is_read
    }
}

impl Awaited {
    pub(crate) fn new(ledger: Ledger, tasks: Tasks) -> Self {
        Self { ledger, tasks, waiting: Arc::default() }
    }

    /// The completion of a submission that has not been made yet.
    pub(crate) async fn expect(&self, command: Command) -> Result<Expected, StoreError> {
        let (sender, answer) = oneshot::channel();
        let mut waiting = self.waiting.lock().await;
        if !waiting.is_read {
            // Under the lock: nobody may submit before it is known where the reader begins.
            waiting.after = self.ledger.end().await?;
            waiting.is_read = true;
            self.tasks.spawn_cancellable("read completions", self.clone().read(waiting.after)).detach();
        }
        waiting.answers.entry(command).or_default().push(sender);
        Ok(Expected { answer, after: waiting.after })
    }

    async fn read(self, mut after: i64) {
        let mut more = self.ledger.listen();
        loop {
            let found = self.ledger.completions(after, i64::MAX, PAGE).await;
            let mut waiting = self.waiting.lock().await;
            let Ok(found) = found else {
                // Each finds out for itself what is wrong.
                *waiting = Waiting::default();
                return;
            };
            found.iter().for_each(|entry| waiting.take(entry));
            after = found.last().map_or(after, |last| last.offset);
            waiting.after = after;
            if !waiting.is_needed() {
                return;
            }
            drop(waiting);
            if found.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
                more.changed().await;
            }
        }
    }
}
