CREATE TABLE letters (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id   TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    batch_no INTEGER NOT NULL,
    record   TEXT NOT NULL,
    code     TEXT NOT NULL,
    letter   TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 1,
    status   TEXT NOT NULL DEFAULT 'open',
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    UNIQUE (run_id, record)
) STRICT;
CREATE INDEX letters_by_code ON letters (code);
