//! Results on stdout: tables for people, JSON and CSV for programs.
//!
//! What came out of a CRM is shown with its control characters spelt out, so that a record cannot drive the terminal.
//! Only tables cut what is wide; JSON and CSV carry every value to the letter.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::{self, Write};

use anyhow::Context;
use comfy_table::{CellAlignment, Table, presets};
use infill_model::{Timestamp, Value, value};
use jiff::tz::TimeZone;
use serde::Serialize;

/// The widest a cell of a table may be, in characters.
const WIDEST: usize = 60;

/// Prints a line to stdout, as `println!` does. But where the reader of it went away nothing panics: what was begun goes
/// on, unheard.
macro_rules! say {
    ($($line:tt)*) => {
        $crate::render::print_line(format_args!($($line)*))
    };
}
pub(crate) use say;

/// What [`say!`] does.
pub(crate) fn print_line(line: fmt::Arguments<'_>) {
    if let Err(error) = writeln!(io::stdout().lock(), "{line}")
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        tracing::warn!(error = %error, "a line was not printed");
    }
}

/// Prints a table to stdout; the first row is its head. Columns of nothing but numbers stand to the right.
pub(crate) fn print_table(rows: &[Vec<String>]) -> anyhow::Result<()> {
    write_table(&mut io::stdout().lock(), rows)
}

/// Writes a table; the first row is its head.
pub(crate) fn write_table(out: &mut dyn Write, rows: &[Vec<String>]) -> anyhow::Result<()> {
    writeln!(out, "{}", table(rows)).context("print the table")
}

fn table(rows: &[Vec<String>]) -> String {
    let Some((head, body)) = rows.split_first() else { return String::new() };
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(head.iter().map(|title| title.to_uppercase()));
    for row in body {
        table.add_row(row.iter().map(|cell| cut(&shown(cell), WIDEST)));
    }
    for (idx, column) in table.column_iter_mut().enumerate() {
        let is_numbers = !body.is_empty()
            && body.iter().all(|row| row.get(idx).is_none_or(|cell| is_number(cell)))
            && body.iter().any(|row| row.get(idx).is_some_and(|cell| !cell.is_empty()));
        column.set_cell_alignment(if is_numbers { CellAlignment::Right } else { CellAlignment::Left });
    }
    table.trim_fmt()
}

fn is_number(cell: &str) -> bool {
    cell.chars().all(|each| each.is_ascii_digit() || each == ',')
}

/// Text with everything that is not to be printed spelt out: control characters, and the marks that turn the
/// direction of what follows.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for each in text.chars() {
        if is_unprintable(each) {
            shown.extend(each.escape_default());
        } else {
            shown.push(each);
        }
    }
    Cow::Owned(shown)
}

