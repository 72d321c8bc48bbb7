//! A server that this process started, with everything that it started in turn.

use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};

use super::{Error, io_error};

/// A child process in a process group of its own; killed with its group when dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Box<Child>,
    group: Pid,
    name: &'static str,
}

impl Process {
    pub(super) fn spawn(command: &mut Command, name: &'static str) -> Result<Self, Error> {
        let doing = format!("start {name}");
        let child = command.process_group(0).kill_on_drop(true).spawn().map_err(io_error(doing.clone()))?;
        let raw = child.id().and_then(|id| i32::try_from(id).ok());
        let group = raw
            .and_then(Pid::from_raw)
            .ok_or_else(|| Error::Failed { doing, said: "it has no process id".to_owned() })?;
        Ok(Self { child: Box::new(child), group, name })
    }

    /// The id of its process group, which is that of the process.
    pub(super) fn group(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end.
    pub(super) async fn wait(&mut self) -> Result<ExitStatus, Error> {
        self.child.wait().await.map_err(io_error(format!("wait for {}", self.name)))
    }

    /// Signals the process alone and waits for its end.
    pub(super) async fn end(mut self, signal: Signal) -> Result<(), Error> {
        if self.ended().is_none() {
            kill_process(self.group, signal)
                .map_err(|errno| Error::Io { doing: format!("stop {}", self.name), source: errno.into() })?;
            self.wait().await?;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // The group may have ended between the question and the signal, which is as good.
            kill_process_group(self.group, Signal::KILL).ok();
        }
    }
}
