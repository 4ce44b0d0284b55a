//! What the arguments of a tool look like, as JSON schemas: a part of the standard that every service
//! understands. What a service could take for a rule it does not know stands in words.

use serde_json::{Map, Value, json};

use super::{
    super::{form, service::Resource},
    told::{is_sayable, label},
};
use crate::config::{FieldConfig, FieldKind};

/// The most values that a description explains.
const EXPLAINED: usize = 30;

/// A list, at most `rows` records at a time.
pub fn list(resource: &Resource, rows: usize) -> Value {
    let mut properties = Map::new();
    if resource.searches() {
        let what = "Words that are looked for in the texts of the records.";
        properties.insert("search".into(), json!({ "type": "string", "description": what }));
    }
    let filters: Map<String, Value> = resource
        .fields
        .iter()
        .filter(|field| resource.narrows_by(field) && is_sayable(&field.name))
        .map(|field| (field.name.clone(), filter(resource, field)))
        .collect();
    if !filters.is_empty() {
        let what = "All of these must hold.";
        let filters = json!({ "type": "object", "description": what, "properties": filters });
        properties.insert("filters".into(), filters);
    }
    let orders = orders(resource);
    if !orders.is_empty() {
        let what = "The order; with `-` before the field the greatest comes first.";
        let sort = json!({ "type": "string", "enum": orders, "description": what });
        properties.insert("sort".into(), sort);
    }
    let what = format!("The page, from 1, of {rows} records each.");
    let page = json!({ "type": "integer", "minimum": 1, "description": what });
    properties.insert("page".into(), page);
    json!({ "type": "object", "properties": properties })
}

/// The orders that a list can have.
fn orders(resource: &Resource) -> Vec<String> {
    if !resource.sorts() {
        return Vec::new();
    }
    let sortable = resource.fields.iter().filter(|it| it.sortable && is_sayable(&it.name));
    sortable.flat_map(|field| [field.name.clone(), format!("-{}", field.name)]).collect()
}

fn filter(resource: &Resource, field: &FieldConfig) -> Value {
    let name = label(resource, field);
    match &field.kind {
        FieldKind::Choice(_) | FieldKind::MultiChoice(_) => {
            let one = one_of(resource, field);
            if resource.asks_exactly() {
                let mut one = one;
                one["description"] = json!(name);
                return one;
            }
            let what = format!("{name} is one of these.");
            json!({ "type": "array", "items": one, "description": what })
        }
        FieldKind::Boolean => json!({ "type": "boolean", "description": name }),
        kind if kind.is_number() => span(&name, "number", ""),
        kind if kind.is_time() => span(&name, "string", " Days such as 2026-01-31."),
        _ => {
            let what = format!("{name} has this text in it.");
            json!({ "type": "string", "description": what })
        }
    }
}

fn span(name: &str, kind: &str, form: &str) -> Value {
    let what = format!("{name} from one to another, both included; either may be missing.{form}");
    let bounds = json!({ "from": { "type": kind }, "to": { "type": kind } });
    json!({ "type": "object", "properties": bounds, "description": what })
}

/// One record.
pub fn read() -> Value {
    json!({ "type": "object", "properties": { "id": id() }, "required": ["id"] })
}

fn id() -> Value {
    json!({ "type": "string", "description": "The record's id." })
}

/// A new record.
pub fn create(resource: &Resource) -> Value {
    let required: Vec<&str> = entered(resource)
        .filter(|field| field.rules.required && field.default.is_none())
        .filter(|field| field.kind != FieldKind::Boolean)
        .map(|field| field.name.as_str())
        .collect();
    let mut values = values_schema(resource);
    if !required.is_empty() {
        values["required"] = json!(required);
    }
    json!({ "type": "object", "properties": { "values": values }, "required": ["values"] })
}

/// New values for a record that is there.
pub fn update(resource: &Resource) -> Value {
    let properties = json!({ "id": id(), "values": values_schema(resource) });
    json!({ "type": "object", "properties": properties, "required": ["id", "values"] })
}

fn values_schema(resource: &Resource) -> Value {
    let fields: Map<String, Value> =
        entered(resource).map(|field| (field.name.clone(), value(resource, field))).collect();
    json!({ "type": "object", "description": "Values by field.", "properties": fields })
}

fn entered(resource: &Resource) -> impl Iterator<Item = &FieldConfig> {
    form::entered(&resource.fields).filter(|field| is_sayable(&field.name))
}

fn value(resource: &Resource, field: &FieldConfig) -> Value {
    let kind = &field.kind;
    let mut schema = match kind {
        FieldKind::Integer => json!({ "type": "integer" }),
        kind if kind.is_number() => json!({ "type": "number" }),
        FieldKind::Boolean => json!({ "type": "boolean" }),
        FieldKind::Choice(_) => one_of(resource, field),
        FieldKind::MultiChoice(_) => json!({ "type": "array", "items": one_of(resource, field) }),
        FieldKind::Json => json!({}),
        _ => json!({ "type": "string" }),
    };
    let rules = &field.rules;
    if kind.is_number() {
        for (key, bound) in [("minimum", &rules.min), ("maximum", &rules.max)] {
            let bound = bound.as_deref().and_then(|it| serde_json::from_str::<Value>(it).ok());
            if let Some(bound) = bound.filter(Value::is_number) {
                schema[key] = bound;
            }
        }
    } else if kind.is_text() {
        for (key, length) in [("minLength", rules.min_length), ("maxLength", rules.max_length)] {
            if let Some(length) = length {
                schema[key] = json!(length);
            }
        }
    }
    schema["description"] = json!(explained(resource, field));
    schema
}

