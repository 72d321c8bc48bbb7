-- A tuple without a sealed login only carries the lease for making the first one.
CREATE TABLE logins (
    connection  text PRIMARY KEY,
    version     bigint NOT NULL DEFAULT 0,
    key_id      text,
    sealed      bytea,
    lease_owner bigint,
    lease_until timestamptz
);
