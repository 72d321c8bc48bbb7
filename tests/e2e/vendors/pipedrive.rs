//! Pipedrive as a tenant. A write is one call for one record, so the canary takes five.

use std::time::Duration;

use infill_model::Outcome;
use infill_sim::pipedrive::{
    self, Config, Control, Limits, SIM_CLIENT_ID, SIM_CLIENT_SECRET, SIM_REFRESH_TOKEN, SIM_TOKEN, Simulator,
    Source,
};
use serde_json::Value;

use super::cases::every_case;
use super::trouble::{Call, LATE_MS, NEVER_MS};
use super::{App, Recipe, Tenant, Trouble, Write};
use crate::both_engines;
use crate::world::Setting;

const OBJECT: &str = "persons";
/// Ids and values were listed, and the canary's values.
const READING_BACK: &str = "op=list,after=3";

every_case!(infill_sim::pipedrive::Control);

impl Tenant for Control {
    type Config = Config;
    type Simulator = Simulator;

    const CRM: &'static str = "pipedrive";
    const TOKEN: &'static str = SIM_TOKEN;
    const UNMETERED: &'static str = "calls_per_2_seconds = \"unlimited\"\n";
    const APP: App =
        App { client_id: SIM_CLIENT_ID, client_secret: SIM_CLIENT_SECRET, refresh_token: SIM_REFRESH_TOKEN };
    const UNANSWERED_WHILE_CONFIGURED: &'static str = "reset,op=me,after=1";
    /// 5, 100 and 20.
    const THREE_BATCHES: usize = 125;
    /// Its answer is the record as it was.
    const VOUCHES_FOR_NOTHING: bool = true;

    fn bundled() -> Config {
        Config { limits: Limits::unlimited(), ..Config::default() }
    }

    fn with_records(n_records: usize) -> Config {
        Config { records: Source::Generate(n_records), ..Self::bundled() }
    }

    /// Pipedrive gives the same refresh token again.
    fn rotating(config: Config) -> Config {
        config
    }

    async fn serve(config: Config) -> (Simulator, String, Self) {
        let company = pipedrive::start(config).await.expect("the company starts");
        let (address, control) = (company.base_url(), company.control());
        (company, address, control)
    }

    fn recipe(&self) -> Recipe {
        let code = |name: &str| self.field_code(OBJECT, name).expect("a custom field of every company");
        Recipe {
            everybody: r#"{ object: persons, view: "1" }"#,
            nobody: r#"{ object: persons, view: "4" }"#,
            without: (r#"{ object: persons, view: "2" }"#, code("Greeting")),
            nowhere: r#"{ object: persons, view: "999" }"#,
            inputs: ["name", "first_name"],
            target: code("Greeting"),
            second: code("Background"),
            read_only: "update_time",
            options: (code("Tier"), "Golds", "Gold"),
        }
    }

    fn records(&self) -> Vec<String> {
        self.filter_members(1).expect("the filter of everybody")
    }

    fn writes(&self) -> Vec<Write> {
        let write = |write: pipedrive::Write| Write {
            record: write.record,
            property: write.field.to_string(),
            value: text(&write.new),
        };
        self.ledger().into_iter().map(write).collect()
    }

    fn stored(&self, record: &str, property: &str) -> String {
        text(&self.value(OBJECT, record, property).expect("the record is there"))
    }

    fn write_calls(&self) -> u64 {
        self.report().calls("update persons").received
    }

    fn logins(&self) -> u64 {
        self.report().calls("oauth-token").received
    }

    fn unauthorized(&self) -> u64 {
        self.report().unauthorized
    }

    fn replace_faults(&self, spec: &str) {
        self.set_faults(spec.parse().expect("a fault specification"));
    }

    fn fault(&self, trouble: &Trouble<'_>) -> String {
        match trouble {
            Trouble::BadRow(record) => format!("bad-row,op=update,record={record}"),
            Trouble::Unavailable(count) => format!("502,op=update,after=5,every=3,count={count}"),
            Trouble::Unreached(count) => format!("reset,op=update,after=5,every=3,count={count}"),
            Trouble::Lost(loss) => format!("{},op=update,after=5,every=10", loss.word()),
            Trouble::UnreadOnce => format!("502,{READING_BACK},count=1"),
            Trouble::NothingDone(record) => format!("no-op,op=update,record={record},count=1"),
            Trouble::Differs(record, value) => format!("differs,op=update,record={record},value={value}"),
            Trouble::Throttled(count) => format!("429,op=update,after=5,count={count}"),
            Trouble::Unanswered(call) => {
                let place = match call {
                    Call::Listing => "op=list",
                    Call::Writing => "op=update,after=5",
                    Call::ReadingBack => READING_BACK,
                };
                format!("delay,ms={NEVER_MS},{place},count=1")
            }
            Trouble::SlowWrites => format!("delay,ms={LATE_MS},op=update,every=5"),
            Trouble::SlowLogins => format!("delay,ms={LATE_MS},op=oauth-token"),
            Trouble::TargetGone => format!("field-gone,op=update,field={},after=5", self.recipe().target),
        }
    }

    fn fault_strikes(&self) -> Vec<u64> {
        self.strikes().into_iter().map(|(_, n_strikes)| n_strikes).collect()
    }

    fn type_in(&self, record: &str, property: &str, text: &str) {
        self.edit(OBJECT, record, property, &text.into()).expect("a person may");
    }

    fn drop_record(&self, record: &str) {
        self.delete(OBJECT, record).expect("the record is there");
    }

    fn allow_a_day(&self, units: Option<u64>) {
        self.set_limits(Limits { daily_tokens: units, ..Limits::unlimited() });
    }

    fn spent_today(&self) -> u64 {
        self.tokens().today
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

fn text(value: &Value) -> String {
    let plain = || if value.is_null() { String::new() } else { value.to_string() };
    value.as_str().map_or_else(plain, str::to_owned)
}

/// Enough calls to fill the window several times.
const N_PERSONS: usize = 60;

both_engines! {
    async fn the_burst_window_is_kept_without_a_single_refusal(setting: Setting) {
        let mut company = Control::with_records(N_PERSONS);
        company.limits.burst = Some(20);
        let mut setting = Setting::<Control>::of(setting.pair, company);
        setting.connection = "calls_per_2_seconds = 20\n".to_owned();
        let world = setting.start().await;
        let plan = world.control.recipe().plan("");
        world.run(&plan).await.all(Outcome::Verified, N_PERSONS as u64);
        let report = world.control.report();
        assert!(report.refused.is_empty(), "{:?}", report.refused);
        // A limiter that crawls would pass too.
        let worst = report.worst.burst_received;
        assert!((15..=20).contains(&worst), "{worst} calls in the fullest window");
    }
    async fn a_record_that_pipedrive_breaks_on_is_tried_three_times(setting: Setting) {
        let world = Setting::<Control>::of(setting.pair, Control::with_records(12)).start().await;
        let broken = world.control.records().swap_remove(8);
        world.set_faults(&format!("500,op=update,record={broken}"));
        let ended = world.run(&world.control.recipe().plan("")).await;
        assert_eq!((ended.ids(Outcome::Failed), ended.count(Outcome::Verified)), (vec![broken.as_str()], 11));
        assert_eq!(world.control.fault_strikes(), [3]);
        let cause = ended.result(&broken).cause.as_ref().expect("a cause");
        assert!(cause.message.contains("gave up after 3 attempts"), "{}", cause.message);
    }
}
