//! Following the ledger: entries as they come, for ever or up to an offset.

use crate::ApiError;
use ledger::Ledger;
use std::pin::Pin;
use tasks::Tasks;
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::Status;

/// Entries of one read.
pub(crate) const PAGE: u32 = 200;
/// Messages on their way to a client.
const IN_FLIGHT: usize = 100;

/// A response stream.
pub(crate) type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What a page of the ledger gives a client, and how far it reaches.
pub(crate) struct Page<T> {
    pub(crate) messages: Vec<T>,
    /// The offset of its last entry; none if it was empty.
    pub(crate) last: Option<i64>,
}

/// Reads page after page, `(after, up_to)` at a time, and waits for more at the end of the ledger. Ends at `until`, or
/// when the client is gone. At the end of what there is, `checkpoint` may say how far that was.
pub(crate) fn follow<T, R, F>(
    ledger: Ledger,
    tasks: &Tasks,
    begin: i64,
    until: Option<i64>,
    read: R,
    checkpoint: fn(i64) -> T,
) -> Responses<T>
where
    T: Send + 'static,
    R: Fn(i64, i64) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Page<T>, ApiError>> + Send,
{
    let (out, messages) = mpsc::channel(IN_FLIGHT);
    let run = async move {
        if let Err(error) = pages(&ledger, begin, until, read, checkpoint, &out).await {
            let _ = out.send(Err(error.into())).await;
        }
    };
    tasks.spawn_cancellable("ledger stream", run).detach();
    Box::pin(ReceiverStream::new(messages))
}

async fn pages<T, R, F>(
    ledger: &Ledger,
    begin: i64,
    until: Option<i64>,
    read: R,
    checkpoint: fn(i64) -> T,
    out: &mpsc::Sender<Result<T, Status>>,
) -> Result<(), ApiError>
where
    R: Fn(i64, i64) -> F,
    F: Future<Output = Result<Page<T>, ApiError>>,
{
    let mut more = ledger.listen();
    let (mut after, mut told) = (begin, begin);
    loop {
        let end = ledger.end().await?;
        let up_to = until.map_or(end, |until| until.min(end));
        while after < up_to {
            let page = read(after, up_to).await?;
            // A page without entries: nothing of this kind stands between here and there.
            after = page.last.unwrap_or(up_to);
            if !page.messages.is_empty() {
                told = after;
            }
            for message in page.messages {
                if out.send(Ok(message)).await.is_err() {
                    return Ok(());
                }
            }
        }
        if until.is_some_and(|until| after >= until) {
            return Ok(());
        }
        if told < after {
            told = after;
            if out.send(Ok(checkpoint(after))).await.is_err() {
                return Ok(());
            }
        }
        tokio::select! {
            () = more.changed() => (),
            () = out.closed() => return Ok(()),
        }
    }
}
