//! The simulated account of a demo, whichever CRM's it is.

use infill_sim::{hubspot, pipedrive, salesforce};

use crate::config::Vendor;

/// A simulated account that is being served.
#[derive(Debug)]
pub(super) enum Account {
    HubSpot(hubspot::Simulator),
    Pipedrive(pipedrive::Simulator),
    Salesforce(salesforce::Simulator),
}

/// What was spent of a day's budget, by the account's own count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Day {
    pub(super) spent: u64,
    pub(super) budget: u64,
    pub(super) unit: &'static str,
}

impl Account {
    /// Serves one with the records of real people or companies, under the limits of a tier that is sold.
    ///
    /// # Errors
    /// When no port can be had.
    pub(super) async fn start(crm: Vendor) -> anyhow::Result<Self> {
        Ok(match crm {
            Vendor::HubSpot => {
                let limits = hubspot::Limits::of(hubspot::LimitTier::Professional);
                Self::HubSpot(hubspot::start(hubspot::Config { limits, ..hubspot::Config::default() }).await?)
            }
            Vendor::Pipedrive => {
                let limits = pipedrive::Limits::of(pipedrive::LimitTier::Premium);
                let config = pipedrive::Config { limits, ..pipedrive::Config::default() };
                Self::Pipedrive(pipedrive::start(config).await?)
            }
            Vendor::Salesforce => {
                let config = salesforce::Config { limits: enterprise(), ..salesforce::Config::default() };
                Self::Salesforce(salesforce::start(config).await?)
            }
        })
    }

    /// The base of every path.
    pub(super) fn base_url(&self) -> String {
        match self {
            Self::HubSpot(portal) => portal.base_url(),
            Self::Pipedrive(company) => company.base_url(),
            Self::Salesforce(org) => org.base_url(),
        }
    }

    /// A token that it accepts.
    pub(super) const fn token(&self) -> &'static str {
        match self {
            Self::HubSpot(_) => hubspot::SIM_TOKEN,
            Self::Pipedrive(_) => pipedrive::SIM_TOKEN,
            Self::Salesforce(_) => salesforce::SIM_SESSION,
        }
    }

    /// How many records the demo's plan selects.
    ///
    /// # Errors
    /// When the account does not know the object.
    pub(super) fn n_records(&self) -> anyhow::Result<usize> {
        Ok(match self {
            Self::HubSpot(portal) => portal.control().record_ids("contacts")?.len(),
            Self::Pipedrive(company) => company.control().record_ids("persons")?.len(),
            Self::Salesforce(org) => org.control().record_ids("Account")?.len(),
        })
    }

    /// Writes of properties in its own ledger.
    pub(super) fn n_writes(&self) -> usize {
        match self {
            Self::HubSpot(portal) => portal.control().report().writes,
            Self::Pipedrive(company) => company.control().report().writes,
            Self::Salesforce(org) => org.control().report().writes,
        }
    }

    /// What was spent of the day, where a day is what one runs out of first.
    pub(super) fn day(&self) -> Option<Day> {
        match self {
            Self::HubSpot(_) => None,
            Self::Pipedrive(company) => {
                let tokens = company.control().tokens();
                Some(Day { spent: tokens.total, budget: tokens.budget?, unit: "tokens" })
            }
            Self::Salesforce(org) => {
                let spent = org.control().report().api_requests;
                Some(Day { spent, budget: enterprise().daily?, unit: "API requests" })
            }
        }
    }

    /// Closes its port.
    pub(super) async fn shutdown(self) {
        match self {
            Self::HubSpot(portal) => portal.shutdown().await,
            Self::Pipedrive(company) => company.shutdown().await,
            Self::Salesforce(org) => org.shutdown().await,
        }
    }
}

fn enterprise() -> salesforce::Limits {
    salesforce::Limits::of(salesforce::Edition::Enterprise)
}
