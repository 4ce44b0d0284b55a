//! Which headers cross, in either direction. Everything not named here stays behind.

use axum::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, ACCEPT_RANGES, AGE, ALLOW, CACHE_CONTROL,
        CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE,
        CONTENT_TYPE, ETAG, EXPIRES, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
        IF_UNMODIFIED_SINCE, LAST_MODIFIED, LINK, LOCATION, RANGE, RETRY_AFTER, VARY,
    },
};

const REQUEST: [HeaderName; 12] = [
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    RANGE,
];

const RESPONSE: [HeaderName; 18] = [
    ACCEPT_RANGES,
    AGE,
    ALLOW,
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    ETAG,
    EXPIRES,
    LAST_MODIFIED,
    LINK,
    LOCATION,
    RETRY_AFTER,
    VARY,
    HeaderName::from_static("x-total-count"),
];

/// The request headers a backend may see of those a client sent.
pub fn request_headers(client: &HeaderMap) -> HeaderMap {
    pick(client, &REQUEST)
}

/// The response headers a client may see of those a backend sent.
///
/// Whatever a backend calls HTML or SVG, it cannot run on our origin: the answer is sandboxed.
pub fn response_headers(backend: &HeaderMap) -> HeaderMap {
    let mut headers = pick(backend, &RESPONSE);
    headers.insert(
        HeaderName::from_static("content-security-policy"),
        HeaderValue::from_static("sandbox; default-src 'none'"),
    );
    headers
}

fn pick(from: &HeaderMap, allowed: &[HeaderName]) -> HeaderMap {
    let mut picked = HeaderMap::with_capacity(8);
    for name in allowed {
        for value in from.get_all(name) {
            picked.append(name, value.clone());
        }
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_identity_stay_behind() {
        let mut client = HeaderMap::new();
        for (name, value) in [
            ("cookie", "breezeway=1"),
            ("authorization", "Bearer x"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x_tenant_id", "other"),
            ("connection", "close, authorization"),
            ("accept", "application/json"),
        ] {
            client.insert(name, HeaderValue::from_static(value));
        }
        let sent = request_headers(&client);
        assert_eq!(sent.len(), 1);
        assert_eq!(sent["accept"], "application/json");
    }

    #[test]
    fn a_backend_cannot_set_cookies_or_open_our_origin() {
        let mut backend = HeaderMap::new();
        backend.insert("set-cookie", HeaderValue::from_static("a=b"));
        backend.insert("access-control-allow-origin", HeaderValue::from_static("*"));
        backend.insert("content-type", HeaderValue::from_static("text/html"));
        let sent = response_headers(&backend);
        assert_eq!(sent["content-type"], "text/html");
        assert_eq!(sent["content-security-policy"], "sandbox; default-src 'none'");
        assert_eq!(sent.len(), 2);
    }
}
