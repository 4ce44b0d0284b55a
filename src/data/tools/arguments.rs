//! What a call says, read as a form would be: by the same types and the same rules. What is wrong is
//! told in a sentence that the model can do something with.

use serde_json::{Map, Value};

use super::super::{
    form::{self, Control, Filled, Opened, VALUE},
    query::{Filter, ListQuery, Sort, Test},
    service::Resource,
    value::{day, plain},
};
use crate::{
    config::{FieldConfig, FieldKind},
    ui::zone::Zone,
};

/// The longest id that is taken, in bytes.
const LONGEST_ID: usize = 200;

/// The arguments of a call.
#[derive(Debug, Default, PartialEq)]
pub struct Arguments(Map<String, Value>);

impl Arguments {
    /// Reads what a model wrote. Nothing at all is no argument; some write the object as a text.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let value = match serde_json::from_str(text) {
            Ok(Value::String(inner)) => serde_json::from_str(&inner),
            value => value,
        };
        match value {
            Ok(Value::Object(arguments)) => Ok(Self(arguments)),
            Ok(Value::Null) => Ok(Self::default()),
            _ => Err("The arguments are not one JSON object. Send them again as one.".to_owned()),
        }
    }

    /// The argument of this name, unless it says nothing.
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn only(&self, known: &[&str]) -> Result<(), String> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => {
                Err(format!("There is no argument `{name}`; there are {}.", known.join(", ")))
            }
            None => Ok(()),
        }
    }

    /// Which record.
    pub fn id(&self) -> Result<String, String> {
        let id = match self.get("id") {
            Some(Value::String(id)) => id.trim().to_owned(),
            Some(Value::Number(id)) => id.to_string(),
            _ => String::new(),
        };
        match id.len() {
            1..=LONGEST_ID => Ok(id),
            _ => Err("Say which record: `id` is missing.".to_owned()),
        }
    }

    /// The part of a list that is asked for, at most `rows` records.
    pub fn query(&self, resource: &Resource, rows: u64) -> Result<ListQuery, String> {
        self.only(&["search", "filters", "sort", "page"])?;
        let page_size = rows.min(resource.config.style.largest());
        Ok(ListQuery {
            q: self.search(resource)?,
            sort: self.sort(resource)?,
            filters: self.filters(resource)?,
            page: self.page()?,
            page_size,
            ..ListQuery::default()
        })
    }

    fn search(&self, resource: &Resource) -> Result<String, String> {
        let words = match self.get("search") {
            None => return Ok(String::new()),
            Some(Value::String(words)) => words.trim().to_owned(),
            Some(_) => return Err("`search` is a text.".to_owned()),
        };
        if words.is_empty() || resource.searches() {
            return Ok(words);
        }
        Err(format!("{} cannot be searched by words.", resource.config.title))
    }

    fn page(&self) -> Result<u64, String> {
        match self.get("page") {
            None => Ok(1),
            Some(page) => plain(page)
                .parse()
                .ok()
                .filter(|page| *page > 0)
                .ok_or_else(|| "`page` is a whole number from 1 on.".to_owned()),
        }
    }

    fn sort(&self, resource: &Resource) -> Result<Option<Sort>, String> {
        let Some(sort) = self.get("sort").map(plain).filter(|sort| !sort.is_empty()) else {
            return Ok(None);
        };
        let can = |field: &FieldConfig| field.sortable && resource.sorts();
        let sort = Sort::read(&sort);
        if let Some(sort) = sort.filter(|sort| resource.field(&sort.field).is_some_and(can)) {
            return Ok(Some(sort));
        }
        let fields = resource.fields.iter().filter(|field| can(field));
        let fields: Vec<&str> = fields.map(|field| field.name.as_str()).collect();
        Err(match fields.as_slice() {
            [] => format!("{} cannot be sorted.", resource.config.title),
            fields => {
                format!("`sort` is one of {}, perhaps with `-` before it.", fields.join(", "))
            }
        })
    }

    fn filters(&self, resource: &Resource) -> Result<Vec<Filter>, String> {
        let filters = match self.get("filters") {
            None => return Ok(Vec::new()),
            Some(Value::Object(filters)) => filters,
            Some(_) => return Err("`filters` is an object of fields.".to_owned()),
        };
        let mut read = Vec::new();
        for (name, value) in filters.iter().filter(|(_, value)| !value.is_null()) {
            let field = resource.field(name).filter(|field| resource.narrows_by(field));
            let field = field.ok_or_else(|| cannot_narrow(resource, name))?;
            let tests = tests(resource, field, value)?;
            read.extend(tests.into_iter().map(|test| Filter { field: name.clone(), test }));
        }
        Ok(read)
    }

    fn values(&self) -> Result<&Map<String, Value>, String> {
        match self.get("values") {
            Some(Value::Object(values)) => Ok(values),
            _ => {
                Err("`values` is missing: an object of fields and what they are to hold."
                    .to_owned())
            }
        }
    }

    /// The values of a record that is to be made.
    pub fn made(&self, resource: &Resource, zone: &Zone) -> Result<Map<String, Value>, String> {
        self.only(&["values"])?;
        let values = self.values()?;
        let mut form = filled_in(resource, values, |_| &Value::Null, zone)?;
        for field in form::entered(&resource.fields) {
            if let Some(text) = field.default.as_ref().filter(|_| !values.contains_key(&field.name))
            {
                form.push((format!("{VALUE}{}", field.name), text.clone()));
            }
        }
        checked(resource, form::made(&resource.fields, zone, &form))
    }

    /// The values that are new in a record that was opened so.
    pub fn changed(
        &self,
        resource: &Resource,
        opened: &Opened,
    ) -> Result<Map<String, Value>, String> {
        self.only(&["id", "values"])?;
        let was = |field: &FieldConfig| opened.values.get(&field.name).unwrap_or(&Value::Null);
        let form = filled_in(resource, self.values()?, was, &opened.zone())?;
        checked(resource, form::changed(&resource.fields, opened, &form))
    }
}

