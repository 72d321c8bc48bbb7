//! Where the services of a test run come from, in this order: the environment names them; Docker; programs of this
//! machine; packages of Debian, installed first. Else the run fails and says what is missing. Nothing is skipped.
//!
//! Tests that stop and kill servers start private ones, so Docker or the programs must be there even when the
//! environment names a pair to share.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use infill_testkit::services::{
    self, AMQP_URL, DATABASE_URL, PostgresSource, PrivatePostgres, PrivateRabbit, RabbitSource,
};

use crate::install;

/// The pair that a test run shares.
pub(crate) struct Services {
    /// The broker.
    pub(crate) amqp_url: String,
    /// The database.
    pub(crate) database_url: String,
    started: Started,
}

/// What must end with the run.
struct Started {
    rabbit: Option<PrivateRabbit>,
    postgres: Option<PrivatePostgres>,
    dir: PathBuf,
}

impl Services {
    /// Finds both, or installs and starts what is missing.
    pub(crate) async fn have() -> anyhow::Result<Self> {
        provide_programs().await?;
        let mut started = Started { rabbit: None, postgres: None, dir: directory()? };
        let amqp_url = match services::amqp_url() {
            Ok(url) => {
                eprintln!("RabbitMQ: as {AMQP_URL} says");
                url
            }
            Err(_) => {
                eprintln!("RabbitMQ: starting one for this run");
                let rabbit = PrivateRabbit::start_in(&started.dir).await?;
                started.rabbit.insert(rabbit).url()
            }
        };
        let database_url = match services::database_url() {
            Ok(url) => {
                eprintln!("PostgreSQL: as {DATABASE_URL} says");
                url
            }
            Err(_) => {
                eprintln!("PostgreSQL: starting one for this run");
                let postgres = PrivatePostgres::start_in(&started.dir).await?;
                started.postgres.insert(postgres).url()
            }
        };
        Ok(Self { amqp_url, database_url, started })
    }

    /// Where private servers keep their data.
    pub(crate) fn dir(&self) -> &Path {
        &self.started.dir
    }

    /// Ends what was started, and what tests left behind.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        let mut started = self.started;
        if let Some(rabbit) = &mut started.rabbit {
            rabbit.kill().await?;
        }
        if let Some(postgres) = &mut started.postgres {
            postgres.kill().await?;
        }
        Ok(())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        (self.rabbit, self.postgres) = (None, None);
        if let Err(error) = services::sweep(&self.dir) {
            eprintln!("warning: {:#}", anyhow::Error::from(error));
        }
    }
}

/// Makes sure that private servers can be started, for the run or by its tests.
async fn provide_programs() -> anyhow::Result<()> {
    let rabbit = RabbitSource::find().await.err().map(|missing| (missing, "rabbitmq-server"));
    let postgres = PostgresSource::find().await.err().map(|missing| (missing, "postgresql"));
    let missing: Vec<_> = rabbit.into_iter().chain(postgres).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (causes, packages): (Vec<_>, Vec<_>) =
        missing.into_iter().map(|(missing, package)| (missing.to_string(), package)).unzip();
    if !install::is_possible() {
        bail!("{}\ninstall {}, or start Docker", causes.join("\n"), packages.join(" and "));
    }
    eprintln!("{}\ninstalling {}", causes.join("\n"), packages.join(" and "));
    install::install(&packages).await?;
    RabbitSource::find().await?;
    PostgresSource::find().await?;
    Ok(())
}

/// A directory for this run, under cargo's target directory where PostgreSQL can reach that.
fn directory() -> anyhow::Result<PathBuf> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .no_deps()
        .exec()
        .context("ask cargo for its target directory")?;
    let wanted = metadata.target_directory.as_std_path().join(format!("services-{}", std::process::id()));
    fs::create_dir_all(&wanted).with_context(|| format!("make {}", wanted.display()))?;
    let dir = services::root(&wanted);
    if dir != wanted {
        fs::remove_dir(&wanted).with_context(|| format!("remove {}", wanted.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
    Ok(dir)
}
