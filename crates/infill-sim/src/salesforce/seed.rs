//! The records an org begins with.

use std::path::Path;

use super::Error;
use super::catalog::Field;
use super::config::{Config, SIM_USERNAME, Source};
use super::store::{INTEGRATION_USER, Store, user_id};
use super::value::{Given, read};
use crate::fault::mix;
use crate::people::{COMPANIES, FIRST_NAMES, LAST_NAMES, PLACES, TITLES, email, pick};

const SP500: &str = include_str!("../../data/companies_sp500.csv");

/// Records were made this long before the start.
const AGE_MS: i64 = 30 * 86_400_000;
/// Time between two records.
const STEP_MS: i64 = 1_000;
/// Accounts that have contacts, and those that have an opportunity.
const WITH_CONTACTS: usize = 60;
const WITH_OPPORTUNITY: usize = 80;
const CONTACTS_EACH: usize = 3;
const LEADS: usize = 20;
/// Every so many opportunities one has products.
const WITH_PRODUCTS_EVERY: usize = 5;

/// A company of the bundled file.
#[derive(Debug, serde::Deserialize)]
struct Company {
    #[serde(rename = "Symbol")]
    symbol: String,
    #[serde(rename = "Security")]
    name: String,
    #[serde(rename = "GICS Sector")]
    sector: String,
    #[serde(rename = "GICS Sub-Industry")]
    sub_industry: String,
    #[serde(rename = "Headquarters Location")]
    headquarters: String,
    #[serde(rename = "CIK")]
    cik: String,
    #[serde(rename = "Founded")]
    founded: String,
}

/// Adds records one after the other, each a second younger than the one before.
struct Seeder<'s> {
    store: &'s mut Store,
    at_ms: i64,
    seed: u64,
}

impl Seeder<'_> {
    /// Adds a record with some texts; texts that a field does not take are left out.
    fn add(&mut self, object: &str, values: &[(&str, String)]) -> Option<String> {
        self.at_ms += STEP_MS;
        let table = self.store.table_mut(object)?;
        let number = table.add(self.at_ms);
        for (name, text) in values.iter().filter(|(_, text)| !text.is_empty()) {
            let found = table.catalog.find(name);
            let read = found.map(|(id, field)| (id, read(field, Given::Csv { text, column: 0 })));
            if let Some((id, Ok(value))) = read {
                table.set(number, id, value);
            }
        }
        Some(table.id_of(number))
    }

    /// A number that looks random and is the same for a seed.
    fn number(&self, stream: u64, at: usize) -> u64 {
        mix(self.seed ^ mix(stream) ^ mix(u64::try_from(at).unwrap_or(0)))
    }
}

