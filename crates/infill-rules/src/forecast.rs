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
    /// Rows in one write.
    pub write_batch: u64,
    /// Rows in one read.
    pub read_batch: u64,
    /// How much is read back.
    pub verify: Verify,
    /// The burst limit.
    pub rate: Option<Rate>,
    /// Calls left today, where known.
    pub left_today: Option<u64>,
}

/// Calls and time still to come: the most it can be when every row is written, guard reads and retries not counted.
#[must_use]
pub fn forecast(known: &Known) -> Forecast {
    let canary = known.canary.min(known.rows);
    let rest = known.rows.saturating_sub(canary);
    let calls_of = |rows: u64, size: u64| rows.div_ceil(size.max(1));
    let writes = calls_of(canary, known.write_batch).saturating_add(calls_of(rest, known.write_batch));
    let read_back = |rows: u64| calls_of(rows, known.read_batch.min(known.write_batch));
    let reads = match known.verify {
        Verify::All => read_back(canary).saturating_add(read_back(rest)),
        Verify::None => 0,
        Verify::Sample(rows) => read_back(canary).saturating_add(calls_of(rest, known.write_batch).min(rows)),
    };
    let calls = writes.saturating_add(reads);
    let seconds = known.rate.map(|rate| {
        let per_window = u64::from(rate.calls.max(1));
        let full_windows = calls.saturating_sub(1) / per_window;
        full_windows.saturating_mul(u64::try_from(rate.per_ms).unwrap_or(0)) / 1_000
    });
    Forecast { rows: known.rows, calls, seconds, calls_left_today: known.left_today }
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
            read_batch: 100,
            verify: Verify::All,
            rate: Some(Rate { calls: 190, per_ms: 10_000 }),
            left_today: Some(1_000),
        };
        let expected = Forecast { rows: 537, calls: 14, seconds: Some(0), calls_left_today: Some(1_000) };
        assert_eq!(forecast(&known), expected);
        assert_eq!(forecast(&Known { verify: Verify::None, ..known }).calls, 7);
        assert_eq!(forecast(&Known { rows: 100_005, ..known }).seconds, Some(100));
    }
}
