//! From the words of a question to the rows it asks for.
//!
//! Each step looks for one kind of phrase, adds to the selection and crosses the words off, so that
//! what is left at the end is what to search for. The order of the steps settles what a word means
//! that could mean two things.

use std::iter::once;

use time::{Date, Duration, Month};

use super::{
    topics::{Mention, Subject},
    words::Words,
};
use crate::sandbox::collections::{
    Collections, Field, Filter, Grouping, Kind, Operand, Order, Selection, TODAY, Test,
};

/// Words that announce a comparison, and the test that they announce.
type Phrase = (&'static [&'static str], fn(Operand) -> Test);
/// What is wanted of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// The rows, at most this many if the question said so.
    Rows(Option<u32>),
    /// How many there are.
    Count,
    /// The sums of the groups.
    Totals(Grouping),
}

/// A question that was understood.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) subject: Subject,
    pub(super) selection: Selection,
    pub(super) wish: Wish,
    /// Words that were searched for and are nowhere in the rows.
    pub(super) ignored: Vec<String>,
}

/// Fields whose values people name without naming the field.
const NAMED_VALUES: [&str; 6] =
    ["company", "city", "owner", "author", "created_by", "connected_by"];

/// How far before a comparison the name of its field may stand.
const NEAR: usize = 4;

const OVER: &[&str] = &[
    "over",
    "above",
    "more than",
    "greater than",
    "bigger than",
    "larger than",
    "higher than",
    "exceeding",
    "beyond",
    ">",
];
const UNDER: &[&str] = &[
    "under",
    "below",
    "less than",
    "fewer than",
    "lower than",
    "smaller than",
    "cheaper than",
    "<",
];
const AT_LEAST: &[&str] = &["at least", "minimum", "min", "no less than", ">="];
const AT_MOST: &[&str] = &["at most", "up to", "maximum", "max", "no more than", "<="];

/// Reads a question about a subject.
pub(super) async fn understand(
    collections: &Collections,
    tenant: &str,
    words: Words,
    subject: Subject,
    mention: Mention,
) -> Result<Request, sqlx::Error> {
    let mut draft = Draft { words, subject, selection: Selection::default() };
    draft.words.cross_off(mention.at, mention.long);
    draft.read_record_number(mention);
    draft.read_dates();
    draft.read_written_order();
    let grouping = draft.read_grouping();
    draft.read_comparisons();
    draft.read_states();
    let limit = draft.read_order(mention);
    draft.read_choices();
    draft.read_switches();
    draft.read_named_values(collections, tenant).await?;
    let wish = draft.read_wish(grouping, limit);
    draft.finish(collections, tenant, wish).await
}

struct Draft {
    words: Words,
    subject: Subject,
    selection: Selection,
}

