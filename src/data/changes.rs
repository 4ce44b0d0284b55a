//! Changes of records: kept until they are done, so that they can be taken back before, are not lost
//! with the page that asked for them, and never write over what somebody else has written since.
//!
//! A change is a row with a time. When the time comes, whoever claims the row reads the record anew,
//! holds it against what the person had before their eyes, and sends what is still to be changed. What
//! that came to stays on the row until the person has seen to it.

mod batch;
mod store;

use std::{
    str::FromStr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::UtcOffset;
use tokio::{runtime::Handle, time::timeout};

pub use self::batch::{Batch, Draft, LARGEST as MOST_CHANGES, Tally};
use self::store::{ChangeRow, ChangeStore, Claimed, EntryRow, Whose};
use super::{
    Data,
    form::Opened,
    present,
    refusal::Refusal,
    service::{Resource, Write, Written},
};
use crate::{
    config::{Action, ResourceConfig},
    error::{Error, Kind, Result},
    session::{Caller, Identity, SessionKey, Sessions},
    store::{Store, millis, new_id, now},
};

/// How long whoever does a change keeps others off it. Longer than a backend may take.
const CLAIM: Duration = Duration::from_secs(120);
/// How often a record may change under a change before it is given up.
const ATTEMPTS: usize = 4;
/// How many changes of a batch are done at once.
const AT_ONCE: usize = 4;
/// How long signing out waits for what is still to be done.
const FLUSH: Duration = Duration::from_secs(5);

/// How far a change has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for its time.
    Pending,
    /// It is being done.
    Running,
    /// The backend did not take it.
    Refused,
    /// Somebody else has changed the same.
    Conflict,
    /// It could not be done, or nobody knows whether it was.
    Held,
    /// It is done.
    Done,
    /// It was taken back, or another one has taken its place.
    Dropped,
    /// Nobody has confirmed it yet.
    Draft,
    /// It cannot be done as it is written.
    Invalid,
}

const STATES: [(&str, State); 9] = [
    ("pending", State::Pending),
    ("running", State::Running),
    ("refused", State::Refused),
    ("conflict", State::Conflict),
    ("held", State::Held),
    ("done", State::Done),
    ("dropped", State::Dropped),
    ("draft", State::Draft),
    ("invalid", State::Invalid),
];

/// What is done to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
    /// The backend does something of its own with it, which has this name.
    Run(String),
}

/// How the database spells [`Deed::Run`], before the name.
const RUN: &str = "run ";

impl Deed {
    fn word(&self) -> String {
        match self {
            Self::Create => Action::Create.word().to_owned(),
            Self::Update => Action::Update.word().to_owned(),
            Self::Delete => Action::Delete.word().to_owned(),
            Self::Run(name) => format!("{RUN}{name}"),
        }
    }
}

impl FromStr for Deed {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word.parse() {
            Ok(Action::Create) => Ok(Self::Create),
            Ok(Action::Update) => Ok(Self::Update),
            Ok(Action::Delete) => Ok(Self::Delete),
            _ => word.strip_prefix(RUN).map(|name| Self::Run(name.to_owned())).ok_or(()),
        }
    }
}

/// Why a change was not done, or what it came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// The record as somebody else has left it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theirs: Option<Map<String, Value>>,
}

/// One change of a record, wanted by one person.
#[derive(Debug, Clone)]
pub struct Change {
    /// Names it.
    pub id: String,
    /// The resource's group.
    pub group: String,
    /// The resource's name.
    pub name: String,
    /// The record's id; empty while it is not made.
    pub record: String,
    /// What people call the record.
    pub title: String,
    /// What is done to it.
    pub deed: Deed,
    /// The new values.
    pub values: Map<String, Value>,
    /// What the person had before their eyes.
    pub opened: Opened,
    /// How far it has come.
    pub state: State,
    /// What it came to.
    pub outcome: Outcome,
    /// When it is done, in milliseconds since 1970.
    pub due_at: i64,
    /// Where it stands in its batch: the line of a file.
    pub place: i64,
}

/// One line of the history.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Who, as people call them.
    pub person: String,
    /// `<group>.<name>`
    pub resource: String,
    /// The record's id.
    pub record: String,
    /// What it was called.
    pub title: String,
    /// What was done.
    pub deed: Deed,
    /// The values that were replaced.
    pub was: Map<String, Value>,
    /// The values they were replaced by.
    pub is_now: Map<String, Value>,
}

