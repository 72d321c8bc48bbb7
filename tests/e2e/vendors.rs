//! The same cases for every vendor, described once.
//!
//! A case is written against [`Tenant`]: what it needs from a vendor's simulated account, and nothing that only one vendor has.
//! What one vendor alone can do is tested in the files beside this one (HubSpot) and against its simulator (the connectors).

mod bulk;
mod cases;
mod hubspot;
mod pipedrive;
mod salesforce;
mod trouble;

use std::fmt::Debug;
use std::time::Duration;

pub(crate) use self::trouble::Trouble;

/// The simulated side of a connection: a portal, a company, an org.
pub(crate) trait Tenant: Clone + Debug + Sized + 'static {
    /// What it is made from.
    type Config: Debug;
    /// Serves as long as it is held.
    type Simulator: Debug;

    /// The vendor in `infill.toml`.
    const CRM: &'static str;
    /// A token that it accepts.
    const TOKEN: &'static str;
    /// Lines of the connection that lift the limits which hold when nothing is said.
    const UNMETERED: &'static str;
    /// The app that may log in, and its refresh token.
    const APP: App;
    /// A fault that leaves the calls about the account unanswered, but for the one before a run is recorded: so the run stands
    /// still between its pull and its first write.
    const UNANSWERED_WHILE_CONFIGURED: &'static str;
    /// Rows that make a canary and two batches.
    const THREE_BATCHES: usize;
    /// Whether an answer that says a record was written while it was not says so of the record by its id: then the row counts as
    /// written until it is read back.
    const VOUCHES_FOR_NOTHING: bool;

    /// What one is made from that has the bundled people or companies, all in [`Recipe::everybody`], and no limits.
    fn bundled() -> Self::Config;
    /// The same with so many records that are made up.
    fn with_records(n_records: usize) -> Self::Config;
    /// The same, but whoever refreshes a login gets another refresh token, where the vendor has that.
    fn rotating(config: Self::Config) -> Self::Config;
    /// Serves one; gives its address and a handle on it.
    async fn serve(config: Self::Config) -> (Self::Simulator, String, Self);

    /// What plans say to it.
    fn recipe(&self) -> Recipe;
    /// The ids of the records of [`Recipe::everybody`], ascending.
    fn records(&self) -> Vec<String>;
    /// Every property write that was committed, in order.
    fn writes(&self) -> Vec<Write>;
    /// The text that a property holds; nothing is the empty text.
    fn stored(&self, record: &str, property: &str) -> String;
    /// Calls that write records, as far as they arrived.
    fn write_calls(&self) -> u64;
    /// Logins that were asked for.
    fn logins(&self) -> u64;
    /// Calls refused for their login.
    fn unauthorized(&self) -> u64;

    /// Replaces the faults, in the simulator's own words.
    fn replace_faults(&self, spec: &str);
    /// A trouble in the simulator's own words.
    fn fault(&self, trouble: &Trouble<'_>) -> String;
    /// How often each fault has struck.
    fn fault_strikes(&self) -> Vec<u64>;

    /// A person changes a text.
    fn type_in(&self, record: &str, property: &str, text: &str);
    /// A person deletes a record.
    fn drop_record(&self, record: &str);
    /// Allows so many units a day from now on, those spent included.
    fn allow_a_day(&self, units: Option<u64>);
    /// Units of the day that were spent.
    fn spent_today(&self) -> u64;
    /// Moves the vendor's clock forward.
    fn pass(&self, by: Duration);
    /// Ends every access token.
    fn end_tokens(&self);
    /// Takes the app's login away, the access tokens that it has too.
    fn revoke(&self);
    /// Lets the app in again: this refresh token is good from now on.
    fn approve(&self, refresh_token: &str);
    /// Forgets counts and writes.
    fn forget(&self);
}

/// A vendor whose records can be merged, and who tells into which.
pub(crate) trait Merging: Tenant {
    /// A person merges one record into another.
    fn merge_into(&self, survivor: &str, record: &str);
}

/// An app that logs in with OAuth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct App {
    pub(crate) client_id: &'static str,
    pub(crate) client_secret: &'static str,
    pub(crate) refresh_token: &'static str,
}

/// One property of one record, as the vendor committed it.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) record: String,
    pub(crate) property: String,
    /// What was stored, as text; nothing is the empty text.
    pub(crate) value: String,
}

/// The vendor's names for what the little plan of every case reads and writes.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    /// A source of every record.
    pub(crate) everybody: &'static str,
    /// A source of no record.
    pub(crate) nobody: &'static str,
    /// A source of every record that has no value in a property, and the property.
    pub(crate) without: (&'static str, String),
    /// A source that is not there.
    pub(crate) nowhere: &'static str,
    /// Two texts that every record has; the first may be any text.
    pub(crate) inputs: [&'static str; 2],
    /// A text that no record has.
    pub(crate) target: String,
    /// Another such.
    pub(crate) second: String,
    /// A property that nobody may write.
    pub(crate) read_only: &'static str,
    /// A property with options, a text that is none of them, and the option that is nearest.
    pub(crate) options: (String, &'static str, &'static str),
}

impl Recipe {
    /// A plan that greets everybody; `more` follows the properties of the writeback.
    pub(crate) fn plan(&self, more: &str) -> String {
        const PLAN: &str = r#"
name: Greeting
connection: main
source: SOURCE
inputs: [FIRST, SECOND]
chain:
  - id: note
    action: format_data_using_js_expression
    inputs: { data_formatter: 'return "Hello " + {{input.FIRST}} + " of " + {{input.SECOND}};' }
writeback:
  properties: [{ name: "TARGET", value: "{{note.formatted_data}}" }]
MORE
"#;
        let [first, second] = self.inputs;
        let named = PLAN.replace("SOURCE", self.everybody).replace("TARGET", &self.target);
        named.replace("FIRST", first).replace("SECOND", second).replace("MORE", more)
    }
}
