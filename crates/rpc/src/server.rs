//! Servers: one port, its services, gRPC health and reflection.

use crate::{ServerTls, TlsError, tls::Acceptor, unimplemented};
use base::limits::MAX_MESSAGE_BYTES;
use futures::{StreamExt as _, future::ready};
use std::{convert::Infallible, future::Future, io, net::SocketAddr, time::Duration};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    body::Body,
    codegen::{Service, http},
    server::NamedService,
    service::{Routes, RoutesBuilder},
    transport::Server,
};

/// Clients that prove themselves at the same time; further ones wait.
const MAX_HANDSHAKES: usize = 256;

/// Where to listen; port 0 picks a free one.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Host name or IP address.
    pub address: String,
    /// TCP port.
    pub port: u16,
}

/// Limits and keep-alive of a server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Ping a silent client after this long.
    pub keep_alive_interval: Duration,
    /// Give a client up whose answer to the ping takes longer.
    pub keep_alive_timeout: Duration,
    /// Streams that one connection may have open.
    pub max_concurrent_streams: u32,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            keep_alive_interval: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(5),
            max_concurrent_streams: 1000,
        }
    }
}

/// A server could not be started, or broke.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is unknown, in use, or not ours.
    #[error("cannot listen on {address}:{port}; is it in use, or not an address of this machine?")]
    Bind {
        /// As configured.
        address: String,
        /// As configured.
        port: u16,
        /// What the system says.
        source: std::io::Error,
    },
    /// Its certificates cannot be used.
    #[error("{address} cannot be encrypted")]
    Tls {
        /// Where it would listen.
        address: SocketAddr,
        /// Why.
        source: TlsError,
    },
    /// The descriptors given for reflection are broken.
    #[error("descriptors for reflection cannot be read")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The transport failed after the start.
    #[error("the gRPC server failed")]
    Transport(#[from] tonic::transport::Error),
}

/// Sets the answers of gRPC health on one port.
#[derive(Clone)]
pub struct HealthReporter(tonic_health::server::HealthReporter);

impl HealthReporter {
    /// `name` is a service or component; the empty name stands for the whole server.
    pub async fn set(&self, name: &str, serving: bool) {
        let status =
            if serving { tonic_health::ServingStatus::Serving } else { tonic_health::ServingStatus::NotServing };
        self.0.set_service_status(name, status).await;
    }
}

/// The services of one port. Health and reflection are always among them.
pub struct Services {
    routes: RoutesBuilder,
    health: HealthReporter,
}

impl Services {
    /// With gRPC health (all names unknown until reported, "" serving) and reflection (v1 and v1alpha) over `descriptors`,
    /// encoded file descriptor sets.
    pub fn new(descriptors: &[&'static [u8]]) -> Result<Self, ServeError> {
        let mut routes = RoutesBuilder::default();
        let (reporter, health) = tonic_health::server::health_reporter();
        routes.add_service(health);
        let builder = || {
            let health = tonic_health::pb::FILE_DESCRIPTOR_SET;
            descriptors.iter().fold(
                tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(health),
                |builder, set| builder.register_encoded_file_descriptor_set(set),
            )
        };
        routes.add_service(builder().build_v1()?);
        routes.add_service(builder().build_v1alpha()?);
        Ok(Self { routes, health: HealthReporter(reporter) })
    }

    /// Adds a generated server.
    #[must_use]
    pub fn with<S>(mut self, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.routes.add_service(service);
        self
    }

    /// A handle to report health with.
    #[must_use]
    pub fn health(&self) -> HealthReporter {
        self.health.clone()
    }

    /// Takes the port. Connections are accepted from now on, answered once [`Bound::serve`] runs.
    pub async fn bind(self, listen: &Listen) -> Result<Bound, ServeError> {
        Ok(Port::take(listen).await?.with(self))
    }
}

/// A port that is ours. Connections are accepted from now on, answered once [`Bound::serve`] runs.
pub struct Port {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Acceptor>,
}

impl Port {
    /// Takes it.
    pub async fn take(listen: &Listen) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Bind { address: listen.address.clone(), port: listen.port, source };
        let listener = TcpListener::bind((listen.address.as_str(), listen.port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, tls: None })
    }

    /// Speaks TLS only. Fails if the files cannot be used now; when they change later, new connections get the new ones.
    pub fn encrypted(self, tls: &ServerTls) -> Result<Self, ServeError> {
        let acceptor = Acceptor::new(tls).map_err(|source| ServeError::Tls { address: self.address, source })?;
        Ok(Self { tls: Some(acceptor), ..self })
    }

