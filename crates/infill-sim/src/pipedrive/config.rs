//! What a simulated company is made of: its records, its tokens, its tier, and the switches for behaviours that
//! Pipedrive's documents leave open.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::fault::Faults;
use super::limits::{LimitTier, Limits};

/// The API token that a simulator with the default configuration accepts. It is no secret: it opens nothing else.
pub const SIM_TOKEN: &str = "sim-token";

/// The client id of the default OAuth app.
pub const SIM_CLIENT_ID: &str = "sim-client-id";

/// The client secret of the default OAuth app. It is no secret: it opens nothing else.
pub const SIM_CLIENT_SECRET: &str = "sim-client-secret";

/// The refresh token that the default OAuth app may exchange. It is no secret: it opens nothing else.
pub const SIM_REFRESH_TOKEN: &str = "sim-refresh-token";

/// The authorization code that the default OAuth app may exchange once, in the first five minutes.
pub const SIM_CODE: &str = "sim-code";

/// Every scope that an operation of the simulator can ask for.
pub const ALL_SCOPES: [&str; 9] = [
    "base",
    "contacts:full",
    "deals:full",
    "leads:full",
    "products:full",
    "activities:full",
    "users:read",
    "search:read",
    "admin",
];

/// Everything a simulated company needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free port. Default `127.0.0.1:0`.
    pub listen: SocketAddr,
    /// The persons the company begins with. Default: the bundled people.
    pub records: Source,
    /// Rate limits. Default: those of Premium with one seat.
    pub limits: Limits,
    /// Faults from the start. Default: none.
    pub faults: Faults,
    /// Seed of everything that looks random: field codes, generated records, chances of faults.
    pub seed: u64,
    /// API tokens, each of one user. Default: [`SIM_TOKEN`].
    pub tokens: Vec<String>,
    /// The one OAuth app installed in the company.
    pub oauth: OauthApp,
    /// The company's subdomain, as `GET /v1/users/me` tells it.
    pub company_domain: String,
    /// The company's name.
    pub company_name: String,
    /// The user's IANA time zone. Default `America/New_York`.
    pub time_zone: String,
    /// The zone whose midnight gives the daily tokens back. Pipedrive does not tell its own. Default `UTC`.
    pub server_time_zone: String,
    /// Whether the company has Contact Sync, without which some fields of persons are refused. Default off.
    pub contact_sync: bool,
    /// Choices where Pipedrive's documents are silent or disagree.
    pub switches: Switches,
    /// The simulator's time at its start; `None` is the wall time.
    pub start_at: Option<Timestamp>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            records: Source::Bundled,
            limits: Limits::of(LimitTier::Premium),
            faults: Faults::none(),
            seed: 0,
            tokens: vec![SIM_TOKEN.to_owned()],
            oauth: OauthApp::default(),
            company_domain: "acme-sandbox".to_owned(),
            company_name: "Acme".to_owned(),
            time_zone: "America/New_York".to_owned(),
            server_time_zone: "UTC".to_owned(),
            contact_sync: false,
            switches: Switches::default(),
            start_at: None,
        }
    }
}

/// Where the company's persons come from. Organizations, deals, products, activities and leads come with any of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The bundled members of the United States Congress (537 people) in their two chambers.
    Bundled,
    /// A CSV file. Columns `id` (ascending), `name` or `fullname` or `firstname` and `lastname`, `email`, `phone`, and
    /// `organization` or `company` become what they are called; any other becomes a custom text field of that name.
    Csv(PathBuf),
    /// This many persons made up from the seed.
    Generate(usize),
    /// No persons.
    Empty,
}

/// An OAuth app installed in the company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthApp {
    /// Its client id.
    pub client_id: String,
    /// Its client secret.
    pub client_secret: String,
    /// The refresh token that the installation gave it.
    pub refresh_token: String,
    /// An authorization code that was just given out: good once, for five minutes.
    pub code: String,
    /// What its access tokens may do.
    pub scopes: Vec<String>,
    /// How long an access token lives. Pipedrive's live 3599 s.
    pub token_ttl: Duration,
    /// How long a refresh token lives unused. Pipedrive's live 60 days.
    pub refresh_ttl: Duration,
}

impl Default for OauthApp {
    fn default() -> Self {
        Self {
            client_id: SIM_CLIENT_ID.to_owned(),
            client_secret: SIM_CLIENT_SECRET.to_owned(),
            refresh_token: SIM_REFRESH_TOKEN.to_owned(),
            code: SIM_CODE.to_owned(),
            scopes: ALL_SCOPES.map(str::to_owned).to_vec(),
            token_ttl: Duration::from_secs(3_599),
            refresh_ttl: Duration::from_secs(60 * 86_400),
        }
    }
}

/// How something that is no longer there is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// 404
    NotFound,
    /// 410
    Gone,
}

impl Absence {
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Gone => 410,
        }
    }
}

/// Behaviours that are not certain, each with what the simulator does unless told otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switches {
    /// The answer of the v1 paths of persons, organizations, deals, products, activities, stages and pipelines, which
    /// are out of support since 2026-08-01. 410.
    pub removed_v1: Absence,
    /// The answer about one deleted record. 404.
    pub deleted: Absence,
    /// Whether an unknown path is the 403 `Scope and URL mismatch` of a recording, and not a 404. On.
    pub unknown_path_is_403: bool,
    /// Whether answers carry `x-daily-ratelimit-token-limit` and `-remaining`, seen live but undocumented. On.
    pub daily_headers: bool,
    /// Whether custom fields without a value are left out of a read in place of `null`. Off.
    pub omit_unset: bool,
    /// Whether faults of custom values name the field's code, as since 2026-05-21. On.
    pub names_field_codes: bool,
    /// Whether a deal's `value` is refused while products are attached, and not computed anew. Off.
    pub refuses_value_with_products: bool,
    /// Whether a `limit` above the page's maximum is refused in version 2, and not cut. On.
    pub refuses_large_pages: bool,
    /// Whether a write of values already there leaves `update_time` alone. On.
    pub no_op_keeps_update_time: bool,
    /// After how many 429 in a row an API token gets Cloudflare's 403; `None` is never.
    pub blocks_after: Option<u64>,
    /// How long that lasts.
    pub blocks_for: Duration,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            removed_v1: Absence::Gone,
            deleted: Absence::NotFound,
            unknown_path_is_403: true,
            daily_headers: true,
            omit_unset: false,
            names_field_codes: true,
            refuses_value_with_products: false,
            refuses_large_pages: true,
            no_op_keeps_update_time: true,
            blocks_after: Some(50),
            blocks_for: Duration::from_secs(60),
        }
    }
}
