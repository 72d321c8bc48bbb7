//! When a plan starts by itself: `schedule: "0 6 * * 1-5"`, or a map that also has the zone and the rule for overlaps.

use crate::document::{At, Kind};
use crate::error::{Fault, FaultCode};
use crate::schedule::{IfRunning, Schedule, Zone};

pub(super) const KEYS: &[&str] = &["cron", "time_zone", "if_running"];

pub(super) fn schedule(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<Schedule> {
    if !matches!(at.node().kind, Kind::Map(_)) {
        let (time_zone, if_running) = (Zone::default(), IfRunning::default());
        return Some(Schedule { cron: read(at, faults)?, time_zone, if_running });
    }
    let fields = at.fields(KEYS, faults)?;
    let cron = fields.require("cron", faults).and_then(|at| read(&at, faults));
    let time_zone = fields.get("time_zone").map_or_else(|| Some(Zone::default()), |at| read(&at, faults));
    let if_running = fields.get("if_running").map_or(Some(IfRunning::default()), |at| {
        at.word(&[("wait", IfRunning::Wait), ("skip", IfRunning::Skip)], faults)
    });
    Some(Schedule { cron: cron?, time_zone: time_zone?, if_running: if_running? })
}

/// What can be read from text.
fn read<T: std::str::FromStr<Err: std::fmt::Display>>(at: &At<'_>, faults: &mut Vec<Fault>) -> Option<T> {
    let read = at.name(faults)?.parse();
    read.map_err(|refusal: T::Err| faults.push(at.fault(FaultCode::InvalidValue, refusal.to_string()))).ok()
}
