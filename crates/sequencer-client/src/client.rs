//! Authenticating, sending, acknowledging.

use crate::{
    error::{ClientError, SendError},
    subscription::{self, Keys, Received, SubscriptionError},
};
use base::{MemberId, SynchronizerId, Timestamp, codes::SYNCHRONIZER_IS_NOT_AVAILABLE};
use bytes::Bytes;
use crypto::Signature;
use identity::Identity;
use protocol::sequencing::{Acknowledgement, Signable as _, SignedContent, Submission, authentication_hash};
use rpc::{
    ChannelConfig, ClientTls, Endpoints, MAX_DECODING_BYTES, RpcError,
    services::concordat::sequencer::v1::{
        authentication_service_client::AuthenticationServiceClient, connect_service_client::ConnectServiceClient,
        sequencer_service_client::SequencerServiceClient,
    },
};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tasks::{CrashPoints, Tasks};
use telemetry::Lag;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tonic::{Code, Request, metadata::MetadataValue, transport::Channel};
use topology::{StoredTransaction, TopologyContent, TopologyMessage, TopologyState};
use wire::concordat::sequencer::v1::*;

/// The version of the protocol that this client speaks.
const PROTOCOL_VERSION: u32 = 1;
/// For sequencers to take up their work after the founding.
const BEING_FOUNDED: Duration = Duration::from_secs(10);
/// Pause before all endpoints are tried once more.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// How a client reaches its synchronizer.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// `http://host:port` of every sequencer; the first is preferred.
    pub endpoints: Vec<String>,
    /// For one call at one endpoint.
    pub call_timeout: Duration,
    /// For one submission at all endpoints together.
    pub send_timeout: Duration,
    /// An endpoint that is silent for so long is given up.
    pub silence: Duration,
    /// Told of every event that is received.
    pub lag: Lag,
    /// Whom to trust behind `https://`.
    pub tls: ClientTls,
}

/// The usual timeouts, and no endpoint.
impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            call_timeout: Duration::from_secs(2),
            send_timeout: Duration::from_secs(5),
            silence: Duration::from_secs(1),
            lag: Lag::default(),
            tls: ClientTls::default(),
        }
    }
}

impl ClientConfig {
    /// The usual timeouts.
    #[must_use]
    pub fn new(endpoints: Vec<String>) -> Self {
        Self::default().to(endpoints)
    }

    /// The same for these endpoints.
    #[must_use]
    pub fn to(&self, endpoints: Vec<String>) -> Self {
        Self { endpoints, ..self.clone() }
    }
}

impl ClientConfig {
    /// The same for these endpoints, whose certificates are signed by those of `trust`, PEM, if it is given.
    pub fn reaching(&self, endpoints: Vec<String>, trust: Option<&str>) -> Result<Self, ClientError> {
        if let Some(uri) = endpoints.iter().find(|uri| uri.contains(char::is_whitespace)) {
            return Err(ClientError::Endpoint(uri.clone()));
        }
        let encrypted = endpoints.iter().filter(|uri| uri.starts_with("https://")).count();
        if encrypted != 0 && encrypted != endpoints.len() {
            return Err(ClientError::Mixed);
        }
        let tls = match trust {
            Some(pem) => ClientTls::trusting(pem).map_err(|error| ClientError::Trust(error.to_string()))?,
            None => self.tls.clone(),
        };
        let config = Self { tls, ..self.to(endpoints) };
        self::endpoints(&config)?;
        Ok(config)
    }
}

/// What a sequencer says about its synchronizer before anybody has authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synchronizer {
    /// Which one.
    pub id: SynchronizerId,
    /// Its time as the sequencer knows it; proves nothing.
    pub time: Timestamp,
}

/// Who speaks, with the key to prove it.
#[derive(Debug, Clone)]
pub struct Member {
    /// The member.
    pub id: MemberId,
    /// Its keys.
    pub identity: Identity,
}

/// A member's connection to a synchronizer. Cheap to clone; clones share endpoint and token.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: ClientConfig,
    endpoints: watch::Sender<Endpoints>,
    synchronizer: SynchronizerId,
    member: Member,
    token: Mutex<Option<String>>,
}

fn endpoints(config: &ClientConfig) -> Result<Endpoints, ClientError> {
    let bad = || ClientError::Endpoint(config.endpoints.join(", "));
    let channel = ChannelConfig { tls: config.tls.clone(), ..ChannelConfig::noticing(config.silence) };
    let endpoints = Endpoints::new(&config.endpoints, &channel).map_err(|_| bad())?;
    if endpoints.count() == 0 { Err(bad()) } else { Ok(endpoints) }
}