/// What a field is called and takes, in words. Of what a backend tells of its fields only their names
/// and types are passed on.
fn explained(resource: &Resource, field: &FieldConfig) -> String {
    let form = match &field.kind {
        FieldKind::Date => "A day such as 2026-01-31.".to_owned(),
        FieldKind::DateTime => "A moment such as 2026-01-31T14:02:00Z.".to_owned(),
        FieldKind::Email => "An address for mail.".to_owned(),
        FieldKind::Url => "An address that begins with https://.".to_owned(),
        FieldKind::Markdown => "Markdown.".to_owned(),
        FieldKind::Html => "HTML.".to_owned(),
        FieldKind::Percent => "A percentage.".to_owned(),
        FieldKind::Money { currency: Some(currency) } => format!("In {currency}."),
        FieldKind::Json => "Any JSON.".to_owned(),
        FieldKind::Relation(relation) => {
            let what = relation.value.as_deref().unwrap_or("id");
            format!("The `{what}` of one of {}.{}.", relation.group, relation.name)
        }
        FieldKind::Choice(choices) | FieldKind::MultiChoice(choices) if is_declared(resource) => {
            let odd = choices.iter().filter(|choice| choice.label != choice.value).take(EXPLAINED);
            let odd = odd.map(|choice| format!("{} is “{}”", choice.value, choice.label));
            odd.collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    };
    let said = |text: &Option<String>| text.clone().filter(|_| is_declared(resource));
    let parts = [
        Some(format!("{}.", label(resource, field).trim_end_matches('.'))),
        said(&field.help),
        Some(form),
        said(&field.rules.hint),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().filter(|it| !it.is_empty()).collect();
    parts.join(" ")
}

/// Whether people have declared the fields: everything else about them is a backend's word.
fn is_declared(resource: &Resource) -> bool {
    !resource.config.fields.is_empty()
}

/// One of the values of a field. What a backend says they are is passed on where it is a few short
/// words that could be names of fields, and nothing that could be read as a sentence.
fn one_of(resource: &Resource, field: &FieldConfig) -> Value {
    let values: Vec<&str> =
        field.kind.choices().iter().map(|choice| choice.value.as_str()).collect();
    let are_names = values.len() <= EXPLAINED && values.iter().all(|value| is_sayable(value));
    match is_declared(resource) || are_names {
        true => json!({ "type": "string", "enum": values }),
        false => json!({ "type": "string" }),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::resource, *};

    #[test]
    fn lists_are_narrowed_by_what_their_backend_takes() {
        let schema = list(&resource("drf"), 20);
        let properties = &schema["properties"];
        let filters = &properties["filters"]["properties"];
        assert_eq!(filters["stage"]["items"]["enum"], json!(["lead", "won"]));
        assert_eq!(filters["amount"]["properties"]["from"]["type"], "number");
        assert_eq!(filters["closes"]["properties"]["to"]["type"], "string");
        assert_eq!(filters["open"]["type"], "boolean");
        assert_eq!(filters["company"]["type"], "string");
        assert!(filters.get("notes").is_none() && properties.get("search").is_some());
        assert_eq!(properties["sort"]["enum"], json!(["name", "-name", "amount", "-amount"]));

        let exact = "{ like = \"drf\", filter = \"exact\" }";
        let schema = list(&resource(exact), 20);
        let filters = &schema["properties"]["filters"]["properties"];
        assert_eq!(filters["stage"]["type"], "string");
        assert!(filters.get("company").is_none() && filters.get("amount").is_none());
    }

    #[test]
    fn values_have_types_choices_and_rules() {
        let schema = create(&resource("drf"));
        let values = &schema["properties"]["values"];
        assert_eq!(values["required"], json!(["name"]));
        let fields = &values["properties"];
        assert_eq!(fields["name"]["maxLength"], 20);
        assert_eq!(fields["stage"]["enum"], json!(["lead", "won"]));
        assert!(fields["stage"]["description"].as_str().unwrap().contains("won is “Closed won”"));
        assert_eq!(
            (&fields["amount"]["type"], &fields["amount"]["minimum"]),
            (&json!("number"), &json!(0))
        );
        assert_eq!(fields["closes"]["description"], "Closes. A day such as 2026-01-31.");
        assert!(fields.get("updated").is_none(), "it cannot be filled in");
        let schema = update(&resource("drf"));
        assert_eq!(schema["required"], json!(["id", "values"]));
        assert!(schema["properties"]["values"].get("required").is_none());
    }
}
