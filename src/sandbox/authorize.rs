//! Signing in to the sandbox as a browser sees it: choose a person, allow, be sent back.
//!
//! The authorization request travels through every form as hidden fields and is checked anew at
//! each step, so nothing has to be remembered between them but the browser's own sign-in.

use std::io;

use axum::{
    Form, Router,
    extract::{
        Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use url::form_urlencoded;

use super::{
    SandboxState, cookie,
    oauth::{self, Provider, SCOPES, WEB_CLIENT},
    pages::{self, SignIn},
    people::{self, PasswordError, Person, SIGN_IN_LIFE},
    random_token,
    tokens::{Authorization, TokenError},
};

/// The sandbox's own sign-in; unrelated to Breezeway's session.
const SIGN_IN_COOKIE: &str = "sandbox_sign_in";

pub(super) fn routes() -> Router<SandboxState> {
    Router::new()
        .route("/authorize", get(open).post(step))
        .route("/end-session", get(end_session).post(end_session_by_form))
        .route("/style.css", get(pages::style))
        .route("/.well-known/openid-configuration", get(oauth::discovery))
}

/// The authorization request as it comes in, unchecked.
#[derive(Debug, Clone, Default, Deserialize)]
struct Parameters {
    client_id: Option<String>,
    redirect_uri: Option<String>,
    response_type: Option<String>,
    scope: Option<String>,
    state: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    prompt: Option<String>,
}

/// An authorization request that keeps all the rules.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AuthorizationRequest {
    redirect_uri: String,
    /// What is asked for and known; never empty.
    scope: String,
    state: Option<String>,
    nonce: Option<String>,
    challenge: String,
    prompt: Option<String>,
}

impl AuthorizationRequest {
    fn check(parameters: Parameters, provider: &Provider) -> Result<Self, Refusal> {
        if parameters.client_id.as_deref() != Some(WEB_CLIENT) {
            return Err(Refusal::page("The application is not registered with this sandbox."));
        }
        let redirect_uri = parameters
            .redirect_uri
            .filter(|uri| provider.redirect_uris.contains(uri))
            .ok_or(Refusal::page("The application's return address is not registered."))?;
        let back = Return { redirect_uri, state: parameters.state };

        if parameters.response_type.as_deref() != Some("code") {
            return Err(back.with_error("unsupported_response_type", "only code is supported"));
        }
        if parameters.code_challenge_method.as_deref() != Some("S256") {
            return Err(back.with_error("invalid_request", "PKCE with S256 is required"));
        }
        let challenge = parameters.code_challenge.filter(|challenge| is_s256(challenge));
        let Some(challenge) = challenge else {
            return Err(back.with_error("invalid_request", "code_challenge is not a SHA-256"));
        };
        let scope = known_scopes(parameters.scope.as_deref().unwrap_or_default());
        if scope.is_empty() {
            return Err(back.with_error("invalid_scope", "no known scope was asked for"));
        }
        Ok(Self {
            redirect_uri: back.redirect_uri,
            state: back.state,
            nonce: parameters.nonce,
            prompt: parameters.prompt,
            scope,
            challenge,
        })
    }

    /// The request again, for the hidden fields of a form.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("client_id", Some(WEB_CLIENT)),
            ("redirect_uri", Some(self.redirect_uri.as_str())),
            ("response_type", Some("code")),
            ("scope", Some(self.scope.as_str())),
            ("state", self.state.as_deref()),
            ("nonce", self.nonce.as_deref()),
            ("code_challenge", Some(self.challenge.as_str())),
            ("code_challenge_method", Some("S256")),
            ("prompt", self.prompt.as_deref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }

    /// The scopes that are asked for.
    pub(super) fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.split(' ')
    }

    fn prompts(&self, word: &str) -> bool {
        self.prompt.as_deref().is_some_and(|prompt| prompt.split(' ').any(|own| own == word))
    }

    fn back(&self) -> Return {
        Return { redirect_uri: self.redirect_uri.clone(), state: self.state.clone() }
    }
}

fn is_s256(challenge: &str) -> bool {
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    challenge.len() == 43 && challenge.bytes().all(base64url)
}

fn known_scopes(asked: &str) -> String {
    let known = SCOPES.into_iter().filter(|&scope| people::covers(asked, scope));
    known.collect::<Vec<_>>().join(" ")
}

/// Where an answer to the application goes. Only a registered address gets into one.
#[derive(Debug, PartialEq, Eq)]
struct Return {
    redirect_uri: String,
    state: Option<String>,
}

