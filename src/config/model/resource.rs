//! What is known of the data that is listed and edited: collections, their fields, and how their
//! backend wants to be asked.

use std::{collections::BTreeMap, sync::Arc};

use axum::http::HeaderName;

/// `[groups.<group>]`: how a group of resources is shown.
#[derive(Debug, Clone)]
pub struct GroupConfig {
    /// `title`
    pub title: String,
}

/// `[resources.<group>.<name>]`: a collection on a backend.
#[derive(Debug, Clone)]
pub struct ResourceConfig {
    /// First path segment: `/data/<group>/…`.
    pub group: String,
    /// Second path segment: `/data/<group>/<name>`.
    pub name: String,
    /// `backend`: a name of `[backends]`.
    pub backend: String,
    /// `path` on the backend; a slash at its end is kept behind ids too.
    pub path: String,
    /// `title`. Default the name with a capital.
    pub title: String,
    /// `icon` beside the title. Default `rows`.
    pub icon: &'static str,
    /// `singular`: what one record is called. Default the title without its ending.
    pub singular: String,
    /// `actions`: what may be done with it. Default all.
    pub actions: Vec<Action>,
    /// `actions` that are tables: what else the backend can be asked to do with a record.
    pub operations: Vec<OperationConfig>,
    /// `roles`: who may do it; an action that is not named is open to whoever is signed in.
    pub roles: BTreeMap<Action, Vec<String>>,
    /// `style`: how the backend pages, sorts and searches. Default `drf`.
    pub style: StyleConfig,
    /// `id`: the field that names a record. Default `id`.
    pub id: String,
    /// `fields`, in the order shown; none to have them worked out from the backend.
    pub fields: Arc<[FieldConfig]>,
    /// `summary`: what is added up and drawn. Default what a list that is only read offers by itself.
    pub summary: Option<SummaryConfig>,
}

impl ResourceConfig {
    /// What its records are called within a sentence.
    pub fn things(&self) -> String {
        in_sentence(&self.title)
    }

    /// The custom action of this name.
    pub fn operation(&self, name: &str) -> Option<&OperationConfig> {
        self.operations.iter().find(|operation| operation.name == name)
    }
}

/// A title as it stands within a sentence: `Deals` becomes `deals`, and `API keys` stays.
pub fn in_sentence(title: &str) -> String {
    let mut letters = title.chars();
    match (letters.next(), title.chars().nth(1)) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => title.to_owned(),
    }
}

/// One of a resource's `actions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// GET of the list.
    List,
    /// GET of one record.
    Read,
    /// POST to the list.
    Create,
    /// PUT and PATCH of one record.
    Update,
    /// DELETE of one record.
    Delete,
}

/// `summary` of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryConfig {
    /// `tiles`
    pub tiles: Vec<TileConfig>,
    /// `charts`
    pub charts: Vec<ChartConfig>,
}

/// One number of a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileConfig {
    /// `field`: a field of numbers.
    pub field: String,
    /// `of`. Default `sum`.
    pub of: Aggregate,
    /// `label`. Default the field's.
    pub label: Option<String>,
}

/// One chart of a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartConfig {
    /// `x`: the field that records are put together by.
    pub x: String,
    /// `kind`. Default `bars`.
    pub kind: ChartKind,
    /// `y`: fields of numbers.
    pub y: Vec<String>,
    /// `of`. Default `sum`.
    pub of: Aggregate,
    /// `title`. Default the fields' labels.
    pub title: Option<String>,
}

/// `kind` of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChartKind {
    /// Columns.
    Bars,
    /// Lines, for what goes on in time.
    Lines,
    /// Bars beside their names, the longest first.
    Shares,
}

/// `of`: how several numbers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// All of them together.
    Sum,
    /// Their mean.
    Average,
    /// The least.
    Least,
    /// The greatest.
    Most,
    /// How many there are.
    Count,
    /// The last, in the order of the list.
    Last,
}

/// One table of a resource's `actions`: a POST that the backend takes below a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationConfig {
    /// `name`: names it, in `roles` too.
    pub name: String,
    /// `label`: what its button says. Default the name in words.
    pub label: String,
    /// `path` below the record's. Default the name.
    pub path: String,
    /// Who may do it; whoever is signed in where nobody is named.
    pub roles: Option<Vec<String>>,
}

