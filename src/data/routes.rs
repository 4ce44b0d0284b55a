//! The forms of the console, which work without a script.

use std::collections::BTreeSet;

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{
        DefaultBodyLimit, FromRequest, Multipart, Request, State as Services,
        multipart::MultipartError,
    },
    http::{
        HeaderMap, StatusCode, Uri,
        header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE, REFERER},
        request::Parts,
    },
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use super::{
    access,
    changes::{Change, Deed, Draft, MOST_CHANGES, State, Tally, Wish},
    export::Export,
    files::{self, Chosen},
    form::{self, Filled, Opened},
    import::{self, Allowed, Read},
    options::{self, Choosable},
    page::{
        batch::{BulkForm, bulk_form, import_view},
        form::{Kept, Typed, Wanted, edit_form, kept_page, new_form, page, title_of},
        proposal::proposal_form,
    },
    present,
    query::ListQuery,
    refusal::Refusal,
    resources::{CHANGES, address, batch_address, change_address, record_address},
    service::{Resource, Written},
    style::lookup,
};
use crate::{
    config::{Action, FieldKind, size_in_words},
    error::{Error, Kind, Result},
    server::{
        extract::{Path, Query},
        html,
        state::App,
    },
    session::Caller,
    store::new_id,
    ui::zone::Zone,
};

/// The largest file that is imported, in bytes.
const LARGEST_FILE: u64 = 32 << 20;
/// The largest form, in bytes: one with long texts, and the same texts as it was opened on.
const LARGEST: usize = 8 << 20;
/// The most changes that a form takes the place of.
const MOST_REPLACED: usize = 100;
/// The most bytes of values that many changes hold together.
const LARGEST_BATCH: usize = 64 << 20;
/// How often a form is held against what has just been saved.
const ATTEMPTS: usize = 3;

/// The forms of records, and what can be done with changes that wait.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/data/{group}/{name}/-/new", post(create))
        .route("/data/{group}/{name}/-/export.csv", get(export))
        .route("/data/{group}/{name}/-/import", post(import))
        .route("/data/{group}/{name}/-/bulk", post(bulk))
        .route("/data/{group}/{name}/-/views", post(keep_view))
        .route("/data/{group}/{name}/-/options/{field}", get(find_options))
        .route("/data/{group}/{name}/{id}/files/{field}", post(replace_file))
        .route("/data/-/batches/{id}", post(decide_all))
        .route("/data/-/batches/{id}/state", get(tally))
        .route("/data/{group}/{name}/{id}/edit", post(update))
        .route("/data/{group}/{name}/{id}/delete", post(delete))
        .route("/data/{group}/{name}/{id}/run", post(run))
        .route("/data/-/changes/{id}", post(decide))
        .route("/data/-/changes/{id}/state", get(state))
        .layer(DefaultBodyLimit::disable())
}

/// A form as it was sent, and what it was sent with.
struct Sent {
    head: Parts,
    to: String,
    form: Vec<(String, String)>,
}

