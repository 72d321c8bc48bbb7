//! What the org does to records by itself: rules that refuse, rules that find duplicates, triggers and assignments.

use super::Error;
use super::catalog::Kind;
use super::condition::holds;
use super::config::{Automation, DuplicateAction, DuplicateRule};
use super::record::Record;
use super::select::check_condition;
use super::soql::{Condition, parse_condition};
use super::store::{Store, Table};
use super::value::RowError;

/// A validation rule whose condition was read.
#[derive(Debug)]
struct Validation {
    object: String,
    refuses_when: Condition,
    message: String,
    field: Option<String>,
}

/// A trigger whose condition was read.
#[derive(Debug)]
struct Action {
    object: String,
    when: Option<Condition>,
    field: String,
    value: String,
}

/// An org's automation, ready to run.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    validations: Vec<Validation>,
    actions: Vec<Action>,
    duplicates: Vec<DuplicateRule>,
    assignments: Vec<(String, String)>,
}

impl Rules {
    /// Reads the conditions of an automation.
    pub(crate) fn compile(automation: &Automation, store: &Store) -> Result<Self, Error> {
        let condition = |object: &str, text: &str| {
            let mut condition =
                parse_condition(text).map_err(|refusal| Error::Automation(refusal.message))?;
            check_condition(store, object, text, &mut condition)
                .map_err(|refusal| Error::Automation(refusal.message))?;
            Ok(condition)
        };
        let validations = automation.validation_rules.iter().map(|rule| {
            Ok(Validation {
                object: rule.object.clone(),
                refuses_when: condition(&rule.object, &rule.refuses_when)?,
                message: rule.message.clone(),
                field: rule.field.clone(),
            })
        });
        let actions = automation.triggers.iter().map(|trigger| {
            let when = trigger.when.as_deref().map(|text| condition(&trigger.object, text)).transpose()?;
            Ok(Action {
                object: trigger.object.clone(),
                when,
                field: trigger.field.clone(),
                value: trigger.value.clone(),
            })
        });
        Ok(Self {
            validations: validations.collect::<Result<_, Error>>()?,
            actions: actions.collect::<Result<_, Error>>()?,
            duplicates: automation.duplicate_rules.clone(),
            assignments: automation.assignment_rules.clone(),
        })
    }

    /// What the rules say against a record as it would be.
    pub(crate) fn object_to(
        &self,
        store: &Store,
        table: &Table,
        candidate: &Record,
        allows_duplicates: bool,
        now_ms: i64,
    ) -> Vec<RowError> {
        let is_of = |object: &str| table.object.name.eq_ignore_ascii_case(object);
        let refused = self
            .validations
            .iter()
            .filter(|rule| is_of(&rule.object) && holds(store, table, candidate, &rule.refuses_when, now_ms));
        let mut errors: Vec<RowError> = refused
            .map(|rule| {
                let error = RowError::new("FIELD_CUSTOM_VALIDATION_EXCEPTION", &*rule.message);
                rule.field.iter().fold(error, |error, field| error.on(field))
            })
            .collect();
        let matters = |rule: &&DuplicateRule| {
            is_of(&rule.object) && (rule.action == DuplicateAction::Block || !allows_duplicates)
        };
        if self.duplicates.iter().filter(matters).any(|rule| has_twin(table, candidate, &rule.field)) {
            errors.push(RowError::new("DUPLICATES_DETECTED", "Use one of these records?"));
        }
        errors
    }

    /// The fields that triggers set on a record that was just written, and the texts they set.
    pub(crate) fn overwrites(
        &self,
        store: &Store,
        table: &Table,
        record: &Record,
        now_ms: i64,
    ) -> Vec<(String, String)> {
        let runs = |action: &&Action| {
            let condition = action.when.as_ref();
            table.object.name.eq_ignore_ascii_case(&action.object)
                && condition.is_none_or(|condition| holds(store, table, record, condition, now_ms))
        };
        self.actions.iter().filter(runs).map(|action| (action.field.clone(), action.value.clone())).collect()
    }

    /// The owner that an assignment rule gives to records of an object.
    pub(crate) fn owner(&self, object: &str) -> Option<&str> {
        let mut rules = self.assignments.iter();
        rules.find(|(of, _)| of.eq_ignore_ascii_case(object)).map(|(_, owner)| owner.as_str())
    }
}

fn has_twin(table: &Table, candidate: &Record, field: &str) -> bool {
    let text = |record: &Record| {
        let value = table.named(record, field)?;
        Some(value.render(Kind::Text).to_lowercase())
    };
    let Some(wanted) = text(candidate) else { return false };
    let mut others =
        table.records().iter().filter(|record| !record.is_deleted && record.number != candidate.number);
    others.any(|record| text(record).as_ref() == Some(&wanted))
}
