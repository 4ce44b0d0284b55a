//! What a value must be like. The server holds to it once it is sent; in the form it stands as
//! attributes, which the browser holds to while somebody types.

use regex::Regex;

/// What one field of a form takes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rule {
    /// The name of its control.
    pub name: String,
    /// What form a value has.
    pub shape: Shape,
    /// Whether there must be one.
    pub required: bool,
    /// The least number or the first day.
    pub min: Option<String>,
    /// The greatest number or the last day.
    pub max: Option<String>,
    /// In characters.
    pub min_length: Option<usize>,
    /// In characters.
    pub max_length: Option<usize>,
    /// A regular expression for the whole value.
    pub pattern: Option<String>,
    /// What the pattern wants, in words.
    pub hint: Option<String>,
}

/// What form a value has as text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shape {
    /// Any.
    #[default]
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `2026-01-31`
    Day,
    /// `2026-01-31T14:02`, perhaps with seconds.
    Moment,
    /// An address for mail.
    Email,
    /// An address of the web.
    Url,
    /// JSON.
    Json,
}

impl Rule {
    /// What is wrong with `text`, in a sentence; nothing where it may be sent.
    pub fn problem(&self, text: &str) -> Option<String> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return self.required.then(|| "Fill this in.".to_owned());
        }
        self.misshapen(trimmed)
            .or_else(|| self.out_of_bounds(trimmed))
            .or_else(|| self.of_wrong_length(text))
            .or_else(|| self.against_pattern(text))
    }

    fn misshapen(&self, text: &str) -> Option<String> {
        let (is_right, wanted) = match self.shape {
            Shape::Text => return None,
            Shape::Integer => (is_integer(text), "Write a whole number."),
            Shape::Number => (number(text).is_some(), "Write a number, such as 1200.50."),
            Shape::Day => (is_day(text), "Write a day, such as 2026-01-31."),
            Shape::Moment => (is_moment(text), "Write a day and a time: 2026-01-31T14:02."),
            Shape::Email => (is_email(text), "Write an address such as ada@example.com."),
            Shape::Url => (is_web_address(text), "Write an address that begins with https://."),
            Shape::Json => {
                let read = serde_json::from_str::<serde_json::Value>(text);
                return read
                    .err()
                    .map(|error| format!("This is no JSON: look at line {}.", error.line()));
            }
        };
        (!is_right).then(|| wanted.to_owned())
    }

    fn out_of_bounds(&self, text: &str) -> Option<String> {
        let is_time = matches!(self.shape, Shape::Day | Shape::Moment);
        let is_below = |text: &str, bound: &str| match is_time {
            true => text.get(..10) < bound.get(..10),
            false => number(text) < number(bound),
        };
        if let Some(min) = self.min.as_deref().filter(|min| is_below(text, min)) {
            let wanted = if is_time { "or later" } else { "or more" };
            return Some(format!("{min} {wanted}, please."));
        }
        let max = self.max.as_deref().filter(|max| is_below(max, text))?;
        let wanted = if is_time { "or earlier" } else { "or less" };
        Some(format!("{max} {wanted}, please."))
    }

    fn of_wrong_length(&self, text: &str) -> Option<String> {
        let length = text.chars().count();
        if let Some(min) = self.min_length.filter(|min| length < *min) {
            return Some(format!("At least {min} characters, please."));
        }
        let max = self.max_length.filter(|max| length > *max)?;
        Some(format!("At most {max} characters, please; these are {length}."))
    }

    fn against_pattern(&self, text: &str) -> Option<String> {
        let pattern = self.pattern.as_deref().filter(|pattern| !matches(pattern, text))?;
        let hint = self.hint.clone();
        Some(
            hint.unwrap_or_else(|| {
                format!("This does not have the form that is wanted: {pattern}")
            }),
        )
    }
}

/// A number as forms write it (HTML §2.3.4.3): neither `+5` nor `5.`, which browsers take for nothing.
fn number(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let whole = text.split(['e', 'E']).next().unwrap_or_default();
    let is_odd = text.starts_with('+') || whole.ends_with('.');
    text.parse().ok().filter(|number: &f64| is_plain && !is_odd && number.is_finite())
}