impl Return {
    fn with_error(self, error: &'static str, description: &'static str) -> Refusal {
        Refusal::Return { back: self, error, description }
    }

    /// A redirect that carries the answer, the state and the issuer (RFC 9207).
    fn with(&self, provider: &Provider, answer: &[(&str, &str)]) -> Response {
        let state = self.state.as_deref().map(|state| ("state", state));
        let issuer = ("iss", provider.issuer.as_str());
        let pairs = answer.iter().copied().chain(state).chain([issuer]);
        see_other(&with_query(&self.redirect_uri, pairs))
    }
}

/// Why an authorization request gets no further.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// Nobody trustworthy to send the person back to: say it here.
    Page { status: StatusCode, message: &'static str },
    /// Tell the application.
    Return { back: Return, error: &'static str, description: &'static str },
}

impl Refusal {
    fn page(message: &'static str) -> Self {
        Self::Page { status: StatusCode::BAD_REQUEST, message }
    }

    fn into_response(self, provider: &Provider) -> Response {
        match self {
            Self::Page { status, message } => {
                pages::respond(provider, status, pages::refused(message))
            }
            Self::Return { back, error, description } => {
                back.with(provider, &[("error", error), ("error_description", description)])
            }
        }
    }
}

/// Why a step could not be taken: refused, or the sandbox itself failed.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("the request was refused")]
    Refused(Refusal),
    #[error(transparent)]
    Storage(#[from] sqlx::Error),
    #[error(transparent)]
    Random(#[from] io::Error),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl From<Refusal> for StepError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl StepError {
    fn into_response(self, provider: &Provider) -> Response {
        let refusal = match self {
            Self::Refused(refusal) => refusal,
            error => {
                tracing::error!(%error, "the sandbox failed while signing someone in");
                let message = "The sandbox failed. Nothing was changed; go back and try again.";
                Refusal::Page { status: StatusCode::INTERNAL_SERVER_ERROR, message }
            }
        };
        refusal.into_response(provider)
    }
}

async fn open(
    State(state): State<SandboxState>,
    headers: HeaderMap,
    query: Result<Query<Parameters>, QueryRejection>,
) -> Response {
    let opened = begin(&state, &headers, query).await;
    opened.unwrap_or_else(|error| error.into_response(&state.provider))
}

async fn begin(
    state: &SandboxState,
    headers: &HeaderMap,
    query: Result<Query<Parameters>, QueryRejection>,
) -> Result<Response, StepError> {
    let Query(parameters) = query.map_err(|_| unreadable())?;
    let request = AuthorizationRequest::check(parameters, &state.provider)?;
    if request.prompts("none") {
        return Err(request.back().with_error("login_required", "a person has to choose").into());
    }
    choose(state, headers, &request, Problem::None).await
}

fn unreadable() -> Refusal {
    Refusal::page("The request could not be read: every parameter may come only once.")
}

/// A form that was sent: the request it belongs to, and what the person chose.
#[derive(Deserialize)]
struct Submission {
    #[serde(flatten)]
    parameters: Parameters,
    #[serde(flatten)]
    step: Step,
}

/// What a person can do on the sandbox's pages.
#[derive(Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
enum Step {
    /// Sign in as one of the demo people, no questions asked.
    Person { user_name: String },
    /// Sign in with name and password.
    Password { user_name: String, password: String },
    /// Go on as the person this browser is signed in as.
    Continue { user_name: String },
    /// Let the application in.
    Allow { user_name: String },
    /// Keep the application out.
    Deny,
    /// Leave without signing in.
    Cancel,
}

/// What the sign-in page has to say about the attempt before.
enum Problem {
    None,
    /// Nobody has this name and password.
    WrongPassword {
        user_name: String,
    },
    /// The browser is not signed in, or not any more as the person the form was made for.
    SignInEnded,
}

async fn step(
    State(state): State<SandboxState>,
    headers: HeaderMap,
    form: Result<Form<Submission>, FormRejection>,
) -> Response {
    let taken = take(&state, &headers, form).await;
    taken.unwrap_or_else(|error| error.into_response(&state.provider))
}

async fn take(
    state: &SandboxState,
    headers: &HeaderMap,
    form: Result<Form<Submission>, FormRejection>,
) -> Result<Response, StepError> {
    if !is_same_origin(headers, &state.provider.origin) {
        let message = "The form was sent from another site. Start again from the application.";
        return Err(Refusal::Page { status: StatusCode::FORBIDDEN, message }.into());
    }
    let Form(Submission { parameters, step }) = form.map_err(|_| unreadable())?;
    let request = AuthorizationRequest::check(parameters, &state.provider)?;
    match step {
        Step::Person { user_name } => match people::by_user_name(&user_name) {
            Some(person) => sign_in(state, headers, &request, person).await,
            None => choose(state, headers, &request, Problem::SignInEnded).await,
        },
        Step::Password { user_name, password } => {
            match people::with_password(&state.pool, &user_name, password).await? {
                Some(person) => sign_in(state, headers, &request, person).await,
                None => {
                    choose(state, headers, &request, Problem::WrongPassword { user_name }).await
                }
            }
        }
        Step::Continue { user_name } => match same_person(state, headers, &user_name).await? {
            Some(person) => proceed(state, &request, person).await,
            None => choose(state, headers, &request, Problem::SignInEnded).await,
        },
        Step::Allow { user_name } => match same_person(state, headers, &user_name).await? {
            Some(person) => {
                people::allow(&state.pool, person, WEB_CLIENT, &request.scope).await?;
                send_code(state, &request, person).await
            }
            None => choose(state, headers, &request, Problem::SignInEnded).await,
        },
        Step::Deny => Err(request.back().with_error("access_denied", "access was denied").into()),
        Step::Cancel => {
            Err(request.back().with_error("access_denied", "the sign-in was cancelled").into())
        }
    }
}

/// The page on which a person chooses who to be.
async fn choose(
    state: &SandboxState,
    headers: &HeaderMap,
    request: &AuthorizationRequest,
    problem: Problem,
) -> Result<Response, StepError> {
    let (message, user_name) = match &problem {
        Problem::None => (None, ""),
        Problem::WrongPassword { user_name } => (
            Some("No one has this user name and password. Check both and try again."),
            &**user_name,
        ),
        Problem::SignInEnded => (Some("Your sign-in here has ended. Choose a person again."), ""),
    };
    let signed_in = signed_in(state, headers).await?;
    let page = pages::sign_in(&SignIn { request, signed_in, message, user_name });
    Ok(pages::respond(&state.provider, StatusCode::OK, page))
}

/// Starts a new sign-in of this browser in place of the one it had.
async fn sign_in(
    state: &SandboxState,
    headers: &HeaderMap,
    request: &AuthorizationRequest,
    person: &Person,
) -> Result<Response, StepError> {
    if let Some(old) = cookie(headers, SIGN_IN_COOKIE) {
        people::sign_out(&state.pool, old).await?;
    }
    let id = random_token()?;
    people::sign_in(&state.pool, &id, person).await?;
    let next = proceed(state, request, person).await?;
    let cookie = sign_in_cookie(&state.provider, &id, SIGN_IN_LIFE);
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), next).into_response())
}

