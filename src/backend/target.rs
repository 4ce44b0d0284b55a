//! Which address on a backend a request may reach.
//!
//! The path is taken as the client wrote it and is never decoded and joined again: what a backend
//! would decode into a separator or a step upwards is refused instead, so it cannot leave the
//! backend's own prefix. Scheme, host and port come from the configuration alone.

use axum::http::{Uri, uri::PathAndQuery};
use url::Url;

use crate::error::{Error, Result};

/// The address of `path` (raw, beginning with `/`) and `query` on the backend at `base`.
pub fn resolve(base: &Url, path: &str, query: Option<&str>) -> Result<Uri> {
    check(path)?;
    let prefix = base.path().trim_end_matches('/');
    let mut target = format!("{prefix}{path}");
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        target.push('?');
        target.push_str(query);
    }
    let target = PathAndQuery::try_from(target).map_err(|_| refused())?;
    let authority = base[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
    Uri::builder()
        .scheme(base.scheme())
        .authority(authority)
        .path_and_query(target)
        .build()
        .map_err(Error::internal)
}

fn check(path: &str) -> Result<()> {
    let rest = path.strip_prefix('/').ok_or_else(refused)?;
    let clean = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#');
    if !clean || has_refused_escape(path) {
        return Err(refused());
    }
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if (segment.is_empty() && !is_last) || is_dots(segment) {
            return Err(refused());
        }
    }
    Ok(())
}

/// An encoded slash, backslash or control character, or a `%` that begins no escape.
fn has_refused_escape(path: &str) -> bool {
    path.split('%').skip(1).any(|rest| {
        let code = rest.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        code.is_none_or(|code| matches!(code, b'/' | b'\\') || code.is_ascii_control())
    })
}

/// `.` or `..`, however its dots are written, with or without `;parameters`.
fn is_dots(segment: &str) -> bool {
    let name = segment.split(';').next().unwrap_or_default();
    let plain = name.replace("%2e", ".").replace("%2E", ".");
    matches!(plain.as_str(), "." | "..")
}

fn refused() -> Error {
    Error::bad_request("The path is not one that can be forwarded.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(path: &str) -> Result<String> {
        let base = Url::parse("http://backend.test:8080/api/").unwrap();
        resolve(&base, path, Some("a=b%20c")).map(|uri| uri.to_string())
    }

    #[test]
    fn what_is_legitimate_arrives_unchanged() {
        for path in [
            "/",
            "/contacts",
            "/contacts/",
            "/a%20b",
            "/%252e%252e/x",
            "/a..b",
            "/...",
            "/@evil",
            "/:80",
        ] {
            assert_eq!(to(path).unwrap(), format!("http://backend.test:8080/api{path}?a=b%20c"));
        }
    }

    #[test]
    fn tricks_are_refused() {
        let tricks = [
            "",
            "x",
            "/..",
            "/../admin",
            "/a/../admin",
            "/%2e%2e/admin",
            "/.%2E/admin",
            "/./a",
            "/..;x/admin",
            "/..%2fadmin",
            "/..%5cadmin",
            "/a\\b",
            "//evil.test",
            "/a//b",
            "/x%00",
            "/x%0d%0aA:b",
            "/x%",
            "/x%zz",
            "/x#y",
            "/ü",
            "/a b",
            "/a\tb",
            "/%2f%2fevil",
        ];
        for trick in tricks {
            assert!(to(trick).is_err(), "{trick:?}");
        }
    }
}
