//! What part of a list is wanted: all of it stands in the page's address.

use std::mem::discriminant;

use url::form_urlencoded;

use crate::config::FieldConfig;

/// Rows on a page, where nobody says how many.
pub const USUAL_SIZE: u64 = 25;
/// What people can choose from.
pub const PAGE_SIZES: [u64; 4] = [25, 50, 100, 200];
/// Before the name of a field that the list is narrowed by.
pub const FILTER: &str = "f.";

/// What part of a list is wanted, and how it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// Words to search for; empty for all.
    pub q: String,
    /// The order; none for the backend's own.
    pub sort: Option<Sort>,
    /// All of these hold.
    pub filters: Vec<Filter>,
    /// The page, from 1.
    pub page: u64,
    /// Where a page behind the first begins, for a backend that does not count them.
    pub cursor: Option<String>,
    /// Rows on a page.
    pub page_size: u64,
    /// The columns; none for the usual ones.
    pub columns: Option<Vec<String>>,
    /// Whether rows stand close together.
    pub is_dense: bool,
}

/// By which field, and which way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// The field's name.
    pub field: String,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// One condition on one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The field's name.
    pub field: String,
    /// What holds of it.
    pub test: Test,
}

/// What holds of a field. Values are as forms write them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// It is one of these.
    OneOf(Vec<String>),
    /// It is at least this.
    From(String),
    /// It is at most this; a day counts to its end.
    To(String),
    /// This text is in it.
    Has(String),
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            q: String::new(),
            sort: None,
            filters: Vec::new(),
            page: 1,
            cursor: None,
            page_size: USUAL_SIZE,
            columns: None,
            is_dense: false,
        }
    }
}

impl ListQuery {
    /// What the raw query of an address asks for. Names of fields are held against `fields`; what is
    /// not understood is passed over.
    pub fn read(query: &str, fields: &[FieldConfig]) -> Self {
        let mut read = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.trim();
            match &*name {
                _ if value.is_empty() => {}
                "q" => read.q = value.to_owned(),
                "sort" => read.sort = Sort::read(value),
                "page" => read.page = number(value, 1),
                "cursor" => read.cursor = Some(value.to_owned()),
                "page_size" => read.page_size = number(value, USUAL_SIZE),
                "columns" => read.add_columns(value),
                "density" => read.is_dense = value == "compact",
                name => {
                    if let Some(name) = name.strip_prefix(FILTER) {
                        read.narrow(name, value, fields);
                    }
                }
            }
        }
        read
    }

    /// The query of an address that asks for this; what is usual is left out. Empty for everything
    /// as usual.
    pub fn write(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        pairs.extend_pairs(self.pairs());
        pairs.finish()
    }

    /// The same as names and values.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        if !self.q.is_empty() {
            pairs.push(("q".to_owned(), self.q.clone()));
        }
        for filter in &self.filters {
            pairs.extend(filter.pairs());
        }
        if let Some(sort) = &self.sort {
            pairs.push(("sort".to_owned(), sort.write()));
        }
        if let Some(columns) = &self.columns {
            pairs.push(("columns".to_owned(), columns.join(",")));
        }
        if self.is_dense {
            pairs.push(("density".to_owned(), "compact".to_owned()));
        }
        if self.page_size != USUAL_SIZE {
            pairs.push(("page_size".to_owned(), self.page_size.to_string()));
        }
        if self.page != 1 {
            pairs.push(("page".to_owned(), self.page.to_string()));
            pairs.extend(self.cursor.clone().map(|cursor| ("cursor".to_owned(), cursor)));
        }
        pairs
    }

    /// The same without filters that a list cannot be asked for.
    pub fn without(mut self, cannot: impl Fn(&Filter) -> bool) -> Self {
        self.filters.retain(|filter| !cannot(filter));
        self
    }

    /// Whether it asks for less than everything.
    pub fn is_narrowed(&self) -> bool {
        !self.q.is_empty() || !self.filters.is_empty()
    }

    fn add_columns(&mut self, names: &str) {
        let columns = self.columns.get_or_insert_default();
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        for name in names {
            if !columns.iter().any(|known| known == name) {
                columns.push(name.to_owned());
            }
        }
    }

    /// Takes up one condition. Several values of one field are alternatives.
    fn narrow(&mut self, name: &str, value: &str, fields: &[FieldConfig]) {
        let is_field =
            |name: &str| fields.iter().any(|field| field.filterable && field.name == name);
        let value = value.to_owned();
        if is_field(name) {
            let known = self.filters.iter_mut().find_map(|filter| match &mut filter.test {
                Test::OneOf(values) if filter.field == name => Some(values),
                _ => None,
            });
            match known {
                Some(values) if values.contains(&value) => {}
                Some(values) => values.push(value),
                None => self.add(name, Test::OneOf(vec![value])),
            }
            return;
        }
        match name.rsplit_once('.') {
            Some((name, "from")) if is_field(name) => self.add(name, Test::From(value)),
            Some((name, "to")) if is_field(name) => self.add(name, Test::To(value)),
            Some((name, "has")) if is_field(name) => self.add(name, Test::Has(value)),
            _ => {}
        }
    }

    /// Adds a condition; of bounds of one field the first counts.
    fn add(&mut self, field: &str, test: Test) {
        let is_same = |filter: &Filter| {
            filter.field == field && discriminant(&filter.test) == discriminant(&test)
        };
        if self.filters.iter().any(is_same) {
            return;
        }
        self.filters.push(Filter { field: field.to_owned(), test });
    }
}

