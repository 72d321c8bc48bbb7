//! Time that passes without anybody waiting for it.

use std::time::Duration;

use infill_model::ConnectionName;
use serde_json::Value;

use super::World;
use crate::vendors::Tenant;

/// Where the store keeps moments that decide when work is done, besides the quota.
const MOMENTS: [(&str, &[&str]); 4] = [
    ("runs", &["parked_until", "touched_at"]),
    ("run_progress", &["saved_at"]),
    ("chunks", &["claimed_at", "touched_at"]),
    ("batches", &["pulled_at", "claimed_at", "touched_at", "saved_at", "lease_until"]),
];

/// Members of a quota that are moments, in milliseconds.
const QUOTA_MOMENTS: [&str; 4] = ["grants", "cool_down_until", "ends", "spent_until"];

impl<T: Tenant> World<T> {
    /// Lets so much time pass: the vendor's clock moves forward, and moments that the store knows lie further back. Messages
    /// that were to come later are thereby overdue, which is for the planner to find.
    pub(crate) async fn pass(&self, by: Duration) {
        self.control.pass(by);
        let by_ms = i64::try_from(by.as_millis()).expect("not longer than history");
        let decision = Box::new(move |stored: Option<Value>, _| {
            stored.map(|mut state| {
                age(&mut state, by_ms);
                state
            })
        });
        self.store.update_quota(&ConnectionName::from("main"), decision).await.expect("the store answers");
        let lines: Vec<String> =
            MOMENTS.iter().map(|(table, columns)| self.ageing(table, columns, by)).collect();
        self.tamper(&lines.join(";")).await;
    }

    fn ageing(&self, table: &str, columns: &[&str], by: Duration) -> String {
        let earlier = |column: &&str| match &self.schema {
            None => format!("{column} = {column} - {}", by.as_micros()),
            Some(_) => format!("{column} = {column} - interval '{} seconds'", by.as_secs()),
        };
        let changes: Vec<String> = columns.iter().map(earlier).collect();
        format!("UPDATE {table} SET {}", changes.join(", "))
    }
}

/// Moves the moments of a quota back.
fn age(state: &mut Value, by_ms: i64) {
    let earlier = |moment: &mut Value| {
        if let Some(ms) = moment.as_i64() {
            *moment = (ms - by_ms).into();
        }
    };
    let Value::Object(members) = state else { return };
    for (name, member) in members {
        if !QUOTA_MOMENTS.contains(&name.as_str()) {
            age(member, by_ms);
        } else if let Value::Array(moments) = member {
            moments.iter_mut().for_each(earlier);
        } else {
            earlier(member);
        }
    }
}
