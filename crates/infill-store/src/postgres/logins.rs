//! Logins: sealed, versioned, refreshed by one program at a time.

use infill_model::{ConnectionName, Timestamp};

use super::pool::Pool;
use crate::error::Error;
use crate::store::Login;
use crate::stored::{signed, unsigned};
use crate::vault::{Sealed, Vault};

pub(super) async fn read(
    pool: &Pool,
    vault: &Vault,
    connection: &ConnectionName,
) -> Result<Option<Login>, Error> {
    let operation = "read a login";
    let sql = "SELECT version, key_id, sealed FROM logins WHERE connection = $1 AND sealed IS NOT NULL";
    let Some(row) = pool.query_opt(operation, sql, &[&connection.as_str()]).await? else { return Ok(None) };
    let version = row.try_get(0).map_err(Pool::unreadable(operation))?;
    let key_id = row.try_get(1).map_err(Pool::unreadable(operation))?;
    let bytes = row.try_get(2).map_err(Pool::unreadable(operation))?;
    vault.open(connection, unsigned(version), &Sealed { key_id, bytes }, pool.address()).map(Some)
}

pub(super) async fn lease(
    pool: &Pool,
    connection: &ConnectionName,
    owner: u64,
    until: Timestamp,
    now: Timestamp,
) -> Result<bool, Error> {
    let sql = "INSERT INTO logins AS l (connection, lease_owner, lease_until) VALUES ($1, $2, $3) \
               ON CONFLICT (connection) DO UPDATE SET lease_owner = $2, lease_until = $3 \
               WHERE l.lease_until IS NULL OR l.lease_until <= $4 OR l.lease_owner = $2";
    let parameters: [super::pool::Parameter<'_>; 4] =
        [&connection.as_str(), &owner.cast_signed(), &until, &now];
    Ok(pool.execute("lease a login", sql, &parameters).await? > 0)
}

pub(super) async fn save(
    pool: &Pool,
    vault: &Vault,
    connection: &ConnectionName,
    login: &Login,
) -> Result<bool, Error> {
    let sealed = vault.seal(connection, login, pool.address())?;
    let sql = "INSERT INTO logins AS l (connection, version, key_id, sealed) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (connection) DO UPDATE SET version = $2, key_id = $3, sealed = $4, \
               lease_owner = NULL, lease_until = NULL WHERE l.sealed IS NULL OR l.version = $2 - 1";
    let saved = pool
        .execute(
            "save a login",
            sql,
            &[&connection.as_str(), &signed(login.version), &sealed.key_id, &sealed.bytes],
        )
        .await?;
    Ok(saved > 0)
}