impl Sort {
    /// `name`, or `-name` for the greatest first.
    pub fn read(text: &str) -> Option<Self> {
        let (field, descending) = match text.strip_prefix('-') {
            Some(field) => (field, true),
            None => (text, false),
        };
        (!field.is_empty()).then(|| Self { field: field.to_owned(), descending })
    }

    /// The way back from [`Sort::read`].
    pub fn write(&self) -> String {
        format!("{}{}", if self.descending { "-" } else { "" }, self.field)
    }
}

impl Filter {
    /// The names and values that stand for it in an address.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let name = &self.field;
        match &self.test {
            Test::OneOf(values) => {
                values.iter().map(|value| (format!("{FILTER}{name}"), value.clone())).collect()
            }
            Test::From(value) => vec![(format!("{FILTER}{name}.from"), value.clone())],
            Test::To(value) => vec![(format!("{FILTER}{name}.to"), value.clone())],
            Test::Has(value) => vec![(format!("{FILTER}{name}.has"), value.clone())],
        }
    }
}

fn number(text: &str, usual: u64) -> u64 {
    text.parse().ok().filter(|number| *number > 0).unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FieldKind;

    fn fields() -> Vec<FieldConfig> {
        let field = |name, filterable| FieldConfig {
            filterable,
            ..FieldConfig::new(name, FieldKind::Text)
        };
        vec![
            field("status", true),
            field("company.to", true),
            field("amount", true),
            field("x", false),
        ]
    }

    #[test]
    fn an_address_is_read_and_written_back() {
        let address = "q=a+b&f.status=Lead&f.status=Won&f.amount.from=10&f.amount.to=20\
                       &f.company.to.has=glo&sort=-name&columns=name%2Camount&density=compact\
                       &page_size=50&page=2&cursor=cD0x";
        let query = ListQuery::read(address, &fields());
        assert_eq!(ListQuery { page: 1, ..query.clone() }.pairs().len() + 2, query.pairs().len());
        assert_eq!(query.filters.len(), 4);
        assert_eq!(query.filters[0].test, Test::OneOf(vec!["Lead".into(), "Won".into()]));
        assert_eq!(query.filters[3].field, "company.to");
        assert_eq!(query.write(), address);
        assert_eq!(ListQuery::default().write(), "");
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let odd = "f.x=1&f.nope=2&f.status.odd=3&f.=4&page=0&page_size=-1&sort=-&q=+&status=Lead";
        assert_eq!(ListQuery::read(odd, &fields()), ListQuery::default());
    }

    #[test]
    fn of_one_bound_there_is_one() {
        let query = ListQuery::read("f.amount.from=1&f.amount.from=2&f.amount.to=3", &fields());
        assert_eq!(query.write(), "f.amount.from=1&f.amount.to=3");
    }

    #[test]
    fn columns_come_as_a_list_or_one_by_one() {
        let one_by_one = ListQuery::read("columns=a&columns=b&columns=a", &[]);
        assert_eq!(one_by_one, ListQuery::read("columns=a,b", &[]));
    }
}
