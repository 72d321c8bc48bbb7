CREATE TABLE letters (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id   uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    batch_no bigint NOT NULL,
    record   text NOT NULL,
    code     text NOT NULL,
    letter   text NOT NULL,
    attempts bigint NOT NULL DEFAULT 1,
    status   text NOT NULL DEFAULT 'open',
    first_at timestamptz NOT NULL,
    last_at  timestamptz NOT NULL,
    UNIQUE (run_id, record)
);
CREATE INDEX letters_by_code ON letters (code);
