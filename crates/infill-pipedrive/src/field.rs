//! What a field of Pipedrive holds, and which built-in fields can be written.
//!
//! The catalogue has no mark for what can be written, so [`WRITABLE`] is a closed list made from the bodies that the
//! API takes. Custom fields, whose codes are hashes of 40 characters that differ from account to account, can all be
//! written when their type is known.

use infill_model::property::{PropertyDef, PropertyKind};

use crate::object::Object;

/// The shape of a field's value, as far as writing and comparing it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Text of at most so many characters.
    Text(usize),
    /// E-mail addresses, of which the primary one is read and written.
    Emails,
    /// Telephone numbers, of which the primary one is read and written.
    Phones,
    /// A decimal number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Bool,
    /// A day.
    Date,
    /// A moment.
    DateTime,
    /// One option, by its id.
    Choice,
    /// Several options, by their ids.
    Choices,
    /// An amount with its currency.
    Money,
    /// A day and a later one.
    DateRange,
    /// A time of day.
    Time,
    /// A time of day and a later one.
    TimeRange,
    /// A postal address, by its text.
    Address,
    /// The id of another record or of a user.
    Reference,
    /// Anything else: not written.
    Unknown,
}

/// Characters of a `varchar`.
const VARCHAR: usize = 255;
/// Characters of a `text`.
const LONG_TEXT: usize = 65_000;

/// Pipedrive's types, and ours for built-in fields whose type says less than their place does.
const SHAPES: [(&str, Shape); 28] = [
    ("varchar", Shape::Text(VARCHAR)),
    ("varchar_auto", Shape::Text(VARCHAR)),
    ("text", Shape::Text(LONG_TEXT)),
    ("double", Shape::Number),
    ("int", Shape::Integer),
    ("monetary", Shape::Money),
    ("date", Shape::Date),
    ("datetime", Shape::DateTime),
    ("daterange", Shape::DateRange),
    ("time", Shape::Time),
    ("timerange", Shape::TimeRange),
    ("address", Shape::Address),
    ("boolean", Shape::Bool),
    ("bool", Shape::Bool),
    ("enum", Shape::Choice),
    ("set", Shape::Choices),
    ("label", Shape::Choices),
    ("visible_to", Shape::Choice),
    ("status", Shape::Choice),
    ("user", Shape::Reference),
    ("org", Shape::Reference),
    ("organization", Shape::Reference),
    ("people", Shape::Reference),
    ("person", Shape::Reference),
    ("deal", Shape::Reference),
    ("stage", Shape::Reference),
    ("pipeline", Shape::Reference),
    // A custom telephone number is plain text; a person's are a list, and listed below under a type of their own.
    ("phone", Shape::Text(VARCHAR)),
];

/// The type of a person's e-mail addresses.
const EMAILS: &str = "emails";
/// The type of a person's telephone numbers.
const PHONES: &str = "phones";

/// A built-in field that the API lets be written, and its type there.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// What has it.
    pub object: Object,
    /// Its code in the catalogue.
    pub code: &'static str,
    /// Its type, which may be another than the catalogue's.
    pub field_type: &'static str,
}

const fn built_in(object: Object, code: &'static str, field_type: &'static str) -> BuiltIn {
    BuiltIn { object, code, field_type }
}

