//! The chat's service: asking, following and stopping. What else people do with their conversations is
//! in the modules below.

mod assistants;
mod branches;
mod files;
mod manage;
mod prompts;
mod reading;
mod recovery;
mod search;
mod share;
mod titles;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::{runtime::Handle, sync::Notify, task::spawn_blocking};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::assistants::thread;
use super::{
    about,
    feed::Bells,
    files::Files,
    live::{LiveRun, LiveRuns, RunTarget},
    log::RunLog,
    markdown,
    provider::Turn,
    reply::Begun,
    run::Run,
    store::{ALL, ChatStore, NewRun, NewTurn, RunRow, Tx},
    tools::Tools,
    wire::{Role, RunEvent, Started},
};
use crate::{
    backend::Backends,
    config::{AssistantConfig, Config, Sharing},
    data::about::About,
    error::{Error, Result},
    session::{Caller, Identity},
    store::{Store, new_id},
    ui::reader::Habits,
};

pub use self::{reading::Conversation, share::Shared};
pub use super::store::{MessageRow, Seed};

const LONGEST_TITLE: usize = 60;
const LONGEST_REQUEST_ID: usize = 128;
/// The most that a client may bring along of an earlier conversation, in bytes.
const LONGEST_SEED: usize = 1 << 20;
/// How long a finished run can still be read from memory.
const KEPT: Duration = Duration::from_secs(30);
/// How long a stop waits until it is saved.
const STOPPING: Duration = Duration::from_secs(2);

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
    tools: Tools,
    assistants: BTreeMap<String, AssistantConfig>,
    default: Option<String>,
    /// Who may read what is shared; none where nothing is.
    sharing: Option<Sharing>,
    files: Files,
    /// How many bytes a person's files may have together.
    files_per_person: i64,
    /// The site's address, for links.
    origin: String,
    runtime: Handle,
    tasks: TaskTracker,
    /// Cancelled when the server has been told to stop.
    closing: CancellationToken,
    /// Cancelled when runs have to end.
    shutdown: CancellationToken,
    bells: Arc<Bells>,
    /// Rung when there is something to add to the index.
    to_index: Notify,
}

/// A question as it is stored.
struct Turning<'a> {
    text: &'a str,
    assistant: &'a str,
    /// What was said before, and its HTML.
    seed: &'a [(Seed, String)],
    position: &'a Position,
    is_temporary: bool,
    files: &'a [String],
}

