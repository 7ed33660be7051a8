//! A command on its way to the sequencer: interpret it, choose the mediator, build the request, register it, send it
//! (spec/protocol.md §2.4, §2.7).

use crate::{
    ParticipantError,
    active::Active,
    interpreter::{Contracts, Interpretation, Interpreted},
    shell::{Connection, Input},
    store,
};
use ::ledger::{contracts_of_key, usable_contract};
use ::store::{Db, StoreError};
use base::{ContractId, Hash, MediatorId, Timestamp, WorkflowId};
use crypto::Secret;
use identity::random;
use ledger_api::{Commands, DeduplicationPeriod as Asked, Refusal};
use participant_core::{
    change_id,
    deduplication::{self, Acceptance, Reference},
};
use protocol::{
    ConfirmationRequest, Contract,
    tree::{
        CommonMetadata, DeduplicationPeriod, Input as TreeInput, ParticipantMetadata, RequestUuid, Salt,
        SubmitterMetadata,
    },
};
use std::{cell::Cell, sync::Arc, time::Duration};
use tokio::{runtime::Handle, sync::oneshot};
use topology::{Permission, Snapshot};
use transaction::Parties;

/// The longest deduplication period, and the one that holds where none is given.
const MAX_DEDUPLICATION: Duration = Duration::from_secs(7 * 24 * 3600);

/// The tree puts its own salts.
const NO_SALT: Salt = Salt(Hash([0; 32]));

/// Interprets, registers and sends. When it returns, exactly one completion will follow.
pub(crate) async fn submit(active: &Arc<Active>, commands: Commands) -> Result<(), Refusal> {
    let connection = active.connection().ok_or_else(|| refusal(ParticipantError::NotConnected))?;
    let now = connection.ticker.known_time().await;
    check_hosting(active, &connection, &commands, now).map_err(refusal)?;
    let topology = connection.topology.borrow().clone();
    let snapshot = topology.snapshot(now);
    let submitter = submitter(active, &commands, &snapshot, now);
    // Before interpretation, so that a command that consumed its contract is told that it is a duplicate; the loop checks
    // again, because this very command may be accepted meanwhile.
    let change = change_id(&submitter);
    let accepted = store::acceptances(&active.db, &[change]).await.map_err(|e| refusal(e.into()))?;
    check(&submitter, accepted.get(&change), now).map_err(refusal)?;
    let interpreted = interpret(active, &commands, now).await?;
    let workflow = commands.workflow.clone();
    let request = build(&connection, snapshot, submitter, workflow, &interpreted, now).map_err(refusal)?;
    let (reply, registered) = oneshot::channel();
    let input = Input::Submit { request: Box::new(request), now, reply };
    connection.inputs.send(input).await.map_err(|_| refusal(ParticipantError::Passive))?;
    match registered.await {
        Ok(result) => result.map_err(refusal),
        Err(_) => Err(refusal(ParticipantError::BecamePassive)),
    }
}

fn refusal(error: ParticipantError) -> Refusal {
    Box::new(error)
}

fn check_hosting(
    active: &Active,
    connection: &Connection,
    commands: &Commands,
    now: Timestamp,
) -> Result<(), ParticipantError> {
    let topology = connection.topology.borrow().clone();
    let snapshot = topology.snapshot(now);
    for party in &commands.act_as {
        let is_admin_party = *party == active.me.0.party();
        if !is_admin_party && snapshot.permission(party, &active.me) != Some(Permission::Submission) {
            return Err(ParticipantError::NotHosted(party.clone()));
        }
    }
    Ok(())
}

/// The contracts of the shared ledger, as those see them who submit. What is in flight is not counted: whoever confirms
/// finds out.
struct Stored {
    db: Db,
    runtime: Handle,
    readers: Parties,
    /// Why something could not be read.
    failed: Cell<Option<StoreError>>,
}

impl Stored {
    fn read<T: Default>(&self, read: impl Future<Output = Result<T, StoreError>>) -> T {
        self.runtime.block_on(read).unwrap_or_else(|error| {
            self.failed.set(Some(error));
            T::default()
        })
    }
}

impl Contracts for Stored {
    fn by_id(&self, id: &ContractId) -> Option<Contract> {
        self.read(usable_contract(&self.db, id, &self.readers))
    }

    fn by_key(&self, key: &Hash, limit: usize) -> Vec<Contract> {
        let mut wanted = limit;
        loop {
            let up_to = u32::try_from(wanted).unwrap_or(u32::MAX);
            let mut found = self.read(contracts_of_key(&self.db, key, up_to));
            let are_all = found.len() < wanted;
            found.retain(|contract| !contract.stakeholders().is_disjoint(&self.readers));
            if are_all || found.len() >= limit {
                found.truncate(limit);
                return found;
            }
            wanted = wanted.saturating_mul(2);
        }
    }
}

/// Runs the engine on a thread of its own.
async fn interpret(active: &Arc<Active>, commands: &Commands, now: Timestamp) -> Result<Interpreted, Refusal> {
    let input = Interpretation {
        act_as: commands.act_as.clone(),
        commands: commands.commands.clone(),
        ledger_time: now,
        preparation_time: now,
        seed: Hash(random::bytes()),
        participant: active.me.clone(),
    };
    let (interpreter, db, runtime) = (active.interpreter.clone(), active.db.clone(), active.tasks.runtime().clone());
    let readers = &commands.act_as | &commands.read_as;
    let run = move || {
        let stored = Stored { db, runtime, readers, failed: Cell::new(None) };
        let interpreted = interpreter.interpret(&input, &stored);
        // A contract that could not be read is not one that does not exist.
        match stored.failed.into_inner() {
            Some(error) => Err(refusal(error.into())),
            None => interpreted.map_err(|e| Box::new(e) as Refusal),
        }
    };
    match active.tasks.spawn_blocking("interpret", run).await {
        Ok(result) => result,
        Err(_) => Err(refusal(ParticipantError::Passive)),
    }
}

