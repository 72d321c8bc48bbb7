//! Batches that the stage `run` has done with and `verify` will ask for: a worker that gets both messages, as it mostly does, is
//! spared reading and parsing the pages again. Losing one costs only that.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use infill_model::{BatchNo, RunId, Timestamp};
use infill_store::store::{Batch, Lease, Leased};

use crate::context::Context;
use crate::verdict::Failure;

/// Rows kept at most, of all batches together: some ten megabytes, as rows go.
const MOST_ROWS: usize = 10_000;

/// Batches kept in memory, the latest last.
#[derive(Debug, Default)]
pub(crate) struct HandedOver(Mutex<VecDeque<(RunId, Batch)>>);

impl HandedOver {
    /// Keeps a batch; the oldest make room for it. One that is too large by itself is not kept.
    pub(crate) fn keep(&self, run: RunId, batch: Batch) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((run, batch));
        let mut n_rows: usize = kept.iter().map(|(_, batch)| batch.rows.len()).sum();
        while n_rows > MOST_ROWS
            && let Some((_, oldest)) = kept.pop_front()
        {
            n_rows -= oldest.rows.len();
        }
    }

    /// Takes a batch out.
    fn take(&self, run: RunId, no: BatchNo) -> Option<Batch> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|(of, batch)| *of == run && batch.no == no)?;
        kept.remove(place).map(|(_, batch)| batch)
    }
}

/// Leases a batch, with its pages from memory when nothing has changed since they were handed over. `None` when somebody else
/// has it, or it is not there.
pub(crate) async fn lease_batch(
    context: &Context,
    run: RunId,
    no: BatchNo,
    lease: &Lease,
    take_over: bool,
    now: Timestamp,
) -> Result<Option<Batch>, Failure> {
    let kept = context.handed_over.take(run, no);
    let known = kept.as_ref().map(|batch| batch.revision);
    Ok(match context.store.lease_batch(run, no, lease, take_over, known, now).await? {
        Leased::Yours(batch) => Some(batch),
        Leased::AsKnown => kept,
        Leased::Busy { .. } | Leased::Missing => None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use infill_model::Row;
    use infill_store::store::BatchState;

    use super::*;

    fn batch(no: u32, n_rows: usize) -> Batch {
        let row = Row {
            record: "1".into(),
            inputs: [].into(),
            before: [].into(),
            gone: None,
            refused: None,
            same_as: None,
        };
        Batch {
            no: BatchNo(no),
            state: BatchState::Ran,
            rows: Arc::new(vec![row; n_rows]),
            results: Vec::new(),
            pulled_at: Timestamp::UNIX_EPOCH,
            saved_at: None,
            revision: 2,
            job: None,
        }
    }

    #[test]
    fn a_batch_is_handed_over_once_and_to_its_run_alone() {
        let (kept, run, other) = (
            HandedOver::default(),
            RunId::new(Timestamp::UNIX_EPOCH, [1; 10]),
            RunId::new(Timestamp::UNIX_EPOCH, [2; 10]),
        );
        kept.keep(run, batch(7, 100));
        assert!(kept.take(other, BatchNo(7)).is_none() && kept.take(run, BatchNo(8)).is_none());
        assert_eq!(kept.take(run, BatchNo(7)).map(|batch| batch.revision), Some(2));
        assert!(kept.take(run, BatchNo(7)).is_none());
    }

    #[test]
    fn the_oldest_make_room_and_one_too_large_is_not_kept() {
        let (kept, run) = (HandedOver::default(), RunId::new(Timestamp::UNIX_EPOCH, [1; 10]));
        for no in 0..4 {
            kept.keep(run, batch(no, MOST_ROWS / 2));
        }
        let is_kept = |no| kept.take(run, BatchNo(no)).is_some();
        assert_eq!([0, 1, 2, 3].map(is_kept), [false, false, true, true]);
        kept.keep(run, batch(9, MOST_ROWS + 1));
        assert!(kept.take(run, BatchNo(9)).is_none());
    }
}
