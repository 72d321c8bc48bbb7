//! What a preview says: of each row what its run is about to do, and of all rows how many, by property and by cause.
//!
//! Law: the digest stands for the plan, the records, their values and the values to be written, and for nothing else; so it is
//! the same whenever and wherever it is taken, before the run goes on and after.

use std::collections::BTreeMap;
use std::fmt;

use infill_model::row::RowState;
use infill_model::{Outcome, Plan, PropertyName, RecordId, Row, RowResult, Value};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Rows kept as examples of one kind.
const EXAMPLES: usize = 3;

/// The fewest characters of a digest that stand for it.
pub const DIGEST_PREFIX: usize = 12;

/// What is about to happen to a row, or has happened since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Some property is written.
    Change,
    /// It has every value already.
    Stay,
    /// A condition is not met.
    Skipped,
    /// Somebody changed a target since the pull.
    Held,
    /// It cannot be written.
    Refused,
    /// The record is deleted or merged.
    Gone,
    /// It is not evaluated yet.
    Open,
}

impl Fate {
    /// Every fate, in the order in which people are told.
    pub const ALL: [Self; 7] =
        [Self::Change, Self::Stay, Self::Skipped, Self::Held, Self::Refused, Self::Gone, Self::Open];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Stay => "stay",
            Self::Skipped => "skipped",
            Self::Held => "held",
            Self::Refused => "refused",
            Self::Gone => "gone",
            Self::Open => "open",
        }
    }

    /// That of a row; a row without a result is not evaluated.
    #[must_use]
    pub fn of(result: Option<&RowResult>) -> Self {
        match result.map(|result| result.state) {
            None | Some(RowState::Pending) => Self::Open,
            Some(RowState::Intended | RowState::Confirmed) => Self::Change,
            Some(RowState::Refused) => Self::Refused,
            Some(RowState::Settled(outcome)) => match outcome {
                Outcome::Verified | Outcome::Written | Outcome::Differs => Self::Change,
                Outcome::Unchanged => Self::Stay,
                Outcome::Skipped => Self::Skipped,
                Outcome::Held => Self::Held,
                Outcome::Failed => Self::Refused,
                Outcome::Gone => Self::Gone,
            },
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a preview comes to.
#[derive(Clone, Debug)]
pub struct Preview {
    /// Rows.
    pub rows: u64,
    /// Rows by what is about to happen to them.
    pub fates: BTreeMap<Fate, u64>,
    /// Some records of each of these.
    pub examples: BTreeMap<Fate, Vec<RecordId>>,
    /// The properties that the plan writes, in its order.
    pub properties: Vec<PropertyPreview>,
    /// Rows that cannot be written, by cause.
    pub refused: Vec<Refused>,
    digest: Sha256,
}

/// What is about to happen to one property.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PropertyPreview {
    /// Its name.
    pub name: PropertyName,
    /// Rows by what is about to happen to this property of theirs: of a row that changes, other properties may stay.
    pub rows: BTreeMap<Fate, u64>,
    /// Some rows that change.
    pub examples: Vec<Change>,
}

/// A value that is about to change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The record.
    pub record: RecordId,
    /// What it holds.
    pub old: Value,
    /// What it will hold.
    pub new: Value,
}

/// Rows that cannot be written for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The code of the cause.
    pub code: String,
    /// The property at fault, where known.
    pub property: Option<String>,
    /// How many rows.
    pub rows: u64,
    /// One of the records.
    pub record: RecordId,
    /// What is said of it.
    pub message: String,
}

impl Preview {
    /// That of a run of this plan, before its rows.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let property = |name: &PropertyName| PropertyPreview {
            name: name.clone(),
            rows: BTreeMap::new(),
            examples: Vec::new(),
        };
        let mut preview = Self {
            rows: 0,
            fates: BTreeMap::new(),
            examples: BTreeMap::new(),
            properties: plan.writeback.properties.iter().map(|write| property(&write.name)).collect(),
            refused: Vec::new(),
            digest: Sha256::new(),
        };
        preview.digest_line(plan);
        preview
    }

    /// Adds a row. Rows come in the order of the run.
    pub fn add(&mut self, row: &Row, result: Option<&RowResult>) {
        let fate = Fate::of(result);
        self.rows = self.rows.saturating_add(1);
        count(&mut self.fates, fate);
        let examples = self.examples.entry(fate).or_default();
        if examples.len() < EXAMPLES {
            examples.push(row.record.clone());
        }
        for property in &mut self.properties {
            let new =
                result.filter(|_| fate == Fate::Change).and_then(|result| result.wanted.get(&property.name));
            let stays = fate == Fate::Change && new.is_none();
            count(&mut property.rows, if stays { Fate::Stay } else { fate });
            if let Some(new) = new
                && property.examples.len() < EXAMPLES
            {
                let old = row.before.get(&property.name).cloned().unwrap_or_default();
                property.examples.push(Change { record: row.record.clone(), old, new: new.clone() });
            }
        }
        if fate == Fate::Refused {
            self.refuse(row, result);
        }
        let changes: Vec<(&PropertyName, Option<&Value>, &Value)> = result
            .into_iter()
            .flat_map(|result| &result.wanted)
            .map(|(name, new)| (name, row.before.get(name), new))
            .collect();
        self.digest_line(&(&row.record, changes));
    }

    /// The digest of the plan and the rows so far, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        self.digest.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn refuse(&mut self, row: &Row, result: Option<&RowResult>) {
        let Some(cause) = result.and_then(|result| result.cause.as_ref()) else { return };
        let known = self
            .refused
            .iter_mut()
            .find(|refused| refused.code == cause.code && refused.property == cause.property);
        match known {
            Some(refused) => refused.rows = refused.rows.saturating_add(1),
            None => self.refused.push(Refused {
                code: cause.code.clone(),
                property: cause.property.clone(),
                rows: 1,
                record: row.record.clone(),
                message: cause.message.clone(),
            }),
        }
    }

    fn digest_line(&mut self, line: &impl Serialize) {
        // Names, values and plans are JSON already: they can be written as such.
        if let Ok(line) = serde_json::to_vec(line) {
            self.digest.update(line);
            self.digest.update(b"\n");
        }
    }
}

