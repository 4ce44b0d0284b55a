//! The fields of resources that declare none: worked out from what the backend says of them
//! (`OPTIONS`, as Django REST framework answers it), and from the records it has.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use moka::sync::Cache;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{
    openapi::Described,
    value::{day, moment, plain, web_address},
};
use crate::{
    config::{Choice, FieldConfig, FieldKind, FileRule, Paging, ResourceConfig, Rules},
    session::Caller,
};

/// How long what was worked out is believed.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// How many columns a list has that nobody chose them for.
const COLUMNS: usize = 7;
/// How many keys of an answer are remembered in their order.
const MOST_KEYS: usize = 1_000;
/// Text longer than this is not for one line.
const LONG: usize = 100;
/// Names that say what a record is called.
const TITLES: [&str; 8] =
    ["name", "title", "subject", "label", "number", "full_name", "username", "email"];
/// Names of what only a backend sets.
const KEPT_BY_BACKENDS: [&str; 7] =
    ["created_at", "updated_at", "created", "updated", "modified", "changed", "last_modified"];

/// Fields that were worked out, for each resource, tenant and set of roles: tenants have fields of
/// their own, and who may not write is told less. Cheap to clone.
#[derive(Clone)]
pub struct KnownFields(Cache<Known, Arc<[FieldConfig]>>);

/// Group, name, tenant and roles.
type Known = (String, String, Option<String>, Vec<String>);

impl Default for KnownFields {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(1_000).time_to_live(KEPT_FOR).build())
    }
}

impl KnownFields {
    /// What is known.
    pub fn get(&self, config: &ResourceConfig, caller: &Caller) -> Option<Arc<[FieldConfig]>> {
        self.0.get(&key(config, caller))
    }

    /// Keeps what was worked out, if it was something.
    pub fn keep(&self, config: &ResourceConfig, caller: &Caller, fields: Arc<[FieldConfig]>) {
        if !fields.is_empty() {
            self.0.insert(key(config, caller), fields);
        }
    }
}

fn key(config: &ResourceConfig, caller: &Caller) -> Known {
    let (tenant, roles) = match caller.identity() {
        Some(who) => (who.tenant.clone(), who.roles.clone()),
        None => (None, Vec::new()),
    };
    (config.group.clone(), config.name.clone(), tenant, roles)
}

/// What a backend lets be seen of a resource.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Its answer to `OPTIONS`.
    pub about: Option<Value>,
    /// What its OpenAPI document says.
    pub document: Option<Described>,
    /// Some records.
    pub rows: Vec<Value>,
    /// The names of fields, in the order in which the backend writes them.
    pub order: Vec<String>,
    /// Those that lead to other records, nobody knows which.
    pub relations: BTreeSet<String>,
}

/// The fields of a resource: by `OPTIONS`, by the document, or by the records.
pub fn inferred(config: &ResourceConfig, evidence: &Evidence) -> Vec<FieldConfig> {
    let Evidence { about, document, rows, order, relations } = evidence;
    let documented = document.as_ref().map(|told| &told.fields).filter(|it| !it.is_empty());
    let mut fields: Vec<FieldConfig> = match (about.as_ref().and_then(described), documented) {
        (Some(about), _) => {
            about.iter().map(|(name, about)| field_told(name, about, rows)).collect()
        }
        (None, Some(fields)) => fields.clone(),
        (None, None) => names(rows).into_iter().map(|name| field_seen(name, rows)).collect(),
    };
    fields.sort_by_key(|field| {
        order.iter().position(|name| *name == field.name).unwrap_or(usize::MAX)
    });
    // Only these styles sort by whatever they are given; of others it must be declared.
    let sorts_all = config.style.paging == Paging::Whole
        || config.style.name.is_some_and(|name| name.starts_with("json"));
    fields.retain(|field| field.name != config.id);
    let place = |title: &&str| fields.iter().position(|field| field.name == *title);
    if let Some(at) = TITLES.iter().find_map(place) {
        fields[..=at].rotate_right(1);
    }
    let mut columns = 0;
    for field in &mut fields {
        field.in_list &= columns < COLUMNS && !KEPT_BY_BACKENDS.contains(&field.name.as_str());
        columns += usize::from(field.in_list);
        let is_named = |names: fn(&Described) -> &Vec<String>| {
            document.as_ref().is_some_and(|told| names(told).contains(&field.name))
        };
        let sortable = is_named(|told| &told.sortable);
        let filterable = is_named(|told| &told.filterable);
        // What a relation can lead to has to be declared before it can be chosen.
        field.in_form &= !relations.contains(&field.name);
        field.sortable = sortable || (sorts_all && !field.kind.is_wide());
        field.filterable = filterable || (sorts_all && !field.kind.choices().is_empty());
    }
    fields
}

