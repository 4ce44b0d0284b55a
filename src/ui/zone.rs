//! Where on earth the reader is, as far as clocks go.

use time::UtcOffset;

use crate::{server::context, session::cookie};

/// The cookie in which the page's script leaves the browser's distance from UTC, in minutes.
const COOKIE: &str = "tz";

/// The reader's distance from UTC; none where the browser did not say.
pub fn zone() -> UtcOffset {
    let headers = context::parts().headers;
    let minutes = cookie::value(&headers, COOKIE).and_then(|minutes| minutes.parse::<i32>().ok());
    let seconds = minutes.and_then(|minutes| minutes.checked_mul(60));
    seconds
        .and_then(|seconds| UtcOffset::from_whole_seconds(seconds).ok())
        .unwrap_or(UtcOffset::UTC)
}
