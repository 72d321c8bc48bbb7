//! Record ids as files have them: under which headers, and what can be one.

use infill_model::{ObjectType, RecordId};

use crate::id::Id;

/// The header of Data Loader and of queries, whatever the case.
const HEADER: &str = "Id";

/// The usual headers of the record id of an object: `Id`, and that of reports, such as `Contact ID`.
///
/// A report of contacts has an `Account ID` too; it is no header of contacts.
#[must_use]
pub fn headers(object: &ObjectType) -> Vec<String> {
    let name = object.as_str();
    vec![HEADER.to_owned(), format!("{} ID", label(name)), format!("{name}Id")]
}

/// An API name as Salesforce labels it when nobody said otherwise: `Invoice__c` is `Invoice`, `Order_Line__c` is
/// `Order Line`.
fn label(name: &str) -> String {
    name.trim_end_matches("__c").replace('_', " ")
}

/// The record id that a text is, in its long form; `None` when it is none.
#[must_use]
pub fn record_id(text: &str) -> Option<RecordId> {
    Id::parse(text).map(|id| id.as_str().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_ids_are_one_record() {
        let long = Some(RecordId::from("003ak00000jvIfpAAE"));
        assert_eq!(record_id("003ak00000jvIfp"), long);
        assert_eq!(record_id("003ak00000jvIfpAAE"), long);
        assert_eq!(record_id("003AK00000JVIFPAAE"), long, "as spreadsheets damage them");
        for text in ["", "42", "003ak00000jvIf", "a@b.c"] {
            assert_eq!(record_id(text), None, "{text}");
        }
    }

    #[test]
    fn each_object_has_its_headers() {
        assert_eq!(headers(&"Contact".into()), ["Id", "Contact ID", "ContactId"]);
        assert_eq!(headers(&"Order_Line__c".into())[1], "Order Line ID");
    }
}
