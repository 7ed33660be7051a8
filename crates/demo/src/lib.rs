//! A whole highly available network on this machine, under load, while things happen to its processes. The binary enters
//! for `concordat demo`, the proofs for longer runs with more faults.
//!
//! `layout.rs` processes and their configuration files · `process.rs` starting, killing, pausing · `proxy.rs` connections that can be cut · `admin.rs` bringing the
//! network up · `workload.rs`, `load.rs` clients · `fault.rs` what can happen · `history.rs` what was seen · `observe.rs`
//! reading everything to its end · `report.rs` what came of it · `network.rs` all of that together.
//!
//! What is absent here: anything of the nodes. This room sees them as their clients and operators do.

mod admin;
mod fault;
mod history;
mod layout;
mod load;
mod network;
mod observe;
mod process;
mod proxy;
mod report;
mod workload;

pub use admin::{AdminError, Founding, found, hand_over, status};
pub use fault::{Database, Fault};
pub use history::{History, Injected, Inner};
pub use layout::{Kind, PostgresUrl, Process};
pub use load::{Load, Side};
pub use network::{DemoError, Network, Options, headless};

/// Clients that submit at the same time where nobody says otherwise.
pub const CLIENTS: usize = 16;
pub use observe::ObserveError;
pub use report::{Latency, Report, Times, last_failover, worst_outage};
