//! A question as a list of words that are crossed off as they are understood.

use crate::sandbox::collections::fold;

/// Words that say nothing about which rows are meant.
const STOPWORDS: &[&str] = &[
    "a",
    "about",
    "all",
    "an",
    "and",
    "any",
    "are",
    "as",
    "asc",
    "ascending",
    "at",
    "be",
    "been",
    "belonging",
    "by",
    "can",
    "could",
    "data",
    "desc",
    "descending",
    "display",
    "do",
    "does",
    "due",
    "each",
    "every",
    "fetch",
    "find",
    "first",
    "for",
    "from",
    "get",
    "give",
    "had",
    "has",
    "have",
    "having",
    "hello",
    "hey",
    "hi",
    "how",
    "i",
    "in",
    "is",
    "it",
    "its",
    "last",
    "like",
    "list",
    "look",
    "looking",
    "made",
    "many",
    "me",
    "mine",
    "more",
    "much",
    "my",
    "named",
    "need",
    "next",
    "now",
    "of",
    "on",
    "one",
    "ones",
    "open",
    "or",
    "order",
    "ordered",
    "our",
    "out",
    "over",
    "per",
    "please",
    "record",
    "records",
    "row",
    "rows",
    "search",
    "see",
    "show",
    "so",
    "some",
    "sort",
    "sorted",
    "tell",
    "than",
    "thank",
    "thanks",
    "that",
    "the",
    "their",
    "them",
    "there",
    "these",
    "this",
    "those",
    "to",
    "total",
    "up",
    "us",
    "want",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "who",
    "whose",
    "will",
    "with",
    "would",
    "you",
    "your",
];

/// One word of a question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Word {
    /// Lower case, without accents and punctuation around it.
    pub(super) text: String,
    /// Its value, if it is a number.
    pub(super) number: Option<f64>,
    /// It ended in a percent sign.
    pub(super) percent: bool,
    used: bool,
}

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Words(Vec<Word>);

impl Words {
    /// The words of a text.
    pub(super) fn read(text: &str) -> Self {
        let folded = fold(text);
        Self(folded.split_whitespace().flat_map(split).filter_map(Word::read).collect())
    }

    /// The word at a position.
    pub(super) fn get(&self, at: usize) -> Option<&Word> {
        self.0.get(at)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Where a phrase of singular words begins, whether crossed off or not.
    pub(super) fn find(&self, phrase: &str) -> Option<usize> {
        self.find_where(phrase, |_| true)
    }

    /// Where a phrase begins that nothing has claimed.
    pub(super) fn find_free(&self, phrase: &str) -> Option<usize> {
        self.find_where(phrase, |word| !word.used)
    }

    /// Whether a phrase is there, crossed off or not.
    pub(super) fn has(&self, phrase: &str) -> bool {
        self.find(phrase).is_some()
    }

    /// Whether one of the phrases is there; crosses off every one that is.
    pub(super) fn take_any(&mut self, phrases: &[&str]) -> bool {
        let taken: Vec<_> = phrases.iter().map(|phrase| self.take(phrase)).collect();
        taken.contains(&true)
    }

    /// Crosses off a phrase wherever it stands, and tells whether it was there.
    pub(super) fn take(&mut self, phrase: &str) -> bool {
        let found = self.find(phrase);
        if let Some(at) = found {
            self.cross_off(at, phrase.split(' ').count());
        }
        found.is_some()
    }

    /// Crosses off a phrase that nothing else has claimed, and tells whether it was there.
    pub(super) fn take_free(&mut self, phrase: &str) -> bool {
        let found = self.find_free(phrase);
        if let Some(at) = found {
            self.cross_off(at, phrase.split(' ').count());
        }
        found.is_some()
    }

    /// Crosses off a run of words.
    pub(super) fn cross_off(&mut self, at: usize, many: usize) {
        self.0.iter_mut().skip(at).take(many).for_each(|word| word.used = true);
    }

    /// What nothing has claimed and what is worth searching for.
    pub(super) fn leftover(&self) -> Vec<String> {
        let free = self.0.iter().filter(|word| !word.used && word.text.chars().count() > 1);
        let telling = free.filter(|word| !STOPWORDS.contains(&word.text.as_str()));
        telling.map(|word| word.text.clone()).collect()
    }

    fn find_where(&self, phrase: &str, fits: impl Fn(&Word) -> bool) -> Option<usize> {
        let wanted: Vec<_> = phrase.split(' ').collect();
        let matches = |run: &[Word]| {
            run.iter().zip(&wanted).all(|(word, wanted)| fits(word) && word.is(wanted))
        };
        self.0.windows(wanted.len()).position(matches)
    }
}

impl Word {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim_matches(|letter: char| {
            !letter.is_alphanumeric() && !matches!(letter, '%' | '<' | '>' | '=')
        });
        let bare = text.trim_end_matches('%');
        (!text.is_empty()).then(|| Self {
            text: text.to_owned(),
            number: read_number(bare),
            percent: bare != text,
            used: false,
        })
    }

    fn is(&self, singular: &str) -> bool {
        self.text == singular || self.text.strip_suffix('s') == Some(singular)
    }
}

/// `api-keys` is two words, `2026-06-17` is one.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let has_digit = text.contains(|letter: char| letter.is_ascii_digit());
    text.split(move |letter: char| letter == '/' || (letter == '-' && !has_digit))
}

/// `10000`, `10,000`, `10k`, `1.5m`; `$` and `€` before it were trimmed.
fn read_number(text: &str) -> Option<f64> {
    let (digits, factor) = match text.strip_suffix('k') {
        Some(digits) => (digits, 1_000.0),
        None => text.strip_suffix('m').map_or((text, 1.0), |digits| (digits, 1_000_000.0)),
    };
    if !digits.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let number: f64 = digits.replace([',', '_'], "").parse().ok()?;
    (number.is_finite() && number < 1e15).then_some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let numbers = |text: &str| -> Vec<f64> {
            Words::read(text).0.iter().filter_map(|word| word.number).collect()
        };
        assert_eq!(numbers("over $10,000, 10k or €1.5m?"), [10_000.0, 10_000.0, 1_500_000.0]);
        assert_eq!(numbers("above 50%"), [50.0]);
        assert_eq!(numbers("on 2026-06-17 by km and k"), [] as [f64; 0]);
    }

    #[test]
    fn what_is_crossed_off_is_not_left_over() {
        let mut words = Words::read("Show me the API-keys of Łukasz!");
        assert!(words.take("api key"));
        assert!(!words.take_free("api key"));
        assert!(words.has("api key"));
        assert_eq!(words.leftover(), ["lukasz"]);
    }
}
