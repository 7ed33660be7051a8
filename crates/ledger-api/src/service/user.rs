//! `UserManagementService`.

use crate::{
    ApiError, LedgerApi,
    route::{forwarded, is_forwarded},
};
use base::{PartyId, UserId};
use canton_proto::com::daml::ledger::api::v2::admin::{
    CreateUserRequest, CreateUserResponse, DeleteUserRequest, DeleteUserResponse, GetUserRequest, GetUserResponse,
    GrantUserRightsRequest, GrantUserRightsResponse, ListUserRightsRequest, ListUserRightsResponse, ListUsersRequest,
    ListUsersResponse, RevokeUserRightsRequest, RevokeUserRightsResponse, Right, UpdateUserIdentityProviderIdRequest,
    UpdateUserIdentityProviderIdResponse, UpdateUserRequest, UpdateUserResponse, User, right,
    user_management_service_client::UserManagementServiceClient, user_management_service_server::UserManagementService,
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

    /// Changes a user's rights where this replica is active; gives those that were really changed.
    async fn change_rights(
        &self,
        id: &str,
        change: impl Fn(&mut BTreeSet<ledger::Right>) -> Vec<ledger::Right>,
        writes: &dyn crate::Writes,
    ) -> Result<Vec<Right>, crate::Refusal> {
        let mut user = self.known_user(id).await.map_err(|e| Box::new(e) as crate::Refusal)?;
        let mut rights: BTreeSet<_> = user.rights.into_iter().collect();
        let changed = change(&mut rights);
        user.rights = rights.into_iter().collect();
        writes.put_user(user, false).await?;
        Ok(changed.iter().map(show_right).collect())
    }
}

#[tonic::async_trait]
impl UserManagementService for LedgerApi {
    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<CreateUserResponse>, Status> {
        let passed_on = is_forwarded(&request);
        let message = request.into_inner();
        let mut user = read_user(message.user.as_ref())?;
        user.rights = read_rights(&message.rights)?.into_iter().collect();
        let here = |writes: std::sync::Arc<dyn crate::Writes>| {
            let user = user.clone();
            async move { writes.put_user(user, true).await }
        };
        let there = |channel| {
            let request = forwarded(message.clone());
            async move { UserManagementServiceClient::new(channel).create_user(request).await.map(|_| ()) }
        };
        self.router.run(passed_on, false, here, there).await?;
        Ok(Response::new(CreateUserResponse { user: Some(show(&user)) }))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<GetUserResponse>, Status> {
        let user = self.known_user(&request.into_inner().user_id).await?;
        Ok(Response::new(GetUserResponse { user: Some(show(&user)) }))
    }

    async fn update_user(&self, _: Request<UpdateUserRequest>) -> Result<Response<UpdateUserResponse>, Status> {
        Err(rpc::unimplemented("UserManagementService/UpdateUser"))
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<DeleteUserResponse>, Status> {
        let passed_on = is_forwarded(&request);
        let message = request.into_inner();
        let id = self.known_user(&message.user_id).await?.id;
        let here = |writes: std::sync::Arc<dyn crate::Writes>| {
            let id = id.clone();
            async move { writes.delete_user(id).await }
        };
        let there = |channel| {
            let request = forwarded(message.clone());
            async move { UserManagementServiceClient::new(channel).delete_user(request).await.map(|_| ()) }
        };
        self.router.run(passed_on, false, here, there).await?;
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
        let passed_on = is_forwarded(&request);
        let message = request.into_inner();
        let granted = read_rights(&message.rights)?;
        let here = |writes: std::sync::Arc<dyn crate::Writes>| {
            let granted = &granted;
            let id = &message.user_id;
            async move {
                let add = |rights: &mut BTreeSet<_>| {
                    granted.iter().filter(|r| rights.insert((*r).clone())).cloned().collect()
                };
                self.change_rights(id, add, writes.as_ref()).await
            }
        };
        let there = |channel| {
            let request = forwarded(message.clone());
            async move {
                let answer = UserManagementServiceClient::new(channel).grant_user_rights(request).await?;
                Ok(answer.into_inner().newly_granted_rights)
            }
        };
        let newly_granted_rights = self.router.run(passed_on, false, here, there).await?;
        Ok(Response::new(GrantUserRightsResponse { newly_granted_rights }))
    }

    async fn revoke_user_rights(
        &self,
        request: Request<RevokeUserRightsRequest>,
    ) -> Result<Response<RevokeUserRightsResponse>, Status> {
        let passed_on = is_forwarded(&request);
        let message = request.into_inner();
        let revoked = read_rights(&message.rights)?;
        let here = |writes: std::sync::Arc<dyn crate::Writes>| {
            let revoked = &revoked;
            let id = &message.user_id;
            async move {
                let take = |rights: &mut BTreeSet<_>| revoked.iter().filter(|r| rights.remove(*r)).cloned().collect();
                self.change_rights(id, take, writes.as_ref()).await
            }
        };
        let there = |channel| {
            let request = forwarded(message.clone());
            async move {
                let answer = UserManagementServiceClient::new(channel).revoke_user_rights(request).await?;
                Ok(answer.into_inner().newly_revoked_rights)
            }
        };
        let newly_revoked_rights = self.router.run(passed_on, false, here, there).await?;
        Ok(Response::new(RevokeUserRightsResponse { newly_revoked_rights }))
    }

    async fn list_user_rights(
        &self,
        request: Request<ListUserRightsRequest>,
    ) -> Result<Response<ListUserRightsResponse>, Status> {
        let user = self.known_user(&request.into_inner().user_id).await?;
        Ok(Response::new(ListUserRightsResponse { rights: user.rights.iter().map(show_right).collect() }))
    }

    async fn update_user_identity_provider_id(
        &self,
        _: Request<UpdateUserIdentityProviderIdRequest>,
    ) -> Result<Response<UpdateUserIdentityProviderIdResponse>, Status> {
        Err(rpc::unimplemented("UserManagementService/UpdateUserIdentityProviderId"))
    }
}
