//! How the reader of a page is used to seeing numbers, days and times.
//!
//! The language is the one that the browser asks for first (`Accept-Language`), the time its own
//! ([`Zone`]). Words stay English; what is written in figures is the reader's.

use std::sync::OnceLock;

use axum::http::{HeaderMap, header::ACCEPT_LANGUAGE};
use fixed_decimal::Decimal;
use icu_datetime::{
    DateTimeFormatter,
    fieldsets::{T, YMD, YMDT},
    input::{Date, DateTime, Time},
};
use icu_decimal::DecimalFormatter;
use icu_locale_core::Locale;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::zone::Zone;
use crate::server::context;

const USUAL: &str = "en-GB";
/// More digits than this are left as they are.
const LONGEST: usize = 64;

/// One reader's habits. Made for each page; each of the formatters takes some microseconds, and few
/// pages need all of them.
pub struct Reader {
    /// Where their clock is.
    pub zone: Zone,
    language: Locale,
    numbers: OnceLock<Option<DecimalFormatter>>,
    days: OnceLock<Option<DateTimeFormatter<YMD>>>,
    moments: OnceLock<Option<DateTimeFormatter<YMDT>>>,
}

/// What a [`Reader`] is made from: for what is written later, when nobody asks any more.
#[derive(Debug, Clone)]
pub struct Habits {
    /// Where their clock is.
    pub zone: Zone,
    language: Locale,
}

impl Habits {
    /// Those of whoever sent these headers.
    pub fn of(headers: &HeaderMap) -> Self {
        let wanted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Self { zone: Zone::of(headers), language: language(wanted.unwrap_or_default()) }
    }
}

/// Those of nobody in particular.
impl Default for Habits {
    fn default() -> Self {
        Self { zone: Zone::default(), language: language("") }
    }
}

impl Reader {
    /// Whoever asked for the page that is being made.
    pub fn of_page() -> Self {
        context::with_parts(|parts| Self::of(&parts.headers))
    }

    /// Whoever sent these headers.
    pub fn of(headers: &HeaderMap) -> Self {
        Self::with(&Habits::of(headers))
    }

    /// Whoever has these habits.
    pub fn with(habits: &Habits) -> Self {
        Self::new(&habits.language, habits.zone.clone())
    }

    fn new(language: &Locale, zone: Zone) -> Self {
        let (numbers, days, moments) = Default::default();
        Self { zone, language: language.clone(), numbers, days, moments }
    }

    fn numbers(&self) -> Option<&DecimalFormatter> {
        let new = || DecimalFormatter::try_new(self.language.clone().into(), Default::default());
        self.numbers.get_or_init(|| new().ok()).as_ref()
    }

    fn days(&self) -> Option<&DateTimeFormatter<YMD>> {
        let new = || DateTimeFormatter::try_new(self.language.clone().into(), YMD::medium());
        self.days.get_or_init(|| new().ok()).as_ref()
    }

    fn moments(&self) -> Option<&DateTimeFormatter<YMDT>> {
        let shown = YMD::medium().with_time_hm();
        let new = || DateTimeFormatter::try_new(self.language.clone().into(), shown);
        self.moments.get_or_init(|| new().ok()).as_ref()
    }

    /// A number in plain digits, such as `-1234.50`, with its thousands apart. What is no number
    /// stays as it is.
    pub fn number(&self, digits: &str, places: Option<i16>) -> String {
        // One written with an exponent could become as long as it likes.
        let is_plain = digits.len() <= LONGEST && !digits.contains(['e', 'E']);
        let parsed = is_plain.then(|| digits.parse::<Decimal>().ok()).flatten();
        let (Some(format), Some(mut number)) = (self.numbers(), parsed) else {
            return digits.to_owned();
        };
        if let Some(places) = places {
            number.absolute.pad_end(-places);
        }
        format.format(&number).to_string()
    }

