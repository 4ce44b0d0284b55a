//! Starting, following and stopping runs; reading conversations.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    feed::{Bells, Changes, Cursor, Feed},
    live::{LiveRun, LiveRuns, RunTarget},
    log::{Finished, RunLog},
    markdown,
    provider::{self, Turn, Usage},
    run::Run,
    store::{Changed, ChatStore, ConversationHead, NewRun, NewTurn, RunRow},
    transcript::Transcript,
    view::{Fork, MessageView, RunCursor, Who},
    wire::{ConversationLine, LONGEST_MESSAGE, MessageState, Outcome, Role, RunEvent, Started},
};
use crate::{
    backend::Backends,
    config::{AssistantConfig, Config},
    error::{Error, Result},
    session::{Caller, Identity},
    store::{Store, millis, now},
};

pub use super::store::{MessageRow, Seed};

/// How long a conversation that was deleted can be had back.
const UNDO: Duration = Duration::from_secs(60 * 60);
/// How many messages API clients get at once.
const PAGE: usize = 50;
/// How many conversations the list shows.
const LISTED: i64 = 200;
const LONGEST_TITLE: usize = 60;
const LONGEST_REQUEST_ID: usize = 128;
/// The longest title that a person can give, in characters.
const LONGEST_NAME: usize = 200;
/// The most that a client may bring along of an earlier conversation, in bytes.
const LONGEST_SEED: usize = 1 << 20;
/// How long a finished run can still be read from memory.
const KEPT: Duration = Duration::from_secs(30);
/// How long a stop waits until it is saved.
const STOPPING: Duration = Duration::from_secs(2);
/// What a provider is told when an unfinished reply is to be carried on.
const CONTINUE: &str =
    "Continue your last message exactly where it stops. Do not repeat any of it.";

/// Numbered events of a run, ending with [`RunEvent::End`].
pub type Events = BoxStream<'static, (u64, RunEvent)>;

/// Conversations and runs. Cheap to clone.
#[derive(Clone)]
pub struct Chat {
    inner: Arc<Inner>,
}

struct Inner {
    store: ChatStore,
    log: RunLog,
    live: LiveRuns,
    backends: Backends,
    assistants: BTreeMap<String, AssistantConfig>,
    default: Option<String>,
    runtime: Handle,
    tasks: TaskTracker,
    /// Cancelled when the server has been told to stop.
    closing: CancellationToken,
    /// Cancelled when runs have to end.
    shutdown: CancellationToken,
    bells: Arc<Bells>,
}

/// A question as it is stored.
struct Turning<'a> {
    text: &'a str,
    assistant: &'a str,
    /// What was said before, and its HTML.
    seed: &'a [(Seed, String)],
    position: &'a Position,
}

/// What a run is to do.
struct Job {
    assistant: AssistantConfig,
    turns: Vec<Turn>,
    thread: String,
    prefix: String,
}

/// A message that someone wants answered.
#[derive(Debug, Default)]
pub struct Question {
    /// The conversation it goes into; none begins a new one.
    pub conversation: Option<Place>,
    /// What is asked.
    pub text: String,
    /// Names the request: the same one sent again finds the run it began.
    pub request_id: Option<String>,
    /// Which assistant is to answer; none for the default.
    pub assistant: Option<String>,
    /// The same by its name or its model's, where no assistant is named.
    pub model: Option<String>,
    /// What was said before, where the conversation is a new one.
    pub seed: Vec<Seed>,
    /// Where in the conversation it goes.
    pub position: Position,
}

/// Where in a conversation a question goes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum Position {
    /// At the end, wherever that is by now.
    #[default]
    End,
    /// After this message, which has to be the last one.
    After(String),
    /// Beside this question, which it puts in other words: on a branch of its own.
    Beside(String),
}

/// Which conversation is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The one with this id.
    Id(String),
    /// The one that the client has this name for; it is begun when there is none.
    Named(String),
}

/// A conversation as its page shows it; by default one that has not begun.
#[derive(Clone, Default)]
pub struct Conversation {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Whether it stands above the others.
    pub pinned: bool,
    /// Where a page stands that shows it.
    pub cursor: Cursor,
    /// The messages of the branch that is shown, oldest first.
    pub messages: Vec<MessageView>,
}

