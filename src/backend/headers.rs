//! Which headers cross, in either direction. Everything not named here stays behind, so there is
//! nothing to strip that somebody could spell another way.

use std::net::IpAddr;

use axum::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, ACCEPT_RANGES, AGE, ALLOW, CACHE_CONTROL,
        CONNECTION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
        CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES, FORWARDED, IF_MATCH, IF_MODIFIED_SINCE,
        IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, LINK, LOCATION, RANGE,
        RETRY_AFTER, USER_AGENT, VARY,
    },
};

use crate::{
    config::BackendConfig,
    error::{Error, Result},
};

const REQUEST: [HeaderName; 17] = [
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    HeaderName::from_static("idempotency-key"),
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    HeaderName::from_static("last-event-id"),
    RANGE,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    USER_AGENT,
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

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What crosses between clients and one backend.
#[derive(Debug, Clone)]
pub struct HeaderPolicy {
    request: Vec<HeaderName>,
    response: Vec<HeaderName>,
}

impl HeaderPolicy {
    /// The usual headers, and those that the configuration adds.
    pub fn new(config: &BackendConfig) -> Result<Self> {
        Ok(Self {
            request: with(&REQUEST, &config.forward_headers)?,
            response: with(&RESPONSE, &config.expose_headers)?,
        })
    }

    /// The request headers a backend may see of those a client sent.
    pub fn of_request(&self, client: &HeaderMap) -> HeaderMap {
        let mut headers = pick(client, &self.request);
        // Ours since the request came in, whatever the client calls its connection's own.
        if let Some(id) = client.get(REQUEST_ID) {
            headers.insert(REQUEST_ID, id.clone());
        }
        headers
    }

    /// The response headers a client may see of those a backend sent.
    ///
    /// Whatever a backend calls HTML or SVG, it cannot run on our origin: the answer is sandboxed.
    pub fn of_response(&self, backend: &HeaderMap) -> HeaderMap {
        let mut headers = pick(backend, &self.response);
        headers.insert(
            HeaderName::from_static("content-security-policy"),
            HeaderValue::from_static("sandbox; default-src 'none'"),
        );
        headers
    }
}

/// What Breezeway tells backends about the browser's own connection: never what a client says.
#[derive(Debug, Clone)]
pub struct Forwarded {
    host: HeaderValue,
    proto: HeaderValue,
    /// What ends every `Forwarded` header: `;host="app.example";proto=https`.
    site: String,
}

impl Forwarded {
    /// For a site that people reach at `origin`.
    pub fn new(origin: &str) -> Result<Self> {
        let (proto, host) = origin
            .split_once("://")
            .ok_or_else(|| Error::internal("the public origin has no scheme"))?;
        Ok(Self {
            host: HeaderValue::try_from(host).map_err(Error::internal)?,
            proto: HeaderValue::try_from(proto).map_err(Error::internal)?,
            site: format!(";host=\"{host}\";proto={proto}"),
        })
    }

    /// Sets `Forwarded` (RFC 7239), the `X-Forwarded-*` headers and `X-Real-IP` of a request that
    /// came from `client`.
    pub fn set(&self, headers: &mut HeaderMap, client: IpAddr) -> Result<()> {
        let site = &self.site;
        let address = client.to_string();
        let forwarded = match client {
            IpAddr::V4(_) => ["for=", &address, site].concat(),
            IpAddr::V6(_) => ["for=\"[", &address, "]\"", site].concat(),
        };
        headers.insert(FORWARDED, HeaderValue::try_from(forwarded).map_err(Error::internal)?);
        let address = HeaderValue::try_from(address).map_err(Error::internal)?;
        headers.insert(REAL_IP, address.clone());
        headers.insert(FORWARDED_FOR, address);
        headers.insert(FORWARDED_HOST, self.host.clone());
        headers.insert(FORWARDED_PROTO, self.proto.clone());
        Ok(())
    }
}

fn with(usual: &[HeaderName], more: &[String]) -> Result<Vec<HeaderName>> {
    let more = more.iter().map(|name| HeaderName::try_from(name).map_err(Error::internal));
    usual.iter().cloned().map(Ok).chain(more).collect()
}

/// The allowed headers, without those that the sender calls its connection's own (RFC 9110 §7.6.1).
fn pick(from: &HeaderMap, allowed: &[HeaderName]) -> HeaderMap {
    let mut picked = HeaderMap::with_capacity(24);
    for (name, value) in from.iter().filter(|(name, _)| allowed.contains(name)) {
        picked.append(name, value.clone());
    }
    let named = from.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    for name in named.flat_map(|names| names.split(',')) {
        picked.remove(name.trim());
    }
    picked
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy() -> HeaderPolicy {
        HeaderPolicy {
            request: with(&REQUEST, &["x-api-version".to_owned()]).unwrap(),
            response: with(&RESPONSE, &["x-rate-left".to_owned()]).unwrap(),
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn credentials_and_identity_stay_behind() {
        let client = headers(&[
            ("cookie", "breezeway=1"),
            ("authorization", "Bearer x"),
            ("proxy-authorization", "Basic x"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-user", "admin"),
            ("x_forwarded_user", "admin"),
            ("x_tenant_id", "other"),
            ("x-tenant-id", "other"),
            ("forwarded", "for=1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
            ("x-original-url", "/admin"),
            ("x-http-method-override", "DELETE"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("expect", "100-continue"),
            ("connection", "close, authorization"),
            ("accept", "application/json"),
            ("x-api-version", "2"),
        ]);
        let sent = policy().of_request(&client);
        assert_eq!(sent.len(), 2);
        assert_eq!(sent["accept"], "application/json");
        assert_eq!(sent["x-api-version"], "2");
    }

    #[test]
    fn what_a_connection_keeps_to_itself_stays_there() {
        let both = headers(&[
            ("connection", "close, X-Api-Version"),
            ("connection", "x-rate-left,, \"odd\""),
            ("x-api-version", "2"),
            ("x-rate-left", "2"),
            ("accept", "*/*"),
            ("etag", "\"1\""),
        ]);
        assert_eq!(policy().of_request(&both).len(), 1);
        let back = policy().of_response(&both);
        assert!(back.contains_key("etag") && !back.contains_key("x-rate-left"));
    }

    #[test]
    fn a_backend_cannot_set_cookies_or_open_our_origin() {
        let backend = headers(&[
            ("set-cookie", "a=b"),
            ("access-control-allow-origin", "*"),
            ("content-security-policy", "default-src *"),
            ("clear-site-data", "\"*\""),
            ("service-worker-allowed", "/"),
            ("refresh", "0;url=https://evil.test"),
            ("www-authenticate", "Basic"),
            ("content-type", "text/html"),
        ]);
        let sent = policy().of_response(&backend);
        assert_eq!(sent["content-type"], "text/html");
        assert_eq!(sent["content-security-policy"], "sandbox; default-src 'none'");
        assert_eq!(sent.len(), 2);
    }

    #[test]
    fn the_client_is_who_connected() {
        let mut sent = HeaderMap::new();
        let forwarded = Forwarded::new("https://app.example").unwrap();
        forwarded.set(&mut sent, "2001:db8::1".parse().unwrap()).unwrap();
        assert_eq!(sent["x-forwarded-for"], "2001:db8::1");
        assert_eq!(sent["x-real-ip"], "2001:db8::1");
        assert_eq!(sent["x-forwarded-host"], "app.example");
        assert_eq!(sent["x-forwarded-proto"], "https");
        assert_eq!(sent["forwarded"], r#"for="[2001:db8::1]";host="app.example";proto=https"#);
        forwarded.set(&mut sent, "192.0.2.1".parse().unwrap()).unwrap();
        assert_eq!(sent["forwarded"], r#"for=192.0.2.1;host="app.example";proto=https"#);
    }

    proptest! {
        #[test]
        fn only_listed_names_cross(names in prop::collection::vec("[a-z_-]{1,20}", 0..20)) {
            let client: HeaderMap = names
                .iter()
                .map(|name| (HeaderName::try_from(name).unwrap(), HeaderValue::from_static("x")))
                .collect();
            let policy = policy();
            let listed = |name: &HeaderName| policy.request.contains(name) || *name == REQUEST_ID;
            prop_assert!(policy.of_request(&client).keys().all(listed));
        }
    }
}
