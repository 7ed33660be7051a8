//! The processes of the demo network and their configuration files.

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

/// What a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A synchronizer manager.
    Manager,
    /// A mediator.
    Mediator,
    /// A sequencer.
    Sequencer,
    /// A participant.
    Participant,
}

/// One process with one node.
#[derive(Debug, Clone)]
pub struct Process {
    /// Name of the replica, also of the node in its configuration file.
    pub name: String,
    /// What its node is.
    pub kind: Kind,
    /// Replicas of one logical node share this name.
    pub logical: String,
    /// Of the admin API.
    pub admin_port: u16,
    /// Ledger API of a participant, public API of a sequencer.
    pub second_port: Option<u16>,
    /// Where others reach a sequencer's public API.
    pub public_port: Option<u16>,
    /// Where the process reaches the database server, if there is one.
    pub database_port: Option<u16>,
    /// Its configuration file.
    pub config: PathBuf,
    /// Its log file.
    pub log: PathBuf,
}

/// Where the nodes keep their state.
#[derive(Debug, Clone)]
pub(crate) enum Storage {
    /// Files in the demo's folder.
    Embedded,
    /// A schema for each logical node in this database.
    Postgres(PostgresUrl),
}

/// The parts of `postgres://user:password@host:port/database`.
#[derive(Clone)]
pub struct PostgresUrl {
    user: String,
    password: Option<String>,
    pub(crate) host: String,
    pub(crate) port: u16,
    database: String,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Manager, Self::Mediator, Self::Sequencer, Self::Participant];

    /// As it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Manager => "manager",
            Self::Mediator => "mediator",
            Self::Sequencer => "sequencer",
            Self::Participant => "participant",
        }
    }

    /// The block of a configuration file.
    fn block(self) -> &'static str {
        match self {
            Self::Manager => "domain-managers",
            Self::Mediator => "mediators",
            Self::Sequencer => "sequencers",
            Self::Participant => "participants",
        }
    }

    fn second_api(self) -> Option<&'static str> {
        match self {
            Self::Sequencer => Some("public-api"),
            Self::Participant => Some("ledger-api"),
            Self::Manager | Self::Mediator => None,
        }
    }
}

impl std::fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "postgres://{}@{}:{}/{}", self.user, self.host, self.port, self.database)
    }
}

impl std::str::FromStr for PostgresUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "write postgres://user[:password]@host[:port]/database".to_owned();
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let (credentials, place) = rest.and_then(|r| r.rsplit_once('@')).ok_or_else(expected)?;
        let (address, database) = place.split_once('/').ok_or_else(expected)?;
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password.to_owned())),
            None => (credentials, None),
        };
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| expected())?),
            None => (address, 5432),
        };
        if user.is_empty() || host.is_empty() || database.is_empty() {
            return Err(expected());
        }
        Ok(Self { user: user.into(), password, host: host.into(), port, database: database.into() })
    }
}

/// Ports to try. They are below those that systems give to outgoing connections: a process that restarts must find its port
/// free. Networks that begin at the same time begin at different ones.
fn ports() -> impl Iterator<Item = (Ipv4Addr, u16)> {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 22_000;
    let begin = std::process::id().wrapping_mul(97);
    (0..COUNT)
        .filter_map(move |n| u16::try_from(FIRST + begin.wrapping_add(n) % COUNT).ok())
        .map(|p| (Ipv4Addr::LOCALHOST, p))
}

