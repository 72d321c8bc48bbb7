//! `salesforce_upsert_record`: makes a record, or sets fields of the one whose external id field has a value. It is recorded before it
//! is made, so that a repeat still tells which of the two it did.

use super::remote::{FIELDS, Input, Remote, Shape};

pub(super) static KIND: Remote = Remote {
    name: "salesforce_upsert_record",
    inputs: &[
        Input::required("salesforce_object", Shape::Word),
        Input::required("salesforce_external_id_field", Shape::Word),
        Input::required(FIELDS, Shape::Fields),
        Input::flag("force_update_on_collision", false),
        Input::flag("ignore_empty_values", true),
        Input::flag("run_salesforce_assignment_rules", true),
    ],
    outputs: &["record_id", "operation_type", "account_url"],
    is_idempotent: false,
    is_read_only: false,
    calls: 2,
};
