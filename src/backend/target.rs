//! Which address on a backend a request may reach.
//!
//! The path is taken as the client wrote it and is never decoded and joined again: what a backend
//! would decode into a separator or a step upwards is refused instead, so it cannot leave the
//! backend's own prefix. Scheme, host and port come from the configuration alone.

use axum::http::{HeaderValue, Uri, uri::PathAndQuery};
use percent_encoding::percent_decode_str;
use url::{Position, Url};

use crate::error::{Error, Result};

/// The configured address of a backend, which every target begins with.
#[derive(Debug, Clone)]
pub struct Base {
    origin: Uri,
    host: HeaderValue,
    prefix: String,
    url: String,
}

impl Base {
    /// The backend at `url`, whose path is a prefix of every target.
    pub fn new(url: &Url) -> Result<Self> {
        let host = &url[Position::BeforeHost..Position::AfterPort];
        let prefix = url.path().trim_end_matches('/').to_owned();
        Ok(Self {
            origin: Uri::try_from(format!("{}://{host}/", url.scheme()))
                .map_err(Error::internal)?,
            host: HeaderValue::try_from(host).map_err(Error::internal)?,
            url: format!("{}://{host}{prefix}", url.scheme()),
            prefix,
        })
    }

    /// Where it listens.
    pub fn origin(&self) -> &Uri {
        &self.origin
    }

    /// The `Host` of every request to it.
    pub fn host(&self) -> HeaderValue {
        self.host.clone()
    }

    /// The target of a request for `path` (raw, beginning with `/`) and `query`; 400 for a path that
    /// could mean another place to the backend than it does here.
    pub fn resolve(&self, path: &str, query: Option<&str>) -> Result<PathAndQuery> {
        check(path)?;
        let query = query.filter(|query| !query.is_empty());
        // A parser of targets drops what follows, and with it whatever we put at the end.
        if query.is_some_and(|query| query.contains('#')) {
            return Err(refused());
        }
        let length = self.prefix.len() + path.len() + query.map_or(0, |query| query.len() + 1);
        let mut target = String::with_capacity(length);
        target.push_str(&self.prefix);
        target.push_str(path);
        if let Some(query) = query {
            target.push('?');
            target.push_str(query);
        }
        PathAndQuery::try_from(target).map_err(|_| refused())
    }

    /// What a `location` of this backend's is below its base, beginning with `/`; nothing for a
    /// place elsewhere.
    pub fn strip<'a>(&self, location: &'a str) -> Option<&'a str> {
        let path = location.strip_prefix(&self.url).or_else(|| {
            let is_path = location.starts_with('/') && !location.starts_with("//");
            location.strip_prefix(&self.prefix).filter(|_| is_path)
        })?;
        match path.as_bytes().first() {
            None => Some("/"),
            Some(b'/') => Some(path),
            Some(_) => None,
        }
    }
}

/// 400 for a path that could mean another place to a backend than it does here.
pub fn check(path: &str) -> Result<()> {
    let rest = path.strip_prefix('/').ok_or_else(refused)?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'?');
    if !path.bytes().all(is_plain) {
        return Err(refused());
    }
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if (segment.is_empty() && !is_last) || means_more(segment) {
            return Err(refused());
        }
    }
    Ok(())
}

/// Whether a backend might read more into a segment than a name: a step, a separator, an end.
fn means_more(segment: &str) -> bool {
    if !segment.contains('%') {
        return is_step(segment.as_bytes());
    }
    if has_broken_escape(segment) {
        return true;
    }
    let decoded = shorten(&percent_decode_str(segment).collect::<Vec<_>>());
    let separates = |byte: &u8| matches!(byte, b'/' | b'\\') || byte.is_ascii_control();
    decoded.iter().any(separates) || is_step(&decoded)
}

/// A `%` that begins no escape.
fn has_broken_escape(segment: &str) -> bool {
    segment.split('%').skip(1).any(|rest| {
        !matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
    })
}

/// `.` or `..`, with or without `;parameters` and the spaces that some file systems ignore.
fn is_step(segment: &[u8]) -> bool {
    let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
    matches!(name.trim_ascii(), b"." | b"..")
}

/// Undoes overlong UTF-8 (`%c0%af` for `/`), which lenient decoders still accept: two to four bytes
/// that stand for one of ASCII (RFC 3629 §10).
pub(super) fn shorten(bytes: &[u8]) -> Vec<u8> {
    let mut short = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        let (byte, after) = match rest {
            [0xc0 | 0xc1, low, after @ ..] => (((first & 1) << 6) | (low & 0x3f), after),
            [0xe0, 0x80 | 0x81, low, after @ ..] => (low_byte(rest[1], *low), after),
            [0xf0, 0x80, 0x80 | 0x81, low, after @ ..] => (low_byte(rest[2], *low), after),
            _ => (*first, tail),
        };
        short.push(byte);
        rest = after;
    }
    short
}

fn low_byte(high: u8, low: u8) -> u8 {
    ((high & 1) << 6) | (low & 0x3f)
}

