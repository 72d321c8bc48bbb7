//! What a simulated portal is made of: its records, its API version, its tokens, and the switches for behaviours that
//! HubSpot's documents leave open.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use super::fault::Faults;
use super::limits::{LimitTier, Limits};
pub use crate::word::UnknownWord;

/// The bearer token that a simulator with the default configuration accepts. It is no secret: it opens nothing else.
pub const SIM_TOKEN: &str = "sim-token";

/// The client id of the default OAuth app.
pub const SIM_CLIENT_ID: &str = "sim-client-id";

/// The client secret of the default OAuth app. It is no secret: it opens nothing else.
pub const SIM_CLIENT_SECRET: &str = "sim-client-secret";

/// The refresh token that the default OAuth app may exchange. It is no secret: it opens nothing else.
pub const SIM_REFRESH_TOKEN: &str = "sim-refresh-token";

/// Every scope that an operation of the simulator can ask for.
pub const ALL_SCOPES: [&str; 15] = [
    "crm.lists.read",
    "crm.lists.write",
    "crm.objects.companies.read",
    "crm.objects.companies.write",
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.objects.custom.read",
    "crm.objects.custom.write",
    "crm.objects.deals.read",
    "crm.objects.deals.write",
    "crm.schemas.companies.read",
    "crm.schemas.contacts.read",
    "crm.schemas.deals.read",
    "oauth",
    "tickets",
];

/// Everything a simulated portal needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free port. Default `127.0.0.1:0`.
    pub listen: SocketAddr,
    /// The contacts the portal begins with. Default: the bundled people.
    pub records: Source,
    /// Chooses behaviour; all path styles are answered whatever it is. Default `2026-09`.
    pub api_version: ApiVersion,
    /// Rate limits. Default: those of the Professional tier.
    pub limits: Limits,
    /// Faults from the start. Default: none.
    pub faults: Faults,
    /// Seed of everything that looks random: generated records, order of results, chances of faults.
    pub seed: u64,
    /// Bearer tokens that never expire. Default: [`SIM_TOKEN`] with [`ALL_SCOPES`].
    pub tokens: Vec<StaticToken>,
    /// The one OAuth app installed in the portal.
    pub oauth: OauthApp,
    /// The account's IANA time zone; its midnight resets the daily limit. Default `America/New_York`.
    pub time_zone: String,
    /// The account's id. Default 424242.
    pub portal_id: u32,
    /// Host of the web interface, in the `url` of records. Default `app.hubspot.com`.
    pub ui_domain: String,
    /// How long search goes on matching records as they were. Default 10 s: recordings show right matches between the
    /// next calls and the next poll 30 s later.
    pub index_lag: Duration,
    /// How long after a write active lists are evaluated again. Default 2 s.
    pub list_lag: Duration,
    /// Rules of write validation that only dated versions from 2026-09 enforce.
    pub conditional_required: Vec<ConditionalRequired>,
    /// Choices where HubSpot's documents and recordings are silent or disagree.
    pub switches: Switches,
    /// The simulator's time at its start; `None` is the wall time.
    pub start_at: Option<Timestamp>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            records: Source::Bundled,
            api_version: ApiVersion::V2026_09,
            limits: Limits::of(LimitTier::Professional),
            faults: Faults::none(),
            seed: 0,
            tokens: vec![StaticToken::with_all_scopes(SIM_TOKEN, 1_000_001)],
            oauth: OauthApp::default(),
            time_zone: "America/New_York".to_owned(),
            portal_id: 424_242,
            ui_domain: "app.hubspot.com".to_owned(),
            index_lag: Duration::from_secs(10),
            list_lag: Duration::from_secs(2),
            conditional_required: vec![ConditionalRequired {
                object: "contacts".to_owned(),
                property: "hs_lead_status".to_owned(),
                equals: "UNQUALIFIED".to_owned(),
                requires: "unqualified_reason".to_owned(),
            }],
            switches: Switches::default(),
            start_at: None,
        }
    }
}

/// Where the portal's contacts come from. Companies, deals, tickets and a custom object come with any of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The bundled members of the United States Congress (537 people).
    Bundled,
    /// A CSV file whose header names properties; a column that no property is named after becomes a new text property,
    /// and a column `hs_object_id` gives the record ids, which must be ascending.
    Csv(PathBuf),
    /// This many contacts made up from the seed.
    Generate(usize),
    /// No contacts.
    Empty,
}

/// A version of HubSpot's API. It decides behaviour: write validation, odd datetimes, and 207 against 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiVersion {
    /// Numbered paths, `/crm/v3/objects/contacts`.
    V3,
    /// The first dated version; behaves like v3.
    V2026_03,
    /// Enforces conditionally required properties, refuses epoch seconds as a datetime, and declares no 207.
    V2026_09,
}

