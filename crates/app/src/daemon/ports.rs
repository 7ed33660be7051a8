//! The ports of all nodes in a file, for whoever let the system choose them.

use ::node::Nodes;
use serde_json::{Map, Value, json};
use std::{fs, io, path::Path};

/// Writes `{"node": {"adminApi": port, …}, …}`. The file appears with all of its content.
pub(crate) fn write(path: &Path, nodes: &Nodes) -> io::Result<()> {
    let mut all = Map::new();
    for node in nodes.status().nodes {
        let ports = node.ports.iter().map(|port| (format!("{}Api", port.name), json!(port.port)));
        all.insert(node.name, Value::Object(ports.collect()));
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, format!("{:#}", Value::Object(all)))?;
    fs::rename(&beside, path)
}