/// What `OPTIONS` says of the fields that can be written, or of those of any method.
fn described(about: &Value) -> Option<&Map<String, Value>> {
    let actions = about.get("actions")?;
    let method = ["POST", "PUT"].iter().find_map(|method| actions.get(method));
    method?.as_object().filter(|fields| !fields.is_empty())
}

/// The keys of all records.
fn names(rows: &[Value]) -> BTreeSet<&str> {
    rows.iter().filter_map(Value::as_object).flat_map(Map::keys).map(String::as_str).collect()
}

/// The keys of all objects within a JSON text, as they are written.
pub fn keys(text: &[u8]) -> Vec<String> {
    let mut keys = Keys::default();
    // What came before a mistake is worth knowing too.
    _ = keys.deserialize(&mut serde_json::Deserializer::from_slice(text));
    keys.names
}

/// Collects keys on the way through a JSON text.
#[derive(Default)]
struct Keys {
    names: Vec<String>,
    seen: BTreeSet<String>,
}

impl<'de> DeserializeSeed<'de> for &mut Keys {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Keys {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if self.names.len() < MOST_KEYS && self.seen.insert(key.clone()) {
                self.names.push(key);
            }
            map.next_value_seed(&mut *self)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(&mut *self)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A field that the backend describes; where it says only that it is text, the records tell more.
fn field_told(name: &str, about: &Value, rows: &[Value]) -> FieldConfig {
    let text = |key: &str| about.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let flag = |key: &str| about.get(key).and_then(Value::as_bool).unwrap_or_default();
    let length = |key: &str| about.get(key).and_then(Value::as_u64).and_then(|n| n.try_into().ok());
    let bound = |key: &str| about.get(key).filter(|bound| bound.is_number()).map(Value::to_string);
    let kind = match text("type").unwrap_or_default() {
        "boolean" => FieldKind::Boolean,
        "integer" => FieldKind::Integer,
        "float" | "decimal" => number_kind(name, FieldKind::Decimal),
        "date" => FieldKind::Date,
        "datetime" => FieldKind::DateTime,
        "email" => FieldKind::Email,
        "url" => FieldKind::Url,
        "choice" => choices(about).map_or(FieldKind::Text, FieldKind::Choice),
        "multiple choice" => choices(about).map_or(FieldKind::Json, FieldKind::MultiChoice),
        "file upload" => FieldKind::File(FileRule::default()),
        "image upload" => FieldKind::Image(FileRule::default()),
        "list" | "nested object" => FieldKind::Json,
        "field" => seen_kind(name, rows),
        _ => match (length("max_length"), seen_kind(name, rows)) {
            (None::<usize>, FieldKind::Text) if is_long_by_name(name) => FieldKind::LongText,
            (_, seen @ (FieldKind::LongText | FieldKind::Phone | FieldKind::Html)) => seen,
            _ => FieldKind::Text,
        },
    };
    let usual = FieldConfig::new(name, kind);
    FieldConfig {
        label: text("label").map_or_else(|| usual.label.clone(), str::to_owned),
        help: text("help_text").map(str::to_owned),
        in_form: usual.in_form && !flag("read_only"),
        rules: Rules {
            required: flag("required"),
            min: bound("min_value").filter(|_| usual.kind.is_number()),
            max: bound("max_value").filter(|_| usual.kind.is_number()),
            min_length: length("min_length"),
            max_length: length("max_length"),
            ..Rules::default()
        },
        ..usual
    }
}

fn choices(about: &Value) -> Option<Vec<Choice>> {
    let choices = about.get("choices")?.as_array()?;
    let choice = |choice: &Value| {
        let value = plain(choice.get("value")?);
        let label = choice.get("display_name").and_then(Value::as_str);
        let usual = Choice::new(&value);
        let label = label.filter(|label| *label != value).map(str::to_owned);
        Some(Choice { label: label.unwrap_or_else(|| usual.label.clone()), ..usual })
    };
    Some(choices.iter().filter_map(choice).collect())
}

/// A field that is only known from records.
fn field_seen(name: &str, rows: &[Value]) -> FieldConfig {
    let usual = FieldConfig::new(name, seen_kind(name, rows));
    let in_form = usual.in_form && !KEPT_BY_BACKENDS.contains(&name);
    FieldConfig { in_form, ..usual }
}

/// What all values of a field are.
fn seen_kind(name: &str, rows: &[Value]) -> FieldKind {
    let values: Vec<&Value> = rows
        .iter()
        .filter_map(|row| row.get(name))
        .filter(|value| !plain(value).is_empty())
        .collect();
    let all = |is: fn(&Value) -> bool| !values.is_empty() && values.iter().all(|value| is(value));
    let texts = |is: fn(&str) -> bool| {
        !values.is_empty() && values.iter().all(|value| value.as_str().is_some_and(is))
    };
    if all(Value::is_boolean) {
        FieldKind::Boolean
    } else if all(|value| value.is_i64() || value.is_u64()) {
        number_kind(name, FieldKind::Integer)
    } else if all(Value::is_number) {
        number_kind(name, FieldKind::Decimal)
    } else if values.iter().any(|value| value.is_array() || value.is_object()) {
        FieldKind::Json
    } else if texts(|text| text.len() == 10 && day(text).is_some()) {
        FieldKind::Date
    } else if texts(|text| text.len() > 10 && moment(text).is_some()) {
        FieldKind::DateTime
    } else if texts(is_email) {
        FieldKind::Email
    } else if texts(|text| web_address(text).is_some()) {
        FieldKind::Url
    } else if texts(|text| text.starts_with('<') && text.ends_with('>')) {
        FieldKind::Html
    } else if is_phone_by_name(name) {
        FieldKind::Phone
    } else if values.iter().any(|value| is_long(&plain(value))) {
        FieldKind::LongText
    } else {
        FieldKind::Text
    }
}

/// What a number is about, where its name says so.
pub(super) fn number_kind(name: &str, otherwise: FieldKind) -> FieldKind {
    let has = |words: &[&str]| name.split('_').any(|part| words.contains(&part));
    if has(&["amount", "price", "cost", "budget", "revenue"]) {
        FieldKind::Money { currency: None }
    } else if has(&["percent", "percentage"]) {
        FieldKind::Percent
    } else {
        otherwise
    }
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !text.contains(char::is_whitespace)
    })
}

