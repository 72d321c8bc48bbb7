//! Kinds of record and HubSpot's ids of them.

use infill_crm::Error;
use infill_model::nearest::did_you_mean;
use infill_model::{Class, ObjectType};

/// The objects that plans name by a word, with HubSpot's `objectTypeId`.
const NAMED: [(&str, &str); 4] =
    [("contacts", "0-1"), ("companies", "0-2"), ("deals", "0-3"), ("tickets", "0-5")];

/// HubSpot's id of a kind of record: `0-1` for contacts; an id such as `2-1234567` stands for itself.
///
/// # Errors
/// `configuration` when it is neither.
pub fn type_id(object: &ObjectType) -> Result<&str, Error> {
    let name = object.as_str();
    if let Some((_, id)) = NAMED.iter().find(|(named, _)| *named == name) {
        return Ok(id);
    }
    if is_type_id(name) {
        return Ok(name);
    }
    Err(Error::new(
        Class::Configuration,
        "unknown_object",
        format!(
            "HubSpot has no object \"{name}\" here{}; use contacts, companies, deals, tickets, or the type id of \
             a custom object such as 2-1234567",
            did_you_mean(name, NAMED.iter().map(|(named, _)| *named))
        ),
    ))
}

/// What plans call the kind of record with HubSpot's id `type_id`.
#[must_use]
pub fn object_of(type_id: &str) -> ObjectType {
    ObjectType::from(NAMED.iter().find(|(_, id)| *id == type_id).map_or(type_id, |(named, _)| *named))
}

/// Whether the text has the form of an `objectTypeId`: two numbers and a hyphen.
fn is_type_id(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('-').is_some_and(|(kind, id)| is_number(kind) && is_number(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_type_ids_are_known_and_other_words_are_refused_with_the_nearest() {
        for (object, id) in [
            ("contacts", "0-1"),
            ("companies", "0-2"),
            ("deals", "0-3"),
            ("tickets", "0-5"),
            ("2-77", "2-77"),
        ] {
            assert_eq!(type_id(&object.into()).unwrap(), id);
            assert_eq!(object_of(id), object.into());
        }
        let error = type_id(&"contact".into()).unwrap_err();
        assert_eq!(error.class, Class::Configuration);
        assert!(error.message.contains("did you mean \"contacts\"?"), "{error}");
        for no_id in ["2-", "-7", "2-x", "p1_cars"] {
            assert!(type_id(&no_id.into()).is_err(), "{no_id}");
        }
    }
}
