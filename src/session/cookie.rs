//! The session cookie and the layer that reads and writes it.

use axum::http::{HeaderMap, HeaderValue, header::COOKIE};
use tower_sessions::{Expiry, SessionManagerLayer, cookie::SameSite};

use super::{Sessions, store::SessionStoreTables};
use crate::config::Config;

/// The cookie's name. `__Host-` makes browsers insist on Secure, Path=/ and no Domain; they accept
/// the prefix over https only, so local http has a plain name.
pub fn name(https: bool) -> &'static str {
    if https { "__Host-breezeway" } else { "breezeway" }
}

/// The value of the cookie called `name`; none when it is sent twice, which no browser of ours does.
pub fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut values = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='));
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// The layer that carries the session id between cookie and request.
///
/// Lax rather than Strict: the browser comes back from the identity provider by a cross-site
/// navigation and must arrive signed in. Unsafe requests need same-origin proof besides.
pub fn layer(config: &Config, sessions: &Sessions) -> SessionManagerLayer<SessionStoreTables> {
    let https = config.server.is_https();
    let absolute = i64::try_from(config.session.absolute.as_secs()).unwrap_or(i64::MAX);
    SessionManagerLayer::new(sessions.tables().clone())
        .with_name(name(https))
        .with_secure(https)
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(tower_sessions::cookie::time::Duration::seconds(
            absolute,
        )))
}

/// A `Set-Cookie` value that removes the cookie. Browsers ignore the removal of a `__Host-` cookie
/// unless it carries the same attributes, which tower-sessions 0.15 does not send.
pub fn removal(https: bool) -> HeaderValue {
    HeaderValue::from_static(if https {
        "__Host-breezeway=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
    } else {
        "breezeway=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
    })
}