impl Draft {
    fn fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.subject.collection.fields()
    }

    fn add(&mut self, field: &'static Field, test: Test) {
        self.selection.filters.push(Filter { field, test });
    }

    fn has_filter(&self, field: &Field) -> bool {
        self.selection.filters.iter().any(|filter| filter.field == field)
    }

    /// `contact 12`, `deal #7`
    fn read_record_number(&mut self, mention: Mention) {
        let at = mention.at + mention.long;
        let number = self.words.get(at).filter(|word| !word.percent).and_then(|word| word.number);
        if let (Some(number), Some(id)) = (number, self.subject.collection.field("id")) {
            self.words.cross_off(at, 1);
            self.add(id, Test::Is(Operand::Number(number)));
        }
    }

    /// `this week`, `overdue`, `after 2026-07-01`
    fn read_dates(&mut self) {
        let Some(when) = self.subject.when() else {
            return;
        };
        for (phrase, from, until) in spans() {
            if self.words.take(phrase) {
                self.add(when, Test::AtLeast(day(from)));
                self.add(when, Test::Below(day(until)));
                self.words.take("due");
                return;
            }
        }
        self.read_written_dates(when);
        self.read_overdue(when);
    }

    fn read_written_dates(&mut self, when: &'static Field) {
        let leads: [Phrase; 2] =
            [(&["after", "since", "from"], Test::AtLeast), (&["before", "until"], Test::Below)];
        for (phrases, test) in leads {
            for phrase in phrases {
                let Some(at) = self.words.find(phrase) else {
                    continue;
                };
                let date = self.words.get(at + 1).map(|word| word.text.clone());
                if let Some(date) = date.filter(|text| is_date(text)) {
                    self.add(when, test(Operand::Text(date)));
                    self.words.cross_off(at, 2);
                }
            }
        }
    }

    /// Where no status says so, what is late is what is open and was due before today.
    fn read_overdue(&mut self, when: &'static Field) {
        let says_so = self.fields().any(|field| options(field).contains(&"Overdue"));
        let open = self.subject.topic.states.iter().find(|(word, ..)| *word == "open");
        if let (false, Some((_, name, values))) = (says_so, open)
            && self.words.take_any(&["overdue", "late"])
        {
            self.add(when, Test::Below(day(TODAY)));
            self.add_choice(name, values);
        }
    }

    /// `by stage`, `per owner`, `by month`
    fn read_grouping(&mut self) -> Option<Grouping> {
        for lead in ["grouped by", "by", "per", "for each", "each"] {
            if let Some(when) = self.subject.when()
                && self.words.take_free(&format!("{lead} month"))
            {
                return Some(Grouping::Month(when));
            }
            let groupable = |field: &&Field| {
                matches!(field.kind, Kind::Text(_) | Kind::Choice(_) | Kind::Boolean)
            };
            for field in self.fields().filter(groupable) {
                if self.words.take_free(&format!("{lead} {}", spoken(field))) {
                    return Some(Grouping::Value(field));
                }
            }
        }
        None
    }

    /// `over 10000`, `probability above 50`, `between 5k and 10k`
    fn read_comparisons(&mut self) {
        let comparators: [Phrase; 4] = [
            (AT_LEAST, Test::AtLeast),
            (AT_MOST, Test::AtMost),
            (OVER, Test::Above),
            (UNDER, Test::Below),
        ];
        for (phrases, test) in comparators {
            for phrase in phrases {
                while self.read_comparison(phrase, test).is_some() {}
            }
        }
        self.read_between();
    }

    /// Nothing when the phrase is not there, or no longer.
    fn read_comparison(&mut self, phrase: &str, test: fn(Operand) -> Test) -> Option<()> {
        let at = self.words.find_free(phrase)?;
        let long = phrase.split(' ').count();
        let word = self.words.get(at + long)?;
        let (number, percent) = (word.number?, word.percent);
        self.words.cross_off(at, long + 1);
        if let Some(field) = self.compared_field(at, at + long + 1, percent) {
            self.add(field, test(Operand::Number(number)));
        }
        Some(())
    }

    fn read_between(&mut self) {
        let Some(at) = self.words.find_free("between") else {
            return;
        };
        let number = |at: usize| self.words.get(at).and_then(|word| word.number);
        let (Some(low), Some(high)) = (number(at + 1), number(at + 3)) else {
            return;
        };
        let percent = self.words.get(at + 3).is_some_and(|word| word.percent);
        self.words.cross_off(at, 4);
        if let Some(field) = self.compared_field(at, at + 4, percent) {
            self.add(field, Test::AtLeast(Operand::Number(low.min(high))));
            self.add(field, Test::AtMost(Operand::Number(low.max(high))));
        }
    }

    /// The number field that is named close by, or the one a bare number is most likely about.
    fn compared_field(&mut self, at: usize, after: usize, percent: bool) -> Option<&'static Field> {
        if let Some(field) = self.take_number_near(at, after) {
            return Some(field);
        }
        let percents = self.fields().find(|field| percent && field.kind == Kind::Percent);
        let any = self.fields().skip(1).find(|field| field.kind.is_number());
        percents.or_else(|| self.subject.measure()).or(any)
    }

    /// The field that is named shortly before a comparison, or right after its number.
    fn take_number_near(&mut self, at: usize, after: usize) -> Option<&'static Field> {
        let numbers = self.fields().filter(|field| field.kind.is_number());
        let named = numbers.flat_map(|field| names(field).map(move |name| (field, name)));
        let (_, field, name) = named
            .filter_map(|(field, name)| Some((self.words.find(&name)?, field, name)))
            .filter(|(place, ..)| *place == after || (*place < at && at - place <= NEAR))
            .min_by_key(|(place, ..)| place.abs_diff(at))?;
        self.words.take(&name);
        Some(field)
    }

    /// `top 5`, `10 largest`, `newest`; the answer is the limit.
    fn read_order(&mut self, mention: Mention) -> Option<u32> {
        let (measure, when) = (self.subject.measure(), self.subject.when());
        let superlatives: [(&[&str], Option<&'static Field>, bool); 5] = [
            (&["top", "largest", "biggest", "highest", "best", "most expensive"], measure, true),
            (&["smallest", "lowest", "cheapest", "least"], measure, false),
            (&["newest", "latest", "most recent", "recent", "last"], when, true),
            (&["oldest", "earliest", "next", "upcoming"], when, false),
            (&["first"], None, false),
        ];
        for (phrases, field, descending) in superlatives {
            for phrase in phrases {
                let Some(at) = self.words.find_free(phrase) else {
                    continue;
                };
                let long = phrase.split(' ').count();
                self.words.cross_off(at, long);
                self.order_by(field, descending);
                return self.read_limit(at, long).or_else(|| self.only_one(mention));
            }
        }
        None
    }

    /// `sorted by amount`, `order by name descending`
    fn read_written_order(&mut self) {
        for field in self.fields().filter(|field| field.kind != Kind::Json) {
            let taken = names(field).any(|name| {
                ["sorted by", "sort by", "ordered by", "order by"]
                    .iter()
                    .any(|lead| self.words.take_free(&format!("{lead} {name}")))
            });
            if taken {
                let down = self.words.take_any(&["descending", "desc"]);
                let up = self.words.take_any(&["ascending", "asc"]);
                self.order_by(Some(field), down || (field.kind.is_number() && !up));
                return;
            }
        }
    }

    fn order_by(&mut self, field: Option<&'static Field>, descending: bool) {
        if let Some(field) = field
            && self.selection.ordering.is_empty()
        {
            self.selection.ordering.push(Order { field, descending });
        }
    }

    /// A number right before or right after a superlative.
    fn read_limit(&mut self, at: usize, long: usize) -> Option<u32> {
        let places = [Some(at + long), at.checked_sub(1)];
        let found = places.into_iter().flatten().find_map(|place| {
            let number = self.words.get(place)?.number?;
            (1..=50u32).find(|limit| f64::from(*limit) == number).map(|limit| (place, limit))
        });
        let (place, limit) = found?;
        self.words.cross_off(place, 1);
        Some(limit)
    }

    /// `the largest deal` is one.
    fn only_one(&self, mention: Mention) -> Option<u32> {
        let last = self.words.get(mention.at + mention.long - 1)?;
        mention.phrase.ends_with(&last.text).then_some(1)
    }

    /// `open`, `unpaid`, `published`
    fn read_states(&mut self) {
        for (word, name, values) in self.subject.topic.states {
            if self.words.take_free(word) {
                self.add_choice(name, values);
            }
        }
    }

    fn add_choice(&mut self, name: &str, values: &[&str]) {
        if let Some(field) = self.subject.collection.field(name)
            && !self.has_filter(field)
        {
            let operand = |value: &&str| Operand::Text((*value).to_owned());
            match values {
                [] => {}
                [only] => self.add(field, Test::Is(operand(only))),
                many => self.add(field, Test::OneOf(many.iter().map(operand).collect())),
            }
        }
    }

    /// Any option of any choice. A word that named the collection counts again: `customers` are
    /// the contacts of that status.
    fn read_choices(&mut self) {
        for field in self.fields() {
            let named: Vec<&str> = options(field)
                .iter()
                .copied()
                .filter(|option| option.len() > 2 && self.words.take(&phrase(option)))
                .collect();
            self.add_choice(field.name, &named);
        }
    }

    /// `active`, `inactive`, `default`
    fn read_switches(&mut self) {
        for field in self.fields().filter(|field| field.kind == Kind::Boolean) {
            let name = spoken(field);
            let off = [format!("not {name}"), format!("in{name}"), format!("non {name}")];
            if off.iter().any(|phrase| self.words.take_free(phrase)) {
                self.add(field, Test::Is(Operand::Number(0.0)));
            } else if self.words.take_free(&name) {
                self.add(field, Test::Is(Operand::Number(1.0)));
            }
        }
    }

    /// `at Globex`, `in Lisbon`, `of Ada`: values that are in the data, whole or by their first word.
    async fn read_named_values(
        &mut self,
        collections: &Collections,
        tenant: &str,
    ) -> Result<(), sqlx::Error> {
        let shelf = collections.shelf(self.subject.collection, tenant);
        for name in NAMED_VALUES {
            let Some(field) = self.subject.collection.field(name) else {
                continue;
            };
            let all = Selection::default();
            let values = shelf.totals(&all, Grouping::Value(field), None).await?;
            let keys = values.iter().map(|value| value.key.as_str());
            let named = keys.clone().find(|key| self.words.take_free(&phrase(key)));
            if let Some(whole) = named {
                self.add(field, Test::Is(Operand::Text(whole.to_owned())));
                continue;
            }
            let mut first_words = keys.filter_map(|key| key.split(' ').next());
            if let Some(part) = first_words
                .find(|word| word.chars().count() > 2 && self.words.take_free(&phrase(word)))
            {
                self.add(field, Test::Contains(part.to_owned()));
            }
        }
        Ok(())
    }

    fn read_wish(&mut self, grouping: Option<Grouping>, limit: Option<u32>) -> Wish {
        let sum = self.words.take_any(&["total", "sum", "altogether", "how much", "sum of"]);
        let count = self.words.take_any(&["how many", "count", "number of"]);
        match grouping {
            Some(grouping) => Wish::Totals(grouping),
            None if count => Wish::Count,
            None if sum && self.subject.measure().is_some() => Wish::Totals(Grouping::Nothing),
            None => Wish::Rows(limit),
        }
    }

    /// Searches for what is left over. Words that are nowhere would hide every row; they are set
    /// aside and named in the answer.
    async fn finish(
        mut self,
        collections: &Collections,
        tenant: &str,
        wish: Wish,
    ) -> Result<Request, sqlx::Error> {
        for field in self.fields() {
            // `show the email of Maria`: the name of a field is nothing to search for.
            self.words.take_free(&spoken(field));
        }
        let shelf = collections.shelf(self.subject.collection, tenant);
        let mut ignored = Vec::new();
        for term in self.words.leftover() {
            let alone = Selection { terms: vec![term.clone()], ..Selection::default() };
            if shelf.count(&alone).await? > 0 {
                self.selection.terms.push(term);
            } else {
                ignored.push(term);
            }
        }
        Ok(Request { subject: self.subject, selection: self.selection, wish, ignored })
    }
}

