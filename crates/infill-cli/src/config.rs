//! The configuration: `infill.toml` and the environment, resolved once at the start.
//!
//! The only place that reads the environment. Precedence: flag, environment, file, default. Secrets never stand in
//! the file: it names the environment variable or the file that holds them. A secret that is not there is no fault of
//! the file: it is missed when it is used, so that a connection without its token hinders no other.

mod document;
mod read;
mod schema;
mod vendor;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use infill_model::ConnectionName;
use infill_model::nearest::did_you_mean;
use infill_rules::quota::Limits;
use secrecy::SecretString;
use url::Url;

pub(crate) use schema::schema;
pub(crate) use vendor::Vendor;

use crate::exit::{Faulty, Usage};

/// The file that is read when none is named.
pub(crate) const DEFAULT_FILE: &str = "infill.toml";

/// Everything configured.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The file it came from, if there was one.
    pub(crate) file: Option<PathBuf>,
    /// Store and broker.
    pub(crate) engine: Engine,
    /// The key that stored logins are encrypted with; needed for OAuth only.
    pub(crate) vault_key: Option<SecretString>,
    /// How much at once.
    pub(crate) worker: Worker,
    /// When lost work is published again, and how long values are kept.
    pub(crate) planner: Planner,
    /// Where worker and planner answer metrics and health; `None` when they do not.
    pub(crate) listen: Option<SocketAddr>,
    /// The accounts, by name.
    pub(crate) connections: BTreeMap<ConnectionName, Connection>,
}

/// Which store and which broker.
#[derive(Clone, Debug)]
pub(crate) enum Engine {
    /// In the process, with an SQLite file.
    Embedded {
        /// The file.
        path: PathBuf,
    },
    /// PostgreSQL and RabbitMQ.
    Distributed(Distributed),
}

/// Where the services of the distributed engine are.
#[derive(Clone, Debug)]
pub(crate) struct Distributed {
    /// `postgres://…`
    pub(crate) database_url: Secret,
    /// The schema within the database; `None` for the login's own.
    pub(crate) schema: Option<String>,
    /// `amqp://…` or `amqps://…`
    pub(crate) amqp_url: Secret,
    /// What names of exchanges and queues begin with.
    pub(crate) prefix: String,
}

/// How much at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
    /// Messages handled at once by one worker.
    pub(crate) concurrency: u16,
    /// Batches in flight per run.
    pub(crate) batches_in_flight: u32,
}

/// What a planner goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planner {
    /// Work that nobody touched for this long is published again.
    pub(crate) republish_after: Duration,
    /// Values of runs that ended so long ago are purged; `None` keeps them all.
    pub(crate) retention: Option<Duration>,
    /// What a person is asked about can be approved for this long.
    pub(crate) approve_within: Duration,
}

/// One account in one CRM.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// The vendor.
    pub(crate) vendor: Vendor,
    /// Where its API is.
    pub(crate) base_url: Url,
    /// The version of its API, in the vendor's words.
    pub(crate) api_version: String,
    /// How to log in.
    pub(crate) login: Login,
    /// What may be spent.
    pub(crate) limits: Limits,
    /// What is said with every update, to a vendor that wants to know.
    pub(crate) switches: Switches,
    /// The field by which records that actions create are known again, for a vendor that has no such by itself.
    pub(crate) replay_key_field: Option<String>,
}

/// What is said with every update, off unless switched on, and which way it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Switches {
    /// Assignment rules run.
    pub(crate) auto_assign: bool,
    /// Updates that a duplicate rule only warns of are saved.
    pub(crate) allow_duplicates: bool,
    /// One call at a time, or jobs.
    pub(crate) transport: infill_salesforce::Route,
}

/// How a connection logs in.
#[derive(Clone, Debug)]
pub(crate) enum Login {
    /// With a token that does not change.
    Token(Secret),
    /// With tokens that are refreshed.
    OAuth(OAuth),
    /// With tokens that an app is given as itself.
    ClientCredentials(App),
    /// With tokens that an app is given for a user, by its certificate.
    Jwt(Jwt),
}

