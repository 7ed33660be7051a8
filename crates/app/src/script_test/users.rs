//! Users of a participant.

use super::live::LiveLedger;
use base::{PartyId, UserId};
use canton_proto::com::daml::ledger::api::v2::admin::{
    self as api, CreateUserRequest, DeleteUserRequest, GetUserRequest, GrantUserRightsRequest, ListUserRightsRequest,
    ListUsersRequest, RevokeUserRightsRequest, Right,
    right::{CanActAs, CanReadAs, CanReadAsAnyParty, Kind, ParticipantAdmin},
    user_management_service_client::UserManagementServiceClient,
};
use rpc::Authorized;
use rpc::RpcError;
use script::{LedgerError, User, UserRight};
use std::{collections::BTreeSet, future::Future};
use tonic::{Code, Response, Status};

fn message(right: &UserRight) -> Right {
    let kind = match right {
        UserRight::ParticipantAdmin => Kind::ParticipantAdmin(ParticipantAdmin {}),
        UserRight::CanActAs(party) => Kind::CanActAs(CanActAs { party: party.to_string() }),
        UserRight::CanReadAs(party) => Kind::CanReadAs(CanReadAs { party: party.to_string() }),
        UserRight::CanReadAsAnyParty => Kind::CanReadAsAnyParty(CanReadAsAnyParty {}),
    };
    Right { kind: Some(kind) }
}

/// The right of a message; nothing for those that scripts do not know.
fn right(message: &Right) -> Option<UserRight> {
    match message.kind.as_ref()? {
        Kind::ParticipantAdmin(_) => Some(UserRight::ParticipantAdmin),
        Kind::CanActAs(right) => Some(UserRight::CanActAs(PartyId::new(&right.party).ok()?)),
        Kind::CanReadAs(right) => Some(UserRight::CanReadAs(PartyId::new(&right.party).ok()?)),
        Kind::CanReadAsAnyParty(_) => Some(UserRight::CanReadAsAnyParty),
        _ => None,
    }
}

fn user(message: &api::User) -> Result<User, LedgerError> {
    let primary = Some(&message.primary_party).filter(|party| !party.is_empty());
    Ok(User { id: UserId::new(&message.id)?, primary_party: primary.map(PartyId::new).transpose()? })
}

impl LiveLedger {
    fn client(&self) -> UserManagementServiceClient<Authorized> {
        UserManagementServiceClient::new(self.channel.clone())
    }

    /// An answer; `None` where the participant answers with this code.
    fn unless<T>(
        &self,
        code: Code,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<Option<T>, LedgerError> {
        match self.runtime().block_on(call) {
            Ok(answer) => Ok(Some(answer.into_inner())),
            Err(status) if status.code() == code => Ok(None),
            Err(status) => Err(LedgerError::Refused(RpcError::from(status).message)),
        }
    }

    pub(super) fn new_user(&self, user: &User, rights: &BTreeSet<UserRight>) -> Result<bool, LedgerError> {
        let primary_party = user.primary_party.as_ref().map(ToString::to_string).unwrap_or_default();
        let user = api::User { id: user.id.to_string(), primary_party, ..api::User::default() };
        let request = CreateUserRequest { user: Some(user), rights: rights.iter().map(message).collect() };
        Ok(self.unless(Code::AlreadyExists, self.client().create_user(request))?.is_some())
    }

    pub(super) fn find_user(&self, id: &UserId) -> Result<Option<User>, LedgerError> {
        let request = GetUserRequest { user_id: id.to_string(), ..GetUserRequest::default() };
        let found = self.unless(Code::NotFound, self.client().get_user(request))?;
        found.and_then(|answer| answer.user).as_ref().map(user).transpose()
    }

    pub(super) fn remove_user(&self, id: &UserId) -> Result<bool, LedgerError> {
        let request = DeleteUserRequest { user_id: id.to_string(), ..DeleteUserRequest::default() };
        Ok(self.unless(Code::NotFound, self.client().delete_user(request))?.is_some())
    }

    pub(super) fn all_users(&self) -> Result<Vec<User>, LedgerError> {
        let mut all = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListUsersRequest { page_token, ..ListUsersRequest::default() };
            let answer = self.call(self.client().list_users(request))?;
            for found in &answer.users {
                all.push(user(found)?);
            }
            if answer.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = answer.next_page_token;
        }
    }

    pub(super) fn give_rights(&self, id: &UserId, rights: &[UserRight]) -> Result<Option<Vec<UserRight>>, LedgerError> {
        let (user_id, rights) = (id.to_string(), rights.iter().map(message).collect());
        let request = GrantUserRightsRequest { user_id, rights, ..GrantUserRightsRequest::default() };
        let answer = self.unless(Code::NotFound, self.client().grant_user_rights(request))?;
        Ok(answer.map(|answer| answer.newly_granted_rights.iter().filter_map(right).collect()))
    }

    pub(super) fn take_rights(&self, id: &UserId, rights: &[UserRight]) -> Result<Option<Vec<UserRight>>, LedgerError> {
        let (user_id, rights) = (id.to_string(), rights.iter().map(message).collect());
        let request = RevokeUserRightsRequest { user_id, rights, ..RevokeUserRightsRequest::default() };
        let answer = self.unless(Code::NotFound, self.client().revoke_user_rights(request))?;
        Ok(answer.map(|answer| answer.newly_revoked_rights.iter().filter_map(right).collect()))
    }

    pub(super) fn rights_of(&self, id: &UserId) -> Result<Option<Vec<UserRight>>, LedgerError> {
        let request = ListUserRightsRequest { user_id: id.to_string(), ..ListUserRightsRequest::default() };
        let answer = self.unless(Code::NotFound, self.client().list_user_rights(request))?;
        Ok(answer.map(|answer| answer.rights.iter().filter_map(right).collect()))
    }
}
