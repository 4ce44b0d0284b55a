//! The fields of a collection as its backend's OpenAPI document tells them: OpenAPI 3.0 and 3.1,
//! Swagger 2.0.
//!
//! Records show only what a backend happens to hold, and few backends answer `OPTIONS`. A document
//! says beforehand which values there are, what is required, who sets a field, and what a list can
//! be ordered and narrowed by. It is text from elsewhere: references may lead in circles and
//! anything may be of the wrong type, so whatever is followed is counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter::Peekable,
    mem, ptr,
    str::Chars,
};

use serde_json::{Map, Value};

use super::fields::{is_long_by_name, is_phone_by_name, number_kind};
use crate::config::{Choice, FieldConfig, FieldKind, FileRule, Rules};

/// How many objects one schema may be put together from.
const MOST_PARTS: usize = 500;
/// How many types a value may have.
const MOST_TYPES: usize = 8;
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
/// More values than this are not for choosing from.
const MOST_CHOICES: usize = 1_000;
/// How many bytes of a description are read.
const MOST_TEXT: usize = 10_000;
/// The most characters of a label or a help text.
const SENTENCE: usize = 120;
/// The most characters of a field's name.
const LONGEST_NAME: usize = 100;
/// The most characters of what a form begins with.
const LONGEST_DEFAULT: usize = 1_000;
/// Text that may be longer than this is not for one line.
const LONG: usize = 500;
/// The longest pattern that is kept.
const LONGEST_PATTERN: usize = 200;

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

/// The parts of a schema are gathered; `left` is how many may still be.
struct Gathering<'a> {
    document: Document<'a>,
    left: usize,
}

impl<'a> Gathering<'a> {
    /// Adds what `value` says to `schema`. It is the schema's own unless it is referred to.
    fn add(&mut self, value: &'a Value, depth: usize, is_own: bool, schema: &mut Schema<'a>) {
        let Some(said) = value.as_object() else { return };
        if depth == 0 || self.left == 0 || schema.holds(said) {
            return;
        }
        self.left -= 1;
        schema.parts.push(Part { said, is_own });
        schema.is_optional |= can_be_null(said);
        let reference = said.get("$ref").and_then(Value::as_str);
        if let Some(target) = reference.and_then(|reference| self.document.target(reference)) {
            self.add(target, depth - 1, false, schema);
        }
        // What comes later says more.
        for part in list(said, "allOf").iter().take(MOST_PARTS).rev() {
            self.add(part, depth - 1, is_own, schema);
        }
        let mut options = Vec::new();
        for option in list(said, "oneOf").iter().chain(list(said, "anyOf")).take(MOST_PARTS) {
            if self.left == 0 {
                break;
            }
            let mut gathered = Schema::default();
            self.add(option, depth - 1, is_own, &mut gathered);
            options.push(gathered);
        }
        schema.settle(options);
    }
}

/// A schema with all that it refers to.
#[derive(Default)]
struct Schema<'a> {
    /// What holds of it, the nearest first.
    parts: Vec<Part<'a>>,
    /// Of these one holds as well.
    alternatives: Vec<Schema<'a>>,
    /// Whether a value can be null or blank.
    is_optional: bool,
}

/// An object of keywords.
struct Part<'a> {
    said: &'a Object,
    /// Whether it stands where the schema does: what is referred to has a title of its own.
    is_own: bool,
}

impl<'a> Schema<'a> {
    fn holds(&self, said: &Object) -> bool {
        self.parts.iter().any(|part| ptr::eq(part.said, said))
    }

    /// Takes alternatives in. Null and blank are none, and of numbers that can be written as text
    /// the number says more.
    fn settle(&mut self, options: Vec<Schema<'a>>) {
        let all = options.len();
        let mut options: Vec<_> = options.into_iter().filter(|it| !it.is_nothing()).collect();
        self.is_optional |= options.len() < all || options.iter().any(|it| it.is_optional);
        let is_written_number =
            |it: &Schema<'a>| it.types() == ["string"] && it.text("format").is_none();
        if options.len() == 2 && options.iter().any(|it| it.types() == ["number"]) {
            options.retain(|it| !is_written_number(it));
        }
        match options.as_mut_slice() {
            [only] => {
                let parts = mem::take(&mut only.parts);
                let new: Vec<_> = parts.into_iter().filter(|it| !self.holds(it.said)).collect();
                self.parts.extend(new);
                self.alternatives.append(&mut only.alternatives);
            }
            _ => self.alternatives.append(&mut options),
        }
    }

    fn find<T>(&self, read: impl Fn(&'a Object) -> Option<T>) -> Option<T> {
        self.parts.iter().find_map(|part| read(part.said))
    }

    /// The properties that its parts name, as long as there are any `left`.
    fn inner(&self, left: &mut usize) -> Vec<(&'a str, &'a Value)> {
        let all = self.parts.iter().filter_map(|part| part.said.get("properties")?.as_object());
        let all = all.flatten().map(|(name, said)| (name.as_str(), said));
        let inner: Vec<_> = all.take(*left).collect();
        *left -= inner.len();
        inner
    }

    fn has(&self, key: &str) -> bool {
        self.parts.iter().any(|part| part.said.contains_key(key))
    }

    fn flag(&self, key: &str) -> bool {
        self.find(|said| said.get(key)?.as_bool()).unwrap_or_default()
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.find(|said| said.get(key)?.as_str())
    }

    fn length(&self, key: &str) -> Option<usize> {
        self.find(|said| said.get(key)?.as_u64()).and_then(|length| length.try_into().ok())
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.find(|said| said.get(key)?.as_f64())
    }

    /// Text that is said here, not of whatever is referred to.
    fn own(&self, key: &str) -> Option<&'a str> {
        let mut own = self.parts.iter().filter(|part| part.is_own);
        own.find_map(|part| part.said.get(key)?.as_str()).map(beginning)
    }

