//! What a statement on PostgreSQL sees that had to wait for another program: the world after the wait, although its
//! snapshot is from before.

use std::sync::{Arc, Mutex};

use infill_model::row::RowState;
use infill_model::{BatchNo, Outcome, Timestamp};
use serde_json::json;
use tokio_postgres::Client;

use super::values::{at, lease, result};
use super::{Engine, World, on_postgres};
use crate::page::{write_produced, write_states};
use crate::store::{BatchState, Leased, UnitKind};

/// Does `work`, which must run into what `holder` has changed; lets it go on once it waits. Gives a moment when it
/// still waited, by the server's clock, and what came of it.
async fn let_wait<T: Send + 'static>(
    holder: &Client,
    work: impl Future<Output = T> + Send + 'static,
) -> (Timestamp, T) {
    let pid: i32 = holder.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let work = tokio::spawn(work);
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))";
    while holder.query_one(waiting, &[&pid]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(!work.is_finished(), "it did not wait");
        tokio::task::yield_now().await;
    }
    let waited_at = holder.query_one("SELECT clock_timestamp()", &[]).await.unwrap().get(0);
    holder.batch_execute("COMMIT").await.unwrap();
    (waited_at, work.await.unwrap())
}

/// A transaction of another program that has done this much.
async fn holder(world: &World, sql: &str) -> Client {
    let Engine::Postgres(schema) = &world.engine else { panic!("not on PostgreSQL") };
    let client = schema.client().await.unwrap();
    client.batch_execute(&format!("BEGIN; {sql}")).await.unwrap();
    client
}

#[tokio::test]
async fn a_lease_gets_the_pages_saved_while_it_waited() {
    on_postgres(async |world: &World| {
        let run = world.running(1, 1).await;
        let results = [result(RowState::Intended), result(RowState::Settled(Outcome::Skipped))];
        let (page, states) = (write_produced(&results).unwrap(), write_states(&results).unwrap());
        let holder = holder(
            world,
            &format!(
                "UPDATE batches SET state = 'ran', results = '{page}', states = '{states}' WHERE no = 0"
            ),
        )
        .await;
        let store = Arc::clone(&world.store);
        let leased = let_wait(&holder, async move {
            store.lease_batch(run, BatchNo(0), &lease(1), false, None, at(100)).await.unwrap()
        });
        let (_, Leased::Yours(batch)) = leased.await else { panic!("nobody has leased it") };
        assert_eq!((batch.state, batch.results), (BatchState::Ran, results.to_vec()));
    })
    .await;
}

#[tokio::test]
async fn a_claim_counts_what_was_claimed_while_it_waited() {
    on_postgres(async |world: &World| {
        let run = world.starved(1, 5).await;
        let sql = "UPDATE run_progress SET batches_queued = 2; \
                   UPDATE batches SET state = 'queued', claimed_by = 'another' WHERE no < 2";
        let holder = holder(world, sql).await;
        let store = Arc::clone(&world.store);
        let claimed = let_wait(&holder, async move {
            store.claim(run, UnitKind::Batch, "this one", 3, at(60)).await.unwrap()
        });
        assert_eq!(claimed.await.1, [2]);
        assert_eq!(world.store.progress(run).await.unwrap().batches_in_flight, 3);
    })
    .await;
}

#[tokio::test]
async fn a_quota_is_decided_at_a_moment_after_the_wait() {
    on_postgres(async |world: &World| {
        let main = "main".into();
        world.store.update_quota(&main, Box::new(|_, _| Some(json!(1)))).await.unwrap();
        let holder = holder(world, "UPDATE quotas SET state = '2'").await;
        let decided_at: Arc<Mutex<Option<Timestamp>>> = Arc::default();
        let (store, noted) = (Arc::clone(&world.store), Arc::clone(&decided_at));
        let update = async move {
            let decide = move |state, now| {
                assert_eq!(state, Some(json!(2)));
                *noted.lock().unwrap() = Some(now);
                None
            };
            store.update_quota(&main, Box::new(decide)).await.unwrap();
        };
        let (waited_at, ()) = let_wait(&holder, update).await;
        let decided_at = decided_at.lock().unwrap().unwrap();
        assert!(decided_at >= waited_at, "{decided_at} is before {waited_at}");
    })
    .await;
}