/// Goes on after sign-in: back to the application if it was allowed before, else ask.
async fn proceed(
    state: &SandboxState,
    request: &AuthorizationRequest,
    person: &Person,
) -> Result<Response, StepError> {
    let allowed = people::has_allowed(&state.pool, person, WEB_CLIENT, &request.scope).await?;
    if allowed && !request.prompts("consent") {
        return send_code(state, request, person).await;
    }
    let page = pages::consent(request, person);
    Ok(pages::respond(&state.provider, StatusCode::OK, page))
}

async fn send_code(
    state: &SandboxState,
    request: &AuthorizationRequest,
    person: &Person,
) -> Result<Response, StepError> {
    let authorization = Authorization {
        client_id: WEB_CLIENT,
        subject: person.subject,
        scope: &request.scope,
        redirect_uri: &request.redirect_uri,
        challenge: &request.challenge,
        nonce: request.nonce.as_deref(),
    };
    let code = state.tokens.new_code(authorization).await?;
    Ok(request.back().with(&state.provider, &[("code", &code)]))
}

async fn signed_in(
    state: &SandboxState,
    headers: &HeaderMap,
) -> Result<Option<&'static Person>, sqlx::Error> {
    match cookie(headers, SIGN_IN_COOKIE) {
        Some(id) => people::signed_in(&state.pool, id).await,
        None => Ok(None),
    }
}

/// The signed-in person, if it is still the one that the form was made for.
async fn same_person(
    state: &SandboxState,
    headers: &HeaderMap,
    user_name: &str,
) -> Result<Option<&'static Person>, sqlx::Error> {
    let person = signed_in(state, headers).await?;
    Ok(person.filter(|person| person.user_name == user_name))
}