/// The processes; their configuration files are to be written to `dir`. Ports are free at this moment.
pub(crate) fn lay_out(dir: &Path, storage: &Storage, replicated: bool) -> io::Result<Vec<Process>> {
    let replicas: [(Kind, &str, &[&str]); 5] = [
        (Kind::Manager, "manager", &["a", "b"]),
        (Kind::Mediator, "mediator", &["a", "b"]),
        (Kind::Sequencer, "sequencer", &["1", "2", "3"]),
        (Kind::Participant, "participant1", &["a", "b"]),
        (Kind::Participant, "participant2", &["a", "b"]),
    ];
    // Held together, so that no port is given out twice.
    let wanted: usize = replicas.iter().map(|(_, _, names)| names.len() * 2).sum();
    let held: Vec<TcpListener> = ports().filter_map(|port| TcpListener::bind(port).ok()).take(wanted).collect();
    let mut ports = held.iter().map(|listener| listener.local_addr().map(|address| address.port()));
    let mut free_port = || ports.next().unwrap_or_else(|| Err(io::Error::other("no port is left")));
    let mut processes = Vec::new();
    for (kind, logical, names) in replicas {
        for suffix in names.iter().take(if replicated { names.len() } else { 1 }) {
            let name = format!("{logical}_{suffix}");
            let second_port = kind.second_api().map(|_| free_port()).transpose()?;
            processes.push(Process {
                kind,
                logical: logical.into(),
                admin_port: free_port()?,
                second_port,
                public_port: second_port.filter(|_| kind == Kind::Sequencer),
                database_port: match storage {
                    Storage::Embedded => None,
                    Storage::Postgres(url) => Some(url.port),
                },
                config: dir.join(format!("{name}.conf")),
                log: dir.join(format!("{name}.log")),
                name,
            });
        }
    }
    Ok(processes)
}

/// Writes the configuration file of a process.
pub(crate) fn write(process: &Process, dir: &Path, storage: &Storage, profile: Option<&str>) -> io::Result<()> {
    fs::write(&process.config, configuration(process, dir, storage, profile))
}

fn configuration(process: &Process, dir: &Path, storage: &Storage, profile: Option<&str>) -> String {
    let mut text = format!("canton.{}.{} {{\n", process.kind.block(), process.name);
    let mut line = |content: String| {
        text.push_str("  ");
        text.push_str(&content);
        text.push('\n');
    };
    match storage {
        Storage::Embedded => {
            let file = dir.join(format!("{}.db", process.logical));
            line(format!("storage {{ type = sqlite, config.file = {file:?} }}"));
        }
        Storage::Postgres(url) => {
            let password = url.password.as_ref().map(|p| format!(", password = {p:?}")).unwrap_or_default();
            line(format!(
                "storage {{ type = postgres, config.properties {{ serverName = {:?}, portNumber = {}, \
                 databaseName = {:?}, user = {:?}{password}, currentSchema = {} }} }}",
                if process.database_port == Some(url.port) { &url.host } else { "127.0.0.1" },
                process.database_port.unwrap_or(url.port),
                url.database,
                url.user,
                process.logical
            ));
        }
    }
    line(format!("admin-api {{ address = \"127.0.0.1\", port = {} }}", process.admin_port));
    if let (Some(api), Some(port)) = (process.kind.second_api(), process.second_port) {
        line(format!("{api} {{ address = \"127.0.0.1\", port = {port} }}"));
    }
    if let Some(profile) = profile {
        line(format!("ha.profile = {profile}"));
    }
    if process.kind == Kind::Manager {
        line(
            "init.domain-parameters { participant-response-timeout = 5s, mediator-reaction-timeout = 5s, \
             ledger-time-record-time-tolerance = 5s }"
                .into(),
        );
    }
    text.push_str("}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_configuration_file_loads() {
        let dir = tempfile::tempdir().unwrap();
        let url: PostgresUrl = "postgres://u:hunter2@db:7/d".parse().unwrap();
        assert!(!format!("{url:?}").contains("hunter2"));
        for storage in [Storage::Embedded, Storage::Postgres(url)] {
            assert_eq!(lay_out(dir.path(), &storage, false).unwrap().len(), 5);
            let processes = lay_out(dir.path(), &storage, true).unwrap();
            assert_eq!(processes.len(), 11);
            for process in processes {
                write(&process, dir.path(), &storage, Some("fast")).unwrap();
                let (config, warnings) = config::load(&[process.config], &[], &|_| None).unwrap();
                assert_eq!(warnings, []);
                let nodes = config.managers.len() + config.mediators.len() + config.sequencers.len();
                assert_eq!(nodes + config.participants.len(), 1);
            }
        }
    }

    #[test]
    fn refuses_other_urls() {
        for bad in ["", "mysql://u@h/d", "postgres://h/d", "postgres://u@h", "postgres://u@h:x/d"] {
            assert!(bad.parse::<PostgresUrl>().is_err(), "{bad}");
        }
    }
}
