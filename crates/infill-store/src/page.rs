//! The text of a page. Rows of a batch have the same properties and cells of the same actions, so names stand once per
//! page and rows refer to them: some two fifths fewer bytes than one object per row.
//!
//! ```text
//! source page: [[[name, …], …], [[record, inputs' names, [value, …], before's names, [value, …], gone], …]]
//!              a row that is refused has the cause as one more item, one that is left as it is null and a run as two more
//! result page: [[[name, …], …], [kind of cell, …],
//!               [[wanted's names, [value, …], [[kind, [output, …], error], …]], …]]
//! states:      [[state, how many rows one after another], [state, 1, rest], …]
//!              a state is one word, or two with what the row was guarded by: "verified", "verified/read"
//! ```
//!
//! What a row produced is written once, how far it is several times: so the two stand apart, and rows that stand alike are
//! counted. Lists of names and kinds are referred to by place. A missing property is another list of names, so absent, null and
//! the empty string stay apart. An empty array is an empty page.

use std::borrow::Cow;

use infill_model::row::{Cause, Gone, GuardedBy, RowState};
use infill_model::{
    ActionId, Cell, CellError, CellStatus, Properties, PropertyName, RecordId, Row, RowResult, RunId, Value,
};
use serde::{Deserialize, Serialize, Serializer};

use crate::error::Error;

/// Why a page cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("not a page")]
    Json(#[from] serde_json::Error),
    #[error("a row refers to names or cells that the page does not have")]
    Reference,
    #[error("a row is in no known state: {0}")]
    State(String),
    #[error("as many rows have no state, or states no row")]
    Length,
}

/// The text of a source page.
pub(crate) fn write_rows(rows: &[Row]) -> Result<String, Error> {
    let mut names = Names::default();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let (inputs, before) = (names.place(&row.inputs), names.place(&row.before));
            let (input_values, before_values) = (Values(&row.inputs), Values(&row.before));
            let Row { record, gone, refused, same_as, .. } = row;
            match (refused, same_as) {
                (None, None) => WrittenRow::Taken(record, inputs, input_values, before, before_values, gone),
                (Some(cause), None) => {
                    WrittenRow::Refused(record, inputs, input_values, before, before_values, gone, cause)
                }
                (refused, Some(run)) => {
                    WrittenRow::Same(record, inputs, input_values, before, before_values, gone, refused, run)
                }
            }
        })
        .collect();
    written(&(names.0, rows))
}

/// The rows of a source page.
pub(crate) fn read_rows(text: &str) -> Result<Vec<Row>, Unreadable> {
    let SourcePage(names, rows) = serde_json::from_str(text)?;
    let row =
        |SourceRow(record, inputs, input_values, before, before_values, gone, refused, same_as): SourceRow<'_>| {
            Ok(Row {
                record: RecordId::from(&*record),
                inputs: properties(&names, inputs, input_values)?,
                before: properties(&names, before, before_values)?,
                gone,
                refused,
                same_as,
            })
        };
    rows.into_iter().map(row).collect()
}

/// The text of a result page: what rows produced.
pub(crate) fn write_produced(results: &[RowResult]) -> Result<String, Error> {
    let (mut names, mut kinds) = (Names::default(), Kinds::default());
    let rows: Vec<_> = results
        .iter()
        .map(|result| {
            let cells: Vec<_> =
                result.cells.iter().map(|cell| (kinds.place(cell), Outputs(cell), &cell.error)).collect();
            (names.place(&result.wanted), Values(&result.wanted), cells)
        })
        .collect();
    written(&(names.0, kinds.0, rows))
}

/// The text of how far rows are.
pub(crate) fn write_states(results: &[RowResult]) -> Result<String, Error> {
    let mut spans: Vec<Span<'_>> = Vec::new();
    let mut last_state = None;
    for result in results {
        let (state, rest) = ((result.state, result.guarded_by), Rest::of(result));
        match spans.last_mut() {
            Some(Span(_, n_rows, None)) if last_state == Some(state) && rest.is_none() => *n_rows += 1,
            Some(_) | None => spans.push(Span(state_words(state), 1, rest)),
        }
        last_state = Some(state);
    }
    written(&spans)
}

