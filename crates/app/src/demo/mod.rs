//! `concordat demo`: a whole highly available network on this machine, under load, while its processes are killed.
//!
//! `layout.rs` processes and their configuration files · `process.rs` starting and killing · `admin.rs` bringing the
//! network up · `workload.rs`, `load.rs` clients · `history.rs` what they saw · `observe.rs` reading everything to its
//! end · `report.rs` what came of it · `network.rs` all of that together · `screen.rs` the live table.

mod admin;
mod history;
mod layout;
mod load;
mod network;
mod observe;
mod process;
mod report;
mod screen;
mod workload;

pub(crate) use layout::PostgresUrl;
pub(crate) use network::{DemoError, Options, headless, interactive};
