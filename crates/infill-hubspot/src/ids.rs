//! Record ids as files have them: under which headers, and what can be one.

use infill_model::{ObjectType, RecordId};

use crate::object::type_id;

/// Headers of the record id in HubSpot's exports and in tables made from its API, whatever the case.
const HEADERS: [&str; 3] = ["Record ID", "hs_object_id", "id"];

/// Headers of exports that hold ids of several objects, with HubSpot's id of the object.
const OF_OBJECT: [(&str, &str); 4] = [
    ("0-1", "Record ID - Contact"),
    ("0-2", "Record ID - Company"),
    ("0-3", "Record ID - Deal"),
    ("0-5", "Record ID - Ticket"),
];

/// The usual headers of the record id of an object.
#[must_use]
pub fn headers(object: &ObjectType) -> Vec<String> {
    let type_id = type_id(object).ok();
    let of_object = OF_OBJECT.iter().filter(|(id, _)| type_id == Some(*id)).map(|(_, header)| *header);
    HEADERS.into_iter().chain(of_object).map(ToOwned::to_owned).collect()
}

/// The record id that a text is, without leading zeros; `None` when it is no whole number.
#[must_use]
pub fn record_id(text: &str) -> Option<RecordId> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let id = text.parse::<u64>().ok().filter(|id| is_number && *id > 0)?;
    Some(id.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_whole_numbers() {
        assert_eq!(record_id("00512"), Some("512".into()));
        for text in ["", "0", "-1", "+1", "1.0", "1,234", "1E+5", "12a", "a@b.c", "99999999999999999999"] {
            assert_eq!(record_id(text), None, "{text}");
        }
    }

    #[test]
    fn each_object_has_its_headers() {
        assert!(headers(&"contacts".into()).contains(&"Record ID - Contact".to_owned()));
        assert!(!headers(&"deals".into()).contains(&"Record ID - Contact".to_owned()));
        assert_eq!(headers(&"2-77".into()), HEADERS);
    }
}
