//! Confirmation responses and results: what participants and mediator say about a request
//! (spec/protocol.md §2.11–§2.13).

use crate::tree::{MAX_VIEW_DEPTH, MAX_VIEWS, ViewPosition};
use base::{Category, ErrorCode, Hash, ParticipantId, PartyId, SynchronizerId, Timestamp, codes};
use topology::Malformed;
use transaction::Parties;
use wire::concordat::protocol::v1 as proto;

/// Names a request on its synchronizer: its sequencing time.
pub type RequestId = Timestamp;

/// Why a participant rejects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalReject {
    /// One of [`LOCAL_CODES`].
    pub code: ErrorCode,
    /// For people.
    pub details: String,
    /// Contract ids and hashes of keys, in hex.
    pub resources: Vec<String>,
}

/// The codes that a local verdict may carry.
///
/// Of the field's (spec/protocol.md §2.11) these are left out, because nothing here can have them as a reason:
/// `MAX_RECORD_TIME_EXCEEDED` is about transactions that parties sign themselves, which no submission has. `TIMEOUT` is
/// what a participant says to itself when no verdict comes; it is in no response.
pub const LOCAL_CODES: &[ErrorCode] = &[
    codes::LOCAL_VERDICT_LOCKED_CONTRACTS,
    codes::LOCAL_VERDICT_LOCKED_KEYS,
    codes::LOCAL_VERDICT_INACTIVE_CONTRACTS,
    codes::LOCAL_VERDICT_DUPLICATE_KEY,
    codes::LOCAL_VERDICT_INCONSISTENT_KEY,
    codes::LOCAL_VERDICT_LEDGER_TIME_OUT_OF_BOUND,
    codes::LOCAL_VERDICT_SUBMISSION_TIME_OUT_OF_BOUND,
    codes::LOCAL_VERDICT_TIMEOUT,
    codes::LOCAL_VERDICT_MALFORMED_REQUEST,
    codes::LOCAL_VERDICT_MALFORMED_PAYLOAD,
    codes::LOCAL_VERDICT_FAILED_MODEL_CONFORMANCE_CHECK,
    codes::LOCAL_VERDICT_BAD_ROOT_HASH_MESSAGES,
    codes::LOCAL_VERDICT_CREATES_EXISTING_CONTRACTS,
];

/// The codes that a mediator's rejection may carry.
///
/// `MEDIATOR_INTERNAL_ERROR` is read and never written: decisions here are total functions of what was sequenced, and a
/// mediator that cannot store one stops and leaves it to its successor instead of rejecting.
pub const MEDIATOR_CODES: &[ErrorCode] = &[
    codes::MEDIATOR_SAYS_TX_TIMED_OUT,
    codes::MEDIATOR_INVALID_MESSAGE,
    codes::MEDIATOR_RECEIVED_MALFORMED_MESSAGE,
    codes::MEDIATOR_INTERNAL_ERROR,
];

/// What one participant says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LocalVerdict {
    /// Yes.
    Approve,
    /// No.
    Reject(LocalReject),
    /// It cannot tell; counts neither way.
    Abstain(LocalReject),
}

/// One verdict on behalf of some parties.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfirmationResponse {
    /// What.
    pub verdict: LocalVerdict,
    /// On whose behalf; empty if and only if the request as a whole is malformed.
    pub parties: Parties,
    /// For which view; `None` if the request as a whole is malformed.
    pub view: Option<ViewPosition>,
}

/// Everything that one participant says about one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfirmationResponses {
    /// Where.
    pub synchronizer: SynchronizerId,
    /// About which request.
    pub request: RequestId,
    /// Of the request as the participant received it.
    pub root_hash: Hash,
    /// Who says so.
    pub sender: ParticipantId,
    /// Not empty.
    pub responses: Vec<ConfirmationResponse>,
}

/// What becomes of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It commits.
    Approve,
    /// Some quorum cannot be reached any more.
    ParticipantReject(Vec<RejectReason>),
    /// The mediator rejects by itself.
    MediatorReject {
        /// One of [`MEDIATOR_CODES`].
        code: ErrorCode,
        /// For people.
        message: String,
        /// Whether somebody must have misbehaved.
        malformed: bool,
    },
}

/// One participant's rejection on behalf of some parties.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RejectReason {
    /// On whose behalf.
    pub parties: Parties,
    /// Who rejected.
    pub participant: ParticipantId,
    /// Why.
    pub reject: LocalReject,
}