/// Every built-in field that can be written. Absent on purpose: `is_deleted`, lists of objects (prices, participants,
/// attendees, `im`), and times that Pipedrive keeps by itself.
pub const WRITABLE: [BuiltIn; 67] = [
    built_in(Object::Person, "name", "varchar"),
    built_in(Object::Person, "owner_id", "user"),
    built_in(Object::Person, "org_id", "org"),
    built_in(Object::Person, "email", EMAILS),
    built_in(Object::Person, "phone", PHONES),
    // The catalogue may call them as records do.
    built_in(Object::Person, "emails", EMAILS),
    built_in(Object::Person, "phones", PHONES),
    built_in(Object::Person, "visible_to", "visible_to"),
    built_in(Object::Person, "label_ids", "set"),
    built_in(Object::Person, "marketing_status", "enum"),
    built_in(Object::Person, "postal_address", "address"),
    built_in(Object::Person, "notes", "text"),
    built_in(Object::Person, "birthday", "date"),
    built_in(Object::Person, "job_title", "varchar"),
    built_in(Object::Organization, "name", "varchar"),
    built_in(Object::Organization, "owner_id", "user"),
    built_in(Object::Organization, "visible_to", "visible_to"),
    built_in(Object::Organization, "label_ids", "set"),
    built_in(Object::Organization, "address", "address"),
    built_in(Object::Organization, "website", "varchar"),
    built_in(Object::Organization, "linkedin", "varchar"),
    built_in(Object::Organization, "industry", "enum"),
    built_in(Object::Organization, "annual_revenue", "int"),
    built_in(Object::Organization, "employee_count", "int"),
    built_in(Object::Deal, "title", "varchar"),
    built_in(Object::Deal, "owner_id", "user"),
    built_in(Object::Deal, "person_id", "person"),
    built_in(Object::Deal, "org_id", "org"),
    built_in(Object::Deal, "pipeline_id", "pipeline"),
    built_in(Object::Deal, "stage_id", "stage"),
    // A number, beside its currency: not the object that a custom amount is.
    built_in(Object::Deal, "value", "double"),
    built_in(Object::Deal, "currency", "varchar"),
    built_in(Object::Deal, "status", "status"),
    built_in(Object::Deal, "probability", "double"),
    built_in(Object::Deal, "lost_reason", "varchar"),
    built_in(Object::Deal, "visible_to", "visible_to"),
    built_in(Object::Deal, "close_time", "datetime"),
    built_in(Object::Deal, "won_time", "datetime"),
    built_in(Object::Deal, "lost_time", "datetime"),
    built_in(Object::Deal, "expected_close_date", "date"),
    built_in(Object::Deal, "label_ids", "set"),
    built_in(Object::Lead, "title", "varchar"),
    built_in(Object::Lead, "owner_id", "user"),
    built_in(Object::Lead, "person_id", "person"),
    built_in(Object::Lead, "organization_id", "org"),
    built_in(Object::Lead, "value", "monetary"),
    built_in(Object::Lead, "expected_close_date", "date"),
    built_in(Object::Lead, "was_seen", "boolean"),
    built_in(Object::Product, "name", "varchar"),
    built_in(Object::Product, "code", "varchar"),
    built_in(Object::Product, "description", "text"),
    built_in(Object::Product, "unit", "varchar"),
    built_in(Object::Product, "tax", "double"),
    built_in(Object::Product, "category", "enum"),
    built_in(Object::Product, "owner_id", "user"),
    built_in(Object::Product, "visible_to", "visible_to"),
    built_in(Object::Product, "billing_frequency", "enum"),
    built_in(Object::Activity, "subject", "varchar"),
    built_in(Object::Activity, "type", "enum"),
    built_in(Object::Activity, "owner_id", "user"),
    built_in(Object::Activity, "due_date", "date"),
    built_in(Object::Activity, "busy", "boolean"),
    built_in(Object::Activity, "done", "boolean"),
    built_in(Object::Activity, "location", "address"),
    built_in(Object::Activity, "public_description", "text"),
    built_in(Object::Activity, "priority", "enum"),
    built_in(Object::Activity, "note", "text"),
];

/// Fields of persons that exist only while Contact Sync is on; a write to them is refused with 403 otherwise.
pub const CONTACT_SYNC: [&str; 5] = ["postal_address", "notes", "im", "birthday", "job_title"];

