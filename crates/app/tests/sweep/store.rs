//! What the mediator's file says, beside its processes.

use checker::Record;
use protocol::message::{EnvelopeContent, Verdict};
use std::path::Path;
use store::{Db, StorageConfig};
use tasks::Tasks;

/// Every verdict that the mediator stored.
pub(crate) async fn verdicts(network: &Path, tasks: &Tasks) -> Vec<Record> {
    let storage = StorageConfig::Sqlite { path: network.join("mediator.db") };
    let db = Db::open(&storage, "reader", &[], tasks).await.unwrap();
    let rows = db.query("select request, result from mediator_verdicts", []).await.unwrap();
    let verdict = |row: &store::Row| match EnvelopeContent::decode(row.bytes(1).unwrap()) {
        Ok(EnvelopeContent::Result(signed)) => {
            let approved = signed.content().verdict == Verdict::Approve;
            Record::Verdict { record_time: row.int(0).unwrap(), approved }
        }
        other => panic!("no verdict: {other:?}"),
    };
    rows.iter().map(verdict).collect()
}
