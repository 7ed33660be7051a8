//! Users and their rights.

use super::MemoryLedger;
use crate::{User, UserRight};
use base::UserId;
use std::collections::BTreeSet;

impl MemoryLedger {
    /// Whether there was none of that id.
    pub(super) fn add_user(&mut self, user: User, rights: BTreeSet<UserRight>) -> bool {
        if self.users.contains_key(&user.id) {
            return false;
        }
        self.users.insert(user.id.clone(), (user, rights));
        true
    }

    /// Which of the rights the change has changed; `None` if there is no such user.
    pub(super) fn change_rights(
        &mut self,
        id: &UserId,
        rights: &[UserRight],
        change: impl Fn(&mut BTreeSet<UserRight>, &UserRight) -> bool,
    ) -> Option<Vec<UserRight>> {
        let (_, all) = self.users.get_mut(id)?;
        Some(rights.iter().filter(|right| change(all, right)).cloned().collect())
    }
}
