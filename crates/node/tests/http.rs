//! HTTP health, as a load balancer sees it.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use futures::FutureExt as _;
use node::{Check, HealthServer, NodeKind, NodeStatus, Nodes};
use rpc::Listen;
use std::{net::SocketAddr, sync::Arc};
use tasks::Tasks;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

fn participant(role: &str) -> NodeStatus {
    NodeStatus {
        name: "p".into(),
        kind: NodeKind::Participant.into(),
        role: role.into(),
        initialized: true,
        ready: true,
        ..NodeStatus::default()
    }
}

fn nodes(all: &[NodeStatus]) -> Nodes {
    let nodes = Nodes::default();
    for status in all.iter().cloned() {
        nodes.register(&status.name.clone(), None, move || status.clone());
    }
    nodes
}

async fn serve(nodes: Nodes, check: Check, tasks: &Tasks) -> SocketAddr {
    let server = HealthServer::bind(&Listen { address: "127.0.0.1".into(), port: 0 }).await.unwrap();
    let address = server.address();
    server.serve(nodes, check, tasks);
    address
}

/// Status and body.
async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// What `/health` says with the check for the active replica.
async fn is_active(all: &[NodeStatus], node: Option<&str>) -> (u16, String) {
    let (tasks, _supervisor) = Tasks::new("test");
    let check = Check::IsActive { node: node.map(str::to_owned) };
    get(serve(nodes(all), check, &tasks).await, "/health").await
}

fn no(reason: &str) -> (u16, String) {
    (500, reason.to_owned())
}

#[tokio::test]
async fn only_the_active_replica_is_healthy() {
    let ok = (200, "healthy".to_owned());
    assert_eq!(is_active(&[participant("Active")], None).await, ok);
    assert_eq!(is_active(&[participant("Passive")], None).await, no("Participant is not active"));
    assert_eq!(is_active(&[participant("Leaving")], None).await, no("Participant is not active"));
    let new = NodeStatus { initialized: false, ..participant("Active") };
    assert_eq!(is_active(&[new], None).await, no("Participant is not initialized"));
    assert_eq!(is_active(&[], None).await, no("Participant is not running"));
    assert_eq!(is_active(&[participant("Active")], Some("q")).await, no("Participant is not running"));

    let sequencer = NodeStatus { name: "s".into(), kind: NodeKind::Sequencer.into(), ..participant("Online") };
    assert_eq!(is_active(std::slice::from_ref(&sequencer), None).await, ok);
    assert_eq!(is_active(&[sequencer.clone(), participant("Passive")], None).await.0, 500, "the first participant");
    assert_eq!(is_active(&[participant("Passive"), sequencer], Some("s")).await, ok);
}

#[tokio::test]
async fn ready_is_who_can_serve_or_forward() {
    let (tasks, supervisor) = Tasks::new("test");
    let stuck = NodeStatus { name: "q".into(), ready: false, trouble: "no disk".into(), ..participant("Passive") };
    let ready = serve(nodes(&[participant("Passive")]), Check::AlwaysHealthy, &tasks).await;
    assert_eq!(get(ready, "/readyz").await.0, 200);
    assert_eq!(get(ready, "/health").await.0, 200);
    assert_eq!(get(ready, "/livez").await.0, 200);
    assert_eq!(get(ready, "/other").await.0, 404);

    let failing = Check::Probe(Arc::new(|| async { Err("ping failure".to_owned()) }.boxed()));
    let unready = serve(nodes(&[participant("Active"), stuck]), failing, &tasks).await;
    assert_eq!(get(unready, "/readyz").await, (503, "q is not ready: no disk".to_owned()));
    assert_eq!(get(unready, "/livez").await.0, 200, "restarting it would not help");
    assert_eq!(get(unready, "/health").await, (503, "ping failure".to_owned()));
    assert_eq!(supervisor.shutdown(std::time::Duration::from_secs(30)).await.unfinished, [""; 0]);
}