fn refused() -> Error {
    Error::bad_request("The path is not one that can be forwarded.")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn base() -> Base {
        Base::new(&Url::parse("http://backend.test:8080/api/").unwrap()).unwrap()
    }

    fn to(path: &str) -> Result<String> {
        base().resolve(path, Some("a=b%20c")).map(|target| target.to_string())
    }

    #[test]
    fn what_is_legitimate_arrives_unchanged() {
        let paths = [
            "/",
            "/contacts",
            "/contacts/",
            "/a%20b",
            "/%252e%252e/x",
            "/%252f",
            "/a..b",
            "/...",
            "/.hidden",
            "/@evil",
            "/:80",
            "/a;v=1/b",
            "/a:b@c,d'(e)!*$&+=~",
            "/%e4%b8%ad%e6%96%87",
            "/%e9t%E9",
            "/x%3Ftenant_id=o",
            "/x%23y",
            "/http:evil.test",
        ];
        for path in paths {
            assert_eq!(to(path).unwrap(), format!("/api{path}?a=b%20c"));
        }
    }

    #[test]
    fn tricks_are_refused() {
        let tricks = [
            "",
            "x",
            "@evil.test/",
            ":80@evil.test/",
            ".evil.test/",
            "http://evil.test/", // no path
            "/..",
            "/.",
            "/../admin",
            "/a/../admin",
            "/a/..",
            "/./a",
            "/a/./b", // steps
            "/%2e%2e/admin",
            "/.%2E/admin",
            "/%2e./a",
            "/%2e",
            "/a/%2E%2e", // encoded steps
            "/..;x/admin",
            "/..;/admin",
            "/%2e%2e;x/a",
            "/..%3bx/a",
            "/.;/a", // with parameters
            "/..%20/a",
            "/%20../a",
            "/..%09/a", // with what file systems ignore
            "/%c0%ae%c0%ae/a",
            "/.%c0%ae/a",
            "/%e0%80%ae%e0%80%ae/a",
            "/%f0%80%80%ae./a", // overlong
            "/..%2fadmin",
            "/..%5cadmin",
            "/a%2fb",
            "/a%5Cb",
            "/%2f%2fevil", // encoded separators
            "/a%c0%afb",
            "/a%c1%9cb",
            "/a%e0%80%afb",
            "/a%e0%81%9cb",
            "/a%f0%80%80%afb",
            "/a\\b",
            "/..\\admin",
            "//evil.test",
            "///evil.test",
            "/a//b",
            "/a//",
            "/http://evil.test",
            "/x%00",
            "/x%0d%0aA:b",
            "/x%0a",
            "/x%7f",
            "/x%1f", // control characters
            "/x%",
            "/x%z",
            "/x%zz",
            "/x%+1",
            "/x%u002e",
            "/x%2", // escapes that are none
            "/x#y",
            "/x?y",
            "/ü",
            "/a b",
            "/a\tb",
            "/a\0b",
            "/a\rb",
            "/a\nb",
            "/a\x7fb",
        ];
        for trick in tricks {
            assert!(to(trick).is_err(), "{trick:?}");
        }
    }

    #[test]
    fn a_query_is_passed_on_whole_or_not_at_all() {
        let target = base().resolve("/x", Some("a=1&&b;c%zz=?/")).unwrap();
        assert_eq!(target.query(), Some("a=1&&b;c%zz=?/"));
        for cut in ["a#b", "a\nb", "a b", "#"] {
            assert!(base().resolve("/x", Some(cut)).is_err(), "{cut:?}");
        }
    }

    #[test]
    fn a_location_of_the_backend_is_known_by_its_base() {
        let base = base();
        assert_eq!(base.strip("http://backend.test:8080/api/x?y"), Some("/x?y"));
        assert_eq!(base.strip("http://backend.test:8080/api"), Some("/"));
        assert_eq!(base.strip("/api/x"), Some("/x"));
        let elsewhere = [
            "http://backend.test:8080/apiary",
            "http://backend.test:8080.evil.test/api/x",
            "http://backend.test/api/x",
            "//backend.test:8080/api/x",
            "/other",
            "x",
        ];
        for place in elsewhere {
            assert_eq!(base.strip(place), None, "{place}");
        }
    }

    proptest! {
        /// Whatever is let through is the same place to a URL parser that collapses steps.
        #[test]
        fn what_passes_stays_below_the_prefix(
            path in "/(([.]|%2[eEfF]|%5[cC]|%c0%a[ef]|[/\\\\;@:?#%a-z0-9]){0,12})"
        ) {
            if let Ok(target) = base().resolve(&path, None) {
                let url = Url::parse(&format!("http://backend.test:8080{target}")).unwrap();
                prop_assert_eq!(url.host_str(), Some("backend.test"));
                prop_assert_eq!(url.port(), Some(8080));
                prop_assert_eq!(url.path(), format!("/api{path}"));
                prop_assert_eq!(url.query(), None);
            }
        }
    }
}
