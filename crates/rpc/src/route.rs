//! Calls that only the active replica can answer: here if this is it, else one hop over the wire, marked, never twice.

use crate::{ChannelConfig, CorrelationId, MAX_DECODING_BYTES, RpcError, connect_lazy, status};
use base::{Coded, ErrorCode, codes};
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use http_body_util::{BodyExt as _, Full, Limited};
use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};
use tonic::{
    Code, Request, Status,
    body::Body,
    codegen::{Service, http},
    metadata::MetadataValue,
    server::NamedService,
    transport::Channel,
};

/// Metadata of a call that another replica has passed on.
pub const FORWARDED: &str = "concordat-forwarded";
/// How long a call waits for a replica to become active.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts while the active replica does not answer.
const PAUSE: Duration = Duration::from_millis(20);

/// Where the active replica is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Active {
    /// This one.
    Here,
    /// Another one, whose API is at this URI.
    At(String),
    /// Another one, to which calls are not passed on.
    Elsewhere,
    /// Nobody, as far as is known.
    Nobody,
}

/// Whether a call may be made again when nobody knows if it took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// A second time has no second effect.
    Harmless,
    /// The client is told that the outcome is unknown.
    Never,
}

/// Routes the calls of one API of a replica.
#[derive(Clone)]
pub struct Router {
    active: watch::Receiver<Active>,
    channel: Arc<ChannelConfig>,
    patience: Duration,
}

#[derive(Debug, thiserror::Error)]
#[error("this replica is not active, and no active one can be reached; try again")]
struct NoActive;

impl Coded for NoActive {
    fn code(&self) -> ErrorCode {
        codes::NODE_IS_PASSIVE_REPLICA
    }

    fn definite_answer(&self) -> bool {
        true
    }
}

fn no_active() -> Status {
    status(&NoActive, &CorrelationId::default())
}

/// What became of one attempt.
enum Attempt<T> {
    Done(T),
    Refused(Status),
    /// It certainly had no effect; the next active replica may do better.
    NotTaken,
    /// It may have had an effect.
    Unknown(Status),
}

impl Router {
    /// `active` says where this API is served now; `channel` is how the other replicas are called.
    #[must_use]
    pub fn new(active: watch::Receiver<Active>, channel: ChannelConfig) -> Self {
        Self { active, channel: Arc::new(channel), patience: PATIENCE }
    }

    /// Makes a call at the active replica, and waits a while for one if there is none.
    pub async fn run<T, H, R>(
        &self,
        is_forwarded: bool,
        repeat: Repeat,
        here: impl Fn() -> H,
        there: impl Fn(Channel) -> R,
    ) -> Result<T, Status>
    where
        H: Future<Output = Result<T, Status>>,
        R: Future<Output = Result<T, Status>>,
    {
        let until = Instant::now() + self.patience;
        let mut active = self.active.clone();
        loop {
            let target = active.borrow_and_update().clone();
            let attempt = match target {
                Active::Here => of_here(here().await),
                Active::Nobody => Attempt::NotTaken,
                Active::Elsewhere => return Err(no_active()),
                // One hop is enough: who forwarded to us will look again.
                Active::At(_) if is_forwarded => return Err(no_active()),
                Active::At(uri) => match connect_lazy(&uri, &self.channel) {
                    Ok(channel) => of_there(there(channel).await),
                    Err(_) => Attempt::NotTaken,
                },
            };
            let last = match attempt {
                Attempt::Done(answer) => return Ok(answer),
                Attempt::Refused(status) => return Err(status),
                Attempt::Unknown(status) if repeat == Repeat::Never => return Err(status),
                Attempt::Unknown(status) => status,
                Attempt::NotTaken => no_active(),
            };
            if Instant::now() >= until {
                return Err(last);
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => (),
                changed = active.changed() => if changed.is_err() { return Err(last) },
            }
        }
    }
}

fn was_passive(error: &RpcError) -> bool {
    error.is_definite_answer
        && [codes::NODE_IS_PASSIVE_REPLICA.id, codes::SYNC_SERVICE_BECAME_PASSIVE.id]
            .map(Some)
            .contains(&error.id.as_deref())
}

fn of_here<T>(result: Result<T, Status>) -> Attempt<T> {
    let status = match result {
        Ok(answer) => return Attempt::Done(answer),
        Err(status) => status,
    };
    let error = RpcError::from(status.clone());
    match error.id.as_deref() {
        _ if was_passive(&error) => Attempt::NotTaken,
        Some(id) if id == codes::REQUEST_TIME_OUT.id => Attempt::Unknown(status),
        _ => Attempt::Refused(status),
    }
}

