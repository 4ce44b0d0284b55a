//! Conversations as pages and clients read them: replies that are being written from memory,
//! everything else from the store.

use std::time::Duration;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::{Chat, Events, MessageRow, no_conversation, no_message, recovery::interrupted};
use crate::{
    chat::{
        feed::{Changes, Cursor, Feed},
        log::Finished,
        provider::Usage,
        store::{ALL, Changed, ConversationHead, steps_json},
        view::{ConversationLine, Fork, MessageView, Rating, RunCursor, StepView},
        wire::{Found, MessageState, Role, Step},
    },
    error::{Error, Result},
    session::Caller,
};

/// How many messages a page opens with, and gets at once when its reader goes further back.
const SHOWN: usize = 60;
/// How many messages API clients get at once.
const PAGE: usize = 50;

/// A conversation as its page shows it; by default one that has not begun.
#[derive(Clone, Default)]
pub struct Conversation {
    /// Its line in the list.
    pub line: ConversationLine,
    /// When it goes, milliseconds since 1970, where it is a temporary one.
    pub expires_at: Option<i64>,
    /// Where a page stands that shows it.
    pub cursor: Cursor,
    /// The last messages of the branch that is shown, oldest first.
    pub messages: Vec<MessageView>,
    /// Whether there are others before them.
    pub has_older: bool,
}

impl Chat {
    /// A page of one of the caller's conversations, the newest being page 0, and whether there are
    /// older ones.
    pub async fn page(
        &self,
        caller: &Caller,
        id: &str,
        page: usize,
    ) -> Result<(Vec<MessageRow>, bool)> {
        let mut rows = self.conversation_rows(&caller.known()?.owner(), id).await?;
        rows.truncate(rows.len().saturating_sub(page.saturating_mul(PAGE)));
        let older = rows.len().saturating_sub(PAGE);
        Ok((rows.split_off(older), older > 0))
    }

    /// One of the caller's conversations as its page opens: at its end, with replies as far as they
    /// have come. Where one of its messages is `wanted`, as far back as that.
    pub async fn conversation(
        &self,
        caller: &Caller,
        id: &str,
        wanted: Option<&str>,
    ) -> Result<Conversation> {
        let end = self.end_of(caller, id, SHOWN).await?;
        match wanted {
            Some(wanted) if end.messages.iter().all(|message| message.id != wanted) => {
                let all = self.end_of(caller, id, usize::MAX).await?;
                let is_there = all.messages.iter().any(|message| message.id == wanted);
                Ok(if is_there { all } else { end })
            }
            _ => Ok(end),
        }
    }

    /// The messages before one of the caller's, and whether there are more before them.
    pub async fn messages_before(
        &self,
        caller: &Caller,
        message: &str,
    ) -> Result<(Vec<MessageView>, bool)> {
        let owner = caller.known()?.owner();
        let store = &self.inner.store;
        let conversation = store.conversation_of(&owner, message).await?.ok_or_else(no_message)?;
        let mut rows = store.messages_before(message, one_more(SHOWN)).await?;
        let has_older = cut(&mut rows, SHOWN);
        Ok((self.views(&conversation, rows).await?, has_older))
    }

    async fn end_of(&self, caller: &Caller, id: &str, most: usize) -> Result<Conversation> {
        let owner = caller.known()?.owner();
        let known = self.inner.store.conversation(&owner, id, one_more(most)).await?;
        let (head, mut rows) = known.ok_or_else(no_conversation)?;
        let has_older = cut(&mut rows, most);
        let messages = self.views(id, rows).await?;
        let cursor = Cursor::of(head.revision, &messages);
        let ConversationHead { line, expires_at, .. } = head;
        Ok(Conversation { line, expires_at, cursor, messages, has_older })
    }

    /// Everything that changes what a page shows of one of the caller's conversations, from `at` on.
    pub async fn feed(&self, caller: &Caller, id: &str, at: Cursor) -> Result<Feed> {
        let owner = caller.known()?.owner();
        self.check_is_there(&owner, id).await?;
        Ok(Feed::new(self.clone(), &self.inner.bells, id, at))
    }

