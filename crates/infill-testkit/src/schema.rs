//! A PostgreSQL schema of its own for every test, in the shared database.

use tokio_postgres::NoTls;

/// A schema that no other test knows. [`Schema::remove`] drops it with all it holds.
#[derive(Debug)]
pub struct Schema {
    url: String,
    name: String,
}

impl Schema {
    /// Makes a schema in the database at `url`.
    ///
    /// # Errors
    /// When the database does not answer or its user may not create schemas.
    pub async fn create(url: impl Into<String>) -> Result<Self, tokio_postgres::Error> {
        let url = url.into();
        let named = "SELECT 'test_' || replace(gen_random_uuid()::text, '-', '')";
        let client = connect(&url).await?;
        let name: String = client.query_one(named, &[]).await?.try_get(0)?;
        client.batch_execute(&format!("CREATE SCHEMA {name}")).await?;
        Ok(Self { url, name })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The database it is in.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection that looks here first, for tests that look behind the store's back.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn client(&self) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let client = connect(&self.url).await?;
        client.batch_execute(&format!("SET search_path = {}", self.name)).await?;
        Ok(client)
    }

    /// Drops the schema.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn remove(&self) -> Result<(), tokio_postgres::Error> {
        let client = connect(&self.url).await?;
        client.batch_execute(&format!("DROP SCHEMA {} CASCADE", self.name)).await
    }
}

/// Drops a schema that a program under test made, with all it holds; one that is not there is no error.
///
/// # Errors
/// When the database does not answer.
pub async fn drop_schema(url: &str, name: &str) -> Result<(), tokio_postgres::Error> {
    connect(url).await?.batch_execute(&format!("DROP SCHEMA IF EXISTS {name} CASCADE")).await
}

/// Every row of every table of a schema as text, for tests that look for what must not be there.
///
/// # Errors
/// When the database does not answer.
pub async fn dump(url: &str, name: &str) -> Result<String, tokio_postgres::Error> {
    let client = connect(url).await?;
    let tables =
        client.query("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = $1", &[&name]).await?;
    let mut text = String::new();
    for table in tables {
        let table: String = table.try_get(0)?;
        for row in client.query(&format!("SELECT t::text FROM {name}.{table} t"), &[]).await? {
            text.push_str(row.try_get(0)?);
            text.push('\n');
        }
    }
    Ok(text)
}

pub(crate) async fn connect(url: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // Ends with the client.
    tokio::spawn(connection);
    Ok(client)
}