/// What somebody wants done to a record.
#[derive(Debug)]
pub struct Wish<'a> {
    /// The resource.
    pub resource: &'a Resource,
    /// The record's id.
    pub record: &'a str,
    /// What people call it.
    pub title: String,
    /// What is done.
    pub deed: Deed,
    /// The new values.
    pub values: Map<String, Value>,
    /// What the person had before their eyes.
    pub opened: Opened,
}

/// All changes. Cheap to clone.
#[derive(Clone)]
pub struct Changes {
    inner: Arc<Inner>,
}

struct Inner {
    store: ChangeStore,
    data: Data,
    sessions: Sessions,
    undo: Duration,
    runtime: Handle,
}

impl Changes {
    /// Changes that are kept in `store`, and done through `data` on `runtime` after `undo`.
    pub fn new(
        store: Store,
        data: Data,
        sessions: Sessions,
        undo: Duration,
        runtime: Handle,
    ) -> Self {
        let store = ChangeStore::new(store);
        Self { inner: Arc::new(Inner { store, data, sessions, undo, runtime }) }
    }

    /// Keeps a change of a record that is there, to be done when it can no longer be taken back. Takes
    /// the place of what the same person still wanted done to it.
    pub async fn want(&self, caller: &Caller, wish: Wish<'_>) -> Result<Change> {
        let due_at = now().saturating_add(millis(self.inner.undo));
        let row = row(caller, new_id(), wish, due_at)?;
        self.inner.store.keep(&row).await?;
        self.do_in_time(row.id.clone(), self.inner.undo).await;
        self.find(caller, &row.id).await
    }

    /// Makes a record at once. `request` names the form: sent twice, it makes one record.
    pub async fn make(&self, caller: &Caller, request: &str, wish: Wish<'_>) -> Result<Change> {
        let id = if is_id(request) { request.to_owned() } else { new_id() };
        let row = row(caller, id, wish, now())?;
        if !self.inner.store.keep(&row).await? {
            // Sent before. What was not made then may be made now, with values that were corrected.
            self.inner.store.renew(&row).await?;
        }
        self.do_at_once(&row.id).await;
        self.find(caller, &row.id).await
    }

    /// One change of the caller's.
    pub async fn find(&self, caller: &Caller, id: &str) -> Result<Change> {
        let row = self.inner.store.find(whose(caller)?.borrow(), id).await?;
        row.and_then(change).ok_or_else(no_change)
    }

    /// What of the caller's changes is not over; of one resource, or of all.
    pub async fn open(
        &self,
        caller: &Caller,
        resource: Option<&ResourceConfig>,
    ) -> Result<Vec<Change>> {
        let resource = resource.map(named);
        let whose = whose(caller)?;
        let rows = self.inner.store.open(whose.borrow(), resource.as_deref()).await?;
        // Making a record needs no watching: the form that asked for it waits.
        let is_seen = |change: &Change| change.deed != Deed::Create || change.needs_person();
        Ok(rows.into_iter().filter_map(change).filter(is_seen).collect())
    }

    /// What the caller still wants done to one record.
    pub async fn of_record(
        &self,
        caller: &Caller,
        resource: &ResourceConfig,
        record: &str,
    ) -> Result<Option<Change>> {
        let open = self.open(caller, Some(resource)).await?;
        Ok(open.into_iter().rfind(|change| change.record == record))
    }

    /// Takes a change back.
    ///
    /// 409 when it was too late.
    pub async fn undo(&self, caller: &Caller, id: &str) -> Result<()> {
        if self.inner.store.drop(whose(caller)?.borrow(), id).await? {
            return Ok(());
        }
        match self.find(caller, id).await?.state {
            State::Dropped => Ok(()),
            _ => Err(Error::conflict("It is done already, so it can no longer be taken back.")),
        }
    }

    /// Does a change now: one that waits, or one that did not work out.
    pub async fn again(&self, caller: &Caller, id: &str) -> Result<Change> {
        let session = session_of(caller)?;
        self.inner.store.again(whose(caller)?.borrow(), id, &session, now()).await?;
        self.do_at_once(id).await;
        self.find(caller, id).await
    }

