//! Each case once. A vendor's file makes tests of them all with [`every_case`], on both engine pairs:
//! `vendors::pipedrive::embedded::a_bad_row_fails_alone`.

pub(crate) mod account;
pub(crate) mod failure;
pub(crate) mod only;
pub(crate) mod preview;
pub(crate) mod schedule;
pub(crate) mod sequence;
pub(crate) mod slice;
pub(crate) mod trail;
pub(crate) mod undo;
pub(crate) mod writeback;

use infill_model::{Outcome, RunState};
use infill_store::store::RunFilter;

use super::trouble::Call;
use super::{Tenant, Trouble};
use crate::world::{Ended, Pair, Setting, World};

/// A canary and one batch of every vendor.
const N_ROWS: usize = 30;
/// A row of the canary, and one of the batch after it, by their places among the records.
const IN_CANARY: usize = 2;
const IN_BATCH: usize = 17;

/// Makes a test of every case for one vendor. A case that is not in this list is dead code.
macro_rules! every_case {
    ($tenant:ty) => {
        $crate::vendors::cases::on_both_pairs! {
            $tenant:
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
            writeback::each_property_says_for_itself_when_it_is_written_and_held,
            slice::a_slice_that_loses_its_members_to_the_write_is_covered_whole,
            slice::records_that_meet_a_condition_are_pulled_alone,
            slice::a_cap_is_kept,
            slice::an_empty_slice_is_said_aloud,
            slice::a_record_deleted_between_pull_and_write_is_gone,
            only::new_records_alone_are_pulled_and_worked_on,
            only::a_cap_counts_new_records_and_the_next_run_goes_on_from_there,
            only::changed_records_alone_are_evaluated_and_written,
            only::a_row_that_failed_comes_again,
            only::a_process_killed_after_a_write_leaves_nothing_new_behind,
            failure::a_bad_row_fails_alone,
            failure::a_canary_that_fails_stops_the_rest,
            failure::a_run_stops_when_more_rows_fail_than_the_plan_allows,
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
            failure::a_run_paused_on_the_way_stands_still_and_completes_when_it_is_resumed,
            failure::a_run_cancelled_on_the_way_leaves_no_row_in_limbo,
            preview::a_dry_run_changes_nothing_and_its_apply_changes_exactly_that,
            preview::a_run_that_would_change_too_much_stops_before_it_writes,
            preview::a_run_waits_after_its_canary_for_one_of_two_who_approve_it,
            preview::rows_refused_in_a_preview_fail_when_it_is_applied_and_not_before,
            schedule::of_two_planners_one_starts_the_run,
            schedule::a_start_waits_for_a_run_in_progress,
            schedule::a_start_is_skipped_while_a_run_goes_on,
            schedule::missed_starts_are_told,
            sequence::every_record_ends_with_the_value_of_the_last_allowed_writer,
            undo::an_undo_puts_back_what_nobody_changed_since_and_can_be_undone,
            undo::an_undo_takes_back_one_property_and_leaves_another,
            undo::a_process_killed_in_an_undo_loses_nothing,
            trail::a_record_tells_which_runs_wrote_it_and_whether_that_is_still_there,
            trail::a_purged_run_keeps_its_counts_and_cannot_be_taken_back,
            account::a_plan_that_does_not_fit_the_account_is_refused,
            account::nothing_secret_is_left_behind,
            account::a_refresh_token_used_up_by_two_workers_at_once_is_renewed_once,
            account::a_revoked_login_pauses_the_connection_and_a_mended_one_goes_on,
            account::refusals_of_too_many_calls_cost_no_attempt,
            account::a_day_spent_on_the_way_parks_the_run_and_it_goes_on_after_midnight,
        }
    };
}

/// Makes a test of each of some cases on each engine pair.
macro_rules! on_both_pairs {
    ($tenant:ty: $($theme:ident::$case:ident,)+) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    $crate::vendors::cases::$theme::$case::<$tenant>($crate::world::Pair::Embedded).await;
                }
            )+
        }

        mod distributed {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    $crate::vendors::cases::$theme::$case::<$tenant>($crate::world::Pair::Distributed).await;
                }
            )+
        }
    };
}

/// As [`every_case`], for what a [`super::Merging`] vendor can do besides.
macro_rules! every_case_of_merging {
    ($tenant:ty) => {
        mod merging {
            $crate::vendors::cases::on_both_pairs! {
                $tenant:
                slice::a_merged_record_is_gone_with_its_survivor,
            }
        }
    };
}

