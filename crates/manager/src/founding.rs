//! The first topology of a synchronizer.

use crate::ManagerError;
use base::{MediatorId, SequencerId, SynchronizerId, Uid};
use crypto::PublicKey;
use identity::Identity;
use topology::{Parameters, SignedTopologyTransaction, TopologyState, build};

/// A synchronizer that the manager has signed into being.
#[derive(Debug, Clone)]
pub struct Founded {
    /// Its id: the manager's own identifier.
    pub synchronizer: SynchronizerId,
    /// The mediator's id, in the synchronizer's namespace.
    pub mediator: MediatorId,
    /// To be given to the sequencer.
    pub topology: Vec<SignedTopologyTransaction>,
}

/// Signs keys and states of manager, sequencer and mediator. The same inputs found the same synchronizer again.
pub fn found(
    identity: &Identity,
    parameters: Parameters,
    sequencer_key: &PublicKey,
    mediator_key: &PublicKey,
) -> Result<Founded, ManagerError> {
    let synchronizer = SynchronizerId(identity.uid().clone());
    let namespace = identity.uid().namespace();
    let sequencer = SequencerId(Uid::new("sequencer", namespace.clone())?);
    let mediator = MediatorId(Uid::new("mediator", namespace.clone())?);
    let own = std::slice::from_ref(identity.signing_key());
    let mut mappings = build::manager(&synchronizer, identity.root_key(), own, parameters);
    mappings.extend(build::sequencer(&sequencer, std::slice::from_ref(sequencer_key)));
    mappings.extend(build::mediator(&mediator, &synchronizer, std::slice::from_ref(mediator_key)));
    let empty = TopologyState::of(synchronizer.clone());
    let topology: Vec<_> = mappings.into_iter().map(|mapping| identity.authorize(&empty, mapping)).collect();
    manager_core::found(&synchronizer, &topology)?;
    Ok(Founded { synchronizer, mediator, topology })
}