/// The mediator's word on one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfirmationResult {
    /// Where.
    pub synchronizer: SynchronizerId,
    /// About which request.
    pub request: RequestId,
    /// Of the request as the mediator received it.
    pub root_hash: Hash,
    /// What.
    pub verdict: Verdict,
}

impl LocalReject {
    /// A rejection; `details` for people, `resources` contract ids in hex.
    #[must_use]
    pub fn new(code: ErrorCode, details: impl Into<String>, resources: Vec<String>) -> Self {
        Self { code, details: details.into(), resources }
    }

    /// Whether the rejection says that somebody misbehaved.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        self.code.category == Category::SecurityAlert
    }
}

impl ConfirmationResponse {
    /// That the request as a whole is malformed, on behalf of everybody for whom the sender may speak.
    #[must_use]
    pub fn malformed(reject: LocalReject) -> Self {
        Self { verdict: LocalVerdict::Reject(reject), parties: Parties::new(), view: None }
    }
}

/// Bytes of a text for people, and how many contract ids one rejection may list.
const MAX_DETAILS: usize = 10_000;
pub(super) const MAX_RESOURCES: usize = 1_000;
/// Parties for which one participant may answer about one view.
pub(super) const MAX_PARTIES: usize = 10_000;

fn code(id: &str, known: &[ErrorCode]) -> Result<ErrorCode, Malformed> {
    let unknown = Malformed::Bounds { field: "code", why: "the code is unknown to this version" };
    known.iter().find(|code| code.id == id).copied().ok_or(unknown)
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_DETAILS / 4).collect()
}

fn to_local(reject: &LocalReject) -> proto::LocalReject {
    proto::LocalReject {
        code: reject.code.id.to_owned(),
        details: cut(&reject.details),
        resources: reject.resources.iter().take(MAX_RESOURCES).cloned().collect(),
    }
}

fn from_local(message: &proto::LocalReject) -> Result<LocalReject, Malformed> {
    Malformed::check_length("details", message.details.len(), MAX_DETAILS)?;
    Malformed::check_length("resources", message.resources.len(), MAX_RESOURCES)?;
    let resources = message.resources.clone();
    Ok(LocalReject { code: code(&message.code, LOCAL_CODES)?, details: message.details.clone(), resources })
}

fn to_parties(parties: &Parties) -> Vec<String> {
    parties.iter().map(ToString::to_string).collect()
}

fn from_parties(list: &[String]) -> Result<Parties, Malformed> {
    Ok(list.iter().map(PartyId::new).collect::<Result<_, _>>()?)
}

fn from_hash(bytes: &[u8]) -> Result<Hash, Malformed> {
    Hash::try_from(bytes).map_err(|_| Malformed::Bounds { field: "root_hash", why: "a hash has 32 bytes" })
}

impl From<&ConfirmationResponses> for proto::ConfirmationResponses {
    fn from(all: &ConfirmationResponses) -> Self {
        use proto::local_verdict::Verdict as Wire;
        let verdict = |verdict: &LocalVerdict| match verdict {
            LocalVerdict::Approve => Wire::Approve(proto::Approve {}),
            LocalVerdict::Reject(reject) => Wire::Reject(to_local(reject)),
            LocalVerdict::Abstain(reject) => Wire::Abstain(to_local(reject)),
        };
        let response = |response: &ConfirmationResponse| proto::ConfirmationResponse {
            verdict: Some(proto::LocalVerdict { verdict: Some(verdict(&response.verdict)) }),
            parties: to_parties(&response.parties),
            view_position: response.view.as_ref().map(|view| view.0.clone()).unwrap_or_default(),
        };
        Self {
            synchronizer_id: all.synchronizer.to_string(),
            request_id: all.request.micros(),
            root_hash: all.root_hash.as_bytes().to_vec().into(),
            sender: all.sender.to_string(),
            responses: all.responses.iter().map(response).collect(),
        }
    }
}

impl TryFrom<&proto::ConfirmationResponses> for ConfirmationResponses {
    type Error = Malformed;
    fn try_from(message: &proto::ConfirmationResponses) -> Result<Self, Malformed> {
        if message.responses.is_empty() {
            return Err(Malformed::Missing("responses"));
        }
        Malformed::check_length("responses", message.responses.len(), MAX_VIEWS)?;
        Ok(Self {
            synchronizer: SynchronizerId(message.synchronizer_id.parse()?),
            request: Timestamp::from_micros(message.request_id)?,
            root_hash: from_hash(&message.root_hash)?,
            sender: ParticipantId(message.sender.parse()?),
            responses: message.responses.iter().map(from_response).collect::<Result<_, _>>()?,
        })
    }
}

