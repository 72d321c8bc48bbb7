//! `infill cancel`: asks a run to stop. Asking again changes nothing.

use std::io::{self, Write};

use anyhow::Context;
use infill_model::{Actor, RunState, Timestamp};
use infill_store::Store;
use infill_store::store::Run;

use crate::args;
use crate::compose::Parts;
use crate::exit::Exit;

/// Cancels a run.
pub(crate) async fn cancel(parts: &Parts, args: &args::Cancel) -> anyhow::Result<Exit> {
    let run = parts.find_run(&args.run).await?;
    let said = ask(parts.store.as_ref(), &run, &parts.actor, parts.clock.now(), parts.is_embedded()).await?;
    writeln!(io::stdout().lock(), "{said}").context("print what happens")?;
    Ok(Exit::Well)
}

async fn ask(
    store: &dyn Store,
    run: &Run,
    by: &Actor,
    now: Timestamp,
    is_embedded: bool,
) -> anyhow::Result<String> {
    let id = run.id;
    let who = if is_embedded {
        format!("the process that works on it ends it, or `infill run --resume {id}` if there is none")
    } else {
        "the workers end it".to_owned()
    };
    let is_asked = infill_planner::cancel::cancel(store, run, by, now).await?;
    let state = store.run(id).await?.map_or(run.state, |run| run.state);
    Ok(if is_asked && state.is_final() {
        format!("run {id} is cancelled; nothing was sent yet")
    } else if is_asked {
        format!(
            "run {id} is being cancelled: batches in flight finish and keep their outcomes, nothing else is \
             sent; {who}"
        )
    } else if state == RunState::Cancelling {
        format!("run {id} is being cancelled already; {who}")
    } else {
        format!("run {id} has ended already ({state}); nothing to cancel")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[tokio::test]
    async fn asking_twice_changes_nothing_the_second_time() {
        let (store, run) = sample::store_with_rows().await;
        store.move_run(run.id, &[run.state], RunState::Running, None, sample::now()).await.unwrap();
        let asked = async || ask(&*store, &run, &"ann".into(), sample::now(), true).await.unwrap();
        assert!(asked().await.contains("is being cancelled: batches in flight finish"));
        assert!(asked().await.contains("is being cancelled already"));
        assert_eq!(store.run(run.id).await.unwrap().unwrap().state, RunState::Cancelling);
    }

    #[tokio::test]
    async fn a_run_that_has_not_written_yet_is_cancelled_at_once() {
        let (store, run) = sample::store_with_rows().await;
        let said = ask(&*store, &run, &"ann".into(), sample::now(), true).await.unwrap();
        assert!(said.contains("is cancelled; nothing was sent yet"), "{said}");
        assert_eq!(store.run(run.id).await.unwrap().unwrap().state, RunState::Cancelled);
    }

    #[tokio::test]
    async fn a_run_that_ended_is_left_alone() {
        let (store, run) = sample::store_with_rows().await;
        store.move_run(run.id, &[run.state], RunState::Completed, None, sample::now()).await.unwrap();
        let said = ask(&*store, &run, &"ann".into(), sample::now(), false).await.unwrap();
        assert!(said.contains("has ended already (completed)"), "{said}");
        assert_eq!(store.run(run.id).await.unwrap().unwrap().state, RunState::Completed);
    }
}