impl Chat {
    /// Chat over `store`, with runs and their log on `runtime`; `backends` belongs to that runtime.
    pub fn new(store: Store, backends: Backends, config: &Config, runtime: Handle) -> Self {
        let store = ChatStore::new(store);
        Self {
            inner: Arc::new(Inner {
                log: RunLog::start(store.clone(), &runtime),
                store,
                live: LiveRuns::default(),
                backends,
                assistants: config.assistants.clone(),
                default: config.chat.as_ref().map(|chat| chat.default.clone()),
                runtime,
                tasks: TaskTracker::new(),
                closing: CancellationToken::new(),
                shutdown: CancellationToken::new(),
                bells: Arc::default(),
            }),
        }
    }

    /// The assistant that answers when none is named.
    pub fn default_assistant(&self) -> Option<&AssistantConfig> {
        self.inner.assistants.get(self.inner.default.as_ref()?)
    }

    /// The caller's conversations, last changed first.
    pub async fn conversations(&self, caller: &Caller) -> Result<Vec<ConversationLine>> {
        let owner = caller.known()?.owner();
        Ok(self.inner.store.conversations(&owner, LISTED).await?)
    }

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

    /// One of the caller's conversations, with replies as far as they have come.
    pub async fn conversation(&self, caller: &Caller, id: &str) -> Result<Conversation> {
        let owner = caller.known()?.owner();
        let known = self.inner.store.conversation(&owner, id).await?;
        let (head, rows) = known.ok_or_else(no_conversation)?;
        let messages = self.views(id, rows).await?;
        let cursor = Cursor::of(head.revision, &messages);
        let ConversationHead { title, pinned, .. } = head;
        Ok(Conversation { id: id.to_owned(), title, pinned, cursor, messages })
    }

    /// Calls one of the caller's conversations otherwise.
    pub async fn rename(&self, caller: &Caller, id: &str, title: &str) -> Result<()> {
        let owner = caller.known()?.owner();
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        if title.is_empty() || title.chars().count() > LONGEST_NAME {
            return Err(Error::bad_request(format!(
                "A title has 1 to {LONGEST_NAME} characters. The old one is kept."
            ))
            .in_field("title"));
        }
        if !self.inner.store.rename(&owner, id, &title).await? {
            return Err(no_conversation());
        }
        self.inner.bells.ring(id);
        Ok(())
    }

    /// Puts one of the caller's conversations above the others, or back among them.
    pub async fn pin(&self, caller: &Caller, id: &str, pinned: bool) -> Result<()> {
        let owner = caller.known()?.owner();
        let is_there = self.inner.store.pin(&owner, id, pinned.then(now)).await?;
        is_there.then_some(()).ok_or_else(no_conversation)
    }

    /// Deletes one of the caller's conversations, which for an hour can be had back. A reply that is
    /// being written there is stopped.
    pub async fn delete(&self, caller: &Caller, id: &str) -> Result<()> {
        let owner = caller.known()?.owner();
        if !self.inner.store.delete(&owner, id).await? {
            return Err(no_conversation());
        }
        if let Some(live) = self.inner.live.of_conversation(id) {
            live.stop.cancel();
        }
        self.inner.bells.ring(id);
        Ok(())
    }

    /// Gives the caller a conversation back that they deleted.
    pub async fn restore(&self, caller: &Caller, id: &str) -> Result<()> {
        let owner = caller.known()?.owner();
        let is_there = self.inner.store.restore(&owner, id).await?;
        is_there.then_some(()).ok_or_else(|| {
            Error::not_found("This conversation was not deleted, or is gone for good.")
        })
    }

    /// What a conversation of the caller's is called that can be had back.
    pub async fn deleted_title(&self, caller: &Caller, id: &str) -> Result<Option<String>> {
        Ok(self.inner.store.deleted_title(&caller.known()?.owner(), id).await?)
    }

    /// Everything that changes what a page shows of one of the caller's conversations, from `at` on.
    pub async fn feed(&self, caller: &Caller, id: &str, at: Cursor) -> Result<Feed> {
        let owner = caller.known()?.owner();
        self.check_is_there(&owner, id).await?;
        Ok(Feed::new(self.clone(), &self.inner.bells, id, at))
    }

