//! The lists of a portal and their members. What clients ask about them is in [`lists`](super::lists).

use std::collections::BTreeMap;
use std::ops::RangeBounds;

use super::filter::{Conditions, FilterGroup};
use super::store::Table;

/// How a list gets its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Processing {
    /// People and clients add and remove them.
    Manual,
    /// Conditions, all the time: an active list.
    Dynamic,
    /// Conditions, once; by hand from then on.
    Snapshot,
}

impl Processing {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "MANUAL",
            Self::Dynamic => "DYNAMIC",
            Self::Snapshot => "SNAPSHOT",
        }
    }
}

/// The members of a list in both orders that the API pages through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members {
    by_id: BTreeMap<u64, (u32, i64)>,
    by_join: BTreeMap<u32, u64>,
    n_joined: u32,
}

impl Members {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn contains(&self, record: u64) -> bool {
        self.by_id.contains_key(&record)
    }

    /// False when it was a member already.
    pub(crate) fn add(&mut self, record: u64, at_ms: i64) -> bool {
        if self.contains(record) {
            return false;
        }
        self.n_joined += 1;
        self.by_id.insert(record, (self.n_joined, at_ms));
        self.by_join.insert(self.n_joined, record);
        true
    }

    /// False when it was no member.
    pub(crate) fn remove(&mut self, record: u64) -> bool {
        let Some((place, _)) = self.by_id.remove(&record) else { return false };
        self.by_join.remove(&place);
        true
    }

    /// Members by id, ascending from `ids` on, at most `limit`; only the first `n_shown` to have joined.
    pub(crate) fn ascending(&self, ids: impl RangeBounds<u64>, limit: usize, n_shown: u32) -> Vec<Member> {
        self.by_id.range(ids).map(member).filter(|member| member.place <= n_shown).take(limit).collect()
    }

    /// As [`Members::ascending`], from the end of `ids` downwards.
    pub(crate) fn descending(&self, ids: impl RangeBounds<u64>, limit: usize, n_shown: u32) -> Vec<Member> {
        self.by_id.range(ids).rev().map(member).filter(|member| member.place <= n_shown).take(limit).collect()
    }

    /// Members in the order of joining, from `places` on, at most `limit`.
    pub(crate) fn joined(&self, places: impl RangeBounds<u32>, limit: usize) -> Vec<Member> {
        self.by_join.range(places).take(limit).filter_map(|(_, id)| self.member(*id)).collect()
    }

    /// As [`Members::joined`], from the end of `places` backwards.
    pub(crate) fn joined_backwards(&self, places: impl RangeBounds<u32>, limit: usize) -> Vec<Member> {
        self.by_join.range(places).rev().take(limit).filter_map(|(_, id)| self.member(*id)).collect()
    }

    /// How many ever joined; the last place taken.
    pub(crate) fn n_joined(&self) -> u32 {
        self.n_joined
    }

    fn member(&self, id: u64) -> Option<Member> {
        self.by_id.get_key_value(&id).map(member)
    }
}

/// One membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) record: u64,
    /// From 1, in the order of joining.
    pub(crate) place: u32,
    pub(crate) at_ms: i64,
}

fn member((record, (place, at_ms)): (&u64, &(u32, i64))) -> Member {
    Member { record: *record, place: *place, at_ms: *at_ms }
}

/// A list.
#[derive(Debug, Clone)]
pub(crate) struct List {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Id of the object type, which may be one that the API refuses to page through.
    pub(crate) type_id: &'static str,
    pub(crate) processing: Processing,
    pub(crate) version: u32,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    /// Conditions of a DYNAMIC or SNAPSHOT list.
    pub(crate) groups: Vec<FilterGroup>,
    conditions: Conditions,
    pub(crate) members: Members,
}