fn is_integer(text: &str) -> bool {
    !text.starts_with('+') && text.parse::<i64>().is_ok()
}

/// `2026-01-31`, if there is such a day.
fn is_day(text: &str) -> bool {
    let numbers: Option<Vec<u32>> = text.split('-').map(|part| part.parse().ok()).collect();
    let Some([year, month, day]) = numbers.as_deref() else { return false };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        1..=12 => 31,
        _ => return false,
    };
    text.len() == 10 && (1..=days).contains(day)
}

fn is_moment(text: &str) -> bool {
    let Some((day, time)) = text.split_once('T') else { return false };
    let parts: Vec<&str> = time.split(':').collect();
    let below = |part: &str, end: u32| {
        part.len() == 2 && part.parse::<u32>().is_ok_and(|number| number < end)
    };
    let is_time = match parts.as_slice() {
        [hour, minute] => below(hour, 24) && below(minute, 60),
        [hour, minute, second] => below(hour, 24) && below(minute, 60) && below(second, 60),
        _ => false,
    };
    is_day(day) && is_time
}

fn is_email(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && host.contains('.')
            && !host.starts_with('.')
            && !host.ends_with('.')
            && !text.contains(char::is_whitespace)
    })
}

fn is_web_address(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.contains(char::is_whitespace))
}

/// Whether the whole of `text` is what `pattern` describes. One that cannot be read holds of
/// everything: the server refuses such a pattern when it starts.
fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(&format!("^(?:{pattern})$")).map_or(true, |pattern| pattern.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shape: Shape, right: &[&str], wrong: &[&str]) {
        let rule = Rule { shape, ..Rule::default() };
        for text in right {
            assert_eq!(rule.problem(text), None, "{text}");
        }
        for text in wrong {
            assert!(rule.problem(text).is_some(), "{text}");
        }
    }

    #[test]
    fn values_have_the_shape_of_their_type() {
        check(Shape::Integer, &["0", "-12", " 7 ", ""], &["1.5", "x", "99999999999999999999"]);
        check(
            Shape::Number,
            &["1.5", "-0", "1e3", ".5"],
            &["1,5", "inf", "NaN", "--1", "+5", "5.", "5.e1"],
        );
        check(
            Shape::Day,
            &["2026-02-28", "2024-02-29", "2000-02-29"],
            &["2026-02-29", "1900-02-29", "2026-13-01", "2026-1-1", "2026-04-31", "soon"],
        );
        check(
            Shape::Moment,
            &["2026-02-28T00:00", "2026-02-28T23:59:59"],
            &["2026-02-28", "2026-02-28T24:00", "2026-02-28T1:00", "2026-02-30T10:00"],
        );
        check(Shape::Email, &["a@b.example"], &["a", "@b.example", "a@b", "a b@c.example"]);
        check(
            Shape::Url,
            &["https://a", "http://a/b?c"],
            &["javascript:x", "a.example", "https://"],
        );
        check(Shape::Json, &["{}", "[1, \"a\"]", "null"], &["{", "{'a': 1}"]);
    }

    #[test]
    fn bounds_lengths_and_patterns_hold() {
        let bounds = Rule {
            shape: Shape::Number,
            min: Some("0".into()),
            max: Some("100".into()),
            ..Rule::default()
        };
        assert!(["0", "99.5", "100"].iter().all(|text| bounds.problem(text).is_none()));
        assert_eq!(bounds.problem("-1").unwrap(), "0 or more, please.");
        assert_eq!(bounds.problem("100.1").unwrap(), "100 or less, please.");

        let days = Rule { shape: Shape::Moment, min: Some("2026-01-02".into()), ..Rule::default() };
        assert!(days.problem("2026-01-02T00:00").is_none());
        assert!(days.problem("2026-01-01T23:59").is_some());

        let text = Rule {
            required: true,
            min_length: Some(2),
            max_length: Some(3),
            pattern: Some("[a-zü]+".into()),
            ..Rule::default()
        };
        assert!(text.problem("üx").is_none());
        for wrong in ["", "  ", "a", "abcd", "a1", "xa "] {
            assert!(text.problem(wrong).is_some(), "{wrong:?}");
        }
    }
}