    /// Ends a conflict: of the fields that both have changed, the person's values count in `mine`, and
    /// the others' elsewhere. What remains is wanted anew, on top of what the others have written.
    pub async fn choose(
        &self,
        caller: &Caller,
        resource: &Resource,
        id: &str,
        mine: &[String],
    ) -> Result<Option<Change>> {
        let change = self.find(caller, id).await?;
        let Some(theirs) =
            change.outcome.theirs.clone().filter(|_| change.state == State::Conflict)
        else {
            return Ok(Some(change));
        };
        let clashing = change.clashes(&theirs);
        let mut values = change.values.clone();
        values.retain(|name, _| !clashing.contains(name) || mine.contains(name));
        if values.is_empty() && change.deed == Deed::Update {
            self.undo(caller, id).await?;
            return Ok(None);
        }
        let opened = Opened { values: theirs, zone: change.opened.zone };
        let Change { record, title, deed, .. } = change;
        let wish = Wish { resource, record: &record, title, deed, values, opened };
        self.want(caller, wish).await.map(Some)
    }

    /// What was done to a record, the newest first.
    pub async fn history(
        &self,
        caller: &Caller,
        resource: &ResourceConfig,
        record: &str,
        limit: i64,
    ) -> Result<Vec<Entry>> {
        let whose = whose(caller)?;
        let (store, resource) = (&self.inner.store, named(resource));
        let rows = store.history_of(&whose.tenant, &resource, record, limit).await?;
        Ok(rows.into_iter().filter_map(entry).collect())
    }

    /// Does what is due; answers how many that were.
    pub async fn run_due(&self) -> Result<u64> {
        let due = self.inner.store.due().await?;
        self.run_all(&due, now()).await;
        Ok(due.len() as u64)
    }

    /// Does several, a few at a time.
    async fn run_all(&self, ids: &[String], at: i64) {
        let each = stream::iter(ids).for_each_concurrent(AT_ONCE, async |id| {
            self.run_and_log(id, at).await;
        });
        each.await;
    }

    /// Does what a session still wants done, before its credentials are gone.
    pub async fn flush(&self, session: &SessionKey) {
        let session = session.to_hex();
        let all = async {
            let ids = self.inner.store.of_session(&session).await?;
            self.run_all(&ids, i64::MAX).await;
            Ok::<_, Error>(())
        };
        match timeout(FLUSH, all).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "changes of a session that ends wait"),
            Err(_) => tracing::warn!("changes of a session that ends took too long, and wait"),
        }
    }

    /// Forgets what is over.
    pub async fn prune(&self) -> Result<u64> {
        self.inner.store.prune_batches().await?;
        Ok(self.inner.store.prune().await?)
    }

    /// Does a change after `wait`; at once, and before this returns, where there is none.
    async fn do_in_time(&self, id: String, wait: Duration) {
        if wait.is_zero() {
            return self.do_at_once(&id).await;
        }
        let this = self.clone();
        self.inner.runtime.spawn(async move {
            tokio::time::sleep(wait).await;
            this.run_and_log(&id, now()).await;
        });
    }

    /// Does a change to its end, whoever leaves meanwhile.
    async fn do_at_once(&self, id: &str) {
        let (this, id) = (self.clone(), id.to_owned());
        let done = self.inner.runtime.spawn(async move { this.run_and_log(&id, now()).await });
        if let Err(cause) = done.await {
            tracing::error!(%cause, "a change broke off; it will be looked at again");
        }
    }

    async fn run_and_log(&self, id: &str, at: i64) {
        if let Err(error) = self.run(id, at).await {
            tracing::warn!(%error, "a change could not be done; it will be tried again");
        }
    }

    /// Does a change that is due at `at`, if nobody else does.
    async fn run(&self, id: &str, at: i64) -> Result<()> {
        let until = now().saturating_add(millis(CLAIM));
        let Some(claimed) = self.inner.store.claim(id, at, until).await? else { return Ok(()) };
        let was_begun = claimed.was_begun;
        let Claimed { mut row, .. } = claimed;
        let settled = match change(row.clone()) {
            Some(change) => self.carry_out(&row, change, was_begun).await,
            None => Settled::refused(Refusal::saying("This change can no longer be read.")),
        };
        if let Some(record) = &settled.record {
            row.record.clone_from(record);
        }
        if let Some(title) = &settled.title {
            row.title.clone_from(title);
        }
        let entry = settled.done.as_ref().map(|(who, was)| entry_of(&row, who, was));
        let outcome = serde_json::to_string(&settled.outcome).map_err(Error::internal)?;
        Ok(self.inner.store.settle(&row, settled.state.word(), &outcome, entry.as_ref()).await?)
    }

    async fn carry_out(&self, row: &ChangeRow, change: Change, was_begun: bool) -> Settled {
        match self.attempt(row, &change, was_begun).await {
            Ok(settled) => settled,
            Err(error) => Settled::held(&change, &error),
        }
    }

    async fn attempt(&self, row: &ChangeRow, change: &Change, was_begun: bool) -> Result<Settled> {
        let key = SessionKey::from_hex(&row.session);
        let session = match key {
            Some(key) => self.inner.sessions.find_by_key(&key).await?,
            None => None,
        };
        let session = session
            .ok_or_else(|| Error::unauthenticated().because("the session of a change has ended"))?;
        let caller = Caller::Session(session);
        let resource = self.inner.data.resource(&caller, &change.group, &change.name).await?;
        let job = Job { data: &self.inner.data, caller: &caller, resource: &resource, change };
        match &change.deed {
            Deed::Create | Deed::Run(_) if was_begun => Ok(Settled::unknown()),
            Deed::Create => job.make().await,
            Deed::Run(_) => job.run().await,
            Deed::Delete => job.delete(was_begun).await,
            Deed::Update => job.update(was_begun).await,
        }
    }
}

