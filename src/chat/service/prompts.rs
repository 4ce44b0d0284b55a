//! Texts that people write often, kept under a name.

use super::Chat;
use crate::{
    chat::{view::Prompt, wire::LONGEST_MESSAGE},
    error::{Error, Result},
    session::Caller,
    store::new_id,
};

const LONGEST_NAME: usize = 40;
/// How many a person can keep.
const MOST: usize = 200;

impl Chat {
    /// The caller's prompts, by name.
    pub async fn prompts(&self, caller: &Caller) -> Result<Vec<Prompt>> {
        Ok(self.inner.store.prompts(&caller.known()?.owner()).await?)
    }

    /// Keeps one of the caller's prompts; a new one where it has no id.
    pub async fn save_prompt(&self, caller: &Caller, prompt: Prompt) -> Result<()> {
        let owner = caller.known()?.owner();
        let known = self.inner.store.prompts(&owner).await?;
        let prompt = checked(prompt)?;
        let is_new = known.iter().all(|one| one.id != prompt.id);
        if is_new && known.len() >= MOST {
            return Err(Error::conflict(format!(
                "You have {MOST} prompts, which is the most. Delete some."
            )));
        }
        let id = if is_new { new_id() } else { prompt.id.clone() };
        match self.inner.store.save_prompt(&owner, &Prompt { id, ..prompt.clone() }).await {
            Err(sqlx::Error::Database(cause)) if cause.is_unique_violation() => {
                Err(is_taken(&prompt.name))
            }
            saved => Ok(saved?),
        }
    }

    /// Removes one of the caller's prompts.
    pub async fn remove_prompt(&self, caller: &Caller, id: &str) -> Result<()> {
        Ok(self.inner.store.remove_prompt(&caller.known()?.owner(), id).await?)
    }
}

fn is_taken(name: &str) -> Error {
    let words = format!("You have a prompt called “{name}” already. Call this one otherwise.");
    Error::conflict(words).in_field("name")
}

fn checked(prompt: Prompt) -> Result<Prompt> {
    let name = prompt.name.trim().trim_start_matches('/').to_lowercase();
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
    if name.is_empty() || name.chars().count() > LONGEST_NAME || !name.chars().all(is_name) {
        return Err(Error::bad_request(format!(
            "A name has 1 to {LONGEST_NAME} letters, digits, - or _, as it is typed after the slash."
        ))
        .in_field("name"));
    }
    let text = prompt.text.trim().to_owned();
    if text.is_empty() || text.len() > LONGEST_MESSAGE {
        let words = format!("A prompt has 1 to {LONGEST_MESSAGE} bytes of text.");
        return Err(Error::bad_request(words).in_field("text"));
    }
    Ok(Prompt { name, text, ..prompt })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_can_be_typed_after_a_slash() {
        let prompt = |name: &str, text: &str| {
            checked(Prompt { id: String::new(), name: name.into(), text: text.into() })
        };
        assert_eq!(prompt(" /Weekly-Report ", " x ").unwrap().name, "weekly-report");
        for name in ["", "/", "two words", "a/b", &"x".repeat(41)] {
            assert_eq!(prompt(name, "x").unwrap_err().field(), Some("name"), "{name}");
        }
        assert_eq!(prompt("a", "  ").unwrap_err().field(), Some("text"));
    }
}
