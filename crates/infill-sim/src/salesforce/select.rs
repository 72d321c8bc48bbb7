//! What a query means in an org: its names checked, its records found, ordered and shown.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::answer::Refusal;
use super::catalog::{Field, Kind};
use super::condition::{compare_records, holds};
use super::id;
use super::record::Record;
use super::soql::{Columns, Condition, Group, Literal, Name, Query};
use super::store::{INTEGRATION_USER, Store, Table, user_id};
use super::token::error_at;

/// Which records a query looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those that are not deleted.
    Live,
    /// Deleted and merged ones too: `queryAll`.
    All,
}

/// A path of names from an object: relationships, then a field, spelled as in the catalog.
pub(crate) type Path = Vec<Arc<str>>;

/// A query whose names are all known.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    pub(crate) object: &'static str,
    pub(crate) paths: Vec<Path>,
    query: Query,
}

/// Checks every name of a query.
pub(crate) fn check(store: &Store, mut query: Query) -> Result<Selection, Refusal> {
    let text = query.text.clone();
    let Some(table) = store.table(&query.object) else {
        let message = format!(
            "sObject type '{}' is not supported. If you are attempting to use a custom object, be sure to append the \
             '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names.",
            query.object
        );
        return Err(error_at(&text, query.object_at, "INVALID_TYPE", &message));
    };
    let mut checker = Checker { store, table, text: &text };
    let paths = match &mut query.columns {
        Columns::Count => Vec::new(),
        Columns::CountOf(name) => {
            checker.name(name)?;
            Vec::new()
        }
        Columns::Fields(names) => names
            .iter_mut()
            .map(|name| checker.name(name).map(|_| name.path.clone()))
            .collect::<Result<_, _>>()?,
        Columns::Group(group) => group_paths(table, *group),
    };
    if let Some(condition) = &mut query.condition {
        checker.condition(condition)?;
    }
    for order in &mut query.order {
        checker.name(&mut order.name)?;
    }
    Ok(Selection { object: table.object.name, paths, query })
}

/// Checks the names of a condition on an object.
pub(crate) fn check_condition(
    store: &Store,
    object: &str,
    text: &str,
    condition: &mut Condition,
) -> Result<(), Refusal> {
    let unknown = || Refusal::new(400, "INVALID_TYPE", format!("sObject type '{object}' is not supported."));
    let table = store.table(object).ok_or_else(unknown)?;
    Checker { store, table, text }.condition(condition)
}

fn group_paths(table: &Table, group: Group) -> Vec<Path> {
    let is_in = |field: &Field| match group {
        Group::All => true,
        Group::Standard => !field.is_custom(),
        Group::Custom => field.is_custom(),
    };
    table
        .catalog
        .iter()
        .filter(|(_, field)| is_in(field))
        .map(|(_, field)| vec![Arc::clone(&field.name)])
        .collect()
}

struct Checker<'a> {
    store: &'a Store,
    table: &'a Table,
    text: &'a str,
}