/// One change while it is being done.
struct Job<'a> {
    data: &'a Data,
    caller: &'a Caller,
    resource: &'a Resource,
    change: &'a Change,
}

impl Job<'_> {
    async fn make(&self) -> Result<Settled> {
        let written = self.write(&self.change.values, &Value::Null, None).await?;
        Ok(match written {
            Written::Done(record) => {
                let config = &self.resource.config;
                let id = present::id(config, &record);
                let title = present::plain_title(&self.resource.fields, &record);
                let done = self.done(Map::new());
                Settled { record: Some(id), title, ..done }
            }
            Written::Refused(refusal) => Settled::refused(refusal),
            Written::Gone | Written::Stale => {
                Settled::refused(Refusal::saying("The backend has no such collection."))
            }
        })
    }

    async fn run(&self) -> Result<Settled> {
        let written = self.write(&Map::new(), &Value::Null, None).await?;
        Ok(match written {
            Written::Done(_) => self.done(Map::new()),
            Written::Refused(refusal) => Settled::refused(refusal),
            Written::Gone | Written::Stale => Settled::gone(),
        })
    }

    /// Sends what is not so yet, again and again while others change the record, but never over what
    /// they have changed in the same fields.
    async fn update(&self, was_begun: bool) -> Result<Settled> {
        let Change { record, values, opened, .. } = self.change;
        let mut last_tag = None;
        for _ in 0..ATTEMPTS {
            let fresh = match self.data.fresh(self.caller, self.resource, record).await {
                Err(error) if error.kind() == Kind::NotFound => return Ok(Settled::gone()),
                fresh => fresh?,
            };
            let now = Opened::on(&self.resource.fields, &fresh.value, UtcOffset::UTC).values;
            if !self.change.clashes(&now).is_empty() {
                return Ok(Settled::conflict(now));
            }
            let is_so = |name: &String, value: &Value| now.get(name) == Some(value);
            let mut left = values.clone();
            left.retain(|name, value| !is_so(name, value));
            if left.is_empty() {
                let was = if was_begun { self.before(&opened.values) } else { Map::new() };
                return Ok(if was_begun { self.done(was) } else { Settled::nothing_to_do() });
            }
            // A state that is refused under its own name has a name that cannot be asked for.
            let tag = fresh.tag.filter(|tag| last_tag.as_ref() != Some(tag));
            last_tag.clone_from(&tag);
            match self.write(&left, &fresh.value, tag).await? {
                Written::Done(_) => return Ok(self.done_to(&fresh.value, self.before(&now))),
                Written::Refused(refusal) => return Ok(Settled::refused(refusal)),
                Written::Gone => return Ok(Settled::gone()),
                Written::Stale => {}
            }
        }
        Err(Error::conflict("The record changes too often right now. Your change is kept."))
    }

    async fn delete(&self, was_begun: bool) -> Result<Settled> {
        let Change { record, opened, .. } = self.change;
        let mut last_tag = None;
        for _ in 0..ATTEMPTS {
            let fresh = match self.data.fresh(self.caller, self.resource, record).await {
                Err(error) if error.kind() == Kind::NotFound && was_begun => {
                    return Ok(self.done(opened.values.clone()));
                }
                Err(error) if error.kind() == Kind::NotFound => return Ok(Settled::nothing_to_do()),
                fresh => fresh?,
            };
            let now = Opened::on(&self.resource.fields, &fresh.value, UtcOffset::UTC).values;
            if opened.values.iter().any(|(name, value)| now.get(name).is_some_and(|n| n != value)) {
                return Ok(Settled::conflict(now));
            }
            let tag = fresh.tag.filter(|tag| last_tag.as_ref() != Some(tag));
            last_tag.clone_from(&tag);
            match self.write(&Map::new(), &fresh.value, tag).await? {
                Written::Done(_) => return Ok(self.done_to(&fresh.value, now)),
                Written::Gone => return Ok(Settled::nothing_to_do()),
                Written::Refused(refusal) => return Ok(Settled::refused(refusal)),
                Written::Stale => {}
            }
        }
        Err(Error::conflict("The record changes too often right now. Your change is kept."))
    }

    async fn write(
        &self,
        values: &Map<String, Value>,
        current: &Value,
        tag: Option<axum::http::HeaderValue>,
    ) -> Result<Written> {
        let Change { deed, record, id, .. } = self.change;
        let write = Write { deed, record, values, current, tag, name: id };
        self.data.write(self.caller, self.resource, write).await
    }

    /// The values that are replaced, as the record had them.
    fn before(&self, record: &Map<String, Value>) -> Map<String, Value> {
        let value = |name: &String| {
            let was = record.get(name).filter(|was| self.change.values.get(name) != Some(was))?;
            Some((name.clone(), was.clone()))
        };
        self.change.values.keys().filter_map(value).collect()
    }

    /// It is done, to a record that was called so by its backend.
    fn done_to(&self, record: &Value, was: Map<String, Value>) -> Settled {
        let title = present::plain_title(&self.resource.fields, record);
        Settled { title, ..self.done(was) }
    }

    fn done(&self, was: Map<String, Value>) -> Settled {
        let who = self.caller.identity().cloned();
        Settled { done: who.map(|who| (who, was)), ..Settled::as_is(State::Done) }
    }
}

