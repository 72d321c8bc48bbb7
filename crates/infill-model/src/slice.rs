//! The slice: which records a plan selects.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{ListId, ObjectType, PropertyName, RecordId};
use crate::plan::Condition;
use crate::row::Cause;
use crate::value::Properties;

/// How records are selected. Exactly one way per plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// A list, by id or by name.
    List(ListId),
    /// Records that meet conditions on their properties.
    Filter(Vec<Condition>),
    /// A saved view, by id or by label.
    View(String),
    /// A query in the CRM's own language.
    Query(String),
    /// A CSV file of record ids.
    Ids(Ids),
}

/// A CSV file of record ids, as a plan names it: `people.csv`, or `{ file: people.csv, column: "Record ID" }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Ids {
    /// The file alone: its id column has one of the CRM's usual headers.
    File(String),
    /// The file, and the header of its id column.
    Column(IdsColumn),
}

/// A file of record ids with the header of its id column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdsColumn {
    /// The file, relative to the plan; `-` is standard input.
    pub file: String,
    /// The header of the id column, as the file spells it.
    pub column: String,
}

impl Ids {
    /// The file, relative to the plan; `-` is standard input.
    #[must_use]
    pub fn file(&self) -> &str {
        match self {
            Self::File(file) => file,
            Self::Column(ids) => &ids.file,
        }
    }

    /// The header of the id column, when the plan names it.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::File(_) => None,
            Self::Column(ids) => Some(&ids.column),
        }
    }
}

/// One line of a file of record ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Supplied {
    /// The record; for a line that cannot be used, [`Supplied::name_of`] it.
    pub record: RecordId,
    /// The line of the file, from 1, on which it begins.
    pub line: u64,
    /// The inputs that the file has.
    pub inputs: Properties,
    /// Why the line cannot be used, if it cannot.
    pub fault: Option<Cause>,
}

impl Supplied {
    /// What stands in the place of a record id for a line that has none.
    #[must_use]
    pub fn name_of(line: u64) -> RecordId {
        format!("line {line}").into()
    }

    /// Whether that stands in the place of a record id.
    #[must_use]
    pub fn is_name(record: &RecordId) -> bool {
        let number = record.as_str().strip_prefix("line ");
        number.is_some_and(|number| number.parse::<u64>().is_ok())
    }

    /// Its place in the order in which lines are worked on.
    #[must_use]
    pub const fn place(&self) -> SuppliedPlace {
        SuppliedPlace { is_faulty: self.fault.is_some(), line: self.line }
    }
}

/// A place in the order in which the lines of a file are worked on: as they stand in it, but those that cannot be used
/// last, so that they do not fail the canary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SuppliedPlace {
    /// Whether the line cannot be used.
    pub is_faulty: bool,
    /// The line.
    pub line: u64,
}

/// What was taken in of a file of record ids before its run was recorded; a slice of ids holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supply {
    /// Inputs that the file has: they are not read from the CRM.
    pub inputs: Vec<PropertyName>,
    /// Lines that can be used.
    pub n_sound: u64,
}

impl Supply {
    /// The slice that holds it: `size` lines in all.
    #[must_use]
    pub fn into_slice(self, object: ObjectType, label: String, size: Option<u64>) -> ResolvedSlice {
        let handle = serde_json::json!(self).to_string();
        ResolvedSlice { object, label, size, readiness: Readiness::Ready, handle }
    }

    /// What a slice of ids holds; nothing for any other slice.
    #[must_use]
    pub fn of(slice: &ResolvedSlice) -> Option<Self> {
        serde_json::from_str(&slice.handle).ok()
    }
}

/// A slice as the connector found it in the CRM; what `source-sync` works from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedSlice {
    /// The kind of record.
    pub object: ObjectType,
    /// What a person calls it: `list "Newsletter" (42, static)`.
    pub label: String,
    /// How many records the CRM says it holds now, where it says so.
    pub size: Option<u64>,
    /// Whether it can be pulled now.
    pub readiness: Readiness,
    /// What the connector needs to page through it; opaque to everyone else.
    pub handle: String,
}

/// Whether a slice can be pulled now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Yes.
    Ready,
    /// The CRM is still computing it: ask again later.
    Processing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_of_ids_holds_its_supply_and_no_other_slice_does() {
        let supply = Supply { inputs: vec!["firstname".into()], n_sound: 7 };
        let slice = supply.clone().into_slice("contacts".into(), "ids of a.csv".into(), Some(9));
        assert_eq!((Supply::of(&slice), slice.size), (Some(supply), Some(9)));
        for handle in ["", "42", r#"{"list":"42"}"#, r#"{"filter":[]}"#] {
            assert_eq!(Supply::of(&ResolvedSlice { handle: handle.into(), ..slice.clone() }), None);
        }
    }

    #[test]
    fn what_stands_in_the_place_of_a_record_is_known() {
        assert!(Supplied::is_name(&Supplied::name_of(7)));
        assert!(!Supplied::is_name(&"7".into()) && !Supplied::is_name(&"line of business".into()));
    }

    #[test]
    fn lines_that_cannot_be_used_come_last() {
        let place = |is_faulty, line| SuppliedPlace { is_faulty, line };
        let mut places = [place(true, 2), place(false, 9), place(true, 1), place(false, 3)];
        places.sort();
        assert_eq!(places.map(|place| place.line), [3, 9, 1, 2]);
    }
}
