//! One suite for every engine: what [`Store`] promises, as tests that know only the trait.
//!
//! Each test gets a store of its own: a file in a temporary folder, or a schema in the shared database.

mod audit;
mod batches;
mod connections;
mod counters;
mod effects;
mod letters;
mod opening;
mod pauses;
mod places;
mod previews;
mod purge;
mod runs;
mod schedules;
mod seen;
mod slice;
mod supplied;
mod values;
mod waiting;
mod work;

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::FutureExt;
use infill_model::{Clock, Timestamp};
use infill_testkit::{Schema, services};
use tempfile::TempDir;

use crate::{Error, Postgres, Sqlite, Store};

/// A key for logins.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A store of its own, and what is needed to open it again as another program would.
struct World {
    engine: Engine,
    store: Arc<dyn Store>,
}

enum Engine {
    Sqlite(TempDir),
    Postgres(Schema),
}

impl Engine {
    async fn open(&self, key: Option<&str>) -> Result<Arc<dyn Store>, Error> {
        let key = key.map(Into::into);
        match self {
            Self::Sqlite(folder) => {
                let clock = Arc::new(Ticking::default());
                Ok(Arc::new(Sqlite::open(folder.path().join("store/infill.db"), key, clock).await?))
            }
            Self::Postgres(schema) => {
                let name = Some(schema.name().to_owned());
                Ok(Arc::new(Postgres::connect(schema.url().into(), name, key).await?))
            }
        }
    }
}

impl World {
    async fn new(engine: Engine) -> Self {
        let store = engine.open(Some(KEY)).await.unwrap();
        Self { engine, store }
    }

    /// The same store as another program sees it, with this key for logins.
    async fn open(&self, key: Option<&str>) -> Result<Arc<dyn Store>, Error> {
        self.engine.open(key).await
    }

    /// Runs SQL that both engines know, behind the store's back.
    async fn tamper(&self, sql: &str) {
        match &self.engine {
            Engine::Sqlite(folder) => {
                let path = folder.path().join("store/infill.db");
                rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
            }
            Engine::Postgres(schema) => schema.client().await.unwrap().batch_execute(sql).await.unwrap(),
        }
    }

    /// All that is stored of logins, to the byte.
    async fn stored_logins(&self) -> Vec<u8> {
        match &self.engine {
            Engine::Sqlite(folder) => std::fs::read_dir(folder.path().join("store"))
                .unwrap()
                .flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
                .collect(),
            Engine::Postgres(schema) => {
                let client = schema.client().await.unwrap();
                let sql = "SELECT sealed, logins::text FROM logins";
                let rows = client.query(sql, &[]).await.unwrap();
                let bytes = |row: &tokio_postgres::Row| {
                    [row.get::<_, Vec<u8>>(0), row.get::<_, String>(1).into_bytes()].concat()
                };
                rows.iter().flat_map(bytes).collect()
            }
        }
    }
}

/// A clock that moves on by a second each time it is asked.
#[derive(Debug, Default)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        values::at(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

async fn on_sqlite(test: impl AsyncFnOnce(&World)) {
    let world = World::new(Engine::Sqlite(TempDir::new().unwrap())).await;
    test(&world).await;
}

async fn on_postgres(test: impl AsyncFnOnce(&World)) {
    let schema = Schema::create(services::database_url().unwrap_or_else(|e| panic!("{e}"))).await.unwrap();
    let world = World::new(Engine::Postgres(schema)).await;
    let outcome = AssertUnwindSafe(test(&world)).catch_unwind().await;
    if let Engine::Postgres(schema) = &world.engine {
        schema.remove().await.unwrap();
    }
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// Makes a test of each function for each engine.
macro_rules! on_both_engines {
    ($($module:ident: $($test:ident),+;)+) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::on_sqlite(super::$module::$test).await;
                }
            )+)+
        }

        mod postgres {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::on_postgres(super::$module::$test).await;
                }
            )+)+
        }
    };
}

