//! Reads a list's query string into a [`ListQuery`], and writes a [`Selection`] back as one.
//!
//! Names that the schema does not know are passed over, as Django REST framework does; values that
//! do not fit their field are refused.

use serde_json::Value;

use super::{
    schema::{Collection, Field, Kind},
    text::fold,
    validate::{FieldErrors, parse},
};

const DEFAULT_PAGE_SIZE: u32 = 25;
const MAX_PAGE_SIZE: u32 = 200;

/// A query string's names and values, decoded, in their order.
pub(crate) type Pairs = Vec<(String, String)>;

/// Which rows of a collection, in which order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Selection {
    /// All of these hold.
    pub(crate) filters: Vec<Filter>,
    /// Each of these words is somewhere in the row's text.
    pub(crate) terms: Vec<String>,
    /// Most important first; the id breaks ties.
    pub(crate) ordering: Vec<Order>,
}

/// One condition on one field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filter {
    pub(crate) field: &'static Field,
    pub(crate) test: Test,
}

/// What a field's value is held against.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    /// `field=`
    Is(Operand),
    /// `field__in=a,b`
    OneOf(Vec<Operand>),
    /// `field__gte=`
    AtLeast(Operand),
    /// `field__lte=`
    AtMost(Operand),
    /// `field__gt=`
    Above(Operand),
    /// `field__lt=`
    Below(Operand),
    /// `field__icontains=`
    Contains(String),
}

/// A value as SQLite compares it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    Text(String),
    Number(f64),
}

/// One sort key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) field: &'static Field,
    pub(crate) descending: bool,
}

/// Which page a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Number(u32),
    Last,
    /// Not a page at all.
    Invalid,
}

/// One list request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ListQuery {
    pub(crate) selection: Selection,
    pub(crate) page: Page,
    pub(crate) page_size: u32,
}

impl ListQuery {
    /// What the query string asks of this collection.
    pub(crate) fn read(
        collection: &Collection,
        pairs: &[(String, String)],
    ) -> Result<Self, FieldErrors> {
        let mut query = Self {
            selection: Selection::default(),
            page: Page::Number(1),
            page_size: DEFAULT_PAGE_SIZE,
        };
        let mut errors = FieldErrors::new();
        for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            match name.as_str() {
                "page" => query.page = Page::read(value),
                "page_size" => query.page_size = read_page_size(value),
                "ordering" => query.selection.ordering = read_ordering(collection, value),
                "search" => query.selection.terms = read_terms(value),
                name => match Filter::read(collection, name, value) {
                    Some(Ok(filter)) => query.selection.filters.push(filter),
                    Some(Err(sentence)) => _ = errors.insert(name.to_owned(), vec![sentence]),
                    None => {}
                },
            }
        }
        query.selection = query.selection.in_order(collection);
        if errors.is_empty() { Ok(query) } else { Err(errors) }
    }
}

impl Page {
    fn read(text: &str) -> Self {
        match text.trim().parse() {
            Ok(number @ 1..) => Self::Number(number),
            _ if text == "last" => Self::Last,
            _ => Self::Invalid,
        }
    }

    /// The number of this page among `pages`, or nothing if there is no such page.
    pub(crate) fn among(self, pages: u32) -> Option<u32> {
        match self {
            Self::Number(number) => Some(number).filter(|number| *number <= pages),
            Self::Last => Some(pages),
            Self::Invalid => None,
        }
    }
}

fn read_page_size(text: &str) -> u32 {
    match text.trim().parse() {
        Ok(size @ 1..) => MAX_PAGE_SIZE.min(size),
        _ => DEFAULT_PAGE_SIZE,
    }
}

/// The words of a search, in the form rows are searched by.
pub(crate) fn read_terms(text: &str) -> Vec<String> {
    fold(text).split_whitespace().map(str::to_owned).collect()
}

fn read_ordering(collection: &Collection, text: &str) -> Vec<Order> {
    text.split(',').filter_map(|key| Order::read(collection, key.trim())).collect()
}

impl Order {
    fn read(collection: &Collection, key: &str) -> Option<Self> {
        let (name, descending) = match key.strip_prefix('-') {
            Some(name) => (name, true),
            None => (key, false),
        };
        let field = collection.field(name).filter(|field| field.kind != Kind::Json)?;
        Some(Self { field, descending })
    }

    fn write(&self) -> String {
        format!("{}{}", if self.descending { "-" } else { "" }, self.field.name)
    }
}

impl Filter {
    fn read(collection: &Collection, name: &str, text: &str) -> Option<Result<Self, String>> {
        let (name, lookup) = name.split_once("__").unwrap_or((name, "exact"));
        let field = collection.field(name).filter(|field| field.kind != Kind::Json)?;
        let test = Test::read(field, lookup, text)?;
        Some(test.map(|test| Self { field, test }))
    }

