//! The public API.

use crate::{
    Shared, auth,
    subscription::{IN_FLIGHT, Subscription},
    writer::{Request as WriterRequest, SendError},
};
use base::{Coded, MemberId, MemberKind, MessageId, Timestamp, codes};
use bytes::Bytes;
use crypto::Signature;
use futures::{Stream, StreamExt as _};
use identity::random;
use protocol::sequencing::{Acknowledgement, DecodeError, Signable, SignedContent, Submission};
use rpc::{
    CorrelationId,
    services::concordat::sequencer::v1::{
        authentication_service_server::AuthenticationService, connect_service_server::ConnectService,
        sequencer_service_server::SequencerService,
    },
    status,
};
use std::{pin::Pin, sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use topology::{TopologyContent, TopologyMessage};
use wire::concordat::sequencer::v1::*;

/// The version of the protocol between members and sequencers.
pub const PROTOCOL_VERSION: u32 = 1;
/// How long a submission may wait for its commit.
const SEND_DEADLINE: Duration = Duration::from_secs(10);

/// The public API of a sequencer that may not be initialized yet.
#[derive(Clone)]
pub(crate) struct PublicApi {
    shared: watch::Receiver<Option<Arc<Shared>>>,
}

#[derive(Debug, thiserror::Error)]
enum ApiError {
    #[error("this sequencer is not initialized yet; initialize it, or wait until another one has been")]
    NotInitialized,
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("the submission is not signed by a key of {0}")]
    Signer(MemberId),
    #[error("only {0} may do this for itself")]
    OtherMember(MemberId),
    #[error("onboarding is for participants; {0} is none")]
    NotAParticipant(MemberId),
    #[error("no protocol version in common; this sequencer speaks {PROTOCOL_VERSION}")]
    Version,
}

impl Coded for ApiError {
    fn code(&self) -> base::ErrorCode {
        match self {
            Self::NotInitialized => codes::SYNCHRONIZER_IS_NOT_AVAILABLE,
            Self::Decode(error) => error.code(),
            Self::Signer(_) | Self::OtherMember(_) => codes::PERMISSION_DENIED,
            Self::NotAParticipant(_) | Self::Version => codes::INVALID_ARGUMENT,
        }
    }
}

fn refuse(error: &dyn Coded) -> Status {
    status(error, &CorrelationId::default())
}

fn member(text: &str) -> Result<MemberId, Status> {
    text.parse().map_err(|e| refuse(&ApiError::Decode(DecodeError::Id(e))))
}

impl PublicApi {
    pub(crate) fn new(shared: watch::Receiver<Option<Arc<Shared>>>) -> Self {
        Self { shared }
    }

    fn shared(&self) -> Result<Arc<Shared>, Status> {
        self.shared.borrow().clone().ok_or_else(|| refuse(&ApiError::NotInitialized))
    }

    async fn authenticated<T>(&self, request: &Request<T>) -> Result<(Arc<Shared>, MemberId), Status> {
        let shared = self.shared()?;
        let member = auth::authenticated(&shared, request.metadata()).await.map_err(|e| refuse(&e))?;
        Ok((shared, member))
    }
}

/// Reads signed bytes whose signature must be by a key of `signer`.
fn verified<M: Signable>(shared: &Shared, bytes: Bytes, signer: &MemberId) -> Result<(M, Bytes), Status> {
    let read = || {
        let signed = SignedContent::from_bytes(bytes)?;
        let hash = M::hash(&signed.content);
        let by_signer = shared.registry.topology(|t| t.head().verify(signer, &hash, &signed.signature).is_ok());
        if !by_signer {
            return Err(ApiError::Signer(signer.clone()));
        }
        Ok((M::decode(signed.content.clone())?, signed.content))
    };
    read().map_err(|e: ApiError| refuse(&e))
}

/// Hands a submission to the writer and waits until it is durable.
pub(crate) async fn submit(shared: &Shared, submission: Submission, content: Bytes) -> Result<(), SendError> {
    if !*shared.online.borrow() {
        return Err(SendError::NotOnline);
    }
    let (reply, answer) = oneshot::channel();
    let request = WriterRequest { submission, content, reply };
    shared.writer.try_send(request).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => SendError::Overloaded,
        mpsc::error::TrySendError::Closed(_) => SendError::NotOnline,
    })?;
    match tokio::time::timeout(SEND_DEADLINE, answer).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) | Err(_) => Err(SendError::Unknown),
    }
}

#[tonic::async_trait]
impl ConnectService for PublicApi {
    async fn get_synchronizer(
        &self,
        _: Request<GetSynchronizerRequest>,
    ) -> Result<Response<GetSynchronizerResponse>, Status> {
        let shared = self.shared()?;
        Ok(Response::new(GetSynchronizerResponse {
            synchronizer_id: shared.synchronizer.to_string(),
            sequencer_id: shared.sequencer.to_string(),
            protocol_version: PROTOCOL_VERSION,
            time: shared.now().micros(),
        }))
    }

    async fn verify_active(
        &self,
        request: Request<VerifyActiveRequest>,
    ) -> Result<Response<VerifyActiveResponse>, Status> {
        let member = member(&request.into_inner().member)?;
        let active = self.shared()?.registry.may_authenticate(&member);
        Ok(Response::new(VerifyActiveResponse { active }))
    }