on_both_engines! {
    runs:
        a_run_is_read_back_as_recorded,
        recording_a_run_again_changes_nothing,
        runs_are_listed_newest_first,
        a_run_moves_only_from_the_states_named,
        of_many_movers_one_moves_the_run,
        a_park_is_kept_until_it_is_ended,
        a_warning_is_added_once,
        the_first_compiled_run_stays,
        what_a_plan_verified_is_known_per_connection,
        a_run_that_is_not_there_is_named;
    slice:
        the_listing_moves_on_only_from_where_it_stands,
        a_late_step_does_not_reopen_a_finished_listing,
        a_chunk_is_stored_once,
        of_many_readers_of_a_chunk_one_stores_it,
        any_text_survives_in_a_page;
    supplied:
        lines_are_listed_in_their_order_the_faulty_last,
        a_record_named_twice_is_kept_once_and_told,
        what_no_run_came_for_is_forgotten_and_nothing_else;
    seen:
        what_went_well_is_remembered_and_what_did_not_is_forgotten,
        a_lost_lease_teaches_nothing,
        memories_are_apart_and_forgotten_bit_by_bit,
        runs_at_once_may_learn_of_the_same_records,
        rows_left_as_they_are_are_counted_once;
    work:
        a_claim_fills_the_window_lowest_first,
        a_claimant_is_told_again_what_it_has_not_touched,
        many_claimers_share_nothing_and_stay_within_the_window,
        a_run_never_published_is_found_again,
        each_lost_stage_is_found_again,
        a_parked_run_is_left_alone_until_its_moment,
        a_run_left_between_two_steps_is_found_again,
        batches_are_claimed_while_a_run_writes_and_at_no_other_time,
        new_runs_are_those_never_published,
        a_run_with_pending_batches_and_room_is_starved;
    batches:
        a_lease_keeps_others_out_until_it_lapses,
        of_many_handlers_one_gets_the_lease,
        a_broken_lease_cannot_save,
        a_save_repeated_counts_once,
        a_save_moves_the_counts_by_the_difference,
        what_was_produced_stays_when_only_states_are_saved,
        who_knows_a_batch_is_spared_its_pages_until_it_changes,
        a_job_is_kept_with_its_batch_by_the_holder_alone,
        broken_leases_are_free_at_once,
        batches_are_listed_in_order;
    effects:
        an_effect_is_known_from_its_beginning,
        of_many_who_begin_an_effect_one_is_the_first;
    pauses:
        a_pause_is_shown_with_who_and_when_and_is_made_once,
        a_paused_run_gives_nothing_to_claim,
        of_a_paused_run_only_batches_in_flight_are_found,
        a_paused_connection_pauses_every_run_on_it,
        a_run_goes_on_when_both_pauses_have_ended,
        what_is_being_cancelled_or_has_ended_is_not_paused,
        a_pause_and_its_end_clear_the_park;
    previews:
        a_released_run_writes_what_it_previewed,
        of_many_who_release_a_run_one_is_heard,
        previewed_batches_are_neither_claimed_nor_starved;
    schedules:
        a_schedule_is_read_back_as_saved,
        a_start_records_its_run_and_what_it_tells,
        of_many_planners_one_starts_the_run,
        nothing_starts_beside_a_run_of_the_plan,
        only_what_may_be_due_is_listed_to_planners,
        a_paused_schedule_starts_nothing_until_it_is_resumed,
        a_removed_schedule_leaves_its_runs;
    letters:
        a_letter_comes_with_the_save_that_failed_the_row,
        reopened_rows_are_pending_and_the_run_goes_on,
        a_row_that_fails_again_adds_an_attempt_to_its_letter,
        rows_reopened_with_values_are_as_good_as_evaluated,
        a_letter_whose_row_fails_in_another_run_keeps_its_history,
        letters_are_grouped_by_their_causes,
        a_run_stopped_by_its_canary_goes_back_to_it,
        letters_of_a_cancelled_run_stay_closed,
        letters_are_filtered_counted_and_discarded;
    audit:
        entries_are_read_back_newest_first,
        entries_are_filtered_and_paged,
        a_start_is_recorded_with_its_run_and_once,
        an_undo_is_recorded_with_both_runs,
        a_move_is_recorded_if_the_run_moved;
    connections:
        quotas_are_decided_one_after_the_other,
        a_decision_to_leave_a_quota_leaves_it,
        a_panic_in_a_decision_blocks_nobody,
        a_login_is_replaced_only_by_its_next_version,
        one_program_at_a_time_refreshes_a_login,
        a_login_needs_the_key_it_was_sealed_with;
    opening:
        programs_that_start_at_once_share_the_store,
        a_store_of_a_newer_program_is_refused;
    places:
        a_record_is_found_in_the_batches_that_hold_it_newest_run_first,
        rows_in_any_order_are_found_all_the_same,
        a_batch_tells_when_its_results_were_saved;
    purge:
        a_purged_run_keeps_its_counts_and_nothing_else,
        a_run_that_has_not_ended_is_not_purged,
        rows_of_a_purged_run_are_not_opened_again,
        only_ended_runs_without_open_letters_are_outdated_oldest_first;
    counters:
        counts_equal_a_recount_after_anything;
}