impl<'a> Checker<'a> {
    /// Spells a name as the catalog does and returns its field.
    fn name(&mut self, name: &mut Name) -> Result<&'a Field, Refusal> {
        let fail = |message: String| error_at(self.text, name.at, "INVALID_FIELD", &message);
        let mut tables = vec![self.table];
        let mut path: Path = Vec::new();
        let (last, hops) = name.path.split_last().ok_or_else(|| fail("empty name".to_owned()))?;
        for hop in hops {
            let found = tables.iter().find_map(|table| table.catalog.relationship(hop));
            let Some((_, field)) = found else {
                return Err(fail(format!(
                    "Didn't understand relationship '{hop}' in field path. If you are attempting to use a custom \
                     relationship, be sure to append the '__r' after the custom relationship name. Please reference \
                     your WSDL or the describe call for the appropriate names."
                )));
            };
            path.push(field.relationship.as_deref().unwrap_or_default().into());
            tables = field.refers.iter().filter_map(|object| self.store.table(object)).collect();
        }
        let found = tables.iter().find_map(|table| table.catalog.find(last));
        let Some((_, field)) = found else {
            let entity = tables.first().map(|table| table.object.name).unwrap_or_default();
            return Err(fail(no_such_column(last, entity)));
        };
        path.push(Arc::clone(&field.name));
        name.path = path;
        Ok(field)
    }

    /// The field of a condition.
    fn filterable(&mut self, name: &mut Name) -> Result<&'a Field, Refusal> {
        let field = self.name(name)?;
        if field.is_filterable() {
            return Ok(field);
        }
        let message = format!("field '{}' can not be filtered in a query call", field.name);
        Err(error_at(self.text, name.at, "INVALID_FIELD", &message))
    }

    fn condition(&mut self, condition: &mut Condition) -> Result<(), Refusal> {
        match condition {
            Condition::All(terms) | Condition::Any(terms) => {
                terms.iter_mut().try_for_each(|term| self.condition(term))
            }
            Condition::Not(inner) => self.condition(inner),
            Condition::Compare(name, _, literal) => {
                let field = self.filterable(name)?;
                self.literal(name.at, field, literal)
            }
            Condition::In(name, literals) => {
                let field = self.filterable(name)?;
                literals.iter_mut().try_for_each(|literal| self.literal(name.at, field, literal))
            }
            Condition::Like(name, _) | Condition::Includes(name, _) => self.filterable(name).map(|_| ()),
        }
    }

    /// Checks a literal against its field, and spells ids in their long form.
    fn literal(&self, at: usize, field: &Field, literal: &mut Literal) -> Result<(), Refusal> {
        let fail = |code: &str, message: String| Err(error_at(self.text, at, code, &message));
        let kind = field.kind;
        match literal {
            Literal::Text(text) if matches!(kind, Kind::Id | Kind::Reference) => match id::parse(text) {
                Some(id) => {
                    if let Some(number) = id.number {
                        *text = id::id18(&id.prefix, number);
                    }
                    Ok(())
                }
                None => fail("INVALID_QUERY_FILTER_OPERATOR", format!("invalid ID field: {text}")),
            },
            Literal::Text(_)
                if kind.is_number() || matches!(kind, Kind::Boolean | Kind::Date | Kind::DateTime) =>
            {
                fail(
                    "INVALID_FIELD",
                    format!(
                        "value of filter criterion for field '{}' must be of type {} and should not be enclosed in quotes",
                        field.name,
                        kind.soap_type().trim_start_matches("xsd:")
                    ),
                )
            }
            Literal::Number(_) if !kind.is_number() => fail(
                "INVALID_FIELD",
                format!(
                    "value of filter criterion for field '{}' must be of type {} and should be enclosed in quotes",
                    field.name,
                    kind.soap_type().trim_start_matches("xsd:")
                ),
            ),
            Literal::Text(_)
            | Literal::Null
            | Literal::Number(_)
            | Literal::Bool(_)
            | Literal::Date(_)
            | Literal::Time(_)
            | Literal::Days(..) => Ok(()),
        }
    }
}

/// The vendor's words about a field that a query names and the user does not see.
pub(crate) fn no_such_column(field: &str, entity: &str) -> String {
    format!(
        "No such column '{field}' on entity '{entity}'. If you are attempting to use a custom field, be sure to append \
         the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names."
    )
}

impl Selection {
    /// Numbers of the records it selects, in order.
    pub(crate) fn run(&self, store: &Store, reach: Reach, now_ms: i64) -> Vec<u64> {
        let Some(table) = store.table(self.object) else { return Vec::new() };
        let me = user_id(INTEGRATION_USER);
        let is_mine = |record: &Record| {
            !self.query.is_mine
                || table.named(record, "OwnerId").is_some_and(|owner| owner.render(Kind::Id) == me)
        };
        let is_selected = |record: &&Record| {
            (reach == Reach::All || !record.is_deleted)
                && is_mine(record)
                && self
                    .query
                    .condition
                    .as_ref()
                    .is_none_or(|wanted| holds(store, table, record, wanted, now_ms))
        };
        let mut records: Vec<&Record> = table.records().iter().filter(is_selected).collect();
        if !self.query.order.is_empty() {
            records.sort_by(|a, b| compare_records(store, table, &self.query.order, a, b));
        }
        let limit = self.query.limit.unwrap_or(usize::MAX);
        records.iter().skip(self.query.offset).take(limit).map(|record| record.number).collect()
    }

    /// Whether the query asks for a number and not for records.
    pub(crate) fn is_count(&self) -> bool {
        self.query.columns == Columns::Count
    }

    /// Whether the query asks for one record that holds a number.
    pub(crate) fn is_count_of(&self) -> bool {
        matches!(self.query.columns, Columns::CountOf(_))
    }

    /// A record as the query shows it.
    pub(crate) fn show(&self, store: &Store, number: u64, version: &str) -> Value {
        let Some(table) = store.table(self.object) else { return Value::Null };
        table.get(number).map_or(Value::Null, |record| show(store, table, record, &self.paths, version))
    }
}

/// A record with some of its fields, and those of records it refers to nested.
pub(crate) fn show(store: &Store, table: &Table, record: &Record, paths: &[Path], version: &str) -> Value {
    let mut shown = Map::new();
    shown.insert("attributes".to_owned(), attributes(table, record, version));
    for path in paths {
        show_path(store, table, record, path, version, &mut shown);
    }
    Value::Object(shown)
}

