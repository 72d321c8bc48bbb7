//! Row locks: a write holds the rows it changes, and their accounts, until its answer is sent.

use std::collections::HashMap;

/// Whose locks are never released by the end of a call.
pub(crate) const SOMEBODY: u64 = u64::MAX;

/// Locked records by id, with the number of the call that holds each.
#[derive(Debug, Default)]
pub(crate) struct Locks(HashMap<String, u64>);

impl Locks {
    /// Takes all of some locks for a call, or none; then the one that another call holds is returned.
    pub(crate) fn take(&mut self, nth: u64, ids: &[String]) -> Result<(), String> {
        if let Some(taken) = ids.iter().find(|id| self.0.get(*id).is_some_and(|holder| *holder != nth)) {
            return Err(taken.clone());
        }
        for id in ids {
            self.0.insert(id.clone(), nth);
        }
        Ok(())
    }

    /// Releases everything that a call holds.
    pub(crate) fn release(&mut self, nth: u64) {
        self.0.retain(|_, holder| *holder != nth);
    }

    /// Releases one lock, whoever holds it.
    pub(crate) fn release_one(&mut self, id: &str) {
        self.0.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_taken_whole_and_not_from_others() {
        let mut locks = Locks::default();
        let ids = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(locks.take(1, &ids(&["a", "p"])), Ok(()));
        assert_eq!(locks.take(2, &ids(&["b", "p"])), Err("p".to_owned()));
        assert_eq!(locks.take(1, &ids(&["p", "c"])), Ok(()));
        assert_eq!(locks.take(3, &ids(&["b"])), Ok(()));
        locks.release(1);
        assert_eq!(locks.take(2, &ids(&["a", "p"])), Ok(()));
    }
}