fn submitter(active: &Active, commands: &Commands, snapshot: &Snapshot<'_>, now: Timestamp) -> SubmitterMetadata {
    let tolerance = snapshot.parameters().map_or(Duration::from_secs(60), |p| p.ledger_time_record_time_tolerance);
    SubmitterMetadata {
        salt: NO_SALT,
        act_as: commands.act_as.clone(),
        user: commands.user.clone(),
        command: commands.command.clone(),
        submission: Some(commands.submission.clone()),
        participant: active.me.clone(),
        deduplication: match commands.deduplication {
            Some(Asked::Duration(duration)) => DeduplicationPeriod::Duration(duration),
            Some(Asked::Offset(offset)) => DeduplicationPeriod::Offset(u64::try_from(offset).unwrap_or(0)),
            None => DeduplicationPeriod::Duration(MAX_DEDUPLICATION),
        },
        max_sequencing_time: now.saturating_add(tolerance),
    }
}

/// Whether the command repeats `accepted`, the last acceptance of its change.
pub(crate) fn check(
    submitter: &SubmitterMetadata,
    accepted: Option<&Acceptance>,
    now: Timestamp,
) -> Result<(), ParticipantError> {
    let reference = Reference { now, max_duration: MAX_DEDUPLICATION, pruned: None };
    Ok(deduplication::check(submitter.deduplication, accepted, reference)?)
}

fn build(
    connection: &Connection,
    snapshot: Snapshot<'_>,
    submitter: SubmitterMetadata,
    workflow: Option<WorkflowId>,
    interpreted: &Interpreted,
    now: Timestamp,
) -> Result<ConfirmationRequest, ParticipantError> {
    let uuid = RequestUuid(random::bytes());
    let mediator = mediator(&snapshot, uuid)?;
    let input = TreeInput {
        snapshot,
        transaction: &interpreted.transaction,
        transaction_seed: interpreted.seed,
        salt_seed: Hash(random::bytes()),
        contracts: &interpreted.contracts,
        submitter,
        common: CommonMetadata { salt: NO_SALT, synchronizer: connection.synchronizer.clone(), mediator, uuid },
        participant: ParticipantMetadata { salt: NO_SALT, ledger_time: now, preparation_time: now, workflow },
    };
    Ok(ConfirmationRequest::build(input, &Secret::new(random::bytes()))?)
}

/// One of the mediators, by chance. One that is about to go would not live to see the verdict.
fn mediator(snapshot: &Snapshot<'_>, uuid: RequestUuid) -> Result<MediatorId, ParticipantError> {
    let serving = snapshot.mediators();
    let (staying, leaving): (Vec<_>, Vec<_>) = serving.into_iter().partition(|m| snapshot.head().is_active_mediator(m));
    let choice = if staying.is_empty() { leaving } else { staying };
    let place = usize::from(uuid.0[0]).checked_rem(choice.len()).ok_or(ParticipantError::NoMediator)?;
    choice.into_iter().nth(place).ok_or(ParticipantError::NoMediator)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use std::collections::BTreeSet;
    use topology::{
        Mapping, Side, build,
        testing::{self, Network, key, remove, root, uid},
    };

    #[test]
    fn requests_go_to_all_mediators_but_not_to_those_that_are_about_to_leave() {
        let mut network = Network::new(1);
        let (first, second) = (network.mediator.clone(), MediatorId(uid("second", "sync")));
        let own = [key("second").public().clone()];
        let mappings = build::mediator(&second, &network.synchronizer, &own);
        let signed = mappings.into_iter().map(|m| testing::sign(&network.state, m, &[&root("sync")])).collect();
        network.apply_all(signed);
        let chosen = |network: &Network| -> BTreeSet<MediatorId> {
            let snapshot = network.state.snapshot(network.now());
            (0..=u8::MAX).map(|byte| mediator(&snapshot, RequestUuid([byte; 16])).unwrap()).collect()
        };
        assert_eq!(chosen(&network), [first.clone(), second.clone()].into());

        let state = |mediator: &MediatorId| {
            let (synchronizer, mediator) = (network.synchronizer.clone(), mediator.clone());
            Mapping::MediatorState { side: Side::Both, synchronizer, mediator }
        };
        let leaves = |mediator| remove(&network.state, state(mediator), &[&root("sync")]);
        let (one, other) = (leaves(&first), leaves(&second));
        let now = network.now();
        // Known, but not in force for a while.
        assert!(network.state.apply(now, vec![one]).iter().all(Result::is_ok));
        assert!(network.state.snapshot(now).is_active_mediator(&first));
        assert_eq!(chosen(&network), [second.clone()].into());
        // Whoever is the last one is asked to the end.
        assert!(network.state.apply(now.next().unwrap(), vec![other]).iter().all(Result::is_ok));
        assert_eq!(chosen(&network), [first, second].into());
    }
}
