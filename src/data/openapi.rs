//! The fields of a collection as its backend's OpenAPI document tells them: OpenAPI 3.0 and 3.1,
//! Swagger 2.0.
//!
//! Records show only what a backend happens to hold, and few backends answer `OPTIONS`. A document
//! says beforehand which values there are, what is required, who sets a field, and what a list can
//! be ordered and narrowed by. It is text from elsewhere: references may lead in circles and
//! anything may be of the wrong type, so whatever is followed is counted.

mod pattern;
mod schema;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use self::{
    schema::{Gathering, MOST_CHOICES, Schema, beginning, help, in_short, list, named_in},
    values::{default, file_kind, is_secret_by_name, rules, text_kind},
};

use super::fields::number_kind;
use crate::config::{FieldConfig, FieldKind};

/// How many objects one schema may be put together from.
const MOST_PARTS: usize = 500;
/// How far references, `allOf` and alternatives may lead.
const DEEPEST: usize = 24;
/// How many envelopes records may be in.
const MOST_ENVELOPES: usize = 2;
/// How many properties a record may have, and how many parameters a list.
const MOST_FIELDS: usize = 500;
/// How often one may be spoken of.
const MOST_MENTIONS: usize = 2_000;
/// How many addresses a document may name.
const MOST_SERVERS: usize = 16;
/// The most characters of a field's name.
const LONGEST_NAME: usize = 100;

/// Where an answer has its records.
const ENVELOPES: [&str; 7] = ["results", "items", "data", "content", "records", "rows", "member"];
/// What is around that.
const OUTER_ENVELOPES: [&str; 4] = ["data", "result", "response", "_embedded"];
/// What a record of JSON:API has.
const JSON_API: [&str; 6] = ["id", "type", "attributes", "relationships", "links", "meta"];
/// Parameters that order a list.
const SORTINGS: [&str; 8] =
    ["ordering", "sort", "_sort", "order_by", "orderBy", "sort_by", "sortBy", "order"];
/// Parameters that search it.
const SEARCHES: [&str; 3] = ["search", "q", "query"];
/// Parameters that cut it into pages.
#[rustfmt::skip]
const PAGES: [&str; 24] = [
    "page", "page_size", "pageSize", "per_page", "perPage", "page_number", "pageNumber",
    "itemsPerPage", "page[number]", "page[size]", "page[offset]", "page[limit]", "_page",
    "_per_page", "_limit", "_start", "_end", "limit", "offset", "size", "skip", "take", "cursor",
    "after",
];
/// What stands behind a field's name to compare it otherwise.
#[rustfmt::skip]
const LOOKUPS: [&str; 16] = [
    "__exact", "__iexact", "__in", "__gte", "__lte", "__gt", "__lt", "__range", "__contains",
    "__icontains", "__startswith", "__istartswith", "_gte", "_lte", "_like", "_ne",
];

type Object = Map<String, Value>;
/// The properties of an object, by name.
type Properties<'a> = BTreeMap<&'a str, Property<'a>>;

/// What a document says of one collection.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Described {
    /// Its fields; none where the document does not say what a record is.
    pub fields: Vec<FieldConfig>,
    /// The fields that the list can be ordered by, as far as they are named.
    pub sortable: Vec<String>,
    /// The fields that the list can be narrowed by.
    pub filterable: Vec<String>,
    /// Whether words can be searched for.
    pub searches: bool,
    /// The parameters that cut the list into pages.
    pub page_parameters: Vec<String>,
}

