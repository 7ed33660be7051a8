//! Tokens, good and bad, and what they allow.

use super::{
    claims::{Access, Rights},
    token::{AuthService, Subject, Token, TokenError, Tokens, verify},
};
use base::{Coded, ParticipantId, PartyId, UserId, codes};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use crypto::TokenKey;
use ledger::Right;
use std::sync::Arc;

const NOW: i64 = 1_800_000_000;
const PARTICIPANT: &str = "p::1220aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn signed_with(header: &str, payload: &str, secret: &[u8]) -> String {
    let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(payload));
    let signature = crypto::hmac_sha256(secret, message.as_bytes());
    format!("{message}.{}", BASE64.encode(signature.as_bytes()))
}

fn signed(payload: &str) -> String {
    signed_with(r#"{"alg":"HS256","typ":"JWT"}"#, payload, b"secret")
}

fn key() -> TokenKey {
    TokenKey::hmac_256(b"secret")
}

fn service(audience: Option<&str>, scope: Option<&str>) -> AuthService {
    AuthService {
        tokens: Tokens::Key(Arc::new(key())),
        target_audience: audience.map(str::to_owned),
        target_scope: scope.map(str::to_owned),
    }
}

fn checked(service: &AuthService, text: &str) -> Result<Token, TokenError> {
    let participant: ParticipantId = PARTICIPANT.parse().unwrap();
    verify(text, &key(), service, Some(&participant), NOW)
}

/// What the payload says beside being valid for a while; `P` stands for the participant.
fn subject(service: &AuthService, claims: &str) -> Result<Subject, TokenError> {
    let claims = claims.replace("\"P\"", &format!("\"{PARTICIPANT}\"")).replace("/P", &format!("/{PARTICIPANT}"));
    checked(service, &signed(&format!("{{\"exp\": {}, {claims}}}", NOW + 60))).map(|token| token.subject)
}

fn party(name: &str) -> PartyId {
    PartyId::new(name).unwrap()
}

fn user(name: &str) -> Subject {
    Subject::User(UserId::new(name).unwrap())
}

#[test]
fn tokens_of_every_form_are_taken() {
    let any = service(None, None);
    let rights = [Right::ParticipantAdmin, Right::ActAs(party("a")), Right::ReadAs(party("b"))];
    let claims = |name: Option<&str>| Subject::Claims(name.map(|n| UserId::new(n).unwrap()), rights.clone().into());
    for (claims_text, expected) in [
        (r#""sub": "u", "aud": "https://daml.com/jwt/aud/participant/P""#, user("u")),
        (r#""sub": "u", "aud": ["other", "https://daml.com/jwt/aud/participant/P"]"#, user("u")),
        (r#""sub": "u", "scope": "more daml_ledger_api""#, user("u")),
        (
            r#""https://daml.com/ledger-api": {"admin": true, "actAs": ["a"], "readAs": ["b"], "participantId": "P"}"#,
            claims(None),
        ),
        (
            r#""https://daml.com/ledger-api": {"admin": true, "actAs": ["a"], "readAs": ["b"], "applicationId": "x"}"#,
            claims(Some("x")),
        ),
        (r#""admin": true, "actAs": ["a"], "readAs": ["b"], "ledgerId": "P", "partyName": "?""#, claims(None)),
    ] {
        assert_eq!(subject(&any, claims_text), Ok(expected), "{claims_text}");
    }
    let audience = service(Some("ours"), None);
    assert_eq!(subject(&audience, r#""sub": "u", "aud": "ours""#), Ok(user("u")));
    let scope = service(None, Some("ledger"));
    assert_eq!(subject(&scope, r#""sub": "u", "scope": "ledger""#), Ok(user("u")));
}

#[test]
fn tokens_for_others_are_not() {
    let (any, audience, scope) = (service(None, None), service(Some("ours"), None), service(None, Some("ledger")));
    for (service, claims) in [
        (&any, r#""sub": "u", "aud": "https://daml.com/jwt/aud/participant/another""#),
        (&any, r#""https://daml.com/ledger-api": {"admin": true, "participantId": "another"}"#),
        (&any, r#""https://daml.com/ledger-api": {"admin": true, "ledgerId": "another"}"#),
        (&audience, r#""sub": "u", "aud": "theirs""#),
        (&audience, r#""sub": "u", "scope": "daml_ledger_api""#),
        (&audience, r#""https://daml.com/ledger-api": {"admin": true}"#),
        (&scope, r#""sub": "u", "scope": "ledgers ledge""#),
    ] {
        assert!(matches!(subject(service, claims), Err(TokenError::NotHere(_))), "{claims}");
    }
    for claims in [r#""sub": "u""#, r#""admin": false, "actAs": []"#, r#""scope": "daml_ledger_api""#] {
        assert_eq!(subject(&any, claims), Err(TokenError::Empty), "{claims}");
    }
}

#[test]
fn tokens_have_their_time() {
    let any = service(None, None);
    let timed =
        |times: &str| checked(&any, &signed(&format!("{{\"admin\": true {times}}}"))).map(|token| token.expires);
    assert_eq!(timed(&format!(", \"exp\": {}", NOW + 1)), Ok(NOW + 1));
    assert_eq!(timed(&format!(", \"exp\": {}.9, \"nbf\": {NOW}, \"iat\": {NOW}", NOW + 1)), Ok(NOW + 1));
    assert_eq!(timed(""), Err(TokenError::NoExpiry));
    assert_eq!(timed(&format!(", \"exp\": {NOW}")), Err(TokenError::Expired));
    for early in ["nbf", "iat"] {
        let times = format!(", \"exp\": {}, \"{early}\": {}", NOW + 9, NOW + 1);
        assert_eq!(timed(&times), Err(TokenError::Early));
    }
    for none in ["\"tomorrow\"", "null", "1e999", "[]"] {
        assert!(timed(&format!(", \"exp\": {none}")).is_err(), "{none}");
    }
}

#[test]
fn signatures_count_and_headers_do_not() {
    let any = service(None, None);
    let payload = format!("{{\"admin\": true, \"exp\": {}}}", NOW + 60);
    let good = signed(&payload);
    assert!(checked(&any, &good).is_ok());
    assert_eq!(checked(&any, &signed_with(r#"{"alg":"HS256"}"#, &payload, b"another")), Err(TokenError::Signature));
    for alg in ["none", "None", "RS256", "HS512", "hs256", ""] {
        let text = signed_with(&format!("{{\"alg\":\"{alg}\"}}"), &payload, b"secret");
        assert_eq!(checked(&any, &text), Err(TokenError::Algorithm("HS256")), "{alg}");
    }
    let (message, _) = good.rsplit_once('.').unwrap();
    assert_eq!(checked(&any, &format!("{message}.")), Err(TokenError::Signature));
    let other = BASE64.encode(payload.replace("true", "true "));
    let moved = good.split('.').enumerate().map(|(i, part)| if i == 1 { other.as_str() } else { part });
    assert_eq!(checked(&any, &moved.collect::<Vec<_>>().join(".")), Err(TokenError::Signature));
}

/// Whatever is changed in a token, it is none any more; whatever else comes, nothing panics.
#[test]
fn a_changed_token_is_none() {
    let any = service(None, None);
    let good = signed(&format!("{{\"admin\": true, \"exp\": {}}}", NOW + 60));
    for at in 0..good.len() {
        for with in ["A", "z", "-", ".", "=", " ", "\u{e9}", ""] {
            let mut changed = good.clone();
            changed.replace_range(at..=at, with);
            assert!(changed == good || checked(&any, &changed).is_err(), "{changed}");
        }
        assert!(checked(&any, &good[..at]).is_err());
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let any = service(None, None);
    let payload = format!("{{\"admin\": true, \"exp\": {}}}", NOW + 60);
    let twice = format!("{{\"admin\": true, \"exp\": {}, \"exp\": {}}}", NOW - 60, NOW + 60);
    let deep = format!("{{\"exp\": {}, \"x\": {}{}}}", NOW + 60, "[".repeat(5000), "]".repeat(5000));
    let texts = [
        String::new(),
        "a".into(),
        "a.b".into(),
        "a.b.c".into(),
        "...".into(),
        format!("{}.x", signed(&payload)),
        signed(&payload).replace('.', ".="),
        signed(&twice),
        signed(&twice.replace("exp", "admin")),
        signed(&deep),
        signed("[]"),
        signed("\u{0}"),
        signed(&format!("{{\"actAs\": [\"no party!\"], \"exp\": {}}}", NOW + 60)),
        signed(&format!("{{\"scope\": \"daml_ledger_api\", \"sub\": \"no user \\u0000\", \"exp\": {}}}", NOW + 60)),
        signed_with("{}", &payload, b"secret"),
        signed_with(r#"{"alg":"HS256","alg":"HS256"}"#, &payload, b"secret"),
    ];
    for text in texts {
        assert!(matches!(checked(&any, &text), Err(TokenError::Form(_))), "{text:.60}: {:?}", checked(&any, &text));
    }
    let long = signed(&format!("{{\"admin\": true, \"x\": \"{}\", \"exp\": {}}}", "x".repeat(1 << 20), NOW + 60));
    assert_eq!(checked(&any, &long), Err(TokenError::Long));
}

#[test]
fn rights_are_asked_for() {
    let access = |rights: &[Right], user: Option<&str>| Access {
        user: user.map(|name| UserId::new(name).unwrap()),
        rights: Rights::These(Arc::new(rights.iter().cloned().collect())),
        expires: Some(NOW),
        is_of_user: user.is_some(),
    };
    let (a, b) = ([party("a")].into(), [party("b")].into());
    let acts = access(&[Right::ActAs(party("a")), Right::ReadAs(party("b"))], Some("u"));
    assert!(acts.act_as(&a).is_ok() && acts.read_as(&a).is_ok() && acts.read_as(&b).is_ok());
    for denied in [acts.act_as(&b), acts.act_as(&(&a | &b)), acts.read_as_any_party(), acts.admin()] {
        assert_eq!(denied.unwrap_err().code(), codes::PERMISSION_DENIED);
    }
    let admin = access(&[Right::ParticipantAdmin], None);
    assert!(admin.admin().is_ok() && admin.read_as(&a).is_err() && admin.act_as(&a).is_err());
    let reads = access(&[Right::ReadAsAnyParty], None);
    assert!(reads.read_as(&(&a | &b)).is_ok() && reads.read_as_any_party().is_ok() && reads.act_as(&a).is_err());

    let name = |named: &str| named.to_owned();
    assert_eq!(acts.user(name("")).unwrap(), "u");
    assert_eq!(acts.user(name("u")).unwrap(), "u");
    assert_eq!(acts.user(name("v")).unwrap_err().code(), codes::PERMISSION_DENIED);
    assert_eq!(admin.user(name("v")).unwrap(), "v");
    assert_eq!(acts.user_or_admin(name("")).unwrap(), "u");
    assert!(acts.user_or_admin(name("v")).is_err() && admin.user_or_admin(name("v")).is_ok());
    assert!(Access::everything().admin().is_ok() && Access::everything().act_as(&a).is_ok());
}