/// How a change ended.
struct Settled {
    state: State,
    outcome: Outcome,
    /// The id of a record that was made.
    record: Option<String>,
    /// What it is called.
    title: Option<String>,
    /// Who did something, and the values that were replaced.
    done: Option<(Identity, Map<String, Value>)>,
}

impl Settled {
    fn as_is(state: State) -> Self {
        Self { state, outcome: Outcome::default(), record: None, title: None, done: None }
    }

    fn nothing_to_do() -> Self {
        Self::as_is(State::Done)
    }

    fn refused(refusal: Refusal) -> Self {
        let outcome = Outcome { refusal: Some(refusal), theirs: None };
        Self { outcome, ..Self::as_is(State::Refused) }
    }

    fn gone() -> Self {
        Self::refused(Refusal::saying(
            "The record is no longer there: somebody has deleted it since.",
        ))
    }

    fn conflict(theirs: Map<String, Value>) -> Self {
        let outcome = Outcome { refusal: None, theirs: Some(theirs) };
        Self { outcome, ..Self::as_is(State::Conflict) }
    }

    /// What was to be made may be there, and must not be made twice.
    fn unknown() -> Self {
        let sentence = "The backend did not say whether it was done. Look at the list before you send \
                        it again.";
        let outcome = Outcome { refusal: Some(Refusal::saying(sentence)), theirs: None };
        Self { outcome, ..Self::as_is(State::Held) }
    }

    fn held(change: &Change, error: &Error) -> Self {
        tracing::warn!(%error, change = change.id, "a change could not be done");
        if error.kind() == Kind::Forbidden {
            return Self::refused(Refusal::saying(error.message().to_owned()));
        }
        let is_unclear = matches!(error.kind(), Kind::Timeout | Kind::BadGateway);
        if matches!(change.deed, Deed::Create | Deed::Run(_)) && is_unclear {
            return Self::unknown();
        }
        let sentence = match error.kind() {
            Kind::Unauthenticated => {
                "Your session ended before this could be done. It is kept: send it again."
                    .to_owned()
            }
            _ => error.message().to_owned(),
        };
        let outcome = Outcome { refusal: Some(Refusal::saying(sentence)), theirs: None };
        Self { outcome, ..Self::as_is(State::Held) }
    }
}

