//! Messages to values and back. What is read is checked here; what it means for a template is the engine's business.

mod command;
mod event;
mod filter;
mod value;

pub(crate) use command::commands;
pub(crate) use command::parties;
pub use command::{CommandKind, Commands, DeduplicationPeriod, PackageRef, TemplateRef};
pub(crate) use event::{Rejected, active_contract, completion, transaction};
pub(crate) use filter::{EventFilter, Shape, TransactionFilter, transaction_filter, update_filter};
pub(crate) use value::identifier;
pub use value::{message, read};

use base::Timestamp;
use std::time::Duration;

pub(crate) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let (seconds, micros) = (at.micros().div_euclid(1_000_000), at.micros().rem_euclid(1_000_000));
    prost_types::Timestamp { seconds, nanos: i32::try_from(micros * 1000).unwrap_or_default() }
}

pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}
