//! Where the assistant is given tools, it looks at the data with them instead of by itself, and writes
//! its answer from what they say.
//!
//! It remembers nothing between two requests: what it does next follows from the question and from
//! what its calls have come to.

use serde_json::{Map, Value, json};
use time::Date;

use super::{
    ROWS, Row, aside, asks_for_samples,
    context::Context,
    counted, headline, markdown,
    orders::{self, Order, Target, as_value},
    quoted, source, table,
    topics::Subject,
    understand::{Request, Wish, understand},
    words::Words,
    written,
};
use crate::{
    config::ISO_DAY,
    sandbox::collections::{Collections, Filter, Kind, Operand, Selection, Test},
};

/// How a tool says that a change was proposed.
const SHOWN: &str = "Shown to the person";

/// A tool that a request offers.
#[derive(Debug, Clone)]
pub(crate) struct Offered {
    pub(crate) name: String,
    /// A JSON schema of its arguments.
    pub(crate) parameters: Value,
}

/// A call that was made for the question, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Called {
    pub(crate) name: String,
    pub(crate) told: String,
}

/// What the assistant does next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Next {
    /// It calls a tool.
    Call { name: String, arguments: Value },
    /// It answers.
    Say(String),
}

/// The next step to the answer of a question; nothing where these tools are of no use for it.
pub(crate) async fn next(
    collections: &Collections,
    tenant: &str,
    question: &str,
    offered: &[Offered],
    called: &[Called],
) -> Result<Option<Next>, sqlx::Error> {
    let desk = Desk { offered, called };
    let (context, words) = Context::read(question);
    if let Some(order) = orders::read(words, context.as_ref()) {
        return Ok(desk.follow(&order));
    }
    let (context, words) = Context::in_words(question);
    let words = Words::read(&words);
    let subject = Subject::of(&words).filter(|_| !asks_for_samples(&words));
    let Some((subject, mention)) = subject else { return Ok(None) };
    let mut request = understand(collections, tenant, words, subject, mention).await?;
    if let Some(context) = context {
        context.narrow(&mut request);
    }
    Ok(desk.look(&request))
}

/// What there is to work with.
struct Desk<'a> {
    offered: &'a [Offered],
    called: &'a [Called],
}

impl<'a> Desk<'a> {
    fn tool(&self, verb: &str, subject: Subject) -> Option<&'a Offered> {
        let collection = subject.collection;
        let name = format!("{verb}_{}_{}", collection.group, collection.name);
        self.offered.iter().find(|tool| tool.name == name)
    }

    /// What a tool has said, if it was called.
    fn told(&self, tool: &Offered) -> Option<&'a str> {
        let call = self.called.iter().rev().find(|call| call.name == tool.name);
        call.map(|call| call.told.as_str())
    }

    /// A list, and what is in it in full where it is one record. Sums are not for a list to tell.
    fn look(&self, request: &Request) -> Option<Next> {
        let Request { subject, selection, wish, .. } = request;
        let limit = match wish {
            Wish::Totals(_) => return None,
            Wish::Rows(limit) => limit.unwrap_or(ROWS).min(ROWS),
            Wish::Count => 0,
        };
        let read = self.tool("read", *subject);
        if let (Some(id), Some(read)) = (record_id(selection), read) {
            return Some(self.look_at(read, request, &id, 1));
        }
        let list = self.tool("list", *subject)?;
        let Some(told) = self.told(list) else {
            return Some(call(list, arguments(selection, &list.parameters)?));
        };
        let Some(mut page) = Page::read(told) else { return Some(failed(told)) };
        page.rows.truncate(limit as usize);
        Some(match (page.rows.as_slice(), read) {
            ([row], Some(read)) => self.look_at(read, request, &row.id, page.total),
            (rows, _) => Next::Say(answered(request, page.total, rows)),
        })
    }

    fn look_at(&self, read: &Offered, request: &Request, id: &str, total: i64) -> Next {
        let Some(told) = self.told(read) else { return call(read, json!({ "id": id })) };
        match serde_json::from_str::<Value>(told).ok().as_ref().and_then(Row::read) {
            Some(row) => Next::Say(answered(request, total, &[row])),
            None => failed(told),
        }
    }

    fn follow(&self, order: &Order) -> Option<Next> {
        match order {
            Order::Make { subject, values } => {
                let create = self.tool("create", *subject)?;
                let name = subject.collection.singular.to_lowercase();
                let shown = format!(
                    "I filled in a new {name} for you. Nothing is written until you create it.\n"
                );
                Some(self.propose(create, json!({ "values": values }), shown))
            }
            Order::Change { subject, target: Target::Id(id), values } => {
                self.change(*subject, id, values)
            }
            Order::Change { subject, target: Target::Words(words), values } => {
                self.tool("update", *subject)?;
                let list = self.tool("list", *subject)?;
                let Some(told) = self.told(list) else {
                    return Some(call(list, json!({ "search": words })));
                };
                let Some(page) = Page::read(told) else { return Some(failed(told)) };
                match page.rows.as_slice() {
                    [row] => self.change(*subject, &row.id, values),
                    rows => Some(Next::Say(which(*subject, words, page.total, rows))),
                }
            }
        }
    }

    fn change(&self, subject: Subject, id: &str, values: &Map<String, Value>) -> Option<Next> {
        let update = self.tool("update", subject)?;
        let shown = "I filled in the change for you. Nothing is written until you save it.\n";
        Some(self.propose(update, json!({ "id": id, "values": values }), shown.to_owned()))
    }

    fn propose(&self, tool: &Offered, arguments: Value, shown: String) -> Next {
        match self.told(tool) {
            None => call(tool, arguments),
            Some(told) if told.starts_with(SHOWN) => Next::Say(shown),
            Some(told) => failed(told),
        }
    }
}

