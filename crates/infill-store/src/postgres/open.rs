//! Brings the schema up to date, one program at a time.

use deadpool_postgres::Client;

use super::pool::{Pool, Trouble, quote};
use crate::error::Error;
use crate::migrations::{self, HISTORY};

/// First half of the advisory lock's key (`infl`); the second is a digest of the schema's name.
const LOCK: i32 = 0x696e_666c;

/// Makes and migrates the schema; gives the version known.
pub(super) async fn prepare(pool: &Pool, schema: Option<&str>) -> Result<i64, Error> {
    let runner = migrations::runner(migrations::POSTGRES)?;
    let known = migrations::known(&runner);
    let client = pool.call("connect", pool.client()).await?;
    // This connection lives for the migration alone, and the lock with it.
    let mut client = Client::take(client);
    // Not within the time of a call: another program may be migrating, and then there is nothing else to do.
    let found = lock(&client, schema).await.map_err(|e| pool.explain("prepare the schema", e))?;
    migrations::refuse_newer(found, known)?;
    let report = runner.run_async(&mut *client).await.map_err(migrations::failed)?;
    for step in report.applied_migrations() {
        tracing::info!(schema = step.version(), step = step.name(), "store migrated");
    }
    Ok(known)
}

/// Takes the lock and makes the schema; gives the newest step applied.
async fn lock(client: &tokio_postgres::Client, schema: Option<&str>) -> Result<i64, tokio_postgres::Error> {
    client.batch_execute("SET statement_timeout = 0").await?;
    let lock = "SELECT pg_advisory_lock($1, hashtext(coalesce($2, current_schema())))";
    client.execute(lock, &[&LOCK, &schema]).await?;
    if let Some(schema) = schema {
        let exists = "SELECT 1 FROM pg_namespace WHERE nspname = $1";
        if client.query_opt(exists, &[&schema]).await?.is_none() {
            client.batch_execute(&format!("CREATE SCHEMA {}", quote(schema))).await?;
        }
    }
    version(client).await
}

/// Checks that the schema is the one known.
pub(super) async fn check(pool: &Pool, known: i64) -> Result<(), Error> {
    let found = pool
        .call("read the schema version", async {
            let client = pool.client().await?;
            Ok::<_, Trouble>(version(&client).await?)
        })
        .await?;
    migrations::refuse_other(found, known)
}

/// The newest step applied; 0 before the first.
async fn version(client: &tokio_postgres::Client) -> Result<i64, tokio_postgres::Error> {
    let exists = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&HISTORY]).await?;
    if !exists.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    let newest = "SELECT coalesce(max(version), 0)::bigint FROM infill_schema_history";
    client.query_one(newest, &[]).await?.try_get(0)
}