    /// The types there are, beside null.
    fn types(&self) -> Vec<&'a str> {
        let types = self.find(|said| match said.get("type")? {
            Value::String(one) => Some(vec![one.as_str()]),
            Value::Array(types) => {
                Some(types.iter().filter_map(Value::as_str).take(MOST_TYPES).collect())
            }
            _ => None,
        });
        types.unwrap_or_default().into_iter().filter(|one| *one != "null").collect()
    }

    /// Whether it can only be null or blank.
    fn is_nothing(&self) -> bool {
        let is_null = |kind: &Value| match kind {
            Value::Array(types) => !types.is_empty() && types.iter().all(|one| one == "null"),
            kind => kind == "null",
        };
        let no_value = |said: &'a Object| match (said.get("enum"), said.get("const")) {
            (Some(Value::Array(values)), _) => {
                Some(values.len() <= MOST_TYPES && values.iter().all(is_blank))
            }
            (_, value) => value.map(is_blank),
        };
        self.find(|said| said.get("type")).is_some_and(is_null)
            || self.find(no_value).unwrap_or_default()
            || self.length("maxLength") == Some(0)
    }

    /// Whether a value may be left out, whatever else is said: it can be null or blank.
    fn may_be_empty(&self) -> bool {
        let values = self.find(|said| said.get("enum")?.as_array());
        self.is_optional || values.is_some_and(|it| it.iter().take(MOST_CHOICES).any(is_blank))
    }

    /// Whether it has rules that only text can have.
    fn is_textual(&self) -> bool {
        ["pattern", "minLength", "maxLength"].iter().any(|key| self.has(key))
            || self.text("format").is_some() && self.alternatives.is_empty()
    }

    /// The values there are, where they are counted.
    fn choices(&self) -> Option<Vec<Choice>> {
        let mut choices = match self.find(|said| Some((said, said.get("enum")?.as_array()?))) {
            Some((said, values)) => self.listed(said, values)?,
            None => match self.find(|said| said.get("const")) {
                Some(value) => vec![choice(&scalar(value).filter(|_| !is_blank(value))?, None)],
                None => {
                    let all = self.alternatives.iter().map(Schema::titled);
                    all.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect()
                }
            },
        };
        let mut seen = BTreeSet::new();
        choices.retain(|choice| seen.insert(choice.value.clone()));
        (1..=MOST_CHOICES).contains(&choices.len()).then_some(choices)
    }

    /// The values of an `enum`, with the names that generators of documents give them.
    fn listed(&self, said: &'a Object, values: &'a [Value]) -> Option<Vec<Choice>> {
        if values.len() > MOST_CHOICES {
            return None;
        }
        let names = ["x-enumNames", "x-enum-varnames", "x-enum-names"];
        let names = names.iter().map(|key| list(said, key));
        let names = names.into_iter().find(|names| names.len() == values.len()).unwrap_or_default();
        let labels = self.labels();
        let mut choices = Vec::new();
        for (at, value) in values.iter().enumerate().filter(|(_, value)| !is_blank(value)) {
            let text = scalar(value)?;
            let label = labels.get(text.as_str()).copied().and_then(in_short);
            let name = names.get(at).and_then(Value::as_str).and_then(spoken);
            choices.push(choice(&text, label.or(name)));
        }
        Some(choices)
    }

    /// The choices of an alternative; the title of one is what a single value is called.
    fn titled(&self) -> Option<Vec<Choice>> {
        let mut choices = self.choices()?;
        if let ([only], Some(title)) = (choices.as_mut_slice(), self.text("title")) {
            *only = choice(&only.value, in_short(beginning(title)));
        }
        Some(choices)
    }

    /// What a description calls the values: "* `won` - Closed won", as DRF-spectacular writes it.
    fn labels(&self) -> BTreeMap<&'a str, &'a str> {
        let all = self.parts.iter().filter_map(|part| part.said.get("description")?.as_str());
        let Some(text) = all.take(MOST_TYPES).map(beginning).find(|text| text.contains(BULLET))
        else {
            return BTreeMap::new();
        };
        let lines = text.lines().filter_map(|line| line.strip_prefix(BULLET)?.split_once("` - "));
        lines.collect()
    }
}

/// What begins a line about a value.
const BULLET: &str = "* `";

/// A value with what it is called, where that says more.
fn choice(value: &str, label: Option<String>) -> Choice {
    let usual = Choice::new(value);
    let label = label.filter(|label| label != value);
    Choice { label: label.unwrap_or_else(|| usual.label.clone()), ..usual }
}

/// A name in a program as words.
fn spoken(name: &str) -> Option<String> {
    let is_shouted = !name.chars().any(char::is_lowercase);
    let name = if is_shouted { name.to_lowercase() } else { name.to_owned() };
    in_short(&Choice::new(&name).label)
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value == ""
}

fn can_be_null(said: &Object) -> bool {
    let is_true = |key: &str| said.get(key) == Some(&Value::Bool(true));
    let types = list(said, "type").iter().take(MOST_TYPES);
    is_true("nullable") || is_true("x-nullable") || types.into_iter().any(|one| one == "null")
}

/// A value as records have it.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn list<'a>(said: &'a Object, key: &str) -> &'a [Value] {
    said.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
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

/// As much of a text as is read.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MOST_TEXT)]
}

/// The first sentence of a description, without what follows about single values.
fn help(text: &str) -> Option<String> {
    let text = text.split("\n\n").find(|text| !text.trim().is_empty())?;
    let text = text.split(BULLET).next()?.trim();
    in_short(sentence(text))
}

/// The first sentence; "e.g." does not end one.
fn sentence(text: &str) -> &str {
    let ends = text.match_indices(['.', '!', '?']).map(|(at, _)| at + 1);
    let mut ends = ends.filter(|end| {
        let rest = text[*end..].trim_start();
        rest.len() < text.len() - end && rest.starts_with(|next: char| !next.is_lowercase())
    });
    ends.next().map_or(text, |end| &text[..end])
}

/// A text on one line, cut between words where it is long.
fn in_short(text: &str) -> Option<String> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((end, _)) = line.char_indices().nth(SENTENCE) else {
        return Some(line).filter(|line| !line.is_empty());
    };
    let last = line[..end].char_indices().next_back().map_or(0, |(at, _)| at);
    let cut = line[..last].rfind(' ').unwrap_or(last);
    Some(format!("{}…", line[..cut].trim_end_matches([',', ';', ':'])))
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

/// The names that a text lists: in quotation marks, or behind a colon. Other words are words.
fn named_in(text: &str) -> Vec<&str> {
    let quoted = ['`', '"'].into_iter().flat_map(|mark| text.split(mark).skip(1).step_by(2));
    let (_, listed) =
        text.split_once(':').filter(|(before, _)| !before.ends_with("format")).unwrap_or_default();
    let is_in_name = |letter: char| letter.is_alphanumeric() || "_-+".contains(letter);
    let names = quoted.chain([sentence(listed)]);
    let names = names.flat_map(|text| text.split(move |letter| !is_in_name(letter)));
    names.filter(|name| !name.is_empty()).take(MOST_CHOICES).collect()
}

