//! gRPC health: a replica serves if it can do the work or pass it on.

use crate::replica::Replica;
use rpc::HealthReporter;
use tasks::Tasks;

/// This service name always serves as long as the process answers, also on a passive replica.
pub const LIVENESS: &str = "liveness";

impl Replica {
    /// Answers gRPC health for `services` from now on, and keeps the answers up to date as long as the scope of `tasks`
    /// lives.
    pub async fn report_health(&self, health: HealthReporter, services: Vec<String>, tasks: &Tasks) {
        let replica = self.clone();
        let (mut role, mut directory) = (self.role(), self.directory());
        let lease = self.config().profile.lease();
        health.set(LIVENESS, true).await;
        set(&health, &services, self.is_ready()).await;
        let report = async move {
            loop {
                let changed = tokio::select! {
                    changed = role.changed() => changed,
                    changed = directory.changed() => changed,
                    () = tokio::time::sleep(lease) => Ok(()), // freshness ends without a change of role
                };
                set(&health, &services, changed.is_ok() && replica.is_ready()).await;
                if changed.is_err() {
                    return;
                }
            }
        };
        tasks.spawn_cancellable("gRPC health", report).detach();
    }
}

async fn set(health: &HealthReporter, services: &[String], ready: bool) {
    for service in services {
        health.set(service, ready).await;
    }
}
