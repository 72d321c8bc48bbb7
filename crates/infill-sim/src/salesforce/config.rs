//! What a simulated org is made of: its records, its tokens, its automation, and the switches for behaviours that
//! Salesforce's documents leave open.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use super::fault::Faults;
use super::limits::{Edition, Limits};
use crate::word::UnknownWord;

/// A session id that a simulator with the default configuration accepts. It is no secret: it opens nothing else.
pub const SIM_SESSION: &str = "sim-session";

/// The consumer key of the default app.
pub const SIM_CLIENT_ID: &str = "sim-consumer-key";

/// The consumer secret of the default app. It is no secret: it opens nothing else.
pub const SIM_CLIENT_SECRET: &str = "sim-consumer-secret";

/// The refresh token that the default app may exchange. It is no secret: it opens nothing else.
pub const SIM_REFRESH_TOKEN: &str = "sim-refresh-token";

/// Id of the user that clients are connected as.
pub const SIM_USER_ID: &str = "005ak000015ftgHAAQ";

/// Id of a user that nothing belongs to at the start; for assignment rules.
pub const SIM_ASSIGNEE_ID: &str = "005ak000015ftgJAAQ";

/// Name of the user that clients are connected as.
pub const SIM_USERNAME: &str = "integration@sim.example";

/// Everything a simulated org needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free port. Default `127.0.0.1:0`.
    pub listen: SocketAddr,
    /// The accounts the org begins with. Default: the bundled companies.
    pub records: Source,
    /// The newest API version served; every version from 31 to it is. Default 68.0.
    pub api_version: ApiVersion,
    /// How much may be asked. Default: those of Enterprise Edition with ten licences.
    pub limits: Limits,
    /// Faults from the start. Default: none.
    pub faults: Faults,
    /// Seed of everything that looks random: generated records, order of results, chances of faults.
    pub seed: u64,
    /// Session ids that never expire. Default: [`SIM_SESSION`].
    pub sessions: Vec<String>,
    /// The one app that may ask for tokens.
    pub app: App,
    /// What the org does to records by itself. Default: nothing.
    pub automation: Automation,
    /// Which values of picklists some record types have. Default: of `Segment__c`, suppliers have no `Enterprise`.
    pub record_type_values: Vec<RecordTypeValues>,
    /// Objects that the connected user does not see.
    pub hidden_objects: Vec<String>,
    /// Fields, as (object, field), that the connected user does not see.
    pub hidden_fields: Vec<(String, String)>,
    /// Fields, as (object, field), that the connected user sees and may not edit.
    pub read_only_fields: Vec<(String, String)>,
    /// How Bulk API 2.0 jobs get on.
    pub bulk: Bulk,
    /// How long a query locator lives. Default two days.
    pub locator_ttl: Duration,
    /// IANA time zone of the org and of the connected user. Default `America/New_York`.
    pub time_zone: String,
    /// `Name` of the org's only Organization record. Default `Infinite Widgets`.
    pub org_name: String,
    /// Choices where Salesforce's documents and recordings are silent or disagree.
    pub switches: Switches,
    /// The simulator's time at its start; `None` is the wall time.
    pub start_at: Option<Timestamp>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            records: Source::Bundled,
            api_version: ApiVersion::NEWEST,
            limits: Limits::of(Edition::Enterprise),
            faults: Faults::none(),
            seed: 0,
            sessions: vec![SIM_SESSION.to_owned()],
            app: App::default(),
            automation: Automation::default(),
            record_type_values: vec![RecordTypeValues::new(
                "Supplier",
                "Segment__c",
                &["Mid-Market", "Small"],
            )],
            hidden_objects: Vec::new(),
            hidden_fields: Vec::new(),
            read_only_fields: Vec::new(),
            bulk: Bulk::default(),
            locator_ttl: Duration::from_secs(2 * 86_400),
            time_zone: "America/New_York".to_owned(),
            org_name: "Infinite Widgets".to_owned(),
            switches: Switches::default(),
            start_at: None,
        }
    }
}

