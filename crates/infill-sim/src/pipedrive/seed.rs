//! The records a company begins with.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Error;
use super::config::{Config, Source};
use super::entity::Entity;
use super::filter::{Filter, parse};
use super::store::{LEAD_LABELS, ME, Store, blank};
use super::write::split_name;
use crate::fault::mix;
use crate::people::{COMPANIES, CONGRESS, FIRST_NAMES, LAST_NAMES, PLACES, TITLES, email, pick};

/// Of the bundled people every one at such a row (from 1) is left without a phone; one more has none in the file.
const EVERY_NTH_WITHOUT_PHONE: usize = 100;
/// Of the made-up people one in so many has no phone.
const ONE_IN_WITHOUT_PHONE: u64 = 50;

/// Records were made this long before the start.
const AGE_MS: i64 = 30 * 86_400_000;
/// Time between two records.
const STEP_MS: i64 = 1_000;

/// Columns that become built-in values or parts of the name.
const BUILT_IN_COLUMNS: [&str; 9] =
    ["id", "name", "fullname", "firstname", "lastname", "email", "phone", "organization", "company"];

/// Fills a store with what the configuration asks for.
pub(crate) fn fill(store: &mut Store, config: &Config, now_ms: i64) -> Result<(), Error> {
    let start_ms = now_ms - AGE_MS;
    let mut seeding = Seeding { store, start_ms, organizations: HashMap::new() };
    for (idx, company) in COMPANIES.iter().enumerate() {
        seeding.company(idx, company);
    }
    match &config.records {
        Source::Bundled => seeding.congress()?,
        Source::Csv(path) => seeding.file(path)?,
        Source::Generate(count) => seeding.generate(*count, config.seed),
        Source::Empty => {}
    }
    seeding.others();
    filters(store, start_ms);
    Ok(())
}

/// A person of whom this is known; empty texts are not.
#[derive(Debug, Default)]
struct Person<'a> {
    id: Option<u64>,
    name: &'a str,
    email: &'a str,
    phone: &'a str,
    organization: &'a str,
}

struct Seeding<'s> {
    store: &'s mut Store,
    start_ms: i64,
    organizations: HashMap<String, u64>,
}

