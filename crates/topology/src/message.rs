//! Messages that carry topology transactions between manager, members and newcomers (spec/protocol.md §6.7).

use crate::{Malformed, SignedTopologyTransaction, StoredTransaction, transaction::VERSION};
use base::{ParticipantId, SynchronizerId};
use bytes::Bytes;
use prost::Message as _;
use wire::concordat::topology::v1 as proto;

/// Transactions in one broadcast or request.
pub const MAX_BATCH: usize = 1_000;

/// From the manager: these transactions are admitted. Signed as a whole (see `protocol::Signed`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopologyMessage {
    /// Where.
    pub synchronizer: SynchronizerId,
    /// What.
    pub content: TopologyContent,
}

/// What a [`TopologyMessage`] says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TopologyContent {
    /// New transactions; effective one topology change delay after the message.
    Broadcast(Vec<SignedTopologyTransaction>),
    /// Everything in force, with its original times: the first message to a new member.
    CatchUp(Vec<StoredTransaction>),
}

/// From a participant to the manager: please admit these.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisterRequest {
    /// Where.
    pub synchronizer: SynchronizerId,
    /// Who asks.
    pub participant: ParticipantId,
    /// Chosen by the participant; the response carries it too.
    pub request_id: String,
    /// What.
    pub transactions: Vec<SignedTopologyTransaction>,
}

/// What the manager decided about one transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Registration {
    /// An operator has to decide.
    Requested,
    /// It could not be judged; the participant may ask again.
    Failed(String),
    /// No, with the reason.
    Rejected(String),
    /// It will be broadcast.
    Accepted,
    /// It is already known.
    Duplicate,
    /// A later one is already known.
    Obsolete,
}

/// The manager's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisterResponse {
    /// Where.
    pub synchronizer: SynchronizerId,
    /// Who asked.
    pub participant: ParticipantId,
    /// As in the request.
    pub request_id: String,
    /// One for each transaction of the request, in its order.
    pub results: Vec<Registration>,
}

impl TopologyMessage {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        proto::TopologyMessage::from(self).encode_to_vec().into()
    }

    /// Reads what [`TopologyMessage::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        (&proto::TopologyMessage::decode(bytes)?).try_into()
    }
}

impl From<&TopologyMessage> for proto::TopologyMessage {
    fn from(message: &TopologyMessage) -> Self {
        use proto::topology_message::Content;
        let content = match &message.content {
            TopologyContent::Broadcast(list) => {
                Content::Broadcast(proto::Broadcast { transactions: list.iter().map(Into::into).collect() })
            }
            TopologyContent::CatchUp(list) => {
                Content::CatchUp(proto::CatchUp { transactions: list.iter().map(Into::into).collect() })
            }
        };
        Self { version: VERSION, synchronizer_id: message.synchronizer.to_string(), content: Some(content) }
    }
}

impl TryFrom<&proto::TopologyMessage> for TopologyMessage {
    type Error = Malformed;
    fn try_from(message: &proto::TopologyMessage) -> Result<Self, Malformed> {
        use proto::topology_message::Content;
        Malformed::check_version("topology message", message.version, VERSION)?;
        let content = match message.content.as_ref().ok_or(Malformed::Missing("content"))? {
            Content::Broadcast(b) => TopologyContent::Broadcast(transactions(&b.transactions)?),
            Content::CatchUp(c) => {
                let list = c.transactions.iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
                TopologyContent::CatchUp(list)
            }
        };
        Ok(Self { synchronizer: synchronizer(&message.synchronizer_id)?, content })
    }
}

fn transactions(list: &[proto::SignedTopologyTransaction]) -> Result<Vec<SignedTopologyTransaction>, Malformed> {
    Malformed::check_length("transactions", list.len(), MAX_BATCH)?;
    list.iter().map(TryInto::try_into).collect()
}

fn synchronizer(text: &str) -> Result<SynchronizerId, Malformed> {
    Ok(SynchronizerId(text.parse()?))
}

impl From<&RegisterRequest> for proto::RegisterTopologyRequest {
    fn from(request: &RegisterRequest) -> Self {
        Self {
            version: VERSION,
            synchronizer_id: request.synchronizer.to_string(),
            participant: request.participant.to_string(),
            request_id: request.request_id.clone(),
            transactions: request.transactions.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<&proto::RegisterTopologyRequest> for RegisterRequest {
    type Error = Malformed;
    fn try_from(message: &proto::RegisterTopologyRequest) -> Result<Self, Malformed> {
        Malformed::check_version("topology registration request", message.version, VERSION)?;
        Malformed::check_length("request_id", message.request_id.len(), 255)?;
        Ok(Self {
            synchronizer: synchronizer(&message.synchronizer_id)?,
            participant: ParticipantId(message.participant.parse()?),
            request_id: message.request_id.clone(),
            transactions: transactions(&message.transactions)?,
        })
    }
}

impl From<&RegisterResponse> for proto::RegisterTopologyResponse {
    fn from(response: &RegisterResponse) -> Self {
        use proto::RegistrationState as State;
        let result = |registration: &Registration| {
            let (state, error) = match registration {
                Registration::Requested => (State::Requested, ""),
                Registration::Failed(why) => (State::Failed, why.as_str()),
                Registration::Rejected(why) => (State::Rejected, why.as_str()),
                Registration::Accepted => (State::Accepted, ""),
                Registration::Duplicate => (State::Duplicate, ""),
                Registration::Obsolete => (State::Obsolete, ""),
            };
            proto::RegistrationResult { state: state.into(), error: error.to_owned() }
        };
        Self {
            version: VERSION,
            synchronizer_id: response.synchronizer.to_string(),
            participant: response.participant.to_string(),
            request_id: response.request_id.clone(),
            results: response.results.iter().map(result).collect(),
        }
    }
}

impl TryFrom<&proto::RegisterTopologyResponse> for RegisterResponse {
    type Error = Malformed;
    fn try_from(message: &proto::RegisterTopologyResponse) -> Result<Self, Malformed> {
        use proto::RegistrationState as State;
        Malformed::check_version("topology registration response", message.version, VERSION)?;
        Malformed::check_length("results", message.results.len(), MAX_BATCH)?;
        let result = |m: &proto::RegistrationResult| {
            Ok(match m.state() {
                State::Requested => Registration::Requested,
                State::Failed => Registration::Failed(m.error.clone()),
                State::Rejected => Registration::Rejected(m.error.clone()),
                State::Accepted => Registration::Accepted,
                State::Duplicate => Registration::Duplicate,
                State::Obsolete => Registration::Obsolete,
                State::Unspecified => return Err(Malformed::Unknown { field: "state", value: m.state }),
            })
        };
        Ok(Self {
            synchronizer: synchronizer(&message.synchronizer_id)?,
            participant: ParticipantId(message.participant.parse()?),
            request_id: message.request_id.clone(),
            results: message.results.iter().map(result).collect::<Result<_, _>>()?,
        })
    }
}
