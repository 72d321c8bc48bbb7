//! The objects of an org and their fields, as describe tells them.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

const FIELDS: &str = include_str!("../../data/salesforce_fields.csv");

/// Place of a field in its object's catalog.
pub(crate) type FieldId = u16;

/// An object (the vendor's "sObject").
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) plural: &'static str,
    /// The first three characters of its ids.
    pub(crate) prefix: &'static str,
    /// Number in the id of the first record.
    pub(crate) first_number: u64,
    /// Whether clients may write it.
    pub(crate) is_writable: bool,
}

const fn object(
    name: &'static str,
    label: &'static str,
    plural: &'static str,
    prefix: &'static str,
) -> Object {
    Object { name, label, plural, prefix, first_number: 1_000_000_001, is_writable: true }
}

const fn setup(
    name: &'static str,
    label: &'static str,
    plural: &'static str,
    prefix: &'static str,
) -> Object {
    Object { name, label, plural, prefix, first_number: 1_000_000_001, is_writable: false }
}

/// Every object of an org.
pub(crate) static OBJECTS: [Object; 8] = [
    object("Account", "Account", "Accounts", "001"),
    object("Contact", "Contact", "Contacts", "003"),
    object("Lead", "Lead", "Leads", "00Q"),
    object("Opportunity", "Opportunity", "Opportunities", "006"),
    object("Task", "Task", "Tasks", "00T"),
    setup("User", "User", "Users", "005"),
    setup("RecordType", "Record Type", "Record Types", "012"),
    setup("Organization", "Organization", "Organizations", "00D"),
];

/// The kinds of fields, by the vendor's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Id,
    Text,
    TextArea,
    Phone,
    Url,
    Email,
    Picklist,
    MultiPicklist,
    Boolean,
    Int,
    Double,
    Currency,
    Percent,
    Date,
    DateTime,
    Reference,
    Address,
}

impl Kind {
    const ALL: [Self; 17] = [
        Self::Id,
        Self::Text,
        Self::TextArea,
        Self::Phone,
        Self::Url,
        Self::Email,
        Self::Picklist,
        Self::MultiPicklist,
        Self::Boolean,
        Self::Int,
        Self::Double,
        Self::Currency,
        Self::Percent,
        Self::Date,
        Self::DateTime,
        Self::Reference,
        Self::Address,
    ];

    /// The vendor's `fieldType`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Text => "string",
            Self::TextArea => "textarea",
            Self::Phone => "phone",
            Self::Url => "url",
            Self::Email => "email",
            Self::Picklist => "picklist",
            Self::MultiPicklist => "multipicklist",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Double => "double",
            Self::Currency => "currency",
            Self::Percent => "percent",
            Self::Date => "date",
            Self::DateTime => "datetime",
            Self::Reference => "reference",
            Self::Address => "address",
        }
    }

    /// The vendor's `soapType`.
    pub(crate) fn soap_type(self) -> &'static str {
        match self {
            Self::Id | Self::Reference => "tns:ID",
            Self::Boolean => "xsd:boolean",
            Self::Int => "xsd:int",
            Self::Double | Self::Currency | Self::Percent => "xsd:double",
            Self::Date => "xsd:date",
            Self::DateTime => "xsd:dateTime",
            Self::Address => "urn:address",
            Self::Text
            | Self::TextArea
            | Self::Phone
            | Self::Url
            | Self::Email
            | Self::Picklist
            | Self::MultiPicklist => "xsd:string",
        }
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Double | Self::Currency | Self::Percent)
    }
}

/// One value of a picklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PicklistValue {
    pub(crate) value: String,
    pub(crate) is_active: bool,
    pub(crate) is_default: bool,
    /// Places of the controlling field's values with which it may be used; empty when there is no controlling field.
    pub(crate) valid_for: Vec<usize>,
}

