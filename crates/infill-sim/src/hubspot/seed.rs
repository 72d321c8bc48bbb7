//! The records a portal begins with.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::Error;
use super::catalog::PropId;
use super::config::{Config, Source};
use super::filter::FilterGroup;
use super::list::{List, Processing};
use super::object::CUSTOM_OBJECT;
use super::record::{Setter, Text};
use super::store::{Store, Table};
use crate::fault::mix;
use crate::people::{COMPANIES, CONGRESS, FIRST_NAMES, LAST_NAMES, PLACES, TITLES, email, pick};

/// Of the bundled people every one at such a row (from 1) is left without a phone; one more has none in the file.
const EVERY_NTH_WITHOUT_PHONE: usize = 100;

/// Records were made this long before the start, so that search knows them.
const AGE_MS: i64 = 30 * 86_400_000;
/// Time between two records.
const STEP_MS: i64 = 1_000;

/// Fills a store with what the configuration asks for.
pub(crate) fn fill(store: &mut Store, config: &Config, now_ms: i64) -> Result<(), Error> {
    let start_ms = now_ms - AGE_MS;
    others(store, start_ms);
    if let Some(contacts) = store.table_mut("contacts") {
        match &config.records {
            Source::Bundled => congress(contacts, start_ms)?,
            Source::Csv(path) => file(contacts, path, start_ms)?,
            Source::Generate(count) => generate(contacts, *count, config.seed, start_ms),
            Source::Empty => {}
        }
    }
    let whole = match config.records {
        Source::Bundled => "Members of Congress (static)",
        Source::Csv(_) => "Imported contacts (static)",
        Source::Generate(_) => "Generated contacts (static)",
        Source::Empty => "Contacts (static)",
    };
    lists(store, whole, start_ms);
    Ok(())
}

/// Keeps one copy of texts that repeat.
#[derive(Default)]
struct Interned(HashSet<Text>);

impl Interned {
    fn get(&mut self, text: &str) -> Text {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let fresh = Text::from(text);
        self.0.insert(Arc::clone(&fresh));
        fresh
    }
}

fn created_ms(start_ms: i64, idx: usize) -> i64 {
    start_ms + i64::try_from(idx).unwrap_or(i64::MAX).saturating_mul(STEP_MS).min(AGE_MS / 2)
}

fn congress(table: &mut Table, start_ms: i64) -> Result<(), Error> {
    let mut reader = csv::Reader::from_reader(CONGRESS.as_bytes());
    let read = |source| Error::Records { path: "the bundled people".to_owned(), source };
    let header = reader.headers().map_err(read)?.clone();
    let mut interned = Interned::default();
    let mut emails = HashSet::new();
    for (idx, row) in reader.records().enumerate() {
        let row = row.map_err(read)?;
        let field = |name: &str| {
            header.iter().zip(row.iter()).find(|(column, _)| *column == name).map_or("", |(_, value)| value)
        };
        let mut email = email(field("firstname"), field("lastname"), "congress.example");
        if !emails.insert(email.clone()) {
            email = email.replace('@', &format!(".{}@", field("bioguide_id").to_lowercase()));
            emails.insert(email.clone());
        }
        let chamber =
            if field("jobtitle") == "Senator" { "U.S. Senate" } else { "U.S. House of Representatives" };
        let loses_phone = (idx + 1).is_multiple_of(EVERY_NTH_WITHOUT_PHONE);
        let own = header.iter().zip(row.iter()).filter(|(name, _)| *name != "phone" || !loses_phone);
        let added = [("email", email.as_str()), ("company", chamber), ("country", "United States")];
        let values = own
            .chain(added)
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (table.catalog.find_or_add_text(name), interned.get(value)))
            .collect();
        table.add(None, created_ms(start_ms, idx), Setter::Import, values);
    }
    Ok(())
}

fn file(table: &mut Table, path: &Path, start_ms: i64) -> Result<(), Error> {
    let read = |source| Error::Records { path: path.display().to_string(), source };
    let mut reader = csv::Reader::from_path(path).map_err(read)?;
    let header = reader.headers().map_err(read)?.clone();
    let columns: Vec<Option<PropId>> = header
        .iter()
        .map(|name| (name != "hs_object_id").then(|| table.catalog.find_or_add_text(&property_name(name))))
        .collect();
    let mut interned = Interned::default();
    for (idx, row) in reader.records().enumerate() {
        let row = row.map_err(read)?;
        let id = header.iter().zip(row.iter()).find(|(name, _)| *name == "hs_object_id");
        let id = id.and_then(|(_, value)| value.parse().ok());
        let values = columns
            .iter()
            .zip(row.iter())
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(column, value)| column.map(|column| (column, interned.get(value))))
            .collect();
        table.add(id, created_ms(start_ms, idx), Setter::Import, values);
    }
    Ok(())
}

