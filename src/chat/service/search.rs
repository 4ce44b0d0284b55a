//! Looking for words in titles and messages.

use std::time::Duration;

use super::Chat;
use crate::{
    chat::{
        store::{ChatStore, Found, MARKS},
        view::{Hit, Marked},
    },
    error::Result,
    session::Caller,
};

/// How many conversations are shown that hold what was looked for.
const HITS: usize = 40;
/// How many places of each.
const PLACES: usize = 2;
/// How many words of a query are looked for, and in how many of its characters.
const WORDS: usize = 16;
const LONGEST: usize = 200;
/// Between two batches of the index, for those who write replies.
const BREATH: Duration = Duration::from_millis(20);

impl Chat {
    /// The caller's conversations where one message, or the title, holds all of these words; the best
    /// first. The last word may be
    /// the beginning of one.
    pub async fn find(&self, caller: &Caller, words: &str) -> Result<Vec<Hit>> {
        let owner = caller.known()?.owner();
        let words = wanted(words);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        Ok(by_conversation(self.inner.store.find(&owner, &words).await?))
    }

    /// Adds what people and assistants have written to the index, whenever there is something new.
    pub(super) async fn keep_index(self) {
        let Self { inner } = self;
        loop {
            tokio::select! {
                () = inner.to_index.notified() => {}
                () = inner.closing.cancelled() => return,
            }
            if let Err(error) = index_all(&inner.store).await {
                tracing::warn!(%error, "messages could not be added to the index; tried again soon");
            }
        }
    }
}

async fn index_all(store: &ChatStore) -> sqlx::Result<()> {
    while store.index_some().await? {
        tokio::time::sleep(BREATH).await;
    }
    Ok(())
}

/// The words in what people write.
fn wanted(text: &str) -> Vec<&str> {
    let end = text.char_indices().nth(LONGEST).map_or(text.len(), |(end, _)| end);
    text[..end]
        .split(|letter: char| letter.is_whitespace() || letter == '\0')
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .take(WORDS)
        .collect()
}

fn by_conversation(found: Vec<Found>) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    for Found { line, message_id, words } in found {
        let known = hits.iter().position(|hit| hit.line.id == line.id);
        let index = match known {
            Some(index) => index,
            None if hits.len() == HITS => continue,
            None => {
                let title = vec![(line.title.clone(), false)];
                hits.push(Hit { line, title, places: Vec::new() });
                hits.len() - 1
            }
        };
        let hit = &mut hits[index];
        match message_id {
            None => hit.title = marked(&words),
            Some(message) if hit.places.len() < PLACES => {
                hit.places.push((message, marked(&words)));
            }
            Some(_) => {}
        }
    }
    hits
}

/// `words` in pieces, those apart that were looked for.
fn marked(words: &str) -> Marked {
    let [begin, end] = MARKS;
    let mut pieces = Vec::new();
    for (index, part) in words.split(begin).enumerate() {
        let (found, rest) = match part.split_once(end) {
            Some((found, rest)) if index > 0 => (found, rest),
            _ => ("", part),
        };
        for (text, is_found) in [(found, true), (rest, false)] {
            if !text.is_empty() {
                pieces.push((text.replace(end, ""), is_found));
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_has_letters() {
        assert_eq!(wanted("open  deals\0é"), ["open", "deals", "é"]);
        assert!(wanted(" -- * \"\" ").is_empty());
        assert_eq!(wanted(&"ä".repeat(300)), ["ä".repeat(LONGEST)]);
        assert_eq!(wanted(&"a ".repeat(90)).len(), WORDS);
    }

    #[test]
    fn what_was_found_stands_out() {
        assert_eq!(
            marked("an \u{2}open\u{3} \u{2}deal\u{3}"),
            [("an ", false), ("open", true), (" ", false), ("deal", true)]
                .map(|(text, found)| (text.to_owned(), found))
        );
        assert_eq!(marked("plain"), [("plain".to_owned(), false)]);
    }
}
