//! Starting and killing the demo's processes.

use super::layout::Process;
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

    /// Whether it ended by itself, and how.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end in order, and kills it if it does not.
    pub(crate) async fn stop(mut self, patience: Duration) {
        if let Some(pid) =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(patience, self.child.wait()).await.is_err() {
            let _ = self.kill().await;
        }
    }
}