/// A label as people say it: `close date`.
pub(super) fn spoken(field: &Field) -> String {
    field.label().to_lowercase()
}

/// What a field is called: its label, and the last word of it where that says enough.
fn names(field: &Field) -> impl Iterator<Item = String> + use<> {
    let whole = spoken(field);
    let last = whole.rsplit_once(' ').map(|(_, last)| last.to_owned());
    once(whole).chain(last.filter(|last| last.len() > 3))
}

/// A value as the phrase it is in a question.
fn phrase(value: &str) -> String {
    let words = Words::read(value);
    let texts = (0..words.len()).filter_map(|at| words.get(at)).map(|word| word.text.as_str());
    texts.collect::<Vec<_>>().join(" ")
}

pub(super) fn options(field: &Field) -> &'static [&'static str] {
    match field.kind {
        Kind::Choice(options) => options,
        _ => &[],
    }
}

fn day(date: Date) -> Operand {
    Operand::Text(date.to_string())
}

pub(super) fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let mut part = || parts.next()?.parse::<u16>().ok();
    let (Some(year), Some(month), Some(date)) = (part(), part(), part()) else {
        return false;
    };
    let month = u8::try_from(month).ok().and_then(|month| Month::try_from(month).ok());
    let date = u8::try_from(date).ok();
    text.len() == 10
        && month
            .zip(date)
            .is_some_and(|(month, date)| Date::from_calendar_date(year.into(), month, date).is_ok())
}