impl List {
    pub(crate) fn new(
        id: &str,
        name: &str,
        type_id: &'static str,
        processing: Processing,
        at_ms: i64,
    ) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            type_id,
            processing,
            version: 1,
            created_ms: at_ms,
            updated_ms: at_ms,
            groups: Vec::new(),
            conditions: Conditions::default(),
            members: Members::default(),
        }
    }

    /// Gives the list conditions and the members that fit them. Conditions that the table does not know match nothing.
    pub(crate) fn with_conditions(mut self, groups: Vec<FilterGroup>, table: &Table) -> Self {
        let Ok(conditions) = Conditions::resolve(&groups, &table.catalog) else { return self };
        for record in table.records() {
            if record.archived_ms.is_none() && conditions.hold(record, &table.catalog, None) {
                self.members.add(record.id, self.created_ms);
            }
        }
        self.groups = groups;
        self.conditions = conditions;
        self
    }

    fn depends_on(&self, property: &str) -> bool {
        self.groups.iter().flat_map(|group| &group.filters).any(|filter| filter.property_name == property)
    }

    /// Notes that members were added or removed.
    pub(crate) fn changed(&mut self, at_ms: i64) {
        self.version += 1;
        self.updated_ms = at_ms;
    }
}

/// Every list of a portal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lists(Vec<List>);

impl Lists {
    pub(crate) fn add(&mut self, list: List) {
        self.0.push(list);
    }

    pub(crate) fn all(&self) -> &[List] {
        &self.0
    }

    pub(crate) fn get(&self, id: &str) -> Option<&List> {
        self.0.iter().find(|list| list.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut List> {
        self.0.iter_mut().find(|list| list.id == id)
    }

    /// Whether an active list of the type asks about one of the properties.
    pub(crate) fn depend_on<'a>(&self, type_id: &str, mut properties: impl Iterator<Item = &'a str>) -> bool {
        let active = |list: &&List| list.processing == Processing::Dynamic && list.type_id == type_id;
        properties.any(|property| self.0.iter().filter(active).any(|list| list.depends_on(property)))
    }

    /// Looks at a record again for every active list of its type.
    pub(crate) fn evaluate(&mut self, table: &Table, record: u64, at_ms: i64) {
        let type_id = table.object.type_id;
        let active = |list: &&mut List| list.processing == Processing::Dynamic && list.type_id == type_id;
        for list in self.0.iter_mut().filter(active) {
            let fits =
                table.live(record).is_some_and(|record| list.conditions.hold(record, &table.catalog, None));
            let is_changed = if fits { list.members.add(record, at_ms) } else { list.members.remove(record) };
            if is_changed {
                list.changed(at_ms);
            }
        }
    }

    /// Takes a record out of one list, or of all.
    pub(crate) fn drop_member(&mut self, list: Option<&str>, record: u64, at_ms: i64) {
        for list in self.0.iter_mut().filter(|own| list.is_none_or(|id| own.id == id)) {
            if list.members.remove(record) {
                list.changed(at_ms);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_paged_by_id_and_by_the_order_of_joining() {
        let mut members = Members::default();
        for (record, at_ms) in [(30, 1), (10, 2), (20, 3)] {
            assert!(members.add(record, at_ms));
        }
        assert!(!members.add(30, 9));
        let ids = |members: Vec<Member>| members.iter().map(|member| member.record).collect::<Vec<_>>();
        assert_eq!(ids(members.ascending(.., 2, u32::MAX)), vec![10, 20]);
        assert_eq!(ids(members.ascending(21.., 2, u32::MAX)), vec![30]);
        assert_eq!(ids(members.descending(..30, 1, u32::MAX)), vec![20]);
        assert_eq!(ids(members.joined(.., 2)), vec![30, 10]);
        assert_eq!(ids(members.ascending(.., 9, 1)), vec![30]);
        assert!(members.remove(10));
        assert!(!members.remove(10));
        assert_eq!(ids(members.joined_backwards(..3, 5)), vec![30]);
        assert_eq!(members.len(), 2);
    }
}
