//! `infill pause` and `infill resume`: a run, or a connection with every run on it, begins nothing new for a while.

use anyhow::Context;
use infill_model::{Actor, ConnectionName, RunState, Timestamp};
use infill_planner::pause;
use infill_rules::quota;
use infill_store::Store;
use infill_store::pause::Paused;
use infill_store::store::{Run, RunFilter};

use crate::args::pause::Pausable;
use crate::compose::Parts;
use crate::exit::Exit;
use crate::render::{self, say};

/// Pauses.
pub(crate) async fn pause(parts: &Parts, args: &Pausable) -> anyhow::Result<Exit> {
    let (store, by, now) = (parts.store.as_ref(), &parts.actor, parts.clock.now());
    let said = match (&args.run, &args.connection) {
        (Some(run), _) => pause_run(store, &parts.find_run(run).await?, by, now).await?,
        (None, Some(connection)) => {
            parts.config.connection(connection)?;
            pause_connection(store, connection, by, now).await?
        }
        // The arguments ask for one of the two.
        (None, None) => return Ok(Exit::Well),
    };
    say!("{said}");
    Ok(Exit::Well)
}

/// Ends a pause.
pub(crate) async fn resume(parts: &Parts, args: &Pausable) -> anyhow::Result<Exit> {
    let (store, by, now) = (parts.store.as_ref(), &parts.actor, parts.clock.now());
    let said = match (&args.run, &args.connection) {
        (Some(run), _) => {
            resume_run(store, &parts.find_run(run).await?, by, now, parts.is_embedded()).await?
        }
        (None, Some(connection)) => resume_connection(parts, connection).await?,
        (None, None) => return Ok(Exit::Well),
    };
    say!("{said}");
    Ok(Exit::Well)
}

/// Why nothing of a run is begun, and the way out, for a person; `None` when it is not paused.
pub(crate) fn told(run: &Run) -> Option<String> {
    if !run.is_paused() {
        return None;
    }
    let own = run
        .paused
        .as_ref()
        .map(|paused| format!("paused {}; `infill resume {}` goes on", since(paused), run.id));
    let name = &run.plan.connection;
    let connection = run.connection_paused.as_ref().map(|paused| {
        format!("connection {name} is paused {}; `infill resume --connection {name}` goes on", since(paused))
    });
    Some([own, connection].into_iter().flatten().collect::<Vec<_>>().join(", and "))
}

/// Since when, and by whom.
pub(crate) fn since(paused: &Paused) -> String {
    format!("since {} by {}", render::moment(paused.at), paused.by)
}

async fn pause_run(store: &dyn Store, run: &Run, by: &Actor, now: Timestamp) -> anyhow::Result<String> {
    let id = run.id;
    let is_new = pause::pause_run(store, run, by, now).await?;
    let run = store.run(id).await?.with_context(|| format!("run {id} is no longer in the store"))?;
    Ok(match &run.paused {
        Some(_) if is_new => format!(
            "run {id} is paused: batches in flight are finished or set aside, nothing else is begun; `infill resume {id}` goes on"
        ),
        _ if run.state.is_final() => format!("run {id} has ended already ({}); nothing to pause", run.state),
        _ if run.state == RunState::Cancelling => format!("run {id} is being cancelled; nothing to pause"),
        Some(paused) => {
            format!("run {id} is paused already, {}; `infill resume {id}` goes on", since(paused))
        }
        None => format!("run {id} was resumed at this moment, and goes on"),
    })
}

async fn resume_run(
    store: &dyn Store,
    run: &Run,
    by: &Actor,
    now: Timestamp,
    is_embedded: bool,
) -> anyhow::Result<String> {
    let id = run.id;
    let has_ended = pause::resume_run(store, run, by, now).await?;
    let run = store.run(id).await?.with_context(|| format!("run {id} is no longer in the store"))?;
    let what = if has_ended { "is no longer paused" } else { "is not paused" };
    Ok(match told(&run) {
        Some(still) => format!("run {id} {what} by itself, but {still}"),
        None if !has_ended => format!("run {id} {what}"),
        None if run.state.is_final() => format!("run {id} {what}; it has ended ({})", run.state),
        None if is_embedded => {
            format!(
                "run {id} goes on with the process that works on it, or by `infill run --resume {id}` if there is none"
            )
        }
        None => format!("run {id} goes on"),
    })
}

