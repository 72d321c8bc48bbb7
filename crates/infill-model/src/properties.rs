//! The properties of one record, kept small: a worker has tens of thousands of them in memory.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Index;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;

use crate::id::PropertyName;

/// The properties of one record, by name. A name that is missing was not asked for or does not exist on the
/// record; `Value::Null` is a property that is known and unset.
///
/// A sorted list: records have a few properties each, for which a tree takes several times the room.
#[derive(Clone, Default, PartialEq)]
pub struct Properties(Vec<(PropertyName, Value)>);

impl Properties {
    /// No properties.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn place<Q: Ord + ?Sized>(&self, name: &Q) -> Result<usize, usize>
    where
        PropertyName: Borrow<Q>,
    {
        self.0.binary_search_by(|(known, _)| known.borrow().cmp(name))
    }

    /// The value of a name.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, name: &Q) -> Option<&Value>
    where
        PropertyName: Borrow<Q>,
    {
        self.0.get(self.place(name).ok()?).map(|(_, value)| value)
    }

    /// Whether there is a value of this name, null included.
    #[must_use]
    pub fn contains_key<Q: Ord + ?Sized>(&self, name: &Q) -> bool
    where
        PropertyName: Borrow<Q>,
    {
        self.place(name).is_ok()
    }

    /// Sets a value; gives the one before.
    pub fn insert(&mut self, name: PropertyName, value: Value) -> Option<Value> {
        match self.place(&name) {
            Ok(place) => self.0.get_mut(place).map(|(_, known)| std::mem::replace(known, value)),
            Err(place) => {
                // Room for one more: growth by doubling would leave half of it empty in every record.
                self.0.reserve_exact(1);
                self.0.insert(place, (name, value));
                None
            }
        }
    }

    /// Takes a value out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, name: &Q) -> Option<Value>
    where
        PropertyName: Borrow<Q>,
    {
        let place = self.place(name).ok()?;
        Some(self.0.remove(place).1)
    }

    /// Takes all of them out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Names and values, by name.
    pub fn iter(&self) -> Iter<'_> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// The names, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &PropertyName> {
        self.0.iter().map(|(name, _)| name)
    }

    /// The values, by name.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Value> {
        self.0.iter().map(|(_, value)| value)
    }
}

/// Names and values, by name.
pub type Iter<'a> = std::iter::Map<
    std::slice::Iter<'a, (PropertyName, Value)>,
    fn(&(PropertyName, Value)) -> (&PropertyName, &Value),
>;

impl<'a> IntoIterator for &'a Properties {
    type Item = (&'a PropertyName, &'a Value);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl IntoIterator for Properties {
    type Item = (PropertyName, Value);
    type IntoIter = std::vec::IntoIter<(PropertyName, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<(PropertyName, Value)> for Properties {
    /// Of several values of one name the last one stays.
    fn from_iter<I: IntoIterator<Item = (PropertyName, Value)>>(entries: I) -> Self {
        let entries = entries.into_iter();
        let mut properties = Self(Vec::with_capacity(entries.size_hint().0));
        properties.extend(entries);
        properties
    }
}

impl Extend<(PropertyName, Value)> for Properties {
    fn extend<I: IntoIterator<Item = (PropertyName, Value)>>(&mut self, entries: I) {
        for (name, value) in entries {
            self.insert(name, value);
        }
    }
}

impl<const N: usize> From<[(PropertyName, Value); N]> for Properties {
    fn from(entries: [(PropertyName, Value); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<Q: Ord + ?Sized> Index<&Q> for Properties
where
    PropertyName: Borrow<Q>,
{
    type Output = Value;

    /// The value of a name; null for one that is missing.
    fn index(&self, name: &Q) -> &Value {
        static NULL: Value = Value::Null;
        self.get(name).unwrap_or(&NULL)
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Properties;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("properties by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Properties, A::Error> {
                let mut properties = Properties::new();
                while let Some((name, value)) = map.next_entry()? {
                    properties.insert(name, value);
                }
                Ok(properties)
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn they_are_written_and_read_as_an_object() {
        let properties: Properties = [("b".into(), json!(null)), ("a".into(), json!("x"))].into();
        let text = serde_json::to_string(&properties).unwrap();
        assert_eq!(text, r#"{"a":"x","b":null}"#);
        assert_eq!(serde_json::from_str::<Properties>(&text).unwrap(), properties);
        assert_eq!(serde_json::from_str::<Properties>(r#"{"a":1,"a":2}"#).unwrap()["a"], 2);
        assert!(serde_json::from_str::<Properties>("[]").is_err());
    }

    proptest! {
        #[test]
        fn they_are_a_sorted_map(steps in prop::collection::vec((0..6_u8, any::<Option<u8>>()), 0..30)) {
            let (mut properties, mut map) = (Properties::new(), BTreeMap::new());
            for (name, value) in steps {
                let name = PropertyName::from(name.to_string());
                match value {
                    Some(value) => {
                        prop_assert_eq!(
                            properties.insert(name.clone(), json!(value)),
                            map.insert(name, json!(value))
                        );
                    }
                    None => prop_assert_eq!(properties.remove(&name), map.remove(&name)),
                }
            }
            prop_assert!(properties.iter().eq(map.iter()));
            prop_assert!(properties.keys().eq(map.keys()) && properties.values().eq(map.values()));
            prop_assert_eq!((properties.len(), properties.is_empty()), (map.len(), map.is_empty()));
            for name in (0..6_u8).map(|name| name.to_string()) {
                prop_assert_eq!(properties.get(name.as_str()), map.get(name.as_str()));
                prop_assert_eq!(properties.contains_key(name.as_str()), map.contains_key(name.as_str()));
            }
            prop_assert_eq!(map.into_iter().collect::<Properties>(), properties);
        }
    }
}
