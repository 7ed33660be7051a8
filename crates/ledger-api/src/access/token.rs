//! Reading and verifying one token. Nothing in it counts before its signature does, and its signature is checked with the
//! one algorithm of the configured key.

use base::{ParticipantId, PartyId, UserId};
use crypto::TokenKey;
use ledger::Right;
use serde::Deserialize;
use std::{collections::BTreeSet, sync::Arc};

/// Longer tokens are not read.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// One way in which callers may show who they are: an entry of `auth-services`.
#[derive(Clone, Debug)]
pub struct AuthService {
    /// How tokens are signed.
    pub tokens: Tokens,
    /// Tokens must be of a user and for this audience.
    pub target_audience: Option<String>,
    /// Tokens must be of a user and have this scope.
    pub target_scope: Option<String>,
}

/// How tokens are signed.
#[derive(Clone, Debug)]
pub enum Tokens {
    /// None are needed: everybody may do everything.
    Wildcard,
    /// With a key.
    Key(Arc<TokenKey>),
}

/// Whom a token speaks of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Subject {
    /// A user, whose rights the participant knows.
    User(UserId),
    /// Nobody by name, but whoever has it may do this; if there is a user, in its name only.
    Claims(Option<UserId>, BTreeSet<Right>),
}

/// A valid token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Token {
    pub(super) subject: Subject,
    /// In seconds since 1970.
    pub(super) expires: i64,
}

/// Why a token is none, for the log of the participant.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error("it is longer than {MAX_TOKEN_BYTES} bytes")]
    Long,
    #[error("it is no JSON web token: {0}")]
    Form(String),
    #[error("its algorithm is another than {0}")]
    Algorithm(&'static str),
    #[error("its signature is by another key")]
    Signature,
    #[error("it says no time at which it expires")]
    NoExpiry,
    #[error("it has expired")]
    Expired,
    #[error("it is valid later only")]
    Early,
    #[error("{0} is not what is asked for here")]
    NotHere(&'static str),
    #[error("it names nobody and allows nothing")]
    Empty,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

/// A number that may have a fraction.
#[derive(Deserialize, Clone, Copy)]
#[serde(transparent)]
struct Seconds(f64);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Claims of a participant, in a name space or flat.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Custom {
    ledger_id: Option<String>,
    participant_id: Option<String>,
    application_id: Option<String>,
    admin: Option<bool>,
    act_as: Option<Vec<String>>,
    read_as: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Payload {
    sub: Option<String>,
    aud: Option<OneOrMany>,
    scope: Option<String>,
    exp: Option<Seconds>,
    nbf: Option<Seconds>,
    iat: Option<Seconds>,
    #[serde(rename = "https://daml.com/ledger-api")]
    custom: Option<Custom>,
    #[serde(flatten)]
    flat: Custom,
}

const AUDIENCE: &str = "https://daml.com/jwt/aud/participant/";
const SCOPE: &str = "daml_ledger_api";

fn decoded(part: &str) -> Result<Vec<u8>, TokenError> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.decode(part).map_err(|error| TokenError::Form(error.to_string()))
}

fn parsed<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, TokenError> {
    serde_json::from_slice(json).map_err(|error| TokenError::Form(error.to_string()))
}

/// Reads a token and checks its signature, its times, and that it is for this participant.
pub(super) fn verify(
    text: &str,
    key: &TokenKey,
    service: &AuthService,
    participant: Option<&ParticipantId>,
    now: i64,
) -> Result<Token, TokenError> {
    if text.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::Long);
    }
    let (signed, signature) = text.rsplit_once('.').ok_or_else(|| TokenError::Form("it has no signature".into()))?;
    let (header, payload) = signed.split_once('.').ok_or_else(|| TokenError::Form("it has no payload".into()))?;
    let header: Header = parsed(&decoded(header)?)?;
    if header.alg != key.algorithm() {
        return Err(TokenError::Algorithm(key.algorithm()));
    }
    if !key.verifies(signed.as_bytes(), &decoded(signature)?) {
        return Err(TokenError::Signature);
    }
    let json = decoded(payload)?;
    let payload: Payload = parsed(&json)?;
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and far from any time that counts")]
    let seconds = |time: Seconds| time.0.floor() as i64;
    let expires = payload.exp.map(seconds).ok_or(TokenError::NoExpiry)?;
    if expires <= now {
        return Err(TokenError::Expired);
    }
    if payload.nbf.into_iter().chain(payload.iat).any(|from| seconds(from) > now) {
        return Err(TokenError::Early);
    }
    Ok(Token { subject: subject(payload, service, participant)?, expires })
}

fn subject(
    payload: Payload,
    service: &AuthService,
    participant: Option<&ParticipantId>,
) -> Result<Subject, TokenError> {
    let audiences = match &payload.aud {
        None => Vec::new(),
        Some(OneOrMany::One(one)) => vec![one.as_str()],
        Some(OneOrMany::Many(many)) => many.iter().map(String::as_str).collect(),
    };
    let has_scope = |wanted: &str| payload.scope.as_deref().is_some_and(|all| all.split(' ').any(|one| one == wanted));
    let user = || {
        let name = payload.sub.as_deref().filter(|name| !name.is_empty()).ok_or(TokenError::Empty)?;
        UserId::new(name).map(Subject::User).map_err(|error| TokenError::Form(error.to_string()))
    };
    if let Some(wanted) = &service.target_audience {
        return if audiences.contains(&wanted.as_str()) { user() } else { Err(TokenError::NotHere("its audience")) };
    }
    if let Some(wanted) = &service.target_scope {
        return if has_scope(wanted) { user() } else { Err(TokenError::NotHere("its scope")) };
    }
    if let Some(custom) = payload.custom {
        return claims(custom, participant);
    }
    let mut participants = audiences.iter().filter_map(|audience| audience.strip_prefix(AUDIENCE)).peekable();
    if participants.peek().is_some() {
        let is_here = participants.any(|named| is_named(participant, named));
        return if is_here { user() } else { Err(TokenError::NotHere("its audience")) };
    }
    if has_scope(SCOPE) { user() } else { claims(payload.flat, participant) }
}

/// Whether this is the participant's id, with or without what says that it is one.
fn is_named(participant: Option<&ParticipantId>, named: &str) -> bool {
    participant
        .is_some_and(|participant| [participant.to_string(), participant.member().to_string()].contains(&named.into()))
}

fn claims(custom: Custom, participant: Option<&ParticipantId>) -> Result<Subject, TokenError> {
    for (named, what) in [(&custom.participant_id, "its participant"), (&custom.ledger_id, "its ledger")] {
        if named.as_deref().is_some_and(|named| !is_named(participant, named)) {
            return Err(TokenError::NotHere(what));
        }
    }
    let party = |name: String| PartyId::new(name).map_err(|error| TokenError::Form(error.to_string()));
    let mut rights = BTreeSet::new();
    rights.extend((custom.admin == Some(true)).then_some(Right::ParticipantAdmin));
    for name in custom.act_as.unwrap_or_default() {
        rights.insert(Right::ActAs(party(name)?));
    }
    for name in custom.read_as.unwrap_or_default() {
        rights.insert(Right::ReadAs(party(name)?));
    }
    if rights.is_empty() {
        return Err(TokenError::Empty);
    }
    let user = custom.application_id.filter(|name| !name.is_empty()).map(UserId::new).transpose();
    user.map(|user| Subject::Claims(user, rights)).map_err(|error| TokenError::Form(error.to_string()))
}
