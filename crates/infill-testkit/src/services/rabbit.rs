//! A RabbitMQ of one's own.
//!
//! Without a container it is the machine's program: its node name, ports, cookie, logs and data are its own, no file
//! of the system's RabbitMQ is read, and the Erlang port mapper is a child too, because the one that RabbitMQ would
//! start stays behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::docker::{self, Container, Image};
use super::place::{Note, Place, given_root};
use super::process::Process;
use super::{Error, find_programs, free_ports, io_error, tail};

/// A node on a busy machine of two cores takes ten seconds; a container's image may have to be fetched before.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// How often a starting server is asked.
const ASK_EVERY: Duration = Duration::from_millis(100);

const IMAGE: Image = Image { name: "rabbitmq:4.2", port: 5672, environment: &[], args: &[] };

/// What a client says first; a broker that is up answers with a method frame, whose first octet is 1.
const PROTOCOL_HEADER: &[u8; 8] = b"AMQP\0\0\x09\x01";

/// Where a private RabbitMQ comes from on this machine.
#[derive(Clone, Debug)]
pub enum RabbitSource {
    /// The official image.
    Docker,
    /// Programs of this machine.
    Programs {
        /// Holds `rabbitmq-server` and `rabbitmqctl`.
        scripts: PathBuf,
        /// Holds `epmd`.
        erlang: PathBuf,
    },
}

impl RabbitSource {
    /// Docker where its daemon answers, else the installed programs.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is neither.
    pub async fn find() -> Result<Self, Error> {
        if docker::answers(docker::program()).await {
            return Ok(Self::Docker);
        }
        // Debian's script in PATH changes the user and drops the environment on its way to this one.
        let scripts = find_programs(&["/usr/lib/rabbitmq/bin".into()], &["rabbitmq-server", "rabbitmqctl"]);
        let erlang = find_programs(&[], &["epmd"]);
        match (scripts, erlang) {
            (Some(scripts), Some(erlang)) => Ok(Self::Programs { scripts, erlang }),
            _ => Err(Error::Missing { what: "RabbitMQ", looked_for: "rabbitmq-server" }),
        }
    }
}

/// A RabbitMQ that the caller may stop, kill, wipe and start again, always on the same port. Ends when dropped.
#[derive(Debug)]
pub struct PrivateRabbit {
    source: RabbitSource,
    // Declared before `place`: what runs goes before its directory does.
    running: Option<Running>,
    ports: Ports,
    place: Place,
}

#[derive(Debug)]
enum Running {
    Container { container: Container, is_up: bool, _note: Note },
    Programs { server: Process, _port_mapper: Process, _note: Note },
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    amqp: u16,
    port_mapper: u16,
    distribution: u16,
}

impl PrivateRabbit {
    /// Starts an empty one and waits until it answers.
    ///
    /// # Errors
    /// When there is neither Docker nor the program, or it does not start; the message holds the end of its log.
    pub async fn start() -> Result<Self, Error> {
        Self::start_in(&given_root()).await
    }