/// Whether what a person typed stands for a digest: the whole of it, or at least its first [`DIGEST_PREFIX`] characters.
#[must_use]
pub fn is_digest(typed: &str, digest: &str) -> bool {
    typed.len() >= DIGEST_PREFIX && digest.starts_with(&typed.to_ascii_lowercase())
}

fn count(counts: &mut BTreeMap<Fate, u64>, fate: Fate) {
    let n_rows = counts.entry(fate).or_default();
    *n_rows = n_rows.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use infill_model::error::Class;
    use infill_model::row::Cause;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::compare::tests::properties;

    fn plan() -> Plan {
        serde_json::from_value(json!({
            "name": "Notes", "connection": "main", "source": { "object": "contacts", "list": "42" },
            "writeback": { "properties": [{ "name": "note", "value": "x" }, { "name": "phone", "value": "y" }] },
        }))
        .unwrap()
    }

    fn row(record: &str) -> Row {
        Row {
            record: record.into(),
            inputs: properties(&[]),
            before: properties(&[("note", json!("old"))]),
            gone: None,
            refused: None,
            same_as: None,
        }
    }

    fn intends(note: &str) -> RowResult {
        RowResult {
            wanted: properties(&[("note", json!(note))]),
            state: RowState::Intended,
            ..RowResult::default()
        }
    }

    fn refused(code: &str) -> RowResult {
        let cause = Cause {
            class: Class::Rejected,
            code: code.into(),
            message: "too long".into(),
            property: Some("note".into()),
            correlation_id: None,
            at: None,
        };
        RowResult { cause: Some(cause), state: RowState::Refused, ..intends("long") }
    }

    fn preview(rows: &[(&str, RowResult)]) -> Preview {
        let mut preview = Preview::of(&plan());
        for (record, result) in rows {
            preview.add(&row(record), Some(result));
        }
        preview
    }

    #[test]
    fn rows_are_counted_by_property_and_by_cause() {
        let skipped = RowResult { state: RowState::Settled(Outcome::Skipped), ..RowResult::default() };
        let rows =
            [("1", intends("new")), ("2", refused("LENGTH")), ("3", refused("LENGTH")), ("4", skipped)];
        let preview = preview(&rows);
        assert_eq!(preview.fates, [(Fate::Change, 1), (Fate::Skipped, 1), (Fate::Refused, 2)].into());
        assert_eq!(preview.examples[&Fate::Refused], ["2".into(), "3".into()]);
        let [note, phone] = preview.properties.as_slice() else { panic!("{preview:?}") };
        assert_eq!(note.rows, preview.fates);
        assert_eq!(phone.rows, [(Fate::Stay, 1), (Fate::Skipped, 1), (Fate::Refused, 2)].into());
        let change = Change { record: "1".into(), old: json!("old"), new: json!("new") };
        assert_eq!((&note.examples, &phone.examples), (&vec![change], &vec![]));
        let [refused] = preview.refused.as_slice() else { panic!("{preview:?}") };
        assert_eq!((refused.rows, refused.record.as_str()), (2, "2"));
    }

    #[test]
    fn a_digest_is_known_by_its_beginning() {
        let digest = preview(&[]).digest();
        let first = |n_chars| digest.chars().take(n_chars).collect::<String>();
        assert_eq!(digest.len(), 64);
        assert!(is_digest(&digest, &digest) && is_digest(&first(12).to_uppercase(), &digest));
        assert!(!is_digest(&first(11), &digest) && !is_digest("", &digest));
    }

    #[test]
    fn what_a_row_is_about_to_become_stays_told_once_it_has() {
        let written = RowResult { state: RowState::Settled(Outcome::Verified), ..intends("new") };
        assert_eq!(preview(&[("1", intends("new"))]).digest(), preview(&[("1", written)]).digest());
    }

    proptest! {
        /// Other records, other values or another order make another digest.
        #[test]
        fn a_digest_stands_for_records_and_values(
            one in prop::collection::vec(("[1-9]{1,2}", "[a-c]{0,2}"), 0..4),
            other in prop::collection::vec(("[1-9]{1,2}", "[a-c]{0,2}"), 0..4),
        ) {
            let digest = |rows: &[(String, String)]| {
                let rows: Vec<_> = rows.iter().map(|(record, note)| (record.as_str(), intends(note))).collect();
                preview(&rows).digest()
            };
            prop_assert_eq!(digest(&one) == digest(&other), one == other);
        }
    }
}
