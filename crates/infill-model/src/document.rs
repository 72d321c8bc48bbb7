//! A document a person wrote, as a tree in which every node knows its place.
//!
//! Deliberately not read straight into types by serde: serde stops at the first mistake, and inside an untagged
//! enum cannot say what it was. Here a reader walks the tree through [`At`], notes every [`Fault`] with its line and
//! column, and goes on. Plans are read this way, and so is the configuration of the binary.

mod read;

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned};

pub use read::{At, Fields};

use crate::error::{Fault, FaultCode};
use crate::value::Value;

/// Brackets within brackets that a document may have; no plan needs ten, and a tree is walked by recursion.
const MAX_DEPTH: usize = 64;

/// Where a node begins in the text, both from 1 and counted in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// One value of the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it begins; `None` when it did not come from a text.
    pub place: Option<Place>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing, or `null`.
    Null,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys with their values, in the order written, a repeated key included.
    Map(Vec<Entry>),
}

/// One key of a mapping and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub place: Option<Place>,
    /// Its value.
    pub value: Node,
}

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, of which JSON is a part.
    Yaml,
    /// JSON and nothing beyond it.
    Json,
}

impl Format {
    /// The format a file's name tells: JSON when it ends in `.json`, else YAML.
    #[must_use]
    pub fn of_file(name: &str) -> Self {
        let is_json = name.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("json"));
        if is_json { Self::Json } else { Self::Yaml }
    }
}

/// Reads a text into a tree. `yes`, `no`, `on` and `off` are text, and so is a number with leading zeros.
///
/// # Errors
/// The first place where the text is not of the format: past it nothing can be told.
pub fn parse(text: &str, format: Format) -> Result<Node, Fault> {
    if format == Format::Json {
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| json_fault(&error))?;
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| yaml_fault(text, &error))
}

fn json_fault(error: &serde_json::Error) -> Fault {
    let (line, column) = (error.line(), error.column());
    let said = error.to_string();
    let said = said.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&said);
    let mut fault = Fault::new(FaultCode::Syntax, "", format!("not readable as JSON: {said}"));
    fault.line = u32::try_from(line).ok();
    fault.column = u32::try_from(column).ok();
    fault
}

fn yaml_fault(text: &str, error: &serde_saphyr::Error) -> Fault {
    let place = error.location().as_ref().and_then(place_of);
    let said = error.without_snippet().to_string();
    let said = match place {
        Some(Place { line, column }) => {
            said.strip_suffix(&format!(" at line {line}, column {column}")).unwrap_or(&said)
        }
        None => &said,
    };
    let message = if matches!(error.without_snippet(), serde_saphyr::Error::MultipleDocuments { .. }) {
        "holds more than one document; put each into a file of its own".to_owned()
    } else if place.is_some_and(|place| stands_at_bare_reference(text, place)) {
        "not readable as YAML: a value that begins with {{ must be in quotes: \"{{input.firstname}}\""
            .to_owned()
    } else if place.is_some_and(|place| stands_at_bare_dash(text, place)) {
        "not readable as YAML: a value that is a single - must be in quotes: \"-\"".to_owned()
    } else {
        format!("not readable as YAML: {said}")
    };
    let mut fault = Fault::new(FaultCode::Syntax, "", message);
    fault.line = place.map(|place| place.line);
    fault.column = place.map(|place| place.column);
    fault
}

/// Whether the text at the place is the second brace of an unquoted `{{`, which YAML takes for a mapping whose key
/// is a mapping.
fn stands_at_bare_reference(text: &str, place: Place) -> bool {
    let up_to = usize::try_from(place.column).unwrap_or(usize::MAX);
    let line_idx = usize::try_from(place.line).unwrap_or(usize::MAX).saturating_sub(1);
    let Some(line) = text.lines().nth(line_idx) else { return false };
    let before: String = line.chars().take(up_to).collect();
    before.ends_with("{{")
}

/// Whether the text at the place is a dash that ends its line after a key, which YAML takes for an item of a list.
fn stands_at_bare_dash(text: &str, place: Place) -> bool {
    let line_idx = usize::try_from(place.line).unwrap_or(usize::MAX).saturating_sub(1);
    text.lines().nth(line_idx).is_some_and(|line| line.trim_end().ends_with(": -"))
}

fn place_of(location: &Location) -> Option<Place> {
    let line = u32::try_from(location.line()).ok().filter(|line| *line > 0)?;
    let column = u32::try_from(location.column()).ok().filter(|column| *column > 0)?;
    Some(Place { line, column })
}

impl Node {
    /// The value without places; of a repeated key the last stays.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(flag) => Value::Bool(*flag),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => items.iter().map(Self::to_value).collect(),
            Kind::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// What a message calls it: `the number 42`, `a list`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Bool(flag) => flag.to_string(),
            Kind::Number(number) => format!("the number {number}"),
            Kind::Text(text) => format!("the text {}", quoted(text)),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a mapping".to_owned(),
        }
    }

    /// The node at a path such as `chain[0].inputs.data_formatter`, or else the nearest one above it.
    #[must_use]
    pub fn nearest(&self, path: &str) -> &Self {
        let (mut node, mut rest) = (self, path);
        while !rest.is_empty() {
            let step = match &node.kind {
                Kind::Map(entries) => {
                    let rest = rest.strip_prefix('.').unwrap_or(rest);
                    // The longest key wins: a key may itself hold a dot.
                    entries
                        .iter()
                        .filter_map(|entry| {
                            let after = rest.strip_prefix(entry.key.as_str())?;
                            let ends = after.is_empty() || after.starts_with(['.', '[']);
                            ends.then_some((entry.key.len(), &entry.value, after))
                        })
                        .max_by_key(|(length, _, _)| *length)
                        .map(|(_, value, after)| (value, after))
                }
                Kind::List(items) => rest.strip_prefix('[').and_then(|rest| {
                    let (idx, after) = rest.split_once(']')?;
                    Some((items.get(idx.parse::<usize>().ok()?)?, after))
                }),
                Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => None,
            };
            match step {
                Some(step) => (node, rest) = step,
                None => break,
            }
        }
        node
    }
}

/// Text in quotes for a message, cut when it is long.
fn quoted(text: &str) -> String {
    const MOST: usize = 40;
    if text.chars().count() <= MOST {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(MOST).collect();
    format!("{:?}", format!("{start}…"))
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { place: place_of(&spanned.referenced), kind: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Kind, E> {
        Ok(Kind::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Kind, E> {
        Ok(Kind::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Kind, E> {
        Number::from_f64(number).map(Kind::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Kind, E> {
        Ok(Kind::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element()? {
            nodes.push(node);
        }
        Ok(Kind::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = fields.next_key::<Spanned<String>>()? {
            let place = place_of(&key.referenced);
            entries.push(Entry { key: key.value, place, value: fields.next_value()? });
        }
        Ok(Kind::Map(entries))
    }
}
