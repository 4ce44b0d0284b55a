//! Changes of many records at once: wanted, watched and taken back together, and done one by one.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Map, Value};

use super::{
    AT_ONCE, Change, Changes, Deed, Outcome, Resource, State, change, named, sent_once, session_of,
    store::{BatchRow, ChangeRow},
    whose,
};
use crate::{
    data::{form::Opened, refusal::Refusal},
    error::{Error, Result},
    session::Caller,
    store::{millis, new_id, now},
};

/// The most changes of a batch.
pub const LARGEST: usize = 20_000;

const WAITING: [&str; 1] = ["pending"];
const TROUBLED: [&str; 3] = ["refused", "conflict", "held"];

/// Several changes of one resource.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Names it.
    pub id: String,
    /// The resource's group.
    pub group: String,
    /// The resource's name.
    pub name: String,
    /// What is done; nothing where records are both made and changed.
    pub deed: Option<Deed>,
    /// What to know before it begins.
    pub notes: Vec<String>,
    /// How far it has come.
    pub tally: Tally,
}

/// How many changes of a batch are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Not confirmed yet.
    pub draft: u64,
    /// Cannot be done as they are written.
    pub invalid: u64,
    /// Wait, or are being done.
    pub left: u64,
    /// Done.
    pub done: u64,
    /// Did not work out.
    pub failed: u64,
    /// Were taken back.
    pub dropped: u64,
    /// When the first of those that wait is due, in milliseconds since 1970.
    #[serde(skip)]
    pub due_at: i64,
}

/// One change of a batch that is being made up.
#[derive(Debug)]
pub struct Draft {
    /// The record's id; empty for one that is to be made.
    pub record: String,
    /// What people call it.
    pub title: String,
    /// What is done.
    pub deed: Deed,
    /// The new values.
    pub values: Map<String, Value>,
    /// What is wrong with it, by field.
    pub problems: Vec<(String, String)>,
    /// The line of a file.
    pub place: i64,
}

impl Tally {
    /// How many there are.
    pub fn all(&self) -> u64 {
        self.draft + self.invalid + self.left + self.done + self.failed + self.dropped
    }

    /// Whether nobody has confirmed it yet.
    pub fn is_draft(&self) -> bool {
        self.draft + self.invalid > 0 && self.left + self.done + self.failed == 0
    }

    /// Whether it waits for its time, and can be taken back whole.
    pub fn waits(&self) -> bool {
        self.left > 0 && self.done + self.failed == 0 && self.due_at > now()
    }
}

impl Changes {
    /// Keeps changes of many records, to be done when they can no longer be taken back. `request` names
    /// the form: sent twice, they are wanted once.
    ///
    /// 400 for none, 413 for too many.
    pub async fn want_all(
        &self,
        caller: &Caller,
        resource: &Resource,
        request: &str,
        deed: Deed,
        drafts: Vec<Draft>,
    ) -> Result<Batch> {
        let due_at = now().saturating_add(millis(self.inner.config.undo));
        let mut batch = new_batch(caller, resource, Some(&deed), &[])?;
        let ids: Vec<&str> = drafts.iter().map(|draft| draft.record.as_str()).collect();
        let values = drafts.first().map(|draft| Value::Object(draft.values.clone()).to_string());
        let wish = [&*deed.word(), &values.unwrap_or_default(), &ids.join("\0")];
        batch.id = sent_once(request, &wish);
        if !self.keep(caller, &batch, &drafts, State::Pending, due_at).await? {
            let known = self.batch(caller, &batch.id).await?;
            if known.tally.dropped < known.tally.all() {
                return Ok(known);
            }
            // It was taken back: they mean it again.
            batch.id = new_id();
            self.keep(caller, &batch, &drafts, State::Pending, due_at).await?;
        }
        let kept = batch.id;
        let (this, id, undo) = (self.clone(), kept.clone(), self.inner.config.undo);
        self.inner.runtime.spawn(async move {
            tokio::time::sleep(undo).await;
            this.run_batch(&id).await;
        });
        self.batch(caller, &kept).await
    }

