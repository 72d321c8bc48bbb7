//! The pool: how connections are made, how long anything may take, and what kind of error a failure is.
//!
//! A connection that died is noticed when it is next asked for and replaced; calls that were using it fail.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use deadpool_postgres::{
    Client, Hook, HookError, Manager, ManagerConfig, PoolError, RecyclingMethod, Runtime,
};
use rustls::crypto::CryptoProvider;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::commit::Commit;
use crate::error::Error;

/// Connections of one pool. A program has two pools, and a dozen programs stay below PostgreSQL's default of 100.
const MAX_CONNECTIONS: usize = 4;

/// Connecting to one host, where the URI does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Waiting for a connection to become free, and making one.
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Any call as a whole. Longer than the server's own limit, which gives the better message.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A statement on the server, waits for locks included.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);

/// A transaction whose program went silent; its locks hold up others until then.
const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// A peer that takes no data, and the silence before it is probed: a cut line is noticed within about this.
const SILENCE: Duration = Duration::from_secs(15);

/// A parameter of a statement.
pub(super) type Parameter<'a> = &'a (dyn ToSql + Sync);

/// Connections to one database whose commits all survive the same.
pub(super) struct Pool {
    inner: deadpool_postgres::Pool,
    address: String,
}

impl Pool {
    /// Makes no connection yet.
    pub(super) fn new(uri: &SecretString, schema: Option<&str>, commit: Commit) -> Result<Self, Error> {
        let mut config: tokio_postgres::Config =
            uri.expose_secret().parse().map_err(|e: tokio_postgres::Error| Error::Refused {
                address: "the given URI".to_owned(),
                hint: "write it as postgres://user:password@host:port/database".to_owned(),
                source: Some(e.into()),
            })?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("infill");
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
            config.keepalives_idle(SILENCE);
        }
        let address = address(&config);
        // Asked of the connection, so that a dead one costs no round trip to find out.
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = if config.get_ssl_mode() == SslMode::Require {
            Manager::from_config(config, tls(), recycling)
        } else {
            Manager::from_config(config, NoTls, recycling)
        };
        let settings = settings(schema, commit);
        let inner = deadpool_postgres::Pool::builder(manager)
            .max_size(MAX_CONNECTIONS)
            .wait_timeout(Some(WAIT_TIMEOUT))
            .create_timeout(Some(WAIT_TIMEOUT))
            .recycle_timeout(Some(WAIT_TIMEOUT))
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(move |client, _| {
                let settings = settings.clone();
                Box::pin(async move { client.batch_execute(&settings).await.map_err(HookError::Backend) })
            }))
            .build()
            .map_err(|e| Error::Query { operation: "make the pool", source: e.into() })?;
        Ok(Self { inner, address })
    }

    /// Where the store is, for messages; without credentials.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Runs one statement.
    pub(super) async fn query(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Error> {
        self.call(operation, async {
            let client = self.client().await?;
            let statement = client.prepare_cached(sql).await?;
            Ok(client.query(&statement, parameters).await?)
        })
        .await
    }

    /// Runs one statement that gives at most one line.
    pub(super) async fn query_opt(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: &[Parameter<'_>],
    ) -> Result<Option<Row>, Error> {
        Ok(self.query(operation, sql, parameters).await?.into_iter().next())
    }

    /// Runs one statement; says how many lines it changed.
    pub(super) async fn execute(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: &[Parameter<'_>],
    ) -> Result<u64, Error> {
        self.call(operation, async {
            let client = self.client().await?;
            let statement = client.prepare_cached(sql).await?;
            Ok(client.execute(&statement, parameters).await?)
        })
        .await
    }

    /// A connection, for a transaction; to be used inside [`Pool::call`].
    pub(super) async fn client(&self) -> Result<Client, Trouble> {
        self.inner.get().await.map_err(Trouble::Pool)
    }

    /// Does `work` within the time a call may take and names what failed.
    pub(super) async fn call<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Error> {
        let trouble = match tokio::time::timeout(CALL_TIMEOUT, work).await {
            Ok(Ok(out)) => return Ok(out),
            Ok(Err(trouble)) => trouble,
            Err(elapsed) => return Err(self.unreachable(elapsed)),
        };
        Err(match trouble {
            Trouble::Store(error) => error,
            Trouble::Postgres(e)
            | Trouble::Pool(PoolError::Backend(e) | PoolError::PostCreateHook(HookError::Backend(e)))
                if e.code().is_some() =>
            {
                self.explain(operation, e)
            }
            Trouble::Postgres(e) if !is_cut(&e) => Error::Query { operation, source: e.into() },
            Trouble::Postgres(e) => self.unreachable(e),
            Trouble::Pool(e) => self.unreachable(e),
        })
    }

    /// Names the failure of reading a line.
    pub(super) fn unreadable(operation: &'static str) -> impl Fn(tokio_postgres::Error) -> Error {
        move |e| Error::Query { operation, source: e.into() }
    }

    fn unreachable(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Unreachable { address: self.address.clone(), source: source.into() }
    }

    /// Names what the server said.
    pub(super) fn explain(&self, operation: &'static str, e: tokio_postgres::Error) -> Error {
        let code = e.code().cloned().unwrap_or(SqlState::INTERNAL_ERROR);
        let hint = match code {
            SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                "the server refuses the login; check user, password and pg_hba.conf"
            }
            SqlState::INVALID_CATALOG_NAME => "the database does not exist; create it with `createdb`",
            SqlState::INSUFFICIENT_PRIVILEGE => "the user may not do this; let it own the schema",
            SqlState::DISK_FULL => "the server's disk is full",
            SqlState::UNTRANSLATABLE_CHARACTER | SqlState::CHARACTER_NOT_IN_REPERTOIRE => {
                "the database cannot hold a character of this value; create it with encoding UTF8"
            }
            _ => "",
        };
        if !hint.is_empty() {
            return Error::Refused {
                address: self.address.clone(),
                hint: hint.to_owned(),
                source: Some(e.into()),
            };
        }
        // Connection exceptions, out of resources, and a server that shuts down or starts up.
        if ["08", "53", "57P"].iter().any(|class| code.code().starts_with(class)) {
            return self.unreachable(e);
        }
        Error::Query { operation, source: e.into() }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What can go wrong during a call.
pub(super) enum Trouble {
    /// No connection could be had.
    Pool(PoolError),
    /// A statement failed.
    Postgres(tokio_postgres::Error),
    /// Something that is an error of the store already.
    Store(Error),
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(e: tokio_postgres::Error) -> Self {
        Self::Postgres(e)
    }
}

impl From<Error> for Trouble {
    fn from(e: Error) -> Self {
        Self::Store(e)
    }
}

/// Whether the line to the server broke, as opposed to a value that cannot be sent or read.
fn is_cut(e: &tokio_postgres::Error) -> bool {
    e.is_closed() || std::error::Error::source(e).is_some_and(|source| source.is::<std::io::Error>())
}

/// `host:port/database`.
fn address(config: &tokio_postgres::Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("{host}:{port}/{database}")
}

/// What every connection is told first. Settings rather than start-up options, which poolers in between refuse.
fn settings(schema: Option<&str>, commit: Commit) -> String {
    let synchronous_commit = match commit {
        Commit::Ordered => "SET synchronous_commit = off;",
        // As the server is set, which may be stricter than its default.
        Commit::Durable => "",
    };
    let search_path =
        schema.map(|schema| format!("SET search_path = {};", quote(schema))).unwrap_or_default();
    format!(
        "{search_path} SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}; \
         SET default_transaction_isolation = 'read committed'; {synchronous_commit}",
        STATEMENT_TIMEOUT.as_millis(),
        IDLE_IN_TRANSACTION_TIMEOUT.as_millis()
    )
}

/// A name as an SQL identifier.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn tls() -> MakeRustlsConnect {
    if CryptoProvider::get_default().is_none() {
        // Lost only to another thread that has installed one just now, which serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    MakeRustlsConnect::with_webpki_roots()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(uri: &str) -> Result<Pool, Error> {
        Pool::new(&uri.into(), None, Commit::Durable)
    }

    #[test]
    fn the_address_names_the_database_and_no_credentials() {
        let pool = pool("postgres://me:hunter2@db.example:6543/runs?sslmode=require").unwrap();
        assert_eq!(pool.address(), "db.example:6543/runs");
        assert!(!format!("{pool:?}").contains("hunter2"));
    }

    #[test]
    fn a_malformed_uri_is_refused_without_repeating_it() {
        let error = pool("postgres://me:hunter2@host:notaport/x").unwrap_err();
        assert!(error.is_final());
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(!format!("{error} {source}").contains("hunter2"));
    }

    #[test]
    fn a_schema_name_cannot_end_its_quotes() {
        assert!(
            settings(Some("a\"; DROP TABLE runs; --"), Commit::Ordered)
                .contains("\"a\"\"; DROP TABLE runs; --\"")
        );
    }
}