/// One entry of a resource's `fields`: a name, or a table.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldConfig {
    /// `name`: the key in the record; dots reach into objects.
    pub name: String,
    /// `label`. Default the name in words.
    pub label: String,
    /// `type`, with what belongs to it. Default `text`.
    pub kind: FieldKind,
    /// `help`: a sentence below the field.
    pub help: Option<String>,
    /// `list`: a column of the list. Default true, except for what takes much room.
    pub in_list: bool,
    /// `detail`: shown on the record's page. Default true.
    pub in_detail: bool,
    /// `form`: can be filled in. Default true, unless it is read-only or in an object.
    pub in_form: bool,
    /// `sortable`: the list can be ordered by it. Default false.
    pub sortable: bool,
    /// `filterable`: the list can be narrowed by it. Default false.
    pub filterable: bool,
    /// `total`: its column is added up. Default false.
    pub total: bool,
    /// What a value must be like.
    pub rules: Rules,
    /// `default`: what a new record's form begins with.
    pub default: Option<String>,
}

/// What a value must be like, beside its type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// `required`
    pub required: bool,
    /// `min`: the least number, or the first day.
    pub min: Option<String>,
    /// `max`: the greatest number, or the last day.
    pub max: Option<String>,
    /// `min_length`, in characters.
    pub min_length: Option<usize>,
    /// `max_length`, in characters.
    pub max_length: Option<usize>,
    /// `pattern`: a regular expression for the whole value.
    pub pattern: Option<String>,
    /// `hint`: what the pattern wants, in words.
    pub hint: Option<String>,
}

/// `type` of a field: how its value is shown and entered.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldKind {
    /// One line.
    Text,
    /// Any number of lines.
    LongText,
    /// Lines that are shown as Markdown.
    Markdown,
    /// Lines that are shown as HTML, cleaned.
    Html,
    /// A whole number.
    Integer,
    /// Any number.
    Decimal,
    /// An amount; `currency` is its ISO 4217 code, where it is always the same.
    Money {
        /// `currency`
        currency: Option<String>,
    },
    /// A number that is shown with `%`.
    Percent,
    /// Yes or no.
    Boolean,
    /// `2026-06-17`
    Date,
    /// `2026-06-17T09:30:00Z`
    DateTime,
    /// An address for mail.
    Email,
    /// An address of the web.
    Url,
    /// A number to call.
    Phone,
    /// One of `choices`.
    Choice(Vec<Choice>),
    /// Several of `choices`.
    MultiChoice(Vec<Choice>),
    /// A record of another resource.
    Relation(Relation),
    /// A file; what is read is its address.
    File(FileRule),
    /// A file that is shown as a picture.
    Image(FileRule),
    /// Anything.
    Json,
}

impl FieldKind {
    /// The choices of a field that has some.
    pub fn choices(&self) -> &[Choice] {
        match self {
            Self::Choice(choices) | Self::MultiChoice(choices) => choices,
            _ => &[],
        }
    }

    /// Whether its values are numbers.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Integer | Self::Decimal | Self::Money { .. } | Self::Percent)
    }

    /// Whether its values are days or moments.
    pub fn is_time(&self) -> bool {
        matches!(self, Self::Date | Self::DateTime)
    }

    /// Whether it takes the width of a page.
    pub fn is_wide(&self) -> bool {
        matches!(self, Self::LongText | Self::Markdown | Self::Html | Self::Json)
    }

    /// Whether its values are text that anybody can make up.
    pub fn is_text(&self) -> bool {
        matches!(
            self,
            Self::Text
                | Self::LongText
                | Self::Markdown
                | Self::Html
                | Self::Email
                | Self::Url
                | Self::Phone
        )
    }

    /// Whether its values are files.
    pub fn is_file(&self) -> bool {
        matches!(self, Self::File(_) | Self::Image(_))
    }
}

/// One of a field's `choices`: a value, or `{ value, label, tone }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// `value`, as the backend writes it.
    pub value: String,
    /// `label`. Default the value in words.
    pub label: String,
    /// `tone`. Default plain.
    pub tone: Tone,
}

