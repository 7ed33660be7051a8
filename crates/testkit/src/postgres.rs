//! A throwaway PostgreSQL from the binaries of the machine. It works offline and as root (the server then runs as user
//! `postgres`, because it refuses root).
//!
//! Test runners start a process per test, so servers are shared between processes: whoever comes first starts one,
//! everybody gets a database of their own, and a small shell process that belongs to nobody stops the server when the
//! last user is gone, however it went. A test that harms its server starts one for itself with
//! [`PostgresServer::start`].

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    net::{TcpListener, TcpStream},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use rustix::fs::{FlockOperation, flock};

/// A server that takes longer than this to start is given up.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Settings of every throwaway server: nothing needs to survive a crash of the machine.
const SETTINGS: &[&str] = &[
    "fsync=off",
    "full_page_writes=off",
    "max_connections=400",
    "shared_buffers=32MB",
    "max_wal_size=256MB",
    "autovacuum=off",
    "log_min_messages=fatal",
];

/// A database of its own on a throwaway server; dropped with this value.
#[derive(Debug)]
pub struct Database {
    port: u16,
    name: String,
}

/// A server for one test alone, which may stop, pause or kill it. It ends with this value or with the process.
#[derive(Debug)]
pub struct PostgresServer {
    /// Closed when this process ends, however it ends; the shell around the server waits for that.
    _leash: ChildStdin,
    shell: Child,
    dir: PathBuf,
    port: u16,
}

/// A new database on the shared throwaway server.
///
/// # Panics
/// Where no PostgreSQL is installed, or it does not start.
#[must_use]
pub fn postgres() -> Database {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    let shared = SHARED.get_or_init(|| Shared::join().expect("the shared PostgreSQL starts"));
    Database::create(shared.port)
}

impl Database {
    fn create(port: u16) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
        let name = format!("t{now}_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        run(client("createdb", port).arg(&name));
        Self { port, name }
    }

    /// `postgresql://` URL for the superuser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{}", self.port, self.name)
    }

    /// The server's port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What `psql` prints for the statement: unaligned, without headings, columns parted by `|`.
    ///
    /// # Panics
    /// If the statement fails.
    #[must_use]
    pub fn psql(&self, sql: &str) -> String {
        run(client("psql", self.port).args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            &self.name,
            "-c",
            sql,
        ]))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The server may be gone already, and goes soon in any case: this only saves disk space.
        drop(client("dropdb", self.port).args(["--force", "--if-exists", &self.name]).output());
    }
}

impl PostgresServer {
    /// Starts a server; `settings` (`name=value`) are added to the usual ones and win over them.
    ///
    /// # Panics
    /// Where no PostgreSQL is installed, or it does not start.
    #[must_use]
    pub fn start(settings: &[&str]) -> Self {
        Self::try_start(settings).expect("PostgreSQL starts")
    }

    fn try_start(settings: &[&str]) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("concordat-pg-").tempdir()?.keep();
        init(&dir)?;
        let port = free_port()?;
        // A restarted server is no child of the shell, so the shell asks for it by number.
        let mut shell = server_shell(
            &dir,
            port,
            settings,
            "trap '' QUIT; \"$@\" & echo $! > pid; read -r _; kill -QUIT $(cat pid); \
             while kill -0 $(cat pid) 2>/dev/null; do sleep 0.02; done; cd /; rm -rf \"$dir\"",
        )
        .stdin(Stdio::piped())
        .spawn()?;
        let leash = shell.stdin.take().ok_or_else(|| io::Error::other("the shell has no input"))?;
        wait_ready(port)?;
        Ok(Self { _leash: leash, shell, dir, port })
    }

    /// A new database on this server.
    #[must_use]
    pub fn database(&self) -> Database {
        Database::create(self.port)
    }

    /// The server's port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Breaks off every connection at once and starts the server again on the same port, as after a crash.
    ///
    /// # Panics
    /// If the server does not come back.
    pub fn restart_immediately(&self) {
        let data = self.dir.join("data");
        let log = self.dir.join("restart.log");
        run(as_owner(&mut Command::new(binary("pg_ctl")))
            .args(["restart", "-w", "-m", "immediate", "-D"])
            .arg(&data)
            .arg("-l")
            .arg(log));
        let pid = fs::read_to_string(data.join("postmaster.pid")).expect("a running server has a pid file");
        fs::write(self.dir.join("pid"), pid.lines().next().unwrap_or_default()).expect("the folder is writable");
        wait_ready(self.port).expect("the server comes back");
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.dir.join("pid")).unwrap_or_default();
        drop(Command::new("kill").args(["-QUIT", pid.trim()]).output());
        let (leash, shell) = (&mut self._leash, &mut self.shell);
        drop(io::Write::write_all(leash, b"\n"));
        drop(shell.wait());
    }
}

/// A place in the queue of a server that several processes use.
struct Shared {
    port: u16,
    _user: File,
}

