//! Packages on their way from the database into the engine: all replicas show values by their types, so all need them.

use crate::{ParticipantError, interpreter::Interpreter};
use ::ledger::Ledger;
use ::store::Db;
use std::sync::Arc;
use tasks::Tasks;
use telemetry::Trouble;

/// Told when packages were added.
pub(crate) const CHANGED: &str = "packages";

/// Makes all stored packages known to the engine.
pub(crate) async fn load(
    ledger: &Ledger,
    interpreter: &Arc<dyn Interpreter>,
    tasks: &Tasks,
) -> Result<(), ParticipantError> {
    for package in ledger.packages().await? {
        if interpreter.has_package(&package.id) {
            continue;
        }
        let Some(payload) = ledger.package(&package.id).await? else { continue };
        let engine = interpreter.clone();
        let add = move || engine.add_package(&package.id, &payload);
        tasks.spawn_blocking("read package", add).await.map_err(|_| ParticipantError::Passive)??;
    }
    Ok(())
}

/// Keeps doing that on a replica, whatever its role, until the scope of `tasks` is cancelled.
pub fn follow_packages(db: &Db, interpreter: Arc<dyn Interpreter>, tasks: &Tasks) {
    let ledger = Ledger::new(db.clone());
    let mut changed = db.listen(CHANGED);
    let scope = tasks.clone();
    let mut trouble = Trouble::new("packages cannot be read; values are shown without their types");
    let follow = async move {
        loop {
            trouble.note(load(&ledger, &interpreter, &scope).await);
            changed.changed().await;
        }
    };
    tasks.spawn_cancellable("follow packages", follow).detach();
}