fn is_unprintable(each: char) -> bool {
    each.is_control()
        || matches!(each, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Text of at most `most` characters, ending in … when it was longer.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// A line of a table whose rows come one after the other and are never all in memory: every column has a width from
/// the start, and the last one takes what is left.
pub(crate) fn line(cells: &[(&str, usize)], last: &str) -> String {
    let mut line = String::new();
    for (cell, width) in cells {
        let cell = cut(&shown(cell), *width);
        // Writing to a String cannot fail.
        write!(line, "{cell:<width$}  ").unwrap_or_default();
    }
    line.push_str(&shown(last));
    line
}

/// A moment as this machine's people write it, to the second.
pub(crate) fn moment(at: Timestamp) -> String {
    moment_in(at, TimeZone::system())
}

fn moment_in(at: Timestamp, zone: TimeZone) -> String {
    at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A count with its thousands apart: `12,345`.
pub(crate) fn count(number: u64) -> String {
    const GROUP: usize = 3;
    let digits = number.to_string();
    let mut grouped = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && digits.len().saturating_sub(idx).is_multiple_of(GROUP) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A property's value for a table: what is empty says so.
pub(crate) fn of_value(value: Option<&Value>) -> String {
    match value {
        found if value::is_empty(found) => "(empty)".to_owned(),
        None => "(empty)".to_owned(),
        Some(value) => value::to_text(value),
    }
}

/// Writes a record of a CSV listing. A failure to write keeps its kind, so that a closed pipe is known as one.
pub(crate) fn write_csv<W, I, F>(writer: &mut csv::Writer<W>, record: I) -> io::Result<()>
where
    W: Write,
    I: IntoIterator<Item = F>,
    F: AsRef<[u8]>,
{
    writer.write_record(record).map_err(|error| {
        let told = error.to_string();
        if let csv::ErrorKind::Io(error) = error.into_kind() { error } else { io::Error::other(told) }
    })
}

/// Prints a value as JSON.
pub(crate) fn write_json(out: &mut dyn Write, value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value).context("put the result into JSON")?;
    writeln!(out, "{text}").context("print the result")
}

/// A JSON array whose items come one after the other, each on its line.
pub(crate) struct JsonItems<'a> {
    out: &'a mut dyn Write,
    n_written: usize,
}

impl<'a> JsonItems<'a> {
    /// Begins the array.
    pub(crate) fn begin(out: &'a mut dyn Write) -> anyhow::Result<Self> {
        write!(out, "[").context("print the result")?;
        Ok(Self { out, n_written: 0 })
    }

    /// Prints one item.
    pub(crate) fn item(&mut self, item: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string(item).context("put a row into JSON")?;
        let comma = if self.n_written == 0 { "" } else { "," };
        self.n_written = self.n_written.saturating_add(1);
        write!(self.out, "{comma}\n{text}").context("print the result")
    }

    /// Ends the array.
    pub(crate) fn end(self) -> anyhow::Result<()> {
        let newline = if self.n_written == 0 { "" } else { "\n" };
        writeln!(self.out, "{newline}]").context("print the result")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect()
    }

    #[test]
    fn numbers_stand_to_the_right_and_text_to_the_left() {
        let shown = table(&rows(&[&["name", "size"], &["a", "7"], &["list b", "12,345"], &["c", ""]]));
        let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
        assert_eq!(lines, [" NAME      SIZE", " a            7", " list b  12,345", " c"]);
    }

    #[test]
    fn a_pipe_that_is_closed_is_known_in_a_csv_listing() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut writer = csv::WriterBuilder::new().buffer_capacity(4).from_writer(Closed);
        let failed = write_csv(&mut writer, ["longer than", "the buffer"]).unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_record_cannot_drive_the_terminal() {
        let evil = "a\u{1b}[2Jb\nc\u{202e}d\u{9b}e";
        assert_eq!(shown(evil), "a\\u{1b}[2Jb\\nc\\u{202e}d\\u{9b}e");
        assert!(!table(&rows(&[&["x"], &[evil]])).contains('\u{1b}'));
        assert_eq!(shown("Zoë O’Hara-Ñ 🎉"), "Zoë O’Hara-Ñ 🎉");
    }

    #[test]
    fn only_what_is_too_wide_is_cut() {
        assert_eq!((cut("abc", 3), cut("abcd", 3)), ("abc".to_owned(), "ab…".to_owned()));
        assert_eq!(cut("Ünïcödé", 4), "Ünï…");
        assert_eq!(line(&[("1", 3), ("toolong", 4)], "rest"), "1    too…  rest");
    }

    #[test]
    fn counts_have_their_thousands_apart() {
        let shown = [0, 999, 1000, 1_234_567].map(count);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_moment_is_shown_in_the_local_zone() {
        let at = "2026-09-01T12:30:00Z".parse().unwrap();
        assert_eq!(moment_in(at, TimeZone::get("Europe/Vienna").unwrap()), "2026-09-01 14:30:00");
    }

    #[test]
    fn an_empty_value_says_so() {
        assert_eq!(of_value(None), "(empty)");
        assert_eq!(of_value(Some(&json!(null))), "(empty)");
        assert_eq!(of_value(Some(&json!(" "))), "(empty)");
        assert_eq!(of_value(Some(&json!(0))), "0");
    }

    #[test]
    fn items_one_by_one_make_an_array() {
        for items in [vec![], vec![json!({"a": 1})], vec![json!(1), json!("\n"), json!(null)]] {
            let mut out = Vec::new();
            let mut array = JsonItems::begin(&mut out).unwrap();
            items.iter().for_each(|item| array.item(item).unwrap());
            array.end().unwrap();
            assert_eq!(serde_json::from_slice::<Vec<Value>>(&out).unwrap(), items);
        }
    }
}
