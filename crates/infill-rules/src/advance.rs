//! What happens next to a run.
//!
//! Law: `advance` looks only at where a run stands, never at what just happened, so it may be asked any number of times, after
//! any crash, by anyone, and the answer leads to the same end.

use infill_model::outcome::Counts;
use infill_model::{RunState, Stage};

use crate::canary;

/// Where a run stands, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub state: RunState,
    /// Every page of the listing is stored.
    pub listed: bool,
    /// Chunks cut.
    pub chunks: u32,
    /// Chunks read.
    pub chunks_read: u32,
    /// Batches stored.
    pub batches: u32,
    /// Batches settled.
    pub batches_settled: u32,
    /// Batches claimed and not settled.
    pub batches_in_flight: u32,
    /// Rows settled, by outcome.
    pub counts: Counts,
    /// So many rows may fail or read back differently; `None` for any number.
    pub most_failed: Option<u64>,
    /// It is being cancelled for a cause that a person must see to, and not because a person asked.
    pub is_stopping: bool,
}

/// Everything that can happen to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Move the run to this state.
    Move(RunState),
    /// Publish the message of a stage that has one message per run.
    Publish(Stage),
    /// Claim chunks up to the window and publish their messages.
    ClaimChunks,
    /// Claim batches up to the window, or only the first one, and publish their messages.
    ClaimBatches {
        /// Only batch 0.
        canary: bool,
    },
    /// The canary did not hold: stop the run.
    StopForCanary,
    /// More rows went wrong than the plan allows: stop the run.
    StopForFailures,
}

impl Standing {
    /// Whether more rows went wrong than the plan allows.
    fn has_failed_too_often(&self) -> bool {
        let n_wrong = self.counts.failed.saturating_add(self.counts.differs);
        self.most_failed.is_some_and(|most| n_wrong > most)
    }
}

/// What happens next. After a [`Effect::Move`] the caller asks again with the new state.
#[must_use]
pub fn advance(standing: &Standing) -> Option<Effect> {
    match standing.state {
        RunState::SourceSync if standing.listed && standing.chunks_read == standing.chunks => {
            Some(Effect::Move(RunState::AwaitRows))
        }
        RunState::SourceSync => (standing.chunks_read < standing.chunks).then_some(Effect::ClaimChunks),
        RunState::AwaitRows => Some(Effect::Publish(Stage::AwaitRows)),
        RunState::ConfigureChain => Some(Effect::Publish(Stage::ConfigureChain)),
        RunState::Canary if standing.batches_settled == 0 => Some(Effect::ClaimBatches { canary: true }),
        RunState::Canary if canary::holds(&standing.counts) => Some(Effect::Move(RunState::Running)),
        RunState::Canary => Some(Effect::StopForCanary),
        RunState::Running if standing.batches_settled >= standing.batches => {
            Some(Effect::Move(RunState::Completed))
        }
        RunState::Running if standing.has_failed_too_often() => Some(Effect::StopForFailures),
        RunState::Running => Some(Effect::ClaimBatches { canary: false }),
        RunState::Cancelling if standing.batches_in_flight > 0 => None,
        RunState::Cancelling if standing.is_stopping => Some(Effect::Move(RunState::Stopped)),
        RunState::Cancelling => Some(Effect::Move(RunState::Cancelled)),
        RunState::Completed | RunState::Empty | RunState::Stopped | RunState::Cancelled => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn standing(state: RunState) -> Standing {
        Standing {
            state,
            listed: true,
            chunks: 2,
            chunks_read: 2,
            batches: 11,
            batches_settled: 0,
            batches_in_flight: 0,
            counts: Counts::default(),
            most_failed: None,
            is_stopping: false,
        }
    }

    #[test]
    fn rows_are_awaited_only_when_every_chunk_is_read() {
        let sync = standing(RunState::SourceSync);
        assert_eq!(advance(&sync), Some(Effect::Move(RunState::AwaitRows)));
        assert_eq!(advance(&Standing { listed: false, ..sync }), None);
        assert_eq!(advance(&Standing { chunks_read: 1, ..sync }), Some(Effect::ClaimChunks));
    }

    #[test]
    fn the_rest_follows_only_a_canary_that_holds() {
        let canary = standing(RunState::Canary);
        assert_eq!(advance(&canary), Some(Effect::ClaimBatches { canary: true }));
        let settled = Standing { batches_settled: 1, ..canary };
        let held = Standing { counts: Counts { verified: 4, unchanged: 1, ..Counts::default() }, ..settled };
        assert_eq!(advance(&held), Some(Effect::Move(RunState::Running)));
        let broken = Standing { counts: Counts { verified: 4, differs: 1, ..Counts::default() }, ..settled };
        assert_eq!(advance(&broken), Some(Effect::StopForCanary));
    }

    #[test]
    fn a_run_stops_when_more_rows_went_wrong_than_the_plan_allows() {
        let wrong = |failed, differs| Counts { verified: 90, failed, differs, ..Counts::default() };
        let run = Standing { batches_settled: 1, most_failed: Some(3), ..standing(RunState::Running) };
        let claim = Some(Effect::ClaimBatches { canary: false });
        for (counts, effect) in
            [(wrong(3, 0), claim), (wrong(2, 1), claim), (wrong(2, 2), Some(Effect::StopForFailures))]
        {
            assert_eq!(advance(&Standing { counts, ..run }), effect, "{counts:?}");
        }
        let anything_goes = Standing { counts: wrong(99, 99), most_failed: None, ..run };
        assert_eq!(advance(&anything_goes), claim);
        let done = Standing { counts: wrong(9, 0), batches_settled: 11, ..run };
        assert_eq!(advance(&done), Some(Effect::Move(RunState::Completed)), "nothing is left to spare");
    }

    #[test]
    fn a_cancelled_run_ends_once_nothing_is_in_flight() {
        let cancelling = Standing { batches_in_flight: 3, ..standing(RunState::Cancelling) };
        assert_eq!(advance(&cancelling), None);
        let drained = Standing { batches_in_flight: 0, ..cancelling };
        assert_eq!(advance(&drained), Some(Effect::Move(RunState::Cancelled)));
        let stopping = Standing { is_stopping: true, ..drained };
        assert_eq!(advance(&stopping), Some(Effect::Move(RunState::Stopped)));
    }

    proptest! {
        /// Carrying out what `advance` says, with every claim settling well, ends every run.
        #[test]
        fn every_run_ends(chunks in 0_u32..4, batches in 1_u32..20, window in 1_u32..5) {
            let mut now = Standing {
                state: RunState::SourceSync, listed: true, chunks, chunks_read: 0, batches,
                batches_settled: 0, batches_in_flight: 0, counts: Counts::default(), most_failed: None, is_stopping: false,
            };
            for _ in 0..200 {
                match advance(&now) {
                    Some(Effect::Move(state)) => now.state = state,
                    Some(Effect::Publish(Stage::AwaitRows)) => now.state = RunState::ConfigureChain,
                    Some(Effect::Publish(_)) => now.state = RunState::Canary,
                    Some(Effect::ClaimChunks) => now.chunks_read = (now.chunks_read + window).min(chunks),
                    Some(Effect::ClaimBatches { canary: true }) => now.batches_settled = 1,
                    Some(Effect::ClaimBatches { canary: false }) => {
                        now.batches_settled = (now.batches_settled + window).min(batches);
                    }
                    Some(Effect::StopForCanary | Effect::StopForFailures) | None => break,
                }
            }
            prop_assert_eq!(now.state, RunState::Completed);
        }
    }
}
