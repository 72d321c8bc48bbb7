//! Properties of the live catalog.

use serde::{Deserialize, Serialize};

use crate::id::PropertyName;

/// The definition of one property, in words that fit every CRM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertyDef {
    /// The internal name.
    pub name: PropertyName,
    /// What the CRM's screens call it.
    pub label: String,
    /// The kind of value.
    pub kind: PropertyKind,
    /// The CRM's own word for the type, for people.
    pub vendor_type: String,
    /// `None` when it can be written, else why not.
    pub read_only: Option<String>,
    /// The values an enumeration allows; empty unless [`PropertyKind::Enumeration`] or
    /// [`PropertyKind::MultiEnumeration`].
    pub options: Vec<PropertyOption>,
    /// The options live elsewhere (owners, stages), so an empty list does not mean "nothing allowed".
    pub external_options: bool,
    /// Which of the options a record takes, where that is not the same for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options_by: Option<OptionsBy>,
}

/// Options that only some records take: another property of the record tells which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionsBy {
    /// The property that tells of what kind a record is.
    pub property: PropertyName,
    /// The kinds. A record of any other kind takes every option.
    pub kinds: Vec<RecordKind>,
}

/// The records of an object that take the same options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordKind {
    /// What the property that tells holds.
    pub value: String,
    /// What screens call it.
    pub label: String,
    /// The values they take; `None` as long as nobody has asked, or when nobody can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<String>>,
}

/// One allowed value of an enumeration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertyOption {
    /// What is written.
    pub value: String,
    /// What screens show.
    pub label: String,
}

/// The kind of a property's value, as far as writing and comparing it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PropertyKind {
    /// Text, kept as it is.
    Text,
    /// Rich text the CRM may rewrite.
    Html,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// A day.
    Date,
    /// A moment.
    DateTime,
    /// One of a set of options.
    Enumeration,
    /// Several of a set of options.
    MultiEnumeration,
    /// Anything else: compared as it is.
    Other,
}