/// `tone` of a choice: what colour says besides the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    Plain,
    /// Something that is as it should be.
    Good,
    /// Something to look at.
    Warning,
    /// Something that is wrong.
    Bad,
}

/// `resource`, `value` and `show` of a relation: which record of which resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The group of `resource = "<group>.<name>"`.
    pub group: String,
    /// The name of `resource = "<group>.<name>"`.
    pub name: String,
    /// `value`: the other record's field that is kept here. Default its id.
    pub value: Option<String>,
    /// `show`: the field of *this* record that holds what to call the other one, where the backend
    /// sends it along. Default none: it is looked up.
    pub show: Option<String>,
}

/// `accept` and `max_size` of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileRule {
    /// `accept`: types such as `image/*`. Default any.
    pub accept: Vec<String>,
    /// `max_size` in bytes. Default what the backend takes.
    pub max_size: Option<u64>,
}

/// `style` of a resource: how its backend is asked for a list, and answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StyleConfig {
    /// The name of a style that is known, or none for one that the file describes.
    pub name: Option<&'static str>,
    /// `items`: where the records are in the answer. Default: the answer is the list.
    pub items: Option<String>,
    /// Where the number of all records stands.
    pub total: Total,
    /// `next`: where something stands in the answer if there is another page. Default nowhere.
    pub next: Option<String>,
    /// How the list is cut into pages.
    pub paging: Paging,
    /// How an order is asked for; none where it cannot be.
    pub sorting: Option<Sorting>,
    /// `search`: the parameter that takes words; none where there is no search.
    pub search: Option<String>,
    /// `filter`
    pub filters: FilterForm,
    /// `record`
    pub records: RecordForm,
    /// `update`
    pub update: UpdateMethod,
    /// `always`: parameters that every list is asked with.
    pub always: Vec<(String, String)>,
}

impl StyleConfig {
    /// The most records of a page.
    pub fn largest(&self) -> u64 {
        match self.paging {
            Paging::Numbers { largest, .. } | Paging::Offsets { largest, .. } => largest,
            Paging::Whole => u64::MAX,
        }
    }
}

/// `total` of a style: where the number of all records stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Total {
    /// In the answer, under this path.
    At(String),
    /// In this header.
    In(HeaderName),
    /// Nowhere.
    Unknown,
}

/// How a list is cut into pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paging {
    /// By number: `page` and `size` name the parameters; the first page is `first`.
    Numbers {
        /// `page`
        page: String,
        /// `size`
        size: String,
        /// `first`. Default 1.
        first: u64,
        /// `largest`: the most records a page may have.
        largest: u64,
    },
    /// By the number of records before: `offset` and `limit` name the parameters.
    Offsets {
        /// `offset`
        offset: String,
        /// `limit`
        limit: String,
        /// `largest`: the most records a page may have.
        largest: u64,
    },
    /// Not at all: the whole list is read, then sorted, searched, filtered and paged here.
    Whole,
}

/// How an order is asked for: `sort` names the parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sorting {
    /// `sort`
    pub param: String,
    /// `order`: the parameter that takes `asc` or `desc`. Default none: a `-` before the field.
    pub order: Option<String>,
}

/// `filter` of a style: how a list is narrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterForm {
    /// `field=`, `field__gte=`, `field__lte=`, `field__in=`, `field__icontains=`: Django.
    Django,
    /// `field=`, `field_gte=`, `field_lte=`, `field_like=`: json-server up to 0.17.
    Underscore,
    /// `_where={"field":{"gte":…}}`: json-server from 1.0. Words are searched for with it too.
    Where,
    /// `filter[field][condition][…]`: Drupal's JSON:API.
    JsonApi,
    /// `field=` alone.
    Exact,
    /// Not at all.
    None,
}

/// `record` of a style: what one record looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordForm {
    /// An object of its fields.
    Flat,
    /// `{id, type, attributes, relationships}` (JSON:API).
    JsonApi,
}

/// `update` of a style: the method that changes a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateMethod {
    /// PATCH with what has changed.
    Patch,
    /// PUT with the whole record.
    Put,
}