/// What a run is to do.
struct Job {
    assistant: AssistantConfig,
    turns: Vec<Turn>,
    thread: String,
    /// What there is of the reply.
    begun: Begun,
    habits: Habits,
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
    /// Whether a conversation that it begins is a temporary one.
    pub is_temporary: bool,
    /// What is added to it: ids of files that were taken in before.
    pub files: Vec<String>,
    /// The address of the list or the record that it is about.
    pub about: Option<String>,
    /// How whoever asks is used to reading.
    pub habits: Habits,
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

impl Chat {
    /// Chat over `store`, with runs and their log on `runtime`; `backends` and what `tools` reads with
    /// belong to that runtime.
    pub fn new(
        store: Store,
        backends: Backends,
        tools: Tools,
        config: &Config,
        runtime: Handle,
    ) -> Self {
        let store = ChatStore::new(store);
        let chat = Self {
            inner: Arc::new(Inner {
                log: RunLog::start(store.clone(), &runtime),
                store,
                live: LiveRuns::default(),
                backends,
                tools,
                assistants: config.assistants.clone(),
                default: config.chat.as_ref().map(|chat| chat.default.clone()),
                sharing: config.chat.as_ref().and_then(|chat| chat.sharing),
                files: Files::new(config.server.data_dir.join("files")),
                files_per_person: config.chat.as_ref().map_or(0, |chat| chat.files_per_person),
                origin: config.server.origin(),
                runtime,
                tasks: TaskTracker::new(),
                closing: CancellationToken::new(),
                shutdown: CancellationToken::new(),
                bells: Arc::default(),
                to_index: Notify::new(),
            }),
        };
        chat.inner.to_index.notify_one();
        chat.inner.runtime.spawn(chat.clone().keep_index());
        chat
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

    async fn ask_to_end(&self, caller: &Caller, mut question: Question) -> Result<Started> {
        let identity = caller.known()?;
        self.say_what_it_is_about(caller, &mut question);
        let assistant = self.chosen(caller, &question)?.clone();
        let text = checked_text(&question, assistant.max_message)?;
        let request_id = scoped(caller, checked_request_id(question.request_id.clone())?);
        let owner = identity.owner();
        let place = match question.conversation.clone() {
            Some(Place::Named(name)) => Some(Place::Named(scoped(caller, name))),
            place => place,
        };
        if let Some(run) = self.inner.store.run_of_request(&owner, &request_id).await? {
            return self.same_again(&run, place.as_ref(), text).await;
        }
        if let Some(Place::Id(id)) = &place {
            self.check_is_there(&owner, id).await?;
        }
        let files = self.files_of(&owner, &question, &assistant).await?;
        let seed = match &place {
            // What is kept here counts, not what the client brings along.
            Some(Place::Id(_)) => Vec::new(),
            _ => {
                let seed = question.seed.clone();
                spawn_blocking(move || rendered(&seed)).await.map_err(Error::internal)??
            }
        };
        let position = &question.position;
        let is_temporary = question.is_temporary;
        let (seed, files, assistant_name) = (&seed, &files, &assistant.name);
        let turn = Turning { text, assistant: assistant_name, seed, position, is_temporary, files };
        let live = match self.begin(identity, place.as_ref(), turn, &request_id).await {
            Ok(live) => live,
            // The same request, sent twice at once: the other one was first.
            Err(error) => match self.inner.store.run_of_request(&owner, &request_id).await? {
                Some(run) => return self.same_again(&run, place.as_ref(), text).await,
                None => return Err(error),
            },
        };
        self.write(live, caller, assistant, question.habits.clone()).await
    }

    /// What an address leads to that a question could be about, if the caller may see it.
    pub fn about(&self, caller: &Caller, address: &str) -> Option<About> {
        self.inner.tools.about(caller, address)
    }

    /// Puts what a question is about before its words. An address that leads nowhere, or where the
    /// caller may not go, says nothing.
    fn say_what_it_is_about(&self, caller: &Caller, question: &mut Question) {
        let address = question.about.take().filter(|_| !question.text.trim().is_empty());
        let about = address.and_then(|address| self.about(caller, &address));
        if let Some(about) = about {
            question.text = about::before(&about, &question.text);
        }
    }

    /// Has a stored run write its reply to all that was said before it. One that cannot is left to
    /// [`recover`](Self::recover), as is any that nobody writes.
    async fn write(
        &self,
        live: Arc<LiveRun>,
        caller: &Caller,
        assistant: AssistantConfig,
        habits: Habits,
    ) -> Result<Started> {
        let read = self.inner.store.messages(&live.conversation).await;
        let mut history = read.inspect_err(|_| self.inner.live.remove(&live.id))?;
        history.pop_if(|reply| reply.id == live.message);
        let turns = self.turns(&live.conversation, &assistant, &history, &[]).await;
        let turns = turns.inspect_err(|_| self.inner.live.remove(&live.id))?;
        let thread = thread(&live.conversation, &history);
        let begun = Begun::default();
        Ok(self.spawn(live, caller, Job { assistant, turns, thread, begun, habits }))
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

    /// Does `work` to its end even when nobody waits for it any more: a client that goes away at the
    /// wrong moment must not leave a run that is stored and never written.
    async fn unhurried<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.inner.tasks.spawn_on(work, &self.inner.runtime).await.map_err(Error::internal)?
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

    /// Lets runs go on for `grace`, then interrupts the rest and saves them.
    pub async fn shut_down(&self, grace: Duration) {
        self.inner.closing.cancel();
        self.inner.tasks.close();
        if tokio::time::timeout(grace, self.inner.tasks.wait()).await.is_err() {
            self.inner.shutdown.cancel();
            self.inner.tasks.wait().await;
        }
    }

    async fn check_is_there(&self, owner: &str, id: &str) -> Result<()> {
        let is_there = self.inner.store.has(owner, id).await?;
        is_there.then_some(()).ok_or_else(no_conversation)
    }

    async fn conversation_rows(&self, owner: &str, id: &str) -> Result<Vec<MessageRow>> {
        let known = self.inner.store.conversation(owner, id, ALL).await?;
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
        self.attach(&mut tx, &owner, &question, turn.files).await?;
        let at = RunTarget { owner, conversation, message: reply };
        self.begin_run(tx, at, assistant, request_id).await
    }

    /// Adds a conversation, with what was said before.
    async fn begin_conversation(
        &self,
        tx: &mut Tx,
        identity: &Identity,
        place: Option<&Place>,
        turn: &Turning<'_>,
    ) -> Result<String> {
        let (store, owner, id) = (&self.inner.store, identity.owner(), new_id());
        let first = turn.seed.iter().find(|(seed, _)| seed.role == Role::User);
        let title = match first.map_or(turn.text, |(seed, _)| seed.text.as_str()) {
            "" => "Files".to_owned(),
            text => title(about::words(text)),
        };
        let tenant = identity.tenant.as_deref();
        store.insert_conversation(tx, &id, &owner, tenant, &title, turn.is_temporary).await?;
        if let Some(Place::Named(name)) = place {
            store.insert_name(tx, &owner, name, &id).await?;
        }
        for (seed, html) in turn.seed {
            store.insert_seed(tx, &id, &new_id(), seed, html).await?;
        }
        Ok(id)
    }

    /// The run is known to readers before its message is: a page that sees the one finds the other.
    async fn begin_run(
        &self,
        mut tx: Tx,
        at: RunTarget,
        assistant: &str,
        request_id: &str,
    ) -> Result<Arc<LiveRun>> {
        let id = new_id();
        let run = NewRun { id: &id, owner: &at.owner, request_id, message_id: &at.message };
        let number = self.inner.store.insert_run(&mut tx, &run).await?;
        let stop = self.inner.shutdown.child_token();
        let live = Arc::new(LiveRun::new(id, number, at, assistant.to_owned(), stop));
        self.inner.live.insert(live.clone());
        if let Err(cause) = tx.commit().await {
            self.inner.live.remove(&live.id);
            return Err(cause.into());
        }
        self.inner.bells.ring(&live.conversation);
        Ok(live)
    }

    async fn refuse_when_busy(&self, tx: &mut Tx, conversation: &str) -> Result<()> {
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
            store: self.inner.store.clone(),
            backends: self.inner.backends.clone(),
            caller: caller.clone(),
            assistant: job.assistant,
            turns: job.turns,
            thread: job.thread,
            begun: job.begun,
            tools: self.inner.tools.clone(),
            habits: job.habits,
            shutdown: self.inner.shutdown.clone(),
        };
        let (this, id) = (self.clone(), started.run.clone());
        self.inner.tasks.spawn_on(
            async move {
                let (caller, assistant) = (run.caller.clone(), run.assistant.clone());
                let conversation = run.live.conversation.clone();
                run.write().await;
                this.inner.to_index.notify_one();
                this.forget_later(id);
                if assistant.titles && caller.session().is_some() {
                    // Boxed, or every run would hold the room for it.
                    Box::pin(this.entitle(&caller, &conversation, &assistant)).await;
                }
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
}

fn finished_events(message: MessageRow, after: u64) -> Vec<(u64, RunEvent)> {
    let (end, steps) = (RunEvent::End(message.outcome()), message.steps());
    let MessageRow { html, text, is_html, .. } = message;
    let whole = RunEvent::Whole { html, text, is_html, steps };
    vec![(after.saturating_add(1), whole), (after.saturating_add(2), end)]
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

fn checked_text(question: &Question, most: usize) -> Result<&str> {
    let text = question.text.trim();
    if text.is_empty() && question.files.is_empty() {
        return Err(Error::bad_request("Write a message first.").in_field("message"));
    }
    if text.len() > most {
        return Err(Error::too_large(format!(
            "The message is too long: {} of at most {most} bytes. Shorten it and send it again.",
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
        let question = |text: &str| Question { text: text.to_owned(), ..Question::default() };
        assert!(checked_text(&question(" \n "), 9).is_err());
        assert!(checked_text(&question("1234567890"), 9).is_err());
        assert_eq!(checked_text(&question(" hi "), 9).unwrap(), "hi");
        let with_a_file = Question { files: vec!["f".into()], ..question("") };
        assert_eq!(checked_text(&with_a_file, 9).unwrap(), "");
        assert!(checked_request_id(Some(String::new())).is_err());
        assert!(checked_request_id(Some("x".repeat(129))).is_err());
        assert_eq!(checked_request_id(Some("a".into())).unwrap(), "a");
    }
}
