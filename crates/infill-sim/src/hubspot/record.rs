//! One record: its values, and the versions of those that changed.

use std::borrow::Cow;
use std::sync::Arc;

use super::answer::timestamp;
use super::catalog::{Catalog, Derived, PropId};

/// A value that records, history and ledger share.
pub(crate) type Text = Arc<str>;

/// Who set a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setter {
    /// The file or list the portal began with.
    Import,
    /// A person in HubSpot's web interface.
    Person,
    /// A client of the API, by its app.
    App(u32),
}

impl Setter {
    /// HubSpot's `sourceType`.
    pub(crate) fn source_type(self) -> &'static str {
        match self {
            Self::Import => "IMPORT",
            Self::Person => "CRM_UI",
            Self::App(_) => "INTEGRATION",
        }
    }

    /// HubSpot's `sourceId`.
    pub(crate) fn source_id(self) -> String {
        match self {
            Self::Import => "1".to_owned(),
            Self::Person => "userId:9001".to_owned(),
            Self::App(id) => id.to_string(),
        }
    }
}

/// A value that a property had from a time on.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    property: PropId,
    pub(crate) value: Option<Text>,
    pub(crate) at_ms: i64,
    pub(crate) setter: Setter,
}

/// One property's part in a write.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) property: PropId,
    /// The value to store; `None` clears.
    pub(crate) value: Option<Text>,
}

/// A record of any object type.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    pub(crate) archived_ms: Option<i64>,
    creator: Setter,
    /// Ascending by property.
    values: Vec<(PropId, Text)>,
    /// In the order of time; only of properties that changed since the record was made.
    versions: Vec<Version>,
}

impl Record {
    pub(crate) fn new(id: u64, created_ms: i64, creator: Setter, mut values: Vec<(PropId, Text)>) -> Self {
        values.sort_unstable_by_key(|(property, _)| *property);
        values.shrink_to_fit();
        Self {
            id,
            created_ms,
            updated_ms: created_ms,
            archived_ms: None,
            creator,
            values,
            versions: Vec::new(),
        }
    }

    /// The stored value.
    pub(crate) fn stored(&self, property: PropId) -> Option<&Text> {
        let at = self.values.binary_search_by_key(&property, |(id, _)| *id).ok()?;
        self.values.get(at).map(|(_, value)| value)
    }

    /// Every stored value.
    pub(crate) fn all_stored(&self) -> &[(PropId, Text)] {
        &self.values
    }

    /// Sets a value and returns the old one; a version is kept when it changed.
    pub(crate) fn set(&mut self, change: &Change, at_ms: i64, setter: Setter) -> Option<Text> {
        let Change { property, value } = change;
        let place = self.values.binary_search_by_key(property, |(id, _)| *id);
        let old = place.ok().and_then(|at| self.values.get(at)).map(|(_, value)| Arc::clone(value));
        if old == *value {
            return old;
        }
        self.keep_version(*property, old.clone(), value.clone(), at_ms, setter);
        match (place, value) {
            (Ok(at), Some(value)) => {
                if let Some(slot) = self.values.get_mut(at) {
                    slot.1 = Arc::clone(value);
                }
            }
            (Ok(at), None) => {
                self.values.remove(at);
            }
            (Err(at), Some(value)) => self.values.insert(at, (*property, Arc::clone(value))),
            (Err(_), None) => {}
        }
        old
    }

    fn keep_version(
        &mut self,
        property: PropId,
        old: Option<Text>,
        new: Option<Text>,
        at_ms: i64,
        setter: Setter,
    ) {
        let is_first = !self.versions.iter().any(|version| version.property == property);
        if is_first && old.is_some() {
            let (at_ms, setter) = (self.created_ms, self.creator);
            self.versions.push(Version { property, value: old, at_ms, setter });
        }
        self.versions.push(Version { property, value: new, at_ms, setter });
    }