fn cannot_narrow(resource: &Resource, name: &str) -> String {
    let fields = resource.fields.iter().filter(|field| resource.narrows_by(field));
    let fields: Vec<&str> = fields.map(|field| field.name.as_str()).collect();
    match fields.as_slice() {
        [] => format!("{} cannot be filtered.", resource.config.title),
        fields => format!("There is no filter `{name}`; there are {}.", fields.join(", ")),
    }
}

/// What must hold of a field.
fn tests(resource: &Resource, field: &FieldConfig, value: &Value) -> Result<Vec<Test>, String> {
    let name = &field.name;
    match &field.kind {
        FieldKind::Choice(_) | FieldKind::MultiChoice(_) => {
            let values =
                texts(value).ok_or_else(|| format!("`{name}` takes some of its values."))?;
            let is_known = |text: &String| field.kind.choices().iter().any(|it| it.value == *text);
            if let Some(unknown) = values.iter().find(|text| !is_known(text)) {
                let known: Vec<&str> =
                    field.kind.choices().iter().map(|choice| choice.value.as_str()).collect();
                let known = known.join(", ");
                return Err(format!("`{name}` is never {unknown}; it is one of {known}."));
            }
            if values.len() > 1 && resource.asks_exactly() {
                return Err(format!("`{name}` takes one value at a time."));
            }
            Ok(if values.is_empty() { Vec::new() } else { vec![Test::OneOf(values)] })
        }
        FieldKind::Boolean => match truth(value) {
            Some(truth) => Ok(vec![Test::OneOf(vec![truth.to_string()])]),
            None => Err(format!("`{name}` is true or false.")),
        },
        kind if kind.is_number() || kind.is_time() => bounds(field, value),
        _ => match value {
            Value::String(text) if text.trim().is_empty() => Ok(Vec::new()),
            Value::String(text) => Ok(vec![Test::Has(text.trim().to_owned())]),
            Value::Number(number) => Ok(vec![Test::Has(number.to_string())]),
            _ => Err(format!("`{name}` takes one text.")),
        },
    }
}

/// From one to another; one value by itself is both.
fn bounds(field: &FieldConfig, value: &Value) -> Result<Vec<Test>, String> {
    let name = &field.name;
    let form = if field.kind.is_time() { "days such as 2026-01-31" } else { "numbers" };
    let wrong = || format!("`{name}` takes `from` and `to`, which are {form}.");
    let bound = |value: Option<&Value>| match value {
        None | Some(Value::Null) => Ok(None),
        Some(value @ (Value::String(_) | Value::Number(_))) => {
            let text = plain(value).trim().to_owned();
            let is_right = match field.kind.is_time() {
                true => day(&text).is_some(),
                false => text.parse::<f64>().is_ok_and(f64::is_finite),
            };
            // A day of a moment: lists know no finer bounds.
            let text = if field.kind.is_time() { text.chars().take(10).collect() } else { text };
            if is_right { Ok(Some(text)) } else { Err(wrong()) }
        }
        Some(_) => Err(wrong()),
    };
    let (from, to) = match value {
        Value::Object(bounds) => {
            if bounds.keys().any(|key| !["from", "to"].contains(&key.as_str())) {
                return Err(wrong());
            }
            (bound(bounds.get("from"))?, bound(bounds.get("to"))?)
        }
        value => {
            let both = bound(Some(value))?;
            (both.clone(), both)
        }
    };
    Ok([from.map(Test::From), to.map(Test::To)].into_iter().flatten().collect())
}