    fn write(&self) -> (String, String) {
        let name = self.field.name;
        match &self.test {
            Test::Is(value) => (name.to_owned(), value.to_string()),
            Test::OneOf(values) => {
                let values: Vec<_> = values.iter().map(Operand::to_string).collect();
                (format!("{name}__in"), values.join(","))
            }
            Test::AtLeast(value) => (format!("{name}__gte"), value.to_string()),
            Test::AtMost(value) => (format!("{name}__lte"), value.to_string()),
            Test::Above(value) => (format!("{name}__gt"), value.to_string()),
            Test::Below(value) => (format!("{name}__lt"), value.to_string()),
            Test::Contains(text) => (format!("{name}__icontains"), text.clone()),
        }
    }
}

impl Test {
    /// Nothing for a lookup that does not exist.
    fn read(field: &Field, lookup: &str, text: &str) -> Option<Result<Self, String>> {
        let operand = |wrap: fn(Operand) -> Self| Operand::read(field, text).map(wrap);
        Some(match lookup {
            "exact" => operand(Self::Is),
            "gte" => operand(Self::AtLeast),
            "lte" => operand(Self::AtMost),
            "gt" => operand(Self::Above),
            "lt" => operand(Self::Below),
            "icontains" => Ok(Self::Contains(text.to_owned())),
            "in" => {
                let operands = text.split(',').map(|part| Operand::read(field, part.trim()));
                operands.collect::<Result<_, _>>().map(Self::OneOf)
            }
            _ => return None,
        })
    }
}

impl Operand {
    fn read(field: &Field, text: &str) -> Result<Self, String> {
        if field.kind.is_free_text() {
            return Ok(Self::Text(text.to_owned()));
        }
        // Free of the range rules of a stored value: `amount__gt=-1` is a fair question.
        let kind = if field.kind.is_number() { Kind::Decimal } else { field.kind };
        match parse(kind, &Value::from(text)) {
            Ok(Value::Bool(yes)) => Ok(Self::Number(f64::from(u8::from(yes)))),
            Ok(Value::Number(number)) => Ok(Self::Number(number.as_f64().unwrap_or_default())),
            Ok(Value::String(text)) => Ok(Self::Text(text)),
            Ok(other) => Ok(Self::Text(other.to_string())),
            Err(sentence) => Err(sentence.into_owned()),
        }
    }
}

impl std::fmt::Display for Operand {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => out.write_str(text),
            Self::Number(number) => write!(out, "{number}"),
        }
    }
}

impl Selection {
    /// The same rows, in the collection's own order if none was asked for.
    pub(crate) fn in_order(mut self, collection: &Collection) -> Self {
        if self.ordering.is_empty() {
            self.ordering = read_ordering(collection, collection.ordering);
        }
        self
    }

    /// The pairs that ask for these rows; [`ListQuery::read`] understands them.
    pub(crate) fn to_pairs(&self) -> Pairs {
        let mut pairs: Pairs = self.filters.iter().map(Filter::write).collect();
        if !self.terms.is_empty() {
            pairs.push(("search".to_owned(), self.terms.join(" ")));
        }
        let ordering: Vec<_> = self.ordering.iter().map(Order::write).collect();
        if !ordering.is_empty() {
            pairs.push(("ordering".to_owned(), ordering.join(",")));
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Pairs {
        url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
    }

    fn read(text: &str) -> Result<ListQuery, FieldErrors> {
        let deals = Collection::find("django-crm", "deals").unwrap();
        ListQuery::read(deals, &pairs(text))
    }

    #[test]
    fn names_the_schema_does_not_know_are_passed_over() {
        let plain = read("").unwrap();
        for odd in [
            "ordering=amount;drop table records",
            "ordering=-(select 1),--",
            "amount'--=1",
            "amount__regex=.",
            "amount__gt__lt=1",
            "1%3D1=1",
            "colour=red",
            "stage=",
        ] {
            assert_eq!(read(odd).unwrap(), plain, "{odd}");
        }
    }

    #[test]
    fn values_must_fit_their_field() {
        let errors = read("amount__gte=lots&stage=Boss&close_date__lt=2026-13-01").unwrap_err();
        assert_eq!(errors["amount__gte"], ["A valid number is required."]);
        assert_eq!(errors["stage"], ["\"Boss\" is not a valid choice."]);
        assert!(errors.contains_key("close_date__lt"));
    }

    #[test]
    fn page_sizes_have_a_limit() {
        assert_eq!(read("page_size=9999").unwrap().page_size, 200);
        assert_eq!(read("page_size=0").unwrap().page_size, 25);
        assert_eq!(read("page=0").unwrap().page, Page::Invalid);
        assert_eq!(read("page=last").unwrap().page, Page::Last);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let asked = "amount__gt=10000&stage__in=Lead%2CProposal&company__icontains=umbra\
                     &search=dock+sensors&ordering=-amount%2Cname";
        let selection = read(asked).unwrap().selection;
        assert_eq!(selection.to_pairs(), pairs(asked));
    }
}