/// What an application says when it ends a session.
#[derive(Default, Deserialize)]
struct EndSession {
    post_logout_redirect_uri: Option<String>,
    state: Option<String>,
}

async fn end_session(
    State(state): State<SandboxState>,
    headers: HeaderMap,
    query: Result<Query<EndSession>, QueryRejection>,
) -> Response {
    let request = query.map(|Query(request)| request).unwrap_or_default();
    sign_out(&state, &headers, request).await
}

async fn end_session_by_form(
    State(state): State<SandboxState>,
    headers: HeaderMap,
    form: Result<Form<EndSession>, FormRejection>,
) -> Response {
    let request = form.map(|Form(request)| request).unwrap_or_default();
    sign_out(&state, &headers, request).await
}

async fn sign_out(state: &SandboxState, headers: &HeaderMap, request: EndSession) -> Response {
    if let Some(id) = cookie(headers, SIGN_IN_COOKIE)
        && let Err(error) = people::sign_out(&state.pool, id).await
    {
        return StepError::from(error).into_response(&state.provider);
    }
    let cleared = sign_in_cookie(&state.provider, "", 0);
    let next = after_sign_out(&state.provider, request);
    (AppendHeaders([(header::SET_COOKIE, cleared)]), next).into_response()
}

fn after_sign_out(provider: &Provider, request: EndSession) -> Response {
    let registered =
        request.post_logout_redirect_uri.filter(|uri| provider.post_logout_uris.contains(uri));
    match registered {
        Some(uri) => {
            let state = request.state.as_deref().map(|state| ("state", state));
            see_other(&with_query(&uri, state.into_iter()))
        }
        None => pages::respond(provider, StatusCode::OK, pages::signed_out()),
    }
}

fn sign_in_cookie(provider: &Provider, id: &str, max_age: i64) -> String {
    let secure = if provider.is_https() { "; Secure" } else { "" };
    format!(
        "{SIGN_IN_COOKIE}={id}; Path=/sandbox; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}"
    )
}

/// Whether a form came from our own pages. Browsers that send no `Sec-Fetch-Site` (plain http on
/// another host than localhost) still send `Origin`; a request with neither is refused.
fn is_same_origin(headers: &HeaderMap, origin: &str) -> bool {
    let value = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    match value("sec-fetch-site") {
        Some(site) => site == b"same-origin",
        None => value("origin") == Some(origin.as_bytes()),
    }
}

fn with_query<'a>(uri: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    match (query.is_empty(), uri.contains('?')) {
        (true, _) => uri.to_owned(),
        (false, true) => format!("{uri}&{query}"),
        (false, false) => format!("{uri}?{query}"),
    }
}

