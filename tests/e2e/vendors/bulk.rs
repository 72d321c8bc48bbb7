//! Salesforce by jobs alone: the shared cases once more, forced to Bulk API 2.0, and what only a job can meet.

use std::time::Duration;

use infill_model::row::RowState;
use infill_model::{Outcome, RunState};
use infill_sim::salesforce::{Config, Control, Operation, Simulator};

use super::cases::on_both_pairs;
use super::trouble::{Call, LATE_MS, NEVER_MS};
use super::{App, Merging, Recipe, Tenant, Trouble, Write};
use crate::both_engines;
use crate::world::{Setting, World};

/// An org whose connection goes by jobs, whatever the size.
#[derive(Clone, Debug)]
pub(crate) struct ByJobs(Control);

/// The listing brought the values; the canary's was the first read.
const READING_BACK: &str = "op=collections-retrieve,after=1";

on_both_pairs! {
    crate::vendors::bulk::ByJobs:
    writeback::everybody_is_enriched_and_a_second_run_sends_nothing,
    writeback::names_come_through_to_the_letter,
    writeback::several_properties_go_in_one_call,
    writeback::only_empty_values_are_filled_where_the_plan_says_so,
    writeback::a_plan_that_wants_no_read_back_reads_its_canary_back,
    writeback::a_value_that_reads_back_differently_is_kept_beside_the_wanted_one,
    writeback::a_success_with_nothing_done_is_never_taken_for_written,
    writeback::a_value_that_a_person_changed_between_pull_and_write_is_held,
    writeback::a_change_by_a_person_is_overwritten_where_the_plan_says_so,
    writeback::a_change_of_another_property_holds_nothing,
    slice::a_slice_that_loses_its_members_to_the_write_is_covered_whole,
    slice::records_that_meet_a_condition_are_pulled_alone,
    slice::a_cap_is_kept,
    slice::an_empty_slice_is_said_aloud,
    slice::a_record_deleted_between_pull_and_write_is_gone,
    slice::a_merged_record_is_gone_with_its_survivor,
    failure::a_bad_row_fails_alone,
    failure::a_canary_that_fails_stops_the_rest,
    failure::a_gateways_error_is_tried_again,
    failure::a_connection_reset_before_the_commit_is_tried_again,
    failure::an_answer_lost_to_a_reset_costs_no_second_write,
    failure::an_answer_lost_to_a_gateway_costs_no_second_write,
    failure::an_answer_cut_off_costs_no_second_write,
    failure::a_lost_answer_whose_read_back_fails_too_costs_no_second_write,
    failure::a_property_deleted_on_the_way_stops_the_run_and_leaves_no_row_in_limbo,
    failure::a_process_killed_while_rows_are_pulled_loses_nothing,
    failure::a_process_killed_after_a_write_loses_nothing_and_writes_nothing_twice,
    failure::a_process_killed_while_a_batch_is_read_back_loses_nothing,
}

impl Tenant for ByJobs {
    type Config = Config;
    type Simulator = Simulator;

    const CRM: &'static str = Control::CRM;
    const TOKEN: &'static str = Control::TOKEN;
    const UNMETERED: &'static str = "day_reserve_percent = 0\ntransport = \"bulk\"\n";
    const APP: App = Control::APP;
    const UNANSWERED_WHILE_CONFIGURED: &'static str = Control::UNANSWERED_WHILE_CONFIGURED;
    /// 5, 26,000 and 20.
    const THREE_BATCHES: usize = 26_025;
    const VOUCHES_FOR_NOTHING: bool = Control::VOUCHES_FOR_NOTHING;

    fn bundled() -> Config {
        Control::bundled()
    }

    fn with_records(n_records: usize) -> Config {
        Control::with_records(n_records)
    }

    fn rotating(config: Config) -> Config {
        Control::rotating(config)
    }

    async fn serve(config: Config) -> (Simulator, String, Self) {
        let (org, address, control) = Control::serve(config).await;
        (org, address, Self(control))
    }

    fn recipe(&self) -> Recipe {
        self.0.recipe()
    }

    fn records(&self) -> Vec<String> {
        self.0.records()
    }

    fn writes(&self) -> Vec<Write> {
        self.0.writes()
    }

    fn stored(&self, record: &str, property: &str) -> String {
        self.0.stored(record, property)
    }

    fn write_calls(&self) -> u64 {
        self.0.report().calls(Operation::IngestCreate).received
    }

    fn logins(&self) -> u64 {
        self.0.logins()
    }

    fn unauthorized(&self) -> u64 {
        self.0.unauthorized()
    }

    fn replace_faults(&self, spec: &str) {
        self.0.replace_faults(spec);
    }