fn text_kind(name: &str, schema: &Schema<'_>) -> FieldKind {
    match schema.text("contentMediaType") {
        Some("application/json") => return FieldKind::Json,
        Some("text/html") => return FieldKind::Html,
        Some("text/markdown") => return FieldKind::Markdown,
        Some(kind) if !kind.starts_with("text/") => return file_kind(schema),
        _ => {}
    }
    match schema.text("format").unwrap_or_default() {
        "date" => FieldKind::Date,
        "date-time" | "datetime" => FieldKind::DateTime,
        "email" | "idn-email" => FieldKind::Email,
        "uri" | "url" | "iri" => FieldKind::Url,
        "binary" => file_kind(schema),
        "decimal" | "double" | "float" => number_kind(name, FieldKind::Decimal),
        "int32" | "int64" | "uint32" | "uint64" => FieldKind::Integer,
        "phone" | "phone-number" | "tel" => FieldKind::Phone,
        "html" => FieldKind::Html,
        "markdown" => FieldKind::Markdown,
        "byte" | "textarea" | "multiline" => FieldKind::LongText,
        "" => plain_kind(name, schema.length("maxLength")),
        _ => FieldKind::Text,
    }
}

/// Text of no format.
fn plain_kind(name: &str, most: Option<usize>) -> FieldKind {
    if most.map_or_else(|| is_long_by_name(name), |most| most > LONG) {
        FieldKind::LongText
    } else if is_phone_by_name(name) {
        FieldKind::Phone
    } else {
        FieldKind::Text
    }
}

fn file_kind(schema: &Schema<'_>) -> FieldKind {
    let kind = schema.text("contentMediaType").filter(|kind| *kind != "application/octet-stream");
    let rule = FileRule { accept: kind.map(str::to_owned).into_iter().collect(), max_size: None };
    match kind {
        Some(kind) if kind.starts_with("image/") => FieldKind::Image(rule),
        _ => FieldKind::File(rule),
    }
}

/// Swagger 2.0 cannot say that something is only ever written.
fn is_secret_by_name(name: &str) -> bool {
    name.split('_').any(|part| part == "password")
}

/// What a value must be like. What may be null or blank may be left empty, required or not.
fn rules(schema: &Schema<'_>, kind: &FieldKind, required: bool) -> Rules {
    let is_line = kind.is_text() && !kind.is_wide();
    let length = |key: &str| schema.length(key).filter(|length| kind.is_text() && *length > 0);
    let bound = |end: End| bound(schema, kind, end).filter(|_| kind.is_number());
    Rules {
        required: required && !schema.may_be_empty(),
        min: bound(End::Least),
        max: bound(End::Greatest),
        min_length: length("minLength"),
        max_length: length("maxLength"),
        pattern: schema.text("pattern").filter(|_| is_line).and_then(pattern),
        hint: None,
    }
}

/// One of the two bounds of a number.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Least,
    Greatest,
}

/// A bound as a form writes it. What lies before or beyond a bound that is no longer allowed itself
/// is known of whole numbers; for others the bound is as near as a form can say.
fn bound(schema: &Schema<'_>, kind: &FieldKind, end: End) -> Option<String> {
    let (bound, exclusive) = match end {
        End::Least => ("minimum", "exclusiveMinimum"),
        End::Greatest => ("maximum", "exclusiveMaximum"),
    };
    let is_whole = *kind == FieldKind::Integer;
    let inside = |bound: f64| match end {
        _ if !is_whole => bound,
        End::Least => bound.floor() + 1.0,
        End::Greatest => bound.ceil() - 1.0,
    };
    let within = |bound: f64| match end {
        _ if !is_whole => bound,
        End::Least => bound.ceil(),
        End::Greatest => bound.floor(),
    };
    let is_open = schema.flag(exclusive);
    let closed = schema.number(bound).map(|at| if is_open { inside(at) } else { within(at) });
    let open = schema.number(exclusive).map(inside);
    let all = closed.into_iter().chain(open);
    let bound = all.reduce(if end == End::Least { f64::max } else { f64::min })?;
    // What 64 bits hold is no rule of anybody's.
    (bound.abs() < 2_f64.powi(63)).then(|| written(bound))
}

/// A number as a form writes it: `1000` for 1000.0.
fn written(number: f64) -> String {
    (number + 0.0).to_string()
}

/// What a new record's form begins with.
fn default(schema: &Schema<'_>, kind: &FieldKind) -> Option<String> {
    let text = match (kind, schema.find(|said| said.get("default"))?) {
        (FieldKind::Json | FieldKind::MultiChoice(_) | FieldKind::DateTime, _) => return None,
        (FieldKind::Choice(choices), value) => {
            scalar(value).filter(|value| choices.iter().any(|choice| choice.value == *value))
        }
        (FieldKind::Boolean, value) => value.as_bool().map(|truth| truth.to_string()),
        (kind, Value::Number(number)) if kind.is_number() => number.as_f64().map(written),
        (kind, Value::String(text)) if kind.is_number() => {
            text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|_| text.clone())
        }
        (kind, _) if kind.is_number() || kind.is_file() => None,
        (_, value) => scalar(value),
    };
    text.filter(|text| !text.is_empty() && text.chars().count() <= LONGEST_DEFAULT)
}

/// A pattern as browsers (which read it with the flag `v`) and this server understand alike, of a
/// whole value: one without anchors is meant of a part by some and of the whole by others. Nothing
/// for what goes beyond that, as letters of words, which are not the same to everybody.
fn pattern(text: &str) -> Option<String> {
    // Other languages' quantifiers.
    if ["{,", "++", "*+", "?+"].iter().any(|it| text.contains(it)) {
        return None;
    }
    let begun = text.strip_prefix('^').or_else(|| text.strip_prefix(r"\A"))?;
    let ends = ["$", r"\z", r"\Z"];
    let inside = ends.iter().find_map(|end| begun.strip_suffix(end))?;
    let mut pattern = String::new();
    let mut depth = 0_usize;
    let mut letters = inside.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => pattern += &escape(letters.next()?, false)?,
            '[' => pattern += &class(&mut letters)?,
            '(' => {
                depth += 1;
                let is_plain = letters.next_if_eq(&'?').is_none();
                pattern += if is_plain { "(" } else { letters.next_if_eq(&':').map(|_| "(?:")? };
            }
            ')' => {
                depth = depth.checked_sub(1)?;
                pattern.push(')');
            }
            '|' if depth == 0 => return None,
            '^' | '$' => return None,
            letter => pattern.push(letter),
        }
    }
    let is_right = depth == 0 && (1..=LONGEST_PATTERN).contains(&pattern.len());
    is_right.then_some(pattern)
}

