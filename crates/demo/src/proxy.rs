//! Connections that can be cut: bytes neither arrive nor are lost, as where a network swallows packets for a while. Both ends
//! keep their connections and hear nothing.

use std::{io, net::Ipv4Addr};
use tasks::Tasks;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// Bytes on their way in one direction.
const BUFFER: usize = 64 * 1024;

/// Forwards connections to one address while it is not cut.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    is_whole: watch::Sender<bool>,
}

impl Proxy {
    /// Listens on a free port of this machine.
    pub(crate) async fn start(host: String, port: u16, tasks: &Tasks) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let own_port = listener.local_addr()?.port();
        let is_whole = watch::Sender::new(true);
        let (whole, scope) = (is_whole.subscribe(), tasks.clone());
        let accept = async move {
            while let Ok((client, _)) = listener.accept().await {
                let (host, whole) = (host.clone(), whole.clone());
                let forward = async move {
                    let mut open = whole.clone();
                    let server = async {
                        open.wait_for(|whole| *whole).await.ok()?;
                        TcpStream::connect((host.as_str(), port)).await.ok()
                    };
                    let Some(server) = server.await else { return };
                    // Small messages must not wait for each other.
                    let _ = (client.set_nodelay(true), server.set_nodelay(true));
                    let ((from_client, to_client), (from_server, to_server)) =
                        (client.into_split(), server.into_split());
                    tokio::select! {
                        () = pump(from_client, to_server, whole.clone()) => (),
                        () = pump(from_server, to_client, whole) => (),
                    }
                };
                scope.spawn_cancellable("proxied connection", forward).detach();
            }
        };
        tasks.spawn_cancellable("proxy", accept).detach();
        Ok(Self { port: own_port, is_whole })
    }

    /// Lets nothing through from now on.
    pub(crate) fn cut(&self) {
        self.is_whole.send_replace(false);
    }

    /// Lets everything through again, beginning with what came meanwhile.
    pub(crate) fn heal(&self) {
        self.is_whole.send_replace(true);
    }
}

/// One direction, until either end closes it.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut whole: watch::Receiver<bool>) {
    let mut buffer = vec![0; BUFFER];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        if whole.wait_for(|whole| *whole).await.is_err() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_cut_arrives_after_healing() {
        let (tasks, supervisor) = Tasks::new("test");
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = server.local_addr().unwrap().port();
        let proxy = Proxy::start("127.0.0.1".into(), port, &tasks).await.unwrap();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await.unwrap();
        let (mut served, _) = server.accept().await.unwrap();
        let mut buffer = [0; 3];
        client.write_all(b"one").await.unwrap();
        served.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"one");

        proxy.cut();
        client.write_all(b"two").await.unwrap();
        // A connection that is made now is accepted, and reaches nobody.
        let mut late = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await.unwrap();
        late.write_all(b"new").await.unwrap();
        let quiet = tokio::time::Duration::from_millis(50);
        assert!(tokio::time::timeout(quiet, served.read_exact(&mut buffer)).await.is_err());
        assert!(tokio::time::timeout(quiet, server.accept()).await.is_err());

        proxy.heal();
        served.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"two");
        let (mut second, _) = server.accept().await.unwrap();
        second.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"new");
        supervisor.shutdown(tokio::time::Duration::from_secs(1)).await;
    }
}
