//! A TCP proxy between a program and a service that can reset, refuse and swallow, so that faults hit the code that ships.
//!
//! It knows no protocol. A world sets it up in front of the real service and gives the program the proxy's address.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};

/// Bytes carried at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Injections that may wait for a slow connection.
const MAX_INJECTIONS: usize = 16;

/// A proxy on a free loopback port; everything it carries ends when it is dropped.
#[derive(Debug)]
pub struct ChaosProxy {
    addr: SocketAddr,
    levers: Levers,
    listening: JoinHandle<()>,
}

#[derive(Clone, Debug)]
struct Levers {
    mode: watch::Sender<Mode>,
    n_cuts: watch::Sender<u64>,
    injections: broadcast::Sender<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Bytes flow.
    Pass,
    /// Connections open and stay open, and nothing comes through; what was sent comes through after a restore, as TCP
    /// would resend it.
    BlackHole,
    /// New connections are reset at once.
    Refuse,
}

impl ChaosProxy {
    /// Listens, and carries every connection to `upstream`.
    ///
    /// # Errors
    /// When no loopback port can be had.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let levers = Levers {
            mode: watch::Sender::new(Mode::Pass),
            n_cuts: watch::Sender::new(0),
            injections: broadcast::Sender::new(MAX_INJECTIONS),
        };
        let listening = tokio::spawn(listen(listener, upstream, levers.clone()));
        Ok(Self { addr, levers, listening })
    }

    /// Where the program shall connect to.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Resets every open connection, on both sides. New ones are carried as before.
    pub fn cut(&self) {
        self.levers.n_cuts.send_modify(|n_cuts| *n_cuts += 1);
    }

    /// Lets nothing through any more, in silence, until [`ChaosProxy::restore`].
    pub fn black_hole(&self) {
        self.levers.mode.send_replace(Mode::BlackHole);
    }

    /// Resets every open connection and every new one, until [`ChaosProxy::restore`].
    pub fn refuse(&self) {
        self.levers.mode.send_replace(Mode::Refuse);
        self.cut();
    }

    /// Carries everything again.
    pub fn restore(&self) {
        self.levers.mode.send_replace(Mode::Pass);
    }

    /// Sends bytes to every connected program as if the service had. Only sensible while the service is silent, because the
    /// proxy does not know where a message of the protocol ends.
    ///
    /// Returns how many connections they go to.
    pub fn inject(&self, bytes: &[u8]) -> usize {
        self.levers.injections.send(bytes.to_vec()).unwrap_or(0)
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, upstream: SocketAddr, levers: Levers) {
    let mut carried = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A client that is gone before it was accepted is no concern of the proxy.
                let Ok((client, _)) = accepted else { continue };
                carried.spawn(carry(client, upstream, levers.clone()));
            }
            Some(_done) = carried.join_next() => {}
        }
    }
}

/// Carries one connection until a side closes it or a cut resets it.
async fn carry(mut client: TcpStream, upstream: SocketAddr, levers: Levers) {
    let mut n_cuts = levers.n_cuts.subscribe();
    let mut mode = levers.mode.subscribe();
    let injections = levers.injections.subscribe();
    if *mode.borrow() == Mode::Refuse {
        reset(&client);
        return;
    }
    let service = tokio::select! {
        service = dial(upstream, &mut mode) => service,
        _cut = n_cuts.changed() => return reset(&client),
    };
    let Ok(mut service) = service else { return reset(&client) };
    let is_cut = {
        let (from_client, to_client) = client.split();
        let (from_service, to_service) = service.split();
        tokio::select! {
            _cut = n_cuts.changed() => true,
            _closed = pump(from_client, to_service, mode.clone(), None) => false,
            _closed = pump(from_service, to_client, mode.clone(), Some(injections)) => false,
        }
    };
    if is_cut {
        reset(&client);
        reset(&service);
    }
}