/// Fills an org as its configuration asks.
pub(crate) fn fill(store: &mut Store, config: &Config, now_ms: i64) -> Result<(), Error> {
    let mut seeder = Seeder { store, at_ms: now_ms - AGE_MS, seed: config.seed };
    setup(&mut seeder, config);
    let accounts = match &config.records {
        Source::Bundled => bundled(&mut seeder)?,
        Source::Csv(path) => from_file(&mut seeder, path)?,
        Source::Generate(n_accounts) => generated(&mut seeder, *n_accounts),
        Source::Empty => return Ok(()),
    };
    for (at, account) in accounts.iter().enumerate().take(WITH_CONTACTS) {
        (0..CONTACTS_EACH).for_each(|nth| contact(&mut seeder, at * CONTACTS_EACH + nth, account));
    }
    for (at, account) in accounts.iter().enumerate().take(WITH_OPPORTUNITY) {
        opportunity(&mut seeder, at, account, now_ms);
    }
    (0..LEADS).for_each(|at| lead(&mut seeder, at));
    Ok(())
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn owner() -> (&'static str, String) {
    ("OwnerId", user_id(INTEGRATION_USER))
}

fn setup(seeder: &mut Seeder<'_>, config: &Config) {
    let users = [
        (SIM_USERNAME, "Integration", "User"),
        ("person@sim.example", "Pat", "Person"),
        ("assignee@sim.example", "Alex", "Assignee"),
    ];
    for (username, first, last) in users {
        let values = [
            ("Username", text(username)),
            ("Email", text(username)),
            ("FirstName", text(first)),
            ("LastName", text(last)),
            ("IsActive", text("true")),
            ("TimeZoneSidKey", config.time_zone.clone()),
        ];
        seeder.add("User", &values);
    }
    let org = [
        ("Name", config.org_name.clone()),
        ("TimeZoneSidKey", config.time_zone.clone()),
        ("OrganizationType", text("Enterprise Edition")),
        ("InstanceName", text("SIM1")),
    ];
    seeder.add("Organization", &org);
    for name in ["Customer", "Supplier"] {
        let values = [
            ("Name", text(name)),
            ("DeveloperName", text(name)),
            ("SobjectType", text("Account")),
            ("IsActive", text("true")),
        ];
        seeder.add("RecordType", &values);
    }
}

fn bundled(seeder: &mut Seeder<'_>) -> Result<Vec<String>, Error> {
    let path = || "the bundled companies".to_owned();
    let mut reader = csv::Reader::from_reader(SP500.as_bytes());
    let mut accounts = Vec::new();
    for (at, company) in reader.deserialize::<Company>().enumerate() {
        let company = company.map_err(|source| Error::Records { path: path(), source })?;
        let (city, state) = company.headquarters.split_once(", ").unwrap_or((&company.headquarters, ""));
        let site = company.symbol.to_lowercase().replace('.', "-");
        let founded: String = company.founded.chars().take(4).collect();
        let employees = 500 + seeder.number(1, at) % 200_000;
        let revenue = (1 + seeder.number(2, at) % 90_000) * 1_000_000;
        let values = [
            owner(),
            ("Name", company.name.clone()),
            ("TickerSymbol", company.symbol.clone()),
            ("External_Key__c", company.symbol.clone()),
            ("CIK__c", company.cik.clone()),
            ("Industry", company.sector.clone()),
            ("Description", company.sub_industry.clone()),
            ("BillingCity", text(city)),
            ("BillingState", text(state)),
            ("Website", format!("https://www.{site}.example")),
            ("Ownership", text("Public")),
            ("YearStarted", founded),
            ("NumberOfEmployees", employees.to_string()),
            ("AnnualRevenue", revenue.to_string()),
            // Every seventh has no phone.
            ("Phone", if at % 7 == 6 { String::new() } else { phone(seeder.number(3, at)) }),
        ];
        accounts.extend(seeder.add("Account", &values));
    }
    Ok(accounts)
}

fn phone(number: u64) -> String {
    format!("(212) 555-01{:02}", number % 100)
}

fn from_file(seeder: &mut Seeder<'_>, path: &Path) -> Result<Vec<String>, Error> {
    let failed = |source| Error::Records { path: path.display().to_string(), source };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(failed)?;
    let header: Vec<String> = reader.headers().map_err(failed)?.iter().map(str::to_owned).collect();
    let mut columns = Vec::with_capacity(header.len());
    if let Some(table) = seeder.store.table_mut("Account") {
        for label in &header {
            if table.catalog.find(label).is_none() && !label.is_empty() {
                let name = custom_name(label);
                table.catalog.add(Field::custom_text(&name, label));
                columns.push(name);
            } else {
                columns.push(label.clone());
            }
        }
    }
    let mut accounts = Vec::new();
    for record in reader.records() {
        let record = record.map_err(failed)?;
        let mut values = vec![owner()];
        values.extend(columns.iter().map(String::as_str).zip(record.iter().map(str::to_owned)));
        accounts.extend(seeder.add("Account", &values));
    }
    Ok(accounts)
}

/// A field's name out of a column's: letters and digits, the rest underscores.
fn custom_name(label: &str) -> String {
    let plain: String =
        label.trim().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("{plain}__c")
}

fn generated(seeder: &mut Seeder<'_>, n_accounts: usize) -> Vec<String> {
    let mut accounts = Vec::with_capacity(n_accounts);
    for at in 0..n_accounts {
        let number = seeder.number(4, at);
        let company = pick(&COMPANIES, number).copied().unwrap_or("Acorn");
        let (city, state) = pick(&PLACES, number >> 8).copied().unwrap_or(("Austin", "TX"));
        let values = [
            owner(),
            ("Name", format!("{company} {}", at + 1)),
            ("External_Key__c", format!("G{}", at + 1)),
            ("BillingCity", text(city)),
            ("BillingState", text(state)),
            ("NumberOfEmployees", (1 + (number >> 16) % 5_000).to_string()),
            ("Phone", if number.is_multiple_of(9) { String::new() } else { phone(number) }),
        ];
        accounts.extend(seeder.add("Account", &values));
    }
    accounts
}

fn person(seeder: &Seeder<'_>, stream: u64, at: usize) -> (String, String, u64) {
    let number = seeder.number(stream, at);
    let first = pick(&FIRST_NAMES, number).copied().unwrap_or("Ana");
    let last = pick(&LAST_NAMES, number >> 12).copied().unwrap_or("Abbott");
    (text(first), text(last), number)
}

fn contact(seeder: &mut Seeder<'_>, at: usize, account: &str) {
    let (first, last, number) = person(seeder, 5, at);
    let values = [
        owner(),
        ("AccountId", text(account)),
        ("Email", email(&first, &last, &format!("c{at}.example"))),
        ("FirstName", first),
        ("LastName", last),
        ("Title", text(pick(&TITLES, number >> 24).copied().unwrap_or("Buyer"))),
        ("Phone", phone(number)),
        ("External_Key__c", format!("C-{}", at + 1)),
    ];
    seeder.add("Contact", &values);
}

fn opportunity(seeder: &mut Seeder<'_>, at: usize, account: &str, now_ms: i64) {
    const STAGES: [(&str, &str); 4] = [
        ("Prospecting", "10"),
        ("Qualification", "20"),
        ("Proposal/Price Quote", "65"),
        ("Negotiation/Review", "80"),
    ];
    let number = seeder.number(6, at);
    let (stage, chance) = pick(&STAGES, number).copied().unwrap_or(("Prospecting", "10"));
    let ahead_ms = i64::try_from(number % 180).unwrap_or(0) * 86_400_000;
    let close: String = super::value::utc(now_ms + ahead_ms).chars().take(10).collect();
    let values = [
        owner(),
        ("AccountId", text(account)),
        ("Name", format!("Renewal {}", at + 1)),
        ("StageName", text(stage)),
        ("Probability", text(chance)),
        ("Amount", (1_000 + number % 100_000).to_string()),
        ("CloseDate", close),
        ("HasOpportunityLineItem", (at % WITH_PRODUCTS_EVERY == WITH_PRODUCTS_EVERY - 1).to_string()),
        ("External_Key__c", format!("O-{}", at + 1)),
    ];
    seeder.add("Opportunity", &values);
}

fn lead(seeder: &mut Seeder<'_>, at: usize) {
    let (first, last, number) = person(seeder, 7, at);
    let values = [
        owner(),
        ("Email", email(&first, &last, &format!("l{at}.example"))),
        ("FirstName", first),
        ("LastName", last),
        ("Company", text(pick(&COMPANIES, number >> 24).copied().unwrap_or("Acorn"))),
        ("Status", text("Open - Not Contacted")),
        ("LeadSource", text("Web")),
    ];
    seeder.add("Lead", &values);
}

#[cfg(test)]
mod tests {
    use super::super::store::PERSON_USER;
    use super::*;

    fn filled(records: Source, seed: u64) -> Store {
        let mut store = Store::new();
        let config = Config { records, seed, ..Config::default() };
        fill(&mut store, &config, 1_700_000_000_000).unwrap();
        store
    }

    #[test]
    fn the_bundled_companies_are_accounts_with_all_their_values() {
        let store = filled(Source::Bundled, 0);
        let table = store.table("Account").unwrap();
        assert_eq!(table.records().len(), 503);
        let first = &table.records()[0];
        let text = |name: &str| {
            let (id, field) = table.catalog.find(name).unwrap();
            table.value(first, id, field).map(|value| value.render(field.kind))
        };
        assert_eq!(text("Name").as_deref(), Some("3M"));
        assert_eq!(text("BillingCity").as_deref(), Some("Saint Paul"));
        assert_eq!(text("YearStarted").as_deref(), Some("1902"));
        for name in ["Phone", "AnnualRevenue", "OwnerId", "Industry", "CIK__c", "Revenue_per_Employee__c"] {
            assert!(text(name).is_some(), "{name}");
        }
        let (cik, _) = table.catalog.find("CIK__c").unwrap();
        assert_eq!(table.holders(cik, "1652044").len(), 2);
        let counts =
            ["Contact", "Opportunity", "Lead", "User"].map(|name| store.table(name).unwrap().records().len());
        assert_eq!(counts, [180, 80, 20, 3]);
        assert_eq!(store.table("User").unwrap().records()[1].number, PERSON_USER);
    }

    #[test]
    fn the_same_seed_makes_the_same_records() {
        let phones = |seed| {
            let store = filled(Source::Generate(50), seed);
            let table = store.table("Account").unwrap();
            table.records().iter().map(|record| table.named(record, "Phone")).collect::<Vec<_>>()
        };
        assert_eq!(phones(7), phones(7));
        assert_ne!(phones(7), phones(8));
    }
}
