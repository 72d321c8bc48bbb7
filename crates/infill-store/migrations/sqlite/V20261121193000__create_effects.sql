-- What an action makes once for a row: noted before it is made. Without outputs nobody knows whether it was.
CREATE TABLE effects (
    run_id      TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    record      TEXT NOT NULL,
    action      TEXT NOT NULL,
    intended_at INTEGER NOT NULL,
    outputs     TEXT,
    PRIMARY KEY (run_id, record, action)
) STRICT, WITHOUT ROWID;
