//! gRPC health: a replica serves if it can do the work or pass it on.

use crate::replica::{ActiveReplica, Replica};
use replica_core::Role;
use rpc::HealthReporter;
use tasks::Tasks;

/// This service name always serves as long as the process answers, also on a passive replica.
pub const LIVENESS: &str = "liveness";

impl Replica {
    /// Whether this replica does the work, or, if it `forwards`, knows who does.
    #[must_use]
    pub fn is_ready(&self, forwards: bool) -> bool {
        match self.active() {
            ActiveReplica::Here => true,
            ActiveReplica::At(_) => forwards && *self.role().borrow() == Role::Passive,
            ActiveReplica::Nobody => false,
        }
    }

    /// Keeps the answers of gRPC health for `services` up to date, as long as the scope of `tasks` lives.
    pub fn report_health(&self, health: HealthReporter, services: Vec<String>, forwards: bool, tasks: &Tasks) {
        let replica = self.clone();
        let (mut role, mut directory) = (self.role(), self.directory());
        let report = async move {
            health.set(LIVENESS, true).await;
            loop {
                let ready = replica.is_ready(forwards);
                for service in &services {
                    health.set(service, ready).await;
                }
                let changed = tokio::select! {
                    changed = role.changed() => changed,
                    changed = directory.changed() => changed,
                };
                if changed.is_err() {
                    return;
                }
            }
        };
        tasks.spawn_cancellable("gRPC health", report).detach();
    }
}
