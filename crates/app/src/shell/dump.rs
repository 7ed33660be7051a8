//! `health.dump`: a folder with what somebody needs to know who is asked for help.

use super::{
    commands::{argument, check, registered, status_of},
    made,
    nodes::{Kind, Node},
};
use ::console::{Argument, Value};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// Writes configuration and versions once, and of every node its status and, of participants, its synchronizers. Nodes
/// that do not answer are in it with the reason. Returns where it is.
pub(super) async fn write<'a>(
    configuration: &str,
    nodes: impl Iterator<Item = &'a Node>,
    arguments: &[Argument],
) -> Result<Value, String> {
    check(arguments, &["outputFile", "timeout", "chunkSize"])?;
    let folder = match argument(arguments, 0, "outputFile") {
        Ok(path) => PathBuf::from(path.plain()),
        Err(_) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            PathBuf::from(format!("concordat-dump-{now}"))
        }
    };
    fs::create_dir(&folder).map_err(|error| format!("{}: {error}; name a folder that is new", folder.display()))?;
    let mut shown = Vec::new();
    for node in nodes {
        shown.push(of(node).await);
    }
    let save = |name: &str, text: String| save(&folder.join(name), text);
    save("configuration.conf", configuration.to_owned())?;
    save(
        "versions.txt",
        format!("concordat {}\n{} {}\n", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH),
    )?;
    save("nodes.json", format!("{:#}\n", json!({ "nodes": shown })))?;
    made(Value::text(&folder.display().to_string()))
}

fn save(path: &Path, text: String) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

async fn of(node: &Node) -> serde_json::Value {
    let (status, process) = match status_of(node).await {
        Ok(status) => status,
        Err(why) => return json!({ "name": node.name, "does_not_answer": why }),
    };
    let ports: serde_json::Map<_, _> = status.ports.iter().map(|p| (p.name.clone(), p.port.into())).collect();
    let replicas: Vec<_> = status.replicas.iter().map(|r| json!({ "name": r.name, "role": r.role })).collect();
    let mut shown = json!({
        "name": node.name, "role": status.role, "epoch": status.epoch, "initialized": status.initialized,
        "member": status.member, "ports": ports, "lag_ms": status.lag_ms, "active_replica": status.active_replica,
        "trouble": status.trouble, "ready": status.ready, "replicas": replicas, "version": process.version,
        "resident_bytes": process.resident_bytes, "uptime_ms": process.uptime_ms,
    });
    if node.kind == Kind::Participant {
        shown["synchronizers"] = match registered(node).await {
            Ok(all) => all
                .into_iter()
                .map(|s| {
                    let config = s.config.unwrap_or_default();
                    json!({
                        "alias": config.alias, "id": s.synchronizer_id, "connected": s.connected,
                        "sequencers": config.sequencers, "manual_connect": config.manual_connect,
                        "priority": config.priority,
                    })
                })
                .collect(),
            Err(why) => json!({ "does_not_answer": why }),
        };
    }
    shown
}
