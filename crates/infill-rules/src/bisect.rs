//! Finding the guilty rows of a batch that was refused as a whole.
//!
//! Law: what is split off is a partition of what went in, every part is smaller than the whole, so that repeating ends; a single row is
//! never split: its refusal is its own.

/// How to go on with a refused batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split<T> {
    /// Rows whose refusal is certain: the vendor named them, or they stood alone.
    pub guilty: Vec<T>,
    /// Parts to send again, each on its own.
    pub again: Vec<Vec<T>>,
}

/// Splits a refused batch. `is_named` says whether the vendor named a row as the cause.
#[must_use]
pub fn split<T>(batch: Vec<T>, is_named: impl Fn(&T) -> bool) -> Split<T> {
    if batch.len() <= 1 {
        return Split { guilty: batch, again: Vec::new() };
    }
    let (guilty, mut innocent): (Vec<T>, Vec<T>) = batch.into_iter().partition(is_named);
    if !guilty.is_empty() {
        let again = if innocent.is_empty() { Vec::new() } else { vec![innocent] };
        return Split { guilty, again };
    }
    let right = innocent.split_off(innocent.len() / 2);
    Split { guilty: Vec::new(), again: vec![innocent, right] }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Sends parts until none is left: the vendor refuses any part with a bad row in it.
    fn drive(rows: usize, bad: &BTreeSet<usize>, names: bool) -> (BTreeSet<usize>, BTreeSet<usize>, usize) {
        let (mut delivered, mut refused, mut calls) = (BTreeSet::new(), BTreeSet::new(), 0);
        let mut parts: Vec<Vec<usize>> = vec![(0..rows).collect()];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            calls += 1;
            if part.iter().all(|row| !bad.contains(row)) {
                delivered.extend(part);
                continue;
            }
            let split = split(part, |row| names && bad.contains(row));
            refused.extend(split.guilty);
            parts.extend(split.again);
        }
        (delivered, refused, calls)
    }

    #[test]
    fn one_bad_row_among_a_hundred_costs_few_calls() {
        let bad = BTreeSet::from([41]);
        let (delivered, refused, calls) = drive(100, &bad, false);
        assert_eq!((delivered.len(), refused), (99, bad.clone()));
        assert!(calls <= 15, "{calls}");
        assert_eq!(drive(100, &bad, true).2, 2);
    }

    proptest! {
        #[test]
        fn it_ends_and_isolates_exactly_the_guilty(
            rows in 1_usize..150,
            bad in prop::collection::btree_set(0_usize..150, 0..12),
            names: bool,
        ) {
            let bad: BTreeSet<usize> = bad.into_iter().filter(|row| *row < rows).collect();
            let (delivered, refused, _) = drive(rows, &bad, names);
            prop_assert_eq!(&refused, &bad);
            prop_assert_eq!(delivered.len() + refused.len(), rows);
        }
    }
}