fn is_long(text: &str) -> bool {
    text.len() > LONG || text.contains('\n')
}

pub(super) fn is_long_by_name(name: &str) -> bool {
    ["notes", "description", "body", "text", "comment"].iter().any(|word| name.ends_with(word))
}

pub(super) fn is_phone_by_name(name: &str) -> bool {
    name.split('_').any(|part| ["phone", "mobile", "fax"].contains(&part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Config;

    fn resource(style: &str) -> ResourceConfig {
        let text = format!(
            "[backends.b]\nurl = \"https://b.example\"\n[resources.g.r]\nbackend = \"b\"\n\
             path = \"/r\"\nstyle = \"{style}\""
        );
        let config = Config::from_text("x.toml".as_ref(), &text, &Default::default());
        config.unwrap().resources.remove(0)
    }

    fn words(fields: &[FieldConfig]) -> Vec<(&str, &str)> {
        fields.iter().map(|field| (field.name.as_str(), field.kind.word())).collect()
    }

    #[test]
    fn records_tell_what_they_hold() {
        let rows = [
            json!({"id": 1, "price": 2.5, "when": "2026-01-02", "at": "2026-01-02T03:04:05Z",
                   "name": "A", "mail": "a@b.example", "home": "https://b.example", "ok": true,
                   "tags": ["x"], "notes": "one\ntwo", "mobile_phone": "+1", "count": 3}),
            json!({"id": 2, "price": null, "late": "x", "notes": ""}),
        ];
        let written = br#"[{"price": 1, "when": {"at": []}}, {"price": "x", "late": null}]"#;
        assert_eq!(keys(written), ["price", "when", "at", "late"]);
        let order = ["price", "when", "at", "name", "mail", "home", "ok", "tags", "notes"];
        let order = [&order[..], &["mobile_phone", "count", "late"]].concat();
        let order: Vec<String> = order.into_iter().map(str::to_owned).collect();
        let fields = inferred(
            &resource("plain"),
            &Evidence { rows: rows.to_vec(), order, ..Evidence::default() },
        );
        let expected = [
            ("name", "text"),
            ("price", "money"),
            ("when", "date"),
            ("at", "datetime"),
            ("mail", "email"),
            ("home", "url"),
            ("ok", "boolean"),
            ("tags", "json"),
            ("notes", "long-text"),
            ("mobile_phone", "phone"),
            ("count", "integer"),
            ("late", "text"),
        ];
        assert_eq!(words(&fields), expected);
        assert!(fields[0].sortable && !fields[8].sortable);
        assert_eq!(fields.iter().filter(|field| field.in_list).count(), COLUMNS);
    }

    #[test]
    fn what_leads_nobody_knows_where_is_not_typed() {
        let text = br#"{"data": [{"id": "1", "type": "n", "attributes": {"title": "A"},
            "relationships": {"uid": {"data": {"type": "user", "id": "x-1"}}}}]}"#;
        let config = resource("jsonapi");
        let relations = crate::data::style::relations(&config.style, text);
        assert_eq!(relations.iter().collect::<Vec<_>>(), ["uid"]);
        let rows = vec![json!({ "id": "1", "title": "A", "uid": "x-1" })];
        let fields = inferred(&config, &Evidence { rows, relations, ..Evidence::default() });
        let entered = fields.iter().filter(|field| field.in_form);
        assert_eq!(entered.map(|field| field.name.as_str()).collect::<Vec<_>>(), ["title"]);
        assert!(crate::data::style::relations(&resource("drf").style, text).is_empty());
    }

    #[test]
    fn a_backend_that_describes_itself_is_believed() {
        let about = json!({"actions": {"POST": {
            "id": {"type": "integer", "read_only": true},
            "stage": {"type": "choice", "required": true, "label": "Stage", "choices": [
                {"value": "won", "display_name": "Closed won"}, {"value": "Lead", "display_name": "Lead"}]},
            "name": {"type": "string", "required": true, "max_length": 80, "help_text": "As spoken"},
            "rating": {"type": "integer", "min_value": 0, "max_value": 5},
            "notes": {"type": "string"},
            "updated_at": {"type": "datetime", "read_only": true},
        }}});
        let order = ["id", "stage", "name", "rating", "notes", "updated_at"].map(str::to_owned);
        let fields = inferred(
            &resource("drf"),
            &Evidence { about: Some(about), order: order.to_vec(), ..Evidence::default() },
        );
        let expected = [
            ("name", "text"),
            ("stage", "choice"),
            ("rating", "integer"),
            ("notes", "long-text"),
            ("updated_at", "datetime"),
        ];
        assert_eq!(words(&fields), expected);
        let [name, stage, rating, _, updated] = fields.as_slice() else { panic!("five fields") };
        assert!(name.rules.required && name.rules.max_length == Some(80) && !name.sortable);
        assert_eq!(name.help.as_deref(), Some("As spoken"));
        assert_eq!(stage.kind.choices()[0].label, "Closed won");
        assert_eq!(
            (rating.rules.min.as_deref(), rating.rules.max.as_deref()),
            (Some("0"), Some("5"))
        );
        assert!(!updated.in_form && !updated.in_list);
    }
}