/// Where the org's accounts come from. Contacts, leads and opportunities come with any of them but [`Source::Empty`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The bundled constituents of the S&P 500 (503 companies).
    Bundled,
    /// A CSV file whose header names fields of Account; a column that no field is named after becomes a new text field.
    Csv(PathBuf),
    /// This many accounts made up from the seed.
    Generate(usize),
    /// No records but users.
    Empty,
}

/// The newest version of the API that an org serves, such as 68.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion(u16);

impl ApiVersion {
    /// The newest version whose documents were read.
    pub const NEWEST: Self = Self(68);
    /// The oldest version that is served; older ones answer 410.
    pub const OLDEST: Self = Self(31);

    /// The number before the point.
    #[must_use]
    pub fn major(self) -> u16 {
        self.0
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.0", self.0)
    }
}

impl FromStr for ApiVersion {
    type Err = UnknownWord;

    /// `68.0` or `68`, from 31 to 68.
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let major = word.strip_suffix(".0").unwrap_or(word).parse().ok().map(Self);
        let served = Self::OLDEST..=Self::NEWEST;
        major.filter(|version| served.contains(version)).ok_or_else(|| UnknownWord {
            what: "API version",
            word: word.to_owned(),
            valid: format!("{} to {}", Self::OLDEST, Self::NEWEST),
        })
    }
}

/// The app (the vendor's connected app or external client app) that may ask for tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its consumer key.
    pub client_id: String,
    /// Its consumer secret.
    pub client_secret: String,
    /// The refresh token that its approval gave it.
    pub refresh_token: String,
    /// How long an access token lives. Default two hours, the usual session timeout; no answer says so.
    pub token_ttl: Duration,
    /// How many calls an access token is good for; `None` is any number.
    pub calls_per_token: Option<u64>,
    /// Whether a refresh returns a new refresh token and ends the old one, and presenting an ended one ends all.
    pub rotates_refresh_tokens: bool,
    /// Whether the client credentials flow is switched on.
    pub has_client_credentials: bool,
    /// How assertions of the JWT bearer flow are checked.
    pub jwt: JwtCheck,
}

impl Default for App {
    fn default() -> Self {
        Self {
            client_id: SIM_CLIENT_ID.to_owned(),
            client_secret: SIM_CLIENT_SECRET.to_owned(),
            refresh_token: SIM_REFRESH_TOKEN.to_owned(),
            token_ttl: Duration::from_secs(7_200),
            calls_per_token: None,
            rotates_refresh_tokens: false,
            has_client_credentials: true,
            jwt: JwtCheck::Claims,
        }
    }
}

/// How far an assertion of the JWT bearer flow is checked. Issuer, subject, audience and expiry always are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwtCheck {
    /// Without its signature: any key will do.
    Claims,
    /// With its RS256 signature by this public key, in PEM (`BEGIN PUBLIC KEY`).
    PublicKey(String),
    /// The flow is refused: no user has approved the app.
    Refused,
}

/// What an org does to records by itself, as an administrator set it up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Automation {
    /// Validation rules.
    pub validation_rules: Vec<ValidationRule>,
    /// Triggers that run after the values were set.
    pub triggers: Vec<Trigger>,
    /// Duplicate rules.
    pub duplicate_rules: Vec<DuplicateRule>,
    /// Assignment rules, as (object, owner's id): they run on Account, Case and Lead unless a header says no.
    pub assignment_rules: Vec<(String, String)>,
}

/// The values of a picklist that records of one type have. Of a picklist that none is named for, they have every active one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordTypeValues {
    /// The object.
    pub object: String,
    /// `DeveloperName` of the record type.
    pub record_type: String,
    /// The picklist.
    pub field: String,
    /// The values.
    pub values: Vec<String>,
}

impl RecordTypeValues {
    /// Those of accounts.
    #[must_use]
    pub fn new(record_type: &str, field: &str, values: &[&str]) -> Self {
        let (object, record_type, field) = ("Account".to_owned(), record_type.to_owned(), field.to_owned());
        Self { object, record_type, field, values: values.iter().map(|value| (*value).to_owned()).collect() }
    }
}