    fn fault(&self, trouble: &Trouble<'_>) -> String {
        match trouble {
            Trouble::BadRow(record) => format!("row-error,op=ingest-state,record={record}"),
            Trouble::Unavailable(count) => format!("502,op=ingest-upload,after=1,count={count}"),
            Trouble::Unreached(count) => format!("reset,op=ingest-upload,after=1,count={count}"),
            Trouble::Lost(loss) => format!("{},op=ingest-state,after=1,count=1", loss.word()),
            Trouble::UnreadOnce => format!("502,{READING_BACK},count=1"),
            Trouble::NothingDone(record) => format!("ignored,op=ingest-state,record={record},count=1"),
            Trouble::Differs(record, value) => {
                format!("differs,op=ingest-state,record={record},value={value}")
            }
            Trouble::Throttled(count) => {
                format!("403,cause=concurrent,op=ingest-upload,after=1,count={count}")
            }
            Trouble::Unanswered(call) => {
                let place = match call {
                    Call::Listing => "op=bulk-query-create",
                    Call::Writing => "op=ingest-state,after=1",
                    Call::ReadingBack => READING_BACK,
                };
                format!("delay,ms={NEVER_MS},{place},count=1")
            }
            Trouble::SlowWrites => format!("delay,ms={LATE_MS},op=ingest-info"),
            Trouble::SlowLogins => self.0.fault(trouble),
            Trouble::TargetGone => {
                let target = self.recipe().target;
                format!("field-gone,op=ingest-create,object=Account,field={target},after=1")
            }
        }
    }

    fn fault_strikes(&self) -> Vec<u64> {
        self.0.fault_strikes()
    }

    fn type_in(&self, record: &str, property: &str, text: &str) {
        self.0.type_in(record, property, text);
    }

    fn drop_record(&self, record: &str) {
        self.0.drop_record(record);
    }

    fn allow_a_day(&self, units: Option<u64>) {
        self.0.allow_a_day(units);
    }

    fn spent_today(&self) -> u64 {
        self.0.spent_today()
    }

    fn pass(&self, by: Duration) {
        self.0.pass(by);
    }

    fn end_tokens(&self) {
        self.0.end_tokens();
    }

    fn revoke(&self) {
        self.0.revoke();
    }

    fn approve(&self, refresh_token: &str) {
        self.0.approve(refresh_token);
    }

    fn forget(&self) {
        self.0.forget();
    }
}

impl Merging for ByJobs {
    fn merge_into(&self, survivor: &str, record: &str) {
        self.0.merge_into(survivor, record);
    }
}

/// A canary and one job.
const N_ROWS: usize = 905;

async fn with_rows(setting: &Setting, n_rows: usize, workers: usize) -> World<ByJobs> {
    let mut setting = Setting::<ByJobs>::of(setting.pair, Control::with_records(n_rows));
    setting.workers = workers;
    setting.start().await
}

impl World<ByJobs> {
    fn received(&self, operation: Operation) -> u64 {
        self.control.0.report().calls(operation).received
    }

    /// No field of any record was written twice, not even with the same value.
    fn check_each_written_once(&self) {
        assert_eq!(self.control.0.report().most_writes_of_one_field, 1);
    }
}

