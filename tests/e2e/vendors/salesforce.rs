//! Salesforce as a tenant. A write is one composite call for up to 1,000 records, and a message up to 2,000.

use std::time::Duration;

use infill_model::{Outcome, RunState};
use infill_sim::salesforce::{
    self, Config, Control, Edition, Limits, Operation, RecordTypeValues, SIM_CLIENT_ID, SIM_CLIENT_SECRET,
    SIM_REFRESH_TOKEN, SIM_SESSION, Simulator, Source,
};

use super::cases::{every_case, every_case_of_merging};
use super::trouble::{Call, LATE_MS, NEVER_MS};
use super::{App, Merging, Recipe, Tenant, Trouble, Write};
use crate::both_engines;
use crate::world::Setting;

const OBJECT: &str = "Account";
/// The pull was one read, the canary's another.
const READING_BACK: &str = "op=collections-retrieve,after=2";
const TARGET: &str = "Greeting__c";

every_case!(infill_sim::salesforce::Control);
every_case_of_merging!(infill_sim::salesforce::Control);

impl Tenant for Control {
    type Config = Config;
    type Simulator = Simulator;

    const CRM: &'static str = "salesforce";
    const TOKEN: &'static str = SIM_SESSION;
    const UNMETERED: &'static str = "day_reserve_percent = 0\n";
    const APP: App =
        App { client_id: SIM_CLIENT_ID, client_secret: SIM_CLIENT_SECRET, refresh_token: SIM_REFRESH_TOKEN };
    const UNANSWERED_WHILE_CONFIGURED: &'static str = "reset,op=limits,after=1";
    /// 5, 2,000 and 20.
    const THREE_BATCHES: usize = 2_025;
    /// Its answer says success of the row.
    const VOUCHES_FOR_NOTHING: bool = true;

    fn bundled() -> Config {
        Config { limits: Limits::of(Edition::None), ..Config::default() }
    }

    fn with_records(n_records: usize) -> Config {
        Config { records: Source::Generate(n_records), ..Self::bundled() }
    }

    fn rotating(mut config: Config) -> Config {
        config.app.rotates_refresh_tokens = true;
        config
    }

    async fn serve(config: Config) -> (Simulator, String, Self) {
        let org = salesforce::start(config).await.expect("the org starts");
        let (address, control) = (org.base_url(), org.control());
        (org, address, control)
    }

    fn recipe(&self) -> Recipe {
        Recipe {
            everybody: "{ object: Account, view: AllAccounts }",
            nobody: "{ object: Account, view: TechAccounts }",
            without: ("{ object: Account, view: WithoutGreeting }", TARGET.to_owned()),
            nowhere: "{ object: Account, view: NobodysAccounts }",
            inputs: ["Name", "BillingCity"],
            target: TARGET.to_owned(),
            second: "Enrichment_Note__c".to_owned(),
            read_only: "Audit_Note__c",
            options: ("Segment__c".to_owned(), "Smal", "Small"),
        }
    }

    fn records(&self) -> Vec<String> {
        self.record_ids(OBJECT).expect("accounts")
    }

    fn writes(&self) -> Vec<Write> {
        let write = |write: salesforce::Write| Write {
            record: write.record,
            property: write.field,
            value: write.new.unwrap_or_default(),
        };
        self.ledger().into_iter().map(write).collect()
    }

    fn stored(&self, record: &str, property: &str) -> String {
        let object = if record.starts_with("00Q") { "Lead" } else { OBJECT };
        self.value(object, record, property).expect("the record is there").unwrap_or_default()
    }

    fn write_calls(&self) -> u64 {
        self.report().calls(Operation::Composite).received
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
            Trouble::BadRow(record) => format!("row-error,op=collections-update,record={record}"),
            Trouble::Unavailable(count) => format!("502,op=composite,after=1,count={count}"),
            Trouble::Unreached(count) => format!("reset,op=composite,after=1,count={count}"),
            Trouble::Lost(loss) => format!("{},op=composite,after=1,count=1", loss.word()),
            Trouble::UnreadOnce => format!("502,{READING_BACK},count=1"),
            Trouble::NothingDone(record) => format!("ignored,op=collections-update,record={record},count=1"),
            Trouble::Differs(record, value) => {
                format!("differs,op=collections-update,record={record},value={value}")
            }
            Trouble::Throttled(count) => {
                format!("403,cause=concurrent,op=composite,after=1,count={count}")
            }
            Trouble::Unanswered(call) => {
                let place = match call {
                    Call::Listing => "op=query",
                    Call::Writing => "op=composite,after=1",
                    Call::ReadingBack => READING_BACK,
                };
                format!("delay,ms={NEVER_MS},{place},count=1")
            }
            Trouble::SlowWrites => format!("delay,ms={LATE_MS},op=composite"),
            Trouble::SlowLogins => format!("delay,ms={LATE_MS},op=oauth-token"),
            Trouble::TargetGone => format!("field-gone,op=composite,object=Account,field={TARGET},after=1"),
        }
    }

    fn fault_strikes(&self) -> Vec<u64> {
        self.strikes().into_iter().map(|(_, n_strikes)| n_strikes).collect()
    }

    fn type_in(&self, record: &str, property: &str, text: &str) {
        self.edit(OBJECT, record, property, text).expect("a person may");
    }

    fn drop_record(&self, record: &str) {
        self.delete(OBJECT, record).expect("the record is there");
    }

    fn allow_a_day(&self, units: Option<u64>) {
        self.set_limits(Limits { daily: units, ..Limits::of(Edition::None) });
    }

    fn spent_today(&self) -> u64 {
        self.report().api_requests
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
        self.approve_app(refresh_token);
    }

    fn forget(&self) {
        self.reset_counters();
    }
}

