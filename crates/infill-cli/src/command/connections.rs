//! `infill connections`: what is configured, and which account answers.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write};

use anyhow::Context;
use infill_crm::Account;
use infill_model::{Actor, ConnectionName};
use infill_rules::quota::{Rate, State};
use infill_store::Store;
use infill_store::pause::Paused;
use infill_telemetry::chain;
use serde::Serialize;

use crate::args::{self, Format};
use crate::command::pause::since;
use crate::compose::Parts;
use crate::config::{Config, Connection, Engine, Login};
use crate::exit::Exit;
use crate::render::{self, shown};

/// Lists or tests.
pub(crate) async fn connections(
    config: &Config,
    actor: &Actor,
    args: &args::Connections,
) -> anyhow::Result<Exit> {
    match args {
        args::Connections::List { format } => list(config, &Pauses::look(config, actor).await, *format),
        args::Connections::Test { name, format } => {
            // Before the store is opened: a wrong name should not make one.
            config.connection(name)?;
            test(&Parts::open(config.clone(), actor.clone()).await?, name, *format).await
        }
    }
}

/// A connection, without its secrets.
#[derive(Debug, Serialize)]
struct ConnectionView<'a> {
    name: &'a ConnectionName,
    crm: &'static str,
    login: &'static str,
    /// Why it cannot log in, if so.
    missing: Option<String>,
    base_url: &'a str,
    api_version: &'a str,
    /// `None` is unlimited.
    burst: Option<Burst>,
    search_calls_per_second: Option<u32>,
    /// What may be spent in a day, in the vendor's units.
    per_day: Option<u64>,
    unit: &'static str,
    day_reserve_percent: u8,
    /// That somebody paused it.
    paused: Option<&'a Paused>,
    /// Why its login is refused, which pauses it as well.
    login_refused: Option<&'a str>,
}

/// So many calls in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Burst {
    calls: u32,
    seconds: i64,
}

impl fmt::Display for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} s", self.calls, self.seconds)
    }
}

impl<'a> ConnectionView<'a> {
    fn of(name: &'a ConnectionName, connection: &'a Connection, pauses: &'a Pauses) -> Self {
        let burst = |rate: Rate| Burst { calls: rate.calls, seconds: rate.per_ms / 1_000 };
        Self {
            name,
            crm: connection.vendor.as_str(),
            login: connection.login.as_str(),
            missing: missing(&connection.login),
            base_url: connection.base_url.as_str(),
            api_version: &connection.api_version,
            burst: connection.limits.general.map(burst),
            search_calls_per_second: connection.limits.search.map(|rate| rate.calls),
            per_day: connection.limits.daily,
            unit: connection.vendor.unit(),
            day_reserve_percent: connection.limits.reserve_percent,
            paused: pauses.by_hand.get(name),
            login_refused: pauses.of_login.get(name).map(String::as_str),
        }
    }
}

/// What keeps connections from being worked on, as the store has it.
#[derive(Debug, Default)]
struct Pauses {
    by_hand: HashMap<ConnectionName, Paused>,
    of_login: HashMap<ConnectionName, String>,
}

impl Pauses {
    /// A store that is not there, or out of reach, hinders nobody from seeing what is configured.
    async fn look(config: &Config, actor: &Actor) -> Self {
        if matches!(&config.engine, Engine::Embedded { path } if !path.exists()) {
            return Self::default();
        }
        let looked = async {
            let parts = Parts::open(config.clone(), actor.clone()).await?;
            Self::in_store(parts.store.as_ref(), config.connections.keys()).await
        };
        looked.await.unwrap_or_else(|error: anyhow::Error| {
            eprintln!("which of them are paused is not known: {}", chain(error.as_ref()));
            Self::default()
        })
    }

    async fn in_store(
        store: &dyn Store,
        names: impl Iterator<Item = &ConnectionName>,
    ) -> anyhow::Result<Self> {
        let by_hand = store.paused_connections().await?.into_iter().collect();
        let mut of_login = HashMap::new();
        for name in names {
            let quota = store.quota(name).await?.and_then(|json| serde_json::from_value(json).ok());
            if let Some(why) = quota.as_ref().and_then(State::paused) {
                of_login.insert(name.clone(), why.to_owned());
            }
        }
        Ok(Self { by_hand, of_login })
    }
}

fn missing(login: &Login) -> Option<String> {
    let secrets = match login {
        Login::Token(token) => vec![token],
        Login::OAuth(app) => vec![&app.client_secret, &app.refresh_token],
        Login::ClientCredentials(app) => vec![&app.client_secret],
        Login::Jwt(jwt) => vec![&jwt.private_key],
    };
    secrets.into_iter().find_map(|secret| secret.get().err()).map(|missing| missing.to_string())
}

fn list(config: &Config, pauses: &Pauses, format: Format) -> anyhow::Result<Exit> {
    let views: Vec<ConnectionView<'_>> = config
        .connections
        .iter()
        .map(|(name, connection)| ConnectionView::of(name, connection, pauses))
        .collect();
    let mut out = io::stdout().lock();
    match format {
        Format::Json => render::write_json(&mut out, &views)?,
        Format::Table if views.is_empty() => {
            let said = "no connections; docs/configuration.md says how to write infill.toml";
            writeln!(out, "{said}").context("print the connections")?;
        }
        Format::Table => {
            let head = ["name", "crm", "api", "calls", "searches/s", "a day", "address", "login", "paused"];
            let mut table = vec![head.map(str::to_owned).to_vec()];
            table.extend(views.iter().map(line));
            render::write_table(&mut out, &table)?;
        }
    }
    Ok(Exit::Well)
}

