//! Lists as CSV (RFC 4180), page after page as the backend gives them.

use std::collections::HashSet;

use bytes::Bytes;
use futures::{Stream, TryStreamExt, stream};
use serde_json::Value;

use super::{
    Data,
    changes::Change,
    present,
    query::ListQuery,
    service::{Listing, Resource, is_past_the_end},
    style::lookup,
    value::plain,
};
use crate::{
    config::{FieldConfig, FieldKind},
    error::{Error, Result},
    session::Caller,
    ui::zone::Zone,
};

/// What tells spreadsheets that the text is UTF-8.
const MARK: &str = "\u{feff}";
/// How spreadsheets know a formula by its first letter.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];
/// What keeps them from it.
const NO_FORMULA: char = '\'';

/// Reads a whole list for a caller, and writes it.
pub struct Export {
    data: Data,
    caller: Caller,
    resource: Resource,
    query: ListQuery,
    zone: Zone,
}

impl Export {
    /// Everything that `query` asks for, on however many pages; all fields, where it names none.
    pub fn new(
        data: Data,
        caller: Caller,
        resource: Resource,
        query: ListQuery,
        zone: Zone,
    ) -> Self {
        let all = || resource.fields.iter().map(|field| field.name.clone()).collect();
        let mut names: Vec<String> = query.columns.clone().unwrap_or_else(all);
        names.retain(|name| resource.field(name).is_some());
        let page_size = resource.config.style.largest();
        let query = ListQuery { columns: Some(names), page: 1, page_size, ..query };
        // Answers that come once are not worth keeping for an outage.
        Self { data: data.without_memory(), caller, resource, query, zone }
    }

    /// The lines, a page of the backend's at a time. The first page is read before this returns, so
    /// that what goes wrong with it is told as such; what goes wrong later breaks the stream off.
    pub async fn lines(self) -> Result<impl Stream<Item = Result<Bytes>> + Send + use<>> {
        let first = self.page(&self.query).await?;
        let mut text = MARK.as_bytes().to_vec();
        text.extend(self.head()?);
        text.extend(self.rows(&first)?);
        let next = first.query_after(&self.query);
        let before = first.begins(&self.resource.config);
        let rest = stream::try_unfold((self, next, before), |(this, next, before)| async move {
            let Some(query) = next else { return Ok(None) };
            let list = this.page(&query).await?;
            let begins = list.begins(&this.resource.config);
            if begins == before {
                return Ok(None);
            }
            let text = Bytes::from(this.rows(&list)?);
            let next = list.query_after(&query);
            Ok::<_, Error>(Some((text, (this, next, begins))))
        });
        let first = stream::once(async move { Ok(Bytes::from(text)) });
        Ok(futures::StreamExt::chain(first, rest).into_stream())
    }

    /// The ids and titles of all that is listed and has an id, each once, up to `most` and a page more;
    /// and how many there are, where the backend says.
    pub async fn names(self, most: usize) -> Result<(Vec<(String, String)>, Option<u64>)> {
        let (mut names, mut known) = (Vec::new(), HashSet::new());
        let (mut next, mut total) = (Some(self.query.clone()), None);
        while let Some(query) = next.filter(|_| names.len() <= most) {
            let list = self.page(&query).await?;
            let before = names.len();
            for row in &list.rows {
                let id = present::id(&self.resource.config, row);
                if !id.is_empty() && known.insert(id.clone()) {
                    let title = present::plain_title(&self.resource.fields, row);
                    names.push((id.clone(), title.unwrap_or_else(|| format!("#{id}"))));
                }
            }
            if query.page == 1 {
                total = list.total;
            } else if names.len() == before {
                break;
            }
            next = list.query_after(&query);
        }
        Ok((names, total))
    }

    /// What the file is called.
    pub fn file_name(&self) -> String {
        format!("{}.csv", self.resource.config.name)
    }

    async fn page(&self, query: &ListQuery) -> Result<Listing> {
        let list = self.data.list(&self.caller, &self.resource, query, &self.zone).await;
        match list {
            // The list has become shorter, or nobody knew how long it is.
            Err(error) if query.page > 1 && is_past_the_end(&error) => Ok(Listing::end()),
            list => list,
        }
    }

    /// The id, then the fields, by the names that an import knows them by.
    fn head(&self) -> Result<Vec<u8>> {
        let names = self.fields().map(|field| guarded(field.name.clone(), false));
        written(vec![std::iter::once(self.resource.config.id.clone()).chain(names)])
    }

