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
    /// Batches that are evaluated for a preview and have something to write.
    pub batches_previewed: u32,
    /// Rows that are evaluated and are to be written.
    pub intended: u64,
    /// Rows that are evaluated and will fail.
    pub refused: u64,
    /// Rows settled, by outcome.
    pub counts: Counts,
    /// So many rows may fail or read back differently; `None` for any number.
    pub most_failed: Option<u64>,
    /// So many rows may change; `None` for any number.
    pub most_changed: Option<u64>,
    /// What follows a preview and, where there is none, the canary.
    pub follows: Follows,
    /// That it was let go on after a preview or a wait, and how it stood then.
    pub released: Option<Released>,
    /// It is being cancelled for a cause that a person must see to, and not because a person asked.
    pub is_stopping: bool,
}

/// What follows once it is known what a run does to its first rows, or to all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Follows {
    /// The rest.
    #[default]
    TheRest,
    /// The rest, when a person says so.
    Approval,
    /// Nothing: only a preview was asked for.
    Nothing,
}

/// How a run stood when it was let go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// A person approved it.
    pub is_approved: bool,
    /// Batches that were settled, having nothing to write.
    pub batches_settled: u32,
    /// Rows that were known to fail.
    pub refused: u64,
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
    /// Stop the run.
    Stop(Stop),
    /// Let a previewed run go on: its previewed batches are to be written.
    Release,
}

/// Why a run is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The canary did not hold.
    Canary,
    /// More rows went wrong than the plan allows.
    Failures,
    /// More rows would change than the plan allows.
    Changes,
}

impl Standing {
    /// Whether more rows went wrong than the plan allows.
    fn has_failed_too_often(&self) -> bool {
        let n_wrong = self.counts.failed.saturating_add(self.counts.differs);
        self.most_failed.is_some_and(|most| n_wrong > most)
    }

    /// Whether every row is evaluated.
    const fn is_previewed(&self) -> bool {
        self.batches_previewed.saturating_add(self.batches_settled) >= self.batches
    }

    fn would_change_too_many(&self) -> bool {
        self.most_changed.is_some_and(|most| self.intended > most)
    }

    /// Whether the canary is still to be written: the first batch, or after a preview the first that has something to write.
    fn awaits_canary(&self) -> bool {
        let settled_before = self.released.map_or(0, |released| released.batches_settled);
        self.batches_settled <= settled_before && self.batches_settled < self.batches
    }

    /// Whether the rest may follow the canary. Rows that a person knew to fail when they approved the run say nothing against it.
    fn canary_holds(&self) -> bool {
        let foreseen = self.released.filter(|released| released.is_approved);
        let n_foreseen = foreseen.map_or(0, |released| released.refused.saturating_sub(self.refused));
        let failed = self.counts.failed.saturating_sub(n_foreseen);
        canary::holds(&Counts { failed, ..self.counts })
    }

    fn awaits_approval(&self) -> bool {
        self.follows == Follows::Approval && self.released.is_none() && self.batches_settled < self.batches
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
        RunState::Previewing if !standing.is_previewed() => Some(Effect::ClaimBatches { canary: false }),
        RunState::Previewing if standing.would_change_too_many() => Some(Effect::Stop(Stop::Changes)),
        RunState::Previewing => Some(match standing.follows {
            Follows::TheRest => Effect::Release,
            Follows::Approval => Effect::Move(RunState::Waiting),
            Follows::Nothing => Effect::Move(RunState::Previewed),
        }),
        RunState::Canary if standing.awaits_canary() => Some(Effect::ClaimBatches { canary: true }),
        RunState::Canary if !standing.canary_holds() => Some(Effect::Stop(Stop::Canary)),
        RunState::Canary if standing.awaits_approval() => Some(Effect::Move(RunState::Waiting)),
        RunState::Canary => Some(Effect::Move(RunState::Running)),
        RunState::Running if standing.batches_settled >= standing.batches => {
            Some(Effect::Move(RunState::Completed))
        }
        RunState::Running if standing.has_failed_too_often() => Some(Effect::Stop(Stop::Failures)),
        RunState::Running => Some(Effect::ClaimBatches { canary: false }),
        RunState::Cancelling if standing.batches_in_flight > 0 => None,
        RunState::Cancelling if standing.is_stopping => Some(Effect::Move(RunState::Stopped)),
        RunState::Cancelling => Some(Effect::Move(RunState::Cancelled)),
        RunState::Waiting
        | RunState::Completed
        | RunState::Previewed
        | RunState::Empty
        | RunState::Stopped
        | RunState::Cancelled => None,
    }
}

