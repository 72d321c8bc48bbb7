//! When a fault fires, and how faults are written as text.
//!
//! A vendor's module says what its faults do; this one says when they happen and reads the text form
//! `kind,key=value,...;kind,...` into [`Clause`]s. Nothing here is random: whether a fault fires is a function of the
//! seed, the position of the fault in the list, and either the number of the call or the record's id.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which of the calls that match a fault's target it strikes.
#[derive(Debug, Clone, PartialEq)]
pub struct Firing {
    /// Matching calls that are left alone first.
    pub after: u64,
    /// Of those that follow, every n-th is struck; 1 is each of them.
    pub every: u64,
    /// Strikes at most this often; `None` is without end.
    pub count: Option<u64>,
    /// Chance of each strike, from 0 to 1, drawn from the seed.
    pub probability: f64,
}

impl Default for Firing {
    fn default() -> Self {
        Self { after: 0, every: 1, count: None, probability: 1.0 }
    }
}

impl Firing {
    /// Takes a key of the text form that says when; `false` when it is none of them.
    ///
    /// # Errors
    /// A value that is not what the key takes.
    pub fn set(&mut self, key: &str, value: &str) -> Result<bool, SpecError> {
        let bad = |what: &str| SpecError(format!("`{key}={value}` is not {what}"));
        let whole = || value.parse::<u64>().map_err(|_| bad("a whole number"));
        match key {
            "after" => self.after = whole()?,
            "every" => self.every = whole()?.max(1),
            "count" => self.count = Some(whole()?),
            "p" => {
                let chance = value.parse::<f64>().ok().filter(|chance| (0.0..=1.0).contains(chance));
                self.probability = chance.ok_or_else(|| bad("a number from 0 to 1"))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl fmt::Display for Firing {
    /// The keys that are not as usual, each after a comma.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { after, every, count, probability } = self;
        if *after > 0 {
            write!(f, ",after={after}")?;
        }
        if *every > 1 {
            write!(f, ",every={every}")?;
        }
        if let Some(count) = count {
            write!(f, ",count={count}")?;
        }
        if *probability < 1.0 {
            write!(f, ",p={probability}")?;
        }
        Ok(())
    }
}

/// How often a fault's target was met and how often it struck.
#[derive(Debug, Default)]
pub struct Tally {
    met: AtomicU64,
    struck: AtomicU64,
}

impl Tally {
    /// Strikes so far.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.struck.load(Ordering::Relaxed)
    }

    /// Counts one more match of the target and says whether the fault strikes it.
    ///
    /// `draw` is a number that stands for this match, see [`draw`]; it is compared with the probability.
    pub fn strikes(&self, firing: &Firing, draw: impl FnOnce(u64) -> f64) -> bool {
        let nth = self.met.fetch_add(1, Ordering::Relaxed);
        let Some(past) = nth.checked_sub(firing.after) else { return false };
        if !(past + 1).is_multiple_of(firing.every.max(1)) {
            return false;
        }
        if firing.probability < 1.0 && draw(nth) >= firing.probability {
            return false;
        }
        match firing.count {
            Some(max) => self
                .struck
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < max).then_some(n + 1))
                .is_ok(),
            None => {
                self.struck.fetch_add(1, Ordering::Relaxed);
                true
            }
        }
    }
}

/// A number in `[0, 1)` that depends on nothing but its arguments.
#[must_use]
pub fn draw(seed: u64, stream: u64, n: u64) -> f64 {
    // 53 bits are what an `f64` holds exactly.
    let bits = mix(seed ^ mix(stream.wrapping_add(1)) ^ mix(n.wrapping_add(0x5851_f42d))) >> 11;
    let high = u32::try_from(bits >> 21).unwrap_or(u32::MAX);
    let low = u32::try_from(bits & 0x1f_ffff).unwrap_or(0);
    (f64::from(high) * 2_097_152.0 + f64::from(low)) / 9_007_199_254_740_992.0
}

/// The finaliser of the `SplitMix64` generator: every bit of `x` changes about half of the result.
#[must_use]
pub fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One fault as text: its kind and its `key=value` pairs in order, not yet understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// The first word.
    pub kind: String,
    /// The pairs after it.
    pub pairs: Vec<(String, String)>,
}

/// Why a fault specification cannot be used. `Display` names the valid words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError(pub String);

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault specification: {}", self.0)
    }
}

impl std::error::Error for SpecError {}

/// Splits `kind,key=value;kind` into clauses. Empty text is no clause.
///
/// # Errors
/// A clause without a kind, or a part after the kind that is not `key=value`.
pub fn parse_clauses(spec: &str) -> Result<Vec<Clause>, SpecError> {
    spec.split(';').map(str::trim).filter(|text| !text.is_empty()).map(parse_clause).collect()
}

fn parse_clause(text: &str) -> Result<Clause, SpecError> {
    let mut parts = text.split(',').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_owned();
    if kind.is_empty() || kind.contains('=') {
        return Err(SpecError(format!("`{text}` does not begin with the kind of a fault")));
    }
    let pairs = parts
        .map(|part| match part.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok((key.trim().to_owned(), value.trim().to_owned()))
            }
            Some(_) | None => Err(SpecError(format!("`{part}` in `{text}` is not `key=value`"))),
        })
        .collect::<Result<_, _>>()?;
    Ok(Clause { kind, pairs })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(firing: &Firing, n_calls: u64, seed: u64) -> Vec<u64> {
        let tally = Tally::default();
        (0..n_calls).filter(|_| tally.strikes(firing, |n| draw(seed, 0, n))).collect()
    }

    #[test]
    fn after_every_and_count_pick_the_calls() {
        let firing = Firing { after: 2, every: 3, count: Some(2), probability: 1.0 };
        assert_eq!(struck(&firing, 20, 0), vec![4, 7]);
    }

    #[test]
    fn chance_is_the_same_for_a_seed_and_spread_over_calls() {
        let firing = Firing { probability: 0.25, ..Firing::default() };
        let first = struck(&firing, 4_000, 7);
        assert_eq!(first, struck(&firing, 4_000, 7));
        assert_ne!(first, struck(&firing, 4_000, 8));
        assert!((900..1_100).contains(&first.len()), "{}", first.len());
    }

    #[test]
    fn clauses_are_split_and_bad_ones_named() {
        let clauses = parse_clauses("503,op=batch-update,count=3; reset").unwrap();
        assert_eq!(clauses.len(), 2);
        assert_eq!(
            clauses[0].pairs,
            vec![("op".into(), "batch-update".into()), ("count".into(), "3".into())]
        );
        assert!(parse_clauses("503,count").unwrap_err().to_string().contains("`count`"));
        assert!(parse_clauses("count=3").unwrap_err().to_string().contains("kind"));
        assert_eq!(parse_clauses(" ; ").unwrap(), vec![]);
    }
}