fn call(tool: &Offered, arguments: Value) -> Next {
    Next::Call { name: tool.name.clone(), arguments }
}

fn failed(told: &str) -> Next {
    Next::Say(format!("That did not work. I was told: {}\n", markdown::escape(told)))
}

/// The answer to a question, once the rows are there.
fn answered(request: &Request, total: i64, rows: &[Row]) -> String {
    let text = match request.wish {
        Wish::Rows(limit) => written(request, limit, total, rows),
        Wish::Count | Wish::Totals(_) => format!("{}\n\n", headline(request, total)),
    };
    format!("{}{text}{}", aside(&request.ignored), source(request))
}

/// Asks which of the records is meant that mention these words.
fn which(subject: Subject, words: &str, total: i64, rows: &[Row]) -> String {
    let words = quoted(words);
    if rows.is_empty() {
        return format!(
            "I found no {} that mentions {words}.\n",
            subject.collection.singular.to_lowercase()
        );
    }
    let many = counted(subject, total);
    let first = &rows[..rows.len().min(ROWS as usize)];
    let example = first.first().map_or("7", |row| &row.id);
    let one = subject.collection.singular.to_lowercase();
    format!(
        "I found **{many}** that mention {words}. Say which one by its number, such as **{one} \
         {example}**.\n\n{}",
        table(subject, first)
    )
}

impl Row {
    /// A record as a tool tells it.
    fn read(told: &Value) -> Option<Self> {
        let values = told.as_object()?.clone();
        let id = match values.get("id")? {
            Value::String(id) => id.clone(),
            id => id.to_string(),
        };
        Some(Self { id, values })
    }
}

/// A page of a list as a tool tells it.
struct Page {
    rows: Vec<Row>,
    total: i64,
}

impl Page {
    fn read(told: &str) -> Option<Self> {
        let page: Value = serde_json::from_str(told).ok()?;
        let rows: Vec<Row> = page.get("rows")?.as_array()?.iter().filter_map(Row::read).collect();
        let here = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let total = page.get("total").and_then(Value::as_i64).unwrap_or(here);
        Some(Self { rows, total })
    }
}

/// The one record that is asked for by its number.
fn record_id(selection: &Selection) -> Option<String> {
    selection.filters.iter().find_map(|filter| match (&filter.test, filter.field.name) {
        (Test::Is(id), "id") => Some(id.to_string()),
        _ => None,
    })
}

/// The arguments that ask a list for the selection, unless it cannot be asked for it.
fn arguments(selection: &Selection, schema: &Value) -> Option<Value> {
    let mut filters = Map::new();
    let mut words = selection.terms.clone();
    for filter in &selection.filters {
        let name = filter.field.name;
        match schema.pointer(&format!("/properties/filters/properties/{name}")) {
            Some(shape) => narrow(filters.entry(name).or_insert(Value::Null), filter, shape)?,
            None => words.push(text(&filter.test)?),
        }
    }
    let mut arguments = Map::new();
    if !words.is_empty() {
        schema.pointer("/properties/search")?;
        arguments.insert("search".to_owned(), words.join(" ").into());
    }
    if !filters.is_empty() {
        arguments.insert("filters".to_owned(), filters.into());
    }
    if let Some(order) = selection.ordering.first() {
        let sign = if order.descending { "-" } else { "" };
        let sort = Value::from(format!("{sign}{}", order.field.name));
        let known = schema.pointer("/properties/sort/enum")?.as_array()?;
        arguments.insert("sort".to_owned(), known.iter().find(|it| **it == sort)?.clone());
    }
    Some(arguments.into())
}

