//! What a purge takes away, in words that both engines know.

/// The statements that take values of a run away, each at most so many; what makes a run look purged to its end comes last. The
/// literals are the engine's names for the run and for how many.
macro_rules! purge_statements {
    ($run:literal, $limit:literal) => {
        [
            purge_statements!("letters", "id", $run, $limit),
            purge_statements!("effects", "record", $run, $limit),
            purge_statements!("supplied", "record", $run, $limit),
            purge_statements!("chunks", "no", $run, $limit),
            purge_statements!("batches", "no", $run, $limit),
        ]
    };
    ($table:literal, $column:literal, $run:literal, $limit:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE run_id = ",
            $run,
            " AND ",
            $column,
            " IN (SELECT ",
            $column,
            " FROM ",
            $table,
            " WHERE run_id = ",
            $run,
            " LIMIT ",
            $limit,
            ")"
        )
    };
}
pub(crate) use purge_statements;
