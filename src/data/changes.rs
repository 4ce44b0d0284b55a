//! Changes of records: kept until they are done, so that they can be taken back before, are not lost
//! with the page that asked for them, and never write over what somebody else has written since.
//!
//! A change is a row with a time. When the time comes, whoever claims the row reads the record anew,
//! holds it against what the person had before their eyes, and sends what is still to be changed. What
//! that came to stays on the row until the person has seen to it.

mod batch;
mod job;
mod proposal;
mod store;

use std::{
    str::FromStr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::{runtime::Handle, time::timeout};

use self::batch::Running;
pub use self::batch::{Batch, Draft, LARGEST as MOST_CHANGES, Tally};
use self::job::{Job, Settled};
pub use self::proposal::Standing;
pub use self::store::Wanted;
use self::store::{ChangeRow, ChangeStore, Claimed, EntryRow, Kept, Whose};
use super::{Data, form::Opened, refusal::Refusal, service::Resource};
use crate::{
    config::{Action, DataConfig, FieldConfig, ResourceConfig},
    error::{Error, Kind, Result},
    session::{Caller, Identity, SessionKey, Sessions},
    store::{Store, millis, new_id, now},
};

/// How long whoever does a change keeps others off it.
const CLAIM: Duration = Duration::from_secs(15 * 60);
/// How long doing it may take, so that it is over before others may begin.
const LONGEST: Duration = Duration::from_secs(14 * 60);
/// How often a form that was sent twice asks whether the first one is done, and how many times.
const LOOK: Duration = Duration::from_millis(200);
const LOOKS: usize = 300;
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

/// Where changes are that did not work out, or cannot.
pub const TROUBLE: [State; 4] = [State::Invalid, State::Refused, State::Conflict, State::Held];

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
    /// Whether the record is not there any more.
    #[serde(default)]
    pub is_gone: bool,
    /// Whether nobody knows if it was done: the backend was asked, and did not say.
    #[serde(default)]
    pub is_unclear: bool,
    /// Whether the person has written something else in its place.
    #[serde(default)]
    pub is_replaced: bool,
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
    /// The message of an assistant that proposes it; empty for what the person wants by themselves.
    pub message: String,
}

/// One line of the history.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Names it.
    pub id: String,
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
    config: DataConfig,
    runtime: Handle,
    /// The batches that somebody goes through.
    running: Running,
}

impl Changes {
    /// Changes that are kept in `store`, and done through `data` on `runtime`.
    pub fn new(
        store: Store,
        data: Data,
        sessions: Sessions,
        config: DataConfig,
        runtime: Handle,
    ) -> Self {
        let store = ChangeStore::new(store);
        Self {
            inner: Arc::new(Inner {
                store,
                data,
                sessions,
                config,
                runtime,
                running: Running::default(),
            }),
        }
    }

    /// Keeps a change of a record that is there, to be done when it can no longer be taken back. Takes
    /// the place of those that it `replaces`, because the form it came from held their values too.
    ///
    /// What the person wanted before is done before a record is deleted: whoever takes the deletion
    /// back has the record as they left it.
    pub async fn want(
        &self,
        caller: &Caller,
        wish: Wish<'_>,
        replaces: &[String],
    ) -> Result<Change> {
        self.want_as(caller, "", wish, replaces).await
    }

