-- Who did what. It stays when what it was done to goes; nothing is ever taken out.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    act        TEXT NOT NULL,
    run_id     TEXT,
    connection TEXT,
    plan_name  TEXT,
    detail     TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_run ON audit (run_id, id);