    /// What has changed in a conversation since a revision.
    pub(super) async fn changes(&self, id: &str, since: i64) -> Result<Changes> {
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
        let ConversationHead { title, revision, pinned } = head;
        let running = self.inner.live.of_conversation(id).map(|live| live.view());
        if revision == since {
            let (path, messages) = (Vec::new(), Vec::new());
            return Ok((Changes { revision, title, pinned, path, messages, running }, false));
        }
        let first = path.iter().position(|(_, changed)| *changed > since).unwrap_or(path.len());
        let before = first.checked_sub(1).map(|index| path[index].0.clone()).unwrap_or_default();
        let from: Vec<String> = path.into_iter().skip(first).map(|(id, _)| id).collect();
        rows.retain(|row| from.contains(&row.id));
        let ran: Vec<bool> = rows.iter().map(|row| row.state() == MessageState::Running).collect();
        let messages = self.views(id, rows).await?;
        let is_behind = ran.iter().zip(&messages).any(|(ran, now)| *ran && now.run.is_none());
        let path = std::iter::once(before).chain(from).collect();
        Ok((Changes { revision, title, pinned, path, messages, running }, is_behind))
    }

    /// The events of a run of this process after a place in it.
    pub(super) fn events_of(&self, cursor: &RunCursor) -> Option<Events> {
        Some(self.inner.live.get(&cursor.id)?.follow(cursor.after).boxed())
    }

    /// Done when the server has been told to stop.
    pub(super) fn closing(&self) -> CancellationToken {
        self.inner.closing.clone()
    }

    /// What people call an assistant, and what can be asked of it; of the usual one where none is
    /// named.
    pub fn who(&self, name: Option<&str>) -> Who {
        let named = name.and_then(|name| self.inner.assistants.get(name));
        match named.or_else(|| self.default_assistant()) {
            Some(known) => Who {
                title: known.title.clone(),
                can_redo: !provider::dialect(known.provider).keeps_history(),
            },
            None => Who { title: "Assistant".to_owned(), can_redo: false },
        }
    }

    /// Begins a reply to a question.
    ///
    /// The question is stored before this returns. The same request id, sent again, answers with
    /// the run it began the first time. 409 while another reply is being written in the
    /// conversation.
    pub async fn ask(&self, caller: &Caller, question: Question) -> Result<Started> {
        let (this, caller) = (self.clone(), caller.clone());
        self.unhurried(async move { this.ask_to_end(&caller, question).await }).await
    }

    async fn ask_to_end(&self, caller: &Caller, question: Question) -> Result<Started> {
        let identity = caller.known()?;
        let assistant = self.chosen(caller, &question)?.clone();
        let text = checked_text(&question.text)?;
        let request_id = scoped(caller, checked_request_id(question.request_id)?);
        let owner = identity.owner();
        let place = match question.conversation {
            Some(Place::Named(name)) => Some(Place::Named(scoped(caller, name))),
            place => place,
        };
        if let Some(run) = self.inner.store.run_of_request(&owner, &request_id).await? {
            return self.same_again(&run, place.as_ref(), text).await;
        }
        if let Some(Place::Id(id)) = &place {
            self.check_is_there(&owner, id).await?;
        }
        let seed = rendered(&question.seed)?;
        let position = &question.position;
        let turn = Turning { text, assistant: &assistant.name, seed: &seed, position };
        let live = match self.begin(identity, place.as_ref(), turn, &request_id).await {
            Ok(live) => live,
            // The same request, sent twice at once: the other one was first.
            Err(error) => match self.inner.store.run_of_request(&owner, &request_id).await? {
                Some(run) => return self.same_again(&run, place.as_ref(), text).await,
                None => return Err(error),
            },
        };
        self.write(live, caller, assistant).await
    }

    /// Has a stored run write its reply to all that was said before it. One that cannot is left to
    /// [`recover`](Self::recover), as is any that nobody writes.
    async fn write(
        &self,
        live: Arc<LiveRun>,
        caller: &Caller,
        assistant: AssistantConfig,
    ) -> Result<Started> {
        let read = self.inner.store.messages(&live.conversation).await;
        let mut history = read.inspect_err(|_| self.inner.live.remove(&live.id))?;
        history.pop_if(|reply| reply.id == live.message);
        let turns = turns(&assistant, &history);
        let thread = thread(&live.conversation, &history);
        Ok(self.spawn(live, caller, Job { assistant, turns, thread, prefix: String::new() }))
    }

    /// The run that a request began, for the same request sent again; 409 for another one under its
    /// name.
    async fn same_again(
        &self,
        run: &RunRow,
        conversation: Option<&Place>,
        text: &str,
    ) -> Result<Started> {
        let asked = self.inner.store.question_of(&run.message_id).await?;
        let elsewhere = matches!(conversation, Some(Place::Id(id)) if *id != run.conversation_id);
        if elsewhere || asked.is_none_or(|asked| asked != text) {
            return Err(Error::conflict(
                "This request id was used for another message. Send this one under an id of its own.",
            ));
        }
        Ok(started(run))
    }

