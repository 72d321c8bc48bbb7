//! `salesforce_lookup_record`: the records whose fields have these values; none, one or several.

use super::remote::{FIELDS, Input, Remote, Shape};

pub(super) static KIND: Remote = Remote {
    name: "salesforce_lookup_record",
    inputs: &[
        Input::required("salesforce_object", Shape::Word),
        Input::required(FIELDS, Shape::Fields),
        Input::required("search_operator", Shape::Choice(&["AND", "OR"])),
        Input::flag("exact_match", false),
    ],
    outputs: &["records_found"],
    is_idempotent: true,
    is_read_only: true,
    calls: 1,
};