    /// The address with the port really taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds its services.
    #[must_use]
    pub fn with(self, services: Services) -> Bound {
        Bound { port: self, services }
    }
}

/// A port that is ours, with its services.
pub struct Bound {
    port: Port,
    services: Services,
}

impl Bound {
    /// The address with the port really taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address
    }

    /// Serves until `shutdown` completes, then lets running calls end.
    pub async fn serve(self, config: ServerConfig, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let server = Server::builder()
            .http2_keepalive_interval(Some(config.keep_alive_interval))
            .http2_keepalive_timeout(Some(config.keep_alive_timeout))
            .max_concurrent_streams(config.max_concurrent_streams)
            .http2_max_header_list_size(16 * 1024)
            .add_routes(naming_what_is_unknown(self.services.routes.routes()));
        let connections = TcpListenerStream::new(self.port.listener).map(|accepted| {
            let stream = accepted?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(stream)
        });
        match self.port.tls {
            None => server.serve_with_incoming_shutdown(connections, shutdown).await?,
            Some(acceptor) => {
                let acceptor = &acceptor;
                let encrypted = connections
                    .map(|stream| async move { acceptor.accept(stream?).await })
                    .buffer_unordered(MAX_HANDSHAKES)
                    .filter_map(|stream| ready(stream.inspect_err(refused).ok().map(Ok::<_, io::Error>)));
                server.serve_with_incoming_shutdown(encrypted, shutdown).await?;
            }
        }
        Ok(())
    }
}

/// A method of a service that this port does not have is answered with its name.
fn naming_what_is_unknown(routes: Routes) -> Routes {
    let unknown = |uri: http::Uri| async move { unimplemented(uri.path().trim_start_matches('/')).into_http::<Body>() };
    Routes::from(routes.into_axum_router().fallback(unknown))
}

fn refused(error: &io::Error) {
    tracing::debug!("a connection was refused: {error}");
}

/// The largest message that servers and clients of ours decode, in bytes.
pub const MAX_DECODING_BYTES: usize = MAX_MESSAGE_BYTES + 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChannelConfig, connect_lazy};
    use canton_proto::com::daml::ledger::api::v2::{
        GetLedgerApiVersionRequest, version_service_client::VersionServiceClient,
    };
    use tokio::sync::oneshot;
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    async fn check(client: &mut HealthClient<tonic::transport::Channel>, service: &str) -> Result<i32, tonic::Code> {
        let request = HealthCheckRequest { service: service.into() };
        client.check(request).await.map(|r| r.into_inner().status).map_err(|s| s.code())
    }

    #[tokio::test]
    async fn serves_health_and_stops() {
        let services = Services::new(&[wire::DESCRIPTORS, crate::LEDGER_API_V2_DESCRIPTORS]).unwrap();
        let health = services.health();
        let bound = services.bind(&Listen { address: "127.0.0.1".into(), port: 0 }).await.unwrap();
        let uri = format!("http://{}", bound.address());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = bound.serve(ServerConfig::default(), async {
            let _ = stopped.await;
        });
        let calls = async {
            let mut client = HealthClient::new(connect_lazy(&uri, &ChannelConfig::default()).unwrap());
            assert_eq!(check(&mut client, "writer").await, Err(tonic::Code::NotFound));
            health.set("writer", true).await;
            assert_eq!(check(&mut client, "writer").await, Ok(1));
            health.set("writer", false).await;
            assert_eq!(check(&mut client, "writer").await, Ok(2));
            let mut client = VersionServiceClient::new(connect_lazy(&uri, &ChannelConfig::default()).unwrap());
            let unknown = client.get_ledger_api_version(GetLedgerApiVersionRequest {}).await.unwrap_err();
            assert_eq!(unknown.code(), tonic::Code::Unimplemented);
            assert!(unknown.message().contains("VersionService/GetLedgerApiVersion"), "{unknown}");
            stop.send(()).unwrap();
        };
        let (served, ()) = tokio::join!(serving, calls);
        served.unwrap();
    }

    #[tokio::test]
    async fn names_the_port_that_is_taken() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let services = Services::new(&[]).unwrap();
        let error = services.bind(&Listen { address: "127.0.0.1".into(), port }).await.err().unwrap();
        assert!(error.to_string().contains(&port.to_string()));
    }
}