impl ApiVersion {
    /// The word used in paths and on command lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V3 => "v3",
            Self::V2026_03 => "2026-03",
            Self::V2026_09 => "2026-09",
        }
    }
}

impl FromStr for ApiVersion {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let all = [Self::V3, Self::V2026_03, Self::V2026_09];
        all.into_iter().find(|version| version.as_str() == word).ok_or_else(|| UnknownWord {
            what: "API version",
            word: word.to_owned(),
            valid: "v3, 2026-03, 2026-09".to_owned(),
        })
    }
}

/// A bearer token of a private app, static-auth app or service key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticToken {
    /// What comes after `Bearer `.
    pub secret: String,
    /// The app it belongs to: the ten-second window is counted per app.
    pub app_id: u32,
    /// What it may do.
    pub scopes: Vec<String>,
}

impl StaticToken {
    /// A token that may do everything the simulator offers.
    #[must_use]
    pub fn with_all_scopes(secret: &str, app_id: u32) -> Self {
        Self { secret: secret.to_owned(), app_id, scopes: ALL_SCOPES.map(str::to_owned).to_vec() }
    }
}

/// An OAuth app installed in the portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthApp {
    /// Its client id.
    pub client_id: String,
    /// Its client secret.
    pub client_secret: String,
    /// The refresh token that the installation gave it.
    pub refresh_token: String,
    /// Id of the app.
    pub app_id: u32,
    /// What its access tokens may do.
    pub scopes: Vec<String>,
    /// How long an access token lives. HubSpot's live 30 minutes.
    pub token_ttl: Duration,
    /// Whether a refresh returns a new refresh token and revokes the old one. HubSpot returns the same one.
    pub rotates_refresh_tokens: bool,
}

impl Default for OauthApp {
    fn default() -> Self {
        Self {
            client_id: SIM_CLIENT_ID.to_owned(),
            client_secret: SIM_CLIENT_SECRET.to_owned(),
            refresh_token: SIM_REFRESH_TOKEN.to_owned(),
            app_id: 2_000_002,
            scopes: ALL_SCOPES.map(str::to_owned).to_vec(),
            token_ttl: Duration::from_secs(1_800),
            rotates_refresh_tokens: false,
        }
    }
}

/// A property that must have a value once another has a certain one; set up by an administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionalRequired {
    /// Object type, as in paths.
    pub object: String,
    /// The property that is looked at.
    pub property: String,
    /// Its value that makes the other one required.
    pub equals: String,
    /// The property that must then be set.
    pub requires: String,
}

/// Which status a batch with errors answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MultiStatus {
    /// 207 up to 2026-03, and the ordinary 200 or 201 with `numErrors` from 2026-09.
    ByVersion,
    /// Always 207.
    Always207,
    /// Always the ordinary 200 or 201.
    Never207,
}

/// Behaviours that are not certain, each with what the simulator does unless told otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switches {
    /// Whether a 429 of the ten-second or daily limit carries `Retry-After` in seconds. Off: no recording has it.
    pub retry_after: bool,
    /// Whether a batch update with one invalid input keeps the others when every input has an `objectWriteTraceId`.
    /// On; documented for batch create only. Off is a 400 for the whole batch.
    pub traced_partial: bool,
    /// Status of a batch with errors.
    pub multi_status: MultiStatus,
    /// Whether a batch read of which no id exists is 404 in place of a multi-status answer. Off; both were seen.
    pub all_missing_is_404: bool,
    /// Whether a write of the value already there leaves `updatedAt` alone. On, as in recordings.
    pub no_op_keeps_updated_at: bool,
    /// Whether HubSpot itself touches a record 2 to 22 seconds after a write. On, as in recordings.
    pub background_edits: bool,
    /// Whether `lifecyclestage` only moves forward: a step back answers 200 and changes nothing. On.
    pub forward_only_lifecycle: bool,
    /// Whether a property without a value is left out of a read in place of `null`. Off.
    pub omit_unset: bool,
    /// Whether error entries of a batch carry only status, category, message and context, as recorded, and not also
    /// the `errors` and `links` that the public schema requires. Off: HubSpot's own clients insist on them.
    pub bare_batch_errors: bool,
    /// Whether batch results come in an order of their own. On, as in every recording.
    pub shuffle_results: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            retry_after: false,
            traced_partial: true,
            multi_status: MultiStatus::ByVersion,
            all_missing_is_404: false,
            no_op_keeps_updated_at: true,
            background_edits: true,
            forward_only_lifecycle: true,
            omit_unset: false,
            bare_batch_errors: false,
            shuffle_results: true,
        }
    }
}
