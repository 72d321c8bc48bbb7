//! Installing packages on Debian, as root, without their services.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::process::Command;

/// Debian's packages ask this program whether they may start their service; 101 means no.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Whether this is Debian, or made of it, and we are root.
pub(crate) fn is_possible() -> bool {
    Path::new("/etc/debian_version").exists() && rustix::process::getuid().is_root()
}

/// Installs `packages`, and neither starts nor enables their services.
pub(crate) async fn install(packages: &[&str]) -> anyhow::Result<()> {
    let _policy = Policy::forbid()?;
    apt_get(&["update"]).await?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], packages].concat()).await?;
    if Path::new("/run/systemd/system").exists() {
        run(Command::new("systemctl").arg("disable").arg("--now").args(packages)).await?;
    }
    Ok(())
}

async fn apt_get(args: &[&str]) -> anyhow::Result<()> {
    // Another apt may be at work, on a machine that has just booted for instance.
    let wait = ["-o", "DPkg::Lock::Timeout=300", "--quiet", "--quiet"];
    run(Command::new("apt-get").args(wait).args(args).env("DEBIAN_FRONTEND", "noninteractive")).await
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{:?}", command.as_std());
    // Standard output belongs to what the caller prints.
    command.stdin(Stdio::null()).stdout(Stdio::from(std::io::stderr()));
    let status = command.status().await.with_context(|| format!("run {shown}"))?;
    if !status.success() {
        bail!("{shown} ended with {status}");
    }
    Ok(())
}

/// Keeps packages from starting their services, until dropped. Leaves a machine's own policy alone.
struct Policy {
    is_ours: bool,
}

impl Policy {
    fn forbid() -> anyhow::Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { is_ours: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").with_context(|| format!("write {POLICY}"))?;
        let policy = Self { is_ours: true };
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("make {POLICY} executable"))?;
        Ok(policy)
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if self.is_ours
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!("warning: remove {POLICY}: {error}");
        }
    }
}
