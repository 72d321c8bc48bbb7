//! Kinds of record, by their API names: `Contact`, `Invoice__c`.

use infill_crm::Error;
use infill_model::{Class, ObjectType};

/// The API name of a kind of record, safe to stand in an address and in a query.
///
/// # Errors
/// `configuration` when it cannot be one.
pub fn api_name(object: &ObjectType) -> Result<&str, Error> {
    let name = object.as_str();
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name {
        return Ok(name);
    }
    Err(Error::new(
        Class::Configuration,
        "unknown_object",
        format!("\"{name}\" is no object of Salesforce; write an API name such as Contact or Invoice__c"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_api_names_pass() {
        for name in ["Contact", "Invoice__c", "ns__Invoice__c"] {
            assert_eq!(api_name(&name.into()).unwrap(), name);
        }
        for name in ["", "2-1", "Contact WHERE", "Contact/x", "_x"] {
            assert!(api_name(&name.into()).is_err(), "{name}");
        }
    }
}
