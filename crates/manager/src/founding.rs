//! The first topology of a synchronizer.

use crate::{ManagerError, store};
use ::store::{Db, Epoch};
use base::{MediatorId, SequencerId, SynchronizerId, Timestamp, Uid};
use crypto::PublicKey;
use identity::Identity;
use topology::{Mapping, Operation, Parameters, SignedTopologyTransaction, TopologyState, build};

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

/// What the manager of a synchronizer that is not founded yet has authorized: its own keys and the parameters, and what
/// operators wanted. In the order in which it was signed; only what holds in the end.
pub async fn draft(
    db: &Db,
    identity: &Identity,
    parameters: Parameters,
) -> Result<Vec<SignedTopologyTransaction>, ManagerError> {
    let (state, all) = drafted(db, identity, parameters).await?;
    let head = state.head();
    let holds = |t: &SignedTopologyTransaction| head.transaction(&t.key()).is_some_and(|held| held.hash() == t.hash());
    Ok(all.into_iter().filter(holds).collect())
}

/// Adds a statement to what the synchronizer is going to be founded with.
pub async fn authorize(
    db: &Db,
    epoch: &Epoch,
    identity: &Identity,
    parameters: Parameters,
    (mapping, operation): (Mapping, Operation),
) -> Result<SignedTopologyTransaction, ManagerError> {
    let (state, all) = drafted(db, identity, parameters).await?;
    let signed = identity.authorize_as(&state, mapping, operation);
    state.check(&signed)?;
    db.commit(epoch, vec![store::draft_row(all.len(), &signed)]).await?;
    Ok(signed)
}

async fn drafted(
    db: &Db,
    identity: &Identity,
    parameters: Parameters,
) -> Result<(TopologyState, Vec<SignedTopologyTransaction>), ManagerError> {
    let synchronizer = SynchronizerId(identity.uid().clone());
    let own = &[identity.signing_key()];
    let empty = TopologyState::of(synchronizer.clone());
    let begin = build::manager(&synchronizer, identity.root_key(), own, parameters).into_iter();
    let mut all: Vec<_> = begin.map(|mapping| identity.authorize(&empty, mapping)).collect();
    all.extend(store::draft(db).await?);
    let mut state = empty;
    for outcome in state.apply(Timestamp::MIN, all.clone()) {
        outcome.map_err(|refused| refused.1)?;
    }
    Ok((state, all))
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
    let own = &[identity.signing_key()];
    let mut mappings = build::manager(&synchronizer, identity.root_key(), own, parameters);
    mappings.extend(build::sequencer(&sequencer, std::slice::from_ref(sequencer_key)));
    mappings.extend(build::mediator(&mediator, &synchronizer, std::slice::from_ref(mediator_key)));
    let empty = TopologyState::of(synchronizer.clone());
    let topology: Vec<_> = mappings.into_iter().map(|mapping| identity.authorize(&empty, mapping)).collect();
    manager_core::found(&synchronizer, &topology)?;
    Ok(Founded { synchronizer, mediator, topology })
}
