//! gRPC between nodes and towards clients: servers, channels, TLS, generated service stubs.
//!
//! The only place where an error of ours becomes a [`tonic::Status`] ([`status`]), and where a status that came
//! from a peer becomes an error of ours ([`RpcError`]); calls find the active replica here ([`Router`]). Rooms from the frame upwards enter; business logic does not.

mod channel;
mod route;
mod server;
mod status;
mod tls;

pub use channel::{Authorized, Bearer, ChannelConfig, Endpoints, connect_lazy};
pub use route::{Active, FORWARDED, PassOn, Repeat, Router, forwarded, is_forwarded};
pub use server::{Bound, HealthReporter, Listen, MAX_DECODING_BYTES, Port, ServeError, ServerConfig, Services};
pub use status::{CorrelationId, RpcError, status, unimplemented};
pub use tls::{ClientAuth, ClientTls, ServerTls, TlsError, public_key_of};

/// Service stubs, by package, over the messages of `wire`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated; the documentation stands in the .proto files"
)]
pub mod services {
    include!(concat!(env!("OUT_DIR"), "/mod.rs"));
}

/// The encoded descriptors of the Ledger API v2, for reflection.
pub const LEDGER_API_V2_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ledger_api_v2.bin"));
