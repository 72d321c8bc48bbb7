//! Containers, by the `docker` program itself: four of its commands are all that is needed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::{Error, io_error};

/// A daemon that does not answer a question about itself within this time will not start containers either.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The arguments that run `image` in the background, its port shown as `port` of loopback. The host's name is fixed
/// because RabbitMQ keeps its data under it.
fn run_args(image: Image, name: &str, port: u16) -> Vec<String> {
    let mut args =
        ["run", "--detach", "--name", name, "--hostname", name, "--publish"].map(String::from).to_vec();
    args.push(format!("127.0.0.1:{port}:{}", image.port));
    for (key, value) in image.environment {
        args.extend(["--env".to_owned(), format!("{key}={value}")]);
    }
    args.push(image.name.to_owned());
    args.extend(image.args.iter().map(|arg| (*arg).to_owned()));
    args
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image {
    pub(super) name: &'static str,
    /// The port its server listens on, inside.
    pub(super) port: u16,
    pub(super) environment: &'static [(&'static str, &'static str)],
    /// Arguments for its server.
    pub(super) args: &'static [&'static str],
}

/// A container of ours; removed with its data when dropped.
#[derive(Debug)]
pub(super) struct Container {
    docker: &'static Path,
    name: String,
}

/// The program, looked up in PATH by the system.
pub(super) fn program() -> &'static Path {
    Path::new("docker")
}

/// Whether a daemon answers.
pub(super) async fn answers(docker: &Path) -> bool {
    let mut ask = Command::new(docker);
    ask.args(["version", "--format", "{{.Server.Version}}"]);
    ask.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    matches!(tokio::time::timeout(ANSWER_TIMEOUT, ask.status()).await, Ok(Ok(status)) if status.success())
}

/// Removes a container whose owner is gone, if it is still there.
pub(super) fn remove_blocking(docker: &Path, name: &str) {
    let mut remove = std::process::Command::new(docker);
    remove.args(["rm", "--force", "--volumes", name]);
    // Called while cleaning up: there is nobody left to tell.
    drop(remove.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status());
}

impl Container {
    /// Runs `image`, its port shown as `port` of loopback.
    pub(super) async fn run(
        docker: &'static Path,
        image: Image,
        name: &str,
        port: u16,
    ) -> Result<Self, Error> {
        // Before the command, so that a container whose start is cut short is removed too.
        let container = Self { docker, name: name.to_owned() };
        let args = run_args(image, name, port);
        container.docker(&args.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        Ok(container)
    }

    pub(super) async fn stop(&self) -> Result<(), Error> {
        self.docker(&["stop", &self.name]).await.map(drop)
    }

    pub(super) async fn kill(&self) -> Result<(), Error> {
        self.docker(&["kill", &self.name]).await.map(drop)
    }

    pub(super) async fn start(&self) -> Result<(), Error> {
        self.docker(&["start", &self.name]).await.map(drop)
    }

    /// Runs a program inside.
    pub(super) async fn execute(&self, program: &[&str]) -> Result<String, Error> {
        self.docker(&[&["exec", &self.name], program].concat()).await
    }

    /// The end of what its server printed.
    pub(super) async fn log(&self) -> String {
        self.docker(&["logs", "--tail", "12", &self.name]).await.unwrap_or_default()
    }

    async fn docker(&self, args: &[&str]) -> Result<String, Error> {
        let doing = format!("docker {}", args.join(" "));
        let mut command = Command::new(self.docker);
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.map_err(io_error(doing.clone()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(Error::Failed { doing, said: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        remove_blocking(self.docker, &self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_reached_on_loopback_only() {
        let image = Image {
            name: "postgres:17",
            port: 5432,
            environment: &[("POSTGRES_PASSWORD", "infill")],
            args: &["-c", "fsync=off"],
        };
        assert_eq!(
            run_args(image, "infill-a", 40_001).join(" "),
            "run --detach --name infill-a --hostname infill-a --publish 127.0.0.1:40001:5432 \
             --env POSTGRES_PASSWORD=infill postgres:17 -c fsync=off"
        );
    }

    #[tokio::test]
    async fn a_daemon_that_does_not_answer_is_not_used() {
        assert!(answers(Path::new("true")).await);
        assert!(!answers(Path::new("false")).await);
        assert!(!answers(Path::new("/no/such/program")).await);
    }
}
