//! One record: the values it holds and what the org knows about it.

use super::catalog::FieldId;
use super::value::Stored;

/// Who changed a record last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Editor {
    /// The user that API clients are connected as.
    Integration,
    /// Somebody in the web interface.
    Person,
}

/// One record.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The number in its id.
    pub(crate) number: u64,
    /// Ascending by field; a field without a value is absent.
    values: Vec<(FieldId, Stored)>,
    pub(crate) created_ms: i64,
    pub(crate) modified_ms: i64,
    /// Never before `modified_ms`: automatic processes move it alone.
    pub(crate) system_ms: i64,
    pub(crate) editor: Editor,
    /// In the recycle bin.
    pub(crate) is_deleted: bool,
    /// The record it was merged into, which put it into the bin.
    pub(crate) master: Option<u64>,
    /// Waits for an approval: nobody may edit it.
    pub(crate) is_in_approval: bool,
}

impl Record {
    pub(crate) fn new(number: u64, at_ms: i64) -> Self {
        Self {
            number,
            values: Vec::new(),
            created_ms: at_ms,
            modified_ms: at_ms,
            system_ms: at_ms,
            editor: Editor::Integration,
            is_deleted: false,
            master: None,
            is_in_approval: false,
        }
    }

    pub(crate) fn stored(&self, field: FieldId) -> Option<&Stored> {
        let at = self.values.binary_search_by_key(&field, |(id, _)| *id).ok()?;
        self.values.get(at).map(|(_, value)| value)
    }

    /// Sets or clears a field and returns what it held.
    pub(crate) fn set(&mut self, field: FieldId, value: Option<Stored>) -> Option<Stored> {
        match (self.values.binary_search_by_key(&field, |(id, _)| *id), value) {
            (Ok(at), Some(value)) => self.values.get_mut(at).map(|(_, held)| std::mem::replace(held, value)),
            (Ok(at), None) => Some(self.values.remove(at).1),
            (Err(at), Some(value)) => {
                self.values.insert(at, (field, value));
                None
            }
            (Err(_), None) => None,
        }
    }

    pub(crate) fn values(&self) -> &[(FieldId, Stored)] {
        &self.values
    }

    /// Notes an edit.
    pub(crate) fn touch(&mut self, at_ms: i64, editor: Editor) {
        self.modified_ms = self.modified_ms.max(at_ms);
        self.system_ms = self.system_ms.max(at_ms);
        self.editor = editor;
    }
}
