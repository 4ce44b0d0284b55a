//! A place in PostgreSQL for a test's tables.

use std::{
    env,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The address of a schema that belongs to the test in `folder`, made when missing; none where the
/// tests run on SQLite, which they do unless `BREEZEWAY_TEST_POSTGRES` names a database.
pub async fn postgres(folder: &Path) -> Option<String> {
    let url = env::var("BREEZEWAY_TEST_POSTGRES").ok()?;
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    let schema = format!("test_{:x}", hasher.finish());
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let create = format!("CREATE SCHEMA IF NOT EXISTS {schema}");
    sqlx::query(AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    Some(format!("{url}?options[search_path]={schema},public"))
}