/// One field.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: Arc<str>,
    pub(crate) label: String,
    pub(crate) kind: Kind,
    /// Most characters; zero where there is no such limit.
    pub(crate) length: usize,
    /// Digits in all, for numbers.
    pub(crate) precision: usize,
    /// Digits after the point.
    pub(crate) scale: usize,
    pub(crate) createable: bool,
    pub(crate) updateable: bool,
    pub(crate) nillable: bool,
    pub(crate) calculated: bool,
    pub(crate) auto_number: bool,
    pub(crate) restricted: bool,
    pub(crate) external_id: bool,
    pub(crate) id_lookup: bool,
    pub(crate) unique: bool,
    pub(crate) defaulted: bool,
    /// The compound field it is part of.
    pub(crate) compound: Option<String>,
    /// The field whose value decides which values of this picklist may be used.
    pub(crate) controller: Option<String>,
    pub(crate) refers: Vec<String>,
    pub(crate) relationship: Option<String>,
    pub(crate) values: Vec<PicklistValue>,
}

impl Field {
    pub(crate) fn is_custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    /// A text field that an administrator has added.
    pub(crate) fn custom_text(name: &str, label: &str) -> Self {
        let line =
            Line { name: name.to_owned(), label: label.to_owned(), flags: "w".to_owned(), ..Line::default() };
        Self { length: 255, ..Self::of(line) }
    }

    /// Whether a query may select by it: not by a long text, nor by a field that others make up.
    pub(crate) fn is_filterable(&self) -> bool {
        const LONGEST_SHORT_TEXT: usize = 255;
        self.kind != Kind::Address && (self.kind != Kind::TextArea || self.length <= LONGEST_SHORT_TEXT)
    }

    /// Whether an upsert may name the record by it.
    pub(crate) fn is_key(&self) -> bool {
        (self.external_id || self.id_lookup) && !self.auto_number
    }

    fn of(line: Line) -> Self {
        let has = |flag: char| line.flags.contains(flag);
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == line.kind).unwrap_or(Kind::Text);
        let (whole, scale) = line.size.split_once('.').unwrap_or((&line.size, "0"));
        let size: usize = whole.parse().unwrap_or(0);
        let (targets, relationship) = line.refers.split_once(':').unwrap_or((&line.refers, ""));
        let split = |text: &str, by: char| {
            text.split(by).filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let related = Some(line.compound).filter(|name| !name.is_empty());
        let is_picklist = matches!(kind, Kind::Picklist | Kind::MultiPicklist);
        let is_dependent = is_picklist && line.values.contains('@');
        Self {
            name: line.name.into(),
            label: line.label,
            kind,
            length: if kind.is_number() { 0 } else { size },
            precision: if kind.is_number() { size } else { 0 },
            scale: scale.parse().unwrap_or(0),
            createable: has('w') || has('c'),
            updateable: has('w'),
            nillable: !has('R') && (has('w') || has('n') || has('k')) && kind != Kind::Boolean,
            calculated: has('k'),
            auto_number: has('a'),
            restricted: has('r'),
            external_id: has('x'),
            id_lookup: has('i'),
            unique: has('q'),
            defaulted: has('d'),
            controller: related.clone().filter(|_| is_dependent),
            compound: related.filter(|_| !is_dependent),
            relationship: Some(relationship.to_owned()).filter(|name| !name.is_empty()),
            refers: split(targets, '|'),
            values: split(&line.values, '|').iter().map(|text| picklist_value(text)).collect(),
        }
    }
}

/// `value`, with `*` after it for the default, `!` for an inactive one, `@0.1` for controlling values.
fn picklist_value(text: &str) -> PicklistValue {
    let (text, valid_for) = text.split_once('@').unwrap_or((text, ""));
    PicklistValue {
        value: text.trim_end_matches(['*', '!']).to_owned(),
        is_active: !text.ends_with('!'),
        is_default: text.ends_with('*'),
        valid_for: valid_for.split('.').filter_map(|place| place.parse().ok()).collect(),
    }
}

/// A line of the bundled catalog; `data/README.md` explains its columns.
#[derive(Debug, Default, Deserialize)]
struct Line {
    object: String,
    name: String,
    label: String,
    #[serde(rename = "type")]
    kind: String,
    size: String,
    flags: String,
    compound: String,
    refers: String,
    values: String,
}

/// The fields of one object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalog {
    /// A deleted field leaves its place empty, so that places stay.
    fields: Vec<Option<Field>>,
    by_name: HashMap<String, FieldId>,
}