fn line(view: &ConnectionView<'_>) -> Vec<String> {
    let searches = view.search_calls_per_second;
    let login = match &view.missing {
        None => view.login.to_owned(),
        Some(why) => format!("{}: {why}", view.login),
    };
    vec![
        view.name.to_string(),
        view.crm.to_owned(),
        view.api_version.to_owned(),
        view.burst.map_or_else(|| "unlimited".to_owned(), |burst| burst.to_string()),
        searches.map_or_else(|| "unlimited".to_owned(), |searches| searches.to_string()),
        view.per_day.map(|units| format!("{units} {}", view.unit)).unwrap_or_default(),
        view.base_url.to_owned(),
        login,
        match (view.paused, view.login_refused) {
            (Some(paused), _) => since(paused),
            (None, Some(why)) => format!("its login is refused: {why}"),
            (None, None) => String::new(),
        },
    ]
}

/// What a connection reached.
#[derive(Debug, Serialize)]
struct Reached<'a> {
    connection: ConnectionView<'a>,
    account: Account,
    write_batch: u32,
    read_batch: u32,
}

async fn test(parts: &Parts, name: &ConnectionName, format: Format) -> anyhow::Result<Exit> {
    let connection = parts.config.connection(name)?;
    let crm = parts.connections.connect(name).await?;
    // Whoever tests a paused connection has mended its login; if not, the call below pauses it again.
    parts.connections.resume(name).await?;
    let account = crm.account().await?;
    let limits = crm.limits(None);
    let pauses = Pauses::in_store(parts.store.as_ref(), std::iter::once(name)).await?;
    let reached = Reached {
        connection: ConnectionView::of(name, connection, &pauses),
        account,
        write_batch: limits.write_batch,
        read_batch: limits.read_batch,
    };
    let mut out = io::stdout().lock();
    match format {
        Format::Json => render::write_json(&mut out, &reached)?,
        Format::Table => {
            for (fact, text) in facts(&reached) {
                writeln!(out, "{fact:<12} {}", shown(&text)).context("print the account")?;
            }
        }
    }
    Ok(Exit::Well)
}

fn facts(reached: &Reached<'_>) -> Vec<(&'static str, String)> {
    let Reached { connection, account, write_batch, read_batch } = reached;
    let mut facts = vec![
        ("connection", format!("{} ({}, {})", connection.name, connection.crm, connection.base_url)),
        ("account", format!("{} ({})", account.label, account.id)),
        ("time zone", account.time_zone.clone()),
    ];
    if let Some(limit) = account.daily_limit {
        let used = account.daily_used.map(|used| format!(", {} used today", render::count(used)));
        facts.push((
            "a day",
            format!("{} {}{}", render::count(limit), connection.unit, used.unwrap_or_default()),
        ));
    }
    let burst = connection.burst.map_or_else(
        || "unlimited".to_owned(),
        |burst| format!("{} in any {} s, as configured", burst.calls, burst.seconds),
    );
    facts.push(("calls", burst));
    if let Some(paused) = connection.paused {
        let way_out = format!("`infill resume --connection {}` goes on", connection.name);
        facts.push(("paused", format!("{}; {way_out}", since(paused))));
    }
    facts.push(("batches", format!("{read_batch} records a read, {write_batch} a write")));
    facts
}

#[cfg(test)]
mod tests {
    use infill_rules::quota::Limits;

    use super::*;
    use crate::config::{Secret, Vendor};
    use crate::sample;

    fn connection(token: Secret) -> Connection {
        Connection {
            vendor: Vendor::HubSpot,
            base_url: "https://api.hubapi.com".parse().unwrap(),
            api_version: "2026-09".into(),
            login: Login::Token(token),
            limits: Limits {
                general: Some(Rate { calls: 190, per_ms: 10_000 }),
                search: None,
                ..Limits::default()
            },
            switches: crate::config::Switches::default(),
            replay_key_field: None,
        }
    }

    #[test]
    fn a_listing_says_what_is_missing_and_never_what_is_secret() {
        let name = "main".into();
        let there = connection(Secret::Known("pat-secret".to_owned().into()));
        let pauses = Pauses::default();
        let view = ConnectionView::of(&name, &there, &pauses);
        assert_eq!((view.missing.as_deref(), view.burst), (None, Some(Burst { calls: 190, seconds: 10 })));
        assert!(!serde_json::to_string(&view).unwrap().contains("pat-secret"));

        let gone = connection(Secret::Missing("environment variable T is not set".into()));
        let line = line(&ConnectionView::of(&name, &gone, &pauses));
        assert_eq!(line[7], "token: environment variable T is not set");
        assert_eq!(line[4], "unlimited");
    }

    #[tokio::test]
    async fn a_listing_says_what_keeps_a_connection_from_being_worked_on() {
        let (store, _) = sample::store_with_rows().await;
        let names: [ConnectionName; 2] = ["main".into(), "other".into()];
        let mut refused = State::default();
        refused.pause("token revoked");
        let refused = serde_json::to_value(refused).unwrap();
        store.update_quota(&names[1], Box::new(|_, _| Some(refused))).await.unwrap();
        let by: Actor = "ann@desk".into();
        infill_planner::pause::pause_connection(&*store, &names[0], &by, sample::now()).await.unwrap();
        let pauses = Pauses::in_store(&*store, names.iter()).await.unwrap();
        let there = connection(Secret::Known("pat-secret".to_owned().into()));
        let paused = names.each_ref().map(|name| line(&ConnectionView::of(name, &there, &pauses))[8].clone());
        assert!(paused[0].starts_with("since ") && paused[0].ends_with(" by ann@desk"), "{paused:?}");
        assert_eq!(paused[1], "its login is refused: token revoked");
    }
}
