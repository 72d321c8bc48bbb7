//! A TOML text as a tree with places, and what the environment puts into it.

use infill_model::document::{Entry, Kind, Node, Place};
use infill_model::error::{Fault, FaultCode};
use serde_json::Number;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads a text into a tree.
///
/// # Errors
/// Every place where it is not TOML.
pub(super) fn parse(text: &str) -> Result<Node, Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let kind = Kind::Map(entries(text, table.get_ref()));
        return Ok(Node { kind, place: Some(Place { line: 1, column: 1 }) });
    }
    Err(errors
        .iter()
        .map(|error| {
            let place = error.span().map(|span| place(text, span.start));
            let message = format!("not readable as TOML: {}", error.message());
            let mut fault = Fault::new(FaultCode::Syntax, "", message);
            fault.line = place.map(|place| place.line);
            fault.column = place.map(|place| place.column);
            fault
        })
        .collect())
}

fn entries(text: &str, table: &DeTable<'_>) -> Vec<Entry> {
    table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            place: Some(place(text, key.span().start)),
            value: node(text, value),
        })
        .collect()
}

fn node(text: &str, value: &Spanned<DeValue<'_>>) -> Node {
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Kind::Text(number.to_string()), |number| Kind::Number(number.into())),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map_or_else(|| Kind::Text(number.to_string()), Kind::Number),
        DeValue::Boolean(flag) => Kind::Bool(*flag),
        DeValue::Datetime(moment) => Kind::Text(moment.to_string()),
        DeValue::Array(items) => Kind::List(items.iter().map(|item| node(text, item)).collect()),
        DeValue::Table(table) => Kind::Map(entries(text, table)),
    };
    Node { kind, place: Some(place(text, value.span().start)) }
}

/// Line and column of a byte of the text.
fn place(text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.get(line_start..).unwrap_or_default().chars().count().saturating_add(1);
    Place { line: u32::try_from(line).unwrap_or(u32::MAX), column: u32::try_from(column).unwrap_or(u32::MAX) }
}

/// A document in which nothing is written.
pub(super) fn empty() -> Node {
    Node { kind: Kind::Map(Vec::new()), place: None }
}

/// Puts a value from elsewhere at `section.key`, over what is written there. A section that is written as something
/// else than a table is left alone: it is a fault of its own.
pub(super) fn put(root: &mut Node, section: &str, key: &str, value: Kind) {
    let Some(section) = entry(root, section) else { return };
    if let Some(entry) = entry(section, key) {
        *entry = Node { kind: value, place: None };
    }
}

/// The value of a key, made when it is not there.
fn entry<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    let Kind::Map(entries) = &mut node.kind else { return None };
    let idx = entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
        entries.push(Entry { key: key.to_owned(), place: None, value: empty() });
        entries.len().saturating_sub(1)
    });
    entries.get_mut(idx).map(|entry| &mut entry.value)
}
