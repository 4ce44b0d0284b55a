//! Letting others read a conversation, and taking it along.

use std::collections::HashSet;

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Chat, MessageRow, no_conversation, no_message, reading::view_of};
use crate::{
    chat::{
        store::{ALL, TreeRow},
        view::{MessageView, StepView},
        wire::{MessageState, Role, Step, with_steps},
    },
    config::Sharing,
    error::{Error, Result},
    session::Caller,
};

/// A conversation as others may read it.
pub struct Shared {
    /// Its title.
    pub title: String,
    /// Its messages up to where it was shared, without what was thought on the way.
    pub messages: Vec<MessageView>,
}

/// A conversation as JSON: all of its branches, in the order they were written.
#[derive(Debug, Serialize)]
pub struct Export {
    id: String,
    title: String,
    messages: Vec<ExportedMessage>,
}

#[derive(Debug, Serialize)]
struct ExportedMessage {
    id: String,
    parent: Option<String>,
    role: &'static str,
    state: &'static str,
    /// Whether it is on the branch that is shown.
    shown: bool,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    assistant: Option<String>,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning: String,
    /// What was done on the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens: Option<i64>,
}

impl Chat {
    /// Who may read a shared conversation; none where nothing is shared.
    pub fn sharing(&self) -> Option<Sharing> {
        self.inner.sharing
    }

    /// Lets others read one of the caller's conversations as it is now; answers the link's last part.
    pub async fn share(&self, caller: &Caller, id: &str) -> Result<String> {
        let owner = caller.known()?.owner();
        if self.sharing().is_none() {
            return Err(Error::forbidden("Conversations cannot be shared here."));
        }
        self.check_is_there(&owner, id).await?;
        self.inner.store.share(id, &new_secret()).await?;
        self.inner.store.share_of(&owner, id).await?.ok_or_else(no_conversation)
    }

    /// Takes the link to one of the caller's conversations back.
    pub async fn withdraw(&self, caller: &Caller, id: &str) -> Result<()> {
        self.check_is_there(&caller.known()?.owner(), id).await?;
        Ok(self.inner.store.withdraw(id).await?)
    }

    /// Where others can read one of the caller's conversations, if they can.
    pub async fn shared_at(&self, caller: &Caller, id: &str) -> Result<Option<String>> {
        let link = self.inner.store.share_of(&caller.known()?.owner(), id).await?;
        Ok(link.map(|link| format!("{}/shared/{link}", self.inner.origin)))
    }

    /// What a link leads to. Those who may not read it are told no more than that there is nothing.
    pub async fn shared(&self, caller: &Caller, link: &str) -> Result<Shared> {
        let shared = self.inner.store.shared(link).await?.ok_or_else(no_link)?;
        match self.sharing() {
            Some(Sharing::Anyone) => {}
            Some(Sharing::Tenant) if caller.signed_in()?.identity.tenant == shared.tenant => {}
            _ => return Err(no_link()),
        }
        let rows = self.inner.store.up_to(&shared.tip_id).await?;
        let views = rows.into_iter().filter(is_over).map(for_readers);
        Ok(Shared { title: shared.title, messages: views.collect() })
    }

    /// One of the caller's messages as it was written: Markdown, or plain text.
    pub async fn text_of(&self, caller: &Caller, message: &str) -> Result<String> {
        let owner = caller.known()?.owner();
        self.inner.store.conversation_of(&owner, message).await?.ok_or_else(no_message)?;
        let row = self.inner.store.message(message).await?.ok_or_else(no_message)?;
        Ok(self.said(row))
    }

    /// What a message says so far.
    fn said(&self, row: MessageRow) -> String {
        match self.inner.live.of_message(&row.id) {
            Some(live) if row.state() == MessageState::Running => live.text(),
            _ => row.text,
        }
    }

