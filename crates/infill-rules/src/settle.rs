//! What a write's answer says about each row that went in.
//!
//! Law: every row that went in gets exactly one standing; an id that is not in the answer is unconfirmed, whatever the status
//! of the call; ids in the answer that never went in are nobody's.

use std::collections::HashMap;
use std::hash::Hash;

/// How one row stands after a write call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing<R, G> {
    /// Its own id was seen in the answer.
    Confirmed,
    /// The vendor refused it.
    Refused(R),
    /// The record is gone.
    Gone(G),
    /// It went in and did not come out: to be read back.
    Unconfirmed,
}

/// Matches an answer with what went in. A refusal outweighs a confirmation of the same id: a row is done only
/// when nothing speaks against it.
#[must_use]
pub fn settle<I: Clone + Eq + Hash, R, G>(
    sent: &[I],
    confirmed: &[I],
    refused: Vec<(I, R)>,
    gone: Vec<(I, G)>,
) -> Vec<(I, Standing<R, G>)> {
    let mut seen: HashMap<I, Standing<R, G>> =
        confirmed.iter().map(|id| (id.clone(), Standing::Confirmed)).collect();
    seen.extend(gone.into_iter().map(|(id, gone)| (id, Standing::Gone(gone))));
    seen.extend(refused.into_iter().map(|(id, refusal)| (id, Standing::Refused(refusal))));
    sent.iter()
        .map(|id| {
            let standing = seen.remove(id).unwrap_or(Standing::Unconfirmed);
            (id.clone(), standing)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_2xx_that_names_nobody_confirms_nobody() {
        let standings = settle::<_, (), ()>(&[1, 2], &[], Vec::new(), Vec::new());
        assert_eq!(standings, [(1, Standing::Unconfirmed), (2, Standing::Unconfirmed)]);
    }

    proptest! {
        #[test]
        fn standings_partition_what_went_in(
            sent in prop::collection::btree_set(0_u8..60, 0..40),
            confirmed in prop::collection::vec(0_u8..70, 0..60),
            refused in prop::collection::vec((0_u8..70, Just(())), 0..10),
            gone in prop::collection::vec((0_u8..70, Just(())), 0..10),
        ) {
            let sent: Vec<u8> = sent.into_iter().collect();
            let standings = settle(&sent, &confirmed, refused.clone(), gone.clone());
            prop_assert_eq!(standings.iter().map(|(id, _)| *id).collect::<Vec<_>>(), sent);
            for (id, standing) in standings {
                let is_refused = refused.iter().any(|(other, ())| *other == id);
                let is_gone = gone.iter().any(|(other, ())| *other == id);
                let expected = if is_refused {
                    Standing::Refused(())
                } else if is_gone {
                    Standing::Gone(())
                } else if confirmed.contains(&id) {
                    Standing::Confirmed
                } else {
                    Standing::Unconfirmed
                };
                prop_assert_eq!(standing, expected);
            }
        }
    }
}
