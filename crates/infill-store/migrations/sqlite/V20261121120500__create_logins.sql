-- A tuple without a sealed login only carries the lease for making the first one.
CREATE TABLE logins (
    connection  TEXT PRIMARY KEY NOT NULL,
    version     INTEGER NOT NULL DEFAULT 0,
    key_id      TEXT,
    sealed      BLOB,
    lease_owner INTEGER,
    lease_until INTEGER
) STRICT, WITHOUT ROWID;
