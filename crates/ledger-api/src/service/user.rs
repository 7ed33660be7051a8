//! `UserManagementService`.

use crate::{ApiError, LedgerApi, error::refused};
use base::{PartyId, UserId};
use canton_proto::com::daml::ledger::api::v2::admin::{
    CreateUserRequest, CreateUserResponse, DeleteUserRequest, DeleteUserResponse, GetUserRequest, GetUserResponse,
    GrantUserRightsRequest, GrantUserRightsResponse, ListUserRightsRequest, ListUserRightsResponse, ListUsersRequest,
    ListUsersResponse, RevokeUserRightsRequest, RevokeUserRightsResponse, Right, UpdateUserIdentityProviderIdRequest,
    UpdateUserIdentityProviderIdResponse, UpdateUserRequest, UpdateUserResponse, User, right,
    user_management_service_server::UserManagementService,
};
use std::collections::BTreeSet;
use tonic::{Request, Response, Status};

fn user_id(text: &str) -> Result<UserId, ApiError> {
    UserId::new(text).map_err(ApiError::id("user_id"))
}

fn show(user: &ledger::User) -> User {
    User {
        id: user.id.to_string(),
        primary_party: user.primary_party.as_ref().map(ToString::to_string).unwrap_or_default(),
        is_deactivated: user.is_deactivated,
        ..User::default()
    }
}

fn show_right(right: &ledger::Right) -> Right {
    use right::Kind;
    let kind = match right {
        ledger::Right::ParticipantAdmin => Kind::ParticipantAdmin(right::ParticipantAdmin {}),
        ledger::Right::ActAs(party) => Kind::CanActAs(right::CanActAs { party: party.to_string() }),
        ledger::Right::ReadAs(party) => Kind::CanReadAs(right::CanReadAs { party: party.to_string() }),
        ledger::Right::ReadAsAnyParty => Kind::CanReadAsAnyParty(right::CanReadAsAnyParty {}),
    };
    Right { kind: Some(kind) }
}

fn read_rights(rights: &[Right]) -> Result<BTreeSet<ledger::Right>, ApiError> {
    use right::Kind;
    let party = |text: &str| PartyId::new(text).map_err(ApiError::id("rights"));
    rights
        .iter()
        .map(|right| match right.kind.as_ref().ok_or(ApiError::Missing("rights.kind"))? {
            Kind::ParticipantAdmin(_) => Ok(ledger::Right::ParticipantAdmin),
            Kind::CanActAs(r) => Ok(ledger::Right::ActAs(party(&r.party)?)),
            Kind::CanReadAs(r) => Ok(ledger::Right::ReadAs(party(&r.party)?)),
            Kind::CanReadAsAnyParty(_) => Ok(ledger::Right::ReadAsAnyParty),
            _ => Err(ApiError::Unsupported("this kind of right")),
        })
        .collect()
}

fn read_user(user: Option<&User>) -> Result<ledger::User, ApiError> {
    let user = user.ok_or(ApiError::Missing("user"))?;
    let primary = Some(&user.primary_party).filter(|party| !party.is_empty());
    Ok(ledger::User {
        id: user_id(&user.id)?,
        primary_party: primary.map(PartyId::new).transpose().map_err(ApiError::id("primary_party"))?,
        is_deactivated: user.is_deactivated,
        rights: Vec::new(),
    })
}

impl LedgerApi {
    async fn known_user(&self, id: &str) -> Result<ledger::User, ApiError> {
        let id = user_id(id)?;
        self.ledger.user(&id).await?.ok_or_else(|| ApiError::NoUser(id.to_string()))
    }

    /// Changes a user's rights; gives those that were really changed.
    async fn change_rights(
        &self,
        id: &str,
        change: impl FnOnce(&mut BTreeSet<ledger::Right>) -> Vec<ledger::Right>,
    ) -> Result<Vec<Right>, Status> {
        let mut user = self.known_user(id).await?;
        let mut rights: BTreeSet<_> = user.rights.into_iter().collect();
        let changed = change(&mut rights);
        user.rights = rights.into_iter().collect();
        self.writes.put_user(user, false).await.map_err(refused)?;
        Ok(changed.iter().map(show_right).collect())
    }
}

#[tonic::async_trait]
impl UserManagementService for LedgerApi {
    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<CreateUserResponse>, Status> {
        let message = request.into_inner();
        let mut user = read_user(message.user.as_ref())?;
        user.rights = read_rights(&message.rights)?.into_iter().collect();
        self.writes.put_user(user.clone(), true).await.map_err(refused)?;
        Ok(Response::new(CreateUserResponse { user: Some(show(&user)) }))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<GetUserResponse>, Status> {
        let access = Self::access(&request)?;
        let user = self.known_user(&access.user_or_admin(request.into_inner().user_id)?).await?;
        Ok(Response::new(GetUserResponse { user: Some(show(&user)) }))
    }

    async fn update_user(&self, _: Request<UpdateUserRequest>) -> Result<Response<UpdateUserResponse>, Status> {
        Err(rpc::unimplemented("UserManagementService/UpdateUser"))
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<DeleteUserResponse>, Status> {
        let id = self.known_user(&request.into_inner().user_id).await?.id;
        self.writes.delete_user(id).await.map_err(refused)?;
        Ok(Response::new(DeleteUserResponse {}))
    }

    async fn list_users(&self, _: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        let users = self.ledger.users().await.map_err(ApiError::from)?;
        Ok(Response::new(ListUsersResponse { users: users.iter().map(show).collect(), next_page_token: String::new() }))
    }

    async fn grant_user_rights(
        &self,
        request: Request<GrantUserRightsRequest>,
    ) -> Result<Response<GrantUserRightsResponse>, Status> {
        let message = request.into_inner();
        let granted = read_rights(&message.rights)?;
        let add = |rights: &mut BTreeSet<_>| granted.into_iter().filter(|right| rights.insert(right.clone())).collect();
        let newly_granted_rights = self.change_rights(&message.user_id, add).await?;
        Ok(Response::new(GrantUserRightsResponse { newly_granted_rights }))
    }

    async fn revoke_user_rights(
        &self,
        request: Request<RevokeUserRightsRequest>,
    ) -> Result<Response<RevokeUserRightsResponse>, Status> {
        let message = request.into_inner();
        let revoked = read_rights(&message.rights)?;
        let take = |rights: &mut BTreeSet<_>| revoked.into_iter().filter(|right| rights.remove(right)).collect();
        let newly_revoked_rights = self.change_rights(&message.user_id, take).await?;
        Ok(Response::new(RevokeUserRightsResponse { newly_revoked_rights }))
    }

    async fn list_user_rights(
        &self,
        request: Request<ListUserRightsRequest>,
    ) -> Result<Response<ListUserRightsResponse>, Status> {
        let access = Self::access(&request)?;
        let user = self.known_user(&access.user_or_admin(request.into_inner().user_id)?).await?;
        Ok(Response::new(ListUserRightsResponse { rights: user.rights.iter().map(show_right).collect() }))
    }

    async fn update_user_identity_provider_id(
        &self,
        _: Request<UpdateUserIdentityProviderIdRequest>,
    ) -> Result<Response<UpdateUserIdentityProviderIdResponse>, Status> {
        Err(rpc::unimplemented("UserManagementService/UpdateUserIdentityProviderId"))
    }
}
