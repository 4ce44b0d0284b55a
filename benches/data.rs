//! The console under load: a list of 50 rows, rendered on the server, from a backend that answers at
//! once; and the whole list as a file. `SECONDS` and `CONNECTIONS` change the load.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops at the first surprise")]

#[path = "support/load.rs"]
mod load;
mod support;

use std::{sync::Arc, time::Instant};

use axum::{Json, Router, extract::Query, routing::get};
use load::measure;
use serde::Deserialize;
use serde_json::{Value, json};
use support::{Process, cpu};
use tokio::net::TcpListener;

/// What the table of the same rows has in the Next.js application that is compared with, and what
/// people expect of a list besides: an order, filters, a total.
const FIELDS: &str = r#"
[resources.bench.contacts]
backend = "up"
path = "/contacts"
fields = [
  { name = "name", sortable = true },
  { name = "email", type = "email", sortable = true },
  { name = "phone", type = "phone" },
  { name = "company", sortable = true, filterable = true },
  { name = "stage", type = "choice", choices = ["lead", "won", "lost"], filterable = true },
  { name = "value", type = "money", sortable = true, total = true },
]
"#;

#[tokio::main]
async fn main() {
    let upstream = upstream().await;
    let process = Process::start(&upstream, "", FIELDS).await;
    let browser = process.signed_in().await;
    let session = browser.cookies.lock().expect("cookies")["breezeway"].clone();
    let address = format!("{}/data/bench/contacts?page_size=50", process.origin);
    measure("list of 50 rows", process.id(), &address, &session, is_list).await;
    println!("  resident memory  {:>8.1} MiB", process.resident() as f64 / 1024.0);
    export(&process, &session).await;
}

/// How many rows the list has on all of its pages.
const ROWS: u32 = 5_000;

/// The whole list as a file: how long it takes, and how much the process grows meanwhile.
async fn export(process: &Process, session: &str) {
    let address = format!("{}/data/bench/contacts/-/export.csv", process.origin);
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let once = async || {
        let request = http.get(&address).header("cookie", format!("breezeway={session}"));
        let mut answer = request.send().await.expect("an answer");
        let (mut lines, mut most) = (0, 0);
        while let Some(piece) = answer.chunk().await.expect("a piece") {
            lines += piece.iter().filter(|byte| **byte == b'\n').count();
            most = most.max(process.resident());
        }
        assert_eq!(lines, ROWS as usize + 1);
        most
    };
    let before = once().await;
    let (cpu_before, began) = (cpu(process.id()), Instant::now());
    let mut most = before;
    for _ in 0..10 {
        most = most.max(once().await);
    }
    let each = began.elapsed() / 10;
    println!("export of {ROWS} rows");
    println!("  took             {each:>8.2?}");
    println!("  CPU              {:>8.2?}", (cpu(process.id()) - cpu_before) / 10);
    let mib = |kib: u64| kib as f64 / 1024.0;
    println!(
        "  resident memory  {:>8.1} MiB, {:.1} more than after the first",
        mib(most),
        mib(most - before)
    );
}

fn is_list(page: &[u8]) -> bool {
    page.windows(11).filter(|window| window == b"scope=\"row\"").count() == 51
}

async fn upstream() -> String {
    let rows: Arc<Vec<Value>> = Arc::new((1..=ROWS).map(row).collect());
    let router = Router::new().route("/contacts", get(move |page| answer(rows.clone(), page)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}

#[derive(Deserialize)]
struct Page {
    page: usize,
    page_size: usize,
}

async fn answer(rows: Arc<Vec<Value>>, Query(asked): Query<Page>) -> Json<Value> {
    let before = (asked.page - 1) * asked.page_size;
    let page: Vec<&Value> = rows.iter().skip(before).take(asked.page_size).collect();
    let next = (before + page.len() < rows.len()).then_some("more");
    Json(json!({ "count": rows.len(), "next": next, "previous": null, "results": page }))
}

fn row(id: u32) -> Value {
    let stage = ["lead", "won", "lost"][id as usize % 3];
    json!({
        "id": id,
        "name": format!("Person Number {id}"),
        "email": format!("person{id}@globex.example"),
        "phone": format!("+1 555 01{id:02}"),
        "company": format!("Company {}", id % 7),
        "stage": stage,
        "value": f64::from(id) * 1234.5,
        "owner": "Ada Park",
        "notes": "Met at the fair; wants a quote for three sites before the end of the quarter.",
        "updated_at": "2026-06-17T09:30:00Z",
    })
}
