//! What a backend says of a change that it does not take: which fields are wrong, and why.
//!
//! Its sentences are meant for people, so they are shown, as text and within bounds. Pages and traces
//! that a backend sends when it breaks are not.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The longest sentence that is passed on, in characters.
const LONGEST: usize = 300;
/// The most sentences.
const MOST: usize = 50;
/// Where backends put what is not about one field.
const WHOLE: [&str; 3] = ["non_field_errors", "__all__", "base"];
/// Where they put a sentence about the request. Fields can be called the same, whose sentences come
/// in lists.
const SENTENCES: [&str; 6] = ["detail", "message", "error", "title", "msg", "error_description"];

/// Why a change was not made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What is wrong with it as a whole.
    #[serde(default)]
    pub general: Vec<String>,
    /// What is wrong with single fields.
    #[serde(default)]
    pub fields: Vec<(String, String)>,
}

impl Refusal {
    /// A refusal in one sentence of ours.
    pub fn saying(sentence: impl Into<String>) -> Self {
        Self { general: vec![sentence.into()], fields: Vec::new() }
    }

    /// What is wrong with single fields.
    pub fn of_fields(fields: Vec<(String, String)>) -> Self {
        Self { general: Vec::new(), fields }
    }

    /// What the answer to a change says, in whichever of the usual forms: Django REST framework's
    /// `{"field": ["…"]}`, `errors` of Rails and Laravel, those of JSON:API, lists with locations
    /// (FastAPI), problem details (RFC 9457).
    pub fn read(status: u16, body: &[u8]) -> Self {
        let mut refusal = Self::default();
        match serde_json::from_slice(body) {
            Ok(Value::Object(answer)) => refusal.take_object(&answer),
            Ok(Value::Array(answers)) => answers.iter().for_each(|one| refusal.take(None, one)),
            _ => {}
        }
        if refusal == Self::default() {
            refusal = Self::saying(usual(status));
        }
        refusal
    }

    /// Moves what is said of fields that a form does not have to the front, under their names.
    pub fn for_form<'a>(
        mut self,
        has: impl Fn(&str) -> bool,
        label: impl Fn(&str) -> Option<&'a str>,
    ) -> Self {
        let (fields, others) = self.fields.into_iter().partition(|(name, _)| has(name));
        self.fields = fields;
        let others: Vec<(String, String)> = others;
        self.general.extend(
            others
                .into_iter()
                .map(|(name, sentence)| format!("{}: {sentence}", label(&name).unwrap_or(&name))),
        );
        self
    }

    /// All of it in one line.
    pub fn in_words(&self) -> String {
        let fields = self.fields.iter().map(|(name, sentence)| format!("{name}: {sentence}"));
        self.general.iter().cloned().chain(fields).collect::<Vec<_>>().join(" ")
    }

    fn take_object(&mut self, answer: &Map<String, Value>) {
        for wrapper in ["errors", "detail", "violations"] {
            match answer.get(wrapper) {
                Some(Value::Object(fields)) => return self.take_fields(fields),
                Some(Value::Array(list)) if list.iter().any(Value::is_object) => {
                    return list.iter().for_each(|one| self.take(None, one));
                }
                _ => {}
            }
        }
        match answer.get("error") {
            Some(Value::Object(inner)) => self.take_object(inner),
            _ => self.take_fields(answer),
        }
    }

    fn take_fields(&mut self, fields: &Map<String, Value>) {
        let is_problem = fields.get("status").is_some_and(Value::is_number)
            && fields.get("title").is_some_and(Value::is_string);
        for (name, value) in fields {
            match name.as_str() {
                "status" | "type" | "instance" | "code" if is_problem => {}
                "title" if is_problem && fields.contains_key("detail") => {}
                name if SENTENCES.contains(&name) && value.is_string() => self.take(None, value),
                // A number or a truth is no sentence.
                name if !(value.is_number() || value.is_boolean()) => self.take(Some(name), value),
                _ => {}
            }
        }
    }

    /// Takes up what is said of `field`, or of the whole.
    fn take(&mut self, field: Option<&str>, said: &Value) {
        match said {
            Value::String(sentence) => self.add(field, sentence),
            Value::Array(several) => several.iter().for_each(|one| self.take(field, one)),
            Value::Object(one) => self.take_located(field, one),
            _ => {}
        }
    }

    /// One that says where it belongs, or fields within a field.
    fn take_located(&mut self, field: Option<&str>, one: &Map<String, Value>) {
        let text = |key: &str| one.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let sentence = ["detail", "message", "msg", "title"].iter().find_map(|key| text(key));
        let Some(sentence) = sentence else {
            for (name, value) in one {
                let path = field.map_or_else(|| name.clone(), |field| format!("{field}.{name}"));
                self.take(Some(&path), value);
            }
            return;
        };
        let pointer = one.get("source").and_then(|source| source.get("pointer"));
        let pointed = pointer.and_then(Value::as_str).and_then(last_of_pointer);
        let located = one.get("loc").and_then(Value::as_array).and_then(|path| path.last());
        let named = ["field", "path", "property", "attribute", "param", "propertyPath"];
        let named = named.iter().find_map(|key| text(key));
        let place = pointed.or(located.and_then(Value::as_str)).or(named).or(field);
        self.add(place, sentence);
    }

    fn add(&mut self, field: Option<&str>, sentence: &str) {
        if self.general.len() + self.fields.len() >= MOST {
            return;
        }
        let clean: String = sentence.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        match field.filter(|field| !WHOLE.contains(field)) {
            Some(field) => self.fields.push((field.to_owned(), clean)),
            None => self.general.push(clean),
        }
    }
}