    /// One of the caller's conversations as Markdown: the branch that is shown.
    pub async fn markdown_of(&self, caller: &Caller, id: &str) -> Result<String> {
        let owner = caller.known()?.owner();
        let known = self.inner.store.conversation(&owner, id, ALL).await?;
        let (head, rows) = known.ok_or_else(no_conversation)?;
        let mut text = format!("# {}\n", head.line.title.replace('\n', " "));
        for row in rows {
            let who = match row.role() {
                Role::User => "You".to_owned(),
                Role::Assistant => self.who(row.assistant.as_deref()).title,
            };
            let (time, steps) = (time_of(&row), row.steps());
            let said = with_headlines(&self.said(row), &steps);
            text.push_str(&format!("\n## {who}, {time}\n\n{}\n", said.trim()));
        }
        Ok(text)
    }

    /// One of the caller's conversations with everything that was written in it.
    pub async fn export(&self, caller: &Caller, id: &str) -> Result<Export> {
        let owner = caller.known()?.owner();
        let known = self.inner.store.conversation(&owner, id, ALL).await?;
        let (head, shown) = known.ok_or_else(no_conversation)?;
        let rows = self.inner.store.tree(id).await?;
        let shown: HashSet<String> = shown.into_iter().map(|row| row.id).collect();
        let exported = |row: TreeRow| self.exported(shown.contains(&row.message.id), row);
        let messages = rows.into_iter().map(exported).collect();
        Ok(Export { id: head.line.id, title: head.line.title, messages })
    }

    fn exported(&self, shown: bool, row: TreeRow) -> ExportedMessage {
        let TreeRow { message, parent_id } = row;
        ExportedMessage {
            id: message.id.clone(),
            parent: parent_id,
            role: message.role().as_str(),
            state: message.state().as_str(),
            shown,
            created_at: time_of(&message),
            assistant: message.assistant.clone(),
            html: message.is_html.then(|| message.html.clone()),
            reasoning: message.reasoning.clone(),
            steps: message.steps(),
            input_tokens: message.input_tokens,
            output_tokens: message.output_tokens,
            text: self.said(message),
        }
    }
}

/// A message for others: what was said, and that something was done, without what came of it.
fn for_readers(row: MessageRow) -> MessageView {
    let mut view = view_of(row);
    let steps = view.steps.into_iter().map(|view| StepView::new(view.step.for_readers()));
    view.steps = steps.collect();
    MessageView { reasoning: String::new(), reasoning_time: None, usage: None, ..view }
}

/// A reply with what was done on the way, each where it was done.
fn with_headlines(text: &str, steps: &[Step]) -> String {
    with_steps(text, steps, |step| Some(format!("> {}\n\n", plain(&step.headline))))
}

/// One line of text in which Markdown finds nothing to do.
fn plain(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    for letter in line.chars() {
        if "\\`*_[]<>&~#|$".contains(letter) {
            plain.push('\\');
        }
        plain.push(if letter.is_control() { ' ' } else { letter });
    }
    plain
}

fn is_over(row: &MessageRow) -> bool {
    row.state() != MessageState::Running
}

fn time_of(row: &MessageRow) -> String {
    let time = OffsetDateTime::from_unix_timestamp(row.created_at / 1_000);
    time.ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

/// What nobody guesses: 122 random bits, apart from ids that tell when they were made.
fn new_secret() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn no_link() -> Error {
    Error::not_found("There is nothing shared here, or it was withdrawn.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::wire::Found;

    #[test]
    fn what_was_done_stands_where_it_was_done() {
        let step = |headline: &str, at| Step {
            headline: headline.to_owned(),
            title: "Ada".to_owned(),
            place: String::new(),
            at,
            found: Found::Nothing,
        };
        let steps = [step("Looked at Contacts: a*b", 5), step("Looked at contact 7", 5)];
        let text = with_headlines("One.\nTwo.", &steps);
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words.join(" "), "One. > Looked at Contacts: a\\*b > Looked at contact 7 Two.");
        assert_eq!(with_headlines("ö", &[step("x", 1)]), "> x\n\nö");
        assert_eq!(with_headlines("One.", &[]), "One.");
    }
}
