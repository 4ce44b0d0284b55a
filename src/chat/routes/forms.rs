//! Forms of the chat pages, which work without a script.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse, Redirect, Response},
};

use super::{
    accepts,
    ask::{naming, whole_body},
};
use crate::{
    chat::{
        page::{KeptMessage, PROMPTS, Unsaved, Unsent, prompts_page},
        service::{Place, Position, Question},
        upload::{self, Fields},
        view::Prompt,
    },
    error::{Error, Kind, Result},
    server::{html, state::App},
    session::Caller,
    ui::reader::Habits,
};

/// What the composer's form says, sent with or without a script.
fn question_of(fields: &Fields, headers: &HeaderMap) -> Question {
    let field = |name: &str| fields.text(name).map(str::to_owned);
    Question {
        conversation: field("conversation").map(Place::Id),
        text: written(fields),
        request_id: field("request_id"),
        assistant: field("assistant"),
        position: match (field("beside"), field("after")) {
            (Some(question), _) => Position::Beside(question),
            (None, Some(message)) => Position::After(message),
            (None, None) => Position::End,
        },
        is_temporary: field("temporary").is_some(),
        files: fields.all_files(),
        about: field("about"),
        habits: Habits::of(headers),
        ..Question::default()
    }
}

/// What was typed, else what was suggested.
fn written(fields: &Fields) -> String {
    let typed = fields.text("text").filter(|text| !text.trim().is_empty());
    typed.or_else(|| fields.text("suggestion")).unwrap_or_default().to_owned()
}

/// What of it is worth sending again. Where the conversation went on elsewhere, the next attempt goes
/// to wherever it is by then: the page says so.
fn unsent(fields: &Fields) -> Unsent {
    let named = ["conversation", "beside", "assistant", "temporary", "about"]
        .into_iter()
        .filter_map(|name| Some((name, fields.text(name)?.to_owned())));
    let files = fields.all_files().into_iter().map(|id| ("file", id));
    Unsent { text: written(fields), place: named.chain(files).collect() }
}

/// `POST /chat`: asks, and sends the browser to the page where the reply arrives; 201 for a script,
/// which is told of the reply by its feed. When that cannot be, a browser's answer is a page that
/// holds the message.
pub(super) async fn ask_by_form(
    State(app): State<App>,
    caller: Caller,
    head: Parts,
    request: Request,
) -> Result<Response> {
    let wants_page = accepts(&head.headers, "text/html");
    let mut fields = Fields::default();
    let asked = match read_form(&app, &caller, request, &mut fields).await {
        Ok(()) => app.chat.ask(&caller, question_of(&fields, &head.headers)).await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(started) if wants_page => {
            Ok(Redirect::to(&format!("/chat/{}/live", started.conversation)).into_response())
        }
        Ok(started) => Ok(naming(StatusCode::CREATED.into_response(), &started)),
        Err(error) if wants_page => Ok(kept(&app, head, error, unsent(&fields)).await),
        Err(error) => Err(error),
    }
}

async fn read_form(
    app: &App,
    caller: &Caller,
    request: Request,
    fields: &mut Fields,
) -> Result<()> {
    if upload::is_multipart(&request) {
        return upload::read(&app.chat, caller, request, fields).await;
    }
    *fields = Fields::of_form(&whole_body(request).await?);
    Ok(())
}

async fn kept(app: &App, head: Parts, error: Error, unsent: Unsent) -> Response {
    let signed_out = error.kind() == Kind::Unauthenticated;
    let message = error.message().to_owned();
    let page = move || KeptMessage(message.clone(), unsent.clone(), signed_out);
    html::error_page(app, head, &error, page).await
}

/// `POST /settings/prompts`: keeps a saved prompt or, with `delete`, removes it. What cannot be saved
/// is on the page that answers.
pub(super) async fn save_prompt(
    State(app): State<App>,
    caller: Caller,
    head: Parts,
    request: Request,
) -> Result<Response> {
    let fields = Fields::of_form(&whole_body(request).await?);
    let field = |name: &str| fields.text(name).unwrap_or_default().to_owned();
    let prompt = Prompt { id: field("id"), name: field("name"), text: field("text") };
    let done = match fields.text("delete") {
        Some(_) => app.chat.remove_prompt(&caller, &prompt.id).await,
        None => app.chat.save_prompt(&caller, prompt.clone()).await,
    };
    let Err(error) = done else { return Ok(Redirect::to(PROMPTS).into_response()) };
    let prompts = app.chat.prompts(&caller).await.unwrap_or_default();
    let unsaved = Unsaved { prompt, problem: error.message().to_owned() };
    let page = move || prompts_page(prompts.clone(), Some(unsaved.clone()));
    Ok(html::error_page(&app, head, &error, page).await)
}
