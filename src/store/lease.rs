//! Rights that one process holds for a while.
//!
//! A lease ends by itself, so a holder that dies blocks nobody for long; whoever takes one must be
//! done well before its end.

use std::time::Duration;

use uuid::Uuid;

use super::{Store, millis, now};

/// A right that is held. Give it back with [`Lease::end`]; one that is dropped ends by itself.
#[derive(Debug)]
pub struct Lease {
    store: Store,
    name: String,
    holder: String,
}

impl Lease {
    /// Takes the lease called `name` for `span`, unless somebody else holds it.
    pub async fn take(store: &Store, name: &str, span: Duration) -> sqlx::Result<Option<Self>> {
        let (holder, at) = (Uuid::new_v4().simple().to_string(), now());
        let span = millis(span);
        let done = sqlx::query(
            "INSERT INTO leases (name, holder, ends_at) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends_at = excluded.ends_at
             WHERE leases.ends_at <= $4",
        )
        .bind(name)
        .bind(&holder)
        .bind(at.saturating_add(span))
        .bind(at)
        .execute(store.pool())
        .await?;
        let taken = done.rows_affected() == 1;
        Ok(taken.then(|| Self { store: store.clone(), name: name.to_owned(), holder }))
    }

    /// Gives it back.
    pub async fn end(self) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM leases WHERE name = $1 AND holder = $2")
            .bind(&self.name)
            .bind(&self.holder)
            .execute(self.store.pool())
            .await
            .map(drop)
    }

    /// Gives it back, or leaves it to end by itself where the database does not take it.
    pub async fn give_back(self) {
        if let Err(cause) = self.end().await {
            tracing::warn!(%cause, "a lease could not be given back; it ends by itself");
        }
    }

    /// Removes what has ended by itself.
    pub async fn remove_ended(store: &Store) -> sqlx::Result<u64> {
        let done = sqlx::query("DELETE FROM leases WHERE ends_at <= $1")
            .bind(now())
            .execute(store.pool())
            .await?;
        Ok(done.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::for_tests(folder.path()).await;
        let long = Duration::from_secs(60);
        let held = Lease::take(&store, "a", long).await.unwrap().unwrap();
        assert!(Lease::take(&store, "a", long).await.unwrap().is_none());
        assert!(Lease::take(&store, "b", long).await.unwrap().is_some());
        held.end().await.unwrap();
        assert!(Lease::take(&store, "a", Duration::ZERO).await.unwrap().is_some());
        let second = Lease::take(&store, "a", long).await.unwrap();
        assert!(second.is_some(), "the one before has ended by itself");
    }

    #[tokio::test]
    async fn one_that_was_taken_over_ends_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::for_tests(folder.path()).await;
        let first = Lease::take(&store, "a", Duration::ZERO).await.unwrap().unwrap();
        let _second = Lease::take(&store, "a", Duration::from_secs(60)).await.unwrap().unwrap();
        first.end().await.unwrap();
        assert!(Lease::take(&store, "a", Duration::ZERO).await.unwrap().is_none());
    }
}