fn from_response(message: &proto::ConfirmationResponse) -> Result<ConfirmationResponse, Malformed> {
    use proto::local_verdict::Verdict as Wire;
    Malformed::check_length("view_position", message.view_position.len(), MAX_VIEW_DEPTH)?;
    let verdict = message.verdict.as_ref().and_then(|v| v.verdict.as_ref());
    let verdict = match verdict.ok_or(Malformed::Missing("verdict"))? {
        Wire::Approve(_) => LocalVerdict::Approve,
        Wire::Reject(reject) => LocalVerdict::Reject(from_local(reject)?),
        Wire::Abstain(reject) => LocalVerdict::Abstain(from_local(reject)?),
    };
    let (parties, positions) = (from_parties(&message.parties)?, &message.view_position);
    let view = (!positions.is_empty()).then(|| ViewPosition(positions.clone()));
    let malformed = matches!(&verdict, LocalVerdict::Reject(reject) if reject.is_malformed());
    if parties.is_empty() != view.is_none() || (view.is_none() && !malformed) {
        let why = "parties and view go together; only a malformed request has neither";
        return Err(Malformed::Bounds { field: "parties", why });
    }
    Ok(ConfirmationResponse { verdict, parties, view })
}

impl From<&ConfirmationResult> for proto::ConfirmationResult {
    fn from(result: &ConfirmationResult) -> Self {
        use proto::verdict::Verdict as Wire;
        let reason = |reason: &RejectReason| proto::RejectReason {
            parties: to_parties(&reason.parties),
            participant: reason.participant.to_string(),
            reject: Some(to_local(&reason.reject)),
        };
        let verdict = match &result.verdict {
            Verdict::Approve => Wire::Approve(proto::Approve {}),
            Verdict::ParticipantReject(reasons) => {
                Wire::ParticipantReject(proto::ParticipantReject { reasons: reasons.iter().map(reason).collect() })
            }
            Verdict::MediatorReject { code, message, malformed } => Wire::MediatorReject(proto::MediatorReject {
                code: code.id.to_owned(),
                message: cut(message),
                malformed: *malformed,
            }),
        };
        Self {
            synchronizer_id: result.synchronizer.to_string(),
            request_id: result.request.micros(),
            root_hash: result.root_hash.as_bytes().to_vec().into(),
            view_type: proto::ViewType::Transaction.into(),
            verdict: Some(proto::Verdict { verdict: Some(verdict) }),
        }
    }
}

impl TryFrom<&proto::ConfirmationResult> for ConfirmationResult {
    type Error = Malformed;
    fn try_from(message: &proto::ConfirmationResult) -> Result<Self, Malformed> {
        use proto::verdict::Verdict as Wire;
        super::check_view_type(message.view_type)?;
        let verdict = message.verdict.as_ref().and_then(|v| v.verdict.as_ref());
        let verdict = match verdict.ok_or(Malformed::Missing("verdict"))? {
            Wire::Approve(_) => Verdict::Approve,
            Wire::ParticipantReject(rejects) => {
                Malformed::check_length("reasons", rejects.reasons.len(), MAX_VIEWS)?;
                Verdict::ParticipantReject(rejects.reasons.iter().map(from_reason).collect::<Result<_, _>>()?)
            }
            Wire::MediatorReject(reject) => {
                Malformed::check_length("message", reject.message.len(), MAX_DETAILS)?;
                let (code, message) = (code(&reject.code, MEDIATOR_CODES)?, reject.message.clone());
                Verdict::MediatorReject { code, message, malformed: reject.malformed }
            }
        };
        Ok(Self {
            synchronizer: SynchronizerId(message.synchronizer_id.parse()?),
            request: Timestamp::from_micros(message.request_id)?,
            root_hash: from_hash(&message.root_hash)?,
            verdict,
        })
    }
}

fn from_reason(message: &proto::RejectReason) -> Result<RejectReason, Malformed> {
    Ok(RejectReason {
        parties: from_parties(&message.parties)?,
        participant: ParticipantId(message.participant.parse()?),
        reject: from_local(message.reject.as_ref().ok_or(Malformed::Missing("reject"))?)?,
    })
}
