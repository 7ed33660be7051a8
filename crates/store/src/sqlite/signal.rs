//! Wake-ups between processes: a file per channel, touched *after* the commit and watched by the others. (Watching the
//! write-ahead log instead would miss the last commit until the next.)

use std::{fs::File, io::Write as _, mem::MaybeUninit, os::fd::OwnedFd, path::PathBuf};

use rustix::{
    fs::inotify::{self, CreateFlags, WatchFlags},
    io::Errno,
};
use tasks::Tasks;
use tokio::io::unix::AsyncFd;

use super::{Files, io_error};
use crate::{Result, notify::Wakes};

/// The folder of signal files.
pub(super) struct Signals {
    folder: Option<PathBuf>,
}

impl Signals {
    pub(super) fn new(files: Option<&Files>) -> Result<Self> {
        Ok(Self { folder: files.map(Files::signals).transpose()? })
    }

    pub(super) fn touch(&self, channel: &str) {
        let Some(folder) = &self.folder else { return };
        let touched = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(folder.join(channel))
            .and_then(|mut file| file.write_all(b"."));
        if let Err(error) = touched {
            tracing::debug!(channel, %error, "signal file not touched; listeners find out by themselves");
        }
    }
}

/// Wakes a channel whenever its file is touched.
pub(super) fn watch(files: &Files, wakes: &Wakes, tasks: &Tasks) -> Result<()> {
    let folder = files.signals()?;
    let fail = |e: Errno| io_error(&format!("cannot watch {}", folder.display()), &e.into());
    let watcher = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).map_err(fail)?;
    inotify::add_watch(&watcher, &folder, WatchFlags::MODIFY).map_err(fail)?;
    #[expect(
        deprecated,
        reason = "its replacement is unsafe, for types that may change their descriptor; OwnedFd does not"
    )]
    let watcher = AsyncFd::new(watcher).map_err(|e| io_error("cannot wait for signal files", &e))?;
    let wakes = wakes.clone();
    let run = async move {
        while let Ok(mut ready) = watcher.readable().await {
            if let Err(error) = forward(watcher.get_ref(), &wakes) {
                tracing::warn!(%error, "signal files are no longer watched; listeners poll");
                return;
            }
            ready.clear_ready();
        }
    };
    tasks.spawn_cancellable("store-listen", run).detach();
    Ok(())
}

/// Reads all events that wait.
fn forward(watcher: &OwnedFd, wakes: &Wakes) -> Result<(), Errno> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(watcher, &mut buffer);
    loop {
        match events.next() {
            Ok(event) => match event.file_name().map(|name| name.to_str()) {
                Some(Ok(channel)) => wakes.wake(channel),
                _ => wakes.wake_all(), // the queue overflowed
            },
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}