pub(crate) use {every_case, every_case_of_merging, on_both_pairs};

/// A world with so many records.
fn with_records<T: Tenant>(pair: Pair, n_rows: usize) -> Setting<T> {
    Setting::of(pair, T::with_records(n_rows))
}

/// A world with the usual records.
async fn usual<T: Tenant>(pair: Pair) -> World<T> {
    with_records::<T>(pair, N_ROWS).start().await
}

impl<T: Tenant> World<T> {
    /// The plan of most cases.
    fn greeting(&self, more: &str) -> String {
        self.control.recipe().plan(more)
    }

    /// The plan of most cases, with more said of which records it takes.
    fn greeting_taking(&self, more: &str) -> String {
        let everybody = self.control.recipe().everybody;
        self.greeting("").replace(everybody, &everybody.replace(" }", &format!("{more} }}")))
    }

    /// The id of the record at this place.
    fn nth(&self, place: usize) -> String {
        self.control.records().swap_remove(place)
    }

    /// From now on, these troubles and no others.
    fn meet(&self, troubles: &[Trouble<'_>]) {
        let specs: Vec<String> = troubles.iter().map(|trouble| self.control.fault(trouble)).collect();
        self.set_faults(&specs.join(";"));
    }

    /// Runs the usual plan while these troubles last, each of which must strike.
    async fn run_among(&self, troubles: &[Trouble<'_>]) -> Ended {
        self.meet(troubles);
        let ended = self.run(&self.greeting("")).await;
        let strikes = self.control.fault_strikes();
        assert!(strikes.iter().all(|n_strikes| *n_strikes > 0), "{troubles:?} struck {strikes:?} times");
        ended
    }

    /// No property of any record was written twice, not even with the same value.
    fn check_no_second_write(&self) {
        let mut keys: Vec<_> =
            self.control.writes().into_iter().map(|write| (write.record, write.property)).collect();
        let n_writes = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), n_writes, "something was written twice");
    }

    /// How many records were written.
    fn n_written(&self) -> usize {
        let mut records: Vec<_> = self.control.writes().into_iter().map(|write| write.record).collect();
        records.sort_unstable();
        records.dedup();
        records.len()
    }

    /// Waits until some of these records have been written.
    async fn until_written(&self, places: std::ops::Range<usize>) {
        let records = &self.control.records()[places];
        self.wait_for("records are written", async || {
            self.control.writes().iter().any(|write| records.contains(&write.record)).then_some(())
        })
        .await;
    }

    /// The command refuses a plan: every part is said, no run recorded, nothing written.
    async fn check_not_begun(&self, plan: &str, said: &[&str]) {
        let path = self.plan(plan);
        let printed = self.infill(&["run", path.to_str().expect("a path in UTF-8"), "--all"]).await;
        assert_eq!(printed.code, 2, "{plan}\n{}", printed.err);
        for part in said {
            assert!(printed.err.contains(part), "\"{part}\" in {}", printed.err);
        }
        let runs = self.store.runs(&RunFilter::default()).await.expect("the store answers");
        assert!(runs.is_empty(), "a run was recorded of\n{plan}");
        assert!(self.control.writes().is_empty(), "something was written by\n{plan}");
    }
}

/// Kills whoever works on the plan of most cases, with this said of which records it takes, while this call is not answered; somebody else goes on.
async fn killed_while<T: Tenant>(pair: Pair, only: &str, call: Call, state: RunState) -> World<T> {
    let mut world = Setting { workers: 0, ..with_records::<T>(pair, N_ROWS) }.start().await;
    let run = world.record(&world.greeting_taking(only), &["--all"]).await;
    world.meet(&[Trouble::Unanswered(call)]);
    let killed = world.take_up();
    world.until_struck("the call is not answered").await;
    assert_eq!(world.find(run).await.state, state, "{call:?}");
    world.kill(killed).await;
    world.set_faults("");
    world.take_up();
    world.until_whole(run, N_ROWS as u64).await;
    world
}

/// One row ended so, the others of the usual ones are verified, and the command's exit code says that not all went well.
#[track_caller]
fn check_all_but(ended: &Ended, outcome: Outcome, record: &str) {
    assert_eq!(ended.run.state, RunState::Completed, "{:?}\n{}", ended.run.cause, ended.printed.err);
    assert_eq!(ended.ids(outcome), [record]);
    assert_eq!((ended.count(Outcome::Verified), ended.printed.code), (N_ROWS as u64 - 1, 1));
}
