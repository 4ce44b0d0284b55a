//! Changes that an assistant proposes: kept until the person says what is to become of them, and then
//! done like any other.

use serde_json::{Map, Value};

use super::{Change, Changes, State, Wish, change, row, session_of, store::ChangeRow, whose};
use crate::{
    data::resources::{address, record_address},
    error::{Error, Result},
    session::Caller,
    store::{new_id, now},
};

/// What has become of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It waits for the person.
    Open,
    /// It is being done.
    Working,
    /// It is done.
    Done {
        /// Where the record is.
        place: String,
        /// Whether the person left the values as they were proposed.
        as_proposed: bool,
    },
    /// The backend did not take it, and said this.
    Refused(String),
    /// It could not be done, and the person has to say how it goes on.
    Stuck,
    /// The person has written something else in its place; the record is here.
    Replaced(String),
    /// It was given up when nobody knew whether it was done.
    Unclear,
    /// It was taken back.
    Discarded,
    /// Nobody said anything in time.
    Lapsed,
}

impl Changes {
    /// Keeps a change that `message` proposes. Nothing is done before the person says so.
    pub async fn propose_one(
        &self,
        caller: &Caller,
        wish: Wish<'_>,
        message: &str,
    ) -> Result<Change> {
        let row = ChangeRow {
            state: State::Draft.word().to_owned(),
            message: message.to_owned(),
            ..row(caller, new_id(), wish, i64::MAX)?
        };
        self.inner.store.keep(&row, &[]).await?;
        self.find(caller, &row.id).await
    }

    /// Does what was proposed, with these values, and answers what came of it. One that no longer
    /// waits for the person is left as it is: whoever says yes twice gets it once.
    ///
    /// 409 where it was confirmed before with other values.
    pub async fn confirm_one(
        &self,
        caller: &Caller,
        id: &str,
        values: &Map<String, Value>,
    ) -> Result<Change> {
        let session = session_of(caller)?;
        let fields = serde_json::to_string(values).map_err(Error::internal)?;
        let whose = whose(caller)?;
        if self.inner.store.confirm(whose.borrow(), id, &session, &fields, now()).await? {
            self.do_at_once(id).await;
            return self.find(caller, id).await;
        }
        let known = self.find(caller, id).await?;
        if known.values != *values {
            return Err(Error::conflict(
                "This was decided on before, somewhere else, and with other values.",
            ));
        }
        Ok(known)
    }

    /// What has become of a proposal whose values were these, for whoever may read the message that
    /// makes it.
    pub async fn standing(&self, id: &str, proposed: &str) -> Result<Standing> {
        let row = self.inner.store.proposal(id).await?;
        Ok(row.and_then(change).map_or(Standing::Lapsed, |change| change.standing(proposed)))
    }
}

impl Change {
    /// Whether it waits for the person to say yes, as it stands or with other values.
    pub fn can_be_confirmed(&self) -> bool {
        !self.message.is_empty() && matches!(self.state, State::Draft | State::Refused)
    }

    /// What the backend is told that it is called. One that was refused and is sent again with other
    /// values is another one to the backend, which may answer the same to the same name for ever.
    pub fn name_for_backend(&self) -> String {
        match self.place {
            attempt @ 1.. if !self.message.is_empty() => format!("{}-{attempt}", self.id),
            _ => self.id.clone(),
        }
    }

    fn standing(&self, proposed: &str) -> Standing {
        let list = address(&self.group, &self.name);
        let place = match self.record.as_str() {
            "" => list,
            id => record_address(&list, id),
        };
        match self.state {
            State::Draft => Standing::Open,
            State::Pending | State::Running => Standing::Working,
            State::Done => {
                let values = serde_json::to_string(&self.values);
                let as_proposed = values.is_ok_and(|values| values == proposed);
                Standing::Done { place, as_proposed }
            }
            State::Refused => {
                let refusal = self.outcome.refusal.as_ref();
                Standing::Refused(refusal.map(|it| it.in_words()).unwrap_or_default())
            }
            State::Conflict | State::Held => Standing::Stuck,
            State::Dropped if self.outcome.is_replaced => Standing::Replaced(place),
            State::Dropped if self.outcome.is_unclear => Standing::Unclear,
            State::Dropped | State::Invalid => Standing::Discarded,
        }
    }
}