fn of_there<T>(result: Result<T, Status>) -> Attempt<T> {
    let status = match result {
        Ok(answer) => return Attempt::Done(answer),
        Err(status) => status,
    };
    let error = RpcError::from(status.clone());
    match (error.id.as_deref(), status.code()) {
        _ if was_passive(&error) => Attempt::NotTaken,
        // Nothing was sent if the connection never came up.
        (None, Code::Unavailable) if status.message().contains("tcp connect error") => Attempt::NotTaken,
        (_, Code::Unavailable | Code::Cancelled | Code::Unknown | Code::DeadlineExceeded | Code::Internal) => {
            Attempt::Unknown(status)
        }
        _ => Attempt::Refused(status),
    }
}

/// Whether another replica has passed the call on.
#[must_use]
pub fn is_forwarded<T>(request: &Request<T>) -> bool {
    request.metadata().contains_key(FORWARDED)
}

/// A call to be passed on.
#[must_use]
pub fn forwarded<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(FORWARDED, MetadataValue::from_static("1"));
    request
}

/// A generated server whose unary writes reach the active replica. They are passed on as they came, with all of their
/// metadata, so that the active replica judges the caller itself.
#[derive(Clone)]
pub struct PassOn<S> {
    inner: S,
    router: Router,
    writes: fn(&str) -> Option<Repeat>,
}

impl<S> PassOn<S> {
    /// `writes` is asked for the method's name; a method for which it has nothing is always answered here.
    pub fn new(inner: S, router: &Router, writes: fn(&str) -> Option<Repeat>) -> Self {
        Self { inner, router: router.clone(), writes }
    }
}

impl<S: NamedService> NamedService for PassOn<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for PassOn<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(())) // as all generated servers are
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        let Some(repeat) = (self.writes)(method) else { return self.inner.call(request).boxed() };
        let (inner, router) = (self.inner.clone(), self.router.clone());
        async move { Ok(route(inner, router, repeat, request).await.unwrap_or_else(|status| status.into_http())) }
            .boxed()
    }
}

async fn route<S>(
    inner: S,
    router: Router,
    repeat: Repeat,
    request: http::Request<Body>,
) -> Result<http::Response<Body>, Status>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible> + Clone,
{
    let (parts, body) = request.into_parts();
    let too_large = |error| Status::out_of_range(format!("the request cannot be read: {error}"));
    let body = Limited::new(body, MAX_DECODING_BYTES).collect().await.map_err(too_large)?.to_bytes();
    let is_forwarded = parts.headers.contains_key(FORWARDED);
    let here = || {
        let (mut inner, request) = (inner.clone(), with_body(&parts, body.clone()));
        async move {
            let Ok(response) = inner.call(request).await;
            refusal_or(response)
        }
    };
    let there = |mut channel: Channel| {
        let mut request = with_body(&parts, body.clone());
        request.extensions_mut().clear(); // they belong to the connection it came by
        request.headers_mut().insert(FORWARDED, http::HeaderValue::from_static("1"));
        async move {
            let failed = |error: tonic::transport::Error| Status::from_error(error.into());
            poll_fn(|cx| channel.poll_ready(cx)).await.map_err(failed)?;
            refusal_or(channel.call(request).await.map_err(failed)?)
        }
    };
    router.run(is_forwarded, repeat, here, there).await
}

fn with_body(parts: &http::request::Parts, body: Bytes) -> http::Request<Body> {
    http::Request::from_parts(parts.clone(), Body::new(Full::new(body)))
}

