//! The files beside the database file, and the processes that have it open.

use std::{
    ffi::OsString,
    fmt,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    str::FromStr,
};

use super::io_error;
use crate::Result;

/// Where everything lies.
#[derive(Clone, Debug)]
pub(super) struct Files {
    database: PathBuf,
}

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProcessName {
    /// Its number.
    pub(super) pid: i32,
    /// When it started, in clock ticks since the machine did.
    pub(super) started: u64,
}

impl Files {
    pub(super) fn new(database: &Path) -> Result<Self> {
        // One name for one file, however it was reached: the lock files lie beside it.
        let parent = database.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(|e| io_error(&format!("cannot create {}", parent.display()), &e))?;
        let parent = fs::canonicalize(parent).map_err(|e| io_error(&parent.display().to_string(), &e))?;
        let name = database.file_name().unwrap_or("concordat.db".as_ref());
        Ok(Self { database: parent.join(name) })
    }

    pub(super) fn database(&self) -> &Path {
        &self.database
    }

    /// Writers of all processes wait here in the order in which they came.
    pub(super) fn queue(&self) -> Result<File> {
        self.open("-queue")
    }

    /// The lock file of that name.
    pub(super) fn lock(&self, name: &str) -> PathBuf {
        self.beside(&format!("-lock-{name}"))
    }

    /// A folder with a file per channel.
    pub(super) fn signals(&self) -> Result<PathBuf> {
        let path = self.beside("-signals");
        fs::create_dir_all(&path).map_err(|e| io_error(&format!("cannot create {}", path.display()), &e))?;
        Ok(path)
    }

    fn open(&self, suffix: &str) -> Result<File> {
        let path = self.beside(suffix);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        file.map_err(|e| io_error(&format!("cannot open {}", path.display()), &e))
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(self.database.as_os_str());
        name.push(suffix);
        name.into()
    }
}

impl ProcessName {
    /// The process that has the number now.
    pub(super) fn of(pid: i32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The second field is the program's name in parentheses and may hold anything; the start is field 22.
        let after_name = stat.rfind(')').map_or("", |at| &stat[at + 1..]);
        let started = after_name.split_whitespace().nth(19).and_then(|field| field.parse().ok());
        let started = started.ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat cannot be read")))?;
        Ok(Self { pid, started })
    }
}

/// This process.
pub(super) fn own_process() -> Result<ProcessName> {
    let pid = i32::try_from(std::process::id()).unwrap_or_default();
    ProcessName::of(pid).map_err(|e| io_error("cannot read this process's start time", &e))
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.pid, self.started)
    }
}

impl FromStr for ProcessName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (pid, started) = text.split_once('-').ok_or(())?;
        Ok(Self { pid: pid.parse().map_err(drop)?, started: started.parse().map_err(drop)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_have_names_that_survive_text() {
        let me = own_process().unwrap();
        assert!(me.started > 0);
        assert_eq!(me.to_string().parse(), Ok(me));
        assert_eq!("x".parse::<ProcessName>(), Err(()));
        assert_ne!(ProcessName::of(1).unwrap(), me);
    }

    #[test]
    fn one_file_has_one_name() {
        let dir = tempfile::tempdir().unwrap();
        let plain = Files::new(&dir.path().join("a.db")).unwrap();
        let winding = Files::new(&dir.path().join("x/../a.db"));
        assert!(winding.is_err() || winding.unwrap().database() == plain.database());
        assert!(plain.beside("-queue").ends_with("a.db-queue"));
    }
}
