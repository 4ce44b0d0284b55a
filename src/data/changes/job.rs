//! One change while it is being done.

use axum::http::HeaderValue;
use serde_json::{Map, Value};

use super::{Change, Deed, Outcome, State};
use crate::{
    data::{
        Data,
        form::{self, Opened},
        present,
        refusal::Refusal,
        service::{Fresh, Resource, Write, Written},
    },
    error::{Error, Kind, Result},
    session::{Caller, Identity},
    ui::zone::UTC,
};

/// How often a record may change under a change before it is given up.
const ATTEMPTS: usize = 4;

/// A change, and what it is done with.
pub(super) struct Job<'a> {
    pub data: &'a Data,
    pub caller: &'a Caller,
    pub resource: &'a Resource,
    pub change: &'a Change,
}

/// What is to be done to a record as it is now.
enum Step {
    /// Somebody else has changed what the person had before their eyes.
    Conflict,
    /// It is so already.
    Nothing,
    /// These values are to be sent.
    Send(Map<String, Value>),
}

impl Job<'_> {
    /// Makes the record.
    pub async fn make(&self) -> Result<Settled> {
        let written = self.write(&self.change.values, None, None).await?;
        Ok(match written {
            Written::Done(record) => {
                let id = present::id(&self.resource.config, &record);
                let title = present::plain_title(&self.resource.fields, &record);
                Settled { record: Some(id), title, ..self.done(Map::new()) }
            }
            Written::Refused(refusal) => Settled::refused(refusal),
            Written::Gone | Written::Stale => {
                Settled::refused(Refusal::saying("The backend does not take new records."))
            }
        })
    }

    /// Has the backend do something of its own.
    pub async fn run(&self) -> Result<Settled> {
        let written = self.write(&Map::new(), None, None).await?;
        Ok(match written {
            Written::Done(record) => {
                let title = present::plain_title(&self.resource.fields, &record);
                let config = &self.resource.config;
                let title =
                    title.unwrap_or_else(|| format!("{} {}", config.singular, self.change.record));
                Settled { title: Some(title), ..self.done(Map::new()) }
            }
            Written::Refused(refusal) => Settled::refused(refusal),
            Written::Gone | Written::Stale => Settled::gone(),
        })
    }

    /// Changes or deletes the record: again and again while others change it, but never over what they
    /// have changed in the same place.
    pub async fn alter(&self, was_begun: bool) -> Result<Settled> {
        let mut last_tag = None;
        for _ in 0..ATTEMPTS {
            let fresh = self.data.fresh(self.caller, self.resource, &self.change.record).await;
            let fresh = match fresh {
                Err(error) if error.kind() == Kind::NotFound => return Ok(self.missing(was_begun)),
                fresh => fresh?,
            };
            let now = Opened::on(&self.resource.fields, &fresh.value, &UTC).values;
            let values = match self.step(&now) {
                Step::Conflict => return Ok(Settled::conflict(now)),
                Step::Nothing if was_begun => {
                    return Ok(self.done(self.before(&self.change.opened.values)));
                }
                Step::Nothing => return Ok(Settled::as_is(State::Done)),
                Step::Send(values) => values,
            };
            // A state that is refused under its own name has a name that cannot be asked for.
            let tag = fresh.tag.clone().filter(|tag| last_tag.as_ref() != Some(tag));
            last_tag.clone_from(&tag);
            match self.write(&values, Some(&fresh), tag).await? {
                Written::Done(_) => return Ok(self.done_to(&fresh.value, self.before(&now))),
                Written::Refused(refusal) => return Ok(Settled::refused(refusal)),
                Written::Gone => return Ok(self.missing(was_begun)),
                Written::Stale => {}
            }
        }
        Err(Error::conflict("The record changes too often right now. Your change is kept."))
    }

    /// What is to be done to a record with these values.
    fn step(&self, now: &Map<String, Value>) -> Step {
        let Change { deed, values, opened, .. } = self.change;
        if *deed == Deed::Delete {
            // What nobody fills in, such as the time of the last change, is nobody's work.
            let has_changed = form::entered(&self.resource.fields).any(|field| {
                opened.values.get(&field.name).is_some_and(|was| now.get(&field.name) != Some(was))
            });
            return if has_changed { Step::Conflict } else { Step::Send(Map::new()) };
        }
        if !self.change.clashes(&self.resource.fields, now).is_empty() {
            return Step::Conflict;
        }
        let mut left = values.clone();
        left.retain(|name, value| now.get(name) != Some(value));
        if left.is_empty() { Step::Nothing } else { Step::Send(left) }
    }

    async fn write(
        &self,
        values: &Map<String, Value>,
        current: Option<&Fresh>,
        tag: Option<HeaderValue>,
    ) -> Result<Written> {
        let Change { deed, record, .. } = self.change;
        let name = &self.change.name_for_backend();
        let write = Write { deed, record, values, current, tag, name };
        self.data.write(self.caller, self.resource, write).await
    }

    /// The record is not there: for a deletion that is as it should be.
    fn missing(&self, was_begun: bool) -> Settled {
        match self.change.deed {
            Deed::Delete if was_begun => self.done(self.change.opened.values.clone()),
            Deed::Delete => Settled::as_is(State::Done),
            _ => Settled::gone(),
        }
    }

    /// The values that are replaced, as the record had them; all of them, where it is deleted.
    fn before(&self, record: &Map<String, Value>) -> Map<String, Value> {
        if self.change.deed == Deed::Delete {
            return record.clone();
        }
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
pub(super) struct Settled {
    pub state: State,
    pub outcome: Outcome,
    /// The id of a record that was made.
    pub record: Option<String>,
    /// What it is called.
    pub title: Option<String>,
    /// Who did something, and the values that were replaced.
    pub done: Option<(Identity, Map<String, Value>)>,
}

impl Settled {
    fn as_is(state: State) -> Self {
        Self { state, outcome: Outcome::default(), record: None, title: None, done: None }
    }

    /// The backend did not take it.
    pub fn refused(refusal: Refusal) -> Self {
        let outcome = Outcome { refusal: Some(refusal), ..Outcome::default() };
        Self { outcome, ..Self::as_is(State::Refused) }
    }

    fn gone() -> Self {
        let sentence = "The record is no longer there: somebody has deleted it since.";
        let refusal = Some(Refusal::saying(sentence));
        let outcome = Outcome { refusal, is_gone: true, ..Outcome::default() };
        Self { outcome, ..Self::as_is(State::Refused) }
    }

    fn conflict(theirs: Map<String, Value>) -> Self {
        let outcome = Outcome { theirs: Some(theirs), ..Outcome::default() };
        Self { outcome, ..Self::as_is(State::Conflict) }
    }

    /// It may have been done, and must not be done twice.
    pub fn unknown() -> Self {
        Self::unclear(
            "The backend did not say whether it was done. Look at the list before you send it again.",
        )
    }

    fn unclear(sentence: impl Into<String>) -> Self {
        let kept = Self::kept(sentence);
        Self { outcome: Outcome { is_unclear: true, ..kept.outcome }, ..kept }
    }

    fn kept(sentence: impl Into<String>) -> Self {
        let refusal = Some(Refusal::saying(sentence));
        let outcome = Outcome { refusal, ..Outcome::default() };
        Self { outcome, ..Self::as_is(State::Held) }
    }

    /// It could not be done now.
    pub fn held(change: &Change, error: &Error) -> Self {
        tracing::warn!(%error, change = change.id, "a change could not be done");
        let is_unclear = matches!(error.kind(), Kind::Timeout | Kind::BadGateway);
        match (error.kind(), &change.deed) {
            (Kind::Forbidden, _) => Self::refused(Refusal::saying(error.message())),
            (_, Deed::Create | Deed::Run(_)) if is_unclear => Self::unknown(),
            _ if is_unclear || change.outcome.is_unclear => Self::unclear(error.message()),
            _ => Self::kept(error.message()),
        }
    }
}
