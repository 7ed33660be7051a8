//! `concordat why` and `concordat handover`: one node of a running network.

use crate::{
    cli::{Output, Status},
    status::{StatusError, Target, all_targets},
};
use config::LoadError;
use rpc::RpcError;
use serde_json::json;
use std::process::ExitCode;
use wire::concordat::admin::v1::{NodeStatus, SetPassiveRequest, StatusResponse};

/// The node does not work, or did not hand over.
pub(crate) const NOT_SO: u8 = 3;
/// More is worth a word.
const LONG_LAG_MS: u64 = 1000;

/// What was asked cannot be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OperateError {
    #[error(transparent)]
    Status(#[from] StatusError),
    #[error(transparent)]
    Config(#[from] LoadError),
    #[error("the configuration names no node {0:?}; it names {1}")]
    Unknown(String, String),
    #[error("{0} does not answer at {1}: {2}; is its process running?")]
    Silent(String, String, String),
    #[error("the process at {0} runs no node {1:?}; it runs {2}")]
    Elsewhere(String, String, String),
    #[error("{0} is passive; {1} is active and is the one to hand over")]
    Passive(String, String),
    #[error(transparent)]
    Refused(#[from] RpcError),
}

/// Whether a node does its work, or leaves it to a replica that does, and what there is to say about it.
#[derive(Debug, PartialEq, Eq)]
struct Account {
    works: bool,
    says: Vec<String>,
}

/// Prints the account; exit code 3 if the node does not work.
pub(crate) async fn why(name: &str, options: &Status) -> Result<ExitCode, OperateError> {
    let target = target(name, options)?;
    let account = match target.ask().await {
        Ok(answer) => Account::of(node(&target, &answer)?),
        Err(why) => {
            let silent = OperateError::Silent(name.to_owned(), target.uri, why);
            Account { works: false, says: vec![silent.to_string()] }
        }
    };
    crate::print(&match options.output {
        Output::Json => format!("{:#}", json!({ "node": name, "works": account.works, "reasons": account.says })),
        Output::Table => {
            let verdict = if account.works { "works" } else { "does not work" };
            format!("{name} {verdict}\n  {}", account.says.join("\n  "))
        }
    });
    Ok(if account.works { ExitCode::SUCCESS } else { ExitCode::from(NOT_SO) })
}

/// Hands over and prints who took over, or with `dry_run` who could.
pub(crate) async fn hand_over(name: &str, dry_run: bool, options: &Status) -> Result<(), OperateError> {
    let target = target(name, options)?;
    let silent = |why| OperateError::Silent(name.to_owned(), target.uri.clone(), why);
    let answer = target.ask().await.map_err(silent)?;
    let node = node(&target, &answer)?;
    if node.role == "Passive" && !node.active_replica.is_empty() {
        return Err(OperateError::Passive(name.to_owned(), node.active_replica.clone()));
    }
    let request = SetPassiveRequest { node: node.name.clone(), dry_run };
    let mut client = target.client().map_err(|error| silent(error.to_string()))?;
    let done = client.set_passive(request).await.map_err(RpcError::from)?.into_inner();
    crate::print(&match (options.output, dry_run) {
        (Output::Json, true) => format!("{:#}", json!({ "from": name, "standbys": done.standbys })),
        (Output::Json, false) => {
            let (to, epoch) = (&done.replica, done.epoch);
            format!("{:#}", json!({ "from": name, "to": to, "epoch": epoch, "took_ms": done.took_ms }))
        }
        (Output::Table, true) => format!("{name} can hand over to {}", done.standbys.join(" or ")),
        (Output::Table, false) => {
            format!("{name} handed over to {} at epoch {} within {} ms", done.replica, done.epoch, done.took_ms)
        }
    });
    Ok(())
}

fn target(name: &str, options: &Status) -> Result<Target, OperateError> {
    let (config, _) = options.source.load()?;
    let all = all_targets(&config)?;
    let names: Vec<_> = all.iter().map(|target| target.name.clone()).collect();
    let found = all.into_iter().find(|target| target.name == name);
    found.ok_or_else(|| OperateError::Unknown(name.to_owned(), names.join(", ")))
}

/// The node among those of its process; a remote one may be called differently there.
fn node<'a>(target: &Target, answer: &'a StatusResponse) -> Result<&'a NodeStatus, OperateError> {
    match &answer.nodes[..] {
        [only] => Ok(only),
        all => all.iter().find(|node| node.name == target.name).ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|node| node.name.as_str()).collect();
            OperateError::Elsewhere(target.uri.clone(), target.name.clone(), names.join(", "))
        }),
    }
}

impl Account {
    fn of(node: &NodeStatus) -> Self {
        let (role, active) = (node.role.as_str(), node.active_replica.as_str());
        let mut says = Vec::new();
        let works = match role {
            _ if !node.initialized => {
                says.push("it is not initialized: it has not been told of a synchronizer yet".to_owned());
                false
            }
            "Active" | "Online" if node.ready => {
                let term = if role == "Online" { "incarnation" } else { "epoch" };
                says.push(format!("it is {} under {term} {}", role.to_lowercase(), node.epoch));
                true
            }
            "Passive" if !active.is_empty() => {
                let passes_on = if node.ready { "; calls that come here are passed on" } else { "" };
                says.push(format!("it is passive and {active} does the work{passes_on}"));
                true
            }
            _ => {
                says.push(format!("it is {}", role.to_lowercase()));
                if role == "Passive" {
                    says.push("no replica is active".to_owned());
                }
                false
            }
        };
        if !node.trouble.is_empty() {
            says.push(node.trouble.clone());
        }
        if let Some(lag) = node.lag_ms.filter(|lag| *lag > LONG_LAG_MS) {
            says.push(format!("what it shows was {lag} ms behind when it last saw anything new"));
        }
        let others = node.replicas.iter().filter(|replica| replica.name != node.name);
        says.extend(others.map(|r| format!("replica {} is {} at {}", r.name, r.role.to_lowercase(), r.admin_uri)));
        Self { works, says }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(role: &str, ready: bool, active: &str) -> NodeStatus {
        let (initialized, epoch) = (true, 7);
        NodeStatus {
            name: "p1".into(),
            role: role.into(),
            ready,
            active_replica: active.into(),
            initialized,
            epoch,
            ..Default::default()
        }
    }

    #[test]
    fn accounts_name_the_cause() {
        let stale = NodeStatus { trouble: "the database does not answer".into(), ..status("Active", false, "p1") };
        let unknown = NodeStatus { initialized: false, ..status("Passive", false, "") };
        for (node, works, part) in [
            (status("Active", true, "p1"), true, "active under epoch 7"),
            (status("Online", true, ""), true, "online under incarnation 7"),
            (status("Passive", true, "p2"), true, "p2 does the work; calls that come here are passed on"),
            (status("Passive", false, "p2"), true, "p2 does the work"),
            (status("Passive", false, ""), false, "no replica is active"),
            (status("Activating", false, ""), false, "it is activating"),
            (stale, false, "the database does not answer"),
            (unknown, false, "not been told of a synchronizer"),
            (NodeStatus { lag_ms: Some(2500), ..status("Active", true, "p1") }, true, "2500 ms behind"),
        ] {
            let account = Account::of(&node);
            assert_eq!(account.works, works, "{account:?}");
            assert!(account.says.iter().any(|says| says.contains(part)), "{part:?} is not in {account:?}");
        }
    }
}
