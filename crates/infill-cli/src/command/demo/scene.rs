//! What the demo says and shows, where one CRM differs from another.

use crate::config::Vendor;

/// The demo of one CRM.
#[derive(Debug)]
pub(super) struct Scene {
    /// The CRM.
    pub(super) crm: Vendor,
    /// The CRM, with its word for an account.
    pub(super) product: &'static str,
    /// That word alone.
    pub(super) account: &'static str,
    /// What is typed to see it.
    pub(super) command: &'static str,
    /// What the account holds, after their number.
    pub(super) holds: &'static str,
    /// The limits under which it is called.
    pub(super) limits: &'static str,
    /// What one record is.
    pub(super) record: &'static str,
    /// The inputs that tell a person which record it is.
    pub(super) named_by: &'static [&'static str],
    /// The most characters of such a name and of a value after the run, in the table of changes.
    pub(super) widths: (usize, usize),
    /// The plan, written for the person to edit.
    pub(super) plan: &'static str,
    /// The files that it keeps.
    pub(super) files: Files,
    /// The limits as lines of the connection, and what may follow it.
    pub(super) connection: &'static str,
    /// The header that a call logs in by.
    pub(super) login: &'static str,
    /// Where a record is to be looked at, with `RECORD` for its id.
    pub(super) look: &'static str,
    /// What to read next, and what for.
    pub(super) guide: (&'static str, &'static str),
}

/// Names of files in the folder of demos: no demo has one of another's, so that what one run left stays.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) config: &'static str,
    pub(super) plan: &'static str,
    pub(super) store: &'static str,
    pub(super) token: &'static str,
}

impl Scene {
    /// The demo of a CRM.
    pub(super) const fn of(crm: Vendor) -> &'static Self {
        match crm {
            Vendor::HubSpot => &HUBSPOT,
            Vendor::Pipedrive => &PIPEDRIVE,
            Vendor::Salesforce => &SALESFORCE,
        }
    }
}

const HUBSPOT: Scene = Scene {
    crm: Vendor::HubSpot,
    product: "HubSpot portal",
    account: "portal",
    command: "infill demo",
    holds: "members of the United States Congress, in the static list 42",
    limits: "HubSpot's own limits: 190 calls in any 10 s",
    record: "person",
    named_by: &["firstname", "lastname"],
    widths: (60, 60),
    plan: include_str!("hubspot.yaml"),
    files: Files { config: "infill.toml", plan: "plan.yaml", store: "infill.db", token: "token" },
    connection: "calls_per_10_seconds = 190\n",
    login: "Authorization: Bearer",
    look: "/crm/objects/2026-09/contacts/RECORD?properties=firstname,phone,hs_cross_account_note",
    guide: ("docs/hubspot.md", "your own portal: a token and ten lines"),
};

const PIPEDRIVE: Scene = Scene {
    crm: Vendor::Pipedrive,
    product: "Pipedrive company",
    account: "company",
    command: "infill demo --crm pipedrive",
    holds: "members of the United States Congress, in the filter \"All persons\"",
    limits: "Pipedrive's own limits: 100 calls in any 2 s, 150,000 tokens a day (Premium, one seat);\n  \
             it takes one record a call, so the first run lasts about 12 s",
    record: "person",
    named_by: &["name"],
    widths: (30, 42),
    plan: include_str!("pipedrive.yaml"),
    files: Files {
        config: "pipedrive.toml",
        plan: "pipedrive.yaml",
        store: "pipedrive.db",
        token: "pipedrive.token",
    },
    connection: "calls_per_2_seconds = 100\n\
                 tokens_per_day = 150000\n\n\
                 [worker]\n\
                 batches_in_flight = 2         # more would not be faster under the limit, and end all at once\n",
    login: "x-api-token:",
    look: "/api/v2/persons/RECORD",
    guide: ("docs/pipedrive.md", "your own company: a token and ten lines"),
};

const SALESFORCE: Scene = Scene {
    crm: Vendor::Salesforce,
    product: "Salesforce org",
    account: "org",
    command: "infill demo --crm salesforce",
    holds: "companies of the S&P 500, as accounts in the list view \"All Accounts\"",
    limits: "Salesforce's own limits: 110,000 API requests in any 24 hours (Enterprise Edition)",
    record: "account",
    named_by: &["Name"],
    widths: (21, 40),
    plan: include_str!("salesforce.yaml"),
    files: Files {
        config: "salesforce.toml",
        plan: "salesforce.yaml",
        store: "salesforce.db",
        token: "salesforce.token",
    },
    connection: "day_reserve_percent = 20       # left to the org's other programs\n",
    login: "Authorization: Bearer",
    look: "/services/data/v68.0/sobjects/Account/RECORD?fields=Name,Phone,Enrichment_Note__c",
    guide: ("docs/salesforce.md", "your own org: an app and ten lines"),
};
