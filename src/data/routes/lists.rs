//! Lists under names, and what a relation can lead to.

use axum::{
    Json,
    extract::{Request, State as Services},
    http::request::Parts,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::super::{
    options::{self, Choosable},
    resources::{address, asked_address},
};
use super::Sent;
use crate::{
    config::FieldKind,
    error::{Error, Result},
    server::{
        extract::{Path, Query},
        state::App,
    },
    session::Caller,
};

/// `POST /data/{group}/{name}/-/views`: keeps the list of `query` under a `name`, removes one, or puts
/// the resource on the first page (`pin`).
pub(super) async fn keep_view(
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
    Ok(Redirect::to(&asked_address(address(&group, &name), &query)).into_response())
}

#[derive(Deserialize)]
pub(super) struct Words {
    #[serde(default)]
    q: String,
}

/// `GET /data/{group}/{name}/-/options/{field}`: what a relation can lead to, by words.
pub(super) async fn find_options(
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
