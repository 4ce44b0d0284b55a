//! The addresses of signing in and out.

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;
use tower_sessions::Session;
use url::form_urlencoded;

use super::service::Hop;
use crate::{error::Result, server::state::App, session::Caller};

/// `/auth/login`, `/auth/callback`, `/auth/logout`, `/api/auth`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/auth/login", get(login))
        .route("/auth/callback", get(callback))
        .route("/auth/logout", post(logout))
        .route("/api/auth", post(machine))
}

async fn login(State(app): State<App>, query: RawQuery, headers: HeaderMap) -> Result<Response> {
    let return_to = form_urlencoded::parse(query.0.unwrap_or_default().as_bytes())
        .find(|(key, _)| key == "return_to")
        .map(|(_, value)| value.into_owned());
    Ok(app.auth.begin(&cookies(&headers), return_to.as_deref()).await?.into_response())
}

async fn callback(
    State(app): State<App>,
    session: Session,
    query: RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.0.unwrap_or_default();
    match app.auth.complete(&session, &cookies(&headers), &query).await {
        Ok(hop) => hop.into_response(),
        Err(error) => {
            let removal = app.auth.forget_attempt(&query);
            (removal.map(|cookie| [(header::SET_COOKIE, cookie)]), error).into_response()
        }
    }
}

async fn logout(State(app): State<App>, session: Session, caller: Caller) -> Result<Response> {
    Ok(app.auth.sign_out(&session, &caller).await?.into_response())
}

/// What a client may know of the token that its session holds.
#[derive(Serialize)]
struct MachineAnswer {
    token_type: &'static str,
    expires_in: Option<u64>,
    scope: Option<String>,
}

async fn machine(State(app): State<App>, session: Session) -> Result<impl IntoResponse> {
    let token = app.auth.sign_in_machine(&session).await?;
    let answer = MachineAnswer {
        token_type: "Bearer",
        expires_in: token.expires_in.map(|life| life.as_secs()),
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

fn cookies(headers: &HeaderMap) -> String {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join("; ")
}
