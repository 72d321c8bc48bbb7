//! Cutting a slice: ids into chunks (the unit of reading), chunks into batches (the unit of writing).
//!
//! Law: concatenating what is cut gives back what went in, in order; numbers follow from position alone, so that
//! cutting again after a crash gives the same batches. Batch 0 is the canary when there is one.

/// How a run is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Rows of the canary batch; 0 for none.
    pub canary: usize,
    /// Rows in one write, at least 1.
    pub write_batch: usize,
}

/// Rows per chunk are at least this many, so that reading costs about one message per 1,000 rows.
const LEAST_CHUNK_ROWS: usize = 1_000;

impl Cut {
    const fn batch_rows(self) -> usize {
        if self.write_batch == 0 { 1 } else { self.write_batch }
    }

    const fn batches_per_chunk(self) -> usize {
        LEAST_CHUNK_ROWS.div_ceil(self.batch_rows())
    }

    /// Rows of the chunk with this number: whole batches, and the canary on top in the first.
    #[must_use]
    pub const fn chunk_rows(self, chunk: u32) -> usize {
        let rows = self.batches_per_chunk() * self.batch_rows();
        if chunk == 0 { rows + self.canary } else { rows }
    }

    /// Cuts full chunks off the front of `ids`, the first numbered `first`; with `all`, the rest becomes a last chunk
    /// too. Gives the chunks and what is left.
    #[must_use]
    pub fn chunks<T>(self, mut ids: Vec<T>, first: u32, all: bool) -> (Vec<Vec<T>>, Vec<T>) {
        let mut chunks = Vec::new();
        let mut no = first;
        while ids.len() >= self.chunk_rows(no) || (all && !ids.is_empty()) {
            let rest = ids.split_off(self.chunk_rows(no).min(ids.len()));
            chunks.push(std::mem::replace(&mut ids, rest));
            no = no.saturating_add(1);
        }
        (chunks, ids)
    }

    /// Cuts the rows of one chunk into numbered batches.
    #[must_use]
    pub fn batches<T>(self, chunk: u32, mut rows: Vec<T>) -> Vec<(u32, Vec<T>)> {
        let per_chunk = u32::try_from(self.batches_per_chunk()).unwrap_or(u32::MAX);
        let canary_batches = u32::from(self.canary > 0);
        let mut no = chunk.saturating_mul(per_chunk);
        let mut batches = Vec::new();
        if chunk == 0 && self.canary > 0 {
            let rest = rows.split_off(self.canary.min(rows.len()));
            batches.push((0, std::mem::replace(&mut rows, rest)));
        }
        no = no.saturating_add(canary_batches);
        while !rows.is_empty() {
            let rest = rows.split_off(self.batch_rows().min(rows.len()));
            batches.push((no, std::mem::replace(&mut rows, rest)));
            no = no.saturating_add(1);
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_people_of_the_demo_are_cut_into_a_canary_and_hundreds() {
        let cut = Cut { canary: 5, write_batch: 100 };
        let (chunks, left) = cut.chunks((0..537).collect(), 0, true);
        assert!(left.is_empty());
        let sizes: Vec<(u32, usize)> = cut
            .batches(0, chunks.into_iter().next().unwrap())
            .iter()
            .map(|(no, rows)| (*no, rows.len()))
            .collect();
        assert_eq!(sizes, [(0, 5), (1, 100), (2, 100), (3, 100), (4, 100), (5, 100), (6, 32)]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_doubled_or_reordered_and_numbers_are_unique(
            rows in 0_usize..25_000,
            canary in 0_usize..20,
            write_batch in prop::sample::select(vec![1_usize, 7, 100, 200, 1_000, 10_000]),
            pages in prop::collection::vec(1_usize..3_000, 1..40),
        ) {
            let cut = Cut { canary, write_batch };
            let mut fed = 0;
            let mut tail: Vec<usize> = Vec::new();
            let mut chunks: Vec<Vec<usize>> = Vec::new();
            let mut page = pages.iter().cycle();
            while fed < rows {
                let n = (*page.next().unwrap()).min(rows - fed);
                tail.extend(fed..fed + n);
                fed += n;
                let first = u32::try_from(chunks.len()).unwrap();
                let (cut_off, rest) = cut.chunks(tail, first, fed == rows);
                chunks.extend(cut_off);
                tail = rest;
            }
            prop_assert!(tail.is_empty());
            let batches: Vec<(u32, Vec<usize>)> = chunks
                .into_iter()
                .enumerate()
                .flat_map(|(no, rows)| cut.batches(u32::try_from(no).unwrap(), rows))
                .collect();
            let numbers: Vec<u32> = batches.iter().map(|(no, _)| *no).collect();
            prop_assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
            prop_assert!(batches.iter().all(|(_, rows)| rows.len() <= write_batch.max(canary)));
            let all: Vec<usize> = batches.into_iter().flat_map(|(_, rows)| rows).collect();
            prop_assert_eq!(all, (0..rows).collect::<Vec<_>>());
        }
    }
}
