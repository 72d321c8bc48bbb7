-- What runs of plans that say `only` remember of a record that went well; the run is the last of them.
CREATE TABLE seen (
    plan_name   text NOT NULL,
    connection  text NOT NULL,
    object      text NOT NULL,
    record      text NOT NULL,
    fingerprint text NOT NULL,
    run_id      uuid NOT NULL,
    PRIMARY KEY (plan_name, connection, object, record)
);

-- Rows that a run leaves as they are.
ALTER TABLE run_progress ADD COLUMN n_same bigint NOT NULL DEFAULT 0;
