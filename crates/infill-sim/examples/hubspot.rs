//! Serves a simulated HubSpot portal until it is interrupted:
//! `cargo run -p infill-sim --example hubspot -- [--port N] [--generate N] [--limit L] [--faults SPEC]`.
//!
//! The first line on stdout is the base URL; the token is `sim-token`.

#![expect(clippy::print_stdout, reason = "an example talks to its terminal")]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use infill_sim::hubspot::{Config, Source, start};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::default();
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--port" => config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, value.parse()?)),
            "--generate" => config.records = Source::Generate(value.parse()?),
            "--api-version" => config.api_version = value.parse()?,
            "--limit" => config.limits = value.parse()?,
            "--faults" => config.faults = value.parse()?,
            _ => {
                let known = "--port, --generate, --api-version, --limit, --faults";
                return Err(format!("unknown argument {name}; use one of: {known}").into());
            }
        }
    }
    let mut simulator = start(config).await?;
    println!("{}", simulator.base_url());
    simulator.wait().await;
    Ok(())
}
