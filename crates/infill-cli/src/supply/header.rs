//! The header of a file of ids: which column holds the ids, which hold inputs.

use infill_model::PropertyName;
use infill_model::nearest::did_you_mean;

/// Headers that a message names.
const HEADERS_NAMED: usize = 20;

/// The headers of a file, without the white space around them.
#[derive(Debug)]
pub(super) struct Header(Vec<String>);

impl Header {
    /// The headers that the first line holds.
    pub(super) fn of(fields: &csv::ByteRecord) -> Result<Self, String> {
        let names: Result<Vec<String>, _> = fields
            .iter()
            .map(|field| std::str::from_utf8(field).map(|name| name.trim().to_owned()))
            .collect();
        let names =
            names.map_err(|_| "has a first line that is not UTF-8; save it as \"CSV UTF-8\"".to_owned())?;
        if names.iter().all(String::is_empty) {
            return Err("is empty; its first line must hold the headers".to_owned());
        }
        Ok(Self(names))
    }

    /// How many columns there are.
    pub(super) const fn width(&self) -> usize {
        self.0.len()
    }

    /// The header of a column.
    pub(super) fn name(&self, column: usize) -> &str {
        self.0.get(column).map_or("", String::as_str)
    }

    /// The column of the ids: the one that the plan names, else the only one with a usual header.
    pub(super) fn id_column(&self, named: Option<&str>, usual: &[String]) -> Result<usize, String> {
        if let Some(named) = named {
            return self.named(named.trim());
        }
        let is_usual = |name: &str| usual.iter().any(|usual| usual.eq_ignore_ascii_case(name));
        let found: Vec<usize> = (0..self.width()).filter(|column| is_usual(self.name(*column))).collect();
        match found.as_slice() {
            [only] => Ok(*only),
            [] => {
                let near = usual
                    .iter()
                    .map(|usual| did_you_mean(usual, self.0.iter().map(String::as_str)))
                    .find(|hint| !hint.is_empty())
                    .unwrap_or_default();
                Err(format!(
                    "has no column with one of the headers {}{near}; it has {}; name the one that holds record ids: \
                     ids: {{ file: …, column: … }}",
                    quoted(usual.iter().map(String::as_str)),
                    self.seen()
                ))
            }
            several => Err(format!(
                "has several columns that may hold record ids: {}; name one: ids: {{ file: …, column: … }}",
                quoted(several.iter().map(|column| self.name(*column)))
            )),
        }
    }

    fn named(&self, named: &str) -> Result<usize, String> {
        match self.places(named).as_slice() {
            [only] => Ok(*only),
            [] => Err(format!(
                "has no column \"{named}\"{}; it has {}",
                did_you_mean(named, self.0.iter().map(String::as_str)),
                self.seen()
            )),
            [_, ..] => Err(twice(named)),
        }
    }

    /// The inputs that the file has, with their columns: those whose name is a header.
    pub(super) fn inputs(&self, inputs: &[PropertyName]) -> Result<Vec<(PropertyName, usize)>, String> {
        let mut found = Vec::new();
        for name in inputs {
            match self.places(name.as_str()).as_slice() {
                [] => {}
                [only] => found.push((name.clone(), *only)),
                [_, ..] => return Err(twice(name.as_str())),
            }
        }
        Ok(found)
    }

    fn places(&self, name: &str) -> Vec<usize> {
        (0..self.width()).filter(|column| self.name(*column) == name).collect()
    }

    fn seen(&self) -> String {
        let more = if self.width() > HEADERS_NAMED { ", …" } else { "" };
        format!("{}{more}", quoted(self.0.iter().take(HEADERS_NAMED).map(String::as_str)))
    }
}

fn twice(name: &str) -> String {
    format!("has the column \"{name}\" more than once; rename all but one of them")
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}