impl Shared {
    fn join() -> io::Result<Self> {
        let owner = owner();
        let dir = std::env::temp_dir().join(format!("concordat-testkit-{}", fs::metadata("/proc/self")?.uid()));
        fs::create_dir_all(&dir)?;
        if let Some((uid, gid)) = owner {
            chown(&dir, Some(uid), Some(gid))?;
        }
        let start = File::options().create(true).truncate(false).write(true).open(dir.join("start.lock"))?;
        let user = File::options().create(true).truncate(false).write(true).open(dir.join("users.lock"))?;
        flock(&start, FlockOperation::LockExclusive)?;
        let known = fs::read_to_string(dir.join("port")).ok().and_then(|text| text.trim().parse::<u16>().ok());
        let port = match known.filter(|port| is_ready(*port)) {
            Some(port) => port,
            None => Self::launch(&dir)?,
        };
        // Taken before `start` is let go: the server's keeper takes both before it stops the server.
        flock(&user, FlockOperation::LockShared)?;
        Ok(Self { port, _user: user })
    }

    fn launch(base: &Path) -> io::Result<u16> {
        let dir = tempfile::Builder::new().prefix("server-").tempdir_in(base)?.keep();
        init(&dir)?;
        let port = free_port()?;
        let keeper = concat!(
            "\"$@\" & pid=$!; cd ..; ",
            "while kill -0 $pid 2>/dev/null; do ",
            "flock -x users.lock true; sleep 10; ",
            "flock -x start.lock sh -c 'flock -n -x users.lock sh -c \"grep -qx $0 port && rm port; kill -QUIT $1\"' $port $pid ",
            "&& break; done; wait; rm -rf \"$dir\"",
        );
        server_shell(&dir, port, &[], keeper).stdin(Stdio::null()).spawn()?;
        wait_ready(port)?;
        fs::write(base.join("port"), format!("{port}\n"))?;
        Ok(port)
    }
}

/// A shell in the server's folder, in a process group of its own (so that a signal to the test's group spares it), with
/// the server's command line as its arguments.
fn server_shell(dir: &Path, port: u16, settings: &[&str], script: &str) -> Command {
    let mut command = Command::new("sh");
    as_owner(&mut command).current_dir(dir).env("dir", dir).env("port", port.to_string());
    command.args(["-c", script, "sh"]).arg(binary("postgres")).arg("-D").arg(dir.join("data"));
    command.args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k"]).arg(dir);
    for setting in SETTINGS.iter().chain(settings) {
        command.args(["-c", setting]);
    }
    command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn init(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    if let Some((uid, gid)) = owner() {
        chown(dir, Some(uid), Some(gid))?;
    }
    run(as_owner(&mut Command::new(binary("initdb")))
        .args(["-N", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D"])
        .arg(dir.join("data")));
    Ok(())
}

fn wait_ready(port: u16) -> io::Result<()> {
    let end = Instant::now() + START_LIMIT;
    while !is_ready(port) {
        if Instant::now() > end {
            return Err(io::Error::other(format!("PostgreSQL on port {port} did not start in {START_LIMIT:?}")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Whether the server takes queries; connecting is not enough, it may still be starting.
fn is_ready(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
        && client("psql", port).args(["-X", "-c", "select 1"]).output().is_ok_and(|o| o.status.success())
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn client(program: &str, port: u16) -> Command {
    let mut command = Command::new(binary(program));
    command.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &port.to_string()]).stdin(Stdio::null());
    command
}

/// Runs to the end and gives the trimmed output.
fn run(command: &mut Command) -> String {
    let program = command.get_program().to_os_string();
    let output = command.stdin(Stdio::null()).output().expect("PostgreSQL's programs are installed");
    assert!(output.status.success(), "{} failed: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The newest installed server's program; failing that, the one on the search path.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name().and_then(OsStr::to_str)?.parse().ok()?;
            let program = path.join("bin").join(name);
            program.exists().then_some((version, program))
        })
        .collect();
    versions.sort();
    versions.pop().map_or_else(|| PathBuf::from(name), |(_, path)| path)
}

fn as_owner(command: &mut Command) -> &mut Command {
    if let Some((uid, gid)) = owner() {
        command.uid(uid).gid(gid);
    }
    command.current_dir("/")
}

/// User and group `postgres` when we are root.
fn owner() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|f| f[0] == "postgres")?;
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_gives_an_empty_database_of_its_own() {
        let (one, two) = (postgres(), postgres());
        let _nothing = one.psql("create table t (x int)");
        assert_ne!(one.name(), two.name());
        assert_eq!(two.psql("select count(*) from pg_tables where schemaname = 'public'"), "0");
    }

    #[test]
    fn a_dropped_database_is_gone() {
        let (one, two) = (postgres(), postgres());
        let name = one.name().to_owned();
        drop(one);
        assert_eq!(two.psql(&format!("select count(*) from pg_database where datname = '{name}'")), "0");
    }

    #[test]
    fn a_private_server_restarts_and_ends() {
        let server = PostgresServer::start(&["work_mem=1234kB"]);
        let database = server.database();
        assert_eq!(database.psql("show work_mem"), "1234kB");
        let _nothing = database.psql("create table t (x int)");
        server.restart_immediately();
        assert_eq!(database.psql("select count(*) from t"), "0");
        let (port, dir) = (server.port(), server.dir.clone());
        drop(server);
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the server has ended");
        assert!(!dir.exists(), "its folder is gone");
    }
}
