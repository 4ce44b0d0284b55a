//! Text and time in the forms the collections store, so that comparing text compares meaning.

use time::{Date, OffsetDateTime, UtcOffset, macros::date};

/// The day the seeded rows are written around. The assistant's "this week" and "overdue" count from
/// it too, or its examples would find nothing a month later.
pub(crate) const TODAY: Date = date!(2026 - 06 - 17);

/// Lower case without accents, so that `Łukasz` is found by `lukasz`.
pub(crate) fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).filter_map(base_letter).collect()
}

fn base_letter(letter: char) -> Option<char> {
    Some(match letter {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ą' | 'ă' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'è' | 'é' | 'ê' | 'ë' | 'ę' | 'ě' => 'e',
        'ğ' => 'g',
        'ì' | 'í' | 'î' | 'ï' | 'ı' => 'i',
        'ł' => 'l',
        'ñ' | 'ń' | 'ň' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ő' => 'o',
        'ř' => 'r',
        'ś' | 'ş' | 'š' => 's',
        'ţ' | 'ť' => 't',
        'ù' | 'ú' | 'û' | 'ü' | 'ů' | 'ű' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        // What is left of a capital I with a dot in lower case.
        '\u{307}' => return None,
        other => other,
    })
}

/// A moment in the one form that is stored: `2026-06-17T09:30:00.000000Z`.
pub(crate) fn stamp(moment: OffsetDateTime) -> String {
    let moment = moment.to_offset(UtcOffset::UTC);
    format!(
        "{}T{:02}:{:02}:{:02}.{:06}Z",
        moment.date(),
        moment.hour(),
        moment.minute(),
        moment.second(),
        moment.microsecond()
    )
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn folding_drops_case_and_accents() {
        assert_eq!(fold("Łukasz Öztürk"), "lukasz ozturk");
        assert_eq!(fold("São Paulo, İstanbul"), "sao paulo, istanbul");
    }

    #[test]
    fn stamps_are_in_utc_and_sort_as_text() {
        assert_eq!(stamp(datetime!(2026-06-17 01:30 +2)), "2026-06-16T23:30:00.000000Z");
        assert!(stamp(datetime!(2026-06-17 9:00 UTC)) < stamp(datetime!(2026-06-17 10:00 UTC)));
    }
}
