//! The addresses of signing in and out.

use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower_sessions::Session;
use url::form_urlencoded;

use super::service::Hop;
use crate::{error::Result, server::state::App, session::Caller};

/// `/auth/login`, `/auth/callback`, `/auth/logout`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/auth/login", get(login))
        .route("/auth/callback", get(callback))
        .route("/auth/logout", post(logout))
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