    fn rows(&self, list: &Listing) -> Result<Vec<u8>> {
        let id = &self.resource.config.id;
        let rows = list.rows.iter().map(|row| {
            let id = guarded(plain(lookup(row, id)).into_owned(), false);
            std::iter::once(id).chain(self.fields().map(move |field| cell(field, row)))
        });
        written(rows.collect())
    }

    fn fields(&self) -> impl Iterator<Item = &FieldConfig> {
        let names = self.query.columns.iter().flatten();
        let own = &self.resource.config.id;
        names.filter(move |name| *name != own).filter_map(|name| self.resource.field(name))
    }
}

/// What did not work out of several changes: the line of the file, the record, and why.
pub fn report_lines(resource: &Resource, trouble: &[Change]) -> Result<Vec<u8>> {
    let label = |name: &str| resource.field(name).map(|field| field.label.as_str());
    let line = |change: &Change| {
        let place = if change.place > 0 { change.place.to_string() } else { String::new() };
        let cells = [change.record.clone(), change.title.clone(), change.why(label)];
        [place].into_iter().chain(cells.map(|cell| guarded(cell, false))).collect::<Vec<_>>()
    };
    let head = ["line", "id", "record", "problem"].map(str::to_owned).to_vec();
    let lines = std::iter::once(head).chain(trouble.iter().map(line));
    let mut text = MARK.as_bytes().to_vec();
    text.extend(written(lines.map(Vec::into_iter).collect())?);
    Ok(text)
}

fn written<R, C>(rows: Vec<R>) -> Result<Vec<u8>>
where
    R: Iterator<Item = C>,
    C: AsRef<[u8]>,
{
    let terminator = csv::Terminator::CRLF;
    let mut text = csv::WriterBuilder::new().terminator(terminator).from_writer(Vec::new());
    for row in rows {
        text.write_record(row).map_err(Error::internal)?;
    }
    text.into_inner().map_err(|cause| Error::internal(cause.to_string()))
}

/// A value as programs read it: no reader's figures, several values as JSON.
fn cell(field: &FieldConfig, row: &Value) -> String {
    let text = match lookup(row, &field.name) {
        value @ (Value::Array(_) | Value::Object(_)) => value.to_string(),
        value => plain(value).into_owned(),
    };
    let is_figure = is_figure(&field.kind, &text);
    guarded(text, is_figure)
}

/// Text that no spreadsheet takes for a formula.
fn guarded(text: String, is_figure: bool) -> String {
    let is_formula = text.starts_with(FORMULA) && !is_figure;
    // One that a backend has already goes along with another, so that an import takes off its own.
    if is_formula || text.starts_with(NO_FORMULA) { format!("{NO_FORMULA}{text}") } else { text }
}

/// Numbers may have a sign.
fn is_figure(kind: &FieldKind, text: &str) -> bool {
    let is_number = text.parse::<f64>().is_ok();
    let is_phone = *kind == FieldKind::Phone
        && text.chars().all(|c| c.is_ascii_digit() || " +-()/.".contains(c));
    is_number || is_phone
}

/// The value that [`cell`] has written.
pub fn read_cell(text: &str) -> &str {
    match text.strip_prefix(NO_FORMULA) {
        Some(rest) if rest.starts_with(FORMULA) || rest.starts_with(NO_FORMULA) => rest,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_all_come_back() {
        let field = |kind| FieldConfig::new("x", kind);
        let written = |kind, value: Value| cell(&field(kind), &json!({ "x": value }));
        for text in
            ["=1+1", "@SUM(A1)", "-cmd", "+x", "\tx", "'quoted", "plain", "", "-5", "a\"b,c\n"]
        {
            let cell = written(FieldKind::Text, json!(text));
            assert!(!cell.starts_with(['=', '@', '\t']), "{cell}");
            assert_eq!(read_cell(&cell), text);
        }
        assert_eq!(written(FieldKind::Decimal, json!(-1.5)), "-1.5");
        assert_eq!(written(FieldKind::Phone, json!("+351 21 000")), "+351 21 000");
        assert_eq!(written(FieldKind::Phone, json!("+cmd")), "'+cmd");
        assert_eq!(written(FieldKind::Json, json!(["a", 1])), "[\"a\",1]");
        assert_eq!(written(FieldKind::Text, json!(null)), "");
    }
}
