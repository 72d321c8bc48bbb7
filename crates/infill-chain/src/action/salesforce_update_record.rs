//! `salesforce_update_record`: sets fields of one record that is known by its id. It can never create one.

use super::remote::{FIELDS, Input, Remote, Shape};

pub(super) static KIND: Remote = Remote {
    name: "salesforce_update_record",
    inputs: &[
        Input::required("record_id", Shape::Text),
        Input::required("salesforce_object", Shape::Word),
        Input::required(FIELDS, Shape::Fields),
        Input::flag("ignore_empty_values", true),
        Input::flag("run_salesforce_assignment_rules", true),
    ],
    outputs: &["record_id", "account_url"],
    is_idempotent: true,
    is_read_only: false,
    calls: 1,
};
