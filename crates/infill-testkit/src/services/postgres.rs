//! A PostgreSQL of one's own.
//!
//! PostgreSQL refuses to run as root, so under root it runs as the user `postgres`, or `nobody` where packages made
//! no such user.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Signal, getuid};
use tokio::process::Command;
use tokio_postgres::NoTls;

use super::docker::{self, Container, Image};
use super::place::{Note, Place, given_root};
use super::process::Process;
use super::{Error, find_programs, free_ports, io_error, tail};

/// Recovery after a kill takes a second; a container's image may have to be fetched before.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// How often a starting server is asked.
const ASK_EVERY: Duration = Duration::from_millis(50);

const IMAGE: Image = Image {
    name: "postgres:17",
    port: 5432,
    environment: &[("POSTGRES_HOST_AUTH_METHOD", "trust")],
    args: &["-c", MAX_CONNECTIONS],
};

/// Many tests run at once and each has a pool.
const MAX_CONNECTIONS: &str = "max_connections=300";

/// Where a private PostgreSQL comes from on this machine.
#[derive(Clone, Debug)]
pub enum PostgresSource {
    /// The official image.
    Docker,
    /// Programs of this machine.
    Programs {
        /// Holds `initdb` and `postgres`.
        dir: PathBuf,
    },
}

impl PostgresSource {
    /// Docker where its daemon answers, else the installed programs: the newest that packages put under
    /// `/usr/lib/postgresql`, else those in PATH.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is neither.
    pub async fn find() -> Result<Self, Error> {
        if docker::answers(docker::program()).await {
            return Ok(Self::Docker);
        }
        match find_programs(&packaged(Path::new("/usr/lib/postgresql")), &["initdb", "postgres"]) {
            Some(dir) => Ok(Self::Programs { dir }),
            None => Err(Error::Missing { what: "PostgreSQL", looked_for: "initdb and postgres" }),
        }
    }
}

/// The `bin` directories under `root`, newest version first.
fn packaged(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, dir)| dir).collect()
}

/// A PostgreSQL that the caller may stop, kill and start again, always on the same port. Ends when dropped.
#[derive(Debug)]
pub struct PrivatePostgres {
    source: PostgresSource,
    // Declared before `place`: what runs goes before its directory does.
    running: Option<Running>,
    port: u16,
    user: Option<User>,
    place: Place,
}

#[derive(Debug)]
enum Running {
    Container { container: Container, is_up: bool, _note: Note },
    Program { server: Process, _note: Note },
}

/// Whom the server runs as when this process is root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct User {
    uid: u32,
    gid: u32,
}

impl User {
    fn unprivileged() -> Result<Option<Self>, Error> {
        if !getuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").map_err(io_error("read /etc/passwd"))?;
        let user = ["postgres", "nobody"].iter().find_map(|name| Self::named(&users, name));
        user.map(Some).ok_or_else(|| Error::Failed {
            doing: "find a user for PostgreSQL, which refuses root".to_owned(),
            said: "there is neither postgres nor nobody".to_owned(),
        })
    }

    /// From lines of the form `name:password:uid:gid:…`.
    fn named(users: &str, name: &str) -> Option<Self> {
        let mut fields = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then_some(fields)
        })?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Self { uid, gid })
    }
}

impl PrivatePostgres {
    /// Starts an empty one and waits until it answers.
    ///
    /// # Errors
    /// When there is neither Docker nor the programs, or it does not start; the message holds the end of its log.
    pub async fn start() -> Result<Self, Error> {
        Self::start_in(&given_root()).await
    }

