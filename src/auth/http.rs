//! Talking HTTP to an identity provider: one client, bounded answers, errors that quote nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::header::SET_COOKIE;
use oauth2::{
    HttpRequest, HttpResponse, RequestTokenError,
    basic::{BasicErrorResponse, BasicErrorResponseType},
};

use secrecy::SecretString;
use tower_sessions::cookie::Cookie;

use crate::error::{Error, Result};

/// How long a connection may take, and how long everything.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(15);
/// The largest document taken from a provider, in bytes.
const LARGEST: usize = 1 << 20;

/// How an exchange with a token endpoint fails.
pub type TokenError = RequestTokenError<HttpError, BasicErrorResponse>;

/// Why a request to a provider brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error(transparent)]
    Transport(#[from] reqwest::Error),
    #[error("the answer is larger than {LARGEST} bytes")]
    TooLarge,
    #[error(transparent)]
    Response(#[from] axum::http::Error),
}

/// A client that follows no redirection and waits fifteen seconds.
pub fn client() -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        .build()
        .map_err(Error::internal)
}

/// Sends a request of the oauth2 crate.
pub async fn send(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let answer = http.execute(request.try_into()?).await?;
    let mut response = axum::http::Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        response = response.header(name, value);
    }
    let body = read_limited(answer).await?;
    Ok(response.body(body)?)
}

/// Reads an answer of at most a megabyte.
pub async fn read_limited(mut answer: reqwest::Response) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST {
            return Err(HttpError::TooLarge);
        }
    }
    Ok(body)
}

/// What the oauth2 crate does not hand out of an answer: its status and its cookies.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<Glimpse>>);

#[derive(Clone, Default)]
struct Glimpse {
    status: Option<u16>,
    cookies: BTreeMap<String, SecretString>,
}

impl Seen {
    /// Sends a request of the oauth2 crate, and looks at the answer on its way.
    pub async fn send(
        self,
        http: reqwest::Client,
        request: HttpRequest,
    ) -> Result<HttpResponse, HttpError> {
        let answer = send(http, request).await?;
        let cookies = answer.headers().get_all(SET_COOKIE).iter();
        let cookies = cookies
            .filter_map(|value| Cookie::parse(value.to_str().ok()?).ok())
            .map(|cookie| (cookie.name().to_owned(), SecretString::from(cookie.value())))
            .collect();
        let status = Some(answer.status().as_u16());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Glimpse { status, cookies };
        Ok(answer)
    }

    /// The status of the answer, when there was one.
    pub fn status(&self) -> Option<u16> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).status
    }

    /// The cookies that came with it.
    pub fn cookies(&self) -> BTreeMap<String, SecretString> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).cookies.clone()
    }

    /// Whether a failure is the provider's own word that it is over: `invalid_grant` or
    /// `invalid_client`, and not under a status that speaks of trouble or of haste.
    pub fn ends(&self, cause: &TokenError) -> bool {
        let is_its_word = matches!(
            cause,
            RequestTokenError::ServerResponse(answer) if matches!(
                answer.error(),
                BasicErrorResponseType::InvalidGrant | BasicErrorResponseType::InvalidClient
            )
        );
        is_its_word && self.status().is_some_and(|status| status < 500 && status != 429)
    }
}

/// The oauth2 crate's parse error holds the whole answer, tokens included: name its kind only.
pub fn describe(cause: &TokenError) -> String {
    match cause {
        RequestTokenError::ServerResponse(answer) => {
            format!("the token endpoint answered {}", answer.error().as_ref())
        }
        RequestTokenError::Request(cause) => format!("the token endpoint is unreachable: {cause}"),
        RequestTokenError::Parse(cause, _) => {
            format!("the token endpoint's answer is not understood: {}", category(cause.inner()))
        }
        RequestTokenError::Other(what) => format!("the token endpoint's answer is wrong: {what}"),
    }
}

/// Names the kind of a JSON error without quoting the document.
pub fn category(cause: &serde_json::Error) -> &'static str {
    match cause.classify() {
        serde_json::error::Category::Io => "unreadable",
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Data => "not a token response",
        serde_json::error::Category::Eof => "cut short",
    }
}

/// 503: the provider is not there.
pub fn unreachable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable(
        "The sign-in service cannot be reached right now. Nothing is wrong with your account; try \
         again in a moment.",
    )
    .because(cause)
}
