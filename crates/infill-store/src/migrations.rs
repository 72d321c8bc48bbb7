//! The schema of each engine, as steps. A step that was released is never changed; a new one follows it.

use refinery::{Migration, Runner};

use crate::error::Error;

/// One step: its name, `V<utc timestamp>__<verb>_<object>`, and its SQL.
type Step = (&'static str, &'static str);

/// Reads the steps of a folder.
macro_rules! steps {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../migrations/", $folder, "/", $name, ".sql")))),+]
    };
}

/// The steps for SQLite.
pub(crate) const SQLITE: &[Step] = steps!["sqlite":
    "V20261121120000__create_runs",
    "V20261121120100__create_chunks",
    "V20261121120200__create_batches",
    "V20261121120300__create_letters",
    "V20261121120400__create_quotas",
    "V20261121120500__create_logins",
    "V20261121163000__create_supplied",
    "V20261121170000__create_schedules",
    "V20261121190000__create_seen",
    "V20261121193000__create_effects",
    "V20261121200000__add_jobs",
    "V20261121213000__add_previews",
    "V20261121220000__add_letter_causes",
    "V20261121230000__create_audit",
    "V20261121230100__add_pauses",
    "V20261121235000__count_guarded",
    "V20261121235100__find_and_purge",
];

/// The steps for PostgreSQL.
pub(crate) const POSTGRES: &[Step] = steps!["postgres":
    "V20261121120000__create_runs",
    "V20261121120100__create_chunks",
    "V20261121120200__create_batches",
    "V20261121120300__create_letters",
    "V20261121120400__create_quotas",
    "V20261121120500__create_logins",
    "V20261121163000__create_supplied",
    "V20261121170000__create_schedules",
    "V20261121190000__create_seen",
    "V20261121193000__create_effects",
    "V20261121200000__add_jobs",
    "V20261121213000__add_previews",
    "V20261121220000__add_letter_causes",
    "V20261121230000__create_audit",
    "V20261121230100__add_pauses",
    "V20261121235000__count_guarded",
    "V20261121235100__find_and_purge",
];

/// The table in which applied steps are noted.
pub(crate) const HISTORY: &str = "infill_schema_history";

/// What carries out the steps.
pub(crate) fn runner(steps: &[Step]) -> Result<Runner, Error> {
    let migrations: Result<Vec<Migration>, refinery::Error> =
        steps.iter().map(|(name, sql)| Migration::unapplied(name, sql)).collect();
    let mut runner = Runner::new(&migrations.map_err(failed)?);
    runner.set_migration_table_name(HISTORY);
    Ok(runner)
}

/// The schema this program knows.
pub(crate) fn known(runner: &Runner) -> i64 {
    runner.get_migrations().iter().map(Migration::version).max().unwrap_or(0)
}

/// Refuses a store that a newer program has migrated.
pub(crate) const fn refuse_newer(found: i64, known: i64) -> Result<(), Error> {
    if found > known { Err(Error::Version { found, known }) } else { Ok(()) }
}

/// Refuses a store whose schema is not exactly the one known.
pub(crate) const fn refuse_other(found: i64, known: i64) -> Result<(), Error> {
    if found == known { Ok(()) } else { Err(Error::Version { found, known }) }
}

/// A step that could not be carried out.
pub(crate) fn failed(source: refinery::Error) -> Error {
    Error::Query { operation: "migrate the schema", source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_have_the_same_steps_in_growing_order() {
        let versions = |steps| {
            runner(steps).unwrap().get_migrations().iter().map(Migration::version).collect::<Vec<_>>()
        };
        assert_eq!(versions(SQLITE), versions(POSTGRES));
        assert!(versions(SQLITE).is_sorted());
        let names = |steps: &[Step]| steps.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names(SQLITE), names(POSTGRES));
    }

    #[test]
    fn every_file_in_the_folders_is_a_step() {
        for (folder, steps) in [("sqlite", SQLITE), ("postgres", POSTGRES)] {
            let path = format!("{}/migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
            assert_eq!(std::fs::read_dir(path).unwrap().count(), steps.len(), "{folder}");
        }
    }
}