/// What `document` says of the collection at `path`, a path on the backend such as
/// `/api/contacts/`; nothing where it does not have it. `order` has names in the order in which
/// the backend writes them; fields that are not in it follow by name.
pub fn described(document: &Value, path: &str, order: &[String]) -> Option<Described> {
    let document = Document(document);
    let place = document.place(path)?;
    let list = place.operation("get");
    let writing = document.writing(&place);
    if list.is_none() && writing.is_none() {
        return None;
    }
    let shown = list.as_ref().map(|list| document.shown(list)).unwrap_or_default();
    let written = writing.map(|writing| document.written(&writing, &shown)).unwrap_or_default();
    let names: BTreeSet<&str> = shown.keys().chain(written.keys()).copied().collect();
    let fields = names.into_iter().filter(|name| is_field(name));
    let fields = fields.filter_map(|name| document.field(name, &shown, &written)).collect();
    let mut described = Described { fields, ..Described::default() };
    described.fields.sort_by_key(|field| {
        order.iter().position(|name| *name == field.name).unwrap_or(usize::MAX)
    });
    for parameter in list.iter().flat_map(|list| document.asked(list)) {
        described.take(&parameter);
    }
    for field in &mut described.fields {
        field.sortable = described.sortable.contains(&field.name);
        field.filterable = described.filterable.contains(&field.name);
    }
    Some(described)
}

/// Whether a property is a field: dots would reach into objects, and links are for programs.
fn is_field(name: &str) -> bool {
    let is_name = !name.is_empty() && name.chars().count() <= LONGEST_NAME;
    is_name && !name.contains('.') && !name.starts_with('@') && name != "_links"
}

impl Described {
    /// Notes what a parameter of the list is for.
    fn take(&mut self, parameter: &Parameter<'_>) {
        let name = parameter.name;
        if SEARCHES.contains(&name) {
            self.searches = true;
        } else if SORTINGS.contains(&name) {
            for name in parameter.orders() {
                let name = name.trim_start_matches(['-', '+']);
                add(&mut self.sortable, name, &self.fields);
            }
        } else if PAGES.contains(&name) {
            self.page_parameters.push(name.to_owned());
        } else {
            let compared = LOOKUPS.iter().find_map(|lookup| name.strip_suffix(lookup));
            add(&mut self.filterable, name, &self.fields);
            add(&mut self.filterable, compared.unwrap_or_default(), &self.fields);
        }
    }
}

/// Adds the name of a field, once.
fn add(names: &mut Vec<String>, name: &str, fields: &[FieldConfig]) {
    if fields.iter().any(|field| field.name == name) && !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

/// A document.
#[derive(Clone, Copy)]
struct Document<'a>(&'a Value);

/// One of its `paths`.
struct Place<'a> {
    key: &'a str,
    said: &'a Object,
}

/// What can be done at a place.
struct Operation<'a> {
    place: &'a Object,
    said: &'a Object,
}

/// What a list can be asked with.
struct Parameter<'a> {
    name: &'a str,
    about: &'a str,
    schema: Schema<'a>,
    items: Option<Schema<'a>>,
}

/// What is said of one property.
#[derive(Clone, Default)]
struct Property<'a> {
    /// All of it holds.
    said: Vec<&'a Value>,
    /// One of it holds: what the alternatives of an object say.
    variants: Vec<&'a Value>,
    required: bool,
}

impl<'a> Property<'a> {
    fn of(said: &'a Value) -> Self {
        Self { said: vec![said], ..Self::default() }
    }
}

impl<'a> Place<'a> {
    fn operation(&self, method: &str) -> Option<Operation<'a>> {
        let said = self.said.get(method)?.as_object()?;
        Some(Operation { place: self.said, said })
    }
}