impl Seeding<'_> {
    fn made_ms(&self, idx: usize) -> i64 {
        self.start_ms + i64::try_from(idx).unwrap_or(i64::MAX).saturating_mul(STEP_MS).min(AGE_MS / 2)
    }

    fn add(
        &mut self,
        entity: Entity,
        idx: usize,
        id: Option<u64>,
        values: Value,
        custom: BTreeMap<Arc<str>, Value>,
    ) -> u64 {
        let at_ms = self.made_ms(idx);
        let mut record = blank(entity);
        if let Value::Object(values) = values {
            record.extend(values);
        }
        self.store.table_mut(entity).add(id, record, custom, at_ms)
    }

    fn company(&mut self, idx: usize, name: &str) {
        let domain = format!("{}.example", name.to_lowercase().replace(' ', "-"));
        let (city, state) = pick(&PLACES, number(idx)).copied().unwrap_or(("Austin", "TX"));
        let mut address: Map<String, Value> =
            super::catalog::ADDRESS_PARTS.iter().map(|part| ((*part).to_owned(), Value::Null)).collect();
        address.insert("value".to_owned(), format!("{city}, {state}").into());
        address.insert("locality".to_owned(), city.into());
        address.insert("admin_area_level_1".to_owned(), state.into());
        let values = json!({
            "name": name, "website": format!("https://{domain}"), "address": address,
            "employee_count": 10 * (idx + 1),
        });
        let id = self.add(Entity::Organization, idx, None, values, BTreeMap::new());
        self.organizations.insert(name.to_owned(), id);
    }

    /// The organization of that name, made if there is none.
    fn organization(&mut self, name: &str) -> Value {
        if name.is_empty() {
            return Value::Null;
        }
        if let Some(id) = self.organizations.get(name) {
            return json!(id);
        }
        let idx = self.organizations.len();
        let id = self.add(Entity::Organization, idx, None, json!({"name": name}), BTreeMap::new());
        self.organizations.insert(name.to_owned(), id);
        json!(id)
    }

    fn person(&mut self, idx: usize, person: &Person<'_>, custom: BTreeMap<Arc<str>, Value>) {
        let entries = |value: &str| match value {
            "" => json!([]),
            value => json!([{"value": value, "primary": true, "label": "work"}]),
        };
        let (first_name, last_name) = split_name(person.name);
        let values = json!({
            "name": person.name, "first_name": first_name, "last_name": last_name,
            "emails": entries(person.email), "phones": entries(person.phone),
            "org_id": self.organization(person.organization),
        });
        self.add(Entity::Person, idx, person.id, values, custom);
    }

    fn congress(&mut self) -> Result<(), Error> {
        let mut emails = HashSet::new();
        let reader = csv::Reader::from_reader(CONGRESS.as_bytes());
        self.rows(reader, "the bundled people", |idx, row| {
            let field = |name: &str| row.get(name).cloned().unwrap_or_default();
            let mut address = email(&field("firstname"), &field("lastname"), "congress.example");
            if !emails.insert(address.clone()) {
                address = address.replace('@', &format!(".{}@", field("bioguide_id").to_lowercase()));
                emails.insert(address.clone());
            }
            let chamber =
                if field("jobtitle") == "Senator" { "U.S. Senate" } else { "U.S. House of Representatives" };
            if (idx + 1).is_multiple_of(EVERY_NTH_WITHOUT_PHONE) {
                row.remove("phone");
            }
            row.insert("email".to_owned(), address);
            row.insert("company".to_owned(), chamber.to_owned());
        })
    }

    fn file(&mut self, path: &Path) -> Result<(), Error> {
        let place = path.display().to_string();
        let reader =
            csv::Reader::from_path(path).map_err(|source| Error::Records { path: place.clone(), source })?;
        self.rows(reader, &place, |_, _| {})
    }

    /// Makes a person of each row; a column that is no built-in one becomes a custom field.
    fn rows<R: std::io::Read>(
        &mut self,
        mut reader: csv::Reader<R>,
        place: &str,
        mut adjust: impl FnMut(usize, &mut HashMap<String, String>),
    ) -> Result<(), Error> {
        let wrong = |source| Error::Records { path: place.to_owned(), source };
        let header = reader.headers().map_err(wrong)?.clone();
        let catalog = &mut self.store.table_mut(Entity::Person).catalog;
        let own = header.iter().filter(|name| !BUILT_IN_COLUMNS.contains(name));
        let columns: Vec<(String, Arc<str>)> =
            own.map(|name| (name.to_owned(), catalog.add(name, "varchar", &[]))).collect();
        for (idx, row) in reader.records().enumerate() {
            let row = row.map_err(wrong)?;
            let pairs =
                header.iter().zip(row.iter()).map(|(name, value)| (name.to_owned(), value.to_owned()));
            let mut row: HashMap<String, String> = pairs.collect();
            adjust(idx, &mut row);
            let text = |name: &str| row.get(name).map_or("", String::as_str);
            let first_of =
                |names: [&'static str; 2]| names.map(text).into_iter().find(|text| !text.is_empty());
            let joined = format!("{} {}", text("firstname"), text("lastname"));
            let person = Person {
                id: text("id").parse().ok(),
                name: first_of(["name", "fullname"]).unwrap_or_else(|| joined.trim()),
                email: text("email"),
                phone: text("phone"),
                organization: first_of(["organization", "company"]).unwrap_or_default(),
            };
            let set = columns.iter().filter(|(name, _)| !text(name).is_empty());
            let custom = set.map(|(name, code)| (Arc::clone(code), text(name).into())).collect();
            self.person(idx, &person, custom);
        }
        Ok(())
    }

    fn generate(&mut self, count: usize, seed: u64) {
        let code = |word: &str| self.store.field(Entity::Person, word).map(|field| Arc::clone(&field.code));
        let (region, background) = (code("Region"), code("Background"));
        for idx in 0..count {
            let draw = |stream: u64| mix(seed ^ mix(number(idx)) ^ mix(stream << 32));
            let first = pick(&FIRST_NAMES, draw(1)).copied().unwrap_or("Ana");
            let last = pick(&LAST_NAMES, draw(2)).copied().unwrap_or("Smith");
            let (city, _) = pick(&PLACES, draw(3)).copied().unwrap_or(("Austin", "TX"));
            let title = pick(&TITLES, draw(4)).copied().unwrap_or("Owner");
            let address = email(first, last, "people.example").replace('@', &format!(".{idx}@"));
            let digits = draw(7);
            let phone = format!("212-{:03}-{:04}", 200 + digits % 800, (digits >> 16) % 10_000);
            let person = Person {
                id: None,
                name: &format!("{first} {last}"),
                email: &address,
                phone: if draw(6).is_multiple_of(ONE_IN_WITHOUT_PHONE) { "" } else { &phone },
                organization: pick(&COMPANIES, draw(5)).copied().unwrap_or("Acorn Freight"),
            };
            let custom = [(region.clone(), city), (background.clone(), title)];
            let custom = custom.into_iter().filter_map(|(code, text)| Some((code?, text.into())));
            self.person(idx, &person, custom.collect());
        }
    }

    /// Deals, products, activities and leads, the same in every company.
    fn others(&mut self) {
        let persons: Vec<u64> =
            self.store.table(Entity::Person).records().iter().take(10).map(|record| record.id).collect();
        for (idx, company) in COMPANIES.iter().take(10).enumerate() {
            let organization = self.organization(company);
            let person = persons.get(idx);
            let (status, is_archived) = match idx {
                7 => ("won", false),
                8 => ("lost", false),
                9 => ("open", true),
                _ => ("open", false),
            };
            let values = json!({
                "title": format!("{company} renewal"), "value": 1_000 * (idx + 1), "org_id": organization,
                "person_id": person, "status": status, "is_archived": is_archived, "stage_id": 1 + idx % 3,
            });
            self.add(Entity::Deal, idx, None, values, BTreeMap::new());
            let values = json!({
                "subject": format!("Call {company}"), "org_id": organization, "person_id": person,
                "due_date": "2026-12-01", "done": idx < 3,
            });
            self.add(Entity::Activity, idx, None, values, BTreeMap::new());
            let [(label, ..), ..] = LEAD_LABELS;
            let values = json!({
                "title": format!("{company} wants a demo"), "organization_id": organization, "person_id": person,
                "value": {"amount": 500, "currency": "USD"}, "label_ids": [label], "is_archived": idx == 9,
            });
            self.add(Entity::Lead, idx, None, values, BTreeMap::new());
        }
        for (idx, name) in
            ["Pencil", "Support plan", "Seat licence", "Training day", "Poster"].iter().enumerate()
        {
            let values = json!({
                "name": name, "code": format!("P-{:03}", idx + 1),
                "prices": [{"product_id": 9_001 + idx, "price": 10 * (idx + 1), "currency": "USD", "cost": 1,
                            "direct_cost": null, "notes": ""}],
            });
            self.add(Entity::Product, idx, None, values, BTreeMap::new());
        }
    }
}