    /// As [`Self::start`], with its data under `root`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_in(root: &Path) -> Result<Self, Error> {
        let source = PostgresSource::find().await?;
        let place = Place::new("postgres", root)?;
        let [port] = free_ports()?;
        let user = User::unprivileged()?;
        let mut postgres = Self { source, running: None, port, user, place };
        if let PostgresSource::Programs { dir } = postgres.source.clone() {
            postgres.make_cluster(&dir).await?;
        }
        postgres.start_again().await?;
        Ok(postgres)
    }

    /// Its address, with the user that may do everything.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Stops it as an operator would: sessions are cut, what was committed is kept.
    ///
    /// # Errors
    /// When it cannot be stopped.
    pub async fn stop(&mut self) -> Result<(), Error> {
        self.end(Signal::INT).await
    }

    /// Cuts it off without a checkpoint, so that it recovers from its log when it starts again.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(&mut self) -> Result<(), Error> {
        // Its "immediate shutdown". A real SIGKILL would leave its other processes holding the shared memory.
        self.end(Signal::QUIT).await
    }

    /// Starts it on the same port with the data it had, and waits until it answers. Does nothing when it runs.
    ///
    /// # Errors
    /// When it does not start; the message holds the end of its log.
    pub async fn start_again(&mut self) -> Result<(), Error> {
        self.running = match (self.running.take(), &self.source) {
            (Some(Running::Container { container, is_up, _note }), _) => {
                if !is_up {
                    container.start().await?;
                }
                Some(Running::Container { container, is_up: true, _note })
            }
            (Some(program @ Running::Program { .. }), _) => Some(program),
            (None, PostgresSource::Docker) => {
                let name = format!("infill-postgres-{}", self.port);
                let note = self.place.note(&[format!("container {name}")])?;
                let container = Container::run(docker::program(), IMAGE, &name, self.port).await?;
                Some(Running::Container { container, is_up: true, _note: note })
            }
            (None, PostgresSource::Programs { dir }) => {
                let server = self.start_server(dir)?;
                let note = self.place.note(&[format!("process {}", server.group())])?;
                Some(Running::Program { server, _note: note })
            }
        };
        self.answering().await
    }

    async fn end(&mut self, signal: Signal) -> Result<(), Error> {
        match self.running.take() {
            Some(Running::Container { container, is_up, _note }) => {
                match (is_up, signal == Signal::QUIT) {
                    (true, true) => container.kill().await?,
                    (true, false) => container.stop().await?,
                    (false, _) => {}
                }
                self.running = Some(Running::Container { container, is_up: false, _note });
                Ok(())
            }
            Some(Running::Program { server, .. }) => server.end(signal).await,
            None => Ok(()),
        }
    }

    fn cluster(&self) -> PathBuf {
        self.place.path().join("cluster")
    }

    fn log(&self) -> PathBuf {
        self.place.path().join("output.log")
    }

    async fn make_cluster(&self, dir: &Path) -> Result<(), Error> {
        if let Some(User { uid, gid }) = self.user {
            chown(self.place.path(), Some(uid), Some(gid))
                .map_err(io_error("give PostgreSQL its directory"))?;
        }
        let doing = "initdb";
        let mut command = Command::new(dir.join("initdb"));
        command.args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "-D",
        ]);
        let output = self.as_user(command.arg(self.cluster())).output().await.map_err(io_error(doing))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Error::Failed { doing: doing.to_owned(), said })
    }

    fn start_server(&self, dir: &Path) -> Result<Process, Error> {
        let doing = "prepare a private PostgreSQL";
        let log = fs::File::options().create(true).append(true).open(self.log()).map_err(io_error(doing))?;
        let errors = log.try_clone().map_err(io_error(doing))?;
        let mut command = Command::new(dir.join("postgres"));
        command.arg("-D").arg(self.cluster()).args(["-p", &self.port.to_string()]);
        // A killed process loses nothing that it handed to the kernel; syncing would only guard against a power cut.
        for setting in
            ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", MAX_CONNECTIONS]
        {
            command.args(["-c", setting]);
        }
        Process::spawn(self.as_user(&mut command).stdout(log).stderr(errors), "postgres")
    }

    fn as_user<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.current_dir(self.place.path()).stdin(Stdio::null()).kill_on_drop(true);
        match self.user {
            Some(User { uid, gid }) => command.uid(uid).gid(gid),
            None => command,
        }
    }

    async fn answering(&mut self) -> Result<(), Error> {
        let url = self.url();
        let asked = async {
            let mut again = tokio::time::interval(ASK_EVERY);
            loop {
                again.tick().await;
                if let Some(Running::Program { server, .. }) = &mut self.running
                    && let Some(status) = server.ended()
                {
                    let doing = format!("start a private PostgreSQL, which ended with {status}");
                    return Err(Error::Failed { doing, said: tail(&self.place.path().join("output.log")) });
                }
                if tokio_postgres::connect(&url, NoTls).await.is_ok() {
                    return Ok(());
                }
            }
        };
        if let Ok(outcome) = tokio::time::timeout(START_TIMEOUT, asked).await {
            return outcome;
        }
        let said = match &self.running {
            Some(Running::Container { container, .. }) => container.log().await,
            Some(Running::Program { .. }) | None => tail(&self.log()),
        };
        let seconds = START_TIMEOUT.as_secs();
        Err(Error::Silent { doing: "start a private PostgreSQL".to_owned(), seconds, said })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn execute(url: &str, statement: &str) -> Result<(), tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let connection = tokio::spawn(connection);
        let executed = client.batch_execute(statement).await;
        connection.abort();
        executed
    }

    #[tokio::test]
    async fn a_private_postgres_survives_being_killed_and_comes_back_where_it_was() {
        let mut postgres = PrivatePostgres::start().await.unwrap();
        let url = postgres.url();
        execute(&url, "create table kept (n int); insert into kept values (1)").await.unwrap();

        postgres.kill().await.unwrap();
        assert!(execute(&url, "select 1").await.is_err());
        postgres.start_again().await.unwrap();
        execute(&postgres.url(), "insert into kept select n + 1 from kept").await.unwrap();

        postgres.stop().await.unwrap();
        postgres.start_again().await.unwrap();
        execute(&url, "do $$ begin assert (select count(*) from kept) = 2; end $$").await.unwrap();
    }

    #[test]
    fn the_newest_packaged_version_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9", "15", "not-a-version", "17"] {
            fs::create_dir(root.path().join(version)).unwrap();
        }
        let versions = packaged(root.path());
        assert_eq!(versions, ["17/bin", "15/bin", "9/bin"].map(|dir| root.path().join(dir)));
        assert!(packaged(&root.path().join("absent")).is_empty());
    }

    #[test]
    fn a_user_is_read_from_its_line() {
        let users =
            "root:x:0:0:root:/root:/bin/bash\npostgres:x:105:113:PostgreSQL:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(User::named(users, "postgres"), Some(User { uid: 105, gid: 113 }));
        assert_eq!(User::named(users, "nobody"), None);
    }
}
