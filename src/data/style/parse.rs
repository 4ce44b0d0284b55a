//! Reading a long answer without what nobody asked for. Most of the work on a list is reading its
//! JSON, and much of that are fields that are not shown.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A JSON text as a value. Of the records in the list under `path` only `wanted` keys are kept,
/// unless the text is built in another way.
pub(super) fn parse(text: &[u8], path: &[&str], wanted: &[&str]) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    match (Part { path, wanted }).deserialize(&mut deserializer) {
        Ok(value) if deserializer.end().is_ok() => Ok(value),
        _ => serde_json::from_slice(text),
    }
}

/// What holds the list, `path` further down; or the list, for an empty path.
struct Part<'a> {
    path: &'a [&'a str],
    wanted: &'a [&'a str],
}

/// One record of the list, with the keys that are wanted.
struct Record<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.path.is_empty() {
            deserializer.deserialize_seq(self)
        } else {
            deserializer.deserialize_map(self)
        }
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, or an object that holds one")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let (first, path) = self.path.split_first().unwrap_or((&"", &[]));
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = if key == *first {
                map.next_value_seed(Part { path, wanted: self.wanted })?
            } else {
                map.next_value()?
            };
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut records = Vec::new();
        while let Some(record) = seq.next_element_seed(Record(self.wanted))? {
            records.push(record);
        }
        Ok(Value::Array(records))
    }
}

impl<'de> DeserializeSeed<'de> for Record<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Record<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(Key(key)) = map.next_key()? {
            if self.0.contains(&&*key) {
                object.insert(key.into_owned(), map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Value::Object(object))
    }
}

/// A key that is copied only if it must be.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(text: &str, path: &[&str]) -> Value {
        parse(text.as_bytes(), path, &["id", "na\"me"]).unwrap()
    }

    #[test]
    fn only_what_is_wanted_of_records_is_kept() {
        let rows = r#"[{"id": 1, "x": [{"id": 2}], "na\"me": "a"}, {"y": null}]"#;
        let kept = json!([{ "id": 1, "na\"me": "a" }, {}]);
        assert_eq!(parsed(rows, &[]), kept);
        let within = format!(r#"{{"count": 2, "data": {{"rows": {rows}, "x": 1}}, "y": []}}"#);
        let whole = json!({ "count": 2, "data": { "rows": kept, "x": 1 }, "y": [] });
        assert_eq!(parsed(&within, &["data", "rows"]), whole);
    }

    #[test]
    fn what_is_built_otherwise_is_read_whole() {
        for text in [r#"{"a": 1}"#, r#"[1, {"x": 2}]"#, "3", r#"{"data": {"rows": "none"}}"#] {
            let whole: Value = serde_json::from_str(text).unwrap();
            assert_eq!(parsed(text, &["data", "rows"]), whole, "{text}");
        }
        assert!(parse(b"[{}] x", &[], &[]).is_err());
        assert!(parse(b"", &[], &[]).is_err());
    }
}
