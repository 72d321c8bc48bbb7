-- Who did what. It stays when what it was done to goes; nothing is ever taken out.
CREATE TABLE audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL,
    actor      text NOT NULL,
    act        text NOT NULL,
    run_id     uuid,
    connection text,
    plan_name  text,
    detail     text NOT NULL
);
CREATE INDEX audit_by_run ON audit (run_id, id);
