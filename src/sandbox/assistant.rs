//! The sandbox's assistant: it answers questions about the sandbox's own data by searching it.
//!
//! It is not a language model and says so. It knows the words for the collections and their fields,
//! turns a question into the same selection an API client would ask for, and writes the rows down
//! as Markdown.

mod context;
mod files;
mod markdown;
mod orders;
mod samples;
mod title;
mod tools;
mod topics;
mod understand;
mod words;

use serde_json::{Map, Value};
use url::form_urlencoded;

use self::{
    context::Context,
    topics::Subject,
    understand::{Request, Wish, understand},
    words::Words,
};
pub(crate) use self::{
    files::{about, picture},
    title::title,
    tools::{Called, Next, Offered, next},
};
use crate::sandbox::collections::{
    Collections, Field, Filter, Grouping, Kind, Operand, Record, Selection, Shelf, Test, Total,
};

/// A table's rows at most.
const ROWS: u32 = 12;

/// A record as answers show it, wherever it comes from.
struct Row {
    id: String,
    values: Map<String, Value>,
}

impl From<&Record> for Row {
    fn from(record: &Record) -> Self {
        let fields = record.collection.fields();
        let values = fields.map(|field| (field.name.to_owned(), record.value(field)));
        Self { id: record.id.to_string(), values: values.collect() }
    }
}

/// The answer to a question, as Markdown. The same question on the same data has the same answer.
pub(crate) async fn answer(
    collections: &Collections,
    tenant: &str,
    question: &str,
) -> Result<String, sqlx::Error> {
    let (context, words) = Context::in_words(question);
    let words = Words::read(&words);
    if asks_for_samples(&words) {
        return Ok(samples::markdown());
    }
    match Subject::of(&words) {
        Some((subject, mention)) => {
            let mut request = understand(collections, tenant, words, subject, mention).await?;
            if let Some(context) = context {
                context.narrow(&mut request);
            }
            reply(&collections.shelf(subject.collection, tenant), &request).await
        }
        None if asks_for_help(&words) => Ok(samples::help()),
        None if words.has("thank") => Ok(samples::welcome()),
        None => search_everywhere(collections, tenant, words.leftover()).await,
    }
}

fn asks_for_samples(words: &Words) -> bool {
    words.has("markdown") || words.has("code")
}

fn asks_for_help(words: &Words) -> bool {
    let greetings = ["hello", "hi", "hey", "help", "are you", "what can you", "what do you"];
    words.len() == 0 || greetings.iter().any(|greeting| words.has(greeting))
}

async fn reply(shelf: &Shelf<'_>, request: &Request) -> Result<String, sqlx::Error> {
    let count = shelf.count(&request.selection).await?;
    let mut text = aside(&request.ignored);
    text += &match request.wish {
        Wish::Count => format!("{}\n\n", headline(request, count)),
        Wish::Totals(grouping) => totals(shelf, request, grouping).await?,
        Wish::Rows(limit) => rows(shelf, request, limit, count).await?,
    };
    text += &source(request);
    Ok(text)
}

/// The rows, or the one row in full.
async fn rows(
    shelf: &Shelf<'_>,
    request: &Request,
    limit: Option<u32>,
    count: i64,
) -> Result<String, sqlx::Error> {
    let selection = request.selection.clone().in_order(shelf.collection);
    let shown = shelf.list(&selection, limit.unwrap_or(ROWS).min(ROWS), 0).await?;
    let shown: Vec<Row> = shown.iter().map(Row::from).collect();
    Ok(written(request, limit, count, &shown))
}

/// The same in words, once the rows are there.
fn written(request: &Request, limit: Option<u32>, count: i64, shown: &[Row]) -> String {
    let lead = match limit {
        Some(_) if count > 1 => top_line(request, shown.len()),
        _ => headline(request, count),
    };
    if let [row] = shown {
        return format!("{lead}\n\n{}\n", in_full(request.subject, row));
    }
    let table = if shown.is_empty() { String::new() } else { table(request.subject, shown) };
    let wanted = limit.map_or(count, |limit| count.min(limit.into()));
    let more = wanted - i64::try_from(shown.len()).unwrap_or(wanted);
    let more = if more > 0 { format!("… and {more} more.\n\n") } else { String::new() };
    format!("{lead}\n\n{table}{more}")
}

