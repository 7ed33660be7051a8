//! Sizes and depths that are bounded before memory is taken. Each constant names what it bounds.

/// Bytes of one gRPC message, and default of the synchronizer's `maxRequestSize` (spec/protocol.md §6.6).
pub const MAX_MESSAGE_BYTES: usize = 10 * 1024 * 1024;
/// Nesting of a Daml value or transaction (spec/daml-lf.md §3.5, VALUE_NESTING).
pub const MAX_VALUE_DEPTH: usize = 100;
/// Characters of a Daml party (spec/daml-lf.md §3.3).
pub const MAX_PARTY_CHARS: usize = 255;
/// Characters of a Daml-LF name or dotted name.
pub const MAX_NAME_CHARS: usize = 1000;
/// Characters of a package name or version.
pub const MAX_PACKAGE_NAME_CHARS: usize = 255;
/// Characters of command, submission, workflow and user ids.
pub const MAX_LEDGER_STRING_CHARS: usize = 255;
/// Characters of the name part of a unique identifier (spec/protocol.md §6.1).
pub const MAX_UID_NAME_CHARS: usize = 185;
/// Bytes of a contract id: one version byte, 32 discriminator, 94 suffix (spec/daml-lf.md §3.5).
pub const MAX_CONTRACT_ID_BYTES: usize = 127;
/// Bytes that all entries of one DAR may inflate to.
pub const MAX_DAR_INFLATED_BYTES: u64 = 256 * 1024 * 1024;
/// Entries of one DAR.
pub const MAX_DAR_ENTRIES: usize = 10_000;
/// Inflated bytes per packed byte of one DAR entry.
pub const MAX_DAR_RATIO: u64 = 200;
