//! What crosses the network between a console and its server.

use serde::{Deserialize, Serialize};

/// What part of a list is wanted. Every field is in the page's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    /// Words to search for; empty for all.
    pub q: String,
    /// A field name, with `-` before it for descending; empty for the backend's own order.
    pub sort: String,
    /// The page, from 1.
    pub page: u64,
    /// Rows on a page.
    pub page_size: u64,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self { q: String::new(), sort: String::new(), page: 1, page_size: 25 }
    }
}

/// One page of a list, ready to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordList {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Row>,
    /// How many records match, on all pages.
    pub total: u64,
}

/// A column of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The field.
    pub name: String,
    /// What people call it.
    pub label: String,
    /// Whether the list can be ordered by it.
    pub sortable: bool,
    /// Whether its values line up at the end, as numbers do.
    pub at_end: bool,
}

/// A row of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The record's id.
    pub id: String,
    /// A value for each column.
    pub cells: Vec<Shown>,
}

/// A record, ready to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What to call it.
    pub title: String,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// What people call it.
    pub label: String,
    /// Its value.
    pub value: Shown,
    /// Whether it needs the width of the page.
    pub wide: bool,
}

/// A value as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "snake_case")]
pub enum Shown {
    /// Plain text; empty where there is no value.
    Text {
        /// The text.
        text: String,
    },
    /// A link.
    Link {
        /// The text.
        text: String,
        /// Where it leads.
        href: String,
    },
    /// A word from a small set.
    Pill {
        /// The word.
        text: String,
        /// Whether it is good news.
        good: bool,
    },
}

impl Shown {
    /// Its text.
    pub fn text(&self) -> &str {
        match self {
            Self::Text { text } | Self::Link { text, .. } | Self::Pill { text, .. } => text,
        }
    }
}
