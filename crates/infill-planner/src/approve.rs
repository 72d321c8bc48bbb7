//! A person's say over a run that was previewed or waits: it goes on with what they saw, or ends without it.

use std::time::Duration;

use infill_model::row::Cause;
use infill_model::{Actor, Approval, Class, RunState, Timestamp};
use infill_rules::advance::released_to;
use infill_store::Store;
use infill_store::audit::{Act, NewAuditEntry};
use infill_store::store::Run;

use crate::error::Error;

/// The code of the cause of a run that a person rejected.
pub const REJECTED: &str = "rejected";

/// The states that a person lets a run go on from.
pub const ASKS: [RunState; 2] = [RunState::Previewed, RunState::Waiting];

/// Lets a run go on; says whether it was still to be decided. Of many who say so at once, one is heard.
///
/// # Errors
/// When the store fails.
pub async fn approve(
    store: &dyn Store,
    run: &Run,
    approval: &Approval,
    now: Timestamp,
) -> Result<bool, Error> {
    if !ASKS.contains(&run.state) {
        return Ok(false);
    }
    let to = released_to(run.plan.canary, run.is_previewed());
    let digest = approval.digest.as_ref().map(|digest| format!("digest {digest}")).unwrap_or_default();
    let entry = NewAuditEntry::of_run(now, approval.by.clone(), Act::RunApproved, run).with(digest);
    Ok(store.release_run(run.id, run.state, to, Some((approval, &entry)), now).await?)
}

/// Ends a run that nobody has let go on; says whether it was still to be decided.
///
/// # Errors
/// When the store fails.
pub async fn reject(
    store: &dyn Store,
    run: &Run,
    by: &Actor,
    why: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    let rest =
        if run.is_previewed() { "nothing was written" } else { "the rows after the canary were not touched" };
    let cause = Cause {
        class: Class::Configuration,
        code: REJECTED.into(),
        message: format!("rejected by {by}: {why}; {rest}"),
        property: None,
        correlation_id: None,
        at: Some(now),
    };
    let entry = NewAuditEntry::of_run(now, by.clone(), Act::RunRejected, run).with(why);
    Ok(store.move_run_by(&entry, run.id, &ASKS, RunState::Cancelled, Some(&cause)).await?)
}

/// Whether what a person is asked about is too old to be approved: what they saw may no longer be so.
#[must_use]
pub fn is_too_old(run: &Run, valid_for: Duration, now: Timestamp) -> bool {
    let since = run.ended_at.or(run.touched_at).unwrap_or(run.created_at);
    Duration::try_from(now.duration_since(since)).is_ok_and(|age| age > valid_for)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use infill_model::{Clock, Plan, RunId};
    use infill_store::Sqlite;
    use infill_store::store::NewRun;
    use serde_json::json;

    use super::*;

    #[derive(Debug)]
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            at(0)
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A run that has waited for an approval since second 100.
    async fn waiting(folder: &std::path::Path) -> (Sqlite, Run) {
        let store = Sqlite::open(folder.join("infill.db"), None, Arc::new(Still)).await.unwrap();
        let plan: Plan = serde_json::from_value(json!({
            "name": "Notes", "connection": "main", "source": { "object": "contacts", "list": "42" },
            "writeback": { "properties": [{ "name": "note", "value": "x" }] }, "approve": "manual",
        }))
        .unwrap();
        let id = RunId::new(at(1), [1; 10]);
        let run = NewRun {
            id,
            plan,
            cap: None,
            in_flight: 1,
            slice: None,
            is_dry: false,
            created_at: at(1),
            by: "ann".into(),
        };
        store.create_run(&run).await.unwrap();
        store.move_run(id, &[RunState::SourceSync], RunState::Waiting, None, at(100)).await.unwrap();
        let run = store.run(id).await.unwrap().unwrap();
        (store, run)
    }

    #[tokio::test]
    async fn what_waits_grows_too_old_from_when_it_began_to_wait() {
        let folder = tempfile::tempdir().unwrap();
        let (_, run) = waiting(folder.path()).await;
        let hour = Duration::from_hours(1);
        assert!(!is_too_old(&run, hour, at(3_700)) && is_too_old(&run, hour, at(3_701)));
    }

    #[tokio::test]
    async fn what_was_decided_is_not_decided_again() {
        let folder = tempfile::tempdir().unwrap();
        let (store, run) = waiting(folder.path()).await;
        assert!(reject(&store, &run, &"ben".into(), "not now", at(101)).await.unwrap());
        let approval = Approval { by: "ann".into(), digest: None };
        assert!(!approve(&store, &run, &approval, at(102)).await.unwrap());
        assert!(!reject(&store, &run, &"ann".into(), "again", at(103)).await.unwrap());
        let cause = store.run(run.id).await.unwrap().unwrap().cause.unwrap();
        assert!(cause.message.contains("rejected by ben: not now"), "{}", cause.message);
    }
}
