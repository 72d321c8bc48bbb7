//! HubSpot as a tenant.

use std::time::Duration;

use infill_sim::hubspot::{
    self, Config, Control, Limits, Operation, SIM_CLIENT_ID, SIM_CLIENT_SECRET, SIM_REFRESH_TOKEN, SIM_TOKEN,
    Simulator, Source,
};

use super::cases::{every_case, every_case_of_merging};
use super::trouble::{Call, LATE_MS, NEVER_MS};
use super::{App, Merging, Recipe, Tenant, Trouble, Write};
use crate::plans::{EVERYBODY, NOTE};

const OBJECT: &str = "contacts";
/// The pull was one read, the canary's another.
const READING_BACK: &str = "op=batch-read,after=2";

every_case!(infill_sim::hubspot::Control);
every_case_of_merging!(infill_sim::hubspot::Control);

impl Tenant for Control {
    type Config = Config;
    type Simulator = Simulator;

    const CRM: &'static str = "hubspot";
    const TOKEN: &'static str = SIM_TOKEN;
    const UNMETERED: &'static str = "calls_per_10_seconds = \"unlimited\"\n";
    const APP: App =
        App { client_id: SIM_CLIENT_ID, client_secret: SIM_CLIENT_SECRET, refresh_token: SIM_REFRESH_TOKEN };
    const UNANSWERED_WHILE_CONFIGURED: &'static str = "reset,op=account-details,after=1";
    /// 5, 100 and 20.
    const THREE_BATCHES: usize = 125;
    /// Its answer names nobody.
    const VOUCHES_FOR_NOTHING: bool = false;

    fn bundled() -> Config {
        let mut config =
            Config { limits: Limits::unlimited(), index_lag: Duration::ZERO, ..Config::default() };
        // Without it a refusal means ten seconds.
        config.switches.retry_after = true;
        config
    }

    fn with_records(n_records: usize) -> Config {
        Config { records: Source::Generate(n_records), ..Self::bundled() }
    }

    fn rotating(mut config: Config) -> Config {
        config.oauth.rotates_refresh_tokens = true;
        config
    }

    async fn serve(config: Config) -> (Simulator, String, Self) {
        let portal = hubspot::start(config).await.expect("the portal starts");
        let (address, control) = (portal.base_url(), portal.control());
        (portal, address, control)
    }

    fn recipe(&self) -> Recipe {
        Recipe {
            everybody: EVERYBODY,
            nobody: r#"{ object: contacts, list: "45" }"#,
            without: (r#"{ object: contacts, list: "43" }"#, "hs_content_membership_notes".to_owned()),
            nowhere: r#"{ object: contacts, list: "999" }"#,
            inputs: ["firstname", "lastname"],
            target: NOTE.to_owned(),
            second: "hs_content_membership_notes".to_owned(),
            read_only: "lastmodifieddate",
            options: ("lifecyclestage".to_owned(), "leed", "lead"),
        }
    }

    fn records(&self) -> Vec<String> {
        self.members("42").expect("list 42").iter().map(u64::to_string).collect()
    }

    fn writes(&self) -> Vec<Write> {
        let write = |write: hubspot::Write| Write {
            record: write.record.to_string(),
            property: write.property.to_string(),
            value: write.new.as_deref().unwrap_or_default().to_owned(),
        };
        self.ledger().into_iter().map(write).collect()
    }

    fn stored(&self, record: &str, property: &str) -> String {
        self.value(OBJECT, id(record), property).expect("the record is there").unwrap_or_default()
    }

    fn write_calls(&self) -> u64 {
        self.report().calls(Operation::BatchUpdate).received
    }

    fn logins(&self) -> u64 {
        self.report().calls(Operation::OauthToken).received
    }

    fn unauthorized(&self) -> u64 {
        self.report().unauthorized
    }

    fn replace_faults(&self, spec: &str) {
        self.set_faults(spec.parse().expect("a fault specification"));
    }

    fn fault(&self, trouble: &Trouble<'_>) -> String {
        match trouble {
            Trouble::BadRow(record) => format!("bad-row,record={record}"),
            Trouble::Unavailable(count) => format!("502,op=batch-update,after=1,count={count}"),
            Trouble::Unreached(count) => format!("reset,op=batch-update,after=1,count={count}"),
            Trouble::Lost(loss) => format!("{},op=batch-update,after=1,count=1", loss.word()),
            Trouble::UnreadOnce => format!("502,{READING_BACK},count=1"),
            Trouble::NothingDone(record) => format!("no-op,op=batch-update,record={record},count=1"),
            Trouble::Differs(record, value) => {
                format!("differs,op=batch-update,record={record},value={value}")
            }
            Trouble::Throttled(count) => {
                format!("429,policy=secondly,op=batch-update,after=1,count={count}")
            }
            Trouble::Unanswered(call) => {
                let place = match call {
                    Call::Listing => "op=memberships",
                    Call::Writing => "op=batch-update,after=1",
                    Call::ReadingBack => READING_BACK,
                };
                format!("delay,ms={NEVER_MS},{place},count=1")
            }
            Trouble::SlowWrites => format!("delay,ms={LATE_MS},op=batch-update"),
            Trouble::SlowLogins => format!("delay,ms={LATE_MS},op=oauth-token"),
            Trouble::TargetGone => format!("property-gone,op=batch-update,property={NOTE},after=1"),
        }
    }

    fn fault_strikes(&self) -> Vec<u64> {
        self.strikes().into_iter().map(|(_, n_strikes)| n_strikes).collect()
    }

    fn type_in(&self, record: &str, property: &str, text: &str) {
        self.edit(OBJECT, id(record), property, text).expect("a person may");
    }

    fn drop_record(&self, record: &str) {
        self.archive(OBJECT, id(record)).expect("the record is there");
    }

    fn allow_a_day(&self, units: Option<u64>) {
        self.set_limits(Limits { daily: units, ..Limits::unlimited() });
    }

    fn spent_today(&self) -> u64 {
        let report = self.report();
        report.total_received() - report.total_throttled()
    }

    fn pass(&self, by: Duration) {
        self.advance_clock(by);
    }

    fn end_tokens(&self) {
        self.expire_tokens();
    }

    fn revoke(&self) {
        self.revoke_refresh_tokens();
        self.expire_tokens();
    }

    fn approve(&self, refresh_token: &str) {
        self.install_app(refresh_token);
    }

    fn forget(&self) {
        self.reset_counters();
    }
}

impl Merging for Control {
    fn merge_into(&self, survivor: &str, record: &str) {
        self.merge(OBJECT, id(survivor), id(record)).expect("both are there");
    }
}

fn id(record: &str) -> u64 {
    record.parse().expect("a HubSpot record id")
}
