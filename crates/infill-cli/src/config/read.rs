//! Reading the tree of a configuration: strictly, every fault at once.

mod login;

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use infill_model::ConnectionName;
use infill_model::document::{At, Fields, Kind, Node};
use infill_model::error::{Fault, FaultCode};
use infill_rules::quota::{Limits, Rate};
use infill_salesforce::Route;
use secrecy::SecretString;
use url::Url;

#[cfg(test)]
pub(super) use self::login::{CLIENT_CREDENTIALS_KEYS, JWT_KEYS, OAUTH_KEYS};
use super::{
    Config, Connection, Distributed, Engine, Planner, Secret, Surroundings, Switches, Vendor, Worker,
    document,
};
use crate::age::Age;
use crate::config::vendor::{Terms, VENDOR_KEYS, Window};

pub(super) const SECTIONS: &[&str] =
    &["engine", "store", "broker", "worker", "planner", "server", "connections"];
pub(super) const ENGINE_KEYS: &[&str] = &["kind"];
pub(super) const STORE_KEYS: &[&str] = &["path", "url_env", "schema"];
pub(super) const BROKER_KEYS: &[&str] = &["url_env", "prefix"];
pub(super) const WORKER_KEYS: &[&str] = &["concurrency", "batches_in_flight"];
pub(super) const PLANNER_KEYS: &[&str] = &["republish_after_seconds", "retention", "approve_within"];
pub(super) const SERVER_KEYS: &[&str] = &["listen"];
pub(super) const CONNECTION_KEYS: &[&str] = &[
    "crm",
    "token_env",
    "token_file",
    "oauth",
    "client_credentials",
    "jwt",
    "base_url",
    "api_version",
    "calls_per_10_seconds",
    "calls_per_2_seconds",
    "search_calls_per_second",
    "calls_per_day",
    "tokens_per_day",
    "day_reserve_percent",
    "auto_assign",
    "allow_duplicates",
    "transport",
    "replay_key_field",
];

/// Sections whose keys the environment can set, as `INFILL_<SECTION>_<KEY>`.
const FROM_ENVIRONMENT: [(&str, &[&str]); 6] = [
    ("engine", ENGINE_KEYS),
    ("store", STORE_KEYS),
    ("broker", BROKER_KEYS),
    ("worker", WORKER_KEYS),
    ("planner", PLANNER_KEYS),
    ("server", SERVER_KEYS),
];

const DEFAULT_STORE: &str = "infill.db";
const DEFAULT_DATABASE_VARIABLE: &str = "INFILL_DATABASE_URL";
const DEFAULT_BROKER_VARIABLE: &str = "INFILL_AMQP_URL";
const DEFAULT_PREFIX: &str = "infill";

/// Messages at once. With calls of half a second, 16 make 320 calls in ten seconds: more than any HubSpot account is
/// allowed, so that the quota is the limit and not this.
const DEFAULT_CONCURRENCY: u16 = 16;
const MAX_CONCURRENCY: u64 = 1024;

/// Batches in flight per run: enough to keep the calls going, few enough that a small list is not stuck behind.
const DEFAULT_BATCHES_IN_FLIGHT: u32 = 8;
const MAX_BATCHES_IN_FLIGHT: u64 = 1024;

/// Work that nobody touched for so long is published again. A call with its retries in the transport is touched or ended well
/// before, so that a message is rarely doubled; doubled ones are handled once all the same.
const DEFAULT_REPUBLISH_AFTER_SECONDS: u64 = 60;
const MAX_REPUBLISH_AFTER_SECONDS: u64 = 86_400;

/// What waits for an approval can be approved for so long.
const DEFAULT_APPROVE_WITHIN: Duration = Duration::from_hours(24);

/// Some of the day must be left to spend.
const MAX_RESERVE_PERCENT: u64 = 99;