    /// The same of a form that calls itself `request`: sent twice, it is wanted once.
    pub async fn want_as(
        &self,
        caller: &Caller,
        request: &str,
        mut wish: Wish<'_>,
        replaces: &[String],
    ) -> Result<Change> {
        if wish.deed == Deed::Delete {
            for change in self.of_record(caller, &wish.resource.config, wish.record).await? {
                if change.state == State::Pending && change.deed != Deed::Delete {
                    let ended = self.again(caller, &change.id).await?;
                    if ended.state == State::Done {
                        // What they have just written themselves is no news to them.
                        wish.opened.values.retain(|name, _| !change.values.contains_key(name));
                    }
                }
            }
        }
        let due_at = now().saturating_add(millis(self.inner.config.undo));
        let values = Value::Object(wish.values.clone()).to_string();
        let id = sent_once(request, &[&wish.deed.word(), wish.record, &values]);
        let mut row = row(caller, id, wish, due_at)?;
        let mut kept = self.inner.store.keep(&row, replaces).await?;
        if kept == Kept::Known {
            let known = self.find(caller, &row.id).await?;
            if known.is_under_way() || known.state == State::Done {
                return Ok(known);
            }
            // It was taken back, or did not work out: they mean it again.
            row.id = new_id();
            kept = self.inner.store.keep(&row, replaces).await?;
        }
        if kept == Kept::TooLate {
            return Err(Error::conflict(
                "What this was to replace has been saved meanwhile. Look at the record, and send it \
                 again.",
            ));
        }
        self.do_in_time(row.id.clone(), self.inner.config.undo).await;
        self.find(caller, &row.id).await
    }

    /// Makes a record at once. `request` names the form: sent twice, it makes one record; sent again
    /// with other values, another one.
    pub async fn make(&self, caller: &Caller, request: &str, wish: Wish<'_>) -> Result<Change> {
        let id = if is_id(request) { request.to_owned() } else { new_id() };
        let mut row = row(caller, id, wish, now())?;
        if self.inner.store.keep(&row, &[]).await? != Kept::New {
            let known = self.settled(caller, &row.id).await?;
            let is_same =
                serde_json::to_string(&known.values).is_ok_and(|known| known == row.fields);
            match known.state {
                State::Held => drop(self.inner.store.renew(&row).await?),
                State::Pending | State::Running => return Ok(known),
                State::Done if is_same => return Ok(known),
                state => {
                    row.id = new_id();
                    // What is done stays; it is the same form, and another record.
                    let replaced = (state != State::Done).then_some(known.id);
                    self.inner.store.keep(&row, replaced.as_slice()).await?;
                }
            }
        }
        self.do_at_once(&row.id).await;
        self.find(caller, &row.id).await
    }

    /// What a form was opened on, with what has been saved since of the changes that it takes the place
    /// of: it showed their values, so they are no news to whoever filled it in. And those that are left.
    pub async fn opened_after(
        &self,
        caller: &Caller,
        replaces: &[String],
        mut opened: Opened,
    ) -> Result<(Opened, Vec<String>)> {
        let mut left = Vec::new();
        for id in replaces {
            let change = match self.find(caller, id).await {
                Ok(change) if change.state == State::Running => self.settled(caller, id).await?,
                Ok(change) => change,
                Err(error) if error.kind() == Kind::NotFound => continue,
                Err(error) => return Err(error),
            };
            match change.state {
                State::Done => opened.values.extend(change.values),
                _ => left.push(change.id),
            }
        }
        Ok((opened, left))
    }

    /// A change once it is no longer under way, if that does not take too long.
    async fn settled(&self, caller: &Caller, id: &str) -> Result<Change> {
        let mut change = self.find(caller, id).await?;
        for _ in 0..LOOKS {
            if !change.is_under_way() {
                break;
            }
            tokio::time::sleep(LOOK).await;
            change = self.find(caller, id).await?;
        }
        Ok(change)
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
        Ok(rows.iter().cloned().filter_map(change).filter(is_seen).collect())
    }

