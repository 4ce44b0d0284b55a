//! Durations as people write them: a number and a unit.

use std::time::Duration;

/// Units in milliseconds, from the smallest.
const UNITS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads `"500ms"`, `"10s"`, `"5m"`, `"8h"`, `"7d"`.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit())?);
    let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(*milliseconds)?))
}

/// Writes a duration in the largest unit that needs no fraction.
pub(super) fn write(duration: Duration) -> String {
    let total = duration.as_millis();
    let whole = UNITS.iter().rev().find(|(_, unit)| total.is_multiple_of(u128::from(*unit)));
    let (name, unit) = whole.unwrap_or(&("ms", 1));
    format!("{}{name}", total / u128::from(*unit))
}