impl Login {
    /// What a listing calls it.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::OAuth(_) => "oauth",
            Self::ClientCredentials(_) => "client_credentials",
            Self::Jwt(_) => "jwt",
        }
    }
}

/// An OAuth app and its first refresh token.
#[derive(Clone, Debug)]
pub(crate) struct OAuth {
    /// The app.
    pub(crate) client_id: String,
    /// Its secret.
    pub(crate) client_secret: Secret,
    /// The refresh token that the app's installation gave; later ones are kept in the store.
    pub(crate) refresh_token: Secret,
}

/// An OAuth app.
#[derive(Clone, Debug)]
pub(crate) struct App {
    /// Its public id.
    pub(crate) client_id: String,
    /// Its secret.
    pub(crate) client_secret: Secret,
}

/// An OAuth app that logs in for a user by its certificate.
#[derive(Clone, Debug)]
pub(crate) struct Jwt {
    /// The app's public id.
    pub(crate) client_id: String,
    /// The user.
    pub(crate) username: String,
    /// The certificate's private key.
    pub(crate) private_key: Secret,
    /// Whom assertions are for, where the login host does not tell.
    pub(crate) audience: Option<String>,
}

/// A secret that was looked up when the configuration was read.
#[derive(Clone)]
pub(crate) enum Secret {
    /// It is there.
    Known(SecretString),
    /// It is not, and what to do.
    Missing(String),
}

impl Secret {
    /// The secret.
    ///
    /// # Errors
    /// When it was not where the configuration says; names the place and never its content.
    pub(crate) fn get(&self) -> Result<&SecretString, Usage> {
        match self {
            Self::Known(secret) => Ok(secret),
            Self::Missing(why) => Err(Usage(why.clone())),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(_) => f.write_str("Known(…)"),
            Self::Missing(why) => f.debug_tuple("Missing").field(why).finish(),
        }
    }
}

impl Config {
    /// A connection by name.
    ///
    /// # Errors
    /// When there is none of this name; lists the nearest, or says how to make one.
    pub(crate) fn connection(&self, name: &ConnectionName) -> Result<&Connection, Usage> {
        self.connections.get(name).ok_or_else(|| {
            let known = self.connections.keys().map(ConnectionName::as_str);
            let file = match &self.file {
                Some(file) => file.display().to_string(),
                None => DEFAULT_FILE.to_owned(),
            };
            let hint = match (did_you_mean(name.as_str(), known), &self.file) {
                (hint, _) if !hint.is_empty() => hint,
                (_, Some(_)) => format!("; add [connections.{name}] to it, or see `infill connections list`"),
                (_, None) => ", which is not here; write it, or name another file with --config".to_owned(),
            };
            Usage(format!("no connection \"{name}\" in {file}{hint}"))
        })
    }
}

/// What is outside the process, so that tests can bring their own.
struct Surroundings<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    file: &'a dyn Fn(&Path) -> io::Result<String>,
}

/// Reads the configuration from the file named, or from `infill.toml` if there is one, and from the environment.
///
/// # Errors
/// When a named file cannot be read, or the file or a variable has faults: all of them.
pub(crate) fn load(named: Option<&Path>) -> anyhow::Result<Config> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    let variable = |name: &str| std::env::var(name).ok();
    let file = |path: &Path| std::fs::read_to_string(path);
    load_from(named, &Surroundings { variable: &variable, file: &file })
}

fn load_from(named: Option<&Path>, around: &Surroundings<'_>) -> anyhow::Result<Config> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match (around.file)(path) {
        Ok(text) => Some(text),
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            let usage = Usage(format!("read the configuration {}", path.display()));
            return Err(anyhow::Error::new(error).context(usage));
        }
    };
    let written = text.as_deref().map(|text| (path, text));
    read::config(written, around).map_err(|lines| Faulty { file: path.display().to_string(), lines }.into())
}

#[cfg(test)]
mod tests;
