//! `infill connections`: what is configured, and which account answers.

use std::io::{self, Write};

use anyhow::Context;
use infill_crm::Account;
use infill_model::ConnectionName;
use infill_rules::quota::Rate;
use serde::Serialize;

use crate::args::{self, Format};
use crate::compose::Parts;
use crate::config::{Config, Connection, Login};
use crate::exit::Exit;
use crate::render::{self, shown};

/// Lists or tests.
pub(crate) async fn connections(config: &Config, args: &args::Connections) -> anyhow::Result<Exit> {
    match args {
        args::Connections::List { format } => list(config, *format),
        args::Connections::Test { name, format } => {
            // Before the store is opened: a wrong name should not make one.
            config.connection(name)?;
            test(&Parts::open(config.clone()).await?, name, *format).await
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
    calls_per_10_seconds: Option<u32>,
    search_calls_per_second: Option<u32>,
    calls_per_day: Option<u64>,
}

impl<'a> ConnectionView<'a> {
    fn of(name: &'a ConnectionName, connection: &'a Connection) -> Self {
        let calls = |rate: Option<Rate>| rate.map(|rate| rate.calls);
        Self {
            name,
            crm: connection.vendor.as_str(),
            login: connection.login.as_str(),
            missing: missing(&connection.login),
            base_url: connection.base_url.as_str(),
            api_version: &connection.api_version,
            calls_per_10_seconds: calls(connection.limits.general),
            search_calls_per_second: calls(connection.limits.search),
            calls_per_day: connection.limits.daily,
        }
    }
}

fn missing(login: &Login) -> Option<String> {
    let secrets = match login {
        Login::Token(token) => vec![token],
        Login::OAuth(app) => vec![&app.client_secret, &app.refresh_token],
    };
    secrets.into_iter().find_map(|secret| secret.get().err()).map(|missing| missing.to_string())
}

fn list(config: &Config, format: Format) -> anyhow::Result<Exit> {
    let views: Vec<ConnectionView<'_>> =
        config.connections.iter().map(|(name, connection)| ConnectionView::of(name, connection)).collect();
    let mut out = io::stdout().lock();
    match format {
        Format::Json => render::write_json(&mut out, &views)?,
        Format::Table if views.is_empty() => {
            let said = "no connections; docs/configuration.md says how to write infill.toml";
            writeln!(out, "{said}").context("print the connections")?;
        }
        Format::Table => {
            let head = ["name", "crm", "api", "calls/10 s", "searches/s", "calls/day", "address", "login"];
            let mut table = vec![head.map(str::to_owned).to_vec()];
            table.extend(views.iter().map(line));
            render::write_table(&mut out, &table)?;
        }
    }
    Ok(Exit::Well)
}

fn line(view: &ConnectionView<'_>) -> Vec<String> {
    let or_unlimited = |calls: Option<u32>| calls.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
    let login = match &view.missing {
        None => view.login.to_owned(),
        Some(why) => format!("{}: {why}", view.login),
    };
    vec![
        view.name.to_string(),
        view.crm.to_owned(),
        view.api_version.to_owned(),
        or_unlimited(view.calls_per_10_seconds),
        or_unlimited(view.search_calls_per_second),
        view.calls_per_day.map(|calls| calls.to_string()).unwrap_or_default(),
        view.base_url.to_owned(),
        login,
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
    let limits = crm.limits();
    let reached = Reached {
        connection: ConnectionView::of(name, connection),
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
        facts.push(("calls a day", format!("{}{}", render::count(limit), used.unwrap_or_default())));
    }
    let burst = connection
        .calls_per_10_seconds
        .map_or_else(|| "unlimited".to_owned(), |calls| format!("{calls} in any 10 s, as configured"));
    facts.push(("calls", burst));
    facts.push(("batches", format!("{read_batch} records a read, {write_batch} a write")));
    facts
}

#[cfg(test)]
mod tests {
    use infill_rules::quota::Limits;

    use super::*;
    use crate::config::{Secret, Vendor};

    fn connection(token: Secret) -> Connection {
        Connection {
            vendor: Vendor::HubSpot,
            base_url: "https://api.hubapi.com".parse().unwrap(),
            api_version: "2026-09".into(),
            login: Login::Token(token),
            limits: Limits { general: Some(Rate { calls: 190, per_ms: 10_000 }), search: None, daily: None },
        }
    }

    #[test]
    fn a_listing_says_what_is_missing_and_never_what_is_secret() {
        let name = "main".into();
        let there = connection(Secret::Known("pat-secret".to_owned().into()));
        let view = ConnectionView::of(&name, &there);
        assert_eq!((view.missing.as_deref(), view.calls_per_10_seconds), (None, Some(190)));
        assert!(!serde_json::to_string(&view).unwrap().contains("pat-secret"));

        let gone = connection(Secret::Missing("environment variable T is not set".into()));
        let line = line(&ConnectionView::of(&name, &gone));
        assert_eq!(line.last().unwrap(), "token: environment variable T is not set");
        assert_eq!(line[4], "unlimited");
    }
}