    /// As [`Self::start`], with its data under `root`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_in(root: &Path) -> Result<Self, Error> {
        let source = RabbitSource::find().await?;
        let place = Place::new("rabbitmq", root)?;
        let [amqp, port_mapper, distribution] = free_ports()?;
        let ports = Ports { amqp, port_mapper, distribution };
        let mut rabbit = Self { source, running: None, ports, place };
        rabbit.start_again().await?;
        Ok(rabbit)
    }

    /// Its address, with the user that may do everything.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.ports.amqp)
    }

    /// Stops it as an operator would; what was confirmed is kept.
    ///
    /// # Errors
    /// When it cannot be stopped.
    pub async fn stop(&mut self) -> Result<(), Error> {
        self.end(Signal::TERM).await
    }

    /// Kills it as a power cut would.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(&mut self) -> Result<(), Error> {
        self.end(Signal::KILL).await
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
            (Some(programs @ Running::Programs { .. }), _) => Some(programs),
            (None, RabbitSource::Docker) => {
                let name = format!("infill-rabbitmq-{}", self.ports.amqp);
                let note = self.place.note(&[format!("container {name}")])?;
                let container = Container::run(docker::program(), IMAGE, &name, self.ports.amqp).await?;
                Some(Running::Container { container, is_up: true, _note: note })
            }
            (None, RabbitSource::Programs { scripts, erlang }) => {
                let port_mapper = self.start_port_mapper(erlang)?;
                let server = self.start_server(scripts)?;
                let groups = [&port_mapper, &server].map(|process| format!("process {}", process.group()));
                let note = self.place.note(&groups)?;
                Some(Running::Programs { server, _port_mapper: port_mapper, _note: note })
            }
        };
        self.answering().await
    }

    /// Loses everything it held and starts it anew, on the same port.
    ///
    /// # Errors
    /// When its data cannot be removed, or it does not start.
    pub async fn wipe(&mut self) -> Result<(), Error> {
        self.kill().await?;
        self.running = None;
        let data = self.data();
        if data.exists() {
            fs::remove_dir_all(&data).map_err(io_error(format!("remove {}", data.display())))?;
        }
        self.start_again().await
    }

    /// Runs `rabbitmqctl` with these arguments and gives what it printed.
    ///
    /// # Errors
    /// When it cannot be run or refuses.
    pub async fn ctl(&self, args: &[&str]) -> Result<String, Error> {
        match (&self.running, &self.source) {
            (Some(Running::Container { container, .. }), _) => {
                container.execute(&[&["rabbitmqctl"], args].concat()).await
            }
            (_, RabbitSource::Programs { scripts, .. }) => {
                let doing = format!("rabbitmqctl {}", args.join(" "));
                let mut command = Command::new(scripts.join("rabbitmqctl"));
                let command = self.in_its_world(command.args(args)).kill_on_drop(true);
                let output = command.output().await.map_err(io_error(doing.clone()))?;
                let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
                if output.status.success() {
                    Ok(said(&output.stdout))
                } else {
                    Err(Error::Failed { doing, said: said(&output.stderr) })
                }
            }
            (_, RabbitSource::Docker) => Err(Error::Failed {
                doing: "rabbitmqctl".to_owned(),
                said: "the container is gone".to_owned(),
            }),
        }
    }

    async fn end(&mut self, signal: Signal) -> Result<(), Error> {
        match self.running.take() {
            Some(Running::Container { container, is_up, _note }) => {
                match (is_up, signal == Signal::KILL) {
                    (true, true) => container.kill().await?,
                    (true, false) => container.stop().await?,
                    (false, _) => {}
                }
                self.running = Some(Running::Container { container, is_up: false, _note });
                Ok(())
            }
            Some(Running::Programs { server, .. }) => server.end(signal).await,
            None => Ok(()),
        }
    }

    fn data(&self) -> PathBuf {
        self.place.path().join("mnesia")
    }

    fn start_port_mapper(&self, erlang: &Path) -> Result<Process, Error> {
        let mut command = Command::new(erlang.join("epmd"));
        Process::spawn(self.in_its_world(&mut command).stdout(Stdio::null()).stderr(Stdio::null()), "epmd")
    }

    fn start_server(&self, scripts: &Path) -> Result<Process, Error> {
        let doing = "prepare a private RabbitMQ";
        let dir = self.place.path();
        let configuration = format!(
            "listeners.tcp.1 = 127.0.0.1:{}\ndisk_free_limit.absolute = 50MB\nlog.file.level = warning\n",
            self.ports.amqp
        );
        fs::write(dir.join("rabbitmq.conf"), configuration).map_err(io_error(doing))?;
        fs::write(dir.join("plugins"), "[].\n").map_err(io_error(doing))?;
        let log = fs::File::options().create(true).append(true).open(self.log()).map_err(io_error(doing))?;
        let errors = log.try_clone().map_err(io_error(doing))?;
        let mut command = Command::new(scripts.join("rabbitmq-server"));
        self.in_its_world(&mut command)
            // Makes the script become the node rather than its parent, so that a signal reaches the node.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .stdout(log)
            .stderr(errors);
        Process::spawn(&mut command, "rabbitmq-server")
    }

    fn log(&self) -> PathBuf {
        self.place.path().join("output.log")
    }

    fn in_its_world<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let dir = self.place.path();
        command
            .current_dir(dir)
            .stdin(Stdio::null())
            .env("HOME", dir)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.ports.port_mapper.to_string())
            .env("RABBITMQ_DIST_PORT", self.ports.distribution.to_string())
            .env("RABBITMQ_NODENAME", format!("infill-{}@localhost", self.ports.amqp))
            .env("RABBITMQ_CONF_ENV_FILE", dir.join("no-environment.conf"))
            .env("RABBITMQ_CONFIG_FILE", dir.join("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", dir.join("no-advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", dir.join("plugins"))
            .env("RABBITMQ_MNESIA_BASE", self.data())
            .env("RABBITMQ_LOG_BASE", dir.join("log"))
            .env("RABBITMQ_PID_FILE", dir.join("pid"))
            // Idle schedulers that spin would take the cores that the tests need.
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none +sbwtdcpu none +sbwtdio none")
    }

    async fn answering(&mut self) -> Result<(), Error> {
        let asked = async {
            let mut again = tokio::time::interval(ASK_EVERY);
            loop {
                again.tick().await;
                if let Some(Running::Programs { server, .. }) = &mut self.running
                    && let Some(status) = server.ended()
                {
                    let doing = format!("start a private RabbitMQ, which ended with {status}");
                    return Err(Error::Failed { doing, said: tail(&self.place.path().join("output.log")) });
                }
                if answers(self.ports.amqp).await {
                    return Ok(());
                }
            }
        };
        if let Ok(outcome) = tokio::time::timeout(START_TIMEOUT, asked).await {
            return outcome;
        }
        let said = match &self.running {
            Some(Running::Container { container, .. }) => container.log().await,
            Some(Running::Programs { .. }) | None => tail(&self.log()),
        };
        let seconds = START_TIMEOUT.as_secs();
        Err(Error::Silent { doing: "start a private RabbitMQ".to_owned(), seconds, said })
    }
}

async fn answers(port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(PROTOCOL_HEADER).await?;
        stream.read_u8().await
    };
    // Docker's own proxy accepts connections before the server inside does, and then says nothing.
    matches!(tokio::time::timeout(Duration::from_secs(1), ask).await, Ok(Ok(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_private_rabbit_survives_being_killed_and_comes_back_where_it_was() {
        let mut rabbit = PrivateRabbit::start().await.unwrap();
        let url = rabbit.url();
        rabbit.ctl(&["add_vhost", "kept"]).await.unwrap();

        rabbit.kill().await.unwrap();
        assert!(!answers(rabbit.ports.amqp).await);
        rabbit.start_again().await.unwrap();
        assert_eq!(rabbit.url(), url);
        let vhosts = rabbit.ctl(&["list_vhosts", "--silent"]).await.unwrap();
        assert!(vhosts.lines().any(|vhost| vhost == "kept"), "{vhosts}");

        rabbit.stop().await.unwrap();
        rabbit.wipe().await.unwrap();
        let vhosts = rabbit.ctl(&["list_vhosts", "--silent"]).await.unwrap();
        assert!(!vhosts.lines().any(|vhost| vhost == "kept"), "{vhosts}");
    }
}
