//! The addresses of signing in and out.

use axum::{
    Form, Json, Router,
    extract::{RawQuery, State, rejection::FormRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tower_sessions::Session;
use url::form_urlencoded;

use super::service::Hop;
use crate::{
    error::{Error, Kind, Result},
    server::{client::ClientAddress, state::App},
    session::Caller,
};

/// `/auth/login`, `/auth/callback`, `/auth/logout`, `/auth/backchannel-logout`, `/api/auth`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/auth/login", get(login))
        .route("/auth/callback", get(callback))
        .route("/auth/logout", post(logout))
        .route("/auth/backchannel-logout", post(provider_logout))
        .route("/api/auth", post(machine))
}

async fn login(
    State(app): State<App>,
    ClientAddress(client): ClientAddress,
    query: RawQuery,
    headers: HeaderMap,
) -> Result<Response> {
    app.auth.check_address(client)?;
    let return_to = form_urlencoded::parse(query.0.unwrap_or_default().as_bytes())
        .find(|(key, _)| key == "return_to")
        .map(|(_, value)| value.into_owned());
    Ok(app.auth.begin(&cookies(&headers), return_to.as_deref()).await?.into_response())
}

async fn callback(
    State(app): State<App>,
    ClientAddress(client): ClientAddress,
    session: Session,
    query: RawQuery,
    headers: HeaderMap,
) -> Result<Response> {
    app.auth.check_address(client)?;
    let query = query.0.unwrap_or_default();
    let device = device(&headers);
    Ok(match app.auth.complete(&session, &cookies(&headers), &query, device).await {
        Ok(hop) => hop.into_response(),
        Err(error) => {
            let removal = app.auth.forget_attempt(&query);
            (removal.map(|cookie| [(header::SET_COOKIE, cookie)]), error).into_response()
        }
    })
}

async fn logout(State(app): State<App>, session: Session, caller: Caller) -> Result<Response> {
    Ok(app.sign_out(&session, &caller).await?.into_response())
}

#[derive(Deserialize)]
struct LogoutForm {
    logout_token: String,
}

/// `POST /auth/backchannel-logout`: the provider's own word that sessions have ended.
async fn provider_logout(
    State(app): State<App>,
    ClientAddress(client): ClientAddress,
    form: Result<Form<LogoutForm>, FormRejection>,
) -> Result<impl IntoResponse> {
    let outcome = match form {
        Ok(Form(form)) => app.auth.end_by_logout_token(&form.logout_token).await,
        Err(_) => Err(Error::bad_request("The request holds no logout token.")),
    };
    // A provider ends many sessions at once; only what is not its own counts against an address.
    if outcome.as_ref().is_err_and(|error| error.kind() == Kind::BadRequest) {
        app.auth.check_address(client)?;
    }
    outcome?;
    Ok((StatusCode::OK, [(header::CACHE_CONTROL, "no-store")]))
}

/// What a client may know of the token that its session holds.
#[derive(Serialize)]
struct MachineAnswer {
    token_type: &'static str,
    expires_in: Option<u128>,
    scope: Option<String>,
}

async fn machine(
    State(app): State<App>,
    ClientAddress(client): ClientAddress,
    session: Session,
    headers: HeaderMap,
) -> Result<impl IntoResponse> {
    app.auth.check_address(client)?;
    let token = app.auth.sign_in_machine(&session, device(&headers)).await?;
    let answer = MachineAnswer {
        token_type: "Bearer",
        expires_in: token.expires_in().map(|life| life.as_millis().div_ceil(1000)),
        scope: token.scope,
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)))
}

impl IntoResponse for Hop {
    fn into_response(self) -> Response {
        let mut response =
            (StatusCode::SEE_OTHER, [(header::LOCATION, self.location)]).into_response();
        for cookie in self.cookies {
            if let Ok(cookie) = cookie.parse() {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
        }
        response
    }
}

/// The browser, as it calls itself.
fn device(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok())
}

fn cookies(headers: &HeaderMap) -> String {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join("; ")
}
