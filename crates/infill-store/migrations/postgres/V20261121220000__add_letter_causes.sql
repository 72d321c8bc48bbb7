-- Copies of what letters are grouped and searched by. Letters of before are grouped by their code.
ALTER TABLE letters ADD COLUMN cause text NOT NULL DEFAULT '', ADD COLUMN property text,
    ADD COLUMN message text NOT NULL DEFAULT '';
UPDATE letters SET cause = code, message = code;
CREATE INDEX letters_by_cause ON letters (status, cause);
CREATE INDEX letters_by_record ON letters (record);

-- What happened to a letter. One that was tried again in another run names it.
CREATE TABLE letter_events (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    letter_id bigint NOT NULL REFERENCES letters ON DELETE CASCADE,
    at        timestamptz NOT NULL,
    into_run  uuid,
    event     text NOT NULL
);
CREATE INDEX letter_events_by_letter ON letter_events (letter_id, id);
