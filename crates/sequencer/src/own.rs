//! The sequencer as a member: it follows its own events for the topology.

use crate::{Shared, members::Registry, reader::Reader};
use ::store::{Db, Result};
use base::{MemberId, Timestamp};
use crypto::PublicKey;
use identity::{IdentityError, topology_rows};
use protocol::{apply_topology, message::EnvelopeContent};
use sequencer_core::StoredEvent;
use std::{sync::Arc, time::Duration};
use telemetry::Trouble;

const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Follows for ever. Errors of the database are waited out.
pub(crate) async fn follow(shared: Arc<Shared>) {
    let member = shared.sequencer.member();
    let from = shared.registry.topology(|t| t.last_sequenced()).unwrap_or(Timestamp::MIN);
    let Some(mut reader) = shared.reader(&member, from) else {
        tracing::error!(
            "{member} is not registered at its own synchronizer; the topology was not bootstrapped with it"
        );
        return;
    };
    let mut safe = shared.tail.safe();
    let mut trouble = Trouble::new("the topology cannot be followed");
    loop {
        let bound = *safe.borrow_and_update();
        while reader.cursor < bound {
            if trouble.note(step(&shared, &mut reader, bound).await).is_none() {
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
        if safe.changed().await.is_err() {
            return;
        }
    }
}

async fn step(shared: &Shared, reader: &mut Reader, bound: Timestamp) -> Result<()> {
    let before = reader.cursor;
    let events = reader.next(bound).await?;
    for event in events {
        if let Err(error) = apply(&shared.db, &shared.registry, &shared.manager, &event.stored).await {
            // Read it again: applying twice changes nothing.
            reader.cursor = before;
            return Err(error);
        }
    }
    find_keys(shared).await
}

/// Another sequencer over the same database may have made the key that the topology now has.
async fn find_keys(shared: &Shared) -> Result<()> {
    let member = shared.sequencer.member();
    let is_new = |key: &&PublicKey| !shared.identity.signs_with(key.fingerprint());
    if !shared.registry.topology(|t| t.head().keys(&member).iter().any(is_new)) {
        return Ok(());
    }
    match shared.identity.refresh(&shared.db).await {
        Err(IdentityError::Store(error)) => return Err(error),
        Err(error) => tracing::error!("the keys of {member} cannot be read: {error}"),
        Ok(()) => {}
    }
    Ok(())
}

async fn apply(db: &Db, registry: &Registry, manager: &MemberId, event: &StoredEvent) -> Result<()> {
    if event.error.is_some() || event.submission.sender != *manager {
        return Ok(());
    }
    for envelope in &event.submission.batch {
        let Ok(EnvelopeContent::Topology(signed)) = EnvelopeContent::decode(envelope.content.clone()) else { continue };
        // Stored first: a state that is ahead of the database would be lost with this process.
        let mut next = registry.topology(Clone::clone);
        match apply_topology(&mut next, event.timestamp, &signed) {
            Ok(outcomes) => {
                let accepted: Vec<_> = outcomes.into_iter().filter_map(std::result::Result::ok).collect();
                db.commit(&db.own(), vec![topology_rows(&accepted)]).await?;
                registry.change_topology(|t| *t = next);
                registry.register(db).await?;
            }
            Err(why) => tracing::warn!("a topology message at {} is ignored: {why}", event.timestamp),
        }
    }
    Ok(())
}
