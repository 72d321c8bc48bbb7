//! Walking a tree and noting what is wrong on the way.

use std::ops::RangeInclusive;

use super::{Entry, Kind, Node, Place};
use crate::error::{Fault, FaultCode};
use crate::nearest::{did_you_mean, nearest};

/// A node and the path that led to it. Every reading method notes its faults and gives `None` when there is no
/// value to go on with.
#[derive(Clone, Debug)]
pub struct At<'a> {
    node: &'a Node,
    path: String,
}

impl<'a> At<'a> {
    /// The whole document.
    #[must_use]
    pub const fn root(node: &'a Node) -> Self {
        Self { node, path: String::new() }
    }

    /// The node.
    #[must_use]
    pub const fn node(&self) -> &'a Node {
        self.node
    }

    /// The path: `chain[0].inputs`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A fault here.
    #[must_use]
    pub fn fault(&self, code: FaultCode, message: impl Into<String>) -> Fault {
        placed(Fault::new(code, self.path.clone(), message), self.node.place)
    }

    fn wrong_type(&self, expected: &str, hint: &str) -> Fault {
        let found = self.node.describe();
        self.fault(FaultCode::InvalidValue, format!("expected {expected}, found {found}{hint}"))
    }

    fn key(&self, entry: &'a Entry) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self { node: &entry.value, path: format!("{}{dot}{}", self.path, entry.key) }
    }

    /// Text, empty text included.
    pub fn text(&self, faults: &mut Vec<Fault>) -> Option<&'a str> {
        let hint = match &self.node.kind {
            Kind::Text(text) => return Some(text),
            Kind::Bool(flag) => format!("; put it in quotes: \"{flag}\""),
            Kind::Number(number) => format!("; put it in quotes: \"{number}\""),
            Kind::Null | Kind::List(_) | Kind::Map(_) => String::new(),
        };
        faults.push(self.wrong_type("text", &hint));
        None
    }

    /// Text that holds more than white space.
    pub fn name(&self, faults: &mut Vec<Fault>) -> Option<&'a str> {
        let text = self.text(faults)?;
        if text.trim().is_empty() {
            faults.push(self.fault(FaultCode::InvalidValue, "must not be empty"));
            return None;
        }
        Some(text)
    }

    /// True or false.
    pub fn flag(&self, faults: &mut Vec<Fault>) -> Option<bool> {
        match &self.node.kind {
            Kind::Bool(flag) => Some(*flag),
            Kind::Null | Kind::Number(_) | Kind::Text(_) | Kind::List(_) | Kind::Map(_) => {
                faults.push(self.wrong_type("true or false", ""));
                None
            }
        }
    }

    /// A whole number within `range`.
    pub fn integer(&self, range: RangeInclusive<u64>, faults: &mut Vec<Fault>) -> Option<u64> {
        let found = match &self.node.kind {
            Kind::Number(number) => number.as_u64(),
            Kind::Null | Kind::Bool(_) | Kind::Text(_) | Kind::List(_) | Kind::Map(_) => None,
        };
        if let Some(number) = found.filter(|number| range.contains(number)) {
            return Some(number);
        }
        let expected = match (*range.start(), *range.end()) {
            (least, u64::MAX) => format!("a whole number from {least}"),
            (least, most) => format!("a whole number from {least} to {most}"),
        };
        faults.push(self.wrong_type(&expected, ""));
        None
    }

    /// One of a set of words.
    pub fn word<T: Copy>(&self, words: &[(&str, T)], faults: &mut Vec<Fault>) -> Option<T> {
        let known = || words.iter().map(|(word, _)| *word);
        let list = known().collect::<Vec<_>>().join(", ");
        let Kind::Text(text) = &self.node.kind else {
            faults.push(self.wrong_type(&format!("one of {list}"), ""));
            return None;
        };
        let found = words.iter().find(|(word, _)| word == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let hint = did_you_mean(text, known());
            faults.push(
                self.fault(
                    FaultCode::InvalidValue,
                    format!("expected one of {list}, found \"{text}\"{hint}"),
                ),
            );
        }
        found
    }

    /// The items of a list.
    pub fn items(&self, faults: &mut Vec<Fault>) -> Option<Vec<Self>> {
        match &self.node.kind {
            Kind::List(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(idx, node)| Self { node, path: format!("{}[{idx}]", self.path) })
                    .collect(),
            ),
            Kind::Null => {
                faults.push(self.wrong_type("a list", "; leave the key out or write []"));
                None
            }
            Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Map(_) => {
                faults.push(self.wrong_type("a list", "; put it in brackets: [ ]"));
                None
            }
        }
    }

    /// The entries of a mapping whose keys the writer chooses, without those whose key came before.
    pub fn entries(&self, faults: &mut Vec<Fault>) -> Option<Vec<(&'a str, Self)>> {
        let Kind::Map(entries) = &self.node.kind else {
            faults.push(self.wrong_type("a mapping (key: value)", ""));
            return None;
        };
        let mut seen: Vec<(&'a str, Self)> = Vec::with_capacity(entries.len());
        for entry in entries {
            if seen.iter().any(|(key, _)| *key == entry.key) {
                let message = format!("key \"{}\" is given twice; keep one", entry.key);
                faults
                    .push(placed(Fault::new(FaultCode::Duplicate, self.path.clone(), message), entry.place));
            } else {
                seen.push((&entry.key, self.key(entry)));
            }
        }
        Some(seen)
    }

    /// The keys of a mapping that may hold `known` and nothing else.
    pub fn fields(&self, known: &[&'static str], faults: &mut Vec<Fault>) -> Option<Fields<'a>> {
        let given = self.entries(faults)?;
        let mut fields =
            Fields { at: self.clone(), given: Vec::with_capacity(given.len()), meant: Vec::new() };
        for (key, at) in given {
            if known.contains(&key) {
                fields.given.push((key, at));
                continue;
            }
            let unused = known.iter().copied().filter(|name| !self.has(name));
            fields.meant.extend(nearest(key, unused).first());
            let hint = did_you_mean(key, known.iter().copied());
            let hint = if hint.is_empty() { format!("; known here: {}", known.join(", ")) } else { hint };
            let fault =
                Fault::new(FaultCode::UnknownKey, self.path.clone(), format!("unknown key \"{key}\"{hint}"));
            faults.push(placed(fault, self.place_of_key(key)));
        }
        Some(fields)
    }

    /// The keys of a mapping; none when it is something else.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let entries: &[Entry] = match &self.node.kind {
            Kind::Map(entries) => entries,
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) => &[],
        };
        entries.iter().map(|entry| entry.key.as_str())
    }

    /// Whether it is a mapping with this key.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    fn entry(&self, key: &str) -> Option<&'a Entry> {
        match &self.node.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) => None,
        }
    }

    fn place_of_key(&self, key: &str) -> Option<Place> {
        self.entry(key).and_then(|entry| entry.place)
    }
}

/// The keys of a mapping, each known by name.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    at: At<'a>,
    given: Vec<(&'a str, At<'a>)>,
    /// Known keys that an unknown one was probably meant to be.
    meant: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The mapping itself.
    #[must_use]
    pub const fn at(&self) -> &At<'a> {
        &self.at
    }

    /// The value of a key, if it is given.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<At<'a>> {
        self.given.iter().find(|(name, _)| *name == key).map(|(_, at)| at.clone())
    }

    /// Whether an unknown key was probably meant to be this one.
    #[must_use]
    pub fn is_misspelt(&self, key: &str) -> bool {
        self.meant.contains(&key)
    }

    /// The value of a key that must be given. A missing key that was only misspelt is one mistake, reported once.
    pub fn require(&self, key: &str, faults: &mut Vec<Fault>) -> Option<At<'a>> {
        let found = self.get(key);
        if found.is_none() && !self.is_misspelt(key) {
            faults.push(self.at.fault(FaultCode::MissingKey, format!("missing key \"{key}\"")));
        }
        found
    }
}

fn placed(mut fault: Fault, place: Option<Place>) -> Fault {
    fault.line = place.map(|place| place.line);
    fault.column = place.map(|place| place.column);
    fault
}