/// One more condition on a field, in the form that its schema asks for.
fn narrow(asked: &mut Value, filter: &Filter, shape: &Value) -> Option<()> {
    let test = &filter.test;
    match shape.get("type")?.as_str()? {
        "array" => *asked = values(test)?.iter().map(ToString::to_string).collect(),
        "boolean" => *asked = Value::Bool(matches!(values(test)?[..], [Operand::Number(1.0)])),
        "object" => {
            let (from, to) = bounds(filter)?;
            let bounds = [("from", from), ("to", to)];
            bounds.into_iter().for_each(|(name, bound)| {
                if let Some(bound) = bound {
                    asked[name] = bound;
                }
            });
        }
        _ => *asked = text(test)?.into(),
    }
    Some(())
}

/// The values of which a field has one.
fn values(test: &Test) -> Option<Vec<&Operand>> {
    match test {
        Test::Is(value) => Some(vec![value]),
        Test::OneOf(values) => Some(values.iter().collect()),
        _ => None,
    }
}

/// The text that a field has.
fn text(test: &Test) -> Option<String> {
    match test {
        Test::Contains(text) => Some(text.clone()),
        test => match values(test)?[..] {
            [Operand::Text(text)] => Some(text.clone()),
            _ => None,
        },
    }
}

/// What a value lies between, both included.
fn bounds(filter: &Filter) -> Option<(Option<Value>, Option<Value>)> {
    let step = if filter.field.kind == Kind::Integer { 1.0 } else { 0.01 };
    Some(match &filter.test {
        Test::AtLeast(least) => (Some(bound(least)), None),
        Test::AtMost(most) => (None, Some(bound(most))),
        Test::Above(below) => (Some(beyond(below, step)?), None),
        Test::Below(above) => (None, Some(beyond(above, -step)?)),
        test => match values(test)?[..] {
            [value] => (Some(bound(value)), Some(bound(value))),
            _ => return None,
        },
    })
}

fn bound(operand: &Operand) -> Value {
    match operand {
        Operand::Number(number) => as_value(*number),
        Operand::Text(text) => text.as_str().into(),
    }
}

