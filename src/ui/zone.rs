//! Where on earth the reader is, as far as clocks go.

use axum::http::HeaderMap;
use time::UtcOffset;

use crate::{server::context, session::cookie};

/// The cookie in which a page's script leaves the browser's distance from UTC, in minutes.
const COOKIE: &str = "tz";

/// The distance from UTC of whoever asked for the page; none where the browser did not say.
pub fn zone() -> UtcOffset {
    zone_of(&context::parts().headers)
}

/// The same of whoever sent these headers.
pub fn zone_of(headers: &HeaderMap) -> UtcOffset {
    let minutes = cookie::value(headers, COOKIE).and_then(|minutes| minutes.parse::<i32>().ok());
    let seconds = minutes.and_then(|minutes| minutes.checked_mul(60));
    seconds
        .and_then(|seconds| UtcOffset::from_whole_seconds(seconds).ok())
        .unwrap_or(UtcOffset::UTC)
}