    /// What the caller still wants done to one record, the oldest first.
    pub async fn of_record(
        &self,
        caller: &Caller,
        resource: &ResourceConfig,
        record: &str,
    ) -> Result<Vec<Change>> {
        let mut open = self.open(caller, Some(resource)).await?;
        open.retain(|change| change.record == record);
        Ok(open)
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
        let clashing = change.clashes(&resource.fields, &theirs);
        let mut values = change.values.clone();
        values.retain(|name, _| !clashing.contains(name) || mine.contains(name));
        if values.is_empty() && change.deed == Deed::Update {
            self.undo(caller, id).await?;
            return Ok(None);
        }
        // Whoever deletes a record that has changed means it, however often it changes.
        let seen = if change.deed == Deed::Delete { Map::new() } else { theirs };
        let opened = Opened { values: seen, zone: change.opened.zone };
        let Change { record, title, deed, .. } = change;
        let wish = Wish { resource, record: &record, title, deed, values, opened };
        self.want(caller, wish, &[id.to_owned()]).await.map(Some)
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

    /// What was done to whichever record, the newest first, for those who look after all of it.
    ///
    /// 403 for everybody else.
    pub async fn all_history(&self, caller: &Caller, wanted: &Wanted<'_>) -> Result<Vec<Entry>> {
        if !self.may_see_all(caller) {
            return Err(Error::forbidden("You are not allowed to see what everybody has changed."));
        }
        let rows = self.inner.store.history(&whose(caller)?.tenant, wanted).await?;
        Ok(rows.into_iter().filter_map(entry).collect())
    }

    /// Whether a caller looks after all of it.
    pub fn may_see_all(&self, caller: &Caller) -> bool {
        let admins = &self.inner.config.admins;
        caller.identity().is_some_and(|who| who.roles.iter().any(|role| admins.contains(role)))
    }

    /// Notes what was done at once, and not by a change that waited.
    pub async fn note(
        &self,
        caller: &Caller,
        wish: Wish<'_>,
        was: &Map<String, Value>,
    ) -> Result<()> {
        let who = caller.known()?.clone();
        let row = row(caller, new_id(), wish, now())?;
        Ok(self.inner.store.note(&entry_of(&row, &who, was)).await?)
    }

    /// Notes that a program did something at the backend, through this server and for a person. What
    /// passed through was not read, so there are no values.
    pub async fn note_passed(
        &self,
        caller: &Caller,
        resource: &ResourceConfig,
        deed: Deed,
        record: &str,
    ) -> Result<()> {
        let (who, own) = (caller.known()?, whose(caller)?);
        let title = match record {
            "" => resource.singular.clone(),
            id => format!("{} {id}", resource.singular),
        };
        let nothing = || Value::Object(Map::new()).to_string();
        let entry = EntryRow {
            id: new_id(),
            at: now(),
            tenant: own.tenant,
            owner: own.owner,
            person: who.name.clone(),
            resource: named(resource),
            record: record.to_owned(),
            title,
            action: deed.word(),
            was: nothing(),
            is_now: nothing(),
        };
        Ok(self.inner.store.note(&entry).await?)
    }

    /// Begins to do what is due; answers how many that are.
    pub async fn run_due(&self) -> Result<u64> {
        let due = self.inner.store.due().await?;
        let (this, count) = (self.clone(), due.len() as u64);
        self.inner.runtime.spawn(async move { this.run_all(&due, now()).await });
        self.run_due_batches().await?;
        Ok(count)
    }

    /// Takes up what was begun before the server went down.
    pub async fn recover(&self) -> Result<u64> {
        self.inner.store.release().await?;
        self.run_due().await
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
        let this = self.clone();
        // What is begun comes to its end, however long anybody waits for it.
        let all = self.inner.runtime.spawn(async move {
            let ids = this.inner.store.of_session(&session).await?;
            this.run_all(&ids, i64::MAX).await;
            Ok::<_, Error>(())
        });
        match timeout(FLUSH, all).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "changes of a session that ends wait"),
            Ok(Err(cause)) => tracing::error!(%cause, "changes of a session that ends broke off"),
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
            Some(change) => self.carry_out(&row, &change, was_begun).await,
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

    /// Does a change within the time in which nobody else does.
    async fn carry_out(&self, row: &ChangeRow, change: &Change, was_begun: bool) -> Settled {
        let attempt = timeout(LONGEST, self.attempt(row, change, was_begun)).await;
        match attempt.unwrap_or_else(|_| Err(took_too_long())) {
            Ok(settled) => settled,
            Err(error) => Settled::held(change, &error),
        }
    }

    async fn attempt(&self, row: &ChangeRow, change: &Change, was_begun: bool) -> Result<Settled> {
        if was_begun && matches!(change.deed, Deed::Create | Deed::Run(_)) {
            return Ok(Settled::unknown());
        }
        let key = SessionKey::from_hex(&row.session);
        let session = match key {
            Some(key) => self.inner.sessions.find_by_key(&key).await?,
            None => None,
        };
        let session = session.ok_or_else(session_ended)?;
        let caller = Caller::Session(session);
        let resource = self.inner.data.resource(&caller, &change.group, &change.name).await?;
        let job = Job { data: &self.inner.data, caller: &caller, resource: &resource, change };
        match &change.deed {
            Deed::Create => job.make().await,
            Deed::Run(_) => job.run().await,
            Deed::Delete | Deed::Update => job.alter(was_begun || change.outcome.is_unclear).await,
        }
    }
}

impl State {
    /// How the database and programs spell it.
    pub fn word(self) -> &'static str {
        STATES.iter().find(|(_, state)| *state == self).map_or("held", |(word, _)| word)
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

