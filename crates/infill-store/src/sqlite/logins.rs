//! Logins: sealed, versioned, refreshed by one program at a time.

use infill_model::{ConnectionName, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::connections::{Connections, micros};
use crate::commit::Commit;
use crate::error::Error;
use crate::store::Login;
use crate::stored::{signed, unsigned};
use crate::vault::{Sealed, Vault};

pub(super) async fn read(
    connections: &Connections,
    vault: &Vault,
    connection: &ConnectionName,
) -> Result<Option<Login>, Error> {
    let name = connection.to_string();
    let found = connections
        .read("read a login", move |store| {
            let found: Option<(i64, String, Vec<u8>)> = store
                .prepare_cached(
                    "SELECT version, key_id, sealed FROM logins WHERE connection = ?1 AND sealed IS NOT NULL",
                )?
                .query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            Ok(found)
        })
        .await?;
    let open = |(version, key_id, bytes)| {
        vault.open(connection, unsigned(version), &Sealed { key_id, bytes }, connections.address())
    };
    found.map(open).transpose()
}

pub(super) async fn lease(
    connections: &Connections,
    connection: &ConnectionName,
    owner: u64,
    until: Timestamp,
    now: Timestamp,
) -> Result<bool, Error> {
    let name = connection.to_string();
    connections
        .write("lease a login", Commit::Ordered, move |store| {
            let taken = store
                .prepare_cached(
                    "INSERT INTO logins (connection, lease_owner, lease_until) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (connection) DO UPDATE SET lease_owner = ?2, lease_until = ?3 \
                     WHERE lease_until IS NULL OR lease_until <= ?4 OR lease_owner = ?2",
                )?
                .execute(params![name, owner.cast_signed(), micros(until), micros(now)])?;
            Ok(taken > 0)
        })
        .await
}

pub(super) async fn save(
    connections: &Connections,
    vault: &Vault,
    connection: &ConnectionName,
    login: &Login,
) -> Result<bool, Error> {
    let sealed = vault.seal(connection, login, connections.address())?;
    let (name, version) = (connection.to_string(), signed(login.version));
    // The CRM has forgotten the refresh token that this one replaces: a power cut must not bring it back.
    connections
        .write("save a login", Commit::Durable, move |store| {
            let saved = store
                .prepare_cached(
                    "INSERT INTO logins (connection, version, key_id, sealed) VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT (connection) DO UPDATE SET version = ?2, key_id = ?3, sealed = ?4, \
                     lease_owner = NULL, lease_until = NULL WHERE logins.sealed IS NULL OR version = ?2 - 1",
                )?
                .execute(params![name, version, sealed.key_id, sealed.bytes])?;
            Ok(saved > 0)
        })
        .await
}
