//! When a plan starts by itself.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cron::Cron;
use crate::nearest::did_you_mean;
use crate::time::Timestamp;

/// The starts of a plan: local times of a zone, and what becomes of one whose predecessor still runs.
///
/// A plan says it as a map, or as the cron expression alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Form")]
pub struct Schedule {
    /// The local times.
    pub cron: Cron,
    /// Whose local times.
    pub time_zone: Zone,
    /// What becomes of a start while a run of the plan goes on.
    pub if_running: IfRunning,
}

impl Schedule {
    /// The first start after a moment; `None` where the calendar ends.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.cron.next_after(after, &self.time_zone.0)
    }

    /// A moment as the zone's clocks show it: `2026-09-04 06:00 Europe/Berlin`.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> String {
        let local = self.time_zone.0.to_datetime(at);
        format!("{} {}", local.strftime("%Y-%m-%d %H:%M"), self.time_zone)
    }
}

/// Cron and zone in one line.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.cron, self.time_zone)
    }
}

/// What becomes of a start while a run of the plan goes on. Two runs never overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfRunning {
    /// It waits for the end of that run; several that wait become one.
    #[default]
    Wait,
    /// There is no run for it.
    Skip,
}

/// A time zone by its IANA name. UTC unless a plan says otherwise, so that a plan means the same wherever a planner runs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Zone(TimeZone);

/// No zone has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no time zone is called \"{name}\"{hint}")]
pub struct UnknownZone {
    name: String,
    hint: String,
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        // Only the database's names: what is called after the machine would differ from planner to planner.
        TimeZone::get(name).ok().filter(|zone| zone.iana_name().is_some()).map(Self).ok_or_else(|| {
            let known: Vec<String> = jiff::tz::db().available().map(|known| known.to_string()).collect();
            let hint = did_you_mean(name, known.iter().map(String::as_str));
            let hint =
                if hint.is_empty() { "; give an IANA name such as Europe/Berlin".to_owned() } else { hint };
            UnknownZone { name: name.to_owned(), hint }
        })
    }
}

impl TryFrom<String> for Zone {
    type Error = UnknownZone;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.to_string()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({self})")
    }
}

/// The two ways of saying it.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Form {
    /// Five-field cron, in UTC: `0 6 * * 1-5`.
    Cron(Cron),
    /// Everything.
    Whole(WholeSchedule),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WholeSchedule {
    /// Five fields: minute, hour, day of the month, month, day of the week.
    cron: Cron,
    /// An IANA name such as `Europe/Berlin`.
    #[serde(default)]
    time_zone: Zone,
    /// What becomes of a start while a run of the plan goes on.
    #[serde(default)]
    if_running: IfRunning,
}

impl From<Form> for Schedule {
    fn from(form: Form) -> Self {
        match form {
            Form::Cron(cron) => Self { cron, time_zone: Zone::default(), if_running: IfRunning::default() },
            Form::Whole(WholeSchedule { cron, time_zone, if_running }) => {
                Self { cron, time_zone, if_running }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_kept_as_a_map_and_read_in_both_forms() {
        let short: Schedule = serde_json::from_str("\"0 6 * * 1-5\"").unwrap();
        let kept = serde_json::to_string(&short).unwrap();
        assert_eq!(kept, r#"{"cron":"0 6 * * 1-5","time_zone":"UTC","if_running":"wait"}"#);
        assert_eq!(serde_json::from_str::<Schedule>(&kept).unwrap(), short);
        let zone = r#"{"cron": "0 6 * * 1-5", "time_zone": "europe/berlin", "if_running": "skip"}"#;
        let whole: Schedule = serde_json::from_str(zone).unwrap();
        assert_eq!(
            (whole.if_running, whole.to_string()),
            (IfRunning::Skip, "0 6 * * 1-5 Europe/Berlin".to_owned())
        );
    }

    #[test]
    fn a_moment_is_shown_as_the_zone_has_it() {
        let zone = r#"{"cron": "0 6 * * 1-5", "time_zone": "Europe/Berlin"}"#;
        let schedule: Schedule = serde_json::from_str(zone).unwrap();
        let next = schedule.next_after("2026-09-03T05:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(schedule.local(next), "2026-09-04 06:00 Europe/Berlin");
    }

    #[test]
    fn an_unknown_zone_is_named_with_the_nearest() {
        let refused = |name: &str| name.parse::<Zone>().unwrap_err().to_string();
        let nearest = "no time zone is called \"Europe/Berln\"; did you mean \"Europe/Berlin\"";
        assert!(refused("Europe/Berln").starts_with(nearest), "{}", refused("Europe/Berln"));
        assert!(
            refused("Neverland (local time)").ends_with("give an IANA name such as Europe/Berlin"),
            "{}",
            refused("Neverland (local time)")
        );
    }
}