/// The results of a result page and of the states beside it.
pub(crate) fn read_results(produced: &str, states: &str) -> Result<Vec<RowResult>, Unreadable> {
    let ResultPage(names, kinds, rows) = serde_json::from_str(produced)?;
    let spans: Vec<Span<'_>> = serde_json::from_str(states)?;
    let mut results = Vec::with_capacity(rows.len());
    let mut rows = rows.into_iter();
    for Span(state, n_rows, rest) in spans {
        let (state, guarded_by) = read_state(&state)?;
        for _ in 0..n_rows {
            let ResultRow(wanted, values, cells) = rows.next().ok_or(Unreadable::Length)?;
            results.push(RowResult {
                cells: cells.into_iter().map(|cell| cell.read(&kinds)).collect::<Result<_, _>>()?,
                wanted: properties(&names, wanted, values)?,
                state,
                guarded_by,
                ..RowResult::default()
            });
        }
        if let (Some(rest), Some(result)) = (rest, results.last_mut()) {
            result.cause = rest.cause.map(Cow::into_owned);
            result.found = rest.found.into_owned();
            result.survivor = rest.survivor.map(Cow::into_owned);
        }
    }
    if rows.next().is_some() { Err(Unreadable::Length) } else { Ok(results) }
}

fn written(page: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(page).map_err(|e| Error::Query { operation: "write a page", source: e.into() })
}

#[derive(Deserialize)]
struct SourcePage<'a>(#[serde(default)] Vec<Vec<PropertyName>>, #[serde(default, borrow)] Vec<SourceRow<'a>>);

#[derive(Deserialize)]
struct SourceRow<'a>(
    #[serde(borrow)] Cow<'a, str>,
    usize,
    Vec<Value>,
    usize,
    Vec<Value>,
    Option<Gone>,
    #[serde(default)] Option<Cause>,
    #[serde(default)] Option<RunId>,
);

/// A row as [`SourceRow`] reads it. Few are refused, and the others do without the item.
#[derive(Serialize)]
#[serde(untagged)]
enum WrittenRow<'a> {
    Taken(&'a RecordId, usize, Values<'a>, usize, Values<'a>, &'a Option<Gone>),
    Refused(&'a RecordId, usize, Values<'a>, usize, Values<'a>, &'a Option<Gone>, &'a Cause),
    Same(&'a RecordId, usize, Values<'a>, usize, Values<'a>, &'a Option<Gone>, &'a Option<Cause>, &'a RunId),
}

#[derive(Deserialize)]
struct ResultPage(
    #[serde(default)] Vec<Vec<PropertyName>>,
    #[serde(default)] Vec<Kind<'static>>,
    #[serde(default)] Vec<ResultRow>,
);

#[derive(Deserialize)]
struct ResultRow(usize, Vec<Value>, Vec<ResultCell>);

/// Rows one after another that stand alike. What few rows have comes with a single one.
#[derive(Serialize, Deserialize)]
struct Span<'a>(
    #[serde(borrow)] Cow<'a, str>,
    usize,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<Rest<'a>>,
);

#[derive(Deserialize)]
struct ResultCell(usize, Vec<Value>, Option<CellError>);

impl ResultCell {
    fn read(self, kinds: &[Kind<'_>]) -> Result<Cell, Unreadable> {
        let Self(kind, values, error) = self;
        let kind = kinds.get(kind).filter(|kind| kind.outputs.len() == values.len());
        let kind = kind.ok_or(Unreadable::Reference)?;
        let outputs = kind.outputs.iter().cloned().zip(values).collect();
        Ok(Cell { action: kind.action.clone().into_owned(), status: kind.status, outputs, error })
    }
}

/// Distinct lists of property names, in the order they were met.
#[derive(Default)]
struct Names<'a>(Vec<Vec<&'a PropertyName>>);

impl<'a> Names<'a> {
    /// Where the names of these properties stand.
    fn place(&mut self, properties: &'a Properties) -> usize {
        let known = self.0.iter().position(|names| names.iter().copied().eq(properties.keys()));
        known.unwrap_or_else(|| {
            self.0.push(properties.keys().collect());
            self.0.len().saturating_sub(1)
        })
    }
}

/// What cells of one action that ended alike have in common.
#[derive(Serialize, Deserialize)]
struct Kind<'a> {
    action: Cow<'a, ActionId>,
    status: CellStatus,
    outputs: Vec<PropertyName>,
}

/// Distinct kinds of cells, in the order they were met.
#[derive(Default)]
struct Kinds<'a>(Vec<Kind<'a>>);

impl<'a> Kinds<'a> {
    /// Where the kind of this cell stands.
    fn place(&mut self, cell: &'a Cell) -> usize {
        let known = self.0.iter().position(|kind| {
            kind.status == cell.status
                && *kind.action == cell.action
                && kind.outputs.iter().eq(cell.outputs.keys())
        });
        known.unwrap_or_else(|| {
            self.0.push(Kind {
                action: Cow::Borrowed(&cell.action),
                status: cell.status,
                outputs: cell.outputs.keys().cloned().collect(),
            });
            self.0.len().saturating_sub(1)
        })
    }
}

/// The values of properties, without the names.
struct Values<'a>(&'a Properties);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.values())
    }
}

