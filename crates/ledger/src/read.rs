//! Reading, and waiting for more.

use crate::{
    model::{ActiveContract, Completion, Entry, PackageInfo, Party, Update, User},
    store,
};
use ::store::{Db, Listener, Result};
use base::{PackageId, UpdateId, UserId};
use bytes::Bytes;

/// Told after entries were written.
const CHANNEL: &str = "ledger_end";

/// The ledger of one participant, as any of its replicas reads it. Cheap to clone. Every answer comes from the database
/// in one statement, never from a cache.
#[derive(Debug, Clone)]
pub struct Ledger {
    db: Db,
}

impl Ledger {
    /// Over the participant's database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Tells all replicas that entries were written. To be called after the commit.
    pub fn written(&self) {
        self.db.notify(CHANNEL);
    }

    /// Waits for [`Ledger::written`].
    #[must_use]
    pub fn listen(&self) -> Listener {
        self.db.listen(CHANNEL)
    }

    /// The offset of the last entry; 0 for an empty ledger.
    pub async fn end(&self) -> Result<i64> {
        store::end(&self.db).await
    }

    /// At most `limit` updates with offsets above `after` and up to `up_to`, in order.
    pub async fn updates(&self, after: i64, up_to: i64, limit: u32) -> Result<Vec<Entry<Update>>> {
        store::updates(&self.db, after, up_to, limit).await
    }

    /// The update of this id.
    pub async fn update_by_id(&self, id: &UpdateId) -> Result<Option<Entry<Update>>> {
        store::update_by_id(&self.db, id).await
    }

    /// The update at this offset.
    pub async fn update_at(&self, offset: i64) -> Result<Option<Entry<Update>>> {
        Ok(self.updates(offset - 1, offset, 1).await?.pop())
    }

    /// At most `limit` completions with offsets above `after` and up to `up_to`, in order.
    pub async fn completions(&self, after: i64, up_to: i64, limit: u32) -> Result<Vec<Entry<Completion>>> {
        store::completions(&self.db, after, up_to, limit).await
    }

    /// The completions of a command id above an offset.
    pub async fn completions_of(&self, command: &str, after: i64) -> Result<Vec<Entry<Completion>>> {
        store::completions_of(&self.db, command, after).await
    }

    /// The last completions, the newest first, of commands whose ids begin like this; all, or those that took effect, or those
    /// that did not.
    pub async fn last_completions(
        &self,
        prefix: &str,
        accepted: Option<bool>,
        limit: u32,
    ) -> Result<Vec<Entry<Completion>>> {
        store::last_completions(&self.db, prefix, accepted, limit).await
    }

    /// At most `limit` contracts that are active at `at`, in the order of their creation, after the one created at
    /// `after` (offset and node).
    pub async fn active_contracts(&self, at: i64, after: (i64, i32), limit: u32) -> Result<Vec<ActiveContract>> {
        store::active(&self.db, at, after, limit).await
    }

    /// All parties known.
    pub async fn parties(&self) -> Result<Vec<Party>> {
        store::parties(&self.db).await
    }

    /// All packages uploaded.
    pub async fn packages(&self) -> Result<Vec<PackageInfo>> {
        store::packages(&self.db).await
    }

    /// The payload of a package.
    pub async fn package(&self, id: &PackageId) -> Result<Option<Bytes>> {
        store::package(&self.db, id).await
    }

    /// All users.
    pub async fn users(&self) -> Result<Vec<User>> {
        store::users(&self.db).await
    }

    /// One user.
    pub async fn user(&self, id: &UserId) -> Result<Option<User>> {
        Ok(self.users().await?.into_iter().find(|user| user.id == *id))
    }
}
