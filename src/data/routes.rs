//! The forms of the console, which work without a script.

mod decide;
mod lists;
mod many;
mod record;

use axum::{
    Router,
    body::to_bytes,
    extract::{DefaultBodyLimit, FromRequest, Multipart, Request, multipart::MultipartError},
    http::{HeaderMap, StatusCode, header::REFERER, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use url::{Url, form_urlencoded};

use super::{
    changes::Change,
    files::Chosen,
    form::{self, Opened},
    options,
    page::form::{FormView, Kept, kept_page, page},
    service::Resource,
};
use crate::{
    config::size_in_words,
    error::{Error, Kind, Result},
    server::{html, state::App},
    session::Caller,
    ui::zone::Zone,
};

/// The largest form, in bytes: one with long texts, and the same texts as it was opened on.
const LARGEST: usize = 8 << 20;
/// The most changes that a form takes the place of.
const MOST_REPLACED: usize = 100;

/// The forms of records, and what can be done with changes that wait.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/data/{group}/{name}/-/new", post(record::create))
        .route("/data/{group}/{name}/-/export.csv", get(many::export))
        .route("/data/{group}/{name}/-/import", post(many::import))
        .route("/data/{group}/{name}/-/bulk", post(many::bulk))
        .route("/data/{group}/{name}/-/views", post(lists::keep_view))
        .route("/data/{group}/{name}/-/options/{field}", get(lists::find_options))
        .route("/data/{group}/{name}/{id}/files/{field}", post(record::replace_file))
        .route("/data/-/batches/{id}", post(many::decide_all))
        .route("/data/-/batches/{id}/state", get(many::tally))
        .route("/data/-/batches/{id}/report.csv", get(many::report))
        .route("/data/{group}/{name}/{id}/edit", post(record::update))
        .route("/data/{group}/{name}/{id}/delete", post(record::delete))
        .route("/data/{group}/{name}/{id}/run", post(record::run))
        .route("/data/-/changes/{id}", post(decide::decide))
        .route("/data/-/changes/{id}/state", get(decide::state))
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

    /// Where its times are: as it was written for, whatever the browser says by now.
    fn zone(&self) -> Zone {
        let written = self.text("zone").and_then(Zone::named);
        written.unwrap_or_else(|| Zone::of(&self.head.headers))
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

/// The page of a form that has to be looked at again, with what its relations can lead to.
async fn form_again(
    app: &App,
    caller: &Caller,
    resource: &Resource,
    form: FormView,
    head: Parts,
) -> Response {
    let first = options::first(&app.data(), caller, resource).await;
    let form = form.offering(first, resource, None);
    let page = move || page(form.clone());
    html::page(app, head, StatusCode::UNPROCESSABLE_ENTITY, page).await
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