    /// Takes up the last reply of a conversation again, from what it has, when it did not come to
    /// its end.
    pub async fn resume(&self, caller: &Caller, message: &str) -> Result<Started> {
        let (this, caller, message) = (self.clone(), caller.clone(), message.to_owned());
        self.unhurried(async move { this.resume_to_end(&caller, &message).await }).await
    }

    /// Does `work` to its end even when nobody waits for it any more: a client that goes away at the
    /// wrong moment must not leave a run that is stored and never written.
    async fn unhurried<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.inner.tasks.spawn_on(work, &self.inner.runtime).await.map_err(Error::internal)?
    }

    async fn resume_to_end(&self, caller: &Caller, message: &str) -> Result<Started> {
        let owner = caller.known()?.owner();
        let conversation =
            self.inner.store.conversation_of(&owner, message).await?.ok_or_else(no_message)?;
        let mut history = self.conversation_rows(&owner, &conversation).await?;
        let reply = history.pop().filter(|last| last.id == message).ok_or_else(|| {
            Error::conflict("Only the last reply can be taken up again. Reload the page.")
        })?;
        let state = reply.state();
        if reply.role() != Role::Assistant || matches!(state, MessageState::Done) {
            return Err(Error::conflict("This reply is complete. Reload the page."));
        }
        let reply = match (state, self.inner.live.of_message(message)) {
            (MessageState::Running, Some(live)) if !live.has_ended() => return Err(busy()),
            (MessageState::Running, _) => self.recovered(reply).await?,
            _ => reply,
        };
        let assistant = self.assistant(caller, reply.assistant.as_deref())?.clone();
        let live = self.begin_again(&owner, &conversation, message, &assistant.name).await?;
        let mut turns = turns(&assistant, &history);
        let prefix = if can_be_continued(&assistant, &reply) { reply.text } else { String::new() };
        if !prefix.is_empty() {
            turns.push(Turn { role: provider::Role::Assistant, text: prefix.clone() });
            turns.push(Turn { role: provider::Role::User, text: CONTINUE.to_owned() });
        }
        let thread = thread(&conversation, &history);
        Ok(self.spawn(live, caller, Job { assistant, turns, thread, prefix }))
    }

    /// The events of one of the caller's runs numbered above `after`, as they are committed.
    pub async fn follow(&self, caller: &Caller, run: &str, after: u64) -> Result<Events> {
        let owner = caller.known()?.owner();
        if let Some(live) = self.inner.live.get(run).filter(|live| live.owner == owner) {
            return Ok(live.follow(after).boxed());
        }
        let row = self.inner.store.run(&owner, run).await?.ok_or_else(no_run)?;
        let message = self.inner.store.message(&row.message_id).await?.ok_or_else(no_run)?;
        Ok(stream::iter(finished_events(message, after)).boxed())
    }

    /// Stops one of the caller's runs. What it has written is kept; a run that has ended is left as
    /// it is.
    pub async fn stop(&self, caller: &Caller, run: &str) -> Result<String> {
        let owner = caller.known()?.owner();
        if let Some(live) = self.inner.live.get(run).filter(|live| live.owner == owner) {
            live.stop.cancel();
            // The page that follows shows it stopped; a log that is slow must not hold it up.
            let _ = tokio::time::timeout(STOPPING, live.ended()).await;
            return Ok(live.conversation.clone());
        }
        let row = self.inner.store.run(&owner, run).await?.ok_or_else(no_run)?;
        Ok(row.conversation_id)
    }

    /// Saves what a lost run had logged, and answers with the message as it is then.
    async fn recovered(&self, reply: MessageRow) -> Result<MessageRow> {
        if let Some(run) = self.inner.store.running_run_of(&reply.id).await? {
            self.recover_run(&run).await?;
        }
        self.inner.store.message(&reply.id).await?.ok_or_else(no_message)
    }

    async fn recover_run(&self, run: &RunRow) -> Result<()> {
        let events = self.inner.store.events(run).await.map_err(Error::internal)?;
        let reply = self.inner.store.message(&run.message_id).await?.ok_or_else(no_message)?;
        self.inner.store.finish(run, &interrupted(&reply, &events)).await?;
        self.inner.bells.ring(&run.conversation_id);
        Ok(())
    }

    /// Marks the runs that nobody writes any more as interrupted, with the text that had been logged:
    /// at the start those that a crash left behind, later those whose end could not be saved.
    pub async fn recover(&self) -> Result<usize> {
        let mut runs = self.inner.store.running_runs().await?;
        runs.retain(|run| self.inner.live.get(&run.id).is_none_or(|live| live.has_ended()));
        for run in &runs {
            self.recover_run(run).await?;
        }
        Ok(runs.len())
    }

    /// Recovers runs, then removes what was deleted an hour ago, and log entries that finished
    /// messages have absorbed.
    pub async fn prune(&self) -> Result<u64> {
        self.recover().await?;
        self.inner.store.remove_deleted(now() - millis(UNDO)).await?;
        Ok(self.inner.store.prune().await?)
    }

    /// Lets runs go on for `grace`, then interrupts the rest and saves them.
    pub async fn shut_down(&self, grace: Duration) {
        self.inner.closing.cancel();
        self.inner.tasks.close();
        if tokio::time::timeout(grace, self.inner.tasks.wait()).await.is_err() {
            self.inner.shutdown.cancel();
            self.inner.tasks.wait().await;
        }
    }

    /// Who is to answer a question: the assistant it names, else the one whose model it names.
    fn chosen(&self, caller: &Caller, question: &Question) -> Result<&AssistantConfig> {
        let asked = match (&question.assistant, &question.model) {
            (Some(name), _) => Some(name),
            (None, Some(model)) => Some(self.of_model(model)),
            (None, None) => None,
        };
        let field = if question.assistant.is_some() { "assistant_id" } else { "model" };
        self.assistant(caller, asked.map(String::as_str)).map_err(|error| error.in_field(field))
    }

    /// The assistant with this model, if it is the only one; else what was said, as a name.
    fn of_model<'a>(&'a self, model: &'a String) -> &'a String {
        let mut with_model =
            self.inner.assistants.values().filter(|assistant| assistant.model == *model);
        match (with_model.next(), with_model.next()) {
            (Some(only), None) if !self.inner.assistants.contains_key(model) => &only.name,
            _ => model,
        }
    }

    /// The one that is asked for, which a channel has no say in, else the usual one.
    fn assistant(&self, caller: &Caller, asked: Option<&str>) -> Result<&AssistantConfig> {
        let asked = match caller {
            Caller::Channel(channel) => channel.assistant.as_deref(),
            Caller::Session(_) | Caller::Nobody => asked,
        };
        let name = asked.or(self.inner.default.as_deref()).ok_or_else(|| {
            Error::not_found("No assistant is set up here. Add [assistants] to Leptos.toml.")
        })?;
        self.inner
            .assistants
            .get(name)
            .ok_or_else(|| Error::bad_request(format!("There is no assistant called {name}.")))
    }

    async fn check_is_there(&self, owner: &str, id: &str) -> Result<()> {
        let is_there = self.inner.store.has(owner, id).await?;
        is_there.then_some(()).ok_or_else(no_conversation)
    }

    async fn conversation_rows(&self, owner: &str, id: &str) -> Result<Vec<MessageRow>> {
        let known = self.inner.store.conversation(owner, id).await?;
        known.map(|(_, rows)| rows).ok_or_else(no_conversation)
    }

    /// Stores the question and the run in one transaction.
    async fn begin(
        &self,
        identity: &Identity,
        place: Option<&Place>,
        turn: Turning<'_>,
        request_id: &str,
    ) -> Result<Arc<LiveRun>> {
        let store = &self.inner.store;
        let owner = identity.owner();
        let mut tx = store.begin().await?;
        let known = match place {
            Some(Place::Id(id)) => Some(id.clone()),
            Some(Place::Named(name)) => store.named(&mut tx, &owner, name).await?,
            None => None,
        };
        let conversation = match known {
            Some(id) => {
                self.refuse_when_busy(&mut tx, &id).await?;
                self.go_to(&mut tx, &id, turn.position).await?;
                id
            }
            None => self.begin_conversation(&mut tx, identity, place, &turn).await?,
        };
        let (question, reply) = (new_id(), new_id());
        let Turning { text, assistant, .. } = turn;
        let new = NewTurn {
            conversation_id: &conversation,
            text,
            question_id: &question,
            reply_id: &reply,
            assistant,
        };
        store.insert_turn(&mut tx, new).await?;
        let at = RunTarget { owner, conversation, message: reply };
        self.begin_run(tx, at, assistant, request_id).await
    }

    /// Makes the place for a question the end of the branch that is shown.
    async fn go_to(
        &self,
        tx: &mut sqlx::Transaction<'static, crate::store::Db>,
        conversation: &str,
        position: &Position,
    ) -> Result<()> {
        let store = &self.inner.store;
        match position {
            Position::End => Ok(()),
            Position::After(known) => {
                let tip = store.tip(tx, conversation).await?;
                if tip.as_ref() == Some(known) { Ok(()) } else { Err(gone_on()) }
            }
            Position::Beside(question) => {
                let parent = store.parent_of(tx, conversation, question, Role::User).await?;
                let parent = parent.ok_or_else(no_message)?;
                Ok(store.move_tip(tx, conversation, parent.as_deref()).await?)
            }
        }
    }

    /// Begins another reply beside one of the caller's, to the same question, and shows it.
    pub async fn regenerate(&self, caller: &Caller, reply: &str) -> Result<Started> {
        let (this, caller, reply) = (self.clone(), caller.clone(), reply.to_owned());
        self.unhurried(async move { this.regenerate_to_end(&caller, &reply).await }).await
    }

    async fn regenerate_to_end(&self, caller: &Caller, reply: &str) -> Result<Started> {
        let owner = caller.known()?.owner();
        let store = &self.inner.store;
        let conversation = store.conversation_of(&owner, reply).await?.ok_or_else(no_message)?;
        let row = store.message(reply).await?.ok_or_else(no_message)?;
        let assistant = self.assistant(caller, row.assistant.as_deref())?.clone();
        let mut tx = store.begin().await?;
        self.refuse_when_busy(&mut tx, &conversation).await?;
        let parent = store.parent_of(&mut tx, &conversation, reply, Role::Assistant).await?;
        let parent = parent.ok_or_else(no_message)?;
        store.move_tip(&mut tx, &conversation, parent.as_deref()).await?;
        let id = new_id();
        store.insert_reply(&mut tx, &conversation, &id, &assistant.name).await?;
        let at = RunTarget { owner, conversation, message: id };
        let live = self.begin_run(tx, at, &assistant.name, &new_id()).await?;
        self.write(live, caller, assistant).await
    }

    /// Shows the branch that one of the caller's messages is on; answers its conversation.
    pub async fn show_branch(&self, caller: &Caller, message: &str) -> Result<String> {
        let owner = caller.known()?.owner();
        let store = &self.inner.store;
        let conversation = store.conversation_of(&owner, message).await?.ok_or_else(no_message)?;
        let mut tx = store.begin().await?;
        self.refuse_when_busy(&mut tx, &conversation).await?;
        store.show_branch(&mut tx, &conversation, message).await?;
        tx.commit().await?;
        self.inner.bells.ring(&conversation);
        Ok(conversation)
    }

    /// Adds a conversation, with what was said before.
    async fn begin_conversation(
        &self,
        tx: &mut sqlx::Transaction<'static, crate::store::Db>,
        identity: &Identity,
        place: Option<&Place>,
        turn: &Turning<'_>,
    ) -> Result<String> {
        let (store, owner, id) = (&self.inner.store, identity.owner(), new_id());
        let first = turn.seed.iter().find(|(seed, _)| seed.role == Role::User);
        let title = title(first.map_or(turn.text, |(seed, _)| seed.text.as_str()));
        let tenant = identity.tenant.as_deref();
        store.insert_conversation(tx, &id, &owner, tenant, &title).await?;
        if let Some(Place::Named(name)) = place {
            store.insert_name(tx, &owner, name, &id).await?;
        }
        for (seed, html) in turn.seed {
            store.insert_seed(tx, &id, &new_id(), seed, html).await?;
        }
        Ok(id)
    }

    async fn begin_again(
        &self,
        owner: &str,
        conversation: &str,
        message: &str,
        assistant: &str,
    ) -> Result<Arc<LiveRun>> {
        let mut tx = self.inner.store.begin().await?;
        if !self.inner.store.reopen(&mut tx, message, conversation).await? {
            return Err(busy());
        }
        let at = RunTarget {
            owner: owner.to_owned(),
            conversation: conversation.to_owned(),
            message: message.to_owned(),
        };
        self.begin_run(tx, at, assistant, &new_id()).await
    }

    /// The run is known to readers before its message is: a page that sees the one finds the other.
    async fn begin_run(
        &self,
        mut tx: sqlx::Transaction<'static, crate::store::Db>,
        at: RunTarget,
        assistant: &str,
        request_id: &str,
    ) -> Result<Arc<LiveRun>> {
        let id = new_id();
        let run = NewRun { id: &id, owner: &at.owner, request_id, message_id: &at.message };
        let number = self.inner.store.insert_run(&mut tx, &run).await?;
        let live = Arc::new(LiveRun::new(id, number, at, assistant.to_owned()));
        self.inner.live.insert(live.clone());
        if let Err(cause) = tx.commit().await {
            self.inner.live.remove(&live.id);
            return Err(cause.into());
        }
        self.inner.bells.ring(&live.conversation);
        Ok(live)
    }

    async fn refuse_when_busy(
        &self,
        tx: &mut sqlx::Transaction<'static, crate::store::Db>,
        conversation: &str,
    ) -> Result<()> {
        let running = self.inner.store.running_message(tx, conversation).await?;
        let live = running.and_then(|id| self.inner.live.of_message(&id));
        if live.is_some_and(|live| !live.has_ended()) { Err(busy()) } else { Ok(()) }
    }

    fn spawn(&self, live: Arc<LiveRun>, caller: &Caller, job: Job) -> Started {
        let started = Started {
            conversation: live.conversation.clone(),
            message: live.message.clone(),
            run: live.id.clone(),
        };
        let run = Run {
            live,
            log: self.inner.log.clone(),
            backends: self.inner.backends.clone(),
            caller: caller.clone(),
            assistant: job.assistant,
            turns: job.turns,
            thread: job.thread,
            prefix: job.prefix,
            shutdown: self.inner.shutdown.clone(),
        };
        let (this, id) = (self.clone(), started.run.clone());
        self.inner.tasks.spawn_on(
            async move {
                run.write().await;
                this.forget_later(id);
            },
            &self.inner.runtime,
        );
        started
    }

    fn forget_later(&self, run: String) {
        let this = self.clone();
        self.inner.runtime.spawn(async move {
            tokio::time::sleep(KEPT).await;
            this.inner.live.remove(&run);
        });
    }

    async fn views(&self, conversation: &str, rows: Vec<MessageRow>) -> Result<Vec<MessageView>> {
        let forks = self.inner.store.forks(conversation).await?;
        let mut views = Vec::with_capacity(rows.len());
        for row in rows {
            let fork = fork_of(&row.id, &forks);
            views.push(MessageView { fork, ..self.view(row).await? });
        }
        Ok(views)
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
        let Finished { text, html, reasoning, outcome, .. } = finished;
        let state = outcome.state.as_str().to_owned();
        Ok(view_of(MessageRow { text, html, reasoning, state, ..row }))
    }
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

