//! The sandbox's twenty-four collections: a small Django REST framework backend.
//!
//! `schema` declares them; everything else reads that table: `validate` checks what comes in,
//! `query` reads what is asked for, `store` holds the SQL, `routes` speaks HTTP, and `seed` fills
//! the shelves of a new sandbox.

mod errors;
mod metadata;
mod query;
mod routes;
mod schema;
mod seed;
mod store;
mod text;
mod validate;

use sqlx::SqlitePool;

pub(crate) use self::{
    query::{Filter, Operand, Order, Selection, Test, read_terms},
    routes::routes,
    schema::{COLLECTIONS, Collection, Field, Kind},
    store::{Grouping, Record, Shelf, Total},
    text::{TODAY, fold},
};

/// All records of all tenants; [`Collections::shelf`] is the way to those of one.
#[derive(Debug, Clone)]
pub(crate) struct Collections {
    pool: SqlitePool,
}

impl Collections {
    /// Makes the tables and fills them with demo rows if that was never done.
    pub async fn open(pool: SqlitePool) -> Result<Self, sqlx::Error> {
        store::create_tables(&pool).await?;
        let collections = Self { pool };
        collections.seed_once().await?;
        Ok(collections)
    }

    /// A collection as this tenant sees it.
    pub(crate) fn shelf<'a>(
        &'a self,
        collection: &'static Collection,
        tenant: &'a str,
    ) -> Shelf<'a> {
        Shelf { pool: &self.pool, collection, tenant }
    }

    async fn seed_once(&self) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        if store::is_seeded(&mut transaction).await? {
            return transaction.rollback().await;
        }
        for tenant in &seed::TENANTS {
            for (collection, rows) in seed::rows(tenant) {
                self.shelf(collection, tenant.id).fill(&mut transaction, rows).await?;
            }
        }
        transaction.commit().await
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use sqlx::sqlite::SqlitePoolOptions;

    use super::*;

    /// Freshly seeded collections in memory.
    pub(crate) async fn collections() -> Collections {
        // Every connection to `:memory:` is a database of its own.
        let options = SqlitePoolOptions::new().max_connections(1);
        Collections::open(options.connect("sqlite::memory:").await.unwrap()).await.unwrap()
    }
}