async fn dial(upstream: SocketAddr, mode: &mut watch::Receiver<Mode>) -> io::Result<TcpStream> {
    pass(mode).await;
    let service = TcpStream::connect(upstream).await?;
    service.set_nodelay(true)?;
    Ok(service)
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut mode: watch::Receiver<Mode>,
    mut injections: Option<broadcast::Receiver<Vec<u8>>>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let injected = async {
            match &mut injections {
                Some(injections) => injections.recv().await.ok(),
                None => std::future::pending().await,
            }
        };
        let chunk = tokio::select! {
            n_read = from.read(&mut buffer) => buffer.get(..n_read?).unwrap_or_default().to_vec(),
            Some(bytes) = injected => bytes,
        };
        pass(&mut mode).await;
        if chunk.is_empty() {
            return Ok(());
        }
        to.write_all(&chunk).await?;
    }
}

/// Waits until bytes may flow.
async fn pass(mode: &mut watch::Receiver<Mode>) {
    // An error means that the proxy is gone, and this task is about to be aborted.
    if mode.wait_for(|mode| *mode == Mode::Pass).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Makes the socket end with a reset instead of a farewell once it is dropped.
fn reset(socket: &TcpStream) {
    // It fails on a socket that is closed already, which is as good.
    socket.set_zero_linger().ok();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// A service that sends back what it gets.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reading, mut writing) = socket.split();
                    tokio::io::copy(&mut reading, &mut writing).await
                });
            }
        });
        addr
    }

    async fn round_trip(socket: &mut TcpStream) -> io::Result<()> {
        socket.write_all(b"ping").await?;
        read_ping(socket).await
    }

    async fn read_ping(socket: &mut TcpStream) -> io::Result<()> {
        let mut answer = [0; 4];
        socket.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"ping");
        Ok(())
    }

    #[tokio::test]
    async fn bytes_flow_both_ways() {
        let proxy = ChaosProxy::start(echo().await).await.unwrap();
        let mut socket = TcpStream::connect(proxy.addr()).await.unwrap();
        round_trip(&mut socket).await.unwrap();
    }

    #[tokio::test]
    async fn a_cut_resets_what_is_open_and_spares_what_comes() {
        let proxy = ChaosProxy::start(echo().await).await.unwrap();
        let mut socket = TcpStream::connect(proxy.addr()).await.unwrap();
        round_trip(&mut socket).await.unwrap();
        proxy.cut();
        let error = socket.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);

        let mut socket = TcpStream::connect(proxy.addr()).await.unwrap();
        round_trip(&mut socket).await.unwrap();
    }

    #[tokio::test]
    async fn a_black_hole_is_silent_and_loses_nothing() {
        let proxy = ChaosProxy::start(echo().await).await.unwrap();
        let mut socket = TcpStream::connect(proxy.addr()).await.unwrap();
        round_trip(&mut socket).await.unwrap();
        proxy.black_hole();
        socket.write_all(b"ping").await.unwrap();
        let silence = timeout(Duration::from_millis(50), socket.peek(&mut [0])).await;
        assert!(silence.is_err(), "something came through a black hole");
        proxy.restore();
        read_ping(&mut socket).await.unwrap();
    }

    #[tokio::test]
    async fn a_black_hole_accepts_connections_and_says_nothing() {
        let proxy = ChaosProxy::start(echo().await).await.unwrap();
        proxy.black_hole();
        let mut socket = TcpStream::connect(proxy.addr()).await.unwrap();
        socket.write_all(b"ping").await.unwrap();
        proxy.restore();
        read_ping(&mut socket).await.unwrap();
    }

    #[tokio::test]
    async fn refused_connections_are_reset_until_restored() {
        let proxy = ChaosProxy::start(echo().await).await.unwrap();
        proxy.refuse();
        let mut socket = TcpStream::connect(proxy.addr()).await.unwrap();
        assert!(socket.read_u8().await.is_err());
        proxy.restore();
        let mut socket = TcpStream::connect(proxy.addr()).await.unwrap();
        round_trip(&mut socket).await.unwrap();
    }

    #[tokio::test]
    async fn injected_bytes_look_like_the_services() {
        let proxy = ChaosProxy::start(echo().await).await.unwrap();
        let mut socket = TcpStream::connect(proxy.addr()).await.unwrap();
        round_trip(&mut socket).await.unwrap();
        assert_eq!(proxy.inject(b"ping"), 1);
        read_ping(&mut socket).await.unwrap();
    }
}