/// Refuses a record that would come to look wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidationRule {
    /// The object.
    pub object: String,
    /// When it refuses: a condition as after SOQL's `WHERE`, such as `AnnualRevenue < 0`.
    pub refuses_when: String,
    /// The administrator's sentence.
    pub message: String,
    /// The field the message is shown at.
    pub field: Option<String>,
}

/// Overwrites a field after a client's write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The object.
    pub object: String,
    /// When it runs: a condition as after SOQL's `WHERE`; `None` is at every write.
    pub when: Option<String>,
    /// The field it sets; the trigger may set fields that clients may not.
    pub field: String,
    /// The text it sets.
    pub value: String,
}

/// Finds records that look the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateRule {
    /// The object.
    pub object: String,
    /// The field by which records are the same, whatever its case.
    pub field: String,
    /// What is done about it.
    pub action: DuplicateAction,
}

/// What a duplicate rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateAction {
    /// Refuses unless the client's header allows to save; Bulk API has no such header.
    Alert,
    /// Refuses whatever the client says.
    Block,
}

/// How Bulk API 2.0 jobs get on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    /// What moves a job forward. Default: polls, one `InProgress` and then the end.
    pub pace: Pace,
    /// The most bytes of a file, counted after base64. Default 150,000,000.
    pub max_upload_bytes: usize,
    /// Whether results end with a line end. On.
    pub trailing_newline: bool,
    /// Whether results come in an order of their own. On, as documented.
    pub shuffle_results: bool,
}

impl Default for Bulk {
    fn default() -> Self {
        Self {
            pace: Pace::Polls { in_progress: 1, rows_per_poll: usize::MAX },
            max_upload_bytes: 150_000_000,
            trailing_newline: true,
            shuffle_results: true,
        }
    }
}

/// What moves a Bulk API 2.0 job forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Looks at the job's info: the first so many show `InProgress` at least, and each processes so many rows.
    Polls {
        /// Looks that still show `InProgress`.
        in_progress: u64,
        /// Rows processed at each look, in whole transactions of 200.
        rows_per_poll: usize,
    },
    /// The simulator's clock.
    Clock {
        /// Time from `UploadComplete` to the first row.
        queued: Duration,
        /// Time for each transaction of 200 rows.
        per_transaction: Duration,
    },
}

/// What a value of the wrong JSON type does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeErrors {
    /// `JSON_PARSER_ERROR` for the whole call.
    WholeCall,
    /// `INVALID_TYPE_ON_FIELD_IN_RECORD` for the row.
    PerRow,
}

/// Behaviours that are not certain, each with what the simulator does unless told otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switches {
    /// What a value of the wrong JSON type does. Default [`TypeErrors::WholeCall`].
    pub type_errors: TypeErrors,
    /// `statusCode` of a row whose record never existed. Default `INVALID_CROSS_REFERENCE_KEY`; `NOT_FOUND` was seen too.
    pub missing_row_code: String,
    /// `statusCode` of rows that name one record twice in a call. Default `DUPLICATE_VALUE`; not documented.
    pub repeated_row_code: String,
    /// Queries of more columns than this get pages of half the size. Default 30; documented without a number.
    pub wide_columns: usize,
    /// Whether `Amount` of an opportunity with products is ignored, with success. On, as documented.
    pub products_own_amount: bool,
    /// Whether a write locks the record's account as well, so that siblings collide. On.
    pub locks_parents: bool,
    /// Whether failed rows of a collection have `"id": null` in place of no `id`. Off.
    pub null_ids: bool,
    /// Whether `Sforce-Limit-Info` names the app's own share as well. Off.
    pub per_app_usage: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            type_errors: TypeErrors::WholeCall,
            missing_row_code: "INVALID_CROSS_REFERENCE_KEY".to_owned(),
            repeated_row_code: "DUPLICATE_VALUE".to_owned(),
            wide_columns: 30,
            products_own_amount: true,
            locks_parents: true,
            null_ids: false,
            per_app_usage: false,
        }
    }
}
