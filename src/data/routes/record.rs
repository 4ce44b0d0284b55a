//! What is done to one record, or makes one.

use axum::{
    extract::{Request, State as Services},
    http::request::Parts,
    response::{IntoResponse, Redirect, Response},
};
use serde_json::{Map, Value};

use super::super::{
    access,
    changes::{Deed, State, Wish},
    files,
    form::{self, Filled, Opened},
    page::form::{Typed, Wanted, edit_form, new_form, title_of},
    present,
    refusal::Refusal,
    resources::{address, record_address},
    service::{Resource, Written},
    style::lookup,
};
use super::{Sent, file_of, form_again, tell_of};
use crate::{
    config::Action,
    error::{Error, Kind, Result},
    server::{extract::Path, state::App},
    session::Caller,
    store::new_id,
};

/// How often a form is held against what has just been saved.
const ATTEMPTS: usize = 3;

/// `POST /data/{group}/{name}/-/new`: makes a record, and goes to it.
pub(super) async fn create(
    Services(app): Services<App>,
    caller: Caller,
    Path((group, name)): Path<(String, String)>,
    head: Parts,
    request: Request,
) -> Result<Response> {
    let sent = Sent::read(head, request).await?;
    match created(&app, &caller, &group, &name, &sent).await {
        Ok(Made::Record(place)) => Ok(Redirect::to(&place).into_response()),
        Ok(Made::Not(resource, request, typed)) => {
            let start = Opened { zone: sent.zone().name().to_owned(), ..Opened::default() };
            let form = new_form(&app, &resource, &request, &start, Some(&typed));
            Ok(form_again(&app, &caller, &resource, form, sent.head).await)
        }
        Err(error) => Ok(sent.keep(&app, error).await),
    }
}

/// What became of a new record.
enum Made {
    /// It is there.
    Record(String),
    /// It is not, and what was typed is on the page again.
    Not(Resource, String, Typed),
}

async fn created(app: &App, caller: &Caller, group: &str, name: &str, sent: &Sent) -> Result<Made> {
    caller.signed_in()?;
    let resource = app.data().resource(caller, group, name).await?;
    access::check(&resource.config, caller, Action::Create)?;
    let request = sent.request().to_owned();
    let filled = form::made(&resource.fields, &sent.zone(), &sent.form);
    if !filled.problems.is_empty() {
        let typed = Typed::of(sent.form.clone(), filled);
        return Ok(Made::Not(resource, request, typed));
    }
    let wish = Wish {
        resource: &resource,
        record: "",
        title: resource.config.singular.clone(),
        deed: Deed::Create,
        values: filled.values,
        opened: Opened::default(),
    };
    let change = app.changes.make(caller, &request, wish).await?;
    if change.state == State::Done {
        let list = address(group, name);
        let place = match change.record.as_str() {
            "" => list,
            id => record_address(&list, id),
        };
        return Ok(Made::Record(place));
    }
    // What was refused is on the page again, under a name of its own: a backend may answer the same
    // to the same name for ever.
    let request = if change.state == State::Refused {
        app.changes.undo(caller, &change.id).await?;
        new_id()
    } else {
        request
    };
    let refusal = change.outcome.refusal.unwrap_or_else(|| {
        Refusal::saying("It is still being made. Wait a moment before you send it again.")
    });
    let typed = Typed { form: sent.form.clone(), refusal };
    Ok(Made::Not(resource, request, typed))
}

/// `POST /data/{group}/{name}/{id}/edit`: wants a record changed.
pub(super) async fn update(
    Services(app): Services<App>,
    caller: Caller,
    Path((group, name, id)): Path<(String, String, String)>,
    head: Parts,
    request: Request,
) -> Result<Response> {
    let sent = Sent::read(head, request).await?;
    let record = record_address(&address(&group, &name), &id);
    match wanted(&app, &caller, &group, &name, &id, &sent).await {
        Ok(None) => Ok(Redirect::to(&record).into_response()),
        Ok(Some((resource, opened, filled))) => {
            let typed = Typed::of(sent.form.clone(), filled);
            let title = title_of(&resource.config, &id, sent.text("title"));
            let replaced = Wanted::in_place_of(sent.replaced());
            let form = edit_form(&app, &resource, &id, &title, &opened, &replaced, Some(&typed));
            Ok(form_again(&app, &caller, &resource, form, sent.head).await)
        }
        Err(error) => Ok(sent.keep(&app, error).await),
    }
}