/// The outputs of a cell, without the names.
struct Outputs<'a>(&'a Cell);

impl Serialize for Outputs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.outputs.values())
    }
}

/// What few results have.
#[derive(Default, Serialize, Deserialize)]
struct Rest<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<Cow<'a, Cause>>,
    #[serde(default, skip_serializing_if = "is_empty")]
    found: Cow<'a, Properties>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    survivor: Option<Cow<'a, RecordId>>,
}

impl<'a> Rest<'a> {
    fn of(result: &'a RowResult) -> Option<Self> {
        let RowResult { cause, found, survivor, .. } = result;
        (cause.is_some() || survivor.is_some() || !found.is_empty()).then(|| Self {
            cause: cause.as_ref().map(Cow::Borrowed),
            found: Cow::Borrowed(found),
            survivor: survivor.as_ref().map(Cow::Borrowed),
        })
    }
}

fn is_empty(properties: &Properties) -> bool {
    properties.is_empty()
}

/// Names and values together again.
fn properties(
    names: &[Vec<PropertyName>],
    place: usize,
    values: Vec<Value>,
) -> Result<Properties, Unreadable> {
    let names = names.get(place).filter(|names| names.len() == values.len());
    Ok(names.ok_or(Unreadable::Reference)?.iter().cloned().zip(values).collect())
}

/// A state as one word: its own, or the outcome of a settled row.
const fn state_word(state: RowState) -> &'static str {
    match state {
        RowState::Pending => "pending",
        RowState::Intended => "intended",
        RowState::Refused => "refused",
        RowState::Confirmed => "confirmed",
        RowState::Settled(outcome) => outcome.as_str(),
    }
}

/// A state with what the row was guarded by, if it was.
fn state_words((state, guarded_by): (RowState, Option<GuardedBy>)) -> Cow<'static, str> {
    let word = state_word(state);
    guarded_by.map_or(Cow::Borrowed(word), |by| format!("{word}/{}", by.as_str()).into())
}

fn read_state(words: &str) -> Result<(RowState, Option<GuardedBy>), Unreadable> {
    let (word, by) = words.split_once('/').map_or((words, None), |(word, by)| (word, Some(by)));
    let guard = |by| GuardedBy::ALL.into_iter().find(|known| known.as_str() == by);
    let guarded_by = by.map(|by| guard(by).ok_or_else(|| Unreadable::State(words.to_owned()))).transpose()?;
    let state = match word {
        "pending" => RowState::Pending,
        "intended" => RowState::Intended,
        "refused" => RowState::Refused,
        "confirmed" => RowState::Confirmed,
        outcome => outcome.parse().map(RowState::Settled).map_err(Unreadable::State)?,
    };
    Ok((state, guarded_by))
}