fn view_of(row: MessageRow) -> MessageView {
    let (role, outcome) = (row.role(), row.outcome());
    let count = |tokens: Option<i64>| tokens.and_then(|tokens| u64::try_from(tokens).ok());
    let usage = count(row.input_tokens)
        .zip(count(row.output_tokens))
        .map(|(input, output)| Usage { input, output });
    MessageView {
        role,
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
    }
}

fn finished_events(message: MessageRow, after: u64) -> Vec<(u64, RunEvent)> {
    let end = RunEvent::End(message.outcome());
    let whole =
        RunEvent::Whole { html: message.html, text: message.text, is_html: message.is_html };
    vec![(after.saturating_add(1), whole), (after.saturating_add(2), end)]
}

/// What `reply` is left with by a run that wrote `events` and no end. A run that wrote nothing leaves
/// what there was.
fn interrupted(reply: &MessageRow, events: &[RunEvent]) -> Finished {
    let told = Transcript::of(events.iter().cloned());
    let outcome = Outcome::of(MessageState::Interrupted);
    let (text, html, is_html, reasoning) = if told.is_empty() {
        (reply.text.clone(), reply.html.clone(), reply.is_html, reply.reasoning.clone())
    } else {
        (told.text(), told.rendered(), told.is_html, told.reasoning)
    };
    Finished { text, html, is_html, reasoning, reasoning_time: None, usage: None, outcome }
}

