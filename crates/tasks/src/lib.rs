//! The spawner: every task and thread of a process has a name, belongs to a scope, and is joined when that scope
//! ends. [`Tasks`] is handed down from `app`, never global; whoever is given one may spawn and make child scopes.
//!
//! What is absent here: restarts. A task that must not end is spawned with [`Tasks::spawn_essential`]; when it ends
//! badly its scope is cancelled, and who owns the [`Supervisor`] decides what happens next.

mod crash;
mod scope;
mod task;
#[cfg(test)]
mod tests;

use std::{fmt, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

pub use crash::CrashPoints;
pub use scope::{Failure, Report};
use scope::{Scope, Ticket};
pub use task::{Task, TaskEnded};

/// The right to spawn into one scope. Cheap to clone; clones mean the same scope.
#[derive(Clone)]
pub struct Tasks {
    scope: Arc<Scope>,
    runtime: Handle,
}

/// The owner's end of a scope: sees failures, cancels and joins. Dropping it cancels the scope without waiting.
pub struct Supervisor {
    scope: Arc<Scope>,
}

impl Tasks {
    /// The outermost scope of a process (or of a test). Call it inside the tokio runtime that shall run the tasks.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(name: &str) -> (Self, Supervisor) {
        Self::of(Scope::root(name), Handle::current())
    }

    /// A scope inside this one, which can be cancelled and joined on its own (all that belongs to one active role,
    /// say). It ends with this one at the latest.
    #[must_use]
    pub fn child(&self, name: &str) -> (Self, Supervisor) {
        Self::of(self.scope.child(name), self.runtime.clone())
    }

    /// The same scope, with tasks that run on another runtime: for a thread that has one of its own.
    #[must_use]
    pub fn on(&self, runtime: Handle) -> Self {
        Self { scope: self.scope.clone(), runtime }
    }

    fn of(scope: Arc<Scope>, runtime: Handle) -> (Self, Supervisor) {
        (Self { scope: scope.clone(), runtime }, Supervisor { scope })
    }

    /// The scope's name with those around it: `outer/inner`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.scope.name()
    }

    /// Runs a future to its end. It should watch [`Tasks::cancelled`]; what still runs when the shutdown's timeout is
    /// over is aborted. Dropping the returned [`Task`] detaches it.
    pub fn spawn<T: Send + 'static>(&self, name: &str, future: impl Future<Output = T> + Send + 'static) -> Task<T> {
        self.start(name, |_| future)
    }

    /// Runs a future that is dropped at its next await point once the scope is cancelled: for loops that hold nothing
    /// that would need an orderly end.
    pub fn spawn_cancellable(&self, name: &str, future: impl Future<Output = ()> + Send + 'static) -> Task<()> {
        let cancelled = self.cancelled();
        self.spawn(name, async move {
            tokio::select! {
                () = cancelled => (),
                () = future => (),
            }
        })
    }

    /// Runs a future without which the scope makes no sense: if it ends with an error or a panic, the failure is
    /// recorded and the whole scope is cancelled. An error once the scope is cancelled is expected, and no failure.
    pub fn spawn_essential<E: fmt::Display + Send + 'static>(
        &self,
        name: &str,
        future: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> Task<()> {
        self.start(name, |ticket| {
            ticket.set_essential();
            let reporter = ticket.reporter();
            async move {
                if let Err(error) = future.await {
                    reporter.gave_up(&error.to_string());
                }
            }
        })
    }

    /// Runs a blocking call on the runtime's blocking pool. It cannot be aborted.
    pub fn spawn_blocking<T: Send + 'static>(&self, name: &str, f: impl FnOnce() -> T + Send + 'static) -> Task<T> {
        let Some(ticket) = Ticket::enter(&self.scope, name) else { return Task::refused(name) };
        let (task, sender) = Task::new(ticket.name());
        drop(self.runtime.spawn_blocking(move || sender.run(f, ticket)));
        task
    }

    /// Runs a function on an operating-system thread of its own. It cannot be aborted and should look at
    /// [`Tasks::is_cancelled`]. An error means that the system gave no thread.
    pub fn spawn_thread<T: Send + 'static>(
        &self,
        name: &str,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<Task<T>> {
        let Some(ticket) = Ticket::enter(&self.scope, name) else { return Ok(Task::refused(name)) };
        let (task, sender) = Task::new(ticket.name());
        std::thread::Builder::new().name(name.to_owned()).spawn(move || sender.run(f, ticket))?;
        Ok(task)
    }

    /// Ends when the scope is cancelled.
    pub fn cancelled(&self) -> WaitForCancellationFutureOwned {
        self.scope.token().clone().cancelled_owned()
    }

    /// Whether the scope is cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.scope.token().is_cancelled()
    }

    /// The scope's token, for code that selects over it.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.scope.token().clone()
    }

    /// The runtime that the tasks run on, for threads that must block on a future (not for spawning past this room).
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    fn start<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        name: &str,
        make: impl FnOnce(&Ticket) -> F,
    ) -> Task<T> {
        let Some(ticket) = Ticket::enter(&self.scope, name) else { return Task::refused(name) };
        let (task, sender) = Task::new(ticket.name());
        let future = make(&ticket);
        let id = ticket.id();
        let handle = self.runtime.spawn(async move {
            // Declared before the future runs, so that it is dropped after it: joined means that nothing is held.
            let ticket = ticket;
            let result = AssertUnwindSafe(future).catch_unwind().await;
            sender.finish(result, &ticket);
        });
        self.scope.set_abort(id, &handle.abort_handle());
        task.with_abort(handle.abort_handle())
    }
}

impl Supervisor {
    /// Asks everything in the scope to end.
    pub fn cancel(&self) {
        self.scope.token().cancel();
    }

    /// Ends when the scope is cancelled: by [`Supervisor::cancel`], by an outer scope, or because an essential task
    /// failed.
    pub fn cancelled(&self) -> WaitForCancellationFutureOwned {
        self.scope.token().clone().cancelled_owned()
    }

    /// What has failed so far in this scope and those inside it, oldest first.
    #[must_use]
    pub fn failures(&self) -> Vec<Failure> {
        self.scope.failures()
    }

    /// Names of the tasks and threads that run now.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        self.scope.running()
    }

    /// Ends when nothing runs in the scope, without asking for it.
    pub async fn joined(&self) {
        self.scope.joined().await;
    }

    /// Cancels the scope and waits for its tasks and threads, at most `timeout`; then aborts the tasks that are left and
    /// names them. Nothing can be spawned into the scope afterwards.
    pub async fn shutdown(self, timeout: Duration) -> Report {
        self.cancel();
        let in_time = tokio::time::timeout(timeout, self.scope.joined()).await.is_ok();
        let unfinished = self.scope.close();
        if !in_time && !unfinished.is_empty() {
            tracing::warn!(scope = self.scope.name(), tasks = ?unfinished, "tasks did not end in time");
        }
        Report { unfinished, failures: self.scope.failures() }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.scope.token().cancel();
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tasks").field(&self.name()).finish()
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Supervisor").field(&self.scope.name()).finish()
    }
}