    /// Keeps changes that somebody must look at before they are done.
    pub async fn propose(
        &self,
        caller: &Caller,
        resource: &Resource,
        drafts: Vec<Draft>,
        notes: &[String],
    ) -> Result<Batch> {
        let batch = new_batch(caller, resource, None, notes)?;
        self.keep(caller, &batch, &drafts, State::Draft, i64::MAX).await?;
        self.batch(caller, &batch.id).await
    }

    async fn keep(
        &self,
        caller: &Caller,
        batch: &BatchRow,
        drafts: &[Draft],
        state: State,
        due_at: i64,
    ) -> Result<bool> {
        if drafts.is_empty() {
            return Err(Error::bad_request("There is nothing to do: no record was chosen."));
        }
        if drafts.len() > LARGEST {
            let sentence = format!("These are {} records, more than {LARGEST}.", drafts.len());
            return Err(Error::too_large(sentence));
        }
        let session = session_of(caller)?;
        let rows: Result<Vec<ChangeRow>> =
            drafts.iter().map(|draft| draft_row(batch, &session, draft, state, due_at)).collect();
        Ok(self.inner.store.keep_batch(batch, &rows?).await?)
    }

    /// One batch of the caller's.
    pub async fn batch(&self, caller: &Caller, id: &str) -> Result<Batch> {
        let row = self.inner.store.find_batch(whose(caller)?.borrow(), id).await?;
        let row = row.ok_or_else(|| {
            Error::not_found("There is no such batch of changes, or it is not yours.")
        })?;
        self.counted(row).await
    }

    /// The caller's batches whose reports they have not closed; of one resource, or of all.
    pub async fn batches(
        &self,
        caller: &Caller,
        resource: Option<&Resource>,
    ) -> Result<Vec<Batch>> {
        let resource = resource.map(|resource| named(&resource.config));
        let whose = whose(caller)?;
        let rows = self.inner.store.unseen_batches(whose.borrow(), resource.as_deref()).await?;
        let mut batches = Vec::new();
        for row in rows.iter() {
            let batch = self.counted(row.clone()).await?;
            // Of what was forgotten, or taken back whole, there is nothing to tell.
            if batch.tally.all() > batch.tally.dropped {
                batches.push(batch);
            }
        }
        Ok(batches)
    }

    async fn counted(&self, row: BatchRow) -> Result<Batch> {
        let mut tally = Tally { due_at: i64::MAX, ..Tally::default() };
        for (state, count, due_at) in self.inner.store.tally(&row.id).await?.iter() {
            let count = count.unsigned_abs();
            match state.parse().unwrap_or(State::Held) {
                State::Draft => tally.draft += count,
                State::Invalid => tally.invalid += count,
                State::Pending | State::Running => {
                    tally.left += count;
                    tally.due_at = tally.due_at.min(*due_at);
                }
                State::Done => tally.done += count,
                State::Dropped => tally.dropped += count,
                State::Refused | State::Conflict | State::Held => tally.failed += count,
            }
        }
        let (group, name) = row.resource.split_once('.').unwrap_or_default();
        Ok(Batch {
            group: group.to_owned(),
            name: name.to_owned(),
            deed: row.action.parse().ok(),
            notes: serde_json::from_str(&row.notes).unwrap_or_default(),
            id: row.id,
            tally,
        })
    }

    /// Some changes of a batch that are in one of these states, in their order.
    pub async fn some_of(
        &self,
        batch: &Batch,
        states: &[State],
        limit: i64,
    ) -> Result<Vec<Change>> {
        let states: Vec<&'static str> = states.iter().map(|state| state.word()).collect();
        let rows = self.inner.store.of_batch(&batch.id, &states, limit).await?;
        Ok(rows.into_iter().filter_map(change).collect())
    }

    /// Does what somebody has looked at and wants; or all that waits, at once.
    pub async fn confirm(&self, caller: &Caller, id: &str) -> Result<()> {
        self.wake(caller, id, &["draft", "pending"]).await
    }

    /// Tries once more what did not work out.
    pub async fn retry_all(&self, caller: &Caller, id: &str) -> Result<()> {
        self.wake(caller, id, &TROUBLED).await
    }