    /// The value including those that follow from the record itself.
    pub(crate) fn value(&self, catalog: &Catalog, property: PropId) -> Option<Cow<'_, str>> {
        match catalog.get(property)?.derived {
            None => self.stored(property).map(|value| Cow::Borrowed(&**value)),
            Some(derived) => self.derive(catalog, derived).map(Cow::Owned),
        }
    }

    fn derive(&self, catalog: &Catalog, derived: Derived) -> Option<String> {
        let stored = |name: &str| catalog.find(name).and_then(|(id, _)| self.stored(id));
        match derived {
            Derived::Id => Some(self.id.to_string()),
            Derived::CreatedAt => Some(timestamp(self.created_ms)),
            Derived::UpdatedAt => Some(timestamp(self.updated_ms)),
            Derived::EmailDomain => stored("email")?.split_once('@').map(|(_, domain)| domain.to_owned()),
            Derived::FullNameOrEmail => {
                let names: Vec<&str> = [stored("firstname"), stored("lastname")]
                    .into_iter()
                    .flatten()
                    .map(|name| &**name)
                    .collect();
                if names.is_empty() {
                    stored("email").map(ToString::to_string)
                } else {
                    Some(names.join(" "))
                }
            }
            Derived::SearchablePhone => {
                let digits: String = stored("phone")?.chars().filter(char::is_ascii_digit).collect();
                // Without the country code of North America.
                let national = digits.strip_prefix('1').filter(|rest| rest.len() == 10);
                Some(national.unwrap_or(&digits).to_owned()).filter(|digits| !digits.is_empty())
            }
        }
    }

    /// The value at a time: what an index that lags behind still holds.
    pub(crate) fn value_at(&self, catalog: &Catalog, property: PropId, at_ms: i64) -> Option<Cow<'_, str>> {
        let mut versions = self.versions.iter().filter(|version| version.property == property).peekable();
        if versions.peek().is_none() {
            return self.value(catalog, property);
        }
        let last = versions.take_while(|version| version.at_ms <= at_ms).last()?;
        last.value.as_deref().map(Cow::Borrowed)
    }

    /// The property's versions, the newest first. A value that never changed has one, the record's creation.
    pub(crate) fn history(&self, catalog: &Catalog, property: PropId) -> Vec<Version> {
        let kept: Vec<Version> =
            self.versions.iter().rev().filter(|version| version.property == property).cloned().collect();
        if !kept.is_empty() {
            return kept;
        }
        let value = self.value(catalog, property).map(|value| Text::from(&*value));
        let one =
            |value| Version { property, value: Some(value), at_ms: self.created_ms, setter: self.creator };
        value.map(one).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(property: PropId, value: Option<&str>) -> Change {
        Change { property, value: value.map(Text::from) }
    }

    #[test]
    fn history_begins_with_the_value_the_record_was_made_with() {
        let catalog = Catalog::of("contacts");
        let (phone, _) = catalog.find("phone").unwrap();
        let mut record = Record::new(1, 1_000, Setter::Import, vec![(phone, "1".into())]);
        assert_eq!(record.history(&catalog, phone).len(), 1);
        record.set(&change(phone, Some("2")), 2_000, Setter::App(7));
        record.set(&change(phone, Some("2")), 3_000, Setter::App(7));
        record.set(&change(phone, None), 4_000, Setter::Person);
        let history: Vec<(Option<String>, i64)> = record
            .history(&catalog, phone)
            .into_iter()
            .map(|version| (version.value.map(|value| value.to_string()), version.at_ms))
            .collect();
        assert_eq!(history, vec![(None, 4_000), (Some("2".into()), 2_000), (Some("1".into()), 1_000)]);
        assert_eq!(record.value_at(&catalog, phone, 1_999).as_deref(), Some("1"));
        assert_eq!(record.value_at(&catalog, phone, 2_000).as_deref(), Some("2"));
        assert_eq!(record.value_at(&catalog, phone, 4_000), None);
    }

    #[test]
    fn a_value_set_later_was_not_there_before() {
        let catalog = Catalog::of("contacts");
        let (phone, _) = catalog.find("phone").unwrap();
        let mut record = Record::new(1, 1_000, Setter::Import, Vec::new());
        assert_eq!(record.set(&change(phone, Some("2")), 2_000, Setter::App(7)), None);
        assert_eq!(record.value_at(&catalog, phone, 1_999), None);
        assert_eq!(record.stored(phone).map(|value| &**value), Some("2"));
    }
}