/// An error is told by the headers alone: whoever answers a unary call with one sends nothing else.
fn refusal_or(response: http::Response<Body>) -> Result<http::Response<Body>, Status> {
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() != Code::Ok => Err(status),
        _ => Ok(response),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Listen, ServerConfig, Services,
        services::concordat::admin::v1::{
            node_service_client::NodeServiceClient,
            node_service_server::{NodeService, NodeServiceServer},
        },
    };
    use std::sync::Mutex;
    use wire::concordat::admin::v1::{SetPassiveRequest, SetPassiveResponse, StatusRequest, StatusResponse};

    /// Keeps who called, or refuses as a passive replica does.
    #[derive(Default)]
    struct Node {
        is_passive: bool,
        callers: Mutex<Vec<String>>,
    }

    #[tonic::async_trait]
    impl NodeService for Node {
        async fn set_passive(
            &self,
            request: Request<SetPassiveRequest>,
        ) -> Result<tonic::Response<SetPassiveResponse>, Status> {
            let caller = request.metadata().get("authorization").map_or("nobody", |value| value.to_str().unwrap());
            self.callers.lock().unwrap().push(caller.to_owned());
            if self.is_passive {
                return Err(no_active());
            }
            let replica = request.into_inner().node;
            Ok(tonic::Response::new(SetPassiveResponse { replica, ..SetPassiveResponse::default() }))
        }

        async fn status(&self, _: Request<StatusRequest>) -> Result<tonic::Response<StatusResponse>, Status> {
            Ok(tonic::Response::new(StatusResponse::default()))
        }
    }

    /// A replica that is served until the test ends.
    struct Replica {
        node: Arc<Node>,
        active: watch::Sender<Active>,
        uri: String,
        client: NodeServiceClient<Channel>,
    }

    #[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
    async fn replica(is_passive: bool, patience: Duration) -> Replica {
        let node = Arc::new(Node { is_passive, ..Node::default() });
        let active = watch::Sender::new(Active::Nobody);
        let router = Router { patience, ..Router::new(active.subscribe(), ChannelConfig::default()) };
        let writes = |method: &str| (method == "SetPassive").then_some(Repeat::Never);
        let service = PassOn::new(NodeServiceServer::from_arc(node.clone()), &router, writes);
        let listen = Listen { address: "127.0.0.1".into(), port: 0 };
        let bound = Services::new(&[]).unwrap().with(service).bind(&listen).await.unwrap();
        let uri = format!("http://{}", bound.address());
        tokio::spawn(bound.serve(ServerConfig::default(), std::future::pending()));
        let client = NodeServiceClient::new(connect_lazy(&uri, &ChannelConfig::default()).unwrap());
        Replica { node, active, uri, client }
    }

    fn call() -> Request<SetPassiveRequest> {
        let mut request = Request::new(SetPassiveRequest { node: "s".into(), ..SetPassiveRequest::default() });
        request.metadata_mut().insert("authorization", MetadataValue::from_static("Bearer alice"));
        request
    }

    const SHORT: Duration = Duration::from_millis(100);

    #[tokio::test]
    async fn a_call_waits_for_an_active_replica_and_crosses_with_its_callers_identity() {
        let (mut passive, active) = (replica(true, PATIENCE).await, replica(false, PATIENCE).await);
        let mut client = passive.client.clone();
        let becomes_active = async {
            passive.client.status(StatusRequest {}).await.unwrap(); // answered meanwhile
            active.active.send_replace(Active::Here);
            passive.active.send_replace(Active::At(active.uri.clone()));
        };
        let (answer, ()) = tokio::join!(client.set_passive(call()), becomes_active);
        assert_eq!(answer.unwrap().into_inner().replica, "s");
        assert_eq!(*active.node.callers.lock().unwrap(), ["Bearer alice"]);
        assert!(passive.node.callers.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn replicas_that_each_believe_the_other_active_refuse() {
        let (mut one, other) = (replica(true, SHORT).await, replica(true, SHORT).await);
        one.active.send_replace(Active::At(other.uri.clone()));
        other.active.send_replace(Active::At(one.uri.clone()));
        let refused = RpcError::from(one.client.set_passive(call()).await.unwrap_err());
        assert_eq!(refused.id.as_deref(), Some("NODE_IS_PASSIVE_REPLICA"));
        assert!(refused.is_definite_answer);
        for node in [one.node, other.node] {
            assert!(node.callers.lock().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn a_replica_that_was_replaced_unawares_passes_on_once_it_knows() {
        let (mut replaced, active) = (replica(true, PATIENCE).await, replica(false, PATIENCE).await);
        active.active.send_replace(Active::Here);
        replaced.active.send_replace(Active::Here);
        let mut client = replaced.client.clone();
        let learns = async {
            while replaced.node.callers.lock().unwrap().is_empty() {
                replaced.client.status(StatusRequest {}).await.unwrap();
            }
            replaced.active.send_replace(Active::At(active.uri.clone()));
        };
        let (answer, ()) = tokio::join!(client.set_passive(call()), learns);
        answer.unwrap();
        assert_eq!(active.node.callers.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_is_not_passed_on_is_refused_at_once() {
        let mut passive = replica(true, Duration::from_secs(3600)).await;
        passive.active.send_replace(Active::Elsewhere);
        let refused = RpcError::from(passive.client.set_passive(call()).await.unwrap_err());
        assert_eq!(refused.id.as_deref(), Some("NODE_IS_PASSIVE_REPLICA"));
    }
}
