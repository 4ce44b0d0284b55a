//! Values of records: as text, as days, as moments.

use std::borrow::Cow;

use serde_json::Value;
use time::{
    Date, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset,
    format_description::{StaticFormatDescription, well_known::Rfc3339},
    macros::format_description,
};
use url::Url;

use crate::{config::ISO_DAY, ui::zone::Zone};

const ISO_LOCAL: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
const ISO_INSTANT: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// A value as text without any ornament; empty for nothing.
pub fn plain(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", ").into(),
        other => other.to_string().into(),
    }
}

/// An address of the web; of no other kind a link is made.
pub fn web_address(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

/// The day that `text` begins with.
pub fn day(text: &str) -> Option<Date> {
    Date::parse(text.get(..10)?, ISO_DAY).ok()
}

/// When the day `text` begins in `zone`.
pub fn day_in(text: &str, zone: &Zone) -> Option<OffsetDateTime> {
    let day = Date::parse(text, ISO_DAY).ok()?;
    Some(zone.moment(PrimitiveDateTime::new(day, Time::MIDNIGHT)))
}

/// The moment that `text` names; one without a zone is taken as it stands.
pub fn moment(text: &str) -> Option<Moment> {
    if let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(Moment::Known(moment));
    }
    // `+0200`, without a colon, as ISO 8601 allows and Drupal writes.
    if let Some((at, offset)) = text.split_at_checked(text.len().saturating_sub(2))
        && let Ok(moment) = OffsetDateTime::parse(&format!("{at}:{offset}"), &Rfc3339)
    {
        return Some(Moment::Known(moment));
    }
    PrimitiveDateTime::parse(text.get(..19)?, ISO_LOCAL).ok().map(Moment::Local)
}

/// A moment as a backend writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It says where.
    Known(OffsetDateTime),
    /// It does not.
    Local(PrimitiveDateTime),
}

/// A moment as backends read it: in UTC, to the microsecond.
pub fn instant(moment: OffsetDateTime) -> String {
    let moment = moment.checked_to_offset(UtcOffset::UTC).unwrap_or(moment);
    moment.format(ISO_INSTANT).unwrap_or_default()
}