fn number(idx: usize) -> u64 {
    u64::try_from(idx).unwrap_or(u64::MAX)
}

/// The filters of every company; the ids are fixed.
fn filters(store: &mut Store, at_ms: i64) {
    let wishes = [
        ("All persons", Entity::Person, "name", "IS NOT NULL", Value::Null, ME),
        ("Persons without a greeting", Entity::Person, "Greeting", "IS NULL", Value::Null, ME),
        ("Persons with a phone", Entity::Person, "phone", "IS NOT NULL", Value::Null, ME),
        ("Nobody", Entity::Person, "name", "=", json!("Nobody At All"), ME),
        ("All organizations", Entity::Organization, "name", "IS NOT NULL", Value::Null, ME),
        ("Open deals", Entity::Deal, "status", "=", json!("open"), ME),
        ("All leads", Entity::Lead, "title", "IS NOT NULL", Value::Null, ME),
        ("A colleague's persons", Entity::Person, "name", "IS NOT NULL", Value::Null, 12),
        ("All products", Entity::Product, "name", "IS NOT NULL", Value::Null, ME),
        ("Open activities", Entity::Activity, "done", "=", json!("0"), ME),
    ];
    for (id, (name, entity, word, operator, value, user_id)) in (1..).zip(wishes) {
        let Some(field_id) = store.field(entity, word).map(|field| field.id) else { continue };
        let condition = json!({
            "object": entity.singular(), "field_id": field_id.to_string(), "operator": operator, "value": value,
            "extra_value": null,
        });
        let groups = json!([{"glue": "and", "conditions": [condition]}, {"glue": "or", "conditions": []}]);
        let Ok((all_of, any_of)) = parse(store, &json!({"glue": "and", "conditions": groups})) else {
            continue;
        };
        let filter = Filter {
            id,
            name: name.to_owned(),
            entity,
            user_id,
            all_of,
            any_of,
            made_ms: at_ms,
            updated_ms: at_ms,
        };
        store.filters.insert(id, filter);
    }
}
