//! Titles that assistants give to conversations, after their first reply.

use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use futures::StreamExt;

use super::Chat;
use crate::{
    chat::{
        about,
        provider::{Ask, Delta, End, Kind, Role, Turn, dialect},
        run,
        store::FirstWords,
    },
    config::AssistantConfig,
    error::{Error, Result},
    session::Caller,
};

/// How long a title may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of the question and of the reply is told, in characters.
const TOLD: usize = 1_000;
/// The longest title that is taken, in characters.
const LONGEST: usize = 80;
const TASK: &str = "Give the conversation below a title of two to six words, in its own language. \
                    Answer with the title alone: no quotation marks, no full stop.";

impl Chat {
    /// Gives a conversation a title by its first reply, unless a person was quicker. One that cannot
    /// be had is no trouble: the beginning of the question stands for it.
    pub(super) async fn entitle(
        &self,
        caller: &Caller,
        conversation: &str,
        assistant: &AssistantConfig,
    ) {
        let asked = async {
            let Some(said) = self.inner.store.first_words(conversation).await? else {
                return Ok(());
            };
            let title = self.title_for(caller, assistant, &said).await?;
            self.inner.store.entitle(conversation, title.as_deref()).await?;
            self.inner.bells.ring(conversation);
            Ok::<_, Error>(())
        };
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(PATIENCE, asked) => outcome,
            () = self.inner.closing.cancelled() => return,
        };
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a conversation got no title"),
            Err(_) => tracing::debug!("a title took too long"),
        }
    }

    async fn title_for(
        &self,
        caller: &Caller,
        assistant: &AssistantConfig,
        said: &FirstWords,
    ) -> Result<Option<String>> {
        let begun = |text: &str| text.chars().take(TOLD).collect::<String>();
        let (question, reply) = (begun(about::words(&said.question)), begun(&said.reply));
        let text = format!("{TASK}\n\nQuestion: {question}\n\nReply: {reply}");
        let turns = [Turn::new(Role::User, text)];
        Ok(cleaned(&self.short_answer(caller, assistant, &turns).await?))
    }

    /// The first line of what an assistant says, outside any conversation.
    async fn short_answer(
        &self,
        caller: &Caller,
        assistant: &AssistantConfig,
        turns: &[Turn],
    ) -> Result<String> {
        let provider = dialect(assistant.provider);
        let backend = self.inner.backends.find(&assistant.backend)?;
        let call = run::call(provider, &Ask { counts: false, ..Ask::new(assistant, turns) })?;
        let (head, body) = backend.send(caller, call).await?.into_parts();
        if !head.status.is_success() {
            return Err(Error::internal(format!("the provider answered {}", head.status)));
        }
        let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = Kind::of(kind.unwrap_or_default());
        let mut reader = provider.reader(kind).map_err(Error::internal)?;
        let (mut chunks, mut answer) = (body.into_data_stream(), String::new());
        while let Some(chunk) = chunks.next().await {
            let mut deltas = Vec::new();
            reader.push(&chunk.map_err(Error::internal)?, &mut deltas).map_err(Error::internal)?;
            add(&mut answer, deltas);
            if reader.is_ending() || is_enough(&answer) {
                return Ok(answer);
            }
        }
        let mut deltas = Vec::new();
        reader.finish(End::Clean, &mut deltas).map_err(Error::internal)?;
        add(&mut answer, deltas);
        Ok(answer)
    }
}

fn add(answer: &mut String, deltas: Vec<Delta>) {
    for delta in deltas {
        if let Delta::Text(text) = delta {
            answer.push_str(&text);
        }
    }
}

fn is_enough(answer: &str) -> bool {
    answer.trim_start().contains('\n') || answer.len() > 4 * LONGEST
}

/// A title without what models put around one.
fn cleaned(answer: &str) -> Option<String> {
    let line = answer.lines().map(str::trim).find(|line| !line.is_empty())?;
    let around = ['#', '"', '\'', '“', '”', '„', '«', '»', '*', '`', '.', ' '];
    let line = line.trim_matches(around);
    let line = line.strip_prefix("Title:").unwrap_or(line).trim_matches(around);
    let fits = !line.is_empty() && line.chars().count() <= LONGEST;
    fits.then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_loses_what_models_put_around_it() {
        for (answer, title) in [
            ("Open deals over 10,000", "Open deals over 10,000"),
            ("\n \"Contacts at Globex.\"\nI hope you like it", "Contacts at Globex"),
            ("**Title: Rechnungen**", "Rechnungen"),
            ("## Rust: l'essentiel", "Rust: l'essentiel"),
            ("Title: “Why?”", "Why?"),
        ] {
            assert_eq!(cleaned(answer).as_deref(), Some(title), "{answer}");
        }
        for none in ["", "  \n ", "\"\"", &"x".repeat(LONGEST + 1)] {
            assert_eq!(cleaned(none), None, "{none}");
        }
    }
}
