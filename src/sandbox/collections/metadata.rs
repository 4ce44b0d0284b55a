//! What `OPTIONS` tells about a collection, for clients that build their forms from it.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::schema::{Collection, Field, Kind};

/// The answer to `OPTIONS`.
#[derive(Debug, Serialize)]
pub(super) struct Metadata {
    name: String,
    description: String,
    renders: [&'static str; 1],
    parses: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    actions: Option<Action>,
}

/// A method that takes a body, and the fields of that body in the schema's order.
#[derive(Debug)]
struct Action {
    method: &'static str,
    fields: Vec<(&'static str, Value)>,
}

impl Metadata {
    /// About the whole collection; `writable` tells whether this visitor may create records.
    pub(super) fn of_list(collection: &Collection, writable: bool) -> Self {
        Self::new(collection, "List", writable.then_some("POST"))
    }

    /// About one record; `writable` tells whether this visitor may change it.
    pub(super) fn of_item(collection: &Collection, writable: bool) -> Self {
        Self::new(collection, "Instance", writable.then_some("PUT"))
    }

    fn new(collection: &Collection, what: &str, method: Option<&'static str>) -> Self {
        let fields = || collection.fields().map(|field| (field.name, describe(field))).collect();
        Self {
            name: format!("{} {what}", collection.singular),
            description: format!("The sandbox's {}.", collection.path()),
            renders: ["application/json"],
            parses: ["application/json"],
            actions: method.map(|method| Action { method, fields: fields() }),
        }
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.method, Fields(&self.fields))])
    }
}

struct Fields<'a>(&'a [(&'static str, Value)]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, about)| (name, about)))
    }
}

fn describe(field: &Field) -> Value {
    let mut about = Map::new();
    about.insert("type".to_owned(), type_name(field.kind).into());
    about.insert("required".to_owned(), field.required.into());
    about.insert("read_only".to_owned(), field.read_only.into());
    about.insert("label".to_owned(), field.label().into());
    match field.kind {
        Kind::Text(max) => _ = about.insert("max_length".to_owned(), max.into()),
        Kind::Choice(options) => {
            let choice = |option: &&str| json!({ "value": option, "display_name": option });
            about.insert("choices".to_owned(), options.iter().map(choice).collect());
        }
        _ => {}
    }
    Value::Object(about)
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text(_) | Kind::LongText | Kind::Phone => "string",
        Kind::Integer => "integer",
        Kind::Decimal => "float",
        Kind::Money | Kind::Percent => "decimal",
        Kind::Boolean => "boolean",
        Kind::Date => "date",
        Kind::DateTime => "datetime",
        Kind::Email => "email",
        Kind::Url => "url",
        Kind::Choice(_) => "choice",
        Kind::Json => "field",
    }
}
