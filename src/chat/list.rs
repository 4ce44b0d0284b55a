//! The HTML of lists of conversations: by day, and by what was looked for.

use time::{Date, OffsetDateTime, macros::format_description};

use super::view::{ConversationLine, Hit, Listing, Marked};
use crate::ui::{html::Html, zone::Zone};

/// The list by day, the current conversation marked. The sections of pinned ones and of today are
/// always there: what is changed while the page is open goes there.
pub fn by_day(listing: &Listing, current: &str, zone: &Zone) -> String {
    let today = zone.at(OffsetDateTime::now_utc()).date();
    let mut html = Html::default();
    section(&mut html, "Pinned", &listing.pinned, current);
    let mut rest = listing.lines.as_slice();
    let mut day = "Today".to_owned();
    loop {
        let is_other = |line: &ConversationLine| named(day_of(line, zone), today) != day;
        let (of_day, others) = rest.split_at(rest.iter().position(is_other).unwrap_or(rest.len()));
        section(&mut html, &day, of_day, current);
        let Some(next) = others.first() else { return html.finish() };
        (rest, day) = (others, named(day_of(next, zone), today));
    }
}

fn section(html: &mut Html, name: &str, lines: &[ConversationLine], current: &str) {
    html.markup("<section class=\"day\" data-day=\"").text(&name.to_lowercase()).markup("\"><h2>");
    html.text(name).markup("</h2><ol class=\"conversations\" role=\"list\">");
    html.safe(&items(lines, current)).markup("</ol></section>");
}

fn day_of(line: &ConversationLine, zone: &Zone) -> Date {
    let time = OffsetDateTime::from_unix_timestamp(line.updated_at / 1_000);
    zone.at(time.unwrap_or(OffsetDateTime::UNIX_EPOCH)).date()
}

/// What people call a day.
fn named(day: Date, today: Date) -> String {
    match (today - day).whole_days() {
        ..=0 => "Today".to_owned(),
        1 => "Yesterday".to_owned(),
        2..=7 => "Previous 7 days".to_owned(),
        8..=30 => "Previous 30 days".to_owned(),
        _ => day.format(format_description!("[month repr:long] [year]")).unwrap_or_default(),
    }
}

/// Links to conversations, the current one marked.
pub fn items(lines: &[ConversationLine], current: &str) -> String {
    lines.iter().map(|line| item(line, line.id == current)).collect()
}

/// A link to a conversation, in the list of them.
pub fn item(line: &ConversationLine, is_current: bool) -> String {
    let mut html = Html::default();
    html.markup(if line.pinned { "<li data-pinned>" } else { "<li>" });
    html.markup("<a href=\"/chat/").text(&line.id).markup("\"");
    if is_current {
        html.markup(" aria-current=\"page\"");
    }
    html.markup("><span class=\"title\" dir=\"auto\">").text(&line.title).markup("</span>");
    if line.pinned {
        html.icon("pin").markup("<span class=\"visually-hidden\">Pinned</span>");
    }
    if line.unread && !is_current {
        html.markup(
            "<span class=\"unread\"><span class=\"visually-hidden\">New reply</span></span>",
        );
    }
    html.markup("</a></li>");
    html.finish()
}

/// Conversations in which words were found, and where.
pub fn hits(hits: &[Hit]) -> String {
    let mut html = Html::default();
    html.markup("<ol class=\"hits\" role=\"list\">");
    for hit in hits {
        html.markup("<li><a class=\"title\" dir=\"auto\" href=\"/chat/").text(&hit.line.id);
        html.markup("\">");
        marked(&mut html, &hit.title);
        html.markup("</a>");
        for (message, words) in &hit.places {
            html.markup("<a class=\"place\" dir=\"auto\" href=\"/chat/").text(&hit.line.id);
            html.markup("?at=").text(message).markup("#m-").text(message).markup("\">");
            marked(&mut html, words);
            html.markup("</a>");
        }
        html.markup("</li>");
    }
    html.markup("</ol>");
    html.finish()
}

fn marked(html: &mut Html, pieces: &Marked) {
    for (text, is_found) in pieces {
        if *is_found {
            html.markup("<mark>").text(text).markup("</mark>");
        } else {
            html.text(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::{Duration, macros::date};

    use super::*;
    use crate::ui::zone::UTC;

    fn line(id: &str, age: Duration) -> ConversationLine {
        let at = OffsetDateTime::now_utc() - age;
        ConversationLine {
            id: id.into(),
            title: id.into(),
            updated_at: at.unix_timestamp() * 1_000,
            pinned: false,
            unread: false,
        }
    }

    #[test]
    fn days_have_the_names_that_people_give_them() {
        let today = date!(2026 - 11 - 21);
        for (day, name) in [
            (date!(2026 - 11 - 22), "Today"),
            (today, "Today"),
            (date!(2026 - 11 - 20), "Yesterday"),
            (date!(2026 - 11 - 14), "Previous 7 days"),
            (date!(2026 - 10 - 22), "Previous 30 days"),
            (date!(2026 - 10 - 21), "October 2026"),
        ] {
            assert_eq!(named(day, today), name, "{day}");
        }
    }

    #[test]
    fn a_day_begins_where_the_reader_is() {
        let line = ConversationLine { updated_at: 23 * 3_600 * 1_000, ..line("a", Duration::ZERO) };
        assert_eq!(day_of(&line, &UTC), date!(1970 - 01 - 01));
        assert_eq!(day_of(&line, &Zone::named("Africa/Harare").unwrap()), date!(1970 - 01 - 02));
    }

    #[test]
    fn the_sections_that_change_are_always_there() {
        let html = by_day(&Listing::default(), "", &UTC);
        assert!(html.contains("data-day=\"pinned\"") && html.contains("data-day=\"today\""));
        let lines = vec![line("new", Duration::ZERO), line("old", Duration::days(400))];
        let html = by_day(&Listing { lines, ..Listing::default() }, "old", &UTC);
        let (today, older) = html.split_once("new").unwrap();
        assert!(today.ends_with("href=\"/chat/") && today.contains("data-day=\"today\""));
        assert!(older.contains("<a href=\"/chat/old\" aria-current"), "{older}");
        assert_eq!(html.matches("<section").count(), 3, "{html}");
    }

    proptest! {
        /// Whatever people call their conversations, the only tags are ours.
        #[test]
        fn nothing_but_our_own_markup(text in "[<>\"'&a-z/= ]{0,40}") {
            let line = ConversationLine { id: text.clone(), title: text.clone(), ..line("", Duration::ZERO) };
            prop_assert_eq!(item(&line, true).matches('<').count(), 6);
            let pieces = vec![(text.clone(), true)];
            let hit = Hit { line, title: pieces.clone(), places: vec![(text, pieces)] };
            prop_assert_eq!(hits(&[hit]).matches('<').count(), 12);
        }
    }
}
