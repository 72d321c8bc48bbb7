//! Slices: what a resolved slice and a cursor hold, and the filters of a search.

use infill_crm::{Cursor, Error};
use infill_model::Class;
use infill_model::slice::ResolvedSlice;
use serde::{Deserialize, Serialize};

use crate::request::RECORD_ID;

/// What a resolved slice holds for this connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handle {
    /// A list, by its id.
    List(String),
    /// Any of the groups, in which all of the filters.
    Filter(Vec<Vec<Filter>>),
}

impl Handle {
    /// The handle as a slice keeps it.
    ///
    /// # Errors
    /// `bug` when it cannot be serialised.
    pub fn to_text(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| Error::new(Class::Bug, "slice_handle", error.to_string()))
    }

    /// The handle that a slice keeps.
    ///
    /// # Errors
    /// `bug` when it is not one of this connector's.
    pub fn of(slice: &ResolvedSlice) -> Result<Self, Error> {
        serde_json::from_str(&slice.handle).map_err(|error| {
            Error::new(
                Class::Bug,
                "slice_handle",
                format!("the slice {} is not HubSpot's: {error}", slice.label),
            )
        })
    }
}

/// Where a search goes on: above a record id, and within the answers to that question when a whole page of them
/// was empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchPlace {
    /// Ids up to this one were listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<String>,
    /// HubSpot's cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl SearchPlace {
    /// The place as a cursor.
    ///
    /// # Errors
    /// `bug` when it cannot be serialised.
    pub fn to_cursor(&self) -> Result<Cursor, Error> {
        serde_json::to_string(self)
            .map(Cursor)
            .map_err(|error| Error::new(Class::Bug, "search_cursor", error.to_string()))
    }

    /// The place that a cursor holds; the start without one.
    ///
    /// # Errors
    /// `bug` when it is not one of this connector's.
    pub fn of(cursor: Option<&Cursor>) -> Result<Self, Error> {
        cursor.map_or_else(
            || Ok(Self::default()),
            |cursor| {
                serde_json::from_str(&cursor.0)
                    .map_err(|error| Error::new(Class::Bug, "search_cursor", error.to_string()))
            },
        )
    }

    /// Where to go on after a page: above its greatest id, which passes HubSpot's wall of 10,000 results per
    /// question. A page that is not the last and yet empty (HubSpot's index still knows deleted records) is
    /// passed by HubSpot's own cursor.
    #[must_use]
    pub fn next(self, greatest: Option<&str>, after: Option<String>) -> Option<Self> {
        let after = after?;
        Some(match greatest {
            Some(greatest) => Self { above: Some(greatest.to_owned()), after: None },
            None => Self { above: self.above, after: Some(after) },
        })
    }
}

/// One filter of a search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    property_name: String,
    operator: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    high_value: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    values: Vec<String>,
}

impl Filter {
    /// A filter without a value.
    #[must_use]
    pub fn without_value(property: &str, operator: &str) -> Self {
        Self {
            property_name: property.to_owned(),
            operator: operator.to_owned(),
            value: None,
            high_value: None,
            values: Vec::new(),
        }
    }

    /// A filter with one value.
    #[must_use]
    pub fn with_value(property: &str, operator: &str, value: impl Into<String>) -> Self {
        Self { value: Some(value.into()), ..Self::without_value(property, operator) }
    }

    /// A filter with a list of values.
    #[must_use]
    pub fn with_values(property: &str, operator: &str, values: Vec<String>) -> Self {
        Self { values, ..Self::without_value(property, operator) }
    }

    /// A filter between two values, both included.
    #[must_use]
    pub fn between(property: &str, low: String, high: String) -> Self {
        Self { high_value: Some(high), ..Self::with_value(property, "BETWEEN", low) }
    }

    /// Only records with a greater id.
    #[must_use]
    pub fn id_above(id: &str) -> Self {
        Self::with_value(RECORD_ID, "GT", id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_goes_on_above_the_greatest_id_and_passes_an_empty_page() {
        let start = SearchPlace::of(None).unwrap();
        assert_eq!(start.clone().next(Some("9"), None), None);
        let above = start.next(Some("900"), Some("200".to_owned())).unwrap();
        assert_eq!(above, SearchPlace { above: Some("900".to_owned()), after: None });
        let within = above.next(None, Some("200".to_owned())).unwrap();
        assert_eq!(within, SearchPlace { above: Some("900".to_owned()), after: Some("200".to_owned()) });
        assert_eq!(SearchPlace::of(Some(&within.to_cursor().unwrap())).unwrap(), within);
    }
}
