//! Where mediators and managers find their sequencers, on the admin API.

use super::{host::refuse, topology::unreadable};
use ::base::{Coded, ErrorCode, codes};
use ::rpc::{
    PassOn, Repeat, Router,
    services::concordat::admin::v1::sequencer_connection_service_server::{
        SequencerConnectionService, SequencerConnectionServiceServer,
    },
};
use ::wire::concordat::admin::v1::*;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// URIs of sequencers, and the certificates, PEM, that theirs may be signed by.
pub(crate) type Sequencers = (Vec<String>, Option<String>);

/// A node that is told where its sequencers are.
#[tonic::async_trait]
pub(crate) trait Connected: Send + Sync + 'static {
    /// Where they are; on any replica. `None` before the node is initialized.
    async fn sequencers(&self) -> Result<Option<Sequencers>, Status>;

    /// Goes on at others, from now on; on the active replica.
    async fn redirect(&self, sequencers: Sequencers) -> Result<(), Status>;
}

/// There is no synchronizer yet whose sequencers could be others.
#[derive(Debug, thiserror::Error)]
#[error("the {0} is not initialized; that tells it where its sequencers are")]
pub(crate) struct NotInitialized(pub(crate) &'static str);

impl Coded for NotInitialized {
    fn code(&self) -> ErrorCode {
        codes::NODE_NOT_INITIALIZED
    }

    fn definite_answer(&self) -> bool {
        true
    }
}

/// The service, over the node.
pub(crate) struct Connections<N>(Arc<N>);

/// Read by any replica, changed by the active one.
pub(crate) fn service<N: Connected>(
    node: Arc<N>,
    router: &Router,
) -> PassOn<SequencerConnectionServiceServer<Connections<N>>> {
    let changes = |method: &str| (method == "SetSequencerConnection").then_some(Repeat::Harmless);
    PassOn::new(SequencerConnectionServiceServer::new(Connections(node)), router, changes)
}

#[tonic::async_trait]
impl<N: Connected> SequencerConnectionService for Connections<N> {
    async fn get_sequencer_connection(
        &self,
        _: Request<GetSequencerConnectionRequest>,
    ) -> Result<Response<GetSequencerConnectionResponse>, Status> {
        let shown = |(sequencers, trust): Sequencers| SequencerConnection {
            sequencers,
            trust_certificates: trust.unwrap_or_default(),
        };
        Ok(Response::new(GetSequencerConnectionResponse { connection: self.0.sequencers().await?.map(shown) }))
    }

    async fn set_sequencer_connection(
        &self,
        request: Request<SetSequencerConnectionRequest>,
    ) -> Result<Response<SetSequencerConnectionResponse>, Status> {
        let given = request.into_inner().connection.ok_or_else(|| refuse(unreadable("the connection is missing")))?;
        let trust = Some(given.trust_certificates).filter(|pem| !pem.is_empty());
        self.0.redirect((given.sequencers, trust)).await?;
        Ok(Response::new(SetSequencerConnectionResponse {}))
    }
}
