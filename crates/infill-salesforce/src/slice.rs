//! Slices: what a resolved slice and a cursor hold.

use infill_crm::{Cursor, Error};
use infill_model::Class;
use infill_model::slice::ResolvedSlice;

use crate::id::Id;
use crate::statement::Statement;

/// The handle of a slice: its query, taken apart.
///
/// # Errors
/// `bug` when it cannot be serialised.
pub fn to_handle(statement: &Statement) -> Result<String, Error> {
    serde_json::to_string(statement)
        .map_err(|error| Error::new(Class::Bug, "slice_handle", error.to_string()))
}

/// The query that a slice keeps.
///
/// # Errors
/// `bug` when it is not one of this connector's.
pub fn of_handle(slice: &ResolvedSlice) -> Result<Statement, Error> {
    serde_json::from_str(&slice.handle).map_err(|error| {
        let message = format!("the slice {} is not Salesforce's: {error}", slice.label);
        Error::new(Class::Bug, "slice_handle", message)
    })
}

/// Where a listing goes on: above this id.
///
/// # Errors
/// `bug` when the cursor is not one of this connector's.
pub fn last_listed(cursor: Option<&Cursor>) -> Result<Option<Id>, Error> {
    cursor
        .map(|cursor| {
            Id::parse(&cursor.0).ok_or_else(|| {
                Error::new(Class::Bug, "listing_cursor", format!("\"{}\" is no place in a listing", cursor.0))
            })
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use infill_model::slice::Readiness;

    use super::*;

    #[test]
    fn a_handle_and_a_cursor_come_back_as_they_were() {
        let statement =
            Statement::parse("SELECT Id FROM Lead USING SCOPE mine WHERE Email = 'a\"b'").unwrap();
        let slice = ResolvedSlice {
            object: "Lead".into(),
            label: "leads".to_owned(),
            size: None,
            readiness: Readiness::Ready,
            handle: to_handle(&statement).unwrap(),
        };
        assert_eq!(of_handle(&slice).unwrap(), statement);
        let foreign = of_handle(&ResolvedSlice { handle: "42".to_owned(), ..slice }).unwrap_err();
        assert_eq!(foreign.class, Class::Bug);

        let id = Id::parse("003ak00000jvIfp");
        assert_eq!(last_listed(Some(&Cursor(id.unwrap().to_string()))).unwrap(), id);
        assert_eq!(last_listed(None).unwrap(), None);
        assert!(last_listed(Some(&Cursor("x' OR Id != '".to_owned()))).is_err());
    }
}
