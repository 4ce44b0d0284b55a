//! Same-origin proof for requests that change something, and the headers that go with every answer.

use std::fmt::Write;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header},
};

use super::state::App;
use crate::{
    error::{Error, Kind, Result},
    session::Caller,
};

const FRAMED_BY_NONE: &str = "frame-ancestors 'none'";
const CSP: HeaderName = header::CONTENT_SECURITY_POLICY;

/// A request must say once and clearly which site it wants (RFC 9112 §3.2), and not a tunnel: what
/// says two things can mean one to us and another to whoever passed it on.
pub fn check_target(request: &Request) -> Result<()> {
    if request.method() == Method::CONNECT {
        return Err(Error::new(Kind::MethodNotAllowed, "This server opens no tunnels."));
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        (None, _) if request.version() < Version::HTTP_11 => return Ok(()),
        _ => return Err(unclear_host()),
    };
    let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:[]%".contains(byte);
    if host.is_empty() || !host.as_bytes().iter().all(is_host) {
        return Err(unclear_host());
    }
    match request.uri().authority() {
        Some(target) if !host.as_bytes().eq_ignore_ascii_case(target.as_str().as_bytes()) => {
            Err(unclear_host())
        }
        _ => Ok(()),
    }
}

fn unclear_host() -> Error {
    Error::bad_request("The request does not say clearly which site it wants.")
}

/// An unsafe request must show that it comes from our own pages.
///
/// A browser says so in `Sec-Fetch-Site` or `Origin`, which a page cannot forge. A request with
/// neither is no browser's; it may not borrow a browser's session.
pub fn prove_same_origin(app: &App, caller: &Caller, request: &Request) -> Result<()> {
    // A channel's token is no cookie: no other site can make a browser send it.
    let by_token = matches!(caller, Caller::Channel(_));
    if request.method().is_safe()
        || by_token
        || is_ours(request.headers(), &app.config.server.origin(), caller)
    {
        return Ok(());
    }
    Err(Error::forbidden(
        "The request did not come from this site's own pages, so it was refused. Nothing was \
         changed.",
    ))
}

fn is_ours(headers: &HeaderMap, origin: &str, caller: &Caller) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_own = |site| matches!(site, "same-origin" | "none");
    match (headers.get(header::ORIGIN), text("sec-fetch-site")) {
        // The origin names the site; the other only says that it is the same as ours, which it also
        // is for a site that has made its name point here.
        (Some(from), site) => from.as_bytes() == origin.as_bytes() && site.is_none_or(is_own),
        (None, Some(site)) => is_own(site),
        (None, None) => matches!(caller, Caller::Nobody),
    }
}

/// Sets the headers that every answer carries. A page's own content policy, made for its nonce,
/// stays; anything else gets one that allows nothing but our style.
pub fn set_headers(app: &App, headers: &mut HeaderMap) {
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(self), payment=(), usb=()",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let usual = [
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in usual {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if !names_who_may_frame(headers) {
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    if app.config.server.is_https() {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    if !headers.contains_key(CSP)
        && let Ok(policy) = HeaderValue::try_from(policy(None, &app.auth.form_origins()))
    {
        headers.insert(CSP, policy);
    }
}

/// The content security policy of a page whose scripts carry `nonce`.
pub fn page_policy(app: &App, nonce: &str) -> Option<(HeaderName, HeaderValue)> {
    let policy = policy(Some(nonce), &app.auth.form_origins());
    Some((CSP, HeaderValue::try_from(policy).ok()?))
}

/// Lets pages of these sites hold an answer in a frame.
pub fn let_frame(headers: &mut HeaderMap, sites: &[HeaderValue]) {
    let sites: Vec<&str> = sites.iter().filter_map(|site| site.to_str().ok()).collect();
    let policy = headers.get(CSP).and_then(|policy| policy.to_str().ok()).unwrap_or_default();
    let framed = policy.replace(FRAMED_BY_NONE, &format!("frame-ancestors {}", sites.join(" ")));
    if let Ok(framed) = HeaderValue::try_from(framed)
        && !sites.is_empty()
    {
        headers.insert(CSP, framed);
    }
}

/// The older header knows no list of sites.
fn names_who_may_frame(headers: &HeaderMap) -> bool {
    let policy = headers.get(CSP).and_then(|policy| policy.to_str().ok()).unwrap_or_default();
    policy.contains("frame-ancestors") && !policy.contains(FRAMED_BY_NONE)
}

fn policy(nonce: Option<&str>, form_origins: &[String]) -> String {
    let mut policy = String::from(
        "default-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; style-src 'self'; img-src \
         'self' data: blob: https:; font-src 'self'; manifest-src 'self'; connect-src 'self'",
    );
    if std::env::var_os("LEPTOS_WATCH").is_some() {
        policy.push_str(" ws://127.0.0.1:* ws://localhost:*");
    }
    if let Some(nonce) = nonce {
        // Writing to a String cannot fail.
        let _ = write!(policy, "; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'");
    }
    policy.push_str("; form-action 'self'");
    for origin in form_origins {
        policy.push(' ');
        policy.push_str(origin);
    }
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_our_own_pages_pass() {
        let origin = "https://app.test";
        let passes = |pairs: &[_]| is_ours(&headers(pairs), origin, &Caller::Nobody);
        assert!(passes(&[("sec-fetch-site", "same-origin")]));
        assert!(passes(&[("origin", "https://app.test")]));
        assert!(passes(&[]));
        assert!(passes(&[("origin", "https://app.test"), ("sec-fetch-site", "same-origin")]));
        assert!(!passes(&[("origin", "http://evil.test"), ("sec-fetch-site", "same-origin")]));
        assert!(!passes(&[("origin", "https://app.test"), ("sec-fetch-site", "cross-site")]));
        for site in ["cross-site", "same-site", "", "nonsense"] {
            assert!(!is_ours(&headers(&[("sec-fetch-site", site)]), origin, &Caller::Nobody));
        }
        for from in ["null", "https://evil.test", "http://app.test", "https://app.test.evil.test"] {
            assert!(!is_ours(&headers(&[("origin", from)]), origin, &Caller::Nobody));
        }
    }

    #[test]
    fn a_policy_never_allows_inline_code() {
        let policy = policy(Some("abc"), &["https://id.test".to_owned()]);
        assert!(!policy.contains("unsafe-inline"));
        assert!(policy.contains("'nonce-abc'"));
        assert!(policy.ends_with("form-action 'self' https://id.test"));
    }
}
