//! What each field may say, when the next start comes, and the laws that hold in every zone.

use jiff::ToSpan;
use proptest::prelude::*;

use super::*;

/// Zones with changes by an hour, by half an hour, at midnight, by a whole day, and with none.
const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Pacific/Apia",
    "Asia/Kolkata",
];

fn cron(text: &str) -> Cron {
    text.parse().unwrap()
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

/// The first starts after a moment, as local times with their offsets.
fn starts(text: &str, after: &str, in_zone: &str, n: usize) -> Vec<String> {
    let (cron, zone) = (cron(text), zone(in_zone));
    let mut last: Timestamp = after.parse().unwrap();
    let mut starts = Vec::new();
    for _ in 0..n {
        last = cron.next_after(last, &zone).unwrap();
        starts.push(last.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M %:z").to_string());
    }
    starts
}

#[test]
fn weekday_mornings() {
    assert_eq!(
        starts("0 6 * * 1-5", "2026-09-03T05:00:00Z", "Europe/Berlin", 3),
        ["Fri 2026-09-04 06:00 +02:00", "Mon 2026-09-07 06:00 +02:00", "Tue 2026-09-08 06:00 +02:00"]
    );
}

#[test]
fn a_start_is_after_the_moment_and_never_at_it() {
    let next = |after: &str| starts("30 6 * * *", after, "UTC", 1);
    assert_eq!(next("2026-09-03T06:29:59.999Z"), ["Thu 2026-09-03 06:30 +00:00"]);
    assert_eq!(next("2026-09-03T06:30:00Z"), ["Fri 2026-09-04 06:30 +00:00"]);
}

#[test]
fn lists_ranges_steps_and_names() {
    let same = |left: &str, right: &str| {
        let (left, right) = (cron(left), cron(right));
        let fields =
            |cron: &Cron| [cron.minutes.0, cron.hours.0, cron.days.0, cron.months.0, cron.weekdays.0];
        assert_eq!(fields(&left), fields(&right), "{left:?} {right:?}");
    };
    same("*/15 * * * *", "0,15,30,45 0-23 1-31 1-12 0-6");
    same("10-40/10 8-18/5 * * *", "10,20,30,40 8,13,18 * * *");
    same("0 0 1 jan,MAR-may mon-FRI", "0 0 1 1,3,4,5 1-5");
    same("0 0 * * 7", "0 0 * * SUN");
    same("0 0 * * FRI-SUN", "0 0 * * 0,5,6");
    same("0 0 * * 5-7", "0 0 * * 0,5,6");
    assert_eq!(cron(" 0  6 * * 1-5 ").to_string(), "0 6 * * 1-5");
}

#[test]
fn of_two_restricted_days_either_is_enough_and_a_star_restricts_nothing() {
    assert_eq!(
        starts("0 0 13 * FRI", "2026-11-01T00:00:00Z", "UTC", 3),
        ["Fri 2026-11-06 00:00 +00:00", "Fri 2026-11-13 00:00 +00:00", "Fri 2026-11-20 00:00 +00:00"]
    );
    // The 13th of December is a Sunday.
    assert!(
        starts("0 0 13 * FRI", "2026-11-01T00:00:00Z", "UTC", 9)
            .contains(&"Sun 2026-12-13 00:00 +00:00".into())
    );
    assert_eq!(
        starts("0 0 */2 * MON", "2026-11-01T00:00:00Z", "UTC", 2),
        ["Mon 2026-11-09 00:00 +00:00", "Mon 2026-11-23 00:00 +00:00"]
    );
}

#[test]
fn rare_days_are_found() {
    assert_eq!(starts("0 0 29 2 *", "2096-03-01T00:00:00Z", "UTC", 1), ["Fri 2104-02-29 00:00 +00:00"]);
    assert_eq!(starts("0 0 31 * *", "2026-01-31T00:00:00Z", "UTC", 2)[1], "Sun 2026-05-31 00:00 +00:00");
    assert_eq!(cron("* * * * *").next_after(Timestamp::MAX, &TimeZone::UTC), None);
}

#[test]
fn a_start_in_the_gap_comes_once_right_after_it() {
    // Clocks go from 02:00 to 03:00 on 2027-03-28.
    assert_eq!(
        starts("30 2 * * *", "2027-03-27T12:00:00Z", "Europe/Berlin", 2),
        ["Sun 2027-03-28 03:00 +02:00", "Mon 2027-03-29 02:30 +02:00"]
    );
    assert_eq!(
        starts("*/20 * * * *", "2027-03-28T00:39:00Z", "Europe/Berlin", 3),
        ["Sun 2027-03-28 01:40 +01:00", "Sun 2027-03-28 03:00 +02:00", "Sun 2027-03-28 03:20 +02:00"]
    );
    // Samoa had no 30 December 2011.
    assert_eq!(
        starts("0 6 * * *", "2011-12-29T17:00:00Z", "Pacific/Apia", 2),
        ["Sat 2011-12-31 00:00 +14:00", "Sat 2011-12-31 06:00 +14:00"]
    );
}

#[test]
fn a_start_in_the_overlap_comes_once_the_first_time() {
    // Clocks go from 03:00 back to 02:00 on 2026-10-25.
    assert_eq!(
        starts("30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Berlin", 2),
        ["Sun 2026-10-25 02:30 +02:00", "Mon 2026-10-26 02:30 +01:00"]
    );
    assert_eq!(
        starts("*/30 * * * *", "2026-10-24T23:59:00Z", "Europe/Berlin", 3),
        ["Sun 2026-10-25 02:00 +02:00", "Sun 2026-10-25 02:30 +02:00", "Sun 2026-10-25 03:00 +01:00"]
    );
    // A planner that begins within the hour that comes again.
    assert_eq!(
        starts("*/30 * * * *", "2026-10-25T01:10:00Z", "Europe/Berlin", 1),
        ["Sun 2026-10-25 03:00 +01:00"]
    );
}

#[test]
fn each_mistake_names_the_field_and_the_way_out() {
    let faults: String = [
        "0 6 * *",
        "0 0 6 * * 1-5",
        "@daily",
        "@reboot",
        "",
        "60 6 * * *",
        "0 24 * * *",
        "0 6 0 * *",
        "0 6 * 13 *",
        "0 6 * * 8",
        "0 6 * * MONDAY",
        "0 6 * FRI *",
        "5/15 * * * *",
        "*/0 * * * *",
        "*/90 * * * *",
        "0 22-4 * * *",
        "0 6 * * FRI-MON",
        "0 6 L * *",
        "0 6 ? * 1",
        "0, 6 * * *",
        "+5 6 * * *",
        "0 6 31 2 *",
        "0 6 31 4,6,9,11 *",
    ]
    .iter()
    .map(|text| match text.parse::<Cron>() {
        Ok(cron) => format!("{text:?} accepted: {cron:?}\n"),
        Err(fault) => format!("{text:?}\n  {fault}\n"),
    })
    .collect();
    insta::assert_snapshot!(faults);
}

/// A field as people write them.
fn field(least: u8, most: u8) -> impl Strategy<Value = String> {
    let number = least..=most;
    prop_oneof![
        3 => Just("*".to_owned()),
        2 => number.clone().prop_map(|n| n.to_string()),
        1 => (number.clone(), number.clone()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (2..=most.saturating_sub(least).min(20)).prop_map(|step| format!("*/{step}")),
        1 => prop::collection::vec(number, 1..4).prop_map(|all| {
            all.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        }),
    ]
}

fn any_cron() -> impl Strategy<Value = Cron> {
    let fields = (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6));
    fields.prop_filter_map("some day comes", |(minute, hour, day, month, weekday)| {
        format!("{minute} {hour} {day} {month} {weekday}").parse().ok()
    })
}

/// From 2000 to 2049; every other one near a change of clocks.
fn any_moment() -> impl Strategy<Value = (usize, Timestamp)> {
    let near = (0_usize..5, -7_200_i64..7_200, any::<bool>());
    (0..ZONES.len(), 946_684_800_i64..2_524_608_000, near).prop_map(|(idx, second, (n, off, is_near))| {
        let at = Timestamp::from_second(second).unwrap();
        let changes = zone(ZONES[idx]);
        let change = changes.following(at).nth(n).filter(|_| is_near);
        let near = change.map(|change| change.timestamp() + off.seconds());
        (idx, near.unwrap_or(at))
    })
}

proptest! {
    #[test]
    fn starts_come_later_and_later_and_none_lies_between((idx, after) in any_moment(), cron in any_cron()) {
        let zone = zone(ZONES[idx]);
        let Some(next) = cron.next_after(after, &zone) else { return Ok(()) };
        prop_assert!(next > after);
        // Whoever asks from anywhere before the start is given that same start: nothing is lost in between.
        let middle = Timestamp::from_second((after.as_second() + next.as_second()) / 2).unwrap();
        if middle >= after && middle < next {
            prop_assert_eq!(cron.next_after(middle, &zone), Some(next));
        }
        prop_assert_eq!(cron.next_after(next - 1.nanosecond(), &zone), Some(next));
    }

    #[test]
    fn every_start_is_a_time_that_was_meant_or_the_end_of_a_gap((idx, after) in any_moment(), cron in any_cron()) {
        let zone = zone(ZONES[idx]);
        let Some(next) = cron.next_after(after, &zone) else { return Ok(()) };
        let local = zone.to_datetime(next);
        let is_meant = cron.months.has(local.month()) && cron.times(local.date()).any(|time| time == local.time());
        let changes = zone.following(next - 1.nanosecond()).next().map(|change| change.timestamp());
        prop_assert!(is_meant || changes == Some(next), "{} {}", cron, local);
    }

    #[test]
    fn every_local_time_that_is_meant_starts_once((idx, after) in any_moment(), every in 7_u8..30) {
        let (zone, cron) = (zone(ZONES[idx]), cron(&format!("*/{every} * * * *")));
        let until = after + 26.hours();
        let mut found = Vec::new();
        let mut last = after;
        while let Some(next) = cron.next_after(last, &zone).filter(|next| *next <= until) {
            found.push(next);
            last = next;
        }
        // The same by brute force: each minute of each local day, its moment, without repeats.
        let mut date = zone.to_datetime(after).date().yesterday().unwrap();
        let mut meant = Vec::new();
        while date <= zone.to_datetime(until).date() {
            for hour in 0..24 {
                for minute in (0..60).step_by(every.into()) {
                    let time = Time::new(hour, minute, 0, 0).unwrap();
                    meant.extend(moment(date.to_datetime(time), &zone));
                }
            }
            date = date.tomorrow().unwrap();
        }
        meant.retain(|at| *at > after && *at <= until);
        meant.dedup();
        prop_assert_eq!(found, meant);
    }

    #[test]
    fn what_is_read_is_written_the_same(cron in any_cron()) {
        prop_assert_eq!(cron.to_string().parse::<Cron>().unwrap(), cron);
    }

    #[test]
    fn no_text_breaks_the_reader(text in "[0-9*/,A-Z@ -]{0,30}") {
        drop(text.parse::<Cron>());
    }
}