async fn pause_connection(
    store: &dyn Store,
    name: &ConnectionName,
    by: &Actor,
    now: Timestamp,
) -> anyhow::Result<String> {
    let way_out = format!("`infill resume --connection {name}` goes on");
    if pause::pause_connection(store, name, by, now).await? {
        let n_runs = unfinished(store, name).await?.len();
        return Ok(format!(
            "connection {name} is paused with {}: batches in flight are finished or set aside, nothing else is begun; {way_out}",
            runs(n_runs)
        ));
    }
    let all = store.paused_connections().await?;
    let paused = all.into_iter().find(|(paused, _)| paused == name);
    let since = paused.map(|(_, paused)| format!(", {}", since(&paused))).unwrap_or_default();
    Ok(format!("connection {name} is paused already{since}; {way_out}"))
}

/// Ends a pause by hand, and one that a refused login has made.
async fn resume_connection(parts: &Parts, name: &ConnectionName) -> anyhow::Result<String> {
    let store = parts.store.as_ref();
    let is_ended = pause::resume_connection(store, name, &parts.actor, parts.clock.now()).await?;
    let quota = store.quota(name).await?.and_then(|json| serde_json::from_value(json).ok());
    let is_login_refused = quota.is_some_and(|quota: quota::State| quota.paused().is_some());
    if is_login_refused {
        parts.connections.resume(name).await?;
    }
    if !is_ended && !is_login_refused {
        parts.config.connection(name)?;
        return Ok(format!("connection {name} is not paused"));
    }
    let open = unfinished(store, name).await?;
    let n_still = open.iter().filter(|run| run.is_paused()).count();
    let still = match n_still {
        0 => String::new(),
        1 => "; 1 run stays paused by itself, `infill runs --unfinished` lists it".to_owned(),
        n => format!("; {n} runs stay paused by themselves, `infill runs --unfinished` lists them"),
    };
    let login = if is_login_refused { "; its login is tried again" } else { "" };
    Ok(format!("connection {name} goes on with {}{login}{still}", runs(open.len() - n_still)))
}

async fn unfinished(store: &dyn Store, connection: &ConnectionName) -> anyhow::Result<Vec<Run>> {
    let open = store.runs(&RunFilter { unfinished: true, ..RunFilter::default() }).await?;
    Ok(open.into_iter().filter(|run| run.plan.connection == *connection).collect())
}

fn runs(n: usize) -> String {
    if n == 1 { "1 run".to_owned() } else { format!("{n} runs") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[tokio::test]
    async fn pausing_twice_says_so_and_changes_nothing() {
        let (store, run) = sample::store_with_rows().await;
        let ann: Actor = "ann@desk".into();
        let pause = async |by: &Actor| pause_run(&*store, &run, by, sample::now()).await.unwrap();
        let resume = async || resume_run(&*store, &run, &ann, sample::now(), false).await.unwrap();
        assert!(pause(&ann).await.contains("is paused: batches in flight"));
        let again = pause(&"ben@desk".into()).await;
        assert!(again.contains("is paused already, since ") && again.contains("by ann@desk"), "{again}");
        assert_eq!(resume().await, format!("run {} goes on", run.id));
        assert_eq!(resume().await, format!("run {} is not paused", run.id));
    }

    #[tokio::test]
    async fn a_run_on_a_paused_connection_names_what_keeps_it() {
        let (store, run) = sample::store_with_rows().await;
        let (name, ann): (ConnectionName, Actor) = ("main".into(), "ann@desk".into());
        let said = pause_connection(&*store, &name, &ann, sample::now()).await.unwrap();
        assert!(said.contains("connection main is paused with 1 run:"), "{said}");
        let said = pause_connection(&*store, &name, &ann, sample::now()).await.unwrap();
        assert!(said.contains("is paused already, since "), "{said}");
        pause_run(&*store, &run, &ann, sample::now()).await.unwrap();
        let said = resume_run(&*store, &run, &ann, sample::now(), true).await.unwrap();
        assert!(said.contains("by itself, but connection main is paused"), "{said}");
        assert!(said.contains("`infill resume --connection main`"), "{said}");
    }

    #[tokio::test]
    async fn what_has_ended_is_not_paused() {
        let (store, run) = sample::store_with_rows().await;
        store.move_run(run.id, &[run.state], RunState::Completed, None, sample::now()).await.unwrap();
        let said = pause_run(&*store, &run, &"ann@desk".into(), sample::now()).await.unwrap();
        assert!(said.contains("has ended already (completed)"), "{said}");
    }
}
