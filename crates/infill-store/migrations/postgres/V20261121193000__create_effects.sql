-- What an action makes once for a row: noted before it is made. Without outputs nobody knows whether it was.
CREATE TABLE effects (
    run_id      uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    record      text NOT NULL,
    action      text NOT NULL,
    intended_at timestamptz NOT NULL,
    outputs     text,
    PRIMARY KEY (run_id, record, action)
);
