//! `salesforce_create_record`: makes a record. Doing it twice makes two, so it is recorded before it is made.

use super::remote::{FIELDS, Input, Remote, Shape};

pub(super) static KIND: Remote = Remote {
    name: "salesforce_create_record",
    inputs: &[
        Input::required("salesforce_object", Shape::Word),
        Input::required(FIELDS, Shape::Fields),
        Input::flag("run_salesforce_assignment_rules", true),
    ],
    outputs: &["record_id", "account_url"],
    is_idempotent: false,
    is_read_only: false,
    calls: 1,
};
