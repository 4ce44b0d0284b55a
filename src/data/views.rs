//! Lists as people like to have them, under names of their own; and the resources they come back to.

use std::sync::Arc;

use sqlx::FromRow;

use super::service::Resource;
use crate::{
    config::ResourceConfig,
    error::{Error, Result},
    session::Caller,
    store::{Flag, Memo, Store, new_id, now},
};

const LONGEST_NAME: usize = 60;
const LONGEST_QUERY: usize = 4_000;
/// How many a person can keep of one resource.
const MOST: i64 = 50;

/// A list under a name.
#[derive(Debug, Clone, FromRow)]
pub struct View {
    /// Names it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What stands in the address.
    pub query: String,
    /// Whether everybody of the tenant sees it.
    #[sqlx(try_from = "Flag")]
    pub is_shared: bool,
    /// Whether it is the reader's own.
    #[sqlx(try_from = "Flag")]
    pub is_own: bool,
}

/// The tables `views` and `pins`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Views {
    store: Store,
    views: Memo<Arc<[View]>>,
    pins: Memo<Arc<[String]>>,
}

impl Views {
    /// In `store`.
    pub fn new(store: Store) -> Self {
        let (views, pins) = Default::default();
        Self { store, views, pins }
    }

    /// The caller's views of a resource, and those that others share, by name.
    pub async fn of(&self, caller: &Caller, resource: &Resource) -> Result<Arc<[View]>> {
        let who = caller.known()?;
        let (owner, tenant) = (who.owner(), who.tenant.clone().unwrap_or_default());
        let resource = named(&resource.config);
        let question = [&*resource, &tenant, &owner].join("\0");
        let read = self.read(&resource, &tenant, &owner);
        Ok(self.views.get(question, read).await?)
    }

    async fn read(&self, resource: &str, tenant: &str, owner: &str) -> sqlx::Result<Arc<[View]>> {
        sqlx::query_as(
            "SELECT id, name, query, is_shared, CASE WHEN owner = $3 THEN 1 ELSE 0 END AS is_own
             FROM views WHERE resource = $1 AND tenant = $2 AND (owner = $3 OR is_shared = 1)
             ORDER BY is_own DESC, name, id LIMIT 100",
        )
        .bind(resource)
        .bind(tenant)
        .bind(owner)
        .fetch_all(self.store.pool())
        .await
        .map(Into::into)
    }

    /// Keeps a view; one of the caller's with the same name is replaced.
    ///
    /// 400 for a name that is empty or too long, 409 for too many.
    pub async fn keep(
        &self,
        caller: &Caller,
        resource: &Resource,
        name: &str,
        query: &str,
        is_shared: bool,
    ) -> Result<()> {
        let (who, name) = (caller.known()?, name.trim());
        let length = name.chars().count();
        if query.len() > LONGEST_QUERY {
            let sentence = "This list is narrowed by too much to be kept. Nothing was kept.";
            return Err(Error::bad_request(sentence));
        }
        if length == 0 || length > LONGEST_NAME {
            return Err(Error::bad_request(format!(
                "A view needs a name of at most {LONGEST_NAME} characters. Nothing was kept."
            )));
        }
        let (owner, tenant) = (who.owner(), who.tenant.clone().unwrap_or_default());
        let mut tx = self.store.begin().await?;
        sqlx::query(
            "DELETE FROM views WHERE owner = $1 AND tenant = $2 AND resource = $3 AND name = $4",
        )
        .bind(&owner)
        .bind(&tenant)
        .bind(named(&resource.config))
        .bind(name)
        .execute(&mut *tx)
        .await?;
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM views WHERE owner = $1 AND tenant = $2 AND resource = $3",
        )
        .bind(&owner)
        .bind(&tenant)
        .bind(named(&resource.config))
        .fetch_one(&mut *tx)
        .await?;
        if count >= MOST {
            return Err(Error::conflict(format!(
                "There are {MOST} views already. Remove one, and keep this one again."
            )));
        }
        sqlx::query(
            "INSERT INTO views (id, owner, tenant, resource, name, query, is_shared, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(new_id())
        .bind(&owner)
        .bind(&tenant)
        .bind(named(&resource.config))
        .bind(name)
        .bind(query)
        .bind(i64::from(is_shared))
        .bind(now())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.views.forget();
        Ok(())
    }

    /// Removes one of the caller's views.
    pub async fn remove(&self, caller: &Caller, id: &str) -> Result<()> {
        sqlx::query("DELETE FROM views WHERE id = $1 AND owner = $2")
            .bind(id)
            .bind(caller.known()?.owner())
            .execute(self.store.pool())
            .await?;
        self.views.forget();
        Ok(())
    }

    /// The resources on the caller's first page, as `<group>.<name>`.
    pub async fn pins(&self, caller: &Caller) -> Result<Arc<[String]>> {
        let owner = caller.known()?.owner();
        let read = async {
            let pins = "SELECT resource FROM pins WHERE owner = $1 ORDER BY place";
            let pins = sqlx::query_scalar(pins).bind(&owner);
            pins.fetch_all(self.store.pool()).await.map(Into::into)
        };
        Ok(self.pins.get(owner.clone(), read).await?)
    }

    /// Puts a resource on the caller's first page, or takes it off.
    pub async fn pin(&self, caller: &Caller, resource: &Resource, is_pinned: bool) -> Result<()> {
        let (owner, resource) = (caller.known()?.owner(), named(&resource.config));
        let sql = match is_pinned {
            true => {
                "INSERT INTO pins (owner, resource, place) VALUES ($1, $2, $3)
                 ON CONFLICT (owner, resource) DO NOTHING"
            }
            false => "DELETE FROM pins WHERE owner = $1 AND resource = $2 AND place <= $3",
        };
        let query = sqlx::query(sql).bind(owner).bind(resource).bind(now());
        query.execute(self.store.pool()).await?;
        self.pins.forget();
        Ok(())
    }
}

fn named(resource: &ResourceConfig) -> String {
    format!("{}.{}", resource.group, resource.name)
}
