//! The door before the services.

use super::{
    claims::{Access, Rights},
    token::{AuthService, Subject, Token, Tokens, verify},
};
use crate::{ApiError, LedgerApi, stream::Responses};
use crypto::equal_in_constant_time;
use futures::{
    FutureExt as _,
    future::BoxFuture,
    stream::{self, StreamExt as _},
};
use ledger::Right;
use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tonic::{
    Request, Status,
    body::Body,
    codegen::{Service, http},
    metadata::{Ascii, MetadataValue},
    server::NamedService,
};

/// How callers are let in. Cheap to clone.
#[derive(Clone)]
pub struct Guard(Arc<Ways>);

struct Ways {
    services: Vec<AuthService>,
    admin_token: Option<String>,
}

impl Guard {
    /// By the first of these services that takes their token; by this token, with all rights, too. Everybody where there is
    /// no service.
    #[must_use]
    pub fn new(services: Vec<AuthService>, admin_token: Option<String>) -> Self {
        Self(Arc::new(Ways { services, admin_token }))
    }

    fn is_open(&self) -> bool {
        let is_wildcard = |service: &AuthService| matches!(service.tokens, Tokens::Wildcard);
        self.0.services.is_empty() || self.0.services.iter().any(is_wildcard)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.0.services).finish()
    }
}

/// The user that administers a new participant.
const FIRST_USER: &str = "participant_admin";
/// How often the rights behind a running stream are looked at: as long as the field keeps them.
const RECHECK: Duration = Duration::from_secs(5);

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// What a caller showed, to be passed on in its name.
pub(crate) fn bearer<T>(request: &Request<T>) -> Option<MetadataValue<Ascii>> {
    request.metadata().get(http::header::AUTHORIZATION.as_str()).cloned()
}

impl LedgerApi {
    /// What the caller may do whose call brings these headers.
    async fn admit(&self, headers: &http::HeaderMap) -> Result<Access, ApiError> {
        if self.guard.is_open() {
            return Ok(Access::everything());
        }
        let missing = || ApiError::Unauthenticated("it brings no bearer token".into());
        let mut all = headers.get_all(http::header::AUTHORIZATION).iter();
        let (Some(header), None) = (all.next(), all.next()) else { return Err(missing()) };
        let text = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).ok_or_else(missing)?;
        let is_admin_token = |token: &String| equal_in_constant_time(token.as_bytes(), text.as_bytes());
        if self.guard.0.admin_token.as_ref().is_some_and(is_admin_token) {
            return Ok(Access::everything());
        }
        let participant = self.writes.participant();
        let mut refusals = Vec::new();
        for service in &self.guard.0.services {
            let Tokens::Key(key) = &service.tokens else { continue };
            match verify(text, key, service, participant.as_ref(), now()) {
                Ok(token) => return self.access_of(token).await,
                Err(error) => refusals.push(format!("{}: {error}", key.algorithm())),
            }
        }
        Err(ApiError::Unauthenticated(format!("its token is not taken ({})", refusals.join("; "))))
    }

    async fn access_of(&self, token: Token) -> Result<Access, ApiError> {
        let expires = Some(token.expires);
        let user = match token.subject {
            Subject::Claims(user, rights) => {
                return Ok(Access { user, rights: Rights::These(Arc::new(rights)), expires, is_of_user: false });
            }
            Subject::User(user) => user,
        };
        let rights = match self.ledger.user(&user).await? {
            Some(known) if known.is_deactivated => return Err(ApiError::Denied(format!("user {user} is deactivated"))),
            Some(known) => known.rights.into_iter().collect(),
            // Somebody must be able to make the others.
            None if user.as_str() == FIRST_USER => [Right::ParticipantAdmin].into(),
            None => return Err(ApiError::Denied(format!("user {user} does not exist"))),
        };
        Ok(Access { user: Some(user), rights: Rights::These(Arc::new(rights)), expires, is_of_user: true })
    }

    /// The caller's access to a method that decides by the request.
    pub(crate) fn access<T>(request: &Request<T>) -> Result<Access, ApiError> {
        let found = request.extensions().get::<Access>().cloned();
        found.ok_or_else(|| ApiError::Unauthenticated("nobody has checked who calls".into()))
    }

    /// A stream that ends when the token expires, or when its user may no longer do the same.
    pub(crate) fn as_long_as<T: Send + 'static>(&self, access: Access, stream: Responses<T>) -> Responses<T> {
        if access.expires.is_none() {
            return stream;
        }
        let api = self.clone();
        let end = async move { Err(api.end_of(&access).await.into()) }.into_stream();
        let mut ended = false;
        let both = stream::select(stream.map(Some).chain(stream::iter([None])), end.boxed().map(Some));
        Box::pin(
            both.take_while(move |message| {
                let goes_on = !ended && message.is_some();
                ended |= matches!(message, Some(Err(_)));
                futures::future::ready(goes_on)
            })
            .filter_map(futures::future::ready),
        )
    }

    /// Why access ends, when it does.
    async fn end_of(&self, access: &Access) -> ApiError {
        loop {
            let left = access.expires.map_or(i64::MAX, |expires| expires - now());
            let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else {
                return ApiError::Unauthenticated("the token has expired".into());
            };
            tokio::time::sleep(RECHECK.min(Duration::from_secs(left))).await;
            let Some(user) = access.user.as_ref().filter(|_| access.is_of_user) else { continue };
            let token = Token { subject: Subject::User(user.clone()), expires: access.expires.unwrap_or(i64::MAX) };
            match self.access_of(token).await {
                Ok(now) if now.rights == access.rights => {}
                Ok(_) => return ApiError::Denied(format!("the rights of user {user} have changed")),
                Err(error @ ApiError::Denied(_)) => return error,
                // Whoever cannot be asked has not refused.
                Err(_) => {}
            }
        }
    }
}

/// Whether a method is for everybody with a valid token, or asks for rights itself, by its request. All others are for
/// administrators.
fn is_for_all(service: &str, method: &str) -> bool {
    match service.rsplit('.').next().unwrap_or_default() {
        "VersionService" | "PackageService" => true,
        "CommandService" | "CommandSubmissionService" | "CommandCompletionService" | "UpdateService" => true,
        "StateService" => true,
        "PartyManagementService" => method == "GetParticipantId",
        "UserManagementService" => matches!(method, "GetUser" | "ListUserRights"),
        _ => false,
    }
}

/// A service that is called only by whom the guard lets in.
#[derive(Clone)]
pub(crate) struct Guarded<S> {
    inner: S,
    api: LedgerApi,
}

impl<S> Guarded<S> {
    pub(crate) fn new(inner: S, api: &LedgerApi) -> Self {
        Self { inner, api: api.clone() }
    }
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Guarded<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(())) // as all generated servers are
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let (mut inner, api) = (self.inner.clone(), self.api.clone());
        async move {
            let method = request.uri().path().rsplit('/').next().unwrap_or_default();
            let for_all = is_for_all(S::NAME, method);
            let admitted = api.admit(request.headers()).await;
            let admitted =
                admitted.and_then(|access| if for_all { Ok(access) } else { access.admin().map(|()| access) });
            match admitted {
                Ok(access) => {
                    request.extensions_mut().insert(access);
                    inner.call(request).await
                }
                Err(error) => Ok(Status::from(error).into_http()),
            }
        }
        .boxed()
    }
}
