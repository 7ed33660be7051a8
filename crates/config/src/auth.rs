//! `auth-services`: how callers of the Ledger API show who they are.

use crate::{
    model::{AuthService, Tokens},
    problem::{Code, Problems},
    tree::{Content, Tree},
};

/// Those of a participant; what is wrong is reported.
pub(crate) fn services(tree: &Tree, problems: &mut Problems) -> Vec<AuthService> {
    let Some(Content::List(all)) = tree.at("ledger-api.auth-services").map(|tree| &tree.content) else {
        return Vec::new();
    };
    all.iter().filter_map(|tree| service(tree, problems)).collect()
}

fn service(tree: &Tree, problems: &mut Problems) -> Option<AuthService> {
    let given = |key: &str| tree.text(key).map(str::to_owned).filter(|text| !text.is_empty());
    let (target_audience, target_scope) = (given("target-audience"), given("target-scope"));
    if target_audience.is_some() && target_scope.is_some() {
        let text = "tokens are for an audience or have a scope, not both; leave one out";
        tree.error("target-scope", Code::InvalidValue, problems, text);
    }
    let certificate = |problems: &mut Problems| {
        missing(tree, "certificate", problems, "the certificate that tokens are signed with is missing");
        tree.text("certificate").map(Into::into)
    };
    let tokens = match tree.text("type") {
        Some("wildcard") => Tokens::Wildcard,
        Some("unsafe-jwt-hmac-256") => {
            missing(tree, "secret", problems, "the secret that tokens are signed with is missing");
            Tokens::Hmac256(tree.secret("secret")?)
        }
        Some("jwt-rs-256-crt") => Tokens::Rs256(certificate(problems)?),
        Some("jwt-es-256-crt") => Tokens::Es256(certificate(problems)?),
        Some("jwt-es-512-crt") => Tokens::Es512(certificate(problems)?),
        Some(other) => {
            let (origin, path) = tree.place("type");
            let text = format!("{other} is not supported by this version; name a certificate instead");
            problems.unsupported(&origin, &path, text);
            return None;
        }
        None => {
            missing(tree, "type", problems, "how tokens are signed is missing");
            return None;
        }
    };
    Some(AuthService { tokens, target_audience, target_scope })
}

fn missing(tree: &Tree, key: &str, problems: &mut Problems, text: &str) {
    if tree.lacks(key) {
        tree.error(key, Code::MissingKey, problems, text);
    }
}