#[cfg(test)]
mod tests {
    use infill_model::error::Class;
    use infill_model::{Outcome, Timestamp};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
            Just(json!({ "a": [1, null, "\u{0}"] })),
        ]
    }

    fn some_properties() -> impl Strategy<Value = Properties> {
        prop::collection::vec(("[abc\"\u{0}]{1,2}".prop_map(PropertyName::from), value()), 0..4)
            .prop_map(Properties::from_iter)
    }

    fn row() -> impl Strategy<Value = Row> {
        let gone = prop::option::of(prop::option::of(".{0,3}".prop_map(RecordId::from)));
        let same_as = prop::option::of(any::<[u8; 10]>().prop_map(|n| RunId::new(Timestamp::UNIX_EPOCH, n)));
        (".{0,6}", some_properties(), some_properties(), gone, some_cause(), same_as).prop_map(
            |(record, inputs, before, gone, refused, same_as)| Row {
                record: record.into(),
                inputs,
                before,
                gone: gone.map(|survivor| Gone { survivor }),
                refused,
                same_as,
            },
        )
    }

    fn some_cause() -> impl Strategy<Value = Option<Cause>> {
        prop::option::of(".{0,4}".prop_map(|message| Cause {
            class: Class::Rejected,
            code: "x".to_owned(),
            message,
            property: None,
            correlation_id: Some("y".to_owned()),
            at: None,
        }))
    }

    fn cell() -> impl Strategy<Value = Cell> {
        let status = prop::sample::select(vec![CellStatus::Complete, CellStatus::Failed, CellStatus::Queued]);
        let error = prop::option::of((".{0,3}", ".{0,3}"));
        let outputs = prop::collection::btree_map("[xy]", value(), 0..3);
        ("[ab]", status, outputs, error).prop_map(|(action, status, outputs, error)| Cell {
            action: action.into(),
            status,
            outputs: outputs.into_iter().map(|(name, value)| (name.into(), value)).collect(),
            error: error.map(|(code, message)| CellError { code, message }),
        })
    }

    fn state() -> impl Strategy<Value = RowState> {
        let outcomes = Outcome::ALL.into_iter().map(RowState::Settled);
        let states = [RowState::Pending, RowState::Intended, RowState::Confirmed];
        prop::sample::select(states.into_iter().chain(outcomes).collect::<Vec<_>>())
    }

    fn result() -> impl Strategy<Value = RowResult> {
        let survivor = prop::option::of(".{0,3}".prop_map(RecordId::from));
        let cells = prop::collection::vec(cell(), 0..3);
        let states = (state(), prop::option::of(prop::sample::select(GuardedBy::ALL.to_vec())));
        (cells, some_properties(), states, some_cause(), some_properties(), survivor).prop_map(
            |(cells, wanted, (state, guarded_by), cause, found, survivor)| RowResult {
                cells,
                wanted,
                state,
                guarded_by,
                cause,
                found,
                survivor,
            },
        )
    }

    proptest! {
        #[test]
        fn any_rows_are_read_as_written(rows in prop::collection::vec(row(), 0..6)) {
            prop_assert_eq!(read_rows(&write_rows(&rows).unwrap()).unwrap(), rows);
        }

        #[test]
        fn any_results_are_read_as_written(results in prop::collection::vec(result(), 0..6)) {
            let (produced, states) = (write_produced(&results).unwrap(), write_states(&results).unwrap());
            prop_assert_eq!(read_results(&produced, &states).unwrap(), results);
        }
    }

    #[test]
    fn the_stored_form_is_pinned() {
        let row = |id: &str, phone: Value| Row {
            record: id.into(),
            inputs: [("firstname".into(), json!("Zoë")), ("phone".into(), phone)].into(),
            before: [("note".into(), json!(null))].into(),
            gone: None,
            refused: None,
            same_as: None,
        };
        let gone = Row { gone: Some(Gone { survivor: None }), ..row("9", json!("")) };
        assert_eq!(
            write_rows(&[row("7", json!("1")), gone]).unwrap(),
            r#"[[["firstname","phone"],["note"]],[["7",0,["Zoë","1"],1,[null],null],["9",0,["Zoë",""],1,[null],{"survivor":null}]]]"#
        );
        let cell = Cell {
            action: "greet".into(),
            status: CellStatus::Complete,
            outputs: [("text".into(), json!("Hi"))].into(),
            error: None,
        };
        let intended = RowResult {
            cells: vec![cell],
            wanted: [("note".into(), json!("Hi"))].into(),
            state: RowState::Intended,
            ..RowResult::default()
        };
        let read = RowResult { guarded_by: Some(GuardedBy::Read), ..intended.clone() };
        let gone = RowResult {
            state: RowState::Settled(Outcome::Gone),
            survivor: Some("8".into()),
            ..RowResult::default()
        };
        let results = [intended.clone(), intended, read, gone];
        assert_eq!(
            write_produced(&results).unwrap(),
            r#"[[["note"],[]],[{"action":"greet","status":"complete","outputs":["text"]}],[[0,["Hi"],[[0,["Hi"],null]]],[0,["Hi"],[[0,["Hi"],null]]],[0,["Hi"],[[0,["Hi"],null]]],[1,[],[]]]]"#
        );
        assert_eq!(
            write_states(&results).unwrap(),
            r#"[["intended",2],["intended/read",1],["gone",1,{"survivor":"8"}]]"#
        );
    }

    #[test]
    fn an_empty_array_is_an_empty_page() {
        assert!(read_rows("[]").unwrap().is_empty() && read_results("[]", "[]").unwrap().is_empty());
    }

    #[test]
    fn a_damaged_page_is_told_from_a_good_one() {
        assert!(matches!(read_rows("{"), Err(Unreadable::Json(_))));
        assert!(matches!(read_rows(r#"[[],[["7",0,[],0,[],null]]]"#), Err(Unreadable::Reference)));
        let of_one = |produced, state| read_results(produced, state);
        assert!(matches!(
            of_one(r#"[[["a"]],[],[[0,[],[]]]]"#, r#"[["pending",1]]"#),
            Err(Unreadable::Reference)
        ));
        for state in ["lost", "verified/lost"] {
            let states = format!(r#"[["{state}",1]]"#);
            let read = read_results("[[[]],[],[[0,[],[]]]]", &states);
            assert!(matches!(read, Err(Unreadable::State(_))), "{state}");
        }
        for n_states in [r#"[]"#, r#"[["pending",2]]"#] {
            assert!(matches!(of_one("[[[]],[],[[0,[],[]]]]", n_states), Err(Unreadable::Length)));
        }
    }
}
