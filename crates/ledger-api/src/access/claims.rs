//! What a caller may do.

use crate::ApiError;
use base::{PartyId, UserId};
use ledger::Right;
use std::{collections::BTreeSet, sync::Arc};
use transaction::Parties;

/// What a caller may do. Comes with each request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Access {
    /// In whose name it calls; nobody's in particular if absent.
    pub(super) user: Option<UserId>,
    pub(super) rights: Rights,
    /// Until when, in seconds since 1970; for ever if absent.
    pub(super) expires: Option<i64>,
    /// Whether the rights are those of the user, which may change.
    pub(super) is_of_user: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Rights {
    /// Nothing is asked for here, or it is the participant's own token.
    All,
    These(Arc<BTreeSet<Right>>),
}

fn denied(what: impl Into<String>) -> ApiError {
    ApiError::Denied(what.into())
}

impl Access {
    /// May do everything.
    pub(super) fn everything() -> Self {
        Self { user: None, rights: Rights::All, expires: None, is_of_user: false }
    }

    fn has(&self, test: impl Fn(&Right) -> bool) -> bool {
        match &self.rights {
            Rights::All => true,
            Rights::These(rights) => rights.iter().any(test),
        }
    }

    /// The participant is administered.
    pub(crate) fn admin(&self) -> Result<(), ApiError> {
        let may = self.has(|right| *right == Right::ParticipantAdmin);
        may.then_some(()).ok_or_else(|| denied("the caller is no administrator of the participant"))
    }

    /// Something is submitted for these parties.
    pub(crate) fn act_as(&self, parties: &Parties) -> Result<(), ApiError> {
        self.each(parties, "act", |right, party| matches!(right, Right::ActAs(own) if own == party))
    }

    /// What these parties see is shown.
    pub(crate) fn read_as<'a>(&self, parties: impl IntoIterator<Item = &'a PartyId>) -> Result<(), ApiError> {
        self.each(parties, "read", |right, party| match right {
            Right::ActAs(own) | Right::ReadAs(own) => own == party,
            Right::ReadAsAnyParty => true,
            Right::ParticipantAdmin => false,
        })
    }

    fn each<'a>(
        &self,
        parties: impl IntoIterator<Item = &'a PartyId>,
        what: &str,
        allows: impl Fn(&Right, &PartyId) -> bool,
    ) -> Result<(), ApiError> {
        match parties.into_iter().find(|party| !self.has(|right| allows(right, party))) {
            None => Ok(()),
            Some(party) => Err(denied(format!("the caller may not {what} as {party}"))),
        }
    }

    /// What all parties see is shown.
    pub(crate) fn read_as_any_party(&self) -> Result<(), ApiError> {
        let may = self.has(|right| *right == Right::ReadAsAnyParty);
        may.then_some(()).ok_or_else(|| denied("the caller may not read as any party"))
    }

    /// The user of a request that may name one: it must be the caller.
    pub(crate) fn user(&self, named: String) -> Result<String, ApiError> {
        match &self.user {
            Some(user) if named.is_empty() => Ok(user.to_string()),
            Some(user) if named != user.as_str() => Err(denied(format!("the caller is {user}, not {named}"))),
            _ => Ok(named),
        }
    }

    /// A user is looked at: by itself, or by an administrator. Without a name it is the caller.
    pub(crate) fn user_or_admin(&self, named: String) -> Result<String, ApiError> {
        match &self.user {
            Some(user) if named.is_empty() || named == user.as_str() => Ok(user.to_string()),
            _ => self.admin().map(|()| named),
        }
    }
}
