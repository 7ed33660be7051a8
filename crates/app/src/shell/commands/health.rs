//! How a node is.

use super::{Node, argument, check, refused};
use crate::shell::nodes::Kind;
use ::console::{Argument, Value};
use rpc::services::concordat::admin::v1::{
    node_service_client::NodeServiceClient, participant_admin_service_client::ParticipantAdminServiceClient,
};
use std::{collections::BTreeMap, fmt::Write as _, time::Duration};
use wire::concordat::admin::v1::{NodeStatus, PingRequest, StatusRequest, StatusResponse};

/// The status of a node, and what its process says of itself.
pub(in crate::shell) async fn ask(node: &Node) -> Result<(NodeStatus, StatusResponse), String> {
    let answer = NodeServiceClient::new(node.admin.clone()).status(StatusRequest {}).await.map_err(refused)?;
    let answer = answer.into_inner();
    // A remote node may be called otherwise in its own process.
    let found = answer.nodes.iter().find(|status| status.name == node.name).or(answer.nodes.first()).cloned();
    found.map(|status| (status, answer)).ok_or_else(|| "the process runs no node".into())
}

/// Looks until a node is as it is wished to be.
pub(super) async fn wait(node: &Node, is_so: impl Fn(&NodeStatus) -> bool) -> Result<Value, String> {
    while !ask(node).await.is_ok_and(|(status, _)| is_so(&status)) {
        tokio::time::sleep(crate::shell::PAUSE).await;
    }
    Ok(Value::Unit)
}

/// `health.ping`
pub(super) async fn ping(nodes: &BTreeMap<String, Node>, node: &Node, arguments: &[Argument]) -> Result<Value, String> {
    check(arguments, &["participantId", "timeout"])?;
    let other = super::participant_id(nodes, &argument(arguments, 0, "participantId")?).await?;
    let timeout = match argument(arguments, 1, "timeout") {
        Ok(Value::Duration(timeout)) => timeout.as_millis().try_into().unwrap_or(u64::MAX),
        Ok(other) => return Err(format!("the timeout is a duration such as 20.seconds, not {}", other.type_name())),
        Err(_) => 0,
    };
    let request = PingRequest { participant_id: other.to_string(), timeout_ms: timeout };
    let answer = ParticipantAdminServiceClient::new(node.admin.clone()).ping(request).await.map_err(refused)?;
    Ok(Value::Duration(Duration::from_millis(answer.into_inner().took_ms)))
}

/// `health.status`, in the lines of the field's.
pub(super) async fn shown(node: &Node) -> Result<Value, String> {
    let (status, process) = ask(node).await?;
    let mut connected = Vec::new();
    if node.kind == Kind::Participant && status.initialized {
        connected = super::domains::registered(node).await?;
        connected.retain(|synchronizer| synchronizer.connected);
    }
    let connected: Vec<String> = connected.into_iter().map(|synchronizer| synchronizer.synchronizer_id).collect();
    Ok(Value::Report("NodeStatus", lines(node.kind, &status, &process, &connected).into()))
}

/// A member as the console names it: those that stand for a synchronizer by its identifier.
pub(super) fn named(kind: Kind, member: &str) -> &str {
    match kind {
        Kind::Manager | Kind::Domain => member.strip_prefix("DOM::").unwrap_or(member),
        _ => member,
    }
}

fn lines(kind: Kind, status: &NodeStatus, process: &StatusResponse, connected: &[String]) -> String {
    let is_active = ["Active", "Online"].contains(&status.role.as_str());
    if !status.initialized {
        return format!("NotInitialized(active = {is_active})");
    }
    let title = match kind {
        Kind::Participant => "Participant id",
        Kind::Domain => "Domain id",
        _ => "Node uid",
    };
    let uptime = Duration::from_millis(process.uptime_ms).as_secs_f64();
    let mut text = format!("{title}: {}\nUptime: {uptime}s\nPorts: ", named(kind, &status.member));
    for port in &status.ports {
        let _ = write!(text, "\n\t{}: {}", port.name, port.port);
    }
    if kind == Kind::Participant {
        let each: Vec<String> = connected.iter().map(|domain| format!("\n\t{domain}")).collect();
        let shown = if each.is_empty() { "None".into() } else { each.concat() };
        let _ = write!(text, "\nConnected domains: {shown}");
    }
    if matches!(kind, Kind::Sequencer | Kind::Domain) {
        let _ = write!(text, "\nSequencer: SequencerHealthStatus(active = {is_active})");
    } else {
        let _ = write!(text, "\nActive: {is_active}");
    }
    let trouble = if status.trouble.is_empty() { "Ok()".into() } else { format!("Failed({})", status.trouble) };
    let _ = write!(text, "\nComponents: \n\t{} : {trouble}\nVersion: {}", status.role.to_lowercase(), process.version);
    text
}

#[cfg(test)]
mod tests {
    use super::{Kind, lines};
    use wire::concordat::admin::v1::{NodeStatus, PortStatus, StatusResponse};

    #[test]
    fn the_status_has_the_lines_of_the_field() {
        let process = StatusResponse { uptime_ms: 1500, version: "1".into(), ..StatusResponse::default() };
        let mut status = NodeStatus { role: "Passive".into(), ..NodeStatus::default() };
        assert_eq!(lines(Kind::Mediator, &status, &process, &[]), "NotInitialized(active = false)");
        status.initialized = true;
        status.role = "Active".into();
        status.member = "PAR::p::1220".into();
        status.ports = vec![PortStatus { name: "ledger".into(), port: 5011 }];
        let text = "Participant id: PAR::p::1220\nUptime: 1.5s\nPorts: \n\tledger: 5011\nConnected domains: None\n\
                    Active: true\nComponents: \n\tactive : Ok()\nVersion: 1";
        assert_eq!(lines(Kind::Participant, &status, &process, &[]), text);
        status.trouble = "the disk is full".into();
        let text = lines(Kind::Participant, &status, &process, &["d::1220".into()]);
        assert!(
            text.contains("Connected domains: \n\td::1220\n") && text.contains("Failed(the disk is full)"),
            "{text}"
        );
    }
}