impl Catalog {
    pub(crate) fn of(object: &str) -> Self {
        let mut catalog = Self::default();
        let mut reader = csv::Reader::from_reader(FIELDS.as_bytes());
        // A test reads every line of the bundled file.
        for line in reader.deserialize::<Line>().filter_map(Result::ok) {
            if line.object == object || line.object == "*" {
                catalog.add(Field::of(line));
            }
        }
        catalog
    }

    /// Adds a field unless there is one of that name.
    pub(crate) fn add(&mut self, field: Field) -> Option<FieldId> {
        let key = field.name.to_lowercase();
        let id = FieldId::try_from(self.fields.len()).ok()?;
        if self.by_name.contains_key(&key) {
            return None;
        }
        self.by_name.insert(key, id);
        self.fields.push(Some(field));
        Some(id)
    }

    /// A field by name; the vendor does not care about its case.
    pub(crate) fn find(&self, name: &str) -> Option<(FieldId, &Field)> {
        let exact = self.by_name.get(name);
        let id = *exact.or_else(|| self.by_name.get(&name.to_lowercase()))?;
        self.get(id).map(|field| (id, field))
    }

    pub(crate) fn get(&self, id: FieldId) -> Option<&Field> {
        self.fields.get(usize::from(id)).and_then(Option::as_ref)
    }

    /// The reference field behind a relationship's name.
    pub(crate) fn relationship(&self, name: &str) -> Option<(FieldId, &Field)> {
        let mut fields = self.iter();
        fields
            .find(|(_, field)| field.relationship.as_deref().is_some_and(|of| of.eq_ignore_ascii_case(name)))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (FieldId, &Field)> {
        let numbered = (0..=FieldId::MAX).zip(&self.fields);
        numbered.filter_map(|(id, field)| field.as_ref().map(|field| (id, field)))
    }

    /// Hides a field from the connected user, as field-level security does, or deletes it: the user cannot tell.
    pub(crate) fn hide(&mut self, name: &str) -> bool {
        let Some(id) = self.by_name.remove(&name.to_lowercase()) else { return false };
        if let Some(field) = self.fields.get_mut(usize::from(id)) {
            *field = None;
        }
        true
    }

    /// Makes a field read-only for the connected user.
    pub(crate) fn lock(&mut self, name: &str) -> bool {
        let Some(id) = self.by_name.get(&name.to_lowercase()) else { return false };
        let Some(field) = self.fields.get_mut(usize::from(*id)).and_then(Option::as_mut) else {
            return false;
        };
        (field.createable, field.updateable) = (false, false);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_bundled_catalog_is_read() {
        let mut reader = csv::Reader::from_reader(FIELDS.as_bytes());
        let lines: Vec<Line> = reader.deserialize().map(Result::unwrap).collect();
        for line in lines {
            assert!(Kind::ALL.iter().any(|kind| kind.as_str() == line.kind), "{}", line.name);
            assert!(line.object == "*" || OBJECTS.iter().any(|object| object.name == line.object));
            let targets = line.refers.split(':').next().unwrap().to_owned();
            for target in targets.split('|').filter(|target| !target.is_empty()) {
                assert!(OBJECTS.iter().any(|object| object.name == target), "{target}");
            }
        }
    }

    #[test]
    fn flags_say_what_may_be_done_with_a_field() {
        let catalog = Catalog::of("Account");
        let field = |name: &str| catalog.find(name).unwrap().1.clone();
        assert!(field("Name").updateable && !field("Name").nillable);
        assert!(!field("SystemModstamp").updateable && !field("BillingAddress").createable);
        assert!(field("external_key__c").is_key() && field("External_Key__c").unique);
        assert!(field("Revenue_per_Employee__c").calculated);
        assert_eq!((field("Score__c").precision, field("Score__c").scale), (6, 2));
        assert_eq!(field("Sub_Segment__c").controller.as_deref(), Some("Segment__c"));
        assert_eq!(field("Sub_Segment__c").values[1].valid_for, [0, 1]);
        assert_eq!(field("BillingCity").compound.as_deref(), Some("BillingAddress"));
        assert!(!field("Segment__c").values[3].is_active);
    }
}