    /// Why it did not work out, in sentences; `label` tells what people call a field.
    pub fn why<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> String {
        let refusal = self.outcome.refusal.clone().unwrap_or_default();
        let conflict = self.outcome.theirs.as_ref().map(|_| "Somebody else has changed it since.");
        let sentences = refusal.for_form(|_| false, label).general;
        let sentences = sentences.into_iter().chain(conflict.map(str::to_owned));
        sentences.collect::<Vec<_>>().join(" ").trim_start_matches(": ").to_owned()
    }

    /// Whether it did not work out, and can be sent again without looking first.
    pub fn can_be_tried_again(&self) -> bool {
        let is_repeatable = matches!(self.deed, Deed::Update | Deed::Delete);
        self.needs_person() && (is_repeatable || !self.outcome.is_unclear)
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
    pub fn clashes(&self, fields: &[FieldConfig], record: &Map<String, Value>) -> Vec<String> {
        let is_now = |name: &String| record.get(name).unwrap_or(&Value::Null);
        // The address of a file may be another one every time.
        let is_file =
            |name: &str| fields.iter().any(|field| field.name == name && field.kind.is_file());
        // What the person did not see they cannot have taken for anything.
        let clashes = |(name, mine): &(&String, &Value)| {
            let was = self.opened.values.get(*name);
            was.is_some_and(|was| is_now(name) != was) && is_now(name) != *mine && !is_file(name)
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
        message: String::new(),
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
        message: row.message,
    })
}

/// What was done, by `who`. Of a record that was changed only what has become another value counts.
fn entry_of(row: &ChangeRow, who: &Identity, was: &Map<String, Value>) -> EntryRow {
    let mut is_now: Map<String, Value> = serde_json::from_str(&row.fields).unwrap_or_default();
    if row.action == Action::Update.word() {
        is_now.retain(|name, _| was.is_empty() || was.contains_key(name));
    }
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
        is_now: Value::Object(is_now).to_string(),
    }
}

fn entry(row: EntryRow) -> Option<Entry> {
    Some(Entry {
        id: row.id,
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

fn session_ended() -> Error {
    Error::new(
        Kind::Unauthenticated,
        "Your session ended before this could be done. It is kept: send it again.",
    )
}

fn took_too_long() -> Error {
    Error::timeout("The backend took too long. Look whether it was done before you send it again.")
}

/// What a form may call itself.
fn is_id(text: &str) -> bool {
    (16..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What something is called that a form asks for: the same as often as the form that calls itself
/// `request` asks for the same, and something else for another `wish`.
fn sent_once(request: &str, wish: &[&str]) -> String {
    if !is_id(request) {
        return new_id();
    }
    let mut hash = Sha256::new_with_prefix(request);
    for part in wish {
        hash.update([0]);
        hash.update(part);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn no_change() -> Error {
    Error::not_found("There is no such change, or it is not yours.")
}