/// The rest of `[…]`; a `-` that is no range is marked as such.
fn class(letters: &mut Peekable<Chars<'_>>) -> Option<String> {
    let is_negated = letters.next_if_eq(&'^').is_some();
    let mut class = String::from(if is_negated { "[^" } else { "[" });
    let empty = class.len();
    loop {
        match letters.next()? {
            ']' if class.len() > empty => break,
            '[' | ']' => return None,
            '-' if class.len() > empty && letters.peek() != Some(&']') => {
                let is_behind_a_class =
                    [r"\d", r"\D", r"\s", r"\S"].iter().any(|it| class.ends_with(it));
                if is_behind_a_class {
                    return None;
                }
                class.push('-');
            }
            '\\' => class += &escape(letters.next()?, true)?,
            letter => class += &in_class(letter),
        }
    }
    class.push(']');
    Some(class)
}

/// A letter behind a backslash.
fn escape(letter: char, is_in_class: bool) -> Option<String> {
    match letter {
        'd' | 'D' | 's' | 'S' | 't' | 'n' | 'r' => Some(format!("\\{letter}")),
        letter if is_in_class && letter.is_ascii_punctuation() => Some(in_class(letter)),
        letter if r"^$\.*+?()[]{}|/".contains(letter) => Some(format!("\\{letter}")),
        letter if letter.is_ascii_punctuation() || letter == ' ' => Some(letter.to_string()),
        _ => None,
    }
}