/// Calls without authentication: asks one endpoint after the other until one answers.
async fn anywhere<T, F: Future<Output = Result<T, tonic::Status>>>(
    config: &ClientConfig,
    call: impl Fn(ConnectServiceClient<Channel>) -> F,
) -> Result<T, ClientError> {
    let endpoints = endpoints(config)?;
    let mut last = ClientError::Endpoint(String::new());
    for _ in 0..endpoints.count() {
        let Some((at, _, channel)) = endpoints.current() else { break };
        match timely(config.call_timeout, call(ConnectServiceClient::new(channel))).await {
            Ok(answer) => return Ok(answer),
            Err(error) => last = error.into(),
        }
        endpoints.failed(at);
    }
    Err(last)
}

pub(crate) async fn timely<T>(
    timeout: Duration,
    call: impl Future<Output = Result<T, tonic::Status>>,
) -> Result<T, RpcError> {
    match tokio::time::timeout(timeout, call).await {
        Ok(result) => result.map_err(RpcError::from),
        Err(_) => Err(RpcError {
            code: Code::DeadlineExceeded,
            id: None,
            message: format!("no answer within {timeout:?}"),
            retry_after: None,
            is_definite_answer: false,
        }),
    }
}

impl Synchronizer {
    /// Asks the endpoints which synchronizer they serve.
    pub async fn at(config: &ClientConfig) -> Result<Self, ClientError> {
        let answer =
            anywhere(config, |mut client| async move { client.get_synchronizer(GetSynchronizerRequest {}).await })
                .await?
                .into_inner();
        if answer.protocol_version != PROTOCOL_VERSION {
            let text = format!("it speaks protocol version {}, we speak {PROTOCOL_VERSION}", answer.protocol_version);
            return Err(ClientError::Answer(text));
        }
        let id = answer.synchronizer_id.parse().map_err(|e: base::InvalidId| ClientError::Answer(e.to_string()))?;
        Ok(Self { id, time: Timestamp::saturating_from_micros(answer.time) })
    }

    /// Whether the member is registered and may authenticate.
    pub async fn is_active(config: &ClientConfig, member: &MemberId) -> Result<bool, ClientError> {
        let request = VerifyActiveRequest { member: member.to_string() };
        let answer = anywhere(config, |mut client| {
            let request = request.clone();
            async move { client.verify_active(request).await }
        });
        Ok(answer.await?.into_inner().active)
    }

    /// Hands in a participant's own topology transactions, so that the manager may admit it.
    pub async fn onboard(
        config: &ClientConfig,
        member: &MemberId,
        transactions: Vec<Bytes>,
    ) -> Result<(), ClientError> {
        let request = RegisterOnboardingRequest { participant: member.to_string(), transactions };
        anywhere(config, |mut client| {
            let request = request.clone();
            async move { client.register_onboarding(request).await }
        })
        .await?;
        Ok(())
    }
}

impl Client {
    /// A client of `member` at `synchronizer`. Connects when it is first used.
    pub fn new(config: ClientConfig, synchronizer: SynchronizerId, member: Member) -> Result<Self, ClientError> {
        let endpoints = watch::Sender::new(endpoints(&config)?);
        Ok(Self { inner: Arc::new(Inner { config, endpoints, synchronizer, member, token: Mutex::default() }) })
    }

    /// The synchronizer.
    #[must_use]
    pub fn synchronizer(&self) -> &SynchronizerId {
        &self.inner.synchronizer
    }

    /// Goes on at other endpoints of the same synchronizer: an open subscription moves, too.
    pub fn redirect(&self, config: &ClientConfig) -> Result<(), ClientError> {
        self.inner.endpoints.send_replace(endpoints(config)?);
        Ok(())
    }

    /// Does so with each new configuration, until the scope of `tasks` ends.
    pub fn follow(&self, mut configs: watch::Receiver<ClientConfig>, tasks: &Tasks) {
        let client = self.clone();
        let follow = async move {
            while configs.changed().await.is_ok() {
                let config = configs.borrow_and_update().clone();
                if let Err(error) = client.redirect(&config) {
                    tracing::warn!("the sequencers stay as they are: {error}");
                }
            }
        };
        tasks.spawn_cancellable("follow sequencers", follow).detach();
    }