fn show_path(
    store: &Store,
    table: &Table,
    record: &Record,
    path: &[Arc<str>],
    version: &str,
    shown: &mut Map<String, Value>,
) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        let value =
            table.catalog.find(first).map_or(Value::Null, |(id, field)| table.json(record, id, field));
        shown.insert(first.to_string(), value);
        return;
    }
    let target = table.catalog.relationship(first).and_then(|(id, field)| table.value(record, id, field));
    let target = target.and_then(|target| store.by_id(&target.render(Kind::Id)));
    let Some((target_table, target)) = target else {
        shown.insert(first.to_string(), Value::Null);
        return;
    };
    let nested = shown
        .entry(first.to_string())
        .or_insert_with(|| json!({"attributes": attributes(target_table, target, version)}));
    if let Value::Object(nested) = nested {
        show_path(store, target_table, target, rest, version, nested);
    }
}

fn attributes(table: &Table, record: &Record, version: &str) -> Value {
    let name = table.object.name;
    let url = format!("/services/data/v{version}/sobjects/{name}/{}", table.id_of(record.number));
    json!({"type": name, "url": url})
}

#[cfg(test)]
mod tests {
    use super::super::soql;
    use super::super::value::Stored;
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn store() -> Store {
        let mut store = Store::new();
        for (name, score, topics) in
            [("Alpha", Some(3.0), "Pricing;Renewal"), ("beta", None, ""), ("50% off", Some(-1.5), "Support")]
        {
            let table = store.table_mut("Account").unwrap();
            let number = table.add(DAY_MS * 10);
            let values = [
                ("Name", Some(Stored::text(name))),
                ("Score__c", score.map(Stored::Number)),
                ("Topics__c", Some(Stored::text(topics)).filter(|_| !topics.is_empty())),
            ];
            for (field, value) in values {
                let id = table.catalog.find(field).unwrap().0;
                table.set(number, id, value);
            }
        }
        store
    }

    fn names(condition: &str) -> Vec<String> {
        let store = store();
        let query = soql::parse(&format!("SELECT Name FROM Account {condition}")).unwrap();
        let selection = check(&store, query).unwrap();
        let numbers = selection.run(&store, Reach::Live, DAY_MS * 12);
        let shown = |number| selection.show(&store, number, "68.0")["Name"].as_str().unwrap().to_owned();
        numbers.into_iter().map(shown).collect()
    }

    #[test]
    fn conditions_select_as_the_vendor_says() {
        let all = ["Alpha", "beta", "50% off"];
        for (condition, expected) in [
            ("WHERE Name = 'ALPHA'", &all[..1]),
            ("WHERE Score__c = null", &all[1..2]),
            ("WHERE Score__c != 3", &all[1..]),
            ("WHERE Score__c < 0", &all[2..]),
            ("WHERE NOT Name LIKE 'a%'", &all[1..]),
            (r"WHERE Name LIKE '%\%%'", &all[2..]),
            ("WHERE Name LIKE '_eta'", &all[1..2]),
            ("WHERE Name NOT IN ('alpha', 'Beta')", &all[2..]),
            ("WHERE Topics__c INCLUDES ('Pricing;Renewal', 'None')", &all[..1]),
            ("WHERE Topics__c EXCLUDES ('Support')", &all[..2]),
            ("WHERE CreatedDate = LAST_N_DAYS:2", &all[..]),
            ("WHERE CreatedDate > LAST_N_DAYS:1", &[]),
            ("WHERE CreatedDate < YESTERDAY", &all[..]),
            ("WHERE (Score__c = 3 OR Score__c = null) AND IsDeleted = false", &all[..2]),
        ] {
            assert_eq!(names(condition), expected, "{condition}");
        }
    }

    #[test]
    fn order_puts_nothing_first_unless_told() {
        assert_eq!(names("ORDER BY Score__c"), ["beta", "50% off", "Alpha"]);
        assert_eq!(names("ORDER BY Score__c DESC NULLS LAST"), ["Alpha", "50% off", "beta"]);
        assert_eq!(names("ORDER BY Name LIMIT 1 OFFSET 1"), ["Alpha"]);
    }

    #[test]
    fn unknown_names_and_wrong_types_are_refused() {
        let refusal = |text: &str| check(&store(), soql::parse(text).unwrap()).unwrap_err();
        let unknown = refusal("SELECT Id FROM Contacts");
        assert!(
            unknown.code == "INVALID_TYPE"
                && unknown.message.contains("sObject type 'Contacts' is not supported")
        );
        let column = refusal("SELECT Id, Nothing__c FROM Account");
        assert!(
            column.message.contains("Column:12")
                && column.message.contains("No such column 'Nothing__c' on entity 'Account'")
        );
        assert!(
            refusal("SELECT Foo.Name FROM Account").message.contains("Didn't understand relationship 'Foo'")
        );
        assert!(
            refusal("SELECT Id FROM Account WHERE Score__c = '3'")
                .message
                .contains("should not be enclosed in quotes")
        );
        assert_eq!(refusal("SELECT Id FROM Account WHERE Id = 'x'").code, "INVALID_QUERY_FILTER_OPERATOR");
    }
}
