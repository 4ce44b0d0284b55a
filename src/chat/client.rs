//! The island's way to the server: a POST that asks, a feed that tells, forms that are sent without
//! leaving the page.

use std::pin::pin;

use futures::{
    StreamExt,
    future::{Either, select},
};
use gloo_net::http::{Request, Response};
use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_streams::{ReadableStream, readable::IntoStream};
use web_sys::{AbortController, AbortSignal, Element, FormData, HtmlFormElement, UrlSearchParams};

use super::{
    sse::{Decoder, Event},
    wire::CONVERSATION_HEADER,
};
use crate::{
    error::{Failure, Kind},
    ui::browser,
};

/// How long an answer may take to begin, in milliseconds. A connection that died without a word looks
/// like a slow one, and browsers use it again.
const HEAD: u32 = 6_000;
/// The same for what the server does before it answers.
const DONE: u32 = 30_000;

/// Why a request came to nothing.
#[derive(Debug)]
pub enum AskError {
    /// Breezeway said no.
    Refused(Failure),
    /// Breezeway was not reached, or broke off.
    Offline,
}

/// A feed's frames as they arrive. Dropped, it gives its connection back.
pub struct Frames {
    chunks: IntoStream<'static>,
    decoder: Decoder,
    _connection: Connection,
}

/// A request on its way, or an answer: given up when it is dropped.
struct Connection(Option<AbortController>);

impl Connection {
    fn new() -> Self {
        Self(AbortController::new().ok())
    }

    fn signal(&self) -> Option<AbortSignal> {
        self.0.as_ref().map(AbortController::signal)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.abort();
        }
    }
}

/// The head of the answer, unless it takes too long.
async fn sent(
    request: impl Future<Output = Result<Response, gloo_net::Error>>,
    limit: u32,
) -> Result<Response, AskError> {
    match select(pin!(request), pin!(browser::sleep(limit))).await {
        Either::Left((answer, _)) => answer.map_err(offline),
        Either::Right(_) => Err(AskError::Offline),
    }
}

/// Sends a message with all that the composer's form says, and answers the id of the conversation
/// that the reply is written into. `after` is the last message that the page shows.
pub async fn ask(form: &HtmlFormElement, text: &str, after: &str) -> Result<String, AskError> {
    let fields = fields(form, None).map_err(|_| AskError::Offline)?;
    // The page's script has sent the files before; their ids are in the form.
    fields.delete("files");
    fields.set("text", text);
    fields.set("after", after);
    let connection = Connection::new();
    let request = Request::post(&form.action())
        .header("accept", "application/json")
        .abort_signal(connection.signal().as_ref())
        .body(fields)
        .map_err(offline)?;
    let response = accepted(sent(request.send(), DONE).await?).await?;
    response.headers().get(CONVERSATION_HEADER).ok_or(AskError::Offline)
}

/// Opens a conversation's feed at a place in it.
pub async fn feed(conversation: &str, cursor: &str) -> Result<Frames, AskError> {
    let address = format!("/api/chat/conversations/{conversation}/feed?after={cursor}");
    let connection = Connection::new();
    let request = Request::get(&address).abort_signal(connection.signal().as_ref());
    let response = sent(request.send(), HEAD).await?;
    // Trouble on the way is not the end of the conversation.
    if response.status() >= 500 {
        return Err(AskError::Offline);
    }
    let body = accepted(response).await?.body().ok_or(AskError::Offline)?;
    let chunks = ReadableStream::from_raw(body).into_stream();
    Ok(Frames { chunks, decoder: Decoder::new(), _connection: connection })
}

/// Sends a form as a browser would that `button` was pressed in, and stays on the page.
pub async fn submit(form: &HtmlFormElement, button: Option<&Element>) -> Result<(), AskError> {
    let connection = Connection::new();
    let request = Request::post(&form.action())
        .header("accept", "application/json")
        .abort_signal(connection.signal().as_ref());
    let request = match fields(form, button) {
        Ok(fields) => request.body(fields),
        Err(_) => request.build(),
    };
    let request = request.map_err(offline)?;
    accepted(sent(request.send(), DONE).await?).await.map(drop)
}

fn fields(form: &HtmlFormElement, button: Option<&Element>) -> Result<UrlSearchParams, JsValue> {
    let fields = FormData::new_with_form(form)?;
    let fields = UrlSearchParams::new_with_str_sequence_sequence(fields.as_ref())?;
    let attribute = |name| button.and_then(|button| button.get_attribute(name));
    if let (Some(name), Some(value)) = (attribute("name"), attribute("value")) {
        fields.append(&name, &value);
    }
    Ok(fields)
}

impl Frames {
    /// The frames that arrive next, none of them when the server only says that it is there; `None`
    /// when the connection ended, however it ended.
    pub async fn next(&mut self) -> Option<Vec<Event>> {
        let chunk = self.chunks.next().await?.ok()?.dyn_into::<Uint8Array>().ok()?.to_vec();
        self.decoder.push(&chunk).ok()
    }
}

async fn accepted(response: Response) -> Result<Response, AskError> {
    if response.ok() {
        return Ok(response);
    }
    let body = response.binary().await.map_err(offline)?;
    let failure = serde_json::from_slice::<Failure>(&body).unwrap_or_else(|_| {
        Failure::new(Kind::Internal, "Something went wrong. Your message is kept; try again.")
    });
    Err(AskError::Refused(failure))
}

fn offline(_: gloo_net::Error) -> AskError {
    AskError::Offline
}
