//! When a service that is busy is asked again.

use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, header::RETRY_AFTER};
use time::{OffsetDateTime, PrimitiveDateTime, macros::format_description};

/// The pauses where the service names none; as many as there are attempts after the first.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// The longest pause that a person is kept waiting for. After a longer one they ask again.
const LONGEST: Duration = Duration::from_secs(30);
/// A pause is made longer by up to one part in this many, so that not all come back at once.
const SPREAD: u32 = 4;

/// The attempts of one reply.
#[derive(Debug, Default)]
pub struct Retries {
    made: usize,
}

/// What a service's headers say about being asked again.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// After how long.
    pub wait: Option<Duration>,
    /// Whether at all.
    pub may_ask_again: Option<bool>,
}

impl Retries {
    /// The pause before the next attempt, in which the service's own wish counts; none when it is
    /// time to give up.
    pub fn next(&mut self, wished: Option<Duration>) -> Option<Duration> {
        let usual = *PAUSES.get(self.made)?;
        self.made += 1;
        let pause = wished.unwrap_or(usual);
        (pause <= LONGEST).then(|| pause + spread(pause / SPREAD))
    }
}

/// A part of `most`, by chance.
fn spread(most: Duration) -> Duration {
    let mut byte = [0];
    // Without chance it is none.
    let _ = getrandom::fill(&mut byte);
    most * u32::from(byte[0]) / 256
}

/// Reads `retry-after-ms`, `Retry-After` (RFC 9110 §10.2.3; seconds, which some write with a
/// fraction, or a date) and `x-should-retry`.
pub fn wish(headers: &HeaderMap) -> Wish {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let milliseconds = text("retry-after-ms").and_then(|text| span(text, 0.001));
    let after = text(RETRY_AFTER.as_str());
    Wish {
        wait: milliseconds.or_else(|| after.and_then(|text| span(text, 1.0).or(until(text)))),
        may_ask_again: text("x-should-retry").and_then(|text| text.parse().ok()),
    }
}

fn span(number: &str, seconds_each: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds_each).ok()
}

/// From now until a date; a date that has passed is now.
fn until(date: &str) -> Option<Duration> {
    const DATE: &[time::format_description::BorrowedFormatItem<'_>] = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let date = PrimitiveDateTime::parse(date, DATE).ok()?.assume_utc();
    let left = date - OffsetDateTime::from(SystemTime::now());
    Some(Duration::try_from(left).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_services_wish_is_read_in_all_its_forms() {
        let wait = |pairs: &[(&'static str, &str)]| wish(&headers(pairs)).wait;
        assert_eq!(wait(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(wait(&[("retry-after", "0.5")]), Some(Duration::from_millis(500)));
        let both = [("retry-after-ms", "250"), ("retry-after", "7")];
        assert_eq!(wait(&both), Some(Duration::from_millis(250)));
        assert_eq!(wait(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")]), Some(Duration::ZERO));
        let far = wait(&[("retry-after", "Wed, 21 Oct 2201 07:28:00 GMT")]).unwrap();
        assert!(far > Duration::from_secs(3600));
        for nonsense in ["", "soon", "-1", "NaN", "inf"] {
            assert_eq!(wait(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
        assert_eq!(wish(&headers(&[("x-should-retry", "false")])).may_ask_again, Some(false));
        assert_eq!(wish(&HeaderMap::new()), Wish::default());
    }

    #[test]
    fn patience_has_an_end() {
        let mut retries = Retries::default();
        for pause in PAUSES {
            let next = retries.next(None).unwrap();
            assert!(next >= pause && next < pause + pause / SPREAD, "{next:?}");
        }
        assert_eq!(retries.next(None), None);
        assert_eq!(Retries::default().next(Some(Duration::from_secs(31))), None);
        let asked = Retries::default().next(Some(Duration::from_secs(4))).unwrap();
        assert!(asked >= Duration::from_secs(4) && asked < Duration::from_secs(5));
    }
}
