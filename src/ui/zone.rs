//! Where on earth the reader is, as far as clocks go.
//!
//! A zone is a name, not a distance from UTC: the distance of today is an hour off for what happened
//! in another season.

use axum::http::HeaderMap;
use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{Offset, TimeZone},
};
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use crate::{server::context, session::cookie};

/// The cookie in which a page's script leaves the name of the browser's zone.
const COOKIE: &str = "tz";

/// A zone of the IANA database, which the program carries along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// That of nobody in particular.
pub static UTC: Zone = Zone(TimeZone::UTC);

impl Default for Zone {
    fn default() -> Self {
        UTC.clone()
    }
}

impl Zone {
    /// Where whoever asked for the page is; UTC where the browser did not say.
    pub fn of_page() -> Self {
        context::with_parts(|parts| Self::of(&parts.headers))
    }

    /// The same of whoever sent these headers.
    pub fn of(headers: &HeaderMap) -> Self {
        cookie::value(headers, COOKIE).and_then(Self::named).unwrap_or_default()
    }

    /// The zone of a name such as `Europe/Lisbon`.
    pub fn named(name: &str) -> Option<Self> {
        TimeZone::get(name).ok().map(Self)
    }

    /// A clock that is so many seconds before UTC all year round.
    pub fn fixed(seconds: i32) -> Option<Self> {
        Offset::from_seconds(seconds).ok().map(|offset| Self(TimeZone::fixed(offset)))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// What the calendar and the clock show here at a moment; those of UTC at the ends of the calendar.
    pub fn at(&self, moment: OffsetDateTime) -> PrimitiveDateTime {
        let offset = Timestamp::from_second(moment.unix_timestamp())
            .map_or(0, |moment| self.0.to_offset(moment).seconds());
        let offset = UtcOffset::from_whole_seconds(offset).unwrap_or(UtcOffset::UTC);
        let here = moment.checked_to_offset(offset).unwrap_or(moment);
        PrimitiveDateTime::new(here.date(), here.time())
    }

    /// The moment at which the clock shows this. Of an hour that comes twice it is the first; an hour
    /// that the clock leaves out is counted on from what came before it (RFC 5545 §3.3.5).
    pub fn moment(&self, here: PrimitiveDateTime) -> OffsetDateTime {
        let in_utc = here.assume_utc();
        let offset = civil(here)
            .and_then(|clock| self.0.to_timestamp(clock).ok())
            .map_or(0, |moment| in_utc.unix_timestamp() - moment.as_second());
        in_utc.saturating_sub(time::Duration::seconds(offset))
    }
}

/// To the second; nothing that comes from people is finer.
fn civil(at: PrimitiveDateTime) -> Option<DateTime> {
    let year = i16::try_from(at.year()).ok()?;
    let (month, day) = (i8::try_from(u8::from(at.month())).ok()?, i8::try_from(at.day()).ok()?);
    let [hour, minute, second] =
        [at.hour(), at.minute(), at.second()].map(|part| i8::try_from(part).ok());
    DateTime::new(year, month, day, hour?, minute?, second?, 0).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn every_season_has_its_own_clock() {
        let lisbon = Zone::named("Europe/Lisbon").unwrap();
        assert_eq!(lisbon.at(datetime!(2026-01-10 12:00 UTC)), datetime!(2026-01-10 12:00));
        assert_eq!(lisbon.at(datetime!(2026-07-10 12:00 UTC)), datetime!(2026-07-10 13:00));
        assert_eq!(lisbon.moment(datetime!(2026-01-10 12:00)), datetime!(2026-01-10 12:00 UTC));
        assert_eq!(
            lisbon.moment(datetime!(2026-07-10 13:00:30)),
            datetime!(2026-07-10 12:00:30 UTC)
        );
    }

    #[test]
    fn hours_that_come_twice_or_never_are_moments_too() {
        let lisbon = Zone::named("Europe/Lisbon").unwrap();
        assert_eq!(lisbon.moment(datetime!(2026-10-25 01:30)), datetime!(2026-10-25 00:30 UTC));
        assert_eq!(lisbon.moment(datetime!(2026-03-29 01:30)), datetime!(2026-03-29 01:30 UTC));
    }

    #[test]
    fn what_is_no_zone_is_utc() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("cookie", format!("tz={value}").parse().unwrap());
            Zone::of(&headers)
        };
        assert_eq!(of("Asia/Kolkata").name(), "Asia/Kolkata");
        assert_eq!(
            of("Asia/Kolkata").at(datetime!(2026-01-01 0:00 UTC)),
            datetime!(2026-01-01 5:30)
        );
        // Browsers go by old names too, and compare them with what the page says.
        assert_eq!(of("Asia/Calcutta").name(), "Asia/Calcutta");
        for odd in ["", "120", "../../etc/passwd", "Mars/Olympus"] {
            assert_eq!(of(odd), Zone::default(), "{odd}");
        }
        assert_eq!(Zone::default().name(), "UTC");
        let last = datetime!(9999-12-31 23:59 UTC);
        assert_eq!(of("Asia/Kolkata").at(last), datetime!(9999-12-31 23:59));
    }
}
