//! From configuration to certificates.

use ::config::{ClientAuth, ClientTls, KeyPair, Tls};
use ::rpc::{ServerTls, TlsError};
use std::path::Path;

pub(crate) fn server(config: &Tls) -> ServerTls {
    ServerTls {
        cert_chain: config.identity.cert_chain.clone(),
        private_key: config.identity.private_key.clone(),
        trust: config.trust.clone(),
        client_auth: match config.client_auth {
            ClientAuth::None => ::rpc::ClientAuth::None,
            ClientAuth::Optional => ::rpc::ClientAuth::Optional,
            ClientAuth::Require => ::rpc::ClientAuth::Require,
        },
        with_tls12: config.with_tls12,
    }
}

/// How a process of ours calls a server of ours: it believes whom the server believes, and shows what the server shows
/// unless something else is configured.
pub(crate) fn own_client(config: &Tls) -> Result<::rpc::ClientTls, TlsError> {
    // A server's certificate may not be made for clients, so that it is shown only where there is no other way.
    let is_needed = config.client_auth == ClientAuth::Require;
    let identity = config.admin_client.as_ref().or(is_needed.then_some(&config.identity));
    ::rpc::ClientTls::load(config.trust.as_deref(), identity.map(files))
}

pub(crate) fn client(config: &ClientTls) -> Result<::rpc::ClientTls, TlsError> {
    ::rpc::ClientTls::load(config.trust.as_deref(), config.identity.as_ref().map(files))
}

fn files(pair: &KeyPair) -> (&Path, &Path) {
    (&pair.cert_chain, &pair.private_key)
}