    async fn wake(&self, caller: &Caller, id: &str, states: &[&'static str]) -> Result<()> {
        let batch = self.batch(caller, id).await?;
        let session = session_of(caller)?;
        self.inner.store.wake_batch(&batch.id, states, &session, now()).await?;
        let this = self.clone();
        self.inner.runtime.spawn(async move { this.run_batch(&batch.id).await });
        Ok(())
    }

    /// Takes back what is not done yet; answers how many changes that were.
    pub async fn stop_batch(&self, caller: &Caller, id: &str) -> Result<u64> {
        let batch = self.batch(caller, id).await?;
        let states = [&WAITING[..], &["draft", "invalid"]].concat();
        Ok(self.inner.store.drop_of_batch(&batch.id, &states).await?)
    }

    /// Closes a report: what did not work out is not tried any more.
    pub async fn close_batch(&self, caller: &Caller, id: &str) -> Result<()> {
        let batch = self.batch(caller, id).await?;
        self.inner.store.drop_of_batch(&batch.id, &TROUBLED).await?;
        Ok(self.inner.store.close_batch(&batch.id).await?)
    }

    /// Does what of a batch is due, a few at a time.
    async fn run_batch(&self, id: &str) {
        let Some(_turn) = self.inner.running.begin(id) else { return };
        let mut before = Vec::new();
        loop {
            match self.inner.store.due_of_batch(id, 16 * AT_ONCE as i64).await {
                // What cannot even be claimed is left for another minute.
                Ok(due) if due.is_empty() || due == before => return,
                Ok(due) => {
                    self.run_all(&due, now()).await;
                    before = due;
                }
                Err(error) => {
                    tracing::warn!(%error, "a batch could not be looked up; it will be tried again");
                    return;
                }
            }
        }
    }

    /// Goes on with every batch of which something is due.
    pub(super) async fn run_due_batches(&self) -> Result<()> {
        for id in self.inner.store.due_batches().await? {
            let this = self.clone();
            self.inner.runtime.spawn(async move { this.run_batch(&id).await });
        }
        Ok(())
    }
}

/// The batches that somebody goes through, so that nobody else does meanwhile.
#[derive(Debug, Clone, Default)]
pub(super) struct Running(Arc<Mutex<HashSet<String>>>);

/// Going through a batch, until it is dropped.
struct Turn<'a> {
    running: &'a Running,
    id: &'a str,
}

impl Running {
    fn begin<'a>(&'a self, id: &'a str) -> Option<Turn<'a>> {
        self.lock().insert(id.to_owned()).then_some(Turn { running: self, id })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.running.lock().remove(self.id);
    }
}

fn new_batch(
    caller: &Caller,
    resource: &Resource,
    deed: Option<&Deed>,
    notes: &[String],
) -> Result<BatchRow> {
    let own = whose(caller)?;
    Ok(BatchRow {
        id: new_id(),
        owner: own.owner,
        tenant: own.tenant,
        resource: named(&resource.config),
        action: deed.map(Deed::word).unwrap_or_default(),
        notes: serde_json::to_string(notes).map_err(Error::internal)?,
        created_at: now(),
    })
}

fn draft_row(
    batch: &BatchRow,
    session: &str,
    draft: &Draft,
    state: State,
    due_at: i64,
) -> Result<ChangeRow> {
    let is_wrong = !draft.problems.is_empty();
    let refusal = is_wrong.then(|| Refusal::of_fields(draft.problems.clone()));
    let outcome = Outcome { refusal, ..Outcome::default() };
    let state = if is_wrong { State::Invalid } else { state };
    Ok(ChangeRow {
        id: new_id(),
        owner: batch.owner.clone(),
        tenant: batch.tenant.clone(),
        session: session.to_owned(),
        resource: batch.resource.clone(),
        record: draft.record.clone(),
        title: draft.title.clone(),
        action: draft.deed.word(),
        fields: Value::Object(draft.values.clone()).to_string(),
        opened: Opened::default().write(),
        state: state.word().to_owned(),
        outcome: serde_json::to_string(&outcome).map_err(Error::internal)?,
        due_at,
        created_at: batch.created_at,
        batch: batch.id.clone(),
        place: draft.place,
        message: String::new(),
    })
}
