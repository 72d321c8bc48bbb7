//! Changing a store behind the back of the programs that use it, as another version or a careless hand would.

use std::path::Path;

/// A statement that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// On SQLite.
    #[error("tamper with a file")]
    Sqlite(#[from] rusqlite::Error),
    /// On PostgreSQL.
    #[error("tamper with a schema")]
    Postgres(#[from] tokio_postgres::Error),
}

/// Carries out SQL in an SQLite file.
///
/// # Errors
/// When the file or the statement is none.
pub fn sqlite(path: &Path, sql: &str) -> Result<(), Error> {
    Ok(rusqlite::Connection::open(path)?.execute_batch(sql)?)
}

/// Carries out SQL in a PostgreSQL schema.
///
/// # Errors
/// When the database does not answer or refuses the statement.
pub async fn postgres(url: &str, schema: &str, sql: &str) -> Result<(), Error> {
    let client = crate::schema::connect(url).await?;
    client.batch_execute(&format!("SET search_path = {schema}; {sql}")).await?;
    Ok(())
}
