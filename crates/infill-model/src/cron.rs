//! Five-field cron: minute, hour, day of the month, month, day of the week. What is said, and when it next comes.
//!
//! A schedule names local times. A local time that a clock change leaves out comes once, at the moment of the change; one that a clock
//! change repeats comes once, the first time. So no start is lost and none is doubled, whatever the zone does.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// How far the next start is looked for: the 29th of February on one weekday is up to 40 years off.
const YEARS_AHEAD: i16 = 41;

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Days of each month at most.
const LONGEST: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const MINUTE: Field = Field { name: "minute", least: 0, most: 59, names: &[] };
const HOUR: Field = Field { name: "hour", least: 0, most: 23, names: &[] };
const DAY: Field = Field { name: "day of the month", least: 1, most: 31, names: &[] };
const MONTH: Field = Field { name: "month", least: 1, most: 12, names: &MONTHS };
const WEEKDAY: Field = Field { name: "day of the week", least: 0, most: 6, names: &WEEKDAYS };

/// Sunday's other number.
const SUNDAY_AT_THE_END: u8 = 7;

/// What people write with an @, and what it is in five fields.
const NICKNAMES: [(&str, &str); 7] = [
    ("hourly", "0 * * * *"),
    ("daily", "0 0 * * *"),
    ("midnight", "0 0 * * *"),
    ("weekly", "0 0 * * 0"),
    ("monthly", "0 0 1 * *"),
    ("yearly", "0 0 1 1 *"),
    ("annually", "0 0 1 1 *"),
];

/// A cron expression that was read. It shows as it was written.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Cron {
    text: String,
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
    /// Both days are restricted (neither begins with `*`): then either is enough, as cron has always had it.
    is_either_day: bool,
}

/// Why an expression is refused, with the field at fault and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl Cron {
    /// The first start after a moment, in a zone; `None` where the calendar ends.
    #[must_use]
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let from = zone.to_datetime(after);
        let last_year = from.year().saturating_add(YEARS_AHEAD);
        let (mut date, mut earliest) = (from.date(), from.time());
        while date.year() <= last_year {
            if !self.months.has(date.month()) {
                date = date.last_of_month().tomorrow().ok()?;
            } else {
                // Times ascend, and so do their moments; those of an hour that comes twice are behind us the second time.
                let starts = self.times(date).filter(|time| *time >= to_the_minute(earliest));
                let mut moments = starts.filter_map(|time| moment(date.to_datetime(time), zone));
                if let Some(next) = moments.find(|moment| *moment > after) {
                    return Some(next);
                }
                date = date.tomorrow().ok()?;
            }
            earliest = Time::MIN;
        }
        None
    }

    /// The local times of a day at which something starts.
    fn times(&self, date: Date) -> impl Iterator<Item = Time> {
        let (hours, minutes) = if self.has_day(date) { (self.hours, self.minutes) } else { (Set(0), Set(0)) };
        hours
            .iter()
            .flat_map(move |hour| minutes.iter().filter_map(move |minute| Time::new(hour, minute, 0, 0).ok()))
    }

    fn has_day(&self, date: Date) -> bool {
        let day = self.days.has(date.day());
        let weekday = self.weekdays.has(date.weekday().to_sunday_zero_offset());
        if self.is_either_day { day || weekday } else { day && weekday }
    }

    /// Whether no month that is meant has a day that is meant.
    fn never_comes(&self) -> bool {
        let reaches = |month: i8| {
            let longest = usize::try_from(month).ok().and_then(|no| LONGEST.get(no.saturating_sub(1)));
            self.days.iter().any(|day| longest.is_some_and(|longest| i16::from(day) <= i16::from(*longest)))
        };
        !self.is_either_day && !self.months.iter().any(reaches)
    }
}

fn to_the_minute(time: Time) -> Time {
    Time::new(time.hour(), time.minute(), 0, 0).unwrap_or(time)
}

/// When a local time comes.
fn moment(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(local).ok()
        }
        AmbiguousOffset::Gap { before, after } => {
            // By the offset that comes it would be before the change.
            let early = after.to_timestamp(local).ok()?;
            let change = zone.following(early).next().map(|change| change.timestamp());
            change.or_else(|| before.to_timestamp(local).ok())
        }
    }
}

impl FromStr for Cron {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(Unreadable(wrong_fields(&fields)));
        };
        let weekdays = WEEKDAY.read(weekday)?;
        let cron = Self {
            text: fields.join(" "),
            minutes: MINUTE.read(minute)?,
            hours: HOUR.read(hour)?,
            days: DAY.read(day)?,
            months: MONTH.read(month)?,
            weekdays: weekdays.with_sunday_in_front(),
            is_either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        if cron.never_comes() {
            let message =
                format!("{}: no month of \"{month}\" has a day \"{day}\"; it would never start", DAY.name);
            return Err(Unreadable(message));
        }
        Ok(cron)
    }
}

