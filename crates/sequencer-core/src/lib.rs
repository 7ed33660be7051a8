//! What a sequencer decides. No clock, no database: readings of both come in as arguments.
//!
//! The way of a submission: [`admit`] refuses what must never be sequenced; a [`Sequencing`] gives each admitted one
//! its timestamp and its [`Decision`]; [`safe_bound`] says up to where readers may see; [`event_for`] cuts the event
//! for one member out of what was stored. [`HangJudge`] finds sequencers that stand still.

mod admission;
mod clock;
mod liveness;
mod read;
mod sequence;

pub use admission::{Limits, Refusal, admit};
pub use clock::{SequencingClock, TimestampGenerator};
pub use liveness::{Beat, HangJudge};
pub use read::{StoredEvent, Watermark, event_for, safe_bound};
pub use sequence::{Decision, MemberNumber, Members, Sequencing};
