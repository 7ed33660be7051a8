//! Encrypted servers, with certificates made for the test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use rpc::{
    ChannelConfig, ClientAuth, ClientTls, Listen, Port, ServeError, ServerConfig, ServerTls, Services, connect_lazy,
};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use testkit::Authority;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

fn settings(folder: &Path, client_auth: ClientAuth, trust: Option<PathBuf>) -> ServerTls {
    let (cert_chain, private_key) = (folder.join("server.crt"), folder.join("server.pem"));
    ServerTls { cert_chain, private_key, trust, client_auth, with_tls12: false }
}

async fn port(settings: &ServerTls) -> Result<Port, ServeError> {
    Port::take(&Listen { address: "127.0.0.1".into(), port: 0 }).await?.encrypted(settings)
}

/// Serves gRPC health while `run` runs.
async fn serving<T>(settings: &ServerTls, run: impl AsyncFnOnce(SocketAddr) -> T) -> T {
    let bound = port(settings).await.unwrap().with(Services::new(&[]).unwrap());
    let address = bound.address();
    tokio::select! {
        served = bound.serve(ServerConfig::default(), std::future::pending()) => panic!("{served:?}"),
        result = run(address) => result,
    }
}

/// Whether a client gets an answer.
async fn answers(scheme: &str, address: SocketAddr, tls: ClientTls) -> bool {
    let config = ChannelConfig { tls, ..ChannelConfig::default() };
    let channel = connect_lazy(&format!("{scheme}://localhost:{}", address.port()), &config).unwrap();
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.is_ok()
}

fn trusting(trust: &Path) -> ClientTls {
    ClientTls::load(Some(trust), None).unwrap()
}

fn showing(trust: &Path, folder: &Path, name: &str) -> ClientTls {
    let (chain, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.pem")));
    ClientTls::load(Some(trust), Some((&chain, &key))).unwrap()
}

#[tokio::test]
async fn a_client_must_speak_tls_and_trust_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (Authority::new(), Authority::new());
    ours.issue(folder.path(), "server");
    let (right, wrong) = (ours.trust(folder.path(), "right.crt"), other.trust(folder.path(), "wrong.crt"));
    serving(&settings(folder.path(), ClientAuth::None, None), async |address| {
        assert!(answers("https", address, trusting(&right)).await);
        assert!(!answers("https", address, trusting(&wrong)).await);
        assert!(!answers("http", address, ClientTls::default()).await);
    })
    .await;
}

#[tokio::test]
async fn clients_show_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (ours, other) = (Authority::new(), Authority::new());
    ours.issue(folder, "server");
    ours.issue(folder, "client");
    other.issue(folder, "stranger");
    let trust = ours.trust(folder, "trust.crt");
    for (auth, without) in [(ClientAuth::Require, false), (ClientAuth::Optional, true)] {
        serving(&settings(folder, auth, Some(trust.clone())), async |address| {
            assert!(answers("https", address, showing(&trust, folder, "client")).await);
            assert!(!answers("https", address, showing(&trust, folder, "stranger")).await);
            assert_eq!(answers("https", address, trusting(&trust)).await, without);
        })
        .await;
    }
    let error = port(&settings(folder, ClientAuth::Require, None)).await.err().unwrap();
    assert!(matches!(error, ServeError::Tls { .. }), "{error}");
}

#[tokio::test]
async fn renewed_files_are_used_and_broken_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Authority::new(), Authority::new());
    first.issue(folder.path(), "server");
    let (old, new) = (first.trust(folder.path(), "old.crt"), second.trust(folder.path(), "new.crt"));
    serving(&settings(folder.path(), ClientAuth::None, None), async |address| {
        assert!(answers("https", address, trusting(&old)).await);
        second.issue(folder.path(), "server");
        let until = Instant::now() + Duration::from_secs(30);
        while !answers("https", address, trusting(&new)).await {
            assert!(Instant::now() < until, "the new certificate is never used");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        fs::write(folder.path().join("server.crt"), "no certificate").unwrap();
        // Longer than the server goes without a look at its files.
        let until = Instant::now() + Duration::from_millis(1500);
        while Instant::now() < until {
            assert!(answers("https", address, trusting(&new)).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn unusable_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    Authority::new().issue(folder.path(), "server");
    fs::remove_file(folder.path().join("server.pem")).unwrap();
    let error = port(&settings(folder.path(), ClientAuth::None, None)).await.err().unwrap();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("server.pem"), "{cause}");
}
