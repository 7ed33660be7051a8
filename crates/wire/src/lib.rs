//! Protobuf messages that nodes exchange, generated from `proto/` without a `protoc` binary.
//!
//! Data only: a message is checked and given meaning by the room that owns it (`protocol`, `topology`, the
//! sequencer's rooms, admin services). The service stubs over these messages are generated in `rpc`.
//! The Ledger API v2 is not here; it comes from the `canton-proto` crate.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; the documentation stands in the .proto files"
)]

include!(concat!(env!("OUT_DIR"), "/mod.rs"));

/// The encoded `FileDescriptorSet` of every message and service in `proto/`, for reflection and for `rpc`'s build script.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
