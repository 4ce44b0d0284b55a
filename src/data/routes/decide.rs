//! What is to become of a change that waits, or that an assistant proposes.

use axum::{
    Json,
    extract::{Request, State as Services},
    http::{HeaderMap, StatusCode, header::ACCEPT, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use serde::Serialize;

use super::super::{
    access,
    changes::{Change, Deed, State},
    form::{self, Filled},
    page::{form::Typed, proposal::proposal_form},
    resources::{CHANGES, address, change_address, record_address},
    service::Resource,
};
use super::{Sent, came_from, form_again, is_of_list, told_of};
use crate::{
    config::Action,
    error::{Error, Result},
    server::{extract::Path, state::App},
    session::Caller,
};

/// `POST /data/-/changes/{id}`: what is to become of a change, in `do`: `undo`, `again`, `choose` or, for
/// one that an assistant proposes, `confirm`.
pub(super) async fn decide(
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
            form_again(&app, &caller, &resource, form, sent.head).await
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

/// The way on: for a page that is told of what has changed, nothing.
fn answer(app: &App, headers: &HeaderMap, change: &Change, place: Option<String>) -> Response {
    let is_told = headers.get(ACCEPT).is_some_and(|accepts| accepts == "application/json");
    if is_told {
        return StatusCode::NO_CONTENT.into_response();
    }
    Redirect::to(&back(app, headers, change, place)).into_response()
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

/// How far a change has come, for the page that waits for it.
#[derive(Serialize)]
pub(super) struct Progress {
    state: State,
}

pub(super) async fn state(
    Services(app): Services<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Progress>> {
    Ok(Json(Progress { state: app.changes.find(&caller, &id).await?.state }))
}