both_engines! {
    /// 400 rows are written, 500 are not; those alone go again.
    async fn a_job_that_fails_half_way_keeps_what_it_wrote_and_the_rest_goes_again(setting: Setting) {
        let world = with_rows(&setting, N_ROWS, 2).await;
        // The canary's job is too small to fail there.
        world.set_faults("bulk-fail,rows=400,after=1,count=1");
        let ended = world.run(&world.control.recipe().plan("")).await;
        ended.all(Outcome::Verified, N_ROWS as u64);
        assert_eq!(world.control.fault_strikes(), [1]);
        world.check_each_written_once();
        assert_eq!(world.received(Operation::IngestCreate), 3, "the canary's, the one that failed, the rest's");
    }

    async fn an_upload_whose_answer_is_lost_is_not_repeated(setting: Setting) {
        for fault in ["lost-reset", "lost-504"] {
            let world = with_rows(&setting, N_ROWS, 2).await;
            world.set_faults(&format!("{fault},op=ingest-upload,after=1,count=1"));
            let ended = world.run(&world.control.recipe().plan("")).await;
            ended.all(Outcome::Verified, N_ROWS as u64);
            assert_eq!(world.control.fault_strikes(), [1]);
            world.check_each_written_once();
            assert_eq!(world.received(Operation::IngestCreate), 2, "the job was found again");
        }
    }

    async fn results_that_are_cut_off_are_fetched_again(setting: Setting) {
        let world = with_rows(&setting, N_ROWS, 2).await;
        world.set_faults("lost-504,op=ingest-results,after=1,count=2");
        let ended = world.run(&world.control.recipe().plan("")).await;
        ended.all(Outcome::Verified, N_ROWS as u64);
        world.check_each_written_once();
        assert_eq!(world.received(Operation::IngestCreate), 2);
    }

    /// The job goes on while nobody is there, and whoever comes asks after it.
    async fn a_worker_killed_while_a_job_runs_finds_it_again(setting: Setting) {
        let mut world = with_rows(&setting, N_ROWS, 0).await;
        let run = world.record(&world.control.recipe().plan(""), &["--all"]).await;
        world.set_faults(&format!("delay,ms={NEVER_MS},op=ingest-info,after=2,count=1"));
        let killed = world.take_up();
        world.until_struck("the job is looked at").await;
        assert_eq!(world.find(run).await.state, RunState::Running);
        world.kill(killed).await;
        world.set_faults("");
        world.take_up();
        world.until_whole(run, N_ROWS as u64).await;
        world.check_each_written_once();
        assert_eq!(world.received(Operation::IngestCreate), 2, "a second job was made for the same rows");
        assert_eq!(world.received(Operation::IngestUpload), 2);
    }

    /// Between making a job and keeping its id nothing can have been written.
    async fn a_worker_killed_while_a_job_is_made_loses_nothing(setting: Setting) {
        let mut world = with_rows(&setting, N_ROWS, 0).await;
        let run = world.record(&world.control.recipe().plan(""), &["--all"]).await;
        world.set_faults(&format!("delay,ms={NEVER_MS},op=ingest-create,after=1,count=1"));
        let killed = world.take_up();
        world.until_struck("the job is made").await;
        world.kill(killed).await;
        world.set_faults("");
        world.take_up();
        world.until_whole(run, N_ROWS as u64).await;
        world.check_each_written_once();
        assert_eq!(world.received(Operation::IngestCreate), 3, "one job was never filled");
    }

    async fn a_worker_killed_while_the_results_of_the_query_are_read_loses_nothing(setting: Setting) {
        let mut world = with_rows(&setting, N_ROWS, 0).await;
        let run = world.record(&world.control.recipe().plan(""), &["--all"]).await;
        world.set_faults(&format!("delay,ms={NEVER_MS},op=bulk-query-results,count=1"));
        let killed = world.take_up();
        world.until_struck("the results are read").await;
        world.kill(killed).await;
        world.set_faults("");
        world.take_up();
        world.until_whole(run, N_ROWS as u64).await;
        world.check_each_written_once();
        assert_eq!(world.received(Operation::BulkQueryCreate), 1, "the job was found again");
    }

    /// What was handed over is written; a run that is cancelled waits for it and settles it.
    async fn a_run_cancelled_while_a_job_runs_settles_every_row_of_it(setting: Setting) {
        let world = with_rows(&setting, N_ROWS, 2).await;
        world.set_faults("bulk-slow,looks=3,after=1,count=1");
        let path = world.plan(&world.control.recipe().plan(""));
        let args = ["run", path.to_str().expect("a path in UTF-8"), "--all"];
        let cancelling = async {
            world
                .wait_for("the job is closed", async || {
                    (world.received(Operation::IngestState) >= 2).then_some(())
                })
                .await;
            world.infill(&["cancel", "latest"]).await
        };
        let (printed, cancelled) = tokio::join!(world.infill(&args), cancelling);
        assert_eq!((printed.code, cancelled.code), (3, 0), "{}\n{}", printed.err, cancelled.err);
        let run = world.latest().await;
        assert_eq!(run.state, RunState::Cancelled);
        let writes = world.control.writes();
        for (row, result) in world.rows(&run).await {
            let was_sent = writes.iter().any(|write| write.record == row.record.as_str());
            let expected = if was_sent { RowState::Settled(Outcome::Verified) } else { RowState::Pending };
            assert_eq!(result.state, expected, "record {}", row.record);
        }
        world.check_each_written_once();
    }

    /// Locks are the rows' own: they go again, the others are settled.
    async fn locked_rows_of_a_job_go_again_alone(setting: Setting) {
        let world = with_rows(&setting, N_ROWS, 2).await;
        let locked = world.control.records().swap_remove(100);
        world.set_faults(&format!("row-lock,record={locked},count=1"));
        let ended = world.run(&world.control.recipe().plan("")).await;
        ended.all(Outcome::Verified, N_ROWS as u64);
        assert_eq!(world.control.fault_strikes(), [1]);
        world.check_each_written_once();
    }
}
