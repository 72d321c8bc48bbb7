//! Where a private server keeps its data, and what to clean up when its test was killed before it could.
//!
//! A server that runs leaves a note beside its directory; stopping it takes the note away. [`sweep`] ends what notes
//! still name, so that Ctrl-C in the middle of a test leaves no server behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, getuid, kill_process_group};

use super::{Error, SERVICES_DIR, docker, environment, io_error};

/// The directory for private servers: `wanted`, unless this is root and PostgreSQL, which refuses root, could not reach it
/// as another user; then one under the system's temporary directory.
#[must_use]
pub fn root(wanted: &Path) -> PathBuf {
    let is_open = |dir: &Path| fs::metadata(dir).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0);
    let is_reachable = wanted.ancestors().filter(|dir| dir.exists()).all(is_open);
    if getuid().is_root() && !is_reachable {
        std::env::temp_dir().join(format!("infill-services-{}", std::process::id()))
    } else {
        wanted.to_owned()
    }
}

/// Ends every server that a killed test left running under `root`, and removes the directory.
///
/// # Errors
/// When the directory cannot be read or removed.
pub fn sweep(root: &Path) -> Result<(), Error> {
    if !root.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(root).map_err(io_error(format!("read {}", root.display())))?.flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "running")
            && let Ok(note) = fs::read_to_string(entry.path())
        {
            note.lines().for_each(end);
        }
    }
    fs::remove_dir_all(root).map_err(io_error(format!("remove {}", root.display())))
}

fn end(line: &str) {
    match line.split_once(' ') {
        Some(("process", group)) => {
            if let Some(group) = group.parse().ok().and_then(Pid::from_raw) {
                // It may have ended by itself meanwhile, which is as good.
                kill_process_group(group, Signal::KILL).ok();
            }
        }
        Some(("container", name)) => docker::remove_blocking(docker::program(), name),
        _ => {}
    }
}

/// Where a test puts its servers' data: where the test run said, so that it can sweep up.
pub(super) fn given_root() -> PathBuf {
    environment(SERVICES_DIR).map_or_else(std::env::temp_dir, PathBuf::from)
}

/// A server's directory. Removed with the value.
#[derive(Debug)]
pub(super) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(super) fn new(name: &str, root: &Path) -> Result<Self, Error> {
        let doing = "make a directory for a private server";
        fs::create_dir_all(root).map_err(io_error(doing))?;
        let prefix = format!("infill-{name}-");
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir_in(root).map_err(io_error(doing))?;
        Ok(Self { dir })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Notes what runs here: lines of `process <group>` or `container <name>`.
    pub(super) fn note(&self, lines: &[String]) -> Result<Note, Error> {
        let path = self.path().with_extension("running");
        fs::write(&path, lines.join("\n")).map_err(io_error(format!("write {}", path.display())))?;
        Ok(Note { path })
    }
}

/// Says that something runs, until dropped.
#[derive(Debug)]
pub(super) struct Note {
    path: PathBuf,
}

impl Drop for Note {
    fn drop(&mut self) {
        // Only a courtesy to `sweep`, which copes with a note too many.
        fs::remove_file(&self.path).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::process::Process;

    #[tokio::test]
    async fn what_a_killed_test_left_running_is_swept_away() {
        let root = tempfile::tempdir().unwrap();
        let mut left = Process::spawn(tokio::process::Command::new("sleep").arg("600"), "sleep").unwrap();
        fs::write(root.path().join("infill-rabbit-x.running"), format!("process {}\n", left.group()))
            .unwrap();
        sweep(root.path()).unwrap();
        assert!(!left.wait().await.unwrap().success());
        assert!(!root.path().exists());
    }

    #[test]
    fn a_directory_that_every_user_can_enter_is_taken_as_it_is() {
        assert_eq!(root(Path::new("/tmp/infill-target")), Path::new("/tmp/infill-target"));
    }
}
