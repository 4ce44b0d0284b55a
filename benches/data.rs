//! The console under load: a list of 50 rows, rendered on the server, from a backend that answers at
//! once. `SECONDS` and `CONNECTIONS` change the load.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops at the first surprise")]

#[path = "support/load.rs"]
mod load;
mod support;

use axum::{Json, Router, routing::get};
use load::measure;
use serde_json::{Value, json};
use support::Process;
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
}

fn is_list(page: &[u8]) -> bool {
    page.windows(11).filter(|window| window == b"scope=\"row\"").count() == 51
}

async fn upstream() -> String {
    let rows: Vec<Value> = (1..=50).map(row).collect();
    let list = json!({ "count": 5_000, "next": null, "previous": null, "results": rows });
    let router =
        Router::new().route("/contacts", get(move || std::future::ready(Json(list.clone()))));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
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
