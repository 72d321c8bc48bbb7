//! What a run will cost, before it starts writing.

use infill_model::plan::Verify;
use infill_model::run::Forecast;

use crate::quota::Rate;

/// What is known before the first write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Rows pulled.
    pub rows: u64,
    /// Rows of the canary.
    pub canary: u64,
    /// Rows in one batch.
    pub write_batch: u64,
    /// Rows in one call of a write; a batch is a whole number of them.
    pub write_call: u64,
    /// Calls that such a write takes: one, or those of a job.
    pub calls_per_write: u64,
    /// Rows in one read.
    pub read_batch: u64,
    /// Calls that the actions of the chain cost a row at most; each costs as much as one of a write.
    pub action_calls: u64,
    /// What a call of a write costs, in the vendor's units.
    pub write_cost: u64,
    /// What a read costs.
    pub read_cost: u64,
    /// How much is read back.
    pub verify: Verify,
    /// The burst limit.
    pub rate: Option<Rate>,
    /// Units left today, where known.
    pub left_today: Option<u64>,
}

/// Calls and time still to come: the most it can be when every row is written, guard reads and retries not counted.
#[must_use]
pub fn forecast(known: &Known) -> Forecast {
    let canary = known.canary.min(known.rows);
    let rest = known.rows.saturating_sub(canary);
    let calls_of = |rows: u64, size: u64| rows.div_ceil(size.max(1));
    let writes = calls_of(canary, known.write_call)
        .saturating_add(calls_of(rest, known.write_call))
        .saturating_mul(known.calls_per_write);
    // A batch is read back in reads of its own.
    let read_back = |rows: u64| match rows.checked_div(known.write_batch) {
        None | Some(0) => calls_of(rows, known.read_batch),
        Some(whole) => whole
            .saturating_mul(calls_of(known.write_batch, known.read_batch))
            .saturating_add(calls_of(rows % known.write_batch, known.read_batch)),
    };
    let reads = match known.verify {
        Verify::All => read_back(canary).saturating_add(read_back(rest)),
        Verify::None => 0,
        Verify::Sample(rows) => read_back(canary).saturating_add(calls_of(rest, known.write_batch).min(rows)),
    };
    let acts = known.rows.saturating_mul(known.action_calls);
    let calls = writes.saturating_add(reads).saturating_add(acts);
    let units = writes
        .saturating_add(acts)
        .saturating_mul(known.write_cost)
        .saturating_add(reads.saturating_mul(known.read_cost));
    let seconds = known.rate.map(|rate| {
        let per_window = u64::from(rate.calls.max(1));
        let full_windows = calls.saturating_sub(1) / per_window;
        full_windows.saturating_mul(u64::try_from(rate.per_ms).unwrap_or(0)) / 1_000
    });
    Forecast { rows: known.rows, calls, units, seconds, calls_left_today: known.left_today }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_people_of_the_demo() {
        let known = Known {
            rows: 537,
            canary: 5,
            write_batch: 100,
            write_call: 100,
            calls_per_write: 1,
            action_calls: 0,
            write_cost: 1,
            read_cost: 1,
            read_batch: 100,
            verify: Verify::All,
            rate: Some(Rate { calls: 190, per_ms: 10_000 }),
            left_today: Some(1_000),
        };
        let expected =
            Forecast { rows: 537, calls: 14, units: 14, seconds: Some(0), calls_left_today: Some(1_000) };
        assert_eq!(forecast(&known), expected);
        assert_eq!(forecast(&Known { verify: Verify::None, ..known }).calls, 7);
        assert_eq!(forecast(&Known { action_calls: 2, ..known }).calls, 14 + 2 * 537);
        let by_record = Known { rows: 10_005, write_call: 1, write_cost: 5, read_cost: 10, ..known };
        let cost = forecast(&by_record);
        assert_eq!((cost.calls, cost.units), (10_005 + 101, 5 * 10_005 + 10 * 101));
        assert_eq!(forecast(&Known { rows: 100_005, ..known }).seconds, Some(100));
        let by_job = Known { rows: 60_005, write_batch: 26_000, write_call: 26_000, ..known };
        let by_job = Known { calls_per_write: 7, read_batch: 2_000, ..by_job };
        assert_eq!(forecast(&by_job).calls, 4 * 7 + 1 + 13 + 13 + 4);
    }
}
