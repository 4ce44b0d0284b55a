//! The SQL of saved prompts.

use super::ChatStore;
use crate::{chat::view::Prompt, store::now};

impl ChatStore {
    /// The owner's prompts, by name.
    pub async fn prompts(&self, owner: &str) -> sqlx::Result<Vec<Prompt>> {
        sqlx::query_as("SELECT id, name, text FROM prompts WHERE owner = $1 ORDER BY name")
            .bind(owner)
            .fetch_all(self.store.pool())
            .await
    }

    /// Keeps a prompt: a new one, or in the place of the owner's with this id.
    pub async fn save_prompt(&self, owner: &str, prompt: &Prompt) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO prompts (id, owner, name, text, changed_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (id) DO UPDATE SET name = $3, text = $4, changed_at = $5
             WHERE prompts.owner = $2",
        )
        .bind(&prompt.id)
        .bind(owner)
        .bind(&prompt.name)
        .bind(&prompt.text)
        .bind(now())
        .execute(self.store.pool())
        .await
        .map(drop)
    }

    /// Removes one of the owner's prompts.
    pub async fn remove_prompt(&self, owner: &str, id: &str) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM prompts WHERE owner = $1 AND id = $2")
            .bind(owner)
            .bind(id)
            .execute(self.store.pool())
            .await
            .map(drop)
    }
}