/// A column's name in the form of property names: lower case, digits and underscores.
fn property_name(column: &str) -> String {
    let name = column.trim().to_lowercase();
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn generate(table: &mut Table, count: usize, seed: u64, start_ms: i64) {
    let mut interned = Interned::default();
    let names = ["firstname", "lastname", "jobtitle", "company", "city", "state", "lifecyclestage"];
    let columns: Vec<PropId> = names.iter().map(|name| table.catalog.find_or_add_text(name)).collect();
    let email_column = table.catalog.find_or_add_text("email");
    let phone_column = table.catalog.find_or_add_text("phone");
    for idx in 0..count {
        let number = u64::try_from(idx).unwrap_or(u64::MAX);
        let draw = |stream: u64| mix(seed ^ mix(number) ^ mix(stream << 32));
        let (first, last) = (pick(&FIRST_NAMES, draw(1)).copied(), pick(&LAST_NAMES, draw(2)).copied());
        let (first, last) = (first.unwrap_or("Ana"), last.unwrap_or("Smith"));
        let (city, state) = pick(&PLACES, draw(3)).copied().unwrap_or(("Austin", "TX"));
        let title = pick(&TITLES, draw(4)).copied().unwrap_or("Owner");
        let company = pick(&COMPANIES, draw(5)).copied().unwrap_or("Acorn Freight");
        let mut values: Vec<(PropId, Text)> = columns
            .iter()
            .zip([first, last, title, company, city, state, "lead"])
            .map(|(column, value)| (*column, interned.get(value)))
            .collect();
        let address = email(first, last, "people.example").replace('@', &format!(".{idx}@"));
        values.push((email_column, address.into()));
        // One in fifty has no phone.
        if !draw(6).is_multiple_of(50) {
            let digits = draw(7);
            let phone = format!("212-{:03}-{:04}", 200 + digits % 800, (digits >> 16) % 10_000);
            values.push((phone_column, phone.into()));
        }
        table.add(None, created_ms(start_ms, idx), Setter::Import, values);
    }
}

/// Companies, deals, tickets and visits, the same in every portal.
fn others(store: &mut Store, start_ms: i64) {
    let mut add = |object: &str, idx: usize, values: &[(&str, String)]| {
        let Some(table) = store.table_mut(object) else { return };
        let values = values
            .iter()
            .filter_map(|(name, value)| {
                table.catalog.find(name).map(|(id, _)| (id, Text::from(value.as_str())))
            })
            .collect();
        table.add(None, created_ms(start_ms, idx), Setter::Import, values);
    };
    for (idx, name) in COMPANIES.iter().enumerate() {
        let domain = format!("{}.example", name.to_lowercase().replace(' ', "-"));
        let place = pick(&PLACES, u64::try_from(idx).unwrap_or(0)).copied().unwrap_or(("Austin", "TX"));
        add(
            "companies",
            idx,
            &[
                ("name", (*name).to_owned()),
                ("domain", domain),
                ("city", place.0.to_owned()),
                ("state", place.1.to_owned()),
                ("numberofemployees", (10 * (idx + 1)).to_string()),
            ],
        );
    }
    for (idx, name) in COMPANIES.iter().take(10).enumerate() {
        add(
            "deals",
            idx,
            &[
                ("dealname", format!("{name} renewal")),
                ("amount", (1_000 * (idx + 1)).to_string()),
                ("dealstage", "appointmentscheduled".to_owned()),
                ("pipeline", "default".to_owned()),
            ],
        );
        add(
            "tickets",
            idx,
            &[
                ("subject", format!("{name} cannot log in")),
                ("hs_pipeline", "0".to_owned()),
                ("hs_pipeline_stage", "1".to_owned()),
                ("hs_ticket_priority", "MEDIUM".to_owned()),
            ],
        );
        add(
            CUSTOM_OBJECT,
            idx,
            &[("visit_name", format!("Visit to {name}")), ("visit_code", format!("V-{:03}", idx + 1))],
        );
    }
}

/// The lists of every portal; the ids are fixed.
fn lists(store: &mut Store, whole: &str, at_ms: i64) {
    let filter = |property: &str, operator: &str| -> Vec<FilterGroup> {
        let groups = json!([{"filters": [{"propertyName": property, "operator": operator}]}]);
        serde_json::from_value(groups).unwrap_or_default()
    };
    let everyone = |table: &Table, list: &mut List, limit: usize| {
        table.records().iter().take(limit).for_each(|record| {
            list.members.add(record.id, record.created_ms);
        });
    };
    let mut lists = Vec::new();
    if let Some(contacts) = store.table("contacts") {
        let mut all = List::new("42", whole, "0-1", Processing::Manual, at_ms);
        everyone(contacts, &mut all, usize::MAX);
        lists.push(all);
        let unnoted =
            List::new("43", "Contacts without a membership note (active)", "0-1", Processing::Dynamic, at_ms);
        lists.push(
            unnoted.with_conditions(filter("hs_content_membership_notes", "NOT_HAS_PROPERTY"), contacts),
        );
        let mut first = List::new("44", "First 100 contacts (snapshot)", "0-1", Processing::Snapshot, at_ms);
        everyone(contacts, &mut first, 100);
        lists.push(first);
        lists.push(List::new("45", "Nobody yet (empty)", "0-1", Processing::Manual, at_ms));
        let phoned =
            List::new("48", "Contacts with a phone number (active)", "0-1", Processing::Dynamic, at_ms);
        lists.push(phoned.with_conditions(filter("phone", "HAS_PROPERTY"), contacts));
    }
    if let Some(companies) = store.table("companies") {
        let mut all = List::new("46", "All companies (static)", "0-2", Processing::Manual, at_ms);
        everyone(companies, &mut all, usize::MAX);
        lists.push(all);
    }
    // Feedback submissions: a type that the lists API refuses.
    lists.push(List::new("47", "Feedback of last quarter (unreadable)", "0-19", Processing::Manual, at_ms));
    lists.sort_by(|a, b| a.id.cmp(&b.id));
    lists.into_iter().for_each(|list| store.lists.add(list));
}