/// Names the conversation to a service that keeps it. An agent that was left in the middle of its
/// steps would take the next question for the answer to its last one, so after that the conversation
/// has another name.
fn thread(conversation: &str, history: &[MessageRow]) -> String {
    let is_left =
        |row: &&MessageRow| !matches!(row.state(), MessageState::Done) && !row.reasoning.is_empty();
    match history.iter().filter(is_left).count() {
        0 => conversation.to_owned(),
        count => format!("{conversation}-{count}"),
    }
}

/// Whether the assistant can be told where its reply stopped. One that keeps the conversation itself
/// does not know what of it arrived, and HTML that broke off has no place to go on from: these
/// replies are begun anew.
fn can_be_continued(assistant: &AssistantConfig, reply: &MessageRow) -> bool {
    !reply.is_html && !provider::dialect(assistant.provider).keeps_history()
}

/// What the provider is told: the system prompt, then every message that says something.
fn turns(assistant: &AssistantConfig, history: &[MessageRow]) -> Vec<Turn> {
    let system = assistant
        .system
        .iter()
        .map(|text| Turn { role: provider::Role::System, text: text.clone() });
    let messages = history.iter().filter(|row| !row.text.is_empty()).map(|row| Turn {
        role: match row.role() {
            Role::User => provider::Role::User,
            Role::Assistant => provider::Role::Assistant,
        },
        text: row.text.clone(),
    });
    system.chain(messages).collect()
}