/// Phrases for spans of days, each from its first day until before the second.
fn spans() -> [(&'static str, Date, Date); 14] {
    let days =
        |from: i64, until: i64| (TODAY + Duration::days(from), TODAY + Duration::days(until));
    let monday = -i64::from(TODAY.weekday().number_days_from_monday());
    let month = TODAY + Duration::days(1 - i64::from(TODAY.day()));
    let next_month = month_after(month);
    let last_month = month_after(month - Duration::days(45));
    let year = |year| Date::from_ordinal_date(year, 1).unwrap_or(TODAY);
    let span = |phrase, (from, until)| (phrase, from, until);
    [
        span("today", days(0, 1)),
        span("tomorrow", days(1, 2)),
        span("yesterday", days(-1, 0)),
        span("this week", days(monday, monday + 7)),
        span("next week", days(monday + 7, monday + 14)),
        span("last week", days(monday - 7, monday)),
        span("this month", (month, next_month)),
        span("next month", (next_month, month_after(next_month))),
        span("last month", (last_month, month)),
        span("this year", (year(TODAY.year()), year(TODAY.year() + 1))),
        span("last year", (year(TODAY.year() - 1), year(TODAY.year()))),
        span("next 7 days", days(0, 7)),
        span("next 30 days", days(0, 30)),
        span("last 30 days", days(-30, 1)),
    ]
}

/// The first day of the month after a day's.
fn month_after(date: Date) -> Date {
    let first = date - Duration::days(i64::from(date.day()) - 1);
    let later = first + Duration::days(31);
    later - Duration::days(i64::from(later.day()) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::collections::testing::collections;

    async fn ask(collections: &Collections, text: &str) -> (Vec<(String, String)>, Wish) {
        let words = Words::read(text);
        let (subject, mention) = Subject::of(&words).unwrap();
        let request = understand(collections, "harbor", words, subject, mention).await.unwrap();
        assert_eq!(request.ignored, [] as [&str; 0], "{text}");
        (request.selection.to_pairs(), request.wish)
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[tokio::test]
    async fn questions_become_selections() {
        let open = ("stage__in", "Lead,Qualified,Proposal,Negotiation");
        let week = [("due_date__gte", "2026-06-15"), ("due_date__lt", "2026-06-22")];
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("Open deals over 10000", &[("amount__gt", "10000"), open]),
            ("show me open deals above $10,000 please", &[("amount__gt", "10000"), open]),
            ("deals between 5k and 20k", &[("amount__gte", "5000"), ("amount__lte", "20000")]),
            ("deals with probability of at least 50%", &[("probability__gte", "50")]),
            ("contacts at Globex", &[("company", "Globex")]),
            ("Umbra contacts in Lisbon", &[("company__icontains", "Umbra"), ("city", "Lisbon")]),
            ("contacts in sao paulo", &[("city", "São Paulo")]),
            ("customers", &[("status", "Customer")]),
            ("overdue invoices", &[("status", "Overdue")]),
            ("tasks due this week", &week),
            (
                "invoices over 2000 sorted by amount",
                &[("amount__gt", "2000"), ("ordering", "-amount")],
            ),
            ("active webhooks", &[("active", "1")]),
            ("contact 12", &[("id", "12")]),
            ("show contact Maria", &[("search", "maria")]),
            ("deals of Ada", &[("owner__icontains", "Ada")]),
            ("invoices due after 2026-06-20", &[("due_on__gte", "2026-06-20")]),
            (
                "deals over 5000 with probability over 60",
                &[("amount__gt", "5000"), ("probability__gt", "60")],
            ),
        ];
        let collections = collections().await;
        for (question, expected) in cases {
            assert_eq!(ask(&collections, question).await.0, pairs(expected), "{question}");
        }
    }

    #[tokio::test]
    async fn wishes_are_told_apart() {
        let collections = collections().await;
        let (selection, wish) = ask(&collections, "top 5 deals").await;
        assert_eq!((selection, wish), (pairs(&[("ordering", "-amount")]), Wish::Rows(Some(5))));
        assert_eq!(ask(&collections, "the largest deal").await.1, Wish::Rows(Some(1)));
        assert_eq!(ask(&collections, "how many contacts are there?").await.1, Wish::Count);
        let (_, wish) = ask(&collections, "revenue by stage").await;
        assert!(matches!(wish, Wish::Totals(Grouping::Value(field)) if field.name == "stage"));
        let (_, wish) = ask(&collections, "total of open deals").await;
        assert_eq!(wish, Wish::Totals(Grouping::Nothing));
        assert_eq!(ask(&collections, "campaigns").await, (Vec::new(), Wish::Rows(None)));
    }

    #[tokio::test]
    async fn words_that_are_nowhere_are_set_aside() {
        let collections = collections().await;
        let words = Words::read("contacts currently in Lisbon");
        let (subject, mention) = Subject::of(&words).unwrap();
        let request = understand(&collections, "harbor", words, subject, mention).await.unwrap();
        assert_eq!(request.ignored, ["currently"]);
        assert_eq!(request.selection.to_pairs(), pairs(&[("city", "Lisbon")]));
    }

    #[test]
    fn spans_are_whole_weeks_and_months() {
        let span = |wanted: &str| {
            let (_, from, until) = spans().into_iter().find(|(name, ..)| *name == wanted).unwrap();
            (from.to_string(), until.to_string())
        };
        let strings = |from: &str, until: &str| (from.to_owned(), until.to_owned());
        assert_eq!(span("this week"), strings("2026-06-15", "2026-06-22"));
        assert_eq!(span("last month"), strings("2026-05-01", "2026-06-01"));
        assert_eq!(span("next month"), strings("2026-07-01", "2026-08-01"));
        assert_eq!(span("this year"), strings("2026-01-01", "2027-01-01"));
    }
}