    /// What has changed in a conversation since a revision.
    pub(in crate::chat) async fn changes(&self, id: &str, since: i64) -> Result<Changes> {
        let (changes, is_behind) = self.changes_as_of_now(id, since).await?;
        if !is_behind {
            return Ok(changes);
        }
        // A reply came to its end meanwhile, and is saved by now: a page is told of its end once.
        Ok(self.changes_as_of_now(id, since).await?.0)
    }

    /// What has changed, and whether a reply has come to its end since that was looked up.
    async fn changes_as_of_now(&self, id: &str, since: i64) -> Result<(Changes, bool)> {
        let Changed { head, path, mut rows } =
            self.inner.store.changes(id, since).await?.ok_or_else(no_conversation)?;
        let ConversationHead { line, revision, expires_at } = head;
        let is_temporary = expires_at.is_some();
        let mut running = self.inner.live.of_conversation(id).map(|live| live.view());
        if let Some(running) = &mut running {
            self.look_up_proposals(running).await?;
        }
        if revision == since {
            let (path, messages) = (Vec::new(), Vec::new());
            return Ok((Changes { revision, line, is_temporary, path, messages, running }, false));
        }
        let first = path.iter().position(|(_, changed)| *changed > since).unwrap_or(path.len());
        let before = first.checked_sub(1).map(|index| path[index].0.clone()).unwrap_or_default();
        let from: Vec<String> = path.into_iter().skip(first).map(|(id, _)| id).collect();
        rows.retain(|row| from.contains(&row.id));
        let ran: Vec<bool> = rows.iter().map(|row| row.state() == MessageState::Running).collect();
        let messages = self.views(id, rows).await?;
        let is_behind = ran.iter().zip(&messages).any(|(ran, now)| *ran && now.run.is_none());
        let path = std::iter::once(before).chain(from).collect();
        Ok((Changes { revision, line, is_temporary, path, messages, running }, is_behind))
    }

    /// The events of a run of this process after a place in it.
    pub(in crate::chat) fn events_of(&self, cursor: &RunCursor) -> Option<Events> {
        Some(self.inner.live.get(&cursor.id)?.follow(cursor.after).boxed())
    }

    /// Done when the server has been told to stop.
    pub(in crate::chat) fn closing(&self) -> CancellationToken {
        self.inner.closing.clone()
    }

    pub(super) async fn views(
        &self,
        conversation: &str,
        rows: Vec<MessageRow>,
    ) -> Result<Vec<MessageView>> {
        let forks = self.inner.store.forks(conversation).await?;
        let mut files = self.files_shown(conversation).await?;
        let mut views = Vec::with_capacity(rows.len());
        for row in rows {
            let fork = fork_of(&row.id, &forks);
            let files = files.remove(&row.id).unwrap_or_default();
            let mut view = MessageView { fork, files, ..self.view(row).await? };
            self.look_up_proposals(&mut view).await?;
            views.push(view);
        }
        Ok(views)
    }

    /// Says of the changes that a message proposes what has become of them.
    async fn look_up_proposals(&self, message: &mut MessageView) -> Result<()> {
        for step in &mut message.steps {
            *step = self.step_view(step.step.clone()).await?;
        }
        Ok(())
    }

    /// A step as pages show it now.
    pub(in crate::chat) async fn step_view(&self, step: Step) -> Result<StepView> {
        let standing = match &step.found {
            Found::Proposal { change, values, .. } => {
                self.inner.tools.standing(change, values).await?
            }
            _ => return Ok(StepView::new(step)),
        };
        Ok(StepView { step, standing })
    }

    /// Has the pages show what has become of a change that one of the caller's messages proposes;
    /// answers where that is, if it is there.
    pub async fn tell_of_proposal(&self, caller: &Caller, message: &str) -> Result<Option<String>> {
        let owner = caller.known()?.owner();
        let conversation = self.inner.store.conversation_of(&owner, message).await?;
        let Some(conversation) = conversation else { return Ok(None) };
        self.inner.store.touch_message(&conversation, message).await?;
        self.inner.bells.ring(&conversation);
        Ok(Some(place_of(&conversation, message)))
    }