/// Where a run goes on from a preview or a wait: to its canary, unless it has none or has it behind it.
#[must_use]
pub const fn released_to(canary: u32, is_previewed: bool) -> RunState {
    if canary > 0 && is_previewed { RunState::Canary } else { RunState::Running }
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
            batches_previewed: 0,
            intended: 0,
            refused: 0,
            counts: Counts::default(),
            most_failed: None,
            most_changed: None,
            follows: Follows::TheRest,
            released: None,
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
        assert_eq!(advance(&broken), Some(Effect::Stop(Stop::Canary)));
    }

    #[test]
    fn a_run_stops_when_more_rows_went_wrong_than_the_plan_allows() {
        let wrong = |failed, differs| Counts { verified: 90, failed, differs, ..Counts::default() };
        let run = Standing { batches_settled: 1, most_failed: Some(3), ..standing(RunState::Running) };
        let claim = Some(Effect::ClaimBatches { canary: false });
        for (counts, effect) in
            [(wrong(3, 0), claim), (wrong(2, 1), claim), (wrong(2, 2), Some(Effect::Stop(Stop::Failures)))]
        {
            assert_eq!(advance(&Standing { counts, ..run }), effect, "{counts:?}");
        }
        let anything_goes = Standing { counts: wrong(99, 99), most_failed: None, ..run };
        assert_eq!(advance(&anything_goes), claim);
        let done = Standing { counts: wrong(9, 0), batches_settled: 11, ..run };
        assert_eq!(advance(&done), Some(Effect::Move(RunState::Completed)), "nothing is left to spare");
    }

    #[test]
    fn a_previewed_run_goes_on_as_it_was_asked_to() {
        let preview = Standing { intended: 40, ..standing(RunState::Previewing) };
        assert_eq!(advance(&preview), Some(Effect::ClaimBatches { canary: false }));
        let evaluated = Standing { batches_previewed: 8, batches_settled: 3, ..preview };
        for (follows, effect) in [
            (Follows::TheRest, Effect::Release),
            (Follows::Approval, Effect::Move(RunState::Waiting)),
            (Follows::Nothing, Effect::Move(RunState::Previewed)),
        ] {
            let standing = Standing { follows, ..evaluated };
            assert_eq!(advance(&standing), Some(effect));
            let at_most = |most| advance(&Standing { most_changed: Some(most), ..standing });
            assert_eq!([at_most(40), at_most(39)], [Some(effect), Some(Effect::Stop(Stop::Changes))]);
        }
        assert_eq!(
            [RunState::Waiting, RunState::Previewed].map(|state| advance(&standing(state))),
            [None; 2]
        );
    }

    #[test]
    fn after_a_preview_the_first_batch_that_writes_is_the_canary() {
        let released = Released { is_approved: true, batches_settled: 3, refused: 9 };
        let canary = Standing {
            batches_settled: 3,
            refused: 9,
            released: Some(released),
            follows: Follows::Approval,
            ..standing(RunState::Canary)
        };
        assert_eq!(advance(&canary), Some(Effect::ClaimBatches { canary: true }));
        let failed = |failed, is_approved| {
            let counts = Counts { verified: 3, failed, ..Counts::default() };
            let released = Some(Released { is_approved, ..released });
            advance(&Standing { batches_settled: 4, refused: 7, counts, released, ..canary })
        };
        assert_eq!(failed(2, true), Some(Effect::Move(RunState::Running)), "both were foreseen");
        assert_eq!(failed(3, true), Some(Effect::Stop(Stop::Canary)));
        assert_eq!(failed(2, false), Some(Effect::Stop(Stop::Canary)), "nobody approved of them");
        let nothing_to_write = Standing { batches_settled: 11, ..canary };
        assert_eq!(advance(&nothing_to_write), Some(Effect::Move(RunState::Running)));
    }

    #[test]
    fn a_canary_that_holds_waits_for_whoever_is_to_approve() {
        let held = Counts { verified: 5, ..Counts::default() };
        let canary = Standing {
            batches_settled: 1,
            counts: held,
            follows: Follows::Approval,
            ..standing(RunState::Canary)
        };
        assert_eq!(advance(&canary), Some(Effect::Move(RunState::Waiting)));
        let was_all = Standing { batches: 1, ..canary };
        assert_eq!(advance(&was_all), Some(Effect::Move(RunState::Running)), "nothing is left to approve");
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
        fn every_run_ends(
            chunks in 0_u32..4, batches in 1_u32..20, window in 1_u32..5, idle in 0_u32..5, is_previewed: bool,
        ) {
            let mut now = Standing {
                chunks, chunks_read: 0, batches,
                ..standing(RunState::SourceSync)
            };
            for _ in 0..200 {
                match advance(&now) {
                    Some(Effect::Move(state)) => now.state = state,
                    Some(Effect::Publish(Stage::AwaitRows)) => now.state = RunState::ConfigureChain,
                    Some(Effect::Publish(_)) if is_previewed => now.state = RunState::Previewing,
                    Some(Effect::Publish(_)) => now.state = RunState::Canary,
                    Some(Effect::Release) => {
                        let batches_settled = now.batches_settled;
                        now = Standing {
                            state: RunState::Canary,
                            batches_previewed: 0,
                            released: Some(Released { is_approved: false, batches_settled, refused: 0 }),
                            ..now
                        };
                    }
                    Some(Effect::ClaimBatches { .. }) if now.state == RunState::Previewing => {
                        now.batches_settled = idle.min(batches);
                        now.batches_previewed = batches - now.batches_settled;
                    }
                    Some(Effect::ClaimChunks) => now.chunks_read = (now.chunks_read + window).min(chunks),
                    Some(Effect::ClaimBatches { canary: true }) => now.batches_settled += 1,
                    Some(Effect::ClaimBatches { canary: false }) => {
                        now.batches_settled = (now.batches_settled + window).min(batches);
                    }
                    Some(Effect::Stop(_)) | None => break,
                }
            }
            prop_assert_eq!(now.state, RunState::Completed);
        }
    }
}
