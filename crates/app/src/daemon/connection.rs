//! Where mediators and managers find their sequencers, on the admin API.

use super::topology::{Unreadable, unreadable};
use ::base::{Coded, ErrorCode, codes};
use ::rpc::Repeat;
use ::wire::concordat::admin::v1::SequencerConnection;

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

pub(crate) fn connection(sequencers: Vec<String>, trust: Option<String>) -> SequencerConnection {
    SequencerConnection { sequencers, trust_certificates: trust.unwrap_or_default() }
}

pub(crate) fn read_connection(given: Option<SequencerConnection>) -> Result<(Vec<String>, Option<String>), Unreadable> {
    let given = given.ok_or_else(|| unreadable("the connection is missing"))?;
    Ok((given.sequencers, Some(given.trust_certificates).filter(|pem| !pem.is_empty())))
}

/// The calls that only the active replica can carry out.
pub(crate) fn changes_connection(method: &str) -> Option<Repeat> {
    (method == "SetSequencerConnection").then_some(Repeat::Harmless)
}
