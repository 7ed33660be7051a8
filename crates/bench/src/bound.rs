//! What a transfer between two participants must do, each part measured alone.
//!
//! Messages: the request (to the mediator and both participants), a response from each participant, the verdict (to both).
//! Senders get receipts. So there are 4 submissions and 10 events.

use crate::transfer::TransferError;
use base::Hash;
use crypto::{
    Secret, Wrapper,
    private::{DecryptionKey, SigningKey},
};
use serde::Serialize;
use std::{hint::black_box, io::Write as _, process::Command, time::Instant};

/// One for each submission and event, the request, the responses and the verdict.
const SIGNED: u32 = 4 + 10 + 1 + 2 + 1;
/// Submissions by the sequencer, events by their receivers, the request by three, responses by one, the verdict by two.
const VERIFIED: u32 = 4 + 10 + 3 + 2 + 2;
/// The session key of the view, for each participant.
const WRAPPED: u32 = 2;

/// One of the parts: how often, and microseconds for each time.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Part {
    count: u32,
    each_us: f64,
}

/// The parts of one transfer.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Parts {
    /// Ed25519.
    signatures_made: Part,
    signatures_checked: Part,
    /// P-256 and AES-128-GCM.
    keys_wrapped: Part,
    keys_unwrapped: Part,
    /// All rows of a transfer, durable; with as many clients as the network has.
    rows_stored: Part,
}

pub(crate) struct Bound {
    pub(crate) parts: Parts,
    pub(crate) sql_tps: f64,
}

impl Part {
    fn total_us(self) -> f64 {
        f64::from(self.count) * self.each_us
    }

    fn mean(self, other: Self) -> Self {
        Self { count: self.count, each_us: f64::midpoint(self.each_us, other.each_us) }
    }
}

impl Parts {
    /// Transfers per second if only this were done, on so many cores. The database uses all of them when it is measured.
    pub(crate) fn bound(&self, cores: usize) -> f64 {
        let own = [self.signatures_made, self.signatures_checked, self.keys_wrapped, self.keys_unwrapped];
        let own: f64 = own.into_iter().map(Part::total_us).sum();
        let cores = f64::from(u32::try_from(cores).unwrap_or(u32::MAX));
        1e6 / (own / cores + self.rows_stored.total_us())
    }

    pub(crate) fn mean(&self, other: &Self) -> Self {
        Self {
            signatures_made: self.signatures_made.mean(other.signatures_made),
            signatures_checked: self.signatures_checked.mean(other.signatures_checked),
            keys_wrapped: self.keys_wrapped.mean(other.keys_wrapped),
            keys_unwrapped: self.keys_unwrapped.mean(other.keys_unwrapped),
            rows_stored: self.rows_stored.mean(other.rows_stored),
        }
    }
}

fn timed(count: u32, mut work: impl FnMut()) -> Part {
    const ROUNDS: u32 = 2000;
    let begun = Instant::now();
    (0..ROUNDS).for_each(|_| work());
    Part { count, each_us: begun.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS) }
}

/// Makes the tables of the rivals.
pub(crate) fn set_up(url: &str) -> Result<(), TransferError> {
    psql(url, include_str!("../sql/setup.sql"))
}

pub(crate) fn psql(url: &str, script: &str) -> Result<(), TransferError> {
    run("psql", &["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url], script).map(drop)
}

/// Measures everything.
pub(crate) fn measure(url: &str, clients: usize, seconds: u32) -> Result<Bound, TransferError> {
    let (signing, reader) = (SigningKey::generate(&[1; 32]), DecryptionKey::generate(&[2; 32]));
    let (hash, secret) = (Hash([3; 32]), Secret::new([4; 32]));
    let signature = signing.sign(&hash);
    let wrapper = Wrapper::new(&secret);
    let wrap = || wrapper.agree(reader.public()).map(|agreed| agreed.wrap(b"view", &secret));
    let wrapped = wrap().unwrap_or_default();
    let unwrap = || reader.agree(wrapper.public()).and_then(|agreed| agreed.unwrap(b"view", &wrapped));
    let rows = pgbench(url, include_str!("../sql/rows.sql"), clients, seconds)?;
    let parts = Parts {
        signatures_made: timed(SIGNED, || drop(black_box(signing.sign(black_box(&hash))))),
        signatures_checked: timed(VERIFIED, || drop(black_box(signature.verify(black_box(&hash), signing.public())))),
        keys_wrapped: timed(WRAPPED, || drop(black_box(wrap()))),
        keys_unwrapped: timed(WRAPPED, || drop(black_box(unwrap()))),
        rows_stored: Part { count: 1, each_us: 1e6 / rows },
    };
    Ok(Bound { parts, sql_tps: pgbench(url, include_str!("../sql/transfer.sql"), clients, seconds)? })
}

/// Transactions per second of a script.
fn pgbench(url: &str, script: &str, clients: usize, seconds: u32) -> Result<f64, TransferError> {
    let (clients, seconds) = (clients.to_string(), seconds.to_string());
    let arguments = ["-n", "-M", "prepared", "-f", "/dev/stdin", "-c", &clients, "-j", "2", "-T", &seconds, url];
    let printed = run("pgbench", &arguments, script)?;
    let tps = printed.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.ok_or_else(|| TransferError::Program { program: "pgbench", why: format!("it says no tps: {printed}") })
}

/// Runs one of PostgreSQL's programs with an input; what it printed.
fn run(program: &'static str, arguments: &[&str], input: &str) -> Result<String, TransferError> {
    let failed = |why: String| TransferError::Program { program, why };
    let mut file = tempfile::tempfile().map_err(|error| failed(error.to_string()))?;
    file.write_all(input.as_bytes()).map_err(|error| failed(error.to_string()))?;
    std::io::Seek::rewind(&mut file).map_err(|error| failed(error.to_string()))?;
    let output = Command::new(testkit::binary(program)).args(arguments).stdin(file).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