impl Sent {
    async fn read(head: Parts, request: Request) -> Result<Self> {
        let body = to_bytes(request.into_body(), LARGEST).await.map_err(|cause| {
            Error::too_large("The form is too long, or did not arrive whole. Nothing was changed.")
                .because(cause)
        })?;
        let form = form_urlencoded::parse(&body).into_owned().collect();
        Ok(Self { to: head.uri.path().to_owned(), head, form })
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.form.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The changes that the form takes the place of.
    fn replaced(&self) -> Vec<String> {
        let names = self.text("replaces").unwrap_or_default();
        names.split_whitespace().take(MOST_REPLACED).map(str::to_owned).collect()
    }

    /// What the form calls itself, so that it counts once however often it is sent.
    fn request(&self) -> &str {
        self.text("request").unwrap_or_default()
    }

    /// What the form was opened on.
    fn opened(&self) -> Result<Opened> {
        self.text("opened").and_then(Opened::read).ok_or_else(|| {
            Error::bad_request(
                "The form does not say what it was opened on, so nothing was changed. Open the \
                 record again.",
            )
        })
    }

    /// The page that answers an error: one that keeps what was written, for who can send it again.
    async fn keep(self, app: &App, error: Error) -> Response {
        let can_be_sent_again = matches!(
            error.kind(),
            Kind::Unauthenticated | Kind::Unavailable | Kind::BadGateway | Kind::Timeout
        );
        let says_something =
            self.form.iter().any(|(name, text)| name.starts_with(form::VALUE) && !text.is_empty());
        if !can_be_sent_again && !says_something {
            return error.into_response();
        }
        let kept = Kept {
            to: can_be_sent_again.then_some(self.to),
            form: self.form,
            message: error.message().to_owned(),
            signed_out: error.kind() == Kind::Unauthenticated,
        };
        html::error_page(app, self.head, &error, move || kept_page(kept.clone())).await
    }
}

/// `POST /data/{group}/{name}/-/new`: makes a record, and goes to it.
async fn create(
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
            let form = new_form(&app, &resource, &request, &Opened::default(), Some(&typed));
            let page = move || page(form.clone());
            Ok(html::page(&app, sent.head, StatusCode::UNPROCESSABLE_ENTITY, page).await)
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
    let request = sent.text("request").unwrap_or_default().to_owned();
    let filled = form::made(&resource.fields, &Zone::of(&sent.head.headers), &sent.form);
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

/// `GET /data/{group}/{name}/-/export.csv`: all that the same query lists, on however many pages.
async fn export(
    Services(app): Services<App>,
    caller: Caller,
    Path((group, name)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    caller.signed_in()?;
    let data = app.data();
    let resource = data.resource(&caller, &group, &name).await?;
    let query = resource.query(uri.query().unwrap_or_default());
    let export = Export::new(data, caller, resource, query, Zone::of(&headers));
    let disposition = format!("attachment; filename=\"{}\"", export.file_name());
    let lines = export.lines().await?;
    let head = [
        (CONTENT_TYPE, "text/csv; charset=utf-8; header=present".to_owned()),
        (CONTENT_DISPOSITION, disposition),
    ];
    Ok((head, Body::from_stream(lines)).into_response())
}

/// `POST /data/{group}/{name}/{id}/edit`: wants a record changed.
async fn update(
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
            let page = move || page(form.clone());
            Ok(html::page(&app, sent.head, StatusCode::UNPROCESSABLE_ENTITY, page).await)
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
        let opened = app.changes.opened_after(caller, &replaced, sent.opened()?).await?;
        let filled = form::changed(&resource.fields, &opened, &sent.form);
        if !filled.problems.is_empty() {
            return Ok(Some((resource, opened, filled)));
        }
        let kept = if filled.values.is_empty() {
            take_back(app, caller, &replaced).await
        } else {
            let wish = Wish {
                resource: &resource,
                record: id,
                title: title.clone(),
                deed: Deed::Update,
                values: filled.values,
                opened,
            };
            app.changes.want(caller, wish, &replaced).await.map(drop)
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
        if app.changes.find(caller, id).await?.state != State::Done {
            app.changes.undo(caller, id).await?;
        }
    }
    Ok(())
}

/// `POST /data/{group}/{name}/{id}/delete`: wants a record deleted.
async fn delete(
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
async fn run(
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

/// `POST /data/-/changes/{id}`: what is to become of a change, in `do`: `undo`, `again`, `choose` or, for
/// one that an assistant proposes, `confirm`.
async fn decide(
    Services(app): Services<App>,
    caller: Caller,
    Path(id): Path<String>,
    head: Parts,
    request: Request,
) -> Result<Response> {
    let sent = Sent::read(head, request).await?;
    let change = match app.changes.find(&caller, &id).await {
        Ok(change) => change,
        Err(error) => return Ok(sent.keep(&app, error).await),
    };
    if sent.text("do") == Some("confirm") {
        return Ok(confirm(app, caller, change, sent).await);
    }
    match sent.text("do") {
        Some("undo") => app.changes.undo(&caller, &id).await?,
        Some("again") => drop(app.changes.again(&caller, &id).await?),
        Some("choose") => {
            let resource = app.data().resource(&caller, &change.group, &change.name).await?;
            let mine: Vec<String> = sent
                .form
                .iter()
                .filter(|(_, which)| which == "mine")
                .filter_map(|(name, _)| name.strip_prefix("pick.").map(str::to_owned))
                .collect();
            app.changes.choose(&caller, &resource, &id, &mine).await?;
        }
        _ => {
            return Err(Error::bad_request(
                "Say what is to become of it: `undo`, `again`, `choose`, `confirm`.",
            ));
        }
    }
    let place = told_of(&app, &caller, &change).await?;
    Ok(answer(&app, &sent.head.headers, &change, place))
}

/// What became of a yes.
enum Confirmed {
    /// It was taken; the change as it is now, and where it was proposed.
    Taken(Box<Change>, Option<String>),
    /// It was not, and what was filled in is on the form again.
    Not(Resource, Filled),
}

/// Does what an assistant proposes, as it stands or as the person has filled it in.
async fn confirm(app: App, caller: Caller, change: Change, sent: Sent) -> Response {
    match confirmed(&app, &caller, &change, &sent).await {
        Ok(Confirmed::Taken(now, place)) => {
            // Where it was refused the form says why, and holds what was wanted.
            let is_refused = now.state == State::Refused;
            let place = if is_refused { Some(change_address(&now.id)) } else { place };
            answer(&app, &sent.head.headers, &now, place)
        }
        Ok(Confirmed::Not(resource, filled)) => {
            let typed = Typed::of(sent.form.clone(), filled);
            let back = app.chat.place_of(&caller, &change.message).await.ok().flatten();
            let form = proposal_form(&app, &resource, &change, back, Some(&typed));
            let page = move || page(form.clone());
            html::page(&app, sent.head, StatusCode::UNPROCESSABLE_ENTITY, page).await
        }
        Err(error) => sent.keep(&app, error).await,
    }
}

async fn confirmed(app: &App, caller: &Caller, change: &Change, sent: &Sent) -> Result<Confirmed> {
    let resource = app.data().resource(caller, &change.group, &change.name).await?;
    let is_new = change.deed == Deed::Create;
    access::check(&resource.config, caller, if is_new { Action::Create } else { Action::Update })?;
    let is_filled_in = sent.form.iter().any(|(name, _)| name.starts_with(form::VALUE));
    let (fields, opened) = (&resource.fields, &change.opened);
    let filled = match (is_filled_in, is_new) {
        (false, _) => Filled { values: change.values.clone(), ..Filled::default() },
        (true, true) => form::made(fields, &opened.zone(), &sent.form),
        (true, false) => form::changed(fields, opened, &sent.form),
    };
    if !filled.problems.is_empty() {
        return Ok(Confirmed::Not(resource, filled));
    }
    if filled.values.is_empty() && !is_new {
        // Back to what it was: there is nothing to do any more.
        app.changes.undo(caller, &change.id).await?;
    } else {
        app.changes.confirm_one(caller, &change.id, &filled.values).await?;
    }
    let place = told_of(app, caller, change).await?;
    Ok(Confirmed::Taken(Box::new(app.changes.find(caller, &change.id).await?), place))
}

/// Has the chat show what has become of a change that it proposed; answers where that is.
async fn told_of(app: &App, caller: &Caller, change: &Change) -> Result<Option<String>> {
    match change.message.as_str() {
        "" => Ok(None),
        message => app.chat.tell_of_proposal(caller, message).await,
    }
}

/// The same of changes that something else has taken the place of.
async fn tell_of(app: &App, caller: &Caller, replaced: &[String]) -> Result<()> {
    for id in replaced {
        match app.changes.find(caller, id).await {
            Ok(change) => drop(told_of(app, caller, &change).await?),
            Err(error) if error.kind() == Kind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The way on: for a page that is told of what has changed, nothing.
fn answer(app: &App, headers: &HeaderMap, change: &Change, place: Option<String>) -> Response {
    let is_told = headers.get(ACCEPT).is_some_and(|accepts| accepts == "application/json");
    if is_told {
        return StatusCode::NO_CONTENT.into_response();
    }
    Redirect::to(&back(app, headers, change, place)).into_response()
}

/// `POST /data/{group}/{name}/-/import`: a file, which becomes changes that wait for a yes.
async fn import(
    Services(app): Services<App>,
    caller: Caller,
    Path((group, name)): Path<(String, String)>,
    head: Parts,
    request: Request,
) -> Result<Response> {
    caller.signed_in()?;
    let resource = app.data().resource(&caller, &group, &name).await?;
    let allowed = Allowed {
        create: access::may(&resource.config, &caller, Action::Create),
        update: access::may(&resource.config, &caller, Action::Update),
    };
    let taken = async {
        let file = file_of(request, LARGEST_FILE).await?;
        let Read { drafts, notes } =
            import::read(&file.bytes, &resource, allowed, &Zone::of(&head.headers))?;
        app.changes.propose(&caller, &resource, drafts, &notes).await
    };
    match taken.await {
        Ok(batch) => Ok(Redirect::to(&batch_address(&batch.id)).into_response()),
        Err(error) => {
            let (of_page, problem) = (app.clone(), error.message().to_owned());
            let page = move || import_view(&of_page, &resource, Some(problem.clone()));
            Ok(html::error_page(&app, head, &error, page).await)
        }
    }
}

/// The file of a form, of at most so many bytes.
async fn file_of(request: Request, most: u64) -> Result<Chosen> {
    let broken = |cause: MultipartError| {
        Error::bad_request("The file did not arrive whole. Choose it again.").because(cause)
    };
    let mut parts = Multipart::from_request(request, &()).await.map_err(|cause| {
        Error::bad_request("There is no file in the form. Choose one.").because(cause)
    })?;
    while let Some(mut part) = parts.next_field().await.map_err(broken)? {
        if part.name() != Some("file") {
            continue;
        }
        let name = part.file_name().unwrap_or_default().to_owned();
        let kind = part.content_type().unwrap_or("application/octet-stream").to_owned();
        let mut bytes = Vec::new();
        while let Some(chunk) = part.chunk().await.map_err(broken)? {
            if (bytes.len() + chunk.len()) as u64 > most {
                let most = size_in_words(most);
                let sentence = format!("The file is larger than {most}. Nothing was changed.");
                return Err(Error::too_large(sentence));
            }
            bytes.extend_from_slice(&chunk);
        }
        if name.is_empty() {
            break;
        }
        return Ok(Chosen { name, kind, bytes: bytes.into() });
    }
    Err(Error::bad_request("There is no file in the form. Choose one."))
}

/// `POST /data/{group}/{name}/-/bulk`: does something with the records that `id` names or, with `all`,
/// with everything that `query` lists. `do` says what: `edit` asks for values, `set` takes them.
async fn bulk(
    Services(app): Services<App>,
    caller: Caller,
    Path((group, name)): Path<(String, String)>,
    head: Parts,
    request: Request,
) -> Result<Response> {
    let sent = Sent::read(head, request).await?;
    caller.signed_in()?;
    let resource = app.data().resource(&caller, &group, &name).await?;
    let what = sent.text("do").unwrap_or_default();
    let (deed, values) = match what {
        "edit" | "set" => {
            access::check(&resource.config, &caller, Action::Update)?;
            let names: Vec<&str> = sent.texts("set").collect();
            let zone = &Zone::of(&sent.head.headers);
            let mut filled = form::set(&resource.fields, &names, zone, &sent.form);
            if names.is_empty() && what == "set" {
                let nothing = "Nothing is ticked, so nothing would change.".to_owned();
                filled.problems.push((String::new(), nothing));
            }
            if what == "edit" || !filled.problems.is_empty() {
                return ask_for_values(app, caller, resource, sent, filled).await;
            }
            (Deed::Update, filled.values)
        }
        "delete" => {
            access::check(&resource.config, &caller, Action::Delete)?;
            (Deed::Delete, Map::new())
        }
        what => {
            let name = what.strip_prefix("run ").unwrap_or_default();
            let operation = access::operation(&resource.config, &caller, name)?;
            (Deed::Run(operation.name.clone()), Map::new())
        }
    };
    let draft = |(record, title): (String, String)| Draft {
        record,
        title,
        deed: deed.clone(),
        values: values.clone(),
        problems: Vec::new(),
        place: 0,
    };
    let chosen = chosen(&app, &caller, &resource, &sent).await?;
    let size = Value::Object(values.clone()).to_string().len();
    if chosen.len() > MOST_CHANGES || chosen.len() * size > LARGEST_BATCH {
        return Err(Error::too_large(format!(
            "This is too much at once: {} records. Nothing was changed. Choose fewer.",
            chosen.len()
        )));
    }
    let drafts = chosen.into_iter().map(draft).collect();
    app.changes.want_all(&caller, &resource, sent.request(), deed.clone(), drafts).await?;
    let query = resource.query(sent.text("query").unwrap_or_default()).write();
    let list = address(&group, &name);
    let list = if query.is_empty() { list } else { format!("{list}?{query}") };
    Ok(Redirect::to(&list).into_response())
}

/// The page on which the values for many records are filled in.
async fn ask_for_values(
    app: App,
    caller: Caller,
    resource: Resource,
    sent: Sent,
    filled: Filled,
) -> Result<Response> {
    let count = chosen(&app, &caller, &resource, &sent).await?.len();
    if count == 0 {
        return Err(Error::bad_request("No record was chosen. Go back, and tick some."));
    }
    let is_kept = |name: &str| ["id", "all", "query", "request"].contains(&name);
    let mut kept: Vec<_> = sent.form.iter().filter(|(name, _)| is_kept(name)).cloned().collect();
    kept.push(("count".to_owned(), count.to_string()));
    let set: Vec<String> = sent.texts("set").map(str::to_owned).collect();
    let status = match sent.text("do") {
        Some("edit") => StatusCode::OK,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let (of_page, zone) = (app.clone(), Zone::of(&sent.head.headers));
    let typed = Typed::of(sent.form, filled);
    let page = move || {
        let many = BulkForm { chosen: &kept, count, set: &set, zone: &zone, typed: &typed };
        bulk_form(&of_page, &resource, &many)
    };
    Ok(html::page(&app, sent.head, status, page).await)
}

/// The ids and titles of the records that a form has chosen.
async fn chosen(
    app: &App,
    caller: &Caller,
    resource: &Resource,
    sent: &Sent,
) -> Result<Vec<(String, String)>> {
    if sent.text("all").is_none() {
        let ids: BTreeSet<&str> = sent.texts("id").filter(|id| !id.is_empty()).collect();
        let title = |id: &str| title_of(&resource.config, id, None);
        return Ok(ids.into_iter().map(|id| (id.to_owned(), title(id))).collect());
    }
    let asked = sent.text("query").unwrap_or_default();
    let query = resource.query(asked);
    if query.write() != asked {
        return Err(Error::conflict(
            "The list cannot be narrowed right now as it was on the page. Nothing was changed. Open \
             the list again.",
        ));
    }
    let zone = Zone::of(&sent.head.headers);
    let first = resource.fields.first().map(|field| vec![field.name.clone()]);
    let query = ListQuery { columns: first, ..query };
    let export = Export::new(app.data(), caller.clone(), resource.clone(), query, zone);
    let names = export.names(MOST_CHANGES).await?;
    match sent.text("count").map(str::parse::<usize>) {
        Some(Ok(count)) if count != names.len() => Err(Error::conflict(format!(
            "The list has changed: it had {count} records on the page, and has {} now. Nothing was \
             changed. Open the list again, and look.",
            names.len()
        ))),
        _ => Ok(names),
    }
}

/// `POST /data/{group}/{name}/-/views`: keeps the list of `query` under a `name`, removes one, or puts
/// the resource on the first page (`pin`).
async fn keep_view(
    Services(app): Services<App>,
    caller: Caller,
    Path((group, name)): Path<(String, String)>,
    head: Parts,
    request: Request,
) -> Result<Response> {
    let sent = Sent::read(head, request).await?;
    caller.signed_in()?;
    let resource = app.data().resource(&caller, &group, &name).await?;
    let query = resource.query(sent.text("query").unwrap_or_default()).write();
    match (sent.text("remove"), sent.text("pin")) {
        (Some(id), _) => app.views.remove(&caller, id).await?,
        (None, Some(pin)) => app.views.pin(&caller, &resource, pin == "1").await?,
        (None, None) => {
            let name = sent.text("name").unwrap_or_default();
            let is_shared = sent.text("shared").is_some();
            app.views.keep(&caller, &resource, name, &query, is_shared).await?;
        }
    }
    let list = address(&group, &name);
    let place = if query.is_empty() { list } else { format!("{list}?{query}") };
    Ok(Redirect::to(&place).into_response())
}

#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    q: String,
}

/// `GET /data/{group}/{name}/-/options/{field}`: what a relation can lead to, by words.
async fn find_options(
    Services(app): Services<App>,
    caller: Caller,
    Path((group, name, field)): Path<(String, String, String)>,
    Query(words): Query<Words>,
) -> Result<Json<Vec<Choosable>>> {
    caller.signed_in()?;
    let data = app.data();
    let resource = data.resource(&caller, &group, &name).await?;
    match resource.field(&field).map(|field| &field.kind) {
        Some(FieldKind::Relation(relation)) => {
            Ok(Json(options::find(&data, &caller, relation, &words.q).await?))
        }
        _ => Err(Error::not_found("This field leads to no other records.")),
    }
}

/// `POST /data/{group}/{name}/{id}/files/{field}`: replaces the file of a record at once or, with
/// `remove`, wants it gone.
async fn replace_file(
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

/// `POST /data/-/batches/{id}`: what is to become of many changes, in `do`.
async fn decide_all(
    Services(app): Services<App>,
    caller: Caller,
    Path(id): Path<String>,
    head: Parts,
    request: Request,
) -> Result<Response> {
    let sent = Sent::read(head, request).await?;
    let batch = app.changes.batch(&caller, &id).await?;
    let list = address(&batch.group, &batch.name);
    let from = came_from(&app, &sent.head.headers).filter(|path| is_of_list(path, &list));
    let list = from.unwrap_or(list);
    let next = match sent.text("do") {
        Some("confirm") => {
            app.changes.confirm(&caller, &id).await?;
            batch_address(&id)
        }
        Some("retry") => {
            app.changes.retry_all(&caller, &id).await?;
            batch_address(&id)
        }
        Some("stop") => {
            app.changes.stop_batch(&caller, &id).await?;
            if batch.tally.done + batch.tally.failed > 0 { batch_address(&id) } else { list }
        }
        Some("close") => {
            app.changes.close_batch(&caller, &id).await?;
            list
        }
        _ => return Err(Error::bad_request("Say what is to become of them, in `do`.")),
    };
    Ok(Redirect::to(&next).into_response())
}

/// How far a batch has come, for the page that waits for it.
async fn tally(
    Services(app): Services<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Tally>> {
    Ok(Json(app.changes.batch(&caller, &id).await?.tally))
}

/// The page that the form stood on, if it was one of these; else where the change was `proposed`, or the
/// list.
fn back(app: &App, headers: &HeaderMap, change: &Change, proposed: Option<String>) -> String {
    let list = address(&change.group, &change.name);
    let record = record_address(&list, &change.record);
    match came_from(app, headers) {
        Some(path) if path == record || path == CHANGES || is_of_list(&path, &list) => path,
        _ => proposed.unwrap_or(list),
    }
}

/// The page of this site that a form stood on.
fn came_from(app: &App, headers: &HeaderMap) -> Option<String> {
    let from = Url::parse(headers.get(REFERER)?.to_str().ok()?).ok()?;
    let is_ours = from.origin().ascii_serialization() == app.config.server.origin();
    let path = &from[url::Position::BeforePath..url::Position::AfterQuery];
    is_ours.then(|| path.to_owned())
}

/// Whether a page is some part of the list at `list`.
fn is_of_list(path: &str, list: &str) -> bool {
    path.strip_prefix(list).is_some_and(|rest| rest.is_empty() || rest.starts_with('?'))
}

/// How far a change has come, for the page that waits for it.
#[derive(Serialize)]
struct Progress {
    state: State,
}

async fn state(
    Services(app): Services<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Progress>> {
    Ok(Json(Progress { state: app.changes.find(&caller, &id).await?.state }))
}