/// One text or several.
fn texts(value: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        value => text(value).map(|text| vec![text]),
    }
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
        _ => None,
    }
}

/// Values as a form would hold them that was opened on what `was` there.
fn filled_in<'a>(
    resource: &Resource,
    values: &Map<String, Value>,
    was: impl Fn(&FieldConfig) -> &'a Value,
    zone: &Zone,
) -> Result<Vec<(String, String)>, String> {
    let mut form = Vec::new();
    for (name, value) in values {
        let mut fields = form::entered(&resource.fields);
        let field = fields.find(|field| field.name == *name);
        let field = field.ok_or_else(|| cannot_set(resource, name))?;
        let control = form::control(field, was(field));
        let value = fitting(field, control, value)?;
        let key = format!("{VALUE}{name}");
        if matches!(control, Control::Tick | Control::PickSome) {
            // As a form with nothing ticked says so.
            form.push((key.clone(), String::new()));
        }
        let texts = form::texts(field, control, &value, zone);
        form.extend(texts.into_iter().map(|text| (key.clone(), text)));
    }
    Ok(form)
}

fn cannot_set(resource: &Resource, name: &str) -> String {
    let fields: Vec<&str> =
        form::entered(&resource.fields).map(|field| field.name.as_str()).collect();
    format!("There is no field `{name}` to fill in; there are {}.", fields.join(", "))
}

/// A value in the form that the field's control takes.
fn fitting(field: &FieldConfig, control: Control, value: &Value) -> Result<Value, String> {
    let name = &field.name;
    match (control, value) {
        (Control::Json, value) => Ok(value.clone()),
        (Control::PickSome, Value::Null) => Ok(Value::Array(Vec::new())),
        (Control::PickSome, value) => {
            let texts = texts(value).ok_or_else(|| format!("`{name}` takes a list of values."))?;
            Ok(texts.into_iter().map(Value::from).collect())
        }
        (_, Value::Null) => Ok(Value::Null),
        (_, value) if field.kind == FieldKind::Boolean => {
            truth(value).map(Value::from).ok_or_else(|| format!("`{name}` is true or false."))
        }
        (_, Value::Array(_) | Value::Object(_)) => Err(format!("`{name}` takes one value.")),
        (_, value) => Ok(value.clone()),
    }
}