fn see_other(uri: &str) -> Response {
    // A registered address holds no control characters, and the query is percent-encoded.
    let Ok(location) = HeaderValue::from_str(uri) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;
    use url::Url;

    use super::super::oauth::Client;
    use super::*;

    const CALLBACK: &str = "https://app.example/auth/callback";

    fn provider() -> Provider {
        Provider {
            issuer: "https://app.example/sandbox".into(),
            origin: "https://app.example".into(),
            api: Url::parse("http://127.0.0.1:4000/").unwrap(),
            web: Client { id: WEB_CLIENT, secret: "secret".into() },
            machine: Client { id: oauth::MACHINE_CLIENT, secret: "secret".into() },
            redirect_uris: vec![CALLBACK.into()],
            post_logout_uris: vec!["https://app.example/".into()],
        }
    }

    fn parameters() -> Parameters {
        Parameters {
            client_id: Some(WEB_CLIENT.into()),
            redirect_uri: Some(CALLBACK.into()),
            response_type: Some("code".into()),
            scope: Some("offline_access openid unheard-of".into()),
            state: Some("s&1".into()),
            nonce: Some("n".into()),
            code_challenge: Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".into()),
            code_challenge_method: Some("S256".into()),
            prompt: None,
        }
    }

    fn check(parameters: Parameters) -> Result<AuthorizationRequest, Refusal> {
        AuthorizationRequest::check(parameters, &provider())
    }

    fn error(parameters: Parameters) -> &'static str {
        match check(parameters) {
            Err(Refusal::Return { error, .. }) => error,
            Err(Refusal::Page { .. }) => "page",
            Ok(_) => "none",
        }
    }

    fn location(response: &Response) -> &str {
        response.headers()[header::LOCATION].to_str().unwrap()
    }

    #[test]
    fn a_good_request_keeps_the_scopes_that_are_known() {
        let request = check(parameters()).unwrap();
        assert_eq!(request.scope, "openid offline_access");
        assert!(!request.prompts("consent"));
    }

    #[test]
    fn hidden_fields_carry_the_whole_request() {
        let request = check(parameters()).unwrap();
        let query =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(request.fields()).finish();
        let uri: Uri = format!("/authorize?{query}").parse().unwrap();
        let Query(again) = Query::<Parameters>::try_from_uri(&uri).unwrap();
        assert_eq!(check(again).unwrap(), request);
    }

    #[test]
    fn nobody_is_sent_to_an_address_that_is_not_registered() {
        for uri in ["https://app.example/auth/callback/", "https://evil.test/", "", "//evil.test"] {
            let redirect_uri = Some(uri.to_owned());
            assert_eq!(error(Parameters { redirect_uri, ..parameters() }), "page", "{uri}");
        }
        assert_eq!(error(Parameters { redirect_uri: None, ..parameters() }), "page");
        let client_id = Some("other".to_owned());
        assert_eq!(error(Parameters { client_id, ..parameters() }), "page");
    }

    #[test]
    fn other_faults_are_told_to_the_application() {
        let response_type = Some("token".to_owned());
        let request = Parameters { response_type, ..parameters() };
        assert_eq!(error(request), "unsupported_response_type");
        let code_challenge_method = Some("plain".to_owned());
        assert_eq!(error(Parameters { code_challenge_method, ..parameters() }), "invalid_request");
        let code_challenge = Some("short".to_owned());
        assert_eq!(error(Parameters { code_challenge, ..parameters() }), "invalid_request");
        assert_eq!(error(Parameters { code_challenge: None, ..parameters() }), "invalid_request");
        let scope = Some("unheard-of".to_owned());
        assert_eq!(error(Parameters { scope, ..parameters() }), "invalid_scope");
    }

    #[test]
    fn the_answer_carries_state_and_issuer() {
        let back = check(parameters()).unwrap().back();
        let response = back.with(&provider(), &[("code", "c=1")]);
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(
            location(&response),
            "https://app.example/auth/callback?code=c%3D1&state=s%261\
             &iss=https%3A%2F%2Fapp.example%2Fsandbox"
        );
    }

    #[test]
    fn forms_say_which_step_was_taken() {
        let body = "client_id=breezeway&state=1&step=password&user_name=ada&password=p%20w";
        let submission: Submission = read(body).unwrap();
        assert_eq!(submission.parameters.state.as_deref(), Some("1"));
        assert!(matches!(
            submission.step,
            Step::Password { user_name, password } if user_name == "ada" && password == "p w"
        ));
        assert!(matches!(read("step=deny&user_name=ada").unwrap().step, Step::Deny));
        assert!(read("step=fly").is_none());
        assert!(read("client_id=breezeway").is_none());
        assert!(read("step=deny&state=1&state=2").is_none());
    }

    fn read(body: &str) -> Option<Submission> {
        let uri: Uri = format!("/?{body}").parse().ok()?;
        Query::try_from_uri(&uri).ok().map(|Query(submission)| submission)
    }

    #[test]
    fn only_our_own_pages_may_send_forms() {
        let check = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            is_same_origin(&headers, "https://app.example")
        };
        assert!(check(&[("sec-fetch-site", "same-origin")]));
        assert!(check(&[("origin", "https://app.example")]));
        assert!(check(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(!check(&[]));
        assert!(!check(&[("origin", "null")]));
        assert!(!check(&[("origin", "https://app.example.evil.test")]));
        assert!(!check(&[("sec-fetch-site", "same-site"), ("origin", "https://app.example")]));
        assert!(!check(&[("sec-fetch-site", "cross-site")]));
        assert!(!check(&[("sec-fetch-site", "none")]));
    }

    #[test]
    fn signing_out_returns_to_registered_addresses_only() {
        let request = |uri: &str| EndSession {
            post_logout_redirect_uri: Some(uri.into()),
            state: Some("s".into()),
        };
        let response = after_sign_out(&provider(), request("https://app.example/"));
        assert_eq!(location(&response), "https://app.example/?state=s");
        let response = after_sign_out(&provider(), request("https://evil.test/"));
        assert_eq!(response.status(), StatusCode::OK);
    }

    #[test]
    fn the_cookie_is_for_the_sandbox_pages_only() {
        assert_eq!(
            sign_in_cookie(&provider(), "id", 60),
            "sandbox_sign_in=id; Path=/sandbox; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
        );
    }
}
