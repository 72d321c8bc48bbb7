//! RabbitMQ and PostgreSQL for tests: the two that a whole test run shares, and private ones that a test may stop,
//! kill and start again.
//!
//! The shared pair is named by [`AMQP_URL`] and [`DATABASE_URL`], which `cargo xtask test` sets; a test without them
//! fails and says so, it never skips. A private server is a container of the official image where a Docker daemon
//! answers, else the machine's own program on free ports of loopback with a directory of its own.
//! Nothing here installs anything; `xtask` does.

mod docker;
mod place;
mod postgres;
mod process;
mod rabbit;

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

pub use place::{root, sweep};
pub use postgres::{PostgresSource, PrivatePostgres};
pub use rabbit::{PrivateRabbit, RabbitSource};

/// The environment variable with the shared broker's URL: `amqp://user:password@host:port/vhost`.
pub const AMQP_URL: &str = "INFILL_TEST_AMQP_URL";

/// The environment variable with the shared database's URL: `postgres://user:password@host:port/database`. The user may
/// create schemas.
pub const DATABASE_URL: &str = "INFILL_TEST_DATABASE_URL";

/// The environment variable with the directory under which private servers keep their data; a temporary one without it.
pub const SERVICES_DIR: &str = "INFILL_TEST_SERVICES_DIR";

/// The shared broker.
///
/// # Errors
/// [`Error::NotGiven`] when [`AMQP_URL`] is not set.
pub fn amqp_url() -> Result<String, Error> {
    environment(AMQP_URL).ok_or(Error::NotGiven { variable: AMQP_URL })
}

/// The shared database.
///
/// # Errors
/// [`Error::NotGiven`] when [`DATABASE_URL`] is not set.
pub fn database_url() -> Result<String, Error> {
    environment(DATABASE_URL).ok_or(Error::NotGiven { variable: DATABASE_URL })
}

/// A service for tests cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The shared service is not named.
    #[error(
        "{variable} is not set; run the tests by `cargo xtask test`, or set it to a server that tests may fill"
    )]
    NotGiven {
        /// The variable.
        variable: &'static str,
    },
    /// Neither Docker nor the program is there.
    #[error(
        "find {what}: no Docker daemon answers, and {looked_for} is neither in PATH nor where packages put it"
    )]
    Missing {
        /// The service.
        what: &'static str,
        /// The programs.
        looked_for: &'static str,
    },
    /// A file, a port or a program could not be used.
    #[error("{doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A program ended otherwise than well.
    #[error("{doing}: {said}")]
    Failed {
        /// What was tried.
        doing: String,
        /// The end of what it printed.
        said: String,
    },
    /// A server did not answer in time.
    #[error("{doing}: no answer within {seconds} s; the end of its log: {said}")]
    Silent {
        /// What was tried.
        doing: String,
        /// How long it was waited for.
        seconds: u64,
        /// The end of what it printed.
        said: String,
    },
}

fn io_error(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let doing = doing.into();
    move |source| Error::Io { doing, source }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests learn of their services from the environment, here and only here"
)]
fn environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// The first directory of `dirs`, then of PATH, that holds all of `programs`.
fn find_programs(dirs: &[PathBuf], programs: &[&str]) -> Option<PathBuf> {
    let path = environment("PATH").unwrap_or_default();
    let of_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let has_all = |dir: &&PathBuf| programs.iter().all(|program| dir.join(program).is_file());
    dirs.iter().chain(&of_path).find(has_all).cloned()
}

/// Ports of loopback that nobody listens on now, all different.
fn free_ports<const N: usize>() -> Result<[u16; N], Error> {
    let doing = "find a free port";
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io_error(doing))?;
        *port = listener.local_addr().map_err(io_error(doing))?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// The last lines of a log, for an error message.
fn tail(log: &Path) -> String {
    const LINES: usize = 12;
    let text =
        std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ() {
        let ports: [u16; 8] = free_ports().unwrap();
        let different: std::collections::BTreeSet<u16> = ports.into_iter().collect();
        assert_eq!(different.len(), ports.len());
    }

    #[test]
    fn programs_are_found_only_where_all_of_them_are() {
        let (one, both) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (dir, program) in [(&one, "initdb"), (&both, "initdb"), (&both, "postgres-of-this-test")] {
            std::fs::write(dir.path().join(program), "").unwrap();
        }
        let dirs = [one.path().to_owned(), both.path().to_owned()];
        assert_eq!(find_programs(&dirs, &["initdb", "postgres-of-this-test"]).as_deref(), Some(both.path()));
        assert_eq!(find_programs(&dirs, &["no-such-program-anywhere"]), None);
    }
}
