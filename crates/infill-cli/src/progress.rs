//! Following a run from the outside: a bar per stage on a terminal, a line per change elsewhere. Progress goes to stderr.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use infill_model::{Clock, RunId, RunState};
use infill_rules::quota::{Limits, State};
use infill_store::Store;
use infill_store::store::Run;
use infill_telemetry::chain;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::command::pause::told as told_pause;
use crate::exit::Exit;

/// Between two looks at the store.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// How following a run ended.
#[derive(Debug)]
pub(crate) enum Followed {
    /// The run reached a final state.
    Ended(Box<Run>),
    /// The run waits for a person to approve it.
    Waits(Box<Run>),
    /// The run waits for a person: its connection is paused.
    Paused(Box<Run>, String),
    /// The person interrupted.
    Interrupted,
}

/// What a connection may spend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// Its limits.
    pub(crate) limits: Limits,
    /// What its day is counted in.
    pub(crate) unit: &'static str,
}

/// Follows a run until it ends, waits for a person, or `stop` is cancelled.
pub(crate) async fn follow(
    store: &dyn Store,
    clock: &dyn Clock,
    allowance: &Allowance,
    run: RunId,
    stop: &CancellationToken,
) -> anyhow::Result<Followed> {
    let mut view = View::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => { view.finish(); return Ok(Followed::Interrupted) }
            _ = looks.tick() => {}
        }
        let (now, quota) = match look(store, run).await {
            Ok(Some(found)) => found,
            Ok(None) => anyhow::bail!("run {run} is no longer in the store"),
            Err(error) if error.is_final() => return Err(error.into()),
            Err(error) => {
                view.lose(&error);
                continue;
            }
        };
        view.show(&now, &quota, allowance, clock);
        if now.state.is_final() {
            view.finish();
            return Ok(Followed::Ended(Box::new(now)));
        }
        if now.state == RunState::Waiting {
            view.finish();
            return Ok(Followed::Waits(Box::new(now)));
        }
        if let Some(why) = quota.paused() {
            view.finish();
            return Ok(Followed::Paused(Box::new(now), why.to_owned()));
        }
    }
}

async fn look(store: &dyn Store, run: RunId) -> Result<Option<(Run, State)>, infill_store::Error> {
    let Some(run) = store.run(run).await? else { return Ok(None) };
    let stored = store.quota(&run.plan.connection).await?;
    let quota = stored.and_then(|json| serde_json::from_value(json).ok()).unwrap_or_default();
    Ok(Some((run, quota)))
}

/// What is shown. On a terminal three bars; elsewhere a line when the state, a warning or a wait changes.
struct View {
    bars: Option<Bars>,
    state: Option<RunState>,
    told_warnings: usize,
    told_wait: Option<String>,
    told_pause: Option<String>,
    told_lost: bool,
}

struct Bars {
    all: MultiProgress,
    pull: ProgressBar,
    write: ProgressBar,
    verify: ProgressBar,
}

impl View {
    fn new() -> Self {
        Self {
            bars: std::io::stderr().is_terminal().then(Bars::new),
            state: None,
            told_warnings: 0,
            told_wait: None,
            told_pause: None,
            told_lost: false,
        }
    }

    fn say(&self, line: &str) {
        match &self.bars {
            // A bar that cannot be drawn is no reason to fail a run.
            Some(bars) => bars.all.println(line).unwrap_or_default(),
            None => eprintln!("{line}"),
        }
    }

    /// The store does not answer: whoever works on the run waits for it too.
    fn lose(&mut self, error: &infill_store::Error) {
        if !self.told_lost {
            self.say(&format!("  the store is out of reach ({}); waiting for it", chain(error)));
            self.told_lost = true;
        }
    }

    fn show(&mut self, run: &Run, quota: &State, allowance: &Allowance, clock: &dyn Clock) {
        self.told_lost = false;
        if let Some(bars) = &self.bars {
            bars.show(run, &left(quota, allowance, clock.now().as_millisecond()));
        }
        if self.state != Some(run.state) {
            for line in told(self.state, run) {
                self.say(&line);
            }
            self.state = Some(run.state);
        }
        for warning in run.warnings.iter().skip(self.told_warnings) {
            self.say(&format!("  warning: {warning}"));
        }
        self.told_warnings = run.warnings.len();
        let pause = told_pause(run);
        if pause != self.told_pause {
            match &pause {
                Some(why) => self.say(&format!("  {why}")),
                // The new state has been told.
                None if run.state.is_final() || run.state == RunState::Cancelling => {}
                None => self.say("  no longer paused"),
            }
            self.told_pause = pause;
        }
        let wait =
            run.parked.as_ref().map(|parked| format!("  waiting until {}: {}", parked.until, parked.why));
        if wait != self.told_wait {
            if let Some(wait) = &wait {
                self.say(wait);
            }
            self.told_wait = wait;
        }
    }

