//! What a scope knows of the tasks inside it. A task is entered in its own scope and in all around it, so that each
//! scope can wait for everything below without walking a tree that grows meanwhile.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::{sync::Notify, task::AbortHandle};
use tokio_util::sync::CancellationToken;

/// How many failures a scope remembers; later ones are only logged.
const MAX_FAILURES: usize = 64;

/// A task that ended badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The task's name with its scopes: `outer/inner/task`.
    pub task: String,
    /// The panic's message or the error's text.
    pub reason: String,
}

/// How a scope ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Tasks and threads that did not end in time. Tasks were then aborted; threads may still run.
    pub unfinished: Vec<String>,
    /// What failed during the scope's life.
    pub failures: Vec<Failure>,
}

pub(crate) struct Scope {
    name: String,
    parent: Option<Arc<Scope>>,
    token: CancellationToken,
    ids: Arc<AtomicU64>,
    state: Mutex<State>,
    idle: Notify,
}

#[derive(Default)]
struct State {
    running: BTreeMap<u64, Entry>,
    failures: Vec<Failure>,
    closed: bool,
}

struct Entry {
    name: Arc<str>,
    abort: Option<AbortHandle>,
}

impl Scope {
    pub(crate) fn root(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            parent: None,
            token: CancellationToken::new(),
            ids: Arc::default(),
            state: Mutex::default(),
            idle: Notify::new(),
        })
    }

    pub(crate) fn child(self: &Arc<Self>, name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: format!("{}/{name}", self.name),
            parent: Some(self.clone()),
            token: self.token.child_token(),
            ids: self.ids.clone(),
            state: Mutex::default(),
            idle: Notify::new(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    pub(crate) fn failures(&self) -> Vec<Failure> {
        self.lock().failures.clone()
    }

    pub(crate) fn running(&self) -> Vec<String> {
        self.lock().running.values().map(|e| e.name.to_string()).collect()
    }

    pub(crate) async fn joined(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if self.lock().running.is_empty() {
                return;
            }
            idle.await;
        }
    }

    /// Aborts what is left, refuses what is new, and names what was aborted.
    pub(crate) fn close(&self) -> Vec<String> {
        let mut state = self.lock();
        state.closed = true;
        state.running.values().filter_map(|e| e.abort.as_ref()).for_each(AbortHandle::abort);
        state.running.values().map(|e| e.name.to_string()).collect()
    }

    /// Lets a shutdown of this scope, or of one around it, abort the task.
    pub(crate) fn set_abort(self: &Arc<Self>, id: u64, abort: &AbortHandle) {
        for scope in self.chain() {
            let mut state = scope.lock();
            let closed = state.closed;
            if let Some(entry) = state.running.get_mut(&id) {
                entry.abort = Some(abort.clone());
                if closed {
                    abort.abort();
                }
            }
        }
    }

    fn failed(self: &Arc<Self>, task: &str, reason: &str, essential: bool) {
        tracing::error!(task, reason, essential, "task failed");
        for scope in self.chain() {
            let mut state = scope.lock();
            if state.failures.len() < MAX_FAILURES {
                state.failures.push(Failure { task: task.to_owned(), reason: reason.to_owned() });
            }
        }
        if essential {
            self.token.cancel();
        }
    }

    /// This scope and those around it, innermost first.
    fn chain(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::successors(Some(self), |scope| scope.parent.as_ref())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running task's entry in its scopes; dropping it is what "joined" means.
pub(crate) struct Ticket {
    scope: Arc<Scope>,
    id: u64,
    name: Arc<str>,
    essential: Arc<AtomicBool>,
}

/// Reports a failure on behalf of a task.
pub(crate) struct Reporter {
    scope: Arc<Scope>,
    name: Arc<str>,
    essential: Arc<AtomicBool>,
}

impl Ticket {
    /// `None` if the scope, or one around it, has been shut down.
    pub(crate) fn enter(scope: &Arc<Scope>, task: &str) -> Option<Self> {
        let ticket = Self {
            scope: scope.clone(),
            id: scope.ids.fetch_add(1, Ordering::Relaxed),
            name: format!("{}/{task}", scope.name).into(),
            essential: Arc::default(),
        };
        for scope in scope.chain() {
            let mut state = scope.lock();
            if state.closed {
                return None; // dropping the ticket takes back what was entered
            }
            state.running.insert(ticket.id, Entry { name: ticket.name.clone(), abort: None });
        }
        Some(ticket)
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn set_essential(&self) {
        self.essential.store(true, Ordering::Relaxed);
    }

    pub(crate) fn reporter(&self) -> Reporter {
        Reporter { scope: self.scope.clone(), name: self.name.clone(), essential: self.essential.clone() }
    }
}

impl Reporter {
    /// An error of an essential task: in a scope that is ending anyway that is how it stops.
    pub(crate) fn gave_up(&self, reason: &str) {
        if self.scope.token().is_cancelled() {
            tracing::debug!(task = &*self.name, reason, "task stopped");
        } else {
            self.failed(reason);
        }
    }

    pub(crate) fn failed(&self, reason: &str) {
        self.scope.failed(&self.name, reason, self.essential.load(Ordering::Relaxed));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        for scope in self.scope.chain() {
            let mut state = scope.lock();
            state.running.remove(&self.id);
            let idle = state.running.is_empty();
            drop(state);
            if idle {
                scope.idle.notify_waiters();
            }
        }
    }
}