fn started(run: &RunRow) -> Started {
    Started {
        conversation: run.conversation_id.clone(),
        message: run.message_id.clone(),
        run: run.id.clone(),
    }
}

/// What clients bring along, as it will be shown.
fn rendered(seed: &[Seed]) -> Result<Vec<(Seed, String)>> {
    let bytes: usize = seed.iter().map(|seed| seed.text.len()).sum();
    if bytes > LONGEST_SEED {
        return Err(Error::too_large(format!(
            "The conversation so far is too long: {bytes} of at most {LONGEST_SEED} bytes. Send \
             fewer messages."
        ))
        .in_field("messages"));
    }
    let html = |seed: &Seed| match seed.role {
        Role::User => String::new(),
        Role::Assistant => markdown::render(&seed.text),
    };
    Ok(seed.iter().map(|seed| (seed.clone(), html(seed))).collect())
}

fn checked_text(text: &str) -> Result<&str> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::bad_request("Write a message first.").in_field("message"));
    }
    if text.len() > LONGEST_MESSAGE {
        return Err(Error::too_large(format!(
            "The message is too long: {} of at most {LONGEST_MESSAGE} bytes. Shorten it and send \
             it again.",
            text.len()
        ))
        .in_field("message"));
    }
    Ok(text)
}

fn checked_request_id(id: Option<String>) -> Result<String> {
    match id {
        None => Ok(new_id()),
        Some(id) if !id.is_empty() && id.len() <= LONGEST_REQUEST_ID => Ok(id),
        Some(_) => {
            let error = Error::bad_request("The request id must have 1 to 128 characters.");
            Err(error.in_field("request_id"))
        }
    }
}