/// Keeps what is wanted of a record; answers the form again where it cannot be. What it was to take the
/// place of may be saved at any moment, so it is held against that anew when it was.
async fn wanted(
    app: &App,
    caller: &Caller,
    group: &str,
    name: &str,
    id: &str,
    sent: &Sent,
) -> Result<Option<(Resource, Opened, Filled)>> {
    caller.signed_in()?;
    let resource = app.data().resource(caller, group, name).await?;
    access::check(&resource.config, caller, Action::Update)?;
    let title = title_of(&resource.config, id, sent.text("title"));
    let replaced = sent.replaced();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let opened = sent.opened()?;
        let (opened, left) = app.changes.opened_after(caller, &replaced, opened).await?;
        let filled = form::changed(&resource.fields, &opened, &sent.form);
        if !filled.problems.is_empty() {
            return Ok(Some((resource, opened, filled)));
        }
        let kept = if filled.values.is_empty() {
            take_back(app, caller, &left).await
        } else {
            let wish = Wish {
                resource: &resource,
                record: id,
                title: title.clone(),
                deed: Deed::Update,
                values: filled.values,
                opened,
            };
            app.changes.want(caller, wish, &left).await.map(drop)
        };
        match kept {
            Err(error) if error.kind() == Kind::Conflict && attempts < ATTEMPTS => {}
            Err(error) => return Err(error),
            Ok(()) => {
                tell_of(app, caller, &replaced).await?;
                return Ok(None);
            }
        }
    }
}

/// Back to what it was: what was wanted before, and is not done, is not wanted any more.
async fn take_back(app: &App, caller: &Caller, changes: &[String]) -> Result<()> {
    for id in changes {
        app.changes.undo(caller, id).await?;
    }
    Ok(())
}

/// `POST /data/{group}/{name}/{id}/delete`: wants a record deleted.
pub(super) async fn delete(
    Services(app): Services<App>,
    caller: Caller,
    Path((group, name, id)): Path<(String, String, String)>,
    head: Parts,
    request: Request,
) -> Result<Response> {
    let sent = Sent::read(head, request).await?;
    let deleted = async {
        caller.signed_in()?;
        let resource = app.data().resource(&caller, &group, &name).await?;
        access::check(&resource.config, &caller, Action::Delete)?;
        let wish = Wish {
            resource: &resource,
            record: &id,
            title: title_of(&resource.config, &id, sent.text("title")),
            deed: Deed::Delete,
            values: Map::new(),
            opened: sent.opened()?,
        };
        app.changes.want(&caller, wish, &[]).await
    };
    match deleted.await {
        Ok(_) => Ok(Redirect::to(&address(&group, &name)).into_response()),
        Err(error) => Ok(sent.keep(&app, error).await),
    }
}

/// `POST /data/{group}/{name}/{id}/run`: wants the backend to do something of its own, named in `run`.
pub(super) async fn run(
    Services(app): Services<App>,
    caller: Caller,
    Path((group, name, id)): Path<(String, String, String)>,
    head: Parts,
    request: Request,
) -> Result<Response> {
    let sent = Sent::read(head, request).await?;
    caller.signed_in()?;
    let resource = app.data().resource(&caller, &group, &name).await?;
    let operation =
        access::operation(&resource.config, &caller, sent.text("run").unwrap_or_default())?;
    let wish = Wish {
        resource: &resource,
        record: &id,
        title: title_of(&resource.config, &id, sent.text("title")),
        deed: Deed::Run(operation.name.clone()),
        values: Map::new(),
        opened: Opened::default(),
    };
    app.changes.want_as(&caller, sent.request(), wish, &[]).await?;
    Ok(Redirect::to(&record_address(&address(&group, &name), &id)).into_response())
}

/// `POST /data/{group}/{name}/{id}/files/{field}`: replaces the file of a record at once or, with
/// `remove`, wants it gone.
pub(super) async fn replace_file(
    Services(app): Services<App>,
    caller: Caller,
    Path((group, name, id, field)): Path<(String, String, String, String)>,
    head: Parts,
    request: Request,
) -> Result<Response> {
    caller.signed_in()?;
    let data = app.data();
    let resource = data.resource(&caller, &group, &name).await?;
    access::check(&resource.config, &caller, Action::Update)?;
    let (_, rule) = files::field(&resource, &field)?;
    let most = files::largest(rule);
    let place = record_address(&address(&group, &name), &id);
    let before = data.fresh(&caller, &resource, &id).await?.value;
    let was = Map::from_iter([(field.clone(), lookup(&before, &field).clone())]);
    let wish = |values: Map<String, Value>| Wish {
        resource: &resource,
        record: &id,
        title: present::plain_title(&resource.fields, &before).unwrap_or_else(|| id.clone()),
        deed: Deed::Update,
        values,
        opened: Opened { values: was.clone(), ..Opened::default() },
    };
    if head.uri.query() == Some("remove") {
        let nothing = Map::from_iter([(field.clone(), Value::Null)]);
        app.changes.want(&caller, wish(nothing), &[]).await?;
        return Ok(Redirect::to(&place).into_response());
    }
    let file = file_of(request, most).await?;
    match data.put_file(&caller, &resource, &id, &field, file).await? {
        Written::Done(record) => {
            let is_now = lookup(&record, &field).clone();
            let values = Map::from_iter([(field.clone(), is_now)]);
            app.changes.note(&caller, wish(values), &was).await?;
            Ok(Redirect::to(&place).into_response())
        }
        Written::Refused(refusal) => {
            let label = |name: &str| resource.field(name).map(|field| field.label.as_str());
            let sentence = refusal.for_form(|_| false, label).general.join(" ");
            Err(Error::bad_request(sentence))
        }
        Written::Gone | Written::Stale => Err(Error::not_found("The record is no longer there.")),
    }
}
