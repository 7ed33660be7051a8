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
    let mediator = mediator(&snapshot)?;
    let input = TreeInput {
        snapshot,
        transaction: &interpreted.transaction,
        transaction_seed: interpreted.seed,
        salt_seed: Hash(random::bytes()),
        contracts: &interpreted.contracts,
        submitter,
        common: CommonMetadata {
            salt: NO_SALT,
            synchronizer: connection.synchronizer.clone(),
            mediator,
            uuid: RequestUuid(random::bytes()),
        },
        participant: ParticipantMetadata { salt: NO_SALT, ledger_time: now, preparation_time: now, workflow },
    };
    Ok(ConfirmationRequest::build(input, &Secret::new(random::bytes()))?)
}

fn mediator(snapshot: &Snapshot<'_>) -> Result<MediatorId, ParticipantError> {
    snapshot.mediators().into_iter().next().ok_or(ParticipantError::NoMediator)
}