/// A letter of a class as every reader takes it.
fn in_class(letter: char) -> String {
    if r"()[]{}/-\|^&~".contains(letter) { format!("\\{letter}") } else { letter.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// From DRF-spectacular 0.30, cut down.
    fn spectacular() -> Value {
        let blank_or =
            |schema: Value| json!({"oneOf": [schema, {"type": "string", "maxLength": 0}]});
        let contact = json!({"$ref": "#/components/schemas/Contact"});
        let status = json!({"$ref": "#/components/schemas/StatusEnum"});
        json!({
            "openapi": "3.0.3",
            "paths": {"/api/contacts/": {
                "get": {
                    "parameters": [
                        {"in": "query", "name": "company__name", "schema": {"type": "string"}},
                        {"in": "query", "name": "name__icontains", "schema": {"type": "string"}},
                        {"in": "query", "name": "score__gte", "schema": {"type": "integer"}},
                        {"in": "query", "name": "score__lte", "schema": {"type": "integer"}},
                        {"in": "query", "name": "status", "schema": {"type": "string"}},
                        {"in": "query", "name": "ordering", "schema": {"type": "string"},
                         "description": "Which field to use when ordering the results."},
                        {"in": "query", "name": "sort", "explode": false, "schema":
                         {"type": "array", "items": {"enum": ["-name", "name", "-no"]}}},
                        {"in": "query", "name": "page", "schema": {"type": "integer"}},
                        {"in": "query", "name": "search", "schema": {"type": "string"}},
                    ],
                    "responses": {"200": {"content": {"application/json": {"schema":
                        {"$ref": "#/components/schemas/PaginatedContactList"}}}}},
                },
                "post": {"requestBody": {"content": {
                    "application/x-www-form-urlencoded": {"schema": {}},
                    "application/json": {"schema": contact},
                }}},
            }},
            "components": {"schemas": {
                "BlankEnum": {"enum": [""]},
                "NullEnum": {"enum": [null]},
                "StatusEnum": {"enum": ["lead", "won"], "type": "string",
                               "description": "* `lead` - New lead\n* `won` - Closed won"},
                "Company": {"type": "object", "properties": {"name": {"type": "string"}}},
                "PaginatedContactList": {"type": "object", "properties": {
                    "count": {"type": "integer"},
                    "next": {"type": "string", "nullable": true, "format": "uri"},
                    "results": {"type": "array", "items": contact},
                }},
                "Contact": {"type": "object", "properties": {
                    "id": {"type": "integer", "readOnly": true},
                    "password": {"type": "string", "writeOnly": true},
                    "company": {"readOnly": true,
                                "allOf": [{"$ref": "#/components/schemas/Company"}]},
                    "name": {"type": "string", "title": "Full name", "maxLength": 80,
                             "description": "As spoken. Not as in the passport."},
                    "email": blank_or(json!({"type": "string", "format": "email",
                                             "maxLength": 254})),
                    "zip": blank_or(json!({"type": "string", "pattern": "^[0-9]{5}$",
                                           "maxLength": 5})),
                    "status": {"allOf": [status], "description":
                               "Where it stands.\n\n* `lead` - New lead\n* `won` - Closed won"},
                    "source": {"nullable": true, "oneOf": [
                        status,
                        {"$ref": "#/components/schemas/BlankEnum"},
                        {"$ref": "#/components/schemas/NullEnum"}]},
                    "languages": {"type": "array", "items": status},
                    "budget": {"type": "string", "format": "decimal", "nullable": true,
                               "pattern": "^-?\\d{0,8}(?:\\.\\d{0,2})?$"},
                    "score": {"type": "integer", "maximum": 5, "minimum": 0},
                    "big": {"type": "integer", "format": "int64", "maximum": i64::MAX,
                            "minimum": i64::MIN},
                    "slug": {"type": "string", "maxLength": 50, "pattern": "^[-a-zA-Z0-9_]+$"},
                    "notes": {"type": "string"},
                    "extra": {},
                    "paper": {"type": "string", "format": "binary", "nullable": true},
                    "created_at": {"type": "string", "format": "date-time", "readOnly": true},
                }, "required":
                    ["created_at", "id", "languages", "name", "password", "slug", "source"]},
            }},
        })
    }

    /// From FastAPI 0.165, cut down.
    fn fastapi() -> Value {
        let or_null = |schema: Value| json!({"anyOf": [schema, {"type": "null"}]});
        let item = json!({
            "name": {"type": "string", "maxLength": 80, "minLength": 1, "title": "Name"},
            "state": {"$ref": "#/components/schemas/State", "default": "open"},
            "order_state": or_null(json!({"$ref": "#/components/schemas/State"})),
            "kind": {"type": "string", "enum": ["a", "b"], "title": "Kind"},
            "price": {"title": "Price", "anyOf": [
                {"type": "number", "maximum": 1000.0, "exclusiveMinimum": 0.0},
                {"type": "string"}]},
            "count": {"type": "integer", "exclusiveMaximum": 10.0, "exclusiveMinimum": 0.0,
                      "title": "Count", "default": 3},
            "home": {"title": "Homepage", "anyOf": [
                {"type": "string", "maxLength": 2083, "minLength": 1, "format": "uri"},
                {"type": "null"}]},
            "due": or_null(json!({"type": "string", "format": "date"})),
            "flag": {"type": "boolean", "default": false},
            "sku": or_null(json!({"type": "string", "pattern": "^[A-Z]{3}-\\d+$"})),
            "photo": {"type": "string", "contentMediaType": "image/png"},
            "tags": {"items": {"type": "string"}, "type": "array", "default": []},
        });
        let mut shown = item.clone();
        shown["id"] = json!({"type": "integer", "title": "Id"});
        shown["price"] = json!({"type": "string", "title": "Price"});
        let schema = |properties: Value| {
            let required = ["name", "kind", "price"];
            json!({"type": "object", "properties": properties, "required": required})
        };
        json!({
            "openapi": "3.1.0",
            "servers": [{"url": "https://x.example/{version}",
                         "variables": {"version": {"default": "v1"}}}],
            "paths": {"/items": {
                "get": {
                    "parameters": [
                        {"name": "q", "in": "query", "schema": or_null(json!({"type": "string"}))},
                        {"name": "order_by", "in": "query", "schema":
                         {"enum": ["name", "-name", "price", "-price"], "type": "string"}},
                        {"name": "state", "in": "query", "schema": {"type": "string"}},
                        {"name": "limit", "in": "query", "schema": {"type": "integer"}},
                    ],
                    "responses": {"200": {"content": {"application/json": {"schema":
                        {"$ref": "#/components/schemas/Page%5BItem%5D"}}}}},
                },
                "post": {"requestBody": {"content": {"application/json": {"schema":
                    {"$ref": "#/components/schemas/ItemIn"}}}}},
            }},
            "components": {"schemas": {
                "State": {"type": "string", "enum": ["open", "closed"], "title": "State"},
                "Item": schema(shown),
                "ItemIn": schema(item),
                "Page[Item]": {"type": "object", "properties": {
                    "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
                    "total": {"type": "integer"},
                }},
            }},
        })
    }

    fn swagger() -> Value {
        json!({
            "swagger": "2.0",
            "basePath": "/api",
            "parameters": {"size": {"name": "per_page", "in": "query", "type": "integer"}},
            "paths": {
                "/deals": {
                    "parameters": [{"$ref": "#/parameters/size"}],
                    "get": {
                        "parameters": [{"name": "sort", "in": "query", "description":
                                        "Sort by: stage, -amount. Any other name is passed over."}],
                        "responses": {"200": {"schema": {"type": "array", "items":
                            {"$ref": "#/definitions/Deal"}}}},
                    },
                    "post": {"parameters": [{"name": "deal", "in": "body", "schema":
                        {"allOf": [{"$ref": "#/definitions/Deal"}, {"required": ["stage"]}]}}]},
                },
                "/uploads/": {
                    "get": {"responses": {"default": {"schema": {"properties": {"uploads":
                        {"items": {"properties": {"title": {"type": "string"}}}}}}}}},
                    "post": {"parameters": [
                        {"name": "file", "in": "formData", "type": "file", "required": true},
                        {"name": "title", "in": "formData", "type": "string", "maxLength": 30},
                    ]},
                },
            },
            "definitions": {"Deal": {"type": "object", "properties": {
                "id": {"type": "integer", "readOnly": true},
                "stage": {"type": "integer", "enum": [1, 2], "x-enumNames": ["New", "ClosedWon"]},
                "level": {"type": "integer", "enum": [1, 2],
                          "x-enum-varnames": ["LEVEL_LOW", "HIGH"]},
                "amount": {"type": "number", "minimum": 0, "exclusiveMinimum": true},
                "closed": {"type": "string", "format": "date-time", "x-nullable": true},
            }}},
        })
    }

    fn order(names: &str) -> Vec<String> {
        names.split(' ').map(str::to_owned).collect()
    }

    fn words(described: &Described) -> Vec<(&str, &str)> {
        let fields = described.fields.iter();
        fields.map(|field| (field.name.as_str(), field.kind.word())).collect()
    }

    #[track_caller]
    fn field<'d>(described: &'d Described, name: &str) -> &'d FieldConfig {
        described.fields.iter().find(|field| field.name == name).expect(name)
    }

    /// A field by its schema alone, written and shown.
    fn one(schema: Value) -> FieldConfig {
        named("x", schema)
    }

    fn named(name: &str, schema: Value) -> FieldConfig {
        let record = json!({"properties": {name: schema}, "required": [name]});
        let document = json!({"paths": {"/r": {
            "get": {"responses": {"200": {"content": {"*/*": {"schema": {"items": record}}}}}},
            "post": {"requestBody": {"content": {"application/json": {"schema": record}}}},
        }}});
        described(&document, "/r", &[]).unwrap().fields.remove(0)
    }

    fn labels(field: &FieldConfig) -> Vec<(&str, &str)> {
        let choices = field.kind.choices().iter();
        choices.map(|choice| (choice.value.as_str(), choice.label.as_str())).collect()
    }

    fn bounds(field: &FieldConfig) -> (Option<&str>, Option<&str>) {
        (field.rules.min.as_deref(), field.rules.max.as_deref())
    }

    #[test]
    fn drf_spectacular_is_understood() {
        let order = order("id name email zip status source languages budget score big slug notes");
        let contacts = described(&spectacular(), "/api/contacts/", &order).unwrap();
        let expected = [
            ("id", "integer"),
            ("name", "text"),
            ("email", "email"),
            ("zip", "text"),
            ("status", "choice"),
            ("source", "choice"),
            ("languages", "multi-choice"),
            ("budget", "money"),
            ("score", "integer"),
            ("big", "integer"),
            ("slug", "text"),
            ("notes", "long-text"),
            ("company", "json"),
            ("created_at", "datetime"),
            ("extra", "json"),
            ("paper", "file"),
            ("password", "text"),
        ];
        assert_eq!(words(&contacts), expected);
        assert_eq!(contacts.sortable, ["name"]);
        assert_eq!(contacts.filterable, ["name", "score", "status"]);
        assert!(contacts.searches);
        assert_eq!(contacts.page_parameters, ["page"]);

        let name = field(&contacts, "name");
        assert_eq!((name.label.as_str(), name.help.as_deref()), ("Full name", Some("As spoken.")));
        assert!(name.rules.required && name.rules.max_length == Some(80));
        assert!(name.sortable && name.filterable && name.in_form);
        let password = field(&contacts, "password");
        assert!(password.in_form && !password.in_list && !password.in_detail);
        assert!(["id", "company", "created_at"].iter().all(|it| !field(&contacts, it).in_form));
        let status = field(&contacts, "status");
        assert_eq!(status.help.as_deref(), Some("Where it stands."));
        assert_eq!(labels(status), [("lead", "New lead"), ("won", "Closed won")]);
        assert_eq!(labels(field(&contacts, "source")).len(), 2);
        assert!(!field(&contacts, "source").rules.required);
        assert_eq!(field(&contacts, "email").rules.max_length, Some(254));
        assert_eq!(field(&contacts, "zip").rules.pattern.as_deref(), Some("[0-9]{5}"));
        assert_eq!(field(&contacts, "slug").rules.pattern.as_deref(), Some(r"[\-a-zA-Z0-9_]+"));
        assert_eq!(bounds(field(&contacts, "score")), (Some("0"), Some("5")));
        assert_eq!(bounds(field(&contacts, "big")), (None, None));
    }

    #[test]
    fn fastapi_is_understood() {
        let items = described(&fastapi(), "/v1/items/", &[]).unwrap();
        let expected = [
            ("count", "integer"),
            ("due", "date"),
            ("flag", "boolean"),
            ("home", "url"),
            ("id", "integer"),
            ("kind", "choice"),
            ("name", "text"),
            ("order_state", "choice"),
            ("photo", "image"),
            ("price", "money"),
            ("sku", "text"),
            ("state", "choice"),
            ("tags", "json"),
        ];
        assert_eq!(words(&items), expected);
        assert_eq!(items.sortable, ["name", "price"]);
        assert_eq!(items.filterable, ["state"]);
        assert!(items.searches);
        assert_eq!(items.page_parameters, ["limit"]);

        assert!(!field(&items, "id").in_form, "only in answers");
        let count = field(&items, "count");
        assert_eq!((bounds(count), count.default.as_deref()), ((Some("1"), Some("9")), Some("3")));
        let price = field(&items, "price");
        assert_eq!(bounds(price), (Some("0"), Some("1000")));
        assert!(price.rules.required && !field(&items, "due").rules.required);
        assert_eq!(field(&items, "home").label, "Homepage");
        assert_eq!(
            field(&items, "order_state").label,
            "Order state",
            "not what its type is called"
        );
        assert_eq!(field(&items, "state").default.as_deref(), Some("open"));
        assert_eq!(field(&items, "flag").default.as_deref(), Some("false"));
        assert_eq!(field(&items, "tags").default, None);
        assert_eq!(field(&items, "sku").rules.pattern.as_deref(), Some(r"[A-Z]{3}-\d+"));
    }

    #[test]
    fn swagger_2_is_understood() {
        let deals = described(&swagger(), "/api/deals/", &[]).unwrap();
        let expected = [
            ("amount", "money"),
            ("closed", "datetime"),
            ("id", "integer"),
            ("level", "choice"),
            ("stage", "choice"),
        ];
        assert_eq!(words(&deals), expected);
        assert_eq!(deals.sortable, ["stage", "amount"]);
        assert_eq!(deals.page_parameters, ["per_page"]);
        let stage = field(&deals, "stage");
        assert!(stage.rules.required && stage.in_form && !field(&deals, "id").in_form);
        assert_eq!(labels(stage), [("1", "New"), ("2", "ClosedWon")]);
        assert_eq!(labels(field(&deals, "level")), [("1", "Level low"), ("2", "High")]);

        let uploads = described(&swagger(), "api/uploads", &[]).unwrap();
        assert_eq!(words(&uploads), [("file", "file"), ("title", "text")]);
        let [file, title] = uploads.fields.as_slice() else { panic!("two fields") };
        assert!(file.rules.required && !file.in_detail && title.in_form && title.in_list);
    }

    #[test]
    fn paths_are_found_where_they_are() {
        let at = |servers: Value, key: &str, path: &str| {
            let document = json!({"servers": servers, "paths": {key: {"get": {}}}});
            described(&document, path, &[]).is_some()
        };
        assert!(at(json!([{"url": "https://x.example/api"}]), "/contacts", "/api/contacts/"));
        assert!(at(json!([{"url": "/api/"}]), "/contacts/", "api/contacts"));
        assert!(at(json!([{"url": "https://x.example/api"}]), "/api/contacts", "/api/contacts"));
        assert!(at(json!(null), "/contacts", "/contacts?all=1"));
        assert!(!at(json!([{"url": "/api"}]), "/contacts", "/v2/contacts"));
        assert!(!at(json!([]), "/contacts/{id}", "/contacts/"));
        assert!(!at(json!([]), "/contacts/{id}", "/contacts/7"));
    }

    #[test]
    fn where_nothing_is_made_records_may_be_changed() {
        let record = json!({"properties": {"a": {"type": "string"}, "b": {"type": "string"}}});
        let list = json!({"responses": {"2XX": {"content": {"application/hal+json": {"schema":
            {"properties": {"_embedded": {"properties": {"rows": {"items": record}}}}}}}}}});
        let with = |member: Value| {
            let document = json!({"paths": {"/r": {"get": list}, "/r/{id}": member}});
            let described = described(&document, "/r", &[]).unwrap();
            described.fields.iter().map(|field| field.in_form).collect::<Vec<_>>()
        };
        assert_eq!(with(json!({"delete": {}})), [false, false]);
        assert_eq!(with(json!({"patch": {}})), [true, true], "nothing is said of the body");
        let body = json!({"content": {"application/json": {"schema":
            {"properties": {"r": {"properties": {"b": {}}}}}}}});
        assert_eq!(with(json!({"patch": {"requestBody": body}})), [false, true]);
    }

    #[test]
    fn records_of_json_api_are_flat() {
        let resource = json!({"properties": {
            "id": {"type": "string"}, "type": {"type": "string"}, "relationships": {},
            "attributes": {"properties": {"title": {"type": "string"}}, "required": ["title"]},
        }});
        let with = |data: Value| {
            json!({"content": {"application/vnd.api+json": {"schema":
            {"properties": {"data": data, "jsonapi": {"type": "object"}}}}}})
        };
        let document = json!({"paths": {"/r": {
            "get": {"responses": {"200": with(json!({"type": "array", "items": resource}))}},
            "post": {"requestBody": {"content": {"application/vnd.api+json": {"schema":
                {"properties": {"data": resource}}}}}},
        }}});
        let described = described(&document, "/r", &[]).unwrap();
        assert_eq!(words(&described), [("title", "text")]);
        assert!(described.fields[0].rules.required);
    }

    #[test]
    fn types_are_told_apart() {
        let word = |schema: Value| one(schema).kind.word();
        assert_eq!(word(json!({"type": ["string", "null"], "format": "date"})), "date");
        assert_eq!(word(json!({"type": ["integer", "string"]})), "text");
        assert_eq!(word(json!({"anyOf": [{"type": "integer"}, {"type": "string"}]})), "text");
        assert_eq!(word(json!({"anyOf": [{"type": "string"}, {"type": "object"}]})), "json");
        assert_eq!(word(json!({"oneOf": [{"type": "null"}, {"type": "boolean"}]})), "boolean");
        assert_eq!(word(json!({"type": "boolean", "enum": [true]})), "boolean");
        assert_eq!(word(json!({"enum": [{"a": 1}]})), "json");
        assert_eq!(word(json!({"type": "string", "maxLength": 2000})), "long-text");
        assert_eq!(word(json!({"format": "email"})), "email");
        assert_eq!(word(json!({"type": "string", "format": "uuid"})), "text");
        assert_eq!(word(json!({"type": "string", "contentMediaType": "text/html"})), "html");
        let named = |name: &str| named(name, json!({"type": "string"})).kind.word();
        assert_eq!((named("description"), named("home_phone")), ("long-text", "phone"));
        assert!(!super::tests::named("password_again", json!({"type": "string"})).in_list);
    }

    #[test]
    fn alternatives_are_choices_with_titles() {
        let constants = json!({"oneOf": [
            {"const": "a", "title": "Amsterdam"}, {"const": "b"}, {"type": "null"}]});
        let only = one(json!({"const": "a", "title": "Kind"}));
        assert_eq!(labels(&only), [("a", "A")], "the title is the field's");
        let field = one(constants);
        assert_eq!(labels(&field), [("a", "Amsterdam"), ("b", "B")]);
        assert!(!field.rules.required);
        let kinds = json!({"oneOf": [{"properties": {"kind": {"const": "cat"}}},
                                     {"properties": {"kind": {"const": "dog"}}}]});
        let list = json!({"responses": {"200": {"schema": {"items": kinds}}}});
        let pets = described(&json!({"paths": {"/pets": {"get": list}}}), "/pets", &[]).unwrap();
        assert_eq!(labels(&pets.fields[0]), [("cat", "Cat"), ("dog", "Dog")]);
        let many: Vec<usize> = (0..=MOST_CHOICES).collect();
        assert_eq!(one(json!({"type": "integer", "enum": many})).kind.word(), "integer");
    }

    #[test]
    fn bounds_are_as_a_form_has_them() {
        let number = |kind: &str, said: Value| {
            let mut schema = said;
            schema["type"] = json!(kind);
            let field = one(schema);
            (field.rules.min.unwrap_or_default(), field.rules.max.unwrap_or_default())
        };
        let of = |min: &str, max: &str| (min.to_owned(), max.to_owned());
        let open = json!({"exclusiveMinimum": 0, "exclusiveMaximum": 2.5});
        assert_eq!(number("integer", open.clone()), of("1", "2"));
        assert_eq!(number("number", open), of("0", "2.5"));
        let old = json!({"minimum": -1.0, "exclusiveMinimum": true, "maximum": 1e3});
        assert_eq!(number("integer", old), of("0", "1000"));
        assert_eq!(number("integer", json!({"minimum": 1, "exclusiveMinimum": 5})), of("6", ""));
        assert_eq!(number("string", json!({"minimum": 1})), of("", ""));
    }

    #[test]
    fn help_is_one_sentence() {
        let help = |text: &str| one(json!({"description": text})).help;
        assert_eq!(help("Up to 3.5 m, e.g. a car.\nOr two.").unwrap(), "Up to 3.5 m, e.g. a car.");
        assert_eq!(help("* `a` - A"), None);
        assert_eq!(help(" \n\n x "), None, "says no more than the label");
        let long = help(&"many words ".repeat(40)).unwrap();
        assert!(long.ends_with("many…") && long.chars().count() <= SENTENCE, "{long}");
        assert_eq!(help(&"ä".repeat(500)).unwrap().chars().count(), SENTENCE);
    }

    #[test]
    fn orders_are_named_not_guessed() {
        let named = |text| named_in(text).join(" ");
        assert_eq!(named("Which field to use when ordering the results."), "");
        assert_eq!(named("`name` or `-age`, the default"), "name -age");
        assert_eq!(named("Fields: name, -age. More text: here"), "name -age");
        assert_eq!(named("Criteria in the format: property,(asc|desc). More."), "");
    }

    #[test]
    fn spring_has_its_parameters_in_an_object() {
        let pageable = json!({"properties": {
            "page": {"type": "integer"}, "size": {"type": "integer"},
            "sort": {"type": "array", "items": {"type": "string"}}}});
        let record =
            json!({"properties": {"sort": {"type": "string"}, "name": {"type": "string"}}});
        let document = json!({"paths": {"/r": {"get": {
            "parameters": [{"in": "query", "name": "pageable", "schema": pageable}],
            "responses": {"200": {"content": {"*/*": {"schema": {"properties": {
                "content": {"type": "array", "items": record},
                "sort": {"type": "array", "items": {"properties": {"property": {}}}},
            }}}}}},
        }}}});
        let described = described(&document, "/r", &[]).unwrap();
        assert_eq!(words(&described), [("name", "text"), ("sort", "text")]);
        assert_eq!(described.page_parameters, ["page", "size"]);
        assert!(described.sortable.is_empty() && described.filterable.is_empty());
    }

    #[test]
    fn patterns_are_kept_where_everybody_agrees() {
        let same = [
            "[0-9]{5}",
            r"[A-Z]{3}-\d+",
            "(a|b)",
            r"(?:[0-9a-f]{8}-){3}[0-9a-f]+",
            r"[^\s@]+@[^\s@]+\.[a-z]{2,}",
        ];
        for text in same {
            assert_eq!(pattern(&format!("^{text}$")).as_deref(), Some(text));
        }
        let rewritten = [
            (r"^[-a-z._-]+$", r"[\-a-z._\-]+"),
            (r"\A[a-z/]\Z", r"[a-z\/]"),
            (r"^\d{3}\-\d$", r"\d{3}-\d"),
            (r"^[()\-+]*$", r"[\(\)\-+]*"),
        ];
        for (text, expected) in rewritten {
            assert_eq!(pattern(text).as_deref(), Some(expected), "{text}");
        }
        let refused = [
            "abc",
            "^a|b$",
            "^(?=a)a$",
            "^(?!a)b$",
            "^(?i)a$",
            r"^(a)\1$",
            r"^\p{L}$",
            r"^\w+$",
            r"^a\$",
            "^[a-z&&[b]]$",
            "^[]a]$",
            "^(a$",
            "^a)$",
            "^[a$",
            r"^[\d-x]$",
            "^a{,3}$",
            "^a++$",
            "^$",
            "^",
            "$",
            "",
            "/^a$/",
        ];
        for text in refused {
            assert_eq!(pattern(text), None, "{text}");
        }
        assert_eq!(pattern(&format!("^{}$", "a".repeat(LONGEST_PATTERN + 1))), None);
    }

    #[test]
    fn circles_and_depths_come_to_an_end() {
        let list = |schema: Value, schemas: Value| {
            json!({"paths": {"/r": {"get": {"responses":
            {"200": {"content": {"application/json": {"schema": schema}}}}}}},
            "components": {"schemas": schemas}})
        };
        let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
        let a = reference("a");
        let hostile = [
            list(a.clone(), json!({"a": a})),
            list(a.clone(), json!({"a": reference("b"), "b": a})),
            list(a.clone(), json!({"a": {"allOf": [a, a], "oneOf": [a, a], "anyOf": [a, {}]}})),
            list(a.clone(), json!({"a": {"type": "array", "items": a}})),
            list(json!({"items": a}), json!({"a": {"properties": {"a": a, "b": {"items": a}}}})),
            list(a.clone(), json!({"a": {"properties": {"data": a, "results": a, "x": a}}})),
            list(json!({"$ref": "#"}), json!({})),
            list(json!({"$ref": "#/components/schemas/%zz"}), json!({})),
            list(json!({"$ref": "https://x.example/y.json#/a"}), json!({})),
        ];
        for document in &hostile {
            assert!(described(document, "/r", &[]).is_some());
        }
        // Each of these is twice what the next is.
        let doubled = |key: &str| {
            let layer = |at: usize| {
                let next = reference(&format!("s{}", at + 1));
                (format!("s{at}"), json!({key: [next.clone(), {"title": "x", key: [next]}]}))
            };
            list(
                json!({"items": {"properties": {"x": reference("s0")}}}),
                (0..64).map(layer).collect(),
            )
        };
        for key in ["allOf", "oneOf", "anyOf"] {
            assert_eq!(described(&doubled(key), "/r", &[]).unwrap().fields.len(), 1);
        }
        let mut deep = json!({"properties": {"x": {"type": "string"}}});
        for _ in 0..100 {
            deep = json!({"type": "array", "items": {"allOf": [deep]}});
        }
        assert!(described(&list(deep, json!({})), "/r", &[]).is_some());
    }

    #[test]
    fn what_is_large_is_cut() {
        let wide: Map<String, Value> = (0..5_000).map(|at| (format!("f{at}"), json!({}))).collect();
        let names: Vec<&String> = wide.keys().collect();
        let all = vec![json!({"$ref": "#/a"}); 5_000];
        let part = |at: usize| {
            let properties = json!({"f1": {}, "f2": {}});
            json!({"title": at, "properties": properties, "enum": [null, "", null]})
        };
        let parts: Vec<Value> = (0..5_000).map(part).collect();
        let schema = json!({"items": {"properties": wide, "required": names, "allOf": all}});
        let document = json!({"a": {"allOf": parts, "anyOf": all},
            "paths": {"/r": {"get": {"responses": {"200": {"schema": schema}}}}}});
        let started = std::time::Instant::now();
        assert_eq!(described(&document, "/r", &[]).unwrap().fields.len(), MOST_FIELDS);
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }

    /// All places in a value, as pointers.
    fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
        all.push(at.to_owned());
        let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
        match value {
            Value::Object(inner) => {
                inner
                    .iter()
                    .for_each(|(key, it)| pointers(it, &format!("{at}/{}", escaped(key)), all));
            }
            Value::Array(inner) => {
                inner
                    .iter()
                    .enumerate()
                    .for_each(|(key, it)| pointers(it, &format!("{at}/{key}"), all));
            }
            _ => {}
        }
    }

    #[test]
    fn anything_may_be_of_the_wrong_type() {
        let odd = [
            json!(null),
            json!(true),
            json!(-1),
            json!(1e308),
            json!(""),
            json!("null"),
            json!("\u{1f980} {[(\\"),
            json!([]),
            json!([[], {}, null, "x", 1]),
            json!({}),
            json!({"$ref": "#/paths"}),
            json!({"$ref": 1, "type": [], "enum": {}, "oneOf": [1, [2]], "properties": []}),
        ];
        let documents = [
            (spectacular(), "/api/contacts/"),
            (fastapi(), "/v1/items"),
            (swagger(), "/api/deals"),
        ];
        for (document, path) in documents {
            let mut places = Vec::new();
            pointers(&document, "", &mut places);
            for (place, odd) in
                places.iter().flat_map(|place| odd.iter().map(move |odd| (place, odd)))
            {
                let mut document = document.clone();
                *document.pointer_mut(place).unwrap() = odd.clone();
                described(&document, path, &[]);
            }
        }
    }
}
