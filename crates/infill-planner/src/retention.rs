//! Retention: the values of runs that ended long ago are purged, a few at a time.

use infill_model::{Actor, RunId, Timestamp};
use infill_store::Store;
use infill_store::audit::{Act, NewAuditEntry};

use crate::error::Error;
use crate::reconcile::Planner;

/// Pieces of each kind taken away in one round: a pause of milliseconds for whoever else writes to the store.
const PIECES_PER_ROUND: u32 = 100;

impl Planner {
    /// Goes on with the oldest run that is outdated, where a retention is set.
    ///
    /// # Errors
    /// When the store fails; the next round goes on.
    pub(crate) async fn keep_retention(&self, now: Timestamp) -> Result<(), Error> {
        let Some(retention) = self.settings.retention else { return Ok(()) };
        let before = now.saturating_sub(retention).unwrap_or(Timestamp::MIN);
        for run in self.store.outdated(before, 1).await? {
            let n_taken =
                purge(self.store.as_ref(), run, Actor::program(), "retention", PIECES_PER_ROUND, now).await?;
            tracing::info!(run.id = %run, pieces = n_taken, "values of an outdated run purged");
        }
        Ok(())
    }
}

/// One step of taking the values of an ended run away, which joins the audit with `why` the first time. Says how many pieces; 0 when
/// there are none left.
///
/// # Errors
/// When the store fails; doing it again goes on.
pub async fn purge(
    store: &dyn Store,
    run: RunId,
    by: Actor,
    why: &str,
    limit: u32,
    now: Timestamp,
) -> Result<u64, Error> {
    let Some(stored) = store.run(run).await? else { return Ok(0) };
    let entry = NewAuditEntry::of_run(now, by, Act::RunPurged, &stored).with(why.to_owned());
    Ok(store.purge(&entry, run, limit).await?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use infill_broker::embedded::Embedded;
    use infill_model::{Clock, RunState};
    use infill_store::Sqlite;
    use infill_store::audit::AuditFilter;
    use infill_store::store::NewRun;
    use infill_telemetry::{Heartbeat, Metrics};
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;
    use crate::Settings;

    #[derive(Debug)]
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            day(100)
        }
    }

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap()
    }

    #[tokio::test]
    async fn runs_are_purged_by_age_only_where_a_retention_is_set() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("infill.db");
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(path, None, Arc::new(Still)).await.unwrap());
        let plan = json!({
            "name": "Notes", "connection": "main", "source": { "object": "contacts", "list": "42" },
            "writeback": { "properties": [{ "name": "note", "value": "Hi" }] },
        });
        for (number, ended) in [(1, Some(5)), (2, Some(60)), (3, None)] {
            let id = RunId::new(day(1), [number; 10]);
            let plan = serde_json::from_value(plan.clone()).unwrap();
            let (by, created_at) = ("ann@desk".into(), day(1));
            let run =
                NewRun { id, plan, cap: None, in_flight: 1, slice: None, is_dry: false, created_at, by };
            store.create_run(&run).await.unwrap();
            if let Some(ended) = ended {
                let from = [RunState::SourceSync];
                assert!(store.move_run(id, &from, RunState::Empty, None, day(ended)).await.unwrap());
            }
        }
        let purged = async |retention| {
            let settings = Settings { retention, ..Settings::default() };
            let (clock, broker) = (Arc::new(Still), Arc::new(Embedded::new()));
            let (metrics, heartbeat) = (Metrics::new(), Heartbeat::new());
            let planner = Planner::new(Arc::clone(&store), broker, clock, metrics, heartbeat, settings);
            planner.keep_retention(day(100)).await.unwrap();
            let purges = store.audited(&AuditFilter::default(), None, 99).await.unwrap();
            purges.iter().filter(|entry| entry.entry.act == Act::RunPurged).count()
        };
        assert_eq!(purged(None).await, 0);
        let ninety = Some(Duration::from_secs(90 * 86_400));
        assert_eq!(purged(ninety).await, 1);
        assert_eq!(purged(ninety).await, 1, "the others are younger, or go on");
        let old = store.run(RunId::new(day(1), [1; 10])).await.unwrap().unwrap();
        assert_eq!(old.purged_at, Some(day(100)));
    }
}
