//! Which work of an unfinished run nobody holds any more, as a function of how the run stands.
//!
//! Chunks and batches in flight are found one by one in the store; this page covers what hangs on the run
//! itself: its listing, its single-message stages, and a step that should have followed a settled batch.

use infill_model::message::Work;
use infill_model::{BatchNo, RunId, RunState, Timestamp};

/// How an unfinished run stands.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) run: RunId,
    pub(crate) state: RunState,
    pub(crate) is_paused: bool,
    /// The listing is complete.
    pub(crate) listed: bool,
    /// Chunks claimed and not read.
    pub(crate) chunks_in_flight: u32,
    pub(crate) batches: u32,
    /// Batches claimed and not settled.
    pub(crate) batches_in_flight: u32,
    pub(crate) batches_settled: u32,
    /// When run-level work was last seen alive; `None`: never published.
    pub(crate) touched_at: Option<Timestamp>,
    /// When a batch was last saved.
    pub(crate) saved_at: Option<Timestamp>,
}

/// Work nobody has touched: when it last was, and what it is.
pub(crate) type Found = (Option<Timestamp>, RunId, Work);

impl Standing {
    /// The run-level work to publish again, if nobody has touched it since `before`.
    pub(crate) fn stale_work(&self, before: Timestamp) -> Option<Found> {
        // What was sent is followed to its end; nothing else of a paused run is begun.
        let work = self.work().filter(|work| !self.is_paused || work.batch().is_some())?;
        let alive_at = match work {
            Work::SourceSync { .. } | Work::AwaitRows => self.touched_at,
            // The handler that saved last is the one that goes on; leave it as long as any other.
            Work::ConfigureChain | Work::Run { .. } | Work::Verify { .. } => {
                self.touched_at.max(self.saved_at)
            }
        };
        alive_at.is_none_or(|at| at < before).then_some((alive_at, self.run, work))
    }

    fn work(&self) -> Option<Work> {
        let last_batch = self.batches.checked_sub(1).map(|no| Work::Verify { batch: BatchNo(no) });
        match self.state {
            // With the listing done, chunks in flight carry the run on; with none in flight its own message does.
            RunState::SourceSync => {
                (!self.listed || self.chunks_in_flight == 0).then_some(Work::SourceSync { chunk: None })
            }
            RunState::AwaitRows => Some(Work::AwaitRows),
            RunState::ConfigureChain => Some(Work::ConfigureChain),
            RunState::Previewing | RunState::Canary | RunState::Running | RunState::Cancelling
                if self.batches_in_flight > 0 =>
            {
                None
            }
            // That stage is over and done; its message has the run looked at, and moved on from where it stands.
            RunState::Previewing | RunState::Canary => Some(Work::ConfigureChain),
            // Pending batches of a running run are found by `starved_runs`.
            RunState::Running if self.batches_settled < self.batches => None,
            RunState::Running => last_batch,
            RunState::Cancelling => last_batch.or(Some(Work::SourceSync { chunk: None })),
            RunState::Waiting
            | RunState::Completed
            | RunState::Previewed
            | RunState::Empty
            | RunState::Stopped
            | RunState::Cancelled => None,
        }
    }
}

/// The `limit` that were touched longest ago, those never touched first.
pub(crate) fn oldest(mut found: Vec<Found>, limit: u32) -> Vec<(RunId, Work)> {
    found.sort_by_key(|(alive_at, run, _)| (*alive_at, *run));
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    found.into_iter().take(limit).map(|(_, run, work)| (run, work)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn standing(state: RunState) -> Standing {
        Standing {
            run: RunId::new(at(1), [1; 10]),
            state,
            is_paused: false,
            listed: true,
            chunks_in_flight: 0,
            batches: 4,
            batches_in_flight: 0,
            batches_settled: 0,
            touched_at: Some(at(10)),
            saved_at: None,
        }
    }

    fn work(standing: &Standing) -> Option<Work> {
        standing.stale_work(at(100)).map(|(_, _, work)| work)
    }

    #[test]
    fn a_listing_under_way_is_found_even_while_chunks_are_read() {
        let listing = Standing { listed: false, chunks_in_flight: 3, ..standing(RunState::SourceSync) };
        assert_eq!(work(&listing), Some(Work::SourceSync { chunk: None }));
        assert_eq!(work(&Standing { listed: true, ..listing }), None);
        assert_eq!(work(&standing(RunState::SourceSync)), Some(Work::SourceSync { chunk: None }));
    }

    #[test]
    fn a_run_that_looks_at_its_first_rows_is_moved_on_by_the_stage_before_unless_batches_do() {
        for state in [RunState::Previewing, RunState::Canary] {
            let first = standing(state);
            assert_eq!(work(&first), Some(Work::ConfigureChain));
            assert_eq!(work(&Standing { batches_in_flight: 1, ..first.clone() }), None);
            let settled = Standing { batches_settled: 1, ..first };
            assert_eq!(work(&settled), Some(Work::ConfigureChain));
        }
        assert_eq!(work(&standing(RunState::Waiting)), None, "for a person");
    }

    #[test]
    fn a_run_with_everything_settled_is_finished_by_its_last_batch() {
        let running = standing(RunState::Running);
        assert_eq!(work(&running), None);
        let settled = Standing { batches_settled: 4, ..running };
        assert_eq!(work(&settled), Some(Work::Verify { batch: BatchNo(3) }));
        assert_eq!(work(&Standing { saved_at: Some(at(100)), ..settled }), None);
    }

    #[test]
    fn a_cancelled_run_with_nothing_in_flight_is_finished_too() {
        let cancelling = Standing { batches_settled: 2, ..standing(RunState::Cancelling) };
        assert_eq!(work(&cancelling), Some(Work::Verify { batch: BatchNo(3) }));
        assert_eq!(work(&Standing { batches: 0, ..cancelling }), Some(Work::SourceSync { chunk: None }));
    }

    #[test]
    fn of_a_paused_run_only_what_hangs_on_a_batch_is_found() {
        for state in [RunState::SourceSync, RunState::AwaitRows, RunState::ConfigureChain, RunState::Canary] {
            let run = standing(state);
            assert!(work(&run).is_some(), "{state}");
            assert_eq!(work(&Standing { is_paused: true, ..run }), None, "{state}");
        }
        let settled = Standing { is_paused: true, batches_settled: 4, ..standing(RunState::Running) };
        assert_eq!(work(&settled), Some(Work::Verify { batch: BatchNo(3) }), "nothing is left to begin");
    }

    #[test]
    fn what_was_never_touched_comes_first() {
        let work = Work::AwaitRows;
        let [a, b, c] = [1, 2, 3].map(|byte| RunId::new(at(1), [byte; 10]));
        let found = vec![(Some(at(5)), a, work), (None, b, work), (Some(at(4)), c, work)];
        assert_eq!(oldest(found, 2), [(b, work), (c, work)]);
    }
}