fn wrong_fields(fields: &[&str]) -> String {
    const FIVE: &str = "five fields are needed: minute, hour, day of the month, month, day of the week";
    let nickname = match fields {
        [only] => only.strip_prefix('@').map(str::to_ascii_lowercase),
        _ => None,
    };
    let meant = |word: &str| NICKNAMES.iter().find(|(name, _)| *name == word).map(|(_, cron)| *cron);
    match (nickname.as_deref().and_then(meant), fields.len()) {
        (Some(cron), _) => format!("{FIVE}; write \"{cron}\""),
        (None, 6) => format!("{FIVE}; found 6: a schedule is to the minute, leave the seconds out"),
        (None, found) => format!("{FIVE}, as in \"0 6 * * 1-5\"; found {found}"),
    }
}

impl TryFrom<String> for Cron {
    type Error = Unreadable;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Cron> for String {
    fn from(cron: Cron) -> Self {
        cron.text
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({:?})", self.text)
    }
}

/// Numbers below 64, one bit each.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Set(u64);

impl Set {
    fn has(self, number: i8) -> bool {
        u32::try_from(number).is_ok_and(|number| self.0 >> number & 1 == 1)
    }

    /// In ascending order.
    fn iter(self) -> impl Iterator<Item = i8> {
        (0..60).filter(move |number| self.has(*number))
    }

    /// Sunday as 0, also where it was written as 7.
    const fn with_sunday_in_front(self) -> Self {
        Self((self.0 | self.0 >> SUNDAY_AT_THE_END) & !(1 << SUNDAY_AT_THE_END))
    }
}

/// One of the five fields.
struct Field {
    name: &'static str,
    least: u8,
    most: u8,
    /// Names of the numbers from `least` on.
    names: &'static [&'static str],
}

impl Field {
    fn read(&self, text: &str) -> Result<Set, Unreadable> {
        text.split(',').try_fold(Set(0), |set, item| Ok(Set(set.0 | self.item(item)?)))
    }

    /// `*`, `5`, `1-5`, `*/15` or `10-40/5`.
    fn item(&self, item: &str) -> Result<u64, Unreadable> {
        let (range, step) = match item.split_once('/') {
            None => (item, None),
            Some((range, step)) => (range, Some(self.step(step)?)),
        };
        let (from, to) = if range == "*" {
            (self.least, self.most)
        } else if let Some((from, to)) = range.split_once('-') {
            self.range(from, to)?
        } else {
            let only = self.number(range)?;
            if let Some(step) = step {
                return Err(
                    self.fault(format!("a step goes with a range; write {range}-{}/{step}", self.most))
                );
            }
            (only, only)
        };
        let steps = (from..=to).step_by(step.unwrap_or(1).into());
        Ok(steps.fold(0, |set, number| set | 1 << number))
    }

    fn range(&self, from: &str, to: &str) -> Result<(u8, u8), Unreadable> {
        let (first, last) = (self.number(from)?, self.number(to)?);
        // A range of weekdays may end on a Sunday by name.
        let last = if self.name == WEEKDAY.name && last == 0 { SUNDAY_AT_THE_END } else { last };
        if first > last {
            let way_out = format!("{from}-{},{}-{to}", self.most, self.least);
            return Err(self.fault(format!("the range {from}-{to} runs backwards; write {way_out}")));
        }
        Ok((first, last))
    }

    fn step(&self, text: &str) -> Result<u8, Unreadable> {
        let span = self.most.saturating_sub(self.least);
        let step = text.parse().ok().filter(|step| (1..=span).contains(step));
        step.ok_or_else(|| {
            self.fault(format!(
                "the step \"{text}\" is not a whole number from 1 to {span}; give several times instead"
            ))
        })
    }

    fn number(&self, text: &str) -> Result<u8, Unreadable> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = named.and_then(|idx| u8::try_from(idx).ok()).map(|idx| idx.saturating_add(self.least));
        let most = if self.name == WEEKDAY.name { SUNDAY_AT_THE_END } else { self.most };
        let is_plain = !text.is_empty() && text.bytes().all(|each| each.is_ascii_digit());
        let written = || text.parse().ok().filter(|n| is_plain && (self.least..=most).contains(n));
        named.or_else(written).ok_or_else(|| {
            let names = match (self.names.first(), self.names.last()) {
                (Some(first), Some(last)) => format!(" or {first} to {last}"),
                _ => String::new(),
            };
            self.fault(format!(
                "\"{text}\" is not {} to {most}{names}, a list, a range, or * with a step",
                self.least
            ))
        })
    }

    fn fault(&self, problem: String) -> Unreadable {
        Unreadable(format!("{}: {problem}", self.name))
    }
}

#[cfg(test)]
mod tests;