    /// The topology that the synchronizer was founded with. A sequencer that is being founded is waited for.
    pub async fn founding(&self) -> Result<Vec<StoredTransaction>, ClientError> {
        let until = Instant::now() + BEING_FOUNDED;
        loop {
            match self.founding_anywhere().await {
                Err(ClientError::Rpc(error))
                    if error.id.as_deref() == Some(SYNCHRONIZER_IS_NOT_AVAILABLE.id) && Instant::now() < until =>
                {
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn founding_anywhere(&self) -> Result<Vec<StoredTransaction>, ClientError> {
        let mut last = ClientError::Endpoint(String::new());
        for _ in 0..self.endpoints().count() {
            let Some((at, channel)) = self.current() else { break };
            let answer = self.authenticated(channel, |mut client, token| {
                let request = with_token(GetFoundingRequest {}, &token);
                async move { client.get_founding(request).await.map(tonic::Response::into_inner) }
            });
            match answer.await {
                Ok(answer) => return self.read_founding(&answer.topology),
                Err(error) => last = error,
            }
            self.endpoints().failed(at);
        }
        Err(last)
    }

    fn read_founding(&self, bytes: &[u8]) -> Result<Vec<StoredTransaction>, ClientError> {
        let wrong = |error: &dyn std::fmt::Display| ClientError::Answer(error.to_string());
        let message = TopologyMessage::decode(bytes).map_err(|e| wrong(&e))?;
        let TopologyContent::CatchUp(founding) = message.content else {
            return Err(wrong(&"it is no founding topology"));
        };
        // Signatures are checked; that it is of this synchronizer, too.
        TopologyState::of(self.inner.synchronizer.clone()).catch_up(&founding).map_err(|e| wrong(&e))?;
        Ok(founding)
    }

    fn current(&self) -> Option<(usize, Channel)> {
        self.endpoints().current().map(|(at, _, channel)| (at, channel))
    }

    /// Who speaks.
    #[must_use]
    pub fn member(&self) -> &MemberId {
        &self.inner.member.id
    }

    /// Sends a submission until a sequencer acknowledges it. It is signed once; the identical bytes may go to several
    /// sequencers, which sequence them once. `what` it is, the log and tests are told.
    pub async fn send(&self, what: &'static str, submission: &Submission) -> Result<(), SendError> {
        let points = CrashPoints::of([format!("send {what}")]);
        points.before();
        self.send_somewhere(submission).await.inspect_err(|error| tracing::debug!("sending a {what}: {error}"))?;
        points.after();
        Ok(())
    }

    async fn send_somewhere(&self, submission: &Submission) -> Result<(), SendError> {
        let request = SendRequest { signed_submission: self.signed::<Submission>(submission.encode()) };
        let until = Instant::now() + self.inner.config.send_timeout;
        // Once an attempt may have arrived, a later refusal says nothing about that attempt.
        let mut may_have_arrived = false;
        loop {
            let Some((at, channel)) = self.current() else {
                return Err(SendError::Refused(ClientError::Endpoint(String::new())));
            };
            let result = self.send_at(channel, &request).await;
            let Err(error) = result else { return Ok(()) };
            let (is_refusal, surely_lost) = match &error {
                ClientError::Rpc(rpc) => (rpc.is_definite_refusal(), rpc.id.is_some() && rpc.code == Code::Unavailable),
                ClientError::NoKey | ClientError::Endpoint(_) | ClientError::Mixed | ClientError::Trust(_) => {
                    (true, true)
                }
                ClientError::Answer(_) => (false, false),
            };
            if is_refusal && !may_have_arrived {
                return Err(SendError::Refused(error));
            }
            may_have_arrived |= !surely_lost;
            if Instant::now() >= until {
                return Err(if may_have_arrived { SendError::Unknown(error) } else { SendError::Refused(error) });
            }
            self.endpoints().failed(at);
            if self.endpoints().is_first_again() {
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }

    async fn send_at(&self, channel: Channel, request: &SendRequest) -> Result<(), ClientError> {
        self.authenticated(channel, |mut client, token| {
            let request = with_token(request.clone(), &token);
            async move { client.send(request).await.map(|_| ()) }
        })
        .await
    }

    /// Says that everything up to `timestamp` is processed here and may be pruned.
    pub async fn acknowledge(&self, timestamp: Timestamp) -> Result<(), ClientError> {
        let acknowledgement = Acknowledgement { member: self.member().clone(), timestamp };
        let signed_acknowledgement = self.signed::<Acknowledgement>(acknowledgement.encode());
        let request = AcknowledgeRequest { signed_acknowledgement };
        let (at, channel) = self.current().ok_or_else(|| ClientError::Endpoint(String::new()))?;
        let points = CrashPoints::of(["send acknowledgement".to_owned()]);
        points.before();
        let result = self.authenticated(channel, |mut client, token| {
            let request = with_token(request.clone(), &token);
            async move { client.acknowledge(request).await.map(|_| ()) }
        });
        result.await.inspect_err(|_| self.endpoints().failed(at))?;
        points.after();
        Ok(())
    }

    /// The member's events from `from` on (its last event; it is compared, not delivered again), or from the first.
    /// Goes on at another endpoint when one fails; ends only with an error that no other endpoint would mend.
    #[must_use]
    pub fn subscribe(
        &self,
        from: Option<Timestamp>,
        keys: Arc<dyn Keys>,
        tasks: &Tasks,
    ) -> mpsc::Receiver<Result<Received, SubscriptionError>> {
        subscription::start(self.clone(), from, keys, tasks)
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// As they are now; clones share which one is in use.
    pub(crate) fn endpoints(&self) -> Endpoints {
        self.inner.endpoints.borrow().clone()
    }

    /// Told when others are to be used.
    pub(crate) fn redirected(&self) -> watch::Receiver<Endpoints> {
        self.inner.endpoints.subscribe()
    }

    pub(crate) async fn open_stream(
        &self,
        channel: Channel,
        from: Option<Timestamp>,
    ) -> Result<tonic::Streaming<SubscribeResponse>, ClientError> {
        let request = SubscribeRequest { from: from.map(Timestamp::micros) };
        self.authenticated(channel, |mut client, token| {
            let request = with_token(request, &token);
            async move { client.subscribe(request).await.map(tonic::Response::into_inner) }
        })
        .await
    }

    /// Runs an authenticated call; with a new token once more if the one we have is not accepted.
    async fn authenticated<T, F: Future<Output = Result<T, tonic::Status>>>(
        &self,
        channel: Channel,
        call: impl Fn(SequencerServiceClient<Channel>, String) -> F,
    ) -> Result<T, ClientError> {
        let timeout = self.inner.config.call_timeout;
        let known = self.inner.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let client = SequencerServiceClient::new(channel.clone())
            .max_decoding_message_size(MAX_DECODING_BYTES)
            .max_encoding_message_size(MAX_DECODING_BYTES);
        if let Some(token) = known {
            match timely(timeout, call(client.clone(), token)).await {
                Err(error) if error.code == Code::Unauthenticated => {}
                result => return Ok(result?),
            }
        }
        let token = self.login(channel).await?;
        *self.inner.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(timely(timeout, call(client, token)).await?)
    }

    async fn login(&self, channel: Channel) -> Result<String, ClientError> {
        let timeout = self.inner.config.call_timeout;
        let member = self.member().to_string();
        let mut client = AuthenticationServiceClient::new(channel);
        let request = ChallengeRequest { member: member.clone(), protocol_versions: vec![PROTOCOL_VERSION] };
        let challenge = timely(timeout, client.challenge(request)).await?.into_inner();
        let hash = authentication_hash(&challenge.nonce, &self.inner.synchronizer);
        let identity = &self.inner.member.identity;
        let signature: Signature = challenge
            .fingerprints
            .iter()
            .filter_map(|key| key.parse().ok())
            .find_map(|key| identity.sign_with(&key, &hash))
            .ok_or(ClientError::NoKey)?;
        let request = AuthenticateRequest { member, nonce: challenge.nonce, signature: Some((&signature).into()) };
        Ok(timely(timeout, client.authenticate(request)).await?.into_inner().token)
    }

    fn signed<M: protocol::sequencing::Signable>(&self, content: Bytes) -> Bytes {
        let sign = |hash: &_| Ok::<_, Infallible>(self.inner.member.identity.sign(hash));
        let Ok(signed) = SignedContent::sign::<M, _>(content, sign);
        signed.to_bytes()
    }
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    if let Ok(value) = MetadataValue::try_from(format!("Bearer {token}")) {
        request.metadata_mut().insert("authorization", value);
    }
    request
}
