//! Which record Salesforce locks together with one that is updated: its account, its case, whatever it looks up to.
//!
//! Two updates of siblings in different transactions wait for each other; in one transaction they do not. So siblings belong side by
//! side. What is known is what the plan reads or writes: no call is made for it.

use infill_model::{Properties, RecordId, Value};

use crate::id::Id;

/// The usual lookups to what is locked, the one that matters most first.
const LOOKUPS: [&str; 8] =
    ["AccountId", "OpportunityId", "CaseId", "ContactId", "CampaignId", "ParentId", "WhatId", "WhoId"];

/// What an update does not lock although the record refers to it: users, groups and queues, record types, profiles.
const NEVER_LOCKED: [&str; 4] = ["005", "00G", "012", "00e"];

/// The characters of an id in an answer. Fewer may be any word.
const LONG: usize = 18;

/// The parent that values tell of, the first of `known` before the others: one of the usual lookups, else the first property by
/// name that holds an id of another record.
#[must_use]
pub fn parent(known: &[&Properties]) -> Option<RecordId> {
    let usual = LOOKUPS.iter().find_map(|lookup| {
        let all = known.iter().flat_map(|properties| properties.iter());
        let mut meant = all.filter(|(name, _)| name.as_str().eq_ignore_ascii_case(lookup));
        meant.find_map(|(_, value)| locked(value))
    });
    let other = || {
        let all = known.iter().flat_map(|properties| properties.iter());
        let others = all.filter(|(name, _)| !name.as_str().eq_ignore_ascii_case("Id"));
        others.filter_map(|(name, value)| Some((name, locked(value)?))).min_by_key(|(name, _)| *name)
    };
    let parent = usual.or_else(|| other().map(|(_, id)| id))?;
    Some(RecordId::from(parent.as_str()))
}

fn locked(value: &Value) -> Option<Id> {
    let text = value.as_str()?;
    let id = Id::parse(text).filter(|_| text.len() == LONG)?;
    (!NEVER_LOCKED.contains(&id.prefix())).then_some(id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ACCOUNT: &str = "001ak00000OQTieAAH";
    const CONTACT: &str = "003ak00000jvIfpAAE";

    fn properties(pairs: &[(&str, &str)]) -> Properties {
        pairs.iter().map(|(name, value)| ((*name).into(), json!(value))).collect()
    }

    #[test]
    fn the_usual_lookup_comes_first_and_no_user_is_a_parent() {
        let user = "005ak00000jvIfpAAE";
        for (wanted, inputs, expected) in [
            (&[("Note__c", "x")][..], &[("AccountId", ACCOUNT), ("Broker__c", CONTACT)][..], Some(ACCOUNT)),
            (&[("accountid", CONTACT)], &[("AccountId", ACCOUNT)], Some(CONTACT)),
            (&[("Z__c", ACCOUNT)], &[("Broker__c", CONTACT)], Some(CONTACT)),
            (&[("Note__c", "x")], &[("Id", CONTACT), ("OwnerId", user)], None),
            (&[("Note__c", "international12")], &[("AccountId", "")], None),
        ] {
            let known = [&properties(wanted), &properties(inputs)];
            assert_eq!(parent(&known).as_ref().map(RecordId::as_str), expected, "{wanted:?} {inputs:?}");
        }
    }
}
