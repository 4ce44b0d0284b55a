//! Values and rows of values as HTML. A list has hundreds of cells, which are written here and not
//! as views: those took a sixth of what a page of 50 rows costs.

use serde_json::Value;

use crate::{
    config::{FieldConfig, ResourceConfig},
    data::{
        changes::{Change, Deed},
        present::{self, Shown},
        resources::record_address,
    },
    ui::{
        html::{Html, escaped},
        reader::Reader,
    },
};

/// About how many bytes a cell takes.
const CELL: usize = 96;

/// Writes a value where it stands.
pub(super) fn write(html: &mut Html, shown: &Shown) {
    match shown {
        Shown::Nothing => {}
        Shown::Text(text) => _ = html.text(text),
        Shown::Lines(text) => {
            html.markup("<span class=\"lines\">").text(text).markup("</span>");
        }
        Shown::Link { text, href } => {
            html.markup("<a rel=\"noopener noreferrer\" href=\"").text(href).markup("\">");
            html.text(text).markup("</a>");
        }
        Shown::Pills(words) => {
            for (word, tone) in words {
                html.markup("<span class=\"pill\" data-tone=\"").markup(tone.word());
                html.markup("\">").text(word).markup("</span> ");
            }
        }
        Shown::Moment { text, iso } => {
            html.markup("<time datetime=\"").text(iso).markup("\">").text(text).markup("</time>");
        }
        Shown::Html(safe) => {
            _ = html.markup("<div class=\"markdown\">").safe(safe).markup("</div>")
        }
    }
}

/// A value as HTML of its own.
pub(super) fn written(shown: &Shown) -> String {
    let mut html = Html::default();
    write(&mut html, shown);
    html.finish()
}

/// The rows of a table.
pub(super) struct Rows<'a> {
    pub reader: &'a Reader,
    pub resource: &'a ResourceConfig,
    /// The address of the list.
    pub list: String,
    pub columns: Vec<Column<'a>>,
    /// What is still to be done to some of them.
    pub changes: &'a [Change],
    /// Whether there is a box to tick before each.
    pub can_be_chosen: bool,
}

/// A column, with what every cell of it begins with.
pub(super) struct Column<'a> {
    field: &'a FieldConfig,
    begins: String,
}

impl<'a> Column<'a> {
    pub(super) fn new(field: &'a FieldConfig) -> Self {
        let at_end = if field.kind.is_number() { " data-align=\"end\"" } else { "" };
        let begins = format!("<td data-label=\"{}\"{at_end}>", escaped(&field.label));
        Self { field, begins }
    }
}

impl Rows<'_> {
    /// A row for each of the records.
    pub(super) fn write(&self, records: &[Value]) -> String {
        let cells = self.columns.len() + usize::from(self.can_be_chosen);
        let mut html = Html::with_capacity(records.len() * cells * CELL);
        for record in records {
            self.row(&mut html, record);
        }
        html.finish()
    }

    /// A row that says what is still to be done to it.
    fn begins(&self, id: &str) -> &'static str {
        let change = self.changes.iter().find(|change| change.record == id);
        match change.map(|change| (&change.deed, change.is_under_way())) {
            None => "<tr>",
            Some((Deed::Delete, true)) => "<tr data-change=\"delete\">",
            Some((_, true)) => "<tr data-change=\"update\">",
            Some((_, false)) => "<tr data-change=\"problem\">",
        }
    }

    /// The first cell names the row and leads to the record.
    fn row(&self, html: &mut Html, record: &Value) {
        let id = present::id(self.resource, record);
        let (first, rest) = match self.columns.split_first() {
            Some((first, rest)) => (Some(first), rest),
            None => (None, self.columns.as_slice()),
        };
        let name = first.map(|column| present::shown(self.reader, column.field, record).text());
        let name = name.filter(|text| !text.is_empty()).unwrap_or_else(|| format!("#{id}"));
        html.markup(self.begins(&id));
        if self.can_be_chosen {
            html.markup("<td class=\"pick\"><input type=\"checkbox\" name=\"id\" value=\"");
            html.text(&id).markup("\" aria-label=\"Choose ").text(&name).markup("\"></td>");
        }
        html.markup("<th scope=\"row\"><a href=\"").text(&record_address(&self.list, &id));
        html.markup("\">").text(&name).markup("</a></th>");
        for column in rest {
            html.safe(&column.begins);
            write(html, &present::shown(self.reader, column.field, record));
            html.markup("</td>");
        }
        html.markup("</tr>");
    }
}