/// The values, unless the rules are against one of them.
fn checked(resource: &Resource, filled: Filled) -> Result<Map<String, Value>, String> {
    if filled.problems.is_empty() {
        return Ok(filled.values);
    }
    let told = |(name, problem): &(String, String)| format!("{name}: {problem}");
    let problems: Vec<String> = filled.problems.iter().map(told).collect();
    let one = &resource.config.singular;
    Err(format!("The {one} cannot be like that. {}", problems.join(" ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::testing::resource, *};
    use crate::ui::zone::UTC;

    fn arguments(value: Value) -> Arguments {
        Arguments::read(&value.to_string()).unwrap()
    }

    #[test]
    fn arguments_are_one_object_however_they_are_written() {
        let one = arguments(json!({ "id": 7 }));
        assert_eq!(Arguments::read("\"{\\\"id\\\": 7}\""), Ok(one));
        for nothing in ["", "  ", "{}", "null"] {
            assert_eq!(Arguments::read(nothing), Ok(Arguments::default()), "{nothing}");
        }
        for wrong in ["{", "[]", "7", "{\"id\": 7", "id=7", "\"x\""] {
            assert!(Arguments::read(wrong).unwrap_err().contains("one JSON object"), "{wrong}");
        }
        assert_eq!(arguments(json!({ "id": 7 })).id(), Ok("7".to_owned()));
        for wrong in [json!({}), json!({ "id": "" }), json!({ "id": [1] })] {
            assert!(arguments(wrong).id().is_err());
        }
    }

    #[test]
    fn a_list_is_asked_for_as_its_page_would() {
        let resource = resource("drf");
        let query = |value: Value| arguments(value).query(&resource, 20).map(|it| it.write());
        let asked = query(json!({
            "search": " globex ",
            "filters": {
                "stage": ["lead", "won"],
                "amount": { "from": 10, "to": "20.5" },
                "closes": "2026-01-31",
                "open": true,
                "company": "Ltd",
                "name": null,
            },
            "sort": "-amount",
            "page": 2,
        }));
        let expected = "q=globex&f.amount.from=10&f.amount.to=20.5&f.closes.from=2026-01-31\
                        &f.closes.to=2026-01-31&f.company.has=Ltd&f.open=true&f.stage=lead\
                        &f.stage=won&sort=-amount&page_size=20&page=2";
        assert_eq!(asked.as_deref(), Ok(expected));
        assert_eq!(query(json!({})).as_deref(), Ok("page_size=20"));
        assert_eq!(
            query(json!({ "filters": { "stage": "won" } })).unwrap(),
            "f.stage=won&page_size=20"
        );
    }

    #[test]
    fn what_a_list_cannot_be_asked_for_is_told() {
        let resource = resource("drf");
        let problem = |value: Value| arguments(value).query(&resource, 20).unwrap_err();
        for (value, words) in [
            (json!({ "filter": {} }), "no argument `filter`; there are search"),
            (json!({ "filters": { "stge": "won" } }), "no filter `stge`; there are"),
            (json!({ "filters": { "notes": "x" } }), "no filter `notes`"),
            (json!({ "filters": { "stage": "Won" } }), "never Won; it is one of lead, won"),
            (json!({ "filters": { "amount": { "over": 1 } } }), "takes `from` and `to`"),
            (json!({ "filters": { "amount": "a lot" } }), "which are numbers"),
            (json!({ "filters": { "closes": { "from": "soon" } } }), "days such as"),
            (json!({ "filters": { "open": "maybe" } }), "true or false"),
            (json!({ "filters": [] }), "an object of fields"),
            (json!({ "sort": "stage" }), "one of name, amount"),
            (json!({ "page": 0 }), "from 1 on"),
            (json!({ "search": 7 }), "is a text"),
        ] {
            assert!(problem(value.clone()).contains(words), "{value}: {}", problem(value.clone()));
        }
    }

    #[test]
    fn values_are_held_to_the_rules_of_the_form() {
        let resource = resource("drf");
        let made = |values: Value| arguments(json!({ "values": values })).made(&resource, &UTC);
        let values = json!({
            "name": "Ada", "stage": "won", "amount": 12.5, "open": "true", "closes": "2026-01-31",
            "tags": "b", "notes": "a\nb",
        });
        let expected = json!({
            "name": "Ada", "stage": "won", "amount": 12.5, "open": true, "closes": "2026-01-31",
            "tags": ["b"], "notes": "a\nb",
        });
        assert_eq!(made(values).map(Value::Object), Ok(expected));
        assert_eq!(made(json!({ "name": "Ada" })).unwrap()["stage"], "lead", "as the form begins");
        for (values, words) in [
            (json!({}), "name: Fill this in."),
            (json!({ "name": "x".repeat(21) }), "name: At most 20 characters"),
            (json!({ "name": "Ada", "stage": "Boss" }), "stage: Choose one of those"),
            (json!({ "name": "Ada", "amount": -1 }), "amount: 0 or more"),
            (json!({ "name": "Ada", "closes": "31.1.2026" }), "closes: Write a day"),
            (json!({ "name": ["Ada"] }), "`name` takes one value"),
            (json!({ "name": "Ada", "open": 3 }), "`open` is true or false"),
            (json!({ "name": "Ada", "id": 9 }), "no field `id` to fill in; there are name"),
            (json!({ "name": "Ada", "updated": "x" }), "no field `updated`"),
        ] {
            let problem = made(values.clone()).unwrap_err();
            assert!(problem.contains(words), "{values}: {problem}");
        }
        assert!(arguments(json!({})).made(&resource, &UTC).is_err());
    }

    #[test]
    fn of_a_record_that_is_there_only_what_is_new_is_meant() {
        let resource = resource("drf");
        let record = json!({ "name": "Ada", "stage": "lead", "amount": "12.50", "open": true,
                             "tags": ["a", "b"], "closes": null });
        let opened = Opened::on(&resource.fields, &record, &UTC);
        let changed = |values: Value| {
            let arguments = arguments(json!({ "id": 7, "values": values }));
            arguments.changed(&resource, &opened).map(Value::Object)
        };
        assert_eq!(changed(json!({ "name": "Ada", "amount": "12.50" })), Ok(json!({})));
        assert_eq!(
            changed(json!({ "name": "Bo", "open": false, "tags": [] })),
            Ok(json!({ "name": "Bo", "open": false, "tags": [] }))
        );
        assert_eq!(changed(json!({ "amount": 13 })), Ok(json!({ "amount": "13" })));
        assert_eq!(
            changed(json!({ "closes": "2026-02-01" })),
            Ok(json!({ "closes": "2026-02-01" }))
        );
        assert!(changed(json!({ "name": null })).unwrap_err().contains("name: Fill this in."));
    }
}