    async fn register_onboarding(
        &self,
        request: Request<RegisterOnboardingRequest>,
    ) -> Result<Response<RegisterOnboardingResponse>, Status> {
        let request = request.into_inner();
        let participant = member(&request.participant)?;
        if participant.kind != MemberKind::Participant {
            return Err(refuse(&ApiError::NotAParticipant(participant)));
        }
        let shared = self.shared()?;
        let submission =
            shared.onboarding(&participant, &request.transactions, random::id()).map_err(|e| refuse(&e))?;
        let content = submission.encode();
        submit(&shared, submission, content).await.map_err(|e| refuse(&e))?;
        Ok(Response::new(RegisterOnboardingResponse {}))
    }
}

#[tonic::async_trait]
impl AuthenticationService for PublicApi {
    async fn challenge(&self, request: Request<ChallengeRequest>) -> Result<Response<ChallengeResponse>, Status> {
        let request = request.into_inner();
        let member = member(&request.member)?;
        if !request.protocol_versions.contains(&PROTOCOL_VERSION) {
            return Err(refuse(&ApiError::Version));
        }
        let shared = self.shared()?;
        let nonce = auth::challenge(&shared, &member).await.map_err(|e| refuse(&e))?;
        let keys = shared
            .registry
            .topology(|t| t.head().keys(&member).iter().map(|key| key.fingerprint().to_string()).collect::<Vec<_>>());
        Ok(Response::new(ChallengeResponse {
            nonce: nonce.to_vec().into(),
            fingerprints: keys,
            protocol_version: PROTOCOL_VERSION,
        }))
    }

    async fn authenticate(
        &self,
        request: Request<AuthenticateRequest>,
    ) -> Result<Response<AuthenticateResponse>, Status> {
        let request = request.into_inner();
        let member = member(&request.member)?;
        let signature = Signature::required(request.signature.as_ref())
            .map_err(|e| refuse(&ApiError::Decode(DecodeError::Signature(e))))?;
        let shared = self.shared()?;
        let issued = auth::authenticate(&shared, &member, &request.nonce, &signature).await.map_err(|e| refuse(&e))?;
        Ok(Response::new(AuthenticateResponse { token: issued.token, expires_at: issued.expires.micros() }))
    }
}

type Events = Pin<Box<dyn Stream<Item = Result<SubscribeResponse, Status>> + Send>>;

#[tonic::async_trait]
impl SequencerService for PublicApi {
    async fn send(&self, request: Request<SendRequest>) -> Result<Response<SendResponse>, Status> {
        let (shared, member) = self.authenticated(&request).await?;
        let bytes = request.into_inner().signed_submission;
        let size = bytes.len();
        let (submission, content) = verified::<Submission>(&shared, bytes, &member)?;
        let epoch = shared.registry.epoch(&member);
        sequencer_core::admit(&submission, size, &member, epoch, shared.now(), &shared.limits)
            .map_err(|e| refuse(&e))?;
        shared.registry.saw_epoch(&member, submission.epoch);
        submit(&shared, submission, content).await.map_err(|e| refuse(&e))?;
        Ok(Response::new(SendResponse {}))
    }

    type SubscribeStream = Events;

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<Events>, Status> {
        let (shared, member) = self.authenticated(&request).await?;
        let from = request.into_inner().from.map(Timestamp::from_micros).transpose();
        let from = from.map_err(|e| refuse(&ApiError::Decode(DecodeError::Timestamp(e))))?;
        let tasks = shared.tasks.clone();
        let name = format!("subscription of {member}");
        let subscription = Subscription::open(shared, member, from).await.map_err(|e| refuse(&e))?;
        let (out, events) = mpsc::channel(IN_FLIGHT);
        tasks.spawn_cancellable(&name, subscription.run(out)).detach();
        let events = ReceiverStream::new(events).map(|event| match event {
            Ok(signed_event) => Ok(SubscribeResponse { signed_event }),
            Err(error) => Err(refuse(&error)),
        });
        Ok(Response::new(Box::pin(events)))
    }

    async fn get_founding(
        &self,
        request: Request<GetFoundingRequest>,
    ) -> Result<Response<GetFoundingResponse>, Status> {
        let (shared, _) = self.authenticated(&request).await?;
        let topology = identity::load_topology(&shared.db, &shared.synchronizer).await.map_err(|e| refuse(&e))?;
        let mut founding = topology.for_catch_up(Timestamp::MIN);
        let begun = founding.first().map(|first| first.sequenced);
        founding.retain(|stored| Some(stored.sequenced) == begun);
        let content = TopologyContent::CatchUp(founding);
        let message = TopologyMessage { synchronizer: shared.synchronizer.clone(), content };
        Ok(Response::new(GetFoundingResponse { topology: message.encode() }))
    }

    async fn acknowledge(&self, request: Request<AcknowledgeRequest>) -> Result<Response<AcknowledgeResponse>, Status> {
        let (shared, member) = self.authenticated(&request).await?;
        let bytes = request.into_inner().signed_acknowledgement;
        let (acknowledgement, _) = verified::<Acknowledgement>(&shared, bytes, &member)?;
        if acknowledgement.member != member {
            return Err(refuse(&ApiError::OtherMember(acknowledgement.member)));
        }
        shared.acknowledge(&member, acknowledgement.timestamp).await.map_err(|e| refuse(&e))?;
        Ok(Response::new(AcknowledgeResponse {}))
    }
}

/// A message id that no other submission has.
pub(crate) fn message_id(prefix: &str) -> MessageId {
    MessageId::new(format!("{prefix}-{}", random::id())).expect("letters, digits and a dash")
}
