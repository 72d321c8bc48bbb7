-- Lines of a file of record ids. The run is recorded after them, so nothing refers to it.
CREATE TABLE supplied (
    run_id    uuid NOT NULL,
    record    text NOT NULL,
    line      bigint NOT NULL,
    is_faulty boolean NOT NULL,
    inputs    text NOT NULL,
    fault     text,
    PRIMARY KEY (run_id, record)
);
CREATE UNIQUE INDEX supplied_in_order ON supplied (run_id, is_faulty, line);
