//! `/query`, `/queryAll` and their pages.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::board::Struck;
use super::fault::FaultKind;
use super::id;
use super::org::Ask;
use super::route::Operation;
use super::select::{Reach, Selection, check};
use super::soql;
use super::store::Store;

const DEFAULT_PAGE: usize = 2_000;
const MIN_PAGE: usize = 200;
/// Cursors kept at a time; the oldest goes first.
const MAX_CURSORS: usize = 2_000;

/// A query whose records are told page by page.
#[derive(Debug, Clone)]
struct Cursor {
    selection: Selection,
    numbers: Vec<u64>,
    page: usize,
    made_ms: i64,
}

/// The open cursors of an org.
#[derive(Debug, Default)]
pub(crate) struct Cursors {
    open: BTreeMap<u64, Cursor>,
    n_made: u64,
}

impl Cursors {
    fn keep(&mut self, cursor: Cursor) -> u64 {
        self.n_made += 1;
        self.open.insert(self.n_made, cursor);
        if self.open.len() > MAX_CURSORS {
            self.open.pop_first();
        }
        self.n_made
    }
}

/// `GET /query?q=` and `GET /queryAll?q=`
pub(crate) fn query(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let text = ask.query.first("q").unwrap_or_default();
    if text.trim().is_empty() {
        return Err(Refusal::new(400, "MALFORMED_QUERY", "A query string has to be specified"));
    }
    let store = ask.org.store();
    let selection = check(&store, soql::parse(text)?)?;
    let reach = if ask.call.operation == Operation::QueryAll { Reach::All } else { Reach::Live };
    let numbers = visible(ask, &store, &selection, selection.run(&store, reach, ask.now_ms));
    if selection.is_count() {
        return Ok(Answer::value(200, &json!({"totalSize": numbers.len(), "done": true, "records": []})));
    }
    if selection.is_count_of() {
        let record = json!({"attributes": {"type": "AggregateResult"}, "expr0": numbers.len()});
        return Ok(Answer::value(200, &json!({"totalSize": 1, "done": true, "records": [record]})));
    }
    let page = page_size(ask, selection.paths.len());
    let cursor = Cursor { selection, numbers, page, made_ms: ask.now_ms };
    let is_long = cursor.numbers.len() > page;
    let kept = is_long.then(|| ask.org.cursors().keep(cursor.clone()));
    Ok(show_page(ask, &store, &cursor, kept.unwrap_or(0), 0))
}

/// Leaves out the records that a fault hides.
pub(crate) fn visible(
    ask: &Ask<'_>,
    store: &Store,
    selection: &Selection,
    mut numbers: Vec<u64>,
) -> Vec<u64> {
    if let Some(table) = store.table(selection.object).filter(|_| !ask.board.is_empty()) {
        numbers.retain(|number| {
            let id = table.id_of(*number);
            let struck = Struck {
                operation: ask.call.operation,
                object: table.object.name,
                id: &id,
                number: *number,
                sent: &[],
            };
            ask.board.strike_record(struck, |kind| *kind == FaultKind::Missing).is_none()
        });
    }
    numbers
}

/// The size of a page: what the header asks for, within bounds, and half of it for wide rows.
fn page_size(ask: &Ask<'_>, n_columns: usize) -> usize {
    let asked = ask.header_part("sforce-query-options", "batchSize").and_then(|size| size.parse().ok());
    let size = asked.unwrap_or(DEFAULT_PAGE).clamp(MIN_PAGE, DEFAULT_PAGE);
    if n_columns > ask.org.config.switches.wide_columns { (size / 2).max(MIN_PAGE) } else { size }
}

/// `GET /query/{locator}`
pub(crate) fn more(ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let gone = || Refusal::new(400, "INVALID_QUERY_LOCATOR", "invalid query locator");
    let (locator, from) = ask.call.key.rsplit_once('-').ok_or_else(gone)?;
    let number =
        id::parse(locator).filter(|id| id.prefix == "01g").and_then(|id| id.number).ok_or_else(gone)?;
    let from: usize = from.parse().map_err(|_| gone())?;
    let cursor = ask.org.cursors().open.get(&number).cloned().ok_or_else(gone)?;
    let ttl_ms = i64::try_from(ask.org.config.locator_ttl.as_millis()).unwrap_or(i64::MAX);
    if ask.now_ms - cursor.made_ms >= ttl_ms || from > cursor.numbers.len() {
        return Err(gone());
    }
    Ok(show_page(ask, &ask.org.store(), &cursor, number, from))
}

fn show_page(ask: &Ask<'_>, store: &Store, cursor: &Cursor, number: u64, from: usize) -> Answer {
    let version = ask.call.version_text();
    let shown = cursor.numbers.iter().skip(from).take(cursor.page);
    let records: Vec<Value> = shown.map(|record| cursor.selection.show(store, *record, &version)).collect();
    let next = from + cursor.page;
    let is_done = next >= cursor.numbers.len();
    let mut body = json!({"totalSize": cursor.numbers.len(), "done": is_done, "records": records});
    if let Value::Object(body) = &mut body
        && !is_done
    {
        let url = format!("/services/data/v{version}/query/{}-{next}", id::id18("01g", number));
        body.insert("nextRecordsUrl".to_owned(), url.into());
    }
    Answer::value(200, &body)
}