    /// Where one of the caller's messages is, if it is there.
    pub async fn place_of(&self, caller: &Caller, message: &str) -> Result<Option<String>> {
        let owner = caller.known()?.owner();
        let conversation = self.inner.store.conversation_of(&owner, message).await?;
        Ok(conversation.map(|conversation| place_of(&conversation, message)))
    }

    /// A message as it stands: a reply that is being written from memory, any other from its row.
    async fn view(&self, row: MessageRow) -> Result<MessageView> {
        if row.state() != MessageState::Running {
            return Ok(view_of(row));
        }
        let Some(live) = self.inner.live.of_message(&row.id) else {
            return self.view_of_lost(row).await;
        };
        if !live.has_ended() {
            return Ok(live.view());
        }
        // It came to its end after the row was read, or its end could not be saved.
        let now = self.inner.store.message(&row.id).await?;
        let saved = now.filter(|now| now.state() != MessageState::Running);
        Ok(saved.map_or_else(|| live.view(), view_of))
    }

    /// A reply whose run ended without being able to save its end, as far as its log goes.
    async fn view_of_lost(&self, row: MessageRow) -> Result<MessageView> {
        let events = match self.inner.store.running_run_of(&row.id).await? {
            Some(run) => self.inner.store.events(&run).await.map_err(Error::internal)?,
            None => Vec::new(),
        };
        let finished = interrupted(&row, &events);
        let Finished { text, html, reasoning, outcome, steps, .. } = finished;
        let (state, steps) = (outcome.state.as_str().to_owned(), steps_json(&steps));
        Ok(view_of(MessageRow { text, html, reasoning, state, steps, ..row }))
    }
}

fn place_of(conversation: &str, message: &str) -> String {
    format!("/chat/{conversation}#m-{message}")
}

/// One row more than is wanted tells whether there are others.
fn one_more(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(ALL).saturating_add(1)
}

/// Leaves the last of them; answers whether there were others.
fn cut(rows: &mut Vec<MessageRow>, most: usize) -> bool {
    let others = rows.len().saturating_sub(most);
    rows.drain(..others);
    others > 0
}

/// Where a message stands among `forks`, which are those that have others beside them.
fn fork_of(id: &str, forks: &[(String, String)]) -> Option<Fork> {
    let (_, group) = forks.iter().find(|(fork, _)| fork == id)?;
    let beside: Vec<&String> =
        forks.iter().filter(|(_, of)| of == group).map(|(fork, _)| fork).collect();
    let index = beside.iter().position(|fork| *fork == id)?;
    Some(Fork {
        place: index + 1,
        count: beside.len(),
        previous: index.checked_sub(1).map(|before| beside[before].clone()),
        next: beside.get(index + 1).map(|&next| next.clone()),
    })
}

pub(super) fn view_of(row: MessageRow) -> MessageView {
    let (role, outcome) = (row.role(), row.outcome());
    let count = |tokens: Option<i64>| tokens.and_then(|tokens| u64::try_from(tokens).ok());
    let usage = count(row.input_tokens)
        .zip(count(row.output_tokens))
        .map(|(input, output)| Usage { input, output });
    let rating = row.rating.map(|rating| Rating {
        is_good: rating > 0,
        note: row.rating_note.clone().unwrap_or_default(),
    });
    MessageView {
        role,
        rating,
        steps: row.steps().into_iter().map(StepView::new).collect(),
        text: if role == Role::User { row.text } else { String::new() },
        id: row.id,
        assistant: row.assistant,
        html: row.html,
        reasoning: row.reasoning,
        reasoning_time: count(row.reasoning_ms).map(Duration::from_millis),
        usage,
        created_at: row.created_at,
        outcome,
        waits_until: None,
        run: None,
        fork: None,
        files: Vec::new(),
    }
}
