//! `infill sim`: a simulated CRM on loopback, until interrupted.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use infill_sim::hubspot::{self, Config, Limits, SIM_TOKEN, Source};
use tokio_util::sync::CancellationToken;

use crate::args;
use crate::command::run::stop_on_signal;
use crate::exit::{Exit, Usage};

/// Serves a portal.
pub(crate) async fn sim(args: args::Sim) -> anyhow::Result<Exit> {
    let args::Sim::HubSpot(args) = args;
    let stop = CancellationToken::new();
    stop_on_signal(&stop, || ())?;
    let simulator = hubspot::start(config(args)).await.map_err(|source| {
        anyhow::Error::new(source).context(Usage("start the simulated portal".to_owned()))
    })?;
    let n_contacts = simulator.control().record_ids("contacts")?.len();
    let base = simulator.base_url();
    {
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "a simulated HubSpot portal with {n_contacts} contacts is up at {base} until Ctrl-C\n  \
             token   {SIM_TOKEN}\n  \
             report  curl {base}/_admin/report"
        )
        .context("print where it is")?;
        out.flush().context("print where it is")?;
    }
    stop.cancelled().await;
    simulator.shutdown().await;
    Ok(Exit::Well)
}

fn config(args: args::SimHubSpot) -> Config {
    let records = match (args.records, args.generate) {
        (Some(file), _) => Source::Csv(file),
        (None, Some(n_contacts)) => Source::Generate(n_contacts),
        (None, None) => Source::Bundled,
    };
    Config {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)),
        records,
        api_version: args.api_version,
        limits: Limits::of(args.limit),
        faults: args.faults.unwrap_or_else(hubspot::Faults::none),
        seed: args.seed,
        ..Config::default()
    }
}
