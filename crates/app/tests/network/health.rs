//! The health servers of the configuration, as load balancers see them.

use crate::harness::{Daemon, channel, eventually, free_ports, ready};
use std::fs;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// Status and body, asked as simply as the simplest load balancer asks: HTTP/1.0 without a host.
pub(crate) async fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

async fn serves(port: u16, service: &str) -> Option<bool> {
    let request = HealthCheckRequest { service: service.into() };
    let answer = HealthClient::new(channel(port)).check(request).await.ok()?;
    Some(answer.into_inner().status == 1)
}

#[tokio::test]
async fn only_the_active_replica_is_healthy() {
    let folder = tempfile::tempdir().unwrap();
    let ports: [[u16; 5]; 2] = [free_ports(), free_ports()];
    let start = |n: usize| {
        let [admin, ledger, process, http, grpc] = ports[n];
        let config = folder.path().join(format!("{n}.conf"));
        let text = format!(
            "canton {{
              participants.p{n} {{
                storage {{ type = sqlite, config.file = \"p.db\" }}
                admin-api.port = {admin}, ledger-api.port = {ledger}
                monitoring.http-health-server {{ address = 127.0.0.1, port = {http} }}
                monitoring.grpc-health-server {{ address = 127.0.0.1, port = {grpc} }}
              }}
              monitoring.health {{ server {{ address = 127.0.0.1, port = {process} }}, check.type = is-active }}
            }}"
        );
        fs::write(&config, text).unwrap();
        Daemon::start(folder.path(), &config)
    };
    let active = start(0);
    ready(ports[0][0], "p0").await;
    let _passive = start(1);
    ready(ports[1][0], "p1").await;
    assert_eq!(get(ports[0][2], "/health").await, Some((200, "healthy".into())));
    assert_eq!(get(ports[1][2], "/health").await, Some((500, "Participant is not active".into())));
    // A passive replica passes writes on, so that it serves all the same.
    for [_, _, process, http, grpc] in ports {
        for path in ["/health", "/health/ready", "/health/live"] {
            assert_eq!(get(http, path).await.unwrap().0, 200, "{path}");
        }
        assert_eq!(get(process, "/readyz").await.unwrap().0, 200);
        assert_eq!(get(process, "/nothing").await.unwrap().0, 404);
        for service in ["", "participant", "liveness"] {
            eventually(&format!("{service:?} serving"), async || serves(grpc, service).await.filter(|s| *s)).await;
        }
        assert_eq!(serves(grpc, "nobody").await, None);
    }
    active.kill();
    let taken_over = async || get(ports[1][2], "/health").await.filter(|(status, _)| *status == 200);
    eventually("the other replica becoming active", taken_over).await;
}

#[tokio::test]
async fn every_kind_of_node_has_health_servers() {
    let folder = tempfile::tempdir().unwrap();
    let [admin, public, sequencer_admin, sequencer_public, mediator_admin, process] = free_ports();
    let [domain_http, domain_grpc, sequencer_http, sequencer_grpc, mediator_http, mediator_grpc] = free_ports();
    let servers = |http: u16, grpc: u16| {
        format!(
            "monitoring {{ http-health-server {{ address = localhost, port = {http} }}
             grpc-health-server {{ address = localhost, port = {grpc} }} }}"
        )
    };
    let config = folder.path().join("all.conf");
    let text = format!(
        "canton {{
          domains.d {{ admin-api.port = {admin}, public-api.port = {public}, {} }}
          sequencers.s {{ admin-api.port = {sequencer_admin}, public-api.port = {sequencer_public}, {} }}
          mediators.m {{ admin-api.port = {mediator_admin}, {} }}
          monitoring.health {{ server {{ address = localhost, port = {process} }}, check {{ type = is-active, node = d }} }}
        }}",
        servers(domain_http, domain_grpc),
        servers(sequencer_http, sequencer_grpc),
        servers(mediator_http, mediator_grpc),
    );
    fs::write(&config, text).unwrap();
    let _daemon = Daemon::start(folder.path(), &config);
    ready(admin, "d").await;
    for (grpc, service) in
        [(domain_grpc, "domain"), (mediator_grpc, "mediator"), (public, "sequencer-health-check-service")]
    {
        eventually(service, async || serves(grpc, service).await.filter(|serves| *serves)).await;
    }
    assert_eq!(get(domain_http, "/health").await.unwrap().0, 200);
    assert_eq!(get(process, "/health").await, Some((200, "healthy".into())));
    // Nobody has founded a synchronizer on the sequencer, so that it lives and does not serve.
    assert_eq!(get(sequencer_http, "/health").await.unwrap().0, 503);
    assert_eq!(get(sequencer_http, "/health/live").await.unwrap().0, 200);
    assert_eq!(serves(sequencer_grpc, "sequencer").await, Some(false));
    assert_eq!(serves(sequencer_grpc, "liveness").await, Some(true));
}