impl State {
    /// How the database and programs spell it.
    pub fn word(self) -> &'static str {
        STATES.iter().find(|(_, state)| *state == self).map_or("held", |(word, _)| word)
    }

    /// Whether it is over, and nobody needs to look at it.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Dropped)
    }
}

impl FromStr for State {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        STATES.iter().find(|(name, _)| *name == word).map(|(_, state)| *state).ok_or(())
    }
}

impl Change {
    /// Whether it will not go on by itself.
    pub fn needs_person(&self) -> bool {
        matches!(self.state, State::Refused | State::Conflict | State::Held)
    }

    /// Whether it waits or is being done.
    pub fn is_under_way(&self) -> bool {
        matches!(self.state, State::Pending | State::Running)
    }

    /// When it is done.
    pub fn due(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.due_at.unsigned_abs())
    }

    /// The fields that were changed here and, in another way, in `record` since.
    pub fn clashes(&self, record: &Map<String, Value>) -> Vec<String> {
        let is_now = |name: &String| record.get(name).unwrap_or(&Value::Null);
        // What the person did not see they cannot have taken for anything.
        let clashes = |(name, mine): &(&String, &Value)| {
            let was = self.opened.values.get(*name);
            was.is_some_and(|was| is_now(name) != was) && is_now(name) != *mine
        };
        self.values.iter().filter(clashes).map(|(name, _)| name.clone()).collect()
    }
}

/// Whose changes a caller's are.
struct OwnWhose {
    owner: String,
    tenant: String,
}

impl OwnWhose {
    fn borrow(&self) -> Whose<'_> {
        Whose { owner: &self.owner, tenant: &self.tenant }
    }
}

fn whose(caller: &Caller) -> Result<OwnWhose> {
    let who = caller.known()?;
    Ok(OwnWhose { owner: who.owner(), tenant: who.tenant.clone().unwrap_or_default() })
}

fn session_of(caller: &Caller) -> Result<String> {
    Ok(caller.signed_in()?.key().to_hex())
}

fn named(resource: &ResourceConfig) -> String {
    format!("{}.{}", resource.group, resource.name)
}

fn row(caller: &Caller, id: String, wish: Wish<'_>, due_at: i64) -> Result<ChangeRow> {
    let OwnWhose { owner, tenant } = whose(caller)?;
    Ok(ChangeRow {
        id,
        owner,
        tenant,
        session: session_of(caller)?,
        resource: named(&wish.resource.config),
        record: wish.record.to_owned(),
        title: wish.title,
        action: wish.deed.word(),
        fields: serde_json::to_string(&wish.values).map_err(Error::internal)?,
        opened: wish.opened.write(),
        state: State::Pending.word().to_owned(),
        outcome: "{}".to_owned(),
        due_at,
        created_at: now(),
        batch: String::new(),
        place: 0,
    })
}

/// A row as a change; nothing where another version has written what is not understood.
fn change(row: ChangeRow) -> Option<Change> {
    let (group, name) = row.resource.split_once('.')?;
    Some(Change {
        group: group.to_owned(),
        name: name.to_owned(),
        deed: row.action.parse().ok()?,
        values: serde_json::from_str(&row.fields).ok()?,
        opened: Opened::read(&row.opened)?,
        state: row.state.parse().ok()?,
        outcome: serde_json::from_str(&row.outcome).ok()?,
        id: row.id,
        record: row.record,
        title: row.title,
        due_at: row.due_at,
        place: row.place,
    })
}

fn entry_of(row: &ChangeRow, who: &Identity, was: &Map<String, Value>) -> EntryRow {
    EntryRow {
        id: new_id(),
        at: now(),
        tenant: row.tenant.clone(),
        owner: row.owner.clone(),
        person: who.name.clone(),
        resource: row.resource.clone(),
        record: row.record.clone(),
        title: row.title.clone(),
        action: row.action.clone(),
        was: Value::Object(was.clone()).to_string(),
        is_now: row.fields.clone(),
    }
}

fn entry(row: EntryRow) -> Option<Entry> {
    Some(Entry {
        at: row.at,
        person: row.person,
        resource: row.resource,
        record: row.record,
        title: row.title,
        deed: row.action.parse().ok()?,
        was: serde_json::from_str(&row.was).ok()?,
        is_now: serde_json::from_str(&row.is_now).ok()?,
    })
}

/// What a form may call itself.
fn is_id(text: &str) -> bool {
    (16..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn no_change() -> Error {
    Error::not_found("There is no such change, or it is not yours.")
}