/// Reads what is written (path and text) and what the environment says.
///
/// # Errors
/// Every fault, each as a line that says where it is.
pub(super) fn config(
    written: Option<(&Path, &str)>,
    around: &Surroundings<'_>,
) -> Result<Config, Vec<String>> {
    let path = written.map(|(path, _)| path);
    let shown = path.map(|path| path.display().to_string()).unwrap_or_default();
    let in_file = |fault: &Fault| fault.in_file(&shown);
    let mut root = match written {
        Some((_, text)) => {
            document::parse(text).map_err(|faults| faults.iter().map(in_file).collect::<Vec<_>>())?
        }
        None => document::empty(),
    };
    let overridden = put_environment(&mut root, around);

    let mut reader =
        Reader { around, folder: path.and_then(Path::parent), overridden: &overridden, faults: vec![] };
    let config = reader.config(&At::root(&root), path);
    let mut faults = reader.faults;
    faults.sort_by_key(|fault| (fault.line, fault.column));
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        Some(_) | None => Err(faults
            .iter()
            .map(|fault| {
                if overridden.contains(&fault.path) {
                    format!("environment variable {}: {}", variable_of(&fault.path), fault.message)
                } else {
                    in_file(fault)
                }
            })
            .collect()),
    }
}

/// `engine.kind` is set by `INFILL_ENGINE_KIND`.
fn variable_of(path: &str) -> String {
    format!("INFILL_{}", path.replace('.', "_").to_uppercase())
}

/// Puts variables over what is written; gives the paths that were set so.
fn put_environment(root: &mut Node, around: &Surroundings<'_>) -> HashSet<String> {
    let mut overridden = HashSet::new();
    for (section, keys) in FROM_ENVIRONMENT {
        for key in keys {
            let path = format!("{section}.{key}");
            let Some(value) = (around.variable)(&variable_of(&path)) else { continue };
            let kind = match value.parse::<u64>() {
                Ok(number) if matches!(section, "worker" | "planner") => Kind::Number(number.into()),
                Ok(_) | Err(_) => Kind::Text(value),
            };
            document::put(root, section, key, kind);
            overridden.insert(path);
        }
    }
    overridden
}