    /// A day.
    pub fn day(&self, day: time::Date) -> String {
        let date = Date::try_new_iso(day.year(), day.month().into(), day.day()).ok();
        let written = self.days().zip(date).map(|(f, date)| f.format(&date).to_string());
        written.unwrap_or_else(|| day.to_string())
    }

    /// A moment, in the reader's own time.
    pub fn moment(&self, moment: OffsetDateTime) -> String {
        self.local(self.zone.at(moment))
    }

    /// A day and a time that nobody says the place of.
    pub fn local(&self, at: PrimitiveDateTime) -> String {
        let date = Date::try_new_iso(at.year(), at.month().into(), at.day()).ok();
        let parts = self.moments().zip(date).zip(clock(at.time()));
        let written = parts.map(|((f, date), time)| f.format(&DateTime { date, time }).to_string());
        written.unwrap_or_else(|| at.to_string())
    }

    /// What the clock shows at a moment, in the reader's own time.
    pub fn time(&self, moment: OffsetDateTime) -> String {
        self.clock(moment, T::hm())
    }

    /// The same to the second.
    pub fn second(&self, moment: OffsetDateTime) -> String {
        self.clock(moment, T::hms())
    }

    /// Few pages say it, so the formatter is made here.
    fn clock(&self, moment: OffsetDateTime, shown: T) -> String {
        let here = self.zone.at(moment);
        let format = DateTimeFormatter::try_new(self.language.clone().into(), shown).ok();
        let written =
            format.zip(clock(here.time())).map(|(format, time)| format.format(&time).to_string());
        written.unwrap_or_else(|| here.time().to_string())
    }
}

fn clock(time: time::Time) -> Option<Time> {
    Time::try_new(time.hour(), time.minute(), time.second(), 0).ok()
}

/// The language that is wanted most (RFC 9110 §12.5.4).
fn language(wanted: &str) -> Locale {
    let weighed = wanted.split(',').filter_map(|entry| {
        let (tag, weight) = match entry.split_once(";q=") {
            Some((tag, weight)) => (tag, weight.trim().parse().unwrap_or(0.0)),
            None => (entry, 1.0),
        };
        Some((tag.trim().parse::<Locale>().ok()?, weight))
    });
    // The first of those that weigh the same.
    let best =
        weighed.reduce(|best: (Locale, f32), next| if next.1 > best.1 { next } else { best });
    best.map_or_else(|| USUAL.parse().unwrap_or(Locale::UNKNOWN), |(language, _)| language)
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    fn reader(wanted: &str) -> Reader {
        Reader::new(&language(wanted), Zone::named("Europe/Berlin").unwrap())
    }

    #[test]
    fn figures_are_the_readers() {
        let british = reader("");
        assert_eq!(british.number("-1234567.5", Some(2)), "-1,234,567.50");
        assert_eq!(british.number("999", None), "999");
        assert_eq!(british.number("n/a", Some(2)), "n/a");
        assert_eq!(british.number("1e32767", None), "1e32767");
        assert_eq!(british.moment(datetime!(9999-12-31 23:59 UTC)), "31 Dec 9999, 23:59");
        assert_eq!(british.day(date!(2026 - 03 - 04)), "4 Mar 2026");
        assert_eq!(british.moment(datetime!(2026-06-04 12:02 UTC)), "4 Jun 2026, 14:02");

        let german = reader("de-DE,en;q=0.5");
        assert_eq!(german.number("1234.5", None), "1.234,5");
        assert_eq!(german.day(date!(2026 - 03 - 04)), "04.03.2026");
        assert_eq!(german.time(datetime!(2026-06-04 12:02 UTC)), "14:02");
    }

    #[test]
    fn the_language_that_is_wanted_most_counts() {
        assert_eq!(language("fr;q=0.3, de-CH;q=0.9, en;q=0.9").to_string(), "de-CH");
        assert_eq!(language("*, !!, pt-BR;q=0.1").to_string(), "pt-BR");
        assert_eq!(language("").to_string(), USUAL);
    }
}