/// `I found **42 deals** where …`
fn headline(request: &Request, count: i64) -> String {
    let what = counted(request.subject, count);
    match conditions(&request.selection) {
        conditions if conditions.is_empty() => format!("There {} **{what}**.", be(count)),
        conditions if count == 0 => {
            format!("I found no {} {conditions}.", request.subject.topic.plural)
        }
        conditions => format!("I found **{what}** {conditions}."),
    }
}

fn top_line(request: &Request, many: usize) -> String {
    let what = counted(request.subject, i64::try_from(many).unwrap_or_default());
    let order = match request.selection.ordering.first() {
        Some(order) => {
            let way = match (order.field.kind.is_time(), order.descending) {
                (false, true) => "largest",
                (false, false) => "smallest",
                (true, true) => "latest",
                (true, false) => "earliest",
            };
            format!(", {way} {} first", lower(&order.field.label()))
        }
        None => String::new(),
    };
    let conditions = conditions(&request.selection);
    let space = if conditions.is_empty() { "" } else { " " };
    format!("Here {} **{what}**{space}{conditions}{order}.", be(i64::try_from(many).unwrap_or(2)))
}

fn counted(subject: Subject, count: i64) -> String {
    let name = match count {
        1 => subject.collection.singular,
        _ => subject.topic.plural,
    };
    // `API key` keeps its capitals; `Contact` does not.
    let name = if name.starts_with("API") { name.to_owned() } else { name.to_lowercase() };
    format!("{} {name}", markdown::amount(count as f64))
}

