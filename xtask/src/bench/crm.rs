//! What of a benchmark differs from CRM to CRM.

use std::time::Duration;

use super::table::Bound;

/// A CRM, as the benchmark knows it.
pub(super) struct Crm {
    /// Its name in the table.
    pub(super) name: &'static str,
    /// Its word, in the configuration and for `infill sim`.
    pub(super) word: &'static str,
    /// What its simulator takes for a token; it opens nothing else.
    pub(super) token: &'static str,
    /// No limits: for `infill sim --limit`, and as lines of the connection.
    pub(super) unlimited: Limits,
    /// Calls it allows in a window, where it has one.
    pub(super) burst: Option<Burst>,
    /// What a day is counted in, where that is not calls.
    pub(super) unit: Option<&'static str>,
    /// Calls per 1,000 rows that are pulled, guarded, written and verified, with those of a run besides left out.
    pub(super) most_calls: Bound,
    /// A source of every record.
    source: &'static str,
    /// What the plan reads; the first two make the note.
    inputs: [&'static str; 3],
    /// What the plan writes.
    target: &'static str,
}

/// Limits, for the simulator and for the connection.
pub(super) struct Limits {
    pub(super) tier: &'static str,
    pub(super) connection: &'static str,
}

/// So many calls in any window of this length.
pub(super) struct Burst {
    pub(super) calls: u64,
    pub(super) window: Duration,
    pub(super) limits: Limits,
}

/// How the plan treats what somebody may have changed meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// It is overwritten.
    None,
    /// Every row is read once more before it is written.
    Guarded,
}

/// HubSpot, Professional.
pub(super) const HUBSPOT: Crm = Crm {
    name: "HubSpot",
    word: "hubspot",
    token: "sim-token",
    unlimited: Limits { tier: "unlimited", connection: "calls_per_10_seconds = \"unlimited\"\n" },
    burst: Some(Burst {
        calls: 190,
        window: Duration::from_secs(10),
        limits: Limits { tier: "professional", connection: "calls_per_10_seconds = 190\n" },
    }),
    unit: None,
    most_calls: Bound::None,
    source: "{ object: contacts, list: \"42\" }",
    inputs: ["firstname", "jobtitle", "phone"],
    target: "hs_cross_account_note",
};

/// Salesforce by collections; it counts by the day alone.
pub(super) const SALESFORCE: Crm = Crm {
    name: "Salesforce",
    word: "salesforce",
    token: "sim-session",
    unlimited: Limits { tier: "none", connection: "transport = \"collections\"\n" },
    burst: None,
    unit: None,
    // Of 10,000 records: 5 pages of ids, 5 reads, and 10 each of guards, writes and read-backs.
    most_calls: Bound::AtMost(4.0),
    source: "{ object: Account, view: AllAccounts }",
    inputs: ["Name", "BillingCity", "Phone"],
    target: "Enrichment_Note__c",
};

/// Salesforce by the size of the run: a large one goes by jobs of Bulk API 2.0.
pub(super) const SALESFORCE_BULK: Crm = Crm {
    name: "Salesforce, Bulk API 2.0",
    unlimited: Limits { tier: "none", connection: "transport = \"auto\"\n" },
    most_calls: Bound::AtMost(1.5),
    ..SALESFORCE
};

/// Pipedrive, Premium.
pub(super) const PIPEDRIVE: Crm = Crm {
    name: "Pipedrive",
    word: "pipedrive",
    token: "sim-token",
    unlimited: Limits { tier: "unlimited", connection: "calls_per_2_seconds = \"unlimited\"\n" },
    burst: Some(Burst {
        calls: 100,
        window: Duration::from_secs(2),
        limits: Limits { tier: "premium", connection: "calls_per_2_seconds = 100\n" },
    }),
    unit: Some("tokens"),
    most_calls: Bound::None,
    source: "{ object: persons, view: \"All persons\" }",
    inputs: ["name", "Region", "phone"],
    target: "Greeting",
};

const PLAN: &str = r#"
name: Benchmark
connection: main
source: SOURCE
inputs: [FIRST, SECOND, THIRD]
chain:
  - id: has_name
    action: filter
    inputs: { path_conditions: [{ variable: "{{input.FIRST}}", operator: is not empty }] }
  - id: note
    action: format_data_using_js_expression
    inputs: { data_formatter: 'return "Hello " + {{input.FIRST}}.trim() + ", " + {{input.SECOND}};' }
writeback:
  properties: [{ name: TARGET, value: "{{note.formatted_data}}" }]
  CARE
"#;

impl Crm {
    /// The plan that is run.
    pub(super) fn plan(&self, care: Care) -> String {
        let [first, second, third] = self.inputs;
        let care = match care {
            Care::None => "if_changed: overwrite",
            Care::Guarded => "guard_older_than: 0",
        };
        let named = PLAN.replace("SOURCE", self.source).replace("TARGET", self.target).replace("CARE", care);
        named.replace("FIRST", first).replace("SECOND", second).replace("THIRD", third)
    }
}