impl Merging for Control {
    fn merge_into(&self, survivor: &str, record: &str) {
        self.merge(OBJECT, survivor, record).expect("both are there");
    }
}

both_engines! {
    /// Contacts of three accounts, one of which somebody else's transaction holds; when it lets go, a trigger meets locks of its own.
    async fn a_storm_of_locked_parents_ends_with_every_row_written_once(setting: Setting) {
        let world = Setting::<Control>::of(setting.pair, Control::with_records(60)).start().await;
        let control = &world.control;
        let accounts: Vec<String> = control.record_ids(OBJECT).expect("accounts").into_iter().take(3).collect();
        let contacts = control.record_ids("Contact").expect("contacts");
        let n_contacts = contacts.len();
        for (nth, contact) in contacts.iter().enumerate() {
            control.edit("Contact", contact, "AccountId", &accounts[nth % 3]).expect("a person may");
        }
        control.lock_row(&accounts[0]);
        let account_of = |write: &Write| {
            let nth = contacts.iter().position(|contact| *contact == write.record).expect("a contact");
            &accounts[nth % 3]
        };
        let path = world.plan(
            r#"
name: Titles
connection: main
source: { object: Contact, query: "SELECT Id FROM Contact" }
inputs: [FirstName, AccountId]
writeback:
  properties: [{ name: Title, value: "Friend of {{input.FirstName}}" }]
canary: 0
"#,
        );
        let args = ["run", path.to_str().expect("a path in UTF-8"), "--all"];
        let unlocking = async {
            let rest = n_contacts - n_contacts / 3;
            world
                .wait_for("the siblings of the others are written", async || {
                    (control.writes().len() == rest).then_some(())
                })
                .await;
            let mut accounts_in_turn: Vec<&String> = Vec::new();
            let writes = control.writes();
            accounts_in_turn.extend(writes.iter().map(account_of));
            accounts_in_turn.dedup();
            assert_eq!(accounts_in_turn.len(), 2, "siblings are not side by side");
            world.set_faults(
                "row-error,code=CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY,message=AccountTrigger: execution of BeforeUpdate caused by: \
                 UNABLE_TO_LOCK_ROW: unable to obtain exclusive access to this record,op=collections-update,count=20",
            );
            control.unlock_row(&accounts[0]);
        };
        let (printed, ()) = tokio::join!(world.infill(&args), unlocking);
        assert_eq!(printed.code, 0, "{}\n{}", printed.out, printed.err);
        let run = world.latest().await;
        assert_eq!((run.state, run.progress.counts.verified), (RunState::Completed, n_contacts as u64));
        let mut written: Vec<String> = control.writes().into_iter().map(|write| write.record).collect();
        written.sort_unstable();
        assert_eq!(written, contacts, "each once");
        assert!(control.fault_strikes().iter().all(|n_strikes| *n_strikes == 20));
        assert!(world.letters(&run).await.is_empty(), "a lock is no row's fault");
    }

    /// What a supplier cannot be is said before anything is sent to it; what nobody can be, before the run begins.
    async fn values_that_a_record_type_does_not_have_are_refused_before_the_call(setting: Setting) {
        let mut org = Control::with_records(8);
        org.record_type_values = vec![
            RecordTypeValues::new("Customer", "Segment__c", &["Enterprise", "Mid-Market"]),
            RecordTypeValues::new("Supplier", "Segment__c", &["Mid-Market"]),
        ];
        let world = Setting::<Control>::of(setting.pair, org).start().await;
        let control = &world.control;
        let plan = |value: &str| {
            format!(
                r#"
name: Segments
connection: main
source: {{ object: Account, view: AllAccounts }}
inputs: [Site]
writeback:
  properties: [{{ name: Segment__c, value: "{value}" }}]
canary: 0
"#
            )
        };
        let path = world.plan(&plan("Small"));
        let refused = world.infill(&["run", path.to_str().expect("a path in UTF-8"), "--all"]).await;
        assert_eq!(refused.code, 2, "{}", refused.err);
        let said = "no record type takes (\"Customer\", \"Supplier\")";
        assert!(refused.err.contains(said), "{}", refused.err);

        let types = control.record_ids("RecordType").expect("two types");
        let records = control.records();
        for (record, record_type) in records.iter().zip([&types[0], &types[1]]) {
            control.type_in(record, "RecordTypeId", record_type);
        }
        for record in &records {
            control.type_in(record, "Site", "Enterprise");
        }
        let ended = world.run(&plan("{{input.Site}}")).await;
        assert_eq!(ended.ids(Outcome::Failed), [records[1].as_str()]);
        assert_eq!(ended.count(Outcome::Verified), records.len() as u64 - 1);
        let letters = world.letters(&ended.run).await;
        let cause = &letters[0].letter.cause;
        assert_eq!(cause.code, "option_of_another_record_type");
        assert!(cause.message.contains("\"Supplier\" do not take \"Enterprise\"; they take \"Mid-Market\""), "{}", cause.message);
        let strange = control.writes().iter().any(|write| write.record == records[1]);
        assert!(!strange, "it was sent all the same");
    }
}
