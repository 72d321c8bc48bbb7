-- Lines of a file of record ids. The run is recorded after them, so nothing refers to it.
CREATE TABLE supplied (
    run_id    TEXT NOT NULL,
    record    TEXT NOT NULL,
    line      INTEGER NOT NULL,
    is_faulty INTEGER NOT NULL,
    inputs    TEXT NOT NULL,
    fault     TEXT,
    PRIMARY KEY (run_id, record)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX supplied_in_order ON supplied (run_id, is_faulty, line);
