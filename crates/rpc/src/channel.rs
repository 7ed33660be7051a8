//! Channels to peers, with keep-alive so that a dead peer is noticed, and rotation over several endpoints.

use crate::ClientTls;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

/// How patient a channel is.
#[derive(Debug, Clone)]
pub struct ChannelConfig {
    /// For the TCP connection to come up.
    pub connect_timeout: Duration,
    /// Silence after which a ping is sent, also while no call runs.
    pub keep_alive_interval: Duration,
    /// How long the answer to that ping may take before the connection is given up.
    pub keep_alive_timeout: Duration,
    /// Whom to trust behind `https://`, and what to show.
    pub tls: ClientTls,
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            keep_alive_interval: Duration::from_secs(1),
            keep_alive_timeout: Duration::from_secs(1),
            tls: ClientTls::default(),
        }
    }
}

impl ChannelConfig {
    /// Gives a peer up that is silent for so long.
    #[must_use]
    pub fn noticing(silence: Duration) -> Self {
        Self { keep_alive_interval: silence / 2, keep_alive_timeout: silence / 2, ..Self::default() }
    }
}

/// A channel that connects when it is first used, and again whenever it has to.
pub fn connect_lazy(uri: &str, config: &ChannelConfig) -> Result<Channel, tonic::transport::Error> {
    let mut endpoint = Endpoint::from_shared(uri.to_owned())?;
    if endpoint.uri().scheme_str() == Some("https") {
        endpoint = endpoint.tls_config(config.tls.config())?;
    }
    Ok(endpoint
        .connect_timeout(config.connect_timeout)
        .http2_keep_alive_interval(config.keep_alive_interval)
        .keep_alive_timeout(config.keep_alive_timeout)
        // Without this, calls after a partition hang for ever.
        .keep_alive_while_idle(true)
        .tcp_nodelay(true)
        .connect_lazy())
}

/// A channel whose calls show a token.
pub type Authorized = InterceptedService<Channel, Bearer>;

/// The token that calls show, if there is one.
#[derive(Clone, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// Shows this token; `None` if it cannot be one.
    #[must_use]
    pub fn new(token: &str) -> Option<Self> {
        let mut header: MetadataValue<Ascii> = format!("Bearer {}", token.trim()).parse().ok()?;
        header.set_sensitive(true);
        Some(Self(Some(header)))
    }

    /// The channel with it.
    #[must_use]
    pub fn over(self, channel: Channel) -> Authorized {
        InterceptedService::new(channel, self)
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}

/// Several endpoints of one service; callers stay on one until they report that it failed.
#[derive(Clone)]
pub struct Endpoints {
    channels: Arc<[(String, Channel)]>,
    current: Arc<AtomicUsize>,
}

impl Endpoints {
    /// At least one URI; the first is preferred.
    pub fn new(uris: &[String], config: &ChannelConfig) -> Result<Self, tonic::transport::Error> {
        let channels: Result<Arc<[_]>, _> =
            uris.iter().map(|uri| connect_lazy(uri, config).map(|channel| (uri.clone(), channel))).collect();
        Ok(Self { channels: channels?, current: Arc::default() })
    }

    /// How many endpoints there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.channels.len()
    }

    /// The endpoint in use: its number for [`Endpoints::failed`], its URI, its channel.
    ///
    /// # Errors
    /// None if there is no endpoint at all.
    #[must_use]
    pub fn current(&self) -> Option<(usize, &str, Channel)> {
        let at = self.current.load(Ordering::Relaxed);
        let (uri, channel) = self.channels.get(at % self.channels.len().max(1))?;
        Some((at, uri, channel.clone()))
    }

    /// Whether every endpoint has failed since the preferred one was last in use: time for a pause.
    #[must_use]
    pub fn is_first_again(&self) -> bool {
        self.current.load(Ordering::Relaxed).is_multiple_of(self.channels.len().max(1))
    }

    /// Endpoint `at` failed: later calls go to the next one. Says nothing if others moved on already.
    pub fn failed(&self, at: usize) {
        let _ = self.current.compare_exchange(at, at.wrapping_add(1), Ordering::Relaxed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rotates_once_per_failure() {
        let uris = ["http://a:1".to_owned(), "http://b:1".to_owned()];
        let endpoints = Endpoints::new(&uris, &ChannelConfig::default()).unwrap();
        let (first, uri, _) = endpoints.current().unwrap();
        assert_eq!(uri, "http://a:1");
        endpoints.failed(first);
        endpoints.failed(first);
        assert_eq!(endpoints.current().unwrap().1, "http://b:1");
        endpoints.failed(endpoints.current().unwrap().0);
        assert_eq!(endpoints.current().unwrap().1, "http://a:1");
    }
}
