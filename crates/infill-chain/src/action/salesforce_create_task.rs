//! `salesforce_create_task`: makes a task. Doing it twice makes two, so it is recorded before it is made.

use super::remote::{Input, Remote, Shape};

pub(super) static KIND: Remote = Remote {
    name: "salesforce_create_task",
    inputs: &[
        Input::required("subject", Shape::Text),
        Input::optional("what_id"),
        Input::optional("who_id"),
        Input::optional("description"),
        Input::optional("activity_date"),
        Input::optional("task_subtype"),
    ],
    outputs: &["record_id", "account_url"],
    is_idempotent: false,
    is_read_only: false,
    calls: 1,
};
