//! The handle of a running task.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{sync::oneshot, task::AbortHandle};

use crate::scope::Ticket;

/// A running task or thread; awaiting it gives its result. Dropping it lets it run on.
#[derive(Debug)]
#[must_use = "await it, or call `detach` to say that nobody waits for it"]
pub struct Task<T> {
    name: Arc<str>,
    result: oneshot::Receiver<Result<T, TaskEnded>>,
    abort: Option<AbortHandle>,
}

/// Why a task gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskEnded {
    /// It panicked; the panic was logged.
    #[error("task {task} panicked: {message}")]
    Panicked {
        /// The task's name with its scopes.
        task: String,
        /// The panic's message.
        message: String,
    },
    /// It was aborted, or its scope had already been shut down.
    #[error("task {task} was ended by a shutdown")]
    Aborted {
        /// The task's name with its scopes.
        task: String,
    },
}

/// The running end of a [`Task`].
pub(crate) struct ResultSender<T>(oneshot::Sender<Result<T, TaskEnded>>);

impl<T> Task<T> {
    pub(crate) fn new(name: &Arc<str>) -> (Self, ResultSender<T>) {
        let (sender, result) = oneshot::channel();
        (Self { name: name.clone(), result, abort: None }, ResultSender(sender))
    }

    /// A task that never ran, because its scope is shut down.
    pub(crate) fn refused(name: &str) -> Self {
        Self::new(&name.into()).0
    }

    pub(crate) fn with_abort(self, abort: AbortHandle) -> Self {
        Self { abort: Some(abort), ..self }
    }

    /// The task's name with its scopes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ends the task at its next await point; without effect on threads and blocking calls.
    pub fn abort(&self) {
        if let Some(abort) = &self.abort {
            abort.abort();
        }
    }

    /// Lets the task run on without anybody waiting for its result; its scope still joins it.
    pub fn detach(self) {}
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskEnded>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.result)
            .poll(cx)
            .map(|received| received.unwrap_or_else(|_closed| Err(TaskEnded::Aborted { task: self.name.to_string() })))
    }
}

impl<T> ResultSender<T> {
    /// Runs a blocking function and reports how it ended.
    pub(crate) fn run(self, f: impl FnOnce() -> T, ticket: Ticket) {
        self.finish(catch_unwind(AssertUnwindSafe(f)), &ticket);
        drop(ticket);
    }

    pub(crate) fn finish(self, result: Result<T, Box<dyn Any + Send>>, ticket: &Ticket) {
        let result = result.map_err(|panic| {
            let message = message_of(panic.as_ref());
            ticket.reporter().failed(&format!("panicked: {message}"));
            TaskEnded::Panicked { task: ticket.name().to_string(), message }
        });
        drop(self.0.send(result)); // nobody may be waiting
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