/// Reads sections, noting faults.
struct Reader<'a> {
    around: &'a Surroundings<'a>,
    /// Where the file stands; paths in it are relative to there.
    folder: Option<&'a Path>,
    overridden: &'a HashSet<String>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn config(&mut self, root: &At<'_>, file: Option<&Path>) -> Option<Config> {
        let sections = root.fields(SECTIONS, &mut self.faults)?;
        let worker = self.worker(&sections);
        let planner = self.planner(&sections);
        let listen = self.listen(&sections);
        let engine = self.engine(&sections);
        let connections = sections.get("connections").map_or_else(
            || Some(BTreeMap::new()),
            |at| {
                let entries = at.entries(&mut self.faults)?;
                let read: Vec<_> =
                    entries.into_iter().map(|(name, at)| self.named_connection(name, &at)).collect();
                read.into_iter().collect()
            },
        );
        let vault_key = (self.around.variable)(infill_store::vault::KEY_VARIABLE);
        Some(Config {
            file: file.map(Path::to_path_buf),
            engine: engine?,
            vault_key: vault_key.map(SecretString::from),
            worker: worker?,
            planner: planner?,
            listen: listen?,
            connections: connections?,
        })
    }

    /// The keys of a section; the section may be left out, which `None` inside stands for.
    fn section<'n>(
        &mut self,
        sections: &Fields<'n>,
        name: &str,
        keys: &[&'static str],
    ) -> Option<Option<Fields<'n>>> {
        match sections.get(name) {
            None => Some(None),
            Some(at) => at.fields(keys, &mut self.faults).map(Some),
        }
    }

    fn engine(&mut self, sections: &Fields<'_>) -> Option<Engine> {
        #[derive(Clone, Copy)]
        enum Word {
            Embedded,
            Distributed,
        }
        let engine = self.section(sections, "engine", ENGINE_KEYS);
        let store = self.section(sections, "store", STORE_KEYS);
        let broker = self.section(sections, "broker", BROKER_KEYS);
        let kind = engine?.and_then(|fields| fields.get("kind")).map_or(Some(Word::Embedded), |at| {
            let words = [("embedded", Word::Embedded), ("distributed", Word::Distributed)];
            at.word(&words, &mut self.faults)
        });
        let (store, broker) = (store?, broker?);
        let of_store = |key: &str| store.as_ref().and_then(|fields| fields.get(key));
        let of_broker = |key: &str| broker.as_ref().and_then(|fields| fields.get(key));

        let default_path = self.beside(DEFAULT_STORE);
        let path = of_store("path").map_or(Some(default_path), |at| self.path(&at));
        let database = of_store("url_env")
            .map_or_else(|| Some(DEFAULT_DATABASE_VARIABLE.to_owned()), |at| self.variable_name(&at));
        let schema = of_store("schema").map(|at| self.plain_name(&at, "_"));
        let amqp = of_broker("url_env")
            .map_or_else(|| Some(DEFAULT_BROKER_VARIABLE.to_owned()), |at| self.variable_name(&at));
        let prefix = of_broker("prefix")
            .map_or_else(|| Some(DEFAULT_PREFIX.to_owned()), |at| self.plain_name(&at, "_.-"));
        Some(match kind? {
            Word::Embedded => Engine::Embedded { path: path? },
            Word::Distributed => Engine::Distributed(Distributed {
                database_url: self.secret_in_variable(
                    &database?,
                    "the address of the database: postgres://USER:PASSWORD@HOST/DATABASE",
                ),
                schema: schema.map_or(Some(None), |schema| schema.map(Some))?,
                amqp_url: self
                    .secret_in_variable(&amqp?, "the address of the broker: amqp://USER:PASSWORD@HOST/VHOST"),
                prefix: prefix?,
            }),
        })
    }

    fn worker(&mut self, sections: &Fields<'_>) -> Option<Worker> {
        let fields = self.section(sections, "worker", WORKER_KEYS)?;
        let of = |key: &str| fields.as_ref().and_then(|fields| fields.get(key));
        let concurrency = of("concurrency").map_or(Some(DEFAULT_CONCURRENCY), |at| {
            at.integer(1..=MAX_CONCURRENCY, &mut self.faults).and_then(|number| u16::try_from(number).ok())
        });
        let in_flight = of("batches_in_flight").map_or(Some(DEFAULT_BATCHES_IN_FLIGHT), |at| {
            at.integer(1..=MAX_BATCHES_IN_FLIGHT, &mut self.faults)
                .and_then(|number| u32::try_from(number).ok())
        });
        Some(Worker { concurrency: concurrency?, batches_in_flight: in_flight? })
    }

    fn planner(&mut self, sections: &Fields<'_>) -> Option<Planner> {
        let fields = self.section(sections, "planner", PLANNER_KEYS)?;
        let of = |key: &str| fields.as_ref().and_then(|fields| fields.get(key));
        let republish_after = of("republish_after_seconds")
            .map_or(Some(DEFAULT_REPUBLISH_AFTER_SECONDS), |at| {
                at.integer(1..=MAX_REPUBLISH_AFTER_SECONDS, &mut self.faults)
            });
        let retention = of("retention").map_or(Some(None), |at| self.age(&at).map(Some));
        let approve_within = of("approve_within").map_or(Some(DEFAULT_APPROVE_WITHIN), |at| self.age(&at));
        Some(Planner {
            republish_after: Duration::from_secs(republish_after?),
            retention: retention?,
            approve_within: approve_within?,
        })
    }

    fn age(&mut self, at: &At<'_>) -> Option<Duration> {
        let read = at.name(&mut self.faults)?.parse::<Age>();
        match read {
            Ok(Age(age)) => Some(age),
            Err(why) => {
                self.faults.push(at.fault(FaultCode::InvalidValue, why));
                None
            }
        }
    }

    fn listen(&mut self, sections: &Fields<'_>) -> Option<Option<SocketAddr>> {
        let fields = self.section(sections, "server", SERVER_KEYS)?;
        let Some(at) = fields.and_then(|fields| fields.get("listen")) else {
            return Some(Some(infill_server::DEFAULT_LISTEN));
        };
        let text = at.text(&mut self.faults)?;
        if text.is_empty() {
            return Some(None);
        }
        if let Ok(address) = text.parse() {
            return Some(Some(address));
        }
        let message = "expected an address and a port, as in \"127.0.0.1:9464\", or \"\" for none";
        self.faults.push(at.fault(FaultCode::InvalidValue, message));
        None
    }

    fn named_connection(&mut self, name: &str, at: &At<'_>) -> Option<(ConnectionName, Connection)> {
        let is_plain =
            !name.is_empty() && name.chars().all(|each| each.is_ascii_alphanumeric() || "_.-".contains(each));
        if !is_plain {
            let message = format!("\"{name}\" is no name for a connection; use letters, digits, _, . and -");
            self.faults.push(at.fault(FaultCode::InvalidValue, message));
        }
        self.connection(name, at).map(|connection| (name.into(), connection))
    }

    fn connection(&mut self, name: &str, at: &At<'_>) -> Option<Connection> {
        let fields = self.fields_without_secrets(at, CONNECTION_KEYS, &["token"])?;
        let vendors = Vendor::ALL.map(|vendor| (vendor.as_str(), vendor));
        let vendor =
            fields.require("crm", &mut self.faults).and_then(|at| at.word(&vendors, &mut self.faults));
        let login = self.login(name, vendor, &fields);
        let vendor = vendor?;
        let terms = vendor.terms();
        self.refuse_foreign_keys(vendor, &terms, &fields);
        let base_url = self.base_url(&terms, &fields);
        let switches = self.switches(&fields);
        let replay_key_field = fields.get("replay_key_field").map(|at| at.name(&mut self.faults));
        let api_version = self.api_version(&terms, &fields);
        let limits = self.limits(&terms, &fields);
        Some(Connection {
            vendor,
            base_url: base_url?,
            api_version: api_version?.to_owned(),
            login: login?,
            limits: limits?,
            switches: switches?,
            replay_key_field: match replay_key_field {
                Some(name) => Some(name?.to_owned()),
                None => None,
            },
        })
    }

    fn switches(&mut self, fields: &Fields<'_>) -> Option<Switches> {
        let mut flag = |key| fields.get(key).map_or(Some(false), |at| at.flag(&mut self.faults));
        let (auto_assign, allow_duplicates) = (flag("auto_assign"), flag("allow_duplicates"));
        let at = fields.get("transport");
        let transport =
            at.as_ref().map_or(Some(Route::default()), |at| at.word(&Route::ALL, &mut self.faults));
        let (auto_assign, allow_duplicates, transport) = (auto_assign?, allow_duplicates?, transport?);
        if let Some(at) = at.filter(|_| transport == Route::Bulk && (auto_assign || allow_duplicates)) {
            let message =
                "Bulk API 2.0 knows neither auto_assign nor allow_duplicates; leave out transport, or these";
            self.faults.push(at.fault(FaultCode::InvalidValue, message));
            return None;
        }
        Some(Switches { auto_assign, allow_duplicates, transport })
    }

    /// Refuses keys that another vendor has: ignored, they would seem to hold.
    fn refuse_foreign_keys(&mut self, vendor: Vendor, terms: &Terms, fields: &Fields<'_>) {
        for key in VENDOR_KEYS.into_iter().filter(|key| !terms.has(key)) {
            if let Some(at) = fields.get(key) {
                let known: Vec<&str> = VENDOR_KEYS.into_iter().filter(|key| terms.has(key)).collect();
                let message =
                    format!("is no key of {} connections, which have {}", vendor.as_str(), known.join(", "));
                self.faults.push(at.fault(FaultCode::UnknownKey, message));
            }
        }
    }

    fn api_version(&mut self, terms: &Terms, fields: &Fields<'_>) -> Option<&'static str> {
        let words: Vec<(&str, &'static str)> =
            terms.api_versions.iter().map(|version| (*version, *version)).collect();
        match fields.get("api_version") {
            Some(at) => at.word(&words, &mut self.faults),
            None => terms.api_versions.last().copied(),
        }
    }

    fn limits(&mut self, terms: &Terms, fields: &Fields<'_>) -> Option<Limits> {
        let general = terms.burst.map_or(Some(None), |window| self.rate(fields, window));
        let search = terms.search.map_or(Some(None), |window| self.rate(fields, window));
        let daily = fields.get(terms.day_key).map(|at| at.integer(1..=u64::MAX, &mut self.faults));
        let reserve = fields.get("day_reserve_percent").map_or(Some(terms.reserve_percent.into()), |at| {
            at.integer(0..=MAX_RESERVE_PERCENT, &mut self.faults)
        });
        Some(Limits {
            general: general?,
            search: search?,
            daily: daily.map_or(Some(None), |daily| daily.map(Some))?,
            reserve_percent: u8::try_from(reserve?).ok()?,
            is_day_rolling: terms.is_day_rolling,
        })
    }

    /// The keys of a table, after refusing secrets that stand in it. Their values are never part of a message.
    fn fields_without_secrets<'n>(
        &mut self,
        at: &At<'n>,
        known: &[&'static str],
        secrets: &[&'static str],
    ) -> Option<Fields<'n>> {
        if !matches!(at.node().kind, Kind::Map(_)) {
            // What stands here instead may be the secret itself.
            self.faults.push(at.fault(FaultCode::InvalidValue, format!("expected a table [{}]", at.path())));
            return None;
        }
        let with_secrets: Vec<&'static str> = known.iter().chain(secrets).copied().collect();
        let fields = if at.keys().any(|key| secrets.contains(&key)) {
            at.fields(&with_secrets, &mut self.faults)?
        } else {
            at.fields(known, &mut self.faults)?
        };
        for key in secrets {
            if let Some(at) = fields.get(key) {
                let variable = key.to_uppercase();
                let message = format!(
                    "a secret must not stand in this file; put it into an environment variable and name \
                     that, as in {key}_env = \"CRM_{variable}\", or into a file: {key}_file = \"PATH\""
                );
                self.faults.push(at.fault(FaultCode::InvalidValue, message));
            }
        }
        Some(fields)
    }

    fn required_secret(
        &mut self,
        connection: &str,
        fields: &Fields<'_>,
        key: &str,
        words: &str,
    ) -> Option<Secret> {
        let (in_variable, in_file) = (format!("{key}_env"), format!("{key}_file"));
        let n_given = [&in_variable, &in_file].into_iter().filter(|key| fields.get(key).is_some()).count();
        let is_explained =
            fields.get(key).is_some() || fields.is_misspelt(&in_variable) || fields.is_misspelt(&in_file);
        if n_given != 1 && !is_explained {
            let code = if n_given == 0 { FaultCode::MissingKey } else { FaultCode::Duplicate };
            let message = format!("give one of {in_variable} and {in_file}");
            self.faults.push(fields.at().fault(code, message));
            return None;
        }
        self.secret(fields, key, &format!("the {words} of connection {connection}"))
    }

    /// Looks a secret up where `KEY_env` or `KEY_file` says.
    fn secret(&mut self, fields: &Fields<'_>, key: &str, what: &str) -> Option<Secret> {
        if let Some(at) = fields.get(&format!("{key}_env")) {
            let variable = self.variable_name(&at)?;
            return Some(self.secret_in_variable(&variable, what));
        }
        let at = fields.get(&format!("{key}_file"))?;
        let path = self.path(&at)?;
        Some(self.secret_in_file(&path, what))
    }

    fn secret_in_variable(&self, variable: &str, what: &str) -> Secret {
        match (self.around.variable)(variable) {
            Some(value) if !value.trim().is_empty() => Secret::Known(value.trim().to_owned().into()),
            Some(_) => Secret::Missing(format!("environment variable {variable} is empty; set it to {what}")),
            None => Secret::Missing(format!("environment variable {variable} is not set; set it to {what}")),
        }
    }

    fn secret_in_file(&self, path: &Path, what: &str) -> Secret {
        let path_shown = path.display();
        match (self.around.file)(path) {
            Ok(text) if !text.trim().is_empty() => Secret::Known(text.trim().to_owned().into()),
            Ok(_) => Secret::Missing(format!("file {path_shown} is empty; put {what} into it")),
            Err(error) => {
                Secret::Missing(format!("file {path_shown} cannot be read ({error}); put {what} into it"))
            }
        }
    }

    /// The name of an environment variable. In capitals, which a secret put here by mistake is not: so it is refused,
    /// and never printed.
    fn variable_name(&mut self, at: &At<'_>) -> Option<String> {
        let is_variable = |text: &str| {
            text.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
                && text.chars().all(|each| each.is_ascii_uppercase() || each.is_ascii_digit() || each == '_')
        };
        match &at.node().kind {
            Kind::Text(text) if is_variable(text) => Some(text.clone()),
            Kind::Text(_) | Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::List(_) | Kind::Map(_) => {
                let message = "expected the name of an environment variable in capitals, as in \
                               \"CRM_TOKEN\"; the secret itself must not stand here";
                self.faults.push(at.fault(FaultCode::InvalidValue, message));
                None
            }
        }
    }

    /// A path; one in the file is relative to the file, so that every command finds the same store.
    fn path(&mut self, at: &At<'_>) -> Option<PathBuf> {
        let text = at.name(&mut self.faults)?;
        if self.overridden.contains(at.path()) { Some(text.into()) } else { Some(self.beside(text)) }
    }

    fn beside(&self, path: &str) -> PathBuf {
        self.folder.map_or_else(|| path.into(), |folder| folder.join(path))
    }

    /// A name made of small letters, digits and `more`: what servers take without quotes.
    fn plain_name(&mut self, at: &At<'_>, more: &str) -> Option<String> {
        const MOST: usize = 63;
        let text = at.name(&mut self.faults)?;
        let is_plain = text.len() <= MOST
            && text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
            && text
                .chars()
                .all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || more.contains(each));
        if !is_plain {
            let more: Vec<String> = more.chars().map(String::from).collect();
            let message = format!(
                "expected at most {MOST} small letters, digits and {}, beginning with a letter",
                more.join(" ")
            );
            self.faults.push(at.fault(FaultCode::InvalidValue, message));
            return None;
        }
        Some(text.to_owned())
    }

    fn base_url(&mut self, terms: &Terms, fields: &Fields<'_>) -> Option<Url> {
        let at = fields.get("base_url");
        let login = terms.logins_at_account.iter().find(|login| fields.get(login).is_some());
        if let (None, Some(login)) = (&at, login) {
            let message = format!(
                "{login} needs base_url: the org's own address, as in \"https://acme.my.salesforce.com\""
            );
            self.faults.push(fields.at().fault(FaultCode::MissingKey, message));
            return None;
        }
        let text = at.as_ref().map_or(Some(terms.base_url), |at| at.text(&mut self.faults))?;
        let url = Url::parse(text).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty()
        });
        if let (None, Some(at)) = (&url, &at) {
            let message = format!("expected an address without a login, as in \"{}\"", terms.base_url);
            self.faults.push(at.fault(FaultCode::InvalidValue, message));
        }
        url
    }

    /// So many calls in a window, or `unlimited`.
    fn rate(&mut self, fields: &Fields<'_>, window: Window) -> Option<Option<Rate>> {
        let Window { key, calls, per_ms } = window;
        let Some(at) = fields.get(key) else { return Some(Some(Rate { calls, per_ms })) };
        match &at.node().kind {
            Kind::Text(word) if word == "unlimited" => Some(None),
            Kind::Number(number) => {
                let calls = number.as_u64().and_then(|calls| u32::try_from(calls).ok()).filter(|n| *n > 0);
                if calls.is_none() {
                    self.faults.push(at.fault(FaultCode::InvalidValue, "expected a whole number from 1"));
                }
                calls.map(|calls| Some(Rate { calls, per_ms }))
            }
            Kind::Text(_) | Kind::Null | Kind::Bool(_) | Kind::List(_) | Kind::Map(_) => {
                let found = at.node().describe();
                let message = format!("expected a whole number from 1, or \"unlimited\", found {found}");
                self.faults.push(at.fault(FaultCode::InvalidValue, message));
                None
            }
        }
    }
}
