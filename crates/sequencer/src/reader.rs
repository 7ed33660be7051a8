//! Reading one member's events in order: from the tail's memory where possible, from the database otherwise.

use crate::{
    store,
    tail::{Tail, TailEvent},
};
use ::store::{Db, Result};
use base::{MemberId, Timestamp};
use sequencer_core::MemberNumber;
use std::sync::Arc;

/// Events of one read for a reader that lags.
const READ_LIMIT: u32 = 200;

/// A place in one member's stream.
pub(crate) struct Reader {
    pub(crate) db: Db,
    pub(crate) tail: Tail,
    pub(crate) member: MemberId,
    pub(crate) number: MemberNumber,
    /// Everything up to here has been read.
    pub(crate) cursor: Timestamp,
}

impl Reader {
    /// The next events up to `bound`, perhaps not all of them: the cursor says how far it came.
    pub(crate) async fn next(&mut self, bound: Timestamp) -> Result<Vec<Arc<TailEvent>>> {
        if let Some(mut events) = self.tail.read(self.cursor, bound) {
            events.retain(|e| e.members.contains(&self.member));
            self.cursor = bound;
            return Ok(events);
        }
        let events = store::by_member(&self.db, self.number, self.cursor, bound, READ_LIMIT).await?;
        let is_all = events.len() < READ_LIMIT as usize;
        let last = events.last().map(|e| e.timestamp);
        self.cursor = if is_all { bound } else { last.unwrap_or(bound) };
        Ok(events.into_iter().map(|stored| Arc::new(TailEvent::new(stored))).collect())
    }
}