/// The next value, or the next day, in the direction of the step.
fn beyond(operand: &Operand, step: f64) -> Option<Value> {
    match operand {
        Operand::Number(number) => Some(as_value(((number + step) * 100.0).round() / 100.0)),
        Operand::Text(text) => {
            let day = Date::parse(text.get(..10)?, ISO_DAY).ok()?;
            let day = if step > 0.0 { day.next_day() } else { day.previous_day() };
            Some(day?.to_string().into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::collections::testing::collections;

    /// The tools of a site that has declared contacts and deals.
    fn offered() -> Vec<Offered> {
        let choice = |values: &[&str]| json!({ "type": "array", "items": { "type": "string", "enum": values } });
        let contacts = json!({ "properties": {
            "search": { "type": "string" },
            "filters": { "properties": { "company": { "type": "string" } } },
        } });
        let deals = json!({ "properties": {
            "search": { "type": "string" },
            "filters": { "properties": {
                "stage": choice(&["Lead", "Won"]),
                "amount": { "type": "object" },
                "close_date": { "type": "object" },
            } },
            "sort": { "enum": ["amount", "-amount"] },
        } });
        let tool = |name: &str, parameters: &Value| Offered {
            name: name.to_owned(),
            parameters: parameters.clone(),
        };
        let nothing = json!({});
        vec![
            tool("list_django-crm_contacts", &contacts),
            tool("read_django-crm_contacts", &nothing),
            tool("create_django-crm_contacts", &nothing),
            tool("update_django-crm_contacts", &nothing),
            tool("list_django-crm_deals", &deals),
        ]
    }

    async fn ask(question: &str, called: &[Called]) -> Option<Next> {
        next(&collections().await, "harbor", question, &offered(), called).await.unwrap()
    }

    fn called(name: &str, told: Value) -> Called {
        let told = match told {
            Value::String(text) => text,
            told => told.to_string(),
        };
        Called { name: format!("{name}_django-crm_contacts"), told }
    }

    async fn arguments_of(question: &str) -> Value {
        match ask(question, &[]).await {
            Some(Next::Call { arguments, .. }) => arguments,
            other => panic!("{question}: {other:?}"),
        }
    }

    fn said(next: Option<Next>) -> String {
        match next {
            Some(Next::Say(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_question_becomes_the_arguments_of_a_list() {
        assert_eq!(
            arguments_of("contacts at Globex").await,
            json!({ "filters": { "company": "Globex" } })
        );
        assert_eq!(
            arguments_of("deals over 10000 that are won, sorted by amount").await,
            json!({
                "filters": { "stage": ["Won"], "amount": { "from": 10_000.01 } },
                "sort": "-amount",
            })
        );
        assert_eq!(
            arguments_of("deals between 5k and 10k before 2026-07-01").await,
            json!({ "filters": {
                "amount": { "from": 5_000, "to": 10_000 },
                "close_date": { "to": "2026-06-30" },
            } })
        );
        let about = "About Deals, in part: /data/django-crm/deals?f.stage=Won&q=dock how many?";
        assert_eq!(
            arguments_of(about).await,
            json!({ "search": "dock", "filters": { "stage": ["Won"] } })
        );
        for other in ["deals by stage", "overdue invoices", "hello", "show me some code"] {
            assert_eq!(ask(other, &[]).await, None, "{other}");
        }
    }

    #[tokio::test]
    async fn the_answer_is_written_from_what_the_tool_said() {
        let ada = json!({ "id": "9001", "name": "Ada *Park*", "company": "Globex" });
        let bo = json!({ "id": "9002", "name": "Bo Ek", "company": "Globex" });
        let list = called("list", json!({ "rows": [ada, bo], "total": 30 }));
        let text = said(ask("contacts at Globex", &[list]).await);
        assert!(text.starts_with("I found **30 contacts** where company is Globex."));
        assert!(text.contains("| [Ada \\*Park\\*](/data/django-crm/contacts/9001) | Globex |"));
        assert!(text.contains("… and 28 more."), "{text}");
        let told = "The backend is <out>.";
        let text = said(ask("contacts at Globex", &[called("list", json!(told))]).await);
        assert_eq!(text, "That did not work. I was told: The backend is \\<out\\>.\n");
    }

    #[tokio::test]
    async fn a_single_record_is_read_in_full() {
        let ada = json!({ "id": "9001", "name": "Ada" });
        let list = called("list", json!({ "rows": [ada], "total": 1 }));
        let read = Next::Call {
            name: "read_django-crm_contacts".to_owned(),
            arguments: json!({ "id": "9001" }),
        };
        assert_eq!(ask("contacts at Globex", std::slice::from_ref(&list)).await, Some(read));
        let full = called("read", json!({ "id": "9001", "name": "Ada", "phone": "+1" }));
        let text = said(ask("contacts at Globex", &[list, full]).await);
        assert!(text.contains("- **Phone**: +1\n"), "{text}");
        assert_eq!(arguments_of("show contact 7").await, json!({ "id": "7" }));
        let about = "About contact 7: /data/django-crm/contacts/7 what is the city?";
        assert_eq!(arguments_of(about).await, json!({ "id": "7" }));
    }

    #[tokio::test]
    async fn orders_are_proposed_and_said_to_wait() {
        let order = "make a contact Ada Park, ada@park.example, city Porto";
        let values = json!({ "name": "Ada Park", "email": "ada@park.example", "city": "Porto" });
        assert_eq!(arguments_of(order).await, json!({ "values": values }));
        let shown = "Shown to the person for confirmation; nothing is written yet.";
        let text = said(ask(order, &[called("create", json!(shown))]).await);
        assert!(text.contains("Nothing is written until you create it."));
        let wrong = called("create", json!("The contact cannot be like that."));
        assert!(said(ask(order, &[wrong]).await).starts_with("That did not work."));
        assert_eq!(ask("make a deal Big one, company Globex, amount 5", &[]).await, None);
    }

    #[tokio::test]
    async fn who_is_to_be_changed_is_looked_up() {
        let order = "set the city of Maria Silva to Porto";
        assert_eq!(arguments_of(order).await, json!({ "search": "Maria Silva" }));
        let one = json!({ "id": "9001", "name": "Maria Silva" });
        let other = json!({ "id": "9002", "name": "Maria Silva Jr" });
        let list = |rows: Value| called("list", json!({ "rows": rows }));
        let update = Next::Call {
            name: "update_django-crm_contacts".to_owned(),
            arguments: json!({ "id": "9001", "values": { "city": "Porto" } }),
        };
        assert_eq!(ask(order, &[list(json!([one]))]).await, Some(update));
        let text = said(ask(order, &[list(json!([one, other]))]).await);
        assert!(text.starts_with("I found **2 contacts** that mention “Maria Silva”."), "{text}");
        assert!(text.contains("such as **contact 9001**"), "{text}");
        let text = said(ask(order, &[list(json!([]))]).await);
        assert_eq!(text, "I found no contact that mentions “Maria Silva”.\n");
        let id = "set the city of contact 7 to Porto";
        assert_eq!(arguments_of(id).await, json!({ "id": "7", "values": { "city": "Porto" } }));
    }
}
