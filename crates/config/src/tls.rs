//! The `tls` blocks.

use crate::{
    model::{ClientAuth, ClientTls, KeyPair, Tls},
    problem::{Code, Problems},
    tree::Tree,
};
use std::path::PathBuf;

/// Of a server; `None` if it is switched off, or wrong and reported.
pub(crate) fn server(tree: &Tree, problems: &mut Problems) -> Option<Tls> {
    if tree.read("enabled") == Some(false) {
        return None;
    }
    for key in ["cert-chain-file", "private-key-file"] {
        if tree.lacks(key) {
            tree.error(key, Code::MissingKey, problems, "an encrypted server needs it");
        }
    }
    let client_auth = match tree.text("client-auth.type") {
        Some("none") => ClientAuth::None,
        Some("require") => ClientAuth::Require,
        _ => ClientAuth::Optional,
    };
    let trust = path(tree, "trust-collection-file");
    if client_auth == ClientAuth::Require && tree.lacks("trust-collection-file") {
        let text = "clients are required to show certificates; say who may have signed them";
        tree.error("trust-collection-file", Code::MissingKey, problems, text);
    }
    Some(Tls {
        identity: key_pair(tree)?,
        trust,
        client_auth,
        admin_client: tree.block("client-auth.admin-client").and_then(key_pair),
        with_tls12: tree.text("minimum-server-protocol-version") != Some("TLSv1.3"),
    })
}

/// Of a client; `None` if it is switched off.
pub(crate) fn client(tree: &Tree) -> Option<ClientTls> {
    let identity = tree.block("client-cert").and_then(key_pair);
    (tree.read("enabled") != Some(false)).then(|| ClientTls { trust: path(tree, "trust-collection-file"), identity })
}

fn key_pair(tree: &Tree) -> Option<KeyPair> {
    Some(KeyPair { cert_chain: path(tree, "cert-chain-file")?, private_key: path(tree, "private-key-file")? })
}

fn path(tree: &Tree, key: &str) -> Option<PathBuf> {
    tree.text(key).map(PathBuf::from)
}
