-- What runs of plans that say `only` remember of a record that went well; the run is the last of them.
CREATE TABLE seen (
    plan_name   TEXT NOT NULL,
    connection  TEXT NOT NULL,
    object      TEXT NOT NULL,
    record      TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    run_id      TEXT NOT NULL,
    PRIMARY KEY (plan_name, connection, object, record)
) STRICT, WITHOUT ROWID;

-- Rows that a run leaves as they are.
ALTER TABLE run_progress ADD COLUMN n_same INTEGER NOT NULL DEFAULT 0;