fn be(count: i64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// What the rows have in common, in words.
fn conditions(selection: &Selection) -> String {
    let mut parts: Vec<_> = selection.filters.iter().map(condition).collect();
    if !parts.is_empty() {
        parts = vec![format!("where {}", parts.join(" and "))];
    }
    if !selection.terms.is_empty() {
        let terms: Vec<_> = selection.terms.iter().map(|term| quoted(term)).collect();
        parts.push(format!("that mention {}", terms.join(" and ")));
    }
    parts.join(" ")
}

fn condition(filter: &Filter) -> String {
    let field = filter.field;
    let name = lower(&field.label());
    let show = |operand: &Operand| match operand {
        Operand::Number(number) if field.kind == Kind::Boolean => {
            markdown::yes_or_no(*number > 0.0)
        }
        Operand::Number(number) if field.kind == Kind::Percent => format!("{number}%"),
        Operand::Number(number) => markdown::amount(*number),
        Operand::Text(text) => markdown::escape(text),
    };
    let time = field.kind.is_time();
    match &filter.test {
        Test::Is(value) => format!("{name} is {}", show(value)),
        Test::OneOf(values) => {
            let values: Vec<_> = values.iter().map(show).collect();
            format!("{name} is {}", markdown::either(&values))
        }
        Test::AtLeast(value) if time => format!("{name} is from {}", show(value)),
        Test::AtLeast(value) => format!("{name} is at least {}", show(value)),
        Test::AtMost(value) => format!("{name} is at most {}", show(value)),
        Test::Above(value) => format!("{name} is over {}", show(value)),
        Test::Below(value) if time => format!("{name} is before {}", show(value)),
        Test::Below(value) => format!("{name} is under {}", show(value)),
        Test::Contains(text) => format!("{name} contains {}", quoted(text)),
    }
}

fn quoted(text: &str) -> String {
    format!("“{}”", markdown::escape(text))
}

fn table(subject: Subject, rows: &[Row]) -> String {
    let columns = subject.columns();
    let heads: Vec<_> =
        columns.iter().map(|field| (field.label(), field.kind.is_number())).collect();
    let mut table = markdown::table_head(&heads);
    let nothing = Value::Null;
    for row in rows {
        let value = |field: &Field| row.values.get(field.name).unwrap_or(&nothing);
        let cells = columns.iter().map(|field| markdown::show(field.kind, value(field)));
        let mut cells: Vec<_> = cells.collect();
        if let Some(first) = cells.first_mut() {
            *first = format!("[{first}]({}/{})", subject.page(), row.id);
        }
        table += &markdown::table_row(&cells);
    }
    table + "\n"
}

fn in_full(subject: Subject, row: &Row) -> String {
    let fields = subject.collection.fields();
    let fields = fields.filter_map(|field| Some((field, row.values.get(field.name)?.clone())));
    let page = format!("{}/{}", subject.page(), row.id);
    let name = format!("Open this {}", subject.collection.singular.to_lowercase());
    format!("{}\n{}.\n", markdown::bullets(fields), markdown::link(&name, &page))
}

/// The sums of the groups as a table.
async fn totals(
    shelf: &Shelf<'_>,
    request: &Request,
    grouping: Grouping,
) -> Result<String, sqlx::Error> {
    let subject = request.subject;
    let mut totals = shelf.totals(&request.selection, grouping, subject.measure()).await?;
    let lead = headline(request, totals.iter().map(|total| total.count).sum());
    let head = match grouping {
        Grouping::Nothing => return Ok(format!("{lead} {}\n\n", sum_line(subject, &totals))),
        Grouping::Value(field) => field.label(),
        Grouping::Month(_) => {
            totals.sort_by(|left, right| left.key.cmp(&right.key));
            "Month".to_owned()
        }
    };
    let mut heads = vec![(head, false), (title_case(subject.topic.plural), true)];
    heads
        .extend(subject.measure().map(|field| (format!("Sum of {}", lower(&field.label())), true)));
    let mut text = format!("{lead}\n\n{}", markdown::table_head(&heads));
    let shown = totals.len().min(ROWS as usize);
    for total in &totals[..shown] {
        text += &markdown::table_row(&total_cells(subject, grouping, total));
    }
    if shown < totals.len() {
        text += &format!("\n… and {} more.\n", totals.len() - shown);
    }
    Ok(format!("{text}\n{}\n\n", sum_line(subject, &totals)))
}

fn total_cells(subject: Subject, grouping: Grouping, total: &Total) -> Vec<String> {
    let key = match (grouping, total.key.as_str()) {
        (_, "") => "–".to_owned(),
        (Grouping::Value(field), key) if field.kind == Kind::Boolean => {
            markdown::yes_or_no(key == "1")
        }
        (_, key) => markdown::escape(key),
    };
    let mut cells = vec![key, markdown::amount(total.count as f64)];
    cells.extend(subject.measure().map(|_| markdown::amount(total.sum)));
    cells
}

fn sum_line(subject: Subject, totals: &[Total]) -> String {
    let sum: f64 = totals.iter().map(|total| total.sum).sum();
    match subject.measure() {
        Some(field) => {
            format!("The {} adds up to **{}**.", lower(&field.label()), markdown::amount(sum))
        }
        None => String::new(),
    }
}

/// Where the answer comes from: the request for the same rows, and their page.
fn source(request: &Request) -> String {
    let pairs = request.selection.to_pairs();
    let mut url = format!("/api/brain/{}", request.subject.collection.path());
    if !pairs.is_empty() {
        let mut query = form_urlencoded::Serializer::new(String::new());
        url = format!("{url}?{}", query.extend_pairs(&pairs).finish());
    }
    let all = format!("All {}", request.subject.topic.plural);
    let page = markdown::link(&all, &request.subject.page());
    format!("The API request for the same data:\n\n{}\n{page}\n", markdown::request(&url))
}

/// Says which words were of no use.
fn aside(ignored: &[String]) -> String {
    if ignored.is_empty() {
        return String::new();
    }
    let words: Vec<_> = ignored.iter().map(|word| quoted(word)).collect();
    format!("Nothing here mentions {}, so I searched without.\n\n", markdown::either(&words))
}

/// The collections that mention all of the words.
async fn search_everywhere(
    collections: &Collections,
    tenant: &str,
    terms: Vec<String>,
) -> Result<String, sqlx::Error> {
    if terms.is_empty() {
        return Ok(samples::unknown());
    }
    let selection = Selection { terms, ..Selection::default() };
    let mut table = String::new();
    for subject in Subject::all() {
        let count = collections.shelf(subject.collection, tenant).count(&selection).await?;
        if count > 0 {
            let name = markdown::link(&title_case(subject.topic.plural), &subject.page());
            table += &markdown::table_row(&[name, markdown::amount(count as f64)]);
        }
    }
    if table.is_empty() {
        return Ok(samples::unknown());
    }
    let head = markdown::table_head(&[("Where".to_owned(), false), ("Rows".to_owned(), true)]);
    let found = conditions(&selection);
    Ok(format!(
        "Your question names no collection, so I looked in all of them for rows {found}.\n\n\
         {head}{table}\nName one to see its rows, or ask for **help**.\n"
    ))
}

fn title_case(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(char::to_uppercase).into_iter().flatten().chain(letters).collect()
}

fn lower(text: &str) -> String {
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::collections::testing::collections;

    async fn ask(collections: &Collections, question: &str) -> String {
        answer(collections, "harbor", question).await.unwrap()
    }

    fn table_rows(text: &str) -> usize {
        text.lines().filter(|line| line.starts_with('|')).count().saturating_sub(2)
    }

    #[tokio::test]
    async fn a_list_is_a_sentence_a_table_the_request_and_a_link() {
        let text = ask(&collections().await, "Open deals over 10000").await;
        assert!(text.starts_with("I found **"), "{text}");
        assert!(text.contains("amount is over 10,000 and stage is Lead, Qualified"), "{text}");
        assert!(text.contains("| Name | Stage | Amount | Probability | Close date | Owner |"));
        assert_eq!(table_rows(&text), 12, "{text}");
        assert!(text.contains("… and "), "{text}");
        assert!(
            text.contains("\"url\": \"/api/brain/django-crm/deals?amount__gt=10000&stage__in=")
        );
        assert!(text.contains("[All deals](/data/django-crm/deals)"));
    }

    #[tokio::test]
    async fn numbers_sums_and_single_records() {
        let collections = collections().await;
        let count = ask(&collections, "How many contacts do we have?").await;
        assert!(count.starts_with("There are **240 contacts**."), "{count}");
        let top = ask(&collections, "top 5 deals").await;
        assert!(top.starts_with("Here are **5 deals**, largest amount first."), "{top}");
        assert_eq!(table_rows(&top), 5);
        let revenue = ask(&collections, "revenue by stage").await;
        assert!(revenue.contains("| Stage | Deals | Sum of amount |"), "{revenue}");
        assert!(revenue.contains("The amount adds up to **"));
        let one = ask(&collections, "show contact 1").await;
        assert!(one.contains("- **Name**: Maria Silva\n"), "{one}");
        assert!(one.contains("[Open this contact](/data/django-crm/contacts/1)"));
    }

    #[tokio::test]
    async fn every_collection_has_an_answer() {
        let collections = collections().await;
        for subject in Subject::all() {
            let question = subject.collection.name.to_owned();
            let text = ask(&collections, &question).await;
            let page = subject.page();
            assert!(text.contains(&format!("]({page})")), "{question}: {text}");
            assert_eq!(table_rows(&text), 12, "{question}: {text}");
        }
    }

    #[tokio::test]
    async fn answers_stay_inside_the_tenant() {
        let collections = collections().await;
        let harbor = ask(&collections, "contacts named Maria Silva").await;
        assert!(harbor.contains("Maria Silva"));
        let summit = answer(&collections, "summit", "contacts named Maria Silva").await.unwrap();
        assert!(!summit.contains("Maria Silva"), "{summit}");
        assert!(summit.contains("“silva”"));
    }

    #[tokio::test]
    async fn it_says_what_it_is_when_it_cannot_answer() {
        let collections = collections().await;
        for question in
            ["", "hello", "help", "What is the meaning of love?", "%%% ???", "DROP TABLE"]
        {
            let text = ask(&collections, question).await;
            assert!(text.contains("I am not a language model."), "{question}: {text}");
            for switch in ["/slow", "/think", "/busy", "/fail", "/break", "/cut", "/long"] {
                assert!(text.contains(&format!("`{switch}`")));
            }
        }
    }

    #[tokio::test]
    async fn words_without_a_collection_are_looked_for_everywhere() {
        let text = ask(&collections().await, "Globex").await;
        assert!(text.contains("| [Contacts](/data/django-crm/contacts) | "), "{text}");
    }

    #[tokio::test]
    async fn samples_hold_every_kind_of_block() {
        let text = ask(&collections().await, "Show me some code").await;
        for piece in ["# ", "   - ", "- [x] ", "| --- |", "> ", "```rust", "```typescript"] {
            assert!(text.contains(piece), "{piece}");
        }
    }
}
