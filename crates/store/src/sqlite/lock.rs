//! Lock files. The kernel lets a `flock` go when its process ends, however it ends; the file says which process that is,
//! so that one that is stopped, and would hold the lock for ever, can be ended.

use std::{
    fs::{self, File},
    mem::MaybeUninit,
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{
        FlockOperation, flock,
        inotify::{self, CreateFlags, WatchFlags},
    },
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use tokio::io::unix::AsyncFd;

use super::{
    files::{ProcessName, own_process},
    io_error,
};
use crate::{Result, StoreError};

/// Records have one length, so that a shorter one leaves nothing of a longer one behind.
const RECORD: usize = 512;

/// A lock file, locked or not.
pub(super) struct LockFile {
    file: File,
    path: PathBuf,
}

/// What the holder says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) process: ProcessName,
    pub(super) beat: u64,
    pub(super) replica: String,
}

impl LockFile {
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|e| io_error(&format!("cannot open {}", path.display()), &e))?;
        Ok(Self { file, path })
    }

    /// Takes the lock if nobody has it.
    pub(super) fn try_exclusive(&self) -> Result<bool> {
        self.try_lock(FlockOperation::NonBlockingLockExclusive)
    }

    /// Takes the lock together with others, if nobody has it exclusively.
    pub(super) fn try_shared(&self) -> Result<bool> {
        self.try_lock(FlockOperation::NonBlockingLockShared)
    }

    /// Whether nobody holds the lock exclusively.
    pub(super) fn is_free(&self) -> Result<bool> {
        self.is_free_for(FlockOperation::NonBlockingLockShared)
    }

    /// Whether nobody holds the lock in any way.
    pub(super) fn is_unused(&self) -> Result<bool> {
        self.is_free_for(FlockOperation::NonBlockingLockExclusive)
    }

    fn is_free_for(&self, operation: FlockOperation) -> Result<bool> {
        let free = self.try_lock(operation)?;
        if free && let Err(error) = flock(&self.file, FlockOperation::Unlock) {
            tracing::warn!(path = %self.path.display(), %error, "lock file");
        }
        Ok(free)
    }

    fn try_lock(&self, operation: FlockOperation) -> Result<bool> {
        match flock(&self.file, operation) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(io_error(&format!("cannot lock {}", self.path.display()), &error.into())),
        }
    }

    /// Lets the lock go, and touches the file afterwards so that those who wait look again.
    pub(super) fn unlock(&self) {
        if let Err(error) = flock(&self.file, FlockOperation::Unlock).map_err(std::io::Error::from).and_then(|()| {
            let unchanged = self.raw()?;
            self.file.write_all_at(&unchanged, 0)
        }) {
            tracing::warn!(path = %self.path.display(), %error, "lock file");
        }
    }

    /// Whether the path still leads to this file: if somebody replaced it, others lock another one.
    pub(super) fn is_in_place(&self) -> bool {
        let (ours, there) = (self.file.metadata(), fs::metadata(&self.path));
        matches!((ours, there), (Ok(a), Ok(b)) if (a.dev(), a.ino()) == (b.dev(), b.ino()))
    }

    pub(super) fn write(&self, record: &Record) -> Result<()> {
        let mut text = format!("{} {} {}", record.process, record.beat, record.replica).into_bytes();
        text.resize(RECORD - 1, b' ');
        text.push(b'\n');
        let written = self.file.write_all_at(&text, 0);
        written.map_err(|e| io_error(&format!("cannot write {}", self.path.display()), &e))
    }

    /// `None` for a file that was never written, or is being written.
    pub(super) fn read(&self) -> Option<Record> {
        let text = String::from_utf8(self.raw().ok()?).ok()?;
        let mut words = text.trim_end().splitn(3, ' ');
        Some(Record {
            process: words.next()?.parse().ok()?,
            beat: words.next()?.parse().ok()?,
            replica: words.next().unwrap_or_default().to_owned(),
        })
    }

    fn raw(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; RECORD];
        let read = self.file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// Watches a lock file and the process that holds it.
pub(super) struct Waiter {
    watcher: AsyncFd<OwnedFd>,
}