/// Built-in fields that are answered only when asked for by `include_fields`, on some object or another.
pub const ON_REQUEST: [&str; 30] = [
    "activities_count",
    "closed_deals_count",
    "doi_status",
    "done_activities_count",
    "email_messages_count",
    "files_count",
    "first_won_time",
    "followers_count",
    "last_activity_id",
    "last_incoming_mail_time",
    "last_outgoing_mail_time",
    "lost_deals_count",
    "marketing_status",
    "next_activity_id",
    "notes_count",
    "open_deals_count",
    "participant_closed_deals_count",
    "participant_open_deals_count",
    "participants_count",
    "people_count",
    "products_count",
    "related_closed_deals_count",
    "related_lost_deals_count",
    "related_open_deals_count",
    "related_won_deals_count",
    "smart_bcc_email",
    "source_lead_id",
    "undone_activities_count",
    "won_deals_count",
    "attendees",
];

/// Where a field stands in a record when not under its own code.
const ELSEWHERE: [(&str, &str); 3] = [("email", "emails"), ("phone", "phones"), ("label", "label_ids")];

/// The key of a built-in field in a record.
#[must_use]
pub fn record_key(code: &str) -> &str {
    ELSEWHERE.iter().find(|(known, _)| *known == code).map_or(code, |(_, key)| key)
}

/// Whether a code is that of a custom field.
#[must_use]
pub fn is_custom(code: &str) -> bool {
    const LENGTH: usize = 40;
    code.len() == LENGTH && code.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The built-in field of that code, when it can be written.
#[must_use]
pub fn writable(object: Object, code: &str) -> Option<&'static BuiltIn> {
    WRITABLE.iter().find(|known| known.object == object && known.code == code)
}

/// The shape of a type.
#[must_use]
pub fn shape_of(field_type: &str) -> Shape {
    match field_type {
        EMAILS => Shape::Emails,
        PHONES => Shape::Phones,
        _ => {
            SHAPES.iter().find(|(known, _)| *known == field_type).map_or(Shape::Unknown, |(_, shape)| *shape)
        }
    }
}

/// The shape of a property.
#[must_use]
pub fn shape(property: &PropertyDef) -> Shape {
    shape_of(&property.vendor_type)
}

impl Shape {
    /// Whether its values are options.
    #[must_use]
    pub const fn is_choice(self) -> bool {
        matches!(self, Self::Choice | Self::Choices)
    }

    /// The kind in the words that fit every CRM.
    #[must_use]
    pub const fn kind(self) -> PropertyKind {
        match self {
            Self::Text(_) => PropertyKind::Text,
            Self::Emails => PropertyKind::Email,
            Self::Phones => PropertyKind::Phone,
            Self::Number | Self::Integer => PropertyKind::Number,
            Self::Bool => PropertyKind::Bool,
            Self::Date => PropertyKind::Date,
            Self::DateTime => PropertyKind::DateTime,
            Self::Choice => PropertyKind::Enumeration,
            Self::Choices => PropertyKind::MultiEnumeration,
            Self::Money
            | Self::DateRange
            | Self::Time
            | Self::TimeRange
            | Self::Address
            | Self::Reference
            | Self::Unknown => PropertyKind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_writable_field_is_listed_once_with_a_known_shape() {
        let distinct: BTreeSet<(&str, &str)> =
            WRITABLE.iter().map(|field| (field.object.name(), field.code)).collect();
        assert_eq!(distinct.len(), WRITABLE.len());
        for field in WRITABLE {
            assert_ne!(shape_of(field.field_type), Shape::Unknown, "{field:?}");
        }
        assert!(writable(Object::Deal, "is_deleted").is_none());
    }

    #[test]
    fn a_custom_field_is_known_by_its_hash() {
        assert!(is_custom("9dc80c50d78a15643bfc4ca79d76156a73a1ca0e"));
        for code in
            ["name", "9dc80c50d78a15643bfc4ca79d76156a73a1ca0", "zdc80c50d78a15643bfc4ca79d76156a73a1ca0e"]
        {
            assert!(!is_custom(code), "{code}");
        }
        assert_eq!((record_key("email"), record_key("name")), ("emails", "name"));
    }
}