/// Request ids of people who share an owner, such as the visitors of a widget, are kept apart by where
/// they come from.
fn scoped(caller: &Caller, request_id: String) -> String {
    match caller {
        Caller::Channel(channel) => match channel.visitor {
            Some(visitor) => format!("{visitor} {request_id}"),
            None => request_id,
        },
        Caller::Session(_) | Caller::Nobody => request_id,
    }
}

/// The beginning of the first line, cut between words.
fn title(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    if line.chars().count() <= LONGEST_TITLE {
        return line.to_owned();
    }
    let cut: String = line.chars().take(LONGEST_TITLE).collect();
    let words = cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words);
    format!("{words}…")
}

/// A new id: random, and sorting by time of creation.
fn new_id() -> String {
    Uuid::now_v7().simple().to_string()
}

fn no_conversation() -> Error {
    Error::not_found("There is no such conversation, or it is not yours.")
}

fn no_message() -> Error {
    Error::not_found("There is no such message, or it is not yours.")
}

fn no_run() -> Error {
    Error::not_found("There is no such reply, or it is not yours.")
}

fn gone_on() -> Error {
    Error::conflict("This conversation went on elsewhere. Read what is new above, then send again.")
        .in_field("after")
}

fn busy() -> Error {
    Error::conflict("A reply is still being written here. Wait for it, or stop it first.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_line_cut_between_words() {
        assert_eq!(title("Open deals over 10000\nplease"), "Open deals over 10000");
        let long = "word ".repeat(30);
        assert!(title(&long).ends_with("word…"));
        assert!(title(&"x".repeat(100)).chars().count() == LONGEST_TITLE + 1);
    }

    #[test]
    fn text_and_request_id_are_checked() {
        assert!(checked_text(" \n ").is_err());
        assert!(checked_text(&"x".repeat(LONGEST_MESSAGE + 1)).is_err());
        assert_eq!(checked_text(" hi ").unwrap(), "hi");
        assert!(checked_request_id(Some(String::new())).is_err());
        assert!(checked_request_id(Some("x".repeat(129))).is_err());
        assert_eq!(checked_request_id(Some("a".into())).unwrap(), "a");
    }
}
