//! TLS of servers and clients. A server looks at its files again when they change, so that certificates are renewed
//! without a restart.

use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(1);
/// For a client to prove itself.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// What a server shows and whom it lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// Certificate chain, PEM.
    pub cert_chain: PathBuf,
    /// Private key of the certificate, PEM.
    pub private_key: PathBuf,
    /// Certificates that clients may be signed by, PEM.
    pub trust: Option<PathBuf>,
    /// Whether clients must show a certificate; needs `trust`.
    pub client_auth: ClientAuth,
    /// Whether TLS 1.2 is spoken beside 1.3.
    pub with_tls12: bool,
}

/// Whether clients must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked.
    None,
    /// One that is shown must be good.
    Optional,
    /// They must.
    Require,
}

/// Whom a client trusts and what it shows; read from files when it is made.
#[derive(Debug, Clone, Default)]
pub struct ClientTls {
    trust: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Keys or certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, or is not what it should be.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the reader says.
        reason: String,
    },
    /// Clients are to be checked against nothing.
    #[error("clients cannot be asked for certificates without a file of those that may sign them")]
    NoTrust,
    /// They were given as text, and are none.
    #[error("no certificates can be read where PEM text is expected: {0}")]
    Text(String),
    /// They do not fit together.
    #[error("the certificate, its key and the trusted certificates do not work together: {0}")]
    Rejected(String),
}

impl ClientTls {
    /// Trusts what `trust` has signed, or else the system's certificates; shows `identity`, chain and key, if it is given.
    pub fn load(trust: Option<&Path>, identity: Option<(&Path, &Path)>) -> Result<Self, TlsError> {
        let read = |path: &Path| fs::read(path).map_err(|e| file(path, &e));
        let identity = identity.map(|(chain, key)| Ok((read(chain)?, read(key)?))).transpose()?;
        Ok(Self { trust: trust.map(read).transpose()?, identity })
    }

    /// Trusts what these certificates, PEM, have signed.
    pub fn trusting(pem: &str) -> Result<Self, TlsError> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        match read.map_err(|error| error.to_string()) {
            Ok(found) if !found.is_empty() => Ok(Self { trust: Some(pem.into()), identity: None }),
            Ok(_) => Err(TlsError::Text("there is none".into())),
            Err(error) => Err(TlsError::Text(error)),
        }
    }

    pub(crate) fn config(&self) -> ClientTlsConfig {
        let mut config = ClientTlsConfig::new();
        config = match &self.trust {
            Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
            None => config.with_native_roots(),
        };
        match &self.identity {
            Some((chain, key)) => config.identity(Identity::from_pem(chain, key)),
            None => config,
        }
    }
}

impl ServerTls {
    /// Reads the files.
    fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let rejected = |error: &dyn std::fmt::Display| TlsError::Rejected(error.to_string());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions: &[&SupportedProtocolVersion] = if self.with_tls12 { &[&TLS13, &TLS12] } else { &[&TLS13] };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .map_err(|e| rejected(&e))?;
        let builder = match (self.client_auth, &self.trust) {
            (ClientAuth::None, _) | (ClientAuth::Optional, None) => builder.with_no_client_auth(),
            (ClientAuth::Require, None) => return Err(TlsError::NoTrust),
            (auth, Some(trust)) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(trust)? {
                    roots.add(certificate).map_err(|e| file(trust, &e))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                let verifier = if auth == ClientAuth::Optional { verifier.allow_unauthenticated() } else { verifier };
                builder.with_client_cert_verifier(verifier.build().map_err(|e| rejected(&e))?)
            }
        };
        let key = PrivateKeyDer::from_pem_file(&self.private_key).map_err(|e| file(&self.private_key, &e))?;
        let mut config = builder.with_single_cert(certificates(&self.cert_chain)?, key).map_err(|e| rejected(&e))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }

    /// What changes when the files do.
    fn stamp(&self) -> Vec<Option<(SystemTime, u64)>> {
        let files = [Some(&self.cert_chain), Some(&self.private_key), self.trust.as_ref()];
        let of = |path: &PathBuf| {
            let data = fs::metadata(path).ok()?;
            Some((data.modified().ok()?, data.len()))
        };
        files.into_iter().flatten().map(of).collect()
    }
}

/// The public key of the first certificate in a file, PEM, as DER SubjectPublicKeyInfo.
pub fn public_key_of(path: &Path) -> Result<Vec<u8>, TlsError> {
    let all = certificates(path)?;
    let certificate = webpki::EndEntityCert::try_from(&all[0]).map_err(|e| file(path, &e))?;
    Ok(certificate.subject_public_key_info().to_vec())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|e| file(path, &e))?;
    let found: Vec<_> = read.collect::<Result<_, _>>().map_err(|e| file(path, &e))?;
    if found.is_empty() { Err(file(path, &"there is no certificate in it")) } else { Ok(found) }
}

fn file(path: &Path, reason: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), reason: reason.to_string() }
}

/// A server's side, with the newest files that worked.
pub(crate) struct Acceptor {
    settings: ServerTls,
    state: Mutex<State>,
}

struct State {
    config: Arc<ServerConfig>,
    stamp: Vec<Option<(SystemTime, u64)>>,
    looked: Instant,
}

impl Acceptor {
    pub(crate) fn new(settings: &ServerTls) -> Result<Self, TlsError> {
        // First the stamp: a change in between is seen later.
        let stamp = settings.stamp();
        let state = State { config: settings.load()?, stamp, looked: Instant::now() };
        Ok(Self { settings: settings.clone(), state: Mutex::new(state) })
    }

    fn config(&self) -> Arc<ServerConfig> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK {
            state.looked = Instant::now();
            let stamp = self.settings.stamp();
            if stamp != state.stamp {
                state.stamp = stamp;
                match self.settings.load() {
                    Ok(config) => {
                        tracing::info!(certificate = %self.settings.cert_chain.display(), "certificates renewed");
                        state.config = config;
                    }
                    Err(error) => tracing::warn!("new certificates cannot be used, the old ones stay: {error}"),
                }
            }
        }
        state.config.clone()
    }

    /// A client that proves itself too slowly is turned away.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let accept = TlsAcceptor::from(self.config()).accept(stream);
        tokio::time::timeout(HANDSHAKE, accept).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}
