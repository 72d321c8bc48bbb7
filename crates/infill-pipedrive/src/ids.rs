//! Record ids as files have them: under which headers, and what can be one.

use infill_model::{ObjectType, RecordId};

use crate::object::Object;

/// The header of the id, whatever the case.
const HEADER: &str = "ID";

/// The usual headers of the record id of an object: `ID`, and that of exports, such as `Person - ID`.
#[must_use]
pub fn headers(object: &ObjectType) -> Vec<String> {
    let of_export = Object::of(object).ok().map(|object| format!("{} - ID", singular(object)));
    std::iter::once(HEADER.to_owned()).chain(of_export).collect()
}

const fn singular(object: Object) -> &'static str {
    match object {
        Object::Person => "Person",
        Object::Organization => "Organization",
        Object::Deal => "Deal",
        Object::Lead => "Lead",
        Object::Product => "Product",
        Object::Activity => "Activity",
    }
}

/// The record id of such an object that a text is: a number without leading zeros, or the UUID of a lead in small letters;
/// `None` when it is neither.
#[must_use]
pub fn record_id(object: &ObjectType, text: &str) -> Option<RecordId> {
    let object = Object::of(object).ok().filter(|object| object.is_id(text))?;
    if object.is_v1() {
        return Some(text.to_ascii_lowercase().into());
    }
    let id: u64 = text.parse().ok()?;
    (id > 0).then(|| id.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_numbers_but_those_of_leads() {
        assert_eq!(record_id(&"persons".into(), "0012"), Some("12".into()));
        let lead = "ADF21080-0e10-11eb-879b-05d71fb426ec";
        assert_eq!(record_id(&"leads".into(), lead), Some(lead.to_lowercase().into()));
        for (object, text) in [("persons", ""), ("persons", "0"), ("persons", lead), ("leads", "12")] {
            assert_eq!(record_id(&object.into(), text), None, "{object} {text}");
        }
    }

    #[test]
    fn each_object_has_its_headers() {
        assert_eq!(headers(&"persons".into()), ["ID", "Person - ID"]);
        assert_eq!(headers(&"nothing".into()), ["ID"]);
    }
}
