//! A sample of a slice: so many records, the same ones each time, drawn while the ids stream by.
//!
//! Every record has a number that follows from the seed and its id; the records with the smallest numbers are the sample. Law: it
//! depends on which records there are and not on the pages they come in, and a smaller sample is part of a larger one. A record that
//! joins the slice puts at most one other out.

use infill_model::RecordId;

/// The sample of what was kept of earlier pages and of one more page, at most `size` records, in the order of their numbers.
#[must_use]
pub fn draw(
    seed: &str,
    size: usize,
    kept: Vec<RecordId>,
    page: impl IntoIterator<Item = RecordId>,
) -> Vec<RecordId> {
    let mut all: Vec<(u64, RecordId)> =
        kept.into_iter().chain(page).map(|record| (number(seed, &record), record)).collect();
    all.sort_unstable();
    // A listing that moves underneath may show a record twice.
    all.dedup();
    all.truncate(size);
    all.into_iter().map(|(_, record)| record).collect()
}

/// The number of a record: FNV-1a of seed and id, then the last steps of `SplitMix64`, so that ids that differ in one digit are far
/// apart. Pinned: another number would be another sample.
fn number(seed: &str, record: &RecordId) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = seed.bytes().chain([0]).chain(record.as_str().bytes());
    let mut hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ids(range: std::ops::Range<u64>) -> Vec<RecordId> {
        range.map(|id| id.to_string().into()).collect()
    }

    #[test]
    fn the_sample_is_pinned() {
        let sample = draw("Note", 3, Vec::new(), ids(100_001..100_101));
        assert_eq!(sample, draw("Note", 3, Vec::new(), ids(100_001..100_101)));
        assert_eq!(sample.iter().map(RecordId::as_str).collect::<Vec<_>>(), PINNED);
        assert_ne!(sample, draw("Other", 3, Vec::new(), ids(100_001..100_101)));
    }

    const PINNED: [&str; 3] = ["100047", "100045", "100073"];

    #[test]
    fn every_part_of_a_slice_has_its_share() {
        let sample = draw("Note", 1_000, Vec::new(), ids(100_000..110_000));
        for tenth in 0..10_u64 {
            let from = 100_000 + tenth * 1_000;
            let n_in =
                sample.iter().filter(|id| (from..from + 1_000).contains(&id.as_str().parse().unwrap()));
            let n_in = n_in.count();
            assert!((60..=140).contains(&n_in), "{n_in} of about 100 from {from} on");
        }
    }

    proptest! {
        #[test]
        fn the_sample_is_exact_and_does_not_depend_on_pages_or_their_order(
            n_ids in 0_u64..400,
            size in 0_usize..60,
            pages in prop::collection::vec(1_usize..90, 1..8),
            backwards in any::<bool>(),
        ) {
            let mut all = ids(0..n_ids);
            let whole = draw("seed", size, Vec::new(), all.clone());
            if backwards { all.reverse(); }
            let mut kept = Vec::new();
            let mut sizes = pages.iter().cycle();
            let mut rest = all.as_slice();
            while !rest.is_empty() {
                let (page, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                kept = draw("seed", size, kept, page.iter().cloned());
                // A page that comes again changes nothing.
                kept = draw("seed", size, kept, page.iter().cloned());
                rest = after;
            }
            prop_assert_eq!(whole.len(), size.min(usize::try_from(n_ids).unwrap()));
            prop_assert_eq!(&kept, &whole);
            let distinct: BTreeSet<_> = whole.iter().collect();
            prop_assert_eq!(distinct.len(), whole.len());
            let smaller = draw("seed", size / 2, Vec::new(), all.clone());
            prop_assert_eq!(smaller.as_slice(), &whole[..smaller.len()]);
        }
    }
}
