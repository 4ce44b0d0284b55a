//! Many records at once: files out and in, changes of what is chosen, and how far they have come.

use std::collections::BTreeSet;

use axum::{
    Json,
    body::Body,
    extract::{Request, State as Services},
    http::{
        HeaderMap, StatusCode, Uri,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
        request::Parts,
    },
    response::{IntoResponse, Redirect, Response},
};
use serde_json::{Map, Value};

use super::super::{
    access,
    changes::{Deed, Draft, MOST_CHANGES, TROUBLE, Tally},
    export::{Export, report_lines},
    form::{self, Filled},
    import::{self, Allowed, Read},
    page::{
        batch::{BulkForm, bulk_form, import_view},
        form::{Typed, title_of},
    },
    query::ListQuery,
    resources::{address, asked_address, batch_address},
    service::Resource,
};
use super::{Sent, came_from, file_of, is_of_list};
use crate::{
    config::Action,
    error::{Error, Result},
    server::{extract::Path, html, state::App},
    session::Caller,
    ui::zone::Zone,
};

/// The largest file that is imported, in bytes.
const LARGEST_FILE: u64 = 32 << 20;
/// The most bytes of values that many changes hold together.
const LARGEST_BATCH: usize = 64 << 20;

/// `GET /data/{group}/{name}/-/export.csv`: all that the same query lists, on however many pages.
pub(super) async fn export(
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

/// `GET /data/-/batches/{id}/report.csv`: what did not work out, line by line.
pub(super) async fn report(
    Services(app): Services<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    let batch = app.changes.batch(&caller, &id).await?;
    let resource = app.data().resource(&caller, &batch.group, &batch.name).await?;
    let trouble = app.changes.some_of(&batch, &TROUBLE, MOST_CHANGES as i64).await?;
    let head = [
        (CONTENT_TYPE, "text/csv; charset=utf-8; header=present".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{}-report.csv\"", batch.name)),
    ];
    Ok((head, report_lines(&resource, &trouble)?).into_response())
}

/// `POST /data/{group}/{name}/-/import`: a file, which becomes changes that wait for a yes.
pub(super) async fn import(
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

/// `POST /data/{group}/{name}/-/bulk`: does something with the records that `id` names or, with `all`,
/// with everything that `query` lists. `do` says what: `edit` asks for values, `set` takes them.
pub(super) async fn bulk(
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
            let zone = &sent.zone();
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
    Ok(Redirect::to(&asked_address(address(&group, &name), &query)).into_response())
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
    let is_kept = |name: &str| ["id", "all", "query", "request", "count"].contains(&name);
    let kept: Vec<_> = sent.form.iter().filter(|(name, _)| is_kept(name)).cloned().collect();
    let set: Vec<String> = sent.texts("set").map(str::to_owned).collect();
    let status = match sent.text("do") {
        Some("edit") => StatusCode::OK,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let (of_page, zone) = (app.clone(), sent.zone());
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
    let (names, total) = export.names(MOST_CHANGES).await?;
    match (sent.text("count").map(str::parse::<u64>), total) {
        (Some(Ok(count)), Some(total)) if count != total => Err(Error::conflict(format!(
            "The list has changed: it had {count} records on the page, and has {total} now. Nothing \
             was changed. Open the list again, and look."
        ))),
        _ => Ok(names),
    }
}

/// `POST /data/-/batches/{id}`: what is to become of many changes, in `do`.
pub(super) async fn decide_all(
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
pub(super) async fn tally(
    Services(app): Services<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Tally>> {
    Ok(Json(app.changes.batch(&caller, &id).await?.tally))
}