    fn finish(&self) {
        if let Some(bars) = &self.bars {
            // They stay on the screen as they stand: rows and rows/s are part of the result.
            bars.pull.abandon();
            bars.write.abandon();
            bars.verify.abandon();
        }
    }
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(
            "  {prefix:<7} {bar:32.cyan/blue} {pos:>7}/{len:<7} {rate:<13} {wide_msg}",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            // A rate that cannot be printed is no reason to fail a run.
            write!(out, "{:.0} rows/s", state.per_sec()).unwrap_or_default();
        });
        let bar =
            |name: &'static str| all.add(ProgressBar::new(0).with_style(style.clone()).with_prefix(name));
        Self { pull: bar("pull"), write: bar("write"), verify: bar("verify"), all }
    }

    fn show(&self, run: &Run, left: &str) {
        let progress = &run.progress;
        let settled = progress.counts.total();
        let ran = rows_ran(run).max(settled);
        for (bar, position) in [(&self.pull, progress.rows), (&self.write, ran), (&self.verify, settled)] {
            bar.set_length(progress.ids.max(1));
            bar.set_position(position);
        }
        self.pull.set_message(left.to_owned());
    }
}

/// Rows that passed the run stage, as near as batch counts tell.
fn rows_ran(run: &Run) -> u64 {
    let progress = &run.progress;
    if progress.batches == 0 {
        return 0;
    }
    if progress.batches_ran >= progress.batches {
        return progress.rows;
    }
    progress.rows.saturating_mul(progress.batches_ran.into()) / u64::from(progress.batches)
}

/// What is left of the allowance. Where a day is counted in something else than calls, that is what runs out first, and all there is room
/// for.
fn left(quota: &State, allowance: &Allowance, now: i64) -> String {
    let Allowance { limits, unit } = allowance;
    let window = quota.left_in_window(limits, now).map(|left| format!("{left} calls left in the window"));
    let day = quota.left_today(limits, now);
    let parts = match day {
        Some(left) if *unit != "calls" => [Some(format!("{left} {unit} left today")), None],
        day => [window, day.map(|left| format!("{left} today"))],
    };
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What to tell when a run came from one state to its present one.
fn told(from: Option<RunState>, run: &Run) -> Vec<String> {
    let progress = &run.progress;
    let mut lines = Vec::new();
    let left_canary =
        from == Some(RunState::Canary) && matches!(run.state, RunState::Running | RunState::Completed);
    let skipped_canary = !matches!(from, Some(RunState::Canary | RunState::Running)) && run.plan.canary > 0;
    if left_canary || (skipped_canary && matches!(run.state, RunState::Running | RunState::Completed)) {
        let canary = u64::from(run.plan.canary).min(progress.rows);
        lines.push(format!("  canary: the first {canary} rows held; the rest follows"));
    }
    lines.push(match run.state {
        RunState::SourceSync => "  source-sync: listing and freezing ids, reading values".into(),
        RunState::AwaitRows => format!("  await-rows: {} rows arrived", progress.rows),
        RunState::ConfigureChain => "  configure-chain: checking the plan against the live catalog".into(),
        RunState::Previewing => {
            format!("  previewing: {} rows are evaluated, nothing is written", progress.rows)
        }
        RunState::Waiting => "  waiting for somebody to approve it".into(),
        RunState::Canary => {
            format!("  canary: {} rows go first, alone", u64::from(run.plan.canary).min(progress.rows))
        }
        RunState::Running => format!("  run and verify: {} rows", progress.rows),
        RunState::Cancelling => "  cancelling: batches in flight are finishing".into(),
        RunState::Completed
        | RunState::Previewed
        | RunState::Empty
        | RunState::Stopped
        | RunState::Cancelled => {
            format!("  {}", run.state)
        }
    });
    lines
}

/// How a command ends that ran this: 0 all rows settled well, 1 some did not, 3 it could not go on.
pub(crate) fn exit_of(run: &Run) -> Exit {
    match run.state {
        RunState::Completed if run.progress.counts.all_well() => Exit::Well,
        RunState::Completed => Exit::SomeRowsUnwell,
        RunState::Empty | RunState::Previewed => Exit::Well,
        RunState::Waiting => Exit::Waits,
        RunState::Stopped
        | RunState::Cancelled
        | RunState::SourceSync
        | RunState::AwaitRows
        | RunState::ConfigureChain
        | RunState::Previewing
        | RunState::Canary
        | RunState::Running
        | RunState::Cancelling => Exit::CouldNotGoOn,
    }
}

#[cfg(test)]
mod tests {
    use infill_rules::quota::Rate;

    use super::*;

    #[test]
    fn what_is_left_is_told_in_what_runs_out_first() {
        let general = Some(Rate { calls: 100, per_ms: 2_000 });
        let limits = Limits { general, daily: Some(150_000), ..Limits::default() };
        let told = |unit, limits| left(&State::default(), &Allowance { limits, unit }, 0);
        assert_eq!(told("calls", limits), "100 calls left in the window, 150000 today");
        assert_eq!(told("tokens", limits), "150000 tokens left today");
        assert_eq!(told("tokens", Limits { daily: None, ..limits }), "100 calls left in the window");
        assert_eq!(told("calls", Limits::default()), "");
    }
}
