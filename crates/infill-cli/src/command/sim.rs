//! `infill sim`: a simulated CRM on loopback, until interrupted.

use std::error::Error;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use infill_sim::{hubspot, pipedrive, salesforce};
use tokio_util::sync::CancellationToken;

use crate::args;
use crate::command::run::stop_on_signal;
use crate::exit::{Exit, Usage};

/// Serves a CRM.
pub(crate) async fn sim(args: args::Sim) -> anyhow::Result<Exit> {
    let stop = CancellationToken::new();
    stop_on_signal(&stop, || ())?;
    match args {
        args::Sim::HubSpot(args) => hubspot(args, &stop).await?,
        args::Sim::Pipedrive(args) => pipedrive(args, &stop).await?,
        args::Sim::Salesforce(args) => salesforce(args, &stop).await?,
    }
    Ok(Exit::Well)
}

async fn hubspot(args: args::SimHubSpot, stop: &CancellationToken) -> anyhow::Result<()> {
    let records = match (args.records, args.generate) {
        (Some(file), _) => hubspot::Source::Csv(file),
        (None, Some(n_contacts)) => hubspot::Source::Generate(n_contacts),
        (None, None) => hubspot::Source::Bundled,
    };
    let config = hubspot::Config {
        listen: loopback(args.port),
        records,
        api_version: args.api_version,
        limits: hubspot::Limits::of(args.limit),
        faults: args.faults.unwrap_or_else(hubspot::Faults::none),
        seed: args.seed,
        ..hubspot::Config::default()
    };
    let simulator = hubspot::start(config).await.map_err(|source| not_started("portal", source))?;
    let n_contacts = simulator.control().record_ids("contacts")?.len();
    let what = format!("HubSpot portal with {n_contacts} contacts");
    announce(&what, &simulator.base_url(), "token", hubspot::SIM_TOKEN)?;
    stop.cancelled().await;
    simulator.shutdown().await;
    Ok(())
}

async fn pipedrive(args: args::SimPipedrive, stop: &CancellationToken) -> anyhow::Result<()> {
    let records = match (args.records, args.generate) {
        (Some(file), _) => pipedrive::Source::Csv(file),
        (None, Some(n_persons)) => pipedrive::Source::Generate(n_persons),
        (None, None) => pipedrive::Source::Bundled,
    };
    let config = pipedrive::Config {
        listen: loopback(args.port),
        records,
        limits: args.limit,
        faults: args.faults.unwrap_or_else(pipedrive::Faults::none),
        seed: args.seed,
        ..pipedrive::Config::default()
    };
    let simulator = pipedrive::start(config).await.map_err(|source| not_started("company", source))?;
    let n_persons = simulator.control().record_ids("persons")?.len();
    let what = format!("Pipedrive company with {n_persons} persons");
    announce(&what, &simulator.base_url(), "x-api-token", pipedrive::SIM_TOKEN)?;
    stop.cancelled().await;
    simulator.shutdown().await;
    Ok(())
}

async fn salesforce(args: args::SimSalesforce, stop: &CancellationToken) -> anyhow::Result<()> {
    let records = match (args.records, args.generate) {
        (Some(file), _) => salesforce::Source::Csv(file),
        (None, Some(n_accounts)) => salesforce::Source::Generate(n_accounts),
        (None, None) => salesforce::Source::Bundled,
    };
    let config = salesforce::Config {
        listen: loopback(args.port),
        records,
        api_version: args.api_version,
        limits: args.limit,
        faults: args.faults.unwrap_or_else(salesforce::Faults::none),
        seed: args.seed,
        ..salesforce::Config::default()
    };
    let simulator = salesforce::start(config).await.map_err(|source| not_started("org", source))?;
    let n_accounts = simulator.control().record_ids("Account")?.len();
    let what = format!("Salesforce org with {n_accounts} accounts");
    announce(&what, &simulator.base_url(), "session", salesforce::SIM_SESSION)?;
    stop.cancelled().await;
    simulator.shutdown().await;
    Ok(())
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn not_started(what: &str, source: impl Error + Send + Sync + 'static) -> anyhow::Error {
    anyhow::Error::new(source).context(Usage(format!("start the simulated {what}")))
}

/// Says where it is, by what name it takes which token, and where it tells what it saw.
fn announce(what: &str, base: &str, token_name: &str, token: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "a simulated {what} is up at {base} until Ctrl-C\n  {token_name:<7} {token}\n  report  curl {base}/_admin/report"
    )
    .and_then(|()| out.flush())
    .context("print where it is")
}