/// `/data/attributes/title` is about `title`.
fn last_of_pointer(pointer: &str) -> Option<&str> {
    let path = pointer.strip_prefix("/data").unwrap_or(pointer);
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    parts.find(|part| !["attributes", "relationships"].contains(part))
}

fn usual(status: u16) -> &'static str {
    match status {
        401 => "The backend no longer knows you. Sign in again, then send it once more.",
        403 => "The backend does not allow you to do that.",
        404 | 410 => "The record is no longer there.",
        409 => "It clashes with something that is there already.",
        413 => "It is larger than the backend takes.",
        429 => "The backend is asked too often right now. Try again in a moment.",
        _ => "The backend did not take it, and did not say why.",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(answer: Value, general: &[&str], fields: &[(&str, &str)]) {
        let refusal = Refusal::read(400, answer.to_string().as_bytes());
        let fields: Vec<_> = fields.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        let general: Vec<String> = general.iter().map(|text| (*text).into()).collect();
        assert_eq!(refusal, Refusal { general, fields }, "{answer}");
    }

    #[test]
    fn the_usual_forms_are_understood() {
        check(json!({ "detail": "No." }), &["No."], &[]);
        check(
            json!({ "email": ["Bad.", "Taken."] }),
            &[],
            &[("email", "Bad."), ("email", "Taken.")],
        );
        check(json!({ "non_field_errors": ["Both."] }), &["Both."], &[]);
        check(json!({ "address": { "city": ["Needed."] } }), &[], &[("address.city", "Needed.")]);
        check(
            json!({ "message": "The given data was invalid.", "errors": { "name": ["Short."] } }),
            &[],
            &[("name", "Short.")],
        );
        let pointed =
            json!({ "source": { "pointer": "/data/attributes/title" }, "detail": "Long." });
        check(json!({ "errors": [pointed] }), &[], &[("title", "Long.")]);
        check(
            json!({ "detail": [{ "loc": ["body", "age"], "msg": "No number." }] }),
            &[],
            &[("age", "No number.")],
        );
        check(
            json!({ "type": "about:blank", "title": "Bad", "status": 400, "detail": "Why." }),
            &["Why."],
            &[],
        );
        check(
            json!({ "status": ["No."], "title": ["Long."] }),
            &[],
            &[("status", "No."), ("title", "Long.")],
        );
        check(json!({ "error": { "code": 7, "message": "Full." } }), &["Full."], &[]);
        check(json!(["One.", "Two."]), &["One.", "Two."], &[]);
        check(json!({ "ok": false, "count": 3 }), &[usual(400)], &[]);
    }

    #[test]
    fn what_is_not_for_people_stays_behind() {
        let page = Refusal::read(500, b"<html>Traceback (most recent call last)");
        assert_eq!(page, Refusal::saying(usual(500)));
        let long = json!({ "detail": format!("a\u{7}{}", "x".repeat(1_000)) });
        let long = Refusal::read(400, long.to_string().as_bytes());
        assert_eq!(long.general[0].len(), LONGEST);
        let many = json!({ "x": vec!["y"; 1_000] });
        assert_eq!(Refusal::read(400, many.to_string().as_bytes()).fields.len(), MOST);
    }

    #[test]
    fn what_a_form_does_not_have_is_told_above_it() {
        let refusal = Refusal::of_fields(vec![
            ("name".into(), "Short.".into()),
            ("tenant".into(), "Wrong.".into()),
        ]);
        let refusal = refusal.for_form(|name| name == "name", |_| None);
        assert_eq!(refusal.general, ["tenant: Wrong."]);
        assert_eq!(refusal.fields.len(), 1);
    }
}