impl<'a> Document<'a> {
    /// Where `path` is: below one of the addresses that the document names, or as it stands.
    fn place(self, path: &str) -> Option<Place<'a>> {
        let path = path.split(['?', '#']).next()?;
        let declared = self.bases(self.0.as_object()?);
        let is_at = |base: &str, place: &Place<'a>| {
            segments(base).chain(segments(place.key)).eq(segments(path))
        };
        let is_below_a_base = |place: &Place<'a>| {
            let own = self.bases(place.said);
            let bases = if own.is_empty() { &declared } else { &own };
            bases.iter().any(|base| is_at(base, place))
        };
        let is_spelled_otherwise =
            |place: &Place<'a>| place.key.ends_with('/') != path.ends_with('/');
        let below = self.places().filter(is_below_a_base).min_by_key(is_spelled_otherwise);
        below.or_else(|| {
            let bare = self.places().filter(|place| is_at("", place));
            bare.min_by_key(is_spelled_otherwise)
        })
    }

    fn places(self) -> impl Iterator<Item = Place<'a>> {
        let paths = self.0.get("paths").and_then(Value::as_object).into_iter().flatten();
        paths.filter_map(move |(key, said)| Some(Place { key, said: self.object(said)? }))
    }

    /// The paths of the addresses that `holder` names.
    fn bases(self, holder: &Object) -> Vec<String> {
        if let Some(base) = holder.get("basePath").and_then(Value::as_str) {
            return vec![base.to_owned()];
        }
        list(holder, "servers").iter().take(MOST_SERVERS).filter_map(base).collect()
    }

    /// How a record is made, or else changed.
    fn writing(self, place: &Place<'a>) -> Option<Operation<'a>> {
        place.operation("post").or_else(|| {
            let member = self.places().find(|member| {
                let mut rest = segments(member.key);
                segments(place.key).all(|segment| rest.next() == Some(segment))
                    && rest.next().is_some_and(|id| id.starts_with('{'))
                    && rest.next().is_none()
            })?;
            member.operation("put").or_else(|| member.operation("patch"))
        })
    }

    /// What a reference leads to; only into the document itself.
    fn target(self, reference: &str) -> Option<&'a Value> {
        let pointer = reference.strip_prefix('#')?;
        self.0.pointer(pointer).or_else(|| self.0.pointer(&decoded(pointer)?))
    }

    /// The object that `value` is or refers to.
    fn object(self, mut value: &'a Value) -> Option<&'a Object> {
        for _ in 0..DEEPEST {
            let object = value.as_object()?;
            match object.get("$ref").and_then(Value::as_str) {
                Some(reference) => value = self.target(reference)?,
                None => return Some(object),
            }
        }
        None
    }

    /// The properties of the records that a list answers with.
    fn shown(self, list: &Operation<'a>) -> Properties<'a> {
        let answer = self.answer(list).map(|schema| self.schema(schema));
        let record = answer.and_then(|answer| self.records(&answer, MOST_ENVELOPES));
        record.map(|record| self.record(&record)).unwrap_or_default()
    }

    /// The properties that can be written; where the document has no body, all that it shows.
    fn written(self, writing: &Operation<'a>, shown: &Properties<'a>) -> Properties<'a> {
        let written = self.body(writing).filter(|written| !written.is_empty());
        let Some(written) = written else {
            let open = |(name, said): (&&'a str, &Property<'a>)| {
                (*name, Property { required: false, ..said.clone() })
            };
            return shown.iter().map(open).collect();
        };
        // Rails and JSON:API have a name around what is sent.
        let mut around = written.iter().filter(|(name, _)| !shown.contains_key(*name));
        match (around.next(), written.len()) {
            (Some((_, only)), 1) => {
                let inner = self.record(&self.schema_of(only));
                if inner.is_empty() { written } else { inner }
            }
            _ => written,
        }
    }

    /// The schema of an answer that is as it should be.
    fn answer(self, operation: &Operation<'a>) -> Option<&'a Value> {
        let answers = operation.said.get("responses")?.as_object()?;
        let good = answers.keys().find(|status| status.starts_with('2')).map(String::as_str);
        ["200", good.unwrap_or("2XX"), "default"].iter().find_map(|status| {
            let answer = self.object(answers.get(*status)?)?;
            answer.get("schema").or_else(|| media(answer))
        })
    }

    /// The properties of a request's body.
    fn body(self, operation: &Operation<'a>) -> Option<Properties<'a>> {
        if let Some(body) = operation.said.get("requestBody") {
            let schema = self.schema(media(self.object(body)?)?);
            return Some(self.record(&schema));
        }
        let mut form = Properties::new();
        for (said, parameter) in self.parameters(operation) {
            let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
            match parameter.get("in").and_then(Value::as_str) {
                Some("body") => {
                    return Some(self.record(&self.schema(parameter.get("schema")?)));
                }
                Some("formData") => {
                    let required = parameter.get("required").and_then(Value::as_bool);
                    let required = required.unwrap_or_default();
                    form.insert(name, Property { required, ..Property::of(said) });
                }
                _ => {}
            }
        }
        Some(form)
    }

    /// The parameters of an operation and of its place, as they are written and as they are meant.
    fn parameters(
        self,
        operation: &Operation<'a>,
    ) -> impl Iterator<Item = (&'a Value, &'a Object)> {
        let all =
            list(operation.said, "parameters").iter().chain(list(operation.place, "parameters"));
        all.take(MOST_FIELDS).filter_map(move |said| Some((said, self.object(said)?)))
    }

    /// What a list can be asked with. An object stands for its properties.
    fn asked(self, list: &Operation<'a>) -> Vec<Parameter<'a>> {
        let mut asked = Vec::new();
        for (said, parameter) in self.parameters(list) {
            if parameter.get("in").and_then(Value::as_str) != Some("query") {
                continue;
            }
            let about = parameter.get("description").and_then(Value::as_str).unwrap_or_default();
            let schema = self.schema(parameter.get("schema").unwrap_or(said));
            let is_deep = parameter.get("style").is_some_and(|style| style == "deepObject");
            let inner = self.properties(&schema);
            if is_deep || inner.is_empty() {
                let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
                asked.push(self.parameter(name, about, schema));
                continue;
            }
            let inner = inner.iter().take(MOST_FIELDS.saturating_sub(asked.len()));
            asked.extend(inner.map(|(name, said)| self.parameter(name, "", self.schema_of(said))));
        }
        asked
    }

    fn parameter(self, name: &'a str, about: &'a str, schema: Schema<'a>) -> Parameter<'a> {
        let items = schema.find(|said| said.get("items")).map(|items| self.schema(items));
        Parameter { name, about, schema, items }
    }

    fn schema(self, value: &'a Value) -> Schema<'a> {
        self.schema_of(&Property::of(value))
    }

    fn schema_of(self, property: &Property<'a>) -> Schema<'a> {
        let mut gathering = Gathering { document: self, left: MOST_PARTS };
        let mut schema = Schema::default();
        for said in &property.said {
            gathering.add(said, DEEPEST, true, &mut schema);
        }
        let variants = property.variants.iter().map(|said| {
            let mut variant = Schema::default();
            gathering.add(said, DEEPEST, true, &mut variant);
            variant
        });
        let variants = variants.collect();
        schema.settle(variants);
        schema
    }

    /// The schema of one record, where `schema` is that of an answer with several.
    fn records(self, schema: &Schema<'a>, envelopes: usize) -> Option<Schema<'a>> {
        if let Some(items) = schema.find(|said| said.get("items")) {
            return Some(self.schema(items));
        }
        let of_alternatives = schema.alternatives.iter().find_map(|it| self.records(it, envelopes));
        if of_alternatives.is_some() || envelopes == 0 {
            return of_alternatives;
        }
        let properties = self.properties(schema);
        let within = |name: &&str| properties.get(name).map(|said| self.schema_of(said));
        let items = |schema: Schema<'a>| {
            schema.find(|said| said.get("items")).map(|items| self.schema(items))
        };
        let named = ENVELOPES.iter().filter_map(within).find_map(items);
        named.or_else(|| self.only_list(&properties)).or_else(|| {
            let mut outer = OUTER_ENVELOPES.iter().filter_map(within);
            outer.find_map(|schema| self.records(&schema, envelopes - 1))
        })
    }

    /// What is in the one property that is a list of objects.
    fn only_list(self, properties: &Properties<'a>) -> Option<Schema<'a>> {
        let mut lists = properties.values().filter_map(|said| {
            let items = self.schema_of(said).find(|said| said.get("items"))?;
            Some(self.schema(items)).filter(|items| !self.properties(items).is_empty())
        });
        let first = lists.next();
        first.filter(|_| lists.next().is_none())
    }

    /// The properties of a record, wherever they are in it.
    fn record(self, schema: &Schema<'a>) -> Properties<'a> {
        let properties = self.properties(schema);
        let is_json_api = properties.keys().all(|name| JSON_API.contains(name));
        match properties.get("attributes").filter(|_| is_json_api) {
            Some(attributes) => self.properties(&self.schema_of(attributes)),
            None => properties,
        }
    }

    fn properties(self, schema: &Schema<'a>) -> Properties<'a> {
        let mut properties = Properties::new();
        let mut left = MOST_MENTIONS;
        for (name, said) in schema.inner(&mut left) {
            if let Some(property) = entry(&mut properties, name) {
                property.said.push(said);
            }
        }
        for name in schema.parts.iter().flat_map(|part| list(part.said, "required")).take(left) {
            if let Some(said) = name.as_str().and_then(|name| properties.get_mut(name)) {
                said.required = true;
            }
        }
        let mut waiting: Vec<_> = schema.alternatives.iter().rev().collect();
        while let Some(alternative) = waiting.pop().filter(|_| left > 0) {
            for (name, said) in alternative.inner(&mut left) {
                if let Some(property) = entry(&mut properties, name) {
                    property.variants.push(said);
                }
            }
            waiting.extend(alternative.alternatives.iter().rev());
        }
        properties
    }

    /// A field; nothing for what is neither shown nor written.
    fn field(
        self,
        name: &str,
        shown: &Properties<'a>,
        written: &Properties<'a>,
    ) -> Option<FieldConfig> {
        let response = shown.get(name).map(|said| self.schema_of(said));
        let request = written.get(name).map(|said| self.schema_of(said));
        let request = request.filter(|said| !said.flag("readOnly"));
        let both = || request.iter().chain(&response);
        let is_hidden = response.is_none() && !shown.is_empty()
            || is_secret_by_name(name)
            || both().any(|said| said.flag("writeOnly") || said.text("format") == Some("password"));
        let kind = both().map(|said| self.kind(name, said)).reduce(agreed)?;
        let usual = FieldConfig::new(name, kind);
        let in_form = usual.in_form && request.is_some();
        if is_hidden && !in_form {
            return None;
        }
        let label = both().find_map(|said| said.own("title")).and_then(in_short);
        let label = label.filter(|label| !label.eq_ignore_ascii_case(&usual.label));
        let label = label.unwrap_or_else(|| usual.label.clone());
        let help = both().find_map(|said| said.own("description")).and_then(help);
        let required = written.get(name).is_some_and(|said| said.required);
        let told = request.filter(|_| in_form);
        Some(FieldConfig {
            help: help.filter(|help| !help.eq_ignore_ascii_case(&label)),
            label,
            in_list: usual.in_list && !is_hidden,
            in_detail: usual.in_detail && !is_hidden,
            in_form,
            rules: told.as_ref().map(|said| rules(said, &usual.kind, required)).unwrap_or_default(),
            default: told.and_then(|said| default(&said, &usual.kind)),
            ..usual
        })
    }

    fn kind(self, name: &str, schema: &Schema<'a>) -> FieldKind {
        let types = schema.types();
        let has = |word: &str| types.contains(&word);
        if has("boolean") && types.len() == 1 {
            return FieldKind::Boolean;
        }
        if let Some(choices) = schema.choices() {
            return FieldKind::Choice(choices);
        }
        if has("array") || types.is_empty() && schema.has("items") {
            let items = schema.find(|said| said.get("items")).map(|items| self.schema(items));
            let choices = items.and_then(|items| items.choices());
            return choices.map_or(FieldKind::Json, FieldKind::MultiChoice);
        }
        match types.as_slice() {
            ["string"] => text_kind(name, schema),
            ["integer"] => FieldKind::Integer,
            ["number"] | ["integer", "number"] | ["number", "integer"] => {
                number_kind(name, FieldKind::Decimal)
            }
            ["file"] => file_kind(schema),
            [] if schema.is_textual() => text_kind(name, schema),
            [] => self.kind_of_alternatives(name, schema),
            types if types.contains(&"object") => FieldKind::Json,
            _ => FieldKind::Text,
        }
    }

    /// What all alternatives are, or text where each is something that fits on a line.
    fn kind_of_alternatives(self, name: &str, schema: &Schema<'a>) -> FieldKind {
        let mut kinds = schema.alternatives.iter().map(|it| self.kind(name, it));
        let Some(first) = kinds.next() else { return FieldKind::Json };
        let common = kinds.try_fold(first, |one, other| match (one, other) {
            (one, other) if one == other => Some(one),
            (one, other) => (!is_composed(&one) && !is_composed(&other)).then_some(FieldKind::Text),
        });
        common.unwrap_or(FieldKind::Json)
    }
}

/// The property of that name, unless there are enough already.
fn entry<'p, 'a>(all: &'p mut Properties<'a>, name: &'a str) -> Option<&'p mut Property<'a>> {
    let has_room = all.len() < MOST_FIELDS || all.contains_key(name);
    has_room.then(|| all.entry(name).or_default())
}

fn is_composed(kind: &FieldKind) -> bool {
    matches!(kind, FieldKind::Json | FieldKind::MultiChoice(_)) || kind.is_file()
}

/// What a field is by what is sent and by what is answered: what says more, and else what is sent.
fn agreed(request: FieldKind, response: FieldKind) -> FieldKind {
    match (request, response) {
        (FieldKind::Text | FieldKind::LongText, told)
            if told != FieldKind::Text && !is_composed(&told) =>
        {
            told
        }
        (request, _) => request,
    }
}

/// The schema of what is sent, preferably as JSON.
fn media(holder: &Object) -> Option<&Value> {
    let media = holder.get("content")?.as_object()?.iter();
    let media = media.filter_map(|(kind, said)| Some((kind.as_str(), said.get("schema")?)));
    let best = media.min_by_key(|(kind, _)| match *kind {
        kind if kind.starts_with("application/json") => 0,
        kind if kind.contains("json") => 1,
        "*/*" => 2,
        "multipart/form-data" => 3,
        _ => 4,
    });
    best.map(|(_, schema)| schema)
}

/// The path of an address, with its variables as they usually are.
fn base(server: &Value) -> Option<String> {
    let mut address = server.get("url")?.as_str()?.to_owned();
    let variables = server.get("variables").and_then(Value::as_object).into_iter().flatten();
    for (name, said) in variables.take(8) {
        let usual = said.get("default").and_then(Value::as_str).unwrap_or_default();
        address = address.replacen(&format!("{{{name}}}"), usual, 1);
    }
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => &address,
    };
    path.split(['?', '#']).next().map(str::to_owned)
}

/// The parts of a path; slashes at its ends do not matter.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty() && *segment != ".")
}

/// A pointer without `%`.
fn decoded(pointer: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut rest = pointer.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

impl<'a> Parameter<'a> {
    /// The names that a parameter for ordering takes, perhaps with a sign.
    fn orders(&self) -> Vec<&'a str> {
        let values: Vec<&str> = [Some(&self.schema), self.items.as_ref()]
            .into_iter()
            .flatten()
            .flat_map(|schema| schema.alternatives.iter().chain([schema]))
            .filter_map(|schema| schema.find(|said| said.get("enum")?.as_array()))
            .flatten()
            .filter_map(Value::as_str)
            .take(MOST_CHOICES)
            .collect();
        if !values.is_empty() {
            return values;
        }
        let about = [Some(self.about), self.schema.text("description")];
        about.into_iter().flatten().flat_map(|text| named_in(beginning(text))).collect()
    }
}
