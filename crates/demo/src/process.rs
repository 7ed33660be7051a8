//! Starting, stopping, killing, pausing the network's processes.

use crate::layout::Process;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::process::{Child, Command};

/// A process that ends with this program.
pub(crate) struct Running {
    pub(crate) process: Process,
    child: Child,
}

impl Running {
    /// Starts the daemon of this very binary.
    pub(crate) fn start(program: &PathBuf, process: Process) -> io::Result<Self> {
        let child = Command::new(program)
            .arg("daemon")
            .arg("--config")
            .arg(&process.config)
            .arg("--log-file-name")
            .arg(&process.log)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { process, child })
    }

    /// Ends it at once, as `kill -9` does, and waits until it is gone.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.child.start_kill()?;
        self.child.wait().await.map(|_| ())
    }

    /// Sends it a signal, if it is still there.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            // It may have ended at this very moment.
            let _ = kill_process(pid, signal);
        }
    }

    /// Whether it ended by itself, and how.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end in order, and kills it if it does not.
    pub(crate) async fn stop(&mut self, patience: Duration) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(patience, self.child.wait()).await.is_err() {
            let _ = self.kill().await;
        }
    }
}
