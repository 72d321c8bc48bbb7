//! One AMQP connection that can be ended at once, whatever state lapin's IO thread is in.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::tcp::{AMQPUriTcpExt, AsyncTcpStream, TLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use super::fault::{Fault, OPEN, call};
use super::{Config, HEARTBEAT_SECONDS};

/// A host or role longer than this is cut in names; AMQP allows 255 bytes for the whole.
const MAX_NAME_PART_CHARS: usize = 64;

/// Numbers the connections of this process.
static N_OPENED: AtomicU64 = AtomicU64::new(0);

/// A connection and the means to end it.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) amqp_connection: Connection,
    /// `infill-<role>@<host>#<n>`; the consumers on it carry the same name as their tag.
    pub(super) name: String,
    /// `None` once closed.
    plug: Mutex<Option<Plug>>,
}

impl Wire {
    /// Opens a connection; `purpose` is shown on the management page.
    pub(super) async fn open(config: &Config, purpose: &'static str) -> Result<Self, Fault> {
        let uri = parse(config)?;
        let name = name(config);
        let properties = ConnectionProperties::default()
            .with_connection_name(name.clone().into())
            .with_client_property("product".into(), "Infill".into())
            .with_client_property("purpose".into(), purpose.into());
        let plug = Plug::default();
        let limit = config.timeouts.connect;
        let runtime =
            lapin::runtime::default_runtime().map_err(|source| Fault::Amqp { operation: OPEN, source })?;
        let socket = Arc::clone(&plug.0);
        let connecting = Connection::connector(
            uri,
            runtime,
            async move |uri, runtime| {
                let dialled = async {
                    // In the clear first, whatever the scheme: the plug needs the bare socket.
                    let clear = AMQPUri { scheme: AMQPScheme::AMQP, ..uri.clone() };
                    let stream = clear.connect_async(&runtime).await?;
                    if let AsyncTcpStream::Plain(plain) = &stream {
                        socket.hold(plain.get_ref())?;
                    }
                    match uri.scheme {
                        AMQPScheme::AMQP => Ok(stream),
                        AMQPScheme::AMQPS => stream.into_tls(&uri.authority.host, TLSConfig::default()).await,
                    }
                };
                // lapin dials on a thread of its own, which nobody would stop when the caller gives up.
                timeout(limit, dialled)
                    .await
                    .map_err(std::io::Error::from)
                    .flatten()
                    .map_err(lapin::Error::from)
            },
            properties,
        );
        // Boxed: lapin's handshake is a future of many kilobytes.
        let amqp_connection = call(OPEN, limit, Box::pin(connecting)).await?;
        Ok(Self { amqp_connection, name, plug: Mutex::new(Some(plug)) })
    }

    /// Says goodbye if the peer listens, and ends the connection in any case.
    pub(super) async fn close(&self, limit: Duration) {
        let goodbye = self.amqp_connection.close(200, "OK".into());
        if let Err(fault) = call("close an AMQP connection", limit, goodbye).await {
            tracing::debug!(error = %infill_telemetry::chain(&fault), "amqp connection closed without a goodbye");
        }
        drop(self.plug.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// A second handle on a connection's socket, which ends the connection when it is dropped.
///
/// Dropping lapin's connection does not end it: towards a silent peer its IO thread waits for an answer that never
/// comes, for ever during the handshake. Shutting the socket down ends the thread at once.
#[derive(Debug, Default)]
struct Plug(Arc<Socket>);

/// The socket, seen from lapin's thread too, which may still be dialling when the plug is pulled.
#[derive(Debug, Default)]
struct Socket(Mutex<Dial>);

#[derive(Debug, Default)]
enum Dial {
    #[default]
    Dialling,
    Connected(TcpStream),
    Ended,
}

impl Socket {
    /// Keeps a handle on the socket; refuses when nobody wants the connection any more.
    fn hold(&self, socket: &tokio::net::TcpStream) -> std::io::Result<()> {
        let mut dial = self.lock();
        if matches!(*dial, Dial::Ended) {
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        *dial = Dial::Connected(duplicate(socket)?);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Dial> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        let Dial::Connected(socket) = std::mem::replace(&mut *self.0.lock(), Dial::Ended) else { return };
        if let Err(error) = socket.shutdown(Shutdown::Both) {
            tracing::trace!(%error, "socket was closed already");
        }
    }
}

#[cfg(unix)]
fn duplicate(socket: &tokio::net::TcpStream) -> std::io::Result<TcpStream> {
    use std::os::fd::AsFd;
    socket.as_fd().try_clone_to_owned().map(TcpStream::from)
}

#[cfg(windows)]
fn duplicate(socket: &tokio::net::TcpStream) -> std::io::Result<TcpStream> {
    use std::os::windows::io::AsSocket;
    socket.as_socket().try_clone_to_owned().map(TcpStream::from)
}

/// `host:port/vhost` without credentials, and without the vhost if it is the default.
pub(super) fn address(config: &Config) -> Result<String, Fault> {
    let AMQPUri { authority, vhost, .. } = parse(config)?;
    let (host, port) = (authority.host, authority.port);
    Ok(if vhost == "/" { format!("{host}:{port}") } else { format!("{host}:{port}/{vhost}") })
}

/// The URI is parsed at each use and never kept, because lapin's type prints its password.
fn parse(config: &Config) -> Result<AMQPUri, Fault> {
    let mut uri: AMQPUri = config.uri.expose_secret().parse().map_err(|reason| {
        Fault::Setting(format!(
            "read the broker URI: {reason}; it looks like amqp://user:password@host:5672/vhost, with %2f for the default vhost"
        ))
    })?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    Ok(uri)
}

fn name(config: &Config) -> String {
    let cut = |part: &str| part.chars().take(MAX_NAME_PART_CHARS).collect::<String>();
    let number = N_OPENED.fetch_add(1, Ordering::Relaxed) + 1;
    format!("infill-{}@{}#{number}", cut(&config.role), cut(&config.host))
}

/// The machine's name where the system tells it in a file, else `localhost`. Only names connections.
pub(super) fn hostname() -> String {
    let name = ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .into_iter()
        .find_map(|path| std::fs::read_to_string(path).ok())
        .map(|name| name.trim().to_owned());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}