impl Waiter {
    pub(super) fn new(path: &Path) -> Result<Self> {
        let fail = |e: Errno| io_error(&format!("cannot watch {}", path.display()), &e.into());
        let watcher = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).map_err(fail)?;
        inotify::add_watch(&watcher, path, WatchFlags::MODIFY).map_err(fail)?;
        Ok(Self { watcher: async_fd(watcher)? })
    }

    /// Waits until the file is written, the process ends, or the time is over. A lock that was let go in another way is
    /// found when the time is over.
    pub(super) async fn wait(&self, process: Option<ProcessName>, at_most: Duration) {
        let pidfd = process.and_then(verified).and_then(|fd| async_fd(fd).ok());
        let ended = async {
            match &pidfd {
                Some(fd) => drop(fd.readable().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = ended => {}
            ready = self.watcher.readable() => if let Ok(mut ready) = ready {
                let mut buffer = [MaybeUninit::uninit(); 4096];
                let mut events = inotify::Reader::new(self.watcher.get_ref(), &mut buffer);
                while events.next().is_ok() {}
                ready.clear_ready();
            },
            () = tokio::time::sleep(at_most) => {}
        }
    }
}

/// Ends a process, if it is still the one that is meant and not this one. Says whether it was.
pub(super) fn kill(process: ProcessName) -> Result<bool> {
    if process == own_process()? {
        return Ok(false);
    }
    let Some(pidfd) = verified(process) else { return Ok(false) };
    match pidfd_send_signal(&pidfd, Signal::KILL) {
        Ok(()) => Ok(true),
        Err(Errno::SRCH) => Ok(false),
        Err(error) => Err(StoreError::Unavailable(format!("cannot end the silent holder {}: {error}", process.pid))),
    }
}

/// A handle of the process, taken before its start time is compared, so that it cannot be another one's.
fn verified(process: ProcessName) -> Option<OwnedFd> {
    let pidfd = pidfd_open(Pid::from_raw(process.pid)?, PidfdFlags::empty()).ok()?;
    (ProcessName::of(process.pid).ok()? == process).then_some(pidfd)
}

fn async_fd(fd: OwnedFd) -> Result<AsyncFd<OwnedFd>> {
    #[expect(
        deprecated,
        reason = "its replacement is unsafe, for types that may change their descriptor; OwnedFd does not"
    )]
    AsyncFd::new(fd).map_err(|e| io_error("cannot wait for a lock file", &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let lock = LockFile::open(dir.path().join("lock")).unwrap();
        assert_eq!(lock.read(), None);
        let mut record =
            Record { process: own_process().unwrap(), beat: 1, replica: "a replica with a long name".into() };
        for replica in [record.replica.clone(), "b".into(), String::new()] {
            record = Record { beat: record.beat + 1, replica, ..record };
            lock.write(&record).unwrap();
            assert_eq!(lock.read().as_ref(), Some(&record));
        }
    }

    #[test]
    fn one_holds_and_a_replaced_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let open = || LockFile::open(dir.path().join("lock")).unwrap();
        let (one, two) = (open(), open());
        assert!(one.try_exclusive().unwrap() && !two.try_exclusive().unwrap() && !two.is_free().unwrap());
        one.unlock();
        assert!(two.is_free().unwrap() && two.try_exclusive().unwrap());
        drop(two);
        assert!(one.try_exclusive().unwrap());
        assert!(one.is_in_place());
        fs::remove_file(dir.path().join("lock")).unwrap();
        assert!(!one.is_in_place());
        drop(open());
        assert!(!one.is_in_place());
    }

    #[test]
    fn nobody_is_ended_by_mistake() {
        let me = own_process().unwrap();
        assert_eq!(kill(me), Ok(false));
        let mut child = std::process::Command::new("sleep").arg("3600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let process = ProcessName::of(pid).unwrap();
        assert_eq!(kill(ProcessName { started: process.started + 1, ..process }), Ok(false));
        assert_eq!(child.try_wait().unwrap(), None);
        assert_eq!(kill(process), Ok(true));
        assert!(!child.wait().unwrap().success());
    }
}
