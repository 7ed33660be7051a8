//! Packages on their way from the database into the engine: all replicas show values by their types, so all need them.

use crate::{
    ParticipantError,
    interpreter::{Dar, Interpreter},
    store::{self, UploadedDar},
};
use ::ledger::{Ledger, package_row};
use ::store::{Db, Statement};
use base::Timestamp;
use std::sync::Arc;
use tasks::Tasks;
use telemetry::Trouble;

/// Told when packages were added.
pub(crate) const CHANGED: &str = "packages";

/// What a DAR is called by: 1220 and the SHA-256 of the file, in hexadecimal.
#[must_use]
pub fn dar_hash(dar: &[u8]) -> String {
    format!("1220{}", crypto::sha256(dar).to_hex())
}

/// What is stored of a DAR: its packages, and that it was there.
pub(crate) fn rows(bytes: &[u8], dar: &Dar, now: Timestamp) -> Vec<Statement> {
    let mut rows: Vec<_> = dar
        .packages
        .iter()
        .map(|package| {
            let (name, version) = package.name.clone().unzip();
            package_row(&package.id, name.as_ref(), version.as_ref(), now, package.payload.clone())
        })
        .collect();
    // Dependencies come first.
    if let Some(main) = dar.packages.last() {
        let name = main.name.as_ref().map_or(main.id.as_str(), |(name, _)| name.as_str()).to_owned();
        rows.push(store::dar_row(&UploadedDar { hash: dar_hash(bytes), name, main: main.id.clone() }));
    }
    rows
}

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
